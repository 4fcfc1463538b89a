//! Dialects on the real kernel: what loads, what is refused and how, and which line of whose file
//! decides. Every expectation of a line is counted in the text that the test writes.

#[path = "../common/mod.rs"]
mod common;

mod firewalld;
mod iptables;
mod large;
mod layers;
mod lines;
mod messages;
mod script;
mod shipped;
mod skips;
mod ufw;
mod wild;

use common::{Ended, Folder, end, firedrill};
use serde_json::Value;

/// A firewall between the `client` on eth0 and the `server` on eth1.
const WORLD: &str = r#"
  interfaces:
    eth0: [192.0.2.1/24, "2001:db8:1::1/64"]
    eth1: [10.0.0.1/24, "fd00:1::1/64"]
hosts:
  client: { behind: eth0, address: [198.51.100.7, "2001:db8:ffff::7"] }
  server: { behind: eth1, address: [10.0.0.5, "fd00:1::5"] }
"#;

/// A scenario with its files.
pub(crate) struct Drill {
    folder: Folder,
    firewall: String,
    tests: String,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) outcome: String,
    pub(crate) verdict: String,
    /// `FILE:LINE` of the deciding rule or policy.
    pub(crate) line: Option<String>,
    pub(crate) layer: Option<String>,
    /// Everything.
    pub(crate) all: String,
}

impl Drill {
    /// With these keys of the firewall.
    pub(crate) fn new(firewall: &str) -> Self {
        Self {
            folder: Folder::new(),
            firewall: firewall.to_owned(),
            tests: String::new(),
        }
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.folder.write(name, content);
        self
    }

    pub(crate) fn test(mut self, test: &str) -> Self {
        self.tests += &format!("  - {test}\n");
        self
    }

    /// The program's end and its JSON report.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Ended, Value) {
        let Self {
            folder,
            firewall,
            tests,
        } = self;
        let text = format!("firewall:\n  {firewall}{WORLD}tests:\n{tests}");
        folder.write("lab.yaml", text);
        let base = ["test", "lab.yaml", "--report", "json"];
        let mut command = firedrill();
        command
            .args(base)
            .args(arguments)
            .current_dir(folder.path());
        let ended = end(command);
        let report = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("no JSON report ({error}) but {ended:?}"));
        (ended, report)
    }

    /// Every case in order; the scenario must have run.
    pub(crate) fn told(&self, arguments: &[&str]) -> Vec<Told> {
        let (_, report) = self.run(arguments);
        let scenario = &report["scenarios"][0];
        assert!(scenario["error"].is_null(), "{}", scenario["error"]);
        let cases = scenario["cases"].as_array().expect("cases");
        cases.iter().map(Told::of).collect()
    }

    /// Why the scenario did not run, and the exit code.
    pub(crate) fn error(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (ended, report) = self.run(arguments);
        let error = report["scenarios"][0]["error"].as_str();
        let error = error.unwrap_or_else(|| panic!("no error in {report}"));
        (ended.code, error.to_owned())
    }
}

impl Told {
    fn of(case: &Value) -> Self {
        let rule = &case["rule"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let line = text(&rule["file"]).zip(rule["line"].as_u64());
        Self {
            outcome: text(&case["outcome"]).unwrap_or_default(),
            verdict: text(&case["verdict"]).unwrap_or_default(),
            line: line.map(|(file, line)| format!("{file}:{line}")),
            layer: text(&rule["layer"]),
            all: case.to_string(),
        }
    }
}

/// Every case is as expected, and was decided at these places.
#[track_caller]
pub(crate) fn assert_lines(told: &[Told], lines: &[&str]) {
    let found: Vec<String> = told
        .iter()
        .map(|case| {
            case.line
                .clone()
                .unwrap_or_else(|| format!("none: {}", case.all))
        })
        .collect();
    assert_eq!(found, lines);
    for case in told {
        assert_eq!(case.outcome, "pass", "{}", case.all);
    }
}
