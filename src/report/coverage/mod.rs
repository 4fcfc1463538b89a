//! Coverage, written down: for people, and for the tools that show coverage.

mod cobertura;
mod html;
mod json;
mod lcov;
mod terminal;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

pub(crate) use self::terminal::summary;
use crate::{
    record::{
        coverage::{Apart, Hits, Measured, Searched, Suggested},
        event::Event,
    },
    report::{Reporter, plural},
};

/// A format of coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Terminal,
    /// For programs.
    Json,
    /// The tracefile of lcov, see geninfo(1).
    Lcov,
    /// Cobertura's XML.
    Cobertura,
    /// The annotated source.
    Html,
}

/// Coverage that was asked for: to the terminal, or to a file in a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub format: Format,
    /// Where to; the terminal when `None`.
    pub file: Option<PathBuf>,
}

impl Format {
    /// Every format, with the ends of file names that mean it.
    const ALL: [(&'static str, Self, &'static [&'static str]); 5] = [
        ("terminal", Self::Terminal, &["txt"]),
        ("json", Self::Json, &["json"]),
        ("lcov", Self::Lcov, &["info", "lcov"]),
        ("cobertura", Self::Cobertura, &["xml"]),
        ("html", Self::Html, &["html", "htm"]),
    ];

    fn named(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, ..)| *known == name);
        known.map(|(_, format, _)| *format)
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "terminal" {
            return Ok(Self {
                format: Format::Terminal,
                file: None,
            });
        }
        if Format::named(text).is_some() {
            return Err(format!("write `{text}=FILE`: it goes to a file"));
        }
        let named = text
            .split_once('=')
            .and_then(|(name, file)| Some((Format::named(name)?, file)));
        let (format, file) = match named {
            Some((_, "")) => return Err("there is no file name behind the `=`".to_owned()),
            Some((format, file)) => (Some(format), file),
            None => (by_extension(Path::new(text)), text),
        };
        let format = format.ok_or_else(|| {
            let formats = Format::ALL.iter();
            let known: Vec<&str> = formats.map(|(name, ..)| *name).collect();
            format!(
                "the name of the file does not tell the format: write `FORMAT={text}` with one of {}",
                known.join(", ")
            )
        })?;
        Ok(Self {
            format,
            file: Some(PathBuf::from(file)),
        })
    }
}

fn by_extension(file: &Path) -> Option<Format> {
    let extension = file.extension()?.to_str()?;
    let mut formats = Format::ALL.iter();
    formats
        .find(|(_, _, ends)| ends.contains(&extension))
        .map(|(_, format, _)| *format)
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Format::ALL
            .iter()
            .find(|(_, format, _)| *format == self.format)
            .map_or("", |(name, ..)| name);
        match &self.file {
            Some(file) => write!(f, "{name}={}", file.display()),
            None => f.write_str(name),
        }
    }
}

impl Wanted {
    /// Opens the report, so that a place that cannot be written to is known before the run; `standard` is where
    /// it goes without a file, with `color` or without.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn open(&self, standard: Box<dyn Write>, color: bool) -> io::Result<Box<dyn Reporter>> {
        let (out, color): (Box<dyn Write>, bool) = match &self.file {
            Some(file) => {
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                (Box::new(File::create(file)?), false)
            }
            None => (standard, color),
        };
        Ok(Box::new(CoverageReport {
            format: self.format,
            out: BufWriter::new(out),
            color,
        }))
    }
}

/// Writes the coverage of a run in one of its formats.
struct CoverageReport {
    format: Format,
    out: BufWriter<Box<dyn Write>>,
    color: bool,
}

impl Reporter for CoverageReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let coverage = match event {
            Event::Covered(coverage) => coverage,
            Event::Started { .. }
            | Event::Finished(_)
            | Event::Compared(_)
            | Event::Found(_)
            | Event::Ended(_) => return Ok(()),
        };
        match self.format {
            Format::Terminal => terminal::write(coverage, &mut self.out, self.color),
            Format::Json => json::write(coverage, &mut self.out),
            Format::Lcov => lcov::write(coverage, &mut self.out),
            Format::Cobertura => cobertura::write(coverage, &mut self.out),
            Format::Html => html::write(coverage, &mut self.out),
        }?;
        self.out.flush()
    }
}

/// What became of a rule or a policy, from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// No packet came to it.
    Unreached,
    /// Packets came to it, and it matched none.
    Evaluated,
    /// It matched a packet.
    Covered,
}

impl State {
    pub(super) fn of(hits: Hits) -> Self {
        match hits {
            Hits { matched: 1.., .. } => Self::Covered,
            Hits { evaluated: 1.., .. } => Self::Evaluated,
            Hits { .. } => Self::Unreached,
        }
    }
}

