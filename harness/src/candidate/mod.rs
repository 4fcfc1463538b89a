//! The configuration under test: its files, the commands that load it, and the listing of the rules that
//! result.
//!
//! This room runs the commands that a plan names. It never knows what the configuration means.

pub(crate) mod command;
mod legacy;
mod transaction;

use std::{fs::OpenOptions, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use firedrill_wire::protocol::{
    Broken, CandidateSpec, Command, CommandFailure, LayerSpec, Listing, Loaded, LoadedLayer,
    OUTPUT_LIMIT,
};

use self::command::{Meanwhile, Running};
use crate::{
    kernel::{dump::program_dump, nftables::NftSocket},
    sandbox::{ids, root},
};

/// The most that is read of a ruleset's listing, in bytes: a million rules.
const LISTING_LIMIT: usize = 256 << 20;

/// Whether the private root is prepared for a candidate already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Untouched,
    Prepared,
}

/// Puts a layer's files into the private root.
fn stage(layer: &LayerSpec, root: Root) -> Result<(), Broken> {
    if layer.several_ids {
        ids::require_several()?;
    }
    if root == Root::Untouched {
        for folder in &layer.replaced {
            root::cover_folder(folder)?;
        }
        for path in &layer.writable {
            root::make_writable(path)?;
        }
    }
    for file in &layer.files {
        root::write_file(&file.path, &file.content.0, file.mode)?;
    }
    Ok(())
}

/// Loads a candidate, layer by layer, in the current network namespace (nothing if `blind`), and does
/// something else meanwhile. The inner error is the command that failed.
pub(crate) fn load(
    candidate: &CandidateSpec,
    root: Root,
    nft: &mut NftSocket,
    blind: bool,
    mut meanwhile: Meanwhile<'_, '_>,
) -> Result<Result<Loaded, CommandFailure>, Broken> {
    let mut loaded = Loaded {
        candidate: 0,
        layers: Vec::new(),
        generation_probed: nft.generation()?,
        output: String::new(),
        elapsed_us: 0,
    };
    let last = candidate.layers.len().saturating_sub(1);
    for (number, layer) in candidate.layers.iter().enumerate() {
        stage(layer, root)?;
        if blind {
            loaded.layers.push(LoadedLayer::default());
            continue;
        }
        match run_loaders(layer, meanwhile.as_deref_mut())? {
            Ok(output) => loaded.output.push_str(&output),
            Err(failure) => {
                let layer = number;
                return Ok(Err(CommandFailure { layer, ..failure }));
            }
        }
        let generation = nft.generation()?;
        loaded.layers.push(LoadedLayer {
            changed: generation != loaded.generation_probed,
            listing: None,
            compiled: layer.compiled.iter().map(|path| read_text(path)).collect(),
        });
        // After the last layer it is made beside the control run.
        if number != last {
            loaded.listed(Listed::start(&candidate.list)?.finish()?);
        }
        loaded.generation_probed = generation;
    }
    Ok(Ok(loaded))
}

/// Runs a layer's commands; what they printed, or the one that failed.
fn run_loaders(
    layer: &LayerSpec,
    mut meanwhile: Meanwhile<'_, '_>,
) -> Result<Result<String, CommandFailure>, Broken> {
    let mut printed = String::new();
    for command in &layer.load {
        let finished = match command::start(command)? {
            Ok(running) => running.finish_while(OUTPUT_LIMIT, meanwhile.as_deref_mut())?,
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
    Ok(Ok(printed))
}

/// What a candidate's program left in a file; nothing if there is none, or it is larger than a listing
/// may be. Whatever stands there is the candidate's work: it must neither keep the agent waiting nor lead
/// it elsewhere.
fn read_text(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .and_then(|file| match file.metadata()?.is_file() {
            true => file.take(LISTING_LIMIT as u64 + 1).read_to_end(&mut bytes),
            false => Ok(0),
        });
    match read {
        Ok(length) if length <= LISTING_LIMIT => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(_) | Err(_) => String::new(),
    }
}

/// A listing on its way.
pub(crate) struct Listed(Result<Running, CommandFailure>);

impl Listed {
    /// Starts to list all rules of the current network namespace.
    pub(crate) fn start(list: &Command) -> Result<Self, Broken> {
        command::start(list).map(Self)
    }

    /// Waits for it, in the namespace that is listed, and adds what nft does not list.
    pub(crate) fn finish(self) -> Result<Listing, Broken> {
        let mut listing = Listing {
            listing: self.text()?,
            program: program_dump().ok(),
            ..Listing::default()
        };
        list_legacy(&mut listing)?;
        Ok(listing)
    }

    /// Waits for what the command prints.
    pub(crate) fn text(self) -> Result<String, Broken> {
        let finished = match self.0 {
            Ok(running) => running.finish(LISTING_LIMIT)?,
            Err(failure) => Err(failure),
        };
        let output = finished.map_err(|failure| cannot_list(&failure))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Lists the rules of legacy iptables.
pub(crate) fn list_legacy(into: &mut Listing) -> Result<(), Broken> {
    legacy::list(into, LISTING_LIMIT)?.map_err(|failure| cannot_list(&failure))
}

fn cannot_list(failure: &CommandFailure) -> Broken {
    let said = failure.stderr.trim();
    let why = if said.is_empty() {
        failure.to_string()
    } else {
        format!("{failure}: {said}")
    };
    Broken::new("list the loaded ruleset", why)
}
