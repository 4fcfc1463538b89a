//! Links, addresses, routes and neighbours, by synchronous netlink requests (rtnetlink(7)).

use std::{
    io,
    net::IpAddr,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{
        InfoData, InfoKind, InfoVeth, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
        State, Stats64, VlanProtocol,
    },
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        RouteType,
    },
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
};

use firedrill_wire::{
    packet::Packet,
    protocol::{Broken, RouteAnswer, RouteSpec, VlanSpec},
};

use crate::{
    error::Doing,
    kernel::{
        netlink::{self, DATAGRAM_BYTES},
        netns::NetNs,
    },
};

/// How long a link or an address may take to become usable. It needs about a millisecond, but the
/// kernel's workers wait for a lock that others on the machine may hold for seconds.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for an announcement, in milliseconds, before looking again all the same: the kernel
/// announces an IPv6 route a moment before a lookup finds it (`RTN_RTINFO` in net/ipv6/ip6_fib.c), and a
/// look in that moment would otherwise be the last.
const LOOK_AGAIN: u8 = 5;

/// Where changes of links are announced (linux/rtnetlink.h).
const RTNLGRP_LINK: u32 = 1;
/// Where changes of IPv6 routes are announced.
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// A veth pair to make: one end here, the other in the firewall's namespace.
pub(crate) struct Veth<'a> {
    pub(crate) far_name: String,
    pub(crate) far_index: u32,
    pub(crate) far_mac: [u8; 6],
    pub(crate) firewall_name: &'a str,
    pub(crate) firewall_index: u32,
    pub(crate) firewall_mac: [u8; 6],
}

/// A route socket in the namespace in which it was opened.
pub(crate) struct RouteSocket {
    socket: Socket,
    sequence: u32,
}

impl RouteSocket {
    /// Opens a socket in the current namespace.
    pub(crate) fn open() -> Result<Self, Broken> {
        Ok(Self {
            socket: netlink::open(NETLINK_ROUTE).doing(|| "open a route netlink socket")?,
            sequence: 0,
        })
    }

    /// Makes a veth pair. The far end is up; the firewall's end cannot be yet, because the kernel
    /// configures it before it knows its peer.
    pub(crate) fn add_veth(&mut self, veth: &Veth<'_>, firewall: &NetNs) -> Result<(), Broken> {
        let end = |name: &str, index: u32, mac: [u8; 6]| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            link.attributes.push(LinkAttribute::IfName(name.to_owned()));
            link.attributes.push(LinkAttribute::Address(mac.to_vec()));
            link
        };
        let mut peer = end(veth.firewall_name, veth.firewall_index, veth.firewall_mac);
        peer.attributes.push(LinkAttribute::NetNsFd(firewall.fd()));
        let mut link = end(&veth.far_name, veth.far_index, veth.far_mac);
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.change(
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .doing(|| format!("make the interface {}", veth.firewall_name))
    }

