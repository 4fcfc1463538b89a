//! Rejected packets: an error came back, and a rule sent it.

use rstest::rstest;

use super::{WAYS, Way, chain, common::Lab, proves, proves_by, table};

const HERE: [&str; 3] = ["inet", "t", "HOOK"];

/// What nft(8) can send, with the name that a scenario gives it. `tcp reset` is a segment with RST
/// (RFC 9293); the others are ICMP type 3 (RFC 792, RFC 1122, RFC 1812) and ICMPv6 type 1 (RFC 4443).
#[rstest]
#[case("ipv4", "tcp", "tcp reset", "tcp-reset")]
#[case("ipv6", "tcp", "tcp reset", "tcp-reset")]
#[case("ipv4", "tcp", "icmp net-unreachable", "icmp-net-unreachable")]
#[case("ipv4", "udp", "icmp host-unreachable", "icmp-host-unreachable")]
#[case("ipv4", "tcp", "icmp prot-unreachable", "icmp-prot-unreachable")]
#[case("ipv4", "udp", "icmp port-unreachable", "icmp-port-unreachable")]
#[case("ipv4", "tcp", "icmp port-unreachable", "icmp-port-unreachable")]
#[case("ipv4", "udp", "icmp net-prohibited", "icmp-net-prohibited")]
#[case("ipv4", "tcp", "icmp host-prohibited", "icmp-host-prohibited")]
#[case("ipv4", "udp", "icmp admin-prohibited", "icmp-admin-prohibited")]
#[case("ipv6", "tcp", "icmpv6 no-route", "icmp-net-unreachable")]
#[case("ipv6", "udp", "icmpv6 admin-prohibited", "icmp-admin-prohibited")]
#[case("ipv6", "tcp", "icmpv6 addr-unreachable", "icmp-host-unreachable")]
#[case("ipv6", "udp", "icmpv6 port-unreachable", "icmp-port-unreachable")]
#[case("ipv6", "tcp", "icmpv6 policy-fail", "icmp-policy-fail")]
#[case("ipv6", "udp", "icmpv6 reject-route", "icmp-reject-route")]
#[case("ipv4", "tcp", "icmpx no-route", "icmp-net-unreachable")]
#[case("ipv6", "tcp", "icmpx no-route", "icmp-net-unreachable")]
#[case("ipv4", "udp", "icmpx host-unreachable", "icmp-host-unreachable")]
#[case("ipv6", "udp", "icmpx host-unreachable", "icmp-host-unreachable")]
#[case("ipv4", "tcp", "icmpx port-unreachable", "icmp-port-unreachable")]
#[case("ipv6", "tcp", "icmpx port-unreachable", "icmp-port-unreachable")]
#[case("ipv4", "udp", "icmpx admin-prohibited", "icmp-admin-prohibited")]
#[case("ipv6", "udp", "icmpx admin-prohibited", "icmp-admin-prohibited")]
fn a_rule_rejects_with(
    #[case] family: &str,
    #[case] protocol: &str,
    #[case] with: &str,
    #[case] kind: &str,
) {
    let lab = Lab::new(&table(
        "",
        &format!("policy accept; {protocol} dport 80 reject with {with}"),
    ));
    let flow = format!("family: {family}, service: {protocol}/80");
    for (way, case) in proves(&lab, &WAYS, &flow, &format!("reject {kind}")) {
        let rule = case.rule.expect("a rule sent it");
        assert_eq!(
            [&*rule.family, &*rule.table, &*rule.chain],
            ["inet", "t", way.hook()]
        );
        assert_ne!(rule.handle, None);
    }
}

/// A kind that is asked for must be the one that came.
#[rstest]
#[case("tcp", "tcp reset", "tcp-reset")]
#[case("tcp", "icmpx no-route", "icmp-net-unreachable")]
#[case("tcp", "icmpx host-unreachable", "icmp-host-unreachable")]
#[case("udp", "icmpx port-unreachable", "icmp-port-unreachable")]
#[case("udp", "icmpx admin-prohibited", "icmp-admin-prohibited")]
fn only_the_kind_that_was_sent_passes(
    #[case] protocol: &str,
    #[case] with: &str,
    #[case] kind: &str,
) {
    let mut lab = Lab::new(&table(
        "",
        &format!("policy accept; {protocol} dport 80 reject with {with}"),
    ));
    let mut kinds = vec![
        "icmp-net-unreachable",
        "icmp-host-unreachable",
        "icmp-port-unreachable",
        "icmp-admin-prohibited",
    ];
    // A scenario cannot expect anything else to be reset.
    if protocol == "tcp" {
        kinds.push("tcp-reset");
    }
    for kind in &kinds {
        for way in WAYS {
            let (hook, ends) = (way.hook(), way.ends());
            let flow = format!("name: {kind} at {hook}, {ends}, service: {protocol}/80");
            lab = lab.test(&format!("{{ {flow}, expect: reject {kind} }}"));
        }
    }
    let report = lab.report();
    for case in report.cases() {
        let right = case.name.contains(&format!(":: {kind} at"));
        assert_eq!(
            case.outcome,
            if right { "pass" } else { "fail" },
            "{case:#?}"
        );
    }
    assert_eq!(report.code, Some(1));
}

