//! Three-valued truth (Kleene's strong logic).

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// It is surely not so.
    No,
    /// It depends on something that is not known.
    Maybe,
    /// It is surely so.
    Yes,
}

impl Certainty {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// At least one of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// What holds of two paths of which only one is taken: `Maybe` unless both agree.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::Maybe }
    }

    /// Inverted if `invert` is set, as the `!` of a match.
    #[must_use]
    pub fn inverted_if(self, invert: bool) -> Self {
        if invert { !self } else { self }
    }

    /// Whether it may be so.
    #[must_use]
    pub fn is_possible(self) -> bool {
        self != Self::No
    }
}

impl From<bool> for Certainty {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Certainty {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}
