//! What the kernel throws away itself, and what proves nothing because it could not have worked.

use rstest::rstest;

use super::{WAYS, Way, chain, common::Lab, proves, table};

const NOTHING: &str = "table inet t {\n}\n";
const FLOW: &str = "service: tcp/80";

/// Sees that a flow has this reason of the kernel's own for being dropped.
#[track_caller]
fn proves_kernel(lab: &Lab, ways: &[Way], flow: &str, reason: &str) {
    for (_, case) in proves(lab, ways, flow, "drop") {
        assert_eq!(
            (case.kernel.as_deref(), &case.rule),
            (Some(reason), &None),
            "{case:#?}"
        );
    }
}

/// Sees that a flow is inconclusive whatever is expected, with this in the reason.
#[track_caller]
fn proves_nothing(lab: &Lab, ways: &[Way], flow: &str, why: &str) {
    let mut lab = lab.clone();
    for way in ways {
        for outcome in ["accept", "drop", "reject", "{ drop: { by: policy } }"] {
            let name = format!("{} as {outcome}", way.hook());
            let ends = way.ends();
            lab = lab.test(&format!(
                "{{ name: '{name}', {ends}, {flow}, expect: {outcome} }}"
            ));
        }
    }
    let report = lab.report();
    for case in report.cases() {
        let told = (&*case.verdict, &*case.outcome);
        assert_eq!(told, ("inconclusive", "inconclusive"), "{case:#?}");
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains(why), "{case:#?}");
    }
    assert_eq!(report.code, Some(3));
}

/// The client lies: the firewall reaches that address through eth1.
fn with_a_liar(candidate: &str, rp_filter: u8) -> Lab {
    Lab::new(candidate)
        .firewall("routes: [198.51.100.7/32 via 10.0.0.7, \"2001:db8:ffff::7/128 via fd00:1::7\"]")
        .firewall(&format!(
            "sysctl: {{ net.ipv4.conf.all.rp_filter: {rp_filter} }}"
        ))
}

/// RFC 3704 section 2.2: a source must be reached through the interface that its packet came from.
/// Linux has this filter for IPv4 only.
#[test]
fn the_reverse_path_filter_drops() {
    let lab = with_a_liar(NOTHING, 1);
    let ways = [Way::Input, Way::Forward];
    proves_kernel(
        &lab,
        &ways,
        "family: ipv4, service: [tcp/80, udp/53]",
        "reverse-path-filter",
    );
    proves(&lab, &ways, "family: ipv6, service: tcp/80", "accept");
}

/// Loose mode asks only whether there is a route at all.
#[rstest]
#[case::off(0)]
#[case::loose(2)]
fn without_strict_mode_a_liar_passes(#[case] rp_filter: u8) {
    let lab = with_a_liar(NOTHING, rp_filter);
    proves(&lab, &[Way::Input, Way::Forward], FLOW, "accept");
}

/// A rule before routing drops what the reverse-path filter would have dropped behind it.
#[test]
fn a_rule_in_front_of_the_reverse_path_filter_is_named() {
    let rule = "ip saddr 198.51.100.7 drop";
    let lab = with_a_liar(&chain("filter hook prerouting priority raw", rule), 1);
    let flow = "family: ipv4, service: tcp/80";
    for (_, case) in proves(&lab, &[Way::Input, Way::Forward], flow, "drop") {
        assert_eq!(case.rule.and_then(|rule| rule.text).as_deref(), Some(rule));
    }
}

#[test]
fn a_firewall_that_does_not_forward_drops() {
    let lab = Lab::new(NOTHING).firewall("forwarding: false");
    let flow = "service: [tcp/80, udp/53, icmp/echo-request]";
    proves_kernel(&lab, &[Way::Forward], flow, "forwarding-off");
    proves(&lab, &[Way::Input, Way::Output], flow, "accept");
}

/// RFC 1812 section 5.3.1 and RFC 8200 section 3: a router needs a hop more, a destination does not.
#[test]
fn the_last_hop_is_not_forwarded() {
    let lab = Lab::new(NOTHING);
    let flow = |ttl: u8| format!("packet: {{ ttl: {ttl}, tcp: {{ dport: 80 }} }}");
    proves_kernel(&lab, &[Way::Forward], &flow(1), "time-to-live");
    proves(&lab, &[Way::Forward], &flow(2), "accept");
    proves(&lab, &[Way::Input, Way::Output], &flow(1), "accept");
}

/// What a rule drops before the kernel looks at the hop limit, the rule has dropped.
#[test]
fn a_rule_in_front_of_the_hop_limit_is_named() {
    let lab = Lab::new(&chain("filter hook prerouting priority raw", "drop"));
    let flow = "packet: { ttl: 1, tcp: { dport: 80 } }";
    for (_, case) in proves(&lab, &[Way::Forward], flow, "drop") {
        assert_eq!(
            case.rule.and_then(|rule| rule.text).as_deref(),
            Some("drop")
        );
        assert_eq!(case.kernel, None);
    }
}

