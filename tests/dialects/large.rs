//! Rulesets that are larger than an unprivileged program may send to the kernel at once.

use rstest::rstest;

use super::{Drill, assert_lines};

/// More than fits into twice the `net.core.wmem_max` of the machines that we know, 4 MiB.
const HUGE: usize = 30_000;
/// More than fits where it is what the kernel makes it, 208 KiB.
const LARGE: usize = 3_000;

fn iptables(rules: usize) -> String {
    let rules = (0..rules).map(|n| {
        let (a, b) = (n >> 8, n & 255);
        let port = n + 1;
        format!("-A INPUT -s 10.{a}.{b}.1/32 -p tcp -m tcp --dport {port} -j ACCEPT\n")
    });
    let rules: String = rules.collect();
    format!("*filter\n:INPUT DROP\n{rules}-A INPUT -p udp -j REJECT\nCOMMIT\n")
}

fn nftables(rules: usize) -> String {
    table((0..rules).map(|n| {
        format!(
            "ip saddr 10.{}.{}.1 tcp dport {} accept",
            n >> 8,
            n & 255,
            n + 1
        )
    }))
}

/// Every third rule brings an anonymous set, every tenth an inline chain: what must not be parted.
fn with_sets_and_chains(rules: usize) -> String {
    table((0..rules).map(|n| {
        let address = format!("10.{}.{}", n >> 8, n & 255);
        let port = n + 1;
        match n {
            n if n % 10 == 0 => {
                format!("tcp dport {port} jump {{ ip saddr {address}.1 accept; ip saddr {address}.2 drop; }}")
            }
            n if n % 3 == 0 => {
                format!("ip saddr {{ {address}.1, {address}.9 }} tcp dport {port} accept")
            }
            _ => format!("ip saddr {address}.1 tcp dport {port} accept"),
        }
    }))
}

fn table(rules: impl Iterator<Item = String>) -> String {
    let rules: String = rules.map(|rule| format!("    {rule}\n")).collect();
    format!(
        "table inet t {{\n  chain c {{\n    type filter hook input priority 0; policy drop;\n{rules}    \
         meta l4proto udp reject\n  }}\n}}\n"
    )
}

#[rstest]
#[case::nftables("nftables: rules", nftables(HUGE), ["rules:3", "rules:30004"])]
#[case::sets_and_chains("nftables: rules", with_sets_and_chains(LARGE), ["rules:3", "rules:3004"])]
#[case::iptables_nft("iptables: { v4: rules }", iptables(HUGE), ["rules:2", "rules:30003"])]
#[case::iptables_legacy("iptables: { v4: rules, backend: legacy }", iptables(HUGE), ["rules:2", "rules:30003"])]
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
    let rules = nftables(HUGE).replace("tcp dport 25000 accept", "tcp dport 25000 jump nowhere");
    let (code, error) = Drill::new("nftables: rules")
        .file("rules", rules)
        .test("client -> firewall tcp/22: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("rules:25003:"), "{error}");
}
