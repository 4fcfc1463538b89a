//! Collects, beside the collector, what the packets of a scenario met.
//!
//! Only sound evidence counts: the trace is whole, the packet was done with, the configuration was loaded and
//! did not change while it was probed, and no other case's memory was in the way.

use std::collections::BTreeMap;

use firedrill_harness::{
    packet::Packet,
    protocol::{Evidence, Loaded},
};

use super::{Covering, Hits, Measured, Met, inventory::Inventory, walk::Walk};
use crate::{
    dialect::{Loadable, listing::Ruleset},
    path::{self, Traced},
    verdict::{Decider, Verdict},
};

/// `EPERM`: what sending returns when the output hook drops.
const EPERM: i32 = 1;

/// The coverage of one agent's run, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Whether what each case met is told, too.
    each_case: bool,
    rulesets: Vec<Covered>,
    /// The ruleset that is being probed, and what was found since it was loaded.
    current: Option<(usize, Vec<Found>)>,
}

/// A ruleset, and what the packets of each case met in it.
#[derive(Debug)]
struct Covered {
    /// Which of the configurations of the plan.
    candidate: usize,
    inventory: Inventory,
    found: Vec<Found>,
    /// With the elements of sets.
    listing: Option<String>,
}

/// What a packet met.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) case: usize,
    pub(super) walk: Walk,
    pub(super) decided: Option<usize>,
}

impl Gathered {
    /// For a run that asks for it.
    pub(crate) fn new(covering: Covering) -> Option<Self> {
        match covering {
            Covering::Off => None,
            Covering::Totals => Some(Self::default()),
            Covering::EachCase => Some(Self {
                each_case: true,
                ..Self::default()
            }),
        }
    }

    /// A configuration was loaded, for a fresh lab or by a reload. `same` says that its listing is that of
    /// the last one.
    pub(crate) fn loaded(&mut self, loaded: &Loaded, ruleset: &Ruleset, same: bool) {
        if !was_loaded(loaded) {
            self.current = None;
            return;
        }
        let candidate = loaded.candidate;
        let of_candidate = |known: &Covered| known.candidate == candidate;
        let known = match same {
            true => self.rulesets.iter().rposition(of_candidate),
            false => None,
        };
        let index = known.unwrap_or_else(|| {
            let inventory = Inventory::of(ruleset);
            let is_it = |known: &Covered| of_candidate(known) && known.inventory == inventory;
            if let Some(known) = self.rulesets.iter().position(is_it) {
                return known;
            }
            self.rulesets.push(Covered {
                candidate,
                inventory,
                found: Vec::new(),
                listing: None,
            });
            self.rulesets.len() - 1
        });
        self.current = Some((index, Vec::new()));
    }

    /// A packet was sent, and judged.
    pub(crate) fn packet(
        &mut self,
        case: usize,
        packet: &Packet,
        evidence: &Evidence,
        (verdict, decider): (&Verdict, Option<&Decider>),
    ) {
        let Some((ruleset, found)) = &mut self.current else {
            return;
        };
        if !is_sound(evidence) {
            return;
        }
        let ruleset = &mut self.rulesets[*ruleset];
        if self.each_case && evidence.listing.is_some() {
            ruleset.listing.clone_from(&evidence.listing);
        }
        let inventory = &ruleset.inventory;
        let mut walk = Walk::default();
        for which in [Traced::Probe, Traced::Error] {
            let (_, runs) = path::runs(&evidence.trace, packet, which);
            for run in &runs {
                walk.add(inventory, run);
            }
        }
        let proven = !matches!(verdict, Verdict::Inconclusive(_));
        let decider = decider.filter(|_| proven);
        let decided = decider.and_then(|decider| inventory.decider(decider));
        found.push(Found {
            case,
            walk,
            decided,
        });
    }

    /// The last look at the configuration: did it hold still?
    pub(crate) fn sealed(&mut self, unchanged: bool) {
        if let Some((ruleset, found)) = self.current.take()
            && unchanged
        {
            self.rulesets[ruleset].found.extend(found);
        }
    }

    /// What was covered. `position` says where a case stands in the record of the scenario; `None` of one that
    /// does not count.
    pub(crate) fn measured(
        &self,
        prepared: &[&Loadable],
        scenario: &str,
        position: impl Fn(usize) -> Option<usize>,
    ) -> Vec<Measured> {
        let rulesets = self.rulesets.iter();
        rulesets
            .filter_map(|covered| {
                let loadable = prepared.get(covered.candidate)?;
                let mut hits = vec![Hits::default(); covered.inventory.items.len()];
                let mut packets = 0;
                let mut cases: BTreeMap<usize, Met> = BTreeMap::new();
                for found in &covered.found {
                    let Some(case) = position(found.case) else {
                        continue;
                    };
                    packets += 1;
                    found.add_to(&mut hits);
                    if self.each_case {
                        let met = cases.entry(case).or_default();
                        met.case = case;
                        met.tried.extend(found.walk.tried.iter().cloned());
                        met.matched.extend(&found.walk.matched);
                        met.ended.extend(&found.walk.ended);
                        met.decided.extend(found.decided);
                    }
                }
                Some(Measured {
                    candidate: loadable.path.clone(),
                    scenarios: vec![scenario.to_owned()],
                    sources: loadable.sources(),
                    items: covered.inventory.items.iter().cloned().zip(hits).collect(),
                    closed: covered.inventory.closed.clone(),
                    packets,
                    bases: covered.inventory.bases.clone(),
                    cases: cases.into_values().collect(),
                    listing: covered.listing.clone(),
                    searched: BTreeMap::new(),
                })
            })
            .collect()
    }
}

impl Found {
    fn add_to(&self, hits: &mut [Hits]) {
        for item in self.walk.tried.iter().cloned().flatten() {
            hits[item].evaluated += 1;
        }
        for item in &self.walk.matched {
            hits[*item].matched += 1;
            // A policy is no rule that could be tried in vain.
            hits[*item].evaluated = hits[*item].evaluated.max(hits[*item].matched);
        }
        if let Some(item) = self.decided {
            hits[item].decided += 1;
        }
    }
}

fn was_loaded(loaded: &Loaded) -> bool {
    !loaded.layers.is_empty() && loaded.layers.iter().all(|layer| layer.changed)
}

fn is_sound(evidence: &Evidence) -> bool {
    let sent = evidence
        .send_error
        .as_ref()
        .is_none_or(|error| error.code == EPERM);
    sent && evidence.observed.barrier && !evidence.trace.lost
}
