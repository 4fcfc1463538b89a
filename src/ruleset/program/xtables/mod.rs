//! The extensions of iptables as typed data: the structures that iptables-nft puts into expressions of
//! nftables (`match`, `target`), and legacy iptables into its entries. They are the kernel's own
//! (include/uapi/linux/netfilter/xt_*.h), so both decode alike.
//!
//! What is not known, has another length, or holds a value that no known kernel accepts stays
//! opaque: it is kept, and nobody guesses what it means. Pointers and counters of the kernel's own, which
//! some structures hold, are no part of the value.

mod connection;
mod header;
mod host;
mod info;
mod network;
mod stateful;
mod target;
mod transport;
mod value;

#[cfg(test)]
mod tests;

use connection::read_mark;
pub use connection::*;
pub use header::XtHeaderMatch;
pub use host::*;
use host::{read_cpu, read_realm};
use info::Info;
pub use network::*;
pub use stateful::*;
pub use target::*;
pub use transport::*;
pub use value::*;

use super::expression::XtExtension;
use crate::ruleset::chain::Family;

/// The protocol that selects the layout of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpVersion {
    V4,
    V6,
}

/// `None` for families whose extensions have names in common with those of IP, and other structures.
fn ip_version(family: Family) -> Option<IpVersion> {
    match family {
        Family::Ip | Family::LegacyIp => Some(IpVersion::V4),
        Family::Ip6 | Family::LegacyIp6 => Some(IpVersion::V6),
        Family::Inet | Family::Arp | Family::Bridge | Family::Netdev => None,
    }
}

impl XtExtension {
    /// Decodes it as a match in a table of this family.
    #[must_use]
    pub fn as_match(&self, family: Family) -> XtMatch {
        let decoded = self.decode(family, XtMatch::read);
        decoded.unwrap_or_else(|| XtMatch::Opaque(self.clone()))
    }

    /// Decodes it as a target in a table of this family.
    #[must_use]
    pub fn as_target(&self, family: Family) -> XtTarget {
        let decoded = self.decode(family, XtTarget::read);
        decoded.unwrap_or_else(|| XtTarget::Opaque(self.clone()))
    }

    fn decode<T>(
        &self,
        family: Family,
        read: impl Fn(&str, u8, &mut Info) -> Option<T>,
    ) -> Option<T> {
        let mut info = Info::new(ip_version(family)?, &self.info);
        let decoded = read(&self.name, u8::try_from(self.revision).ok()?, &mut info)?;
        info.end()?;
        Some(decoded)
    }
}

