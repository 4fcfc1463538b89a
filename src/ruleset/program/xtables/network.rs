//! Matches on the headers of IP, IPv6 and Ethernet.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{info::Info, value::Invertible};

/// `iprange`, revision 1 (`struct xt_iprange_mtinfo`). A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IpRangeMatch {
    /// Addresses of the sender.
    pub source: Option<Invertible<RangeInclusive<IpAddr>>>,
    /// Addresses of the receiver.
    pub destination: Option<Invertible<RangeInclusive<IpAddr>>>,
}

impl IpRangeMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let source = info.address()?..=info.address()?;
        let destination = info.address()?..=info.address()?;
        let flags = info.u8()?;
        info.align(4)?;
        if flags & !0x33 != 0 {
            return None;
        }
        let test = |range, tested, inverted| {
            (flags & tested != 0).then(|| Invertible::new(range, flags & inverted != 0))
        };
        Some(Self {
            source: test(source, 0x01, 0x10),
            destination: test(destination, 0x02, 0x20),
        })
    }

    /// Matches the addresses of a packet.
    pub fn matches(&self, source: IpAddr, destination: IpAddr) -> bool {
        let is_in_range = |test: &Option<Invertible<RangeInclusive<IpAddr>>>, address: IpAddr| {
            test.as_ref()
                .is_none_or(|test| test.holds(|range| range.contains(&address)))
        };
        is_in_range(&self.source, source) && is_in_range(&self.destination, destination)
    }
}

/// Types of addresses as the routing table knows them, one bit each (`XT_ADDRTYPE_UNSPEC` is 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressTypes(pub u16);

impl AddressTypes {
    /// The types by their names in iptables-extensions(8).
    pub const NAMES: [(&'static str, u16); 12] = [
        ("UNSPEC", 1),
        ("UNICAST", 2),
        ("LOCAL", 4),
        ("BROADCAST", 8),
        ("ANYCAST", 0x10),
        ("MULTICAST", 0x20),
        ("BLACKHOLE", 0x40),
        ("UNREACHABLE", 0x80),
        ("PROHIBIT", 0x100),
        ("THROW", 0x200),
        ("NAT", 0x400),
        ("XRESOLVE", 0x800),
    ];
}

/// An interface to which a look-up of an address is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressTypeInterface {
    /// The one that received the packet.
    Input,
    /// The one that will send it.
    Output,
}

/// `addrtype` (`struct xt_addrtype_info`, `struct xt_addrtype_info_v1`). A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressTypeMatch {
    /// Types of the sender's address.
    pub source: Option<Invertible<AddressTypes>>,
    /// Types of the receiver's address.
    pub destination: Option<Invertible<AddressTypes>>,
    /// Whether the address must be of the type on one interface.
    pub interface: Option<AddressTypeInterface>,
}

impl AddressTypeMatch {
    pub(super) fn read_v0(info: &mut Info) -> Option<Self> {
        let (source, destination) = (info.u16()?, info.u16()?);
        let inverted = [info.wide_flag()?, info.wide_flag()?];
        Some(Self {
            source: types(source, inverted[0]),
            destination: types(destination, inverted[1]),
            interface: None,
        })
    }

    pub(super) fn read_v1(info: &mut Info) -> Option<Self> {
        let (source, destination, flags) = (info.u16()?, info.u16()?, info.u32()?);
        Some(Self {
            source: types(source, flags & 1 != 0),
            destination: types(destination, flags & 2 != 0),
            interface: match flags >> 2 {
                0 => None,
                1 => Some(AddressTypeInterface::Input),
                2 => Some(AddressTypeInterface::Output),
                _ => return None,
            },
        })
    }
}

fn types(types: u16, inverted: bool) -> Option<Invertible<AddressTypes>> {
    (types != 0).then(|| Invertible::new(AddressTypes(types), inverted))
}

/// `length` (`struct xt_length_info`): the length of the IP packet with its header, of a reassembled IPv6
/// packet 40 more than its payload length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LengthMatch(pub Invertible<RangeInclusive<u16>>);

impl LengthMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let range = info.u16()?..=info.u16()?;
        let inverted = info.flag()?;
        info.align(2)?;
        Some(Self(Invertible::new(range, inverted)))
    }

    /// Matches the length of a packet in bytes, which may exceed 16 bits.
    pub fn matches(&self, length: u32) -> bool {
        self.0
            .holds(|range| u16::try_from(length).is_ok_and(|length| range.contains(&length)))
    }
}

/// `ttl` and `hl` (`struct ipt_ttl_info`, `struct ip6t_hl_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TtlMatch {
    /// Equal to this number of hops.
    Equal(u8),
    /// Different from it.
    NotEqual(u8),
    /// Fewer hops.
    Less(u8),
    /// More hops.
    Greater(u8),
}

