//! Runs one scenario, round by round, each in labs of its own.

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use firedrill_harness::protocol::micros;

use super::{
    collector::Collector,
    options::Options,
    queue::{Queued, Selected},
    recording::write_recording,
    results,
    round::{Purpose, Round, Rounds},
};
use crate::{
    dialect::{self, Loadable},
    judge::{
        self,
        verdict::{Inconclusive, Judgement, Outcome},
    },
    record::{CandidateRecord, CaseRecord, ScenarioRecord, failure::ScenarioError},
    scenario::{Action, Case, Scenario},
};

/// Reads one scenario and runs it in a lab of its own.
pub async fn run_queued(queued: &Queued, options: &Options) -> ScenarioRecord {
    let started = Instant::now();
    match queued.select() {
        Ok(selected) => run_scenario(&selected, options).await,
        Err(error) => ScenarioRecord {
            scenario: (&queued.entry).into(),
            position: queued.position,
            candidate: CandidateRecord::default(),
            cases: Vec::new(),
            error: Some(ScenarioError::Input(error)),
            coverage: Vec::new(),
            kernel: None,
            output: String::new(),
            duration_us: micros(started),
        },
    }
}

/// Runs one scenario in a lab of its own.
pub async fn run_scenario(selected: &Selected, options: &Options) -> ScenarioRecord {
    let started = Instant::now();
    let firewall = &selected.scenario.firewall;
    match dialect::prepare(&firewall.candidate, &firewall.layers, &firewall.files) {
        Ok(prepared) => run_prepared(selected, &prepared, options).await,
        Err(error) => {
            let path = firewall.candidate.main();
            unrun(selected, path, error.to_string(), started)
        }
    }
}

/// The record of a scenario whose configurations cannot be read.
fn unrun(selected: &Selected, path: PathBuf, error: String, started: Instant) -> ScenarioRecord {
    let error = ScenarioError::Input(error);
    let why = unreached(Some(&error));
    let unreached = |case: &Case| CaseRecord {
        case: case.into(),
        steps: results::unreached(case, &why),
    };
    ScenarioRecord {
        scenario: (&selected.scenario).into(),
        position: selected.position,
        candidate: CandidateRecord {
            name: selected.scenario.against.clone(),
            path,
            hash: String::new(),
        },
        cases: selected.cases().into_iter().map(unreached).collect(),
        error: Some(error),
        coverage: Vec::new(),
        kernel: None,
        output: String::new(),
        duration_us: micros(started),
    }
}

/// The configurations that the cases load later, each once.
fn reloads(scenario: &Scenario, cases: &[&Case]) -> Result<Vec<(PathBuf, Loadable)>, String> {
    let steps = cases.iter().flat_map(|case| &case.steps);
    let paths: BTreeSet<&PathBuf> = steps
        .filter_map(|step| match &step.action {
            Action::Reload(reload) => Some(&reload.candidate),
            Action::Send(_) | Action::Wait(_) | Action::Sweep(_) => None,
        })
        .collect();
    let firewall = &scenario.firewall;
    let prepare = |path: &PathBuf| {
        let prepared = dialect::prepare_reload(&firewall.candidate, path, &firewall.files);
        Ok((path.clone(), prepared.map_err(|error| error.to_string())?))
    };
    paths.into_iter().map(prepare).collect()
}

/// Runs one scenario against a candidate that is ready for the sandbox.
pub async fn run_prepared(
    selected: &Selected,
    prepared: &Loadable,
    options: &Options,
) -> ScenarioRecord {
    let started = Instant::now();
    let scenario = &selected.scenario;
    let cases = selected.cases();
    let reloads = match reloads(scenario, &cases) {
        Ok(reloads) => reloads,
        Err(error) => return unrun(selected, prepared.path.clone(), error, started),
    };
    let later = reloads.iter().map(|(_, other)| other);
    let candidates = std::iter::once(prepared).chain(later).collect();
    let mut collector = Collector::new(scenario, &cases, candidates, options);
    let mut rounds = Rounds {
        scenario,
        options,
        prepared,
        reloads: &reloads,
        cases: &cases,
        purpose: Some(Purpose::AllCases),
    };
    let mut error = None;
    while let Some(round) = rounds.next(&mut collector) {
        if let Err(failure) = probe(&round, scenario, options, &mut collector).await {
            collector.discard_unfinished();
            error = Some(failure);
            break;
        }
    }
    let unreached = unreached(error.as_ref());
    ScenarioRecord {
        scenario: scenario.into(),
        position: selected.position,
        candidate: CandidateRecord {
            name: scenario.against.clone(),
            path: prepared.path.clone(),
            hash: prepared.hash.clone(),
        },
        cases: (0..cases.len())
            .map(|position| CaseRecord {
                case: cases[position].into(),
                steps: collector.take_steps(position, &unreached),
            })
            .collect(),
        error,
        coverage: collector.measured(),
        kernel: collector.kernel,
        output: collector.output,
        duration_us: micros(started),
    }
}

/// Probes one round in labs of its own.
async fn probe(
    round: &Round,
    scenario: &Scenario,
    options: &Options,
    collector: &mut Collector<'_>,
) -> Result<(), ScenarioError> {
    let plan = &round.planned.plan;
    let session = options.launchers.start(&scenario.sandbox, plan).await;
    let result = match (round.purpose, session) {
        (Purpose::Sets, Ok(mut session)) => {
            collector.collect_sets(&mut session).await;
            Ok(())
        }
        (Purpose::Sets, Err(_)) => Ok(()),
        (_, Ok(mut session)) => collector.collect(&mut session, round).await,
        (_, Err(error)) => Err(error),
    };
    // Only the first round is kept: it has all cases.
    let (Some(folder), Some(records)) = (&options.record, collector.records.take()) else {
        return result;
    };
    let written = write_recording(folder, &scenario.id, plan, &records);
    result.and(written.map_err(|error| {
        let folder = folder.display();
        ScenarioError::Input(format!("could not keep the evidence in {folder}: {error}"))
    }))
}

/// What is said of a case that was not reached. The first line is enough; the scenario's error has all of
/// it.
fn unreached(error: Option<&ScenarioError>) -> Judgement {
    let why = error.map_or("the run ended before this case", ScenarioError::message);
    let line = why.lines().next().unwrap_or_default().to_owned();
    let mut judgement = judge::inconclusive(Inconclusive::RunEnded(line));
    if let Some(ScenarioError::Skipped(_)) = error {
        judgement.outcome = Outcome::Skipped;
    }
    judgement
}
