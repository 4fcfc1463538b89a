//! Several candidates under the same tests.

use insta::assert_snapshot;
use rstest::rstest;

use super::{WORLD, problems_of, read_all};
use crate::{
    dialect::Replacement,
    scenario::{Action, Scenario, replace},
};

const TESTS: &str = "tests:\n  - internet -> firewall tcp/80: accept\n";
const OLD_AND_NEW: &str = "candidates: { old: { iptables: web.v4 }, new: { nftables: web.nft } }";

/// [`WORLD`] with these candidates and tests.
fn world(candidates: &str, tests: &str) -> String {
    format!("{}{tests}", WORLD.replace("nftables: web.nft", candidates))
}

fn scenarios(text: &str) -> Vec<Scenario> {
    read_all(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What each is called, and what it is about: `test@old iptables web.v4`.
fn told(scenarios: &[Scenario]) -> Vec<String> {
    let told = |scenario: &Scenario| {
        let config = &scenario.firewall.candidate;
        let file = config.main();
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        format!("{} {} {file}", scenario.id, config.dialect().key)
    };
    scenarios.iter().map(told).collect()
}

/// With what the command line says.
fn replaced(text: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
    let fixture = |argument: &str| argument.replace("web", "src/scenario/tests/fixtures/web");
    let replacements: Vec<Replacement> = arguments
        .iter()
        .map(|argument| fixture(argument).parse().unwrap())
        .collect();
    let told = replace(scenarios(text), &replacements).map(|all| told(&all));
    told.map_err(|error| error.replace("src/scenario/tests/fixtures/", ""))
}

#[test]
fn every_candidate_gets_every_test_under_a_name_of_its_own() {
    let all = scenarios(&world(OLD_AND_NEW, TESTS));
    assert_eq!(
        told(&all),
        ["test@old iptables web.v4", "test@new nftables web.nft"]
    );
    let names = all.iter().flat_map(|scenario| &scenario.cases);
    let names: Vec<&str> = names.map(|case| case.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "test@old :: internet -> firewall tcp/80 [ipv4]",
            "test@old :: internet -> firewall tcp/80 [ipv6]",
            "test@new :: internet -> firewall tcp/80 [ipv4]",
            "test@new :: internet -> firewall tcp/80 [ipv6]",
        ]
    );
    assert!(all.iter().all(|scenario| scenario.stem() == "test"));
}

#[test]
fn a_reload_has_a_file_for_each_candidate_or_one_for_all_of_one_dialect() {
    let reload = |what: &str| {
        format!(
            "tests:\n  - steps:\n      - internet -> firewall tcp/80: accept\n      - reload: {what}\n      - internet -> firewall tcp/81: drop\n"
        )
    };
    let loaded = |text: &str| -> Vec<String> {
        let all = scenarios(text);
        let steps = all.iter().flat_map(|scenario| &scenario.cases[0].steps);
        let files = steps.filter_map(|step| match &step.action {
            Action::Reload(reload) => Some(reload.candidate.file_name()?.to_string_lossy().into()),
            Action::Send(_) | Action::Wait(_) | Action::Sweep(_) => None,
        });
        files.collect()
    };
    let each = world(OLD_AND_NEW, &reload("{ new: new2.nft, old: old2.v4 }"));
    assert_eq!(loaded(&each), ["old2.v4", "new2.nft"]);
    let alike = "candidates: { a: { nftables: web.nft }, b: { nftables: web.nft } }";
    let one = world(alike, &reload("later.nft"));
    assert_eq!(loaded(&one), ["later.nft", "later.nft"]);
    assert_snapshot!(problems_of(&world(OLD_AND_NEW, &reload("later.nft"))), @r"
    error: the candidates are not of one dialect, so they cannot all load this
      --> test.yaml:13:17
       |
    13 |       - reload: later.nft
       |                 ^^^^^^^^^
       |
    help: name a file for each: `reload: { old: …, new: … }`
    ");
    assert_snapshot!(problems_of(&world(OLD_AND_NEW, &reload("{ nwe: new2.nft }"))), @r"
    error: there is no file for the candidate `old`
      --> test.yaml:13:9
       |
    13 |       - reload: { nwe: new2.nft }
       |         ^^^^^^

    error: unknown candidate `nwe`
      --> test.yaml:13:19
       |
    13 |       - reload: { nwe: new2.nft }
       |                   ^^^
       |
    help: did you mean `new`?
    ");
    assert_snapshot!(problems_of(&world(OLD_AND_NEW, &reload("{}"))), @r"
    error: expected a file, found a map
      --> test.yaml:13:9
       |
    13 |       - reload: {}
       |         ^^^^^^
    ");
}

#[test]
fn problems_of_candidates_are_told_at_their_place() {
    let candidates = "candidates:\n    v4: { nftables: web.nft }\n    \"a b\": { nftables: web.nft }\n    none: {}\n    both: { nftables: web.nft, iptables: web.v4 }\n    gone: { nftables: gone.nft }";
    assert_snapshot!(problems_of(&world(candidates, TESTS)), @r#"
    error: `v4` is a key of iptables and no name
     --> test.yaml:3:5
      |
    3 |     v4: { nftables: web.nft }
      |     ^^

    error: `a b` is no name: write letters, digits, `.`, `-` and `_`
     --> test.yaml:4:6
      |
    4 |     "a b": { nftables: web.nft }
      |      ^^^

    error: the candidate has none of [dialects]
     --> test.yaml:5:5
      |
    5 |     none: {}
      |     ^^^^

    error: the candidate can have only one of `nftables` and `iptables`
     --> test.yaml:6:32
      |
    6 |     both: { nftables: web.nft, iptables: web.v4 }
      |             --------           ^^^^^^^^
      |             |
      |             the first is here

    error: the ruleset `gone.nft` does not exist
     --> test.yaml:7:23
      |
    7 |     gone: { nftables: gone.nft }
      |                       ^^^^^^^^
      |
    help: looked for `gone.nft`
    "#);
    assert_snapshot!(problems_of(&world("candidates: {}", TESTS)), @r"
    error: there is no candidate
     --> test.yaml:2:3
      |
    2 |   candidates: {}
      |   ^^^^^^^^^^
      |
    help: name at least one: `{ old: { iptables: rules.v4 }, new: { nftables: new.nft } }`
    ");
    let beside = "nftables: web.nft\n  candidates: { new: { nftables: web.nft } }";
    assert_snapshot!(problems_of(&world(beside, TESTS)), @r"
    error: the firewall can have only one of `nftables` and `candidates`
     --> test.yaml:3:3
      |
    2 |   nftables: web.nft
      |   -------- the first is here
    3 |   candidates: { new: { nftables: web.nft } }
      |   ^^^^^^^^^^
    ");
}

#[test]
fn there_are_only_so_many_candidates() {
    let candidates: Vec<String> = (0..17)
        .map(|number| format!("c{number}: {{ nftables: web.nft }}"))
        .collect();
    let text = world(
        &format!("candidates: {{ {} }}", candidates.join(", ")),
        TESTS,
    );
    assert!(problems_of(&text).starts_with("error: a firewall has at most 16 candidates"));
}

const ONE: &str = "nftables: web.nft";

#[rstest]
#[case::nothing(OLD_AND_NEW, &[], &["test@old iptables web.v4", "test@new nftables web.nft"])]
#[case::instead_of_the_only_one(ONE, &["iptables:web.v4"], &["test iptables web.v4"])]
#[case::beside_the_only_one(
    ONE, &["deployed=web.nft"], &["test@candidate nftables web.nft", "test@deployed nftables web.nft"]
)]
#[case::both(
    ONE, &["iptables:web.v4", "b=iptables:v4=web.v4,backend=legacy"],
    &["test@candidate iptables web.v4", "test@b iptables web.v4"]
)]
#[case::the_only_one_by_its_usual_name(ONE, &["candidate=iptables:web.v4"], &["test iptables web.v4"])]
#[case::instead_of_several(OLD_AND_NEW, &["nftables:web.nft"], &["test nftables web.nft"])]
#[case::one_of_several(OLD_AND_NEW, &["new"], &["test@new nftables web.nft"])]
#[case::one_of_several_and_another(
    OLD_AND_NEW, &["new", "b=nftables:web.nft"],
    &["test@new nftables web.nft", "test@b nftables web.nft"]
)]
#[case::instead_of_one_of_several(
    OLD_AND_NEW, &["new=iptables:web.v4"], &["test@old iptables web.v4", "test@new iptables web.v4"]
)]
#[case::a_third(
    OLD_AND_NEW, &["third=iptables:web.v4"],
    &["test@old iptables web.v4", "test@new nftables web.nft", "test@third iptables web.v4"]
)]
#[case::a_key_of_the_dialect_is_no_name("iptables: web.v4", &["v4=web.v4"], &["test iptables web.v4"])]
fn the_command_line_brings_other_candidates(
    #[case] own: &str,
    #[case] arguments: &[&str],
    #[case] expected: &[&str],
) {
    let text = world(own, TESTS);
    let all = replaced(&text, arguments).unwrap();
    assert_eq!(all, expected);
}

