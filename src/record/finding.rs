//! A statement to the user, with its place, its proof and what to do about it. Every capability that has something
//! to say beyond the verdicts of cases says it so, and every report writes it in one place.

use serde::{Deserialize, Serialize};

use crate::{
    ruleset::origin::{Origin, SourceLine},
    scenario::Location,
};

/// One statement to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The capability and what it looked for, the same in every version: `coverage/possibly-dead`.
    pub id: String,
    /// How much it matters.
    pub level: Level,
    /// Where something is to be changed, if anywhere.
    #[serde(flatten)]
    pub place: FindingPlace,
    /// One sentence, without a full stop.
    pub sentence: String,
    /// The packets that prove it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<String>,
    /// What to do about it; several are alternatives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It is as it should be.
    Pass,
    /// Worth knowing.
    Note,
    /// Probably not as it was meant.
    Warning,
    /// Not as it must be.
    Error,
    /// It could not be told.
    Unknown,
}

/// The place of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FindingPlace {
    /// A line of a file of the user's.
    Line(Location),
    /// There is none, for this reason.
    None {
        /// Why.
        no_place: String,
    },
}

impl Level {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl FindingPlace {
    /// No place, for this reason.
    pub fn none(why: impl Into<String>) -> Self {
        Self::None {
            no_place: why.into(),
        }
    }
}

impl From<&SourceLine> for FindingPlace {
    fn from(line: &SourceLine) -> Self {
        Self::Line(Location {
            file: line.file.clone(),
            line: line.line,
            column: line.column,
        })
    }
}

impl From<Option<&Origin>> for FindingPlace {
    fn from(origin: Option<&Origin>) -> Self {
        match origin {
            Some(Origin::Known(line)) => line.into(),
            Some(Origin::Unknown(why)) => Self::none(why.as_str()),
            None => Self::none("its line was not looked up"),
        }
    }
}
