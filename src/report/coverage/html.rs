//! The annotated source, as one page without anything beside it: a colour for each line.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use quick_xml::escape::escape;

use super::{State, further, left_out};
use crate::record::coverage::{Coverage, Hits, Item, Measured, Totals};

/// Both for bright and for dark screens. Colours are never the only sign: a mark stands beside them.
const STYLE: &str = "\
:root { color-scheme: light dark; --edge: #8886; --covered: #2da44e33; --partly: #bf870033; \
--evaluated: #d4a72c4d; --unreached: #cf222e33 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .1rem .7rem; text-align: right; border-bottom: 1px solid var(--edge) }
td:first-child, th:first-child { text-align: left }
.source { width: 100%; font: 13px/1.45 ui-monospace, monospace; overflow-x: auto; display: block }
.source td { border: 0; padding: 0 .6rem; white-space: pre; text-align: right; color: #888 }
.source td:last-child { width: 100%; text-align: left; color: inherit }
.covered { background: var(--covered) } .partly { background: var(--partly) }
.evaluated { background: var(--evaluated) } .unreached { background: var(--unreached) }
.key span { padding: .1rem .5rem; margin-right: .5rem } code { font-size: 13px }
pre { padding: .6rem; border: 1px solid var(--edge); overflow-x: auto; font-size: 13px }
";

pub(super) fn write(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Rule coverage</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Rule coverage: {}</h1>",
        coverage.totals().text()
    )?;
    writeln!(
        out,
        "<p class=\"key\"><span class=\"covered\">✓ matched</span><span class=\"partly\">½ some of its rules \
         matched</span><span class=\"evaluated\">○ evaluated, never matched</span><span \
         class=\"unreached\">✗ never reached</span></p>"
    )?;
    table(coverage, out)?;
    for (number, ruleset) in coverage.rulesets.iter().enumerate() {
        for (nth, file) in ruleset.files().into_iter().enumerate() {
            let id = format!("r{number}f{nth}");
            source(ruleset, file, &id, out)?;
        }
        without_line(ruleset, out)?;
        let left_out = left_out(ruleset);
        if !left_out.is_empty() {
            writeln!(out, "<ul>")?;
            for line in left_out {
                writeln!(out, "<li>{}</li>", escape(line))?;
            }
            writeln!(out, "</ul>")?;
        }
        for (head, lines) in further(ruleset) {
            let lines = escape(lines.join("\n"));
            writeln!(out, "<h3>{}</h3>\n<pre>{lines}</pre>", escape(head))?;
        }
        for finding in ruleset.findings() {
            let (id, sentence) = (escape(finding.id), escape(finding.sentence));
            writeln!(out, "<h3>{id}</h3>\n<p>{sentence}</p>")?;
        }
    }
    for (scenario, why) in &coverage.missing {
        let (scenario, why) = (escape(scenario), escape(why));
        writeln!(out, "<p>Not measured: {scenario}: {why}</p>")?;
    }
    writeln!(out, "</body>\n</html>")
}

fn table(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<table>\n<tr><th>file</th><th>rules</th><th>evaluated</th><th>matched</th>\
         <th>decided</th><th>coverage</th></tr>"
    )?;
    let mut row = |name: &str, link: Option<String>, totals: Totals| {
        let name = escape(name);
        let name = match link {
            Some(link) => format!("<a href=\"#{link}\">{name}</a>"),
            None => name.into_owned(),
        };
        let Totals {
            items,
            evaluated,
            matched,
            decided,
        } = totals;
        writeln!(
            out,
            "<tr><td>{name}</td><td>{items}</td><td>{evaluated}</td><td>{matched}</td>\
             <td>{decided}</td><td>{}</td></tr>",
            totals.text()
        )
    };
    for (number, ruleset) in coverage.rulesets.iter().enumerate() {
        for (nth, file) in ruleset.files().into_iter().enumerate() {
            let totals = Totals::of(ruleset.of_file(Some(file)));
            let link = format!("r{number}f{nth}");
            row(&file.to_string_lossy(), Some(link), totals)?;
        }
        let unknown = Totals::of(ruleset.of_file(None));
        if unknown.items > 0 {
            let name = format!("{} (line unknown)", ruleset.candidate.display());
            row(&name, None, unknown)?;
        }
    }
    row("all", None, coverage.totals())?;
    writeln!(out, "</table>")
}

