//! The judge: an expectation and the evidence give an outcome. Total and pure.
//!
//! Nothing is concluded from silence. Every verdict names its proof, and where a proof is missing the
//! verdict is inconclusive, which is never a pass.

mod answer;
mod compare;
pub mod isolation;
mod kernel;
mod side_effects;
pub mod stateful;
pub mod sweep;
pub mod verdict;

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_harness::{
    packet::{self, Relation, Seen, relate, relate_bytes},
    protocol::{Control, LabSpec, Loaded, Observed, Origin, Place, Probe, Reloaded, Sighting, hex},
};

use self::{
    answer::{answer, answer_dropped, is_answered, may_reject},
    compare::compare,
    kernel::{is_held, kernel_reason},
};
use crate::judge::side_effects::Beside;
use crate::{
    judge::verdict::{Arrival, Inconclusive, Judgement, Outcome, Verdict},
    ruleset::listing::Ruleset,
    scenario::{Expectation, ExpectedVerdict, Scenario, Send},
    trace::{
        decider::{Decider, KernelReason},
        way::{End, Observation},
    },
};

/// What holds for every probe of a run.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The lab as planned.
    pub lab: &'a LabSpec,
    /// How the candidate was loaded.
    pub loaded: &'a Loaded,
    /// The ruleset as listed.
    pub ruleset: &'a Ruleset,
    /// The last listing before the probe, with the counters and sets of then.
    pub listing: &'a str,
}

/// `EPERM`: what sending returns when the output hook drops.
const EPERM: i32 = 1;

/// Judges one packet.
#[must_use]
pub fn judge(
    scenario: &Scenario,
    send: &Send,
    observation: &Observation<'_>,
    setting: Setting<'_>,
) -> Judged {
    let (verdict, decider) = verdict(observation, setting);
    let beside = Beside {
        observation,
        setting,
    };
    let against = |expect: &Expectation| {
        let (outcome, reason) = compare(scenario, send, expect, &verdict, decider.as_ref(), beside);
        Judgement {
            verdict: verdict.clone(),
            decider: decider.clone(),
            outcome,
            reason,
        }
    };
    let share = send.expect.share.as_ref();
    Judged {
        judgement: against(&send.expect),
        otherwise: share.and_then(|share| share.otherwise.as_deref().map(against).map(Box::new)),
        at_us: observation.evidence.at_us,
    }
}

/// Judges what was sent while another configuration was loaded: each packet passes, or none does.
#[must_use]
pub fn meanwhile(send: &Send, probe: &Probe, reloaded: &Reloaded, lab: &LabSpec) -> Judged {
    let Reloaded { sent, passed, .. } = *reloaded;
    let arrived = arrival(probe, &reloaded.control.observed, lab);
    let judgement = if !(reloaded.barrier && reloaded.control.observed.barrier) {
        inconclusive(Inconclusive::BarrierLost)
    } else if sent == 0 {
        let why = "the configuration was loaded before the first packet";
        inconclusive(Inconclusive::NotSent(why.to_owned()))
    } else if let Some(arrived) = arrived {
        let expected = matches!(send.expect.verdict, ExpectedVerdict::Accept(_));
        let miss = match (expected, passed) {
            (true, passed) if passed < sent => Some("did not pass"),
            (false, 1..) => Some("passed"),
            (true | false, _) => None,
        };
        let strays = if expected { sent - passed } else { passed };
        Judgement {
            verdict: if expected == miss.is_none() {
                Verdict::Accept(arrived)
            } else {
                Verdict::Drop
            },
            decider: None,
            outcome: if miss.is_none() {
                Outcome::Pass
            } else {
                Outcome::Fail
            },
            reason: miss.map(|miss| format!("{strays} of {sent} packets {miss} meanwhile")),
        }
    } else {
        inconclusive(Inconclusive::PathBroken(None))
    };
    Judged {
        judgement,
        otherwise: None,
        at_us: 0,
    }
}

/// One packet of a step, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Against the expectation.
    pub judgement: Judgement,
    /// Against what is expected of the others.
    pub otherwise: Option<Box<Judgement>>,
    /// When it was sent, in microseconds after the first of its case.
    pub at_us: u64,
}

/// How much longer than asked for a series may take, in hundredths: what a busy machine adds without
/// changing the pace to speak of.
const LATE: u128 = 10;

