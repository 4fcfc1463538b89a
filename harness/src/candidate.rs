//! The configuration under test: its files, the commands that load it, and the listing of the ruleset
//! that results.

use crate::{
    command::{self, Meanwhile, Running},
    nftnetlink::NftSocket,
    protocol::{Broken, CandidateSpec, CommandFailure, Loaded, OUTPUT_LIMIT},
    root,
};

/// The most that is read of a ruleset's listing, in bytes: a million rules.
const LISTING_LIMIT: usize = 256 << 20;

/// Puts a candidate's files into the private root.
pub(crate) fn stage(candidate: &CandidateSpec) -> Result<(), Broken> {
    for folder in &candidate.replaced {
        root::cover_folder(folder)?;
    }
    for file in &candidate.files {
        root::write_file(&file.path, &file.content.0, file.mode)?;
    }
    Ok(())
}

/// Runs a candidate's commands in the current network namespace (none if `blind`), and does something
/// else meanwhile. The inner error is the command that failed.
pub(crate) fn load(
    candidate: &CandidateSpec,
    nft: &mut NftSocket,
    blind: bool,
    mut meanwhile: Meanwhile<'_, '_>,
) -> Result<Result<Loaded, CommandFailure>, Broken> {
    let generation_before = nft.generation()?;
    let commands: &[_] = if blind { &[] } else { &candidate.load };
    let mut printed = String::new();
    for command in commands {
        let finished = match command::start(command)? {
            Ok(running) => {
                let meanwhile = meanwhile.as_deref_mut();
                running.finish_while(OUTPUT_LIMIT, meanwhile)?
            }
            Err(failure) => Err(failure),
        };
        match finished {
            Ok(output) => {
                printed.push_str(&String::from_utf8_lossy(&output.stdout));
                printed.push_str(&String::from_utf8_lossy(&output.stderr));
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    let generation_after = nft.generation()?;
    Ok(Ok(Loaded {
        candidate: 0,
        generation_before,
        generation_after,
        generation_probed: generation_after,
        output: printed,
        elapsed_us: 0,
    }))
}

/// A listing on its way.
pub(crate) struct Listing(Result<Running, CommandFailure>);

/// Starts to list the ruleset of the current network namespace.
pub(crate) fn start_listing(candidate: &CandidateSpec) -> Result<Listing, Broken> {
    command::start(&candidate.list).map(Listing)
}

impl Listing {
    /// Waits for it.
    pub(crate) fn finish(self) -> Result<String, Broken> {
        let finished = match self.0 {
            Ok(running) => running.finish(LISTING_LIMIT)?,
            Err(failure) => Err(failure),
        };
        match finished {
            Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(failure) => Err(Broken::new("list the loaded ruleset", describe(&failure))),
        }
    }
}

fn describe(failure: &CommandFailure) -> String {
    let said = failure.stderr.trim();
    if said.is_empty() {
        failure.to_string()
    } else {
        format!("{failure}: {said}")
    }
}
