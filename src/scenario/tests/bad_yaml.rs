//! Texts that are no YAML, or not the YAML that was meant.

use insta::assert_snapshot;

use super::{problems_of, problems_of_tests};

#[test]
fn an_empty_file_is_refused() {
    assert_snapshot!(problems_of(""), @r"
    error: the file is empty
    --> test.yaml:1:1
    ");
    assert_snapshot!(problems_of("# only a comment\n"), @r"
    error: the file is empty
    --> test.yaml:1:1
    ");
    assert_snapshot!(problems_of("---\n"), @r"
    error: the file is empty
    --> test.yaml:1:1
    ");
}

#[test]
fn a_document_that_is_no_map_is_refused() {
    assert_snapshot!(problems_of("- internet -> firewall tcp/80: accept\n"), @r"
    error: expected a map, found a list
    --> test.yaml:1:1
    help: the scenario has the keys `name`, `purpose`, `tags`, `include`, `sandbox`, `firewall`, `hosts` and `tests`
    ");
    assert_snapshot!(problems_of("just text\n"), @r"
    error: expected a map, found a text
     --> test.yaml:1:1
      |
    1 | just text
      | ^^^^^^^^^
      |
    help: the scenario has the keys `name`, `purpose`, `tags`, `include`, `sandbox`, `firewall`, `hosts` and `tests`
    ");
}

#[test]
fn a_second_document_is_refused() {
    assert_snapshot!(problems_of("name: a\n---\nname: b\n"), @r"
    error: a file holds one scenario, but a second document starts here
     --> test.yaml:3:1
      |
    3 | name: b
      | ^
      |
    help: put each scenario into a file of its own
    ");
}

#[test]
fn tabs_are_refused_as_indentation() {
    assert_snapshot!(problems_of("firewall:\n\tnftables: web.nft\n"), @r"
    error: this is not valid YAML: tabs disallowed within this context (block indentation)
     --> test.yaml:2:2
      |
    2 |     nftables: web.nft
      |     ^
      |
    help: indent with spaces; YAML does not allow tabs here
    ");
}

#[test]
fn duplicate_keys_are_shown_with_both_places() {
    assert_snapshot!(problems_of("name: a\nhosts: { a: { behind: x, behind: y } }\nname: b\n"), @r"
    error: the key `behind` appears twice
     --> test.yaml:2:26
      |
    2 | hosts: { a: { behind: x, behind: y } }
      |               ------     ^^^^^^ here again
      |               |
      |               first here

    error: the key `name` appears twice
     --> test.yaml:3:1
      |
    1 | name: a
      | ---- first here
    2 | hosts: { a: { behind: x, behind: y } }
    3 | name: b
      | ^^^^ here again
    ");
}

#[test]
fn keys_that_are_no_words_are_refused() {
    assert_snapshot!(problems_of("[a, b]: c\n? { x: y }\n: z\n"), @r"
    error: a key must be a single word or text
     --> test.yaml:1:1
      |
    1 | [a, b]: c
      | ^ this is a list or a map

    error: a key must be a single word or text
     --> test.yaml:2:3
      |
    2 | ? { x: y }
      |   ^ this is a list or a map
    ");
}

#[test]
fn mistakes_with_anchors_are_explained() {
    assert_snapshot!(problems_of("name: *nothing\n"), @r"
    error: unknown anchor `nothing`
     --> test.yaml:1:7
      |
    1 | name: *nothing
      |       ^^^^^^^^
      |
    help: write `&nothing` before the value that it stands for, above this line
    ");
    assert_snapshot!(problems_of("name: &a [*a]\n"), @r"
    error: an anchor cannot be used inside its own value
     --> test.yaml:1:11
      |
    1 | name: &a [*a]
      |           ^^
    ");
    assert_snapshot!(problems_of("<<: text\n"), @r"
    error: `<<` takes in a map or a list of maps, and this is neither
     --> test.yaml:1:5
      |
    1 | <<: text
      |     ^^^^
    ");
}

#[test]
fn broken_syntax_points_at_its_place() {
    assert_snapshot!(problems_of("name: a: b\n"), @r"
    error: this is not valid YAML: mapping values are not allowed in this context
     --> test.yaml:1:8
      |
    1 | name: a: b
      |        ^
      |
    help: a text that contains `: ` must be in quotes, and a key must be alone on its line
    ");
    assert_snapshot!(problems_of("name: \"open\ntags: [a]\n"), @r#"
    error: this is not valid YAML: unclosed quote
     --> test.yaml:1:7
      |
    1 | name: "open
      |       ^
    "#);
    assert_snapshot!(problems_of("tags: [a, b\nname: c\n"), @r"
    error: this is not valid YAML: illegal placement of ':' indicator
     --> test.yaml:2:5
      |
    2 | name: c
      |     ^
    ");
    assert_snapshot!(problems_of("name: @home\n"), @r"
    error: this is not valid YAML: unexpected character: `@'
     --> test.yaml:1:7
      |
    1 | name: @home
      |       ^
      |
    help: put the text in quotes
    ");
    assert_snapshot!(problems_of("name: \0\n"), @r"
    error: this is not valid YAML: unexpected character: `\u{0}'
     --> test.yaml:1:7
      |
    1 | name: ␀
      |       ^
      |
    help: put the text in quotes
    ");
}

#[test]
fn a_place_after_wide_characters_is_found() {
    assert_snapshot!(problems_of("purpose: Überprüfung der Brandmauer 防火墙\nname: a: b\n"), @r"
    error: this is not valid YAML: mapping values are not allowed in this context
     --> test.yaml:2:8
      |
    2 | name: a: b
      |        ^
      |
    help: a text that contains `: ` must be in quotes, and a key must be alone on its line
    ");
}

#[test]
fn an_ipv6_address_that_yaml_takes_for_a_map_is_explained() {
    assert_snapshot!(problems_of("
firewall:
  nftables: web.nft
  interfaces: { eth0: [192.0.2.10/24, 2001:db8::] }
hosts:
  internet: { behind: eth0, address: [2001:db8::] }
tests:
  - internet -> firewall tcp/80: accept
"), @r"
    error: expected an address, found a map
     --> test.yaml:4:39
      |
    4 |   interfaces: { eth0: [192.0.2.10/24, 2001:db8::] }
      |                                       ^^^^^^^^^
      |
    help: an IPv6 address that begins or ends with a colon must be in quotes

    error: expected an address, found a map
     --> test.yaml:6:39
      |
    6 |   internet: { behind: eth0, address: [2001:db8::] }
      |                                       ^^^^^^^^^
      |
    help: an IPv6 address that begins or ends with a colon must be in quotes
    ");
}

#[test]
fn a_missing_space_after_the_colon_is_explained() {
    assert_snapshot!(problems_of_tests(&["internet -> firewall tcp/80:drop", "internet -> firewall tcp/80"]), @r"
    error: a space is missing between the colon and the outcome
      --> test.yaml:11:33
       |
    11 |   - internet -> firewall tcp/80:drop
       |                                 ^^^^
       |
    help: write `: drop`

    error: this test does not say what should happen
      --> test.yaml:12:5
       |
    12 |   - internet -> firewall tcp/80
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
    help: add `: accept`, `: drop` or `: reject`
    ");
}
