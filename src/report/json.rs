//! The report for programs. One document, written scenario by scenario, so that its size in memory
//! does not grow with the run. `version` is the version of this format; a key once given keeps its
//! meaning within a version, and new keys may appear.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use serde::Serialize;

use super::{Reporter, Versions, walk::JsonWalk};
use crate::{
    judge::{
        sweep::SweepGroup,
        verdict::{Arrival, Outcome, Verdict},
    },
    record::{
        CaseRecord, ScenarioRecord, StepRecord,
        comparison::{Comparison, Difference},
        event::{Event, Summary},
        failure::ScenarioError,
        shard::Part,
    },
    ruleset::{chain::Chain, origin::Origin},
    scenario::{Cell, Matrix},
    trace::decider::{Decider, KernelReason, Policy, Rule},
};

/// The version of the format.
pub const VERSION: u32 = 1;

/// Writes one JSON document.
pub struct Json {
    out: Box<dyn Write>,
    versions: Versions,
    kernel: Option<String>,
    first: bool,
    part: Option<Part>,
    /// Written behind the scenarios.
    comparisons: Vec<Comparison>,
}

#[derive(Serialize)]
struct JsonScenario<'a> {
    name: &'a str,
    title: &'a str,
    file: &'a Path,
    tags: &'a [String],
    candidate: JsonCandidate<'a>,
    /// Of a shard: its place in the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<&'static str>,
    /// What the candidate's programs printed.
    #[serde(skip_serializing_if = "str::is_empty")]
    output: &'a str,
    duration_us: u64,
    /// Where a cell of a case is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matrices: Vec<JsonMatrix<'a>>,
    cases: Vec<JsonCase<'a>>,
}

#[derive(Serialize)]
struct JsonMatrix<'a> {
    name: Option<&'a str>,
    file: &'a Path,
    line: usize,
    column: usize,
    from: &'a [String],
    to: &'a [String],
    services: &'a [String],
}

#[derive(Serialize)]
struct JsonCell<'a> {
    matrix: usize,
    from: &'a str,
    to: &'a str,
    service: &'a str,
}

#[derive(Serialize)]
struct JsonCandidate<'a> {
    /// If it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    path: &'a Path,
    sha256: &'a str,
}

/// What tells of the case is what tells of its telling step: the first that did not pass, or the last.
#[derive(Serialize)]
struct JsonCase<'a> {
    name: &'a str,
    family: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<JsonCell<'a>>,
    /// Of a conversation: where it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<JsonPlace<'a>>,
    #[serde(flatten)]
    told: JsonStep<'a>,
    duration_us: u64,
    /// All steps of a conversation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<JsonNamedStep<'a>>,
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    file: &'a Path,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct JsonNamedStep<'a> {
    step: &'a str,
    #[serde(flatten)]
    told: JsonStep<'a>,
    duration_us: u64,
}

#[derive(Serialize)]
struct JsonStep<'a> {
    file: &'a Path,
    line: usize,
    column: usize,
    expected: &'a str,
    verdict: String,
    outcome: Outcome,
    reason: Option<&'a str>,
    rule: Option<JsonRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<KernelReason>,
    /// No filter chain stood on its way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_chain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<JsonArrival<'a>>,
    packet: &'a str,
    /// The way of the packet, if it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<JsonWalk<'a>>,
    /// Of a sweep: what became of every number.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<JsonSweep<'a>>,
}

/// What became of every number of a sweep, in groups that fared alike.
#[derive(Serialize)]
struct JsonSweep<'a> {
    over: &'static str,
    /// How many further labs it took, because rules remember earlier packets.
    #[serde(skip_serializing_if = "is_zero")]
    labs: usize,
    groups: Vec<JsonGroup<'a>>,
}

#[derive(Serialize)]
struct JsonGroup<'a> {
    first: u16,
    last: u16,
    verdict: String,
    outcome: Outcome,
    /// How many of them were probed one by one, with a full trace.
    traced: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    rule: Option<JsonRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<KernelReason>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_chain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<JsonArrival<'a>>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The deciding rule; a policy has no handle. Where it was written is known (`file`, `line`, `source`) or
