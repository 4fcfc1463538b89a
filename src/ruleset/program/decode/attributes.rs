//! Attributes of netlink (`struct nlattr`, linux/netlink.h): a length, a number and bytes, aligned to four.

use crate::ruleset::program::{RawAttribute, Register};

/// Of an attribute's header, in bytes.
const HEADER_BYTES: usize = 4;
/// The bits of an attribute's number that are none (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const KIND_MASK: u16 = 0x3fff;

/// The attributes of one level that are not taken yet.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// The attributes in these bytes; `None` if they are cut off.
    pub(super) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut attributes = Vec::new();
        while !bytes.is_empty() {
            let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
            let [first, second, third, fourth] = *header;
            let length = usize::from(u16::from_ne_bytes([first, second]));
            let kind = u16::from_ne_bytes([third, fourth]) & KIND_MASK;
            attributes.push((kind, bytes.get(HEADER_BYTES..length)?));
            // The last one may be without its padding.
            bytes = bytes
                .get(length.next_multiple_of(HEADER_BYTES)..)
                .unwrap_or_default();
        }
        Some(Self(attributes))
    }

    /// The first attribute with this number, which is then taken.
    pub(super) fn take(&mut self, wanted: u16) -> Option<&'a [u8]> {
        let position = self.0.iter().position(|(kind, _)| *kind == wanted)?;
        Some(self.0.remove(position).1)
    }

    /// An attribute that must be there; `None` if it is not, or is not understood.
    pub(super) fn required<T>(
        &mut self,
        wanted: u16,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        read(self.take(wanted)?)
    }

    /// An attribute that may be missing; the outer `None` if it is not understood.
    pub(super) fn optional<T>(
        &mut self,
        wanted: u16,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.take(wanted) {
            Some(bytes) => read(bytes).map(Some),
            None => Some(None),
        }
    }

    /// An attribute that only aligns the next one.
    pub(super) fn skip_padding(&mut self, kind: u16) {
        self.0
            .retain(|(other, value)| *other != kind || !value.is_empty());
    }

    /// Whether all of them were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that were not taken, in the order of their numbers.
    pub(super) fn rest(self) -> Vec<RawAttribute> {
        let mut rest: Vec<RawAttribute> = self
            .0
            .into_iter()
            .map(|(kind, value)| RawAttribute {
                kind,
                value: value.to_vec(),
            })
            .collect();
        rest.sort_by_key(|attribute| attribute.kind);
        rest
    }

    /// All of them, in order.
    pub(super) fn into_values(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        self.0.into_iter()
    }
}

pub(super) fn byte(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [byte] => Some(*byte),
        _ => None,
    }
}

pub(super) fn be16(bytes: &[u8]) -> Option<u16> {
    bytes.try_into().ok().map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn be64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// In the order of the machine.
pub(super) fn host32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// A string with the zero behind it; `None` if it has another zero in it, or is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let text = std::str::from_utf8(text).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
}

pub(super) fn bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

pub(super) fn register(bytes: &[u8]) -> Option<Register> {
    Register::from_number(be32(bytes)?)
}

/// A flag word with a single known flag: whether it is set.
pub(super) fn single_flag(bytes: &[u8]) -> Option<bool> {
    match be32(bytes)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The nested attributes with number 1 of a list (`NFTA_LIST_ELEM`); `None` if there is anything else in it.
pub(super) fn list(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let attributes = Attributes::parse(bytes)?.into_values();
    attributes
        .map(|(kind, value)| (kind == 1).then_some(value))
        .collect()
}
