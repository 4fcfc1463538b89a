//! How a packet is asked for, and what is wrong with a question.

use rstest::rstest;
use serde_json::Value;

use super::common::{Folder, Lab};

const RULES: &str = "table inet t {\n  chain i {\n    type filter hook input priority 0; policy drop\n    \
                     iifname \"wan0\" tcp dport 443 accept\n    iifname \"lan0\" ip saddr 10.1.2.3 tcp dport 22 accept\n  }\n  \
                     chain f {\n    type filter hook forward priority 0; policy drop\n    \
                     iifname \"lan0\" oifname \"wan0\" accept\n  }\n}\n";

/// The outage of 2024-04-05: one command names the line.
#[test]
fn the_outage_is_explained_by_its_line() {
    let root = env!("CARGO_MANIFEST_DIR");
    let scenario = format!("{root}/scenarios/outage/app-server.yaml");
    let ruleset = format!("{root}/scenarios/outage/rulesets/app-server-2024-04-05.nft");
    let ended = Folder::new().firedrill(&[
        "explain",
        &scenario,
        "--candidate",
        &ruleset,
        "internet -> firewall tcp/443",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let named = format!("by        rule {ruleset}:77 `iifname != @known_ifs");
    assert_eq!(ended.stdout.matches(&named).count(), 2, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("iifname: eth0 is not in @known_ifs"),
        "{}",
        ended.stdout
    );
}

#[rstest]
#[case::a_host("internet -> firewall tcp/443", 2, "accept")]
#[case::an_address("198.51.100.77 -> firewall tcp/443", 1, "accept")]
#[case::an_address_and_its_side("198.51.100.77@wan0 -> firewall tcp/443", 1, "accept")]
#[case::the_other_side("10.1.2.3@lan0 -> firewall tcp/22", 1, "accept")]
#[case::with_its_outcome("198.51.100.77@wan0 -> firewall tcp/443: drop", 1, "accept")]
#[case::through("10.1.2.3@lan0 -> 203.0.113.9@wan0 tcp/443", 1, "accept")]
#[case::through_the_other_way("203.0.113.9@wan0 -> 10.1.2.3@lan0 tcp/443", 1, "drop")]
#[case::ipv6("2001:db8:7::7@wan0 -> firewall tcp/https", 1, "accept")]
#[case::several("10.1.2.3@lan0 -> firewall tcp/22,23", 2, "accept")]
fn a_world_is_made_up_around_a_ruleset(
    #[case] packet: &str,
    #[case] packets: usize,
    #[case] verdict: &str,
) {
    let folder = Folder::new();
    folder.write("rules.nft", RULES);
    let told = folder.explain(&["--nftables", "rules.nft", packet]);
    let found = told.report["packets"].as_array().expect("a list");
    assert_eq!(found.len(), packets, "{:#}", told.report);
    assert_eq!(
        found[0]["steps"][0]["verdict"], verdict,
        "{:#}",
        told.report
    );
    assert_eq!(told.code, Some(0));
}

/// A ruleset may name addresses that no host can have.
#[test]
fn nobody_lives_at_an_address_that_no_machine_can_have() {
    let folder = Folder::new();
    let addresses = "fe80::1, ::1, ff02::1, ::, 2001:db8::99";
    folder.write(
        "rules.nft",
        format!(
            "table inet t {{\n chain i {{\n  type filter hook input priority 0; policy drop;\n  \
             ip6 saddr {{ {addresses} }} accept\n  \
             ip saddr {{ 127.0.0.1, 224.0.0.1, 255.255.255.255, 203.0.113.9 }} accept\n }}\n}}\n"
        ),
    );
    let told = folder.explain(&["--nftables", "rules.nft", "internet -> firewall tcp/443"]);
    assert_eq!(told.code, Some(0), "{}", told.report);
}

#[test]
fn an_interface_may_be_described() {
    let folder = Folder::new();
    folder.write("rules.nft", RULES);
    let told = folder.explain(&[
        "--nftables",
        "rules.nft",
        "--interface",
        "wan0=203.0.113.10/24,2001:db8:9::1/64",
        "203.0.113.1 -> 203.0.113.10 tcp/443",
    ]);
    let step = &told.only()["steps"][0];
    assert_eq!(step["verdict"], "accept");
    assert_eq!(step["arrival"]["destination"], "203.0.113.10");
}

#[test]
fn an_address_of_the_scenario_is_who_has_it() {
    let folder = Lab::new("table inet t {\n  chain f {\n    type filter hook forward priority 0; policy drop\n  }\n}\n")
        .test("client -> firewall tcp/1: drop")
        .folder();
    for packet in [
        "198.51.100.7 -> 10.0.0.5 tcp/80",
        "client -> 10.0.0.77 tcp/80",
        "203.0.113.8 -> server tcp/80",
    ] {
        let told = folder.explain(&["lab.yaml", packet]);
        let step = &told.only()["steps"][0];
        assert_eq!(step["verdict"], "drop", "{step:#}");
        assert_eq!(step["rule"]["chain"], "f", "{packet}");
    }
    let told = folder.explain(&["lab.yaml", "198.51.100.7 -> 192.0.2.1 tcp/80"]);
    assert_eq!(told.only()["steps"][0]["arrival"]["interface"], Value::Null);
}

#[rstest]
#[case::no_packet(&["lab.yaml"], "there is no packet behind the scenario")]
#[case::no_scenario(&["client -> firewall tcp/1"], "there is no scenario before the packet")]
#[case::a_ruleset_for_a_scenario(&["candidate.nft", "client -> firewall tcp/1"], "`--nftables candidate.nft`")]
#[case::no_file(&["none.yaml", "client -> firewall tcp/1"], "`none.yaml` does not exist")]
#[case::no_arrow(&["lab.yaml", "client firewall tcp/1"], "`client firewall tcp/1` is not a packet")]
#[case::an_unknown_host(&["lab.yaml", "clent -> firewall tcp/1"], "did you mean `client`?")]
#[case::an_unknown_service(&["lab.yaml", "client -> firewall tcp/htps"], "packet:1:24")]
#[case::an_unknown_interface(&["lab.yaml", "10.1.1.1@eth7 -> firewall tcp/1"], "unknown interface `eth7`")]
#[case::no_service(&["lab.yaml", "client -> firewall"], "a packet reads `FROM -> TO SERVICE`")]
#[case::an_answer_to_nothing(&["lab.yaml", "reply syn-ack"], "is not a packet")]
#[case::a_bad_step(&["lab.yaml", "client -> firewall tcp/1 syn", "replay"], "packet:1:1")]
#[case::no_such_family(&["lab.yaml", "198.51.100.7 -> firewall tcp/1", "--family", "ipv6"], "no such packet")]
#[case::a_bad_family(&["lab.yaml", "client -> firewall tcp/1", "--family", "ipx"], "ipv4 or ipv6")]
#[case::interfaces_of_a_scenario(
    &["lab.yaml", "client -> firewall tcp/1", "--interface", "eth5"], "a scenario has its own interfaces"
)]
#[case::a_bad_interface(&["--nftables", "candidate.nft", "--interface", "eth0=192.0.2.1", "internet -> firewall tcp/1"], "like 192.0.2.10/24")]
#[case::no_candidate(&["--nftables", "none.nft", "internet -> firewall tcp/1"], "there is no candidate file none.nft")]
#[case::two_dialects(&["--nftables", "candidate.nft", "--ufw", "etc", "internet -> firewall tcp/1"], "cannot be used with")]
#[case::a_candidate_that_does_not_load(&["--nftables", "lab.yaml", "internet -> firewall tcp/1"], "nft refuses")]
#[case::junit(&["lab.yaml", "client -> firewall tcp/1", "--report", "junit"], "not as junit")]
fn a_bad_question_says_what_is_wrong(#[case] arguments: &[&str], #[case] message: &str) {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let ended = folder.firedrill(&[&["explain"], arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let said = format!("{}{}", ended.stderr, ended.stdout);
    assert!(said.contains(message), "{said}");
}

