//! The report for people: quiet where all is well, and everything needed where it is not.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use anstyle::{AnsiColor, Style};

use firedrill_wire::Ranges;

use super::{Reporter, matrix::Table, walk::lines};
use crate::{
    judge::{
        sweep::SweepGroup,
        verdict::{Outcome, Verdict},
    },
    record::{
        CaseRecord, ScenarioRecord, SweepRecord,
        comparison::{Comparison, Difference},
        event::{Event, Summary},
        failure::ScenarioError,
        finding::{Finding, FindingPlace, Level},
        shard::Part,
    },
    scenario::{Cell, Matrix},
    trace::{decider::Decider, walk::Walk},
};

/// Writes lines to a terminal or a log.
pub struct Terminal<W> {
    out: W,
    color: bool,
    /// Whether the ways of packets are shown.
    verbose: bool,
    /// Width of the longest scenario name so far, so that the columns stand below each other.
    width: usize,
    part: Option<Part>,
}

const PASS: Style = AnsiColor::Green.on_default().bold();
const FAIL: Style = AnsiColor::Red.on_default().bold();
const INCONCLUSIVE: Style = AnsiColor::Yellow.on_default().bold();
const DIFFERENT: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();
/// The most ranges of a sweep that are shown.
const SWEEP_GROUPS: usize = 12;
const STRONG: Style = Style::new().bold();

impl<W: Write> Terminal<W> {
    /// Writes to `out`, with escape sequences if `color`.
    #[must_use]
    pub fn new(out: W, color: bool) -> Self {
        Self {
            out,
            color,
            verbose: false,
            width: 24,
            part: None,
        }
    }

    /// The same, with the ways of the packets that did not pass if `verbose`.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// What was written to.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.out
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn scenario(&mut self, record: &ScenarioRecord) -> io::Result<()> {
        let (style, word) = status(record);
        let id = &record.scenario.id;
        self.width = self.width.max(id.chars().count());
        let time = format!("{:>6} ms", milliseconds(record.duration_us));
        let head = format!("{word:<12} {:<width$}", clean(id), width = self.width);
        let line = self.paint(style, &head);
        let time = self.paint(FAINT, &time);
        writeln!(self.out, "{line}  {:>22}  {time}", counts(record))?;
        if let Some(error) = &record.error {
            writeln!(self.out)?;
            let head = match error {
                ScenarioError::Input(_) | ScenarioError::Lab(_) => "error",
                ScenarioError::Skipped(_) => "skipped",
            };
            let head = self.paint(style, head);
            let message = indent(&clean(error.message()));
            writeln!(self.out, "{head}: {}: {message}", clean(id))?;
            let file = record.scenario.file.display().to_string();
            writeln!(self.out, "  --> {}", clean(&file))?;
            return writeln!(self.out);
        }
        for line in record.output.lines() {
            writeln!(self.out, "    {}", clean(line))?;
        }
        let bad = |case: &&CaseRecord| case.outcome() != Outcome::Pass;
        let mut any = false;
        let mut matrices: Vec<&Arc<Matrix>> = Vec::new();
        for case in record.cases.iter().filter(bad) {
            any = true;
            let Some(Cell { matrix, .. }) = &case.case.cell else {
                writeln!(self.out)?;
                self.case(case)?;
                continue;
            };
            // All cells of a matrix together.
            if !matrices.iter().any(|known| Arc::ptr_eq(known, matrix)) {
                matrices.push(matrix);
                writeln!(self.out)?;
                self.matrix(id, matrix, &Table::of(matrix, &record.cases))?;
            }
        }
        if any { writeln!(self.out) } else { Ok(()) }
    }

