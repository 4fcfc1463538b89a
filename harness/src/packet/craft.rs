//! From a [`Packet`] to its bytes, IP header first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::{
    icmp, icmpv6,
    ip::IpNextHeaderProtocol,
    ipv4::{self, Ipv4Flags, MutableIpv4Packet},
    ipv6::MutableIpv6Packet,
    tcp::{self, MutableTcpPacket, TcpOption},
    udp::{self, MutableUdpPacket},
    util,
};

use super::{Packet, Transport, tcp_flag};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
/// Maximum segment size option (RFC 9293 section 3.2): kind, length, two bytes.
const TCP_MSS_OPTION: usize = 4;

/// The bytes of a packet, from its IP header on, with valid lengths and checksums.
///
/// The source and destination must be of one family; a packet with mixed families is crafted in the
/// family of its destination from the unspecified address.
#[must_use]
pub fn craft(packet: &Packet) -> Vec<u8> {
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(packet, source, destination),
        (IpAddr::V6(source), IpAddr::V6(destination)) => ipv6(packet, source, destination),
        (IpAddr::V6(_), IpAddr::V4(destination)) => {
            ipv4(packet, Ipv4Addr::UNSPECIFIED, destination)
        }
        (IpAddr::V4(_), IpAddr::V6(destination)) => {
            ipv6(packet, Ipv6Addr::UNSPECIFIED, destination)
        }
    }
}

fn ipv4(packet: &Packet, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    let payload = transport(packet, IpAddr::V4(source), IpAddr::V4(destination));
    let mut bytes = vec![0; IPV4_HEADER + payload.len()];
    let total = length(bytes.len());
    if let Some(mut header) = MutableIpv4Packet::new(&mut bytes) {
        header.set_version(4);
        header.set_header_length(5);
        header.set_total_length(total);
        // The low 16 bits of the cookie: see `relation`.
        header.set_identification(packet.cookie as u16);
        header.set_flags(Ipv4Flags::DontFragment);
        header.set_ttl(packet.ttl);
        header.set_next_level_protocol(IpNextHeaderProtocol(packet.protocol()));
        header.set_source(source);
        header.set_destination(destination);
        header.set_payload(&payload);
        header.set_checksum(ipv4::checksum(&header.to_immutable()));
    }
    bytes
}

fn ipv6(packet: &Packet, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let payload = transport(packet, IpAddr::V6(source), IpAddr::V6(destination));
    let mut bytes = vec![0; IPV6_HEADER + payload.len()];
    if let Some(mut header) = MutableIpv6Packet::new(&mut bytes) {
        header.set_version(6);
        header.set_flow_label(packet.cookie & 0xf_ffff);
        header.set_payload_length(length(payload.len()));
        header.set_next_header(IpNextHeaderProtocol(packet.protocol()));
        header.set_hop_limit(packet.ttl);
        header.set_source(source);
        header.set_destination(destination);
        header.set_payload(&payload);
    }
    bytes
}

fn transport(packet: &Packet, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    match &packet.transport {
        Transport::Tcp {
            sport,
            dport,
            flags,
        } => tcp(packet.cookie, *sport, *dport, *flags, source, destination),
        Transport::Udp { sport, dport } => udp(packet.cookie, *sport, *dport, source, destination),
        Transport::Icmp {
            kind,
            code,
            rest,
            data,
        } => {
            let mut bytes = Vec::with_capacity(ICMP_HEADER + data.0.len());
            bytes.extend_from_slice(&[*kind, *code, 0, 0]);
            bytes.extend_from_slice(rest);
            bytes.extend_from_slice(&data.0);
            let sum = icmp_checksum(&bytes, source, destination).to_be_bytes();
            bytes[2..4].copy_from_slice(&sum);
            bytes
        }
    }
}

