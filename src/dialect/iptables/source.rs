//! What a file of `iptables-save` makes: its tables, with their chains and rules, each with its line.

use std::collections::BTreeMap;

use crate::ruleset::{
    legacy::{target, words},
    origin::Place,
};

/// A file as `iptables-restore` reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Source {
    /// By name.
    pub(in crate::dialect) tables: BTreeMap<String, Table>,
}

/// A table of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Table {
    /// In the order in which they were made, also those that are gone.
    pub(in crate::dialect) rules: Vec<SourceRule>,
    pub(in crate::dialect) chains: BTreeMap<String, Chain>,
    /// A line whose effect is not followed, and why.
    pub(in crate::dialect) doubt: Option<(Place, &'static str)>,
}

/// A chain of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Chain {
    /// Its policy, with the line that sets it.
    pub(in crate::dialect) policy: Option<(Place, String)>,
    /// Its rules (indices into [`Table::rules`]) in the order in which a packet meets them.
    pub(in crate::dialect) order: Vec<usize>,
}

/// A rule of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialect) struct SourceRule {
    pub(in crate::dialect) chain: String,
    pub(in crate::dialect) place: Place,
    /// Everything behind the name of the chain.
    pub(in crate::dialect) words: Vec<String>,
}

impl SourceRule {
    /// The value of an option that stands by itself: not negated.
    pub(in crate::dialect) fn option(&self, names: &[&str]) -> Option<&str> {
        option(&self.words, names)
    }

    /// Where it leads: whether by `-g`, and where.
    pub(in crate::dialect) fn target(&self) -> Option<(bool, &str)> {
        target(&self.words)
    }
}

/// The value of an option, unless it is negated.
pub(in crate::dialect) fn option<'a>(words: &'a [String], names: &[&str]) -> Option<&'a str> {
    let at = words
        .iter()
        .position(|word| names.contains(&word.as_str()))?;
    let negated = at > 0 && words[at - 1] == "!";
    let value = words
        .get(at + 1)
        .filter(|value| !negated && *value != "!")?;
    Some(value)
}

/// Reads a file; `include` is its number among the files of the configuration.
pub(in crate::dialect) fn read(text: &str, include: usize) -> Source {
    let mut source = Source::default();
    let mut current: Option<&mut Table> = None;
    let mut at = 0;
    for (number, line) in text.split('\n').enumerate() {
        let place = Place {
            include,
            at: at + (line.len() - line.trim_start().len()),
            line: number + 1,
            implied: false,
        };
        at += line.len() + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            // A table that comes again is flushed first.
            source.tables.insert(name.to_owned(), Table::default());
            current = source.tables.get_mut(name);
        } else if line == "COMMIT" {
            current = None;
        } else if let Some(table) = &mut current {
            table.line(line, place);
        }
    }
    source
}

impl Table {
    /// Takes a line between `*TABLE` and `COMMIT`.
    pub(in crate::dialect) fn line(&mut self, line: &str, place: Place) {
        if let Some(declared) = line.strip_prefix(':') {
            let mut words = declared.split_whitespace();
            let name = words.next().unwrap_or_default();
            let policy = words.next().filter(|policy| *policy != "-");
            let chain = self.chains.entry(name.to_owned()).or_default();
            chain.policy = policy.map(|policy| (place, policy.to_lowercase()));
            return;
        }
        let mut words = words(line);
        // Counters: `[0:0] -A INPUT …`.
        if words.first().is_some_and(|word| word.starts_with('[')) {
            words.remove(0);
        }
        let mut words = words.into_iter();
        let (command, chain) = (words.next(), words.next());
        let mut rest: Vec<String> = words.collect();
        let Some((command, name)) = command.zip(chain) else {
            self.doubt(place, "a line that is no command");
            return;
        };
        let chain = self.chains.entry(name.clone()).or_default();
        let at = match command.as_str() {
            "-A" | "--append" => chain.order.len(),
            "-I" | "--insert" => {
                let number = rest.first().and_then(|word| word.parse::<usize>().ok());
                if number.is_some() {
                    rest.remove(0);
                }
                number.unwrap_or(1).saturating_sub(1).min(chain.order.len())
            }
            "-N" | "--new-chain" => return,
            "-P" | "--policy" => {
                let policy = rest.into_iter().next().map(|word| word.to_lowercase());
                chain.policy = policy.map(|policy| (place, policy));
                return;
            }
            "-F" | "--flush" => {
                chain.order.clear();
                return;
            }
            _ => {
                self.doubt(place, "a command whose effect is not followed");
                return;
            }
        };
        chain.order.insert(at, self.rules.len());
        self.rules.push(SourceRule {
            chain: name,
            place,
            words: rest,
        });
    }

    fn doubt(&mut self, place: Place, why: &'static str) {
        self.doubt.get_or_insert((place, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &Source, table: &str, chain: &str) -> Vec<usize> {
        let table = &source.tables[table];
        let order = table.chains[chain].order.iter();
        order.map(|rule| table.rules[*rule].place.line).collect()
    }

    #[test]
    fn rules_stand_where_their_commands_put_them() {
        let text = "*filter\n:INPUT DROP [0:0]\n:X - [0:0]\n-A INPUT -j X\n[1:2] -I INPUT -i lo -j ACCEPT\n\
                    -I INPUT 2 -j LOG\n  -A X -j RETURN\n-F X\n-A X -j DROP\nCOMMIT\n";
        let source = read(text, 0);
        assert_eq!(lines(&source, "filter", "INPUT"), [5, 6, 4]);
        assert_eq!(lines(&source, "filter", "X"), [9]);
        let policy = source.tables["filter"].chains["INPUT"].policy.clone();
        assert_eq!(
            policy.map(|(place, word)| (place.line, word)),
            Some((2, "drop".into()))
        );
    }

    #[test]
    fn a_table_that_comes_again_begins_anew() {
        let text = "*filter\n-A INPUT -j DROP\nCOMMIT\n*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
        assert_eq!(lines(&read(text, 0), "filter", "INPUT"), [5]);
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let source = read("*filter\n-A INPUT -j DROP\n-D INPUT 1\nCOMMIT\n", 0);
        assert_eq!(
            source.tables["filter"].doubt.map(|(place, _)| place.line),
            Some(3)
        );
    }

    #[test]
    fn a_negated_option_has_no_value() {
        let source = read(
            "*filter\n-A INPUT ! -i lo --dport ! 22 -o eth0\nCOMMIT\n",
            0,
        );
        let rule = &source.tables["filter"].rules[0];
        assert_eq!(rule.option(&["-i"]), None);
        assert_eq!(rule.option(&["--dport"]), None);
        assert_eq!(rule.option(&["-o"]), Some("eth0"));
    }
}
