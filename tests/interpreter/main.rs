//! The interpreter against the kernel: every rule that the trace shows as matched must be one that the interpreter
//! says matches or may match, in the same order; every rule that it says surely matches must be in the trace; and the
//! verdicts must be equal.
//!
//! `INTERPRETED_PACKETS` says how many random packets are sent at least, 2,000 when it is not set.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot read its recording has failed, and the share of maybe is worth a line"
)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod oracle;
mod random;

use std::{env, fs, path::Path};

use common::Folder;
use oracle::Totals;

/// Packets of one random ruleset.
const PACKETS_PER_RULESET: usize = 250;

/// Runs every scenario of a folder and compares what the interpreter says with its recordings.
fn interpret(scenarios: &Path, totals: &mut Totals) {
    let recordings = Folder::new();
    let mut command = common::firedrill();
    command
        .args(["test", ".", "--report", "json", "--record"])
        .arg(recordings.path())
        .current_dir(scenarios);
    // Most packets of a random ruleset do not fare as expected.
    let _ = common::end(command);
    for recording in files(recordings.path()) {
        oracle::check(&recording, totals);
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_interpreter_agrees_with_the_kernel_on_random_rulesets_and_packets() {
    let wanted = env::var("INTERPRETED_PACKETS").map_or(2_000, |number| number.parse().unwrap());
    let mut totals = Totals::default();
    for seed in 1.. {
        if totals.packets >= wanted {
            break;
        }
        let folder = Folder::new();
        folder.write("candidate.nft", random::ruleset(seed));
        folder.write("lab.yaml", random::scenario(seed, PACKETS_PER_RULESET));
        let before = totals.packets;
        interpret(folder.path(), &mut totals);
        assert!(
            totals.packets > before,
            "nft refuses the ruleset of seed {seed}"
        );
    }
    println!("{totals}");
    assert!(totals.disagreements.is_empty(), "{totals}");
    assert!(totals.percent_of_maybe() <= 5.0, "{totals}");
}

#[test]
fn the_interpreter_agrees_with_the_kernel_on_the_shipped_rulesets() {
    let mut totals = Totals::default();
    interpret(Path::new("scenarios"), &mut totals);
    println!("{totals}");
    assert!(totals.packets > 1_000, "{totals}");
    assert!(totals.disagreements.is_empty(), "{totals}");
}
