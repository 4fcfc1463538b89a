//! Paths to scenarios: finds the files, reads each, and shows the problems of all of them at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    dialect::Replacement,
    scenario::{
        Entry, Scenario, candidates,
        format::words::quote,
        read,
        text::{
            files, include,
            problem::{Draft, Problem, Problems},
            source::{Fingerprint, Sources},
            tree::Kind,
            yaml,
        },
    },
};

/// The folder that names of scenarios start from.
const HOME: &str = "scenarios";
/// What the name of a shared part begins with.
const PART: char = '_';

/// A scenario file that was found.
struct Found {
    id: String,
    file: PathBuf,
}

/// Reads every scenario in these files and folders.
///
/// Folders are searched for `*.yaml` and `*.yml`, except for hidden files and shared parts (whose
/// names begin with `_`). The scenarios come in the order of the paths given, those of a folder
/// sorted by name, those of a file in the order of its candidates.
///
/// # Errors
///
/// All problems of all files: unreadable or malformed files, a folder without a scenario, two files
/// with one identity.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Scenario>, Problems> {
    let mut scenarios = Vec::new();
    each(paths, &[], |_, scenario| scenarios.push(scenario))?;
    Ok(scenarios)
}

/// Reads every scenario as [`load`] does, with what the command line puts in the place of candidates, and lets
/// it go after a `visit`, which gets what it takes to read it again. What was visited counts for nothing where
/// there is an error.
///
/// # Errors
///
/// As [`load`], and a replacement that does not fit.
pub fn each(
    paths: &[PathBuf],
    replacements: &[Replacement],
    mut visit: impl FnMut(Entry, Scenario),
) -> Result<(), Problems> {
    let mut problems = Vec::new();
    if paths.is_empty() {
        problems.push(Problem::general("no scenario file or folder was named"));
    }
    let mut found = Vec::new();
    for path in paths {
        match find(path) {
            Ok(files) => found.extend(files),
            Err(more) => problems.extend(more),
        }
    }
    let found = distinct(found, &mut problems);
    let replacements: Arc<[Replacement]> = replacements.into();
    let mut owners: HashMap<String, PathBuf> = HashMap::new();
    // What does not fit one file mostly fits no other: one is enough.
    let mut unfit = None;
    for Found { id, file } in found {
        let (of_file, fingerprint) = match read_file(&file, &id) {
            Ok(read) => read,
            Err(more) => {
                problems.extend(more.into_vec());
                continue;
            }
        };
        let of_file = match candidates::replace(of_file, &replacements) {
            Ok(of_file) => of_file,
            Err(why) => {
                unfit = unfit.or(Some(Problem::words(&why)));
                continue;
            }
        };
        for scenario in of_file {
            let entry = Entry::new(&scenario, fingerprint, &replacements);
            if let Some(owner) = owners.insert(entry.id.clone(), file.clone()) {
                unfit = unfit.or_else(|| Some(both_called(&owner, &file, &entry.id)));
            }
            visit(entry, scenario);
        }
    }
    if problems.is_empty() {
        problems.extend(unfit);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems::new(problems))
    }
}

/// Reads one file's text, a scenario for each of its candidates; `file` is what messages call it, and what
/// its relative paths start from.
///
/// # Errors
///
/// All problems of the text and of the parts that it includes.
pub fn parse(text: &str, file: &Path, id: &str) -> Result<Vec<Scenario>, Problems> {
    read_text(text, file, id).map(|(scenarios, _)| scenarios)
}