    fn matrix(&mut self, id: &str, matrix: &Matrix, table: &Table<'_>) -> io::Result<()> {
        let head = self.outcome(table.outcome);
        let name = matrix.name.as_deref().unwrap_or("a matrix");
        let name = self.paint(STRONG, &clean(&format!("{id} :: {name}")));
        let cells = plural(table.cells, "cell");
        writeln!(
            self.out,
            "{head} {name}: {} of {cells} not as expected",
            table.bad
        )?;
        writeln!(self.out, "  --> {}", clean(&matrix.at.to_string()))?;
        let width = |texts: &mut dyn Iterator<Item = &str>| {
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let from = width(&mut table.rows.iter().map(|row| row.from).chain(["from"]));
        let services = table.rows.iter().map(|row| row.service.as_str());
        let service = width(&mut services.chain(["service"]));
        let columns: Vec<usize> = (0..table.columns.len())
            .map(|column| {
                let cells = table
                    .rows
                    .iter()
                    .filter_map(|row| row.cells[column].as_ref());
                let texts = cells.map(|(_, text)| text.as_str());
                width(&mut texts.chain([table.columns[column]]))
            })
            .collect();
        let mut line = format!("  {:<from$}  {:<service$}", "from", "service");
        for (name, width) in table.columns.iter().zip(&columns) {
            line += &format!("  {name:<width$}");
        }
        let line = self.paint(FAINT, &clean(line.trim_end()));
        writeln!(self.out, "{line}")?;
        for row in &table.rows {
            let line = format!("  {:<from$}  {:<service$}", row.from, row.service);
            let mut line = clean(&line).into_owned();
            let mut blank = 0;
            for (cell, width) in row.cells.iter().zip(&columns) {
                let Some((outcome, text)) = cell else {
                    blank += width + 2;
                    continue;
                };
                line += &" ".repeat(blank + 2);
                line += &self.paint(of_outcome(*outcome, FAINT), text);
                blank = width - text.chars().count();
            }
            writeln!(self.out, "{line}")?;
        }
        if table.left_out > 0 {
            let cells = plural(table.left_out, "cell");
            writeln!(
                self.out,
                "  … and {cells} in further rows; the other reports have all of them"
            )?;
        }
        for (number, mark) in table.marks.iter().enumerate() {
            let count = plural(mark.count, "cell");
            writeln!(
                self.out,
                "  [{}] {count}, first {}",
                number + 1,
                clean(&mark.first.case.name)
            )?;
            self.facts(mark.first)?;
        }
        if table.marks_left_out > 0 {
            let reasons = plural(table.marks_left_out, "reason");
            writeln!(self.out, "  … and {reasons} more")?;
        }
        Ok(())
    }

    fn outcome(&self, outcome: Outcome) -> String {
        let word = match outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::Inconclusive => "INCONCLUSIVE",
            Outcome::Skipped => "SKIPPED",
        };
        self.paint(of_outcome(outcome, PASS), word)
    }

    fn case(&mut self, record: &CaseRecord) -> io::Result<()> {
        let head = self.outcome(record.outcome());
        let name = self.paint(STRONG, &clean(&record.case.name));
        writeln!(self.out, "{head} {name}")?;
        self.facts(record)
    }

    /// Everything known of a case but its name.
    fn facts(&mut self, record: &CaseRecord) -> io::Result<()> {
        let step = record.telling();
        let judgement = &step.judgement;
        writeln!(self.out, "  --> {}", clean(&step.at.to_string()))?;
        if let Some(which) = record.telling_step() {
            self.fact("step", &which)?;
        }
        self.fact("expected", &step.expected)?;
        if let Some(sweep) = &step.sweep {
            self.sweep(sweep, judgement.reason.as_deref())?;
            return self.fact("packet", &step.packet);
        }
        match &judgement.verdict {
            Verdict::Inconclusive(reason) => self.fact("because", &reason.to_string())?,
            verdict => {
                self.fact("actual", &verdict.to_string())?;
                let told = format!("expected {}, but it was {verdict}", step.expected);
                if let Some(reason) = judgement.reason.as_ref().filter(|reason| **reason != told) {
                    self.fact("because", reason)?;
                }
            }
        }
        if let Some(decider) = &judgement.decider {
            self.fact("by", &decider.to_string())?;
            if let Some(line) = decider.written_otherwise() {
                self.fact("source", line)?;
            }
        }
        if step.packet.is_empty() {
            return Ok(());
        }
        self.fact("packet", &step.packet)?;
        match step.walk.as_deref().filter(|_| self.verbose) {
            Some(walk) => self.walk(walk),
            None => Ok(()),
        }
    }

    fn walk(&mut self, walk: &Walk) -> io::Result<()> {
        for line in lines(&walk.passages, None) {
            writeln!(self.out, "    {}", clean(&line))?;
        }
        if !walk.error.is_empty() {
            writeln!(self.out, "  the error that was sent because of it")?;
        }
        for line in lines(&walk.error, None) {
            writeln!(self.out, "    {}", clean(&line))?;
        }
        Ok(())
    }

