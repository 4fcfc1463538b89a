//! Values that several extensions share.

use std::net::IpAddr;

use super::info::Info;

/// A value that a packet is compared with, or that it must differ from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Invertible<T> {
    /// What the packet is compared with.
    pub value: T,
    /// Whether the match is for the packets that differ.
    pub inverted: bool,
}

impl<T> Invertible<T> {
    /// The value with its inversion.
    pub fn new(value: T, inverted: bool) -> Self {
        Self { value, inverted }
    }

    /// Whether the comparison, inverted where the rule says so, is true.
    pub fn holds(&self, comparison: impl FnOnce(&T) -> bool) -> bool {
        comparison(&self.value) != self.inverted
    }
}

/// A number that is compared under a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaskedNumber {
    /// The value; if it has bits outside of the mask, nothing is equal to it.
    pub value: u32,
    /// The bits that are compared.
    pub mask: u32,
}

impl MaskedNumber {
    /// Whether the number is equal under the mask.
    pub fn contains(self, number: u32) -> bool {
        number & self.mask == self.value
    }

    pub(super) fn read(info: &mut Info) -> Option<Self> {
        Some(Self {
            value: info.u32()?,
            mask: info.u32()?,
        })
    }
}

/// Addresses that are equal under a mask, which need not be a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaskedAddress {
    /// The address; if it has bits outside of the mask, nothing is equal to it.
    pub address: IpAddr,
    /// The bits that are compared.
    pub mask: IpAddr,
}

impl MaskedAddress {
    /// Whether the address is equal under the mask. One of the other family is not.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.mask) == Some(self.address)
    }

    /// Whether every address of the family is equal.
    pub fn is_any(&self) -> bool {
        self.mask.is_unspecified() && self.address.is_unspecified()
    }

    /// Of a comparison that ignores the bits outside of the mask on both sides: they are cleared.
    pub(super) fn normalised(address: IpAddr, mask: IpAddr) -> Option<Self> {
        let address = masked(address, mask)?;
        Some(Self { address, mask })
    }
}

/// `None` for two families.
fn masked(address: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => Some((address & mask).into()),
        (IpAddr::V6(address), IpAddr::V6(mask)) => Some((address & mask).into()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Interfaces by their name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InterfacePattern {
    /// Every interface, and none at all (a packet that was not received).
    Any,
    /// This name.
    Exact(String),
    /// Every name that begins so (`eth+`).
    Prefix(String),
}

impl InterfacePattern {
    /// Whether the interface matches; the kernel compares a missing one as an empty name
    /// (`ip_packet_match`, net/ipv4/netfilter/ip_tables.c).
    pub fn matches(&self, interface: Option<&str>) -> bool {
        let interface = interface.unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Exact(name) => name == interface,
            Self::Prefix(prefix) => interface.starts_with(prefix),
        }
    }

    /// From a name and the mask of its bytes that are compared: all of them and the zero byte behind them, or
    /// only the first ones.
    pub(super) fn from_masked(name: [u8; 16], mask: [u8; 16]) -> Option<Self> {
        let compared = mask.iter().take_while(|byte| **byte == 0xff).count();
        if mask[compared..].iter().any(|byte| *byte != 0) {
            return None;
        }
        let text = |length: usize| String::from_utf8(name[..length].to_vec()).ok();
        match name[..compared].iter().position(|byte| *byte == 0) {
            _ if compared == 0 => Some(Self::Any),
            Some(end) if name[end..compared].iter().all(|byte| *byte == 0) => {
                text(end).map(Self::Exact)
            }
            Some(_) => None,
            None => text(compared).map(Self::Prefix),
        }
    }
}

/// An end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketEnd {
    /// Where it comes from.
    Source,
    /// Where it goes to.
    Destination,
}

/// What a match says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchResult {
    /// The rule goes on.
    Matched,
    /// The rule ends; the next one is evaluated.
    NotMatched,
    /// The packet is malformed for this match, and the kernel drops it at once (`par->hotdrop`).
    Dropped,
}

impl From<bool> for MatchResult {
    fn from(matched: bool) -> Self {
        match matched {
            true => Self::Matched,
            false => Self::NotMatched,
        }
    }
}
