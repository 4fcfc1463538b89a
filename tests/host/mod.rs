//! Runs the real program as somebody, and looks at the machine around it.
//!
//! As root, every test runs twice: as root and as nobody, who has no privilege at all. As an ordinary
//! user it runs as that user. A tool that is missing fails the test; nothing is skipped.
#![allow(
    dead_code,
    reason = "each test binary that includes this uses its own part"
)]

pub mod crime;
#[path = "../common/process.rs"]
mod process;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::geteuid;
use tempfile::TempDir;

/// The overflow id, which owns nothing (`/proc/sys/kernel/overflowuid`).
const NOBODY: &str = "65534";

/// Who runs firedrill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Whoever runs the tests.
    Myself,
    /// Nobody, with no groups and no capabilities.
    Nobody,
}

/// Everybody as whom the tests can run firedrill here.
pub fn identities() -> Vec<Identity> {
    if geteuid().is_root() {
        vec![Identity::Myself, Identity::Nobody]
    } else {
        vec![Identity::Myself]
    }
}

/// A folder that everybody may enter, with the program, the shipped scenarios and a canary in it.
pub struct Stage {
    folder: TempDir,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("firedrill-test-")
            // Not below a home that others may not enter, and not in /tmp, which tests cover.
            .tempdir_in("/var/tmp")
            .expect("a folder in /var/tmp");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::copy(
            env!("CARGO_BIN_EXE_firedrill"),
            folder.path().join("firedrill"),
        )
        .expect("copy");
        copy_folder(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"),
            &folder.path().join("scenarios"),
        );
        fs::write(folder.path().join("canary"), "sings\n").expect("a canary");
        Self { folder }
    }

    /// Gives everything to nobody: whoever runs firedrill usually owns the program and the scenarios,
    /// and a sandbox must keep them from harm all the same.
    pub fn owned_by(self, identity: Identity) -> Self {
        if identity == Identity::Nobody {
            let owner = format!("{NOBODY}:{NOBODY}");
            let chown = Command::new("chown")
                .arg("-R")
                .arg(owner)
                .arg(self.path())
                .status();
            assert!(chown.expect("chown is there").success());
        }
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn program(&self) -> PathBuf {
        self.path().join("firedrill")
    }

    pub fn scenario(&self) -> PathBuf {
        self.path().join("scenarios/outage/app-server.yaml")
    }

    /// The command line that runs firedrill as this identity, with empty standard input.
    pub fn command(&self, identity: Identity) -> Command {
        let mut command = as_identity(identity, &self.program());
        command.stdin(Stdio::null()).current_dir(self.path());
        command
    }

    /// Runs a script of the shell in the lab.
    pub fn inside(&self, identity: Identity, script: &str) -> Output {
        self.command(identity)
            .arg("shell")
            .arg(self.scenario())
            .args(["--", "sh", "-c", script])
            .output()
            .expect("firedrill starts")
    }
}

/// The command line that runs a program as this identity.
pub fn as_identity(identity: Identity, program: &Path) -> Command {
    match identity {
        Identity::Myself => Command::new(program),
        Identity::Nobody => {
            need("setpriv");
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
                .args(["--inh-caps=-all", "--bounding-set=-all"])
                .arg(program);
            command
        }
    }
}

/// Fails loudly when a tool that a test needs is missing.
pub fn need(tool: &str) {
    let found = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .any(|folder| Path::new(folder).join(tool).exists());
    assert!(
        found,
        "this test needs the program `{tool}`, which is not installed"
    );
}

/// What a program printed, both streams.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            fs::copy(source, target).expect("copy");
        }
    }
}

/// Everything about the machine that a run must not change, by name.
#[derive(Debug)]
pub struct Snapshot(BTreeMap<String, String>);

/// Counters and the like, which change by themselves: the ends of their names below `/proc/sys`.
const RESTLESS: &[&str] = &[
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/syncs",
    "kernel/ns_last_pid",
    "kernel/perf_event_max_sample_rate",
    "kernel/pty/nr",
    "kernel/random/boot_id",
    "kernel/random/entropy_avail",
    "kernel/random/uuid",
    "net/netfilter/nf_conntrack_count",
];

