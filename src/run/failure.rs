//! What to tell of a candidate that did not load, and of a lab that could not be used.

use firedrill_harness::protocol::CommandFailure;

use crate::{
    dialect::{self, Loadable, Refusal},
    record::failure::ScenarioError,
};

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
        Some((_, Refusal::Missing(_))) | None => out_of_order(),
    }
}

/// What to tell of a lab that could not be used.
#[must_use]
pub fn lab_error(error: &dyn std::error::Error) -> ScenarioError {
    ScenarioError::Lab(format!(
        "{error}\n(`firedrill doctor` says what is missing on this machine)"
    ))
}

/// What to tell of records that no agent sends.
pub(crate) fn out_of_order() -> ScenarioError {
    ScenarioError::Lab("the sandbox sent its records in an impossible order".to_owned())
}
