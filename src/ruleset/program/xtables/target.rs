//! What a rule does with the packets that match.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    IpVersion, StateUse, XtExtension, XtState, info::Info, stateful::SetReference,
    value::MaskedNumber,
};

/// The target of a rule. Standard verdicts, jumps and names of chains are no extensions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum XtTarget {
    /// `AUDIT`: a record with the type of the verdict that follows (0 accepted, 1 dropped, 2 rejected).
    Audit(u8),
    /// `CHECKSUM`: fills in checksums.
    Checksum,
    /// `CLASSIFY`: sets the priority.
    Classify(u32),
    /// `CONNMARK`.
    Connmark(ConnmarkTarget),
    /// `CONNSECMARK`: saves (1) or restores (2) the mark of a security module.
    Connsecmark(u8),
    /// `CT`, and `NOTRACK`.
    Ct(CtTarget),
    /// `DNAT`.
    Dnat(NatRange),
    /// `DNPT`.
    Dnpt(PrefixTranslation),
    /// `DSCP`: sets the upper six bits of the byte.
    Dscp(u8),
    /// `ECN`.
    Ecn(EcnTarget),
    /// `HMARK`.
    Hmark(HmarkTarget),
    /// `IDLETIMER`.
    IdleTimer(IdleTimerTarget),
    /// `LED`: the name of the trigger.
    Led(String),
    /// `LOG`.
    Log(LogTarget),
    /// `MARK`, revision 2: clears the bits of the mask, and flips those of the value.
    Mark(MaskedNumber),
    /// `MASQUERADE`.
    Masquerade(NatRange),
    /// `NETMAP`.
    Netmap(NatRange),
    /// `NFLOG`.
    Nflog(NflogTarget),
    /// `NFQUEUE`.
    Nfqueue(NfqueueTarget),
    /// `RATEEST`: the name of the estimator.
    Rateest(String),
    /// `REDIRECT`.
    Redirect(NatRange),
    /// `REJECT`.
    Reject(RejectTarget),
    /// `SECMARK`: the context.
    Secmark(String),
    /// `SET`.
    Set(SetTarget),
    /// `SNAT`.
    Snat(NatRange),
    /// `SNPT`.
    Snpt(PrefixTranslation),
    /// `SYNPROXY`.
    Synproxy(SynproxyTarget),
    /// `TCPMSS`: the size; `None` for that of the path.
    TcpMss(Option<u16>),
    /// `TCPOPTSTRIP`: kinds of options that are removed, ascending.
    TcpOptStrip(Vec<u8>),
    /// `TEE`.
    Tee(TeeTarget),
    /// `TOS`, revision 1: clears the bits of the mask, and flips those of the value.
    Tos {
        /// The bits that are cleared.
        mask: u8,
        /// The bits that are flipped then.
        value: u8,
    },
    /// `TPROXY`.
    Tproxy(TproxyTarget),
    /// `TRACE`.
    Trace,
    /// `TTL`, and `HL` of IPv6.
    Ttl(TtlTarget),
    /// Not understood.
    Opaque(XtExtension),
}

impl XtTarget {
    pub(super) fn read(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match info.version {
            IpVersion::V4 => Self::read_v4(name, revision, info),
            IpVersion::V6 => Self::read_v6(name, revision, info),
        }
    }

    fn read_v4(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match (name, revision) {
            ("DNAT", 0) => NatRange::read_v4(info).map(Self::Dnat),
            ("ECN", 0) => EcnTarget::read(info).map(Self::Ecn),
            ("MASQUERADE", 0) => NatRange::read_v4(info).map(Self::Masquerade),
            ("NETMAP", 0) => NatRange::read_v4(info).map(Self::Netmap),
            ("REDIRECT", 0) => NatRange::read_v4(info).map(Self::Redirect),
            ("REJECT", 0) => RejectTarget::read_v4(info).map(Self::Reject),
            ("SNAT", 0) => NatRange::read_v4(info).map(Self::Snat),
            ("TPROXY", 0) => TproxyTarget::read(info, revision).map(Self::Tproxy),
            ("TTL", 0) => TtlTarget::read(info).map(Self::Ttl),
            _ => Self::read_common(name, revision, info),
        }
    }

