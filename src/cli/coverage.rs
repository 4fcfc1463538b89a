//! `--coverage` and `--min-coverage` of `firedrill test`.

use std::{fs::File, io};

use super::{TestArguments, complain, say};
use crate::{
    coverage::Coverage,
    record::exit::Exit,
    report::{
        self,
        coverage::{Format, Wanted, summary},
    },
};

/// The coverage of a run: what it is, and where it goes.
pub(super) struct Output {
    pub(super) found: Coverage,
    wanted: Vec<(Wanted, Option<File>)>,
    least: Option<f64>,
    /// Standard output is another report's.
    elsewhere: bool,
    color: bool,
}

impl Output {
    /// If somebody asks.
    pub(super) fn open(arguments: &TestArguments, color: bool) -> Result<Option<Self>, Exit> {
        let suggest = arguments.coverage_suggest;
        if arguments.coverage.is_empty() && arguments.min_coverage.is_none() && !suggest {
            return Ok(None);
        }
        // Suggestions are for somebody.
        let terminal = Wanted {
            format: Format::Terminal,
            file: None,
        };
        let usual = (suggest && arguments.coverage.is_empty()).then_some(&terminal);
        let wanted = arguments.coverage.iter().chain(usual);
        let open = |wanted: &Wanted| match wanted.create() {
            Ok(file) => Ok((wanted.clone(), file)),
            Err(error) => {
                complain(&format!(
                    "error: could not open the coverage {wanted}: {error}"
                ));
                Err(Exit::BadInput)
            }
        };
        Ok(Some(Self {
            found: Coverage::default(),
            wanted: wanted.map(open).collect::<Result<_, _>>()?,
            least: arguments.min_coverage,
            elsewhere: (arguments.reports.iter())
                .any(|report| report.file.is_none() && report.format != report::Format::Terminal),
            color,
        }))
    }

    /// Writes it down; whether it is enough.
    pub(super) fn write(self) -> io::Result<bool> {
        let totals = self.found.totals();
        for (wanted, file) in &self.wanted {
            match file {
                Some(file) => wanted.write(&self.found, file, false)?,
                None if self.elsewhere => wanted.write(&self.found, io::stderr(), false)?,
                None => wanted.write(&self.found, io::stdout(), self.color)?,
            }
        }
        let missed = self.least.filter(|least| !totals.reaches(*least));
        let mut line = summary(totals);
        if let Some(least) = missed {
            line += &format!(
                "; {least} % were asked for, which takes {} more",
                totals.lacks(least)
            );
            complain(&line);
        } else if self.elsewhere {
            complain(&line);
        } else {
            say(&line);
        }
        Ok(missed.is_none())
    }
}
