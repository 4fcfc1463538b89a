//! What crosses the border of the sandbox: a [`Plan`] goes in, [`Record`]s come out, one JSON line each.
//!
//! Everything here is plain data. The plan says what to build, load and send; it never says what is
//! expected. The records say what was observed; they never say what it means.

use std::{fmt, net::IpAddr, path::PathBuf, time::Instant};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use crate::bytes::{Bytes, hex};
use crate::packet::Packet;

/// Version of this protocol; the agent refuses any other.
pub const VERSION: u32 = 1;

/// Everything the agent needs for one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Must be [`VERSION`].
    pub version: u32,
    /// The network to build.
    pub lab: LabSpec,
    /// The configuration to load into the firewall's namespace.
    pub candidate: CandidateSpec,
    /// What to do once the candidate is loaded.
    pub task: Task,
    /// Takes one of the harness's senses away, to prove that no verdict survives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<Blind>,
}

/// What the agent does in the finished lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Send these probes, one at a time and in this order, and report what became of each.
    Probe(Vec<Probe>),
    /// Run this command in the firewall's namespace on the standard streams the agent inherited.
    Shell(Command),
}

/// The disposable network: the firewall's namespace, and one far end per interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// The firewall's interfaces; other parts of the plan and of the evidence index this.
    pub interfaces: Vec<InterfaceSpec>,
    /// Routes beyond the prefixes of the interfaces' own addresses.
    pub routes: Vec<RouteSpec>,
    /// Addresses that answer (are neighbours) on an interface's link.
    pub neighbours: Vec<NeighbourSpec>,
    /// Whether the kernel forwards between interfaces.
    pub forwarding: bool,
    /// Further `net.` sysctls, by dotted name, set last.
    pub sysctl: Vec<(String, String)>,
}

/// An interface of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSpec {
    /// Its name inside the firewall's namespace.
    pub name: String,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
}

/// A route of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// What is reached.
    pub destination: IpNet,
    /// The gateway; directly on the link when `None`.
    pub via: Option<IpAddr>,
    /// Index into [`LabSpec::interfaces`].
    pub interface: usize,
}

/// A neighbour of the firewall: an address that the far end of this interface answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourSpec {
    /// Index into [`LabSpec::interfaces`].
    pub interface: usize,
    /// The address.
    pub address: IpAddr,
}

/// The configuration under test, as files and the commands that load them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSpec {
    /// Folders that hold nothing but what is staged, whatever the machine has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<PathBuf>,
    /// Written into the sandbox's private root before the commands run.
    pub files: Vec<StagedFile>,
    /// Run in order; the first that fails ends the run.
    pub load: Vec<Command>,
    /// Lists the loaded ruleset with handles; its output becomes [`Record::Ruleset`].
    pub list: Command,
}

/// A file for the sandbox's private root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Absolute path inside the sandbox.
    pub path: PathBuf,
    /// Its bytes.
    pub content: Bytes,
    /// Permission bits, e.g. `0o644`.
    pub mode: u32,
}

/// A program to run inside the sandbox, in the firewall's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; the program is looked up in the sandbox's `PATH`.
    pub argv: Vec<String>,
    /// Working directory inside the sandbox.
    pub cwd: PathBuf,
    /// Environment variables beside the sandbox's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
}

/// One packet to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its number in the plan, from 0; evidence refers to it.
    pub id: u32,
    /// Where it starts.
    pub from: Origin,
    /// The packet.
    pub packet: Packet,
}

/// Where a probe starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// On the wire, at the far end of this interface (index into [`LabSpec::interfaces`]).
    Wire(usize),
    /// In the firewall itself: through its output hook.
    Firewall,
}

