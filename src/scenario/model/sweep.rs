//! What a sweep goes through: every port, every IP protocol, every ICMP type.

use std::{fmt, net::IpAddr};

use firedrill_harness::packet::{Packet, Payload, Sctp, Transport, UdpLite, protocol};
use firedrill_wire::Ranges;

use super::{Family, PacketSpec, Party, TcpFlags, portless};

/// `only-open:`, what should be open of one kind, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Who sends. Never the same party as `to`.
    pub from: Party,
    /// Who should receive.
    pub to: Party,
    /// The sender's address.
    pub source: IpAddr,
    /// The receiver's address.
    pub destination: IpAddr,
    /// What is gone through.
    pub over: Over,
    /// Which of its numbers.
    pub numbers: Ranges,
    /// What should be open.
    pub open: Ranges,
}

/// What a sweep goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// The ports of TCP, with a SYN each.
    Tcp,
    /// The ports of UDP.
    Udp,
    /// IP protocols.
    Protocols,
    /// ICMP types, each with code 0.
    Icmp,
}

/// IP protocols by the names that firewalls use for them (IANA "Assigned Internet Protocol Numbers").
pub(crate) const PROTOCOLS: [(&str, u8); 11] = [
    ("igmp", protocol::IGMP),
    ("ipip", 4),
    ("ipv6", 41),
    ("gre", protocol::GRE),
    ("esp", protocol::ESP),
    ("ah", protocol::AH),
    ("ospf", protocol::OSPF),
    ("vrrp", protocol::VRRP),
    ("l2tp", 115),
    ("sctp", protocol::SCTP),
    ("udplite", protocol::UDP_LITE),
];

/// A port of its own for packets of protocols whose port does not matter ("discard", RFC 863).
const DISCARD: u16 = 9;

impl Over {
    /// Every kind, in the order of a report.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Protocols, Self::Icmp];

    /// The key in a scenario, and the word in a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Protocols => "protocols",
            Self::Icmp => "icmp",
        }
    }

    /// One of its numbers as a service is written: `tcp/443`, `proto/47`, `icmp/8`.
    #[must_use]
    pub fn service(self, number: u16) -> String {
        match self {
            Self::Tcp | Self::Udp | Self::Icmp => format!("{}/{number}", self.word()),
            Self::Protocols => format!("proto/{number}"),
        }
    }

    /// Whether it sends to ports, in batches.
    #[must_use]
    pub fn has_ports(self) -> bool {
        match self {
            Self::Tcp | Self::Udp => true,
            Self::Protocols | Self::Icmp => false,
        }
    }

    /// All that is gone through.
    ///
    /// Ports begin with 1: port 0 is reserved (IANA), and no kernel delivers to it. Of the IP protocols those
    /// are left out that have a sweep of their own (TCP, UDP, ICMP), that no raw socket can receive (0 and
    /// 255, raw(7)), and, in IPv6, those that are extension headers or the lack of anything (RFC 8200
    /// section 4).
    #[must_use]
    pub fn numbers(self, family: Family) -> Ranges {
        let without = |left_out: &[u16]| {
            Ranges::from(1..=254).difference(&left_out.iter().copied().collect())
        };
        match (self, family) {
            (Self::Tcp | Self::Udp, _) => Ranges::from(1..=u16::MAX),
            (Self::Icmp, _) => Ranges::from(0..=255),
            (Self::Protocols, Family::Ipv4) => without(&[1, 6, 17]),
            (Self::Protocols, Family::Ipv6) => {
                without(&[6, 17, 43, 44, 51, 58, 59, 60, 135, 139, 140])
            }
        }
    }

    /// Which of its numbers a packet has.
    #[must_use]
    pub fn number_of(self, packet: &Packet) -> u16 {
        match (self, &packet.transport) {
            (Self::Icmp, Transport::Icmp(icmp)) => u16::from(icmp.kind),
            (Self::Tcp | Self::Udp, _) => packet.ports().map_or(0, |(_, dport)| dport),
            (Self::Protocols | Self::Icmp, _) => u16::from(packet.protocol()),
        }
    }

    /// The packet that asks whether this number is open.
    #[must_use]
    pub fn packet(self, number: u16) -> PacketSpec {
        const SYN: TcpFlags = TcpFlags(0x02);
        let low = number.to_le_bytes()[0];
        match self {
            Self::Tcp => PacketSpec::tcp(number, SYN),
            Self::Udp => PacketSpec::udp(number),
            Self::Icmp => PacketSpec::icmp(low, 0),
            Self::Protocols => PacketSpec::new(first_of(low)),
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a protocol begins with, where connection tracking would not let anything else pass.
fn first_of(number: u8) -> Transport {
    let named = match number {
        protocol::GRE => "gre",
        protocol::ESP => "esp",
        protocol::AH => "ah",
        protocol::OSPF => "ospf",
        protocol::VRRP => "vrrp",
        _ => "",
    };
    match number {
        protocol::SCTP => Transport::Sctp(Sctp {
            dport: DISCARD,
            ..Sctp::default()
        }),
        protocol::UDP_LITE => Transport::UdpLite(UdpLite {
            dport: DISCARD,
            ..UdpLite::default()
        }),
        _ => portless(named).unwrap_or(Transport::Other {
            protocol: number,
            payload: Payload::Usual,
        }),
    }
}

impl Sweep {
    /// Whether this number should be open.
    #[must_use]
    pub fn should_be_open(&self, number: u16) -> bool {
        self.open.contains(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_every_type_and_every_protocol_that_can_be_seen_is_gone_through() {
        for family in [Family::Ipv4, Family::Ipv6] {
            assert_eq!(Over::Tcp.numbers(family).len(), 65_535);
            assert_eq!(Over::Udp.numbers(family).len(), 65_535);
            assert_eq!(Over::Icmp.numbers(family).len(), 256);
        }
        // 0 and 255 have no raw sockets.
        assert_eq!(Over::Protocols.numbers(Family::Ipv4).len(), 254 - 3);
        assert_eq!(Over::Protocols.numbers(Family::Ipv6).len(), 254 - 11);
    }

    #[test]
    fn the_packet_of_a_protocol_has_its_number() {
        for number in 1..=254 {
            let packet = Over::Protocols.packet(number).between(
                IpAddr::from([192, 0, 2, 1]),
                IpAddr::from([192, 0, 2, 2]),
                7,
                1,
            );
            assert_eq!(u16::from(packet.protocol()), number);
        }
    }
}