#[rstest]
#[case::in_which_dialect(
    OLD_AND_NEW, &["third=web.nft"],
    "the candidates are not of one dialect, so say which that of web.nft is\n(for example `nftables:web.nft`)"
)]
#[case::no_such_file(ONE, &["new=gone.nft"], "there is no candidate file gone.nft")]
#[case::two_without_a_name(
    ONE, &["web.nft", "iptables:web.v4"],
    "only one candidate can take the place of the scenarios' own\n\
     (give the others names to run against them as well: `--candidate NAME=FILE`)"
)]
fn what_the_command_line_cannot_mean_is_said(
    #[case] own: &str,
    #[case] arguments: &[&str],
    #[case] expected: &str,
) {
    assert_eq!(
        replaced(&world(own, TESTS), arguments),
        Err(expected.to_owned())
    );
}

/// A reload is part of the test: it must not load what is meant for another dialect.
#[test]
fn a_candidate_that_cannot_reload_what_the_scenario_reloads_is_refused() {
    let steps = |reload: &str| {
        format!(
            "tests:\n  - steps:\n      - internet -> firewall tcp/80: accept\n      - reload: {reload}\n      - internet -> firewall tcp/80: drop\n"
        )
    };
    let text = world(ONE, &steps("later.nft"));
    let refused = replaced(&text, &["iptables:web.v4"]).unwrap_err();
    assert_eq!(
        refused,
        "test reloads `later.nft`, which is for nftables, and `web.v4` is for iptables"
    );
    let text = world(OLD_AND_NEW, &steps("{ old: old2.v4, new: new2.nft }"));
    assert!(replaced(&text, &["new=nftables:web.nft"]).is_ok());
    let refused = replaced(&text, &["third=nftables:web.nft"]).unwrap_err();
    assert_eq!(
        refused,
        "test reloads a file for each of its candidates, and none for `web.nft`"
    );
}
