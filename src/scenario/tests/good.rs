//! What well-formed scenarios become.

use std::path::{Path, PathBuf};

use rstest::rstest;

use super::{FOLDER, good, sent, with_tests};
use crate::scenario::{ExpectedVerdict, Family, PacketSpec, Party, RejectKind, Route, TcpFlags};

/// The names of the cases of these tests, without the name of the scenario.
fn cases(tests: &[&str]) -> Vec<String> {
    let cases = good(&with_tests(tests)).cases;
    cases
        .iter()
        .map(|case| case.name.replacen("test :: ", "", 1))
        .collect()
}

#[rstest]
#[case::one_port_and_family("db -> office tcp/80: drop", &["db -> office tcp/80 [ipv4]"])]
#[case::every_port_in_every_family("internet -> firewall tcp/80,443: accept", &[
    "internet -> firewall tcp/80 [ipv4]",
    "internet -> firewall tcp/80 [ipv6]",
    "internet -> firewall tcp/443 [ipv4]",
    "internet -> firewall tcp/443 [ipv6]",
])]
#[case::a_range("db -> office udp/8000-8002: drop", &[
    "db -> office udp/8000 [ipv4]",
    "db -> office udp/8001 [ipv4]",
    "db -> office udp/8002 [ipv4]",
])]
#[case::the_sample("db -> office any: drop", &[
    "db -> office any (tcp/22) [ipv4]",
    "db -> office any (tcp/80) [ipv4]",
    "db -> office any (tcp/443) [ipv4]",
    "db -> office any (tcp/50000) [ipv4]",
    "db -> office any (udp/53) [ipv4]",
    "db -> office any (udp/50000) [ipv4]",
    "db -> office any (icmp/echo-request) [ipv4]",
])]
#[case::names_of_services("db -> office tcp/https,ssh,8080: accept", &[
    "db -> office tcp/https [ipv4]",
    "db -> office tcp/ssh [ipv4]",
    "db -> office tcp/8080 [ipv4]",
])]
#[case::a_service_by_its_name("db -> office ssh: accept", &["db -> office ssh [ipv4]"])]
#[case::a_service_of_two_protocols("db -> office dns: accept", &[
    "db -> office dns/udp [ipv4]",
    "db -> office dns/tcp [ipv4]",
])]
#[case::a_scan("db -> office tcp/443 xmas: drop", &["db -> office tcp/443 xmas [ipv4]"])]
#[case::protocols_without_ports("{ from: db, to: office, service: [gre, esp, ah, proto/99, sctp/3868, udplite/53], expect: drop }", &[
    "db -> office gre [ipv4]",
    "db -> office esp [ipv4]",
    "db -> office ah [ipv4]",
    "db -> office proto/99 [ipv4]",
    "db -> office sctp/3868 [ipv4]",
    "db -> office udplite/53 [ipv4]",
])]
#[case::a_type_of_one_family("internet -> firewall icmp/packet-too-big: accept", &[
    "internet -> firewall icmp/packet-too-big [ipv6]",
])]
#[case::a_protocol_of_one_family("internet -> firewall icmpv4/8: accept", &[
    "internet -> firewall icmpv4/8 [ipv4]",
])]
#[case::generous_spaces("internet  ->   firewall@eth1    tcp/80: drop", &[
    "internet -> firewall@eth1 tcp/80 [ipv4]",
])]
#[case::no_space_around_the_arrow("db->office tcp/80: drop", &["db -> office tcp/80 [ipv4]"])]
#[case::a_name("{ name: web, from: db, to: office, service: tcp/80, expect: drop }", &["web [ipv4]"])]
#[case::a_name_for_several("{ name: web, from: db, to: office, service: [\"tcp/80,443\", udp/443], expect: drop }", &[
    "web (tcp/80) [ipv4]",
    "web (tcp/443) [ipv4]",
    "web (udp/443) [ipv4]",
])]
#[case::one_family("{ from: internet, to: firewall, service: tcp/80, family: ipv6, expect: drop }", &[
    "internet -> firewall tcp/80 [ipv6]",
])]
#[case::flags_in_wire_order("{ from: db, to: office, packet: { tcp: { dport: 443, flags: [urg, fin, psh] } }, expect: drop }", &[
    "db -> office tcp/443 flags fin,psh,urg [ipv4]",
])]
#[case::no_flags("{ from: db, to: office, packet: { tcp: { dport: 443, sport: 5, flags: none }, ttl: 1 }, expect: drop }", &[
    "db -> office tcp/443 sport 5 flags none ttl 1 [ipv4]",
])]
#[case::the_usual_flags("{ from: db, to: office, packet: { tcp: { dport: 443, flags: syn } }, expect: drop }", &[
    "db -> office tcp/443 [ipv4]",
])]
#[case::an_icmp_header("{ from: db, to: office, packet: { icmp: { type: destination-unreachable, code: host-unreachable } }, expect: drop }", &[
    "db -> office icmp/destination-unreachable/host-unreachable [ipv4]",
])]
fn a_test_becomes_these_cases(#[case] test: &str, #[case] expected: &[&str]) {
    assert_eq!(cases(&[test]), expected);
}

