//! The expressions of rules: one variant per expression of the kernel (net/netfilter/nft_*.c), with all of its
//! attributes.
//!
//! An expression reads and writes registers, or breaks off the rule. Values are bytes as registers hold them: what
//! is loaded from a packet is in network order, and what the kernel makes itself (marks, interface indices, states
//! of connections) in the order of the machine.

use super::xtables::XtHeaderMatch;
use super::{
    number::{flags, numbered},
    object::{ByteQuota, ConnectionLimit, ObjectKind, PacketCount, RateLimit, SynproxyOptions},
};
use crate::ruleset::chain::Family;

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression {
    /// Loads a part of the packet; breaks off the rule if the packet is too short.
    Payload {
        /// Where the result goes.
        destination: Register,
        /// From where `offset` counts.
        base: PayloadBase,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
    },
    /// Writes into the packet.
    PayloadSet {
        /// What is written.
        source: Register,
        /// From where `offset` counts.
        base: PayloadBase,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// The checksum that is adjusted.
        checksum: ChecksumKind,
        /// Where it is, from `base`, in bytes.
        checksum_offset: u32,
        /// What else is adjusted.
        checksum_flags: ChecksumFlags,
    },
    /// Loads a property of the packet that is not in it.
    Meta {
        /// Which.
        key: MetaKey,
        /// Where the result goes.
        destination: Register,
    },
    /// Sets a property of the packet that is not in it.
    MetaSet {
        /// Which.
        key: MetaKey,
        /// The value.
        source: Register,
    },
    /// Loads a property of the packet's connection.
    Ct {
        /// Which.
        key: CtKey,
        /// Of which direction; `None` if the key has none, or both count.
        direction: Option<CtDirection>,
        /// Where the result goes.
        destination: Register,
    },
    /// Sets a property of the packet's connection.
    CtSet {
        /// Which.
        key: CtKey,
        /// Of which direction (only a zone has one).
        direction: Option<CtDirection>,
        /// The value.
        source: Register,
    },
    /// Compares a register with a value, as `memcmp` does; breaks off the rule if it does not hold.
    Cmp {
        /// The left side.
        source: Register,
        /// How.
        op: CmpOp,
        /// The right side, which also says how many bytes are compared.
        value: Vec<u8>,
    },
    /// Compares a register with two values; breaks off the rule if it is outside (inside with
    /// `is_inverted`).
    Range {
        /// What is compared.
        source: Register,
        /// `NFT_RANGE_NEQ`.
        is_inverted: bool,
        /// The lowest value that is inside.
        from: Vec<u8>,
        /// The highest value that is inside.
        to: Vec<u8>,
    },
    /// Computes bit by bit.
    Bitwise {
        /// The first operand.
        source: Register,
        /// Where the result goes.
        destination: Register,
        /// In bytes.
        length: u32,
        /// The operation with its second operand.
        op: BitwiseOp,
    },
    /// Turns the order of bytes around.
    Byteorder {
        /// What is turned.
        source: Register,
        /// Where the result goes.
        destination: Register,
        /// Into which order.
        op: ByteorderOp,
        /// Of all numbers together, in bytes.
        length: u32,
        /// Of each number, in bytes: 2, 4 or 8.
        size: u32,
    },
    /// Looks up a register in a set; breaks off the rule if it is not there.
    Lookup {
        /// The set.
        set: String,
        /// The key.
        source: Register,
        /// Where the value of the key goes, if the set is a map.
        destination: Option<LookupDestination>,
        /// Breaks off the rule if the key *is* there.
        is_inverted: bool,
    },
    /// Puts a value into a register.
    Immediate {
        /// Where it goes.
        destination: Register,
        /// The value.
        value: Vec<u8>,
    },
    /// Puts a verdict into the register of verdicts, which ends the rule (`immediate` on `NFT_REG_VERDICT`).
    Verdict(ProgramVerdict),
    /// Counts.
    Counter(PacketCount),
    /// Writes a log record.
    Log {
        /// What it begins with.
        prefix: Option<String>,
        /// Where it is written to.
        sink: LogSink,
    },
    /// Breaks off the rule above a rate.
    Limit(RateLimit),
    /// Breaks off the rule above a number of bytes.
    Quota(ByteQuota),
    /// Breaks off the rule above a number of connections.
    Connlimit(ConnectionLimit),
    /// Remembers when it was reached last.
    Last {
        /// How many milliseconds ago; `None` if never.
        used_ms: Option<u64>,
    },
    /// Translates an address or a port.
    Nat {
        /// Of the source or of the destination.
        kind: NatKind,
        /// Of the address; `None` is `NFPROTO_UNSPEC`.
        family: Option<Family>,
        /// The lowest address.
        address_min: Option<Register>,
        /// The highest address.
        address_max: Option<Register>,
        /// The lowest port.
        port_min: Option<Register>,
        /// The highest port.
        port_max: Option<Register>,
        /// How.
        flags: NatFlags,
    },
    /// Translates the source to the address of the interface.
    Masquerade {
        /// The lowest port.
        port_min: Option<Register>,
        /// The highest port.
        port_max: Option<Register>,
        /// How.
        flags: NatFlags,
    },
    /// Translates the destination to the host itself.
    Redirect {
        /// The lowest port.
        port_min: Option<Register>,
        /// The highest port.
        port_max: Option<Register>,
        /// How.
        flags: NatFlags,
    },
    /// Hands the packet to a local socket without translating it.
    Tproxy {
        /// Of the packets that it is for; `None` is `NFPROTO_UNSPEC`.
        family: Option<Family>,
        /// The socket's address.
        address: Option<Register>,
        /// The socket's port.
        port: Option<Register>,
    },
    /// Drops the packet and answers it.
    Reject(RejectReply),
    /// Hands the packet to a program.
    Queue {
        /// To which queue.
        target: QueueTarget,
        /// How.
        flags: QueueFlags,
    },
    /// Sends a copy of the packet elsewhere.
    Dup {
        /// The next hop.
        address: Option<Register>,
        /// The index of the output interface.
        device: Option<Register>,
    },
    /// Sends the packet out elsewhere.
    Fwd {
        /// The index of the output interface.
        device: Register,
        /// The next hop.
        address: Option<Register>,
        /// The next hop's family.
        family: Option<Family>,
    },
    /// Keeps connection tracking away from the packet.
    Notrack,
    /// Answers a connection's first packets on behalf of its destination.
    Synproxy(SynproxyOptions),
    /// Puts the connection into a flow table.
    FlowOffload {
        /// Its name.
        flowtable: String,
    },
    /// Runs a named object.
    Objref(ObjectReference),
    /// Adds to a set, or deletes from it.
    Dynset {
        /// What it does.
        op: DynsetOp,
        /// The set.
        set: String,
        /// The key.
        key: Register,
        /// What the key maps to.
        data: Option<Register>,
        /// After how many milliseconds the element goes; `None` is the set's own time.
        timeout_ms: Option<u64>,
        /// Run for each element. Not listed where the set has the same ones itself.
        expressions: Vec<Expression>,
        /// Breaks off the rule where it would otherwise go on.
        is_inverted: bool,
    },
    /// Asks the routing tables.
    Fib {
        /// Where the result goes.
        destination: Register,
        /// What is asked.
        result: FibResult,
        /// With which fields of the packet.
        flags: FibFlags,
    },
    /// Loads a property of the packet's route.
    Rt {
        /// Which.
        key: RtKey,
        /// Where the result goes.
        destination: Register,
    },
    /// Loads a property of the local socket that the packet is for.
    Socket {
        /// Which.
        key: SocketKey,
        /// The depth in the tree of control groups.
        level: Option<u32>,
        /// Where the result goes.
        destination: Register,
    },
    /// Loads the name of the sender's operating system.
    Osf {
        /// Where the result goes.
        destination: Register,
        /// How the time to live is compared.
        ttl: u8,
        /// How.
        flags: OsfFlags,
    },
    /// Computes a hash, between `offset` and `offset + modulus`.
    Hash {
        /// Where the result goes.
        destination: Register,
        /// Of what.
        kind: HashKind,
        /// How many values there are.
        modulus: u32,
        /// The lowest value.
        offset: u32,
    },
    /// Makes a number, between `offset` and `offset + modulus`.
    Numgen {
        /// Where it goes.
        destination: Register,
        /// One after the other, or at random.
        kind: NumgenKind,
        /// How many values there are.
        modulus: u32,
        /// The lowest value.
        offset: u32,
    },
    /// Loads a part of an extension header, an option or a chunk.
    ExtHeader {
        /// Where the result goes.
        destination: Register,
        /// Which part.
        field: ExtHeaderField,
        /// Loads whether it is there (1 or 0) instead of breaking off the rule (`NFT_EXTHDR_F_PRESENT`).
        is_presence: bool,
    },
    /// Writes into an option.
    ExtHeaderSet {
        /// What is written.
        source: Register,
        /// Where.
        field: ExtHeaderField,
    },
    /// Overwrites an option with padding.
    ExtHeaderStrip {
        /// Which.
        field: ExtHeaderField,
    },
    /// Loads a property of the packet's IPsec policy or state.
    Xfrm {
        /// Which.
        key: XfrmKey,
        /// Of which direction.
        direction: XfrmDirection,
        /// Of which state of several, from 0.
        number: u32,
        /// Where the result goes.
        destination: Register,
    },
    /// Loads a property of the packet's tunnel.
    Tunnel {
        /// Which.
        key: TunnelKey,
        /// Of which direction.
        mode: TunnelMode,
        /// Where the result goes.
        destination: Register,
    },
    /// Loads from the packet inside of a tunnel.
    Inner {
        /// `NFTA_INNER_NUM`.
        number: u32,
        /// `NFTA_INNER_TYPE`: a number that nft gives to each kind of tunnel.
        kind: u32,
        /// Which headers there are (`NFT_INNER_*`).
        flags: InnerFlags,
        /// Of the tunnel's own header, in bytes.
        header_bytes: u32,
        /// What is loaded.
        expression: Box<Expression>,
    },
    /// The IP header of a rule of legacy iptables.
    XtHeader(XtHeaderMatch),
    /// A match of iptables.
    XtMatch(XtExtension),
    /// A target of iptables.
    XtTarget(XtExtension),
    /// Not understood.
    Opaque {
        /// The kernel's name for it.
        name: String,
        /// All of its attributes, in the order of their numbers.
        attributes: Vec<RawAttribute>,
    },
}

