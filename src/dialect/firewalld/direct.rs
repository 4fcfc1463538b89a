//! Direct rules: lines for iptables in `direct.xml`, which firewalld puts into the built-in chains, or with its
//! iptables back end into chains called like `INPUT_direct`.

use std::collections::{BTreeMap, BTreeSet};

use super::xml::Element;
use crate::{
    dialect::iptables::{
        attribute::{alike, places},
        source,
    },
    ruleset::{
        chain::{Chain, ChainInfo},
        legacy::hook,
        origin::{Files, Place},
    },
};

/// The most pairs of direct rules that are compared.
const MAX_PAIRS: usize = 100_000;

/// The tables that `direct.xml` adds to, by family and name.
#[derive(Default)]
pub(super) struct Direct {
    tables: BTreeMap<(&'static str, String), source::Table>,
    /// The priorities of their rules by their places.
    priorities: BTreeMap<Place, i64>,
}

impl Direct {
    /// Reads the root of `direct.xml`; `place` says where an element stands.
    pub(super) fn read(root: &Element, place: impl Fn(&Element) -> Place) -> Self {
        let mut direct = Self::default();
        let of = |name: &'static str| root.children.iter().filter(move |child| child.name == name);
        let priority = |rule: &&Element| {
            let priority = rule.attribute("priority").unwrap_or("0");
            priority.parse::<i64>().unwrap_or_default()
        };
        let mut rules: Vec<&Element> = of("rule").collect();
        rules.sort_by_key(priority);
        for rule in rules {
            let chain = rule.attribute("chain").unwrap_or_default();
            let line = format!("-A {chain} {}", rule.text.trim());
            direct.priorities.insert(place(rule), priority(&rule));
            direct.add(rule, rule.attribute("table"), &line, place(rule));
        }
        for passthrough in of("passthrough") {
            let words = passthrough.text.trim();
            let (table, line) = match words
                .strip_prefix("-t ")
                .and_then(|rest| rest.split_once(' '))
            {
                Some((table, line)) => (table, line),
                None => ("filter", words),
            };
            direct.add(passthrough, Some(table), line, place(passthrough));
        }
        direct
    }

    fn add(&mut self, element: &Element, table: Option<&str>, line: &str, place: Place) {
        let family = match element.attribute("ipv") {
            Some("ipv4") => "ip",
            Some("ipv6") => "ip6",
            _ => return,
        };
        let key = (family, table.unwrap_or("filter").to_owned());
        self.tables.entry(key).or_default().line(line, place);
    }

    /// The places of the rules of a chain, or why they are not known; none for a chain without direct rules.
    pub(super) fn places(
        &self,
        chain: &Chain,
        info: &ChainInfo,
        files: &Files,
    ) -> Option<Result<BTreeMap<u64, Place>, String>> {
        let mut tables = self.tables.iter();
        let (_, table) =
            tables.find(|((family, name), _)| chain.family == *family && chain.table == *name)?;
        let of_builtin = chain.name.strip_suffix("_direct");
        let name = of_builtin.filter(|name| hook(name).is_some());
        let written = table.chains.get(name.unwrap_or(&chain.name))?;
        if let Some((place, why)) = table.doubt {
            return Some(Err(format!("{}: {why}", files.name(place))));
        }
        let places = places(table, Some(written), info, (&BTreeMap::new(), true), files);
        Some(
            places.and_then(|places| match self.is_ambiguous(table, written, info) {
                true => Err(
                    "firewalld does not fix the order of direct rules with one priority".to_owned(),
                ),
                false => Ok(places),
            }),
        )
    }

    /// Whether two rules of one priority could be each other: their order may change (firewalld.direct(5)).
    fn is_ambiguous(&self, table: &source::Table, chain: &source::Chain, info: &ChainInfo) -> bool {
        let chains: BTreeSet<&str> = table.chains.keys().map(String::as_str).collect();
        let mut groups: BTreeMap<Option<&i64>, Vec<(usize, &str)>> = BTreeMap::new();
        for (number, handle) in chain.order.iter().zip(&info.order) {
            let priority = self.priorities.get(&table.rules[*number].place);
            let listed = info.rules.get(handle).map_or("", |rule| rule.text.as_str());
            groups.entry(priority).or_default().push((*number, listed));
        }
        let fits = |number: usize, listed: &str| alike(&table.rules[number], listed, &chains);
        groups.values().any(|rules| {
            let pairs = rules
                .iter()
                .enumerate()
                .flat_map(|(index, one)| rules[index + 1..].iter().map(move |other| (one, other)));
            pairs
                .take(MAX_PAIRS + 1)
                .enumerate()
                .any(|(count, (one, other))| {
                    count == MAX_PAIRS || fits(one.0, other.1) && fits(other.0, one.1)
                })
        })
    }
}
