//! The whole way of a packet through the firewall, as the kernel's trace shows it: every chain that it
//! entered, every rule that matched, every jump and return, policies, look-ups, logs and marks, and its headers
//! as they change. For people and reports; nothing is decided here.
//!
//! The trace shows rules that matched to their end. A rule that did not match is not on the way.

use std::{cell::OnceCell, net::IpAddr};

use firedrill_harness::{
    interface_at,
    packet::Seen,
    protocol::{LabSpec, Origin, TraceEvent, TraceKind, TraceVerdict},
};

use super::decider::{Decider, Policy, Rule};
pub use super::lookup::Lookup;
use super::lookup::lookups;
use super::way::{Observation, Traversal};
use crate::ruleset::{
    chain::{Base, Chain},
    listing::Ruleset,
    lookup::{Shown, quoted_apart},
    state::{SetListing, sets},
};

/// The way of one packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    /// The base chains that it went through, in order.
    pub passages: Vec<Passage>,
    /// Those of the error that was sent because of it.
    pub error: Vec<Passage>,
}

/// The way through one base chain and the chains that it jumps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The base chain.
    pub chain: Chain,
    /// Where it is hooked in, if the listing has it.
    pub base: Option<Base>,
    /// The layer that set its policy, if there are several.
    pub layer: Option<String>,
    /// The packet as it came here, if the trace shows that.
    pub headers: Option<Headers>,
    /// What it met, in order.
    pub stops: Vec<Stop>,
}

/// What translation and forwarding may change of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source and destination port, if its protocol has them.
    pub ports: Option<(u16, u16)>,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
}

/// Something that a packet met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// How many jumps lead here from the base chain.
    pub depth: usize,
    /// What it is.
    pub met: Met,
    /// What it did.
    pub did: Did,
    /// Sets and maps in which the rule looked something up.
    pub lookups: Vec<Lookup>,
    /// What else the rule did.
    pub beside: Vec<Beside>,
}

/// What a packet met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// A rule that matched.
    Rule(Rule),
    /// The policy of the base chain.
    Policy(Policy),
    /// The end of a chain, from which it goes back.
    End(Chain),
}

/// What became of a packet there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// It went on to the next rule.
    Continue,
    /// This chain lets it pass.
    Accept,
    /// It was thrown away.
    Drop,
    /// It went into this chain, to come back.
    Jump(String),
    /// It went into this chain for good.
    Goto(String),
    /// It went back to the calling chain.
    Return,
    /// It was handed to a program.
    Queue,
    /// Another part of the kernel has it now.
    Stolen,
    /// Something that this program does not know.
    Unknown,
}

/// What a rule did beside its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// It counted the packet, in a counter of this name if it has one.
    Counted(Option<String>),
    /// It logged the packet, with this prefix.
    Logged(String),
    /// The packet had this mark afterwards, and another before.
    Marked(u32),
}

/// What is known beside the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The lab as planned.
    pub lab: &'a LabSpec,
    /// The ruleset as listed.
    pub ruleset: &'a Ruleset,
    /// The text of the listing of nftables, for the elements of its sets.
    pub listing: &'a str,
}

impl Walk {
    /// The way of a probe, as it was sent; empty where the trace may not be whole.
    #[must_use]
    pub fn of(observation: &Observation<'_>, around: Around<'_>) -> Self {
        if !observation.is_whole() {
            return Self::default();
        }
        let known = OnceCell::new();
        let known = || &**known.get_or_init(|| sets(around.listing));
        let sent = &observation.sent;
        let carried = sent.packet.protocol();
        let passages = |traversals: &[Traversal<'_>]| {
            let traversals = in_order(traversals, around.ruleset, sent.from).into_iter();
            traversals
                .map(|traversal| passage(traversal, carried, around, &known))
                .collect()
        };
        Self {
            passages: passages(&observation.way.traversals),
            error: passages(&observation.way.of_error),
        }
    }

    /// Whether the trace shows anything of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passages.is_empty() && self.error.is_empty()
    }
}

