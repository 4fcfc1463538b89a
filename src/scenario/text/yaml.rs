//! YAML text to [`Node`]: the one place that knows the YAML library.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DefaultMessageFormatter, Error, Location, MessageFormatter, Options, Spanned,
    budget::BudgetBreach,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use crate::scenario::{
    format::words::quote,
    text::{
        problem::Draft,
        source::{Source, Sources, Span},
        tree::{Entry, Kind, Node, Scalar},
    },
};

/// Deepest nesting of maps and lists.
const MAX_DEPTH: usize = 32;
/// Most values in a file, after its aliases are put in.
const MAX_NODES: usize = 200_000;
/// Most uses of anchors.
const MAX_ALIASES: usize = 10_000;
/// Longest key, in characters: the short form of a test is a key and may list a thousand ports.
const MAX_KEY: usize = 8 * 1024;

/// The document in file number `file`.
pub(crate) fn parse(sources: &Sources, file: usize) -> Result<Node, Vec<Draft>> {
    let source = sources.get(file);
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(&source.text, options())
        .map_err(|error| vec![explain(&error, source, file)])?;
    let mut converter = Converter {
        source,
        file,
        problems: Vec::new(),
    };
    let node = converter.node(raw);
    if converter.problems.is_empty() {
        Ok(node)
    } else {
        Err(converter.problems)
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_aliases: MAX_ALIASES,
            simple_key_max_lookahead: MAX_KEY,
            // One anchor that is used by a hundred tests is good style here.
            enforce_alias_anchor_ratio: false,
        },
        // Passed on so that all of them can be reported, each with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}

/// What the library hands over, before the texts of numbers are taken from the source.
enum Raw {
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
    List(Vec<Spanned<Raw>>),
    Text(String),
    /// A plain scalar that YAML takes for a number or a boolean, as the library understood it.
    Typed(String),
    Null,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

struct Converter<'s> {
    source: &'s Source,
    file: usize,
    problems: Vec<Draft>,
}

impl Converter<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        // What an alias or a merge key brings in is wrong, if it is, where it was written.
        let span = span(&raw.defined, self.source, self.file);
        let kind = match raw.value {
            Raw::Map(entries) => Kind::Map(self.entries(entries)),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Text(text) => Kind::Scalar(self.scalar(text, span)),
            Raw::Typed(text) => Kind::Scalar(self.typed(text, span)),
            Raw::Null => Kind::Null,
        };
        Node { span, kind }
    }

    fn entries(&mut self, raw: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(raw.len());
        let mut seen: HashMap<String, Span> = HashMap::new();
        for (key, value) in raw {
            let at = span(&key.defined, self.source, self.file);
            let value = self.node(value);
            let key = match key.value {
                Raw::Text(text) => self.scalar(text, at),
                Raw::Typed(text) => self.typed(text, at),
                Raw::Null => self.typed("~".to_owned(), at),
                Raw::Map(_) | Raw::List(_) => {
                    let mut draft = Draft::new(at, "a key must be a single word or text");
                    draft.label("this is a list or a map");
                    self.problems.push(draft);
                    continue;
                }
            };
            if let Some(first) = seen.get(&key.text) {
                let message = format!("the key {} appears twice", quote(&key.text));
                let mut draft = Draft::new(at, message);
                draft.label("here again").also(*first, "first here");
                self.problems.push(draft);
                continue;
            }
            seen.insert(key.text.clone(), at);
            entries.push(Entry { key, value });
        }
        entries
    }

    fn scalar(&self, text: String, span: Span) -> Scalar {
        let written = &self.source.text[span.start..span.end];
        let inner = written
            .strip_prefix(['"', '\''])
            .and_then(|rest| rest.strip_suffix(['"', '\'']));
        let literal = if written == text {
            Some(span.start)
        } else if inner == Some(text.as_str()) {
            Some(span.start + 1)
        } else {
            None
        };
        Scalar {
            text,
            span,
            literal,
            plain: literal == Some(span.start),
        }
    }

    /// `0x10`, `1.50` and `007` are kept as they were written.
    fn typed(&self, understood: String, span: Span) -> Scalar {
        let written = &self.source.text[span.start..span.end];
        if written.is_empty() || written.contains(['\n', '"', '\'']) {
            return self.scalar(understood, span);
        }
        self.scalar(written.to_owned(), span)
    }
}

fn span(location: &Location, source: &Source, file: usize) -> Span {
    let span = location.span();
    let bytes = match (span.byte_offset(), span.byte_len()) {
        (Some(offset), Some(len)) => to_usize(offset)..to_usize(offset) + to_usize(len),
        _ => {
            let byte = |chars: u64| {
                let mut starts = source.text.char_indices().skip(to_usize(chars));
                starts.next().map_or(source.text.len(), |(byte, _)| byte)
            };
            byte(span.offset())..byte(span.offset().saturating_add(span.len()))
        }
    };
    let bytes = source.clamp(bytes);
    Span {
        file,
        start: bytes.start,
        end: bytes.end,
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX / 2)
}

/// The library's error in the words of ours.
fn explain(error: &Error, source: &Source, file: usize) -> Draft {
    let mut error = error.without_snippet();
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let at = match error.location() {
        Some(location) => span(&location, source, file),
        None => Span {
            file,
            start: 0,
            end: 0,
        },
    };
    match error {
        Error::Budget { breach, .. } => Draft::new(at, over_budget(breach)),
        Error::MultipleDocuments { .. } => {
            let mut draft = Draft::new(
                at,
                "a file holds one scenario, but a second document starts here",
            );
            draft.help("put each scenario into a file of its own");
            draft
        }
        Error::UnknownAnchor { .. } => {
            let rest = &source.text[at.start..];
            let end = rest.find(|c: char| c.is_whitespace() || ",[]{}".contains(c));
            let alias = &rest[..end.unwrap_or(rest.len())];
            let at = Span {
                end: at.start + alias.len(),
                ..at
            };
            let name = alias.trim_start_matches('*');
            let mut draft = Draft::new(at, format!("unknown anchor {}", quote(name)));
            draft.help(format!(
                "write `&{name}` before the value that it stands for, above this line"
            ));
            draft
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Draft::new(at, "an anchor cannot be used inside its own value")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => Draft::new(
            at,
            "`<<` takes in a map or a list of maps, and this is neither",
        ),
        other => from_parser(&DefaultMessageFormatter.format_message(other), at),
    }
}

/// An error of the YAML parser, which has no type of its own.
fn from_parser(message: &str, at: Span) -> Draft {
    if message.contains("recursion limit") {
        return Draft::new(at, too_deep());
    }
    let help = if message.contains("tabs disallowed") {
        Some("indent with spaces; YAML does not allow tabs here")
    } else if message.contains("mapping values are not allowed") {
        Some("a text that contains `: ` must be in quotes, and a key must be alone on its line")
    } else if message.contains("unexpected character") {
        Some("put the text in quotes")
    } else {
        None
    };
    let mut draft = Draft::new(at, format!("this is not valid YAML: {message}"));
    draft.help(help.map(str::to_owned));
    draft
}

fn too_deep() -> String {
    format!("the file is nested more than {MAX_DEPTH} levels deep")
}

fn over_budget(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Nodes { .. }
        | BudgetBreach::Events { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::RecordedAnchorBytes { .. } => {
            format!(
                "the file has more than {MAX_NODES} values, counting what its aliases stand for"
            )
        }
        BudgetBreach::Aliases { .. } => format!("the file uses more than {MAX_ALIASES} aliases"),
        _ => "the file is too big or too intricate to read".to_owned(),
    }
}
