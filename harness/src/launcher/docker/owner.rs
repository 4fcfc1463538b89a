//! Who made a container, and whether they are still there to remove it.

use std::{fs, io, os::unix::fs::MetadataExt};

/// The label that every container carries; its value is an [`Owner`].
pub(super) const LABEL: &str = "dev.firedrill.owner";

/// A process: where its number means something, and since when it has had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The running kernel and the PID namespace. An engine may serve several machines.
    scope: String,
    pid: u32,
    /// In clock ticks since boot: numbers are used again.
    since: u64,
}

impl Owner {
    /// This process.
    pub(super) fn this() -> io::Result<Self> {
        let pid = std::process::id();
        let since = started(pid).ok_or_else(|| io::Error::other("cannot read /proc/self/stat"))?;
        Ok(Self {
            scope: scope()?,
            pid,
            since,
        })
    }

    /// The label's value.
    pub(super) fn label(&self) -> String {
        format!("{}/{}/{}", self.scope, self.pid, self.since)
    }

    fn parse(label: &str) -> Option<Self> {
        let mut parts = label.rsplitn(3, '/');
        let since = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let scope = parts.next()?.to_owned();
        Some(Self { scope, pid, since })
    }
}

/// What is known here of the owner of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Alive,
    /// It has ended: the container is a leftover.
    Gone,
    /// It is, or was, out of sight: on another machine, in another container, before a reboot.
    Unknown,
}

/// What became of the owner that a label names, as seen by `this` process.
pub(super) fn fate(label: &str, this: &Owner) -> Fate {
    match Owner::parse(label) {
        Some(owner) if owner.scope == this.scope => {
            if started(owner.pid) == Some(owner.since) {
                Fate::Alive
            } else {
                Fate::Gone
            }
        }
        _ => Fate::Unknown,
    }
}

fn scope() -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
    Ok(format!("{}/{namespace}", boot.trim()))
}

/// When a process started (proc_pid_stat(5), field 22); `None` if there is none, or only its remains.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, is in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_a_later_one_of_its_number_is_another() {
        let this = Owner::this().expect("a process");
        assert_eq!(Owner::parse(&this.label()), Some(this.clone()));
        assert_eq!(fate(&this.label(), &this), Fate::Alive);
        let earlier = Owner {
            since: this.since - 1,
            ..this.clone()
        };
        assert_eq!(fate(&earlier.label(), &this), Fate::Gone);
    }

    #[test]
    fn a_process_that_ended_is_gone_even_before_its_parent_looks() {
        let this = Owner::this().expect("a process");
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let label = Owner {
            pid: child.id(),
            since: started(child.id()).unwrap_or(1),
            ..this.clone()
        }
        .label();
        child.wait().expect("its end");
        assert_eq!(fate(&label, &this), Fate::Gone);
    }

    #[test]
    fn of_other_machines_nothing_is_known() {
        let this = Owner::this().expect("a process");
        let elsewhere = Owner {
            scope: "another/1".to_owned(),
            ..this.clone()
        };
        assert_eq!(fate(&elsewhere.label(), &this), Fate::Unknown);
        assert_eq!(fate("rubbish", &this), Fate::Unknown);
    }
}
