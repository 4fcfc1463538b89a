//! Packets that are meant for a rule, as tests in YAML.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use super::hints::{Condition, Field};
use crate::scenario::{ExpectedVerdict, Family, Host, Party, Scenario, Send};

/// Most values of a condition that are tried, and most packets for a rule.
const MOST_VALUES: usize = 3;
const MOST_ENDS: usize = 6;
const MOST: usize = 48;

/// A port that no service is likely to have.
const ODD_PORT: &str = "61337";

/// A test that may reach a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt {
    /// `client -> firewall tcp/22`, or the steps of a conversation.
    pub(super) what: What,
}

/// What a test sends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A packet that the short form can say: its ends and its service.
    Short { ends: [String; 2], service: String },
    /// Another packet: its ends and its fields.
    Long {
        ends: [String; 2],
        packet: String,
        user: Option<String>,
        mark: Option<String>,
    },
    /// Several packets of a connection, in the short form.
    Steps(Vec<String>),
}

/// What the packets of a rule have in common.
#[derive(Debug, Clone, Default)]
struct Wish {
    family: Option<Family>,
    protocol: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    sport: Option<String>,
    dport: Option<String>,
    iif: Option<String>,
    oif: Option<String>,
    icmp_type: Option<String>,
    icmp_code: Option<String>,
    flags: Option<String>,
    state: Option<String>,
    ttl: Option<String>,
    dscp: Option<String>,
    mark: Option<String>,
    user: Option<String>,
    /// Some control bits must not be all that are set.
    other_flags: bool,
}

/// Packets for a rule at a hook that asks for all of this.
pub(super) fn attempts(
    scenario: &Scenario,
    hook: &str,
    family: &str,
    conditions: &[Condition],
) -> Vec<Attempt> {
    let mut wishes = vec![Wish {
        family: match family.rsplit(' ').next() {
            Some("ip") => Some(Family::Ipv4),
            Some("ip6") => Some(Family::Ipv6),
            _ => None,
        },
        other_flags: (conditions.iter())
            .any(|condition| condition.negated && condition.fields == [Field::Flags]),
        ..Wish::default()
    }];
    for condition in conditions.iter().filter(|condition| !condition.negated) {
        let values = sample(&condition.values);
        let mut more = Vec::new();
        for wish in &wishes {
            for value in &values {
                let mut wish = wish.clone();
                for (field, value) in condition.fields.iter().zip(*value) {
                    wish.set(*field, value);
                }
                more.push(wish);
            }
        }
        if !more.is_empty() {
            more.truncate(MOST);
            wishes = more;
        }
    }
    let excluded: Vec<&Condition> = conditions
        .iter()
        .filter(|condition| condition.negated)
        .collect();
    let mut found = Vec::new();
    for wish in &wishes {
        for ends in ends(scenario, hook, wish, &excluded) {
            let mut of_ends = match wish.state.as_deref() {
                Some("established" | "related") => conversations(scenario, wish, &ends),
                _ => packets(scenario, wish, &ends),
            };
            found.append(&mut of_ends);
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|attempt: &Attempt| seen.insert(attempt.clone()));
    found.truncate(MOST);
    found
}

/// The first, the last, and one between.
fn sample(values: &[Vec<String>]) -> Vec<&Vec<String>> {
    match values {
        few if few.len() <= MOST_VALUES => few.iter().collect(),
        many => vec![&many[0], &many[many.len() / 2], &many[many.len() - 1]],
    }
}

impl Wish {
    fn set(&mut self, field: Field, value: &str) {
        let text = || Some(value.to_owned());
        match field {
            Field::Family => {
                self.family = match value {
                    "ipv6" | "ip6" => Some(Family::Ipv6),
                    _ => Some(Family::Ipv4),
                }
            }
            Field::Protocol => self.protocol = text(),
            Field::Source => self.source = text(),
            Field::Destination => self.destination = text(),
            Field::Sport => self.sport = Some(first_port(value)),
            Field::Dport => self.dport = Some(first_port(value)),
            Field::Iif => self.iif = text(),
            Field::Oif => self.oif = text(),
            Field::IcmpType => self.icmp_type = text(),
            Field::IcmpCode => self.icmp_code = text(),
            Field::Flags => self.flags = text(),
            Field::State => self.state = text(),
            Field::Ttl => self.ttl = text(),
            Field::Dscp => self.dscp = text(),
            Field::Mark => self.mark = text(),
            Field::User => self.user = text(),
        }
    }

    /// The protocols to try, by the names of the scenario format.
    fn protocols(&self) -> Vec<&str> {
        let icmp = match self.family {
            Some(Family::Ipv4) => "icmpv4",
            Some(Family::Ipv6) => "icmpv6",
            None => "icmp",
        };
        match self.protocol.as_deref() {
            Some("icmp" | "1") => vec!["icmpv4"],
            Some("ipv6-icmp" | "icmpv6" | "icmp6" | "58") => vec!["icmpv6"],
            Some("6") => vec!["tcp"],
            Some("17") => vec!["udp"],
            Some("all" | "0") | None if self.icmp_type.is_some() => vec![icmp],
            Some("all" | "0") | None if self.dport.is_some() || self.sport.is_some() => {
                vec!["tcp", "udp"]
            }
            Some("all" | "0") | None if self.flags.is_some() || self.other_flags => vec!["tcp"],
            Some("all" | "0") | None => vec!["tcp", "udp", icmp],
            Some(other) => vec![other],
        }
    }
}

fn first_port(value: &str) -> String {
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    if first == "0" { last } else { first }.to_owned()
}

/// Both ends of a packet, and the addresses that it claims beside theirs.
struct Ends {
    names: [String; 2],
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
}

/// A side of the firewall: itself, or a host.
#[derive(Clone, Copy)]
enum Side<'a> {
    Firewall,
    Host(&'a Host),
}

impl Side<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Firewall => "firewall",
            Self::Host(host) => &host.name,
        }
    }
}

