//! Several candidates under the same tests, on the real kernel: what differs is visible, and only that.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use common::{Ended, Folder, Lab};
use serde_json::Value;

/// Lets the web in.
const OLD: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                   -A INPUT -p tcp --dport 80 -j ACCEPT\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n";
/// The same for nft, but for port 22, which is planted.
const NEW: &str = "table inet t {\n chain inbound {\n  type filter hook input priority 0; policy drop;\n  \
                   tcp dport 80 accept\n }\n chain through {\n  type filter hook forward priority 0; policy drop;\n }\n}\n";

/// `lab.yaml` with candidates `old` and `new`.
fn migration(tests: &[&str]) -> Folder {
    let lab = tests.iter().fold(Lab::new(""), |lab, test| lab.test(test));
    let folder = lab.folder();
    folder.write("old.rules", OLD);
    folder.write("new.nft", NEW);
    let candidates = "candidates:\n    old: { iptables: { v4: old.rules, v6: old.rules } }\n    new: { nftables: new.nft }";
    folder.write(
        "lab.yaml",
        lab.yaml().replace("nftables: candidate.nft", candidates),
    );
    folder
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_planted_difference_is_the_only_one_that_is_shown() {
    let folder = migration(&[
        "client -> firewall tcp/80: accept",
        "client -> firewall tcp/22,23: drop",
        "client -> server udp/53: drop",
    ]);
    let ended = folder.firedrill(&["test", "lab.yaml", "--report", "json=report.json"]);
    // The expectation decides, and old does not meet it.
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let (_, compared) = ended
        .stdout
        .split_once("\nDIFFERENT ")
        .expect("a comparison");
    let lines: Vec<&str> = compared.lines().collect();
    assert!(lines[0].trim_start().starts_with("lab  "), "{compared}");
    assert!(
        lines[0].ends_with("2 of 8 cases differ  old, new"),
        "{compared}"
    );
    for (family, first) in [("ipv4", 2), ("ipv6", 7)] {
        let name = format!("DIFFERENT lab :: client -> firewall tcp/22 [{family}]");
        assert_eq!(lines[first], name, "{compared}");
        assert!(
            lines[first + 2].starts_with("  old       accept  rule old.rules:6 "),
            "{compared}"
        );
        assert!(
            lines[first + 3].starts_with("  new       drop    policy new.nft:3 "),
            "{compared}"
        );
    }
    assert_eq!(
        compared.matches("DIFFERENT lab :: ").count(),
        2,
        "{compared}"
    );

    let report: Value = serde_json::from_str(&folder.read("report.json")).expect("JSON");
    let [comparison] = report["comparisons"].as_array().expect("a list").as_slice() else {
        panic!("{report}");
    };
    assert_eq!(comparison["same"], 6);
    let different = comparison["different"].as_array().expect("a list");
    assert_eq!(different.len(), 2);
    assert_eq!(different[0]["by_candidate"][0]["verdict"], "accept");
    assert_eq!(different[0]["by_candidate"][1]["verdict"], "drop");
    let names: Vec<&Value> = [0, 1].map(|nth| &report["scenarios"][nth]["name"]).into();
    assert_eq!(names, ["lab@old", "lab@new"]);
}

/// Who is expected to differ need not fail: the deployed ruleset beside the one that replaces it.
#[test]
fn a_difference_alone_is_no_failure() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    folder.write("all.nft", "table inet t {\n chain inbound {\n  type nat hook prerouting priority -100; policy accept;\n  tcp dport 80 redirect to :8080\n }\n}\n");
    let with = [
        "test",
        "lab.yaml",
        "--candidate",
        "new",
        "--candidate",
        "other=all.nft",
        "--filter",
        "ipv4",
    ];
    let ended = folder.firedrill(&with);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1 of 1 case differs"), "{ended:?}");
    assert!(
        ended.stdout.contains("  new       accept (port 80) "),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("  other     accept (port 8080)"),
        "{ended:?}"
    );
}

#[test]
fn cases_of_one_candidate_can_be_chosen_and_are_then_not_compared() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    let names = [
        "lab@new :: client -> firewall tcp/80 [ipv4]",
        "lab@new :: client -> firewall tcp/80 [ipv6]",
    ];
    let list = folder.firedrill(&["test", "lab.yaml", "--list", "--filter", "@new ::"]);
    assert_eq!(list.stdout.lines().collect::<Vec<_>>(), names);
    let ended = folder.firedrill(&[
        "test", "lab.yaml", "--filter", "@new ::", "--report", "json",
    ]);
    let report = json(&ended);
    assert_eq!(
        (ended.code, &report["totals"]["cases"]),
        (Some(0), &2.into())
    );
    assert_eq!(report["comparisons"], Value::Array(Vec::new()));
}