/// One judgement of all packets of a step.
#[must_use]
pub fn together(send: &Send, packets: &[Judged]) -> Judgement {
    let Some(first) = packets.first() else {
        return inconclusive(Inconclusive::NothingSent);
    };
    if packets.len() == 1 {
        return first.judgement.clone();
    }
    let nth = |index: usize, judgement: &Judgement| {
        let mut judgement = judgement.clone();
        judgement.reason = judgement
            .reason
            .map(|reason| format!("packet {} of {}: {reason}", index + 1, packets.len()));
        judgement
    };
    let of_outcome = |outcome: Outcome| {
        let mut packets = packets.iter().enumerate();
        packets
            .find(|(_, packet)| packet.judgement.outcome == outcome)
            .map(|(index, packet)| nth(index, &packet.judgement))
    };
    if let Some(unproven) = of_outcome(Outcome::Inconclusive) {
        return unproven;
    }
    if let Some(late) = late(send, packets) {
        return inconclusive(late);
    }
    let Some(share) = &send.expect.share else {
        return of_outcome(Outcome::Fail).unwrap_or_else(|| first.judgement.clone());
    };
    let met = packets
        .iter()
        .filter(|packet| packet.judgement.outcome == Outcome::Pass)
        .count();
    if !(share.least as usize..=share.most as usize).contains(&met) {
        let (few, many) = (Outcome::Fail, Outcome::Pass);
        let telling = if met < share.least as usize {
            few
        } else {
            many
        };
        let mut judgement = of_outcome(telling).unwrap_or_else(|| first.judgement.clone());
        judgement.outcome = Outcome::Fail;
        judgement.reason = Some(format!(
            "expected {}, but {met} of {} did",
            send.expect,
            packets.len()
        ));
        return judgement;
    }
    let others = packets.iter().enumerate().filter_map(|(index, packet)| {
        let otherwise = packet.otherwise.as_deref()?;
        let bad = packet.judgement.outcome != Outcome::Pass && otherwise.outcome != Outcome::Pass;
        bad.then(|| nth(index, otherwise))
    });
    others.into_iter().next().unwrap_or_else(|| {
        of_outcome(Outcome::Pass).unwrap_or_else(|| Judgement {
            outcome: Outcome::Pass,
            reason: None,
            ..first.judgement.clone()
        })
    })
}

/// Why the pace was not what the scenario asks for, if so.
fn late(send: &Send, packets: &[Judged]) -> Option<Inconclusive> {
    let within = send.repeat?.within?;
    let (first, last) = (packets.first()?.at_us, packets.last()?.at_us);
    let took = u128::from(last.saturating_sub(first));
    let most = within.as_micros() * (100 + LATE) / 100;
    (took > most).then(|| Inconclusive::Late {
        took_us: last - first,
        within_us: u64::try_from(within.as_micros()).unwrap_or(u64::MAX),
    })
}

/// A judgement without evidence.
#[must_use]
pub fn inconclusive(reason: Inconclusive) -> Judgement {
    Judgement {
        reason: Some(reason.to_string()),
        verdict: Verdict::Inconclusive(reason),
        decider: None,
        outcome: Outcome::Inconclusive,
    }
}

/// What the firewall did with a probe, and who decided.
#[must_use]
pub fn verdict(observation: &Observation<'_>, setting: Setting<'_>) -> (Verdict, Option<Decider>) {
    let Observation {
        planned,
        sent,
        evidence,
        way,
    } = observation;
    let probe: &Probe = sent;
    let unproven = |reason| (Verdict::Inconclusive(reason), None);
    let layers = &setting.loaded.layers;
    if layers.is_empty() || layers.iter().any(|layer| !layer.changed) {
        return unproven(Inconclusive::NotLoaded);
    }
    if let Some(error) = evidence
        .send_error
        .as_ref()
        .filter(|error| error.code != EPERM)
    {
        return unproven(Inconclusive::NotSent(error.text.clone()));
    }
    if !evidence.observed.barrier {
        return unproven(Inconclusive::BarrierLost);
    }
    if evidence.trace.lost {
        return unproven(Inconclusive::TraceLost);
    }
    if let Some(bytes) = unreadable(probe, &evidence.observed) {
        return unproven(Inconclusive::Unreadable(bytes));
    }
    let kernel = kernel_reason(evidence.kernel.as_ref(), probe, setting.lab);
    let dropped_by_kernel = |reason| (Verdict::Drop, Some(Decider::Kernel(reason)));
    if !way.has_entered {
        return unproven(Inconclusive::NeverEntered);
    }
    let mut stopped = None;
    for traversal in &way.traversals {
        match traversal.end {
            End::Drop(event) => stopped = Some((traversal, event)),
            End::HandedOver(to) => return unproven(Inconclusive::HandedOver(to)),
            End::Accept(_) | End::Open => {}
        }
    }
    let stopped = stopped.map(|(traversal, event)| traversal.decider(event, setting.ruleset));
    match (arrival(probe, &evidence.observed, setting.lab), stopped) {
        (Some(_), Some(decider)) => (
            Verdict::Inconclusive(Inconclusive::Contradiction),
            Some(decider),
        ),
        (Some(arrival), None) => {
            let hook = match (probe.from, &arrival.interface) {
                (Origin::Firewall, Some(_)) => "output",
                (Origin::Wire(_), Some(_)) => "forward",
                (Origin::Wire(_) | Origin::Firewall, None) => "input",
            };
            let families = match arrival.destination {
                _ if probe.packet.is_arp() => &["arp"][..],
                IpAddr::V4(_) => &["inet", "ip", "legacy ip"],
                IpAddr::V6(_) => &["inet", "ip6", "legacy ip6"],
            };
            let decider = way.accepted_by(setting.ruleset, hook, families);
            (Verdict::Accept(arrival), decider)
        }
        (None, Some(decider)) => {
            let verdict = match path_works(planned, &evidence.control, setting.lab) {
                Err(reason) => Verdict::Inconclusive(reason),
                // The chain had thrown the probe away, so whatever came back was sent by its rule: a
                // closed port answers only what was let in.
                Ok(()) => match answer(probe, &evidence.observed) {
                    Some(error) => Verdict::Reject(error),
                    None if may_reject(&decider) && is_answered(probe) && !answer_dropped(way) => {
                        Verdict::Inconclusive(Inconclusive::AnswerMissing)
                    }
                    None => Verdict::Drop,
                },
            };
            (verdict, Some(decider))
        }
        (None, None) => match kernel {
            Some(KernelReason::NoRoute) => unproven(Inconclusive::PathBroken(kernel)),
            Some(reason) => dropped_by_kernel(reason),
            None if probe.packet.is_fragmentary() => unproven(Inconclusive::Held),
            None => unproven(Inconclusive::Vanished),
        },
    }
}

