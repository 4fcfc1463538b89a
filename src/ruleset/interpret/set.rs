//! Finds keys in sets as the kernel's set types do (net/netfilter/nft_set_hash.c, nft_set_rbtree.c,
//! nft_set_pipapo.c).

use std::{collections::BTreeMap, ops::Range};

use super::{bits::Bits, certainty::Certainty};
use crate::ruleset::program::{ElementFlags, ProgramSet, SetElement, SetFlags};

/// A set, prepared for look-ups.
#[derive(Debug)]
pub(super) struct SetIndex<'p> {
    pub(super) set: &'p ProgramSet,
    keys: Keys<'p>,
    /// Position of the element that stands for all other keys.
    pub(super) catch_all: Option<usize>,
}

/// Keys with the positions of their elements.
#[derive(Debug)]
enum Keys<'p> {
    /// Single keys.
    Exact(BTreeMap<&'p [u8], usize>),
    /// The starts and ends of intervals, in order. An interval ends before the next entry.
    Intervals(Vec<Border<'p>>),
    /// Intervals field by field.
    Fields {
        fields: Vec<Range<usize>>,
        elements: Vec<usize>,
    },
}

#[derive(Debug)]
struct Border<'p> {
    key: &'p [u8],
    /// Position of the element that begins here; `None` where an interval ends.
    element: Option<usize>,
}

/// The elements that a key may be, each with how certain that is. Of those that are possible, the packet meets one
/// at most.
pub(super) type Candidates = Vec<(usize, Certainty)>;