    fn read_v6(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match (name, revision) {
            ("DNPT", 0) => PrefixTranslation::read(info).map(Self::Dnpt),
            ("HL", 0) => TtlTarget::read(info).map(Self::Ttl),
            ("MASQUERADE", 0) => NatRange::read(info).map(Self::Masquerade),
            ("NETMAP", 0) => NatRange::read(info).map(Self::Netmap),
            ("REDIRECT", 0) => NatRange::read(info).map(Self::Redirect),
            ("REJECT", 0) => RejectTarget::read_v6(info).map(Self::Reject),
            ("SNPT", 0) => PrefixTranslation::read(info).map(Self::Snpt),
            _ => Self::read_common(name, revision, info),
        }
    }

    fn read_common(name: &str, revision: u8, info: &mut Info) -> Option<Self> {
        match (name, revision) {
            ("AUDIT", 0) => info.u8().map(Self::Audit),
            ("CHECKSUM", 0) => (info.u8()? == 1).then_some(Self::Checksum),
            ("CLASSIFY", 0) => info.u32().map(Self::Classify),
            ("CONNMARK", 1 | 2) => ConnmarkTarget::read(info, revision).map(Self::Connmark),
            ("CONNSECMARK", 0) => info.u8().map(Self::Connsecmark),
            ("CT", 0..=2) => CtTarget::read(info, revision).map(Self::Ct),
            ("DNAT", 1) => NatRange::read(info).map(Self::Dnat),
            ("DNAT", 2) => NatRange::read_shifted(info).map(Self::Dnat),
            ("DSCP", 0) => info.u8().map(Self::Dscp),
            ("HMARK", 0) => HmarkTarget::read(info).map(Self::Hmark),
            ("IDLETIMER", 0 | 1) => IdleTimerTarget::read(info, revision).map(Self::IdleTimer),
            ("LED", 0) => {
                let name = info.text::<27>()?;
                info.skip(1 + 4)?;
                info.pointer()?;
                Some(Self::Led(name))
            }
            ("LOG", 0) => LogTarget::read(info).map(Self::Log),
            ("MARK", 2) => MaskedNumber::read(info).map(Self::Mark),
            ("NFLOG", 0) => NflogTarget::read(info).map(Self::Nflog),
            ("NFQUEUE", 0..=3) => NfqueueTarget::read(info, revision).map(Self::Nfqueue),
            ("NOTRACK", 0) => Some(Self::Ct(CtTarget::notrack())),
            ("RATEEST", 0) => {
                let name = info.text::<16>()?;
                info.skip(2)?;
                info.pointer()?;
                Some(Self::Rateest(name))
            }
            ("SECMARK", 0 | 1) => read_secmark(info, revision).map(Self::Secmark),
            ("SET", 0..=3) => SetTarget::read(info, revision).map(Self::Set),
            ("SNAT", 1) => NatRange::read(info).map(Self::Snat),
            ("SYNPROXY", 0) => SynproxyTarget::read(info).map(Self::Synproxy),
            ("TCPMSS", 0) => {
                let size = info.u16()?;
                Some(Self::TcpMss((size != 0xffff).then_some(size)))
            }
            ("TCPOPTSTRIP", 0) => {
                let mut kinds = Vec::new();
                for word in 0..8 {
                    let bits = info.u32()?;
                    kinds.extend(
                        (0..32)
                            .filter(|bit| bits & 1 << bit != 0)
                            .map(|bit| word * 32 + bit),
                    );
                }
                Some(Self::TcpOptStrip(kinds))
            }
            ("TEE", 1) => TeeTarget::read(info).map(Self::Tee),
            ("TOS", 1) => {
                let [value, mask] = info.array()?;
                Some(Self::Tos { mask, value })
            }
            ("TPROXY", 1) => TproxyTarget::read(info, revision).map(Self::Tproxy),
            ("TRACE", 0) => Some(Self::Trace),
            _ => None,
        }
    }