/// An attribute that is not understood, or that is one of something that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawAttribute {
    /// Its number, without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    pub kind: u16,
    /// Its bytes; attributes inside of it are not taken apart.
    pub value: Vec<u8>,
}

/// A match or a target of iptables. What it means is for the module of the extensions: here are the kernel's own
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct XtExtension {
    /// Its name: `tcp`, `conntrack`, `REJECT`, …
    pub name: String,
    /// Of its layout.
    pub revision: u32,
    /// Its struct (`struct xt_*_info`), in the order of the machine.
    pub info: Vec<u8>,
}

/// The first of the 4-byte words that an expression reads or writes, 0 to 15. Both of the kernel's spellings are
/// this one (`nft_parse_register`, net/netfilter/nf_tables_api.c): `NFT_REG_2` and `NFT_REG32_04` are word 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

/// `NFT_REG32_00` and `NFT_REG32_COUNT`; registers of 16 bytes are numbered from 1.
const FIRST_WORD: u32 = 8;
const WORDS: u32 = 16;

impl Register {
    /// The register of data with this number of `enum nft_registers`; `None` for the register of verdicts, and
    /// where there is none.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let word = match number {
            1..=4 => (number - 1) * 4,
            FIRST_WORD.. if number < FIRST_WORD + WORDS => number - FIRST_WORD,
            _ => return None,
        };
        Some(Self(u8::try_from(word).ok()?))
    }

    /// The number with which the kernel lists it (`nft_dump_register`): the large register if it begins there.
    #[must_use]
    pub const fn number(self) -> u32 {
        let word = self.0 as u32;
        match word % 4 {
            0 => word / 4 + 1,
            _ => word + FIRST_WORD,
        }
    }

    /// The word, 0 to 15.
    #[must_use]
    pub const fn word(self) -> usize {
        self.0 as usize
    }
}

