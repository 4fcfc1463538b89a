//! How it is written down, and what fails a run.

use rstest::rstest;

use super::{
    common::{Folder, Lab},
    covered,
};

/// Two rules that decide, one that never matches, and a policy that nobody comes to.
fn folder() -> Folder {
    let rules = "table inet t {\n  chain c {\n    type filter hook input priority 0; policy accept;\n    \
                 tcp dport 80 accept\n    tcp dport 81 accept\n    drop\n  }\n}\n";
    Lab::new(rules)
        .named("fw.nft")
        .test("client -> firewall tcp/80: accept")
        .test("client -> firewall tcp/82: drop")
        .folder()
}

/// geninfo(1), "FILES".
#[test]
fn an_lcov_tracefile_is_that_of_its_manual() {
    let folder = folder();
    let ended = folder.firedrill(&["test", ".", "--coverage=out/lcov.info"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = "TN:\nSF:fw.nft\n\
        BRDA:4,0,0,2\nBRDA:4,0,1,2\nBRDA:5,0,0,0\nBRDA:5,0,1,2\nBRF:4\nBRH:3\n\
        DA:3,0\nDA:4,2\nDA:5,0\nDA:6,2\nLF:4\nLH:2\nend_of_record\n";
    assert_eq!(folder.read("out/lcov.info"), expected);
}

#[test]
fn the_terminal_shows_what_nothing_tested() {
    let ended = folder().firedrill(&["test", ".", "--coverage"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "coverage of  rules  evaluated  matched  decided  coverage",
        "fw.nft           4          3        2        2    50.0 %",
        "untested in fw.nft",
        "  fw.nft:3  never reached  policy accept of inet t c",
        "  fw.nft:5  never matched  `tcp dport 81 accept`",
        "coverage: 50.0 %, 2 of 4 rules and policies were matched by a packet",
    ] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in:\n{}",
            ended.stdout
        );
    }
}

#[test]
fn beside_a_document_on_standard_output_the_terminal_s_words_go_to_standard_error() {
    let ended = folder().firedrill(&["test", ".", "--coverage", "--report", "json"]);
    assert!(ended.stderr.contains("coverage: 50.0 %"), "{ended:?}");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a document");
    assert_eq!(document["totals"]["exit_code"], 0);
}

#[rstest]
#[case("50", 0)]
#[case("50.1", 1)]
#[case("100", 1)]
#[case("0", 0)]
fn too_little_coverage_fails_a_run_that_passes(#[case] least: &str, #[case] code: i32) {
    let ended = folder().firedrill(&["test", ".", "--min-coverage", least]);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let said = ended.stderr.contains("were asked for");
    assert_eq!(said, code == 1, "{ended:?}");
}

#[test]
fn how_much_is_missing_is_said() {
    let ended = folder().firedrill(&["test", ".", "--min-coverage", "75"]);
    let expected = "coverage: 50.0 %, 2 of 4 rules and policies were matched by a packet; \
                    75 % were asked for, which takes 1 more\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn what_could_not_be_told_comes_before_too_little_coverage() {
    let blind = ["--blind", "barrier-lost"];
    let ended = folder().firedrill(&[&["test", ".", "--min-coverage", "100"], &blind[..]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[rstest]
#[case(&["--coverage=report.odd"], "does not tell the format")]
#[case(&["--coverage=lcov"], "write `lcov=FILE`")]
#[case(&["--coverage=lcov="], "no file name")]
#[case(&["--min-coverage", "101"], "a number from 0 to 100")]
#[case(&["--coverage=lab.yaml/x.json"], "could not open the coverage json=lab.yaml/x.json")]
fn what_cannot_be_written_is_bad_usage(#[case] arguments: &[&str], #[case] said: &str) {
    let ended = folder().firedrill(&[&["test", "."], arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn a_scenario_that_was_not_run_is_said_not_to_be_measured() {
    let folder = folder();
    folder.write(
        "broken.yaml",
        Lab::new("")
            .named("broken.nft")
            .test("client -> firewall tcp/80: drop")
            .yaml(),
    );
    folder.write("broken.nft", "nonsense\n");
    let (ended, document) = covered(&folder, &["--coverage"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("not measured: broken: "), "{ended:?}");
    assert_eq!(document["not_measured"][0]["scenario"], "broken");
}
