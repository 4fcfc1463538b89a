//! From the agent's records to the results of every step.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_harness::{
    launcher::{LaunchError, Session},
    packet::protocol,
    protocol::{
        Conversation, Evidence, LabSpec, Listing, Loaded, Plan, Probe, Record, Reloaded, Step,
        Swept, Task,
    },
};

use super::{
    failure::{lab_error, load_failed, out_of_order},
    options::Options,
    results::{Results, sent},
    round::{Purpose, Round},
};
use crate::{
    coverage::{
        self,
        gather::{Gathered, ProbeKey},
    },
    dialect::Loadable,
    judge::{
        self, Setting,
        isolation::Pace,
        stateful::{Memory, Written},
        verdict::Judgement,
    },
    plan::{Place, Reprobe},
    record::{
        StepRecord,
        coverage::{Measured, Sets},
        failure::ScenarioError,
    },
    ruleset::{chain::Chain, listing::Ruleset},
    scenario::{Action, Case, Over, Party, Scenario, Sweep},
    trace::{
        self,
        walk::Around,
        way::{Observation, Way},
    },
};

/// Collects the records of the agents of a scenario, round by round.
pub(super) struct Collector<'a> {
    scenario: &'a Scenario,
    cases: &'a [&'a Case],
    /// The scenario's own candidate, then those that are loaded later.
    candidates: Vec<&'a Loadable>,
    /// Where the candidate's programs are looked for, in words.
    programs_location: &'a str,
    /// The ruleset that is being probed, or that was last.
    current: Option<LoadedRuleset>,
    results: Results<'a>,
    /// The cases that reached a stateful rule after another case had changed its state.
    state_dependent: BTreeSet<usize>,
    /// Which rules the packets met; `None` if that is not measured.
    coverage: Option<Gathered>,
    /// The elements of the candidate's named sets, where coverage needs them.
    sets: Sets,
    /// Kernel release; `None` if no lab was built.
    pub(super) kernel: Option<String>,
    /// What the candidate's programs printed.
    pub(super) output: String,
    /// All records of the round; `None` if they are not kept.
    pub(super) records: Option<Vec<Record>>,
}

/// A loaded ruleset, and what has happened to it so far.
struct LoadedRuleset {
    loaded: Loaded,
    ruleset: Ruleset,
    stateful: Memory,
    writes: Written,
    /// The case of the last evidence.
    case: Option<usize>,
    /// As it was after loading.
    listing: Listing,
    /// As it was listed last, with counters and sets if a case looks at them.
    latest: String,
    /// What was probed of it.
    places: Vec<Place>,
}

impl LoadedRuleset {
    /// Another case begins, if it is another.
    fn begin_case(&mut self, case: Option<usize>) {
        if self.case != case || case.is_none() {
            self.case = case;
            self.writes.next_case();
        }
    }

    /// Whether a packet has reached state that an earlier case has changed. Notes what this one changes.
    fn is_state_dependent(&mut self, way: &Way<'_>) -> bool {
        self.stateful.depends(&self.ruleset, way, &mut self.writes)
    }

    fn setting<'s>(&'s self, lab: &'s LabSpec) -> Setting<'s> {
        Setting {
            lab,
            loaded: &self.loaded,
            ruleset: &self.ruleset,
            listing: &self.latest,
        }
    }
}

/// How far the agent of a round has come.
struct Progress<'r> {
    round: &'r Round,
    probes: BTreeMap<u32, &'r Probe>,
    /// Whether a result for each probe has arrived, by [`Probe::id`].
    reported: Vec<bool>,
    /// What was loaded and is not listed yet.
    loaded: Option<Loaded>,
    /// Whether a ruleset was loaded and listed.
    is_listed: bool,
}

impl<'r> Progress<'r> {
    fn of(round: &'r Round) -> Self {
        Self {
            round,
            probes: probes(&round.planned.plan)
                .map(|probe| (probe.id, probe))
                .collect(),
            reported: vec![false; round.planned.places.len()],
            loaded: None,
            is_listed: false,
        }
    }