    /// The state between packets that the target changes, if later matches may read it.
    pub fn state(&self) -> Option<Vec<StateUse>> {
        let changed = |state| StateUse {
            state,
            is_changed: true,
        };
        match self {
            Self::Set(target) => {
                let sets = [&target.add, &target.remove].into_iter().flatten();
                let changes = sets.map(|set| changed(XtState::Set(set.index)));
                let read = target.map.iter().map(|set| StateUse {
                    state: XtState::Set(set.index),
                    is_changed: false,
                });
                Some(changes.chain(read).collect())
            }
            Self::Rateest(_) => Some(vec![changed(XtState::Rate)]),
            Self::Opaque(_) => Some(vec![changed(XtState::Unknown)]),
            Self::Audit(_)
            | Self::Checksum
            | Self::Classify(_)
            | Self::Connmark(_)
            | Self::Connsecmark(_)
            | Self::Ct(_)
            | Self::Dnat(_)
            | Self::Dnpt(_)
            | Self::Dscp(_)
            | Self::Ecn(_)
            | Self::Hmark(_)
            | Self::IdleTimer(_)
            | Self::Led(_)
            | Self::Log(_)
            | Self::Mark(_)
            | Self::Masquerade(_)
            | Self::Netmap(_)
            | Self::Nflog(_)
            | Self::Nfqueue(_)
            | Self::Redirect(_)
            | Self::Reject(_)
            | Self::Secmark(_)
            | Self::Snat(_)
            | Self::Snpt(_)
            | Self::Synproxy(_)
            | Self::TcpMss(_)
            | Self::TcpOptStrip(_)
            | Self::Tee(_)
            | Self::Tos { .. }
            | Self::Tproxy(_)
            | Self::Trace
            | Self::Ttl(_) => None,
        }
    }
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectTarget {
    /// With an ICMP or ICMPv6 error "destination unreachable" with this code.
    Unreachable(u8),
    /// With a TCP reset.
    TcpReset,
}

impl RejectTarget {
    /// The codes in the order of `enum ipt_reject_with` (`reject_tg`, net/ipv4/netfilter/ipt_REJECT.c).
    fn read_v4(info: &mut Info) -> Option<Self> {
        Some(match info.u32()? {
            0 => Self::Unreachable(0),
            1 => Self::Unreachable(1),
            2 => Self::Unreachable(2),
            3 => Self::Unreachable(3),
            5 => Self::Unreachable(9),
            6 => Self::Unreachable(10),
            7 => Self::TcpReset,
            8 => Self::Unreachable(13),
            _ => return None,
        })
    }

    /// The codes in the order of `enum ip6t_reject_with` (`reject_tg6`, net/ipv6/netfilter/ip6t_REJECT.c).
    fn read_v6(info: &mut Info) -> Option<Self> {
        Some(match info.u32()? {
            0 => Self::Unreachable(0),
            1 => Self::Unreachable(1),
            2 => Self::Unreachable(2),
            3 => Self::Unreachable(3),
            4 => Self::Unreachable(4),
            6 => Self::TcpReset,
            7 => Self::Unreachable(5),
            8 => Self::Unreachable(6),
            _ => return None,
        })
    }
}

/// `LOG` (`struct xt_log_info`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogTarget {
    /// Level of syslog(3).
    pub level: u8,
    /// Which parts of the packet are logged (`XT_LOG_TCPSEQ` is 1).
    pub flags: u8,
    /// How the line begins.
    pub prefix: String,
}

impl LogTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let [level, flags] = info.array()?;
        let prefix = info.text::<30>()?;
        Some(Self {
            level,
            flags,
            prefix,
        })
    }
}

/// `NFLOG` (`struct xt_nflog_info`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NflogTarget {
    /// The group of listeners.
    pub group: u16,
    /// How the record begins.
    pub prefix: String,
    /// How many packets the kernel holds back before it sends them.
    pub threshold: u16,
    /// How many bytes of the packet are copied; `None` if the listener says so.
    pub length: Option<u32>,
}

impl NflogTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let (length, group, threshold, flags) =
            (info.u32()?, info.u16()?, info.u16()?, info.u16()?);
        info.skip(2)?;
        let prefix = info.text::<64>()?;
        (flags & !1 == 0).then(|| Self {
            group,
            prefix,
            threshold,
            length: (flags & 1 != 0).then_some(length),
        })
    }
}

/// How a mark is shifted while it is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkShift {
    /// To the left by so many bits.
    Left(u8),
    /// To the right by so many bits.
    Right(u8),
}

/// What is done with the mark of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnmarkAction {
    /// The bits of the mask are cleared, and those of the value flipped.
    Set(MaskedNumber),
    /// The packet's mark is copied to it.
    Save,
    /// It is copied to the packet's mark.
    Restore,
}

