//! The exit codes.

use std::process::{ExitCode, Termination};

/// How a run ends, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All expectations hold.
    Success = 0,
    /// An expectation failed.
    Failed = 1,
    /// Bad usage or bad input: a scenario, a candidate, an argument.
    BadInput = 2,
    /// The lab could not tell: inconclusive evidence, a missing capability, a broken sandbox.
    Inconclusive = 3,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}
