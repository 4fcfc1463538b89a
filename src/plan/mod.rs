//! From a scenario to a plan: names become addresses, ports, and packets with an identity.

pub mod describe;
mod lab;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    path::PathBuf,
};

use firedrill_harness::{
    packet::Packet,
    protocol::{
        self as wire, Command, Conversation, Direction, Origin, Plan, Probe, Step as PlannedStep,
        Task, VERSION, Watch,
    },
};
use firedrill_wire::Ranges;

use self::lab::lab;
use crate::{
    dialect::Loadable,
    scenario::{Action, Case, Party, Scenario, Send, Sweep},
};

/// The upper half of the first probes' cookies: nothing that a real stack is likely to send.
const COOKIE_BASE: u32 = 0xfd00;

/// Probes without a source port get one of Linux' own ephemeral ports
/// (`net.ipv4.ip_local_port_range`), a different one each.
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// A plan, and what its probes are for.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What [`Probe::id`] and `Reload::id` stand for.
    pub places: Vec<Place>,
}

/// Whether cases may share a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabSharing {
    /// Those that depend on nothing that others leave behind share one.
    Shared,
    /// Each case has a fresh one.
    Fresh,
}

/// What a probe of a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The position of its case, as it was given with the case.
    pub case: usize,
    /// Index into the steps of that case.
    pub step: usize,
}

/// The plan for some cases of a scenario, each with its position. Cases that share a lab come first in it, each of
/// the others has a fresh one.
#[must_use]
pub fn plan(
    scenario: &Scenario,
    prepared: &Loadable,
    reloads: &[(PathBuf, Loadable)],
    cases: &[(usize, &Case)],
    sharing: LabSharing,
) -> Planned {
    let mut planner = Planner {
        scenario,
        reloads,
        places: Vec::new(),
    };
    let isolated = isolated(cases, sharing);
    // Sweeps come behind the others that share their lab: they may fill tables.
    let sweeps = |case: &Case| {
        let mut steps = case.steps.iter();
        steps.any(|step| matches!(step.action, Action::Sweep(_)))
    };
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|index| (isolated[*index], sweeps(cases[*index].1)));
    let conversations = order.iter().map(|index| {
        let (position, case) = cases[*index];
        Conversation {
            isolated: isolated[*index],
            watch: watch(case),
            steps: planner.steps(position, case),
        }
    });
    let conversations = conversations.collect();
    let mut plan = with_task(scenario, prepared, Task::Drill(conversations));
    plan.reloads = reloads
        .iter()
        .map(|(_, other)| other.spec.clone())
        .collect();
    Planned {
        plan,
        places: planner.places,
    }
}

/// Ports of a sweep that are probed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reprobe {
    /// Which sweep.
    pub place: Place,
    /// Its ports.
    pub ports: Ranges,
    /// Whether each is probed one by one, with a trace.
    pub traced: bool,
    /// Whether they share a lab with others.
    pub sharing: LabSharing,
}

/// The plan for ports that are probed again; those that share a lab must come first.
#[must_use]
pub fn reprobes(
    scenario: &Scenario,
    prepared: &Loadable,
    cases: &[&Case],
    reprobes: &[Reprobe],
) -> Planned {
    let mut planner = Planner {
        scenario,
        reloads: &[],
        places: Vec::new(),
    };
    let conversations = reprobes.iter().filter_map(|reprobe| {
        let Place { case, step } = reprobe.place;
        let Action::Sweep(sweep) = &cases[case].steps[step].action else {
            return None;
        };
        Some(Conversation {
            isolated: reprobe.sharing == LabSharing::Fresh,
            watch: Watch::default(),
            steps: planner.sweep(sweep, reprobe),
        })
    });
    let conversations = conversations.collect();
    Planned {
        plan: with_task(scenario, prepared, Task::Drill(conversations)),
        places: planner.places,
    }
}

impl Planned {
    /// Lets every port of its sweeps be probed one by one.
    pub fn trace_sweeps(&mut self) {
        let Task::Drill(conversations) = &mut self.plan.task else {
            return;
        };
        for step in conversations.iter_mut().flat_map(|one| &mut one.steps) {
            if let PlannedStep::Sweep(sweep) = step {
                sweep.traced = true;
            }
        }
    }
}

/// Which cases must not share a lab with others: those that the firewall might remember, that change
/// it, or that look at what it remembers.
fn isolated(cases: &[(usize, &Case)], sharing: LabSharing) -> Vec<bool> {
    let mut ports = HashSet::new();
    let logs = |send: &Send| send.expect.also.log.is_some();
    let by_itself = |case: &Case| {
        case.steps.iter().any(|step| match &step.action {
            // What is logged may be limited by a rule that does nothing else.
            Action::Send(send) => send.repeat.is_some() || logs(send),
            Action::Wait(_) | Action::Reload(_) => true,
            Action::Sweep(_) => false,
        }) || !watch(case).is_nothing()
    };
    cases
        .iter()
        .map(|(_, case)| {
            // Probes have ports of their own, unless the scenario chooses them; then connection tracking
            // would take the second packet between the same ports for one of the first's connection.
            let mine: HashSet<_> = case.sends().filter_map(chosen_ports).collect();
            let taken = mine.iter().any(|ports_of| ports.contains(ports_of));
            ports.extend(mine);
            sharing == LabSharing::Fresh || taken || by_itself(case)
        })
        .collect()
}

