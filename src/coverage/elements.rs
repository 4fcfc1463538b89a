//! Which elements of sets and maps packets have met.
//!
//! The trace does not say which element it was. It follows where a rule that matched looks one plain field
//! of the packet up, and exactly one element has the packet's value; of everything else it is said that it is
//! not known.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_harness::packet::{Seen, protocol};
use ipnet::IpNet;

use super::words::words;
use crate::scenario::{Family, icmp_name};

/// A field of a packet that the trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Source,
    Destination,
    Sport,
    Dport,
    Protocol,
    IcmpType(Family),
    Iif,
    Oif,
    Family,
    State,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Address(IpAddr),
    Number(u16),
    Name(String),
}

/// A place where a rule looks something up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lookup {
    /// What is looked up, or why it is not known.
    pub(super) key: Result<Key, &'static str>,
    pub(super) table: Table,
}

/// Where it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Table {
    /// A set or map of the rule itself, with these elements.
    Anonymous(Vec<String>),
    /// A named one.
    Named(String),
}

/// The elements of a set or map, and how often packets have met each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// The rule that looks it up; the first of several.
    pub item: usize,
    /// Which of the sets of the rule.
    pub(super) nth: usize,
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

/// What a rule in the words of nft looks up.
pub(super) fn lookups(text: &str) -> Vec<Lookup> {
    let words = words(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let before = at.checked_sub(1).map_or("", |before| &words[before]);
        let fills = matches!(before, "add" | "update" | "delete" | "set" | "meter");
        let named = word.strip_prefix('@').filter(|name| !name.contains(','));
        match (word, named) {
            // What follows a text is none of the rule's own words.
            ("comment" | "prefix", _) => at += 2,
            (_, Some(_)) if fills => at = end_of_braces(&words, at + 1),
            (_, Some(name)) => {
                found.push(Lookup {
                    key: key(&words[..at]),
                    table: Table::Named(name.to_owned()),
                });
                at += 1;
            }
            ("{", _) if matches!(before, "jump" | "goto") => break,
            ("{", _) => {
                let end = end_of_braces(&words, at);
                let inside = &words[at + 1..end.saturating_sub(1).max(at + 1)];
                let elements = inside.split(|word| word == ",").map(|element| {
                    let key = element.iter().take_while(|word| *word != ":");
                    key.map(String::as_str).collect::<Vec<_>>().join(" ")
                });
                found.push(Lookup {
                    key: key(&words[..at]),
                    table: Table::Anonymous(elements.collect()),
                });
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

/// Behind the braces that open here, if they do.
fn end_of_braces(words: &[String], at: usize) -> usize {
    if words.get(at).is_none_or(|word| word != "{") {
        return at;
    }
    let end = words[at..].iter().position(|word| word == "}");
    end.map_or(words.len(), |length| at + length + 1)
}

/// What is looked up, by the words before the set.
fn key(before: &[String]) -> Result<Key, &'static str> {
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let before = match before.as_slice() {
        [.., "!="] => return Err("a rule matches what is not in it"),
        [rest @ .., "vmap" | "map" | "=="] => rest,
        all => all,
    };
    let (key, rest) = match before {
        [rest @ .., "ip" | "ip6", "saddr"] => (Key::Source, rest),
        [rest @ .., "ip" | "ip6", "daddr"] => (Key::Destination, rest),
        [
            rest @ ..,
            "tcp" | "udp" | "th" | "sctp" | "udplite",
            "sport",
        ] => (Key::Sport, rest),
        [
            rest @ ..,
            "tcp" | "udp" | "th" | "sctp" | "udplite",
            "dport",
        ] => (Key::Dport, rest),
        [rest @ .., "ip", "protocol"] | [rest @ .., "meta", "l4proto"] => (Key::Protocol, rest),
        [rest @ .., "icmp", "type"] => (Key::IcmpType(Family::Ipv4), rest),
        [rest @ .., "icmpv6", "type"] => (Key::IcmpType(Family::Ipv6), rest),
        [rest @ .., "meta", "iifname" | "iif"] | [rest @ .., "iifname" | "iif"] => (Key::Iif, rest),
        [rest @ .., "meta", "oifname" | "oif"] | [rest @ .., "oifname" | "oif"] => (Key::Oif, rest),
        [rest @ .., "meta", "nfproto"] => (Key::Family, rest),
        [rest @ .., "ct", "state"] => (Key::State, rest),
        [.., ".", _] | [.., ".", _, _] => return Err("several fields are looked up together"),
        _ => return Err("the trace does not show what is looked up"),
    };
    match rest.last() {
        Some(&".") => Err("several fields are looked up together"),
        _ => Ok(key),
    }
}

/// What the trace shows of a packet where it met a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) seen: &'a Seen<'a>,
    /// The interfaces that it comes in by and goes out by, where they are known.
    pub(super) iif: Option<&'a str>,
    pub(super) oif: Option<&'a str>,
    /// What connection tracking makes of it, where a case asks for that.
    pub(super) state: Option<&'a str>,
}

impl Key {
    pub(super) fn value(self, shown: Shown<'_>) -> Option<Value> {
        let seen = shown.seen;
        let name = |name: Option<&str>| name.map(|name| Value::Name(name.to_owned()));
        match self {
            Self::Source => Some(Value::Address(seen.source)),
            Self::Destination => Some(Value::Address(seen.destination)),
            Self::Sport => seen.ports().map(|(sport, _)| Value::Number(sport)),
            Self::Dport => seen.ports().map(|(_, dport)| Value::Number(dport)),
            Self::Protocol => Some(Value::Number(seen.protocol.into())),
            Self::IcmpType(_) => {
                let is_icmp = matches!(seen.protocol, protocol::ICMP | protocol::ICMPV6);
                let kind = seen.payload.first().filter(|_| is_icmp);
                kind.map(|kind| Value::Number((*kind).into()))
            }
            Self::Iif => name(shown.iif),
            Self::Oif => name(shown.oif),
            Self::State => name(shown.state),
            Self::Family if seen.source.is_ipv4() => name(Some("ipv4")),
            Self::Family => name(Some("ipv6")),
        }
    }

    /// Whether an element as it is listed has this value; `None` if it cannot be read.
    fn holds(self, element: &str, value: &Value) -> Option<bool> {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        match value {
            Value::Address(address) => {
                if let Ok(net) = element.parse::<IpNet>() {
                    return Some(net.contains(address));
                }
                let ends = (first.parse::<IpAddr>(), last.parse::<IpAddr>());
                let (Ok(first), Ok(last)) = ends else {
                    return None;
                };
                Some((first..=last).contains(address))
            }
            Value::Number(number) => {
                if let Self::IcmpType(family) = self
                    && let Ok(kind) = u8::try_from(*number)
                    && icmp_name(family, kind) == Some(element)
                {
                    return Some(true);
                }
                let named = match self {
                    Self::Protocol => protocol_number(element),
                    Self::IcmpType(family) => {
                        (0..=u8::MAX).find(|kind| icmp_name(family, *kind) == Some(element))
                    }
                    _ => None,
                };
                if let Some(named) = named {
                    return Some(u16::from(named) == *number);
                }
                let ends = (first.parse::<u16>(), last.parse::<u16>());
                let (Ok(first), Ok(last)) = ends else {
                    return None;
                };
                Some((first..=last).contains(number))
            }
            Value::Name(name) => Some(match element.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => name == element,
            }),
        }
    }
}

/// Protocols by the names that nft lists (IANA "Assigned Internet Protocol Numbers").
fn protocol_number(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => protocol::ICMP,
        "igmp" => protocol::IGMP,
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "gre" => protocol::GRE,
        "esp" => protocol::ESP,
        "ah" => protocol::AH,
        "ipv6-icmp" | "icmpv6" => protocol::ICMPV6,
        "ospf" => protocol::OSPF,
        "vrrp" => protocol::VRRP,
        "sctp" => protocol::SCTP,
        "udplite" => protocol::UDP_LITE,
        _ => return None,
    })
}

