//! The agent: the program inside the sandbox. It reads a [`Plan`], builds the lab, loads the
//! candidate, sends the probes, and streams [`Record`]s back. It is never told what is expected.
//!
//! It is this very program, started again with [`ARGUMENT`]: whoever embeds the harness calls
//! [`run_if_asked`] first thing in `main`.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    os::fd::OwnedFd,
    time::Instant,
};

use nix::{sys::utsname::uname, unistd::setsid};

use crate::{
    command,
    error::Doing,
    lab::Lab,
    netns::NetNs,
    nftnetlink::{NftSocket, TraceSocket},
    prober::{Prober, stay_on_this_cpu},
    protocol::{
        Blind, Broken, CandidateSpec, Command, CommandFailure, Loaded, OUTPUT_LIMIT, Plan, Probe,
        Record, Task, VERSION, micros,
    },
    root,
    sandbox::{self, Sandbox},
    sys,
};

/// The first argument that makes this program the agent.
pub const ARGUMENT: &str = "__firedrill-agent";

/// The descriptor of the control channel, a stream socket: plan in, records out.
pub const CONTROL_FD: i32 = 3;

/// The longest plan that is read, in bytes: hundreds of thousands of probes.
const PLAN_LIMIT: u64 = 1 << 30;

/// The most that is read of a ruleset's listing, in bytes: a million rules.
const LISTING_LIMIT: usize = 256 << 20;

/// Asked for the trace; the kernel caps it at `net.core.rmem_max`.
const TRACE_BUFFER: usize = 16 << 20;

/// Becomes the agent and does not return if this process was started as one; returns at once
/// otherwise. To be called before anything else, while the process has a single thread.
pub fn run_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        std::process::exit(main());
    }
}

fn main() -> i32 {
    let started = Instant::now();
    // Without the channel there is nobody to tell.
    let Ok(control) = sys::inherited(CONTROL_FD) else {
        return 2;
    };
    // Whoever started the launcher may have left descriptors open for it; they end here.
    if sys::close_from(CONTROL_FD + 1).is_err() {
        return 2;
    }
    let Ok(writer) = control.try_clone() else {
        return 2;
    };
    let mut records = Records(BufWriter::new(File::from(writer)));
    match run(&control, &mut records, started) {
        Ok(()) => {}
        Err(broken) => records.send(&Record::Broken(broken)),
    }
    records.flush();
    0
}

/// The way out. A launcher that has gone away ends the agent by other means, so errors are not
/// looked at.
struct Records(BufWriter<File>);

impl Records {
    fn send(&mut self, record: &Record) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }

    fn flush(&mut self) {
        let _ = self.0.flush();
    }
}

fn run(control: &OwnedFd, records: &mut Records, started: Instant) -> Result<(), Broken> {
    let plan = read_plan(control)?;
    leave_terminal(&plan.task)?;
    let Sandbox { world, firewall } = sandbox::enter(control)?;
    let lab = Lab::build(&plan.lab, &world, firewall, 0)?;
    if let Err(refused) = lab.set_sysctls(&plan.lab, &world)? {
        records.send(&Record::Refused(refused));
        return Ok(());
    }
    records.send(&Record::Lab {
        kernel: kernel_release(),
        elapsed_us: micros(started),
    });
    let mut nft = lab.firewall.run(&world, NftSocket::open)?;
    let Some(mut loaded) = load(&plan, &lab, &world, &mut nft, records)? else {
        return Ok(());
    };
    match &plan.task {
        Task::Shell(shell) => {
            loaded.elapsed_us = micros(started);
            records.send(&Record::Loaded(loaded));
            records.flush();
            lab.firewall.enter()?;
            run_shell(shell)?;
        }
        Task::Probe(probes) => {
            let names: Vec<&str> = lab.links.iter().map(|link| link.name.as_str()).collect();
            nft.trace_everything(&names)?;
            loaded.generation_probed = nft.generation()?;
            loaded.elapsed_us = micros(started);
            records.send(&Record::Loaded(loaded));
            records.flush();
            return drill(&plan, probes, &lab, &world, records, || {
                Ok(Record::Done {
                    generation: nft.generation()?,
                    elapsed_us: micros(started),
                })
            });
        }
    }
    records.send(&Record::Done {
        generation: nft.generation()?,
        elapsed_us: micros(started),
    });
    Ok(())
}

/// Stages and loads the candidate; `None` if its own program refuses it, which is reported.
fn load(
    plan: &Plan,
    lab: &Lab,
    world: &NetNs,
    nft: &mut NftSocket,
    records: &mut Records,
) -> Result<Option<Loaded>, Broken> {
    stage(&plan.candidate)?;
    let generation_before = nft.generation()?;
    let output = match plan.blind {
        Some(Blind::CandidateNotLoaded) => String::new(),
        _ => match lab.firewall.run(world, || run_loaders(&plan.candidate))? {
            Ok(output) => output,
            Err(failure) => {
                records.send(&Record::LoadFailed(failure));
                return Ok(None);
            }
        },
    };
    let generation_after = nft.generation()?;
    Ok(Some(Loaded {
        generation_before,
        generation_after,
        generation_probed: generation_after,
        output,
        elapsed_us: 0,
    }))
}

