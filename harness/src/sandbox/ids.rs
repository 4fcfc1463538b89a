//! Who a sandbox's users are on the host.
//!
//! A user namespace maps its ids to ids outside. Programs that drop privileges need several: root starts
//! them, another user runs them. For root the host ids are a range that owns nothing there; an ordinary
//! user has those that the administrator granted (subuid(5), newuidmap(1)). Without a grant the sandbox has
//! one id, its root, who is the user.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use nix::{
    sys::{
        prctl,
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::{Gid, Pid, Uid, User, getegid, geteuid, getpid, setgroups, setresgid, setresuid},
};

use firedrill_wire::protocol::Broken;

use crate::{error::Doing, kernel::sys, sandbox::home::SEARCH_PATH};

/// What root becomes on the host before it enters the sandbox: an identity that owns nothing there, so
/// that not even a sysctl of the host can be written from inside. The first of [`COUNT`]; above the
/// ranges that systemd (systemd.io/UIDS-GIDS) and useradd(8) hand out.
const UNPRIVILEGED_ID: u32 = 1_900_000_000;

/// How many ids a sandbox has at most: with 65534, `nobody`, among them.
const COUNT: u32 = 65_536;

/// Ids of the host from `first` on, for those of the sandbox from `inside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    inside: u32,
    first: u32,
    count: u32,
}

/// Somebody who stays outside and writes the maps of a new user namespace.
pub(crate) struct Mapper {
    child: Pid,
    channel: UnixStream,
}

impl Mapper {
    /// Forks the mapper, and gives up root. Must be called before the first thread starts.
    pub(crate) fn start() -> Result<Self, Broken> {
        let (ours, theirs) = UnixStream::pair().doing(|| "make a channel")?;
        let sandbox = getpid();
        let Some(child) = sys::fork().doing(|| "start the mapper of user ids")? else {
            drop(ours);
            std::process::exit(map_when_asked(sandbox, theirs));
        };
        drop(theirs);
        if geteuid().is_root() {
            give_up_root().doing(|| "give up the privileges of root")?;
        }
        Ok(Self {
            child,
            channel: ours,
        })
    }

    /// Maps the ids of this process's fresh user namespace: several if the host grants them, else one.
    pub(crate) fn map(mut self, uid: Uid, gid: Gid) -> Result<(), Broken> {
        const DOING: &str = "map the user into the user namespace";
        let asked = self.channel.write_all(&[1]);
        drop(self.channel);
        let mapped =
            asked.is_ok() && waitpid(self.child, None) == Ok(WaitStatus::Exited(self.child, 0));
        if mapped {
            return Ok(());
        }
        // user_namespaces(7): groups can only be mapped by oneself once setgroups(2) is given up. What the
        // mapper has written before it failed stays.
        if is_empty("/proc/self/uid_map") {
            fs::write("/proc/self/uid_map", format!("0 {uid} 1")).doing(|| DOING)?;
        }
        if is_empty("/proc/self/gid_map") {
            fs::write("/proc/self/setgroups", "deny").doing(|| DOING)?;
            fs::write("/proc/self/gid_map", format!("0 {gid} 1")).doing(|| DOING)?;
        }
        Ok(())
    }
}

/// Refuses to go on where a configuration needs more ids than there are.
pub(crate) fn require_several() -> Result<(), Broken> {
    let several = ["uid_map", "gid_map"].iter().all(|map| {
        let text = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
        let counts = text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
        counts.sum::<u32>() > 1
    });
    if several {
        return Ok(());
    }
    Err(Broken::new(
        "run the programs of this configuration",
        "they need several user ids, and this user has been granted none\n\
         (as root: apt-get install uidmap, usermod --add-subuids 100000-165535 --add-subgids \
         100000-165535 USER; or run firedrill as root)",
    ))
}

fn is_empty(map: &str) -> bool {
    fs::read_to_string(map).is_ok_and(|text| text.trim().is_empty())
}

/// The mapper: waits until the user namespace is there. Its exit code is 0 if it mapped all.
fn map_when_asked(sandbox: Pid, mut channel: UnixStream) -> i32 {
    // Nobody is left to map for.
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || channel.read_exact(&mut [0]).is_err() {
        return 1;
    }
    let (uid, gid) = (geteuid(), getegid());
    let mapped = match uid.is_root() {
        true => ["uid_map", "gid_map"].iter().try_for_each(|map| {
            let text = format!("0 {UNPRIVILEGED_ID} {COUNT}");
            fs::write(format!("/proc/{sandbox}/{map}"), text)
        }),
        false => map_granted(sandbox, uid, gid),
    };
    i32::from(mapped.is_err())
}

/// Has the setuid programs of the system map what the user was granted.
fn map_granted(sandbox: Pid, uid: Uid, gid: Gid) -> io::Result<()> {
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let maps = [
        ("newuidmap", "/etc/subuid", uid.as_raw()),
        ("newgidmap", "/etc/subgid", gid.as_raw()),
    ];
    let granted = |file: &str| {
        let text = fs::read_to_string(file)?;
        let owner = uid.to_string();
        granted(&text, &[name.as_deref().unwrap_or(&owner), &owner])
            .ok_or_else(|| io::Error::other("nothing is granted"))
    };
    // Both, before either map is written.
    let ranges = [granted(maps[0].1)?, granted(maps[1].1)?];
    for ((program, _, own), range) in maps.into_iter().zip(ranges) {
        let own = Range {
            inside: 0,
            first: own,
            count: 1,
        };
        let mut command = Command::new(program);
        command.arg(sandbox.to_string());
        for range in [own, range] {
            command.args([range.inside, range.first, range.count].map(|number| number.to_string()));
        }
        command.env_clear().env("PATH", SEARCH_PATH);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if !command.status()?.success() {
            return Err(io::Error::other(program));
        }
    }
    Ok(())
}

/// The largest range that subuid(5) or subgid(5) grants to one of these names, from id 1 of the sandbox on.
fn granted(text: &str, names: &[&str]) -> Option<Range> {
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| names.contains(name));
        let (first, count): (u32, u32) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        name.map(|_| Range {
            inside: 1,
            first,
            count: count.min(COUNT - 1),
        })
    });
    ranges
        .filter(|range| range.count > 0)
        .max_by_key(|range| range.count)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_grant_to_the_user_by_name_or_number_is_taken() {
        let text = "# people\nsomebody:100000:65536\nme:165536:10\n1000:200000:70000\nme:300000:0\nme:x:1\n";
        let range = granted(text, &["me", "1000"]).expect("a grant");
        assert_eq!(
            (range.inside, range.first, range.count),
            (1, 200_000, 65_535)
        );
        assert_eq!(granted(text, &["nobody", "65534"]), None);
    }
}
