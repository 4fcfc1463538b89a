//! Finds the line of every listed rule.
//!
//! firewalld names its chains after zones and policies, so the file is known. The element is found by what it
//! makes: a rule belongs to an element if that is the only one of its file which makes these very words
//! in this chain. firewalld writes equal rules once, so where two elements make them, it is said that both do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    CONF, ETC, Prepared, STOCK,
    direct::Direct,
    expected::{self, Services},
    xml::{self, Element},
};
use crate::ruleset::{
    chain::{Chain, ChainInfo},
    listing::Ruleset,
    origin::{Files, Found, Origins, Place, Table, table_key},
};

/// A zone or policy.
struct Owner {
    /// What its chains are named after: `policy_x` or the name of the zone.
    name: String,
    file: usize,
    root: Element,
    /// What its elements make: suffix of the chain, text, the elements' places.
    made: BTreeMap<(&'static str, String), Vec<Place>>,
}

/// The chains of a zone or policy begin so: the nftables back end's, and those of the iptables back end.
const PREFIXES: [&str; 6] = [
    "filter_IN_",
    "filter_FWD_",
    "filter_OUT_",
    "IN_",
    "FWD_",
    "OUT_",
];

const SUFFIXES: [&str; 5] = ["pre", "log", "deny", "allow", "post"];

pub(in crate::dialect) const OWN: &str =
    "firewalld makes it by itself, for no element of its files";

/// How the reason begins why the line is unknown of a rule of a zone or policy that comes with firewalld.
pub(in crate::dialect) const FROM_A_PACKAGE: &str = "no element of /usr/";

/// Where the rules of a listing were written.
pub(super) fn origins(prepared: &Prepared, ruleset: &Ruleset, _: &[String]) -> Origins {
    let mut seen = BTreeSet::new();
    if let Some(twice) = prepared
        .files
        .iter()
        .find(|staged| !seen.insert(&staged.file.path))
    {
        let shown = twice.shown.display();
        return Origins::unknown(&format!("{shown} stands in for a file of firewalld's"));
    }
    let mut read: Vec<(PathBuf, Arc<str>)> = Vec::new();
    let mut roots: Vec<(usize, &str, &str, Element)> = Vec::new();
    let mut conf = None;
    for staged in &prepared.files {
        let path = staged.file.path.to_string_lossy();
        let text: Arc<str> = Arc::from(String::from_utf8_lossy(&staged.file.content.0));
        if path == CONF {
            conf = Some((read.len(), Arc::clone(&text)));
        }
        let path = staged.file.path.as_path();
        let below = path.strip_prefix(ETC).or_else(|_| path.strip_prefix(STOCK));
        let parts = below.ok().and_then(|below| {
            let kind = below.parent()?.to_str()?;
            Some((kind, below.file_name()?.to_str()?.strip_suffix(".xml")?))
        });
        if let (Some((kind, name)), Some(root)) = (parts, xml::read(&text)) {
            roots.push((read.len(), kind, name, root));
        }
        read.push((staged.shown.clone(), text));
    }
    let mut files = Files::new(read);
    for file in 1..files.files.len() {
        files.root(file);
    }
    let mut services = Services::new();
    for (_, _, name, root) in roots.iter().filter(|(_, kind, ..)| *kind == "services") {
        // The user's come first, and replace firewalld's own.
        services.entry(name).or_insert(root);
    }
    let owners: Vec<Owner> = roots
        .iter()
        .filter_map(|(file, kind, name, root)| {
            let name = match *kind {
                "zones" => (*name).to_owned(),
                "policies" => format!("policy_{name}"),
                _ => return None,
            };
            Some(owner(name, *file, root, &services))
        })
        .collect();
    let direct = roots
        .iter()
        .find(|(_, kind, name, _)| kind.is_empty() && *name == "direct")
        .map(|(file, _, _, root)| Direct::read(root, |element| at(*file, element)))
        .unwrap_or_default();
    let rpfilter = conf.and_then(|(file, text)| setting(file, &text, "IPv6_rpfilter"));
    let mut tables: BTreeMap<(String, String), Table> = BTreeMap::new();
    for (chain, info) in ruleset.chains() {
        let of_firewalld = (chain.family == "inet" && chain.table == "firewalld")
            || (["ip", "ip6"].contains(&chain.family.as_str()) && chain.table == "filter");
        if !of_firewalld {
            continue;
        }
        let table = tables.entry(table_key(chain)).or_default();
        if info.base.is_some() {
            table.policies.insert(chain.name.clone(), Err(OWN.into()));
        }
        let chain_of = named(chain, &owners);
        // How often each rule is there.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for rule in info.rules.values() {
            *counts.entry(normal(chain, &rule.text)).or_default() += 1;
        }
        let of_direct = direct.places(chain, info, &files);
        for handle in &info.order {
            let text = info.rules.get(handle).map_or("", |rule| &rule.text);
            if let Some(places) = &of_direct {
                let place = places.as_ref().map(|places| places[handle]);
                let found = place.map_err(|why| Arc::from(why.as_str()));
                table.rules.insert(*handle, found);
                continue;
            }
            let found = match &chain_of {
                Ok(Some((owner, suffix))) => {
                    place(owner, *suffix, chain, (info, &counts), text, &files)
                }
                Ok(None) if text == "meta nfproto ipv6 fib saddr . mark . iif oif missing drop" => {
                    rpfilter.ok_or_else(|| Arc::from(OWN))
                }
                Ok(None) => Err(OWN.into()),
                Err(why) => Err(Arc::clone(why)),
            };
            table.rules.insert(*handle, found);
        }
    }
    Origins::new(files, tables)
}

