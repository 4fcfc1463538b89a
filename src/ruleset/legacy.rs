//! The format of `iptables-save`: as people write it, and as the rules of legacy iptables are listed. And
//! what a traced rule of legacy iptables means, which its trace leaves out.

use std::collections::BTreeMap;

use super::chain::{Base, Chain, ChainInfo, Rule};

/// How families of legacy tables begin.
pub(crate) const LEGACY: &str = "legacy ";

/// How the kernel's records of the trace begin.
pub(crate) const TRACE_PREFIX: &str = "TRACE: ";

/// The words of a line as `iptables-restore` takes them apart (`add_param_to_argv`,
/// iptables/xshared.c): blanks separate, double quotes hold together, and in them a backslash keeps what
/// follows.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            _ if escaped => {
                word.get_or_insert_default().push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Where a rule leads: the word behind `-j` or `-g`.
pub(crate) fn target(words: &[String]) -> Option<(bool, &str)> {
    let place = words
        .iter()
        .rposition(|word| matches!(word.as_str(), "-j" | "--jump" | "-g" | "--goto"))?;
    let goto = matches!(words[place].as_str(), "-g" | "--goto");
    words.get(place + 1).map(|word| (goto, word.as_str()))
}

/// The built-in chains by their hooks.
pub(crate) fn hook(chain: &str) -> Option<&'static str> {
    Some(match chain {
        "PREROUTING" => "prerouting",
        "INPUT" => "input",
        "FORWARD" => "forward",
        "OUTPUT" => "output",
        "POSTROUTING" => "postrouting",
        _ => return None,
    })
}

/// Where a table stands in a hook (`enum nf_ip_hook_priorities`, linux/netfilter_ipv4.h).
fn priority(table: &str, hook: &str) -> Option<i32> {
    Some(match (table, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", "prerouting" | "output") => -100,
        ("filter", _) => 0,
        ("security", _) => 50,
        ("nat", _) => 100,
        _ => return None,
    })
}

/// The chains of a listing of legacy rules; rules are known by their numbers, from 1.
pub(crate) fn chains(family: &str, listing: &str) -> BTreeMap<Chain, ChainInfo> {
    let mut chains: BTreeMap<Chain, ChainInfo> = BTreeMap::new();
    let mut table = "";
    let chain = |table: &str, name: &str| Chain {
        family: format!("{LEGACY}{family}"),
        table: table.to_owned(),
        name: name.to_owned(),
    };
    for line in listing.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(declared) = line.strip_prefix(':') {
            let mut words = declared.split(' ');
            let name = words.next().unwrap_or_default();
            let policy = words.next().unwrap_or("-");
            let base = hook(name).filter(|_| policy != "-").map(|hook| Base {
                kind: if table == "nat" { "nat" } else { "filter" }.to_owned(),
                hook: hook.to_owned(),
                priority: priority(table, hook),
                policy: policy.to_lowercase(),
            });
            chains.entry(chain(table, name)).or_default().base = base;
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (name, text) = rule.split_once(' ').unwrap_or((rule, ""));
            let info = chains.entry(chain(table, name)).or_default();
            let number = info.order.len() as u64 + 1;
            let rule = Rule {
                text: text.to_owned(),
                inline: Vec::new(),
            };
            info.rules.insert(number, rule);
            info.order.push(number);
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_those_of_iptables() {
        let line = r#"-m comment --comment "a \"b\" \\ c" -j  X"" "" "#;
        let expected = ["-m", "comment", "--comment", r#"a "b" \ c"#, "-j", "X", ""];
        assert_eq!(words(line), expected);
    }
}
