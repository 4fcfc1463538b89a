//! Which destination ports may come to a rule, as far as texts tell. What is not understood lets every port pass.

use std::{collections::BTreeMap, ops::RangeInclusive};

use firedrill_harness::packet::protocol;

use super::chain::Chain;
use super::listing::Ruleset;

/// A set of destination ports: ranges, ascending, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports(Vec<(u16, u16)>);

/// Transport protocols by the names that rules use.
const PROTOCOLS: [(&str, u8); 9] = [
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("icmp", protocol::ICMP),
    ("icmpv6", protocol::ICMPV6),
    ("ipv6-icmp", protocol::ICMPV6),
    ("icmp6", protocol::ICMPV6),
    ("sctp", protocol::SCTP),
    ("esp", protocol::ESP),
    ("gre", protocol::GRE),
];

fn number(name: &str) -> Option<u8> {
    let known = PROTOCOLS.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

impl Ports {
    /// Every port.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    /// Whether this port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let pairs = self
            .0
            .iter()
            .flat_map(|one| other.0.iter().map(move |two| (one, two)));
        let shared = pairs.filter_map(|(one, two)| {
            let (first, last) = (one.0.max(two.0), one.1.min(two.1));
            (first <= last).then_some((first, last))
        });
        shared.collect()
    }

    /// Those that are in one of them.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// The ports that a packet of this protocol may have after all that this beginning of a rule asks for.
    #[must_use]
    pub fn of(beginning: &str, protocol: u8) -> Self {
        let words: Vec<&str> = beginning.split_whitespace().collect();
        let mut ports = Self::all();
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied().unwrap_or_default();
            let negated = at > 0 && words[at - 1] == "!";
            let mut asked = None;
            match *word {
                // iptables: `-p tcp -m tcp --dport 22`, `-m multiport --dports 22,80`.
                "-p" if !negated => asked = of_protocol(next, protocol),
                "--dport" | "--dports" if !negated && next != "!" => {
                    asked = listed(next.split(','));
                }
                // nft: `meta l4proto tcp`, `ip protocol udp`, `ip6 nexthdr tcp`.
                "l4proto" | "protocol" | "nexthdr" => asked = of_protocol(next, protocol),
                name if matches!(next, "dport" | "sport" | "flags" | "type") => {
                    asked = of_protocol(name, protocol);
                    if next == "dport" && asked.as_ref().is_none_or(|asked| !asked.is_empty()) {
                        asked = values(&words[at + 2..]);
                    }
                }
                _ => {}
            }
            if let Some(asked) = asked {
                ports = ports.and(&asked);
            }
        }
        ports
    }
}

impl FromIterator<(u16, u16)> for Ports {
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(ranges: I) -> Self {
        let mut ranges: Vec<(u16, u16)> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(range: RangeInclusive<u16>) -> Self {
        [range.into_inner()].into_iter().collect()
    }
}

/// No port, if this names another protocol; `None` if it says nothing.
fn of_protocol(name: &str, protocol: u8) -> Option<Ports> {
    match number(name) {
        Some(number) if number != protocol => Some(Ports::default()),
        Some(_) | None => None,
    }
}

/// What stands behind `dport`: a port, a range, or a set of them.
fn values(words: &[&str]) -> Option<Ports> {
    let values = match words {
        ["{", inside @ ..] => {
            let close = inside.iter().position(|word| *word == "}")?;
            &inside[..close]
        }
        [one, ..] => std::slice::from_ref(one),
        [] => return None,
    };
    listed(values.iter().map(|value| value.trim_end_matches(',')))
}

/// Ports and ranges of ports; `None` if anything else is there.
fn listed<'t>(values: impl Iterator<Item = &'t str>) -> Option<Ports> {
    values.map(range).collect::<Option<Ports>>()
}

