//! From a [`Packet`] to its bytes, IP header first.

use super::{
    Packet, Transport, Udp, arp,
    context::{Ends, PacketContext},
    fragments, gre, icmp, igmp,
    ip::{self, Body, IpHeader},
    ipsec, ospf, sctp, tcp, udp, udp_lite, vrrp,
};

/// The bytes of a packet as a whole, from its IP header on. Lengths and checksums are valid unless the
/// packet says otherwise.
#[must_use]
pub fn craft(packet: &Packet) -> Vec<u8> {
    let mut bytes = match &packet.transport {
        Transport::Arp(header) => arp::write(packet.source, packet.destination, header),
        Transport::Bytes(bytes) => bytes.0.clone(),
        _ => {
            let (header, body) = parts(packet);
            ip::write(&header, &body, packet.ip.fragment.as_ref())
        }
    };
    if let Some(length) = packet.cut.truncate {
        bytes.truncate(usize::from(length));
    }
    bytes
}

/// What is sent of a packet: itself, or the fragments it is cut into, in the order of sending.
#[must_use]
pub fn pieces(packet: &Packet) -> Vec<Vec<u8>> {
    match &packet.cut.pieces {
        Some(pieces) => {
            let (header, body) = parts(packet);
            fragments::cut(&header, &body, pieces)
        }
        None => vec![craft(packet)],
    }
}

/// The IP header, and what follows it.
fn parts(packet: &Packet) -> (IpHeader<'_>, Body) {
    let context = PacketContext {
        ends: Ends::of(packet.source, packet.destination),
        cookie: packet.cookie,
    };
    let header = IpHeader {
        ip: &packet.ip,
        context,
        ttl: packet.ttl,
        protocol: packet.carried(),
        is_cut: packet.cut.pieces.is_some(),
    };
    let body = ip::body(&header, &transport(packet, &context));
    (header, body)
}

/// The bytes after the IP header and its extension headers.
fn transport(packet: &Packet, context: &PacketContext) -> Vec<u8> {
    match &packet.transport {
        Transport::Tcp(header) => tcp::write(context, header),
        Transport::Udp(header) => udp::write(context, header),
        Transport::Icmp(header) => {
            let quoted = header.quoted(context.is_ipv6());
            let quoted = quoted.map(|datagram| craft(&quoted_packet(packet, datagram)));
            icmp::write(context, header, &quoted.unwrap_or_default())
        }
        Transport::UdpLite(header) => udp_lite::write(context, header),
        Transport::Sctp(header) => sctp::write(context, header),
        Transport::Igmp(header) => igmp::write(context, header),
        Transport::Gre(header) => gre::write(context, header),
        Transport::Esp(header) => ipsec::write_esp(context, header),
        Transport::Ah(header) => ipsec::write_ah(context, header),
        Transport::Ospf(header) => ospf::write(context, header),
        Transport::Vrrp(header) => vrrp::write(context, header),
        Transport::Other { payload, .. } => payload.bytes(context.cookie, &context.mark()),
        // They are whole packets: see `craft`.
        Transport::Arp(_) | Transport::Bytes(_) => Vec::new(),
    }
}

