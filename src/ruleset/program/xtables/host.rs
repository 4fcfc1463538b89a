//! Matches on what the host knows of a packet: its socket, routing, interfaces, clock and processor. And matches
//! on bytes anywhere in it.

use std::ops::RangeInclusive;

use super::{
    info::Info,
    value::{InterfacePattern, Invertible, MaskedAddress, MaskedNumber},
};

/// `owner`, revision 1 (`struct xt_owner_match_info`): who sent a packet. A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnerMatch {
    /// Users.
    pub user: Option<Invertible<RangeInclusive<u32>>>,
    /// Groups.
    pub group: Option<Invertible<RangeInclusive<u32>>>,
    /// Whether the packet must have a socket, or none.
    pub socket: Option<bool>,
    /// Whether the supplementary groups of the sender count, too.
    pub supplementary_groups: bool,
}

impl OwnerMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let users = info.u32()?..=info.u32()?;
        let groups = info.u32()?..=info.u32()?;
        let [tested, inverted] = info.array()?;
        info.align(4)?;
        if tested & !0x0f != 0 || inverted & !tested != 0 || inverted & 8 != 0 {
            return None;
        }
        let test = |range, bit: u8| {
            (tested & bit != 0).then(|| Invertible::new(range, inverted & bit != 0))
        };
        Some(Self {
            user: test(users, 1),
            group: test(groups, 2),
            socket: (tested & 4 != 0).then_some(inverted & 4 == 0),
            supplementary_groups: tested & 8 != 0,
        })
    }

    /// Whether a packet without a socket matches (`owner_mt`, net/netfilter/xt_owner.c): every part that is
    /// tested must be inverted.
    pub fn matches_without_socket(&self) -> bool {
        let is_inverted = |test: &Option<Invertible<RangeInclusive<u32>>>| {
            test.as_ref().is_none_or(|test| test.inverted)
        };
        is_inverted(&self.user)
            && is_inverted(&self.group)
            && self.socket != Some(true)
            && !self.supplementary_groups
    }
}

/// `physdev` (`struct xt_physdev_info`): ports of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhysdevMatch {
    /// The port that received the packet; `None` if it is not tested.
    pub input: Option<Invertible<InterfacePattern>>,
    /// The port that will send it; `None` if it is not tested.
    pub output: Option<Invertible<InterfacePattern>>,
    /// Whether it must be bridged, or must not.
    pub is_bridged: Option<bool>,
    /// Whether it must have come from a port of a bridge, or must not.
    pub has_input: Option<bool>,
    /// Whether it must go to a port of a bridge, or must not.
    pub has_output: Option<bool>,
}

impl PhysdevMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let input = InterfacePattern::from_masked(info.array()?, info.array()?)?;
        let output = InterfacePattern::from_masked(info.array()?, info.array()?)?;
        let [inverted, tested] = info.array()?;
        if (tested | inverted) & !0x1f != 0 {
            return None;
        }
        let name = |pattern, bit: u8| {
            (tested & bit != 0).then(|| Invertible::new(pattern, inverted & bit != 0))
        };
        let flag = |bit: u8| (tested & bit != 0).then_some(inverted & bit == 0);
        Some(Self {
            input: name(input, 0x01),
            output: name(output, 0x02),
            is_bridged: flag(0x04),
            has_input: flag(0x08),
            has_output: flag(0x10),
        })
    }
}

/// `devgroup` (`struct xt_devgroup_info`): groups of interfaces. A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DevgroupMatch {
    /// The group of the receiving interface.
    pub input: Option<Invertible<MaskedNumber>>,
    /// The group of the sending interface.
    pub output: Option<Invertible<MaskedNumber>>,
}

impl DevgroupMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let flags = info.u32()?;
        let (input, output) = (MaskedNumber::read(info)?, MaskedNumber::read(info)?);
        if flags & !0x0f != 0 {
            return None;
        }
        // `devgroup_mt` (net/netfilter/xt_devgroup.c) masks both sides.
        let test = |number: MaskedNumber, tested: u32| {
            let value = number.value & number.mask;
            let number = MaskedNumber { value, ..number };
            (flags & tested != 0).then(|| Invertible::new(number, flags & tested << 1 != 0))
        };
        Some(Self {
            input: test(input, 1),
            output: test(output, 4),
        })
    }
}

