//! Records as JSON: one set of types, made from records and turned back into them. What the JSON report has, a
//! merged report can be made from.
//!
//! The types borrow what is written and own what is read. A value that no record can have is refused, never read
//! as another one.

use std::{borrow::Cow, net::IpAddr, path::Path, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    CandidateRecord, CaseHead, CaseRecord, ScenarioHead, ScenarioRecord, StepRecord, SweepRecord,
    event::Summary, failure::ScenarioError,
};
use crate::{
    judge::{
        sweep::SweepGroup,
        verdict::{Arrival, Inconclusive, Judgement, Outcome, RejectAnswer, Verdict},
    },
    ruleset::{
        chain::{Base, Chain},
        origin::{Origin, SourceLine},
    },
    scenario::{Cell, Family, Location, Matrix, Over, RejectKind},
    trace::{
        decider::{Decider, KernelReason, Policy, Rule},
        walk::{Beside, Did, Headers, Lookup, Met, Passage, Stop, Walk},
    },
};

/// The version of the format. A key keeps its meaning within a version, and new keys may appear.
pub const VERSION: u32 = 2;

/// A text that is borrowed where it is written and owned where it is read.
type Text<'a> = Cow<'a, str>;

/// A scenario with its cases.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScenarioJson<'a> {
    name: Text<'a>,
    title: Text<'a>,
    file: Cow<'a, Path>,
    tags: Cow<'a, [String]>,
    candidate: Cow<'a, CandidateRecord>,
    /// Its place in the whole run; only in the report of a shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<Text<'a>>,
    /// What the candidate's programs printed.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    output: Text<'a>,
    duration_us: u64,
    /// The matrices that the cells of cases refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    matrices: Vec<Cow<'a, Matrix>>,
    cases: Vec<CaseJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CellJson<'a> {
    /// Index into the matrices of the scenario.
    matrix: usize,
    from: Text<'a>,
    to: Text<'a>,
    service: Text<'a>,
}

/// A case has the keys of its decisive step: the first that did not pass, or the last.
#[derive(Debug, Serialize, Deserialize)]
struct CaseJson<'a> {
    name: Text<'a>,
    family: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<CellJson<'a>>,
    /// Where a conversation begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Cow<'a, Location>>,
    #[serde(flatten)]
    decisive: StepJson<'a>,
    duration_us: u64,
    /// All steps of a conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<NamedStepJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NamedStepJson<'a> {
    step: Text<'a>,
    #[serde(flatten)]
    record: StepJson<'a>,
    duration_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct StepJson<'a> {
    #[serde(flatten)]
    at: Cow<'a, Location>,
    expected: Text<'a>,
    verdict: Text<'a>,
    outcome: Outcome,
    reason: Option<Text<'a>>,
    #[serde(flatten)]
    decider: DeciderJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<Cow<'a, Arrival>>,
    packet: Text<'a>,
    /// The way of the packet, where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<WayJson<'a>>,
    /// The results of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<SweepJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SweepJson<'a> {
    swept: Text<'a>,
    /// How many further labs it took, because rules are stateful.
    #[serde(default, skip_serializing_if = "is_zero")]
    fresh_labs: usize,
    groups: Vec<GroupJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GroupJson<'a> {
    first: u16,
    last: u16,
    verdict: Text<'a>,
    outcome: Outcome,
    /// How many of its numbers were probed one by one, with a trace.
    traced: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text<'a>>,
    #[serde(flatten)]
    decider: DeciderJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<Cow<'a, Arrival>>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A rule or a policy, the kernel, or no chain at all; none of them where the decider is not known.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct DeciderJson<'a> {
    rule: Option<RuleJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<KernelReason>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_chain: bool,
}