fn read_text(text: &str, file: &Path, id: &str) -> Result<(Vec<Scenario>, Fingerprint), Problems> {
    if let Err(why) = files::check_size(text) {
        let problem = Problem::general(format!("{} {why}", show(file)));
        return Err(Problems::new(vec![problem]));
    }
    let mut sources = Sources::default();
    let number = sources.add(file, text);
    let finish = |sources: &Sources, drafts: Vec<Draft>| {
        let problems = drafts.into_iter().map(|draft| draft.finish(sources));
        Problems::new(problems.collect())
    };
    let merged = match include::document(&mut sources, number) {
        Ok(merged) => merged,
        Err(drafts) => return Err(finish(&sources, drafts)),
    };
    let about = read::About {
        id,
        file: number,
        incomplete: merged.incomplete,
        strangers: Vec::new(),
    };
    let mut drafts = merged.problems;
    match read::scenario(&sources, &merged.root, &about) {
        Ok(scenario) if drafts.is_empty() => {
            return Ok((candidates::against_each(scenario), sources.fingerprint()));
        }
        Ok(_) => {}
        Err(more) => drafts.extend(more),
    }
    Err(finish(&sources, drafts))
}

/// The scenario of a file with other tests than its own: each a text that stands below `tests:`, without
/// indentation. Those that do not fit its world are left out; the second list says which of the texts each
/// case comes from. `None` if the file cannot be read any more.
pub(crate) fn with_tests(
    file: &Path,
    id: &str,
    tests: &[String],
) -> Option<(Scenario, Vec<usize>)> {
    let text = files::read_text(file).ok()?;
    let mut left: Vec<usize> = (0..tests.len()).collect();
    while !left.is_empty() {
        let mut sources = Sources::default();
        let own = sources.add(file, &text);
        let mut merged = include::document(&mut sources, own).ok()?;
        let mut other = String::from("tests:\n");
        // Where each begins.
        let starts: Vec<usize> = left
            .iter()
            .map(|test| {
                let start = other.len();
                other += &format!("  {}\n", tests[*test].trim_end().replace('\n', "\n  "));
                start
            })
            .collect();
        let number = sources.add(file, &other);
        let Kind::Map(tests) = yaml::parse(&sources, number).ok()?.kind else {
            return None;
        };
        if let Kind::Map(entries) = &mut merged.root.kind {
            entries.retain(|entry| entry.key.text != "tests");
            entries.extend(tests);
        }
        let about = read::About {
            id,
            file: own,
            incomplete: merged.incomplete,
            strangers: Vec::new(),
        };
        let test_at = |at: usize| starts.partition_point(|start| *start <= at).checked_sub(1);
        match read::scenario(&sources, &merged.root, &about) {
            Ok(scenario) => {
                let line = |start: &usize| other[..*start].matches('\n').count() + 1;
                let lines: Vec<usize> = starts.iter().map(line).collect();
                let of_case = scenario.cases.iter().map(|case| {
                    let before = lines.partition_point(|line| *line <= case.at.line);
                    left[before.saturating_sub(1)]
                });
                let of_case = of_case.collect();
                return Some((scenario, of_case));
            }
            Err(problems) => {
                let bad: HashSet<usize> = problems
                    .iter()
                    .filter(|problem| problem.at.file == number)
                    .filter_map(|problem| test_at(problem.at.start))
                    .collect();
                if bad.is_empty() {
                    return None;
                }
                let mut position = 0;
                left.retain(|_| {
                    position += 1;
                    !bad.contains(&(position - 1))
                });
            }
        }
    }
    None
}

/// Reads one file as [`parse`] does.
pub(super) fn read_file(file: &Path, id: &str) -> Result<(Vec<Scenario>, Fingerprint), Problems> {
    match files::read_text(file) {
        Ok(text) => read_text(&text, file, id),
        Err(why) => {
            let problem = Problem::general(format!("the scenario {} {why}", show(file)));
            Err(Problems::new(vec![problem]))
        }
    }
}