/// Where a map's values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookupDestination {
    /// Into the register of verdicts, which ends the rule unless it is `continue`.
    Verdict,
    /// Into a register of data.
    Data(Register),
}

/// A verdict as rules and maps hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramVerdict {
    /// `NF_ACCEPT`.
    Accept,
    /// `NF_DROP`.
    Drop,
    /// `NF_QUEUE`; the number of the queue.
    Queue(u16),
    /// `NFT_CONTINUE`: on to the next rule.
    Continue,
    /// `NFT_BREAK`: this rule ends, and the chain continues with the next one.
    Break,
    /// `NFT_RETURN`: back to the calling chain, or to the policy.
    Return,
    /// `NFT_JUMP`: into this chain, and back at its end.
    Jump(String),
    /// `NFT_GOTO`: into this chain; its end is that of the calling chain.
    Goto(String),
    /// A verdict without a name here.
    Other(i32),
}

numbered! {
    /// From where an offset in the packet counts (`enum nft_payload_bases`).
    PayloadBase {
        /// The link layer's header.
        LinkLayer = 0,
        /// The network layer's header.
        Network = 1,
        /// The transport layer's header.
        Transport = 2,
        /// What follows the transport layer's header.
        Inner = 3,
        /// The tunnel's header; only inside of [`Expression::Inner`].
        Tunnel = 4,
    }
}

