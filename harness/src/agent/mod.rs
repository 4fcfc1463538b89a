//! The agent: the program inside the sandbox. It reads a [`Plan`], builds the lab, loads the
//! candidate, sends the probes, and streams [`Record`]s back. It is never told what is expected.
//!
//! It is this very program, started again with [`ARGUMENT`]: whoever embeds the harness calls
//! [`run_if_asked`] first thing in `main`. On the machine itself it serves one plan; in a container
//! (`container.rs`) one after the other.

pub(crate) mod container;
mod conversation;
mod drill;
mod sweep;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    os::fd::OwnedFd,
    time::Instant,
};

use nix::{sys::utsname::uname, unistd::setsid};

use firedrill_wire::protocol::{Broken, Command, Plan, Record, Task, VERSION, micros};

use self::drill::Drill;
use crate::{
    candidate::{self, Root, command},
    error::Doing,
    kernel::{nftables::NftSocket, sys},
    lab::Lab,
    sandbox::{self, Home, Sandbox},
};

/// The first argument that makes this program the agent.
pub const ARGUMENT: &str = "__firedrill-agent";

/// The descriptor of the control channel, a stream socket: plan in, records out.
pub const CONTROL_FD: i32 = 3;

/// The longest plan that is read, in bytes: hundreds of thousands of probes.
const PLAN_LIMIT: u64 = 1 << 30;

/// Becomes the agent and does not return if this process was started as one; returns at once
/// otherwise. To be called before anything else, while the process has a single thread.
pub fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|argument| argument != ARGUMENT) {
        return;
    }
    std::process::exit(match arguments.next() {
        None => main(),
        Some(role) if role == container::HOLD => container::hold(),
        Some(role) if role == container::SERVE => container::serve(),
        Some(_) => 2,
    });
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
    let Ok(records) = control.try_clone() else {
        return 2;
    };
    serve_plan(&control, records, Home::Machine, started);
    0
}

/// Reads a plan from `control`, whose end is the agent's end, and does what it says.
pub(crate) fn serve_plan(control: &OwnedFd, records: OwnedFd, home: Home, started: Instant) {
    let mut records = Records(BufWriter::new(File::from(records)));
    match run(control, &mut records, home, started) {
        Ok(()) => {}
        Err(broken) => records.send(&Record::Broken(broken)),
    }
    records.flush();
}

/// The way out. A launcher that has gone away ends the agent by other means, so errors are not
/// looked at.
pub(crate) struct Records(BufWriter<File>);

impl Records {
    pub(crate) fn send(&mut self, record: &Record) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }

    pub(crate) fn flush(&mut self) {
        let _ = self.0.flush();
    }
}

fn run(
    control: &OwnedFd,
    records: &mut Records,
    home: Home,
    started: Instant,
) -> Result<(), Broken> {
    let plan = read_plan(control)?;
    leave_terminal(&plan.task)?;
    let Sandbox { world, firewall } = sandbox::enter(control, home)?;
    let lab = Lab::build(&plan.lab, &world, firewall, 0)?;
    if let Err(refused) = lab.set_sysctls(&plan.lab, &world)? {
        records.send(&Record::Refused(refused));
        return Ok(());
    }
    records.send(&Record::Lab {
        kernel: kernel_release(),
        elapsed_us: micros(started),
    });
    match &plan.task {
        Task::Shell(shell) => {
            let mut nft = lab.firewall.run(&world, NftSocket::open)?;
            let load = || candidate::load(&plan.candidate, Root::Untouched, &mut nft, false, None);
            match lab.firewall.run(&world, load)? {
                Ok(loaded) => records.send(&Record::Loaded(loaded)),
                Err(failure) => {
                    records.send(&Record::LoadFailed(failure));
                    return Ok(());
                }
            }
            records.flush();
            lab.firewall.enter()?;
            run_shell(shell)?;
            records.send(&Record::Done {
                elapsed_us: micros(started),
            });
            Ok(())
        }
        Task::Drill(conversations) => Drill {
            plan: &plan,
            world: &world,
            records,
            started,
            leaving: Vec::new(),
        }
        .hold(conversations, lab),
    }
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
    if let Task::Drill(_) = task {
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

fn run_shell(shell: &Command) -> Result<(), Broken> {
    let doing = || format!("run {}", shell.argv.join(" "));
    let Some(mut prepared) = command::prepare(shell) else {
        return Err(Broken::new("read the plan", "a command without a program"));
    };
    prepared.status().map(drop).doing(doing)
}
