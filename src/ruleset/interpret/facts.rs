//! What is known of a packet when it enters a hook.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What is known of a packet as it enters a hook; what is unknown gives *maybe* where it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketFacts {
    /// From the network header on.
    pub network: Vec<u8>,
    /// Header of the link layer.
    pub link: LinkFacts,
    /// EtherType (`skb->protocol`).
    pub ether_type: u16,
    /// `PACKET_*` of linux/if_packet.h; `None` is unknown.
    pub packet_type: Option<u8>,
    /// `skb->mark`; `None` is unknown.
    pub mark: Option<u32>,
    /// `skb->priority`; `None` is unknown.
    pub priority: Option<u32>,
    /// What connection tracking says of the packet once it has seen it.
    pub tracking: Tracking,
    /// The socket that sends it.
    pub socket: SocketFacts,
    /// Whether it came through IPsec (`secpath_exists`); `None` is unknown.
    pub has_security_path: Option<bool>,
}

/// The header of the link layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LinkFacts {
    /// Not known.
    #[default]
    Unknown,
    /// There is none: the host itself sends the packet, or the interface has none.
    Absent,
    /// These bytes, without the VLAN tag that the interface took off.
    Known(Vec<u8>),
}

/// An interface of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InterfaceFacts {
    /// Not known.
    #[default]
    Unknown,
    /// The hook has none.
    Absent,
    /// This one.
    Known(KnownInterface),
}

/// An interface, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownInterface {
    /// Its name.
    pub name: Option<String>,
    /// Its index.
    pub index: Option<u32>,
    /// Its type (`ARPHRD_*`, linux/if_arp.h).
    pub hardware: Option<u16>,
    /// Its group.
    pub group: Option<u32>,
    /// The kind of its driver (`rtnl_link_ops`), as in `ip link add type`.
    pub driver: Option<String>,
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tracking {
    /// Not known.
    #[default]
    Unknown,
    /// It has not seen the packet, or cannot assign it to a connection: `ct state invalid`.
    Invalid,
    /// It leaves the packet alone: `ct state untracked`.
    Untracked,
    /// The packet belongs to a connection.
    Tracked(ConnectionFacts),
}

/// The place of a packet in its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// The first packet, or one before a reply (`IP_CT_NEW`).
    New,
    /// After a reply (`IP_CT_ESTABLISHED`).
    Established,
    /// It begins a connection, or is an error, that belongs to another connection (`IP_CT_RELATED`).
    Related,
}

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The packet's place in it; `None` is unknown.
    pub state: Option<ConnectionState>,
    /// Whether the packet goes in the direction of replies; `None` is unknown.
    pub is_reply: Option<bool>,
    /// Its status bits (`IPS_*`, linux/netfilter/nf_conntrack_common.h); `None` is unknown.
    pub status: Option<u32>,
    /// Its mark; `None` is unknown.
    pub mark: Option<u32>,
    /// Whether a NAT chain has chosen its translation before this packet; `None` is unknown.
    pub is_bound: Option<bool>,
    /// Addresses and ports of its original direction, before any translation; `None` is unknown.
    pub original: Option<Endpoints>,
    /// Addresses and ports of its replies; `None` is unknown.
    pub reply: Option<Endpoints>,
}

impl ConnectionFacts {
    /// A connection that begins with this packet.
    #[must_use]
    pub fn begun(original: Option<Endpoints>) -> Self {
        Self {
            state: Some(ConnectionState::New),
            is_reply: Some(false),
            status: Some(0),
            mark: Some(0),
            is_bound: Some(false),
            reply: original.map(Endpoints::reversed),
            original,
        }
    }
}

/// Addresses and ports of one direction of a connection (`struct nf_conntrack_tuple`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// Source port; for ICMP the identifier. 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port; for ICMP type and code. 0 where the protocol has none.
    pub destination_port: u16,
}

impl Endpoints {
    /// Of the other direction, for protocols with ports.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self
        }
    }
}

/// The socket of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SocketFacts {
    /// Not known.
    #[default]
    Unknown,
    /// It has none: it came in on an interface.
    Absent,
    /// That of this user and group.
    Owned {
        /// User id of the socket's file.
        user: u32,
        /// Group id of the socket's file.
        group: u32,
    },
}

/// What is known of the host that does not change from packet to packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Every address of the host with its prefix, loopback included; `None` is unknown.
    pub addresses: Option<Vec<HostAddress>>,
    /// Destinations of all routes beside those of the addresses' own networks; `None` is unknown.
    pub routes: Option<Vec<IpNet>>,
}

/// An address of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress {
    /// Name of the interface that has it.
    pub interface: String,
    /// The address and the prefix of its network.
    pub network: IpNet,
}

