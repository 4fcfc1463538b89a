//! Problems with `firewall:`.

use insta::assert_snapshot;

use super::problems_of;

/// A scenario with this text below `firewall:`.
fn firewall(text: &str) -> String {
    problems_of(&format!("firewall:\n{text}{REST}"))
}

const REST: &str = "\
hosts:
  internet: { behind: eth0, address: 198.51.100.7 }
tests:
  - internet -> firewall tcp/80: accept
";

#[test]
fn unusable_addresses_of_interfaces_are_refused_each_with_its_reason() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces:
    eth0:
      - 192.0.2.10
      - \"2001:db8::1\"
      - 192.0.2.0/24
      - 192.0.2.255/24
      - 192.0.2.300/24
      - 192.0.2.1/33
      - 192.0.2.1/0
      - 127.0.0.1/8
      - 0.0.0.0/8
      - 224.0.0.5/24
      - 255.255.255.255/32
      - \"2001:db8::/64\"
      - \"fe80::1/64\"
      - \"ff02::1/64\"
      - \"::1/128\"
      - \"::ffff:192.0.2.1/128\"
      - web.example.net/24
"), @r#"
    error: `192.0.2.10` has no prefix length
     --> test.yaml:5:9
      |
    5 |       - 192.0.2.10
      |         ^^^^^^^^^^
      |
    help: add the length of the interface's network, for example `192.0.2.10/24`

    error: `2001:db8::1` has no prefix length
     --> test.yaml:6:10
      |
    6 |       - "2001:db8::1"
      |          ^^^^^^^^^^^
      |
    help: add the length of the interface's network, for example `2001:db8::1/64`

    error: `192.0.2.0` is the network address of 192.0.2.0/24
     --> test.yaml:7:9
      |
    7 |       - 192.0.2.0/24
      |         ^^^^^^^^^
      |
    help: write the address of the interface itself, followed by the length of its network

    error: `192.0.2.255` is the broadcast address of 192.0.2.0/24
     --> test.yaml:8:9
      |
    8 |       - 192.0.2.255/24
      |         ^^^^^^^^^^^
      |
    help: write the address of the interface itself, followed by the length of its network

    error: `192.0.2.300` is not an IP address
     --> test.yaml:9:9
      |
    9 |       - 192.0.2.300/24
      |         ^^^^^^^^^^^

    error: `33` is not a prefix length (1 to 32)
      --> test.yaml:10:19
       |
    10 |       - 192.0.2.1/33
       |                   ^^

    error: `0` is not a prefix length (1 to 32)
      --> test.yaml:11:19
       |
    11 |       - 192.0.2.1/0
       |                   ^

    error: `127.0.0.1` is a loopback address, no address for an interface
      --> test.yaml:12:9
       |
    12 |       - 127.0.0.1/8
       |         ^^^^^^^^^

    error: `0.0.0.0` is the unspecified address, no address for an interface
      --> test.yaml:13:9
       |
    13 |       - 0.0.0.0/8
       |         ^^^^^^^

    error: `224.0.0.5` is a multicast address, no address for an interface
      --> test.yaml:14:9
       |
    14 |       - 224.0.0.5/24
       |         ^^^^^^^^^

    error: `255.255.255.255` is the broadcast address, no address for an interface
      --> test.yaml:15:9
       |
    15 |       - 255.255.255.255/32
       |         ^^^^^^^^^^^^^^^

    error: `2001:db8::` is the subnet-router anycast address of 2001:db8::/64
      --> test.yaml:16:10
       |
    16 |       - "2001:db8::/64"
       |          ^^^^^^^^^^
       |
    help: write the address of the interface itself, followed by the length of its network

    error: `fe80::1` is a link-local address (the kernel makes its own), no address for an interface
      --> test.yaml:17:10
       |
    17 |       - "fe80::1/64"
       |          ^^^^^^^

    error: `ff02::1` is a multicast address, no address for an interface
      --> test.yaml:18:10
       |
    18 |       - "ff02::1/64"
       |          ^^^^^^^

    error: `::1` is a loopback address, no address for an interface
      --> test.yaml:19:10
       |
    19 |       - "::1/128"
       |          ^^^

    error: `::ffff:192.0.2.1` is an IPv4 address written as IPv6, no address for an interface
      --> test.yaml:20:10
       |
    20 |       - "::ffff:192.0.2.1/128"
       |          ^^^^^^^^^^^^^^^^

    error: `web.example.net` is not an IP address
      --> test.yaml:21:9
       |
    21 |       - web.example.net/24
       |         ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn overlapping_networks_and_repeated_addresses_are_shown_with_both_places() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces:
    eth0: [192.0.2.10/24, 192.0.2.10/25]
    eth1: 192.0.2.129/25
    eth2: 192.0.2.10/32
