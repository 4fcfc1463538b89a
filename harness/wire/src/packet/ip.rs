//! IP headers: IPv4 with its options (RFC 791), IPv6 with its extension headers (RFC 8200).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::{
    ip::IpNextHeaderProtocol,
    ipv4::{self, MutableIpv4Packet},
    ipv6::MutableIpv6Packet,
};

use super::{Checksum, Extension, Fragment, Packet, protocol};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// The longest header that IPv4 can say: 15 words.
const IPV4_LONGEST: usize = 60;
const FRAGMENT_HEADER: usize = 8;

/// IPv4 flags as pnet writes them (RFC 791 section 3.1).
mod flag {
    pub const RESERVED: u8 = 0b100;
    pub const DONT_FRAGMENT: u8 = 0b010;
    pub const MORE_FRAGMENTS: u8 = 0b001;
}

/// Source and destination in one family.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ends {
    /// A packet with mixed families is crafted in the family of its destination from the unspecified
    /// address.
    pub(super) fn of(packet: &Packet) -> Self {
        match (packet.source, packet.destination) {
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

/// The part of a packet that is cut when it is fragmented, behind the IP header and the extension headers
/// that every fragment has.
pub(super) struct Body {
    /// Its protocol, or the number of its first extension header.
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
}

/// The extension headers that every fragment has (RFC 8200 section 4.5): up to the last one that routers
/// read.
fn per_fragment(packet: &Packet) -> (&[Extension], &[Extension]) {
    let read_by_routers = |extension: &Extension| {
        matches!(extension.number, protocol::HOP_BY_HOP | protocol::ROUTING)
    };
    let extensions = &packet.ip.extensions;
    let split = extensions.iter().rposition(read_by_routers);
    extensions.split_at(split.map_or(0, |last| last + 1))
}

/// What follows the headers that every fragment has, around the transport header and its payload.
pub(super) fn body(packet: &Packet, transport: &[u8]) -> Body {
    let protocol = packet.ip.protocol.unwrap_or_else(|| packet.carried());
    let (first, mut bytes) = match Ends::of(packet) {
        Ends::V4(..) => (protocol, Vec::new()),
        Ends::V6(..) => chain(per_fragment(packet).1, protocol),
    };
    bytes.extend_from_slice(transport);
    Body {
        protocol: first,
        bytes,
    }
}

/// Extension headers in front of `last`: the number of the first header, and their bytes.
fn chain(extensions: &[Extension], last: u8) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    let following = extensions.iter().skip(1).map(|extension| extension.number);
    for (extension, next) in extensions.iter().zip(following.chain([last])) {
        let length = (2 + extension.body.0.len()).next_multiple_of(8);
        bytes.extend([next, (length / 8 - 1) as u8]);
        bytes.extend_from_slice(&extension.body.0);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    (extensions.first().map_or(last, |first| first.number), bytes)
}

/// The whole packet, or one of its fragments.
pub(super) fn assemble(packet: &Packet, body: &Body, fragment: Option<&Fragment>) -> Vec<u8> {
    match Ends::of(packet) {
        Ends::V4(source, destination) => ipv4(packet, body, fragment, source, destination),
        Ends::V6(source, destination) => ipv6(packet, body, fragment, source, destination),
    }
}

fn ipv4(
    packet: &Packet,
    body: &Body,
    fragment: Option<&Fragment>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Vec<u8> {
    let ip = &packet.ip;
    let cut = packet.cut.pieces.is_some();
    let mut options = match fragment {
        Some(fragment) if cut && fragment.offset > 0 => copied(&ip.options.0),
        Some(_) | None => ip.options.0.clone(),
    };
    options.truncate(IPV4_LONGEST - IPV4_HEADER);
    options.resize(options.len().next_multiple_of(4), 0);
    let header_length = IPV4_HEADER + options.len();
    let mut bytes = vec![0; header_length];
    bytes.extend_from_slice(&body.bytes);
    let total = length(bytes.len());
    bytes[IPV4_HEADER..header_length].copy_from_slice(&options);
    if let Some(mut header) = MutableIpv4Packet::new(&mut bytes) {
        header.set_version(ip.version.unwrap_or(4));
        header.set_dscp(ip.dscp);
        header.set_ecn(ip.ecn);
        header.set_total_length(ip.length.unwrap_or(total));
        // The low 16 bits of the cookie: see `relation`.
        header.set_identification(ip.id.unwrap_or(packet.cookie as u16));
        let whole = fragment.is_none();
        let mut flags = 0;
        if ip.reserved {
            flags |= flag::RESERVED;
        }
        if ip.dont_fragment.unwrap_or(whole) {
            flags |= flag::DONT_FRAGMENT;
        }
        if let Some(fragment) = fragment {
            if fragment.more {
                flags |= flag::MORE_FRAGMENTS;
            }
            header.set_fragment_offset(fragment.offset);
        }
        header.set_flags(flags);
        header.set_ttl(packet.ttl);
        header.set_next_level_protocol(IpNextHeaderProtocol(body.protocol));
        header.set_source(source);
        header.set_destination(destination);
        // The sum is over the true length of the header.
        header.set_header_length((header_length / 4) as u8);
        let told = ip.header_length.unwrap_or((header_length / 4) as u8);
        let truth = if usize::from(told) * 4 == header_length {
            ipv4::checksum(&header.to_immutable())
        } else {
            header.set_header_length(told);
            header.set_checksum(0);
            let told_bytes = (usize::from(told) * 4).max(IPV4_HEADER);
            let covered = pnet_packet::Packet::packet(&header);
            pnet_packet::util::checksum(&covered[..told_bytes.min(covered.len())], 5)
        };
        header.set_checksum(Checksum::of(ip.checksum, truth));
    }
    bytes
}

/// The options that every fragment has: those with the copied flag (RFC 791 section 3.1).
fn copied(options: &[u8]) -> Vec<u8> {
    const COPIED: u8 = 0x80;
    let (mut kept, mut rest) = (Vec::new(), options);
    while let [kind, ..] = rest {
        let length = match (kind, rest.get(1)) {
            (0, _) => break,
            (1, _) => 1,
            (_, Some(length @ 2..)) => usize::from(*length),
            (_, _) => break,
        };
        let Some((option, behind)) = rest.split_at_checked(length) else {
            break;
        };
        if kind & COPIED != 0 {
            kept.extend_from_slice(option);
        }
        rest = behind;
    }
    kept
}

fn ipv6(
    packet: &Packet,
    body: &Body,
    fragment: Option<&Fragment>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Vec<u8> {
    let ip = &packet.ip;
    let behind = if fragment.is_some() {
        protocol::FRAGMENT
    } else {
        body.protocol
    };
    let (first, extensions) = chain(per_fragment(packet).0, behind);
    let mut bytes = vec![0; IPV6_HEADER];
    bytes.extend(extensions);
    if let Some(fragment) = fragment {
        let mut header = [0; FRAGMENT_HEADER];
        header[0] = body.protocol;
        let place = fragment.offset << 3 | u16::from(fragment.more);
        header[2..4].copy_from_slice(&place.to_be_bytes());
        let id = fragment.id.unwrap_or(packet.cookie);
        header[4..].copy_from_slice(&id.to_be_bytes());
        bytes.extend(header);
    }
    bytes.extend_from_slice(&body.bytes);
    let payload = length(bytes.len() - IPV6_HEADER);
    if let Some(mut header) = MutableIpv6Packet::new(&mut bytes) {
        header.set_version(ip.version.unwrap_or(6));
        header.set_traffic_class(ip.dscp << 2 | ip.ecn);
        header.set_flow_label(ip.flow_label.unwrap_or(packet.cookie & 0xf_ffff));
        header.set_payload_length(ip.length.unwrap_or(payload));
        header.set_next_header(IpNextHeaderProtocol(first));
        header.set_hop_limit(packet.ttl);
        header.set_source(source);
        header.set_destination(destination);
    }
    bytes
}

/// A length field. What cannot be said in 16 bits is said as the most that can be.
pub(super) fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}
