//! What happens in a run: the only thing between the run and the reporters.

use super::{
    ScenarioRecord, comparison::Comparison, coverage::Coverage, exit::Exit, failure::ScenarioError,
    finding::Finding, shard::Part,
};
use crate::judge::verdict::Outcome;

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
    /// A capability has something to say about the configuration.
    Found(Finding),
    /// The run is over.
    Ended(Summary),
    /// What the packets of the run covered, if requested; after its end.
    Covered(Box<Coverage>),
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
