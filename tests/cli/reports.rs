//! The reports: JSON, JUnit and the terminal's, alone and together.

use std::process::Stdio;

use quick_xml::{Reader, events::Event};
use rstest::rstest;
use serde_json::Value;

use super::{
    OF_THAT_DAY, OUTAGE, at_home,
    common::{Folder, Lab, firedrill},
    mixed,
};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The keys that a program may rely on.
#[test]
fn a_json_report_has_every_key() {
    let document = json(&mixed().firedrill(&["test", ".", "--report", "json"]).stdout);
    assert_eq!(document["version"], 2);
    assert_eq!(document["tool"]["name"], "firedrill");
    assert_eq!(document["tool"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        document["kernel"]
            .as_str()
            .is_some_and(|kernel| kernel.starts_with(|c: char| c.is_ascii_digit()))
    );
    assert!(
        document["nft"]
            .as_str()
            .is_some_and(|nft| nft.starts_with("nftables v")),
        "{document}"
    );

    let totals = &document["totals"];
    let counted = [
        ("scenarios", 1),
        ("cases", 6),
        ("pass", 2),
        ("fail", 4),
        ("inconclusive", 0),
        ("skipped", 0),
        ("exit_code", 1),
    ];
    for (key, count) in counted {
        assert_eq!(totals[key], count, "{key}");
    }
    assert!(totals["duration_us"].as_u64().is_some_and(|time| time > 0));

    let scenario = &document["scenarios"][0];
    assert_eq!(
        (&scenario["name"], &scenario["file"]),
        (&json("\"lab\""), &json("\"./lab.yaml\""))
    );
    assert_eq!(scenario["candidate"]["path"], "candidate.nft");
    let hash = scenario["candidate"]["sha256"].as_str().unwrap_or_default();
    assert!(
        hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()),
        "{hash}"
    );

    let cases = scenario["cases"].as_array().expect("a list of cases");
    assert_eq!(cases.len(), 6);
    for (index, case) in cases.iter().enumerate() {
        let (port, family) = (80 + index / 2, ["ipv4", "ipv6"][index % 2]);
        assert_eq!(
            case["name"],
            format!("lab :: client -> firewall tcp/{port} [{family}]")
        );
        assert_eq!(
            (&case["file"], &case["family"]),
            (&scenario["file"], &json(&format!("{family:?}")))
        );
        // The tests begin in the tenth line of the file.
        assert_eq!(case["line"], 10 + index / 2);
        let expected = ["accept", "reject tcp-reset", "drop"][index / 2];
        let verdict = ["accept", "drop", "accept"][index / 2];
        let outcome = ["pass", "fail", "fail"][index / 2];
        assert_eq!(
            (&case["expected"], &case["verdict"]),
            (&expected.into(), &verdict.into())
        );
        assert_eq!(case["outcome"], outcome);
        assert_eq!(case["reason"].is_null(), outcome == "pass");
        let rule = &case["rule"];
        assert_eq!(
            [&rule["family"], &rule["table"], &rule["chain"]],
            ["inet", "t", "c"]
        );
        assert_eq!(
            rule["handle"].is_null(),
            verdict == "drop",
            "a policy has no handle: {case}"
        );
        let packet = case["packet"].as_str().unwrap_or_default();
        assert!(packet.contains(&format!(":{port} syn")), "{packet}");
        assert!(case["duration_us"].is_u64());
    }
}

/// What was tested must be provable: the hash speaks of every file of the candidate, and of nothing else.
#[test]
fn the_hash_changes_with_the_candidate() {
    let hash = |main: &str, part: &str| {
        let folder = Lab::new(main)
            .test("client -> firewall tcp/80: accept")
            .folder();
        folder.write("part.nft", part);
        let document = json(&folder.firedrill(&["test", ".", "--report", "json"]).stdout);
        document["scenarios"][0]["candidate"]["sha256"].clone()
    };
    let main = "include \"./part.nft\"\n";
    let first = hash(main, "table inet t {\n}\n");
    assert_eq!(first, hash(main, "table inet t {\n}\n"));
    assert_ne!(first, hash(main, "table inet t {\n}\n# more\n"));
    assert_ne!(
        first,
        hash("include  \"./part.nft\"\n", "table inet t {\n}\n")
    );
}

