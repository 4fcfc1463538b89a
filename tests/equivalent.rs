//! One policy in the words of several firewalls: the same tests, and the same verdict for each.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its own files has failed"
)]

#[path = "common/mod.rs"]
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use common::{Folder, Report, Scenario, firedrill};

const FOLDER: &str = "scenarios/equivalent";

/// Verdicts by the case's name without its scenario.
fn verdicts(scenario: &Scenario) -> BTreeMap<&str, &str> {
    let cases = scenario.cases.iter();
    cases
        .map(|case| {
            let (_, name) = case.name.split_once(" :: ").unwrap();
            (name, case.verdict.as_str())
        })
        .collect()
}

fn report(arguments: &[&str]) -> Report {
    let mut program = firedrill();
    program.args(["test", "--report", "json"]).args(arguments);
    Report::of(common::end(program))
}

#[test]
fn equivalent_configurations_have_the_same_verdict_for_every_packet() {
    let report = report(&[FOLDER]);
    assert!(
        report.cases().iter().all(|case| case.outcome == "pass"),
        "{report:#?}"
    );
    let first = verdicts(&report.scenarios[0]);
    for family in ["ipv4", "ipv6"] {
        let of_family = first.keys().filter(|name| name.contains(family));
        assert!(of_family.count() > 30, "{first:#?}");
    }
    for scenario in &report.scenarios {
        assert_eq!(verdicts(scenario), first, "{}", scenario.name);
    }
    // Every scenario of the folder was run.
    let files = fs::read_dir(FOLDER).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names
        .filter(|name| name.ends_with(".yaml") && !name.starts_with('_'))
        .collect();
    let run = report
        .scenarios
        .iter()
        .map(|one| one.name.rsplit('/').next());
    let run: BTreeSet<String> = run.map(|name| format!("{}.yaml", name.unwrap())).collect();
    assert_eq!(run, names);
    assert!(run.len() >= 6, "{run:?}");
}

/// A successor of a ruleset is tried with the scenario of the one that runs.
#[test]
fn one_scenario_takes_the_configurations_of_other_dialects() {
    let rulesets = format!("{FOLDER}/rulesets");
    for candidate in [
        format!("iptables:v4={rulesets}/policy.v4,v6={rulesets}/policy.v6"),
        format!("ferm:{rulesets}/policy.ferm"),
        format!("shorewall:v4={rulesets}/shorewall,v6={rulesets}/shorewall6"),
    ] {
        let scenario = format!("{FOLDER}/nftables.yaml");
        let report = report(&[&scenario, "--candidate", &candidate]);
        assert_eq!(report.code, Some(0), "{candidate}: {report:#?}");
        assert!(report.cases().len() > 60);
    }
}

/// The tests are of the policy: a configuration that is another policy does not pass them.
#[test]
fn a_configuration_that_is_not_equivalent_is_told_apart() {
    let text = fs::read_to_string(Path::new(FOLDER).join("rulesets/policy.ferm")).unwrap();
    let rule = "interface eth1 dport 9100 ACCEPT;";
    assert_eq!(text.matches(rule).count(), 1);
    let folder = Folder::new();
    let path = folder.write("policy.ferm", text.replace(rule, "dport 9100 ACCEPT;"));
    let candidate = format!("ferm:{}", path.display());
    let scenario = format!("{FOLDER}/nftables.yaml");
    let report = report(&[&scenario, "--candidate", &candidate]);
    let failed: Vec<_> = report
        .cases()
        .into_iter()
        .filter(|case| case.outcome == "fail")
        .collect();
    // From the Internet and from the office, in both families.
    assert_eq!((report.code, failed.len()), (Some(1), 4), "{failed:#?}");
    assert!(
        failed.iter().all(|case| case.name.contains("tcp/9100")),
        "{failed:#?}"
    );
}
