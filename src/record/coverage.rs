//! What packets met of a ruleset, as data.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    dialect::SourceFile,
    ruleset::{
        chain::{Base, Chain},
        legacy::LEGACY,
        origin::Origin,
    },
    trace::decider::KernelReason,
};

use super::{
    elements::Elements,
    failure::ScenarioError,
    finding::{Finding, Level},
};

/// How often something of a ruleset was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// A packet came to it: every rule of a chain up to the one that ended the packet's way in it.
    pub evaluated: u64,
    /// All its conditions were true of the packet; of a policy, that the packet reached the chain's end.
    pub matched: u64,
    /// Its verdict was the packet's: it is who decided.
    pub decided: u64,
}

/// The elements of named sets and maps as they were loaded, by family, table and name: each with what a map
/// leads it to.
pub type Sets = BTreeMap<(String, String, String), Vec<(String, String)>>;

/// What the packets of one case met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met {
    /// Its position in the record of the scenario.
    pub case: usize,
    /// The items that they came to.
    pub tried: Vec<Range<usize>>,
    /// The items that matched.
    pub matched: Vec<usize>,
    /// The items that ended their ways through base chains, in order.
    pub ended: Vec<usize>,
    /// The items that decided.
    pub decided: Vec<usize>,
}

/// What became of the search for a test of something that nothing matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Searched {
    /// This test reaches it.
    Test(Suggested),
    /// Every packet that was meant for it ended before it: possibly it is dead.
    Dead {
        /// How many there were.
        packets: usize,
        /// What ended the most of them, if the trace shows it.
        shadow: Option<Shadow>,
    },
    /// Packets came to it, and it matched none of them.
    Unmatched {
        /// How many were meant for it.
        packets: usize,
    },
    /// Nothing was sent, for this reason.
    NotTried(String),
}

/// What ends packets before they come to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shadow {
    /// A rule or policy of the same ruleset.
    Item(usize),
    /// The kernel itself.
    Kernel(KernelReason),
}

/// A test that was run as it is written, and met what it was meant for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suggested {
    /// As an item of `tests:`.
    pub test: String,
    /// The scenario that it belongs to.
    pub scenario: PathBuf,
}

/// What was covered of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its main file as the user named it.
    pub candidate: PathBuf,
    /// The scenarios whose packets met it.
    pub scenarios: Vec<String>,
    /// Its files.
    pub sources: Vec<SourceFile>,
    /// Its rules and policies, chain by chain.
    pub items: Vec<(Item, Hits)>,
    /// Those items that lead to an inline chain whose rules cannot be told apart.
    pub closed: Vec<usize>,
    /// How many packets there were whose evidence is sound.
    pub packets: u64,
    /// Its base chains.
    pub bases: BTreeMap<Chain, Base>,
    /// What each case met, if somebody asked.
    pub cases: Vec<Met>,
    /// The elements of sets and maps that rules look up.
    pub elements: Vec<Elements>,
    /// The elements of named sets and maps, each with what a map leads it to.
    pub sets: Sets,
    /// What became of the search for tests, by item, if somebody asked.
    pub searched: BTreeMap<usize, Searched>,
}

/// The coverage of a run, by candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each candidate once, in the order of the scenarios.
    pub rulesets: Vec<Measured>,
    /// The scenarios of which nothing could be measured, and why.
    pub missing: Vec<(String, String)>,
}

impl Coverage {
    /// Takes the share of the scenario with this name; `error` is why it could not be run, if so.
    pub fn add_scenario(&mut self, id: &str, coverage: &[Measured], error: Option<&ScenarioError>) {
        if coverage.is_empty() {
            let why = match error {
                Some(error) => error.message().lines().next().unwrap_or_default(),
                None => "its candidate was not loaded",
            };
            self.missing.push((id.to_owned(), why.to_owned()));
        }
        for measured in coverage {
            self.add(measured.clone());
        }
    }

    /// Adds what was covered of a candidate, to what is known of the very same one.
    pub fn add(&mut self, measured: Measured) {
        let same = |known: &&mut Measured| {
            known.candidate == measured.candidate && known.sources == measured.sources
        };
        match self.rulesets.iter_mut().find(same) {
            Some(known) => known.add(measured),
            None => self.rulesets.push(measured),
        }
    }

    /// Of all candidates together.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::of(self.rulesets.iter().flat_map(|ruleset| &ruleset.items))
    }
}

/// How many rules and policies there are, and how many of them were met at least once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All that count.
    pub items: usize,
    /// See [`Hits`].
    pub evaluated: usize,
    /// See [`Hits`].
    pub matched: usize,
    /// See [`Hits`].
    pub decided: usize,
}