/// A sense to take away. Used by the tests that must not pass, and by `firedrill doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blind {
    /// The trace socket is open but hears nothing.
    TraceDeaf,
    /// The trace socket's buffer holds next to nothing, so that the kernel drops events.
    TraceOverflow,
    /// Probes are reported as sent but never reach the firewall.
    ProbesNeverEnter,
    /// The commands that load the candidate are reported as successful but not run.
    CandidateNotLoaded,
    /// Barrier frames are not sent.
    BarrierLost,
    /// Nothing that arrives is seen, neither on the wire nor behind the input hook.
    CaptureDeaf,
}

impl Blind {
    /// Every way to blind the harness.
    pub const ALL: [Self; 6] = [
        Self::TraceDeaf,
        Self::TraceOverflow,
        Self::ProbesNeverEnter,
        Self::CandidateNotLoaded,
        Self::BarrierLost,
        Self::CaptureDeaf,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TraceDeaf => "trace-deaf",
            Self::TraceOverflow => "trace-overflow",
            Self::ProbesNeverEnter => "probes-never-enter",
            Self::CandidateNotLoaded => "candidate-not-loaded",
            Self::BarrierLost => "barrier-lost",
            Self::CaptureDeaf => "capture-deaf",
        }
    }
}

impl std::str::FromStr for Blind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|blind| blind.word() == word);
        known.ok_or_else(|| format!("it is one of {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// What the agent reports, in this order: [`Record::Lab`], [`Record::Loaded`], then evidence and one
/// [`Record::Ruleset`], then [`Record::Done`]. [`Record::Broken`], [`Record::Refused`] and
/// [`Record::LoadFailed`] end the stream wherever they stand; a stream that ends without any of the four
/// was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The network stands.
    Lab {
        /// Kernel release, as `uname -r`.
        kernel: String,
        /// From the agent's start, in microseconds.
        elapsed_us: u64,
    },
    /// The candidate's commands all ended with status 0.
    Loaded(Loaded),
    /// A command of the candidate failed: the candidate is bad, not the lab.
    LoadFailed(CommandFailure),
    /// The ruleset as listed after loading.
    Ruleset {
        /// Standard output of [`CandidateSpec::list`].
        listing: String,
    },
    /// What was observed of one probe.
    Evidence(Evidence),
    /// Every probe was reported.
    Done {
        /// Generation of the nftables ruleset after the last probe.
        generation: u32,
        /// From the agent's start, in microseconds.
        elapsed_us: u64,
    },
    /// The kernel refuses what the scenario asks for: the scenario is bad, not the lab.
    Refused(Broken),
    /// The lab broke.
    Broken(Broken),
}

/// That and how the candidate was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Generation of the nftables ruleset before the first command. The kernel counts it up with
    /// every transaction, so a candidate that was loaded has changed it.
    pub generation_before: u32,
    /// Generation after the last command.
    pub generation_after: u32,
    /// Generation after the harness's own trace table joined the candidate: what the probes met.
    pub generation_probed: u32,
    /// What the commands printed on success (warnings).
    pub output: String,
    /// From the agent's start, in microseconds.
    pub elapsed_us: u64,
}

/// A command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandFailure {
    /// What was run.
    pub argv: Vec<String>,
    /// Why it did not end with status 0: `exit status 1`, `signal 9`, `not found`, …
    pub status: String,
    /// Whether the program does not exist in the sandbox.
    pub missing: bool,
    /// Its standard output and standard error, at most [`OUTPUT_LIMIT`] bytes each.
    pub stdout: String,
    /// See `stdout`.
    pub stderr: String,
}

/// The most that is kept of one output stream of a command, in bytes.
pub const OUTPUT_LIMIT: usize = 1 << 20;

/// Something of the lab did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What was being done, as in "could not …".
    pub doing: String,
    /// What the system said.
    pub why: String,
}

/// Everything observed of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`Probe::id`].
    pub probe: u32,
    /// The system's error if the probe could not be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_error: Option<SendError>,
    /// What went past the eyes of the lab after sending.
    pub observed: Observed,
    /// The kernel's trace of the ruleset.
    pub trace: Trace,
    /// What the kernel itself says; asked only when the probe vanished without a dropping rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelAnswer>,
    /// The same probe in the same lab without the candidate.
    pub control: Control,
    /// From sending to the last look, in microseconds.
    pub duration_us: u64,
}

