//! Reads the files of a configuration from disk, for the sandbox.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use firedrill_harness::protocol::{Bytes, StagedFile};

use super::PrepareError;

/// The most that all files of a configuration may have together, in bytes.
pub(super) const MAX_TOTAL_BYTES: usize = 256 << 20;

/// A file for the sandbox, and how the user knows it.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) file: StagedFile,
    pub(crate) shown: PathBuf,
}

/// Collects the files of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) files: Vec<Staged>,
    total: usize,
}

impl Stage {
    /// A file on disk, for this path in the sandbox; the owner's rights stay what they are.
    pub(crate) fn file(&mut self, inside: &Path, outside: &Path) -> Result<(), PrepareError> {
        let content = read_file(outside, MAX_TOTAL_BYTES - self.total)?;
        self.total += content.len();
        let mode = fs::metadata(outside).map_or(0o644, |metadata| metadata.permissions().mode());
        self.files.push(Staged {
            file: StagedFile {
                path: inside.to_owned(),
                content: Bytes(content),
                mode: mode & 0o777,
            },
            shown: outside.to_owned(),
        });
        Ok(())
    }

    /// Files and everything in folders, as in the `files:` of a scenario: path in the sandbox, path on disk.
    pub(crate) fn further(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), PrepareError> {
        let files = mapped_files(files)?;
        files
            .iter()
            .try_for_each(|(inside, outside)| self.file(inside, outside))
    }

    /// A text that we wrote, under a name to show.
    pub(crate) fn text(&mut self, inside: impl Into<PathBuf>, shown: &Path, text: &str) {
        self.files.push(Staged {
            file: StagedFile {
                path: inside.into(),
                content: Bytes(text.as_bytes().to_vec()),
                mode: 0o644,
            },
            shown: shown.to_owned(),
        });
    }
}

/// Of the `files:` of a scenario the folders, which hold nothing else then.
pub(crate) fn folders(files: &[(PathBuf, PathBuf)]) -> Vec<PathBuf> {
    let folders = files.iter().filter(|(_, outside)| outside.is_dir());
    folders.map(|(inside, _)| inside.clone()).collect()
}

/// Reads at most `room` bytes of a regular file. A pipe would keep us waiting, a device or a file of
/// the kernel's own may never end.
pub(super) fn read_file(path: &Path, room: usize) -> Result<Vec<u8>, PrepareError> {
    let refuse = |why: &str| {
        Err(PrepareError {
            path: path.to_owned(),
            why: why.to_owned(),
        })
    };
    let real = fs::canonicalize(path).map_err(|error| problem(path, &error))?;
    if ["/proc", "/sys"]
        .iter()
        .any(|kernel| real.starts_with(kernel))
    {
        return refuse("it is the kernel's, not a file on disk");
    }
    let metadata = fs::metadata(&real).map_err(|error| problem(path, &error))?;
    if metadata.is_dir() {
        return refuse("it is a folder");
    }
    if !metadata.is_file() {
        return refuse("it is neither a file nor a folder");
    }
    let mut content = Vec::new();
    // One byte more than there is room for, so that a file that grows meanwhile is noticed too.
    fs::File::open(&real)
        .and_then(|file| file.take(room as u64 + 1).read_to_end(&mut content))
        .map_err(|error| problem(path, &error))?;
    if content.len() > room {
        let limit = MAX_TOTAL_BYTES >> 20;
        return refuse(&format!("with it the candidate has more than {limit} MiB"));
    }
    Ok(content)
}

/// Everything but folders behind the `files:` of a scenario.
pub(super) fn mapped_files(
    files: &[(PathBuf, PathBuf)],
) -> Result<BTreeMap<PathBuf, PathBuf>, PrepareError> {
    let mut mapped = BTreeMap::new();
    let mut pending: Vec<(PathBuf, PathBuf)> = files.to_vec();
    while let Some((inside, outside)) = pending.pop() {
        let metadata = fs::metadata(&outside).map_err(|error| problem(&outside, &error))?;
        if !metadata.is_dir() {
            mapped.insert(inside, outside);
            continue;
        }
        let entries = fs::read_dir(&outside).map_err(|error| problem(&outside, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| problem(&outside, &error))?;
            // A link to a folder could lead round in a circle.
            let kind = entry
                .file_type()
                .map_err(|error| problem(&entry.path(), &error))?;
            if !kind.is_symlink() || entry.path().is_file() {
                pending.push((inside.join(entry.file_name()), entry.path()));
            }
        }
    }
    Ok(mapped)
}

pub(super) fn problem(path: &Path, error: &io::Error) -> PrepareError {
    PrepareError {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

/// An absolute path without `.` and `..`, its folder free of links: where the file is in the sandbox.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it does not name a file"))?;
    Ok(fs::canonicalize(folder)?.join(name))
}
