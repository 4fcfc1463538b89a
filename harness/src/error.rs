//! The one error of the harness: the lab broke while doing something.

use std::{fmt, io};

use crate::protocol::Broken;

impl Broken {
    /// An error that happened while doing something, as in "could not …".
    pub fn new(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            doing: doing.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, self.why)
    }
}

impl std::error::Error for Broken {}

/// Says what was being done when an operation failed.
pub(crate) trait Doing<T> {
    /// Turns the error into [`Broken`]; `doing` completes "could not …".
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T, Broken>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T, Broken> {
        self.map_err(|error| Broken::new(doing(), error))
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T, Broken> {
        self.map_err(|errno| Broken::new(doing(), io::Error::from(errno)))
    }
}
