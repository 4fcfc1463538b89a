//! IGMP (RFC 2236).

use std::net::Ipv4Addr;

use pnet_packet::util;
use serde::{Deserialize, Serialize};

use super::{
    context::PacketContext,
    field::{Checksum, put},
};
use crate::usual::is_usual;

/// An IGMP message (RFC 2236 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Igmp {
    /// Type.
    pub kind: u8,
    /// Maximum response time, in tenths of a second.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub max_response: u8,
    /// Group address.
    pub group: Ipv4Addr,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// The bytes of a message.
pub(super) fn write(context: &PacketContext, header: &Igmp) -> Vec<u8> {
    let mut bytes = vec![header.kind, header.max_response, 0, 0];
    bytes.extend(header.group.octets());
    // RFC 2236 section 2.5: what follows is ignored, but the checksum covers it.
    bytes.extend(context.mark());
    let truth = util::checksum(&bytes, 1);
    put(&mut bytes, 2, Checksum::of(header.checksum, truth));
    bytes
}
