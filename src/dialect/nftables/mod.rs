//! nftables: one main file for `nft -f`, with the files it includes.

mod attribute;
mod lexer;
mod model;
mod reader;
pub(super) mod rule;
mod source;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_harness::protocol::{Bytes, CandidateSpec, Command, StagedFile, hex};
use glob::{MatchOptions, Pattern};
use sha2::{Digest, Sha256};

use self::{
    lexer::{Kind, Lexer, Token},
    reader::MAX_INCLUDE_DEPTH,
};
use super::{
    PrepareError, Prepared, lexical,
    listing::Ruleset,
    origin::{Files, Origins},
};

/// The most that all files of a candidate may have together, in bytes.
const MAX_TOTAL_BYTES: usize = 256 << 20;

/// Where nft looks for includes by itself (`nft --help`).
const DEFAULT_INCLUDE_FOLDER: &str = "/etc";

/// Reads the candidate and everything it includes. `files` maps absolute paths of the sandbox to files
/// and folders on disk.
///
/// The candidate is loaded from its own folder: `include "./x.nft"` and `include "x.nft"` both find
/// their file beside it, as they do for `cd FOLDER; nft -I . -f FILE`.
pub(super) fn prepare(path: &Path, files: &[(PathBuf, PathBuf)]) -> Result<Prepared, PrepareError> {
    let inside = absolute(path).map_err(|error| problem(path, &error))?;
    let folder = inside.parent().unwrap_or(Path::new("/")).to_owned();
    let mut reader = Reader {
        mapped: mapped_files(files)?,
        folder: folder.clone(),
        staged: BTreeMap::new(),
        total: 0,
    };
    reader.mapped.insert(inside.clone(), path.to_owned());
    reader.read(&inside, path, 0)?;
    for (inside, outside) in reader.mapped.clone() {
        reader.read(&inside, &outside, 0)?;
    }

    let mut hash = Sha256::new();
    let mut shown = Vec::new();
    let mut staged = Vec::new();
    for (inside, (outside, content)) in reader.staged {
        let name = inside.strip_prefix(&folder).unwrap_or(&inside);
        // Lengths keep the boundaries between names and contents apart.
        let name = name.to_string_lossy();
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(&content);
        shown.push((inside.clone(), outside));
        staged.push(StagedFile {
            path: inside,
            content: Bytes(content),
            mode: 0o644,
        });
    }
    // Longer paths first, so that none is replaced inside another.
    shown.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.as_os_str().len()));
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| PrepareError {
                path: path.to_owned(),
                why: "its path is not valid UTF-8".to_owned(),
            })
    };
    let arguments = ["nft".to_owned(), "-I".to_owned(), text(&folder)?];
    Ok(Prepared {
        spec: CandidateSpec {
            files: staged,
            load: vec![Command {
                argv: [&arguments[..], &["-f".to_owned(), text(&inside)?]].concat(),
                cwd: folder.clone(),
                env: Vec::new(),
            }],
            list: list_command(),
            replaced: files
                .iter()
                .filter(|(_, outside)| outside.is_dir())
                .map(|(inside, _)| inside.clone())
                .collect(),
        },
        folder,
        path: path.to_owned(),
        hash: hex(&hash.finalize()),
        shown,
        inside,
    })
}

/// A candidate that is no file but a text, under a name to show.
#[must_use]
pub fn literal(name: &str, text: &str) -> Prepared {
    let inside = PathBuf::from("/tmp").join(name);
    Prepared {
        spec: CandidateSpec {
            replaced: Vec::new(),
            files: vec![StagedFile {
                path: inside.clone(),
                content: Bytes(text.as_bytes().to_vec()),
                mode: 0o644,
            }],
            load: vec![Command {
                argv: vec!["nft".to_owned(), "-f".to_owned(), format!("/tmp/{name}")],
                cwd: PathBuf::from("/tmp"),
                env: Vec::new(),
            }],
            list: list_command(),
        },
        folder: PathBuf::from("/tmp"),
        path: PathBuf::from(name),
        hash: hex(&Sha256::digest(text.as_bytes())),
        shown: vec![(inside.clone(), PathBuf::from(name))],
        inside,
    }
}

/// Where the rules of a listing were written.
pub(super) fn origins(prepared: &Prepared, ruleset: &Ruleset) -> Origins {
    let shown: BTreeMap<&Path, &Path> = prepared
        .shown
        .iter()
        .map(|(inside, outside)| (&**inside, &**outside))
        .collect();
    let mut staged: Vec<&StagedFile> = prepared.spec.files.iter().collect();
    // The main file first.
    staged.sort_by_key(|file| file.path != prepared.inside);
    let read: Vec<(PathBuf, Arc<str>)> = staged
        .iter()
        .map(|file| {
            let name = shown.get(&*file.path).copied().unwrap_or(&file.path);
            let text = String::from_utf8_lossy(&file.content.0);
            (name.to_owned(), Arc::from(text))
        })
        .collect();
    let texts: Vec<Arc<str>> = read.iter().map(|(_, text)| Arc::clone(text)).collect();
    let mut files = Files::new(read);
    let folder = prepared.inside.parent().unwrap_or(Path::new("/"));
    let find = |pattern: &str| {
        let files_of = |pattern: &Path| -> Vec<usize> {
            let staged = staged.iter().enumerate();
            let mut found: Vec<(&Path, usize)> = staged
                .filter(|(_, file)| matches(pattern, &file.path))
                .map(|(number, file)| (&*file.path, number))
                .collect();
            found.sort_by_key(|(path, _)| path.as_os_str());
            found.into_iter().map(|(_, number)| number).collect()
        };
        included(pattern, folder, files_of)
    };
    match source::read(&texts, &mut files, &find) {
        Ok(source) => {
            let tables = attribute::attribute(&source, ruleset, &files);
            Origins::new(files, tables)
        }
        Err(doubt) => Origins::unknown(&format!("{}: {}", files.name(doubt.place), doubt.why)),
    }
}

