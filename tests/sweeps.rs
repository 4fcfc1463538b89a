//! Sweeps on the real kernel: every port, in batches, and the same one by one.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{Case, Folder, Group, Lab, Report, Sweep};
use firedrill::scenario::{Host, Scenario};
use rstest::rstest;

const ALL_SENSES: [&str; 6] = [
    "trace-deaf",
    "trace-overflow",
    "probes-never-enter",
    "candidate-not-loaded",
    "barrier-lost",
    "capture-deaf",
];

#[track_caller]
fn report(folder: &Folder, arguments: &[&str]) -> Report {
    let mut command = common::firedrill();
    command
        .args(["test", ".", "--report", "json"])
        .args(arguments)
        .current_dir(folder.path());
    Report::of(common::end(command))
}

#[track_caller]
fn swept(lab: &Lab) -> Vec<Case> {
    let report = report(&lab.folder(), &[]);
    report.cases().into_iter().cloned().collect()
}

/// The sweeps of a case, by what they go through.
fn sweeps(case: &Case) -> BTreeMap<String, Sweep> {
    let steps = case.steps.iter().filter_map(|step| step.sweep.clone());
    let all = steps.chain(case.sweep.clone());
    all.map(|sweep| (sweep.swept.clone(), sweep)).collect()
}

