//! Tests of the reader as a whole: text in, model or rendered problems out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Case, Problems, Scenario, Send, format::words, load, parse};
use crate::dialect::ALL;

mod bad_firewall;
mod bad_hosts;
mod bad_outcomes;
mod bad_packets;
mod bad_services;
mod bad_steps;
mod bad_tests;
mod bad_yaml;
mod candidates;
mod good;
mod hostile;
mod includes;
mod loading;
mod matrix;
mod problems;
mod roundtrip;
mod sandbox;
mod schema;
mod sweeps;

/// The folder that the texts of the tests seem to be in.
const FOLDER: &str = "src/scenario/tests/fixtures";

/// A complete scenario but for its tests.
const WORLD: &str = "\
firewall:
  nftables: web.nft
  interfaces:
    eth0: [192.0.2.10/24, \"2001:db8::10/64\"]
    eth1: 10.0.0.1/24
hosts:
  internet: { behind: eth0, address: [198.51.100.7, \"2001:db8:ffff::7\"] }
  office: { behind: eth0, address: 203.0.113.5 }
  db: { behind: eth1, address: 10.0.0.5 }
";

/// The scenario of a text, against the first of its candidates.
fn read(text: &str) -> Result<Scenario, Problems> {
    Ok(read_all(text)?.remove(0))
}

/// The scenarios of a text, one for each candidate.
fn read_all(text: &str) -> Result<Vec<Scenario>, Problems> {
    parse(text, &Path::new(FOLDER).join("test.yaml"), "test")
}

/// The scenario of a text that must be good.
fn good(text: &str) -> Scenario {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// [`WORLD`] with these tests, one per line.
fn with_tests(tests: &[&str]) -> String {
    let items = tests.iter().map(|test| format!("  - {test}\n"));
    format!("{WORLD}tests:\n{}", items.collect::<String>())
}

/// The rendered problems of a text that must have some, with short paths.
fn problems_of(text: &str) -> String {
    match read(text) {
        Ok(scenario) => panic!("no problem in {text}\n{scenario:#?}"),
        Err(problems) => without_dialects(problems.to_string().replace(&format!("{FOLDER}/"), "")),
    }
}

/// A message that does not change with every dialect that is added.
fn without_dialects(message: String) -> String {
    let keys: Vec<&str> = ALL.iter().map(|dialect| dialect.key).collect();
    let all = keys
        .iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>();
    message
        .replace(&all.join(", "), "[dialects]")
        .replace(
            &format!("none of {}", words::list(&keys, "and")),
            "none of [dialects]",
        )
        .replace(
            &format!(
                "none of {}",
                words::list(&[&keys[..], &["candidates"]].concat(), "and")
            ),
            "none of [dialects] and `candidates`",
        )
}

/// As [`problems_of`], for these tests among good surroundings.
fn problems_of_tests(tests: &[&str]) -> String {
    problems_of(&with_tests(tests))
}

/// A folder of files that vanishes after the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder is writable");
        fs::write(&path, text).expect("the folder is writable");
        path
    }

    /// The scenario of a file that must be good.
    fn good(&self, file: &Path) -> Scenario {
        let scenarios = load(&[file.to_path_buf()]).unwrap_or_else(|problems| panic!("{problems}"));
        scenarios.into_iter().next().expect("a file is a scenario")
    }

    /// The rendered problems of a file that must have some, with short paths.
    fn problems(&self, file: &Path) -> String {
        let problems = load(&[file.to_path_buf()]).expect_err("the file has problems");
        self.shorten(&problems)
    }

    /// As [`Self::problems`], for several paths in the folder.
    fn problems_of_all(&self, names: &[&str]) -> String {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let problems = load(&paths).expect_err("the files have problems");
        self.shorten(&problems)
    }

    fn shorten(&self, problems: &Problems) -> String {
        let folder = format!("{}/", self.0.path().display());
        without_dialects(problems.to_string().replace(&folder, "").replace("./", ""))
    }
}

/// What a case of one step sends.
fn sent(case: &Case) -> &Send {
    case.sends().next().unwrap()
}