impl Snapshot {
    /// Looks at the machine and at the files of a stage.
    pub fn take(stage: &Stage) -> Self {
        let mut facts = BTreeMap::new();
        for arguments in [
            &["-o", "link", "show"][..],
            &["-4", "route", "show", "table", "all"],
            &["-4", "rule", "show"],
            &["-6", "rule", "show"],
        ] {
            facts.insert(format!("ip {}", arguments.join(" ")), said("ip", arguments));
        }
        // Their life times tick.
        for arguments in [
            &["-o", "addr", "show"][..],
            &["-6", "route", "show", "table", "all"],
        ] {
            let text = said("ip", arguments);
            let lines = text.lines().map(|line| {
                let end = line.find(" valid_lft").or(line.find(" expires"));
                &line[..end.unwrap_or(line.len())]
            });
            let facts_of = lines.collect::<Vec<_>>().join("\n");
            facts.insert(format!("ip {}", arguments.join(" ")), facts_of);
        }
        if geteuid().is_root() {
            // Without the counters.
            let ruleset = said("nft", &["-s", "list", "ruleset"]);
            facts.insert("nft list ruleset".to_owned(), ruleset);
        }
        for file in ["/proc/self/mountinfo", "/proc/self/cgroup"] {
            facts.insert(file.to_owned(), fs::read_to_string(file).expect("readable"));
        }
        for folder in [
            "/proc/sys/net",
            "/proc/sys/kernel",
            "/proc/sys/vm",
            "/proc/sys/fs",
        ] {
            settings(Path::new(folder), &mut facts);
        }
        for folder in ["/", "/dev", "/run", "/usr", "/usr/bin", "/usr/sbin", "/opt"] {
            names(Path::new(folder), &mut facts);
        }
        for file in [
            "/dev/null",
            "/dev/zero",
            "/dev/full",
            "/dev/tty",
            "/dev/urandom",
        ] {
            facts.insert(file.to_owned(), look(Path::new(file)));
        }
        files(Path::new("/etc"), false, &mut facts);
        files(stage.path(), true, &mut facts);
        assert!(
            facts.len() > 500,
            "a snapshot of next to nothing proves nothing"
        );
        Self(facts)
    }

    /// Fails with what has changed since. What others on this machine change for a moment is given
    /// time to change back; nobody would do that for a sandbox.
    pub fn assert_unchanged(&self, stage: &Stage, after: &str) {
        let started = Instant::now();
        loop {
            let changes = self.changes(&Self::take(stage));
            if changes.is_empty() {
                return;
            }
            assert!(
                started.elapsed() < OTHERS,
                "{after} changed the machine:\n{}",
                changes.join("\n")
            );
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn changes(&self, now: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        names
            .into_iter()
            .filter(|name| self.0.get(*name) != now.0.get(*name))
            .map(|name| {
                let (before, after) = (self.0.get(name), now.0.get(name));
                format!("{name}\n  was {before:?}\n  is  {after:?}")
            })
            .collect()
    }
}

/// How long others may change the machine while it is looked at.
const OTHERS: Duration = Duration::from_secs(5);

/// Between two looks at the machine.
pub const LOOK_AGAIN: Duration = Duration::from_millis(5);

fn said(program: &str, arguments: &[&str]) -> String {
    need(program);
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("it is there");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        text(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn settings(folder: &Path, facts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            settings(&path, facts);
        } else if !RESTLESS.iter().any(|restless| path.ends_with(restless)) {
            // Some can only be written.
            if let Ok(value) = fs::read(&path) {
                let value = String::from_utf8_lossy(&value).into_owned();
                facts.insert(path.display().to_string(), value);
            }
        }
    }
}

fn names(folder: &Path, facts: &mut BTreeMap<String, String>) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    facts.insert(format!("names in {}", folder.display()), names.join(" "));
}

/// Everything the file system says of a file but when it was read.
fn look(path: &Path) -> String {
    fs::symlink_metadata(path).map_or_else(
        |error| error.to_string(),
        |it| {
            let changed = (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
            let owner = (it.uid(), it.gid());
            format!(
                "{:o} {owner:?} {} {} {changed:?}",
                it.mode(),
                it.ino(),
                it.len()
            )
        },
    )
}

fn files(folder: &Path, contents: bool, facts: &mut BTreeMap<String, String>) {
    facts.insert(folder.display().to_string(), look(folder));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, contents, facts);
            continue;
        }
        facts.insert(path.display().to_string(), look(&path));
        // Of larger ones the time of the last change, which nobody can forge, says enough.
        if contents && entry.metadata().is_ok_and(|it| it.len() < 1 << 20) {
            let bytes = fs::read(&path).expect("a file of the stage");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            facts.insert(format!("bytes of {}", path.display()), text);
        }
    }
}
