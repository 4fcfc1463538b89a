//! Packets in words.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{Packet, Transport, pieces},
    protocol::{Origin, Probe, hex},
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
    let text = match &packet.transport {
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
        Transport::UdpLite(udp) => format!(
            "UDP-Lite {} -> {}",
            endpoint(source, udp.sport),
            endpoint(destination, udp.dport)
        ),
        Transport::Sctp(sctp) => format!(
            "SCTP {} -> {}",
            endpoint(source, sctp.sport),
            endpoint(destination, sctp.dport)
        ),
        Transport::Igmp(igmp) => format!(
            "IGMP {source} -> {destination} type {:#04x} group {}",
            igmp.kind, igmp.group
        ),
        Transport::Gre(_) => format!("GRE {source} -> {destination}"),
        Transport::Esp(esp) => format!("ESP {source} -> {destination} spi {}", esp.spi),
        Transport::Ah(ah) => format!("AH {source} -> {destination} spi {}", ah.spi),
        Transport::Ospf(ospf) => format!("OSPF {source} -> {destination} type {}", ospf.kind),
        Transport::Vrrp(vrrp) => {
            format!(
                "VRRP {source} -> {destination} virtual router {}",
                vrrp.router
            )
        }
        Transport::Arp(arp) => match arp.operation {
            1 => format!("ARP who has {destination}, asks {source}"),
            2 => format!("ARP {source} tells {destination} its address"),
            other => format!("ARP operation {other} {source} -> {destination}"),
        },
        Transport::Bytes(bytes) => {
            format!("{} bytes {source} -> {destination}", bytes.0.len())
        }
        Transport::Other { protocol, .. } => {
            format!("protocol {protocol} {source} -> {destination}")
        }
    };
    let mut more = Vec::new();
    let ip = &packet.ip;
    more.extend((ip.dscp > 0).then(|| format!("dscp {}", ip.dscp)));
    more.extend((ip.ecn > 0).then(|| format!("ecn {}", ip.ecn)));
    more.extend((!ip.options.0.is_empty()).then(|| format!("options {}", hex(&ip.options.0))));
    more.extend(
        ip.extensions
            .iter()
            .map(|header| format!("extension {}", header.number)),
    );
    if let Some(fragment) = &ip.fragment {
        let more_or_last = if fragment.more { "more" } else { "last" };
        more.push(format!("fragment at {} {more_or_last}", fragment.offset));
    }
    if packet.cut.pieces.is_some() {
        more.push(format!("in {} fragments", pieces(packet).len()));
    }
    more.extend(
        packet
            .cut
            .truncate
            .map(|length| format!("truncated to {length} bytes")),
    );
    more.extend(
        packet
            .ether
            .vlan
            .iter()
            .map(|tag| format!("vlan {}", tag.id)),
    );
    if more.is_empty() {
        text
    } else {
        format!("{text} ({})", more.join(", "))
    }
}

fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}
