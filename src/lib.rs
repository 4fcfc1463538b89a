//! firedrill drills a firewall before it is deployed.
//!
//! The way of a run, which is also the order of the rooms; each uses only those before it:
//!
//! 1. [`ruleset`]: what the kernel holds after loading, as data.
//! 2. [`dialect`]: a candidate becomes files and commands; a listed rule finds its line.
//! 3. [`scenario`]: YAML becomes scenarios and cases.
//! 4. [`plan`]: a scenario becomes what the agent does. The agent is the harness, in the sandbox.
//! 5. [`trace`]: the kernel's trace becomes the way of a packet.
//! 6. [`judge`]: evidence becomes a verdict, and against the expectation an outcome. Pure.
//! 7. [`record`]: what is kept of a run.
//! 8. [`coverage`]: what of a ruleset the packets met.
//! 9. [`run`]: brings all of these together, and emits events.
//! 10. [`analysis`]: questions that are answered with runs.
//! 11. [`report`]: events and answers become text, JSON and the rest.
//! 12. [`cli`]: arguments in, exit code out.

pub mod analysis;
pub mod cli;
pub mod coverage;
pub mod dialect;
pub mod judge;
pub mod plan;
pub mod record;
pub mod report;
pub mod ruleset;
pub mod run;
pub mod scenario;
pub mod trace;

#[cfg(test)]
mod processor_time;

pub use cli::libtest::harness_main;
