//! Accepted packets: they came out, whoever let them.

use rstest::rstest;

use super::{WAYS, Way, common::Lab, policy, proves, proves_by, proves_by_policy, table};

/// Every protocol that a scenario can send.
const EVERYTHING: &str = "service: [tcp/80, udp/53, icmp/echo-request]";
const HERE: [&str; 3] = ["inet", "t", "HOOK"];

#[rstest]
#[case::tcp("service: tcp/80", "tcp dport 80 accept")]
#[case::udp("service: udp/53", "udp dport 53 accept")]
#[case::ping("service: icmpv4/echo-request", "icmp type echo-request accept")]
#[case::ping_ipv6("service: icmpv6/echo-request", "icmpv6 type echo-request accept")]
fn a_rule_accepts(#[case] flow: &str, #[case] rule: &str) {
    let lab = Lab::new(&table("", &format!("policy drop; {rule}")));
    proves_by(&lab, &WAYS, flow, "accept", HERE, rule);
}

#[test]
fn a_policy_accepts() {
    let lab = Lab::new(&table("", "policy accept; tcp dport 81 drop"));
    proves_by_policy(&lab, &WAYS, EVERYTHING, "accept", "inet");
}

#[test]
fn what_meets_no_chain_is_accepted() {
    let lab = Lab::new("table inet t {\n}\n");
    for (_, case) in proves(&lab, &WAYS, EVERYTHING, "accept") {
        assert_eq!((case.rule, case.kernel), (None, None));
    }
}

/// A chain of one family does not see the packets of the other (nft(8), "address families").
#[rstest]
#[case::ip("ip", "ipv4", "ipv6")]
#[case::ip6("ip6", "ipv6", "ipv4")]
fn a_table_of_one_family_decides_for_that_family(
    #[case] family: &str,
    #[case] its: &str,
    #[case] other: &str,
) {
    let lab = Lab::new(&table("", "policy drop;").replace("inet", family));
    let flow = |family: &str| format!("family: {family}, service: tcp/80");
    proves_by_policy(&lab, &WAYS, &flow(its), "drop", family);
    for (_, case) in proves(&lab, &WAYS, &flow(other), "accept") {
        assert_eq!((case.rule, case.kernel), (None, None));
    }
}

#[test]
fn where_an_accepted_packet_came_out_is_told() {
    let lab = Lab::new("table inet t {\n}\n");
    for (way, case) in proves(&lab, &WAYS, EVERYTHING, "accept") {
        let (interface, ipv4, ipv6) = match way {
            Way::Input => (
                None,
                ["198.51.100.7", "192.0.2.1"],
                ["2001:db8:ffff::7", "2001:db8:1::1"],
            ),
            Way::Forward => (
                Some("eth1"),
                ["198.51.100.7", "10.0.0.5"],
                ["2001:db8:ffff::7", "fd00:1::5"],
            ),
            Way::Output => (
                Some("eth0"),
                ["192.0.2.1", "198.51.100.7"],
                ["2001:db8:1::1", "2001:db8:ffff::7"],
            ),
        };
        let arrival = case.arrival.expect("an accepted packet arrived");
        let ends = if case.family == "ipv4" { ipv4 } else { ipv6 };
        assert_eq!(arrival.interface.as_deref(), interface);
        assert_eq!([&*arrival.source, &*arrival.destination], ends);
    }
}

/// The kernel answers with a reset (RFC 9293 section 3.10.7.1) or with port unreachable (RFC 1122
/// section 4.1.3.1) where nobody listens, but no rule did.
#[test]
fn a_closed_port_is_no_reject() {
    let rules = "policy accept; tcp dport 81 reject with tcp reset; udp dport 54 reject";
    let lab = Lab::new(&table("", rules));
    let flow = "service: [tcp/80, udp/53]";
    proves_by_policy(&lab, &[Way::Input], flow, "accept", "inet");
}

/// `accept` ends a base chain, not the packet's way (nft(8), "verdict statements"); the last one that
/// said so has let it pass.
#[test]
fn the_last_of_several_accepting_chains_is_named() {
    let early = WAYS.map(|way| {
        let hook = way.hook();
        format!(
            "chain early_{hook} {{\n  type filter hook {hook} priority -10; policy drop;\n  \
             tcp dport 1-100 accept\n }}\n "
        )
    });
    let lab = Lab::new(&table(&early.concat(), "policy drop; tcp dport 80 accept"));
    proves_by(
        &lab,
        &WAYS,
        "service: tcp/80",
        "accept",
        HERE,
        "tcp dport 80 accept",
    );
}

#[rstest]
fn a_chain_that_returns_leaves_it_to_the_policy(
    #[values("return", "continue", "counter", "log prefix \"seen \"")] statement: &str,
) {
    let side = format!("chain side {{\n  tcp dport 80 {statement}\n }}");
    let lab = Lab::new(&table(&side, "policy accept; tcp dport 80 jump side"));
    proves_by_policy(&lab, &WAYS, "service: tcp/80", "accept", "inet");
}

#[rstest]
#[case::rule("tcp dport 80 accept", "accept")]
#[case::drop("tcp dport 80 drop", "drop")]
#[case::reject("tcp dport 80 reject with tcp reset", "reject")]
fn a_run_in_which_all_expectations_hold_ends_with_success(
    #[case] rule: &str,
    #[case] outcome: &str,
) {
    // A reset is the firewall's own packet: it passes the output chain, one to itself the input chain.
    let resets = "tcp sport 80 accept";
    let lab = Lab::new(&table("", &format!("policy drop; {resets}; {rule}")));
    let lab = WAYS.iter().fold(lab, |lab, way| {
        let (hook, ends) = (way.hook(), way.ends());
        lab.test(&format!(
            "{{ name: {hook}, {ends}, service: tcp/80, expect: {outcome} }}"
        ))
    });
    let lab =
        lab.test("{ name: policy, from: client, to: firewall, service: tcp/79, expect: drop }");
    let report = lab.report();
    let failed: Vec<_> = report
        .cases()
        .into_iter()
        .filter(|case| case.outcome != "pass")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report.code, Some(0));
    assert_eq!(
        report.cases()[0].rule.as_ref().map(|rule| &*rule.chain),
        Some("input")
    );
    assert_eq!(policy("inet", "t", "input"), report.cases()[6].rule);
}
