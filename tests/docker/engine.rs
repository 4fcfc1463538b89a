//! The container engine of the tests, what is on it, and an engine of one's own to mistreat.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::common::{Ended, end, firedrill};

/// The releases whose programs are compared; their versions of nft differ.
pub const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// The label by which the tests know their own images.
const LABEL: &str = "dev.firedrill.test";

/// Between two looks at what an engine does.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// After so long, a wait says what it is for.
const REMINDER: Duration = Duration::from_secs(60);

/// One test at a time: they count containers, and kill things.
static TURN: Mutex<()> = Mutex::new(());

/// The engine that is there, for one test at a time. `None`: the test is skipped, which was said.
pub fn engine() -> Option<MutexGuard<'static, ()>> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut version = Command::new("docker");
    version.args(["version", "--format", "{{.Server.Version}}"]);
    let why = match output(&mut version) {
        Ok(ended) if ended.code == Some(0) => return Some(turn),
        Ok(ended) => ended.stderr,
        Err(error) => error.to_string(),
    };
    let expected =
        Path::new("/var/run/docker.sock").exists() || std::env::var_os("DOCKER_HOST").is_some();
    assert!(
        !(expected && std::env::var_os("CI").is_some()),
        "a container engine should be there, but: {why}"
    );
    // Past the capturing of the test harness.
    let note = format!("SKIPPED, no container engine: {}\n", why.trim());
    std::io::stderr()
        .write_all(note.as_bytes())
        .expect("stderr");
    None
}

/// The server's reasons for not answering are for the person who reads the log.
fn output(command: &mut Command) -> std::io::Result<Ended> {
    let output = command.stdin(Stdio::null()).output()?;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs `docker` to a good end; what it printed.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(arguments);
    good(end(command))
}

