//! Tests for what nothing tested. Packets that are meant for a rule are really sent, in a lab of a scenario
//! that has the rule; a test is only proposed after it was run as it is written, and the trace showed the
//! rule. Where every packet that was meant for a rule ended before it, the rule is possibly dead, and what
//! ended them is named.

mod attempt;
mod hints;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    attempt::{Attempt, attempts},
    hints::{Condition, Sets},
};
use crate::{
    coverage::Covering,
    record::coverage::{Coverage, Item, Measured, Met, Searched, Shadow, Suggested, matching},
};
use crate::{
    judge::verdict::{Outcome, RejectAnswer, Verdict},
    record::{CaseRecord, ScenarioRecord},
    ruleset::{chain::Chain, origin::Origin},
    run::{
        options::Options,
        queue::{Queued, Selected},
    },
    scenario::{self, Family},
    trace::decider::Decider,
};

/// Most scenarios in whose labs a rule is looked for.
const MOST_SCENARIOS: usize = 3;
/// Most rules of a candidate that are looked for, and most ways that lead to one.
const MOST_RULES: usize = 500;
const MOST_WAYS: usize = 4;
/// How deep chains may call each other.
const MOST_DEPTH: usize = 8;

/// Looks for tests of everything that counts and that nothing matched.
pub async fn search(coverage: &mut Coverage, queued: &[Queued], options: &Options) {
    let options = Options {
        coverage: Covering::EachCase,
        record: None,
        blind: None,
        ..options.clone()
    };
    for ruleset in &mut coverage.rulesets {
        let mut search = Search {
            options: &options,
            left: untested(ruleset),
            found: BTreeMap::new(),
        };
        for index in search.left.split_off(MOST_RULES.min(search.left.len())) {
            let why = format!("only the first {MOST_RULES} were looked for");
            search.found.insert(index, Searched::NotTried(why));
        }
        let of_ruleset = |one: &&Queued| ruleset.scenarios.contains(&one.entry.id);
        for one in queued.iter().filter(of_ruleset).take(MOST_SCENARIOS) {
            if search.left.is_empty() {
                break;
            }
            if let Ok(selected) = one.select() {
                search.scenario(ruleset, &selected).await;
            }
        }
        let not_tried = "no scenario of this run can be asked for it";
        for index in search.left {
            let found = search.found.entry(index);
            found.or_insert_with(|| Searched::NotTried(not_tried.to_owned()));
        }
        ruleset.searched = search.found;
    }
}

fn untested(ruleset: &Measured) -> Vec<usize> {
    let items = ruleset.items.iter().enumerate();
    items
        .filter(|(_, (item, hits))| item.apart.is_none() && hits.matched == 0)
        .map(|(index, _)| index)
        .collect()
}

struct Search<'a> {
    options: &'a Options,
    /// The items that no test was found for yet.
    left: Vec<usize>,
    found: BTreeMap<usize, Searched>,
}

/// A packet or a conversation that was tried, and what it met.
struct Tried<'a> {
    record: &'a CaseRecord,
    met: &'a Met,
    /// The items of its ruleset, as those of the coverage.
    items: &'a [Option<usize>],
}

impl Tried<'_> {
    fn matched(&self, index: usize) -> bool {
        let mut matched = self.met.matched.iter();
        matched.any(|item| self.items[*item] == Some(index))
    }

    fn evaluated(&self, index: usize) -> bool {
        let mut tried = self.met.tried.iter().cloned().flatten();
        tried.any(|item| self.items[item] == Some(index))
    }

    /// What each of its packets came to, in the words of a scenario; `None` if one of them proves nothing.
    fn outcomes(&self) -> Option<Vec<String>> {
        let steps = self.record.steps.iter();
        steps
            .map(|step| match &step.judgement.verdict {
                Verdict::Accept(_) => Some("accept".to_owned()),
                Verdict::Drop => Some("drop".to_owned()),
                Verdict::Reject(RejectAnswer::Kind(kind)) => Some(format!("reject {kind}")),
                Verdict::Reject(RejectAnswer::OtherIcmp { .. }) => Some("reject".to_owned()),
                Verdict::Inconclusive(_) => None,
            })
            .collect()
    }
}

/// A test to propose, before it was run as it is written.
struct Proposal {
    yaml: String,
    covers: Vec<usize>,
}

