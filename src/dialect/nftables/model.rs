//! A ruleset as its source asks for it: rules are places, in the order of their creation and in the order in
//! which a packet meets them.

use std::collections::BTreeMap;

use crate::ruleset::marks::Marks;
use crate::ruleset::origin::Place;

/// The ruleset that a script makes.
#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    pub(super) tables: BTreeMap<TableKey<'a>, Table<'a>>,
}

/// Family and name.
pub(super) type TableKey<'a> = (&'a str, &'a str);

/// A table of it.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    /// In the order of their creation, also those that are gone.
    pub(super) rules: Vec<Rule<'a>>,
    pub(super) chains: BTreeMap<&'a str, Chain<'a>>,
    /// What was deleted by handle.
    pub(super) deleted: Vec<ByHandle<'a>>,
    /// What was replaced by handle, and by what.
    pub(super) replaced: Vec<(ByHandle<'a>, Rule<'a>)>,
    /// Whether rules were thrown out other than by handle.
    pub(super) flushed: bool,
    /// How many of the first rules were thrown out together.
    all_gone: usize,
}

/// A chain of it.
#[derive(Debug, Default)]
pub(super) struct Chain<'a> {
    /// The line that makes it a base chain.
    pub(super) hook: Option<Place>,
    /// The line of its policy, and the word there unless it is a variable.
    pub(super) policy: Option<(Place, Option<&'a str>)>,
    /// Its rules (indices into [`Table::rules`]) in the order in which a packet meets them.
    pub(super) order: Order,
}

/// What is known of the order of a chain's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Known(Vec<usize>),
    /// A rule was placed by something that only the kernel knows.
    Unknown,
}

impl Default for Order {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

/// A rule as it was written.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) chain: &'a str,
    pub(super) place: Place,
    pub(super) marks: Marks<'a>,
    /// The rules of its `jump { … }`.
    pub(super) inline: Vec<Rule<'a>>,
    /// Whether it was thrown out again, other than by handle.
    pub(super) gone: bool,
}

/// A rule that is named by its handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByHandle<'a> {
    pub(super) chain: &'a str,
    pub(super) handle: u64,
    /// How many rules the table had seen by then.
    pub(super) seen: usize,
}

impl Table<'_> {
    /// Throws out the rules of one chain or of all.
    pub(super) fn flush(&mut self, chain: Option<&str>) {
        let hit = |name: &str| chain.is_none_or(|chain| chain == name);
        self.flushed = true;
        let left = self.rules[self.all_gone..].iter_mut();
        left.filter(|rule| hit(rule.chain))
            .for_each(|rule| rule.gone = true);
        if chain.is_none() {
            self.all_gone = self.rules.len();
        }
        for (_, chain) in self.chains.iter_mut().filter(|(name, _)| hit(name)) {
            chain.order = Order::default();
        }
        // Handles that were named before belong to rules that are gone now.
        self.deleted.retain(|by_handle| !hit(by_handle.chain));
        self.replaced.retain(|(by_handle, _)| !hit(by_handle.chain));
    }
}