fn source(ruleset: &Measured, file: &Path, id: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut lines: BTreeMap<usize, Vec<&(Item, Hits)>> = BTreeMap::new();
    for found in ruleset.of_file(Some(file)) {
        let line = found.0.line().map_or(0, |(_, line)| line);
        lines.entry(line).or_default().push(found);
    }
    let name = file.to_string_lossy();
    writeln!(out, "<h2 id=\"{id}\">{}</h2>", escape(&*name))?;
    let used_by = ruleset.scenarios.join(", ");
    writeln!(out, "<p>used by {}</p>", escape(used_by))?;
    writeln!(out, "<table class=\"source\">")?;
    let text = ruleset.sources.iter().find(|source| source.path == file);
    let text = text.map_or("", |source| &*source.text);
    let last = lines.last_key_value().map_or(0, |(line, _)| *line);
    let written = text.lines().map(str::to_owned);
    // Of a text that is not at hand there are the lines with rules still.
    let implied = (text.lines().count()..last).map(|line| {
        let rules = lines.get(&(line + 1)).map_or(&[][..], Vec::as_slice);
        let texts: Vec<String> = rules.iter().map(|(item, _)| item.words()).collect();
        texts.join("; ")
    });
    for (number, line) in (1..).zip(written.chain(implied)) {
        let line = escape(line);
        let Some(rules) = lines.get(&number) else {
            writeln!(
                out,
                "<tr><td>{number}</td><td></td><td></td><td>{line}</td></tr>"
            )?;
            continue;
        };
        let (class, mark) = sign(rules);
        let matched: u64 = rules.iter().map(|(_, hits)| hits.matched).sum();
        let told: Vec<String> = rules.iter().map(|(item, hits)| told(item, *hits)).collect();
        writeln!(
            out,
            "<tr class=\"{class}\" title=\"{}\"><td>{number}</td><td>{matched}</td><td>{mark}</td>\
             <td>{line}</td></tr>",
            escape(told.join("\n"))
        )?;
    }
    writeln!(out, "</table>")
}

fn sign(rules: &[&(Item, Hits)]) -> (&'static str, &'static str) {
    let states = || rules.iter().map(|(_, hits)| State::of(*hits));
    match (states().min(), states().max()) {
        (Some(State::Covered), _) => ("covered", "✓"),
        (_, Some(State::Covered)) => ("partly", "½"),
        (_, Some(State::Evaluated)) => ("evaluated", "○"),
        (_, Some(State::Unreached) | None) => ("unreached", "✗"),
    }
}

fn told(item: &Item, hits: Hits) -> String {
    format!(
        "{}: evaluated {}, matched {}, decided {}",
        item.words(),
        hits.evaluated,
        hits.matched,
        hits.decided
    )
}

fn without_line(ruleset: &Measured, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<&(Item, Hits)> = ruleset.of_file(None).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let name = format!("{} (line unknown)", ruleset.candidate.display());
    writeln!(out, "<h2>{}</h2>\n<table class=\"source\">", escape(name))?;
    for found in rules {
        let (item, hits) = found;
        let (class, mark) = sign(&[found]);
        let why = item.uncertain().unwrap_or_default();
        writeln!(
            out,
            "<tr class=\"{class}\" title=\"{}\"><td>{}</td><td>{}</td><td>{mark}</td><td>{}</td></tr>",
            escape(format!("line unknown: {why}\n{}", told(item, *hits))),
            escape(item.place()),
            hits.matched,
            escape(item.words())
        )?;
    }
    writeln!(out, "</table>")
}
