//! Matches on the headers of transport protocols.

use std::ops::RangeInclusive;

use super::{
    info::Info,
    value::{Invertible, MatchResult},
};

/// Ports, and whether they are those that do not match.
pub type PortTest = Invertible<RangeInclusive<u16>>;

/// Reads two numbers as an inclusive range; one whose start is beyond its end holds nothing, as in the kernel.
fn ports(info: &mut Info) -> Option<RangeInclusive<u16>> {
    Some(info.u16()?..=info.u16()?)
}

fn spis(info: &mut Info) -> Option<RangeInclusive<u32>> {
    Some(info.u32()?..=info.u32()?)
}

/// `None` if bits are set that no kernel knows.
fn known(flags: u8, mask: u8) -> Option<u8> {
    (flags & !mask == 0).then_some(flags)
}

/// Flags of TCP under a mask: byte 13 of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlagTest {
    /// The flags that are compared.
    pub mask: u8,
    /// Those that must be set.
    pub set: u8,
}

impl TcpFlagTest {
    /// Whether the flags of a header are equal under the mask.
    pub fn contains(self, flags: u8) -> bool {
        flags & self.mask == self.set
    }
}

/// `tcp` (`struct xt_tcp`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpMatch {
    /// Ports of the sender.
    pub source: PortTest,
    /// Ports of the receiver.
    pub destination: PortTest,
    /// Flags of the header.
    pub flags: Invertible<TcpFlagTest>,
    /// The kind of an option that must be there, or must not if inverted; `None` if any options are right.
    pub option: Option<Invertible<u8>>,
}

impl TcpMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (source, destination) = (ports(info)?, ports(info)?);
        let [option, mask, set, inverted] = info.array()?;
        let inverted = known(inverted, 0x0f)?;
        let flags = TcpFlagTest { mask, set };
        Some(Self {
            source: Invertible::new(source, inverted & 1 != 0),
            destination: Invertible::new(destination, inverted & 2 != 0),
            flags: Invertible::new(flags, inverted & 4 != 0),
            option: (option != 0).then(|| Invertible::new(option, inverted & 8 != 0)),
        })
    }

    /// Matches a TCP header with its options, of a packet that is not a later fragment (`tcp_mt`,
    /// net/netfilter/xt_tcpudp.c).
    pub fn matches(&self, segment: &[u8]) -> MatchResult {
        let Some(header) = segment.first_chunk::<20>() else {
            return MatchResult::Dropped;
        };
        let source = u16::from_be_bytes([header[0], header[1]]);
        let destination = u16::from_be_bytes([header[2], header[3]]);
        if !self.source.holds(|ports| ports.contains(&source))
            || !self.destination.holds(|ports| ports.contains(&destination))
            || !self.flags.holds(|flags| flags.contains(header[13]))
        {
            return MatchResult::NotMatched;
        }
        let Some(option) = &self.option else {
            return MatchResult::Matched;
        };
        let length = usize::from(header[12] >> 4) * 4;
        match tcp_options(segment, length) {
            Some(options) => option.holds(|kind| has_tcp_option(options, *kind)).into(),
            None => MatchResult::Dropped,
        }
    }
}

/// The options of a TCP header with this length; `None` if the segment is shorter.
fn tcp_options(segment: &[u8], header_length: usize) -> Option<&[u8]> {
    segment.get(20..header_length)
}

/// Whether an option of this kind stands in the options of a TCP header (`tcp_find_option`,
/// net/netfilter/xt_tcpudp.c).
pub fn has_tcp_option(options: &[u8], kind: u8) -> bool {
    let mut at = 0;
    while let Some(found) = options.get(at) {
        if *found == kind {
            return true;
        }
        at += tcp_option_length(options, at);
    }
    false
}

/// The end of options and padding are one byte long; others say their length, where zero counts as one.
fn tcp_option_length(options: &[u8], at: usize) -> usize {
    match options[at] {
        0 | 1 => 1,
        _ => usize::from(*options.get(at + 1).unwrap_or(&1)).max(1),
    }
}

/// `udp` and `udplite` (`struct xt_udp`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UdpMatch {
    /// Ports of the sender.
    pub source: PortTest,
    /// Ports of the receiver.
    pub destination: PortTest,
}

