//! Values of which every bit is known or not: what registers and packets hold.

use super::certainty::Certainty;

/// Bytes of which each bit is 0, 1 or unknown.
///
/// Unknown bits of `value` are 0, so that equal values are equal structs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bits {
    value: Vec<u8>,
    /// The bits that are known.
    known: Vec<u8>,
}

/// The value of a byte, and its known bits.
type KnownByte = (u8, u8);

impl Bits {
    /// Bytes that are known.
    #[must_use]
    pub fn known(value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self {
            known: vec![0xff; value.len()],
            value,
        }
    }

    /// This many bytes of which nothing is known.
    #[must_use]
    pub fn unknown(length: usize) -> Self {
        Self {
            value: vec![0; length],
            known: vec![0; length],
        }
    }

    /// A word in the byte order of the machine; `None` is unknown.
    #[must_use]
    pub fn word(value: Option<u32>) -> Self {
        value.map_or_else(
            || Self::unknown(4),
            |value| Self::known(value.to_ne_bytes()),
        )
    }

    /// Bytes of which only the bits of `known` are known.
    #[must_use]
    pub fn partly(value: &[u8], known: &[u8]) -> Self {
        Self {
            value: value.iter().zip(known).map(|(v, k)| v & k).collect(),
            known: known.to_vec(),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The bytes, if every bit is known.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.known
            .iter()
            .all(|byte| *byte == 0xff)
            .then_some(&self.value)
    }

    /// A word in the byte order of the machine, if it is known.
    #[must_use]
    pub fn to_word(&self) -> Option<u32> {
        self.bytes()?.first_chunk().copied().map(u32::from_ne_bytes)
    }

    /// The `length` bytes from `offset` on; `None` if they are not all there.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Option<Self> {
        let range = offset..offset.checked_add(length)?;
        Some(Self {
            value: self.value.get(range.clone())?.to_vec(),
            known: self.known.get(range)?.to_vec(),
        })
    }

    /// Overwrites the bytes from `offset` on; what would lie behind the end is ignored.
    pub fn write(&mut self, offset: usize, bits: &Self) {
        for (at, (value, known)) in bits.value.iter().zip(&bits.known).enumerate() {
            if let (Some(old), Some(old_known)) = (
                self.value.get_mut(offset + at),
                self.known.get_mut(offset + at),
            ) {
                (*old, *old_known) = (*value, *known);
            }
        }
    }

    /// Cut off or filled with zeroes to a length in bytes.
    #[must_use]
    pub fn resized(mut self, length: usize) -> Self {
        self.value.resize(length, 0);
        self.known.resize(length, 0xff);
        self
    }

    /// These bytes, then those.
    #[must_use]
    pub fn followed_by(mut self, other: &Self) -> Self {
        self.value.extend(&other.value);
        self.known.extend(&other.known);
        self
    }

