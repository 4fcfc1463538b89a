//! `firedrill explain` on the real kernel. What must be on the way of each packet, and which packets near it
//! pass, follows from the ruleset beside it.

#[path = "../common/mod.rs"]
mod common;

mod dialects;
mod nearest;
mod question;
mod way;

use common::Folder;
use serde_json::Value;

/// An answer, and how the program that gave it ended.
struct Told {
    code: Option<i32>,
    report: Value,
}

impl Folder {
    /// The answer of `firedrill explain` to these arguments, in this folder.
    #[track_caller]
    fn explain(&self, arguments: &[&str]) -> Told {
        let ended = self.firedrill(&[&["explain", "--report", "json"], arguments].concat());
        let report = serde_json::from_str(&ended.stdout);
        let report: Value = report.unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
        if let Some(error) = report.get("error") {
            panic!(
                "this test needs `nft`, user namespaces and a candidate that loads, but: {error}"
            );
        }
        Told {
            code: ended.code,
            report,
        }
    }
}

impl Told {
    /// The one packet that was asked for.
    #[track_caller]
    fn only(&self) -> &Value {
        let packets = self.report["packets"].as_array().expect("a list");
        assert_eq!(packets.len(), 1, "{:#}", self.report);
        &packets[0]
    }
}

/// A stop in short: `FILE:LINE did [to]`, `policy FILE:LINE did`, `end CHAIN`. A line that is not known is `?`.
fn stop(stop: &Value) -> String {
    if let Some(chain) = stop["end_of"].as_str() {
        return format!("end {chain}");
    }
    let rule = &stop["rule"];
    let policy = if rule["handle"].is_null() {
        "policy "
    } else {
        ""
    };
    let place = match (rule["file"].as_str(), rule["line"].as_u64()) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => "?".to_owned(),
    };
    let did = stop["rule_verdict"].as_str().unwrap_or_default();
    let to = stop["to"]
        .as_str()
        .map(|to| format!(" {to}"))
        .unwrap_or_default();
    format!("{policy}{place} {did}{to}")
}

/// The way of a step in short: for each base chain its hook and name, then its stops.
#[track_caller]
fn way(step: &Value) -> Vec<String> {
    let passages = step["way"]["chains"].as_array();
    let passages = passages.unwrap_or_else(|| panic!("no way: {step:#}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    passages
        .iter()
        .flat_map(|passage| {
            let head = format!("{} {}", text(&passage["hook"]), text(&passage["chain"]));
            let stops = passage["stops"]
                .as_array()
                .expect("a list")
                .iter()
                .map(stop);
            std::iter::once(head).chain(stops)
        })
        .collect()
}

/// What is different in the nearest packets that pass, in words.
#[track_caller]
fn nearest(packet: &Value) -> Vec<String> {
    let accepted = packet["nearest"]["accepted"].as_array();
    let accepted = accepted.unwrap_or_else(|| panic!("nothing was tried: {packet:#}"));
    accepted
        .iter()
        .map(|one| {
            let differences = one["differences"].as_array().expect("a list").iter();
            let texts: Vec<&str> = differences
                .filter_map(|difference| difference["text"].as_str())
                .collect();
            texts.join(" ")
        })
        .collect()
}
