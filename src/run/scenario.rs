//! Runs one scenario in a lab of its own, and what of it has to be probed again.

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use firedrill_harness::protocol::{Record, micros};

use super::{
    collector,
    collector::Collector,
    options::{Options, Walks},
    queue::{Queued, Selected},
    recording::write_recording,
};
use crate::{
    coverage::{self},
    dialect::{self, Loadable},
    judge::{
        self,
        verdict::{Inconclusive, Judgement, Outcome},
    },
    plan::{self, Planned},
    record::{
        CandidateRecord, CaseRecord, ScenarioRecord,
        coverage::{Measured, Sets},
        failure::ScenarioError,
    },
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
        steps: collector::unreached(case, &why),
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
    let whose = options.launchers.whose_programs(&scenario.sandbox);
    let candidates: Vec<&Loadable> = std::iter::once(prepared).chain(later).collect();
    let keep = options.record.is_some();
    let plan = |cases: &[&Case], alone| {
        let mut planned = plan::plan(scenario, prepared, &reloads, cases, alone);
        planned.plan.blind = options.blind;
        if options.trace_sweeps {
            planned.trace_sweeps();
        }
        planned
    };
    let planned = plan(&cases, false);
    let mut collector = Collector::new(scenario, &cases, &planned, candidates.clone(), whose, keep)
        .covering(options.coverage)
        .with_walks(options.walks);
    let mut result = drill(scenario, options, &planned, &mut collector).await;
    if let Some(folder) = &options.record {
        let written = write_recording(folder, &scenario.id, &planned.plan, &collector.records);
        result = result.and(written.map_err(|error| {
            let folder = folder.display();
            ScenarioError::Input(format!("could not keep the evidence in {folder}: {error}"))
        }));
    }
    // What others left in the memory of a rule must not decide: those cases once more, each alone.
    let spoilt = match &result {
        Ok(()) => collector.spoilt(),
        Err(_) => Vec::new(),
    };
    let alone: Vec<&Case> = spoilt.iter().map(|position| cases[*position]).collect();
    let planned_alone = plan(&alone, true);
    let walks_alone = match options.walks {
        Walks::Unpassed => Walks::Unpassed,
        Walks::First(count) => Walks::First(spoilt.partition_point(|position| *position < count)),
    };
    let mut again = Collector::new(scenario, &alone, &planned_alone, candidates, whose, false)
        .covering(options.coverage)
        .with_walks(walks_alone);
    if !alone.is_empty() {
        result = drill(scenario, options, &planned_alone, &mut again).await;
    }
    let sets = match collector.asks_for_sets() {
        true => sets(scenario, prepared, options).await,
        false => Sets::new(),
    };
    let mut of_sweeps = Vec::new();
    if result.is_ok() {
        let sweeps = sweep_again(
            scenario,
            options,
            prepared,
            &cases,
            &mut collector,
            whose,
            &sets,
        );
        match sweeps.await {
            Ok(covered) => of_sweeps = covered,
            Err(error) => result = Err(error),
        }
    }
    let error = result.err();
    let unreached = unreached(error.as_ref());
    let mut steps = |position: usize| match spoilt.binary_search(&position) {
        Ok(nth) => again.take_steps(nth, &unreached),
        Err(_) => collector.take_steps(position, &unreached),
    };
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
                steps: steps(position),
            })
            .collect(),
        error,
        coverage: [
            collector.measured(&sets, |position| position),
            again.measured(&sets, |nth| spoilt[nth]),
            of_sweeps,
        ]
        .concat(),
        kernel: collector.kernel,
        output: collector.output,
        duration_us: micros(started),
    }
}

/// Looks once more at what of the sweeps does not stand yet: first at what rules that remember have to do with,
/// in labs of their own, then at what is not as it should be, one by one. Says what of the rules that covered.
async fn sweep_again(
    scenario: &Scenario,
    options: &Options,
    prepared: &Loadable,
    cases: &[&Case],
    collector: &mut Collector<'_>,
    whose: &'static str,
    sets: &Sets,
) -> Result<Vec<Measured>, ScenarioError> {
    let mut covered = Vec::new();
    for confirm in [false, true] {
        let parts = if confirm {
            collector.unconfirmed()
        } else {
            collector.paced()
        };
        if parts.is_empty() {
            continue;
        }
        let mut planned = plan::parts(scenario, prepared, cases, &parts);
        planned.plan.blind = options.blind;
        if options.trace_sweeps {
            planned.trace_sweeps();
        }
        let candidates = vec![prepared];
        let mut again = Collector::new(scenario, cases, &planned, candidates, whose, false)
            .covering(options.coverage);
        if let Err(error) = drill(scenario, options, &planned, &mut again).await {
            collector.forget_sweeps();
            return Err(error);
        }
        covered.extend(again.measured(sets, |position| position));
        let found = again.into_sweeps();
        collector.absorb(found);
    }
    Ok(covered)
}

async fn drill(
    scenario: &Scenario,
    options: &Options,
    planned: &Planned,
    collector: &mut Collector<'_>,
) -> Result<(), ScenarioError> {
    let mut session = options
        .launchers
        .start(&scenario.sandbox, &planned.plan)
        .await?;
    collector.collect(&mut session).await
}

/// The elements of the candidate's named sets and maps as it brings them: from a listing before the first
/// packet, in a lab of its own. None if that cannot be told, which is no fault of the run.
async fn sets(scenario: &Scenario, prepared: &Loadable, options: &Options) -> Sets {
    let Some(case) = scenario.cases.iter().find_map(coverage::looking) else {
        return Sets::new();
    };
    let planned = plan::plan(scenario, prepared, &[], &[&case], true);
    let Ok(mut session) = options
        .launchers
        .start(&scenario.sandbox, &planned.plan)
        .await
    else {
        return Sets::new();
    };
    let mut sets = Sets::new();
    while let Ok(record) = session.next().await {
        match record {
            Record::Evidence(evidence) => {
                if let Some(listing) = &evidence.listing_before {
                    sets = coverage::sets(listing);
                }
            }
            Record::Lab { .. }
            | Record::Loaded(_)
            | Record::Ruleset(_)
            | Record::Swept(_)
            | Record::Sealed { .. }
            | Record::Reloaded(_) => {}
            Record::Done { .. }
            | Record::LoadFailed(_)
            | Record::Broken(_)
            | Record::Refused(_) => break,
        }
    }
    sets
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
