//! ARP (RFC 826) for Ethernet and IPv4.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::usual::is_usual;

/// An ARP message (RFC 826) for Ethernet and IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arp {
    /// Operation: 1 asks, 2 answers.
    pub operation: u16,
    /// Sender's hardware address; that of the frame when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sender: Option<[u8; 6]>,
    /// Target's hardware address; unknown (zero) when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub target: Option<[u8; 6]>,
}

/// Operations.
pub(super) mod operation {
    pub const REQUEST: u16 = 1;
    pub const REPLY: u16 = 2;
}

/// Ethernet and IPv4, with the lengths of their addresses.
const HEADER: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

/// A whole ARP message; a sender's hardware address that is not given is left zero, for the frame to fill in.
pub(super) fn write(source: IpAddr, destination: IpAddr, header: &Arp) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    bytes.extend(header.operation.to_be_bytes());
    for (hardware, address) in [(header.sender, source), (header.target, destination)] {
        bytes.extend(hardware.unwrap_or_default());
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(_) => bytes.extend([0; 4]),
        }
    }
    bytes
}

/// A message as it was seen.
pub(super) struct Message {
    pub(super) operation: u16,
    pub(super) sender_mac: [u8; 6],
    pub(super) sender: IpAddr,
    pub(super) target: IpAddr,
}

impl Message {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use etherparse::ArpPacketSlice;

    use super::*;
    use crate::packet::{Answer, Packet, Relation, Transport, craft, relate_bytes};

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
