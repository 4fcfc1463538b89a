//! A JSON report, read back. What is written from it again is the same report.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{Versions, json::VERSION, walk};
use crate::{
    judge::{
        sweep::SweepGroup,
        verdict::{Arrival, Inconclusive, Judgement, Outcome, RejectAnswer, Verdict},
    },
    record::{
        CandidateRecord, CaseHead, CaseRecord, ScenarioHead, ScenarioRecord, StepRecord,
        SweepRecord,
        comparison::{Comparison, Difference, Side},
        failure::ScenarioError,
        shard::Part,
    },
    ruleset::{
        chain::Chain,
        origin::{Generated, Origin, SourceLine},
    },
    scenario::{Cell, Family, Location, Matrix, Over, RejectKind},
    trace::decider::{Decider, KernelReason, Policy, Rule},
};

/// All of a report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) part: Option<Part>,
    pub(super) scenarios: Vec<ScenarioRecord>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) deny_skips: bool,
    pub(super) duration_us: u64,
    pub(super) versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
    tool: Tool,
}

#[derive(Deserialize)]
struct Tool {
    version: String,
}

#[derive(Deserialize)]
struct Document {
    scenarios: Vec<Scenario>,
    comparisons: Vec<Compared>,
    totals: Totals,
    kernel: Option<String>,
    nft: Option<String>,
    shard: Option<Part>,
}

