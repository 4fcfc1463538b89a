//! A scenario: one YAML file, read strictly into types that cannot be wrong.
//!
//! `model` holds the types; everything else in this module turns text into them or says, for every
//! problem of the file at once, where it is and what to do about it:
//!
//! 1. `load` finds the files; [`Entry`] is what is kept of a scenario until its turn;
//! 2. `text` turns a file with what it includes into a tree whose nodes know their places, and shows
//!    [`Problems`] there;
//! 3. `read` has a list of keys for every map; it checks the tree against them and the words of `format`, and
//!    builds the model;
//! 4. `ask` reads a question in the same words;
//! 5. [`json_schema`] tells editors what is right.

mod ask;
mod candidates;
mod entry;
mod format;
mod load;
mod model;
mod read;
mod text;

#[cfg(test)]
mod tests;

pub use ask::{Question, ask, ask_about};
pub use candidates::{group, replace};
pub use entry::Entry;
pub(crate) use format::services::port as service_port;
pub use format::words::{icmp_name, tcp_flags_text};
pub(crate) use load::with_tests;
pub use load::{each, load, parse};
pub use model::*;
pub(crate) use read::unusable;
pub use text::problem::{Problem, Problems};

/// The JSON Schema (draft 2020-12) of a scenario file.
///
/// A file that includes shared parts may leave out required keys; what the parts themselves hold is
/// beyond a schema.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    format::schema::json_schema(&read::SCENARIO, &read::FIREWALL)
}
