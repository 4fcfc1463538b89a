//! Problems with tests in the long form.

use insta::assert_snapshot;

use super::problems_of_tests;

/// Long forms with these packets.
fn packets(packets: &[&str]) -> String {
    let tests: Vec<String> = packets
        .iter()
        .map(|packet| format!("{{ from: internet, to: firewall, packet: {packet}, expect: drop }}"))
        .collect();
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    problems_of_tests(&tests)
}

#[test]
fn missing_and_contradicting_keys_of_a_test_are_named() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: empty }",
        "{ from: internet, to: firewall, service: tcp/80, packet: { udp: { dport: 53 } }, expect: drop }",
        "{ from: internet, two: firewall, service: tcp/80, expect: drop }",
        "{ from: internet, to: firewall, service: [], expect: drop }",
        "{ from: internet, to: firewall, service: [tcp/80, tcp/80], expect: drop }",
        "{ from: internet, to: firewall, service: [tcp/81, tpc/82], expect: drop }",
        "{ from: internet, to: firewall, service: tcp/83, expect: drop, family: ip4 }",
        "{ from: internet, to: firewall, service: tcp/84, expect: drop, name: \"a\\nb\" }",
    ]), @r#"
    error: the test has no `from`
      --> test.yaml:11:7
       |
    11 |   - { name: empty }
       |       ^^^^
       |
    help: who sends: a host, `firewall`, or `firewall@INTERFACE` for its address there

    error: the test has no `to`
      --> test.yaml:11:7
       |
    11 |   - { name: empty }
       |       ^^^^
       |
    help: who should receive: a host, `firewall`, or `firewall@INTERFACE`

    error: the test has no `expect`
      --> test.yaml:11:7
       |
    11 |   - { name: empty }
       |       ^^^^
       |
    help: what the firewall should do with it

    error: the test has none of `service` and `packet`
      --> test.yaml:11:7
       |
    11 |   - { name: empty }
       |       ^^^^

    error: the test can have only one of `service` and `packet`
      --> test.yaml:12:54
       |
    12 |   - { from: internet, to: firewall, service: tcp/80, packet: { udp: { dport: 53 } }, expect: drop }
       |                                     -------          ^^^^^^
       |                                     |
       |                                     the first is here

    error: unknown key `two`
      --> test.yaml:13:23
       |
    13 |   - { from: internet, two: firewall, service: tcp/80, expect: drop }
       |                       ^^^ the test has no such key
       |
    help: did you mean `to`?

    error: this test sends nothing
      --> test.yaml:14:37
       |
    14 |   - { from: internet, to: firewall, service: [], expect: drop }
       |                                     ^^^^^^^
       |
    help: name at least one service

    error: `tcp/80` is listed twice
      --> test.yaml:15:59
       |
    15 |   - { from: internet, to: firewall, service: [tcp/80, tcp/80], expect: drop }
       |                                                           ^^

    error: unknown protocol `tpc`
      --> test.yaml:16:55
       |
    16 |   - { from: internet, to: firewall, service: [tcp/81, tpc/82], expect: drop }
       |                                                       ^^^
       |
    help: did you mean `tcp`?

    error: unknown address family `ip4`
      --> test.yaml:17:76
       |
    17 |   - { from: internet, to: firewall, service: tcp/83, expect: drop, family: ip4 }
       |                                                                            ^^^
       |
    help: did you mean `ipv4`?

    error: expected a name, found several lines or control characters
      --> test.yaml:18:74
       |
    18 |   - { from: internet, to: firewall, service: tcp/84, expect: drop, name: "a\nb" }
       |                                                                          ^^^^^^
    "#);
}

#[test]
fn forms_of_a_later_version_are_not_called_typing_errors() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: b, from: internet, to: firewall, only-open: { tcp: [80] } }",
    ]), @r"
    error: `only-open` is not supported in this version
      --> test.yaml:11:46
       |
    11 |   - { name: b, from: internet, to: firewall, only-open: { tcp: [80] } }
       |                                              ^^^^^^^^^
    ");
}

