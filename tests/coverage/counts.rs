//! What is counted.

use rstest::rstest;

use super::{
    common::{Folder, Lab},
    covered, lines,
};

/// The lines are numbered by hand below.
const RULES: &str = "\
table inet t {
    chain early {
        type filter hook prerouting priority -200; policy accept;
        udp dport 9 counter
    }
    chain input {
        type filter hook input priority 0; policy drop;
        udp dport 1 accept
        tcp dport 80 jump web
        tcp dport 81 drop
        tcp dport 82 counter accept
        tcp dport 83 accept
    }
    chain web {
        ip saddr 203.0.113.1 drop
        tcp flags syn counter
        udp dport 5 accept
    }
}
";

/// Port 80 comes to the chain `web`, falls out of it, and through to the policy; port 82 is accepted. Nobody sends
/// to 81 or 83.
#[test]
fn every_rule_is_counted_as_the_kernel_walks() {
    let folder = Lab::new(RULES)
        .named("fw.nft")
        .test("{ name: dropped, from: client, to: firewall, packet: { tcp: { dport: 80 } }, family: ipv4, expect: drop }")
        .test("{ name: accepted, from: client, to: firewall, packet: { tcp: { dport: 82 } }, family: ipv4, expect: accept }")
        .folder();
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = |number: usize, evaluated, matched, decided| {
        (format!("fw.nft:{number:02}"), evaluated, matched, decided)
    };
    let expected = [
        line(3, 2, 2, 0),
        line(4, 2, 0, 0),
        line(7, 1, 1, 1),
        line(8, 2, 0, 0),
        line(9, 2, 1, 0),
        line(10, 2, 0, 0),
        line(11, 2, 1, 1),
        line(12, 1, 0, 0),
        line(15, 1, 0, 0),
        line(16, 1, 1, 0),
        line(17, 1, 0, 0),
    ];
    let padded = |(place, evaluated, matched, decided): (String, u64, u64, u64)| {
        let (file, number) = place.split_once(':').expect("a line");
        (format!("{file}:{number:0>2}"), evaluated, matched, decided)
    };
    let mut found: Vec<_> = lines(&document).into_iter().map(padded).collect();
    found.sort();
    assert_eq!(found, expected);
    let totals = &document["totals"];
    assert_eq!(totals["rules"], 11);
    assert_eq!(totals["matched"], 5);
    assert_eq!(totals["decided"], 2);
    assert_eq!(document["rulesets"][0]["packets"], 2);
}

