//! Sets and maps with their elements.

use super::{
    expression::{Expression, ProgramVerdict, RawAttribute},
    number::flags,
    object::ObjectKind,
};

/// A set or a map of a table, with or without a name of its own: the kernel names the set of `{ 1, 2 }` `__set0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramSet {
    /// Its name, unique in the table.
    pub name: String,
    /// Unique in the table; `None` on kernels that do not tell it.
    pub handle: Option<u64>,
    /// What it is.
    pub flags: SetFlags,
    /// nft's number for the type of the keys; the kernel does not look at it.
    pub key_type: u32,
    /// Of the keys, in bytes; the fields of a concatenation are each padded to four.
    pub key_bytes: u32,
    /// The lengths of the fields of a concatenation in bytes, without padding; empty where the kernel does not tell
    /// them.
    pub field_bytes: Vec<u32>,
    /// What keys map to.
    pub data: SetDataKind,
    /// The most elements; `None` without a limit.
    pub size: Option<u32>,
    /// Whether memory counts rather than speed (`enum nft_set_policies`); `None` if the kernel does not say.
    pub policy: Option<u32>,
    /// After how many milliseconds an element goes; `None` if it stays.
    pub timeout_ms: Option<u64>,
    /// How often old elements are removed, in milliseconds.
    pub gc_interval_ms: Option<u32>,
    /// Run for each element that rules add.
    pub expressions: Vec<Expression>,
    /// Ordered by key; a start comes behind an end with the same key.
    pub elements: Vec<SetElement>,
    /// The kernel's name for the data structure; `None` before Linux 6.16.
    pub backend: Option<String>,
    /// How many elements the kernel counts; `None` before Linux 6.16.
    pub element_count: Option<u32>,
    /// What nft keeps with it (byte orders, comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

flags! {
    /// `enum nft_set_flags`.
    SetFlags {
        /// It belongs to one rule.
        ANONYMOUS = 0x1,
        /// It does not change.
        CONSTANT = 0x2,
        /// It holds intervals.
        INTERVAL = 0x4,
        /// It is a map.
        MAP = 0x8,
        /// Elements go after a time.
        TIMEOUT = 0x10,
        /// Rules may add elements.
        EVAL = 0x20,
        /// It maps to named objects.
        OBJECT = 0x40,
        /// The keys are concatenations of intervals.
        CONCAT = 0x80,
        /// Elements have expressions.
        EXPR = 0x100,
    }
}

/// What the keys of a set map to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetDataKind {
    /// Nothing: it is no map.
    None,
    /// Verdicts.
    Verdict,
    /// Values.
    Value {
        /// nft's number for their type; the kernel does not look at it.
        kind: u32,
        /// In bytes.
        bytes: u32,
    },
    /// Named objects; `None` if their kind is not understood.
    Object(Option<ObjectKind>),
}

/// An element of a set. In a set of intervals without [`SetFlags::CONCAT`], an element begins an interval, which ends
/// before the next one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetElement {
    /// The key, or the lowest of several; empty for the element that stands for all other keys.
    pub key: Vec<u8>,
    /// The highest key, field by field, in a set of concatenations of intervals.
    pub key_end: Option<Vec<u8>>,
    /// What it is.
    pub flags: ElementFlags,
    /// What it maps to.
    pub data: ElementData,
    /// After how many milliseconds it goes; `None` is the set's own time.
    pub timeout_ms: Option<u64>,
    /// In how many milliseconds it goes.
    pub expiration_ms: Option<u64>,
    /// Run when it is looked up.
    pub expressions: Vec<Expression>,
    /// What nft keeps with it (comments).
    pub userdata: Vec<u8>,
    /// Attributes without a meaning here.
    pub unknown: Vec<RawAttribute>,
}

flags! {
    /// `enum nft_set_elem_flags`.
    ElementFlags {
        /// It ends an interval: its key is the first that is not in it.
        INTERVAL_END = 0x1,
        /// It stands for all keys that no other element has.
        CATCH_ALL = 0x2,
    }
}

/// What an element maps to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ElementData {
    /// Nothing.
    None,
    /// A verdict.
    Verdict(ProgramVerdict),
    /// A value.
    Value(Vec<u8>),
    /// The named object with this name, of the set's kind.
    Object(String),
}
