//! Coverage for people: a table by file, and everything that nothing tested.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{State, further, left_out};
use crate::{
    record::coverage::{Coverage, Hits, Item, Measured, Totals},
    report::clean,
};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const MIDDLING: Style = AnsiColor::Yellow.on_default();
const STRONG: Style = Style::new().bold();

pub(super) fn write(coverage: &Coverage, out: &mut dyn Write, color: bool) -> io::Result<()> {
    let mut page = Page { out, color };
    let totals = coverage.totals();
    writeln!(page.out)?;
    page.table(coverage, totals)?;
    for ruleset in &coverage.rulesets {
        page.untested(ruleset)?;
        page.left_out(ruleset)?;
        for (head, lines) in further(ruleset) {
            let head = format!("\n{head}");
            writeln!(page.out, "{}", page.paint(STRONG, &clean(&head)))?;
            for line in lines {
                writeln!(page.out, "  {}", clean(&line))?;
            }
        }
    }
    for (scenario, why) in &coverage.missing {
        let line = format!("not measured: {scenario}: {why}");
        writeln!(page.out, "{}", clean(&line))?;
    }
    Ok(())
}

/// The line that sums a run up.
pub(crate) fn summary(totals: Totals) -> String {
    if totals.items == 0 {
        return "coverage: there are no rules of the candidate's own".to_owned();
    }
    format!(
        "coverage: {}, {} of {} rules and policies were matched by a packet",
        totals.text(),
        totals.matched,
        totals.items
    )
}

struct Page<'a> {
    out: &'a mut dyn Write,
    color: bool,
}

impl Page<'_> {
    fn paint(&self, style: Style, text: &str) -> String {
        match self.color {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    fn table(&mut self, coverage: &Coverage, all: Totals) -> io::Result<()> {
        let mut rows: Vec<(String, Totals)> = Vec::new();
        for ruleset in &coverage.rulesets {
            let main = clean(&ruleset.candidate.to_string_lossy()).into_owned();
            rows.push((main, Totals::of(&ruleset.items)));
            let files = ruleset.files();
            let unknown = Totals::of(ruleset.of_file(None));
            if unknown.items == 0 && files == [&*ruleset.candidate] {
                continue;
            }
            for file in files {
                let name = format!("  {}", file.display());
                let totals = Totals::of(ruleset.of_file(Some(file)));
                rows.push((clean(&name).into_owned(), totals));
            }
            if unknown.items > 0 {
                rows.push(("  (line unknown)".to_owned(), unknown));
            }
        }
        if coverage.rulesets.len() != 1 {
            rows.push(("all".to_owned(), all));
        }
        let width = rows.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or_default().max("coverage of".len());
        let head = format!(
            "{:<width$}  {:>5}  {:>9}  {:>7}  {:>7}  {:>8}",
            "coverage of", "rules", "evaluated", "matched", "decided", "coverage"
        );
        writeln!(self.out, "{}", self.paint(STRONG, &head))?;
        for (name, totals) in rows {
            let style = match totals.percent() {
                100.0.. => GOOD,
                50.0.. => MIDDLING,
                _ => BAD,
            };
            let percent = self.paint(style, &format!("{:>8}", totals.text()));
            let Totals {
                items,
                evaluated,
                matched,
                decided,
            } = totals;
            writeln!(
                self.out,
                "{name:<width$}  {items:>5}  {evaluated:>9}  {matched:>7}  {decided:>7}  {percent}"
            )?;
        }
        Ok(())
    }

    /// What no packet matched, in the order of the source.
    fn untested(&mut self, ruleset: &Measured) -> io::Result<()> {
        let own = ruleset
            .items
            .iter()
            .filter(|(item, _)| item.apart.is_none());
        let mut untested: Vec<&(Item, Hits)> = own.filter(|(_, hits)| hits.matched == 0).collect();
        if untested.is_empty() {
            return Ok(());
        }
        untested.sort_by_key(|(item, _)| (item.uncertain(), item.line()));
        let head = format!("\nuntested in {}", ruleset.candidate.display());
        writeln!(self.out, "{}", self.paint(STRONG, &clean(&head)))?;
        let places: Vec<String> = untested.iter().map(|(item, _)| item.place()).collect();
        let width = places.iter().map(|place| place.chars().count()).max();
        let width = width.unwrap_or_default();
        let mut reason = None;
        for ((item, hits), place) in untested.iter().zip(places) {
            if let Some(why) = item.uncertain().filter(|why| reason != Some(*why)) {
                writeln!(self.out, "  line unknown, {}:", clean(why))?;
                reason = Some(why);
            }
            let (style, state) = match State::of(*hits) {
                State::Unreached => (BAD, "never reached"),
                State::Evaluated | State::Covered => (MIDDLING, "never matched"),
            };
            let state = self.paint(style, state);
            let place = format!("{place:<width$}");
            writeln!(
                self.out,
                "  {}  {state}  {}",
                clean(&place),
                clean(&item.words())
            )?;
        }
        Ok(())
    }

    /// What does not count, and why.
    fn left_out(&mut self, ruleset: &Measured) -> io::Result<()> {
        for line in left_out(ruleset) {
            writeln!(self.out, "{}", clean(&line))?;
        }
        Ok(())
    }
}
