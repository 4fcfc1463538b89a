//! A packet as it was seen: read leniently, because what comes back may be anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{LaxNetSlice, LaxSlicedPacket};

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
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
    /// The protocol of `payload` (behind IPv6 extension headers).
    pub protocol: u8,
    /// What the IP header carries; may be cut short.
    pub payload: &'a [u8],
}

impl<'a> Seen<'a> {
    /// Reads a packet that begins with its IP header; `None` if that header is not there.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
        match packet.net? {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                Some(Self {
                    source: Ipv4Addr::from(header.source()).into(),
                    destination: Ipv4Addr::from(header.destination()).into(),
                    identity: u32::from(header.identification()),
                    ttl: header.ttl(),
                    protocol: ip.payload_ip_number().0,
                    payload: ip.payload().payload,
                })
            }
            LaxNetSlice::Ipv6(ip) => {
                let header = ip.header();
                Some(Self {
                    source: Ipv6Addr::from(header.source()).into(),
                    destination: Ipv6Addr::from(header.destination()).into(),
                    identity: header.flow_label().value(),
                    ttl: header.hop_limit(),
                    protocol: ip.payload().ip_number.0,
                    payload: ip.payload().payload,
                })
            }
            LaxNetSlice::Arp(_) => None,
        }
    }

    /// Source and destination port of TCP and UDP.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match (self.protocol, self.payload) {
            (protocol::TCP | protocol::UDP, [a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        }
    }

    /// The control bits of TCP.
    #[must_use]
    pub fn tcp_flags(&self) -> Option<u8> {
        (self.protocol == protocol::TCP)
            .then(|| self.payload.get(13).copied())
            .flatten()
    }

    /// Type and code of ICMP and ICMPv6.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match (self.protocol, self.payload) {
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

/// Whether an ICMP (RFC 1122 section 3.2.2) or ICMPv6 (RFC 4443 section 2.1) type is an error, and so
/// quotes a packet.
#[must_use]
pub fn is_icmp_error(v6: bool, kind: u8) -> bool {
    if v6 {
        (1..=4).contains(&kind)
    } else {
        matches!(kind, 3 | 4 | 5 | 11 | 12)
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
