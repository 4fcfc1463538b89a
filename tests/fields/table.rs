//! The tables of `docs/guide/packets.md`.

use std::fs;

/// A row: a field by example.
#[derive(Debug, Clone)]
pub struct Row {
    /// The heading of its table.
    pub section: String,
    /// The field.
    pub field: String,
    /// A packet with it.
    pub with: String,
    /// Rules that decide on it.
    pub rules: Vec<String>,
    /// A packet that differs in it, where one can.
    pub without: String,
}

/// Every row of the tables below "Every field".
pub fn rows() -> Vec<Row> {
    let guide = fs::read_to_string("docs/guide/packets.md").expect("the guide is there");
    let (_, tables) = guide
        .split_once("\n## Every field\n")
        .expect("the guide has the tables");
    let tables = tables.split("\n## ").next().unwrap_or_default();
    let mut section = String::new();
    let mut found = Vec::new();
    for line in tables.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            section = heading.to_owned();
        }
        if !line.starts_with("| `") {
            continue;
        }
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect();
        let [field, with, rules, without @ ..] = cells.as_slice() else {
            panic!("a row has three cells or four: {line}");
        };
        let quoted = |cell: &str| -> Vec<String> {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        found.push(Row {
            section: section.clone(),
            field: field.clone(),
            with: quoted(with).concat(),
            rules: quoted(rules),
            without: without.iter().flat_map(|cell| quoted(cell)).collect(),
        });
    }
    found
}
