//! Whether a verdict depends on what the firewall remembers of earlier packets: limits, quotas, counts of
//! connections, sets that rules fill.
//!
//! A test is about a packet that meets a freshly loaded firewall. Probes share a lab all the same, because
//! most rules remember nothing but connections, and every probe has one of its own. Which cases read what
//! an earlier case wrote into another memory is seen afterwards, and those are held once more, each in a
//! fresh lab. In doubt a rule counts as one that remembers: that costs time and never a verdict.
//!
//! What is written is mostly seen: a limit that a packet used up a part of has matched, and so has a rule
//! that adds to a set. A limit that matches again is as good as new. Where a rule writes without a trace
//! (`ct count`, `limit rate over`, `numgen`), trying it is enough.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::{packet::Seen, protocol::TraceKind};

use crate::ruleset::chain::Chain;
pub use crate::ruleset::ports::Ports;
use crate::{
    ruleset::listing::Ruleset,
    trace::way::{Traversal, Way},
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

/// Of these, those that write only where they match (unless something is to be *over* them).
const SEEN_WRITING: [&str; 2] = ["limit", "quota"];

/// Something that remembers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    /// A rule's own limit or quota.
    Rule(Chain, u64),
    /// A named set, map, limit or quota.
    Named(String),
}

/// What a rule has to do with memory.
#[derive(Debug, Clone, Default)]
struct Memories {
    /// What its verdict depends on.
    reads: Vec<Read>,
    /// What it writes where it matches.
    writes: Vec<Cell>,
    /// What it writes where it is tried.
    writes_unseen: Vec<Cell>,
}

/// How a verdict depends on a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    cell: Cell,
    /// A match proves that it was as good as new.
    proves: bool,
    /// How often it may have been written without making a difference.
    room: u32,
}

impl Read {
    /// Any earlier packet makes a difference.
    fn of(cell: Cell) -> Self {
        Self {
            cell,
            proves: false,
            room: 0,
        }
    }
}

/// What sweeping ports has to do with a rule that remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The ports that may come to it.
    pub ports: Ports,
    /// If it writes: how many packets may have come to it before one whose verdict is sure.
    pub room: Option<u32>,
    /// The rule, for people.
    pub rule: String,
}

/// The rules of a ruleset that remember something.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    rules: BTreeMap<(Chain, u64), Memories>,
}

/// What has been written into a ruleset's memory by the cases of one lab.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// How often.
    before: BTreeMap<Cell, u32>,
    /// By the case that is under way, which may well depend on its own packets.
    now: Vec<Cell>,
}