/// A rule, or a policy, which has no handle. Its line is known, or `origin_unknown` says why not, or nothing was looked
/// up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RuleJson<'a> {
    family: Text<'a>,
    table: Text<'a>,
    chain: Text<'a>,
    handle: Option<u64>,
    text: Option<Text<'a>>,
    #[serde(flatten)]
    line: Option<Cow<'a, SourceLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_unknown: Option<Text<'a>>,
    /// The layer that brought it, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<Text<'a>>,
}

/// The way of a packet, and of the error that was sent because of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WayJson<'a> {
    chains: Vec<PassageJson<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    error: Vec<PassageJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PassageJson<'a> {
    family: Text<'a>,
    table: Text<'a>,
    chain: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<Text<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<HeadersJson>,
    stops: Vec<StopJson<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeadersJson {
    source: IpAddr,
    destination: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
    ttl: u8,
    dscp: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct StopJson<'a> {
    depth: usize,
    /// A rule or a policy; none at the end of a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_of: Option<Text<'a>>,
    rule_verdict: Text<'a>,
    /// The chain that a jump or goto leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "<[Lookup]>::is_empty")]
    lookups: Cow<'a, [Lookup]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    logged: Vec<Text<'a>>,
    /// The names of counters; empty for one without a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counters: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
}

/// The totals of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TotalsJson {
    scenarios: usize,
    cases: usize,
    pass: usize,
    fail: usize,
    inconclusive: usize,
    skipped: usize,
    bad_input: usize,
    broken: usize,
    pub(crate) deny_skips: bool,
    exit_code: u8,
    pub(crate) duration_us: u64,
}

impl From<&Summary> for TotalsJson {
    fn from(summary: &Summary) -> Self {
        Self {
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
        }
    }
}

fn borrowed(text: &Option<String>) -> Option<Text<'_>> {
    text.as_deref().map(Cow::Borrowed)
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(Cow::into_owned)
}

impl<'a> ScenarioJson<'a> {
    /// A record as JSON; `position` is only told by the report of a shard.
    pub(crate) fn of(record: &'a ScenarioRecord, position: Option<usize>) -> Self {
        let scenario = &record.scenario;
        let matrices = matrices(record);
        Self {
            name: Cow::Borrowed(&scenario.id),
            title: Cow::Borrowed(&scenario.name),
            file: Cow::Borrowed(&scenario.file),
            tags: Cow::Borrowed(&scenario.tags),
            candidate: Cow::Borrowed(&record.candidate),
            position,
            error: record.error.as_ref().map(|error| error.message().into()),
            error_kind: record.error.as_ref().map(|error| error.word().into()),
            output: Cow::Borrowed(&record.output),
            duration_us: record.duration_us,
            cases: record
                .cases
                .iter()
                .map(|case| CaseJson::of(case, &matrices))
                .collect(),
            matrices: matrices
                .into_iter()
                .map(|matrix| Cow::Borrowed(&**matrix))
                .collect(),
        }
    }

    /// The record; `None` where a value is none that a record has.
    pub(crate) fn read(self, kernel: Option<&String>) -> Option<ScenarioRecord> {
        let error = match (self.error, self.error_kind.as_deref()) {
            (None, None) => None,
            (Some(message), Some(kind)) => {
                Some(ScenarioError::of_kind(kind, message.into_owned())?)
            }
            (Some(_), None) | (None, Some(_)) => return None,
        };
        let matrices: Vec<Arc<Matrix>> = self
            .matrices
            .into_iter()
            .map(|matrix| Arc::new(matrix.into_owned()))
            .collect();
        let cases = self.cases.into_iter().map(|case| case.read(&matrices));
        let candidate = self.candidate.into_owned();
        let stem = match &candidate.name {
            Some(name) => self.name.strip_suffix(name.as_str())?.strip_suffix('@')?,
            None => &self.name,
        };
        Some(ScenarioRecord {
            scenario: ScenarioHead {
                stem: stem.to_owned(),
                id: self.name.into_owned(),
                file: self.file.into_owned(),
                name: self.title.into_owned(),
                tags: self.tags.into_owned(),
            },
            position: self.position.unwrap_or_default(),
            candidate,
            cases: cases.collect::<Option<_>>()?,
            error,
            coverage: Vec::new(),
            kernel: kernel.cloned(),
            output: self.output.into_owned(),
            duration_us: self.duration_us,
        })
    }
}

