//! The default launcher: this program starts itself again as the agent, which moves into fresh
//! namespaces. Needs no daemon and no privilege.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
};

use command_fds::{CommandFdExt, FdMapping};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{Child, Command},
};

use super::{Channel, LaunchError, Session};
use firedrill_wire::protocol::Plan;

use crate::{agent, sandbox::home::SEARCH_PATH};

/// Starts an agent that is silent but for its records.
///
/// # Errors
///
/// [`LaunchError::Start`] if the process cannot be started. A sandbox that cannot be entered is
/// reported by the agent, as [`firedrill_wire::protocol::Record::Broken`].
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
    let stream = tokio::net::UnixStream::from_std(ours).map_err(LaunchError::Start)?;
    let agent = Agent {
        stream,
        _child: child,
    };
    Session::begin(Box::new(agent), plan).await
}

/// An agent of this machine: the channel, and the process behind it.
struct Agent {
    stream: tokio::net::UnixStream,
    /// Dropped after the channel.
    _child: Child,
}

impl Channel for Agent {}

impl AsyncRead for Agent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Agent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
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
        .args(["-i", &format!("PATH={}", SEARCH_PATH), "nft", "--version"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
