//! One header of a packet while it is read: its fields, and whether they are sound so far.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{Checksum, Payload},
    protocol::Bytes,
};

use crate::scenario::{
    format::{
        self, Object, Shape,
        words::{self, quote},
    },
    read::{
        Reader,
        fields::{Fields, Value},
    },
    text::{
        source::Span,
        tree::{Kind, Node, Word},
    },
};

/// Longest piece of a value that the name of a case repeats, in characters.
const LONGEST_VALUE: usize = 40;

/// A header's fields. What is wrong with one is reported, and the header is then unsound.
pub(super) struct Layer<'r, 's, 'n> {
    pub(super) reader: &'r mut Reader<'s>,
    pub(super) fields: Fields<'n>,
    pub(super) sound: bool,
}

/// Finds the number of a word.
pub(super) type ByName = fn(&str) -> Option<u8>;

impl<'r, 's, 'n> Layer<'r, 's, 'n> {
    /// The fields of a map; `None` if it is none.
    pub(super) fn of(
        reader: &'r mut Reader<'s>,
        value: Value<'n>,
        object: &'static Object,
    ) -> Option<Self> {
        let before = reader.problems.len();
        let fields = reader.fields(value, object)?;
        let sound = reader.problems.len() == before;
        Some(Self {
            reader,
            fields,
            sound,
        })
    }

    /// What has been read, if all of it could be.
    pub(super) fn finish<T>(self, read: T) -> Option<T> {
        self.sound.then_some(read)
    }

    /// The value of a key, if it is there, by this function; what it reports makes the header unsound.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Reader<'s>, Value<'n>) -> Option<T>,
    ) -> Option<T> {
        let value = self.fields.get(key)?;
        let found = read(self.reader, value);
        self.sound &= found.is_some();
        found
    }

    /// A number in the range of the key's shape.
    pub(super) fn number<T: TryFrom<u32>>(&mut self, key: &str) -> Option<T> {
        let (low, high) = self.range(key);
        let number = self.read(key, |reader, value| {
            let word = reader.text(value, &what(key))?;
            reader.number_between(word, &what(key), low, high)
        })?;
        T::try_from(number).ok()
    }

    fn range(&self, key: &str) -> (u32, u32) {
        match self.fields.shape(key) {
            Some(Shape::Number(low, high)) => (*low, *high),
            Some(Shape::AnyOf(choices)) => choices
                .iter()
                .find_map(|choice| match choice {
                    Shape::Number(low, high) => Some((*low, *high)),
                    _ => None,
                })
                .unwrap_or((0, u32::MAX)),
            _ => (0, u32::MAX),
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.read(key, |reader, value| reader.boolean(value))
    }

    /// A number, or a word that stands for one.
    pub(super) fn named(
        &mut self,
        key: &str,
        by_name: ByName,
        names: fn() -> Vec<&'static str>,
    ) -> Option<u8> {
        let (low, high) = self.range(key);
        self.read(key, |reader, value| {
            let word = reader.line(value, &what(key))?;
            if let Some(number) = by_name(word.text) {
                return Some(number);
            }
            if word
                .text
                .starts_with(|letter: char| letter.is_ascii_digit())
            {
                let number = reader.number_between(word, &what(key), low, high)?;
                return u8::try_from(number).ok();
            }
            let help = words::suggest(word.text, names());
            reader.no_such(word, key, help);
            None
        })
    }

    /// A number, or `bad`.
    pub(super) fn checksum(&mut self, key: &str) -> Option<Checksum> {
        let (low, high) = self.range(key);
        self.read(key, |reader, value| {
            let word = reader.line(value, "a checksum")?;
            match word.text {
                "bad" => Some(Checksum::Bad),
                _ => reader
                    .number_between(word, "a checksum", low, high)
                    .map(Checksum::Is),
            }
        })
    }

    pub(super) fn bytes(&mut self, key: &str) -> Option<Bytes> {
        self.read(key, |reader, value| reader.bytes(value))
    }

    /// The payload; the usual one when not given.
    pub(super) fn payload(&mut self) -> Payload {
        self.read("payload", |reader, value| reader.payload(value))
            .unwrap_or_default()
    }

    pub(super) fn address(&mut self, key: &str) -> Option<IpAddr> {
        self.read(key, |reader, value| {
            let word = reader.line(value, "an address")?;
            reader.ip(word)
        })
    }

    /// Reports a value that does not fit the rest of the packet.
    pub(super) fn misfit(&mut self, key: &str, message: String) {
        let at = self.fields.get(key).map_or(self.fields.at, Value::span);
        self.reader.problem(at, message);
        self.sound = false;
    }

    /// Every key that is there, but for these, with its value in words: `seq 7 window 1024`.
    pub(super) fn told(&self, but: &[&str]) -> String {
        let mut told = String::new();
        for (key, value) in self.fields.given() {
            if but.contains(&key) {
                continue;
            }
            told.push(' ');
            told.push_str(key);
            let value = words_of(value.node);
            if !value.is_empty() {
                told.push(' ');
                told.push_str(&value);
            }
        }
        told
    }
}

