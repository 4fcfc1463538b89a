//! Reads the output of `nft -a list ruleset`: which chains hook where, and the text of every rule.
//!
//! Rule texts are for people. Nothing is ever decided by comparing them: rules are known by their
//! handles.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::TRACE_TABLE;

use super::{nftables::rule::anonymous_sets, origin::Origins};
use crate::verdict::{Chain, Origin};

/// A loaded ruleset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    chains: BTreeMap<Chain, ChainInfo>,
    /// Rules of inline chains by family, table and handle.
    inline: BTreeMap<(String, String, u64), String>,
    origins: Origins,
}

/// A chain of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainInfo {
    /// Where it is hooked in, if it is a base chain.
    pub base: Option<Base>,
    /// Its rules, by handle.
    pub rules: BTreeMap<u64, Rule>,
    /// The handles of its rules in the order in which a packet meets them.
    pub order: Vec<u64>,
}

/// A rule of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its text, on one line.
    pub text: String,
    /// The rules of its inline chain (`jump { … }`) by their handles; none where the handles are not
    /// beyond doubt.
    pub inline: Vec<(u64, String)>,
}

/// The particulars of a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress`.
    pub hook: String,
    /// `accept` or `drop`.
    pub policy: String,
}

/// How the kernel begins the names of inline chains.
const INLINE_CHAIN: &str = "__chain";

impl Ruleset {
    /// Reads a listing. Lines that are not understood are passed over: a rule without text is known
    /// by its handle still.
    #[must_use]
    pub fn parse(listing: &str) -> Self {
        let mut parser = Parser::default();
        logical_lines(listing).for_each(|line| parser.line(line));
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
        Self {
            chains: parser.chains,
            inline,
            origins: Origins::default(),
        }
    }

    /// The same, with what is known of where its rules were written.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        Self { origins, ..self }
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
        self.origins.rule(chain, handle)
    }

    /// Where a policy was written; `None` if nobody has looked.
    #[must_use]
    pub fn policy_origin(&self, chain: &Chain) -> Option<Origin> {
        self.origins.policy(chain)
    }
}

#[derive(Default)]
struct Parser {
    chains: BTreeMap<Chain, ChainInfo>,
    /// Every handle of a table, whatever it is of.
    handles: BTreeMap<(String, String), BTreeSet<u64>>,
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
                self.table = Some(((*family).to_owned(), (*name).to_owned()));
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

/// Lines, where a text between quotes (a comment, a log prefix) may have newlines of its own.
fn logical_lines(listing: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    listing.split(move |c: char| {
        quoted ^= c == '"';
        c == '\n' && !quoted
    })
}

/// Splits `tcp dport 22 accept # handle 7`.
fn split_handle(line: &str) -> (&str, Option<u64>) {
    match line.rsplit_once("# handle ") {
        Some((text, rest)) => {
            // A table with an owner says more behind its handle.
            let number = rest
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            (text.trim_end(), number)
        }
        None => (line, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ruleset = Ruleset::parse(LISTING);
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
        let ruleset = Ruleset::parse(LISTING);
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
    fn the_harness_s_own_tables_are_left_out() {
        let ruleset = Ruleset::parse(LISTING);
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
        let ruleset = Ruleset::parse(listing);
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
        let ruleset = Ruleset::parse(INLINE);
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
        let ruleset = Ruleset::parse(&LISTING.replace("see #", "see\n\t\taccept # handle 8\n#"));
        assert_eq!(ruleset.rule(&chain("input"), 8), None);
        assert!(ruleset.rule(&chain("input"), 6).is_some());
    }

    #[test]
    fn rules_stand_in_the_order_of_the_listing() {
        let ruleset = Ruleset::parse(&LISTING.replace("handle 5", "handle 50"));
        assert_eq!(ruleset.chain(&chain("input")).unwrap().order, [50, 6]);
    }
}
