//! What happens in a run, as data: the only thing between the runner and the reporters. The runner
//! prints nothing; a reporter decides nothing.

pub mod compare;
pub mod comparison;
pub mod coverage;
pub mod elements;
pub mod event;
pub mod exit;
pub mod failure;
pub mod finding;
pub mod json;
pub mod shard;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::{coverage::Measured, failure::ScenarioError};
use crate::{
    judge::{
        sweep::SweepGroup,
        verdict::{Judgement, Outcome},
    },
    scenario::{Case, Cell, Entry, Family, Location, Over, Scenario},
    trace::walk::Walk,
};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// What it is called, if it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The main file as the user named it.
    pub path: PathBuf,
    /// SHA-256 over all its files, in hexadecimal; empty if they could not be read.
    #[serde(rename = "sha256")]
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
    /// The way of the packet, where it is kept; see [`crate::run::options::Options::walks`].
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
