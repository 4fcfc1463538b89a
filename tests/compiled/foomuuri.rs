//! foomuuri.

use rstest::rstest;

use super::{common::Folder, copy, failures, reasons, refusal, replace};

/// The branch office with one line of a file exchanged.
fn with(file: &str, old: &str, new: &str) -> Folder {
    let folder = copy("foomuuri");
    replace(&folder, &format!("etc-foomuuri/{file}"), old, new);
    folder
}

#[test]
fn one_planted_fault_of_the_branch_is_found_with_its_rule() {
    let section = "guest-office {\n  drop\n}";
    let folder = with("policy.conf", section, "guest-office {\n  ssh\n  drop\n}");
    let report = folder.report(&[]);
    let failed: Vec<_> = report
        .cases()
        .into_iter()
        .filter(|case| case.outcome != "pass")
        .collect();
    assert_eq!((report.code, failed.len()), (Some(1), 2), "{failed:#?}");
    for (case, chain) in failed.iter().zip(["guest-office_4", "guest-office_6"]) {
        assert!(case.name.contains("guest -> pc tcp/22"), "{case:#?}");
        let rule = case.rule.as_ref().unwrap();
        assert_eq!(
            (case.verdict.as_str(), rule.chain.as_str()),
            ("accept", chain)
        );
        assert_eq!(rule.text.as_deref(), Some("tcp dport 22 accept"));
    }
}

/// No line is known, so none is named, and what asks for one cannot pass.
#[test]
fn an_expectation_of_a_line_is_inconclusive() {
    let folder = copy("foomuuri");
    replace(
        &folder,
        "branch.yaml",
        "  - guest -> firewall tcp/22: drop\n",
        "  - guest -> firewall tcp/22: { drop: { by: \"policy.conf:30\" } }\n",
    );
    let report = folder.report(&[]);
    assert_eq!((report.code, failures(&report).len()), (Some(3), 2));
    for reason in reasons(&report) {
        let why = "foomuuri does not say which line makes which rule";
        assert!(reason.contains(why), "{reason}");
    }
}

#[rstest]
#[case::no_such_zone("guest-office {", "guest-offise {", "policy.conf:")]
#[case::no_such_template(
    "office-localhost {\n  template services",
    "office-localhost {\n  template servises",
    "policy.conf:20: Unknown template name: servises\n  template servises"
)]
fn what_is_wrong_is_told_for_the_user_s_line(
    #[case] old: &str,
    #[case] new: &str,
    #[case] said: &str,
) {
    let error = refusal(&with("policy.conf", old, new));
    let said = format!("etc-foomuuri/{said}");
    assert!(error.contains(&said), "no {said:?} in:\n{error}");
}

#[test]
fn what_nft_refuses_is_told_in_its_own_words() {
    let error = refusal(&with("policy.conf", "  smtp reject", "  smtp rejekt"));
    for said in ["tcp dport { 25, rejekt }", "Could not resolve service"] {
        assert!(error.contains(said), "no {said:?} in:\n{error}");
    }
}