/// `rpfilter` (`struct xt_rpfilter_info`): whether a reply would leave by the receiving interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReversePathMatch {
    /// Whether any interface is right.
    pub is_loose: bool,
    /// Whether the mark of the packet is used for the look-up.
    pub uses_mark: bool,
    /// Whether packets from the host's own addresses are right.
    pub accepts_local: bool,
    /// Whether the match is for packets that fail.
    pub inverted: bool,
}

impl ReversePathMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let flags = info.u8()?;
        (flags & !0x0f == 0).then_some(Self {
            is_loose: flags & 1 != 0,
            uses_mark: flags & 2 != 0,
            accepts_local: flags & 4 != 0,
            inverted: flags & 8 != 0,
        })
    }
}

/// `socket`, revisions 0 to 3 (`struct xt_socket_mtinfo3`): whether a socket of the host is open for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SocketMatch {
    /// Whether only transparent sockets count.
    pub is_transparent: bool,
    /// Whether sockets without a local address count, too (`--nowildcard`).
    pub includes_wildcard: bool,
    /// Whether the packet gets the mark of the socket.
    pub restores_mark: bool,
}

impl SocketMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let flags = match revision {
            0 => 0,
            _ => info.u8()?,
        };
        (flags & !0x07 == 0).then_some(Self {
            is_transparent: flags & 1 != 0,
            includes_wildcard: flags & 2 != 0,
            restores_mark: flags & 4 != 0,
        })
    }
}

/// The direction of a policy of IPsec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyDirection {
    /// Of packets that were decrypted.
    In,
    /// Of packets that will be encrypted.
    Out,
}

/// One transformation of a policy. A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyElement {
    /// Source of the tunnel.
    pub source: Option<Invertible<MaskedAddress>>,
    /// Destination of the tunnel.
    pub destination: Option<Invertible<MaskedAddress>>,
    /// The protocol, AH or ESP for example.
    pub protocol: Option<Invertible<u8>>,
    /// Whether it is a tunnel (1) or transport (0).
    pub mode: Option<Invertible<u8>>,
    /// The security parameters index.
    pub spi: Option<Invertible<u32>>,
    /// The number of the request.
    pub request: Option<Invertible<u32>>,
}

/// `policy` (`struct xt_policy_info`): the policy of IPsec.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyMatch {
    /// Of which packets; `None` where the hook decides.
    pub direction: Option<PolicyDirection>,
    /// Whether there must be no policy.
    pub is_none: bool,
    /// Whether every element must match, in its order.
    pub is_strict: bool,
    /// The elements.
    pub elements: Vec<PolicyElement>,
}

impl PolicyMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let mut elements = Vec::new();
        for _ in 0..4 {
            elements.push(PolicyElement::read(info)?);
        }
        let (flags, length) = (info.u16()?, usize::from(info.u16()?));
        if flags & !0x0f != 0 || length > 4 {
            return None;
        }
        elements.truncate(length);
        Some(Self {
            direction: match flags & 3 {
                0 => None,
                1 => Some(PolicyDirection::In),
                2 => Some(PolicyDirection::Out),
                _ => return None,
            },
            is_none: flags & 4 != 0,
            is_strict: flags & 8 != 0,
            elements,
        })
    }
}

impl PolicyElement {
    fn read(info: &mut Info) -> Option<Self> {
        let source = MaskedAddress::normalised(info.address()?, info.address()?)?;
        let destination = MaskedAddress::normalised(info.address()?, info.address()?)?;
        let (spi, request) = (info.u32_be()?, info.u32()?);
        // Bit fields, which begin at the lowest bit on machines with the byte order of x86.
        let [protocol, mode, tested, inverted] = info.array()?;
        let test = |bit: u8| (tested & bit != 0).then_some(inverted & bit != 0);
        Some(Self {
            source: test(1).map(|inverted| Invertible::new(source, inverted)),
            destination: test(2).map(|inverted| Invertible::new(destination, inverted)),
            protocol: test(4).map(|inverted| Invertible::new(protocol, inverted)),
            mode: test(8).map(|inverted| Invertible::new(mode, inverted)),
            spi: test(16).map(|inverted| Invertible::new(spi, inverted)),
            request: test(32).map(|inverted| Invertible::new(request, inverted)),
        })
    }
}

