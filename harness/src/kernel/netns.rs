//! Network namespaces without names: they live as long as a descriptor or a process holds them, so
//! nothing can be left behind.

use std::{fs::File, os::fd::AsFd};

use nix::sched::{CloneFlags, setns, unshare};

use firedrill_wire::protocol::Broken;

use crate::error::Doing;

/// A network namespace, held by descriptor.
#[derive(Debug)]
pub(crate) struct NetNs(File);

impl NetNs {
    /// The namespace this thread is in.
    pub(crate) fn current() -> Result<Self, Broken> {
        File::open("/proc/thread-self/ns/net")
            .map(Self)
            .doing(|| "open this thread's network namespace")
    }

    /// A fresh namespace; this thread stays in `home`.
    pub(crate) fn fresh(home: &Self) -> Result<Self, Broken> {
        unshare(CloneFlags::CLONE_NEWNET).doing(|| "make a network namespace")?;
        let fresh = Self::current();
        home.enter()?;
        fresh
    }

    /// Does something inside this namespace; the thread is back in `home` afterwards, also after an
    /// error.
    pub(crate) fn run<T>(
        &self,
        home: &Self,
        action: impl FnOnce() -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        self.enter()?;
        let result = action();
        home.enter()?;
        result
    }

    /// As [`NetNs::run`], the other way round: does something in `home` while the thread is in this
    /// namespace.
    pub(crate) fn leave<T>(
        &self,
        home: &Self,
        action: impl FnOnce() -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        home.run(self, action)
    }

    /// Moves this thread into the namespace.
    pub(crate) fn enter(&self) -> Result<(), Broken> {
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).doing(|| "enter a network namespace")
    }

    /// The descriptor, for netlink.
    pub(crate) fn fd(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }
}