/// `80 accept, 81-90 drop`, whoever decided.
fn told(sweep: &Sweep) -> String {
    let mut found: Vec<(u16, u16, &str)> = Vec::new();
    for group in &sweep.groups {
        match found.last_mut() {
            Some((_, last, verdict))
                if *verdict == group.verdict && last.checked_add(1) == Some(group.first) =>
            {
                *last = group.last;
            }
            _ => found.push((group.first, group.last, &group.verdict)),
        }
    }
    let range = |(first, last, verdict): &(u16, u16, &str)| {
        if first == last {
            format!("{first} {verdict}")
        } else {
            format!("{first}-{last} {verdict}")
        }
    };
    found.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// A policy of drop at all hooks, with these rules in front.
fn closed(input: &str, forward: &str, output: &str) -> String {
    let chain = |hook: &str, rules: &str| {
        format!(
            " chain {hook} {{\n  type filter hook {hook} priority 0; policy drop;\n{rules}\n }}\n"
        )
    };
    format!(
        "table inet t {{\n{}{}{}}}\n",
        chain("input", input),
        chain("forward", forward),
        // Errors of the firewall's own leave.
        chain(
            "output",
            &format!(
                "{output}\n icmp type destination-unreachable accept\n icmpv6 type destination-unreachable accept\n tcp flags & rst == rst accept"
            )
        )
    )
}

#[test]
fn every_port_is_told_as_the_rules_have_it() {
    let rules = closed(
        " tcp dport { 22, 80, 8000-8010 } accept\n tcp dport 113 reject with tcp reset\n \
         tcp dport 137-139 drop comment \"windows\"\n udp dport 53 accept\n \
         udp dport 33434-33534 reject",
        " tcp dport 5432 accept",
        " udp dport 123 accept",
    );
    let lab = Lab::new(&rules)
        .test("{ name: in, from: client, to: firewall, only-open: { tcp: [22, 80, 8000-8010], udp: 53 } }")
        .test("{ name: through, from: client, to: server, only-open: { tcp: 5432 } }")
        .test("{ name: out, from: firewall, to: server, only-open: { udp: 123 } }");
    let cases = swept(&lab);
    assert_eq!(cases.len(), 6);
    for case in cases {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        let sweeps = sweeps(&case);
        let (tcp, udp) = (&sweeps["tcp"], &sweeps["udp"]);
        let unreachable = "reject icmp-port-unreachable";
        let name = case.name.split(" :: ").nth(1).unwrap_or_default();
        let (expected_tcp, expected_udp) = match name.split(' ').next() {
            Some("in") => (
                "1-21 drop, 22 accept, 23-79 drop, 80 accept, 81-112 drop, 113 reject tcp-reset, \
                 114-7999 drop, 8000-8010 accept, 8011-65535 drop"
                    .to_owned(),
                format!(
                    "1-52 drop, 53 accept, 54-33433 drop, 33434-33534 {unreachable}, 33535-65535 drop"
                ),
            ),
            Some("through") => (
                "1-5431 drop, 5432 accept, 5433-65535 drop".to_owned(),
                "1-65535 drop".to_owned(),
            ),
            _ => (
                "1-65535 drop".to_owned(),
                "1-122 drop, 123 accept, 124-65535 drop".to_owned(),
            ),
        };
        assert_eq!(told(tcp), expected_tcp, "{}", case.name);
        assert_eq!(told(udp), expected_udp, "{}", case.name);
        // Who closes them is known of all, also where two close what lies beside each other.
        for group in tcp.groups.iter().chain(&udp.groups) {
            let rule = group.rule.as_ref().unwrap_or_else(|| panic!("{group:#?}"));
            let windows = rule
                .text
                .as_ref()
                .is_some_and(|text| text.contains("windows"));
            assert_eq!(
                windows,
                name.starts_with("in") && group.first == 137 && group.verdict == "drop",
                "{group:#?}"
            );
            assert!(group.traced > 0, "{group:#?}");
        }
    }
}

#[test]
fn what_is_open_and_should_not_be_and_the_other_way_round_fails_with_the_rule_that_decided() {
    let lab = Lab::new(&closed(" tcp dport { 22, 9000-9005 } accept", "", ""))
        .test("{ name: n, from: client, to: firewall, only-open: { tcp: [22, 443], udp: [] } }");
    for case in swept(&lab) {
        assert_eq!(case.outcome, "fail", "{case:#?}");
        assert_eq!(
            case.reason.as_deref(),
            Some("tcp/9000-9005 are open and should not be; tcp/443 should be open and is not")
        );
        let tcp = &sweeps(&case)["tcp"];
        let wrong: Vec<_> = tcp
            .groups
            .iter()
            .filter(|group| group.outcome == "fail")
            .collect();
        let [closed, open] = wrong.as_slice() else {
            panic!("{wrong:#?}");
        };
        assert_eq!(
            (closed.first, closed.last, closed.verdict.as_str()),
            (443, 443, "drop")
        );
        assert_eq!(
            (open.first, open.last, open.verdict.as_str()),
            (9000, 9005, "accept")
        );
        // Each of them was confirmed with a trace.
        assert_eq!((closed.traced, open.traced), (1, 6));
        assert_eq!(closed.rule.as_ref().and_then(|rule| rule.handle), None);
        assert!(open.rule.as_ref().is_some_and(|rule| rule.handle.is_some()));
    }
}

#[test]
fn icmp_types_and_other_protocols_are_swept_where_it_is_asked_for() {
    let lab = Lab::new(&closed(
        " icmp type echo-request accept\n icmpv6 type echo-request accept\n meta l4proto { gre, esp, 99 } accept",
        "",
        "",
    ))
    .test("{ name: n, from: client, to: firewall, only-open: { tcp: any, udp: any, icmp: echo-request, protocols: [gre, esp, 99] } }");
    for case in swept(&lab) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        let sweeps = sweeps(&case);
        let echo = if case.family == "ipv4" { 8 } else { 128 };
        assert_eq!(
            told(&sweeps["icmp"]),
            format!("0-{} drop, {echo} accept, {}-255 drop", echo - 1, echo + 1)
        );
        let open = sweeps["protocols"].groups.iter();
        let open: Vec<u16> = open
            .filter(|group| group.verdict == "accept")
            .flat_map(|group| group.first..=group.last)
            .collect();
        assert_eq!(open, [47, 50, 99]);
    }
}

#[test]
fn a_port_that_is_translated_is_open_where_it_leads_to() {
    let rules = "table inet t {\n chain nat {\n  type nat hook prerouting priority dstnat;\n  \
                 meta nfproto ipv4 tcp dport 8080 dnat ip to 10.0.0.5:80\n  \
                 meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:1::5]:80\n }\n \
                 chain forward {\n  type filter hook forward priority 0; policy drop;\n  tcp dport 80 accept\n }\n \
                 chain input {\n  type filter hook input priority 0; policy drop;\n }\n}\n";
    let lab = Lab::new(rules)
        .test("{ name: n, from: client, to: firewall, only-open: { tcp: 8080, udp: any } }");
    for case in swept(&lab) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        let tcp = &sweeps(&case)["tcp"];
        let open = tcp.groups.iter().find(|group| group.verdict == "accept");
        let arrival = open
            .and_then(|group| group.arrival.clone())
            .expect("it arrives");
        assert_eq!(arrival.interface.as_deref(), Some("eth1"));
        assert!(["10.0.0.5", "fd00:1::5"].contains(&arrival.destination.as_str()));
    }
}

