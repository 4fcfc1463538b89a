//! Matches and targets of iptables: `match` and `target` (net/netfilter/nft_compat.c), and the header of an entry of
//! legacy iptables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    bits::Bits,
    certainty::Certainty,
    doubt::{Doubt, Fact},
    evaluation::{Effect, Evaluation, RuleVerdict, synproxy, unmodelled},
    facts::{ConnectionState, InterfaceFacts, KnownInterface, SocketFacts},
    headers,
    packet::{ConnectionOfPacket, LinkBytes, TrackedConnection, ether_type},
    record::{AccessMode, ChainVerdict, RejectKind, TranslatedEnd, TranslatedValue, Translation},
    state::{Bounds, Bucket, CellContent, StateCell, Tokens},
    translate,
};
use crate::ruleset::program::{
    XtExtension,
    xtables::{
        AddressTypeMatch, ConnectionDirection, ConnectionStates, ConnmarkAction, ConnmarkTarget,
        ConntrackMatch, EcnMatch, HashlimitMatch, InterfacePattern, Invertible, LimitMatch,
        MarkShift, MaskedAddress, MaskedNumber, MatchResult, NatRange, OwnerMatch, PacketType,
        RecentAction, RecentMatch, RejectTarget, StateUse, StatisticMatch, TtlTarget, TupleTest,
        XtHeaderMatch, XtMatch, XtState, XtTarget,
    },
};

/// `IPS_SRC_NAT` and `IPS_DST_NAT` (linux/netfilter/nf_conntrack_common.h).
const STATUS_SOURCE_NAT: u32 = 1 << 4;
const STATUS_DESTINATION_NAT: u32 = 1 << 5;
/// The longest prefix of a transport header that a match of fixed size asks for.
const ICMP_HEADER_BYTES: usize = 8;
const SCTP_HEADER_BYTES: usize = 12;

/// What a match says; an error is what it depends on.
type Answer = Result<MatchResult, Doubt>;

fn answer(truth: Certainty, doubt: Doubt) -> Answer {
    match truth {
        Certainty::Yes => Ok(MatchResult::Matched),
        Certainty::No => Ok(MatchResult::NotMatched),
        Certainty::Maybe => Err(doubt),
    }
}

impl Evaluation<'_, '_> {
    /// `nft_match_eval`
    pub(super) fn xt_match(&mut self, extension: &XtExtension) -> Effect {
        let family = self.interpreter.index.chains[self.chain].table.family;
        let decoded = extension.as_match(family);
        if let XtMatch::Limit(limit) = &decoded {
            return self.xt_limit(limit);
        }
        if let XtMatch::Statistic(statistic) = &decoded {
            return self.statistic(statistic);
        }
        if let XtMatch::Quota(quota) = &decoded {
            return self.xt_quota(quota.0);
        }
        if let XtMatch::Recent(recent) = &decoded {
            return self.recent(recent);
        }
        if let XtMatch::Hashlimit(limit) = &decoded {
            return self.hashlimit(limit);
        }
        if let XtMatch::Connlimit(limit) = &decoded {
            return self.xt_connlimit(limit.limit);
        }
        if let Some(state) = decoded.state() {
            self.use_xt_state(&state);
            let effect = Effect::either(Doubt::State);
            return match decoded {
                // One that is not understood may also drop the packet at once.
                XtMatch::Opaque(_) => Effect {
                    verdicts: vec![RuleVerdict::End(ChainVerdict::Drop)],
                    doubt: Some(unmodelled(&extension.name)),
                    ..effect
                },
                _ => effect,
            };
        }
        match self.answer(&decoded, &extension.name) {
            Ok(MatchResult::Matched) => Effect::goes_on(),
            Ok(MatchResult::NotMatched) => Effect::breaks(),
            Ok(MatchResult::Dropped) => Effect::end(ChainVerdict::Drop),
            Err(doubt) => Effect::either(doubt),
        }
    }

    fn use_xt_state(&mut self, use_of_state: &StateUse) {
        let cell = match &use_of_state.state {
            XtState::Rule => self.own_cell(),
            state => StateCell::Xtables(state.clone()),
        };
        let mode = if use_of_state.is_changed {
            AccessMode::ReadWrite
        } else {
            AccessMode::Read
        };
        self.access(cell, mode);
    }

