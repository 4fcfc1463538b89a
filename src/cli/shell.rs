//! `firedrill shell`.

use std::path::Path;

use firedrill_harness::{
    launcher::embedded,
    protocol::{Command, Record},
};

use super::{Color, ShellArguments, complain, load, runtime};
use crate::{
    dialect, plan,
    record::{exit::Exit, failure::ScenarioError},
    scenario::{self, Sandbox, Scenario},
};

pub(super) fn shell(arguments: &ShellArguments, color: Color) -> Exit {
    let mut scenarios = match load(std::slice::from_ref(&arguments.scenario), color) {
        Ok(scenarios) => scenarios,
        Err(exit) => return exit,
    };
    let files = scenario::group(&scenarios).count();
    if files != 1 {
        complain(&format!(
            "error: {} has {files} scenarios; a shell needs one file",
            arguments.scenario.display(),
        ));
        return Exit::BadInput;
    }
    scenarios = match scenario::replace(scenarios, arguments.candidate.as_slice()) {
        Ok(scenarios) => scenarios,
        Err(why) => {
            complain(&format!("error: {why}"));
            return Exit::BadInput;
        }
    };
    if scenarios.len() > 1 {
        let names = scenarios.iter().filter_map(|one| one.against.as_deref());
        complain(&format!(
            "error: {} has several candidates, and a shell can have one\n\
             (choose it with `--candidate NAME`: {})",
            arguments.scenario.display(),
            names.collect::<Vec<_>>().join(", ")
        ));
        return Exit::BadInput;
    }
    let scenario = scenarios.remove(0);
    if scenario.sandbox != Sandbox::Machine {
        complain(
            "error: the scenario wants a container, and a shell can only be opened on this machine's programs\n\
             (copy the scenario without `sandbox:` to look at it here)",
        );
        return Exit::BadInput;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    match runtime.block_on(run(&scenario, command(&scenario, &arguments.command))) {
        Ok(()) => Exit::Success,
        Err(ScenarioError::Input(message)) => {
            complain(&format!("error: {message}"));
            Exit::BadInput
        }
        Err(ScenarioError::Lab(message) | ScenarioError::Skipped(message)) => {
            complain(&format!("error: {message}"));
            Exit::Inconclusive
        }
    }
}

/// What was asked for, or an interactive shell that says where it is.
fn command(scenario: &Scenario, asked: &[String]) -> Command {
    let shell = if Path::new("/bin/bash").exists() {
        vec!["/bin/bash".to_owned(), "--norc".to_owned()]
    } else {
        vec!["/bin/sh".to_owned()]
    };
    let terminal = std::env::var("TERM").map(|terminal| ("TERM".to_owned(), terminal));
    let prompt = ("PS1".to_owned(), format!("firedrill {} # ", scenario.id));
    Command {
        argv: if asked.is_empty() {
            shell
        } else {
            asked.to_vec()
        },
        cwd: "/".into(),
        env: terminal.into_iter().chain([prompt]).collect(),
    }
}

async fn run(scenario: &Scenario, command: Command) -> Result<(), ScenarioError> {
    let firewall = &scenario.firewall;
    let prepared = dialect::prepare(&firewall.candidate, &firewall.layers, &firewall.files)
        .map_err(|error| ScenarioError::Input(error.to_string()))?;
    let plan = plan::shell(scenario, &prepared, command);
    let lost =
        |error: firedrill_harness::launcher::LaunchError| crate::run::failure::lab_error(&error);
    let mut session = embedded::start_on_terminal(&plan).await.map_err(lost)?;
    loop {
        match session.next().await.map_err(lost)? {
            Record::Done { .. } => return Ok(()),
            Record::LoadFailed(failure) => {
                return Err(crate::run::failure::load_failed(
                    &failure,
                    &prepared,
                    "on this machine",
                ));
            }
            Record::Broken(broken) => return Err(crate::run::failure::lab_error(&broken)),
            Record::Refused(refused) => return Err(ScenarioError::Input(refused.to_string())),
            Record::Lab { .. }
            | Record::Loaded(_)
            | Record::Ruleset(_)
            | Record::Evidence(_)
            | Record::Swept(_)
            | Record::Sealed { .. }
            | Record::Reloaded(_) => {}
        }
    }
}
