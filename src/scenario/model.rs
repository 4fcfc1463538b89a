//! The validated scenario: names are resolved to indices, tests are expanded to one [`Case`] per
//! expectation and address family.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use firedrill_harness::packet;
use ipnet::IpNet;

use super::Sweep;
use crate::dialect::{Config, layers};

/// One YAML file, against one of its candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Identity: the path below the folder it was found in, without extension, parts joined by `/`
    /// (`outage/app-server`); with the candidate behind it, where the file has several
    /// (`migration@new`).
    pub id: String,
    /// Which of the candidates of its file it is about, if they have names.
    pub against: Option<String>,
    /// The file as the user named it.
    pub file: PathBuf,
    /// `name:`, for people; the identity when the file gives none.
    pub name: String,
    /// `purpose:`, free text.
    pub purpose: Option<String>,
    /// `tags:`, in the order written.
    pub tags: Vec<String>,
    /// `sandbox:`, where the firewall stands.
    pub sandbox: Sandbox,
    /// The machine under test.
    pub firewall: Firewall,
    /// Who sends and receives; [`Party::Host`] indexes this.
    pub hosts: Vec<Host>,
    /// Every expectation, once per address family, in the order written. Never empty.
    pub cases: Vec<Case>,
}

/// Where the lab is built: whose programs load the candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// In a sandbox on this machine, with its programs.
    #[default]
    Machine,
    /// In a disposable container, with the programs of an image.
    Container(ContainerImage),
}

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerImage {
    /// `image:`, as the container engine knows it: `debian:12`.
    Named(String),
    /// `dockerfile:`, to be built.
    Dockerfile {
        /// A folder with a `Dockerfile`, or a file like one.
        path: PathBuf,
        /// `base:`, the build argument `BASE`.
        base: Option<String>,
    },
}

/// The machine that runs the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// The configuration under test.
    pub candidate: Config,
    /// `candidates:`, all that the same tests are made against, in the order written, if they have names;
    /// `candidate` is one of them.
    pub candidates: Vec<Candidate>,
    /// `layers:`, in the order of loading; the candidate exactly once among them.
    pub layers: Vec<Layer>,
    /// `files:`, further files the candidate needs: absolute path inside the sandbox → file or folder
    /// on disk.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The interfaces as the candidate knows them; [`Host::behind`] and others index this.
    pub interfaces: Vec<Interface>,
    /// Whether the kernel forwards between interfaces (`forwarding:`, true when not given: the
    /// firewall is under test, not the sysctl).
    pub forwarding: bool,
    /// `routes:` beyond the interfaces' own prefixes.
    pub routes: Vec<Route>,
    /// `sysctl:`, names with dots, below `net.`.
    pub sysctl: Vec<(String, String)>,
}

/// One of the configurations that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What reports call it.
    pub name: String,
    /// What it is.
    pub config: Config,
}

/// One of the configurations that the firewall is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// [`Firewall::candidate`].
    Candidate,
    /// One that comes with firedrill.
    Shipped(&'static layers::Shipped),
    /// Another one of the user's.
    Other {
        /// What it is called.
        name: String,
        /// What it is.
        config: Config,
    },
}

/// An interface of the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name (1 to 15 bytes, Linux `IFNAMSIZ`).
    pub name: String,
    /// Its own addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// What it is a VLAN of.
    pub vlan: Option<Vlan>,
}

/// An interface that is a VLAN of another (IEEE 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// Index into [`Firewall::interfaces`], before its own.
    pub on: usize,
    /// VLAN identifier, 1 to 4094.
    pub id: u16,
    /// With service tags (IEEE 802.1ad).
    pub service: bool,
}

/// A route of the firewall through a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is reached.
    pub destination: IpNet,
    /// The gateway, on the link of `interface`.
    pub via: IpAddr,
    /// Index into [`Firewall::interfaces`].
    pub interface: usize,
}

/// A host of the world around the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the scenario.
    pub name: String,
    /// Index into [`Firewall::interfaces`]: the side of the firewall it is on.
    pub behind: usize,
    /// At least one of `ipv4` and `ipv6` is given.
    pub ipv4: Option<Ipv4Addr>,
    /// See `ipv4`.
    pub ipv6: Option<Ipv6Addr>,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// One end of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The firewall itself, by its address on this interface (index into [`Firewall::interfaces`]).
    Firewall(usize),
    /// The firewall itself, by its loopback address.
    Loopback,
    /// Index into [`Scenario::hosts`].
    Host(usize),
}

