//! The loaded ruleset as the kernel dumps it: what the library decodes, and what tells whether two labs hold the same
//! rules. Then what was listed in one of them need not be listed again, which takes a process.

use std::{collections::BTreeMap, io};

use netlink_packet_core::{DefaultNla, Emitable, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use firedrill_wire::protocol::Bytes;

use crate::kernel::{
    netlink::{self, DATAGRAM_BYTES, HEADER, HEADERS, attribute, messages},
    nftables::{NftSocket, SUBSYSTEM_NFTABLES, TRACE_TABLE},
};

/// The upper byte of a message's type.
const SUBSYSTEM: u16 = SUBSYSTEM_NFTABLES << 8;
/// Messages of nftables (linux/netfilter/nf_tables.h): those that ask for tables, chains, sets, objects, flow
/// tables and rules; what answers the one for sets; the one that asks for the elements of a set, and its answer.
const GET: [u16; 6] = [1, 4, GET_SET, 19, 23, 7];
const GET_SET: u16 = 10;
const NEW_SET: u16 = 9;
const GET_ELEMENTS: u16 = 13;
const NEW_ELEMENTS: u16 = 12;
/// Attributes: the table of whatever it is (and a table's own name), the name of a set, the elements of a set.
const TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const ELEMENTS: u16 = 3;
/// `NFTA_LIST_ELEM`.
const LIST_ELEMENT: u16 = 1;
/// `NLMSG_ERROR`, `NLMSG_DONE` and `NLM_F_DUMP_INTR` (linux/netlink.h).
const ERROR: u16 = 2;
const DONE: u16 = 3;
const INTERRUPTED: u16 = 0x10;
/// Where netfilter's header has the family, behind netlink's.
const FAMILY: usize = HEADER;
/// How often a ruleset is read that changes meanwhile.
const MAX_READS: u32 = 5;
/// The most bytes of elements in one message: the length of an attribute has 16 bits.
const MAX_ELEMENTS_BYTES: usize = 32 * 1024;

/// A set: family, table and name.
type Set = (u8, Vec<u8>, Vec<u8>);

/// The rules of the current namespace, except for the harness's own tables, as a sequence of netlink messages: tables,
/// chains, sets, objects, flow tables, rules in the kernel's order, then the elements of each set, sorted, since the
/// kernel's order of them is chance. The numbers in the headers that differ from time to time are zero, so what is
/// equal here is listed alike. Counters are part of it: a packet that came by makes a difference.
///
/// # Errors
///
/// Whatever keeps it from being read, and a ruleset that changes again and again meanwhile.
pub fn program_dump() -> io::Result<Bytes> {
    let mut nft = NftSocket::open().map_err(io::Error::other)?;
    let mut generation = move || nft.generation().map_err(io::Error::other);
    let mut before = generation()?;
    for _ in 0..MAX_READS {
        let dump = Dump::read();
        let after = generation()?;
        if before == after {
            return dump.map(Dump::into_bytes);
        }
        before = after;
    }
    Err(io::Error::other("the ruleset changed while it was read"))
}

/// A dump in the making.
struct Dump {
    messages: Vec<u8>,
    elements: BTreeMap<Set, Vec<Vec<u8>>>,
}

impl Dump {
    fn read() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_NETFILTER)?;
        let mut dump = Self {
            messages: Vec::new(),
            elements: BTreeMap::new(),
        };
        for kind in GET {
            ask(&socket, kind, 0, &[], |kind, message| {
                dump.add(kind, message)
            })?;
        }
        for ((family, table, set), elements) in &mut dump.elements {
            let of = [
                DefaultNla::new(TABLE, table.clone()),
                DefaultNla::new(SET_NAME, set.clone()),
            ];
            ask(&socket, GET_ELEMENTS, *family, &of, |_, message| {
                let list = attribute(message, ELEMENTS).ok_or_else(cut_off)?;
                for element in NlasIterator::new(&list.unwrap_or_default()) {
                    elements.push(element.map_err(io::Error::other)?.value().to_vec());
                }
                Ok(())
            })?;
            elements.sort_unstable();
        }
        Ok(dump)
    }

    /// A message, with nothing in its headers but its length, type and family.
    fn add(&mut self, kind: u16, message: &[u8]) -> io::Result<()> {
        let text = |wanted| attribute(message, wanted).ok_or_else(cut_off);
        let table = text(TABLE)?.unwrap_or_default();
        if table.strip_suffix(&[0]) == Some(TRACE_TABLE.as_bytes()) {
            return Ok(());
        }
        let family = message[FAMILY];
        add_message(&mut self.messages, kind, family, &message[HEADERS..]);
        if kind == SUBSYSTEM | NEW_SET {
            let name = text(SET_NAME)?.unwrap_or_default();
            self.elements.insert((family, table, name), Vec::new());
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        let mut bytes = self.messages;
        for ((family, table, set), elements) in self.elements {
            let mut rest = elements.into_iter().peekable();
            while rest.peek().is_some() {
                let mut list = Vec::new();
                while let Some(element) = rest.next_if(|next| {
                    list.len() + next.len() <= MAX_ELEMENTS_BYTES || list.is_empty()
                }) {
                    list.extend(emitted(&DefaultNla::new(LIST_ELEMENT, element)));
                }
                let attributes = [
                    DefaultNla::new(TABLE, table.clone()),
                    DefaultNla::new(SET_NAME, set.clone()),
                    DefaultNla::new(ELEMENTS, list),
                ];
                let attributes: Vec<u8> = attributes.iter().flat_map(emitted).collect();
                add_message(&mut bytes, SUBSYSTEM | NEW_ELEMENTS, family, &attributes);
            }
        }
        Bytes(bytes)
    }
}

