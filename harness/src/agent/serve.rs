//! Serves one plan: reads it, enters a sandbox, builds the lab, and does what the plan asks for.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::fd::OwnedFd,
    time::Instant,
};

use firedrill_wire::protocol::{Broken, Command, Plan, Record, Task, VERSION, micros};
use nix::{sys::utsname::uname, unistd::setsid};

use crate::{
    agent::{drill::Drill, records::Records},
    candidate::{self, Root, command},
    error::Doing,
    kernel::nftables::NftSocket,
    lab::Lab,
    sandbox::{self, Sandbox, home::Home},
};

/// The descriptor of the control channel, a stream socket: plan in, records out.
pub const CONTROL_FD: i32 = 3;

/// The longest plan that is read, in bytes: hundreds of thousands of probes.
const PLAN_LIMIT: u64 = 1 << 30;

/// Reads a plan from `control`, whose end is the agent's end, and does what it says.
pub(crate) fn serve_plan(control: &OwnedFd, records: OwnedFd, home: Home, started: Instant) {
    let mut records = Records::new(records);
    match run(control, &mut records, home, started) {
        Ok(()) => {}
        Err(broken) => records.send(&Record::Broken(broken)),
    }
    records.flush();
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
