//! How an error of the system becomes [`Broken`]: the lab broke while doing something.

use std::io;

use firedrill_wire::protocol::Broken;

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
