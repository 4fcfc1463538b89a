//! A packet to craft, layer by layer. What is left out has its usual value, and is left out of the JSON.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::{Seen, protocol, seen::is_extension};
use crate::bytes::Bytes;

/// Marks our payloads, in front of the cookie.
pub(super) const MAGIC: [u8; 4] = *b"fdrl";

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

/// Whether a part of a packet says nothing.
fn is_usual<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

/// The Ethernet header (IEEE 802.3) and its tags (IEEE 802.1Q). Only for packets that start on a wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ether {
    /// Source address; that of the far end when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub source: Option<[u8; 6]>,
    /// Destination address; that of the firewall's interface when not given, or the one that belongs to
    /// a broadcast or multicast destination.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub destination: Option<[u8; 6]>,
    /// Tags beyond those of the interface itself, the outermost first.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub vlan: Vec<VlanTag>,
}

/// A VLAN tag (IEEE 802.1Q clause 9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanTag {
    /// VLAN identifier, 0 to 4095.
    pub id: u16,
    /// Priority code point, 0 to 7.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub priority: u8,
    /// Drop eligible indicator.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dei: bool,
    /// A service tag (EtherType 0x88a8) instead of a customer tag (0x8100).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub service: bool,
}

/// The IP header beyond addresses and time to live (RFC 791, RFC 8200). What a family does not have is
/// ignored in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ip {
    /// Differentiated services code point (RFC 2474), 0 to 63.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dscp: u8,
    /// Explicit congestion notification (RFC 3168), 0 to 3.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ecn: u8,
    /// IPv4 identification; the low half of the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub id: Option<u16>,
    /// IPv4 "don't fragment"; set when not given, except in fragments.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub dont_fragment: Option<bool>,
    /// IPv4 reserved flag.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: bool,
    /// IPv4 options as on the wire; padded with zeroes to four bytes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub options: Bytes,
    /// IPv6 flow label; the low 20 bits of the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub flow_label: Option<u32>,
    /// IPv6 extension headers, in order, but for fragment headers.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub extensions: Vec<Extension>,
    /// This packet claims to be a fragment of another.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub fragment: Option<Fragment>,
    /// The protocol, or last next header, if it lies about what follows.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub protocol: Option<u8>,
    /// IPv4 total length or IPv6 payload length, in bytes; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub length: Option<u16>,
    /// IPv4 header length in words of four bytes, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub header_length: Option<u8>,
    /// Version, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub version: Option<u8>,
    /// IPv4 header checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// A checksum that is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Any but the true one.
    Bad,
    /// This one, true or not; at most 16 bits but for SCTP.
    Is(u32),
}

/// An IPv6 extension header of the common form (RFC 6564 section 4): next header, length, body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its protocol number.
    pub number: u8,
    /// What follows the length; padded with zeroes to six bytes and then to a multiple of eight.
    pub body: Bytes,
}

/// A claim to be a fragment (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// Where it belongs, in units of eight bytes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub offset: u16,
    /// More fragments follow.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub more: bool,
    /// IPv6: the identification; the cookie when not given. IPv4 has [`Ip::id`].
    #[serde(default, skip_serializing_if = "is_usual")]
    pub id: Option<u32>,
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

/// What follows the last header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// What the protocol has when nothing is said: nothing for TCP, the mark for the others.
    #[default]
    Usual,
    /// These bytes.
    Is(Bytes),
    /// This many bytes: the mark, then zeroes.
    Size(u16),
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

