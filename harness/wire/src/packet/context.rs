//! What the header of a protocol depends on beyond its own fields.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::{ip::IpNextHeaderProtocol, util};

/// Marks the payloads of probes, before the cookie.
pub(super) const MAGIC: [u8; 4] = *b"fdrl";

/// Source and destination in one family.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ends {
    /// A packet with mixed families is crafted in the family of its destination from the unspecified
    /// address.
    pub(super) fn of(source: IpAddr, destination: IpAddr) -> Self {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Self::V4(source, destination),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Self::V6(source, destination),
            (IpAddr::V6(_), IpAddr::V4(destination)) => {
                Self::V4(Ipv4Addr::UNSPECIFIED, destination)
            }
            (IpAddr::V4(_), IpAddr::V6(destination)) => {
                Self::V6(Ipv6Addr::UNSPECIFIED, destination)
            }
        }
    }
}

/// The surroundings of a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketContext {
    /// The addresses, which pseudo headers repeat.
    pub(super) ends: Ends,
    /// What the packet is recognised by: see [`super::Packet::cookie`].
    pub(super) cookie: u32,
}

impl PacketContext {
    /// The mark of the packet.
    pub(super) fn mark(&self) -> [u8; 8] {
        mark(self.cookie)
    }

    /// Whether it is an IPv6 packet.
    pub(super) fn is_ipv6(&self) -> bool {
        match self.ends {
            Ends::V4(..) => false,
            Ends::V6(..) => true,
        }
    }

    /// The Internet checksum (RFC 1071) over `bytes` after the pseudo header (RFC 768, RFC 8200 section 8.1),
    /// without the 16-bit word of the checksum itself.
    pub(super) fn checksum(&self, protocol: u8, bytes: &[u8], word: usize) -> u16 {
        let protocol = IpNextHeaderProtocol(protocol);
        match self.ends {
            Ends::V4(source, destination) => {
                util::ipv4_checksum(bytes, word, &[], &source, &destination, protocol)
            }
            Ends::V6(source, destination) => {
                util::ipv6_checksum(bytes, word, &[], &source, &destination, protocol)
            }
        }
    }
}

/// A cookie with [`MAGIC`] before it, as it is at the start of payloads.
pub(super) fn mark(cookie: u32) -> [u8; 8] {
    let [a, b, c, d] = cookie.to_be_bytes();
    let [m, n, o, p] = MAGIC;
    [m, n, o, p, a, b, c, d]
}
