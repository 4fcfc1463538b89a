//! The judge on recorded evidence, without any privilege: what it says of whole evidence, and that
//! evidence with anything taken away never turns into another proof.
//!
//! `recorded/verdicts.jsonl` is a real run, made with
//! `firedrill test tests/recorded/verdicts.yaml --record tests/recorded`, with the path of the checkout
//! replaced: a recording holds absolute paths. What must become of each probe stands in `recorded/verdicts.yaml`, written by hand from `recorded/verdicts.nft`.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its recording has failed"
)]

mod recorded;

use firedrill::{
    judge::{
        self, Setting,
        verdict::{Inconclusive, Judgement, Outcome, Verdict},
    },
    trace::{decider::Decider, way::Observation},
};
use firedrill_harness::protocol::{Control, Evidence, Loaded, RouteAnswer};
use proptest::prelude::*;
use recorded::Recording;
use rstest::rstest;

trait Judge {
    fn judge(&self, number: usize, evidence: &Evidence, loaded: &Loaded) -> Judgement;
    fn with(&self, change: impl Fn(&mut Evidence)) -> Vec<(String, Judgement)>;
}

impl Judge for Recording {
    fn judge(&self, number: usize, evidence: &Evidence, loaded: &Loaded) -> Judgement {
        let setting = Setting {
            lab: &self.plan.lab,
            loaded,
            ruleset: &self.ruleset,
            listing: "",
        };
        let sent = self.case(number).sends().next().unwrap();
        let observation = Observation::of(self.probe(number), evidence);
        judge::judge(&self.scenario, sent, &observation, setting).judgement
    }

    /// What the judge says of each case when its evidence is changed.
    fn with(&self, change: impl Fn(&mut Evidence)) -> Vec<(String, Judgement)> {
        (0..self.evidence.len())
            .map(|number| {
                let mut evidence = self.evidence[number].clone();
                change(&mut evidence);
                let judgement = self.judge(number, &evidence, &self.loaded);
                (self.case(number).name.clone(), judgement)
            })
            .collect()
    }
}

#[test]
fn whole_evidence_gives_what_the_ruleset_says() {
    let recording = Recording::read();
    assert_eq!(recording.evidence.len(), recording.scenario.cases.len());
    for (name, judgement) in recording.with(|_| {}) {
        assert_eq!(judgement.outcome, Outcome::Pass, "{name}: {judgement:?}");
    }
}

#[test]
fn every_class_of_verdict_is_recorded() {
    let judgements = Recording::read().with(|_| {});
    for word in ["accept", "drop", "reject"] {
        assert!(
            judgements
                .iter()
                .any(|(_, judgement)| judgement.verdict.word() == word)
        );
    }
}

/// A way to take evidence away that leaves no case proven.
#[rstest]
#[case::the_trace_is_empty(|evidence: &mut Evidence| evidence.trace.events.clear())]
#[case::the_trace_lost_events(|evidence: &mut Evidence| evidence.trace.lost = true)]
#[case::the_barrier_is_lost(|evidence: &mut Evidence| evidence.observed.barrier = false)]
#[case::something_unreadable_came_back(|evidence: &mut Evidence| {
    evidence.observed.seen.push(firedrill_harness::protocol::Sighting {
        place: firedrill_harness::protocol::Place::Wire(0),
        packet: firedrill_harness::protocol::Bytes(vec![0x45, 0, 0]),
    });
})]
#[case::it_was_not_sent(|evidence: &mut Evidence| {
    evidence.send_error = Some(firedrill_harness::protocol::SendError {
        code: 101,
        text: "network is unreachable".to_owned(),
    });
})]
fn nothing_passes_when(#[case] change: fn(&mut Evidence)) {
    for (name, judgement) in Recording::read().with(change) {
        assert_eq!(
            judgement.outcome,
            Outcome::Inconclusive,
            "{name}: {judgement:?}"
        );
    }
}

