//! ufw, by its files and by its commands.

use rstest::rstest;

use super::{Drill, assert_lines, common::Folder};

/// A file of the user's rules, as ufw writes it; its rules begin in line 5.
fn user_rules(six: &str, rules: &[&str]) -> String {
    let declared =
        ["input", "output", "forward"].map(|hook| format!(":ufw{six}-user-{hook} - [0:0]\n"));
    let rules = rules.concat();
    format!("*filter\n{}{rules}\nCOMMIT\n", declared.concat())
}

fn by_files(rules: &[&str], rules6: &[&str]) -> Drill {
    Drill::new("ufw: etc")
        .file("etc/user.rules", user_rules("", rules))
        .file("etc/user6.rules", user_rules("6", rules6))
}

#[test]
fn the_line_of_every_file_is_found() {
    let before = "*filter\n:ufw-before-input - [0:0]\n:ufw-before-output - [0:0]\n\
        :ufw-before-forward - [0:0]\n\n# a rule of one's own\n\
        -A ufw-before-input -p tcp --dport 81 -j ACCEPT\nCOMMIT\n";
    let after = "*filter\n:ufw-after-input - [0:0]\n\
        -A ufw-after-input -p tcp --dport 82 -j DROP\nCOMMIT\n";
    let default = "IPV6=yes\nDEFAULT_INPUT_POLICY=\"REJECT\"\nDEFAULT_OUTPUT_POLICY=ACCEPT\n\
        DEFAULT_FORWARD_POLICY='DROP'\nMANAGE_BUILTINS=no\n";
    let told = by_files(
        &["-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n"],
        &["\n-A ufw6-user-input -p tcp --dport 80 -j DROP\n"],
    )
    .file("etc/before.rules", before)
    .file("etc/after.rules", after)
    .file("etc/default/ufw", default)
    .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }")
    .test("{ from: client, to: firewall, service: tcp/80, family: ipv6, expect: drop }")
    .test("{ from: client, to: firewall, service: tcp/81, family: ipv4, expect: accept }")
    .test("{ from: client, to: firewall, service: tcp/82, family: ipv4, expect: drop }")
    .test("{ from: client, to: firewall, service: tcp/83, family: ipv4, expect: reject }")
    .test("client -> server tcp/83: drop")
    .test("{ from: firewall, to: server, service: tcp/84, family: ipv4, expect: accept }")
    .told(&[]);
    let lines = [
        "etc/user.rules:5",
        "etc/user6.rules:6",
        "etc/before.rules:7",
        "etc/after.rules:3",
        "etc/default/ufw:2",
        "etc/default/ufw:4",
        "etc/default/ufw:4",
        "etc/default/ufw:3",
    ];
    assert_lines(&told, &lines);
}

#[test]
fn what_the_folder_leaves_out_is_as_ufw_comes() {
    let told = by_files(&[], &[])
        .test("client -> firewall tcp/80: drop")
        .test("client -> firewall icmp/echo-request: accept")
        .told(&[]);
    assert_eq!(
        told[0].line.as_deref(),
        Some("(ufw)/etc/default/ufw:3"),
        "{}",
        told[0].all
    );
    let line = told[2].line.as_deref().unwrap_or_default();
    assert!(
        line.starts_with("/usr/share/ufw/iptables/before.rules:"),
        "{}",
        told[2].all
    );
}

#[test]
fn a_configuration_without_ipv6_drops_it() {
    let told = by_files(&["-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n"], &[])
        .file(
            "etc/default/ufw",
            "IPV6=no\nDEFAULT_INPUT_POLICY=DROP\nDEFAULT_OUTPUT_POLICY=ACCEPT\nDEFAULT_FORWARD_POLICY=DROP\n",
        )
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }")
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv6, expect: drop }")
        .told(&[]);
    assert_lines(&told, &["etc/user.rules:5", "etc/default/ufw:1"]);
}

