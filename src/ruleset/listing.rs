//! Reads the loaded ruleset as `nft -a list ruleset` and, for legacy iptables, `iptables-save` print it:
//! which chains hook where, and the text of every rule.
//!
//! Rule texts are for people. Nothing is ever decided by comparing them: rules are known by their
//! handles.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use firedrill_harness::{TRACE_TABLE, protocol::Listing};

use super::{
    chain::{Base, Chain, ChainInfo, Rule},
    legacy::{self},
    marks::anonymous_sets,
    origin::{Origin, Origins},
    text::{logical_lines, split_handle},
};

/// A loaded ruleset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    chains: BTreeMap<Chain, ChainInfo>,
    /// Rules of inline chains by family, table and handle.
    inline: BTreeMap<(String, String, u64), String>,
    /// The tables' own handles by family and name: a table that was made anew has another.
    tables: BTreeMap<(String, String), u64>,
    /// Who brought what, in the order of loading.
    layers: Vec<LayerOrigins>,
}

/// How the kernel begins the names of inline chains.
const INLINE_CHAIN: &str = "__chain";

impl Ruleset {
    /// Reads a listing. Lines that are not understood are passed over: a rule without text is known
    /// by its handle still.
    #[must_use]
    pub fn parse(listing: &Listing) -> Self {
        let mut parser = Parser::default();
        logical_lines(&listing.listing).for_each(|line| parser.line(line));
        parser.chains.retain(|chain, _| chain.table != TRACE_TABLE);
        let mut inline = BTreeMap::new();
        for (chain, info) in &mut parser.chains {
            let key = (chain.family.clone(), chain.table.clone());
            let used = parser.handles.get(&key);
            for (handle, rule) in &mut info.rules {
                let texts = std::mem::take(&mut rule.inline);
                rule.inline = used
                    .and_then(|used| inline_handles(*handle, &rule.text, texts, used))
                    .unwrap_or_default();
                for (handle, text) in &rule.inline {
                    inline.insert((key.0.clone(), key.1.clone(), *handle), text.clone());
                }
            }
        }
        for (family, legacy) in [("ip", &listing.iptables), ("ip6", &listing.ip6tables)] {
            parser.chains.extend(legacy::chains(family, legacy));
        }
        Self {
            chains: parser.chains,
            inline,
            tables: parser.tables,
            layers: Vec::new(),
        }
    }

    /// The same, with what is known of where its rules were written.
    pub(crate) fn with_origins(self, layers: Vec<LayerOrigins>) -> Self {
        Self { layers, ..self }
    }

    /// The same without the rules of an earlier listing. The rules of a legacy chain have no identity but
    /// their order, so a chain that differs counts as a whole.
    pub(crate) fn without(&self, earlier: &Self) -> Self {
        let mut brought = self.clone();
        for (chain, info) in &mut brought.chains {
            let same_table = self.same_table(earlier, chain);
            let Some(before) = earlier.chains.get(chain).filter(|_| same_table) else {
                continue;
            };
            if !chain.family.starts_with(legacy::LEGACY) || info.rules == before.rules {
                info.rules
                    .retain(|handle, _| !before.rules.contains_key(handle));
                info.order
                    .retain(|handle| !before.rules.contains_key(handle));
            }
        }
        brought.inline.retain(|(family, table, handle), _| {
            let key = (family.clone(), table.clone());
            self.tables.get(&key) != earlier.tables.get(&key)
                || !earlier.inline.contains_key(&(key.0, key.1, *handle))
        });
        brought
    }

    /// The base chains whose policy was another one before, or that were not there.
    pub(crate) fn policies_since(&self, earlier: &Self) -> BTreeSet<Chain> {
        let base =
            |ruleset: &Self, chain| ruleset.chains.get(chain).and_then(|info| info.base.clone());
        let chains = self.chains.keys().filter(|chain| {
            !self.same_table(earlier, chain) || base(self, chain) != base(earlier, chain)
        });
        chains.cloned().collect()
    }

    /// Whether the table of a chain is the very same in another listing.
    fn same_table(&self, other: &Self, chain: &Chain) -> bool {
        let key = (chain.family.clone(), chain.table.clone());
        self.tables.get(&key) == other.tables.get(&key)
    }

    /// All chains.
    pub fn chains(&self) -> impl Iterator<Item = (&Chain, &ChainInfo)> {
        self.chains.iter()
    }

    /// A chain, if the listing has it.
    #[must_use]
    pub fn chain(&self, chain: &Chain) -> Option<&ChainInfo> {
        self.chains.get(chain)
    }

