//! VLAN interfaces, tagged frames, and VLANs in VLANs.

use std::path::Path;

use super::{
    common::{Folder, Lab, Report},
    table::rows,
};

/// A firewall with VLANs on eth0: 5, 7 with a service tag, and 9 in that.
fn scenario(tests: &[String]) -> String {
    let tests: String = tests.iter().map(|test| format!("  - {test}\n")).collect();
    format!(
        "firewall:
  nftables: candidate.nft
  interfaces:
    eth0: [192.0.2.1/24, \"2001:db8:1::1/64\"]
    eth1: [10.0.0.1/24, \"fd00:1::1/64\"]
    eth0.5: {{ address: [10.5.0.1/24, \"fd00:5::1/64\"], vlan: {{ on: eth0, id: 5 }} }}
    eth0.7: {{ address: 10.7.0.1/24, vlan: {{ on: eth0, id: 7, service: true }} }}
    inner: {{ address: [10.9.0.1/24, \"fd00:9::1/64\"], vlan: {{ on: eth0.7, id: 9 }} }}
hosts:
  client: {{ behind: eth0, address: [198.51.100.7, \"2001:db8:ffff::7\"] }}
  server: {{ behind: eth1, address: [10.0.0.5, \"fd00:1::5\"] }}
  five: {{ behind: eth0.5, address: [10.5.0.5, \"fd00:5::5\"] }}
  nine: {{ behind: inner, address: [10.9.0.5, \"fd00:9::5\"] }}
tests:
{tests}"
    )
}

/// The report of these tests, or `None` on a kernel without VLANs, which says exactly that.
fn report(candidate: &str, tests: &[String]) -> Option<Report> {
    let folder = Folder::new();
    folder.write("vlan.yaml", scenario(tests));
    folder.write("candidate.nft", candidate);
    let report = folder.report(&[]);
    let error = report.scenarios.iter().find_map(|one| one.error.as_deref());
    if error.is_some_and(|error| error.contains("this kernel has no VLANs")) {
        // The independent sign that 8021q is there.
        assert!(!Path::new("/proc/net/vlan").exists(), "{error:?}");
        assert_eq!(report.code, Some(3));
        return None;
    }
    Some(report)
}

#[track_caller]
fn passes(candidate: &str, tests: &[String]) {
    let Some(report) = report(candidate, tests) else {
        return;
    };
    for case in report.cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    assert!(report.cases().len() >= tests.len());
}

fn tests(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn hosts_behind_vlans_send_and_receive_tagged_frames() {
    let candidate = "table inet t {
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname \"eth0.5\" oifname \"eth1\" udp dport 53 accept
    iifname \"eth1\" oifname \"eth0.5\" udp dport 54 accept
    iifname \"eth0\" oifname \"eth0.5\" udp dport 55 accept
    iifname \"eth0.5\" oifname \"inner\" udp dport 56 accept
    iifname \"inner\" oifname \"eth0.5\" udp dport 57 accept
    iifname \"inner\" udp dport 58 reject
  }
}
";
    passes(
        candidate,
        &tests(&[
            "five -> server udp/53: accept",
            "server -> five udp/54: accept",
            "client -> five udp/55: accept",
            "five -> nine udp/56: accept",
            "nine -> five udp/57: accept",
            "nine -> server udp/58: reject",
            "nine -> server udp/53: { drop: { by: policy } }",
            "client -> server udp/53: { drop: { by: policy } }",
            "five -> firewall udp/53: accept",
            "nine -> firewall udp/53: accept",
            "firewall -> five udp/53: accept",
            "firewall -> nine udp/53: accept",
        ]),
    );
}

/// Below the VLAN interface the frame still has its tag, and a rule there can decide on it.
#[test]
fn a_rule_at_ingress_decides_on_the_tag_of_a_host_behind_a_vlan() {
    let candidate = "table netdev t {
  chain c {
    type filter hook ingress device \"eth0\" priority 0;
    vlan id 5 drop
  }
}
";
    passes(
        candidate,
        &tests(&[
            "five -> server udp/53: { drop: { by: vlan id 5 } }",
            "client -> server udp/53: accept",
            "nine -> server udp/53: accept",
            "five -> firewall tcp/22: { drop: { by: vlan id 5 } }",
        ]),
    );
}

/// The same host without a tag, with that of the VLAN, and with one of nobody.
#[test]
fn a_host_may_send_into_a_vlan_by_a_tag_of_its_own() {
    let candidate = "table inet t {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname \"eth0.5\" ip saddr 198.51.100.7 drop
    iifname \"eth0.5\" ip6 saddr 2001:db8:ffff::7 drop
  }
}
";
    let test = |name: &str, ether: &str, expect: &str| {
        format!(
            "{{ name: {name}, from: client, to: firewall, packet: {{ {ether} udp: {{ dport: 53 }} }}, expect: {expect} }}"
        )
    };
    passes(
        candidate,
        &[
            test("into", "ether: { vlan: 5 },", "{ drop: { by: eth0.5 } }"),
            test("beside", "", "accept"),
            test("nowhere", "ether: { vlan: 99 },", "drop"),
        ],
    );
}

#[test]
fn every_field_of_a_tag_decides() {
    let rows = rows();
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| row.section == "Priority tags")
        .collect();
    assert!(rows.len() >= 4, "the guide has a table of tags");
    for row in rows {
        let rule = row.rules.concat();
        let candidate = format!(
            "table netdev t {{\n chain c {{\n  type filter hook ingress device \"eth0\" priority 0;\n  {rule} drop comment \"field\"\n }}\n}}\n"
        );
        let test = |name: &str, packet: &str, expect: &str| {
            format!(
                "{{ name: {name}, from: client, to: firewall, packet: {packet}, expect: {expect} }}"
            )
        };
        let report = Lab::new(&candidate)
            .test(&test("with", &row.with, "{ drop: { by: field } }"))
            .test(&test("without", &row.without, "accept"))
            .report();
        for case in report.cases() {
            assert_eq!(case.outcome, "pass", "{row:?} {case:#?}");
        }
        assert_eq!(report.cases().len(), 4);
    }
}
