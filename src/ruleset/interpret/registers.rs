//! The registers of a rule (`struct nft_regs`).

use super::{bits::Bits, doubt::Doubt};
use crate::ruleset::program::Register;

/// Registers of data: 16 words of four bytes.
const WORDS: usize = 16;
const WORD_BYTES: usize = 4;

/// What the registers of data hold, and why a part of it is not known.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    bits: Bits,
    doubts: [Option<Doubt>; WORDS],
}

impl Registers {
    /// Before the first expression of a rule. The kernel refuses rules that read a register before they have
    /// written it (`nft_parse_register_load`).
    pub(super) fn new() -> Self {
        Self {
            bits: Bits::unknown(WORDS * WORD_BYTES),
            doubts: [const { None }; WORDS],
        }
    }

    /// The first bytes from a register on.
    pub(super) fn load(&self, register: Register, length: usize) -> Bits {
        self.bits
            .slice(register.word() * WORD_BYTES, length)
            .unwrap_or_else(|| Bits::unknown(length))
    }

    /// Why the first bytes from a register on are not known.
    pub(super) fn doubt(&self, register: Register, length: usize) -> Option<&Doubt> {
        let words = register.word()..(register.word() + length.div_ceil(WORD_BYTES)).min(WORDS);
        self.doubts.get(words)?.iter().flatten().next()
    }

    /// Writes a value; the rest of its last word becomes 0.
    pub(super) fn store(&mut self, register: Register, bits: Bits, doubt: Option<Doubt>) {
        let length = bits.len().next_multiple_of(WORD_BYTES);
        let doubt = doubt.filter(|_| bits.bytes().is_none());
        for word in register.word()..(register.word() + length / WORD_BYTES).min(WORDS) {
            self.doubts[word].clone_from(&doubt);
        }
        let padded = bits.resized(length);
        self.bits.write(register.word() * WORD_BYTES, &padded);
    }
}
