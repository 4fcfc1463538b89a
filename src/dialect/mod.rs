//! Dialects: pure text work on a configuration. A dialect says which files go where and which commands
//! load them, and reads the ruleset that results. It executes nothing.

pub mod listing;
pub mod nftables;
pub mod origin;

use std::path::{Component, Path, PathBuf};

use firedrill_harness::protocol::CandidateSpec;

use self::listing::Ruleset;
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
    /// The folder in the sandbox from which the candidate is loaded.
    folder: PathBuf,
    /// How the user named each file: path in the sandbox → path on disk.
    shown: Vec<(PathBuf, PathBuf)>,
    /// The main file's path in the sandbox.
    inside: PathBuf,
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
    /// Reads the listing of the loaded ruleset, and finds out where in the candidate's files its rules
    /// were written.
    #[must_use]
    pub fn ruleset(&self, listing: &str) -> Ruleset {
        let ruleset = Ruleset::parse(listing);
        let origins = nftables::origins(self, &ruleset);
        ruleset.with_origins(origins)
    }

    /// A program's message with the sandbox's paths as the user knows them.
    #[must_use]
    pub fn translate(&self, message: &str) -> String {
        let lines = message
            .split_inclusive('\n')
            .map(|line| self.absolute_place(line));
        self.shown
            .iter()
            .fold(lines.collect(), |text: String, (inside, outside)| {
                text.replace(&*inside.to_string_lossy(), &outside.to_string_lossy())
            })
    }

    /// A line that begins with a place (`./part.nft:3:7-10: Error: …`, or the same after `from`) with
    /// the sandbox's path: programs name included files as the `include` spells them.
    fn absolute_place(&self, line: &str) -> String {
        let place = line.trim_start_matches("In file included").trim_start();
        let place = place.strip_prefix("from ").unwrap_or(place);
        let before = &line[..line.len() - place.len()];
        let Some((name, rest)) = place.split_once(':') else {
            return line.to_owned();
        };
        let inside = lexical(&self.folder.join(name));
        let known = self.shown.iter().any(|(known, _)| *known == inside);
        if known && rest.starts_with(|c: char| c.is_ascii_digit()) {
            format!("{before}{}:{rest}", inside.display())
        } else {
            line.to_owned()
        }
    }
}

/// Takes `.` and `..` out of an absolute path by its text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The Debian package that brings a loader's program.
#[must_use]
pub fn package_of(program: &str) -> &str {
    match program {
        "nft" => "nftables",
        other => other,
    }
}
