//! Look-ups in sets and maps: `lookup`, and what they have in common with `objref` and `dynset`.

use super::{
    bits::Bits,
    certainty::Certainty,
    doubt::Doubt,
    evaluation::{Effect, Evaluation, RuleVerdict, bytes},
    record::{AccessMode, SetLookup},
    state::{CellContent, StateCell},
};
use crate::ruleset::program::{
    ElementData, LookupDestination, Register, SetDataKind, SetElement, SetFlags,
};

/// What a key may find in a set.
pub(super) struct Found<'p> {
    /// The elements that it may be, each with how certain that is, and what the map has for it.
    pub(super) elements: Vec<FoundElement<'p>>,
    /// Whether it may be none of them.
    pub(super) may_miss: bool,
    /// Why that is not known.
    pub(super) doubt: Doubt,
}

/// An element that a key may be.
pub(super) struct FoundElement<'p> {
    /// The element as it was dumped; `None` if a rule has added it.
    pub(super) element: Option<&'p SetElement>,
    /// Its key.
    pub(super) key: Vec<u8>,
    /// What a map has for it, if a rule has set that.
    data: Option<Bits>,
}

/// How many possible elements with effects of their own are told apart.
const MAX_ALTERNATIVES: usize = 64;

impl<'p> Evaluation<'_, 'p> {
    /// `nft_lookup_eval` (net/netfilter/nft_lookup.c).
    pub(super) fn look_up(
        &mut self,
        name: &str,
        source: Register,
        destination: Option<LookupDestination>,
        is_inverted: bool,
    ) -> Effect {
        let Some(set) = self.interpreter.index.set_named(self.chain, name) else {
            return Effect::either(Doubt::Missing(name.to_owned()));
        };
        let length = bytes(self.interpreter.index.sets[set].set.key_bytes);
        let found = self.find(set, source, length);
        if is_inverted {
            let holds = match (found.elements.is_empty(), found.may_miss) {
                (true, _) => Certainty::Yes,
                (false, true) => Certainty::Maybe,
                (false, false) => Certainty::No,
            };
            return Effect::goes_on_if(holds, || found.doubt);
        }
        self.use_found(set, found, destination)
    }

    fn use_found(
        &mut self,
        set: usize,
        found: Found<'p>,
        destination: Option<LookupDestination>,
    ) -> Effect {
        if found.elements.is_empty() {
            return Effect::breaks();
        }
        let mut effect = Effect {
            breaks: found.may_miss,
            ..Effect::default()
        };
        let is_one = found.elements.len() == 1 && !found.may_miss;
        let mut values: Vec<Bits> = Vec::new();
        if found.elements.len() > MAX_ALTERNATIVES && destination.is_some() {
            return self.opaque("lookup");
        }
        for element in &found.elements {
            match (destination, element.element.map(|element| &element.data)) {
                (Some(LookupDestination::Verdict), Some(ElementData::Verdict(verdict))) => {
                    match self.rule_verdict(verdict) {
                        RuleVerdict::Continue => effect.continues = true,
                        verdict => {
                            if !effect.verdicts.contains(&verdict) {
                                effect.verdicts.push(verdict);
                            }
                        }
                    }
                }
                (Some(LookupDestination::Data(_)), data) => {
                    effect.continues = true;
                    values.push(match (&element.data, data) {
                        (Some(bits), _) => bits.clone(),
                        (None, Some(ElementData::Value(value))) => Bits::known(value.as_slice()),
                        (None, _) => Bits::unknown(self.data_bytes(set)),
                    });
                }
                (Some(LookupDestination::Verdict), _) | (None, _) => effect.continues = true,
            }
        }
        if let Some(LookupDestination::Data(register)) = destination
            && let Some(joined) = values.into_iter().reduce(|one, other| one.join(&other))
        {
            self.record.loaded.push((self.expression, joined.clone()));
            self.registers
                .store(register, joined, Some(found.doubt.clone()));
        }
        self.run_element_expressions(set, &found.elements, is_one, &mut effect);
        let possibilities =
            usize::from(effect.breaks) + usize::from(effect.continues) + effect.verdicts.len();
        if possibilities > 1 && effect.doubt.is_none() {
            effect.doubt = Some(found.doubt);
        }
        effect
    }

    /// `nft_set_elem_update_expr`: the expressions of the element that was found may break the rule off.
    pub(super) fn run_element_expressions(
        &mut self,
        set: usize,
        elements: &[FoundElement<'p>],
        is_one: bool,
        effect: &mut Effect,
    ) {
        let before = self.reached;
        if !is_one {
            self.reached = Certainty::Maybe;
        }
        for element in elements {
            let expressions = match element.element {
                Some(dumped) => &dumped.expressions,
                None => &self.interpreter.index.sets[set].set.expressions,
            };
            for (position, expression) in expressions.iter().enumerate() {
                let cell = StateCell::ElementExpression {
                    set,
                    key: element.key.clone(),
                    expression: position,
                };
                let step = self.remembering(cell, expression);
                effect.breaks |= step.breaks;
                if is_one && !step.continues {
                    effect.continues = false;
                    effect.verdicts.clear();
                }
                effect.doubt = effect.doubt.take().or(step.doubt);
            }
        }
        self.reached = before;
    }

    /// What the first bytes from a register on may find, catch-all included.
    pub(super) fn find(&mut self, set: usize, source: Register, length: usize) -> Found<'p> {
        let key = self.registers.load(source, length);
        let doubt = self.registers.doubt(source, length).cloned();
        self.find_key(set, &key, doubt)
    }

    fn find_key(&mut self, set: usize, key: &Bits, doubt: Option<Doubt>) -> Found<'p> {
        let index = &self.interpreter.index.sets[set];
        let elements = &index.set.elements;
        let candidates = index.candidates(key);
        let mut found = Found {
            elements: Vec::new(),
            may_miss: true,
            doubt: doubt.unwrap_or(Doubt::State),
        };
        let mut record = Vec::new();
        for (position, certainty) in candidates {
            let element = &elements[position];
            let cell = StateCell::Element {
                set,
                key: element.key.clone(),
            };
            let (presence, data) = match self.flow.state.get(&cell) {
                Some(CellContent::Element(memory)) => {
                    (memory.presence(self.flow.state.now), memory.data.clone())
                }
                Some(_) => (Certainty::Maybe, None),
                None => (self.dumped_presence(element), None),
            };
            let certainty = certainty.and(presence);
            if certainty.is_possible() {
                record.push((position, certainty));
                found.may_miss &= certainty == Certainty::Maybe;
                found.elements.push(FoundElement {
                    element: Some(element),
                    key: element.key.clone(),
                    data,
                });
            }
        }
        if index.set.flags.contains(SetFlags::EVAL) {
            self.find_added(set, key, &mut found);
        }
        if found.may_miss
            && let Some(position) = index.catch_all
        {
            let certainty = if found.elements.is_empty() {
                Certainty::Yes
            } else {
                Certainty::Maybe
            };
            record.push((position, certainty));
            found.may_miss = false;
            found.elements.push(FoundElement {
                element: Some(&elements[position]),
                key: Vec::new(),
                data: None,
            });
        }
        self.record.lookups.push(SetLookup {
            expression: self.expression,
            set,
            key: key.clone(),
            elements: record,
        });
        found
    }

    /// Elements that rules have added since the dump.
    fn find_added(&mut self, set: usize, key: &Bits, found: &mut Found<'p>) {
        let index = &self.interpreter.index.sets[set];
        let read = match key.bytes() {
            Some(bytes) => StateCell::Element {
                set,
                key: bytes.to_vec(),
            },
            None => StateCell::AnyElement { set },
        };
        self.access(read, AccessMode::Read);
        let mut is_any_possible = false;
        for (cell, content) in self.flow.state.cells() {
            match (cell, content) {
                (StateCell::AnyElement { set: other }, _) if *other == set => {
                    is_any_possible = true
                }
                (
                    StateCell::Element {
                        set: other,
                        key: added,
                    },
                    CellContent::Element(memory),
                ) if *other == set
                    && !found.elements.iter().any(|element| element.key == *added)
                    && !index
                        .set
                        .elements
                        .iter()
                        .any(|element| element.key == *added) =>
                {
                    let certainty = key.equals(added).and(memory.presence(self.flow.state.now));
                    if certainty.is_possible() {
                        found.may_miss &= certainty == Certainty::Maybe;
                        found.elements.push(FoundElement {
                            element: None,
                            key: added.clone(),
                            data: memory.data.clone(),
                        });
                    }
                }
                _ => {}
            }
        }
        if is_any_possible && found.may_miss {
            found.elements.push(FoundElement {
                element: None,
                key: Vec::new(),
                data: None,
            });
        }
    }

    /// Whether an element of the dump is still there: one with a time-out may have expired.
    fn dumped_presence(&self, element: &SetElement) -> Certainty {
        let Some(milliseconds) = element.expiration_ms else {
            return Certainty::Yes;
        };
        match self.flow.state.now.latest {
            Some(latest) if latest < milliseconds.saturating_mul(1_000_000) => Certainty::Yes,
            _ => Certainty::Maybe,
        }
    }

    pub(super) fn data_bytes(&self, set: usize) -> usize {
        match self.interpreter.index.sets[set].set.data {
            SetDataKind::Value { bytes: length, .. } => bytes(length),
            SetDataKind::None | SetDataKind::Verdict | SetDataKind::Object(_) => 0,
        }
    }
}
