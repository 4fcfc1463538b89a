//! A sweep against what should be open: what the batches showed of every port, and what the trace of a sample
//! says of it.
//!
//! The batches know for every port whether its packet came out and what came back; the sample knows who
//! decided, and checks the batches. Where both disagree, or a traced packet proves nothing, all ports that
//! fared alike are inconclusive.

use std::{collections::BTreeMap, ops::RangeInclusive};

use firedrill_harness::{
    packet::Answer,
    protocol::{Fate, SweptRun, Unproven},
};
use firedrill_wire::Ranges;

use super::{
    answer::reject_kind,
    inconclusive,
    verdict::{Inconclusive, Judgement, Outcome, RejectAnswer, Verdict},
};
use crate::{
    scenario::{Over, RejectKind, Sweep},
    trace::decider::Decider,
};

/// The most ports of a sweep that are confirmed one by one: that many give a picture, and an open port is
/// proven by what came out of it anyway.
const MAX_CONFIRMED: usize = 4_096;

/// The most ranges that a reason names.
const MAX_NAMED: usize = 8;

/// What is known of one step that sweeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What the batches showed, ascending.
    pub runs: Vec<SweptRun>,
    /// What was probed one by one.
    pub traced: BTreeMap<u16, (Verdict, Option<Decider>)>,
    /// What nobody can tell, and why.
    pub given_up: Vec<(Ranges, Inconclusive)>,
}

impl Found {
    /// Forgets all that is known of these numbers.
    pub fn forget(&mut self, numbers: &Ranges) {
        self.traced.retain(|port, _| !numbers.contains(*port));
        for (first, last) in numbers.iter_ranges().map(RangeInclusive::into_inner) {
            let runs = std::mem::take(&mut self.runs);
            for run in runs {
                if run.last < first || run.first > last {
                    self.runs.push(run);
                    continue;
                }
                if run.first < first {
                    self.runs.push(SweptRun {
                        last: first - 1,
                        ..run.clone()
                    });
                }
                if run.last > last {
                    self.runs.push(SweptRun {
                        first: last + 1,
                        ..run
                    });
                }
            }
        }
    }

    /// Takes in what another look has found.
    pub fn absorb(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.runs.sort_by_key(|run| run.first);
        self.traced.extend(other.traced);
        self.given_up.extend(other.given_up);
    }
}

/// The numbers of a sweep in groups that fared alike, ascending.
#[must_use]
pub fn groups(sweep: &Sweep, found: &Found) -> Vec<SweepGroup> {
    let mut parts: Vec<Part> = Vec::new();
    for run in &found.runs {
        run_parts(run, found, &mut parts);
    }
    for (ports, why) in &found.given_up {
        let ranges = ports.iter_ranges();
        parts.extend(ranges.map(|range| Part::untold(*range.start(), *range.end(), why.clone())));
    }
    let covered: Ranges = parts.iter().map(|part| part.first..=part.last).collect();
    for (port, (verdict, decider)) in &found.traced {
        if !covered.contains(*port) {
            parts.push(Part {
                first: *port,
                last: *port,
                verdict: verdict.clone(),
                decider: decider.clone(),
            });
        }
    }
    parts.sort_by_key(|part| part.first);
    let mut groups: Vec<SweepGroup> = Vec::new();
    for part in parts {
        for (first, last, open) in split(part.first, part.last, &sweep.open) {
            let outcome = match &part.verdict {
                Verdict::Inconclusive(_) => Outcome::Inconclusive,
                Verdict::Accept(_) if open => Outcome::Pass,
                Verdict::Drop | Verdict::Reject(_) if !open => Outcome::Pass,
                Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_) => Outcome::Fail,
            };
            let traced = found.traced.range(first..=last).count() as u32;
            match groups.last_mut() {
                Some(group)
                    if group.last.checked_add(1) == Some(first)
                        && group.outcome == outcome
                        && group.decider == part.decider
                        && alike(&group.verdict, &part.verdict) =>
                {
                    group.last = last;
                    group.traced += traced;
                }
                _ => groups.push(SweepGroup {
                    first,
                    last,
                    verdict: part.verdict.clone(),
                    decider: part.decider.clone(),
                    traced,
                    outcome,
                }),
            }
        }
    }
    groups
}