#[test]
fn a_port_with_a_limit_is_looked_at_in_a_lab_of_its_own() {
    let lab = Lab::new(&closed(
        " tcp dport 22 limit rate 1/hour burst 1 packets accept\n tcp dport 80 accept",
        "",
        "",
    ))
    .test("client -> firewall tcp/22: accept")
    .test("{ name: n, from: client, to: firewall, only-open: { tcp: [22, 80], udp: any } }");
    for case in swept(&lab) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        if let Some(tcp) = sweeps(&case).get("tcp") {
            assert_eq!(tcp.fresh_labs, 1, "{tcp:#?}");
        }
    }
}

#[test]
fn a_trap_does_not_close_the_ports_that_are_swept_behind_it() {
    let rules = "table inet t {\n set bad { type ipv4_addr; flags dynamic; }\n chain input {\n  \
                 type filter hook input priority 0; policy drop;\n  ip saddr @bad drop comment \"banned\"\n  \
                 tcp dport 23 add @bad { ip saddr } drop\n  tcp dport { 22, 80 } accept\n }\n}\n";
    let lab = Lab::new(rules).test(
        "{ name: n, from: client, to: firewall, family: ipv4, only-open: { tcp: [22, 80], udp: any } }",
    );
    for case in swept(&lab) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        let tcp = &sweeps(&case)["tcp"];
        assert_eq!(
            told(tcp),
            "1-21 drop, 22 accept, 23-79 drop, 80 accept, 81-65535 drop"
        );
        assert_eq!(tcp.fresh_labs, 2);
        for group in &tcp.groups {
            let rule = group.rule.as_ref().and_then(|rule| rule.text.clone());
            assert!(!rule.unwrap_or_default().contains("banned"), "{group:#?}");
        }
    }
}

/// A limit on everything is waited for nowhere: as many ports as its burst surely leaves alone share a lab.
#[test]
fn a_limit_on_every_port_is_paced_by_its_burst_or_given_up_with_the_rule_named() {
    let lab = |burst: u32, among: &str| {
        Lab::new(&closed(
            &format!(" tcp flags syn limit rate 1/hour burst {burst} packets jump open\n }}\n chain open {{\n tcp dport 80 accept"),
            "",
            "",
        ))
        .test(&format!("{{ name: n, from: client, to: firewall, family: ipv4, only-open: {{ tcp: 80, udp: any{among} }} }}"))
    };
    for case in swept(&lab(400, ", among: 1-2000")) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        let tcp = &sweeps(&case)["tcp"];
        assert_eq!(told(tcp), "1-79 drop, 80 accept, 81-2000 drop");
        assert_eq!(tcp.fresh_labs, 5);
    }
    for case in swept(&lab(5, "")) {
        assert_eq!(case.outcome, "inconclusive", "{case:#?}");
        let reason = case.reason.unwrap_or_default();
        assert!(
            reason.contains("limit rate 1/hour") && reason.contains("13107"),
            "{reason}"
        );
    }
}

/// A drop on a path that does not work anyway proves nothing, and one that the kernel makes is no rule's.
#[test]
fn a_sweep_that_no_rule_stops_is_not_closed_by_a_rule() {
    let lab = Lab::new(&closed("", "", ""))
        .firewall("forwarding: false")
        .test("{ name: n, from: client, to: server, only-open: { udp: any, among: 1-100 } }");
    for case in swept(&lab) {
        let sweeps = sweeps(&case);
        for group in &sweeps["tcp"].groups {
            assert!(group.rule.is_none(), "{group:#?}");
        }
    }
}

#[rstest]
fn nothing_passes_with_a_sense_taken_away(
    #[values(
        ("accept", ", tcp: 1-200, udp: 1-200"),
        ("drop", ""),
    )]
    rules: (&str, &str),
) {
    let (policy, open) = rules;
    let rules = format!(
        "table inet t {{\n chain input {{\n  type filter hook input priority 0; policy {policy};\n }}\n}}\n"
    );
    let lab = Lab::new(&rules).test(&format!(
        "{{ name: n, from: client, to: firewall, only-open: {{ among: 1-200{open} }} }}"
    ));
    let folder = lab.folder();
    for case in report(&folder, &[]).cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    for sense in ALL_SENSES {
        for case in report(&folder, &["--blind", sense]).cases() {
            assert_eq!(case.outcome, "inconclusive", "{sense}: {case:#?}");
        }
    }
}

