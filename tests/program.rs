//! The kernel's own program of every shipped ruleset decodes without a rest, and has the handles and constants that
//! `nft -j list ruleset` shows: nft reads the same kernel with code of its own.
//!
//! `FIREDRILL_CORPUS=FOLDER` adds the files of a folder. What does not load there is named and passed over.

#![allow(
    clippy::print_stdout,
    reason = "what does not load is named, not passed over in silence"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use firedrill::ruleset::program::{
    BitwiseOp, ElementData, ElementFlags, Expression, ObjectData, Program, ProgramRule,
    ProgramTable,
};
use firedrill_harness::program_dump;
use serde_json::Value;

/// Set in the process of the test that has a network namespace of its own.
const INSIDE: &str = "FIREDRILL_TEST_IN_NAMESPACE";

#[test]
fn every_shipped_ruleset_decodes_to_what_nft_lists() {
    const NAME: &str = "every_shipped_ruleset_decodes_to_what_nft_lists";
    if env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--"])
            .arg(env::current_exe().expect("this program"))
            .args(["--exact", NAME, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(status.expect("unshare is installed").success());
        return;
    }
    let shipped = files_below(Path::new("scenarios"));
    let corpus = env::var_os("FIREDRILL_CORPUS").map(PathBuf::from);
    let corpus = corpus.map_or_else(Vec::new, |folder| files_below(&folder));
    let mut loaded = 0;
    let mut opaque: BTreeMap<String, usize> = BTreeMap::new();
    for path in shipped.iter().chain(&corpus) {
        nft(&["flush", "ruleset"]).expect("nft flushes the ruleset");
        let name = path.to_str().expect("a path in UTF-8");
        let folder = path
            .parent()
            .and_then(Path::to_str)
            .expect("a folder in UTF-8");
        if let Err(error) = nft(&["-I", folder, "-f", name]) {
            println!(
                "NOT LOADED HERE: {name}: {}",
                error.lines().next().unwrap_or_default()
            );
            continue;
        }
        loaded += 1;
        let dump = program_dump().expect("the kernel dumps its rules");
        let program = Program::decode(&dump.0).unwrap_or_else(|error| panic!("{name}: {error}"));
        for expression in opaque_expressions(&program) {
            assert!(!shipped.contains(path), "{name}: {expression} is opaque");
            *opaque.entry(expression).or_default() += 1;
        }
        let listing = nft(&["-j", "-a", "list", "ruleset"]).expect("nft lists the ruleset");
        let listing: Value = serde_json::from_str(&listing).expect("nft writes JSON");
        compare(name, &program, &listing);
    }
    println!("{loaded} rulesets; opaque: {opaque:?}");
    assert!(loaded > 8, "only {loaded} rulesets were loaded");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            files.append(&mut files_below(&path));
        } else if path.extension().is_some_and(|end| end == "nft") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Runs nft; what it prints, or its errors.
fn nft(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("nft").args(arguments).output();
    let output = output.expect("nft is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

fn rules(program: &Program) -> impl Iterator<Item = (&ProgramTable, &str, &ProgramRule)> {
    program.tables.iter().flat_map(|table| {
        let chains = table.chains.iter();
        chains.flat_map(move |chain| {
            let rules = chain.rules.iter();
            rules.map(move |rule| (table, chain.name.as_str(), rule))
        })
    })
}

fn opaque_expressions(program: &Program) -> Vec<String> {
    let mut names = Vec::new();
    for (_, _, rule) in rules(program) {
        assert_eq!(rule.unknown, []);
        names.extend(
            rule.expressions
                .iter()
                .filter_map(|expression| match expression {
                    Expression::Opaque { name, .. } => Some(name.clone()),
                    _ => None,
                }),
        );
    }
    for table in &program.tables {
        assert_eq!(table.unknown, []);
        for object in &table.objects {
            if let ObjectData::Opaque { kind, .. } = object.data {
                names.push(format!("object of kind {kind}"));
            }
        }
    }
    names
}

/// The constants of rules and the keys of sets.
fn constants(program: &Program) -> Vec<&[u8]> {
    let mut constants: Vec<&[u8]> = Vec::new();
    for (_, _, rule) in rules(program) {
        for expression in &rule.expressions {
            match expression {
                Expression::Cmp { value, .. } | Expression::Immediate { value, .. } => {
                    constants.push(value);
                }
                Expression::Range { from, to, .. } => constants.extend([&from[..], &to[..]]),
                Expression::Bitwise {
                    op: BitwiseOp::MaskXor { mask, xor },
                    ..
                } => constants.extend([&mask[..], &xor[..]]),
                _ => {}
            }
        }
    }
    for set in program.tables.iter().flat_map(|table| &table.sets) {
        for element in &set.elements {
            constants.push(&element.key);
            constants.extend(element.key_end.as_deref());
            if let ElementData::Value(value) = &element.data {
                constants.push(value);
            }
        }
    }
    constants
}

fn compare(name: &str, program: &Program, listing: &Value) {
    let mut listed = BTreeSet::new();
    let mut sets = BTreeMap::new();
    for object in listing["nftables"].as_array().expect("a list of objects") {
        let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
        if let Some(rule) = object.get("rule") {
            let handle = rule["handle"].as_u64().expect("a rule has a handle");
            listed.insert((
                text(rule, "family"),
                text(rule, "table"),
                text(rule, "chain"),
                handle,
            ));
        }
        for kind in ["set", "map"] {
            if let Some(set) = object.get(kind) {
                let plain = set.get("flags").is_none() && set["type"].is_string();
                let count = set["elem"].as_array().map_or(0, Vec::len);
                let key = (text(set, "family"), text(set, "table"), text(set, "name"));
                sets.insert(key, plain.then_some(count));
            }
        }
    }
    let decoded: BTreeSet<_> = rules(program)
        .filter(|(_, chain, _)| !chain.starts_with("__chain"))
        .map(|(table, chain, rule)| {
            (
                table.family.to_string(),
                table.name.clone(),
                chain.to_owned(),
                rule.handle,
            )
        })
        .collect();
    assert_eq!(decoded, listed, "{name}");
    for table in &program.tables {
        for set in &table.sets {
            let key = (
                table.family.to_string(),
                table.name.clone(),
                set.name.clone(),
            );
            if let Some(Some(count)) = sets.get(&key) {
                let ends = set.elements.iter();
                let starts = ends.filter(|one| !one.flags.contains(ElementFlags::INTERVAL_END));
                assert_eq!(starts.count(), *count, "{name}: {key:?}");
            }
        }
    }
    let constants = constants(program);
    for address in addresses(listing) {
        let is_there =
            |constant: &&[u8]| constant.windows(address.len()).any(|part| part == address);
        assert!(
            constants.iter().any(is_there),
            "{name}: {address:?} of the listing"
        );
    }
}

/// The addresses in a listing as the kernel holds them; of a prefix the whole bytes of it.
fn addresses(value: &Value) -> Vec<Vec<u8>> {
    let bytes = |text: &str| match text.parse() {
        Ok(IpAddr::V4(address)) => Some(address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => Some(address.octets().to_vec()),
        Err(_) => None,
    };
    match value {
        Value::String(text) => bytes(text).into_iter().collect(),
        Value::Array(values) => values.iter().flat_map(addresses).collect(),
        Value::Object(fields) => match fields.get("prefix") {
            Some(prefix) => {
                let address = prefix["addr"].as_str().and_then(bytes);
                let whole = prefix["len"].as_u64().unwrap_or(0) / 8;
                let whole = usize::try_from(whole).expect("at most 128 bits");
                address
                    .map(|address| address[..whole].to_vec())
                    .filter(|address| !address.is_empty())
                    .into_iter()
                    .collect()
            }
            // Behind the last key of an interval the kernel has the first that is outside.
            None if fields.contains_key("range") => addresses(&fields["range"][0]),
            None => fields
                .iter()
                .filter(|(key, _)| !["comment", "name", "chain", "table"].contains(&key.as_str()))
                .flat_map(|(_, value)| addresses(value))
                .collect(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
