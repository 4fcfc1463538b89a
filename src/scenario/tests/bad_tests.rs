//! Problems with tests in the short form, their ends, services and outcomes.

use insta::assert_snapshot;

use super::problems_of_tests;

#[test]
fn the_short_form_is_explained_when_a_part_is_missing_or_too_much() {
    assert_snapshot!(problems_of_tests(&[
        "-> firewall tcp/80: drop",
        "internet ->: drop",
        "internet -> firewall: drop",
        "internet -> firewall tcp/80, 443: drop",
        "internet -> firewall tcp/80 syn: drop",
        "the internet -> firewall tcp/80: drop",
        "internet -> firewall -> db tcp/80: drop",
        "internet to firewall tcp/80: drop",
        "nonsense",
        "[internet, firewall]",
        "{ internet -> firewall tcp/80: drop, name: x }",
        "internet -> firewall tcp/80:",
    ]), @r"
    error: the sender is missing before `->`
      --> test.yaml:11:5
       |
    11 |   - -> firewall tcp/80: drop
       |     ^^^^^^^^^^^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: the receiver is missing after `->`
      --> test.yaml:12:5
       |
    12 |   - internet ->: drop
       |     ^^^^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: the service is missing after `firewall`
      --> test.yaml:13:17
       |
    13 |   - internet -> firewall: drop
       |                 ^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: unexpected `443` after the service
      --> test.yaml:14:34
       |
    14 |   - internet -> firewall tcp/80, 443: drop
       |                                  ^^^
       |
    help: write ports without spaces: `tcp/80,443`

    error: unexpected `syn` after the service
      --> test.yaml:15:33
       |
    15 |   - internet -> firewall tcp/80 syn: drop
       |                                 ^^^
       |
    help: flags and other details of a packet need the long form: `packet: { tcp: { dport: 443, flags: [ack] } }`

    error: unexpected `internet` after the sender
      --> test.yaml:16:9
       |
    16 |   - the internet -> firewall tcp/80: drop
       |         ^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: a test has one sender and one receiver
      --> test.yaml:17:29
       |
    17 |   - internet -> firewall -> db tcp/80: drop
       |                             ^^^^^^^^^ a second receiver
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: `internet to firewall tcp/80` is not a test
      --> test.yaml:18:5
       |
    18 |   - internet to firewall tcp/80: drop
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: `nonsense` is not a test
      --> test.yaml:19:5
       |
    19 |   - nonsense
       |     ^^^^^^^^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: expected a test, found a list
      --> test.yaml:20:5
       |
    20 |   - [internet, firewall]
       |     ^
       |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`

    error: unexpected key `name` beside a test in the short form
      --> test.yaml:21:42
       |
    21 |   - { internet -> firewall tcp/80: drop, name: x }
       |       ---------------------------        ^^^^
       |       |
       |       the short form has one key
       |
    help: begin the next test with a `-` of its own, or write this one in the long form with `from`, `to`, `service` and `expect`

    error: expected an outcome, found nothing
      --> test.yaml:22:5
       |
    22 |   - internet -> firewall tcp/80:
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: write `accept`, `drop` or `reject` after the colon
    ");
}

#[test]
fn both_ends_must_be_on_different_sides_of_the_firewall() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> office tcp/80: drop",
        "internet -> internet tcp/80: drop",
        "firewall -> firewall@eth1 tcp/80: drop",
        "internet -> firewall@eth9 tcp/80: drop",
        "any -> db tcp/80: drop",
        "reply -> db tcp/80: drop",
        "somebody -> db tcp/80: drop",
    ]), @r"
    error: `internet` and `office` are both behind `eth0`
      --> test.yaml:11:17
       |
    11 |   - internet -> office tcp/80: drop
       |                 ^^^^^^ what one sends to the other never reaches the firewall

    error: `internet` is both ends of this test
      --> test.yaml:12:17
       |
    12 |   - internet -> internet tcp/80: drop
       |                 ^^^^^^^^

    error: a test from the firewall to itself is not supported in this version
      --> test.yaml:13:17
       |
    13 |   - firewall -> firewall@eth1 tcp/80: drop
       |                 ^^^^^^^^^^^^^
       |
    help: one end must be a host

    error: unknown interface `eth9`
      --> test.yaml:14:26
       |
    14 |   - internet -> firewall@eth9 tcp/80: drop
       |                          ^^^^
       |
    help: did you mean `eth0` or `eth1`?

    error: unknown host `any`
      --> test.yaml:15:5
       |
    15 |   - any -> db tcp/80: drop
       |     ^^^
       |
    help: `any` is not an end of a test; write a host or `firewall`

    error: unknown host `reply`
      --> test.yaml:16:5
       |
    16 |   - reply -> db tcp/80: drop
       |     ^^^^^
       |
    help: `reply` is not an end of a test; write a host or `firewall`

    error: unknown host `somebody`
      --> test.yaml:17:5
       |
    17 |   - somebody -> db tcp/80: drop
       |     ^^^^^^^^
       |
    help: known are `internet`, `office`, `db` and `firewall`
    ");
}

#[test]
fn ends_without_a_common_family_are_refused() {
    assert_snapshot!(problems_of_tests(&[
        "{ from: internet, to: db, service: tcp/80, family: ipv6, expect: drop }",
        "internet -> db icmp/packet-too-big: drop",
    ]), @r"
    error: the ends of this test share no IPv6 addresses
      --> test.yaml:11:56
       |
    11 |   - { from: internet, to: db, service: tcp/80, family: ipv6, expect: drop }
       |                                                        ^^^^ `internet -> db` can only be tested with IPv4

    error: `icmp/packet-too-big` does not exist in IPv4
      --> test.yaml:12:20
       |
    12 |   - internet -> db icmp/packet-too-big: drop
       |                    ^^^^^^^^^^^^^^^^^^^ this test can only be made with IPv4
    ");
    assert_snapshot!(super::problems_of("
firewall:
  nftables: web.nft
  interfaces: { eth0: 192.0.2.10/24, eth1: \"2001:db8::10/64\", eth2: [] }
hosts:
  old: { behind: eth0, address: 198.51.100.7 }
  new: { behind: eth1, address: \"2001:db8:1::1\" }
tests:
  - old -> new tcp/80: drop
  - old -> firewall@eth2 tcp/80: drop
"), @r"
    error: `old` has only IPv4, `new` has only IPv6
     --> test.yaml:9:12
      |
    9 |   - old -> new tcp/80: drop
      |            ^^^ the two ends share no address family

    error: `old` has only IPv4, the firewall on `eth2` has no address
      --> test.yaml:10:12
       |
    10 |   - old -> firewall@eth2 tcp/80: drop
       |            ^^^^^^^^^^^^^ the two ends share no address family
    ");
}

#[test]
fn unknown_services_are_reported_with_what_was_meant() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall tpc/80: drop",
        "internet -> firewall tcp: drop",
        "internet -> firewall icmp: drop",
        "internet -> firewall https: drop",
        "internet -> firewall 80/tcp: drop",
        "internet -> firewall sctp/80: drop",
        "internet -> firewall tcp/http: drop",
        "internet -> firewall tcp/: drop",
        "internet -> firewall tcp/80,: drop",
        "internet -> firewall tcp/80,udp/53: drop",
        "internet -> firewall tcp/0: drop",
        "internet -> firewall tcp/65536: drop",
        "internet -> firewall tcp/+80: drop",
        "internet -> firewall tcp/90-80: drop",
        "internet -> firewall tcp/80-: drop",
        "internet -> firewall tcp/8000:8010: drop",
        "internet -> firewall tcp/80,70-90: drop",
        "internet -> firewall tcp/1-1025: drop",
    ]), @r"
    error: unknown protocol `tpc`
      --> test.yaml:11:26
       |
    11 |   - internet -> firewall tpc/80: drop
       |                          ^^^
       |
    help: did you mean `tcp`?

    error: `tcp` is not a service
      --> test.yaml:12:26
       |
    12 |   - internet -> firewall tcp: drop
       |                          ^^^
       |
    help: say which port: `tcp/80`

    error: `icmp` is not a service
      --> test.yaml:13:26
       |
    13 |   - internet -> firewall icmp: drop
       |                          ^^^^
       |
    help: say which type: `icmp/echo-request`

    error: `https` is not a service
      --> test.yaml:14:26
       |
    14 |   - internet -> firewall https: drop
       |                          ^^^^^
       |
    help: write the protocol and the number: `tcp/443`

    error: unknown protocol `80`
      --> test.yaml:15:26
       |
    15 |   - internet -> firewall 80/tcp: drop
       |                          ^^
       |
    help: write `tcp/80`

    error: unknown protocol `sctp`
      --> test.yaml:16:26
       |
    16 |   - internet -> firewall sctp/80: drop
       |                          ^^^^
       |
    help: known are `tcp`, `udp`, `icmp`, `icmpv4`, `icmpv6` and `any`

    error: `http` is not a port
      --> test.yaml:17:30
       |
    17 |   - internet -> firewall tcp/http: drop
       |                              ^^^^
       |
    help: write its number, 80

    error: a port is missing here
      --> test.yaml:18:30
       |
    18 |   - internet -> firewall tcp/: drop
       |                              ^
       |
    help: write ports without spaces: `tcp/80,443`

    error: a port is missing here
      --> test.yaml:19:33
       |
    19 |   - internet -> firewall tcp/80,: drop
       |                                 ^
       |
    help: write ports without spaces: `tcp/80,443`

    error: a test has one protocol
      --> test.yaml:20:33
       |
    20 |   - internet -> firewall tcp/80,udp/53: drop
       |                                 ^^^^^^
       |
    help: write a test for each, or in the long form a list: `service: [tcp/53, udp/53]`

    error: `0` is not a port (1 to 65535)
      --> test.yaml:21:30
       |
    21 |   - internet -> firewall tcp/0: drop
       |                              ^

    error: `65536` is not a port (1 to 65535)
      --> test.yaml:22:30
       |
    22 |   - internet -> firewall tcp/65536: drop
       |                              ^^^^^

    error: `+80` is not a port (1 to 65535)
      --> test.yaml:23:30
       |
    23 |   - internet -> firewall tcp/+80: drop
       |                              ^^^

    error: the range `90-80` is empty
      --> test.yaml:24:30
       |
    24 |   - internet -> firewall tcp/90-80: drop
       |                              ^^^^^
       |
    help: write `80-90`

    error: a port is missing here
      --> test.yaml:25:33
       |
    25 |   - internet -> firewall tcp/80-: drop
       |                                 ^

    error: `8000:8010` is not a port
      --> test.yaml:26:30
       |
    26 |   - internet -> firewall tcp/8000:8010: drop
       |                              ^^^^^^^^^
       |
    help: write the range with a hyphen: `8000-8010`

    error: the port 80 is listed twice
      --> test.yaml:27:33
       |
    27 |   - internet -> firewall tcp/80,70-90: drop
       |                                 ^^^^^

    error: a test has at most 1024 ports, and this one has more
      --> test.yaml:28:30
       |
    28 |   - internet -> firewall tcp/1-1025: drop
       |                              ^^^^^^
       |
    help: split it into several tests, or test a sample of the ports
    ");
}

#[test]
fn unknown_icmp_types_and_codes_are_reported_with_what_was_meant() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall icmp/echo-requst: drop",
        "internet -> firewall icmp/ping: drop",
        "internet -> firewall icmpv4/packet-too-big: drop",
        "internet -> firewall icmp/256: drop",
        "internet -> firewall icmp/8: drop",
        "internet -> firewall icmp/echo-request/x: drop",
        "internet -> firewall icmp/destination-unreachable/1: drop",
        "internet -> firewall icmp/destination-unreachable/port-unreachble: drop",
        "internet -> firewall icmpv6/destination-unreachable/frag-needed: drop",
        "internet -> firewall icmp/echo-request,echo-reply: drop",
    ]), @r"
    error: unknown ICMP type `echo-requst`
      --> test.yaml:11:31
       |
    11 |   - internet -> firewall icmp/echo-requst: drop
       |                               ^^^^^^^^^^^
       |
    help: did you mean `echo-request`?

    error: unknown ICMP type `ping`
      --> test.yaml:12:31
       |
    12 |   - internet -> firewall icmp/ping: drop
       |                               ^^^^
       |
    help: did you mean `echo-request`?

    error: `packet-too-big` exists only in ICMPv6
      --> test.yaml:13:33
       |
    13 |   - internet -> firewall icmpv4/packet-too-big: drop
       |                                 ^^^^^^^^^^^^^^
       |
    help: write `icmpv6` instead

    error: `256` is not an ICMP type (0 to 255)
      --> test.yaml:14:31
       |
    14 |   - internet -> firewall icmp/256: drop
       |                               ^^^

    error: this number means one thing in ICMP for IPv4 and another in ICMPv6
      --> test.yaml:15:31
       |
    15 |   - internet -> firewall icmp/8: drop
       |                               ^
       |
    help: write its name, or `icmpv4` or `icmpv6` instead of `icmp`

    error: `x` is not an ICMP code
      --> test.yaml:16:44
       |
    16 |   - internet -> firewall icmp/echo-request/x: drop
       |                                            ^
       |
    help: write its number; only the codes of destination-unreachable have names

    error: this number means one thing in ICMP for IPv4 and another in ICMPv6
      --> test.yaml:17:55
       |
    17 |   - internet -> firewall icmp/destination-unreachable/1: drop
       |                                                       ^
       |
    help: write its name, or `icmpv4` or `icmpv6` instead of `icmp`

    error: unknown ICMP code `port-unreachble`
      --> test.yaml:18:55
       |
    18 |   - internet -> firewall icmp/destination-unreachable/port-unreachble: drop
       |                                                       ^^^^^^^^^^^^^^^
       |
    help: did you mean `port-unreachable`?

    error: ICMPv6 has no code `frag-needed`
      --> test.yaml:19:57
       |
    19 |   - internet -> firewall icmpv6/destination-unreachable/frag-needed: drop
       |                                                         ^^^^^^^^^^^

    error: a service has one ICMP type
      --> test.yaml:20:31
       |
    20 |   - internet -> firewall icmp/echo-request,echo-reply: drop
       |                               ^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: write a test for each
    ");
}

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

#[test]
fn two_tests_of_one_name_are_shown_with_both_places() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall tcp/80,443: accept",
        "internet -> firewall tcp/443: drop",
        "&same { name: twice, from: db, to: office, service: tcp/80, expect: drop }",
        "{ name: twice, from: db, to: office, service: tcp/81, expect: drop }",
        "*same",
    ]), @r"
    error: two tests say what happens to `internet -> firewall tcp/443`
      --> test.yaml:12:5
       |
    11 |   - internet -> firewall tcp/80,443: accept
       |     ------------------------------- the first is here
    12 |   - internet -> firewall tcp/443: drop
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: an alias repeats this test
      --> test.yaml:13:19
       |
    13 |   - &same { name: twice, from: db, to: office, service: tcp/80, expect: drop }
       |                   ^^^^^

    error: two tests are called `twice`
      --> test.yaml:14:13
       |
    13 |   - &same { name: twice, from: db, to: office, service: tcp/80, expect: drop }
       |                   ----- the first is here
    14 |   - { name: twice, from: db, to: office, service: tcp/81, expect: drop }
       |             ^^^^^
       |
    help: give each a name of its own
    ");
}
