//! Ethernet and its tags.

use serde::{Deserialize, Serialize};

use crate::usual::is_usual;

/// The Ethernet header (IEEE 802.3) and its tags (IEEE 802.1Q). Only for packets that start on a wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ether {
    /// Source address; that of the far end when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub source: Option<[u8; 6]>,
    /// Destination address; that of the firewall's interface when not given, or the one that belongs to
    /// a broadcast or multicast destination.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub destination: Option<[u8; 6]>,
    /// Tags beyond those of the interface itself, the outermost first.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub vlan: Vec<VlanTag>,
}

/// A VLAN tag (IEEE 802.1Q clause 9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanTag {
    /// VLAN identifier, 0 to 4095.
    pub id: u16,
    /// Priority code point, 0 to 7.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub priority: u8,
    /// Drop eligible indicator.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dei: bool,
    /// A service tag (EtherType 0x88a8) instead of a customer tag (0x8100).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub service: bool,
}