/// `CONNMARK`, revisions 1 and 2 (`struct xt_connmark_tginfo2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnmarkTarget {
    /// What is done.
    pub action: ConnmarkAction,
    /// The bits of the connection's mark that are copied or replaced.
    pub connection_mask: u32,
    /// The bits of the packet's mark that are copied or replaced.
    pub packet_mask: u32,
    /// How the mark is shifted.
    pub shift: MarkShift,
}

impl ConnmarkTarget {
    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (value, connection_mask, packet_mask) = (info.u32()?, info.u32()?, info.u32()?);
        let shift = match revision {
            1 => MarkShift::Left(0),
            _ => match info.array()? {
                [0, bits] => MarkShift::Left(bits),
                [1, bits] => MarkShift::Right(bits),
                _ => return None,
            },
        };
        let action = match info.u8()? {
            0 => ConnmarkAction::Set(MaskedNumber {
                value,
                mask: connection_mask,
            }),
            1 => ConnmarkAction::Save,
            2 => ConnmarkAction::Restore,
            _ => return None,
        };
        info.align(4)?;
        Some(Self {
            action,
            connection_mask,
            packet_mask,
            shift,
        })
    }
}

/// Addresses and ports that are put in a packet (`struct nf_nat_range2`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NatRange {
    /// Addresses; `None` to keep it, or for that of the interface.
    pub addresses: Option<RangeInclusive<IpAddr>>,
    /// Ports; `None` to keep it where possible.
    pub ports: Option<RangeInclusive<u16>>,
    /// The port from which the offset of the packet's own port is counted.
    pub base_port: Option<u16>,
    /// Whether the port is chosen by chance.
    pub is_random: bool,
    /// Whether it is chosen by chance, and not from the packet.
    pub is_fully_random: bool,
    /// Whether a client gets the same address for each connection.
    pub is_persistent: bool,
    /// Whether only the prefix is replaced (`NETMAP`).
    pub is_prefix: bool,
}

impl NatRange {
    /// `struct nf_nat_ipv4_multi_range_compat`.
    fn read_v4(info: &mut Info) -> Option<Self> {
        let count = info.u32()?;
        let flags = info.u32()?;
        let addresses = info.ipv4()?..=info.ipv4()?;
        let ports = info.u16_be()?..=info.u16_be()?;
        if count != 1 {
            return None;
        }
        Self::new(flags, addresses, ports, None)
    }

    /// `struct nf_nat_range`.
    fn read(info: &mut Info) -> Option<Self> {
        let flags = info.u32()?;
        let addresses = info.address()?..=info.address()?;
        let ports = info.u16_be()?..=info.u16_be()?;
        Self::new(flags, addresses, ports, None)
    }

    /// `struct nf_nat_range2`.
    fn read_shifted(info: &mut Info) -> Option<Self> {
        let flags = info.u32()?;
        let addresses = info.address()?..=info.address()?;
        let ports = info.u16_be()?..=info.u16_be()?;
        let base = info.u16_be()?;
        info.align(4)?;
        Self::new(flags, addresses, ports, (flags & 0x20 != 0).then_some(base))
    }

    fn new(
        flags: u32,
        addresses: RangeInclusive<IpAddr>,
        ports: RangeInclusive<u16>,
        base_port: Option<u16>,
    ) -> Option<Self> {
        (flags & !0x7f == 0).then(|| Self {
            addresses: (flags & 0x01 != 0).then_some(addresses),
            ports: (flags & 0x02 != 0).then_some(ports),
            base_port,
            is_random: flags & 0x04 != 0,
            is_fully_random: flags & 0x10 != 0,
            is_persistent: flags & 0x08 != 0,
            is_prefix: flags & 0x40 != 0,
        })
    }
}

/// `SNPT` and `DNPT` (`struct ip6t_npt_tginfo`): the prefix of an IPv6 address is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrefixTranslation {
    /// The prefix, and its length.
    pub source: (IpAddr, u8),
    /// What replaces it, and its length.
    pub destination: (IpAddr, u8),
}

impl PrefixTranslation {
    fn read(info: &mut Info) -> Option<Self> {
        let (source, destination) = (info.ipv6()?, info.ipv6()?);
        let [source_length, destination_length] = info.array()?;
        // The kernel's adjustment of checksums.
        info.skip(2)?;
        Some(Self {
            source: (source, source_length),
            destination: (destination, destination_length),
        })
    }
}

