//! Configurations that a program compiles to the format of iptables-save, and whose rules it gives a
//! comment of their own: `# FILE:LINE`, on the line before.
//!
//! The compiled text is laid beside the listing as a file of iptables is, so nothing is believed of the
//! order; then each of its lines leads back to the user's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Prepared,
    iptables::{attribute, source},
};
use crate::ruleset::origin::{Files, Found, Origins, Place, Table, table_key};
use crate::ruleset::{legacy::LEGACY, listing::Ruleset};

/// How the reason begins why the line is unknown of a rule from a file of the program's own package.
pub(super) const FROM_A_PACKAGE: &str = "it comes from /usr/";

/// A compiled text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compiled<'a> {
    /// The family of its tables: `ip` or `ip6`.
    pub(super) family: &'static str,
    /// What to call it in messages.
    pub(super) name: &'static str,
    pub(super) text: &'a str,
}

/// A line of a compiled text with the place that its program names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Annotated<'a> {
    pub(super) line: &'a str,
    /// A file of the candidate, in the sandbox.
    pub(super) file: &'a Path,
}

/// Where the rules of a listing were written. `doubt` says why a place is not certain although the
/// program names it.
pub(super) fn origins(
    prepared: &Prepared,
    ruleset: &Ruleset,
    texts: &[Compiled<'_>],
    doubt: fn(Annotated<'_>) -> Option<&'static str>,
) -> Origins {
    let user = User::of(prepared);
    let read = texts
        .iter()
        .map(|compiled| (PathBuf::from(compiled.name), Arc::from(compiled.text)))
        .collect();
    let mut files = Files::new(read);
    let mut tables: BTreeMap<(String, String), Table> = BTreeMap::new();
    for (number, compiled) in texts.iter().enumerate() {
        let include = if number == 0 { 0 } else { files.root(number) };
        let source = source::read(compiled.text, include);
        let lines: Vec<&str> = compiled.text.split('\n').collect();
        // Which back end its program takes is the program's own affair.
        for family in [
            compiled.family.to_owned(),
            format!("{LEGACY}{}", compiled.family),
        ] {
            let mut found = attribute::found(&source, &family, ruleset, &files, false);
            if compiled.text.is_empty() {
                found = silent(prepared, &family, ruleset);
            }
            for (key, mut table) in found {
                for (handle, place) in &mut table.rules {
                    if let Ok(compiled) = place.clone() {
                        *place = user.place(&lines, compiled, doubt);
                        table.through.insert(*handle, files.generated(compiled));
                    }
                }
                for place in table.policies.values_mut() {
                    if let Ok(compiled) = place.clone() {
                        *place = user.place(&lines, compiled, doubt);
                    }
                }
                tables.insert(key, table);
            }
        }
    }
    Origins::new(user.files, tables)
}

/// The tables of a family whose compiled text is not there.
fn silent(
    prepared: &Prepared,
    family: &str,
    ruleset: &Ruleset,
) -> BTreeMap<(String, String), Table> {
    let program = prepared.config.dialect().key;
    let unknown: Found = Err(format!("{program} did not say what it made").into());
    let mut tables: BTreeMap<(String, String), Table> = BTreeMap::new();
    for (chain, info) in ruleset.chains().filter(|(chain, _)| chain.family == family) {
        let table = tables.entry(table_key(chain)).or_default();
        let rules = info.order.iter().map(|rule| (*rule, unknown.clone()));
        table.rules.extend(rules);
        table.policies.insert(chain.name.clone(), unknown.clone());
    }
    tables
}

/// The user's files.
struct User<'a> {
    prepared: &'a Prepared,
    /// As in [`Prepared::files`].
    files: Files,
    /// Where each line begins, by file.
    starts: Vec<Vec<usize>>,
    /// The numbers of readings, by path in the sandbox.
    includes: BTreeMap<&'a Path, usize>,
}

impl<'a> User<'a> {
    fn of(prepared: &'a Prepared) -> Self {
        let text = |content: &[u8]| -> Arc<str> { String::from_utf8_lossy(content).into() };
        let read: Vec<(PathBuf, Arc<str>)> = prepared
            .files
            .iter()
            .map(|staged| (staged.shown.clone(), text(&staged.file.content.0)))
            .collect();
        let starts = read
            .iter()
            .map(|(_, text)| {
                let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
                std::iter::once(0).chain(newlines).collect()
            })
            .collect();
        let mut files = Files::new(read);
        let paths = prepared.files.iter().map(|staged| &*staged.file.path);
        let includes = paths
            .enumerate()
            .map(|(number, path)| match number {
                0 => (path, 0),
                _ => (path, files.root(number)),
            })
            .collect();
        Self {
            prepared,
            files,
            starts,
            includes,
        }
    }

    /// The user's place behind a place in a compiled text.
    fn place(
        &self,
        lines: &[&str],
        compiled: Place,
        doubt: fn(Annotated<'_>) -> Option<&'static str>,
    ) -> Found {
        let program = self.prepared.config.dialect().key;
        let comment = compiled
            .line
            .checked_sub(2)
            .and_then(|before| lines.get(before)?.trim().strip_prefix("# "))
            .and_then(|comment| Some((comment, comment.rsplit_once(':')?)));
        let Some((comment, (path, number))) = comment else {
            return Err(format!("{program} does not say which line makes it").into());
        };
        let path = Path::new(path);
        let place = self.includes.get(path).zip(number.parse::<usize>().ok());
        let Some((&include, line)) = place else {
            let comment = self.prepared.translate(comment);
            return Err(match comment.contains(", ") {
                true => format!("several lines make it: {comment}"),
                false => format!("it comes from {comment}, which is no file of the candidate"),
            }
            .into());
        };
        let annotated = Annotated {
            line: lines.get(compiled.line - 1).copied().unwrap_or_default(),
            file: path,
        };
        if let Some(doubt) = doubt(annotated) {
            return Err(doubt.into());
        }
        // The first reading of the first file has the number 0, and so on.
        let start = line
            .checked_sub(1)
            .and_then(|line| self.starts[include].get(line));
        let Some(&start) = start else {
            return Err(
                format!("{program} names line {line}, which its file does not have").into(),
            );
        };
        let text = &self.files.files[include].1[start..];
        Ok(Place {
            include,
            at: start + (text.len() - text.trim_start_matches([' ', '\t']).len()),
            line,
            implied: false,
        })
    }
}

/// A line of the user's files, for a message.
pub(super) struct UserLine {
    place: String,
    text: String,
}

/// A line of a file that is staged at this path.
pub(super) fn user_line(prepared: &Prepared, file: &str, number: usize) -> Option<UserLine> {
    let mut files = prepared.files.iter();
    let staged = files.find(|staged| staged.file.path == Path::new(file))?;
    let text = String::from_utf8_lossy(&staged.file.content.0);
    let line = text.lines().nth(number.checked_sub(1)?)?.trim();
    Some(UserLine {
        place: format!("{}:{number}", staged.shown.display()),
        text: line.to_owned(),
    })
}

impl UserLine {
    /// A message about it.
    pub(super) fn with(&self, message: &str) -> String {
        format!("{}: {message}\n  {}", self.place, self.text)
    }
}