    /// What is known when either value may be there.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        if self.len() != other.len() {
            return Self::unknown(self.len().max(other.len()));
        }
        let known: Vec<u8> = (self.known.iter().zip(&other.known))
            .zip(self.value.iter().zip(&other.value))
            .map(|((known, others), (value, other))| known & others & !(value ^ other))
            .collect();
        Self::partly(&self.value, &known)
    }

    /// The bits before the first in which two values differ: those of every value between them.
    #[must_use]
    pub fn common_prefix(&self, other: &Self) -> Self {
        let mut joined = self.join(other);
        let mut is_common = true;
        for known in &mut joined.known {
            if !is_common {
                *known = 0;
            } else if *known != 0xff {
                is_common = false;
                let count = known.leading_ones();
                *known = !0xff_u8.unbounded_shr(count);
            }
        }
        Self::partly(&joined.value, &joined.known)
    }

    /// With these bits unknown.
    #[must_use]
    pub fn with_unknown(&self, bits: &[u8]) -> Self {
        let known: Vec<u8> = self
            .known
            .iter()
            .zip(bits)
            .map(|(known, bits)| known & !bits)
            .collect();
        Self::partly(&self.value, &known)
    }

    /// Whether the first bytes are these (`memcmp` of as many).
    #[must_use]
    pub fn equals(&self, bytes: &[u8]) -> Certainty {
        let differs = (self.value.iter().zip(&self.known))
            .zip(bytes)
            .any(|((value, known), byte)| (value ^ byte) & known != 0);
        if differs {
            return Certainty::No;
        }
        match self.known.get(..bytes.len()) {
            Some(known) if known.iter().all(|byte| *byte == 0xff) => Certainty::Yes,
            _ => Certainty::Maybe,
        }
    }

    /// Whether the first bytes are less than these (`memcmp` of as many).
    #[must_use]
    pub fn is_below(&self, bytes: &[u8]) -> Certainty {
        let (lowest, highest) = (self.lowest(), self.highest());
        let length = bytes.len().min(self.len());
        if highest[..length] < *bytes {
            Certainty::Yes
        } else if lowest[..length] >= *bytes {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// Whether the first bytes are greater than these (`memcmp` of as many).
    #[must_use]
    pub fn is_above(&self, bytes: &[u8]) -> Certainty {
        let (lowest, highest) = (self.lowest(), self.highest());
        let length = bytes.len().min(self.len());
        if lowest[..length] > *bytes {
            Certainty::Yes
        } else if highest[..length] <= *bytes {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// Whether the first bytes lie between these, both included.
    #[must_use]
    pub fn is_within(&self, first: &[u8], last: &[u8]) -> Certainty {
        (!self.is_below(first)).and(!self.is_above(last))
    }

    /// The lowest value it may be: unknown bits are 0.
    #[must_use]
    pub fn lowest(&self) -> Vec<u8> {
        self.value.clone()
    }

    /// The highest value it may be: unknown bits are 1.
    #[must_use]
    pub fn highest(&self) -> Vec<u8> {
        self.value
            .iter()
            .zip(&self.known)
            .map(|(value, known)| value | !known)
            .collect()
    }

    /// Bitwise and: a known 0 on either side is a known 0.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.combine(other, |(a, a_known), (b, b_known)| {
            (a & b, (a_known & b_known) | (a_known & !a) | (b_known & !b))
        })
    }

    /// Bitwise or: a known 1 on either side is a known 1.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.combine(other, |(a, a_known), (b, b_known)| {
            (a | b, (a_known & b_known) | a | b)
        })
    }

    /// Bitwise exclusive or.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Self {
        self.combine(other, |(a, a_known), (b, b_known)| {
            (a ^ b, a_known & b_known)
        })
    }

    /// Combines values byte by byte; each is a value with its known bits.
    fn combine(&self, other: &Self, join: impl Fn(KnownByte, KnownByte) -> KnownByte) -> Self {
        let (value, known): (Vec<u8>, Vec<u8>) = (self.value.iter().zip(&self.known))
            .zip(other.value.iter().zip(&other.known))
            .map(|((a, a_known), (b, b_known))| join((*a, *a_known), (*b, *b_known)))
            .unzip();
        Self::partly(&value, &known)
    }

    /// With the bytes of each unit of `size` bytes in reverse order.
    #[must_use]
    pub fn with_units_reversed(&self, size: usize) -> Self {
        let reverse = |bytes: &[u8]| -> Vec<u8> {
            bytes
                .chunks(size.max(1))
                .flat_map(|unit| unit.iter().rev().copied())
                .collect()
        };
        Self {
            value: reverse(&self.value),
            known: reverse(&self.known),
        }
    }

    /// Applies a function that only moves bits and shifts in zeroes.
    #[must_use]
    pub fn moved(&self, moving: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let value = moving(&self.value);
        let unknown: Vec<u8> = self.known.iter().map(|byte| !byte).collect();
        let known: Vec<u8> = moving(&unknown).iter().map(|byte| !byte).collect();
        Self { value, known }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every concrete value of two bytes of which at most eight bits are unknown.
    fn concretions(bits: &Bits) -> Vec<Vec<u8>> {
        let unknown: Vec<(usize, u8)> = (0..bits.len())
            .flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)))
            .filter(|(at, bit)| bits.known[*at] & bit == 0)
            .collect();
        (0_u32..1 << unknown.len())
            .map(|choice| {
                let mut value = bits.value.clone();
                for (number, (at, bit)) in unknown.iter().enumerate() {
                    if choice >> number & 1 == 1 {
                        value[*at] |= bit;
                    }
                }
                value
            })
            .collect()
    }

    fn few_unknown() -> impl Strategy<Value = Bits> {
        (any::<[u8; 2]>(), prop::collection::vec(0..16_usize, 0..5)).prop_map(|(value, unknown)| {
            let mut known = [0xff; 2];
            for bit in unknown {
                known[bit / 8] &= !(1 << (bit % 8));
            }
            Bits::partly(&value, &known)
        })
    }

    fn all(truths: impl Iterator<Item = bool>) -> Certainty {
        truths
            .map(Certainty::from)
            .reduce(Certainty::join)
            .expect("a value has a concretion")
    }

    proptest! {
        #[test]
        fn a_comparison_is_sure_only_if_every_concrete_value_agrees(
            bits in few_unknown(), other in any::<[u8; 2]>(), last in any::<[u8; 2]>(),
        ) {
            let concrete = concretions(&bits);
            let allows = |said: Certainty, truth: Certainty| said == Certainty::Maybe || said == truth;
            prop_assert_eq!(bits.equals(&other), all(concrete.iter().map(|v| v[..] == other)));
            prop_assert_eq!(bits.is_below(&other), all(concrete.iter().map(|v| v[..] < other[..])));
            prop_assert_eq!(bits.is_above(&other), all(concrete.iter().map(|v| v[..] > other[..])));
            let within = all(concrete.iter().map(|v| (&other[..]..=&last[..]).contains(&&v[..])));
            prop_assert!(allows(bits.is_within(&other, &last), within));
        }

        #[test]
        fn boolean_operations_know_what_every_concrete_pair_agrees_on(
            left in few_unknown(), right in few_unknown(),
        ) {
            type Operation = fn(u8, u8) -> u8;
            let operations: [(Bits, Operation); 3] = [
                (left.and(&right), |a, b| a & b),
                (left.or(&right), |a, b| a | b),
                (left.xor(&right), |a, b| a ^ b),
            ];
            for (result, operation) in operations {
                let exact = concretions(&left)
                    .iter()
                    .flat_map(|a| {
                        concretions(&right)
                            .into_iter()
                            .map(|b| Bits::known([operation(a[0], b[0]), operation(a[1], b[1])]))
                            .collect::<Vec<_>>()
                    })
                    .reduce(|joined, bits| joined.join(&bits))
                    .expect("a value has a concretion");
                prop_assert_eq!(result, exact);
            }
        }
    }

    #[test]
    fn a_range_is_known_up_to_the_first_bit_in_which_its_ends_differ() {
        let common = Bits::known([10, 6]).common_prefix(&Bits::known([10, 9]));
        assert_eq!(common, Bits::partly(&[10, 0], &[0xff, 0xf0]));
    }

    #[test]
    fn an_unknown_value_under_an_empty_mask_is_known() {
        assert_eq!(
            Bits::unknown(4).and(&Bits::known([0; 4])),
            Bits::known([0; 4])
        );
    }
}
