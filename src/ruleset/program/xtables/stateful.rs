//! Matches whose answer depends on earlier packets, or on sets that packets may change.

use std::net::IpAddr;

use super::{
    IpVersion,
    info::Info,
    value::{Invertible, PacketEnd},
};

/// `limit` (`struct xt_rateinfo`): a token bucket of the rule's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitMatch {
    /// The time of one packet, in units of 0.1 ms (`XT_LIMIT_SCALE`).
    pub period: u32,
    /// How many packets match at first.
    pub burst: u32,
}

impl LimitMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (period, burst) = (info.u32()?, info.u32()?);
        // prev, credit, credit_cap, cost: the state of the bucket.
        info.align(8)?;
        info.skip(20)?;
        info.pointer()?;
        Some(Self { period, burst })
    }
}

/// What `hashlimit` keeps a bucket for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HashlimitKeys {
    /// Each address of a sender, under the prefix.
    pub source: bool,
    /// Each port of a sender.
    pub source_port: bool,
    /// Each address of a receiver, under the prefix.
    pub destination: bool,
    /// Each port of a receiver.
    pub destination_port: bool,
}

/// `hashlimit`, revisions 1 to 3 (`struct xt_hashlimit_mtinfo3`): a token bucket for each key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HashlimitMatch {
    /// The name of the table, which all rules of the family that name it share.
    pub name: String,
    /// The time of one packet in units of `1 / scale` seconds; if `counts_bytes`, that of 16 bytes in units of 2⁻³²
    /// seconds.
    pub period: u64,
    /// See `period`: 10,000 in revision 1, 1,000,000 since.
    pub scale: u32,
    /// How many packets match at first.
    pub burst: u64,
    /// What has a bucket of its own.
    pub keys: HashlimitKeys,
    /// Whether the match is for packets above the rate.
    pub inverted: bool,
    /// Whether bytes are counted, not packets.
    pub counts_bytes: bool,
    /// Whether the packets of an interval are compared with the rate, without a bucket (revision 3).
    pub interval_seconds: Option<u32>,
    /// Length of the sender's prefix.
    pub source_prefix: u8,
    /// Length of the receiver's prefix.
    pub destination_prefix: u8,
    /// Buckets of the hash table, 0 for the kernel's choice.
    pub buckets: u32,
    /// The largest number of entries, 0 for no limit.
    pub max_entries: u32,
    /// Milliseconds between two collections of old entries.
    pub collection_interval_ms: u32,
    /// Milliseconds after which an idle entry is removed.
    pub expiry_ms: u32,
}

impl HashlimitMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (name, mode, period, burst) = match revision {
            1 => {
                let name = info.text::<16>()?;
                let (mode, period, burst) = (info.u32()?, info.u32()?, info.u32()?);
                (name, mode, period.into(), burst.into())
            }
            _ => {
                let name = info.text::<255>()?;
                let (period, burst) = (info.u64()?, info.u64()?);
                (name, info.u32()?, period, burst)
            }
        };
        let buckets = info.u32()?;
        let max_entries = info.u32()?;
        let collection_interval_ms = info.u32()?;
        let expiry_ms = info.u32()?;
        let interval = match revision {
            3 => info.u32()?,
            _ => 0,
        };
        let [source_prefix, destination_prefix] = info.array()?;
        info.pointer()?;
        let known = if revision == 1 { 0x3f } else { 0x7f };
        (mode & !known == 0).then(|| Self {
            name,
            period,
            scale: if revision == 1 { 10_000 } else { 1_000_000 },
            burst,
            keys: HashlimitKeys {
                destination: mode & 1 != 0,
                destination_port: mode & 2 != 0,
                source: mode & 4 != 0,
                source_port: mode & 8 != 0,
            },
            inverted: mode & 0x10 != 0,
            counts_bytes: mode & 0x20 != 0,
            interval_seconds: (mode & 0x40 != 0).then_some(interval),
            source_prefix,
            destination_prefix,
            buckets,
            max_entries,
            collection_interval_ms,
            expiry_ms,
        })
    }
}

/// What `recent` does with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecentAction {
    /// `--rcheck`: looks it up.
    Check,
    /// `--set`: adds it, or notes that it came again. Matches always, unless inverted.
    Set,
    /// `--update`: looks it up, and notes that it came again if it is there.
    Update,
    /// `--remove`: looks it up, and removes it.
    Remove,
}

