//! OSPF version 2 (RFC 2328) over IPv4, version 3 (RFC 5340) over IPv6.

use std::net::Ipv4Addr;

use pnet_packet::util;
use serde::{Deserialize, Serialize};

use super::{
    context::PacketContext,
    field::{Payload, length, put},
    seen::protocol,
};
use crate::usual::is_usual;

/// An OSPF packet (RFC 2328 section A.3.1, RFC 5340 section A.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ospf {
    /// Type, 1 for a hello.
    pub kind: u8,
    /// Router ID.
    pub router: Ipv4Addr,
    /// Area ID.
    pub area: Ipv4Addr,
    /// What follows the header.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// The bytes of a packet.
pub(super) fn write(context: &PacketContext, header: &Ospf) -> Vec<u8> {
    let v6 = context.is_ipv6();
    let mut bytes = vec![if v6 { 3 } else { 2 }, header.kind, 0, 0];
    bytes.extend(header.router.octets());
    bytes.extend(header.area.octets());
    // Version 2: checksum, no authentication. Version 3: checksum, instance 0.
    bytes.extend(vec![0; if v6 { 4 } else { 12 }]);
    bytes.extend(header.payload.bytes(context.cookie, &context.mark()));
    let total = length(bytes.len());
    put(&mut bytes, 2, total);
    let truth = if v6 {
        context.checksum(protocol::OSPF, &bytes, 6)
    } else {
        util::checksum(&bytes, 6)
    };
    put(&mut bytes, 12, truth);
    bytes
}