/// A TCP segment (RFC 9293 section 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The control bits as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Sequence number; the cookie when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub seq: Option<u32>,
    /// Acknowledgment number; 1 with ACK and 0 without when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub ack: Option<u32>,
    /// Window; 64240 when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub window: Option<u16>,
    /// Urgent pointer.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub urgent: u16,
    /// Reserved bits, 0 to 15.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: u8,
    /// Data offset in words of four bytes, 0 to 15; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub offset: Option<u8>,
    /// Options as on the wire, padded with zeroes to four bytes; a maximum segment size in a SYN when not
    /// given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub options: Option<Bytes>,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// A UDP datagram (RFC 768).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The length of header and data; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub length: Option<u16>,
    /// The checksum; the true one when not given. Zero means that there is none.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes behind the checksum; those that the type asks for when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub rest: Option<[u8; 4]>,
    /// What follows the first eight bytes; what the type asks for when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub data: Option<Bytes>,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// A UDP-Lite datagram (RFC 3828 section 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpLite {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// How many bytes the checksum covers, from the header on; 0, which is all of them, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub coverage: u16,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The data.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An SCTP packet (RFC 9260 section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sctp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Verification tag; 0 when not given, as an INIT has it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub tag: u32,
    /// The CRC32c; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
    /// The chunks; one INIT when there is none.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub chunks: Vec<Chunk>,
}

/// A chunk of an SCTP packet (RFC 9260 section 3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Type.
    pub kind: u8,
    /// Flags; those of an unfragmented message in DATA, none in others, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub flags: Option<u8>,
    /// What follows the length; what INIT and DATA must have, or nothing, when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub value: Option<Bytes>,
}

/// An IGMP message (RFC 2236 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Igmp {
    /// Type.
    pub kind: u8,
    /// Maximum response time, in tenths of a second.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub max_response: u8,
    /// Group address.
    pub group: Ipv4Addr,
    /// The checksum; the true one when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub checksum: Option<Checksum>,
}

/// A GRE header (RFC 2784, RFC 2890).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gre {
    /// EtherType of what it carries.
    pub protocol: u16,
    /// Version, 0 to 7.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub version: u8,
    /// Key.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub key: Option<u32>,
    /// Sequence number.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sequence: Option<u32>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An ESP header (RFC 4303 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Esp {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// What is encrypted.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An authentication header (RFC 4302 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ah {
    /// Protocol number of what follows.
    pub next_header: u8,
    /// Reserved field.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub reserved: u16,
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// What follows the header, behind an integrity check value of twelve zeroes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// An OSPF packet (RFC 2328 section A.3.1, RFC 5340 section A.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ospf {
    /// Type, 1 for a hello.
    pub kind: u8,
    /// Router ID.
    pub router: Ipv4Addr,
    /// Area ID.
    pub area: Ipv4Addr,
    /// What follows the header.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub payload: Payload,
}

/// A VRRP advertisement (RFC 3768 section 5.1, RFC 9568 section 5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrrp {
    /// Version, 2 or 3.
    pub version: u8,
    /// Virtual router identifier.
    pub router: u8,
    /// Priority.
    pub priority: u8,
    /// Advertisement interval: seconds in version 2, hundredths of a second in version 3.
    pub interval: u16,
    /// The addresses of the virtual router.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub addresses: Vec<IpAddr>,
}

/// An ARP message (RFC 826) for Ethernet and IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arp {
    /// Operation: 1 asks, 2 answers.
    pub operation: u16,
    /// Sender's hardware address; that of the frame when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sender: Option<[u8; 6]>,
    /// Target's hardware address; unknown (zero) when not given.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub target: Option<[u8; 6]>,
}

/// TCP control bits (RFC 9293 section 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
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
        let [a, b, c, d] = cookie.to_be_bytes();
        let [m, n, o, p] = MAGIC;
        [m, n, o, p, a, b, c, d]
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

impl Payload {
    /// Its bytes; `usual` are those of [`Payload::Usual`].
    pub(super) fn bytes(&self, cookie: u32, usual: &[u8]) -> Vec<u8> {
        match self {
            Self::Usual => usual.to_vec(),
            Self::Is(bytes) => bytes.0.clone(),
            Self::Size(size) => {
                let mut bytes = Packet::mark(cookie).to_vec();
                bytes.resize(usize::from(*size), 0);
                bytes
            }
        }
    }
}

impl Checksum {
    /// What stands in the field in place of the true sum.
    pub(super) fn of(this: Option<Self>, truth: u16) -> u16 {
        match this {
            None => truth,
            // Zero would mean "none" to UDP.
            Some(Self::Bad) if truth == 0x5555 => 0x1111,
            Some(Self::Bad) => truth ^ 0x5555,
            Some(Self::Is(sum)) => sum as u16,
        }
    }
}