/// `cluster` (`struct xt_cluster_match_info`): the part of the connections that a node of a cluster takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterMatch {
    /// How many nodes there are.
    pub nodes: u32,
    /// Which of them this is, one bit each.
    pub node_mask: Invertible<u32>,
    /// The seed of the hash.
    pub seed: u32,
}

impl ClusterMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (nodes, mask, seed, flags) = (info.u32()?, info.u32()?, info.u32()?, info.u32()?);
        (flags & !1 == 0).then_some(Self {
            nodes,
            node_mask: Invertible::new(mask, flags & 1 != 0),
            seed,
        })
    }
}

/// `cpu` (`struct xt_cpu_info`): the processor that handles the packet.
pub(super) fn read_cpu(info: &mut Info) -> Option<Invertible<u32>> {
    let number = info.u32()?;
    Some(Invertible::new(number, info.wide_flag()?))
}

/// `realm` (`struct xt_realm_info`): the realm of the packet's route.
pub(super) fn read_realm(info: &mut Info) -> Option<Invertible<MaskedNumber>> {
    let number = MaskedNumber::read(info)?;
    let inverted = info.flag()?;
    info.align(4)?;
    Some(Invertible::new(number, inverted))
}

/// `cgroup`, revisions 0 to 2 (`struct xt_cgroup_info_v2`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CgroupMatch {
    /// The class of the first version of control groups.
    Class(Invertible<u32>),
    /// The path of the second version.
    Path(Invertible<String>),
}

impl CgroupMatch {
    pub(super) fn read(info: &mut Info, revision: u8) -> Option<Self> {
        if revision == 0 {
            let class = info.u32()?;
            return Some(Self::Class(Invertible::new(class, info.wide_flag()?)));
        }
        let has_path = info.flag()?;
        let has_class = info.flag()?;
        let inverted_path = info.flag()?;
        let inverted_class = info.flag()?;
        let (path, class) = match revision {
            1 => (info.text::<4096>(), info.u32()?),
            _ => {
                let bytes = info.array::<512>()?;
                let mut inner = Info::new(info.version, &bytes);
                let class = inner.u32()?;
                (Info::new(info.version, &bytes).text::<512>(), class)
            }
        };
        info.pointer()?;
        match (has_path, has_class) {
            (true, false) => Some(Self::Path(Invertible::new(path?, inverted_path))),
            (false, true) => Some(Self::Class(Invertible::new(class, inverted_class))),
            (true, true) | (false, false) => None,
        }
    }
}

/// `time` (`struct xt_time_info`): when the packet came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeMatch {
    /// Seconds since 1970.
    pub date: RangeInclusive<u32>,
    /// Seconds of the day; a start beyond the end is a range over midnight.
    pub daytime: (u32, u32),
    /// Days of the month, by their bits from 1.
    pub month_days: u32,
    /// Days of the week, by their bits from 1 for Monday.
    pub week_days: u8,
    /// Whether the kernel's time zone counts, not UTC.
    pub is_local: bool,
    /// Whether a range over midnight counts as the day on which it begins.
    pub is_contiguous: bool,
}

impl TimeMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let date = info.u32()?..=info.u32()?;
        let daytime = (info.u32()?, info.u32()?);
        let month_days = info.u32()?;
        let [week_days, flags] = info.array()?;
        info.align(4)?;
        (flags & !3 == 0).then_some(Self {
            date,
            daytime,
            month_days,
            week_days,
            is_local: flags & 1 != 0,
            is_contiguous: flags & 2 != 0,
        })
    }
}

/// `string`, revision 1 (`struct xt_string_info`): bytes anywhere in the packet, counted from its IP header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StringMatch {
    /// The bytes.
    pub pattern: Vec<u8>,
    /// Where the search begins.
    pub from: u16,
    /// Where it ends. Kernels before 6.5 compare it with the start of the pattern, later ones with its end
    /// (`skb_find_text`, net/core/skbuff.c).
    pub to: u16,
    /// The algorithm.
    pub algorithm: String,
    /// Whether upper and lower case are the same.
    pub ignores_case: bool,
    /// Whether the match is for packets without the bytes.
    pub inverted: bool,
}

