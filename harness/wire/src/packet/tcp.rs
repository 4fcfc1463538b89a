//! TCP (RFC 9293).

use pnet_packet::tcp::{self, MutableTcpPacket};
use serde::{Deserialize, Serialize};

use super::{
    context::{Ends, PacketContext},
    field::{Checksum, Payload},
};
use crate::{bytes::Bytes, usual::is_usual};

/// A TCP segment (RFC 9293 section 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The control bits as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Sequence number; the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub seq: Option<u32>,
    /// Acknowledgment number; 1 with ACK and 0 without when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ack: Option<u32>,
    /// Window; 64240 when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub window: Option<u16>,
    /// Urgent pointer.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub urgent: u16,
    /// Reserved bits, 0 to 15.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: u8,
    /// Data offset in words of four bytes, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub offset: Option<u8>,
    /// Options as on the wire, padded with zeroes to four bytes; a maximum segment size in a SYN when not
    /// given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub options: Option<Bytes>,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// TCP control bits (RFC 9293 section 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
}

const HEADER: usize = 20;
/// The most options that the data offset can say: 15 words with the header.
const MAX_OPTIONS_BYTES: usize = 40;
/// Maximum segment size option (RFC 9293 section 3.2): kind, length, 1220.
const MSS_OPTION: [u8; 4] = [2, 4, 0x04, 0xc4];

/// The bytes of a segment.
pub(super) fn write(context: &PacketContext, header: &Tcp) -> Vec<u8> {
    let mut options = match &header.options {
        Some(options) => options.0.clone(),
        // A SYN without options is unlike any system's, and some rulesets refuse it.
        None if header.flags & tcp_flag::SYN != 0 => MSS_OPTION.to_vec(),
        None => Vec::new(),
    };
    options.truncate(MAX_OPTIONS_BYTES);
    options.resize(options.len().next_multiple_of(4), 0);
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(&options);
    let words = (bytes.len() / 4) as u8;
    bytes.extend(header.payload.bytes(context.cookie, &[]));
    if let Some(mut segment) = MutableTcpPacket::new(&mut bytes) {
        segment.set_source(header.sport);
        segment.set_destination(header.dport);
        segment.set_sequence(header.seq.unwrap_or(context.cookie));
        let acknowledges = header.flags & tcp_flag::ACK != 0;
        segment.set_acknowledgement(header.ack.unwrap_or(u32::from(acknowledges)));
        segment.set_data_offset(header.offset.unwrap_or(words));
        segment.set_reserved(header.reserved);
        segment.set_flags(header.flags);
        segment.set_window(header.window.unwrap_or(64_240));
        segment.set_urgent_ptr(header.urgent);
        let view = segment.to_immutable();
        let sum = match context.ends {
            Ends::V4(source, destination) => tcp::ipv4_checksum(&view, &source, &destination),
            Ends::V6(source, destination) => tcp::ipv6_checksum(&view, &source, &destination),
        };
        segment.set_checksum(Checksum::of(header.checksum, sum));
    }
    bytes
}