/// The matrices that the cases of a scenario are of. The cases of one follow each other.
fn matrices(record: &ScenarioRecord) -> Vec<&Arc<Matrix>> {
    let cells = record
        .cases
        .iter()
        .filter_map(|case| case.case.cell.as_ref());
    let mut matrices: Vec<&Arc<Matrix>> = cells.map(|cell| &cell.matrix).collect();
    matrices.dedup_by(|matrix, before| Arc::ptr_eq(matrix, before));
    matrices
}

impl<'a> CellJson<'a> {
    fn of(cell: &'a Cell, matrices: &[&Arc<Matrix>]) -> Option<Self> {
        let is_of = |matrix: &&Arc<Matrix>| Arc::ptr_eq(matrix, &cell.matrix);
        let name = |names: &'a [String], index: usize| names.get(index).map(Text::from);
        Some(Self {
            matrix: matrices.iter().position(is_of)?,
            from: name(&cell.matrix.from, cell.from)?,
            to: name(&cell.matrix.to, cell.to)?,
            service: name(&cell.matrix.services, cell.service)?,
        })
    }

    fn read(&self, matrices: &[Arc<Matrix>]) -> Option<Cell> {
        let matrix = matrices.get(self.matrix)?;
        let position = |names: &[String], name: &str| names.iter().position(|known| known == name);
        Some(Cell {
            from: position(&matrix.from, &self.from)?,
            to: position(&matrix.to, &self.to)?,
            service: position(&matrix.services, &self.service)?,
            matrix: Arc::clone(matrix),
        })
    }
}

impl<'a> CaseJson<'a> {
    fn of(record: &'a CaseRecord, matrices: &[&Arc<Matrix>]) -> Self {
        let steps = match record.steps.as_slice() {
            [_] => &[],
            several => several,
        };
        let cell = record.case.cell.as_ref();
        Self {
            name: Cow::Borrowed(&record.case.name),
            family: record.case.family.to_string().into(),
            cell: cell.and_then(|cell| CellJson::of(cell, matrices)),
            at: (!steps.is_empty()).then_some(Cow::Borrowed(&record.case.at)),
            decisive: StepJson::of(record.telling()),
            duration_us: record.duration_us(),
            steps: steps
                .iter()
                .map(|step| NamedStepJson {
                    step: Cow::Borrowed(&step.text),
                    record: StepJson::of(step),
                    duration_us: step.duration_us,
                })
                .collect(),
        }
    }

    fn read(self, matrices: &[Arc<Matrix>]) -> Option<CaseRecord> {
        let cell = match self.cell {
            Some(cell) => Some(cell.read(matrices)?),
            None => None,
        };
        let mut families = [Family::Ipv4, Family::Ipv6].into_iter();
        let family = families.find(|family| family.to_string() == self.family)?;
        let steps = if self.steps.is_empty() {
            vec![self.decisive.read(String::new(), self.duration_us)?]
        } else {
            let steps = self.steps.into_iter();
            let steps = steps.map(|named| {
                named
                    .record
                    .read(named.step.into_owned(), named.duration_us)
            });
            steps.collect::<Option<_>>()?
        };
        let at = match self.at {
            Some(at) => at.into_owned(),
            None => steps.first()?.at.clone(),
        };
        Some(CaseRecord {
            case: CaseHead {
                name: self.name.into_owned(),
                at,
                family,
                cell,
            },
            steps,
        })
    }
}