impl StringMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (from, to, algorithm) = (info.u16()?, info.u16()?, info.text::<16>()?);
        let pattern = info.array::<128>()?;
        let [length, flags] = info.array()?;
        info.pointer()?;
        if flags & !3 != 0 {
            return None;
        }
        Some(Self {
            pattern: pattern.get(..usize::from(length))?.to_vec(),
            from,
            to,
            algorithm,
            ignores_case: flags & 2 != 0,
            inverted: flags & 1 != 0,
        })
    }

    /// Searches a packet, from its IP header. `None` if the kernel's version decides: where the bytes begin
    /// within the range and end beyond it.
    pub fn matches(&self, packet: &[u8]) -> Option<bool> {
        let (from, to) = (usize::from(self.from), usize::from(self.to));
        let is_equal = |bytes: &[u8]| match self.ignores_case {
            true => bytes.eq_ignore_ascii_case(&self.pattern),
            false => bytes == self.pattern,
        };
        let length = self.pattern.len().max(1);
        let mut found = packet.windows(length).enumerate().skip(from);
        let first = found.find(|(_, bytes)| is_equal(bytes)).map(|(at, _)| at);
        match first {
            None => Some(self.inverted),
            Some(at) if at + length <= to => Some(!self.inverted),
            Some(at) if at > to => Some(self.inverted),
            Some(_) => None,
        }
    }
}

/// An operation that finds a number in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum U32Operation {
    /// Masks it.
    And(u32),
    /// Shifts it to the left.
    ShiftLeft(u32),
    /// Shifts it to the right.
    ShiftRight(u32),
    /// Adds it to the offset, and reads four bytes from this offset on.
    At(u32),
}

/// One test of `u32`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct U32Test {
    /// The offset of the first four bytes, from the IP header.
    pub offset: u32,
    /// What is done with the number.
    pub operations: Vec<U32Operation>,
    /// What it must be then: in one of these ranges.
    pub ranges: Vec<RangeInclusive<u32>>,
}

/// `u32` (`struct xt_u32`): all tests must succeed, or one must fail if inverted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct U32Match(pub Invertible<Vec<U32Test>>);

impl U32Match {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let mut tests = Vec::new();
        for _ in 0..11 {
            tests.push(U32Test::read(info)?);
        }
        let count = usize::from(info.u8()?);
        let inverted = info.flag()?;
        info.align(4)?;
        if count > 11 {
            return None;
        }
        tests.truncate(count);
        let tests: Option<Vec<U32Test>> = tests.into_iter().collect();
        Some(Self(Invertible::new(tests?, inverted)))
    }
}

impl U32Test {
    /// The outer `None` if the structure is too short; the inner one for a test that no kernel accepts.
    fn read(info: &mut Info) -> Option<Option<Self>> {
        let mut locations = Vec::new();
        for _ in 0..11 {
            locations.push((info.u32()?, info.u8()?));
            info.align(4)?;
        }
        let mut ranges = Vec::new();
        for _ in 0..11 {
            ranges.push(info.u32()?..=info.u32()?);
        }
        let [numbers, values] = info.array::<2>()?.map(usize::from);
        info.align(4)?;
        if numbers > 11 || values > 11 {
            return Some(None);
        }
        locations.truncate(numbers);
        ranges.truncate(values);
        let Some(((offset, _), rest)) = locations.split_first() else {
            return Some(None);
        };
        let operations = rest.iter().map(|(number, operation)| match operation {
            0 => Some(U32Operation::And(*number)),
            1 => Some(U32Operation::ShiftLeft(*number)),
            2 => Some(U32Operation::ShiftRight(*number)),
            3 => Some(U32Operation::At(*number)),
            _ => None,
        });
        Some(operations.collect::<Option<_>>().map(|operations| Self {
            offset: *offset,
            operations,
            ranges,
        }))
    }
}

/// `osf` (`struct nf_osf_info`): a guess at the sender's operating system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OsfMatch {
    /// The system, or all others if inverted.
    pub system: Invertible<String>,
    /// How the time to live is compared, if it is.
    pub ttl: Option<u32>,
    /// What is logged, if anything is.
    pub log_level: Option<u32>,
}

impl OsfMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let system = info.text::<32>()?;
        let (_, flags, level, ttl) = (info.u32()?, info.u32()?, info.u32()?, info.u32()?);
        // `NF_OSF_GENRE`, `NF_OSF_TTL`, `NF_OSF_LOG`, `NF_OSF_INVERT`.
        (flags & !0x0f == 0).then_some(Self {
            system: Invertible::new(system, flags & 8 != 0),
            ttl: (flags & 2 != 0).then_some(ttl),
            log_level: (flags & 4 != 0).then_some(level),
        })
    }
}