    /// Matches without a memory.
    fn answer(&self, decoded: &XtMatch, name: &str) -> Answer {
        let rewritten = Doubt::Rewritten;
        match decoded {
            XtMatch::Comment(_) => Ok(MatchResult::Matched),
            XtMatch::Tcp(tcp) => self.with_transport(20, |segment| tcp.matches(segment)),
            XtMatch::TcpMss(size) => self.with_transport(20, |segment| size.matches(segment)),
            XtMatch::Udp(udp) | XtMatch::UdpLite(udp) => {
                self.with_transport(8, |datagram| udp.matches(datagram))
            }
            XtMatch::Icmp(icmp) | XtMatch::Icmp6(icmp) => self
                .with_transport(ICMP_HEADER_BYTES, |message| {
                    icmp.matches(message[0], message[1]).into()
                }),
            XtMatch::Multiport(multiport) => self.with_transport(4, |header| {
                let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
                multiport.matches(port(0), port(2)).into()
            }),
            XtMatch::Sctp(sctp) if sctp.chunks.is_none() => {
                self.with_transport(SCTP_HEADER_BYTES, |header| {
                    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
                    let holds = |test: &Option<Invertible<_>>, port: u16| {
                        test.as_ref().is_none_or(
                            |test: &Invertible<std::ops::RangeInclusive<u16>>| {
                                test.holds(|ports| ports.contains(&port))
                            },
                        )
                    };
                    (holds(&sctp.source, port(0)) && holds(&sctp.destination, port(2))).into()
                })
            }
            XtMatch::IpRange(range) => match (self.address(true), self.address(false)) {
                (Some(source), Some(destination)) => Ok(range.matches(source, destination).into()),
                _ => Err(rewritten),
            },
            XtMatch::Mac(mac) => match &self.flow.packet.link {
                None => Ok(mac.matches(None).into()),
                Some(LinkBytes::Known(header)) => {
                    let source = header
                        .get(6..)
                        .and_then(|bytes| bytes.first_chunk())
                        .copied();
                    Ok(mac.matches(source).into())
                }
                Some(LinkBytes::Unknown) => Err(Doubt::Fact(Fact::LinkHeader)),
            },
            XtMatch::Mark(test) => answer(
                masked(&self.flow.packet.mark, *test),
                Doubt::Fact(Fact::Mark),
            ),
            XtMatch::Connmark(test) => match &self.flow.packet.connection {
                ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => {
                    Ok(MatchResult::NotMatched)
                }
                ConnectionOfPacket::Tracked(connection) => answer(
                    masked(&connection.mark, *test),
                    Doubt::Fact(Fact::ConnectionMark),
                ),
                ConnectionOfPacket::Unknown => Err(Doubt::Fact(Fact::Tracking)),
            },
            XtMatch::Length(length) => Ok(length.matches(self.packet_bytes()?).into()),
            XtMatch::Ttl(ttl) => {
                let at = if self.is_ipv6() { 7 } else { 8 };
                Ok(ttl.matches(self.known(at, 1).ok_or(rewritten)?[0]).into())
            }
            XtMatch::Tos(tos) => Ok(tos.matches(self.type_of_service()?).into()),
            XtMatch::Dscp(dscp) => Ok(dscp.matches(self.type_of_service()?).into()),
            XtMatch::Ecn(ecn) => self.ecn(ecn),
            XtMatch::State(states) => self.has_state(*states, Certainty::No),
            XtMatch::Conntrack(conntrack) => self.conntrack(conntrack),
            XtMatch::PacketType(test) => self.packet_type(*test),
            XtMatch::Owner(owner) => self.owner(owner),
            XtMatch::AddressType(types) => self.address_types(types),
            XtMatch::String(string) => match self.flow.packet.network.bytes() {
                Some(packet) => match string.matches(packet) {
                    Some(matched) => Ok(matched.into()),
                    None => Err(Doubt::KernelVersion),
                },
                None => Err(rewritten),
            },
            XtMatch::Cpu(_) | XtMatch::Cluster(_) => Err(Doubt::Chance),
            XtMatch::Time(_) => Err(Doubt::Time),
            XtMatch::ReversePath(_) => Err(Doubt::Fact(Fact::Routes)),
            XtMatch::HopByHopOptions(_) => self.with_extension(0, name),
            XtMatch::Routing(_) => self.with_extension(43, name),
            XtMatch::Fragment(_) => self.with_extension(44, name),
            XtMatch::Ah6(_) => self.with_extension(51, name),
            XtMatch::DestinationOptions(_) => self.with_extension(60, name),
            XtMatch::Ah(_)
            | XtMatch::Cgroup(_)
            | XtMatch::Connbytes(_)
            | XtMatch::Connlabel(_)
            | XtMatch::Connlimit(_)
            | XtMatch::Dccp(_)
            | XtMatch::Devgroup(_)
            | XtMatch::Esp(_)
            | XtMatch::Eui64
            | XtMatch::Hashlimit(_)
            | XtMatch::Headers(_)
            | XtMatch::Helper(_)
            | XtMatch::Limit(_)
            | XtMatch::Mobility(_)
            | XtMatch::Accounting(_)
            | XtMatch::Osf(_)
            | XtMatch::Physdev(_)
            | XtMatch::Policy(_)
            | XtMatch::Quota(_)
            | XtMatch::Rateest(_)
            | XtMatch::Realm(_)
            | XtMatch::Recent(_)
            | XtMatch::Sctp(_)
            | XtMatch::Set(_)
            | XtMatch::Socket(_)
            | XtMatch::Statistic(_)
            | XtMatch::U32(_)
            | XtMatch::Opaque(_) => Err(unmodelled(name)),
        }
    }

    fn is_ipv6(&self) -> bool {
        self.flow.packet.ether_type == ether_type::IPV6
    }

    /// Bytes of the packet, if all are known.
    fn known(&self, at: usize, length: usize) -> Option<Vec<u8>> {
        Some(
            self.flow
                .packet
                .network
                .slice(at, length)?
                .bytes()?
                .to_vec(),
        )
    }

