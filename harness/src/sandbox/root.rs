//! The private root: a copy-on-write view of this machine's programs and settings, in which nothing
//! that is written reaches a real file.
//!
//! In a user namespace `/` itself cannot be the lower layer of an overlay, because a directory with
//! mounts below it is refused. So the root is a fresh tmpfs with one overlay per directory that has no
//! mounts below it; directories that have some are rebuilt one level deeper. Only directories that hold
//! programs and settings are shown; `/home`, `/root`, `/srv` and the like are not there at all.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, chroot, pivot_root},
};

use firedrill_wire::protocol::Broken;

use crate::{
    error::Doing,
    sandbox::home::{AGENT_FOLDER, Home},
};

/// Where the new root is assembled: it is covered in this mount namespace only. An image need not have it.
const ASSEMBLY: &str = "/tmp";

/// What is shown of `/`: where programs, their libraries and their settings live. Nothing else is
/// there, people's own data least of all.
const SHOWN: &[&str] = &[
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr",
];

/// Of a container's `/`, which holds an image and nobody's data, this is not shown: what is fresh or the
/// kernel's.
const NOT_SHOWN: &[&str] = &[".firedrill", "dev", "proc", "run", "sys", "tmp"];

/// What of a fresh `/proc` is the whole machine's. A container's root may be the machine's root, so it is
/// what container engines protect as well (opencontainers/runtime-spec, `readonlyPaths`, `maskedPaths`).
const READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Never shown to a container's programs; see [`READ_ONLY`].
const MASKED: &[&str] = &[
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Devices that programs expect; shown, not made: a user namespace may not make any.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];

/// What the private root may hold, in memory: everything that is written inside counts, in whichever
/// folder. A candidate has 256 MiB at most; the number of files bounds what the kernel keeps of them.
const ROOT_OPTIONS: &str = "mode=755,size=512m,nr_inodes=128k";

/// Holds the files and folders that cover others, inside the private root.
const ASIDE: &str = "/run/firedrill";

/// The deepest directory that is rebuilt level by level because of mounts below it.
const MAX_DEPTH: usize = 8;

/// Builds the root and moves this process into it. The mount namespace must be private already; `proc`
/// is mounted for the current PID namespace, `sysfs` for the current network namespace.
pub(crate) fn enter(home: Home) -> Result<(), Broken> {
    mount_simple(
        "none",
        "/",
        None,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None,
    )
    .doing(|| "make the mounts private")?;
    let mounts = mount_points()?;
    let assembly = match home {
        Home::Machine => ASSEMBLY,
        Home::Container => AGENT_FOLDER,
    };
    mount_simple(
        "tmpfs",
        assembly,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(ROOT_OPTIONS),
    )
    .doing(|| "mount the private root")?;
    let root = Path::new(assembly);
    let layers = root.join(".layers");
    make_directory(&layers)?;
    let mut builder = Builder {
        mounts,
        layers,
        home,
        count: 0,
    };
    builder.children(Path::new("/"), root, 0)?;
    for name in [
        "dev",
        "tmp",
        "var/lib",
        "var/cache",
        "var/log",
        "var/tmp",
        "run/lock",
        "root",
    ] {
        make_directory(&root.join(name))?;
    }
    // An image has it already, and also the link where it has a `/var`.
    let run = root.join("var/run");
    if run.symlink_metadata().is_err() {
        symlink("/run", run).doing(|| "make /var/run")?;
    }
    for name in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o1777))
            .doing(|| format!("open /{name} for everybody"))?;
    }
    devices(root)?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let proc = root.join("proc");
    mount_at(&proc, "proc", quiet)?;
    let sys = root.join("sys");
    if home == Home::Container {
        protect_proc(&proc)?;
        mount_at(&sys, "sysfs", quiet | MsFlags::MS_RDONLY)?;
        return move_into(root);
    }
    // The kernel lets nobody mount more than is there already, and containers have it read-only.
    mount_at(&sys, "sysfs", quiet)
        .or_else(|_| mount_at(&sys, "sysfs", quiet | MsFlags::MS_RDONLY))?;

    chdir(root).doing(|| "enter the private root")?;
    // The old root is stacked on the new one and taken away (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").doing(|| "change to the private root")?;
    umount2(".", MntFlags::MNT_DETACH).doing(|| "let the real root go")?;
    chdir("/").doing(|| "enter the private root")
}

/// Puts the private root over the container's (as switch_root(8) does): Docker's seccomp profile allows no
/// pivot_root(2). What is below can only be reached with `CAP_SYS_CHROOT`, which the candidate's programs
/// have not, and holds nothing but the image.
fn move_into(root: &Path) -> Result<(), Broken> {
    let doing = || "change to the private root";
    chdir(root).doing(doing)?;
    mount_simple(".", "/", None, MsFlags::MS_MOVE, None).doing(doing)?;
    chroot(".").and_then(|()| chdir("/")).doing(doing)
}

