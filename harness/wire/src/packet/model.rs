//! A packet to craft, layer by layer. What is left out has its usual value, and is left out of the JSON.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Ah, Arp, Esp, Ether, Gre, Icmp, Igmp, Ip, Ospf, Payload, Sctp, Seen, Tcp, Udp, UdpLite, Vrrp,
    context, protocol, seen::is_extension,
};
use crate::{bytes::Bytes, usual::is_usual};

/// A packet to craft. Source and destination are of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// What the probe is recognised by; unique in a plan, the low 16 bits not zero.
    pub cookie: u32,
    /// The frame around it, on a wire.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ether: Ether,
    /// The rest of its IP header.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ip: Ip,
    /// Whether all of it is sent, and in one piece.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub cut: Cut,
    /// What it carries.
    pub transport: Transport,
}

/// What becomes of a packet before it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// It is sent in fragments.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub pieces: Option<Pieces>,
    /// Only this many bytes of it are sent, counted from its IP header.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub truncate: Option<u16>,
}

/// How a packet is cut into fragments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pieces {
    /// Bytes of payload in each but the last; a multiple of eight.
    pub size: u16,
    /// How many bytes each reaches back into the one before it; a multiple of eight below `size`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub overlap: u16,
    /// Which are sent, counted from 1, in this order; all in their order when empty.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub send: Vec<u16>,
}

/// What a [`Packet`] carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp(Tcp),
    /// UDP (RFC 768).
    Udp(Udp),
    /// ICMP (RFC 792) over IPv4, ICMPv6 (RFC 4443) over IPv6.
    Icmp(Icmp),
    /// UDP-Lite (RFC 3828).
    UdpLite(UdpLite),
    /// SCTP (RFC 9260).
    Sctp(Sctp),
    /// IGMP (RFC 2236), IPv4 only.
    Igmp(Igmp),
    /// Generic routing encapsulation (RFC 2784, RFC 2890).
    Gre(Gre),
    /// Encapsulating security payload (RFC 4303).
    Esp(Esp),
    /// Authentication header (RFC 4302).
    Ah(Ah),
    /// OSPF version 2 (RFC 2328) over IPv4, version 3 (RFC 5340) over IPv6.
    Ospf(Ospf),
    /// VRRP version 2 (RFC 3768) or 3 (RFC 9568).
    Vrrp(Vrrp),
    /// Address resolution (RFC 826): no IP packet at all. The packet's source and destination are the
    /// sender's and the target's protocol address.
    Arp(Arp),
    /// The whole packet from its IP header on, as it is; the packet's other fields say what is in it.
    Bytes(Bytes),
    /// Any other protocol, by number.
    Other {
        /// The protocol's number.
        protocol: u8,
        /// What follows the IP header.
        #[serde(default, skip_serializing_if = "is_usual")]
        payload: Payload,
    },
}

impl Packet {
    /// A whole packet with everything usual but its ends, its cookie and what it carries.
    #[must_use]
    pub fn new(source: IpAddr, destination: IpAddr, cookie: u32, transport: Transport) -> Self {
        Self {
            source,
            destination,
            ttl: 64,
            cookie,
            ether: Ether::default(),
            ip: Ip::default(),
            cut: Cut::default(),
            transport,
        }
    }

