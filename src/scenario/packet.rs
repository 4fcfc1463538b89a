//! From what a scenario says of a packet to the packet.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{self, Packet, Transport},
    protocol::Bytes,
};

use super::PacketSpec;

/// The usual TTL of a Linux host.
const DEFAULT_TTL: u8 = 64;

impl PacketSpec {
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
