//! The part of firedrill that touches the kernel: sandboxes, labs, probes and evidence.
//!
//! It knows packets, networks and commands, but no scenario, no expectation and no report. The
//! pipeline inside, in order:
//!
//! 1. a [`launcher`] starts the agent in a sandbox and hands it a [`protocol::Plan`];
//! 2. the agent builds the lab, loads the candidate, sends the probes;
//! 3. it streams back [`protocol::Record`]s: plain data, for somebody else to judge.
//!
//! The rooms inside use those further down only: launcher, agent, prober, candidate and lab,
//! sandbox, kernel.

pub use firedrill_wire::{packet, protocol};

pub mod launcher;

pub mod agent;

mod prober;

mod candidate;
mod lab;

mod sandbox;

mod error;
mod kernel;

pub use candidate::command::is_installed;
pub use kernel::dump::program_dump;
pub use kernel::ipset::ipset_messages;
pub use kernel::legacy::legacy_tables;
pub use kernel::nftables::{STATE_CHAIN, TRACE_TABLE};
pub use lab::interface_at;