/// Why a probe could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendError {
    /// `errno`.
    pub code: i32,
    /// Its text.
    pub text: String,
}

/// What went past the eyes of the lab between sending a probe and the barrier behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether the barrier came back: every packet sent before it was processed to its end.
    pub barrier: bool,
    /// All packets seen, in order per place; not only the probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
}

/// A packet seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Where.
    pub place: Place,
    /// From its IP header on.
    pub packet: Bytes,
}

/// Where a packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the wire, at the far end of this interface (index into [`LabSpec::interfaces`]).
    Wire(usize),
    /// In the firewall, behind its input hook.
    Input,
}

/// The control run of a probe: the same lab without the candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What was seen.
    pub observed: Observed,
    /// What the kernel says, when the probe did not come out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelAnswer>,
}

/// The nftables trace of one probe's window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Whether the kernel said that events were lost (`ENOBUFS`), or the socket failed.
    pub lost: bool,
    /// The events, in the kernel's order; also those of packets that the probe caused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<TraceEvent>,
}

/// One event of the nftables trace (`NFT_MSG_TRACE`, linux/netfilter/nf_tables.h).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// The kernel's number for the packet; reused when its memory is.
    pub id: u32,
    /// Family of the table, as nft names it: `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's handle, if a rule is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u64>,
    /// What happened.
    pub kind: TraceKind,
    /// With which verdict.
    pub verdict: TraceVerdict,
    /// Input interface index, if the hook has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iif: Option<u32>,
    /// Output interface index, if the hook has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oif: Option<u32>,
    /// The start of the packet, on the first event of each base chain it enters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<Bytes>,
}

/// The kind of a trace event (`enum nft_trace_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceKind {
    /// The end of a base chain: its policy.
    Policy,
    /// Return from a chain without a rule that said so.
    Return,
    /// A rule that matched.
    Rule,
    /// A kind this program does not know.
    Other,
}

/// The verdict of a trace event (linux/netfilter.h, linux/netfilter/nf_tables.h).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceVerdict {
    /// `NF_DROP`; also what a reject shows.
    Drop,
    /// `NF_ACCEPT`.
    Accept,
    /// `NF_STOLEN`: somebody else has the packet now (synproxy, flow offload, fwd).
    Stolen,
    /// `NF_QUEUE`: handed to a program.
    Queue,
    /// On to the next rule.
    Continue,
    /// Off this rule.
    Break,
    /// Into this chain, and back at its end.
    Jump(String),
    /// Into this chain for good.
    Goto(String),
    /// Back to the calling chain, or to the policy.
    Return,
    /// A verdict this program does not know.
    Other(i32),
}

/// What the kernel says of a packet that vanished.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelAnswer {
    /// The routing decision for the packet (`RTM_GETROUTE` with its addresses and interface).
    pub route: RouteAnswer,
    /// Counters of the firewall's namespace that moved since the last look, by their names in
    /// `/proc/net/snmp`, `/proc/net/netstat` and `/proc/net/snmp6`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<(String, u64)>,
}

/// A routing decision of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteAnswer {
    /// It was not asked.
    #[default]
    NotAsked,
    /// There is a route, of this type (`RTN_UNICAST` 1, `RTN_LOCAL` 2, …).
    Route {
        /// `rtm_type`.
        kind: u8,
        /// Output interface index.
        oif: Option<u32>,
    },
    /// The kernel refuses, with this `errno`.
    Refused {
        /// `errno`: `EXDEV` is the reverse-path filter, `EINVAL` a martian source,
        /// `ENETUNREACH` and `EHOSTUNREACH` the lack of a route (or of forwarding).
        code: i32,
    },
}

/// The time since an instant, as this protocol and the reports count it: in whole microseconds.
#[must_use]
pub fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.argv.join(" "), self.status)
    }
}
