//! What happens in a run, as data: the only thing between the runner and the reporters. The runner
//! prints nothing; a reporter decides nothing.

pub mod compare;
pub mod elements;
pub mod exit;
pub mod shard;

use std::path::PathBuf;

use crate::{
    coverage::Measured,
    judge::verdict::{Decider, Judgement, Outcome, Verdict},
    record::{exit::Exit, shard::Part},
    scenario::{Case, Cell, Entry, Family, Location, Over, Scenario},
    trace::walk::Walk,
};

/// Something that happened. Scenarios finish in the order in which they were selected.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run begins.
    Started {
        /// How many scenarios there are.
        scenarios: usize,
        /// How many cases they have together.
        cases: usize,
        /// Of which run they are a shard, if they are.
        part: Option<Part>,
    },
    /// A scenario is through.
    Finished(Box<ScenarioRecord>),
    /// All candidates of a file are through, of which there are several.
    Compared(Comparison),
    /// The run is over.
    Ended(Summary),
}

/// Everything known of one scenario's run.
#[derive(Debug, Clone)]
pub struct ScenarioRecord {
    /// The scenario.
    pub scenario: ScenarioHead,
    /// Its place in the run, from 0; with shards, in the whole run.
    pub position: usize,
    /// The candidate it was run against.
    pub candidate: CandidateRecord,
    /// One per selected case, in the scenario's order.
    pub cases: Vec<CaseRecord>,
    /// Why the whole scenario could not be run, if so; its cases are inconclusive then.
    pub error: Option<ScenarioError>,
    /// What its packets covered of each configuration that was loaded, if somebody asked.
    pub coverage: Vec<Measured>,
    /// Kernel release under which it ran, if it came so far.
    pub kernel: Option<String>,
    /// What the candidate's programs printed while they loaded it.
    pub output: String,
    /// Wall clock of the scenario, in microseconds.
    pub duration_us: u64,
}

/// What reports say of a scenario itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioHead {
    /// Its identity.
    pub id: String,
    /// The same without its candidate: that of its file.
    pub stem: String,
    /// The file as the user named it.
    pub file: PathBuf,
    /// `name:`, for people.
    pub name: String,
    /// `tags:`.
    pub tags: Vec<String>,
}

impl From<&Scenario> for ScenarioHead {
    fn from(scenario: &Scenario) -> Self {
        Self {
            id: scenario.id.clone(),
            stem: scenario.stem().to_owned(),
            file: scenario.file.clone(),
            name: scenario.name.clone(),
            tags: scenario.tags.clone(),
        }
    }
}

/// Of a scenario that can no longer be read.
impl From<&Entry> for ScenarioHead {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id.clone(),
            stem: entry.stem.clone(),
            file: entry.file.clone(),
            name: entry.id.clone(),
            tags: Vec::new(),
        }
    }
}

/// A candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandidateRecord {
    /// What it is called, if it is one of several.
    pub name: Option<String>,
    /// The main file as the user named it.
    pub path: PathBuf,
    /// SHA-256 over all its files, in hexadecimal; empty if they could not be read.
    pub hash: String,
}

/// Everything known of one case.
#[derive(Debug, Clone)]
pub struct CaseRecord {
    /// The case.
    pub case: CaseHead,
    /// Each of its steps that has an expectation, in order. Never empty.
    pub steps: Vec<StepRecord>,
}

/// What reports say of a case itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseHead {
    /// Its identity.
    pub name: String,
    /// Where the test stands.
    pub at: Location,
    /// Its family.
    pub family: Family,
    /// Its place in a matrix, if it is of one.
    pub cell: Option<Cell>,
}

impl From<&Case> for CaseHead {
    fn from(case: &Case) -> Self {
        Self {
            name: case.name.clone(),
            at: case.at.clone(),
            family: case.family,
            cell: case.cell.clone(),
        }
    }
}

/// Everything known of one step of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// In the scenario's words.
    pub text: String,
    /// Where it stands.
    pub at: Location,
    /// What was expected, in the scenario's words.
    pub expected: String,
    /// The packet, for people; the first of several.
    pub packet: String,
    /// Whether it was sent several times, so that their number counts.
    pub repeated: bool,
    /// The judgement.
    pub judgement: Judgement,
    /// The way of the packet, where it is kept; see [`crate::run::Options::walks`].
    pub walk: Option<Box<Walk>>,
    /// From sending to the last look, in microseconds, of all its packets together.
    pub duration_us: u64,
    /// Of a step that sweeps: what became of every number.
    pub sweep: Option<Box<SweepRecord>>,
}

/// What became of every number of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepRecord {
    /// What was gone through.
    pub over: Over,
    /// In groups that fared alike, ascending.
    pub groups: Vec<SweepGroup>,
    /// How many further labs it took, because rules remember earlier packets.
    pub labs: usize,
}

/// Numbers of a sweep that follow each other and fared alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepGroup {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
    /// What the firewall did with each; how a packet looked on arrival is told of one of them.
    pub verdict: Verdict,
    /// Who decided; `None` where it is known neither of all nor of those around them.
    pub decider: Option<Decider>,
    /// How many of them were probed one by one, with a full trace.
    pub traced: u32,
    /// Against what should be open.
    pub outcome: Outcome,
}

