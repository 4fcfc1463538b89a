//! What several candidates did with the same packets. Verdicts are compared, and what came out, but never
//! the rules: those are expected to differ. A difference is no failure, expectations decide about that.

use std::{collections::HashMap, net::IpAddr};

use firedrill_wire::Ranges;

use super::{
    CaseRecord, ScenarioRecord, StepRecord,
    comparison::{Comparison, Difference, Side},
};
use crate::judge::sweep::SweepGroup;
use crate::judge::verdict::{Arrival, Outcome, RejectAnswer, Verdict};

/// Compares the records of one file's candidates; `None` unless there are several.
#[must_use]
pub fn between(records: &[ScenarioRecord]) -> Option<Comparison> {
    let names = records.iter().map(|record| record.candidate.name.clone());
    let candidates: Vec<String> = names.collect::<Option<_>>()?;
    let (first, others) = records.split_first()?;
    if others.is_empty() {
        return None;
    }
    let mut comparison = Comparison {
        scenario: first.scenario.stem.clone(),
        candidates,
        same: 0,
        different: Vec::new(),
        not_compared: Vec::new(),
    };
    let others: Vec<HashMap<&str, &CaseRecord>> = others.iter().map(by_name).collect();
    for case in &first.cases {
        let name = case_name(first, case);
        // A filter may have chosen a case for one candidate alone.
        let theirs = others.iter().map(|other| other.get(name).copied());
        let Some(theirs) = theirs.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let all: Vec<&CaseRecord> = std::iter::once(case).chain(theirs).collect();
        match compare(&all) {
            Compared::Same => comparison.same += 1,
            Compared::Unproven => comparison.not_compared.push(name.to_owned()),
            Compared::Different(step) => comparison.different.push(Difference {
                case: name.to_owned(),
                step: case.step_words(step),
                by_candidate: sides(&comparison.candidates, &all, step),
            }),
        }
    }
    Some(comparison)
}

fn by_name(record: &ScenarioRecord) -> HashMap<&str, &CaseRecord> {
    let named = |case| (case_name(record, case), case);
    record.cases.iter().map(named).collect()
}

/// The name of a case without its scenario.
fn case_name<'a>(record: &ScenarioRecord, case: &'a CaseRecord) -> &'a str {
    let name = case.case.name.as_str();
    let behind = name.strip_prefix(record.scenario.id.as_str());
    behind
        .and_then(|rest| rest.strip_prefix(" :: "))
        .unwrap_or(name)
}

/// What candidates did with a case.
enum Compared {
    Same,
    /// In this step first.
    Different(usize),
    Unproven,
}

fn compare(cases: &[&CaseRecord]) -> Compared {
    let Some(first) = cases.first() else {
        return Compared::Unproven;
    };
    let mut is_inconclusive = false;
    // A case has the same steps for all candidates.
    for step in 0..first.steps.len() {
        let records = cases.iter().map(|case| case.steps.get(step));
        let seen: Vec<Option<Treatment<'_>>> = records.map(|record| treatment(record?)).collect();
        let mut known = seen.iter().flatten();
        if let Some(first) = known.next()
            && known.any(|other| other != first)
        {
            return Compared::Different(step);
        }
        is_inconclusive |= seen.contains(&None);
    }
    if is_inconclusive {
        Compared::Unproven
    } else {
        Compared::Same
    }
}

/// What a candidate did with a packet, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Treatment<'a> {
    verdict: Plain<'a>,
    /// Of packets that are counted: whether it was the number that is expected.
    met: Option<Outcome>,
}

#[derive(Debug, PartialEq, Eq)]
enum Plain<'a> {
    Accept(Left<'a>),
    Drop,
    Reject(RejectAnswer),
    /// Every number of a sweep, in ranges with the verdict.
    Sweep(Vec<(u16, u16, String)>),
}

/// How a packet came out. Which free port a translation chose is chance, so only whether it chose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left<'a> {
    interface: Option<&'a str>,
    source: IpAddr,
    destination: IpAddr,
    sport_kept: bool,
    dport: Option<u16>,
    ttl: u8,
    dscp: u8,
    mss: Option<u16>,
}

