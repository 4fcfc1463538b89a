//! ICMP (RFC 792) and ICMPv6 (RFC 4443), with neighbour discovery (RFC 4861).

use pnet_packet::{icmp, icmpv6};
use serde::{Deserialize, Serialize};

use super::{
    context::{Ends, PacketContext},
    field::Checksum,
};
use crate::{bytes::Bytes, usual::is_usual};

/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes behind the checksum; those that the type asks for when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub rest: Option<[u8; 4]>,
    /// What follows the first eight bytes; what the type asks for when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub data: Option<Bytes>,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// ICMPv6 types that are built with a body of their own (RFC 4861).
mod neighbour {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

const HEADER: usize = 8;

/// Whether the type belongs to neighbour discovery (RFC 4861), whose packets travel with hop limit 255.
#[must_use]
pub fn is_neighbour_discovery(kind: u8) -> bool {
    (neighbour::ROUTER_SOLICITATION..=neighbour::REDIRECT).contains(&kind)
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

/// The packet that an error quotes when its data are not given: a UDP datagram that the destination of the
/// error could have sent to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuotedDatagram {
    /// Source and destination port: the first one of traceroute.
    pub(super) port: u16,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
}

impl Icmp {
    /// What the message quotes; `None` if it is not an error, or has data of its own.
    pub(super) fn quoted(&self, v6: bool) -> Option<QuotedDatagram> {
        let quotes = self.data.is_none() && is_icmp_error(v6, self.kind);
        quotes.then_some(QuotedDatagram {
            port: 33_434,
            ttl: 1,
        })
    }
}

/// The four bytes after the checksum, and the data: as given, or as the type requires. An echo carries the
/// cookie, an error quotes a packet, neighbour discovery names the destination as its target.
fn parts(context: &PacketContext, icmp: &Icmp, quoted: &[u8]) -> ([u8; 4], Vec<u8>) {
    let (usual_rest, usual_data) = usual(context, icmp, quoted);
    let data = icmp.data.as_ref().map(|data| data.0.clone());
    (icmp.rest.unwrap_or(usual_rest), data.unwrap_or(usual_data))
}

fn usual(context: &PacketContext, icmp: &Icmp, quoted: &[u8]) -> ([u8; 4], Vec<u8>) {
    match context.ends {
        Ends::V6(_, target) if is_neighbour_discovery(icmp.kind) => {
            neighbour_discovery(icmp.kind, target.octets())
        }
        Ends::V4(..) | Ends::V6(..) if is_icmp_error(context.is_ipv6(), icmp.kind) => {
            // RFC 1191 and RFC 4443 section 3.2: the MTU is in `rest`.
            let (too_big, mtu) = if context.is_ipv6() {
                (icmp.kind == 2, 1280_u16)
            } else {
                (icmp.kind == 3 && icmp.code == 4, 576)
            };
            let [high, low] = mtu.to_be_bytes();
            let rest = if too_big { [0, 0, high, low] } else { [0; 4] };
            (rest, quoted.to_vec())
        }
        // Twelve bytes, so that the timestamp messages of RFC 792 are whole.
        Ends::V4(..) | Ends::V6(..) => {
            let data = [&context.mark()[..], &[0; 4]].concat();
            (context.cookie.to_be_bytes(), data)
        }
    }
}

fn neighbour_discovery(kind: u8, target: [u8; 16]) -> ([u8; 4], Vec<u8>) {
    match kind {
        // RFC 4861 section 4.2: hop limit 64, no flags, lifetime 0; reachable and retrans time follow.
        neighbour::ROUTER_ADVERTISEMENT => ([64, 0, 0, 0], vec![0; 8]),
        neighbour::ROUTER_SOLICITATION => ([0; 4], Vec::new()),
        // Section 4.4: solicited and override.
        neighbour::NEIGHBOUR_ADVERTISEMENT => ([0x60, 0, 0, 0], target.to_vec()),
        neighbour::NEIGHBOUR_SOLICITATION => ([0; 4], target.to_vec()),
        // Section 4.5: target and destination.
        _ => ([0; 4], [target, target].concat()),
    }
}

/// The bytes of a message; `quoted` are those of the packet that [`Icmp::quoted`] names.
pub(super) fn write(context: &PacketContext, header: &Icmp, quoted: &[u8]) -> Vec<u8> {
    let (rest, data) = parts(context, header, quoted);
    let mut bytes = Vec::with_capacity(HEADER + data.len());
    bytes.extend_from_slice(&[header.kind, header.code, 0, 0]);
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(&data);
    let sum = match context.ends {
        Ends::V4(..) => icmp::IcmpPacket::new(&bytes).map(|view| icmp::checksum(&view)),
        Ends::V6(source, destination) => icmpv6::Icmpv6Packet::new(&bytes)
            .map(|view| icmpv6::checksum(&view, &source, &destination)),
    };
    // The header is there: it was written above.
    let sum = Checksum::of(header.checksum, sum.unwrap_or_default());
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}
