//! foomuuri: a folder of zones and what may go between them, compiled and loaded by `foomuuri`.

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Command, CommandFailure};

use super::{
    CANDIDATE, Config, Dialect, Kind, Mapped, Need, PrepareError, Prepared, Refusal, Slot,
    compiled,
    stage::{Stage, folders},
};
use crate::ruleset::listing::Ruleset;
use crate::ruleset::origin::Origins;

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "foomuuri",
    doc: "The configuration under test: the folder that is `/etc/foomuuri` on the machine, relative to this file.",
    slots: &[Slot {
        name: "folder",
        what: "foomuuri folder",
        kind: Kind::Folder,
        need: Need::Required,
        doc: "Its `*.conf` files.",
    }],
    programs: &[("foomuuri", "foomuuri")],
    prepare,
    // Its rules are sorted, joined and thrown out before they are loaded.
    origins: |_, _: &Ruleset, _| {
        Origins::unknown("foomuuri does not say which line makes which rule")
    },
    explain,
};

/// Where its configuration is.
const FOLDER: &str = "/etc/foomuuri";

/// Where it keeps what it made; the package makes these folders.
const STATE: [&str; 2] = ["/var/lib/foomuuri", "/run/foomuuri"];

fn prepare(config: &Config, files: &[Mapped]) -> Result<Prepared, PrepareError> {
    let mut stage = Stage::default();
    stage.further(&[(FOLDER.into(), config.main())])?;
    stage.further(files)?;
    let mut replaced: Vec<PathBuf> = folders(files);
    replaced.push(FOLDER.into());
    replaced.extend(STATE.map(PathBuf::from));
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced,
        writable: Vec::new(),
        several_ids: false,
        folder: "/".into(),
        load: vec![Command {
            argv: vec!["foomuuri".to_owned(), "start".to_owned()],
            cwd: Path::new("/").into(),
            env: Vec::new(),
        }],
        compiled: Vec::new(),
    })
}

/// What foomuuri says, at the line of the user's file that it means: `Error: File FILE line N: MESSAGE`.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    let said = format!("{}\n{}", failure.stdout, failure.stderr);
    let (_, rest) = said.split_once("File ")?;
    let (place, message) = rest.split_once(": ")?;
    let (file, number) = place.rsplit_once(" line ")?;
    let line = compiled::user_line(prepared, file, number.parse().ok()?)?;
    let message = message.lines().next().unwrap_or_default();
    Some(Refusal::Input(line.with(message)))
}
