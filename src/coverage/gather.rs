//! Collects, beside the collector, what the packets of a scenario met.
//!
//! Only sound evidence counts: the trace is whole, the packet was done with, the configuration was loaded and
//! did not change while it was probed, and no other case's memory was in the way.

use std::collections::BTreeMap;

use firedrill_harness::protocol::{LabSpec, Loaded, Origin, Probe};

use super::{Covering, inventory::Inventory, met::Walk};
use crate::record::elements::Looked;
use crate::record::{
    coverage::{Hits, Measured, Met, Sets},
    elements::Elements,
};
use crate::{
    dialect::Loadable,
    judge::verdict::Verdict,
    ruleset::{
        listing::Ruleset,
        lookup::{Shown, Table, Value},
    },
    trace::{decider::Decider, way::Observation},
};

/// `EPERM`: what sending returns when the output hook drops.
const EPERM: i32 = 1;

/// The coverage of one agent's run, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Whether what each case met is told, too.
    each_case: bool,
    /// Whether the elements of named sets are wanted.
    with_sets: bool,
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
}

/// What a packet was sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeKey {
    /// The position of its case.
    pub(crate) case: usize,
    /// Of a sweep, its step and number.
    pub(crate) swept: Option<(usize, u16)>,
}

/// What a packet met.
#[derive(Debug)]
pub(super) struct Found {
    key: ProbeKey,
    pub(super) walk: Walk,
    pub(super) decided: Option<usize>,
    /// What the rules that matched looked up: item, which of its lookups, value.
    looked: Vec<(usize, usize, Option<Vec<Value>>)>,
}