fn ends(scenario: &Scenario, hook: &str, wish: &Wish, excluded: &[&Condition]) -> Vec<Ends> {
    let hosts: Vec<Side<'_>> = scenario.hosts.iter().map(Side::Host).collect();
    let firewall = [Side::Firewall];
    let (inward, through, outward) = match hook {
        "input" => (true, false, false),
        "forward" => (false, true, false),
        "output" => (false, false, true),
        "prerouting" | "ingress" => (true, true, false),
        _ => (false, true, true),
    };
    let mut pairs: Vec<[Side<'_>; 2]> = Vec::new();
    if inward {
        pairs.extend(hosts.iter().map(|host| [*host, firewall[0]]));
    }
    if through {
        for one in &scenario.hosts {
            let others = scenario
                .hosts
                .iter()
                .filter(|other| other.behind != one.behind);
            pairs.extend(others.map(|other| [Side::Host(one), Side::Host(other)]));
        }
    }
    if outward {
        pairs.extend(hosts.iter().map(|host| [firewall[0], *host]));
    }
    if hook != "forward" && (hook != "ingress") {
        pairs.push([Side::Firewall, Side::Firewall]);
    }
    let name_of = |side: &Side<'_>, to_itself: bool| match side {
        Side::Host(host) => Some(scenario.firewall.interfaces[host.behind].name.as_str()),
        Side::Firewall => to_itself.then_some("lo"),
    };
    pairs.retain(|[from, to]| {
        let itself = matches!((from, to), (Side::Firewall, Side::Firewall));
        let (iif, oif) = (name_of(from, itself), name_of(to, itself));
        let fits = |wanted: &Option<String>, name: Option<&str>| match (wanted, name) {
            (Some(wanted), Some(name)) => is_interface(wanted, name),
            (Some(_), None) => false,
            // Nobody means the loopback interface without saying so.
            (None, _) => true,
        };
        let named = wish.iif.is_some() || wish.oif.is_some();
        let spared = excluded.iter().all(|condition| {
            let [field] = condition.fields.as_slice() else {
                return true;
            };
            let name = match field {
                Field::Iif => iif,
                Field::Oif => oif,
                _ => return true,
            };
            let is = |value: &Vec<String>| name.is_some_and(|name| is_interface(&value[0], name));
            !condition.values.iter().any(is)
        });
        fits(&wish.iif, iif) && fits(&wish.oif, oif) && spared && (named || !itself)
    });
    let mut found: Vec<(usize, Ends)> = pairs
        .iter()
        .map(|[from, to]| {
            let claim = |field: Field, wanted: &Option<String>, side: &Side<'_>| {
                let of_field = |condition: &&&Condition| condition.fields == [field];
                let excluded = excluded.iter().filter(of_field);
                let excluded = excluded.flat_map(|condition| condition.values.iter().flatten());
                claimed(wanted.as_deref(), excluded.collect(), side, scenario, wish)
            };
            let source = claim(Field::Source, &wish.source, from);
            let destination = claim(Field::Destination, &wish.destination, to);
            let forged = usize::from(source.is_some()) + usize::from(destination.is_some());
            let ends = Ends {
                names: [from.name().to_owned(), to.name().to_owned()],
                source,
                destination,
            };
            (forged, ends)
        })
        .collect();
    // Packets that say their own addresses are the better tests.
    found.sort_by_key(|(forged, _)| *forged);
    let least = found.first().map(|(forged, _)| *forged);
    found.retain(|(forged, _)| Some(*forged) == least);
    found.truncate(MOST_ENDS);
    found.into_iter().map(|(_, ends)| ends).collect()
}

