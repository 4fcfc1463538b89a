//! `firedrill test`.

use std::{io, sync::Arc, thread::available_parallelism};

use super::{Color, TestArguments, complain, coverage, is_interactive, refused, runtime, say};
use crate::{
    analysis::suggest,
    coverage::Covering,
    record::{
        coverage::{Coverage, Measured},
        event::Event,
        exit::Exit,
        finding::Finding,
        shard::{Names, Part},
    },
    report::{Format, Progress, Reporter, Versions, Wanted},
    run::{
        self,
        filter::Filter,
        options::{Options, Walks},
        queue::Queued,
    },
    scenario::{self, Scenario},
};

pub(super) fn test(arguments: &TestArguments, color: bool, wanted_color: Color) -> Exit {
    let filter = arguments
        .filter
        .as_deref()
        .map_or_else(Filter::all, Filter::new);
    let mut queued: Vec<Queued> = Vec::new();
    let mut names = Names::default();
    let visit = |entry, scenario: Scenario| {
        let cases = filter.select(&scenario);
        if cases.is_empty() {
            return;
        }
        if arguments.shard.is_some() {
            let mine = cases.iter().map(|case| &scenario.cases[*case]);
            mine.for_each(|case| names.add(&case.name));
        }
        queued.push(Queued {
            entry,
            cases,
            position: queued.len(),
        });
    };
    if let Err(problems) = scenario::each(&arguments.paths.paths, &arguments.candidates, visit) {
        return refused(&problems, wanted_color);
    }
    if queued.is_empty() {
        let filter = arguments.filter.as_deref().unwrap_or_default();
        complain(&format!(
            "error: no case is selected: no name contains or matches `{filter}`\n\
             (`firedrill test --list` shows all names)"
        ));
        return Exit::BadInput;
    }
    let (queued, part) = match arguments.shard {
        Some(shard) => {
            let (mine, part) = run::queue::part_of(shard, queued, names);
            (mine, Some(part))
        }
        None => (queued, None),
    };
    if arguments.list {
        return list(&queued);
    }
    run(arguments, queued, part, color)
}

fn list(queued: &[Queued]) -> Exit {
    for queued in queued {
        match queued.select() {
            Ok(selected) => selected.cases().iter().for_each(|case| say(&case.name)),
            Err(why) => {
                complain(&format!("error: {why}"));
                return Exit::BadInput;
            }
        }
    }
    Exit::Success
}

