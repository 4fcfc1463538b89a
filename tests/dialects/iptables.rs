//! iptables and ip6tables, by either back end, with ipsets.

use rstest::rstest;

use super::{Drill, assert_lines};

const V4: &str = r#"# line 1
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 7 -m comment --comment "echo is gone" -j DROP
COMMIT
*filter
:INPUT DROP [10:800]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:services - [0:0]
:tail - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[3:180] -A INPUT -p tcp -j services
-A INPUT -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable
-A INPUT -p udp -g tail
-A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 100/sec --limit-burst 100 -j ACCEPT
-A services -p tcp -m multiport --dports 80,443 -j ACCEPT
-A services -p tcp -m tcp --dport 22 -m set --match-set office src -m comment --comment "ssh from the office" -j ACCEPT
-A services -p tcp -m tcp --dport 22 -j DROP
-A services -p tcp -m tcp --dport 113 -j REJECT --reject-with tcp-reset
-A services -p tcp -m tcp --dport 25 -j LOG --log-prefix "mail: "
-A services -p tcp -m tcp --dport 25 -j RETURN
-A services -j REJECT --reject-with icmp-admin-prohibited
-A tail -j DROP
-I FORWARD -i eth0 -o eth1 -p tcp -m tcp --dport 5432 -j ACCEPT
-I FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
"#;

const OFFICE: &str =
    "create office hash:net family inet hashsize 1024 maxelem 65536\nadd office 198.51.100.0/24\n";

/// Everything that a firewall of iptables does, line for line.
#[rstest]
fn every_verdict_names_its_line(#[values("nft", "legacy")] backend: &str) {
    let cases = [
        ("client -> firewall tcp/7: drop", "v4:5"),
        ("client -> firewall tcp/443: accept", "v4:19"),
        ("client -> firewall tcp/22: accept", "v4:20"),
        ("server -> firewall tcp/22: drop", "v4:21"),
        ("client -> firewall tcp/113: reject tcp-reset", "v4:22"),
        ("client -> firewall tcp/25: drop", "v4:8"),
        (
            "client -> firewall tcp/8080: reject icmp-admin-prohibited",
            "v4:25",
        ),
        (
            "client -> firewall udp/53: reject icmp-port-unreachable",
            "v4:16",
        ),
        ("client -> firewall udp/99: drop", "v4:26"),
        ("client -> firewall icmp/echo-request: accept", "v4:18"),
        ("client -> server tcp/5432: accept", "v4:27"),
        ("client -> server tcp/80: drop", "v4:9"),
        ("firewall -> server tcp/80: accept", "v4:10"),
    ];
    let firewall = format!("iptables: {{ v4: v4, ipset: sets, backend: {backend} }}");
    let drill = Drill::new(&firewall).file("v4", V4).file("sets", OFFICE);
    let drill = cases
        .iter()
        .fold(drill, |drill, (case, _)| drill.test(case));
    let told = drill.told(&["--filter", "[ipv4]"]);
    assert_lines(&told, &cases.map(|(_, line)| line));
}

#[rstest]
fn both_families_have_files_of_their_own(#[values("nft", "legacy")] backend: &str) {
    let v6 = "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\n\
              -A INPUT -p tcp --dport 22 -j REJECT --reject-with icmp6-adm-prohibited\nCOMMIT\n";
    let firewall = format!("iptables: {{ v4: v4, v6: v6, ipset: sets, backend: {backend} }}");
    let told = Drill::new(&firewall)
        .file("v4", V4)
        .file("v6", v6)
        .file("sets", OFFICE)
        .test("server -> firewall tcp/22: { drop: { by: \"v4:21\" } }")
        .told(&["--filter", "[ipv4]"]);
    assert_lines(&told, &["v4:21"]);
    let told = Drill::new(&firewall)
        .file("v4", V4)
        .file("v6", v6)
        .file("sets", OFFICE)
        .test(
            "client -> firewall tcp/22: { reject: { kind: icmp-admin-prohibited, by: \"v6:6\" } }",
        )
        .test("client -> firewall tcp/80: { drop: { by: policy } }")
        .test("client -> firewall icmp/echo-request: accept")
        .told(&["--filter", "[ipv6]"]);
    assert_lines(&told, &["v6:6", "v6:2", "v6:5"]);
}

