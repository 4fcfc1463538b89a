//! What was found of every step of a scenario, until records are made of it.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::protocol::{Probe, Reloaded, Swept};
use firedrill_wire::Ranges;

use super::options::Walks;
use crate::{
    judge::{
        self, Judged,
        isolation::Pace,
        sweep,
        verdict::{Inconclusive, Judgement, Outcome, Verdict},
    },
    plan::{self, LabSharing, Place, Reprobe, describe},
    record::{StepRecord, SweepRecord},
    scenario::{Action, Case, Scenario, Send, Sweep},
    trace::{
        decider::Decider,
        walk::{Around, Walk},
        way::Observation,
    },
};

/// The most ways of packets that are kept of a scenario, unless all are asked for: a scenario may have a
/// hundred thousand cases, and all of them may fail.
const MAX_WALKS: usize = 1000;

/// What was found of every step.
pub(super) struct Results<'a> {
    scenario: &'a Scenario,
    cases: &'a [&'a Case],
    /// Of which packets the ways are kept.
    walks: Walks,
    kept_walks: usize,
    steps: BTreeMap<Place, StepResult>,
    sweeps: BTreeMap<Place, SweepProgress>,
}

/// What was found of a step that sends packets.
struct StepResult {
    packet: String,
    packets: Vec<Judged>,
    walk: Option<Box<Walk>>,
    duration_us: u64,
}

/// What was found of a step that sweeps.
#[derive(Default)]
struct SweepProgress {
    result: sweep::Found,
    /// Which ports stateful rules make to be probed again; `None` before that is known.
    isolation: Option<Pace>,
    /// In how many labs beyond the shared one.
    labs: usize,
    duration_us: u64,
    /// Whether the rules changed while they were probed.
    rules_changed: bool,
}