/// `recent` (`struct xt_recent_mtinfo_v1`): a list of addresses that all rules with its name share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecentMatch {
    /// The name of the list, of all families together.
    pub name: String,
    /// What is done.
    pub action: RecentAction,
    /// Whether the match is for packets for which the look-up fails.
    pub inverted: bool,
    /// The address must have come within these seconds; `None` for any time.
    pub seconds: Option<u32>,
    /// It must have come at least as often; `None` for once.
    pub hits: Option<u32>,
    /// Whether the time to live must be that of the entry.
    pub compares_ttl: bool,
    /// Whether entries older than `seconds` are removed.
    pub removes_old: bool,
    /// Which address of the packet.
    pub end: PacketEnd,
    /// The bits of the address that are kept.
    pub mask: IpAddr,
}

impl RecentMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (seconds, hits, flags, inverted) = (info.u32()?, info.u32()?, info.u8()?, info.flag()?);
        let name = info.text::<200>()?;
        let end = match info.u8()? {
            0 => PacketEnd::Source,
            1 => PacketEnd::Destination,
            _ => return None,
        };
        info.align(4)?;
        let mask = match (revision, info.version) {
            (0, IpVersion::V4) => IpAddr::from([0xff; 4]),
            (0, IpVersion::V6) => IpAddr::from([0xff; 16]),
            (_, _) => info.address()?,
        };
        let action = match flags & 0x0f {
            1 => RecentAction::Check,
            2 => RecentAction::Set,
            4 => RecentAction::Update,
            8 => RecentAction::Remove,
            _ => return None,
        };
        (flags & !0x3f == 0).then(|| Self {
            name,
            action,
            inverted,
            seconds: (seconds != 0).then_some(seconds),
            hits: (hits != 0).then_some(hits),
            compares_ttl: flags & 0x10 != 0,
            removes_old: flags & 0x20 != 0,
            end,
            mask,
        })
    }
}

/// `quota` (`struct xt_quota_info`): matches until so many bytes have passed, or from then on if inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuotaMatch(pub Invertible<u64>);

impl QuotaMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let inverted = info.wide_flag()?;
        let bytes = info.u64()?;
        info.pointer()?;
        Some(Self(Invertible::new(bytes, inverted)))
    }
}

/// `statistic` (`struct xt_statistic_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatisticMatch {
    /// By chance, of 2³¹.
    Random(Invertible<u32>),
    /// One packet of `every + 1`.
    Nth {
        /// One less than the number of packets.
        every: u32,
        /// Which packet of them matches, from 0.
        initial: u32,
        /// Whether the match is for all others.
        inverted: bool,
    },
}

impl StatisticMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (mode, flags) = (info.u16()?, info.u16()?);
        let numbers = [info.u32()?, info.u32()?, info.u32()?];
        info.pointer()?;
        let inverted = flags == 1;
        match (mode, flags & !1) {
            (0, 0) => Some(Self::Random(Invertible::new(numbers[0], inverted))),
            (1, 0) => Some(Self::Nth {
                every: numbers[0],
                initial: numbers[1],
                inverted,
            }),
            _ => None,
        }
    }
}

/// Which set, and which parts of a packet are looked up in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetReference {
    /// The set's number in the kernel (`ip_set_id_t`).
    pub index: u16,
    /// For each dimension of an element, from which end of the packet it is taken.
    pub ends: Vec<PacketEnd>,
}

/// The number of no set (`IPSET_INVALID_ID`).
const NO_SET: u16 = 0xffff;

impl SetReference {
    /// `struct xt_set_info`, with its flags.
    pub(super) fn read(info: &mut Info) -> Option<(Self, u8)> {
        let (index, dimensions, flags) = (info.u16()?, info.u8()?, info.u8()?);
        // `IPSET_DIM_MAX`.
        if dimensions > 6 {
            return None;
        }
        let ends = (1..=dimensions).map(|dimension| match flags & 1 << dimension {
            0 => PacketEnd::Destination,
            _ => PacketEnd::Source,
        });
        let ends = ends.collect();
        Some((Self { index, ends }, flags))
    }

    /// `struct xt_set_info_v0`, with whether it is inverted. It ends a list of flags with a zero
    /// (`compat_flags`, net/netfilter/xt_set.c).
    pub(super) fn read_v0(info: &mut Info) -> Option<(Self, bool)> {
        let index = info.u16()?;
        let mut flags = [0; 6];
        for flag in &mut flags {
            *flag = info.u32()?;
        }
        // The kernel's own dimension and flags.
        info.skip(4)?;
        let ends = flags[..5].iter().take_while(|flag| **flag != 0);
        let ends = ends.map(|flag| match flag & 1 {
            0 => PacketEnd::Destination,
            _ => PacketEnd::Source,
        });
        let ends = ends.collect();
        Some((Self { index, ends }, flags[0] & 4 != 0))
    }

