//! firewalld, with both of its back ends.

use std::{fs, path::Path};

use rstest::rstest;

use super::{Drill, Told, assert_lines, common::Folder};

const PUBLIC: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<zone>
  <interface name="eth0"/>
  <service name="http"/>
  <service name="wiki"/>
  <port port="8000-8010" protocol="tcp"/>
  <rule family="ipv4">
    <source address="198.51.100.7"/>
    <port port="22" protocol="tcp"/>
    <accept/>
  </rule>
  <rule priority="-5">
    <port port="23" protocol="tcp"/>
    <drop/>
  </rule>
</zone>
"#;

const INTERNAL: &str = "<zone target=\"DROP\">\n  <interface name=\"eth1\"/>\n</zone>\n";

const WIKI: &str = "<service>\n  <port port=\"8443\" protocol=\"tcp\"/>\n</service>\n";

const POLICY: &str = "<policy target=\"ACCEPT\" priority=\"-1\">\n  <ingress-zone name=\"public\"/>\n  \
    <egress-zone name=\"internal\"/>\n  <rule>\n    <port port=\"99\" protocol=\"tcp\"/>\n    <drop/>\n  </rule>\n\
    </policy>\n";

const DIRECT: &str = "<direct>\n  \
    <rule ipv=\"ipv4\" table=\"filter\" chain=\"INPUT\" priority=\"1\">-p tcp --dport 71 -j DROP</rule>\n  \
    <rule ipv=\"ipv4\" table=\"filter\" chain=\"INPUT\" priority=\"0\">-p tcp --dport 72 -j DROP</rule>\n\
    </direct>\n";

fn drill(backend: &str) -> Drill {
    Drill::new("firewalld: etc")
        .file(
            "etc/firewalld.conf",
            format!("DefaultZone=public\nFirewallBackend={backend}\n"),
        )
        .file("etc/zones/public.xml", PUBLIC)
        .file("etc/zones/internal.xml", INTERNAL)
        .file("etc/services/wiki.xml", WIKI)
        .file("etc/policies/in.xml", POLICY)
        .file("etc/direct.xml", DIRECT)
}

#[rstest]
fn the_line_of_every_element_is_found(#[values("nftables", "iptables")] backend: &str) {
    let told = drill(backend)
        .test("client -> firewall tcp/80: accept")
        .test("client -> firewall tcp/8443: accept")
        .test("client -> firewall tcp/8005: accept")
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv4, expect: accept }")
        .test("{ from: client, to: firewall, service: tcp/22, family: ipv6, expect: reject }")
        .test("client -> firewall tcp/23: drop")
        .test("server -> firewall tcp/80: drop")
        .test("client -> server tcp/99: drop")
        .test("client -> server tcp/98: accept")
        .test("{ from: client, to: firewall, service: tcp/71, family: ipv4, expect: drop }")
        .test("{ from: client, to: firewall, service: tcp/72, family: ipv4, expect: drop }")
        .told(&[]);
    let at = |file: &str, line: usize| format!("etc/{file}.xml:{line}");
    let public = |line| at("zones/public", line);
    let lines = [
        public(4),
        public(4),
        public(5),
        public(5),
        public(6),
        public(6),
        public(7),
        public(2),
        public(12),
        public(12),
        at("zones/internal", 1),
        at("zones/internal", 1),
        at("policies/in", 4),
        at("policies/in", 4),
        at("policies/in", 1),
        at("policies/in", 1),
        at("direct", 2),
        at("direct", 3),
    ];
    assert_lines(&told, &lines.each_ref().map(String::as_str));
}

#[test]
fn direct_rules_of_one_priority_that_could_be_each_other_are_nobodys() {
    let rule = |source: u8, verdict: &str| {
        format!(
            "  <rule ipv=\"ipv4\" table=\"filter\" chain=\"INPUT\" priority=\"0\">-s 198.51.100.{source} -j \
             {verdict}</rule>\n"
        )
    };
    let direct = |verdict| {
        format!(
            "<direct>\n{}{}</direct>\n",
            rule(7, "DROP"),
            rule(8, verdict)
        )
    };
    let drill = drill("nftables")
        .file("etc/direct.xml", direct("ACCEPT"))
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: drop }");
    assert_lines(&drill.told(&[]), &["etc/direct.xml:2"]);
    let told = drill.file("etc/direct.xml", direct("DROP")).told(&[]);
    assert!(
        told[0].line.is_none() && told[0].all.contains("the order of direct rules"),
        "{}",
        told[0].all
    );
}

