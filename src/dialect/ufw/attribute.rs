//! Finds the line of every listed rule.
//!
//! ufw gives its files of rules to `iptables-restore --noflush`, one after the other, and adds a frame of its
//! own. So the rules of a chain are those that the files append to it, in this order. It is not believed:
//! as many rules as listed, and each pair must look alike. Otherwise the rules of the chain are unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    DEFAULT, ETC, Prepared, RULES,
    commands::{self, Journal},
    find,
    frame::{self, DIRECTIONS, Settings},
    rules,
};
use crate::{
    dialect::iptables::{
        attribute::{places, policy},
        source,
    },
    ruleset::{
        legacy::LEGACY,
        listing::Ruleset,
        origin::{Files, Found, Origins, Place, Table, table_key},
    },
};

const FRAME: &str = "/lib/ufw/ufw-init-functions";

pub(in crate::dialect) const OWN: &str = "ufw's own loader makes it";

const NOT_READ: &str = "the file that makes it was not read back";

/// Everything that is loaded, as texts with what is known of their lines.
#[derive(Default)]
struct Texts {
    files: Vec<(PathBuf, Arc<str>)>,
    /// Lines that were written elsewhere: file and line, and what to say instead.
    elsewhere: BTreeMap<(usize, usize), Found>,
}

/// Where the rules of a listing were written.
pub(super) fn origins(prepared: &Prepared, ruleset: &Ruleset, left: &[String]) -> Origins {
    if let Some(why) = doubt(prepared) {
        return Origins::unknown(&why);
    }
    let mut texts = Texts::default();
    let staged = |path: &Path| -> Option<(PathBuf, Arc<str>)> {
        let staged = find(&prepared.files, path)?;
        let text = String::from_utf8_lossy(&staged.file.content.0);
        Some((staged.shown.clone(), Arc::from(text)))
    };
    let Some(default) = staged(Path::new(DEFAULT)) else {
        return Origins::unknown(NOT_READ);
    };
    let typed = prepared.config.lines("commands");
    if !typed.is_empty() && left.len() != commands::LEAVES.len() {
        return Origins::unknown(NOT_READ);
    }
    // In the end, and as the user wrote it.
    let settings_text: Arc<str> = match left.get(1) {
        Some(text) => Arc::from(text.as_str()),
        None => Arc::clone(&default.1),
    };
    let base = texts.add(default);
    let typed_files = match typed.is_empty() {
        true => Vec::new(),
        false => commands::files(prepared)
            .into_iter()
            .map(|file| texts.add(file))
            .collect(),
    };
    let scene = Scene {
        prepared,
        journal: left.first().map(|text| Journal::read(text)),
        typed_files,
        base,
    };
    let found = frame::settings(&settings_text);
    let settings: Settings<'_> = found
        .iter()
        .map(|(name, (value, _, _))| (*name, *value))
        .collect();
    let mut tables = BTreeMap::new();
    let mut sources = Vec::new();
    for (number, six) in ["", "6"].into_iter().enumerate() {
        let mut source = source::Source::default();
        let [before, behind] = frame::frame(&settings, six);
        let with = |source: &mut source::Source, texts: &mut Texts, lines: &[frame::Line]| {
            let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            let file = texts.add((FRAME.into(), Arc::from(text.join("\n"))));
            for (number, line) in (1..).zip(lines) {
                let found = match line.setting {
                    Some(setting) => {
                        let policy = line.text.starts_with(':');
                        let found = scene.setting(&texts.files, setting, &settings);
                        found.map(|place| Place {
                            implied: place.implied || !policy,
                            ..place
                        })
                    }
                    None => Err(OWN.into()),
                };
                texts.elsewhere.insert((file, number), found);
            }
            restore(source, &texts.files[file].1, file);
        };
        with(&mut source, &mut texts, &before);
        let enabled = six.is_empty() || frame::has_ipv6(&settings);
        for name in RULES.into_iter().filter(|_| enabled) {
            let path = rules(ETC, name, six);
            let own = staged(&path);
            match (name, left.get(2 + number)) {
                ("user", Some(text)) => {
                    let file = texts.add((path, Arc::from(text.as_str())));
                    let own = own.map(|own| texts.add(own));
                    scene.tuples(&mut texts, file, own, six);
                    restore(&mut source, text, file);
                }
                _ => {
                    let Some(own) = own else {
                        return Origins::unknown(NOT_READ);
                    };
                    let text = Arc::clone(&own.1);
                    let file = texts.add(own);
                    restore(&mut source, &text, file);
                }
            }
        }
        with(&mut source, &mut texts, &behind);
        sources.push((six, source));
    }
    let mut files = Files::new(texts.files);
    for file in 1..files.files.len() {
        files.root(file);
    }
    for (six, source) in &sources {
        let family = if six.is_empty() { "ip" } else { "ip6" };
        for family in [family.to_owned(), format!("{LEGACY}{family}")] {
            found_in(
                source,
                &family,
                ruleset,
                (&files, &texts.elsewhere),
                &mut tables,
            );
        }
    }
    Origins::new(files, tables)
}

