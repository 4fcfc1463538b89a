//! Transport headers with their payload and their checksum.

use pnet_packet::{
    icmp, icmpv6,
    tcp::{self, MutableTcpPacket},
    udp::{self, MutableUdpPacket},
};

use super::{
    Checksum, Icmp, Packet, Tcp, Transport, Udp,
    icmp::parts,
    ip::{Ends, length},
    other, tcp_flag,
};

const TCP_HEADER: usize = 20;
/// The most options that the data offset can say: 15 words with the header.
const TCP_OPTIONS: usize = 40;
/// Maximum segment size option (RFC 9293 section 3.2): kind, length, 1220.
const MSS_OPTION: [u8; 4] = [2, 4, 0x04, 0xc4];
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;

/// The bytes behind the IP header and its extension headers.
pub(super) fn transport(packet: &Packet) -> Vec<u8> {
    let mark = Packet::mark(packet.cookie);
    match &packet.transport {
        Transport::Tcp(header) => tcp(packet, header),
        Transport::Udp(header) => udp(packet, header),
        Transport::Icmp(header) => icmp(packet, header),
        Transport::UdpLite(header) => other::udp_lite(packet, header),
        Transport::Sctp(header) => other::sctp(packet, header),
        Transport::Igmp(header) => other::igmp(packet, header),
        Transport::Gre(header) => other::gre(packet, header),
        Transport::Esp(header) => other::esp(packet, header),
        Transport::Ah(header) => other::ah(packet, header),
        Transport::Ospf(header) => other::ospf(packet, header),
        Transport::Vrrp(header) => other::vrrp(packet, header),
        Transport::Other { payload, .. } => payload.bytes(packet.cookie, &mark),
        // They are whole packets: see `craft`.
        Transport::Arp(_) | Transport::Bytes(_) => Vec::new(),
    }
}

fn tcp(packet: &Packet, header: &Tcp) -> Vec<u8> {
    let mut options = match &header.options {
        Some(options) => options.0.clone(),
        // A SYN without options is unlike any system's, and some rulesets refuse it.
        None if header.flags & tcp_flag::SYN != 0 => MSS_OPTION.to_vec(),
        None => Vec::new(),
    };
    options.truncate(TCP_OPTIONS);
    options.resize(options.len().next_multiple_of(4), 0);
    let mut bytes = vec![0; TCP_HEADER];
    bytes.extend_from_slice(&options);
    let words = (bytes.len() / 4) as u8;
    bytes.extend(header.payload.bytes(packet.cookie, &[]));
    if let Some(mut segment) = MutableTcpPacket::new(&mut bytes) {
        segment.set_source(header.sport);
        segment.set_destination(header.dport);
        segment.set_sequence(header.seq.unwrap_or(packet.cookie));
        let acknowledges = header.flags & tcp_flag::ACK != 0;
        segment.set_acknowledgement(header.ack.unwrap_or(u32::from(acknowledges)));
        segment.set_data_offset(header.offset.unwrap_or(words));
        segment.set_reserved(header.reserved);
        segment.set_flags(header.flags);
        segment.set_window(header.window.unwrap_or(64_240));
        segment.set_urgent_ptr(header.urgent);
        let view = segment.to_immutable();
        let sum = match Ends::of(packet) {
            Ends::V4(source, destination) => tcp::ipv4_checksum(&view, &source, &destination),
            Ends::V6(source, destination) => tcp::ipv6_checksum(&view, &source, &destination),
        };
        segment.set_checksum(Checksum::of(header.checksum, sum));
    }
    bytes
}

fn udp(packet: &Packet, header: &Udp) -> Vec<u8> {
    let mut bytes = vec![0; UDP_HEADER];
    bytes.extend(
        header
            .payload
            .bytes(packet.cookie, &Packet::mark(packet.cookie)),
    );
    let total = length(bytes.len());
    if let Some(mut datagram) = MutableUdpPacket::new(&mut bytes) {
        datagram.set_source(header.sport);
        datagram.set_destination(header.dport);
        datagram.set_length(header.length.unwrap_or(total));
        let view = datagram.to_immutable();
        let sum = match Ends::of(packet) {
            Ends::V4(source, destination) => udp::ipv4_checksum(&view, &source, &destination),
            Ends::V6(source, destination) => udp::ipv6_checksum(&view, &source, &destination),
        };
        // RFC 768: a computed checksum of zero is sent as all ones; zero means "none".
        let truth = if sum == 0 { 0xffff } else { sum };
        datagram.set_checksum(Checksum::of(header.checksum, truth));
    }
    bytes
}

fn icmp(packet: &Packet, header: &Icmp) -> Vec<u8> {
    let (rest, data) = parts(packet, header);
    let mut bytes = Vec::with_capacity(ICMP_HEADER + data.len());
    bytes.extend_from_slice(&[header.kind, header.code, 0, 0]);
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(&data);
    let sum = match Ends::of(packet) {
        Ends::V4(..) => icmp::IcmpPacket::new(&bytes).map(|view| icmp::checksum(&view)),
        Ends::V6(source, destination) => icmpv6::Icmpv6Packet::new(&bytes)
            .map(|view| icmpv6::checksum(&view, &source, &destination)),
    };
    // The header is there: it was written above.
    let sum = Checksum::of(header.checksum, sum.unwrap_or_default());
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}