/// `eth*` means all that begin so, as `eth+` does for iptables.
fn is_interface(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix(['*', '+']) {
        Some(begin) => name.starts_with(begin),
        None => wanted == name,
    }
}

/// Addresses that are nobody's (RFC 5737, RFC 3849).
const NOBODY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, 0x77)),
];

/// The address that a packet has to claim if it is not the side's own.
fn claimed(
    wanted: Option<&str>,
    excluded: Vec<&String>,
    side: &Side<'_>,
    scenario: &Scenario,
    wish: &Wish,
) -> Option<IpAddr> {
    let own: Vec<IpAddr> = match side {
        Side::Host(host) => {
            let ipv4 = host.ipv4.map(IpAddr::V4);
            ipv4.into_iter().chain(host.ipv6.map(IpAddr::V6)).collect()
        }
        Side::Firewall => {
            let interfaces = scenario.firewall.interfaces.iter();
            interfaces
                .flat_map(|interface| interface.addresses.iter().map(IpNet::addr))
                .collect()
        }
    };
    let Some(wanted) = wanted else {
        let wrong = |address: &&IpAddr| excluded.iter().any(|value| covers(value, **address));
        let is_wrong = own.iter().find(wrong)?;
        let nobody = match wish.family {
            Some(Family::Ipv6) => NOBODY[1],
            Some(Family::Ipv4) => NOBODY[0],
            None if is_wrong.is_ipv6() => NOBODY[1],
            None => NOBODY[0],
        };
        return Some(nobody);
    };
    if own.iter().any(|address| covers(wanted, *address)) {
        return None;
    }
    let first = wanted.split_once('-').map_or(wanted, |(first, _)| first);
    match first.parse::<IpNet>() {
        // The first address of an IPv6 prefix is that of its routers (RFC 4291 section 2.6.1).
        Ok(net) => {
            let skipped = usize::from(net.addr().is_ipv6());
            Some(net.hosts().nth(skipped).unwrap_or(net.addr()))
        }
        Err(_) => first.parse().ok(),
    }
}

/// Whether an address is this one, or in this prefix or range.
fn covers(value: &str, address: IpAddr) -> bool {
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    if let Ok(net) = first.parse::<IpNet>() {
        return net.contains(&address);
    }
    match (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&address),
        _ => false,
    }
}

