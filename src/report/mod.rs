//! Reporters turn events into something to read. They decide nothing.

pub mod coverage;
pub mod explain;
mod json;
mod junit;
mod matrix;
pub mod merge;
mod progress;
mod read;
mod terminal;
pub mod walk;

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    str::FromStr,
};

pub(crate) use self::terminal::{clean, plural};
pub use self::{json::Json, junit::JUnit, progress::Progress, terminal::Terminal};
use crate::record::event::Event;

/// Consumes the events of a run.
pub trait Reporter {
    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// If the report cannot be written.
    fn event(&mut self, event: &Event) -> io::Result<()>;
}

/// The versions of what firedrill runs on, for reports that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// What `nft --version` says, if it is there.
    pub nft: Option<String>,
}

/// A report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Terminal,
    /// For programs; see [`Json`].
    Json,
    /// For CI servers; see [`JUnit`].
    JUnit,
}

/// A report that was asked for: `FORMAT` or `FORMAT=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub format: Format,
    /// Where to; standard output when `None`.
    pub file: Option<PathBuf>,
}

impl Format {
    const ALL: [(&'static str, Self); 3] = [
        ("terminal", Self::Terminal),
        ("json", Self::Json),
        ("junit", Self::JUnit),
    ];
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("there is no file name behind the `=`".to_owned()),
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = Format::ALL.iter().find(|(known, _)| *known == name);
        let (_, format) = format.ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no report format `{name}`, only {}",
                known.join(", ")
            )
        })?;
        Ok(Self {
            format: *format,
            file,
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Format::ALL
            .iter()
            .find(|(_, format)| *format == self.format)
            .map_or("", |(name, _)| name);
        match &self.file {
            Some(file) => write!(f, "{name}={}", file.display()),
            None => f.write_str(name),
        }
    }
}

impl Wanted {
    /// Opens the report; `standard` is where it goes without a file, with `color` or without. If `verbose`,
    /// people are shown the ways of the packets that did not pass.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn open(
        &self,
        standard: Box<dyn Write>,
        color: bool,
        verbose: bool,
        versions: &Versions,
    ) -> io::Result<Box<dyn Reporter>> {
        let (out, color): (Box<dyn Write>, bool) = match &self.file {
            Some(file) => {
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                (Box::new(BufWriter::new(File::create(file)?)), false)
            }
            None => (standard, color),
        };
        Ok(match self.format {
            Format::Terminal => Box::new(Terminal::new(out, color).verbose(verbose)),
            Format::Json => Box::new(Json::new(out, versions.clone())),
            Format::JUnit => Box::new(JUnit::new(out)),
        })
    }
}

#[cfg(test)]
mod tests;