    /// The text of a rule.
    #[must_use]
    pub fn rule(&self, chain: &Chain, handle: u64) -> Option<&str> {
        if chain.name.starts_with(INLINE_CHAIN) {
            let key = (chain.family.clone(), chain.table.clone(), handle);
            return self.inline.get(&key).map(String::as_str);
        }
        self.chains
            .get(chain)?
            .rules
            .get(&handle)
            .map(|rule| rule.text.as_str())
    }

    /// Where a rule was written; `None` if nobody has looked.
    #[must_use]
    pub fn origin(&self, chain: &Chain, handle: u64) -> Option<Origin> {
        let unknown = |why: &str| Some(Origin::Unknown(why.to_owned()));
        match (self.layers.as_slice(), self.bringer(chain, handle)) {
            ([], _) => None,
            ([only], _) => only.origins.rule(chain, handle),
            (_, None) => unknown("no layer brought it"),
            (_, Some(layer)) if layer.brought.rule(chain, handle) != self.rule(chain, handle) => {
                unknown("a later layer changed it")
            }
            (_, Some(layer)) => layer.origins.rule(chain, handle),
        }
    }

    /// Where a policy was written; `None` if nobody has looked.
    #[must_use]
    pub fn policy_origin(&self, chain: &Chain) -> Option<Origin> {
        match (self.layers.as_slice(), self.policy_bringer(chain)) {
            ([], _) => None,
            ([only], _) => only.origins.policy(chain),
            (_, Some(layer)) => layer.origins.policy(chain),
            (_, None) => Some(Origin::Unknown("no layer brought it".to_owned())),
        }
    }

    /// The layer that brought a rule, if there are several layers.
    #[must_use]
    pub fn layer(&self, chain: &Chain, handle: u64) -> Option<&str> {
        self.bringer(chain, handle)?.name.as_deref()
    }

    /// The layer that set a policy last, if there are several layers.
    #[must_use]
    pub fn policy_layer(&self, chain: &Chain) -> Option<&str> {
        self.policy_bringer(chain)?.name.as_deref()
    }

    /// Where a base chain stands among those of its hook, for comparison: by priority; of equal ones the
    /// kernel puts the one that is registered later first (net/netfilter/core.c, `nf_hook_entries_grow`).
    pub(crate) fn place(&self, chain: &Chain) -> (Option<i32>, Reverse<Option<usize>>) {
        let base = self.chains.get(chain).and_then(|info| info.base.as_ref());
        let mut layers = self.layers.iter();
        let registered = layers.position(|layer| {
            self.same_table(&layer.brought, chain) && layer.brought.chain(chain).is_some()
        });
        (base.and_then(|base| base.priority), Reverse(registered))
    }

    fn bringer(&self, chain: &Chain, handle: u64) -> Option<&LayerOrigins> {
        let mut layers = self.layers.iter().rev();
        layers.find(|layer| {
            self.same_table(&layer.brought, chain) && layer.brought.rule(chain, handle).is_some()
        })
    }

    /// The last layer that changed the policy, or that says the same in so many words.
    fn policy_bringer(&self, chain: &Chain) -> Option<&LayerOrigins> {
        let mut layers = self.layers.iter().rev();
        layers.find(|layer| {
            let says_so = || match layer.origins.policy(chain) {
                Some(Origin::Known(line)) => !line.implied,
                Some(Origin::Unknown(_)) | None => false,
            };
            self.same_table(&layer.brought, chain) && (layer.policies.contains(chain) || says_so())
        })
    }
}

#[derive(Default)]
struct Parser {
    chains: BTreeMap<Chain, ChainInfo>,
    /// Every handle of a table, whatever it is of.
    handles: BTreeMap<(String, String), BTreeSet<u64>>,
    tables: BTreeMap<(String, String), u64>,
    table: Option<(String, String)>,
    chain: Option<Chain>,
    /// A rule whose inline chain is being listed: its text so far, the rules of the chain.
    open: Option<(String, Vec<(u64, String)>)>,
}

