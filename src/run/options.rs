//! How a run is to be done.

use std::{path::PathBuf, sync::Arc};

use firedrill_harness::protocol::Blind;

use super::launch::Launchers;
use crate::{coverage::Covering, record::shard::Part};

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
    /// Find out which rules the packets meet: [`crate::record::ScenarioRecord::coverage`].
    pub coverage: Covering,
    /// Of which packets the ways are kept.
    pub walks: Walks,
    /// Where the labs stand.
    pub launchers: Arc<Launchers>,
}
