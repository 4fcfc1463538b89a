//! In which sets and maps a rule looked something up, and which element decided. The trace says neither:
//! the one stands in the text of the rule, and the other follows from the headers of the packet. An element is
//! only named where the headers leave no other.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Headers;
use crate::dialect::listing::SetListing;

/// A look-up of a rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// What was looked up: `ip saddr . tcp dport`.
    pub key: String,
    /// What that is in this packet, if its headers show it.
    pub value: Option<String>,
    /// The set or map: `@office`, or its elements where it has no name.
    pub set: String,
    /// It matched because there is no such element.
    pub absent: bool,
    /// The element that covers the value, if one alone does.
    pub element: Option<String>,
}

/// What headers say of the packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) headers: Option<Headers>,
    pub(super) protocol: u8,
    pub(super) iif: Option<&'a str>,
    pub(super) oif: Option<&'a str>,
}

/// Words; what stands between quotes is one, quotes included, and so is what stands between braces.
pub(super) fn quoted_apart(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quoted, mut depth) = (None, false, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        let apart = c.is_whitespace() && !quoted && depth == 0;
        match (apart, start) {
            (true, Some(from)) => {
                words.push(&text[from..at]);
                start = None;
            }
            (false, None) => start = Some(at),
            (true, None) | (false, Some(_)) => {}
        }
    }
    words.extend(start.map(|from| &text[from..]));
    words
}

/// The look-ups of a rule, from its text. `sets` are those of the listing.
pub(super) fn lookups<'s>(
    text: &str,
    facts: &Facts<'_>,
    sets: &impl Fn() -> &'s [SetListing],
) -> Vec<Lookup> {
    let words = quoted_apart(text);
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let named = word.strip_prefix('@');
        let listed = word
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let (end, absent) = match place.checked_sub(1).map(|before| words[before]) {
            Some("!=") => (place - 1, true),
            Some("==" | "vmap" | "map") => (place - 1, false),
            Some(_) => (place, false),
            None => continue,
        };
        if named.is_none() && listed.is_none() {
            if let ("--match-set", [set, ends]) =
                (*word, words.get(place + 1..place + 3).unwrap_or_default())
            {
                found.push(Lookup {
                    key: (*ends).to_owned(),
                    value: None,
                    set: (*set).to_owned(),
                    absent: place > 0 && words[place - 1] == "!",
                    element: None,
                });
            }
            continue;
        }
        let Some(key) = key(&words[..end]) else {
            continue;
        };
        let value: Option<Vec<String>> = key.iter().map(|part| facts.value(part)).collect();
        let elements = match (named, listed) {
            (Some(name), _) => {
                let mut called = sets().iter().filter(|set| set.is(name));
                // Tables may have sets of the same name.
                match (called.next(), called.next()) {
                    (Some(only), None) => only.elements.clone(),
                    _ => Vec::new(),
                }
            }
            (None, Some(listed)) => anonymous(listed),
            (None, None) => continue,
        };
        let covering: Vec<&String> = elements
            .iter()
            .filter(|element| value.as_ref().is_some_and(|value| covers(element, value)))
            .collect();
        let element = match covering.as_slice() {
            [only] if !absent => Some((*only).clone()),
            _ => None,
        };
        found.push(Lookup {
            key: key.join(" . "),
            value: value.map(|value| value.join(" . ")),
            set: (*word).to_owned(),
            absent,
            element,
        });
    }
    found
}

/// The key at the end of these words, in its parts; `None` if it is none that is known.
fn key(words: &[&str]) -> Option<Vec<String>> {
    const ALONE: [&str; 4] = ["iifname", "oifname", "iif", "oif"];
    const HEADERS: [&str; 12] = [
        "ip", "ip6", "tcp", "udp", "sctp", "udplite", "th", "meta", "ct", "icmp", "icmpv6", "ether",
    ];
    let mut parts = Vec::new();
    let mut rest = words;
    loop {
        let (part, before) = match rest {
            [before @ .., header, field] if HEADERS.contains(header) => {
                (format!("{header} {field}"), before)
            }
            [before @ .., alone] if ALONE.contains(alone) => ((*alone).to_owned(), before),
            _ => return None,
        };
        parts.push(part);
        match before {
            [before @ .., "."] => rest = before,
            _ => break,
        }
    }
    parts.reverse();
    Some(parts)
}

/// The elements of a set without a name, without what they map to.
fn anonymous(listed: &str) -> Vec<String> {
    let mut quoted = false;
    let parts = listed.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts
        .map(|part| {
            let mapped = part.split_once(" : ").map_or(part, |(element, _)| element);
            mapped.trim().to_owned()
        })
        .filter(|element| !element.is_empty())
        .collect()
}

/// Whether an element is this value, or an interval around it.
fn covers(element: &str, value: &[String]) -> bool {
    let parts: Vec<&str> = element.split(" . ").map(str::trim).collect();
    parts.len() == value.len()
        && parts
            .iter()
            .zip(value)
            .all(|(part, value)| is_in(part.trim_matches('"'), value))
}

fn is_in(listed: &str, value: &str) -> bool {
    if listed == value || listed == "*" {
        return true;
    }
    if let Some(prefix) = listed.strip_suffix('*') {
        return value.starts_with(prefix);
    }
    if let Ok(address) = value.parse::<IpAddr>() {
        if let Ok(net) = listed.parse::<IpNet>() {
            return net.contains(&address);
        }
        let range = listed.split_once('-');
        let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        return range
            .is_some_and(|(first, last): (IpAddr, IpAddr)| (first..=last).contains(&address));
    }
    if let Ok(number) = value.parse::<u32>() {
        let range = listed.split_once('-');
        let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        return range.is_some_and(|(first, last): (u32, u32)| (first..=last).contains(&number));
    }
    false
}

