//! The way of a packet and of its answer.

use rstest::rstest;
use serde_json::Value;

use super::{common::Lab, way};

/// Every kind of jump and look-up; `nat` publishes the server's port 80 as 8080.
const RULES: &str = "\
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat
    tcp dport 8080 dnat to 10.0.0.5:80
  }
  chain post {
    type nat hook postrouting priority srcnat
    oifname \"eth1\" masquerade
  }
}
table inet f {
  set ok {
    type ipv4_addr
    flags interval
    elements = { 198.51.100.0/24, 203.0.113.1 }
  }
  map ports {
    type inet_service : verdict
    elements = { 22 : jump ssh, 23 : goto telnet }
  }
  chain ssh {
    ip saddr @ok return
    drop
  }
  chain telnet {
    meta mark set 0x5 log prefix \"telnet \" counter
  }
  chain fw {
    type filter hook forward priority 0; policy drop
    ct state vmap { established : accept, new : continue }
    tcp dport 80 accept
  }
  chain local {
    type filter hook input priority 0; policy drop
    tcp dport vmap @ports
    iifname . tcp dport { \"eth0\" . 22 } accept
    iifname != \"eth1\" udp dport != { 53, 123 } drop
  }
}
";

#[test]
fn a_jump_comes_back_and_a_goto_does_not() {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/22", "--family", "ipv4"]);
    let step = &told.only()["steps"][0];
    assert_eq!(
        (told.code, &step["verdict"]),
        (Some(0), &Value::from("accept"))
    );
    assert_eq!(
        way(step),
        [
            "prerouting pre",
            "policy candidate.nft:3 accept",
            "input local",
            "candidate.nft:35 jump ssh",
            "candidate.nft:22 return",
            "candidate.nft:36 accept",
        ]
    );
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/23", "--family", "ipv4"]);
    let step = &told.only()["steps"][0];
    assert_eq!(
        (told.code, &step["verdict"]),
        (Some(0), &Value::from("drop"))
    );
    assert_eq!(
        way(step)[2..],
        [
            "input local",
            "candidate.nft:35 goto telnet",
            "candidate.nft:26 continue",
            "end telnet",
            "policy candidate.nft:34 drop",
        ]
    );
    let stops = &step["way"]["chains"][1]["stops"];
    assert_eq!(stops[1]["logged"], Value::from(vec!["telnet "]));
    assert_eq!(stops[1]["mark"], 5);
    assert_eq!(stops[1]["depth"], 1);
}

#[rstest]
#[case::a_map_by_name("tcp/22", 0, ["tcp dport", "22", "@ports", "22"])]
#[case::an_interval("tcp/22", 1, ["ip saddr", "198.51.100.7", "@ok", "198.51.100.0/24"])]
#[case::without_a_name(
    "tcp/22", 2, ["iifname . tcp dport", "eth0 . 22", "{ \"eth0\" . 22 }", "\"eth0\" . 22"]
)]
fn the_element_that_decides_is_named(
    #[case] service: &str,
    #[case] stop: usize,
    #[case] expected: [&str; 4],
) {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let packet = format!("client -> firewall {service}");
    let told = folder.explain(&["lab.yaml", &packet, "--family", "ipv4"]);
    let lookup = &told.only()["steps"][0]["way"]["chains"][1]["stops"][stop]["lookups"][0];
    let found = ["key", "value", "set", "element"].map(|key| lookup[key].as_str());
    assert_eq!(found, expected.map(Some), "{:#}", told.report);
}

/// The trace shows headers at the start of a chain. Behind a rule that writes over them no element is named.
#[test]
fn behind_a_rule_that_writes_headers_no_element_is_named() {
    let rules = "table ip t {\n  chain i {\n    type filter hook input priority 0; policy drop\n    \
                 ip saddr { 198.51.100.7, 198.51.100.8 } counter\n    ip saddr set 203.0.113.1\n    ip saddr { 198.51.100.7, 203.0.113.1 } accept\n  }\n}\n";
    let folder = Lab::new(rules)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall udp/99", "--family", "ipv4"]);
    let stops = &told.only()["steps"][0]["way"]["chains"][0]["stops"];
    assert_eq!(
        stops[0]["lookups"][0]["element"], "198.51.100.7",
        "{stops:#}"
    );
    let lookup = &stops[2]["lookups"][0];
    assert_eq!(
        (&lookup["value"], &lookup["element"]),
        (&Value::Null, &Value::Null),
        "{stops:#}"
    );
}

#[test]
fn what_is_not_in_a_set_is_said_so() {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall udp/99", "--family", "ipv4"]);
    let lookup = &told.only()["steps"][0]["way"]["chains"][1]["stops"][0]["lookups"][0];
    assert_eq!(
        (&lookup["value"], &lookup["absent"], &lookup["element"]),
        (&Value::from("99"), &Value::from(true), &Value::Null)
    );
}

