//! What route and netfilter sockets have in common.

use std::io;

use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};

/// What is read from a netlink socket at once; the kernel's messages are at most a few pages.
pub(crate) const DATAGRAM_BYTES: usize = 32 * 1024;

/// The size of a netlink header, and with that of netfilter.
pub(crate) const HEADER: usize = 16;
pub(crate) const HEADERS: usize = HEADER + 4;

/// Opens a socket to the kernel in the current network namespace.
pub(crate) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The bytes of one request.
pub(crate) fn request<M: NetlinkSerializable>(message: M, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    bytes
}

/// What follows a message of this length; messages are aligned to four bytes.
pub(crate) fn after(bytes: &[u8], length: u32) -> &[u8] {
    let aligned = (length as usize).next_multiple_of(4).max(16);
    bytes.get(aligned..).unwrap_or_default()
}

/// The messages of netfilter in a batch or an answer with their types, each with its padding; `None` if one of them is cut
/// off.
pub(crate) fn messages(mut batch: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !batch.is_empty() {
        let length = u32::from_ne_bytes(batch.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(batch.get(4..6)?.try_into().ok()?);
        let padded = length.next_multiple_of(4);
        if length < HEADERS || padded > batch.len() {
            return None;
        }
        let (message, rest) = batch.split_at(padded);
        found.push((kind, message));
        batch = rest;
    }
    Some(found)
}

/// An attribute of a message, if it has it; the outer `None` if it cannot be read.
pub(crate) fn attribute(message: &[u8], wanted: u16) -> Option<Option<Vec<u8>>> {
    for attribute in NlasIterator::new(message.get(HEADERS..)?) {
        let attribute = attribute.ok()?;
        if attribute.kind() == wanted {
            return Some(Some(attribute.value().to_vec()));
        }
    }
    Some(None)
}