/// A candidate that does not load has its reason in the document, which still is one.
#[test]
fn a_json_report_of_bad_input_is_a_document_too() {
    let folder = Lab::new("nonsense\n")
        .test("client -> firewall tcp/80: accept")
        .folder();
    let ended = folder.firedrill(&["test", ".", "--report", "json"]);
    let document = json(&ended.stdout);
    assert_eq!(
        (ended.code, &document["totals"]["exit_code"]),
        (Some(2), &json("2"))
    );
    let error = document["scenarios"][0]["error"]
        .as_str()
        .unwrap_or_default();
    assert!(error.contains("candidate.nft:1:"), "{error}");
    assert_eq!(document["totals"]["pass"], 0);
}

/// What a JUnit document says, with every element's name and attributes.
fn elements(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut elements = Vec::new();
    loop {
        match reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error}: {text}"))
        {
            Event::Start(start) | Event::Empty(start) => {
                let attribute =
                    |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
                        let attribute = attribute.expect("an attribute is well-formed");
                        let value = quick_xml::escape::unescape(
                            std::str::from_utf8(&attribute.value).expect("a report is UTF-8"),
                        );
                        let value = value.expect("what is escaped is known").into_owned();
                        (
                            String::from_utf8_lossy(attribute.key.as_ref()).into_owned(),
                            value,
                        )
                    };
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                elements.push((name, start.attributes().map(attribute).collect()));
            }
            Event::Eof => return elements,
            _ => {}
        }
    }
}

/// The attribute of this name of every element of this name.
fn attributes<'e>(
    elements: &'e [(String, Vec<(String, String)>)],
    name: &str,
    key: &str,
) -> Vec<&'e str> {
    let meant = elements.iter().filter(|(element, _)| element == name);
    let attribute = |(_, attributes): &'e (String, Vec<(String, String)>)| {
        let found = attributes.iter().find(|(known, _)| known == key);
        found.map_or("", |(_, value)| &**value)
    };
    meant.map(attribute).collect()
}

#[test]
fn a_junit_report_has_a_suite_per_scenario_and_a_test_per_case() {
    let folder = mixed();
    folder.write(
        "second.yaml",
        Lab::new("")
            .test("client -> firewall tcp/80: accept")
            .yaml(),
    );
    let ended = folder.firedrill(&["test", ".", "--report", "junit"]);
    assert_eq!(ended.code, Some(1));
    let elements = elements(&ended.stdout);
    assert_eq!(
        attributes(&elements, "testsuite", "name"),
        ["lab", "second"]
    );
    assert_eq!(attributes(&elements, "testsuite", "tests"), ["6", "2"]);
    assert_eq!(attributes(&elements, "testsuite", "failures"), ["4", "0"]);
    assert_eq!(attributes(&elements, "testsuite", "errors"), ["0", "0"]);
    let names = attributes(&elements, "testcase", "name");
    let listed = folder.firedrill(&["test", ".", "--list"]).stdout;
    assert_eq!(names, listed.lines().collect::<Vec<_>>());
    let lines = attributes(&elements, "testcase", "line");
    assert_eq!(lines, ["10", "10", "11", "11", "12", "12", "10", "10"]);
    let messages = attributes(&elements, "failure", "message");
    let expected = "expected reject tcp-reset, but it was drop";
    assert_eq!(messages[..2], [expected; 2]);
    assert_eq!(messages.len(), 4);
    assert_eq!(attributes(&elements, "error", "message").len(), 0);
}

/// What nothing is known of must not count as passed by any server.
#[test]
fn what_is_inconclusive_is_an_error_in_junit() {
    let ended = mixed().firedrill(&["test", ".", "--report", "junit", "--blind", "barrier-lost"]);
    assert_eq!(ended.code, Some(3));
    let elements = elements(&ended.stdout);
    assert_eq!(attributes(&elements, "testsuite", "errors"), ["6"]);
    assert_eq!(attributes(&elements, "testsuite", "failures"), ["0"]);
    let messages = attributes(&elements, "error", "message");
    assert_eq!(messages.len(), 6);
    assert!(
        messages.iter().all(|message| message.contains("barrier")),
        "{messages:?}"
    );
    assert_eq!(attributes(&elements, "failure", "message").len(), 0);
}