/// What is told pass or fail: one expectation, or a conversation of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The identity everywhere: `outage/app-server :: internet -> firewall tcp/443 [ipv4]`. Unique
    /// in a run.
    pub name: String,
    /// Where the test stands.
    pub at: Location,
    /// The family of this case.
    pub family: Family,
    /// Its place in a matrix, if it is of one.
    pub cell: Option<Cell>,
    /// What happens, in this order; one step unless it is a conversation. Never empty.
    pub steps: Vec<Step>,
}

/// Every sender to every receiver with every service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// `name:`.
    pub name: Option<String>,
    /// Where it stands.
    pub at: Location,
    /// The senders, as written.
    pub from: Vec<String>,
    /// The receivers, as written.
    pub to: Vec<String>,
    /// The services, as in the names of cases.
    pub services: Vec<String>,
}

/// A place in a matrix: indices into its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The matrix.
    pub matrix: Arc<Matrix>,
    /// The sender.
    pub from: usize,
    /// The receiver.
    pub to: usize,
    /// The service.
    pub service: usize,
}

/// One thing that happens in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In the scenario's words: `internet -> firewall tcp/443`, `reply syn-ack`.
    pub text: String,
    /// Where it stands.
    pub at: Location,
    /// What happens.
    pub action: Action,
}

/// What happens in a [`Step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A packet is sent.
    Send(Box<Send>),
    /// Time passes.
    Wait(Duration),
    /// Another configuration is loaded over the present one.
    Reload(Box<Reload>),
    /// A packet is sent to every port.
    Sweep(Box<Sweep>),
}

/// A packet, and what should become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Who sends. Never the same party as `to`.
    pub from: Party,
    /// Who should receive.
    pub to: Party,
    /// The packet's source: the sender's address (of the case's family), unless the packet says another.
    pub source: IpAddr,
    /// The packet's destination: the receiver's address (of the case's family), unless the packet says
    /// another.
    pub destination: IpAddr,
    /// What is sent; as the packet that opened its connection would be, also in replies.
    pub packet: PacketSpec,
    /// The connection that it belongs to, if others of it come before or after.
    pub connection: Option<Connection>,
    /// It is sent more than once.
    pub repeat: Option<Repeat>,
    /// `as:`, the user whose socket sends it; only from the firewall itself.
    pub user: Option<String>,
    /// `mark:`, `SO_MARK` of the socket that sends it; only from the firewall itself.
    pub mark: Option<u32>,
    /// What the firewall should do.
    pub expect: Expectation,
}

/// The place of a packet in a connection of its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Which connection of the case, from 0.
    pub number: usize,
    /// Against the direction of its first packet.
    pub reply: bool,
}

/// `repeat:`, a packet that is sent several times, each time as one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How often, at least twice.
    pub count: u32,
    /// Evenly spread over this time; one after the other without a pause when not given.
    pub within: Option<Duration>,
}

/// `reload:`, a change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The main file of the configuration that is loaded, in the candidate's dialect.
    pub candidate: PathBuf,
    /// The file for each of [`Firewall::candidates`] by name, if it is not the same for all.
    pub of_each: Vec<(String, PathBuf)>,
    /// Sent again and again while it is loaded, and what should become of each.
    pub meanwhile: Option<Send>,
}

impl Case {
    /// What is sent, in order.
    pub fn sends(&self) -> impl Iterator<Item = &Send> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Send(send) => Some(&**send),
            Action::Reload(reload) => reload.meanwhile.as_ref(),
            Action::Wait(_) | Action::Sweep(_) => None,
        })
    }
}

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as the user named it (of the include, where the test came from one).
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// The packet of a step, between its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSpec {
    /// The source address, if it is not the sender's.
    pub source: Option<IpAddr>,
    /// The destination address, if it is not the receiver's.
    pub destination: Option<IpAddr>,
    /// IPv4 TTL or IPv6 hop limit; the usual value of the packet when not given.
    pub ttl: Option<u8>,
    /// The source port is one of our own, unique to the probe; the one in `transport` means nothing.
    pub free_port: bool,
    /// The frame around it.
    pub ether: packet::Ether,
    /// The rest of the IP header.
    pub ip: packet::Ip,
    /// Whether all of it is sent, and in one piece.
    pub cut: packet::Cut,
    /// What it carries.
    pub transport: packet::Transport,
    /// Of an ICMP message: how many bytes follow its first eight.
    pub icmp_size: Option<u16>,
    /// The packet that an ICMP error quotes: from the error's receiver to its sender.
    pub quote: Option<Box<PacketSpec>>,
}