impl Parser {
    fn line(&mut self, line: &str) {
        let depth = line.bytes().take_while(|byte| *byte == b'\t').count();
        let (text, handle) = split_handle(line.trim());
        if let (1.., Some(table), Some(handle)) = (depth, &self.table, handle) {
            self.handles
                .entry(table.clone())
                .or_default()
                .insert(handle);
        }
        let words: Vec<&str> = text.split_whitespace().take(4).collect();
        match (depth, words.as_slice()) {
            (0, ["table", family, name, "{"]) => {
                let table = ((*family).to_owned(), (*name).to_owned());
                self.tables.insert(table.clone(), handle.unwrap_or(0));
                self.table = Some(table);
                self.chain = None;
            }
            (1, ["chain", name, "{"]) => {
                self.chain = self.table.as_ref().map(|(family, table)| Chain {
                    family: family.clone(),
                    table: table.clone(),
                    name: (*name).to_owned(),
                });
                if let Some(chain) = &self.chain {
                    self.chains.entry(chain.clone()).or_default();
                }
            }
            (0 | 1, _) => self.chain = None,
            (2, ["type", kind, "hook", hook, ..]) if handle.is_none() => {
                let policy = text.rsplit_once("policy ").map_or("", |(_, policy)| policy);
                let base = Base {
                    kind: (*kind).to_owned(),
                    hook: (*hook).to_owned(),
                    priority: text
                        .split_once("priority ")
                        .and_then(|(_, rest)| priority(rest.split(';').next()?)),
                    policy: policy.trim_end_matches(';').to_owned(),
                };
                if let Some(info) = self.info() {
                    info.base = Some(base);
                }
            }
            (2, _) if text.ends_with("jump {") || text.ends_with("goto {") => {
                self.open = Some((text.to_owned(), Vec::new()));
            }
            (2, _) => {
                let rule = match self.open.take() {
                    Some((head, inline)) => {
                        let inner: Vec<&str> = inline.iter().map(|(_, text)| &**text).collect();
                        Rule {
                            text: format!("{head} {} {text}", inner.join("; ")),
                            inline,
                        }
                    }
                    None => Rule {
                        text: text.to_owned(),
                        inline: Vec::new(),
                    },
                };
                if let (Some(info), Some(handle)) = (self.info(), handle) {
                    info.rules.insert(handle, rule);
                    info.order.push(handle);
                }
            }
            // Inner rules have handles too, but they are not listed.
            (_, _) => {
                if let Some((_, inline)) = &mut self.open {
                    inline.push((0, text.to_owned()));
                }
            }
        }
    }

    fn info(&mut self) -> Option<&mut ChainInfo> {
        self.chain
            .as_ref()
            .and_then(|chain| self.chains.get_mut(chain))
    }
}

/// The handles of an inline chain's rules, which nft does not list. Before a rule with such a chain come,
/// each with a handle: the rule's own anonymous sets, the chain, and the chain's rules, each behind its
/// own anonymous sets. If that fills the gap between the rule's handle and the one before it to the last,
/// there is only one way to fill it.
fn inline_handles(
    outer: u64,
    text: &str,
    mut inline: Vec<(u64, String)>,
    used: &BTreeSet<u64>,
) -> Option<Vec<(u64, String)>> {
    if inline.is_empty() {
        return Some(inline);
    }
    let before = used.range(..outer).next_back().copied().unwrap_or(0);
    let mut last = before + anonymous_sets(text)? + 1;
    for (handle, text) in &mut inline {
        // A chain inside the chain.
        if text.ends_with('{') {
            return None;
        }
        last += anonymous_sets(text)? + 1;
        *handle = last;
    }
    (last + 1 == outer).then_some(inline)
}