/// All of 262,140 connections are open at once: more than half of the table, so they are forgotten in between.
#[test]
fn everything_open_is_as_sure_as_everything_closed() {
    let rules = "table inet t {\n chain input {\n  type filter hook input priority 0; policy accept;\n  ct state new accept\n }\n}\n";
    let lab = Lab::new(rules)
        .test("{ name: n, from: client, to: firewall, only-open: { tcp: 1-65535, udp: 1-65535 } }");
    for case in swept(&lab) {
        assert_eq!(case.outcome, "pass", "{case:#?}");
        for sweep in sweeps(&case).values() {
            assert_eq!(told(sweep), "1-65535 accept");
        }
    }
}

/// From a host to the server, where these TCP and UDP ports are open and every connection is tracked.
fn to_the_server(name: &str, from: &str, open: &str, among: &str) -> String {
    format!(
        "{{ name: {name}, from: {from}, to: server, only-open: {{ tcp: {open}, udp: {open}, among: {among} }} }}"
    )
}

/// A firewall with these ports open towards the server, which tracks every connection.
fn open_to_the_server(open: &str) -> Lab {
    Lab::new(&format!(
        "table inet t {{\n chain forward {{\n  type filter hook forward priority 0; policy drop;\n  \
         ct state new meta l4proto {{ tcp, udp }} th dport {open} accept\n }}\n}}\n"
    ))
}

/// What a batch lost for want of a buffer is looked at one by one, which a small buffer is enough for.
#[test]
fn what_a_full_buffer_may_have_swallowed_is_looked_at_again() {
    let test = to_the_server("n", "client", "1-500", "1-600");
    let folder = open_to_the_server("1-500").test(&test).folder();
    let traced = |report: &Report| {
        let mut traced = Vec::new();
        for case in report.cases() {
            assert_eq!(case.outcome, "pass", "{case:#?}");
            for sweep in sweeps(case).values() {
                assert_eq!(told(sweep), "1-500 accept, 501-600 drop");
                traced.push(sweep.groups.iter().map(|group| group.traced).sum::<u32>());
            }
        }
        traced
    };
    let usual = traced(&report(&folder, &[]));
    assert!(usual.iter().all(|traced| *traced < 50), "{usual:?}");
    let small = traced(&report(&folder, &["--blind", "small-buffers"]));
    assert!(small.iter().all(|traced| *traced > 100), "{small:?}");
}

/// The limit of the table is the machine's, and cannot be lowered in a namespace: so the table is filled. A closed
/// port may then be one whose packet found no room, and all of them are looked at one by one.
#[test]
fn a_full_connection_tracking_table_is_noticed() {
    let most = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    let most = most.ok().and_then(|most| most.trim().parse().ok());
    let most: usize = most.unwrap_or(262_144);
    if most > 600_000 {
        eprintln!("SKIPPED: to fill a table of {most} connections takes too long");
        return;
    }
    let mut lab = open_to_the_server("1-65000");
    // Of both families and protocols.
    for number in 1..=most / 260_000 + 1 {
        let name = format!("h{number}");
        let address = format!("[198.51.100.{0}, \"2001:db8:ffff::{0}\"]", 100 + number);
        lab = lab
            .host(&format!("{name}: {{ behind: eth0, address: {address} }}"))
            .test(&to_the_server(&name, &name, "1-65000", "1-65535"));
    }
    let folder = lab.folder();
    let traced = |report: &Report| -> Vec<u32> {
        let cases = report.cases();
        let of_case = |case: &&Case| {
            assert_eq!(case.outcome, "pass", "{case:#?}");
            let sweeps = sweeps(case).into_values();
            let closed = |sweep: Sweep| -> u32 {
                assert_eq!(told(&sweep), "1-65000 accept, 65001-65535 drop");
                let closed = sweep.groups.iter().filter(|group| group.first > 65_000);
                closed.map(|group| group.traced).sum()
            };
            sweeps.map(closed).collect::<Vec<_>>()
        };
        cases.iter().flat_map(of_case).collect()
    };
    let emptied = traced(&report(&folder, &[]));
    assert!(emptied.iter().all(|traced| *traced < 100), "{emptied:?}");
    let kept = traced(&report(&folder, &["--blind", "connections-kept"]));
    assert!(kept[0] < 100, "{kept:?}");
    assert!(kept.contains(&535), "{kept:?}");
}

