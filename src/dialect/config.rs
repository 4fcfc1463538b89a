//! What a scenario says of a configuration: a dialect, and the values of its slots.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Dialect;

/// One thing that a dialect wants to be told: a key of its map in YAML.
#[derive(Debug)]
pub struct Slot {
    /// The key.
    pub name: &'static str,
    /// What the value is called in messages, without an article: "ruleset".
    pub what: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// Whether it must be given.
    pub need: Need,
    /// A sentence about it.
    pub doc: &'static str,
}

/// What a value of a [`Slot`] looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One line of text, or a list of such.
    Lines,
}

/// Whether a [`Slot`] must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// At least one of the slots marked so must.
    Any,
    /// It may be left out.
    Optional,
}

/// A configuration in some dialect. Paths are relative to the working directory (already joined with the
/// folder of the file that named them).
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    dialect: &'static Dialect,
    values: BTreeMap<&'static str, Vec<String>>,
    /// Where the values of slots that may have several were written, where that is known.
    places: BTreeMap<&'static str, Vec<Written>>,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) file: PathBuf,
    /// All of the file.
    pub(crate) text: Arc<str>,
    /// Byte offset in it.
    pub(crate) at: usize,
    /// Line, from 1.
    pub(crate) line: usize,
}

impl Config {
    /// Without any value yet.
    #[must_use]
    pub fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            values: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// With this value of the first slot, as in the short form.
    #[must_use]
    pub fn of(dialect: &'static Dialect, value: &str) -> Self {
        let mut config = Self::new(dialect);
        config.set(dialect.main().name, vec![value.to_owned()]);
        config
    }

    /// Reads what the command line says: `VALUE` of the first slot, or `SLOT=VALUE,SLOT=VALUE`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn parse(dialect: &'static Dialect, text: &str) -> Result<Self, String> {
        let named = |part: &str| {
            let name = part.split_once('=')?.0;
            dialect.slots.iter().find(|slot| slot.name == name)
        };
        if named(text).is_none() {
            let config = Self::of(dialect, text);
            return config.check().map(|()| config);
        }
        let mut config = Self::new(dialect);
        for part in text.split(',') {
            let slots: Vec<&str> = dialect.slots.iter().map(|slot| slot.name).collect();
            let (slot, (_, value)) = named(part).zip(part.split_once('=')).ok_or_else(|| {
                format!(
                    "`{part}` is not `KEY=VALUE` with one of {}",
                    slots.join(", ")
                )
            })?;
            config.set(slot.name, vec![value.to_owned()]);
        }
        config.check().map(|()| config)
    }

    /// Sets a slot; its name must be one of the dialect's.
    pub(crate) fn set(&mut self, slot: &'static str, value: Vec<String>) {
        self.values.insert(slot, value);
    }

    /// Says where the values of a slot were written, as many.
    pub(crate) fn written(&mut self, slot: &'static str, places: Vec<Written>) {
        self.places.insert(slot, places);
    }

    /// Where the values of a slot were written: as many as there are values, or none.
    pub(crate) fn places(&self, slot: &str) -> &[Written] {
        let places = self.places.get(slot).map_or(&[][..], Vec::as_slice);
        match places.len() == self.lines(slot).len() {
            true => places,
            false => &[],
        }
    }

    /// Whether every value that must be there is, and every path leads somewhere.
    fn check(&self) -> Result<(), String> {
        for slot in self.dialect.slots {
            for value in self.values.get(slot.name).into_iter().flatten() {
                let path = Path::new(value);
                match slot.kind {
                    Kind::File if !path.is_file() => {
                        return Err(format!("there is no candidate file {value}"));
                    }
                    Kind::Folder if !path.is_dir() => {
                        return Err(format!("there is no candidate folder {value}"));
                    }
                    Kind::Word(words) if !words.contains(&value.as_str()) => {
                        return Err(format!("{} is one of {}", slot.name, words.join(", ")));
                    }
                    Kind::File | Kind::Folder | Kind::Word(_) | Kind::Lines => {}
                }
            }
        }
        match self.dialect.missing(|slot| self.values.contains_key(slot)) {
            Some(missing) => Err(format!(
                "{} needs {}",
                self.dialect.key,
                missing.join(" or ")
            )),
            None => Ok(()),
        }
    }

    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// The value of a slot that is a path.
    #[must_use]
    pub fn path(&self, slot: &str) -> Option<&Path> {
        self.word(slot).map(Path::new)
    }

    /// The value of a slot that has one.
    #[must_use]
    pub fn word(&self, slot: &str) -> Option<&str> {
        self.values.get(slot)?.first().map(String::as_str)
    }

    /// The values of a slot that may have several.
    #[must_use]
    pub fn lines(&self, slot: &str) -> &[String] {
        self.values.get(slot).map_or(&[], Vec::as_slice)
    }

    /// The slots that have a value.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.values
            .iter()
            .map(|(slot, values)| (*slot, values.as_slice()))
    }

    /// What the user would call it: the first path that is given.
    #[must_use]
    pub fn main(&self) -> PathBuf {
        let slots = self.dialect.slots.iter();
        let mut paths = slots
            .filter(|slot| matches!(slot.kind, Kind::File | Kind::Folder))
            .filter_map(|slot| self.path(slot.name));
        paths
            .next()
            .map_or_else(|| self.dialect.key.into(), Path::to_owned)
    }

    /// The values that are no paths, for a fingerprint.
    pub(super) fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let slots = self.dialect.slots.iter();
        slots
            .filter(|slot| matches!(slot.kind, Kind::Word(_) | Kind::Lines))
            .flat_map(|slot| {
                self.lines(slot.name)
                    .iter()
                    .map(|line| (slot.name, line.as_str()))
            })
    }
}