impl Totals {
    /// Of these.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a (Item, Hits)>) -> Self {
        let mut totals = Self::default();
        for (_, hits) in items.into_iter().filter(|(item, _)| item.apart.is_none()) {
            totals.items += 1;
            totals.evaluated += usize::from(hits.evaluated > 0);
            totals.matched += usize::from(hits.matched > 0);
            totals.decided += usize::from(hits.decided > 0);
        }
        totals
    }

    /// How much of it was matched, from 0 to 100. Where there is nothing to cover, all of it is.
    #[must_use]
    pub fn percent(self) -> f64 {
        match self.items {
            0 => 100.0,
            items => self.matched as f64 * 100.0 / items as f64,
        }
    }

    /// Whether this much was matched.
    #[must_use]
    pub fn reaches(self, percent: f64) -> bool {
        self.percent() >= percent
    }

    /// How many more have to be matched for this.
    #[must_use]
    pub fn lacks(self, percent: f64) -> usize {
        let enough = |more: &usize| {
            let matched = self.matched + more;
            Self { matched, ..self }.reaches(percent)
        };
        (0..=self.items - self.matched)
            .find(enough)
            .unwrap_or_default()
    }

    /// The percentage, never better than it is: `99.9 %` is not all.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:.1} %", (self.percent() * 10.0).floor() / 10.0)
    }
}

impl Item {
    /// As it is listed; a policy with its chain.
    #[must_use]
    pub fn words(&self) -> String {
        match self.handle {
            Some(_) => format!("`{}`", self.text),
            None => format!("policy {} of {}", self.text, self.chain),
        }
    }

    /// File and line; chain and handle where they are not known.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.line(), self.handle) {
            (Some((file, line)), _) => format!("{}:{line}", file.display()),
            (None, Some(handle)) => format!("{}, {} {handle}", self.chain, self.chain.number()),
            (None, None) => self.chain.to_string(),
        }
    }

    /// File and line, where they are known.
    #[must_use]
    pub fn line(&self) -> Option<(&Path, usize)> {
        match &self.origin {
            Some(Origin::Known(line)) => Some((&line.file, line.line)),
            Some(Origin::Unknown(_)) | None => None,
        }
    }

    /// Why its line is not known, if so.
    #[must_use]
    pub fn uncertain(&self) -> Option<&str> {
        match &self.origin {
            Some(Origin::Known(_)) => None,
            Some(Origin::Unknown(why)) => Some(why),
            None => Some("nobody has looked"),
        }
    }
}

/// What makes a rule or a policy the same one in another lab: handles may differ there, and for a line of
/// iptables the back end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Identity<'a> {
    chain: (&'a str, &'a str, &'a str),
    is_policy: bool,
    apart: Option<&'a Apart>,
    place: Place<'a>,
    /// Which of several.
    nth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place<'a> {
    /// File, line and column, and where the file was included.
    Line(&'a Path, usize, usize, &'a [(PathBuf, usize)]),
    Text(&'a str),
}

fn identities(items: &[(Item, Hits)]) -> Vec<Identity<'_>> {
    let mut seen: BTreeMap<Identity<'_>, usize> = BTreeMap::new();
    items
        .iter()
        .map(|(item, _)| {
            let Chain {
                family,
                table,
                name,
            } = &item.chain;
            let (family, place) = match &item.origin {
                Some(Origin::Known(line)) => (
                    family.trim_start_matches(LEGACY),
                    Place::Line(&line.file, line.line, line.column, &line.included_from),
                ),
                Some(Origin::Unknown(_)) | None => (family.as_str(), Place::Text(&item.text)),
            };
            let first = Identity {
                chain: (family, table, name),
                is_policy: item.handle.is_none(),
                apart: item.apart.as_ref(),
                place,
                nth: 0,
            };
            let count = seen.entry(first.clone()).or_default();
            let nth = *count;
            *count += 1;
            Identity { nth, ..first }
        })
        .collect()
}

/// Which item of `others` each of `items` is.
pub(crate) fn matching(items: &[(Item, Hits)], others: &[(Item, Hits)]) -> Vec<Option<usize>> {
    let others = identities(others);
    let others: HashMap<&Identity<'_>, usize> = others
        .iter()
        .enumerate()
        .map(|(index, identity)| (identity, index))
        .collect();
    let items = identities(items);
    items
        .iter()
        .map(|identity| others.get(identity).copied())
        .collect()
}

