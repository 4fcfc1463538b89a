//! What rules look up in sets and maps, and which of the elements it is. The trace says neither: the one stands in
//! the text of the rule, as nft lists it, and the other follows from the headers of the packet. An element is only
//! named where exactly one has what was looked up; of everything else it is said that it is not known.

use std::{fmt, net::IpAddr};

use firedrill_harness::packet::protocol;
use ipnet::IpNet;

use crate::scenario::{Family, icmp_name};

/// A look-up of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// What is looked up, in the words of the rule: `ip saddr . tcp dport`.
    pub(crate) key: String,
    /// The same field by field, or why it is not known.
    pub(crate) fields: Result<Vec<Field>, &'static str>,
    /// The set or map as the rule has it: `@office`, or its elements where it has no name.
    pub(crate) set: String,
    /// The rule matches where there is no such element.
    pub(crate) absent: bool,
    /// Where it is looked up.
    pub(crate) table: Table,
}

/// Where something is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Table {
    /// In a set or map of the rule itself, with these elements.
    Anonymous(Vec<String>),
    /// In a set or map of the rule's table.
    Named(String),
    /// In an ipset, which nftables knows nothing of.
    Ipset,
}

/// A field of a packet that the trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The source port.
    Sport,
    /// The destination port.
    Dport,
    /// What the packet carries.
    Protocol,
    /// The type of an ICMP or ICMPv6 message.
    IcmpType(Family),
    /// The interface that it comes in by.
    Iif,
    /// The interface that it goes out by.
    Oif,
    /// `ipv4` or `ipv6`.
    Family,
    /// What connection tracking makes of it.
    State,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// An address.
    Address(IpAddr),
    /// A port or a type.
    Number(u16),
    /// An IP protocol.
    Protocol(u8),
    /// An interface, a family or a state.
    Name(String),
}

/// What is known of a packet where it met a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) icmp_type: Option<u8>,
    /// The interfaces that it comes in by and goes out by, where they are known.
    pub(crate) iif: Option<&'a str>,
    pub(crate) oif: Option<&'a str>,
    /// What connection tracking makes of it, where a case asks for that.
    pub(crate) state: Option<&'a str>,
}

/// Words; what stands between quotes is one, quotes included, and so is what stands between braces.
pub(crate) fn quoted_apart(text: &str) -> Vec<&str> {
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

/// What a rule of this text looks up.
pub(crate) fn lookups(text: &str) -> Vec<Lookup> {
    let words = quoted_apart(text);
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let before = place.checked_sub(1).map_or("", |before| words[before]);
        let earlier = place.checked_sub(2).map_or("", |before| words[before]);
        // What is not a set but a part of the packet: `@th,16,8`.
        let named = word.strip_prefix('@').filter(|name| !name.contains(','));
        let listed = word
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let table = match (named, listed) {
            (Some(_), _) if fills(before) => continue,
            (Some(name), _) => Table::Named(name.to_owned()),
            (None, Some(_)) if matches!(before, "jump" | "goto") => continue,
            // What is put into a set: `add @known { ip saddr }`.
            (None, Some(_)) if before.starts_with('@') && fills(earlier) => continue,
            (None, Some(listed)) => Table::Anonymous(anonymous(listed)),
            (None, None) => {
                if let ("--match-set", [set, ends]) =
                    (*word, words.get(place + 1..place + 3).unwrap_or_default())
                {
                    found.push(Lookup {
                        key: (*ends).to_owned(),
                        fields: Err("the elements of an ipset are not looked at"),
                        set: (*set).to_owned(),
                        absent: before == "!",
                        table: Table::Ipset,
                    });
                }
                continue;
            }
        };
        let (end, absent) = match before {
            "!=" => (place - 1, true),
            "==" | "vmap" | "map" => (place - 1, false),
            _ => (place, false),
        };
        let key = key(&words[..end]);
        let fields: Option<Vec<Field>> = key.iter().map(|part| Field::of(part)).collect();
        found.push(Lookup {
            fields: fields
                .filter(|fields| !fields.is_empty())
                .ok_or("the trace does not show what is looked up"),
            key: key.join(" . "),
            set: (*word).to_owned(),
            absent,
            table,
        });
    }
    found
}

