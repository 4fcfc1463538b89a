//! `by:`, and the rule that the report names: the one that decided and no other.

use rstest::rstest;

use super::{
    WAYS,
    common::{Lab, Report},
    table,
};

/// The first rule is for the resets of the last: they pass the output chain, and on the way to the
/// firewall itself the input chain.
const RULES: &str = "policy drop; tcp sport 113 accept
  tcp dport 22 accept comment \"ssh, from anywhere\"
  tcp dport 80 accept
  tcp dport 23 drop comment \"telnet is over\"
  tcp dport 113 reject with tcp reset comment \"ident\"";

/// A service on every way, with one expectation.
fn expecting(rules: &str, service: &str, expect: &str) -> Report {
    let lab = Lab::new(&table("", rules));
    let lab = WAYS.iter().fold(lab, |lab, way| {
        lab.test(&format!(
            "{{ {}, service: {service}, expect: {expect} }}",
            way.ends()
        ))
    });
    lab.report()
}

#[rstest]
#[case::comment("tcp/22", "{ accept: { by: \"ssh, from anywhere\" } }")]
#[case::part_of_a_comment("tcp/22", "{ accept: { by: ssh } }")]
#[case::text("tcp/80", "{ accept: { by: tcp dport 80 accept } }")]
#[case::part_of_a_text("tcp/80", "{ accept: { by: dport 80 } }")]
#[case::drop("tcp/23", "{ drop: { by: telnet is over } }")]
#[case::reject("tcp/113", "{ reject: { by: ident } }")]
#[case::reject_of_a_kind("tcp/113", "{ reject: { kind: tcp-reset, by: ident } }")]
#[case::policy("tcp/25", "{ drop: { by: policy } }")]
fn the_right_decider_passes(#[case] service: &str, #[case] expect: &str) {
    let report = expecting(RULES, service, expect);
    for case in report.cases() {
        assert_eq!((&*case.outcome, &case.reason), ("pass", &None), "{case:#?}");
    }
    assert_eq!(report.code, Some(0));
}

#[rstest]
#[case::another_comment("tcp/22", "{ accept: { by: telnet is over } }", "tcp dport 22")]
#[case::another_rule("tcp/80", "{ accept: { by: tcp dport 22 } }", "tcp dport 80")]
#[case::no_rule_at_all("tcp/80", "{ accept: { by: nothing like this } }", "tcp dport 80")]
#[case::policy_for_a_rule("tcp/23", "{ drop: { by: policy } }", "tcp dport 23")]
#[case::rule_for_the_policy(
    "tcp/25",
    "{ drop: { by: telnet is over } }",
    "by policy candidate.nft:"
)]
#[case::reject_by_another("tcp/113", "{ reject: { by: ssh } }", "tcp dport 113")]
#[case::another_kind(
    "tcp/113",
    "{ reject: { kind: icmp-port-unreachable, by: ident } }",
    "reject tcp-reset"
)]
#[case::another_outcome("tcp/23", "{ accept: { by: telnet is over } }", "it was drop")]
fn the_wrong_decider_fails_and_the_right_one_is_named(
    #[case] service: &str,
    #[case] expect: &str,
    #[case] named: &str,
) {
    let report = expecting(RULES, service, expect);
    for case in report.cases() {
        let reason = case.reason.as_deref().unwrap_or_default();
        assert_eq!(case.outcome, "fail", "{case:#?}");
        assert!(
            reason.starts_with("expected ") && reason.contains(named),
            "{case:#?}"
        );
    }
    assert_eq!(report.code, Some(1));
}

/// A rule that speaks of a policy is not the policy.
#[test]
fn a_comment_cannot_pass_for_the_policy() {
    let rules = "policy accept; tcp dport 80 drop comment \"policy\"";
    let report = expecting(rules, "tcp/80", "{ drop: { by: policy } }");
    assert!(
        report.cases().iter().all(|case| case.outcome == "fail"),
        "{report:#?}"
    );
    assert_eq!(report.code, Some(1));
}

/// Two rules may read alike; the handle tells them apart, and it is the one that nft lists.
#[test]
fn of_two_rules_that_read_alike_the_handle_tells_which() {
    let candidate = "table inet t {\n chain first {\n  type filter hook input priority 0;\n  \
                     iifname \"eth1\" goto away\n  tcp dport 80 drop\n }\n \
                     chain away {\n  tcp dport 80 drop\n }\n}\n";
    // A chain that is gone to must be there before.
    let candidate = format!("table inet t {{\n chain away {{\n }}\n}}\n{candidate}");
    let folder = Lab::new(&candidate)
        .test("{ name: outside, from: client, to: firewall, service: tcp/80, expect: drop }")
        .test("{ name: inside, from: server, to: firewall, service: tcp/80, expect: drop }")
        .folder();
    let list = ["shell", "lab.yaml", "--", "nft", "-a", "list", "ruleset"];
    let listing = folder.firedrill(&list).stdout;
    let report = folder.report(&[]);
    for case in report.cases() {
        let rule = case.rule.as_ref().expect("a rule dropped it");
        let chain = if case.name.contains("outside") {
            "first"
        } else {
            "away"
        };
        assert_eq!(rule.chain, chain, "{case:#?}");
        let (_, listed) = listing
            .split_once(&format!("chain {chain} {{"))
            .expect("nft lists it");
        let (listed, _) = listed.split_once('}').expect("a chain has an end");
        let handle = rule.handle.expect("a rule has a handle");
        let line = format!("tcp dport 80 drop # handle {handle}");
        assert!(
            listed.lines().any(|listed| listed.trim() == line),
            "{line}\n{listing}"
        );
    }
    assert_eq!(report.code, Some(0));
}
