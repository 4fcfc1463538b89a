//! A packet as it was seen: read leniently, because what comes back may be anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::is_icmp_error;

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// IPv6 hop-by-hop options, RFC 8200.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// IGMP, RFC 2236.
    pub const IGMP: u8 = 2;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// IPv6 routing header, RFC 8200.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header, RFC 8200.
    pub const FRAGMENT: u8 = 44;
    /// GRE, RFC 2784.
    pub const GRE: u8 = 47;
    /// ESP, RFC 4303.
    pub const ESP: u8 = 50;
    /// AH, RFC 4302.
    pub const AH: u8 = 51;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options, RFC 8200.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// OSPF, RFC 2328.
    pub const OSPF: u8 = 89;
    /// VRRP, RFC 9568.
    pub const VRRP: u8 = 112;
    /// SCTP, RFC 9260.
    pub const SCTP: u8 = 132;
    /// UDP-Lite, RFC 3828.
    pub const UDP_LITE: u8 = 136;
    /// Reserved: no packet has it.
    pub const RESERVED: u8 = 255;
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// How much of a network header the trace shows (`NFT_TRACETYPE_NETWORK_HSIZE`, net/netfilter/nf_tables_trace.c).
const TRACED_HEADER: usize = 40;

/// Whether an IPv6 header of this number leads on to another one.
pub(super) fn is_extension(number: u8) -> bool {
    matches!(
        number,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::DESTINATION_OPTIONS
    )
}

/// The parts of a packet that tell what it is. Nothing is checked beyond its presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 identification, or IPv6 flow label.
    pub identity: u32,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// Differentiated services code point and congestion notification (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// The protocol of `payload` (behind IPv6 extension headers).
    pub protocol: u8,
    /// Which fragment it is, if it is one.
    pub fragment: Option<SeenFragment>,
    /// What the IP header carries; may be cut short.
    pub payload: &'a [u8],
}

/// Which part of a packet a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenFragment {
    /// IPv4 identification or that of the IPv6 fragment header.
    pub id: u32,
    /// Where it belongs, in bytes.
    pub offset: usize,
    /// Whether more follow.
    pub more: bool,
}

