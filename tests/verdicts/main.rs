//! What the real kernel does with real packets, against what the report says of it: every class of
//! verdict, on every hook, in both address families. Each class is also expected to be what it is
//! not, because a harness that always passes is the worst bug of all.

#[path = "../common/mod.rs"]
mod common;

mod accept;
mod attribution;
mod drop;
mod kernel;
mod nat;
mod reject;

use common::{Case, Lab, Rule};

/// The outcomes that a scenario can expect.
const OUTCOMES: [&str; 3] = ["accept", "drop", "reject"];

/// Where a packet goes, and with it through which hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Input,
    Forward,
    Output,
}

const WAYS: [Way; 3] = [Way::Input, Way::Forward, Way::Output];

impl Way {
    fn hook(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }

    fn ends(self) -> &'static str {
        match self {
            Self::Input => "from: client, to: firewall",
            Self::Forward => "from: client, to: server",
            Self::Output => "from: firewall, to: client",
        }
    }
}

/// The table `inet t` with this, and with a base chain on each of the hooks input, forward and output,
/// called like its hook, with this content: `policy accept; tcp dport 80 drop`, say.
fn table(beside: &str, content: &str) -> String {
    let chains = WAYS.map(|way| {
        let hook = way.hook();
        format!("chain {hook} {{\n  type filter hook {hook} priority 0; {content}\n }}\n ")
    });
    format!("table inet t {{\n {beside}\n {}\n}}\n", chains.concat())
}

/// The table `inet t` with one base chain `c`.
fn chain(kind_and_place: &str, rule: &str) -> String {
    format!("table inet t {{\n chain c {{\n  type {kind_and_place};\n  {rule}\n }}\n}}\n")
}

/// A policy as the report shows it.
fn policy(family: &str, table: &str, chain: &str) -> Option<Rule> {
    Some(Rule {
        family: family.to_owned(),
        table: table.to_owned(),
        chain: chain.to_owned(),
        handle: None,
        text: Some("policy".to_owned()),
    })
}

/// Sees that a flow has this verdict on each of the ways, and that of all outcomes that may be
/// expected the true one passes and every other fails. `flow` is what the long form of a test says
/// beside its ends. Every case comes back with its way.
#[track_caller]
fn proves(lab: &Lab, ways: &[Way], flow: &str, verdict: &str) -> Vec<(Way, Case)> {
    let tests = ways
        .iter()
        .flat_map(|way| OUTCOMES.map(|outcome| (*way, outcome)));
    let lab = tests.clone().fold(lab.clone(), |lab, (way, outcome)| {
        let (hook, ends) = (way.hook(), way.ends());
        lab.test(&format!(
            "{{ name: {hook} as {outcome}, {ends}, {flow}, expect: {outcome} }}"
        ))
    });
    let report = lab.report();
    let mut found = Vec::new();
    for case in report.cases() {
        let is_of = |(way, outcome): &(Way, &str)| {
            case.name
                .starts_with(&format!("lab :: {} as {outcome} ", way.hook()))
        };
        let (way, expected) = tests
            .clone()
            .find(is_of)
            .expect("a case has the name of its test");
        let holds = verdict.starts_with(expected);
        let told = format!("expected {expected}, but it was {verdict}");
        let (outcome, reason) = if holds {
            ("pass", None)
        } else {
            ("fail", Some(told))
        };
        assert_eq!(
            (&*case.verdict, &*case.outcome),
            (verdict, outcome),
            "{case:#?}"
        );
        assert_eq!(case.reason, reason, "{case:#?}");
        found.push((way, case.clone()));
    }
    assert!(
        tests.clone().count() <= found.len(),
        "every test has a case: {report:#?}"
    );
    assert_eq!(report.code, Some(1), "two of three expectations fail");
    found
}

/// As [`proves`], where every case was decided by a rule of this text in this place; `HOOK` in the
/// place is the chain that is called like the way's hook.
#[track_caller]
fn proves_by(lab: &Lab, ways: &[Way], flow: &str, verdict: &str, place: [&str; 3], text: &str) {
    for (way, case) in proves(lab, ways, flow, verdict) {
        let rule = case
            .rule
            .as_ref()
            .unwrap_or_else(|| panic!("no rule: {case:#?}"));
        let at = [&*rule.family, &*rule.table, &*rule.chain];
        let place = place.map(|word| if word == "HOOK" { way.hook() } else { word });
        assert_eq!((at, rule.text.as_deref()), (place, Some(text)), "{case:#?}");
        assert!(rule.handle.is_some_and(|handle| handle > 0), "{case:#?}");
        assert_eq!(case.kernel, None, "{case:#?}");
    }
}

/// As [`proves`], where every case was decided by the policy of the chain called like the hook.
#[track_caller]
fn proves_by_policy(lab: &Lab, ways: &[Way], flow: &str, verdict: &str, family: &str) {
    for (way, case) in proves(lab, ways, flow, verdict) {
        assert_eq!(case.rule, policy(family, "t", way.hook()), "{case:#?}");
        assert_eq!(case.kernel, None, "{case:#?}");
    }
}
