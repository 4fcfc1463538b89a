//! Shorewall and Shorewall6: a folder of tables, compiled and started by `shorewall`.

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Command, CommandFailure};

use super::{
    CANDIDATE, Config, Dialect, Kind, Mapped, Need, PrepareError, Prepared, Refusal, Slot,
    compiled::{self, Annotated, Compiled},
    iptables,
    stage::{Stage, folders},
};
use crate::ruleset::origin::Origins;
use crate::ruleset::{
    legacy::{target, words},
    listing::Ruleset,
};

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "shorewall",
    doc: "The configuration under test, as for Shorewall: a folder for IPv4, or a map.",
    slots: &[
        Slot {
            name: "v4",
            what: "Shorewall folder",
            kind: Kind::Folder,
            need: Need::Any,
            doc: "The folder that is `/etc/shorewall` on the machine, relative to this file.",
        },
        Slot {
            name: "v6",
            what: "Shorewall6 folder",
            kind: Kind::Folder,
            need: Need::Any,
            doc: "The folder that is `/etc/shorewall6` on the machine.",
        },
    ],
    programs: &[("shorewall", "shorewall"), ("shorewall6", "shorewall6")],
    prepare,
    origins,
    explain,
};

/// One of the two.
struct Half {
    /// Its slot.
    slot: &'static str,
    /// The program, and the name of its folders and of its main file.
    program: &'static str,
    /// The family of its tables.
    family: &'static str,
    /// What it hands to iptables-restore.
    compiled: &'static str,
    /// What to call that.
    name: &'static str,
}

const HALVES: [Half; 2] = [
    Half {
        slot: "v4",
        program: "shorewall",
        family: "ip",
        compiled: "/var/lib/shorewall/.iptables-restore-input",
        name: "what shorewall compiled",
    },
    Half {
        slot: "v6",
        program: "shorewall6",
        family: "ip6",
        compiled: "/var/lib/shorewall6/.ip6tables-restore-input",
        name: "what shorewall6 compiled",
    },
];

/// What makes the compiler name the caller of a macro.
const MODULE: (&str, &str) = (
    "/run/shorewall-lines/ShorewallLines.pm",
    include_str!("ShorewallLines.pm"),
);

impl Half {
    fn of(config: &Config) -> impl Iterator<Item = (&'static Self, &Path)> {
        HALVES
            .iter()
            .filter_map(|half| Some((half, config.path(half.slot)?)))
    }

    fn folder(&self) -> PathBuf {
        Path::new("/etc").join(self.program)
    }
}

fn prepare(config: &Config, files: &[Mapped]) -> Result<Prepared, PrepareError> {
    let mut stage = Stage::default();
    let mut replaced = folders(files);
    let mut load = Vec::new();
    let mut compiled = Vec::new();
    for (half, folder) in Half::of(config) {
        stage.further(&[(half.folder(), folder.to_owned())])?;
        replaced.push(half.folder());
        replaced.push(Path::new("/var/lib").join(half.program));
        compiled.push(half.compiled.into());
        load.push(Command {
            argv: [half.program, "-qq", "start"].map(str::to_owned).to_vec(),
            cwd: "/".into(),
            env: vec![(
                "PERL5OPT".to_owned(),
                "-I/run/shorewall-lines -MShorewallLines".to_owned(),
            )],
        });
    }
    stage.further(files)?;
    for staged in &mut stage.files {
        let main = HALVES
            .iter()
            .any(|half| staged.file.path == half.folder().join(format!("{}.conf", half.program)));
        if main {
            track(&mut staged.file.content.0);
        }
    }
    stage.text(
        MODULE.0,
        Path::new("(firedrill)/ShorewallLines.pm"),
        MODULE.1,
    );
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced,
        writable: Vec::new(),
        several_ids: false,
        folder: "/".into(),
        load,
        compiled,
    })
}

/// Asks for comments in the compiled text, which change no rule; unless there are to be comments in the
/// rules themselves.
fn track(conf: &mut Vec<u8>) {
    if setting(&String::from_utf8_lossy(conf), "TRACK_RULES").as_deref() != Some("yes") {
        conf.extend_from_slice(b"\nTRACK_RULES=File\n");
    }
}

/// What a main file sets last, in small letters, without quotes.
fn setting(conf: &str, name: &str) -> Option<String> {
    let mut lines = conf.lines().rev();
    let value = lines.find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    let value = value.split('#').next().unwrap_or_default();
    Some(value.trim().trim_matches(['"', '\'']).to_lowercase())
}

fn origins(prepared: &Prepared, ruleset: &Ruleset, compiled: &[String]) -> Origins {
    for staged in &prepared.files {
        let conf = staged
            .file
            .path
            .extension()
            .is_some_and(|end| end == "conf");
        let text = String::from_utf8_lossy(&staged.file.content.0);
        if conf && setting(&text, "RENAME_COMBINED").as_deref() == Some("no") {
            return Origins::unknown(
                "with RENAME_COMBINED=No, Shorewall does not say which chains it made one of several",
            );
        }
    }
    let texts: Vec<Compiled<'_>> = Half::of(&prepared.config)
        .zip(compiled)
        .map(|((half, _), text)| Compiled {
            family: half.family,
            name: half.name,
            text,
        })
        .collect();
    compiled::origins(prepared, ruleset, &texts, doubt)
}

/// Where Shorewall names a line that is near, and not the one that decides.
fn doubt(annotated: Annotated<'_>) -> Option<&'static str> {
    let words = words(annotated.line);
    let chain = words.get(1).map_or("", String::as_str);
    if ["~comb", "~blacklist"]
        .iter()
        .any(|made| chain.starts_with(made))
    {
        return Some("Shorewall made its chain of several alike");
    }
    let (_, target) = target(&words)?;
    let decides = ["ACCEPT", "DROP", "REJECT", "reject", "RETURN"].contains(&target);
    let conditions = ["-m", "-p", "-s", "-d", "!", "--ctstate"];
    let conditional = words.iter().any(|word| conditions.contains(&&**word));
    match annotated.file.file_name()?.to_str()? {
        "interfaces" | "hosts" | "zones" if decides => {
            Some("Shorewall names the line of its interface, and not the one that decides")
        }
        // What has no line of its own gets that of its chain's policy.
        "policy" if conditional => {
            Some("Shorewall names the policy of its chain, and not the line that decides")
        }
        _ => None,
    }
}

/// What the compiler says, at the line of the user's file that it means.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    let said = format!("{}\n{}", failure.stdout, failure.stderr);
    if let Some(refusal) = iptables::no_legacy_tables(prepared, said.trim()) {
        return Some(refusal);
    }
    let (_, error) = said.split_once("ERROR: ")?;
    let error = error.split("\n\n").next().unwrap_or(error).trim();
    // `MESSAGE FILE (line N)`, and from where that was called, in lines of their own.
    let named = error.lines().find_map(|line| {
        let (before, rest) = line.rsplit_once(" (line ")?;
        let file = before.split_whitespace().next_back()?;
        let number = rest.strip_suffix(')')?.parse().ok()?;
        let line = compiled::user_line(prepared, file, number)?;
        Some((line, before.strip_suffix(file)?.trim().to_owned()))
    });
    Some(Refusal::Input(match named {
        Some((line, message)) if error.lines().count() == 1 => line.with(&message),
        Some((line, _)) => line.with(&prepared.translate(error)),
        None => prepared.translate(error),
    }))
}