/// Keeps a fresh `/proc` from changing the machine: its settings are read-only, but for those of networks,
/// which the kernel shows and changes for the network namespace of whoever asks.
fn protect_proc(proc: &Path) -> Result<(), Broken> {
    let protect = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
    let protect = protect | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let remount = |path: &Path, flags| {
        mount_simple("none", &path.to_string_lossy(), None, flags, None)
            .doing(|| format!("protect {}", path.display()))
    };
    for name in READ_ONLY {
        let path = proc.join(name);
        if path.exists() {
            bind(&path, &path).doing(|| format!("protect {}", path.display()))?;
            remount(&path, protect | MsFlags::MS_RDONLY)?;
        }
    }
    let networks = proc.join("sys/net");
    bind(&networks, &networks).doing(|| "show the settings of networks")?;
    remount(&networks, protect)?;
    for name in MASKED {
        let path = proc.join(name);
        if path.is_dir() {
            mount_at(&path, "tmpfs", MsFlags::MS_RDONLY)?;
        } else if path.exists() {
            bind(Path::new("/dev/null"), &path).doing(|| format!("hide {}", path.display()))?;
        }
    }
    Ok(())
}

/// Covers a folder of the private root with an empty one, made if it is not there.
pub(crate) fn cover_folder(folder: &Path) -> Result<(), Broken> {
    make_directory(folder)?;
    let cover = aside()?;
    make_directory(&cover)?;
    bind(&cover, folder).doing(|| format!("cover {} in the sandbox", folder.display()))
}

/// Makes a file or folder of the private root, with everything in it, one that the candidate's programs
/// may write to: a copy, which belongs to root of the sandbox. What is not there, or not readable, is
/// passed over.
pub(crate) fn make_writable(path: &Path) -> Result<(), Broken> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    let doing = || format!("make {} writable in the sandbox", path.display());
    let cover = aside()?;
    copy_tree(path, &cover, &metadata).doing(doing)?;
    bind(&cover, path).doing(doing)
}

fn copy_tree(from: &Path, to: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        // One that this user may not list is empty.
        fs::create_dir(to)?;
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let metadata = entry.metadata()?;
            if metadata.is_symlink() {
                symlink(fs::read_link(&from)?, &to)?;
            } else if metadata.is_dir() || metadata.is_file() {
                copy_tree(&from, &to, &metadata)?;
            }
        }
    } else if let Err(error) = fs::copy(from, to) {
        return match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(()),
            _ => Err(error),
        };
    }
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))
}

