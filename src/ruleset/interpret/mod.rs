//! Runs the kernel's program on one packet: which rules are evaluated, in what order, which of them match, what they
//! decide, and what they read and write of the ruleset's memory.
//!
//! The kernel is the judge of packets; this is for questions about packets that were not sent, and about what the
//! trace does not show: rules that did not match, elements of sets, memory. It follows the kernel's functions one by
//! one, each named where it is followed. What depends on something that is not known (a fact that the caller does not
//! have, chance, time, an expression that is not modelled) is *maybe*, with the reason ([`Doubt`]), and never a guess:
//! every bit of a register is known or not ([`Bits`]), and a rule that may match is followed both ways
//! ([`Interpretation`]).
//!
//! It is pure: the same program, facts and state give the same answer.

mod bits;
mod certainty;
mod compare;
mod doubt;
mod evaluation;
mod facts;
mod hash;
mod headers;
mod index;
mod load;
mod lookup;
mod options;
mod packet;
mod properties;
mod record;
mod registers;
mod remember;
mod set;
mod state;
#[cfg(test)]
mod tests;
pub mod tracking;
mod translate;
mod walk;
mod xtables;

pub use self::{
    bits::Bits,
    certainty::Certainty,
    doubt::{Doubt, Fact},
    facts::{
        ConnectionFacts, ConnectionState, Endpoints, HostAddress, HostFacts, InterfaceFacts,
        KnownInterface, LinkFacts, PacketFacts, SocketFacts, Tracking,
    },
    index::ChainOfProgram,
    packet::{ConnectionOfPacket, LinkBytes, PacketState, TrackedConnection, ether_type},
    record::{
        AccessMode, ChainDecider, ChainEnd, ChainTraversal, ChainVerdict, Interpretation,
        RejectKind, RuleEvaluation, SetLookup, StateAccess, TranslatedEnd, TranslatedValue,
        Translation,
    },
    state::{Bounds, Bucket, CellContent, ElementMemory, Moment, State, StateCell, Tokens},
};
use self::{evaluation::Flow, headers::HeaderCheck, index::Index};
use super::{
    chain::{Family, Hook},
    program::{ChainKind, HookDevice, Program, ProgramBase, ProgramSet, xtables::XtState},
};

/// `NF_IP_PRI_CONNTRACK` (linux/netfilter_ipv4.h).
const CONNTRACK_PRIORITY: i32 = -200;
/// Bits of a connection's status that NAT sets without translating (`IPS_NAT_DONE_MASK`).
const STATUS_NAT_DONE: u32 = 0x180;

/// A program that packets can be run through.
#[derive(Debug)]
pub struct Interpreter<'p> {
    index: Index<'p>,
    host: HostFacts,
}

/// A hook that a packet passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The hook.
    pub hook: Hook,
    /// Of which part of the kernel.
    pub layer: HookLayer,
    /// Input interface (`nft_in`).
    pub input: InterfaceFacts,
    /// Output interface (`nft_out`).
    pub output: InterfaceFacts,
}

/// Which part of the kernel calls a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookLayer {
    /// A device: ingress and egress.
    Device,
    /// A bridge.
    Bridge,
    /// IPv4, IPv6 or ARP.
    Network,
}

impl<'p> Interpreter<'p> {
    /// Prepares a program.
    #[must_use]
    pub fn new(program: &'p Program, host: HostFacts) -> Self {
        Self {
            index: Index::new(program),
            host,
        }
    }

