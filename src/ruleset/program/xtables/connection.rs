//! Matches on connection tracking.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    info::Info,
    value::{Invertible, MaskedAddress, MaskedNumber},
};

/// States of connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ConnectionStates {
    /// `INVALID`: no connection is known.
    pub invalid: bool,
    /// `ESTABLISHED`.
    pub established: bool,
    /// `RELATED`.
    pub related: bool,
    /// `NEW`.
    pub new: bool,
    /// `UNTRACKED`.
    pub untracked: bool,
    /// `SNAT`: the source of the connection is translated.
    pub snat: bool,
    /// `DNAT`: its destination is translated.
    pub dnat: bool,
}

impl ConnectionStates {
    /// The mask of `state` (linux/netfilter/xt_state.h).
    fn from_state(mask: u32) -> Option<Self> {
        (mask & !0x4f == 0).then(|| Self {
            untracked: mask & 0x40 != 0,
            ..Self::tracked(mask)
        })
    }

    /// The mask of `conntrack` (linux/netfilter/xt_conntrack.h).
    fn from_conntrack(mask: u16) -> Option<Self> {
        (mask & !0x1cf == 0).then(|| Self {
            snat: mask & 0x40 != 0,
            dnat: mask & 0x80 != 0,
            untracked: mask & 0x100 != 0,
            ..Self::tracked(mask.into())
        })
    }

    fn tracked(mask: u32) -> Self {
        Self {
            invalid: mask & 1 != 0,
            established: mask & 2 != 0,
            related: mask & 4 != 0,
            new: mask & 8 != 0,
            ..Self::default()
        }
    }

    /// Whether both have a state in common.
    pub fn intersects(self, other: Self) -> bool {
        self.invalid && other.invalid
            || self.established && other.established
            || self.related && other.related
            || self.new && other.new
            || self.untracked && other.untracked
            || self.snat && other.snat
            || self.dnat && other.dnat
    }

    pub(super) fn read(info: &mut Info) -> Option<Self> {
        Self::from_state(info.u32()?)
    }
}

/// The direction of a packet in its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionDirection {
    /// That of the packet which opened it.
    Original,
    /// The other one.
    Reply,
}

/// Addresses and ports of a direction of a connection. A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TupleTest {
    /// Address of the source.
    pub source: Option<Invertible<MaskedAddress>>,
    /// Address of the destination.
    pub destination: Option<Invertible<MaskedAddress>>,
    /// Port of the source.
    pub source_ports: Option<Invertible<RangeInclusive<u16>>>,
    /// Port of the destination.
    pub destination_ports: Option<Invertible<RangeInclusive<u16>>>,
}

/// `conntrack`, revisions 1 to 3 (`struct xt_conntrack_mtinfo3`). A part that is not tested is `None`. Without a
/// connection, only the states are tested, and without states nothing matches (`conntrack_mt`,
/// net/netfilter/xt_conntrack.c).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConntrackMatch {
    /// States.
    pub states: Option<Invertible<ConnectionStates>>,
    /// The transport protocol of the connection.
    pub protocol: Option<Invertible<u16>>,
    /// Addresses and ports of the original direction.
    pub original: TupleTest,
    /// Addresses and ports of the replies.
    pub reply: TupleTest,
    /// Bits of `enum ip_conntrack_status`, of which one must be set.
    pub status: Option<Invertible<u16>>,
    /// Seconds until the connection expires.
    pub expires: Option<Invertible<RangeInclusive<u32>>>,
    /// The direction of the packet.
    pub direction: Option<ConnectionDirection>,
}

/// Bits of `match_flags` and `invert_flags`.
mod part {
    pub(super) const STATE: u16 = 1;
    pub(super) const PROTOCOL: u16 = 1 << 1;
    /// And the following three: original source and destination, reply source and destination.
    pub(super) const ADDRESSES: u16 = 1 << 2;
    pub(super) const STATUS: u16 = 1 << 6;
    pub(super) const EXPIRES: u16 = 1 << 7;
    /// And the following three, as the addresses.
    pub(super) const PORTS: u16 = 1 << 8;
    pub(super) const DIRECTION: u16 = 1 << 12;
}

