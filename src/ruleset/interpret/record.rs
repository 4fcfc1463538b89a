//! What the interpreter says of a packet.

use super::{bits::Bits, certainty::Certainty, doubt::Doubt, state::StateCell};
use crate::ruleset::{chain::Hook, program::RejectReply};

/// The way of a packet through the base chains of its hooks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interpretation {
    /// The base chains that it enters or may enter, in order.
    pub traversals: Vec<ChainTraversal>,
    /// Whether it leaves the last hook.
    pub leaves: Option<Certainty>,
    /// What translates it, in order.
    pub translations: Vec<Translation>,
}

/// A packet in a base chain and the chains that it jumps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainTraversal {
    /// Position of the base chain in the program.
    pub chain: usize,
    /// Its hook.
    pub hook: Hook,
    /// Whether the packet enters it.
    pub reached: Certainty,
    /// The rules that are evaluated or may be, in order.
    pub evaluations: Vec<RuleEvaluation>,
    /// How it ends: one end that is certain, or several that are possible.
    pub ends: Vec<ChainEnd>,
}

impl ChainTraversal {
    /// What the chain decides, if that is certain for a packet that enters it.
    #[must_use]
    pub fn verdict(&self) -> Option<ChainVerdict> {
        let (first, rest) = self.ends.split_first()?;
        rest.iter()
            .all(|end| end.verdict == first.verdict)
            .then_some(first.verdict)
    }
}

/// How a packet may leave a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEnd {
    /// The verdict.
    pub verdict: ChainVerdict,
    /// What gives it.
    pub by: ChainDecider,
    /// Whether it is this end, for a packet that enters the chain.
    pub certainty: Certainty,
}

/// What ends a traversal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainDecider {
    /// A rule: position of its chain, and its position in the chain.
    Rule {
        /// Position of the chain in the program.
        chain: usize,
        /// Position of the rule in the chain.
        rule: usize,
    },
    /// The policy of the base chain.
    Policy,
}

/// A verdict that ends the traversal of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainVerdict {
    /// On to the next base chain.
    Accept,
    /// The packet is dropped.
    Drop,
    /// The packet is dropped, and its sender is told.
    Reject(RejectKind),
    /// The packet is handed to a program.
    Queue,
    /// Another part of the kernel keeps the packet.
    Stolen,
    /// It is not known what the rule does with the packet.
    Unknown,
}

/// How the sender of a rejected packet is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectKind {
    /// By an ICMP error of the packet's family, with this code.
    Icmp(u8),
    /// By an ICMP error of either family: a code of `enum nft_reject_inet_code`.
    Icmpx(u8),
    /// By a TCP reset.
    TcpReset,
}

impl From<RejectReply> for RejectKind {
    fn from(reply: RejectReply) -> Self {
        match reply {
            RejectReply::Icmp(code) => Self::Icmp(code),
            RejectReply::Icmpx(code) => Self::Icmpx(code),
            RejectReply::TcpReset => Self::TcpReset,
        }
    }
}

/// A rule that is evaluated or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEvaluation {
    /// Position of its chain in the program.
    pub chain: usize,
    /// Its position in the chain.
    pub rule: usize,
    /// Its handle, unique in its table.
    pub handle: u64,
    /// Whether it is evaluated, for a packet that enters the base chain.
    pub reached: Certainty,
    /// Whether it matches if it is evaluated: none of its expressions breaks it off.
    pub matched: Certainty,
    /// How many of its expressions are surely evaluated, if the rule is.
    pub surely_evaluated: usize,
    /// How many may be.
    pub possibly_evaluated: usize,
    /// Expressions whose result is not known, by their positions, with the reason.
    pub doubts: Vec<(usize, Doubt)>,
    /// Look-ups in sets and maps.
    pub lookups: Vec<SetLookup>,
    /// Values that expressions loaded, by the positions of those.
    pub loaded: Vec<(usize, Bits)>,
    /// What it read and wrote of the ruleset's memory.
    pub accesses: Vec<StateAccess>,
}

/// A look-up in a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLookup {
    /// Position of the expression in its rule.
    pub expression: usize,
    /// Position of the set in the program.
    pub set: usize,
    /// The key.
    pub key: Bits,
    /// The elements of the dump that the key may be, by their positions in the set.
    pub elements: Vec<(usize, Certainty)>,
}

/// A use of the ruleset's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAccess {
    /// What was used.
    pub cell: StateCell,
    /// How.
    pub mode: AccessMode,
    /// Whether it is used, for a packet that enters the base chain.
    pub certainty: Certainty,
}

/// How memory is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessMode {
    /// The result depends on it.
    Read,
    /// It is changed, and nothing depends on it here.
    Write,
    /// Both.
    ReadWrite,
}

/// A translation of addresses and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The rule: position of its chain.
    pub chain: usize,
    /// Its position in the chain.
    pub rule: usize,
    /// Which end of the packet.
    pub end: TranslatedEnd,
    /// The new address; `None` if it keeps its own.
    pub address: Option<TranslatedValue>,
    /// The new port; `None` if it keeps its own where that is free.
    pub port: Option<TranslatedValue>,
    /// Whether it is applied.
    pub certainty: Certainty,
}

/// The end of a packet that is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranslatedEnd {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// What an address or a port becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TranslatedValue {
    /// This one.
    Constant(Vec<u8>),
    /// One of those from the first to the second.
    Range(Vec<u8>, Vec<u8>),
    /// Not known: an address of an interface, or a register that is not known.
    Unknown,
}
