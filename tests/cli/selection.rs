//! Which cases run, against which candidate, and with which exit code.

use rstest::rstest;

use super::{
    OF_THAT_DAY, OFFENDER, OUTAGE, at_home,
    common::{Folder, Lab, Report},
    mixed,
};

/// The names of the selected cases, by `--list`.
fn list(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let ended = folder.firedrill(&[&["test", ".", "--list"], arguments].concat());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

fn names(report: &Report) -> Vec<String> {
    let cases = report.cases();
    cases.iter().map(|case| case.name.clone()).collect()
}

/// Every form of a test, in folders.
fn named() -> Folder {
    let folder = Lab::new("table inet t {\n}\n")
        .test("client -> firewall tcp/80,443: accept")
        .test("{ name: the server is told, from: client, to: server, service: udp/53, family: ipv6, expect: accept }")
        .test("firewall -> server icmpv4/echo-request: accept")
        .folder();
    folder.write(
        "web/deep/lab.yaml",
        Lab::new("").test("server -> client udp/1-2: accept").yaml(),
    );
    folder.write("web/deep/candidate.nft", "table inet t {\n}\n");
    folder.write("web/_part.yaml", "tags: [no scenario]\n");
    folder
}

#[test]
fn the_list_names_every_case_and_runs_nothing() {
    let folder = named();
    // Would be refused if it were loaded.
    folder.write("candidate.nft", "no ruleset\n");
    let expected = [
        "lab :: client -> firewall tcp/80 [ipv4]",
        "lab :: client -> firewall tcp/80 [ipv6]",
        "lab :: client -> firewall tcp/443 [ipv4]",
        "lab :: client -> firewall tcp/443 [ipv6]",
        "lab :: the server is told [ipv6]",
        "lab :: firewall -> server icmpv4/echo-request [ipv4]",
        "web/deep/lab :: server -> client udp/1 [ipv4]",
        "web/deep/lab :: server -> client udp/1 [ipv6]",
        "web/deep/lab :: server -> client udp/2 [ipv4]",
        "web/deep/lab :: server -> client udp/2 [ipv6]",
    ];
    assert_eq!(list(&folder, &[]), expected);
}

#[test]
fn what_is_listed_is_what_runs() {
    let folder = named();
    let report = folder.report(&[]);
    assert_eq!(names(&report), list(&folder, &[]));
    assert_eq!(report.code, Some(0));
}

#[rstest]
#[case::everything("", 10)]
#[case::a_part("tcp/443", 2)]
#[case::the_whole_name("lab :: client -> firewall tcp/80 [ipv4]", 1)]
#[case::brackets("[ipv6]", 5)]
#[case::a_pattern("udp/[12] ", 4)]
#[case::anchors("^web/.*ipv4.$", 2)]
#[case::either("tcp/80|told", 3)]
#[case::no_pattern("told [", 1)]
#[case::a_scenario("web/deep/lab ::", 4)]
fn a_filter_selects_by_part_or_pattern(#[case] filter: &str, #[case] count: usize) {
    let folder = named();
    let listed = list(&folder, &["--filter", filter]);
    assert_eq!(listed.len(), count, "{listed:?}");
    let report = folder.report(&["--filter", filter]);
    assert_eq!(names(&report), listed);
}

/// A case that is not selected cannot fail the run.
#[rstest]
#[case("tcp/80", 0)]
#[case("tcp/81", 1)]
#[case("tcp", 1)]
fn only_selected_cases_decide_the_exit_code(#[case] filter: &str, #[case] code: i32) {
    let report = mixed().report(&["--filter", filter]);
    assert_eq!(report.code, Some(code), "{report:#?}");
}

#[rstest]
fn the_number_of_jobs_changes_nothing_but_the_time(#[values("1", "2", "16")] jobs: &str) {
    let folder = named();
    for number in 0..6 {
        folder.write(
            &format!("more/{number}.yaml"),
            Lab::new("").test("client -> server any: accept").yaml(),
        );
    }
    folder.write("more/candidate.nft", "table inet t {\n}\n");
    let report = folder.report(&["--jobs", jobs]);
    assert_eq!(names(&report), list(&folder, &[]));
    assert!(
        report.cases().iter().all(|case| case.outcome == "pass"),
        "{report:#?}"
    );
}

#[test]
fn a_file_that_is_named_twice_runs_once() {
    let folder = mixed();
    let ended = folder.firedrill(&["test", "lab.yaml", "./lab.yaml", ".", "--list"]);
    assert_eq!(
        (ended.code, ended.stdout.lines().count()),
        (Some(0), 6),
        "{ended:?}"
    );
}

#[test]
fn the_outage_is_stopped_and_every_failing_case_names_the_rule() {
    let good = Report::of(at_home(&["test", OUTAGE, "--report", "json"]));
    assert!(
        good.cases().iter().all(|case| case.outcome == "pass"),
        "{good:#?}"
    );
    assert_eq!(good.code, Some(0));

    let candidate = [
        "test",
        OUTAGE,
        "--candidate",
        OF_THAT_DAY,
        "--report",
        "json",
    ];
    let bad = Report::of(at_home(&candidate));
    assert_eq!(bad.code, Some(1));
    assert_eq!(bad.cases().len(), good.cases().len());
    let failing: Vec<_> = bad
        .cases()
        .into_iter()
        .filter(|case| case.outcome == "fail")
        .collect();
    assert!(failing.len() > 10, "{failing:#?}");
    for case in &failing {
        let rule = case
            .rule
            .as_ref()
            .and_then(|rule| rule.text.as_deref())
            .unwrap_or_default();
        assert!(rule.contains(OFFENDER), "{case:#?}");
        assert!(rule.contains(" drop "), "{case:#?}");
    }
    // Nothing could come in, everything could go out.
    for service in ["tcp/80", "tcp/443", "tcp/22", "icmp/echo-request"] {
        let asked = format!("-> firewall {service} ");
        assert!(
            failing.iter().any(|case| case.name.contains(&asked)),
            "{service}"
        );
    }
    assert!(
        !failing
            .iter()
            .any(|case| case.name.contains(":: firewall ->")),
        "{failing:#?}"
    );
    let unclear = bad
        .cases()
        .iter()
        .filter(|case| case.outcome == "inconclusive")
        .count();
    assert_eq!(unclear, 0);
}

#[test]
fn every_shipped_scenario_passes() {
    let report = Report::of(at_home(&["test", "--report", "json"]));
    let failing: Vec<_> = report
        .cases()
        .into_iter()
        .filter(|case| case.outcome != "pass")
        .collect();
    assert!(failing.is_empty(), "{failing:#?}");
    assert_eq!(report.code, Some(0));
}

#[rstest]
#[case::check(&["check"], "valid: ")]
#[case::help(&["--help"], "Usage: firedrill")]
#[case::help_of_a_command(&["test", "--help"], "--candidate")]
#[case::version(&["--version"], concat!("firedrill ", env!("CARGO_PKG_VERSION")))]
fn a_question_is_answered_with_success(#[case] arguments: &[&str], #[case] said: &str) {
    let ended = at_home(arguments);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert!(ended.stdout.contains(said), "{ended:?}");
}

/// What is only for the harness's own tests is not offered to people.
#[test]
fn the_help_does_not_speak_of_blinding() {
    assert!(!at_home(&["test", "--help"]).stdout.contains("blind"));
}