impl<'a> StepJson<'a> {
    fn of(record: &'a StepRecord) -> Self {
        let judgement = &record.judgement;
        Self {
            at: Cow::Borrowed(&record.at),
            expected: Cow::Borrowed(&record.expected),
            verdict: verdict_text(&judgement.verdict).into(),
            outcome: judgement.outcome,
            reason: borrowed(&judgement.reason),
            decider: DeciderJson::of(judgement.decider.as_ref()),
            arrival: arrival(&judgement.verdict),
            packet: Cow::Borrowed(&record.packet),
            way: record.walk.as_deref().map(WayJson::of),
            sweep: record.sweep.as_deref().map(SweepJson::of),
        }
    }

    fn read(self, text: String, duration_us: u64) -> Option<StepRecord> {
        let walk = match self.way {
            Some(way) => Some(Box::new(way.read()?)),
            None => None,
        };
        let sweep = match self.sweep {
            Some(sweep) => Some(Box::new(sweep.read()?)),
            None => None,
        };
        Some(StepRecord {
            text,
            at: self.at.into_owned(),
            expected: self.expected.into_owned(),
            packet: self.packet.into_owned(),
            // Only a comparison asks for it, and comparisons are read as they were made.
            repeated: false,
            judgement: Judgement {
                verdict: verdict(&self.verdict, self.arrival, self.reason.as_deref())?,
                decider: self.decider.read()?,
                outcome: self.outcome,
                reason: owned(self.reason),
            },
            walk,
            duration_us,
            sweep,
        })
    }
}

impl Serialize for StepRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StepJson::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StepRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let step = StepJson::deserialize(deserializer)?;
        step.read(String::new(), 0)
            .ok_or_else(|| D::Error::custom("the keys of a step contradict each other"))
    }
}

impl<'a> SweepJson<'a> {
    fn of(record: &'a SweepRecord) -> Self {
        Self {
            swept: record.over.word().into(),
            fresh_labs: record.labs,
            groups: record.groups.iter().map(GroupJson::of).collect(),
        }
    }

    fn read(self) -> Option<SweepRecord> {
        let mut kinds = Over::ALL.into_iter();
        Some(SweepRecord {
            over: kinds.find(|over| over.word() == self.swept)?,
            groups: self
                .groups
                .into_iter()
                .map(GroupJson::read)
                .collect::<Option<_>>()?,
            labs: self.fresh_labs,
        })
    }
}

impl<'a> GroupJson<'a> {
    fn of(group: &'a SweepGroup) -> Self {
        Self {
            first: group.first,
            last: group.last,
            verdict: verdict_text(&group.verdict).into(),
            outcome: group.outcome,
            traced: group.traced,
            reason: match &group.verdict {
                Verdict::Inconclusive(why) => Some(why.to_string().into()),
                Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => None,
            },
            decider: DeciderJson::of(group.decider.as_ref()),
            arrival: arrival(&group.verdict),
        }
    }

    fn read(self) -> Option<SweepGroup> {
        Some(SweepGroup {
            first: self.first,
            last: Some(self.last).filter(|last| *last >= self.first)?,
            verdict: verdict(&self.verdict, self.arrival, self.reason.as_deref())?,
            decider: self.decider.read()?,
            traced: self.traced,
            outcome: self.outcome,
        })
    }
}

/// A verdict in reports: why nothing is proven is told beside it.
pub(crate) fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Inconclusive(_) => verdict.word().to_owned(),
        Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => verdict.to_string(),
    }
}

