//! From a scenario to a plan: names become addresses, ports, and packets with an identity.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{self, Packet, Transport},
    protocol::{
        Command, InterfaceSpec, LabSpec, NeighbourSpec, Origin, Plan, Probe, RouteSpec, Task,
        VERSION,
    },
};
use ipnet::IpNet;

use crate::{
    dialect::Prepared,
    scenario::{Case, Firewall, Party, Scenario, TransportSpec},
};

/// The upper half of the first probes' cookies: nothing that a real stack is likely to send.
const COOKIE_BASE: u32 = 0xfd00;

/// Probes without a source port get one of Linux' own ephemeral ports
/// (`net.ipv4.ip_local_port_range`), a different one each.
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// The usual TTL of a Linux host.
const DEFAULT_TTL: u8 = 64;

/// The plan for some cases of a scenario, in the order given. [`Probe::id`] is the position in
/// `cases`.
#[must_use]
pub fn plan(scenario: &Scenario, prepared: &Prepared, cases: &[&Case]) -> Plan {
    let probes = (0_u32..)
        .zip(cases)
        .map(|(id, case)| Probe {
            id,
            from: origin(scenario, case.from),
            packet: packet(case, id),
        })
        .collect();
    with_task(scenario, prepared, Task::Probe(probes))
}

/// The plan for an interactive shell in a scenario's lab.
#[must_use]
pub fn shell(scenario: &Scenario, prepared: &Prepared, command: Command) -> Plan {
    with_task(scenario, prepared, Task::Shell(command))
}

fn with_task(scenario: &Scenario, prepared: &Prepared, task: Task) -> Plan {
    Plan {
        version: VERSION,
        lab: lab(scenario),
        candidate: prepared.spec.clone(),
        task,
        blind: None,
    }
}

fn origin(scenario: &Scenario, from: Party) -> Origin {
    match from {
        Party::Firewall(_) => Origin::Firewall,
        Party::Host(host) => Origin::Wire(scenario.hosts[host].behind),
    }
}

/// The packet of a case.
fn packet(case: &Case, id: u32) -> Packet {
    // The low 16 bits are never zero: as an IPv4 identification, zero is filled in by the kernel.
    let cookie = ((COOKIE_BASE + id / 0xffff) << 16) | (id % 0xffff + 1);
    let ports = u32::from(EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start()) + 1;
    let own_port = EPHEMERAL_PORTS.start() + (id % ports) as u16;
    let (source, destination) = (case.source, case.destination);
    let transport = match case.packet.transport {
        TransportSpec::Tcp {
            sport,
            dport,
            flags,
        } => Transport::Tcp {
            sport: sport.unwrap_or(own_port),
            dport,
            flags: flags.0,
        },
        TransportSpec::Udp { sport, dport } => Transport::Udp {
            sport: sport.unwrap_or(own_port),
            dport,
        },
        TransportSpec::Icmp { kind, code } => {
            Transport::icmp(kind, code, cookie, source, destination)
        }
    };
    Packet {
        source,
        destination,
        ttl: case.packet.ttl.unwrap_or_else(|| usual_ttl(case)),
        cookie,
        transport,
    }
}

/// The hop limit that the protocol asks for: neighbour discovery 255 (RFC 4861 section 3.1), multicast
/// listener discovery 1 (RFC 2710 section 3, RFC 3810 section 5).
fn usual_ttl(case: &Case) -> u8 {
    match case.packet.transport {
        TransportSpec::Icmp { kind, .. } if case.source.is_ipv6() => match kind {
            kind if packet::is_neighbour_discovery(kind) => 255,
            130..=132 | 143 => 1,
            _ => DEFAULT_TTL,
        },
        TransportSpec::Icmp { .. } | TransportSpec::Tcp { .. } | TransportSpec::Udp { .. } => {
            DEFAULT_TTL
        }
    }
}

fn lab(scenario: &Scenario) -> LabSpec {
    let firewall = &scenario.firewall;
    let mut routes: Vec<RouteSpec> = firewall
        .routes
        .iter()
        .map(|route| RouteSpec {
            destination: route.destination,
            via: Some(route.via),
            interface: route.interface,
        })
        .collect();
    let mut neighbours: Vec<NeighbourSpec> = firewall
        .routes
        .iter()
        .map(|route| NeighbourSpec {
            interface: route.interface,
            address: route.via,
        })
        .collect();
    for host in &scenario.hosts {
        let addresses = host
            .ipv4
            .map(IpAddr::V4)
            .into_iter()
            .chain(host.ipv6.map(IpAddr::V6));
        for address in addresses {
            let reach = reach(firewall, host.behind, address);
            if reach == Reach::Route {
                continue;
            }
            neighbours.push(NeighbourSpec {
                interface: host.behind,
                address,
            });
            if reach == Reach::Nothing {
                routes.push(RouteSpec {
                    destination: IpNet::from(address),
                    via: None,
                    interface: host.behind,
                });
            }
        }
    }
    neighbours.sort_by_key(|neighbour| (neighbour.interface, neighbour.address));
    neighbours.dedup();
    LabSpec {
        interfaces: firewall
            .interfaces
            .iter()
            .map(|interface| InterfaceSpec {
                name: interface.name.clone(),
                addresses: interface.addresses.clone(),
            })
            .collect(),
        routes,
        neighbours,
        forwarding: firewall.forwarding,
        sysctl: firewall.sysctl.clone(),
    }
}

/// How the firewall reaches a host by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is on the link.
    Link,
    /// By one of the scenario's routes: through its gateway, wherever that is. A host whose address is
    /// routed elsewhere is one that spoofs.
    Route,
    /// Not at all: the lab adds a route.
    Nothing,
}

fn reach(firewall: &Firewall, behind: usize, address: IpAddr) -> Reach {
    let on_link = firewall
        .interfaces
        .get(behind)
        .is_some_and(|interface| interface.addresses.iter().any(|net| net.contains(&address)));
    if on_link {
        return Reach::Link;
    }
    let routed = firewall
        .routes
        .iter()
        .any(|route| route.destination.contains(&address));
    if routed { Reach::Route } else { Reach::Nothing }
}
