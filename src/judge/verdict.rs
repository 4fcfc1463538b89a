//! What became of a packet, who decided it, and what that means for an expectation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    scenario::RejectKind,
    trace::decider::{Decider, KernelReason},
};

/// What the firewall did with a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It came out, here and looking like this.
    Accept(Arrival),
    /// It was thrown away and nothing came back.
    Drop,
    /// It was thrown away and a rule sent an error back.
    Reject(RejectAnswer),
    /// The evidence proves nothing.
    Inconclusive(Inconclusive),
}

/// Where and how an accepted probe came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The interface it left by (its name), or `None` for behind the input hook.
    pub interface: Option<String>,
    /// Its addresses on arrival.
    pub source: std::net::IpAddr,
    /// See `source`.
    pub destination: std::net::IpAddr,
    /// Its source port, if its protocol has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// The source port that it was sent with, where it arrived with another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport_sent: Option<u16>,
    /// Its destination port, if its protocol has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Differentiated services code point (RFC 2474).
    pub dscp: u8,
    /// The maximum segment size that it announces (RFC 9293 section 3.7.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mss: Option<u16>,
}

/// The error that a rejecting rule sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectAnswer {
    /// One that a scenario can name.
    Kind(RejectKind),
    /// An ICMP error of another type or code.
    OtherIcmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// Why nothing is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inconclusive {
    /// The candidate's commands changed nothing.
    NotLoaded,
    /// The ruleset changed while it was probed.
    RulesetChanged,
    /// The probe could not be sent.
    NotSent(String),
    /// The barrier behind the probe was lost.
    BarrierLost,
    /// The kernel lost trace events.
    TraceLost,
    /// Nothing shows that the probe reached the firewall.
    NeverEntered,
    /// The path does not work without the candidate either.
    PathBroken(Option<KernelReason>),
    /// Every chain let it pass, and it came out nowhere.
    Vanished,
    /// It is a fragment, and waits for the others.
    Held,
    /// A chain dropped it, and yet it came out.
    Contradiction,
    /// A rule that rejects threw it away, but neither its error nor the end of that error was seen.
    AnswerMissing,
    /// A rule handed it to somebody else (queue, synproxy, flow offload).
    HandedOver(&'static str),
    /// The machine was too busy for the pace that the scenario asks for.
    Late {
        /// How long the series took, in microseconds.
        took_us: u64,
        /// How long it was to take.
        within_us: u64,
    },
    /// Something came back that nobody can read: its first bytes, in hexadecimal.
    Unreadable(String),
    /// The run ended before the case, for this reason.
    RunEnded(String),
    /// An earlier run said so: the words of its report.
    Reported(String),
    /// The plan of the step has no packet.
    NothingSent,
    /// No port of a batch was probed with a trace, so no rule is known to have decided.
    Untraced,
    /// The trace of a port shows another result than the batch that it was part of.
    BatchContradicted {
        /// The port, or other swept number.
        number: u16,
        /// The traced verdict.
        traced: String,
        /// What the batch showed.
        batch: &'static str,
    },
    /// The batch alone proves nothing for these numbers, which were not traced either: what it showed.
    BatchUnclear(&'static str),
    /// A socket of the prober overflowed, with small batches too.
    SocketOverflow,
    /// The table of connection tracking was full.
    ConntrackFull,
    /// The ports of a sweep that reach a stateful rule need too many fresh labs.
    LabLimit {
        /// The rule.
        rule: String,
        /// How many labs they need.
        needed: usize,
        /// How many a sweep may use.
        limit: usize,
    },
}

/// The verdict against the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As expected.
    Pass,
    /// Proven to be otherwise.
    Fail,
    /// Nothing is proven.
    Inconclusive,
    /// Not run, for a stated reason.
    Skipped,
}

/// A verdict with everything that is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What the firewall did.
    pub verdict: Verdict,
    /// Who decided, where it is known.
    pub decider: Option<Decider>,
    /// Against the expectation.
    pub outcome: Outcome,
    /// Why the outcome is no pass, in words.
    pub reason: Option<String>,
}

impl Outcome {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
        }
    }
}

impl Verdict {
    /// The bare word in reports, without particulars.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accept(_) => "accept",
            Self::Drop => "drop",
            Self::Reject(_) => "reject",
            Self::Inconclusive(_) => "inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept(_) | Self::Drop => f.write_str(self.word()),
            Self::Reject(RejectAnswer::Kind(kind)) => write!(f, "reject {kind}"),
            Self::Reject(RejectAnswer::OtherIcmp { kind, code }) => {
                write!(f, "reject (ICMP type {kind} code {code})")
            }
            Self::Inconclusive(reason) => write!(f, "inconclusive: {reason}"),
        }
    }
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded => {
                f.write_str("the candidate was not loaded: its commands changed no ruleset")
            }
            Self::RulesetChanged => f.write_str("the ruleset changed while it was probed"),
            Self::NotSent(why) => write!(f, "the probe could not be sent: {why}"),
            Self::BarrierLost => {
                f.write_str("the barrier behind the probe was lost, so it may still be on its way")
            }
            Self::TraceLost => f.write_str("the kernel lost events of the trace"),
            Self::NeverEntered => f.write_str("nothing shows that the probe reached the firewall"),
            Self::PathBroken(None) => {
                f.write_str("the path does not work without the candidate either")
            }
            Self::PathBroken(Some(reason)) => {
                write!(
                    f,
                    "the path does not work without the candidate either (kernel: {reason})"
                )
            }
            Self::Vanished => {
                f.write_str("every chain let the probe pass, but it came out nowhere")
            }
            Self::Held => f.write_str(
                "held for reassembly: no chain dropped it, and the fragments that complete it did not come",
            ),
            Self::Contradiction => f.write_str("a chain dropped the probe, and yet it came out"),
            Self::AnswerMissing => f.write_str(
                "a rule rejects the probe, but its error was neither seen nor dropped by a chain",
            ),
            Self::HandedOver(to) => write!(f, "a rule handed the probe to {to}, out of sight"),
            Self::Late { took_us, within_us } => write!(
                f,
                "the machine was too busy: the series took {} ms, not {} ms",
                took_us / 1000,
                within_us / 1000
            ),
            Self::Unreadable(bytes) => {
                write!(f, "a packet was seen that is none that can be read: {bytes}")
            }
            Self::RunEnded(why) | Self::Reported(why) => f.write_str(why),
            Self::NothingSent => f.write_str("no packet was sent"),
            Self::Untraced => f.write_str("none of these ports was probed with a trace"),
            Self::BatchContradicted {
                number,
                traced,
                batch,
            } => write!(
                f,
                "port {number}: the verdict of the traced probe is {traced}, but in the batch {batch}; run again \
                 with `--trace-sweeps`"
            ),
            Self::BatchUnclear(batch) => write!(f, "in the batch {batch}"),
            Self::SocketOverflow => f.write_str("a socket of the prober overflowed, twice"),
            Self::ConntrackFull => f.write_str(
                "connection tracking had no room for the packet (net.netfilter.nf_conntrack_max)",
            ),
            Self::LabLimit {
                rule,
                needed,
                limit,
            } => write!(
                f,
                "{rule} is stateful: these ports need {needed} fresh labs, and a sweep may use {limit}; limit the \
                 ports with `among`, or test single ports"
            ),
        }
    }
}
