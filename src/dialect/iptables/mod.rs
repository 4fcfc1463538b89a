//! iptables and ip6tables: files of `iptables-save`, loaded by the `-restore` of either back end, with
//! the ipsets that they name.

pub(super) mod attribute;
pub(super) mod source;

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Command, CommandFailure};

use super::{
    CANDIDATE, Config, Dialect, Kind, Need, PrepareError, Prepared, Refusal, Slot,
    stage::{Stage, Staged, folders},
};
use crate::ruleset::legacy::{target, words};

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "iptables",
    doc: "The rules under test, in the format of `iptables-save`: a file of IPv4 rules, or a map.",
    slots: &[
        Slot {
            name: "v4",
            what: "rules file",
            kind: Kind::File,
            need: Need::Any,
            doc: "The IPv4 rules, a file of `iptables-save`, relative to this file.",
        },
        Slot {
            name: "v6",
            what: "rules file",
            kind: Kind::File,
            need: Need::Any,
            doc: "The IPv6 rules, a file of `ip6tables-save`.",
        },
        Slot {
            name: "ipset",
            what: "ipset file",
            kind: Kind::File,
            need: Need::Optional,
            doc: "The ipsets that the rules name, a file of `ipset save`; loaded first.",
        },
        Slot {
            name: "backend",
            what: "back end",
            kind: Kind::Word(&["nft", "legacy"]),
            need: Need::Optional,
            doc: "Which iptables loads the rules: `nft` (when not given) or `legacy`.",
        },
        Slot {
            name: "noflush",
            what: "answer",
            kind: Kind::Word(&["true", "false"]),
            need: Need::Optional,
            doc: "Whether the rules are added to those of the layers before, as `iptables-restore --noflush` does; false when not given.",
        },
    ],
    programs: &[
        ("iptables-nft-restore", "iptables"),
        ("ip6tables-nft-restore", "iptables"),
        ("iptables-legacy-restore", "iptables"),
        ("ip6tables-legacy-restore", "iptables"),
        ("ipset", "ipset"),
    ],
    prepare,
    origins: |prepared, ruleset, _| attribute::origins(prepared, ruleset),
    explain,
};

/// A file of the configuration.
struct Part {
    /// Its slot.
    slot: &'static str,
    /// Where it is in the sandbox: where Debian's iptables-persistent has it.
    inside: &'static str,
    /// The family of its tables, as the listing names it; none for ipsets.
    family: Option<&'static str>,
}

/// The tables of iptables(8).
const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// Where IPv4 rules are in the sandbox.
pub(super) const RULES_V4: &str = "/etc/iptables/rules.v4";

/// In the order of loading.
const PARTS: [Part; 3] = [
    Part {
        slot: "ipset",
        inside: "/etc/iptables/ipsets",
        family: None,
    },
    Part {
        slot: "v4",
        inside: RULES_V4,
        family: Some("ip"),
    },
    Part {
        slot: "v6",
        inside: "/etc/iptables/rules.v6",
        family: Some("ip6"),
    },
];

/// Whether the rules go to the tables of legacy iptables.
fn is_legacy(config: &Config) -> bool {
    config.word("backend") == Some("legacy")
}

/// Whether the rules of earlier layers stay.
fn is_noflush(config: &Config) -> bool {
    config.word("noflush") == Some("true")
}

fn prepare(config: &Config, files: &[(PathBuf, PathBuf)]) -> Result<Prepared, PrepareError> {
    let mut stage = Stage::default();
    for part in &PARTS {
        if let Some(path) = config.path(part.slot) {
            stage.file(Path::new(part.inside), path)?;
        }
    }
    let prepared = from_files(config, &stage.files);
    stage.further(files)?;
    Ok(Prepared {
        files: stage.files,
        replaced: folders(files),
        ..prepared
    })
}

/// A layer of files that are staged where [`PARTS`] says.
pub(super) fn from_files(config: &Config, files: &[Staged]) -> Prepared {
    let backend = config.word("backend").unwrap_or("nft");
    let mut load = Vec::new();
    for part in &PARTS {
        if !files
            .iter()
            .any(|staged| staged.file.path.as_os_str() == part.inside)
        {
            continue;
        }
        let mut argv = match part.family {
            None => vec!["ipset".to_owned(), "restore".to_owned(), "-file".to_owned()],
            Some(family) => vec![format!("{family}tables-{backend}-restore")],
        };
        if part.family.is_some() && is_noflush(config) {
            argv.push("--noflush".to_owned());
        }
        argv.push(part.inside.to_owned());
        load.push(Command {
            argv,
            cwd: "/".into(),
            env: Vec::new(),
        });
    }
    Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: files.to_vec(),
        replaced: Vec::new(),
        writable: Vec::new(),
        several_ids: false,
        folder: "/".into(),
        load,
        compiled: Vec::new(),
    }
}

