//! The part of firedrill that touches the kernel: sandboxes, labs, probes and evidence.
//!
//! It knows packets, networks and commands, but no scenario, no expectation and no report. The
//! pipeline inside, in order:
//!
//! 1. a [`launcher`] starts the agent in a sandbox and hands it a [`protocol::Plan`];
//! 2. the agent builds the lab, loads the candidate, sends the probes;
//! 3. it streams back [`protocol::Record`]s: plain data, for somebody else to judge.

pub mod packet;
pub mod protocol;

pub mod agent;
mod bytes;
mod candidate;
mod command;
mod confine;
mod container;
mod conversation;
mod drill;
mod error;
mod ids;
mod ipset;
mod kernel;
mod lab;
pub mod launcher;
mod legacy;
mod mute;
mod netlink;
mod netlog;
mod netns;
mod nftnetlink;
mod prober;
mod root;
mod rtnetlink;
mod ruleset;
mod sandbox;
mod socket;
mod stencil;
mod sweep;
mod sys;
mod transaction;
mod users;
mod xtables;
pub use command::is_installed;
pub use ipset::ipset_messages;
pub use lab::interface_at;
pub use legacy::legacy_tables;
pub use nftnetlink::{STATE_CHAIN, TRACE_TABLE};
