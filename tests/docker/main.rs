//! The Docker launcher, on a real engine: the same verdicts as on this machine, nothing in reach that should
//! not be, nothing left behind.
//!
//! Without an engine these tests are skipped, and say so. On a CI server that has one they fail instead.
#![cfg(feature = "docker")]

#[path = "../common/mod.rs"]
mod common;
mod confined;
mod engine;
mod errors;
mod images;
mod killed;
mod verdicts;