impl SweepGroup {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}

impl CaseRecord {
    /// The step that tells what became of the case: the first that did not pass, or the last.
    ///
    /// # Panics
    ///
    /// Where a record has no step, which no record has.
    #[must_use]
    pub fn telling(&self) -> &StepRecord {
        &self.steps[self.telling_index()]
    }

    /// Its position in [`CaseRecord::steps`].
    #[must_use]
    pub fn telling_index(&self) -> usize {
        self.steps
            .iter()
            .position(|step| step.judgement.outcome != Outcome::Pass)
            .unwrap_or(self.steps.len() - 1)
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.telling().judgement.outcome
    }

    /// `step 2 of 3: reply syn-ack`, where there are several.
    #[must_use]
    pub fn telling_step(&self) -> Option<String> {
        self.step_words(self.telling_index())
    }

    /// The same of any of its steps.
    #[must_use]
    pub fn step_words(&self, index: usize) -> Option<String> {
        let count = self.steps.len();
        let step = self.steps.get(index).filter(|_| count > 1)?;
        Some(format!("{} of {count}: {}", index + 1, step.text))
    }

    /// From sending to the last look, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.steps.iter().map(|step| step.duration_us).sum()
    }
}

/// What several candidates did with the same packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The scenario, without a candidate.
    pub scenario: String,
    /// The candidates' names, at least two.
    pub candidates: Vec<String>,
    /// How many cases all candidates treat alike.
    pub same: usize,
    /// The cases that two candidates treat differently, in the scenario's order.
    pub different: Vec<Difference>,
    /// The cases of which nobody can tell, as a candidate has no verdict on them; without the scenario.
    pub untold: Vec<String>,
}

/// A case that candidates treat differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The case, without the scenario.
    pub case: String,
    /// Which of its steps is the first that differs, if it has several: `2 of 3: reply syn-ack`.
    pub step: Option<String>,
    /// As many as there are candidates.
    pub sides: Vec<Side>,
}

/// What one candidate did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The verdict in words, with what differs of a packet that came out: `accept (source 192.0.2.10)`.
    pub told: String,
    /// The step that differs.
    pub step: StepRecord,
}

/// Why a scenario could not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScenarioError {
    /// The user's input is at fault: a file that cannot be read, a candidate that its own program
    /// refuses.
    Input(String),
    /// The lab is at fault, or the machine.
    Lab(String),
    /// Nothing is at fault, but a program that the configuration needs is not installed.
    Skipped(String),
}

/// The totals of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Scenarios run.
    pub scenarios: usize,
    /// Cases by outcome.
    pub pass: usize,
    /// See `pass`.
    pub fail: usize,
    /// See `pass`.
    pub inconclusive: usize,
    /// See `pass`.
    pub skipped: usize,
    /// Scenarios that could not be run because of the user's input.
    pub bad_input: usize,
    /// Scenarios that could not be run because of the lab.
    pub broken: usize,
    /// Whether a skipped case is one that could not be told.
    pub deny_skips: bool,
    /// Whether it is a shard of a run: it may have nothing to do.
    pub shard: bool,
    /// Wall clock, in microseconds.
    pub duration_us: u64,
}

impl ScenarioRecord {
    /// How many of its cases have this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases
            .iter()
            .filter(|case| case.outcome() == outcome)
            .count()
    }
}

impl ScenarioError {
    /// Which it is, in JSON reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Lab(_) => "lab",
            Self::Skipped(_) => "skipped",
        }
    }

    /// What to tell.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Input(message) | Self::Lab(message) | Self::Skipped(message) => message,
        }
    }
}

impl Summary {
    /// Adds a scenario.
    pub fn add(&mut self, record: &ScenarioRecord) {
        self.scenarios += 1;
        self.pass += record.count(Outcome::Pass);
        self.fail += record.count(Outcome::Fail);
        self.inconclusive += record.count(Outcome::Inconclusive);
        self.skipped += record.count(Outcome::Skipped);
        match record.error {
            Some(ScenarioError::Input(_)) => self.bad_input += 1,
            Some(ScenarioError::Lab(_)) => self.broken += 1,
            // Its cases are counted as such.
            Some(ScenarioError::Skipped(_)) | None => {}
        }
    }

    /// Cases in all.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.pass + self.fail + self.inconclusive + self.skipped
    }

    /// The exit status of the run: bad input first, then proven failures, then what could not be told.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.bad_input > 0 || (self.cases() == 0 && !self.shard) {
            Exit::BadInput
        } else if self.fail > 0 {
            Exit::Failed
        } else if self.inconclusive > 0 || self.broken > 0 {
            Exit::Inconclusive
        } else if self.skipped > 0 && (self.deny_skips || self.pass == 0) {
            // A run that ran nothing tells nothing.
            Exit::Inconclusive
        } else {
            Exit::Success
        }
    }
}