impl Measured {
    /// The rules and policies that are possibly dead, each with what ends the packets before it.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let dead = self.searched.iter().filter_map(|(index, searched)| {
            let Searched::Dead { packets, shadow } = searched else {
                return None;
            };
            let (item, _) = &self.items[*index];
            let by = match shadow {
                Some(Shadow::Item(shadow)) => {
                    let (shadow, _) = &self.items[*shadow];
                    format!("shadowed by {}  {}", shadow.place(), shadow.words())
                }
                Some(Shadow::Kernel(reason)) => format!("shadowed by the kernel: {reason}"),
                None => "out of sight".to_owned(),
            };
            let noun = if *packets == 1 { "packet" } else { "packets" };
            Some(Finding {
                id: "coverage/possibly-dead".to_owned(),
                level: Level::Warning,
                place: item.origin.as_ref().into(),
                sentence: format!(
                    "{}: {packets} {noun} meant for it ended before it, {by}",
                    item.words()
                ),
                witnesses: Vec::new(),
                remedies: Vec::new(),
            })
        });
        dead.collect()
    }

    /// Adds what another scenario's packets met in the same candidate.
    pub(crate) fn add(&mut self, other: Self) {
        let mut more = Vec::new();
        let mut closed = Vec::new();
        let mut placed = Vec::new();
        let place = matching(&other.items, &self.items);
        for (index, ((item, hits), mine)) in other.items.into_iter().zip(place).enumerate() {
            placed.push(mine.unwrap_or(self.items.len() + more.len()));
            match mine {
                Some(mine) => self.items[mine].1.add(hits),
                None => {
                    if other.closed.contains(&index) {
                        closed.push(self.items.len() + more.len());
                    }
                    more.push((item, hits));
                }
            }
        }
        self.items.append(&mut more);
        self.closed.append(&mut closed);
        self.packets += other.packets;
        self.bases.extend(other.bases);
        for mut elements in other.elements {
            let item = placed[elements.item];
            elements.item = item;
            let chain = &self.items[item].0.chain;
            let same = |known: &&mut Elements| match &known.name {
                Some(name) => {
                    let of = &self.items[known.item].0.chain;
                    Some(name) == elements.name.as_ref()
                        && (&of.family, &of.table) == (&chain.family, &chain.table)
                }
                None => {
                    (known.item, known.nth, &known.name) == (item, elements.nth, &elements.name)
                }
            };
            match self.elements.iter_mut().find(same) {
                Some(known) => known.add(elements),
                None => self.elements.push(elements),
            }
        }
        self.sets.extend(other.sets);
        for scenario in other.scenarios {
            if !self.scenarios.contains(&scenario) {
                self.scenarios.push(scenario);
            }
        }
    }

    /// The files that its own rules are written in, by name.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let own = self.items.iter().filter(|(item, _)| item.apart.is_none());
        let mut files: Vec<&Path> = own.filter_map(|(item, _)| Some(item.line()?.0)).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// What is written in a file, by line; what has no known line is in none.
    pub fn of_file(&self, file: Option<&Path>) -> impl Iterator<Item = &(Item, Hits)> {
        self.items
            .iter()
            .filter(move |(item, _)| item.apart.is_none() && item.line().map(|(of, _)| of) == file)
    }
}

impl Hits {
    fn add(&mut self, more: Self) {
        self.evaluated += more.evaluated;
        self.matched += more.matched;
        self.decided += more.decided;
    }
}

/// A rule or a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it stands; the chain that jumps there for a rule of an inline chain.
    pub chain: Chain,
    /// The kernel's number of a rule; `None` for the policy of the chain.
    pub handle: Option<u64>,
    /// The rule as it is listed, or the word of the policy.
    pub text: String,
    /// Where it was written; `None` if nobody has looked.
    pub origin: Option<Origin>,
    /// The rule that leads to its inline chain, if it is in one.
    pub within: Option<String>,
    /// Why it does not count, if it is none of the candidate's own.
    pub apart: Option<Apart>,
}

impl Item {
    /// Whether there may be packets that come to a rule and do not match it.
    #[must_use]
    pub fn has_condition(&self) -> bool {
        /// What a rule does to every packet, and how many words of it follow.
        const ALWAYS: [(&str, usize); 11] = [
            ("accept", 0),
            ("drop", 0),
            ("return", 0),
            ("continue", 0),
            ("masquerade", 0),
            ("counter", 4),
            ("jump", 1),
            ("goto", 1),
            ("-j", usize::MAX),
            ("-g", usize::MAX),
            ("reject", usize::MAX),
        ];
        if self.handle.is_none() {
            return false;
        }
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let mut words = words.as_slice();
        while let Some((first, rest)) = words.split_first() {
            if matches!(*first, "comment" | "log") {
                // What a text between quotes says is anybody's guess.
                return *first == "log";
            }
            let Some((_, more)) = ALWAYS.iter().find(|(word, _)| word == first) else {
                return true;
            };
            let more = match *first {
                "counter" if rest.first() != Some(&"packets") => 0,
                _ => *more,
            };
            words = rest.get(more..).unwrap_or_default();
        }
        false
    }
}

/// Whose a rule is that is not written in the candidate's own files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Apart {
    /// Another layer's, by its name.
    Layer(String),
    /// The program's that loads the candidate, in this file of its own or without one.
    Program(Option<String>),
}