#[test]
fn nothing_passes_when_the_candidate_changed_no_ruleset() {
    let recording = Recording::read();
    let mut loaded = recording.loaded.clone();
    loaded.layers[0].changed = false;
    for (number, evidence) in recording.evidence.iter().enumerate() {
        let judgement = recording.judge(number, evidence, &loaded);
        assert_eq!(
            judgement.verdict,
            Verdict::Inconclusive(Inconclusive::NotLoaded)
        );
    }
}

#[test]
fn no_accept_and_no_reject_survives_without_sightings() {
    let recording = Recording::read();
    let whole = recording.with(|_| {});
    let deaf = recording.with(|evidence| evidence.observed.seen.clear());
    for ((name, before), (_, after)) in whole.iter().zip(&deaf) {
        match before.verdict {
            Verdict::Accept(_) | Verdict::Reject(_) => {
                assert_eq!(after.outcome, Outcome::Inconclusive, "{name}: {after:?}");
            }
            Verdict::Drop | Verdict::Inconclusive(_) => {
                assert_eq!(before.verdict, after.verdict, "{name}");
            }
        }
    }
}

#[test]
fn a_rule_s_drop_on_a_path_that_does_not_work_anyway_proves_nothing() {
    let recording = Recording::read();
    let whole = recording.with(|_| {});
    let broken = recording.with(|evidence| {
        evidence.control.observed.seen.clear();
        evidence.control.kernel = None;
    });
    let mut tested = 0;
    for ((name, before), (_, after)) in whole.iter().zip(&broken) {
        let by_ruleset = !matches!(before.decider, Some(Decider::Kernel(_)) | None);
        if by_ruleset && !matches!(before.verdict, Verdict::Accept(_)) {
            assert_eq!(
                after.verdict,
                Verdict::Inconclusive(Inconclusive::PathBroken(None)),
                "{name}"
            );
            tested += 1;
        }
    }
    assert!(
        tested > 10,
        "only {tested} cases were dropped or rejected by a rule"
    );
}

#[test]
fn a_kernel_s_drop_without_the_kernel_s_word_proves_nothing() {
    for (name, judgement) in Recording::read().with(|evidence| evidence.kernel = None) {
        let by_kernel = name.contains("a hop too many") || name.contains("forger");
        let expected = if by_kernel {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        assert_eq!(judgement.outcome, expected, "{name}: {judgement:?}");
    }
}

/// Evidence with parts of it gone: each flag says whether that part stays.
fn weaken(evidence: &Evidence, keep: &[bool], control: bool, kernel: bool) -> Evidence {
    let mut weak = evidence.clone();
    let mut keep = keep.iter().copied().cycle();
    weak.trace.events.retain(|_| keep.next().unwrap_or(true));
    weak.observed.seen.retain(|_| keep.next().unwrap_or(true));
    if !control {
        weak.control = Control::default();
    }
    if !kernel && let Some(answer) = &mut weak.kernel {
        answer.route = RouteAnswer::NotAsked;
        answer.counters.clear();
    }
    weak
}

proptest! {
    /// The most important property of all: losing evidence may cost the proof, but never proves
    /// something else.
    #[test]
    fn weaker_evidence_never_proves_another_verdict(
        number in 0..Recording::read().evidence.len(),
        keep in prop::collection::vec(any::<bool>(), 1..40),
        control in any::<bool>(),
        kernel in any::<bool>(),
    ) {
        let recording = Recording::read();
        let whole = recording.judge(number, &recording.evidence[number], &recording.loaded);
        let weak = weaken(&recording.evidence[number], &keep, control, kernel);
        let after = recording.judge(number, &weak, &recording.loaded);
        if !matches!(after.verdict, Verdict::Inconclusive(_)) {
            prop_assert_eq!(after.verdict.word(), whole.verdict.word());
        }
    }

    /// Evidence of one probe is no evidence of another.
    #[test]
    fn another_probe_s_evidence_never_passes(
        number in 0..Recording::read().evidence.len(),
        other in 0..Recording::read().evidence.len(),
    ) {
        prop_assume!(number != other);
        let recording = Recording::read();
        let judgement = recording.judge(number, &recording.evidence[other], &recording.loaded);
        prop_assert_eq!(judgement.outcome, Outcome::Inconclusive);
    }
}
