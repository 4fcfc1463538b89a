//! The trace of the ruleset, as nftables reports it over netlink (linux/netfilter/nf_tables.h); where
//! legacy iptables is in use, its trace with it.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use firedrill_wire::protocol::{Broken, Bytes, Trace, TraceEvent, TraceKind, TraceVerdict};
use netlink_packet_core::{DefaultNla, NetlinkMessage, NetlinkPayload, Nla};
use netlink_packet_netfilter::{
    NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily, nftables::NfTablesMessage,
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use crate::{
    error::Doing,
    kernel::{
        netlink::{self, DATAGRAM_BYTES},
        xtables::{self, LogSocket},
    },
};

/// `NFNLGRP_NFTRACE`.
const TRACE_GROUP: u32 = 9;
/// How many messages of the trace are read for one probe: more than any socket buffer holds, and than
/// any ruleset that somebody wrote has rules.
const MAX_EVENTS: usize = 1 << 16;

/// Listens to the nftables trace of the namespace in which it was opened.
pub(crate) struct TraceSocket {
    socket: Socket,
    deaf: bool,
    /// The trace of legacy iptables, where it is in use.
    legacy: Option<RefCell<LogSocket>>,
}

impl TraceSocket {
    /// Opens a socket with a receive buffer of `buffer` bytes (the kernel caps it at
    /// `net.core.rmem_max`) and joins the trace group, unless `deaf`.
    pub(crate) fn open(buffer: usize, deaf: bool) -> Result<Self, Broken> {
        let open = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            // Not bound, it would have no port and get no multicast at all.
            socket.bind_auto()?;
            socket.set_rx_buf_sz(i32::try_from(buffer).unwrap_or(i32::MAX))?;
            socket.set_non_blocking(true)?;
            if !deaf {
                socket.add_membership(TRACE_GROUP)?;
            }
            io::Result::Ok(socket)
        };
        Ok(Self {
            socket: open().doing(|| "listen to the nftables trace")?,
            deaf,
            legacy: match xtables::in_use() && !deaf {
                true => Some(RefCell::new(LogSocket::open(buffer)?)),
                false => None,
            },
        })
    }

    /// Leaves the trace group: the kernel then spends no time on events.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.socket.drop_membership(TRACE_GROUP)
    }

    /// Listens again; what was missed in between is nobody's evidence.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        if !self.deaf {
            self.socket.add_membership(TRACE_GROUP)?;
        }
        self.drain(&mut Trace::default());
        Ok(())
    }

    /// Takes all events that are there. Tracing happens while a packet is processed, so behind a
    /// barrier these are all there will be.
    pub(crate) fn drain(&self, trace: &mut Trace) {
        self.drain_nftables(trace);
        if let Some(legacy) = &self.legacy {
            legacy.borrow_mut().drain(trace);
        }
    }

    fn drain_nftables(&self, trace: &mut Trace) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        for _ in 0..MAX_EVENTS {
            match self.socket.recv(&mut &mut buffer[..], 0) {
                Ok(length) => {
                    if !events(buffer.get(..length).unwrap_or_default(), &mut trace.events) {
                        trace.lost = true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ENOBUFS: the kernel threw events away. It says so once; what is left is read on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => trace.lost = true,
                Err(_) => {
                    trace.lost = true;
                    return;
                }
            }
        }
        // Something floods the lab with packets, or a packet the ruleset with jumps.
        trace.lost = true;
    }
}

impl AsFd for TraceSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TraceSocket {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// Decodes a datagram; false if anything in it could not be read.
fn events(mut bytes: &[u8], events: &mut Vec<TraceEvent>) -> bool {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<NetfilterMessage>::deserialize(bytes) else {
            return false;
        };
        bytes = netlink::after(bytes, message.header.length);
        let NetlinkPayload::InnerMessage(message) = message.payload else {
            continue;
        };
        let NetfilterMessageInner::NfTables(NfTablesMessage::Trace(attributes)) = message.inner
        else {
            continue;
        };
        match event(message.header.family, &attributes) {
            Some(event) => events.push(event),
            None => return false,
        }
    }
    true
}