    /// The chain at a position that the interpreter has named.
    #[must_use]
    pub fn chain(&self, position: usize) -> ChainOfProgram<'p> {
        self.index.chains[position]
    }

    /// The set at a position that the interpreter has named.
    #[must_use]
    pub fn set(&self, position: usize) -> &'p ProgramSet {
        self.index.sets[position].set
    }

    /// Runs a packet through the hooks that it passes unless a chain stops it. What rules remember is written into
    /// `state`.
    #[must_use]
    pub fn run(
        &self,
        facts: &PacketFacts,
        passages: &[Passage],
        state: &mut State,
    ) -> Interpretation {
        let mut interpretation = Interpretation::default();
        let Some(first) = passages.first() else {
            return interpretation;
        };
        let mut tracking = ConnectionTracking::new(&facts.tracking, self.index.has_nat());
        let mut stopped: Option<State> = None;
        let mut flow = Some(Flow {
            packet: PacketState::new(facts, check(first)),
            state: state.clone(),
        });
        let mut is_on_wire = false;
        for passage in passages {
            let Some(mut entering) = flow.take() else {
                break;
            };
            if passage.hook == Hook::Forward && is_on_wire {
                entering.packet.forward();
            }
            is_on_wire |= matches!(passage.hook, Hook::Ingress | Hook::Prerouting);
            entering.packet.find_transport(check(passage));
            flow = self.hook(
                passage,
                entering,
                &mut tracking,
                (&mut interpretation, &mut stopped),
            );
        }
        interpretation.leaves = Some(match &flow {
            Some(flow) => flow.packet.reached,
            None => Certainty::No,
        });
        *state = match (flow, stopped) {
            (Some(flow), Some(stopped)) => flow.state.join(&stopped, |cell| self.initial(cell)),
            (Some(flow), None) => flow.state,
            (None, Some(stopped)) => stopped,
            (None, None) => state.clone(),
        };
        interpretation
    }

    /// Runs a packet through the base chains of a hook.
    fn hook(
        &self,
        passage: &Passage,
        flow: Flow,
        tracking: &mut ConnectionTracking,
        (interpretation, stopped): (&mut Interpretation, &mut Option<State>),
    ) -> Option<Flow> {
        let mut flow = flow;
        let families = families(passage, flow.packet.ether_type);
        for (chain, base) in self.index.base_chains_of(passage.hook, families) {
            tracking.meets(passage, &mut flow.packet, index::effective_priority(base));
            let enters = enters(passage, base).and(nat_certainty(base, &flow.packet));
            if enters == Certainty::No {
                continue;
            }
            let past = (enters == Certainty::Maybe).then(|| flow.clone());
            let mut entering = flow;
            let before = entering.packet.reached;
            entering.packet.reached = before.and(enters);
            let walked = walk::walk(self, passage, (chain, base), entering);
            interpretation.traversals.push(walked.traversal);
            interpretation.translations.extend(walked.translations);
            // What a rule remembers of a packet that a later rule stops is remembered all the same.
            state::join_states(stopped, walked.stopped, |cell| self.initial(cell));
            flow = match (walked.accepted, past) {
                (Some(mut accepted), Some(past)) => {
                    let leaves = accepted.packet.reached == before.and(enters);
                    accepted = accepted.join(&past, self);
                    accepted.packet.reached = if leaves { before } else { Certainty::Maybe };
                    accepted
                }
                (Some(accepted), None) => accepted,
                (None, Some(mut past)) => {
                    past.packet.reached = Certainty::Maybe;
                    past
                }
                (None, None) => return None,
            };
        }
        tracking.leaves(passage, &mut flow.packet);
        Some(flow)
    }

    /// What a cell holds that no packet has touched.
    fn initial(&self, cell: &StateCell) -> CellContent {
        match cell {
            StateCell::Expression {
                chain,
                rule,
                expression,
            } => {
                let rule = &self.index.chains[*chain].chain.rules[*rule];
                remember::fresh(&rule.expressions[*expression])
            }
            StateCell::Object { object } => {
                remember::fresh_object(&self.index.objects[*object].data)
            }
            StateCell::Element { set, key } => {
                let elements = &self.index.sets[*set].set.elements;
                let element = elements.iter().find(|element| element.key == *key);
                CellContent::Element(ElementMemory {
                    is_present: match element {
                        Some(element) if element.expiration_ms.is_some() => Certainty::Maybe,
                        Some(_) => Certainty::Yes,
                        None => Certainty::No,
                    },
                    data: None,
                    expires: None,
                })
            }
            StateCell::ElementExpression {
                set,
                key,
                expression,
            } => {
                let set = self.index.sets[*set].set;
                let element = set.elements.iter().find(|element| element.key == *key);
                let expressions = element.map_or(&set.expressions, |element| &element.expressions);
                expressions
                    .get(*expression)
                    .map_or(CellContent::Unknown, remember::fresh)
            }
            StateCell::Xtables(XtState::Hashlimit(_)) => CellContent::Consumed(Bounds::exactly(0)),
            StateCell::AnyElement { .. } | StateCell::Xtables(_) => CellContent::Unknown,
        }
    }
}

/// How strictly the headers are read at a hook.
fn check(passage: &Passage) -> HeaderCheck {
    match passage.layer {
        HookLayer::Network => HeaderCheck::Trusted,
        HookLayer::Device | HookLayer::Bridge => HeaderCheck::Validated,
    }
}

/// The families of tables whose chains a packet meets.
fn families(passage: &Passage, ether_type: u16) -> &'static [Family] {
    match (passage.layer, ether_type) {
        (HookLayer::Device, _) => &[Family::Netdev, Family::Inet],
        (HookLayer::Bridge, _) => &[Family::Bridge],
        (HookLayer::Network, ether_type::IPV4) => &[Family::Ip, Family::Inet, Family::LegacyIp],
        (HookLayer::Network, ether_type::IPV6) => &[Family::Ip6, Family::Inet, Family::LegacyIp6],
        (HookLayer::Network, ether_type::ARP) => &[Family::Arp],
        (HookLayer::Network, _) => &[],
    }
}

/// Whether a chain is for the interface of a hook.
fn enters(passage: &Passage, base: &ProgramBase) -> Certainty {
    let interface = match passage.hook {
        Hook::Ingress => &passage.input,
        Hook::Egress => &passage.output,
        Hook::Prerouting | Hook::Input | Hook::Forward | Hook::Output | Hook::Postrouting => {
            return Certainty::Yes;
        }
    };
    let InterfaceFacts::Known(KnownInterface {
        name: Some(name), ..
    }) = interface
    else {
        return Certainty::Maybe;
    };
    let is_for = |device: &HookDevice| match device {
        HookDevice::Named(device) => device == name,
        HookDevice::Prefix(prefix) => name.starts_with(prefix.as_str()),
    };
    Certainty::from(base.devices.iter().any(is_for))
}

