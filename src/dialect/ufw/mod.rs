//! ufw: its files as they are in `/etc/ufw`, or the commands that people type, loaded by ufw itself.
//!
//! What a configuration leaves out is as on a fresh machine: the rules files of the installed ufw, and the
//! settings that it comes with.

mod attribute;
mod commands;
mod frame;

use std::path::{Path, PathBuf};

use firedrill_harness::protocol::{Bytes, Command, CommandFailure};

pub(super) use self::attribute::OWN;
use super::{
    CANDIDATE, Config, Dialect, Kind, Mapped, Need, PrepareError, Prepared, Refusal, Slot,
    iptables::line_number,
    stage::{Stage, Staged, folders, mapped_files},
};

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "ufw",
    doc: "A configuration of ufw: a folder with its files, or a map.",
    slots: &[
        Slot {
            name: "folder",
            what: "folder of ufw's files",
            kind: Kind::Folder,
            need: Need::Any,
            doc: "A folder like `/etc/ufw`, relative to this file, with `/etc/default/ufw` as `default/ufw`; what is not in it is as in a fresh ufw.",
        },
        Slot {
            name: "commands",
            what: "command",
            kind: Kind::Lines,
            need: Need::Any,
            doc: "What is typed behind `ufw`, in order: `allow 22/tcp`. Run on top of the folder if there is one.",
        },
        Slot {
            name: "backend",
            what: "back end",
            kind: Kind::Word(&["nft", "legacy"]),
            need: Need::Optional,
            doc: "Which iptables ufw runs: `nft` or `legacy`; the one that this machine's alternatives name when not given.",
        },
    ],
    programs: &[(INIT, "ufw")],
    prepare,
    origins: attribute::origins,
    explain,
};

/// Loads all files, as at boot. It does nothing as long as ufw is not enabled.
const INIT: &str = "/lib/ufw/ufw-init";

/// Where ufw has its files.
const ETC: &str = "/etc/ufw";

/// Where it has its settings: `default/ufw` of the user's folder.
const DEFAULT: &str = "/etc/default/ufw";

const CONF: &str = "/etc/ufw/ufw.conf";

/// The application profiles, which other packages bring: those of this machine unless the folder has some.
const PROFILES: &str = "/etc/ufw/applications.d";

/// Which iptables runs, on Debian (update-alternatives(1)).
const ALTERNATIVES: &str = "/etc/alternatives";

/// The files of rules by what stands before `.rules`, for IPv4, in the order of their loading.
const RULES: [&str; 3] = ["before", "after", "user"];

/// Where the package has the files of rules that it puts into `/etc/ufw` of a fresh machine.
const STOCK: &str = "/usr/share/ufw/iptables";

/// The path of a file of rules; `six` is "6" for those of IPv6.
fn rules(folder: &str, name: &str, six: &str) -> PathBuf {
    Path::new(folder).join(format!("{name}{six}.rules"))
}

fn prepare(config: &Config, files: &[Mapped]) -> Result<Prepared, PrepareError> {
    let mut stage = Stage::default();
    if let Some(folder) = config.path("folder") {
        for (inside, outside) in mapped_files(&[(ETC.into(), folder.to_owned())])? {
            let inside = match inside.ends_with("default/ufw") {
                true => DEFAULT.into(),
                false => inside,
            };
            stage.file(&inside, &outside)?;
        }
    }
    let is_staged = |stage: &Stage, path: &Path| find(&stage.files, path).is_some();
    for six in ["", "6"] {
        for name in RULES {
            let (inside, stock) = (rules(ETC, name, six), rules(STOCK, name, six));
            // Where ufw is not installed its loader will be missing too.
            if !is_staged(&stage, &inside) && stock.is_file() {
                stage.file(&inside, &stock)?;
            }
        }
    }
    let profiles = Path::new(PROFILES);
    let has_profiles = stage
        .files
        .iter()
        .any(|staged| staged.file.path.starts_with(profiles));
    if !has_profiles && profiles.is_dir() {
        stage.further(&[(profiles.into(), profiles.into())])?;
    }
    for (inside, text) in [
        (DEFAULT, include_str!("default")),
        (CONF, "ENABLED=yes\nLOGLEVEL=low\n"),
    ] {
        if !is_staged(&stage, Path::new(inside)) {
            let shown = format!("(ufw){inside}");
            stage.text(inside, Path::new(&shown), text);
        }
    }
    let lines = config.lines("commands");
    // While it is not enabled, commands only write files.
    let enabled = if lines.is_empty() { "yes" } else { "no" };
    let conf = stage
        .files
        .iter_mut()
        .find(|staged| staged.file.path == Path::new(CONF));
    if let Some(conf) = conf {
        conf.file.content = with_enabled(&conf.file.content, enabled);
    }
    stage.further(files)?;
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced: [vec![ETC.into()], folders(files)].concat(),
        writable: vec!["/etc/default".into(), ALTERNATIVES.into()],
        several_ids: false,
        compiled: match lines.is_empty() {
            true => Vec::new(),
            false => commands::LEAVES.map(PathBuf::from).to_vec(),
        },
        folder: "/".into(),
        load: load(lines, config.word("backend")),
    })
}

