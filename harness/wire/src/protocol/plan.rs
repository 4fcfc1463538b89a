//! What the agent is to do: the network, the configuration, and the probes.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    bytes::Bytes,
    packet::{Direction, Packet},
    ranges::Ranges,
    usual::is_usual,
};

/// Everything the agent needs for one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Must be [`VERSION`](super::VERSION).
    pub version: u32,
    /// The network to build.
    pub lab: LabSpec,
    /// The configuration to load into the firewall's namespace.
    pub candidate: CandidateSpec,
    /// Configurations that replace it later: [`Reload::candidate`] indexes this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reloads: Vec<CandidateSpec>,
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
    /// Hold these conversations, one after the other, and report what became of every probe. Those
    /// that need a lab of their own come last.
    Drill(Vec<Conversation>),
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
    /// What it is a VLAN of; a device of its own when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanSpec>,
}

/// An interface that is a VLAN of another (IEEE 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanSpec {
    /// The interface below; an earlier index into [`LabSpec::interfaces`].
    pub on: usize,
    /// VLAN identifier, 1 to 4094.
    pub id: u16,
    /// With service tags (IEEE 802.1ad) instead of customer tags.
    #[serde(default)]
    pub service: bool,
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

/// The configuration of the firewall, as files and the commands that load them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSpec {
    /// Loaded in order, each on top of those before; at least one.
    pub layers: Vec<LayerSpec>,
    /// Lists the loaded nftables ruleset with handles; its output becomes [`Listing::listing`](super::Listing::listing).
    pub list: Command,
    /// Lists it with its counters and the elements of its sets: [`Evidence::listing`](super::Evidence::listing).
    pub list_state: Command,
}

/// One configuration of possibly several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// Folders that hold nothing but what is staged, whatever the machine has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<PathBuf>,
    /// Files and folders of the machine that the commands may write to, in a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<PathBuf>,
    /// Whether its programs become other users: the sandbox must have several ids.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several_ids: bool,
    /// Written into the sandbox's private root before the commands run.
    pub files: Vec<StagedFile>,
    /// Run in order; the first that fails ends the run.
    pub load: Vec<Command>,
    /// Files that the commands leave behind, to be handed back: [`LoadedLayer::compiled`](super::LoadedLayer::compiled).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compiled: Vec<PathBuf>,
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

/// Steps that follow each other in one lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Whether it needs a lab of its own, with the candidate loaded anew: because it changes what the
    /// firewall remembers, or must not find what others left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// What is watched beside the packets.
    #[serde(default, skip_serializing_if = "Watch::is_nothing")]
    pub watch: Watch,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// What is watched beside the packets; anything but nothing needs a lab of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Whether the trace shall say which state connection tracking gives every packet. This switches
    /// connection tracking on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state: bool,
    /// Whether the ruleset is listed before the first and after every probe, with its counters and sets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listing: bool,
    /// Groups of the netfilter log whose records are kept (`log group N`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_groups: Vec<u16>,
}

impl Watch {
    /// Whether nothing is watched.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One step of a [`Conversation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Send a packet.
    Probe(Box<Probe>),
    /// Let this many microseconds pass.
    Wait(u64),
    /// Load another configuration over the present one.
    Reload(Reload),
    /// Send a packet to many ports.
    Sweep(Box<Sweep>),
}

/// The same packet to many ports, in batches: what came out and what came back is seen for every port, and a
/// sample of the ports is probed once more, one by one, with a full trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The packet, as it is for the first of the ports: TCP or UDP. Its number is that of the sweep.
    pub probe: Probe,
    /// The destination ports, without 0.
    pub ports: Ranges,
    /// Whether every port is probed one by one, and nothing in batches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub traced: bool,
}

/// One packet to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its number in the plan, from 0; evidence refers to it.
    pub id: u32,
    /// Where it starts, if nothing was translated before.
    pub from: Origin,
    /// The packet, as it is if nothing was translated before.
    pub packet: Packet,
    /// Where it belongs, if others of its connection come before or after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Not before this many microseconds after the conversation's probe before it was sent: the pace that
    /// the scenario asks for.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub pause_us: u64,
    /// The user whose socket sends it (a name of the sandbox's `/etc/passwd`, or a number); root when
    /// `None`. Only for probes of the firewall itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `SO_MARK` of the socket that sends it. Only for probes of the firewall itself.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub mark: u32,
}

/// The place of a packet in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Which connection of the conversation.
    pub number: u32,
    /// In which direction.
    pub direction: Direction,
}

/// A change of the configuration while conversations live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// Its number among the probes of the plan; [`Record::Reloaded`](super::Record::Reloaded) refers to it.
    pub id: u32,
    /// Index into [`Plan::reloads`].
    pub candidate: usize,
    /// Sent again and again while the commands run, each time as a packet of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<Box<Probe>>,
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

/// A sense or a means to take away. Used by the tests that must not pass, and by `firedrill doctor`.
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
    /// The sockets that see what arrives hold next to nothing.
    SmallBuffers,
    /// Connection tracking is never emptied, however full its table is.
    ConnectionsKept,
}

impl Blind {
    /// Every sense: without one of them nothing may pass.
    pub const SENSES: [Self; 6] = [
        Self::TraceDeaf,
        Self::TraceOverflow,
        Self::ProbesNeverEnter,
        Self::CandidateNotLoaded,
        Self::BarrierLost,
        Self::CaptureDeaf,
    ];
    /// Every means: without one of them less may pass, and all that does is right.
    pub const MEANS: [Self; 2] = [Self::SmallBuffers, Self::ConnectionsKept];

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
            Self::SmallBuffers => "small-buffers",
            Self::ConnectionsKept => "connections-kept",
        }
    }
}

impl std::str::FromStr for Blind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let all = [&Self::SENSES[..], &Self::MEANS[..]].concat();
        let known = all.iter().find(|blind| blind.word() == word);
        let words = || all.iter().map(|blind| blind.word()).collect::<Vec<_>>();
        known
            .copied()
            .ok_or_else(|| format!("it is one of {}", words().join(", ")))
    }
}
