//! Why the interpreter says *maybe*.

use std::fmt;

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// The caller has not given this fact.
    Fact(Fact),
    /// It depends on chance: random numbers, the CPU, hashes with a random seed.
    Chance,
    /// It depends on the clock: the time of day, or how much time has passed.
    Time,
    /// It depends on what earlier packets left in the ruleset's memory.
    State,
    /// It is of a kind that is not modelled; with the kernel's name of the expression or match.
    Unmodelled(String),
    /// Kernels differ in it.
    KernelVersion,
    /// The packet has been changed in a way that is not known, as by a NAT to a range.
    Rewritten,
    /// A chain or set that a rule refers to is not in the program.
    Missing(String),
    /// The ruleset is too large for one packet: too many rules were evaluated.
    TooLarge,
}

/// A fact about a packet or its surroundings that the bytes of the packet do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The header of the link layer.
    LinkHeader,
    /// The input interface.
    InputInterface,
    /// The output interface.
    OutputInterface,
    /// `skb->pkt_type`
    PacketType,
    /// `skb->mark`
    Mark,
    /// `skb->priority`
    Priority,
    /// What connection tracking says of the packet.
    Tracking,
    /// The connection's mark.
    ConnectionMark,
    /// The connection's labels.
    ConnectionLabels,
    /// The connection's counters, time-outs and other details.
    ConnectionDetails,
    /// The socket of a packet that the host itself sends.
    Socket,
    /// Whether the packet came through IPsec.
    SecurityPath,
    /// Routes and local addresses.
    Routes,
    /// The stored bytes of the packet are fewer than it has.
    PacketBytes,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => write!(f, "{fact} is not known"),
            Self::Chance => f.write_str("it depends on chance"),
            Self::Time => f.write_str("it depends on the time"),
            Self::State => f.write_str("it depends on earlier packets"),
            Self::Unmodelled(kind) => write!(f, "`{kind}` is not modelled"),
            Self::KernelVersion => f.write_str("it depends on the kernel's version"),
            Self::Rewritten => f.write_str("an earlier rule changed the packet in an unknown way"),
            Self::Missing(name) => write!(f, "`{name}` is not in the ruleset"),
            Self::TooLarge => f.write_str("one packet meets too many rules"),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkHeader => "the link-layer header",
            Self::InputInterface => "the input interface",
            Self::OutputInterface => "the output interface",
            Self::PacketType => "the packet type",
            Self::Mark => "the packet mark",
            Self::Priority => "the packet priority",
            Self::Tracking => "the state of the connection",
            Self::ConnectionMark => "the connection mark",
            Self::ConnectionLabels => "the connection's labels",
            Self::ConnectionDetails => "a detail of the connection",
            Self::Socket => "the sending socket",
            Self::SecurityPath => "whether the packet came through IPsec",
            Self::Routes => "a route or local address",
            Self::PacketBytes => "a part of the packet",
        })
    }
}