/// What a field is called in a message.
fn what(key: &str) -> String {
    match key {
        "sport" | "dport" => "a port".to_owned(),
        other => format!("a value for {}", quote(other)),
    }
}

/// A value in the name of a case.
fn words_of(node: &Node) -> String {
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
            let items: Vec<String> = items.iter().map(words_of).collect();
            items.join(",")
        }
        Kind::Map(entries) => {
            let entries = entries.iter();
            let pairs: Vec<String> = entries
                .map(|entry| {
                    format!("{} {}", entry.key.text, words_of(&entry.value))
                        .trim_end()
                        .to_owned()
                })
                .collect();
            pairs.join(" ")
        }
        Kind::Null => String::new(),
    }
}

impl Reader<'_> {
    /// A number, decimal or with `0x`.
    pub(in crate::scenario::read) fn number_between(
        &mut self,
        word: Word<'_>,
        what: &str,
        low: u32,
        high: u32,
    ) -> Option<u32> {
        let (digits, base) = match word.text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (word.text, 10),
        };
        let number = digits
            .starts_with(|letter: char| letter.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, base).ok())
            .flatten()
            .filter(|number| (low..=high).contains(number));
        if number.is_none() {
            let message = format!("{} is not {what} ({low} to {high})", quote(word.text));
            self.problem(word.span, message);
        }
        number
    }

    /// A text, or `hex:` and digits; may be empty.
    pub(super) fn bytes(&mut self, value: Value<'_>) -> Option<Bytes> {
        let Kind::Scalar(scalar) = &value.node.kind else {
            self.unexpected(value, "a text or `hex:` and digits");
            return None;
        };
        match scalar.text.strip_prefix("hex:") {
            None => Some(Bytes(scalar.text.clone().into_bytes())),
            Some(digits) => self.hex(digits, scalar.span).map(Bytes),
        }
    }

    /// Hexadecimal digits, with any space between them.
    pub(super) fn hex(&mut self, digits: &str, at: Span) -> Option<Vec<u8>> {
        let digits: Vec<char> = digits
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .collect();
        if let Some(stranger) = digits.iter().find(|letter| !letter.is_ascii_hexdigit()) {
            let stranger = quote(&stranger.to_string());
            self.problem(at, format!("{stranger} is not a hexadecimal digit"));
            return None;
        }
        if !digits.len().is_multiple_of(2) {
            self.problem(at, "an odd number of hexadecimal digits is no bytes");
            return None;
        }
        let values = digits.iter().filter_map(|letter| letter.to_digit(16));
        let values: Vec<u8> = values.map(|digit| digit as u8).collect();
        Some(
            values
                .chunks_exact(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
        )
    }

    /// A text, `hex:` and digits, or a size.
    pub(in crate::scenario::read) fn payload(&mut self, value: Value<'_>) -> Option<Payload> {
        if let Kind::Map(_) = value.node.kind {
            let mut layer = Layer::of(self, value, &format::SIZE)?;
            let size = layer.number("size");
            return layer.finish(size)?.map(Payload::Size);
        }
        self.bytes(value).map(Payload::Is)
    }
}
