//! JUnit XML for CI servers: a suite per scenario, a test case per case. Proven failures are
//! `failure`; what could not be told is `error`, so that no server counts it as passed.

use std::{
    collections::HashMap,
    io::{self, Write},
    time::Duration,
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Reporter;
use crate::{
    judge::verdict::Outcome,
    record::{
        CaseRecord, ScenarioRecord,
        comparison::{Comparison, Difference},
        event::Event,
    },
};

/// Collects the run and writes one document at its end: its totals stand at the top.
pub struct JUnit {
    out: Box<dyn Write>,
    report: Report,
}

impl JUnit {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write>) -> Self {
        Self {
            out,
            report: Report::new("firedrill"),
        }
    }
}

impl JUnit {
    /// A difference is no failure: it stands with the output of each of its cases.
    fn comparison(&mut self, comparison: &Comparison) {
        let suites = self.report.test_suites.len();
        // Those of the candidates were added last, in their order.
        let first = suites.saturating_sub(comparison.candidates.len());
        let suites = &mut self.report.test_suites[first..];
        let count = comparison.different.len().to_string();
        let told: HashMap<&str, String> = comparison
            .different
            .iter()
            .map(|different| (&*different.case, side_by_side(different)))
            .collect();
        for suite in suites {
            suite.add_property(("candidates.different", count.as_str()));
            for test in &mut suite.test_cases {
                let name = test.name.to_string();
                let case = name.split_once(" :: ").map_or("", |(_, case)| case);
                if let Some(told) = told.get(case) {
                    test.system_out = Some(told.as_str().into());
                }
            }
        }
    }
}

fn side_by_side(different: &Difference) -> String {
    let mut text = "the candidates differ\n".to_owned();
    if let Some(step) = &different.step {
        text += &format!("step: {step}\n");
    }
    for side in &different.by_candidate {
        let by = side.step.judgement.decider.as_ref();
        let by = by.map_or_else(String::new, |by| format!(", by {by}"));
        text += &format!("{}: {}{by}\n", side.candidate, side.verdict_text);
    }
    text
}

impl Reporter for JUnit {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { .. } => Ok(()),
            Event::Finished(record) => {
                self.report.add_test_suite(suite(record));
                Ok(())
            }
            Event::Compared(comparison) => {
                self.comparison(comparison);
                Ok(())
            }
            // Findings of other capabilities than tests are no test cases.
            Event::Found(_) | Event::Covered(_) => Ok(()),
            Event::Ended(summary) => {
                self.report
                    .set_time(Duration::from_micros(summary.duration_us));
                // In one piece, so that what the stream says of its troubles stays what it is.
                let text = self.report.to_string().map_err(io::Error::other)?;
                self.out.write_all(text.as_bytes())?;
                self.out.flush()
            }
        }
    }
}

fn suite(record: &ScenarioRecord) -> TestSuite {
    let mut suite = TestSuite::new(record.scenario.id.as_str());
    suite.set_time(Duration::from_micros(record.duration_us));
    if let Some(name) = &record.candidate.name {
        suite.add_property(("candidate.name", name.as_str()));
    }
    suite.add_property((
        "candidate",
        record.candidate.path.display().to_string().as_str(),
    ));
    suite.add_property(("candidate.sha256", record.candidate.hash.as_str()));
    suite.add_test_cases(record.cases.iter().map(|case| test_case(record, case)));
    // A suite without a test case is a success to most servers.
    if let (Some(error), true) = (&record.error, record.cases.is_empty()) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error.message());
        status.set_type(error.word());
        suite.add_test_case(TestCase::new(record.scenario.id.as_str(), status));
    }
    suite
}

fn test_case(record: &ScenarioRecord, case: &CaseRecord) -> TestCase {
    let step = case.telling();
    let judgement = &step.judgement;
    let reason = judgement.reason.clone().unwrap_or_default();
    let status = match judgement.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped => TestCaseStatus::skipped(),
    };
    let mut test = TestCase::new(case.case.name.as_str(), status);
    if judgement.outcome != Outcome::Pass {
        let by = judgement.decider.as_ref().map_or_else(String::new, |by| {
            match by.written_otherwise() {
                Some(line) => format!("by: {by}\nsource: {line}\n"),
                None => format!("by: {by}\n"),
            }
        });
        let which = case
            .telling_step()
            .map_or_else(String::new, |step| format!("step: {step}\n"));
        let groups = step.sweep.iter().flat_map(|sweep| &sweep.groups);
        let bad = groups.filter(|group| group.outcome != Outcome::Pass);
        let bad: String = bad
            .map(|group| {
                let by = group.decider.as_ref();
                let by = by.map_or_else(String::new, |by| format!(" by {by}"));
                format!("{}-{}: {}{by}\n", group.first, group.last, group.verdict)
            })
            .collect();
        let details = format!(
            "{}\n{which}expected: {}\nactual: {}\n{by}packet: {}\n{bad}",
            step.at, step.expected, judgement.verdict, step.packet
        );
        test.status.set_message(reason);
        test.status.set_type(judgement.outcome.word());
        test.status.set_description(details);
    }
    test.set_classname(record.scenario.id.as_str());
    test.set_time(Duration::from_micros(case.duration_us()));
    test.extra.insert(
        "file".into(),
        case.case.at.file.display().to_string().into(),
    );
    test.extra
        .insert("line".into(), case.case.at.line.to_string().into());
    test
}