fn find<'a>(files: &'a [Staged], path: &Path) -> Option<&'a Staged> {
    files.iter().find(|staged| staged.file.path == path)
}

fn load(lines: &[String], backend: Option<&str>) -> Vec<Command> {
    let command = |argv: Vec<String>| Command {
        argv,
        cwd: "/".into(),
        env: Vec::new(),
    };
    let start = command(vec![INIT.to_owned(), "start".to_owned()]);
    // ufw runs what `/usr/sbin/iptables` and its like lead to.
    let choose = backend.map(|backend| {
        let link = "for name in iptables ip6tables iptables-restore ip6tables-restore; do\n    \
                    ln -sf \"/usr/sbin/${name%-restore}-$1${name#ip*tables}\" \"/etc/alternatives/$name\"\n\
                    done";
        command(["sh", "-c", link, "alternatives", backend].map(str::to_owned).to_vec())
    });
    if lines.is_empty() {
        return choose.into_iter().chain([start]).collect();
    }
    // First, quietly and in vain: so that it is a missing program where ufw is not installed.
    let is_there = command(["start", "quiet"].map(str::to_owned).to_vec());
    let is_there = command([vec![INIT.to_owned()], is_there.argv].concat());
    let mut load: Vec<Command> = choose.into_iter().collect();
    load.extend([is_there, command(commands::argv(0, ""))]);
    let numbered = (1..).zip(lines);
    load.extend(numbered.map(|(number, line)| command(commands::argv(number, line))));
    let enable = ["sed", "-i", "s/^ENABLED=.*/ENABLED=yes/", CONF];
    load.extend([command(enable.map(str::to_owned).to_vec()), start]);
    load
}

/// The text of `ufw.conf` with another answer to whether ufw is enabled; the last one counts.
fn with_enabled(conf: &Bytes, answer: &str) -> Bytes {
    let text = String::from_utf8_lossy(&conf.0);
    let others = text.lines().filter(|line| !line.starts_with("ENABLED="));
    let lines: Vec<&str> = others.collect();
    Bytes(format!("{}\nENABLED={answer}\n", lines.join("\n")).into_bytes())
}

/// What ufw says of a command or its loader of a file of rules, at the line that is meant.
fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    if let Some(number) = commands::number(&failure.argv) {
        return commands::explain(prepared, number, failure);
    }
    // Each file that does not load is named on standard output, in the order of their loaders' words on
    // standard error.
    let named = failure.stdout.lines().filter_map(|line| {
        let path = line.strip_prefix("Problem running '")?.strip_suffix('\'')?;
        find(&prepared.files, Path::new(path))
    });
    let named: Vec<&Staged> = named.collect();
    let said = said_of_lines(&failure.stderr);
    if said.is_empty() || said.len() != named.len() {
        let all = format!("{}{}", failure.stderr, failure.stdout);
        return Some(Refusal::Input(prepared.translate(&all)));
    }
    let told = named.iter().zip(said).map(|(staged, (number, words))| {
        let text = String::from_utf8_lossy(&staged.file.content.0);
        let line = number
            .checked_sub(1)
            .and_then(|index| text.lines().nth(index));
        let place = staged.shown.display();
        format!("{place}:{number}: {words}\n  {}", line.unwrap_or("").trim())
    });
    Some(Refusal::Input(told.collect::<Vec<_>>().join("\n")))
}

/// What several runs of a loader said, each up to the line that it means.
fn said_of_lines(stderr: &str) -> Vec<(usize, String)> {
    let mut said = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for line in stderr.lines() {
        if line.is_empty() || line.starts_with("Try `") {
            continue;
        }
        let about = match line.starts_with("Error occurred at line") {
            true => line_number(line),
            false => {
                words.push(line);
                line_number(line).filter(|_| line.contains(" failed"))
            }
        };
        if let Some(number) = about {
            said.push((number, words.join("\n")));
            words.clear();
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loaders_say_is_cut_up_at_the_lines_they_mean() {
        let stderr = "iptables-restore v1.8.9 (nf_tables): unknown option \"--dprt\"\n\
            Error occurred at line: 20\n\
            Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n\
            ip6tables-restore: line 5 failed: No chain/target/match by that name.\n\
            ip6tables-restore v1.8.9 (nf_tables): Couldn't load match `foo':No such file or directory\n\
            \n\
            Error occurred at line: 4\n";
        let lines: Vec<usize> = said_of_lines(stderr)
            .iter()
            .map(|(line, _)| *line)
            .collect();
        assert_eq!(lines, [20, 5, 4]);
    }

    #[test]
    fn a_configuration_is_loaded_whether_it_is_enabled_or_not() {
        let conf = Bytes(b"# x\nENABLED=no\nLOGLEVEL=low\n".to_vec());
        let text = with_enabled(&conf, "yes");
        assert_eq!(text.0, b"# x\nLOGLEVEL=low\nENABLED=yes\n");
    }
}
