//! `include:`: shared parts.

use insta::assert_snapshot;

use super::{Folder, sent};

const TOPOLOGY: &str = "\
name: not inherited
tags: shared
firewall:
  nftables: web.nft
  interfaces:
    eth0: 192.0.2.10/24
    eth1: 10.0.0.1/24
  forwarding: false
  routes: default via 192.0.2.1
hosts:
  internet: { behind: eth0, address: 198.51.100.7 }
  db: { behind: eth1, address: 10.0.0.5 }
tests:
  - internet -> db any: drop
";

#[test]
fn a_scenario_takes_in_a_shared_topology() {
    let folder = Folder::new();
    folder.write("parts/web.nft", "");
    folder.write("parts/_topology.yaml", TOPOLOGY);
    let file = folder.write(
        "app/web.yaml",
        "include: ../parts/_topology.yaml\ntags: [web]\ntests:\n  - internet -> firewall tcp/80: accept\n",
    );
    let scenario = folder.good(&file);
    assert_eq!(scenario.name, "web");
    assert_eq!(scenario.tags, ["shared", "web"]);
    assert_eq!(scenario.cases.len(), 8);
    assert_eq!(
        scenario.cases[0].name,
        "web :: internet -> db any (tcp/22) [ipv4]"
    );
    let part = folder.path("parts/_topology.yaml");
    assert_eq!(
        scenario.cases[0].at.to_string(),
        format!("{}:14:5", part.display())
    );
    assert_eq!(scenario.cases[7].at.file, file);
    let ruleset = scenario.firewall.candidate.main();
    assert_eq!(ruleset, folder.path("parts/web.nft"));
}

#[test]
fn what_the_including_file_says_wins() {
    let folder = Folder::new();
    folder.write("web.nft", "");
    folder.write("other.nft", "");
    folder.write("_topology.yaml", TOPOLOGY);
    let scenario = folder.good(&folder.write(
        "web.yaml",
        "
include: _topology.yaml
firewall:
  nftables: other.nft
  interfaces:
    eth1: 172.16.0.1/24
    eth2: 10.2.0.1/24
  forwarding: true
  routes: []
hosts:
  db: { behind: eth1, address: 172.16.0.5 }
  lan: { behind: eth2, address: 10.2.0.5 }
",
    ));
    let ruleset = scenario.firewall.candidate.main();
    assert_eq!(ruleset, folder.path("other.nft"));
    let interfaces = scenario.firewall.interfaces.iter();
    let interfaces: Vec<String> = interfaces
        .map(|side| format!("{} {}", side.name, side.addresses[0]))
        .collect();
    assert_eq!(
        interfaces,
        [
            "eth0 192.0.2.10/24",
            "eth1 172.16.0.1/24",
            "eth2 10.2.0.1/24"
        ]
    );
    assert!(scenario.firewall.forwarding);
    assert!(scenario.firewall.routes.is_empty());
    let hosts: Vec<&str> = scenario
        .hosts
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    assert_eq!(hosts, ["internet", "db", "lan"]);
    assert_eq!(
        sent(&scenario.cases[0]).destination.to_string(),
        "172.16.0.5"
    );
}

#[test]
fn a_part_that_two_parts_include_counts_once() {
    let folder = Folder::new();
    folder.write("web.nft", "");
    folder.write("_topology.yaml", TOPOLOGY);
    folder.write("_a.yaml", "include: _topology.yaml\ntags: a\n");
    folder.write("_b.yaml", "include: [./_topology.yaml]\ntags: b\n");
    let scenario = folder.good(&folder.write("web.yaml", "include: [_a.yaml, _b.yaml]\n"));
    assert_eq!(scenario.tags, ["shared", "a", "b"]);
    assert_eq!(scenario.cases.len(), 7);
}

