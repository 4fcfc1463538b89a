//! Shorewall.

use rstest::rstest;

use super::{common::Folder, copy, fails_by, failures, reasons, refusal, replace};

/// Where a line of the rules stands in [`lab`]: behind the section.
const RULES: &str = "?SECTION NEW\n";

/// Two zones and the gateway, with these rules, further files, and what is expected in IPv4.
fn lab(rules: &str, further: &[(&str, &str)], tests: &[&str]) -> Folder {
    let folder = Folder::new();
    let conf = include_str!("../../scenarios/shorewall/rulesets/shorewall/shorewall.conf");
    let files = [
        ("shorewall.conf", conf),
        ("zones", "fw firewall\nnet ipv4\nloc ipv4\ndmz ipv4\n"),
        ("interfaces", "?FORMAT 2\nnet eth0\nloc eth1\ndmz eth2\n"),
        (
            "policy",
            "$FW all ACCEPT\nnet all DROP\nloc all DROP\nall all REJECT\n",
        ),
        ("rules", &format!("{RULES}{rules}")),
    ];
    for (name, text) in files.iter().chain(further) {
        folder.write(&format!("fw/{name}"), text);
    }
    let tests: String = tests.iter().map(|test| format!("  - {test}\n")).collect();
    folder.write(
        "lab.yaml",
        format!(
            "firewall:\n  shorewall: fw\n  interfaces:\n    eth0: 192.0.2.1/24\n    \
             eth1: 10.0.0.1/24\n    eth2: 10.0.1.1/24\n\
             hosts:\n  client: {{ behind: eth0, address: 192.0.2.7 }}\n  \
             pc: {{ behind: eth1, address: 10.0.0.7 }}\n  \
             server: {{ behind: eth2, address: 10.0.1.7 }}\n\
             tests:\n{tests}"
        ),
    );
    folder
}

/// The place of each decider is known by construction.
#[rstest]
#[case::a_rule("\n# one\nACCEPT net dmz tcp 22\n", &[], "accept", "fw/rules:4")]
#[case::a_macro("SSH(ACCEPT) net dmz\n", &[], "accept", "fw/rules:2")]
#[case::behind_other_macros("DNS(ACCEPT) net dmz\nPing(ACCEPT) net dmz\nSSH(ACCEPT) net dmz\n", &[], "accept", "fw/rules:4")]
#[case::a_rule_on_two_lines("ACCEPT net dmz \\\n  tcp 22\n", &[], "accept", "fw/rules:2")]
#[case::an_included_file("INCLUDE more\nACCEPT net dmz udp 53\n", &[("more", "# ours\nACCEPT net dmz tcp 22\n")], "accept", "fw/more:2")]
#[case::behind_an_included_file("INCLUDE more\nSSH(ACCEPT) net dmz\n", &[("more", "ACCEPT net dmz udp 53\n")], "accept", "fw/rules:3")]
#[case::a_macro_of_one_s_own("Ours(ACCEPT) net dmz\n", &[("macro.Ours", "# ours\nPARAM - - tcp 22\n")], "accept", "fw/macro.Ours:2")]
#[case::a_condition("?IF 0\nDROP net dmz\n?ELSE\nACCEPT net dmz tcp 22\n?ENDIF\n", &[], "accept", "fw/rules:5")]
#[case::the_policy("ACCEPT net dmz udp 53\n", &[], "drop", "fw/policy:2")]
fn the_line_of_the_decider_is_the_one_that_was_written(
    #[case] rules: &str,
    #[case] further: &[(&str, &str)],
    #[case] verdict: &str,
    #[case] place: &str,
) {
    let right = format!(
        "{{ name: right, from: client, to: server, service: tcp/22, \
         expect: {{ {verdict}: {{ by: \"{place}\" }} }} }}"
    );
    // Another line of the same file is not it.
    let wrong = right.replace(place, &format!("{place}0"));
    let wrong = wrong.replace("right", "wrong");
    let report = lab(rules, further, &[&right, &wrong]).report(&[]);
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{report:#?}");
    assert!(
        failed[0].1 == "fail" && failed[0].2.contains(place),
        "{failed:#?}"
    );
}

/// Whatever keeps the lines from being known, they are not guessed.
#[rstest]
#[case::shorewall_s_own_chain("", &[("policy", "all all REJECT\n")], "reject", "shorewall does not say")]
#[case::a_line_that_is_only_near("", &[("policy", "net dmz ACCEPT\nall all DROP\n")], "accept", "names the line of its interface")]
#[case::chains_that_are_alike("", &[("policy", "loc all DROP\nnet all DROP\nall all DROP\n"), ("rules", "?SECTION NEW\nACCEPT net dmz udp 53\nACCEPT loc dmz udp 53\n")], "drop", "several alike")]
#[case::several_lines_that_are_one_rule("ACCEPT net dmz tcp 21\nACCEPT net dmz tcp 22\n", &[], "accept", "several lines make it: fw/rules:2, fw/rules:3")]
#[case::comments_in_the_rules("ACCEPT net dmz tcp 22\n", &[("shorewall.conf", concat!(include_str!("../../scenarios/shorewall/rulesets/shorewall/shorewall.conf"), "TRACK_RULES=Yes\n"))], "accept", "shorewall does not say")]
#[case::the_compiled_text_is_gone("ACCEPT net dmz tcp 22\n", &[("started", "rm /var/lib/shorewall/.iptables-restore-input\n")], "accept", "did not say what it made")]
#[case::another_program_adds_rules("ACCEPT net dmz tcp 22\n", &[("started", "iptables -I FORWARD -p udp -j DROP\n")], "accept", "order")]
fn what_is_not_certain_is_inconclusive(
    #[case] rules: &str,
    #[case] further: &[(&str, &str)],
    #[case] verdict: &str,
    #[case] why: &str,
) {
    let test = format!("client -> server tcp/22: {{ {verdict}: {{ by: \"fw/rules:2\" }} }}");
    let report = lab(rules, further, &[&test]).report(&[]);
    assert_eq!(report.code, Some(3), "{report:#?}");
    for reason in reasons(&report) {
        assert!(reason.contains(why), "no {why:?} in: {reason}");
    }
}

/// Its rules are there once, for whoever calls it.
#[test]
fn the_rules_of_an_action_are_no_line_of_their_callers() {
    let test = "{ from: client, to: server, packet: { tcp: { dport: 22, flags: [fin, ack] } }, \
                expect: { accept: { by: \"fw/rules:2\" } } }";
    let report = lab("FIN(ACCEPT) net dmz\n", &[], &[test]).report(&[]);
    assert_eq!(report.code, Some(3), "{report:#?}");
    let reason = &reasons(&report)[0];
    assert!(reason.contains("action.FIN"), "{reason}");
    assert!(
        reason.contains("which is no file of the candidate"),
        "{reason}"
    );
}

#[rstest]
#[case::a_zone(
    "rules",
    "ACCEPT net nowhere tcp 22",
    "Unknown destination zone (nowhere)"
)]
#[case::a_port(
    "rules",
    "ACCEPT net dmz tcp nosuchport",
    "Invalid/Unknown tcp port/service (nosuchport)"
)]
#[case::an_action("rules", "ACEPT net dmz", "Unknown ACTION (ACEPT)")]
#[case::a_policy("policy", "net all DORP", "Invalid policy (DORP)")]
fn what_is_wrong_is_told_for_the_user_s_line(
    #[case] file: &str,
    #[case] line: &str,
    #[case] message: &str,
) {
    let text = format!("# first\n{line}\n");
    let folder = lab("", &[(file, &text)], &["client -> server tcp/22: drop"]);
    let said = format!("fw/{file}:2: {message}\n  {line}");
    let error = refusal(&folder);
    assert!(error.contains(&said), "no {said:?} in:\n{error}");
}