/// The packet that an ICMP error quotes: from the destination of the error to its source.
fn quoted_packet(error: &Packet, datagram: icmp::QuotedDatagram) -> Packet {
    let udp = Transport::Udp(Udp {
        sport: datagram.port,
        dport: datagram.port,
        ..Udp::default()
    });
    Packet {
        ttl: datagram.ttl,
        ..Packet::new(error.destination, error.source, error.cookie, udp)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{SlicedPacket, TransportSlice};
    use pnet_packet::util;
    use rstest::rstest;

    use super::*;
    use crate::{
        bytes::Bytes,
        packet::{Extension, Icmp, Igmp, Ospf, Payload, Sctp, Tcp, UdpLite, Vrrp},
    };

    fn addresses(family: u8) -> (IpAddr, IpAddr) {
        let (source, destination) = match family {
            4 => ("198.51.100.7", "192.0.2.10"),
            _ => ("2001:db8:ffff::7", "2001:db8::10"),
        };
        (source.parse().unwrap(), destination.parse().unwrap())
    }

    fn packet(family: u8, transport: Transport) -> Packet {
        let (source, destination) = addresses(family);
        Packet::new(source, destination, 0xfd00_0001, transport)
    }

    /// The independent oracle is etherparse: it parses strictly and recomputes the checksums.
    #[rstest]
    fn a_tcp_segment_is_valid_to_an_independent_parser(
        #[values(4, 6)] family: u8,
        #[values(0, 0x02, 0x12, 0x29, 0xff)] flags: u8,
    ) {
        let (source, destination) = addresses(family);
        let bytes = craft(&packet(
            family,
            Transport::Tcp(Tcp {
                sport: 40_000,
                dport: 443,
                flags,
                ..Tcp::default()
            }),
        ));
        let parsed = SlicedPacket::from_ip(&bytes).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = parsed.transport else {
            panic!("not TCP")
        };
        assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, 443));
        assert_eq!(tcp.sequence_number(), 0xfd00_0001);
        assert_eq!(tcp.slice()[13], flags);
        let sum = match (source, destination) {
            (IpAddr::V4(s), IpAddr::V4(d)) => {
                tcp.calc_checksum_ipv4(s.octets(), d.octets()).unwrap()
            }
            (IpAddr::V6(s), IpAddr::V6(d)) => {
                tcp.calc_checksum_ipv6(s.octets(), d.octets()).unwrap()
            }
            _ => unreachable!(),
        };
        assert_eq!(tcp.checksum(), sum);
    }

    #[rstest]
    fn a_udp_datagram_is_valid_to_an_independent_parser(#[values(4, 6)] family: u8) {
        let (source, destination) = addresses(family);
        let bytes = craft(&packet(
            family,
            Transport::Udp(Udp {
                sport: 40_000,
                dport: 53,
                ..Udp::default()
            }),
        ));
        let parsed = SlicedPacket::from_ip(&bytes).unwrap();
        let Some(TransportSlice::Udp(udp)) = parsed.transport else {
            panic!("not UDP")
        };
        assert_eq!((udp.source_port(), udp.destination_port()), (40_000, 53));
        assert_eq!(udp.payload(), b"fdrl\xfd\x00\x00\x01");
        let header = udp.to_header();
        let sum = match (source, destination) {
            (IpAddr::V4(s), IpAddr::V4(d)) => header
                .calc_checksum_ipv4_raw(s.octets(), d.octets(), udp.payload())
                .unwrap(),
            (IpAddr::V6(s), IpAddr::V6(d)) => header
                .calc_checksum_ipv6_raw(s.octets(), d.octets(), udp.payload())
                .unwrap(),
            _ => unreachable!(),
        };
        assert_eq!(udp.checksum(), sum);
    }

    #[rstest]
    fn every_icmp_type_is_valid_to_an_independent_parser(#[values(4, 6)] family: u8) {
        let (source, destination) = addresses(family);
        for kind in 0..=255 {
            let icmp = Icmp {
                kind,
                ..Icmp::default()
            };
            let bytes = craft(&packet(family, Transport::Icmp(icmp)));
            let parsed = SlicedPacket::from_ip(&bytes).unwrap();
            match parsed.transport {
                Some(TransportSlice::Icmpv4(icmp)) => {
                    assert_eq!(icmp.type_u8(), kind);
                    assert_eq!(util::checksum(icmp.slice(), 1), icmp.checksum());
                }
                Some(TransportSlice::Icmpv6(icmp)) => {
                    let (IpAddr::V6(s), IpAddr::V6(d)) = (source, destination) else {
                        unreachable!()
                    };
                    assert_eq!(icmp.type_u8(), kind);
                    assert!(icmp.is_checksum_valid(s.octets(), d.octets()));
                }
                other => panic!("type {kind}: {other:?}"),
            }
        }
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
                payload: Payload::Is(Bytes(text.as_bytes().to_vec())),
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
            Transport::Udp(Udp {
                sport: 1,
                dport: 2,
                ..Default::default()
            }),
        );
        probe.ip.options = Bytes(vec![148, 4, 0, 0]);
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
            Transport::Udp(Udp {
                sport: 1,
                dport: 2,
                ..Default::default()
            }),
        );
        let extension = |number| Extension {
            number,
            body: Bytes(vec![1, 4, 0, 0, 0, 0]),
        };
        probe.ip.extensions = vec![extension(0), extension(60)];
        let bytes = craft(&probe);
        let parsed = SlicedPacket::from_ip(&bytes).unwrap();
        assert!(matches!(parsed.transport, Some(TransportSlice::Udp(_))));
    }
}
