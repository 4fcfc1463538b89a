//! Packets as plain data: crafting a probe, reading what was seen, and telling how the two relate.
//!
//! Every probe carries a *cookie* in as many places as its protocol has (IPv4 identification or IPv6
//! flow label, TCP sequence number, UDP and ICMP payload), so that it is recognised on the other side
//! of the firewall, in the kernel's trace and in the errors that quote it, translated or not.

mod craft;
mod relation;
mod seen;

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

pub use self::{
    craft::craft,
    relation::{Answer, Relation, relate},
    seen::{Seen, is_icmp_error, protocol},
};
use crate::bytes::Bytes;

/// Marks our payloads, in front of the cookie.
const MAGIC: [u8; 4] = *b"fdrl";

/// A packet to craft. Source and destination are of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// What the probe is recognised by; unique in a plan, the low 16 bits not zero.
    pub cookie: u32,
    /// What it carries.
    pub transport: Transport,
}

/// The transport header and payload of a [`Packet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP (RFC 9293); the sequence number is the cookie.
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// The control bits as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
        flags: u8,
    },
    /// UDP (RFC 768); the payload is the cookie.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// ICMP (RFC 792) over IPv4, ICMPv6 (RFC 4443) over IPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes behind the checksum.
        rest: [u8; 4],
        /// What follows the first eight bytes.
        data: Bytes,
    },
}

/// TCP control bits (RFC 9293 section 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
}

/// ICMPv6 types that are built with a body of their own (RFC 4861).
mod icmpv6_type {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

impl Packet {
    /// IP protocol number (IANA), ICMP by the family of the addresses.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        match (&self.transport, self.source) {
            (Transport::Tcp { .. }, _) => protocol::TCP,
            (Transport::Udp { .. }, _) => protocol::UDP,
            (Transport::Icmp { .. }, IpAddr::V4(_)) => protocol::ICMP,
            (Transport::Icmp { .. }, IpAddr::V6(_)) => protocol::ICMPV6,
        }
    }

    /// The cookie with its mark, as it stands at the start of UDP and ICMP payloads.
    #[must_use]
    pub fn mark(cookie: u32) -> [u8; 8] {
        let [a, b, c, d] = cookie.to_be_bytes();
        let [m, n, o, p] = MAGIC;
        [m, n, o, p, a, b, c, d]
    }
}

impl Transport {
    /// An ICMP or ICMPv6 message with the body its type asks for: an echo carries the cookie, an error
    /// quotes a packet that `destination` could have sent to `source`, neighbour discovery names the
    /// destination as its target.
    #[must_use]
    pub fn icmp(kind: u8, code: u8, cookie: u32, source: IpAddr, destination: IpAddr) -> Self {
        let [a, b, c, d] = cookie.to_be_bytes();
        let mark = Packet::mark(cookie);
        let (rest, data) = match destination {
            IpAddr::V6(target) if is_neighbour_discovery(kind) => neighbour_discovery(kind, target),
            IpAddr::V4(_) | IpAddr::V6(_) if is_icmp_error(destination.is_ipv6(), kind) => {
                let quoted = craft(&Packet {
                    source: destination,
                    destination: source,
                    ttl: 1,
                    cookie,
                    transport: Self::Udp {
                        sport: 33_434,
                        dport: 33_434,
                    },
                });
                // RFC 1191 and RFC 4443 section 3.2: the MTU stands in `rest`.
                let mtu = if destination.is_ipv6() { 1280 } else { 576_u16 };
                let [high, low] = mtu.to_be_bytes();
                let too_big = if destination.is_ipv6() {
                    kind == 2
                } else {
                    kind == 3 && code == 4
                };
                (if too_big { [0, 0, high, low] } else { [0; 4] }, quoted)
            }
            // Twelve bytes, so that the timestamp messages of RFC 792 are whole.
            IpAddr::V4(_) | IpAddr::V6(_) => ([a, b, c, d], [&mark[..], &[0; 4]].concat()),
        };
        Self::Icmp {
            kind,
            code,
            rest,
            data: Bytes(data),
        }
    }
}

/// Whether the type belongs to neighbour discovery (RFC 4861), whose packets travel with hop limit 255.
#[must_use]
pub fn is_neighbour_discovery(kind: u8) -> bool {
    (icmpv6_type::ROUTER_SOLICITATION..=icmpv6_type::REDIRECT).contains(&kind)
}

fn neighbour_discovery(kind: u8, target: Ipv6Addr) -> ([u8; 4], Vec<u8>) {
    let target = target.octets().to_vec();
    match kind {
        // RFC 4861 section 4.2: hop limit 64, no flags, lifetime 0; reachable and retrans time follow.
        icmpv6_type::ROUTER_ADVERTISEMENT => ([64, 0, 0, 0], vec![0; 8]),
        icmpv6_type::ROUTER_SOLICITATION => ([0; 4], Vec::new()),
        // Section 4.4: solicited and override.
        icmpv6_type::NEIGHBOUR_ADVERTISEMENT => ([0x60, 0, 0, 0], target),
        icmpv6_type::NEIGHBOUR_SOLICITATION => ([0; 4], target),
        // Section 4.5: target and destination.
        _ => ([0; 4], [target.clone(), target].concat()),
    }
}
