//! A run in shards, and its reports as one.

mod common;

use std::collections::BTreeSet;

use common::{Ended, Folder, Lab};
use rstest::rstest;
use serde_json::Value;

const CANDIDATE: &str = "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  tcp dport 80 accept\n }\n}\n";

/// A dozen scenarios: that pass, that fail, that do not load, with candidates, with a matrix, a conversation.
fn project() -> Folder {
    let lab = Lab::new(CANDIDATE);
    let folder = lab
        .clone()
        .test("client -> firewall tcp/80: accept")
        .folder();
    let scenario = |name: &str, test: &str| {
        folder.write(&format!("{name}.yaml"), lab.clone().test(test).yaml());
    };
    for name in ["a", "b", "web/c", "web/d"] {
        scenario(name, "client -> firewall tcp/80,81: accept");
    }
    scenario("e", "client -> firewall udp/53: drop");
    scenario(
        "talk",
        "{ name: talk, steps: [ client -> firewall tcp/80 connect: accept, reply data: accept, client -> firewall tcp/81: accept ] }",
    );
    scenario(
        "zones",
        "{ from: [client, server], to: [firewall, server], service: [tcp/80, tcp/81], expect: accept }",
    );
    let candidates = "candidates: { x: { nftables: candidate.nft }, y: { nftables: other.nft } }";
    let both = lab.clone().test("client -> firewall tcp/80,81: accept");
    folder.write(
        "both.yaml",
        both.yaml().replace("nftables: candidate.nft", candidates),
    );
    folder.write(
        "other.nft",
        CANDIDATE.replace("tcp dport 80 accept", "tcp dport 80 reject"),
    );
    let broken = lab.clone().test("client -> firewall tcp/80: accept").yaml();
    folder.write("broken.yaml", broken.replace("candidate.nft", "broken.nft"));
    folder.write("broken.nft", "table inet t {\n  nonsense\n}\n");
    folder.write("web/candidate.nft", CANDIDATE);
    folder
}

fn test(folder: &Folder, more: &[&str]) -> Ended {
    folder.firedrill(&[&["test", "."], more].concat())
}

/// Runs every shard, each with a report.
fn shards(folder: &Folder, count: usize) -> Vec<String> {
    let file = |number| format!("shard-{number}.json");
    for number in 1..=count {
        let shard = format!("{number}/{count}");
        let report = format!("json={}", file(number));
        let ended = test(folder, &["--shard", &shard, "--report", &report]);
        assert!(ended.code.is_some(), "{ended:?}");
    }
    (1..=count).map(file).collect()
}

fn merge(folder: &Folder, files: &[String], more: &[&str]) -> Ended {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    folder.firedrill(&[&["report", "merge"], &files[..], more].concat())
}

/// A report without its times.
fn timeless(text: &str) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("duration_us");
                map.values_mut().for_each(forget);
            }
            Value::Array(list) => list.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    forget(&mut value);
    value
}

