//! The kernel's trace of one packet, read: which chains it entered, what matched, and what ended it. It knows
//! no expectation.

pub mod decider;
pub mod legacy;
mod lookup;
pub mod walk;
pub mod way;