impl TtlMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let [mode, hops] = info.array()?;
        Some(match mode {
            0 => Self::Equal(hops),
            1 => Self::NotEqual(hops),
            2 => Self::Less(hops),
            3 => Self::Greater(hops),
            _ => return None,
        })
    }

    /// Matches the time to live, or the hop limit, of a packet.
    pub fn matches(self, hops: u8) -> bool {
        match self {
            Self::Equal(wanted) => hops == wanted,
            Self::NotEqual(wanted) => hops != wanted,
            Self::Less(limit) => hops < limit,
            Self::Greater(limit) => hops > limit,
        }
    }
}

/// `tos`, revision 1 (`struct xt_tos_match_info`), on the whole byte (in IPv6 the traffic class).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TosMatch {
    /// The value; if it has bits outside of the mask, nothing is equal to it.
    pub value: u8,
    /// The bits that are compared.
    pub mask: u8,
    /// Whether the match is for other values.
    pub inverted: bool,
}

impl TosMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let [mask, value] = info.array()?;
        Some(Self {
            value,
            mask,
            inverted: info.flag()?,
        })
    }

    /// Matches the byte of a packet.
    pub fn matches(self, tos: u8) -> bool {
        (tos & self.mask == self.value) != self.inverted
    }
}

/// `dscp` (`struct xt_dscp_info`): the upper six bits of the byte that holds the type of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DscpMatch(pub Invertible<u8>);

impl DscpMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let dscp = info.u8()?;
        Some(Self(Invertible::new(dscp, info.flag()?)))
    }

    /// Matches the byte that holds the type of service.
    pub fn matches(self, tos: u8) -> bool {
        self.0.holds(|dscp| tos >> 2 == *dscp)
    }
}

/// `ecn` (`struct xt_ecn_info`). A part that is not tested is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EcnMatch {
    /// The lower two bits of the byte that holds the type of service.
    pub ip: Option<Invertible<u8>>,
    /// Whether the flag ECE of TCP must be set.
    pub ece: Option<bool>,
    /// Whether the flag CWR of TCP must be set.
    pub cwr: Option<bool>,
}

impl EcnMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let [tested, inverted, ip, _] = info.array()?;
        if (tested | inverted) & !0x31 != 0 {
            return None;
        }
        let flag = |bit: u8| (tested & bit != 0).then_some(inverted & bit == 0);
        Some(Self {
            ip: (tested & 1 != 0).then(|| Invertible::new(ip, inverted & 1 != 0)),
            ece: flag(0x10),
            cwr: flag(0x20),
        })
    }

    /// Matches the byte that holds the type of service, and byte 13 of the TCP header; `None` without one, and then no
    /// test of its flags succeeds (`ecn_mt4`, net/netfilter/xt_ecn.c).
    pub fn matches(self, tos: u8, tcp_flags: Option<u8>) -> bool {
        let is_flag = |wanted: Option<bool>, bit: u8| match (wanted, tcp_flags) {
            (None, _) => true,
            (Some(wanted), Some(flags)) => (flags & bit != 0) == wanted,
            (Some(_), None) => false,
        };
        let is_ip = self.ip.is_none_or(|ip| ip.holds(|ip| tos & 3 == *ip));
        is_ip && is_flag(self.ece, 0x40) && is_flag(self.cwr, 0x80)
    }
}

/// `ah` of IPv6 (`struct ip6t_ah`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ah6Match {
    /// The security parameters index.
    pub spi: Invertible<RangeInclusive<u32>>,
    /// The length of the header in bytes; `None` if it is not tested.
    pub length: Option<Invertible<u32>>,
    /// Whether the reserved field must be zero.
    pub reserved_is_zero: bool,
}

impl Ah6Match {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (range, length) = (info.u32()?..=info.u32()?, info.u32()?);
        let [reserved, inverted] = info.array()?;
        info.align(4)?;
        (inverted & !3 == 0).then(|| Self {
            spi: Invertible::new(range, inverted & 1 != 0),
            length: (length != 0).then(|| Invertible::new(length, inverted & 2 != 0)),
            reserved_is_zero: reserved != 0,
        })
    }
}

/// `frag` (`struct ip6t_frag`): the fragment header of IPv6. The kernel does not test its length (`frag_mt6`,
/// net/ipv6/netfilter/ip6t_frag.c).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FragmentMatch {
    /// The identification.
    pub id: Invertible<RangeInclusive<u32>>,
    /// Whether the reserved bits must be zero.
    pub reserved_is_zero: bool,
    /// Whether it must be the first fragment.
    pub is_first: bool,
    /// Whether more fragments must follow, or none; `None` if it is not tested.
    pub has_more: Option<bool>,
}

impl FragmentMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let range = info.u32()?..=info.u32()?;
        info.u32()?;
        let [flags, inverted] = info.array()?;
        info.align(4)?;
        if inverted & !3 != 0 || flags & !0x3f != 0 {
            return None;
        }
        Some(Self {
            id: Invertible::new(range, inverted & 1 != 0),
            reserved_is_zero: flags & 4 != 0,
            is_first: flags & 8 != 0,
            has_more: match flags & 0x30 {
                0 => None,
                0x10 => Some(true),
                0x20 => Some(false),
                _ => return None,
            },
        })
    }
}