impl UdpMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (source, destination) = (ports(info)?, ports(info)?);
        let inverted = known(info.u8()?, 0x03)?;
        info.align(2)?;
        Some(Self {
            source: Invertible::new(source, inverted & 1 != 0),
            destination: Invertible::new(destination, inverted & 2 != 0),
        })
    }

    /// Matches a UDP header, of a packet that is not a later fragment (`udp_mt`, net/netfilter/xt_tcpudp.c).
    pub fn matches(&self, datagram: &[u8]) -> MatchResult {
        let Some(header) = datagram.first_chunk::<8>() else {
            return MatchResult::Dropped;
        };
        let source = u16::from_be_bytes([header[0], header[1]]);
        let destination = u16::from_be_bytes([header[2], header[3]]);
        let matched = self.source.holds(|ports| ports.contains(&source))
            && self.destination.holds(|ports| ports.contains(&destination));
        matched.into()
    }
}

/// Which chunks of an SCTP packet must be of the given types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SctpChunkMode {
    /// At least one chunk is of a type given.
    Any,
    /// Every type given occurs.
    All,
    /// Every chunk is of a type given.
    Only,
}

/// What the flags of chunks of a type must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SctpChunkFlags {
    /// The type of the chunk.
    pub chunk: u8,
    /// The flags that are compared.
    pub mask: u8,
    /// Those that must be set.
    pub set: u8,
}

/// A condition on the chunks of an SCTP packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SctpChunkTest {
    /// How many chunks must match.
    pub mode: SctpChunkMode,
    /// Types of chunks, ascending.
    pub types: Vec<u8>,
    /// Flags by the type of chunk.
    pub flags: Vec<SctpChunkFlags>,
}

/// `sctp` (`struct xt_sctp_info`). A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SctpMatch {
    /// Ports of the sender.
    pub source: Option<PortTest>,
    /// Ports of the receiver.
    pub destination: Option<PortTest>,
    /// Chunks.
    pub chunks: Option<Invertible<SctpChunkTest>>,
}

impl SctpMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (destination, source) = (ports(info)?, ports(info)?);
        let mut types = Vec::new();
        for word in 0..8 {
            let bits = info.u32()?;
            types.extend(
                (0..32)
                    .filter(|bit| bits & (1 << bit) != 0)
                    .map(|bit| word * 32 + bit),
            );
        }
        // `chunkmap` has 64 words, of which the types of chunks need 8.
        info.skip(56 * 4)?;
        let mode = info.u32()?;
        let mut flags = Vec::new();
        for _ in 0..4 {
            let [chunk, set, mask] = info.array()?;
            flags.push(SctpChunkFlags { chunk, mask, set });
        }
        flags.truncate(
            usize::try_from(info.u32()?)
                .ok()
                .filter(|count| *count <= 4)?,
        );
        let (tested, inverted) = (info.u32()?, info.u32()?);
        if tested & !7 != 0 || inverted & !tested != 0 {
            return None;
        }
        let test =
            |range, bit| (tested & bit != 0).then(|| Invertible::new(range, inverted & bit != 0));
        let chunks = match (tested & 4 != 0, mode) {
            (false, _) => None,
            (true, 1) => Some(SctpChunkMode::Any),
            (true, 2) => Some(SctpChunkMode::All),
            (true, 4) => Some(SctpChunkMode::Only),
            (true, _) => return None,
        };
        Some(Self {
            source: test(source, 1),
            destination: test(destination, 2),
            chunks: chunks.map(|mode| {
                let chunks = SctpChunkTest { mode, types, flags };
                Invertible::new(chunks, inverted & 4 != 0)
            }),
        })
    }
}

/// `dccp` (`struct xt_dccp_info`). A part that is not tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DccpMatch {
    /// Ports of the sender.
    pub source: Option<PortTest>,
    /// Ports of the receiver.
    pub destination: Option<PortTest>,
    /// Types of the packet, by the bit of their number.
    pub types: Option<Invertible<u16>>,
    /// The kind of an option that must be there.
    pub option: Option<Invertible<u8>>,
}

impl DccpMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let (destination, source) = (ports(info)?, ports(info)?);
        let (tested, inverted, types, option) = (info.u16()?, info.u16()?, info.u16()?, info.u8()?);
        info.align(2)?;
        if tested & !0x0f != 0 || inverted & !tested != 0 {
            return None;
        }
        let test =
            |range, bit| (tested & bit != 0).then(|| Invertible::new(range, inverted & bit != 0));
        let is_tested = |bit: u16| tested & bit != 0;
        Some(Self {
            source: test(source, 1),
            destination: test(destination, 2),
            types: is_tested(4).then(|| Invertible::new(types, inverted & 4 != 0)),
            option: is_tested(8).then(|| Invertible::new(option, inverted & 8 != 0)),
        })
    }
}

/// `icmp` and `icmp6` (`struct ipt_icmp`, `struct ip6t_icmp`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IcmpMatch {
    /// The type; `None` for every type and code.
    pub kind: Option<u8>,
    /// Codes, where a type is given.
    pub codes: RangeInclusive<u8>,
    /// Whether the match is for other types and codes.
    pub inverted: bool,
}