impl Gathered {
    /// For a run that asks for it.
    pub(crate) fn new(covering: Covering) -> Option<Self> {
        match covering {
            Covering::Off => None,
            Covering::Totals => Some(Self::default()),
            Covering::WithSets => Some(Self {
                with_sets: true,
                ..Self::default()
            }),
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
            });
            self.rulesets.len() - 1
        });
        self.current = Some((index, Vec::new()));
    }

    /// Whether a rule looks something up in a named set, and somebody wants to know its elements.
    pub(crate) fn asks_for_sets(&self) -> bool {
        let first = self
            .rulesets
            .iter()
            .filter(|covered| covered.candidate == 0);
        let mut lookups = first.flat_map(|covered| covered.inventory.lookups.values().flatten());
        self.with_sets && lookups.any(|lookup| matches!(lookup.table, Table::Named(_)))
    }

    /// A packet was sent, and judged.
    pub(crate) fn packet(
        &mut self,
        key: ProbeKey,
        observation: &Observation<'_>,
        lab: &LabSpec,
        (verdict, decider): (&Verdict, Option<&Decider>),
    ) {
        let Some((ruleset, found)) = &mut self.current else {
            return;
        };
        if !is_sound(observation) {
            return;
        }
        let inventory = &self.rulesets[*ruleset].inventory;
        let mut walk = Walk::default();
        let mut looked = Vec::new();
        let way = &observation.way;
        let (iif, oif) = interfaces(&observation.sent, lab, verdict);
        let of_probe = (iif, oif, way.state);
        let of_error = (None, None, None);
        let traversals = way.traversals.iter().map(|traversal| (traversal, of_probe));
        let of_error = way.of_error.iter().map(|traversal| (traversal, of_error));
        for (traversal, (iif, oif, state)) in traversals.chain(of_error) {
            let before = walk.matched.len();
            walk.add(inventory, traversal);
            if !inventory.lookups.is_empty() {
                let shown = traversal.headers.map(|headers| Shown {
                    source: headers.source,
                    destination: headers.destination,
                    protocol: headers.protocol,
                    ports: headers.ports(),
                    icmp_type: headers.icmp_type(),
                    iif,
                    oif,
                    state,
                });
                look_up(inventory, &walk.matched[before..], shown, &mut looked);
            }
        }
        let proven = !matches!(verdict, Verdict::Inconclusive(_));
        let decider = decider.filter(|_| proven);
        let decided = decider.and_then(|decider| inventory.decider(decider));
        found.push(Found {
            key,
            walk,
            decided,
            looked,
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

    /// Forgets packets whose results do not count.
    pub(crate) fn forget(&mut self, is_forgotten: impl Fn(ProbeKey) -> bool) {
        for covered in &mut self.rulesets {
            covered.found.retain(|found| !is_forgotten(found.key));
        }
    }

    /// What was covered.
    pub(crate) fn measured(
        &self,
        prepared: &[&Loadable],
        scenario: &str,
        sets: &Sets,
    ) -> Vec<Measured> {
        let rulesets = self.rulesets.iter();
        rulesets
            .filter_map(|covered| {
                let loadable = prepared.get(covered.candidate)?;
                let none = Sets::new();
                // Only the first configuration was looked at.
                let sets = if covered.candidate == 0 { sets } else { &none };
                let mut hits = vec![Hits::default(); covered.inventory.items.len()];
                let mut packets = 0;
                let mut looked: BTreeMap<(usize, usize), Looked> = BTreeMap::new();
                let mut cases: BTreeMap<usize, Met> = BTreeMap::new();
                for found in &covered.found {
                    packets += 1;
                    found.add_to(&mut hits);
                    for (item, nth, value) in &found.looked {
                        let values = looked.entry((*item, *nth)).or_default();
                        *values.entry(value.clone()).or_default() += 1;
                    }
                    if self.each_case {
                        let met = cases.entry(found.key.case).or_default();
                        met.case = found.key.case;
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
                    elements: elements(&covered.inventory, &looked, sets),
                    sets: sets.clone(),
                    searched: BTreeMap::new(),
                })
            })
            .collect()
    }
}

/// The interfaces that a packet comes in by and goes out by, where that is sure.
fn interfaces<'a>(
    probe: &Probe,
    lab: &'a LabSpec,
    verdict: &'a Verdict,
) -> (Option<&'a str>, Option<&'a str>) {
    let iif = match probe.from {
        Origin::Wire(interface) => lab.interfaces.get(interface),
        Origin::Firewall => None,
    };
    let oif = match verdict {
        Verdict::Accept(arrival) => arrival.interface.as_deref(),
        Verdict::Drop | Verdict::Reject(_) | Verdict::Inconclusive(_) => None,
    };
    (iif.map(|interface| interface.name.as_str()), oif)
}

/// Notes what the rules of a run that matched have looked up. A rule that changes the packet leaves nothing
/// known of it.
fn look_up(
    inventory: &Inventory,
    matched: &[usize],
    mut shown: Option<Shown<'_>>,
    looked: &mut Vec<(usize, usize, Option<Vec<Value>>)>,
) {
    for item in matched {
        if inventory.items[*item].text.contains(" set ") {
            shown = None;
        }
        let lookups = inventory.lookups.get(item).into_iter().flatten();
        for (nth, lookup) in lookups.enumerate() {
            let value = shown.and_then(|shown| lookup.value(shown));
            looked.push((*item, nth, value));
        }
    }
}

/// The elements of all sets that rules look up; a named one once.
fn elements(
    inventory: &Inventory,
    looked: &BTreeMap<(usize, usize), Looked>,
    sets: &Sets,
) -> Vec<Elements> {
    let mut found: Vec<Elements> = Vec::new();
    let mut named: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let nothing = Looked::new();
    for (item, lookups) in &inventory.lookups {
        let of = &inventory.items[*item];
        if of.apart.is_some() {
            continue;
        }
        let key = |name: &str| {
            (
                of.chain.family.clone(),
                of.chain.table.clone(),
                name.to_owned(),
            )
        };
        let listed = |name: &str| {
            let elements = sets.get(&key(name))?.iter();
            Some(elements.map(|(element, _)| element.clone()).collect())
        };
        for (nth, lookup) in lookups.iter().enumerate() {
            let looked = looked.get(&(*item, nth)).unwrap_or(&nothing);
            let elements = Elements::of((*item, nth), lookup, &listed, looked);
            let known = elements.name.as_ref().map(|name| key(name));
            match known.clone().and_then(|key| named.get(&key).copied()) {
                Some(known) => found[known].add(elements),
                None => {
                    named.extend(known.map(|key| (key, found.len())));
                    found.push(elements);
                }
            }
        }
    }
    found
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

fn is_sound(observation: &Observation<'_>) -> bool {
    let error = observation.evidence.send_error.as_ref();
    error.is_none_or(|error| error.code == EPERM) && observation.is_whole()
}