/// `CT`, revisions 0 to 2 (`struct xt_ct_target_info_v1`). It only has an effect on packets without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CtTarget {
    /// Whether the packet is not tracked.
    pub is_untracked: bool,
    /// The zone of the connection.
    pub zone: u16,
    /// Whether the zone is that of the packet's mark.
    pub is_zone_of_mark: bool,
    /// Whether the zone is only for the original direction.
    pub is_zone_of_original: bool,
    /// Whether the zone is only for replies.
    pub is_zone_of_reply: bool,
    /// Which events are reported, by their bits; 0 for all.
    pub events: u32,
    /// Which events of expectations are reported, by their bits; 0 for all.
    pub expectation_events: u32,
    /// The helper of the connection; empty for none.
    pub helper: String,
    /// The policy of time-outs; empty for none.
    pub timeout: String,
}

impl CtTarget {
    fn notrack() -> Self {
        Self {
            is_untracked: true,
            ..Self::default()
        }
    }

    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (flags, zone, events, expectation_events) =
            (info.u16()?, info.u16()?, info.u32()?, info.u32()?);
        let helper = info.text::<16>()?;
        let timeout = match revision {
            0 => String::new(),
            _ => info.text::<32>()?,
        };
        info.pointer()?;
        // Bit 1 is for the listing only: the rule was written as `NOTRACK`.
        (flags & !0x1f == 0).then_some(Self {
            is_untracked: flags & 0x01 != 0,
            zone,
            is_zone_of_mark: flags & 0x10 != 0,
            is_zone_of_original: flags & 0x04 != 0,
            is_zone_of_reply: flags & 0x08 != 0,
            events,
            expectation_events,
            helper,
            timeout,
        })
    }
}

/// `ECN` (`struct ipt_ECN_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EcnTarget {
    /// What the lower two bits of the byte that holds the type of service become.
    pub ip: Option<u8>,
    /// What the flag ECE of TCP becomes.
    pub ece: Option<bool>,
    /// What the flag CWR of TCP becomes.
    pub cwr: Option<bool>,
}

impl EcnTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let [operation, ip, tcp] = info.array()?;
        if operation & !0x31 != 0 {
            return None;
        }
        Some(Self {
            ip: (operation & 0x01 != 0).then_some(ip),
            ece: (operation & 0x10 != 0).then_some(tcp & 1 != 0),
            cwr: (operation & 0x20 != 0).then_some(tcp & 2 != 0),
        })
    }
}

/// `HMARK` (`struct xt_hmark_info`): a mark from a hash of the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HmarkTarget {
    /// The bits of the addresses that count.
    pub masks: [IpAddr; 2],
    /// The bits of the ports that count, and those that are set.
    pub ports: [u32; 2],
    /// Which members count (`XT_HMARK_SADDR_MASK` is bit 0).
    pub flags: u32,
    /// The bits of the protocol that count.
    pub protocol_mask: u16,
    /// The seed.
    pub seed: u32,
    /// The mark is the hash modulo this number.
    pub modulus: u32,
    /// And this number is added.
    pub offset: u32,
}

impl HmarkTarget {
    fn read(info: &mut Info) -> Option<Self> {
        Some(Self {
            masks: [info.address()?, info.address()?],
            ports: [info.u32()?, info.u32()?],
            flags: info.u32()?,
            protocol_mask: info.u16()?,
            seed: info.u32()?,
            modulus: info.u32()?,
            offset: info.u32()?,
        })
    }
}

/// `IDLETIMER` (`struct idletimer_tg_info_v1`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdleTimerTarget {
    /// The name of the timer.
    pub label: String,
    /// Seconds.
    pub timeout: u32,
}

impl IdleTimerTarget {
    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (timeout, label) = (info.u32()?, info.text::<28>()?);
        if revision == 1 {
            info.skip(2)?;
        }
        info.pointer()?;
        Some(Self { label, timeout })
    }
}

/// `NFQUEUE`, revisions 0 to 3 (`struct xt_NFQ_info_v3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NfqueueTarget {
    /// The first queue.
    pub queue: u16,
    /// How many queues share the packets.
    pub queues: u16,
    /// Whether packets are accepted while no program listens.
    pub is_bypassed: bool,
    /// Whether the processor selects the queue.
    pub is_by_cpu: bool,
}