fn run(arguments: &TestArguments, queued: Vec<Queued>, part: Option<Part>, color: bool) -> Exit {
    let versions = versions(&arguments.reports);
    let verbose = arguments.verbose;
    let mut reporters = match reporters(&arguments.reports, color, verbose, &versions) {
        Ok(reporters) => reporters,
        Err(exit) => return exit,
    };
    match coverage::reporters(arguments, color) {
        Ok(of_coverage) => reporters.extend(of_coverage),
        Err(exit) => return exit,
    }
    let mut coverage = coverage::is_requested(arguments).then(Coverage::default);
    let launchers = Arc::new(arguments.place.launchers());
    let options = Options {
        jobs: arguments.jobs.map_or_else(
            || available_parallelism().map_or(1, usize::from),
            usize::from,
        ),
        deny_skips: arguments.deny_skips,
        trace_sweeps: arguments.trace_sweeps,
        blind: arguments.blind,
        record: arguments.record.clone(),
        part,
        coverage: match coverage {
            Some(_) if arguments.coverage_suggest => Covering::WithSets,
            Some(_) => Covering::Totals,
            None => Covering::Off,
        },
        walks: Walks::Unpassed,
        launchers: Arc::clone(&launchers),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let mut progress = is_interactive().then(Progress::new);
    let mut unwritten = None;
    let summary = runtime.block_on(async {
        let sandboxes = queued.iter().map(|queued| &queued.entry.sandbox);
        launchers
            .prepare(sandboxes, &mut |line| complain(line))
            .await;
        let suggest = arguments
            .coverage_suggest
            .then(|| (queued.clone(), options.clone()));
        let summary = run::run(queued, options, |event| {
            let result = report(&mut reporters, progress.as_mut(), &event);
            unwritten = unwritten.take().or(result.err());
            if let (Some(coverage), Event::Finished(record)) = (&mut coverage, &event) {
                coverage.add_scenario(&record.scenario.id, &record.coverage, record.error.as_ref());
            }
        });
        let summary = summary.await;
        if let (Some(coverage), Some((queued, options))) = (&mut coverage, suggest) {
            suggest::search(coverage, &queued, &options).await;
        }
        launchers.close();
        summary
    });
    // Sandboxes end on their own; nobody has to wait for the kernel to take them down.
    runtime.shutdown_background();
    let totals = coverage.as_ref().map(Coverage::totals);
    let rulesets = coverage.iter().flat_map(|coverage| &coverage.rulesets);
    let findings: Vec<Finding> = rulesets.flat_map(Measured::findings).collect();
    let covered = coverage.map(|coverage| Event::Covered(Box::new(coverage)));
    let last = findings
        .into_iter()
        .map(Event::Found)
        .chain([Event::Ended(summary)])
        .chain(covered);
    for event in last {
        let result = report(&mut reporters, progress.as_mut(), &event);
        unwritten = unwritten.or(result.err());
    }
    let is_enough = totals.is_none_or(|totals| coverage::is_enough(totals, arguments));
    let passed = match summary.exit() {
        Exit::Success if !is_enough => Exit::Failed,
        exit => exit,
    };
    ended(passed, unwritten)
}

/// How a run ends that came to this exit code, and whose reports may not have been written.
pub(super) fn ended(passed: Exit, unwritten: Option<io::Error>) -> Exit {
    match unwritten {
        // Whoever reads has seen enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => passed,
        Some(error) => {
            complain(&format!("error: could not write the report: {error}"));
            Exit::BadInput
        }
        None => passed,
    }
}

/// What this machine has, if a report asks for it.
fn versions(wanted: &[Wanted]) -> Versions {
    if wanted.iter().any(|wanted| wanted.format == Format::Json) {
        Versions {
            nft: firedrill_harness::launcher::embedded::nft_version(),
        }
    } else {
        Versions::default()
    }
}

/// The reports that were asked for, or the terminal's.
pub(super) fn reporters(
    wanted: &[Wanted],
    color: bool,
    verbose: bool,
    versions: &Versions,
) -> Result<Vec<Box<dyn Reporter>>, Exit> {
    let terminal = [Wanted {
        format: Format::Terminal,
        file: None,
    }];
    let to_standard_output = wanted.iter().filter(|wanted| wanted.file.is_none()).count();
    if to_standard_output > 1 {
        complain("error: only one report can go to standard output; write `FORMAT=FILE`");
        return Err(Exit::BadInput);
    }
    // A report in a file leaves the terminal to the usual report.
    let usual = if to_standard_output == 0 {
        &terminal[..]
    } else {
        &[]
    };
    wanted
        .iter()
        .chain(usual)
        .map(|wanted| {
            wanted
                .open(Box::new(io::stdout()), color, verbose, versions)
                .map_err(|error| {
                    complain(&format!(
                        "error: could not open the report {wanted}: {error}"
                    ));
                    Exit::BadInput
                })
        })
        .collect()
}

pub(super) fn report(
    reporters: &mut [Box<dyn Reporter>],
    progress: Option<&mut Progress>,
    event: &Event,
) -> io::Result<()> {
    let mut all = || {
        reporters
            .iter_mut()
            .try_for_each(|reporter| reporter.event(event))
    };
    match progress {
        None => all(),
        Some(progress) => {
            let result = progress.suspend(all);
            progress.event(event)?;
            result
        }
    }
}