    fn packet_bytes(&self) -> Result<u32, Doubt> {
        u32::try_from(self.flow.packet.network.len()).map_err(|_| Doubt::Fact(Fact::PacketBytes))
    }

    /// Runs a match on the transport header, which drops the packet if as many bytes are not there. A later fragment
    /// does not match.
    fn with_transport(&self, least: usize, matches: impl Fn(&[u8]) -> MatchResult) -> Answer {
        let Some(transport) = self.flow.packet.transport else {
            return Err(unmodelled("a packet without a transport header"));
        };
        if transport.fragment_offset != 0 {
            // "Dropping evil TCP offset=1 frag" (`tcp_mt`).
            return match (transport.fragment_offset, transport.protocol) {
                (1, 6) if least == 20 => Ok(MatchResult::Dropped),
                _ => Ok(MatchResult::NotMatched),
            };
        }
        let network = &self.flow.packet.network;
        let length = network.len().saturating_sub(transport.offset);
        if length < least {
            return Ok(MatchResult::Dropped);
        }
        match self.known(transport.offset, length) {
            Some(segment) => Ok(matches(&segment)),
            // Checksums and what else a translation changes: both ways of each bit must agree.
            None => {
                let segment = network.slice(transport.offset, length).unwrap_or_default();
                let (low, high) = (matches(&segment.lowest()), matches(&segment.highest()));
                let ports_are_known = segment.slice(0, 4).is_some_and(|it| it.bytes().is_some());
                if low == high && ports_are_known {
                    Ok(low)
                } else {
                    Err(Doubt::Rewritten)
                }
            }
        }
    }

    fn address(&self, is_source: bool) -> Option<IpAddr> {
        let bits = self.address_bits(is_source)?;
        let bytes = bits.bytes()?;
        match <[u8; 4]>::try_from(bytes) {
            Ok(bytes) => Some(Ipv4Addr::from(bytes).into()),
            Err(_) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        }
    }

    /// The byte of IPv4, or the traffic class of IPv6.
    fn type_of_service(&self) -> Result<u8, Doubt> {
        let [first, second] = *self
            .known(0, 2)
            .as_deref()
            .and_then(|bytes| bytes.first_chunk::<2>())
            .ok_or(Doubt::Rewritten)?;
        Ok(if self.is_ipv6() {
            first << 4 | second >> 4
        } else {
            second
        })
    }

    /// `ecn_mt4` and `ecn_mt6` (net/netfilter/xt_ecn.c).
    fn ecn(&self, ecn: &EcnMatch) -> Answer {
        let service = self.type_of_service()?;
        if ecn
            .ip
            .is_some_and(|test| !test.holds(|value| service & 3 == *value))
        {
            return Ok(MatchResult::NotMatched);
        }
        if ecn.ece.is_none() && ecn.cwr.is_none() {
            return Ok(MatchResult::Matched);
        }
        let flags = self
            .transport_offset()
            .and_then(|start| self.known(start, 14))
            .ok_or(Doubt::Rewritten)?[13];
        let holds = |test: Option<bool>, bit: u8| test.is_none_or(|set| (flags & bit != 0) == set);
        Ok((holds(ecn.ece, 0x40) && holds(ecn.cwr, 0x80)).into())
    }

    /// Whether the packet is in one of these states; `nat` is whether those of translated connections count.
    fn has_state(&self, states: ConnectionStates, nat: Certainty) -> Answer {
        let doubt = Doubt::Fact(Fact::Tracking);
        let none = ConnectionStates::default();
        match &self.flow.packet.connection {
            ConnectionOfPacket::Unknown => Err(doubt),
            ConnectionOfPacket::Absent => Ok(states
                .intersects(ConnectionStates {
                    invalid: true,
                    ..none
                })
                .into()),
            ConnectionOfPacket::Untracked => Ok(states
                .intersects(ConnectionStates {
                    untracked: true,
                    ..none
                })
                .into()),
            ConnectionOfPacket::Tracked(connection) => {
                let by_state = match connection.state {
                    Some(state) => Certainty::from(states.intersects(state_of(state))),
                    None => Certainty::Maybe,
                };
                let bit = |bit: u32, wanted: bool| {
                    let status = connection.status.and(&Bits::known(bit.to_ne_bytes()));
                    (!status.equals(&[0; 4])).and(Certainty::from(wanted))
                };
                let by_nat = bit(STATUS_SOURCE_NAT, states.snat)
                    .or(bit(STATUS_DESTINATION_NAT, states.dnat))
                    .and(nat);
                answer(by_state.or(by_nat), doubt)
            }
        }
    }