#[test]
fn a_rule_is_known_by_the_command_that_made_it() {
    let told = Drill::new(
        "ufw:\n    commands:\n      - default reject incoming\n      - allow 80/tcp\n      - deny 80/tcp\n      \
         - sudo ufw allow from 198.51.100.7 to any port 81 proto tcp comment 'it''s'\n      \
         - insert 1 allow 82/tcp\n      - deny 83/tcp\n      - delete deny 83/tcp\n      - default deny incoming\n",
    )
    .test("client -> firewall tcp/80: drop")
    .test("{ from: client, to: firewall, service: tcp/81, family: ipv4, expect: accept }")
    .test("client -> firewall tcp/82: accept")
    .test("client -> firewall tcp/83: drop")
    .told(&[]);
    let at = |line: usize| format!("lab.yaml:{line}");
    let lines = [6, 6, 7, 8, 8, 11, 11].map(at);
    assert_lines(&told, &lines.each_ref().map(String::as_str));
}

#[rstest]
#[case::files("folder: etc", "etc/user.rules:5")]
#[case::commands("commands: allow 80/tcp", "lab.yaml:2")]
fn either_back_end_of_iptables_is_understood(
    #[case] config: &str,
    #[case] line: &str,
    #[values("nft", "legacy")] backend: &str,
) {
    let told = Drill::new(&format!("ufw: {{ {config}, backend: {backend} }}"))
        .file(
            "etc/user.rules",
            user_rules("", &["-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n"]),
        )
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }")
        .test("{ from: client, to: firewall, service: tcp/81, family: ipv4, expect: drop }")
        .told(&[]);
    assert_lines(&told, &[line, "(ufw)/etc/default/ufw:3"]);
    let legacy = told[0].all.contains("legacy ip");
    assert_eq!(legacy, backend == "legacy", "{}", told[0].all);
}

#[test]
fn commands_add_to_a_folder_and_its_rules_keep_their_lines() {
    let rules = "### RULES ###\n\n### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n\
        -A ufw-user-input -p tcp --dport 80 -j ACCEPT\n\n### END RULES ###\n";
    let told = Drill::new("ufw: { folder: etc, commands: allow 81/tcp }")
        .file("etc/user.rules", user_rules("", &[rules]))
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }")
        .test("client -> firewall tcp/81: accept")
        .told(&[]);
    assert_lines(&told, &["etc/user.rules:8", "lab.yaml:2", "lab.yaml:2"]);
}

/// It could have put another rule in the place of ours.
#[test]
fn a_script_beside_the_rules_makes_every_line_unknown() {
    let script =
        "#!/bin/sh\niptables -R ufw-user-input 1 -p tcp --dport 80 -s 198.51.100.0/24 -j ACCEPT\n";
    let drill = by_files(&["-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n"], &[])
        .file("etc/after.init", script)
        .test("{ from: client, to: firewall, service: tcp/80, family: ipv4, expect: accept }");
    assert_lines(&drill.told(&[]), &["etc/user.rules:5"]);
    let path = drill.folder.path().join("etc/after.init");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, executable).expect("our file");
    let told = drill.told(&[]);
    assert!(told[0].all.contains("198.51.100.0/24"), "{}", told[0].all);
    assert!(
        told[0].line.is_none() && told[0].all.contains("after.init is run too"),
        "{}",
        told[0].all
    );
}

#[rstest]
#[case::in_before("etc/before.rules", "before.rules:3: ", "--dprt")]
#[case::in_after6("etc/after6.rules", "after6.rules:3: ", "--dprt")]
fn a_mistake_in_a_file_is_shown_with_its_line(
    #[case] file: &str,
    #[case] place: &str,
    #[case] said: &str,
) {
    let (code, error) = by_files(&[], &[])
        .file(
            file,
            "*filter\n:x - [0:0]\n-A x -p tcp --dprt 80 -j ACCEPT\nCOMMIT\n",
        )
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains(place) && error.contains(said), "{error}");
}