/// What a loader says, at the line of the user's file that it means.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    let said = failure.stderr.trim();
    if let Some(refusal) = no_legacy_tables(prepared, said) {
        return Some(refusal);
    }
    let file = failure.argv.last()?;
    let staged = prepared
        .files
        .iter()
        .find(|staged| staged.file.path == Path::new(file))?;
    let text = String::from_utf8_lossy(&staged.file.content.0);
    let number = line_number(said)?;
    let number = named_line(&text, number, said).unwrap_or(number);
    // Behind the last line something may be missing.
    let line = text.lines().nth(number.checked_sub(1)?).unwrap_or_default();
    let place = format!("{}:{number}", staged.shown.display());
    // The program says where its own help is, and its own name, which is said already.
    let words = said.lines().filter(|line| {
        !line.trim().is_empty()
            && !line.starts_with("Error occurred at line")
            && !line.starts_with("Try `")
    });
    let mut words: Vec<&str> = words
        .map(|line| {
            line.split_once("): ")
                .map_or(line, |(_, words)| words)
                .trim()
        })
        .filter(|line| !line.is_empty())
        .collect();
    if is_legacy(&prepared.config) && line.trim() == "COMMIT" {
        // x_tables takes a table as a whole, and has one error for all of it.
        words.push(
            "the kernel refuses a rule of this table and does not say which: an extension that it \
             lacks, or one that may not stand in its chain (`backend: nft` may name the line)",
        );
    }
    Some(Refusal::Input(format!(
        "{place}: {}\n  {}",
        words.join("\n"),
        line.trim()
    )))
}

/// Of a complaint about the end of a table that names a chain: the first rule of that table that leads
/// there.
fn named_line(text: &str, end: usize, said: &str) -> Option<usize> {
    let name = said.split('\'').nth(1)?;
    let lines: Vec<&str> = text.lines().take(end).collect();
    let before = lines
        .split_last()
        .filter(|(last, _)| last.trim() == "COMMIT")?
        .1;
    let start = before.iter().rposition(|line| line.starts_with('*'))?;
    let leads = |line: &&str| target(&words(line)).is_some_and(|(_, chain)| chain == name);
    let offset = before[start..].iter().position(leads)?;
    Some(start + offset + 1)
}

/// The machine's kernel is at fault if legacy iptables does not even begin.
pub(super) fn no_legacy_tables(prepared: &Prepared, said: &str) -> Option<Refusal> {
    // What is said of ENOENT (libiptc/libiptc.c, `TC_STRERROR`; iptables/iptables-restore.c). A table that
    // no kernel has is a mistake like others.
    let lacks =
        said.contains("do you need to insmod?") || said.contains("unable to initialize table");
    let named = |table: &&str| said.contains(&format!("{table}'"));
    (lacks && TABLES.iter().any(named)).then(|| {
        Refusal::Lab(format!(
            "could not load {}: this kernel has no legacy tables\n{said}\n\
             (load them as root, `modprobe ip_tables iptable_filter ip6_tables ip6table_filter`, or \
             use a configuration for the nft back end)",
            prepared.title()
        ))
    })
}

/// The line that a loader complains of: `Error occurred at line: 3`, `line 3 failed`, `Error in line 3:`.
pub(super) fn line_number(said: &str) -> Option<usize> {
    said.match_indices("line").find_map(|(at, word)| {
        let rest = said[at + word.len()..].trim_start_matches(':');
        let rest = rest.strip_prefix(' ')?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a loader's failure on these rules.
    fn told(rules: &str, backend: &str, said: &str) -> Option<Refusal> {
        let mut config = Config::of(&DIALECT, "fw/rules.v4");
        config.set("backend", vec![backend.to_owned()]);
        let mut stage = Stage::default();
        stage.text(RULES_V4, Path::new("fw/rules.v4"), rules);
        let failure = CommandFailure {
            candidate: 0,
            layer: 0,
            argv: vec!["iptables-restore".to_owned(), RULES_V4.to_owned()],
            status: "exit status 1".to_owned(),
            missing: false,
            stdout: String::new(),
            stderr: said.to_owned(),
        };
        explain(&from_files(&config, &stage.files), &failure)
    }

    #[test]
    fn a_kernel_without_legacy_tables_is_not_the_candidate_s_fault() {
        let said = "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'filter'\n\n\
                    Error occurred at line: 1\n";
        let other = "iptables v1.8.9 (legacy): can't initialize iptables table `filter': Table does not exist \
                     (do you need to insmod?)\nPerhaps iptables or your kernel needs to be upgraded.\n";
        for said in [said, other] {
            let told = told("*filter\nCOMMIT\n", "legacy", said);
            assert!(
                matches!(&told, Some(Refusal::Lab(why)) if why.contains("no legacy tables")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_chain_that_is_missing_is_shown_where_it_is_called() {
        let rules = "*nat\n-A OUTPUT -j web\nCOMMIT\n*filter\n-A INPUT -j ACCEPT\n-A INPUT -g web\nCOMMIT\n";
        let said = "iptables-nft-restore v1.8.9 (nf_tables): Chain 'web' does not exist\nError occurred at line: 7\n";
        let expected = "fw/rules.v4:6: Chain 'web' does not exist\n  -A INPUT -g web";
        assert_eq!(
            told(rules, "nft", said),
            Some(Refusal::Input(expected.to_owned()))
        );
    }

    #[test]
    fn loaders_say_in_different_words_which_line_they_mean() {
        let said = "iptables-restore v1.8.9 (legacy): unknown option \"--dprt\"\nError occurred at line: 3\n";
        assert_eq!(line_number(said), Some(3));
        assert_eq!(line_number("iptables-restore: line 12 failed"), Some(12));
        let said = "ipset v7.17: Error in line 2: Syntax error";
        assert_eq!(line_number(said), Some(2));
        assert_eq!(line_number("the whole line is wrong"), None);
    }
}