    /// `conntrack_mt` (net/netfilter/xt_conntrack.c).
    fn conntrack(&self, conntrack: &ConntrackMatch) -> Answer {
        let mut truth = Certainty::Yes;
        let mut doubt = Doubt::Fact(Fact::Tracking);
        if let Some(states) = &conntrack.states {
            let has = match self.has_state(states.value, Certainty::Yes) {
                Ok(result) => Certainty::from(result == MatchResult::Matched),
                Err(why) => {
                    doubt = why;
                    Certainty::Maybe
                }
            };
            truth = has.inverted_if(states.inverted);
        }
        if truth == Certainty::No {
            return Ok(MatchResult::NotMatched);
        }
        let connection = match &self.flow.packet.connection {
            ConnectionOfPacket::Unknown => return Err(doubt),
            ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => {
                let truth = truth.and(Certainty::from(conntrack.states.is_some()));
                return answer(truth, doubt);
            }
            ConnectionOfPacket::Tracked(connection) => connection,
        };
        for test in self.connection_tests(conntrack, connection) {
            truth = truth.and(test);
        }
        answer(truth, doubt)
    }

    /// Each part of `conntrack` that needs a connection.
    fn connection_tests(
        &self,
        conntrack: &ConntrackMatch,
        connection: &TrackedConnection,
    ) -> Vec<Certainty> {
        let mut tests = Vec::new();
        if let Some(direction) = conntrack.direction {
            let wants_reply = direction == ConnectionDirection::Reply;
            tests.push(match connection.is_reply {
                Some(is_reply) => Certainty::from(is_reply == wants_reply),
                None => Certainty::Maybe,
            });
        }
        if let Some(status) = conntrack.status {
            let mask = Bits::known(u32::from(status.value).to_ne_bytes());
            let has = !connection.status.and(&mask).equals(&[0; 4]);
            tests.push(has.inverted_if(status.inverted));
        }
        if let Some(protocol) = conntrack.protocol {
            tests.push(match connection.original {
                Some(endpoints) => Certainty::from(
                    protocol.holds(|number| *number == u16::from(endpoints.protocol)),
                ),
                None => Certainty::Maybe,
            });
        }
        for (test, endpoints) in [
            (&conntrack.original, connection.original),
            (&conntrack.reply, connection.reply),
        ] {
            if *test == TupleTest::default() {
                continue;
            }
            let Some(endpoints) = endpoints else {
                tests.push(Certainty::Maybe);
                continue;
            };
            let address = |test: &Option<Invertible<MaskedAddress>>, address| {
                test.is_none_or(|test| test.holds(|masked| masked.contains(address)))
            };
            let port = |test: &Option<Invertible<std::ops::RangeInclusive<u16>>>, port: u16| {
                test.as_ref()
                    .is_none_or(|test| test.holds(|ports| ports.contains(&port)))
            };
            tests.push(Certainty::from(
                address(&test.source, endpoints.source)
                    && address(&test.destination, endpoints.destination)
                    && port(&test.source_ports, endpoints.source_port)
                    && port(&test.destination_ports, endpoints.destination_port),
            ));
        }
        if conntrack.expires.is_some() {
            tests.push(Certainty::Maybe);
        }
        tests
    }

    fn packet_type(&self, test: Invertible<PacketType>) -> Answer {
        let number = match test.value {
            PacketType::Host => 0,
            PacketType::Broadcast => 1,
            PacketType::Multicast => 2,
            PacketType::OtherHost => 3,
            PacketType::Number(number) => number,
        };
        match self.flow.packet.packet_type.bytes() {
            // `PACKET_LOOPBACK` is told apart by the address.
            Some([5]) | None => Err(Doubt::Fact(Fact::PacketType)),
            Some(bytes) => Ok(((u32::from(bytes[0]) == number) != test.inverted).into()),
        }
    }

    /// `owner_mt` (net/netfilter/xt_owner.c).
    fn owner(&self, owner: &OwnerMatch) -> Answer {
        let (user, group) = match self.flow.packet.socket {
            SocketFacts::Unknown => return Err(Doubt::Fact(Fact::Socket)),
            SocketFacts::Absent => return Ok(owner.matches_without_socket().into()),
            SocketFacts::Owned { user, group } => (user, group),
        };
        if owner.supplementary_groups && owner.group.is_some() {
            return Err(Doubt::Fact(Fact::Socket));
        }
        let holds = |test: &Option<Invertible<std::ops::RangeInclusive<u32>>>, id: u32| {
            test.as_ref()
                .is_none_or(|test| test.holds(|range| range.contains(&id)))
        };
        let matched =
            owner.socket != Some(false) && holds(&owner.user, user) && holds(&owner.group, group);
        Ok(matched.into())
    }

    /// `addrtype_mt_v1` (net/netfilter/xt_addrtype.c).
    fn address_types(&self, types: &AddressTypeMatch) -> Answer {
        let doubt = Doubt::Fact(Fact::Routes);
        // In IPv6, routes are looked up in another way (`match_lookup_rt6`).
        if types.interface.is_some() || self.is_ipv6() {
            return Err(doubt);
        }
        let mut truth = Certainty::Yes;
        for (test, is_source) in [(types.source, true), (types.destination, false)] {
            let Some(test) = test else { continue };
            let kind = self
                .address_bits(is_source)
                .and_then(|bits| self.interpreter.host.address_type(bits.bytes()?));
            let has = match kind {
                Some(kind) => Certainty::from(test.holds(|types| types.0 >> kind & 1 == 1)),
                None => Certainty::Maybe,
            };
            truth = truth.and(has);
        }
        answer(truth, doubt)
    }

