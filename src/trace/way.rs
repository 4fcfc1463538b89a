//! The way of a packet through the ruleset, read from the kernel's trace.

use std::collections::BTreeSet;

use firedrill_harness::{
    STATE_CHAIN, TRACE_TABLE,
    packet::{Answer, Packet, Relation, relate_traced},
    protocol::{Trace, TraceEvent, TraceKind, TraceVerdict},
};

use super::decider::{Decider, Policy, Rule};
use crate::ruleset::{chain::Chain, legacy::LEGACY, listing::Ruleset};

/// One walk through a base chain and the chains it jumps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<'a> {
    /// The base chain.
    pub chain: Chain,
    /// Its events, in order.
    pub events: Vec<&'a TraceEvent>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The packet went on.
    Accept(Decider),
    /// The packet was thrown away here.
    Drop(Decider),
    /// The packet was handed to somebody else.
    HandedOver(&'static str),
    /// The trace says nothing final.
    Open,
}

/// Which packet of a trace is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traced {
    /// The probe itself.
    Probe,
    /// The error that came back for it.
    Error,
}

/// Whether the trace shows this packet at all, and its runs through chains that are not the harness's
/// own, in order.
#[must_use]
pub fn runs<'a>(trace: &'a Trace, probe: &Packet, which: Traced) -> (bool, Vec<Run<'a>>) {
    // The kernel numbers packets by where they are in memory, which is used again; so a number only
    // means the packet whose headers came with it last.
    let mut entered = false;
    let mut meant: BTreeSet<u32> = BTreeSet::new();
    let mut open: Vec<(u32, Run<'a>)> = Vec::new();
    let mut finished: Vec<Run<'a>> = Vec::new();
    for event in &trace.events {
        let position = open.iter().position(|(id, _)| *id == event.id);
        let begins = match &event.packet {
            Some(packet) => {
                let is_meant = match relate_traced(probe, &packet.0) {
                    Relation::Itself => which == Traced::Probe,
                    Relation::Answer(Answer::TcpReset | Answer::IcmpError { .. }) => {
                        which == Traced::Error
                    }
                    Relation::Answer(Answer::Other) | Relation::Unrelated => false,
                };
                if is_meant {
                    meant.insert(event.id);
                } else {
                    meant.remove(&event.id);
                }
                entered |= is_meant;
                true
            }
            // A packet that was stolen cannot be shown any more, not even by the first event of a
            // base chain; but no chain leads into another table.
            None => position.is_none_or(|position| {
                let Chain { family, table, .. } = &open[position].1.chain;
                (family, table) != (&event.family, &event.table)
            }),
        };
        if begins {
            finished.extend(position.map(|position| open.remove(position).1));
            if meant.contains(&event.id) && event.table != TRACE_TABLE {
                let run = Run {
                    chain: chain(event),
                    events: Vec::new(),
                };
                open.push((event.id, run));
            }
        }
        if let Some((_, run)) = open.iter_mut().find(|(id, _)| *id == event.id) {
            run.events.push(event);
        }
    }
    finished.extend(open.into_iter().map(|(_, run)| run));
    (entered, finished)
}

impl Run<'_> {
    /// The rules that matched, in order.
    pub fn rules(&self) -> impl Iterator<Item = (Chain, u64)> {
        let rules = self
            .events
            .iter()
            .filter(|event| event.kind == TraceKind::Rule);
        rules.filter_map(|event| Some((chain(event), event.handle?)))
    }

    /// What the run came to.
    #[must_use]
    pub fn end(&self, ruleset: &Ruleset) -> End {
        let mut end = End::Open;
        for event in &self.events {
            let decider = || match (event.kind, event.handle) {
                (TraceKind::Rule, Some(handle)) => {
                    let chain = chain(event);
                    Decider::Rule(Rule {
                        handle,
                        text: ruleset.rule(&chain, handle).map(str::to_owned),
                        origin: ruleset.origin(&chain, handle),
                        layer: ruleset.layer(&chain, handle).map(str::to_owned),
                        chain,
                    })
                }
                _ => {
                    let chain = chain(event);
                    Decider::Policy(Policy {
                        origin: ruleset.policy_origin(&chain),
                        layer: ruleset.policy_layer(&chain).map(str::to_owned),
                        chain,
                    })
                }
            };
            match &event.verdict {
                TraceVerdict::Drop => end = End::Drop(decider()),
                TraceVerdict::Accept => end = End::Accept(decider()),
                TraceVerdict::Queue => end = End::HandedOver("a queue"),
                TraceVerdict::Stolen => end = End::HandedOver("another part of the kernel"),
                TraceVerdict::Other(_) => end = End::HandedOver("something unknown"),
                TraceVerdict::Continue
                | TraceVerdict::Break
                | TraceVerdict::Untold
                | TraceVerdict::Jump(_)
                | TraceVerdict::Goto(_)
                | TraceVerdict::Return => {}
            }
        }
        end
    }
}

