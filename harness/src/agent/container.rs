//! The agent's two roles in a container.
//!
//! The first process of the container only *holds* it: a container lives as long as that process does.
//! The second, started over the engine's interface, *serves* plans that come in on its standard input,
//! one after the other, each in a sandbox of its own. When whoever sends the plans goes away, for
//! whatever reason, the engine closes that input; the server ends, the holder sees that it ended, and
//! with the holder goes the container.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::wait::{WaitStatus, waitpid},
};

use crate::{agent::serve::serve_plan, kernel::sys, sandbox::home::Home};

/// The argument of the role that holds the container.
pub(crate) const HOLD: &str = "hold";

/// The argument of the role that serves plans.
pub(crate) const SERVE: &str = "serve";

/// How long a container without a server is held: its launcher was killed between the two steps. Far
/// more than the engine needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the server looks for the holder, which may not have come to listening yet: the engine starts
/// both as fast as it can, and nothing in the kernel tells when a name comes to be.
const LOOK: Duration = Duration::from_millis(1);

/// Where the server finds the holder: a name without a file (unix(7), "abstract") in the container's
/// network namespace, which has no other process but these.
fn meeting_point() -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(b"firedrill")
}

/// Holds the container until its server ends; the exit code.
pub(crate) fn hold() -> i32 {
    match meeting_point().and_then(|address| UnixListener::bind_addr(&address)) {
        Ok(listener) => i32::from(hold_for_server(&listener).is_err()),
        Err(_) => 1,
    }
}

fn hold_for_server(listener: &UnixListener) -> io::Result<()> {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    if poll(&mut fds, patience)? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let (mut server, _) = listener.accept()?;
    // Nothing is ever sent; the end of the stream is the message.
    server.read(&mut [0]).map(drop)
}

/// Serves plans until the input ends or an agent does not end well; the exit code.
pub(crate) fn serve() -> i32 {
    let _holder = match find_holder() {
        Ok(holder) => holder,
        Err(error) => {
            // The launcher reads what an agent says there.
            let _ = writeln!(
                io::stderr(),
                "could not find the container's holder: {error}"
            );
            return 2;
        }
    };
    let (Ok(control), Ok(records)) = (sys::inherited(0), sys::inherited(1)) else {
        return 2;
    };
    while wait_for_plan(&control) {
        match sys::fork() {
            Ok(Some(child)) => match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => {}
                // Its launcher waits for records that will not come; the end of the stream says so.
                _ => return 1,
            },
            Ok(None) => {
                serve_plan(&control, records, Home::Container, Instant::now());
                close_at_once();
                // Without running the destructors of what is closed.
                std::process::exit(0);
            }
            Err(_) => return 1,
        }
    }
    0
}

fn find_holder() -> io::Result<UnixStream> {
    let address = meeting_point()?;
    let started = Instant::now();
    loop {
        match UnixStream::connect_addr(&address) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && started.elapsed() < PATIENCE =>
            {
                thread::sleep(LOOK);
            }
            other => return other,
        }
    }
}

/// Closes what the agent has open. The kernel would do it one by one, and wait for an RCU grace period for
/// each packet socket, while the next plan waits; side by side they wait for the same one.
fn close_at_once() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    thread::scope(|threads| {
        for number in numbers {
            // Where there is no thread to be had the kernel does it.
            let close = move || sys::close_last(number);
            let _ = thread::Builder::new().spawn_scoped(threads, close);
        }
    });
}

/// Whether there is something to read; false at the end of the input.
fn wait_for_plan(control: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {
                return fds[0]
                    .revents()
                    .is_some_and(|seen| seen.contains(PollFlags::POLLIN));
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
