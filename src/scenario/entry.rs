//! Scenarios that wait for their turn: each is checked at the start, forgotten, and read again when its turn
//! comes. So a run of thousands needs no more memory than one of a few.

use std::{path::PathBuf, sync::Arc};

use crate::{
    dialect::Replacement,
    scenario::{
        Sandbox, Scenario, candidates, format::words::quote, load, text::source::Fingerprint,
    },
};

/// A scenario that was found good.
#[derive(Debug, Clone)]
pub struct Entry {
    /// [`Scenario::id`].
    pub id: String,
    /// [`Scenario::stem`].
    pub stem: String,
    /// [`Scenario::file`].
    pub file: PathBuf,
    /// [`Scenario::sandbox`].
    pub sandbox: Sandbox,
    /// How many [`Scenario::cases`] it has.
    pub cases: usize,
    /// Of the texts that it was read from.
    fingerprint: Fingerprint,
    /// What the command line puts in the place of its candidates.
    replacements: Arc<[Replacement]>,
}

impl Entry {
    pub(super) fn new(
        scenario: &Scenario,
        fingerprint: Fingerprint,
        replacements: &Arc<[Replacement]>,
    ) -> Self {
        Self {
            id: scenario.id.clone(),
            stem: scenario.stem().to_owned(),
            file: scenario.file.clone(),
            sandbox: scenario.sandbox.clone(),
            cases: scenario.cases.len(),
            fingerprint,
            replacements: Arc::clone(replacements),
        }
    }

    /// The scenario.
    ///
    /// # Errors
    ///
    /// In words, if it is no longer what was found good.
    pub fn read(&self) -> Result<Scenario, String> {
        let read = load::read_file(&self.file, &self.stem);
        let (scenarios, fingerprint) = read.map_err(|problems| problems.render(false))?;
        let of_file = candidates::replace(scenarios, &self.replacements)?;
        let mut of_file = of_file.into_iter();
        let same = |scenario: &Scenario| {
            scenario.cases.len() == self.cases && fingerprint == self.fingerprint
        };
        of_file
            .find(|scenario| scenario.id == self.id)
            .filter(same)
            .ok_or_else(|| {
                let file = quote(&self.file.to_string_lossy());
                format!("{file} was changed while the run was under way\n(run it again)")
            })
    }
}
