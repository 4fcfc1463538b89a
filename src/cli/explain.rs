//! `firedrill explain`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use firedrill_harness::protocol::Blind;

use super::{Color, Where, complain, runtime, use_color};
use crate::{
    analysis::explain::{self, AdHoc, AdHocError, AskedInterface, Explanation},
    dialect::{self, Config, Dialect, Replacement},
    record::exit::Exit,
    report::{self, Format, Wanted},
    run::options::Options,
    scenario::{self, Family, Problems, Question, Scenario},
};

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The scenario in whose world the packet is sent, and the packet: `FROM -> TO SERVICE`, where the ends are
    /// hosts, `firewall`, or addresses (`198.51.100.7`, or `198.51.100.7@eth1` for where it comes in). Several
    /// packets are the steps of a conversation.
    #[arg(value_name = "SCENARIO> <PACKET", required = true)]
    asked: Vec<String>,
    /// Ask about this configuration instead of the scenario's own, or about the one of its candidates that has
    /// this name.
    #[arg(long, value_name = "[DIALECT:]FILE")]
    candidate: Option<Replacement>,
    #[command(flatten)]
    alone: Alone,
    /// An interface of the world that is made up around a configuration without a scenario:
    /// `eth0=192.0.2.10/24,2001:db8::10/64`. May be repeated.
    #[arg(long = "interface", value_name = "NAME[=ADDRESS/PREFIX,…]")]
    interfaces: Vec<AskedInterface>,
    /// Ask in one address family only: ipv4 or ipv6.
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    family: Option<Family>,
    /// Write the answer as terminal or json, to standard output or to a file.
    #[arg(long, value_name = "FORMAT[=FILE]")]
    report: Option<Wanted>,
    #[command(flatten)]
    place: Where,
    /// Take one of the harness's senses away, to see that nothing is told then.
    #[arg(long, value_name = "SENSE", hide = true)]
    blind: Option<Blind>,
}