    /// `limit_mt` (net/netfilter/xt_limit.c).
    fn xt_limit(&mut self, limit: &LimitMatch) -> Effect {
        /// `XT_LIMIT_SCALE` counts in units of 0.1 ms.
        const UNIT_NANOSECONDS: u64 = 100_000;
        let cell = self.own_cell();
        self.access(cell.clone(), AccessMode::ReadWrite);
        let cost = u64::from(limit.period).saturating_mul(UNIT_NANOSECONDS);
        let bucket = Bucket {
            size: cost.saturating_mul(u64::from(limit.burst)),
            cost,
        };
        let CellContent::Tokens(tokens) =
            self.content_or(&cell, || CellContent::Tokens(Tokens::full(bucket)))
        else {
            return Effect::either(Doubt::State);
        };
        let (is_enough, left) = tokens.take(bucket, self.flow.state.now);
        self.flow.state.set(cell, CellContent::Tokens(left));
        Effect::goes_on_if(is_enough, || Doubt::State)
    }

    /// `statistic_mt` (net/netfilter/xt_statistic.c).
    fn statistic(&mut self, statistic: &StatisticMatch) -> Effect {
        let StatisticMatch::Nth {
            every,
            initial,
            inverted,
        } = *statistic
        else {
            return Effect::either(Doubt::Chance);
        };
        let cell = self.own_cell();
        self.access(cell.clone(), AccessMode::ReadWrite);
        let CellContent::Number(Some(before)) =
            // What iptables sets as `count` for `--packet` (extensions/libxt_statistic.c).
            self.content_or(&cell, || CellContent::Number(Some(every.wrapping_sub(initial))))
        else {
            self.flow.state.set(cell, CellContent::Number(None));
            return Effect::either(Doubt::State);
        };
        let next = if before == every {
            0
        } else {
            before.wrapping_add(1)
        };
        self.flow.state.set(cell, CellContent::Number(Some(next)));
        let matched = Certainty::from((next == 0) != inverted);
        Effect::goes_on_if(matched, || Doubt::State)
    }

    /// `recent_mt` (net/netfilter/xt_recent.c): a list to which nothing was added is empty.
    fn recent(&mut self, recent: &RecentMatch) -> Effect {
        let cell = StateCell::Xtables(XtState::Recent(recent.name.clone()));
        let is_touched = self.flow.state.get(&cell).is_some();
        let mode = match recent.action {
            RecentAction::Check if !recent.removes_old => AccessMode::Read,
            RecentAction::Set => AccessMode::Write,
            RecentAction::Check | RecentAction::Update | RecentAction::Remove => {
                AccessMode::ReadWrite
            }
        };
        self.access(cell.clone(), mode);
        let found = match (recent.action, is_touched) {
            (RecentAction::Set, _) => {
                self.flow.state.set(cell, CellContent::Unknown);
                Certainty::Yes
            }
            (RecentAction::Check | RecentAction::Update | RecentAction::Remove, false) => {
                Certainty::No
            }
            (RecentAction::Check | RecentAction::Update | RecentAction::Remove, true) => {
                Certainty::Maybe
            }
        };
        Effect::goes_on_if(found.inverted_if(recent.inverted), || Doubt::State)
    }

    /// `hashlimit_mt_common` (net/netfilter/xt_hashlimit.c): as long as fewer packets than the burst came to any
    /// bucket of the table, none is empty.
    fn hashlimit(&mut self, limit: &HashlimitMatch) -> Effect {
        let cell = StateCell::Xtables(XtState::Hashlimit(limit.name.clone()));
        self.access(cell.clone(), AccessMode::ReadWrite);
        let CellContent::Consumed(before) = self.content_or(&cell, no_packets) else {
            return Effect::either(Doubt::State);
        };
        let met = before.plus(1);
        self.flow.state.set(cell, CellContent::Consumed(met));
        let is_under = if !limit.counts_bytes && met.highest <= limit.burst {
            Certainty::Yes
        } else {
            Certainty::Maybe
        };
        Effect::goes_on_if(is_under.inverted_if(limit.inverted), || Doubt::State)
    }

    /// `connlimit_mt` (net/netfilter/xt_connlimit.c): there are at most as many connections of one address as
    /// packets came here.
    fn xt_connlimit(&mut self, limit: Invertible<u32>) -> Effect {
        let cell = self.own_cell();
        self.access(cell.clone(), AccessMode::ReadWrite);
        let CellContent::Consumed(before) = self.content_or(&cell, no_packets) else {
            return Effect::either(Doubt::State);
        };
        let is_new = matches!(
            &self.flow.packet.connection,
            ConnectionOfPacket::Tracked(connection) if connection.state == Some(ConnectionState::New)
        );
        let counted = Bounds {
            lowest: u64::from(is_new),
            highest: before.highest.saturating_add(1),
        };
        self.flow.state.set(cell, CellContent::Consumed(counted));
        let is_above = counted.is_above(u64::from(limit.value));
        Effect::goes_on_if(is_above.inverted_if(limit.inverted), || Doubt::State)
    }