#[test]
fn a_packet_has_one_transport_header() {
    assert_snapshot!(packets(&[
        "{}",
        "{ ttl: 5 }",
        "{ tcp: { dport: 80 }, udp: { dport: 80 } }",
        "{ tpc: { dport: 80 } }",
        "{ sctp: { dport: 80 } }",
        "tcp/80",
    ]), @r"
    error: the packet has none of `tcp`, `udp`, `icmp`, `icmpv4` and `icmpv6`
      --> test.yaml:11:37
       |
    11 |   - { from: internet, to: firewall, packet: {}, expect: drop }
       |                                     ^^^^^^

    error: the packet has none of `tcp`, `udp`, `icmp`, `icmpv4` and `icmpv6`
      --> test.yaml:12:37
       |
    12 |   - { from: internet, to: firewall, packet: { ttl: 5 }, expect: drop }
       |                                     ^^^^^^

    error: the packet can have only one of `tcp` and `udp`
      --> test.yaml:13:67
       |
    13 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80 }, udp: { dport: 80 } }, expect: drop }
       |                                               ---                 ^^^
       |                                               |
       |                                               the first is here

    error: unknown key `tpc`
      --> test.yaml:14:47
       |
    14 |   - { from: internet, to: firewall, packet: { tpc: { dport: 80 } }, expect: drop }
       |                                               ^^^ the packet has no such key
       |
    help: did you mean `tcp`?

    error: `sctp` is not supported in this version
      --> test.yaml:15:47
       |
    15 |   - { from: internet, to: firewall, packet: { sctp: { dport: 80 } }, expect: drop }
       |                                               ^^^^

    error: expected a map, found a text
      --> test.yaml:16:45
       |
    16 |   - { from: internet, to: firewall, packet: tcp/80, expect: drop }
       |                                             ^^^^^^
       |
    help: the packet has the keys `tcp`, `udp`, `icmp`, `icmpv4`, `icmpv6` and `ttl`
    ");
}