fn show(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// The scenario files of one path that was given.
fn find(path: &Path) -> Result<Vec<Found>, Vec<Problem>> {
    let is_folder = match fs::metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => {
            let why = files::reason(&error);
            return Err(vec![Problem::general(format!("{} {why}", show(path)))]);
        }
    };
    if !is_folder {
        if is_part(path) {
            let message = format!("{} is a shared part, not a scenario", show(path));
            return Err(vec![Problem::general(message).help(
                "files whose names begin with `_` are only there to be included",
            )]);
        }
        let id = identity_of_file(path).ok_or_else(|| vec![not_utf8(path)])?;
        let file = path.to_path_buf();
        return Ok(vec![Found { id, file }]);
    }
    let mut walk = Walk {
        root: path,
        prefix: below_home(path).unwrap_or_default(),
        found: Vec::new(),
        problems: Vec::new(),
        seen: HashSet::new(),
    };
    walk.folder(path);
    if walk.found.is_empty() && walk.problems.is_empty() {
        let problem = Problem::general(format!("there is no scenario in {}", show(path))).help(
            "a scenario is a file `*.yaml` or `*.yml` whose name does not begin with `_` or `.`",
        );
        walk.problems.push(problem);
    }
    if walk.problems.is_empty() {
        Ok(walk.found)
    } else {
        Err(walk.problems)
    }
}

fn not_utf8(path: &Path) -> Problem {
    Problem::general(format!("the name of {} is not UTF-8 text", show(path)))
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(PART)
}

/// Below the nearest folder called `scenarios`, or the bare name.
fn identity_of_file(path: &Path) -> Option<String> {
    let below =
        below_home(path).unwrap_or_else(|| PathBuf::from(path.file_name().unwrap_or_default()));
    identity(&below)
}

/// The path below the nearest folder called `scenarios`, if it is in one: a scenario is called the same
/// whether its file, its folder or all scenarios were asked for.
fn below_home(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let absolute = files::tidy(absolute);
    let home = absolute
        .ancestors()
        .find(|folder| folder.is_dir() && folder.file_name().is_some_and(|name| name == HOME))?;
    absolute.strip_prefix(home).ok().map(Path::to_path_buf)
}

/// A relative path without extension, joined by `/`.
fn identity(path: &Path) -> Option<String> {
    let stem = path.with_extension("");
    let parts: Option<Vec<&str>> = stem
        .components()
        .map(|component| component.as_os_str().to_str())
        .collect();
    Some(parts?.join("/"))
}

/// A search through a folder.
struct Walk<'p> {
    root: &'p Path,
    /// What names begin with: the path of `root` below the folder of all scenarios.
    prefix: PathBuf,
    found: Vec<Found>,
    problems: Vec<Problem>,
    /// The folders that were searched, under their real names: symbolic links may lead back.
    seen: HashSet<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path) {
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        if !self.seen.insert(real) {
            return;
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => {
                let why = files::reason(&error);
                let message = format!("the folder {} {why}", show(folder));
                self.problems.push(Problem::general(message));
                return;
            }
        };
        paths.sort();
        for path in paths {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                self.folder(&path);
            } else if is_yaml(&path) && !is_part(&path) {
                self.file(path);
            }
        }
    }

    fn file(&mut self, file: PathBuf) {
        let below = file.strip_prefix(self.root).unwrap_or(&file);
        match identity(&self.prefix.join(below)) {
            Some(id) => self.found.push(Found { id, file }),
            None => self.problems.push(not_utf8(&file)),
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn both_called(one: &Path, other: &Path, id: &str) -> Problem {
    let (one, other) = (show(one), show(other));
    let message = format!("{one} and {other} are both called {}", quote(id));
    Problem::general(message).help("rename one of the files, or a candidate")
}

/// Every file once; two files with one identity are a problem.
fn distinct(found: Vec<Found>, problems: &mut Vec<Problem>) -> Vec<Found> {
    let mut files: HashSet<PathBuf> = HashSet::new();
    let mut owners: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut kept = Vec::new();
    for scenario in found {
        let real = fs::canonicalize(&scenario.file).unwrap_or_else(|_| scenario.file.clone());
        if !files.insert(real) {
            continue;
        }
        if let Some(owner) = owners.get(&scenario.id) {
            problems.push(both_called(owner, &scenario.file, &scenario.id));
        }
        owners.insert(scenario.id.clone(), scenario.file.clone());
        kept.push(scenario);
    }
    kept
}