#[track_caller]
pub fn good(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// An image of a Debian release, made from packages if it is not there.
pub fn base(release: &str) -> String {
    let mut command = Command::new("containers/make-base.sh");
    command.arg(release);
    good(end(command));
    format!("firedrill/base:{release}")
}

/// The standard image upon the base of a release.
pub fn standard(release: &str) -> String {
    let mut command = firedrill();
    command.args(["images", "build", "--base", &base(release)]);
    good(end(command)).trim().to_owned()
}

/// The image of a folder upon the base of a release.
pub fn built(folder: &str, release: &str) -> String {
    let mut command = firedrill();
    command.args(["images", "build", folder, "--base", &base(release)]);
    good(end(command)).trim().to_owned()
}

/// An image with nothing in it.
pub fn empty() -> String {
    let name = "firedrill/test-empty:1";
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", name]);
    if end(inspect).code == Some(0) {
        return name.to_owned();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("empty.tar");
    // Two blocks of zeroes are the end of an archive, and all of this one.
    fs::write(&archive, [0; 1024]).expect("a file");
    let change = format!("LABEL {LABEL}=1");
    docker(&[
        "import",
        "--change",
        &change,
        &archive.to_string_lossy(),
        name,
    ]);
    name.to_owned()
}

/// The containers that firedrill made, in whatever state: identity and owner.
pub fn containers() -> Vec<(String, String)> {
    let format = "{{.ID}} {{.Label \"dev.firedrill.owner\"}}";
    let listed = docker(&[
        "ps",
        "--all",
        "--no-trunc",
        "--filter",
        "label=dev.firedrill.owner",
        "--format",
        format,
    ]);
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(id, owner)| (id.to_owned(), owner.to_owned()))
        .collect()
}

/// Waits until something is so, and says what it waits for: the engine does the work, and whether it still
/// does any cannot be seen from here.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut said = Instant::now();
    while !holds() {
        if said.elapsed() > REMINDER {
            let note = format!("still waiting until {what}\n");
            std::io::stderr()
                .write_all(note.as_bytes())
                .expect("stderr");
            said = Instant::now();
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// An engine of the test's own, which nobody else uses. Only root can have one.
pub struct OwnEngine {
    folder: TempDir,
    daemon: Child,
    /// The size of its disk, if that is not the machine's.
    disk: Option<&'static str>,
}

impl OwnEngine {
    /// `None` if there is no `dockerd`, or this is not root.
    pub fn start() -> Option<Self> {
        Self::on(None)
    }

    /// An engine whose disk is a small one of its own, which goes with it.
    pub fn start_on_small_disk() -> Option<Self> {
        Self::on(Some("64m"))
    }

    fn on(disk: Option<&'static str>) -> Option<Self> {
        let root = nix::unistd::geteuid().is_root();
        let there = ["/usr/sbin/dockerd", "/usr/bin/dockerd"];
        if !root || !there.iter().any(|path| Path::new(path).exists()) {
            let note = "SKIPPED in part: an engine of one's own takes root and dockerd\n";
            std::io::stderr()
                .write_all(note.as_bytes())
                .expect("stderr");
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("firedrill-test-")
            .tempdir_in("/var/tmp")
            .expect("a folder in /var/tmp");
        let daemon = Self::daemon(folder.path(), disk);
        let mut engine = Self {
            folder,
            daemon,
            disk,
        };
        engine.await_answer();
        Some(engine)
    }

    fn daemon(folder: &Path, disk: Option<&str>) -> Child {
        let driver = docker(&["info", "--format", "{{.Driver}}"]);
        let path = |name: &str| folder.join(name).display().to_string();
        let log = fs::File::create(folder.join("log")).expect("a log");
        let host = format!("unix://{}", path("docker.sock"));
        fs::create_dir_all(folder.join("data")).expect("a folder");
        fs::write(folder.join("none.json"), "{}").expect("a file");
        // Namespaces of its own: what it does to bridges and firewalls is done to its own, and nobody
        // else ever sees its mounts.
        let disk = disk.map_or_else(
            || "mount --bind \"$0\" \"$0\"".to_owned(),
            |size| format!("mount -t tmpfs -o size={size} none \"$0\""),
        );
        let script = format!("ip link set lo up && {disk} && exec dockerd \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", &script, &path("data")]);
        command
            .args(["--host", &host, "--storage-driver", driver.trim()])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args([
                "--pidfile",
                &path("pid"),
                "--config-file",
                &path("none.json"),
            ])
            .args(["--bridge", "none", "--iptables=false", "--ip-forward=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts")
    }

    pub fn host(&self) -> String {
        format!(
            "unix://{}",
            self.folder.path().join("docker.sock").display()
        )
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.host());
        command
    }

    fn await_answer(&mut self) {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        while output(self.command().arg("version")).map_or(true, |ended| ended.code != Some(0)) {
            let ended = self.daemon.try_wait().expect("its status");
            assert!(ended.is_none(), "the engine ended: {}", log());
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Runs `docker` on this engine.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        command.args(arguments);
        good(end(command))
    }

    /// Copies an image of the other engine.
    pub fn take(&self, image: &str) {
        let archive: PathBuf = self.folder.path().join("image.tar");
        let archive = archive.to_string_lossy();
        docker(&["save", "--output", &archive, image]);
        self.docker(&["load", "--input", &archive]);
        fs::remove_file(&*archive).expect("a file");
    }

    /// Leaves next to nothing of a small disk.
    pub fn fill_disk(&self) {
        assert!(self.disk.is_some(), "the disk is the machine's");
        let root = PathBuf::from(format!("/proc/{}/root", self.daemon.id()));
        let data = self.folder.path().join("data/filler");
        let filler = root.join(data.strip_prefix("/").expect("an absolute path"));
        let mut file = fs::File::create(filler).expect("a file");
        while file.write_all(&[0; 64 * 1024]).is_ok() {}
    }

    /// SIGKILL for the daemon alone; its containers stay.
    pub fn kill_daemon(&mut self) {
        self.daemon.kill().expect("a child can be killed");
        self.daemon.wait().expect("a child can be awaited");
    }

    pub fn restart(&mut self) {
        // What it left says that it and its containerd run.
        for left in ["pid", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(self.folder.path().join(left));
        }
        self.daemon = Self::daemon(self.folder.path(), self.disk);
        self.await_answer();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        // Its containers and its containerd end with it only if it ends well.
        if self.daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
            send(self.daemon.id(), Signal::SIGTERM);
            let _ = self.daemon.wait();
        }
        // Else they are known by the folder, which is nobody else's.
        let folder = self.folder.path().to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = entry.file_name().to_str().and_then(|id| id.parse().ok());
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let (Some(id), true) = (id, String::from_utf8_lossy(&command).contains(&folder)) {
                send(id, Signal::SIGKILL);
            }
        }
    }
}

/// Sends a signal to a process, if it is still there.
fn send(process: u32, signal: Signal) {
    if let Ok(id) = i32::try_from(process) {
        let _ = kill(Pid::from_raw(id), signal);
    }
}