    /// What of a sweep is not as it should be, group by group.
    fn sweep(&mut self, sweep: &SweepRecord, reason: Option<&str>) -> io::Result<()> {
        if let Some(reason) = reason {
            self.fact("actual", reason)?;
        }
        let bad = |group: &&SweepGroup| group.outcome != Outcome::Pass;
        let (bad, good): (Vec<_>, Vec<_>) = sweep.groups.iter().partition(bad);
        for group in bad.iter().take(SWEEP_GROUPS) {
            let numbers = Ranges::from(group.first..=group.last).to_string();
            let mut said = group.verdict.to_string();
            if let Some(decider) = &group.decider {
                said = format!("{said} by {decider}");
            }
            self.fact(&numbers, &said)?;
            let line = group.decider.as_ref().and_then(Decider::written_otherwise);
            if let Some(line) = line {
                self.fact("source", line)?;
            }
        }
        let more = bad.len().saturating_sub(SWEEP_GROUPS);
        if more > 0 {
            self.fact("and", &plural(more, "more range"))?;
        }
        let count = |groups: &[&SweepGroup]| groups.iter().map(|group| group.count()).sum::<u32>();
        let (open, closed): (Vec<_>, Vec<_>) = good
            .iter()
            .partition(|group| matches!(group.verdict, Verdict::Accept(_)));
        let as_expected = format!("{} open and {} closed", count(&open), count(&closed));
        self.fact("the rest", &format!("{as_expected} as expected"))
    }

    fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        writeln!(self.out, "  {name:<8}  {}", clean(value))
    }

    fn comparison(&mut self, comparison: &Comparison) -> io::Result<()> {
        let different = comparison.different.len();
        let told = comparison.same + different;
        let (style, word) = match (different, told) {
            (0, 0) => (INCONCLUSIVE, "NOT COMPARED"),
            (0, _) => (PASS, "same"),
            _ => (DIFFERENT, "DIFFERENT"),
        };
        let scenario = clean(&comparison.scenario);
        let head = format!("{word:<12} {scenario:<width$}", width = self.width);
        let head = self.paint(style, &head);
        let count = match different {
            0 => plural(told, "case"),
            1 => format!("1 of {} differs", plural(told, "case")),
            _ => format!("{different} of {} differ", plural(told, "case")),
        };
        let names = comparison.candidates.join(", ");
        writeln!(self.out, "{head}  {count:>22}  {}", clean(&names))?;
        if !comparison.not_compared.is_empty() {
            let count = plural(comparison.not_compared.len(), "case");
            let why = "a candidate has no verdict there";
            writeln!(self.out, "    {count} could not be compared: {why}")?;
        }
        for difference in &comparison.different {
            self.difference(comparison, difference)?;
        }
        if different > 0 {
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn difference(&mut self, comparison: &Comparison, different: &Difference) -> io::Result<()> {
        let head = self.paint(DIFFERENT, "DIFFERENT");
        let name = format!("{} :: {}", comparison.scenario, different.case);
        let name = self.paint(STRONG, &clean(&name));
        writeln!(self.out, "\n{head} {name}")?;
        if let Some(side) = different.by_candidate.first() {
            writeln!(self.out, "  --> {}", clean(&side.step.at.to_string()))?;
        }
        if let Some(step) = &different.step {
            self.fact("step", step)?;
        }
        let width = |words: &mut dyn Iterator<Item = &String>| {
            let widths = words.map(|word| word.chars().count());
            widths.max().unwrap_or_default()
        };
        let names = width(&mut comparison.candidates.iter()).max(8);
        let verdicts = width(&mut different.by_candidate.iter().map(|side| &side.verdict_text));
        for side in &different.by_candidate {
            let decider = side.step.judgement.decider.as_ref();
            let by = decider.map_or_else(String::new, |by| format!("  {by}"));
            let line = format!(
                "{:<names$}  {:<verdicts$}{by}",
                side.candidate, side.verdict_text
            );
            writeln!(self.out, "  {}", clean(line.trim_end()))?;
        }
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        let style = match finding.level {
            Level::Pass | Level::Note => PASS,
            Level::Warning | Level::Unknown => INCONCLUSIVE,
            Level::Error => FAIL,
        };
        let level = self.paint(style, &finding.level.word().to_uppercase());
        let id = self.paint(STRONG, &clean(&finding.id));
        writeln!(self.out, "\n{level} {id}")?;
        match &finding.place {
            FindingPlace::Line(location) => {
                writeln!(self.out, "  --> {}", clean(&location.to_string()))?;
            }
            FindingPlace::None { no_place } => self.fact("no line", no_place)?,
        }
        writeln!(self.out, "  {}", clean(&finding.sentence))?;
        for packet in &finding.witnesses {
            self.fact("packet", packet)?;
        }
        for remedy in &finding.remedies {
            self.fact("help", remedy)?;
        }
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        if let (Some(part), 0) = (&self.part, summary.scenarios) {
            let scenarios = plural(part.scenarios, "scenario");
            let word = self.paint(PASS, "empty");
            let shard = part.shard;
            return writeln!(self.out, "{word}: shard {shard} has none of {scenarios}");
        }
        let outcome = match summary.exit() {
            crate::record::exit::Exit::Success => (PASS, "passed"),
            crate::record::exit::Exit::Failed => (FAIL, "FAILED"),
            crate::record::exit::Exit::BadInput => (FAIL, "BAD INPUT"),
            crate::record::exit::Exit::Inconclusive => (INCONCLUSIVE, "INCONCLUSIVE"),
        };
        let word = self.paint(outcome.0, outcome.1);
        let mut parts = vec![format!("{} pass", summary.pass)];
        for (count, name) in [
            (summary.fail, "fail"),
            (summary.inconclusive, "inconclusive"),
            (summary.skipped, "skipped"),
            (summary.bad_input, "with bad input"),
            (summary.broken, "with a broken lab"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {name}"));
            }
        }
        let scenarios = plural(summary.scenarios, "scenario");
        let cases = plural(summary.cases(), "case");
        let time = milliseconds(summary.duration_us);
        let parts = parts.join(", ");
        write!(
            self.out,
            "{word}: {cases} of {scenarios} in {time} ms: {parts}"
        )?;
        if let Some(part) = &self.part {
            let scenarios = plural(part.scenarios, "scenario");
            write!(self.out, " (shard {} of {scenarios})", part.shard)?;
        }
        writeln!(self.out)
    }
}

impl<W: Write> Reporter for Terminal<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { part, .. } => {
                self.part.clone_from(part);
                Ok(())
            }
            Event::Finished(record) => self.scenario(record),
            Event::Compared(comparison) => self.comparison(comparison),
            Event::Found(finding) => self.finding(finding),
            Event::Ended(summary) => self.end(summary),
            Event::Covered(_) => Ok(()),
        }?;
        self.out.flush()
    }
}

/// The style of an outcome; `fine` if nothing is wrong.
fn of_outcome(outcome: Outcome, fine: Style) -> Style {
    match outcome {
        Outcome::Pass => fine,
        Outcome::Fail => FAIL,
        Outcome::Inconclusive | Outcome::Skipped => INCONCLUSIVE,
    }
}

fn status(record: &ScenarioRecord) -> (Style, &'static str) {
    if let Some(ScenarioError::Skipped(_)) = record.error {
        (INCONCLUSIVE, "SKIPPED")
    } else if record.error.is_some() {
        (FAIL, "ERROR")
    } else if record.count(Outcome::Fail) > 0 {
        (FAIL, "FAIL")
    } else if record.count(Outcome::Inconclusive) > 0 {
        (INCONCLUSIVE, "INCONCLUSIVE")
    } else {
        (PASS, "ok")
    }
}

fn counts(record: &ScenarioRecord) -> String {
    let all = record.cases.len();
    let fine = record.count(Outcome::Pass);
    if fine == all {
        plural(all, "case")
    } else {
        format!("{fine} of {} pass", plural(all, "case"))
    }
}

/// `1 case`, `2 cases`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn milliseconds(micros: u64) -> u64 {
    micros.div_ceil(1000)
}

/// Takes control characters out: names, comments and messages come from files that anybody may have
/// written, and a terminal obeys what it is shown.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(obeyed) {
        Cow::Owned(text.replace(obeyed, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Continuation lines stand below the first.
fn indent(message: &str) -> String {
    message.replace('\n', "\n    ")
}