#[rstest]
#[case("icmp/echo-request", Family::Ipv4, 8, 0)]
#[case("icmp/echo-request", Family::Ipv6, 128, 0)]
#[case("icmp/destination-unreachable", Family::Ipv6, 1, 0)]
#[case("icmp/destination-unreachable/port-unreachable", Family::Ipv4, 3, 3)]
#[case("icmp/destination-unreachable/port-unreachable", Family::Ipv6, 1, 4)]
#[case("icmp/time-exceeded/1", Family::Ipv4, 11, 1)]
#[case("icmp/time-exceeded/1", Family::Ipv6, 3, 1)]
#[case("icmp/nd-neighbor-solicit", Family::Ipv6, 135, 0)]
#[case("icmpv6/255/7", Family::Ipv6, 255, 7)]
fn an_icmp_service_has_the_numbers_of_its_family(
    #[case] service: &str,
    #[case] family: Family,
    #[case] kind: u8,
    #[case] code: u8,
) {
    let scenario = good(&with_tests(&[&format!(
        "internet -> firewall {service}: drop"
    )]));
    let case = scenario.cases.iter().find(|case| case.family == family);
    let packet = case.map(|case| sent(case).packet.clone());
    assert_eq!(packet, Some(PacketSpec::icmp(kind, code)));
}

#[rstest]
#[case("accept", "accept")]
#[case("drop", "drop")]
#[case("reject", "reject")]
#[case("reject tcp-reset", "reject tcp-reset")]
#[case("{ reject: tcp-reset }", "reject tcp-reset")]
#[case("{ reject: { kind: tcp-reset, by: x } }", "reject tcp-reset by \"x\"")]
#[case("{ reject: icmpx-port-unreachable }", "reject icmp-port-unreachable")]
#[case("{ reject: {} }", "reject")]
#[case("{ drop: { by: invalid flags } }", "drop by \"invalid flags\"")]
#[case("{ accept: {} }", "accept")]
#[case(
    "{ accept: { source: 192.0.2.10, destination: 203.0.113.9, by: nat } }",
    "accept with source 192.0.2.10 with destination 203.0.113.9 by \"nat\""
)]
fn an_outcome_is_read_in_both_forms(#[case] written: &str, #[case] meant: &str) {
    let short = good(&with_tests(&[&format!("db -> office tcp/80: {written}")]));
    assert_eq!(sent(&short.cases[0]).expect.to_string(), meant);
    let long = format!("{{ from: db, to: office, service: tcp/80, expect: {written} }}");
    assert_eq!(
        sent(&good(&with_tests(&[&long])).cases[0]).expect,
        sent(&short.cases[0]).expect
    );
}

