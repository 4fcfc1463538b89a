//! nftables: one main file for `nft -f`, with the files it includes.

mod attribute;
mod model;
mod reader;
mod source;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_harness::protocol::{Bytes, Command, StagedFile};
use glob::{MatchOptions, Pattern};

use self::reader::MAX_INCLUDE_DEPTH;
use super::{
    CANDIDATE, Config, Dialect, Kind as SlotKind, Loadable, Need, PrepareError, Prepared, Slot,
    lexical,
    stage::{MAX_TOTAL_BYTES, Staged, absolute, folders, mapped_files, problem, read_file},
};
use crate::ruleset::lexer::{Kind, Lexer, Token};
use crate::ruleset::listing::Ruleset;
use crate::ruleset::origin::{Files, Origins};

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "nftables",
    doc: "The ruleset under test: a file for `nft -f`, relative to this file.",
    slots: &[Slot {
        name: "ruleset",
        what: "ruleset",
        kind: SlotKind::File,
        need: Need::Required,
        doc: "The main file.",
    }],
    programs: &[("nft", "nftables")],
    prepare: |config, files| {
        let main = config.main();
        prepare(&main, files).map(|prepared| Prepared {
            config: config.clone(),
            ..prepared
        })
    },
    origins,
    explain: |_, _| None,
};

/// Where nft looks for includes by itself (`nft --help`).
const DEFAULT_INCLUDE_FOLDER: &str = "/etc";

/// Reads the candidate and everything it includes. `files` maps absolute paths of the sandbox to files
/// and folders on disk.
///
/// The candidate is loaded from its own folder: `include "./x.nft"` and `include "x.nft"` both find
/// their file beside it, as they do for `cd FOLDER; nft -I . -f FILE`.
fn prepare(path: &Path, files: &[(PathBuf, PathBuf)]) -> Result<Prepared, PrepareError> {
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
    let mut staged: Vec<Staged> = reader
        .staged
        .into_iter()
        .map(|(inside, (outside, content))| staged(inside, outside, content))
        .collect();
    staged.sort_by_key(|staged| staged.file.path != inside);
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| PrepareError {
                path: path.to_owned(),
                why: "its path is not valid UTF-8".to_owned(),
            })
    };
    let include = ["-I".to_owned(), text(&folder)?];
    Ok(loaded_from(folder, staged, &include, text(&inside)?, files))
}

/// A candidate that is no file but a text, under a name to show.
#[must_use]
pub fn literal(name: &str, text: &str) -> Loadable {
    let path = PathBuf::from(name);
    Loadable::new(path.clone(), vec![literal_layer(name, text)])
}

fn literal_layer(name: &str, text: &str) -> Prepared {
    let inside = PathBuf::from("/tmp").join(name);
    let main = inside.to_string_lossy().into_owned();
    let staged = staged(inside, name.into(), text.as_bytes().to_vec());
    let prepared = loaded_from("/tmp".into(), vec![staged], &[], main, &[]);
    Prepared {
        config: Config::of(&DIALECT, name),
        ..prepared
    }
}

fn staged(path: PathBuf, shown: PathBuf, content: Vec<u8>) -> Staged {
    Staged {
        file: StagedFile {
            path,
            content: Bytes(content),
            mode: 0o644,
        },
        shown,
    }
}

fn loaded_from(
    folder: PathBuf,
    staged: Vec<Staged>,
    options: &[String],
    main: String,
    files: &[(PathBuf, PathBuf)],
) -> Prepared {
    let argv = [&["nft".to_owned()], options, &["-f".to_owned(), main]].concat();
    Prepared {
        name: CANDIDATE.to_owned(),
        config: Config::new(&DIALECT),
        files: staged,
        replaced: folders(files),
        writable: Vec::new(),
        several_ids: false,
        load: vec![Command {
            argv,
            cwd: folder.clone(),
            env: Vec::new(),
        }],
        folder,
        compiled: Vec::new(),
    }
}

/// Where the rules of a listing were written.
fn origins(prepared: &Prepared, ruleset: &Ruleset, _compiled: &[String]) -> Origins {
    let staged = &prepared.files;
    let read: Vec<(PathBuf, Arc<str>)> = staged
        .iter()
        .map(|staged| {
            let text = String::from_utf8_lossy(&staged.file.content.0);
            (staged.shown.clone(), Arc::from(text))
        })
        .collect();
    let texts: Vec<Arc<str>> = read.iter().map(|(_, text)| Arc::clone(text)).collect();
    let mut files = Files::new(read);
    let folder = &prepared.folder;
    let find = |pattern: &str| {
        let files_of = |pattern: &Path| -> Vec<usize> {
            let staged = staged.iter().enumerate();
            let mut found: Vec<(&Path, usize)> = staged
                .map(|(number, staged)| (&*staged.file.path, number))
                .filter(|(path, _)| matches(pattern, path))
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
pub(super) fn list_command() -> Command {
    nft(&["-s", "-t", "-a", "list", "ruleset"])
}

/// Lists the ruleset with the elements of its sets.
pub(super) fn list_elements_command() -> Command {
    nft(&["-s", "-a", "list", "ruleset"])
}

/// Lists the ruleset with its counters and the elements of its sets.
pub(super) fn list_state_command() -> Command {
    nft(&["-n", "list", "ruleset"])
}

fn nft(arguments: &[&str]) -> Command {
    let argv = ["nft"].iter().chain(arguments);
    Command {
        argv: argv.map(|word| (*word).to_owned()).collect(),
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
            .files
            .iter()
            .map(|staged| {
                staged
                    .file
                    .path
                    .strip_prefix(folder.path().canonicalize().unwrap())
                    .unwrap()
            })
            .collect();
        assert_eq!(names, [Path::new("main.nft"), Path::new("conf.d/a.nft")]);
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
                .files
                .iter()
                .map(|staged| &staged.file)
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
            let prepared = prepare(&folder.path().join("main.nft"), &[]).unwrap();
            Loadable::new("main.nft".into(), vec![prepared]).hash
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
