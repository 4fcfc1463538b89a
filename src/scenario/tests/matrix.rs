//! Matrices: many cases from a few lines.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{good, problems_of};
use crate::scenario::{Case, Scenario};

/// `internet` and `office` are behind one interface, `old` has IPv4 alone and `new` IPv6 alone.
const WORLD: &str = "\
firewall:
  nftables: web.nft
  interfaces:
    eth0: [192.0.2.10/24, \"2001:db8::10/64\"]
    eth1: [10.0.0.1/24, \"fd00::1/64\"]
    eth2: [10.0.2.1/24, \"fd00:2::1/64\"]
hosts:
  internet: { behind: eth0, address: [198.51.100.7, \"2001:db8:ffff::7\"] }
  office: { behind: eth0, address: 203.0.113.5 }
  lan: { behind: eth1, address: [10.0.0.5, \"fd00::5\"] }
  old: { behind: eth2, address: 10.0.2.6 }
  new: { behind: eth2, address: \"fd00:2::7\" }
tests:
";

fn matrix(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("{WORLD}  - {}", lines.concat().trim_start())
}

fn told(scenario: &Scenario) -> Vec<String> {
    let told = |case: &Case| {
        let expect = &case.sends().next().unwrap().expect;
        let (_, name) = case.name.split_once(":: ").unwrap();
        format!("{name}: {expect}, line {}", case.at.line)
    };
    scenario.cases.iter().map(told).collect()
}

#[test]
fn every_pair_that_meets_the_firewall_has_every_service_in_every_family() {
    let scenario = good(&matrix(&[
        "from: [internet, office, lan]",
        "to: [internet, lan, firewall]",
        "service: [tcp/80, icmpv6/echo-request]",
        "expect: drop",
    ]));
    // Two behind eth0 do not meet it, and the office has no IPv6.
    assert_eq!(
        told(&scenario),
        [
            "internet -> lan tcp/80 [ipv4]: drop, line 14",
            "internet -> lan tcp/80 [ipv6]: drop, line 14",
            "internet -> lan icmpv6/echo-request [ipv6]: drop, line 14",
            "internet -> firewall tcp/80 [ipv4]: drop, line 14",
            "internet -> firewall tcp/80 [ipv6]: drop, line 14",
            "internet -> firewall icmpv6/echo-request [ipv6]: drop, line 14",
            "office -> lan tcp/80 [ipv4]: drop, line 14",
            "office -> firewall tcp/80 [ipv4]: drop, line 14",
            "lan -> internet tcp/80 [ipv4]: drop, line 14",
            "lan -> internet tcp/80 [ipv6]: drop, line 14",
            "lan -> internet icmpv6/echo-request [ipv6]: drop, line 14",
            "lan -> firewall tcp/80 [ipv4]: drop, line 14",
            "lan -> firewall tcp/80 [ipv6]: drop, line 14",
            "lan -> firewall icmpv6/echo-request [ipv6]: drop, line 14",
        ]
    );
}

/// Its loopback interface is open in any ruleset, and says nothing about zones.
#[test]
fn the_firewall_has_no_cell_with_itself() {
    let scenario = good(&matrix(&[
        "from: [firewall, lan]",
        "to: [lan, firewall, firewall@eth0]",
        "service: tcp/80",
        "family: ipv4",
        "expect: drop",
    ]));
    assert_eq!(
        told(&scenario),
        [
            "firewall -> lan tcp/80 [ipv4]: drop, line 14",
            "lan -> firewall tcp/80 [ipv4]: drop, line 14",
            "lan -> firewall@eth0 tcp/80 [ipv4]: drop, line 14",
        ]
    );
}

#[test]
fn exceptions_name_lists_and_may_say_the_same_twice() {
    let scenario = good(&matrix(&[
        "name: zones",
        "from: [internet, lan]",
        "to: [lan, internet, firewall]",
        "service: [\"tcp/22,80\", dns, tcp/443 xmas]",
        "family: ipv4",
        "expect: drop",
        "except:",
        "  lan, internet -> firewall dns, tcp/80: accept",
        "  any -> firewall tcp/domain: accept",
        "  internet -> any tcp/443 xmas, tcp/22: { reject: { by: x } }",
        "  lan -> internet any: accept",
    ]));
    assert_eq!(
        told(&scenario),
        [
            "zones: internet -> lan tcp/22 [ipv4]: reject by \"x\", line 23",
            "zones: internet -> lan tcp/80 [ipv4]: drop, line 14",
            "zones: internet -> lan dns/udp [ipv4]: drop, line 14",
            "zones: internet -> lan dns/tcp [ipv4]: drop, line 14",
            "zones: internet -> lan tcp/443 xmas [ipv4]: reject by \"x\", line 23",
            "zones: internet -> firewall tcp/22 [ipv4]: reject by \"x\", line 23",
            "zones: internet -> firewall tcp/80 [ipv4]: accept, line 21",
            "zones: internet -> firewall dns/udp [ipv4]: accept, line 21",
            "zones: internet -> firewall dns/tcp [ipv4]: accept, line 21",
            "zones: internet -> firewall tcp/443 xmas [ipv4]: reject by \"x\", line 23",
            "zones: lan -> internet tcp/22 [ipv4]: accept, line 24",
            "zones: lan -> internet tcp/80 [ipv4]: accept, line 24",
            "zones: lan -> internet dns/udp [ipv4]: accept, line 24",
            "zones: lan -> internet dns/tcp [ipv4]: accept, line 24",
            "zones: lan -> internet tcp/443 xmas [ipv4]: accept, line 24",
            "zones: lan -> firewall tcp/22 [ipv4]: drop, line 14",
            "zones: lan -> firewall tcp/80 [ipv4]: accept, line 21",
            "zones: lan -> firewall dns/udp [ipv4]: accept, line 21",
            "zones: lan -> firewall dns/tcp [ipv4]: accept, line 21",
            "zones: lan -> firewall tcp/443 xmas [ipv4]: drop, line 14",
        ]
    );
}

const USUAL: [&str; 4] = [
    "from: [internet, lan]",
    "to: [lan, firewall]",
    "service: [tcp/80, udp/53]",
    "expect: drop",
];

fn exceptions(lines: &[&str]) -> String {
    problems_of(&matrix(&[&USUAL[..], &["except:"], lines].concat()))
}

#[test]
fn exceptions_that_say_nothing_or_two_things_are_refused() {
    assert_snapshot!(exceptions(&[
        "  internet -> lan tcp/80: accept",
        "  any -> lan any: { reject: tcp-reset }",
    ]), @r"
    error: two exceptions say what happens to `internet -> lan tcp/80`
      --> test.yaml:20:7
       |
    19 |       internet -> lan tcp/80: accept
       |       ---------------------- the first is here
    20 |       any -> lan any: { reject: tcp-reset }
       |       ^^^^^^^^^^^^^^
    ");
    assert_snapshot!(exceptions(&["  lan -> lan any: accept"]), @r"
    error: this is about no cell of the matrix
      --> test.yaml:19:7
       |
    19 |       lan -> lan any: accept
       |       ^^^^^^^^^^^^^^
    ");
    assert_snapshot!(exceptions(&[
        "  office -> lan tcp/80: accept",
        "  internet -> lna tcp/80: accept",
        "  internet -> lan tcp/81: accept",
        "  internet -> lan tpc/80: accept",
        "  internet lan -> firewall tcp/80: accept",
        "  internet -> lan: accept",
        "  internet -> lan, firewall: accept",
        "  internet -> lan tcp/80,: accept",
        "  internet tcp/80: accept",
        "  internet -> lan udp/53: perhaps",
    ]), @r"
    error: `office` is none of the senders of this matrix
      --> test.yaml:19:7
       |
    19 |       office -> lan tcp/80: accept
       |       ^^^^^^
       |
    help: known are `internet`, `lan` and `any`

    error: `lna` is none of the receivers of this matrix
      --> test.yaml:20:19
       |
    20 |       internet -> lna tcp/80: accept
       |                   ^^^
       |
    help: did you mean `lan`?

    error: `tcp/81` is none of the services of this matrix
      --> test.yaml:21:23
       |
    21 |       internet -> lan tcp/81: accept
       |                       ^^^^^^
       |
    help: add it to `service`

    error: unknown protocol `tpc`
      --> test.yaml:22:23
       |
    22 |       internet -> lan tpc/80: accept
       |                       ^^^
       |
    help: did you mean `tcp`?

    error: `internet lan -> firewall tcp/80` is not an exception
      --> test.yaml:23:7
       |
    23 |       internet lan -> firewall tcp/80: accept
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: an exception reads `FROM -> TO SERVICE: OUTCOME`, for example `lan, dmz -> internet dns, tcp/443: accept`; `any` means all of the matrix's

    error: `internet -> lan` is not an exception
      --> test.yaml:24:7
       |
    24 |       internet -> lan: accept
       |       ^^^^^^^^^^^^^^^
       |
    help: an exception reads `FROM -> TO SERVICE: OUTCOME`, for example `lan, dmz -> internet dns, tcp/443: accept`; `any` means all of the matrix's

    error: `internet -> lan, firewall` is not an exception
      --> test.yaml:25:7
       |
    25 |       internet -> lan, firewall: accept
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: an exception reads `FROM -> TO SERVICE: OUTCOME`, for example `lan, dmz -> internet dns, tcp/443: accept`; `any` means all of the matrix's

    error: a service is missing behind the last comma
      --> test.yaml:26:19
       |
    26 |       internet -> lan tcp/80,: accept
       |                   ^^^^^^^^^^^

    error: `internet tcp/80` is not an exception
      --> test.yaml:27:7
       |
    27 |       internet tcp/80: accept
       |       ^^^^^^^^^^^^^^^
       |
    help: an exception reads `FROM -> TO SERVICE: OUTCOME`, for example `lan, dmz -> internet dns, tcp/443: accept`; `any` means all of the matrix's

    error: unknown outcome `perhaps`
      --> test.yaml:28:31
       |
    28 |       internet -> lan udp/53: perhaps
       |                               ^^^^^^^
       |
    help: known are `accept`, `drop` and `reject`
    ");
}

#[test]
fn what_is_in_no_cell_is_told() {
    assert_snapshot!(problems_of(&matrix(&[
        "from: [office, old]",
        "to: [internet, new]",
        "service: [tcp/80]",
        "expect: drop",
    ])), @r"
    error: `office` is in no cell of this matrix
      --> test.yaml:14:12
       |
    14 |   - from: [office, old]
       |            ^^^^^^ no packet between it and the other side would meet the firewall

    error: `new` is in no cell of this matrix
      --> test.yaml:15:20
       |
    15 |     to: [internet, new]
       |                    ^^^ no packet between it and the other side would meet the firewall
    ");
    assert_snapshot!(problems_of(&matrix(&[
        "from: office",
        "to: [lan]",
        "service: [tcp/80, icmpv6/echo-request]",
        "expect: drop",
    ])), @r"
    error: `icmpv6/echo-request` is in no cell of this matrix
      --> test.yaml:16:23
       |
    16 |     service: [tcp/80, icmpv6/echo-request]
       |                       ^^^^^^^^^^^^^^^^^^^ no two ends have its address family in common
    ");
}

#[test]
fn lists_of_a_matrix_are_checked_once_and_not_for_every_cell() {
    assert_snapshot!(problems_of(&matrix(&[
        "from: [internet, internet, lna]",
        "to: []",
        "service: [tcp/80, udp/53, tcp/80]",
        "packet: { tcp: { dport: 80 } }",
        "expect: drop",
    ])), @r"
    error: `internet` is listed twice
      --> test.yaml:14:22
       |
    14 |   - from: [internet, internet, lna]
       |            --------  ^^^^^^^^
       |            |
       |            the first is here

    error: unknown host `lna`
      --> test.yaml:14:32
       |
    14 |   - from: [internet, internet, lna]
       |                                ^^^
       |
    help: did you mean `lan`?

    error: nobody is listed here
      --> test.yaml:15:5
       |
    15 |     to: []
       |     ^^

    error: unknown key `packet`
      --> test.yaml:17:5
       |
    17 |     packet: { tcp: { dport: 80 } }
       |     ^^^^^^ the matrix has no such key
       |
    help: known are `name`, `from`, `to`, `service`, `family`, `expect` and `except`
    ");
    assert_snapshot!(problems_of(&matrix(&[
        "from: [internet, lan]",
        "to: [lan, internet, firewall]",
        "service: [tcp/80, udp/53]",
        "expect: { reject: tcp-reset }",
    ])), @r"
    error: only TCP can be rejected with `tcp-reset`
      --> test.yaml:17:23
       |
    16 |     service: [tcp/80, udp/53]
       |                           -- this sends udp/53
    17 |     expect: { reject: tcp-reset }
       |                       ^^^^^^^^^
    ");
}

#[test]
fn a_matrix_does_not_say_what_another_test_says() {
    let text = matrix(&USUAL) + "  - lan -> firewall tcp/80: accept\n";
    assert!(problems_of(&text).contains("two tests say what happens to `lan -> firewall tcp/80`"));
    let named = [&["name: zones"], &USUAL[..]].concat();
    good(&(matrix(&named) + "  - lan -> firewall tcp/80: accept\n"));
}

#[test]
fn a_matrix_that_is_too_large_is_refused_at_once() {
    let ports = format!(
        "service: [{}]",
        (1..=1000)
            .map(|port| format!("tcp/{port}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let text = matrix(&[
        "from: [internet, lan]",
        "to: firewall",
        &ports,
        "expect: drop",
    ]);
    assert_eq!(good(&text).cases.len(), 4000);
    let hosts: Vec<String> = (1..=60)
        .map(|number| {
            format!(
                "  h{number}: {{ behind: eth1, address: 10.0.0.{} }}\n",
                number + 10
            )
        })
        .collect();
    let names: Vec<String> = (1..=60).map(|number| format!("h{number}")).collect();
    let text = text
        .replace("  office: ", &format!("{}  office: ", hosts.concat()))
        .replace("to: firewall", &format!("to: [{}]", names.join(", ")));
    assert!(problems_of(&text).contains("at most 100000 cases"));
}

const HOSTS: [&str; 5] = ["internet", "office", "lan", "old", "new"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against the same pairs written out as single tests.
    #[test]
    fn a_matrix_has_the_cases_that_its_pairs_would_have(
        from in vec(select(&HOSTS[..]), 1..4),
        to in vec(select(&HOSTS[..]), 1..4),
        services in vec(select(&["tcp/80", "udp/53", "icmpv4/echo-request"][..]), 1..3),
    ) {
        let distinct = |names: Vec<&'static str>| -> Vec<&'static str> {
            names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (from, to, services) = (distinct(from), distinct(to), distinct(services));
        let mut expected = BTreeSet::new();
        for from in &from {
            for to in &to {
                for service in &services {
                    let test = format!("{WORLD}  - {from} -> {to} {service}: drop\n");
                    if let Ok(one) = super::read(&test) {
                        expected.extend(one.cases.into_iter().map(|case| case.name));
                    }
                }
            }
        }
        let text = matrix(&[
            &format!("from: [{}]", from.join(", ")),
            &format!("to: [{}]", to.join(", ")),
            &format!("service: [{}]", services.join(", ")),
            "expect: drop",
        ]);
        match super::read(&text) {
            Ok(all) => {
                let names: BTreeSet<String> = all.cases.into_iter().map(|case| case.name).collect();
                prop_assert_eq!(names, expected);
            }
            // Something is in no cell: then some part of it makes no test.
            Err(_) => {
                let parts = from.len() * to.len() * services.len();
                prop_assert!(expected.len() < 2 * parts);
            }
        }
    }
}
