//! `include:`: shared parts are merged into the tree of the file that names them, before anything is
//! read; every node remembers the file it came from.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    dialect::Dialect,
    scenario::{
        format::words::quote,
        text::{
            files,
            problem::Draft,
            source::{Sources, Span},
            tree::{Entry, Kind, Node, Word},
            yaml,
        },
    },
};

/// Deepest chain of parts that include parts.
const MAX_DEPTH: usize = 16;
/// Most parts of one scenario.
const MAX_PARTS: usize = 64;

/// Keys that are about one file and are not taken over from a part.
const OWN_KEYS: [&str; 2] = ["name", "purpose"];
/// Keys whose lists are put one after the other.
const LIST_KEYS: [&str; 2] = ["tags", "tests"];

/// A document with its parts.
pub(crate) struct Merged {
    pub(crate) root: Node,
    /// A part is missing.
    pub(crate) incomplete: bool,
    pub(crate) problems: Vec<Draft>,
}

struct Includer<'s> {
    sources: &'s mut Sources,
    problems: Vec<Draft>,
    incomplete: bool,
    /// The files that are being read, from the scenario to the current part.
    chain: Vec<PathBuf>,
    /// The parts that are in the tree already.
    done: HashSet<PathBuf>,
}

/// The document in file number `file`, with everything that it includes.
pub(crate) fn document(sources: &mut Sources, file: usize) -> Result<Merged, Vec<Draft>> {
    let root = yaml::parse(sources, file)?;
    let start = identity(&sources.get(file).path);
    let mut includer = Includer {
        sources,
        problems: Vec::new(),
        incomplete: false,
        chain: vec![start],
        done: HashSet::new(),
    };
    let root = if let Kind::Null = root.kind {
        let start = Span {
            file,
            start: 0,
            end: 0,
        };
        includer.problem(start, "the file is empty".to_owned());
        includer.incomplete = true;
        Node {
            span: root.span,
            kind: Kind::Map(Vec::new()),
        }
    } else {
        includer.expand(root)
    };
    Ok(Merged {
        root,
        incomplete: includer.incomplete,
        problems: includer.problems,
    })
}

/// The same for every name of a file.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

impl Includer<'_> {
    fn problem(&mut self, at: Span, message: String) -> &mut Draft {
        let index = self.problems.len();
        self.problems.push(Draft::new(at, message));
        &mut self.problems[index]
    }

    /// Takes the parts into the tree in place of its `include:`.
    fn expand(&mut self, mut root: Node) -> Node {
        let Kind::Map(entries) = &mut root.kind else {
            return root;
        };
        let Some(index) = entries.iter().position(|entry| entry.key.text == "include") else {
            return root;
        };
        let include = entries.remove(index);
        let own = std::mem::take(entries);
        let mut merged = Vec::new();
        for part in self.parts(&include) {
            merged = merge_documents(merged, part);
        }
        root.kind = Kind::Map(merge_documents(merged, own));
        root
    }

    fn parts(&mut self, include: &Entry) -> Vec<Vec<Entry>> {
        let at = include.key.word().span;
        let items = match &include.value.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Scalar(_) => std::slice::from_ref(&include.value),
            Kind::Map(_) | Kind::Null => {
                self.incomplete = true;
                self.problem(
                    at,
                    "expected the path of a shared part, or a list of paths".to_owned(),
                );
                return Vec::new();
            }
        };
        let mut parts = Vec::new();
        for item in items {
            let Kind::Scalar(scalar) = &item.kind else {
                self.incomplete = true;
                self.problem(at, "expected the path of a shared part".to_owned());
                continue;
            };
            parts.extend(self.part(scalar.word().trim()));
        }
        parts
    }

    fn part(&mut self, word: Word<'_>) -> Option<Vec<Entry>> {
        let path = files::join(self.sources.folder(word.span.file), word.text);
        let identity = identity(&path);
        if self.chain.contains(&identity) {
            self.incomplete = true;
            let files: Vec<String> = self
                .chain
                .iter()
                .skip_while(|file| **file != identity)
                .chain([&identity])
                .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
                .collect();
            self.problem(word.span, "the file includes itself".to_owned())
                .label(files.join(" includes "));
            return None;
        }
        // A part of two parts is taken in once.
        if !self.done.insert(identity.clone()) {
            return None;
        }
        if self.chain.len() > MAX_DEPTH || self.done.len() > MAX_PARTS {
            self.incomplete = true;
            let message = format!(
                "a scenario includes at most {MAX_PARTS} parts, nested at most {MAX_DEPTH} deep"
            );
            self.problem(word.span, message);
            return None;
        }
        let text = match files::read_text(&path) {
            Ok(text) => text,
            Err(why) => {
                self.incomplete = true;
                self.problem(word.span, format!("the shared part {word} {why}"))
                    .help(format!("looked for {}", quote(&path.to_string_lossy())));
                return None;
            }
        };
        let file = self.sources.add(&path, &text);
        let root = match yaml::parse(self.sources, file) {
            Ok(root) => root,
            Err(problems) => {
                self.incomplete = true;
                self.problems.extend(problems);
                return None;
            }
        };
        self.chain.push(identity);
        let root = self.expand(root);
        self.chain.pop();
        match root.kind {
            Kind::Map(mut entries) => {
                entries.retain(|entry| !OWN_KEYS.contains(&entry.key.text.as_str()));
                Some(entries)
            }
            Kind::List(_) | Kind::Scalar(_) | Kind::Null => {
                self.incomplete = true;
                let message = "a shared part is a map with some of the keys of a scenario";
                self.problem(root.span, message.to_owned());
                None
            }
        }
    }
}