    fn lab(&self) -> &'r LabSpec {
        &self.round.planned.plan.lab
    }

    fn place(&self, id: u32) -> Result<Place, ScenarioError> {
        let place = self.round.planned.places.get(id as usize);
        place.copied().ok_or_else(out_of_order)
    }

    fn probe(&self, id: u32) -> Result<&'r Probe, ScenarioError> {
        self.probes.get(&id).copied().ok_or_else(out_of_order)
    }

    fn report(&mut self, id: u32) {
        self.reported[id as usize] = true;
    }
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        cases: &'a [&'a Case],
        candidates: Vec<&'a Loadable>,
        options: &'a Options,
    ) -> Self {
        Self {
            scenario,
            cases,
            candidates,
            programs_location: options.launchers.whose_programs(&scenario.sandbox),
            current: None,
            results: Results::new(scenario, cases, options.walks),
            state_dependent: BTreeSet::new(),
            coverage: Gathered::new(options.coverage),
            sets: Sets::new(),
            kernel: None,
            output: String::new(),
            records: options.record.is_some().then(Vec::new),
        }
    }

    /// Whether coverage needs the elements of named sets.
    pub(super) fn needs_sets(&self) -> bool {
        self.coverage.as_ref().is_some_and(Gathered::asks_for_sets)
    }

    /// What the packets covered of each configuration.
    pub(super) fn measured(&self) -> Vec<Measured> {
        let coverage = self.coverage.as_ref();
        coverage.map_or_else(Vec::new, |coverage| {
            coverage.measured(&self.candidates, &self.scenario.id, &self.sets)
        })
    }

    /// The cases, by position, whose verdicts may depend on what earlier cases have changed; ascending. Nothing is
    /// known of them any more.
    pub(super) fn take_state_dependent(&mut self) -> BTreeSet<usize> {
        let cases = std::mem::take(&mut self.state_dependent);
        self.results.forget(&cases);
        if let Some(coverage) = &mut self.coverage {
            coverage.forget(|key| cases.contains(&key.case));
        }
        cases
    }

    /// As [`Results::take_ports_to_isolate`].
    pub(super) fn take_ports_to_isolate(&mut self) -> Vec<Reprobe> {
        let coverage = &mut self.coverage;
        self.results.take_ports_to_isolate(|place, ports| {
            let is_again = |key: ProbeKey| {
                key.case == place.case
                    && key
                        .swept
                        .is_some_and(|(step, number)| step == place.step && ports.contains(number))
            };
            if let Some(coverage) = coverage.as_mut().filter(|_| !ports.is_empty()) {
                coverage.forget(is_again);
            }
        })
    }

    /// As [`Results::unconfirmed_ports`].
    pub(super) fn unconfirmed_ports(&self) -> Vec<Reprobe> {
        self.results.unconfirmed_ports()
    }

    /// A round did not come to its end: nothing is known of what it, or one after it, was to probe again.
    pub(super) fn discard_unfinished(&mut self) {
        self.take_state_dependent();
        self.results.forget_sweeps();
    }

    /// As [`Results::take_steps`].
    pub(super) fn take_steps(&mut self, case: usize, why: &Judgement) -> Vec<StepRecord> {
        self.results.take_steps(case, why)
    }

    /// Reads the records of a round's agent to their end.
    pub(super) async fn collect(
        &mut self,
        session: &mut Session,
        round: &Round,
    ) -> Result<(), ScenarioError> {
        let mut progress = Progress::of(round);
        loop {
            let lost = |error: LaunchError| lab_error(&error);
            let record = session.next().await.map_err(lost)?;
            if let Some(records) = &mut self.records {
                records.push(record.clone());
            }
            match record {
                Record::Lab { kernel, .. } => self.kernel = Some(kernel),
                Record::Loaded(loaded) => {
                    let candidate = self.candidate(&loaded)?;
                    if self.output.is_empty() {
                        self.output = candidate.translate(&loaded.output);
                    }
                    progress.loaded = Some(loaded);
                }
                Record::Ruleset(listing) => self.listed(&mut progress, listing)?,
                Record::Evidence(evidence) => self.evidence(&mut progress, *evidence)?,
                Record::Swept(swept) => self.swept(&mut progress, swept)?,
                Record::Reloaded(reloaded) => self.reloaded(&mut progress, &reloaded)?,
                Record::Sealed {
                    generation,
                    legacy_changed,
                } => self.sealed(generation, legacy_changed)?,
                Record::Done { .. } => {
                    let is_complete = progress.reported.iter().all(|reported| *reported);
                    return if is_complete {
                        Ok(())
                    } else {
                        Err(out_of_order())
                    };
                }
                Record::LoadFailed(failure) => {
                    let candidate = self.candidates.get(failure.candidate);
                    let candidate = candidate.ok_or_else(out_of_order)?;
                    return Err(load_failed(&failure, candidate, self.programs_location));
                }
                Record::Broken(broken) => return Err(lab_error(&broken)),
                Record::Refused(refused) => return Err(ScenarioError::Input(refused.to_string())),
            }
        }
    }

    /// Reads the elements of the candidate's named sets. Without them coverage knows less, which is no fault of the
    /// run.
    pub(super) async fn collect_sets(&mut self, session: &mut Session) {
        while let Ok(record) = session.next().await {
            match record {
                Record::Evidence(evidence) => {
                    if let Some(listing) = &evidence.listing_before {
                        self.sets = coverage::sets(listing);
                    }
                }
                Record::Lab { .. }
                | Record::Loaded(_)
                | Record::Ruleset(_)
                | Record::Swept(_)
                | Record::Sealed { .. }
                | Record::Reloaded(_) => {}
                Record::Done { .. }
                | Record::LoadFailed(_)
                | Record::Broken(_)
                | Record::Refused(_) => break,
            }
        }
    }

    fn candidate(&self, loaded: &Loaded) -> Result<&'a Loadable, ScenarioError> {
        let candidate = self.candidates.get(loaded.candidate);
        candidate.copied().ok_or_else(out_of_order)
    }

    fn listed(
        &mut self,
        progress: &mut Progress<'_>,
        listing: Listing,
    ) -> Result<(), ScenarioError> {
        let mut loaded = progress.loaded.take().ok_or_else(out_of_order)?;
        progress.is_listed = true;
        let candidate = self.candidate(&loaded)?;
        let unlisted = loaded.clone();
        loaded.listed(listing.clone());
        // Fresh labs mostly bring the same listing again, and reading a large one takes a while.
        let is_same = |before: &LoadedRuleset| {
            before.listing == listing
                && before.loaded.candidate == loaded.candidate
                && before.loaded.layers == loaded.layers
        };
        let before = self.current.take().filter(is_same);
        let is_known = before.is_some();
        let (ruleset, stateful) = match before {
            Some(before) => (before.ruleset, before.stateful),
            None => {
                let ruleset = candidate.ruleset(&unlisted, &listing);
                let stateful = Memory::of(&ruleset);
                (ruleset, stateful)
            }
        };
        if let Some(coverage) = &mut self.coverage {
            coverage.loaded(&loaded, &ruleset, is_known);
        }
        self.current = Some(LoadedRuleset {
            loaded,
            ruleset,
            stateful,
            writes: Written::default(),
            case: None,
            latest: listing.listing.clone(),
            listing,
            places: Vec::new(),
        });
        Ok(())
    }

    /// The ruleset that is being probed.
    fn current<'c>(
        current: &'c mut Option<LoadedRuleset>,
        progress: &Progress<'_>,
    ) -> Result<&'c mut LoadedRuleset, ScenarioError> {
        let current = current.as_mut().filter(|_| progress.is_listed);
        current.ok_or_else(out_of_order)
    }

    fn evidence(
        &mut self,
        progress: &mut Progress<'_>,
        mut evidence: Evidence,
    ) -> Result<(), ScenarioError> {
        let place = progress.place(evidence.probe)?;
        let planned = progress.probe(evidence.probe)?;
        let current = Self::current(&mut self.current, progress)?;
        trace::legacy::complete(&current.ruleset, &mut evidence.trace);
        if let Some(before) = evidence.listing_before.take() {
            current.latest = before;
        }
        current.places.push(place);
        let observation = Observation::of(planned, &evidence);
        match &self.cases[place.case].steps[place.step].action {
            Action::Send(_) => {
                progress.report(evidence.probe);
                self.sent(progress, place, &observation)?;
            }
            Action::Sweep(sweep) => {
                if !sweep.over.has_ports() {
                    progress.report(evidence.probe);
                }
                self.traced(progress, place, &observation)?;
            }
            Action::Wait(_) | Action::Reload(_) => return Err(out_of_order()),
        }
        if let (Some(after), Some(current)) = (evidence.listing, &mut self.current) {
            current.latest = after;
        }
        Ok(())
    }

    /// A packet of a step was sent.
    fn sent(
        &mut self,
        progress: &Progress<'_>,
        place: Place,
        observation: &Observation<'_>,
    ) -> Result<(), ScenarioError> {
        let Action::Send(send) = &self.cases[place.case].steps[place.step].action else {
            return Err(out_of_order());
        };
        let lab = progress.lab();
        let current = Self::current(&mut self.current, progress)?;
        let judged = judge::judge(self.scenario, send, observation, current.setting(lab));
        current.begin_case(Some(place.case));
        if current.is_state_dependent(&observation.way) {
            self.state_dependent.insert(place.case);
        }
        if let Some(coverage) = &mut self.coverage {
            let key = ProbeKey {
                case: place.case,
                swept: None,
            };
            let Judgement {
                verdict, decider, ..
            } = &judged.judgement;
            coverage.packet(key, observation, lab, (verdict, decider.as_ref()));
        }
        let around = Around {
            lab,
            ruleset: &current.ruleset,
            listing: &current.listing.listing,
        };
        self.results.judged(place, observation, judged, around);
        Ok(())
    }

    /// One number of a sweep was probed by itself.
    fn traced(
        &mut self,
        progress: &Progress<'_>,
        place: Place,
        observation: &Observation<'_>,
    ) -> Result<(), ScenarioError> {
        let Action::Sweep(sweep) = &self.cases[place.case].steps[place.step].action else {
            return Err(out_of_order());
        };
        let lab = progress.lab();
        let number = sweep.over.number_of(&observation.sent.packet);
        let current = Self::current(&mut self.current, progress)?;
        let (verdict, decider) = judge::verdict(observation, current.setting(lab));
        if let Some(coverage) = &mut self.coverage {
            let key = ProbeKey {
                case: place.case,
                swept: Some((place.step, number)),
            };
            coverage.packet(key, observation, lab, (&verdict, decider.as_ref()));
        }
        let duration_us = observation.evidence.duration_us;
        let results = &mut self.results;
        results.traced(place, number, (verdict, decider), duration_us);
        if !sweep.over.has_ports() {
            // Each number is a case by itself.
            current.begin_case(None);
            let is_state_dependent = current.is_state_dependent(&observation.way);
            if is_state_dependent && progress.round.purpose == Purpose::AllCases {
                results.isolate_number(place, number);
            }
        }
        Ok(())
    }

    /// What the batches of a sweep showed.
    fn swept(&mut self, progress: &mut Progress<'_>, swept: Swept) -> Result<(), ScenarioError> {
        let place = progress.place(swept.sweep)?;
        let current = Self::current(&mut self.current, progress)?;
        let Action::Sweep(sweep) = &self.cases[place.case].steps[place.step].action else {
            return Err(out_of_order());
        };
        if progress.round.purpose == Purpose::AllCases {
            self.results.isolate_ports(place, || {
                let protocol = match sweep.over {
                    Over::Udp => protocol::UDP,
                    Over::Tcp | Over::Protocols | Over::Icmp => protocol::TCP,
                };
                let meets = meets(sweep, &current.ruleset);
                let touches = current.stateful.touches(&current.ruleset, protocol, meets);
                Pace::of(&touches, &sweep.numbers)
            });
        }
        current.places.push(place);
        progress.report(swept.sweep);
        self.results.swept(place, swept);
        Ok(())
    }

    /// What passed while another configuration was loaded.
    fn reloaded(
        &mut self,
        progress: &mut Progress<'_>,
        reloaded: &Reloaded,
    ) -> Result<(), ScenarioError> {
        let place = progress.place(reloaded.id)?;
        progress.report(reloaded.id);
        let Some(send) = sent(&self.cases[place.case].steps[place.step].action) else {
            return Ok(());
        };
        let probe = progress.probe(reloaded.id)?;
        let judged = judge::meanwhile(send, probe, reloaded, progress.lab());
        self.results.reloaded(place, probe, reloaded, judged);
        Ok(())
    }

    /// The last look at the rules: if they have changed while they were probed, nothing holds.
    fn sealed(&mut self, generation: u32, legacy_changed: bool) -> Result<(), ScenarioError> {
        let current = self.current.as_mut().ok_or_else(out_of_order)?;
        let places = std::mem::take(&mut current.places);
        let is_unchanged = generation == current.loaded.generation_probed && !legacy_changed;
        if let Some(coverage) = &mut self.coverage {
            coverage.sealed(is_unchanged);
        }
        if !is_unchanged {
            self.results.void(&places);
        }
        Ok(())
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
