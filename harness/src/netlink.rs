//! What route and netfilter sockets have in common.

use std::io;

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable};
use netlink_sys::{Socket, SocketAddr};

/// What is read from a netlink socket at once; the kernel's messages are at most a few pages.
pub(crate) const DATAGRAM_BYTES: usize = 32 * 1024;

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
