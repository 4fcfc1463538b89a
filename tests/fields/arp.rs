//! ARP messages, which chains of their own family decide on.

use super::{common::Lab, table::rows};

/// A chain at the input hook of the family `arp`.
fn candidate(policy: &str, rule: &str) -> String {
    format!(
        "table arp t {{\n chain c {{\n  type filter hook input priority 0; policy {policy};\n  {rule}\n }}\n}}\n"
    )
}

fn test(name: &str, packet: &str, expect: &str) -> String {
    format!("{{ name: {name}, from: client, to: firewall, packet: {packet}, expect: {expect} }}")
}

#[track_caller]
fn passes(lab: &Lab) {
    let report = lab.report();
    for case in report.cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    assert_eq!(report.code, Some(0));
}

#[test]
fn every_field_of_arp_decides() {
    let rows = rows();
    let rows: Vec<_> = rows.iter().filter(|row| row.section == "ARP").collect();
    assert!(rows.len() >= 5, "the guide has a table of ARP");
    for row in rows {
        for (verdict, otherwise) in [("drop", "accept"), ("accept", "drop")] {
            let rule = format!("{} {verdict} comment \"field\"", row.rules.concat());
            passes(
                &Lab::new(&candidate(otherwise, &rule))
                    .test(&test(
                        "with",
                        &row.with,
                        &format!("{{ {verdict}: {{ by: field }} }}"),
                    ))
                    .test(&test(
                        "without",
                        &row.without,
                        &format!("{{ {otherwise}: {{ by: policy }} }}"),
                    )),
            );
        }
    }
}

/// Each outcome is asked for, and only the true one holds.
#[test]
fn nothing_but_the_truth_holds_of_arp() {
    for (rule, truth) in [("accept", "accept"), ("drop", "drop")] {
        for expect in ["accept", "drop"] {
            let report = Lab::new(&candidate(
                "accept",
                &format!("arp operation request {rule}"),
            ))
            .test(&test("arp", "{ arp: {} }", expect))
            .report();
            for case in report.cases() {
                assert_eq!(case.verdict, truth, "{case:#?}");
                let outcome = if expect == truth { "pass" } else { "fail" };
                assert_eq!(case.outcome, outcome, "{case:#?}");
            }
        }
    }
}

#[test]
fn arp_that_meets_no_chain_is_accepted() {
    passes(&Lab::new("table inet t {\n}\n").test(&test("arp", "{ arp: {} }", "accept")));
}

/// The family `inet` has no say in ARP, however much it drops.
#[test]
fn a_chain_of_another_family_does_not_decide_on_arp() {
    let inet = candidate("drop", "").replace("arp t", "inet t");
    passes(&Lab::new(&inet).test(&test("arp", "{ arp: {} }", "accept")));
}

#[test]
fn a_rule_at_ingress_decides_on_arp() {
    let candidate = "table netdev t {\n chain c {\n  type filter hook ingress device \"eth0\" priority 0;\n  arp operation request drop\n }\n}\n";
    passes(
        &Lab::new(candidate)
            .test(&test(
                "request",
                "{ arp: {} }",
                "{ drop: { by: arp operation request } }",
            ))
            .test(&test("reply", "{ arp: { operation: reply } }", "accept")),
    );
}

/// A harness that is blind proves nothing of ARP either.
#[test]
fn a_blind_harness_passes_no_arp() {
    for sense in [
        "trace-deaf",
        "trace-overflow",
        "probes-never-enter",
        "candidate-not-loaded",
        "barrier-lost",
        "capture-deaf",
    ] {
        let lab = Lab::new(&candidate("accept", "arp saddr ip 192.0.2.66 drop"))
            .test(&test("passes", "{ arp: {} }", "accept"))
            .test(&test(
                "is dropped",
                "{ arp: { sender: 192.0.2.66 } }",
                "drop",
            ));
        let report = lab.folder().report(&["--blind", sense]);
        for case in report.cases() {
            assert_eq!(case.outcome, "inconclusive", "{sense}: {case:#?}");
        }
        assert_eq!(report.code, Some(3));
    }
}
