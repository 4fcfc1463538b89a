//! Reads the output of `nft -a list ruleset`: which chains hook where, and the text of every rule.
//!
//! Rule texts are for people. Nothing is ever decided by comparing them: rules are known by their
//! handles.

use std::collections::BTreeMap;

use firedrill_harness::TRACE_TABLE;

use crate::verdict::Chain;

/// A loaded ruleset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    chains: BTreeMap<Chain, ChainInfo>,
}

/// A chain of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainInfo {
    /// Where it is hooked in, if it is a base chain.
    pub base: Option<Base>,
    /// The text of its rules, by handle.
    pub rules: BTreeMap<u64, String>,
}

/// The particulars of a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress`.
    pub hook: String,
}

impl Ruleset {
    /// Reads a listing. Lines that are not understood are passed over: a rule without text is known
    /// by its handle still.
    #[must_use]
    pub fn parse(listing: &str) -> Self {
        let mut chains: BTreeMap<Chain, ChainInfo> = BTreeMap::new();
        let mut table: Option<(String, String)> = None;
        let mut current: Option<Chain> = None;
        for line in listing.lines() {
            let depth = line.chars().take_while(|c| *c == '\t').count();
            let (text, handle) = split_handle(line.trim());
            let words: Vec<&str> = text.split_whitespace().collect();
            match (depth, words.as_slice()) {
                (0, ["table", family, name, "{"]) => {
                    table = Some(((*family).to_owned(), (*name).to_owned()));
                    current = None;
                }
                (1, ["chain", name, "{"]) => {
                    current = table.as_ref().map(|(family, table)| Chain {
                        family: family.clone(),
                        table: table.clone(),
                        name: (*name).to_owned(),
                    });
                    if let Some(chain) = &current {
                        chains.entry(chain.clone()).or_default();
                    }
                }
                (0 | 1, _) => current = None,
                (_, ["type", kind, "hook", hook, ..]) if handle.is_none() => {
                    if let Some(info) = current.as_ref().and_then(|chain| chains.get_mut(chain)) {
                        info.base = Some(Base {
                            kind: (*kind).to_owned(),
                            hook: (*hook).to_owned(),
                        });
                    }
                }
                _ => {
                    let info = current.as_ref().and_then(|chain| chains.get_mut(chain));
                    if let (Some(info), Some(handle)) = (info, handle) {
                        info.rules.insert(handle, text.to_owned());
                    }
                }
            }
        }
        chains.retain(|chain, _| chain.table != TRACE_TABLE);
        Self { chains }
    }

    /// Every chain.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.keys()
    }

    /// A chain, if the listing has it.
    #[must_use]
    pub fn chain(&self, chain: &Chain) -> Option<&ChainInfo> {
        self.chains.get(chain)
    }

    /// The text of a rule.
    #[must_use]
    pub fn rule(&self, chain: &Chain, handle: u64) -> Option<&str> {
        self.chains
            .get(chain)?
            .rules
            .get(&handle)
            .map(String::as_str)
    }
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
}
