//! Every rule is attributed to the line it was written on, or its line is reported as uncertain; never to
//! another line. On the real kernel, through the real program: `attribution/corpus.rs` has sources in which
//! every line is known by construction, and packets that hit them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its own files has failed"
)]

#[path = "attribution/corpus.rs"]
mod corpus;
#[path = "attribution/random.rs"]
mod random;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use corpus::{Families, SOURCES, Source};

/// Ports are given out from here on; a packet to the one before meets no rule.
const FIRST_PORT: u16 = 20_000;

/// What must be said of a packet to a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Truth {
    Line(String, usize),
    Uncertain,
}

/// Writes a source's files, and the scenario that probes them. What must be said of each port.
fn write(folder: &Path, source: &Source) -> BTreeMap<u16, Truth> {
    let mut truth = BTreeMap::new();
    let mut port = FIRST_PORT;
    if let Some((file, line)) = source.policy {
        truth.insert(port - 1, Truth::Line(file.to_owned(), line));
    }
    for (name, text) in source.files {
        let text = text.strip_prefix('\n').unwrap_or(text);
        let mut written = String::new();
        for (number, line) in (1_usize..).zip(text.split_inclusive('\n')) {
            let mut rest = line;
            while let Some((before, after)) = rest.split_once('<')
                && let Some((marker, after)) = after.split_once('>')
            {
                let expected = match marker {
                    "?" => Truth::Uncertain,
                    offset => {
                        let offset: isize = offset.parse().unwrap();
                        let line = number.checked_add_signed(offset).unwrap();
                        Truth::Line((*name).to_owned(), line)
                    }
                };
                // In a comment, it says what is said before it on the line.
                let quoted = before.ends_with('"');
                port += u16::from(!quoted);
                write!(written, "{before}{port}").unwrap();
                truth.insert(port, expected);
                rest = after;
            }
            written.push_str(rest);
        }
        let file = folder.join(source.name).join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, written).unwrap();
    }
    let address = match source.families {
        Families::Both => "[198.51.100.7, \"2001:db8:ffff::7\"]",
        Families::Ipv4 => "198.51.100.7",
        Families::Ipv6 => "\"2001:db8:ffff::7\"",
    };
    let mut tests = String::new();
    for port in truth.keys() {
        writeln!(tests, "  - internet -> firewall tcp/{port}: accept").unwrap();
    }
    if truth.is_empty() {
        tests.push_str("  - internet -> firewall tcp/1: accept\n");
    }
    let scenario = format!(
        "firewall:\n  nftables: {name}/{main}\n  interfaces: {{ eth0: [192.0.2.10/24, \"2001:db8::10/64\"] }}\n  \
         routes: [\"default via 192.0.2.1\", \"default via 2001:db8::1\"]\n\
         hosts:\n  internet: {{ behind: eth0, address: {address} }}\ntests:\n{tests}",
        name = source.name,
        main = source.files[0].0,
    );
    fs::write(folder.join(format!("{}.yaml", source.name)), scenario).unwrap();
    truth
}

