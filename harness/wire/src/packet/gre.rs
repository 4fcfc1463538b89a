//! Generic routing encapsulation (RFC 2784, RFC 2890).

use serde::{Deserialize, Serialize};

use super::{context::PacketContext, field::Payload};
use crate::usual::is_usual;

/// A GRE header (RFC 2784, RFC 2890).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gre {
    /// EtherType of what it carries.
    pub protocol: u16,
    /// Version, 0 to 7.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub version: u8,
    /// Key.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub key: Option<u32>,
    /// Sequence number.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sequence: Option<u32>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// The bytes of a header and what it carries.
pub(super) fn write(context: &PacketContext, header: &Gre) -> Vec<u8> {
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let mut flags = 0;
    if header.key.is_some() {
        flags |= KEY;
    }
    if header.sequence.is_some() {
        flags |= SEQUENCE;
    }
    let mut bytes = vec![flags, header.version & 7];
    bytes.extend(header.protocol.to_be_bytes());
    let words = [header.key, header.sequence].into_iter().flatten();
    bytes.extend(words.flat_map(u32::to_be_bytes));
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    bytes
}
