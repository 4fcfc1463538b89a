//! Scripts that set the firewall up.

use rstest::rstest;

use super::Drill;

const SCRIPT: &str = "#!/bin/sh\nset -e\necho \"opening $1\"\necho 1 > /proc/sys/net/ipv4/conf/all/log_martians\n\
                      iptables -P INPUT DROP\nfor port in 80 $1; do\n  iptables -A INPUT -p tcp --dport $port -j ACCEPT\ndone\n\
                      mkdir -p /etc/iptables /var/lib/mine /run/mine; iptables-save > /etc/iptables/rules.v4\n\
                      cp /etc/iptables/rules.v4 /var/lib/mine/; cp /etc/iptables/rules.v4 /run/mine/; rm -f /etc/hostname\n";

#[test]
fn a_script_sets_the_firewall_up() {
    let told = Drill::new("script: { run: fw.sh, arguments: [\"443\"] }")
        .file("fw.sh", SCRIPT)
        .test("{ from: client, to: firewall, service: [tcp/80, tcp/443], family: ipv4, expect: accept }")
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: { drop: { by: policy } } }")
        .told(&[]);
    assert!(told.iter().all(|case| case.outcome == "pass"), "{told:?}");
    assert!(told[2].all.contains("a script made it"), "{told:?}");
}

#[test]
fn what_a_script_prints_and_how_it_fails_is_reported() {
    let (code, error) = Drill::new("script: fw.sh")
        .file(
            "fw.sh",
            "#!/bin/sh\necho starting\nnft frobnicate\necho over >&2\nexit 7\n",
        )
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    for said in ["fw.sh", "exit status 7", "starting", "over", "frobnicate"] {
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn an_interpreter_that_is_missing_is_named() {
    let (code, error) = Drill::new("script: fw.sh")
        .file("fw.sh", "#!/usr/bin/no-such-shell\n")
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("interpreter"), "{error}");
}

/// Nor does one that only looks, which makes the tables of legacy iptables.
#[rstest]
#[case::nothing("exit 0")]
#[case::looking("iptables-legacy -L -n; ip6tables-legacy -t nat -S; nft list ruleset")]
fn a_script_that_does_nothing_proves_nothing(#[case] command: &str) {
    let told = Drill::new("script: fw.sh")
        .file("fw.sh", format!("#!/bin/sh\n{command}\n"))
        .test("client -> firewall tcp/80: accept")
        .told(&[]);
    assert!(
        told.iter().all(|case| case.outcome == "inconclusive"),
        "{told:?}"
    );
}

/// A fresh lab is listed anew, unless the kernel says that its rules are those of the first.
#[test]
fn a_script_that_makes_other_rules_each_time_is_listed_each_time() {
    let script = "#!/bin/sh\nset -e\nnft add table ip t\n\
                  nft add chain ip t c '{ type filter hook input priority 0; policy accept; }'\n\
                  nft add rule ip t c tcp dport 22 drop comment \"id$(tr -d - < /proc/sys/kernel/random/uuid)\"\n";
    let twice = |name: &str| {
        format!(
            "{{ name: {name}, from: client, to: firewall, service: tcp/22, family: ipv4, repeat: 2, expect: drop }}"
        )
    };
    let told = Drill::new("script: fw.sh")
        .file("fw.sh", script)
        .test(&twice("one"))
        .test(&twice("two"))
        .test(&twice("three"))
        .told(&[]);
    let comment = |all: &str| {
        all.split("comment \\\"")
            .nth(1)
            .map(|rest| rest[..36].to_owned())
    };
    let comments: std::collections::BTreeSet<Option<String>> =
        told.iter().map(|case| comment(&case.all)).collect();
    assert_eq!(comments.len(), 3, "{told:?}");
    assert!(!comments.contains(&None), "{told:?}");
}
