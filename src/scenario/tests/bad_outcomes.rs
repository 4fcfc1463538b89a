//! Problems with outcomes.

use insta::assert_snapshot;

use super::problems_of_tests;

#[test]
fn unknown_outcomes_are_reported_with_what_was_meant() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall tcp/80: accpet",
        "internet -> firewall tcp/81: ALLOW",
        "internet -> firewall tcp/82: blocked",
        "internet -> firewall tcp/83: whatever",
        "internet -> firewall tcp/84: reject tcp reset",
        "internet -> firewall tcp/85: reject port-unreachable",
        "internet -> firewall tcp/86: drop silently",
        "internet -> firewall tcp/87: [drop]",
        "internet -> firewall tcp/88: {}",
        "internet -> firewall tcp/89: { drop: {}, accept: {} }",
        "internet -> firewall tcp/90: { drop: { bye: x } }",
        "internet -> firewall tcp/91: { accept: { source: nat } }",
        "internet -> firewall tcp/92: { reject: { kind: nonsense } }",
    ]), @r#"
    error: unknown outcome `accpet`
      --> test.yaml:11:34
       |
    11 |   - internet -> firewall tcp/80: accpet
       |                                  ^^^^^^
       |
    help: did you mean `accept`?

    error: unknown outcome `ALLOW`
      --> test.yaml:12:34
       |
    12 |   - internet -> firewall tcp/81: ALLOW
       |                                  ^^^^^
       |
    help: did you mean `accept`?

    error: unknown outcome `blocked`
      --> test.yaml:13:34
       |
    13 |   - internet -> firewall tcp/82: blocked
       |                                  ^^^^^^^
       |
    help: did you mean `drop`?

    error: unknown outcome `whatever`
      --> test.yaml:14:34
       |
    14 |   - internet -> firewall tcp/83: whatever
       |                                  ^^^^^^^^
       |
    help: known are `accept`, `drop` and `reject`

    error: a kind of reject is one word
      --> test.yaml:15:41
       |
    15 |   - internet -> firewall tcp/84: reject tcp reset
       |                                         ^^^^^^^^^
       |
    help: write `reject tcp-reset`

    error: unknown kind of reject `port-unreachable`
      --> test.yaml:16:41
       |
    16 |   - internet -> firewall tcp/85: reject port-unreachable
       |                                         ^^^^^^^^^^^^^^^^
       |
    help: did you mean `icmp-port-unreachable`?

    error: unexpected `silently` after the outcome
      --> test.yaml:17:39
       |
    17 |   - internet -> firewall tcp/86: drop silently
       |                                       ^^^^^^^^
       |
    help: details are a map: `{ drop: { by: "a rule" } }`

    error: expected an outcome, found a list
      --> test.yaml:18:5
       |
    18 |   - internet -> firewall tcp/87: [drop]
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: write `accept`, `drop` or `reject` after the colon

    error: the outcome has none of `accept`, `drop` and `reject`
      --> test.yaml:19:5
       |
    19 |   - internet -> firewall tcp/88: {}
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: the outcome can have only one of `accept` and `drop`
      --> test.yaml:20:46
       |
    20 |   - internet -> firewall tcp/89: { drop: {}, accept: {} }
       |                                    ----      ^^^^^^
       |                                    |
       |                                    the first is here

    error: unknown key `bye`
      --> test.yaml:21:44
       |
    21 |   - internet -> firewall tcp/90: { drop: { bye: x } }
       |                                            ^^^ the outcome has no such key
       |
    help: did you mean `by`?

    error: `nat` is not an IP address
      --> test.yaml:22:54
       |
    22 |   - internet -> firewall tcp/91: { accept: { source: nat } }
       |                                                      ^^^

    error: unknown kind of reject `nonsense`
      --> test.yaml:23:52
       |
    23 |   - internet -> firewall tcp/92: { reject: { kind: nonsense } }
       |                                                    ^^^^^^^^
       |
    help: known are `tcp-reset`, `icmp-net-unreachable`, `icmp-host-unreachable`, `icmp-prot-unreachable`, `icmp-port-unreachable`, `icmp-net-prohibited`, `icmp-host-prohibited`, `icmp-admin-prohibited`, `icmp-policy-fail` and `icmp-reject-route`
    "#);
}

#[test]
fn rejects_that_the_packet_or_its_family_cannot_get_are_refused() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall udp/53: reject tcp-reset",
        "internet -> firewall any: { reject: tcp-reset }",
        "internet -> firewall tcp/80: reject icmp-host-prohibited",
        "office -> firewall tcp/81: reject icmp-policy-fail",
        "{ from: internet, to: firewall, service: tcp/82, expect: reject icmp-reject-route }",
    ]), @r"
    error: only TCP can be rejected with `tcp-reset`
      --> test.yaml:11:41
       |
    11 |   - internet -> firewall udp/53: reject tcp-reset
       |                              --         ^^^^^^^^^
       |                              |
       |                              this sends udp/53

    error: only TCP can be rejected with `tcp-reset`
      --> test.yaml:12:41
       |
    12 |   - internet -> firewall any: { reject: tcp-reset }
       |                          ---            ^^^^^^^^^
       |                          |
       |                          this sends udp/53

    error: `icmp-host-prohibited` exists only in IPv4, and this test is made with IPv6 too
      --> test.yaml:13:41
       |
    13 |   - internet -> firewall tcp/80: reject icmp-host-prohibited
       |                                         ^^^^^^^^^^^^^^^^^^^^
       |
    help: write the test in the long form and add `family: ipv4`

    error: `icmp-policy-fail` exists only in IPv6, and this test is made only with IPv4
      --> test.yaml:14:39
       |
    14 |   - office -> firewall tcp/81: reject icmp-policy-fail
       |                                       ^^^^^^^^^^^^^^^^

    error: `icmp-reject-route` exists only in IPv6, and this test is made with IPv4 too
      --> test.yaml:15:69
       |
    15 |   - { from: internet, to: firewall, service: tcp/82, expect: reject icmp-reject-route }
       |                                                                     ^^^^^^^^^^^^^^^^^
       |
    help: add `family: ipv6`
    ");
}

#[test]
fn translated_addresses_must_be_of_the_family_of_the_test() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall tcp/80: { accept: { source: 192.0.2.10 } }",
        "db -> office tcp/81: { accept: { source: \"2001:db8::10\" } }",
        "db -> office tcp/82: { accept: { source: 192.0.2.10, destination: \"2001:db8::10\" } }",
    ]), @r#"
    error: 192.0.2.10 is an IPv4 address, and this test is made with IPv6 too
      --> test.yaml:11:54
       |
    11 |   - internet -> firewall tcp/80: { accept: { source: 192.0.2.10 } }
       |                                                      ^^^^^^^^^^
       |
    help: write the test in the long form and add `family: ipv4`

    error: 2001:db8::10 is an IPv6 address, and this test is made only with IPv4
      --> test.yaml:12:47
       |
    12 |   - db -> office tcp/81: { accept: { source: "2001:db8::10" } }
       |                                               ^^^^^^^^^^^^

    error: source and destination must be of one family
      --> test.yaml:13:72
       |
    13 |   - db -> office tcp/82: { accept: { source: 192.0.2.10, destination: "2001:db8::10" } }
       |                                              ---------- the source     ^^^^^^^^^^^^
    "#);
}
