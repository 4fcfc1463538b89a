//! Rulesets that are larger than an unprivileged program may send to the kernel at once.

use rstest::rstest;

use super::{Drill, assert_lines};

const RULES: usize = 6000;

fn iptables() -> String {
    let rules = (0..RULES).map(|n| {
        let (a, b) = (n >> 8, n & 255);
        format!(
            "-A INPUT -s 10.{a}.{b}.1/32 -p tcp -m tcp --dport {} -j ACCEPT\n",
            n + 1
        )
    });
    let rules: String = rules.collect();
    format!("*filter\n:INPUT DROP\n{rules}-A INPUT -p udp -j REJECT\nCOMMIT\n")
}

/// Every third rule brings an anonymous set, every tenth an inline chain: what must not be parted.
fn nftables() -> String {
    let rules = (0..RULES).map(|n| {
        let (a, b) = (n >> 8, n & 255);
        match n {
            n if n % 10 == 0 => format!("    tcp dport {} jump {{ ip saddr 10.{a}.{b}.1 accept; ip saddr 10.{a}.{b}.2 drop; }}\n", n + 1),
            n if n % 3 == 0 => format!("    ip saddr {{ 10.{a}.{b}.1, 10.{a}.{b}.9 }} tcp dport {} accept\n", n + 1),
            n => format!("    ip saddr 10.{a}.{b}.1 tcp dport {} accept\n", n + 1),
        }
    });
    let rules: String = rules.collect();
    format!(
        "table inet t {{\n  chain c {{\n    type filter hook input priority 0; policy drop;\n{rules}    \
         meta l4proto udp reject\n  }}\n}}\n"
    )
}

#[rstest]
#[case::nftables("nftables: rules", nftables(), ["rules:3", "rules:6004"])]
#[case::iptables_nft("iptables: { v4: rules }", iptables(), ["rules:2", "rules:6003"])]
#[case::iptables_legacy("iptables: { v4: rules, backend: legacy }", iptables(), ["rules:2", "rules:6003"])]
fn thousands_of_rules_load_and_keep_their_lines(
    #[case] firewall: &str,
    #[case] rules: String,
    #[case] lines: [&str; 2],
) {
    let told = Drill::new(firewall)
        .file("rules", rules)
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
        .test("{ from: client, to: firewall, service: udp/22, family: ipv4, expect: reject }")
        .told(&[]);
    assert_lines(&told, &lines);
}

/// The kernel's own complaint of a rule in the middle of a transaction that was sent in parts.
#[test]
fn a_mistake_far_inside_is_shown_at_its_line() {
    let rules = nftables().replace("tcp dport 5000 accept", "tcp dport 5000 jump nowhere");
    let line = 1 + rules
        .lines()
        .position(|line| line.contains("nowhere"))
        .expect("a line");
    let (code, error) = Drill::new("nftables: rules")
        .file("rules", rules)
        .test("client -> firewall tcp/22: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains(&format!("rules:{line}:")), "{error}");
}