/// `enum nft_trace_attributes`.
mod attribute {
    pub const TABLE: u16 = 1;
    pub const CHAIN: u16 = 2;
    pub const RULE_HANDLE: u16 = 3;
    pub const TYPE: u16 = 4;
    pub const VERDICT: u16 = 5;
    pub const ID: u16 = 6;
    pub const NETWORK_HEADER: u16 = 8;
    pub const TRANSPORT_HEADER: u16 = 9;
    pub const IIF: u16 = 10;
    pub const OIF: u16 = 12;
    pub const MARK: u16 = 14;
    pub const POLICY: u16 = 16;
}

fn event(family: NetfilterProtoFamily, attributes: &[DefaultNla]) -> Option<TraceEvent> {
    let mut event = TraceEvent {
        id: 0,
        family: family_name(family).to_owned(),
        table: String::new(),
        chain: String::new(),
        handle: None,
        kind: TraceKind::Other,
        verdict: TraceVerdict::Continue,
        iif: None,
        oif: None,
        mark: 0,
        packet: None,
    };
    let (mut network, mut transport, mut policy) = (None, Vec::new(), None);
    for nla in attributes {
        let mut value = vec![0; nla.value_len()];
        nla.emit_value(&mut value);
        match nla.kind() {
            attribute::TABLE => event.table = text(&value),
            attribute::CHAIN => event.chain = text(&value),
            attribute::RULE_HANDLE => {
                event.handle = Some(u64::from_be_bytes(value.try_into().ok()?));
            }
            attribute::TYPE => {
                event.kind = match be32(&value)? {
                    1 => TraceKind::Policy,
                    2 => TraceKind::Return,
                    3 => TraceKind::Rule,
                    _ => TraceKind::Other,
                }
            }
            attribute::VERDICT => event.verdict = verdict(&value)?,
            attribute::ID => event.id = be32(&value)?,
            attribute::NETWORK_HEADER => network = Some(value),
            attribute::TRANSPORT_HEADER => transport = value,
            attribute::IIF => event.iif = Some(be32(&value)?),
            attribute::OIF => event.oif = Some(be32(&value)?),
            attribute::MARK => event.mark = be32(&value)?,
            attribute::POLICY => policy = Some(standard_verdict(be32(&value)? as i32)),
            _ => {}
        }
    }
    // A policy event says "continue" and names the policy beside it.
    if let (TraceKind::Policy, Some(policy)) = (event.kind, policy) {
        event.verdict = policy;
    }
    let mut bytes: Vec<u8> = network.unwrap_or_default();
    bytes.append(&mut transport);
    event.packet = (!bytes.is_empty()).then_some(Bytes(bytes));
    Some(event)
}

/// `NFTA_TRACE_VERDICT` nests `NFTA_VERDICT_CODE` (1) and `NFTA_VERDICT_CHAIN` (2).
fn verdict(bytes: &[u8]) -> Option<TraceVerdict> {
    let (mut code, mut chain) = (None, String::new());
    for nla in netlink_packet_core::NlasIterator::new(bytes) {
        let nla = nla.ok()?;
        match nla.kind() {
            1 => code = be32(nla.value()),
            2 => chain = text(nla.value()),
            _ => {}
        }
    }
    Some(match code? as i32 {
        -1 => TraceVerdict::Continue,
        -2 => TraceVerdict::Break,
        -3 => TraceVerdict::Jump(chain),
        -4 => TraceVerdict::Goto(chain),
        -5 => TraceVerdict::Return,
        other => standard_verdict(other),
    })
}

/// The verdicts of all of netfilter (linux/netfilter.h).
fn standard_verdict(code: i32) -> TraceVerdict {
    match code {
        0 => TraceVerdict::Drop,
        1 => TraceVerdict::Accept,
        2 => TraceVerdict::Stolen,
        // NF_QUEUE carries the queue's number in the upper half.
        code if code & 0xff == 3 && code >= 0 => TraceVerdict::Queue,
        other => TraceVerdict::Other(other),
    }
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn family_name(family: NetfilterProtoFamily) -> &'static str {
    match family {
        NetfilterProtoFamily::Inet => "inet",
        NetfilterProtoFamily::IPv4 => "ip",
        NetfilterProtoFamily::IPv6 => "ip6",
        NetfilterProtoFamily::ARP => "arp",
        NetfilterProtoFamily::NetDev => "netdev",
        NetfilterProtoFamily::Bridge => "bridge",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut found = Vec::new();
            let _ = events(&bytes, &mut found);
            let _ = verdict(&bytes);
        }
    }
}