/// The comments that are asked for, and the module beside the compiler, change no rule.
#[test]
fn the_rules_are_those_of_a_shorewall_that_nobody_watches() {
    let folder = copy("shorewall");
    folder.write(
        "start.sh",
        "#!/bin/sh\nset -e\nshorewall start\nshorewall6 start\n",
    );
    replace(
        &folder,
        "office.yaml",
        "  shorewall: { v4: rulesets/shorewall, v6: rulesets/shorewall6 }\n",
        "  script: start.sh\n  files:\n    /etc/shorewall: rulesets/shorewall\n    \
         /etc/shorewall6: rulesets/shorewall6\n    \
         /var/lib/shorewall/keep: start.sh\n    /var/lib/shorewall6/keep: start.sh\n",
    );
    let rules = |folder: &Folder| {
        let listed = ["shell", "office.yaml", "--", "nft", "-s", "list", "ruleset"];
        let listing = folder.firedrill(&listed).stdout;
        assert!(listing.contains("chain net-fw"), "{listing}");
        // Empty chains, named by a digest of the compiled script.
        let lines = listing.lines().filter(|line| !line.contains("chain sha-"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rules(&folder), rules(&copy("shorewall")));
}

#[test]
fn one_planted_fault_of_the_office_is_found_with_its_line() {
    let folder = copy("shorewall");
    // Without the original destination, whatever passes the gateway is sent to the web server.
    let rule = "Web(DNAT)\tnet\t\tdmz:$WEB";
    let file = "rulesets/shorewall/rules";
    replace(&folder, file, &format!("{rule}\t-\t-\t-\t$PUBLIC"), rule);
    let report = folder.report(&[]);
    let failed = failures(&report);
    let names: Vec<&str> = failed.iter().map(|(name, ..)| &**name).collect();
    assert_eq!(names, ["office :: internet -> lan-pc tcp/443 [ipv4]"]);
    assert_eq!(fails_by(&folder), [(file.to_owned(), 18)]);
}
