//! The trace of the ruleset, as the kernel reports it.

use serde::{Deserialize, Serialize};

use crate::{bytes::Bytes, usual::is_usual};

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
    #[serde(default, skip_serializing_if = "is_usual")]
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
