//! `--coverage` and `--min-coverage` of `firedrill test`.

use std::io::{self, Write};

use super::{TestArguments, complain, say};
use crate::{
    record::{coverage::Totals, exit::Exit},
    report::{
        self, Reporter,
        coverage::{Format, Wanted, summary},
    },
};

/// Whether the run is to find out what its packets cover.
pub(super) fn is_requested(arguments: &TestArguments) -> bool {
    !arguments.coverage.is_empty() || arguments.min_coverage.is_some() || arguments.coverage_suggest
}

/// Whether another report has standard output, so that coverage goes to standard error.
fn stdout_is_taken(arguments: &TestArguments) -> bool {
    arguments
        .reports
        .iter()
        .any(|report| report.file.is_none() && report.format != report::Format::Terminal)
}

/// Opens the coverage reports; none if no coverage option is given.
pub(super) fn reporters(
    arguments: &TestArguments,
    color: bool,
) -> Result<Vec<Box<dyn Reporter>>, Exit> {
    let terminal = Wanted {
        format: Format::Terminal,
        file: None,
    };
    // Suggestions without a report of coverage would be shown nowhere.
    let is_implied = arguments.coverage_suggest && arguments.coverage.is_empty();
    let implied = is_implied.then_some(&terminal);
    let open = |wanted: &Wanted| {
        let (standard, color): (Box<dyn Write>, bool) = match stdout_is_taken(arguments) {
            true => (Box::new(io::stderr()), false),
            false => (Box::new(io::stdout()), color),
        };
        wanted.open(standard, color).map_err(|error| {
            complain(&format!(
                "error: could not open the coverage {wanted}: {error}"
            ));
            Exit::BadInput
        })
    };
    arguments.coverage.iter().chain(implied).map(open).collect()
}

/// Says how much was covered, and whether it is enough.
pub(super) fn is_enough(totals: Totals, arguments: &TestArguments) -> bool {
    let missed = arguments
        .min_coverage
        .filter(|least| !totals.reaches(*least));
    let mut line = summary(totals);
    if let Some(least) = missed {
        line += &format!(
            "; {least} % were asked for, which takes {} more",
            totals.lacks(least)
        );
        complain(&line);
    } else if stdout_is_taken(arguments) {
        complain(&line);
    } else {
        say(&line);
    }
    missed.is_none()
}
