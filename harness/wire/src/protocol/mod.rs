//! What crosses the border of the sandbox: a [`Plan`] goes in, [`Record`]s come out, one JSON line each.
//!
//! Everything here is plain data. The plan says what to build, load and send; it never says what is
//! expected. The records say what was observed; they never say what it means.

use std::{fmt, net::IpAddr, path::PathBuf, time::Instant};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use crate::bytes::{Bytes, hex};
use crate::packet::{Answer, Packet};

/// Version of this protocol; the agent refuses any other.
pub const VERSION: u32 = 4;

/// Everything the agent needs for one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Must be [`VERSION`].
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
    /// Lists the loaded nftables ruleset with handles; its output becomes [`Listing::listing`].
    pub list: Command,
    /// Lists it with its counters and the elements of its sets: [`Evidence::listing`].
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
    /// Files that the commands leave behind, to be handed back: [`LoadedLayer::compiled`].
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
    /// The destination ports: ranges with both their ends, ascending, none of them 0.
    pub ports: Vec<(u16, u16)>,
    /// Whether every port is probed one by one, and nothing in batches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub traced: bool,
}

impl Sweep {
    /// Every port, in order.
    pub fn each_port(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().flat_map(|(first, last)| *first..=*last)
    }
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
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pause_us: u64,
    /// The user whose socket sends it (a name of the sandbox's `/etc/passwd`, or a number); root when
    /// `None`. Only for probes of the firewall itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `SO_MARK` of the socket that sends it. Only for probes of the firewall itself.
    #[serde(default, skip_serializing_if = "is_zero")]
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

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// As its first packet.
    Original,
    /// From where the first packet arrived, as what it arrived as.
    Reply,
}

/// A change of the configuration while conversations live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// Its number among the probes of the plan; [`Record::Reloaded`] refers to it.
    pub id: u32,
    /// Index into [`Plan::reloads`].
    pub candidate: usize,
    /// Sent again and again while the commands run, each time as a packet of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<Box<Probe>>,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
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

/// What the agent reports, in this order: [`Record::Lab`]; then, for each time that a configuration was
/// loaded, [`Record::Loaded`], [`Record::Ruleset`], the evidence about it and [`Record::Sealed`]; then
/// [`Record::Done`]. [`Record::Broken`], [`Record::Refused`] and [`Record::LoadFailed`] end the stream
/// wherever they stand; a stream that ends without any of the four was cut off.
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
    /// The ruleset as listed after the last layer.
    Ruleset(Listing),
    /// What was observed of one probe. Of a port of a sweep it has the sweep's number, and
    /// [`Evidence::sent`].
    Evidence(Box<Evidence>),
    /// What the batches of a sweep showed; the evidence of its sample came before.
    Swept(Swept),
    /// The last look at the configuration that the evidence since [`Record::Loaded`] is about.
    Sealed {
        /// Generation of the nftables ruleset after the last probe.
        generation: u32,
        /// Whether the rules of legacy iptables are others than those in [`Record::Ruleset`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        legacy_changed: bool,
    },
    /// Another configuration was loaded; [`Record::Loaded`] of it follows.
    Reloaded(Reloaded),
    /// Everything was reported.
    Done {
        /// From the agent's start, in microseconds.
        elapsed_us: u64,
    },
    /// The kernel refuses what the scenario asks for: the scenario is bad, not the lab.
    Refused(Broken),
    /// The lab broke.
    Broken(Broken),
}

/// What the batches of a sweep showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The number of [`Sweep::probe`].
    pub sweep: u32,
    /// Ports that follow each other and fared alike, ascending; together all of [`Sweep::ports`], unless they
    /// were probed one by one.
    pub runs: Vec<SweptRun>,
    /// From the first packet to the last look, the sample included, in microseconds.
    pub duration_us: u64,
}

/// Ports of a sweep that follow each other and fared alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweptRun {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
    /// What became of each.
    pub fate: Fate,
}

/// What became of a port in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The packet came out.
    Arrived {
        /// Where.
        place: Place,
        /// Its source there.
        source: IpAddr,
        /// Its destination there.
        destination: IpAddr,
        /// Its destination port there, if it is another one.
        port: Option<u16>,
    },
    /// It did not come out, and this came back.
    Answered(Answer),
    /// Nothing came out and nothing came back, and nothing was lost on the way.
    Silent,
    /// Something may have been lost: the batch proves nothing.
    Unproven(Unproven),
}

/// Why a batch proves nothing for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unproven {
    /// The packet could not be sent.
    NotSent,
    /// The barrier behind the batch was lost.
    BarrierLost,
    /// Fewer frames came in at the firewall than were sent.
    NeverEntered,
    /// A socket of the prober overflowed.
    Overflow,
    /// Connection tracking had no room for the packet.
    TableFull,
}

/// What passed while another configuration was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// [`Reload::id`].
    pub id: u32,
    /// How many packets were sent while the commands ran.
    pub sent: u32,
    /// How many of them came out.
    pub passed: u32,
    /// Whether every barrier behind them came back.
    pub barrier: bool,
    /// The packet in the same lab without a candidate.
    pub control: Control,
    /// How long the commands took, in microseconds.
    pub duration_us: u64,
}

