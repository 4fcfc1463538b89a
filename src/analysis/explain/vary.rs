//! Packets that differ from one that was asked for.

use std::{fmt, net::IpAddr};

use firedrill_harness::packet::{Cut, Icmp, Tcp, Transport, Udp, tcp_flag};

use crate::analysis::vocabulary::Vocabulary;
use crate::scenario::{
    Action, Case, Connection, Expectation, ExpectedVerdict, Family, Host, Looks, Party, Scenario,
    Send, Step,
};

/// The most ports that are tried with each other sender.
const PORTS_OF_OTHERS: usize = 12;
/// The most other senders.
const MAX_OTHERS: usize = 16;
/// The most addresses of the ruleset.
const MAX_ADDRESSES: usize = 24;

/// A packet that differs from another.
#[derive(Debug, Clone)]
pub(super) struct Variation {
    pub(super) differences: Vec<Difference>,
    pub(super) case: Case,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Another destination port: `tcp/80`.
    Port(String),
    /// Another sender: a host and its address, or an address of the ruleset.
    Source(String),
    /// Another receiver.
    Destination(String),
    /// Another interface through which it comes in.
    Interface(String),
    /// It belongs to a connection that the other end opened: that end.
    Answer(String),
    /// It begins a connection.
    Begins,
    /// Another protocol: `udp/443`.
    Protocol(String),
}

impl Difference {
    /// What kind of difference it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Port(_) => "port",
            Self::Source(_) => "source",
            Self::Destination(_) => "destination",
            Self::Interface(_) => "interface",
            Self::Answer(_) | Self::Begins => "state",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl Difference {
    /// Which of two that are as near comes first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Port(_) => 0,
            Self::Source(_) => 1,
            Self::Destination(_) => 2,
            Self::Interface(_) => 3,
            Self::Answer(_) | Self::Begins => 4,
            Self::Protocol(_) => 5,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "to {port}"),
            Self::Source(who) => write!(f, "from {who}"),
            Self::Destination(who) => write!(f, "to {who}"),
            Self::Interface(name) => write!(f, "in through {name}"),
            Self::Answer(who) => write!(f, "as the answer in a connection that {who} opened"),
            Self::Begins => f.write_str("as the first segment of a connection (syn)"),
            Self::Protocol(service) => write!(f, "as {service}"),
        }
    }
}

fn accepted() -> Expectation {
    Expectation::of(ExpectedVerdict::Accept(Looks::default()))
}

/// The usual answer to a packet, if it has one.
fn answer(send: &Send) -> Option<Send> {
    let packet = &send.packet;
    let plain = packet.cut == Cut::default()
        && packet.ip.fragment.is_none()
        && packet.source.is_none()
        && packet.destination.is_none()
        && send.connection.is_none_or(|connection| !connection.reply);
    if !plain {
        return None;
    }
    let transport = match &packet.transport {
        Transport::Tcp(tcp) if tcp.flags == tcp_flag::SYN => Transport::Tcp(Tcp {
            flags: tcp_flag::SYN | tcp_flag::ACK,
            ..tcp.clone()
        }),
        Transport::Udp(udp) => Transport::Udp(udp.clone()),
        // RFC 792 and RFC 4443: echo request and echo reply.
        Transport::Icmp(Icmp { kind: 8, .. }) if !send.source.is_ipv6() => echo_reply(0),
        Transport::Icmp(Icmp { kind: 128, .. }) if send.source.is_ipv6() => echo_reply(129),
        _ => return None,
    };
    let number = send.connection.map_or(0, |connection| connection.number);
    let mut back = Send {
        from: send.to,
        to: send.from,
        source: send.destination,
        destination: send.source,
        connection: Some(Connection {
            number,
            reply: true,
        }),
        repeat: None,
        user: None,
        mark: None,
        expect: accepted(),
        ..send.clone()
    };
    back.packet.transport = transport;
    Some(back)
}

fn echo_reply(kind: u8) -> Transport {
    Transport::Icmp(Icmp {
        kind,
        ..Icmp::default()
    })
}

/// Lets a case go on with the usual answer to its packet; false if it has none, or steps of its own.
pub(super) fn add_answer(case: &mut Case) -> bool {
    let [
        Step {
            action: Action::Send(send),
            at,
            ..
        },
    ] = case.steps.as_mut_slice()
    else {
        return false;
    };
    let Some(back) = answer(send) else {
        return false;
    };
    send.connection = Some(Connection {
        number: 0,
        reply: false,
    });
    let at = at.clone();
    case.steps.push(Step {
        text: "the answer".to_owned(),
        at,
        action: Action::Send(Box::new(back)),
    });
    true
}

/// The packet of a case that has only one.
fn only(case: &Case) -> Option<&Send> {
    match case.steps.as_slice() {
        [
            Step {
                action: Action::Send(send),
                ..
            },
        ] => Some(send),
        _ => None,
    }
}

