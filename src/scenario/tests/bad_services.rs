//! Problems with services.

use insta::assert_snapshot;

use super::problems_of_tests;

#[test]
fn unknown_services_are_reported_with_what_was_meant() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall tpc/80: drop",
        "internet -> firewall tcp: drop",
        "internet -> firewall icmp: drop",
        "internet -> firewall htps: drop",
        "internet -> firewall 80/tcp: drop",
        "internet -> firewall dccp/80: drop",
        "internet -> firewall tcp/htp: drop",
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

    error: `htps` is not a service
      --> test.yaml:14:26
       |
    14 |   - internet -> firewall htps: drop
       |                          ^^^^
       |
    help: did you mean `https`?

    error: unknown protocol `80`
      --> test.yaml:15:26
       |
    15 |   - internet -> firewall 80/tcp: drop
       |                          ^^
       |
    help: write `tcp/80`

    error: unknown protocol `dccp`
      --> test.yaml:16:26
       |
    16 |   - internet -> firewall dccp/80: drop
       |                          ^^^^

    error: tcp has no service `htp`
      --> test.yaml:17:30
       |
    17 |   - internet -> firewall tcp/htp: drop
       |                              ^^^
       |
    help: did you mean `ftp`, `http` or `ntp`?

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
fn services_that_a_protocol_does_not_have_are_reported() {
    assert_snapshot!(problems_of_tests(&[
        "internet -> firewall udp/ssh: drop",
        "internet -> firewall tcp/https-ssh: drop",
        "internet -> firewall dns syn: drop",
        "internet -> firewall udp/53 xmas: drop",
        "internet -> firewall tcp/443 smas: drop",
        "internet -> firewall igmp: drop",
        "internet -> firewall sctp: drop",
        "internet -> firewall proto/0: drop",
        "internet -> firewall proto/gre: drop",
        "{ from: internet, to: firewall, service: [tcp/80 xmsa, \"tcp/81 fin ack\"], expect: drop }",
    ]), @r#"
    error: udp has no service `ssh`
      --> test.yaml:11:30
       |
    11 |   - internet -> firewall udp/ssh: drop
       |                              ^^^
       |
    help: it is a service of tcp

    error: tcp has no service `https-ssh`
      --> test.yaml:12:30
       |
    12 |   - internet -> firewall tcp/https-ssh: drop
       |                              ^^^^^^^^^

    error: only TCP has segments such as `syn`
      --> test.yaml:13:30
       |
    13 |   - internet -> firewall dns syn: drop
       |                          --- ^^^
       |                          |
       |                          this is not, or not only, TCP

    error: only TCP has segments such as `xmas`
      --> test.yaml:14:33
       |
    14 |   - internet -> firewall udp/53 xmas: drop
       |                          ------ ^^^^
       |                          |
       |                          this is not, or not only, TCP

    error: unexpected `smas` after the service
      --> test.yaml:15:34
       |
    15 |   - internet -> firewall tcp/443 smas: drop
       |                                  ^^^^
       |
    help: did you mean `xmas`?

    error: `igmp` is not a service
      --> test.yaml:16:26
       |
    16 |   - internet -> firewall igmp: drop
       |                          ^^^^
       |
    help: say which type, in the long form: `packet: { igmp: { type: membership-query } }`

    error: `sctp` is not a service
      --> test.yaml:17:26
       |
    17 |   - internet -> firewall sctp: drop
       |                          ^^^^
       |
    help: say which port: `sctp/80`

    error: `0` is not a protocol number (1 to 254)
      --> test.yaml:18:32
       |
    18 |   - internet -> firewall proto/0: drop
       |                                ^

    error: `gre` is not a protocol number (1 to 254)
      --> test.yaml:19:32
       |
    19 |   - internet -> firewall proto/gre: drop
       |                                ^^^

    error: unexpected `xmsa` after the service
      --> test.yaml:20:54
       |
    20 |   - { from: internet, to: firewall, service: [tcp/80 xmsa, "tcp/81 fin ack"], expect: drop }
       |                                                      ^^^^
       |
    help: did you mean `xmas`?

    error: unexpected `fin` after the service
      --> test.yaml:20:68
       |
    20 |   - { from: internet, to: firewall, service: [tcp/80 xmsa, "tcp/81 fin ack"], expect: drop }
       |                                                                    ^^^
       |
    help: a service has one kind of segment
    "#);
}
