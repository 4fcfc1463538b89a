//! Arbitrary and generated texts.

use std::{collections::BTreeSet, fmt::Write as _};

use proptest::{collection::vec, prelude::*, sample::select};
use serde_yaml::{Mapping, Value};

use super::{WORLD, good, read};

/// Pieces that scenarios are made of, so that nonsense gets deep into the reader.
const PIECES: [&str; 48] = [
    "firewall",
    "hosts",
    "tests",
    "interfaces",
    "nftables",
    "web.nft",
    "eth0",
    "eth1",
    "internet",
    "db",
    "->",
    "@",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "|",
    ">",
    "&a",
    "*a",
    "<<",
    "~",
    "#",
    "tcp/80",
    "udp/",
    "icmp/8",
    "any",
    "accept",
    "drop",
    "reject",
    "192.0.2.1",
    "/24",
    "2001:db8::1",
    "é",
    "\t",
    "\0",
    "\u{feff}",
];

fn survives(text: &str) {
    if let Err(problems) = read(text) {
        assert!(!problems.is_empty());
        let _ = problems.render(true);
        for problem in &problems {
            let at = problem
                .location
                .as_ref()
                .expect("it is about a place in the text");
            assert!(at.line <= text.matches('\n').count() + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_is_read_or_refused(text in ".{0,200}") {
        survives(&text);
    }

    #[test]
    fn arbitrary_pieces_of_scenarios_are_read_or_refused(pieces in vec(select(&PIECES[..]), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn arbitrary_tests_are_read_or_refused(pieces in vec(select(&PIECES[..]), 0..20)) {
        survives(&format!("{WORLD}tests:\n  - {}\n", pieces.concat()));
    }

    #[test]
    fn a_good_scenario_with_a_hole_is_read_or_refused(start in 0usize..400, len in 1usize..60) {
        let text = format!("{WORLD}tests:\n  - internet -> db tcp/80: drop\n");
        let mut letters: Vec<char> = text.chars().collect();
        let start = start.min(letters.len());
        let end = (start + len).min(letters.len());
        letters.drain(start..end);
        survives(&letters.into_iter().collect::<String>());
    }

    #[test]
    fn what_serde_yaml_writes_reads_back_as_the_same_scenario(plan in plan()) {
        let written = serde_yaml::to_string(&plan.value()).expect("a plan is YAML");
        prop_assert_eq!(good(&written).cases_without_places(), good(&plan.text()).cases_without_places());
    }
}

/// A generated scenario.
#[derive(Debug, Clone)]
struct Plan {
    name: String,
    tags: Vec<String>,
    hosts: Vec<(String, bool)>,
    ports: BTreeSet<u16>,
    outcomes: Vec<&'static str>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let host = ("[a-z_][a-z0-9_.-]{0,9}x", any::<bool>());
    let outcome = select(&["accept", "drop", "reject", "reject tcp-reset"][..]);
    (
        "[ -~]{0,20}[0-9a-z]",
        vec("(true|null|0x1f|1_000|[a-z~!&*'\"#]{0,6}y)", 0..4),
        vec(host, 1..6),
        proptest::collection::btree_set(1u16.., 1..6),
        vec(outcome, 1..6),
    )
        .prop_map(|(name, tags, mut hosts, ports, outcomes)| {
            let mut seen = BTreeSet::new();
            hosts.retain(|(name, _)| seen.insert(name.clone()));
            Plan {
                name,
                tags,
                hosts,
                ports,
                outcomes,
            }
        })
}

impl Plan {
    /// Name, interface and address of each host.
    fn hosts(&self) -> Vec<(&str, &str, String)> {
        let hosts = self.hosts.iter().enumerate();
        hosts
            .map(|(index, (name, outside))| match outside {
                true => (name.as_str(), "eth0", format!("198.51.100.{}", index + 1)),
                false => (name.as_str(), "eth1", format!("10.0.0.{}", index + 2)),
            })
            .collect()
    }

    fn tests(&self) -> Vec<(String, &str)> {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let outcomes = self.outcomes.iter().cycle();
        self.hosts()
            .iter()
            .zip(outcomes)
            .map(|((host, ..), outcome)| {
                (
                    format!("{host} -> firewall tcp/{}", ports.join(",")),
                    *outcome,
                )
            })
            .collect()
    }

    fn value(&self) -> Value {
        let map = |pairs: Vec<(&str, Value)>| {
            let pairs = pairs
                .into_iter()
                .map(|(key, value)| (Value::from(key), value));
            Value::Mapping(pairs.collect::<Mapping>())
        };
        let hosts = self.hosts();
        let hosts = hosts
            .iter()
            .map(|(name, side, address)| {
                let host = map(vec![
                    ("behind", Value::from(*side)),
                    ("address", Value::from(address.as_str())),
                ]);
                (*name, host)
            })
            .collect();
        let tests = self.tests();
        let tests = tests
            .iter()
            .map(|(test, outcome)| map(vec![(test, Value::from(*outcome))]))
            .collect();
        map(vec![
            ("name", Value::from(self.name.as_str())),
            (
                "tags",
                Value::Sequence(
                    self.tags
                        .iter()
                        .map(|tag| Value::from(tag.as_str()))
                        .collect(),
                ),
            ),
            (
                "firewall",
                map(vec![
                    ("nftables", Value::from("web.nft")),
                    (
                        "interfaces",
                        map(vec![
                            ("eth0", Value::from("192.0.2.10/24")),
                            ("eth1", Value::from("10.0.0.1/24")),
                        ]),
                    ),
                ]),
            ),
            ("hosts", map(hosts)),
            ("tests", Value::Sequence(tests)),
        ])
    }

    /// The same, written by hand.
    fn text(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let mut text = format!("name: {}\n", quoted(&self.name));
        let tags: Vec<String> = self.tags.iter().map(|tag| quoted(tag)).collect();
        let _ = writeln!(text, "tags: [{}]", tags.join(", "));
        text += "firewall: { nftables: web.nft, interfaces: { eth0: 192.0.2.10/24, eth1: 10.0.0.1/24 } }\nhosts:\n";
        for (name, side, address) in self.hosts() {
            let _ = writeln!(
                text,
                "  {}: {{ behind: {side}, address: {address} }}",
                quoted(name)
            );
        }
        text += "tests:\n";
        for (test, outcome) in self.tests() {
            let _ = writeln!(text, "  - {test}: {outcome}");
        }
        text
    }
}

impl crate::scenario::Scenario {
    /// The scenario but for where its tests stand, which depends on who wrote it.
    fn cases_without_places(mut self) -> Self {
        for case in &mut self.cases {
            let steps = case.steps.iter_mut().map(|step| &mut step.at);
            for at in std::iter::once(&mut case.at).chain(steps) {
                (at.line, at.column) = (0, 0);
            }
        }
        self
    }
}