/// Types of addresses (`RTN_*`, linux/rtnetlink.h).
pub mod address_type {
    /// `RTN_UNICAST`
    pub const UNICAST: u32 = 1;
    /// `RTN_LOCAL`
    pub const LOCAL: u32 = 2;
    /// `RTN_BROADCAST`
    pub const BROADCAST: u32 = 3;
    /// `RTN_MULTICAST`
    pub const MULTICAST: u32 = 5;
    /// `RTN_UNREACHABLE`
    pub const UNREACHABLE: u32 = 7;
}

impl HostFacts {
    /// The type of an address; `None` if it is not known.
    #[must_use]
    pub fn address_type(&self, address: &[u8]) -> Option<u32> {
        match <[u8; 4]>::try_from(address) {
            Ok(address) => self.ipv4_address_type(address.into()),
            Err(_) => self.ipv6_address_type(<[u8; 16]>::try_from(address).ok()?.into()),
        }
    }

    /// `__nft_fib6_eval_type` (net/ipv6/netfilter/nft_fib_ipv6.c), without an interface.
    fn ipv6_address_type(&self, address: Ipv6Addr) -> Option<u32> {
        let addresses = self.addresses.as_ref()?;
        let networks = || {
            addresses.iter().filter_map(|host| match host.network {
                IpNet::V6(network) => Some(network),
                IpNet::V4(_) => None,
            })
        };
        if address.is_loopback() || networks().any(|network| network.addr() == address) {
            return Some(address_type::LOCAL);
        }
        if address.is_multicast() {
            return Some(address_type::MULTICAST);
        }
        // The first address of a network is the anycast address of its routers, if the host forwards.
        let is_anycast = networks().any(|network| network.network() == address);
        if is_anycast || address.is_unicast_link_local() {
            return None;
        }
        let is_routed = self
            .routes
            .as_ref()?
            .iter()
            .any(|route| route.contains(&IpAddr::V6(address)));
        Some(
            if is_routed || networks().any(|network| network.contains(&address)) {
                address_type::UNICAST
            } else {
                address_type::UNREACHABLE
            },
        )
    }

    /// In the routing table `local` (`inet_dev_addr_type`, net/ipv4/fib_frontend.c).
    fn ipv4_address_type(&self, address: Ipv4Addr) -> Option<u32> {
        let addresses = self.addresses.as_ref()?;
        // `ipv4_is_zeronet`, `ipv4_is_lbcast`
        if address.octets()[0] == 0 || address == Ipv4Addr::BROADCAST {
            return Some(address_type::BROADCAST);
        }
        if address.is_multicast() {
            return Some(address_type::MULTICAST);
        }
        if address.is_loopback() {
            return Some(address_type::LOCAL);
        }
        let networks = || {
            addresses.iter().filter_map(|host| match host.network {
                IpNet::V4(network) => Some(network),
                IpNet::V6(_) => None,
            })
        };
        if networks().any(|network| network.addr() == address) {
            return Some(address_type::LOCAL);
        }
        // `fib_add_ifaddr` adds no broadcast address to networks of one or two addresses.
        let is_broadcast =
            networks().any(|network| network.prefix_len() < 31 && network.broadcast() == address);
        Some(if is_broadcast {
            address_type::BROADCAST
        } else {
            address_type::UNICAST
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Expected by reading `inet_dev_addr_type` and `__nft_fib6_eval_type`.
    #[rstest]
    #[case("192.0.2.1", Some(address_type::LOCAL))]
    #[case("192.0.2.255", Some(address_type::BROADCAST))]
    #[case("192.0.2.7", Some(address_type::UNICAST))]
    #[case("203.0.113.1", Some(address_type::UNICAST))]
    #[case("224.0.0.18", Some(address_type::MULTICAST))]
    #[case("127.0.0.9", Some(address_type::LOCAL))]
    #[case("0.0.0.0", Some(address_type::BROADCAST))]
    #[case("2001:db8:1::1", Some(address_type::LOCAL))]
    #[case("2001:db8:1::7", Some(address_type::UNICAST))]
    #[case("2001:db8:1::", None)]
    #[case("2001:db8:2::7", Some(address_type::UNICAST))]
    #[case("2001:db8:3::7", Some(address_type::UNREACHABLE))]
    #[case("ff02::1", Some(address_type::MULTICAST))]
    #[case("fe80::1", None)]
    fn an_address_has_the_type_of_the_kernel(
        #[case] address: IpAddr,
        #[case] expected: Option<u32>,
    ) {
        let on_eth0 = |network: &str| HostAddress {
            interface: "eth0".to_owned(),
            network: network.parse().unwrap(),
        };
        let host = HostFacts {
            addresses: Some(vec![on_eth0("192.0.2.1/24"), on_eth0("2001:db8:1::1/64")]),
            routes: Some(vec!["2001:db8:2::/64".parse().unwrap()]),
        };
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        assert_eq!(host.address_type(&bytes), expected);
    }
}