#[test]
fn mistakes_in_several_files_are_all_shown() {
    let (_, error) = by_files(
        &["-A ufw-user-input --dprt 80\n"],
        &["-A nowhere -j DROP\n"],
    )
    .test("client -> firewall tcp/80: drop")
    .error(&[]);
    for place in ["etc/user.rules:5: ", "etc/user6.rules:5: "] {
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn a_command_that_ufw_refuses_is_shown_with_its_line() {
    let (code, error) =
        Drill::new("ufw:\n    commands:\n      - allow 80/tcp\n      - allow fro 1.2.3.4\n")
            .test("client -> firewall tcp/80: drop")
            .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    let said = "lab.yaml:5: ERROR: Need 'to' or 'from' clause\n  ufw allow fro 1.2.3.4";
    assert!(
        error.contains("ufw refuses") && error.contains(said),
        "{error}"
    );
}

#[rstest]
#[case::files("ufw: etc")]
#[case::commands("ufw: { commands: allow 80/tcp }")]
fn a_missing_ufw_skips_the_scenario_and_names_its_package(#[case] firewall: &str) {
    let (ended, report) = Drill::new(&format!("{firewall}\n  files: {{ /lib/ufw: empty }}\n"))
        .file("etc/ufw.conf", "ENABLED=yes\n")
        .file("empty/README", "nothing\n")
        .test("client -> firewall tcp/80: drop")
        .run(&[]);
    let error = report["scenarios"][0]["error"].as_str().expect("a reason");
    assert!(error.contains("apt-get install ufw"), "{error}");
    assert_eq!(ended.code, Some(3));
}

#[rstest]
#[case::files("etc")]
#[case::commands("{ commands: default deny }")]
fn nothing_passes_blind(
    #[case] config: &str,
    #[values("trace-deaf", "candidate-not-loaded")] sense: &str,
) {
    let (ended, report) = Drill::new(&format!("ufw: {config}"))
        .file("etc/ufw.conf", "ENABLED=yes\n")
        .test("client -> firewall tcp/80: drop")
        .run(&["--blind", sense]);
    assert_eq!(report["totals"]["pass"], 0, "{report}");
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

/// The shipped server, with mail denied before the relay is allowed.
#[test]
fn a_planted_fault_in_the_shipped_server_is_found_in_its_line() {
    let folder = Folder::new();
    for file in ["_machine.yaml", "web-server.yaml"] {
        folder.write(
            file,
            std::fs::read(format!("scenarios/ufw/{file}")).expect("it is shipped"),
        );
    }
    let etc = "etc-ufw";
    for file in [
        "ufw.conf",
        "default/ufw",
        "applications.d/intranet",
        "user6.rules",
        "user.rules",
    ] {
        let path = format!("{etc}/{file}");
        let text = std::fs::read_to_string(format!("scenarios/ufw/{path}")).expect("it is shipped");
        let lines: Vec<&str> = text.lines().collect();
        let (allow, deny) = (
            "-A ufw-user-output -o eth1 -p tcp --dport 25 -j ACCEPT",
            "-A ufw-user-output -p tcp --dport 25 -j DROP",
        );
        let swapped: Vec<&str> = lines
            .iter()
            .map(|line| match *line {
                line if line == allow => deny,
                line if line == deny => allow,
                line => line,
            })
            .collect();
        folder.write(&path, swapped.join("\n") + "\n");
    }
    let wrong = folder.read("etc-ufw/user.rules");
    let line = wrong
        .lines()
        .position(|line| line == "-A ufw-user-output -p tcp --dport 25 -j DROP");
    let line = line.expect("the fault is planted") + 1;
    let report = folder.firedrill(&["test", "web-server.yaml"]);
    assert_eq!(report.code, Some(1), "{report:?}");
    let said = format!("by        rule etc-ufw/user.rules:{line} ");
    assert!(report.stdout.contains(&said), "{}", report.stdout);
    assert_eq!(
        report.stdout.matches("\nFAIL ").count(),
        1,
        "{}",
        report.stdout
    );
    assert!(
        report.stdout.contains("firewall -> relay tcp/25 [ipv4]"),
        "{}",
        report.stdout
    );
}