/// `uncertain`, with the reason.
#[derive(Serialize)]
pub(super) struct JsonRule<'a> {
    family: &'a str,
    table: &'a str,
    chain: &'a str,
    handle: Option<u64>,
    text: Option<&'a str>,
    #[serde(flatten)]
    line: Option<JsonLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncertain: Option<&'a str>,
    /// The layer that brought it, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    file: &'a Path,
    line: usize,
    column: usize,
    source: &'a str,
    /// For a policy that no line writes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    implied: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    included_from: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<JsonGenerated<'a>>,
}

/// What a program made of a line.
#[derive(Serialize)]
struct JsonGenerated<'a> {
    file: &'a str,
    line: usize,
    source: &'a str,
}

#[derive(Serialize)]
pub(super) struct JsonArrival<'a> {
    interface: Option<&'a str>,
    source: std::net::IpAddr,
    destination: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    /// Where it is another one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    sport_sent: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
    ttl: u8,
    dscp: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    mss: Option<u16>,
}

/// What several candidates did with the same packets; of those that they treat alike, only how many.
#[derive(Serialize)]
struct JsonComparison<'a> {
    scenario: &'a str,
    candidates: &'a [String],
    same: usize,
    different: Vec<JsonDifference<'a>>,
    untold: &'a [String],
}

#[derive(Serialize)]
struct JsonDifference<'a> {
    case: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    sides: Vec<JsonSide<'a>>,
}

#[derive(Serialize)]
struct JsonSide<'a> {
    candidate: &'a str,
    told: &'a str,
    #[serde(flatten)]
    step: JsonStep<'a>,
}

#[derive(Serialize)]
struct JsonTotals {
    scenarios: usize,
    cases: usize,
    pass: usize,
    fail: usize,
    inconclusive: usize,
    skipped: usize,
    bad_input: usize,
    broken: usize,
    deny_skips: bool,
    exit_code: u8,
    duration_us: u64,
}

impl Json {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write>, versions: Versions) -> Self {
        Self {
            out,
            versions,
            kernel: None,
            first: true,
            part: None,
            comparisons: Vec::new(),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        write!(
            self.out,
            "{{\"version\":{VERSION},\"tool\":{{\"name\":\"firedrill\",\"version\":{}}},\"scenarios\":[",
            serde_json::to_string(env!("CARGO_PKG_VERSION"))?
        )
    }

    fn scenario(&mut self, record: &ScenarioRecord) -> io::Result<()> {
        if self.kernel.is_none() {
            self.kernel.clone_from(&record.kernel);
        }
        let separator = if self.first { "\n" } else { ",\n" };
        self.first = false;
        self.out.write_all(separator.as_bytes())?;
        let scenario = &record.scenario;
        let matrices = matrices(record);
        let json = JsonScenario {
            name: &scenario.id,
            title: &scenario.name,
            file: &scenario.file,
            tags: &scenario.tags,
            candidate: JsonCandidate {
                name: record.candidate.name.as_deref(),
                path: &record.candidate.path,
                sha256: &record.candidate.hash,
            },
            position: self.part.is_some().then_some(record.position),
            error: record.error.as_ref().map(ScenarioError::message),
            error_kind: record.error.as_ref().map(ScenarioError::word),
            output: &record.output,
            duration_us: record.duration_us,
            cases: record
                .cases
                .iter()
                .map(|one| case(one, &matrices))
                .collect(),
            matrices: matrices
                .iter()
                .map(|matrix| JsonMatrix {
                    name: matrix.name.as_deref(),
                    file: &matrix.at.file,
                    line: matrix.at.line,
                    column: matrix.at.column,
                    from: &matrix.from,
                    to: &matrix.to,
                    services: &matrix.services,
                })
                .collect(),
        };
        Ok(serde_json::to_writer(&mut self.out, &json)?)
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let totals = JsonTotals {
            scenarios: summary.scenarios,
            cases: summary.cases(),
            pass: summary.pass,
            fail: summary.fail,
            inconclusive: summary.inconclusive,
            skipped: summary.skipped,
            bad_input: summary.bad_input,
            broken: summary.broken,
            deny_skips: summary.deny_skips,
            exit_code: summary.exit().code(),
            duration_us: summary.duration_us,
        };
        let comparisons: Vec<_> = self.comparisons.iter().map(comparison).collect();
        let comparisons = serde_json::to_string(&comparisons)?;
        let shard = match &self.part {
            Some(part) => format!(",\"shard\":{}", serde_json::to_string(part)?),
            None => String::new(),
        };
        writeln!(
            self.out,
            "\n],\"comparisons\":{comparisons},\"totals\":{},\"kernel\":{},\"nft\":{}{shard}}}",
            serde_json::to_string(&totals)?,
            serde_json::to_string(&self.kernel)?,
            serde_json::to_string(&self.versions.nft)?
        )?;
        self.out.flush()
    }
}

