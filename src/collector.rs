//! From the agent's records to what became of every step.

use std::collections::BTreeMap;

use firedrill_harness::{
    launcher::{LaunchError, Session},
    protocol::{Conversation, Evidence, Loaded, Plan, Probe, Record, Step, Task},
};

use crate::{
    describe,
    dialect::{Prepared, listing::Ruleset},
    event::{ScenarioError, StepRecord},
    judge::{self, Setting},
    plan::{Place, Planned},
    runner::{lab_error, load_failed},
    scenario::{Action, Case, Expectation, Scenario, Send},
    verdict::{Inconclusive, Judgement},
};

/// Collects the records of one agent.
pub(crate) struct Collector<'a> {
    scenario: &'a Scenario,
    cases: &'a [&'a Case],
    planned: &'a Planned,
    probes: BTreeMap<u32, &'a Probe>,
    /// The scenario's own candidate, then those that are loaded later.
    prepared: &'a [Prepared],
    /// Whether all records are kept.
    keep: bool,
    sitting: Option<Sitting>,
    loaded: Option<Loaded>,
    found: BTreeMap<(usize, usize), Found>,
    /// Kernel release, if it came so far.
    pub(crate) kernel: Option<String>,
    /// What the candidate's programs printed.
    pub(crate) output: String,
    /// All records, if they are kept.
    pub(crate) records: Vec<Record>,
}

/// A loaded ruleset, and what was found of it so far.
struct Sitting {
    loaded: Loaded,
    ruleset: Ruleset,
    listing: String,
    steps: Vec<(usize, usize)>,
}