/// Packets that open a connection, or that belong to none.
fn packets(scenario: &Scenario, wish: &Wish, ends: &Ends) -> Vec<Attempt> {
    let invalid = wish.state.as_deref() == Some("invalid");
    let mut found = Vec::new();
    for protocol in wish.protocols() {
        let ports: Vec<String> = match &wish.dport {
            Some(port) => vec![port.clone()],
            None => {
                let mut ports = accepted_port(scenario, ends, protocol);
                ports.push(ODD_PORT.to_owned());
                ports
            }
        };
        match protocol {
            "tcp" => {
                let segments: &[&str] = match (&wish.flags, invalid) {
                    (Some(_), _) => &[""],
                    (None, true) => &["syn-ack", "rst", "null"],
                    (None, false) if wish.other_flags => &["ack", "fin", "null"],
                    (None, false) => &[""],
                };
                for port in &ports {
                    for segment in segments {
                        found.push(tcp(wish, ends, port, segment));
                    }
                }
            }
            "udp" | "sctp" | "udplite" => {
                for port in &ports {
                    found.push(datagram(wish, ends, protocol, port, invalid));
                }
            }
            "icmp" | "icmpv4" | "icmpv6" => {
                let usual = if invalid {
                    "echo-reply"
                } else {
                    "echo-request"
                };
                let kind = wish.icmp_type.as_deref().unwrap_or(usual);
                found.push(icmp(wish, ends, protocol, kind));
            }
            other => found.push(proto(wish, ends, other)),
        }
    }
    found.into_iter().map(|what| Attempt { what }).collect()
}

/// The first port of this protocol that a test of these ends says is open.
fn accepted_port(scenario: &Scenario, ends: &Ends, protocol: &str) -> Vec<String> {
    let sends = scenario.cases.iter().flat_map(|case| case.sends());
    let open = sends.filter(|send| matches!(send.expect.verdict, ExpectedVerdict::Accept(_)));
    let port = open
        .filter(|send| [send.from, send.to].map(|party| party_name(scenario, party)) == ends.names)
        .find_map(|send| service(send).filter(|(name, _)| *name == protocol));
    port.and_then(|(_, port)| port).into_iter().collect()
}

/// The header fields that the short form does not say.
fn ip(wish: &Wish, ends: &Ends) -> Option<String> {
    let fields = [
        ("source", ends.source.map(|address| address.to_string())),
        (
            "destination",
            ends.destination.map(|address| address.to_string()),
        ),
        ("ttl", wish.ttl.clone()),
        ("dscp", wish.dscp.clone()),
    ];
    let said: Vec<String> = fields
        .into_iter()
        .filter_map(|(name, value)| {
            let value = value?;
            // An IPv6 address may end with a colon, which a flow map would not read.
            Some(match value.contains(':') {
                true => format!("{name}: \"{value}\""),
                false => format!("{name}: {value}"),
            })
        })
        .collect();
    (!said.is_empty()).then(|| format!("ip: {{ {} }}, ", said.join(", ")))
}

fn what(wish: &Wish, ends: &Ends, short: Option<String>, long: &str) -> What {
    let names = ends.names.clone();
    match (ip(wish, ends), short, &wish.user, &wish.mark) {
        (None, Some(service), None, None) => What::Short {
            ends: names,
            service,
        },
        (header, _, user, mark) => {
            let own = names[0] == "firewall";
            What::Long {
                packet: format!("{{ {}{long} }}", header.unwrap_or_default()),
                ends: names,
                user: user.clone().filter(|_| own),
                mark: mark.clone().filter(|_| own),
            }
        }
    }
}

