//! Whether a verdict depends on what the firewall remembers of earlier packets: limits, quotas, counts of
//! connections, sets that rules fill.
//!
//! A test is about a packet that meets a freshly loaded firewall. Probes share a lab all the same, because
//! most rules remember nothing but connections, and every probe has one of its own. Which probes met
//! another memory is seen afterwards, and those are sent once more, each in a fresh lab. In doubt a rule
//! counts as one that remembers: that costs time and never a verdict.

use std::{collections::BTreeSet, ops::RangeInclusive};

use firedrill_harness::{
    packet::{Packet, Seen, protocol},
    protocol::{Trace, TraceKind},
};

use crate::{
    dialect::listing::Ruleset,
    path::{self, Run, Traced},
    verdict::Chain,
};

/// Words of a rule (of nft(8), and of iptables-extensions(8)) that remember something.
const WORDS: [&str; 14] = [
    "limit",
    "quota",
    "count",
    "numgen",
    "meter",
    "hashlimit",
    "recent",
    "connlimit",
    "statistic",
    "SET",
    "add",
    "update",
    "delete",
    "set",
];

/// The rules of a ruleset that remember something.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    rules: BTreeSet<(Chain, u64)>,
}

impl Memory {
    /// Looks through a ruleset.
    #[must_use]
    pub fn of(ruleset: &Ruleset) -> Self {
        let rules = || {
            ruleset
                .chains()
                .flat_map(|(chain, info)| info.order.iter().map(move |handle| (chain, *handle)))
                .filter_map(|(chain, handle)| Some((chain, handle, ruleset.rule(chain, handle)?)))
        };
        let filled: BTreeSet<String> = rules().flat_map(|(_, _, text)| filled(text)).collect();
        let remembering = rules().filter(|(_, _, text)| remembers(text, &filled).is_some());
        Self {
            rules: remembering
                .map(|(chain, handle, _)| (chain.clone(), handle))
                .collect(),
        }
    }

    /// Whether a probe, or an error that came back for it, may have met such a rule.
    #[must_use]
    pub fn was_met(&self, ruleset: &Ruleset, trace: &Trace, probe: &Packet) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        [Traced::Probe, Traced::Error].into_iter().any(|which| {
            let (_, runs) = path::runs(trace, probe, which);
            runs.iter().any(|run| self.is_in(run, ruleset, probe))
        })
    }

    fn is_in(&self, run: &Run<'_>, ruleset: &Ruleset, probe: &Packet) -> bool {
        let packet = run.events.first().and_then(|event| event.packet.as_ref());
        let seen = packet.and_then(|bytes| Seen::parse_traced(&bytes.0, probe.protocol()));
        let chains: BTreeSet<Chain> = run.events.iter().map(|event| path::chain(event)).collect();
        chains.iter().any(|chain| {
            let of_chain = || {
                run.events
                    .iter()
                    .filter(|event| path::chain(event) == *chain)
            };
            // The end of a chain has no rule: then all of them were tried.
            let whole =
                of_chain().any(|event| event.handle.is_none() || event.kind != TraceKind::Rule);
            let order = ruleset.chain(chain).map_or(&[][..], |info| &info.order);
            let last = of_chain()
                .filter_map(|event| {
                    order
                        .iter()
                        .position(|handle| Some(*handle) == event.handle)
                })
                .max();
            let tried = match last {
                Some(last) if !whole => &order[..=last],
                _ => order,
            };
            tried.iter().any(|handle| {
                let text = ruleset.rule(chain, *handle).unwrap_or_default();
                self.rules.contains(&(chain.clone(), *handle))
                    && !seen.as_ref().is_some_and(|seen| passes_by(text, seen))
            })
        })
    }
}

/// The sets that a rule fills or empties.
fn filled(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.windows(2);
    pairs
        .filter_map(|pair| match pair[0] {
            "add" | "update" | "delete" | "set" => pair[1].strip_prefix('@'),
            // The target SET of iptables-extensions(8).
            "--add-set" | "--del-set" => Some(pair[1]),
            _ => None,
        })
        .map(str::to_owned)
        .collect()
}