/// A configuration to put in the place of the scenarios' own, or beside them, from the command line:
/// `[NAME=][DIALECT:]VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    name: Option<String>,
    /// That of the scenario when not given.
    dialect: Option<&'static Dialect>,
    value: String,
}

impl Replacement {
    /// What reports call it, if it is one of several.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// All that was written, if that may be the name of a candidate of the scenario.
    #[must_use]
    pub fn bare(&self) -> Option<&str> {
        (self.name.is_none() && self.dialect.is_none()).then_some(&self.value)
    }

    /// What stands in the place of these configurations, in their dialect unless it names one.
    ///
    /// # Errors
    ///
    /// What is wrong with the value, in words; or that they have no dialect in common.
    pub fn among<'a>(&self, own: impl IntoIterator<Item = &'a Config>) -> Result<Config, String> {
        let mut theirs = own.into_iter().map(Config::dialect);
        let first = theirs.next();
        let common = first.filter(|first| theirs.all(|other| other == *first));
        let Some(dialect) = self.dialect.or(common) else {
            return Err(format!(
                "the candidates are not of one dialect, so say which that of {0} is\n\
                 (for example `nftables:{0}`)",
                self.value
            ));
        };
        Config::parse(dialect, &self.value)
    }
}

impl std::str::FromStr for Replacement {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text
            .split_once('=')
            .filter(|(name, _)| candidate_name(name).is_ok());
        let rest = name.map_or(text, |(_, rest)| rest);
        let dialect = rest
            .split_once(':')
            .and_then(|(key, value)| Some((Dialect::named(key)?, value)));
        Ok(Self {
            name: name.map(|(name, _)| name.to_owned()),
            dialect: dialect.map(|(dialect, _)| dialect),
            value: dialect.map_or(rest, |(_, value)| value).to_owned(),
        })
    }
}

/// Whether a candidate can have this name; else why not.
pub(crate) fn candidate_name(name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let first = letters.next();
    if !first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        || !letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    {
        return Err("is no name: write letters, digits, `.`, `-` and `_`".to_owned());
    }
    // The command line would take it for that: `--candidate v4=rules.v4`.
    match Dialect::with_slot(name) {
        Some(dialect) => Err(format!("is a key of {} and no name", dialect.key)),
        None => Ok(()),
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.dialect.key, self.values)
    }
}
