//! The processes of this machine, and whether any of them still does something.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// A process of this machine.
#[derive(Debug, Clone)]
pub struct Process {
    pub id: u32,
    pub parent: u32,
    pub name: String,
    /// The letter of proc_pid_stat(5): `S` sleeps, `R` runs or would run if there were a free processor.
    state: char,
    /// The processor time that it has used, in clock ticks.
    ticks: u64,
}

impl Process {
    pub fn all() -> Vec<Self> {
        let folders = fs::read_dir("/proc").expect("/proc");
        folders
            .flatten()
            .filter_map(|entry| Self::read(&entry.path()))
            .collect()
    }

    /// All processes below one, without that one itself; nothing below `except` is looked at.
    pub fn below(ancestor: u32, except: Option<u32>) -> Vec<Self> {
        let all = Self::all();
        let mut below = BTreeSet::from([ancestor]);
        // Parents mostly come before their children; a few rounds find all.
        while let Some(next) = all.iter().find(|it| {
            below.contains(&it.parent) && !below.contains(&it.id) && except != Some(it.id)
        }) {
            below.insert(next.id);
        }
        below.remove(&ancestor);
        all.into_iter()
            .filter(|it| below.contains(&it.id))
            .collect()
    }

    /// `None` if it is no process, or none any more (proc_pid_stat(5)).
    pub fn read(folder: &Path) -> Option<Self> {
        let id = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            id,
            parent: fields.get(1)?.parse().ok()?,
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            // utime and stime.
            ticks: number(11)? + number(12)?,
        })
    }
}

/// Tells processes that hang from those to which a busy machine gives no time: the former sleep, and use no
/// processor time, however long they are looked at.
pub struct Stillness {
    since: Instant,
    seen: Vec<(u32, u64)>,
}

impl Stillness {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            seen: Vec::new(),
        }
    }

    /// Looks again, and says for how long nothing has moved.
    pub fn look(&mut self, processes: &[Process]) -> Duration {
        let now: Vec<(u32, u64)> = processes.iter().map(|it| (it.id, it.ticks)).collect();
        let asleep = processes.iter().all(|it| it.state == 'S');
        if !asleep || now != self.seen {
            self.since = Instant::now();
            self.seen = now;
        }
        self.since.elapsed()
    }
}
