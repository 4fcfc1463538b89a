//! A map with fixed keys from one list: the list is the table that keys are checked against, the struct of
//! what was read, the reader, and the source of the JSON Schema.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{Checksum, Payload},
    protocol::Bytes,
};

use crate::scenario::{
    format::{
        Key,
        words::{self, quote},
    },
    read::{
        Reader,
        fields::{Fields, Value},
    },
    text::tree::Word,
};

/// An [`Object`](crate::scenario::format::Object), and a struct with what each of its keys says.
///
/// A line is `FIELD "KEY": TYPE = SHAPE => READER, NEED;` with a sentence above it. `"KEY"` is left out where
/// it is the name of the field, and the need (`required`, `either`) where the key is optional. A field is
/// `None` if its key is not given or if its value could not be read, which the fields' `sound` tells.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])+
        $object:ident = $name:literal, $what:literal,
        struct $keys:ident<$n:lifetime> $(.$flag:ident($($argument:expr),*))* {
            $($(#[doc = $key_doc:literal])+ $field:ident $($key:literal)?: $type:ty = $shape:expr => $read:expr $(, $need:ident)?;)*
        }
    ) => {
        $(#[doc = $doc])+
        pub(crate) static $object: $crate::scenario::format::Object =
            $crate::scenario::format::Object::new($name, $what, concat!($($doc),+), &[
                $($crate::scenario::read::keys::key!([$field $($key)?] [$($need)?] $shape, $($key_doc),+)),*
            ])$(.$flag($($argument),*))*;

        $(#[doc = $doc])+
        struct $keys<$n> {
            fields: $crate::scenario::read::fields::Fields<$n>,
            $($(#[doc = $key_doc])+ $field: Option<$type>,)*
        }

        impl<$n> $keys<$n> {
            /// Reads a map; `None` if it is none.
            #[allow(dead_code, reason = "keys that several objects share are read by `of`")]
            fn read(
                reader: &mut $crate::scenario::read::Reader<'_>,
                value: $crate::scenario::read::fields::Value<$n>,
            ) -> Option<Self> {
                let fields = reader.fields(value, &$object)?;
                Some(Self::of(reader, fields))
            }

            /// Reads the values of these keys.
            fn of(
                reader: &mut $crate::scenario::read::Reader<'_>,
                mut fields: $crate::scenario::read::fields::Fields<$n>,
            ) -> Self {
                Self {
                    $($field: fields.take(reader, $crate::scenario::read::keys::key_name!($field $($key)?), $read),)*
                    fields,
                }
            }
        }

        impl<$n> std::ops::Deref for $keys<$n> {
            type Target = $crate::scenario::read::fields::Fields<$n>;

            fn deref(&self) -> &Self::Target {
                &self.fields
            }
        }

        impl std::ops::DerefMut for $keys<'_> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.fields
            }
        }
    };
}

/// The same for a struct of the harness, whose fields have the names and the types.
///
/// A line is `FIELD "KEY" [DEFAULT] = SHAPE => READER, NEED;`. Where the default is left out it is that of the
/// field's type.
macro_rules! header {
    (
        $(#[doc = $doc:literal])+
        $object:ident = $name:literal, $what:literal,
        $header:ident {
            $($(#[doc = $key_doc:literal])+ $field:ident $($key:literal)? $([$default:expr])? = $shape:expr => $read:expr $(, $need:ident)?;)*
        }
    ) => {
        $(#[doc = $doc])+
        pub(crate) static $object: $crate::scenario::format::Object =
            $crate::scenario::format::Object::new($name, $what, concat!($($doc),+), &[
                $($crate::scenario::read::keys::key!([$field $($key)?] [$($need)?] $shape, $($key_doc),+)),*
            ]);

        impl $crate::scenario::read::keys::Header for $header {
            fn read<'n>(
                reader: &mut $crate::scenario::read::Reader<'_>,
                value: $crate::scenario::read::fields::Value<'n>,
            ) -> Option<(Self, $crate::scenario::read::fields::Fields<'n>)> {
                let mut fields = reader.fields(value, &$object)?;
                let header = Self {
                    $($field: $crate::scenario::read::keys::usual!(
                        [$($default)?] fields.take(reader, $crate::scenario::read::keys::key_name!($field $($key)?), $read)
                    ),)*
                };
                Some((header, fields))
            }
        }
    };
}

macro_rules! key {
    ([$($name:tt)+] [$($need:ident)?] $shape:expr, $($doc:literal),+) => {
        $crate::scenario::format::Key::new(
            $crate::scenario::read::keys::key_name!($($name)+),
            $crate::scenario::read::keys::need!($($need)?),
            $shape,
            concat!($($doc),+),
        )
    };
}

macro_rules! key_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

macro_rules! need {
    () => {
        $crate::scenario::format::Need::Optional
    };
    (required) => {
        $crate::scenario::format::Need::Required
    };
    (either) => {
        $crate::scenario::format::Need::Either
    };
}

macro_rules! usual {
    ([] $given:expr) => {
        $crate::scenario::read::keys::Usual::usual($given)
    };
    ([$default:expr] $given:expr) => {
        $given.unwrap_or($default)
    };
}

pub(super) use {header, key, key_name, keys, need, usual};

/// A header that is read from a map.
pub(super) trait Header: Sized {
    /// The header, with the fields that it was read from; `None` if the value is no map.
    fn read<'n>(reader: &mut Reader<'_>, value: Value<'n>) -> Option<(Self, Fields<'n>)>;
}

/// A field of a header, from the value of a key that may not be given.
pub(super) trait Usual: Sized {
    /// What a key says.
    type Given;

    /// The usual value where nothing is given.
    fn usual(given: Option<Self::Given>) -> Self;
}

impl<T> Usual for Option<T> {
    type Given = T;

    fn usual(given: Option<T>) -> Self {
        given
    }
}

macro_rules! usually_default {
    ($($type:ty),+) => {
        $(impl Usual for $type {
            type Given = Self;

            fn usual(given: Option<Self>) -> Self {
                given.unwrap_or_default()
            }
        })+
    };
}

usually_default!(u8, u16, u32, bool, Payload);

impl<T> Usual for Vec<T> {
    type Given = Self;

    fn usual(given: Option<Self>) -> Self {
        given.unwrap_or_default()
    }
}

/// Whatever it is, to be read later.
pub(super) fn raw<'n>(_: &mut Reader<'_>, _: &Key, value: Value<'n>) -> Option<Value<'n>> {
    Some(value)
}

/// Read by this function, which needs not know the key.
pub(super) fn by<'s, 'n, T>(
    read: impl FnOnce(&mut Reader<'s>, Value<'n>) -> Option<T>,
) -> impl FnOnce(&mut Reader<'s>, &Key, Value<'n>) -> Option<T> {
    |reader, _, value| read(reader, value)
}

/// A text of one line.
pub(super) fn line<'n>(
    wanted: &'static str,
) -> impl FnOnce(&mut Reader<'_>, &Key, Value<'n>) -> Option<Word<'n>> {
    move |reader, _, value| reader.line(value, wanted)
}

/// A decimal number in the range of the key's shape.
pub(super) fn decimal<T: TryFrom<u16>>(
    what: &'static str,
) -> impl FnOnce(&mut Reader<'_>, &Key, Value<'_>) -> Option<T> {
    move |reader, key, value| {
        let (low, high) = key.range();
        let narrow = |number| u16::try_from(number).unwrap_or(u16::MAX);
        let number = reader.number(value, what, narrow(low)..=narrow(high))?;
        T::try_from(number).ok()
    }
}

/// A number in the range of the key's shape, decimal or with `0x`.
pub(super) fn number<T: TryFrom<u32>>(
    reader: &mut Reader<'_>,
    key: &Key,
    value: Value<'_>,
) -> Option<T> {
    let (low, high) = key.range();
    let word = reader.text(value, &what(key))?;
    let number = reader.number_between(word, &what(key), low, high)?;
    T::try_from(number).ok()
}

/// A number, or a word that stands for one.
pub(super) fn named(
    by_name: fn(&str) -> Option<u8>,
    names: fn() -> Vec<&'static str>,
) -> impl FnOnce(&mut Reader<'_>, &Key, Value<'_>) -> Option<u8> {
    move |reader, key, value| {
        let word = reader.line(value, &what(key))?;
        if let Some(number) = by_name(word.text) {
            return Some(number);
        }
        if word.text.starts_with(|c: char| c.is_ascii_digit()) {
            return number(reader, key, value);
        }
        reader.no_such(word, key.name, words::suggest(word.text, names()));
        None
    }
}

/// A number, or `bad`.
pub(super) fn checksum(reader: &mut Reader<'_>, key: &Key, value: Value<'_>) -> Option<Checksum> {
    let (low, high) = key.range();
    let word = reader.line(value, "a checksum")?;
    match word.text {
        "bad" => Some(Checksum::Bad),
        _ => reader
            .number_between(word, "a checksum", low, high)
            .map(Checksum::Is),
    }
}

pub(super) fn address(reader: &mut Reader<'_>, _: &Key, value: Value<'_>) -> Option<IpAddr> {
    let word = reader.line(value, "an address")?;
    reader.ip(word)
}

/// A text, or `hex:` and digits; may be empty.
pub(super) fn bytes(reader: &mut Reader<'_>, _: &Key, value: Value<'_>) -> Option<Bytes> {
    reader.bytes(value)
}

pub(super) fn payload(reader: &mut Reader<'_>, _: &Key, value: Value<'_>) -> Option<Payload> {
    reader.payload(value)
}

pub(super) fn boolean(reader: &mut Reader<'_>, _: &Key, value: Value<'_>) -> Option<bool> {
    reader.boolean(value)
}

/// What a field is called in a message.
fn what(key: &Key) -> String {
    match key.name {
        "sport" | "dport" => "a port".to_owned(),
        other => format!("a value for {}", quote(other)),
    }
}