impl Reporter for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { part, .. } => {
                self.part.clone_from(part);
                self.start()
            }
            Event::Finished(record) => self.scenario(record),
            Event::Compared(comparison) => {
                self.comparisons.push(comparison.clone());
                Ok(())
            }
            Event::Ended(summary) => self.end(summary),
        }
    }
}

fn rule<'a>(
    chain: &'a Chain,
    handle: Option<u64>,
    text: Option<&'a str>,
    origin: Option<&'a Origin>,
) -> JsonRule<'a> {
    let (line, uncertain) = match origin {
        Some(Origin::Known(line)) => (Some(line), None),
        Some(Origin::Unknown(why)) => (None, Some(&**why)),
        None => (None, None),
    };
    JsonRule {
        family: &chain.family,
        table: &chain.table,
        chain: &chain.name,
        handle,
        text,
        line: line.map(|line| JsonLine {
            file: &line.file,
            line: line.line,
            column: line.column,
            source: &line.text,
            implied: line.implied,
            included_from: line
                .included_from
                .iter()
                .map(|(file, line)| format!("{}:{line}", file.display()))
                .collect(),
            through: line.through.as_ref().map(|through| JsonGenerated {
                file: &through.file,
                line: through.line,
                source: &through.text,
            }),
        }),
        uncertain,
        layer: None,
    }
}

fn comparison(comparison: &Comparison) -> JsonComparison<'_> {
    let difference = |different| difference(&comparison.candidates, different);
    JsonComparison {
        scenario: &comparison.scenario,
        candidates: &comparison.candidates,
        same: comparison.same,
        different: comparison.different.iter().map(difference).collect(),
        untold: &comparison.untold,
    }
}

fn difference<'a>(candidates: &'a [String], different: &'a Difference) -> JsonDifference<'a> {
    let sides = candidates.iter().zip(&different.sides);
    JsonDifference {
        case: &different.case,
        step: different.step.as_deref(),
        sides: sides
            .map(|(candidate, side)| JsonSide {
                candidate,
                told: &side.told,
                // Its way stands with its scenario.
                step: JsonStep {
                    walk: None,
                    ..step(&side.step)
                },
            })
            .collect(),
    }
}

/// The matrices that the cases of a scenario are of.
fn matrices(record: &ScenarioRecord) -> Vec<&Arc<Matrix>> {
    let mut matrices: Vec<&Arc<Matrix>> = Vec::new();
    for cell in record
        .cases
        .iter()
        .filter_map(|case| case.case.cell.as_ref())
    {
        // Those of one stand together.
        if !matrices
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, &cell.matrix))
        {
            matrices.push(&cell.matrix);
        }
    }
    matrices
}

fn cell<'a>(cell: &'a Cell, matrices: &[&Arc<Matrix>]) -> Option<JsonCell<'a>> {
    let mine = |matrix: &&Arc<Matrix>| Arc::ptr_eq(matrix, &cell.matrix);
    Some(JsonCell {
        matrix: matrices.iter().position(mine)?,
        from: cell.matrix.from.get(cell.from)?,
        to: cell.matrix.to.get(cell.to)?,
        service: cell.matrix.services.get(cell.service)?,
    })
}