/// Where in a rule's text it begins to remember, if it does.
fn remembers(text: &str, filled: &BTreeSet<String>) -> Option<usize> {
    let words = || text.split(|c: char| c.is_whitespace() || c == '"');
    let mut previous = "";
    for word in words() {
        let counts = match word {
            // `ct count`, not `counter`; `add @set`, not a comment's `add`.
            "count" => previous == "ct",
            // What nft cannot show of iptables it names only.
            "set" if previous == "match" => true,
            "add" | "update" | "delete" | "set" => text.contains(&format!("{word} @")),
            word if previous == "--match-set" => filled.contains(word),
            word if WORDS.contains(&word) => true,
            word => word
                .strip_prefix('@')
                .is_some_and(|set| filled.contains(set.trim_end_matches(','))),
        };
        if counts {
            return text.find(word);
        }
        if !word.is_empty() {
            previous = word;
        }
    }
    None
}

/// Whether a packet surely does not get as far as the memory of a rule: the rule begins with another
/// transport protocol or another port.
fn passes_by(text: &str, seen: &Seen<'_>) -> bool {
    const PROTOCOLS: [(&str, u8); 5] = [
        ("tcp", protocol::TCP),
        ("udp", protocol::UDP),
        ("icmp", protocol::ICMP),
        ("icmpv6", protocol::ICMPV6),
        ("sctp", 132),
    ];
    let words: Vec<&str> = text.split_whitespace().collect();
    let end = words
        .iter()
        .position(|word| WORDS.contains(word) || word.contains('@') || word.contains('"'))
        .unwrap_or(words.len());
    words[..end].windows(3).any(|three| {
        let [name, field, value] = three else {
            return false;
        };
        let Some((_, number)) = PROTOCOLS.iter().find(|(known, _)| known == name) else {
            return false;
        };
        match *field {
            "dport" if *number == seen.protocol => match (port_range(value), seen.ports()) {
                (Some(ports), Some((_, dport))) => !ports.contains(&dport),
                _ => false,
            },
            "dport" | "sport" | "flags" | "type" => *number != seen.protocol,
            _ => false,
        }
    })
}

/// `22`, `8000-8010`; nothing else.
fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use firedrill_harness::packet::{Tcp, Transport, Udp, craft};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("limit rate 5/second accept", true)]
    #[case("tcp dport 22 ct count over 3 drop", true)]
    #[case("tcp dport 22 counter packets 0 bytes 0 accept", false)]
    #[case("add @blocked { ip saddr } drop", true)]
    #[case("ip saddr @blocked drop", true)]
    #[case("ip saddr @office accept", false)]
    #[case("tcp dport 22 accept comment \"no limits\"", false)]
    #[case("meta mark set 0x1 accept", false)]
    #[case("xt match \"hashlimit\" accept", true)]
    #[case("xt match \"set\" accept", true)]
    #[case("-m set --match-set blocked src -j DROP", true)]
    #[case("-m set --match-set office src -j ACCEPT", false)]
    #[case("-p tcp -m recent --name ssh --rcheck -j DROP", true)]
    fn a_rule_that_remembers_is_known_by_its_words(#[case] text: &str, #[case] remembering: bool) {
        let filled = BTreeSet::from(["blocked".to_owned()]);
        assert_eq!(remembers(text, &filled).is_some(), remembering, "{text}");
    }

    #[rstest]
    #[case("tcp dport 22 limit rate 5/second accept", false)]
    #[case("tcp dport 23 limit rate 5/second accept", true)]
    #[case("tcp dport 20-30 limit rate 5/second accept", false)]
    #[case("udp dport 22 limit rate 5/second accept", true)]
    #[case("tcp dport != 23 limit rate 5/second accept", false)]
    #[case("tcp dport { 23, 24 } limit rate 5/second accept", false)]
    #[case("icmp type echo-request limit rate 5/second accept", true)]
    #[case("limit rate 5/second tcp dport 23 accept", false)]
    fn a_packet_passes_by_only_where_the_rule_begins_with_another_port_or_protocol(
        #[case] text: &str,
        #[case] by: bool,
    ) {
        let tcp = Tcp {
            sport: 1,
            dport: 22,
            ..Tcp::default()
        };
        let transport = Transport::Tcp(tcp);
        let ends = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
        let bytes = craft(&Packet::new(ends.0, ends.1, 7, transport));
        assert_eq!(passes_by(text, &Seen::parse(&bytes).unwrap()), by, "{text}");
        let udp = Transport::Udp(Udp::default());
        let bytes = craft(&Packet::new(ends.0, ends.1, 7, udp));
        let seen = Seen::parse(&bytes).unwrap();
        assert!(passes_by("tcp flags syn limit rate 1/second", &seen));
    }
}
