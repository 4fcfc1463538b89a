//! The way of a packet through the ruleset, read once from the kernel's trace.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use firedrill_harness::{
    STATE_CHAIN, TRACE_TABLE,
    packet::{Answer, Packet, Relation, Seen, relate_traced},
    protocol::{Evidence, Probe, Trace, TraceEvent, TraceKind, TraceVerdict},
};

use super::decider::{Decider, Policy, Rule};
use crate::ruleset::{chain::Chain, legacy::LEGACY, listing::Ruleset};

/// One packet as it was sent, and what was observed of it.
#[derive(Debug, Clone)]
pub struct Observation<'e> {
    /// The probe as the plan has it.
    pub planned: &'e Probe,
    /// The probe as it was sent, which differs from the plan where its conversation made it so.
    pub sent: Cow<'e, Probe>,
    /// What was observed.
    pub evidence: &'e Evidence,
    /// The trace of the evidence, as the way of the packet that was sent.
    pub way: Way<'e>,
}

impl<'e> Observation<'e> {
    /// Reads the evidence of a probe. The events of legacy iptables must be complete: `legacy::complete`.
    #[must_use]
    pub fn of(planned: &'e Probe, evidence: &'e Evidence) -> Self {
        let mut sent = Cow::Borrowed(planned);
        if let Some(changed) = &evidence.sent {
            let sent = sent.to_mut();
            sent.from = changed.from;
            sent.packet = changed.packet.clone();
        }
        Self {
            planned,
            way: Way::of(&evidence.trace, &sent.packet),
            sent,
            evidence,
        }
    }

    /// Whether the trace has all of the way: no event was lost, and the packet was processed to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.evidence.observed.barrier && !self.evidence.trace.lost
    }
}

/// What a trace shows of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way<'t> {
    /// Whether the trace shows the packet at all.
    pub has_entered: bool,
    /// The packet's traversals of base chains. Where two packets are the probe, because a rule has copied it, they
    /// may overlap; each comes when it has ended, `Traversal::begin` says when it began.
    pub traversals: Vec<Traversal<'t>>,
    /// Likewise of the error that was sent because of the packet.
    pub of_error: Vec<Traversal<'t>>,
    /// The state that connection tracking gave the packet: the first of the harness's own chains that matched.
    /// `None` if the trace does not show it.
    pub state: Option<&'t str>,
    /// The packet's mark after the last rule or policy on its way.
    pub mark: Option<u32>,
}

/// A packet's way through one base chain and the chains to which it jumps, which are all of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traversal<'t> {
    /// The base chain.
    pub chain: Chain,
    /// The headers with which the packet came here, if the trace shows them.
    pub headers: Option<Seen<'t>>,
    /// The events, in order; at least one.
    pub events: Vec<&'t TraceEvent>,
    /// What the last event with a verdict says.
    pub end: End<'t>,
    /// The index of the first event in the trace.
    pub begin: usize,
}