fn tcp(wish: &Wish, ends: &Ends, port: &str, segment: &str) -> What {
    let mut fields = format!("dport: {port}");
    if let Some(sport) = &wish.sport {
        fields += &format!(", sport: {sport}");
    }
    let flags = match (&wish.flags, segment) {
        (Some(flags), _) if flags.is_empty() || flags == "0x0" || flags == "none" => {
            Some("none".to_owned())
        }
        (Some(flags), _) => Some(format!("[{}]", flags.replace('|', ", "))),
        (None, "") => None,
        (None, "null") => Some("none".to_owned()),
        (None, segment) => Some(format!("[{}]", segment.replace('-', ", "))),
    };
    if let Some(flags) = &flags {
        fields += &format!(", flags: {flags}");
    }
    let short = (wish.sport.is_none() && wish.flags.is_none())
        .then(|| format!("tcp/{port} {segment}").trim_end().to_owned());
    what(wish, ends, short, &format!("tcp: {{ {fields} }}"))
}

fn datagram(wish: &Wish, ends: &Ends, protocol: &str, port: &str, invalid: bool) -> What {
    let mut fields = format!("dport: {port}");
    if let Some(sport) = &wish.sport {
        fields += &format!(", sport: {sport}");
    }
    if invalid {
        fields += ", checksum: bad";
    }
    let short = (wish.sport.is_none() && !invalid).then(|| format!("{protocol}/{port}"));
    what(wish, ends, short, &format!("{protocol}: {{ {fields} }}"))
}

fn icmp(wish: &Wish, ends: &Ends, protocol: &str, kind: &str) -> What {
    let code = wish.icmp_code.as_deref();
    let short = match code {
        Some(code) => format!("{protocol}/{kind}/{code}"),
        None => format!("{protocol}/{kind}"),
    };
    let code = code.map_or_else(String::new, |code| format!(", code: {code}"));
    let long = format!("{protocol}: {{ type: {kind}{code} }}");
    what(wish, ends, Some(short), &long)
}

fn proto(wish: &Wish, ends: &Ends, protocol: &str) -> What {
    match protocol.parse::<u8>() {
        Ok(number) => {
            let short = format!("proto/{number}");
            what(wish, ends, Some(short), &format!("protocol: {number}"))
        }
        Err(_) => what(
            wish,
            ends,
            Some(protocol.to_owned()),
            &format!("{protocol}: {{}}"),
        ),
    }
}

/// Connections of which some packet is in this state.
fn conversations(scenario: &Scenario, wish: &Wish, ends: &Ends) -> Vec<Attempt> {
    let related = wish.state.as_deref() == Some("related");
    let [one, other] = &ends.names;
    let mut openers: Vec<([String; 2], String, Option<String>)> = Vec::new();
    // What the scenario's own tests say is let in is the best beginning.
    for send in scenario.cases.iter().flat_map(|case| case.sends()) {
        let accepted = matches!(send.expect.verdict, ExpectedVerdict::Accept(_));
        let names = [send.from, send.to].map(|party| party_name(scenario, party));
        let same = names == [one.clone(), other.clone()] || names == [other.clone(), one.clone()];
        let plain = send.user.is_none() && send.mark.is_none() && send.connection.is_none();
        if !(accepted && same && plain) {
            continue;
        }
        if let Some((protocol, port)) = service(send) {
            let known = (openers.iter()).any(|(ends, of, _)| *ends == names && of == protocol);
            if !known {
                openers.push((names, protocol.to_owned(), port));
            }
        }
    }
    let asked = wish.protocols();
    openers.retain(|(_, protocol, port)| {
        let port_fits = wish.dport.is_none() || wish.dport == *port || wish.sport == *port;
        let protocol_fits = asked
            .iter()
            .any(|asked| asked.starts_with(protocol.as_str()));
        port_fits && protocol_fits
    });
    for protocol in asked {
        if matches!(protocol, "tcp" | "udp") {
            let port = wish.dport.clone().unwrap_or_else(|| "443".to_owned());
            let forth = [one.clone(), other.clone()];
            openers.push((forth, protocol.to_owned(), Some(port)));
            let port = wish.sport.clone().unwrap_or_else(|| "443".to_owned());
            let back = [other.clone(), one.clone()];
            openers.push((back, protocol.to_owned(), Some(port)));
        }
    }
    let steps = openers.into_iter().map(|([from, to], protocol, port)| {
        let arrow = format!("{from} -> {to}");
        let port = port.unwrap_or_default();
        let unreachable = "reply icmp/destination-unreachable/port-unreachable".to_owned();
        match protocol.as_str() {
            "tcp" if related => vec![format!("{arrow} tcp/{port} syn"), unreachable],
            "udp" if related => vec![format!("{arrow} udp/{port}"), unreachable],
            "tcp" => vec![
                format!("{arrow} tcp/{port} syn"),
                "reply syn-ack".to_owned(),
                format!("{arrow} tcp/{port} ack"),
            ],
            "udp" => vec![
                format!("{arrow} udp/{port}"),
                "reply".to_owned(),
                format!("{arrow} udp/{port}"),
            ],
            _ => vec![format!("{arrow} icmp/echo-request"), "reply".to_owned()],
        }
    });
    steps
        .map(|steps| Attempt {
            what: What::Steps(steps),
        })
        .collect()
}

