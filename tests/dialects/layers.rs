//! Several configurations on top of each other.

use rstest::rstest;

use super::{Drill, assert_lines};

const OPEN: &str = "table inet mine {\n  chain forward {\n    type filter hook forward priority 10; policy accept;\n    \
                    tcp dport 5432 accept\n    tcp dport 25 drop\n  }\n}\n";

/// Docker sets the policy of forwarding to drop, and an accept of one table is no accept of the other.
#[test]
fn docker_decides_where_the_candidate_accepts() {
    let told = Drill::new("nftables: mine.nft\n  layers: [docker, candidate]")
        .file("mine.nft", OPEN)
        .test("{ from: client, to: server, service: tcp/5432, family: ipv4, expect: { drop: { by: policy } } }")
        .test("client -> firewall tcp/80: accept")
        .told(&["--filter", "[ipv4]"]);
    assert_lines(&told[..1], &["(firedrill)/docker.v4:5"]);
    assert_eq!(told[0].layer.as_deref(), Some("docker"));
    let alone = Drill::new("nftables: mine.nft")
        .file("mine.nft", OPEN)
        .test("{ from: client, to: server, service: tcp/5432, family: ipv4, expect: accept }")
        .told(&[]);
    assert_lines(&alone, &["mine.nft:4"]);
    assert_eq!(alone[0].layer, None);
}

/// `flush ruleset` throws away what was there; its tables are made anew with the same handles.
#[test]
fn a_candidate_that_flushes_decides_alone() {
    let told = Drill::new("nftables: mine.nft\n  layers: [docker, candidate]")
        .file("mine.nft", format!("flush ruleset\n{OPEN}"))
        .test("{ from: client, to: server, service: tcp/5432, family: ipv4, expect: accept }")
        .test("{ from: client, to: server, service: tcp/25, family: ipv4, expect: drop }")
        .told(&[]);
    assert_lines(&told, &["mine.nft:5", "mine.nft:6"]);
    assert!(
        told.iter()
            .all(|case| case.layer.as_deref() == Some("candidate"))
    );
}

/// Three layers of iptables share the tables `ip filter`; handles tell whose rule is whose.
#[test]
fn layers_that_share_a_table_are_told_apart() {
    let base = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n-A FORWARD -p tcp --dport 5432 -j ACCEPT\n\
                -A FORWARD -p tcp --dport 25 -j DROP\nCOMMIT\n";
    let mine = "*filter\n-I FORWARD -p tcp --dport 25 -j REJECT\n-I DOCKER-USER -p tcp --dport 26 -j DROP\n\
                -A FORWARD -p tcp --dport 27 -j DROP\nCOMMIT\n";
    let told = Drill::new(
        "iptables: { v4: mine.v4, noflush: true }\n  layers: [{ name: base, iptables: base.v4 }, docker, candidate]",
    )
    .file("base.v4", base)
    .file("mine.v4", mine)
    .test("{ from: client, to: server, service: tcp/5432, family: ipv4, expect: accept }")
    .test("{ from: client, to: server, service: tcp/25, family: ipv4, expect: reject }")
    .test("{ from: client, to: server, service: tcp/26, family: ipv4, expect: drop }")
    .test("{ from: client, to: server, service: tcp/27, family: ipv4, expect: drop }")
    .test("{ from: client, to: server, service: tcp/28, family: ipv4, expect: drop }")
    .told(&[]);
    let lines = [
        "base.v4:4",
        "mine.v4:2",
        "mine.v4:3",
        "mine.v4:4",
        "(firedrill)/docker.v4:5",
    ];
    assert_lines(&told, &lines);
    let layers: Vec<Option<&str>> = told.iter().map(|case| case.layer.as_deref()).collect();
    let of = ["base", "candidate", "candidate", "candidate", "docker"];
    assert_eq!(layers, of.map(Some));
}

/// A rule that a later layer replaced keeps its handle, and is nobody's line any more.
#[test]
fn a_rule_that_a_later_layer_changed_has_no_line() {
    let base = "table inet t {\n  chain c {\n    type filter hook input priority 0; policy accept;\n    \
                tcp dport 22 accept\n  }\n}\n";
    let told =
        Drill::new("nftables: mine.nft\n  layers: [{ name: base, nftables: base.nft }, candidate]")
            .file("base.nft", base)
            .file(
                "mine.nft",
                "replace rule inet t c handle 2 tcp dport 22 drop\n",
            )
            .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
            .told(&[]);
    assert_eq!(
        (&*told[0].outcome, &told[0].line),
        ("pass", &None),
        "{told:?}"
    );
}

