//! SCTP (RFC 9260).

use serde::{Deserialize, Serialize};

use super::{
    context::PacketContext,
    field::{Checksum, length},
};
use crate::{bytes::Bytes, usual::is_usual};

/// An SCTP packet (RFC 9260 section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sctp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Verification tag; 0 when not given, as an INIT has it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub tag: u32,
    /// The CRC32c; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The chunks; one INIT when there is none.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub chunks: Vec<Chunk>,
}

/// A chunk of an SCTP packet (RFC 9260 section 3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Type.
    pub kind: u8,
    /// Flags; those of an unfragmented message in DATA, none in others, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub flags: Option<u8>,
    /// What follows the length; what INIT and DATA must have, or nothing, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub value: Option<Bytes>,
}

/// Chunk types and their defaults (RFC 9260 section 3.3).
mod chunk {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    /// First and last fragment of a message, delivered in order.
    pub const WHOLE: u8 = 0x03;
}

/// What follows the length of a chunk of this type when it is not given.
fn usual_value(context: &PacketContext, kind: u8) -> Vec<u8> {
    let cookie = context.cookie.to_be_bytes();
    match kind {
        // Initiate tag, window, one stream each way, initial TSN.
        chunk::INIT | chunk::INIT_ACK => [&cookie[..], &[0, 1, 0, 0, 0, 1, 0, 1], &cookie].concat(),
        // TSN, stream and sequence number 0, no payload protocol.
        chunk::DATA => [&cookie[..], &[0; 8], &context.mark()].concat(),
        _ => Vec::new(),
    }
}

/// The bytes of a packet, from its common header on.
pub(super) fn write(context: &PacketContext, header: &Sctp) -> Vec<u8> {
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
            None => usual_value(context, chunk.kind),
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
