//! Values and verdicts (`NFTA_DATA_VALUE`, `NFTA_DATA_VERDICT`).

use super::attributes::{Attributes, be32, bytes, text};
use crate::ruleset::program::ProgramVerdict;

/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

/// The value in a nested attribute; `None` if there is anything else in it.
pub(super) fn data_value(data: &[u8]) -> Option<Vec<u8>> {
    let mut attributes = Attributes::parse(data)?;
    let value = attributes.required(VALUE, bytes)?;
    attributes.is_empty().then_some(value)
}

/// The verdict in a nested attribute; `None` if there is anything else in it.
pub(super) fn verdict(data: &[u8]) -> Option<ProgramVerdict> {
    let mut attributes = Attributes::parse(data)?;
    let mut inner = Attributes::parse(attributes.take(VERDICT)?)?;
    let code = inner.required(1, be32)?.cast_signed();
    let chain = inner.optional(2, text)?;
    let is_whole = attributes.is_empty() && inner.is_empty();
    named_verdict(code, chain).filter(|_| is_whole)
}

/// The verdict with this code (linux/netfilter.h, `enum nft_verdicts`).
pub(super) fn named_verdict(code: i32, chain: Option<String>) -> Option<ProgramVerdict> {
    const QUEUE: i32 = 3;
    Some(match (code, chain) {
        (-3, Some(chain)) => ProgramVerdict::Jump(chain),
        (-4, Some(chain)) => ProgramVerdict::Goto(chain),
        (-3 | -4, None) | (_, Some(_)) => return None,
        (-1, None) => ProgramVerdict::Continue,
        (-2, None) => ProgramVerdict::Break,
        (-5, None) => ProgramVerdict::Return,
        (0, None) => ProgramVerdict::Drop,
        (1, None) => ProgramVerdict::Accept,
        // The upper half is the number of the queue (`NF_QUEUE_NR`).
        (code, None) if code & 0xffff == QUEUE => {
            ProgramVerdict::Queue(u16::try_from(code.cast_unsigned() >> 16).ok()?)
        }
        (other, None) => ProgramVerdict::Other(other),
    })
}