/// How a traversal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'t> {
    /// The packet goes on, because of this rule or policy.
    Accept(&'t TraceEvent),
    /// The packet is dropped, by this rule or policy.
    Drop(&'t TraceEvent),
    /// The packet was handed to something else than the next hook.
    HandedOver(&'static str),
    /// The trace says nothing final.
    Open,
}

/// Which packet of a trace an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traced {
    /// The probe.
    Probe,
    /// The error that was sent because of it.
    Error,
}

impl Traced {
    fn of(probe: &Packet, shown: &[u8]) -> Option<Self> {
        match relate_traced(probe, shown) {
            Relation::Itself => Some(Self::Probe),
            Relation::Answer(Answer::TcpReset | Answer::IcmpError { .. }) => Some(Self::Error),
            Relation::Answer(Answer::Other) | Relation::Unrelated => None,
        }
    }
}

impl<'t> Way<'t> {
    /// Reads the way of a probe, as it was sent.
    #[must_use]
    pub fn of(trace: &'t Trace, probe: &Packet) -> Self {
        let mut way = Self::default();
        // The kernel numbers packets by where they are in memory, which is used again; so a number only
        // means the packet whose headers came with it last.
        let mut packets: BTreeMap<u32, Traced> = BTreeMap::new();
        let mut open: Vec<(u32, Traced, Traversal<'t>)> = Vec::new();
        for (index, event) in trace.events.iter().enumerate() {
            if let Some(shown) = &event.packet {
                match Traced::of(probe, &shown.0) {
                    Some(traced) => packets.insert(event.id, traced),
                    None => packets.remove(&event.id),
                };
            }
            let traced = packets.get(&event.id).copied();
            if traced == Some(Traced::Probe) {
                way.note(event);
            }
            let mut position = open.iter().position(|(id, ..)| *id == event.id);
            if let Some(ended) = position.filter(|at| !open[*at].2.goes_on_with(event)) {
                let (_, traced, traversal) = open.remove(ended);
                way.add(traced, traversal);
                position = None;
            }
            match (position, traced) {
                (Some(position), _) => open[position].2.add(event),
                (None, Some(traced)) if event.table != TRACE_TABLE => {
                    let traversal = Traversal::begin(index, event, probe.protocol());
                    open.push((event.id, traced, traversal));
                }
                (None, Some(_) | None) => {}
            }
        }
        for (_, traced, traversal) in open {
            way.add(traced, traversal);
        }
        way
    }

    /// Takes what an event says of the probe, in the harness's own chains too.
    fn note(&mut self, event: &'t TraceEvent) {
        self.has_entered = true;
        self.mark = Some(event.mark);
        // The end of a chain is an event of a rule too, of one without a handle.
        if self.state.is_none() && event.table == TRACE_TABLE && event.handle.is_some() {
            let state = event.chain.strip_prefix(STATE_CHAIN);
            self.state = state.map(|state| state.trim_end_matches("-out"));
        }
    }

    fn add(&mut self, traced: Traced, traversal: Traversal<'t>) {
        match traced {
            Traced::Probe => self.traversals.push(traversal),
            Traced::Error => self.of_error.push(traversal),
        }
    }

    /// The traversals of the packet and of the error.
    pub fn all(&self) -> impl Iterator<Item = &Traversal<'t>> {
        self.traversals.iter().chain(&self.of_error)
    }

    /// What let an accepted packet pass: the last rule with this verdict in a filter chain of this hook in one of
    /// these families; without one, the last policy there. `None` if there are such chains and the trace shows none
    /// of them: a candidate may switch the trace off (`meta nftrace set 0`).
    #[must_use]
    pub fn accepted_by(&self, ruleset: &Ruleset, hook: &str, families: &[&str]) -> Option<Decider> {
        let decides = |chain: &Chain| {
            let base = ruleset.chain(chain).and_then(|info| info.base.as_ref());
            base.is_some_and(|base| base.kind == "filter" && base.hook == hook)
                && families.contains(&chain.family.as_str())
        };
        let mut by_policy = None;
        let mut by_rule = None;
        let traversals = self.traversals.iter();
        let mut deciding: Vec<&Traversal<'_>> = traversals
            .filter(|traversal| decides(&traversal.chain))
            .collect();
        // The traces of nftables and of legacy iptables come apart; each is in its own order.
        if deciding.iter().any(|traversal| traversal.is_legacy())
            && !deciding.iter().all(|traversal| traversal.is_legacy())
        {
            deciding.sort_by_key(|traversal| ruleset.place(&traversal.chain));
        }
        for traversal in deciding {
            match traversal.end {
                End::Accept(event) => match (event.kind, event.handle) {
                    (TraceKind::Rule, Some(_)) => by_rule = Some((traversal, event)),
                    _ => by_policy = Some((traversal, event)),
                },
                End::Drop(_) | End::HandedOver(_) | End::Open => {}
            }
        }
        let decider = by_rule.or(by_policy);
        let decider = decider.map(|(traversal, event)| traversal.decider(event, ruleset));
        let none = || {
            let mut chains = ruleset.chains();
            (!chains.any(|(chain, _)| decides(chain))).then_some(Decider::NoChain)
        };
        decider.or_else(none)
    }
}

impl<'t> Traversal<'t> {
    fn begin(begin: usize, first: &'t TraceEvent, protocol: u8) -> Self {
        let shown = first.packet.as_ref();
        let mut traversal = Self {
            chain: Chain {
                family: first.family.clone(),
                table: first.table.clone(),
                name: first.chain.clone(),
            },
            headers: shown.and_then(|shown| Seen::parse_traced(&shown.0, protocol)),
            events: Vec::new(),
            end: End::Open,
            begin,
        };
        traversal.add(first);
        traversal
    }

    /// Whether the next event of the same packet is part of it. The first event of a base chain shows the packet.
    /// A packet that was stolen cannot be shown any more, not even then; but no chain leads into another table.
    fn goes_on_with(&self, event: &TraceEvent) -> bool {
        let of_table = (&self.chain.family, &self.chain.table);
        event.packet.is_none() && of_table == (&event.family, &event.table)
    }

    fn add(&mut self, event: &'t TraceEvent) {
        self.events.push(event);
        match &event.verdict {
            TraceVerdict::Drop => self.end = End::Drop(event),
            TraceVerdict::Accept => self.end = End::Accept(event),
            TraceVerdict::Queue => self.end = End::HandedOver("a queue"),
            TraceVerdict::Stolen => self.end = End::HandedOver("another part of the kernel"),
            TraceVerdict::Other(_) => self.end = End::HandedOver("something unknown"),
            TraceVerdict::Continue
            | TraceVerdict::Break
            | TraceVerdict::Untold
            | TraceVerdict::Jump(_)
            | TraceVerdict::Goto(_)
            | TraceVerdict::Return => {}
        }
    }

    /// Whether it is of a table of legacy iptables.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.chain.family.starts_with(LEGACY)
    }

    /// The chain with this name in the traversal's table.
    #[must_use]
    pub fn chain_named(&self, name: &str) -> Cow<'_, Chain> {
        if self.chain.name == name {
            return Cow::Borrowed(&self.chain);
        }
        Cow::Owned(Chain {
            family: self.chain.family.clone(),
            table: self.chain.table.clone(),
            name: name.to_owned(),
        })
    }

    /// The names of the chains that the trace shows.
    #[must_use]
    pub fn chains(&self) -> BTreeSet<&'t str> {
        let names = self.events.iter().map(|event| event.chain.as_str());
        names.collect()
    }

    /// The rules that matched, in order, by chain and handle.
    pub fn rules(&self) -> impl Iterator<Item = (Cow<'_, Chain>, u64)> {
        let rules = self
            .events
            .iter()
            .filter(|event| event.kind == TraceKind::Rule);
        rules.filter_map(|event| Some((self.chain_named(&event.chain), event.handle?)))
    }

    /// What decided by an event of this traversal, with all that is known of it.
    #[must_use]
    pub fn decider(&self, event: &TraceEvent, ruleset: &Ruleset) -> Decider {
        let chain = self.chain_named(&event.chain).into_owned();
        match (event.kind, event.handle) {
            (TraceKind::Rule, Some(handle)) => Decider::Rule(Rule::of(chain, handle, ruleset)),
            _ => Decider::Policy(Policy::of(chain, ruleset)),
        }
    }
}
