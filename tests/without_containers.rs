//! A program that was built without containers says which word builds one that has them, with the exit code of
//! what could not be told; nothing that asks for a container is skipped or taken for a mistake.
//!
//! `cargo test --test without_containers`; with all features there is nothing to test here.
#![cfg(not(feature = "docker"))]

mod common;

use common::{Ended, Folder, Lab};
use rstest::rstest;

/// The word.
const WORD: &str = "--features docker";

const CANDIDATE: &str =
    "table inet t { chain c { type filter hook input priority 0; policy drop; }\n}\n";

fn lab() -> Lab {
    Lab::new(CANDIDATE).test("client -> firewall tcp/80: drop")
}

#[track_caller]
fn says_the_word(ended: &Ended) {
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for part in ["built without containers", WORD] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn a_scenario_that_asks_for_a_container_is_not_skipped() {
    let folder = lab().folder();
    let sandbox = "sandbox: { docker: { image: \"debian:12\" } }\n";
    folder.write("lab.yaml", lab().yaml() + sandbox);
    says_the_word(&folder.firedrill(&["test", "lab.yaml"]));
    let checked = folder.firedrill(&["check", "lab.yaml"]);
    assert_eq!(checked.code, Some(0), "it is a valid scenario: {checked:?}");
    let embedded = folder.firedrill(&["test", "lab.yaml", "--launcher", "embedded"]);
    assert_eq!(embedded.code, Some(0), "{embedded:?}");
}

#[rstest]
#[case(&["test", "lab.yaml", "--launcher", "docker"])]
#[case(&["test", "lab.yaml", "--launcher", "docker", "--image", "debian:12"])]
#[case(&["doctor", "--launcher", "docker"])]
#[case(&["images"])]
#[case(&["images", "list"])]
#[case(&["images", "build", "web", "--base", "debian:12"])]
#[case(&["images", "remove", "--all"])]
#[case(&["clean"])]
fn what_needs_containers_says_how_to_have_them(#[case] arguments: &[&str]) {
    says_the_word(&lab().folder().firedrill(arguments));
}

#[test]
fn the_doctor_says_that_there_are_none() {
    let ended = Folder::new().firedrill(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended
        .stdout
        .lines()
        .find(|line| line.contains("containers"));
    assert!(line.is_some_and(|line| line.contains(WORD)), "{ended:?}");
}
