//! ferm.

use rstest::rstest;

use super::{common::Folder, copy, fails_by, failures, reasons, refusal, replace};

/// A configuration with this line among its rules for input, and what is expected of tcp/22 in IPv4.
fn lab(functions: &str, line: &str, expect: &str) -> Folder {
    let folder = Folder::new();
    folder.write("lib/functions.ferm", functions);
    folder.write(
        "ferm.conf",
        format!(
            "@include 'lib/functions.ferm';\n\
             domain (ip ip6) table filter {{\n\
             chain INPUT {{\n\
             {line}\n\
             }}\n\
             chain OUTPUT policy ACCEPT;\n\
             }}\n"
        ),
    );
    folder.write(
        "lab.yaml",
        format!(
            "firewall:\n  ferm: ferm.conf\n  interfaces:\n    eth0: [192.0.2.1/24, \"2001:db8:1::1/64\"]\n\
             hosts:\n  client: {{ behind: eth0, address: [192.0.2.7, \"2001:db8:1::7\"] }}\n\
             tests:\n  - client -> firewall tcp/22: {expect}\n"
        ),
    );
    folder
}

/// The place of each decider is known by construction.
#[rstest]
#[case::a_rule(
    "",
    "policy DROP;\nproto tcp dport 22 ACCEPT;",
    "accept",
    "ferm.conf:5"
)]
#[case::behind_a_comment(
    "",
    "# policy DROP;\n\n  proto tcp dport 22 DROP;",
    "drop",
    "ferm.conf:6"
)]
#[case::of_several_on_a_line(
    "",
    "proto tcp { dport 23 ACCEPT; dport 22 DROP; }",
    "drop",
    "ferm.conf:4"
)]
#[case::an_array("", "proto tcp dport (\n21\n22\n23\n) DROP;", "drop", "ferm.conf:8")]
#[case::a_function_of_another_file(
    "# one\n@def &f($port) = {\n  proto udp dport $port ACCEPT;\n  proto tcp dport $port DROP;\n}\n",
    "&f(22);\nACCEPT;",
    "drop",
    "functions.ferm:4"
)]
#[case::behind_a_function_of_another_file(
    "@def &f() = {\n  proto udp ACCEPT;\n  proto icmp ACCEPT;\n}\n",
    "&f();\nproto tcp dport 22 DROP;",
    "drop",
    "ferm.conf:5"
)]
#[case::a_function_in_a_function(
    "@def &g($p) = {\n  dport $p DROP;\n}\n@def &f($p) = {\n  proto tcp {\n    &g($p);\n    ACCEPT;\n  }\n}\n",
    "&f(22);",
    "drop",
    "functions.ferm:2"
)]
#[case::a_condition(
    "",
    "@if 0 proto tcp ACCEPT; @else\nproto tcp DROP;",
    "drop",
    "ferm.conf:5"
)]
#[case::a_chain_below(
    "",
    "proto tcp @subchain \"x\" {\n  dport 22 DROP;\n}",
    "drop",
    "ferm.conf:5"
)]
#[case::a_policy("", "proto udp ACCEPT;\n\npolicy DROP;", "drop", "ferm.conf:6")]
#[case::a_policy_of_a_function(
    "@def &f() = {\n  policy DROP;\n}\n",
    "&f();\nproto udp ACCEPT;",
    "drop",
    "functions.ferm:2"
)]
fn the_line_of_the_decider_is_the_one_that_was_written(
    #[case] functions: &str,
    #[case] line: &str,
    #[case] verdict: &str,
    #[case] place: &str,
) {
    let expect = format!("{{ {verdict}: {{ by: \"{place}\" }} }}");
    let report = lab(functions, line, &expect).report(&[]);
    assert_eq!(failures(&report), [], "{report:#?}");
    assert_eq!(report.cases().len(), 2);
    // Another line of the same file is not it.
    let other = expect.replace(place, &format!("{}0", place));
    let report = lab(functions, line, &other).report(&[]);
    for reason in reasons(&report) {
        assert!(reason.contains(place), "{reason}");
    }
    assert_eq!(report.code, Some(1), "{report:#?}");
}