/// What was found of a step.
struct Found {
    packet: String,
    judgements: Vec<Judgement>,
    duration_us: u64,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        cases: &'a [&'a Case],
        planned: &'a Planned,
        prepared: &'a [Prepared],
        keep: bool,
    ) -> Self {
        let probes = probes(&planned.plan).map(|probe| (probe.id, probe));
        Self {
            scenario,
            cases,
            planned,
            probes: probes.collect(),
            prepared,
            keep,
            sitting: None,
            loaded: None,
            found: BTreeMap::new(),
            kernel: None,
            output: String::new(),
            records: Vec::new(),
        }
    }

    /// Reads an agent's records to their end.
    pub(crate) async fn collect(&mut self, session: &mut Session) -> Result<(), ScenarioError> {
        loop {
            let lost = |error: LaunchError| lab_error(&error);
            let record = session.next().await.map_err(lost)?;
            if self.keep {
                self.records.push(record.clone());
            }
            match record {
                Record::Lab { kernel, .. } => self.kernel = Some(kernel),
                Record::Loaded(loaded) => {
                    let prepared = self.prepared(&loaded)?;
                    if self.output.is_empty() {
                        self.output = prepared.translate(&loaded.output);
                    }
                    self.loaded = Some(loaded);
                }
                Record::Ruleset { listing } => self.sit_down(listing)?,
                Record::Evidence(evidence) => self.evidence(&evidence)?,
                Record::Reloaded(_) => {}
                Record::Sealed { generation } => self.seal(generation)?,
                Record::Done { .. } => {
                    let all = self.found.len() == self.expected_steps();
                    return if all { Ok(()) } else { Err(out_of_order()) };
                }
                Record::LoadFailed(failure) => {
                    return Err(load_failed(&failure, &self.prepared[0]));
                }
                Record::Broken(broken) => return Err(lab_error(&broken)),
                Record::Refused(refused) => return Err(ScenarioError::Input(refused.to_string())),
            }
        }
    }

    /// What became of the steps of a case; those that were not reached are inconclusive for this reason.
    pub(crate) fn steps(&self, position: usize, why: &Inconclusive) -> Vec<StepRecord> {
        let mut steps = unreached(self.cases[position], why);
        let places = self.cases[position].steps.iter().enumerate();
        let places = places.filter_map(|(index, step)| Some((index, expectation(&step.action)?)));
        for (record, (index, expect)) in steps.iter_mut().zip(places) {
            if let Some(found) = self.found.get(&(position, index)) {
                record.packet.clone_from(&found.packet);
                record.judgement = judge::together(expect, &found.judgements);
                record.duration_us = found.duration_us;
            }
        }
        steps
    }

    fn expected_steps(&self) -> usize {
        let steps = self.cases.iter().flat_map(|case| &case.steps);
        steps
            .filter(|step| expectation(&step.action).is_some())
            .count()
    }

    fn prepared(&self, loaded: &Loaded) -> Result<&'a Prepared, ScenarioError> {
        self.prepared.get(loaded.candidate).ok_or_else(out_of_order)
    }

    fn sit_down(&mut self, listing: String) -> Result<(), ScenarioError> {
        let loaded = self.loaded.take().ok_or_else(out_of_order)?;
        let prepared = self.prepared(&loaded)?;
        // Fresh labs mostly bring the same listing again, and reading a large one takes a while.
        let ruleset = match self.sitting.take() {
            Some(before)
                if before.listing == listing && before.loaded.candidate == loaded.candidate =>
            {
                before.ruleset
            }
            _ => prepared.ruleset(&listing),
        };
        self.sitting = Some(Sitting {
            loaded,
            ruleset,
            listing,
            steps: Vec::new(),
        });
        Ok(())
    }

    fn evidence(&mut self, evidence: &Evidence) -> Result<(), ScenarioError> {
        let (Some(sitting), Some(place), Some(planned)) = (
            &mut self.sitting,
            self.planned.places.get(evidence.probe as usize),
            self.probes.get(&evidence.probe),
        ) else {
            return Err(out_of_order());
        };
        let Place { case, step } = *place;
        let Action::Send(send) = &self.cases[case].steps[step].action else {
            return Err(out_of_order());
        };
        let setting = Setting {
            lab: &self.planned.plan.lab,
            loaded: &sitting.loaded,
            ruleset: &sitting.ruleset,
        };
        let judgement = judge::judge(self.scenario, send, planned, evidence, setting);
        sitting.steps.push((case, step));
        let found = self.found.entry((case, step)).or_insert_with(|| Found {
            packet: describe::probe(self.scenario, &judge::as_sent(planned, evidence)),
            judgements: Vec::new(),
            duration_us: 0,
        });
        found.judgements.push(judgement);
        found.duration_us += evidence.duration_us;
        Ok(())
    }

    /// Somebody may have changed the rules while they were probed: then nothing holds.
    fn seal(&mut self, generation: u32) -> Result<(), ScenarioError> {
        let sitting = self.sitting.as_mut().ok_or_else(out_of_order)?;
        let steps = std::mem::take(&mut sitting.steps);
        if generation == sitting.loaded.generation_probed {
            return Ok(());
        }
        for place in steps {
            if let Some(found) = self.found.get_mut(&place) {
                for judgement in &mut found.judgements {
                    *judgement = judge::inconclusive(Inconclusive::RulesetChanged);
                }
            }
        }
        Ok(())
    }
}

/// The steps of a case that nobody came to.
pub(crate) fn unreached(case: &Case, why: &Inconclusive) -> Vec<StepRecord> {
    let steps = case.steps.iter();
    steps
        .filter_map(|step| {
            Some(StepRecord {
                text: step.text.clone(),
                at: step.at.clone(),
                expected: expectation(&step.action)?.to_string(),
                packet: String::new(),
                judgement: judge::inconclusive(why.clone()),
                duration_us: 0,
            })
        })
        .collect()
}

/// What is expected of a step, if anything.
fn expectation(action: &Action) -> Option<&Expectation> {
    let send: Option<&Send> = match action {
        Action::Send(send) => Some(send),
        Action::Reload(reload) => reload.meanwhile.as_ref(),
        Action::Wait(_) => None,
    };
    send.map(|send| &send.expect)
}

/// The probes of a plan.
fn probes(plan: &Plan) -> impl Iterator<Item = &Probe> {
    let conversations: &[Conversation] = match &plan.task {
        Task::Drill(conversations) => conversations,
        Task::Shell(_) => &[],
    };
    let steps = conversations.iter().flat_map(|one| &one.steps);
    steps.filter_map(|step| match step {
        Step::Probe(probe) => Some(&**probe),
        Step::Wait(_) | Step::Reload(_) => None,
    })
}

fn out_of_order() -> ScenarioError {
    ScenarioError::Lab("the sandbox sent its records in an impossible order".to_owned())
}
