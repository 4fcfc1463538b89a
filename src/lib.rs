//! firedrill drills a firewall before it is deployed.

pub mod scenario;
