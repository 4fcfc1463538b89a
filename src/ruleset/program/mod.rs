//! The loaded ruleset as the kernel runs it.
//!
//! The text of a rule, as `nft list ruleset` prints it, is for people. It differs between versions of nft, it
//! leaves out widths and byte orders, and it calls a rule of iptables `xt match "x"`. Whoever reads it guesses.
//! The kernel itself lists its rules as expressions on registers (`NFT_MSG_GET*`, linux/netfilter/nf_tables.h):
//! exact, the same for every dialect, and with the handle of every rule.
//!
//! A [`Program`] is that, as plain data: every attribute of every expression has a type. What is not understood is
//! never passed over: an expression with an unknown name, an unknown attribute or an unknown value is
//! [`Expression::Opaque`], with all of its bytes. Two spellings of one thing (registers of 16 and of 4 bytes, the
//! order of attributes and of set elements) are one value here.
//!
//! It is decoded here and not in the harness, from bytes that cross the border, so that a recorded dump can be
//! decoded again. The library needs no netlink crate for that: an attribute is a length, a number and bytes.

mod counters;
mod decode;
mod expression;
pub mod ipset;
pub mod legacy;
mod number;
mod object;
mod set;
pub mod xtables;

pub use decode::ProgramDecodeError;
pub use expression::{
    BitwiseOp, BitwiseOperand, ByteorderOp, ChecksumFlags, ChecksumKind, CmpOp, CtDirection, CtKey,
    DynsetOp, Expression, ExtHeaderField, ExtHeaderKind, FibFlags, FibResult, HashKind, InnerFlags,
    LogSink, LookupDestination, MetaKey, NatFlags, NatKind, NumgenKind, ObjectReference, OsfFlags,
    PayloadBase, ProgramVerdict, QueueFlags, QueueTarget, RawAttribute, Register, RejectReply,
    RtKey, SocketKey, TunnelKey, TunnelMode, XfrmDirection, XfrmKey, XtExtension,
};
pub use object::{
    ByteQuota, ConnectionLimit, LimitKind, NamedObject, ObjectData, ObjectKind, PacketCount,
    QuotaFlags, RateLimit, SynproxyFlags, SynproxyOptions,
};
pub use set::{ElementData, ElementFlags, ProgramSet, SetDataKind, SetElement, SetFlags};

use super::chain::{Family, Hook};
use number::flags;

/// All tables of a network namespace, except for the harness's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Program {
    /// In the kernel's order.
    pub tables: Vec<ProgramTable>,
}

/// A table with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramTable {
    /// Its family.
    pub family: Family,
    /// Its name, unique in the family.
    pub name: String,
    /// Unique in the namespace: a table that was made again has another one.
    pub handle: u64,
    /// What it is.
    pub flags: TableFlags,
    /// How many chains, sets, objects and flow tables it has.
    pub references: u32,
    /// The netlink port of its owner.
    pub owner: Option<u32>,
    /// In the kernel's order, which is that of their making.
    pub chains: Vec<ProgramChain>,
    /// In the kernel's order.
    pub sets: Vec<ProgramSet>,
    /// In the kernel's order.
    pub objects: Vec<NamedObject>,
    /// In the kernel's order.
    pub flowtables: Vec<Flowtable>,
    /// What nft keeps with it (comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

flags! {
    /// `enum nft_table_flags`.
    TableFlags {
        /// Its base chains are not registered: no packet meets them.
        DORMANT = 0x1,
        /// It belongs to a process.
        OWNER = 0x2,
        /// It stays when its owner goes.
        PERSIST = 0x4,
    }
}

/// A chain of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramChain {
    /// Its name, unique in the table. Inline chains (`jump { … }`) are named `__chain0` by the kernel.
    pub name: String,
    /// Unique in the table.
    pub handle: u64,
    /// What it is.
    pub flags: ChainFlags,
    /// Where it is registered; `None` if it is only jumped to.
    pub base: Option<ProgramBase>,
    /// How many rules it has and how often it is jumped to.
    pub references: u32,
    /// In the order in which a packet meets them.
    pub rules: Vec<ProgramRule>,
    /// What nft keeps with it (comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

flags! {
    /// `enum nft_chain_flags`.
    ChainFlags {
        /// It is a base chain.
        BASE = 0x1,
        /// The hardware does its work.
        HW_OFFLOAD = 0x2,
        /// It belongs to one rule.
        BINDING = 0x4,
    }
}

/// Where a base chain is registered, and what it does at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramBase {
    /// The hook.
    pub hook: Hook,
    /// Chains of one hook are met in the order of this; of equal ones the last registered is met first.
    pub priority: i32,
    /// `filter`, `nat` or `route`.
    pub kind: ChainKind,
    /// What happens at its end.
    pub policy: ProgramVerdict,
    /// What reached the policy, if the chain counts that.
    pub policy_count: Option<PacketCount>,
    /// The devices whose packets meet it (`ingress`, `egress`).
    pub devices: Vec<HookDevice>,
}

/// The type of a base chain (`struct nft_chain_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainKind {
    /// Meets every packet.
    Filter,
    /// Meets the first packet of each connection.
    Nat,
    /// Meets every packet; one that it changed is routed again.
    Route,
}

/// The devices that a hook is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookDevice {
    /// The one with this name.
    Named(String),
    /// All whose names begin so.
    Prefix(String),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramRule {
    /// Unique in the table.
    pub handle: u64,
    /// The handle of the rule before it in its chain; `None` for the first.
    pub position: Option<u64>,
    /// Run in this order until one breaks off the rule or a verdict ends it.
    pub expressions: Vec<Expression>,
    /// What nft keeps with it (comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

/// A flow table: connections in it go past the ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flowtable {
    /// Its name, unique in the table.
    pub name: String,
    /// Unique in the table.
    pub handle: u64,
    /// How often rules name it.
    pub references: u32,
    /// The number of the hook at the devices (`enum nf_dev_hooks`).
    pub hook: u32,
    /// The order among others of that hook.
    pub priority: i32,
    /// The devices whose packets meet it.
    pub devices: Vec<HookDevice>,
    /// What it is.
    pub flags: FlowtableFlags,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

flags! {
    /// `enum nft_flowtable_flags`.
    FlowtableFlags {
        /// The hardware does its work.
        HW_OFFLOAD = 0x1,
        /// Connections are counted.
        COUNTER = 0x2,
    }
}
