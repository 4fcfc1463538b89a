//! The kernel's interfaces, one file for each: netlink and what goes over it, sockets, namespaces,
//! system calls, and the counters in `/proc`.
//!
//! It owns the words of the kernel and how they are encoded. It never decides what is sent, when, or
//! what an answer means for a packet.

pub(crate) mod counters;
pub(crate) mod dump;
pub(crate) mod ipset;
pub(crate) mod legacy;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod nflog;
pub(crate) mod nftables;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod sys;
pub(crate) mod trace;
mod users;
pub(crate) mod xtables;
