//! Dialects that their own program compiles: their lines, their faults and their messages.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its own files has failed"
)]

#[path = "../common/mod.rs"]
mod common;
mod ferm;
mod foomuuri;
mod shorewall;

use std::{fs, path::Path};

use common::{Folder, Report};

/// A copy of a shipped scenario, with its configuration.
fn copy(scenario: &str) -> Folder {
    fn walk(from: &Path, below: &Path, into: &Folder) {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            match path.is_dir() {
                true => walk(&path, &name, into),
                false => drop(into.write(name.to_str().unwrap(), fs::read(&path).unwrap())),
            }
        }
    }
    let folder = Folder::new();
    walk(
        &Path::new("scenarios").join(scenario),
        Path::new(""),
        &folder,
    );
    folder
}

/// Puts a text in the place of another, which must be there once.
#[track_caller]
fn replace(folder: &Folder, file: &str, old: &str, new: &str) {
    let text = folder.read(file);
    assert_eq!(text.matches(old).count(), 1, "{old:?} in {file}");
    folder.write(file, text.replace(old, new));
}

/// The cases that do not pass, with their outcomes and reasons.
fn failures(report: &Report) -> Vec<(String, String, String)> {
    let cases = report
        .cases()
        .into_iter()
        .filter(|case| case.outcome != "pass");
    cases
        .map(|case| {
            (
                case.name.clone(),
                case.outcome.clone(),
                case.reason.clone().unwrap_or_default(),
            )
        })
        .collect()
}

/// The reasons of the cases that do not pass.
fn reasons(report: &Report) -> Vec<String> {
    let failed = failures(report).into_iter();
    failed.map(|(_, _, reason)| reason).collect()
}

/// The lines that decided the cases that fail.
fn fails_by(folder: &Folder) -> Vec<(String, u64)> {
    let json = folder.firedrill(&["test", ".", "--report", "json"]).stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let cases = report["scenarios"][0]["cases"].as_array().unwrap();
    cases
        .iter()
        .filter(|case| case["outcome"] == "fail")
        .map(|case| {
            let file = case["rule"]["file"].as_str().unwrap_or_default();
            (
                file.to_owned(),
                case["rule"]["line"].as_u64().unwrap_or_default(),
            )
        })
        .collect()
}

/// What a scenario is refused with.
#[track_caller]
fn refusal(folder: &Folder) -> String {
    let report = folder.report(&[]);
    assert_eq!(report.code, Some(2), "{report:#?}");
    report.scenarios[0].error.clone().unwrap_or_default()
}
