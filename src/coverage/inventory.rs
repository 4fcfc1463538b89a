//! What can be covered: the rules and policies of a loaded ruleset, each with its line and whose it is.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use crate::{
    dialect::{self, CANDIDATE},
    record::coverage::{Apart, Item},
    ruleset::{
        chain::{Base, Chain},
        legacy::LEGACY,
        listing::Ruleset,
        lookup::{Lookup, lookups},
        origin::Origin,
    },
    trace::decider::Decider,
};

/// The rules and policies of a ruleset, to be looked up by what a trace says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(super) items: Vec<Item>,
    chains: HashMap<Chain, Row>,
    /// The inline chains, by the item that leads to each.
    inline: HashMap<usize, Row>,
    /// The rules of inline chains by family, table and handle.
    inline_rules: HashMap<(String, String, u64), usize>,
    /// Rules whose inline chains' rules cannot be told apart.
    pub(super) closed: Vec<usize>,
    pub(super) bases: BTreeMap<Chain, Base>,
    /// What rules look up, by item.
    pub(super) lookups: BTreeMap<usize, Vec<Lookup>>,
}

/// The rules of a chain, in the order in which a packet meets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) handles: Vec<u64>,
    /// The item of the first of them; the others follow it.
    pub(super) first: usize,
    pub(super) policy: Option<usize>,
}

impl Row {
    /// The items of some of its rules.
    pub(super) fn items(&self, positions: Range<usize>) -> Range<usize> {
        self.first + positions.start..self.first + positions.end
    }
}

/// How the kernel names inline chains; any name that begins so looks up their rules.
const INLINE: &str = "__chain";

impl Inventory {
    /// All that a ruleset has.
    pub(crate) fn of(ruleset: &Ruleset) -> Self {
        let mut inventory = Self::default();
        let mut inner = Vec::new();
        for (chain, info) in ruleset.chains() {
            let first = inventory.items.len();
            for handle in &info.order {
                let rule = info.rules.get(handle);
                let text = rule.map_or("", |rule| &rule.text);
                let inline = rule.map_or(&[][..], |rule| &rule.inline);
                if !inline.is_empty() {
                    inner.push((inventory.items.len(), chain, inline));
                } else if text.contains("jump {") || text.contains("goto {") {
                    inventory.closed.push(inventory.items.len());
                }
                inventory.rule(ruleset, chain, chain, *handle, text);
            }
            let policy = info.base.as_ref().map(|base| {
                inventory.bases.insert(chain.clone(), base.clone());
                let origin = ruleset.policy_origin(chain);
                inventory.items.push(Item {
                    chain: chain.clone(),
                    handle: None,
                    text: base.policy.clone(),
                    within: None,
                    apart: apart(ruleset.policy_layer(chain), origin.as_ref()),
                    origin,
                });
                inventory.items.len() - 1
            });
            let row = Row {
                handles: info.order.clone(),
                first,
                policy,
            };
            inventory.chains.insert(chain.clone(), row);
        }
        for (outer, chain, rules) in inner {
            let looked_up = Chain {
                name: INLINE.to_owned(),
                ..chain.clone()
            };
            let first = inventory.items.len();
            for (handle, text) in rules {
                let key = (chain.family.clone(), chain.table.clone(), *handle);
                inventory.inline_rules.insert(key, inventory.items.len());
                inventory.rule(ruleset, chain, &looked_up, *handle, text);
                let within = inventory.items[outer].text.clone();
                if let Some(item) = inventory.items.last_mut() {
                    item.within = Some(within);
                }
            }
            let row = Row {
                handles: rules.iter().map(|(handle, _)| *handle).collect(),
                first,
                policy: None,
            };
            inventory.inline.insert(outer, row);
        }
        inventory
    }

    fn rule(
        &mut self,
        ruleset: &Ruleset,
        chain: &Chain,
        looked_up: &Chain,
        handle: u64,
        text: &str,
    ) {
        let origin = ruleset.origin(looked_up, handle);
        // The words of legacy iptables know no sets of their own.
        if (text.contains('{') || text.contains('@')) && !chain.family.starts_with(LEGACY) {
            let lookups = lookups(text);
            if !lookups.is_empty() {
                self.lookups.insert(self.items.len(), lookups);
            }
        }
        self.items.push(Item {
            chain: chain.clone(),
            handle: Some(handle),
            text: text.to_owned(),
            within: None,
            apart: apart(ruleset.layer(looked_up, handle), origin.as_ref()),
            origin,
        });
    }

    pub(super) fn row(&self, chain: &Chain) -> Option<&Row> {
        self.chains.get(chain)
    }

    /// The inline chain that a rule leads to.
    pub(super) fn inline(&self, outer: usize) -> Option<&Row> {
        self.inline.get(&outer)
    }

    /// The item of a rule.
    pub(super) fn item(&self, chain: &Chain, handle: u64) -> Option<usize> {
        if chain.name.starts_with(INLINE) {
            let key = (chain.family.clone(), chain.table.clone(), handle);
            return self.inline_rules.get(&key).copied();
        }
        let row = self.chains.get(chain)?;
        let position = row.handles.iter().position(|known| *known == handle)?;
        Some(row.first + position)
    }

    /// The item of what decided.
    pub(super) fn decider(&self, decider: &Decider) -> Option<usize> {
        match decider {
            Decider::Rule(rule) => self.item(&rule.chain, rule.handle),
            Decider::Policy(policy) => self.chains.get(&policy.chain)?.policy,
            Decider::Kernel(_) | Decider::NoChain => None,
        }
    }
}

pub(crate) fn apart(layer: Option<&str>, origin: Option<&Origin>) -> Option<Apart> {
    if let Some(other) = layer.filter(|layer| *layer != CANDIDATE) {
        return Some(Apart::Layer(other.to_owned()));
    }
    match origin? {
        Origin::Known(line) => {
            let file = line.file.to_string_lossy();
            dialect::is_ready_made(&line.file).then(|| Apart::Program(Some(file.into_owned())))
        }
        Origin::Unknown(why) => dialect::is_program_s_own(why).then_some(Apart::Program(None)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("accept", false)]
    #[case("counter drop", false)]
    #[case("counter packets 0 bytes 0 jump web", false)]
    #[case("reject with icmpx admin-prohibited comment \"no\"", false)]
    #[case("drop comment \"tcp dport 1\"", false)]
    #[case("-j DROP", false)]
    #[case("tcp dport 22 accept", true)]
    #[case("limit rate 1/second accept", true)]
    #[case("-m comment --comment \"x\" -j DROP", true)]
    fn a_rule_without_a_condition_is_known_by_its_words(#[case] text: &str, #[case] has: bool) {
        let item = Item {
            chain: Chain {
                family: "inet".to_owned(),
                table: "t".to_owned(),
                name: "c".to_owned(),
            },
            handle: Some(1),
            text: text.to_owned(),
            origin: None,
            within: None,
            apart: None,
        };
        assert_eq!(item.has_condition(), has, "{text}");
    }
}
