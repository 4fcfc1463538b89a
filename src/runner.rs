//! Runs selected scenarios, each in a lab of its own, and emits events. It prints nothing and judges
//! nothing itself.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use firedrill_harness::{
    launcher::embedded,
    protocol::{Blind, CommandFailure, Plan, Record, micros},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    collector::{self, Collector},
    dialect::{self, Prepared},
    event::{CandidateRecord, CaseRecord, Event, ScenarioError, ScenarioRecord, Summary},
    plan::{self, Planned},
    scenario::{Candidate, Case, Scenario},
    verdict::Inconclusive,
};

/// Some cases of a scenario, to be run.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Indices into [`Scenario::cases`], ascending, at least one.
    pub cases: Vec<usize>,
}

impl Selected {
    /// All cases of a scenario.
    #[must_use]
    pub fn all(scenario: Scenario) -> Self {
        Self {
            cases: (0..scenario.cases.len()).collect(),
            scenario: Arc::new(scenario),
        }
    }

    fn cases(&self) -> Vec<&Case> {
        self.cases
            .iter()
            .map(|index| &self.scenario.cases[*index])
            .collect()
    }
}

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many labs stand at the same time, at least one.
    pub jobs: usize,
    /// Run against this candidate instead of the scenarios' own.
    pub candidate: Option<PathBuf>,
    /// Take one of the harness's senses away.
    pub blind: Option<Blind>,
    /// Keep what the agent was told and what it reported in this folder, a file per scenario: the plan
    /// and then the records, one JSON line each.
    pub record: Option<PathBuf>,
}