/// The destination is translated on the way in, the source on the way out, and both back for the answer.
#[test]
fn translation_is_seen_both_ways() {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&[
        "lab.yaml",
        "client -> firewall tcp/8080",
        "--family",
        "ipv4",
    ]);
    let packet = told.only();
    let step = &packet["steps"][0];
    assert_eq!(
        way(step),
        [
            "prerouting pre",
            "candidate.nft:4 accept",
            "forward fw",
            "candidate.nft:30 continue",
            "candidate.nft:31 accept",
            "postrouting post",
            "candidate.nft:8 accept",
        ]
    );
    let came = |step: &Value, passage: usize| {
        let headers = &step["way"]["chains"][passage]["packet"];
        let text = |key: &str| headers[key].as_str().unwrap_or_default().to_owned();
        (
            text("source"),
            text("destination"),
            headers["dport"].as_u64(),
        )
    };
    let pair = |source: &str, destination: &str, port| {
        (source.to_owned(), destination.to_owned(), Some(port))
    };
    assert_eq!(came(step, 0), pair("198.51.100.7", "192.0.2.1", 8080));
    assert_eq!(came(step, 1), pair("198.51.100.7", "10.0.0.5", 80));
    assert_eq!(step["arrival"]["source"], "10.0.0.1");
    let answer = &packet["answer"];
    assert_eq!(answer["verdict"], "accept", "{answer:#}");
    assert_eq!(way(answer), ["forward fw", "candidate.nft:30 accept"]);
    assert_eq!(
        (
            &answer["arrival"]["source"],
            &answer["arrival"]["destination"]
        ),
        (&Value::from("192.0.2.1"), &Value::from("198.51.100.7"))
    );
    assert_eq!(told.code, Some(0));
}

/// An answer that the firewall drops is told, and the question is accepted all the same.
#[test]
fn an_answer_may_have_no_way_back() {
    let rules = "table inet t {\n  chain i {\n    type filter hook input priority 0; policy accept\n  }\n  \
                 chain o {\n    type filter hook output priority 0; policy accept\n    tcp sport 443 drop\n  }\n}\n";
    let folder = Lab::new(rules)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/443", "--family", "ipv6"]);
    let packet = told.only();
    assert_eq!(packet["steps"][0]["verdict"], "accept");
    assert_eq!(packet["answer"]["verdict"], "drop");
    assert_eq!(way(&packet["answer"]), ["output o", "candidate.nft:7 drop"]);
    assert_eq!(told.code, Some(0));
}

#[test]
fn the_error_of_a_rule_that_rejects_has_a_way_of_its_own() {
    let rules = "table inet t {\n  chain i {\n    type filter hook input priority 0; policy accept\n    \
                 tcp dport 113 reject with tcp reset\n  }\n  chain o {\n    \
                 type filter hook output priority 0; policy accept\n    tcp flags rst drop\n  }\n}\n";
    let folder = Lab::new(rules)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/113", "--family", "ipv4"]);
    let step = &told.only()["steps"][0];
    assert_eq!(step["verdict"], "drop");
    assert_eq!(step["rule"]["line"], 4);
    let error = step["way"]["error"][0]["stops"].as_array().expect("a list");
    assert_eq!(super::stop(&error[0]), "candidate.nft:8 drop");
}

#[test]
fn each_layer_is_named() {
    let folder = Lab::new("table inet mine {\n  chain f {\n    type filter hook forward priority 10\n    tcp dport 5432 accept\n  }\n}\n")
        .firewall("layers: [docker, candidate]")
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&["lab.yaml", "client -> server tcp/5432", "--family", "ipv4"]);
    let step = &told.only()["steps"][0];
    assert_eq!(step["verdict"], "drop");
    assert_eq!(step["rule"]["layer"], "docker");
    let passages = step["way"]["chains"].as_array().expect("a list");
    let last = passages.last().expect("a way");
    assert_eq!(
        (&last["layer"], &last["table"]),
        (&Value::from("docker"), &Value::from("filter"))
    );
}

/// A conversation is told step by step.
#[test]
fn steps_are_told_one_after_the_other() {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let told = folder.explain(&[
        "lab.yaml",
        "--family",
        "ipv4",
        "client -> server tcp/80 syn",
        "reply syn-ack",
        "client -> server tcp/80 data",
    ]);
    let steps = told.only()["steps"].as_array().expect("a list");
    let verdicts: Vec<&Value> = steps.iter().map(|step| &step["verdict"]).collect();
    assert_eq!(verdicts, ["accept", "accept", "accept"]);
    assert_eq!(way(&steps[1]), ["forward fw", "candidate.nft:30 accept"]);
    assert_eq!(way(&steps[2]), ["forward fw", "candidate.nft:30 accept"]);
    assert_eq!(told.code, Some(0));
}

/// No way is told that nobody saw whole, and no verdict that is not proven.
#[rstest]
#[case::trace_deaf("trace-deaf")]
#[case::trace_overflow("trace-overflow")]
#[case::probes_never_enter("probes-never-enter")]
#[case::candidate_not_loaded("candidate-not-loaded")]
#[case::barrier_lost("barrier-lost")]
#[case::capture_deaf("capture-deaf")]
fn without_one_of_its_senses_nothing_is_told(
    #[case] sense: &str,
    #[values(
        "client -> firewall tcp/22",
        "client -> firewall tcp/23",
        "client -> server tcp/80"
    )]
    packet: &str,
) {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/1: drop")
        .folder();
    let whole = folder.explain(&["lab.yaml", packet, "--family", "ipv4"]);
    let told = folder.explain(&["lab.yaml", packet, "--family", "ipv4", "--blind", sense]);
    let (step, whole) = (&told.only()["steps"][0], &whole.only()["steps"][0]);
    assert_eq!(step["verdict"], "inconclusive", "{step:#}");
    assert_eq!(told.code, Some(3));
    assert!(told.only().get("nearest").is_none());
    // What is told of the way is what really happened, or nothing at all.
    let seen = step["way"]["chains"]
        .as_array()
        .is_some_and(|passages| !passages.is_empty());
    if seen {
        assert_eq!(sense, "capture-deaf");
        assert_eq!(way(step), way(whole));
    }
}