/// The ports that must be probed one by one before anything is said of them: those that are not as they
/// should be, and those of which the batches prove nothing.
#[must_use]
pub fn unconfirmed(sweep: &Sweep, found: &Found) -> Ranges {
    let mut ports = Vec::new();
    for run in &found.runs {
        let untold = match &run.fate {
            Fate::Unproven(_) | Fate::Answered(Answer::Other) => true,
            Fate::Arrived { .. } | Fate::Answered(_) | Fate::Silent => false,
        };
        let arrived = matches!(run.fate, Fate::Arrived { .. });
        let wrong = |port: &u16| untold || sweep.should_be_open(*port) != arrived;
        let unseen = |port: &u16| !found.traced.contains_key(port);
        ports.extend((run.first..=run.last).filter(wrong).filter(unseen));
    }
    let every = ports.len().div_ceil(MAX_CONFIRMED).max(1);
    ports.into_iter().step_by(every).collect()
}

/// One judgement of all ports.
#[must_use]
pub fn judgement(sweep: &Sweep, groups: &[SweepGroup]) -> Judgement {
    let of = |outcome: Outcome| groups.iter().filter(move |group| group.outcome == outcome);
    let told = |group: &SweepGroup, reason: Option<String>| Judgement {
        verdict: group.verdict.clone(),
        decider: group.decider.clone(),
        outcome: group.outcome,
        reason,
    };
    if let Some(first) = of(Outcome::Fail).next() {
        let ranges = |open: bool| {
            let wrong = of(Outcome::Fail);
            let wrong = wrong.filter(move |group| is_open(&group.verdict) == open);
            wrong.map(|group| group.first..=group.last).collect()
        };
        let (open, closed): (Ranges, Ranges) = (ranges(true), ranges(false));
        let mut reasons = Vec::new();
        if !open.is_empty() {
            let (what, are) = some(sweep.over, &open);
            reasons.push(format!("{what} {are} open and should not be"));
        }
        if !closed.is_empty() {
            let (what, are) = some(sweep.over, &closed);
            reasons.push(format!("{what} should be open and {are} not"));
        }
        return told(first, Some(reasons.join("; ")));
    }
    if let Some(first) = of(Outcome::Inconclusive).next() {
        let untold = of(Outcome::Inconclusive).map(|group| group.first..=group.last);
        let (what, _) = some(sweep.over, &untold.collect());
        let why = match &first.verdict {
            Verdict::Inconclusive(why) => why.to_string(),
            verdict => verdict.to_string(),
        };
        return told(first, Some(format!("{what}: {why}")));
    }
    let telling = of(Outcome::Pass).find(|group| is_open(&group.verdict));
    match telling.or_else(|| groups.first()) {
        Some(group) => told(group, None),
        None => inconclusive(Inconclusive::NothingSent),
    }
}

/// Ports that fared alike in all that is known.
pub(crate) struct Part {
    first: u16,
    last: u16,
    verdict: Verdict,
    decider: Option<Decider>,
}

impl Part {
    fn untold(first: u16, last: u16, why: Inconclusive) -> Self {
        Self {
            first,
            last,
            verdict: Verdict::Inconclusive(why),
            decider: None,
        }
    }
}

/// The parts of a run: who decided is known of its sample, and of what lies between two of it that agree.
fn run_parts(run: &SweptRun, found: &Found, parts: &mut Vec<Part>) {
    let sample: Vec<(u16, &Verdict, Option<&Decider>)> = found
        .traced
        .range(run.first..=run.last)
        .map(|(port, (verdict, decider))| (*port, verdict, decider.as_ref()))
        .collect();
    if let Fate::Unproven(_) | Fate::Answered(Answer::Other) = run.fate {
        one_by_one(run, &sample, parts);
        return;
    }
    let Some((_, verdict, _)) = sample.first() else {
        parts.push(Part::untold(run.first, run.last, Inconclusive::Untraced));
        return;
    };
    let bad = sample
        .iter()
        .find(|(_, verdict, _)| !agrees(&run.fate, verdict));
    if let Some((port, bad, _)) = bad {
        let why = match bad {
            Verdict::Inconclusive(why) => why.clone(),
            bad => Inconclusive::BatchContradicted {
                number: *port,
                traced: bad.to_string(),
                batch: fate_text(&run.fate),
            },
        };
        parts.push(Part::untold(run.first, run.last, why));
        return;
    }
    let mut part = |first, last, decider: Option<&Decider>| {
        parts.push(Part {
            first,
            last,
            verdict: (*verdict).clone(),
            decider: decider.cloned(),
        });
    };
    let mut next = run.first;
    let mut before: Option<Option<&Decider>> = None;
    for (port, _, decider) in &sample {
        if next < *port {
            let same = before == Some(*decider);
            part(next, port - 1, decider.filter(|_| same));
        }
        part(*port, *port, *decider);
        before = Some(*decider);
        next = port.saturating_add(1);
    }
    if sample.last().is_some_and(|(port, ..)| *port < run.last) {
        part(next, run.last, None);
    }
}

