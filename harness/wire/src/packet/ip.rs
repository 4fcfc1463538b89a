//! IP headers: IPv4 with its options (RFC 791), IPv6 with its extension headers (RFC 8200).

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet_packet::{
    ip::IpNextHeaderProtocol,
    ipv4::{self, MutableIpv4Packet},
    ipv6::MutableIpv6Packet,
};

use serde::{Deserialize, Serialize};

use super::{
    context::{Ends, PacketContext},
    field::{Checksum, length},
    seen::protocol,
};
use crate::{bytes::Bytes, usual::is_usual};

/// The IP header beyond addresses and time to live (RFC 791, RFC 8200). What a family does not have is
/// ignored in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ip {
    /// Differentiated services code point (RFC 2474), 0 to 63.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dscp: u8,
    /// Explicit congestion notification (RFC 3168), 0 to 3.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ecn: u8,
    /// IPv4 identification; the low half of the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub id: Option<u16>,
    /// IPv4 "don't fragment"; set when not given, except in fragments.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dont_fragment: Option<bool>,
    /// IPv4 reserved flag.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: bool,
    /// IPv4 options as on the wire; padded with zeroes to four bytes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub options: Bytes,
    /// IPv6 flow label; the low 20 bits of the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub flow_label: Option<u32>,
    /// IPv6 extension headers, in order, but for fragment headers.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub extensions: Vec<Extension>,
    /// This packet claims to be a fragment of another.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub fragment: Option<Fragment>,
    /// The protocol, or last next header, if it lies about what follows.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub protocol: Option<u8>,
    /// IPv4 total length or IPv6 payload length, in bytes; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub length: Option<u16>,
    /// IPv4 header length in words of four bytes, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub header_length: Option<u8>,
    /// Version, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub version: Option<u8>,
    /// IPv4 header checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// An IPv6 extension header of the common form (RFC 6564 section 4): next header, length, body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its protocol number.
    pub number: u8,
    /// What follows the length; padded with zeroes to six bytes and then to a multiple of eight.
    pub body: Bytes,
}

/// A claim to be a fragment (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// Where it belongs, in units of eight bytes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub offset: u16,
    /// More fragments follow.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub more: bool,
    /// IPv6: the identification; the cookie when not given. IPv4 has [`Ip::id`].
    #[serde(default, skip_serializing_if = "is_usual")]
    pub id: Option<u32>,
}

/// An IP header to write.
pub(super) struct IpHeader<'a> {
    pub(super) ip: &'a Ip,
    pub(super) context: PacketContext,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
    /// The protocol that follows, if [`Ip::protocol`] does not name another.
    pub(super) protocol: u8,
    /// Whether the packet is sent in fragments.
    pub(super) is_cut: bool,
}

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

/// The part of a packet that is cut when it is fragmented, behind the IP header and the extension headers
/// that every fragment has.
pub(super) struct Body {
    /// Its protocol, or the number of its first extension header.
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
}

/// The extension headers that every fragment has (RFC 8200 section 4.5): up to the last one that routers
/// read.
fn per_fragment(ip: &Ip) -> (&[Extension], &[Extension]) {
    let read_by_routers = |extension: &Extension| {
        matches!(extension.number, protocol::HOP_BY_HOP | protocol::ROUTING)
    };
    let extensions = &ip.extensions;
    let split = extensions.iter().rposition(read_by_routers);
    extensions.split_at(split.map_or(0, |last| last + 1))
}

/// What follows the headers that every fragment has, around the transport header and its payload.
pub(super) fn body(header: &IpHeader<'_>, transport: &[u8]) -> Body {
    let protocol = header.ip.protocol.unwrap_or(header.protocol);
    let (first, mut bytes) = match header.context.ends {
        Ends::V4(..) => (protocol, Vec::new()),
        Ends::V6(..) => chain(per_fragment(header.ip).1, protocol),
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
pub(super) fn write(header: &IpHeader<'_>, body: &Body, fragment: Option<&Fragment>) -> Vec<u8> {
    match header.context.ends {
        Ends::V4(source, destination) => ipv4(header, body, fragment, source, destination),
        Ends::V6(source, destination) => ipv6(header, body, fragment, source, destination),
    }
}

fn ipv4(
    outer: &IpHeader<'_>,
    body: &Body,
    fragment: Option<&Fragment>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Vec<u8> {
    let ip = outer.ip;
    let mut options = match fragment {
        Some(fragment) if outer.is_cut && fragment.offset > 0 => copied(&ip.options.0),
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
        header.set_identification(ip.id.unwrap_or(outer.context.cookie as u16));
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
        header.set_ttl(outer.ttl);
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
    outer: &IpHeader<'_>,
    body: &Body,
    fragment: Option<&Fragment>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Vec<u8> {
    let ip = outer.ip;
    let behind = if fragment.is_some() {
        protocol::FRAGMENT
    } else {
        body.protocol
    };
    let (first, extensions) = chain(per_fragment(outer.ip).0, behind);
    let mut bytes = vec![0; IPV6_HEADER];
    bytes.extend(extensions);
    if let Some(fragment) = fragment {
        let mut header = [0; FRAGMENT_HEADER];
        header[0] = body.protocol;
        let place = fragment.offset << 3 | u16::from(fragment.more);
        header[2..4].copy_from_slice(&place.to_be_bytes());
        let id = fragment.id.unwrap_or(outer.context.cookie);
        header[4..].copy_from_slice(&id.to_be_bytes());
        bytes.extend(header);
    }
    bytes.extend_from_slice(&body.bytes);
    let payload = length(bytes.len() - IPV6_HEADER);
    if let Some(mut header) = MutableIpv6Packet::new(&mut bytes) {
        header.set_version(ip.version.unwrap_or(6));
        header.set_traffic_class(ip.dscp << 2 | ip.ecn);
        header.set_flow_label(ip.flow_label.unwrap_or(outer.context.cookie & 0xf_ffff));
        header.set_payload_length(ip.length.unwrap_or(payload));
        header.set_next_header(IpNextHeaderProtocol(first));
        header.set_hop_limit(outer.ttl);
        header.set_source(source);
        header.set_destination(destination);
    }
    bytes
}