impl Facts<'_> {
    /// What a part of a key is in this packet.
    fn value(&self, part: &str) -> Option<String> {
        let headers = self.headers?;
        let v6 = headers.source.is_ipv6();
        let port = |tcp: &str| {
            let same = match tcp {
                "tcp" => self.protocol == 6,
                "udp" => self.protocol == 17,
                "sctp" => self.protocol == 132,
                "udplite" => self.protocol == 136,
                other => other == "th",
            };
            headers.ports.filter(|_| same)
        };
        let (header, field) = part.split_once(' ').unwrap_or((part, ""));
        match (header, field) {
            ("ip", "saddr") if !v6 => Some(headers.source.to_string()),
            ("ip", "daddr") if !v6 => Some(headers.destination.to_string()),
            ("ip6", "saddr") if v6 => Some(headers.source.to_string()),
            ("ip6", "daddr") if v6 => Some(headers.destination.to_string()),
            (_, "sport") => port(header).map(|(sport, _)| sport.to_string()),
            (_, "dport") => port(header).map(|(_, dport)| dport.to_string()),
            ("iifname" | "iif", _) | ("meta", "iifname" | "iif") => self.iif.map(str::to_owned),
            ("oifname" | "oif", _) | ("meta", "oifname" | "oif") => self.oif.map(str::to_owned),
            ("meta", "l4proto") | ("ip", "protocol") | ("ip6", "nexthdr") => {
                let name = match self.protocol {
                    1 => "icmp",
                    6 => "tcp",
                    17 => "udp",
                    58 => "ipv6-icmp",
                    132 => "sctp",
                    _ => return None,
                };
                Some(name.to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::dialect::listing;

    const LISTING: &str = "table inet t {\n\tset office {\n\t\ttype ipv4_addr\n\t\tflags interval\n\
        \t\telements = { 203.0.113.0/24, 198.51.100.1-198.51.100.9 }\n\t}\n\
        \tmap ports {\n\t\ttype inet_service : verdict\n\t\telements = { 22 : jump ssh, 80-90 : accept }\n\t}\n\
        \tset known {\n\t\ttype ifname\n\t\telements = { \"ens1\", \"wg*\" }\n\t}\n}\n";

    fn one(text: &str) -> Vec<String> {
        let facts = Facts {
            headers: Some(Headers {
                source: "198.51.100.7".parse().expect("an address"),
                destination: "192.0.2.1".parse().expect("an address"),
                ports: Some((40000, 85)),
                ttl: 64,
                dscp: 0,
            }),
            protocol: 6,
            iif: Some("eth0"),
            oif: None,
        };
        let sets = listing::sets(LISTING);
        let found = lookups(text, &facts, &|| &sets[..]);
        found
            .iter()
            .map(|lookup| {
                let value = lookup.value.as_deref().unwrap_or("?");
                let absent = if lookup.absent { " not" } else { "" };
                let element = lookup.element.as_deref().unwrap_or("?");
                format!(
                    "{} {value}{absent} in {}: {element}",
                    lookup.key, lookup.set
                )
            })
            .collect()
    }

    #[rstest]
    #[case::an_interval("ip saddr @office drop", &["ip saddr 198.51.100.7 in @office: 198.51.100.1-198.51.100.9"])]
    #[case::a_verdict_map("tcp dport vmap @ports", &["tcp dport 85 in @ports: 80-90"])]
    #[case::absence("iifname != @known counter drop", &["iifname eth0 not in @known: ?"])]
    #[case::without_a_name(
        "ip saddr . tcp dport { 198.51.100.7 . 22, 198.51.100.7 . 80-90 } accept",
        &["ip saddr . tcp dport 198.51.100.7 . 85 in { 198.51.100.7 . 22, 198.51.100.7 . 80-90 }: 198.51.100.7 . 80-90"]
    )]
    #[case::a_map_without_a_name(
        "iifname vmap { \"eth0\" : jump public, \"eth1\" : jump lan }",
        &["iifname eth0 in { \"eth0\" : jump public, \"eth1\" : jump lan }: \"eth0\""]
    )]
    #[case::two("meta l4proto { tcp, udp } th dport { 85 }", &[
        "meta l4proto tcp in { tcp, udp }: tcp", "th dport 85 in { 85 }: 85"
    ])]
    #[case::more_than_one_element_leaves_a_choice("tcp dport { 80-90, 85 }", &["tcp dport 85 in { 80-90, 85 }: ?"])]
    #[case::what_headers_do_not_show("ct state { new, established }", &["ct state ? in { new, established }: ?"])]
    #[case::unknown_interface("oifname @known", &["oifname ? in @known: ?"])]
    #[case::unknown_set("ip saddr @nobody", &["ip saddr 198.51.100.7 in @nobody: ?"])]
    #[case::a_rule_that_adds("update @office { ip saddr limit rate 5/second }", &[])]
    #[case::quoted("drop comment \"ip saddr @office\"", &[])]
    #[case::ipset("-m set ! --match-set office src -j DROP", &["src ? not in office: ?"])]
    fn look_ups_are_those_of_the_text(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(one(text), expected);
    }
}
