//! Files and folders to scenarios.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use insta::assert_snapshot;

use super::{Folder, with_tests};
use crate::scenario::{Entry, Scenario, each, load};

/// A folder whose scenarios are fine.
fn shop() -> Folder {
    let folder = Folder::new();
    let text = with_tests(&["db -> office tcp/80: drop"]);
    folder.write("scenarios/web.nft", "");
    folder.write("scenarios/outage/web.nft", "");
    folder.write("scenarios/outage/app-server.yaml", &text);
    folder.write("scenarios/outage/v1.2.yml", &text);
    folder.write("scenarios/basics.yaml", &text);
    folder.write("scenarios/_part.yaml", "- no scenario");
    folder.write("scenarios/.hidden.yaml", "- no scenario");
    folder.write("scenarios/.hidden/x.yaml", "- no scenario");
    folder.write("scenarios/README.md", "no scenario");
    folder
}

fn ids(paths: &[PathBuf]) -> Vec<String> {
    let scenarios = load(paths).unwrap_or_else(|problems| panic!("{problems}"));
    scenarios.into_iter().map(|scenario| scenario.id).collect()
}

#[test]
fn a_folder_is_searched_and_scenarios_are_called_by_their_paths_however_they_are_asked_for() {
    let folder = shop();
    let all = ["basics", "outage/app-server", "outage/v1.2"];
    assert_eq!(ids(&[folder.path("scenarios")]), all);
    assert_eq!(
        ids(&[folder.path("scenarios/outage")]),
        ["outage/app-server", "outage/v1.2"]
    );
}

#[test]
fn a_file_is_called_by_its_path_below_the_nearest_folder_of_scenarios() {
    let folder = shop();
    assert_eq!(
        ids(&[folder.path("scenarios/outage/app-server.yaml")]),
        ["outage/app-server"]
    );
    let text = with_tests(&["db -> office tcp/80: drop"]);
    folder.write("elsewhere/web.nft", "");
    assert_eq!(ids(&[folder.write("elsewhere/a.yaml", &text)]), ["a"]);
    let roundabout = folder.path("scenarios/outage/../../elsewhere/a.yaml");
    assert_eq!(ids(&[roundabout]), ["a"]);
    folder.write("scenarios/old/scenarios/web.nft", "");
    assert_eq!(
        ids(&[folder.write("scenarios/old/scenarios/b.yaml", &text)]),
        ["b"]
    );
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let folder = shop();
    let file = folder.path("scenarios/basics.yaml");
    assert_eq!(ids(&[file.clone(), file]), ["basics"]);
}

#[test]
fn symbolic_links_in_circles_end() {
    let folder = shop();
    symlink(folder.path("scenarios"), folder.path("scenarios/outage/up"))
        .expect("a link can be made");
    symlink(
        folder.path("scenarios/outage"),
        folder.path("scenarios/again"),
    )
    .expect("a link can be made");
    assert_eq!(ids(&[folder.path("scenarios")]).len(), 3);
}

