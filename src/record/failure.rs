//! Why a scenario could not be run.

/// Why a scenario could not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScenarioError {
    /// The user's input is at fault: a file that cannot be read, a candidate that its own program
    /// refuses.
    Input(String),
    /// The lab is at fault, or the machine.
    Lab(String),
    /// Nothing is at fault, but a program that the configuration needs is not installed.
    Skipped(String),
}

impl ScenarioError {
    /// The reverse of [`ScenarioError::word`]; `None` for any other word.
    pub(crate) fn of_kind(word: &str, message: String) -> Option<Self> {
        match word {
            "input" => Some(Self::Input(message)),
            "lab" => Some(Self::Lab(message)),
            "skipped" => Some(Self::Skipped(message)),
            _ => None,
        }
    }

    /// Which it is, in JSON reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Lab(_) => "lab",
            Self::Skipped(_) => "skipped",
        }
    }

    /// What to tell.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Input(message) | Self::Lab(message) | Self::Skipped(message) => message,
        }
    }
}
