//! A packet on its way through the rules: its bytes and what the kernel keeps with it (`struct sk_buff`).

use super::{
    bits::Bits,
    certainty::Certainty,
    facts::{
        ConnectionFacts, ConnectionState, Endpoints, LinkFacts, PacketFacts, SocketFacts, Tracking,
    },
    headers::{self, HeaderCheck, TransportHeader},
};

/// EtherTypes (linux/if_ether.h).
pub mod ether_type {
    /// `ETH_P_IP`
    pub const IPV4: u16 = 0x0800;
    /// `ETH_P_IPV6`
    pub const IPV6: u16 = 0x86dd;
    /// `ETH_P_ARP`
    pub const ARP: u16 = 0x0806;
}

/// A packet as rules see and change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketState {
    /// From the network header on. A rule may have overwritten a part of it with what is not known.
    pub network: Bits,
    /// The transport header; `None` if the kernel finds none.
    pub transport: Option<TransportHeader>,
    /// Header of the link layer; `None` if there is none.
    pub link: Option<LinkBytes>,
    /// `skb->protocol`
    pub ether_type: u16,
    /// `skb->pkt_type`, one byte.
    pub packet_type: Bits,
    /// `skb->mark`, a word in the byte order of the machine.
    pub mark: Bits,
    /// `skb->priority`, likewise.
    pub priority: Bits,
    /// The socket that sends it.
    pub socket: SocketFacts,
    /// Whether it came through IPsec; `None` is unknown.
    pub has_security_path: Option<bool>,
    /// What connection tracking has attached to it.
    pub connection: ConnectionOfPacket,
    /// Whether the packet is as long as `network`: a rule may have made it longer.
    pub has_known_length: bool,
    /// Whether a rule has attached a template, so that connection tracking may see the packet in another zone.
    pub has_template: bool,
    /// Whether this state is reached at all, seen from the first rule of the first hook.
    pub reached: Certainty,
}

/// Header of the link layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkBytes {
    /// Not known.
    Unknown,
    /// These bytes.
    Known(Vec<u8>),
}

/// What connection tracking has attached to a packet (`skb->_nfct`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionOfPacket {
    /// Nothing is known.
    Unknown,
    /// Nothing (`ct == NULL`): it has not seen the packet, or the packet is invalid.
    Absent,
    /// `IP_CT_UNTRACKED`
    Untracked,
    /// A connection.
    Tracked(Box<TrackedConnection>),
}

/// A connection as rules see and change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedConnection {
    /// The packet's place in it; `None` is unknown.
    pub state: Option<ConnectionState>,
    /// Whether the packet goes in the direction of replies; `None` is unknown.
    pub is_reply: Option<bool>,
    /// Status bits, a word.
    pub status: Bits,
    /// Mark, a word.
    pub mark: Bits,
    /// Whether it had a translation before this packet.
    pub was_bound: Certainty,
    /// Whether a NAT chain of prerouting or output has chosen a translation.
    pub has_destination_binding: Certainty,
    /// Whether a NAT chain of postrouting or input has chosen a translation.
    pub has_source_binding: Certainty,
    /// Original direction; `None` is unknown.
    pub original: Option<Endpoints>,
    /// Reply direction; `None` is unknown.
    pub reply: Option<Endpoints>,
}

impl TrackedConnection {
    fn new(facts: &ConnectionFacts) -> Self {
        let bound = facts.is_bound.map_or(Certainty::Maybe, Certainty::from);
        Self {
            state: facts.state,
            is_reply: facts.is_reply,
            status: Bits::word(facts.status),
            mark: Bits::word(facts.mark),
            was_bound: bound,
            has_destination_binding: bound,
            has_source_binding: bound,
            original: facts.original,
            reply: facts.reply,
        }
    }

    fn join(&self, other: &Self) -> Self {
        fn same<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            (one == other).then_some(one).flatten()
        }
        let (source, destination) = (
            self.has_source_binding.join(other.has_source_binding),
            self.has_destination_binding
                .join(other.has_destination_binding),
        );
        Self {
            state: same(self.state, other.state),
            is_reply: same(self.is_reply, other.is_reply),
            status: self.status.join(&other.status),
            mark: self.mark.join(&other.mark),
            was_bound: self.was_bound.join(other.was_bound),
            has_destination_binding: destination,
            has_source_binding: source,
            original: same(self.original, other.original),
            reply: same(self.reply, other.reply),
        }
    }
}

