//! ARP (RFC 826): how a message relates to a probe. It has no place for a mark, and is known by what it asks.

use std::net::{IpAddr, Ipv4Addr};

use super::{Answer, Arp, Packet, Relation};

/// Operations.
mod operation {
    pub const REQUEST: u16 = 1;
    pub const REPLY: u16 = 2;
}

/// Ethernet and IPv4, with the lengths of their addresses.
const HEADER: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

/// A message as it was seen.
struct Message {
    operation: u16,
    sender_mac: [u8; 6],
    sender: IpAddr,
    target: IpAddr,
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let body = bytes.strip_prefix(&HEADER)?;
        let address = |at: usize| {
            let octets: &[u8; 4] = body.get(at..)?.first_chunk()?;
            Some(IpAddr::V4(Ipv4Addr::from(*octets)))
        };
        Some(Self {
            operation: u16::from_be_bytes(*body.first_chunk()?),
            sender_mac: *body.get(2..)?.first_chunk()?,
            sender: address(8)?,
            target: address(18)?,
        })
    }
}

/// Tells how a message that was seen relates to a probe.
pub(super) fn relate(probe: &Packet, arp: &Arp, bytes: &[u8]) -> Relation {
    let Some(message) = Message::parse(bytes) else {
        return Relation::Unrelated;
    };
    let ends = (message.sender, message.target);
    let mac = arp.sender.is_none_or(|mac| mac == message.sender_mac);
    if message.operation == arp.operation && ends == (probe.source, probe.destination) && mac {
        return Relation::Itself;
    }
    let answers = (arp.operation, message.operation) == (operation::REQUEST, operation::REPLY);
    if answers && ends == (probe.destination, probe.source) {
        return Relation::Answer(Answer::Other);
    }
    Relation::Unrelated
}

#[cfg(test)]
mod tests {
    use etherparse::ArpPacketSlice;

    use super::*;
    use crate::packet::{Transport, craft, relate_bytes};

    fn probe(operation: u16) -> Packet {
        let ends = ["198.51.100.7", "192.0.2.1"].map(|end| end.parse().unwrap());
        let arp = Arp {
            operation,
            sender: Some([2, 0, 0, 0, 0, 7]),
            target: None,
        };
        Packet::new(ends[0], ends[1], 1, Transport::Arp(arp))
    }

    #[test]
    fn a_request_is_valid_to_an_independent_parser() {
        let bytes = craft(&probe(1));
        let parsed = ArpPacketSlice::from_slice(&bytes).unwrap();
        assert_eq!(parsed.operation().0, 1);
        assert_eq!(parsed.sender_hw_addr(), [2, 0, 0, 0, 0, 7]);
        assert_eq!(parsed.sender_protocol_addr(), [198, 51, 100, 7]);
        assert_eq!(parsed.target_protocol_addr(), [192, 0, 2, 1]);
    }

    #[test]
    fn a_request_is_itself_and_its_reply_is_an_answer() {
        let request = probe(1);
        assert_eq!(relate_bytes(&request, &craft(&request)), Relation::Itself);
        let mut reply = probe(2);
        (reply.source, reply.destination) = (request.destination, request.source);
        let reply = craft(&reply);
        assert_eq!(
            relate_bytes(&request, &reply),
            Relation::Answer(Answer::Other)
        );
        let mut other = request.clone();
        other.destination = "192.0.2.2".parse().unwrap();
        assert_eq!(relate_bytes(&request, &craft(&other)), Relation::Unrelated);
        assert_eq!(
            relate_bytes(&request, b"\0\x01\x08\0\x06"),
            Relation::Unrelated
        );
    }
}
