//! A script: any executable that sets the firewall up.

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Command, CommandFailure};

use super::{
    CANDIDATE, Config, Dialect, Kind, Need, PrepareError, Prepared, Refusal, Slot,
    stage::{Stage, absolute, folders, problem},
};
use crate::ruleset::listing::Ruleset;
use crate::ruleset::origin::Origins;

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "script",
    doc: "An executable that sets the firewall up: a file, or a map.",
    slots: &[
        Slot {
            name: "run",
            what: "script",
            kind: Kind::File,
            need: Need::Required,
            doc: "The executable, relative to this file; it is run in its own folder.",
        },
        Slot {
            name: "arguments",
            what: "argument",
            kind: Kind::Lines,
            need: Need::Optional,
            doc: "What it is given on its command line.",
        },
    ],
    programs: &[],
    prepare,
    origins: |_, _: &Ruleset, _| Origins::unknown("a script made it"),
    explain,
};

fn prepare(config: &Config, files: &[(PathBuf, PathBuf)]) -> Result<Prepared, PrepareError> {
    let path = config.main();
    let inside = absolute(&path).map_err(|error| problem(&path, &error))?;
    let mut stage = Stage::default();
    stage.file(&inside, &path)?;
    for staged in &mut stage.files {
        staged.file.mode |= 0o111;
    }
    stage.further(files)?;
    let folder = inside.parent().unwrap_or(Path::new("/")).to_owned();
    let program = inside.to_string_lossy().into_owned();
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced: folders(files),
        // Scripts keep what they load in folders of the system's.
        writable: vec!["/etc".into()],
        several_ids: false,
        load: vec![Command {
            argv: [vec![program], config.lines("arguments").to_vec()].concat(),
            cwd: folder.clone(),
            env: Vec::new(),
        }],
        folder,
        compiled: Vec::new(),
    })
}

/// Everything that a script printed, with what the system says of one that cannot be run.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    if failure.missing {
        // The file itself was staged, so it is what its first line names.
        return Some(Refusal::Input(
            "the interpreter in its first line (`#!`) is not on this machine".to_owned(),
        ));
    }
    let printed = format!("{}{}", failure.stdout, failure.stderr);
    Some(Refusal::Input(prepared.translate(&printed)))
}