fn tcp(
    cookie: u32,
    sport: u16,
    dport: u16,
    flags: u8,
    source: IpAddr,
    destination: IpAddr,
) -> Vec<u8> {
    // A SYN without options is unlike any system's, and some rulesets refuse it.
    let options = if flags & tcp_flag::SYN != 0 {
        TCP_MSS_OPTION
    } else {
        0
    };
    let mut bytes = vec![0; TCP_HEADER + options];
    if let Some(mut segment) = MutableTcpPacket::new(&mut bytes) {
        segment.set_source(sport);
        segment.set_destination(dport);
        segment.set_sequence(cookie);
        if flags & tcp_flag::ACK != 0 {
            segment.set_acknowledgement(1);
        }
        segment.set_data_offset(((TCP_HEADER + options) / 4) as u8);
        segment.set_flags(flags);
        segment.set_window(64_240);
        if options != 0 {
            segment.set_options(&[TcpOption::mss(1220)]);
        }
        let view = segment.to_immutable();
        let sum = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                tcp::ipv4_checksum(&view, &source, &destination)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                tcp::ipv6_checksum(&view, &source, &destination)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
        };
        segment.set_checksum(sum);
    }
    bytes
}

fn udp(cookie: u32, sport: u16, dport: u16, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let payload = Packet::mark(cookie);
    let mut bytes = vec![0; UDP_HEADER + payload.len()];
    let total = length(bytes.len());
    if let Some(mut datagram) = MutableUdpPacket::new(&mut bytes) {
        datagram.set_source(sport);
        datagram.set_destination(dport);
        datagram.set_length(total);
        datagram.set_payload(&payload);
        let view = datagram.to_immutable();
        let sum = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                udp::ipv4_checksum(&view, &source, &destination)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                udp::ipv6_checksum(&view, &source, &destination)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
        };
        // RFC 768: a computed checksum of zero is sent as all ones; zero means "none".
        datagram.set_checksum(if sum == 0 { 0xffff } else { sum });
    }
    bytes
}

fn icmp_checksum(bytes: &[u8], source: IpAddr, destination: IpAddr) -> u16 {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => icmpv6::Icmpv6Packet::new(bytes)
            .map_or(0, |message| {
                icmpv6::checksum(&message, &source, &destination)
            }),
        (IpAddr::V4(_), _) | (_, IpAddr::V4(_)) => icmp::IcmpPacket::new(bytes).map_or_else(
            || util::checksum(bytes, 1),
            |message| icmp::checksum(&message),
        ),
    }
}

/// A length field. Probes are a few dozen bytes; what cannot be said in 16 bits is never crafted.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};
    use rstest::rstest;

    use super::*;

    fn addresses(family: u8) -> (IpAddr, IpAddr) {
        let (source, destination) = match family {
            4 => ("198.51.100.7", "192.0.2.10"),
            _ => ("2001:db8:ffff::7", "2001:db8::10"),
        };
        (source.parse().unwrap(), destination.parse().unwrap())
    }

    /// The independent oracle is etherparse: it parses strictly and recomputes the checksums.
    #[rstest]
    fn a_tcp_segment_is_valid_to_an_independent_parser(
        #[values(4, 6)] family: u8,
        #[values(0, 0x02, 0x12, 0x29, 0xff)] flags: u8,
    ) {
        let (source, destination) = addresses(family);
        let bytes = craft(&Packet {
            source,
            destination,
            ttl: 64,
            cookie: 0xfd00_0001,
            transport: Transport::Tcp {
                sport: 40_000,
                dport: 443,
                flags,
            },
        });
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
        let bytes = craft(&Packet {
            source,
            destination,
            ttl: 7,
            cookie: 0xfd00_0001,
            transport: Transport::Udp {
                sport: 40_000,
                dport: 53,
            },
        });
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
            let bytes = craft(&Packet {
                source,
                destination,
                ttl: 255,
                cookie: 0xfd00_0001,
                transport: Transport::icmp(kind, 0, 0xfd00_0001, source, destination),
            });
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
