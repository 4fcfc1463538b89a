//! Recordings, interpreted: what each probe met according to the kernel, and according to the interpreter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    net::IpAddr,
    path::Path,
};

use firedrill::ruleset::{
    chain::Hook,
    interpret::{
        Bits, Endpoints, HookLayer, HostAddress, HostFacts, InterfaceFacts, Interpretation,
        Interpreter, KnownInterface, LinkFacts, Moment, PacketFacts, Passage, SocketFacts, State,
        Tracking, ether_type, tracking,
    },
    program::Program,
};
use firedrill_harness::{
    packet::{Packet, Relation, Transport, craft, relate_traced},
    protocol::{Direction, Evidence, Origin, Plan, Probe, Record, Step, Task, Trace, TraceEvent},
};

use crate::compare;

/// The harness's own table.
const TRACE_TABLE: &str = "firedrill_trace";

/// What was compared.
#[derive(Debug, Default)]
pub struct Totals {
    pub packets: usize,
    pub rules: usize,
    pub expressions: usize,
    /// Expressions whose result the interpreter does not know, by the reason.
    pub doubts: BTreeMap<String, usize>,
    pub disagreements: Vec<String>,
}

impl Totals {
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn percent_of_maybe(&self) -> f64 {
        let doubts: usize = self.doubts.values().sum();
        doubts as f64 * 100.0 / self.expressions.max(1) as f64
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} packets, {} rules, {} expressions, {:.3} % maybe: {:?}; {} disagreements\n{}",
            self.packets,
            self.rules,
            self.expressions,
            self.percent_of_maybe(),
            self.doubts,
            self.disagreements.len(),
            self.disagreements[..self.disagreements.len().min(5)].join("\n")
        )
    }
}

/// A packet in a base chain, as the trace shows it.
pub struct TracedChain<'t> {
    pub first: &'t TraceEvent,
    pub events: Vec<&'t TraceEvent>,
    is_probe: bool,
}

/// The traversals of a trace, of the probe and of other packets. The kernel's number of a packet is used again, so it
/// only means the packet whose headers came with it last.
fn traced_chains<'t>(trace: &'t Trace, packet: &Packet) -> Vec<TracedChain<'t>> {
    let mut chains: Vec<TracedChain> = Vec::new();
    let mut probes = BTreeSet::new();
    for event in &trace.events {
        let open = chains.iter().rposition(|chain| chain.first.id == event.id);
        let begins = match &event.packet {
            Some(bytes) => {
                if relate_traced(packet, &bytes.0) == Relation::Itself {
                    probes.insert(event.id);
                } else {
                    probes.remove(&event.id);
                }
                true
            }
            None => open.is_none_or(|open| {
                let first = chains[open].first;
                (&first.family, &first.table) != (&event.family, &event.table)
            }),
        };
        match open {
            Some(open) if !begins => chains[open].events.push(event),
            _ => chains.push(TracedChain {
                first: event,
                events: vec![event],
                is_probe: probes.contains(&event.id),
            }),
        }
    }
    // Tables of legacy iptables have a dump of their own, and their trace knows rules by other numbers.
    chains.retain(|chain| {
        chain.first.table != TRACE_TABLE && !chain.first.family.starts_with("legacy")
    });
    chains
}

/// One loading of a candidate, and what its packets have left.
struct Session<'p> {
    interpreter: Interpreter<'p>,
    program: &'p Program,
    plan: &'p Plan,
    state: State,
    tuples: BTreeSet<Tuple>,
}

type Tuple = (IpAddr, IpAddr, u8, u16, u16);

fn tuple(endpoints: Endpoints) -> Tuple {
    let Endpoints {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
    } = endpoints;
    // Type and code of ICMP are no part of what two messages have in common.
    match protocol {
        1 | 58 => (source, destination, protocol, source_port, source_port),
        _ => (source, destination, protocol, source_port, destination_port),
    }
}

/// Compares every packet of a recording.
pub fn check(recording: &Path, totals: &mut Totals) {
    let text = fs::read_to_string(recording).unwrap();
    let mut lines = text.lines();
    let plan: Plan = serde_json::from_str(lines.next().unwrap()).unwrap();
    let records: Vec<Record> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let Task::Drill(conversations) = &plan.task else {
        return;
    };
    let steps = conversations
        .iter()
        .flat_map(|conversation| &conversation.steps);
    let probes: BTreeMap<u32, &Probe> = steps
        .filter_map(|step| match step {
            Step::Probe(probe) => Some((probe.id, &**probe)),
            Step::Wait(_) | Step::Reload(_) | Step::Sweep(_) => None,
        })
        .collect();
    // Each loading begins with its ruleset.
    for sitting in records.split(|record| matches!(record, Record::Loaded(_))) {
        let Some(dump) = sitting.iter().find_map(|record| match record {
            Record::Ruleset(listing) => listing.program.as_ref(),
            _ => None,
        }) else {
            continue;
        };
        let program = Program::decode(&dump.0).unwrap();
        let mut session = Session::new(&program, &plan);
        for record in sitting {
            if let Record::Evidence(evidence) = record
                && let Some(probe) = probes.get(&evidence.probe)
            {
                session.compare(probe, evidence, totals);
            }
        }
    }
}

