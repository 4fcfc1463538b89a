//! Rule coverage: which rules and policies of a candidate real packets came to, matched, and were decided by.
//!
//! `gather` takes from each packet's trace what it met (`walk`) in the loaded ruleset (`inventory`). Here
//! the scenarios of a run are put together, by candidate. [`report`] writes it down.

pub(crate) mod gather;
pub(crate) mod inventory;
mod met;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::{Path, PathBuf},
};

pub use self::inventory::{Apart, Item};
pub use crate::record::elements::Elements;
use crate::{
    dialect::SourceFile,
    judge::verdict::{Chain, KernelReason, Origin},
    record::{Event, ScenarioRecord},
    ruleset::{
        legacy::LEGACY,
        listing::{self, Base},
    },
    scenario::{Action, Case},
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

/// Whether a run finds out which rules packets meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Covering {
    /// No.
    #[default]
    Off,
    /// All packets together.
    Totals,
    /// Also the elements of named sets, which takes a lab more.
    WithSets,
    /// Also what those of each case met: [`Measured::cases`].
    EachCase,
}

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
    /// Adds what another scenario's packets met in the same candidate.
    fn add(&mut self, other: Self) {
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

impl Coverage {
    /// Takes a scenario's share.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Finished(record) => self.scenario(record),
            Event::Started { .. } | Event::Compared(_) | Event::Ended(_) => {}
        }
    }

    fn scenario(&mut self, record: &ScenarioRecord) {
        if record.coverage.is_empty() {
            let why = match &record.error {
                Some(error) => error.message().lines().next().unwrap_or_default(),
                None => "its candidate was not loaded",
            };
            self.missing
                .push((record.scenario.id.clone(), why.to_owned()));
        }
        for measured in &record.coverage {
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

/// A case that looks at the elements of sets.
pub(crate) fn looking(case: &Case) -> Option<Case> {
    let mut case = case.clone();
    let step = case
        .steps
        .iter_mut()
        .find(|step| matches!(step.action, Action::Send(_)))?;
    let Action::Send(send) = &mut step.action else {
        return None;
    };
    send.connection = None;
    send.expect.also.in_set = vec![("-".to_owned(), "-".to_owned())];
    let step = step.clone();
    case.steps = vec![step];
    Some(case)
}

/// The elements of a listing, but of sets that rules fill.
pub(crate) fn sets(listing: &str) -> Sets {
    let named = listing::sets(listing).into_iter();
    let lasting = named.filter(|set| !set.dynamic);
    lasting
        .map(|set| {
            // Names of interfaces stand between quotes.
            let elements = set.elements.iter().map(|element| element.replace('"', ""));
            let elements = elements.zip(set.values.iter().cloned());
            (set.key(), elements.collect())
        })
        .collect()
}
