//! The texts that were read, and places in them.
//!
//! A [`Span`] is a small copy that names a file by its number in [`Sources`]; it becomes a path, a
//! line and a column only when somebody has to read it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::scenario::Location;

/// A stretch of one file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    /// Which of the [`Sources`].
    pub(crate) file: usize,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

/// One file as it was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file as the user named it.
    pub(crate) path: PathBuf,
    /// Its text, without a byte order mark.
    pub(crate) text: String,
    /// Where each line starts, in bytes.
    lines: Vec<usize>,
}

/// SHA-256 over all texts of a scenario, each behind its length.
pub(crate) type Fingerprint = [u8; 32];

/// Every file that was read for one scenario.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn add(&mut self, path: &Path, text: &str) -> usize {
        self.0.push(Source::new(path, text));
        self.0.len() - 1
    }

    pub(crate) fn get(&self, file: usize) -> &Source {
        &self.0[file]
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for source in &self.0 {
            hash.update(source.text.len().to_le_bytes());
            hash.update(&source.text);
        }
        hash.finalize().into()
    }

    pub(crate) fn location(&self, span: Span) -> Location {
        self.get(span.file).location(span.start)
    }

    /// The folder that relative paths in this file start from.
    pub(crate) fn folder(&self, file: usize) -> &Path {
        self.get(file).path.parent().unwrap_or(Path::new(""))
    }
}

impl Source {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        // Editors on Windows begin UTF-8 files with a byte order mark; it is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self {
            path: path.to_path_buf(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// The line that holds this byte, from 0.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte) - 1
    }

    /// The bytes of this line (from 0), without its end.
    pub(crate) fn line(&self, line: usize) -> Range<usize> {
        let start = self.lines[line];
        let end = match self.lines.get(line + 1) {
            Some(next) => next - 1,
            None => self.text.len(),
        };
        start..end
    }

    pub(crate) fn location(&self, byte: usize) -> Location {
        let line = self.line_of(byte);
        Location {
            file: self.path.clone(),
            line: line + 1,
            column: self.text[self.lines[line]..byte].chars().count() + 1,
        }
    }

    /// A range that lies in the text and on character boundaries, whatever was asked for.
    pub(crate) fn clamp(&self, range: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.ceil_char_boundary(range.end.max(start));
        start..end
    }
}
