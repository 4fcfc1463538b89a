//! Values of header fields.

use firedrill_harness::{packet::Payload, protocol::Bytes};

use crate::scenario::{
    format::{Shape, U16, words::quote},
    read::{
        Reader,
        fields::Value,
        keys::{keys, number},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

/// A text, `hex:` and digits, or `{ size: N }`.
pub(in crate::scenario::read) const PAYLOAD: Shape =
    Shape::AnyOf(&[Shape::Text, Shape::Object(&SIZE)]);
pub(super) const CHECKSUM: Shape = Shape::AnyOf(&[U16, Shape::Words(&["bad"])]);

keys! {
    /// A payload of which only the length matters.
    SIZE = "payload", "the payload", struct SizeKeys<'n> {
        /// How many bytes it has.
        size: u16 = Shape::Number(0, 1400) => number, required;
    }
}

impl Reader<'_> {
    /// A number, decimal or with `0x`.
    pub(crate) fn number_between(
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
            let message = format!("{word} is not {what} ({low} to {high})");
            self.problem(word.span, message);
        }
        number
    }

    /// A text, or `hex:` and digits; may be empty.
    pub(crate) fn bytes(&mut self, value: Value<'_>) -> Option<Bytes> {
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
    pub(crate) fn payload(&mut self, value: Value<'_>) -> Option<Payload> {
        if let Kind::Map(_) = value.node.kind {
            let keys = SizeKeys::read(self, value)?;
            return keys.finish(keys.size)?.map(Payload::Size);
        }
        self.bytes(value).map(Payload::Is)
    }
}