#[test]
fn a_candidate_of_a_scenario_is_not_called_as_another_scenario() {
    let folder = shop();
    let text = with_tests(&["db -> office tcp/80: drop"]);
    folder.write("more/web.nft", "");
    folder.write("more/a@new.yaml", &text);
    let candidates = "candidates: { new: { nftables: web.nft } }";
    folder.write(
        "more/a.yaml",
        text.replace("nftables: web.nft", candidates).as_str(),
    );
    let problems = folder.problems_of_all(&["more"]);
    assert!(problems.contains("are both called `a@new`"), "{problems}");
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let folder = shop();
    let text = with_tests(&["db -> office tcp/80: drop"]);
    folder.write("more/web.nft", "");
    folder.write("more/basics.yml", &text);
    assert_snapshot!(folder.problems_of_all(&["scenarios", "more"]), @r"
    error: `scenarios/basics.yaml` and `more/basics.yml` are both called `basics`
    help: rename one of the files, or a candidate
    ");
}

#[test]
fn paths_without_a_scenario_are_refused_all_at_once() {
    let folder = shop();
    folder.write("empty/_part.yaml", "");
    folder.write("empty/notes.txt", "");
    assert_snapshot!(folder.problems_of_all(&["missing", "empty", "scenarios/_part.yaml", "empty/notes.txt"]), @r"
    error: `missing` does not exist

    error: there is no scenario in `empty`
    help: a scenario is a file `*.yaml` or `*.yml` whose name does not begin with `_` or `.`

    error: `scenarios/_part.yaml` is a shared part, not a scenario
    help: files whose names begin with `_` are only there to be included

    error: the file is empty
    --> empty/notes.txt:1:1
    ");
    assert_snapshot!(load(&[]).expect_err("nothing was named").to_string(), @"error: no scenario file or folder was named");
}

#[test]
fn the_problems_of_all_files_are_shown_and_those_of_a_common_part_once() {
    let folder = Folder::new();
    folder.write("s/_part.yaml", "hosts: { a: { behind: eth0 } }\n");
    let text = |port: &str| {
        format!(
            "include: _part.yaml\nfirewall:\n  nftables: web.nft\n  interfaces: {{ eth0: 192.0.2.1/24 }}\ntests:\n  - a -> firewall tcp/{port}: drop\n"
        )
    };
    folder.write("s/web.nft", "");
    folder.write("s/one.yaml", &text("x"));
    folder.write("s/two.yaml", &text("y"));
    assert_snapshot!(folder.problems_of_all(&["s"]), @r"
    error: the host has no `address`
     --> s/_part.yaml:1:10
      |
    1 | hosts: { a: { behind: eth0 } }
      |          ^
      |
    help: its IPv4 address, its IPv6 address, or a list of both; need not be in the interface's network

    error: tcp has no service `x`
     --> s/one.yaml:6:23
      |
    6 |   - a -> firewall tcp/x: drop
      |                       ^

    error: tcp has no service `y`
     --> s/two.yaml:6:23
      |
    6 |   - a -> firewall tcp/y: drop
      |                       ^
    ");
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = Folder::new();
    fs::write(folder.path("a.yaml"), b"name: x\nhosts: \xff\n").expect("the folder is writable");
    fs::write(folder.path("b.yaml"), b"\xff\xfen\0a\0").expect("the folder is writable");
    fs::write(folder.path("c.yaml"), vec![b'#'; 2 << 20]).expect("the folder is writable");
    symlink("nowhere", folder.path("d.yaml")).expect("a link can be made");
    assert_snapshot!(folder.problems_of_all(&["."]), @r"
    error: the scenario `a.yaml` is not UTF-8 text: line 2, column 8 has the byte 0xff

    error: the scenario `b.yaml` is UTF-16 text; save it as UTF-8

    error: the scenario `c.yaml` is bigger than 1024 KiB

    error: the scenario `d.yaml` does not exist
    ");
}

/// What was found good, in the order of the run.
fn entries(folder: &Folder) -> Vec<Entry> {
    let mut entries = Vec::new();
    each(&[folder.path("scenarios")], &[], |entry, _| {
        entries.push(entry)
    })
    .unwrap();
    entries
}

#[test]
fn a_scenario_is_read_again_as_it_was() {
    let folder = shop();
    let read: Vec<Scenario> = entries(&folder)
        .iter()
        .map(|entry| entry.read().unwrap())
        .collect();
    assert_eq!(read, load(&[folder.path("scenarios")]).unwrap());
}

#[test]
fn a_scenario_that_changed_before_its_turn_is_not_run() {
    let folder = shop();
    let entries = entries(&folder);
    let text = with_tests(&["db -> office tcp/80: drop"]);
    for other in [
        text.replace("drop", "accept"),
        text.replace("80", "x"),
        String::new(),
    ] {
        folder.write("scenarios/basics.yaml", &other);
        let entry = entries.iter().find(|entry| entry.id == "basics").unwrap();
        assert!(entry.read().is_err(), "{other}");
    }
}
