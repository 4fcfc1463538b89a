//! Who decided on a packet: a rule, a policy, or the kernel itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ruleset::{chain::Chain, listing::Ruleset, origin::Origin};

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The chain.
    pub chain: Chain,
    /// Where it was written; `None` if nobody has looked.
    pub origin: Option<Origin>,
    /// The layer that set it, if the scenario has several.
    pub layer: Option<String>,
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

impl Rule {
    /// The rule with this handle, with all that is known of it.
    pub(super) fn of(chain: Chain, handle: u64, ruleset: &Ruleset) -> Self {
        Self {
            handle,
            text: ruleset.rule(&chain, handle).map(str::to_owned),
            origin: ruleset.origin(&chain, handle),
            layer: ruleset.layer(&chain, handle).map(str::to_owned),
            chain,
        }
    }
}

impl Policy {
    /// The policy of a base chain, with all that is known of it.
    pub(super) fn of(chain: Chain, ruleset: &Ruleset) -> Self {
        Self {
            origin: ruleset.policy_origin(&chain),
            layer: ruleset.policy_layer(&chain).map(str::to_owned),
            chain,
        }
    }
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
