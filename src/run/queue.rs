//! What is to be run.

use crate::{
    record::shard::{Names, Part, Shard},
    scenario::{Case, Entry, Scenario},
};

/// Some cases of a scenario that waits for its turn.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The scenario.
    pub entry: Entry,
    /// Indices into [`Scenario::cases`], ascending, at least one.
    pub cases: Vec<usize>,
    /// Its place in the run, from 0; with shards, in the whole run.
    pub position: usize,
}

impl Queued {
    /// The same, with the scenario.
    ///
    /// # Errors
    ///
    /// In words, if it can no longer be read as it was.
    pub fn select(&self) -> Result<Selected, String> {
        Ok(Selected {
            scenario: self.entry.read()?,
            cases: self.cases.clone(),
            position: self.position,
        })
    }
}

/// Some cases of a scenario, to be run.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub scenario: Scenario,
    /// Indices into [`Scenario::cases`], ascending, at least one.
    pub cases: Vec<usize>,
    /// Its place in the run, from 0; with shards, in the whole run.
    pub position: usize,
}

impl Selected {
    /// All cases of a scenario.
    #[must_use]
    pub fn all(scenario: Scenario) -> Self {
        Self {
            cases: (0..scenario.cases.len()).collect(),
            scenario,
            position: 0,
        }
    }

    /// The cases that are to be run.
    #[must_use]
    pub fn cases(&self) -> Vec<&Case> {
        self.cases
            .iter()
            .map(|index| &self.scenario.cases[*index])
            .collect()
    }
}

/// What of a selection belongs to a shard; `names` are those of all its cases. The candidates of a file
/// stay together.
#[must_use]
pub fn part_of(shard: Shard, whole: Vec<Queued>, names: Names) -> (Vec<Queued>, Part) {
    let part = Part {
        shard,
        scenarios: whole.len(),
        cases: whole.iter().map(|queued| queued.cases.len()).sum(),
        names: names.finish(),
    };
    let mut mine = whole;
    mine.retain(|queued| shard.has(&queued.entry.stem));
    (mine, part)
}
