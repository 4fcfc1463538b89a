//! Watches a run of firedrill being killed, and looks for what is left of it.
//!
//! The test process makes itself the reaper of orphans (`PR_SET_CHILD_SUBREAPER`), so every process
//! that a run started, however it was orphaned, stays below the test process until it is gone. As root,
//! runs also get a `/tmp`, `/run` and `/dev/shm` of their own, which must be empty afterwards.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio, id},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, geteuid},
};

pub use super::process::Process;
use super::{LOOK_AGAIN, need, process::Stillness};

/// What is there although nothing of it has moved for so long stays.
const STILL: Duration = Duration::from_secs(10);

/// As [`STILL`], for a run that waits for others, a container engine say.
const HANGS: Duration = Duration::from_secs(300);

/// Folders in which programs leave things.
const FOLDERS: [&str; 3] = ["/tmp", "/run", "/dev/shm"];

/// One run at a time: whatever is below the test process belongs to it.
static ALONE: Mutex<()> = Mutex::new(());

/// Where runs happen, one at a time.
pub struct Scene {
    _alone: MutexGuard<'static, ()>,
    /// As root: holds a mount namespace with empty folders.
    holder: Option<Child>,
    before: BTreeSet<String>,
}

impl Scene {
    pub fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        prctl::set_child_subreaper(true).expect("to adopt orphans");
        let holder = geteuid().is_root().then(hold_empty_folders);
        let mut scene = Self {
            _alone: alone,
            holder,
            before: BTreeSet::new(),
        };
        scene.before = scene.traces();
        scene
    }

    /// Starts a command there; its process is the child itself.
    pub fn start(&self, command: &Command) -> Run {
        let mut there = match &self.holder {
            Some(holder) => {
                need("nsenter");
                let mut there = Command::new("nsenter");
                there
                    .arg(format!("--mount=/proc/{}/ns/mnt", holder.id()))
                    .arg("--");
                there.arg(command.get_program());
                there
            }
            None => Command::new(command.get_program()),
        };
        there.args(command.get_args()).stdin(Stdio::null());
        let output = tempfile::tempfile().expect("a file");
        there.stdout(output.try_clone().expect("a descriptor"));
        there.stderr(output.try_clone().expect("a descriptor"));
        let child = there.spawn().expect("firedrill starts");
        Run { child, output }
    }

    /// The processes below this one, without the scene's own.
    pub fn processes(&self) -> Vec<Process> {
        Process::below(id(), self.holder.as_ref().map(Child::id))
    }

    /// Waits until everything of the finished run is gone; fails if it stays.
    pub fn assert_nothing_left(&self, namespaces: &BTreeSet<PathBuf>, after: &str) {
        let mut stillness = Stillness::new();
        loop {
            self.reap();
            let processes = self.processes();
            let held = network_namespaces(Process::all().into_iter());
            let held: Vec<_> = held.intersection(namespaces).collect();
            let traces = self.traces();
            let traces: Vec<_> = traces.difference(&self.before).collect();
            if processes.is_empty() && held.is_empty() && traces.is_empty() {
                return;
            }
            if stillness.look(&processes) > STILL {
                // A failing test leaves nothing behind either.
                processes.iter().for_each(|it| send(Signal::SIGKILL, it.id));
                panic!("{after} left {processes:?}, {held:?} and {traces:?}");
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Takes leave of orphans that have ended.
    fn reap(&self) {
        for process in self.processes().iter().filter(|it| it.parent == id()) {
            let pid = Pid::from_raw(process.id as i32);
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
    }

    /// The mounts and files that a run could leave.
    fn traces(&self) -> BTreeSet<String> {
        let (mounts, root) = match &self.holder {
            Some(holder) => (
                format!("/proc/{}/mountinfo", holder.id()),
                format!("/proc/{}/root", holder.id()),
            ),
            None => ("/proc/self/mountinfo".to_owned(), String::new()),
        };
        let mounts = fs::read_to_string(mounts).expect("the mount table");
        let files = FOLDERS
            .iter()
            .flat_map(|folder| {
                fs::read_dir(format!("{root}{folder}"))
                    .into_iter()
                    .flatten()
            })
            .map(|entry| entry.expect("an entry").path().display().to_string())
            // Where others may be at work, only what could be firedrill's.
            .filter(|path| {
                self.holder.is_some() || path.contains("firedrill") || path.contains(".layers")
            });
        mounts.lines().map(str::to_owned).chain(files).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn hold_empty_folders() -> Child {
    need("unshare");
    let script = format!(
        "for folder in {}; do mount -t tmpfs -o mode=1777 none $folder || exit; done
         echo ready; exec sleep infinity",
        FOLDERS.join(" ")
    );
    let mut holder = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare is there");
    let mut line = String::new();
    let stdout = holder.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a word");
    assert_eq!(line, "ready\n", "no mount namespace to run in");
    holder
}

/// The network namespaces that these processes hold, as far as they can be looked at, but this one's.
pub fn network_namespaces(processes: impl Iterator<Item = Process>) -> BTreeSet<PathBuf> {
    let mut all: BTreeSet<PathBuf> = processes
        .filter_map(|it| fs::read_link(format!("/proc/{}/ns/net", it.id)).ok())
        .collect();
    all.remove(&fs::read_link("/proc/self/ns/net").expect("a namespace"));
    all
}

/// Sends a signal to a process that may be gone already.
pub fn send(signal: Signal, process: u32) {
    match kill(Pid::from_raw(process as i32), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("could not signal {process}: {errno}"),
    }
}

/// A run of firedrill.
pub struct Run {
    pub child: Child,
    /// Not a pipe, which would be open for as long as anything of the run is there.
    output: File,
}

impl Run {
    /// Waits for the end: the exit status and everything that was printed. Fails if the run hangs.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut stillness = Stillness::new();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            let mut processes = Process::below(self.child.id(), None);
            processes.extend(Process::read(format!("/proc/{}", self.child.id()).as_ref()));
            if stillness.look(&processes) > HANGS {
                let _ = self.child.kill();
                panic!("firedrill hangs: nothing of it has moved for {HANGS:?}");
            }
            thread::sleep(LOOK_AGAIN);
        };
        let mut said = String::new();
        self.output.rewind().expect("a file");
        self.output.read_to_string(&mut said).expect("text");
        (status, said)
    }
}
