//! From a [`Packet`] to its bytes, IP header first.

use super::{
    Packet, Transport, fragments,
    ip::{self, body},
    other,
    transport::transport,
};

/// The bytes of a packet as a whole, from its IP header on. Lengths and checksums are valid unless the
/// packet says otherwise.
#[must_use]
pub fn craft(packet: &Packet) -> Vec<u8> {
    let mut bytes = match &packet.transport {
        Transport::Arp(header) => other::arp(packet, header),
        Transport::Bytes(bytes) => bytes.0.clone(),
        _ => {
            let body = body(packet, &transport(packet));
            ip::assemble(packet, &body, packet.ip.fragment.as_ref())
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
        Some(pieces) => fragments::cut(packet, &body(packet, &transport(packet)), pieces),
        None => vec![craft(packet)],
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{SlicedPacket, TransportSlice};
    use pnet_packet::util;
    use rstest::rstest;

    use super::*;
    use crate::packet::{Icmp, Tcp, Udp};

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
}