impl Written {
    /// The next case begins.
    pub fn next_case(&mut self) {
        for cell in self.now.drain(..) {
            *self.before.entry(cell).or_default() += 1;
        }
    }
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
        let idle = Idle::of(ruleset);
        let filled: BTreeSet<String> = rules().flat_map(|(_, _, text)| filled(text)).collect();
        let remembering = rules()
            .filter(|(chain, _, text)| idle.acts(chain, text) && remembers(text, &filled).is_some())
            .map(|(chain, handle, text)| {
                let own = Cell::Rule(chain.clone(), handle);
                ((chain.clone(), handle), memories(text, &filled, &own))
            });
        Self {
            rules: remembering.collect(),
        }
    }

    /// Whether what became of a probe, or of an error that came back for it, may depend on what earlier
    /// cases have written. Notes what this one writes.
    pub fn depends(&self, ruleset: &Ruleset, way: &Way<'_>, written: &mut Written) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let mut depends = false;
        for traversal in way.all() {
            for (rule, matched) in self.tried(traversal, ruleset) {
                depends |= rule.reads.iter().any(|read| {
                    let times = written.before.get(&read.cell).copied().unwrap_or(0);
                    times > read.room && !(matched && read.proves)
                });
                if matched {
                    written.now.extend(rule.writes.iter().cloned());
                }
                written.now.extend(rule.writes_unseen.iter().cloned());
            }
        }
        depends
    }

    /// What sweeping the ports of a protocol has to do with memory, for packets that may meet these base
    /// chains, told by chain and hook: every rule that they may come to.
    #[must_use]
    pub fn touches(
        &self,
        ruleset: &Ruleset,
        protocol: u8,
        meets: impl Fn(&Chain, &str) -> bool,
    ) -> Vec<Touch> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let entries = crate::ruleset::ports::entries(ruleset, protocol, meets);
        let mut room: BTreeMap<&Cell, u32> = BTreeMap::new();
        for read in self.rules.values().flat_map(|rule| &rule.reads) {
            let known = room.entry(&read.cell).or_insert(u32::MAX);
            *known = (*known).min(read.room);
        }
        let of = |((chain, handle), memories): (&(Chain, u64), &Memories)| {
            let text = ruleset.rule(chain, *handle).unwrap_or_default();
            let entered = entries.get(chain)?;
            let ports = Ports::of(beginning(text), protocol).and(entered);
            let written = memories.writes.iter().chain(&memories.writes_unseen);
            (!ports.is_empty()).then(|| Touch {
                ports,
                room: written
                    .map(|cell| room.get(cell).copied().unwrap_or(u32::MAX))
                    .min(),
                rule: format!("{chain}, handle {handle}: `{text}`"),
            })
        };
        self.rules.iter().filter_map(of).collect()
    }

    /// The rules with a memory that a packet may have come to, and whether they matched.
    fn tried(&self, traversal: &Traversal<'_>, ruleset: &Ruleset) -> Vec<(&Memories, bool)> {
        let mut found = Vec::new();
        for name in traversal.chains() {
            let chain = traversal.chain_named(name).into_owned();
            let of_chain = || traversal.events.iter().filter(|event| event.chain == name);
            let matched: BTreeSet<u64> = of_chain().filter_map(|event| event.handle).collect();
            // The end of a chain has no rule: then all of them were tried.
            let whole =
                of_chain().any(|event| event.handle.is_none() || event.kind != TraceKind::Rule);
            let order = ruleset.chain(&chain).map_or(&[][..], |info| &info.order);
            let last = order.iter().rposition(|handle| matched.contains(handle));
            let tried = match last {
                Some(last) if !whole => &order[..=last],
                _ => order,
            };
            for handle in tried {
                let Some(rule) = self.rules.get(&(chain.clone(), *handle)) else {
                    continue;
                };
                let text = ruleset.rule(&chain, *handle).unwrap_or_default();
                if !(traversal.headers).is_some_and(|headers| passes_by(text, &headers)) {
                    found.push((rule, matched.contains(handle)));
                }
            }
        }
        found
    }
}

/// The words of a rule, also those between quotes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == '"')
        .filter(|word| !word.is_empty())
}

/// What a rule that remembers has to do with memory.
fn memories(text: &str, filled: &BTreeSet<String>, own: &Cell) -> Memories {
    let mut memories = Memories::default();
    let words: Vec<&str> = words(text).collect();
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied().unwrap_or_default();
        match *word {
            // `limit name "x"` and `quota name "x"` are shared.
            "limit" | "quota" if next == "name" => {
                let name = words.get(index + 2).copied().unwrap_or_default();
                let cell = Cell::Named(name.to_owned());
                memories.reads.push(Read::of(cell.clone()));
                memories.writes_unseen.push(cell);
            }
            word if SEEN_WRITING.contains(&word) && !words.contains(&"over") => {
                memories.reads.push(Read {
                    cell: own.clone(),
                    proves: true,
                    room: room(&words, word),
                });
                memories.writes.push(own.clone());
            }
            word if word.starts_with('@') => {
                let cell = Cell::Named(word[1..].trim_end_matches(',').to_owned());
                memories.reads.push(Read::of(cell.clone()));
                // To look something up changes nothing.
                let before = words.get(index.wrapping_sub(1)).copied();
                if matches!(before, Some("add" | "update" | "delete" | "set")) {
                    memories.writes.push(cell);
                }
            }
            "--add-set" | "--del-set" => memories.writes.push(Cell::Named(next.to_owned())),
            "--match-set" if filled.contains(next) => {
                memories.reads.push(Read::of(Cell::Named(next.to_owned())));
            }
            // What nft names only may be any set.
            "set" if index > 0 && words[index - 1] == "match" => {
                memories.reads.push(Read::of(Cell::Named(String::new())));
            }
            "SET" if index > 0 && words[index - 1] == "target" => {
                memories.writes.push(Cell::Named(String::new()));
            }
            word if WORDS.contains(&word) => {
                memories.reads.push(Read::of(own.clone()));
                memories.writes_unseen.push(own.clone());
            }
            _ => {}
        }
    }
    memories
}

