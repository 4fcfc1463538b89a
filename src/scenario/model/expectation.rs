//! What should become of a packet.

use std::fmt;

use ipnet::IpNet;

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