/// A condition of a rule. The names are those of iptables-extensions(8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum XtMatch {
    /// `addrtype`.
    AddressType(AddressTypeMatch),
    /// `ah` of IPv4.
    Ah(SpiMatch),
    /// `ah` of IPv6.
    Ah6(Ah6Match),
    /// `cgroup`.
    Cgroup(CgroupMatch),
    /// `cluster`.
    Cluster(ClusterMatch),
    /// `comment`, which always matches.
    Comment(String),
    /// `connbytes`.
    Connbytes(ConnbytesMatch),
    /// `connlabel`.
    Connlabel(ConnlabelMatch),
    /// `connlimit`.
    Connlimit(ConnlimitMatch),
    /// `connmark`; a packet without a connection does not match, not even if inverted.
    Connmark(Invertible<MaskedNumber>),
    /// `conntrack`.
    Conntrack(Box<ConntrackMatch>),
    /// `cpu`: the number of the processor.
    Cpu(Invertible<u32>),
    /// `dccp`.
    Dccp(DccpMatch),
    /// `dst`.
    DestinationOptions(OptionsMatch),
    /// `devgroup`.
    Devgroup(DevgroupMatch),
    /// `dscp`.
    Dscp(DscpMatch),
    /// `ecn`.
    Ecn(EcnMatch),
    /// `esp`.
    Esp(SpiMatch),
    /// `eui64`: whether the IPv6 address of the sender is made from that of its interface.
    Eui64,
    /// `frag`.
    Fragment(FragmentMatch),
    /// `hashlimit`.
    Hashlimit(HashlimitMatch),
    /// `ipv6header`.
    Headers(HeadersMatch),
    /// `helper`.
    Helper(HelperMatch),
    /// `hbh`.
    HopByHopOptions(OptionsMatch),
    /// `icmp`.
    Icmp(IcmpMatch),
    /// `icmp6`.
    Icmp6(IcmpMatch),
    /// `iprange`.
    IpRange(IpRangeMatch),
    /// `length`.
    Length(LengthMatch),
    /// `limit`.
    Limit(LimitMatch),
    /// `mac`.
    Mac(MacMatch),
    /// `mark`.
    Mark(Invertible<MaskedNumber>),
    /// `mh`.
    Mobility(MobilityMatch),
    /// `multiport`.
    Multiport(MultiportMatch),
    /// `nfacct`.
    Accounting(AccountingMatch),
    /// `osf`.
    Osf(OsfMatch),
    /// `owner`.
    Owner(OwnerMatch),
    /// `pkttype`.
    PacketType(Invertible<PacketType>),
    /// `physdev`.
    Physdev(PhysdevMatch),
    /// `policy`.
    Policy(PolicyMatch),
    /// `quota`.
    Quota(QuotaMatch),
    /// `rateest`.
    Rateest(RateestMatch),
    /// `realm`.
    Realm(Invertible<MaskedNumber>),
    /// `recent`.
    Recent(RecentMatch),
    /// `rpfilter`.
    ReversePath(ReversePathMatch),
    /// `rt`.
    Routing(RoutingMatch),
    /// `sctp`.
    Sctp(SctpMatch),
    /// `set`.
    Set(SetMatch),
    /// `socket`.
    Socket(SocketMatch),
    /// `state`.
    State(ConnectionStates),
    /// `statistic`.
    Statistic(StatisticMatch),
    /// `string`.
    String(StringMatch),
    /// `tcp`.
    Tcp(TcpMatch),
    /// `tcpmss`.
    TcpMss(TcpMssMatch),
    /// `time`.
    Time(TimeMatch),
    /// `tos`.
    Tos(TosMatch),
    /// `ttl`, and `hl` of IPv6.
    Ttl(TtlMatch),
    /// `u32`.
    U32(U32Match),
    /// `udp`.
    Udp(UdpMatch),
    /// `udplite`.
    UdpLite(UdpMatch),
    /// Not understood. `bpf` is always so.
    Opaque(XtExtension),
}

impl XtMatch {
    fn read(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        if let Some(read) = Self::read_common(name, revision, info) {
            return read;
        }
        match info.version {
            IpVersion::V4 => Self::read_v4(name, revision, info),
            IpVersion::V6 => Self::read_v6(name, revision, info),
        }
    }