/// firewalld's nftables back end writes equal rules once.
#[rstest]
fn what_two_elements_make_is_nobodys(#[values("nftables", "iptables")] backend: &str) {
    let twice = PUBLIC.replace(
        "  <service name=\"http\"/>\n",
        "  <service name=\"http\"/><port port=\"80\" protocol=\"tcp\"/>\n",
    );
    let told = drill(backend)
        .file("etc/zones/public.xml", twice)
        .test("client -> firewall tcp/80: accept")
        .told(&[]);
    for Told {
        line, all, outcome, ..
    } in &told
    {
        assert_eq!((line, outcome.as_str()), (&None, "pass"), "{all}");
        let why = "each of etc/zones/public.xml:4, etc/zones/public.xml:4 makes it";
        assert!(
            all.contains(why) || all.contains("several rules like it"),
            "{all}"
        );
    }
}

#[test]
fn what_the_folder_leaves_out_is_as_firewalld_comes() {
    let told = Drill::new("firewalld: etc")
        .file("etc/zones/internal.xml", INTERNAL)
        .test("client -> firewall tcp/22: accept")
        .test("client -> firewall tcp/80: reject")
        .told(&[]);
    for case in &told {
        let line = case.line.as_deref().unwrap_or_default();
        assert!(
            line.starts_with("/usr/lib/firewalld/zones/public.xml:"),
            "{}",
            case.all
        );
        assert_eq!(case.outcome, "pass", "{}", case.all);
    }
}

#[test]
fn an_interface_is_bound_to_a_zone_by_the_scenario() {
    let told = Drill::new("firewalld: { folder: etc, zones: eth0=guests }")
        .file(
            "etc/zones/guests.xml",
            "<zone target=\"DROP\">\n  <service name=\"dns\"/>\n</zone>\n",
        )
        .test("client -> firewall udp/53: accept")
        .test("client -> firewall tcp/22: drop")
        .told(&[]);
    let guests = |line| format!("etc/zones/guests.xml:{line}");
    let lines = [2, 2, 1, 1].map(guests);
    assert_lines(&told, &lines.each_ref().map(String::as_str));
}

#[rstest]
#[case::not_well_formed(
    "zones/public.xml",
    "</zone>",
    "</zon>",
    "zones/public.xml:16: ",
    "mismatched tag"
)]
#[case::a_port(
    "zones/public.xml",
    "8000-8010",
    "99999",
    "zones/public.xml:6: ",
    "'99999' is too big"
)]
#[case::a_service(
    "zones/public.xml",
    "http",
    "htpt",
    "zones/public.xml:4: ",
    "'htpt' not among existing services"
)]
#[case::an_element(
    "zones/internal.xml",
    "interface name",
    "ínterface name",
    "zones/internal.xml:",
    "PARSE_ERROR"
)]
#[case::in_a_service(
    "services/wiki.xml",
    "8443",
    "x",
    "services/wiki.xml:2: ",
    "invalid port"
)]
#[case::a_zone_of_a_policy(
    "policies/in.xml",
    "name=\"internal\"",
    "name=\"nope\"",
    "policies/in.xml:3: ",
    "nope"
)]
#[case::a_direct_rule(
    "direct.xml",
    "--dport 71",
    "--dprt 71",
    "direct.xml:2: ",
    "unknown option \"--dprt\""
)]
fn a_mistake_is_shown_with_its_line(
    #[case] file: &str,
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] place: &str,
    #[case] said: &str,
) {
    let text = match file {
        "zones/public.xml" => PUBLIC,
        "zones/internal.xml" => INTERNAL,
        "services/wiki.xml" => WIKI,
        "policies/in.xml" => POLICY,
        _ => DIRECT,
    };
    let (code, error) = drill("nftables")
        .file(&format!("etc/{file}"), text.replacen(right, wrong, 1))
        .test("client -> firewall tcp/80: accept")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("firewalld refuses the candidate etc"),
        "{error}"
    );
    assert!(
        error.contains(&format!("\netc/{place}")) && error.contains(said),
        "{error}"
    );
}

