//! Rule coverage: which rules and policies of a candidate real packets came to, matched, and were decided by.
//!
//! `gather` takes from each packet's trace what it met (`walk`) in the loaded ruleset (`inventory`). Here
//! the scenarios of a run are put together, by candidate. [`report`] writes it down.

pub(crate) mod gather;
pub(crate) mod inventory;
mod met;

pub use crate::record::{
    coverage::{Apart, Item},
    elements::Elements,
};
use crate::{
    record::{
        ScenarioRecord,
        coverage::{Measured, Sets, Totals},
        event::Event,
    },
    scenario::{Action, Case},
};

/// Whether a run finds out which rules packets meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Covering {
    /// No.
    #[default]
    Off,
    /// All packets together.
    Totals,
    /// Also the elements of named sets, which takes a lab more.
    WithSets,
    /// Also what those of each case met: [`Measured::cases`].
    EachCase,
}

/// The coverage of a run, by candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each candidate once, in the order of the scenarios.
    pub rulesets: Vec<Measured>,
    /// The scenarios of which nothing could be measured, and why.
    pub missing: Vec<(String, String)>,
}

impl Coverage {
    /// Takes a scenario's share.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Finished(record) => self.scenario(record),
            Event::Started { .. } | Event::Compared(_) | Event::Ended(_) => {}
        }
    }

    fn scenario(&mut self, record: &ScenarioRecord) {
        if record.coverage.is_empty() {
            let why = match &record.error {
                Some(error) => error.message().lines().next().unwrap_or_default(),
                None => "its candidate was not loaded",
            };
            self.missing
                .push((record.scenario.id.clone(), why.to_owned()));
        }
        for measured in &record.coverage {
            self.add(measured.clone());
        }
    }

    /// Adds what was covered of a candidate, to what is known of the very same one.
    pub fn add(&mut self, measured: Measured) {
        let same = |known: &&mut Measured| {
            known.candidate == measured.candidate && known.sources == measured.sources
        };
        match self.rulesets.iter_mut().find(same) {
            Some(known) => known.add(measured),
            None => self.rulesets.push(measured),
        }
    }

    /// Of all candidates together.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::of(self.rulesets.iter().flat_map(|ruleset| &ruleset.items))
    }
}

/// A case that looks at the elements of sets.
pub(crate) fn looking(case: &Case) -> Option<Case> {
    let mut case = case.clone();
    let step = case
        .steps
        .iter_mut()
        .find(|step| matches!(step.action, Action::Send(_)))?;
    let Action::Send(send) = &mut step.action else {
        return None;
    };
    send.connection = None;
    send.expect.also.in_set = vec![("-".to_owned(), "-".to_owned())];
    let step = step.clone();
    case.steps = vec![step];
    Some(case)
}

/// The elements of a listing, but of sets that rules fill.
pub(crate) fn sets(listing: &str) -> Sets {
    let named = crate::ruleset::state::sets(listing).into_iter();
    let lasting = named.filter(|set| !set.dynamic);
    lasting
        .map(|set| {
            // Names of interfaces stand between quotes.
            let elements = set.elements.iter().map(|element| element.replace('"', ""));
            let elements = elements.zip(set.values.iter().cloned());
            (set.key(), elements.collect())
        })
        .collect()
}