/// The chain of an event.
pub(crate) fn chain(event: &TraceEvent) -> Chain {
    Chain {
        family: event.family.clone(),
        table: event.table.clone(),
        name: event.chain.clone(),
    }
}

/// The events of a packet, the harness's own chains included, in order.
fn events_of<'a>(trace: &'a Trace, packet: &Packet) -> Vec<&'a TraceEvent> {
    let mut meant: BTreeSet<u32> = BTreeSet::new();
    let mut events = Vec::new();
    for event in &trace.events {
        if let Some(bytes) = &event.packet {
            if relate_traced(packet, &bytes.0) == Relation::Itself {
                meant.insert(event.id);
            } else {
                meant.remove(&event.id);
            }
        }
        if meant.contains(&event.id) {
            events.push(event);
        }
    }
    events
}

/// The state that connection tracking gave a packet, if the trace shows it: the first of the harness's
/// own chains that matched.
#[must_use]
pub fn state<'a>(trace: &'a Trace, packet: &Packet) -> Option<&'a str> {
    events_of(trace, packet).into_iter().find_map(|event| {
        // The end of a chain is an event of a rule too, of one without a handle.
        let matched = event.table == TRACE_TABLE && event.handle.is_some();
        let state = event.chain.strip_prefix(STATE_CHAIN)?;
        matched.then(|| state.trim_end_matches("-out"))
    })
}

/// The mark of a packet behind the last rule or policy it met.
#[must_use]
pub fn mark(trace: &Trace, packet: &Packet) -> Option<u32> {
    events_of(trace, packet).last().map(|event| event.mark)
}

/// Who let an accepted packet pass: the last rule that said so in a filter chain of this hook in one of
/// these families; without
/// one, the last policy there. `None` if there are such chains and the trace shows none of them: a
/// candidate may switch the trace off (`meta nftrace set 0`).
#[must_use]
pub fn who_accepted(
    runs: &[Run<'_>],
    ruleset: &Ruleset,
    hook: &str,
    families: &[&str],
) -> Option<Decider> {
    let decides = |chain: &Chain| {
        let base = ruleset.chain(chain).and_then(|info| info.base.as_ref());
        base.is_some_and(|base| base.kind == "filter" && base.hook == hook)
            && families.contains(&chain.family.as_str())
    };
    let mut by_policy = None;
    let mut by_rule = None;
    let mut deciding: Vec<&Run<'_>> = runs.iter().filter(|run| decides(&run.chain)).collect();
    // The traces of nftables and of legacy iptables come apart; each is in its own order.
    let is_legacy = |run: &&Run<'_>| run.chain.family.starts_with(LEGACY);
    if deciding.iter().any(is_legacy) && !deciding.iter().all(is_legacy) {
        deciding.sort_by_key(|run| ruleset.place(&run.chain));
    }
    for run in deciding {
        match run.end(ruleset) {
            End::Accept(decider @ Decider::Rule(_)) => by_rule = Some(decider),
            End::Accept(decider) => by_policy = Some(decider),
            End::Drop(_) | End::HandedOver(_) | End::Open => {}
        }
    }
    let none = || (!ruleset.chains().any(|(chain, _)| decides(chain))).then_some(Decider::NoChain);
    by_rule.or(by_policy).or_else(none)
}