numbered! {
    /// `enum nft_payload_csum_types`.
    ChecksumKind {
        /// None is adjusted.
        None = 0,
        /// RFC 791.
        Internet = 1,
        /// RFC 3309.
        Sctp = 2,
    }
}

flags! {
    /// `enum nft_payload_csum_flags`.
    ChecksumFlags {
        /// The transport layer's checksum covers the field as part of its pseudo header.
        PSEUDO_HEADER = 0x1,
    }
}

numbered! {
    /// `enum nft_meta_keys`.
    MetaKey {
        /// The packet's length.
        Length = 0,
        /// The EtherType.
        Protocol = 1,
        /// The priority for queueing.
        Priority = 2,
        /// The mark.
        Mark = 3,
        /// The index of the input interface.
        Iif = 4,
        /// The index of the output interface.
        Oif = 5,
        /// The name of the input interface, 16 bytes.
        Iifname = 6,
        /// The name of the output interface, 16 bytes.
        Oifname = 7,
        /// The type of the input interface (`ARPHRD_*`).
        Iiftype = 8,
        /// The type of the output interface.
        Oiftype = 9,
        /// The user of the local socket.
        Skuid = 10,
        /// The group of the local socket.
        Skgid = 11,
        /// Whether the packet is traced.
        Nftrace = 12,
        /// The realm.
        Rtclassid = 13,
        /// The mark of security modules.
        Secmark = 14,
        /// `NFPROTO_*` of the packet.
        Nfproto = 15,
        /// The transport protocol.
        L4proto = 16,
        /// The name of the input interface's bridge.
        BriIifname = 17,
        /// The name of the output interface's bridge.
        BriOifname = 18,
        /// Unicast, broadcast, multicast, …
        Pkttype = 19,
        /// The number of the processor.
        Cpu = 20,
        /// The group of the input interface.
        Iifgroup = 21,
        /// The group of the output interface.
        Oifgroup = 22,
        /// The control group of the local socket.
        Cgroup = 23,
        /// A random number.
        Prandom = 24,
        /// Whether the packet came through IPsec.
        Secpath = 25,
        /// The kind of the input interface (`IFLA_INFO_KIND`).
        Iifkind = 26,
        /// The kind of the output interface.
        Oifkind = 27,
        /// The bridge port's VLAN.
        BriIifpvid = 28,
        /// The bridge's VLAN protocol.
        BriIifvproto = 29,
        /// The time in nanoseconds since 1970.
        TimeNs = 30,
        /// The day of the week, 0 is Sunday.
        TimeDay = 31,
        /// The second of the day.
        TimeHour = 32,
        /// The index of the input interface inside of a VRF.
        Sdif = 33,
        /// The name of the input interface inside of a VRF.
        Sdifname = 34,
        /// Whether the bridge hands the frame to routing.
        BriBroute = 35,
        /// The hardware address of the input interface's bridge.
        BriIifhwaddr = 37,
    }
}

numbered! {
    /// `enum nft_ct_keys`.
    CtKey {
        /// The state, as a bit.
        State = 0,
        /// The direction of the packet.
        Direction = 1,
        /// `IPS_*`.
        Status = 2,
        /// The mark.
        Mark = 3,
        /// The mark of security modules.
        Secmark = 4,
        /// The time that is left, in milliseconds.
        Expiration = 5,
        /// The name of the helper.
        Helper = 6,
        /// The network protocol.
        L3protocol = 7,
        /// The source address.
        Source = 8,
        /// The destination address.
        Destination = 9,
        /// The transport protocol.
        Protocol = 10,
        /// The source port.
        ProtoSource = 11,
        /// The destination port.
        ProtoDestination = 12,
        /// The labels, 128 bits.
        Labels = 13,
        /// How many packets it has had.
        Packets = 14,
        /// How many bytes it has had.
        Bytes = 15,
        /// The mean size of its packets.
        AveragePacket = 16,
        /// The zone.
        Zone = 17,
        /// Which events are reported.
        Eventmask = 18,
        /// The source address of IPv4.
        SourceIp = 19,
        /// The destination address of IPv4.
        DestinationIp = 20,
        /// The source address of IPv6.
        SourceIp6 = 21,
        /// The destination address of IPv6.
        DestinationIp6 = 22,
        /// Its number.
        Id = 23,
    }
}

