//! What crosses the border of the sandbox: a [`Plan`] goes in, [`Record`]s come out, one JSON line each.
//!
//! Everything here is plain data. The plan says what to build, load and send; it never says what is
//! expected. The records say what was observed; they never say what it means.

mod plan;
mod record;
mod trace;

use std::time::Instant;

pub use self::{
    plan::{
        Blind, CandidateSpec, Command, Connection, Conversation, InterfaceSpec, LabSpec, LayerSpec,
        NeighbourSpec, Origin, Plan, Probe, Reload, RouteSpec, StagedFile, Step, Sweep, Task,
        VlanSpec, Watch,
    },
    record::{
        Broken, CommandFailure, Control, Evidence, Fate, KernelAnswer, LegacyTable, Listing,
        Loaded, LoadedLayer, Logged, OUTPUT_LIMIT, Observed, Place, Record, Reloaded, RouteAnswer,
        SendError, Sent, Sighting, Swept, SweptRun, Unproven,
    },
    trace::{Trace, TraceEvent, TraceKind, TraceVerdict},
};
pub use crate::{
    bytes::{Bytes, hex},
    packet::Direction,
};

/// Version of this protocol; the agent refuses any other.
pub const VERSION: u32 = 4;

/// The time since an instant, as this protocol and the reports count it: in whole microseconds.
#[must_use]
pub fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
