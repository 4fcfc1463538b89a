//! VRRP version 2 (RFC 3768) and 3 (RFC 9568).

use std::net::IpAddr;

use pnet_packet::util;
use serde::{Deserialize, Serialize};

use super::{context::PacketContext, field::put, seen::protocol};
use crate::usual::is_usual;

/// A VRRP advertisement (RFC 3768 section 5.1, RFC 9568 section 5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrrp {
    /// Version, 2 or 3.
    pub version: u8,
    /// Virtual router identifier.
    pub router: u8,
    /// Priority.
    pub priority: u8,
    /// Advertisement interval: seconds in version 2, hundredths of a second in version 3.
    pub interval: u16,
    /// The addresses of the virtual router.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub addresses: Vec<IpAddr>,
}

/// The bytes of an advertisement.
pub(super) fn write(context: &PacketContext, header: &Vrrp) -> Vec<u8> {
    const ADVERTISEMENT: u8 = 1;
    let count = header.addresses.len() as u8;
    let mut bytes = vec![
        header.version << 4 | ADVERTISEMENT,
        header.router,
        header.priority,
        count,
    ];
    if header.version == 2 {
        // No authentication, interval.
        bytes.extend([0, header.interval as u8]);
    } else {
        bytes.extend((header.interval & 0x0fff).to_be_bytes());
    }
    bytes.extend([0, 0]);
    for address in &header.addresses {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // Version 2 has eight bytes of authentication data here.
    bytes.extend(context.mark());
    let truth = if header.version == 2 {
        util::checksum(&bytes, 3)
    } else {
        context.checksum(protocol::VRRP, &bytes, 3)
    };
    put(&mut bytes, 6, truth);
    bytes
}