    /// The outer `None` for a name that is not among those of both families.
    fn read_common(name: &str, revision: u8, info: &mut Info) -> Option<Option<Self>> {
        Some(match (name, revision) {
            ("addrtype", 1) => AddressTypeMatch::read_v1(info).map(Self::AddressType),
            ("cgroup", 0..=2) => CgroupMatch::read(info, revision).map(Self::Cgroup),
            ("cluster", 0) => ClusterMatch::read(info).map(Self::Cluster),
            ("comment", 0) => info.text::<256>().map(Self::Comment),
            ("connbytes", 0) => ConnbytesMatch::read(info).map(Self::Connbytes),
            ("connlabel", 0) => ConnlabelMatch::read(info).map(Self::Connlabel),
            ("connlimit", 1) => ConnlimitMatch::read(info).map(Self::Connlimit),
            ("connmark", 1) => read_mark(info).map(Self::Connmark),
            ("conntrack", 1..=3) => ConntrackMatch::read(info, revision)
                .map(Box::new)
                .map(Self::Conntrack),
            ("cpu", 0) => read_cpu(info).map(Self::Cpu),
            ("dccp", 0) => DccpMatch::read(info).map(Self::Dccp),
            ("devgroup", 0) => DevgroupMatch::read(info).map(Self::Devgroup),
            ("dscp", 0) => DscpMatch::read(info).map(Self::Dscp),
            ("ecn", 0) => EcnMatch::read(info).map(Self::Ecn),
            ("esp", 0) => SpiMatch::read(info).map(Self::Esp),
            ("hashlimit", 1..=3) => HashlimitMatch::read(info, revision).map(Self::Hashlimit),
            ("helper", 0) => HelperMatch::read(info).map(Self::Helper),
            ("iprange", 1) => IpRangeMatch::read(info).map(Self::IpRange),
            ("length", 0) => LengthMatch::read(info).map(Self::Length),
            ("limit", 0) => LimitMatch::read(info).map(Self::Limit),
            ("mac", 0) => MacMatch::read(info).map(Self::Mac),
            ("mark", 1) => read_mark(info).map(Self::Mark),
            ("multiport", 1) => MultiportMatch::read(info).map(Self::Multiport),
            ("nfacct", 0 | 1) => AccountingMatch::read(info).map(Self::Accounting),
            ("osf", 0) => OsfMatch::read(info).map(Self::Osf),
            ("owner", 1) => OwnerMatch::read(info).map(Self::Owner),
            ("physdev", 0) => PhysdevMatch::read(info).map(Self::Physdev),
            ("pkttype", 0) => PacketType::read(info).map(Self::PacketType),
            ("policy", 0) => PolicyMatch::read(info).map(Self::Policy),
            ("quota", 0) => QuotaMatch::read(info).map(Self::Quota),
            ("rateest", 0) => RateestMatch::read(info).map(Self::Rateest),
            ("recent", 0 | 1) => RecentMatch::read(info, revision).map(Self::Recent),
            ("rpfilter", 0) => ReversePathMatch::read(info).map(Self::ReversePath),
            ("sctp", 0) => SctpMatch::read(info).map(Self::Sctp),
            ("set", 0..=4) => SetMatch::read(info, revision).map(Self::Set),
            ("socket", 0..=3) => SocketMatch::read(info, revision).map(Self::Socket),
            ("state", 0) => ConnectionStates::read(info).map(Self::State),
            ("statistic", 0) => StatisticMatch::read(info).map(Self::Statistic),
            ("string", 1) => StringMatch::read(info).map(Self::String),
            ("tcp", 0) => TcpMatch::read(info).map(Self::Tcp),
            ("tcpmss", 0) => TcpMssMatch::read(info).map(Self::TcpMss),
            ("time", 0) => TimeMatch::read(info).map(Self::Time),
            ("tos", 1) => TosMatch::read(info).map(Self::Tos),
            ("u32", 0) => U32Match::read(info).map(Self::U32),
            ("udp", 0) => UdpMatch::read(info).map(Self::Udp),
            ("udplite", 0) => UdpMatch::read(info).map(Self::UdpLite),
            _ => return None,
        })
    }

    fn read_v4(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match (name, revision) {
            ("addrtype", 0) => AddressTypeMatch::read_v0(info).map(Self::AddressType),
            ("ah", 0) => SpiMatch::read(info).map(Self::Ah),
            ("icmp", 0) => IcmpMatch::read_v4(info).map(Self::Icmp),
            ("realm", 0) => read_realm(info).map(Self::Realm),
            ("ttl", 0) => TtlMatch::read(info).map(Self::Ttl),
            _ => None,
        }
    }

    fn read_v6(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match (name, revision) {
            ("ah", 0) => Ah6Match::read(info).map(Self::Ah6),
            ("dst", 0) => OptionsMatch::read(info).map(Self::DestinationOptions),
            // Its structure is a number without a meaning (net/ipv6/netfilter/ip6t_eui64.c).
            ("eui64", 0) => info.u32().map(|_| Self::Eui64),
            ("frag", 0) => FragmentMatch::read(info).map(Self::Fragment),
            ("hbh", 0) => OptionsMatch::read(info).map(Self::HopByHopOptions),
            ("hl", 0) => TtlMatch::read(info).map(Self::Ttl),
            ("icmp6", 0) => IcmpMatch::read_v6(info).map(Self::Icmp6),
            ("ipv6header", 0) => HeadersMatch::read(info).map(Self::Headers),
            ("mh", 0) => MobilityMatch::read(info).map(Self::Mobility),
            ("rt", 0) => RoutingMatch::read(info).map(Self::Routing),
            _ => None,
        }
    }