/// What the short form calls an end of a test.
fn party_name(scenario: &Scenario, party: Party) -> String {
    match party {
        Party::Firewall(_) | Party::Loopback => "firewall".to_owned(),
        Party::Host(host) => scenario.hosts[host].name.clone(),
    }
}

/// Protocol and port of a packet, if it is a usual one.
fn service(send: &Send) -> Option<(&'static str, Option<String>)> {
    use firedrill_harness::packet::Transport;
    match &send.packet.transport {
        Transport::Tcp(tcp) if tcp.flags == 2 => Some(("tcp", Some(tcp.dport.to_string()))),
        Transport::Udp(udp) => Some(("udp", Some(udp.dport.to_string()))),
        Transport::Icmp(icmp) if matches!(icmp.kind, 8 | 128) => Some(("icmp", None)),
        _ => None,
    }
}

/// A text for a scalar of YAML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Attempt {
    /// The test in YAML, as an item of `tests:`. `outcomes` has one for each packet that is sent.
    pub(super) fn yaml(
        &self,
        name: Option<&str>,
        family: Option<Family>,
        outcomes: &[String],
    ) -> String {
        let outcome = outcomes.first().map_or("drop", String::as_str);
        let lines = |ends: &[String; 2], more: Vec<String>| {
            let mut lines = Vec::new();
            lines.extend(name.map(|name| format!("name: {}", quoted(name))));
            lines.push(format!("from: {}", ends[0]));
            lines.push(format!("to: {}", ends[1]));
            lines.extend(more);
            lines.extend(family.map(|family| format!("family: {family}")));
            lines.push(format!("expect: {outcome}"));
            format!("- {}\n", lines.join("\n  "))
        };
        match &self.what {
            What::Short { ends, service } if name.is_none() && family.is_none() => {
                format!("- {} -> {} {service}: {outcome}\n", ends[0], ends[1])
            }
            What::Short { ends, service } => {
                lines(ends, vec![format!("service: {}", quoted(service))])
            }
            What::Long {
                ends,
                packet,
                user,
                mark,
            } => {
                let mut more = vec![format!("packet: {packet}")];
                more.extend(user.as_ref().map(|user| format!("as: {}", quoted(user))));
                more.extend(mark.as_ref().map(|mark| format!("mark: {mark}")));
                lines(ends, more)
            }
            What::Steps(steps) => {
                let mut lines = Vec::new();
                lines.extend(name.map(|name| format!("name: {}", quoted(name))));
                lines.extend(family.map(|family| format!("family: {family}")));
                let outcomes = outcomes.iter().map(String::as_str);
                let usual = std::iter::repeat("accept");
                let steps = steps.iter().zip(outcomes.chain(usual));
                let steps: Vec<String> = steps
                    .map(|(step, outcome)| format!("\n    - {step}: {outcome}"))
                    .collect();
                lines.push(format!("steps:{}", steps.join("")));
                format!("- {}\n", lines.join("\n  "))
            }
        }
    }
}
