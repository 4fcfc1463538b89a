//! Lines of random iptables files, against the kernel: every rule has an address of its own in a condition
//! that every probe meets. What the kernel lists for the deciding rule and what stands in the line that
//! firedrill names must have the same address. The rest of a rule looks like its neighbours'.

use std::fmt::Write as _;

use rstest::rstest;

use super::{Drill, wild::Dice};

/// The ports that rules and probes have.
const PORTS: u64 = 6;

/// A file: rules are appended and inserted, in chains that call each other, in tables of two hooks.
fn file(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = String::from("*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:a - [0:0]\n:b - [0:0]\n");
    let mut lengths = [0; 3];
    for number in 0..60 {
        let (index, chain) = match dice.below(3) {
            0 => (0, "INPUT"),
            1 => (1, "a"),
            _ => (2, "b"),
        };
        // Chains call only those behind them, so that there is no circle.
        let target = match (index, dice.below(6)) {
            (0, 0) => "-j a",
            (0, 1) => "-g b",
            (1, 0 | 1) => "-j b",
            (_, 2) => "-j RETURN",
            (_, 3) => "-j ACCEPT",
            (_, 4) => "-j REJECT --reject-with tcp-reset",
            _ => "-j DROP",
        };
        let tag = format!("! -s 10.{}.{}.77/32", seed % 250, number);
        let port = dice.below(PORTS) + 1;
        let rule = format!("{tag} -p tcp -m tcp --dport {port} {target}");
        let place = 1 + dice.below(lengths[index] + 1);
        let _ = match dice.below(4) {
            0 => writeln!(text, "-I {chain} {rule}"),
            1 => writeln!(text, "-I {chain} {place} {rule}"),
            2 => writeln!(text, "--append {chain} {rule}"),
            _ => writeln!(text, "[7:420] -A {chain} {rule}"),
        };
        lengths[index] += 1;
    }
    text + "COMMIT\n"
}

/// The address that only one rule has.
fn tag(text: &str) -> Option<&str> {
    let start = text.find("10.")?;
    let rest = &text[start..];
    let end = rest.find(".77")?;
    Some(&rest[..end])
}

#[rstest]
fn the_line_is_that_of_the_kernel_s_rule(#[values("nft", "legacy")] backend: &str) {
    let mut known = 0;
    for seed in 0..25 {
        let text = file(seed);
        let mut drill = Drill::new(&format!("iptables: {{ v4: rules, backend: {backend} }}"))
            .file("rules", &text);
        for port in 1..=PORTS {
            let test = format!(
                "{{ from: client, to: firewall, service: tcp/{port}, family: ipv4, expect: drop }}"
            );
            drill = drill.test(&test);
        }
        let (_, report) = drill.run(&[]);
        let cases = report["scenarios"][0]["cases"].as_array().expect("cases");
        for case in cases {
            assert_ne!(
                case["outcome"], "inconclusive",
                "seed {seed}: {case}\n{text}"
            );
            let rule = &case["rule"];
            if rule["handle"].is_null() {
                assert_eq!(rule["line"], 2, "seed {seed}: {case}\n{text}");
                continue;
            }
            let listed = tag(rule["text"].as_str().expect("a text")).expect("an address");
            let line = rule["line"].as_u64().expect("a line") as usize;
            let written = text.lines().nth(line - 1).and_then(tag);
            assert_eq!(written, Some(listed), "seed {seed}: {case}\n{text}");
            known += 1;
        }
    }
    assert!(known > 100, "only {known}");
}