/// Every processor has more to do than it can.
#[test]
fn a_busy_machine_changes_no_verdict() {
    let test = to_the_server("n", "client", "1-20000", "1-21000");
    let folder = open_to_the_server("1-20000").test(&test).folder();
    let done = std::sync::atomic::AtomicBool::new(false);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..2 * processors {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let report = report(&folder, &[]);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for case in report.cases() {
            assert_eq!(case.outcome, "pass", "{case:#?}");
        }
    });
}

/// At least so many ports are compared of every ruleset.
const COMPARED: usize = 10_000;

/// Every firewall that is shipped: from its first host to itself and to every other host, in batches and one by one
/// with a full trace.
#[test]
fn batches_and_traces_agree_on_every_shipped_ruleset() {
    let folder = Folder::new();
    copy(Path::new("scenarios"), &folder.path().join("scenarios"));
    let shipped = firedrill::scenario::load(&[folder.path().join("scenarios")]);
    let shipped = shipped.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(shipped.len() >= 20, "{} scenarios", shipped.len());
    for scenario in shipped {
        let sweeps_of = |arguments: &[&str]| -> Vec<(String, String, u32, u32)> {
            let mut command = common::firedrill();
            command
                .arg("test")
                .arg(&scenario.file)
                .args(["--report", "json", "--launcher", "embedded"])
                // A part may bring tests of its own.
                .args(["--filter", "only-open"])
                .args(arguments);
            let report = Report::of(common::end(command));
            let cases = report.cases().into_iter();
            let each = |case: &Case| {
                let name = case.name.clone();
                sweeps(case).into_values().map(move |sweep| {
                    let count = |group: &Group| u32::from(group.last - group.first) + 1;
                    let all = sweep.groups.iter().map(count).sum();
                    let traced = sweep.groups.iter().map(|group| group.traced).sum();
                    let told = format!("{} {}", sweep.swept, told(&sweep));
                    (name.clone(), told, all, traced)
                })
            };
            cases.flat_map(each).collect()
        };
        let text = fs::read_to_string(&scenario.file).expect("a copy is readable");
        fs::write(&scenario.file, sweeping(&text, &scenario)).expect("a copy is writable");
        let (batches, traces) = (sweeps_of(&[]), sweeps_of(&["--trace-sweeps"]));
        assert_eq!(batches.len(), traces.len(), "{}", scenario.id);
        let (mut ports, mut sample) = (0, 0);
        for (batch, trace) in batches.iter().zip(&traces) {
            assert_eq!(batch.1, trace.1, "{}", batch.0);
            let (_, _, all, traced) = trace;
            assert_eq!(all, traced, "every port was traced: {}", trace.0);
            ports += all;
            sample += batch.3;
        }
        assert!(sample < ports, "not every port was traced: {}", scenario.id);
        assert!(ports as usize >= COMPARED, "{}: {ports}", scenario.id);
    }
}

/// A scenario with other tests: from its first host to the firewall and to every other one, without an opinion.
fn sweeping(text: &str, scenario: &Scenario) -> String {
    let own = text.find("\ntests:").map_or(text.len(), |at| at + 1);
    let families = |host: &Host| [host.ipv4.is_some(), host.ipv6.is_some()];
    let (first, others) = scenario.hosts.split_first().expect("somebody sends");
    let shared = |host: &Host| {
        let both = families(first).into_iter().zip(families(host));
        both.filter(|(one, other)| *one && *other).count()
    };
    let others: Vec<&Host> = others
        .iter()
        .filter(|other| other.behind != first.behind && shared(other) > 0)
        .collect();
    // To the firewall: at least one family.
    let sweeps: usize = 2 * (1 + others.iter().map(|other| shared(other)).sum::<usize>());
    let last = COMPARED.div_ceil(sweeps).min(65_535);
    let to = others
        .iter()
        .map(|host| host.name.as_str())
        .chain(["firewall"]);
    let tests: String = to
        .map(|to| {
            format!(
                "  - {{ from: {}, to: {to}, only-open: {{ among: 1-{last} }} }}\n",
                first.name
            )
        })
        .collect();
    format!("{}\ntests:\n{tests}", &text[..own])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is writable");
    for entry in fs::read_dir(from).expect("a folder is readable") {
        let entry = entry.expect("a folder is readable");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file is readable");
        }
    }
}