/// How many packets a full limit lets pass before another one may be refused. Limits of packets begin with
/// their whole burst (`nft_limit_init`, net/netfilter/nft_limit.c; xt_limit likewise); those that say nothing
/// have one of 5.
fn room(words: &[&str], word: &str) -> u32 {
    const USUAL: u32 = 5;
    let behind = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)
    };
    let whole = match (behind("burst"), behind("--limit-burst")) {
        _ if word != "limit" || words.iter().any(|word| word.contains("bytes/")) => None,
        (Some(burst), _) | (None, Some(burst)) => burst.parse().ok(),
        // What nft names only (`xt match "limit"`) may be anything.
        (None, None) if words.contains(&"rate") || words.contains(&"--limit") => Some(USUAL),
        (None, None) => None,
    };
    whole.unwrap_or(1_u32).saturating_sub(1)
}

/// What of a ruleset decides nothing, however much it remembers: chains that only log, as ufw's, and sets that only
/// logging rules fill and consult, as foomuuri's.
#[derive(Default)]
struct Idle<'r> {
    /// Whoever enters them comes back.
    chains: BTreeSet<&'r Chain>,
    /// The sets that rules consult which do something: all others are idle.
    consulted: BTreeSet<&'r str>,
}

impl<'r> Idle<'r> {
    fn of(ruleset: &'r Ruleset) -> Self {
        let texts = |chain: &'r Chain| {
            let order = ruleset.chain(chain).map_or(&[][..], |info| &info.order);
            order.iter().map(|handle| ruleset.rule(chain, *handle))
        };
        let inner = ruleset.chains().filter(|(_, info)| info.base.is_none());
        let mut idle = Self {
            chains: inner.map(|(chain, _)| chain).collect(),
            consulted: BTreeSet::new(),
        };
        // Chains only become busy and sets only consulted, so this ends.
        loop {
            let busy = |chain: &&'r Chain| {
                // What is not known may do anything.
                let acts =
                    |text: Option<&str>| text.is_none_or(|text| idle.does(chain, text, true));
                texts(chain).any(acts)
            };
            let quiet: BTreeSet<&Chain> = idle
                .chains
                .iter()
                .copied()
                .filter(|chain| !busy(chain))
                .collect();
            let acting = ruleset.chains().flat_map(|(chain, _)| {
                let texts = texts(chain).flatten();
                texts
                    .filter(|text| idle.acts(chain, text))
                    .collect::<Vec<_>>()
            });
            let consulted: BTreeSet<&str> = acting.flat_map(named).collect();
            if (quiet.len(), consulted.len()) == (idle.chains.len(), idle.consulted.len()) {
                return idle;
            }
            idle = Self {
                chains: quiet,
                consulted,
            };
        }
    }

    /// Whether a rule of this chain does anything to a packet, or fills a set that others consult.
    fn acts(&self, chain: &Chain, text: &str) -> bool {
        !self.chains.contains(chain) && self.does(chain, text, false)
    }

    /// As [`Idle::acts`], in whatever chain; `back`: where to return is to do nothing.
    fn does(&self, chain: &Chain, text: &str, back: bool) -> bool {
        const ACTS: [&str; 12] = [
            "accept",
            "drop",
            "reject",
            "goto",
            "queue",
            "vmap",
            "dnat",
            "snat",
            "masquerade",
            "redirect",
            "set",
            "synproxy",
        ];
        let comes_back = |name: &str| {
            self.chains.contains(&Chain {
                name: name.to_owned(),
                ..chain.clone()
            })
        };
        let mut words = words(text).peekable();
        while let Some(word) = words.next() {
            let next = words.peek().copied().unwrap_or_default();
            let does = match word {
                word if ACTS.contains(&word) => true,
                "return" => !back,
                "jump" => !comes_back(next),
                "xt" => next == "target",
                "add" | "update" | "delete" => {
                    let set = next.strip_prefix('@');
                    set.is_none_or(|set| self.consulted.contains(set))
                }
                // iptables: the target.
                "-g" => true,
                "-j" => match next {
                    "LOG" | "NFLOG" => false,
                    "RETURN" => !back,
                    target => !comes_back(target),
                },
                _ => false,
            };
            if does {
                return true;
            }
        }
        false
    }
}

/// The sets that a rule names.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let sets = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix('@'));
    sets.map(|set| set.trim_end_matches(','))
}

