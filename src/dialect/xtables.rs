//! The format of `iptables-save`: as people write it, and as the rules of legacy iptables are listed. And
//! what a traced rule of legacy iptables means, which its trace leaves out.

use std::collections::BTreeMap;

use firedrill_harness::protocol::{Trace, TraceEvent, TraceKind, TraceVerdict};

use super::listing::{Base, ChainInfo, Rule, Ruleset};
use crate::verdict::Chain;

/// How families of legacy tables begin.
pub(crate) const LEGACY: &str = "legacy ";

/// How the kernel's records of the trace begin.
const TRACE_PREFIX: &str = "TRACE: ";

/// The words of a line as `iptables-restore` takes them apart (`add_param_to_argv`,
/// iptables/xshared.c): blanks separate, double quotes hold together, and in them a backslash keeps what
/// follows.
pub(super) fn words(line: &str) -> Vec<String> {
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
pub(super) fn target(words: &[String]) -> Option<(bool, &str)> {
    let place = words
        .iter()
        .rposition(|word| matches!(word.as_str(), "-j" | "--jump" | "-g" | "--goto"))?;
    let goto = matches!(words[place].as_str(), "-g" | "--goto");
    words.get(place + 1).map(|word| (goto, word.as_str()))
}

/// The built-in chains by their hooks.
pub(super) fn hook(chain: &str) -> Option<&'static str> {
    Some(match chain {
        "PREROUTING" => "prerouting",
        "INPUT" => "input",
        "FORWARD" => "forward",
        "OUTPUT" => "output",
        "POSTROUTING" => "postrouting",
        _ => return None,
    })
}

/// The chains of a listing of legacy rules; rules are known by their numbers, from 1.
pub(super) fn chains(family: &str, listing: &str) -> BTreeMap<Chain, ChainInfo> {
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

/// Says of each event of legacy iptables what it means, which the kernel leaves open: its records name a
/// rule by its number, and the rule's target is the verdict (net/ipv4/netfilter/ip_tables.c,
/// `ipt_do_table`). What does not agree with the listing is a loss.
pub(super) fn complete(ruleset: &Ruleset, trace: &mut Trace) {
    let legacy = |event: &TraceEvent| event.family.starts_with(LEGACY);
    if !trace.events.iter().any(legacy) {
        return;
    }
    // A rule that logs such a text fakes the trace.
    let fakes = |info: &ChainInfo| {
        info.rules
            .values()
            .any(|rule| rule.text.contains(TRACE_PREFIX))
    };
    if ruleset.chains().any(|(_, info)| fakes(info)) {
        trace.lost = true;
        return;
    }
    for event in trace.events.iter_mut().filter(|event| legacy(event)) {
        match meaning(ruleset, event) {
            Some((kind, handle, verdict)) => {
                (event.kind, event.handle, event.verdict) = (kind, handle, verdict);
            }
            None => trace.lost = true,
        }
    }
}

fn meaning(
    ruleset: &Ruleset,
    event: &TraceEvent,
) -> Option<(TraceKind, Option<u64>, TraceVerdict)> {
    let chain = Chain {
        family: event.family.clone(),
        table: event.table.clone(),
        name: event.chain.clone(),
    };
    let info = ruleset.chain(&chain)?;
    let number = event.handle?;
    // The kernel calls a rule without conditions `policy` or `return` too, where its target is a verdict.
    if let Some(rule) = info.rules.get(&number) {
        let verdict = verdict(ruleset, &chain, &rule.text);
        return Some((TraceKind::Rule, Some(number), verdict));
    }
    if number != info.rules.len() as u64 + 1 {
        return None;
    }
    Some(match &info.base {
        Some(base) => {
            let verdict = match base.policy.as_str() {
                "accept" => TraceVerdict::Accept,
                "drop" => TraceVerdict::Drop,
                _ => return None,
            };
            (TraceKind::Policy, None, verdict)
        }
        None => (TraceKind::Return, None, TraceVerdict::Continue),
    })
}

/// What the target of a rule does with a packet. Extensions are listed in iptables-extensions(8).
fn verdict(ruleset: &Ruleset, chain: &Chain, rule: &str) -> TraceVerdict {
    let words = words(rule);
    let Some((goto, target)) = target(&words) else {
        return TraceVerdict::Continue;
    };
    let own = Chain {
        name: target.to_owned(),
        ..chain.clone()
    };
    match target {
        "ACCEPT" => TraceVerdict::Accept,
        "DROP" | "REJECT" => TraceVerdict::Drop,
        "RETURN" => TraceVerdict::Return,
        "QUEUE" | "NFQUEUE" => TraceVerdict::Queue,
        "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" => TraceVerdict::Accept,
        "AUDIT" | "CHECKSUM" | "CLASSIFY" | "CONNMARK" | "CONNSECMARK" | "CT" | "DNPT" | "DSCP"
        | "ECN" | "HL" | "HMARK" | "IDLETIMER" | "LED" | "LOG" | "MARK" | "NFLOG" | "NOTRACK"
        | "RATEEST" | "SECMARK" | "SET" | "SNPT" | "TCPMSS" | "TCPOPTSTRIP" | "TEE" | "TOS"
        | "TRACE" | "TTL" => TraceVerdict::Continue,
        _ if ruleset.chain(&own).is_some() => match goto {
            true => TraceVerdict::Goto(own.name),
            false => TraceVerdict::Jump(own.name),
        },
        // TPROXY and SYNPROXY decide by the packet, and there may be others.
        _ => TraceVerdict::Other(0),
    }
}