/// `22`, `8000-8010`, `8000:8010`; nothing else.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The chains that packets of a protocol can come to from these base chains, told by chain and hook, and with which
/// ports.
pub(crate) fn entries(
    ruleset: &Ruleset,
    protocol: u8,
    meets: impl Fn(&Chain, &str) -> bool,
) -> BTreeMap<Chain, Ports> {
    let mut entries: BTreeMap<Chain, Ports> = BTreeMap::new();
    let mut next: Vec<(Chain, Ports)> = ruleset
        .chains()
        .filter(|(chain, info)| {
            let base = info.base.as_ref();
            base.is_some_and(|base| meets(chain, &base.hook))
        })
        .map(|(chain, _)| (chain.clone(), Ports::all()))
        .collect();
    // Every round adds ports to a chain, so this ends.
    while let Some((chain, ports)) = next.pop() {
        let known = entries.entry(chain.clone()).or_default();
        let both = known.or(&ports);
        if both == *known && !ports.is_empty() {
            continue;
        }
        *known = both.clone();
        let order = ruleset.chain(&chain).map_or(&[][..], |info| &info.order);
        for text in order
            .iter()
            .filter_map(|handle| ruleset.rule(&chain, *handle))
        {
            for (name, asked) in ways(text, protocol) {
                let other = Chain {
                    name: name.to_owned(),
                    ..chain.clone()
                };
                let entering = both.and(&asked);
                if ruleset.chain(&other).is_some() && !entering.is_empty() {
                    next.push((other, entering));
                }
            }
        }
    }
    entries
}

/// Where a rule may lead, and with which ports. Any of its words may be the name of a chain.
fn ways(text: &str, protocol: u8) -> Vec<(&str, Ports)> {
    let words = || text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '"'));
    let leads = words().any(|word| matches!(word, "jump" | "goto" | "-j" | "-g" | "vmap"));
    if !leads {
        return Vec::new();
    }
    if let Some((before, map)) = text.split_once(" vmap {") {
        let (inside, _) = map.split_once('}').unwrap_or((map, ""));
        let keyed = |element| keyed_way(element, before, protocol);
        let ways: Option<Vec<Option<(&str, Ports)>>> = inside.split(',').map(keyed).collect();
        if let Some(ways) = ways {
            return ways.into_iter().flatten().collect();
        }
    }
    let asked = Ports::of(&unquoted(text), protocol);
    words().map(|word| (word, asked.clone())).collect()
}

/// A rule without what is quoted: names, comments and prefixes ask for nothing.
fn unquoted(text: &str) -> String {
    text.split('"').step_by(2).collect()
}

/// The way of an element of a verdict map; `Some(None)` if it leads nowhere, `None` if it is not understood.
fn keyed_way<'t>(element: &'t str, before: &str, protocol: u8) -> Option<Option<(&'t str, Ports)>> {
    let (key, verdict) = element.rsplit_once(" : ")?;
    let target = match verdict.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["jump" | "goto", target] => *target,
        ["accept" | "drop" | "continue" | "return"] => return Some(None),
        _ => return None,
    };
    let before = unquoted(before);
    let outer: Vec<&str> = before.split_whitespace().collect();
    let asked = Ports::of(&before, protocol);
    let asked = match outer.as_slice() {
        [.., "l4proto" | "protocol" | "nexthdr"] => of_protocol(key.trim(), protocol),
        [.., name, "dport"] => match of_protocol(name, protocol) {
            Some(none) => Some(none),
            None => listed(std::iter::once(key.trim())),
        },
        _ => None,
    }
    .map_or(asked.clone(), |narrower| asked.and(&narrower));
    Some(Some((target, asked)))
}

#[cfg(test)]
mod tests {
    use firedrill_harness::protocol::Listing;
    use rstest::rstest;

    use super::*;

    fn ports(ranges: &[(u16, u16)]) -> Ports {
        ranges.iter().copied().collect()
    }