impl<'a> Results<'a> {
    pub(super) fn new(scenario: &'a Scenario, cases: &'a [&'a Case], walks: Walks) -> Self {
        Self {
            scenario,
            cases,
            walks,
            kept_walks: 0,
            steps: BTreeMap::new(),
            sweeps: BTreeMap::new(),
        }
    }

    /// A packet of a step was judged.
    pub(super) fn judged(
        &mut self,
        place: Place,
        observation: &Observation<'_>,
        judged: Judged,
        around: Around<'_>,
    ) {
        let step = self.steps.entry(place).or_insert_with(|| StepResult {
            packet: describe::probe(self.scenario, &observation.sent),
            // Nearly always there is one, and a scenario may have a hundred thousand cases.
            packets: Vec::with_capacity(1),
            walk: None,
            duration_us: 0,
        });
        let is_wanted = match self.walks {
            Walks::Unpassed => {
                judged.judgement.outcome != Outcome::Pass && self.kept_walks < MAX_WALKS
            }
            Walks::First(count) => place.case < count,
        };
        if is_wanted && step.walk.is_none() {
            self.kept_walks += 1;
            step.walk = Some(Box::new(Walk::of(observation, around)));
        }
        step.packets.push(judged);
        step.duration_us += observation.evidence.duration_us;
    }

    /// Packets were sent while another configuration was loaded.
    pub(super) fn reloaded(
        &mut self,
        place: Place,
        probe: &Probe,
        reloaded: &Reloaded,
        judged: Judged,
    ) {
        let result = StepResult {
            packet: format!(
                "{}, {} times, {} of them passed",
                describe::probe(self.scenario, probe),
                reloaded.sent,
                reloaded.passed
            ),
            packets: vec![judged],
            walk: None,
            duration_us: reloaded.duration_us,
        };
        self.steps.insert(place, result);
    }

    /// A port of a sweep was probed by itself.
    pub(super) fn traced(
        &mut self,
        place: Place,
        number: u16,
        verdict: (Verdict, Option<Decider>),
        duration_us: u64,
    ) {
        let sweep = self.sweeps.entry(place).or_default();
        sweep.result.traced.insert(number, verdict);
        sweep.duration_us += duration_us;
    }

    /// Ports of a sweep were probed in batches.
    pub(super) fn swept(&mut self, place: Place, swept: Swept) {
        let sweep = self.sweeps.entry(place).or_default();
        sweep.result.runs.extend(swept.runs);
        sweep.result.runs.sort_by_key(|run| run.first);
        sweep.duration_us += swept.duration_us;
    }

    /// Which ports of a sweep stateful rules make to be probed again; asked for once, however many steps of the
    /// plan sweep them.
    pub(super) fn isolate_ports(&mut self, place: Place, isolation: impl FnOnce() -> Pace) {
        let sweep = self.sweeps.entry(place).or_default();
        sweep.isolation.get_or_insert_with(isolation);
    }

    /// One number of a sweep depends on state that another has changed.
    pub(super) fn isolate_number(&mut self, place: Place, number: u16) {
        let sweep = self.sweeps.entry(place).or_default();
        sweep.isolation.get_or_insert_default().alone(number);
    }

    /// The rules changed while these were probed: then nothing holds.
    pub(super) fn void(&mut self, places: &[Place]) {
        for place in places {
            if let Some(sweep) = self.sweeps.get_mut(place) {
                sweep.rules_changed = true;
            }
            if let Some(step) = self.steps.get_mut(place) {
                step.walk = None;
                for packet in &mut step.packets {
                    packet.judgement = judge::inconclusive(Inconclusive::RulesetChanged);
                }
            }
        }
    }

    /// Forgets what was found of these cases.
    pub(super) fn forget(&mut self, cases: &BTreeSet<usize>) {
        let kept_walks = &mut self.kept_walks;
        self.steps.retain(|place, step| {
            let is_kept = !cases.contains(&place.case);
            if !is_kept && step.walk.is_some() {
                *kept_walks -= 1;
            }
            is_kept
        });
    }

    /// Forgets what was found of the sweeps.
    pub(super) fn forget_sweeps(&mut self) {
        self.sweeps.clear();
    }

    /// The ports of sweeps that must be probed again because of stateful rules. Nothing is known of them any more;
    /// `forgotten` is told which.
    pub(super) fn take_ports_to_isolate(
        &mut self,
        mut forgotten: impl FnMut(Place, &Ranges),
    ) -> Vec<Reprobe> {
        let mut reprobes = Vec::new();
        for (place, sweep) in &mut self.sweeps {
            let Some(isolation) = sweep.isolation.take() else {
                continue;
            };
            sweep.result.forget(&isolation.again);
            forgotten(*place, &isolation.again);
            sweep.result.given_up.extend(isolation.given_up);
            let reprobe = |ports, traced| Reprobe {
                place: *place,
                ports,
                traced,
                sharing: LabSharing::Fresh,
            };
            let readers = Some(isolation.readers).filter(|readers| !readers.is_empty());
            let before = reprobes.len();
            reprobes.extend(readers.map(|readers| reprobe(readers, false)));
            let writers = isolation.writers.into_iter();
            reprobes.extend(writers.map(|writers| reprobe(writers, true)));
            sweep.labs = reprobes.len() - before;
        }
        reprobes
    }

    /// The ports of sweeps that are not as expected, or not proven, and were not probed one by one yet.
    pub(super) fn unconfirmed_ports(&self) -> Vec<Reprobe> {
        let reprobes = self.sweeps.iter().filter_map(|(place, progress)| {
            let Action::Sweep(sweep) = &self.cases[place.case].steps[place.step].action else {
                return None;
            };
            let ports = sweep::unconfirmed(sweep, &progress.result);
            (!ports.is_empty()).then_some(Reprobe {
                place: *place,
                ports,
                traced: true,
                sharing: LabSharing::Shared,
            })
        });
        reprobes.collect()
    }

    /// The records of the steps of a case; those that were not reached are inconclusive for this reason. To be
    /// asked once: what was found is not kept beside its records.
    pub(super) fn take_steps(&mut self, case: usize, why: &Judgement) -> Vec<StepRecord> {
        let mut records = unreached(self.cases[case], why);
        let steps = self.cases[case].steps.iter().enumerate();
        let steps = steps.filter(|(_, step)| expected(&step.action).is_some());
        for (record, (step, planned)) in records.iter_mut().zip(steps) {
            let place = Place { case, step };
            if let (Some(send), Some(result)) = (sent(&planned.action), self.steps.remove(&place)) {
                record.packet = result.packet;
                record.judgement = judge::together(send, &result.packets);
                record.walk = result.walk;
                record.duration_us = result.duration_us;
            }
            if let (Action::Sweep(sweep), Some(progress)) =
                (&planned.action, self.sweeps.get(&place))
            {
                self.sweep_record(sweep, progress, record);
            }
        }
        records
    }

    fn sweep_record(&self, sweep: &Sweep, progress: &SweepProgress, record: &mut StepRecord) {
        let groups = sweep::groups(sweep, &progress.result);
        record.duration_us = progress.duration_us;
        if progress.rules_changed {
            record.judgement = judge::inconclusive(Inconclusive::RulesetChanged);
            return;
        }
        record.judgement = sweep::judgement(sweep, &groups);
        let decisive = groups.iter().find(|group| {
            group.outcome == record.judgement.outcome && group.verdict == record.judgement.verdict
        });
        if let Some(group) = decisive {
            let probe = plan::swept(self.scenario, sweep, group.first, 0);
            record.packet = describe::probe(self.scenario, &probe);
        }
        record.sweep = Some(Box::new(SweepRecord {
            over: sweep.over,
            groups,
            labs: progress.labs,
        }));
    }
}

/// The records of the steps of a case that was not run.
pub(super) fn unreached(case: &Case, why: &Judgement) -> Vec<StepRecord> {
    // A list that grows has room for four, and a record is large.
    let mut records = Vec::with_capacity(case.steps.len());
    records.extend(case.steps.iter().filter_map(|step| {
        Some(StepRecord {
            text: step.text.clone(),
            at: step.at.clone(),
            expected: expected(&step.action)?,
            packet: String::new(),
            repeated: sent(&step.action).is_some_and(|send| send.repeat.is_some()),
            judgement: why.clone(),
            walk: None,
            duration_us: 0,
            sweep: None,
        })
    }));
    records
}

/// What a step sends, and so has an expectation about, if anything.
pub(super) fn sent(action: &Action) -> Option<&Send> {
    match action {
        Action::Send(send) => Some(send),
        Action::Reload(reload) => reload.meanwhile.as_ref(),
        Action::Wait(_) | Action::Sweep(_) => None,
    }
}

/// What is expected of a step, if anything, in words.
fn expected(action: &Action) -> Option<String> {
    match action {
        Action::Sweep(sweep) if sweep.open.is_empty() => Some("none open".to_owned()),
        Action::Sweep(sweep) => Some(format!("only {} open", sweep.open)),
        Action::Send(_) | Action::Reload(_) | Action::Wait(_) => {
            Some(sent(action)?.expect.to_string())
        }
    }
}