/// What ufw runs or reads beside the files that are followed here.
fn doubt(prepared: &Prepared) -> Option<String> {
    let mut seen = BTreeSet::new();
    for staged in &prepared.files {
        let path = staged.file.path.as_path();
        let is_script = ["before.init", "after.init"]
            .iter()
            .any(|name| path == Path::new(ETC).join(name));
        if is_script && staged.file.mode & 0o111 != 0 {
            let script = staged.shown.display();
            return Some(format!("{script} is run too, and may have changed it"));
        }
        if !seen.insert(path) || path.starts_with("/lib/ufw") || path.starts_with("/usr/lib/ufw") {
            let shown = staged.shown.display();
            return Some(format!("{shown} stands in for a file of ufw's"));
        }
    }
    None
}

impl Texts {
    /// Its number.
    fn add(&mut self, file: (PathBuf, Arc<str>)) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }
}

/// What is known of how the files came to be as they are.
struct Scene<'a> {
    prepared: &'a Prepared,
    journal: Option<Journal<'a>>,
    /// The numbers of the files with the commands.
    typed_files: Vec<usize>,
    /// The number of the user's settings.
    base: usize,
}

impl Scene<'_> {
    /// Where a command stands; they count from 1.
    fn command(&self, files: &[(PathBuf, Arc<str>)], number: usize) -> Option<Place> {
        let index = number.checked_sub(1)?;
        if let Some(written) = self.prepared.config.places("commands").get(index) {
            let mut numbers = self.typed_files.iter();
            let include = *numbers.find(|file| files[**file].0 == written.file)?;
            return Some(Place {
                include,
                at: written.at,
                line: written.line,
                implied: false,
            });
        }
        let lines = self.prepared.config.lines("commands").get(..index)?;
        Some(Place {
            include: *self.typed_files.first()?,
            at: lines.iter().map(|line| line.len() + 1).sum(),
            line: number,
            implied: false,
        })
    }

    /// Where a setting comes from: the command that set it, or the user's file.
    fn setting(
        &self,
        files: &[(PathBuf, Arc<str>)],
        setting: &str,
        settings: &Settings<'_>,
    ) -> Found {
        let value = settings.get(setting).copied();
        let implied = setting == frame::IPV6 || value == Some("REJECT");
        let lines = self.prepared.config.lines("commands");
        let direction = DIRECTIONS.iter().find(|one| one.setting == setting);
        let of_command = direction.and_then(|direction| {
            let set = |line: &String| commands::sets_policy(line, direction.word);
            let number = lines.iter().rposition(|line| set(line).is_some())?;
            Some((number + 1, set(&lines[number])))
        });
        let place = match of_command {
            Some((number, set)) if set == value => self.command(files, number),
            Some(_) => None,
            None => {
                let own = frame::settings(&files[self.base].1);
                let same = own.get(setting).filter(|(own, _, _)| Some(*own) == value);
                same.map(|(_, line, at)| Place {
                    include: self.base,
                    at: *at,
                    line: *line,
                    implied: false,
                })
            }
        };
        match place {
            Some(place) => Ok(Place { implied, ..place }),
            None => Err(format!("it is not known what set {setting}").into()),
        }
    }

    /// Says of every rule of a file that ufw wrote which command, or which line of the user's own file,
    /// made it. ufw writes a rule's tuple before its lines.
    fn tuples(&self, texts: &mut Texts, file: usize, own: Option<usize>, six: &str) {
        let text = Arc::clone(&texts.files[file].1);
        let family = if six.is_empty() { "4" } else { "6" };
        let mut tuple: Option<&str> = None;
        for (number, line) in (1..).zip(text.split('\n')) {
            if line.starts_with(TUPLE) {
                tuple = Some(line);
            } else if line.starts_with("### ") {
                tuple = None;
            } else if !line.is_empty() {
                let since = tuple.and_then(|tuple| {
                    let journal = self.journal.as_ref()?;
                    journal.since(&format!("{family} {tuple}"))
                });
                let place = match (since, tuple, own) {
                    (Some(0), Some(tuple), Some(own)) => in_tuple(&texts.files[own].1, tuple, line)
                        .map(|(at, line)| Place {
                            include: own,
                            at,
                            line,
                            implied: false,
                        }),
                    (Some(number), _, _) => self.command(&texts.files, number),
                    (None, _, _) => None,
                };
                let found =
                    place.ok_or_else(|| Arc::from("ufw itself wrote it, for no command alone"));
                texts.elsewhere.insert((file, number), found);
            }
        }
    }
}

