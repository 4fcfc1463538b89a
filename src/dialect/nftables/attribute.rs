//! Finds the line of every listed rule.
//!
//! The kernel numbers what is made in a table in the order in which it is made, and never uses a number
//! twice. So the rules of the listing, sorted by handle, are the rules of the source in the order of its
//! commands, without those that were thrown out again. That is not believed but checked: there must be as
//! many, each pair must be of one chain and look alike, and the rules of each chain must stand in the order
//! that the commands ask for. What does not agree is unknown, and said to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::model::{self, ByHandle, Chain, Order, Rule, Source};
use crate::ruleset::marks;
use crate::ruleset::{
    chain::ChainInfo,
    listing::Ruleset,
    origin::{Files, Found, Place, Table},
};

/// The places of everything listed, by family and name of its table. Tables that the source does not make
/// are missing.
pub(super) fn attribute(
    source: &Source<'_>,
    ruleset: &Ruleset,
    files: &Files,
) -> BTreeMap<(String, String), Table> {
    let mut found: BTreeMap<(String, String), Table> = BTreeMap::new();
    for ((family, name), table) in &source.tables {
        let chains: Vec<(&crate::ruleset::chain::Chain, &ChainInfo)> = ruleset
            .chains()
            .filter(|(chain, _)| chain.family == *family && chain.table == *name)
            .collect();
        let mut matching = Matching {
            source: table,
            files,
            found: Table::default(),
        };
        matching.rules(&chains);
        for (chain, info) in chains {
            if let Some(base) = &info.base {
                let place = policy(table.chains.get(&*chain.name), &base.policy);
                matching.found.policies.insert(chain.name.clone(), place);
            }
        }
        found.insert(((*family).to_owned(), (*name).to_owned()), matching.found);
    }
    found
}

/// The line of a policy. Without one, the hook's line stands for it.
fn policy(chain: Option<&Chain<'_>>, listed: &str) -> Found {
    match chain {
        Some(Chain {
            policy: Some((place, word)),
            ..
        }) if word.is_none_or(|word| word == listed) => Ok(*place),
        Some(Chain {
            policy: None,
            hook: Some(place),
            ..
        }) if listed == "accept" => Ok(Place {
            implied: true,
            ..*place
        }),
        Some(_) | None => Err("the listed policy is not the one in the source".into()),
    }
}

struct Matching<'a> {
    source: &'a model::Table<'a>,
    files: &'a Files,
    found: Table,
}

/// A rule of the listing.
#[derive(Clone, Copy)]
struct Listed<'a> {
    handle: u64,
    chain: &'a str,
    rule: &'a crate::ruleset::chain::Rule,
}

/// Rules of the listing with those of the source.
type Pairs<'a> = Vec<(Listed<'a>, &'a Rule<'a>)>;

impl<'a> Matching<'a> {
    fn rules(&mut self, chains: &[(&'a crate::ruleset::chain::Chain, &'a ChainInfo)]) {
        let of_chain = |chain: &'a crate::ruleset::chain::Chain, info: &'a ChainInfo| {
            let listed = move |(handle, rule): (&u64, &'a _)| Listed {
                handle: *handle,
                chain: &chain.name,
                rule,
            };
            info.rules.iter().map(listed)
        };
        let mut all: Vec<Listed<'a>> = chains
            .iter()
            .flat_map(|(chain, info)| of_chain(chain, info))
            .collect();
        all.sort_by_key(|listed| listed.handle);
        let whole_table = self.pair(&all, None);
        for (chain, info) in chains {
            let listed: Vec<Listed<'a>> = of_chain(chain, info).collect();
            let pairs = match &whole_table {
                Ok(pairs) => Ok(pairs
                    .iter()
                    .filter(|(listed, _)| listed.chain == chain.name)
                    .copied()
                    .collect()),
                // A chain may agree where another does not.
                Err(_) => self.pair(&listed, Some(&chain.name)),
            };
            match pairs.and_then(|pairs| self.in_order(pairs, &chain.name, info)) {
                Ok(pairs) => pairs.into_iter().for_each(|pair| self.keep(pair)),
                Err(why) => {
                    let why: Arc<str> = why.into();
                    for listed in listed {
                        self.found
                            .rules
                            .insert(listed.handle, Err(Arc::clone(&why)));
                        for (handle, _) in &listed.rule.inline {
                            self.found.rules.insert(*handle, Err(Arc::clone(&why)));
                        }
                    }
                }
            }
        }
    }

