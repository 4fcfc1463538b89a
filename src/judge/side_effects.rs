//! What an expectation asks for beside the verdict: the state of the connection, records of the log,
//! counters and sets.

use std::net::IpAddr;

use firedrill_harness::packet::{Relation, Seen, relate};
use ipnet::IpNet;

use super::Setting;
use super::verdict::Outcome;
use crate::{
    ruleset::state::{Counter, SetListing, counters, sets},
    scenario::{Also, Log},
    trace::way::{Observation, Traversal},
};

/// What was seen beside the verdict.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) observation: &'a Observation<'a>,
    pub(super) setting: Setting<'a>,
}

/// Why something is not as expected, and whether that is proven.
pub(super) type Miss = (Outcome, String);

fn fail(reason: String) -> Result<(), Miss> {
    Err((Outcome::Fail, reason))
}

fn unknown(reason: String) -> Result<(), Miss> {
    Err((Outcome::Inconclusive, reason))
}

impl<'a> Beside<'a> {
    /// Whether all of it is as expected.
    pub(super) fn check(self, also: &Also) -> Result<(), Miss> {
        if let Some(state) = also.state {
            match self.observation.way.state {
                Some(seen) if seen == state.word() => {}
                Some(seen) => {
                    fail(format!("its state was {seen}, not {}", state.word()))?;
                }
                None => unknown(
                    "the trace does not show what connection tracking made of it".to_owned(),
                )?,
            }
        }
        if let Some(log) = &also.log {
            self.logged(log)?;
        }
        for (name, packets) in &also.counters {
            self.counter(name, *packets)?;
        }
        for (set, element) in &also.in_set {
            if !self.has(set, element)? {
                fail(format!("{element} is not in the set {set}"))?;
            }
        }
        for (set, element) in &also.not_in_set {
            if self.has(set, element)? {
                fail(format!("{element} is in the set {set}"))?;
            }
        }
        Ok(())
    }

    fn logged(self, log: &Log) -> Result<(), Miss> {
        let is_it = |bytes: &[u8]| {
            Seen::parse(bytes).is_some_and(|seen| {
                relate(&self.observation.sent.packet, &seen) == Relation::Itself
            })
        };
        if let Some(group) = log.group {
            let told = self.observation.evidence.logged.iter().any(|record| {
                record.group == group
                    && record.prefix.starts_with(&log.prefix)
                    && is_it(&record.packet.0)
            });
            return if told {
                Ok(())
            } else {
                fail(format!("nothing told {log}"))
            };
        }
        let mut untold = false;
        let traversals = self.observation.way.traversals.iter();
        for (chain, handle) in traversals.flat_map(Traversal::rules) {
            match self.setting.ruleset.rule(&chain, handle) {
                Some(text) if logs(text, &log.prefix) => return Ok(()),
                Some(_) => {}
                None => untold = true,
            }
        }
        if untold {
            return unknown("it met a rule whose text is not known".to_owned());
        }
        fail(format!("no rule that it met would {log}"))
    }

    fn listings(self) -> Result<(&'a str, &'a str), Miss> {
        match &self.observation.evidence.listing {
            Some(after) => Ok((self.setting.listing, after)),
            None => Err((
                Outcome::Inconclusive,
                "the ruleset was not listed after it".to_owned(),
            )),
        }
    }

    fn counter(self, name: &str, packets: u64) -> Result<(), Miss> {
        let (before, after) = self.listings()?;
        let before = one(counters(before), |counter: &Counter| counter.is(name), name)?;
        let after = one(counters(after), |counter: &Counter| counter.is(name), name)?;
        match after.packets.checked_sub(before.packets) {
            Some(grown) if grown == packets => Ok(()),
            Some(grown) => fail(format!(
                "the counter {name} grew by {grown}, not by {packets}"
            )),
            None => fail(format!("the counter {name} was reset")),
        }
    }

    fn has(self, name: &str, element: &str) -> Result<bool, Miss> {
        let (_, after) = self.listings()?;
        let set = one(sets(after), |set: &SetListing| set.is(name), name)?;
        Ok(set.elements.iter().any(|listed| covers(listed, element)))
    }
}

/// The only one that is meant.
fn one<T>(all: Vec<T>, is: impl Fn(&T) -> bool, name: &str) -> Result<T, Miss> {
    let mut meant = all.into_iter().filter(is);
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err((
            Outcome::Fail,
            format!("the ruleset has nothing of this kind called {name}"),
        )),
        (Some(_), Some(_)) => Err((
            Outcome::Fail,
            format!("several are called {name}: write `FAMILY TABLE {name}`"),
        )),
    }
}

/// Whether a rule of this text logs with a prefix that begins so.
fn logs(text: &str, prefix: &str) -> bool {
    text.split_once("log prefix \"")
        .is_some_and(|(_, rest)| rest.starts_with(prefix))
}

/// Whether a listed element is the one that is meant, or an interval around it.
fn covers(listed: &str, element: &str) -> bool {
    if listed == element {
        return true;
    }
    let Ok(address) = element.parse::<IpAddr>() else {
        return false;
    };
    if let Ok(net) = listed.parse::<IpNet>() {
        return net.contains(&address);
    }
    if let Ok(other) = listed.parse::<IpAddr>() {
        return other == address;
    }
    let Some((first, last)) = listed.split_once('-') else {
        return false;
    };
    match (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&address),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("198.51.100.7", "198.51.100.7", true)]
    #[case("198.51.100.0/24", "198.51.100.7", true)]
    #[case("198.51.100.1-198.51.100.9", "198.51.100.7", true)]
    #[case("198.51.100.1-198.51.100.6", "198.51.100.7", false)]
    #[case("2001:db8::7", "2001:db8:0::7", true)]
    #[case("10.0.0.1 . 22", "10.0.0.1 . 22", true)]
    #[case("10.0.0.1", "::", false)]
    fn an_element_is_listed_as_itself_or_in_an_interval(
        #[case] listed: &str,
        #[case] element: &str,
        #[case] covered: bool,
    ) {
        assert_eq!(covers(listed, element), covered);
    }
}
