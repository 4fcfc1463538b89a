//! What happens to a packet: its verdict and its way, the way of its answer, and, where it does not pass, the
//! nearest packet that does. All of it is really sent, in one lab.

mod adhoc;
mod vary;

pub(crate) use self::adhoc::MADE_UP;
use std::{sync::Arc, time::Instant};

use firedrill_harness::protocol::micros;

use self::vary::{Variation, variations};
pub use self::{
    adhoc::{AdHoc, AdHocError, AskedInterface},
    vary::Difference,
};
use super::vocabulary::Vocabulary;
use crate::{
    dialect,
    judge::verdict::{Inconclusive, Verdict},
    record::{
        CandidateRecord, CaseHead, CaseRecord, StepRecord, exit::Exit, failure::ScenarioError,
    },
    run::{
        options::{Options, Walks},
        queue::Selected,
    },
    scenario::{Case, Scenario},
};

/// The most packets that are tried beside those that were asked for.
const MAX_TRIED: usize = 600;

/// The answer to a question.
#[derive(Debug)]
pub struct Explanation {
    /// The world that was asked about; its cases are the question.
    pub scenario: Arc<Scenario>,
    /// The candidate.
    pub candidate: CandidateRecord,
    /// What was asked for, in order.
    pub packets: Vec<Explained>,
    /// Why nothing could be told, if so.
    pub error: Option<ScenarioError>,
    /// Kernel release, if it came so far.
    pub kernel: Option<String>,
    /// What the candidate's programs printed.
    pub output: String,
    /// Wall clock, in microseconds.
    pub duration_us: u64,
}

/// What became of a packet, or of the steps of a conversation.
#[derive(Debug)]
pub struct Explained {
    /// What was asked for.
    pub case: CaseHead,
    /// What became of each step.
    pub steps: Vec<StepRecord>,
    /// What became of the usual answer, if the packet was accepted and has one.
    pub answer: Option<StepRecord>,
    /// What else would pass, if it did not.
    pub nearest: Option<Nearest>,
}

/// Packets that differ from one that does not pass, and do.
#[derive(Debug, Default)]
pub struct Nearest {
    /// How many packets were tried.
    pub tried: usize,
    /// Of how many of them nothing is proven.
    pub inconclusive: usize,
    /// Those that pass and have the fewest differences.
    pub accepted: Vec<Accepted>,
}

/// A packet that passes.
#[derive(Debug)]
pub struct Accepted {
    /// What is different, in words: `the same to tcp/80`.
    pub differences: Vec<Difference>,
    /// What became of it.
    pub record: StepRecord,
}

impl Explanation {
    /// How the command ends: with a proof, whatever it proves, or without.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match &self.error {
            Some(ScenarioError::Input(_)) => return Exit::BadInput,
            Some(ScenarioError::Lab(_) | ScenarioError::Skipped(_)) => return Exit::Inconclusive,
            None => {}
        }
        let proven = |packet: &Explained| packet.is_proven();
        match self.packets.iter().all(proven) && !self.packets.is_empty() {
            true => Exit::Success,
            false => Exit::Inconclusive,
        }
    }
}

impl Explained {
    fn is_proven(&self) -> bool {
        let mut passed = true;
        self.steps.iter().chain(&self.answer).all(|step| {
            let proven = match &step.judgement.verdict {
                // What answers a packet that did not arrive is not sent.
                Verdict::Inconclusive(Inconclusive::NotSent(_)) => !passed,
                Verdict::Inconclusive(_) => false,
                Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => true,
            };
            passed &= matches!(step.judgement.verdict, Verdict::Accept(_));
            proven
        })
    }
}

