//! firedrill drills a firewall before it is deployed.

pub mod dialect;
pub mod judge;
pub mod path;
pub mod plan;
pub mod scenario;
pub mod verdict;