/// How ufw marks what its rules came from.
const TUPLE: &str = "### tuple ###";

/// Where a line stands below a tuple, if that is beyond doubt: byte and line, from 1.
fn in_tuple(text: &str, tuple: &str, wanted: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    let mut inside = false;
    let mut found = None;
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.starts_with("### ") {
            inside = line == tuple;
        } else if inside && line == wanted && found.replace((at, number)).is_some() {
            return None;
        }
        at += line.len() + 1;
    }
    found
}

/// Reads a text as `iptables-restore --noflush` does: tables stay, and a chain that is declared is empty
/// then, unless it is built in (iptables/iptables-restore.c).
fn restore(source: &mut source::Source, text: &str, include: usize) {
    let mut table: Option<&mut source::Table> = None;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split('\n')) {
        let place = Place {
            include,
            at: at + (line.len() - line.trim_start().len()),
            line: number,
            implied: false,
        };
        at += line.len() + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            table = Some(source.tables.entry(name.to_owned()).or_default());
        } else if line == "COMMIT" {
            table = None;
        } else if let Some(table) = &mut table {
            let declared = line
                .strip_prefix(':')
                .and_then(|rest| rest.split_whitespace().next());
            if let Some(name) = declared
                && crate::ruleset::legacy::hook(name).is_none()
                && let Some(chain) = table.chains.get_mut(name)
            {
                chain.order.clear();
            }
            table.line(line, place);
        }
    }
}

/// The places of everything listed in the tables of a source.
fn found_in(
    source: &source::Source,
    family: &str,
    ruleset: &Ruleset,
    (files, elsewhere): (&Files, &BTreeMap<(usize, usize), Found>),
    found: &mut BTreeMap<(String, String), Table>,
) {
    let known = |place: Place| -> Found {
        match elsewhere.get(&(place.include, place.line)) {
            Some(found) => found.clone(),
            None => Ok(place),
        }
    };
    for (name, table) in &source.tables {
        let chains = ruleset
            .chains()
            .filter(|(chain, _)| chain.family == family && chain.table == *name);
        for (chain, info) in chains {
            let of_table = found.entry(table_key(chain)).or_default();
            let written = table.chains.get(&chain.name);
            if let Some(base) = &info.base {
                let place = policy(written, &base.policy).and_then(known);
                of_table.policies.insert(chain.name.clone(), place);
            }
            let in_order = (&BTreeMap::new(), true);
            let places = match table.doubt {
                Some((place, why)) => Err(format!("{}: {why}", files.name(place))),
                None => places(table, written, info, in_order, files),
            };
            for handle in &info.order {
                let place: Found = match &places {
                    Ok(places) => {
                        let place = places[handle];
                        let written = elsewhere.contains_key(&(place.include, place.line));
                        // The frame is no file.
                        let generated = files.generated(place);
                        if written && generated.file != FRAME {
                            of_table.through.insert(*handle, generated);
                        }
                        known(place)
                    }
                    Err(why) => Err(why.as_str().into()),
                };
                of_table.rules.insert(*handle, place);
            }
        }
    }
}
