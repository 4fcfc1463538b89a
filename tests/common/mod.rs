//! What the integration tests share: folders of scenarios and rulesets, the real program with a
//! watchdog behind it, and its JSON report.

#![allow(dead_code, reason = "every test program uses a part of it")]

mod process;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;

use process::{Process, Stillness};

/// A program hangs if none of its processes has done anything for so long. How long it runs does not matter.
const STILL: Duration = Duration::from_secs(300);

/// Between two looks at what a program does.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A folder that vanishes after the test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder is writable");
        fs::write(&path, content).expect("the folder is writable");
        path
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// `firedrill` with these arguments, in this folder.
    pub fn firedrill(&self, arguments: &[&str]) -> Ended {
        let mut command = firedrill();
        command.args(arguments).current_dir(self.path());
        end(command)
    }

    /// The JSON report of `firedrill test` on everything in this folder.
    pub fn report(&self, arguments: &[&str]) -> Report {
        Report::of(self.firedrill(&[&["test", ".", "--report", "json"], arguments].concat()))
    }
}

/// The program under test, without the settings of whoever runs the tests.
pub fn firedrill() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end. One that hangs is killed, and its test fails.
#[track_caller]
pub fn end(mut command: Command) -> Ended {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (ended, watchdog) = mpsc::channel::<()>();
    let reader = |stream: Option<Box<dyn Read + Send>>| {
        let ended = ended.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                stream.read_to_end(&mut bytes).expect("a pipe is readable");
            }
            drop(ended);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = reader(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = reader(child.stderr.take().map(|stream| Box::new(stream) as _));
    drop(ended);
    // Nothing is ever sent: the channel closes when both streams have ended.
    let mut stillness = Stillness::new();
    let mut hangs = false;
    while !hangs && watchdog.recv_timeout(LOOK_AGAIN) == Err(mpsc::RecvTimeoutError::Timeout) {
        let mut processes = Process::below(child.id(), None);
        processes.extend(Process::read(format!("/proc/{}", child.id()).as_ref()));
        hangs = stillness.look(&processes) > STILL;
    }
    if hangs {
        child.kill().expect("a child can be killed");
    }
    let status = child.wait().expect("a child can be awaited");
    assert!(!hangs, "{command:?} has done nothing for {STILL:?}");
    Ended {
        code: status.code(),
        stdout: stdout.join().expect("the reader does not panic"),
        stderr: stderr.join().expect("the reader does not panic"),
    }
}

/// A JSON report, and how the program that wrote it ended.
#[derive(Debug)]
pub struct Report {
    pub code: Option<i32>,
    pub scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
struct Document {
    scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub error: Option<String>,
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub family: String,
    pub verdict: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub rule: Option<Rule>,
    pub kernel: Option<String>,
    pub arrival: Option<Arrival>,
    #[serde(default)]
    pub steps: Vec<Step>,
    pub sweep: Option<Sweep>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    pub step: String,
    pub verdict: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub sweep: Option<Sweep>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Sweep {
    pub swept: String,
    #[serde(default)]
    pub fresh_labs: usize,
    pub groups: Vec<Group>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub first: u16,
    pub last: u16,
    pub verdict: String,
    pub outcome: String,
    pub traced: u32,
    pub reason: Option<String>,
    pub rule: Option<Rule>,
    pub arrival: Option<Arrival>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rule {
    pub family: String,
    pub table: String,
    pub chain: String,
    pub handle: Option<u64>,
    pub text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Arrival {
    pub interface: Option<String>,
    pub source: String,
    pub destination: String,
}

impl Report {
    #[track_caller]
    pub fn of(ended: Ended) -> Self {
        let document: Document = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
            panic!("no JSON report ({error}) but exit code {ended:?}");
        });
        Self {
            code: ended.code,
            scenarios: document.scenarios,
        }
    }

    /// Every case. Where the lab itself does not work, the test fails and says what it needs.
    #[track_caller]
    pub fn cases(&self) -> Vec<&Case> {
        for scenario in &self.scenarios {
            if let Some(error) = &scenario.error {
                panic!(
                    "this test needs `nft` and unprivileged user namespaces, and a candidate that \
                     loads, but: {error}"
                );
            }
        }
        let cases: Vec<&Case> = self.scenarios.iter().flat_map(|one| &one.cases).collect();
        assert!(!cases.is_empty(), "a report without cases: {self:?}");
        cases
    }
}

/// A firewall between the `client` on eth0 and the `server` on eth1, and what is to be tested.
#[derive(Debug, Clone)]
pub struct Lab {
    candidate: String,
    file: String,
    firewall: String,
    hosts: String,
    tests: String,
}

impl Lab {
    pub fn new(candidate: &str) -> Self {
        Self {
            candidate: candidate.to_owned(),
            file: "candidate.nft".to_owned(),
            firewall: String::new(),
            hosts: String::new(),
            tests: String::new(),
        }
    }

    /// The name of the candidate's file.
    pub fn named(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }

    /// A further key of the firewall.
    pub fn firewall(mut self, line: &str) -> Self {
        self.firewall += &format!("  {line}\n");
        self
    }

    /// A further host.
    pub fn host(mut self, line: &str) -> Self {
        self.hosts += &format!("  {line}\n");
        self
    }

    /// A further test.
    pub fn test(mut self, line: &str) -> Self {
        self.tests += &format!("  - {line}\n");
        self
    }

    pub fn yaml(&self) -> String {
        let Self {
            file,
            firewall,
            hosts,
            tests,
            ..
        } = self;
        format!(
            "firewall:\n  nftables: {file}\n  interfaces:\n    \
             eth0: [192.0.2.1/24, \"2001:db8:1::1/64\"]\n    \
             eth1: [10.0.0.1/24, \"fd00:1::1/64\"]\n{firewall}\
             hosts:\n  \
             client: {{ behind: eth0, address: [198.51.100.7, \"2001:db8:ffff::7\"] }}\n  \
             server: {{ behind: eth1, address: [10.0.0.5, \"fd00:1::5\"] }}\n{hosts}\
             tests:\n{tests}"
        )
    }

    /// The scenario `lab.yaml` and its candidate in a folder.
    pub fn folder(&self) -> Folder {
        let folder = Folder::new();
        folder.write("lab.yaml", self.yaml());
        folder.write(&self.file, &self.candidate);
        folder
    }

    pub fn report(&self) -> Report {
        self.folder().report(&[])
    }
}
