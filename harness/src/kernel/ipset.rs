//! The sets of ipset as the kernel lists them.

use std::io;

use netlink_packet_core::{DefaultNla, Emitable};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use firedrill_wire::protocol::{Broken, Bytes};

use crate::{
    error::Doing,
    kernel::netlink::{self, DATAGRAM_BYTES, HEADER, HEADERS, messages},
};

/// `NFNL_SUBSYS_IPSET` (linux/netfilter/nfnetlink.h) with `IPSET_CMD_LIST` (linux/netfilter/ipset/ip_set.h).
const LIST: u16 = 6 << 8 | 7;
/// `IPSET_ATTR_PROTOCOL`, and the version since Linux 4.20, in which a list says the numbers of sets.
const ATTRIBUTE_PROTOCOL: u16 = 1;
const PROTOCOL: u8 = 7;
/// `NLMSG_ERROR` and `NLMSG_DONE` (linux/netlink.h).
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Lists the sets of the current network namespace: for each message its attributes. A kernel without ipset has none.
///
/// # Errors
///
/// What keeps them from being listed.
pub fn ipset_messages() -> Result<Vec<Bytes>, Broken> {
    match list() {
        Ok(messages) => Ok(messages),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error).doing(|| "list the sets of ipset"),
    }
}

/// Whether the kernel does not know ipset (`nfnetlink_rcv_msg`, net/netfilter/nfnetlink.c).
fn is_missing(error: &io::Error) -> bool {
    let missing = [
        libc::ENOENT,
        libc::EINVAL,
        libc::EOPNOTSUPP,
        libc::EPROTONOSUPPORT,
    ];
    error
        .raw_os_error()
        .is_some_and(|number| missing.contains(&number))
}

fn list() -> io::Result<Vec<Bytes>> {
    let socket = netlink::open(NETLINK_NETFILTER)?;
    socket.send(&request(), 0)?;
    let mut listed = Vec::new();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = receive(&socket, &mut buffer)?;
        let cut_off = || io::Error::other("a message that is cut off");
        for (kind, message) in messages(&buffer[..length]).ok_or_else(cut_off)? {
            // The number of an error, and at the end zero.
            let code = message
                .get(HEADER..HEADERS)
                .and_then(|code| code.try_into().ok());
            match (kind, code.map_or(0, i32::from_ne_bytes)) {
                (DONE, 0) => return Ok(listed),
                (ERROR | DONE, code) => return Err(io::Error::from_raw_os_error(-code)),
                (_, _) => listed.push(Bytes(message[HEADERS..].to_vec())),
            }
        }
    }
}

fn receive(socket: &Socket, mut buffer: &mut [u8]) -> io::Result<usize> {
    let room = buffer.len();
    match socket.recv(&mut buffer, 0)? {
        length if length <= room => Ok(length),
        _ => Err(io::Error::other("a message that is too long")),
    }
}

fn request() -> Vec<u8> {
    let protocol = DefaultNla::new(ATTRIBUTE_PROTOCOL, vec![PROTOCOL]);
    let mut bytes = vec![0; HEADERS + protocol.buffer_len().next_multiple_of(4)];
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&LIST.to_ne_bytes());
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    protocol.emit(&mut bytes[HEADERS..]);
    bytes
}