numbered! {
    /// `enum ip_conntrack_dir`.
    CtDirection {
        /// Of the first packet.
        Original = 0,
        /// Of the answers.
        Reply = 1,
    }
}

numbered! {
    /// `enum nft_cmp_ops`.
    CmpOp {
        /// Equal.
        Eq = 0,
        /// Not equal.
        Neq = 1,
        /// Less.
        Lt = 2,
        /// Less or equal.
        Lte = 3,
        /// Greater.
        Gt = 4,
        /// Greater or equal.
        Gte = 5,
    }
}

/// `enum nft_bitwise_ops`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BitwiseOp {
    /// `(source & mask) ^ xor`.
    MaskXor {
        /// As long as the operation.
        mask: Vec<u8>,
        /// As long as the operation.
        xor: Vec<u8>,
    },
    /// By so many bits; words of 32 bits in the order of the machine, the first one is the highest.
    ShiftLeft(u32),
    /// By so many bits; words as in [`BitwiseOp::ShiftLeft`].
    ShiftRight(u32),
    /// `source & operand`.
    And(BitwiseOperand),
    /// `source | operand`.
    Or(BitwiseOperand),
    /// `source ^ operand`.
    Xor(BitwiseOperand),
}

/// The second operand of an operation on bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BitwiseOperand {
    /// A register.
    Register(Register),
    /// A value.
    Value(Vec<u8>),
}

numbered! {
    /// `enum nft_byteorder_ops`.
    ByteorderOp {
        /// From the network's order to the machine's.
        NetworkToHost = 0,
        /// From the machine's order to the network's.
        HostToNetwork = 1,
    }
}

/// Where log records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogSink {
    /// To the kernel's log (or, with level 8, to that of the audit).
    Kernel {
        /// `enum nft_log_level`.
        level: u32,
        /// `NF_LOG_*`.
        flags: u32,
    },
    /// To a program.
    Group {
        /// The number of the group.
        group: u16,
        /// How many bytes of the packet; `None` for all that the group asked for.
        snaplen: Option<u32>,
        /// How many records are handed over at once; 0 is the group's own number.
        queue_threshold: u16,
    },
}

numbered! {
    /// `enum nft_nat_types`.
    NatKind {
        /// The source.
        Source = 0,
        /// The destination.
        Destination = 1,
    }
}

flags! {
    /// `NF_NAT_RANGE_*` (linux/netfilter/nf_nat.h).
    NatFlags {
        /// Addresses are given.
        MAP_IPS = 0x1,
        /// Ports are given.
        PROTO_SPECIFIED = 0x2,
        /// Ports at random.
        PROTO_RANDOM = 0x4,
        /// The same address for each client.
        PERSISTENT = 0x8,
        /// Ports wholly at random.
        PROTO_RANDOM_FULLY = 0x10,
        /// Ports are shifted.
        PROTO_OFFSET = 0x20,
        /// Only the prefix is translated.
        NETMAP = 0x40,
    }
}

/// What a reject sends back (`enum nft_reject_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReply {
    /// An ICMP error of the packet's family: the code of "destination unreachable".
    Icmp(u8),
    /// A TCP reset.
    TcpReset,
    /// An ICMP error of either family: a code of `enum nft_reject_inet_code`.
    Icmpx(u8),
}

/// Which queue a packet goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueTarget {
    /// One of several, by the packet's hash or the processor.
    Numbers {
        /// The first.
        first: u16,
        /// How many.
        total: u16,
    },
    /// The one whose number is in this register.
    Register(Register),
}

flags! {
    /// `NFT_QUEUE_FLAG_*`.
    QueueFlags {
        /// Without a program the packet goes on.
        BYPASS = 0x1,
        /// By processor.
        CPU_FANOUT = 0x2,
    }
}

/// Which named object is run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectReference {
    /// This one.
    Named {
        /// Its kind.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// The one that a map has for a key; breaks off the rule if the key is not there.
    Map {
        /// The map.
        set: String,
        /// The key.
        source: Register,
    },
}

numbered! {
    /// `enum nft_dynset_ops`.
    DynsetOp {
        /// Adds, unless it is there.
        Add = 0,
        /// Adds, or renews its time.
        Update = 1,
        /// Deletes.
        Delete = 2,
    }
}