impl ConntrackMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let mut addresses = Vec::new();
        for _ in 0..4 {
            addresses.push(MaskedAddress::normalised(info.address()?, info.address()?)?);
        }
        let expires = info.u32()?..=info.u32()?;
        let protocol = info.u16()?;
        let mut ports = Vec::new();
        for _ in 0..4 {
            // Revision 3 has them in the order of the machine, for its ranges.
            let port = if revision < 3 {
                info.u16_be()?
            } else {
                info.u16()?
            };
            ports.push(port..=port);
        }
        let (tested, inverted) = (info.u16()?, info.u16()?);
        let mask = |info: &mut Info| match revision {
            1 => info.u8().map(u16::from),
            _ => info.u16(),
        };
        let (states, status) = (mask(info)?, mask(info)?);
        if revision == 3 {
            for ports in &mut ports {
                *ports = *ports.start()..=info.u16()?;
            }
        }
        info.align(4)?;
        // Bit 13 is for the listing only: the rule was written as `state`.
        if tested & !0x3fff != 0 {
            return None;
        }
        let test = |bit: u16| (tested & bit != 0).then_some(inverted & bit != 0);
        let tuple = |first: usize| TupleTest {
            source: test(part::ADDRESSES << first).map(|i| Invertible::new(addresses[first], i)),
            destination: test(part::ADDRESSES << (first + 1))
                .map(|i| Invertible::new(addresses[first + 1], i)),
            source_ports: test(part::PORTS << first)
                .map(|i| Invertible::new(ports[first].clone(), i)),
            destination_ports: test(part::PORTS << (first + 1))
                .map(|i| Invertible::new(ports[first + 1].clone(), i)),
        };
        let states = ConnectionStates::from_conntrack(states);
        Some(Self {
            states: match test(part::STATE) {
                Some(inverted) => Some(Invertible::new(states?, inverted)),
                None => None,
            },
            protocol: test(part::PROTOCOL).map(|inverted| Invertible::new(protocol, inverted)),
            original: tuple(0),
            reply: tuple(2),
            status: test(part::STATUS).map(|inverted| Invertible::new(status, inverted)),
            expires: test(part::EXPIRES).map(|inverted| Invertible::new(expires, inverted)),
            direction: test(part::DIRECTION).map(|inverted| match inverted {
                false => ConnectionDirection::Original,
                true => ConnectionDirection::Reply,
            }),
        })
    }
}

/// `mark` and `connmark`, revision 1 (`struct xt_mark_mtinfo1`, `struct xt_connmark_mtinfo1`).
pub(super) fn read_mark(info: &mut Info) -> Option<Invertible<MaskedNumber>> {
    let number = MaskedNumber::read(info)?;
    let inverted = info.flag()?;
    info.align(4)?;
    Some(Invertible::new(number, inverted))
}

/// `connlimit` (`struct xt_connlimit_info`): counts the connections of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnlimitMatch {
    /// Which part of the address is counted together.
    pub mask: IpAddr,
    /// The match is for more connections than this, or for at most as many if inverted.
    pub limit: Invertible<u32>,
    /// Whether the address is that of the destination.
    pub by_destination: bool,
}

impl ConnlimitMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (mask, limit, flags) = (info.address()?, info.u32()?, info.u32()?);
        info.pointer()?;
        (flags & !3 == 0).then(|| Self {
            mask,
            limit: Invertible::new(limit, flags & 1 != 0),
            by_destination: flags & 2 != 0,
        })
    }
}

/// What `connbytes` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnbytesUnit {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Bytes per packet.
    AveragePacket,
}

/// `connbytes` (`struct xt_connbytes_info`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnbytesMatch {
    /// How much; the kernel inverts a range whose start is beyond its end, which is inverted here.
    pub count: Invertible<RangeInclusive<u64>>,
    /// Of what.
    pub unit: ConnbytesUnit,
    /// In which direction; `None` for both together.
    pub direction: Option<ConnectionDirection>,
}

impl ConnbytesMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (from, to) = (info.u64()?, info.u64()?);
        let unit = match info.u8()? {
            0 => ConnbytesUnit::Packets,
            1 => ConnbytesUnit::Bytes,
            2 => ConnbytesUnit::AveragePacket,
            _ => return None,
        };
        let direction = match info.u8()? {
            0 => Some(ConnectionDirection::Original),
            1 => Some(ConnectionDirection::Reply),
            2 => None,
            _ => return None,
        };
        info.align(8)?;
        // `connbytes_mt`, net/netfilter/xt_connbytes.c.
        let count = match to >= from {
            true => Invertible::new(from..=to, false),
            false => Invertible::new(to..=from, true),
        };
        Some(Self {
            count,
            unit,
            direction,
        })
    }
}

/// `connlabel` (`struct xt_connlabel_mtinfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnlabelMatch {
    /// The number of the label, which must be set, or must not if inverted.
    pub label: Invertible<u16>,
    /// Whether the label is set first.
    pub sets: bool,
}

impl ConnlabelMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (label, options) = (info.u16()?, info.u16()?);
        (options & !3 == 0).then(|| Self {
            label: Invertible::new(label, options & 1 != 0),
            sets: options & 2 != 0,
        })
    }
}

/// `helper` (`struct xt_helper_info`): the helper of the connection's master. An empty name is any helper.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HelperMatch(pub Invertible<String>);

impl HelperMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let inverted = info.wide_flag()?;
        let name = info.text::<30>()?;
        info.align(4)?;
        Some(Self(Invertible::new(name, inverted)))
    }
}
