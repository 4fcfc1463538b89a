//! Cobertura's XML (coverage-04.dtd), which most CI servers read. A candidate is a package, a file a class.
//! Lines and branches are those of the lcov tracefile.

use std::{
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::lcov::Lines;
use crate::record::coverage::{Coverage, Hits, Item, Measured};

/// Covered, and all that there is.
#[derive(Clone, Copy, Default)]
struct Share {
    covered: usize,
    valid: usize,
}

impl Share {
    fn add(&mut self, covered: bool) {
        self.covered += usize::from(covered);
        self.valid += 1;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            covered: self.covered + other.covered,
            valid: self.valid + other.valid,
        }
    }

    /// From 0 to 1; of nothing, all is covered.
    fn rate(self) -> String {
        match self.valid {
            0 => "1".to_owned(),
            valid => format!("{:.4}", self.covered as f64 / valid as f64),
        }
    }
}

/// Lines and branches.
#[derive(Clone, Copy, Default)]
struct Shares {
    lines: Share,
    branches: Share,
}

impl Shares {
    fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines.plus(other.lines),
            branches: self.branches.plus(other.branches),
        }
    }

    fn of(lines: &Lines<'_>) -> Self {
        let mut shares = Self::default();
        for rules in lines.values() {
            shares.lines.add(times(rules) > 0);
            for way in rules.iter().filter_map(ways).flatten() {
                shares.branches.add(way > 0);
            }
        }
        shares
    }
}

/// How often the rules of a line matched.
fn times(rules: &[(&Item, Hits)]) -> u64 {
    rules.iter().map(|(_, hits)| hits.matched).sum()
}

/// Of a rule with a condition: how often it matched, and how often it did not.
fn ways((item, hits): &(&Item, Hits)) -> Option<[u64; 2]> {
    item.has_condition()
        .then(|| [hits.matched, hits.evaluated - hits.matched])
}

pub(super) fn write(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    let packages: Vec<(&Measured, Vec<(&Path, Lines<'_>)>)> = coverage
        .rulesets
        .iter()
        .map(|ruleset| {
            let files = ruleset.files();
            let files = files.into_iter().map(|file| (file, lines(ruleset, file)));
            (ruleset, files.collect())
        })
        .collect();
    let of_package = |files: &[(&Path, Lines<'_>)]| {
        let shares = files.iter().map(|(_, lines)| Shares::of(lines));
        shares.fold(Shares::default(), Shares::plus)
    };
    let all = packages.iter().map(|(_, files)| of_package(files));
    let all = all.fold(Shares::default(), Shares::plus);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_millis());
    let mut xml = Writer::new_with_indent(out, b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.write_event(Event::DocType(BytesText::from_escaped(
        "coverage SYSTEM \"http://cobertura.sourceforge.net/xml/coverage-04.dtd\"",
    )))?;
    xml.create_element("coverage")
        .with_attributes([
            ("line-rate", &*all.lines.rate()),
            ("branch-rate", &*all.branches.rate()),
            ("lines-covered", &*all.lines.covered.to_string()),
            ("lines-valid", &*all.lines.valid.to_string()),
            ("branches-covered", &*all.branches.covered.to_string()),
            ("branches-valid", &*all.branches.valid.to_string()),
            ("complexity", "0"),
            ("version", concat!("firedrill ", env!("CARGO_PKG_VERSION"))),
            ("timestamp", &*now.to_string()),
        ])
        .write_inner_content(|xml| {
            xml.create_element("sources").write_inner_content(|xml| {
                let here = BytesText::new(".");
                xml.create_element("source").write_text_content(here)?;
                Ok(())
            })?;
            xml.create_element("packages").write_inner_content(|xml| {
                for (ruleset, files) in &packages {
                    let name = ruleset.candidate.to_string_lossy();
                    element(xml, "package", &[("name", &name)], of_package(files))
                        .write_inner_content(|xml| {
                            xml.create_element("classes").write_inner_content(|xml| {
                                files
                                    .iter()
                                    .try_for_each(|(file, lines)| class(xml, file, lines))
                            })?;
                            Ok(())
                        })?;
                }
                Ok(())
            })?;
            Ok(())
        })?;
    writeln!(xml.into_inner())
}

/// The rules of each line of a file.
fn lines<'a>(ruleset: &'a Measured, file: &Path) -> Lines<'a> {
    let mut lines = Lines::new();
    for (item, hits) in ruleset.of_file(Some(file)) {
        let line = item.line().map_or(0, |(_, line)| line);
        lines.entry(line).or_default().push((item, *hits));
    }
    lines
}

fn element<'w, W: Write>(
    xml: &'w mut Writer<W>,
    name: &'static str,
    attributes: &[(&'static str, &str)],
    shares: Shares,
) -> quick_xml::writer::ElementWriter<'w, W> {
    xml.create_element(name)
        .with_attributes(attributes.iter().copied())
        .with_attributes([
            ("line-rate", &*shares.lines.rate()),
            ("branch-rate", &*shares.branches.rate()),
            ("complexity", "0"),
        ])
}

fn class<W: Write>(xml: &mut Writer<W>, file: &Path, lines: &Lines<'_>) -> io::Result<()> {
    let path = file.to_string_lossy();
    let attributes = [("name", &*path), ("filename", &*path)];
    element(xml, "class", &attributes, Shares::of(lines)).write_inner_content(|xml| {
        xml.create_element("methods").write_empty()?;
        xml.create_element("lines").write_inner_content(|xml| {
            lines
                .iter()
                .try_for_each(|(number, rules)| line(xml, *number, rules))
        })?;
        Ok(())
    })?;
    Ok(())
}

fn line<W: Write>(xml: &mut Writer<W>, number: usize, rules: &[(&Item, Hits)]) -> io::Result<()> {
    let number = number.to_string();
    let hits = times(rules).to_string();
    let attributes = [("number", &*number), ("hits", &*hits)];
    let element = xml.create_element("line").with_attributes(attributes);
    let conditions: Vec<Share> = rules
        .iter()
        .filter_map(ways)
        .map(|ways| {
            let mut share = Share::default();
            ways.into_iter().for_each(|way| share.add(way > 0));
            share
        })
        .collect();
    if conditions.is_empty() {
        element.with_attribute(("branch", "false")).write_empty()?;
        return Ok(());
    }
    let percent = |share: Share| format!("{}%", share.covered * 100 / share.valid.max(1));
    let all = conditions
        .iter()
        .copied()
        .fold(Share::default(), Share::plus);
    let told = format!("{} ({}/{})", percent(all), all.covered, all.valid);
    element
        .with_attributes([("branch", "true"), ("condition-coverage", &*told)])
        .write_inner_content(|xml| {
            xml.create_element("conditions")
                .write_inner_content(|xml| {
                    for (number, share) in conditions.iter().enumerate() {
                        xml.create_element("condition")
                            .with_attributes([
                                ("number", &*number.to_string()),
                                ("type", "jump"),
                                ("coverage", &*percent(*share)),
                            ])
                            .write_empty()?;
                    }
                    Ok(())
                })?;
            Ok(())
        })?;
    Ok(())
}