numbered! {
    /// `enum nft_fib_result`.
    FibResult {
        /// The index of the interface.
        Oif = 1,
        /// The name of the interface.
        Oifname = 2,
        /// The type of the address (`RTN_*`).
        Addrtype = 3,
    }
}

flags! {
    /// `enum nft_fib_flags`.
    FibFlags {
        /// The source is looked up.
        SADDR = 0x1,
        /// The destination is looked up.
        DADDR = 0x2,
        /// With the packet's mark.
        MARK = 0x4,
        /// Only by the input interface.
        IIF = 0x8,
        /// Only by the output interface.
        OIF = 0x10,
        /// Loads whether there is a route (1 or 0).
        PRESENT = 0x20,
    }
}

numbered! {
    /// `enum nft_rt_keys`.
    RtKey {
        /// The realm.
        Classid = 0,
        /// The next hop of IPv4.
        Nexthop4 = 1,
        /// The next hop of IPv6.
        Nexthop6 = 2,
        /// The maximum segment size that the route allows.
        TcpMss = 3,
        /// Whether it goes through IPsec.
        Xfrm = 4,
    }
}

numbered! {
    /// `enum nft_socket_keys`.
    SocketKey {
        /// Whether it is a transparent one.
        Transparent = 0,
        /// Its mark.
        Mark = 1,
        /// Whether it listens on all addresses.
        Wildcard = 2,
        /// Its control group.
        Cgroupv2 = 3,
    }
}

flags! {
    /// `enum nft_osf_flags`.
    OsfFlags {
        /// With the version.
        VERSION = 0x1,
    }
}

/// `enum nft_hash_types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// Of a register, by Jenkins.
    Jenkins {
        /// What is hashed.
        source: Register,
        /// In bytes.
        length: u32,
        /// `None` if the kernel chose one, which it does not tell.
        seed: Option<u32>,
    },
    /// Of the packet, alike for both directions.
    Symmetric,
}

numbered! {
    /// `enum nft_ng_types`.
    NumgenKind {
        /// One after the other.
        Incremental = 0,
        /// At random.
        Random = 1,
    }
}

/// A part of an extension header, an option or a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtHeaderField {
    /// Of what.
    pub kind: ExtHeaderKind,
    /// The number of the header, option or chunk.
    pub number: u8,
    /// From its start, in bytes.
    pub offset: u32,
    /// In bytes.
    pub length: u32,
}

numbered! {
    /// `enum nft_exthdr_op`.
    ExtHeaderKind {
        /// An extension header of IPv6.
        Ipv6 = 0,
        /// An option of TCP.
        TcpOption = 1,
        /// An option of IPv4.
        Ipv4Option = 2,
        /// A chunk of SCTP.
        SctpChunk = 3,
        /// An option of DCCP.
        DccpOption = 4,
    }
}

numbered! {
    /// `enum nft_xfrm_keys`.
    XfrmKey {
        /// The tunnel's destination, IPv4.
        DestinationIp = 1,
        /// The tunnel's destination, IPv6.
        DestinationIp6 = 2,
        /// The tunnel's source, IPv4.
        SourceIp = 3,
        /// The tunnel's source, IPv6.
        SourceIp6 = 4,
        /// The number that joins policy and state.
        Reqid = 5,
        /// The security parameters index.
        Spi = 6,
    }
}

numbered! {
    /// `XFRM_POLICY_IN` and `XFRM_POLICY_OUT` (linux/xfrm.h).
    XfrmDirection {
        /// What was decrypted.
        In = 0,
        /// What will be encrypted.
        Out = 1,
    }
}

numbered! {
    /// `enum nft_tunnel_keys`.
    TunnelKey {
        /// Whether there is one.
        Path = 0,
        /// Its number.
        Id = 1,
    }
}

numbered! {
    /// `enum nft_tunnel_mode`.
    TunnelMode {
        /// Any.
        None = 0,
        /// On the way in.
        Receive = 1,
        /// On the way out.
        Transmit = 2,
    }
}

flags! {
    /// `NFT_INNER_*`.
    InnerFlags {
        /// The tunnel has a header.
        HEADER = 0x1,
        /// A link layer's header is inside.
        LINK_LAYER = 0x2,
        /// A network layer's header is inside.
        NETWORK = 0x4,
        /// A transport layer's header is inside.
        TRANSPORT = 0x8,
    }
}
