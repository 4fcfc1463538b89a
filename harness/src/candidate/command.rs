//! Runs the candidate's programs: inside the sandbox, in the firewall's namespace, with bounded
//! patience and bounded output.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use firedrill_wire::protocol::{Broken, Command, CommandFailure};

use crate::{candidate::transaction, error::Doing, kernel::sys, sandbox::home::SEARCH_PATH};

/// How long a loader may take before it counts as hanging. The slowest real one (firewalld with
/// thousands of rules) needs some seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Something to do again and again while a command runs, if anything.
pub(crate) type Meanwhile<'a, 'b> = Option<&'a mut (dyn FnMut() -> Result<(), Broken> + 'b)>;

/// What a command printed.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// A command on its way.
pub(crate) struct Running {
    argv: Vec<String>,
    child: Child,
    started: Instant,
    patience: Duration,
}

/// Prepares a command with the sandbox's environment, and nothing of the user's.
pub(crate) fn prepare(command: &Command) -> Option<std::process::Command> {
    let (program, arguments) = command.argv.split_first()?;
    let mut prepared = std::process::Command::new(find(program));
    prepared
        .args(arguments)
        .current_dir(&command.cwd)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .envs(command.env.iter().map(|(name, value)| (name, value)));
    Some(prepared)
}

/// Whether this machine has a program where the sandbox looks for it.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    find(program).is_file()
}

/// Looks the program up in the sandbox's path, not in the user's.
fn find(program: &str) -> std::path::PathBuf {
    if program.contains('/') {
        return program.into();
    }
    SEARCH_PATH
        .split(':')
        .map(|directory| Path::new(directory).join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| program.into())
}

/// Starts a command in the current network namespace. The outer error is a broken lab, the inner one
/// a candidate whose program cannot be started.
pub(crate) fn start(command: &Command) -> Result<Result<Running, CommandFailure>, Broken> {
    let Some(mut prepared) = prepare(command) else {
        return Err(Broken::new("read the plan", "a command without a program"));
    };
    prepared
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match transaction::spawn(prepared) {
        Ok(child) => Ok(Ok(Running {
            argv: command.argv.clone(),
            child,
            started: Instant::now(),
            patience: PATIENCE,
        })),
        Err(error) => Ok(Err(CommandFailure {
            candidate: 0,
            layer: 0,
            argv: command.argv.clone(),
            missing: error.kind() == io::ErrorKind::NotFound,
            status: error.to_string(),
            stdout: String::new(),
            stderr: String::new(),
        })),
    }
}

impl Running {
    /// Waits for the end, reading what the command prints and keeping at most `limit` bytes of each
    /// stream. What it leaves running in the background is not waited for.
    pub(crate) fn finish(self, limit: usize) -> Result<Result<Output, CommandFailure>, Broken> {
        self.finish_while(limit, None)
    }

    /// As [`Running::finish`], and does something else again and again until then.
    pub(crate) fn finish_while(
        mut self,
        limit: usize,
        meanwhile: Meanwhile<'_, '_>,
    ) -> Result<Result<Output, CommandFailure>, Broken> {
        let mut output = Output::default();
        let status = self
            .watch(&mut output, limit, meanwhile)
            .doing(|| format!("run `{}`", self.argv.join(" ")))?;
        match status {
            Some(status) if status.success() => Ok(Ok(output)),
            other => Ok(Err(CommandFailure {
                candidate: 0,
                layer: 0,
                argv: self.argv,
                status: describe(other),
                missing: false,
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })),
        }
    }

    /// The exit status, or `None` if patience ran out.
    fn watch(
        &mut self,
        output: &mut Output,
        limit: usize,
        mut meanwhile: Meanwhile<'_, '_>,
    ) -> io::Result<Option<ExitStatus>> {
        let ended = sys::pidfd(self.child.id())?;
        let (Some(mut stdout), Some(mut stderr)) =
            (self.child.stdout.take(), self.child.stderr.take())
        else {
            return Err(io::Error::other("its output is not piped"));
        };
        fcntl(&stdout, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        fcntl(&stderr, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let (mut stdout_open, mut stderr_open) = (true, true);
        loop {
            let left = self.patience.saturating_sub(self.started.elapsed());
            if left.is_zero() {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(None);
            }
            let mut fds = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
            if stdout_open {
                fds.push(PollFd::new(stdout.as_fd(), PollFlags::POLLIN));
            }
            if stderr_open {
                fds.push(PollFd::new(stderr.as_fd(), PollFlags::POLLIN));
            }
            let timeout = match &mut meanwhile {
                Some(meanwhile) => {
                    meanwhile().map_err(io::Error::other)?;
                    PollTimeout::ZERO
                }
                None => PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let has_ended = fds[0].any() == Some(true);
            // Read after looking, so that nothing printed before the end is missed.
            stdout_open &= read_available(&mut stdout, &mut output.stdout, limit)?;
            stderr_open &= read_available(&mut stderr, &mut output.stderr, limit)?;
            if has_ended {
                return self.child.wait().map(Some);
            }
        }
    }
}

/// How many chunks are read before the clock is looked at again: some programs never stop printing.
const CHUNKS_AT_ONCE: usize = 64;

/// Reads what is there; false at the end of the stream. Beyond the limit it reads on and forgets.
fn read_available(stream: &mut impl Read, kept: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    let mut chunk = [0; 16 * 1024];
    for _ in 0..CHUNKS_AT_ONCE {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(length) => {
                let room = limit.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(&chunk[..room]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return format!("did not end within {} seconds", PATIENCE.as_secs());
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::protocol::OUTPUT_LIMIT;

    use super::*;
    /// Runs a script of the shell, out of patience after a while.
    fn run(script: &str, patience: Duration) -> Result<Output, CommandFailure> {
        let command = Command {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            cwd: "/".into(),
            env: Vec::new(),
        };
        let mut running = start(&command).expect("a lab").expect("a shell");
        running.patience = patience;
        running.finish(OUTPUT_LIMIT).expect("a lab")
    }

    /// Runs a script that never ends, with more and more patience until it has printed so many bytes: a busy
    /// machine may not even start it in time.
    fn run_until_printed(script: &str, bytes: usize) -> CommandFailure {
        let patiences = (0..).map(|doublings| Duration::from_millis(100 << doublings));
        let mut failures =
            patiences.map(|patience| run(script, patience).expect_err("it never ends"));
        let printed = failures.find(|failure| failure.stdout.len() >= bytes);
        printed.expect("patience has no end")
    }

    #[test]
    fn a_program_that_hangs_is_given_up() {
        let failure = run_until_printed("echo waiting; exec sleep 600", 1);
        assert_eq!(failure.stdout, "waiting\n");
        assert!(failure.status.contains("did not end"), "{}", failure.status);
    }

    #[test]
    fn a_program_that_never_stops_printing_is_given_up_and_mostly_forgotten() {
        let failure = run_until_printed("exec cat /dev/zero", OUTPUT_LIMIT);
        assert_eq!(failure.stdout.len(), OUTPUT_LIMIT);
    }

    #[test]
    fn what_a_program_leaves_in_the_background_is_not_waited_for() {
        let output = run("sleep 600 & echo $!", PATIENCE).expect("it ended");
        let sleeper = String::from_utf8_lossy(&output.stdout);
        let killed = std::process::Command::new("sh")
            .args(["-c", &format!("kill {sleeper}")])
            .status();
        assert!(killed.is_ok_and(|status| status.success()), "it still runs");
    }
}
