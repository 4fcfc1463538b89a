//! Families and hooks of netfilter, and the chains of a ruleset with their rules.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::legacy::LEGACY;

/// The family of a table (`NFPROTO_*`, linux/netfilter.h); the tables of legacy iptables have families of
/// their own, since they are other tables of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// ARP.
    Arp,
    /// Frames of a bridge.
    Bridge,
    /// Frames of a device, before and behind the network stack.
    Netdev,
    /// `iptables-legacy`.
    #[serde(rename = "legacy ip")]
    LegacyIp,
    /// `ip6tables-legacy`.
    #[serde(rename = "legacy ip6")]
    LegacyIp6,
}

/// The families of nftables with their numbers.
const NFPROTO: [(Family, u8); 6] = [
    (Family::Inet, 1),
    (Family::Ip, 2),
    (Family::Arp, 3),
    (Family::Netdev, 5),
    (Family::Bridge, 7),
    (Family::Ip6, 10),
];

impl Family {
    /// The family of nftables with this number of `NFPROTO_*`.
    #[must_use]
    pub fn from_nfproto(number: u8) -> Option<Self> {
        let (family, _) = NFPROTO.iter().find(|(_, known)| *known == number)?;
        Some(*family)
    }

    /// The number of `NFPROTO_*`, which for legacy iptables is that of its protocol.
    #[must_use]
    pub const fn nfproto(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip | Self::LegacyIp => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 | Self::LegacyIp6 => 10,
        }
    }

    /// Whether it is one of legacy iptables.
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        match self {
            Self::LegacyIp | Self::LegacyIp6 => true,
            Self::Ip | Self::Ip6 | Self::Inet | Self::Arp | Self::Bridge | Self::Netdev => false,
        }
    }
}

/// As nft(8) names them.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
            Self::LegacyIp => "legacy ip",
            Self::LegacyIp6 => "legacy ip6",
        })
    }
}

/// Where a base chain is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Before the routing decision.
    Prerouting,
    /// To the host itself.
    Input,
    /// Through the host.
    Forward,
    /// From the host itself.
    Output,
    /// Behind the routing decision, on the way out.
    Postrouting,
    /// At a device, before the network stack.
    Ingress,
    /// At a device, behind the network stack.
    Egress,
}

impl Hook {
    /// The hook with this number in a family: `enum nf_inet_hooks`, `enum nf_dev_hooks`
    /// (linux/netfilter.h), `NF_ARP_*` (linux/netfilter_arp.h), `NF_BR_*` (linux/netfilter_bridge.h).
    #[must_use]
    pub fn from_number(family: Family, number: u32) -> Option<Self> {
        hooks(family).get(usize::try_from(number).ok()?).copied()
    }

    /// The reverse of [`Hook::from_number`]; `None` if the family has no such hook.
    #[must_use]
    pub fn number(self, family: Family) -> Option<u32> {
        let position = hooks(family).iter().position(|hook| *hook == self)?;
        u32::try_from(position).ok()
    }
}

/// The hooks of a family by their numbers.
const fn hooks(family: Family) -> &'static [Hook] {
    const ALL: [Hook; 6] = [
        Hook::Prerouting,
        Hook::Input,
        Hook::Forward,
        Hook::Output,
        Hook::Postrouting,
        Hook::Ingress,
    ];
    match family {
        Family::Inet => &ALL,
        Family::Ip | Family::Ip6 | Family::Bridge | Family::LegacyIp | Family::LegacyIp6 => {
            ALL.split_at(5).0
        }
        Family::Arp => &[Hook::Input, Hook::Output, Hook::Forward],
        Family::Netdev => &[Hook::Ingress, Hook::Egress],
    }
}

/// As nft(8) names them.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// A chain of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainInfo {
    /// Where it is hooked in, if it is a base chain.
    pub base: Option<Base>,
    /// Its rules, by handle.
    pub rules: BTreeMap<u64, Rule>,
    /// The handles of its rules in the order in which a packet meets them.
    pub order: Vec<u64>,
}

/// A rule of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its text, on one line.
    pub text: String,
    /// The rules of its inline chain (`jump { … }`) by their handles; none where the handles are not
    /// beyond doubt.
    pub inline: Vec<(u64, String)>,
}

/// The particulars of a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress`.
    pub hook: String,
    /// Chains of one hook are met in the order of this; `None` if it could not be read.
    pub priority: Option<i32>,
    /// `accept` or `drop`.
    pub policy: String,
}

/// A chain of the loaded ruleset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain {
    /// Family of the table: `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain.
    pub name: String,
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

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}
