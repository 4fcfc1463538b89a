//! The sandbox of the embedded launcher: fresh user, mount, PID, network, UTS, IPC and cgroup
//! namespaces for this process, without any privilege on the host.
//!
//! Everything in it dies with it: the agent is PID 1 of its PID namespace, and it ends when the
//! control channel to its launcher does, so a launcher killed at any moment leaves nothing behind.

use std::{
    fs, io,
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
    unistd::{Gid, Pid, Uid, getegid, geteuid, setgroups, sethostname, setresgid, setresuid},
};

use crate::{confine, error::Doing, netns::NetNs, protocol::Broken, root, sys};

/// What root becomes on the host before it enters the sandbox: an identity that owns nothing there, so
/// that not even a sysctl of the host can be written from inside. Above the ranges that systemd
/// (systemd.io/UIDS-GIDS) and useradd(8) hand out.
const UNPRIVILEGED_ID: u32 = 1_900_000_000;

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
pub(crate) fn enter(control: &OwnedFd) -> Result<Sandbox, Broken> {
    if geteuid().is_root() {
        give_up_root().doing(|| "give up the privileges of root")?;
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .doing(|| "make user, mount, PID and network namespaces")?;
    map_ids(uid, gid).doing(|| "map the user into the user namespace")?;
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))
        .and_then(|()| setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)))
        .doing(|| "become root of the user namespace")?;

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
    firewall.run(&world, root::enter)?;
    confine::confine()?;
    Ok(Sandbox { world, firewall })
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

fn give_up_root() -> io::Result<()> {
    let (uid, gid) = (
        Uid::from_raw(UNPRIVILEGED_ID),
        Gid::from_raw(UNPRIVILEGED_ID),
    );
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // A process that changed its identity may not write its own uid_map until it says that it has
    // nothing to hide (prctl(2), PR_SET_DUMPABLE).
    prctl::set_dumpable(true)?;
    Ok(())
}

fn map_ids(uid: Uid, gid: Gid) -> io::Result<()> {
    // user_namespaces(7): groups can only be mapped once setgroups(2) is given up.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}