/// `None` if nothing is proven.
fn treatment(record: &StepRecord) -> Option<Treatment<'_>> {
    if let Some(sweep) = &record.sweep {
        return Some(Treatment {
            verdict: Plain::Sweep(ranges(&sweep.groups)?),
            met: None,
        });
    }
    let verdict = match &record.judgement.verdict {
        Verdict::Accept(arrival) => Plain::Accept(left(arrival)),
        Verdict::Drop => Plain::Drop,
        Verdict::Reject(answer) => Plain::Reject(*answer),
        Verdict::Inconclusive(_) => return None,
    };
    Some(Treatment {
        verdict,
        met: record.repeated.then_some(record.judgement.outcome),
    })
}

/// How the word for what came out begins.
const ACCEPT: &str = "accept";

/// The verdicts of a sweep, whoever decided; `None` if one of them is not proven.
fn ranges(groups: &[SweepGroup]) -> Option<Vec<(u16, u16, String)>> {
    let mut ranges: Vec<(u16, u16, String)> = Vec::new();
    for group in groups {
        if let Verdict::Inconclusive(_) = group.verdict {
            return None;
        }
        let verdict = match &group.verdict {
            Verdict::Accept(arrival) => {
                let interface = arrival.interface.as_deref().unwrap_or("input");
                format!("{ACCEPT} {interface} {}", arrival.destination)
            }
            verdict => verdict.to_string(),
        };
        match ranges.last_mut() {
            Some((_, last, same))
                if *same == verdict && last.checked_add(1) == Some(group.first) =>
            {
                *last = group.last;
            }
            _ => ranges.push((group.first, group.last, verdict)),
        }
    }
    Some(ranges)
}

/// `open: 80, 443`.
fn open(groups: &[SweepGroup]) -> String {
    let open = ranges(groups).unwrap_or_default().into_iter();
    let open = open.filter(|(.., verdict)| verdict.starts_with(ACCEPT));
    let open: Ranges = open.map(|(first, last, _)| first..=last).collect();
    format!("open: {open}")
}

fn left(arrival: &Arrival) -> Left<'_> {
    Left {
        interface: arrival.interface.as_deref(),
        source: arrival.source,
        destination: arrival.destination,
        sport_kept: arrival.sport_sent.is_none(),
        dport: arrival.dport,
        ttl: arrival.ttl,
        dscp: arrival.dscp,
        mss: arrival.mss,
    }
}

impl Left<'_> {
    /// All of it, by name.
    fn facts(self) -> [(&'static str, String); 8] {
        let number = |number: Option<u16>| number.map_or("none".to_owned(), |it| it.to_string());
        [
            ("interface", self.interface.unwrap_or("none").to_owned()),
            ("source", self.source.to_string()),
            ("destination", self.destination.to_string()),
            (
                "source port",
                if self.sport_kept {
                    "kept"
                } else {
                    "translated"
                }
                .to_owned(),
            ),
            ("port", number(self.dport)),
            ("ttl", self.ttl.to_string()),
            ("dscp", self.dscp.to_string()),
            ("mss", number(self.mss)),
        ]
    }
}

/// What each candidate did in the step that differs.
fn sides(candidates: &[String], cases: &[&CaseRecord], step: usize) -> Vec<Side> {
    let records: Vec<&StepRecord> = cases
        .iter()
        .filter_map(|case| case.steps.get(step))
        .collect();
    let accepted = records.iter().filter_map(|record| facts(record));
    let accepted: Vec<_> = accepted.collect();
    let differs = |index: usize| {
        accepted
            .windows(2)
            .any(|pair| pair[0][index] != pair[1][index])
    };
    let words = |record: &StepRecord| -> String {
        if let Some(sweep) = &record.sweep {
            return open(&sweep.groups);
        }
        let verdict = &record.judgement.verdict;
        let facts = facts(record).into_iter().flatten().enumerate();
        let facts: Vec<String> = facts
            .filter(|(index, _)| differs(*index))
            .map(|(_, (name, value))| format!("{name} {value}"))
            .collect();
        match facts.as_slice() {
            [] => verdict.to_string(),
            facts => format!("{verdict} ({})", facts.join(", ")),
        }
    };
    // Of what is counted, the verdict alone may say nothing.
    let told: Vec<String> = records.iter().map(|record| words(record)).collect();
    let alike = told.windows(2).all(|pair| pair[0] == pair[1]);
    let sides = candidates.iter().zip(records).zip(told);
    sides
        .map(|((candidate, record), told)| Side {
            candidate: candidate.clone(),
            verdict_text: match (&record.judgement.reason, alike) {
                (Some(reason), true) => format!("{told}: {reason}"),
                (None, true) => format!("{told}: as expected"),
                (_, false) => told,
            },
            step: StepRecord {
                walk: None,
                ..(*record).clone()
            },
        })
        .collect()
}