/// How often each value was looked up by a rule that matched; `None` where it is not known.
pub(super) type Looked = BTreeMap<Option<Value>, u64>;

impl Elements {
    /// The elements of a lookup, as they were met.
    pub(super) fn of(
        (item, nth): (usize, usize),
        lookup: &Lookup,
        listed: &dyn Fn(&str) -> Option<Vec<String>>,
        looked: &Looked,
    ) -> Self {
        let (name, elements) = match &lookup.table {
            Table::Anonymous(elements) => (None, Some(elements.clone())),
            Table::Named(name) => (Some(name.clone()), listed(name)),
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
            let told = match (&lookup.key, value) {
                (Err(why), _) => Err(*why),
                (Ok(_), None) => Err("the trace does not show what was looked up"),
                (Ok(key), Some(value)) => found.only(*key, value),
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

    /// The only element that has a value.
    fn only(&self, key: Key, value: &Value) -> Result<usize, &'static str> {
        let mut only = None;
        for (index, (element, _)) in self.met.iter().enumerate() {
            match key.holds(element, value) {
                Some(false) => {}
                Some(true) if only.is_none() => only = Some(index),
                Some(true) => return Err("several elements have what was looked up"),
                None => return Err("an element cannot be read"),
            }
        }
        only.ok_or("no listed element has what was looked up")
    }

    /// Adds what was met of the same elements in another lab.
    pub(super) fn add(&mut self, other: Self) {
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
    use rstest::rstest;

    use super::*;

    fn told(text: &str) -> String {
        let one = |lookup: Lookup| {
            let table = match lookup.table {
                Table::Anonymous(elements) => elements.join("/"),
                Table::Named(name) => format!("@{name}"),
            };
            match lookup.key {
                Ok(key) => format!("{key:?} {table}"),
                Err(why) => format!("({why}) {table}"),
            }
        };
        let told: Vec<String> = lookups(text).into_iter().map(one).collect();
        told.join("; ")
    }

    #[rstest]
    #[case("tcp dport { 22, 80, 8000-8010 } accept", "Dport 22/80/8000-8010")]
    #[case("ip saddr @bad drop", "Source @bad")]
    #[case(
        "icmpv6 type { echo-request, nd-redirect } accept",
        "IcmpType(Ipv6) echo-request/nd-redirect"
    )]
    #[case("tcp dport vmap { 22 : jump ssh, 80 : accept }", "Dport 22/80")]
    #[case(
        "iifname { \"eth0\", \"eth1\" } meta l4proto { tcp, udp } accept",
        "Iif eth0/eth1; Protocol tcp/udp"
    )]
    #[case(
        "ip saddr != { 10.0.0.0/8 } drop",
        "(a rule matches what is not in it) 10.0.0.0/8"
    )]
    #[case(
        "ip saddr . tcp dport { 10.0.0.1 . 22 } accept",
        "(several fields are looked up together) 10.0.0.1 . 22"
    )]
    #[case(
        "ip saddr . meta mark @pairs accept",
        "(several fields are looked up together) @pairs"
    )]
    #[case("ct state vmap { new : accept }", "State new")]
    #[case(
        "meta mark { 5, 6 } accept",
        "(the trace does not show what is looked up) 5/6"
    )]
    #[case("add @seen { ip saddr } tcp dport { 5 } accept", "Dport 5")]
    #[case("tcp dport 5 jump { ip saddr { 10.0.0.1 } drop; accept }", "")]
    #[case("accept comment \"tcp dport { 5 }\"", "")]
    fn what_a_rule_looks_up_is_read_from_its_words(#[case] rule: &str, #[case] expected: &str) {
        assert_eq!(told(rule), expected, "{rule}");
    }

    fn elements(rule: &str, looked: &[(Option<Value>, u64)]) -> Elements {
        let lookup = lookups(rule).remove(0);
        let looked = looked.iter().cloned().collect();
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
        let found = elements("meta l4proto { tcp, ipv6-icmp } accept", &[(number(58), 1)]);
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
