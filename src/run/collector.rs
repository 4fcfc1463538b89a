//! From the agent's records to what became of every step.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::{
    launcher::{LaunchError, Session},
    packet::protocol,
    protocol::{
        Conversation, Evidence, Listing, Loaded, Plan, Probe, Record, Reloaded, Step, Swept, Task,
    },
};

use super::{
    failure::{lab_error, load_failed, out_of_order},
    options::Walks,
};
use crate::{
    coverage::{
        Covering,
        gather::{Gathered, Whose},
    },
    dialect::Loadable,
    judge::{
        self, Judged, Setting,
        isolation::Pace,
        stateful::{Memory, Written},
        sweep,
        verdict::{Inconclusive, Judgement, Outcome},
    },
    plan::{self, Part, Place, Planned, describe},
    record::{
        StepRecord, SweepRecord,
        coverage::{Measured, Sets},
        failure::ScenarioError,
    },
    ruleset::{chain::Chain, listing::Ruleset},
    scenario::{Action, Case, Over, Party, Scenario, Send, Sweep, ranges_text},
    trace::{
        self,
        walk::{Around, Walk},
        way::Observation,
    },
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
    /// Of which packets the ways are kept, and how many are.
    walks: Walks,
    kept_walks: usize,
    sitting: Option<Sitting>,
    loaded: Option<Loaded>,
    found: BTreeMap<(usize, usize), Found>,
    swept: Sweeps,
    /// Which numbers of the plan have been told of.
    told: Vec<bool>,
    /// Kernel release, if it came so far.
    pub(crate) kernel: Option<String>,
    /// What the candidate's programs printed.
    pub(crate) output: String,
    /// All records, if they are kept.
    pub(crate) records: Vec<Record>,
    /// The cases that met what others left in the memory of a rule.
    spoilt: BTreeSet<usize>,
    /// Which rules the packets met, if somebody asks.
    coverage: Option<Gathered>,
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

/// What was found of sweeps, by case and step.
pub(crate) type Sweeps = BTreeMap<(usize, usize), FoundSweep>;

/// What was found of a step that sweeps.
#[derive(Default)]
pub(crate) struct FoundSweep {
    found: sweep::Found,
    /// What rules that remember make necessary.
    pace: Pace,
    /// What was made once more in labs of its own: ranges with both their ends.
    again: Vec<(u16, u16)>,
    /// In how many labs beyond the shared one.
    labs: usize,
    duration_us: u64,
    /// Whether the rules changed meanwhile.
    void: bool,
}

/// The most ways of packets that are kept of a scenario, unless all are asked for: a scenario may have a
/// hundred thousand cases, and all of them may fail.
const MAX_WALKS: usize = 1000;

/// What was found of a step.
struct Found {
    packet: String,
    packets: Vec<Judged>,
    walk: Option<Box<Walk>>,
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
            walks: Walks::default(),
            kept_walks: 0,
            sitting: None,
            loaded: None,
            found: BTreeMap::new(),
            swept: BTreeMap::new(),
            told: vec![false; planned.places.len()],
            kernel: None,
            output: String::new(),
            records: Vec::new(),
            spoilt: BTreeSet::new(),
            coverage: None,
        }
    }

    /// The same, with the coverage of rules if somebody asks for it.
    pub(crate) fn covering(mut self, covering: Covering) -> Self {
        self.coverage = Gathered::new(covering);
        self
    }

    /// Whether the elements of named sets are wanted.
    pub(crate) fn asks_for_sets(&self) -> bool {
        self.coverage.as_ref().is_some_and(Gathered::asks_for_sets)
    }

    /// What the packets covered of each configuration, but for the cases whose verdicts do not count. `position`
    /// says where a case stands in the record of the scenario.
    pub(crate) fn measured(&self, sets: &Sets, position: impl Fn(usize) -> usize) -> Vec<Measured> {
        let gathered = self.coverage.as_ref();
        gathered.map_or_else(Vec::new, |gathered| {
            // What of a sweep was made once more counts as it was made then.
            let again = |whose: Whose| {
                let (step, number) = whose.swept?;
                let mut again = self.swept.get(&(whose.case, step))?.again.iter();
                again.find(|(first, last)| (first..=last).contains(&&number))
            };
            let position = |whose: Whose| {
                let stands = !self.spoilt.contains(&whose.case) && again(whose).is_none();
                stands.then(|| position(whose.case))
            };
            gathered.measured(&self.prepared, &self.scenario.id, sets, position)
        })
    }

    /// The same, with the ways of these packets.
    pub(crate) fn with_walks(self, walks: Walks) -> Self {
        Self { walks, ..self }
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
                Record::Swept(swept) => self.swept(swept)?,
                Record::Reloaded(reloaded) => self.reloaded(&reloaded)?,
                Record::Sealed {
                    generation,
                    legacy_changed,
                } => self.seal(generation, legacy_changed)?,
                Record::Done { .. } => {
                    let all = self.told.iter().all(|told| *told);
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

    /// What became of the steps of a case; those that were not reached are inconclusive for this reason. To be
    /// asked once: what was found is not kept beside what is told of it.
    pub(crate) fn take_steps(&mut self, position: usize, why: &Judgement) -> Vec<StepRecord> {
        let mut steps = unreached(self.cases[position], why);
        let places = self.cases[position].steps.iter().enumerate();
        let places = places.filter(|(_, step)| expected(&step.action).is_some());
        for (record, (index, step)) in steps.iter_mut().zip(places) {
            if let (Some(send), Some(found)) =
                (sent(&step.action), self.found.remove(&(position, index)))
            {
                record.packet = found.packet;
                record.judgement = judge::together(send, &found.packets);
                record.walk = found.walk;
                record.duration_us = found.duration_us;
            }
            if let (Action::Sweep(sweep), Some(found)) =
                (&step.action, self.swept.get(&(position, index)))
            {
                self.sweep_record(sweep, found, record);
            }
        }
        steps
    }

    fn sweep_record(&self, sweep: &Sweep, found: &FoundSweep, record: &mut StepRecord) {
        let groups = sweep::groups(sweep, &found.found);
        record.duration_us = found.duration_us;
        if found.void {
            record.judgement = judge::inconclusive(Inconclusive::RulesetChanged);
            return;
        }
        record.judgement = sweep::judgement(sweep, &groups);
        let telling = groups.iter().find(|group| {
            group.outcome == record.judgement.outcome && group.verdict == record.judgement.verdict
        });
        if let Some(group) = telling {
            let probe = plan::swept(self.scenario, sweep, group.first, 0);
            record.packet = describe::probe(self.scenario, &probe);
        }
        record.sweep = Some(Box::new(SweepRecord {
            over: sweep.over,
            groups,
            labs: found.labs,
        }));
    }

    /// What of the sweeps must be made once more because rules remember earlier packets. Nothing is known of
    /// it any more.
    pub(crate) fn paced(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        for ((case, step), swept) in &mut self.swept {
            let place = Place {
                case: *case,
                step: *step,
            };
            let pace = std::mem::take(&mut swept.pace);
            swept.found.forget(&pace.again);
            swept.again.clone_from(&pace.again);
            swept.found.given_up.extend(pace.given_up);
            let part = |ports, traced| Part {
                place,
                ports,
                traced,
                isolated: true,
            };
            let readers = Some(pace.readers).filter(|readers| !readers.is_empty());
            let before = parts.len();
            parts.extend(readers.map(|readers| part(readers, false)));
            parts.extend(pace.writers.into_iter().map(|writers| part(writers, true)));
            swept.labs = parts.len() - before;
        }
        parts
    }

    /// What of the sweeps is not as it should be and was not probed one by one yet.
    pub(crate) fn unconfirmed(&self) -> Vec<Part> {
        let parts = self.swept.iter().filter_map(|((case, step), swept)| {
            let Action::Sweep(sweep) = &self.cases[*case].steps[*step].action else {
                return None;
            };
            let ports = sweep::unconfirmed(sweep, &swept.found);
            (!ports.is_empty()).then_some(Part {
                place: Place {
                    case: *case,
                    step: *step,
                },
                ports,
                traced: true,
                isolated: false,
            })
        });
        parts.collect()
    }

    /// What was found of sweeps.
    pub(crate) fn into_sweeps(self) -> Sweeps {
        self.swept
    }

    /// Takes in what another look at some of the sweeps has found.
    pub(crate) fn absorb(&mut self, again: Sweeps) {
        for (place, other) in again {
            let swept = self.swept.entry(place).or_default();
            swept.found.absorb(other.found);
            swept.duration_us += other.duration_us;
            swept.void |= other.void;
        }
    }

    /// Nothing is known of the sweeps: looking once more did not come to its end.
    pub(crate) fn forget_sweeps(&mut self) {
        self.swept.clear();
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
        let same = |before: &Sitting| {
            before.listing == listing
                && before.loaded.candidate == loaded.candidate
                && before.loaded.layers == loaded.layers
        };
        let before = self.sitting.take().filter(same);
        let known = before.is_some();
        let (ruleset, memory) = match before {
            Some(before) => (before.ruleset, before.memory),
            None => {
                let ruleset = prepared.ruleset(&told, &listing);
                let memory = Memory::of(&ruleset);
                (ruleset, memory)
            }
        };
        if let Some(coverage) = &mut self.coverage {
            coverage.loaded(&loaded, &ruleset, known);
        }
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
        let action = &self.cases[case].steps[step].action;
        trace::legacy::complete(&sitting.ruleset, &mut evidence.trace);
        if let Some(before) = evidence.listing_before.take() {
            sitting.latest = before;
        }
        let setting = Setting {
            lab: &self.planned.plan.lab,
            loaded: &sitting.loaded,
            ruleset: &sitting.ruleset,
            listing: &sitting.latest,
        };
        let observation = Observation::of(planned, &evidence);
        let sent = &observation.sent;
        let send = match action {
            Action::Send(send) => send,
            Action::Sweep(sweep) => {
                let number = sweep.over.number_of(&sent.packet);
                let told = judge::verdict(&observation, setting);
                if let Some(coverage) = &mut self.coverage {
                    let lab = &self.planned.plan.lab;
                    let whose = Whose {
                        case,
                        swept: Some((step, number)),
                    };
                    coverage.packet(whose, &observation, lab, (&told.0, told.1.as_ref()));
                }
                let swept = self.swept.entry((case, step)).or_default();
                swept.found.traced.insert(number, told);
                swept.duration_us += evidence.duration_us;
                sitting.steps.push((case, step));
                if !sweep.over.has_ports() {
                    self.told[evidence.probe as usize] = true;
                    // Each number is one by itself.
                    sitting.written.next_case();
                    sitting.case = None;
                    let (ruleset, written) = (&sitting.ruleset, &mut sitting.written);
                    if sitting.memory.depends(ruleset, &observation.way, written) {
                        swept.pace.alone(number);
                    }
                }
                return Ok(());
            }
            Action::Wait(_) | Action::Reload(_) => return Err(out_of_order()),
        };
        let judged = judge::judge(self.scenario, send, &observation, setting);
        self.told[evidence.probe as usize] = true;
        sitting.steps.push((case, step));
        if sitting.case != Some(case) {
            sitting.case = Some(case);
            sitting.written.next_case();
        }
        let (ruleset, written) = (&sitting.ruleset, &mut sitting.written);
        if sitting.memory.depends(ruleset, &observation.way, written) {
            self.spoilt.insert(case);
        }
        if let Some(coverage) = &mut self.coverage {
            let lab = &self.planned.plan.lab;
            let judgement = &judged.judgement;
            let told = (&judgement.verdict, judgement.decider.as_ref());
            let whose = Whose { case, swept: None };
            coverage.packet(whose, &observation, lab, told);
        }
        let found = self.found.entry((case, step)).or_insert_with(|| Found {
            packet: describe::probe(self.scenario, sent),
            // Nearly always there is one, and a scenario may have a hundred thousand cases.
            packets: Vec::with_capacity(1),
            walk: None,
            duration_us: 0,
        });
        let passed = judged.judgement.outcome == Outcome::Pass;
        let wanted = match self.walks {
            Walks::Unpassed => !passed && self.kept_walks < MAX_WALKS,
            Walks::First(count) => case < count,
        };
        if wanted && found.walk.is_none() {
            self.kept_walks += 1;
            let around = Around {
                lab: &self.planned.plan.lab,
                ruleset,
                listing: &sitting.listing.listing,
            };
            found.walk = Some(Box::new(Walk::of(&observation, around)));
        }
        found.packets.push(judged);
        found.duration_us += evidence.duration_us;
        if let Some(after) = &evidence.listing {
            sitting.latest.clone_from(after);
        }
        Ok(())
    }

    /// What the batches of a sweep showed.
    fn swept(&mut self, swept: Swept) -> Result<(), ScenarioError> {
        let (Some(sitting), Some(place)) = (
            &mut self.sitting,
            self.planned.places.get(swept.sweep as usize),
        ) else {
            return Err(out_of_order());
        };
        let Place { case, step } = *place;
        let Action::Sweep(sweep) = &self.cases[case].steps[step].action else {
            return Err(out_of_order());
        };
        let found = self.swept.entry((case, step)).or_default();
        // The rules are the same for each of its parts, of which there may be hundreds.
        if found.pace == Pace::default() {
            let protocol = match sweep.over {
                Over::Udp => protocol::UDP,
                Over::Tcp | Over::Protocols | Over::Icmp => protocol::TCP,
            };
            let meets = meets(sweep, &sitting.ruleset);
            let touches = sitting.memory.touches(&sitting.ruleset, protocol, meets);
            found.pace = Pace::of(&touches, &sweep.numbers);
        }
        found.found.runs.extend(swept.runs);
        found.duration_us += swept.duration_us;
        sitting.steps.push((case, step));
        self.told[swept.sweep as usize] = true;
        Ok(())
    }

    /// What passed while another configuration was loaded.
    fn reloaded(&mut self, reloaded: &Reloaded) -> Result<(), ScenarioError> {
        let place = self.planned.places.get(reloaded.id as usize);
        let Place { case, step } = *place.ok_or_else(out_of_order)?;
        self.told[reloaded.id as usize] = true;
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
                walk: None,
                duration_us: reloaded.duration_us,
            },
        );
        Ok(())
    }

    /// Somebody may have changed the rules while they were probed: then nothing holds.
    fn seal(&mut self, generation: u32, legacy_changed: bool) -> Result<(), ScenarioError> {
        let sitting = self.sitting.as_mut().ok_or_else(out_of_order)?;
        let steps = std::mem::take(&mut sitting.steps);
        let unchanged = generation == sitting.loaded.generation_probed && !legacy_changed;
        if let Some(coverage) = &mut self.coverage {
            coverage.sealed(unchanged);
        }
        if unchanged {
            return Ok(());
        }
        for place in steps {
            if let Some(swept) = self.swept.get_mut(&place) {
                swept.void = true;
            }
            if let Some(found) = self.found.get_mut(&place) {
                found.walk = None;
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
fn sent(action: &Action) -> Option<&Send> {
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
        Action::Sweep(sweep) => Some(format!("only {} open", ranges_text(&sweep.open))),
        Action::Send(_) | Action::Reload(_) | Action::Wait(_) => {
            Some(sent(action)?.expect.to_string())
        }
    }
}

/// The base chains, told by chain and hook, that the packets of a sweep, and the errors that come back, may meet.
fn meets(sweep: &Sweep, ruleset: &Ruleset) -> impl Fn(&Chain, &str) -> bool {
    // What is translated may end up anywhere.
    let translates = ruleset.chains().any(|(_, info)| {
        info.base
            .as_ref()
            .is_some_and(|base| base.kind == "nat" && base.hook != "postrouting")
    });
    let never = match (sweep.from, sweep.to) {
        _ if translates => &[][..],
        (Party::Host(_), Party::Host(_)) => &["input"],
        (Party::Host(_), Party::Firewall(_) | Party::Loopback) => &["forward"],
        (Party::Firewall(_) | Party::Loopback, Party::Host(_)) => &["forward"],
        (Party::Firewall(_) | Party::Loopback, Party::Firewall(_) | Party::Loopback) => &[],
    };
    let other_family = if sweep.source.is_ipv6() { "ip" } else { "ip6" };
    move |chain, hook| {
        let family = chain.family.rsplit(' ').next();
        !never.contains(&hook) && family != Some(other_family)
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
        Step::Sweep(sweep) => Some(&sweep.probe),
        Step::Wait(_) => None,
    })
}
