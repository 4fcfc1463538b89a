//! What is probed next, and how.

use std::path::PathBuf;

use super::{collector::Collector, options::Options};
use crate::{
    coverage,
    dialect::Loadable,
    plan::{self, LabSharing, Planned},
    scenario::{Case, Scenario},
};

/// What one agent is to do, and why.
pub(super) struct Round {
    pub(super) purpose: Purpose,
    pub(super) planned: Planned,
}

/// What the packets of a round are sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// All cases, for the first time.
    AllCases,
    /// The elements of the candidate's named sets as it brings them: from a listing before the first packet.
    Sets,
    /// Cases whose verdicts may depend on state that other cases have changed: each in a fresh lab.
    StateDependentCases,
    /// Ports of sweeps that may reach a stateful rule: in fresh labs.
    IsolatedPorts,
    /// Ports of sweeps that are not as expected, or not proven: one by one.
    UnconfirmedPorts,
}

impl Purpose {
    fn next(self) -> Option<Self> {
        match self {
            Self::AllCases => Some(Self::Sets),
            Self::Sets => Some(Self::StateDependentCases),
            Self::StateDependentCases => Some(Self::IsolatedPorts),
            Self::IsolatedPorts => Some(Self::UnconfirmedPorts),
            Self::UnconfirmedPorts => None,
        }
    }
}

/// The rounds of a scenario, each planned by what those before it have found.
pub(super) struct Rounds<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) options: &'a Options,
    /// The candidate of the scenario.
    pub(super) prepared: &'a Loadable,
    /// The configurations that the cases load later.
    pub(super) reloads: &'a [(PathBuf, Loadable)],
    pub(super) cases: &'a [&'a Case],
    /// What the next round is for, if there is anything to probe for it; `None` after the last.
    pub(super) purpose: Option<Purpose>,
}

impl Rounds<'_> {
    /// The next round, and nothing is known any more of what it probes again; `None` when nothing is left to probe.
    pub(super) fn next(&mut self, collector: &mut Collector<'_>) -> Option<Round> {
        while let Some(purpose) = self.purpose {
            self.purpose = purpose.next();
            if let Some(planned) = self.plan(purpose, collector) {
                return Some(Round { purpose, planned });
            }
        }
        None
    }

    fn plan(&self, purpose: Purpose, collector: &mut Collector<'_>) -> Option<Planned> {
        let mut planned = match purpose {
            Purpose::AllCases => self.of_cases(0..self.cases.len(), LabSharing::Shared),
            Purpose::Sets => return self.of_sets(collector),
            Purpose::StateDependentCases => {
                let cases = collector.take_state_dependent();
                self.of_cases(cases, LabSharing::Fresh)
            }
            Purpose::IsolatedPorts => self.of_ports(&collector.take_ports_to_isolate()),
            Purpose::UnconfirmedPorts => self.of_ports(&collector.unconfirmed_ports()),
        }?;
        planned.plan.blind = self.options.blind;
        if self.options.trace_sweeps {
            planned.trace_sweeps();
        }
        Some(planned)
    }

    fn of_cases(
        &self,
        positions: impl IntoIterator<Item = usize>,
        sharing: LabSharing,
    ) -> Option<Planned> {
        let positions = positions.into_iter();
        let cases: Vec<(usize, &Case)> = positions
            .map(|position| (position, self.cases[position]))
            .collect();
        let plan = || plan::plan(self.scenario, self.prepared, self.reloads, &cases, sharing);
        (!cases.is_empty()).then(plan)
    }

    fn of_sets(&self, collector: &Collector<'_>) -> Option<Planned> {
        if !collector.needs_sets() {
            return None;
        }
        let case = self.scenario.cases.iter().find_map(coverage::looking)?;
        let cases = [(0, &case)];
        let sharing = LabSharing::Fresh;
        Some(plan::plan(
            self.scenario,
            self.prepared,
            &[],
            &cases,
            sharing,
        ))
    }

    fn of_ports(&self, reprobes: &[plan::Reprobe]) -> Option<Planned> {
        let plan = || plan::reprobes(self.scenario, self.prepared, self.cases, reprobes);
        (!reprobes.is_empty()).then(plan)
    }
}