impl Search<'_> {
    /// Looks for all that are left in the labs of one scenario.
    async fn scenario(&mut self, ruleset: &Measured, selected: &Selected) {
        let named = ruleset.sets.iter();
        let sets: Sets = named
            .map(|((_, _, name), elements)| (name.clone(), elements.clone()))
            .collect();
        let mut tests: Vec<Attempt> = Vec::new();
        let mut numbers: BTreeMap<Attempt, usize> = BTreeMap::new();
        let mut meant: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for index in &self.left {
            for attempt in self.attempts(ruleset, selected, *index, &sets) {
                let number = *numbers.entry(attempt.clone()).or_insert_with(|| {
                    tests.push(attempt);
                    tests.len() - 1
                });
                meant.entry(*index).or_default().push(number);
            }
        }
        let texts: Vec<String> = tests
            .iter()
            .enumerate()
            .map(|(number, attempt)| attempt.yaml(Some(&format!("attempt {number}")), None, &[]))
            .collect();
        let Some((record, of_case)) = self.run(selected, &texts).await else {
            return;
        };
        let runs = runs(ruleset, &record);
        let mut by_test: BTreeMap<usize, Vec<Tried<'_>>> = BTreeMap::new();
        for (measured, items) in &runs {
            for met in &measured.cases {
                let tried = Tried {
                    record: &record.cases[met.case],
                    met,
                    items,
                };
                by_test.entry(of_case[met.case]).or_default().push(tried);
            }
        }
        let mut proposals: BTreeMap<usize, Proposal> = BTreeMap::new();
        let mut names = Names::new(selected);
        for index in self.left.clone() {
            let numbers = meant.get(&index).map_or(&[][..], Vec::as_slice);
            let of = |number: &usize| by_test.get(number).map_or(&[][..], Vec::as_slice);
            let hits = numbers.iter().filter_map(|number| {
                let (agree, family, outcomes) = outcome(of(number), index)?;
                Some((!agree, *number, family, outcomes))
            });
            // The first whose families agree can be said in the short form.
            let best = hits.min_by_key(|(differ, number, ..)| {
                (*differ, numbers.iter().position(|one| one == number))
            });
            if let Some((_, number, family, outcomes)) = best {
                let attempt = &tests[number];
                let (item, _) = &ruleset.items[index];
                let proposal = proposals.entry(number).or_insert_with(|| Proposal {
                    yaml: names.named(attempt, item, family, &outcomes),
                    covers: Vec::new(),
                });
                proposal.covers.push(index);
                continue;
            }
            let (item, _) = &ruleset.items[index];
            let of_family = |tried: &&Tried<'_>| match item.chain.family.rsplit(' ').next() {
                Some("ip") => tried.record.case.family == Family::Ipv4,
                Some("ip6") => tried.record.case.family == Family::Ipv6,
                _ => true,
            };
            let tried = numbers.iter().flat_map(of).filter(of_family);
            let tried: Vec<&Tried<'_>> = tried.collect();
            if let Some(found) = in_vain(ruleset, index, &tried, &sets) {
                self.found.insert(index, found);
            }
        }
        let proposals: Vec<Proposal> = proposals.into_values().collect();
        self.confirm(ruleset, selected, proposals).await;
    }

    /// Runs proposals as they are written; those that hold and meet their rules are kept.
    async fn confirm(&mut self, ruleset: &Measured, selected: &Selected, proposals: Vec<Proposal>) {
        let texts: Vec<String> = proposals.iter().map(|one| one.yaml.clone()).collect();
        let Some((record, of_case)) = self.run(selected, &texts).await else {
            return;
        };
        let mut held: BTreeSet<usize> = (0..proposals.len()).collect();
        for (case, number) in record.cases.iter().zip(&of_case) {
            if case.outcome() != Outcome::Pass {
                held.remove(number);
            }
        }
        for (measured, items) in &runs(ruleset, &record) {
            for met in &measured.cases {
                let number = of_case[met.case];
                if !held.contains(&number) {
                    continue;
                }
                let tried = Tried {
                    record: &record.cases[met.case],
                    met,
                    items,
                };
                let covers = proposals[number].covers.iter();
                for index in covers.filter(|index| tried.matched(**index)) {
                    let test = Suggested {
                        test: proposals[number].yaml.clone(),
                        scenario: selected.scenario.file.clone(),
                    };
                    self.found.insert(*index, Searched::Test(test));
                }
            }
        }
        let found = &self.found;
        let is_left = |index: &usize| !matches!(found.get(index), Some(Searched::Test(_)));
        self.left.retain(is_left);
    }

    async fn run(
        &self,
        selected: &Selected,
        texts: &[String],
    ) -> Option<(ScenarioRecord, Vec<usize>)> {
        let scenario = &selected.scenario;
        let (mut other, of_case) = scenario::with_tests(&scenario.file, &scenario.id, texts)?;
        // The candidate may be another one than the file's.
        other.firewall = scenario.firewall.clone();
        let record = crate::run::scenario::run_scenario(&Selected::all(other), self.options).await;
        record.error.is_none().then_some((record, of_case))
    }

    fn attempts(
        &self,
        ruleset: &Measured,
        selected: &Selected,
        index: usize,
        sets: &Sets,
    ) -> Vec<Attempt> {
        let (item, _) = &ruleset.items[index];
        let mut found = Vec::new();
        for way in ways(ruleset, &item.chain, sets) {
            let Some(base) = ruleset.bases.get(&way.base) else {
                continue;
            };
            let mut conditions: Vec<Condition> = Vec::new();
            for (of, to) in &way.rules {
                conditions.extend(asked(&ruleset.items[*of].0, Some(to), sets));
            }
            if let Some(outer) = &item.within {
                conditions.extend(hints::nft(outer, None, sets));
            }
            if item.handle.is_some() {
                conditions.extend(asked(item, None, sets));
            }
            let family = &item.chain.family;
            let more = attempts(&selected.scenario, &base.hook, family, &conditions);
            found.extend(more);
        }
        found
    }
}

