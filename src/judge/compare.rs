//! A verdict against an expectation.

use std::net::IpAddr;

use crate::{
    scenario::{Expectation, ExpectedVerdict, Party, Scenario, Send},
    verdict::{self, Decider, Outcome, RejectAnswer, Verdict},
};

/// The outcome, and in words why it is no pass.
pub(super) fn compare(
    scenario: &Scenario,
    send: &Send,
    verdict: &Verdict,
    decider: Option<&Decider>,
) -> (Outcome, Option<String>) {
    let fail = |reason: String| (Outcome::Fail, Some(reason));
    let Expectation {
        verdict: expected,
        by,
    } = &send.expect;
    match (expected, verdict) {
        (_, Verdict::Inconclusive(reason)) => {
            return (Outcome::Inconclusive, Some(reason.to_string()));
        }
        (
            ExpectedVerdict::Accept {
                source,
                destination,
            },
            Verdict::Accept(arrival),
        ) => {
            let wanted = destination.unwrap_or(send.destination);
            if arrival.destination != wanted {
                return fail(format!(
                    "it arrived at {}, not at {wanted}",
                    arrival.destination
                ));
            }
            let place = place_of(scenario, send, wanted);
            if arrival.interface != place {
                return fail(format!(
                    "it came out {}, not {}",
                    place_words(arrival.interface.as_deref()),
                    place_words(place.as_deref())
                ));
            }
            match source {
                Some(source) if *source != arrival.source => {
                    return fail(format!(
                        "it arrived from {}, not from {source}",
                        arrival.source
                    ));
                }
                Some(_) | None => {}
            }
        }
        (ExpectedVerdict::Drop, Verdict::Drop)
        | (ExpectedVerdict::Reject(None), Verdict::Reject(_)) => {}
        (ExpectedVerdict::Reject(Some(kind)), Verdict::Reject(RejectAnswer::Kind(answer)))
            if kind == answer => {}
        (
            ExpectedVerdict::Accept { .. } | ExpectedVerdict::Drop | ExpectedVerdict::Reject(_),
            Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_),
        ) => return fail(format!("expected {}, but it was {verdict}", send.expect)),
    }
    let Some(by) = by else {
        return (Outcome::Pass, None);
    };
    let actual = decider.map_or_else(|| "nobody".to_owned(), ToString::to_string);
    match decider.map_or(Some(false), |decider| is_by(decider, by)) {
        Some(true) => (Outcome::Pass, None),
        Some(false) => fail(format!(
            "expected {}, but the decision was by {actual}",
            send.expect
        )),
        None => (
            Outcome::Inconclusive,
            Some(format!("nobody can tell whether {by} decided: {actual}")),
        ),
    }
}

/// Whether a decider is the one meant by `by:`. That may be `policy`, `FILE:LINE`, `chain NAME`, or a part
/// of the rule's text (its comment is part of it). `None` if its line is asked for and not known.
fn is_by(decider: &Decider, by: &str) -> Option<bool> {
    // The policy is meant even where a rule's comment has the same word.
    const POLICY: &str = "policy";
    let said = match decider {
        Decider::Rule(rule) => {
            by != POLICY && rule.text.as_deref().is_some_and(|text| text.contains(by))
        }
        Decider::Policy(_) => by == POLICY,
        Decider::Kernel(_) | Decider::NoChain => return Some(false),
    };
    let in_chain = by.strip_prefix("chain ").zip(decider.chain());
    if said || in_chain.is_some_and(|(name, chain)| name == chain.name || name == chain.to_string())
    {
        return Some(true);
    }
    let place = by
        .rsplit_once(':')
        .and_then(|(file, line)| Some((file, line.parse::<usize>().ok()?)));
    match (place, decider.origin()) {
        (None, _) => Some(false),
        (Some((file, line)), Some(verdict::Origin::Known(known))) => {
            Some(known.line == line && known.file.ends_with(file))
        }
        (Some(_), Some(verdict::Origin::Unknown(_)) | None) => None,
    }
}

/// Where a packet to this address should come out: the interface's name, or `None` for the firewall.
fn place_of(scenario: &Scenario, send: &Send, address: IpAddr) -> Option<String> {
    let interfaces = &scenario.firewall.interfaces;
    let own = interfaces
        .iter()
        .any(|interface| interface.addresses.iter().any(|net| net.addr() == address));
    if own {
        return None;
    }
    let named = scenario
        .hosts
        .iter()
        .find(|host| {
            host.ipv4.map(IpAddr::V4) == Some(address) || host.ipv6.map(IpAddr::V6) == Some(address)
        })
        .map(|host| host.behind);
    let on_link = || {
        interfaces
            .iter()
            .position(|interface| interface.addresses.iter().any(|net| net.contains(&address)))
    };
    let planned = || match send.to {
        Party::Host(host) => Some(scenario.hosts[host].behind),
        Party::Firewall(_) => None,
    };
    named
        .or_else(on_link)
        .or_else(planned)
        .map(|interface| interfaces[interface].name.clone())
}

fn place_words(interface: Option<&str>) -> String {
    match interface {
        Some(name) => format!("on {name}"),
        None => "at the firewall itself".to_owned(),
    }
}