#[test]
fn problems_of_a_part_are_shown_in_the_part() {
    let folder = Folder::new();
    folder.write("web.nft", "");
    folder.write(
        "_topology.yaml",
        &TOPOLOGY
            .replace("10.0.0.5", "10.0.0.500")
            .replace("forwarding", "forward"),
    );
    let file = folder.write(
        "web.yaml",
        "include: _topology.yaml\ntests:\n  - internet -> dc tcp/80: drop\n",
    );
    assert_snapshot!(folder.problems(&file), @r"
    error: unknown key `forward`
     --> _topology.yaml:8:3
      |
    8 |   forward: false
      |   ^^^^^^^ the firewall has no such key
      |
    help: did you mean `forwarding`?

    error: `10.0.0.500` is not an IP address
      --> _topology.yaml:12:32
       |
    12 |   db: { behind: eth1, address: 10.0.0.500 }
       |                                ^^^^^^^^^^

    error: unknown host `dc`
     --> web.yaml:3:17
      |
    3 |   - internet -> dc tcp/80: drop
      |                 ^^
      |
    help: did you mean `db`?
    ");
}

#[test]
fn a_contradiction_between_two_files_is_shown_in_both() {
    let folder = Folder::new();
    folder.write("web.nft", "");
    folder.write("_topology.yaml", TOPOLOGY);
    let file = folder.write(
        "web.yaml",
        "
include: _topology.yaml
hosts:
  twin: { behind: eth0, address: 198.51.100.7 }
tests:
  - internet -> db tcp/22: drop
",
    );
    assert_snapshot!(folder.problems(&file), @r"
    error: `internet` and `twin` share the address 198.51.100.7
      --> web.yaml:4:34
       |
     4 |   twin: { behind: eth0, address: 198.51.100.7 }
       |                                  ^^^^^^^^^^^^
       |
      ::: _topology.yaml:11:38
       |
    11 |   internet: { behind: eth0, address: 198.51.100.7 }
       |                                      ------------ `internet` has it
    ");
}

#[test]
fn a_part_that_cannot_be_read_does_not_make_everything_else_unknown() {
    let folder = Folder::new();
    folder.write("_broken.yaml", "firewall: [\n");
    folder.write("_list.yaml", "- a\n");
    folder.write("_folder.yaml/x", "");
    let file = folder.write(
        "web.yaml",
        "
include: [_missing.yaml, _broken.yaml, _list.yaml, _folder.yaml, { a: b }]
tests:
  - internet -> firewall tcp/80: accept
  - internet -> firewall tcp/x: accept
",
    );
    assert_snapshot!(folder.problems(&file), @r"
    error: this is not valid YAML: unclosed bracket '['
     --> _broken.yaml:1:11
      |
    1 | firewall: [
      |           ^

    error: a shared part is a map with some of the keys of a scenario
    --> _list.yaml:1:1

    error: expected the path of a shared part
     --> web.yaml:2:1
      |
    2 | include: [_missing.yaml, _broken.yaml, _list.yaml, _folder.yaml, { a: b }]
      | ^^^^^^^

    error: the shared part `_missing.yaml` does not exist
     --> web.yaml:2:11
      |
    2 | include: [_missing.yaml, _broken.yaml, _list.yaml, _folder.yaml, { a: b }]
      |           ^^^^^^^^^^^^^
      |
    help: looked for `_missing.yaml`

    error: the shared part `_folder.yaml` is a folder, not a file
     --> web.yaml:2:52
      |
    2 | include: [_missing.yaml, _broken.yaml, _list.yaml, _folder.yaml, { a: b }]
      |                                                    ^^^^^^^^^^^^
      |
    help: looked for `_folder.yaml`

    error: tcp has no service `x`
     --> web.yaml:5:30
      |
    5 |   - internet -> firewall tcp/x: accept
      |                              ^
    ");
}

#[test]
fn parts_that_include_each_other_are_refused() {
    let folder = Folder::new();
    folder.write("_a.yaml", "include: _b.yaml\n");
    folder.write("_b.yaml", "include: ./_a.yaml\n");
    let file = folder.write("web.yaml", "include: _a.yaml\n");
    assert_snapshot!(folder.problems(&file), @r"
    error: the file includes itself
     --> _b.yaml:1:10
      |
    1 | include: _a.yaml
      |          ^^^^^^^^^ _a.yaml includes _b.yaml includes _a.yaml
    ");
    let own = folder.write("self.yaml", "include: self.yaml\n");
    assert_snapshot!(folder.problems(&own), @r"
    error: the file includes itself
     --> self.yaml:1:10
      |
    1 | include: self.yaml
      |          ^^^^^^^^^ self.yaml includes self.yaml
    ");
}

#[test]
fn an_endless_chain_of_parts_is_refused() {
    let folder = Folder::new();
    for part in 0..40 {
        folder.write(
            &format!("_{part}.yaml"),
            &format!("include: _{}.yaml\n", part + 1),
        );
    }
    let file = folder.write("web.yaml", "include: _0.yaml\n");
    assert_snapshot!(folder.problems(&file), @r"
    error: a scenario includes at most 64 parts, nested at most 16 deep
     --> _15.yaml:1:10
      |
    1 | include: _16.yaml
      |          ^^^^^^^^
    ");
}

#[test]
fn an_override_does_not_hide_a_part_of_the_wrong_kind() {
    let folder = Folder::new();
    folder.write("_part.yaml", "hosts: [a]\nfirewall: text\n");
    let file = folder.write(
        "web.yaml",
        "
include: _part.yaml
firewall: { nftables: web.nft }
hosts: { a: { behind: eth0, address: 192.0.2.1 } }
tests:
  - a -> firewall tcp/80: accept
",
    );
    assert_snapshot!(folder.problems(&file), @r"
    error: expected a map of hosts, found a list
     --> _part.yaml:1:1
      |
    1 | hosts: [a]
      | ^^^^^

    error: expected a map, found a text
     --> _part.yaml:2:11
      |
    2 | firewall: text
      |           ^^^^
      |
    help: the firewall has the keys [dialects], `candidates`, `layers`, `files`, `interfaces`, `forwarding`, `routes` and `sysctl`
    ");
}
