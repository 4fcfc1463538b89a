//! Problems with services.

use insta::assert_snapshot;

use super::problems_of_tests;

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
