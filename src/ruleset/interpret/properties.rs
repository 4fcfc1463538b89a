//! Expressions that load and set what the kernel keeps with a packet: `meta`, `ct`, `notrack`, `fib`.

use std::net::IpAddr;

use super::{
    HookLayer,
    bits::Bits,
    doubt::{Doubt, Fact},
    evaluation::{Effect, Evaluation, Loaded, unmodelled},
    facts::{ConnectionState, Endpoints, InterfaceFacts, KnownInterface, SocketFacts},
    packet::{ConnectionOfPacket, LinkBytes, TrackedConnection, ether_type},
};
use crate::ruleset::{
    chain::{Family, Hook},
    program::{CtDirection, CtKey, FibFlags, FibResult, MetaKey, Register},
};

/// `IFNAMSIZ`
const INTERFACE_NAME_BYTES: usize = 16;
/// `PACKET_LOOPBACK` and `PACKET_OTHERHOST` (linux/if_packet.h).
const PACKET_LOOPBACK: u8 = 5;
const PACKET_OTHERHOST: u8 = 3;
/// `NF_CT_STATE_*` (linux/netfilter/nf_conntrack_common.h).
const STATE_INVALID: u32 = 1;
const STATE_UNTRACKED: u32 = 1 << 6;

/// Which interface of a packet is meant.
#[derive(Clone, Copy)]
enum InterfaceEnd {
    Input,
    Output,
}

impl Evaluation<'_, '_> {
    /// `nft_meta_get_eval` (net/netfilter/nft_meta.c).
    pub(super) fn meta(&self, key: MetaKey) -> Loaded {
        let packet = &self.flow.packet;
        let value = |bits: &Bits, fact| Loaded::Value(bits.clone(), Some(Doubt::Fact(fact)));
        match key {
            MetaKey::Length => self.packet_length().map_or_else(
                || Loaded::unknown(4, Doubt::Fact(Fact::LinkHeader)),
                Loaded::word,
            ),
            MetaKey::Protocol => Loaded::known(packet.ether_type.to_be_bytes()),
            MetaKey::Priority => value(&packet.priority, Fact::Priority),
            MetaKey::Mark => value(&packet.mark, Fact::Mark),
            MetaKey::Iif => self.interface_index(InterfaceEnd::Input),
            MetaKey::Oif => self.interface_index(InterfaceEnd::Output),
            MetaKey::Iifname => self.interface_name(InterfaceEnd::Input),
            MetaKey::Oifname => self.interface_name(InterfaceEnd::Output),
            MetaKey::Iiftype => self.interface_value(InterfaceEnd::Input, 2, |interface| {
                interface.hardware.map(|kind| kind.to_ne_bytes().to_vec())
            }),
            MetaKey::Oiftype => self.interface_value(InterfaceEnd::Output, 2, |interface| {
                interface.hardware.map(|kind| kind.to_ne_bytes().to_vec())
            }),
            MetaKey::Iifgroup => self.interface_value(InterfaceEnd::Input, 4, |interface| {
                interface.group.map(|group| group.to_ne_bytes().to_vec())
            }),
            MetaKey::Oifgroup => self.interface_value(InterfaceEnd::Output, 4, |interface| {
                interface.group.map(|group| group.to_ne_bytes().to_vec())
            }),
            MetaKey::Iifkind => {
                self.interface_value(InterfaceEnd::Input, INTERFACE_NAME_BYTES, driver)
            }
            MetaKey::Oifkind => {
                self.interface_value(InterfaceEnd::Output, INTERFACE_NAME_BYTES, driver)
            }
            MetaKey::Skuid => self.socket_owner(|user, _| user),
            MetaKey::Skgid => self.socket_owner(|_, group| group),
            MetaKey::Nftrace => Loaded::unknown(1, unmodelled("meta nftrace")),
            MetaKey::Nfproto => Loaded::known([self.nfproto()]),
            MetaKey::L4proto => match packet.transport {
                Some(transport) => Loaded::known([transport.protocol]),
                None => Loaded::Missing,
            },
            MetaKey::Pkttype => match packet.packet_type.bytes() {
                Some([PACKET_LOOPBACK]) => Loaded::unknown(1, unmodelled("meta pkttype")),
                Some(_) | None => value(&packet.packet_type, Fact::PacketType),
            },
            MetaKey::Secpath => match packet.has_security_path {
                Some(has) => Loaded::known([u8::from(has)]),
                None => Loaded::unknown(1, Doubt::Fact(Fact::SecurityPath)),
            },
            MetaKey::Cpu | MetaKey::Prandom => Loaded::unknown(4, Doubt::Chance),
            MetaKey::TimeNs => Loaded::unknown(8, Doubt::Time),
            MetaKey::TimeDay => Loaded::unknown(1, Doubt::Time),
            MetaKey::TimeHour => Loaded::unknown(4, Doubt::Time),
            MetaKey::Rtclassid
            | MetaKey::Secmark
            | MetaKey::BriIifname
            | MetaKey::BriOifname
            | MetaKey::Cgroup
            | MetaKey::BriIifpvid
            | MetaKey::BriIifvproto
            | MetaKey::Sdif
            | MetaKey::Sdifname
            | MetaKey::BriBroute
            | MetaKey::BriIifhwaddr => {
                Loaded::Perhaps(Bits::unknown(INTERFACE_NAME_BYTES), unmodelled("meta"))
            }
        }
    }

