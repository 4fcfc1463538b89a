//! Dialects: pure text work on a configuration. A dialect says which files go where and which commands
//! load them, and reads the ruleset that results. It executes nothing.

pub mod listing;
pub mod nftables;

use std::path::PathBuf;

use firedrill_harness::protocol::CandidateSpec;

use crate::scenario::{Candidate, Firewall};

/// A candidate ready for the sandbox.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its files and commands.
    pub spec: CandidateSpec,
    /// The main file as the user named it.
    pub path: PathBuf,
    /// SHA-256 over all its files, in hexadecimal.
    pub hash: String,
    /// How the user named each file: path in the sandbox → path on disk.
    shown: Vec<(PathBuf, PathBuf)>,
}

/// Why a candidate cannot be prepared: the user's input is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read the candidate's file {}: {why}", path.display())]
pub struct PrepareError {
    /// The file as the user would name it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a candidate's files and says how to load them.
///
/// # Errors
///
/// [`PrepareError`] if a file cannot be read.
pub fn prepare(firewall: &Firewall) -> Result<Prepared, PrepareError> {
    match &firewall.candidate {
        Candidate::Nftables(path) => nftables::prepare(path, &firewall.files),
    }
}

impl Prepared {
    /// A program's message with the sandbox's paths as the user knows them.
    #[must_use]
    pub fn translate(&self, message: &str) -> String {
        self.shown
            .iter()
            .fold(message.to_owned(), |text, (inside, outside)| {
                text.replace(&*inside.to_string_lossy(), &outside.to_string_lossy())
            })
    }
}

/// The Debian package that brings a loader's program.
#[must_use]
pub fn package_of(program: &str) -> &str {
    match program {
        "nft" => "nftables",
        other => other,
    }
}
