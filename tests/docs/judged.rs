//! The JSON Schema as a validator sees it that is not ours: it accepts what is a scenario, and refuses what
//! a schema can know to be none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{blocks, documents, read};

/// `check-jsonschema` (PyPI), installed by `.ci/setup judges`; `None` if it is not and need not be.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn judge() -> Option<PathBuf> {
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/judges/bin/check-jsonschema");
    if judge.exists() {
        return Some(judge);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{} is missing: run `.ci/setup judges`",
        judge.display()
    );
    eprintln!("SKIPPED, no JSON Schema validator: run `.ci/setup judges`");
    None
}

/// Writes each text to a file of its own and returns the names of those that the schema refuses, with the
/// reason.
fn refused(judge: &Path, texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("schema.json");
    fs::write(&schema, firedrill::scenario::json_schema().to_string()).unwrap();
    let files: Vec<PathBuf> = (0..texts.len())
        .map(|number| folder.path().join(format!("{number}.yaml")))
        .collect();
    for (file, text) in files.iter().zip(texts.values()) {
        fs::write(file, text).unwrap();
    }
    let output = Command::new(judge)
        .args(["--output-format", "json", "--schemafile"])
        .arg(&schema)
        .args(&files)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&told).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {told}{stderr}")
    });
    let errors = ["errors", "parse_errors"].map(|key| report[key].as_array().cloned());
    let errors = errors.into_iter().flatten().flatten();
    let mut refused = BTreeMap::new();
    for error in errors {
        let file = error["filename"].as_str().unwrap();
        let number = files.iter().position(|known| known == Path::new(file));
        let name = texts.keys().nth(number.unwrap()).unwrap();
        refused.insert(name.clone(), error.to_string());
    }
    refused
}

/// Every scenario file below a folder; parts to include are none.
fn scenarios(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let is_part = entry.file_name().to_string_lossy().starts_with('_');
        if path.is_dir() {
            scenarios(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "yaml") && !is_part {
            found.insert(path.display().to_string(), read(&path));
        }
    }
}

/// Every YAML block of the documents that is a scenario or an excerpt of one.
fn excerpts(found: &mut BTreeMap<String, String>) {
    for document in documents().into_iter().chain(["README.md".into()]) {
        for block in blocks(&read(&document)) {
            let of_a_scenario = ["firewall", "hosts", "tests"].map(|key| block.has_key(key));
            let is_part = block
                .attribute("as")
                .is_some_and(|path| path.contains("/_"));
            if block.language != "yaml" || of_a_scenario == [false; 3] || is_part {
                continue;
            }
            let whole = of_a_scenario == [true; 3] || block.has_key("include");
            let include = if whole { "" } else { "include: _lab.yaml\n" };
            let name = format!("{}:{}", document.display(), block.lines.start);
            found.insert(name, format!("{include}{}", block.text));
        }
    }
}

#[test]
fn a_validator_accepts_every_scenario_and_every_block_of_the_guide() {
    let Some(judge) = judge() else { return };
    let mut texts = BTreeMap::new();
    scenarios(Path::new("scenarios"), &mut texts);
    scenarios(Path::new("docs"), &mut texts);
    let files = texts.len();
    excerpts(&mut texts);
    assert!(files >= 26, "only {files} scenarios were found");
    let blocks = texts.len() - files;
    assert!(blocks >= 36, "only {blocks} blocks were found");
    assert_eq!(refused(&judge, &texts), BTreeMap::new());
}

/// What is wrong with a test of [`LAB`], and whether only the reader can know it, and why.
const WRONG: &[(&str, Option<&str>)] = &[
    (
        "{ from: internet, to: firewall, service: tcp/80, expcet: drop }",
        None,
    ),
    ("{ from: internet, service: tcp/80, expect: drop }", None),
    ("{ from: internet, to: firewall, expect: drop }", None),
    ("internet -> firewall tcp/80: allow", None),
    ("internet -> firewall: accept", None),
    (
        "{ from: internet, to: firewall, service: TCP/80, expect: drop }",
        None,
    ),
    (
        "{ from: internet, to: firewall, service: tcp/80, expect: { accept: {}, drop: {} } }",
        None,
    ),
    (
        "{ from: internet, to: firewall, service: tcp/80, expect: { accept: { dscp: 64 } } }",
        None,
    ),
    (
        "{ from: internet, to: firewall, packet: { tcp: { dport: 65536 } }, expect: drop }",
        None,
    ),
    (
        "{ from: internet, to: firewall, packet: { tcp: { dport: 1 }, udp: { dport: 1 } }, expect: drop }",
        None,
    ),
    (
        "{ from: internet, to: firewall, packet: { tcp: { dport: 1, flags: [psh, fun] } }, expect: drop }",
        None,
    ),
    ("{ steps: [ { reply now please: accept } ] }", None),
    ("{ steps: [ { wait: soon } ] }", None),
    (
        "{ from: internet, to: firewall, service: tcp/80, repeat: 1, expect: drop }",
        None,
    ),
    (
        "{ from: internet, to: firewall, only-open: { tpc: 80 } }",
        None,
    ),
    (
        "nobody -> firewall tcp/80: drop",
        Some("which hosts there are stands in another place"),
    ),
    (
        "internet -> firewall tcp/70000: drop",
        Some("a pattern does not count"),
    ),
    (
        "internet -> firewall tcp/htpp: drop",
        Some("the names of services are those of the machine"),
    ),
    (
        "internet -> internet tcp/80: drop",
        Some("a pattern does not compare"),
    ),
    (
        "{ from: internet, to: firewall, packet: { udp: { dport: 1 }, fragments: { size: 16, overlap: 16 } }, expect: drop }",
        Some("a schema does not compare two values"),
    ),
    (
        "{ steps: [ { reply ack: accept } ] }",
        Some("what an answer answers is another item"),
    ),
    (
        "{ from: internet, to: firewall, service: tcp/80, expect: { accept: 3 } }",
        Some("a count needs a `repeat` beside it"),
    ),
];

/// A scenario but for its tests.
const LAB: &str = "\
firewall: { nftables: rulesets/web.nft, interfaces: { eth0: 192.0.2.10/24 } }
hosts: { internet: { behind: eth0, address: 198.51.100.7 } }
tests:
  - ";

#[test]
fn a_validator_refuses_what_a_schema_can_know_to_be_wrong() {
    let Some(judge) = judge() else { return };
    let texts: BTreeMap<String, String> = WRONG
        .iter()
        .map(|(test, _)| ((*test).to_owned(), format!("{LAB}{test}\n")))
        .collect();
    let is_sound = |test: &str| {
        let file = Path::new("docs/example/scenarios/wrong.yaml");
        firedrill::scenario::parse(&format!("{LAB}{test}\n"), file, "wrong").is_ok()
    };
    assert!(is_sound("internet -> firewall tcp/80: drop"));
    for (test, _) in WRONG {
        assert!(!is_sound(test), "{test}");
    }
    let refused = refused(&judge, &texts);
    let refused: BTreeSet<&str> = refused.keys().map(String::as_str).collect();
    let refusable = WRONG
        .iter()
        .filter(|(_, only_the_reader)| only_the_reader.is_none());
    let refusable: BTreeSet<&str> = refusable.map(|(test, _)| *test).collect();
    assert_eq!(refused, refusable);
}