impl ConnectionOfPacket {
    /// What connection tracking attaches.
    #[must_use]
    pub fn new(tracking: &Tracking) -> Self {
        match tracking {
            Tracking::Unknown => Self::Unknown,
            Tracking::Invalid => Self::Absent,
            Tracking::Untracked => Self::Untracked,
            Tracking::Tracked(facts) => Self::Tracked(Box::new(TrackedConnection::new(facts))),
        }
    }

    fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Tracked(one), Self::Tracked(other)) => Self::Tracked(Box::new(one.join(other))),
            (one, other) if one == other => one.clone(),
            _ => Self::Unknown,
        }
    }
}

impl PacketState {
    /// A packet as it enters its first hook.
    #[must_use]
    pub fn new(facts: &PacketFacts, check: HeaderCheck) -> Self {
        let network = match check {
            HeaderCheck::Trusted => headers::trimmed(&facts.network),
            HeaderCheck::Validated => &facts.network,
        };
        Self {
            transport: transport(network, facts.ether_type, check),
            network: Bits::known(network),
            link: match &facts.link {
                LinkFacts::Unknown => Some(LinkBytes::Unknown),
                LinkFacts::Absent => None,
                LinkFacts::Known(bytes) => Some(LinkBytes::Known(bytes.clone())),
            },
            ether_type: facts.ether_type,
            packet_type: facts
                .packet_type
                .map_or_else(|| Bits::unknown(1), |kind| Bits::known([kind])),
            mark: Bits::word(facts.mark),
            priority: Bits::word(facts.priority),
            socket: facts.socket,
            has_security_path: facts.has_security_path,
            connection: ConnectionOfPacket::Absent,
            has_known_length: true,
            has_template: false,
            reached: Certainty::Yes,
        }
    }

    /// Finds the transport header again, as each hook does. Translations leave it where it is.
    pub(super) fn find_transport(&mut self, check: HeaderCheck) {
        self.transport = transport(&self.network.lowest(), self.ether_type, check);
    }

    /// What `ip_forward` and `ip6_forward` do before the forward hook: there is one hop less, and in IPv4 the priority
    /// is that of the type of service.
    pub(super) fn forward(&mut self) {
        let at = match self.ether_type {
            ether_type::IPV4 => 8,
            ether_type::IPV6 => 7,
            _ => return,
        };
        let hops = match self.network.slice(at, 1).as_ref().and_then(Bits::bytes) {
            Some([hops]) => Bits::known([hops.wrapping_sub(1)]),
            Some(_) | None => Bits::unknown(1),
        };
        self.network.write(at, &hops);
        if self.ether_type == ether_type::IPV4 {
            self.network.write(10, &Bits::unknown(2));
            self.priority = Bits::unknown(4);
        }
    }

    /// What holds of the packet wherever it came from, on either of two paths.
    #[must_use]
    pub fn join(self, other: &Self) -> Self {
        Self {
            network: self.network.join(&other.network),
            transport: self.transport.filter(|_| self.transport == other.transport),
            link: self.link,
            ether_type: self.ether_type,
            packet_type: self.packet_type.join(&other.packet_type),
            mark: self.mark.join(&other.mark),
            priority: self.priority.join(&other.priority),
            socket: self.socket,
            has_security_path: self.has_security_path,
            connection: self.connection.join(&other.connection),
            has_known_length: self.has_known_length && other.has_known_length,
            has_template: self.has_template || other.has_template,
            reached: self.reached.or(other.reached),
        }
    }
}

fn transport(network: &[u8], ether_type: u16, check: HeaderCheck) -> Option<TransportHeader> {
    match ether_type {
        ether_type::IPV4 => headers::ipv4_transport(network, check),
        ether_type::IPV6 => headers::ipv6_transport(network, check),
        _ => None,
    }
}
