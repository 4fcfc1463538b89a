//! Legacy iptables (x_tables): whether it is in use, and its trace.
//!
//! x_tables traces a packet as nftables does once the packet is marked, which the harness's own
//! nftables table does for both. Only the way out differs: `TRACE: table:chain:rule:number` through the
//! logger of the address family (net/ipv4/netfilter/ip_tables.c, `trace_packet`), which is made
//! nfnetlink_log here, with its sequence numbers.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
};

use netlink_packet_core::NlasIterator;
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use firedrill_wire::protocol::{Broken, Bytes, Trace, TraceEvent, TraceKind, TraceVerdict};

use crate::{
    error::Doing,
    kernel::netlink::{self, DATAGRAM_BYTES, HEADER, HEADERS},
};

/// What the tables of an address family are called.
pub(crate) struct Family {
    /// `AF_INET`, `AF_INET6`.
    number: u8,
    /// In trace events.
    name: &'static str,
    /// In `/proc/net`: the names of its tables.
    tables: &'static str,
    /// Lists them.
    pub(crate) save: &'static str,
}

pub(crate) const FAMILIES: [Family; 2] = [
    Family {
        number: libc::AF_INET as u8,
        name: "legacy ip",
        tables: "ip_tables_names",
        save: "iptables-legacy-save",
    },
    Family {
        number: libc::AF_INET6 as u8,
        name: "legacy ip6",
        tables: "ip6_tables_names",
        save: "ip6tables-legacy-save",
    },
];

impl Family {
    /// Whether the current network namespace has tables of it. A kernel without x_tables has no such
    /// file.
    pub(crate) fn in_use(&self) -> bool {
        fs::read_to_string(format!("/proc/thread-self/net/{}", self.tables))
            .is_ok_and(|names| !names.trim().is_empty())
    }
}

/// Whether the current network namespace has legacy tables.
pub(crate) fn in_use() -> bool {
    FAMILIES.iter().any(Family::in_use)
}

/// `NFNL_SUBSYS_ULOG` and its messages (linux/netfilter/nfnetlink_log.h).
const SUBSYSTEM_ULOG: u16 = 4;
const MSG_PACKET: u16 = SUBSYSTEM_ULOG << 8;
const MSG_CONFIG: u16 = SUBSYSTEM_ULOG << 8 | 1;
/// `NFULA_CFG_CMD` and its commands.
const CFG_CMD: u16 = 1;
const CMD_BIND: u8 = 1;
const CMD_PF_BIND: u8 = 3;
/// `NFULA_CFG_MODE`, `NFULNL_COPY_PACKET`.
const CFG_MODE: u16 = 2;
const COPY_PACKET: u8 = 2;
/// `NFULA_CFG_FLAGS`, `NFULNL_CFG_F_SEQ`.
const CFG_FLAGS: u16 = 6;
const FLAG_SEQ: u16 = 1;
/// Where the trace goes, whatever group the candidate's own `NFLOG` rules name.
const GROUP: u16 = 0;
/// How much of a packet is shown: every header of a probe, and of an error with its quotation.
const COPIED: u32 = 512;
/// How the kernel begins each of its records.
const PREFIX: &str = "TRACE: ";
/// More records than any socket buffer holds.
const MAX_RECORDS: usize = 1 << 16;

/// Listens to the trace of legacy iptables in the namespace in which it was opened.
pub(crate) struct LogSocket {
    socket: Socket,
    /// The number that the next record must have.
    next: u32,
    /// Packets on their way through a table: family, a number for the packet, table, hook.
    open: Vec<(u8, u32, String, u8)>,
}

impl LogSocket {
    /// Opens a socket with a receive buffer of `buffer` bytes and makes the kernel log to it.
    pub(crate) fn open(buffer: usize) -> Result<Self, Broken> {
        let open = || {
            let socket = netlink::open(NETLINK_NETFILTER)?;
            let mut log = Self {
                socket,
                next: 0,
                open: Vec::new(),
            };
            for family in &FAMILIES {
                log.configure(family.number, 0, CFG_CMD, &[CMD_PF_BIND])?;
            }
            log.configure(0, GROUP, CFG_CMD, &[CMD_BIND])?;
            let mut mode = COPIED.to_be_bytes().to_vec();
            mode.extend([COPY_PACKET, 0]);
            log.configure(0, GROUP, CFG_MODE, &mode)?;
            log.configure(0, GROUP, CFG_FLAGS, &FLAG_SEQ.to_be_bytes())?;
            let buffer = i32::try_from(buffer).unwrap_or(i32::MAX);
            log.socket.set_rx_buf_sz(buffer)?;
            log.socket.set_non_blocking(true)?;
            io::Result::Ok(log)
        };
        open().doing(|| "listen to the trace of legacy iptables (nfnetlink_log)")
    }