/// Adds a message with these attributes, which are padded already.
fn add_message(to: &mut Vec<u8>, kind: u16, family: u8, attributes: &[u8]) {
    let mut headers = [0; HEADERS];
    let length = (HEADERS + attributes.len()) as u32;
    headers[..4].copy_from_slice(&length.to_ne_bytes());
    headers[4..6].copy_from_slice(&kind.to_ne_bytes());
    headers[FAMILY] = family;
    to.extend(headers);
    to.extend(attributes);
}

/// An attribute with its header and padding.
fn emitted(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// Asks for all of a kind and hands over each message.
fn ask(
    socket: &Socket,
    kind: u16,
    family: u8,
    attributes: &[DefaultNla],
    mut each: impl FnMut(u16, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    socket.send(&request(kind, family, attributes), 0)?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        let answer = messages(&buffer[..length.min(DATAGRAM_BYTES)]).ok_or_else(cut_off)?;
        for (kind, message) in answer {
            let flags = u16::from_ne_bytes([message[6], message[7]]);
            if flags & INTERRUPTED != 0 {
                return Err(io::Error::other("the ruleset changed while it was read"));
            }
            match kind {
                DONE => return Ok(()),
                ERROR => return Err(io::Error::other("the kernel refused to tell its rules")),
                _ => each(kind, message)?,
            }
        }
    }
}

fn cut_off() -> io::Error {
    io::Error::other("a message that is cut off")
}

fn request(kind: u16, family: u8, attributes: &[DefaultNla]) -> Vec<u8> {
    let length: usize = attributes.iter().map(Emitable::buffer_len).sum();
    let mut bytes = vec![0; HEADERS + length];
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_ne_bytes());
    bytes[4..6].copy_from_slice(&(SUBSYSTEM | kind).to_ne_bytes());
    bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes[FAMILY] = family;
    let mut at = HEADERS;
    for attribute in attributes {
        attribute.emit(&mut bytes[at..]);
        at += attribute.buffer_len();
    }
    bytes
}
