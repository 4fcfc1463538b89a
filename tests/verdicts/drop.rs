//! Dropped packets: the kernel's trace names who threw them away.

use rstest::rstest;

use super::{WAYS, Way, chain, common::Lab, proves, proves_by, proves_by_policy, table};

const HERE: [&str; 3] = ["inet", "t", "HOOK"];
const C: [&str; 3] = ["inet", "t", "c"];
const FLOW: &str = "service: tcp/80";
const RULE: &str = "tcp dport 80 drop";

#[rstest]
#[case::tcp("service: tcp/80", "tcp dport 80 drop")]
#[case::udp("service: udp/53", "udp dport 53 drop")]
#[case::ping("service: icmpv4/echo-request", "icmp type echo-request drop")]
#[case::ping_ipv6("service: icmpv6/echo-request", "icmpv6 type echo-request drop")]
#[case::logged("service: tcp/80", "tcp dport 80 log prefix \"no \" drop")]
fn a_rule_drops(#[case] flow: &str, #[case] rule: &str) {
    let lab = Lab::new(&table("", &format!("policy accept; {rule}")));
    proves_by(&lab, &WAYS, flow, "drop", HERE, rule);
}

#[test]
fn a_policy_drops() {
    let lab = Lab::new(&table("", "policy drop; tcp dport 81 accept"));
    let flow = "service: [tcp/80, udp/53, icmp/echo-request]";
    proves_by_policy(&lab, &WAYS, flow, "drop", "inet");
}

/// Places in which a packet meets a chain, other than the usual filter.
#[rstest]
#[case::raw("filter hook prerouting priority raw", &[Way::Input, Way::Forward])]
#[case::mangle("filter hook prerouting priority mangle", &[Way::Input, Way::Forward])]
#[case::very_first("filter hook prerouting priority -2147483648", &[Way::Input, Way::Forward])]
#[case::very_last("filter hook input priority 2147483647", &[Way::Input])]
#[case::raw_output("filter hook output priority raw", &[Way::Output])]
#[case::route("route hook output priority mangle", &[Way::Output])]
#[case::postrouting("filter hook postrouting priority mangle", &[Way::Forward, Way::Output])]
#[case::ingress("filter hook ingress device \"eth0\" priority 0", &[Way::Input, Way::Forward])]
fn a_rule_drops_on_a_hook_of_another_kind(#[case] place: &str, #[case] ways: &[Way]) {
    let lab = Lab::new(&chain(place, RULE));
    proves_by(&lab, ways, FLOW, "drop", C, RULE);
}

/// Chains of type nat see the first packet of a connection, and only where connections are tracked,
/// which the kernel does once a rule asks for it.
#[rstest]
#[case::prerouting("prerouting priority -100", &[Way::Input, Way::Forward])]
#[case::input("input priority 100", &[Way::Input])]
#[case::output("output priority -100", &[Way::Output])]
#[case::postrouting("postrouting priority 100", &[Way::Forward, Way::Output])]
fn a_rule_of_a_nat_chain_drops(#[case] hook: &str, #[case] ways: &[Way]) {
    let rule = "ct state new tcp dport 80 drop";
    let lab = Lab::new(&chain(&format!("nat hook {hook}"), rule));
    proves_by(&lab, ways, FLOW, "drop", C, rule);
}

#[rstest]
#[case::ingress("ingress device \"eth0\"", &[Way::Input, Way::Forward])]
#[case::egress_forward("egress device \"eth1\"", &[Way::Forward])]
#[case::egress_output("egress device \"eth0\"", &[Way::Output])]
fn a_netdev_chain_drops(#[case] hook: &str, #[case] ways: &[Way]) {
    let candidate = chain(&format!("filter hook {hook} priority 0"), RULE);
    let lab = Lab::new(&candidate.replace("inet", "netdev"));
    proves_by(&lab, ways, FLOW, "drop", ["netdev", "t", "c"], RULE);
}