"), @r"
    error: the firewall has the address 192.0.2.10 twice
     --> test.yaml:4:27
      |
    4 |     eth0: [192.0.2.10/24, 192.0.2.10/25]
      |            -------------  ^^^^^^^^^^^^^
      |            |
      |            first here

    error: the networks of `eth1` and `eth0` overlap
     --> test.yaml:5:11
      |
    4 |     eth0: [192.0.2.10/24, 192.0.2.10/25]
      |            ------------- the network of `eth0`
    5 |     eth1: 192.0.2.129/25
      |           ^^^^^^^^^^^^^^
      |
    help: the kernel could not tell which interface an address is behind

    error: the firewall has the address 192.0.2.10 twice
     --> test.yaml:6:11
      |
    4 |     eth0: [192.0.2.10/24, 192.0.2.10/25]
      |            ------------- first here
    5 |     eth1: 192.0.2.129/25
    6 |     eth2: 192.0.2.10/32
      |           ^^^^^^^^^^^^^
    ");
}

#[test]
fn names_that_linux_does_not_allow_for_an_interface_are_refused() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces:
    eth0: 192.0.2.1/24
    lo: 127.0.0.1/8
    all: []
    a/b: []
    a b: []
    sixteen-letters-: []
    ..: []
    eth9:
"), @r"
    error: `lo` is the loopback interface, which every machine has anyway
     --> test.yaml:5:5
      |
    5 |     lo: 127.0.0.1/8
      |     ^^

    error: `all` means something else to the kernel's sysctl
     --> test.yaml:6:5
      |
    6 |     all: []
      |     ^^^

    error: `a/b` contains a character that Linux does not allow in an interface's name
     --> test.yaml:7:5
      |
    7 |     a/b: []
      |     ^^^

    error: `a b` contains a character that Linux does not allow in an interface's name
     --> test.yaml:8:5
      |
    8 |     a b: []
      |     ^^^

    error: `sixteen-letters-` is longer than the 15 bytes that Linux allows
     --> test.yaml:9:5
      |
    9 |     sixteen-letters-: []
      |     ^^^^^^^^^^^^^^^^

    error: `..` is not a name that Linux allows for an interface
      --> test.yaml:10:5
       |
    10 |     ..: []
       |     ^^

    error: expected an address or a list of addresses, found nothing
      --> test.yaml:11:5
       |
    11 |     eth9:
       |     ^^^^
       |
    help: for an interface without any write `[]`; an IPv6 address that begins or ends with a colon must be in quotes
    ");
}