    /// Brings listing and source together, of the table or of one of its chains.
    fn pair(&self, listed: &[Listed<'a>], chain: Option<&str>) -> Result<Pairs<'a>, String> {
        let meant = |name: &str| chain.is_none_or(|chain| chain == name);
        let made: Vec<(usize, &'a Rule<'a>)> = self
            .source
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| !rule.gone && meant(rule.chain))
            .collect();
        let replaced: BTreeMap<u64, &'a (ByHandle<'a>, Rule<'a>)> = self
            .source
            .replaced
            .iter()
            .filter(|(by_handle, _)| meant(by_handle.chain))
            .map(|replaced| (replaced.0.handle, replaced))
            .collect();
        let deleted: BTreeMap<u64, ByHandle<'a>> = self
            .source
            .deleted
            .iter()
            .filter(|by_handle| meant(by_handle.chain))
            .map(|by_handle| (by_handle.handle, *by_handle))
            .collect();
        let by_handle: BTreeMap<u64, Listed<'a>> = listed
            .iter()
            .map(|listed| (listed.handle, *listed))
            .collect();
        // Linux 6.x lets the new rule have the old one's handle; where it does not, handles tell nothing.
        if !replaced.keys().all(|handle| by_handle.contains_key(handle)) {
            return Err("a rule that was replaced has another handle now".to_owned());
        }
        let handles: BTreeSet<u64> = by_handle.keys().chain(deleted.keys()).copied().collect();
        if handles.len() != by_handle.len() + deleted.len() || handles.len() != made.len() {
            return Err(format!(
                "the source makes {} but {} listed",
                count(made.len() - deleted.len().min(made.len())),
                match by_handle.len() {
                    1 => "1 is".to_owned(),
                    many => format!("{many} are"),
                }
            ));
        }
        let mut pairs = Vec::new();
        for (handle, (number, rule)) in handles.into_iter().zip(made) {
            let thrown_out = deleted.get(&handle);
            if thrown_out.is_some_and(|named| named.chain != rule.chain || named.seen <= number) {
                return Err("a rule that was deleted by its handle is not found".to_owned());
            }
            let Some(listed) = by_handle.get(&handle) else {
                continue;
            };
            let rule = match replaced.get(&handle) {
                Some((named, _)) if named.chain != rule.chain || named.seen <= number => {
                    return Err("a rule that was replaced by its handle is not found".to_owned());
                }
                Some((_, new)) => new,
                None => rule,
            };
            if rule.chain != listed.chain || !rule.marks.fit(&marks::marks(&listed.rule.text)) {
                return Err(format!(
                    "`{}` is listed where {} is expected",
                    listed.rule.text,
                    self.files.name(rule.place)
                ));
            }
            pairs.push((*listed, rule));
        }
        Ok(pairs)
    }

    /// Whether the rules of a chain stand in the order in which the source puts them.
    fn in_order(
        &self,
        pairs: Pairs<'a>,
        chain: &str,
        info: &ChainInfo,
    ) -> Result<Pairs<'a>, String> {
        let Some(chain) = self.source.chains.get(chain) else {
            return Err("no file of the candidate makes its chain".to_owned());
        };
        let Order::Known(order) = &chain.order else {
            return Ok(pairs);
        };
        let replaced: BTreeSet<u64> = (self.source.replaced.iter())
            .map(|(by_handle, _)| by_handle.handle)
            .collect();
        let places: BTreeMap<u64, Place> = pairs
            .iter()
            .filter(|(listed, _)| !replaced.contains(&listed.handle))
            .map(|(listed, rule)| (listed.handle, rule.place))
            .collect();
        let listed = info.order.iter().filter_map(|handle| places.get(handle));
        let known: BTreeSet<Place> = places.values().copied().collect();
        let asked = order
            .iter()
            .map(|number| &self.source.rules[*number].place)
            .filter(|place| known.contains(place));
        if listed.eq(asked) {
            Ok(pairs)
        } else {
            Err(
                "the rules of its chain are listed in another order than the source puts them"
                    .to_owned(),
            )
        }
    }

