//! From the rules of a loaded ruleset back to the lines of the user's files. Which rule is which is for a
//! dialect to find out; here it is kept and looked up.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{chain::Chain, legacy::LEGACY};

/// The longest piece of a source line that is shown, in characters.
const MAX_SHOWN: usize = 160;

/// Where the rules and policies of a loaded ruleset were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    files: Files,
    tables: BTreeMap<(String, String), Table>,
    /// Why nothing is known of what is not in `tables`; without it, nobody has asked.
    otherwise: Option<Arc<str>>,
}

/// What is known of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// By handle.
    pub(crate) rules: BTreeMap<u64, Found>,
    /// By the name of the chain.
    pub(crate) policies: BTreeMap<String, Found>,
    /// What a program wrote on behalf of the places of the rules, by handle.
    pub(crate) through: BTreeMap<u64, Generated>,
}

/// A place, or why none is known.
pub(crate) type Found = Result<Place, Arc<str>>;

/// A place in a file that was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index into [`Files::includes`].
    pub(crate) include: usize,
    /// Byte offset.
    pub(crate) at: usize,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Whether the line only implies what was asked for.
    pub(crate) implied: bool,
}

/// The files of a candidate, and how they came to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// As the user named them, with their text.
    pub(crate) files: Vec<(PathBuf, Arc<str>)>,
    includes: Vec<Include>,
}

/// One reading of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Include {
    file: usize,
    /// Where it was included; `None` for the main file.
    from: Option<Place>,
    depth: usize,
}

/// What the rules of a chain are kept under: family and table. The rules of legacy iptables have
/// numbers in their chains only, so there the chain is part of it.
pub(crate) fn table_key(chain: &Chain) -> (String, String) {
    let table = match chain.family.starts_with(LEGACY) {
        true => format!("{} {}", chain.table, chain.name),
        false => chain.table.clone(),
    };
    (chain.family.clone(), table)
}

impl Origins {
    pub(crate) fn new(files: Files, tables: BTreeMap<(String, String), Table>) -> Self {
        Self {
            files,
            tables,
            otherwise: Some("no file of the candidate makes its table".into()),
        }
    }

    /// For a candidate that could not be followed.
    pub(crate) fn unknown(why: &str) -> Self {
        Self {
            otherwise: Some(why.into()),
            ..Self::default()
        }
    }

    /// Where a rule was written; `None` if nobody has looked.
    #[must_use]
    pub fn rule(&self, chain: &Chain, handle: u64) -> Option<Origin> {
        let mut origin = self.look_up(chain, |table| table.rules.get(&handle));
        if let Some(Origin::Known(line)) = &mut origin {
            let table = self.tables.get(&table_key(chain));
            line.generated = table.and_then(|table| table.through.get(&handle).cloned());
        }
        origin
    }

    /// Where the policy of a base chain was written, or what implies it; `None` if nobody has looked.
    #[must_use]
    pub fn policy(&self, chain: &Chain) -> Option<Origin> {
        self.look_up(chain, |table| table.policies.get(&chain.name))
    }

    fn look_up<'a>(
        &'a self,
        chain: &Chain,
        find: impl Fn(&'a Table) -> Option<&'a Found>,
    ) -> Option<Origin> {
        let otherwise = self.otherwise.as_ref()?;
        let key = table_key(chain);
        let unknown = |why: &Arc<str>| Origin::Unknown(why.to_string());
        Some(match self.tables.get(&key).map(find) {
            Some(Some(Ok(place))) => Origin::Known(self.files.line(*place)),
            Some(Some(Err(why))) => unknown(why),
            Some(None) => Origin::Unknown("the listing does not show it".to_owned()),
            None => unknown(otherwise),
        })
    }
}

impl Files {
    /// The files, of which the first is the main file.
    pub(crate) fn new(files: Vec<(PathBuf, Arc<str>)>) -> Self {
        Self {
            files,
            includes: vec![Include {
                file: 0,
                from: None,
                depth: 1,
            }],
        }
    }

