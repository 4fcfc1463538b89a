//! A scenario: one YAML file, read strictly into types that cannot be wrong.
//!
//! `model` holds the types; everything else in this module turns text into them or says, for every
//! problem of the file at once, where it is and what to do about it:
//!
//! 1. `load` finds the files, `files` reads them; [`Entry`] is what is kept of a scenario until its turn;
//! 2. `yaml` turns a text into a `tree` whose nodes know their place in a `source`;
//! 3. `include` merges shared parts into the tree;
//! 4. `read` checks the tree against `shape` and `words` and builds the model;
//! 5. `ask` reads a question in the same words;
//! 6. [`Problems`] shows what is wrong, [`json_schema`] tells editors what is right.

mod ask;
mod candidates;
mod capture;
mod entry;
mod files;
mod include;
mod load;
mod model;
mod packet;
mod problem;
mod read;
mod schema;
mod services;
mod shape;
mod source;
mod sweep;
mod tree;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

pub use ask::{Question, ask, ask_about};
pub use candidates::{group, replace};
pub use entry::Entry;
pub(crate) use load::with_tests;
pub use load::{each, load, parse};
pub(crate) use model::net_text;
pub use model::*;
pub use problem::{Problem, Problems};
pub(crate) use read::unusable;
pub use schema::json_schema;
pub(crate) use services::port as service_port;
pub use sweep::{Over, Sweep, ranges_text};
pub use words::{icmp_name, tcp_flags_text};