    /// `skb->len`: from the network header on, and at egress from the link layer's header on.
    pub(super) fn packet_length(&self) -> Option<u32> {
        let packet = &self.flow.packet;
        if !packet.has_known_length {
            return None;
        }
        let link = match (self.passage.hook, &packet.link) {
            (Hook::Egress, Some(LinkBytes::Known(header))) => header.len(),
            (Hook::Egress, _) => return None,
            _ => 0,
        };
        u32::try_from(packet.network.len() + link).ok()
    }

    /// `nft_pf`: the protocol family of the hook.
    pub(super) fn nfproto(&self) -> u8 {
        let family = match (self.passage.layer, self.flow.packet.ether_type) {
            (HookLayer::Bridge, _) => Family::Bridge,
            (HookLayer::Device, _) if !self.is_inet_table() => Family::Netdev,
            (_, ether_type::IPV4) => Family::Ip,
            (_, ether_type::IPV6) => Family::Ip6,
            (_, ether_type::ARP) => Family::Arp,
            _ => Family::Netdev,
        };
        family.nfproto()
    }

    fn is_inet_table(&self) -> bool {
        self.interpreter.index.chains[self.chain].table.family == Family::Inet
    }

    fn interface(&self, end: InterfaceEnd) -> (&InterfaceFacts, Doubt) {
        match end {
            InterfaceEnd::Input => (&self.passage.input, Doubt::Fact(Fact::InputInterface)),
            InterfaceEnd::Output => (&self.passage.output, Doubt::Fact(Fact::OutputInterface)),
        }
    }

    /// `nft_meta_store_ifindex`: 0 without an interface.
    fn interface_index(&self, end: InterfaceEnd) -> Loaded {
        let (interface, doubt) = self.interface(end);
        match interface {
            InterfaceFacts::Absent => Loaded::word(0),
            InterfaceFacts::Known(KnownInterface {
                index: Some(index), ..
            }) => Loaded::word(*index),
            InterfaceFacts::Known(_) | InterfaceFacts::Unknown => Loaded::unknown(4, doubt),
        }
    }

    /// `nft_meta_store_ifname`: empty without an interface.
    fn interface_name(&self, end: InterfaceEnd) -> Loaded {
        let (interface, doubt) = self.interface(end);
        match interface {
            InterfaceFacts::Absent => Loaded::known([0; INTERFACE_NAME_BYTES]),
            InterfaceFacts::Known(KnownInterface {
                name: Some(name), ..
            }) => Loaded::known(padded_name(name)),
            InterfaceFacts::Known(_) | InterfaceFacts::Unknown => {
                Loaded::unknown(INTERFACE_NAME_BYTES, doubt)
            }
        }
    }

    /// A value that breaks the rule off without an interface.
    fn interface_value(
        &self,
        end: InterfaceEnd,
        length: usize,
        value: impl Fn(&KnownInterface) -> Option<Vec<u8>>,
    ) -> Loaded {
        let (interface, doubt) = self.interface(end);
        match interface {
            InterfaceFacts::Absent => Loaded::Missing,
            InterfaceFacts::Known(known) => match value(known) {
                Some(bytes) => Loaded::known(bytes),
                None => Loaded::Perhaps(Bits::unknown(length), doubt),
            },
            InterfaceFacts::Unknown => Loaded::Perhaps(Bits::unknown(length), doubt),
        }
    }

    /// `nft_meta_get_eval_skugid`: breaks the rule off without a socket.
    fn socket_owner(&self, id: impl Fn(u32, u32) -> u32) -> Loaded {
        match self.flow.packet.socket {
            SocketFacts::Unknown => Loaded::Perhaps(Bits::unknown(4), Doubt::Fact(Fact::Socket)),
            SocketFacts::Absent => Loaded::Missing,
            SocketFacts::Owned { user, group } => Loaded::word(id(user, group)),
        }
    }