#[derive(Deserialize)]
struct Totals {
    deny_skips: bool,
    duration_us: u64,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
    title: String,
    file: PathBuf,
    tags: Vec<String>,
    candidate: Candidate,
    position: Option<usize>,
    error: Option<String>,
    error_kind: Option<String>,
    #[serde(default)]
    output: String,
    duration_us: u64,
    #[serde(default)]
    matrices: Vec<MatrixOf>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Candidate {
    name: Option<String>,
    path: PathBuf,
    sha256: String,
}

#[derive(Deserialize)]
struct MatrixOf {
    name: Option<String>,
    file: PathBuf,
    line: usize,
    column: usize,
    from: Vec<String>,
    to: Vec<String>,
    services: Vec<String>,
}

#[derive(Deserialize)]
struct Place {
    matrix: usize,
    from: String,
    to: String,
    service: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    family: String,
    cell: Option<Place>,
    at: Option<Position>,
    #[serde(flatten)]
    told: Step,
    duration_us: u64,
    #[serde(default)]
    steps: Vec<NamedStep>,
}

#[derive(Deserialize)]
struct Position {
    file: PathBuf,
    line: usize,
    column: usize,
}

#[derive(Deserialize)]
struct NamedStep {
    step: String,
    #[serde(flatten)]
    told: Step,
    duration_us: u64,
}

#[derive(Deserialize)]
struct Step {
    file: PathBuf,
    line: usize,
    column: usize,
    expected: String,
    verdict: String,
    outcome: Outcome,
    reason: Option<String>,
    rule: Option<RuleOf>,
    kernel: Option<KernelReason>,
    #[serde(default)]
    no_chain: bool,
    arrival: Option<Arrived>,
    packet: String,
    walk: Option<walk::WalkOf>,
    sweep: Option<SweepOf>,
}

#[derive(Deserialize)]
struct SweepOf {
    over: String,
    #[serde(default)]
    labs: usize,
    groups: Vec<GroupOf>,
}

#[derive(Deserialize)]
struct GroupOf {
    first: u16,
    last: u16,
    verdict: String,
    outcome: Outcome,
    traced: u32,
    reason: Option<String>,
    rule: Option<RuleOf>,
    kernel: Option<KernelReason>,
    #[serde(default)]
    no_chain: bool,
    arrival: Option<Arrived>,
}

#[derive(Deserialize)]
pub(super) struct RuleOf {
    family: String,
    table: String,
    chain: String,
    handle: Option<u64>,
    text: Option<String>,
    file: Option<PathBuf>,
    line: Option<usize>,
    column: Option<usize>,
    source: Option<String>,
    #[serde(default)]
    implied: bool,
    #[serde(default)]
    included_from: Vec<String>,
    through: Option<ThroughOf>,
    uncertain: Option<String>,
    layer: Option<String>,
}

#[derive(Deserialize)]
struct ThroughOf {
    file: String,
    line: usize,
    source: String,
}

#[derive(Deserialize)]
struct Arrived {
    interface: Option<String>,
    source: IpAddr,
    destination: IpAddr,
    sport: Option<u16>,
    sport_sent: Option<u16>,
    dport: Option<u16>,
    ttl: u8,
    dscp: u8,
    mss: Option<u16>,
}

#[derive(Deserialize)]
struct Compared {
    scenario: String,
    candidates: Vec<String>,
    same: usize,
    different: Vec<Differs>,
    untold: Vec<String>,
}

#[derive(Deserialize)]
struct Differs {
    case: String,
    step: Option<String>,
    sides: Vec<SideOf>,
}

#[derive(Deserialize)]
struct SideOf {
    told: String,
    #[serde(flatten)]
    step: Step,
}

/// Reads a report; what is wrong with it in words that follow its name.
pub(super) fn report(text: &str) -> Result<Report, String> {
    let broken = |error: serde_json::Error| {
        format!("is no complete JSON report of firedrill ({error}); was its run cut short?")
    };
    let head: Head = serde_json::from_str(text).map_err(broken)?;
    let mine = env!("CARGO_PKG_VERSION");
    if head.version != VERSION || head.tool.version != mine {
        return Err(format!(
            "is a report of firedrill {} (format {}), and this is {mine} (format {VERSION}); merge with the \
             program that wrote it",
            head.tool.version, head.version
        ));
    }
    let document: Document = serde_json::from_str(text).map_err(broken)?;
    let kernel = &document.kernel;
    let scenarios = document.scenarios.into_iter();
    let scenarios = scenarios
        .map(|one| scenario(one, kernel.as_ref()).ok_or("contradicts itself"))
        .collect::<Result<_, _>>()?;
    let comparisons = document.comparisons.into_iter();
    let comparisons = comparisons
        .map(|one| comparison(one).ok_or("contradicts itself"))
        .collect::<Result<_, _>>()?;
    Ok(Report {
        part: document.shard,
        scenarios,
        comparisons,
        deny_skips: document.totals.deny_skips,
        duration_us: document.totals.duration_us,
        versions: Versions { nft: document.nft },
    })
}

/// `None` where a value is none that a report has.
fn scenario(scenario: Scenario, kernel: Option<&String>) -> Option<ScenarioRecord> {
    let error = match (scenario.error, scenario.error_kind.as_deref()) {
        (None, None) => None,
        (Some(message), Some("input")) => Some(ScenarioError::Input(message)),
        (Some(message), Some("lab")) => Some(ScenarioError::Lab(message)),
        (Some(message), Some("skipped")) => Some(ScenarioError::Skipped(message)),
        (Some(_), _) | (None, Some(_)) => return None,
    };
    let matrices: Vec<Arc<Matrix>> = scenario
        .matrices
        .into_iter()
        .map(|matrix| {
            Arc::new(Matrix {
                name: matrix.name,
                at: location(matrix.file, matrix.line, matrix.column),
                from: matrix.from,
                to: matrix.to,
                services: matrix.services,
            })
        })
        .collect();
    let cases = scenario.cases.into_iter();
    let cases = cases
        .map(|one| case(one, &matrices))
        .collect::<Option<_>>()?;
    let candidate = scenario.candidate;
    let stem = match &candidate.name {
        Some(name) => scenario
            .name
            .strip_suffix(name.as_str())?
            .strip_suffix('@')?,
        None => &scenario.name,
    };
    Some(ScenarioRecord {
        scenario: ScenarioHead {
            stem: stem.to_owned(),
            file: scenario.file,
            name: scenario.title,
            tags: scenario.tags,
            id: scenario.name,
        },
        position: scenario.position.unwrap_or_default(),
        candidate: CandidateRecord {
            name: candidate.name,
            path: candidate.path,
            hash: candidate.sha256,
        },
        cases,
        error,
        coverage: Vec::new(),
        kernel: kernel.cloned(),
        output: scenario.output,
        duration_us: scenario.duration_us,
    })
}

fn case(case: Case, matrices: &[Arc<Matrix>]) -> Option<CaseRecord> {
    let at = match case.at {
        Some(at) => location(at.file, at.line, at.column),
        None => location(case.told.file.clone(), case.told.line, case.told.column),
    };
    let cell = match case.cell {
        Some(place) => Some(cell(&place, matrices)?),
        None => None,
    };
    let families = [Family::Ipv4, Family::Ipv6];
    let family = families
        .into_iter()
        .find(|family| family.to_string() == case.family)?;
    let steps = if case.steps.is_empty() {
        vec![step(String::new(), case.told, case.duration_us)?]
    } else {
        let steps = case.steps.into_iter();
        let steps = steps.map(|one| step(one.step, one.told, one.duration_us));
        steps.collect::<Option<_>>()?
    };
    Some(CaseRecord {
        case: CaseHead {
            name: case.name,
            at,
            family,
            cell,
        },
        steps,
    })
}

fn cell(place: &Place, matrices: &[Arc<Matrix>]) -> Option<Cell> {
    let matrix = matrices.get(place.matrix)?;
    let position = |names: &[String], name: &str| names.iter().position(|known| known == name);
    Some(Cell {
        from: position(&matrix.from, &place.from)?,
        to: position(&matrix.to, &place.to)?,
        service: position(&matrix.services, &place.service)?,
        matrix: Arc::clone(matrix),
    })
}

fn step(text: String, step: Step, duration_us: u64) -> Option<StepRecord> {
    let verdict = verdict(&step.verdict, step.arrival, step.reason.as_deref())?;
    let decider = who(step.rule, step.kernel, step.no_chain)?;
    let walk = match step.walk {
        Some(walk) => Some(Box::new(walk.read()?)),
        None => None,
    };
    let sweep = match step.sweep {
        Some(swept) => Some(Box::new(sweep(swept)?)),
        None => None,
    };
    Some(StepRecord {
        text,
        at: location(step.file, step.line, step.column),
        expected: step.expected,
        packet: step.packet,
        // Only a comparison asks, and those were made.
        repeated: false,
        judgement: Judgement {
            verdict,
            decider,
            outcome: step.outcome,
            reason: step.reason,
        },
        walk,
        duration_us,
        sweep,
    })
}

/// Who decided, if anybody; `None` if nobody can have written that.
fn who(
    rule: Option<RuleOf>,
    kernel: Option<KernelReason>,
    no_chain: bool,
) -> Option<Option<Decider>> {
    match (rule, kernel, no_chain) {
        (Some(rule), None, false) => Some(Some(decider(rule)?)),
        (None, Some(reason), false) => Some(Some(Decider::Kernel(reason))),
        (None, None, true) => Some(Some(Decider::NoChain)),
        (None, None, false) => Some(None),
        _ => None,
    }
}

fn sweep(sweep: SweepOf) -> Option<SweepRecord> {
    let group = |group: GroupOf| {
        Some(SweepGroup {
            first: group.first,
            last: Some(group.last).filter(|last| *last >= group.first)?,
            verdict: verdict(&group.verdict, group.arrival, group.reason.as_deref())?,
            decider: who(group.rule, group.kernel, group.no_chain)?,
            traced: group.traced,
            outcome: group.outcome,
        })
    };
    Some(SweepRecord {
        over: Over::ALL
            .into_iter()
            .find(|over| over.word() == sweep.over)?,
        groups: sweep.groups.into_iter().map(group).collect::<Option<_>>()?,
        labs: sweep.labs,
    })
}

fn verdict(text: &str, arrival: Option<Arrived>, reason: Option<&str>) -> Option<Verdict> {
    match (text, arrival) {
        ("accept", Some(arrived)) => Some(Verdict::Accept(Arrival {
            interface: arrived.interface,
            source: arrived.source,
            destination: arrived.destination,
            sport: arrived.sport,
            sport_sent: arrived.sport_sent.or(arrived.sport),
            dport: arrived.dport,
            ttl: arrived.ttl,
            dscp: arrived.dscp,
            mss: arrived.mss,
        })),
        ("drop", None) => Some(Verdict::Drop),
        ("inconclusive", None) => {
            let reason = reason.unwrap_or_default().to_owned();
            Some(Verdict::Inconclusive(Inconclusive::Cut(reason)))
        }
        (reject, None) => Some(Verdict::Reject(answer(reject.strip_prefix("reject ")?)?)),
        (_, Some(_)) => None,
    }
}

/// `tcp-reset`, or `(ICMP type 3 code 5)`.
fn answer(text: &str) -> Option<RejectAnswer> {
    if let Some(kind) = RejectKind::ALL.into_iter().find(|kind| kind.word() == text) {
        return Some(RejectAnswer::Kind(kind));
    }
    let numbers = text.strip_prefix("(ICMP type ")?.strip_suffix(')')?;
    let (kind, code) = numbers.split_once(" code ")?;
    Some(RejectAnswer::OtherIcmp {
        kind: kind.parse().ok()?,
        code: code.parse().ok()?,
    })
}

pub(super) fn decider(rule: RuleOf) -> Option<Decider> {
    let chain = Chain {
        family: rule.family,
        table: rule.table,
        name: rule.chain,
    };
    let origin = match (rule.file, rule.uncertain) {
        (Some(file), None) => {
            let included_from = rule.included_from.iter().map(|place| {
                let (file, line) = place.rsplit_once(':')?;
                Some((Path::new(file).to_owned(), line.parse().ok()?))
            });
            Some(Origin::Known(SourceLine {
                file,
                line: rule.line?,
                column: rule.column?,
                text: rule.source?,
                implied: rule.implied,
                included_from: included_from.collect::<Option<_>>()?,
                through: rule.through.map(|through| Generated {
                    file: through.file,
                    line: through.line,
                    text: through.source,
                }),
            }))
        }
        (None, Some(why)) => Some(Origin::Unknown(why)),
        (None, None) => None,
        (Some(_), Some(_)) => return None,
    };
    let layer = rule.layer;
    Some(match rule.handle {
        Some(handle) => Decider::Rule(Rule {
            chain,
            handle,
            text: rule.text,
            origin,
            layer,
        }),
        None => Decider::Policy(Policy {
            chain,
            origin,
            layer,
        }),
    })
}

fn comparison(compared: Compared) -> Option<Comparison> {
    let difference = |different: Differs| {
        let side = |side: SideOf| {
            Some(Side {
                told: side.told,
                step: step(String::new(), side.step, 0)?,
            })
        };
        Some(Difference {
            case: different.case,
            step: different.step,
            sides: different
                .sides
                .into_iter()
                .map(side)
                .collect::<Option<_>>()?,
        })
    };
    let different = compared.different.into_iter().map(difference);
    Some(Comparison {
        scenario: compared.scenario,
        candidates: compared.candidates,
        same: compared.same,
        different: different.collect::<Option<_>>()?,
        untold: compared.untold,
    })
}

fn location(file: PathBuf, line: usize, column: usize) -> Location {
    Location { file, line, column }
}
