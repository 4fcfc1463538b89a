//! Files that were made to hurt: refused, and fast.

use std::{fmt::Write as _, time::Duration};

use super::{WORLD, read, with_tests};
use crate::processor_time::ProcessorTime;

/// Of processor time: far above what any of them takes, far below what a successful attack would.
const SOON: Duration = Duration::from_secs(60);

fn refused(text: &str) -> String {
    let start = ProcessorTime::now();
    let shown = read(text).expect_err("the file is hostile").to_string();
    assert!(start.used() < SOON, "took {:?}", start.used());
    assert!(shown.len() < 10_000, "{} bytes of messages", shown.len());
    shown
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{uses}]");
    }
    assert!(refused(&text).contains("more than 200000 values"));
}

#[test]
fn deep_nesting_is_refused() {
    assert!(refused(&"[".repeat(200_000)).contains("more than 32 levels deep"));
    assert!(refused(&"{a: ".repeat(200_000)).contains("more than 32 levels deep"));
    assert!(refused(&"- ".repeat(200_000)).contains("more than 32 levels deep"));
    assert!(refused(&"? ".repeat(200_000)).contains("more than 32 levels deep"));
}

#[test]
fn merge_keys_cannot_pile_up() {
    let mut text = "a0: &a0 { x: 1 }\n".to_owned();
    for level in 1..10_000 {
        let _ = writeln!(
            text,
            "a{level}: &a{level} {{ <<: *a{}, k{level}: 1 }}",
            level - 1
        );
    }
    assert!(refused(&text).contains("more than 32 levels deep"));
}

#[test]
fn a_huge_text_is_refused() {
    assert!(refused(&"#".repeat(1024 * 1024 + 1)).contains("bigger than 1024 KiB"));
}

#[test]
fn an_endless_line_is_not_shown() {
    assert!(refused(&format!("name: {}: x", "a".repeat(900_000))).contains("test.yaml:1:"));
}

#[test]
fn tests_cannot_multiply_without_end() {
    let mut tests = String::new();
    for high in 1..100 {
        let first = high * 600;
        let _ = writeln!(
            tests,
            "  - internet -> firewall tcp/{first}-{}: drop",
            first + 599
        );
        let _ = writeln!(
            tests,
            "  - internet -> firewall udp/{first}-{}: drop",
            first + 599
        );
    }
    let shown = refused(&format!("{WORLD}tests:\n{tests}"));
    assert!(shown.contains("at most 100000 cases"), "{shown}");
}

#[test]
fn a_thousand_ports_in_one_test_are_fine() {
    let ports: Vec<String> = (1..=1024).map(|port| port.to_string()).collect();
    let test = format!("office -> firewall tcp/{}: drop", ports.join(","));
    let scenario = read(&with_tests(&[&test])).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.cases.len(), 1024);
}

#[test]
fn a_flood_of_problems_is_shown_in_time() {
    let start = ProcessorTime::now();
    let in_lines = format!("{WORLD}tests:\n{}", "  - x\n".repeat(90_000));
    let in_one_line = format!("{WORLD}tests: [{}]\n", "x, ".repeat(90_000));
    for text in [in_lines, in_one_line] {
        let problems = read(&text).expect_err("the file is hostile");
        assert_eq!(problems.len(), 90_000);
        let _ = problems.to_string();
    }
    assert!(start.used() < SOON, "took {:?}", start.used());
}

#[test]
fn a_flood_of_unknown_names_among_many_known_ones_is_shown_in_time() {
    let start = ProcessorTime::now();
    let mut text = WORLD.to_owned();
    for host in 0..4000 {
        let address = format!("198.18.{}.{}", host / 200, host % 200 + 1);
        let _ = writeln!(
            text,
            "  abcdefgh{host:04}: {{ behind: eth0, address: {address} }}"
        );
    }
    text += "tests:\n";
    for test in 0..18_000 {
        let _ = writeln!(text, "  - abcdefg{test:05} -> db any: drop");
    }
    let problems = read(&text).expect_err("the file is hostile");
    assert_eq!(problems.len(), 18_000);
    let _ = problems.to_string();
    assert!(start.used() < SOON, "took {:?}", start.used());
}