    /// IP protocol number (IANA) by which its receiver knows it, ICMP by the family of the addresses.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        let unknown = self.ip.extensions.iter().map(|extension| extension.number);
        let stranger = unknown.into_iter().find(|number| !is_extension(*number));
        match stranger.filter(|_| self.source.is_ipv6()) {
            Some(number) => number,
            None => self.ip.protocol.unwrap_or_else(|| self.carried()),
        }
    }

    /// IP protocol number of what it carries, whatever its IP header says.
    pub(super) fn carried(&self) -> u8 {
        match (&self.transport, self.source) {
            (Transport::Tcp(_), _) => protocol::TCP,
            (Transport::Udp(_), _) => protocol::UDP,
            (Transport::Icmp(_), IpAddr::V4(_)) => protocol::ICMP,
            (Transport::Icmp(_), IpAddr::V6(_)) => protocol::ICMPV6,
            (Transport::UdpLite(_), _) => protocol::UDP_LITE,
            (Transport::Sctp(_), _) => protocol::SCTP,
            (Transport::Igmp(_), _) => protocol::IGMP,
            (Transport::Gre(_), _) => protocol::GRE,
            (Transport::Esp(_), _) => protocol::ESP,
            (Transport::Ah(_), _) => protocol::AH,
            (Transport::Ospf(_), _) => protocol::OSPF,
            (Transport::Vrrp(_), _) => protocol::VRRP,
            // No packet has this number: there is no IP header.
            (Transport::Arp(_), _) => protocol::RESERVED,
            (Transport::Bytes(bytes), _) => {
                Seen::parse(&bytes.0).map_or(protocol::RESERVED, |seen| seen.protocol)
            }
            (Transport::Other { protocol, .. }, _) => *protocol,
        }
    }

    /// Source and destination port, if it has them.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(Tcp { sport, dport, .. })
            | Transport::Udp(Udp { sport, dport, .. })
            | Transport::UdpLite(UdpLite { sport, dport, .. })
            | Transport::Sctp(Sctp { sport, dport, .. }) => Some((*sport, *dport)),
            Transport::Bytes(bytes) => Seen::parse(&bytes.0)?.ports(),
            Transport::Icmp(_)
            | Transport::Igmp(_)
            | Transport::Gre(_)
            | Transport::Esp(_)
            | Transport::Ah(_)
            | Transport::Ospf(_)
            | Transport::Vrrp(_)
            | Transport::Arp(_)
            | Transport::Other { .. } => None,
        }
    }

    /// The same packet to another port, with another identity.
    #[must_use]
    pub fn to_port(&self, port: u16, cookie: u32) -> Self {
        let mut other = self.clone();
        other.cookie = cookie;
        if let Some((sport, _)) = self.ports() {
            other.transport.set_ports(sport, port);
        }
        other
    }

    /// Gives it another source port, if it has one.
    pub fn set_sport(&mut self, port: u16) {
        if let Some((_, dport)) = self.ports() {
            self.transport.set_ports(port, dport);
        }
    }

    /// Whether it is no IP packet, but asks or tells who has an address.
    #[must_use]
    pub fn is_arp(&self) -> bool {
        self.transport.is_arp()
    }

    /// Whether it is a fragment, or sent in fragments.
    #[must_use]
    pub fn is_fragmentary(&self) -> bool {
        self.ip.fragment.is_some() || self.cut.pieces.is_some()
    }

    /// Whether an IPv4 option says by which way it wants to be routed (RFC 791 section 3.1).
    #[must_use]
    pub fn has_source_route(&self) -> bool {
        const LOOSE: u8 = 131;
        const STRICT: u8 = 137;
        let mut rest = &self.ip.options.0[..];
        while let [kind, behind @ ..] = rest {
            let length = match (kind, behind) {
                (&(LOOSE | STRICT), _) => return self.source.is_ipv4(),
                (0, _) => return false,
                (1, _) => 1,
                (_, [length @ (2..), ..]) => usize::from(*length),
                (_, _) => return false,
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        false
    }

    /// The cookie with its mark, as it stands at the start of payloads.
    #[must_use]
    pub fn mark(cookie: u32) -> [u8; 8] {
        context::mark(cookie)
    }
}

impl Transport {
    /// See [`Packet::is_arp`].
    #[must_use]
    pub fn is_arp(&self) -> bool {
        matches!(self, Self::Arp(_))
    }

    /// The destination port, if it has one.
    #[must_use]
    pub fn dport(&self) -> Option<u16> {
        match self {
            Self::Tcp(Tcp { dport, .. })
            | Self::Udp(Udp { dport, .. })
            | Self::UdpLite(UdpLite { dport, .. })
            | Self::Sctp(Sctp { dport, .. }) => Some(*dport),
            Self::Icmp(_)
            | Self::Igmp(_)
            | Self::Gre(_)
            | Self::Esp(_)
            | Self::Ah(_)
            | Self::Ospf(_)
            | Self::Vrrp(_)
            | Self::Arp(_)
            | Self::Bytes(_)
            | Self::Other { .. } => None,
        }
    }

    /// Sets the source port, if it has one.
    pub fn set_sport(&mut self, port: u16) {
        match self {
            Self::Tcp(Tcp { sport, .. })
            | Self::Udp(Udp { sport, .. })
            | Self::UdpLite(UdpLite { sport, .. })
            | Self::Sctp(Sctp { sport, .. }) => *sport = port,
            Self::Icmp(_)
            | Self::Igmp(_)
            | Self::Gre(_)
            | Self::Esp(_)
            | Self::Ah(_)
            | Self::Ospf(_)
            | Self::Vrrp(_)
            | Self::Arp(_)
            | Self::Bytes(_)
            | Self::Other { .. } => {}
        }
    }
}