/// An option in a header of hop-by-hop or destination options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeaderOption {
    /// Its type.
    pub kind: u8,
    /// Its length in bytes; `None` for every length.
    pub length: Option<u8>,
}

/// `hbh` and `dst` (`struct ip6t_opts`): hop-by-hop and destination options of IPv6.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OptionsMatch {
    /// The length of the header in bytes; `None` if it is not tested.
    pub length: Option<Invertible<u32>>,
    /// The options in their order, exactly those; `None` if they are not tested.
    pub options: Option<Vec<HeaderOption>>,
}

impl OptionsMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let length = info.u32()?;
        let [flags, inverted] = info.array()?;
        let mut options = Vec::new();
        for _ in 0..16 {
            let option = info.u16()?;
            options.push(HeaderOption {
                kind: (option >> 8) as u8,
                length: Some((option & 0xff) as u8).filter(|length| *length != 0xff),
            });
        }
        let count = usize::from(info.u8()?);
        info.align(4)?;
        // The kernel refuses 0x04, "not strict" (`hbh_mt6_check`, net/ipv6/netfilter/ip6t_hbh.c).
        if flags & !3 != 0 || inverted & !1 != 0 || count > 16 {
            return None;
        }
        options.truncate(count);
        Some(Self {
            length: (flags & 1 != 0).then(|| Invertible::new(length, inverted & 1 != 0)),
            options: (flags & 2 != 0).then_some(options),
        })
    }
}

/// `rt` (`struct ip6t_rt`): the routing header of IPv6. A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutingMatch {
    /// The type of the header.
    pub kind: Option<Invertible<u32>>,
    /// Segments left, which are always tested.
    pub segments_left: Invertible<RangeInclusive<u32>>,
    /// The length of the header in bytes.
    pub length: Option<Invertible<u32>>,
    /// Whether the reserved field must be zero.
    pub reserved_is_zero: bool,
    /// Addresses, in their order.
    pub addresses: Option<RoutingAddresses>,
}

/// Addresses in a routing header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutingAddresses {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether others may stand between them.
    pub has_gaps: bool,
}

impl RoutingMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let kind = info.u32()?;
        let (segments, length) = (info.u32()?..=info.u32()?, info.u32()?);
        let [flags, inverted] = info.array()?;
        let mut addresses = Vec::new();
        for _ in 0..16 {
            addresses.push(info.ipv6()?);
        }
        let count = usize::from(info.u8()?);
        info.align(4)?;
        if flags & !0x3f != 0 || inverted & !7 != 0 || count > 16 {
            return None;
        }
        addresses.truncate(count);
        let test = |bit: u8| (flags & bit != 0).then_some(inverted & bit != 0);
        Some(Self {
            kind: test(1).map(|inverted| Invertible::new(kind, inverted)),
            segments_left: Invertible::new(segments, inverted & 2 != 0),
            length: test(4).map(|inverted| Invertible::new(length, inverted)),
            reserved_is_zero: flags & 8 != 0,
            addresses: (flags & 0x10 != 0).then_some(RoutingAddresses {
                addresses,
                has_gaps: flags & 0x20 != 0,
            }),
        })
    }
}

/// `ipv6header` (`struct ip6t_ipv6header_info`): which extension headers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeadersMatch {
    /// Headers by their bits (`MASK_HOPOPTS` is 128).
    pub headers: u8,
    /// Those that must not be there.
    pub inverted: u8,
    /// Whether one of the headers is enough, and others may be there.
    pub is_soft: bool,
}

impl HeadersMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let [headers, inverted] = info.array()?;
        Some(Self {
            headers,
            inverted,
            // iptables writes 255.
            is_soft: info.u8()? != 0,
        })
    }
}

/// `mh` (`struct ip6t_mh`): the type in the mobility header of IPv6.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MobilityMatch(pub Invertible<RangeInclusive<u8>>);

impl MobilityMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let range = info.u8()?..=info.u8()?;
        Some(Self(Invertible::new(range, info.flag()?)))
    }
}

/// `mac` (`struct xt_mac_info`): the sender of the Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacMatch(pub Invertible<[u8; 6]>);

impl MacMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let address = info.array()?;
        Some(Self(Invertible::new(address, info.wide_flag()?)))
    }

    /// Matches the sender of a frame; `None` if the packet has no Ethernet header, and then no rule matches,
    /// not even an inverted one (`mac_mt`, net/netfilter/xt_mac.c).
    pub fn matches(self, source: Option<[u8; 6]>) -> bool {
        source.is_some_and(|source| self.0.holds(|address| *address == source))
    }
}

/// To whom a frame was sent on its link (linux/if_packet.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// To this host.
    Host,
    /// To all hosts.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another host.
    OtherHost,
    /// Another number of the kernel's own.
    Number(u32),
}

impl PacketType {
    pub(super) fn read(info: &mut Info) -> Option<Invertible<Self>> {
        let kind = match info.u32()? {
            0 => Self::Host,
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            number => Self::Number(number),
        };
        Some(Invertible::new(kind, info.wide_flag()?))
    }
}
