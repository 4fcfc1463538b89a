//! What rules remember from packet to packet, as far as it is known.

use std::{collections::BTreeMap, sync::Arc};

use super::{bits::Bits, certainty::Certainty};
use crate::ruleset::program::xtables::XtState;

/// Something that a ruleset remembers. Numbers are positions in the program that is interpreted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateCell {
    /// An expression of a rule.
    Expression {
        /// Position of the chain.
        chain: usize,
        /// Position of the rule in the chain.
        rule: usize,
        /// Position of the expression in the rule.
        expression: usize,
    },
    /// A named object.
    Object {
        /// Position of the object.
        object: usize,
    },
    /// Whether a set has this element, and what a map has for it.
    Element {
        /// Position of the set.
        set: usize,
        /// The key.
        key: Vec<u8>,
    },
    /// An expression of an element.
    ElementExpression {
        /// Position of the set.
        set: usize,
        /// The key.
        key: Vec<u8>,
        /// Position of the expression in the element.
        expression: usize,
    },
    /// An element of a set, but it is not known which.
    AnyElement {
        /// Position of the set.
        set: usize,
    },
    /// What extensions of iptables share by name or number: lists of `recent`, tables of `hashlimit`, ipsets.
    Xtables(XtState),
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellContent {
    /// Credit of a limit.
    Tokens(Tokens),
    /// Bytes that a quota has counted.
    Consumed(Bounds),
    /// The last number of a counter (`numgen inc`); `None` is unknown.
    Number(Option<u32>),
    /// Connections that are counted.
    Connections(Bounds),
    /// An element of a set.
    Element(ElementMemory),
    /// Written, and not known any more.
    Unknown,
}

/// Numbers between two others, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest.
    pub lowest: u64,
    /// The highest.
    pub highest: u64,
}

impl Bounds {
    /// One number.
    #[must_use]
    pub fn exactly(number: u64) -> Self {
        Self {
            lowest: number,
            highest: number,
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
        }
    }

    /// Whether a number of this range is greater than this one.
    #[must_use]
    pub fn is_above(self, number: u64) -> Certainty {
        if self.lowest > number {
            Certainty::Yes
        } else if self.highest <= number {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// Each number increased by this one.
    #[must_use]
    pub fn plus(self, number: u64) -> Self {
        Self {
            lowest: self.lowest.saturating_add(number),
            highest: self.highest.saturating_add(number),
        }
    }
}

/// An element that rules add, change or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementMemory {
    /// Whether it is there.
    pub is_present: Certainty,
    /// What the map has for it.
    pub data: Option<Bits>,
    /// When it expires, in nanoseconds after the ruleset was loaded; at the earliest.
    pub expires: Option<u64>,
}

impl ElementMemory {
    /// Whether it is there: it may have expired.
    #[must_use]
    pub fn presence(&self, now: Moment) -> Certainty {
        match (self.expires, now.latest) {
            (None, _) => self.is_present,
            (Some(expires), Some(latest)) if latest < expires => self.is_present,
            (Some(_), _) => self.is_present.and(Certainty::Maybe),
        }
    }
}

/// When a packet is met, in nanoseconds after the ruleset was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// At the earliest.
    pub earliest: u64,
    /// At the latest; `None` has no bound.
    pub latest: Option<u64>,
}

/// What a ruleset remembers: of cells that no packet has touched, what the program says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    cells: Arc<BTreeMap<StateCell, CellContent>>,
    /// When the packet is met.
    pub now: Moment,
}

impl State {
    /// What a cell holds, if a packet has touched it.
    #[must_use]
    pub fn get(&self, cell: &StateCell) -> Option<&CellContent> {
        self.cells.get(cell)
    }

    /// Every cell that a packet has touched.
    pub fn cells(&self) -> impl Iterator<Item = (&StateCell, &CellContent)> {
        self.cells.iter()
    }

    /// Changes a cell.
    pub fn set(&mut self, cell: StateCell, content: CellContent) {
        Arc::make_mut(&mut self.cells).insert(cell, content);
    }

    /// What is known when either state may hold; `initial` says what a cell holds that nothing has touched.
    #[must_use]
    pub fn join(mut self, other: &Self, initial: impl Fn(&StateCell) -> CellContent) -> Self {
        if Arc::ptr_eq(&self.cells, &other.cells) || self.cells == other.cells {
            return self;
        }
        let cells = Arc::make_mut(&mut self.cells);
        for (cell, memory) in cells.iter_mut() {
            if !other.cells.contains_key(cell) {
                *memory = memory.join(&initial(cell));
            }
        }
        for (cell, memory) in other.cells.iter() {
            let own = cells.entry(cell.clone()).or_insert_with(|| initial(cell));
            *own = own.join(memory);
        }
        self
    }
}

/// Joins into what may be there already.
pub(super) fn join_states(
    slot: &mut Option<State>,
    state: Option<State>,
    initial: impl Fn(&StateCell) -> CellContent,
) {
    let Some(state) = state else {
        return;
    };
    *slot = Some(match slot.take() {
        Some(there) => there.join(&state, initial),
        None => state,
    });
}

