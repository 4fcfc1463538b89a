//! Candidates that do not load: told in nft's words, with the user's paths.

use std::fs;

use rstest::rstest;

use super::{
    common::{Folder, Lab},
    is_refused,
};

/// nft knows no `dprt`; it says so for line 3.
const BROKEN: &str = "table inet t {\n chain c {\n  tcp dprt 80 accept\n }\n}\n";

fn scenario() -> Lab {
    Lab::new("table inet t {\n}\n").test("client -> firewall tcp/80: accept")
}

/// Sees that the candidate was refused, and that every report says why.
#[track_caller]
fn nft_refuses(folder: &Folder, arguments: &[&str], said: &[&str]) {
    let ended = folder.firedrill(&[&["test", "lab.yaml"], arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let report = folder.report(arguments);
    assert_eq!(report.code, Some(2), "{report:#?}");
    let scenario = &report.scenarios[0];
    let error = scenario.error.as_deref().unwrap_or_default();
    for part in said {
        for text in [&*ended.stdout, error] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }
    assert!(
        scenario
            .cases
            .iter()
            .all(|case| case.outcome == "inconclusive"),
        "{report:#?}"
    );
}

/// The candidate is named as the user did, wherever nft sees it.
#[rstest]
#[case::beside("broken.nft")]
#[case::below("rules/broken.nft")]
#[case::with_dots("./rules/../broken.nft")]
#[case::through_a_link("linked/broken.nft")]
fn what_nft_refuses_is_told_for_the_path_as_it_was_spelled(#[case] path: &str) {
    let folder = scenario().folder();
    folder.write("broken.nft", BROKEN);
    folder.write("rules/broken.nft", BROKEN);
    std::os::unix::fs::symlink("rules", folder.path().join("linked")).expect("a link can be made");
    let place = format!("\n{path}:3:");
    let terminal = format!("nft refuses the candidate {path} (exit status 1)");
    nft_refuses(
        &folder,
        &["--candidate", path],
        &[&terminal, "tcp dprt 80 accept", "syntax error"],
    );
    let error = folder.report(&["--candidate", path]).scenarios[0]
        .error
        .clone();
    let error = error.unwrap_or_default();
    assert!(error.contains(&place), "no {place:?} in:\n{error}");
}

#[test]
fn an_absolute_path_stays_absolute() {
    let folder = scenario().folder();
    let path = folder.write("broken.nft", BROKEN);
    let place = format!("{}:3:", path.display());
    nft_refuses(
        &folder,
        &["--candidate", &path.to_string_lossy()],
        &[&place],
    );
}

/// However the include spells it, the path is one that the user can open from where they are.
#[rstest]
#[case::with_a_dot("./parts/broken.nft")]
#[case::plain("parts/broken.nft")]
#[case::wildcard("./parts/*.nft")]
#[case::through_the_parent("../rules/parts/broken.nft")]
fn what_nft_refuses_in_an_included_file_is_told_for_that_file(#[case] include: &str) {
    let folder = scenario().folder();
    folder.write(
        "rules/main.nft",
        format!("# what follows is broken\ninclude \"{include}\"\n"),
    );
    folder.write("rules/parts/broken.nft", BROKEN);
    let said = [
        "rules/parts/broken.nft:3:",
        "rules/main.nft:2:",
        "tcp dprt 80 accept",
    ];
    nft_refuses(&folder, &["--candidate", "rules/main.nft"], &said);
    let report = folder.report(&["--candidate", "rules/main.nft"]);
    let error = report.scenarios[0].error.clone().unwrap_or_default();
    for line in error.lines() {
        assert!(
            !line.starts_with("./") && !line.starts_with("../"),
            "{error}"
        );
    }
}

/// What the kernel refuses, nft tells too.
#[rstest]
#[case::no_such_file("include \"nope.nft\"\n", "broken.nft:1:")]
#[case::no_such_chain("table inet t {\n chain c {\n  jump nowhere\n }\n}\n", "broken.nft:3:")]
#[case::nothing_to_delete("delete table inet nope\n", "broken.nft:1:")]
fn a_candidate_that_does_not_fit_is_refused(#[case] candidate: &str, #[case] place: &str) {
    let folder = scenario().folder();
    folder.write("broken.nft", candidate);
    nft_refuses(&folder, &["--candidate", "broken.nft"], &[place, "Error: "]);
}

#[rstest]
#[case::missing("nope.nft")]
#[case::a_folder("folder")]
#[case::below_a_file("lab.yaml/x.nft")]
fn a_candidate_that_is_no_file_is_refused(#[case] path: &str) {
    let folder = scenario().folder();
    fs::create_dir(folder.path().join("folder")).expect("the folder is writable");
    is_refused(
        &folder.firedrill(&["test", ".", "--candidate", path]),
        &[path],
    );
    let shell = ["shell", "lab.yaml", "--candidate", path, "--", "true"];
    is_refused(&folder.firedrill(&shell), &[path]);
}

/// Only the kernel knows its settings, so this shows in the lab; but it is the scenario's fault.
#[rstest]
#[case::unknown("net.ipv4.conf.all.no_such_setting: 1")]
#[case::unknown_interface("net.ipv4.conf.eth7.rp_filter: 1")]
#[case::value_out_of_range("net.ipv4.ip_default_ttl: 100000")]
fn a_setting_that_the_kernel_refuses_is_bad_input(#[case] setting: &str) {
    let folder = scenario().folder();
    let text = folder.read("lab.yaml");
    let with = format!("firewall:\n  sysctl: {{ {setting} }}\n");
    folder.write("lab.yaml", text.replacen("firewall:\n", &with, 1));
    let ended = folder.firedrill(&["test", "lab.yaml"]);
    let (name, _) = setting.split_once(':').expect("it has a value");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stdout.contains(&format!("could not set {name}")),
        "{ended:?}"
    );
}

#[test]
fn a_shell_with_a_broken_candidate_does_not_open() {
    let folder = scenario().folder();
    folder.write("broken.nft", BROKEN);
    let shell = [
        "shell",
        "lab.yaml",
        "--candidate",
        "broken.nft",
        "--",
        "echo",
        "inside",
    ];
    is_refused(
        &folder.firedrill(&shell),
        &["broken.nft:3:", "syntax error"],
    );
}

/// Bad input outweighs what other scenarios prove.
#[test]
fn one_bad_candidate_is_bad_input_for_the_whole_run() {
    let folder = scenario().folder();
    folder.write("bad/lab.yaml", scenario().yaml());
    folder.write("bad/candidate.nft", BROKEN);
    let report = folder.report(&[]);
    assert_eq!(report.code, Some(2));
    let names: Vec<_> = report
        .scenarios
        .iter()
        .map(|scenario| &*scenario.name)
        .collect();
    assert_eq!(names, ["bad/lab", "lab"]);
    assert!(report.scenarios[0].error.is_some());
    assert!(
        report.scenarios[1]
            .cases
            .iter()
            .all(|case| case.outcome == "pass"),
        "{report:#?}"
    );
}