#[test]
fn every_kind_of_reject_can_be_expected() {
    for kind in RejectKind::ALL {
        let family = match kind {
            RejectKind::PolicyFail | RejectKind::RejectRoute => "ipv6",
            _ => "ipv4",
        };
        let test = format!(
            "{{ from: internet, to: firewall, service: tcp/80, family: {family}, expect: reject {kind} }}"
        );
        let scenario = good(&with_tests(&[&test]));
        assert_eq!(
            sent(&scenario.cases[0]).expect.verdict,
            ExpectedVerdict::Reject(Some(kind))
        );
    }
}

#[test]
fn the_ends_of_a_case_have_addresses_of_its_family() {
    let scenario = good(&with_tests(&[
        "internet -> firewall tcp/80: accept",
        "firewall -> internet tcp/81: accept",
        "internet -> firewall@eth1 tcp/82: drop",
        "internet -> db tcp/83: drop",
    ]));
    let ends: Vec<_> = scenario
        .cases
        .iter()
        .map(sent)
        .map(|sent| {
            (
                sent.from,
                sent.to,
                format!("{} > {}", sent.source, sent.destination),
            )
        })
        .collect();
    let end = |from, to, text: &str| (from, to, text.to_owned());
    use Party::{Firewall, Host};
    assert_eq!(
        ends,
        [
            end(Host(0), Firewall(0), "198.51.100.7 > 192.0.2.10"),
            end(Host(0), Firewall(0), "2001:db8:ffff::7 > 2001:db8::10"),
            end(Firewall(0), Host(0), "192.0.2.10 > 198.51.100.7"),
            end(Firewall(0), Host(0), "2001:db8::10 > 2001:db8:ffff::7"),
            end(Host(0), Firewall(1), "198.51.100.7 > 10.0.0.1"),
            end(Host(0), Host(2), "198.51.100.7 > 10.0.0.5"),
        ]
    );
}

#[test]
fn a_segment_is_a_syn_from_a_free_port_unless_the_packet_says_otherwise() {
    let scenario = good(&with_tests(&[
        "db -> office tcp/80: drop",
        "{ from: db, to: office, packet: { tcp: { dport: 80, sport: 20, flags: [ack, rst] }, ttl: 3 }, expect: drop }",
    ]));
    let usual = PacketSpec::tcp(80, TcpFlags(0x02));
    let mut said = PacketSpec::tcp(80, TcpFlags(0x14));
    said.transport.set_sport(20);
    (said.ttl, said.free_port) = (Some(3), false);
    let packets: Vec<_> = scenario
        .cases
        .iter()
        .map(|case| &sent(case).packet)
        .collect();
    assert_eq!(packets, [&usual, &said]);
}

#[rstest]
#[case("https", 443)]
#[case("tcp/https", 443)]
#[case("tcp/SSH", 22)]
#[case("wireguard", 51820)]
#[case("udp/domain", 53)]
fn a_named_service_has_its_port(#[case] service: &str, #[case] port: u16) {
    let scenario = good(&with_tests(&[&format!("db -> office {service}: drop")]));
    let ports = sent(&scenario.cases[0]).packet.transport.dport();
    assert_eq!(ports, Some(port));
}

#[rstest]
#[case("null", 0x00)]
#[case("fin", 0x01)]
#[case("xmas", 0x29)]
#[case("syn-fin", 0x03)]
#[case("ack", 0x10)]
#[case("syn", 0x02)]
#[case("syn-ack", 0x12)]
#[case("rst", 0x04)]
#[case("data", 0x18)]
fn a_named_segment_has_its_flags(#[case] segment: &str, #[case] flags: u8) {
    let scenario = good(&with_tests(&[&format!(
        "db -> office tcp/80 {segment}: drop"
    )]));
    let expected = PacketSpec::tcp(80, TcpFlags(flags));
    assert_eq!(sent(&scenario.cases[0]).packet, expected);
}

