//! The judge: an expectation and the evidence give an outcome. Total and pure.
//!
//! Nothing is concluded from silence. Every verdict names its proof, and where a proof is missing the
//! verdict is inconclusive, which is never a pass.

mod answer;
mod compare;
mod kernel;

use firedrill_harness::{
    packet::{Relation, Seen, relate},
    protocol::{Control, Evidence, LabSpec, Loaded, Observed, Origin, Place, Probe},
};

use self::{
    answer::{answer, answer_dropped, is_answered, may_reject},
    compare::compare,
    kernel::kernel_reason,
};
use crate::{
    dialect::listing::Ruleset,
    path::{self, End, Traced},
    scenario::{Expectation, Scenario, Send},
    verdict::{Arrival, Decider, Inconclusive, Judgement, KernelReason, Outcome, Verdict},
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
}

/// `EPERM`: what sending returns when the output hook drops.
const EPERM: i32 = 1;

/// Judges one probe.
#[must_use]
pub fn judge(
    scenario: &Scenario,
    send: &Send,
    probe: &Probe,
    evidence: &Evidence,
    setting: Setting<'_>,
) -> Judgement {
    let (verdict, decider) = verdict(probe, evidence, setting);
    let (outcome, reason) = compare(scenario, send, &verdict, decider.as_ref());
    Judgement {
        verdict,
        decider,
        outcome,
        reason,
    }
}

/// A probe as it was sent, which is not as it was planned where a conversation made it so.
#[must_use]
pub fn as_sent(planned: &Probe, evidence: &Evidence) -> Probe {
    let mut probe = planned.clone();
    if let Some(sent) = &evidence.sent {
        probe.from = sent.from;
        probe.packet = sent.packet.clone();
    }
    probe
}

/// One judgement of all packets of a step.
///
/// # Panics
///
/// Where there are none.
#[must_use]
pub fn together(_expect: &Expectation, judgements: &[Judgement]) -> Judgement {
    let telling = judgements
        .iter()
        .find(|judgement| judgement.outcome != Outcome::Pass);
    telling.unwrap_or(&judgements[0]).clone()
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
pub fn verdict(
    planned: &Probe,
    evidence: &Evidence,
    setting: Setting<'_>,
) -> (Verdict, Option<Decider>) {
    let probe = &as_sent(planned, evidence);
    let unproven = |reason| (Verdict::Inconclusive(reason), None);
    if setting.loaded.generation_after == setting.loaded.generation_before {
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
    let (entered, runs) = path::runs(&evidence.trace, &probe.packet, Traced::Probe);
    let kernel = kernel_reason(evidence.kernel.as_ref(), probe, setting.lab);
    let dropped_by_kernel = |reason| (Verdict::Drop, Some(Decider::Kernel(reason)));
    if !entered {
        return unproven(Inconclusive::NeverEntered);
    }
    let mut stopped = None;
    for run in &runs {
        match run.end(setting.ruleset) {
            End::Drop(decider) => stopped = Some(decider),
            End::HandedOver(to) => return unproven(Inconclusive::HandedOver(to)),
            End::Accept(_) | End::Open => {}
        }
    }
    match (arrival(probe, &evidence.observed, setting.lab), stopped) {
        (Some(_), Some(decider)) => (
            Verdict::Inconclusive(Inconclusive::Contradiction),
            Some(decider),
        ),
        (Some(arrival), None) => {
            let hook = match (probe.from, &arrival.interface) {
                (Origin::Firewall, _) => "output",
                (Origin::Wire(_), Some(_)) => "forward",
                (Origin::Wire(_), None) => "input",
            };
            let v6 = arrival.destination.is_ipv6();
            let decider = path::who_accepted(&runs, setting.ruleset, hook, v6);
            (Verdict::Accept(arrival), decider)
        }
        (None, Some(decider)) => {
            let verdict = match path_works(planned, &evidence.control, setting.lab) {
                Err(reason) => Verdict::Inconclusive(reason),
                // The chain had thrown the probe away, so whatever came back was sent by its rule: a
                // closed port answers only what was let in.
                Ok(()) => match answer(probe, &evidence.observed) {
                    Some(error) => Verdict::Reject(error),
                    None if may_reject(&decider)
                        && is_answered(probe)
                        && !answer_dropped(probe, evidence, setting) =>
                    {
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
            None => unproven(Inconclusive::Vanished),
        },
    }
}

/// Whether the probe would have come out without the candidate, or was going to be stopped by the
/// kernel for a reason that is a protection in itself. A drop on a path that does not work anyway
/// proves nothing.
fn path_works(probe: &Probe, control: &Control, lab: &LabSpec) -> Result<(), Inconclusive> {
    if !control.observed.barrier {
        return Err(Inconclusive::BarrierLost);
    }
    if arrival(probe, &control.observed, lab).is_some() {
        return Ok(());
    }
    match kernel_reason(control.kernel.as_ref(), probe, lab) {
        reason @ (None | Some(KernelReason::NoRoute)) => Err(Inconclusive::PathBroken(reason)),
        Some(
            KernelReason::ReversePathFilter
            | KernelReason::MartianSource
            | KernelReason::ForwardingOff
            | KernelReason::TimeToLive
            | KernelReason::BadHeader,
        ) => Ok(()),
    }
}

/// Where the probe came out: on a wire it was not sent from, or behind the input hook.
fn arrival(probe: &Probe, observed: &Observed, lab: &LabSpec) -> Option<Arrival> {
    observed.seen.iter().find_map(|sighting| {
        let seen = Seen::parse(&sighting.packet.0)?;
        if relate(&probe.packet, &seen) != Relation::Itself {
            return None;
        }
        let interface = match sighting.place {
            Place::Wire(interface) => Some(
                lab.interfaces
                    .get(interface)
                    .map(|interface| interface.name.clone())?,
            ),
            Place::Input => None,
        };
        Some(Arrival {
            interface,
            source: seen.source,
            destination: seen.destination,
        })
    })
}