/// What does not count, and why; a line for each reason.
pub(super) fn left_out(ruleset: &Measured) -> Vec<String> {
    let mut groups: BTreeMap<&Apart, usize> = BTreeMap::new();
    for apart in ruleset
        .items
        .iter()
        .filter_map(|(item, _)| item.apart.as_ref())
    {
        *groups.entry(apart).or_default() += 1;
    }
    let main = ruleset.candidate.display();
    let groups = groups.into_iter().map(|(apart, count)| {
        let rules = plural(count, "rule");
        match apart {
            Apart::Layer(layer) => format!("left out: {rules} of the layer {layer}"),
            Apart::Program(Some(file)) => {
                format!("left out: {rules} of {file}, which comes with its program")
            }
            Apart::Program(None) => {
                format!("left out: {rules} that its program makes by itself for {main}")
            }
        }
    });
    let closed = ruleset.closed.iter().map(|index| {
        let (item, _) = &ruleset.items[*index];
        format!(
            "left out: the rules of the inline chain of {}, which cannot be told apart",
            item.place()
        )
    });
    groups.chain(closed).collect()
}

/// What else there is to tell of a candidate, for people, each with a head: the elements that nothing met, and
/// what the search for tests found.
pub(super) fn further(ruleset: &Measured) -> Vec<(String, Vec<String>)> {
    let mut tests: Vec<(&Suggested, Vec<String>)> = Vec::new();
    let (mut unmatched, mut not_tried) = (Vec::new(), Vec::new());
    for (index, searched) in &ruleset.searched {
        let (item, _) = &ruleset.items[*index];
        let told = format!("{}  {}", item.place(), item.words());
        match searched {
            Searched::Test(test) => match tests.iter_mut().find(|(known, _)| *known == test) {
                Some((_, covers)) => covers.push(told),
                None => tests.push((test, vec![told])),
            },
            // A finding, which every report of the run writes.
            Searched::Dead { .. } => {}
            Searched::Unmatched { packets } => {
                unmatched.push(told);
                let packets = plural(*packets, "packet");
                unmatched.push(format!(
                    "  of {packets} meant for it, none that came to it matched"
                ));
            }
            Searched::NotTried(why) => {
                not_tried.push(told);
                not_tried.push(format!("  {why}"));
            }
        }
    }
    let mut by_scenario: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for (test, covers) in tests {
        let lines = by_scenario.entry(&test.scenario).or_default();
        lines.extend(covers.into_iter().map(|told| format!("# {told}")));
        lines.extend(test.test.lines().map(str::to_owned));
    }
    let elements = (
        format!(
            "elements of sets and maps in {}",
            ruleset.candidate.display()
        ),
        unmet(ruleset),
    );
    let suggested = by_scenario.into_iter().map(|(scenario, lines)| {
        let (scenario, main) = (scenario.display(), ruleset.candidate.display());
        let head = format!("tests to add to {scenario}, each run in a lab with {main}");
        (head, lines)
    });
    let main = ruleset.candidate.display();
    let others = [
        (format!("no matching packet found in {main}"), unmatched),
        (format!("not tried in {main}"), not_tried),
    ];
    std::iter::once(elements)
        .chain(suggested)
        .chain(others)
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

/// Most elements of a set, and most places of one reason, that are shown.
const MOST: usize = 10;

/// The elements that nothing met in rules that matched, for people; and where that is not known, why.
fn unmet(ruleset: &Measured) -> Vec<String> {
    let mut lines = Vec::new();
    let mut unknown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for elements in &ruleset.elements {
        let (item, hits) = &ruleset.items[elements.item];
        // Of a rule that matched nothing it is clear already.
        if hits.matched == 0 {
            continue;
        }
        match elements.unmet() {
            Some(unmet) if unmet.is_empty() => {}
            Some(unmet) => {
                let of = elements.name.as_ref().map(|name| format!("@{name}"));
                let of = of.unwrap_or_else(|| item.words());
                lines.push(format!("{}  {of}", item.place()));
                lines.push(format!("  never met: {}", some(&unmet)));
            }
            None => {
                let why = elements.why.as_deref().unwrap_or_default();
                unknown.entry(why).or_default().push(item.place());
            }
        }
    }
    for (why, places) in unknown {
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        lines.push(format!("not known, because {why}: {}", some(&places)));
    }
    lines
}

fn some(all: &[&str]) -> String {
    let shown = all[..all.len().min(MOST)].join(", ");
    match all.len().checked_sub(MOST) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
