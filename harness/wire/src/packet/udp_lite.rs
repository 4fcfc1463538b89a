//! UDP-Lite (RFC 3828).

use serde::{Deserialize, Serialize};

use super::{
    context::PacketContext,
    field::{Checksum, Payload, put},
    seen::protocol,
};
use crate::usual::is_usual;

/// A UDP-Lite datagram (RFC 3828 section 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpLite {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// How many bytes the checksum covers, from the header on; 0, which is all of them, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub coverage: u16,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// The bytes of a datagram.
pub(super) fn write(context: &PacketContext, header: &UdpLite) -> Vec<u8> {
    let mut bytes = [header.sport, header.dport, header.coverage, 0]
        .map(u16::to_be_bytes)
        .concat();
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    // RFC 3828 section 3.1: the pseudo header has the length of all, and zero covers all.
    let covered = match header.coverage {
        0 => bytes.len(),
        some => usize::from(some).min(bytes.len()),
    };
    let mut summed = bytes.clone();
    summed[covered..].fill(0);
    let sum = context.checksum(protocol::UDP_LITE, &summed, 3);
    let truth = if sum == 0 { 0xffff } else { sum };
    put(&mut bytes, 6, Checksum::of(header.checksum, truth));
    bytes
}