/// Answers the question that the cases of a scenario are.
pub async fn explain(asked: Scenario, options: &Options) -> Explanation {
    let started = Instant::now();
    let firewall = &asked.firewall;
    let prepared = dialect::prepare(&firewall.candidate, &firewall.layers, &firewall.files);
    let prepared = match prepared {
        Ok(prepared) => prepared.with_elements(),
        Err(error) => {
            return Explanation {
                candidate: CandidateRecord {
                    name: asked.against.clone(),
                    path: asked.firewall.candidate.main(),
                    hash: String::new(),
                },
                scenario: Arc::new(asked),
                packets: Vec::new(),
                error: Some(ScenarioError::Input(error.to_string())),
                kernel: None,
                output: String::new(),
                duration_us: micros(started),
            };
        }
    };
    let vocabulary = Vocabulary::of(prepared.texts());
    let questions = asked.cases.len();
    let share = MAX_TRIED / questions.max(1);
    let mut world = asked.clone();
    let mut cases = std::mem::take(&mut world.cases);
    let answered: Vec<bool> = cases.iter_mut().map(vary::add_answer).collect();
    let (mut near, mut further) = (Vec::new(), Vec::new());
    for case in &asked.cases {
        let mut variations = variations(&mut world, case, &vocabulary);
        variations.near.truncate(share);
        variations.further.truncate(share);
        near.push(variations.near);
        further.push(variations.further);
    }
    cases.extend(near.iter().flatten().map(|one| one.case.clone()));
    let drill = |cases: Vec<Case>, walks| {
        let selected = Selected::all(Scenario {
            cases,
            ..world.clone()
        });
        let options = Options {
            walks: Walks::First(walks),
            ..options.clone()
        };
        let prepared = &prepared;
        async move { crate::run::scenario::run_prepared(&selected, prepared, &options).await }
    };
    let record = drill(cases, questions).await;
    let mut records = record.cases.into_iter();
    let of_questions: Vec<CaseRecord> = records.by_ref().take(questions).collect();
    let mut packets: Vec<Explained> = of_questions
        .into_iter()
        .zip(answered)
        .map(|(record, answered)| Explained::of(record, answered))
        .collect();
    for (packet, near) in packets.iter_mut().zip(near) {
        let tried: Vec<_> = near.into_iter().zip(records.by_ref()).collect();
        if let Some(nearest) = &mut packet.nearest {
            nearest.add(tried);
        }
    }
    // Two differences matter only where one is not enough.
    let is_lonely = |packet: &Explained| {
        let nearest = packet.nearest.as_ref();
        nearest.is_some_and(|nearest| nearest.accepted.is_empty())
    };
    for (packet, further) in packets.iter().zip(&mut further) {
        if !is_lonely(packet) {
            further.clear();
        }
    }
    let cases: Vec<Case> = further
        .iter()
        .flatten()
        .map(|one| one.case.clone())
        .collect();
    if !cases.is_empty() {
        let mut records = drill(cases, 0).await.cases.into_iter();
        for (packet, further) in packets.iter_mut().zip(further) {
            let tried: Vec<_> = further.into_iter().zip(records.by_ref()).collect();
            if let Some(nearest) = &mut packet.nearest {
                nearest.add(tried);
            }
        }
    }
    Explanation {
        scenario: Arc::new(asked),
        candidate: record.candidate,
        packets,
        error: record.error,
        kernel: record.kernel,
        output: record.output,
        duration_us: micros(started),
    }
}

impl Explained {
    /// What became of a question; the last of its steps is the usual answer if it was `answered`.
    fn of(record: CaseRecord, answered: bool) -> Self {
        let CaseRecord { case, mut steps } = record;
        let answer = answered.then(|| steps.pop());
        let last = steps.last().map(|step| &step.judgement.verdict);
        let passed = matches!(last, Some(Verdict::Accept(_)));
        let thrown_away = matches!(last, Some(Verdict::Drop | Verdict::Reject(_)));
        Self {
            nearest: (thrown_away && steps.len() == 1).then(Nearest::default),
            answer: answer.flatten().filter(|_| passed),
            case,
            steps,
        }
    }
}

impl Nearest {
    /// Takes what became of other packets, and keeps those that pass with the fewest differences.
    fn add(&mut self, tried: Vec<(Variation, CaseRecord)>) {
        for (Variation { differences, .. }, mut record) in tried {
            let Some(last) = record.steps.pop() else {
                continue;
            };
            // What should be answered did not arrive, so there was no answer to try.
            let arrived = |step: &StepRecord| matches!(step.judgement.verdict, Verdict::Accept(_));
            if !record.steps.iter().all(arrived) {
                continue;
            }
            self.tried += 1;
            match last.judgement.verdict {
                Verdict::Accept(_) => self.accepted.push(Accepted {
                    differences,
                    record: last,
                }),
                Verdict::Inconclusive(_) => self.inconclusive += 1,
                Verdict::Drop | Verdict::Reject(_) => {}
            }
        }
        let fewest = self.accepted.iter().map(|one| one.differences.len()).min();
        self.accepted
            .retain(|one| Some(one.differences.len()) == fewest);
        let ranks =
            |one: &Accepted| -> Vec<u8> { one.differences.iter().map(Difference::rank).collect() };
        self.accepted.sort_by_key(ranks);
    }
}
