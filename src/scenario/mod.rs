//! A scenario: one YAML file, read strictly into types that cannot be wrong.
//!
//! [`model`] holds the types; everything else in this module turns text into them or says, for every
//! problem of the file at once, where it is and what to do about it.

mod model;

pub use model::*;