/// That and how the candidate was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// 0 for [`Plan::candidate`], from 1 for [`Plan::reloads`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub candidate: usize,
    /// What became of each layer, in order.
    pub layers: Vec<LoadedLayer>,
    /// Generation of the nftables ruleset (the kernel counts it up with every transaction) after the
    /// harness's own trace table joined the candidate: what the probes met.
    pub generation_probed: u32,
    /// What the commands printed on success (warnings).
    pub output: String,
    /// From the agent's start, in microseconds.
    pub elapsed_us: u64,
}

/// What became of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedLayer {
    /// Whether its commands changed any rules: the generation of the nftables ruleset, or the rules of
    /// legacy iptables, see [`Loaded::listed`]. A layer that was loaded has.
    pub changed: bool,
    /// The ruleset as listed then; in [`Record::Loaded`] not of the last layer, whose listing is
    /// [`Record::Ruleset`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
    /// The text of each of [`LayerSpec::compiled`]; empty where there is no such file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compiled: Vec<String>,
}

impl Loaded {
    /// Takes the listing that was made after the last of the layers so far: other rules of legacy
    /// iptables than before are a change too. A table that somebody has only looked at is there then, but it
    /// says nothing.
    pub fn listed(&mut self, listing: Listing) {
        let Some((last, before)) = self.layers.split_last_mut() else {
            return;
        };
        let before = before.last().and_then(|layer| layer.listing.as_ref());
        let nothing = Listing::default();
        last.changed |= !listing.says_the_same(before.unwrap_or(&nothing));
        last.listing = Some(listing);
    }
}

impl Listing {
    /// Whether the rules of legacy iptables are the same.
    fn says_the_same(&self, other: &Self) -> bool {
        fn said(listing: &str) -> impl Iterator<Item = &str> {
            let tables = listing.split_inclusive("COMMIT\n");
            tables.filter(|table| {
                let mut lines = table.lines();
                lines.any(|line| {
                    !line.starts_with('*') && !line.ends_with(" ACCEPT") && line != "COMMIT"
                })
            })
        }
        said(&self.iptables).eq(said(&other.iptables))
            && said(&self.ip6tables).eq(said(&other.ip6tables))
    }
}

/// The loaded rules, as the programs that know them print them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Standard output of [`CandidateSpec::list`].
    pub listing: String,
    /// The tables of legacy iptables as the kernel has them; `None` if they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_tables: Option<Vec<LegacyTable>>,
    /// The sets of ipset as the kernel lists them (`IPSET_CMD_LIST`), for each message its attributes; `None` if they
    /// could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipsets: Option<Vec<Bytes>>,
    /// Of `iptables-legacy-save`; empty where the kernel holds no such rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub iptables: String,
    /// Of `ip6tables-legacy-save`, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip6tables: String,
    /// The rules of nftables as the kernel dumps them: netlink messages (`NFT_MSG_NEWTABLE` and its like,
    /// linux/netfilter/nf_tables.h), without the harness's own tables; `None` if they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Bytes>,
}

/// A table of legacy iptables as the kernel hands it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyTable {
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// `struct ipt_getinfo`: its name, and where its hooks are.
    pub info: Bytes,
    /// Its entries, one behind the other.
    pub entries: Bytes,
}

/// A command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandFailure {
    /// As [`Loaded::candidate`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub candidate: usize,
    /// Index into [`CandidateSpec::layers`].
    #[serde(default)]
    pub layer: usize,
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
    /// What was sent, where the conversation made it differ from the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// When it was sent, in microseconds after the conversation's first probe.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_us: u64,
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
    /// The ruleset before the probe, if [`Watch::listing`] and nobody has looked since it was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_before: Option<String>,
    /// The ruleset after the probe, if [`Watch::listing`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// What the groups of [`Watch::log_groups`] were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logged: Vec<Logged>,
    /// From sending to the last look, in microseconds.
    pub duration_us: u64,
}

/// A packet as the conversation made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Where it started.
    pub from: Origin,
    /// The packet.
    pub packet: Packet,
}

/// A record of the netfilter log (linux/netfilter/nfnetlink_log.h).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The group it was sent to.
    pub group: u16,
    /// Its prefix.
    pub prefix: String,
    /// The packet's start, from its IP header on.
    pub packet: Bytes,
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
    /// Family of the table, as nft names it: `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`; for the
    /// tables of legacy iptables `legacy ip` and `legacy ip6`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's handle, if a rule is meant; in legacy iptables its number in the chain, from 1, which
    /// for the end of a chain is one more than it has rules.
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
    /// The packet's mark behind this event, if it is not zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark: u32,
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
    /// The trace does not say: what the rule's target does, or the chain's policy (legacy iptables).
    Untold,
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

impl Broken {
    /// An error that happened while doing something, as in "could not …".
    pub fn new(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            doing: doing.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, self.why)
    }
}

impl std::error::Error for Broken {}
