//! The kernel's trace of one packet, read: which chains it entered, what matched, and what ended it. It knows
//! no expectation.

mod lookup;
pub mod walk;
pub mod way;