/// The control bits of a TCP header (RFC 9293 section 3.1, RFC 3168 for ECE and CWR), as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

/// What the firewall should do with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The verdict.
    pub verdict: ExpectedVerdict,
    /// `by:`, the rule that should decide: its comment or part of its text, or `policy`.
    pub by: Option<String>,
    /// What else should be seen.
    pub also: Also,
    /// How many of a repeated packet should meet this, and what should become of the others.
    pub share: Option<Share>,
}

/// The verdict part of an [`Expectation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedVerdict {
    /// The packet comes out on the other side, looking like this.
    Accept(Looks),
    /// Nothing comes out and nothing comes back.
    Drop,
    /// A rule answers with an error; any kind when `None`.
    Reject(Option<RejectKind>),
}

/// How a packet should look when it arrives; what is not given may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    /// Its source address is in this prefix (SNAT, masquerade).
    pub source: Option<IpNet>,
    /// Its destination address is in this prefix (DNAT).
    pub destination: Option<IpNet>,
    /// Its source port is in this range.
    pub sport: Option<PortRange>,
    /// Its destination port is in this range.
    pub dport: Option<PortRange>,
    /// Time to live or hop limit.
    pub ttl: Option<u8>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: Option<u8>,
    /// The maximum segment size option of a TCP segment.
    pub mss: Option<u16>,
    /// The packet mark when it left the ruleset.
    pub mark: Option<u32>,
}

/// First and last port of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange(pub u16, pub u16);

/// What should be seen beside the verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Also {
    /// `state:`, what connection tracking makes of the packet.
    pub state: Option<CtState>,
    /// `log:`, a rule on its way logs it.
    pub log: Option<Log>,
    /// `counter:`, by how many packets these named counters grow.
    pub counters: Vec<(String, u64)>,
    /// `in-set:`, elements that these sets have afterwards.
    pub in_set: Vec<(String, String)>,
    /// `not-in-set:`, elements that these sets do not have afterwards.
    pub not_in_set: Vec<(String, String)>,
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// What it begins with.
    pub prefix: String,
    /// The group that must be told; when not given, the trace of a logging rule is enough.
    pub group: Option<u16>,
}

/// How many of a repeated packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// At least.
    pub least: u32,
    /// At most.
    pub most: u32,
    /// What should become of the others; anything when not given.
    pub otherwise: Option<Box<Expectation>>,
}

/// A state of connection tracking, as nft(8) names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CtState {
    /// The first packet of a connection.
    New,
    /// Of a connection that has seen both directions.
    Established,
    /// Of a connection that another one asked for, or an error about one.
    Related,
    /// Belongs to nothing.
    Invalid,
    /// Not looked at.
    Untracked,
}

/// How a rule refuses a packet. ICMP kinds mean ICMPv6 for IPv6, as nft's `icmpx` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectKind {
    /// A TCP segment with RST (RFC 9293 section 3.5.2).
    TcpReset,
    /// ICMP type 3 code 0; ICMPv6 type 1 code 0 (no route).
    NetUnreachable,
    /// ICMP type 3 code 1; ICMPv6 type 1 code 3 (address unreachable).
    HostUnreachable,
    /// ICMP type 3 code 2; IPv4 only.
    ProtUnreachable,
    /// ICMP type 3 code 3; ICMPv6 type 1 code 4.
    PortUnreachable,
    /// ICMP type 3 code 9; IPv4 only.
    NetProhibited,
    /// ICMP type 3 code 10; IPv4 only.
    HostProhibited,
    /// ICMP type 3 code 13; ICMPv6 type 1 code 1.
    AdminProhibited,
    /// ICMPv6 type 1 code 5 (ingress/egress policy); IPv6 only.
    PolicyFail,
    /// ICMPv6 type 1 code 6 (reject route); IPv6 only.
    RejectRoute,
}

impl PacketSpec {
    /// A packet of which only this is said.
    #[must_use]
    pub fn new(transport: packet::Transport) -> Self {
        Self {
            source: None,
            destination: None,
            ttl: None,
            free_port: false,
            ether: packet::Ether::default(),
            ip: packet::Ip::default(),
            cut: packet::Cut::default(),
            transport,
            icmp_size: None,
            quote: None,
        }
    }

    /// A segment to this port from one of our own.
    #[must_use]
    pub fn tcp(dport: u16, flags: TcpFlags) -> Self {
        let header = packet::Tcp {
            dport,
            flags: flags.0,
            ..packet::Tcp::default()
        };
        Self {
            free_port: true,
            ..Self::new(packet::Transport::Tcp(header))
        }
    }

