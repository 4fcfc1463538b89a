//! Scenarios that cannot be meant: refused with the place and a remedy.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use rstest::rstest;

use super::{
    common::{Folder, Lab, end, firedrill},
    is_refused,
};

/// A good scenario, to be spoiled.
fn good() -> String {
    Lab::new("")
        .test("client -> firewall tcp/80: accept")
        .yaml()
}

/// Takes the mark out of a text; its place is where the error must be.
fn unmark(text: &str) -> (String, String) {
    let (before, _) = text.split_once('§').expect("a mark");
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (
        text.replacen('§', "", 1),
        format!("lab.yaml:{line}:{column}\n"),
    )
}

/// A part of the good scenario, what stands there instead with a mark where it is wrong, and what the
/// error says.
#[rstest]
#[case::unknown_key("hosts:", "§hsts:", &["unknown key `hsts`", "did you mean `hosts`?"])]
#[case::unknown_key_of_the_firewall("  nftables:", "  §nftable:", &["did you mean `nftables`?"])]
#[case::unknown_host("- client", "- §clinet", &["unknown host `clinet`", "did you mean `client`?"])]
#[case::unknown_protocol("tcp/80", "§tpc/80", &["unknown protocol", "did you mean `tcp`?"])]
#[case::service_that_is_none("tcp/80", "tcp/§htp", &["tcp has no service `htp`", "`http`"])]
#[case::port_that_is_none("tcp/80", "tcp/§65536", &["65535"])]
#[case::unknown_outcome(": accept", ": §acept", &["unknown outcome `acept`", "did you mean `accept`?"])]
#[case::outcome_of_another_tool(": accept", ": §deny", &["did you mean `drop`?"])]
#[case::unknown_reject(": accept", ": reject §tcp-rst", &["did you mean `tcp-reset`?"])]
#[case::unknown_interface("behind: eth1", "behind: §eth2", &["unknown interface `eth2`"])]
#[case::beyond_its_side("10.0.0.5,", "§192.0.2.5,", &["is inside eth0's 192.0.2.0/24, but server is behind eth1"])]
#[case::out_of_reach("eth1: [10.0.0.1/24, \"fd00:1::1/64\"]", "eth1: 10.0.0.1/24", &["eth1 has no IPv6 address"])]
#[case::own_address("198.51.100.7", "§192.0.2.1", &["is the firewall's own address"])]
#[case::network_address("10.0.0.5,", "§10.0.0.0,", &["is the network address of 10.0.0.0/24"])]
#[case::no_address("198.51.100.7", "§198.51.100", &["198.51.100"])]
#[case::overlapping_networks("10.0.0.1/24", "§192.0.2.129/25", &["`eth1` and `eth0` overlap"])]
#[case::without_a_length("10.0.0.1/24", "§10.0.0.1", &["for example `10.0.0.1/24`"])]
#[case::missing_candidate("nftables: candidate.nft", "nftables: §nope.nft", &["the ruleset `nope.nft` does not exist", "looked for"])]
#[case::a_folder_as_candidate("nftables: candidate.nft", "nftables: §.", &["is a folder, not a file"])]
#[case::missing_part("firewall:", "include: §nope.yaml\nfirewall:", &["the shared part `nope.yaml` does not exist"])]
#[case::a_test_of_nothing("- client -> firewall tcp/80", "- client -> §firewall", &["FROM -> TO SERVICE"])]
#[case::ends_on_one_side("- client -> firewall", "- server -> §server", &["server"])]
fn what_cannot_be_meant_is_refused_at_its_place(
    #[values("check", "test")] command: &str,
    #[case] part: &str,
    #[case] instead: &str,
    #[case] said: &[&str],
) {
    let spoiled = good().replacen(part, instead, 1);
    assert_ne!(spoiled, good(), "the part is there");
    let folder = Folder::new();
    folder.write("candidate.nft", "");
    let mut said = said.to_vec();
    let (text, place) = if spoiled.contains('§') {
        unmark(&spoiled)
    } else {
        // Wrong as a whole: some place is enough.
        (spoiled, "lab.yaml:".to_owned())
    };
    said.push(&place);
    folder.write("lab.yaml", text);
    is_refused(&folder.firedrill(&[command, "lab.yaml"]), &said);
}

