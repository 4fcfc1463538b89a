//! What a listing says of state: named counters, and the elements of named sets and maps.

use super::text::{logical_lines, split_handle};

/// A named counter of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    named: Named,
    /// How many packets it counted.
    pub packets: u64,
}

/// A named set or map of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetListing {
    named: Named,
    /// Its elements, without what is said of each (time-outs, counters, comments, what it maps to).
    pub elements: Vec<String>,
    /// What each of them maps to; empty in a set.
    pub values: Vec<String>,
    /// Whether rules fill it.
    pub dynamic: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    family: String,
    table: String,
    name: String,
}

impl Named {
    /// By name, or by `FAMILY TABLE NAME`.
    fn is(&self, name: &str) -> bool {
        self.name == name || format!("{} {} {}", self.family, self.table, self.name) == name
    }
}

impl Counter {
    /// Whether it is called so: `NAME` or `FAMILY TABLE NAME`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.named.is(name)
    }
}

impl SetListing {
    /// Family, table and name.
    #[must_use]
    pub fn key(&self) -> (String, String, String) {
        let Named {
            family,
            table,
            name,
        } = self.named.clone();
        (family, table, name)
    }

    /// Whether it is called so: `NAME` or `FAMILY TABLE NAME`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.named.is(name)
    }
}

/// The objects of a kind in a listing, each with the lines of its block.
fn blocks(listing: &str, kinds: &[&str]) -> Vec<(Named, String)> {
    let mut table = None;
    let mut found: Vec<(Named, String)> = Vec::new();
    let mut inside = false;
    for line in logical_lines(listing) {
        let depth = line.bytes().take_while(|byte| *byte == b'\t').count();
        let (text, _) = split_handle(line.trim());
        let words: Vec<&str> = text.split_whitespace().take(4).collect();
        match (depth, words.as_slice()) {
            (0, ["table", family, name, "{"]) => {
                table = Some(((*family).to_owned(), (*name).to_owned()));
                inside = false;
            }
            (1, [kind, name, "{"]) => {
                inside = kinds.contains(kind);
                if let (true, Some((family, table))) = (inside, &table) {
                    let named = Named {
                        family: family.clone(),
                        table: table.clone(),
                        name: (*name).to_owned(),
                    };
                    found.push((named, String::new()));
                }
            }
            (0 | 1, _) => inside = false,
            _ => {
                if let (true, Some((_, lines))) = (inside, found.last_mut()) {
                    lines.push_str(text);
                    lines.push('\n');
                }
            }
        }
    }
    found
}

/// The named counters of a listing.
#[must_use]
pub fn counters(listing: &str) -> Vec<Counter> {
    let packets = |lines: &str| {
        let mut words = lines.split_whitespace();
        words.find(|word| *word == "packets")?;
        words.next()?.parse().ok()
    };
    let counters = blocks(listing, &["counter"]).into_iter();
    counters
        .filter_map(|(named, lines)| {
            Some(Counter {
                named,
                packets: packets(&lines)?,
            })
        })
        .collect()
}

/// The named sets and maps of a listing.
#[must_use]
pub fn sets(listing: &str) -> Vec<SetListing> {
    let parts = |lines: &str| -> Vec<String> {
        let inside = lines
            .split_once("elements = {")
            .and_then(|(_, rest)| rest.rsplit_once('}'));
        let mut quoted = false;
        let parts = inside
            .map_or("", |(inside, _)| inside)
            .split(move |c: char| {
                quoted ^= c == '"';
                c == ',' && !quoted
            });
        parts.map(str::to_owned).collect()
    };
    let sets = blocks(listing, &["set", "map"]).into_iter();
    sets.map(|(named, lines)| {
        let flags = lines.lines().filter(|line| line.starts_with("flags "));
        let dynamic = flags.into_iter().any(|line| line.contains("dynamic"));
        let (elements, values) = parts(&lines)
            .iter()
            .map(|part| {
                let value = part
                    .rsplit_once(" : ")
                    .map_or("", |(_, value)| value.trim());
                (element(part), value.to_owned())
            })
            .filter(|(element, _)| !element.is_empty())
            .unzip();
        SetListing {
            named,
            elements,
            values,
            dynamic,
        }
    })
    .collect()
}

/// An element without what is said of it.
fn element(text: &str) -> String {
    const SAID: [&str; 8] = [
        "timeout", "expires", "counter", "comment", "limit", "quota", "last", ":",
    ];
    let words = text.split_whitespace();
    let kept: Vec<&str> = words.take_while(|word| !SAID.contains(word)).collect();
    kept.join(" ")
}
