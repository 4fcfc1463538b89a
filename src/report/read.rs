//! A JSON report, read back. What is written from it again is the same report.

use serde::Deserialize;

use super::Versions;
use crate::record::{
    ScenarioRecord,
    comparison::Comparison,
    finding::Finding,
    json::{ScenarioJson, TotalsJson, VERSION},
    shard::Part,
};

/// All of a report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) part: Option<Part>,
    pub(super) scenarios: Vec<ScenarioRecord>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) findings: Vec<Finding>,
    pub(super) deny_skips: bool,
    pub(super) duration_us: u64,
    pub(super) versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
    tool: Tool,
}

#[derive(Deserialize)]
struct Tool {
    version: String,
}

#[derive(Deserialize)]
struct Document {
    scenarios: Vec<ScenarioJson<'static>>,
    comparisons: Vec<Comparison>,
    findings: Vec<Finding>,
    totals: TotalsJson,
    kernel: Option<String>,
    nft: Option<String>,
    shard: Option<Part>,
}

/// Reads a report; what is wrong with it in words that follow its name.
pub(super) fn report(text: &str) -> Result<Report, String> {
    let broken = |error: serde_json::Error| {
        format!("is no complete JSON report of firedrill ({error}); was its run cut short?")
    };
    let head: Head = serde_json::from_str(text).map_err(broken)?;
    let mine = env!("CARGO_PKG_VERSION");
    if head.version != VERSION || head.tool.version != mine {
        return Err(format!(
            "is a report of firedrill {} (format {}), and this is {mine} (format {VERSION}); merge with the \
             program that wrote it",
            head.tool.version, head.version
        ));
    }
    let document: Document = serde_json::from_str(text).map_err(broken)?;
    let kernel = &document.kernel;
    let scenarios = document.scenarios.into_iter();
    let scenarios = scenarios
        .map(|scenario| scenario.read(kernel.as_ref()).ok_or("contradicts itself"))
        .collect::<Result<_, _>>()?;
    Ok(Report {
        part: document.shard,
        scenarios,
        comparisons: document.comparisons,
        findings: document.findings,
        deny_skips: document.totals.deny_skips,
        duration_us: document.totals.duration_us,
        versions: Versions { nft: document.nft },
    })
}
