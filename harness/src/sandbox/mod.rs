//! The sandbox: fresh mount, PID, network, UTS, IPC and cgroup namespaces for this process; on the
//! machine itself also a user namespace, so that no privilege on the host is needed or left.
//!
//! Everything in it dies with it: the agent is PID 1 of its PID namespace, and it ends when the
//! control channel to its launcher does, so a launcher killed at any moment leaves nothing behind.
//!
//! This room owns namespaces, identities, the private root and what programs may do in it. It never
//! builds a network, and never runs a candidate's command.

mod confine;
pub(crate) mod home;
pub(crate) mod ids;
pub(crate) mod root;

use std::{
    os::fd::{AsFd, OwnedFd},
    thread,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Gid, Pid, Uid, getegid, geteuid, sethostname, setresgid, setresuid},
};

use firedrill_wire::protocol::Broken;

use self::{home::Home, ids::Mapper};
use crate::{
    error::Doing,
    kernel::{netns::NetNs, sys},
};

/// The namespaces the agent finds itself in.
pub(crate) struct Sandbox {
    /// Where the far ends live; the calling thread is in it.
    pub(crate) world: NetNs,
    /// Where the candidate will live; the sandbox's `/sys` shows it.
    pub(crate) firewall: NetNs,
}

/// Enters a fresh sandbox. Only the agent returns from here: the process that called becomes its
/// parent, which waits for it and exits. Must be called before the first thread starts.
///
/// `control` is the channel to the launcher; its end ends the sandbox.
pub(crate) fn enter(control: &OwnedFd, home: Home) -> Result<Sandbox, Broken> {
    match home {
        Home::Machine => enter_user_namespace()?,
        Home::Container => unshare(NAMESPACES).doing(|| {
            "make mount, PID and network namespaces in the container (it needs the capabilities \
             SYS_ADMIN and NET_ADMIN)"
        })?,
    }
    if let Some(child) = sys::fork().doing(|| "start the agent in its PID namespace")? {
        std::process::exit(stand_between(child, control));
    }
    prctl::set_pdeathsig(Signal::SIGKILL).doing(|| "tie the agent to its parent")?;
    let control = control.try_clone().doing(|| "watch the control channel")?;
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || end_with(&control))
        .doing(|| "watch the control channel")?;

    sethostname("firewall").doing(|| "name the sandbox")?;
    let world = NetNs::current()?;
    let firewall = NetNs::fresh(&world)?;
    firewall.run(&world, || root::enter(home))?;
    confine::confine(home)?;
    Ok(Sandbox { world, firewall })
}

/// The namespaces of every sandbox.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWCGROUP);

fn enter_user_namespace() -> Result<(), Broken> {
    let mapper = Mapper::start()?;
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | NAMESPACES)
        .doing(|| "make user, mount, PID and network namespaces")?;
    mapper.map(uid, gid)?;
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))
        .and_then(|()| setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)))
        .doing(|| "become root of the user namespace")
}

/// Waits for PID 1, and ends it from outside should the launcher go away while it cannot end itself.
/// Its exit code.
fn stand_between(child: Pid, control: &OwnedFd) -> i32 {
    if let Ok(ended) = sys::pidfd(child.as_raw().unsigned_abs()) {
        let mut fds = [
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd(), PollFlags::empty()),
        ];
        while let Err(Errno::EINTR) = poll(&mut fds, PollTimeout::NONE) {}
        if fds[1].any() == Some(true) {
            // It may have been quicker.
            let _ = kill(child, Signal::SIGKILL);
        }
    }
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return code,
            Ok(WaitStatus::Signaled(..)) => return 1,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

/// Exits when the other end of the channel is closed; PID 1 takes everything in the sandbox along.
fn end_with(control: &OwnedFd) {
    loop {
        let mut fds = [PollFd::new(control.as_fd(), PollFlags::empty())];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) if fds[0].any() == Some(true) => std::process::exit(0),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => std::process::exit(1),
        }
    }
}
