//! `shell` and `schema`.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::{OF_THAT_DAY, OUTAGE, at_home, mixed};

#[test]
fn a_shell_stands_on_the_firewall_with_the_candidate_and_nothing_else() {
    let ended = mixed().firedrill(&["shell", "lab.yaml", "--", "nft", "list", "tables"]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "table inet t\n"),
        "{ended:?}"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_shell_takes_another_candidate() {
    let list = ["--", "nft", "list", "ruleset"];
    let own = at_home(&[&["shell", OUTAGE], &list[..]].concat());
    assert_eq!(own.code, Some(0), "{own:?}");
    assert!(
        own.stdout.contains("table inet filter {") && !own.stdout.contains("ens192"),
        "{own:?}"
    );
    let other = at_home(&[&["shell", OUTAGE, "--candidate", OF_THAT_DAY], &list[..]].concat());
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(other.stdout.contains("ens192"), "{other:?}");
}

#[rstest]
#[case::addresses("eth0", "/sys/class/net/eth0/operstate", "up")]
#[case::the_other_side("eth1", "/sys/class/net/eth1/operstate", "up")]
fn a_shell_sees_the_interfaces_of_the_scenario(
    #[case] name: &str,
    #[case] path: &str,
    #[case] state: &str,
) {
    let ended = mixed().firedrill(&["shell", "lab.yaml", "--", "cat", path]);
    assert_eq!(
        (ended.code, ended.stdout.trim()),
        (Some(0), state),
        "{name}: {ended:?}"
    );
}

/// Whatever is done inside, the machine is as it was; and of the user's folders nothing is there but what
/// the candidate brings.
#[test]
fn what_a_shell_changes_is_gone_with_it() {
    let folder = mixed();
    let mark = format!("firedrill-test-{}", std::process::id());
    let script = format!(
        "echo x > /etc/{mark} && echo x > /tmp/{mark} && nft add table inet mine && cat /etc/{mark} && \
         nft list tables && ls {}",
        folder.path().display()
    );
    let ended = folder.firedrill(&["shell", "lab.yaml", "--", "sh", "-c", &script]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "x\ntable inet t\ntable inet mine\ncandidate.nft\n"),
        "{ended:?}"
    );
    for path in ["/etc", "/tmp"].map(|folder| Path::new(folder).join(&mark)) {
        assert!(!path.exists(), "{}", path.display());
    }
    let again = folder.firedrill(&["shell", "lab.yaml", "--", "nft", "list", "tables"]);
    assert_eq!(again.stdout, "table inet t\n");
}

#[test]
fn the_schema_knows_every_key_of_the_shipped_scenarios() {
    let ended = at_home(&["schema"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let schema: Value = serde_json::from_str(&ended.stdout).expect("a schema is JSON");
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(home.join(OUTAGE)).expect("the scenario is shipped");
    let scenario: Value = serde_yaml::from_str(&text).expect("a scenario is YAML");
    let known = &schema["properties"];
    for key in scenario.as_object().expect("a scenario is a map").keys() {
        assert!(known.get(key).is_some(), "no {key} in {schema}");
    }
}
