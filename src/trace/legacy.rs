//! What the trace of legacy iptables means, which names a rule and not what it did.

use firedrill_harness::protocol::{Trace, TraceEvent, TraceKind, TraceVerdict};

use crate::ruleset::{
    chain::{Chain, ChainInfo},
    legacy::{LEGACY, TRACE_PREFIX, target, words},
    listing::Ruleset,
};

/// Says of each event of legacy iptables what it means, which the kernel leaves open: its records name a
/// rule by its number, and the rule's target is the verdict (net/ipv4/netfilter/ip_tables.c,
/// `ipt_do_table`). What does not agree with the listing is a loss.
pub(crate) fn complete(ruleset: &Ruleset, trace: &mut Trace) {
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
pub(crate) fn verdict(ruleset: &Ruleset, chain: &Chain, rule: &str) -> TraceVerdict {
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

#[cfg(test)]
mod tests {
    use firedrill_harness::protocol::Listing;

    use super::*;

    const LISTING: &str = "*filter\n:INPUT DROP\n:sub -\n\
        -A INPUT -p tcp -j sub\n-A INPUT -m comment --comment \"-j ACCEPT\" -j LOG --log-prefix \"-j DROP \"\n\
        -A INPUT -p udp -g sub\n-A INPUT -j TPROXY --on-port 1\n-A INPUT -p icmp\n-A INPUT -j DROP\n\
        -A sub -j RETURN\nCOMMIT\n";

    fn event(chain: &str, number: u64, kind: TraceKind) -> TraceEvent {
        TraceEvent {
            mark: 0,
            id: 1,
            family: "legacy ip".to_owned(),
            table: "filter".to_owned(),
            chain: chain.to_owned(),
            handle: Some(number),
            kind,
            verdict: TraceVerdict::Untold,
            iif: None,
            oif: None,
            packet: None,
        }
    }

    fn completed(listing: &str, event: TraceEvent) -> Trace {
        let ruleset = Ruleset::parse(&Listing {
            iptables: listing.to_owned(),
            ..Listing::default()
        });
        let mut trace = Trace {
            lost: false,
            events: vec![event],
        };
        complete(&ruleset, &mut trace);
        trace
    }

    #[test]
    fn a_rule_does_what_its_target_does() {
        let expected = [
            TraceVerdict::Jump("sub".to_owned()),
            TraceVerdict::Continue,
            TraceVerdict::Goto("sub".to_owned()),
            TraceVerdict::Other(0),
            TraceVerdict::Continue,
            TraceVerdict::Drop,
        ];
        for (number, verdict) in (1..).zip(expected) {
            // The kernel calls the last one a policy.
            for kind in [TraceKind::Rule, TraceKind::Policy] {
                let trace = completed(LISTING, event("INPUT", number, kind));
                assert!(!trace.lost);
                let event = &trace.events[0];
                assert_eq!((event.kind, event.handle), (TraceKind::Rule, Some(number)));
                assert_eq!(event.verdict, verdict, "rule {number}");
            }
        }
    }

    #[test]
    fn behind_the_last_rule_is_the_policy_or_the_way_back() {
        let trace = completed(LISTING, event("INPUT", 7, TraceKind::Policy));
        let event_of = |trace: &Trace| {
            let event = trace.events[0].clone();
            (event.kind, event.handle, event.verdict)
        };
        let dropped = (TraceKind::Policy, None, TraceVerdict::Drop);
        assert_eq!(event_of(&trace), dropped);
        let trace = completed(LISTING, event("sub", 2, TraceKind::Return));
        let back = (TraceKind::Return, None, TraceVerdict::Continue);
        assert_eq!(event_of(&trace), back);
    }

    #[test]
    fn what_the_listing_does_not_have_is_a_loss() {
        for (chain, number) in [("INPUT", 8), ("sub", 3), ("OUTPUT", 1), ("INPUT", 0)] {
            let trace = completed(LISTING, event(chain, number, TraceKind::Rule));
            assert!(trace.lost, "{chain} {number}");
        }
    }
}