/// The legacy back end has tables of its own beside those of nftables. Who drops first decides; of those who
/// accept, the last one.
#[rstest]
#[case::legacy_first("10", ["old.v4:4", "mine.nft:5"])]
#[case::nftables_first("-10", ["mine.nft:4", "old.v4:3"])]
// Of equal priorities the one that comes later is put in front.
#[case::the_same_place("filter", ["mine.nft:4", "old.v4:3"])]
fn legacy_and_nftables_stand_side_by_side(#[case] priority: &str, #[case] lines: [&str; 2]) {
    let legacy = "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 24 -j ACCEPT\n\
                  -A INPUT -p tcp --dport 22 -j DROP\nCOMMIT\n";
    let mine = format!(
        "table inet t {{\n  chain c {{\n    type filter hook input priority {priority}; policy accept;\n    \
         tcp dport 22 drop\n    tcp dport 24 accept\n  }}\n}}\n"
    );
    let told = Drill::new(
        "nftables: mine.nft\n  layers: [{ name: old, iptables: { v4: old.v4, backend: legacy } }, candidate]",
    )
    .file("old.v4", legacy)
    .file("mine.nft", mine)
    .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
    .test("{ from: client, to: firewall, service: tcp/24, family: ipv4, expect: accept }")
    .told(&[]);
    assert_lines(&told, &lines);
}

/// A layer that changed nothing was not loaded, whatever its program says; then nothing holds.
#[test]
fn a_layer_that_does_nothing_proves_nothing() {
    let told =
        Drill::new("nftables: mine.nft\n  layers: [{ name: idle, script: idle.sh }, candidate]")
            .file("idle.sh", "#!/bin/sh\ntrue\n")
            .file("mine.nft", OPEN)
            .test("{ from: client, to: server, service: tcp/25, family: ipv4, expect: drop }")
            .told(&[]);
    assert_eq!(told[0].outcome, "inconclusive", "{told:?}");
}

#[test]
fn the_layers_must_name_the_candidate_and_what_is_known() {
    for (layers, said) in [
        ("[docker]", "without the one under test"),
        ("[candidate, candidate]", "only once"),
        ("[dokcer, candidate]", "did you mean `docker`?"),
        ("[{ nftables: mine.nft }, candidate]", "has no `name`"),
    ] {
        let drill = Drill::new(&format!("nftables: mine.nft\n  layers: {layers}"))
            .file("mine.nft", OPEN)
            .test("client -> firewall tcp/25: drop");
        drill.folder.write(
            "lab.yaml",
            format!(
                "firewall:\n  {}{}tests:\n{}",
                drill.firewall,
                super::WORLD,
                drill.tests
            ),
        );
        let ended = drill.folder.firedrill(&["check", "lab.yaml"]);
        assert_eq!(ended.code, Some(2), "{layers}");
        assert!(ended.stderr.contains(said), "{layers}: {}", ended.stderr);
    }
}

/// Two layers that set the same policy: the later one has the last word. One that makes the chain again and
/// says nothing of its policy has none.
#[rstest]
#[case::iptables(
    "iptables: { v4: mine }",
    "*filter\n:INPUT DROP\n-A INPUT -p tcp --dport 80 -j ACCEPT\nCOMMIT\n",
    ("mine:2", "candidate")
)]
#[case::nftables_that_says_nothing(
    "nftables: mine",
    "table ip filter {\n  chain INPUT {\n    tcp dport 80 accept\n  }\n}\n",
    ("base.v4:2", "base")
)]
fn the_last_that_sets_a_policy_is_named(
    #[case] candidate: &str,
    #[case] rules: &str,
    #[case] (line, layer): (&str, &str),
) {
    let told = Drill::new(&format!(
        "{candidate}\n  layers: [{{ name: base, iptables: base.v4 }}, candidate]"
    ))
    .file(
        "base.v4",
        "*filter\n:INPUT DROP\n-A INPUT -p udp -j ACCEPT\nCOMMIT\n",
    )
    .file("mine", rules)
    .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
    .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }")
    .told(&[]);
    assert_lines(&told, &[line, "mine:3"]);
    assert_eq!(told[0].layer.as_deref(), Some(layer));
}

/// libvirt's default network beside a candidate: its guests get out, and nobody gets in.
#[test]
fn libvirt_decides_about_its_guests() {
    let rules = include_str!("../../src/dialect/shipped/libvirt.v4");
    let line = |wanted: &str| {
        let found = rules.lines().position(|line| line.contains(wanted));
        format!("(firedrill)/libvirt.v4:{}", found.expect("a rule") + 1)
    };
    let folder = super::Folder::new();
    folder.write("mine.nft", OPEN);
    folder.write(
        "lab.yaml",
        "firewall:\n  nftables: mine.nft\n  layers: [libvirt, candidate]\n  interfaces:\n    \
         eth0: 192.0.2.1/24\n    virbr0: 192.168.122.1/24\n\
         hosts:\n  internet: { behind: eth0, address: 192.0.2.7 }\n  \
         guest: { behind: virbr0, address: 192.168.122.9 }\n\
         tests:\n  - internet -> guest tcp/22: reject icmp-port-unreachable\n  \
         - { from: guest, to: internet, service: udp/123, expect: { accept: { source: 192.0.2.1 } } }\n  \
         - guest -> firewall udp/53: accept\n",
    );
    let report = folder.firedrill(&["test", "lab.yaml", "--report", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).expect("a report");
    let cases = report["scenarios"][0]["cases"].as_array().expect("cases");
    let told: Vec<super::Told> = cases.iter().map(super::Told::of).collect();
    // The candidate's policy accepts behind libvirt's rule.
    assert_lines(
        &told,
        &[
            &line("-A LIBVIRT_FWI -o virbr0 -j REJECT"),
            &line("-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT"),
            &line("-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53"),
        ],
    );
}
