//! The rules of legacy iptables as the kernel has them.

use std::{fs, io, os::fd::OwnedFd};

use firedrill_wire::protocol::{Broken, Bytes, LegacyTable};

use crate::{error::Doing, kernel::sys};

/// The tables of a family, and how they are read.
struct Family {
    /// `AF_INET`, `AF_INET6`.
    number: u8,
    /// In `/proc/net`: the names of its tables.
    tables: &'static str,
    /// Of the socket options: `IPPROTO_IP`, `IPPROTO_IPV6`.
    level: i32,
}

const FAMILIES: [Family; 2] = [
    Family {
        number: libc::AF_INET as u8,
        tables: "ip_tables_names",
        level: libc::IPPROTO_IP,
    },
    Family {
        number: libc::AF_INET6 as u8,
        tables: "ip6_tables_names",
        level: libc::IPPROTO_IPV6,
    },
];

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES` (linux/netfilter_ipv4/ip_tables.h), which IPv6 has as well.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
/// `struct ipt_getinfo`: the table's name, then 13 numbers, of which the last is the size of the entries.
const INFO_BYTES: usize = NAME_BYTES + 13 * 4;
const NAME_BYTES: usize = 32;
/// `struct ipt_get_entries` without the entries: the name, their size, and padding.
const ENTRIES_HEADER: usize = NAME_BYTES + 8;
/// How often a table may change its size while it is read.
const MAX_ATTEMPTS: usize = 5;

/// Reads the legacy tables of the current network namespace. To ask for a table makes it, so only those are read that
/// the kernel lists as made.
///
/// # Errors
///
/// What keeps a table from being read.
pub fn legacy_tables() -> Result<Vec<LegacyTable>, Broken> {
    let mut tables = Vec::new();
    for family in &FAMILIES {
        // A kernel without x_tables has no such file.
        let names = fs::read_to_string(format!("/proc/thread-self/net/{}", family.tables));
        let names = names.unwrap_or_default();
        let mut names: Vec<&str> = names.lines().collect();
        names.sort_unstable();
        if names.is_empty() {
            continue;
        }
        let raw = libc::IPPROTO_RAW as u8;
        let socket = sys::raw_socket(family.level == libc::IPPROTO_IPV6, raw)
            .doing(|| "open a socket to read legacy iptables")?;
        for name in names {
            let table = family.read(&socket, name);
            tables.push(table.doing(|| format!("read the legacy table {name}"))?);
        }
    }
    Ok(tables)
}

impl Family {
    fn read(&self, socket: &OwnedFd, name: &str) -> io::Result<LegacyTable> {
        for _ in 0..MAX_ATTEMPTS {
            let mut info = named(name, INFO_BYTES)?;
            sys::read_option(socket, self.level, GET_INFO, &mut info)?;
            let size = info[INFO_BYTES - 4..].to_vec();
            let size_bytes: [u8; 4] = size.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
            let size = u32::from_ne_bytes(size_bytes) as usize;
            let mut entries = named(name, ENTRIES_HEADER + size)?;
            entries[NAME_BYTES..NAME_BYTES + 4].copy_from_slice(&size_bytes);
            match sys::read_option(socket, self.level, GET_ENTRIES, &mut entries) {
                Ok(()) => {
                    return Ok(LegacyTable {
                        family: self.number,
                        info: Bytes(info),
                        entries: Bytes(entries.split_off(ENTRIES_HEADER)),
                    });
                }
                // The table was replaced by one of another size.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("it changed while it was read"))
    }
}

/// A request for a table: its name, and room for the answer.
fn named(name: &str, length: usize) -> io::Result<Vec<u8>> {
    let mut request = vec![0; length];
    let place = request
        .get_mut(..name.len())
        .filter(|_| name.len() < NAME_BYTES);
    place
        .ok_or(io::ErrorKind::InvalidInput)?
        .copy_from_slice(name.as_bytes());
    Ok(request)
}
