//! Expressions that compute with registers and compare them: `cmp`, `range`, `bitwise`, `byteorder`.

use super::{bits::Bits, certainty::Certainty, doubt::Doubt, registers::Registers};
use crate::ruleset::program::{BitwiseOp, BitwiseOperand, CmpOp, Register};

/// Whether `cmp` holds (`nft_cmp_eval`, net/netfilter/nft_cmp.c).
pub(super) fn cmp(bits: &Bits, op: CmpOp, value: &[u8]) -> Certainty {
    match op {
        CmpOp::Eq => bits.equals(value),
        CmpOp::Neq => !bits.equals(value),
        CmpOp::Lt => bits.is_below(value),
        CmpOp::Lte => !bits.is_above(value),
        CmpOp::Gt => bits.is_above(value),
        CmpOp::Gte => !bits.is_below(value),
    }
}

/// The result of `bitwise` (`nft_bitwise_eval`, net/netfilter/nft_bitwise.c), and why it is not known.
pub(super) fn bitwise(
    registers: &Registers,
    source: Register,
    length: usize,
    op: &BitwiseOp,
) -> (Bits, Option<Doubt>) {
    let bits = registers.load(source, length);
    let doubt = registers.doubt(source, length).cloned();
    let second = |operand: &BitwiseOperand| match operand {
        BitwiseOperand::Register(register) => (
            registers.load(*register, length),
            registers.doubt(*register, length).cloned(),
        ),
        BitwiseOperand::Value(value) => (Bits::known(value.as_slice()), None),
    };
    match op {
        BitwiseOp::MaskXor { mask, xor } => {
            let masked = bits.and(&Bits::known(mask.as_slice()));
            (masked.xor(&Bits::known(xor.as_slice())), doubt)
        }
        BitwiseOp::ShiftLeft(count) => (bits.moved(|bytes| shifted_left(bytes, *count)), doubt),
        BitwiseOp::ShiftRight(count) => (bits.moved(|bytes| shifted_right(bytes, *count)), doubt),
        BitwiseOp::And(operand) => {
            let (other, others_doubt) = second(operand);
            (bits.and(&other), doubt.or(others_doubt))
        }
        BitwiseOp::Or(operand) => {
            let (other, others_doubt) = second(operand);
            (bits.or(&other), doubt.or(others_doubt))
        }
        BitwiseOp::Xor(operand) => {
            let (other, others_doubt) = second(operand);
            (bits.xor(&other), doubt.or(others_doubt))
        }
    }
}

/// Words in the order of the machine, the last one filled with zeroes.
fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_ne_bytes(word)
    };
    bytes.chunks(4).map(word).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `nft_bitwise_eval_lshift`: what leaves a word at its high end enters the one before it.
fn shifted_left(value: &[u8], count: u32) -> Vec<u8> {
    let mut words = words(value);
    let mut carry = 0;
    for word in words.iter_mut().rev() {
        let old = *word;
        *word = old.unbounded_shl(count) | carry;
        carry = old.unbounded_shr(32 - count);
    }
    let mut shifted = bytes(&words);
    shifted.truncate(value.len());
    shifted
}

/// `nft_bitwise_eval_rshift`: what leaves a word at its low end enters the one behind it.
fn shifted_right(value: &[u8], count: u32) -> Vec<u8> {
    let mut words = words(value);
    let mut carry = 0;
    for word in &mut words {
        let old = *word;
        *word = carry | old.unbounded_shr(count);
        carry = old.unbounded_shl(32 - count);
    }
    let mut shifted = bytes(&words);
    shifted.truncate(value.len());
    shifted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nft_cmp_eval`: `memcmp`, so the order is that of the bytes.
    #[test]
    fn a_cmp_is_that_of_memcmp() {
        let bits = Bits::known([0, 80]);
        assert_eq!(cmp(&bits, CmpOp::Lt, &[1, 0]), Certainty::Yes);
        assert_eq!(cmp(&bits, CmpOp::Lte, &[0, 80]), Certainty::Yes);
        assert_eq!(cmp(&bits, CmpOp::Lt, &[0, 80]), Certainty::No);
        assert_eq!(cmp(&bits, CmpOp::Gt, &[0, 79]), Certainty::Yes);
        assert_eq!(cmp(&bits, CmpOp::Gte, &[0, 81]), Certainty::No);
        assert_eq!(cmp(&bits, CmpOp::Neq, &[0, 80]), Certainty::No);
        assert_eq!(
            cmp(&Bits::unknown(2), CmpOp::Eq, &[0, 80]),
            Certainty::Maybe
        );
    }

    /// `nft_bitwise_eval_rshift` of `ip dscp` and `nft_bitwise_eval_lshift` of two words.
    #[test]
    #[cfg(target_endian = "little")]
    fn shifts_carry_between_words_of_the_machine() {
        assert_eq!(shifted_right(&[0xb8, 0, 0, 0], 2), [0x2e, 0, 0, 0]);
        assert_eq!(
            shifted_right(&[1, 0, 0, 0, 0, 0, 0, 0], 1),
            [0, 0, 0, 0, 0, 0, 0, 0x80]
        );
        assert_eq!(
            shifted_left(&[0, 0, 0, 0, 0, 0, 0, 0x80], 1),
            [1, 0, 0, 0, 0, 0, 0, 0]
        );
    }
}
