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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rstest::rstest;

    use super::*;
    use crate::{
        dialect::nftables,
        scenario::{Candidate, Host, Interface, Route},
    };

    fn scenario(routes: Vec<Route>, address: &str, behind: usize) -> Scenario {
        let interface = |name: &str, net: &str| Interface {
            name: name.to_owned(),
            addresses: vec![net.parse().unwrap()],
        };
        Scenario {
            id: "plan".to_owned(),
            file: PathBuf::from("plan.yaml"),
            name: "plan".to_owned(),
            purpose: None,
            tags: Vec::new(),
            firewall: Firewall {
                candidate: Candidate::Nftables("plan.nft".into()),
                files: Vec::new(),
                interfaces: vec![
                    interface("eth0", "192.0.2.10/24"),
                    interface("eth1", "10.0.0.1/24"),
                ],
                forwarding: true,
                routes,
                sysctl: Vec::new(),
            },
            hosts: vec![Host {
                name: "host".to_owned(),
                behind,
                ipv4: Some(address.parse().unwrap()),
                ipv6: None,
            }],
            cases: Vec::new(),
        }
    }

    fn default_route() -> Vec<Route> {
        vec![Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            via: "192.0.2.1".parse().unwrap(),
            interface: 0,
        }]
    }

    #[rstest]
    #[case::on_the_link(vec![], "10.0.0.5", 1, &[], &["1 10.0.0.5"])]
    #[case::beyond_the_link_without_a_route(
        vec![], "198.51.100.7", 0, &["198.51.100.7/32 dev 0"], &["0 198.51.100.7"]
    )]
    #[case::behind_a_gateway(
        default_route(), "198.51.100.7", 0, &["0.0.0.0/0 via 192.0.2.1 dev 0"], &["0 192.0.2.1"]
    )]
    #[case::on_the_wrong_side_of_the_default_route(
        default_route(), "198.51.100.7", 1, &["0.0.0.0/0 via 192.0.2.1 dev 0"], &["0 192.0.2.1"]
    )]
    fn a_host_is_reached_as_the_scenario_says(
        #[case] routes: Vec<Route>,
        #[case] address: &str,
        #[case] behind: usize,
        #[case] expected_routes: &[&str],
        #[case] expected_neighbours: &[&str],
    ) {
        let lab = lab(&scenario(routes, address, behind));
        let routes: Vec<String> = lab
            .routes
            .iter()
            .map(|route| match route.via {
                Some(via) => format!("{} via {via} dev {}", route.destination, route.interface),
                None => format!("{} dev {}", route.destination, route.interface),
            })
            .collect();
        let neighbours: Vec<String> = lab
            .neighbours
            .iter()
            .map(|neighbour| format!("{} {}", neighbour.interface, neighbour.address))
            .collect();
        assert_eq!(routes, expected_routes);
        assert_eq!(neighbours, expected_neighbours);
    }

    #[test]
    fn every_probe_of_a_large_plan_has_an_identity_of_its_own() {
        let text = "firewall:\n  nftables: x.nft\n  interfaces: { eth0: 192.0.2.10/24 }\n\
                    hosts:\n  a: { behind: eth0, address: 192.0.2.7 }\n\
                    tests:\n  - a -> firewall tcp/443: drop\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.nft"), "").unwrap();
        let file = folder.path().join("x.yaml");
        let scenario = crate::scenario::parse(text, &file, "x").unwrap();
        let cases: Vec<&Case> = std::iter::repeat_n(&scenario.cases[0], 140_000).collect();
        let plan = plan(&scenario, &nftables::literal("x.nft", ""), &cases);
        let Task::Probe(probes) = plan.task else {
            unreachable!()
        };
        let cookies: std::collections::BTreeSet<u32> =
            probes.iter().map(|probe| probe.packet.cookie).collect();
        assert_eq!(cookies.len(), probes.len());
        assert!(cookies.iter().all(|cookie| cookie & 0xffff != 0));
    }
}
