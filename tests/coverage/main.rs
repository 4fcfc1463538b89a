//! Rule coverage on the real kernel: rulesets of which it is known by construction which rules a packet comes
//! to, matches, and is decided by.

#[path = "../common/mod.rs"]
mod common;

mod counts;
mod elements;
mod formats;
mod suggest;

use common::{Ended, Folder};
use serde_json::Value;

/// Runs everything in a folder, and reads the coverage.
fn covered(folder: &Folder, arguments: &[&str]) -> (Ended, Value) {
    let asked = ["test", ".", "--coverage=coverage.json"];
    let ended = folder.firedrill(&[&asked[..], arguments].concat());
    assert_ne!(ended.code, None, "{ended:?}");
    let text = std::fs::read_to_string(folder.path().join("coverage.json"))
        .unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, document)
}

/// What a document says of every rule with a known line: line, and how often it was evaluated, matched and
/// decided.
fn lines(document: &Value) -> Vec<(String, u64, u64, u64)> {
    let rulesets = document["rulesets"].as_array().expect("a list");
    let rules = rulesets
        .iter()
        .flat_map(|of| of["rules"].as_array().expect("a list"));
    let mut lines: Vec<(String, u64, u64, u64)> = rules
        .filter(|rule| rule["line"].is_u64())
        .map(|rule| {
            let number = |key: &str| rule[key].as_u64().expect("a number");
            let file = rule["file"].as_str().expect("a file");
            let place = format!("{file}:{}", number("line"));
            (
                place,
                number("evaluated"),
                number("matched"),
                number("decided"),
            )
        })
        .collect();
    lines.sort();
    lines
}
