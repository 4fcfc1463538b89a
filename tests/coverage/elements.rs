//! Which elements of sets and maps were met.

use serde_json::{Value, json};

use super::{common::Lab, covered};

const RULES: &str = "\
table inet t {
    set office {
        type ipv4_addr
        flags interval
        elements = { 198.51.100.0/24, 203.0.113.1 }
    }
    set seen {
        type ipv4_addr
        flags dynamic
        size 10
    }
    map zones {
        type ifname : verdict
        elements = { \"eth0\" : jump outside, \"eth1\" : jump inside }
    }
    chain c {
        type filter hook input priority 0; policy drop;
        iifname vmap @zones
    }
    chain outside {
        ip saddr @office tcp dport { 80, 83, 8000-8010 } accept
        add @seen { ip saddr } tcp dport 99 accept
        ip saddr @seen tcp dport 98 accept
        ip saddr . tcp dport { 198.51.100.7 . 90, 198.51.100.7 . 91 } accept
        ip saddr != { 10.0.0.1, 10.0.0.2 } tcp dport 92 accept
    }
    chain inside {
        tcp dport 80 accept
    }
}
";

/// The sets of the rule in a line.
fn sets(document: &Value, line: u64) -> Vec<Value> {
    let rules = document["rulesets"][0]["rules"].as_array().expect("a list");
    let rule = rules
        .iter()
        .find(|rule| rule["line"] == line)
        .expect("the line is known");
    rule["sets"].as_array().cloned().unwrap_or_default()
}

fn met(elements: &[(&str, u64)]) -> Value {
    let elements = elements.iter();
    elements
        .map(|(element, met)| json!({ "element": element, "met": met }))
        .collect()
}

#[test]
fn an_element_was_met_where_that_is_certain_and_is_not_known_elsewhere() {
    let folder = Lab::new(RULES)
        .named("fw.nft")
        .test("{ from: client, to: firewall, service: \"tcp/80,8001,8002\", family: ipv4, expect: accept }")
        .test("{ from: client, to: firewall, service: \"tcp/90,92,98,99\", family: ipv4, expect: accept }")
        .folder();
    let (ended, document) = covered(&folder, &["--coverage", "--coverage-suggest"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let zones = sets(&document, 18);
    assert_eq!(zones[0]["name"], "zones");
    // The case for port 98 is held again alone, and finds itself in the set that its own packet fills.
    assert_eq!(zones[0]["elements"], met(&[("eth0", 7), ("eth1", 0)]));
    let of_rule = sets(&document, 21);
    assert_eq!(of_rule[0]["name"], "office");
    assert_eq!(
        of_rule[0]["elements"],
        met(&[("198.51.100.0/24", 3), ("203.0.113.1", 0)])
    );
    assert_eq!(of_rule[1]["name"], Value::Null);
    assert_eq!(
        of_rule[1]["elements"],
        met(&[("80", 1), ("83", 0), ("8000-8010", 2)])
    );
    let of_rule = sets(&document, 24);
    assert_eq!(
        of_rule[0]["elements"],
        met(&[("198.51.100.7 . 90", 1), ("198.51.100.7 . 91", 0)])
    );
    for (line, why) in [
        (
            23,
            "the elements of a named set were not looked at, or rules fill it",
        ),
        (25, "a rule matches what is not in it"),
    ] {
        let sets = sets(&document, line);
        assert_eq!(sets[0]["why"], why, "line {line}");
        assert_eq!(sets[0]["unclear"], 1, "line {line}");
    }
    for part in [
        "elements of sets and maps in fw.nft\n",
        "  fw.nft:18  @zones\n    never met: eth1\n",
        "  fw.nft:21  @office\n    never met: 203.0.113.1\n",
        "    never met: 83\n",
        "    never met: 198.51.100.7 . 91\n",
        "  not known, because a rule matches what is not in it: fw.nft:25\n",
    ] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in:\n{}",
            ended.stdout
        );
    }
}

/// What translation or a rule has changed on the way is looked up as it is then.
#[test]
fn a_packet_that_was_translated_meets_the_element_of_its_new_address() {
    let rules = "table inet t {\n  chain nat {\n    type nat hook prerouting priority dstnat;\n    \
                 tcp dport { 8080, 8081 } dnat ip to 10.0.0.5:80\n  }\n  chain f {\n    \
                 type filter hook forward priority 0; policy drop;\n    tcp dport { 80, 8080 } accept\n  }\n}\n";
    let folder = Lab::new(rules)
        .named("fw.nft")
        .test("{ from: client, to: firewall, service: tcp/8080, family: ipv4, expect: { accept: { destination: 10.0.0.5 } } }")
        .folder();
    let (ended, document) = covered(&folder, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        sets(&document, 4)[0]["elements"],
        met(&[("8080", 1), ("8081", 0)])
    );
    assert_eq!(
        sets(&document, 8)[0]["elements"],
        met(&[("80", 1), ("8080", 0)])
    );
}
