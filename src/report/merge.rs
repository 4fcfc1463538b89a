//! One report of several: of all shards of a run, or of runs that have no scenario in common.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use super::{
    Versions,
    read::{self, Report},
    terminal::plural,
};
use crate::record::{
    ScenarioRecord,
    comparison::Comparison,
    event::{Event, Summary},
    finding::Finding,
    shard::{Names, Part},
};

/// What the reports say together.
#[derive(Debug)]
pub struct Merged {
    /// As the whole run would have given them.
    pub events: Vec<Event>,
    /// The totals, which are also in the last of the events.
    pub summary: Summary,
    /// What the reports say of the machines.
    pub versions: Versions,
}

/// Merges the reports in these files.
///
/// # Errors
///
/// In words: a file that is no report, a shard that is missing or there twice, reports that do not belong
/// together.
pub fn files(paths: &[PathBuf]) -> Result<Merged, String> {
    let mut reports = Vec::new();
    for path in paths {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| format!("could not read the report {shown}: {error}"))?;
        let report = read::report(&text).map_err(|why| format!("{shown} {why}"))?;
        reports.push((path.as_path(), report));
    }
    merge(reports)
}

fn merge(mut reports: Vec<(&Path, Report)>) -> Result<Merged, String> {
    let whole = whole(&reports)?;
    if whole.is_some() {
        reports.sort_by_key(|(_, report)| report.part.as_ref().map(|part| part.shard.number));
    }
    let mut versions = Versions::default();
    let mut kernels: Vec<String> = Vec::new();
    let mut summary = Summary::default();
    let mut records: Vec<(&Path, ScenarioRecord)> = Vec::new();
    let mut comparisons: HashMap<String, Comparison> = HashMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    for (path, report) in reports {
        join(&mut versions.nft, report.versions.nft);
        summary.deny_skips |= report.deny_skips;
        // Shards run at the same time, so the slowest is the whole.
        summary.duration_us = summary.duration_us.max(report.duration_us);
        for record in report.scenarios {
            if let Some(kernel) = &record.kernel
                && !kernels.contains(kernel)
            {
                kernels.push(kernel.clone());
            }
            records.push((path, record));
        }
        for finding in report.findings {
            // Every shard may say the same of a candidate.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        let named = report.comparisons.into_iter();
        comparisons.extend(named.map(|one| (one.scenario.clone(), one)));
    }
    once(&records)?;
    if whole.is_some() {
        records.sort_by_key(|(_, record)| record.position);
    }
    let mut records: Vec<ScenarioRecord> = records.into_iter().map(|(_, record)| record).collect();
    let kernel = (!kernels.is_empty()).then(|| kernels.join(", "));
    for (position, record) in records.iter_mut().enumerate() {
        if whole.is_some() && record.position != position {
            return Err(incomplete());
        }
        record.position = position;
        record.kernel.clone_from(&kernel);
        summary.add(record);
    }
    if let Some(whole) = whole {
        let cases = records.iter().flat_map(|record| &record.cases);
        let mut names = Names::default();
        cases.for_each(|case| names.add(&case.case.name));
        let names = names.finish();
        if (records.len(), summary.cases(), names) != (whole.scenarios, whole.cases, whole.names) {
            return Err(incomplete());
        }
    }
    let mut events = vec![Event::Started {
        scenarios: records.len(),
        cases: summary.cases(),
        part: None,
    }];
    let mut records = records.into_iter().peekable();
    while let Some(record) = records.next() {
        let stem = record.scenario.stem.clone();
        events.push(Event::Finished(Box::new(record)));
        if records.peek().is_none_or(|next| next.scenario.stem != stem) {
            events.extend(comparisons.remove(&stem).map(Event::Compared));
        }
    }
    events.extend(findings.into_iter().map(Event::Found));
    events.push(Event::Ended(summary));
    Ok(Merged {
        events,
        summary,
        versions,
    })
}

fn incomplete() -> String {
    "the reports do not have exactly the cases of the whole run\n(were they changed after they were written?)"
        .to_owned()
}

/// The run that the reports are the shards of, all of them and each once; `None` if they are no shards.
fn whole(reports: &[(&Path, Report)]) -> Result<Option<Part>, String> {
    let mut shards: BTreeMap<u32, &Path> = BTreeMap::new();
    let mut first: Option<(&Path, &Part)> = None;
    for (path, report) in reports {
        let shown = path.display();
        let Some(part) = &report.part else {
            continue;
        };
        let (one, known) = *first.get_or_insert((path, part));
        if known.shard.of != part.shard.of {
            return Err(format!(
                "{shown} is shard {} and {} is shard {}: of another number of shards",
                part.shard,
                one.display(),
                known.shard
            ));
        }
        if (known.scenarios, known.cases, &known.names) != (part.scenarios, part.cases, &part.names)
        {
            return Err(format!(
                "{shown} and {} are shards of different runs: of {} and of {}, or of other names\n\
                 (all shards need the same scenarios and the same --filter)",
                one.display(),
                plural(part.cases, "case"),
                plural(known.cases, "case"),
            ));
        }
        if let Some(twin) = shards.insert(part.shard.number, path) {
            return Err(format!(
                "shard {} is there twice: {} and {shown}",
                part.shard,
                twin.display()
            ));
        }
    }
    let Some((one, part)) = first else {
        return Ok(None);
    };
    if let Some((path, _)) = reports.iter().find(|(_, report)| report.part.is_none()) {
        return Err(format!(
            "{} is a shard and {} is none",
            one.display(),
            path.display()
        ));
    }
    let missing = (1..=part.shard.of).filter(|number| !shards.contains_key(number));
    let missing: Vec<String> = missing.map(|number| number.to_string()).collect();
    if !missing.is_empty() {
        let shards = match missing.len() {
            1 => "shard",
            _ => "shards",
        };
        return Err(format!(
            "{shards} {} of {} missing: nobody knows what became of those scenarios",
            missing.join(", "),
            part.shard.of
        ));
    }
    Ok(Some(part.clone()))
}

/// Refuses a scenario that is in two reports.
fn once(records: &[(&Path, ScenarioRecord)]) -> Result<(), String> {
    let mut owners: HashMap<&str, &Path> = HashMap::new();
    for (path, record) in records {
        if let Some(owner) = owners.insert(&record.scenario.id, path) {
            return Err(format!(
                "{} is in two reports: {} and {}",
                record.scenario.id,
                owner.display(),
                path.display()
            ));
        }
    }
    Ok(())
}

/// Adds what another machine says, if it says something else.
fn join(all: &mut Option<String>, other: Option<String>) {
    match (all.as_mut(), other) {
        (Some(known), Some(other)) if !known.split(", ").any(|one| one == other) => {
            *known += ", ";
            *known += &other;
        }
        (None, other) => *all = other,
        (Some(_), _) => {}
    }
}