/// A question is about one of the candidates of a scenario, by its name or as a file.
#[test]
fn one_of_several_candidates_is_asked_about() {
    let folder = Lab::new("").test("client -> firewall tcp/1: drop").folder();
    let of = |policy: &str| {
        format!(
            "table inet t {{\n  chain i {{\n    type filter hook input priority 0; policy {policy}\n  }}\n}}\n"
        )
    };
    folder.write("open.nft", of("accept"));
    folder.write("closed.nft", of("drop"));
    let several = folder.read("lab.yaml").replace(
        "  nftables: candidate.nft\n",
        "  candidates: { now: { nftables: open.nft }, next: { nftables: closed.nft } }\n",
    );
    folder.write("lab.yaml", several);
    let ask = ["lab.yaml", "client -> firewall tcp/443", "--family", "ipv4"];
    let ended = folder.firedrill(&[&["explain"], &ask[..]].concat());
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("now, next"), "{ended:#?}");
    for (candidate, verdict) in [("now", "accept"), ("next", "drop"), ("closed.nft", "drop")] {
        let told = folder.explain(&[&ask[..], &["--candidate", candidate]].concat());
        assert_eq!(told.only()["steps"][0]["verdict"], verdict, "{candidate}");
    }
}

/// What is wrong with a scenario's tests does not matter to a question.
#[test]
fn the_tests_of_a_scenario_do_not_matter() {
    let folder = Lab::new(RULES)
        .test("nobody -> nowhere tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/1", "--family", "ipv4"]);
    assert_eq!(told.code, Some(0));
}
