//! Packets as plain data: crafting a probe, reading what was seen, and telling how the two relate.
//!
//! Every probe carries a *cookie* in as many places as its headers leave free (IPv4 identification or IPv6
//! flow label, IPv6 fragment identification, TCP sequence number, SCTP initiate tag, payload), so that it is
//! recognised on the other side of the firewall, in the kernel's trace and in the errors that quote it,
//! translated or not.

mod arp;
mod craft;
mod fragments;
mod icmp;
mod ip;
mod model;
mod other;
mod relation;
mod seen;
mod transport;
mod turn;

pub use self::{
    craft::{craft, pieces},
    fragments::is_complete,
    icmp::{is_icmp_error, is_neighbour_discovery},
    model::{
        Ah, Arp, Checksum, Chunk, Cut, Esp, Ether, Extension, Fragment, Gre, Icmp, Igmp, Ip, Ospf,
        Packet, Payload, Pieces, Sctp, Tcp, Transport, Udp, UdpLite, VlanTag, Vrrp, tcp_flag,
    },
    relation::{Answer, Relation, relate, relate_bytes, relate_traced},
    seen::{Seen, SeenFragment, protocol},
};
pub use turn::Turn;