fn verdict(text: &str, arrival: Option<Cow<'_, Arrival>>, reason: Option<&str>) -> Option<Verdict> {
    match (text, arrival) {
        ("accept", Some(arrival)) => Some(Verdict::Accept(arrival.into_owned())),
        ("drop", None) => Some(Verdict::Drop),
        ("inconclusive", None) => {
            let reason = reason.unwrap_or_default().to_owned();
            Some(Verdict::Inconclusive(Inconclusive::Reported(reason)))
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

/// Where a packet came out, if it did.
pub(crate) fn arrival(verdict: &Verdict) -> Option<Cow<'_, Arrival>> {
    match verdict {
        Verdict::Accept(arrival) => Some(Cow::Borrowed(arrival)),
        Verdict::Drop | Verdict::Reject(_) | Verdict::Inconclusive(_) => None,
    }
}

impl<'a> DeciderJson<'a> {
    pub(crate) fn of(decider: Option<&'a Decider>) -> Self {
        let mut json = Self::default();
        match decider {
            Some(Decider::Rule(rule)) => json.rule = Some(RuleJson::of_rule(rule)),
            Some(Decider::Policy(policy)) => json.rule = Some(RuleJson::of_policy(policy)),
            Some(Decider::Kernel(reason)) => json.kernel = Some(*reason),
            Some(Decider::NoChain) => json.no_chain = true,
            None => {}
        }
        json
    }

    /// The decider, if there is one; `None` if it is two at once or has a value that none has.
    fn read(self) -> Option<Option<Decider>> {
        match (self.rule, self.kernel, self.no_chain) {
            (Some(rule), None, false) => Some(Some(rule.read()?)),
            (None, Some(reason), false) => Some(Some(Decider::Kernel(reason))),
            (None, None, true) => Some(Some(Decider::NoChain)),
            (None, None, false) => Some(None),
            (Some(_), Some(_), _) | (Some(_), _, true) | (_, Some(_), true) => None,
        }
    }
}

impl<'a> RuleJson<'a> {
    fn of_rule(rule: &'a Rule) -> Self {
        Self {
            handle: Some(rule.handle),
            text: borrowed(&rule.text),
            layer: borrowed(&rule.layer),
            ..Self::of(&rule.chain, rule.origin.as_ref())
        }
    }

    fn of_policy(policy: &'a Policy) -> Self {
        Self {
            text: Some("policy".into()),
            layer: borrowed(&policy.layer),
            ..Self::of(&policy.chain, policy.origin.as_ref())
        }
    }

    fn of(chain: &'a Chain, origin: Option<&'a Origin>) -> Self {
        let (line, origin_unknown) = match origin {
            Some(Origin::Known(line)) => (Some(Cow::Borrowed(line)), None),
            Some(Origin::Unknown(why)) => (None, Some(Cow::Borrowed(&**why))),
            None => (None, None),
        };
        Self {
            family: Cow::Borrowed(&chain.family),
            table: Cow::Borrowed(&chain.table),
            chain: Cow::Borrowed(&chain.name),
            handle: None,
            text: None,
            line,
            origin_unknown,
            layer: None,
        }
    }

    /// A rule or a policy.
    fn read(self) -> Option<Decider> {
        let origin = match (self.line, self.origin_unknown) {
            (Some(line), None) => Some(Origin::Known(line.into_owned())),
            (None, Some(why)) => Some(Origin::Unknown(why.into_owned())),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        };
        let chain = Chain {
            family: self.family.into_owned(),
            table: self.table.into_owned(),
            name: self.chain.into_owned(),
        };
        let layer = owned(self.layer);
        Some(match self.handle {
            Some(handle) => Decider::Rule(Rule {
                chain,
                handle,
                text: owned(self.text),
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
}

impl<'a> WayJson<'a> {
    pub(crate) fn of(walk: &'a Walk) -> Self {
        Self {
            chains: walk.passages.iter().map(PassageJson::of).collect(),
            error: walk.error.iter().map(PassageJson::of).collect(),
        }
    }

    fn read(self) -> Option<Walk> {
        let read = |passages: Vec<PassageJson<'_>>| -> Option<Vec<Passage>> {
            passages.into_iter().map(PassageJson::read).collect()
        };
        Some(Walk {
            passages: read(self.chains)?,
            error: read(self.error)?,
        })
    }
}

impl<'a> PassageJson<'a> {
    fn of(passage: &'a Passage) -> Self {
        let base = passage.base.as_ref();
        Self {
            family: Cow::Borrowed(&passage.chain.family),
            table: Cow::Borrowed(&passage.chain.table),
            chain: Cow::Borrowed(&passage.chain.name),
            hook: base.map(|base| Cow::Borrowed(&*base.hook)),
            kind: base.map(|base| Cow::Borrowed(&*base.kind)),
            priority: base.and_then(|base| base.priority),
            layer: borrowed(&passage.layer),
            packet: passage.headers.map(|headers| {
                let (sport, dport) = headers.ports.unzip();
                HeadersJson {
                    source: headers.source,
                    destination: headers.destination,
                    sport,
                    dport,
                    ttl: headers.ttl,
                    dscp: headers.dscp,
                }
            }),
            stops: passage.stops.iter().map(StopJson::of).collect(),
        }
    }

    fn read(self) -> Option<Passage> {
        let chain = Chain {
            family: self.family.into_owned(),
            table: self.table.into_owned(),
            name: self.chain.into_owned(),
        };
        let stops = self.stops.into_iter().map(|stop| stop.read(&chain));
        Some(Passage {
            stops: stops.collect::<Option<_>>()?,
            base: self.hook.zip(self.kind).map(|(hook, kind)| Base {
                kind: kind.into_owned(),
                hook: hook.into_owned(),
                priority: self.priority,
                // A policy that decided is a stop.
                policy: String::new(),
            }),
            layer: owned(self.layer),
            headers: self.packet.map(|packet| Headers {
                source: packet.source,
                destination: packet.destination,
                ports: packet.sport.zip(packet.dport),
                ttl: packet.ttl,
                dscp: packet.dscp,
            }),
            chain,
        })
    }
}

impl<'a> StopJson<'a> {
    fn of(stop: &'a Stop) -> Self {
        let mut json = Self {
            depth: stop.depth,
            rule: None,
            end_of: None,
            rule_verdict: stop.did.word().into(),
            to: None,
            lookups: Cow::Borrowed(&stop.lookups),
            logged: Vec::new(),
            counters: Vec::new(),
            mark: None,
        };
        match &stop.met {
            Met::Rule(rule) => json.rule = Some(RuleJson::of_rule(rule)),
            Met::Policy(policy) => json.rule = Some(RuleJson::of_policy(policy)),
            Met::End(chain) => json.end_of = Some(Cow::Borrowed(&chain.name)),
        }
        if let Did::Jump(chain) | Did::Goto(chain) = &stop.did {
            json.to = Some(Cow::Borrowed(chain));
        }
        for effect in &stop.beside {
            match effect {
                Beside::Counted(name) => json.counters.push(borrowed(name).unwrap_or_default()),
                Beside::Logged(prefix) => json.logged.push(Cow::Borrowed(prefix)),
                Beside::Marked(mark) => json.mark = Some(*mark),
            }
        }
        json
    }

    fn read(self, of: &Chain) -> Option<Stop> {
        let met = match (self.rule, self.end_of) {
            (Some(rule), None) => match rule.read()? {
                Decider::Rule(rule) => Met::Rule(rule),
                Decider::Policy(policy) => Met::Policy(policy),
                Decider::Kernel(_) | Decider::NoChain => return None,
            },
            (None, Some(name)) => Met::End(Chain {
                name: name.into_owned(),
                ..of.clone()
            }),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let did = match (&*self.rule_verdict, self.to) {
            ("jump", Some(chain)) => Did::Jump(chain.into_owned()),
            ("goto", Some(chain)) => Did::Goto(chain.into_owned()),
            (word, None) => Did::WITHOUT_CHAIN
                .into_iter()
                .find(|did| did.word() == word)?,
            (_, Some(_)) => return None,
        };
        let counters = self
            .counters
            .into_iter()
            .map(|name| Beside::Counted(Some(name.into_owned()).filter(|name| !name.is_empty())));
        let logged = self
            .logged
            .into_iter()
            .map(Cow::into_owned)
            .map(Beside::Logged);
        let mark = self.mark.map(Beside::Marked);
        Some(Stop {
            depth: self.depth,
            met,
            did,
            lookups: self.lookups.into_owned(),
            beside: counters.chain(logged).chain(mark).collect(),
        })
    }
}
