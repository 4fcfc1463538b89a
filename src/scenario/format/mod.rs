//! The shape of the format: every object, every key, and one sentence about each.
//!
//! The tables themselves stand with their readers (`read::keys`). Keys are checked against them and the JSON
//! Schema is generated from them, so that neither can know a key that the other does not.

pub(crate) mod schema;
pub(crate) mod services;
pub(crate) mod words;

use std::sync::LazyLock;

use crate::dialect::{self, Dialect, Kind};

/// A map with fixed keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name in the JSON Schema.
    pub(crate) name: &'static str,
    /// What people call it, with an article.
    pub(crate) what: &'static str,
    pub(crate) doc: &'static str,
    keys: &'static [Key],
    /// Whether it has the key of every dialect too, exactly one of which must be there.
    has_dialects: bool,
    /// Its further keys, which are those of this one.
    also: Option<&'static Object>,
    /// Keys that are planned: not known yet, but no typing errors either.
    pub(crate) planned: &'static [&'static str],
    /// Whether an included part may bring the required keys.
    pub(crate) spread: bool,
}

/// A key of an [`Object`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
    pub(crate) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Exactly one of the keys marked so.
    Either,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Bool,
    Number(u32, u32),
    /// A string or a number.
    Scalar,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// One of these words.
    Words(&'static [&'static str]),
    /// `reject KIND` as one text.
    RejectText,
    /// A text that matches this pattern.
    Pattern(&'static str),
    /// The same, where YAML may take the text for a number.
    Digits(&'static str),
    /// A list of this.
    List(&'static Shape),
    /// This, or a list of it.
    OneOrMore(&'static Shape),
    /// A map whose keys match this pattern.
    Map(&'static str, &'static Shape),
    Object(&'static Object),
    /// The map of a dialect.
    Dialect(&'static Dialect),
    AnyOf(&'static [Shape]),
    /// `FROM -> TO SERVICE: OUTCOME`.
    ShortTest(&'static Shape),
    /// `reply SEGMENT: OUTCOME`.
    ShortReply(&'static Shape),
}

impl Object {
    /// An object of these keys; `doc` is a doc comment.
    pub(crate) const fn new(
        name: &'static str,
        what: &'static str,
        doc: &'static str,
        keys: &'static [Key],
    ) -> Self {
        Self {
            name,
            what,
            doc: sentence(doc),
            keys,
            has_dialects: false,
            also: None,
            planned: &[],
            spread: false,
        }
    }

    /// It has the key of every dialect too.
    pub(crate) const fn dialects(mut self) -> Self {
        self.has_dialects = true;
        self
    }

    /// It has the keys of another too.
    pub(crate) const fn also(mut self, other: &'static Object) -> Self {
        self.also = Some(other);
        self
    }

    /// These keys are planned.
    pub(crate) const fn planned(mut self, keys: &'static [&'static str]) -> Self {
        self.planned = keys;
        self
    }

    /// An included part may bring the required keys.
    pub(crate) const fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        static DIALECTS: LazyLock<Vec<Key>> = LazyLock::new(dialect_keys);
        let dialects: &'static [Key] = if self.has_dialects { &DIALECTS } else { &[] };
        let also: &'static [Key] = self.also.map_or(&[], |other| other.keys);
        dialects.iter().chain(self.keys).chain(also)
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys().map(|key| key.name)
    }

    /// The keys of which exactly one must be there.
    pub(crate) fn either(&self) -> Vec<&'static str> {
        let keys = self.keys().filter(|key| key.need == Need::Either);
        keys.map(|key| key.name).collect()
    }
}

impl Key {
    /// A key; `doc` is a doc comment.
    pub(crate) const fn new(
        name: &'static str,
        need: Need,
        shape: Shape,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            need,
            shape,
            doc: sentence(doc),
        }
    }

    /// The numbers that its value may be; all of them where its shape says nothing of numbers.
    pub(crate) fn range(&self) -> (u32, u32) {
        match self.shape {
            Shape::Number(low, high) => Some((low, high)),
            Shape::AnyOf(choices) => choices.iter().find_map(|choice| match choice {
                Shape::Number(low, high) => Some((*low, *high)),
                _ => None,
            }),
            _ => None,
        }
        .unwrap_or((0, u32::MAX))
    }
}

/// A doc comment without the space that it begins with.
const fn sentence(doc: &'static str) -> &'static str {
    doc.split_at(1).1
}

/// A host's name.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_.-]*$";
pub(crate) const PARTY: Shape =
    Shape::Pattern("^(firewall(@[^/:\\s]+)?|[A-Za-z_][A-Za-z0-9_.-]*)$");
pub(crate) const SERVICE: Shape = Shape::Pattern(
    "^([a-z][a-z0-9-]*|(tcp|udp|sctp|udplite)/[a-z0-9-]+(,[a-z0-9-]+)*|icmp(v4|v6)?/[a-z0-9-]+(/[a-z0-9-]+)?|proto/[0-9]+)(\\s+[a-z-]+)?$",
);
pub(crate) const ADDRESS: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+$");
pub(crate) const PREFIX: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+/[0-9]+$");
pub(crate) const PREFIX_OR_ADDRESS: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+(/[0-9]+)?$");
pub(crate) const PORT: Shape = Shape::Number(1, 65_535);
pub(crate) const PORTS: Shape = Shape::Digits("^[0-9]+(-[0-9]+)?$");
pub(crate) const BYTE: Shape = Shape::Number(0, 255);
pub(crate) const U16: Shape = Shape::Number(0, 65_535);
pub(crate) const U32: Shape = Shape::Number(0, u32::MAX);
pub(crate) const TIME: Shape = Shape::Pattern("^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$");
pub(crate) const COUNT: Shape = Shape::Digits("^[0-9]+(\\.\\.[0-9]+)?$");
pub(crate) const MAC: Shape = Shape::Pattern("^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$|^broadcast$");
pub(crate) const FAMILY: Shape = Shape::Words(&["ipv4", "ipv6"]);

/// The map of a dialect.
pub(crate) fn dialect(dialect: &'static Dialect) -> &'static Object {
    static OBJECTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
        let of = |dialect: &&'static Dialect| Object {
            doc: dialect.doc,
            ..Object::new(
                dialect.key,
                dialect.key,
                " ",
                kept(dialect.slots.iter().map(|slot| {
                    let shape = match slot.kind {
                        Kind::File | Kind::Folder => Shape::Text,
                        Kind::Word(words) => Shape::Words(words),
                        Kind::Lines => Shape::OneOrMore(&Shape::Text),
                    };
                    let need = match slot.need {
                        dialect::Need::Required => Need::Required,
                        // That one of several is there is for the reader to see.
                        dialect::Need::Any | dialect::Need::Optional => Need::Optional,
                    };
                    Key {
                        name: slot.name,
                        need,
                        shape,
                        doc: slot.doc,
                    }
                })),
            )
        };
        dialect::ALL.iter().map(of).collect()
    });
    let index = dialect::ALL.iter().position(|other| *other == dialect);
    // Every dialect is in the table.
    &OBJECTS[index.unwrap_or(0)]
}

/// The key of every dialect.
fn dialect_keys() -> Vec<Key> {
    let of = |each: &&'static Dialect| Key {
        name: each.key,
        need: Need::Either,
        shape: match each.slots {
            [_] => Shape::Text,
            _ => {
                let text = match each.main().kind {
                    Kind::File | Kind::Folder | Kind::Word(_) => Shape::Text,
                    Kind::Lines => Shape::OneOrMore(&Shape::Text),
                };
                Shape::AnyOf(kept([text, Shape::Dialect(each)]))
            }
        },
        doc: each.doc,
    };
    dialect::ALL.iter().map(of).collect()
}

/// A table that is made once and lives as long as the program.
fn kept<T>(items: impl IntoIterator<Item = T>) -> &'static [T] {
    Vec::leak(items.into_iter().collect())
}
