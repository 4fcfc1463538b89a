//! ferm: a configuration in its own language, compiled and loaded by `ferm`.

mod include;

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Command, CommandFailure};

use super::{
    CANDIDATE, Config, Dialect, Kind, Need, PrepareError, Prepared, Refusal, Slot,
    compiled::{self, Compiled},
    iptables,
    stage::{Stage, folders},
};
use crate::ruleset::listing::Ruleset;
use crate::ruleset::origin::Origins;

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "ferm",
    doc: "The configuration under test: a file for `ferm`, relative to this file.",
    slots: &[Slot {
        name: "config",
        what: "ferm configuration",
        kind: Kind::File,
        need: Need::Required,
        doc: "The main file, which is `/etc/ferm/ferm.conf` in the sandbox.",
    }],
    programs: &[("ferm", "ferm")],
    prepare,
    origins,
    explain,
};

/// Where Debian has its configuration; includes are looked for from here.
const FOLDER: &str = "/etc/ferm";

/// Where the copies of what ferm compiles are, by family; the module knows it too.
const COMPILED: [(&str, &str); 2] = [("ip", "/run/ferm-lines/ip"), ("ip6", "/run/ferm-lines/ip6")];

/// What makes ferm say which line is which.
const MODULE: (&str, &str) = ("/run/ferm-lines/FermLines.pm", include_str!("FermLines.pm"));

fn prepare(config: &Config, files: &[(PathBuf, PathBuf)]) -> Result<Prepared, PrepareError> {
    let main = Path::new(FOLDER).join("ferm.conf");
    let mut stage = Stage::default();
    include::stage(&mut stage, &main, &config.main(), files)?;
    stage.further(files)?;
    stage.text(MODULE.0, Path::new("(firedrill)/FermLines.pm"), MODULE.1);
    let mut replaced = folders(files);
    // Debian lets nobody but root and adm read it, and the sandbox's root is neither.
    replaced.insert(0, FOLDER.into());
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced,
        writable: Vec::new(),
        several_ids: false,
        folder: FOLDER.into(),
        load: vec![Command {
            argv: vec!["ferm".to_owned(), main.to_string_lossy().into_owned()],
            cwd: FOLDER.into(),
            env: vec![(
                "PERL5OPT".to_owned(),
                "-I/run/ferm-lines -MFermLines".to_owned(),
            )],
        }],
        compiled: COMPILED.iter().map(|(_, path)| path.into()).collect(),
    })
}

fn origins(prepared: &Prepared, ruleset: &Ruleset, compiled: &[String]) -> Origins {
    let texts: Vec<Compiled<'_>> = COMPILED
        .iter()
        .zip(compiled)
        .map(|((family, _), text)| Compiled {
            family,
            name: "what ferm compiled",
            text,
        })
        .collect();
    compiled::origins(prepared, ruleset, &texts, |_| None)
}

/// What ferm says, at the line of the user's file that it means; and what iptables-restore says of a line
/// of the compiled text, at the line that it was made of.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    let said = failure.stderr.trim();
    if let Some(refusal) = iptables::no_legacy_tables(prepared, said) {
        return Some(refusal);
    }
    // ferm's `error`: `Error in FILE line N:`, an excerpt that ends with `<--`, and the message.
    if let Some((_, rest)) = said.split_once("Error in ")
        && let Some((place, rest)) = rest.split_once(":\n")
        && let Some((file, number)) = place.rsplit_once(" line ")
    {
        let message = rest
            .split_once("<--\n")
            .map_or(rest, |(_, message)| message);
        let line = compiled::user_line(prepared, file, number.parse().ok()?)?;
        return Some(Refusal::Input(line.with(message.trim())));
    }
    // On standard output is what FermLines.pm saw being refused: the place of each line, a tabulator, and
    // the line.
    let number = iptables::line_number(said)?;
    let (place, made) = failure
        .stdout
        .lines()
        .nth(number.checked_sub(1)?)?
        .split_once('\t')?;
    let words = said.lines().filter(|line| {
        !line.is_empty()
            && !line.starts_with("Error occurred at line")
            && !line.starts_with("Try `")
            && !line.starts_with("Failed to run")
            && !line.starts_with("Firewall rules rolled back")
    });
    let words: Vec<&str> = words.collect();
    let words = format!("{}\n  (ferm makes of it: {made})", words.join("\n"));
    let line = place
        .rsplit_once(':')
        .and_then(|(file, number)| compiled::user_line(prepared, file, number.parse().ok()?));
    Some(Refusal::Input(line.map_or_else(
        || prepared.translate(&words),
        |line| line.with(&words),
    )))
}
