//! A harness that cannot see must not pass anything. Every sense is taken away in turn, every kind of
//! verdict is asked for, and nothing may hold; nor may a run that had nothing to prove.

mod common;

use common::{Folder, Lab};
use rstest::rstest;

const CANDIDATE: &str = "table inet t {
  chain input {
    type filter hook input priority 0; policy drop;
    tcp dport 80 accept
    tcp dport 23 drop
    tcp dport 113 reject with tcp reset
    udp dport 113 reject with icmpx admin-prohibited
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    tcp dport 23 drop
    tcp dport 113 reject
  }
}
";

/// A test of every kind of verdict on every hook; all of them hold for [`CANDIDATE`].
fn everything() -> Lab {
    [
        "client -> firewall tcp/80: { accept: { by: tcp dport 80 } }",
        "client -> firewall tcp/22: { drop: { by: policy } }",
        "client -> firewall tcp/23: { drop: { by: tcp dport 23 } }",
        "client -> firewall tcp/113: { reject: tcp-reset }",
        "client -> firewall udp/113: { reject: icmp-admin-prohibited }",
        "client -> firewall icmp/echo-request: drop",
        "client -> server tcp/80: { accept: { by: policy } }",
        "client -> server tcp/23: drop",
        "client -> server tcp/113: reject",
        "firewall -> server udp/53: accept",
    ]
    .iter()
    .fold(Lab::new(CANDIDATE), |lab, test| lab.test(test))
}

#[test]
fn with_all_its_senses_the_harness_passes_everything() {
    let report = everything().report();
    for case in report.cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    assert_eq!(report.code, Some(0));
}

/// The reason names the sense that is missing. A lost capture shows as packets that come out nowhere,
/// with the candidate or without.
#[rstest]
#[case::trace_deaf("trace-deaf", &["nothing shows that the probe reached the firewall"])]
#[case::trace_overflow("trace-overflow", &["the kernel lost events of the trace"])]
#[case::probes_never_enter("probes-never-enter", &["nothing shows that the probe reached the firewall"])]
#[case::candidate_not_loaded("candidate-not-loaded", &["the candidate was not loaded"])]
#[case::barrier_lost("barrier-lost", &["the barrier behind the probe was lost"])]
#[case::capture_deaf("capture-deaf", &["it came out nowhere", "the path does not work without the candidate"])]
fn without_one_of_its_senses_the_harness_passes_nothing(
    #[case] sense: &str,
    #[case] reasons: &[&str],
) {
    let report = everything().folder().report(&["--blind", sense]);
    for case in report.cases() {
        let told = (&*case.verdict, &*case.outcome);
        assert_eq!(told, ("inconclusive", "inconclusive"), "{case:#?}");
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(
            reasons.iter().any(|named| reason.contains(named)),
            "{case:#?}"
        );
    }
    assert_eq!(report.code, Some(3));
}

/// Nothing that is expected falsely can become inconclusive's excuse: the exit code of a blind run is
/// the same whatever the scenario asks for.
#[rstest]
fn a_blind_harness_fails_nothing_either(
    #[values("accept", "drop", "reject")] outcome: &str,
    #[values("trace-deaf", "barrier-lost", "capture-deaf")] sense: &str,
) {
    let test = format!("client -> firewall tcp/80,22,113: {outcome}");
    let report = Lab::new(CANDIDATE)
        .test(&test)
        .folder()
        .report(&["--blind", sense]);
    for case in report.cases() {
        assert_eq!(case.outcome, "inconclusive", "{case:#?}");
    }
    assert_eq!(report.code, Some(3));
}

/// A candidate can switch the trace of its packets off; what it then drops is not known.
#[rstest]
#[case::dropped("drop", "inconclusive", 3)]
#[case::rejected("reject", "inconclusive", 3)]
#[case::falsely_accepted("accept", "inconclusive", 3)]
fn a_candidate_that_blinds_the_trace_passes_no_drop(
    #[case] expect: &str,
    #[case] outcome: &str,
    #[case] code: i32,
) {
    let blinding = "table inet a {\n chain a {\n  type filter hook prerouting priority -400;\n  \
                    meta nftrace set 0\n }\n}\n";
    let report = Lab::new(&format!("{blinding}{CANDIDATE}"))
        .test(&format!("client -> firewall tcp/22,23,113: {expect}"))
        .report();
    for case in report.cases() {
        assert_eq!(case.outcome, outcome, "{case:#?}");
    }
    assert_eq!(report.code, Some(code));
}

#[rstest]
#[case::empty("")]
#[case::only_a_comment("# only a comment\n")]
#[case::only_a_definition("define office = 203.0.113.5\n")]
fn another_candidate_that_changes_nothing_passes_nothing(#[case] candidate: &str) {
    let folder = everything().folder();
    folder.write("other.nft", candidate);
    let report = folder.report(&["--candidate", "other.nft"]);
    for case in report.cases() {
        assert_eq!(case.outcome, "inconclusive", "{case:#?}");
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(
            reason.contains("its commands changed no ruleset"),
            "{case:#?}"
        );
    }
    assert_eq!(report.code, Some(3));
}

#[rstest]
#[case::no_tests("")]
#[case::an_empty_list("  []\n")]
fn a_scenario_without_tests_is_bad_input(#[case] tests: &str) {
    let folder = Lab::new(CANDIDATE).folder();
    folder.write("lab.yaml", format!("{}{tests}", Lab::new("").yaml()));
    let ended = folder.firedrill(&["test", ".", "--report", "json"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("lab.yaml:"), "{ended:?}");
}

#[rstest]
#[case::run(&["--filter", "no such case"])]
#[case::list(&["--filter", "no such case", "--list"])]
#[case::report(&["--filter", "^nothing$", "--report", "json"])]
fn a_filter_that_selects_nothing_is_bad_input(#[case] arguments: &[&str]) {
    let ended = everything()
        .folder()
        .firedrill(&[&["test", "."], arguments].concat());
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("no case is selected"), "{ended:?}");
}

#[test]
fn a_folder_without_scenarios_is_bad_input() {
    let folder = Folder::new();
    folder.write("_part.yaml", "tags: [part]\n");
    let ended = folder.firedrill(&["test", "."]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(
        ended.stderr.contains("there is no scenario in"),
        "{ended:?}"
    );
}

#[test]
fn a_sense_that_does_not_exist_is_bad_usage() {
    let ended = everything()
        .folder()
        .firedrill(&["test", ".", "--blind", "smell"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("capture-deaf"), "{ended:?}");
}