/// The sets that a rule fills or empties.
fn filled(text: &str) -> Vec<String> {
    let words: Vec<&str> = words(text).collect();
    let pairs = words.windows(2);
    pairs
        .filter_map(|pair| match pair[0] {
            // What nft cannot show of iptables it names only: any set.
            "target" if pair[1] == "SET" => Some(""),
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
            // To look something up in a set that no rule fills is to remember nothing.
            "set" if previous == "match" => filled.contains(""),
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

/// What a rule says before its memory.
fn beginning(text: &str) -> &str {
    let remembers = |word: &str| WORDS.contains(&word) || word.contains('@') || word.contains('"');
    let mut words = text.split_whitespace();
    // Words are parts of the text, so their places in it are known.
    let first = words.find(|word| remembers(word));
    let end = first.map_or(text.len(), |word| {
        word.as_ptr() as usize - text.as_ptr() as usize
    });
    &text[..end]
}

/// Whether a packet surely does not get as far as the memory of a rule: the rule begins with another
/// transport protocol or another port.
fn passes_by(text: &str, seen: &Seen<'_>) -> bool {
    let ports = Ports::of(beginning(text), seen.protocol);
    match seen.ports() {
        Some((_, dport)) => !ports.contains(dport),
        None => ports.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use firedrill_harness::{
        packet::{Packet, Tcp, Transport, Udp, craft},
        protocol::Listing,
    };
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
    #[case("xt match \"set\" xt target \"SET\"", true)]
    #[case("xt match \"set\" accept", false)]
    #[case("-m set --match-set blocked src -j DROP", true)]
    #[case("-m set --match-set office src -j ACCEPT", false)]
    #[case("-p tcp -m recent --name ssh --rcheck -j DROP", true)]
    fn a_rule_that_remembers_is_known_by_its_words(#[case] text: &str, #[case] remembering: bool) {
        let filled = BTreeSet::from(["blocked".to_owned()]);
        assert_eq!(remembers(text, &filled).is_some(), remembering, "{text}");
    }

    #[rstest]
    #[case("limit rate 5/second accept", true)]
    #[case("limit rate 5/second log prefix \"x\"", false)]
    #[case("limit rate 5/second counter packets 0 bytes 0 jump slow", true)]
    #[case("-p tcp -m limit --limit 3/min -j LOG", false)]
    #[case("-p tcp -m limit --limit 3/min -j ufw-limit", true)]
    #[case("limit rate 5/second return", true)]
    #[case("limit rate 5/second goto slow", true)]
    #[case("xt match \"limit\" xt target \"LOG\"", true)]
    fn a_rule_that_only_logs_decides_nothing(#[case] text: &str, #[case] acts: bool) {
        let chain = Chain {
            family: "ip".to_owned(),
            table: "filter".to_owned(),
            name: "INPUT".to_owned(),
        };
        assert_eq!(Idle::default().acts(&chain, text), acts, "{text}");
    }

    /// What foomuuri makes of every log, and what somebody else may make of the same set.
    #[rstest]
    #[case("", 0)]
    #[case("ip saddr @rates drop", 2)]
    #[case("add @other { ip saddr . @rates }", 0)]
    fn a_set_that_nobody_consults_decides_nothing(#[case] more: &str, #[case] remembering: usize) {
        let log = "update @rates { ip saddr limit rate 1/second burst 3 packets } log prefix \"x\"";
        let listing = Listing {
            listing: format!(
                "table inet t {{ # handle 1\n\tchain c {{ # handle 1\n\t\ttype filter hook input \
                 priority filter; policy drop;\n\t\t{log} # handle 2\n\t\ttcp dport 80 accept # handle \
                 3\n\t\t{more} # handle 4\n\t}}\n}}\n"
            ),
            ..Listing::default()
        };
        let memory = Memory::of(&Ruleset::parse(&listing));
        assert_eq!(memory.rules.len(), remembering);
    }

    /// The first is what ufw has; the others do something in that chain.
    #[rstest]
    #[case("counter log prefix \"[UFW BLOCK] \"", 0)]
    #[case("limit rate 3/minute drop", 3)]
    #[case("jump elsewhere", 2)]
    #[case("ct state invalid counter return", 0)]
    fn a_chain_that_only_logs_decides_nothing(#[case] last: &str, #[case] remembering: usize) {
        let listing = Listing {
            listing: format!(
                "table ip filter {{ # handle 1\n\tchain INPUT {{ # handle 1\n\t\ttype filter hook input \
                 priority filter; policy drop;\n\t\tlimit rate 3/minute burst 10 packets counter jump \
                 logging # handle 5\n\t}}\n\tchain logging {{ # handle 2\n\t\tct state invalid limit rate \
                 3/minute counter return # handle 6\n\t\t{last} # handle 7\n\t}}\n\tchain elsewhere {{ # \
                 handle 3\n\t\taccept # handle 8\n\t}}\n}}\n"
            ),
            ..Listing::default()
        };
        let memory = Memory::of(&Ruleset::parse(&listing));
        assert_eq!(memory.rules.len(), remembering, "{memory:?}");
    }

    /// iptables-nft with ipset, as nft lists it.
    #[rstest]
    #[case("counter", 0)]
    #[case("xt target \"SET\"", 2)]
    fn sets_of_ipset_are_memory_only_where_a_rule_fills_one(
        #[case] other: &str,
        #[case] remembering: usize,
    ) {
        let listing = Listing {
            listing: format!(
                "table ip filter {{ # handle 1\n\tchain INPUT {{ # handle 1\n\t\ttype filter hook input \
                 priority filter; policy drop;\n\t\txt match \"set\" counter accept # handle 5\n\t\ttcp \
                 dport 23 counter {other} # handle 6\n\t}}\n}}\n"
            ),
            ..Listing::default()
        };
        let memory = Memory::of(&Ruleset::parse(&listing));
        assert_eq!(memory.rules.len(), remembering, "{memory:?}");
    }

    #[test]
    fn a_limit_is_written_where_it_matches_and_a_count_where_it_is_tried() {
        let chain = Chain {
            family: "inet".to_owned(),
            table: "t".to_owned(),
            name: "c".to_owned(),
        };
        let own = Cell::Rule(chain, 7);
        let of = |text: &str| memories(text, &BTreeSet::from(["s".to_owned()]), &own);
        let limit = of("tcp dport 22 limit rate 5/second accept");
        let read = |room| Read {
            cell: own.clone(),
            proves: true,
            room,
        };
        assert_eq!(limit.reads, [read(4)]);
        for (text, room) in [
            ("limit rate 1/hour burst 1 packets accept", 0),
            ("limit rate 9/second burst 20 packets accept", 19),
            ("limit rate 10 kbytes/second burst 9 kbytes accept", 0),
            ("-m limit --limit 3/min -j ACCEPT", 4),
            ("-m limit --limit 3/min --limit-burst 7 -j ACCEPT", 6),
            ("xt match \"limit\" accept", 0),
            ("quota 100 bytes accept", 0),
        ] {
            assert_eq!(of(text).reads, [read(room)], "{text}");
        }
        assert_eq!(
            (limit.writes, limit.writes_unseen),
            (vec![own.clone()], vec![])
        );
        for text in [
            "limit rate over 5/second drop",
            "ct count over 3 drop",
            "numgen inc mod 2 0 drop",
        ] {
            let hidden = of(text);
            assert_eq!(hidden.reads, [Read::of(own.clone())], "{text}");
            assert_eq!(hidden.writes_unseen, std::slice::from_ref(&own), "{text}");
        }
        let set = Cell::Named("s".to_owned());
        let lookup = of("ip saddr @s drop");
        assert_eq!(lookup.reads, [Read::of(set.clone())]);
        assert!(lookup.writes.is_empty() && lookup.writes_unseen.is_empty());
        assert!(of("add @s { ip saddr }").writes.contains(&set));
    }

    #[rstest]
    #[case("tcp dport 22 limit rate 5/second accept", false)]
    #[case("tcp dport 23 limit rate 5/second accept", true)]
    #[case("tcp dport 20-30 limit rate 5/second accept", false)]
    #[case("udp dport 22 limit rate 5/second accept", true)]
    #[case("tcp dport != 23 limit rate 5/second accept", false)]
    #[case("tcp dport { 23, 24 } limit rate 5/second accept", true)]
    #[case("tcp dport { 20-22, 24 } limit rate 5/second accept", false)]
    #[case("tcp dport { 23, ssh } limit rate 5/second accept", false)]
    #[case("-p tcp -m tcp --dport 23 -m limit --limit 3/min -j ACCEPT", true)]
    #[case("-p tcp -m tcp ! --dport 23 -m limit --limit 3/min -j ACCEPT", false)]
    #[case("-p udp -m limit --limit 3/min -j ACCEPT", true)]
    #[case("-p ipv6-icmp -m limit --limit 3/min -j ACCEPT", true)]
    #[case("! -p udp -m limit --limit 3/min -j ACCEPT", false)]
    #[case(
        "-p tcp -m multiport --dports 80,443 -m limit --limit 3/min -j ACCEPT",
        true
    )]
    #[case(
        "-p tcp -m multiport --dports 20:23 -m limit --limit 3/min -j ACCEPT",
        false
    )]
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
