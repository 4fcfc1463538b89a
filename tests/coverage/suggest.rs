//! Tests for what nothing tested, and rules that nothing can reach.

use rstest::rstest;
use serde_json::Value;

use super::{
    common::{Folder, Lab},
    covered, lines,
};

fn lab(rules: &str) -> Lab {
    let rules = format!(
        "table inet t {{\n  chain c {{\n    type filter hook input priority 0; policy drop;\n{rules}\n  }}\n}}\n"
    );
    Lab::new(&rules)
        .named("fw.nft")
        .test("client -> firewall tcp/80: accept")
}

/// What the search found, by line.
fn searched(document: &Value) -> Vec<(u64, Value)> {
    let rules = document["rulesets"][0]["rules"].as_array().expect("a list");
    let searched = rules.iter().filter(|rule| !rule["search"].is_null());
    let mut found: Vec<(u64, Value)> = searched
        .map(|rule| {
            (
                rule["line"].as_u64().expect("a line"),
                rule["search"].clone(),
            )
        })
        .collect();
    found.sort_by_key(|(line, _)| *line);
    found
}

/// The tests that are proposed cover what they are proposed for, once they are in the scenario.
#[rstest]
#[case::a_port(
    "    tcp dport 80 accept\n    udp dport 53 drop",
    5,
    "- client -> firewall udp/53: drop\n"
)]
#[case::a_set_of_ports(
    "    tcp dport 80 accept\n    tcp dport { 25, 26 } reject with tcp reset",
    5,
    "- client -> firewall tcp/25: reject tcp-reset\n"
)]
#[case::a_forged_source(
    "    tcp dport 80 accept\n    iifname \"eth0\" ip saddr 10.9.0.0/16 drop",
    5,
    "- name: \"reaches fw.nft:5\"\n  from: client\n  to: firewall\n  packet: { ip: { source: 10.9.0.1 }, tcp: { dport: 61337 } }\n  expect: drop\n"
)]
#[case::one_family(
    "    tcp dport 80 accept\n    meta nfproto ipv6 tcp dport 81 accept",
    5,
    "- name: \"reaches fw.nft:5\"\n  from: client\n  to: firewall\n  service: \"tcp/81\"\n  family: ipv6\n  expect: accept\n"
)]
#[case::a_connection(
    "    tcp dport 80 ct state new accept\n    ct state established accept",
    5,
    "- name: \"reaches fw.nft:5\"\n  steps:\n    - client -> firewall tcp/80 syn: accept\n    - reply syn-ack: accept\n    - client -> firewall tcp/80 ack: accept\n"
)]
#[case::what_belongs_to_nothing(
    "    tcp dport 80 accept\n    ct state invalid drop",
    5,
    "- client -> firewall tcp/61337 syn-ack: drop\n"
)]
#[case::loopback(
    "    tcp dport 80 accept\n    iif lo accept",
    5,
    "- firewall -> firewall tcp/61337: accept\n"
)]
fn a_test_is_proposed_that_really_covers(
    #[case] rules: &str,
    #[case] line: u64,
    #[case] test: &str,
) {
    let lab = lab(rules);
    let folder = lab.folder();
    let (ended, document) = covered(&folder, &["--coverage-suggest"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = searched(&document);
    let (_, search) = found
        .iter()
        .find(|(of, _)| *of == line)
        .expect("it was looked for");
    assert_eq!(search["found"], "test", "{document}");
    assert_eq!(search["test"], test);
    assert_eq!(search["scenario"], "./lab.yaml");
    let mut yaml = folder.read("lab.yaml");
    for line in test.lines() {
        yaml += &format!("  {line}\n");
    }
    folder.write("lab.yaml", yaml);
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let place = format!("fw.nft:{line}");
    let covered = lines(&document);
    let (_, _, matched, _) = covered
        .iter()
        .find(|(of, ..)| *of == place)
        .expect("a line");
    assert!(*matched > 0, "{document}");
}

/// What ends the packets that are meant for a rule is named.
#[rstest]
#[case::by_the_same(
    "    tcp dport { 80, 81 } accept\n    tcp dport 81 drop",
    5,
    "fw.nft:4"
)]
#[case::by_everything(
    "    tcp dport 80 accept\n    drop\n    udp dport 5 accept",
    6,
    "fw.nft:5"
)]
fn a_rule_that_nothing_can_reach_is_possibly_dead(
    #[case] rules: &str,
    #[case] line: u64,
    #[case] shadow: &str,
) {
    let (ended, document) = covered(&lab(rules).folder(), &["--coverage-suggest", "--coverage"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = searched(&document);
    let (_, search) = found
        .iter()
        .find(|(of, _)| *of == line)
        .expect("it was looked for");
    assert_eq!(search["found"], "possibly-dead", "{document}");
    assert_eq!(search["shadow"], shadow);
    assert!(search["packets"].as_u64() > Some(0));
    for part in [
        "WARNING coverage/possibly-dead",
        &format!("--> fw.nft:{line}"),
        &format!("shadowed by {shadow}"),
    ] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
}

/// No packet is made that a rule of this kind asks for, and that is no proof of anything.
#[test]
fn a_rule_that_packets_come_to_and_do_not_match_is_not_called_dead() {
    let rules = "    tcp dport 80 accept\n    meta length 1300-1400 drop";
    let (_, document) = covered(&lab(rules).folder(), &["--coverage-suggest"]);
    let found = searched(&document);
    let (_, search) = found
        .iter()
        .find(|(of, _)| *of == 5)
        .expect("it was looked for");
    assert_eq!(search["found"], "no-match", "{document}");
}

/// The elements of a named set are read from the loaded ruleset.
#[test]
fn a_rule_that_looks_an_address_up_in_a_named_set_is_found() {
    let rules = "table inet t {\n  set bad {\n    type ipv4_addr\n    elements = { 203.0.113.9 }\n  }\n  chain c {\n    \
                 type filter hook input priority 0; policy drop;\n    ip saddr @bad drop\n    tcp dport 80 accept\n  }\n}\n";
    let folder = Lab::new(rules)
        .named("fw.nft")
        .test("client -> firewall tcp/80: accept")
        .folder();
    let (_, document) = covered(&folder, &["--coverage-suggest"]);
    let found = searched(&document);
    let (_, search) = found
        .iter()
        .find(|(of, _)| *of == 8)
        .expect("it was looked for");
    let test = search["test"].as_str().expect("a test");
    assert!(test.contains("source: 203.0.113.9"), "{test}");
}

/// A rule of a chain is reached by what the rules ask for that lead there.
#[test]
fn the_way_to_a_chain_is_part_of_what_a_rule_asks_for() {
    let rules = "table inet t {\n  chain c {\n    type filter hook forward priority 0; policy drop;\n    \
                 iifname \"eth1\" tcp dport vmap { 25 : jump mail, 80 : jump web }\n    accept\n  }\n  \
                 chain web {\n    drop\n  }\n  chain mail {\n    drop\n  }\n}\n";
    let folder = Lab::new(rules)
        .named("fw.nft")
        .test("client -> server tcp/80: accept")
        .folder();
    let (_, document) = covered(&folder, &["--coverage-suggest"]);
    let test = |line: u64| {
        let found = searched(&document);
        let (_, search) = found
            .iter()
            .find(|(of, _)| *of == line)
            .expect("looked for")
            .clone();
        search["test"].as_str().expect("a test").to_owned()
    };
    assert_eq!(test(8), "- server -> client tcp/80: drop\n");
    assert_eq!(test(11), "- server -> client tcp/25: drop\n");
}

#[test]
fn without_a_file_the_suggestions_are_for_the_terminal() {
    let folder: Folder = lab("    tcp dport 80 accept\n    udp dport 53 drop").folder();
    let ended = folder.firedrill(&["test", ".", "--coverage-suggest"]);
    let expected = "tests to add to ./lab.yaml, each run in a lab with fw.nft\n  # fw.nft:5  `udp dport 53 drop`\n  \
                    - client -> firewall udp/53: drop\n";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
}