    #[test]
    fn sets_of_ports_are_joined_and_intersected() {
        assert_eq!(
            ports(&[(5, 9), (1, 4), (20, 20)]),
            ports(&[(1, 9), (20, 20)])
        );
        let both = ports(&[(1, 9), (20, 30)]).and(&ports(&[(8, 22)]));
        assert_eq!(both, ports(&[(8, 9), (20, 22)]));
        assert_eq!(both.or(&ports(&[(10, 19)])), ports(&[(8, 22)]));
        assert!(Ports::all().contains(0) && Ports::all().contains(u16::MAX));
    }

    #[rstest]
    #[case("ip saddr @office tcp dport 22 jump x", &[(22, 22)])]
    #[case("tcp dport { 22, 80-90 } tcp dport != 85", &[(22, 22), (80, 90)])]
    #[case("meta l4proto udp th dport 53", &[])]
    #[case("ip protocol tcp counter", &[(0, 65535)])]
    #[case("meta l4proto { tcp, udp } th dport 53", &[(53, 53)])]
    #[case("-p tcp -m tcp --dport 8000:8010 -j x", &[(8000, 8010)])]
    #[case("tcp dport vmap { 22 : accept }", &[(0, 65535)])]
    #[case("udp sport 53", &[])]
    fn a_rule_is_asked_which_ports_it_may_match(
        #[case] text: &str,
        #[case] expected: &[(u16, u16)],
    ) {
        assert_eq!(Ports::of(text, protocol::TCP), ports(expected), "{text}");
    }

    #[test]
    fn what_a_comment_says_is_not_asked_for() {
        for rule in [
            "jump x comment \"not tcp dport 22 but all\"",
            "-m comment --comment \"-p udp --dport 22 only\" -j x",
        ] {
            let ways = ways(rule, protocol::TCP);
            let way = ways.iter().find(|(name, _)| *name == "x");
            assert_eq!(way, Some(&("x", Ports::all())), "{rule}");
        }
    }

    /// A chain is entered with the ports of the rules that lead there, one after the other.
    #[test]
    fn a_chain_is_entered_with_the_ports_that_lead_there() {
        let chain = |name: &str, hook: &str, rules: &[&str]| {
            let rules: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
            format!("\tchain {name} {{ # handle 1\n{hook}{rules}\t}}\n")
        };
        let hook = "\t\ttype filter hook input priority filter; policy drop;\n";
        let input = [
            "iifname vmap { \"eth0\" : jump public, \"lo\" : accept } # handle 10",
            "meta l4proto vmap { icmp : jump ping, tcp : jump service } # handle 11",
            "tcp dport vmap { 22 : jump ssh, 80-90 : jump web, 443 : accept } # handle 12",
        ];
        let chains = [
            chain("input", hook, &input),
            chain(
                "public",
                "",
                &["ip saddr @office tcp dport { 22, 2222 } goto ssh # handle 13"],
            ),
            chain("ssh", "", &["tcp dport 2000-3000 jump limited # handle 14"]),
            chain("limited", "", &[]),
            chain("ping", "", &[]),
            chain("service", "", &[]),
            chain("web", "", &[]),
            chain("unused", "", &["jump web # handle 15"]),
        ];
        let listing = Listing {
            listing: format!("table inet t {{ # handle 1\n{}}}\n", chains.concat()),
            ..Listing::default()
        };
        let ruleset = Ruleset::parse(&listing);
        let entries = entries(&ruleset, protocol::TCP, |_, hook| hook == "input");
        let of = |name: &str| entries.iter().find(|(chain, _)| chain.name == name);
        let of = |name: &str| of(name).map(|(_, ports)| ports.clone());
        assert_eq!(of("public"), Some(Ports::all()));
        assert_eq!(of("service"), Some(Ports::all()));
        assert_eq!(of("ssh"), Some(ports(&[(22, 22), (2222, 2222)])));
        assert_eq!(of("limited"), Some(ports(&[(2222, 2222)])));
        assert_eq!(of("web"), Some(ports(&[(80, 90)])));
        assert_eq!((of("ping"), of("unused")), (None, None));
    }
}