/// Statements by which a packet gets to a drop.
#[rstest]
#[case::jump("tcp dport 80 jump side", "side", "drop")]
#[case::goto("tcp dport 80 goto side", "side", "drop")]
#[case::two_jumps("tcp dport 80 jump middle", "side", "drop")]
#[case::jump_and_return("tcp dport 80 jump empty\n  tcp dport 80 drop", "HOOK", RULE)]
#[case::verdict_map(
    "tcp dport vmap { 80 : drop, 81 : accept }",
    "HOOK",
    "tcp dport vmap { 80 : drop, 81 : accept }"
)]
#[case::named_map("tcp dport vmap @verdicts", "HOOK", "tcp dport vmap @verdicts")]
#[case::map_to_a_jump("tcp dport vmap { 80 : jump side }", "side", "drop")]
#[case::map_to_a_goto("tcp dport vmap { 80 : goto side }", "side", "drop")]
#[case::set("tcp dport { 22, 80 } drop", "HOOK", "tcp dport { 22, 80 } drop")]
fn a_drop_is_found_behind(#[case] statement: &str, #[case] at: &str, #[case] rule: &str) {
    let beside = "map verdicts {\n  type inet_service : verdict\n  elements = { 80 : drop }\n }\n \
                  chain side {\n  drop\n }\n chain middle {\n  goto side\n }\n \
                  chain empty {\n }";
    let lab = Lab::new(&table(beside, &format!("policy accept; {statement}")));
    proves_by(&lab, &WAYS, FLOW, "drop", ["inet", "t", at], rule);
}

/// A goto leaves the chain for good: at its end stands the policy, not the rules behind the goto.
#[test]
fn the_end_of_a_chain_that_was_gone_to_is_the_policy() {
    let side = "chain side {\n  tcp dport 81 accept\n }";
    let lab = Lab::new(&table(side, "policy drop; goto side; accept"));
    proves_by_policy(&lab, &WAYS, FLOW, "drop", "inet");
}

/// An accept is not final where another base chain follows (nft(8), "verdict statements").
#[rstest]
#[case::another_table("inet", "", "priority 10")]
#[case::another_family("ip", "family: ipv4, ", "priority 10")]
#[case::same_priority_but_later("inet", "", "priority 0")]
fn a_later_chain_drops_what_an_earlier_one_accepted(
    #[case] family: &str,
    #[case] narrow: &str,
    #[case] priority: &str,
) {
    let early = table("", "policy drop; tcp dport 80 accept");
    let late = table("", "policy accept; tcp dport 80 drop")
        .replace("inet t", &format!("{family} late"))
        .replace("priority 0", priority);
    let lab = Lab::new(&format!("{early}{late}"));
    let place = [family, "late", "HOOK"];
    proves_by(&lab, &WAYS, &format!("{narrow}{FLOW}"), "drop", place, RULE);
}

/// Rules that know more than the header, or more of it. How nft lists them again differs between
/// its versions.
#[rstest]
#[case::new_without_syn("flags: [ack]", "ct state new drop")]
#[case::invalid_state("flags: [syn, fin]", "ct state invalid drop")]
#[case::xmas(
    "flags: [fin, psh, urg]",
    "tcp flags & (fin | psh | urg) == fin | psh | urg drop"
)]
#[case::no_flags("flags: none", "tcp flags & (fin | syn | rst | ack) == 0x0 drop")]
#[case::over_the_quota("flags: [syn]", "quota over 1 bytes drop")]
fn a_rule_about_more_than_the_port_drops(#[case] flags: &str, #[case] rule: &str) {
    let lab = Lab::new(&table("", &format!("policy accept; {rule}")));
    let flow = format!("packet: {{ tcp: {{ dport: 80, {flags} }} }}");
    for (way, case) in proves(&lab, &[Way::Input, Way::Forward], &flow, "drop") {
        let rule = case.rule.expect("a rule dropped it");
        assert_eq!(
            [&*rule.family, &*rule.table, &*rule.chain],
            ["inet", "t", way.hook()]
        );
        assert_ne!(rule.handle, None, "a rule, not the policy");
    }
}