/// Whether what follows this word is filled by the rule, and not looked at.
fn fills(word: &str) -> bool {
    matches!(word, "add" | "update" | "delete" | "set" | "meter")
}

/// The key at the end of these words, in its parts; none if it is none that is known.
fn key(words: &[&str]) -> Vec<String> {
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
            _ => return Vec::new(),
        };
        parts.push(part);
        match before {
            [before @ .., "."] => rest = before,
            _ => break,
        }
    }
    parts.reverse();
    parts
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

impl Lookup {
    /// What it looks up of this packet, field by field; `None` if that is not known.
    pub(crate) fn value(&self, shown: Shown<'_>) -> Option<Vec<Value>> {
        let fields = self.fields.as_ref().ok()?.iter();
        fields.map(|field| field.value(shown)).collect()
    }

    /// The only element that has this value, by its position; or why it is not known.
    pub(crate) fn only<'e>(
        &self,
        elements: impl Iterator<Item = &'e str>,
        value: &[Value],
    ) -> Result<usize, &'static str> {
        let fields = self.fields.as_ref().map_err(|why| *why)?;
        if self.absent {
            return Err("a rule matches what is not in it");
        }
        let (mut only, mut others) = (None, None);
        for (index, element) in elements.enumerate() {
            // Stands for all that no other element has.
            if element == "*" {
                others = Some(index);
                continue;
            }
            match covers(fields, element, value) {
                Some(false) => {}
                Some(true) if only.is_none() => only = Some(index),
                Some(true) => return Err("several elements have what was looked up"),
                None => return Err("an element cannot be read"),
            }
        }
        only.or(others)
            .ok_or("no listed element has what was looked up")
    }
}

/// Whether an element as it is listed has this value; `None` if it cannot be read.
fn covers(fields: &[Field], element: &str, value: &[Value]) -> Option<bool> {
    let parts: Vec<&str> = element.split(" . ").map(str::trim).collect();
    if parts.len() != fields.len() || parts.len() != value.len() {
        return None;
    }
    let mut all = true;
    for ((field, part), value) in fields.iter().zip(parts).zip(value) {
        all &= field.holds(part.trim_matches('"'), value)?;
    }
    Some(all)
}

impl Field {
    /// A part of a key: `ip saddr`.
    fn of(part: &str) -> Option<Self> {
        let (header, field) = part.split_once(' ').unwrap_or(("meta", part));
        Some(match (header, field) {
            ("ip" | "ip6", "saddr") => Self::Source,
            ("ip" | "ip6", "daddr") => Self::Destination,
            ("tcp" | "udp" | "th" | "sctp" | "udplite", "sport") => Self::Sport,
            ("tcp" | "udp" | "th" | "sctp" | "udplite", "dport") => Self::Dport,
            ("ip", "protocol") | ("ip6", "nexthdr") | ("meta", "l4proto") => Self::Protocol,
            ("icmp", "type") => Self::IcmpType(Family::Ipv4),
            ("icmpv6", "type") => Self::IcmpType(Family::Ipv6),
            ("meta", "iifname" | "iif") => Self::Iif,
            ("meta", "oifname" | "oif") => Self::Oif,
            ("meta", "nfproto") => Self::Family,
            ("ct", "state") => Self::State,
            _ => return None,
        })
    }

    fn value(self, shown: Shown<'_>) -> Option<Value> {
        let name = |name: Option<&str>| name.map(|name| Value::Name(name.to_owned()));
        match self {
            Self::Source => Some(Value::Address(shown.source)),
            Self::Destination => Some(Value::Address(shown.destination)),
            Self::Sport => shown.ports.map(|(sport, _)| Value::Number(sport)),
            Self::Dport => shown.ports.map(|(_, dport)| Value::Number(dport)),
            Self::Protocol => Some(Value::Protocol(shown.protocol)),
            Self::IcmpType(_) => shown.icmp_type.map(|kind| Value::Number(kind.into())),
            Self::Iif => name(shown.iif),
            Self::Oif => name(shown.oif),
            Self::State => name(shown.state),
            Self::Family if shown.source.is_ipv4() => name(Some("ipv4")),
            Self::Family => name(Some("ipv6")),
        }
    }