    /// A match on an extension header of IPv6, which does not match without the header.
    fn with_extension(&self, number: u8, name: &str) -> Answer {
        let packet = self.flow.packet.network.lowest();
        match headers::ipv6_find_header(&packet, Some(number)) {
            None if self.flow.packet.transport.is_some() => Ok(MatchResult::NotMatched),
            None | Some(_) => Err(unmodelled(name)),
        }
    }

    /// `quota_mt` (net/netfilter/xt_quota.c): what is left is counted down.
    fn xt_quota(&mut self, quota: Invertible<u64>) -> Effect {
        let cell = self.own_cell();
        self.access(cell.clone(), AccessMode::ReadWrite);
        let fresh = || CellContent::Consumed(Bounds::exactly(quota.value));
        let (CellContent::Consumed(left), Some(length)) =
            (self.content_or(&cell, fresh), self.packet_length())
        else {
            return Effect::either(Doubt::State);
        };
        let length = u64::from(length);
        let is_enough = match (left.lowest >= length, left.highest >= length) {
            (true, _) => Certainty::Yes,
            (false, true) => Certainty::Maybe,
            (false, false) => Certainty::No,
        };
        let rest = Bounds {
            lowest: left.lowest.saturating_sub(length),
            highest: left.highest.saturating_sub(length),
        };
        self.flow.state.set(cell, CellContent::Consumed(rest));
        Effect::goes_on_if(is_enough.inverted_if(quota.inverted), || Doubt::State)
    }

    /// The header test of an entry of legacy iptables (`ip_packet_match`, net/ipv4/netfilter/ip_tables.c, and
    /// `ip6_packet_match`, net/ipv6/netfilter/ip6_tables.c).
    pub(super) fn xt_header(&self, header: &XtHeaderMatch) -> Effect {
        let mut truth = Certainty::Yes;
        let mut doubt = Doubt::Rewritten;
        for (test, is_source) in [(&header.source, true), (&header.destination, false)] {
            if let Some(test) = test {
                truth = truth.and(match self.address(is_source) {
                    Some(address) => Certainty::from(test.holds(|masked| masked.contains(address))),
                    None => Certainty::Maybe,
                });
            }
        }
        for (test, interface, fact) in [
            (&header.input, &self.passage.input, Fact::InputInterface),
            (&header.output, &self.passage.output, Fact::OutputInterface),
        ] {
            if let Some(test) = test {
                let has = matches_interface(test, interface);
                if has == Certainty::Maybe {
                    doubt = Doubt::Fact(fact);
                }
                truth = truth.and(has);
            }
        }
        if let Some(wants_later) = header.is_later_fragment {
            let offset = self
                .flow
                .packet
                .transport
                .map(|header| header.fragment_offset);
            truth = truth.and(match offset {
                Some(offset) => Certainty::from((offset != 0) == wants_later),
                None => Certainty::Maybe,
            });
        }
        if let Some(protocol) = &header.protocol
            && truth.is_possible()
        {
            // Authentication headers are skipped here, but not by nftables.
            let is_unclear = |number: u8| self.is_ipv6() && number == 51;
            truth = truth.and(match self.flow.packet.transport {
                Some(transport) if !is_unclear(transport.protocol) => Certainty::from(
                    protocol.holds(|number| *number == u16::from(transport.protocol)),
                ),
                Some(_) => Certainty::Maybe,
                None => return Effect::end(ChainVerdict::Drop).or_either(unmodelled("ip6tables")),
            });
        }
        Effect::goes_on_if(truth, || doubt)
    }

