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
fn a_packet_has_one_transport_header() {
    assert_snapshot!(packets(&[
        "{}",
        "{ ttl: 5 }",
        "{ tcp: { dport: 80 }, udp: { dport: 80 } }",
        "{ tpc: { dport: 80 } }",
        "{ mark: 5 }",
        "tcp/80",
    ]), @r"
    error: the packet has none of `tcp`, `udp`, `udplite`, `sctp`, `icmp`, `icmpv4`, `icmpv6`, `igmp`, `gre`, `esp`, `ah`, `ospf`, `vrrp`, `arp`, `protocol`, `hex` and `pcap`
      --> test.yaml:11:37
       |
    11 |   - { from: internet, to: firewall, packet: {}, expect: drop }
       |                                     ^^^^^^

    error: the packet has none of `tcp`, `udp`, `udplite`, `sctp`, `icmp`, `icmpv4`, `icmpv6`, `igmp`, `gre`, `esp`, `ah`, `ospf`, `vrrp`, `arp`, `protocol`, `hex` and `pcap`
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

    error: `mark` is not supported in this version
      --> test.yaml:15:47
       |
    15 |   - { from: internet, to: firewall, packet: { mark: 5 }, expect: drop }
       |                                               ^^^^

    error: expected a map, found a text
      --> test.yaml:16:45
       |
    16 |   - { from: internet, to: firewall, packet: tcp/80, expect: drop }
       |                                             ^^^^^^
       |
    help: the packet has the keys `tcp`, `udp`, `udplite`, `sctp`, `icmp`, `icmpv4`, `icmpv6`, `igmp`, `gre`, `esp`, `ah`, `ospf`, `vrrp`, `arp`, `protocol`, `hex`, `pcap`, `payload`, `ether`, `ip`, `ipv4`, `ipv6`, `ttl`, `fragments` and `truncate`
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
    help: the TCP header has the keys `dport`, `sport`, `flags`, `seq`, `ack`, `window`, `urgent`, `reserved`, `offset`, `options`, `checksum` and `payload`

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
    help: known are `dport`, `sport`, `length`, `checksum` and `payload`

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

#[test]
fn a_field_that_cannot_stand_in_the_packet_is_refused() {
    assert_snapshot!(packets(&[
        "{ icmp: { type: echo-request, dport: 80 } }",
        "{ ipv6: { options: [router-alert] }, udp: { dport: 53 } }",
        "{ ipv4: { flow-label: 7 }, udp: { dport: 53 } }",
        "{ ip: { ttl: 7 }, ipv4: { id: 7 }, udp: { dport: 53 } }",
        "{ ipv4: { id: 7 }, icmpv6: { type: echo-request } }",
        "{ ip: { source: 10.0.0.1, destination: \"2001:db8::1\" }, udp: { dport: 53 } }",
        "{ ipv6: { source: 10.0.0.1 }, udp: { dport: 53 } }",
        "{ payload: x, udp: { dport: 53 } }",
        "{ icmp: { type: echo-request, mtu: 1300 } }",
        "{ icmpv4: { type: redirect, target: \"2001:db8::1\" } }",
        "{ icmp: { type: echo-request, quote: { tcp: { dport: 80 } } } }",
        "{ icmpv4: { type: time-exceeded, payload: x, quote: { tcp: { dport: 80 } } } }",
        "{ igmp: { type: leave-group, group: \"ff02::1\" } }",
        "{ ip: { fragment: { id: 7 } }, udp: { dport: 53 } }",
        "{ ip: { fragment: {} }, fragments: { size: 8 }, udp: { dport: 53 } }",
        "{ truncate: 30, fragments: { size: 8 }, udp: { dport: 53 } }",
        "{ ttl: 7, ip: { ttl: 8 }, udp: { dport: 53 } }",
    ]), @r#"
    error: unknown key `dport`
      --> test.yaml:11:75
       |
    11 |   - { from: internet, to: firewall, packet: { icmp: { type: echo-request, dport: 80 } }, expect: drop }
       |                                                                           ^^^^^ the ICMP header has no such key
       |
    help: known are `type`, `code`, `id`, `sequence`, `mtu`, `target`, `quote`, `checksum` and `payload`

    error: unknown key `options`
      --> test.yaml:12:55
       |
    12 |   - { from: internet, to: firewall, packet: { ipv6: { options: [router-alert] }, udp: { dport: 53 } }, expect: drop }
       |                                                       ^^^^^^^ the IPv6 header has no such key
       |
    help: known are `source`, `destination`, `hop-limit`, `dscp`, `ecn`, `fragment`, `flow-label`, `extensions`, `next-header`, `payload-length` and `version`

    error: unknown key `flow-label`
      --> test.yaml:13:55
       |
    13 |   - { from: internet, to: firewall, packet: { ipv4: { flow-label: 7 }, udp: { dport: 53 } }, expect: drop }
       |                                                       ^^^^^^^^^^ the IPv4 header has no such key

    error: the packet can have only one of `ip` and `ipv4`
      --> test.yaml:14:63
       |
    14 |   - { from: internet, to: firewall, packet: { ip: { ttl: 7 }, ipv4: { id: 7 }, udp: { dport: 53 } }, expect: drop }
       |                                               --              ^^^^
       |                                               |
       |                                               the first is here

    error: this part of the packet exists only in IPv4
      --> test.yaml:15:47
       |
    15 |   - { from: internet, to: firewall, packet: { ipv4: { id: 7 }, icmpv6: { type: echo-request } }, expect: drop }
       |                                               ^^^^             ------ and this only in IPv6

    error: this part of the packet exists only in IPv6
      --> test.yaml:16:47
       |
    16 |   - { from: internet, to: firewall, packet: { ip: { source: 10.0.0.1, destination: "2001:db8::1" }, udp: { dport: 53 } }, expect: dr...
       |                                               ^^

    error: this part of the packet exists only in IPv4
      --> test.yaml:17:47
       |
    17 |   - { from: internet, to: firewall, packet: { ipv6: { source: 10.0.0.1 }, udp: { dport: 53 } }, expect: drop }
       |                                               ^^^^

    error: the payload belongs inside `udp`
      --> test.yaml:18:56
       |
    18 |   - { from: internet, to: firewall, packet: { payload: x, udp: { dport: 53 } }, expect: drop }
       |                                                        ^

    error: `echo-request` is no error and tells no MTU
      --> test.yaml:19:80
       |
    19 |   - { from: internet, to: firewall, packet: { icmp: { type: echo-request, mtu: 1300 } }, expect: drop }
       |                                                                                ^^^^

    error: `redirect` is no neighbour discovery with a target
      --> test.yaml:20:82
       |
    20 |   - { from: internet, to: firewall, packet: { icmpv4: { type: redirect, target: "2001:db8::1" } }, expect: drop }
       |                                                                                  ^^^^^^^^^^^

    error: `echo-request` is no error and quotes nothing
      --> test.yaml:21:75
       |
    21 |   - { from: internet, to: firewall, packet: { icmp: { type: echo-request, quote: { tcp: { dport: 80 } } } }, expect: drop }
       |                                                                           ^^^^^

    error: the message can have only one of `quote` and `payload`
      --> test.yaml:22:87
       |
    22 |   - { from: internet, to: firewall, packet: { icmpv4: { type: time-exceeded, payload: x, quote: { tcp: { dport: 80 } } } }, expect: ...
       |                                                                                       ^  ----- the first is here

    error: IGMP is about groups of IPv4
      --> test.yaml:23:82
       |
    23 |   - { from: internet, to: firewall, packet: { igmp: { type: leave-group, group: "ff02::1" } }, expect: drop }
       |                                                                                  ^^^^^^^

    error: only IPv6 has an identification in its fragment header
      --> test.yaml:24:69
       |
    24 |   - { from: internet, to: firewall, packet: { ip: { fragment: { id: 7 } }, udp: { dport: 53 } }, expect: drop }
       |                                                                     ^

    error: a packet that is a fragment is not cut into fragments
      --> test.yaml:25:69
       |
    25 |   - { from: internet, to: firewall, packet: { ip: { fragment: {} }, fragments: { size: 8 }, udp: { dport: 53 } }, expect: drop }
       |                                                                     ^^^^^^^^^

    error: the packet can have only one of `fragments` and `truncate`
      --> test.yaml:26:47
       |
    26 |   - { from: internet, to: firewall, packet: { truncate: 30, fragments: { size: 8 }, udp: { dport: 53 } }, expect: drop }
       |                                               ^^^^^^^^      --------- the first is here

    error: the TTL stands in `ip` already
      --> test.yaml:27:52
       |
    27 |   - { from: internet, to: firewall, packet: { ttl: 7, ip: { ttl: 8 }, udp: { dport: 53 } }, expect: drop }
       |                                                    ^
    "#);
}

#[test]
fn values_of_fields_are_checked() {
    assert_snapshot!(packets(&[
        "{ tcp: { dport: 80, seq: 4294967296, window: -1, ack: 0xg } }",
        "{ tcp: { dport: 80, checksum: wrong, payload: \"hex:123\" } }",
        "{ tcp: { dport: 80, payload: \"hex:zz\" } }",
        "{ tcp: { dport: 80, payload: { size: 9000 } } }",
        "{ tcp: { dport: 80, payload: [1, 2] } }",
        "{ tcp: { dport: 80, options: { timestamps: [1] } } }",
        "{ tcp: { dport: 80, options: { raw: \"hex:0101010101010101010101010101010101010101010101010101010101010101010101010101010101\" } } }",
        "{ ip: { dscp: gold }, udp: { dport: 53 } }",
        "{ ip: { dscp: 64, ecn: 4 }, udp: { dport: 53 } }",
        "{ ipv4: { options: [loose-source-route] }, udp: { dport: 53 } }",
        "{ ipv4: { options: [router-alarm] }, udp: { dport: 53 } }",
        "{ ipv4: { options: [{ strict-source-route: \"2001:db8::1\" }] }, udp: { dport: 53 } }",
        "{ ipv4: { options: [record-route, record-route, record-route] }, udp: { dport: 53 } }",
        "{ ipv6: { extensions: [hopbyhop] }, udp: { dport: 53 } }",
        "{ ether: { source: 02-00-00-00-00-01 }, udp: { dport: 53 } }",
        "{ ether: { vlan: 4096 }, udp: { dport: 53 } }",
        "{ fragments: { size: 10 }, udp: { dport: 53 } }",
        "{ fragments: { size: 16, overlap: 16 }, udp: { dport: 53 } }",
        "{ fragments: { size: 16, send: [0] }, udp: { dport: 53 } }",
        "{ sctp: { dport: 80, chunks: [inti] } }",
        "{ protocol: 255 }",
    ]), @r#"
    error: `4294967296` is not a value for `seq` (0 to 4294967295)
      --> test.yaml:11:70
       |
    11 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, seq: 4294967296, window: -1, ack: 0xg } }, expect: drop }
       |                                                                      ^^^^^^^^^^

    error: `-1` is not a value for `window` (0 to 65535)
      --> test.yaml:11:90
       |
    11 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, seq: 4294967296, window: -1, ack: 0xg } }, expect: drop }
       |                                                                                          ^^

    error: `0xg` is not a value for `ack` (0 to 4294967295)
      --> test.yaml:11:99
       |
    11 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, seq: 4294967296, window: -1, ack: 0xg } }, expect: drop }
       |                                                                                                   ^^^

    error: `wrong` is not a checksum (0 to 65535)
      --> test.yaml:12:75
       |
    12 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, checksum: wrong, payload: "hex:123" } }, expect: drop }
       |                                                                           ^^^^^

    error: an odd number of hexadecimal digits is no bytes
      --> test.yaml:12:91
       |
    12 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, checksum: wrong, payload: "hex:123" } }, expect: drop }
       |                                                                                           ^^^^^^^^^

    error: `z` is not a hexadecimal digit
      --> test.yaml:13:74
       |
    13 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, payload: "hex:zz" } }, expect: drop }
       |                                                                          ^^^^^^^^

    error: `9000` is not a value for `size` (0 to 1400)
      --> test.yaml:14:82
       |
    14 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, payload: { size: 9000 } } }, expect: drop }
       |                                                                                  ^^^^

    error: expected a text or `hex:` and digits, found a list
      --> test.yaml:15:65
       |
    15 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, payload: [1, 2] } }, expect: drop }
       |                                                                 ^^^^^^^

    error: expected a list of two numbers
      --> test.yaml:16:76
       |
    16 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, options: { timestamps: [1] } } }, expect: drop }
       |                                                                            ^^^^^^^^^^

    error: these options have 41 bytes, and TCP has room for 40
      --> test.yaml:17:65
       |
    17 |   - { from: internet, to: firewall, packet: { tcp: { dport: 80, options: { raw: "hex:01010101010101010101010101010101010101010101010...
       |                                                                 ^^^^^^^

    error: unknown dscp `gold`
      --> test.yaml:18:59
       |
    18 |   - { from: internet, to: firewall, packet: { ip: { dscp: gold }, udp: { dport: 53 } }, expect: drop }
       |                                                           ^^^^

    error: `64` is not a value for `dscp` (0 to 63)
      --> test.yaml:19:59
       |
    19 |   - { from: internet, to: firewall, packet: { ip: { dscp: 64, ecn: 4 }, udp: { dport: 53 } }, expect: drop }
       |                                                           ^^

    error: `4` is not a value for `ecn` (0 to 3)
      --> test.yaml:19:68
       |
    19 |   - { from: internet, to: firewall, packet: { ip: { dscp: 64, ecn: 4 }, udp: { dport: 53 } }, expect: drop }
       |                                                                    ^

    error: unknown IPv4 option `loose-source-route`
      --> test.yaml:20:65
       |
    20 |   - { from: internet, to: firewall, packet: { ipv4: { options: [loose-source-route] }, udp: { dport: 53 } }, expect: drop }
       |                                                                 ^^^^^^^^^^^^^^^^^^
       |
    help: say through which addresses: `{ loose-source-route: [192.0.2.1] }`

    error: unknown IPv4 option `router-alarm`
      --> test.yaml:21:65
       |
    21 |   - { from: internet, to: firewall, packet: { ipv4: { options: [router-alarm] }, udp: { dport: 53 } }, expect: drop }
       |                                                                 ^^^^^^^^^^^^
       |
    help: did you mean `router-alert`?

    error: `2001:db8::1` is no IPv4 address
      --> test.yaml:22:89
       |
    22 |   - { from: internet, to: firewall, packet: { ipv4: { options: [{ strict-source-route: "2001:db8::1" }] }, udp: { dport: 53 } }, exp...
       |                                                                                         ^^^^^^^^^^^

    error: these options have 45 bytes, and IPv4 has room for 40
      --> test.yaml:23:55
       |
    23 |   - { from: internet, to: firewall, packet: { ipv4: { options: [record-route, record-route, record-route] }, udp: { dport: 53 } }, e...
       |                                                       ^^^^^^^

    error: unknown extension header `hopbyhop`
      --> test.yaml:24:68
       |
    24 |   - { from: internet, to: firewall, packet: { ipv6: { extensions: [hopbyhop] }, udp: { dport: 53 } }, expect: drop }
       |                                                                    ^^^^^^^^
       |
    help: did you mean `hop-by-hop`?

    error: `02-00-00-00-00-01` is not an Ethernet address
      --> test.yaml:25:64
       |
    25 |   - { from: internet, to: firewall, packet: { ether: { source: 02-00-00-00-00-01 }, udp: { dport: 53 } }, expect: drop }
       |                                                                ^^^^^^^^^^^^^^^^^
       |
    help: write six bytes, `02:00:5e:10:00:01`, or `broadcast`

    error: `4096` is not a VLAN (0 to 4095)
      --> test.yaml:26:62
       |
    26 |   - { from: internet, to: firewall, packet: { ether: { vlan: 4096 }, udp: { dport: 53 } }, expect: drop }
       |                                                              ^^^^

    error: 10 is no multiple of 8, as fragments are cut
      --> test.yaml:27:66
       |
    27 |   - { from: internet, to: firewall, packet: { fragments: { size: 10 }, udp: { dport: 53 } }, expect: drop }
       |                                                                  ^^

    error: a fragment reaches back less than its own size
      --> test.yaml:28:79
       |
    28 |   - { from: internet, to: firewall, packet: { fragments: { size: 16, overlap: 16 }, udp: { dport: 53 } }, expect: drop }
       |                                                                               ^^

    error: `0` is not the number of a fragment (1 to 200)
      --> test.yaml:29:77
       |
    29 |   - { from: internet, to: firewall, packet: { fragments: { size: 16, send: [0] }, udp: { dport: 53 } }, expect: drop }
       |                                                                             ^

    error: unknown SCTP chunk `inti`
      --> test.yaml:30:75
       |
    30 |   - { from: internet, to: firewall, packet: { sctp: { dport: 80, chunks: [inti] } }, expect: drop }
       |                                                                           ^^^^
       |
    help: did you mean `init`?

    error: `255` is not a protocol number (1 to 254)
      --> test.yaml:31:57
       |
    31 |   - { from: internet, to: firewall, packet: { protocol: 255 }, expect: drop }
       |                                                         ^^^
    "#);
}

#[test]
fn a_field_that_the_firewall_s_kernel_writes_is_refused_where_the_firewall_sends() {
    let tests: Vec<String> = [
        "{ ether: { source: \"02:00:00:00:00:01\" }, udp: { dport: 53 } }",
        "{ ipv4: { checksum: bad }, udp: { dport: 53 } }",
        "{ ipv4: { total-length: 30 }, udp: { dport: 53 } }",
    ]
    .iter()
    .map(|packet| format!("{{ from: firewall, to: internet, packet: {packet}, expect: drop }}"))
    .collect();
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    assert_snapshot!(problems_of_tests(&tests), @r#"
    error: `ether` cannot be said of a packet that the firewall itself sends
      --> test.yaml:11:47
       |
    11 |   - { from: firewall, to: internet, packet: { ether: { source: "02:00:00:00:00:01" }, udp: { dport: 53 } }, expect: drop }
       |                                               ^^^^^ its kernel writes this part

    error: `checksum` cannot be said of a packet that the firewall itself sends
      --> test.yaml:12:47
       |
    12 |   - { from: firewall, to: internet, packet: { ipv4: { checksum: bad }, udp: { dport: 53 } }, expect: drop }
       |                                               ^^^^ its kernel writes this part

    error: `total-length` cannot be said of a packet that the firewall itself sends
      --> test.yaml:13:47
       |
    13 |   - { from: firewall, to: internet, packet: { ipv4: { total-length: 30 }, udp: { dport: 53 } }, expect: drop }
       |                                               ^^^^ its kernel writes this part
    "#);
}

#[test]
fn packets_quote_each_other_only_so_deep() {
    let quote = |inner: &str| format!("{{ icmpv4: {{ type: time-exceeded, quote: {inner} }} }}");
    let deep = (0..5).fold("{ udp: { dport: 53 } }".to_owned(), |inner, _| {
        quote(&inner)
    });
    let shown = packets(&[&deep]);
    assert!(
        shown.contains("packets quote each other at most 4 deep"),
        "{shown}"
    );
}

#[test]
fn a_packet_that_no_link_carries_is_refused() {
    let padding = format!("{{ type: destination, data: \"hex:{}\" }}", "00".repeat(70));
    let long = format!(
        "{{ ipv6: {{ extensions: [{padding}] }}, udp: {{ dport: 53, payload: {{ size: 1400 }} }} }}"
    );
    let shown = packets(&[&long]);
    assert!(
        shown.contains("this packet has 1520 bytes, and the links of the lab carry 1500"),
        "{shown}"
    );
    let missing =
        "{ fragments: { size: 16, send: [9] }, udp: { dport: 53, payload: { size: 32 } } }";
    let shown = packets(&[missing]);
    assert!(
        shown.contains("none of the fragments that are to be sent exists"),
        "{shown}"
    );
}

#[test]
fn whole_packets_are_checked() {
    assert_snapshot!(packets(&[
        "{ hex: xyz }",
        "{ hex: \"4500 001c 0\" }",
        "{ hex: \"4500 001c\" }",
        "{ hex: \"0000000000000000000000000000000000000000\" }",
        "{ hex: \"4500001c000100004000f96ec6336407c000020a\", ttl: 5 }",
        "{ hex: \"4500001c000100004000f96ec6336407c000020a\", fragments: { size: 8 } }",
        "{ pcap: { packet: 1 } }",
        "{ pcap: { file: missing.pcap } }",
        "{ pcap: { file: web.nft } }",
        "{ pcap: { file: one.pcap, packet: 2 } }",
        "{ pcap: { file: one.pcap, packet: 0 } }",
    ]), @r#"
    error: `x` is not a hexadecimal digit
      --> test.yaml:11:52
       |
    11 |   - { from: internet, to: firewall, packet: { hex: xyz }, expect: drop }
       |                                                    ^^^

    error: an odd number of hexadecimal digits is no bytes
      --> test.yaml:12:53
       |
    12 |   - { from: internet, to: firewall, packet: { hex: "4500 001c 0" }, expect: drop }
       |                                                     ^^^^^^^^^^^

    error: these bytes do not begin with an IP header
      --> test.yaml:13:53
       |
    13 |   - { from: internet, to: firewall, packet: { hex: "4500 001c" }, expect: drop }
       |                                                     ^^^^^^^^^
       |
    help: a packet begins with the 20 bytes of IPv4 or the 40 bytes of IPv6

    error: these bytes do not begin with an IP header
      --> test.yaml:14:53
       |
    14 |   - { from: internet, to: firewall, packet: { hex: "0000000000000000000000000000000000000000" }, expect: drop }
       |                                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: a packet begins with the 20 bytes of IPv4 or the 40 bytes of IPv6

    error: `hex` is a whole packet, so `ttl` says nothing here
      --> test.yaml:15:101
       |
    15 |   - { from: internet, to: firewall, packet: { hex: "4500001c000100004000f96ec6336407c000020a", ttl: 5 }, expect: drop }
       |                                                                                                     ^

    error: `hex` is a whole packet, so `fragments` says nothing here
      --> test.yaml:16:96
       |
    16 |   - { from: internet, to: firewall, packet: { hex: "4500001c000100004000f96ec6336407c000020a", fragments: { size: 8 } }, expect: drop }
       |                                                                                                ^^^^^^^^^

    error: the capture has no `file`
      --> test.yaml:17:47
       |
    17 |   - { from: internet, to: firewall, packet: { pcap: { packet: 1 } }, expect: drop }
       |                                               ^^^^
       |
    help: the capture, a pcap or pcapng file, relative to this file

    error: the capture `missing.pcap` does not exist
      --> test.yaml:18:61
       |
    18 |   - { from: internet, to: firewall, packet: { pcap: { file: missing.pcap } }, expect: drop }
       |                                                             ^^^^^^^^^^^^

    error: the capture `web.nft` is no pcap and no pcapng file
      --> test.yaml:19:61
       |
    19 |   - { from: internet, to: firewall, packet: { pcap: { file: web.nft } }, expect: drop }
       |                                                             ^^^^^^^

    error: the capture `one.pcap` has one packet only
      --> test.yaml:20:61
       |
    20 |   - { from: internet, to: firewall, packet: { pcap: { file: one.pcap, packet: 2 } }, expect: drop }
       |                                                             ^^^^^^^^

    error: `0` is not a value for `packet` (1 to 4294967295)
      --> test.yaml:21:79
       |
    21 |   - { from: internet, to: firewall, packet: { pcap: { file: one.pcap, packet: 0 } }, expect: drop }
       |                                                                               ^
    "#);
}

#[test]
fn arp_is_checked() {
    assert_snapshot!(problems_of_tests(&[
        "{ from: internet, to: firewall, packet: { arp: { operation: ask } }, expect: drop }",
        "{ from: internet, to: firewall, packet: { arp: { sender: \"2001:db8::1\" } }, expect: drop }",
        "{ from: internet, to: firewall, packet: { arp: {}, ttl: 5 }, expect: drop }",
        "{ from: internet, to: firewall, packet: { arp: {} }, family: ipv6, expect: drop }",
        "{ from: firewall, to: internet, packet: { arp: {} }, expect: drop }",
        "{ from: internet, to: db, packet: { arp: {} }, expect: drop }",
    ]), @r#"
    error: unknown ARP operation `ask`
      --> test.yaml:11:65
       |
    11 |   - { from: internet, to: firewall, packet: { arp: { operation: ask } }, expect: drop }
       |                                                                 ^^^
       |
    help: known are `request`, `reply`, `rrequest`, `rreply`, `inrequest` and `inreply`

    error: ARP is about IPv4 addresses
      --> test.yaml:12:63
       |
    12 |   - { from: internet, to: firewall, packet: { arp: { sender: "2001:db8::1" } }, expect: drop }
       |                                                               ^^^^^^^^^^^

    error: `arp` is no IP packet, so `ttl` says nothing here
      --> test.yaml:13:61
       |
    13 |   - { from: internet, to: firewall, packet: { arp: {}, ttl: 5 }, expect: drop }
       |                                                             ^

    error: `arp` does not exist in IPv6
      --> test.yaml:14:47
       |
    14 |   - { from: internet, to: firewall, packet: { arp: {} }, family: ipv6, expect: drop }
       |                                               ^^^ this test can only be made with IPv6

    error: `arp` cannot be said of a packet that the firewall itself sends
      --> test.yaml:15:47
       |
    15 |   - { from: firewall, to: internet, packet: { arp: {} }, expect: drop }
       |                                               ^^^ its kernel writes this part

    error: ARP does not go beyond the link
      --> test.yaml:16:41
       |
    16 |   - { from: internet, to: db, packet: { arp: {} }, expect: drop }
       |                                         ^^^ the receiver must be the firewall
    "#);
}