    /// Whether a part of an element as it is listed has this value; `None` if it cannot be read.
    fn holds(self, element: &str, value: &Value) -> Option<bool> {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        match value {
            Value::Address(address) => {
                if let Ok(net) = element.parse::<IpNet>() {
                    return Some(net.contains(address));
                }
                let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
                Some((first..=last).contains(address))
            }
            Value::Protocol(number) => {
                let named = protocol_number(element).or_else(|| element.parse().ok());
                Some(named? == *number)
            }
            Value::Number(number) => {
                if let Self::IcmpType(family) = self {
                    let named = |kind: &u8| icmp_name(family, *kind) == Some(element);
                    if let Some(named) = (0..=u8::MAX).find(named) {
                        return Some(u16::from(named) == *number);
                    }
                }
                let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
                Some((first..=last).contains(number))
            }
            Value::Name(name) => Some(match element.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => name == element,
            }),
        }
    }
}

/// In the words of nft.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Protocol(number) => match PROTOCOLS.iter().find(|(of, _)| of == number) {
                Some((_, name)) => f.write_str(name),
                None => number.fmt(f),
            },
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Protocols by the names that nft lists (IANA "Assigned Internet Protocol Numbers").
const PROTOCOLS: [(u8, &str); 12] = [
    (protocol::ICMP, "icmp"),
    (protocol::IGMP, "igmp"),
    (protocol::TCP, "tcp"),
    (protocol::UDP, "udp"),
    (protocol::GRE, "gre"),
    (protocol::ESP, "esp"),
    (protocol::AH, "ah"),
    (protocol::ICMPV6, "ipv6-icmp"),
    (protocol::OSPF, "ospf"),
    (protocol::VRRP, "vrrp"),
    (protocol::SCTP, "sctp"),
    (protocol::UDP_LITE, "udplite"),
];