fn facts(record: &StepRecord) -> Option<[(&'static str, String); 8]> {
    match &record.judgement.verdict {
        Verdict::Accept(arrival) => Some(left(arrival).facts()),
        Verdict::Drop | Verdict::Reject(_) | Verdict::Inconclusive(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::{
        judge::{
            self,
            verdict::{Inconclusive, Judgement},
        },
        record::CandidateRecord,
        scenario::{self, RejectKind},
    };

    fn arrived() -> Arrival {
        Arrival {
            interface: Some("wan0".to_owned()),
            source: "192.0.2.10".parse().unwrap(),
            destination: "198.51.100.7".parse().unwrap(),
            sport: Some(32_768),
            sport_sent: None,
            dport: Some(443),
            ttl: 63,
            dscp: 0,
            mss: Some(1460),
        }
    }

    fn from(source: &str) -> Verdict {
        let source = source.parse().unwrap();
        Verdict::Accept(Arrival {
            source,
            ..arrived()
        })
    }

    fn reject(kind: RejectKind) -> Verdict {
        Verdict::Reject(RejectAnswer::Kind(kind))
    }

    fn untold() -> Verdict {
        Verdict::Inconclusive(Inconclusive::BarrierLost)
    }

    /// Two cases that were made against candidates `c0`, `c1` and so on: the first with these verdicts, the
    /// second dropped by all.
    fn records(test: &str, verdicts: &[(Verdict, Outcome)]) -> Vec<ScenarioRecord> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.nft"), "").unwrap();
        let names = (0..verdicts.len()).map(|number| format!("c{number}: {{ nftables: x.nft }}"));
        let text = format!(
            "firewall:\n  candidates: {{ {} }}\n  interfaces: {{ wan0: 192.0.2.10/24 }}\n\
             hosts:\n  a: {{ behind: wan0, address: 192.0.2.7 }}\n\
             tests:\n  - {test}\n  - a -> firewall tcp/9: drop\n",
            names.collect::<Vec<_>>().join(", ")
        );
        let all = scenario::parse(&text, &folder.path().join("x.yaml"), "x").unwrap();
        let judgement = |(verdict, outcome): (Verdict, Outcome)| Judgement {
            reason: (outcome != Outcome::Pass).then(|| "of another number".to_owned()),
            decider: None,
            verdict,
            outcome,
        };
        let records = all.into_iter().zip(verdicts);
        let record = |(scenario, verdict): (scenario::Scenario, &(Verdict, Outcome))| {
            let judgements = [verdict.clone(), (Verdict::Drop, Outcome::Pass)].map(judgement);
            let cases = scenario.cases.iter().zip(judgements);
            let case = |(case, judgement): (&scenario::Case, Judgement)| CaseRecord {
                case: case.into(),
                steps: vec![StepRecord {
                    sweep: None,
                    text: case.steps[0].text.clone(),
                    at: case.at.clone(),
                    expected: String::new(),
                    packet: String::new(),
                    repeated: case.sends().any(|send| send.repeat.is_some()),
                    judgement,
                    walk: None,
                    duration_us: 1,
                }],
            };
            ScenarioRecord {
                candidate: CandidateRecord {
                    name: scenario.against.clone(),
                    path: "x.nft".into(),
                    hash: String::new(),
                },
                cases: cases.map(case).collect(),
                scenario: (&scenario).into(),
                position: 0,
                error: None,
                coverage: Vec::new(),
                kernel: None,
                output: String::new(),
                duration_us: 1,
            }
        };
        records.map(record).collect()
    }

    fn passed(verdicts: &[Verdict]) -> Vec<ScenarioRecord> {
        let verdicts: Vec<_> = verdicts
            .iter()
            .cloned()
            .map(|one| (one, Outcome::Pass))
            .collect();
        records("a -> firewall tcp/1: accept", &verdicts)
    }

    #[rstest]
    #[case::dropped(Verdict::Drop, Verdict::Drop)]
    #[case::passed(from("192.0.2.10"), from("192.0.2.10"))]
    #[case::another_free_port(
        Verdict::Accept(Arrival { sport: Some(1024), sport_sent: Some(32_768), ..arrived() }),
        Verdict::Accept(Arrival { sport: Some(1025), sport_sent: Some(32_768), ..arrived() })
    )]
    #[case::sent_from_another_port(
        from("192.0.2.10"),
        Verdict::Accept(Arrival { sport: Some(5), ..arrived() })
    )]
    fn what_is_alike_is_counted(#[case] one: Verdict, #[case] other: Verdict) {
        let comparison = between(&passed(&[one, other])).unwrap();
        assert_eq!((comparison.same, comparison.different.len()), (2, 0));
        assert_eq!(comparison.not_compared, Vec::<String>::new());
    }

    #[rstest]
    #[case::verdicts(Verdict::Drop, from("192.0.2.10"), ["drop", "accept"])]
    #[case::kinds(
        reject(RejectKind::TcpReset), reject(RejectKind::PortUnreachable),
        ["reject tcp-reset", "reject icmp-port-unreachable"]
    )]
    #[case::translated(
        from("192.0.2.10"), from("10.0.0.5"), ["accept (source 192.0.2.10)", "accept (source 10.0.0.5)"]
    )]
    #[case::elsewhere(
        from("192.0.2.10"),
        Verdict::Accept(Arrival { interface: None, dport: Some(22), ..arrived() }),
        ["accept (interface wan0, port 443)", "accept (interface none, port 22)"]
    )]
    #[case::a_port_translated(
        from("192.0.2.10"),
        Verdict::Accept(Arrival { sport: Some(1024), sport_sent: Some(32_768), ..arrived() }),
        ["accept (source port kept)", "accept (source port translated)"]
    )]
    fn what_is_not_alike_is_told_with_what_differs(
        #[case] one: Verdict,
        #[case] other: Verdict,
        #[case] expected: [&str; 2],
    ) {
        let comparison = between(&passed(&[one, other])).unwrap();
        assert_eq!((comparison.same, comparison.different.len()), (1, 1));
        let different = &comparison.different[0];
        assert_eq!(different.case, "a -> firewall tcp/1 [ipv4]");
        let told: Vec<&str> = different
            .by_candidate
            .iter()
            .map(|side| &*side.verdict_text)
            .collect();
        assert_eq!(told, expected);
    }

    /// Doubt is neither a difference nor its absence.
    #[test]
    fn what_nobody_can_tell_is_not_alike() {
        let comparison = between(&passed(&[Verdict::Drop, untold()])).unwrap();
        assert_eq!((comparison.same, comparison.different.len()), (1, 0));
        assert_eq!(comparison.not_compared, ["a -> firewall tcp/1 [ipv4]"]);
        // And yet the others may differ.
        let comparison = between(&passed(&[Verdict::Drop, untold(), from("192.0.2.10")])).unwrap();
        assert_eq!(comparison.different[0].by_candidate.len(), 3);
        assert_eq!(comparison.not_compared, Vec::<String>::new());
    }

    #[test]
    fn packets_that_are_counted_differ_by_their_number() {
        let test = "{ from: a, to: firewall, service: tcp/1, repeat: 9, expect: { accept: 3..6 } }";
        let accepted = |outcome| (from("192.0.2.10"), outcome);
        let verdicts = [accepted(Outcome::Pass), accepted(Outcome::Fail)];
        let comparison = between(&records(test, &verdicts)).unwrap();
        let sides = &comparison.different[0].by_candidate;
        let told: Vec<&str> = sides.iter().map(|side| &*side.verdict_text).collect();
        assert_eq!(told, ["accept: as expected", "accept: of another number"]);
    }

    /// An expectation about the rule that decides is no business of a comparison.
    #[test]
    fn a_rule_that_was_not_expected_is_no_difference() {
        let verdicts = [
            (Verdict::Drop, Outcome::Pass),
            (Verdict::Drop, Outcome::Fail),
        ];
        let comparison = between(&records("a -> firewall tcp/1: drop", &verdicts)).unwrap();
        assert_eq!(comparison.same, 2);
    }

    #[test]
    fn a_case_that_only_one_candidate_was_to_run_is_left_out() {
        let mut records = passed(&[Verdict::Drop, Verdict::Drop]);
        records[1].cases.remove(0);
        assert_eq!(between(&records).unwrap().same, 1);
        records.pop();
        assert_eq!(between(&records), None);
    }

    #[test]
    fn a_candidate_that_did_not_load_leaves_nothing_to_compare() {
        let mut records = passed(&[Verdict::Drop, Verdict::Drop]);
        for case in &mut records[1].cases {
            case.steps[0].judgement =
                judge::inconclusive(Inconclusive::RunEnded("gone".to_owned()));
        }
        let comparison = between(&records).unwrap();
        assert_eq!((comparison.same, comparison.not_compared.len()), (0, 2));
    }
}
