//! A cursor over the fixed structure of an extension, in the byte order of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::IpVersion;

/// The size to which the kernel pads every structure (`XT_ALIGN`, linux/netfilter/x_tables.h).
const ALIGNMENT: usize = 8;

/// What is left to read of a structure. Every reader returns `None` where the structure is too short, or holds
/// a value that no known kernel accepts.
pub(super) struct Info<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Selects the member of `union nf_inet_addr`.
    pub(super) version: IpVersion,
}

impl<'a> Info<'a> {
    pub(super) fn new(version: IpVersion, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            offset: 0,
            version,
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.offset.checked_add(length)?;
        let taken = self.bytes.get(self.offset..end)?;
        self.offset = end;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    /// Skips the padding before a member with this alignment.
    pub(super) fn align(&mut self, alignment: usize) -> Option<()> {
        self.skip(self.offset.next_multiple_of(alignment) - self.offset)
    }

    /// Skips a pointer of the kernel's own, which is no part of the value.
    pub(super) fn pointer(&mut self) -> Option<()> {
        self.align(8)?;
        self.skip(8)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.align(2)?;
        self.array().map(u16::from_ne_bytes)
    }

    pub(super) fn u16_be(&mut self) -> Option<u16> {
        self.align(2)?;
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        self.array().map(u32::from_ne_bytes)
    }

    pub(super) fn u32_be(&mut self) -> Option<u32> {
        self.align(4)?;
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.align(8)?;
        self.array().map(u64::from_ne_bytes)
    }

    pub(super) fn ipv4(&mut self) -> Option<IpAddr> {
        self.align(4)?;
        self.array::<4>().map(Ipv4Addr::from).map(IpAddr::V4)
    }

    pub(super) fn ipv6(&mut self) -> Option<IpAddr> {
        self.align(4)?;
        self.array::<16>().map(Ipv6Addr::from).map(IpAddr::V6)
    }

    /// `union nf_inet_addr`.
    pub(super) fn address(&mut self) -> Option<IpAddr> {
        match self.version {
            IpVersion::V4 => {
                let address = self.ipv4()?;
                self.skip(12)?;
                Some(address)
            }
            IpVersion::V6 => self.ipv6(),
        }
    }

    /// A member that is 0 or 1.
    pub(super) fn flag(&mut self) -> Option<bool> {
        boolean(self.u8()?.into())
    }

    /// A member of four bytes that is 0 or 1.
    pub(super) fn wide_flag(&mut self) -> Option<bool> {
        boolean(self.u32()?)
    }

    /// A text that a zero byte ends, in a member of `N` bytes.
    pub(super) fn text<const N: usize>(&mut self) -> Option<String> {
        let bytes = self.array::<N>()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(N);
        String::from_utf8(bytes[..end].to_vec()).ok()
    }

    /// Checks that nothing is left except padding.
    pub(super) fn end(&mut self) -> Option<()> {
        let length = self.bytes.len();
        let fits = length == self.offset || length == self.offset.next_multiple_of(ALIGNMENT);
        fits.then_some(())
    }
}

fn boolean(value: u32) -> Option<bool> {
    match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