fn protocol_number(name: &str) -> Option<u8> {
    let name = if name == "icmpv6" { "ipv6-icmp" } else { name };
    let (number, _) = PROTOCOLS.iter().find(|(_, known)| *known == name)?;
    Some(*number)
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
                Table::Ipset => format!("ipset {}", lookup.set),
            };
            let absent = if lookup.absent { "not " } else { "" };
            match lookup.fields {
                Ok(fields) => format!("{fields:?} {absent}{table}"),
                Err(_) => format!("({}) {absent}{table}", lookup.key),
            }
        };
        let told: Vec<String> = lookups(text).into_iter().map(one).collect();
        told.join("; ")
    }

    #[rstest]
    #[case("tcp dport { 22, 80, 8000-8010 } accept", "[Dport] 22/80/8000-8010")]
    #[case("ip saddr @bad drop", "[Source] @bad")]
    #[case(
        "icmpv6 type { echo-request, nd-redirect } accept",
        "[IcmpType(Ipv6)] echo-request/nd-redirect"
    )]
    #[case("tcp dport vmap { 22 : jump ssh, 80 : accept }", "[Dport] 22/80")]
    #[case(
        "iifname { \"eth0\", \"a,b\" } meta l4proto { tcp, udp } accept",
        "[Iif] \"eth0\"/\"a,b\"; [Protocol] tcp/udp"
    )]
    #[case("ip saddr != { 10.0.0.0/8 } drop", "[Source] not 10.0.0.0/8")]
    #[case(
        "ip saddr . tcp dport { 10.0.0.1 . 22 } accept",
        "[Source, Dport] 10.0.0.1 . 22"
    )]
    #[case("ip saddr . meta mark @pairs accept", "(ip saddr . meta mark) @pairs")]
    #[case("ct state vmap { new : accept }", "[State] new")]
    #[case("meta mark { 5, 6 } accept", "(meta mark) 5/6")]
    #[case("numgen inc mod 2 vmap { 0 : accept, 1 : drop }", "() 0/1")]
    #[case("add @seen { ip saddr } tcp dport { 5 } accept", "[Dport] 5")]
    #[case("update @office { ip saddr limit rate 5/second }", "")]
    #[case("tcp dport 5 jump { ip saddr { 10.0.0.1 } drop; accept }", "")]
    #[case("accept comment \"tcp dport { 5 } ip saddr @office\"", "")]
    #[case("@th,16,8 { 5 }", "() 5")]
    #[case("-m set ! --match-set office src -j DROP", "(src) not ipset office")]
    fn what_a_rule_looks_up_is_read_from_its_words(#[case] rule: &str, #[case] expected: &str) {
        assert_eq!(told(rule), expected, "{rule}");
    }

    const PACKET: Shown<'_> = Shown {
        source: IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)),
        destination: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        protocol: protocol::TCP,
        ports: Some((40_000, 85)),
        icmp_type: Some(8),
        iif: Some("eth0"),
        oif: None,
        state: None,
    };

    #[rstest]
    #[case::an_address("ip saddr { 10.0.0.0/8, 198.51.100.7 }", Ok("198.51.100.7"))]
    #[case::a_net("ip saddr { 10.0.0.0/8, 198.51.100.0/24 }", Ok("198.51.100.0/24"))]
    #[case::an_interval(
        "ip saddr { 198.51.100.1-198.51.100.9 }",
        Ok("198.51.100.1-198.51.100.9")
    )]
    #[case::ports("tcp dport vmap { 22 : jump ssh, 80-90 : accept }", Ok("80-90"))]
    #[case::a_name("iifname { \"eth0\", \"eth1\" }", Ok("\"eth0\""))]
    #[case::the_beginning_of_a_name("iifname { \"eth*\", \"wg*\" }", Ok("\"eth*\""))]
    #[case::a_protocol("meta l4proto { tcp, ipv6-icmp }", Ok("tcp"))]
    #[case::a_type_by_its_name("icmp type { echo-request, 42 }", Ok("echo-request"))]
    #[case::a_type_by_its_number("icmp type { time-exceeded, 8 }", Ok("8"))]
    #[case::several_fields(
        "ip saddr . tcp dport { 198.51.100.7 . 22, 198.51.100.0/24 . 80-90, 10.0.0.1 . 85 }",
        Ok("198.51.100.0/24 . 80-90")
    )]
    #[case::what_stands_for_the_others("tcp dport vmap { 22 : drop, * : accept }", Ok("*"))]
    #[case::before_what_stands_for_the_others("tcp dport vmap { 85 : drop, * : accept }", Ok("85"))]
    #[case::a_choice(
        "tcp dport { 80-90, 85 }",
        Err("several elements have what was looked up")
    )]
    #[case::none("tcp dport { 22 }", Err("no listed element has what was looked up"))]
    #[case::absent("tcp dport != { 22 }", Err("a rule matches what is not in it"))]
    #[case::unreadable("tcp dport { 85, http }", Err("an element cannot be read"))]
    #[case::unreadable_in_part(
        "ip saddr . tcp dport { 198.51.100.7 . http }",
        Err("an element cannot be read")
    )]
    #[case::not_shown("oifname { \"eth0\" }", Err("no value"))]
    #[case::state("ct state { new }", Err("no value"))]
    fn an_element_is_named_where_it_alone_has_the_value(
        #[case] rule: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let lookup = lookups(rule).remove(0);
        let Table::Anonymous(elements) = &lookup.table else {
            panic!("{rule}");
        };
        let found = match lookup.value(PACKET) {
            Some(value) => lookup.only(elements.iter().map(String::as_str), &value),
            None => Err("no value"),
        };
        assert_eq!(found.map(|index| elements[index].as_str()), expected);
    }
}
