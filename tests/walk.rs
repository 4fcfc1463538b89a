//! The ways of packets, from recorded evidence and without any privilege: `recorded/verdicts.nft` says what each
//! of them must meet.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its recording has failed"
)]

mod recorded;

use std::sync::LazyLock;

use firedrill::{
    judge::{self, Setting, verdict::Verdict},
    report::walk::lines,
    trace::{
        decider::Decider,
        walk::{Around, Did, Walk},
        way::Observation,
    },
};
use firedrill_harness::protocol::{Evidence, Trace};
use insta::assert_snapshot;
use proptest::prelude::*;
use recorded::Recording;

/// The way and the verdict of each packet.
fn walks(recording: &Recording) -> Vec<(String, Walk, Verdict, Option<Decider>)> {
    let walk = |number: usize| {
        let (probe, evidence) = (recording.probe(number), &recording.evidence[number]);
        let around = Around {
            lab: &recording.plan.lab,
            ruleset: &recording.ruleset,
            listing: "",
        };
        let setting = Setting {
            lab: &recording.plan.lab,
            loaded: &recording.loaded,
            ruleset: &recording.ruleset,
            listing: "",
        };
        let observation = Observation::of(probe, evidence);
        let (verdict, decider) = judge::verdict(&observation, setting);
        let name = recording.case(number).name.clone();
        (name, Walk::of(&observation, around), verdict, decider)
    };
    (0..recording.evidence.len()).map(walk).collect()
}

#[test]
fn the_way_of_every_recorded_packet_is_that_of_the_ruleset() {
    let mut text = String::new();
    for (name, walk, verdict, _) in walks(&Recording::read()) {
        text += &format!("{name}: {verdict}\n");
        for line in lines(&walk.passages, None) {
            text += &format!("  {line}\n");
        }
        for line in lines(&walk.error, None) {
            text += &format!("  error: {line}\n");
        }
    }
    assert_snapshot!(text);
}

#[test]
fn whoever_throws_a_packet_away_is_the_last_on_its_way() {
    let mut tested = 0;
    for (name, walk, verdict, decider) in walks(&Recording::read()) {
        let by_ruleset = matches!(decider, Some(Decider::Rule(_) | Decider::Policy(_)));
        if !by_ruleset || !matches!(verdict, Verdict::Drop | Verdict::Reject(_)) {
            continue;
        }
        let last = walk
            .passages
            .last()
            .and_then(|passage| passage.stops.last())
            .unwrap();
        assert_eq!(
            (last.met.decider(), &last.did),
            (decider, &Did::Drop),
            "{name}"
        );
        tested += 1;
    }
    assert!(
        tested > 10,
        "only {tested} packets were thrown away by the ruleset"
    );
}

#[test]
fn whoever_lets_a_packet_pass_is_on_its_way() {
    let mut tested = 0;
    for (name, walk, verdict, decider) in walks(&Recording::read()) {
        if !matches!(verdict, Verdict::Accept(_)) {
            continue;
        }
        let stops = walk.passages.iter().flat_map(|passage| &passage.stops);
        let mut accepting = stops.filter(|stop| stop.did == Did::Accept);
        assert!(
            accepting.any(|stop| stop.met.decider() == decider),
            "{name}"
        );
        tested += 1;
    }
    assert!(tested > 5, "only {tested} packets were accepted");
}

/// Read once: the property below is tried often.
static RECORDING: LazyLock<Recording> = LazyLock::new(Recording::read);

proptest! {
    /// Whatever is lost of a trace, nothing is on the way that the trace does not show, and in its order.
    #[test]
    fn a_way_only_has_what_the_trace_shows(
        number in 0..RECORDING.evidence.len(),
        keep in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let mut keep = keep.into_iter().cycle();
        let whole = &RECORDING.evidence[number];
        let events = whole.trace.events.iter().filter(|_| keep.next().unwrap_or(true));
        let evidence = Evidence {
            trace: Trace { lost: false, events: events.cloned().collect() },
            ..whole.clone()
        };
        let around = Around {
            lab: &RECORDING.plan.lab,
            ruleset: &RECORDING.ruleset,
            listing: "",
        };
        let walk = Walk::of(&Observation::of(RECORDING.probe(number), &evidence), around);
        let mut shown = evidence.trace.events.iter();
        for stop in walk.passages.iter().flat_map(|passage| &passage.stops) {
            let decider = stop.met.decider();
            let chain = decider.as_ref().and_then(Decider::chain);
            let handle = match &decider {
                Some(Decider::Rule(rule)) => Some(rule.handle),
                _ => None,
            };
            let found = shown.any(|event| {
                chain.is_none_or(|chain| (&chain.table, &chain.name) == (&event.table, &event.chain))
                    && event.handle == handle
            });
            prop_assert!(found, "{stop:?}");
        }
    }

    /// Where the trace may not be whole, no way is told at all.
    #[test]
    fn of_a_trace_with_a_gap_no_way_is_told(number in 0..RECORDING.evidence.len()) {
        let around = Around {
            lab: &RECORDING.plan.lab,
            ruleset: &RECORDING.ruleset,
            listing: "",
        };
        let mut gap = RECORDING.evidence[number].clone();
        gap.trace.lost = true;
        prop_assert!(Walk::of(&Observation::of(RECORDING.probe(number), &gap), around).is_empty());
        let mut open = RECORDING.evidence[number].clone();
        open.observed.barrier = false;
        prop_assert!(Walk::of(&Observation::of(RECORDING.probe(number), &open), around).is_empty());
    }
}