    /// `None` if it names no set.
    pub(super) fn of_a_set(self) -> Option<Self> {
        (self.index != NO_SET).then_some(self)
    }
}

/// A comparison of a counter of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetCounterTest {
    /// Equal to this number.
    Equal(u64),
    /// Different from it.
    NotEqual(u64),
    /// Less.
    Less(u64),
    /// Greater.
    Greater(u64),
}

impl SetCounterTest {
    /// The outer `None` for what no kernel knows; the inner one if the counter is not tested.
    fn new(operator: u8, number: u64) -> Option<Option<Self>> {
        Some(match operator {
            0 => None,
            1 => Some(Self::Equal(number)),
            2 => Some(Self::NotEqual(number)),
            3 => Some(Self::Less(number)),
            4 => Some(Self::Greater(number)),
            _ => return None,
        })
    }

    fn read_v3(info: &mut Info) -> Option<Option<Self>> {
        info.align(8)?;
        let operator = info.u8()?;
        Self::new(operator, info.u64()?)
    }

    fn read_v4(info: &mut Info) -> Option<Option<Self>> {
        let number = info.u64()?;
        let test = Self::new(info.u8()?, number);
        info.align(8)?;
        test
    }
}

/// `set`, revisions 0 to 4 (`struct xt_set_info_match_v4`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetMatch {
    /// The set.
    pub set: SetReference,
    /// Whether the match is for packets that are not in it.
    pub inverted: bool,
    /// Whether an element with the flag `nomatch` counts as a hit (`--return-nomatch`).
    pub returns_nomatch: bool,
    /// The counter of packets of the element.
    pub packets: Option<SetCounterTest>,
    /// The counter of bytes of the element.
    pub bytes: Option<SetCounterTest>,
    /// Whether the element's counters stay as they are (`! --update-counters`).
    pub keeps_counters: bool,
    /// Whether those of the members of a list of sets stay (`! --update-subcounters`).
    pub keeps_subcounters: bool,
}

impl SetMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        if revision == 0 {
            let (set, inverted) = SetReference::read_v0(info)?;
            return Some(Self::plain(set, inverted));
        }
        let (set, flags) = SetReference::read(info)?;
        let plain = Self {
            returns_nomatch: flags & 0x80 != 0,
            ..Self::plain(set, flags & 1 != 0)
        };
        let (packets, bytes) = match revision {
            1 | 2 => return Some(plain),
            3 => (
                SetCounterTest::read_v3(info)?,
                SetCounterTest::read_v3(info)?,
            ),
            _ => {
                info.align(8)?;
                (
                    SetCounterTest::read_v4(info)?,
                    SetCounterTest::read_v4(info)?,
                )
            }
        };
        let flags = info.u32()?;
        info.align(8)?;
        // `enum ipset_cmd_flags`; the kernel sets 0x20 and 0x80 itself.
        (flags & !0xb8 == 0).then_some(Self {
            packets,
            bytes,
            keeps_counters: flags & 0x08 != 0,
            keeps_subcounters: flags & 0x10 != 0,
            returns_nomatch: plain.returns_nomatch || flags & 0x80 != 0,
            ..plain
        })
    }

    fn plain(set: SetReference, inverted: bool) -> Self {
        Self {
            set,
            inverted,
            returns_nomatch: false,
            packets: None,
            bytes: None,
            keeps_counters: false,
            keeps_subcounters: false,
        }
    }
}

/// `nfacct` (`struct xt_nfacct_match_info_v1`): counts in an accounting object, and matches if its quota, if it
/// has one, is exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountingMatch {
    /// The name of the object.
    pub name: String,
}

impl AccountingMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let name = info.text::<32>()?;
        info.pointer()?;
        Some(Self { name })
    }
}

/// What `rateest` compares the rate of an estimator with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateestMatch {
    /// The first estimator.
    pub first: String,
    /// The second one, empty if there is none.
    pub second: String,
    /// Bits of `enum xt_rateest_match_flags`.
    pub flags: u16,
    /// One of `enum xt_rateest_match_mode`.
    pub mode: u16,
    /// Bytes per second, of both.
    pub bytes_per_second: [u32; 2],
    /// Packets per second, of both.
    pub packets_per_second: [u32; 2],
}

impl RateestMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (first, second) = (info.text::<16>()?, info.text::<16>()?);
        let (flags, mode) = (info.u16()?, info.u16()?);
        let rates = [info.u32()?, info.u32()?, info.u32()?, info.u32()?];
        info.pointer()?;
        info.pointer()?;
        Some(Self {
            first,
            second,
            flags,
            mode,
            bytes_per_second: [rates[0], rates[2]],
            packets_per_second: [rates[1], rates[3]],
        })
    }
}