/// Runs everything that was selected; events come in the order of `selected`.
///
/// Must be called inside a tokio runtime with I/O enabled.
pub async fn run(
    selected: Vec<Selected>,
    options: Options,
    mut emit: impl FnMut(Event),
) -> Summary {
    let started = Instant::now();
    emit(Event::Started {
        scenarios: selected.len(),
        cases: selected.iter().map(|selected| selected.cases.len()).sum(),
    });
    let slots = Arc::new(Semaphore::new(options.jobs.max(1)));
    let options = Arc::new(options);
    let mut tasks = JoinSet::new();
    for (number, selected) in selected.into_iter().enumerate() {
        let (slots, options) = (Arc::clone(&slots), Arc::clone(&options));
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire_owned().await;
            (number, run_scenario(&selected, &options).await)
        });
    }
    let mut summary = Summary::default();
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    while let Some(finished) = tasks.join_next().await {
        match finished {
            Ok((number, record)) => {
                waiting.insert(number, record);
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        while let Some(record) = waiting.remove(&next) {
            next += 1;
            summary.add(&record);
            emit(Event::Finished(Box::new(record)));
        }
    }
    summary.duration_us = micros(started);
    emit(Event::Ended(summary));
    summary
}

/// Runs one scenario in a lab of its own.
pub async fn run_scenario(selected: &Selected, options: &Options) -> ScenarioRecord {
    let mut firewall = selected.scenario.firewall.clone();
    if let Some(path) = &options.candidate {
        firewall.candidate = Candidate::Nftables(path.clone());
    }
    let started = Instant::now();
    match dialect::prepare(&firewall) {
        Ok(prepared) => run_prepared(selected, &prepared, options).await,
        Err(error) => {
            let error = ScenarioError::Input(error.to_string());
            let why = unreached(Some(&error));
            let unreached = |case: &Case| CaseRecord {
                case: case.clone(),
                steps: collector::unreached(case, &why),
            };
            ScenarioRecord {
                scenario: Arc::clone(&selected.scenario),
                candidate: CandidateRecord {
                    path: firewall.candidate.path().to_owned(),
                    hash: String::new(),
                },
                cases: selected.cases().into_iter().map(unreached).collect(),
                error: Some(error),
                kernel: None,
                output: String::new(),
                duration_us: micros(started),
            }
        }
    }
}

/// Runs one scenario against a candidate that is ready for the sandbox.
pub async fn run_prepared(
    selected: &Selected,
    prepared: &Prepared,
    options: &Options,
) -> ScenarioRecord {
    let started = Instant::now();
    let scenario = &selected.scenario;
    let cases = selected.cases();
    let mut planned = plan::plan(scenario, prepared, &cases, false);
    planned.plan.blind = options.blind;
    let all = std::slice::from_ref(prepared);
    let mut collector = Collector::new(scenario, &cases, &planned, all, options.record.is_some());
    let mut result = drill(&planned, &mut collector).await;
    if let Some(folder) = &options.record {
        let written = write_recording(folder, &scenario.id, &planned.plan, &collector.records);
        result = result.and(written.map_err(|error| {
            let folder = folder.display();
            ScenarioError::Input(format!("could not keep the evidence in {folder}: {error}"))
        }));
    }
    let error = result.err();
    let unreached = unreached(error.as_ref());
    let steps = |position| collector.steps(position, &unreached);
    ScenarioRecord {
        scenario: Arc::clone(scenario),
        candidate: CandidateRecord {
            path: prepared.path.clone(),
            hash: prepared.hash.clone(),
        },
        cases: (0..cases.len())
            .map(|position| CaseRecord {
                case: cases[position].clone(),
                steps: steps(position),
            })
            .collect(),
        error,
        kernel: collector.kernel,
        output: collector.output,
        duration_us: micros(started),
    }
}

async fn drill(planned: &Planned, collector: &mut Collector<'_>) -> Result<(), ScenarioError> {
    let mut session = embedded::start(&planned.plan)
        .await
        .map_err(|error| lab_error(&error))?;
    collector.collect(&mut session).await
}

/// Why a case was not reached. The first line is enough; the scenario's error has all of it.
fn unreached(error: Option<&ScenarioError>) -> Inconclusive {
    let why = error.map_or("the run ended before this case", ScenarioError::message);
    Inconclusive::Cut(why.lines().next().unwrap_or_default().to_owned())
}

fn write_recording(
    folder: &Path,
    id: &str,
    plan: &Plan,
    records: &[Record],
) -> std::io::Result<()> {
    let file = folder.join(format!("{id}.jsonl"));
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut out = BufWriter::new(File::create(file)?);
    serde_json::to_writer(&mut out, plan)?;
    for record in records {
        out.write_all(b"\n")?;
        serde_json::to_writer(&mut out, record)?;
    }
    out.write_all(b"\n")?;
    out.flush()
}

/// What to tell of a candidate that did not load.
#[must_use]
pub fn load_failed(failure: &CommandFailure, prepared: &Prepared) -> ScenarioError {
    let program = failure.argv.first().map_or("", String::as_str);
    if failure.missing {
        return ScenarioError::Lab(format!(
            "could not load the candidate: there is no program `{program}` on this machine\n\
             (on Debian and Ubuntu: apt-get install {})",
            dialect::package_of(program)
        ));
    }
    // EMSGSIZE of netlink(7): nft sends a ruleset as one message, and inside a user namespace it may
    // not raise its send buffer (SO_SNDBUFFORCE; nft 1.0.6 tries nothing else). The candidate is not
    // at fault.
    if failure.stderr.contains("Message too long") {
        return ScenarioError::Lab(format!(
            "could not load the candidate {}: it is larger than an unprivileged program may send to \
             the kernel at once\n\
             (raise the limit: sysctl net.core.wmem_default=4194304)",
            prepared.path.display()
        ));
    }
    let said = if failure.stderr.trim().is_empty() {
        &failure.stdout
    } else {
        &failure.stderr
    };
    ScenarioError::Input(format!(
        "{program} refuses the candidate {} ({})\n{}",
        prepared.path.display(),
        failure.status,
        prepared.translate(said).trim_end()
    ))
}

/// What to tell of a lab that could not be used.
#[must_use]
pub fn lab_error(error: &dyn std::error::Error) -> ScenarioError {
    ScenarioError::Lab(format!(
        "{error}\n(`firedrill doctor` says what is missing on this machine)"
    ))
}
