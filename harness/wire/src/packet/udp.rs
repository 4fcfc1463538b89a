//! UDP (RFC 768).

use pnet_packet::udp::{self, MutableUdpPacket};
use serde::{Deserialize, Serialize};

use super::{
    context::{Ends, PacketContext},
    field::{Checksum, Payload, length},
};
use crate::usual::is_usual;

/// A UDP datagram (RFC 768).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The length of header and data; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub length: Option<u16>,
    /// The checksum; the true one when not given. Zero means that there is none.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

const HEADER: usize = 8;

/// The bytes of a datagram.
pub(super) fn write(context: &PacketContext, header: &Udp) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    let total = length(bytes.len());
    if let Some(mut datagram) = MutableUdpPacket::new(&mut bytes) {
        datagram.set_source(header.sport);
        datagram.set_destination(header.dport);
        datagram.set_length(header.length.unwrap_or(total));
        let view = datagram.to_immutable();
        let sum = match context.ends {
            Ends::V4(source, destination) => udp::ipv4_checksum(&view, &source, &destination),
            Ends::V6(source, destination) => udp::ipv6_checksum(&view, &source, &destination),
        };
        // RFC 768: a computed checksum of zero is sent as all ones; zero means "none".
        let truth = if sum == 0 { 0xffff } else { sum };
        datagram.set_checksum(Checksum::of(header.checksum, truth));
    }
    bytes
}
