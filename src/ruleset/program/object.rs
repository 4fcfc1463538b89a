//! Named objects, and what they have in common with the expressions of the same names.

use super::{
    expression::RawAttribute,
    number::{flags, numbered},
};

/// A named object of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedObject {
    /// Unique among the table's objects of its kind.
    pub name: String,
    /// Unique in the table.
    pub handle: u64,
    /// How often it is referred to.
    pub references: u32,
    /// What it is.
    pub data: ObjectData,
    /// What nft keeps with it (comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

numbered! {
    /// `NFT_OBJECT_*`.
    ObjectKind {
        /// A counter.
        Counter = 1,
        /// A quota.
        Quota = 2,
        /// A helper of connection tracking.
        CtHelper = 3,
        /// A limit.
        Limit = 4,
        /// A limit of connections.
        Connlimit = 5,
        /// A tunnel.
        Tunnel = 6,
        /// Time-outs of connection tracking.
        CtTimeout = 7,
        /// A mark of security modules.
        Secmark = 8,
        /// An expected connection.
        CtExpectation = 9,
        /// A proxy for the first packets of connections.
        Synproxy = 10,
    }
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectData {
    /// Counts.
    Counter(PacketCount),
    /// Breaks off the rule above a number of bytes.
    Quota(ByteQuota),
    /// Gives the connection a helper.
    CtHelper {
        /// The helper's name.
        name: String,
        /// `NFPROTO_*`.
        l3proto: u16,
        /// The transport protocol.
        l4proto: u8,
    },
    /// Breaks off the rule above a rate.
    Limit(RateLimit),
    /// Breaks off the rule above a number of connections.
    Connlimit(ConnectionLimit),
    /// Sends the packet through a tunnel.
    Tunnel {
        /// All of its attributes, in the order of their numbers (`enum nft_tunnel_key_attributes`).
        attributes: Vec<RawAttribute>,
    },
    /// Gives the connection other time-outs.
    CtTimeout {
        /// `NFPROTO_*`.
        l3proto: u16,
        /// The transport protocol.
        l4proto: u8,
        /// Seconds by the number of the protocol's state.
        seconds: Vec<(u16, u32)>,
    },
    /// Gives the packet a mark of security modules.
    Secmark {
        /// The context.
        context: String,
    },
    /// Expects a connection.
    CtExpectation {
        /// `NFPROTO_*`.
        l3proto: u16,
        /// The transport protocol.
        l4proto: u8,
        /// The destination port.
        dport: u16,
        /// For how many milliseconds.
        timeout_ms: u32,
        /// How many.
        size: u8,
    },
    /// Answers a connection's first packets on behalf of its destination.
    Synproxy(SynproxyOptions),
    /// Not understood.
    Opaque {
        /// `NFT_OBJECT_*`.
        kind: u32,
        /// All of its attributes, in the order of their numbers.
        attributes: Vec<RawAttribute>,
    },
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketCount {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A rate above which a rule breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// How many packets or bytes per `unit_seconds`.
    pub rate: u64,
    /// The unit of time, in seconds.
    pub unit_seconds: u64,
    /// How many more at once.
    pub burst: u32,
    /// What is counted.
    pub kind: LimitKind,
    /// Breaks off the rule *below* the rate (`over`).
    pub is_inverted: bool,
}

numbered! {
    /// `enum nft_limit_type`.
    LimitKind {
        /// Packets.
        Packets = 0,
        /// Bytes.
        Bytes = 1,
    }
}

/// A number of bytes above which a rule breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteQuota {
    /// How many.
    pub bytes: u64,
    /// How many of them are used up.
    pub consumed: u64,
    /// How.
    pub flags: QuotaFlags,
}

flags! {
    /// `enum nft_quota_flags`.
    QuotaFlags {
        /// Breaks off the rule *below* the number (`over`).
        INVERTED = 0x1,
        /// Used up; like `consumed`, it is no part of the configuration.
        DEPLETED = 0x2,
    }
}

/// A number of connections above which a rule breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionLimit {
    /// How many.
    pub count: u32,
    /// Breaks off the rule *below* the number (`over`).
    pub is_inverted: bool,
}

/// What a proxy answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SynproxyOptions {
    /// The maximum segment size.
    pub mss: u16,
    /// The window scale.
    pub wscale: u8,
    /// `NF_SYNPROXY_OPT_*` (linux/netfilter/nf_synproxy.h).
    pub flags: SynproxyFlags,
}

flags! {
    /// `NF_SYNPROXY_OPT_*`.
    SynproxyFlags {
        /// A maximum segment size is given.
        MSS = 0x1,
        /// A window scale is given.
        WSCALE = 0x2,
        /// Selective acknowledgements.
        SACK_PERM = 0x4,
        /// Time stamps.
        TIMESTAMP = 0x8,
        /// Explicit congestion notification.
        ECN = 0x10,
    }
}
