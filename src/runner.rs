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
    launcher::{LaunchError, Session, embedded},
    protocol::{Blind, CommandFailure, Loaded, Plan, Probe, Record, Task, micros},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    describe,
    dialect::{self, Prepared, listing::Ruleset},
    event::{CandidateRecord, CaseRecord, Event, ScenarioError, ScenarioRecord, Summary},
    judge::{self, Setting},
    plan,
    scenario::{Candidate, Case, Scenario},
    verdict::{Inconclusive, Judgement},
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
            let candidate = CandidateRecord {
                path: firewall.candidate.path().to_owned(),
                hash: String::new(),
            };
            let error = ScenarioError::Input(error.to_string());
            record(
                selected,
                candidate,
                Collector::default(),
                &[],
                Some(error),
                started,
            )
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
    let mut plan = plan::plan(scenario, prepared, &cases);
    plan.blind = options.blind;
    let mut collector = Collector::default();
    let mut result = collector
        .collect(scenario, &cases, &plan, prepared, options.record.is_some())
        .await;
    if let Some(folder) = &options.record {
        let written = write_recording(folder, &scenario.id, &plan, &collector.records);
        result = result.and(written.map_err(|error| {
            let folder = folder.display();
            ScenarioError::Input(format!("could not keep the evidence in {folder}: {error}"))
        }));
    }
    let probes = match &plan.task {
        Task::Probe(probes) => probes.as_slice(),
        Task::Shell(_) => &[],
    };
    let candidate = CandidateRecord {
        path: prepared.path.clone(),
        hash: prepared.hash.clone(),
    };
    record(
        selected,
        candidate,
        collector,
        probes,
        result.err(),
        started,
    )
}

/// Puts a scenario's record together; cases that were not reached are inconclusive.
fn record(
    selected: &Selected,
    candidate: CandidateRecord,
    collector: Collector,
    probes: &[Probe],
    error: Option<ScenarioError>,
    started: Instant,
) -> ScenarioRecord {
    let scenario = &selected.scenario;
    let mut judged = collector.judgements.into_iter();
    let unreached = || {
        let why = error
            .as_ref()
            .map_or("the run ended before this case", ScenarioError::message);
        // The first line is enough here; the scenario's error has all of it.
        let line = why.lines().next().unwrap_or_default().to_owned();
        (judge::inconclusive(Inconclusive::Cut(line)), 0)
    };
    let cases = selected
        .cases()
        .into_iter()
        .enumerate()
        .map(|(position, case)| {
            let (judgement, duration_us) = judged.next().unwrap_or_else(unreached);
            CaseRecord {
                case: case.clone(),
                packet: probes
                    .get(position)
                    .map_or_else(String::new, |probe| describe::probe(scenario, probe)),
                judgement,
                duration_us,
            }
        })
        .collect();
    ScenarioRecord {
        scenario: Arc::clone(scenario),
        candidate,
        cases,
        error,
        kernel: collector.kernel,
        output: collector.output,
        duration_us: micros(started),
    }
}

/// Turns an agent's records into judgements.
#[derive(Default)]
struct Collector {
    judgements: Vec<(Judgement, u64)>,
    kernel: Option<String>,
    output: String,
    records: Vec<Record>,
}

impl Collector {
    async fn collect(
        &mut self,
        scenario: &Scenario,
        cases: &[&Case],
        plan: &Plan,
        prepared: &Prepared,
        keep: bool,
    ) -> Result<(), ScenarioError> {
        let lost = |error: LaunchError| lab_error(&error);
        let mut session = embedded::start(plan).await.map_err(lost)?;
        let (loaded, ruleset) = self.until_listed(&mut session, prepared, keep).await?;
        let probes: &[Probe] = match &plan.task {
            Task::Probe(probes) => probes,
            Task::Shell(_) => &[],
        };
        loop {
            let record = session.next().await.map_err(lost)?;
            if keep {
                self.records.push(record.clone());
            }
            match record {
                Record::Evidence(evidence) => {
                    let position = self.judgements.len();
                    let (Some(case), Some(probe)) = (cases.get(position), probes.get(position))
                    else {
                        return Err(out_of_order());
                    };
                    if evidence.probe != probe.id {
                        return Err(out_of_order());
                    }
                    let setting = Setting {
                        lab: &plan.lab,
                        loaded: &loaded,
                        ruleset: &ruleset,
                    };
                    let judgement = judge::judge(scenario, case, probe, &evidence, setting);
                    self.judgements.push((judgement, evidence.duration_us));
                }
                Record::Done { generation, .. } => {
                    if self.judgements.len() != cases.len() {
                        return Err(out_of_order());
                    }
                    // Somebody changed the rules while they were probed: nothing holds.
                    if generation != loaded.generation_probed {
                        for (judgement, _) in &mut self.judgements {
                            *judgement = judge::inconclusive(Inconclusive::RulesetChanged);
                        }
                    }
                    return Ok(());
                }
                Record::Broken(broken) => return Err(lab_error(&broken)),
                Record::Refused(_)
                | Record::LoadFailed(_)
                | Record::Lab { .. }
                | Record::Loaded(_)
                | Record::Ruleset { .. } => return Err(out_of_order()),
            }
        }
    }

    /// Reads up to the listing of the loaded ruleset.
    async fn until_listed(
        &mut self,
        session: &mut Session,
        prepared: &Prepared,
        keep: bool,
    ) -> Result<(Loaded, Ruleset), ScenarioError> {
        let mut loaded = None;
        loop {
            let record = session.next().await.map_err(|error| lab_error(&error))?;
            if keep {
                self.records.push(record.clone());
            }
            match record {
                Record::Lab { kernel, .. } => self.kernel = Some(kernel),
                Record::Loaded(record) => {
                    self.output = prepared.translate(&record.output);
                    loaded = Some(record);
                }
                Record::Ruleset { listing } => {
                    let loaded = loaded.ok_or_else(out_of_order)?;
                    return Ok((loaded, prepared.ruleset(&listing)));
                }
                Record::LoadFailed(failure) => return Err(load_failed(&failure, prepared)),
                Record::Broken(broken) => return Err(lab_error(&broken)),
                Record::Refused(refused) => return Err(ScenarioError::Input(refused.to_string())),
                Record::Evidence(_) | Record::Done { .. } => return Err(out_of_order()),
            }
        }
    }
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

fn out_of_order() -> ScenarioError {
    ScenarioError::Lab("the sandbox sent its records in an impossible order".to_owned())
}