/// Lists the ruleset with handles, without state and without the elements of named
/// sets.
fn list_command() -> Command {
    Command {
        argv: ["nft", "-s", "-t", "-a", "list", "ruleset"]
            .map(str::to_owned)
            .to_vec(),
        cwd: PathBuf::from("/"),
        env: Vec::new(),
    }
}

struct Reader {
    /// Sandbox path → path on disk, for files that are not at the same path in both.
    mapped: BTreeMap<PathBuf, PathBuf>,
    /// The candidate's folder.
    folder: PathBuf,
    /// Sandbox path → path as the user knows it, content.
    staged: BTreeMap<PathBuf, (PathBuf, Vec<u8>)>,
    total: usize,
}

impl Reader {
    fn read(&mut self, inside: &Path, outside: &Path, depth: usize) -> Result<(), PrepareError> {
        if self.staged.contains_key(inside) || depth > MAX_INCLUDE_DEPTH {
            // A cycle, or a depth that nft will refuse in its own words.
            return Ok(());
        }
        let content = read_file(outside, MAX_TOTAL_BYTES - self.total)?;
        self.total += content.len();
        let included = includes(&String::from_utf8_lossy(&content));
        self.staged
            .insert(inside.to_owned(), (outside.to_owned(), content));
        let shown_folder = outside.parent().unwrap_or(Path::new("")).to_owned();
        for pattern in included {
            for (inside, outside) in self.find(&pattern, &shown_folder) {
                self.read(&inside, &outside, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The files that an include means, as (sandbox path, path to show). None is no error here: nft
    /// says what is missing, and where.
    fn find(&self, pattern: &str, shown_folder: &Path) -> Vec<(PathBuf, PathBuf)> {
        included(pattern, &self.folder, |pattern| {
            let mut found: BTreeMap<PathBuf, PathBuf> = self
                .mapped
                .iter()
                .filter(|(mapped, _)| matches(pattern, mapped))
                .map(|(mapped, outside)| (mapped.clone(), outside.clone()))
                .collect();
            for file in files_matching(pattern) {
                // Shown as the user would reach it, when it is beside the including file.
                let shown = file.strip_prefix(&self.folder).map_or_else(
                    |_| file.clone(),
                    |below| shown_folder_of(shown_folder, &self.folder, below),
                );
                found.entry(file).or_insert(shown);
            }
            found.into_iter().collect()
        })
    }
}

/// What an include means, in the order in which nft reads it (`scanner_include_file`, src/scanner.l): of
/// a name without a folder, the first file along the include path, `/etc` first; but of such a name with
/// wildcards all files along the include path, those of the last folder first.
fn included<T>(pattern: &str, folder: &Path, files_of: impl Fn(&Path) -> Vec<T>) -> Vec<T> {
    let wanted = Path::new(pattern);
    let below = |folder: &Path| files_of(&lexical(&folder.join(wanted)));
    if wanted.is_absolute() || pattern.starts_with("./") || pattern.starts_with("../") {
        return below(folder);
    }
    let default = below(Path::new(DEFAULT_INCLUDE_FOLDER));
    if pattern.contains(['*', '?', '[']) {
        below(folder).into_iter().chain(default).collect()
    } else if default.is_empty() {
        below(folder)
    } else {
        default
    }
}

/// The name of a file below the candidate's folder, in the spelling in which the user named the
/// including file.
fn shown_folder_of(shown_folder: &Path, folder: &Path, below: &Path) -> PathBuf {
    let spelled = shown_folder.join(below);
    match (absolute(&spelled), folder.join(below)) {
        (Ok(reached), wanted) if reached == wanted => spelled,
        (_, wanted) => wanted,
    }
}

/// Reads at most `room` bytes of a regular file. A pipe would keep us waiting, a device or a file of
/// the kernel's own may never end.
fn read_file(path: &Path, room: usize) -> Result<Vec<u8>, PrepareError> {
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
fn mapped_files(files: &[(PathBuf, PathBuf)]) -> Result<BTreeMap<PathBuf, PathBuf>, PrepareError> {
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

/// The quoted names behind the `include` statements of a file, in order.
fn includes(text: &str) -> Vec<String> {
    let tokens: Vec<Token<'_>> = Lexer::new(text).collect();
    tokens
        .windows(2)
        .filter(|pair| {
            (pair[0].kind, pair[0].text) == (Kind::Word, "include") && pair[1].kind == Kind::Quoted
        })
        .map(|pair| pair[1].text.to_owned())
        .collect()
}

/// Wildcards as nft reads them: hidden files are not meant, and a `*` stays within its folder.
const WILDCARDS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What is on disk for an absolute pattern, except for folders, sorted.
fn files_matching(pattern: &Path) -> Vec<PathBuf> {
    glob::glob_with(&pattern.to_string_lossy(), WILDCARDS)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|path| fs::metadata(path).is_ok_and(|metadata| !metadata.is_dir()))
        .collect()
}

/// Whether an absolute pattern means this absolute path.
fn matches(pattern: &Path, path: &Path) -> bool {
    Pattern::new(&pattern.to_string_lossy())
        .is_ok_and(|pattern| pattern.matches_path_with(path, WILDCARDS))
}

/// An absolute path without `.` and `..`, its folder free of links: where the file is in the sandbox.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it does not name a file"))?;
    Ok(fs::canonicalize(folder)?.join(name))
}

fn problem(path: &Path, error: &io::Error) -> PrepareError {
    PrepareError {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_found_outside_comments_and_strings() {
        let text = r#"
            #!/usr/sbin/nft -f
            include "/etc/nft.d/*.nft"   # include "commented.nft"
            define x = 3
            table inet t { chain c { comment "include \"no\"" ; log prefix "include " ; } }
            include	"./b.nft"; include "c.nft"
            include \
                "./d.nft"
            included "not"
        "#;
        assert_eq!(
            includes(text),
            ["/etc/nft.d/*.nft", "./b.nft", "c.nft", "./d.nft"]
        );
    }

    #[test]
    fn a_candidate_brings_the_files_it_includes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("conf.d")).unwrap();
        fs::write(
            at("main.nft"),
            "include \"./conf.d/*.nft\"\ninclude \"missing.nft\"\n",
        )
        .unwrap();
        fs::write(at("conf.d/a.nft"), "include \"./main.nft\"\n").unwrap();
        fs::write(at("conf.d/.hidden.nft"), "").unwrap();
        let prepared = prepare(&at("main.nft"), &[]).unwrap();
        let names: Vec<_> = prepared
            .spec
            .files
            .iter()
            .map(|file| {
                file.path
                    .strip_prefix(folder.path().canonicalize().unwrap())
                    .unwrap()
            })
            .collect();
        assert_eq!(names, [Path::new("conf.d/a.nft"), Path::new("main.nft")]);
    }

    #[test]
    fn mapped_files_stand_in_for_absolute_includes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("main.nft"), "include \"/etc/firedrill-test.d/*.nft\"\n").unwrap();
        fs::write(at("d/x.nft"), "# x\n").unwrap();
        let files = [(PathBuf::from("/etc/firedrill-test.d"), at("d"))];
        let prepared = prepare(&at("main.nft"), &files).unwrap();
        assert!(
            prepared
                .spec
                .files
                .iter()
                .any(|file| file.path == Path::new("/etc/firedrill-test.d/x.nft")
                    && file.content.0 == b"# x\n")
        );
    }

    #[test]
    fn the_hash_changes_with_an_included_file_and_not_with_the_folder() {
        let hash = |content: &str| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("main.nft"), "include \"./b.nft\"\n").unwrap();
            fs::write(folder.path().join("b.nft"), content).unwrap();
            prepare(&folder.path().join("main.nft"), &[]).unwrap().hash
        };
        assert_eq!(hash("# one"), hash("# one"));
        assert_ne!(hash("# one"), hash("# two"));
    }

    #[test]
    fn messages_name_files_as_the_user_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.nft");
        fs::write(&path, "x").unwrap();
        let prepared = prepare(&path, &[]).unwrap();
        let inside = folder.path().canonicalize().unwrap().join("main.nft");
        let message = format!("{}:1:1-1: Error: syntax error", inside.display());
        let expected = format!("{}:1:1-1: Error: syntax error", path.display());
        assert_eq!(prepared.translate(&message), expected);
    }

    #[test]
    fn messages_name_included_files_as_the_user_would() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("main.nft"), "include \"./d/part.nft\"\n").unwrap();
        fs::write(at("d/part.nft"), "x").unwrap();
        let prepared = prepare(&at("main.nft"), &[]).unwrap();
        let message =
            "In file included from ./main.nft:1:1-23:\n./d/part.nft:1:1-1: Error: syntax error\n";
        let expected = format!(
            "In file included from {}:1:1-23:\n{}:1:1-1: Error: syntax error\n",
            at("main.nft").display(),
            at("d/part.nft").display()
        );
        assert_eq!(prepared.translate(message), expected);
    }

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let socket = folder.path().join("socket");
        for path in [
            "/dev/zero",
            "/proc/self/environ",
            "/sys/kernel/uevent_seqnum",
            "/tmp",
        ]
        .map(Path::new)
        .into_iter()
        .chain([&*socket])
        {
            assert!(read_file(path, 10).is_err(), "{}", path.display());
        }
    }
}