#[test]
fn everything_about_a_firewall_is_read() {
    let scenario = good(
        "
name: 123
purpose: >
  Two lines
  folded into one.
tags: [web, outage-2024-04-05, web]
firewall:
  nftables: ./web.nft
  files: { /etc/nftables.d: ., /etc/web.nft: web.nft }
  interfaces:
    eth0: [192.0.2.10/24, \"2001:db8::10/64\"]
    eth1: 10.0.0.1/31
    tun-x.7: []
  forwarding: false
  routes:
    - default via 192.0.2.1
    - default via 2001:db8::1
    - 10.9.0.0/16 via 10.0.0.0
  sysctl: { net.ipv4.conf.all.rp_filter: 1, net.ipv4.tcp_syncookies: 0x1 }
hosts:
  internet: { behind: eth0, address: 198.51.100.7 }
tests:
  - internet -> firewall tcp/443: accept
",
    );
    assert_eq!(scenario.name, "123");
    assert_eq!(
        scenario.purpose.as_deref(),
        Some("Two lines folded into one.")
    );
    assert_eq!(scenario.tags, ["web", "outage-2024-04-05"]);
    assert_eq!(scenario.file, Path::new(FOLDER).join("test.yaml"));
    let firewall = &scenario.firewall;
    let path = |name: &str| Path::new(FOLDER).join(name);
    assert_eq!(firewall.candidate.main(), path("web.nft"));
    assert_eq!(firewall.candidate.dialect().key, "nftables");
    assert_eq!(firewall.layers, [crate::dialect::Layer::Candidate]);
    assert_eq!(
        firewall.files,
        [
            (PathBuf::from("/etc/nftables.d"), PathBuf::from(FOLDER)),
            (PathBuf::from("/etc/web.nft"), path("web.nft")),
        ]
    );
    assert!(!firewall.forwarding);
    let routes: Vec<String> = firewall.routes.iter().map(show_route).collect();
    assert_eq!(
        routes,
        [
            "0.0.0.0/0 via 192.0.2.1 on 0",
            "::/0 via 2001:db8::1 on 0",
            "10.9.0.0/16 via 10.0.0.0 on 1",
        ]
    );
    let sysctl = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        firewall.sysctl,
        [
            sysctl("net.ipv4.conf.all.rp_filter", "1"),
            sysctl("net.ipv4.tcp_syncookies", "0x1"),
        ]
    );
    assert_eq!(firewall.interfaces[2].name, "tun-x.7");
}

fn show_route(route: &Route) -> String {
    format!(
        "{} via {} on {}",
        route.destination, route.via, route.interface
    )
}

#[test]
fn what_is_not_said_has_its_usual_value() {
    let scenario = good(&with_tests(&["db -> office tcp/80: drop"]));
    assert_eq!(scenario.name, "test");
    assert_eq!(scenario.purpose, None);
    assert!(scenario.tags.is_empty());
    assert!(scenario.firewall.forwarding);
    assert!(scenario.firewall.routes.is_empty());
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let scenario = good(&with_tests(&[
        "&base { name: one, from: db, to: office, service: tcp/80, expect: drop }",
        "{ <<: *base, name: two }",
        "{ <<: [*base], name: three, expect: &no { drop: { by: policy } } }",
        "db -> office tcp/81: *no",
    ]));
    let names: Vec<&str> = scenario
        .cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "test :: one [ipv4]",
            "test :: two [ipv4]",
            "test :: three [ipv4]",
            "test :: db -> office tcp/81 [ipv4]",
        ]
    );
    assert_eq!(
        sent(&scenario.cases[3]).expect.by.as_deref(),
        Some("policy")
    );
}

#[test]
fn a_case_knows_where_its_test_starts() {
    let scenario = good(&with_tests(&[
        "db -> office tcp/80: drop",
        "{ from: db, to: office, service: tcp/81, expect: drop }",
    ]));
    let places: Vec<String> = scenario
        .cases
        .iter()
        .map(|case| case.at.to_string())
        .collect();
    let file = format!("{FOLDER}/test.yaml");
    assert_eq!(places, [format!("{file}:11:5"), format!("{file}:12:7")]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_problem() {
    let text = with_tests(&["db -> office tcp/80: drop"]);
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(good(&windows), good(&text));
}
