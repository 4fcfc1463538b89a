//! The command line: arguments in, exit code out.

mod coverage;
mod doctor;
mod explain;
#[cfg_attr(not(feature = "docker"), path = "without_containers.rs")]
mod images;
pub mod libtest;
mod report;
mod shell;
mod test;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use firedrill_harness::protocol::Blind;

use crate::{
    dialect::Replacement,
    record::{exit::Exit, shard::Shard},
    report::{Wanted, coverage::Wanted as WantedCoverage, plural},
    run::launch::{Launcher, Launchers},
    scenario::{self, ContainerImage, Entry, Problems, Sandbox, Scenario},
};

/// Drills a firewall before it is deployed: real packets, through the real kernel, in a disposable
/// sandbox.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all expectations hold, 1 an expectation failed, \
                          2 bad usage or input, 3 the lab could not tell.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and compare every verdict with what they expect.
    Test(TestArguments),
    /// Say what happens to a packet, and which rule in which line decides.
    Explain(explain::ExplainArguments),
    /// Validate scenarios without running them.
    Check(Paths),
    /// Say what this machine can run, what is missing, and what to do about it.
    Doctor(Where),
    /// Open a shell inside a scenario's lab, on the firewall, with the candidate loaded.
    Shell(ShellArguments),
    /// The images of containers: list, build and remove them.
    Images(images::ImagesArguments),
    /// Remove what killed runs in containers left behind.
    Clean,
    /// What to do with JSON reports: merge those of shards.
    Report(report::ReportArguments),
    /// Print the JSON Schema of the scenario format, for editors.
    Schema,
}

#[derive(Debug, Args)]
struct Paths {
    /// Scenario files, or folders of them.
    #[arg(value_name = "PATH", default_value = "scenarios")]
    paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct TestArguments {
    #[command(flatten)]
    paths: Paths,
    /// Only cases whose name contains this text or matches this regular expression.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print the names of the selected cases, and run nothing.
    #[arg(long)]
    list: bool,
    /// Write a report: terminal, json or junit, to standard output or to a file. May be repeated.
    #[arg(long = "report", value_name = "FORMAT[=FILE]")]
    reports: Vec<Wanted>,
    /// Run the scenarios against this configuration instead of their own; in their own dialect unless
    /// one is named (`iptables:v4=FILE,v6=FILE`). With a name, against both, and compare them; may be
    /// repeated.
    #[arg(long = "candidate", value_name = "[NAME=][DIALECT:]FILE")]
    candidates: Vec<Replacement>,
    /// A scenario that is skipped because a program is not installed is one that could not be told.
    #[arg(long)]
    deny_skips: bool,
    /// How many labs may stand at the same time [default: one per processor].
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Probe every port of a sweep one by one, with a full trace: slow, and to the same verdicts.
    #[arg(long)]
    trace_sweeps: bool,
    /// Run only the K-th of N parts, from 1; which scenario is in which is decided by its name.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Say which rules and policies packets have met; also into a file, in the format that its name tells:
    /// lcov (.info), cobertura (.xml), html, json, txt. May be repeated.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "terminal"
    )]
    coverage: Vec<WantedCoverage>,
    /// Fail if fewer rules and policies than this were matched by a packet.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_coverage: Option<f64>,
    /// Look for a test of every rule that nothing matched, by really sending packets; name those that may be
    /// dead.
    #[arg(long)]
    coverage_suggest: bool,
    /// Show the way of every packet that did not pass through hooks, chains and rules.
    #[arg(long, short)]
    verbose: bool,
    /// Keep the evidence of each scenario in this folder, to look at or to report a bug with.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
    /// Take one of the harness's senses away, to see that nothing passes then.
    #[arg(long, value_name = "SENSE", hide = true)]
    blind: Option<Blind>,
}

/// Where labs stand.
#[derive(Debug, Args)]
struct Where {
    /// Where the labs stand: auto (what each scenario asks for, else this machine), embedded (this
    /// machine), docker (containers).
    #[arg(long, value_name = "LAUNCHER", default_value = "auto")]
    launcher: Launcher,
    /// The image for containers of scenarios that name none, or a folder with a Dockerfile.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

impl Where {
    fn launchers(&self) -> Launchers {
        let image = self.image.as_ref().map(|image| {
            let path = PathBuf::from(image);
            // A name of an image may look like a path, too; what is there counts.
            Sandbox::Container(if path.join("Dockerfile").is_file() {
                ContainerImage::Dockerfile { path, base: None }
            } else {
                ContainerImage::Named(image.clone())
            })
        });
        Launchers::new(self.launcher, image)
    }
}

#[derive(Debug, Args)]
struct ShellArguments {
    /// The scenario.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Load this configuration instead of the scenario's own, or the one of its candidates that has this
    /// name.
    #[arg(long, value_name = "[DIALECT:]FILE|NAME")]
    candidate: Option<Replacement>,
    /// Run this instead of an interactive shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// A number from 0 to 100.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().parse::<f64>().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| "it is a number from 0 to 100".to_owned())
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> Exit {
    let cli = Cli::parse();
    let color = use_color(cli.color, &io::stdout());
    match cli.command {
        Command::Test(arguments) => test::test(&arguments, color, cli.color),
        Command::Explain(arguments) => explain::explain(&arguments, color, cli.color),
        Command::Check(paths) => check(&paths.paths, cli.color),
        Command::Doctor(place) => doctor::doctor(&place, color),
        Command::Shell(arguments) => shell::shell(&arguments, cli.color),
        Command::Images(arguments) => images::images(&arguments),
        Command::Clean => images::clean(),
        Command::Report(arguments) => report::report(&arguments, color),
        Command::Schema => schema(),
    }
}

fn use_color(wanted: Color, stream: &impl anstream::stream::RawStream) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        // Looks at NO_COLOR, CLICOLOR, TERM and whether the stream is a terminal.
        Color::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

/// Reads scenarios; what is wrong with them goes to standard error.
fn load(paths: &[PathBuf], color: Color) -> Result<Vec<Scenario>, Exit> {
    scenario::load(paths).map_err(|problems| refused(&problems, color))
}

fn refused(problems: &Problems, color: Color) -> Exit {
    complain(&problems.render(use_color(color, &io::stderr())));
    Exit::BadInput
}

fn check(paths: &[PathBuf], color: Color) -> Exit {
    let (mut cases, mut scenarios) = (0, 0);
    let count = |entry: Entry, _| {
        cases += entry.cases;
        scenarios += 1;
    };
    match scenario::each(paths, &[], count) {
        Ok(()) => {
            say(&format!(
                "valid: {} of {}",
                plural(cases, "case"),
                plural(scenarios, "scenario")
            ));
            Exit::Success
        }
        Err(problems) => refused(&problems, color),
    }
}

fn schema() -> Exit {
    match serde_json::to_string_pretty(&scenario::json_schema()) {
        Ok(text) => {
            say(&text);
            Exit::Success
        }
        Err(error) => {
            complain(&format!("error: could not write the schema: {error}"));
            Exit::BadInput
        }
    }
}

/// Writes a line to standard output. A reader that went away is no error.
fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes a line to standard error.
fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

fn is_interactive() -> bool {
    io::stderr().is_terminal() && io::stdout().is_terminal()
}

/// A runtime on this thread: the work is done by other processes.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            complain(&format!("error: could not start: {error}"));
            Exit::Inconclusive
        })
}