/// Where the batches prove nothing, each port stands for itself.
fn one_by_one(run: &SweptRun, sample: &[(u16, &Verdict, Option<&Decider>)], parts: &mut Vec<Part>) {
    let why = || match &run.fate {
        Fate::Unproven(why) => unproven(*why),
        fate => Inconclusive::BatchUnclear(fate_text(fate)),
    };
    let mut next = u32::from(run.first);
    for (port, verdict, decider) in sample {
        if next < u32::from(*port) {
            parts.push(Part::untold(next as u16, port - 1, why()));
        }
        parts.push(Part {
            first: *port,
            last: *port,
            verdict: (*verdict).clone(),
            decider: decider.cloned(),
        });
        next = u32::from(*port) + 1;
    }
    if next <= u32::from(run.last) {
        parts.push(Part::untold(next as u16, run.last, why()));
    }
}

fn unproven(why: Unproven) -> Inconclusive {
    match why {
        Unproven::NotSent => Inconclusive::NotSent("the kernel refused it".to_owned()),
        Unproven::BarrierLost => Inconclusive::BarrierLost,
        Unproven::NeverEntered => Inconclusive::NeverEntered,
        Unproven::Overflow => Inconclusive::SocketOverflow,
        Unproven::TableFull => Inconclusive::ConntrackFull,
    }
}

/// Whether a traced verdict is what the batch showed.
fn agrees(fate: &Fate, verdict: &Verdict) -> bool {
    match (fate, verdict) {
        (Fate::Arrived { .. }, Verdict::Accept(_)) | (Fate::Silent, Verdict::Drop) => true,
        (Fate::Answered(answer), Verdict::Reject(kind)) => {
            let (four, six) = (kind_of(*answer, false), kind_of(*answer, true));
            four == Some(*kind) || six == Some(*kind)
        }
        _ => false,
    }
}

fn kind_of(answer: Answer, v6: bool) -> Option<RejectAnswer> {
    match answer {
        Answer::TcpReset => Some(RejectAnswer::Kind(RejectKind::TcpReset)),
        Answer::IcmpError { kind, code } => Some(reject_kind(v6, kind, code)),
        Answer::Other => None,
    }
}

fn fate_text(fate: &Fate) -> &'static str {
    match fate {
        Fate::Arrived { .. } => "it came out",
        Fate::Answered(Answer::TcpReset | Answer::IcmpError { .. }) => "an error came back",
        Fate::Answered(Answer::Other) => "something answered in its place",
        Fate::Silent => "nothing came out",
        Fate::Unproven(_) => "nothing was proven",
    }
}

/// Whether two ports fared alike: a translated port differs with the port.
fn alike(one: &Verdict, other: &Verdict) -> bool {
    match (one, other) {
        (Verdict::Accept(one), Verdict::Accept(other)) => {
            one.interface == other.interface && one.destination == other.destination
        }
        _ => one == other,
    }
}

fn is_open(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accept(_))
}

/// A range in pieces, ascending, each with whether it should be open.
fn split(first: u16, last: u16, open: &Ranges) -> Vec<(u16, u16, bool)> {
    let all = Ranges::from(first..=last);
    let pieces = |ranges: Ranges, open| {
        let ranges = ranges.iter_ranges().map(RangeInclusive::into_inner);
        ranges
            .map(|(first, last)| (first, last, open))
            .collect::<Vec<_>>()
    };
    let mut both = pieces(all.intersection(open), true);
    both.extend(pieces(all.difference(open), false));
    both.sort_unstable();
    both
}

