//! Finds the line of every listed rule.
//!
//! `iptables-restore` makes the rules of a table in the order of its file, and the kernel gives those of
//! nftables ascending handles. So the rules of a table by handle are the rules of the file, and those of
//! a chain stand in the listing as the file puts them. Neither is believed: as many rules, the same
//! chains in the same order of making, and each pair must look alike. What does not agree is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    PARTS, is_legacy, is_noflush,
    source::{self, Source, SourceRule, option},
};
use crate::{
    dialect::Prepared,
    ruleset::{
        chain::{Chain, ChainInfo},
        legacy::{LEGACY, target, words},
        listing::Ruleset,
        origin::{Files, Found, Origins, Place, Table, table_key},
    },
};

/// Where the rules of a listing were written.
pub(super) fn origins(prepared: &Prepared, ruleset: &Ruleset) -> Origins {
    let legacy = is_legacy(&prepared.config);
    let mut read: Vec<(PathBuf, Arc<str>)> = Vec::new();
    let mut families = Vec::new();
    for part in &PARTS {
        let staged = prepared
            .files
            .iter()
            .find(|staged| staged.file.path.as_os_str() == part.inside);
        if let (Some(staged), Some(family)) = (staged, part.family) {
            let text = String::from_utf8_lossy(&staged.file.content.0);
            read.push((staged.shown.clone(), Arc::from(text)));
            families.push(match legacy {
                true => format!("{LEGACY}{family}"),
                false => family.to_owned(),
            });
        }
    }
    let texts: Vec<Arc<str>> = read.iter().map(|(_, text)| Arc::clone(text)).collect();
    let mut files = Files::new(read);
    let mut tables = BTreeMap::new();
    for (number, (family, text)) in families.into_iter().zip(texts).enumerate() {
        let include = if number == 0 { 0 } else { files.root(number) };
        let source = source::read(&text, include);
        let noflush = is_noflush(&prepared.config);
        tables.extend(found(&source, &family, ruleset, &files, noflush));
    }
    Origins::new(files, tables)
}

/// The places of everything listed in the tables of a source, by table; of legacy tables, by table and
/// chain ([`Origins`]).
pub(in crate::dialect) fn found(
    source: &Source,
    family: &str,
    ruleset: &Ruleset,
    files: &Files,
    noflush: bool,
) -> BTreeMap<(String, String), Table> {
    let mut found: BTreeMap<(String, String), Table> = BTreeMap::new();
    for (name, table) in &source.tables {
        let chains: Vec<(&Chain, &ChainInfo)> = ruleset
            .chains()
            .filter(|(chain, _)| chain.family == family && chain.table == *name)
            .collect();
        let doubt = table
            .doubt
            .map(|(place, why)| format!("{}: {why}", files.name(place)));
        let made = match doubt {
            Some(why) => Err(why),
            None if family.starts_with(LEGACY) => Ok(BTreeMap::new()),
            None => made(table, &chains),
        };
        for (chain, info) in chains {
            let of_table = found.entry(table_key(chain)).or_default();
            let written = table.chains.get(&chain.name);
            if let Some(base) = &info.base {
                let place = policy(written, &base.policy);
                of_table.policies.insert(chain.name.clone(), place);
            }
            let places = made
                .as_ref()
                .map_err(String::clone)
                .and_then(|made| places(table, written, info, (made, noflush), files));
            for handle in &info.order {
                let place: Found = match &places {
                    Ok(places) => Ok(places[handle]),
                    Err(why) => Err(why.as_str().into()),
                };
                of_table.rules.insert(*handle, place);
            }
        }
    }
    found
}

/// The rules of the source by the handles that they must have: those of a table in the order of their
/// making. A chain of which the source does not speak is somebody else's.
fn made(
    table: &source::Table,
    chains: &[(&Chain, &ChainInfo)],
) -> Result<BTreeMap<u64, usize>, String> {
    let of_all = table
        .chains
        .values()
        .flat_map(|chain| chain.order.iter().copied());
    let left: BTreeSet<usize> = of_all.collect();
    let spoken_of = |chain: &Chain| table.chains.contains_key(&chain.name);
    let chains = chains.iter().filter(|(chain, _)| spoken_of(chain));
    let of_all = chains.flat_map(|(chain, info)| {
        let handles = info.rules.keys();
        handles.map(|handle| (*handle, chain.name.as_str()))
    });
    let listed: BTreeMap<u64, &str> = of_all.collect();
    let written = left.iter().map(|rule| table.rules[*rule].chain.as_str());
    match written.eq(listed.values().copied()) {
        true => Ok(listed.into_keys().zip(left).collect()),
        false => Err("the rules of its table were not made in the order of the file".to_owned()),
    }
}