#[test]
fn a_binding_that_firewalld_refuses_is_shown_with_its_line() {
    let (code, error) = Drill::new(
        "firewalld:\n    folder: etc\n    zones:\n      - eth0=public\n      - eth1=nope\n",
    )
    .file("etc/zones/internal.xml", INTERNAL)
    .test("client -> firewall tcp/80: accept")
    .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("lab.yaml:6: ") && error.contains("INVALID_ZONE: nope"),
        "{error}"
    );
}

#[rstest]
#[case::firewalld("/usr/sbin", "firewalld", "firewalld")]
#[case::the_bus("/usr/bin", "dbus-daemon", "dbus-daemon")]
fn a_missing_program_skips_the_scenario_and_names_its_package(
    #[case] folder: &str,
    #[case] program: &str,
    #[case] package: &str,
) {
    let (ended, report) = Drill::new(&format!("firewalld: etc\n  files: {{ {folder}: empty }}\n"))
        .file("etc/zones/internal.xml", INTERNAL)
        .file("empty/README", "nothing\n")
        .test("client -> firewall tcp/80: drop")
        .run(&[]);
    let error = report["scenarios"][0]["error"].as_str().expect("a reason");
    let said = [
        format!("`{program}`"),
        format!("apt-get install {package})"),
    ];
    assert!(said.iter().all(|said| error.contains(said)), "{error}");
    assert_eq!(ended.code, Some(3));
}

#[test]
fn what_firewalld_overlooks_is_shown() {
    let wrong = PUBLIC.replace("<drop/>", "<reject type=\"tcp-reset\"/>");
    let drill = drill("nftables")
        .file("etc/zones/public.xml", wrong)
        .test("client -> firewall tcp/80: accept");
    drill.run(&[]);
    let ended = drill.folder.firedrill(&["test", "lab.yaml"]);
    assert!(
        ended.stdout.contains("firewalld: INVALID_RULE: "),
        "{ended:?}"
    );
}

#[rstest]
#[case::deaf("trace-deaf")]
#[case::not_loaded("candidate-not-loaded")]
fn nothing_passes_blind(#[case] sense: &str) {
    let (ended, report) = drill("nftables")
        .test("client -> firewall tcp/23: drop")
        .test("client -> firewall tcp/25: reject")
        .run(&["--blind", sense]);
    assert_eq!(report["totals"]["pass"], 0, "{report}");
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

fn copy(from: &Path, folder: &Folder, name: &str) {
    for entry in fs::read_dir(from).expect("it is shipped").flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => copy(&entry.path(), folder, &name),
            false => {
                folder.write(&name, fs::read(entry.path()).expect("it is shipped"));
            }
        }
    }
}

/// The shipped gateway, whose SSH is open to everybody: somebody wanted to be quick.
#[test]
fn a_planted_fault_in_the_shipped_gateway_is_found_in_its_line() {
    let folder = Folder::new();
    copy(Path::new("scenarios/firewalld"), &folder, "fw");
    let public = "fw/etc-firewalld/zones/public.xml";
    let text = folder.read(public);
    let line = text
        .lines()
        .position(|line| line.contains("name=\"https\""))
        .expect("it has https")
        + 2;
    let wrong = text.replace(
        "  <service name=\"https\"/>\n",
        "  <service name=\"https\"/>\n  <service name=\"ssh\"/>\n",
    );
    folder.write(public, wrong);
    let ended = folder.firedrill(&["test", "fw/office.yaml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = format!("by        rule fw/etc-firewalld/zones/public.xml:{line} ");
    assert_eq!(ended.stdout.matches(&said).count(), 2, "{}", ended.stdout);
    assert_eq!(
        ended.stdout.matches("\nFAIL ").count(),
        2,
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("internet -> firewall tcp/22 [ipv6]"),
        "{}",
        ended.stdout
    );
}