impl<'p> Session<'p> {
    fn new(program: &'p Program, plan: &'p Plan) -> Self {
        let addresses = plan.lab.interfaces.iter().flat_map(|interface| {
            interface.addresses.iter().map(|network| HostAddress {
                interface: interface.name.clone(),
                network: *network,
            })
        });
        let host = HostFacts {
            addresses: Some(addresses.collect()),
            routes: Some(
                plan.lab
                    .routes
                    .iter()
                    .map(|route| route.destination)
                    .collect(),
            ),
        };
        let mut state = State::default();
        // No run takes longer than its watchdog allows.
        state.now = Moment {
            earliest: 0,
            latest: Some(600_000_000_000),
        };
        Self {
            interpreter: Interpreter::new(program, host),
            program,
            plan,
            state,
            tuples: BTreeSet::new(),
        }
    }

    fn compare(&mut self, probe: &Probe, evidence: &Evidence, totals: &mut Totals) {
        let (from, packet) = match &evidence.sent {
            Some(sent) => (sent.from, &sent.packet),
            None => (probe.from, &probe.packet),
        };
        let chains = traced_chains(&evidence.trace, packet);
        // Other packets change the ruleset's memory too, some of them before the probe.
        let first = chains.iter().position(|chain| chain.is_probe).unwrap_or(0);
        self.run_others(&chains[..first]);
        let (own, others): (Vec<_>, Vec<_>) = chains
            .into_iter()
            .skip(first)
            .partition(|chain| chain.is_probe);
        let is_unsent = evidence.send_error.is_some() && own.is_empty();
        let bytes = craft(packet);
        if !evidence.trace.lost
            && !is_unsent
            && packet.cut.pieces.is_none()
            && is_ip(packet, &bytes)
        {
            let is_reply = probe
                .connection
                .is_some_and(|connection| connection.direction == Direction::Reply);
            let tracking = if is_reply {
                Tracking::Unknown
            } else {
                self.tracking(&bytes)
            };
            if let Some(passages) = self.passages(from, &own) {
                let facts = self.facts(packet, (bytes, tracking), from, probe.mark);
                let said = self.interpreter.run(&facts, &passages, &mut self.state);
                totals.packets += 1;
                count(&said, totals);
                if let Err(why) = compare::compare(&self.interpreter, &said, &own) {
                    let shown = compare::shown(&self.interpreter, &said, &own);
                    totals.disagreements.push(format!(
                        "probe {}: {why}\n{shown}\n{packet:?}",
                        evidence.probe
                    ));
                }
            }
        }
        self.run_others(&others);
    }

    /// What connection tracking says of a packet, unless an earlier one may be of its connection.
    fn tracking(&mut self, bytes: &[u8]) -> Tracking {
        let said = tracking::of_first_packet(bytes);
        let Some(endpoints) = tracking::endpoints_of(bytes) else {
            return said;
        };
        let (there, back) = (tuple(endpoints), tuple(endpoints.reversed()));
        let is_known = self.tuples.contains(&there) || self.tuples.contains(&back);
        match said {
            Tracking::Tracked(_) => {
                self.tuples.insert(there);
            }
            Tracking::Unknown | Tracking::Invalid | Tracking::Untracked => {}
        }
        if is_known { Tracking::Unknown } else { said }
    }

    fn facts(
        &self,
        packet: &Packet,
        (network, tracking): (Vec<u8>, Tracking),
        from: Origin,
        mark: u32,
    ) -> PacketFacts {
        let is_on_wire = matches!(from, Origin::Wire(_));
        // Broadcasts and multicast have other types; the packets here are for the firewall's own address.
        let is_for_host = is_on_wire
            && packet.ether.destination.is_none()
            && !packet.destination.is_multicast()
            && !packet.destination.to_string().ends_with(".255");
        PacketFacts {
            ether_type: ether_type_of(&network),
            network,
            link: if is_on_wire {
                LinkFacts::Unknown
            } else {
                LinkFacts::Absent
            },
            packet_type: is_for_host.then_some(0),
            mark: Some(mark),
            priority: None,
            tracking,
            socket: if is_on_wire {
                SocketFacts::Absent
            } else {
                SocketFacts::Unknown
            },
            has_security_path: Some(false),
        }
    }