/// The control run, then every probe; `done` makes the last record.
fn drill(
    plan: &Plan,
    probes: &[Probe],
    lab: &Lab,
    world: &NetNs,
    records: &mut Records,
    done: impl FnOnce() -> Result<Record, Broken>,
) -> Result<(), Broken> {
    // The listing is made by another process while the control run is under way.
    let list = || command::start(&plan.candidate.list);
    let listing = lab.firewall.run(world, list)?;
    let control_lab = Lab::build(&plan.lab, world, NetNs::fresh(world)?, 1)?;
    control_lab.set_sysctls(&plan.lab, world)??;
    stay_on_this_cpu()?;
    // Lives to the end: closing a packet socket waits for an RCU grace period, milliseconds each.
    let mut control = Prober::open(&control_lab, world, probes, None, plan.blind)?;
    let controls = control.control(probes)?;
    let listing = match listing {
        Ok(running) => running.finish(LISTING_LIMIT)?,
        Err(failure) => Err(failure),
    };
    match listing {
        Ok(output) => records.send(&Record::Ruleset {
            listing: String::from_utf8_lossy(&output.stdout).into_owned(),
        }),
        Err(failure) => return Err(Broken::new("list the loaded ruleset", describe(&failure))),
    }

    let buffer = match plan.blind {
        Some(Blind::TraceOverflow) => 0,
        _ => TRACE_BUFFER,
    };
    let deaf = plan.blind == Some(Blind::TraceDeaf);
    let listen = || TraceSocket::open(buffer, deaf);
    let trace = lab.firewall.run(world, listen)?;
    let mut prober = Prober::open(lab, world, probes, Some(trace), plan.blind)?;
    for (probe, control) in probes.iter().zip(controls) {
        let mut evidence = prober.probe(probe)?;
        evidence.control = control;
        records.send(&Record::Evidence(evidence));
    }
    records.send(&done()?);
    // The launcher has its answer before the sockets close.
    records.flush();
    Ok(())
}

fn kernel_release() -> String {
    uname().map_or_else(
        |_| String::new(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

fn read_plan(control: &OwnedFd) -> Result<Plan, Broken> {
    const DOING: &str = "read the plan";
    let channel = control.try_clone().doing(|| DOING)?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(File::from(channel), PLAN_LIMIT));
    reader.read_line(&mut line).doing(|| DOING)?;
    let plan: Plan = serde_json::from_str(&line).map_err(|error| Broken::new(DOING, error))?;
    if plan.version == VERSION {
        Ok(plan)
    } else {
        Err(Broken::new(
            DOING,
            format!(
                "it has version {}, this agent speaks version {VERSION}",
                plan.version
            ),
        ))
    }
}

/// Makes sure that the standard streams lead nowhere else. A silent agent needs no terminal, so its
/// candidate has none to read from; a shell's programs keep the user's for its job control.
fn leave_terminal(task: &Task) -> Result<(), Broken> {
    if let Task::Probe(_) = task {
        setsid().doing(|| "leave the terminal")?;
    }
    for stream in 0..CONTROL_FD {
        let leads = fs::metadata(format!("/proc/self/fd/{stream}"));
        if leads.is_ok_and(|metadata| metadata.is_dir()) {
            let doing = format!("start with descriptor {stream}");
            return Err(Broken::new(doing, "a folder is a way out of the sandbox"));
        }
    }
    Ok(())
}

/// Puts the candidate's files into the private root.
fn stage(candidate: &CandidateSpec) -> Result<(), Broken> {
    for folder in &candidate.replaced {
        root::cover_folder(folder)?;
    }
    for file in &candidate.files {
        root::write_file(&file.path, &file.content.0, file.mode)?;
    }
    Ok(())
}

/// Runs the candidate's commands; what they printed, or the one that failed.
fn run_loaders(candidate: &CandidateSpec) -> Result<Result<String, CommandFailure>, Broken> {
    let mut printed = String::new();
    for command in &candidate.load {
        let finished = match command::start(command)? {
            Ok(running) => running.finish(OUTPUT_LIMIT)?,
            Err(failure) => Err(failure),
        };
        match finished {
            Ok(output) => {
                printed.push_str(&String::from_utf8_lossy(&output.stdout));
                printed.push_str(&String::from_utf8_lossy(&output.stderr));
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Ok(Ok(printed))
}

fn run_shell(shell: &Command) -> Result<(), Broken> {
    let doing = || format!("run {}", shell.argv.join(" "));
    let Some(mut prepared) = command::prepare(shell) else {
        return Err(Broken::new("read the plan", "a command without a program"));
    };
    prepared.status().map(drop).doing(doing)
}

fn describe(failure: &CommandFailure) -> String {
    let said = failure.stderr.trim();
    if said.is_empty() {
        failure.to_string()
    } else {
        format!("{failure}: {said}")
    }
}
