//! Reading maps against their [`Object`] tables, and single values.

use std::ops::RangeInclusive;

use crate::scenario::{
    format::{
        Key, Need, Object,
        words::{self, quote},
    },
    read::Reader,
    text::{
        source::Span,
        tree::{Entry, Kind, Node, Word},
    },
};

/// Longest piece of a value that the name of a case repeats, in characters.
const LONGEST_VALUE: usize = 40;

/// A value and the place to point at when it has no text of its own: its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'n> {
    pub(super) node: &'n Node,
    pub(super) at: Span,
}

/// A map whose keys have been checked against a table.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    object: &'static Object,
    entries: &'n [Entry],
    /// Where the map starts: its first key.
    pub(super) at: Span,
    /// Whether it has keys of a later version: what is missing beside them means nothing.
    pub(super) planned: bool,
    /// Whether every value that was given could be read, and fits the others.
    pub(super) sound: bool,
    /// Whether exactly the keys are there that may and must be.
    complete: bool,
}

impl<'n> Value<'n> {
    fn of(entry: &'n Entry) -> Self {
        Self {
            node: &entry.value,
            at: entry.key.word().span,
        }
    }

    /// An item of a list.
    pub(super) fn item(node: &'n Node) -> Self {
        let at = match &node.kind {
            Kind::Map(entries) => entries.first().map(|entry| entry.key.word().span),
            Kind::List(_) | Kind::Scalar(_) | Kind::Null => None,
        };
        Self {
            node,
            at: at.unwrap_or(node.span),
        }
    }

    /// The text itself where there is one, else the key.
    pub(super) fn span(self) -> Span {
        match &self.node.kind {
            Kind::Scalar(scalar) => scalar.word().span,
            Kind::Map(_) | Kind::List(_) | Kind::Null => self.at,
        }
    }

    fn kind(self) -> &'static str {
        match &self.node.kind {
            Kind::Map(_) => "a map",
            Kind::List(_) => "a list",
            Kind::Scalar(_) => "a text",
            Kind::Null => "nothing",
        }
    }
}

impl<'n> Fields<'n> {
    /// The value of a key; the key must be in the table.
    pub(super) fn get(&self, name: &str) -> Option<Value<'n>> {
        debug_assert!(
            self.object.key(name).is_some(),
            "{} has no key {name}",
            self.object.name
        );
        let entry = self.entries.iter().find(|entry| entry.key.text == name)?;
        Some(Value::of(entry))
    }

    /// The value of a key, if it is there, by this function; what it reports makes the map unsound.
    pub(super) fn take<'s, T>(
        &mut self,
        reader: &mut Reader<'s>,
        name: &str,
        read: impl FnOnce(&mut Reader<'s>, &Key, Value<'n>) -> Option<T>,
    ) -> Option<T> {
        let key = self.object.key(name)?;
        let found = read(reader, key, self.get(name)?);
        self.sound &= found.is_some();
        found
    }

    /// What has been read, if all of it could be and nothing is missing.
    pub(super) fn finish<T>(&self, read: T) -> Option<T> {
        (self.sound && self.complete).then_some(read)
    }

    /// Reports a value that does not fit the others.
    pub(super) fn misfit(
        &mut self,
        reader: &mut Reader<'_>,
        key: &str,
        message: impl Into<String>,
    ) {
        let at = self.get(key).map_or(self.at, Value::span);
        reader.problem(at, message);
        self.sound = false;
    }

    /// Every key that is there, but for these, with its value as text: ` seq 7 window 1024`.
    pub(super) fn text_but(&self, but: &[&str]) -> String {
        let mut text = String::new();
        for (key, value) in self.given().filter(|(key, _)| !but.contains(key)) {
            text.push(' ');
            text.push_str(key);
            let value = text_of(value.node);
            if !value.is_empty() {
                text.push(' ');
                text.push_str(&value);
            }
        }
        text
    }

    /// The one key that is there of those that exclude each other.
    pub(super) fn either(&self) -> Option<(&'static str, Value<'n>)> {
        let either = self.object.either().into_iter();
        let mut given = either.filter_map(|name| Some((name, self.get(name)?)));
        // More than one has been reported as such.
        given.next().filter(|_| given.next().is_none())
    }

    /// The keys that are there with their values, in the order of the table.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, Value<'n>)> {
        let entries = self.entries;
        self.object.names().filter_map(move |name| {
            let entry = entries.iter().find(|entry| entry.key.text == name)?;
            Some((name, Value::of(entry)))
        })
    }
}