/// Doubt about one is doubt about the comparison, and the other candidate has its verdicts.
#[test]
fn a_candidate_that_does_not_load_leaves_the_others_their_verdicts() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    folder.write("new.nft", "table inet t {\n  nonsense\n}\n");
    let ended = folder.firedrill(&["test", "lab.yaml", "--report", "json"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let report = json(&ended);
    assert_eq!(report["scenarios"][0]["cases"][0]["outcome"], "pass");
    let error = report["scenarios"][1]["error"].as_str().unwrap_or_default();
    assert!(error.contains("new.nft:2"), "{error}");
    let comparison = &report["comparisons"][0];
    assert_eq!(
        (
            &comparison["same"],
            comparison["not_compared"].as_array().map(Vec::len)
        ),
        (&0.into(), Some(2))
    );
    let told = folder.firedrill(&["test", "lab.yaml"]).stdout;
    assert!(told.contains("NOT COMPARED lab "), "{told}");
}

#[test]
fn a_reload_loads_what_is_meant_for_the_candidate() {
    let folder = migration(&[
        "{ steps: [ client -> firewall tcp/22: drop, { reload: { old: later.rules, new: later.nft } }, client -> firewall tcp/22: accept ], name: opened, family: ipv4 }",
    ]);
    folder.write("old.rules", OLD.replace("--dport 22", "--dport 2222"));
    folder.write("later.rules", OLD);
    folder.write(
        "later.nft",
        NEW.replace("dport 80", "dport 22")
            .replace("table", "flush ruleset\ntable"),
    );
    let ended = folder.firedrill(&["test", "lab.yaml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1 case  old, new"), "{ended:?}");
}

#[test]
fn a_shell_stands_on_one_of_the_candidates() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    let which = folder.firedrill(&["shell", "lab.yaml", "--", "true"]);
    assert_eq!(which.code, Some(2));
    assert_eq!(
        which.stderr,
        "error: lab.yaml has several candidates, and a shell can have one\n\
         (choose it with `--candidate NAME`: old, new)\n"
    );
    let list = ["--", "nft", "list", "tables"];
    let new = folder.firedrill(&[&["shell", "lab.yaml", "--candidate", "new"], &list[..]].concat());
    assert_eq!(
        (new.code, &*new.stdout),
        (Some(0), "table inet t\n"),
        "{new:?}"
    );
    let old = folder.firedrill(&[&["shell", "lab.yaml", "--candidate", "old"], &list[..]].concat());
    assert_eq!(
        (old.code, &*old.stdout),
        (Some(0), "table ip filter\ntable ip6 filter\n"),
        "{old:?}"
    );
}

/// Two files, each with its candidates, side by side in as many labs as they like: no comparison mixes them.
#[test]
fn comparisons_keep_to_their_file_and_their_order() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    folder.write(
        "more.yaml",
        folder
            .read("lab.yaml")
            .replace("tcp/80: accept", "tcp/22: drop"),
    );
    let ended = folder.firedrill(&["test", "lab.yaml", "more.yaml", "--jobs", "4"]);
    let heads = ended.stdout.lines().filter(|line| {
        ["ok  ", "FAIL  ", "same  ", "DIFFERENT  "]
            .iter()
            .any(|word| line.starts_with(word))
    });
    let heads: Vec<Vec<&str>> = heads
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    let expected = [
        ["ok", "lab@old"],
        ["ok", "lab@new"],
        ["same", "lab"],
        ["FAIL", "more@old"],
        ["ok", "more@new"],
        ["DIFFERENT", "more"],
    ];
    assert_eq!(heads, expected, "{ended:?}");
}

/// A program that is missing skips its candidate, and the others run. The sandbox is shown a folder of
/// programs that has nothing but `nft`, which has to be made executable there.
#[test]
fn a_candidate_whose_program_is_missing_is_skipped_alone() {
    let folder = migration(&["client -> firewall tcp/80: accept"]);
    let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
    let nft = places.iter().find(|place| Path::new(place).exists());
    let nft = nft.expect("this test needs `nft`");
    folder.write("programs/README", "nothing but nft\n");
    fs::copy(nft, folder.path().join("programs/nft")).expect("the folder is writable");
    let files = "files: { /usr/sbin: programs, /usr/local/sbin: programs }\n  interfaces:";
    let yaml = folder.read("lab.yaml").replace("interfaces:", files);
    let script = yaml.replace("nftables: new.nft", "script: new.sh");
    folder.write("lab.yaml", script);
    let load = format!("#!/bin/sh\nchmod +x /usr/sbin/nft\nnft -f - <<.\n{NEW}.\n");
    let path = folder.write("new.sh", load);
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("the folder is writable");
    let ended = folder.firedrill(&["test", "lab.yaml", "--report", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = json(&ended);
    let error = report["scenarios"][0]["error"].as_str().unwrap_or_default();
    assert!(error.contains("apt-get install iptables"), "{error}");
    let outcome = |nth: usize| &report["scenarios"][nth]["cases"][0]["outcome"];
    assert_eq!([outcome(0), outcome(1)], ["skipped", "pass"]);
    let untold = report["comparisons"][0]["not_compared"].as_array();
    assert_eq!(untold.map(Vec::len), Some(2));
    let denied = folder.firedrill(&["test", "lab.yaml", "--deny-skips"]);
    assert_eq!(denied.code, Some(3), "{denied:?}");
}
