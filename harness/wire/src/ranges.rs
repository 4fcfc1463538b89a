//! Sets of ports and other 16-bit numbers, as inclusive ranges.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

/// A set of 16-bit numbers: inclusive ranges, ascending, with a gap between any two of them.
///
/// Its serialised form is a list of pairs, `[[80, 80], [8000, 8010]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u16)>")]
pub struct Ranges(Vec<(u16, u16)>);

impl Ranges {
    /// Every number.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    /// Whether there is no number in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter_ranges().map(|range| range.len()).sum()
    }

    /// Whether this number is in it.
    #[must_use]
    pub fn contains(&self, number: u16) -> bool {
        let next = self.0.partition_point(|(first, _)| *first <= number);
        self.0[..next]
            .last()
            .is_some_and(|(_, last)| number <= *last)
    }

    /// Every number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.iter_ranges().flatten()
    }

    /// Its ranges, ascending.
    pub fn iter_ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    /// The numbers that are in this set or in the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter_ranges().chain(other.iter_ranges()).collect()
    }

    /// The numbers that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self
            .iter_ranges()
            .flat_map(|range| other.iter_ranges().map(move |other| (range.clone(), other)));
        pairs
            .map(|(range, other)| *range.start().max(other.start())..=*range.end().min(other.end()))
            .collect()
    }

    /// The numbers that are in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    fn complement(&self) -> Self {
        let mut gaps = Vec::new();
        // `None` after the highest number.
        let mut next = Some(0);
        for (first, last) in &self.0 {
            if let (Some(start), Some(end)) = (next, first.checked_sub(1)) {
                gaps.push(start..=end);
            }
            next = last.checked_add(1);
        }
        gaps.extend(next.map(|start| start..=u16::MAX));
        gaps.into_iter().collect()
    }
}

impl FromIterator<RangeInclusive<u16>> for Ranges {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        let mut ranges: Vec<(u16, u16)> = ranges
            .into_iter()
            .filter(|range| !range.is_empty())
            .map(RangeInclusive::into_inner)
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

impl FromIterator<u16> for Ranges {
    fn from_iter<I: IntoIterator<Item = u16>>(numbers: I) -> Self {
        numbers.into_iter().map(|number| number..=number).collect()
    }
}

impl From<RangeInclusive<u16>> for Ranges {
    fn from(range: RangeInclusive<u16>) -> Self {
        std::iter::once(range).collect()
    }
}

impl<const N: usize> From<[RangeInclusive<u16>; N]> for Ranges {
    fn from(ranges: [RangeInclusive<u16>; N]) -> Self {
        ranges.into_iter().collect()
    }
}

impl From<Vec<(u16, u16)>> for Ranges {
    fn from(pairs: Vec<(u16, u16)>) -> Self {
        let ranges = pairs.into_iter().map(|(first, last)| first..=last);
        ranges.collect()
    }
}

/// As people write them: `80, 443, 8000-8010`; `none` for the empty set.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (position, (first, last)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Pairs near both ends of the numbers, some of them adjacent, overlapping or the wrong way round.
    fn pairs() -> impl Strategy<Value = Vec<(u16, u16)>> {
        let number = prop_oneof![0_u16..40, u16::MAX - 40..=u16::MAX];
        prop::collection::vec((number, 0_u16..8), 0..8).prop_map(|pairs| {
            let pairs = pairs.into_iter();
            pairs
                .map(|(first, length)| (first, first.wrapping_add(length)))
                .collect()
        })
    }

    fn numbers(pairs: &[(u16, u16)]) -> BTreeSet<u16> {
        let ranges = pairs.iter().map(|(first, last)| *first..=*last);
        ranges.flatten().collect()
    }

    fn numbers_of(ranges: &Ranges) -> BTreeSet<u16> {
        ranges.iter().collect()
    }

    proptest! {
        #[test]
        fn ranges_are_the_set_of_their_numbers(one in pairs(), two in pairs()) {
            let (naive, other) = (numbers(&one), numbers(&two));
            let (ranges, others) = (Ranges::from(one), Ranges::from(two));
            prop_assert_eq!(numbers_of(&ranges), naive.clone());
            prop_assert_eq!(ranges.len(), naive.len());
            prop_assert_eq!(ranges.is_empty(), naive.is_empty());
            for number in (0..60).chain(u16::MAX - 60..=u16::MAX) {
                prop_assert_eq!(ranges.contains(number), naive.contains(&number));
            }
            prop_assert_eq!(naive.iter().copied().collect::<Ranges>(), ranges.clone());
            prop_assert_eq!(numbers_of(&ranges.union(&others)), &naive | &other);
            prop_assert_eq!(numbers_of(&ranges.intersection(&others)), &naive & &other);
            prop_assert_eq!(numbers_of(&ranges.difference(&others)), &naive - &other);
        }

        #[test]
        fn ranges_ascend_with_a_gap_between_any_two(pairs in pairs()) {
            let ranges: Vec<_> = Ranges::from(pairs).iter_ranges().collect();
            for two in ranges.windows(2) {
                prop_assert!(u32::from(*two[0].end()) + 1 < u32::from(*two[1].start()));
            }
        }
    }

    #[test]
    fn a_difference_with_everything_is_empty() {
        assert_eq!(Ranges::all().difference(&Ranges::all()), Ranges::default());
        assert_eq!(Ranges::all().difference(&Ranges::default()), Ranges::all());
    }

    #[test]
    fn ranges_are_written_as_people_write_them() {
        assert_eq!(Ranges::default().to_string(), "none");
        let ranges = Ranges::from([8000..=8010, 80..=80]);
        assert_eq!(ranges.to_string(), "80, 8000-8010");
    }

    #[test]
    fn ranges_are_serialised_as_pairs() {
        let ranges = Ranges::from([80..=80, 8000..=8010]);
        let text = serde_json::to_string(&ranges).unwrap();
        assert_eq!(text, "[[80,80],[8000,8010]]");
        assert_eq!(serde_json::from_str::<Ranges>(&text).unwrap(), ranges);
    }
}
