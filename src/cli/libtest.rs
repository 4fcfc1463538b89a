//! Scenarios as tests of `cargo test`, in this repository and in anybody's.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    record::{
        ScenarioRecord,
        event::{Event, Summary},
        exit::Exit,
    },
    report::{Reporter, Terminal},
    run::{options::Options, queue::Queued},
    scenario::{self, Entry},
};

/// The `main` of a test target that runs every scenario of a folder as a test. Works under `cargo
/// test` and cargo-nextest, with their usual arguments.
///
/// ```toml
/// [[test]]
/// name = "firewall"
/// harness = false
/// ```
///
/// ```no_run
/// // tests/firewall.rs
/// fn main() -> std::process::ExitCode {
///     firedrill::harness_main("scenarios")
/// }
/// ```
///
/// A test fails when an expectation fails, and also when the lab could not tell: nothing is skipped.
#[must_use]
pub fn harness_main(folder: impl Into<PathBuf>) -> ExitCode {
    // This very program is started again as the agent inside the sandbox.
    firedrill_harness::agent::run_if_asked();
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let visit = |entry: Entry, _| {
        trials.push(Trial::test(entry.id.clone(), move || drill(entry)));
    };
    if let Err(problems) = scenario::each(&[folder.into()], &[], visit) {
        let _ = writeln!(std::io::stderr(), "{}", problems.render(false));
        return Exit::BadInput.into();
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs one scenario; the report is the failure's message.
fn drill(entry: Entry) -> Result<(), Failed> {
    let queued = Queued {
        cases: (0..entry.cases).collect(),
        entry,
        position: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::from(format!("could not start: {error}")))?;
    let record = runtime.block_on(async {
        let options = Options::default();
        let record = crate::run::scenario::run_queued(&queued, &options).await;
        options.launchers.close();
        record
    });
    runtime.shutdown_background();
    let mut summary = Summary {
        deny_skips: true,
        ..Summary::default()
    };
    summary.add(&record);
    match summary.exit() {
        Exit::Success => Ok(()),
        Exit::Failed | Exit::BadInput | Exit::Inconclusive => Err(Failed::from(told(record))),
    }
}

fn told(record: ScenarioRecord) -> String {
    let mut terminal = Terminal::new(Vec::new(), false);
    // Writing to memory does not fail.
    let _ = terminal.event(&Event::Finished(Box::new(record)));
    String::from_utf8_lossy(&terminal.into_inner()).into_owned()
}