/// What was seen and cannot be read, if anything; it may well be an answer. In hexadecimal, its start.
fn unreadable(probe: &Probe, observed: &Observed) -> Option<String> {
    const SHOWN: usize = 64;
    /// How ARP messages for Ethernet and IPv4 begin (RFC 826), which the firewall may well send.
    const ARP: [u8; 6] = [0, 1, 8, 0, 6, 4];
    let strange = |sighting: &&Sighting| {
        let bytes = &sighting.packet.0;
        !bytes.starts_with(&ARP)
            && Seen::parse(bytes).is_none()
            && relate_bytes(&probe.packet, bytes) != Relation::Itself
    };
    let found = observed.seen.iter().find(strange)?;
    let bytes = &found.packet.0;
    Some(hex(&bytes[..bytes.len().min(SHOWN)]))
}

/// Whether the probe would have come out without the candidate, or was going to be stopped by the
/// kernel for a reason that is a protection in itself, or has arrived and waits for its other fragments. A
/// drop on a path that does not work anyway proves nothing.
fn path_works(probe: &Probe, control: &Control, lab: &LabSpec) -> Result<(), Inconclusive> {
    if !control.observed.barrier {
        return Err(Inconclusive::BarrierLost);
    }
    if arrival(probe, &control.observed, lab).is_some() {
        return Ok(());
    }
    if probe.packet.is_fragmentary() && is_held(control.kernel.as_ref()) {
        return Ok(());
    }
    match kernel_reason(control.kernel.as_ref(), probe, lab) {
        reason @ (None | Some(KernelReason::NoRoute)) => Err(Inconclusive::PathBroken(reason)),
        Some(
            KernelReason::ReversePathFilter
            | KernelReason::MartianSource
            | KernelReason::ForwardingOff
            | KernelReason::TimeToLive
            | KernelReason::SourceRoute
            | KernelReason::OtherHost
            | KernelReason::BadHeader,
        ) => Ok(()),
    }
}

/// Where all of the probe came out: on a wire it was not sent from, or behind the input hook.
fn arrival(probe: &Probe, observed: &Observed, lab: &LabSpec) -> Option<Arrival> {
    if probe.packet.is_arp() {
        let inside = |sighting: &&Sighting| {
            sighting.place == Place::Input
                && relate_bytes(&probe.packet, &sighting.packet.0) == Relation::Itself
        };
        return observed.seen.iter().find(inside).map(|_| Arrival {
            interface: None,
            source: probe.packet.source,
            destination: probe.packet.destination,
            sport: None,
            sport_sent: None,
            dport: None,
            ttl: probe.packet.ttl,
            dscp: 0,
            mss: None,
        });
    }
    let mut found: BTreeMap<Place, Vec<Seen<'_>>> = BTreeMap::new();
    for sighting in &observed.seen {
        if let Some(seen) = Seen::parse(&sighting.packet.0)
            && relate(&probe.packet, &seen) == Relation::Itself
        {
            found.entry(sighting.place).or_default().push(seen);
        }
    }
    found.iter().find_map(|(place, sightings)| {
        let first = sightings.first()?;
        if !packet::is_complete(&probe.packet, sightings) {
            return None;
        }
        let interface = match *place {
            Place::Wire(interface) => Some(
                lab.interfaces
                    .get(interface)
                    .map(|interface| interface.name.clone())?,
            ),
            Place::Input => None,
        };
        let sport = first.ports().map(|(sport, _)| sport);
        let sport_sent = probe.packet.ports().map(|(sport, _)| sport);
        Some(Arrival {
            interface,
            source: first.source,
            destination: first.destination,
            sport,
            sport_sent: sport_sent.filter(|_| sport != sport_sent),
            dport: first.ports().map(|(_, dport)| dport),
            ttl: first.ttl,
            dscp: first.traffic_class >> 2,
            mss: first.mss(),
        })
    })
}