/// `tcp/80, 443 and 3 more`, and the verb that goes with it.
fn some(over: Over, numbers: &Ranges) -> (String, &'static str) {
    let shown: Ranges = numbers.iter_ranges().take(MAX_NAMED).collect();
    let left = numbers.len() - shown.len();
    let more = if left == 0 {
        String::new()
    } else {
        format!(" and {left} more")
    };
    let are = if numbers.len() == 1 { "is" } else { "are" };
    let kind = match over {
        Over::Tcp | Over::Udp | Over::Icmp => over.word(),
        Over::Protocols => "proto",
    };
    (format!("{kind}/{shown}{more}"), are)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use firedrill_harness::protocol::Place;

    use super::*;
    use crate::{
        judge::verdict::Arrival, ruleset::chain::Chain, scenario::Party, trace::decider::Policy,
    };

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn sweep<const N: usize>(open: [RangeInclusive<u16>; N]) -> Sweep {
        Sweep {
            from: Party::Host(0),
            to: Party::Firewall(0),
            source: HERE,
            destination: HERE,
            over: Over::Tcp,
            numbers: Ranges::from(1..=65_535),
            open: Ranges::from(open),
        }
    }

    fn arrived() -> Fate {
        Fate::Arrived {
            place: Place::Input,
            source: HERE,
            destination: HERE,
            port: None,
        }
    }

    fn accept() -> Verdict {
        Verdict::Accept(Arrival {
            interface: None,
            source: HERE,
            destination: HERE,
            sport: None,
            sport_sent: None,
            dport: None,
            ttl: 64,
            dscp: 0,
            mss: None,
        })
    }

    fn by(chain: &str) -> Option<Decider> {
        Some(Decider::Policy(Policy {
            chain: Chain {
                family: "inet".to_owned(),
                table: "t".to_owned(),
                name: chain.to_owned(),
            },
            origin: None,
            layer: None,
        }))
    }

    fn run(first: u16, last: u16, fate: Fate) -> SweptRun {
        SweptRun { first, last, fate }
    }

    fn found(runs: Vec<SweptRun>, traced: &[(u16, Verdict, Option<Decider>)]) -> Found {
        let traced = traced.iter().cloned();
        Found {
            runs,
            traced: traced
                .map(|(port, verdict, decider)| (port, (verdict, decider)))
                .collect(),
            given_up: Vec::new(),
        }
    }

    /// `1-79 drop pass a`, with the chain that decided.
    fn told(sweep: &Sweep, found: &Found) -> Vec<String> {
        let groups = groups(sweep, found);
        let told = |group: &SweepGroup| {
            let chain = match &group.decider {
                Some(Decider::Policy(policy)) => policy.chain.name.as_str(),
                _ => "?",
            };
            let (first, last) = (group.first, group.last);
            let (verdict, outcome) = (group.verdict.word(), group.outcome.word());
            format!("{first}-{last} {verdict} {outcome} {chain}")
        };
        groups.iter().map(told).collect()
    }

    #[test]
    fn who_decided_is_told_of_what_lies_between_two_that_agree_and_of_nothing_else() {
        let silent = found(
            vec![run(1, 100, Fate::Silent)],
            &[
                (1, Verdict::Drop, by("a")),
                (50, Verdict::Drop, by("a")),
                (60, Verdict::Drop, by("b")),
                (100, Verdict::Drop, by("b")),
            ],
        );
        assert_eq!(
            told(&sweep([]), &silent),
            [
                "1-50 drop pass a",
                "51-59 drop pass ?",
                "60-100 drop pass b"
            ]
        );
    }

    #[test]
    fn a_port_is_wrong_if_it_is_open_and_should_not_be_or_the_other_way_round() {
        let sweep = sweep([80..=80, 443..=443]);
        let found = found(
            vec![
                run(1, 79, Fate::Silent),
                run(80, 81, arrived()),
                run(82, 65_535, Fate::Silent),
            ],
            &[
                (1, Verdict::Drop, by("a")),
                (79, Verdict::Drop, by("a")),
                (80, accept(), by("a")),
                (81, accept(), by("a")),
                (82, Verdict::Drop, by("a")),
                (65_535, Verdict::Drop, by("a")),
            ],
        );
        assert_eq!(
            told(&sweep, &found),
            [
                "1-79 drop pass a",
                "80-80 accept pass a",
                "81-81 accept fail a",
                "82-442 drop pass a",
                "443-443 drop fail a",
                "444-65535 drop pass a",
            ]
        );
        // 81 was traced already, as the end of its run.
        assert_eq!(unconfirmed(&sweep, &found), Ranges::from(443..=443));
        let judgement = judgement(&sweep, &groups(&sweep, &found));
        assert_eq!(judgement.outcome, Outcome::Fail);
        assert_eq!(
            judgement.reason.as_deref(),
            Some("tcp/81 is open and should not be; tcp/443 should be open and is not")
        );
    }

    #[test]
    fn one_trace_that_says_anything_else_makes_all_that_fared_alike_inconclusive() {
        for other in [
            accept(),
            Verdict::Reject(RejectAnswer::Kind(RejectKind::TcpReset)),
            Verdict::Inconclusive(Inconclusive::TraceLost),
        ] {
            let found = found(
                vec![run(1, 65_535, Fate::Silent)],
                &[
                    (1, Verdict::Drop, by("a")),
                    (443, other, by("a")),
                    (65_535, Verdict::Drop, by("a")),
                ],
            );
            assert_eq!(
                told(&sweep([]), &found),
                ["1-65535 inconclusive inconclusive ?"]
            );
            let judgement = judgement(&sweep([]), &groups(&sweep([]), &found));
            assert_eq!(judgement.outcome, Outcome::Inconclusive);
        }
    }

    #[test]
    fn a_range_of_which_no_port_was_traced_proves_nothing() {
        let found = found(vec![run(1, 65_535, Fate::Silent)], &[]);
        assert_eq!(
            told(&sweep([]), &found),
            ["1-65535 inconclusive inconclusive ?"]
        );
    }

    #[test]
    fn where_a_batch_proves_nothing_each_traced_port_stands_for_itself() {
        let found = found(
            vec![run(1, 3, Fate::Unproven(Unproven::Overflow))],
            &[(2, Verdict::Drop, by("a"))],
        );
        assert_eq!(
            told(&sweep([]), &found),
            [
                "1-1 inconclusive inconclusive ?",
                "2-2 drop pass a",
                "3-3 inconclusive inconclusive ?",
            ]
        );
        assert_eq!(
            unconfirmed(&sweep([]), &found),
            Ranges::from([1..=1, 3..=3])
        );
    }

    #[test]
    fn an_error_must_be_the_same_in_the_batch_and_in_the_trace() {
        let error = Answer::IcmpError { kind: 3, code: 3 };
        let runs = vec![run(7, 7, Fate::Answered(error))];
        let rejected = |kind| (7, Verdict::Reject(RejectAnswer::Kind(kind)), by("a"));
        let same = found(runs.clone(), &[rejected(RejectKind::PortUnreachable)]);
        assert_eq!(told(&sweep([]), &same), ["7-7 reject pass a"]);
        let other = found(runs, &[rejected(RejectKind::TcpReset)]);
        assert_eq!(
            told(&sweep([]), &other),
            ["7-7 inconclusive inconclusive ?"]
        );
    }

    #[test]
    fn what_is_forgotten_is_gone_and_the_rest_stays() {
        let mut found = found(
            vec![run(1, 100, Fate::Silent)],
            &[(1, Verdict::Drop, by("a")), (22, Verdict::Drop, by("a"))],
        );
        found.forget(&Ranges::from([22..=23, 100..=100]));
        assert_eq!(
            found.runs,
            [run(1, 21, Fate::Silent), run(24, 99, Fate::Silent)]
        );
        assert_eq!(found.traced.len(), 1);
    }

    #[test]
    fn many_ports_are_named_by_their_ranges_and_the_rest_counted() {
        let ranges: Ranges = (0..20).map(|nth| nth * 10 + 1..=nth * 10 + 2).collect();
        let (text, are) = some(Over::Tcp, &ranges);
        assert_eq!(
            text,
            "tcp/1-2, 11-12, 21-22, 31-32, 41-42, 51-52, 61-62, 71-72 and 24 more"
        );
        assert_eq!(are, "are");
        assert_eq!(
            some(Over::Protocols, &Ranges::from(47..=47)),
            ("proto/47".to_owned(), "is")
        );
    }
}

/// Numbers of a sweep that follow each other and fared alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepGroup {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
    /// What the firewall did with each; how a packet looked on arrival is told of one of them.
    pub verdict: Verdict,
    /// Who decided; `None` where it is known neither of all nor of those around them.
    pub decider: Option<Decider>,
    /// How many of them were probed one by one, with a full trace.
    pub traced: u32,
    /// Against what should be open.
    pub outcome: Outcome,
}

impl SweepGroup {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}