/// Nobody can say what a firewall does with a packet that it has no way to send on, not even where a
/// rule drops it first: the rule could be taken away and nothing would change.
#[rstest]
#[case::ipv4("ipv4", "net.ipv4.conf.eth0.forwarding")]
#[case::ipv6("ipv6", "net.ipv6.conf.all.forwarding")]
fn a_drop_on_a_way_that_does_not_work_proves_nothing(#[case] family: &str, #[case] sysctl: &str) {
    let flow = format!("family: {family}, service: tcp/80");
    let broken =
        |candidate: &str| Lab::new(candidate).firewall(&format!("sysctl: {{ {sysctl}: 0 }}"));
    let dropping = broken(&chain("filter hook prerouting priority raw", "drop"));
    let why = "the path does not work without the candidate either";
    proves_nothing(&dropping, &[Way::Forward], &flow, why);
    proves_nothing(&broken(NOTHING), &[Way::Forward], &flow, "");
    proves(&dropping, &[Way::Input], &flow, "drop");
}

#[rstest]
#[case::ipv4("ipv4", "dnat ip to 203.0.113.99")]
#[case::ipv6("ipv6", "dnat ip6 to 2001:db8:dead::99")]
fn a_packet_translated_to_nowhere_proves_nothing(#[case] family: &str, #[case] dnat: &str) {
    let lab = Lab::new(&chain("nat hook prerouting priority -100", dnat));
    let flow = format!("family: {family}, service: tcp/80");
    proves_nothing(&lab, &[Way::Input, Way::Forward], &flow, "came out nowhere");
}

/// Out of the wrong interface is not accepted at the host that was meant.
#[test]
fn what_leaves_by_another_interface_is_misdelivered() {
    let report = with_a_liar(NOTHING, 0)
        .test("{ from: firewall, to: client, service: [tcp/80, udp/53], expect: accept }")
        .test("{ from: server, to: client, service: tcp/80, expect: accept }")
        .report();
    for case in report.cases() {
        let reason = Some("it came out on eth1, not on eth0");
        assert_eq!(
            (&*case.outcome, case.reason.as_deref()),
            ("fail", reason),
            "{case:#?}"
        );
    }
    assert_eq!(report.code, Some(1));
}

/// A rule may give a packet to another part of the kernel, which then does with it what it likes.
#[test]
fn what_is_forwarded_behind_the_stack_s_back_proves_nothing() {
    let rule = "tcp dport 80 fwd to \"eth1\"";
    let candidate = chain("filter hook ingress device \"eth0\" priority 0", rule);
    let lab = Lab::new(&candidate.replace("inet", "netdev"));
    proves_nothing(
        &lab,
        &[Way::Input, Way::Forward],
        FLOW,
        "handed the probe to",
    );
}

#[rstest]
#[case::input("input", Way::Input)]
#[case::forward("forward", Way::Forward)]
fn what_a_proxy_answers_proves_nothing(#[case] hook: &str, #[case] way: Way) {
    let untracked = chain(
        "filter hook prerouting priority raw",
        "tcp dport 80 notrack",
    );
    let rule = "ct state untracked tcp dport 80 synproxy mss 1460 wscale 7";
    let proxy = chain(&format!("filter hook {hook} priority 0"), rule).replace("inet t", "inet p");
    let lab = Lab::new(&format!("{untracked}{proxy}"));
    let flow = "family: ipv4, service: tcp/80";
    proves_nothing(&lab, &[way], flow, "handed the probe to");
}

#[rstest]
#[case::empty("")]
#[case::only_a_comment("# nothing yet\n")]
#[case::only_a_definition("define office = 203.0.113.5\n")]
fn a_candidate_that_changes_nothing_proves_nothing(#[case] candidate: &str) {
    let lab = Lab::new(candidate);
    proves_nothing(&lab, &WAYS, FLOW, "the candidate was not loaded");
}

/// A kernel that throws a packet away is neither a rule nor a policy, whatever they are called.
#[rstest]
fn what_the_kernel_drops_is_by_no_rule_and_no_policy(
    #[values("policy", "drop", "kernel", "forwarding")] by: &str,
) {
    let expect = format!("{{ drop: {{ by: {by} }} }}");
    let report = Lab::new(&table("", "policy drop;"))
        .firewall("forwarding: false")
        .test(&format!(
            "{{ from: client, to: server, {FLOW}, expect: {expect} }}"
        ))
        .report();
    assert_eq!(report.cases()[0].kernel.as_deref(), Some("forwarding-off"));
    assert_eq!(report.code, Some(1), "{report:#?}");
}
