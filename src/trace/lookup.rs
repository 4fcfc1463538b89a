//! In which sets and maps a rule that matched looked something up, and which element decided.

use serde::{Deserialize, Serialize};

use crate::ruleset::{
    lookup::{self, Shown, Table, Value},
    state::SetListing,
};

/// A look-up of a rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// What was looked up: `ip saddr . tcp dport`.
    pub key: String,
    /// What that is in this packet, if its headers show it.
    pub value: Option<String>,
    /// The set or map: `@office`, or its elements where it has no name.
    pub set: String,
    /// It matched because there is no such element.
    pub absent: bool,
    /// The element that covers the value, if one alone does.
    pub element: Option<String>,
}

/// The look-ups of a rule of this text. `sets` are those of the listing.
pub(super) fn lookups<'s>(
    text: &str,
    shown: Option<Shown<'_>>,
    sets: &impl Fn() -> &'s [SetListing],
) -> Vec<Lookup> {
    let told = |lookup: lookup::Lookup| {
        let value = shown.and_then(|shown| lookup.value(shown));
        let elements = match &lookup.table {
            Table::Anonymous(elements) => elements.as_slice(),
            Table::Named(name) => named(sets(), name),
            Table::Ipset => &[],
        };
        let texts = || elements.iter().map(String::as_str);
        let only = value.as_ref().map(|value| lookup.only(texts(), value));
        Lookup {
            value: value.map(|value| {
                let parts = value.iter().map(Value::to_string);
                parts.collect::<Vec<_>>().join(" . ")
            }),
            element: only.and_then(|only| Some(elements[only.ok()?].clone())),
            key: lookup.key,
            set: lookup.set,
            absent: lookup.absent,
        }
    };
    let found = lookup::lookups(text).into_iter();
    found
        .filter(|lookup| !lookup.key.is_empty())
        .map(told)
        .collect()
}

/// The elements of the only set of this name: tables may have sets of the same name.
fn named<'s>(sets: &'s [SetListing], name: &str) -> &'s [String] {
    let mut called = sets.iter().filter(|set| set.is(name));
    match (called.next(), called.next()) {
        (Some(only), None) => &only.elements,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LISTING: &str = "table inet t {\n\tset office {\n\t\ttype ipv4_addr\n\t\tflags interval\n\
        \t\telements = { 203.0.113.0/24, 198.51.100.1-198.51.100.9 }\n\t}\n\
        \tmap ports {\n\t\ttype inet_service : verdict\n\t\telements = { 22 : jump ssh, 80-90 : accept }\n\t}\n\
        \tset known {\n\t\ttype ifname\n\t\telements = { \"ens1\", \"wg*\" }\n\t}\n}\n";

    fn one(text: &str) -> Vec<String> {
        let shown = Shown {
            source: "198.51.100.7".parse().expect("an address"),
            destination: "192.0.2.1".parse().expect("an address"),
            protocol: 6,
            ports: Some((40000, 85)),
            icmp_type: None,
            iif: Some("eth0"),
            oif: None,
            state: None,
        };
        let sets = crate::ruleset::state::sets(LISTING);
        let found = lookups(text, Some(shown), &|| &sets[..]);
        found
            .iter()
            .map(|lookup| {
                let value = lookup.value.as_deref().unwrap_or("?");
                let absent = if lookup.absent { " not" } else { "" };
                let element = lookup.element.as_deref().unwrap_or("?");
                format!(
                    "{} {value}{absent} in {}: {element}",
                    lookup.key, lookup.set
                )
            })
            .collect()
    }

    #[rstest]
    #[case::an_interval("ip saddr @office drop", &["ip saddr 198.51.100.7 in @office: 198.51.100.1-198.51.100.9"])]
    #[case::a_verdict_map("tcp dport vmap @ports", &["tcp dport 85 in @ports: 80-90"])]
    #[case::absence("iifname != @known counter drop", &["iifname eth0 not in @known: ?"])]
    #[case::without_a_name(
        "ip saddr . tcp dport { 198.51.100.7 . 22, 198.51.100.7 . 80-90 } accept",
        &["ip saddr . tcp dport 198.51.100.7 . 85 in { 198.51.100.7 . 22, 198.51.100.7 . 80-90 }: 198.51.100.7 . 80-90"]
    )]
    #[case::a_map_without_a_name(
        "iifname vmap { \"eth0\" : jump public, \"eth1\" : jump lan }",
        &["iifname eth0 in { \"eth0\" : jump public, \"eth1\" : jump lan }: \"eth0\""]
    )]
    #[case::two("meta l4proto { tcp, udp } th dport { 85 }", &[
        "meta l4proto tcp in { tcp, udp }: tcp", "th dport 85 in { 85 }: 85"
    ])]
    #[case::more_than_one_element_leaves_a_choice("tcp dport { 80-90, 85 }", &["tcp dport 85 in { 80-90, 85 }: ?"])]
    #[case::what_headers_do_not_show("ct state { new, established }", &["ct state ? in { new, established }: ?"])]
    #[case::unknown_interface("oifname @known", &["oifname ? in @known: ?"])]
    #[case::unknown_set("ip saddr @nobody", &["ip saddr 198.51.100.7 in @nobody: ?"])]
    #[case::a_rule_that_adds("update @office { ip saddr limit rate 5/second }", &[])]
    #[case::quoted("drop comment \"ip saddr @office\"", &[])]
    #[case::ipset("-m set ! --match-set office src -j DROP", &["src ? not in office: ?"])]
    fn look_ups_are_those_of_the_text(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(one(text), expected);
    }
}
