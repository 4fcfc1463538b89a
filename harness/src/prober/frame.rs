//! Ethernet frames around packets.

use std::{net::IpAddr, ops::Range};

use firedrill_wire::packet::{Arp, Packet, Transport, VlanTag};

use crate::{
    kernel::socket::{
        ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_SERVICE_TAG,
        ETHERTYPE_TAG,
    },
    lab::Link,
};

/// The sender's hardware address in an ARP message for Ethernet and IPv4 (RFC 826).
const ARP_SENDER: Range<usize> = 8..14;

/// An Ethernet frame around a packet or a piece of it, from the far end of a link to the firewall.
pub(crate) fn frame_to_firewall(link: &Link, packet: &Packet, piece: &[u8]) -> Vec<u8> {
    let ether = &packet.ether;
    let from = ether.source.unwrap_or(link.far_mac);
    let (ethertype, to) = match &packet.transport {
        // Who asks, asks everybody.
        Transport::Arp(arp) => (ETHERTYPE_ARP, (arp.operation == 1).then_some([0xff; 6])),
        _ if packet.destination.is_ipv6() => (ETHERTYPE_IPV6, group_address(packet.destination)),
        _ => (ETHERTYPE_IPV4, group_address(packet.destination)),
    };
    let to = ether.destination.or(to);
    let mut filled = Vec::new();
    let piece = if let Transport::Arp(Arp { sender: None, .. }) = &packet.transport {
        filled.extend_from_slice(piece);
        if let Some(sender) = filled.get_mut(ARP_SENDER) {
            sender.copy_from_slice(&from);
        }
        &filled[..]
    } else {
        piece
    };
    let to = to.unwrap_or(link.firewall_mac);
    let tags: Vec<&VlanTag> = link.tags.iter().chain(&ether.vlan).collect();
    let Some((outermost, inner)) = tags.split_first() else {
        return frame(to, from, ethertype, piece);
    };
    let tag_type = |tag: &VlanTag| {
        if tag.service {
            ETHERTYPE_SERVICE_TAG
        } else {
            ETHERTYPE_TAG
        }
    };
    let mut payload = Vec::new();
    let following = inner.iter().map(|tag| tag_type(tag)).chain([ethertype]);
    for (tag, next) in tags.iter().zip(following) {
        let control = u16::from(tag.priority) << 13 | u16::from(tag.dei) << 12 | tag.id;
        payload.extend(control.to_be_bytes());
        payload.extend(next.to_be_bytes());
    }
    payload.extend_from_slice(piece);
    frame(to, from, tag_type(outermost), &payload)
}

/// The group address that a broadcast or multicast packet is sent to (RFC 1112 section 6.4, RFC 2464
/// section 7).
fn group_address(destination: IpAddr) -> Option<[u8; 6]> {
    match destination {
        IpAddr::V4(all) if all.is_broadcast() => Some([0xff; 6]),
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let [.., a, b, c, d] = group.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// An Ethernet frame.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_HEADER + payload.len());
    frame.extend_from_slice(&to);
    frame.extend_from_slice(&from);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use etherparse::{LinkExtSlice, SlicedPacket};
    use firedrill_wire::packet::{Udp, craft};

    use super::*;
    use crate::kernel::socket::tag;

    fn packet(destination: &str) -> Packet {
        let destination: IpAddr = destination.parse().unwrap();
        let source = if destination.is_ipv6() {
            "2001:db8::7"
        } else {
            "198.51.100.7"
        };
        let udp = Udp {
            sport: 1,
            dport: 2,
            ..Udp::default()
        };
        Packet::new(
            source.parse().unwrap(),
            destination,
            0xfd00_0001,
            Transport::Udp(udp),
        )
    }

    /// The independent oracle is etherparse.
    #[test]
    fn tags_of_the_interface_and_of_the_packet_follow_each_other() {
        let outer = VlanTag {
            id: 100,
            service: true,
            ..VlanTag::default()
        };
        let mut probe = packet("192.0.2.1");
        probe.ether.vlan = vec![VlanTag {
            id: 5,
            priority: 3,
            dei: true,
            service: false,
        }];
        let frame = frame_to_firewall(&Link::example(vec![outer]), &probe, &craft(&probe));
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let tags: Vec<_> = parsed
            .link_exts
            .iter()
            .filter_map(|extension| match extension {
                LinkExtSlice::Vlan(tag) => Some(tag),
                _ => None,
            })
            .map(|tag| {
                (
                    tag.vlan_identifier().value(),
                    tag.priority_code_point().value(),
                    tag.drop_eligible_indicator(),
                )
            })
            .collect();
        assert_eq!(tags, [(100, 0, false), (5, 3, true)]);
        assert_eq!(frame[12..14], [0x88, 0xa8]);
        assert!(parsed.net.is_some() && parsed.transport.is_some());
        assert_eq!(
            tag(ETHERTYPE_TAG, u16::from_be_bytes([frame[18], frame[19]])),
            probe.ether.vlan[0]
        );
    }

    /// The examples of RFC 1112 section 6.4 and RFC 2464 section 7.
    #[test]
    fn what_is_sent_to_a_group_has_the_address_of_the_group() {
        for (destination, address) in [
            ("224.0.0.1", [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01]),
            ("239.255.1.2", [0x01, 0x00, 0x5e, 0x7f, 0x01, 0x02]),
            ("255.255.255.255", [0xff; 6]),
            ("ff02::1:ff00:5", [0x33, 0x33, 0xff, 0x00, 0x00, 0x05]),
            ("192.0.2.1", [2, 0, 0, 0, 0, 1]),
        ] {
            let probe = packet(destination);
            let frame = frame_to_firewall(&Link::example(Vec::new()), &probe, &craft(&probe));
            assert_eq!(frame[..6], address, "{destination}");
        }
    }
}
