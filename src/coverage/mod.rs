//! Rule coverage: which rules and policies of a candidate real packets came to, matched, and were decided by.
//!
//! `gather` takes from each packet's way what it met (`met`) in the loaded ruleset (`inventory`). The result is
//! [`crate::record::coverage`], which puts the scenarios of a run together.

pub(crate) mod gather;
pub(crate) mod inventory;
mod met;

pub use crate::record::{
    coverage::{Apart, Item},
    elements::Elements,
};
use crate::{
    record::coverage::Sets,
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
    /// Also what those of each case met: [`crate::record::coverage::Measured::cases`].
    EachCase,
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