/// Packets that differ from another.
#[derive(Debug, Default)]
pub(super) struct Variations {
    /// In one thing.
    pub(super) near: Vec<Variation>,
    /// In two.
    pub(super) further: Vec<Variation>,
}

/// Packets that differ from the only one of a case. Hosts that send them are added to the scenario.
pub(super) fn variations(
    scenario: &mut Scenario,
    case: &Case,
    vocabulary: &Vocabulary,
) -> Variations {
    let Some(asked) = only(case) else {
        return Variations::default();
    };
    let asked = Send {
        connection: None,
        repeat: None,
        expect: accepted(),
        ..asked.clone()
    };
    let family = case.family;
    let ports = ports(&asked, vocabulary);
    let others = others(scenario, &asked, family, vocabulary);
    let (mut found, mut further) = (Vec::new(), Vec::new());
    let with_port = |send: &Send, port: u16| {
        let mut send = send.clone();
        set_port(&mut send.packet.transport, port)?;
        let service = service(&send.packet.transport)?;
        Some((Difference::Port(service), send))
    };
    // Where there is not time for all, the kinds of which there are few come first.
    found.extend(as_answer(scenario, &asked).map(|(what, sends)| (vec![what], sends)));
    found.extend(changed(&asked).map(|(what, send)| (vec![what], vec![send])));
    for (what, send) in &others {
        found.push((vec![what.clone()], vec![send.clone()]));
    }
    for port in &ports {
        found.extend(with_port(&asked, *port).map(|(what, send)| (vec![what], vec![send])));
    }
    for (what, send) in &others {
        for port in ports.iter().take(PORTS_OF_OTHERS) {
            let both = with_port(send, *port);
            further.extend(both.map(|(port, send)| (vec![what.clone(), port], vec![send])));
        }
    }
    let variation = |(differences, sends): (Vec<Difference>, Vec<Send>)| Variation {
        differences,
        case: Case {
            steps: sends
                .into_iter()
                .map(|send| Step {
                    text: String::new(),
                    at: case.at.clone(),
                    action: Action::Send(Box::new(send)),
                })
                .collect(),
            ..case.clone()
        },
    };
    Variations {
        near: found.into_iter().map(variation).collect(),
        further: further.into_iter().map(variation).collect(),
    }
}

/// The same packet from others, to others, or through other interfaces.
fn others(
    scenario: &mut Scenario,
    asked: &Send,
    family: Family,
    vocabulary: &Vocabulary,
) -> Vec<(Difference, Send)> {
    let mut found = Vec::new();
    let address_of = |host: &Host| match family {
        Family::Ipv4 => host.ipv4.map(IpAddr::V4),
        Family::Ipv6 => host.ipv6.map(IpAddr::V6),
    };
    let own: Vec<IpAddr> = scenario
        .firewall
        .interfaces
        .iter()
        .flat_map(|interface| interface.addresses.iter().map(ipnet::IpNet::addr))
        .collect();
    let side_of = |party: Party| match party {
        Party::Host(host) => Some(scenario.hosts[host].behind),
        Party::Firewall(_) | Party::Loopback => None,
    };
    let (from_side, to_side) = (side_of(asked.from), side_of(asked.to));
    let hosts = scenario.hosts.iter().enumerate();
    let hosts: Vec<(usize, &Host, IpAddr)> = hosts
        .filter_map(|(number, host)| Some((number, host, address_of(host)?)))
        .filter(|(number, ..)| {
            let party = Party::Host(*number);
            party != asked.from && party != asked.to
        })
        .collect();
    let mut known: Vec<IpAddr> = own.clone();
    known.extend([asked.source, asked.destination]);
    let addresses = |known: &[IpAddr]| {
        let addresses = vocabulary.addresses.iter().copied();
        let other = addresses.filter(|address| {
            address.is_ipv6() == asked.source.is_ipv6() && !known.contains(address)
        });
        other.take(MAX_ADDRESSES).collect::<Vec<IpAddr>>()
    };
    if from_side.is_none() {
        if let Party::Loopback = asked.from {
            return found;
        }
        // The firewall itself asks: others whom it could ask.
        for (number, host, address) in hosts.into_iter().take(MAX_OTHERS) {
            let interface = &scenario.firewall.interfaces[host.behind];
            let mut nets = interface.addresses.iter().map(ipnet::IpNet::addr);
            let source = nets.find(|own| own.is_ipv6() == address.is_ipv6());
            let mut send = asked.clone();
            send.to = Party::Host(number);
            send.from = Party::Firewall(host.behind);
            send.destination = address;
            send.packet.destination = None;
            if let Some(source) = source.filter(|_| send.packet.source.is_none()) {
                send.source = source;
            }
            known.push(address);
            found.push((Difference::Destination(named(&host.name, address)), send));
        }
        for address in addresses(&known) {
            let mut send = asked.clone();
            send.destination = address;
            send.packet.destination = Some(address);
            found.push((Difference::Destination(address.to_string()), send));
        }
        return found;
    }
    for (number, host, address) in hosts.into_iter().take(MAX_OTHERS) {
        if to_side == Some(host.behind) {
            continue;
        }
        let mut send = asked.clone();
        send.from = Party::Host(number);
        send.source = address;
        send.packet.source = None;
        known.push(address);
        let mut who = named(&host.name, address);
        if from_side != Some(host.behind) {
            let name = &scenario.firewall.interfaces[host.behind].name;
            who += &format!(", in through {name}");
        }
        found.push((Difference::Source(who), send));
    }
    // Who has no address of its own sends from the one that was asked for.
    for side in 0..scenario.firewall.interfaces.len() {
        if Some(side) == from_side || Some(side) == to_side {
            continue;
        }
        let name = scenario.firewall.interfaces[side].name.clone();
        let nobody = Host {
            name: String::new(),
            behind: side,
            ipv4: None,
            ipv6: None,
        };
        let number = scenario.hosts.iter().position(|host| *host == nobody);
        let number = number.unwrap_or_else(|| {
            scenario.hosts.push(nobody);
            scenario.hosts.len() - 1
        });
        let mut send = asked.clone();
        send.from = Party::Host(number);
        send.packet.source = Some(asked.source);
        found.push((Difference::Interface(name), send));
    }
    for address in addresses(&known) {
        let mut send = asked.clone();
        send.source = address;
        send.packet.source = Some(address);
        found.push((Difference::Source(address.to_string()), send));
    }
    found
}