/// Traversals in the order in which they began. The traces of nftables and of legacy iptables come apart, each in
/// its own order; together they are in the order of their hooks and priorities.
fn in_order<'w, 't>(
    traversals: &'w [Traversal<'t>],
    ruleset: &Ruleset,
    from: Origin,
) -> Vec<&'w Traversal<'t>> {
    let mut ordered: Vec<_> = traversals.iter().collect();
    ordered.sort_by_key(|traversal| traversal.begin);
    if !traversals.iter().any(Traversal::is_legacy) || traversals.iter().all(Traversal::is_legacy) {
        return ordered;
    }
    // What the firewall sends to itself leaves before it comes in.
    let hooks = match from {
        Origin::Wire(_) => [
            "ingress",
            "prerouting",
            "input",
            "forward",
            "output",
            "postrouting",
            "egress",
        ],
        Origin::Firewall => [
            "output",
            "postrouting",
            "egress",
            "ingress",
            "prerouting",
            "input",
            "forward",
        ],
    };
    ordered.sort_by_key(|traversal| {
        let base = ruleset
            .chain(&traversal.chain)
            .and_then(|info| info.base.as_ref());
        let hook = base.and_then(|base| hooks.iter().position(|hook| *hook == base.hook));
        (hook, ruleset.place(&traversal.chain))
    });
    ordered
}

fn passage<'s>(
    traversal: &Traversal<'_>,
    carried: u8,
    around: Around<'_>,
    sets: &impl Fn() -> &'s [SetListing],
) -> Passage {
    let ruleset = around.ruleset;
    let first = traversal.events.first();
    let headers = traversal.headers.map(|headers| Headers::of(&headers));
    let name = |index: Option<u32>| {
        let interface = around.lab.interfaces.get(interface_at(index?)?)?;
        Some(interface.name.as_str())
    };
    let shown = headers.map(|headers| Shown {
        source: headers.source,
        destination: headers.destination,
        protocol: carried,
        ports: headers.ports,
        icmp_type: None,
        iif: name(first.and_then(|event| event.iif)),
        oif: name(first.and_then(|event| event.oif)),
        state: None,
    });
    Passage {
        base: ruleset
            .chain(&traversal.chain)
            .and_then(|info| info.base.clone()),
        layer: ruleset.policy_layer(&traversal.chain).map(str::to_owned),
        headers,
        stops: stops(traversal, shown, around.ruleset, sets),
        chain: traversal.chain.clone(),
    }
}

fn stops<'s>(
    traversal: &Traversal<'_>,
    mut shown: Option<Shown<'_>>,
    ruleset: &Ruleset,
    sets: &impl Fn() -> &'s [SetListing],
) -> Vec<Stop> {
    // The chains from the base chain to where the packet is.
    let mut inside: Vec<&str> = vec![&traversal.chain.name];
    let mut mark = traversal.events.first().map_or(0, |event| event.mark);
    let mut stops = Vec::new();
    for (number, event) in traversal.events.iter().enumerate() {
        match inside.iter().rposition(|name| *name == event.chain) {
            Some(depth) => inside.truncate(depth + 1),
            // A jump that the trace does not show.
            None => inside.push(&event.chain),
        }
        let depth = inside.len() - 1;
        if let TraceVerdict::Jump(chain) | TraceVerdict::Goto(chain) = &event.verdict {
            inside.push(chain);
        }
        let did = Did::of(event);
        let chain = traversal.chain_named(&event.chain).into_owned();
        let met = match (event.kind, event.handle) {
            (TraceKind::Rule, Some(handle)) => Met::Rule(Rule::of(chain, handle, ruleset)),
            (TraceKind::Policy, _) => Met::Policy(Policy::of(chain, ruleset)),
            // The policy of the base chain stands at its end.
            (TraceKind::Rule | TraceKind::Return | TraceKind::Other, _) if depth == 0 => continue,
            (TraceKind::Rule | TraceKind::Return | TraceKind::Other, _) => Met::End(chain),
        };
        let text = match &met {
            Met::Rule(rule) => rule.text.as_deref().unwrap_or_default(),
            Met::Policy(_) | Met::End(_) => "",
        };
        let mut beside = beside(text);
        // The mark of a passage's first event has no mark before it to compare with.
        if event.mark != mark || (number == 0 && mark != 0) {
            mark = event.mark;
            beside.push(Beside::Marked(mark));
        }
        let lookups = lookups(text, shown, sets);
        // The trace shows the headers at the start of a chain only.
        if writes_headers(text) {
            shown = None;
        }
        stops.push(Stop {
            depth,
            lookups,
            met,
            did,
            beside,
        });
    }
    stops
}