/// A priority as nft lists it: a number, or a name (nft(8), "Standard priority names") with a number.
pub(crate) fn priority(text: &str) -> Option<i32> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let named = match first {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" => -100,
        "filter" => 0,
        "security" => 50,
        "srcnat" => 100,
        number => return number.parse().ok(),
    };
    match (words.next(), words.next()) {
        (None, None) => Some(named),
        (Some("+"), Some(more)) => Some(named + more.parse::<i32>().ok()?),
        (Some("-"), Some(less)) => Some(named - less.parse::<i32>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(listing: &str) -> Ruleset {
        Ruleset::parse(&Listing {
            listing: listing.to_owned(),
            ..Listing::default()
        })
    }

    const LISTING: &str = "table inet filter { # handle 3\n\
        \tset office { # handle 2\n\
        \t\ttype ipv4_addr\n\
        \t\tflags interval\n\
        \t}\n\
        \n\
        \tchain input { # handle 1\n\
        \t\ttype filter hook input priority filter; policy drop;\n\
        \t\tct state vmap { invalid : drop, established : accept } # handle 5\n\
        \t\ttcp dport 22 comment \"see # handle 99\" accept # handle 6\n\
        \t}\n\
        \n\
        \tchain log_drop { # handle 4\n\
        \t\tdrop # handle 7\n\
        \t}\n\
        }\n\
        table inet firedrill_trace { # handle 4 progname firedrill\n\
        \tflags owner\n\
        \n\
        \tchain output { # handle 1\n\
        \t\ttype filter hook output priority -2147483648; policy accept;\n\
        \t\tmeta nftrace set 1 # handle 2\n\
        \t}\n\
        }\n";

    fn chain(name: &str) -> Chain {
        Chain {
            family: "inet".to_owned(),
            table: "filter".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn rules_are_found_by_chain_and_handle() {
        let ruleset = parse(LISTING);
        assert_eq!(
            ruleset.rule(&chain("input"), 5),
            Some("ct state vmap { invalid : drop, established : accept }")
        );
        assert_eq!(
            ruleset.rule(&chain("input"), 6),
            Some("tcp dport 22 comment \"see # handle 99\" accept")
        );
        assert_eq!(ruleset.rule(&chain("log_drop"), 7), Some("drop"));
        assert_eq!(ruleset.rule(&chain("log_drop"), 5), None);
    }

    #[test]
    fn base_chains_know_their_hook() {
        let ruleset = parse(LISTING);
        let base = ruleset
            .chain(&chain("input"))
            .unwrap()
            .base
            .clone()
            .unwrap();
        assert_eq!(
            (base.kind.as_str(), base.hook.as_str()),
            ("filter", "input")
        );
        assert_eq!(ruleset.chain(&chain("log_drop")).unwrap().base, None);
    }

    #[test]
    fn priorities_are_names_numbers_and_both() {
        let listed = [
            "filter",
            "-10",
            "raw - 5",
            "srcnat + 1",
            "filter + x",
            "odd",
        ];
        let expected = [Some(0), Some(-10), Some(-305), Some(101), None, None];
        assert_eq!(listed.map(priority), expected);
        let ruleset = parse(LISTING);
        let base = ruleset.chain(&chain("input")).unwrap().base.as_ref();
        assert_eq!(base.unwrap().priority, Some(0));
    }

    #[test]
    fn the_harness_s_own_tables_are_left_out() {
        let ruleset = parse(LISTING);
        assert!(ruleset.chains.keys().all(|chain| chain.table == "filter"));
    }

    const INLINE: &str = "table inet t { # handle 1\n\
        \tchain c { # handle 1\n\
        \t\ttcp dport { 1, 2 } jump {\n\
        \t\t\tudp dport { 5, 6 } drop\n\
        \t\t\taccept\n\
        \t\t} comment \"outer\" # handle 7\n\
        \t\tcounter # handle 8\n\
        \t}\n\
        }\n";

    fn inline(listing: &str) -> Vec<(u64, String)> {
        let ruleset = parse(listing);
        let (_, info) = ruleset.chains().next().unwrap();
        info.rules.values().next().unwrap().inline.clone()
    }

    #[test]
    fn the_handles_of_inline_rules_are_counted() {
        // 1 chain c, 2 set, 3 inline chain, 4 set, 5 and 6 its rules, 7 the rule.
        let expected = vec![
            (5, "udp dport { 5, 6 } drop".to_owned()),
            (6, "accept".to_owned()),
        ];
        assert_eq!(inline(INLINE), expected);
        let ruleset = parse(INLINE);
        let in_chain = |name: &str| Chain {
            family: "inet".to_owned(),
            table: "t".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(ruleset.rule(&in_chain("__chain3"), 6), Some("accept"));
        assert_eq!(
            ruleset.rule(&in_chain("c"), 7),
            Some("tcp dport { 1, 2 } jump { udp dport { 5, 6 } drop; accept } comment \"outer\"")
        );
        assert_eq!(ruleset.rule(&in_chain("c"), 6), None);
    }

    #[test]
    fn inline_rules_whose_handles_leave_a_choice_have_none() {
        assert_eq!(inline(&INLINE.replace("handle 7", "handle 6")), []);
        assert_eq!(inline(&INLINE.replace("handle 7", "handle 9")), []);
        assert_eq!(inline(&INLINE.replace("udp dport {", "add @s {")), []);
    }

    #[test]
    fn a_comment_with_a_newline_fakes_no_rule() {
        let ruleset = parse(&LISTING.replace("see #", "see\n\t\taccept # handle 8\n#"));
        assert_eq!(ruleset.rule(&chain("input"), 8), None);
        assert!(ruleset.rule(&chain("input"), 6).is_some());
    }

    #[test]
    fn rules_stand_in_the_order_of_the_listing() {
        let ruleset = parse(&LISTING.replace("handle 5", "handle 50"));
        assert_eq!(ruleset.chain(&chain("input")).unwrap().order, [50, 6]);
    }
}

/// What one layer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerOrigins {
    /// What the layer is called, if there are several.
    pub(crate) name: Option<String>,
    /// The ruleset as it was listed then, with the rules that were new.
    pub(crate) brought: Ruleset,
    /// The base chains whose policy was another one before.
    pub(crate) policies: BTreeSet<Chain>,
    pub(crate) origins: Origins,
}