/// A comment is not in nft's listing of such a rule, but it is in the file.
#[rstest]
fn by_may_name_a_comment(#[values("nft", "legacy")] backend: &str) {
    let firewall = format!("iptables: {{ v4: v4, ipset: sets, backend: {backend} }}");
    let drill = Drill::new(&firewall)
        .file("v4", V4)
        .file("sets", OFFICE)
        .test("client -> firewall tcp/22: { accept: { by: \"ssh from the office\" } }")
        .test("client -> firewall tcp/443: { accept: { by: \"ssh from the office\" } }")
        .test("client -> firewall tcp/80: { accept: { by: chain services } }");
    let told = drill.told(&["--filter", "[ipv4]"]);
    let outcomes: Vec<&str> = told.iter().map(|case| &*case.outcome).collect();
    assert_eq!(outcomes, ["pass", "fail", "pass"]);
}

/// A rule that is followed by its twin, and a table that is written twice.
#[rstest]
fn rules_that_look_alike_are_told_apart(#[values("nft", "legacy")] backend: &str) {
    let rules = "*filter\n-A INPUT -p tcp --dport 1 -j ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT\n\
                 -A INPUT -p tcp --dport 22 -j DROP\n-I INPUT -p tcp --dport 22 -j DROP\n\
                 -I INPUT 2 -p tcp --dport 22 -j DROP\n-A INPUT -p tcp -j DROP\nCOMMIT\n";
    let told = Drill::new(&format!("iptables: {{ v4: v4, backend: {backend} }}"))
        .file("v4", rules)
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
        .test("{ from: client, to: firewall, service: tcp/1, family: ipv4, expect: drop }")
        .told(&[]);
    assert_lines(&told, &["v4:7", "v4:9"]);
}

/// A command that is not followed leaves the lines of its table unknown, never wrong.
#[rstest]
fn what_is_not_understood_is_unknown(#[values("nft", "legacy")] backend: &str) {
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 22 -j DROP\n\
                 -A INPUT -p tcp --dport 22 -j DROP\n-D INPUT 1\nCOMMIT\n";
    let told = Drill::new(&format!("iptables: {{ v4: v4, backend: {backend} }}"))
        .file("v4", rules)
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
        .test("{ name: by, from: client, to: firewall, service: tcp/22, family: ipv4, expect: { drop: { by: \"v4:4\" } } }")
        .told(&[]);
    assert_eq!(told[0].outcome, "pass");
    assert_eq!(told[0].line, None);
    assert!(told[0].all.contains("v4:5"), "{}", told[0].all);
    assert_eq!(told[1].outcome, "inconclusive");
}

/// Network address translation of iptables, by the address that arrives.
#[rstest]
fn addresses_are_translated(#[values("nft", "legacy")] backend: &str) {
    let rules = "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n:OUTPUT ACCEPT\n\
                 -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80\n\
                 -A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n\
                 *filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n\
                 -A FORWARD -i eth1 -j ACCEPT\nCOMMIT\n";
    let told = Drill::new(&format!("iptables: {{ v4: v4, backend: {backend} }}"))
        .file("v4", rules)
        .test("{ from: client, to: firewall, service: tcp/8080, family: ipv4, expect: { accept: { destination: 10.0.0.5 } } }")
        .test("{ from: server, to: client, service: tcp/80, family: ipv4, expect: { accept: { source: 192.0.2.1 } } }")
        .test("{ from: client, to: server, service: tcp/80, family: ipv4, expect: drop }")
        .told(&[]);
    assert_lines(&told, &["v4:10", "v4:11", "v4:9"]);
}

/// Nothing passes with a sense taken away.
#[rstest]
fn nothing_passes_blind(
    #[values("nft", "legacy")] backend: &str,
    #[values(
        "trace-deaf",
        "trace-overflow",
        "probes-never-enter",
        "candidate-not-loaded",
        "barrier-lost",
        "capture-deaf"
    )]
    sense: &str,
) {
    let drill = Drill::new(&format!(
        "iptables: {{ v4: v4, ipset: sets, backend: {backend} }}"
    ))
    .file("v4", V4)
    .file("sets", OFFICE)
    .test("client -> firewall tcp/443: accept")
    .test("client -> firewall tcp/7: drop")
    .test("client -> firewall tcp/113: reject tcp-reset");
    let sees = drill.told(&["--filter", "[ipv4]"]);
    assert!(sees.iter().all(|case| case.outcome == "pass"), "{sees:?}");
    let (ended, report) = drill.run(&["--filter", "[ipv4]", "--blind", sense]);
    assert_ne!(ended.code, Some(0));
    assert_eq!(report["totals"]["pass"], 0, "{report}");
}