    /// Makes a VLAN of an interface of this namespace.
    pub(crate) fn add_vlan(
        &mut self,
        name: &str,
        index: u32,
        below: u32,
        vlan: &VlanSpec,
    ) -> Result<(), Broken> {
        let protocol = if vlan.service {
            VlanProtocol::Ieee8021Ad
        } else {
            VlanProtocol::Ieee8021Q
        };
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.extend([
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Link(below),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vlan),
                LinkInfo::Data(InfoData::Vlan(vec![
                    InfoVlan::Id(vlan.id),
                    InfoVlan::Protocol(protocol),
                ])),
            ]),
        ]);
        self.change(
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|error| match error.raw_os_error() {
            Some(libc::EOPNOTSUPP) => {
                io::Error::other("this kernel has no VLANs (CONFIG_VLAN_8021Q, module 8021q)")
            }
            _ => error,
        })
        .doing(|| format!("make the VLAN interface {name}"))
    }

    /// Brings an interface of this namespace up.
    pub(crate) fn set_up(&mut self, index: u32) -> Result<(), Broken> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::SetLink(link), 0)
            .doing(|| format!("bring interface number {index} up"))
    }

    /// Waits until an interface of this namespace can send. The kernel switches a link on in two
    /// steps; between them it says "up" but throws packets away (net/core/link_watch.c).
    pub(crate) fn await_operational(&mut self, index: u32) -> Result<(), Broken> {
        self.await_that(RTNLGRP_LINK, |socket| socket.is_operational(index))
            .doing(|| format!("wait until interface number {index} is operational"))
    }

    /// Waits until packets to an address of this namespace are delivered. IPv6 does not do so before
    /// a worker has looked after the address, even without duplicate address detection; until then it
    /// asks the link for its own address (net/ipv6/addrconf.c).
    pub(crate) fn await_local(&mut self, address: IpAddr) -> Result<(), Broken> {
        self.await_that(RTNLGRP_IPV6_ROUTE, |socket| socket.is_local(address))
            .doing(|| format!("wait until {address} is an address of the firewall"))
    }

    /// Looks at a condition now and after every announcement of a group, until it holds.
    fn await_that(
        &mut self,
        group: u32,
        condition: impl Fn(&mut Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        let deadline = Instant::now() + READY_PATIENCE;
        if condition(self)? {
            return Ok(());
        }
        self.socket.add_membership(group)?;
        while !condition(self)? {
            if Instant::now() >= deadline {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, LOOK_AGAIN) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            // The announcement itself says less than a look.
            let _ = self.socket.recv(&mut &mut [0; DATAGRAM_BYTES][..], 0)?;
        }
        self.socket.drop_membership(group)
    }

    fn is_local(&mut self, address: IpAddr) -> io::Result<bool> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(address);
        message.header.destination_prefix_length = if address.is_ipv6() { 128 } else { 32 };
        message
            .attributes
            .push(RouteAttribute::Destination(address.into()));
        match self.request(RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST) {
            Ok(Some(RouteNetlinkMessage::NewRoute(route))) => {
                Ok(route.header.kind == RouteType::Local)
            }
            Ok(_) => Ok(false),
            // No route yet.
            Err(error) if error.raw_os_error().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_operational(&mut self, index: u32) -> io::Result<bool> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let answer = self.request(RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST)?;
        let Some(RouteNetlinkMessage::NewLink(link)) = answer else {
            return Ok(false);
        };
        Ok(link
            .attributes
            .contains(&LinkAttribute::OperState(State::Up)))
    }

    /// What an interface of this namespace has counted.
    pub(crate) fn link_counters(&mut self, index: u32) -> Result<Stats64, Broken> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let answer = self
            .request(RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST)
            .doing(|| format!("ask for the counters of interface number {index}"))?;
        let Some(RouteNetlinkMessage::NewLink(link)) = answer else {
            return Ok(Stats64::default());
        };
        let counters = link.attributes.into_iter();
        let mut counters = counters.filter_map(|attribute| match attribute {
            LinkAttribute::Stats64(counters) => Some(counters),
            _ => None,
        });
        Ok(counters.next().unwrap_or_default())
    }

    /// Gives an interface an address, usable at once.
    pub(crate) fn add_address(&mut self, index: u32, net: IpNet) -> Result<(), Broken> {
        let mut message = AddressMessage::default();
        message.header.family = family(net.addr());
        message.header.prefix_len = net.prefix_len();
        message.header.scope = AddressScope::Universe;
        message.header.index = index;
        message
            .attributes
            .push(AddressAttribute::Address(net.addr()));
        message.attributes.push(AddressAttribute::Local(net.addr()));
        match net {
            IpNet::V4(v4) if v4.prefix_len() < 31 => {
                message
                    .attributes
                    .push(AddressAttribute::Broadcast(v4.broadcast()));
            }
            IpNet::V4(_) => {}
            IpNet::V6(_) => message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad)),
        }
        self.change(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .doing(|| format!("add the address {net}"))
    }

    /// Adds a route to the main table.
    pub(crate) fn add_route(&mut self, index: u32, route: &RouteSpec) -> Result<(), Broken> {
        let destination = route.destination;
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination.addr());
        message.header.destination_prefix_length = destination.prefix_len();
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::Unicast;
        message.header.scope = if route.via.is_some() {
            RouteScope::Universe
        } else {
            RouteScope::Link
        };
        if destination.prefix_len() > 0 {
            let network = RouteAddress::from(destination.network());
            message
                .attributes
                .push(RouteAttribute::Destination(network));
        }
        if let Some(via) = route.via {
            message.attributes.push(RouteAttribute::Gateway(via.into()));
        }
        message.attributes.push(RouteAttribute::Oif(index));
        self.change(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .doing(|| match route.via {
            Some(via) => format!("add the route {destination} via {via}"),
            None => format!("add the route {destination}"),
        })
    }

    /// Enters a neighbour for good, so that nothing has to be resolved.
    pub(crate) fn add_neighbour(
        &mut self,
        index: u32,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<(), Broken> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message
            .attributes
            .push(NeighbourAttribute::Destination(match address {
                IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
                IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
            }));
        message
            .attributes
            .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        self.change(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .doing(|| format!("enter the neighbour {address}"))
    }

    /// Asks for the routing decision for a packet that comes in on `iif`, or is sent by this
    /// namespace when `None`.
    pub(crate) fn route_of(
        &mut self,
        packet: &Packet,
        iif: Option<u32>,
    ) -> Result<RouteAnswer, Broken> {
        let mut message = RouteMessage::default();
        let bits = if packet.source.is_ipv6() { 128 } else { 32 };
        message.header.address_family = family(packet.source);
        message.header.destination_prefix_length = bits;
        message.header.source_prefix_length = bits;
        message.attributes.extend([
            RouteAttribute::Destination(packet.destination.into()),
            RouteAttribute::Source(packet.source.into()),
        ]);
        if let Some((sport, dport)) = packet.ports() {
            message.attributes.extend([
                RouteAttribute::IpProto(packet.protocol()),
                RouteAttribute::Sport(sport),
                RouteAttribute::Dport(dport),
            ]);
        }
        if let Some(iif) = iif {
            message.attributes.push(RouteAttribute::Iif(iif));
        }
        match self.request(RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST) {
            Ok(Some(RouteNetlinkMessage::NewRoute(route))) => Ok(RouteAnswer::Route {
                kind: route.header.kind.into(),
                oif: route
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        RouteAttribute::Oif(index) => Some(*index),
                        _ => None,
                    }),
            }),
            Ok(_) => Ok(RouteAnswer::NotAsked),
            Err(error) => match error.raw_os_error() {
                Some(code) => Ok(RouteAnswer::Refused { code }),
                None => Err(Broken::new("ask for a routing decision", error)),
            },
        }
    }

    fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, NLM_F_REQUEST | NLM_F_ACK | flags)
            .map(drop)
    }

    /// Sends one request and reads its one answer: an acknowledgement, an error or a message.
    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        self.sequence += 1;
        let bytes = netlink::request(message, flags, self.sequence);
        self.socket.send(&bytes, 0)?;
        loop {
            let mut buffer = vec![0; DATAGRAM_BYTES];
            let length = self.socket.recv(&mut &mut buffer[..], 0)?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&buffer[..length])
                .map_err(io::Error::other)?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
                NetlinkPayload::InnerMessage(message) => Ok(Some(message)),
                _ => Ok(None),
            };
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