/// Whether a NAT chain meets a packet: only the first of its connection, and only until one of them has chosen a
/// translation (`nf_nat_inet_fn`, net/netfilter/nf_nat_core.c).
fn nat_certainty(base: &ProgramBase, packet: &PacketState) -> Certainty {
    if base.kind != ChainKind::Nat {
        return Certainty::Yes;
    }
    let connection = match &packet.connection {
        ConnectionOfPacket::Unknown => return Certainty::Maybe,
        ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => return Certainty::No,
        ConnectionOfPacket::Tracked(connection) => connection,
    };
    let is_new = match connection.state {
        Some(ConnectionState::New) => Certainty::Yes,
        Some(ConnectionState::Established) => Certainty::No,
        // Errors are translated like the packets that they quote, without any chain.
        Some(ConnectionState::Related) | None => Certainty::Maybe,
    };
    let is_bound = match base.hook {
        Hook::Input | Hook::Postrouting => connection.has_source_binding,
        _ => connection.has_destination_binding,
    };
    is_new.and(!is_bound)
}

/// Connection tracking between the chains of a hook.
struct ConnectionTracking {
    /// What it will say of the packet; `None` once it has.
    pending: Option<ConnectionOfPacket>,
    /// Whether the program translates packets of this family at all.
    has_nat: bool,
    /// The hook in which the packet was translated like its connection.
    translated_at: Option<Hook>,
}

impl ConnectionTracking {
    fn new(tracking: &Tracking, has_nat: bool) -> Self {
        Self {
            pending: Some(ConnectionOfPacket::new(tracking)),
            has_nat,
            translated_at: None,
        }
    }

    /// `nf_nat_packet`: a packet of a connection that has a translation already is translated like it, without any
    /// chain. To what is not known.
    fn translate(&mut self, hook: Hook, packet: &mut PacketState) {
        if !self.has_nat || hook == Hook::Forward || self.translated_at == Some(hook) {
            return;
        }
        let may_be_bound = match &packet.connection {
            ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => false,
            ConnectionOfPacket::Unknown => true,
            ConnectionOfPacket::Tracked(connection) => connection.was_bound != Certainty::No,
        };
        if may_be_bound {
            self.translated_at = Some(hook);
            translate::forget_endpoints(packet);
        }
    }

    /// Before a chain of this priority.
    fn meets(&mut self, passage: &Passage, packet: &mut PacketState, priority: i32) {
        if passage.layer != HookLayer::Network {
            return;
        }
        let translates_at = match passage.hook {
            Hook::Prerouting | Hook::Output => index::NAT_DESTINATION_PRIORITY,
            _ => index::NAT_SOURCE_PRIORITY,
        };
        if priority >= translates_at {
            self.translate(passage.hook, packet);
        }
        let is_tracked_here = matches!(passage.hook, Hook::Prerouting | Hook::Output);
        if !is_tracked_here || priority > CONNTRACK_PRIORITY {
            self.track(packet);
        } else if priority == CONNTRACK_PRIORITY
            && self.pending.is_some()
            && packet.connection == ConnectionOfPacket::Absent
        {
            // Of equal priorities, the one that is registered later comes first.
            self.track(packet);
            packet.connection = ConnectionOfPacket::Unknown;
        }
    }

    /// `nf_conntrack_in`: leaves a packet alone that a rule has excepted.
    fn track(&mut self, packet: &mut PacketState) {
        let Some(connection) = self.pending.take() else {
            return;
        };
        match &packet.connection {
            ConnectionOfPacket::Absent if packet.has_template => {
                packet.connection = ConnectionOfPacket::Unknown;
            }
            ConnectionOfPacket::Absent => packet.connection = connection,
            ConnectionOfPacket::Untracked => {}
            ConnectionOfPacket::Unknown | ConnectionOfPacket::Tracked(_) => {
                packet.connection = ConnectionOfPacket::Unknown;
            }
        }
    }

    /// Behind the last chain of a hook.
    fn leaves(&mut self, passage: &Passage, packet: &mut PacketState) {
        if passage.layer != HookLayer::Network {
            return;
        }
        self.track(packet);
        self.translate(passage.hook, packet);
        self.translated_at = None;
        // `nf_nat_alloc_null_binding`: without a chain that chose one, there is a translation that changes nothing.
        if let ConnectionOfPacket::Tracked(connection) = &mut packet.connection {
            match passage.hook {
                Hook::Prerouting | Hook::Output => {
                    connection.has_destination_binding = Certainty::Yes;
                }
                Hook::Input | Hook::Postrouting => connection.has_source_binding = Certainty::Yes,
                Hook::Forward | Hook::Ingress | Hook::Egress => {}
            }
            connection.status = connection
                .status
                .with_unknown(&STATUS_NAT_DONE.to_ne_bytes());
        }
    }
}
