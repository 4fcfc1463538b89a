//! The default launcher: this program starts itself again as the agent, which moves into fresh
//! namespaces. Needs no daemon and no privilege.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::Stdio,
};

use command_fds::{CommandFdExt, FdMapping};
use tokio::process::{Child, Command};

use super::{LaunchError, Session};
use crate::{agent, command, protocol::Plan};

/// Starts an agent that is silent but for its records.
///
/// # Errors
///
/// [`LaunchError::Start`] if the process cannot be started. A sandbox that cannot be entered is
/// reported by the agent, as [`crate::protocol::Record::Broken`].
pub async fn start(plan: &Plan) -> Result<Session, LaunchError> {
    launch(plan, Stdio::null, Stdio::null).await
}

/// Starts an agent that shares this process's standard streams, for an interactive shell.
///
/// # Errors
///
/// As [`start`].
pub async fn start_on_terminal(plan: &Plan) -> Result<Session, LaunchError> {
    launch(plan, Stdio::inherit, Stdio::inherit).await
}

async fn launch(
    plan: &Plan,
    input: fn() -> Stdio,
    output: fn() -> Stdio,
) -> Result<Session, LaunchError> {
    let (ours, theirs) = UnixStream::pair().map_err(LaunchError::Start)?;
    ours.set_nonblocking(true).map_err(LaunchError::Start)?;
    let child = spawn(theirs.into(), input, output).map_err(LaunchError::Start)?;
    let channel = tokio::net::UnixStream::from_std(ours).map_err(LaunchError::Start)?;
    Session::begin(Box::new(channel), Box::new(child), plan).await
}

fn spawn(control: OwnedFd, input: fn() -> Stdio, output: fn() -> Stdio) -> io::Result<Child> {
    // Not the path: the file may have been replaced or removed since it was started.
    let mut command = Command::new(Path::new("/proc/self/exe"));
    command
        .arg0("firedrill-agent")
        .arg(agent::ARGUMENT)
        .stdin(input())
        .stdout(output())
        .stderr(output())
        // The agent ends with its channel; killing it too only makes that sooner.
        .kill_on_drop(true);
    command
        .as_std_mut()
        .fd_mappings(vec![FdMapping {
            parent_fd: control,
            child_fd: agent::CONTROL_FD,
        }])
        .map_err(io::Error::other)?;
    command.spawn()
}

/// What the `nft` of this machine says of its version: the one that the sandbox shows.
#[must_use]
pub fn nft_version() -> Option<String> {
    let output = std::process::Command::new("/usr/bin/env")
        .args([
            "-i",
            &format!("PATH={}", command::SEARCH_PATH),
            "nft",
            "--version",
        ])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