/// Runs all scenarios of a folder and returns the JSON report.
fn drill(folder: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .args(["test", "--report", "json"])
        .arg(folder)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The port of a case's name: `… tcp/20001 [ipv4]`.
fn port(case: &Value) -> u16 {
    let name = case["name"].as_str().unwrap();
    let (_, port) = name.rsplit_once("tcp/").unwrap();
    port.split(' ').next().unwrap().parse().unwrap()
}

/// What is wrong with what was said of a packet, if anything.
fn wrong(folder: &Path, source: &Source, truth: &Truth, case: &Value) -> Option<String> {
    let rule = &case["rule"];
    let said = (rule["file"].as_str(), rule["line"].as_u64());
    let fine = match (truth, said) {
        (Truth::Line(file, line), (Some(said), Some(number))) => {
            Path::new(said) == folder.join(source.name).join(file)
                && number == *line as u64
                && rule["origin_unknown"].is_null()
                && text_of(said, *line) == rule["source"].as_str().unwrap()
        }
        (Truth::Uncertain, (None, None)) => rule["origin_unknown"].is_string(),
        (Truth::Line(..) | Truth::Uncertain, _) => false,
    };
    (!fine).then(|| {
        format!(
            "{}: {}: expected {truth:?}, said {rule}",
            source.name, case["name"]
        )
    })
}

fn text_of(file: &str, line: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    text.split('\n').nth(line - 1).unwrap().trim().to_owned()
}

#[test]
fn every_rule_of_the_corpus_is_attributed_to_its_line_or_said_to_be_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let truths: BTreeMap<&str, BTreeMap<u16, Truth>> = SOURCES
        .iter()
        .map(|source| (source.name, write(folder, source)))
        .collect();
    let report = drill(folder);
    let scenarios: BTreeMap<&str, &Value> = list(&report["scenarios"])
        .iter()
        .map(|scenario| {
            (
                scenario["name"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap(),
                scenario,
            )
        })
        .collect();
    let (mut lines, mut uncertain, mut problems) = (0, 0, Vec::new());
    for source in SOURCES {
        let scenario = scenarios[source.name];
        match (source.refused, scenario["error"].as_str()) {
            (true, Some(_)) => continue,
            (false, None) => {}
            (true, None) => problems.push(format!("{}: nft takes it", source.name)),
            (false, Some(error)) => problems.push(format!("{}: {error}", source.name)),
        }
        for case in list(&scenario["cases"]) {
            let truth = &truths[source.name][&port(case)];
            match truth {
                Truth::Line(..) => lines += 1,
                Truth::Uncertain => uncertain += 1,
            }
            problems.extend(wrong(folder, source, truth, case));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    println!(
        "{} sources, {lines} lines, {uncertain} uncertain",
        SOURCES.len()
    );
    assert!(SOURCES.len() >= 40 && lines >= 400, "the corpus has shrunk");
}

#[test]
fn no_rule_of_a_random_script_is_attributed_to_another_line() {
    const SCRIPTS: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let scripts: BTreeMap<String, random::Script> = (0..SCRIPTS)
        .map(|seed| (format!("s{seed}"), random::script(seed)))
        .collect();
    for (name, script) in &scripts {
        let below = folder.path().join(name);
        fs::create_dir(&below).unwrap();
        for (file, text) in &script.files {
            fs::write(below.join(file), text).unwrap();
        }
        let tests: String = script
            .lines
            .keys()
            .map(|port| format!("  - internet -> firewall tcp/{port}: accept\n"))
            .collect();
        let scenario = format!(
            "firewall:\n  nftables: {name}/main.nft\n  interfaces: {{ eth0: 192.0.2.10/24 }}\n\
             hosts:\n  internet: {{ behind: eth0, address: 192.0.2.7 }}\ntests:\n{tests}"
        );
        fs::write(folder.path().join(format!("{name}.yaml")), scenario).unwrap();
    }
    let report = drill(folder.path());
    let (mut loaded, mut right, mut uncertain) = (0, 0, 0);
    for scenario in list(&report["scenarios"]) {
        loaded += u32::from(scenario["error"].is_null());
        let name = scenario["name"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        for case in list(&scenario["cases"]) {
            let rule = &case["rule"];
            let ports = rule["text"]
                .as_str()
                .and_then(|text| text.split_once("dport { "));
            let Some((_, ports)) = ports else { continue };
            let port: u16 = ports.split(',').next().unwrap().parse().unwrap();
            let (file, line) = &scripts[name].lines[&port];
            match (rule["file"].as_str(), rule["line"].as_u64()) {
                (Some(said), Some(number)) => {
                    assert!(Path::new(said).ends_with(file), "{name}: {rule}");
                    assert_eq!(number, *line as u64, "{name}: {rule}");
                    right += 1;
                }
                _ => uncertain += 1,
            }
        }
    }
    println!("{loaded} of {SCRIPTS} loaded: {right} right, {uncertain} uncertain");
    assert!(
        loaded > 50 && right > 1000,
        "{loaded} loaded, {right} right"
    );
    assert!(
        uncertain * 20 < right,
        "{uncertain} uncertain, {right} right"
    );
}

#[test]
fn a_file_that_is_included_twice_is_named_with_the_place_of_its_include() {
    let folder = tempfile::tempdir().unwrap();
    let source = SOURCES
        .iter()
        .find(|source| source.name == "a-file-included-twice")
        .unwrap();
    write(folder.path(), source);
    let report = drill(folder.path());
    let included: Vec<&Value> = list(&report["scenarios"][0]["cases"])
        .iter()
        .map(|case| &case["rule"])
        .filter(|rule| rule["file"].as_str().unwrap().ends_with("common.nft"))
        .collect();
    assert!(!included.is_empty());
    for rule in included {
        let from = rule["included_from"][0].as_str().unwrap();
        assert!(from.ends_with("main.nft:7"), "{rule}");
    }
}

/// More rules than fit into one message of an unprivileged program; `dialects` has thousands.
#[test]
fn each_of_hundreds_of_rules_is_attributed_to_its_line() {
    const RULES: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from(
        "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop\n",
    );
    let mut tests = String::new();
    for number in 0..RULES {
        let (port, line) = (10_000 + number, 4 + number);
        writeln!(text, "  tcp dport {port} accept").unwrap();
        writeln!(
            tests,
            "  - internet -> firewall tcp/{port}: {{ accept: {{ by: \"main.nft:{line}\" }} }}"
        )
        .unwrap();
    }
    text.push_str(" }\n}\n");
    fs::write(folder.path().join("main.nft"), text).unwrap();
    let scenario = format!(
        "firewall:\n  nftables: main.nft\n  interfaces: {{ eth0: 192.0.2.10/24 }}\n\
         hosts:\n  internet: {{ behind: eth0, address: 192.0.2.7 }}\ntests:\n{tests}"
    );
    fs::write(folder.path().join("many.yaml"), scenario).unwrap();
    let report = drill(folder.path());
    assert_eq!(report["totals"]["pass"], RULES, "{}", report["totals"]);
}

#[test]
fn every_commented_rule_of_the_shipped_rulesets_is_attributed_to_a_line_with_its_comment() {
    let report = drill(Path::new("scenarios"));
    let mut commented = 0;
    for scenario in list(&report["scenarios"]) {
        assert!(scenario["error"].is_null(), "{scenario}");
        for case in list(&scenario["cases"]) {
            let rule = &case["rule"];
            let Some((_, comment)) = rule["text"]
                .as_str()
                .and_then(|text| text.split_once(" comment "))
            else {
                continue;
            };
            // Legacy iptables lists it as `-m comment --comment "…" -j TARGET`.
            let comment = comment.strip_prefix("--comment ").unwrap_or(comment);
            let comment = match comment.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap(),
                None => comment.split(' ').next().unwrap(),
            };
            let file = PathBuf::from(rule["file"].as_str().unwrap());
            let line = usize::try_from(rule["line"].as_u64().unwrap()).unwrap();
            let text = fs::read_to_string(file).unwrap();
            // A rule over several lines has its comment on its last.
            let rule_text: String = text
                .split_inclusive('\n')
                .skip(line - 1)
                .take(RULE_LINES)
                .collect();
            assert!(rule_text.contains(comment), "{rule}");
            commented += 1;
        }
    }
    assert!(
        commented > 300,
        "only {commented} decisions were by commented rules"
    );
}

/// The longest rule of the shipped rulesets, in lines.
const RULE_LINES: usize = 10;

#[test]
fn an_expectation_can_name_the_line_or_the_chain_that_should_decide() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let ruleset = "table inet t {
    chain web {
        tcp dport 80-89 accept
    }
    chain in {
        type filter hook input priority 0; policy drop;
        jump web
    }
}
";
    fs::write(folder.path().join("rules/fw.nft"), ruleset).unwrap();
    let scenario = "
firewall:
  nftables: rules/fw.nft
  interfaces: { eth0: 192.0.2.10/24 }
hosts:
  a: { behind: eth0, address: 192.0.2.7 }
tests:
  - a -> firewall tcp/80: { accept: { by: \"fw.nft:3\" } }
  - a -> firewall tcp/81: { accept: { by: \"rules/fw.nft:3\" } }
  - a -> firewall tcp/82: { accept: { by: chain web } }
  - a -> firewall tcp/83: { accept: { by: chain inet t web } }
  - a -> firewall tcp/90: { drop: { by: \"fw.nft:6\" } }
  - a -> firewall tcp/91: { drop: { by: chain in } }
  - a -> firewall tcp/84: { accept: { by: \"fw.nft:4\" } }
  - a -> firewall tcp/85: { accept: { by: \"w.nft:3\" } }
  - a -> firewall tcp/86: { accept: { by: chain in } }
";
    fs::write(folder.path().join("by.yaml"), scenario).unwrap();
    let report = drill(folder.path());
    let outcomes: Vec<&str> = list(&report["scenarios"][0]["cases"])
        .iter()
        .map(|case| case["outcome"].as_str().unwrap())
        .collect();
    let expected = [["pass"; 6].as_slice(), ["fail"; 3].as_slice()].concat();
    assert_eq!(outcomes, expected);
}

#[test]
fn an_expectation_on_a_line_that_is_uncertain_is_inconclusive() {
    let folder = tempfile::tempdir().unwrap();
    let ruleset = "table inet t {
    set s { type inet_service; flags dynamic; size 9
    }
    chain in {
        type filter hook input priority 0; policy drop;
        jump {
            add @s { tcp dport }
            tcp dport 80 accept
        }
    }
}
";
    fs::write(folder.path().join("fw.nft"), ruleset).unwrap();
    let scenario = "
firewall:
  nftables: fw.nft
  interfaces: { eth0: 192.0.2.10/24 }
hosts:
  a: { behind: eth0, address: 192.0.2.7 }
tests:
  - a -> firewall tcp/80: { accept: { by: \"fw.nft:8\" } }
";
    fs::write(folder.path().join("by.yaml"), scenario).unwrap();
    let report = drill(folder.path());
    let case = &report["scenarios"][0]["cases"][0];
    assert_eq!(
        (case["verdict"].as_str(), case["outcome"].as_str()),
        (Some("accept"), Some("inconclusive")),
        "{case}"
    );
}