/// The connection that a packet surely belongs to, where the scenario chooses its source port.
fn chosen_ports(send: &Send) -> Option<(u8, IpAddr, IpAddr, u16, u16)> {
    let packet = Packet::new(
        send.source,
        send.destination,
        0,
        send.packet.transport.clone(),
    );
    let (sport, dport) = packet.ports().filter(|_| !send.packet.free_port)?;
    Some((
        packet.protocol(),
        send.source,
        send.destination,
        sport,
        dport,
    ))
}

/// What a case wants to know beside its packets.
fn watch(case: &Case) -> Watch {
    let mut watch = Watch::default();
    for also in case.sends().map(|send| &send.expect.also) {
        watch.state |= also.state.is_some();
        watch.listing |=
            !(also.counters.is_empty() && also.in_set.is_empty() && also.not_in_set.is_empty());
        watch
            .log_groups
            .extend(also.log.as_ref().and_then(|log| log.group));
    }
    watch.log_groups.sort_unstable();
    watch.log_groups.dedup();
    watch
}

struct Planner<'a> {
    scenario: &'a Scenario,
    reloads: &'a [(PathBuf, Loadable)],
    places: Vec<Place>,
}

impl Planner<'_> {
    fn steps(&mut self, position: usize, case: &Case) -> Vec<PlannedStep> {
        // The first probe of each connection of the case.
        let mut opened: HashMap<usize, u32> = HashMap::new();
        let mut steps = Vec::with_capacity(case.steps.len());
        for (index, step) in case.steps.iter().enumerate() {
            let place = Place {
                case: position,
                step: index,
            };
            match &step.action {
                Action::Send(send) => {
                    let count = send.repeat.map_or(1, |repeat| repeat.count);
                    let pause = send.repeat.and_then(|repeat| repeat.within);
                    let pause = pause.map_or(0, |within| {
                        let pause = within.as_micros() / u128::from(count);
                        u64::try_from(pause).unwrap_or(u64::MAX)
                    });
                    for nth in 0..count {
                        let id = self.place(place);
                        let opener = match send.connection {
                            Some(connection) => *opened.entry(connection.number).or_insert(id),
                            None => id,
                        };
                        let pause_us = if nth == 0 { 0 } else { pause };
                        // Each packet of a series opens a connection of its own; numbered from the other end.
                        let alone = wire::Connection {
                            number: u32::MAX - id,
                            direction: Direction::Original,
                        };
                        let probe = self.probe(send, id, opener);
                        let connection = probe.connection.or(send.repeat.map(|_| alone));
                        steps.push(PlannedStep::Probe(Box::new(Probe {
                            pause_us,
                            connection,
                            ..probe
                        })));
                    }
                }
                Action::Sweep(sweep) => {
                    steps.extend(self.sweep(
                        sweep,
                        &Reprobe {
                            place,
                            ports: sweep.numbers.clone(),
                            traced: false,
                            sharing: LabSharing::Shared,
                        },
                    ));
                }
                Action::Wait(time) => {
                    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                    steps.push(PlannedStep::Wait(us));
                }
                Action::Reload(reload) => {
                    let id = self.place(place);
                    let mut reloads = self.reloads.iter();
                    let candidate = reloads.position(|(path, _)| *path == reload.candidate);
                    steps.push(PlannedStep::Reload(wire::Reload {
                        id,
                        // All that the cases name were prepared.
                        candidate: candidate.unwrap_or(usize::MAX),
                        meanwhile: reload
                            .meanwhile
                            .as_ref()
                            .map(|send| Box::new(self.probe(send, id, id))),
                    }));
                }
            }
        }
        steps
    }

    /// A sweep: ports in one step, everything else one by one.
    fn sweep(&mut self, sweep: &Sweep, reprobe: &Reprobe) -> Vec<PlannedStep> {
        let mut numbers = reprobe.ports.iter();
        if !sweep.over.has_ports() {
            let probe = |number| {
                let id = self.place(reprobe.place);
                PlannedStep::Probe(Box::new(swept(self.scenario, sweep, number, id)))
            };
            return numbers.map(probe).collect();
        }
        let step = |first| {
            let id = self.place(reprobe.place);
            PlannedStep::Sweep(Box::new(wire::Sweep {
                probe: swept(self.scenario, sweep, first, id),
                ports: reprobe.ports.clone(),
                traced: reprobe.traced,
            }))
        };
        numbers.next().map(step).into_iter().collect()
    }

    /// The next number, and what it is for.
    fn place(&mut self, place: Place) -> u32 {
        self.places.push(place);
        // A scenario has at most some hundred thousand.
        (self.places.len() - 1) as u32
    }

    /// A probe; its connection has the ports of the probe `opener`.
    fn probe(&self, send: &Send, id: u32, opener: u32) -> Probe {
        let reply = send.connection.is_some_and(|connection| connection.reply);
        Probe {
            id,
            from: origin(self.scenario, send.from),
            packet: packet(send, id, opener),
            connection: send.connection.map(|connection| wire::Connection {
                // The number of a step.
                number: connection.number as u32,
                direction: if reply {
                    Direction::Reply
                } else {
                    Direction::Original
                },
            }),
            pause_us: 0,
            user: send.user.clone(),
            mark: send.mark.unwrap_or_default(),
        }
    }
}

