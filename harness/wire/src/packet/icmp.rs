//! ICMP and ICMPv6: what a message of each type carries when nothing else is said.

use std::net::IpAddr;

use super::{Icmp, Packet, Transport, Udp, craft};

/// ICMPv6 types that are built with a body of their own (RFC 4861).
mod neighbour {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

/// Traceroute's first port: what a quoted packet was sent from and to.
const QUOTED_PORT: u16 = 33_434;

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

/// The four bytes behind the checksum and the body: what the message says, or what its type asks for. An
/// echo carries the cookie, an error quotes a packet that the destination could have sent to the source,
/// neighbour discovery names the destination as its target.
pub(super) fn parts(packet: &Packet, icmp: &Icmp) -> ([u8; 4], Vec<u8>) {
    let (rest, data) = (icmp.rest, icmp.data.as_ref().map(|data| data.0.clone()));
    match (rest, data) {
        (Some(rest), Some(data)) => (rest, data),
        (rest, data) => {
            let (usual_rest, usual_data) = usual(packet, icmp);
            (rest.unwrap_or(usual_rest), data.unwrap_or(usual_data))
        }
    }
}

fn usual(packet: &Packet, icmp: &Icmp) -> ([u8; 4], Vec<u8>) {
    let v6 = packet.destination.is_ipv6();
    match packet.destination {
        IpAddr::V6(target) if is_neighbour_discovery(icmp.kind) => {
            neighbour_discovery(icmp.kind, target.octets())
        }
        IpAddr::V4(_) | IpAddr::V6(_) if is_icmp_error(v6, icmp.kind) => {
            let probe = Transport::Udp(Udp {
                sport: QUOTED_PORT,
                dport: QUOTED_PORT,
                ..Udp::default()
            });
            let quoted = Packet {
                ttl: 1,
                ..Packet::new(packet.destination, packet.source, packet.cookie, probe)
            };
            // RFC 1191 and RFC 4443 section 3.2: the MTU stands in `rest`.
            let (too_big, mtu) = if v6 {
                (icmp.kind == 2, 1280_u16)
            } else {
                (icmp.kind == 3 && icmp.code == 4, 576)
            };
            let [high, low] = mtu.to_be_bytes();
            let rest = if too_big { [0, 0, high, low] } else { [0; 4] };
            (rest, craft(&quoted))
        }
        // Twelve bytes, so that the timestamp messages of RFC 792 are whole.
        IpAddr::V4(_) | IpAddr::V6(_) => {
            let mark = Packet::mark(packet.cookie);
            let data = [&mark[..], &[0; 4]].concat();
            (packet.cookie.to_be_bytes(), data)
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