fn case<'a>(record: &'a CaseRecord, matrices: &[&Arc<Matrix>]) -> JsonCase<'a> {
    let steps = match record.steps.as_slice() {
        [_] => &[],
        several => several,
    };
    JsonCase {
        name: &record.case.name,
        family: record.case.family.to_string(),
        cell: record
            .case
            .cell
            .as_ref()
            .and_then(|place| cell(place, matrices)),
        at: (!steps.is_empty()).then_some(JsonPlace {
            file: &record.case.at.file,
            line: record.case.at.line,
            column: record.case.at.column,
        }),
        told: step(record.telling()),
        duration_us: record.duration_us(),
        steps: steps
            .iter()
            .map(|record| JsonNamedStep {
                step: &record.text,
                told: step(record),
                duration_us: record.duration_us,
            })
            .collect(),
    }
}

/// Who decided: a rule or a policy, or the kernel.
pub(super) fn decided(decider: Option<&Decider>) -> (Option<JsonRule<'_>>, Option<KernelReason>) {
    match decider {
        Some(Decider::Rule(rule)) => (Some(of_rule(rule)), None),
        Some(Decider::Policy(policy)) => (Some(of_policy(policy)), None),
        Some(Decider::Kernel(reason)) => (None, Some(*reason)),
        Some(Decider::NoChain) | None => (None, None),
    }
}

pub(super) fn of_rule(found: &Rule) -> JsonRule<'_> {
    let (text, origin) = (found.text.as_deref(), found.origin.as_ref());
    JsonRule {
        layer: found.layer.as_deref(),
        ..rule(&found.chain, Some(found.handle), text, origin)
    }
}

pub(super) fn of_policy(policy: &Policy) -> JsonRule<'_> {
    JsonRule {
        layer: policy.layer.as_deref(),
        ..rule(&policy.chain, None, Some("policy"), policy.origin.as_ref())
    }
}

pub(super) fn arrived(verdict: &Verdict) -> Option<JsonArrival<'_>> {
    match verdict {
        Verdict::Accept(Arrival {
            interface,
            source,
            destination,
            sport,
            sport_sent,
            dport,
            ttl,
            dscp,
            mss,
        }) => Some(JsonArrival {
            interface: interface.as_deref(),
            source: *source,
            destination: *destination,
            sport: *sport,
            sport_sent: sport_sent.filter(|_| sport != sport_sent),
            dport: *dport,
            ttl: *ttl,
            dscp: *dscp,
            mss: *mss,
        }),
        Verdict::Drop | Verdict::Reject(_) | Verdict::Inconclusive(_) => None,
    }
}

pub(super) fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Inconclusive(_) => verdict.word().to_owned(),
        Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => verdict.to_string(),
    }
}

fn group(group: &SweepGroup) -> JsonGroup<'_> {
    let (rule, kernel) = decided(group.decider.as_ref());
    JsonGroup {
        first: group.first,
        last: group.last,
        verdict: verdict_text(&group.verdict),
        outcome: group.outcome,
        traced: group.traced,
        reason: match &group.verdict {
            Verdict::Inconclusive(why) => Some(why.to_string()),
            Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => None,
        },
        rule,
        kernel,
        no_chain: group.decider == Some(Decider::NoChain),
        arrival: arrived(&group.verdict),
    }
}

fn step(record: &StepRecord) -> JsonStep<'_> {
    let judgement = &record.judgement;
    let no_chain = judgement.decider == Some(Decider::NoChain);
    let (rule, kernel) = decided(judgement.decider.as_ref());
    JsonStep {
        file: &record.at.file,
        line: record.at.line,
        column: record.at.column,
        expected: &record.expected,
        verdict: verdict_text(&judgement.verdict),
        outcome: judgement.outcome,
        reason: judgement.reason.as_deref(),
        rule,
        kernel,
        no_chain,
        arrival: arrived(&judgement.verdict),
        packet: &record.packet,
        walk: record.walk.as_deref().map(JsonWalk::of),
        sweep: record.sweep.as_ref().map(|sweep| JsonSweep {
            over: sweep.over.word(),
            labs: sweep.labs,
            groups: sweep.groups.iter().map(group).collect(),
        }),
    }
}