/// Writes a file of the private root.
///
/// A file that the machine has there too belongs, where only one user id is mapped, to somebody
/// unknown, and cannot be replaced; it can be covered.
pub(crate) fn write_file(path: &Path, content: &[u8], mode: u32) -> Result<(), Broken> {
    let doing = || format!("write {} in the sandbox", path.display());
    let write = |path: &Path| {
        fs::write(path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    if let Some(folder) = path.parent() {
        make_directory(folder)?;
    }
    let exists = path.symlink_metadata().is_ok();
    match write(path) {
        Ok(()) => Ok(()),
        Err(error) if !exists => Err(Broken::new(doing(), error)),
        Err(_) => {
            let cover = aside()?;
            write(&cover).doing(doing)?;
            bind(&cover, path).doing(doing)
        }
    }
}

/// A fresh name for something that covers something else.
fn aside() -> Result<PathBuf, Broken> {
    let aside = Path::new(ASIDE);
    make_directory(aside)?;
    let number = fs::read_dir(aside).map_or(0, Iterator::count);
    Ok(aside.join(number.to_string()))
}

struct Builder {
    /// Every mount point of the machine.
    mounts: BTreeSet<PathBuf>,
    /// Holds the upper and work directories of the overlays.
    layers: PathBuf,
    home: Home,
    count: usize,
}

impl Builder {
    /// Shows the entries of `source` below `target`.
    fn children(&mut self, source: &Path, target: &Path, depth: usize) -> Result<(), Broken> {
        let entries = match fs::read_dir(source) {
            Ok(entries) => entries,
            // A directory this user may not list shows nothing.
            Err(_) => return Ok(()),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let shown = match self.home {
                Home::Machine => SHOWN.iter().any(|shown| *shown == name),
                Home::Container => !NOT_SHOWN.iter().any(|hidden| *hidden == name),
            };
            if depth == 0 && !shown {
                continue;
            }
            let (from, to) = (entry.path(), target.join(&name));
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() {
                let points_to =
                    fs::read_link(&from).doing(|| format!("read {}", from.display()))?;
                symlink(points_to, &to).doing(|| format!("show {}", from.display()))?;
            } else if kind.is_dir() {
                self.directory(&from, &to, depth)?;
            } else if kind.is_file() && depth > 0 {
                // Only beside a mount point; a file that this user may not read is not shown.
                match fs::copy(&from, &to) {
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                        return Err(error).doing(|| format!("copy {}", from.display()));
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn directory(&mut self, from: &Path, to: &Path, depth: usize) -> Result<(), Broken> {
        make_directory(to)?;
        let mode = fs::metadata(from).map_or(0o755, |metadata| metadata.mode() & 0o777);
        // Mounts in the way are those that no user namespace may take apart. A container has a few files
        // of its engine's.
        if self.home == Home::Container || !self.has_mounts_below(from) {
            match self.overlay(from, to) {
                Ok(()) => return self.files_mounted_in(from, to),
                // A name with a comma or a file system that cannot be a lower layer.
                Err(_) if depth < MAX_DEPTH => {}
                Err(error) => return Err(error),
            }
        }
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        self.children(from, to, depth + 1)?;
        // Best effort: the directory is ours, only its look differs if this fails.
        let _ = fs::set_permissions(to, fs::Permissions::from_mode(mode | 0o700));
        Ok(())
    }

    /// Copies the files that are mounted over those of a directory (`/etc/hosts`), which its overlay does
    /// not show.
    fn files_mounted_in(&self, from: &Path, to: &Path) -> Result<(), Broken> {
        for mount in self.mounts.iter().filter(|mount| mount.starts_with(from)) {
            if let (Ok(name), true) = (mount.strip_prefix(from), mount.is_file()) {
                fs::copy(mount, to.join(name)).doing(|| format!("copy {}", mount.display()))?;
            }
        }
        Ok(())
    }

    fn has_mounts_below(&self, directory: &Path) -> bool {
        self.mounts
            .iter()
            .any(|mount| mount != directory && mount.starts_with(directory))
    }

    fn overlay(&mut self, lower: &Path, target: &Path) -> Result<(), Broken> {
        self.count += 1;
        let upper = self.layers.join(format!("{}", self.count));
        let work = self.layers.join(format!("{}.work", self.count));
        make_directory(&upper)?;
        make_directory(&work)?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={},userxattr",
            lower.display(),
            upper.display(),
            work.display()
        );
        let target = target.to_string_lossy();
        mount_simple(
            "overlay",
            &target,
            Some("overlay"),
            MsFlags::empty(),
            Some(&options),
        )
        .doing(|| format!("show {} copy-on-write", lower.display()))
    }
}

/// A minimal `/dev`: the devices everybody needs, and a terminal family of its own.
fn devices(root: &Path) -> Result<(), Broken> {
    let dev = root.join("dev");
    for name in DEVICES {
        let real = Path::new("/dev").join(name);
        if !real.exists() {
            continue;
        }
        let shown = dev.join(name);
        fs::write(&shown, b"").doing(|| format!("make /dev/{name}"))?;
        bind(&real, &shown).doing(|| format!("show /dev/{name}"))?;
        // A device can be written to all the same; its node, which is the machine's, can not be
        // touched. Best effort: no more than a time stamp is at stake.
        let untouchable = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let flags = untouchable | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let _ = mount_simple("none", &shown.to_string_lossy(), None, flags, None);
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).doing(|| format!("make /dev/{name}"))?;
    }
    let pts = dev.join("pts");
    make_directory(&pts)?;
    mount_simple(
        "devpts",
        &pts.to_string_lossy(),
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=620"),
    )
    .doing(|| "mount /dev/pts")
}

fn mount_at(target: &Path, kind: &str, flags: MsFlags) -> Result<(), Broken> {
    make_directory(target)?;
    mount_simple(kind, &target.to_string_lossy(), Some(kind), flags, None)
        .doing(|| format!("mount a fresh {kind}"))
}

/// Shows a file or folder at another place as well.
fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    let (source, target) = (source.to_string_lossy(), target.to_string_lossy());
    mount_simple(&source, &target, None, MsFlags::MS_BIND, None)
}

fn mount_simple(
    source: &str,
    target: &str,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> nix::Result<()> {
    mount(Some(source), target, kind, flags, options)
}

fn make_directory(path: &Path) -> Result<(), Broken> {
    fs::create_dir_all(path).doing(|| format!("make {}", path.display()))
}

/// The mount points of this mount namespace (proc_pid_mountinfo(5), fifth field).
fn mount_points() -> Result<BTreeSet<PathBuf>, Broken> {
    let table =
        fs::read_to_string("/proc/thread-self/mountinfo").doing(|| "read the mount table")?;
    Ok(table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| PathBuf::from(unescape(field)))
        .collect())
}

/// Spaces, tabs, newlines and backslashes stand as three octal digits.
fn unescape(field: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(field.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}