    /// `nft_target_eval_xt`
    pub(super) fn xt_target(&mut self, extension: &XtExtension) -> Effect {
        let family = self.interpreter.index.chains[self.chain].table.family;
        let decoded = extension.as_target(family);
        for state in decoded.state().unwrap_or_default() {
            self.use_xt_state(&state);
        }
        match &decoded {
            XtTarget::Audit(_)
            | XtTarget::Checksum
            | XtTarget::Connsecmark(_)
            | XtTarget::IdleTimer(_)
            | XtTarget::Led(_)
            | XtTarget::Log(_)
            | XtTarget::Nflog(_)
            | XtTarget::Rateest(_)
            | XtTarget::Secmark(_)
            | XtTarget::Set(_)
            | XtTarget::Tee(_)
            | XtTarget::Trace => {
                if matches!(&decoded, XtTarget::Set(target) if target.map.is_some()) {
                    self.flow.packet.mark = Bits::unknown(4);
                    self.flow.packet.priority = Bits::unknown(4);
                }
                Effect::goes_on()
            }
            XtTarget::Classify(priority) => {
                self.flow.packet.priority = Bits::word(Some(*priority));
                Effect::goes_on()
            }
            XtTarget::Mark(mark) => {
                self.flow.packet.mark = replaced(&self.flow.packet.mark, mark.mask, mark.value);
                Effect::goes_on()
            }
            XtTarget::Hmark(_) => {
                self.flow.packet.mark = Bits::unknown(4);
                Effect::goes_on()
            }
            XtTarget::Connmark(target) => self.connmark(target),
            XtTarget::Ct(target) => {
                if target.is_untracked {
                    return self.notrack();
                }
                self.flow.packet.has_template |= target.zone != 0 || target.is_zone_of_mark;
                Effect::goes_on()
            }
            XtTarget::Dnat(range) => self.xt_nat(TranslatedEnd::Destination, Some(range)),
            XtTarget::Snat(range) => self.xt_nat(TranslatedEnd::Source, Some(range)),
            XtTarget::Masquerade(_) => self.xt_nat(TranslatedEnd::Source, None),
            XtTarget::Redirect(_) => self.xt_nat(TranslatedEnd::Destination, None),
            XtTarget::Netmap(_) => {
                let end = match self.passage.hook {
                    crate::ruleset::chain::Hook::Prerouting
                    | crate::ruleset::chain::Hook::Output => TranslatedEnd::Destination,
                    _ => TranslatedEnd::Source,
                };
                self.xt_nat(end, None)
            }
            XtTarget::Reject(reply) => Effect::end(ChainVerdict::Reject(match reply {
                RejectTarget::Unreachable(code) => RejectKind::Icmp(*code),
                RejectTarget::TcpReset => RejectKind::TcpReset,
            })),
            XtTarget::Nfqueue(_) => Effect::end(ChainVerdict::Queue),
            XtTarget::Synproxy(_) => synproxy(),
            // `tproxy_tg4`: accepted with a socket, and else dropped.
            XtTarget::Tproxy(_) => {
                self.flow.packet.mark = Bits::unknown(4);
                Effect {
                    verdicts: vec![RuleVerdict::End(ChainVerdict::Drop)],
                    doubt: Some(Doubt::Fact(Fact::Socket)),
                    ..Effect::end(ChainVerdict::Accept)
                }
                .with_verdict(RuleVerdict::End(ChainVerdict::Accept))
            }
            XtTarget::Ttl(TtlTarget::Set(hops)) => {
                self.set_header_byte(if self.is_ipv6() { 7 } else { 8 }, Some(*hops));
                Effect::goes_on()
            }
            XtTarget::Ttl(TtlTarget::Increment(_) | TtlTarget::Decrement(_)) => {
                self.set_header_byte(if self.is_ipv6() { 7 } else { 8 }, None);
                Effect::goes_on()
            }
            XtTarget::Dscp(_) | XtTarget::Tos { .. } | XtTarget::Ecn(_) => {
                self.set_header_byte(1, None);
                if self.is_ipv6() {
                    self.flow
                        .packet
                        .network
                        .write(0, &Bits::partly(&[0x60], &[0xf0]));
                }
                if matches!(decoded, XtTarget::Ecn(_))
                    && let Some(start) = self.transport_offset()
                {
                    self.flow
                        .packet
                        .network
                        .write(start + 12, &Bits::unknown(2));
                    self.forget_transport_checksum();
                }
                Effect::goes_on()
            }
            XtTarget::Snpt(_) | XtTarget::Dnpt(_) => {
                self.flow.packet.network.write(8, &Bits::unknown(32));
                Effect {
                    verdicts: vec![RuleVerdict::End(ChainVerdict::Drop)],
                    doubt: Some(unmodelled(&extension.name)),
                    ..Effect::goes_on()
                }
            }
            // They may change the length of the packet, and drop one whose header is malformed.
            XtTarget::TcpMss(_) | XtTarget::TcpOptStrip(_) => {
                self.change_tcp_options(&extension.name)
            }
            XtTarget::Opaque(_) => self.opaque(&extension.name),
        }
    }

    /// Sets a byte of the network header.
    fn set_header_byte(&mut self, at: usize, byte: Option<u8>) {
        let bits = byte.map_or_else(|| Bits::unknown(1), |byte| Bits::known([byte]));
        let network = &mut self.flow.packet.network;
        network.write(at, &bits);
        if self.flow.packet.ether_type == ether_type::IPV4 {
            self.flow.packet.network.write(10, &Bits::unknown(2));
        }
    }

    /// `tcpmss_mangle_packet` (net/netfilter/xt_TCPMSS.c) lowers the option or adds it.
    fn change_tcp_options(&mut self, name: &str) -> Effect {
        let network = self.flow.packet.network.lowest();
        let header = super::options::tcp_header(&network, self.flow.packet.transport.as_ref());
        let (Some(header), Some(start)) = (header, self.transport_offset()) else {
            return Effect {
                verdicts: vec![RuleVerdict::End(ChainVerdict::Drop)],
                doubt: Some(unmodelled(name)),
                ..Effect::goes_on()
            };
        };
        let has_size = super::options::tcp_option(header, 2).is_some();
        let is_syn = header[13] & 2 != 0;
        let length = header.len();
        self.forget_transport_checksum();
        if name == "TCPOPTSTRIP" || has_size || !is_syn {
            let options = Bits::unknown(length - 20);
            self.flow.packet.network.write(start + 20, &options);
            return Effect::goes_on();
        }
        // The header grows by four bytes.
        self.flow
            .packet
            .network
            .write(2, &Bits::unknown(if self.is_ipv6() { 4 } else { 2 }));
        let rest = self.flow.packet.network.len().saturating_sub(start + 12);
        self.flow
            .packet
            .network
            .write(start + 12, &Bits::unknown(rest));
        self.flow.packet.has_known_length = false;
        Effect::goes_on()
    }