#[rstest]
#[case::unclosed("tests: [\n", "lab.yaml:")]
#[case::a_tab("firewall:\n\tnftables: x\n", "lab.yaml:2:")]
#[case::a_list("- firewall\n", "lab.yaml:1:1")]
#[case::nothing("", "lab.yaml")]
#[case::two_of_one_key("tags: [a]\ntags: [b]\n", "lab.yaml:2:1")]
#[case::two_documents("tags: [a]\n---\ntags: [b]\n", "lab.yaml:")]
#[case::no_text("\u{0}", "lab.yaml:1:1")]
fn what_is_no_yaml_map_is_refused(#[case] text: &str, #[case] place: &str) {
    let folder = Folder::new();
    folder.write("lab.yaml", text);
    is_refused(
        &folder.firedrill(&["test", "lab.yaml"]),
        &[place, "error: "],
    );
}

#[test]
fn text_in_another_encoding_is_refused() {
    let folder = Folder::new();
    folder.write("lab.yaml", b"tags: [a]\nname: caf\xe9\n");
    is_refused(
        &folder.firedrill(&["test", "lab.yaml"]),
        &["line 2, column 10", "UTF-8"],
    );
}

#[test]
fn the_problems_of_all_files_are_told_at_once() {
    let folder = Folder::new();
    folder.write("candidate.nft", "");
    folder.write(
        "one.yaml",
        good()
            .replace("- client", "- nobody")
            .replace("accept", "deny"),
    );
    folder.write("two.yaml", good().replace("tcp/80", "tcp/99999"));
    folder.write("good.yaml", good());
    let said = ["one.yaml:", "`nobody`", "`deny`", "two.yaml:", "99999"];
    is_refused(&folder.firedrill(&["test", "."]), &said);
}

#[rstest]
#[case::no_such_file("nope.yaml", "`nope.yaml` does not exist")]
#[case::no_such_folder("nope/deeper", "`nope/deeper` does not exist")]
#[case::an_empty_folder("empty", "there is no scenario in `empty`")]
#[case::a_shared_part("_part.yaml", "is a shared part, not a scenario")]
fn a_path_that_leads_to_no_scenario_is_refused(
    #[values("check", "test", "shell")] command: &str,
    #[case] path: &str,
    #[case] said: &str,
) {
    let folder = Folder::new();
    folder.write("_part.yaml", "tags: [part]\n");
    fs::create_dir(folder.path().join("empty")).expect("the folder is writable");
    is_refused(&folder.firedrill(&[command, path]), &[said]);
}

#[test]
fn a_good_path_does_not_excuse_a_bad_one() {
    let folder = Folder::new();
    folder.write("candidate.nft", "table inet t {\n}\n");
    folder.write("lab.yaml", good());
    is_refused(
        &folder.firedrill(&["test", "lab.yaml", "nope.yaml"]),
        &["`nope.yaml` does not exist"],
    );
}

#[rstest]
#[case::scenario("lab.yaml", "permission denied")]
#[case::candidate("candidate.nft", "permission denied")]
#[case::part("_part.yaml", "permission denied")]
#[case::folder("closed", "permission denied")]
fn what_may_not_be_read_is_refused(#[case] name: &str, #[case] said: &str) {
    let folder = Folder::new();
    folder.write("candidate.nft", "table inet t {\n}\n");
    folder.write("_part.yaml", "tags: [part]\n");
    folder.write("lab.yaml", format!("include: _part.yaml\n{}", good()));
    folder.write("closed/other.yaml", good());
    let path = folder.path().join(name);
    let mode = |mode| {
        let closed = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        closed.expect("the folder is ours");
    };
    mode(0);
    let may_read_everything = fs::read(&path).is_ok() || fs::read_dir(&path).is_ok();
    let mut command = if may_read_everything {
        // Root without its privilege.
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search");
        command.arg(firedrill().get_program());
        if Command::new("setpriv").arg("--version").output().is_err() {
            eprintln!("SKIPPED: nothing is unreadable for root, and there is no `setpriv`");
            return;
        }
        command
    } else {
        firedrill()
    };
    command.current_dir(folder.path()).args(["test", "."]);
    let ended = end(command);
    // So that the folder can be removed.
    mode(0o700);
    is_refused(&ended, &[name, said]);
}