fn owner(name: String, file: usize, root: &Element, services: &Services<'_>) -> Owner {
    let mut made: BTreeMap<_, Vec<Place>> = BTreeMap::new();
    for element in &root.children {
        let place = at(file, element);
        for rule in expected::rules(element, root, services) {
            let places = made.entry((rule.suffix, rule.text)).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    Owner {
        name,
        file,
        root: root.clone(),
        made,
    }
}

fn at(file: usize, element: &Element) -> Place {
    Place {
        include: file,
        at: element.at,
        line: element.line,
        implied: false,
    }
}

/// Whose chain that is, and how its name ends; none for a chain of firewalld's frame.
fn named<'a>(
    chain: &Chain,
    owners: &'a [Owner],
) -> Result<Option<(&'a Owner, Option<&'static str>)>, Arc<str>> {
    let iptables = chain.family != "inet";
    let rest = PREFIXES
        .iter()
        .find_map(|prefix| chain.name.strip_prefix(prefix));
    let Some(rest) = rest else {
        return Ok(None);
    };
    let names = std::iter::once((rest, None)).chain(SUFFIXES.iter().filter_map(|suffix| {
        let name = rest.strip_suffix(suffix)?.strip_suffix('_')?;
        Some((name, Some(*suffix)))
    }));
    let found = names.flat_map(|(name, suffix)| {
        let owners = owners.iter().filter(move |owner| {
            // The iptables back end names policies as it names zones.
            owner.name == name
                || iptables
                    && owner
                        .name
                        .strip_prefix("policy_")
                        .is_some_and(|own| own == name)
        });
        owners.map(move |owner| (owner, suffix))
    });
    let found: Vec<_> = found.collect();
    match found.as_slice() {
        [one] => Ok(Some(*one)),
        [] => Err("no file with the zone or policy of its chain was read".into()),
        [_, ..] => Err("its chain is named like those of several zones or policies".into()),
    }
}

/// Where a rule in a chain of a zone or policy was written.
fn place(
    owner: &Owner,
    suffix: Option<&'static str>,
    chain: &Chain,
    (info, counts): (&ChainInfo, &BTreeMap<String, usize>),
    text: &str,
    files: &Files,
) -> Found {
    let text = normal(chain, text);
    let Some(suffix) = suffix else {
        let is_last = info
            .order
            .last()
            .and_then(|handle| info.rules.get(handle))
            .is_some_and(|rule| normal(chain, &rule.text) == text);
        return target(owner, chain, &text, is_last);
    };
    if counts.get(&text) != Some(&1) {
        return Err("its chain has several rules like it".into());
    }
    match owner.made.get(&(suffix, text.clone())).map(Vec::as_slice) {
        Some([place]) => Ok(*place),
        Some(places) => {
            let names: Vec<String> = places.iter().map(|place| files.name(*place)).collect();
            Err(format!("each of {} makes it", names.join(", ")).into())
        }
        None => {
            let (file, _) = &files.files[owner.file];
            Err(format!("no element of {} is known to make it", file.display()).into())
        }
    }
}

/// The rules behind the chains of a zone or policy: its target, which the root element gives or implies.
fn target(owner: &Owner, chain: &Chain, text: &str, is_last: bool) -> Found {
    let root = at(owner.file, &owner.root);
    let written = owner.root.attribute("target");
    let reject: &[&str] = match chain.family.as_str() {
        "inet" => &["reject with icmpx admin-prohibited"],
        _ => &["reject"],
    };
    let implied = Place {
        implied: written.is_none(),
        ..root
    };
    let default = matches!(written, None | Some("default"));
    let icmp = [
        "meta l4proto { icmp, ipv6-icmp } accept",
        "meta l4proto icmp accept",
        "meta l4proto ipv6-icmp accept",
    ];
    let fits = match written {
        Some("ACCEPT") => text == "accept",
        Some("DROP") => text == "drop",
        Some("%%REJECT%%" | "REJECT") => reject.contains(&text) || icmp.contains(&text),
        _ if default && !owner.name.starts_with("policy_") => {
            reject.contains(&text) || icmp.contains(&text)
        }
        _ => false,
    };
    match fits && (is_last || icmp.contains(&text)) {
        true => Ok(implied),
        false => Err(OWN.into()),
    }
}

/// The text of a rule without what only one of the back ends writes.
fn normal(chain: &Chain, text: &str) -> String {
    if chain.family == "inet" {
        return text.to_owned();
    }
    let text = format!(" {text}").replace(" counter", "");
    let text = text.replace(" reject with icmp type ", " reject with icmp ");
    let text = text.replace(" reject with icmpv6 type ", " reject with icmpv6 ");
    let text = text.trim_start();
    for protocol in ["meta l4proto icmp icmp ", "meta l4proto ipv6-icmp icmpv6 "] {
        if let Some(rest) = text.split_once(protocol) {
            let word = protocol.rsplit(' ').nth(1).unwrap_or_default();
            return format!("{}{word} {}", rest.0, rest.1);
        }
    }
    text.to_owned()
}

/// The line of a setting in `firewalld.conf`, if there is only one.
fn setting(file: usize, text: &str, name: &str) -> Option<Place> {
    let mut found = None;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split('\n')) {
        let is_it = line
            .strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        if is_it {
            let place = Place {
                include: file,
                at,
                line: number,
                implied: true,
            };
            if found.replace(place).is_some() {
                return None;
            }
        }
        at += line.len() + 1;
    }
    found
}
