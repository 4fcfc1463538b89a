//! Which elements of sets and maps packets have met.
//!
//! Where it is not known of one packet, nothing is said of the elements that no packet has met.

use std::collections::BTreeMap;

use crate::ruleset::lookup::{Lookup, Table, Value};

/// The elements of a set or map, and how often packets have met each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// The rule that looks it up; the first of several.
    pub item: usize,
    /// Which of the sets of the rule.
    pub(crate) nth: usize,
    /// Its name; `None` for a set of the rule itself.
    pub name: Option<String>,
    /// Each element with the number of packets that met it.
    pub met: Vec<(String, u64)>,
    /// How many packets met an element of which it is not known which it is; what has no packets may have
    /// been met by them.
    pub unclear: u64,
    /// Why it is not known, if anything is not.
    pub why: Option<String>,
}

/// How often each value was looked up by a rule that matched; `None` where it is not known.
pub(crate) type Looked = BTreeMap<Option<Vec<Value>>, u64>;

impl Elements {
    /// The elements of a lookup, as they were met.
    pub(crate) fn of(
        (item, nth): (usize, usize),
        lookup: &Lookup,
        listed: &dyn Fn(&str) -> Option<Vec<String>>,
        looked: &Looked,
    ) -> Self {
        let (name, elements) = match &lookup.table {
            Table::Anonymous(elements) => (None, Some(elements.clone())),
            Table::Named(name) => (Some(name.clone()), listed(name)),
            Table::Ipset => (Some(lookup.set.clone()), None),
        };
        let mut found = Self {
            item,
            nth,
            name,
            met: Vec::new(),
            unclear: 0,
            why: None,
        };
        let Some(elements) = elements else {
            found.unclear = looked.values().sum();
            found.why =
                Some("the elements of a named set were not looked at, or rules fill it".to_owned());
            return found;
        };
        found.met = elements.into_iter().map(|element| (element, 0)).collect();
        for (value, times) in looked {
            let elements = found.met.iter().map(|(element, _)| element.as_str());
            let told = match (&lookup.fields, value) {
                (Err(why), _) => Err(*why),
                (Ok(_), None) => Err("the trace does not show what was looked up"),
                (Ok(_), Some(value)) => lookup.only(elements, value),
            };
            match told {
                Ok(element) => found.met[element].1 += times,
                Err(why) => {
                    found.unclear += times;
                    found.why = Some(why.to_owned());
                }
            }
        }
        found
    }

    /// Adds what was met of the same elements in another lab.
    pub(crate) fn add(&mut self, other: Self) {
        self.unclear += other.unclear;
        self.why = self.why.take().or(other.why);
        for (element, times) in other.met {
            match self.met.iter_mut().find(|(known, _)| *known == element) {
                Some((_, met)) => *met += times,
                None => self.met.push((element, times)),
            }
        }
    }

    /// The elements that surely nothing met, if that is known.
    #[must_use]
    pub fn unmet(&self) -> Option<Vec<&str>> {
        let unmet = self.met.iter().filter(|(_, times)| *times == 0);
        let unmet: Vec<&str> = unmet.map(|(element, _)| element.as_str()).collect();
        (self.unclear == 0 || (unmet.is_empty() && !self.met.is_empty())).then_some(unmet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::lookup::lookups;

    fn elements(rule: &str, looked: &[(Option<Value>, u64)]) -> Elements {
        let lookup = lookups(rule).remove(0);
        let one = |(value, times): &(Option<Value>, u64)| {
            (value.clone().map(|value| vec![value]), *times)
        };
        let looked = looked.iter().map(one).collect();
        Elements::of((0, 0), &lookup, &|_| None, &looked)
    }

    #[test]
    fn an_element_was_met_where_it_alone_has_the_value() {
        let address = |text: &str| Some(Value::Address(text.parse().unwrap()));
        let rule = "ip saddr { 10.0.0.0/8, 192.0.2.1, 198.51.100.1-198.51.100.9 } drop";
        let found = elements(
            rule,
            &[(address("10.9.9.9"), 2), (address("198.51.100.9"), 1)],
        );
        let met: Vec<u64> = found.met.iter().map(|(_, times)| *times).collect();
        assert_eq!((met, found.unclear), (vec![2, 0, 1], 0));
        assert_eq!(found.unmet(), Some(vec!["192.0.2.1"]));
        let number = |number| Some(Value::Number(number));
        let rule = "icmp type { echo-request, 42, time-exceeded } accept";
        let found = elements(rule, &[(number(8), 1), (number(42), 1)]);
        assert_eq!(found.unmet(), Some(vec!["time-exceeded"]));
        let found = elements(
            "meta l4proto { tcp, ipv6-icmp } accept",
            &[(Some(Value::Protocol(58)), 1)],
        );
        assert_eq!(found.unmet(), Some(vec!["tcp"]));
    }

    #[test]
    fn nothing_is_said_of_elements_where_a_packet_is_unclear() {
        let number = |number| Some(Value::Number(number));
        for looked in [
            vec![(number(80), 1), (None, 1)],
            // No element has it: the packet was changed on its way to the rule.
            vec![(number(80), 1), (number(99), 1)],
        ] {
            let found = elements("tcp dport { 22, 80 } accept", &looked);
            assert_eq!((found.unmet(), found.unclear), (None, 1));
            assert!(found.why.is_some());
        }
        let found = elements("tcp dport { 22, http } accept", &[(number(22), 1)]);
        assert_eq!(found.unmet(), None);
        let found = elements("ip saddr @bad drop", &[(None, 3)]);
        assert_eq!((found.unmet(), found.unclear), (None, 3));
    }
}