    /// Sends one setting and waits until it is acknowledged.
    fn configure(&mut self, family: u8, group: u16, kind: u16, value: &[u8]) -> io::Result<()> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let length = HEADERS + 4 + value.len().next_multiple_of(4);
        let mut message = Vec::with_capacity(length);
        message.extend((length as u32).to_ne_bytes());
        message.extend(MSG_CONFIG.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend([family, 0]);
        message.extend(group.to_be_bytes());
        message.extend((4 + value.len() as u16).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value);
        message.resize(length, 0);
        self.socket.send(&message, 0)?;
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let length = self.socket.recv(&mut &mut buffer[..], 0)?;
            // What is logged meanwhile comes in between.
            for (kind, message) in messages(&buffer[..length.min(DATAGRAM_BYTES)]) {
                if kind != libc::NLMSG_ERROR as u16 {
                    self.next = self.next.wrapping_add(1);
                    continue;
                }
                let code = message
                    .get(HEADER..HEADERS)
                    .and_then(|code| code.try_into().ok());
                return match code.map(i32::from_ne_bytes) {
                    Some(0) => Ok(()),
                    Some(code) => Err(io::Error::from_raw_os_error(-code)),
                    None => Err(io::Error::other("a truncated answer")),
                };
            }
        }
    }

    /// Takes all events that are there, as [`crate::kernel::trace::TraceSocket::drain`] does.
    pub(crate) fn drain(&mut self, trace: &mut Trace) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        for _ in 0..MAX_RECORDS {
            match self.socket.recv(&mut &mut buffer[..], 0) {
                Ok(length) => {
                    for (kind, message) in messages(buffer.get(..length).unwrap_or_default()) {
                        if kind == MSG_PACKET && !self.record(message, trace) {
                            trace.lost = true;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => trace.lost = true,
                Err(_) => break,
            }
        }
        trace.lost = true;
    }

    /// Decodes a record; false if it cannot be read or one before it is missing.
    fn record(&mut self, message: &[u8], trace: &mut Trace) -> bool {
        let Some(record) = Record::parse(message) else {
            return false;
        };
        let complete = record.sequence == self.next;
        self.next = record.sequence.wrapping_add(1);
        if let Some(event) = self.event(&record) {
            trace.events.push(event);
        } else if record.prefix.starts_with(PREFIX) {
            return false;
        }
        complete
    }

    /// The event of a record of the kernel's own.
    fn event(&mut self, record: &Record) -> Option<TraceEvent> {
        let family = FAMILIES
            .iter()
            .find(|family| family.number == record.family)?;
        let mut parts = record.prefix.strip_prefix(PREFIX)?.trim_end().split(':');
        let table = parts.next()?.to_owned();
        let mut rest: Vec<&str> = parts.collect();
        let number = rest.pop()?.parse().ok()?;
        let kind = match rest.pop()? {
            "rule" => TraceKind::Rule,
            "return" => TraceKind::Return,
            "policy" => TraceKind::Policy,
            _ => return None,
        };
        let mut hasher = DefaultHasher::new();
        (record.family, &record.packet).hash(&mut hasher);
        let id = hasher.finish() as u32;
        let run = (record.family, id, table.clone(), record.hook);
        let begins = !self.open.contains(&run);
        if begins {
            self.open.retain(|(_, other, ..)| *other != id);
            self.open.push(run.clone());
        }
        if kind == TraceKind::Policy {
            self.open.retain(|other| *other != run);
        }
        // Packets whose end is not told are forgotten with the next probe's.
        let surplus = self.open.len().saturating_sub(64);
        self.open.drain(..surplus);
        Some(TraceEvent {
            id,
            family: family.name.to_owned(),
            table,
            // A chain's name may have colons of its own.
            chain: rest.join(":"),
            handle: Some(number),
            kind,
            verdict: TraceVerdict::Untold,
            iif: record.iif,
            oif: record.oif,
            mark: record.mark,
            packet: begins.then(|| Bytes(record.packet.clone())),
        })
    }
}

/// A record of nfnetlink_log, as far as it is needed.
struct Record {
    family: u8,
    hook: u8,
    prefix: String,
    packet: Vec<u8>,
    sequence: u32,
    iif: Option<u32>,
    oif: Option<u32>,
    mark: u32,
}

impl Record {
    fn parse(message: &[u8]) -> Option<Self> {
        let family = *message.get(HEADER)?;
        let mut attributes: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        for attribute in NlasIterator::new(message.get(HEADERS..)?) {
            let attribute = attribute.ok()?;
            attributes.insert(attribute.kind(), attribute.value().to_vec());
        }
        let number = |kind: u16| {
            let value = attributes.get(&kind)?.as_slice().try_into().ok()?;
            Some(u32::from_be_bytes(value))
        };
        let prefix = attributes.get(&10).map_or(&[][..], Vec::as_slice);
        let end = prefix.iter().position(|byte| *byte == 0);
        Some(Self {
            family,
            hook: *attributes.get(&1)?.get(2)?,
            prefix: String::from_utf8_lossy(&prefix[..end.unwrap_or(prefix.len())]).into_owned(),
            packet: attributes.get(&9).cloned().unwrap_or_default(),
            sequence: number(12)?,
            iif: number(4),
            oif: number(5),
            // Left out where it is zero.
            mark: number(2).unwrap_or(0),
        })
    }
}

/// The messages of a datagram with their types; what does not fit ends it.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some(header) = bytes.get(..HEADER) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(message) = bytes.get(..length).filter(|_| length >= HEADER) else {
            break;
        };
        found.push((u16::from_ne_bytes([header[4], header[5]]), message));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (_, message) in messages(&bytes) {
                let _ = Record::parse(message);
            }
        }
    }

    /// A record as the kernel makes it (`__build_packet_message`, net/netfilter/nfnetlink_log.c).
    fn logged(sequence: u32, hook: u8, prefix: &str, packet: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message.extend([libc::AF_INET as u8, 0, 0, 0]);
        let header = [8, 0, hook, 0];
        let prefix = [prefix.as_bytes(), &[0]].concat();
        let attributes: [(u16, &[u8]); 5] = [
            (1, &header),
            (4, &2_u32.to_be_bytes()),
            (9, packet),
            (10, &prefix),
            (12, &sequence.to_be_bytes()),
        ];
        for (kind, value) in attributes {
            message.extend((4 + value.len() as u16).to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    fn socket() -> LogSocket {
        LogSocket {
            socket: netlink::open(NETLINK_NETFILTER).expect("a socket"),
            next: 0,
            open: Vec::new(),
        }
    }

    #[test]
    fn a_missing_record_is_a_loss_and_so_is_one_that_cannot_be_read() {
        let (mut socket, mut trace) = (socket(), Trace::default());
        let prefix = "TRACE: filter:INPUT:rule:1 ";
        assert!(socket.record(&logged(0, 1, prefix, b"x"), &mut trace));
        // What rules of the candidate log counts, and is nothing else.
        assert!(socket.record(&logged(1, 1, "dropped: ", b"x"), &mut trace));
        assert!(!socket.record(&logged(3, 1, prefix, b"x"), &mut trace));
        assert!(socket.record(&logged(4, 1, prefix, b"x"), &mut trace));
        assert!(!socket.record(&logged(5, 1, "TRACE: gibberish", b"x"), &mut trace));
        assert!(!socket.record(b"short", &mut trace));
        assert_eq!(trace.events.len(), 3);
    }

    #[test]
    fn the_packet_stands_at_the_start_of_each_walk_through_a_table() {
        let (mut socket, mut trace) = (socket(), Trace::default());
        let records = [
            (1, "TRACE: raw:PREROUTING:policy:2 ", "probe"),
            (1, "TRACE: filter:INPUT:rule:1 ", "probe"),
            (1, "TRACE: filter:a:b:return:7 ", "probe"),
            // The answer of a rule that rejects is on its way in between.
            (3, "TRACE: filter:OUTPUT:policy:1 ", "answer"),
            (1, "TRACE: filter:INPUT:policy:3 ", "probe"),
            (1, "TRACE: filter:INPUT:rule:1 ", "probe"),
        ];
        for (sequence, (hook, prefix, packet)) in (0..).zip(records) {
            assert!(socket.record(
                &logged(sequence, hook, prefix, packet.as_bytes()),
                &mut trace
            ));
        }
        let begins: Vec<bool> = trace
            .events
            .iter()
            .map(|event| event.packet.is_some())
            .collect();
        assert_eq!(begins, [true, true, false, true, false, true]);
        let chains: Vec<&str> = trace.events.iter().map(|event| &*event.chain).collect();
        assert_eq!(
            chains,
            ["PREROUTING", "INPUT", "a:b", "OUTPUT", "INPUT", "INPUT"]
        );
        assert_eq!(trace.events[2].kind, TraceKind::Return);
        assert_eq!(trace.events[4].handle, Some(3));
    }
}
