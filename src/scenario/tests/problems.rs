//! How problems are shown, and that all of them are.

use insta::assert_snapshot;

use super::{WORLD, problems_of, problems_of_tests, read, with_tests};

#[test]
fn an_unknown_host_is_reported_with_the_nearest_name() {
    assert_snapshot!(problems_of_tests(&["internt -> firewall tcp/443: accept"]), @r"
    error: unknown host `internt`
      --> test.yaml:11:5
       |
    11 |   - internt -> firewall tcp/443: accept
       |     ^^^^^^^
       |
    help: did you mean `internet`?
    ");
}

#[test]
fn all_problems_of_a_file_are_shown_in_one_go() {
    assert_snapshot!(problems_of("
name: 123
tag: web
firewall:
  nftables: nowhere.nft
  interfaces:
    eth0: [192.0.2.10, 192.0.2.0/24]
    far-too-long-name0: 10.0.0.1/24
  forwarding: yes
hosts:
  internet: { behind: eth0, address: 198.51.100.7 }
  lost: { behind: eth7, address: 203.0.113.9 }
  both: { adress: 10.0.0.5, behind: eth0 }
tests:
  - internet -> firewal tcp/80: accept
  - internet -> firewall tcp/0,99999: drop
  - internet -> firewall tcp/80: allow
  - internet -> lost tcp/80: drop
  - from: internet
    to: firewall
    packet: { tcp: { dport: 80, flags: [synn] } }
    expect: { reject: { kind: tcp-rest } }
  - internet -> firewall tcp/80:accept
"), @r"
    error: unknown key `tag`
     --> test.yaml:3:1
      |
    3 | tag: web
      | ^^^ the scenario has no such key
      |
    help: did you mean `tags`?

    error: the ruleset `nowhere.nft` does not exist
     --> test.yaml:5:13
      |
    5 |   nftables: nowhere.nft
      |             ^^^^^^^^^^^
      |
    help: looked for `nowhere.nft`

    error: `192.0.2.10` has no prefix length
     --> test.yaml:7:12
      |
    7 |     eth0: [192.0.2.10, 192.0.2.0/24]
      |            ^^^^^^^^^^
      |
    help: add the length of the interface's network, for example `192.0.2.10/24`

    error: `192.0.2.0` is the network address of 192.0.2.0/24
     --> test.yaml:7:24
      |
    7 |     eth0: [192.0.2.10, 192.0.2.0/24]
      |                        ^^^^^^^^^
      |
    help: write the address of the interface itself, followed by the length of its network

    error: `far-too-long-name0` is longer than the 15 bytes that Linux allows
     --> test.yaml:8:5
      |
    8 |     far-too-long-name0: 10.0.0.1/24
      |     ^^^^^^^^^^^^^^^^^^

    error: expected `true` or `false`, found the text `yes`
     --> test.yaml:9:15
      |
    9 |   forwarding: yes
      |               ^^^
      |
    help: write `true`

    error: unknown interface `eth7`
      --> test.yaml:12:19
       |
    12 |   lost: { behind: eth7, address: 203.0.113.9 }
       |                   ^^^^
       |
    help: did you mean `eth0`?

    error: unknown key `adress`
      --> test.yaml:13:11
       |
    13 |   both: { adress: 10.0.0.5, behind: eth0 }
       |           ^^^^^^ the host has no such key
       |
    help: did you mean `address`?

    error: unknown host `firewal`
      --> test.yaml:15:17
       |
    15 |   - internet -> firewal tcp/80: accept
       |                 ^^^^^^^
       |
    help: did you mean `firewall`?

    error: `0` is not a port (1 to 65535)
      --> test.yaml:16:30
       |
    16 |   - internet -> firewall tcp/0,99999: drop
       |                              ^

    error: `99999` is not a port (1 to 65535)
      --> test.yaml:16:32
       |
    16 |   - internet -> firewall tcp/0,99999: drop
       |                                ^^^^^

    error: unknown outcome `allow`
      --> test.yaml:17:34
       |
    17 |   - internet -> firewall tcp/80: allow
       |                                  ^^^^^
       |
    help: did you mean `accept`?

    error: unknown TCP flag `synn`
      --> test.yaml:21:41
       |
    21 |     packet: { tcp: { dport: 80, flags: [synn] } }
       |                                         ^^^^
       |
    help: did you mean `syn`?

    error: unknown kind of reject `tcp-rest`
      --> test.yaml:22:31
       |
    22 |     expect: { reject: { kind: tcp-rest } }
       |                               ^^^^^^^^
       |
    help: did you mean `tcp-reset`?

    error: a space is missing between the colon and the outcome
      --> test.yaml:23:33
       |
    23 |   - internet -> firewall tcp/80:accept
       |                                 ^^^^^^
       |
    help: write `: accept`
    ");
}

#[test]
fn a_problem_with_a_host_is_not_repeated_by_the_tests_that_name_it() {
    let text = with_tests(&["db -> office tcp/80: accept", "db -> firewall tcp/80: drop"]);
    assert_snapshot!(problems_of(&text.replace("address: 10.0.0.5", "address: 10.0.0.500")), @r"
    error: `10.0.0.500` is not an IP address
     --> test.yaml:9:32
      |
    9 |   db: { behind: eth1, address: 10.0.0.500 }
      |                                ^^^^^^^^^^
    ");
    assert_snapshot!(problems_of(&text.replace("behind: eth1", "behind: eth2")), @r"
    error: unknown interface `eth2`
     --> test.yaml:9:17
      |
    9 |   db: { behind: eth2, address: 10.0.0.5 }
      |                 ^^^^
      |
    help: did you mean `eth0` or `eth1`?
    ");
    assert_snapshot!(problems_of(&text.replace("eth1: 10.0.0.1/24", "eth1: 10.0.0.1")), @r"
    error: `10.0.0.1` has no prefix length
     --> test.yaml:5:11
      |
    5 |     eth1: 10.0.0.1
      |           ^^^^^^^^
      |
    help: add the length of the interface's network, for example `10.0.0.1/24`
    ");
    assert_snapshot!(problems_of(&text.replace("interfaces:", "interface:")), @r"
    error: unknown key `interface`
     --> test.yaml:3:3
      |
    3 |   interface:
      |   ^^^^^^^^^ the firewall has no such key
      |
    help: did you mean `interfaces`?
    ");
}

#[test]
fn a_missing_part_of_the_scenario_is_named_with_what_it_is_for() {
    assert_snapshot!(problems_of("name: nothing else\n"), @r"
    error: the scenario has no `firewall`
    --> test.yaml:1:1
    help: the machine under test: its configuration, interfaces, routes and settings

    error: the scenario has no `hosts`
    --> test.yaml:1:1
    help: who sends and receives, by name

    error: the scenario has no `tests`
    --> test.yaml:1:1
    help: what should happen, one expectation each; a test runs once for every address family that both ends have
    ");
    assert_snapshot!(problems_of("firewall: {}\nhosts: {}\ntests: []\n"), @r"
    error: the firewall has no `interfaces`
     --> test.yaml:1:1
      |
    1 | firewall: {}
      | ^^^^^^^^
      |
    help: the interfaces as the ruleset names them, each with its addresses (`192.0.2.10/24`), or with what it is a VLAN of

    error: the firewall has none of [dialects] and `candidates`
     --> test.yaml:1:1
      |
    1 | firewall: {}
      | ^^^^^^^^

    error: there is no host to send or receive anything
     --> test.yaml:2:1
      |
    2 | hosts: {}
      | ^^^^^
      |
    help: add at least one: `internet: { behind: eth0, address: 198.51.100.7 }`

    error: there is no test
     --> test.yaml:3:1
      |
    3 | tests: []
      | ^^^^^
      |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`
    ");
    assert_snapshot!(problems_of("firewall:\nhosts:\ntests:\n"), @r"
    error: expected a map, found nothing
     --> test.yaml:1:1
      |
    1 | firewall:
      | ^^^^^^^^
      |
    help: the firewall has the keys [dialects], `candidates`, `layers`, `files`, `interfaces`, `forwarding`, `routes` and `sysctl`

    error: expected a map of hosts, found nothing
     --> test.yaml:2:1
      |
    2 | hosts:
      | ^^^^^

    error: expected a list of tests, found nothing
     --> test.yaml:3:1
      |
    3 | tests:
      | ^^^^^
      |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`
    ");
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    assert_snapshot!(problems_of("
name: [a]
purpose: ''
tags: { a: b }
firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: \"true\", sysctl: [a], routes: { a: b }, files: a }
hosts: [internet]
tests: { a -> b tcp/80: accept }
"), @r#"
    error: expected a text, found a list
     --> test.yaml:2:1
      |
    2 | name: [a]
      | ^^^^

    error: expected a text, found an empty text
     --> test.yaml:3:10
      |
    3 | purpose: ''
      |          ^^

    error: expected a tag or a list of tags, found a map
     --> test.yaml:4:1
      |
    4 | tags: { a: b }
      | ^^^^

    error: expected the path of a ruleset, found a list
     --> test.yaml:5:13
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |             ^^^^^^^^

    error: expected a map of interfaces, found a list
     --> test.yaml:5:34
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |                                  ^^^^^^^^^^

    error: expected `true` or `false`, found the text `true`
     --> test.yaml:5:67
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |                                                                   ^^^^
      |
    help: write it without quotes, in small letters

    error: expected a map of settings, found a list
     --> test.yaml:5:74
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |                                                                          ^^^^^^

    error: expected a route or a list of routes, found a map
     --> test.yaml:5:87
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |                                                                                       ^^^^^^

    error: expected a map of paths, found a text
     --> test.yaml:5:112
      |
    5 | firewall: { nftables: [web.nft], interfaces: [eth0], forwarding: "true", sysctl: [a], routes: { a: b }, files: a }
      |                                                                                                                ^

    error: expected a map of hosts, found a list
     --> test.yaml:6:1
      |
    6 | hosts: [internet]
      | ^^^^^

    error: expected a list of tests, found a map
     --> test.yaml:7:1
      |
    7 | tests: { a -> b tcp/80: accept }
      | ^^^^^
      |
    help: a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`
    "#);
}

#[test]
fn a_problem_in_a_value_that_an_alias_repeats_is_shown_once_where_it_was_written() {
    assert_snapshot!(problems_of(&format!("{WORLD}tests:
  - &long
    name: one
    from: internet
    to: firewall
    service: tcp/x
    expect: drop
  - <<: *long
    name: two
  - <<: *long
    name: three
")), @r"
    error: tcp has no service `x`
      --> test.yaml:15:18
       |
    15 |     service: tcp/x
       |                  ^
    ");
}

#[test]
fn text_in_quotes_is_underlined_without_them_and_escaped_text_as_a_whole() {
    assert_snapshot!(problems_of_tests(&[
        "\"internet -> firewall tcp/80,x\": drop",
        "'internet -> nobody tcp/80': drop",
        "\"internet -\\u003e firewall tcp/80,x\": drop",
    ]), @r#"
    error: tcp has no service `x`
      --> test.yaml:11:34
       |
    11 |   - "internet -> firewall tcp/80,x": drop
       |                                  ^

    error: unknown host `nobody`
      --> test.yaml:12:18
       |
    12 |   - 'internet -> nobody tcp/80': drop
       |                  ^^^^^^
       |
    help: known are `internet`, `office`, `db` and `firewall`

    error: tcp has no service `x`
      --> test.yaml:13:5
       |
    13 |   - "internet -\u003e firewall tcp/80,x": drop
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn columns_count_characters() {
    let problems = read(&with_tests(&[
        "{ name: Grüße, from: internt, to: firewall, service: any, expect: drop }",
    ]))
    .expect_err("the sender is unknown");
    let problem = problems.iter().next().expect("there is one problem");
    let at = problem.location.as_ref().expect("it has a place");
    assert_eq!((at.line, at.column), (11, 26));
}

#[test]
fn colours_are_used_only_on_request() {
    let problems = read("name: x\n").expect_err("it is incomplete");
    assert!(!problems.render(false).contains('\u{1b}'));
    assert!(problems.render(true).contains('\u{1b}'));
    assert_eq!(problems.to_string(), problems.render(false));
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let shown = problems_of("\"na\\u001b[31mme\": x\n");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