    /// `connmark_tg` (net/netfilter/xt_connmark.c).
    fn connmark(&mut self, target: &ConnmarkTarget) -> Effect {
        let is_shifted = !matches!(target.shift, MarkShift::Left(0) | MarkShift::Right(0));
        let packet_mark = self.flow.packet.mark.clone();
        let masked_bits = |bits: &Bits, mask: u32| bits.and(&Bits::known(mask.to_ne_bytes()));
        let cleared = |bits: &Bits, mask: u32| bits.and(&Bits::known((!mask).to_ne_bytes()));
        match &mut self.flow.packet.connection {
            ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => {}
            ConnectionOfPacket::Unknown => {
                if target.action == ConnmarkAction::Restore {
                    self.flow.packet.mark = Bits::unknown(4);
                }
            }
            ConnectionOfPacket::Tracked(connection) => {
                let of_connection = &connection.mark;
                let new = match target.action {
                    ConnmarkAction::Set(number) => {
                        replaced(of_connection, number.mask, number.value)
                    }
                    ConnmarkAction::Save => cleared(of_connection, target.connection_mask)
                        .xor(&masked_bits(&packet_mark, target.packet_mask)),
                    ConnmarkAction::Restore => cleared(&packet_mark, target.packet_mask)
                        .xor(&masked_bits(of_connection, target.connection_mask)),
                };
                let new = if is_shifted { Bits::unknown(4) } else { new };
                match target.action {
                    ConnmarkAction::Set(_) | ConnmarkAction::Save => connection.mark = new,
                    ConnmarkAction::Restore => self.flow.packet.mark = new,
                }
            }
        }
        Effect::goes_on()
    }

    /// A translation to a range, or (`None`) to an address that the kernel chooses.
    fn xt_nat(&mut self, end: TranslatedEnd, range: Option<&NatRange>) -> Effect {
        let octets = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let value = |first: Vec<u8>, last: Vec<u8>| {
            if first == last {
                TranslatedValue::Constant(first)
            } else {
                TranslatedValue::Range(first, last)
            }
        };
        let (address, port) = match range {
            None => (
                Some(TranslatedValue::Unknown),
                Some(TranslatedValue::Unknown),
            ),
            Some(range) => {
                let address = range
                    .addresses
                    .as_ref()
                    .map(|range| value(octets(range.start()), octets(range.end())));
                let port = range.ports.as_ref().map(|ports| {
                    value(
                        ports.start().to_be_bytes().to_vec(),
                        ports.end().to_be_bytes().to_vec(),
                    )
                });
                let is_chosen =
                    range.is_random || range.is_fully_random || range.base_port.is_some();
                (
                    address,
                    if is_chosen {
                        Some(TranslatedValue::Unknown)
                    } else {
                        port
                    },
                )
            }
        };
        let translation = Translation {
            chain: self.chain,
            rule: self.record.rule,
            end,
            address,
            port,
            certainty: self.reached,
        };
        translate::apply(&mut self.flow.packet, &translation);
        self.translations.push(translation);
        let effect = Effect::end(ChainVerdict::Accept);
        if range.is_some() {
            effect
        } else {
            // Without an address on the interface, the packet is dropped.
            Effect {
                doubt: Some(Doubt::Fact(Fact::Routes)),
                ..effect.with_verdict(RuleVerdict::End(ChainVerdict::Drop))
            }
        }
    }
}

fn no_packets() -> CellContent {
    CellContent::Consumed(Bounds::exactly(0))
}

/// A mark with the bits of a mask cleared, and those of a value flipped.
fn replaced(mark: &Bits, mask: u32, value: u32) -> Bits {
    mark.and(&Bits::known((!mask).to_ne_bytes()))
        .xor(&Bits::known(value.to_ne_bytes()))
}

fn masked(mark: &Bits, test: Invertible<MaskedNumber>) -> Certainty {
    mark.and(&Bits::known(test.value.mask.to_ne_bytes()))
        .equals(&test.value.value.to_ne_bytes())
        .inverted_if(test.inverted)
}

fn state_of(state: ConnectionState) -> ConnectionStates {
    let none = ConnectionStates::default();
    match state {
        ConnectionState::New => ConnectionStates { new: true, ..none },
        ConnectionState::Established => ConnectionStates {
            established: true,
            ..none
        },
        ConnectionState::Related => ConnectionStates {
            related: true,
            ..none
        },
    }
}

fn matches_interface(test: &Invertible<InterfacePattern>, interface: &InterfaceFacts) -> Certainty {
    match interface {
        InterfaceFacts::Absent => Certainty::from(test.holds(|pattern| pattern.matches(None))),
        InterfaceFacts::Known(KnownInterface {
            name: Some(name), ..
        }) => Certainty::from(test.holds(|pattern| pattern.matches(Some(name)))),
        InterfaceFacts::Known(_) | InterfaceFacts::Unknown => Certainty::Maybe,
    }
}
