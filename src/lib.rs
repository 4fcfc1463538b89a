//! firedrill drills a firewall before it is deployed.

pub mod cli;
mod collector;
pub mod coverage;
pub mod describe;
pub mod dialect;
pub mod differences;
pub mod doctor;
pub mod event;
pub mod exit;
pub mod explain;
pub mod filter;
pub mod judge;
pub mod launch;
pub mod libtest;
mod lookup;
pub mod memory;
mod pace;
pub mod path;
pub mod plan;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod shard;
pub mod verdict;
pub mod walk;

pub use libtest::harness_main;