/// The runs of the very same candidate in a record, with their items as those of the coverage.
fn runs<'r>(
    ruleset: &Measured,
    record: &'r ScenarioRecord,
) -> Vec<(&'r Measured, Vec<Option<usize>>)> {
    let same =
        |run: &&Measured| run.candidate == ruleset.candidate && run.sources == ruleset.sources;
    let runs = record.coverage.iter().filter(same);
    runs.map(|run| (run, matching(&run.items, &ruleset.items)))
        .collect()
}

/// What a test came to that met an item: whether all of its families agree, else the one that is meant.
fn outcome(cases: &[Tried<'_>], index: usize) -> Option<(bool, Option<Family>, Vec<String>)> {
    let hit = cases
        .iter()
        .find(|tried| tried.matched(index) && tried.outcomes().is_some())?;
    let outcomes = hit.outcomes()?;
    let agree = cases
        .iter()
        .all(|tried| tried.outcomes().as_ref() == Some(&outcomes));
    let family = (!agree).then_some(hit.record.case.family);
    Some((agree, family, outcomes))
}

/// What is said of a rule that none of the packets matched which were meant for it.
fn in_vain(
    ruleset: &Measured,
    index: usize,
    tried: &[&Tried<'_>],
    sets: &Sets,
) -> Option<Searched> {
    let packets = tried.len();
    if packets == 0 {
        let why = "no packet between the hosts of the scenario can be meant for it";
        return Some(Searched::NotTried(why.to_owned()));
    }
    if tried.iter().any(|tried| tried.evaluated(index)) {
        return Some(Searched::Unmatched { packets });
    }
    let (item, _) = &ruleset.items[index];
    let bases: Vec<Chain> = ways(ruleset, &item.chain, sets)
        .into_iter()
        .map(|way| way.base)
        .collect();
    let mut ends: BTreeMap<Shadow, usize> = BTreeMap::new();
    for tried in tried {
        let known = |items: &[usize]| -> Vec<usize> {
            items.iter().filter_map(|item| tried.items[*item]).collect()
        };
        // The error that came back for the packet had a way of its own, behind it.
        let of_base = known(&tried.met.ended).into_iter().find(|end| {
            let (end, _) = &ruleset.items[*end];
            let mut ways = ways(ruleset, &end.chain, sets).into_iter();
            ways.any(|way| bases.contains(&way.base))
        });
        let by_kernel = tried
            .record
            .steps
            .iter()
            .find_map(|step| match step.judgement.decider {
                Some(Decider::Kernel(reason)) => Some(Shadow::Kernel(reason)),
                _ => None,
            });
        let decided = || known(&tried.met.decided).first().copied().map(Shadow::Item);
        if let Some(end) = of_base.map(Shadow::Item).or(by_kernel).or_else(decided) {
            *ends.entry(end).or_default() += 1;
        }
    }
    // Nothing gets past a rule without a condition, whatever ends before it.
    let all = |shadow: &Shadow| match shadow {
        Shadow::Item(end) => {
            let (end, _) = &ruleset.items[*end];
            end.handle.is_some() && end.chain == item.chain && !end.has_condition()
        }
        Shadow::Kernel(_) => false,
    };
    let most = ends
        .into_iter()
        .max_by_key(|(shadow, count)| (all(shadow), *count, std::cmp::Reverse(*shadow)));
    Some(Searched::Dead {
        packets,
        shadow: most.map(|(shadow, _)| shadow),
    })
}

/// A way from a base chain to another chain: the rules that lead on, and where to.
#[derive(Debug, Clone)]
struct Way {
    base: Chain,
    rules: Vec<(usize, String)>,
}

fn ways(ruleset: &Measured, chain: &Chain, sets: &Sets) -> Vec<Way> {
    let mut found = Vec::new();
    let mut open = vec![(chain.clone(), Vec::new())];
    while let Some((chain, rules)) = open.pop() {
        if ruleset.bases.contains_key(&chain) {
            found.push(Way {
                base: chain.clone(),
                rules: rules.iter().rev().cloned().collect(),
            });
        }
        if found.len() >= MOST_WAYS || rules.len() >= MOST_DEPTH {
            continue;
        }
        let items = ruleset.items.iter().enumerate();
        let callers = items.filter(|(_, (item, _))| {
            item.chain.family == chain.family
                && item.chain.table == chain.table
                && item.chain != chain
                && leads_to(&item.text, &chain.name, sets)
        });
        let callers: Vec<_> = callers.collect();
        for (index, (item, _)) in callers.into_iter().rev() {
            let mut rules: Vec<(usize, String)> = rules.clone();
            rules.push((index, chain.name.clone()));
            open.push((item.chain.clone(), rules));
        }
    }
    found
}

fn leads_to(rule: &str, chain: &str, sets: &Sets) -> bool {
    let split = |text: &str| -> Vec<String> {
        let words = text
            .split([' ', ',', '}', '"'])
            .filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let leads = |words: &[String]| {
        words.windows(2).any(|pair| {
            matches!(pair[0].as_str(), "jump" | "goto" | "-j" | "-g") && pair[1] == chain
        })
    };
    let words = split(rule);
    let by_map = words.windows(2).any(|pair| {
        let map = pair[1].strip_prefix('@').filter(|_| pair[0] == "vmap");
        let elements = map.and_then(|map| sets.get(map)).into_iter().flatten();
        elements
            .into_iter()
            .any(|(_, verdict)| leads(&split(verdict)))
    });
    leads(&words) || by_map
}

/// What a rule asks for. What nft cannot show of a rule of iptables, its line can.
fn asked(item: &Item, to: Option<&str>, sets: &Sets) -> Vec<Condition> {
    let line = match &item.origin {
        Some(Origin::Known(line)) => line.text.as_str(),
        Some(Origin::Unknown(_)) | None => "",
    };
    if item.text.starts_with('-') || item.text.starts_with('!') {
        hints::iptables(&item.text, sets)
    } else if item.text.contains("xt match") && line.contains("-A ") {
        hints::iptables(line, sets)
    } else {
        hints::nft(&item.text, to, sets)
    }
}

/// Names for tests that no other test has.
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn new(selected: &Selected) -> Self {
        let cases = selected.scenario.cases.iter();
        let taken = cases.filter_map(|case| {
            let (_, name) = case.name.split_once(" :: ")?;
            Some(name.rsplit_once(" [")?.0.to_owned())
        });
        Self {
            taken: taken.collect(),
        }
    }

    /// The test as it is proposed.
    fn named(
        &mut self,
        attempt: &Attempt,
        item: &Item,
        family: Option<Family>,
        outcomes: &[String],
    ) -> String {
        let short = attempt.yaml(None, family, outcomes);
        let text = short.trim_start_matches("- ");
        let text = text.rsplit_once(": ").map_or(text, |(text, _)| text);
        let is_short = !text.contains('\n');
        if is_short && self.taken.insert(text.to_owned()) {
            return short;
        }
        let place = match (item.line(), item.handle) {
            (Some((file, line)), _) => {
                let file = file.file_name().unwrap_or_default().to_string_lossy();
                format!("{file}:{line}")
            }
            (None, Some(handle)) => format!("{}, {} {handle}", item.chain, item.chain.number()),
            (None, None) => format!("the policy of {}", item.chain),
        };
        let mut name = format!("reaches {place}");
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("reaches {place} ({number})");
        }
        attempt.yaml(Some(&name), family, outcomes)
    }
}
