//! Direct rules: lines for iptables in `direct.xml`, which firewalld puts into the built-in chains, or with its
//! iptables back end into chains called like `INPUT_direct`.

use std::collections::BTreeMap;

use super::xml::Element;
use crate::{
    dialect::{
        iptables::{attribute::places, source},
        listing::ChainInfo,
        origin::{Files, Place},
        xtables::hook,
    },
    verdict::Chain,
};

/// The tables that `direct.xml` adds to, by family and name.
#[derive(Default)]
pub(super) struct Direct(BTreeMap<(&'static str, String), source::Table>);

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
        self.0.entry(key).or_default().line(line, place);
    }

    /// The places of the rules of a chain, or why they are not known; none for a chain without direct rules.
    pub(super) fn places(
        &self,
        chain: &Chain,
        info: &ChainInfo,
        files: &Files,
    ) -> Option<Result<BTreeMap<u64, Place>, String>> {
        let mut tables = self.0.iter();
        let (_, table) =
            tables.find(|((family, name), _)| chain.family == *family && chain.table == *name)?;
        let of_builtin = chain.name.strip_suffix("_direct");
        let name = of_builtin.filter(|name| hook(name).is_some());
        let written = table.chains.get(name.unwrap_or(&chain.name))?;
        if let Some((place, why)) = table.doubt {
            return Some(Err(format!("{}: {why}", files.name(place))));
        }
        Some(places(
            table,
            Some(written),
            info,
            (&BTreeMap::new(), true),
            files,
        ))
    }
}
