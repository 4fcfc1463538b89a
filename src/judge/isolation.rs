//! How a sweep is made where rules remember earlier packets: which ports may share a lab.
//!
//! A port that comes to no such rule is as it was found. One that may come to a rule that reads a memory, and to
//! none that writes one, can share a fresh lab with all others of its kind, because nobody writes there. Those that
//! may write share a fresh lab with as many as the rule surely leaves alone (its burst), one by one.

use std::collections::BTreeMap;

use firedrill_wire::Ranges;

use super::{stateful::Touch, verdict::Inconclusive};

/// The most labs that are made for one sweep because of memory: some seconds.
const MAX_LABS: usize = 400;

/// What is to be done about a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// The ports whose first result is unreliable.
    pub again: Ranges,
    /// Of that, what is swept in one fresh lab.
    pub readers: Ranges,
    /// Of that, what is probed one by one, in a fresh lab each.
    pub writers: Vec<Ranges>,
    /// Of that, what would take too long, and why nothing is said of it.
    pub given_up: Vec<(Ranges, Inconclusive)>,
}

impl Pace {
    /// How these ports are to be swept, given what they have to do with memory.
    #[must_use]
    pub fn of(touches: &[Touch], ports: &Ranges) -> Self {
        if touches.is_empty() {
            return Self::default();
        }
        let (mut readers, mut writers) = (Vec::new(), BTreeMap::<u32, Vec<u16>>::new());
        for port in ports.iter() {
            let mut mine = touches
                .iter()
                .filter(|touch| touch.ports.contains(port))
                .peekable();
            if mine.peek().is_none() {
                continue;
            }
            match mine.filter_map(|touch| touch.room).min() {
                Some(room) => writers.entry(room).or_default().push(port),
                None => readers.push(port),
            }
        }
        let mut pace = Self {
            readers: readers.iter().copied().collect(),
            ..Self::default()
        };
        let mut again = readers;
        let mut labs = 0;
        // Those that need the fewest labs first.
        for (room, ports) in writers.into_iter().rev() {
            again.extend(&ports);
            let each = usize::try_from(room)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let needed = ports.len().div_ceil(each);
            if labs + needed <= MAX_LABS {
                labs += needed;
                let shared = ports.chunks(each);
                pace.writers
                    .extend(shared.map(|ports| ports.iter().copied().collect()));
            } else {
                let why = too_many(touches, room, needed);
                pace.given_up.push((ports.into_iter().collect(), why));
            }
        }
        pace.again = again.into_iter().collect();
        pace
    }

    /// This number depends on what others left: it is probed once more, alone.
    pub fn alone(&mut self, number: u16) {
        let number = Ranges::from(number..=number);
        self.again = self.again.union(&number);
        self.writers.push(number);
    }
}

fn too_many(touches: &[Touch], room: u32, labs: usize) -> Inconclusive {
    let mut rules = touches.iter().filter(|touch| touch.room == Some(room));
    Inconclusive::LabLimit {
        rule: rules
            .next()
            .map_or_else(|| "a rule".to_owned(), |touch| touch.rule.clone()),
        needed: labs,
        limit: MAX_LABS,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    fn all() -> Ranges {
        Ranges::from(1..=65_535)
    }

    fn touch(ports: RangeInclusive<u16>, room: Option<u32>) -> Touch {
        Touch {
            ports: ports.into(),
            room,
            rule: "the rule".to_owned(),
        }
    }

    #[test]
    fn without_memory_everything_stands() {
        assert_eq!(Pace::of(&[], &all()), Pace::default());
    }

    #[test]
    fn a_limited_port_is_probed_alone_and_the_others_stand() {
        let pace = Pace::of(&[touch(22..=22, Some(0))], &all());
        assert_eq!(pace.again, Ranges::from(22..=22));
        assert_eq!(pace.writers, [Ranges::from(22..=22)]);
        assert!(pace.readers.is_empty() && pace.given_up.is_empty());
    }

    #[test]
    fn who_is_remembered_for_a_trap_shares_a_lab_with_nobody_and_all_others_with_each_other() {
        let trap = touch(23..=23, Some(0));
        let reader = touch(0..=65535, None);
        let pace = Pace::of(&[trap, reader], &all());
        assert_eq!(pace.again, all());
        assert_eq!(pace.readers, Ranges::from([1..=22, 24..=65535]));
        assert_eq!(pace.writers, [Ranges::from(23..=23)]);
    }

    #[test]
    fn a_burst_is_shared_and_too_small_a_one_is_given_up() {
        let pace = Pace::of(&[touch(1..=1000, Some(249))], &all());
        assert_eq!(pace.writers.len(), 4);
        assert_eq!(pace.writers[0], Ranges::from(1..=250));
        let pace = Pace::of(&[touch(0..=65535, Some(4))], &all());
        assert!(pace.writers.is_empty());
        let [(ports, Inconclusive::LabLimit { rule, needed, .. })] = pace.given_up.as_slice()
        else {
            panic!("{pace:?}");
        };
        assert_eq!(*ports, all());
        assert_eq!((rule.as_str(), *needed), ("the rule", 13107));
    }
}