#[test]
fn several_reports_are_written_at_once_and_agree() {
    let folder = mixed();
    let reports = [
        "--report",
        "json=out/deep/report.json",
        "--report",
        "junit=report.xml",
        "--report",
        "terminal=report.txt",
    ];
    let ended = folder.firedrill(&[&["test", "."], &reports[..]].concat());
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""), "{ended:?}");
    let totals = json(&folder.read("out/deep/report.json"))["totals"].clone();
    assert_eq!((&totals["pass"], &totals["fail"]), (&json("2"), &json("4")));
    let elements = elements(&folder.read("report.xml"));
    assert_eq!(attributes(&elements, "testsuites", "failures"), ["4"]);
    // A report in a file leaves the terminal to the usual one.
    for text in [ended.stdout, folder.read("report.txt")] {
        assert!(text.contains("2 pass, 4 fail"), "{text}");
    }
}

#[test]
fn the_terminal_shows_all_that_is_needed_of_a_failing_case() {
    let ended = at_home(&[
        "test",
        OUTAGE,
        "--candidate",
        OF_THAT_DAY,
        "--filter",
        "internet -> firewall tcp/443 [ipv4]",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line_of = |file: &str, part: &str| {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the file is shipped");
        1 + text
            .lines()
            .position(|line| line.contains(part))
            .expect("it has the line")
    };
    let line = line_of(OUTAGE, "internet -> firewall tcp/80,443: accept");
    let rule = line_of(OF_THAT_DAY, "drop comment \"unknown interface\"");
    let said = [
        "FAIL outage/app-server :: internet -> firewall tcp/443 [ipv4]",
        &format!("--> {OUTAGE}:{line}:"),
        "expected  accept",
        "actual    drop",
        &format!("by        rule {OF_THAT_DAY}:{rule} `iifname != @known_ifs"),
        "unknown interface",
        "packet    TCP 198.51.100.7:",
        "-> 192.0.2.10:443 syn, in through eth0",
        "FAILED: 1 case of 1 scenario",
        "1 fail",
    ];
    for part in said {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in:\n{}",
            ended.stdout
        );
    }
}

#[rstest]
#[case::usual(&[], false)]
#[case::never(&["--color", "never"], false)]
#[case::always(&["--color", "always"], true)]
fn escape_sequences_are_for_terminals(#[case] color: &[&str], #[case] expected: bool) {
    let run = mixed().firedrill(&[&["test", "."], color].concat());
    assert_eq!(run.stdout.contains('\u{1b}'), expected, "{run:?}");
    let folder = Folder::new();
    folder.write("lab.yaml", "nonsense: true\n");
    let refused = folder.firedrill(&[&["check", "."], color].concat());
    assert_eq!(refused.stderr.contains('\u{1b}'), expected, "{refused:?}");
}

/// A file is no terminal, whatever standard output is.
#[test]
fn a_report_in_a_file_has_no_escape_sequences() {
    let folder = mixed();
    folder.firedrill(&[
        "test",
        ".",
        "--color",
        "always",
        "--report",
        "terminal=report.txt",
    ]);
    assert!(!folder.read("report.txt").contains('\u{1b}'));
}

/// Whoever reads may stop reading: that is no failure of the run, and no success either.
#[rstest]
fn a_reader_that_goes_away_changes_no_exit_code(
    #[values("terminal", "json", "junit")] format: &str,
    #[values(("tcp/80", 0), ("tcp/81", 1))] filter: (&str, i32),
) {
    let folder = mixed();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut command = firedrill();
    command.args(["test", ".", "--report", format, "--filter", filter.0]);
    command
        .current_dir(folder.path())
        .stdout(writer)
        .stderr(Stdio::null());
    let status = command.status().expect("the program can be run");
    assert_eq!(status.code(), Some(filter.1));
}