#[test]
fn header_fields_are_checked() {
    assert_snapshot!(packets(&[
        "{ tcp: {} }",
        "{ tcp: 80 }",
        "{ tcp: { dport: 0, sport: 65536 } }",
        "{ tcp: { dport: [80, 443] } }",
        "{ tcp: { dprot: 80 } }",
        "{ udp: { dport: 53, flags: [syn] } }",
        "{ udp: { dport: 53 }, ttl: 0 }",
        "{ udp: { dport: 53 }, ttl: 256 }",
        "{ icmp: { code: 0 } }",
        "{ icmp: { type: echo-reqest } }",
        "{ icmpv6: { type: timestamp-request } }",
        "{ icmp: { type: 8 } }",
    ]), @r"
    error: the TCP header has no `dport`
      --> test.yaml:11:47
       |
    11 |   - { from: internet, to: firewall, packet: { tcp: {} }, expect: drop }
       |                                               ^^^
       |
    help: the destination port

    error: expected a map, found a text
      --> test.yaml:12:52
       |
    12 |   - { from: internet, to: firewall, packet: { tcp: 80 }, expect: drop }
       |                                                    ^^
       |
    help: the TCP header has the keys `dport`, `sport` and `flags`

    error: `0` is not a port (1 to 65535)
      --> test.yaml:13:61
       |
    13 |   - { from: internet, to: firewall, packet: { tcp: { dport: 0, sport: 65536 } }, expect: drop }
       |                                                             ^

    error: `65536` is not a port (1 to 65535)
      --> test.yaml:13:71
       |
    13 |   - { from: internet, to: firewall, packet: { tcp: { dport: 0, sport: 65536 } }, expect: drop }
       |                                                                       ^^^^^

    error: expected a port, found a list
      --> test.yaml:14:54
       |
    14 |   - { from: internet, to: firewall, packet: { tcp: { dport: [80, 443] } }, expect: drop }
       |                                                      ^^^^^

    error: unknown key `dprot`
      --> test.yaml:15:54
       |
    15 |   - { from: internet, to: firewall, packet: { tcp: { dprot: 80 } }, expect: drop }
       |                                                      ^^^^^ the TCP header has no such key
       |
    help: did you mean `dport`?

    error: unknown key `flags`
      --> test.yaml:16:65
       |
    16 |   - { from: internet, to: firewall, packet: { udp: { dport: 53, flags: [syn] } }, expect: drop }
       |                                                                 ^^^^^ the UDP header has no such key
       |
    help: known are `dport` and `sport`

    error: `0` is not a TTL (1 to 255)
      --> test.yaml:17:72
       |
    17 |   - { from: internet, to: firewall, packet: { udp: { dport: 53 }, ttl: 0 }, expect: drop }
       |                                                                        ^

    error: `256` is not a TTL (1 to 255)
      --> test.yaml:18:72
       |
    18 |   - { from: internet, to: firewall, packet: { udp: { dport: 53 }, ttl: 256 }, expect: drop }
       |                                                                        ^^^

    error: the ICMP header has no `type`
      --> test.yaml:19:47
       |
    19 |   - { from: internet, to: firewall, packet: { icmp: { code: 0 } }, expect: drop }
       |                                               ^^^^
       |
    help: the type, by the name that nft(8) gives it or by number

    error: unknown ICMP type `echo-reqest`
      --> test.yaml:20:61
       |
    20 |   - { from: internet, to: firewall, packet: { icmp: { type: echo-reqest } }, expect: drop }
       |                                                             ^^^^^^^^^^^
       |
    help: did you mean `echo-request`?

    error: `timestamp-request` exists only in ICMP for IPv4
      --> test.yaml:21:63
       |
    21 |   - { from: internet, to: firewall, packet: { icmpv6: { type: timestamp-request } }, expect: drop }
       |                                                               ^^^^^^^^^^^^^^^^^
       |
    help: write `icmpv4` instead

    error: this number means one thing in ICMP for IPv4 and another in ICMPv6
      --> test.yaml:22:61
       |
    22 |   - { from: internet, to: firewall, packet: { icmp: { type: 8 } }, expect: drop }
       |                                                             ^
       |
    help: write its name, or `icmpv4` or `icmpv6` instead of `icmp`
    ");
}

#[test]
fn tcp_flags_are_checked() {
    assert_snapshot!(packets(&[
        "{ tcp: { dport: 80, flags: [sin] } }",
        "{ tcp: { dport: 80, flags: syn-ack } }",
        "{ tcp: { dport: 80, flags: [syn, syn] } }",
        "{ tcp: { dport: 80, flags: [none] } }",
        "{ tcp: { dport: 80, flags: xmas } }",
        "{ tcp: { dport: 80, flags: { syn: true } } }",
        "{ tcp: { dport: 80, flags: } }",
    ]), @r"
    error: unknown TCP flag `sin`
      --> test.yaml:11:73
       |
    11 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: [sin] } }, expect: drop }
       |                                                                         ^^^
       |
    help: did you mean `fin` or `syn`?

    error: unknown TCP flag `syn-ack`
      --> test.yaml:12:72
       |
    12 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: syn-ack } }, expect: drop }
       |                                                                        ^^^^^^^
       |
    help: write a list: `[syn, ack]`

    error: the flag `syn` is listed twice
      --> test.yaml:13:78
       |
    13 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: [syn, syn] } }, expect: drop }
       |                                                                              ^^^

    error: unknown TCP flag `none`
      --> test.yaml:14:73
       |
    14 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: [none] } }, expect: drop }
       |                                                                         ^^^^
       |
    help: for a segment without flags write `flags: none`

    error: unknown TCP flag `xmas`
      --> test.yaml:15:72
       |
    15 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: xmas } }, expect: drop }
       |                                                                        ^^^^
       |
    help: known are `fin`, `syn`, `rst`, `psh`, `ack`, `urg`, `ece` and `cwr`

    error: expected a list of TCP flags, found a map
      --> test.yaml:16:65
       |
    16 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: { syn: true } } }, expect: drop }
       |                                                                 ^^^^^

    error: expected a list of TCP flags, found nothing
      --> test.yaml:17:65
       |
    17 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, flags: } }, expect: drop }
       |                                                                 ^^^^^
    ");
}
