//! The language between firedrill and its agent: packets, and the protocol that carries them.
//!
//! Everything here is plain data with pure functions. This crate opens no socket and starts no program,
//! so whoever only reads or judges evidence needs nothing else of the harness.

mod bytes;
pub mod packet;
pub mod protocol;
mod ranges;
mod usual;

pub use ranges::Ranges;