/// The probe of one number of a sweep.
#[must_use]
pub fn swept(scenario: &Scenario, sweep: &Sweep, number: u16, id: u32) -> Probe {
    let packet = sweep.over.packet(number);
    let (source, destination) = (sweep.source, sweep.destination);
    Probe {
        id,
        from: origin(scenario, sweep.from),
        packet: packet.between(source, destination, cookie(id), own_port(id)),
        connection: None,
        pause_us: 0,
        user: None,
        mark: 0,
    }
}

/// The plan for an interactive shell in a scenario's lab.
#[must_use]
pub fn shell(scenario: &Scenario, prepared: &Loadable, command: Command) -> Plan {
    with_task(scenario, prepared, Task::Shell(command))
}

fn with_task(scenario: &Scenario, prepared: &Loadable, task: Task) -> Plan {
    Plan {
        version: VERSION,
        lab: lab(scenario),
        candidate: prepared.spec.clone(),
        reloads: Vec::new(),
        task,
        blind: None,
    }
}

fn origin(scenario: &Scenario, from: Party) -> Origin {
    match from {
        Party::Firewall(_) | Party::Loopback => Origin::Firewall,
        Party::Host(host) => Origin::Wire(scenario.hosts[host].behind),
    }
}

/// What a probe is recognised by. The low 16 bits are never zero: as an IPv4 identification, zero is filled in by
/// the kernel.
fn cookie(id: u32) -> u32 {
    ((COOKIE_BASE + id / 0xffff) << 16) | (id % 0xffff + 1)
}

/// The source port of a connection of its own.
fn own_port(id: u32) -> u16 {
    let ports = u32::from(EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start()) + 1;
    EPHEMERAL_PORTS.start() + (id % ports) as u16
}

/// The packet of a step. Its connection has the ports of the probe `opener`, the other way round in a
/// reply.
fn packet(send: &Send, id: u32, opener: u32) -> Packet {
    let mut packet =
        send.packet
            .between(send.source, send.destination, cookie(id), own_port(opener));
    if send.connection.is_some_and(|connection| connection.reply) {
        packet.transport.turn();
    }
    packet
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rstest::rstest;

    use super::*;
    use crate::{
        dialect::{Config, Layer, nftables},
        scenario::{Firewall, Host, Interface, Route, Sandbox},
    };

    fn scenario(routes: Vec<Route>, address: &str, behind: usize) -> Scenario {
        let interface = |name: &str, net: &str| Interface {
            name: name.to_owned(),
            addresses: vec![net.parse().unwrap()],
            vlan: None,
        };
        Scenario {
            id: "plan".to_owned(),
            against: None,
            file: PathBuf::from("plan.yaml"),
            name: "plan".to_owned(),
            purpose: None,
            tags: Vec::new(),
            sandbox: Sandbox::Machine,
            firewall: Firewall {
                candidate: Config::of(&nftables::DIALECT, "plan.nft"),
                candidates: Vec::new(),
                layers: vec![Layer::Candidate],
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
        let scenario = crate::scenario::parse(text, &file, "x").unwrap().remove(0);
        let cases: Vec<(usize, &Case)> = (0..140_000)
            .map(|position| (position, &scenario.cases[0]))
            .collect();
        let planned = plan(
            &scenario,
            &nftables::literal("x.nft", ""),
            &[],
            &cases,
            LabSharing::Shared,
        );
        let Task::Drill(conversations) = planned.plan.task else {
            unreachable!()
        };
        let cookies: std::collections::BTreeSet<u32> = conversations
            .iter()
            .flat_map(|conversation| &conversation.steps)
            .map(|step| match step {
                PlannedStep::Probe(probe) => probe.packet.cookie,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(cookies.len(), cases.len());
        assert!(cookies.iter().all(|cookie| cookie & 0xffff != 0));
    }
}
