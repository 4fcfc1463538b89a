//! A verdict against an expectation.

use std::net::IpAddr;

use firedrill_harness::packet::Transport;
use ipnet::IpNet;

use super::side_effects::{Beside, Miss};
use super::verdict::{Arrival, Outcome, RejectAnswer, Verdict};
use crate::{
    scenario::{Expectation, ExpectedVerdict, Looks, Party, Scenario, Send, net_text},
    trace::decider::Decider,
};

/// The outcome, and in words why it is no pass.
pub(super) fn compare(
    scenario: &Scenario,
    send: &Send,
    expect: &Expectation,
    verdict: &Verdict,
    decider: Option<&Decider>,
    beside: Beside<'_>,
) -> (Outcome, Option<String>) {
    let fail = |reason: String| (Outcome::Fail, Some(reason));
    match (&expect.verdict, verdict) {
        (_, Verdict::Inconclusive(reason)) => {
            return (Outcome::Inconclusive, Some(reason.to_string()));
        }
        (ExpectedVerdict::Accept(looks), Verdict::Accept(arrival)) => {
            let misses = || arrived(scenario, send, looks, arrival);
            let marked = || marked(looks, beside);
            if let Err((outcome, reason)) = misses().and_then(|()| marked()) {
                return (outcome, Some(reason));
            }
        }
        (ExpectedVerdict::Drop, Verdict::Drop)
        | (ExpectedVerdict::Reject(None), Verdict::Reject(_)) => {}
        (ExpectedVerdict::Reject(Some(kind)), Verdict::Reject(RejectAnswer::Kind(answer)))
            if kind == answer => {}
        (
            ExpectedVerdict::Accept(_) | ExpectedVerdict::Drop | ExpectedVerdict::Reject(_),
            Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_),
        ) => return fail(format!("expected {expect}, but it was {verdict}")),
    }
    if let Some(by) = &expect.by {
        let actual = decider.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        match decider.map_or(Some(false), |decider| is_by(decider, by)) {
            Some(true) => {}
            Some(false) => {
                return fail(format!(
                    "expected {expect}, but the decision was by {actual}"
                ));
            }
            None => {
                let reason = format!("nobody can tell whether {by} decided: {actual}");
                return (Outcome::Inconclusive, Some(reason));
            }
        }
    }
    match beside.check(&expect.also) {
        Ok(()) => (Outcome::Pass, None),
        Err((outcome, reason)) => (outcome, Some(reason)),
    }
}

/// Whether a packet arrived where it should, looking as it should.
fn arrived(scenario: &Scenario, send: &Send, looks: &Looks, arrival: &Arrival) -> Result<(), Miss> {
    let fail = |reason: String| Err((Outcome::Fail, reason));
    let reply = send.connection.is_some_and(|connection| connection.reply);
    let destination = looks.destination.unwrap_or(IpNet::from(send.destination));
    if !destination.contains(&arrival.destination) {
        return fail(format!(
            "it arrived at {}, not at {}",
            arrival.destination,
            net_text(&destination)
        ));
    }
    let place = place_of(scenario, send, arrival.destination);
    if arrival.interface != place {
        return fail(format!(
            "it came out {}, not {}",
            place_words(arrival.interface.as_deref()),
            place_words(place.as_deref())
        ));
    }
    // An answer must seem to come from where the question went.
    let answered = reply && !matches!(send.packet.transport, Transport::Icmp(_));
    let source = looks.source.or(answered.then(|| IpNet::from(send.source)));
    if let Some(source) = source.filter(|source| !source.contains(&arrival.source)) {
        return fail(format!(
            "it arrived from {}, not from {}",
            arrival.source,
            net_text(&source)
        ));
    }
    let ports = [
        ("source port", looks.sport, arrival.sport),
        ("destination port", looks.dport, arrival.dport),
    ];
    for (what, wanted, seen) in ports {
        match (wanted, seen) {
            (Some(wanted), Some(seen)) if !wanted.contains(seen) => {
                return fail(format!("it arrived with {what} {seen}, not {wanted}"));
            }
            (Some(_), None) => return fail(format!("it arrived without a {what}")),
            (Some(_) | None, _) => {}
        }
    }
    let numbers = [
        (
            "TTL",
            looks.ttl.map(u16::from),
            Some(u16::from(arrival.ttl)),
        ),
        (
            "DSCP",
            looks.dscp.map(u16::from),
            Some(u16::from(arrival.dscp)),
        ),
        ("MSS", looks.mss, arrival.mss),
    ];
    for (what, wanted, seen) in numbers {
        match (wanted, seen) {
            (Some(wanted), Some(seen)) if wanted != seen => {
                return fail(format!("it arrived with {what} {seen}, not {wanted}"));
            }
            (Some(_), None) => return fail(format!("it arrived without {what}")),
            (Some(_) | None, _) => {}
        }
    }
    Ok(())
}

/// Whether a packet had the mark that it should.
fn marked(looks: &Looks, beside: Beside<'_>) -> Result<(), Miss> {
    let Some(wanted) = looks.mark else {
        return Ok(());
    };
    match beside.observation.way.mark {
        Some(mark) if mark == wanted => Ok(()),
        Some(mark) => Err((
            Outcome::Fail,
            format!("it left with mark {mark:#x}, not {wanted:#x}"),
        )),
        None => Err((
            Outcome::Inconclusive,
            "the trace does not show its mark".to_owned(),
        )),
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
        // The file may say it in other words than the listing: a comment of iptables is in the file only.
        (None, Some(crate::ruleset::origin::Origin::Known(known))) => {
            Some(known.text.contains(by) && by != POLICY)
        }
        (None, _) => Some(false),
        (Some((file, line)), Some(crate::ruleset::origin::Origin::Known(known))) => {
            Some(known.line == line && known.file.ends_with(file))
        }
        (Some(_), Some(crate::ruleset::origin::Origin::Unknown(_)) | None) => None,
    }
}

/// Where a packet to this address should come out: the interface's name, or `None` for the firewall.
fn place_of(scenario: &Scenario, send: &Send, address: IpAddr) -> Option<String> {
    let interfaces = &scenario.firewall.interfaces;
    let own = interfaces
        .iter()
        .any(|interface| interface.addresses.iter().any(|net| net.addr() == address));
    // What is sent to the firewall by another address than its own is sent to many.
    let to_many = matches!(send.to, Party::Firewall(_)) && send.packet.destination == Some(address);
    if own || to_many || address.is_loopback() {
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
        Party::Firewall(_) | Party::Loopback => None,
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
