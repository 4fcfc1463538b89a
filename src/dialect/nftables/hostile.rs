//! Scripts and listings that nobody means well by: no panic, no endless work.

use std::time::Duration;

use proptest::prelude::*;

use super::literal;
use crate::processor_time::ProcessorTime;
use crate::ruleset::{chain::Chain, origin::Origin};

/// What a script of a megabyte may take of processor time: tests are not optimised.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads both and asks for everything that can be asked for.
fn attribute(script: &str, listing: &str) -> usize {
    let ruleset = literal("fw.nft", script).listed(listing);
    let mut known = 0;
    for (chain, info) in ruleset.chains() {
        for handle in &info.order {
            if let Some(Origin::Known(line)) = ruleset.origin(chain, *handle) {
                assert!(line.line <= script.split('\n').count());
                known += 1;
            }
        }
        let _ = ruleset.policy_origin(chain);
    }
    known
}

#[test]
fn a_megabyte_of_anything_is_read_in_linear_time() {
    let head = "table inet t {\n chain c {\n";
    let texts = [
        ("", "{"),
        ("", "\""),
        ("", "# \n"),
        ("", "\\\n"),
        ("", " "),
        ("", "table inet t {"),
        ("", "table inet t { }; "),
        ("", "jump {"),
        ("", "include \"./fw.nft\"\n"),
        ("", "define a = {"),
        (head, "jump {"),
        (head, "drop;"),
        (head, "drop\n"),
        (head, "jump { drop; };"),
        (head, "tcp dport {"),
        (head, "@ "),
        ("table t; chain t c; ", "insert rule t c drop;"),
        ("table t; chain t c; ", "rule t c drop; flush table t;"),
        ("table t; chain t c; ", "delete rule t c handle 1;"),
        ("table t; chain t c; ", "replace rule t c handle 1 drop;"),
    ];
    for (head, text) in texts {
        let script = head.to_owned() + &text.repeat((1 << 20) / text.len());
        let started = ProcessorTime::now();
        attribute(
            &script,
            &format!("table ip t {{\n\tchain c {{\n\t\tdrop # handle 5\n\t}}\n}}\n{script}"),
        );
        assert!(
            started.used() < PATIENCE,
            "{head}{text}: {:?}",
            started.used()
        );
    }
}

#[test]
fn files_that_include_each_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let both = "include \"./a.nft\"\ninclude \"./b.nft\"\n";
    std::fs::write(at("a.nft"), both).unwrap();
    std::fs::write(at("b.nft"), both).unwrap();
    let prepared = super::prepare(&at("a.nft"), &[]).unwrap();
    let prepared = crate::dialect::Loadable::new(at("a.nft"), vec![prepared]);
    let ruleset = prepared.listed("table ip t {\n\tchain c {\n\t\tdrop # handle 2\n\t}\n}\n");
    let chain = Chain {
        family: "ip".to_owned(),
        table: "t".to_owned(),
        name: "c".to_owned(),
    };
    let Some(Origin::Unknown(why)) = ruleset.origin(&chain, 2) else {
        panic!("known");
    };
    assert!(why.contains("too deeply"), "{why}");
}

/// A quarter of a million rules on one line: what is shown of it stays short.
#[test]
fn a_very_long_line_is_shown_in_part() {
    let rule = "tcp dport 80 accept;";
    let script = format!("table ip t {{ chain c {{ {} }}; }}\n", rule.repeat(1000));
    let mut listing = String::from("table ip t {\n\tchain c {\n");
    for handle in 2..1002 {
        listing += &format!("\t\ttcp dport 80 accept # handle {handle}\n");
    }
    let ruleset = literal("fw.nft", &script).listed(&(listing + "\t}\n}\n"));
    let (chain, _) = ruleset.chains().next().unwrap();
    let Some(Origin::Known(line)) = ruleset.origin(chain, 500) else {
        panic!("unknown");
    };
    assert!(line.text.starts_with(rule) && line.text.chars().count() < 200);
    assert_eq!(line.column, 24 + 498 * rule.len());
}

/// Optimised, it takes a few milliseconds.
#[test]
fn five_thousand_rules_are_all_found() {
    let mut script = String::from("table inet t {\n\tchain c {\n");
    let mut listing = script.clone();
    for rule in 2..5_002 {
        let text = format!(
            "\t\tip saddr 10.{}.0.0/16 tcp dport {{ 22, {rule} }} counter drop comment \"{rule}\"",
            rule % 256
        );
        script += &format!("{text}\n");
        listing += &format!("{text} # handle {rule}\n");
    }
    let [script, listing] = [script, listing].map(|text| text + "\t}\n}\n");
    let started = ProcessorTime::now();
    let known = attribute(&script, &listing);
    println!("{known} rules in {:?}", started.used());
    assert_eq!(known, 5_000);
    assert!(started.used() < PATIENCE, "{:?}", started.used());
}

/// Words that mean something to somebody.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "table",
        "chain",
        "rule",
        "add",
        "insert",
        "delete",
        "flush",
        "ruleset",
        "replace",
        "inet",
        "ip",
        "t",
        "c",
        "d",
        "{",
        "}",
        "{\n",
        "\n}\n",
        "\n",
        ";",
        "jump",
        "goto",
        "drop",
        "accept",
        "handle",
        "index",
        "2",
        "3",
        "type filter hook input priority 0",
        "policy",
        "set",
        "elements = {",
        "comment",
        "\"x\"",
        "\"",
        "#",
        "# x\n",
        "\\\n",
        "include \"./fw.nft\"\n",
        "define a =",
        "$a",
        "@s",
        "list ruleset",
        "create",
        "é",
        "\r\n",
        "# handle 2\n",
        "\t",
        "\t\t",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60)
        .prop_map(|words| words.join(" "))
}

/// Where tests leave commands to chance, some must be right.
fn well_formed() -> impl Strategy<Value = String> {
    soup().prop_map(|soup| format!("table inet t {{\n chain c {{\n  drop\n }}\n}}\n{soup}"))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(script in ".{0,200}", listing in ".{0,200}") {
        attribute(&script, &listing);
    }

    #[test]
    fn no_order_of_words_makes_it_panic(script in soup(), listing in soup()) {
        attribute(&script, &listing);
        attribute(&script, "table inet t {\n\tchain c {\n\t\tdrop # handle 2\n\t}\n}\n");
    }

    /// One rule is listed. Whatever stands behind it in the script, it is that rule or unknown, unless the
    /// rest could have made it.
    #[test]
    fn what_follows_a_rule_does_not_move_it(script in well_formed()) {
        let ruleset = literal("fw.nft", &script)
            .listed("table inet t {\n\tchain c {\n\t\tdrop # handle 2\n\t}\n}\n");
        let (chain, _) = ruleset.chains().next().unwrap();
        let rest = script.split_once("}\n}\n").map_or("", |(_, rest)| rest);
        let remade = ["flush", "delete", "replace"].iter().any(|verb| rest.contains(verb));
        if let Some(Origin::Known(line)) = ruleset.origin(chain, 2)
            && !remade
        {
            prop_assert_eq!(line.line, 3);
        }
    }
}