/// Two documents as one: `own` wins.
fn merge_documents(part: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    merge(part, own, |key, part, own| match key {
        key if LIST_KEYS.contains(&key) => join_lists(part, own),
        "firewall" => merge_maps(part, own, |part, own| {
            let replaced = own.iter().any(is_candidate);
            let mut part = part;
            part.retain(|entry| !(replaced && is_candidate(entry)));
            merge(part, own, |_, part, own| {
                merge_maps(part, own, replace_entries)
            })
        }),
        "hosts" => merge_maps(part, own, replace_entries),
        _ => own,
    })
}

/// Whether a key of `firewall:` names the candidate, or several: a scenario's own replaces any of a part.
fn is_candidate(entry: &Entry) -> bool {
    Dialect::named(&entry.key.text).is_some() || entry.key.text == "candidates"
}

fn replace_entries(part: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    merge(part, own, |_, _, own| own)
}

/// The entries of both; `both` decides about keys that both have.
fn merge(
    mut part: Vec<Entry>,
    own: Vec<Entry>,
    both: impl Fn(&str, Node, Node) -> Node,
) -> Vec<Entry> {
    let keys = part.iter().enumerate();
    let index: HashMap<String, usize> = keys
        .map(|(index, entry)| (entry.key.text.clone(), index))
        .collect();
    for entry in own {
        match index.get(&entry.key.text) {
            Some(index) => {
                let twin = &mut part[*index];
                let null = Node {
                    span: twin.value.span,
                    kind: Kind::Null,
                };
                let old = std::mem::replace(&mut twin.value, null);
                twin.value = both(&entry.key.text, old, entry.value);
                // Problems with the value are shown at its key.
                if twin.value.span.file == entry.key.span.file {
                    twin.key = entry.key;
                }
            }
            None => part.push(entry),
        }
    }
    part
}

/// Merges two maps. Where only one of the values is a map, the other is kept, so that its file is
/// told; scalars and lists replace each other.
fn merge_maps(
    part: Node,
    own: Node,
    both: impl FnOnce(Vec<Entry>, Vec<Entry>) -> Vec<Entry>,
) -> Node {
    let span = own.span;
    match (part.kind, own.kind) {
        (Kind::Map(part), Kind::Map(own)) => Node {
            span,
            kind: Kind::Map(both(part, own)),
        },
        (kind, Kind::Map(_)) => Node {
            span: part.span,
            kind,
        },
        (_, kind) => Node { span, kind },
    }
}

/// One list after the other; a single value counts as a list of one.
fn join_lists(part: Node, own: Node) -> Node {
    let items = |node: Node| match node.kind {
        Kind::List(items) => items,
        Kind::Null => Vec::new(),
        Kind::Map(_) | Kind::Scalar(_) => vec![node],
    };
    let span = own.span;
    let mut all = items(part);
    all.extend(items(own));
    Node {
        span,
        kind: Kind::List(all),
    }
}