    /// The state between packets that the match reads, and whether it changes it; `None` if its answer depends
    /// on the packet, its connection and the host alone. An opaque match may be stateful.
    pub fn state(&self) -> Option<StateUse> {
        let changed = |state| {
            Some(StateUse {
                state,
                is_changed: true,
            })
        };
        match self {
            Self::Limit(_) | Self::Quota(_) => changed(XtState::Rule),
            Self::Statistic(StatisticMatch::Nth { .. }) => changed(XtState::Rule),
            // It counts connections, with those that later packets of others open and close.
            Self::Connlimit(_) => changed(XtState::Rule),
            Self::Hashlimit(limit) => changed(XtState::Hashlimit(limit.name.clone())),
            Self::Recent(recent) => Some(StateUse {
                state: XtState::Recent(recent.name.clone()),
                is_changed: recent.action != RecentAction::Check || recent.removes_old,
            }),
            Self::Accounting(accounting) => changed(XtState::Accounting(accounting.name.clone())),
            Self::Rateest(_) => changed(XtState::Rate),
            Self::Set(set) => Some(StateUse {
                state: XtState::Set(set.set.index),
                is_changed: set.packets.is_some() || set.bytes.is_some(),
            }),
            Self::Opaque(_) => changed(XtState::Unknown),
            Self::AddressType(_)
            | Self::Ah(_)
            | Self::Ah6(_)
            | Self::Cgroup(_)
            | Self::Cluster(_)
            | Self::Comment(_)
            | Self::Connbytes(_)
            | Self::Connlabel(_)
            | Self::Connmark(_)
            | Self::Conntrack(_)
            | Self::Cpu(_)
            | Self::Dccp(_)
            | Self::DestinationOptions(_)
            | Self::Devgroup(_)
            | Self::Dscp(_)
            | Self::Ecn(_)
            | Self::Esp(_)
            | Self::Eui64
            | Self::Fragment(_)
            | Self::Headers(_)
            | Self::Helper(_)
            | Self::HopByHopOptions(_)
            | Self::Icmp(_)
            | Self::Icmp6(_)
            | Self::IpRange(_)
            | Self::Length(_)
            | Self::Mac(_)
            | Self::Mark(_)
            | Self::Mobility(_)
            | Self::Multiport(_)
            | Self::Osf(_)
            | Self::Owner(_)
            | Self::PacketType(_)
            | Self::Physdev(_)
            | Self::Policy(_)
            | Self::Realm(_)
            | Self::ReversePath(_)
            | Self::Routing(_)
            | Self::Sctp(_)
            | Self::Socket(_)
            | Self::State(_)
            | Self::Statistic(StatisticMatch::Random(_))
            | Self::String(_)
            | Self::Tcp(_)
            | Self::TcpMss(_)
            | Self::Time(_)
            | Self::Tos(_)
            | Self::Ttl(_)
            | Self::U32(_)
            | Self::Udp(_)
            | Self::UdpLite(_) => None,
        }
    }
}

/// State between packets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum XtState {
    /// The rule's own.
    Rule,
    /// The table of all rules of the family with this name.
    Hashlimit(String),
    /// The list of all rules with this name.
    Recent(String),
    /// The set with this number.
    Set(u16),
    /// The accounting object with this name.
    Accounting(String),
    /// Estimators of rates.
    Rate,
    /// Of an extension that is not understood.
    Unknown,
}

/// How an extension uses state between packets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateUse {
    /// Which state.
    pub state: XtState,
    /// Whether a packet may change it.
    pub is_changed: bool,
}
