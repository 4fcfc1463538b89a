//! A YAML document as a tree in which everything knows where it stands.

use std::fmt;

use crate::scenario::{format::words::quote, text::source::Span};

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The whole scalar; of a map or list, at least its start.
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// In the order written; keys are unique.
    Map(Vec<Entry>),
    List(Vec<Node>),
    Scalar(Scalar),
    /// `~`, `null`, or nothing at all after the colon.
    Null,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Scalar,
    pub(crate) value: Node,
}

/// A string, number or boolean: YAML's guess at which is ignored, the text counts.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// All of it, quotes included.
    pub(crate) span: Span,
    /// Where `text` stands literally in the source; `None` for escapes and folded lines.
    pub(crate) literal: Option<usize>,
    /// Written without quotes.
    pub(crate) plain: bool,
}

/// A piece of a scalar that can be pointed at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'t> {
    pub(crate) text: &'t str,
    pub(crate) span: Span,
    /// Whether `span` covers exactly `text`.
    literal: bool,
}

impl Scalar {
    pub(crate) fn word(&self) -> Word<'_> {
        match self.literal {
            Some(start) => Word {
                text: &self.text,
                span: Span {
                    file: self.span.file,
                    start,
                    end: start + self.text.len(),
                },
                literal: true,
            },
            None => Word {
                text: &self.text,
                span: self.span,
                literal: false,
            },
        }
    }
}

impl<'t> Word<'t> {
    /// The part of this word that `part`, a slice of its text, is.
    pub(crate) fn part(self, part: &'t str) -> Self {
        let offset = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let Some(offset) = offset.filter(|offset| offset + part.len() <= self.text.len()) else {
            return Self { text: part, ..self };
        };
        let span = if self.literal {
            Span {
                start: self.span.start + offset,
                end: self.span.start + offset + part.len(),
                ..self.span
            }
        } else {
            self.span
        };
        Self {
            text: part,
            span,
            literal: self.literal,
        }
    }

    pub(crate) fn trim(self) -> Self {
        self.part(self.text.trim())
    }

    pub(crate) fn split_once(self, separator: &str) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(separator)?;
        Some((self.part(left), self.part(right)))
    }

    pub(crate) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        self.text.split(separator).map(move |part| self.part(part))
    }

    pub(crate) fn split_whitespace(self) -> impl Iterator<Item = Self> {
        self.text
            .split_whitespace()
            .map(move |part| self.part(part))
    }
}

/// In backticks, for messages.
impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(self.text))
    }
}