impl Reader<'_> {
    /// The value as a map with the keys of `object`. Unknown and missing keys are reported.
    pub(super) fn fields<'n>(
        &mut self,
        value: Value<'n>,
        object: &'static Object,
    ) -> Option<Fields<'n>> {
        let Kind::Map(entries) = &value.node.kind else {
            let keys: Vec<&str> = object.names().collect();
            self.unexpected(value, "a map").help(format!(
                "{} has the keys {}",
                object.what,
                words::list(&keys, "and")
            ));
            return None;
        };
        let mut fields = Fields {
            object,
            entries,
            at: value.at,
            planned: false,
            sound: true,
            complete: true,
        };
        let before = self.problems.len();
        let mut misspelt = Vec::new();
        for entry in entries {
            let key = entry.key.word();
            if object.key(key.text).is_some() {
                continue;
            }
            if object.planned.contains(&key.text) {
                fields.planned = true;
                self.problem(key.span, format!("{key} is not supported in this version"));
                continue;
            }
            let near = words::nearest(key.text, &object.names().collect::<Vec<_>>());
            misspelt.extend(near);
            let help = words::suggest(key.text, object.names());
            let what = object.what;
            self.problem(key.span, format!("unknown key {key}"))
                .label(format!("{what} has no such key"))
                .help(help);
        }
        let elsewhere = self.incomplete && object.spread;
        if !fields.planned && !elsewhere {
            self.missing(&fields, &misspelt);
        }
        fields.complete = self.problems.len() == before;
        Some(fields)
    }

    /// Reports required keys that are not there, unless a misspelt one was meant.
    fn missing(&mut self, fields: &Fields<'_>, misspelt: &[&str]) {
        let has = |name: &str| {
            misspelt.contains(&name) || fields.entries.iter().any(|entry| entry.key.text == name)
        };
        let object = fields.object;
        for key in object.keys() {
            if key.need == Need::Required && !has(key.name) {
                let message = format!("{} has no {}", object.what, quote(key.name));
                self.problem(fields.at, message).help(help_of(key.doc));
            }
        }
        let either = object.either();
        let given: Vec<&str> = either.iter().copied().filter(|name| has(name)).collect();
        if !either.is_empty() && given.is_empty() {
            let message = match either.as_slice() {
                [only] => format!("{} has no {}", object.what, quote(only)),
                several => format!(
                    "{} has none of {}",
                    object.what,
                    words::list(several, "and")
                ),
            };
            let doc = object.key(either[0]).map(|key| key.doc);
            self.problem(fields.at, message)
                .help(doc.filter(|_| either.len() == 1).and_then(help_of));
        }
        if given.len() > 1 {
            let mut spans = fields
                .entries
                .iter()
                .filter(|entry| given.contains(&entry.key.text.as_str()))
                .map(|entry| entry.key.word().span);
            let first = spans.next().unwrap_or(fields.at);
            let second = spans.next().unwrap_or(first);
            let message = format!(
                "{} can have only one of {}",
                object.what,
                words::list(&given, "and")
            );
            self.problem(second, message)
                .also(first, "the first is here");
        }
    }

    /// Says that a value is not what it should be.
    pub(super) fn unexpected(&mut self, value: Value<'_>, wanted: &str) -> &mut super::Draft {
        let message = format!("expected {wanted}, found {}", value.kind());
        self.problem(value.span(), message)
    }

    /// A text that is not empty, without white space around it.
    pub(super) fn text<'n>(&mut self, value: Value<'n>, wanted: &str) -> Option<Word<'n>> {
        let Kind::Scalar(scalar) = &value.node.kind else {
            self.unexpected(value, wanted);
            return None;
        };
        let word = scalar.word().trim();
        if word.text.is_empty() {
            self.problem(
                scalar.span,
                format!("expected {wanted}, found an empty text"),
            );
            return None;
        }
        Some(word)
    }

    /// A text of one line.
    pub(super) fn line<'n>(&mut self, value: Value<'n>, wanted: &str) -> Option<Word<'n>> {
        let word = self.text(value, wanted)?;
        if word.text.chars().any(char::is_control) {
            self.problem(
                word.span,
                format!("expected {wanted}, found several lines or control characters"),
            );
            return None;
        }
        Some(word)
    }

    pub(super) fn boolean(&mut self, value: Value<'_>) -> Option<bool> {
        let plain = matches!(&value.node.kind, Kind::Scalar(scalar) if scalar.plain);
        let word = self.text(value, "`true` or `false`")?;
        match word.text {
            "true" | "True" | "TRUE" if plain => Some(true),
            "false" | "False" | "FALSE" if plain => Some(false),
            other => {
                let help = match other.to_lowercase().as_str() {
                    "true" | "false" => Some("write it without quotes, in small letters"),
                    "yes" | "on" | "1" => Some("write `true`"),
                    "no" | "off" | "0" => Some("write `false`"),
                    _ => None,
                };
                let message = format!(
                    "expected `true` or `false`, found the text {}",
                    quote(other)
                );
                self.problem(word.span, message)
                    .help(help.map(str::to_owned));
                None
            }
        }
    }

    pub(super) fn number(
        &mut self,
        value: Value<'_>,
        what: &str,
        range: RangeInclusive<u16>,
    ) -> Option<u16> {
        let word = self.text(value, what)?;
        self.number_in(word, what, range)
    }

    pub(super) fn number_in(
        &mut self,
        word: Word<'_>,
        what: &str,
        range: RangeInclusive<u16>,
    ) -> Option<u16> {
        let digits = word.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = word
            .text
            .parse()
            .ok()
            .filter(|number| range.contains(number));
        if digits && number.is_some() {
            return number;
        }
        if word.text.is_empty() {
            self.problem(word.span, format!("{what} is missing here"));
            return None;
        }
        let message = format!(
            "{word} is not {what} ({} to {})",
            range.start(),
            range.end()
        );
        self.problem(word.span, message);
        None
    }

    /// The items of a list, or the value itself if it is none.
    pub(super) fn one_or_more<'n>(&mut self, value: Value<'n>, wanted: &str) -> Vec<Value<'n>> {
        match &value.node.kind {
            Kind::List(items) => items.iter().map(Value::item).collect(),
            Kind::Scalar(_) => vec![value],
            Kind::Map(_) | Kind::Null => {
                self.unexpected(value, wanted);
                Vec::new()
            }
        }
    }

    /// The entries of a map with free keys.
    pub(super) fn entries<'n>(
        &mut self,
        value: Value<'n>,
        wanted: &str,
    ) -> Option<Vec<(Word<'n>, Value<'n>)>> {
        let Kind::Map(entries) = &value.node.kind else {
            self.unexpected(value, wanted);
            return None;
        };
        let pairs = entries.iter();
        Some(
            pairs
                .map(|entry| (entry.key.word(), Value::of(entry)))
                .collect(),
        )
    }
}

fn help_of(doc: &str) -> Option<String> {
    let mut letters = doc.chars();
    let first = letters.next()?;
    let fragment: String = first.to_lowercase().chain(letters).collect();
    Some(fragment.trim_end_matches('.').to_owned())
}

/// A value in the name of a case.
fn text_of(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let mut text: String = scalar
                .text
                .chars()
                .take(LONGEST_VALUE)
                .flat_map(|letter| {
                    let plain = !letter.is_control();
                    let escaped = (!plain).then(|| letter.escape_default());
                    plain
                        .then_some(letter)
                        .into_iter()
                        .chain(escaped.into_iter().flatten())
                })
                .collect();
            if scalar.text.chars().count() > LONGEST_VALUE {
                text.push('…');
            }
            text
        }
        Kind::List(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            items.join(",")
        }
        Kind::Map(entries) => {
            let entries = entries.iter();
            let pairs: Vec<String> = entries
                .map(|entry| {
                    format!("{} {}", entry.key.text, text_of(&entry.value))
                        .trim_end()
                        .to_owned()
                })
                .collect();
            pairs.join(" ")
        }
        Kind::Null => String::new(),
    }
}
