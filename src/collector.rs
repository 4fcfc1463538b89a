//! From the agent's records to what became of every step.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::{
    launcher::{LaunchError, Session},
    protocol::{
        Conversation, Evidence, Listing, Loaded, Plan, Probe, Record, Reloaded, Step, Task,
    },
};

use crate::{
    describe,
    dialect::{Loadable, listing::Ruleset},
    event::{ScenarioError, StepRecord},
    judge::{self, Judged, Setting},
    memory::{Memory, Written},
    plan::{Place, Planned},
    runner::{lab_error, load_failed},
    scenario::{Action, Case, Scenario, Send},
    verdict::{Inconclusive, Judgement},
};

/// Collects the records of one agent.
pub(crate) struct Collector<'a> {
    scenario: &'a Scenario,
    cases: &'a [&'a Case],
    planned: &'a Planned,
    probes: BTreeMap<u32, &'a Probe>,
    /// The scenario's own candidate, then those that are loaded later.
    prepared: Vec<&'a Loadable>,
    /// Where the candidate's programs are looked for, in words.
    whose: &'a str,
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
    /// The cases that met what others left in the memory of a rule.
    spoilt: BTreeSet<usize>,
}

/// A loaded ruleset, and what was found of it so far.
struct Sitting {
    loaded: Loaded,
    ruleset: Ruleset,
    memory: Memory,
    written: Written,
    /// The case of the last evidence.
    case: Option<usize>,
    /// As it was after loading.
    listing: Listing,
    /// As it was listed last, with counters and sets if somebody asks for them.
    latest: String,
    steps: Vec<(usize, usize)>,
}

