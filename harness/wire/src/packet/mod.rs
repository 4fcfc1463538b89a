//! Packets as plain data: crafting a probe, reading what was seen, and telling how the two relate.
//!
//! Every probe carries a *cookie* in as many places as its headers leave free (IPv4 identification or IPv6
//! flow label, IPv6 fragment identification, TCP sequence number, SCTP initiate tag, payload), so that it is
//! recognised on the other side of the firewall, in the kernel's trace and in the errors that quote it,
//! translated or not.

mod arp;
mod complete;
mod context;
mod craft;
mod ether;
mod field;
mod fragments;
mod gre;
mod icmp;
mod igmp;
mod ip;
mod ipsec;
mod model;
mod ospf;
mod relation;
mod reply;
mod sctp;
mod seen;
mod tcp;
mod udp;
mod udp_lite;
mod vrrp;

pub use self::{
    arp::Arp,
    complete::is_complete,
    craft::{craft, pieces},
    ether::{Ether, VlanTag},
    field::{Checksum, Payload},
    gre::Gre,
    icmp::{Icmp, is_icmp_error, is_neighbour_discovery},
    igmp::Igmp,
    ip::{Extension, Fragment, Ip},
    ipsec::{Ah, Esp},
    model::{Cut, Packet, Pieces, Transport},
    ospf::Ospf,
    relation::{Answer, Relation, relate, relate_bytes, relate_traced},
    reply::{Direction, Turn},
    sctp::{Chunk, Sctp},
    seen::{Seen, SeenFragment, protocol},
    tcp::{Tcp, tcp_flag},
    udp::Udp,
    udp_lite::UdpLite,
    vrrp::Vrrp,
};