impl IcmpMatch {
    /// Type 255 is every type in IPv4 (`icmp_type_code_match`, net/netfilter/xt_tcpudp.c).
    pub(super) fn read_v4(info: &mut Info) -> Option<Self> {
        let read = Self::read_v6(info)?;
        Some(match read.kind {
            Some(0xff) => Self {
                kind: None,
                codes: 0..=0xff,
                inverted: read.inverted,
            },
            Some(_) | None => read,
        })
    }

    pub(super) fn read_v6(info: &mut Info) -> Option<Self> {
        let [kind, first, last] = info.array()?;
        Some(Self {
            kind: Some(kind),
            codes: first..=last,
            inverted: info.flag()?,
        })
    }

    /// Matches the type and the code of a message, of a packet that is not a later fragment.
    pub fn matches(&self, kind: u8, code: u8) -> bool {
        let is_equal = self
            .kind
            .is_none_or(|wanted| wanted == kind && self.codes.contains(&code));
        is_equal != self.inverted
    }
}

/// Which ports of a packet `multiport` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MultiportEnd {
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
    /// At least one of both.
    Either,
}

/// `multiport`, revision 1 (`struct xt_multiport_v1`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiportMatch {
    /// Which ports are compared.
    pub end: MultiportEnd,
    /// With which, in the order of the rule.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Whether the match is for packets with other ports.
    pub inverted: bool,
}

impl MultiportMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let end = match info.u8()? {
            0 => MultiportEnd::Source,
            1 => MultiportEnd::Destination,
            2 => MultiportEnd::Either,
            _ => return None,
        };
        let count = usize::from(info.u8()?);
        let mut numbers = [0; 15];
        for number in &mut numbers {
            *number = info.u16()?;
        }
        let starts_range = info.array::<15>()?;
        let mut given = numbers.iter().zip(starts_range).take(count);
        let mut ports = Vec::new();
        while let Some((first, starts_range)) = given.next() {
            let last = match starts_range {
                0 => first,
                _ => given.next()?.0,
            };
            ports.push(*first..=*last);
        }
        let inverted = info.flag()?;
        info.align(2)?;
        (count <= 15).then_some(Self {
            end,
            ports,
            inverted,
        })
    }

    /// Matches the ports of a packet (`ports_match_v1`, net/netfilter/xt_multiport.c). Later fragments do not match, and
    /// a packet that is too short for ports is dropped.
    pub fn matches(&self, source: u16, destination: u16) -> bool {
        let is_given = self.ports.iter().any(|ports| match self.end {
            MultiportEnd::Source => ports.contains(&source),
            MultiportEnd::Destination => ports.contains(&destination),
            MultiportEnd::Either => ports.contains(&source) || ports.contains(&destination),
        });
        is_given != self.inverted
    }
}

/// `tcpmss` (`struct xt_tcpmss_match_info`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpMssMatch(pub Invertible<RangeInclusive<u16>>);

impl TcpMssMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let range = ports(info)?;
        let inverted = info.flag()?;
        info.align(2)?;
        Some(Self(Invertible::new(range, inverted)))
    }

    /// Matches a TCP header with its options (`tcpmss_mt`, net/netfilter/xt_tcpmss.c): a segment without the
    /// option matches if the rule is inverted.
    pub fn matches(&self, segment: &[u8]) -> MatchResult {
        let Some(header) = segment.first_chunk::<20>() else {
            return MatchResult::Dropped;
        };
        let Some(options) = tcp_options(segment, usize::from(header[12] >> 4) * 4) else {
            return MatchResult::Dropped;
        };
        let size = maximum_segment_size(options);
        let is_in_range =
            |range: &RangeInclusive<u16>| size.is_some_and(|size| range.contains(&size));
        self.0.holds(is_in_range).into()
    }
}

fn maximum_segment_size(options: &[u8]) -> Option<u16> {
    let mut at = 0;
    while at < options.len() {
        if let Some([2, 4, high, low]) = options.get(at..at + 4) {
            return Some(u16::from_be_bytes([*high, *low]));
        }
        at += tcp_option_length(options, at);
    }
    None
}

/// `esp`, and `ah` of IPv4 (`struct xt_esp`, `struct ipt_ah`): the security parameters index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiMatch(pub Invertible<RangeInclusive<u32>>);

impl SpiMatch {
    pub(super) fn read(info: &mut Info) -> Option<Self> {
        let range = spis(info)?;
        let inverted = info.flag()?;
        info.align(4)?;
        Some(Self(Invertible::new(range, inverted)))
    }
}