/// Whether a rule of this text may write over what look-ups read of a packet.
fn writes_headers(text: &str) -> bool {
    const FIELDS: [&str; 4] = ["saddr", "daddr", "sport", "dport"];
    let words = quoted_apart(text);
    let mut pairs = words.windows(2);
    pairs.any(|pair| FIELDS.contains(&pair[0]) && pair[1] == "set")
}

/// What the text of a rule says that it does beside its verdict.
fn beside(text: &str) -> Vec<Beside> {
    let words = quoted_apart(text);
    let after = |place: usize| words.get(place + 1).map(|word| word.trim_matches('"'));
    let mut found = Vec::new();
    // What rules of legacy iptables say has no such words, and their comments may have no quotes.
    let xtables = text.starts_with('-');
    for (place, word) in words.iter().enumerate() {
        match *word {
            "counter" | "log" if xtables => {}
            "counter" => {
                let named = after(place).filter(|next| *next == "name");
                let name = named.and_then(|_| after(place + 1)).map(str::to_owned);
                found.push(Beside::Counted(name));
            }
            "log" => {
                let prefix = after(place).filter(|next| *next == "prefix");
                let prefix = prefix.and_then(|_| after(place + 1)).unwrap_or_default();
                found.push(Beside::Logged(prefix.to_owned()));
            }
            "--log-prefix" | "--nflog-prefix" => {
                let prefix = after(place).unwrap_or_default();
                found.push(Beside::Logged(prefix.to_owned()));
            }
            _ => {}
        }
    }
    found
}

impl Did {
    /// All that lead to no other chain.
    pub(crate) const WITHOUT_CHAIN: [Self; 7] = [
        Self::Continue,
        Self::Accept,
        Self::Drop,
        Self::Return,
        Self::Queue,
        Self::Stolen,
        Self::Unknown,
    ];

    fn of(event: &TraceEvent) -> Self {
        match &event.verdict {
            TraceVerdict::Drop => Self::Drop,
            TraceVerdict::Accept => Self::Accept,
            TraceVerdict::Stolen => Self::Stolen,
            TraceVerdict::Queue => Self::Queue,
            TraceVerdict::Continue | TraceVerdict::Break => Self::Continue,
            TraceVerdict::Jump(chain) => Self::Jump(chain.clone()),
            TraceVerdict::Goto(chain) => Self::Goto(chain.clone()),
            TraceVerdict::Return => Self::Return,
            TraceVerdict::Untold | TraceVerdict::Other(_) => Self::Unknown,
        }
    }

    /// The word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Jump(_) => "jump",
            Self::Goto(_) => "goto",
            Self::Return => "return",
            Self::Queue => "queue",
            Self::Stolen => "stolen",
            Self::Unknown => "unknown",
        }
    }
}

impl Met {
    /// As who decides, unless it is the end of a chain.
    #[must_use]
    pub fn decider(&self) -> Option<Decider> {
        match self {
            Self::Rule(rule) => Some(Decider::Rule(rule.clone())),
            Self::Policy(policy) => Some(Decider::Policy(policy.clone())),
            Self::End(_) => None,
        }
    }
}

impl Headers {
    fn of(seen: &Seen<'_>) -> Self {
        Self {
            source: seen.source,
            destination: seen.destination,
            ports: seen.ports(),
            ttl: seen.ttl,
            dscp: seen.traffic_class >> 2,
        }
    }

    /// What is otherwise than before, in words: `destination 192.0.2.1:8080 -> 10.0.0.5:80`.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let ends = |headers: &Self| {
            let (sport, dport) = headers.ports.unzip();
            let end = |address: IpAddr, port: Option<u16>| match port {
                Some(port) => std::net::SocketAddr::new(address, port).to_string(),
                None => address.to_string(),
            };
            [
                end(headers.source, sport),
                end(headers.destination, dport),
                headers.ttl.to_string(),
                headers.dscp.to_string(),
            ]
        };
        let names = ["source", "destination", "ttl", "dscp"];
        let both = ends(before).into_iter().zip(ends(self));
        names
            .into_iter()
            .zip(both)
            .filter(|(_, (before, after))| before != after)
            .map(|(name, (before, after))| format!("{name} {before} -> {after}"))
            .collect()
    }
}
