//! For tests that bound the work of a function: unlike the time of day, processor time is the same however busy
//! the machine is.

use std::{fs, time::Duration};

/// The processor time of a thread until now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessorTime(Duration);

impl ProcessorTime {
    /// That of this thread (proc_pid_stat(5), `utime` and `stime`, in ticks of 10 ms).
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/thread-self/stat").expect("procfs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let times = fields.split(' ').skip(11).take(2);
        let ticks = times.map(|ticks| ticks.parse::<u64>().expect("a number"));
        Self(Duration::from_millis(10 * ticks.sum::<u64>()))
    }

    pub(crate) fn used(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