/// Whatever keeps the lines from being known, they are not guessed.
#[rstest]
#[case::two_statements_set_the_policy(
    "",
    "policy DROP;\npolicy DROP;",
    "ferm does not say which line"
)]
#[case::the_copy_is_gone(
    "@hook post 'rm /run/ferm-lines/*';\n",
    "policy DROP;",
    "ferm did not say what it made"
)]
#[case::the_copy_is_a_pipe(
    "@hook post 'rm /run/ferm-lines/*; mkfifo /run/ferm-lines/ip /run/ferm-lines/ip6';\n",
    "policy DROP;",
    "ferm did not say what it made"
)]
#[case::the_copy_leads_elsewhere(
    "@hook post 'for f in ip ip6; do cd /run/ferm-lines; mv $f x$f; ln -s x$f $f; done';\n",
    "policy DROP;",
    "ferm did not say what it made"
)]
#[case::another_program_adds_rules(
    "@hook post 'for v in ip ip6; do ${v}tables-legacy -A INPUT -p udp -j DROP; done';\n",
    "proto tcp DROP;",
    "are listed"
)]
#[case::it_comes_from_a_command(
    "",
    "@include 'echo \"proto tcp DROP;\" |';",
    "which is no file of the candidate"
)]
fn what_is_not_certain_is_inconclusive(
    #[case] functions: &str,
    #[case] line: &str,
    #[case] why: &str,
) {
    let report = lab(functions, line, "{ drop: { by: \"ferm.conf:4\" } }").report(&[]);
    assert_eq!(report.code, Some(3), "{report:#?}");
    for (_, outcome, reason) in failures(&report) {
        assert_eq!(outcome, "inconclusive");
        assert!(reason.contains(why), "no {why:?} in: {reason}");
    }
}

#[rstest]
#[case::syntax("proto tcp dprt 22 ACCEPT;", &["ferm.conf:4: Unrecognized keyword: dprt\n", "  proto tcp dprt 22 ACCEPT;"])]
#[case::no_such_include("@include 'nope.ferm';", &["ferm.conf:4: '/etc/ferm/nope.ferm' is not a file"])]
#[case::refused_by_iptables(
    "policy DROP;\nproto tcp dport nosuchport ACCEPT;",
    &["ferm.conf:5: ", "invalid port/service `nosuchport'", "--dport nosuchport"]
)]
fn what_is_wrong_is_told_for_the_user_s_line(#[case] line: &str, #[case] said: &[&str]) {
    let error = refusal(&lab("", line, "accept"));
    for part in said {
        assert!(error.contains(part), "no {part:?} in:\n{error}");
    }
}

#[test]
fn a_mistake_in_a_function_of_another_file_is_told_for_that_file() {
    let functions = "@def &f() = {\n  proto tcp dprt 1 DROP;\n}\n";
    let error = refusal(&lab(functions, "&f();", "accept"));
    let said = "lib/functions.ferm:2: Unrecognized keyword: dprt\n  proto tcp dprt 1 DROP;";
    assert!(error.contains(said), "{error}");
}

#[test]
fn one_planted_fault_of_the_shop_is_found_with_its_line() {
    let folder = copy("ferm");
    // A network that is one bit too large.
    replace(
        &folder,
        "rulesets/functions.ferm",
        "203.0.113.0/24",
        "128.0.0.0/1",
    );
    let failed = failures(&folder.report(&[]));
    let names: Vec<&str> = failed.iter().map(|(name, ..)| &**name).collect();
    assert_eq!(names, ["web-shop :: customer -> firewall tcp/22 [ipv4]"]);
    assert_eq!(
        fails_by(&folder),
        [("rulesets/functions.ferm".to_owned(), 8)]
    );
}