/// Where there was no proof, nothing was covered.
#[rstest]
#[case("trace-overflow")]
#[case("trace-deaf")]
#[case("barrier-lost")]
#[case("candidate-not-loaded")]
#[case("probes-never-enter")]
fn without_sound_evidence_nothing_is_covered(#[case] blind: &str) {
    let folder = Lab::new(RULES)
        .test("client -> firewall tcp/82: accept")
        .folder();
    let (ended, document) = covered(&folder, &["--blind", blind]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(document["totals"]["matched"], 0, "{document}");
    assert_eq!(document["totals"]["evaluated"], 0, "{document}");
}

#[test]
fn scenarios_on_the_same_file_cover_it_together() {
    let first = Lab::new(RULES)
        .named("fw.nft")
        .test("client -> firewall tcp/80: drop");
    let folder = first.folder();
    let second = Lab::new(RULES)
        .named("fw.nft")
        .test("client -> firewall tcp/82: accept");
    folder.write("second.yaml", second.yaml());
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rulesets = document["rulesets"].as_array().expect("a list");
    assert_eq!(rulesets.len(), 1, "{document}");
    assert_eq!(
        rulesets[0]["scenarios"],
        serde_json::json!(["lab", "second"])
    );
    assert_eq!(document["totals"]["rules"], 11);
    assert_eq!(document["totals"]["matched"], 5);
    let (_, alone) = covered(&folder, &["--filter", "tcp/82"]);
    assert_eq!(alone["totals"]["matched"], 2);
}

/// A reloaded configuration is another file, with coverage of its own.
#[test]
fn a_reloaded_configuration_has_its_own_coverage() {
    let lab = Lab::new("table inet t {\n chain c {\n  type filter hook input priority 0;\n  tcp dport 80 drop\n }\n}\n")
        .test("{ name: reloaded, family: ipv4, steps: [ \"client -> firewall tcp/80\": drop, { reload: next.nft }, \"client -> firewall tcp/81\": drop ] }");
    let folder = lab.folder();
    folder.write(
        "next.nft",
        "flush ruleset\ntable inet t {\n chain c {\n  type filter hook input priority 0;\n  tcp dport 81 drop\n }\n}\n",
    );
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = lines(&document);
    let line =
        |place: &str, evaluated, matched, decided| (place.to_owned(), evaluated, matched, decided);
    let expected = [
        line("candidate.nft:3", 0, 0, 0),
        line("candidate.nft:4", 1, 1, 1),
        line("next.nft:4", 0, 0, 0),
        line("next.nft:5", 1, 1, 1),
    ];
    assert_eq!(found, expected);
}

/// A case that met what others had left in a limit is held once more, alone: what it met the first time is
/// luck, and counts for nothing.
#[test]
fn a_case_that_is_held_again_counts_once() {
    let rules = "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  \
                 limit rate 1/hour burst 1 packets accept\n  counter\n }\n}\n";
    let folder = Lab::new(rules)
        .test("client -> firewall tcp/80,81,82: accept")
        .folder();
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = |number: usize, evaluated, matched, decided| {
        (
            format!("candidate.nft:{number}"),
            evaluated,
            matched,
            decided,
        )
    };
    let expected = [line(3, 0, 0, 0), line(4, 6, 6, 6), line(5, 0, 0, 0)];
    assert_eq!(lines(&document), expected);
    assert_eq!(document["rulesets"][0]["packets"], 6);
}

/// What comes with firedrill or belongs to another layer is not the candidate's.
#[test]
fn rules_of_other_layers_are_left_out_and_said_to_be() {
    let folder = Folder::new();
    let yaml = Lab::new("")
        .firewall("layers: [candidate, { name: other, nftables: other.nft }]")
        .test("client -> firewall tcp/80: drop")
        .yaml();
    folder.write("lab.yaml", yaml);
    folder.write("candidate.nft", "table inet t {\n chain c {\n  type filter hook input priority 0;\n  tcp dport 79 drop\n }\n}\n");
    folder.write("other.nft", "table inet o {\n chain c {\n  type filter hook input priority 1;\n  tcp dport 80 drop\n }\n}\n");
    let (ended, document) = covered(&folder, &["--coverage"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(document["totals"]["rules"], 2, "{document}");
    assert!(
        ended
            .stdout
            .contains("left out: 2 rules of the layer other"),
        "{}",
        ended.stdout
    );
}

/// The batches of a sweep are not traced; its sample is. Every port that a rule names is in it.
#[test]
fn of_a_sweep_the_traced_sample_counts() {
    let rules = "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  tcp dport 80 accept\n  \
                 tcp dport 90 limit rate 1/hour burst 1 packets accept\n  udp dport 53 accept\n }\n}\n";
    let folder = Lab::new(rules)
        .test(
            "{ from: client, to: firewall, only-open: { tcp: [80, 90], udp: any, among: 1-200 } }",
        )
        .folder();
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = lines(&document);
    let matched = |line: usize| {
        let place = format!("candidate.nft:{line}");
        lines
            .iter()
            .find(|(of, ..)| *of == place)
            .map(|(_, _, matched, _)| *matched)
    };
    assert!(matched(3) > Some(0), "{lines:?}");
    assert!(matched(4) > Some(0), "{lines:?}");
    // Once in each family, in a fresh lab.
    assert_eq!(matched(5), Some(2), "{lines:?}");
    assert_eq!(matched(6), Some(0), "{lines:?}");
}
