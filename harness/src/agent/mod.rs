//! The agent: the program inside the sandbox. It reads a plan, builds the lab, loads the candidate,
//! sends the probes, and streams records back. It never knows what is expected, and never judges.
//!
//! It is this very program, started again with [`ARGUMENT`]: whoever embeds the harness calls
//! [`run_if_asked`] first thing in `main`. On the machine itself it serves one plan; in a container
//! (`container.rs`) one after the other.

pub(crate) mod container;
mod conversation;
mod drill;
mod records;
mod serve;
mod sweep;

use std::time::Instant;

pub use self::serve::CONTROL_FD;
use self::serve::serve_plan;
use crate::{kernel::sys, sandbox::home::Home};

/// The first argument that makes this program the agent.
pub const ARGUMENT: &str = "__firedrill-agent";

/// Becomes the agent and does not return if this process was started as one; returns at once
/// otherwise. To be called before anything else, while the process has a single thread.
pub fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|argument| argument != ARGUMENT) {
        return;
    }
    std::process::exit(match arguments.next() {
        None => main(),
        Some(role) if role == container::HOLD => container::hold(),
        Some(role) if role == container::SERVE => container::serve(),
        Some(_) => 2,
    });
}

fn main() -> i32 {
    let started = Instant::now();
    // Without the channel there is nobody to tell.
    let Ok(control) = sys::inherited(CONTROL_FD) else {
        return 2;
    };
    // Whoever started the launcher may have left descriptors open for it; they end here.
    if sys::close_from(CONTROL_FD + 1).is_err() {
        return 2;
    }
    let Ok(records) = control.try_clone() else {
        return 2;
    };
    serve_plan(&control, records, Home::Machine, started);
    0
}