    /// `nft_meta_set_eval`
    pub(super) fn set_meta(&mut self, key: MetaKey, source: Register) -> Effect {
        let packet = &mut self.flow.packet;
        match key {
            MetaKey::Mark => packet.mark = self.registers.load(source, 4),
            MetaKey::Priority => packet.priority = self.registers.load(source, 4),
            // Only among the types that come from the link (`skb_pkt_type_ok`).
            MetaKey::Pkttype => {
                let new = self.registers.load(source, 1);
                let is_settable =
                    |bits: &Bits| bits.bytes().map(|bytes| bytes[0] <= PACKET_OTHERHOST);
                packet.packet_type = match (is_settable(&packet.packet_type), is_settable(&new)) {
                    (Some(true), Some(true)) => new,
                    (Some(false), _) | (_, Some(false)) => return Effect::goes_on(),
                    _ => Bits::unknown(1),
                };
            }
            _ => {}
        }
        Effect::goes_on()
    }

    /// `nft_ct_get_eval` (net/netfilter/nft_ct.c).
    pub(super) fn ct(&self, key: CtKey, direction: Option<CtDirection>) -> Loaded {
        let connection = match &self.flow.packet.connection {
            ConnectionOfPacket::Unknown if key == CtKey::State => {
                return Loaded::unknown(4, Doubt::Fact(Fact::Tracking));
            }
            ConnectionOfPacket::Unknown => {
                let length = ct_bytes(key, self.flow.packet.ether_type);
                return Loaded::Perhaps(Bits::unknown(length), Doubt::Fact(Fact::Tracking));
            }
            ConnectionOfPacket::Absent if key == CtKey::State => {
                return Loaded::word(STATE_INVALID);
            }
            ConnectionOfPacket::Untracked if key == CtKey::State => {
                return Loaded::word(STATE_UNTRACKED);
            }
            ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => return Loaded::Missing,
            ConnectionOfPacket::Tracked(connection) => connection,
        };
        let length = ct_bytes(key, self.flow.packet.ether_type);
        let unknown = |fact| Loaded::unknown(length, Doubt::Fact(fact));
        match key {
            CtKey::State => match connection.state {
                Some(state) => Loaded::word(state_bit(state)),
                None => unknown(Fact::Tracking),
            },
            CtKey::Direction => match connection.is_reply {
                Some(is_reply) => Loaded::known([u8::from(is_reply)]),
                None => unknown(Fact::Tracking),
            },
            CtKey::Status => Loaded::Value(
                connection.status.clone(),
                Some(Doubt::Fact(Fact::ConnectionDetails)),
            ),
            CtKey::Mark => Loaded::Value(
                connection.mark.clone(),
                Some(Doubt::Fact(Fact::ConnectionMark)),
            ),
            CtKey::L3protocol => Loaded::known([match self.flow.packet.ether_type {
                ether_type::IPV6 => Family::Ip6.nfproto(),
                _ => Family::Ip.nfproto(),
            }]),
            CtKey::Protocol => match connection.original.or(connection.reply) {
                Some(endpoints) => Loaded::known([endpoints.protocol]),
                None => unknown(Fact::Tracking),
            },
            CtKey::Source
            | CtKey::Destination
            | CtKey::ProtoSource
            | CtKey::ProtoDestination
            | CtKey::SourceIp
            | CtKey::DestinationIp
            | CtKey::SourceIp6
            | CtKey::DestinationIp6 => endpoint(connection, key, direction, length),
            CtKey::Labels => unknown(Fact::ConnectionLabels),
            CtKey::Secmark
            | CtKey::Expiration
            | CtKey::Packets
            | CtKey::Bytes
            | CtKey::AveragePacket
            | CtKey::Zone
            | CtKey::Id => unknown(Fact::ConnectionDetails),
            CtKey::Helper | CtKey::Eventmask => {
                Loaded::Perhaps(Bits::unknown(length), Doubt::Fact(Fact::ConnectionDetails))
            }
        }
    }

    /// `nft_ct_set_eval`: without a connection there is nothing to set, and the rule goes on.
    pub(super) fn set_ct(&mut self, key: CtKey, source: Register) -> Effect {
        let mark = self.registers.load(source, 4);
        if key == CtKey::Zone {
            // A template before connection tracking (`nft_ct_set_zone_eval`).
            self.flow.packet.has_template = true;
            return Effect::goes_on();
        }
        if let ConnectionOfPacket::Tracked(connection) = &mut self.flow.packet.connection
            && key == CtKey::Mark
        {
            connection.mark = mark;
        }
        Effect::goes_on()
    }

    /// `nft_notrack_eval`: only before connection tracking has seen the packet.
    pub(super) fn notrack(&mut self) -> Effect {
        let connection = &mut self.flow.packet.connection;
        if *connection == ConnectionOfPacket::Absent {
            *connection = ConnectionOfPacket::Untracked;
        }
        Effect::goes_on()
    }