impl<'a> Seen<'a> {
    /// Reads a packet that begins with its IP header; `None` if that header is not there.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::ipv4(bytes, usize::MAX),
            6 => Self::ipv6(bytes),
            _ => None,
        }
    }

    /// Reads what the kernel's trace shows of a packet: the start of its network header, at most 40 bytes,
    /// and right behind it the start of its transport header. Extension headers of IPv6 are not shown, so
    /// what they lead to must be known.
    #[must_use]
    pub fn parse_traced(bytes: &'a [u8], carried: u8) -> Option<Self> {
        if bytes.first()? >> 4 == 4 {
            return Self::ipv4(bytes, TRACED_HEADER);
        }
        let next = *bytes.get(6)?;
        let mut seen = Self::ipv6(bytes)?;
        if is_extension(next) {
            seen.protocol = carried;
            seen.fragment = None;
            seen.payload = bytes.get(IPV6_HEADER..)?;
        }
        Some(seen)
    }

    /// `most`: where the payload begins at the latest.
    fn ipv4(bytes: &'a [u8], most: usize) -> Option<Self> {
        let header: &[u8; IPV4_HEADER] = bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let length = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(word(2));
        // A length that cannot be true says nothing; one that is too short is believed.
        let end = if total < length.max(IPV4_HEADER) {
            bytes.len()
        } else {
            total
        };
        let start = length.clamp(IPV4_HEADER, most).min(bytes.len());
        let place = word(6);
        let offset = usize::from(place & 0x1fff) * 8;
        let more = place & 0x2000 != 0;
        let identity = u32::from(word(4));
        Some(Self {
            source: IpAddr::V4(Ipv4Addr::from(*header[12..].first_chunk::<4>()?)),
            destination: IpAddr::V4(Ipv4Addr::from(*header[16..].first_chunk::<4>()?)),
            identity,
            ttl: header[8],
            traffic_class: header[1],
            protocol: header[9],
            fragment: (offset > 0 || more).then_some(SeenFragment {
                id: identity,
                offset,
                more,
            }),
            payload: &bytes[start..end.clamp(start, bytes.len())],
        })
    }

    fn ipv6(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; IPV6_HEADER] = bytes.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let end = if length == 0 {
            bytes.len()
        } else {
            IPV6_HEADER + length
        };
        let mut payload = &bytes[IPV6_HEADER..end.clamp(IPV6_HEADER, bytes.len())];
        let (mut next, mut fragment) = (header[6], None);
        // Behind the first bytes of a packet there are no headers in a fragment.
        while is_extension(next) && fragment.is_none_or(|part: SeenFragment| part.offset == 0) {
            let Some(extension) = payload.first_chunk::<8>() else {
                break;
            };
            let size = if next == protocol::FRAGMENT {
                let place = u16::from_be_bytes([extension[2], extension[3]]);
                fragment = Some(SeenFragment {
                    id: u32::from_be_bytes([
                        extension[4],
                        extension[5],
                        extension[6],
                        extension[7],
                    ]),
                    offset: usize::from(place & 0xfff8),
                    more: place & 1 != 0,
                });
                8
            } else {
                (usize::from(extension[1]) + 1) * 8
            };
            next = extension[0];
            payload = payload.get(size..).unwrap_or_default();
        }
        Some(Self {
            source: IpAddr::V6(Ipv6Addr::from(*header[8..].first_chunk::<16>()?)),
            destination: IpAddr::V6(Ipv6Addr::from(*header[24..].first_chunk::<16>()?)),
            identity: u32::from_be_bytes([0, header[1] & 0x0f, header[2], header[3]]),
            ttl: header[7],
            traffic_class: header[0] << 4 | header[1] >> 4,
            protocol: next,
            fragment,
            payload,
        })
    }

    /// What is carried, where it begins with its header: not in a later fragment.
    #[must_use]
    pub fn transport(&self) -> Option<&'a [u8]> {
        let later = self.fragment.is_some_and(|fragment| fragment.offset > 0);
        (!later).then_some(self.payload)
    }

    /// Source and destination port of TCP, UDP and what shares their layout.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match (self.protocol, self.transport()?) {
            (
                protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP,
                [a, b, c, d, ..],
            ) => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        }
    }

    /// The type of an ICMP or ICMPv6 message.
    #[must_use]
    pub fn icmp_type(&self) -> Option<u8> {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
            .then(|| self.transport()?.first().copied())
            .flatten()
    }

    /// The control bits of TCP.
    #[must_use]
    pub fn tcp_flags(&self) -> Option<u8> {
        (self.protocol == protocol::TCP)
            .then(|| self.transport()?.get(13).copied())
            .flatten()
    }

    /// Type and code of ICMP and ICMPv6.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match (self.protocol, self.transport()?) {
            (protocol::ICMP | protocol::ICMPV6, [kind, code, ..]) => Some((*kind, *code)),
            _ => None,
        }
    }

    /// Type and code of an ICMP or ICMPv6 error, and the start of the packet it quotes.
    #[must_use]
    pub fn icmp_error(&self) -> Option<(u8, u8, &'a [u8])> {
        let (kind, code) = self.icmp()?;
        is_icmp_error(self.protocol == protocol::ICMPV6, kind)
            .then(|| Some((kind, code, self.payload.get(8..)?)))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(seen) = Seen::parse(&bytes) {
                let _ = (seen.ports(), seen.tcp_flags(), seen.icmp(), seen.icmp_error());
            }
        }

        #[test]
        fn arbitrary_bytes_behind_an_ip_header_never_panic(
            version in prop::sample::select(vec![0x45_u8, 0x46, 0x4f, 0x60]),
            bytes in prop::collection::vec(any::<u8>(), 19..120),
        ) {
            let bytes = [vec![version], bytes].concat();
            if let Some(seen) = Seen::parse(&bytes) {
                let _ = (seen.ports(), seen.tcp_flags(), seen.icmp(), seen.icmp_error());
            }
        }
    }
}
