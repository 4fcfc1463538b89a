//! Files on disk: reading a text, and saying in plain words why one cannot be used.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

/// Largest YAML file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a YAML file. The error completes the sentence "the file …".
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    check_file(path)?;
    let file = File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a file that grows meanwhile is noticed too.
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_big());
    }
    String::from_utf8(bytes)
        .map_err(|error| not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()))
}

/// Whether a text that is already in memory may be read.
pub(crate) fn check_size(text: &str) -> Result<(), String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(too_big());
    }
    Ok(())
}

fn too_big() -> String {
    format!("is bigger than {} KiB", MAX_BYTES / 1024)
}

fn not_utf8(bytes: &[u8], valid: usize) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "is UTF-16 text; save it as UTF-8".to_owned();
    }
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    format!(
        "is not UTF-8 text: line {line}, column {column} has the byte 0x{:02x}",
        bytes[valid]
    )
}

/// Whether the path is a file that can be read.
pub(crate) fn check_file(path: &Path) -> Result<(), String> {
    let metadata = metadata(path)?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    readable_file(path, &metadata)
}

/// Whether the path is a folder that can be read.
pub(crate) fn check_folder(path: &Path) -> Result<(), String> {
    if !metadata(path)?.is_dir() {
        return Err("is a file, not a folder".to_owned());
    }
    check_file_or_folder(path)
}

/// Whether the path is a file or folder that can be read.
pub(crate) fn check_file_or_folder(path: &Path) -> Result<(), String> {
    let metadata = metadata(path)?;
    if metadata.is_dir() {
        return fs::read_dir(path)
            .map(|_| ())
            .map_err(|error| reason(&error));
    }
    readable_file(path, &metadata)
}

fn metadata(path: &Path) -> Result<Metadata, String> {
    fs::metadata(path).map_err(|error| reason(&error))
}

fn readable_file(path: &Path, metadata: &Metadata) -> Result<(), String> {
    // Opening a pipe or a device would wait or worse.
    if !metadata.is_file() {
        return Err("is neither a file nor a folder".to_owned());
    }
    File::open(path).map(|_| ()).map_err(|error| reason(&error))
}

/// Completes the sentence "the file …".
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "does not exist: a part of its path is a file".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A path that is relative to a folder.
pub(crate) fn join(folder: &Path, path: &str) -> PathBuf {
    tidy(folder.join(path))
}

/// The path without needless `..`, where leaving them out names the same file.
pub(crate) fn tidy(joined: PathBuf) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(tidy.components().next_back(), Some(Component::Normal(_))) =>
            {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    // Not the same behind a symbolic link.
    match (fs::canonicalize(&joined), fs::canonicalize(&tidy)) {
        (Ok(one), Ok(other)) if one != other => joined,
        (Ok(_), Err(_)) => joined,
        _ => tidy,
    }
}
