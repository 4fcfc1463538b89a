//! Problems with the short form of tests, their ends and their names.

use insta::assert_snapshot;

use super::problems_of_tests;

#[test]
fn the_short_form_is_explained_when_a_part_is_missing_or_too_much() {
    assert_snapshot!(problems_of_tests(&[
        "-> firewall tcp/80: drop",
        "internet ->: drop",
        "internet -> firewall: drop",
        "internet -> firewall tcp/80, 443: drop",
        "internet -> firewall tcp/80 with: drop",
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

    error: unexpected `with` after the service
      --> test.yaml:15:33
       |
    15 |   - internet -> firewall tcp/80 with: drop
       |                                 ^^^^
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

    error: unknown interface `eth9`
      --> test.yaml:13:26
       |
    13 |   - internet -> firewall@eth9 tcp/80: drop
       |                          ^^^^
       |
    help: did you mean `eth0` or `eth1`?

    error: unknown host `any`
      --> test.yaml:14:5
       |
    14 |   - any -> db tcp/80: drop
       |     ^^^
       |
    help: `any` is not an end of a test; write a host or `firewall`

    error: unknown host `reply`
      --> test.yaml:15:5
       |
    15 |   - reply -> db tcp/80: drop
       |     ^^^^^
       |
    help: `reply` is not an end of a test; write a host or `firewall`

    error: unknown host `somebody`
      --> test.yaml:16:5
       |
    16 |   - somebody -> db tcp/80: drop
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