    /// `nft_flow_offload_eval` (net/netfilter/nft_flow_offload.c): an unconfirmed connection is not offloaded, and
    /// then the rule is broken off.
    pub(super) fn flow_offload(&self) -> Effect {
        match &self.flow.packet.connection {
            ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => Effect::breaks(),
            ConnectionOfPacket::Tracked(connection)
                if connection.state == Some(ConnectionState::New) =>
            {
                Effect::breaks()
            }
            ConnectionOfPacket::Tracked(_) | ConnectionOfPacket::Unknown => {
                Effect::either(unmodelled("flow_offload"))
            }
        }
    }

    /// `nft_fib4_eval_type` and `nft_fib6_eval_type`; routes are not modelled.
    pub(super) fn fib(&self, result: FibResult, flags: FibFlags) -> Loaded {
        let length = match (flags.contains(FibFlags::PRESENT), result) {
            (true, _) => 1,
            (false, FibResult::Oifname) => INTERFACE_NAME_BYTES,
            (false, FibResult::Oif | FibResult::Addrtype) => 4,
        };
        let unknown = || Loaded::unknown(length, Doubt::Fact(Fact::Routes));
        let is_source = flags.contains(FibFlags::SADDR);
        let depends_on_interface = flags.contains(FibFlags::IIF) || flags.contains(FibFlags::OIF);
        if result != FibResult::Addrtype || depends_on_interface {
            return unknown();
        }
        let address = self.address_bits(is_source);
        match address.and_then(|bits| self.interpreter.host.address_type(bits.bytes()?)) {
            Some(kind) => Loaded::word(kind),
            None => unknown(),
        }
    }
}

/// `NF_CT_STATE_BIT`
fn state_bit(state: ConnectionState) -> u32 {
    match state {
        ConnectionState::Established => 1 << 1,
        ConnectionState::Related => 1 << 2,
        ConnectionState::New => 1 << 3,
    }
}

fn driver(interface: &KnownInterface) -> Option<Vec<u8>> {
    Some(padded_name(interface.driver.as_ref()?).to_vec())
}

/// A name as registers hold it.
pub(super) fn padded_name(name: &str) -> [u8; INTERFACE_NAME_BYTES] {
    let mut padded = [0; INTERFACE_NAME_BYTES];
    let length = name.len().min(INTERFACE_NAME_BYTES - 1);
    padded[..length].copy_from_slice(&name.as_bytes()[..length]);
    padded
}

/// How many bytes `ct` loads (`nft_ct_get_init`).
fn ct_bytes(key: CtKey, ether_type: u16) -> usize {
    match key {
        CtKey::Direction | CtKey::L3protocol | CtKey::Protocol => 1,
        CtKey::Zone | CtKey::ProtoSource | CtKey::ProtoDestination => 2,
        CtKey::State
        | CtKey::Status
        | CtKey::Mark
        | CtKey::Secmark
        | CtKey::Expiration
        | CtKey::Eventmask
        | CtKey::Id
        | CtKey::SourceIp
        | CtKey::DestinationIp => 4,
        CtKey::Packets | CtKey::Bytes | CtKey::AveragePacket => 8,
        CtKey::Source | CtKey::Destination if ether_type != ether_type::IPV6 => 4,
        CtKey::Helper
        | CtKey::Labels
        | CtKey::Source
        | CtKey::Destination
        | CtKey::SourceIp6
        | CtKey::DestinationIp6 => 16,
    }
}

fn endpoint(
    connection: &TrackedConnection,
    key: CtKey,
    direction: Option<CtDirection>,
    length: usize,
) -> Loaded {
    let endpoints: Option<Endpoints> = match direction {
        Some(CtDirection::Original) => connection.original,
        Some(CtDirection::Reply) => connection.reply,
        None => None,
    };
    let Some(endpoints) = endpoints else {
        return Loaded::Perhaps(Bits::unknown(length), Doubt::Fact(Fact::ConnectionDetails));
    };
    let address = match key {
        CtKey::Source | CtKey::SourceIp | CtKey::SourceIp6 => endpoints.source,
        CtKey::ProtoSource => return Loaded::known(endpoints.source_port.to_be_bytes()),
        CtKey::ProtoDestination => {
            return Loaded::known(endpoints.destination_port.to_be_bytes());
        }
        _ => endpoints.destination,
    };
    // The keys of one family break the rule off in the other.
    match (address, key) {
        (IpAddr::V4(_), CtKey::SourceIp6 | CtKey::DestinationIp6)
        | (IpAddr::V6(_), CtKey::SourceIp | CtKey::DestinationIp) => Loaded::Missing,
        (IpAddr::V4(address), _) => Loaded::known(address.octets()),
        (IpAddr::V6(address), _) => Loaded::known(address.octets()),
    }
}