/// A rule that logs what the kernel's own trace would say is no evidence.
#[test]
fn a_forged_trace_proves_nothing() {
    let rules = "*filter\n:INPUT ACCEPT\n\
                 -A INPUT -p tcp -j NFLOG --nflog-group 0 --nflog-prefix \"TRACE: filter:INPUT:rule:2 \"\n\
                 -A INPUT -p udp -j DROP\nCOMMIT\n";
    let told = Drill::new("iptables: { v4: v4, backend: legacy }")
        .file("v4", rules)
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: drop }")
        .told(&[]);
    assert_eq!(told[0].outcome, "inconclusive", "{told:?}");
}

/// The command line puts another dialect under a scenario.
#[test]
fn a_candidate_may_be_of_another_dialect() {
    let drill = Drill::new("nftables: open.nft")
        .file("open.nft", "table inet t { }\n")
        .file("v4", V4)
        .file("sets", OFFICE)
        .test("client -> firewall tcp/22: accept")
        .test("client -> firewall tcp/7: drop");
    let other = "iptables:v4=v4,ipset=sets,backend=legacy";
    let told = drill.told(&["--filter", "[ipv4]", "--candidate", other]);
    assert_lines(&told, &["v4:20", "v4:5"]);
    for (wrong, said) in [
        ("iptables:v4=nothing", "there is no candidate file nothing"),
        (
            "iptables:v4=v4,backend=old",
            "backend is one of nft, legacy",
        ),
        ("iptables:ipset=sets", "iptables needs v4 or v6"),
        ("iptables:v4=v4,v5=v4", "`v5=v4` is not `KEY=VALUE`"),
        ("nothing", "there is no candidate file nothing"),
    ] {
        let ended = drill
            .folder
            .firedrill(&["test", "lab.yaml", "--candidate", wrong]);
        assert_eq!(ended.code, Some(2), "{wrong}");
        assert!(ended.stderr.contains(said), "{wrong}: {}", ended.stderr);
    }
}

/// Every error that iptables-extensions(8) lets `REJECT` send, by the line of its rule. ICMP types and codes
/// are those of RFC 792, RFC 1812 and RFC 4443.
#[rstest]
fn every_kind_of_reject_is_seen(#[values("nft", "legacy")] backend: &str) {
    const V4: &[(&str, &str)] = &[
        ("icmp-net-unreachable", "icmp-net-unreachable"),
        ("icmp-host-unreachable", "icmp-host-unreachable"),
        ("icmp-proto-unreachable", "icmp-prot-unreachable"),
        ("icmp-port-unreachable", "icmp-port-unreachable"),
        ("icmp-net-prohibited", "icmp-net-prohibited"),
        ("icmp-host-prohibited", "icmp-host-prohibited"),
        ("icmp-admin-prohibited", "icmp-admin-prohibited"),
        ("tcp-reset", "tcp-reset"),
    ];
    const V6: &[(&str, &str)] = &[
        ("icmp6-no-route", "icmp-net-unreachable"),
        ("icmp6-adm-prohibited", "icmp-admin-prohibited"),
        ("icmp6-addr-unreachable", "icmp-host-unreachable"),
        ("icmp6-port-unreachable", "icmp-port-unreachable"),
        ("tcp-reset", "tcp-reset"),
    ];
    let mut drill = Drill::new(&format!(
        "iptables: {{ v4: v4, v6: v6, backend: {backend} }}"
    ));
    let mut lines = Vec::new();
    for (file, family, kinds) in [("v4", "ipv4", V4), ("v6", "ipv6", V6)] {
        let mut rules = String::from("*filter\n:INPUT DROP\n");
        for (port, (with, kind)) in (1000..).zip(kinds) {
            rules += &format!("-A INPUT -p tcp --dport {port} -j REJECT --reject-with {with}\n");
            lines.push(format!("{file}:{}", port - 1000 + 3));
            drill = drill.test(&format!(
                "{{ from: client, to: firewall, service: tcp/{port}, family: {family}, expect: {{ reject: {kind} }} }}"
            ));
        }
        drill = drill.file(file, rules + "COMMIT\n");
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_lines(&drill.told(&[]), &lines);
}
