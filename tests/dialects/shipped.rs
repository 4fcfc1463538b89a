//! The shipped scenarios of the dialects, each with one fault planted into its rules: the case that is
//! about it fails, and names the line of the fault. That they pass as they are is for `scenarios`.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::{Told, common::Folder};

#[rstest]
#[case::ssh_for_everybody_nft(
    ("iptables", "web-host-nft.yaml"),
    ("rules.v4", "\"ssh for nobody else\" -j LOGDROP", "\"ssh for nobody else\" -j ACCEPT"),
    "internet -> firewall tcp/22 [ipv4]",
    "accept"
)]
#[case::ssh_for_everybody_legacy(
    ("iptables", "web-host-legacy.yaml"),
    ("rules.v4", "\"ssh for nobody else\" -j LOGDROP", "\"ssh for nobody else\" -j ACCEPT"),
    "internet -> firewall tcp/22 [ipv4]",
    "accept"
)]
#[case::a_forgotten_reject_nft(
    ("iptables", "web-host-nft.yaml"),
    ("rules.v6", "-j REJECT --reject-with icmp6-adm-prohibited", "-j REJECT --reject-with icmp6-port-unreachable"),
    "our own people are told (udp/161) [ipv6]",
    "reject icmp-port-unreachable"
)]
#[case::a_forgotten_reject_legacy(
    ("iptables", "web-host-legacy.yaml"),
    ("rules.v6", "-j REJECT --reject-with icmp6-adm-prohibited", "-j REJECT --reject-with icmp6-port-unreachable"),
    "our own people are told (udp/161) [ipv6]",
    "reject icmp-port-unreachable"
)]
#[case::published_for_everybody(
    ("layers", "docker-host.yaml"),
    ("docker-host.v4", "-I DOCKER-USER -i eth0 ! -s 203.0.113.0/24", "-I DOCKER-USER -i eth0 ! -s 198.51.100.0/24"),
    "the office reaches the published port",
    "drop"
)]
fn a_planted_fault_is_found_at_its_line(
    #[case] (topic, scenario): (&str, &str),
    #[case] (file, right, wrong): (&str, &str, &str),
    #[case] case: &str,
    #[case] verdict: &str,
) {
    let (folder, line) = planted(topic, file, right, wrong);
    let (code, told) = run(&folder, scenario, case);
    assert_eq!(code, Some(1), "{told:?}");
    assert_eq!(
        (&*told.outcome, &*told.verdict),
        ("fail", verdict),
        "{told:?}"
    );
    assert_eq!(
        told.line,
        Some(format!("rulesets/{file}:{line}")),
        "{told:?}"
    );
}

/// Nobody can say which line of a script made a rule: it may be in a loop.
#[test]
fn a_fault_of_a_script_is_found_in_its_chain() {
    let (folder, _) = planted(
        "script",
        "firewall.sh",
        "both -P FORWARD DROP",
        "both -P FORWARD ACCEPT",
    );
    let (code, told) = run(&folder, "office.yaml", "internet -> pc any (tcp/22) [ipv4]");
    assert_eq!(code, Some(1), "{told:?}");
    assert_eq!(
        (&*told.outcome, &*told.verdict),
        ("fail", "accept"),
        "{told:?}"
    );
    for said in ["FORWARD", "\"text\":\"policy\"", "a script made it"] {
        assert!(told.all.contains(said), "{told:?}");
    }
}

/// A copy of a shipped topic with a fault in one line of a file, and the number of that line.
fn planted(topic: &str, file: &str, right: &str, wrong: &str) -> (Folder, usize) {
    let folder = Folder::new();
    let mut line = None;
    let shipped = Path::new("scenarios").join(topic);
    for below in ["", "rulesets"] {
        for entry in fs::read_dir(shipped.join(below)).expect("a shipped folder") {
            let entry = entry.expect("an entry");
            if entry.path().is_dir() {
                continue;
            }
            let mut text = fs::read_to_string(entry.path()).expect("a text");
            let name = entry.file_name().into_string().expect("a name");
            if name == file {
                assert_eq!(text.matches(right).count(), 1, "{right}");
                line = text.lines().position(|line| line.contains(right));
                text = text.replace(right, wrong);
            }
            folder.write(&Path::new(below).join(name).to_string_lossy(), text);
        }
    }
    (folder, line.expect("the file is shipped") + 1)
}

/// Runs the one case whose name contains this.
fn run(folder: &Folder, scenario: &str, case: &str) -> (Option<i32>, Told) {
    let ended = folder.firedrill(&["test", scenario, "--report", "json", "--filter", case]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let cases = report["scenarios"][0]["cases"].as_array();
    let cases = cases.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(cases.len(), 1, "{report}");
    (ended.code, Told::of(&cases[0]))
}
