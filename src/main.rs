//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: this program is also the agent inside the sandbox.
    firedrill_harness::agent::run_if_asked();
    firedrill::cli::main().into()
}
