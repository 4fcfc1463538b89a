//! The nearest packet that passes. Which one that is follows from the ruleset.

use rstest::rstest;

use super::{common::Lab, nearest};

/// One condition more than `RULE` each.
fn rules(rule: &str) -> String {
    format!(
        "table inet t {{\n  chain i {{\n    type filter hook input priority 0; policy drop\n    {rule}\n  }}\n  \
         chain f {{\n    type filter hook forward priority 0; policy drop\n    {rule}\n  }}\n}}\n"
    )
}

#[rstest]
#[case::a_port("tcp dport 8443 accept", &["to tcp/8443"])]
#[case::a_host("ip saddr 203.0.113.5 accept", &["from office (203.0.113.5)"])]
#[case::an_address("ip saddr 203.0.113.77 tcp dport 443 accept", &["from 203.0.113.77"])]
#[case::a_network("ip saddr 192.0.2.128/25 accept", &["from 192.0.2.129"])]
#[case::an_interface(
    "iifname eth1 tcp dport 443 accept", &["from server (10.0.0.5), in through eth1", "in through eth1"]
)]
#[case::a_state("ct state established accept", &["as the answer in a connection that the firewall opened"])]
#[case::a_protocol("udp dport 443 accept", &["as udp/443"])]
#[case::two_at_once("ip saddr 203.0.113.5 tcp dport 8443 accept", &["from office (203.0.113.5) to tcp/8443"])]
#[case::nothing("tcp dport 443 ip dscp 17 accept", &[])]
fn the_nearest_packet_is_the_one_that_the_rule_asks_for(
    #[case] rule: &str,
    #[case] expected: &[&str],
) {
    let folder = Lab::new(&rules(rule))
        .host("office: { behind: eth0, address: 203.0.113.5 }")
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/443", "--family", "ipv4"]);
    let packet = told.only();
    assert_eq!(packet["steps"][0]["verdict"], "drop");
    assert_eq!(nearest(packet), expected, "{:#}", packet["nearest"]);
    assert!(packet["nearest"]["tried"].as_u64() > Some(5), "{packet:#}");
    assert_eq!(told.code, Some(0));
}

#[test]
fn the_firewall_s_own_packets_may_go_elsewhere() {
    let rules = "table inet t {\n  chain o {\n    type filter hook output priority 0; policy drop\n    \
                 ip daddr 10.0.0.5 tcp dport 5432 accept\n  }\n}\n";
    let folder = Lab::new(rules)
        .host("other: { behind: eth1, address: 10.0.0.6 }")
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "firewall -> other tcp/5432"]);
    assert_eq!(nearest(told.only()), ["to server (10.0.0.5)"]);
}

/// Where many packets are asked for there is time for fewer others, and still for one of each kind.
#[test]
fn of_many_packets_each_has_others_of_every_kind() {
    let folder = Lab::new(&rules("ct state established accept"))
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&[
        "lab.yaml",
        "client -> firewall tcp/1000-1039",
        "--family",
        "ipv4",
    ]);
    let packets = told.report["packets"].as_array().expect("a list");
    assert_eq!(packets.len(), 40);
    for packet in packets {
        assert_eq!(
            nearest(packet),
            ["as the answer in a connection that the firewall opened"]
        );
    }
}

#[test]
fn an_accepted_packet_needs_no_other() {
    let folder = Lab::new(&rules("tcp dport 443 accept"))
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/443", "--family", "ipv4"]);
    assert!(told.only().get("nearest").is_none(), "{:#}", told.report);
}

/// What earlier packets left in the memory of a rule does not decide: the third within a minute is tried alone.
#[test]
fn what_a_rule_remembers_of_the_packets_before_does_not_decide() {
    let rule = "tcp dport { 80, 81, 82 } limit rate 1/hour burst 1 packets accept";
    let folder = Lab::new(&rules(rule))
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/443", "--family", "ipv4"]);
    assert_eq!(
        nearest(told.only()),
        ["to tcp/80", "to tcp/81", "to tcp/82"]
    );
}
