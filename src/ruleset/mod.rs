//! What the kernel holds after loading: chains, rules, sets and their texts, as data. It knows no dialect, no
//! scenario and no packet.

pub mod chain;
pub mod interpret;
pub mod legacy;
pub mod lexer;
pub mod listing;
pub mod lookup;
pub mod marks;
pub mod origin;
pub mod ports;
pub mod program;
pub mod state;
mod text;