    /// A datagram to this port from one of our own.
    #[must_use]
    pub fn udp(dport: u16) -> Self {
        let header = packet::Udp {
            dport,
            ..packet::Udp::default()
        };
        Self {
            free_port: true,
            ..Self::new(packet::Transport::Udp(header))
        }
    }

    /// An ICMP or ICMPv6 message with what its type asks for.
    #[must_use]
    pub fn icmp(kind: u8, code: u8) -> Self {
        Self::new(packet::Transport::Icmp(packet::Icmp {
            kind,
            code,
            ..packet::Icmp::default()
        }))
    }
}

impl RejectKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::TcpReset,
        Self::NetUnreachable,
        Self::HostUnreachable,
        Self::ProtUnreachable,
        Self::PortUnreachable,
        Self::NetProhibited,
        Self::HostProhibited,
        Self::AdminProhibited,
        Self::PolicyFail,
        Self::RejectRoute,
    ];

    /// The word of the scenario format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TcpReset => "tcp-reset",
            Self::NetUnreachable => "icmp-net-unreachable",
            Self::HostUnreachable => "icmp-host-unreachable",
            Self::ProtUnreachable => "icmp-prot-unreachable",
            Self::PortUnreachable => "icmp-port-unreachable",
            Self::NetProhibited => "icmp-net-prohibited",
            Self::HostProhibited => "icmp-host-prohibited",
            Self::AdminProhibited => "icmp-admin-prohibited",
            Self::PolicyFail => "icmp-policy-fail",
            Self::RejectRoute => "icmp-reject-route",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

impl fmt::Display for RejectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Expectation {
    /// A verdict, and nothing more.
    #[must_use]
    pub fn of(verdict: ExpectedVerdict) -> Self {
        Self {
            verdict,
            by: None,
            also: Also::default(),
            share: None,
        }
    }
}

impl CtState {
    /// Every state, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Established,
        Self::Related,
        Self::Invalid,
        Self::Untracked,
    ];

    /// The word of the scenario format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        }
    }
}

impl PortRange {
    /// Whether this port is in it.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.0..=self.1).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == self.1 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{}-{}", self.0, self.1)
        }
    }
}

/// An address, or a prefix if it is of more than one.
pub(crate) fn net_text(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

impl fmt::Display for Looks {
    /// ` with source 192.0.2.10`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = [
            ("source", self.source.as_ref().map(net_text)),
            ("destination", self.destination.as_ref().map(net_text)),
            ("sport", self.sport.map(|ports| ports.to_string())),
            ("dport", self.dport.map(|ports| ports.to_string())),
            ("ttl", self.ttl.map(|ttl| ttl.to_string())),
            ("dscp", self.dscp.map(|dscp| dscp.to_string())),
            ("mss", self.mss.map(|mss| mss.to_string())),
            ("mark", self.mark.map(|mark| format!("{mark:#x}"))),
        ];
        for (name, value) in details {
            if let Some(value) = value {
                write!(f, " with {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log \"{}\"", self.prefix)?;
        match self.group {
            Some(group) => write!(f, " to group {group}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Also {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(state) = self.state {
            write!(f, ", state {}", state.word())?;
        }
        if let Some(log) = &self.log {
            write!(f, ", {log}")?;
        }
        for (name, packets) in &self.counters {
            write!(f, ", counter {name} {packets}")?;
        }
        for (set, element) in &self.in_set {
            write!(f, ", {element} in set {set}")?;
        }
        for (set, element) in &self.not_in_set {
            write!(f, ", {element} not in set {set}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Expectation {
    /// The scenario's own words: `accept`, `drop by "invalid flags"`, `reject tcp-reset`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            ExpectedVerdict::Accept(looks) => write!(f, "accept{looks}")?,
            ExpectedVerdict::Drop => f.write_str("drop")?,
            ExpectedVerdict::Reject(None) => f.write_str("reject")?,
            ExpectedVerdict::Reject(Some(kind)) => write!(f, "reject {kind}")?,
        }
        if let Some(by) = &self.by {
            write!(f, " by \"{by}\"")?;
        }
        write!(f, "{}", self.also)?;
        let Some(share) = &self.share else {
            return Ok(());
        };
        if share.least == share.most {
            write!(f, " {} times", share.least)?;
        } else {
            write!(f, " {} to {} times", share.least, share.most)?;
        }
        match &share.otherwise {
            Some(otherwise) => write!(f, ", otherwise {otherwise}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}
