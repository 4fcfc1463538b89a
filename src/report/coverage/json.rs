//! Coverage for programs. A key once given keeps its meaning within a version, and new keys may appear.

use std::{
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    record::{
        coverage::{Apart, Coverage, Hits, Item, Measured, Searched, Shadow, Suggested, Totals},
        elements::Elements,
    },
    ruleset::origin::Origin,
};

/// The version of the format.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    totals: JsonTotals,
    rulesets: Vec<Ruleset<'a>>,
    not_measured: Vec<Missing<'a>>,
}

#[derive(Serialize)]
struct JsonTotals {
    rules: usize,
    evaluated: usize,
    matched: usize,
    decided: usize,
    percent: f64,
}

#[derive(Serialize)]
struct Missing<'a> {
    scenario: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct Ruleset<'a> {
    candidate: &'a Path,
    scenarios: &'a [String],
    packets: u64,
    totals: JsonTotals,
    files: Vec<File<'a>>,
    rules: Vec<Rule<'a>>,
}

/// `file` is null for what has no known line.
#[derive(Serialize)]
struct File<'a> {
    file: Option<&'a Path>,
    totals: JsonTotals,
}

/// A rule, or a policy, which has no handle.
#[derive(Serialize)]
struct Rule<'a> {
    family: &'a str,
    table: &'a str,
    chain: &'a str,
    handle: Option<u64>,
    text: &'a str,
    #[serde(flatten)]
    line: Option<Line<'a>>,
    /// Why its line is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_unknown: Option<&'a str>,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut<'a>>,
    /// Its inline chain has rules that cannot be told apart.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
    evaluated: u64,
    matched: u64,
    decided: u64,
    /// The sets and maps that it looks up; a named one stands at the first rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<Set<'a>>,
    /// What became of the search for a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Search<'a>>,
}

/// The elements of a set or map: how many packets met each. Where `unclear` packets met one of which it is
/// not known which, more may have been met.
#[derive(Serialize)]
struct Set<'a> {
    name: Option<&'a str>,
    elements: Vec<Element<'a>>,
    unclear: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Element<'a> {
    element: &'a str,
    met: u64,
}

#[derive(Serialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
enum Search<'a> {
    Test {
        test: &'a str,
        scenario: &'a Path,
    },
    PossiblyDead {
        packets: usize,
        shadow: Option<String>,
    },
    NoMatch {
        packets: usize,
    },
    NotTried {
        why: &'a str,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    line: usize,
    column: usize,
    source: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    implied: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum LeftOut<'a> {
    Layer(&'a str),
    Program(Option<&'a str>),
}

pub(super) fn write(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        totals: totals(coverage.totals()),
        rulesets: coverage.rulesets.iter().map(ruleset).collect(),
        not_measured: coverage
            .missing
            .iter()
            .map(|(scenario, why)| Missing { scenario, why })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn totals(totals: Totals) -> JsonTotals {
    JsonTotals {
        rules: totals.items,
        evaluated: totals.evaluated,
        matched: totals.matched,
        decided: totals.decided,
        percent: totals.percent(),
    }
}

fn ruleset(ruleset: &Measured) -> Ruleset<'_> {
    let files = ruleset.files().into_iter().map(Some).chain([None]);
    Ruleset {
        candidate: &ruleset.candidate,
        scenarios: &ruleset.scenarios,
        packets: ruleset.packets,
        totals: totals(Totals::of(&ruleset.items)),
        files: files
            .map(|file| File {
                file,
                totals: totals(Totals::of(ruleset.of_file(file))),
            })
            .filter(|file| file.totals.rules > 0)
            .collect(),
        rules: ruleset
            .items
            .iter()
            .enumerate()
            .map(|(index, (item, hits))| Rule {
                closed: ruleset.closed.contains(&index),
                sets: ruleset
                    .elements
                    .iter()
                    .filter(|elements| elements.item == index)
                    .map(set)
                    .collect(),
                search: ruleset
                    .searched
                    .get(&index)
                    .map(|found| search(ruleset, found)),
                ..rule(item, *hits)
            })
            .collect(),
    }
}

fn set(elements: &Elements) -> Set<'_> {
    let met = elements.met.iter();
    Set {
        name: elements.name.as_deref(),
        elements: met
            .map(|(element, met)| Element { element, met: *met })
            .collect(),
        unclear: elements.unclear,
        why: elements.why.as_deref(),
    }
}

fn search<'a>(ruleset: &'a Measured, found: &'a Searched) -> Search<'a> {
    match found {
        Searched::Test(Suggested { test, scenario }) => Search::Test { test, scenario },
        Searched::Dead { packets, shadow } => Search::PossiblyDead {
            packets: *packets,
            shadow: shadow.map(|shadow| match shadow {
                Shadow::Item(shadow) => ruleset.items[shadow].0.place(),
                Shadow::Kernel(reason) => format!("kernel: {reason}"),
            }),
        },
        Searched::Unmatched { packets } => Search::NoMatch { packets: *packets },
        Searched::NotTried(why) => Search::NotTried { why },
    }
}

fn rule(item: &Item, hits: Hits) -> Rule<'_> {
    let line = match &item.origin {
        Some(Origin::Known(line)) => Some(line),
        Some(Origin::Unknown(_)) | None => None,
    };
    Rule {
        family: &item.chain.family,
        table: &item.chain.table,
        chain: &item.chain.name,
        handle: item.handle,
        text: &item.text,
        line: line.map(|line| Line {
            file: &line.file,
            line: line.line,
            column: line.column,
            source: &line.text,
            implied: line.implied,
        }),
        origin_unknown: item.uncertain(),
        left_out: item.apart.as_ref().map(|apart| match apart {
            Apart::Layer(layer) => LeftOut::Layer(layer),
            Apart::Program(file) => LeftOut::Program(file.as_deref()),
        }),
        closed: false,
        evaluated: hits.evaluated,
        matched: hits.matched,
        decided: hits.decided,
        sets: Vec::new(),
        search: None,
    }
}
