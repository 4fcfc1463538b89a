//! IPsec: encapsulating security payload (RFC 4303) and authentication header (RFC 4302).

use serde::{Deserialize, Serialize};

use super::{context::PacketContext, field::Payload};
use crate::usual::is_usual;

/// An ESP header (RFC 4303 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Esp {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// What is encrypted.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An authentication header (RFC 4302 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ah {
    /// Protocol number of what follows.
    pub next_header: u8,
    /// Reserved field.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: u16,
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// What follows the header, behind an integrity check value of twelve zeroes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// The bytes of an encapsulating security payload.
pub(super) fn write_esp(context: &PacketContext, header: &Esp) -> Vec<u8> {
    let mut bytes = [header.spi, header.sequence].map(u32::to_be_bytes).concat();
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    bytes
}

/// The bytes of an authentication header and what follows it.
pub(super) fn write_ah(context: &PacketContext, header: &Ah) -> Vec<u8> {
    const CHECK_VALUE: [u8; 12] = [0; 12];
    // RFC 4302 section 2.2: the length in words of four bytes, less two.
    const LENGTH: u8 = 4;
    let mut bytes = vec![header.next_header, LENGTH];
    bytes.extend(header.reserved.to_be_bytes());
    bytes.extend(header.spi.to_be_bytes());
    bytes.extend(header.sequence.to_be_bytes());
    bytes.extend(CHECK_VALUE);
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    bytes
}
