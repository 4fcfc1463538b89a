//! Runs selected scenarios, each in a lab of its own, and emits events. It prints nothing and judges
//! nothing itself.

mod collector;
pub mod filter;
pub mod launch;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use firedrill_harness::protocol::{Blind, CommandFailure, Plan, Record, micros};
use tokio::task::JoinSet;

use self::{collector::Collector, launch::Launchers};
use crate::{
    coverage::{self, Covering, Measured, Sets},
    dialect::{self, Loadable, Refusal},
    judge::{
        self,
        verdict::{Inconclusive, Judgement, Outcome},
    },
    plan::{self, Planned},
    record::{
        CandidateRecord, CaseRecord, Event, ScenarioError, ScenarioRecord, Summary, compare,
        shard::Part,
    },
    scenario::{Action, Case, Entry, Scenario},
};

/// Some cases of a scenario that waits for its turn.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The scenario.
    pub entry: Entry,
    /// Indices into [`Scenario::cases`], ascending, at least one.
    pub cases: Vec<usize>,
    /// Its place in the run, from 0; with shards, in the whole run.
    pub position: usize,
}

impl Queued {
    /// The same, with the scenario.
    ///
    /// # Errors
    ///
    /// In words, if it can no longer be read as it was.
    pub fn select(&self) -> Result<Selected, String> {
        Ok(Selected {
            scenario: self.entry.read()?,
            cases: self.cases.clone(),
            position: self.position,
        })
    }
}

/// Some cases of a scenario, to be run.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub scenario: Scenario,
    /// Indices into [`Scenario::cases`], ascending, at least one.
    pub cases: Vec<usize>,
    /// Its place in the run, from 0; with shards, in the whole run.
    pub position: usize,
}

impl Selected {
    /// All cases of a scenario.
    #[must_use]
    pub fn all(scenario: Scenario) -> Self {
        Self {
            cases: (0..scenario.cases.len()).collect(),
            scenario,
            position: 0,
        }
    }

    /// The cases that are to be run.
    #[must_use]
    pub fn cases(&self) -> Vec<&Case> {
        self.cases
            .iter()
            .map(|index| &self.scenario.cases[*index])
            .collect()
    }
}

/// Of which packets the ways are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Walks {
    /// Of those that did not pass.
    #[default]
    Unpassed,
    /// Of those of this many cases at the start, and of no others.
    First(usize),
}

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many labs stand at the same time, at least one.
    pub jobs: usize,
    /// Whether a scenario that is skipped, for want of a program, is a failure of the lab.
    pub deny_skips: bool,
    /// Probe every port of a sweep one by one, with a full trace.
    pub trace_sweeps: bool,
    /// Take one of the harness's senses away.
    pub blind: Option<Blind>,
    /// Keep what the agent was told and what it reported in this folder, a file per scenario: the plan
    /// and then the records, one JSON line each.
    pub record: Option<PathBuf>,
    /// Of which run this is a shard, if it is.
    pub part: Option<Part>,
    /// Find out which rules the packets meet: [`ScenarioRecord::coverage`].
    pub coverage: Covering,
    /// Of which packets the ways are kept.
    pub walks: Walks,
    /// Where the labs stand.
    pub launchers: Arc<Launchers>,
}

/// The most cases that wait, run, for a scenario before theirs to be told of.
const MOST_WAITING: usize = 20_000;

