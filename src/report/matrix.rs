//! A matrix for people: sources and services downwards, destinations across, and only the rows and columns
//! in which something is not as expected.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    judge::verdict::Outcome,
    record::CaseRecord,
    scenario::{Family, Matrix},
};

/// Most rows of a table: who has more has another problem than a cell.
const MAX_ROWS: usize = 40;
/// Most marks that are explained.
const MAX_MARKS: usize = 20;

/// What of a matrix is shown.
pub(super) struct Table<'a> {
    /// How many cells there are.
    pub(super) cells: usize,
    /// How many of them did not pass.
    pub(super) bad: usize,
    /// The worst of their outcomes.
    pub(super) outcome: Outcome,
    /// The receivers that have a column.
    pub(super) columns: Vec<&'a str>,
    /// At most [`MAX_ROWS`].
    pub(super) rows: Vec<Row<'a>>,
    /// How many cells that did not pass are in further rows.
    pub(super) left_out: usize,
    /// What the marks of the cells mean, in the order of their numbers: at most [`MAX_MARKS`].
    pub(super) marks: Vec<Mark<'a>>,
    /// How many marks more there are.
    pub(super) marks_left_out: usize,
}

/// A sender with a service.
pub(super) struct Row<'a> {
    pub(super) from: &'a str,
    /// With the family where the families differ.
    pub(super) service: String,
    /// One for each column: the outcome and the text; `None` where there is no cell.
    pub(super) cells: Vec<Option<(Outcome, String)>>,
}

/// Why cells are not as expected.
pub(super) struct Mark<'a> {
    /// The first of the cells.
    pub(super) first: &'a CaseRecord,
    /// How many there are.
    pub(super) count: usize,
}

/// Sender, service and family.
type Key = (usize, usize, Family);

impl<'a> Table<'a> {
    /// The table of a matrix; there is a case that did not pass.
    pub(super) fn of(matrix: &'a Arc<Matrix>, cases: &'a [CaseRecord]) -> Self {
        let mut all: BTreeMap<Key, BTreeMap<usize, &CaseRecord>> = BTreeMap::new();
        let (mut cells, mut bad) = (0, Vec::new());
        for case in cases {
            let cell = case.case.cell.as_ref();
            let Some(cell) = cell.filter(|cell| Arc::ptr_eq(&cell.matrix, matrix)) else {
                continue;
            };
            let key = (cell.from, cell.service, case.case.family);
            all.entry(key).or_default().insert(cell.to, case);
            cells += 1;
            if case.outcome() != Outcome::Pass {
                bad.push((key, cell.to, case));
            }
        }
        let keys: BTreeSet<Key> = bad.iter().map(|(key, _, _)| *key).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let columns: BTreeSet<usize> = bad.iter().map(|(_, to, _)| *to).collect();
        let mut marks: Vec<(String, Mark<'a>)> = Vec::new();
        let mut rows: Vec<(Key, Row<'a>)> = Vec::new();
        let mut left_out = 0;
        for key in keys {
            let of_row = &all[&key];
            let text = |to: &usize| {
                let case = of_row.get(to)?;
                Some((case.outcome(), text(case, &mut marks)))
            };
            let cells: Vec<_> = columns.iter().map(text).collect();
            let (from, service, family) = key;
            let full = rows.len() == MAX_ROWS;
            let families = [Family::Ipv4, Family::Ipv6].iter();
            let both = families
                .filter(|family| all.contains_key(&(from, service, **family)))
                .count()
                > 1;
            match rows.last_mut() {
                // Both families in one row, where they are alike.
                Some(((before, same, _), row))
                    if (*before, *same) == (from, service) && row.cells == cells =>
                {
                    row.service.clone_from(&matrix.services[service]);
                }
                _ if full => {
                    let outcomes = cells.iter().flatten().map(|(outcome, _)| *outcome);
                    left_out += outcomes.filter(|outcome| *outcome != Outcome::Pass).count();
                }
                _ => rows.push((
                    key,
                    Row {
                        from: &matrix.from[from],
                        service: match both {
                            true => format!("{} [{family}]", matrix.services[service]),
                            false => matrix.services[service].clone(),
                        },
                        cells,
                    },
                )),
            }
        }
        let outcomes = bad.iter().map(|(_, _, case)| case.outcome());
        Self {
            cells,
            bad: bad.len(),
            outcome: outcomes
                .min_by_key(|outcome| severity(*outcome))
                .unwrap_or(Outcome::Pass),
            columns: columns.iter().map(|to| matrix.to[*to].as_str()).collect(),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            left_out,
            marks_left_out: marks.len().saturating_sub(MAX_MARKS),
            marks: marks
                .into_iter()
                .map(|(_, mark)| mark)
                .take(MAX_MARKS)
                .collect(),
        }
    }
}

/// What tells first.
fn severity(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Inconclusive => 1,
        Outcome::Skipped => 2,
        Outcome::Pass => 3,
    }
}

/// What a cell says: `drop`, or `accept, not drop [1]`.
fn text<'a>(case: &'a CaseRecord, marks: &mut Vec<(String, Mark<'a>)>) -> String {
    let step = case.telling();
    let judgement = &step.judgement;
    let word = judgement.verdict.word();
    if judgement.outcome == Outcome::Pass {
        return word.to_owned();
    }
    let why = format!("{:?} {:?}", judgement.reason, judgement.decider);
    let number = match marks.iter().position(|(known, _)| *known == why) {
        Some(number) => {
            marks[number].1.count += 1;
            number
        }
        None => {
            let mark = Mark {
                first: case,
                count: 1,
            };
            marks.push((why, mark));
            marks.len() - 1
        }
    };
    let expected = step.expected.split(' ').next().unwrap_or_default();
    // Of one word with another, the mark tells what was wrong.
    match expected == word {
        true => format!("{word} [{}]", number + 1),
        false => format!("{word}, not {expected} [{}]", number + 1),
    }
}