/// A configuration without a scenario, by an option for each dialect: `--nftables FILE`.
#[derive(Debug)]
struct Alone(Option<(&'static Dialect, String)>);

impl Args for Alone {
    fn augment_args(command: Command) -> Command {
        dialect::ALL.iter().fold(command, |command, dialect| {
            let others = dialect::ALL.iter().map(|other| other.key);
            let others: Vec<&str> = others.filter(|other| *other != dialect.key).collect();
            let argument = Arg::new(dialect.key)
                .long(dialect.key)
                .value_name("FILE")
                .conflicts_with_all(others)
                .help(format!(
                    "Ask about this configuration of {} alone, without a scenario",
                    dialect.key
                ));
            command.arg(argument)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Alone {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut dialects = dialect::ALL.iter();
        Ok(Self(dialects.find_map(|dialect| {
            let value = matches.get_one::<String>(dialect.key)?;
            Some((*dialect, value.clone()))
        })))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn family(word: &str) -> Result<Family, String> {
    match word {
        "ipv4" => Ok(Family::Ipv4),
        "ipv6" => Ok(Family::Ipv6),
        _ => Err("it is ipv4 or ipv6".to_owned()),
    }
}

pub(super) fn explain(arguments: &ExplainArguments, color: bool, wanted_color: Color) -> Exit {
    let scenario = match asked(arguments) {
        Ok(scenario) => scenario,
        Err(Refused::Words(why)) => {
            complain(&format!("error: {why}"));
            return Exit::BadInput;
        }
        Err(Refused::Problems(problems)) => {
            complain(&problems.render(use_color(wanted_color, &io::stderr())));
            return Exit::BadInput;
        }
    };
    let launchers = Arc::new(arguments.place.launchers());
    let options = Options {
        jobs: 1,
        blind: arguments.blind,
        launchers: Arc::clone(&launchers),
        ..Options::default()
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let explanation = runtime.block_on(async {
        let mut progress = |line: &str| complain(line);
        launchers.prepare([&scenario.sandbox], &mut progress).await;
        let explanation = explain::explain(scenario, &options).await;
        launchers.close();
        explanation
    });
    // The sandbox ends on its own.
    runtime.shutdown_background();
    if let Some(error) = &explanation.error {
        complain(&format!("error: {}", error.message()));
    }
    match write(arguments.report.as_ref(), &explanation, color) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("error: could not write the answer: {error}"));
            Exit::BadInput
        }
        Ok(()) | Err(_) => explanation.exit(),
    }
}

/// Why a question cannot be asked.
enum Refused {
    Words(String),
    Problems(Problems),
}

fn asked(arguments: &ExplainArguments) -> Result<Scenario, Refused> {
    let words = |why: &str| Refused::Words(why.to_owned());
    if let Some(Wanted {
        format: Format::JUnit,
        ..
    }) = arguments.report
    {
        return Err(words(
            "an answer is written as terminal or json, not as junit",
        ));
    }
    let (first, rest) = arguments
        .asked
        .split_first()
        .unwrap_or((const { &String::new() }, &[]));
    let ask = |packets| Question {
        packets,
        family: arguments.family,
    };
    if let Some((dialect, value)) = &arguments.alone.0 {
        if arguments.candidate.is_some() {
            let why = format!(
                "--candidate is for scenarios; --{} names the configuration already",
                dialect.key
            );
            return Err(Refused::Words(why));
        }
        let world = AdHoc {
            candidate: Config::parse(dialect, value).map_err(Refused::Words)?,
            interfaces: arguments.interfaces.clone(),
        };
        return world
            .ask(ask(&arguments.asked))
            .map_err(|error| match error {
                AdHocError::Candidate(why) => Refused::Words(why),
                AdHocError::Question(problems) => Refused::Problems(problems),
            });
    }
    if !arguments.interfaces.is_empty() {
        return Err(words(
            "--interface describes the world around a configuration without a scenario (--nftables FILE); a \
             scenario has its own interfaces",
        ));
    }
    if first.contains("->") {
        return Err(words(
            "there is no scenario before the packet\n(write `firedrill explain SCENARIO \"FROM -> TO SERVICE\"`, or name \
             a configuration alone: `--nftables FILE`)",
        ));
    }
    if rest.is_empty() {
        return Err(words(
            "there is no packet behind the scenario\n(write `firedrill explain SCENARIO \"internet -> firewall tcp/443\"`)",
        ));
    }
    let extension = Path::new(first).extension();
    let is_scenario = extension.is_some_and(|extension| extension == "yaml" || extension == "yml");
    if Path::new(first).is_file() && !is_scenario {
        return Err(Refused::Words(format!(
            "{first} is no scenario, which is a file `*.yaml`\n(to ask about a configuration alone, name its dialect: \
             `--nftables {first}`, `--iptables {first}`, …)"
        )));
    }
    let scenarios = scenario::ask(Path::new(first), ask(rest)).map_err(Refused::Problems)?;
    let scenarios = scenario::replace(scenarios, arguments.candidate.as_slice());
    let mut scenarios = scenarios.map_err(Refused::Words)?;
    if scenarios.len() > 1 {
        let names = scenarios.iter().filter_map(|one| one.against.as_deref());
        let names: Vec<&str> = names.collect();
        return Err(Refused::Words(format!(
            "{first} has several candidates, and a question is about one\n(choose it with `--candidate NAME`: {})",
            names.join(", ")
        )));
    }
    scenarios
        .pop()
        .ok_or_else(|| words("there is nothing to ask about"))
}

fn write(wanted: Option<&Wanted>, explanation: &Explanation, color: bool) -> io::Result<()> {
    let file = wanted.and_then(|wanted| wanted.file.as_ref());
    let mut out: Box<dyn Write> = match file {
        Some(file) => {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            Box::new(BufWriter::new(File::create(file)?))
        }
        None => Box::new(io::stdout().lock()),
    };
    match wanted.map(|wanted| wanted.format) {
        Some(Format::Json) => report::explain::json(explanation, &mut out),
        Some(Format::Terminal | Format::JUnit) | None => {
            report::explain::terminal(explanation, color && file.is_none(), &mut out)
        }
    }
}