/// What was found of a step.
struct Found {
    packet: String,
    packets: Vec<Judged>,
    duration_us: u64,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        cases: &'a [&'a Case],
        planned: &'a Planned,
        prepared: Vec<&'a Loadable>,
        whose: &'a str,
        keep: bool,
    ) -> Self {
        let probes = probes(&planned.plan).map(|probe| (probe.id, probe));
        Self {
            scenario,
            cases,
            planned,
            probes: probes.collect(),
            prepared,
            whose,
            keep,
            sitting: None,
            loaded: None,
            found: BTreeMap::new(),
            kernel: None,
            output: String::new(),
            records: Vec::new(),
            spoilt: BTreeSet::new(),
        }
    }

    /// The cases, by position, whose verdicts may depend on what earlier cases left in the memory of a
    /// rule; in ascending order.
    pub(crate) fn spoilt(&self) -> Vec<usize> {
        self.spoilt.iter().copied().collect()
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
                Record::Ruleset(listing) => self.sit_down(listing)?,
                Record::Evidence(evidence) => self.evidence(*evidence)?,
                Record::Reloaded(reloaded) => self.reloaded(&reloaded)?,
                Record::Sealed {
                    generation,
                    legacy_changed,
                } => self.seal(generation, legacy_changed)?,
                Record::Done { .. } => {
                    let all = self.found.len() == self.expected_steps();
                    return if all { Ok(()) } else { Err(out_of_order()) };
                }
                Record::LoadFailed(failure) => {
                    let prepared = self.prepared.get(failure.candidate);
                    let prepared = prepared.ok_or_else(out_of_order)?;
                    return Err(load_failed(&failure, prepared, self.whose));
                }
                Record::Broken(broken) => return Err(lab_error(&broken)),
                Record::Refused(refused) => return Err(ScenarioError::Input(refused.to_string())),
            }
        }
    }

    /// What became of the steps of a case; those that were not reached are inconclusive for this reason.
    pub(crate) fn steps(&self, position: usize, why: &Judgement) -> Vec<StepRecord> {
        let mut steps = unreached(self.cases[position], why);
        let places = self.cases[position].steps.iter().enumerate();
        let places = places.filter_map(|(index, step)| Some((index, sent(&step.action)?)));
        for (record, (index, send)) in steps.iter_mut().zip(places) {
            if let Some(found) = self.found.get(&(position, index)) {
                record.packet.clone_from(&found.packet);
                record.judgement = judge::together(send, &found.packets);
                record.duration_us = found.duration_us;
            }
        }
        steps
    }

    fn expected_steps(&self) -> usize {
        let steps = self.cases.iter().flat_map(|case| &case.steps);
        steps.filter(|step| sent(&step.action).is_some()).count()
    }

    fn prepared(&self, loaded: &Loaded) -> Result<&'a Loadable, ScenarioError> {
        self.prepared
            .get(loaded.candidate)
            .copied()
            .ok_or_else(out_of_order)
    }

    fn sit_down(&mut self, listing: Listing) -> Result<(), ScenarioError> {
        let mut loaded = self.loaded.take().ok_or_else(out_of_order)?;
        let prepared = self.prepared(&loaded)?;
        let told = loaded.clone();
        loaded.listed(listing.clone());
        // Fresh labs mostly bring the same listing again, and reading a large one takes a while.
        let (ruleset, memory) = match self.sitting.take() {
            Some(before)
                if before.listing == listing
                    && before.loaded.candidate == loaded.candidate
                    && before.loaded.layers == loaded.layers =>
            {
                (before.ruleset, before.memory)
            }
            _ => {
                let ruleset = prepared.ruleset(&told, &listing);
                let memory = Memory::of(&ruleset);
                (ruleset, memory)
            }
        };
        self.sitting = Some(Sitting {
            loaded,
            ruleset,
            memory,
            written: Written::default(),
            case: None,
            latest: listing.listing.clone(),
            listing,
            steps: Vec::new(),
        });
        Ok(())
    }

    fn evidence(&mut self, mut evidence: Evidence) -> Result<(), ScenarioError> {
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
        sitting.ruleset.complete(&mut evidence.trace);
        if let Some(before) = evidence.listing_before.take() {
            sitting.latest = before;
        }
        let setting = Setting {
            lab: &self.planned.plan.lab,
            loaded: &sitting.loaded,
            ruleset: &sitting.ruleset,
            listing: &sitting.latest,
        };
        let judged = judge::judge(self.scenario, send, planned, &evidence, setting);
        sitting.steps.push((case, step));
        let sent = judge::as_sent(planned, &evidence);
        if sitting.case != Some(case) {
            sitting.case = Some(case);
            sitting.written.next_case();
        }
        let (ruleset, written) = (&sitting.ruleset, &mut sitting.written);
        if sitting
            .memory
            .depends(ruleset, &evidence.trace, &sent.packet, written)
        {
            self.spoilt.insert(case);
        }
        let found = self.found.entry((case, step)).or_insert_with(|| Found {
            packet: describe::probe(self.scenario, &sent),
            packets: Vec::new(),
            duration_us: 0,
        });
        found.packets.push(judged);
        found.duration_us += evidence.duration_us;
        if let Some(after) = &evidence.listing {
            sitting.latest.clone_from(after);
        }
        Ok(())
    }

    /// What passed while another configuration was loaded.
    fn reloaded(&mut self, reloaded: &Reloaded) -> Result<(), ScenarioError> {
        let place = self.planned.places.get(reloaded.id as usize);
        let Place { case, step } = *place.ok_or_else(out_of_order)?;
        let Some(meanwhile) = sent(&self.cases[case].steps[step].action) else {
            return Ok(());
        };
        let Some(probe) = self.probes.get(&reloaded.id) else {
            return Err(out_of_order());
        };
        let lab = &self.planned.plan.lab;
        self.found.insert(
            (case, step),
            Found {
                packet: format!(
                    "{}, {} times, {} of them passed",
                    describe::probe(self.scenario, probe),
                    reloaded.sent,
                    reloaded.passed
                ),
                packets: vec![judge::meanwhile(meanwhile, probe, reloaded, lab)],
                duration_us: reloaded.duration_us,
            },
        );
        Ok(())
    }

    /// Somebody may have changed the rules while they were probed: then nothing holds.
    fn seal(&mut self, generation: u32, legacy_changed: bool) -> Result<(), ScenarioError> {
        let sitting = self.sitting.as_mut().ok_or_else(out_of_order)?;
        let steps = std::mem::take(&mut sitting.steps);
        if generation == sitting.loaded.generation_probed && !legacy_changed {
            return Ok(());
        }
        for place in steps {
            if let Some(found) = self.found.get_mut(&place) {
                for packet in &mut found.packets {
                    packet.judgement = judge::inconclusive(Inconclusive::RulesetChanged);
                }
            }
        }
        Ok(())
    }
}

/// The steps of a case that nobody came to.
pub(crate) fn unreached(case: &Case, why: &Judgement) -> Vec<StepRecord> {
    let steps = case.steps.iter();
    steps
        .filter_map(|step| {
            Some(StepRecord {
                text: step.text.clone(),
                at: step.at.clone(),
                expected: sent(&step.action)?.expect.to_string(),
                packet: String::new(),
                judgement: why.clone(),
                duration_us: 0,
            })
        })
        .collect()
}

/// What a step sends, and so has an expectation about, if anything.
fn sent(action: &Action) -> Option<&Send> {
    match action {
        Action::Send(send) => Some(send),
        Action::Reload(reload) => reload.meanwhile.as_ref(),
        Action::Wait(_) => None,
    }
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
        Step::Reload(reload) => reload.meanwhile.as_deref(),
        Step::Wait(_) => None,
    })
}

/// What to tell of records that no agent sends.
pub(crate) fn out_of_order() -> ScenarioError {
    ScenarioError::Lab("the sandbox sent its records in an impossible order".to_owned())
}