    /// Keeps where a rule was written, and the rules of its inline chain.
    fn keep(&mut self, (listed, rule): (Listed<'a>, &'a Rule<'a>)) {
        self.found.rules.insert(listed.handle, Ok(rule.place));
        let alike = listed.rule.inline.len() == rule.inline.len()
            && (listed.rule.inline.iter().zip(&rule.inline))
                .all(|((_, text), inner)| inner.marks.fit(&marks::marks(text)));
        for (number, (handle, _)) in listed.rule.inline.iter().enumerate() {
            let place = match rule.inline.get(number) {
                Some(inner) if alike => Ok(inner.place),
                Some(_) | None => Err("the rules of its inline chain are listed otherwise".into()),
            };
            self.found.rules.insert(*handle, place);
        }
    }
}

fn count(rules: usize) -> String {
    match rules {
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        dialect::nftables::literal,
        ruleset::{chain::Chain, origin::Origin},
    };

    fn chain(name: &str) -> Chain {
        Chain {
            family: "inet".to_owned(),
            table: "t".to_owned(),
            name: name.to_owned(),
        }
    }

    /// The lines of some rules of a source, by chain and handle, in a listing with these rules.
    fn lines(source: &str, listing: &[(&str, &[(u64, &str)])]) -> Vec<Result<usize, String>> {
        let mut text = String::from("table inet t { # handle 1\n");
        for (name, rules) in listing {
            text += &format!("\tchain {name} {{ # handle 1\n");
            for (handle, rule) in *rules {
                text += &format!("\t\t{rule} # handle {handle}\n");
            }
            text += "\t}\n";
        }
        text += "}\n";
        let ruleset = literal("fw.nft", source).listed(&text);
        let all = listing
            .iter()
            .flat_map(|(name, rules)| rules.iter().map(|(handle, _)| (chain(name), *handle)));
        all.map(|(chain, handle)| match ruleset.origin(&chain, handle) {
            Some(Origin::Known(line)) => Ok(line.line),
            Some(Origin::Unknown(why)) => Err(why),
            None => Err(String::new()),
        })
        .collect()
    }

    const TWO: &str =
        "table inet t {\n chain a {\n  accept\n  drop\n }\n chain b {\n  drop\n }\n}\n";

    #[test]
    fn rules_are_known_by_the_order_in_which_they_were_made() {
        let listing: &[(&str, &[(u64, &str)])] =
            &[("a", &[(3, "accept"), (7, "drop")]), ("b", &[(9, "drop")])];
        assert_eq!(lines(TWO, listing), [Ok(3), Ok(4), Ok(7)]);
    }

    #[test]
    fn a_chain_that_does_not_agree_is_unknown_and_the_others_are_not() {
        let missing: &[(&str, &[(u64, &str)])] = &[("a", &[(3, "accept")]), ("b", &[(9, "drop")])];
        let why = "the source makes 2 rules but 1 is listed".to_owned();
        assert_eq!(lines(TWO, missing), [Err(why), Ok(7)]);
        let other: &[(&str, &[(u64, &str)])] = &[
            ("a", &[(3, "accept"), (7, "return")]),
            ("b", &[(9, "drop")]),
        ];
        let why = "`return` is listed where fw.nft:4 is expected".to_owned();
        assert_eq!(lines(TWO, other), [Err(why.clone()), Err(why), Ok(7)]);
        let another_order: &[(&str, &[(u64, &str)])] =
            &[("a", &[(7, "drop"), (3, "accept")]), ("b", &[(9, "drop")])];
        assert!(lines(TWO, another_order)[..2].iter().all(Result::is_err));
    }

    #[test]
    fn a_deleted_handle_tells_which_rule_is_gone() {
        let source = format!("{TWO}delete rule inet t a handle 3\n");
        let listing: &[(&str, &[(u64, &str)])] = &[("a", &[(7, "drop")]), ("b", &[(9, "drop")])];
        assert_eq!(lines(&source, listing), [Ok(4), Ok(7)]);
        // Handle 8 would be the rule of chain b.
        let source = format!("{TWO}delete rule inet t a handle 8\n");
        let listing: &[(&str, &[(u64, &str)])] = &[("a", &[(3, "accept"), (7, "drop")])];
        assert!(lines(&source, listing).iter().all(Result::is_err));
    }

    #[test]
    fn a_replaced_rule_keeps_its_handle_or_is_unknown() {
        let source = format!("{TWO}replace rule inet t a handle 3 return\n");
        let kept: &[(&str, &[(u64, &str)])] =
            &[("a", &[(3, "return"), (7, "drop")]), ("b", &[(9, "drop")])];
        assert_eq!(lines(&source, kept), [Ok(10), Ok(4), Ok(7)]);
        let new: &[(&str, &[(u64, &str)])] =
            &[("a", &[(10, "return"), (7, "drop")]), ("b", &[(9, "drop")])];
        assert!(lines(&source, new)[..2].iter().all(Result::is_err));
    }

    #[test]
    fn a_script_that_is_not_understood_leaves_everything_unknown() {
        let source = format!("{TWO}frobnicate inet t a\n");
        let listing: &[(&str, &[(u64, &str)])] =
            &[("a", &[(3, "accept"), (7, "drop")]), ("b", &[(9, "drop")])];
        let why = "fw.nft:10: nothing before makes a table ip frobnicate".to_owned();
        assert_eq!(lines(&source, listing), vec![Err(why); 3]);
    }

    #[test]
    fn a_table_that_no_file_makes_is_unknown() {
        let listing: &[(&str, &[(u64, &str)])] = &[("a", &[(3, "accept")])];
        let why = "no file of the candidate makes its table".to_owned();
        assert_eq!(lines("table ip t { }\n", listing), [Err(why)]);
    }
}