fn lines(ended: &Ended) -> Vec<String> {
    ended.stdout.lines().map(str::to_owned).collect()
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[case(40)]
fn the_shards_are_the_whole_and_share_nothing(#[case] count: usize) {
    let folder = project();
    let whole = lines(&test(&folder, &["--list"]));
    let mut all = Vec::new();
    for number in 1..=count {
        let shard = format!("{number}/{count}");
        let ended = test(&folder, &["--list", "--shard", &shard]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        all.extend(lines(&ended));
    }
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    assert_eq!(distinct, whole.iter().collect());
}

#[test]
fn a_new_scenario_moves_no_other() {
    let folder = project();
    let list = || lines(&test(&folder, &["--list", "--shard", "2/3"]));
    let before = list();
    for number in 0..10 {
        let more = Lab::new(CANDIDATE)
            .test("client -> firewall tcp/80: accept")
            .yaml();
        folder.write(&format!("0-new-{number}.yaml"), more);
    }
    let after = list();
    let kept: Vec<&String> = after
        .iter()
        .filter(|name| !name.starts_with("0-new-"))
        .collect();
    assert_eq!(kept, before.iter().collect::<Vec<_>>());
    assert!(after.len() > before.len(), "one of ten is in it");
}

#[rstest]
#[case(1)]
#[case(3)]
#[case(30)]
fn merged_reports_are_the_report_of_the_whole(#[case] count: usize) {
    let folder = project();
    let whole = test(&folder, &["--report", "json"]);
    assert_eq!(whole.code, Some(2), "one of them does not load: {whole:?}");
    let files = shards(&folder, count);
    // In any order.
    let mut turned = files.clone();
    turned.reverse();
    let merged = merge(&folder, &turned, &["--report", "json"]);
    assert_eq!(merged.code, whole.code, "{merged:?}");
    assert_eq!(timeless(&merged.stdout), timeless(&whole.stdout));

    let times = regex_lite::Regex::new("( *[0-9]+ ms|time=\"[0-9.]+\")").expect("a pattern");
    for format in ["terminal", "junit"] {
        let whole = test(&folder, &["--report", format]);
        let merged = merge(&folder, &files, &["--report", format]);
        let timeless = |ended: &Ended| times.replace_all(&ended.stdout, "").into_owned();
        assert_eq!(timeless(&merged), timeless(&whole), "{format}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_whole() {
    let folder = project();
    let codes = |filter: &str| {
        let whole = test(&folder, &["--filter", filter]);
        for number in [1, 2] {
            let (shard, report) = (format!("{number}/2"), format!("json=of-{number}.json"));
            let ended = test(
                &folder,
                &["--filter", filter, "--shard", &shard, "--report", &report],
            );
            assert!(
                ended.stdout.contains(&format!("shard {number}/2 ")),
                "{ended:?}"
            );
        }
        let merged = merge(
            &folder,
            &["of-1.json".to_owned(), "of-2.json".to_owned()],
            &[],
        );
        assert_eq!(merged.code, whole.code, "{merged:?}");
        merged.code
    };
    assert_eq!(codes("^e "), Some(0));
    assert_eq!(codes("^(a|b) "), Some(1));
    assert_eq!(codes("^(a|broken) "), Some(2));
}

/// A shard may have nothing to do, and the run as a whole has.
#[test]
fn a_shard_without_a_scenario_is_no_error() {
    let folder = project();
    let of_one = |number: u32| {
        let shard = format!("{number}/2");
        test(&folder, &["--filter", "^e ", "--shard", &shard])
    };
    let ended = [of_one(1), of_one(2)];
    assert_eq!(
        [ended[0].code, ended[1].code],
        [Some(0), Some(0)],
        "{ended:?}"
    );
    let empty = ended
        .iter()
        .filter(|one| one.stdout.contains(" has none of 1 scenario\n"));
    assert_eq!(empty.count(), 1, "{ended:?}");
    let none = test(&folder, &["--filter", "nothing like it", "--shard", "1/2"]);
    assert_eq!(none.code, Some(2), "{none:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = project();
    let files = shards(&folder, 3);
    let refused = |files: &[&str], why: &str| {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let ended = merge(&folder, &files, &["--report", "json=merged.json"]);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(why), "{why}: {ended:?}");
        assert!(!folder.path().join("merged.json").exists());
    };
    let [one, two, three] = [&*files[0], &*files[1], &*files[2]];
    refused(&[one, three], "shard 2 of 3 missing");
    refused(&[two], "shards 1, 3 of 3 missing");
    refused(
        &[one, two, three, two],
        "shard 2/3 is there twice: shard-2.json and shard-2.json",
    );
    test(&folder, &["--shard", "1/2", "--report", "json=half.json"]);
    refused(&[one, two, "half.json"], "of another number of shards");
    test(
        &folder,
        &[
            "--filter",
            "tcp",
            "--shard",
            "3/3",
            "--report",
            "json=filtered.json",
        ],
    );
    refused(&[one, two, "filtered.json"], "are shards of different runs");
    test(&folder, &["--report", "json=whole.json"]);
    refused(
        &[one, two, three, "whole.json"],
        "shard-1.json is a shard and whole.json is none",
    );
    test(&folder, &["--filter", "^a ", "--report", "json=a.json"]);
    refused(
        &["a.json", "whole.json"],
        "a is in two reports: a.json and whole.json",
    );
    refused(&["gone.json"], "could not read the report gone.json");
    let text = folder.read(three);
    folder.write("cut.json", &text[..text.len() / 2]);
    refused(
        &[one, two, "cut.json"],
        "cut.json is no complete JSON report of firedrill",
    );
    folder.write("xml.json", "<testsuites/>");
    refused(
        &["xml.json"],
        "xml.json is no complete JSON report of firedrill",
    );
    let other = text.replace(
        "\"name\":\"firedrill\",\"version\":\"",
        "\"name\":\"firedrill\",\"version\":\"9",
    );
    folder.write("other.json", other);
    refused(
        &[one, two, "other.json"],
        "merge with the program that wrote it",
    );
    // A case less, and everything else as it was.
    let mut less: Value = serde_json::from_str(&text).expect("JSON");
    let scenarios = less["scenarios"].as_array_mut().expect("a list");
    scenarios.pop();
    folder.write("less.json", less.to_string());
    refused(
        &[one, two, "less.json"],
        "the reports do not have exactly the cases of the whole run",
    );
}

#[rstest]
#[case("0/3", "shards are counted from 1, the last is `3/3`")]
#[case("4/3", "there are only 3 shards")]
#[case("2", "it is `K/N`")]
fn a_shard_that_does_not_exist_is_bad_usage(#[case] shard: &str, #[case] why: &str) {
    let ended = test(&project(), &["--shard", shard]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains(why), "{ended:?}");
}
