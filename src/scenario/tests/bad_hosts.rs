//! Problems with `hosts:`.

use insta::assert_snapshot;

use super::problems_of;

fn hosts(text: &str) -> String {
    problems_of(&format!(
        "\
firewall:
  nftables: web.nft
  interfaces:
    eth0: [192.0.2.10/24, \"2001:db8::10/64\"]
    eth1: 10.0.0.1/24
    eth2: []
hosts:
  good: {{ behind: eth0, address: 198.51.100.7 }}{text}tests:
  - good -> firewall tcp/80: accept
"
    ))
}

#[test]
fn unusable_addresses_of_hosts_are_refused_each_with_its_reason() {
    assert_snapshot!(hosts("
  prefix: { behind: eth0, address: 203.0.113.5/24 }
  loopback: { behind: eth0, address: 127.0.0.1 }
  multicast: { behind: eth0, address: \"ff02::1\" }
  unspecified: { behind: eth0, address: 0.0.0.0 }
  text: { behind: eth0, address: example.net }
  none: { behind: eth0, address: [] }
  null: { behind: eth0, address: }
"), @r#"
    error: `203.0.113.5/24` is not an IP address
     --> test.yaml:9:36
      |
    9 |   prefix: { behind: eth0, address: 203.0.113.5/24 }
      |                                    ^^^^^^^^^^^^^^
      |
    help: write `203.0.113.5`, without a prefix length

    error: `127.0.0.1` is a loopback address, no address for a host
      --> test.yaml:10:38
       |
    10 |   loopback: { behind: eth0, address: 127.0.0.1 }
       |                                      ^^^^^^^^^

    error: `ff02::1` is a multicast address, no address for a host
      --> test.yaml:11:40
       |
    11 |   multicast: { behind: eth0, address: "ff02::1" }
       |                                        ^^^^^^^

    error: `0.0.0.0` is the unspecified address, no address for a host
      --> test.yaml:12:41
       |
    12 |   unspecified: { behind: eth0, address: 0.0.0.0 }
       |                                         ^^^^^^^

    error: `example.net` is not an IP address
      --> test.yaml:13:34
       |
    13 |   text: { behind: eth0, address: example.net }
       |                                  ^^^^^^^^^^^

    error: the host `none` has no address
      --> test.yaml:14:25
       |
    14 |   none: { behind: eth0, address: [] }
       |                         ^^^^^^^

    error: expected an address or a list of addresses, found nothing
      --> test.yaml:15:25
       |
    15 |   null: { behind: eth0, address: }
       |                         ^^^^^^^
    "#);
}

#[test]
fn an_address_must_be_on_the_side_that_the_host_is_behind() {
    assert_snapshot!(hosts("
  office: { behind: eth0, address: 10.0.0.7 }
  self: { behind: eth1, address: 10.0.0.1 }
  network: { behind: eth1, address: 10.0.0.0 }
  everybody: { behind: eth1, address: 10.0.0.255 }
  v6: { behind: eth1, address: \"2001:db8:1::5\" }
  nowhere: { behind: eth2, address: 172.16.0.1 }
"), @r#"
    error: 10.0.0.7 is inside eth1's 10.0.0.0/24, but office is behind eth0
     --> test.yaml:9:36
      |
    5 |     eth1: 10.0.0.1/24
      |           ----------- eth1's network
    ...
    9 |   office: { behind: eth0, address: 10.0.0.7 }
      |                                    ^^^^^^^^

    error: 10.0.0.1 is the firewall's own address
      --> test.yaml:10:34
       |
     5 |     eth1: 10.0.0.1/24
       |           ----------- on `eth1`
    ...
    10 |   self: { behind: eth1, address: 10.0.0.1 }
       |                                  ^^^^^^^^

    error: 10.0.0.0 is the network address of 10.0.0.0/24
      --> test.yaml:11:37
       |
     5 |     eth1: 10.0.0.1/24
       |           ----------- eth1's network
    ...
    11 |   network: { behind: eth1, address: 10.0.0.0 }
       |                                     ^^^^^^^^

    error: 10.0.0.255 is the broadcast address of 10.0.0.0/24
      --> test.yaml:12:39
       |
     5 |     eth1: 10.0.0.1/24
       |           ----------- eth1's network
    ...
    12 |   everybody: { behind: eth1, address: 10.0.0.255 }
       |                                       ^^^^^^^^^^

    error: eth1 has no IPv6 address, so this host cannot be reached
      --> test.yaml:13:33
       |
     5 |     eth1: 10.0.0.1/24
       |     ---- no IPv6 address here
    ...
    13 |   v6: { behind: eth1, address: "2001:db8:1::5" }
       |                                 ^^^^^^^^^^^^^

    error: eth2 has no IPv4 address, so this host cannot be reached
      --> test.yaml:14:37
       |
     6 |     eth2: []
       |     ---- no IPv4 address here
    ...
    14 |   nowhere: { behind: eth2, address: 172.16.0.1 }
       |                                     ^^^^^^^^^^
    "#);
}

#[test]
fn an_address_belongs_to_one_host_and_a_host_has_one_of_each_family() {
    assert_snapshot!(hosts("
  twin: { behind: eth0, address: 198.51.100.7 }
  rich: { behind: eth0, address: [203.0.113.1, 203.0.113.2] }
"), @r"
    error: `good` and `twin` share the address 198.51.100.7
     --> test.yaml:9:34
      |
    8 |   good: { behind: eth0, address: 198.51.100.7 }
      |                                  ------------ `good` has it
    9 |   twin: { behind: eth0, address: 198.51.100.7 }
      |                                  ^^^^^^^^^^^^

    error: `rich` has a second IPv4 address
      --> test.yaml:10:48
       |
    10 |   rich: { behind: eth0, address: [203.0.113.1, 203.0.113.2] }
       |                                   -----------  ^^^^^^^^^^^
       |                                   |
       |                                   the first is here
       |
    help: give the second address to a host of its own
    ");
}

#[test]
fn names_of_hosts_cannot_be_words_of_the_format() {
    assert_snapshot!(hosts("
  firewall: { behind: eth0, address: 203.0.113.1 }
  any: { behind: eth0, address: 203.0.113.2 }
  two words: { behind: eth0, address: 203.0.113.3 }
  7up: { behind: eth0, address: 203.0.113.4 }
"), @r"
    error: a host cannot be called `firewall`
     --> test.yaml:9:3
      |
    9 |   firewall: { behind: eth0, address: 203.0.113.1 }
      |   ^^^^^^^^ this word has a meaning of its own in tests

    error: a host cannot be called `any`
      --> test.yaml:10:3
       |
    10 |   any: { behind: eth0, address: 203.0.113.2 }
       |   ^^^ this word has a meaning of its own in tests

    error: `two words` is not a name for a host
      --> test.yaml:11:3
       |
    11 |   two words: { behind: eth0, address: 203.0.113.3 }
       |   ^^^^^^^^^
       |
    help: a name begins with a letter and goes on with letters, digits, `_`, `.` and `-`

    error: `7up` is not a name for a host
      --> test.yaml:12:3
       |
    12 |   7up: { behind: eth0, address: 203.0.113.4 }
       |   ^^^
       |
    help: a name begins with a letter and goes on with letters, digits, `_`, `.` and `-`
    ");
}

#[test]
fn keys_of_hosts_are_checked() {
    assert_snapshot!(hosts("
  a: { behnd: eth0, address: 203.0.113.1 }
  b: { behind: eth5, address: 203.0.113.2, mac: x }
  c: { address: 203.0.113.3 }
  d: 203.0.113.4
"), @r"
    error: unknown key `behnd`
     --> test.yaml:9:8
      |
    9 |   a: { behnd: eth0, address: 203.0.113.1 }
      |        ^^^^^ the host has no such key
      |
    help: did you mean `behind`?

    error: unknown interface `eth5`
      --> test.yaml:10:16
       |
    10 |   b: { behind: eth5, address: 203.0.113.2, mac: x }
       |                ^^^^
       |
    help: did you mean `eth0`, `eth1` or `eth2`?

    error: unknown key `mac`
      --> test.yaml:10:44
       |
    10 |   b: { behind: eth5, address: 203.0.113.2, mac: x }
       |                                            ^^^ the host has no such key
       |
    help: known are `behind` and `address`

    error: the host has no `behind`
      --> test.yaml:11:3
       |
    11 |   c: { address: 203.0.113.3 }
       |   ^
       |
    help: the firewall's interface that the host is reached through

    error: expected a map, found a text
      --> test.yaml:12:6
       |
    12 |   d: 203.0.113.4
       |      ^^^^^^^^^^^
       |
    help: the host has the keys `behind` and `address`
    ");
}
