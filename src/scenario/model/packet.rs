//! From what a scenario says of a packet to the packet.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::{
    packet::{
        self, Ah, Cut, Esp, Ether, Gre, Icmp, Ip, Ospf, Packet, Payload, Tcp, Transport, Udp, Vrrp,
    },
    protocol::Bytes,
};

/// The usual TTL of a Linux host.
const DEFAULT_TTL: u8 = 64;

/// The packet of a step, between its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSpec {
    /// The source address, if it is not the sender's.
    pub source: Option<IpAddr>,
    /// The destination address, if it is not the receiver's.
    pub destination: Option<IpAddr>,
    /// IPv4 TTL or IPv6 hop limit; the usual value of the packet when not given.
    pub ttl: Option<u8>,
    /// The source port is one of our own, unique to the probe; the one in `transport` means nothing.
    pub free_port: bool,
    /// The frame around it.
    pub ether: Ether,
    /// The rest of the IP header.
    pub ip: Ip,
    /// Whether all of it is sent, and in one piece.
    pub cut: Cut,
    /// What it carries.
    pub transport: Transport,
    /// Of an ICMP message: how many bytes follow its first eight.
    pub icmp_size: Option<u16>,
    /// The packet that an ICMP error quotes: from the error's receiver to its sender.
    pub quote: Option<Box<PacketSpec>>,
}

/// The control bits of a TCP header (RFC 9293 section 3.1, RFC 3168 for ECE and CWR), as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl PacketSpec {
    /// A packet of which only this is said.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self {
            source: None,
            destination: None,
            ttl: None,
            free_port: false,
            ether: Ether::default(),
            ip: Ip::default(),
            cut: Cut::default(),
            transport,
            icmp_size: None,
            quote: None,
        }
    }

    /// A segment to this port from one of our own.
    #[must_use]
    pub fn tcp(dport: u16, flags: TcpFlags) -> Self {
        let header = Tcp {
            dport,
            flags: flags.0,
            ..Tcp::default()
        };
        Self {
            free_port: true,
            ..Self::new(Transport::Tcp(header))
        }
    }

    /// A datagram to this port from one of our own.
    #[must_use]
    pub fn udp(dport: u16) -> Self {
        let header = Udp {
            dport,
            ..Udp::default()
        };
        Self {
            free_port: true,
            ..Self::new(Transport::Udp(header))
        }
    }

    /// An ICMP or ICMPv6 message with what its type asks for.
    #[must_use]
    pub fn icmp(kind: u8, code: u8) -> Self {
        Self::new(Transport::Icmp(Icmp {
            kind,
            code,
            ..Icmp::default()
        }))
    }

    /// The packet that is said here, between these addresses; `own_port` is its source port if it says
    /// none.
    #[must_use]
    pub fn between(
        &self,
        source: IpAddr,
        destination: IpAddr,
        cookie: u32,
        own_port: u16,
    ) -> Packet {
        let mut transport = self.transport.clone();
        if self.free_port {
            transport.set_sport(own_port);
        }
        if let Transport::Icmp(icmp) = &mut transport {
            if let Some(quote) = &self.quote {
                let (from, to) = (quote.source, quote.destination);
                let (from, to) = (from.unwrap_or(destination), to.unwrap_or(source));
                let quoted = quote.between(from, to, cookie, own_port);
                icmp.data = Some(Bytes(packet::craft(&quoted)));
            }
            if let Some(size) = self.icmp_size {
                let mut data = Packet::mark(cookie).to_vec();
                data.resize(usize::from(size), 0);
                icmp.data = Some(Bytes(data));
            }
        }
        let ttl = self
            .ttl
            .unwrap_or_else(|| usual_ttl(&transport, source.is_ipv6()));
        Packet {
            ttl,
            ether: self.ether.clone(),
            ip: self.ip.clone(),
            cut: self.cut.clone(),
            ..Packet::new(source, destination, cookie, transport)
        }
    }
}

/// The hop limit that the protocol asks for: neighbour discovery (RFC 4861 section 3.1) and VRRP (RFC 9568
/// section 5.1) 255; multicast listener discovery (RFC 2710 section 3, RFC 3810 section 5), IGMP (RFC 2236
/// section 2) and OSPF (RFC 2328 section 8.1) 1.
fn usual_ttl(transport: &Transport, v6: bool) -> u8 {
    match transport {
        Transport::Icmp(icmp) if v6 => match icmp.kind {
            kind if packet::is_neighbour_discovery(kind) => 255,
            130..=132 | 143 => 1,
            _ => DEFAULT_TTL,
        },
        Transport::Vrrp(_) => 255,
        Transport::Igmp(_) | Transport::Ospf(_) => 1,
        Transport::Icmp(_)
        | Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::UdpLite(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp(_)
        | Transport::Ah(_)
        | Transport::Arp(_)
        | Transport::Bytes(_)
        | Transport::Other { .. } => DEFAULT_TTL,
    }
}

/// The index that packets of IPsec have when nothing is said: the first that is not reserved (RFC 4303
/// section 2.1).
pub(crate) const USUAL_SPI: u32 = 256;

/// The usual packet of a protocol that has no ports and needs nothing more said.
pub(crate) fn portless(protocol: &str) -> Option<Transport> {
    Some(match protocol {
        "gre" => Transport::Gre(Gre {
            protocol: 0x0800,
            ..Gre::default()
        }),
        "esp" => Transport::Esp(Esp {
            spi: USUAL_SPI,
            sequence: 1,
            ..Esp::default()
        }),
        "ah" => Transport::Ah(Ah {
            next_header: 59,
            spi: USUAL_SPI,
            sequence: 1,
            ..Ah::default()
        }),
        "ospf" => Transport::Ospf(Ospf {
            kind: 1,
            router: Ipv4Addr::new(192, 0, 2, 1),
            area: Ipv4Addr::UNSPECIFIED,
            payload: Payload::Usual,
        }),
        "vrrp" => Transport::Vrrp(Vrrp {
            version: 3,
            router: 1,
            priority: 100,
            interval: 100,
            addresses: Vec::new(),
        }),
        _ => return None,
    })
}
