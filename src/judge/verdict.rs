//! What became of a packet, who decided it, and what that means for an expectation.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ruleset::legacy::LEGACY, scenario::RejectKind};

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
    /// Its source port, if its protocol has one.
    pub sport: Option<u16>,
    /// The source port that it was sent with.
    pub sport_sent: Option<u16>,
    /// Its destination port, if its protocol has one.
    pub dport: Option<u16>,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Differentiated services code point (RFC 2474).
    pub dscp: u8,
    /// The maximum segment size that it announces (RFC 9293 section 3.7.1).
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

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// A rule.
    Rule(Rule),
    /// The policy of a base chain.
    Policy(Policy),
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
    /// Where it was written; `None` if nobody has looked.
    pub origin: Option<Origin>,
    /// The layer that brought it, if the scenario has several.
    pub layer: Option<String>,
}

/// The policy of a base chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The chain.
    pub chain: Chain,
    /// Where it was written; `None` if nobody has looked.
    pub origin: Option<Origin>,
    /// The layer that set it, if the scenario has several.
    pub layer: Option<String>,
}

/// Where in the user's files a rule or a policy was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// There, without doubt.
    Known(SourceLine),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// A line of a file of the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceLine {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line, from 1: the first of a rule that spans several.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself, without the blanks around it; only a part of a very long one.
    pub text: String,
    /// Whether the line only implies what was asked for: a base chain without a policy accepts.
    pub implied: bool,
    /// The files and lines by whose `include` the file was read, the innermost first.
    pub included_from: Vec<(PathBuf, usize)>,
    /// What a program made of the line before it was loaded, if one did and it is known.
    pub through: Option<Generated>,
}

/// A line that a program wrote on behalf of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generated {
    /// The file that it wrote, or what it is.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// RFC 7126 section 4.3: the sender says by which way it wants to be routed, and the kernel does not
    /// let it (`accept_source_route`).
    SourceRoute,
    /// The frame was not for the firewall: another destination address, or a VLAN tag that none of its
    /// interfaces has.
    OtherHost,
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
    /// The run ended before the probe was sent.
    Cut(String),
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

impl Decider {
    /// The chain that it belongs to, if any.
    #[must_use]
    pub fn chain(&self) -> Option<&Chain> {
        match self {
            Self::Rule(rule) => Some(&rule.chain),
            Self::Policy(policy) => Some(&policy.chain),
            Self::Kernel(_) | Self::NoChain => None,
        }
    }

    /// Where it was written, if it is a thing that is written and somebody has looked.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Rule(rule) => rule.origin.as_ref(),
            Self::Policy(policy) => policy.origin.as_ref(),
            Self::Kernel(_) | Self::NoChain => None,
        }
    }

    /// The line as it was written, if it says something else than the listing: variables, sets, the spelling.
    #[must_use]
    pub fn written_otherwise(&self) -> Option<&str> {
        let listed = match self {
            Self::Rule(rule) => rule.text.as_deref(),
            Self::Policy(_) | Self::Kernel(_) | Self::NoChain => None,
        };
        let Some(Origin::Known(line)) = self.origin() else {
            return None;
        };
        let same = listed.is_some_and(|listed| {
            let written = line.text.trim_end_matches(';').split_whitespace();
            written.eq(listed.split_whitespace())
        });
        (!same).then_some(&line.text)
    }
}

impl Chain {
    /// What the number of a rule is called: legacy iptables knows places only.
    pub(crate) fn number(&self) -> &'static str {
        if self.family.starts_with(LEGACY) {
            "rule"
        } else {
            "handle"
        }
    }
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
            Self::Rule(rule) => {
                f.write_str("rule")?;
                if let Some(Origin::Known(line)) = &rule.origin {
                    write!(f, " {line}")?;
                }
                if let Some(text) = &rule.text {
                    write!(f, " `{text}`")?;
                }
                write!(
                    f,
                    " ({}, {} {}",
                    rule.chain,
                    rule.chain.number(),
                    rule.handle
                )?;
                if let Some(layer) = &rule.layer {
                    write!(f, ", layer {layer}")?;
                }
                if let Some(Origin::Unknown(why)) = &rule.origin {
                    write!(f, "; line unknown: {why}")?;
                }
                f.write_str(")")
            }
            Self::Policy(Policy {
                chain,
                origin,
                layer,
            }) => {
                let layer = layer.as_ref().map(|layer| format!(", layer {layer}"));
                let layer = layer.unwrap_or_default();
                match origin {
                    Some(Origin::Known(line)) if line.implied => {
                        write!(
                            f,
                            "policy {line} ({chain}{layer}, implied: none is written)"
                        )
                    }
                    Some(Origin::Known(line)) => write!(f, "policy {line} ({chain}{layer})"),
                    Some(Origin::Unknown(why)) => {
                        write!(f, "policy of {chain} (line unknown: {why}{layer})")
                    }
                    None => write!(f, "policy of {chain}"),
                }
            }
            Self::Kernel(reason) => write!(f, "kernel: {reason}"),
            Self::NoChain => f.write_str("no filter chain on its way"),
        }
    }
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
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
            Self::SourceRoute => "source route",
            Self::OtherHost => "frame for another host",
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
            Self::Cut(why) => f.write_str(why),
        }
    }
}
