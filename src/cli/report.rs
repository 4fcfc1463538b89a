//! `firedrill report`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{complain, test};
use crate::{
    record::exit::Exit,
    report::{Wanted, merge},
};

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make one report of the JSON reports of all shards of a run, and end as that run would have.
    Merge(MergeArguments),
}

#[derive(Debug, Args)]
struct MergeArguments {
    /// The JSON reports.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write a report: terminal, json or junit, to standard output or to a file. May be repeated.
    #[arg(long = "report", value_name = "FORMAT[=FILE]")]
    reports: Vec<Wanted>,
}

pub(super) fn report(arguments: &ReportArguments, color: bool) -> Exit {
    match &arguments.what {
        What::Merge(arguments) => merge(arguments, color),
    }
}

fn merge(arguments: &MergeArguments, color: bool) -> Exit {
    let merged = match merge::files(&arguments.files) {
        Ok(merged) => merged,
        Err(why) => {
            complain(&format!("error: {why}"));
            return Exit::BadInput;
        }
    };
    let reporters = test::reporters(&arguments.reports, color, false, &merged.versions);
    let mut reporters = match reporters {
        Ok(reporters) => reporters,
        Err(exit) => return exit,
    };
    let mut events = merged.events.iter();
    let unwritten = events.find_map(|event| test::report(&mut reporters, None, event).err());
    test::ended(merged.summary.exit(), unwritten)
}