impl NfqueueTarget {
    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let queue = info.u16()?;
        let queues = if revision == 0 { 1 } else { info.u16()? };
        let flags = if revision < 2 { 0 } else { info.u16()? };
        (flags & !3 == 0).then_some(Self {
            queue,
            queues,
            is_bypassed: flags & 1 != 0,
            is_by_cpu: flags & 2 != 0,
        })
    }
}

fn read_secmark(info: &mut Info, revision: u8) -> Option<String> {
    info.skip(1)?;
    if revision == 0 {
        info.u32()?;
        return info.text::<256>();
    }
    let context = info.text::<256>()?;
    info.u32()?;
    Some(context)
}

/// `SET`, revisions 0 to 3 (`struct xt_set_info_target_v3`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetTarget {
    /// The set to which an element is added.
    pub add: Option<SetReference>,
    /// The set from which an element is removed.
    pub remove: Option<SetReference>,
    /// The set whose element gives the packet its mark, priority or queue.
    pub map: Option<SetReference>,
    /// Whether an element that is there already gets the new time-out.
    pub replaces: bool,
    /// What the element gives the packet (`IPSET_FLAG_MAP_SKBMARK` is 0x100).
    pub map_flags: u32,
    /// Seconds; `None` for the set's own.
    pub timeout: Option<u32>,
}

impl SetTarget {
    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (add, remove, map) = match revision {
            0 => {
                let (add, remove) = (SetReference::read_v0(info)?, SetReference::read_v0(info)?);
                (add.0, remove.0, None)
            }
            _ => {
                let (add, remove) = (SetReference::read(info)?, SetReference::read(info)?);
                let map = match revision {
                    3 => Some(SetReference::read(info)?.0),
                    _ => None,
                };
                (add.0, remove.0, map)
            }
        };
        let (flags, timeout) = match revision {
            0 | 1 => (0, u32::MAX),
            _ => (info.u32()?, info.u32()?),
        };
        (flags & !0x701 == 0).then(|| Self {
            add: add.of_a_set(),
            remove: remove.of_a_set(),
            map: map.and_then(SetReference::of_a_set),
            replaces: flags & 1 != 0,
            map_flags: flags & 0x700,
            timeout: (timeout != u32::MAX).then_some(timeout),
        })
    }
}

/// `SYNPROXY` (`struct nf_synproxy_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SynproxyTarget {
    /// Which options of TCP the server supports (`NF_SYNPROXY_OPT_MSS` is 1).
    pub options: u8,
    /// The server's window scale.
    pub window_scale: u8,
    /// The server's maximum segment size.
    pub segment_size: u16,
}

impl SynproxyTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let [options, window_scale] = info.array()?;
        Some(Self {
            options,
            window_scale,
            segment_size: info.u16()?,
        })
    }
}

/// `TEE`, revision 1 (`struct xt_tee_tginfo`): a copy of the packet is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TeeTarget {
    /// To this router.
    pub gateway: IpAddr,
    /// By this interface; empty for any.
    pub interface: String,
}

impl TeeTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let (gateway, interface) = (info.address()?, info.text::<16>()?);
        info.pointer()?;
        Some(Self { gateway, interface })
    }
}

/// `TPROXY`, revisions 0 and 1 (`struct xt_tproxy_target_info_v1`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TproxyTarget {
    /// The address of the proxy; unspecified for that of the interface.
    pub address: IpAddr,
    /// Its port; 0 for that of the packet.
    pub port: u16,
    /// The mark of the packet.
    pub mark: MaskedNumber,
}

impl TproxyTarget {
    fn read(info: &mut Info, revision: u8) -> Option<Self> {
        let (mask, value) = (info.u32()?, info.u32()?);
        let address = match revision {
            0 => info.ipv4()?,
            _ => info.address()?,
        };
        let port = info.u16_be()?;
        info.align(4)?;
        Some(Self {
            address,
            port,
            mark: MaskedNumber { value, mask },
        })
    }
}

/// `TTL` and `HL` (`struct ipt_TTL_info`, `struct ip6t_HL_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TtlTarget {
    /// Sets it.
    Set(u8),
    /// Adds to it.
    Increment(u8),
    /// Takes from it.
    Decrement(u8),
}

impl TtlTarget {
    fn read(info: &mut Info) -> Option<Self> {
        let [mode, hops] = info.array()?;
        Some(match mode {
            0 => Self::Set(hops),
            1 => Self::Increment(hops),
            2 => Self::Decrement(hops),
            _ => return None,
        })
    }
}