impl CellContent {
    fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Tokens(one), Self::Tokens(other)) => Self::Tokens(one.join(*other)),
            (Self::Consumed(one), Self::Consumed(other)) => Self::Consumed(one.join(*other)),
            (Self::Number(one), Self::Number(other)) => {
                Self::Number((one == other).then_some(*one).flatten())
            }
            (Self::Connections(one), Self::Connections(other)) => {
                Self::Connections(one.join(*other))
            }
            (Self::Element(one), Self::Element(other)) => Self::Element(ElementMemory {
                is_present: one.is_present.join(other.is_present),
                expires: match (one.expires, other.expires) {
                    (Some(expires), Some(others)) => Some(expires.min(others)),
                    (expires, others) => expires.or(others),
                },
                data: match (&one.data, &other.data) {
                    (Some(data), Some(others)) => Some(data.join(others)),
                    (Some(data), None) | (None, Some(data)) => Some(data.clone()),
                    (None, None) => None,
                },
            }),
            _ => Self::Unknown,
        }
    }
}

/// How a limit is set: `struct nft_limit_priv` (net/netfilter/nft_limit.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Credit when it is full, in nanoseconds.
    pub size: u64,
    /// What a packet costs, in nanoseconds.
    pub cost: u64,
}

/// Credit of a limit, in nanoseconds: a bucket that fills with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// At the last packet.
    pub left: Bounds,
    /// The earliest moment of the last packet.
    pub since: u64,
}

impl Tokens {
    /// A full bucket.
    #[must_use]
    pub fn full(bucket: Bucket) -> Self {
        Self {
            left: Bounds::exactly(bucket.size),
            since: 0,
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            left: self.left.join(other.left),
            since: self.since.min(other.since),
        }
    }

    /// `nft_limit_eval`: whether there is enough credit for a packet, and what is left after it.
    #[must_use]
    pub fn take(self, bucket: Bucket, now: Moment) -> (Certainty, Self) {
        // Time only fills the bucket: the least is what was left at the last packet.
        let refilled = match now.latest {
            Some(latest) => latest.saturating_sub(self.since),
            None => u64::MAX,
        };
        let lowest = self.left.lowest.min(bucket.size);
        let highest = self.left.highest.saturating_add(refilled).min(bucket.size);
        let is_enough = match (lowest >= bucket.cost, highest >= bucket.cost) {
            (true, _) => Certainty::Yes,
            (false, true) => Certainty::Maybe,
            (false, false) => Certainty::No,
        };
        let paid = |left: u64| left.saturating_sub(bucket.cost);
        let left = match is_enough {
            Certainty::Yes => Bounds {
                lowest: paid(lowest),
                highest: paid(highest),
            },
            Certainty::No => Bounds { lowest, highest },
            // Not enough: less than the cost is left. Enough: what is paid for may be the most.
            Certainty::Maybe => Bounds {
                lowest: 0,
                highest: paid(highest).max(bucket.cost.saturating_sub(1)),
            },
        };
        let since = now.earliest;
        (is_enough, Self { left, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// `limit rate 10/second burst 3`: a packet costs a tenth of a second (`nft_limit_pkts_init`).
    const BUCKET: Bucket = Bucket {
        size: 3 * SECOND / 10,
        cost: SECOND / 10,
    };

    #[test]
    fn a_full_bucket_lets_its_burst_pass_at_any_pace() {
        let mut tokens = Tokens::full(BUCKET);
        for _ in 0..3 {
            let (enough, rest) = tokens.take(BUCKET, Moment::default());
            assert_eq!(enough, Certainty::Yes);
            tokens = rest;
        }
        assert_eq!(tokens.take(BUCKET, Moment::default()).0, Certainty::Maybe);
    }

    #[test]
    fn an_empty_bucket_stops_a_packet_that_surely_comes_too_early() {
        let at = |latest| Moment {
            earliest: 0,
            latest: Some(latest),
        };
        let empty = Tokens {
            left: Bounds::exactly(0),
            since: 0,
        };
        assert_eq!(empty.take(BUCKET, at(BUCKET.cost - 1)).0, Certainty::No);
        assert_eq!(empty.take(BUCKET, at(BUCKET.cost)).0, Certainty::Maybe);
    }

    #[test]
    fn a_cell_that_only_one_path_touches_is_joined_with_what_it_was() {
        let cell = StateCell::Object { object: 0 };
        let mut touched = State::default();
        touched.set(cell.clone(), CellContent::Consumed(Bounds::exactly(100)));
        let initial = |_: &StateCell| CellContent::Consumed(Bounds::exactly(40));
        let expected = CellContent::Consumed(Bounds {
            lowest: 40,
            highest: 100,
        });
        for joined in [
            touched.clone().join(&State::default(), initial),
            State::default().join(&touched, initial),
        ] {
            assert_eq!(joined.get(&cell), Some(&expected));
        }
    }
}