/// The default is port unreachable (nft(8), "reject statement"), for TCP too.
#[test]
fn a_plain_reject_says_port_unreachable() {
    let text = "th dport 80 reject";
    let lab = Lab::new(&table("", &format!("policy accept; {text}")));
    let flow = "service: [tcp/80, udp/80]";
    proves_by(
        &lab,
        &WAYS,
        flow,
        "reject icmp-port-unreachable",
        HERE,
        text,
    );
}

#[rstest]
#[case::ipv4("icmpv4", "icmp")]
#[case::ipv6("icmpv6", "icmpv6")]
fn a_rejected_ping_is_told_so(#[case] service: &str, #[case] protocol: &str) {
    let text = format!("{protocol} type echo-request reject with icmpx admin-prohibited");
    let lab = Lab::new(&table("", &format!("policy accept; {text}")));
    let flow = format!("service: {service}/echo-request");
    proves_by(
        &lab,
        &WAYS,
        &flow,
        "reject icmp-admin-prohibited",
        HERE,
        &text,
    );
}

/// Reject is allowed at prerouting too (nft(8), "reject statement").
#[test]
fn a_reject_before_routing_is_one() {
    let text = "tcp dport 80 reject with tcp reset";
    let lab = Lab::new(&chain("filter hook prerouting priority raw", text));
    let ways = [Way::Input, Way::Forward];
    proves_by(
        &lab,
        &ways,
        "service: tcp/80",
        "reject tcp-reset",
        ["inet", "t", "c"],
        text,
    );
}

#[rstest]
fn a_reject_in_another_chain_is_found(#[values("jump", "goto")] statement: &str) {
    // Where a rule does not say so, nft adds that a reset is about TCP.
    let text = "meta l4proto tcp reject with tcp reset";
    let side = format!("chain side {{\n  {text}\n }}");
    let lab = Lab::new(&table(
        &side,
        &format!("policy accept; tcp dport 80 {statement} side"),
    ));
    let place = ["inet", "t", "side"];
    proves_by(
        &lab,
        &WAYS,
        "service: tcp/80",
        "reject tcp-reset",
        place,
        text,
    );
}

/// Nothing came back, so it was no reject, whatever the rule meant to do.
#[rstest]
#[case::reset("tcp/80", "tcp dport 80 reject with tcp reset")]
#[case::error("udp/80", "udp dport 80 reject with icmpx admin-prohibited")]
fn a_reject_whose_answer_is_dropped_is_a_drop(#[case] service: &str, #[case] text: &str) {
    let output =
        chain("filter hook output priority 10; policy drop", "").replace("inet t", "inet o");
    let lab = Lab::new(&format!(
        "{}{output}",
        table("", &format!("policy accept; {text}"))
    ));
    let ways = [Way::Input, Way::Forward];
    proves_by(
        &lab,
        &ways,
        &format!("service: {service}"),
        "drop",
        HERE,
        text,
    );
}

/// No reset answers a reset (RFC 9293 section 3.5.2), no error an ICMP error (RFC 1122 section 3.2.2,
/// RFC 4443 section 2.4): the silence of such a rule is as it must be, and no lost answer.
#[rstest]
#[case::reset(
    "packet: { tcp: { dport: 80, flags: [rst] } }",
    "tcp dport 80 reject with tcp reset"
)]
#[case::icmp_error(
    "packet: { icmpv4: { type: time-exceeded } }",
    "icmp type time-exceeded reject with icmpx admin-prohibited"
)]
#[case::icmpv6_error(
    "packet: { icmpv6: { type: packet-too-big } }",
    "icmpv6 type packet-too-big reject with icmpx admin-prohibited"
)]
fn what_must_not_be_answered_is_dropped_by_a_rule_that_rejects(
    #[case] packet: &str,
    #[case] text: &str,
) {
    let lab = Lab::new(&table("", &format!("policy accept; {text}")));
    let ways = [Way::Input, Way::Forward];
    proves_by(&lab, &ways, packet, "drop", HERE, text);
}

/// The firewall's own program hears nothing either, if its chain drops the answer.
#[test]
fn a_reject_of_the_firewall_s_own_packet_needs_chains_that_let_the_answer_back() {
    let text = "tcp dport 80 reject with tcp reset";
    let deaf = Lab::new(&table("", &format!("policy drop; {text}")));
    proves_by(&deaf, &[Way::Output], "service: tcp/80", "drop", HERE, text);
    let loopback = format!("policy drop; iifname \"lo\" accept; oifname \"lo\" accept; {text}");
    let lab = Lab::new(&table("", &loopback));
    for (_, case) in proves(&lab, &[Way::Output], "service: tcp/80", "reject tcp-reset") {
        assert_eq!(case.rule.and_then(|rule| rule.text).as_deref(), Some(text));
    }
}