/// The places of a chain's rules by their handles.
pub(in crate::dialect) fn places(
    table: &source::Table,
    chain: Option<&source::Chain>,
    info: &ChainInfo,
    (made, noflush): (&BTreeMap<u64, usize>, bool),
    files: &Files,
) -> Result<BTreeMap<u64, Place>, String> {
    let order = chain
        .map(|chain| chain.order.as_slice())
        .unwrap_or_default();
    if order.len() != info.order.len() {
        return Err(format!(
            "the file makes {} rules of its chain, but {} are listed",
            order.len(),
            info.order.len()
        ));
    }
    let user_chains: BTreeSet<&str> = table.chains.keys().map(String::as_str).collect();
    let mut places = BTreeMap::new();
    for (position, handle) in order.iter().zip(&info.order) {
        let number = *made.get(handle).unwrap_or(position);
        // Where other rules stand already, numbers do not say where a rule was inserted.
        if number != *position && !noflush {
            return Err(
                "the rules of its chain are listed in another order than the file puts them"
                    .to_owned(),
            );
        }
        let rule = &table.rules[number];
        let listed = info.rules.get(handle).map_or("", |rule| &rule.text);
        if !alike(rule, listed, &user_chains) {
            return Err(format!(
                "`{listed}` is listed where {} is expected",
                files.name(rule.place)
            ));
        }
        places.insert(*handle, rule.place);
    }
    Ok(places)
}

/// Whether a rule may be listed like this: in the words of nft, or in those of iptables.
pub(in crate::dialect) fn alike(rule: &SourceRule, listed: &str, chains: &BTreeSet<&str>) -> bool {
    let of_iptables = words(listed);
    let iptables = target(&of_iptables).is_some() || listed.starts_with('-') || listed.is_empty();
    // Names and numbers that both write as they are.
    let options: [(&[&str], &str); 4] = [
        (&["-i", "--in-interface"], "iifname"),
        (&["-o", "--out-interface"], "oifname"),
        (&["--dport", "--destination-port"], "dport"),
        (&["--sport", "--source-port"], "sport"),
    ];
    let same_options = options.iter().all(|(names, nft)| {
        let Some(value) = rule.option(names) else {
            return true;
        };
        let plain = match *nft {
            "dport" | "sport" => {
                value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0')
            }
            _ => !value.ends_with('+') && value.chars().all(|c| c.is_ascii_alphanumeric()),
        };
        let quoted = format!("{nft} \"{value}\"");
        let bare = format!("{nft} {value}");
        !plain
            || match iptables {
                true => option(&of_iptables, names) == Some(value),
                false => listed.contains(&quoted) || has_words(listed, &bare),
            }
    });
    let same_comment =
        !iptables || rule.option(&["--comment"]) == option(&of_iptables, &["--comment"]);
    let same_target = match (rule.target(), iptables) {
        (target_of_rule, true) => target_of_rule == target(&of_iptables),
        (Some((goto, name)), false) if chains.contains(name) => {
            let verb = if goto { "goto" } else { "jump" };
            has_words(listed, &format!("{verb} {name}"))
        }
        (Some((_, name @ ("ACCEPT" | "DROP" | "RETURN"))), false) => {
            has_words(listed, &name.to_lowercase())
        }
        (Some((_, "REJECT")), false) => has_words(listed, "reject") || listed.contains("REJECT"),
        (Some(_) | None, false) => !["accept", "drop", "return", "jump", "goto"]
            .iter()
            .any(|verb| has_words(unquoted(listed).as_str(), verb)),
    };
    same_options && same_comment && same_target
}

/// A listed rule without what stands between quotes.
fn unquoted(listed: &str) -> String {
    listed.split('"').step_by(2).collect()
}

/// Whether these words stand in a text, as words.
fn has_words(text: &str, words: &str) -> bool {
    format!(" {text} ").contains(&format!(" {words} "))
}

pub(in crate::dialect) fn policy(chain: Option<&source::Chain>, listed: &str) -> Found {
    match chain.and_then(|chain| chain.policy.as_ref()) {
        Some((place, word)) if word == listed => Ok(*place),
        Some(_) => Err("the listed policy is not the one in the file".into()),
        None => Err("the file says nothing of its chain".into()),
    }
}