fn named(name: &str, address: IpAddr) -> String {
    let address = address.to_string();
    match name == address {
        true => address,
        false => format!("{name} ({address})"),
    }
}

/// The packet as the answer in a connection that its receiver opened.
fn as_answer(scenario: &Scenario, asked: &Send) -> Option<(Difference, Vec<Send>)> {
    if asked.packet.source.is_some() || asked.packet.destination.is_some() {
        return None;
    }
    let mut opener = Send {
        from: asked.to,
        to: asked.from,
        source: asked.destination,
        destination: asked.source,
        user: None,
        mark: None,
        connection: Some(Connection {
            number: 0,
            reply: false,
        }),
        ..asked.clone()
    };
    if let Transport::Tcp(tcp) = &mut opener.packet.transport {
        tcp.flags = tcp_flag::SYN;
    }
    let back = answer(&opener)?;
    let who = match asked.to {
        Party::Host(host) => scenario.hosts[host].name.clone(),
        Party::Firewall(_) | Party::Loopback => "the firewall".to_owned(),
    };
    Some((Difference::Answer(who), vec![opener, back]))
}

/// The packet with another protocol, or as the first of a connection.
fn changed(asked: &Send) -> impl Iterator<Item = (Difference, Send)> {
    let mut found = Vec::new();
    let with = |transport: Transport| {
        let mut send = asked.clone();
        send.packet.transport = transport;
        send
    };
    match &asked.packet.transport {
        Transport::Tcp(tcp) => {
            if tcp.flags != tcp_flag::SYN {
                let mut first = tcp.clone();
                first.flags = tcp_flag::SYN;
                found.push((Difference::Begins, with(Transport::Tcp(first))));
            }
            let other = Udp {
                sport: tcp.sport,
                dport: tcp.dport,
                ..Udp::default()
            };
            let name = format!("udp/{}", tcp.dport);
            found.push((Difference::Protocol(name), with(Transport::Udp(other))));
        }
        Transport::Udp(udp) => {
            let other = Tcp {
                sport: udp.sport,
                dport: udp.dport,
                flags: tcp_flag::SYN,
                ..Tcp::default()
            };
            let name = format!("tcp/{}", udp.dport);
            found.push((Difference::Protocol(name), with(Transport::Tcp(other))));
        }
        _ => {}
    }
    found.into_iter()
}

/// Other destination ports, the likeliest first.
fn ports(asked: &Send, vocabulary: &Vocabulary) -> Vec<u16> {
    let (ports, own) = match &asked.packet.transport {
        Transport::Tcp(tcp) => (&vocabulary.tcp, tcp.dport),
        Transport::Udp(udp) => (&vocabulary.udp, udp.dport),
        _ => return Vec::new(),
    };
    ports.iter().copied().filter(|port| *port != own).collect()
}

fn set_port(transport: &mut Transport, port: u16) -> Option<()> {
    match transport {
        Transport::Tcp(tcp) => tcp.dport = port,
        Transport::Udp(udp) => udp.dport = port,
        _ => return None,
    }
    Some(())
}

fn service(transport: &Transport) -> Option<String> {
    match transport {
        Transport::Tcp(tcp) => Some(format!("tcp/{}", tcp.dport)),
        Transport::Udp(udp) => Some(format!("udp/{}", udp.dport)),
        _ => None,
    }
}
