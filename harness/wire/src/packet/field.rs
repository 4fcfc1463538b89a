//! What the fields of several protocols have in common.

use serde::{Deserialize, Serialize};

use super::context::mark;
use crate::bytes::Bytes;

/// What follows the last header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// What the protocol has when nothing is said: nothing for TCP, the mark for the others.
    #[default]
    Usual,
    /// These bytes.
    Is(Bytes),
    /// This many bytes: the mark, then zeroes.
    Size(u16),
}

impl Payload {
    /// Its bytes; `usual` are those of [`Payload::Usual`].
    pub(super) fn bytes(&self, cookie: u32, usual: &[u8]) -> Vec<u8> {
        match self {
            Self::Usual => usual.to_vec(),
            Self::Is(bytes) => bytes.0.clone(),
            Self::Size(size) => {
                let mut bytes = mark(cookie).to_vec();
                bytes.resize(usize::from(*size), 0);
                bytes
            }
        }
    }
}

/// A checksum that is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Any but the true one.
    Bad,
    /// This one, true or not; at most 16 bits but for SCTP.
    Is(u32),
}

impl Checksum {
    /// What stands in the field in place of the true sum.
    pub(super) fn of(this: Option<Self>, truth: u16) -> u16 {
        match this {
            None => truth,
            // Zero would mean "none" to UDP.
            Some(Self::Bad) if truth == 0x5555 => 0x1111,
            Some(Self::Bad) => truth ^ 0x5555,
            Some(Self::Is(sum)) => sum as u16,
        }
    }
}

/// A length field. What cannot be said in 16 bits is said as the most that can be.
pub(super) fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// Writes a 16-bit field.
pub(super) fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