#[test]
fn bad_routes_are_refused_each_with_its_reason() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces:
    eth0: [192.0.2.10/24, \"2001:db8::10/64\"]
  routes:
    - default via 198.51.100.1
    - default via 192.0.2.10
    - default dev eth0
    - default via here
    - 10.9.0.1/16 via 192.0.2.1
    - 10.9.0.1 via 192.0.2.1
    - nowhere via 192.0.2.1
    - 10.8.0.0/16 via 2001:db8::1
    - 10.7.0.0/16 via 192.0.2.1
    - 10.7.0.0/16 via 192.0.2.2
"), @r#"
    error: the gateway 198.51.100.1 is in no interface's network
     --> test.yaml:6:19
      |
    6 |     - default via 198.51.100.1
      |                   ^^^^^^^^^^^^
      |
    help: a gateway must be reachable directly, inside the network of one interface

    error: the gateway 192.0.2.10 is the firewall itself
     --> test.yaml:7:19
      |
    4 |     eth0: [192.0.2.10/24, "2001:db8::10/64"]
      |            ------------- its address on `eth0`
    ...
    7 |     - default via 192.0.2.10
      |                   ^^^^^^^^^^

    error: `default dev eth0` is not a route
     --> test.yaml:8:7
      |
    8 |     - default dev eth0
      |       ^^^^^^^^^^^^^^^^
      |
    help: a route reads `NETWORK via GATEWAY`, for example `default via 192.0.2.1`

    error: `here` is not an IP address
     --> test.yaml:9:19
      |
    9 |     - default via here
      |                   ^^^^

    error: `10.9.0.1/16` is an address inside a network
      --> test.yaml:10:7
       |
    10 |     - 10.9.0.1/16 via 192.0.2.1
       |       ^^^^^^^^^^^
       |
    help: the network is `10.9.0.0/16`

    error: `10.9.0.1` is not a network
      --> test.yaml:11:7
       |
    11 |     - 10.9.0.1 via 192.0.2.1
       |       ^^^^^^^^
       |
    help: for this address alone write `10.9.0.1/32`

    error: `nowhere` is not a network
      --> test.yaml:12:7
       |
    12 |     - nowhere via 192.0.2.1
       |       ^^^^^^^
       |
    help: a destination is `default` or a network such as `10.9.0.0/16`

    error: a route's network and gateway must be of one family
      --> test.yaml:13:7
       |
    13 |     - 10.8.0.0/16 via 2001:db8::1
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: two routes lead to 10.7.0.0/16
      --> test.yaml:15:7
       |
    14 |     - 10.7.0.0/16 via 192.0.2.1
       |       ------------------------- the first is here
    15 |     - 10.7.0.0/16 via 192.0.2.2
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn settings_outside_of_the_network_are_refused() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces: { eth0: 192.0.2.1/24 }
  sysctl:
    kernel.panic: 1
    net.ipv4..x: 1
    net.ipv4.a b: 1
    net.: 1
    net.ipv4.ip_forward: [1]
    net.ipv4.tcp_syncookies:
"), @r"
    error: the setting `kernel.panic` is not below `net.`
     --> test.yaml:5:5
      |
    5 |     kernel.panic: 1
      |     ^^^^^^^^^^^^
      |
    help: only the network settings belong to the firewall alone: `net.ipv4.conf.all.rp_filter`

    error: `net.ipv4..x` is not the name of a kernel setting
     --> test.yaml:6:5
      |
    6 |     net.ipv4..x: 1
      |     ^^^^^^^^^^^

    error: `net.ipv4.a b` is not the name of a kernel setting
     --> test.yaml:7:5
      |
    7 |     net.ipv4.a b: 1
      |     ^^^^^^^^^^^^

    error: the setting `net.` is not below `net.`
     --> test.yaml:8:5
      |
    8 |     net.: 1
      |     ^^^^
      |
    help: only the network settings belong to the firewall alone: `net.ipv4.conf.all.rp_filter`

    error: expected a value, found a list
     --> test.yaml:9:5
      |
    9 |     net.ipv4.ip_forward: [1]
      |     ^^^^^^^^^^^^^^^^^^^

    error: expected a value, found nothing
      --> test.yaml:10:5
       |
    10 |     net.ipv4.tcp_syncookies:
       |     ^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    assert_snapshot!(firewall("  nftables: ../fixtures
  interfaces: { eth0: 192.0.2.1/24 }
  files:
    etc/nftables.d: .
    /etc/../root: .
    /: .
    /etc/missing: missing
    /etc/null: /dev/null
"), @r"
    error: the ruleset `../fixtures` is a folder, not a file
     --> test.yaml:2:13
      |
    2 |   nftables: ../fixtures
      |             ^^^^^^^^^^^
      |
    help: looked for `src/scenario/tests/fixtures`

    error: `etc/nftables.d` is not a path in the sandbox
     --> test.yaml:5:5
      |
    5 |     etc/nftables.d: .
      |     ^^^^^^^^^^^^^^
      |
    help: write an absolute path without `.` and `..`, such as `/etc/nftables.d`

    error: `/etc/../root` is not a path in the sandbox
     --> test.yaml:6:5
      |
    6 |     /etc/../root: .
      |     ^^^^^^^^^^^^
      |
    help: write an absolute path without `.` and `..`, such as `/etc/nftables.d`

    error: `/` is not a path in the sandbox
     --> test.yaml:7:5
      |
    7 |     /: .
      |     ^
      |
    help: write an absolute path without `.` and `..`, such as `/etc/nftables.d`

    error: `missing` does not exist
     --> test.yaml:8:19
      |
    8 |     /etc/missing: missing
      |                   ^^^^^^^
      |
    help: looked for `missing`

    error: `/dev/null` is neither a file nor a folder
     --> test.yaml:9:16
      |
    9 |     /etc/null: /dev/null
      |                ^^^^^^^^^
      |
    help: looked for `/dev/null`
    ");
}

#[test]
fn the_candidate_is_required_once() {
    assert_snapshot!(firewall("  interfaces: { eth0: 192.0.2.1/24 }\n"), @r"
    error: the firewall has none of [dialects] and `candidates`
     --> test.yaml:1:1
      |
    1 | firewall:
      | ^^^^^^^^
    ");
    assert_snapshot!(firewall("  nftable: web.nft\n  interfaces: { eth0: 192.0.2.1/24 }\n"), @r"
    error: unknown key `nftable`
     --> test.yaml:2:3
      |
    2 |   nftable: web.nft
      |   ^^^^^^^ the firewall has no such key
      |
    help: did you mean `nftables`?
    ");
}

#[test]
fn what_is_planned_is_not_called_a_typing_error() {
    assert_snapshot!(firewall("  marks: web.rules\n  interfaces: { eth0: 192.0.2.1/24 }\n"), @r"
    error: `marks` is not supported in this version
     --> test.yaml:2:3
      |
    2 |   marks: web.rules
      |   ^^^^^
    ");
}

#[test]
fn vlans_that_cannot_be_made_are_refused() {
    assert_snapshot!(firewall("  nftables: web.nft
  interfaces:
    eth0: 192.0.2.10/24
    eth0.5: { address: 10.5.0.1/24, vlan: { on: eth1, id: 5 } }
    eth0.6: { vlan: { on: eth0, id: 4095 } }
    eth0.7: { vlan: { on: eth0 } }
    eth0.8: { vlan: 8 }
    eth0.9: { vlan: { on: eth0.9, id: 9 } }
    eth0.10: { vlan: { on: eth0, id: 10 } }
    again: { vlan: { on: eth0, id: 10 } }
    inner: { address: 10.11.0.1/24, vlan: { on: eth0, id: 10, service: true }, mtu: 9000 }
"), @r"
    error: unknown interface `eth1`
     --> test.yaml:5:49
      |
    5 |     eth0.5: { address: 10.5.0.1/24, vlan: { on: eth1, id: 5 } }
      |                                                 ^^^^
      |
    help: did you mean `eth0`?

    error: `4095` is not a VLAN (1 to 4094)
     --> test.yaml:6:37
      |
    6 |     eth0.6: { vlan: { on: eth0, id: 4095 } }
      |                                     ^^^^

    error: the VLAN has no `id`
     --> test.yaml:7:15
      |
    7 |     eth0.7: { vlan: { on: eth0 } }
      |               ^^^^
      |
    help: the number of the VLAN

    error: expected a map, found a text
     --> test.yaml:8:21
      |
    8 |     eth0.8: { vlan: 8 }
      |                     ^
      |
    help: the VLAN has the keys `on`, `id` and `service`

    error: unknown interface `eth0.9`
     --> test.yaml:9:27
      |
    9 |     eth0.9: { vlan: { on: eth0.9, id: 9 } }
      |                           ^^^^^^
      |
    help: known are `eth0`, `eth0.5`, `eth0.6`, `eth0.7` and `eth0.8`

    error: `eth0` has the VLAN 10 twice
      --> test.yaml:11:5
       |
    10 |     eth0.10: { vlan: { on: eth0, id: 10 } }
       |     ------- `eth0.10` is it already
    11 |     again: { vlan: { on: eth0, id: 10 } }
       |     ^^^^^

    error: unknown key `mtu`
      --> test.yaml:12:80
       |
    12 |     inner: { address: 10.11.0.1/24, vlan: { on: eth0, id: 10, service: true }, mtu: 9000 }
       |                                                                                ^^^ the interface has no such key
       |
    help: known are `address` and `vlan`
    ");
}