impl<'p> SetIndex<'p> {
    pub(super) fn new(set: &'p ProgramSet) -> Self {
        let is_catch_all = |element: &SetElement| element.flags.contains(ElementFlags::CATCH_ALL);
        let with_keys = || {
            set.elements
                .iter()
                .enumerate()
                .filter(|(_, element)| !is_catch_all(element))
        };
        let keys = if set.flags.contains(SetFlags::CONCAT) && set.flags.contains(SetFlags::INTERVAL)
        {
            Keys::Fields {
                fields: fields(set),
                elements: with_keys().map(|(position, _)| position).collect(),
            }
        } else if set.flags.contains(SetFlags::INTERVAL) {
            let border = |(position, element): (usize, &'p SetElement)| Border {
                key: &element.key,
                element: (!element.flags.contains(ElementFlags::INTERVAL_END)).then_some(position),
            };
            Keys::Intervals(with_keys().map(border).collect())
        } else {
            let entry = |(position, element): (usize, &'p SetElement)| (&element.key[..], position);
            Keys::Exact(with_keys().map(entry).collect())
        };
        Self {
            set,
            keys,
            catch_all: set.elements.iter().position(is_catch_all),
        }
    }

    /// The elements of the program that a key may be, the catch-all excepted.
    pub(super) fn candidates(&self, key: &Bits) -> Candidates {
        match &self.keys {
            Keys::Exact(elements) => match key.bytes() {
                Some(bytes) => elements
                    .get(bytes)
                    .map(|position| (*position, Certainty::Yes))
                    .into_iter()
                    .collect(),
                None => possible(
                    elements
                        .iter()
                        .map(|(bytes, position)| (*position, key.equals(bytes))),
                ),
            },
            Keys::Intervals(borders) => match key.bytes() {
                Some(bytes) => {
                    let behind = borders.partition_point(|border| border.key <= bytes);
                    let last = behind.checked_sub(1).and_then(|at| borders[at].element);
                    last.map(|position| (position, Certainty::Yes))
                        .into_iter()
                        .collect()
                }
                None => possible(borders.iter().enumerate().filter_map(|(at, border)| {
                    let is_before_end = match borders.get(at + 1) {
                        Some(next) => key.is_below(next.key),
                        None => Certainty::Yes,
                    };
                    let is_inside = (!key.is_below(border.key)).and(is_before_end);
                    Some((border.element?, is_inside))
                })),
            },
            Keys::Fields { fields, elements } => possible(elements.iter().map(|position| {
                let element = &self.set.elements[*position];
                (*position, is_within_fields(key, element, fields))
            })),
        }
    }
}

fn possible(candidates: impl Iterator<Item = (usize, Certainty)>) -> Candidates {
    candidates
        .filter(|(_, certainty)| certainty.is_possible())
        .collect()
}

/// Where the fields of a concatenation lie in a key: each begins at a multiple of four bytes.
fn fields(set: &ProgramSet) -> Vec<Range<usize>> {
    let mut at = 0;
    let lengths = match set.field_bytes.as_slice() {
        [] => std::slice::from_ref(&set.key_bytes),
        lengths => lengths,
    };
    let range = |length: &u32| {
        let length = usize::try_from(*length).unwrap_or(usize::MAX);
        let range = at..at + length;
        at += length.next_multiple_of(4);
        range
    };
    lengths.iter().map(range).collect()
}

fn is_within_fields(key: &Bits, element: &SetElement, fields: &[Range<usize>]) -> Certainty {
    let last = element.key_end.as_ref().unwrap_or(&element.key);
    let within = |field: &Range<usize>| match (
        key.slice(field.start, field.len()),
        element.key.get(field.clone()),
        last.get(field.clone()),
    ) {
        (Some(bits), Some(first), Some(last)) => bits.is_within(first, last),
        _ => Certainty::Maybe,
    };
    fields
        .iter()
        .map(within)
        .fold(Certainty::Yes, Certainty::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::program::{ElementData, SetDataKind};

    fn element(key: &[u8], flags: ElementFlags) -> SetElement {
        SetElement {
            key: key.to_vec(),
            key_end: None,
            flags,
            data: ElementData::None,
            timeout_ms: None,
            expiration_ms: None,
            expressions: Vec::new(),
            userdata: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn set(flags: SetFlags, elements: Vec<SetElement>) -> ProgramSet {
        ProgramSet {
            name: "s".to_owned(),
            handle: None,
            flags,
            key_type: 0,
            key_bytes: 2,
            field_bytes: Vec::new(),
            data: SetDataKind::None,
            size: None,
            policy: None,
            timeout_ms: None,
            gc_interval_ms: None,
            expressions: Vec::new(),
            elements,
            backend: None,
            element_count: None,
            userdata: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn found(set: &ProgramSet, key: [u8; 2]) -> Option<usize> {
        let candidates = SetIndex::new(set).candidates(&Bits::known(key));
        assert!(candidates.len() <= 1);
        candidates.first().map(|(position, _)| *position)
    }

    /// `{ 10-19, 20-29, 40-65535 }`: adjacent intervals share a border, and the last one has no end.
    #[test]
    fn an_interval_holds_its_start_and_not_its_end() {
        let start = |port: u16| element(&port.to_be_bytes(), ElementFlags::default());
        let end = |port: u16| element(&port.to_be_bytes(), ElementFlags::INTERVAL_END);
        let set = set(
            SetFlags::INTERVAL,
            vec![start(10), end(20), start(20), end(30), start(40)],
        );
        let found = |port: u16| found(&set, port.to_be_bytes());
        assert_eq!(found(9), None);
        assert_eq!(found(10), Some(0));
        assert_eq!(found(19), Some(0));
        assert_eq!(found(20), Some(2));
        assert_eq!(found(29), Some(2));
        assert_eq!(found(30), None);
        assert_eq!(found(65535), Some(4));
    }

    #[test]
    fn a_key_of_unknown_bits_is_surely_in_an_interval_that_holds_all_its_values() {
        let start = element(&[0, 0], ElementFlags::default());
        let end = element(&[1, 0], ElementFlags::INTERVAL_END);
        let set = set(SetFlags::INTERVAL, vec![start, end]);
        let index = SetIndex::new(&set);
        let low_byte_unknown = Bits::partly(&[0, 0], &[0xff, 0]);
        assert_eq!(index.candidates(&low_byte_unknown), [(0, Certainty::Yes)]);
        assert_eq!(index.candidates(&Bits::unknown(2)), [(0, Certainty::Maybe)]);
    }

    #[test]
    fn a_concatenation_of_intervals_is_compared_field_by_field_with_both_ends_included() {
        let mut ranges = element(&[10, 0, 0, 0, 0, 22, 0, 0], ElementFlags::default());
        ranges.key_end = Some(vec![10, 0, 0, 255, 0, 80, 0, 0]);
        let mut set = set(
            SetFlags(SetFlags::INTERVAL.0 | SetFlags::CONCAT.0),
            vec![ranges],
        );
        set.key_bytes = 8;
        set.field_bytes = vec![4, 2];
        let index = SetIndex::new(&set);
        let holds = |key: [u8; 8]| !index.candidates(&Bits::known(key)).is_empty();
        assert!(holds([10, 0, 0, 0, 0, 22, 0, 0]));
        assert!(holds([10, 0, 0, 255, 0, 80, 0, 0]));
        assert!(holds([10, 0, 0, 7, 0, 50, 0, 0]));
        assert!(!holds([10, 0, 1, 0, 0, 50, 0, 0]));
        assert!(!holds([10, 0, 0, 7, 0, 81, 0, 0]));
    }
}