    /// A file that nothing includes.
    pub(crate) fn root(&mut self, file: usize) -> usize {
        self.includes.push(Include {
            file,
            from: None,
            depth: 1,
        });
        self.includes.len() - 1
    }

    /// A file is included from somewhere.
    pub(crate) fn include(&mut self, file: usize, from: Place) -> usize {
        self.includes.push(Include {
            file,
            from: Some(from),
            depth: self.depth(from.include) + 1,
        });
        self.includes.len() - 1
    }

    /// How many files were read, each as often as it was included.
    pub(crate) fn includes(&self) -> usize {
        self.includes.len()
    }

    /// How many files are open in this one, itself included.
    pub(crate) fn depth(&self, include: usize) -> usize {
        self.includes
            .get(include)
            .map_or(0, |include| include.depth)
    }

    /// `FILE:LINE`.
    pub(crate) fn name(&self, place: Place) -> String {
        let line = self.line(place);
        format!("{}:{}", line.file.display(), line.line)
    }

    fn line(&self, place: Place) -> SourceLine {
        let mut included_from = Vec::new();
        let mut from = self
            .includes
            .get(place.include)
            .and_then(|include| include.from);
        while let Some(place) = from {
            included_from.push((self.file(place).0.clone(), place.line));
            from = self
                .includes
                .get(place.include)
                .and_then(|include| include.from);
        }
        let (file, text) = self.file(place);
        let start = text[..place.at]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let end = text[place.at..]
            .find('\n')
            .map_or(text.len(), |length| place.at + length);
        SourceLine {
            file: file.clone(),
            line: place.line,
            column: text[start..place.at].chars().count() + 1,
            text: shown(&text[start..end], place.at - start),
            implied: place.implied,
            included_from,
            generated: None,
        }
    }

    /// A line that a program wrote.
    pub(crate) fn generated(&self, place: Place) -> Generated {
        let line = self.line(place);
        Generated {
            file: line.file.display().to_string(),
            line: line.line,
            text: line.text,
        }
    }

    fn file(&self, place: Place) -> &(PathBuf, Arc<str>) {
        &self.files[self.includes[place.include].file]
    }
}

/// A line without its blanks; a very long one from `at` on, where the matter is.
fn shown(line: &str, at: usize) -> String {
    let whole = line.trim();
    if whole.chars().count() <= MAX_SHOWN {
        return whole.to_owned();
    }
    let mut text: String = line[at..].trim().chars().take(MAX_SHOWN).collect();
    if text.len() < line[at..].trim().len() {
        text.push('…');
    }
    text
}

/// Where in the user's files a rule or a policy was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// There, without doubt.
    Known(SourceLine),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// A line of a file of the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line, from 1: the first of a rule that spans several.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself, without the blanks around it; only a part of a very long one.
    #[serde(rename = "source")]
    pub text: String,
    /// Whether the line only implies what was asked for: a base chain without a policy accepts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied: bool,
    /// The files and lines by whose `include` the file was read, the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "file_and_line")]
    pub included_from: Vec<(PathBuf, usize)>,
    /// What a program made of the line before it was loaded, if one did and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
}

/// Places as texts: `FILE:LINE`.
mod file_and_line {
    use std::path::PathBuf;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        places: &[(PathBuf, usize)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            places
                .iter()
                .map(|(file, line)| format!("{}:{line}", file.display())),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(PathBuf, usize)>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let place = |text: &String| {
            let (file, line) = text.rsplit_once(':')?;
            Some((PathBuf::from(file), line.parse().ok()?))
        };
        let places: Option<_> = texts.iter().map(place).collect();
        places.ok_or_else(|| D::Error::custom("a place is not `FILE:LINE`"))
    }
}

/// A line that a program wrote on behalf of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The file that it wrote, or what it is.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The line itself.
    #[serde(rename = "source")]
    pub text: String,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