    /// The hooks that the packet passes according to its trace; `None` where it comes in a second time.
    fn passages(&self, from: Origin, own: &[TracedChain]) -> Option<Vec<Passage>> {
        let hooks: Vec<Hook> = own.iter().filter_map(|chain| self.hook(chain)).collect();
        let output = own
            .iter()
            .find_map(|chain| chain.first.oif)
            .map_or(InterfaceFacts::Unknown, |index| self.interface(Some(index)));
        let absent = InterfaceFacts::Absent;
        let passage = |hook, input: &InterfaceFacts, output: &InterfaceFacts| Passage {
            hook,
            layer: match hook {
                Hook::Ingress | Hook::Egress => HookLayer::Device,
                _ => HookLayer::Network,
            },
            input: input.clone(),
            output: output.clone(),
        };
        let mut passages = Vec::new();
        let postrouting = hooks.contains(&Hook::Postrouting);
        match from {
            Origin::Wire(number) => {
                let input = self.interface(u32::try_from(number + 2).ok());
                passages.push(passage(Hook::Ingress, &input, &absent));
                passages.push(passage(Hook::Prerouting, &input, &absent));
                if hooks.contains(&Hook::Input) {
                    passages.push(passage(Hook::Input, &input, &absent));
                }
                if hooks.contains(&Hook::Forward) || postrouting {
                    passages.push(passage(Hook::Forward, &input, &output));
                }
                if postrouting {
                    passages.push(passage(Hook::Postrouting, &input, &output));
                }
            }
            Origin::Firewall => {
                if hooks.contains(&Hook::Prerouting) || hooks.contains(&Hook::Input) {
                    return None;
                }
                passages.push(passage(Hook::Output, &absent, &output));
                if postrouting {
                    passages.push(passage(Hook::Postrouting, &absent, &output));
                }
            }
        }
        Some(passages)
    }

    fn hook(&self, chain: &TracedChain) -> Option<Hook> {
        let TraceEvent {
            family,
            table,
            chain: name,
            ..
        } = chain.first;
        let table = self
            .program
            .tables
            .iter()
            .find(|found| found.family.to_string() == *family && found.name == *table)?;
        let chain = table.chains.iter().find(|found| found.name == *name)?;
        Some(chain.base.as_ref()?.hook)
    }

    /// The lab numbers its interfaces from 2, in the order of the plan; VLANs are not told apart.
    fn interface(&self, index: Option<u32>) -> InterfaceFacts {
        let Some(index) = index else {
            return InterfaceFacts::Absent;
        };
        let position = usize::try_from(index).unwrap().checked_sub(2);
        let interface = position.and_then(|position| self.plan.lab.interfaces.get(position));
        InterfaceFacts::Known(KnownInterface {
            name: interface.map(|interface| interface.name.clone()),
            index: Some(index),
            hardware: Some(1),
            group: Some(0),
            driver: None,
        })
    }

    /// Each packet once per hook, whose chains it meets together.
    fn run_others(&mut self, chains: &[TracedChain]) {
        let mut last = None;
        for chain in chains {
            let passed = Some((chain.first.id, self.hook(chain)));
            if last != passed {
                self.run_other(chain);
            }
            last = passed;
        }
    }

    /// A packet of which only the first bytes are known: it may change the ruleset's memory.
    fn run_other(&mut self, chain: &TracedChain) {
        let (Some(head), Some(hook)) = (&chain.first.packet, self.hook(chain)) else {
            return;
        };
        let mut network = head.0.clone();
        let length = match network[..] {
            [0x40..=0x4f, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])),
            [0x60..=0x6f, _, _, _, high, low, ..] => {
                40 + usize::from(u16::from_be_bytes([high, low]))
            }
            _ => return,
        };
        network.resize(length, 0);
        let facts = PacketFacts {
            ether_type: ether_type_of(&network),
            network,
            link: LinkFacts::Unknown,
            packet_type: None,
            mark: Some(chain.first.mark),
            priority: None,
            tracking: Tracking::Unknown,
            socket: SocketFacts::Unknown,
            has_security_path: Some(false),
        };
        let passage = Passage {
            hook,
            layer: match hook {
                Hook::Ingress | Hook::Egress => HookLayer::Device,
                _ => HookLayer::Network,
            },
            input: self.interface(chain.first.iif),
            output: self.interface(chain.first.oif),
        };
        let _ = self.interpreter.run(&facts, &[passage], &mut self.state);
    }
}

fn is_ip(packet: &Packet, bytes: &[u8]) -> bool {
    !matches!(packet.transport, Transport::Arp(_))
        && bytes
            .first()
            .is_some_and(|first| matches!(first >> 4, 4 | 6))
}

fn ether_type_of(network: &[u8]) -> u16 {
    match network.first().map(|first| first >> 4) {
        Some(6) => ether_type::IPV6,
        _ => ether_type::IPV4,
    }
}

fn count(said: &Interpretation, totals: &mut Totals) {
    for evaluation in said
        .traversals
        .iter()
        .flat_map(|traversal| &traversal.evaluations)
    {
        totals.rules += 1;
        totals.expressions += evaluation.possibly_evaluated;
        for (_, doubt) in &evaluation.doubts {
            *totals.doubts.entry(format!("{doubt:?}")).or_default() += 1;
        }
        debug_assert!(
            evaluation
                .loaded
                .iter()
                .all(|(_, bits): &(usize, Bits)| !bits.is_empty())
        );
    }
}
