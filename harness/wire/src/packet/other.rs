//! Headers of the less common protocols. Whatever room they leave carries the mark.

use std::net::IpAddr;

use pnet_packet::{ip::IpNextHeaderProtocol, util};

use super::{
    Ah, Arp, Checksum, Chunk, Esp, Gre, Igmp, Ospf, Packet, Sctp, UdpLite, Vrrp,
    ip::{Ends, length},
    protocol,
};

/// The Internet checksum (RFC 1071) over `bytes` behind the pseudo header of the packet (RFC 768, RFC 8200
/// section 8.1); the field's own word is left out.
fn checksum(packet: &Packet, protocol: u8, bytes: &[u8], word: usize) -> u16 {
    let protocol = IpNextHeaderProtocol(protocol);
    match Ends::of(packet) {
        Ends::V4(source, destination) => {
            util::ipv4_checksum(bytes, word, &[], &source, &destination, protocol)
        }
        Ends::V6(source, destination) => {
            util::ipv6_checksum(bytes, word, &[], &source, &destination, protocol)
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub(super) fn udp_lite(packet: &Packet, header: &UdpLite) -> Vec<u8> {
    let mut bytes = [header.sport, header.dport, header.coverage, 0]
        .map(u16::to_be_bytes)
        .concat();
    let mark = Packet::mark(packet.cookie);
    bytes.extend(header.payload.bytes(packet.cookie, &mark));
    // RFC 3828 section 3.1: the pseudo header has the length of all, and zero covers all.
    let covered = match header.coverage {
        0 => bytes.len(),
        some => usize::from(some).min(bytes.len()),
    };
    let mut summed = bytes.clone();
    summed[covered..].fill(0);
    let sum = checksum(packet, protocol::UDP_LITE, &summed, 3);
    let truth = if sum == 0 { 0xffff } else { sum };
    put(&mut bytes, 6, Checksum::of(header.checksum, truth));
    bytes
}

/// Chunk types and their defaults (RFC 9260 section 3.3).
mod chunk {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    /// First and last fragment of a message, delivered in order.
    pub const WHOLE: u8 = 0x03;
}

pub(super) fn sctp(packet: &Packet, header: &Sctp) -> Vec<u8> {
    let mut bytes = [header.sport, header.dport].map(u16::to_be_bytes).concat();
    bytes.extend(header.tag.to_be_bytes());
    bytes.extend([0; 4]);
    let init = [Chunk {
        kind: chunk::INIT,
        ..Chunk::default()
    }];
    let chunks = if header.chunks.is_empty() {
        &init[..]
    } else {
        &header.chunks
    };
    for chunk in chunks {
        let value = match &chunk.value {
            Some(value) => value.0.clone(),
            None => usual_chunk(packet, chunk.kind),
        };
        let usual = if chunk.kind == chunk::DATA {
            chunk::WHOLE
        } else {
            0
        };
        bytes.extend([chunk.kind, chunk.flags.unwrap_or(usual)]);
        bytes.extend(length(4 + value.len()).to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // RFC 9260 appendix A: the CRC stands with its lowest byte first.
    let truth = crc32c::crc32c(&bytes);
    let sum = match header.checksum {
        None => truth.to_le_bytes(),
        Some(Checksum::Bad) => (truth ^ 0x5555_5555).to_le_bytes(),
        Some(Checksum::Is(sum)) => sum.to_be_bytes(),
    };
    bytes[8..12].copy_from_slice(&sum);
    bytes
}

fn usual_chunk(packet: &Packet, kind: u8) -> Vec<u8> {
    let cookie = packet.cookie.to_be_bytes();
    match kind {
        // Initiate tag, window, one stream each way, initial TSN.
        chunk::INIT | chunk::INIT_ACK => [&cookie[..], &[0, 1, 0, 0, 0, 1, 0, 1], &cookie].concat(),
        // TSN, stream and sequence number 0, no payload protocol.
        chunk::DATA => [&cookie[..], &[0; 8], &Packet::mark(packet.cookie)].concat(),
        _ => Vec::new(),
    }
}

pub(super) fn igmp(packet: &Packet, header: &Igmp) -> Vec<u8> {
    let mut bytes = vec![header.kind, header.max_response, 0, 0];
    bytes.extend(header.group.octets());
    // RFC 2236 section 2.5: what follows is ignored, but the checksum covers it.
    bytes.extend(Packet::mark(packet.cookie));
    let truth = util::checksum(&bytes, 1);
    put(&mut bytes, 2, Checksum::of(header.checksum, truth));
    bytes
}

pub(super) fn gre(packet: &Packet, header: &Gre) -> Vec<u8> {
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let mut flags = 0;
    if header.key.is_some() {
        flags |= KEY;
    }
    if header.sequence.is_some() {
        flags |= SEQUENCE;
    }
    let mut bytes = vec![flags, header.version & 7];
    bytes.extend(header.protocol.to_be_bytes());
    let words = [header.key, header.sequence].into_iter().flatten();
    bytes.extend(words.flat_map(u32::to_be_bytes));
    bytes.extend(
        header
            .payload
            .bytes(packet.cookie, &Packet::mark(packet.cookie)),
    );
    bytes
}

pub(super) fn esp(packet: &Packet, header: &Esp) -> Vec<u8> {
    let mut bytes = [header.spi, header.sequence].map(u32::to_be_bytes).concat();
    bytes.extend(
        header
            .payload
            .bytes(packet.cookie, &Packet::mark(packet.cookie)),
    );
    bytes
}

pub(super) fn ah(packet: &Packet, header: &Ah) -> Vec<u8> {
    const CHECK_VALUE: [u8; 12] = [0; 12];
    // RFC 4302 section 2.2: the length in words of four bytes, less two.
    const LENGTH: u8 = 4;
    let mut bytes = vec![header.next_header, LENGTH];
    bytes.extend(header.reserved.to_be_bytes());
    bytes.extend(header.spi.to_be_bytes());
    bytes.extend(header.sequence.to_be_bytes());
    bytes.extend(CHECK_VALUE);
    bytes.extend(
        header
            .payload
            .bytes(packet.cookie, &Packet::mark(packet.cookie)),
    );
    bytes
}

pub(super) fn ospf(packet: &Packet, header: &Ospf) -> Vec<u8> {
    let v6 = packet.destination.is_ipv6();
    let mut bytes = vec![if v6 { 3 } else { 2 }, header.kind, 0, 0];
    bytes.extend(header.router.octets());
    bytes.extend(header.area.octets());
    // Version 2: checksum, no authentication. Version 3: checksum, instance 0.
    bytes.extend(vec![0; if v6 { 4 } else { 12 }]);
    bytes.extend(
        header
            .payload
            .bytes(packet.cookie, &Packet::mark(packet.cookie)),
    );
    let total = length(bytes.len());
    put(&mut bytes, 2, total);
    let truth = if v6 {
        checksum(packet, protocol::OSPF, &bytes, 6)
    } else {
        util::checksum(&bytes, 6)
    };
    put(&mut bytes, 12, truth);
    bytes
}

pub(super) fn vrrp(packet: &Packet, header: &Vrrp) -> Vec<u8> {
    const ADVERTISEMENT: u8 = 1;
    let count = header.addresses.len() as u8;
    let mut bytes = vec![
        header.version << 4 | ADVERTISEMENT,
        header.router,
        header.priority,
        count,
    ];
    if header.version == 2 {
        // No authentication, interval.
        bytes.extend([0, header.interval as u8]);
    } else {
        bytes.extend((header.interval & 0x0fff).to_be_bytes());
    }
    bytes.extend([0, 0]);
    for address in &header.addresses {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // Version 2 has eight bytes of authentication data here.
    bytes.extend(Packet::mark(packet.cookie));
    let truth = if header.version == 2 {
        util::checksum(&bytes, 3)
    } else {
        checksum(packet, protocol::VRRP, &bytes, 3)
    };
    put(&mut bytes, 6, truth);
    bytes
}

/// A whole ARP message; a sender's hardware address that is not given is left zero, for the frame to fill in.
pub(super) fn arp(packet: &Packet, header: &Arp) -> Vec<u8> {
    // Ethernet, IPv4, and the lengths of their addresses.
    let mut bytes = vec![0, 1, 0x08, 0, 6, 4];
    bytes.extend(header.operation.to_be_bytes());
    for (hardware, address) in [
        (header.sender, packet.source),
        (header.target, packet.destination),
    ] {
        bytes.extend(hardware.unwrap_or_default());
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(_) => bytes.extend([0; 4]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{SlicedPacket, TransportSlice};
    use rstest::rstest;

    use super::*;
    use crate::packet::{Payload, Transport, craft};

    fn packet(family: u8, transport: Transport) -> Packet {
        let (source, destination) = match family {
            4 => ("198.51.100.7", "192.0.2.10"),
            _ => ("2001:db8:ffff::7", "2001:db8::10"),
        };
        let ends: [IpAddr; 2] = [source, destination].map(|end| end.parse().unwrap());
        Packet::new(ends[0], ends[1], 0xfd00_0001, transport)
    }

    /// RFC 1071: the sum over everything, checksum included, is all ones.
    fn sum(bytes: &[u8]) -> u16 {
        let words = bytes.chunks(2).map(|word| match word {
            [high, low] => u32::from(*high) << 8 | u32::from(*low),
            [high] => u32::from(*high) << 8,
            _ => 0,
        });
        let sum: u32 = words.sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        ((folded & 0xffff) + (folded >> 16)) as u16
    }

    /// The pseudo header of RFC 768 and RFC 8200 section 8.1.
    fn with_pseudo_header(packet: &Packet, protocol: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for address in [packet.source, packet.destination] {
            match address {
                IpAddr::V4(address) => all.extend(address.octets()),
                IpAddr::V6(address) => all.extend(address.octets()),
            }
        }
        all.extend((bytes.len() as u32).to_be_bytes());
        all.extend([0, 0, 0, protocol]);
        all.extend(bytes);
        all
    }

    #[rstest]
    #[case::igmp(2, Transport::Igmp(Igmp { kind: 0x16, max_response: 0, group: [239, 1, 1, 1].into(), checksum: None }))]
    #[case::ospf(89, Transport::Ospf(Ospf { kind: 1, router: [192, 0, 2, 1].into(), area: [0; 4].into(), payload: Payload::Usual }))]
    #[case::vrrp_2(112, Transport::Vrrp(Vrrp { version: 2, router: 1, priority: 100, interval: 1, addresses: vec![[192, 0, 2, 9].into()] }))]
    fn a_checksum_over_the_message_alone_is_right(
        #[case] number: u8,
        #[case] transport: Transport,
    ) {
        let bytes = craft(&packet(4, transport));
        assert_eq!(bytes[9], number);
        assert_eq!(sum(&bytes[20..]), 0xffff);
    }

    #[rstest]
    #[case::udp_lite(136, Transport::UdpLite(UdpLite { sport: 1, dport: 2, ..UdpLite::default() }))]
    #[case::vrrp_3(112, Transport::Vrrp(Vrrp { version: 3, router: 1, priority: 100, interval: 100, addresses: Vec::new() }))]
    fn a_checksum_with_the_pseudo_header_is_right(
        #[case] number: u8,
        #[case] transport: Transport,
        #[values(4, 6)] family: u8,
    ) {
        let probe = packet(family, transport);
        let bytes = craft(&probe);
        let header = if family == 4 { 20 } else { 40 };
        assert_eq!(
            sum(&with_pseudo_header(&probe, number, &bytes[header..])),
            0xffff
        );
    }

    #[test]
    fn ospf_for_ipv6_is_version_3_with_the_pseudo_header() {
        let ospf = Ospf {
            kind: 1,
            router: [192, 0, 2, 1].into(),
            area: [0; 4].into(),
            payload: Payload::Usual,
        };
        let probe = packet(6, Transport::Ospf(ospf));
        let bytes = &craft(&probe)[40..];
        assert_eq!(bytes[0], 3);
        assert_eq!(sum(&with_pseudo_header(&probe, 89, bytes)), 0xffff);
    }

    /// RFC 3828 section 3.1: what is behind the coverage may change.
    #[test]
    fn a_partial_checksum_covers_only_its_part() {
        let partly = |text: &str| {
            let udp = UdpLite {
                sport: 1,
                dport: 2,
                coverage: 8,
                payload: Payload::Is(crate::bytes::Bytes(text.as_bytes().to_vec())),
                ..UdpLite::default()
            };
            craft(&packet(4, Transport::UdpLite(udp)))[26..28].to_vec()
        };
        assert_eq!(partly("one"), partly("two"));
    }

    /// The check value of CRC-32/ISCSI, by which catalogues know it.
    #[test]
    fn the_crc_of_sctp_is_castagnoli_s_and_its_lowest_byte_comes_first() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let sctp = Sctp {
            sport: 1,
            dport: 2,
            ..Sctp::default()
        };
        let mut bytes = craft(&packet(4, Transport::Sctp(sctp)))[20..].to_vec();
        let told = bytes[8..12].to_vec();
        bytes[8..12].fill(0);
        assert_eq!(told, crc32c::crc32c(&bytes).to_le_bytes());
        // INIT, no flags, twenty bytes.
        assert_eq!(bytes[12..16], [1, 0, 0, 20]);
        assert_eq!(bytes.len(), 32);
    }

    /// IPv4 options and fragments, to an independent parser.
    #[test]
    fn headers_are_valid_to_an_independent_parser() {
        let mut probe = packet(
            4,
            Transport::Udp(crate::packet::Udp {
                sport: 1,
                dport: 2,
                ..Default::default()
            }),
        );
        probe.ip.options = crate::bytes::Bytes(vec![148, 4, 0, 0]);
        probe.ip.dscp = 46;
        let bytes = craft(&probe);
        let parsed = SlicedPacket::from_ip(&bytes).unwrap();
        let net = parsed.net.unwrap();
        let header = net.ipv4_ref().unwrap().header();
        assert_eq!(header.dcp().value(), 46);
        assert_eq!(header.options(), [148, 4, 0, 0]);
        assert_eq!(
            header.header_checksum(),
            header.to_header().calc_header_checksum()
        );
        assert!(matches!(parsed.transport, Some(TransportSlice::Udp(_))));
    }

    #[test]
    fn extension_headers_are_valid_to_an_independent_parser() {
        let mut probe = packet(
            6,
            Transport::Udp(crate::packet::Udp {
                sport: 1,
                dport: 2,
                ..Default::default()
            }),
        );
        let extension = |number| crate::packet::Extension {
            number,
            body: crate::bytes::Bytes(vec![1, 4, 0, 0, 0, 0]),
        };
        probe.ip.extensions = vec![extension(0), extension(60)];
        let bytes = craft(&probe);
        let parsed = SlicedPacket::from_ip(&bytes).unwrap();
        assert!(matches!(parsed.transport, Some(TransportSlice::Udp(_))));
    }
}
