//! The validated scenario: names are resolved to indices, tests are expanded to one [`Case`] per
//! expectation and address family.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use ipnet::IpNet;

/// One YAML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Identity: the path below the folder it was found in, without extension, parts joined by `/`
    /// (`outage/app-server`).
    pub id: String,
    /// The file as the user named it.
    pub file: PathBuf,
    /// `name:`, for people; the identity when the file gives none.
    pub name: String,
    /// `purpose:`, free text.
    pub purpose: Option<String>,
    /// `tags:`, in the order written.
    pub tags: Vec<String>,
    /// The machine under test.
    pub firewall: Firewall,
    /// Who sends and receives; [`Party::Host`] indexes this.
    pub hosts: Vec<Host>,
    /// Every expectation, once per address family, in the order written. Never empty.
    pub cases: Vec<Case>,
}

/// The machine that runs the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// The configuration under test.
    pub candidate: Candidate,
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

/// A candidate, by dialect. Paths are relative to the working directory (already joined with the
/// folder of the file that named them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// A file for `nft -f`.
    Nftables(PathBuf),
}

/// An interface of the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name (1 to 15 bytes, Linux `IFNAMSIZ`).
    pub name: String,
    /// Its own addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
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
    /// Index into [`Scenario::hosts`].
    Host(usize),
}

/// One expectation about one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The identity everywhere: `outage/app-server :: internet -> firewall tcp/443 [ipv4]`. Unique
    /// in a run.
    pub name: String,
    /// Where the test stands.
    pub at: Location,
    /// The family of this case.
    pub family: Family,
    /// Who sends. Never the same party as `to`.
    pub from: Party,
    /// Who should receive.
    pub to: Party,
    /// The sender's address (of `family`).
    pub source: IpAddr,
    /// The receiver's address (of `family`).
    pub destination: IpAddr,
    /// What is sent.
    pub packet: PacketSpec,
    /// What the firewall should do.
    pub expect: Expectation,
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

/// The packet of a case, without its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSpec {
    /// IPv4 TTL or IPv6 hop limit; the usual value of the packet when not given.
    pub ttl: Option<u8>,
    /// The transport header.
    pub transport: TransportSpec,
}

/// The transport header of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportSpec {
    /// TCP (RFC 9293).
    Tcp {
        /// Source port; one of our own, unique to the probe, when not given.
        sport: Option<u16>,
        /// Destination port.
        dport: u16,
        /// The control bits.
        flags: TcpFlags,
    },
    /// UDP (RFC 768).
    Udp {
        /// Source port; one of our own, unique to the probe, when not given.
        sport: Option<u16>,
        /// Destination port.
        dport: u16,
    },
    /// ICMP (RFC 792) for IPv4, ICMPv6 (RFC 4443) for IPv6.
    Icmp {
        /// The type's number in the family of the case.
        kind: u8,
        /// The code.
        code: u8,
    },
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
}

/// The verdict part of an [`Expectation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedVerdict {
    /// The packet comes out on the other side.
    Accept {
        /// The source address it should then have (SNAT, masquerade).
        source: Option<IpAddr>,
        /// The destination address it should then have (DNAT).
        destination: Option<IpAddr>,
    },
    /// Nothing comes out and nothing comes back.
    Drop,
    /// A rule answers with an error; any kind when `None`.
    Reject(Option<RejectKind>),
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

impl Candidate {
    /// The main file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Nftables(path) => path,
        }
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

impl fmt::Display for Expectation {
    /// The scenario's own words: `accept`, `drop by "invalid flags"`, `reject tcp-reset`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            ExpectedVerdict::Accept {
                source,
                destination,
            } => {
                f.write_str("accept")?;
                if let Some(source) = source {
                    write!(f, " with source {source}")?;
                }
                if let Some(destination) = destination {
                    write!(f, " with destination {destination}")?;
                }
            }
            ExpectedVerdict::Drop => f.write_str("drop")?,
            ExpectedVerdict::Reject(None) => f.write_str("reject")?,
            ExpectedVerdict::Reject(Some(kind)) => write!(f, "reject {kind}")?,
        }
        match &self.by {
            Some(by) => write!(f, " by \"{by}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}
