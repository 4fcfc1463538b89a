//! Every field of a packet, on the real kernel: the tables of the guide say a packet, a rule that decides
//! on exactly that field, and a packet that differs in it. Both are sent through the rule as a drop and as
//! an accept, in every family they exist in.

mod arp;
#[path = "../common/mod.rs"]
mod common;
mod kernel;
mod table;
mod vlan;

use std::collections::BTreeMap;

use common::{Folder, Lab, Report};
use table::{Row, rows};

/// Where a packet goes: its ends in a test, and the chain that decides.
const INPUT: (&str, &str) = ("input", "from: client, to: firewall");
const FORWARD: (&str, &str) = ("forward", "from: client, to: server");
const OUTPUT: (&str, &str) = ("output", "from: firewall, to: client");

/// A candidate in which these rules have one verdict and everything else the other.
fn candidate(row: &Row, verdict: &str, otherwise: &str) -> String {
    let rules: String = row
        .rules
        .iter()
        .map(|rule| format!("    {rule} {verdict} comment \"field\"\n"))
        .collect();
    let chains = [INPUT, FORWARD, OUTPUT].map(|(hook, _)| {
        format!("  chain {hook} {{\n    type filter hook {hook} priority 0; policy {otherwise};\n{rules}  }}\n")
    });
    format!("table inet t {{\n{}}}\n", chains.concat())
}

/// The scenarios of the rows of some sections, each with what its cases must come to.
fn drill(sections: &[&str], ways: &[(&str, &str)]) {
    let folder = Folder::new();
    let mut expected = BTreeMap::new();
    let found: Vec<Row> = rows()
        .into_iter()
        .filter(|row| sections.contains(&&*row.section))
        // Only what comes in has its checksum looked at by connection tracking.
        .filter(|row| ways != [OUTPUT] || !row.with.contains("bad"))
        .collect();
    for section in sections {
        assert!(
            found.iter().any(|row| row.section == *section),
            "no rows in {section}"
        );
    }
    for (number, row) in found.iter().enumerate() {
        for (verdict, otherwise) in [("drop", "accept"), ("accept", "drop")] {
            let name = format!("row-{number:03}-{verdict}");
            let lab = Lab::new("").named(&format!("{name}.nft"));
            let lab = ways.iter().fold(lab, |lab, (hook, ends)| {
                let test = |what: &str, packet: &str, expect: &str| {
                    format!("{{ name: {hook} {what}, {ends}, packet: {packet}, expect: {expect} }}")
                };
                lab.test(&test(
                    "with",
                    &row.with,
                    &format!("{{ {verdict}: {{ by: field }} }}"),
                ))
                .test(&test(
                    "without",
                    &row.without,
                    &format!("{{ {otherwise}: {{ by: policy }} }}"),
                ))
            });
            folder.write(&format!("{name}.nft"), candidate(row, verdict, otherwise));
            folder.write(&format!("{name}.yaml"), lab.yaml());
            expected.insert(name, row);
        }
    }
    let report = folder.report(&[]);
    check(&report, &expected, ways.len());
}

fn check(report: &Report, expected: &BTreeMap<String, &Row>, ways: usize) {
    let mut wrong = Vec::new();
    for (name, row) in expected {
        let cases: Vec<_> = report
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.cases)
            .filter(|case| case.name.starts_with(&format!("{name} :: ")))
            .collect();
        let error = report
            .scenarios
            .iter()
            .find(|scenario| scenario.name == *name)
            .and_then(|scenario| scenario.error.clone());
        if cases.len() < 2 * ways || cases.iter().any(|case| case.outcome != "pass") {
            let told: Vec<String> = cases
                .iter()
                .filter(|case| case.outcome != "pass")
                .map(|case| {
                    format!(
                        "  {}: {} {} ({:?}, {:?})",
                        case.name, case.outcome, case.verdict, case.reason, case.kernel
                    )
                })
                .collect();
            wrong.push(format!(
                "{row:?}\n{} cases {error:?}\n{}",
                cases.len(),
                told.join("\n")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} fail:\n{}",
        wrong.len(),
        expected.len(),
        wrong.join("\n\n")
    );
}

/// The keys of the format that say something of a packet are those that the tables have.
#[test]
fn every_field_of_the_format_is_in_a_table() {
    let schema = firedrill::scenario::json_schema();
    let rows = rows();
    let mut missing = Vec::new();
    let mut seen = 0;
    for (object, definition) in schema["$defs"].as_object().expect("there are definitions") {
        let nested = matches!(
            object.as_str(),
            "vlan-tag"
                | "ipv4-option"
                | "extension"
                | "fragment"
                | "fragments"
                | "tcp-options"
                | "sctp-chunk"
                | "payload"
        );
        // The one of an interface.
        if object == "vlan" {
            continue;
        }
        let header = rows
            .iter()
            .any(|row| row.with.contains(&format!("{object}: ")));
        if !(nested || header || object == "packet") {
            continue;
        }
        for key in definition["properties"]
            .as_object()
            .expect("an object has keys")
            .keys()
        {
            seen += 1;
            let shown = rows.iter().any(|row| {
                (nested
                    || object == "packet"
                    || row.with.contains(&format!("{object}: {{"))
                    || row.with.contains(&format!("{object}v4: {{"))
                    || row.with.contains(&format!("{object}v6: {{")))
                    && (row.with.contains(&format!("{key}: "))
                        || row.field.contains(&format!("{object}.{key}`")))
            });
            if !shown {
                missing.push(format!("{object}.{key}"));
            }
        }
    }
    // Needs a file: see `kernel`.
    missing.retain(|key| key != "packet.pcap");
    assert!(missing.is_empty(), "no row has {missing:?}");
    assert!(seen > 100, "only {seen} keys were found");
}

#[test]
fn every_field_of_ip_decides() {
    drill(&["IP"], &[INPUT, FORWARD]);
}

#[test]
fn every_field_of_tcp_decides() {
    drill(&["TCP"], &[INPUT, FORWARD]);
}

#[test]
fn every_field_of_udp_and_udp_lite_decides() {
    drill(&["UDP and UDP-Lite"], &[INPUT, FORWARD]);
}

#[test]
fn every_field_of_sctp_decides() {
    drill(&["SCTP"], &[INPUT, FORWARD]);
}

#[test]
fn every_field_of_icmp_decides() {
    drill(&["ICMP and ICMPv6"], &[INPUT, FORWARD]);
}

#[test]
fn every_field_of_the_other_protocols_decides() {
    drill(&["Other protocols"], &[INPUT, FORWARD]);
}

/// What the firewall itself sends is as it is said, too.
#[test]
fn every_field_decides_at_output() {
    let sections = [
        "TCP",
        "UDP and UDP-Lite",
        "SCTP",
        "ICMP and ICMPv6",
        "Other protocols",
    ];
    drill(&sections, &[OUTPUT]);
}

#[test]
fn raw_bytes_are_decided_on() {
    drill(&["Raw bytes"], &[INPUT]);
}

#[test]
fn every_field_of_a_frame_decides() {
    drill(&["Frames that the firewall receives"], &[INPUT, FORWARD]);
}

#[test]
fn what_is_sent_to_many_is_delivered_to_the_firewall() {
    drill(&["Delivered to the firewall"], &[INPUT]);
}

#[test]
fn fragments_are_forwarded_as_they_are_without_connection_tracking() {
    drill(&["Forwarded by the firewall"], &[FORWARD]);
}
