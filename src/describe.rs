//! Packets in words.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{Packet, Transport},
    protocol::{Origin, Probe},
};

use crate::scenario::{Family, Scenario, TcpFlags, icmp_name, tcp_flags_text};

/// `TCP 198.51.100.7:32768 -> 192.0.2.10:443 syn, on the wire of eth0`.
#[must_use]
pub fn probe(scenario: &Scenario, probe: &Probe) -> String {
    let place = match probe.from {
        Origin::Wire(interface) => scenario
            .firewall
            .interfaces
            .get(interface)
            .map_or_else(String::new, |interface| {
                format!(", in through {}", interface.name)
            }),
        Origin::Firewall => ", sent by the firewall".to_owned(),
    };
    format!("{}{place}", packet(&probe.packet))
}

/// `TCP 198.51.100.7:32768 -> 192.0.2.10:443 syn`.
#[must_use]
pub fn packet(packet: &Packet) -> String {
    let (source, destination) = (packet.source, packet.destination);
    match &packet.transport {
        Transport::Tcp(tcp) => format!(
            "TCP {} -> {} {}",
            endpoint(source, tcp.sport),
            endpoint(destination, tcp.dport),
            tcp_flags_text(TcpFlags(tcp.flags))
        ),
        Transport::Udp(udp) => {
            format!(
                "UDP {} -> {}",
                endpoint(source, udp.sport),
                endpoint(destination, udp.dport)
            )
        }
        Transport::Icmp(icmp) => {
            let (protocol, family) = if source.is_ipv6() {
                ("ICMPv6", Family::Ipv6)
            } else {
                ("ICMP", Family::Ipv4)
            };
            let name = icmp_name(family, icmp.kind)
                .map_or_else(|| format!("type {}", icmp.kind), str::to_owned);
            let code = if icmp.code == 0 {
                String::new()
            } else {
                format!(" code {}", icmp.code)
            };
            format!("{protocol} {source} -> {destination} {name}{code}")
        }
        Transport::Other { protocol, .. } => {
            format!("protocol {protocol} {source} -> {destination}")
        }
    }
}

fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}