/// Runs everything that waits; events come in the order of `queued`.
///
/// Must be called inside a tokio runtime with I/O enabled.
pub async fn run(queued: Vec<Queued>, options: Options, mut emit: impl FnMut(Event)) -> Summary {
    let started = Instant::now();
    emit(Event::Started {
        scenarios: queued.len(),
        cases: queued.iter().map(|queued| queued.cases.len()).sum(),
        part: options.part.clone(),
    });
    let jobs = options.jobs.max(1);
    let mut summary = Summary {
        deny_skips: options.deny_skips,
        shard: options.part.is_some(),
        ..Summary::default()
    };
    let options = Arc::new(options);
    // Whether the next is of another file, so that all candidates of this one are through.
    let last: Vec<bool> = (1..=queued.len())
        .map(|next| {
            let this = &queued[next - 1].entry;
            let other = |next: &Queued| next.entry.stem != this.stem;
            queued.get(next).is_none_or(other)
        })
        .collect();
    let mut of_file = Vec::new();
    // Nothing is set aside for a scenario before its turn.
    let mut rest = queued.into_iter().enumerate();
    let mut tasks = JoinSet::new();
    let begin = |tasks: &mut JoinSet<_>, (number, queued): (usize, Queued)| {
        let options = Arc::clone(&options);
        tasks.spawn(async move { (number, run_queued(&queued, &options).await) });
    };
    rest.by_ref()
        .take(jobs)
        .for_each(|one| begin(&mut tasks, one));
    let mut waiting: BTreeMap<usize, ScenarioRecord> = BTreeMap::new();
    let mut next = 0;
    while let Some(finished) = tasks.join_next().await {
        let cases: usize = waiting.values().map(|record| record.cases.len()).sum();
        // The one that they wait for is under way.
        if cases < MOST_WAITING {
            rest.by_ref()
                .take(jobs - tasks.len())
                .for_each(|one| begin(&mut tasks, one));
        }
        match finished {
            Ok((number, record)) => {
                waiting.insert(number, record);
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        while let Some(record) = waiting.remove(&next) {
            summary.add(&record);
            of_file.push(record);
            if last[next] {
                let comparison = compare::between(&of_file);
                let finished = of_file.drain(..).map(Box::new).map(Event::Finished);
                finished.for_each(&mut emit);
                comparison.map(Event::Compared).map(&mut emit);
            }
            next += 1;
        }
    }
    summary.duration_us = micros(started);
    emit(Event::Ended(summary));
    summary
}

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
    let mut judgement = judge::inconclusive(Inconclusive::Cut(line));
    if let Some(ScenarioError::Skipped(_)) = error {
        judgement.outcome = Outcome::Skipped;
    }
    judgement
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

/// What to tell of a candidate that did not load; `whose` says where its program was looked for.
#[must_use]
pub fn load_failed(failure: &CommandFailure, prepared: &Loadable, whose: &str) -> ScenarioError {
    let program = match failure.argv.as_slice() {
        // What a shell's script is called (sh(1), `-c`).
        [shell, option, _, name, ..] if shell == "sh" && option == "-c" => name,
        argv => argv.first().map_or("", String::as_str),
    };
    let refusal = prepared.refusal(failure);
    let program = match &refusal {
        Some((_, Refusal::Missing(program))) => program,
        _ => program,
    };
    let missing = failure.missing || matches!(refusal, Some((_, Refusal::Missing(_))));
    if let Some(package) = dialect::package_of(program).filter(|_| missing) {
        return ScenarioError::Skipped(format!(
            "there is no program `{program}` {whose} to load the candidate with\n\
             (on Debian and Ubuntu: apt-get install {package})"
        ));
    }
    match refusal {
        Some((_, Refusal::Lab(why))) => ScenarioError::Lab(why),
        Some((layer, Refusal::Input(said))) => ScenarioError::Input(format!(
            "{program} refuses {} ({})\n{}",
            layer.title(),
            failure.status,
            said.trim_end()
        )),
        Some((_, Refusal::Missing(_))) | None => collector::out_of_order(),
    }
}

/// What to tell of a lab that could not be used.
#[must_use]
pub fn lab_error(error: &dyn std::error::Error) -> ScenarioError {
    ScenarioError::Lab(format!(
        "{error}\n(`firedrill doctor` says what is missing on this machine)"
    ))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io, rc::Rc};

    use super::*;
    use crate::{
        record::exit::Exit,
        report::{JUnit, Json, Reporter, Terminal, Versions},
        scenario,
    };

    /// What is written, for those who look later.
    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_scenario_that_changed_before_its_turn_is_bad_input_in_every_report() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let text = |verdict: &str| {
            format!(
                "firewall: {{ nftables: a.nft, interfaces: {{ eth0: 192.0.2.1/24 }} }}\n\
                 hosts: {{ a: {{ behind: eth0, address: 192.0.2.2 }} }}\n\
                 tests: [a -> firewall tcp/22: {verdict}]\n"
            )
        };
        fs::write(folder.path().join("a.nft"), "").unwrap();
        fs::write(&file, text("drop")).unwrap();
        let mut queued = Vec::new();
        scenario::each(std::slice::from_ref(&file), &[], |entry, _| {
            queued.push(Queued {
                entry,
                cases: vec![0],
                position: 0,
            });
        })
        .unwrap();
        fs::write(&file, text("accept")).unwrap();
        let written: [Written; 3] = Default::default();
        let out = |index: usize| Box::new(written[index].clone());
        let mut reporters: [Box<dyn Reporter>; 3] = [
            Box::new(Terminal::new(out(0), false)),
            Box::new(Json::new(out(1), Versions::default())),
            Box::new(JUnit::new(out(2))),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let summary = runtime.block_on(run(queued, Options::default(), |event| {
            for reporter in &mut reporters {
                reporter.event(&event).unwrap();
            }
        }));
        assert_eq!(summary.exit(), Exit::BadInput);
        for written in written {
            let text = String::from_utf8(written.0.take()).unwrap();
            assert!(
                text.contains("a.yaml` was changed while the run was under way"),
                "{text}"
            );
        }
    }
}
