//! What became of a packet, who decided it, and what that means for an expectation.

use std::fmt;

use serde::Serialize;

use crate::scenario::RejectKind;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The interface it left by (its name), or `None` for behind the input hook.
    pub interface: Option<String>,
    /// Its addresses on arrival.
    pub source: std::net::IpAddr,
    /// See `source`.
    pub destination: std::net::IpAddr,
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

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// A rule.
    Rule(Rule),
    /// The policy of a base chain.
    Policy(Chain),
    /// The kernel itself, before or behind the ruleset.
    Kernel(KernelReason),
    /// No filter chain stands on the packet's way.
    NoChain,
}

/// A rule of the loaded ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Where it stands.
    pub chain: Chain,
    /// The kernel's number for it, unique in its table.
    pub handle: u64,
    /// Its text as `nft list ruleset` prints it, if it was in the listing.
    pub text: Option<String>,
}

/// A chain of the loaded ruleset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Chain {
    /// Family of the table: `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain.
    pub name: String,
}

/// Why the kernel itself threw a packet away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelReason {
    /// RFC 3704: the source is not reached through the interface the packet came from.
    ReversePathFilter,
    /// RFC 1812 section 5.3.7: a source that no packet from outside may have.
    MartianSource,
    /// The scenario turned forwarding off.
    ForwardingOff,
    /// RFC 1812 section 5.3.1: no hops left.
    TimeToLive,
    /// RFC 1812 section 5.2.2: a malformed IP header.
    BadHeader,
    /// There is no route to the destination.
    NoRoute,
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
    /// A chain dropped it, and yet it came out.
    Contradiction,
    /// A rule that rejects threw it away, but neither its error nor the end of that error was seen.
    AnswerMissing,
    /// A rule handed it to somebody else (queue, synproxy, flow offload).
    HandedOver(&'static str),
    /// The run ended before the probe was sent.
    Cut(String),
}

/// The verdict against the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(Rule {
                chain,
                handle,
                text: Some(text),
            }) => {
                write!(f, "rule `{text}` ({chain}, handle {handle})")
            }
            Self::Rule(Rule {
                chain,
                handle,
                text: None,
            }) => {
                write!(f, "rule with handle {handle} ({chain})")
            }
            Self::Policy(chain) => write!(f, "policy of {chain}"),
            Self::Kernel(reason) => write!(f, "kernel: {reason}"),
            Self::NoChain => f.write_str("no filter chain on its way"),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}

impl fmt::Display for KernelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReversePathFilter => "reverse-path filter",
            Self::MartianSource => "martian source",
            Self::ForwardingOff => "forwarding is off",
            Self::TimeToLive => "time to live exceeded",
            Self::BadHeader => "malformed IP header",
            Self::NoRoute => "no route",
        })
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
            Self::Contradiction => f.write_str("a chain dropped the probe, and yet it came out"),
            Self::AnswerMissing => f.write_str(
                "a rule rejects the probe, but its error was neither seen nor dropped by a chain",
            ),
            Self::HandedOver(to) => write!(f, "a rule handed the probe to {to}, out of sight"),
            Self::Cut(why) => f.write_str(why),
        }
    }
}
