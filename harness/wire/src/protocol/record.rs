//! What the agent reports: the loading of the configuration, and the evidence of every probe.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{plan::Origin, trace::Trace};
use crate::{
    bytes::Bytes,
    packet::{Answer, Packet},
    usual::is_usual,
};

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
    /// The number of [`Sweep::probe`](super::Sweep::probe).
    pub sweep: u32,
    /// Ports that follow each other and fared alike, ascending; together all of [`Sweep::ports`](super::Sweep::ports), unless they
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
    /// [`Reload::id`](super::Reload::id).
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
    /// 0 for [`Plan::candidate`](super::Plan::candidate), from 1 for [`Plan::reloads`](super::Plan::reloads).
    #[serde(default, skip_serializing_if = "is_usual")]
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
    /// The text of each of [`LayerSpec::compiled`](super::LayerSpec::compiled); empty where there is no such file.
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
    /// Standard output of [`CandidateSpec::list`](super::CandidateSpec::list).
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
    #[serde(default, skip_serializing_if = "is_usual")]
    pub candidate: usize,
    /// Index into [`CandidateSpec::layers`](super::CandidateSpec::layers).
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
    /// [`Probe::id`](super::Probe::id).
    pub probe: u32,
    /// What was sent, where the conversation made it differ from the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// When it was sent, in microseconds after the conversation's first probe.
    #[serde(default, skip_serializing_if = "is_usual")]
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
    /// The ruleset before the probe, if [`Watch::listing`](super::Watch::listing) and nobody has looked since it was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_before: Option<String>,
    /// The ruleset after the probe, if [`Watch::listing`](super::Watch::listing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// What the groups of [`Watch::log_groups`](super::Watch::log_groups) were told.
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
    /// On the wire, at the far end of this interface (index into [`LabSpec::interfaces`](super::LabSpec::interfaces)).
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
