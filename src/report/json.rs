//! The report for programs. One document, written scenario by scenario, so that its size in memory
//! does not grow with the run. Its keys are those of [`crate::record::json`].

use std::io::{self, Write};

use super::{Reporter, Versions};
use crate::record::{
    ScenarioRecord,
    comparison::Comparison,
    event::{Event, Summary},
    finding::Finding,
    json::{ScenarioJson, TotalsJson, VERSION},
    shard::Part,
};

/// Writes one JSON document.
pub struct Json {
    out: Box<dyn Write>,
    versions: Versions,
    kernel: Option<String>,
    first: bool,
    part: Option<Part>,
    /// Written behind the scenarios.
    comparisons: Vec<Comparison>,
    findings: Vec<Finding>,
}

impl Json {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write>, versions: Versions) -> Self {
        Self {
            out,
            versions,
            kernel: None,
            first: true,
            part: None,
            comparisons: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        write!(
            self.out,
            "{{\"version\":{VERSION},\"tool\":{{\"name\":\"firedrill\",\"version\":{}}},\"scenarios\":[",
            serde_json::to_string(env!("CARGO_PKG_VERSION"))?
        )
    }

    fn scenario(&mut self, record: &ScenarioRecord) -> io::Result<()> {
        if self.kernel.is_none() {
            self.kernel.clone_from(&record.kernel);
        }
        let separator = if self.first { "\n" } else { ",\n" };
        self.first = false;
        self.out.write_all(separator.as_bytes())?;
        let position = self.part.is_some().then_some(record.position);
        let json = ScenarioJson::of(record, position);
        Ok(serde_json::to_writer(&mut self.out, &json)?)
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let totals = TotalsJson::from(summary);
        let comparisons = serde_json::to_string(&self.comparisons)?;
        let findings = serde_json::to_string(&self.findings)?;
        let shard = match &self.part {
            Some(part) => format!(",\"shard\":{}", serde_json::to_string(part)?),
            None => String::new(),
        };
        writeln!(
            self.out,
            "\n],\"comparisons\":{comparisons},\"findings\":{findings},\"totals\":{},\"kernel\":{},\"nft\":{}{shard}}}",
            serde_json::to_string(&totals)?,
            serde_json::to_string(&self.kernel)?,
            serde_json::to_string(&self.versions.nft)?
        )?;
        self.out.flush()
    }
}

impl Reporter for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { part, .. } => {
                self.part.clone_from(part);
                self.start()
            }
            Event::Finished(record) => self.scenario(record),
            Event::Compared(comparison) => {
                self.comparisons.push(comparison.clone());
                Ok(())
            }
            Event::Found(finding) => {
                self.findings.push(finding.clone());
                Ok(())
            }
            Event::Ended(summary) => self.end(summary),
            Event::Covered(_) => Ok(()),
        }
    }
}
