//! What is wrong with a file, where, and what to do about it; shown as rustc shows it.

use std::{fmt, ops::Range, path::PathBuf};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet,
    renderer::{DEFAULT_TERM_WIDTH, DecorStyle},
};

use crate::scenario::{
    Location,
    text::source::{Source, Sources, Span},
};

/// Two places further apart than this are shown as two excerpts.
const LINES_IN_ONE_EXCERPT: usize = 40;
/// A source line longer than this is no help to anybody: only its position is shown.
const LONGEST_LINE: usize = 1000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// Where; `None` when it is about no place in a file (a missing folder).
    pub location: Option<Location>,
    /// What to do about it.
    pub help: Option<String>,
    excerpts: Vec<Excerpt>,
}

/// Some lines of a file with marks in them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    file: PathBuf,
    /// From 1.
    first_line: usize,
    text: String,
    marks: Vec<Mark>,
}

/// A stretch of an [`Excerpt`] to underline.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    range: Range<usize>,
    label: Option<String>,
    primary: bool,
}

/// Everything that is wrong with the files that were read, in the order of files and lines. Never
/// empty when it is the error of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    /// A problem that is about no place in a file.
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            location: None,
            help: None,
            excerpts: Vec::new(),
        }
    }

    /// The same of a message that has what to do about it in brackets on its second line.
    pub(crate) fn words(message: &str) -> Self {
        match message.split_once("\n(") {
            Some((message, help)) => Self::general(message).help(help.trim_end_matches(')')),
            None => Self::general(message),
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The problem with its source lines, ready to print (without a newline at the end).
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str()));
        if self.excerpts.is_empty()
            && let Some(at) = &self.location
        {
            group = group.element(
                Origin::path(at.file.to_string_lossy())
                    .line(at.line)
                    .char_column(at.column),
            );
        }
        for excerpt in &self.excerpts {
            group = group.element(excerpt.snippet());
        }
        let renderer = renderer(color);
        let Some(help) = &self.help else {
            return renderer.render(&[group]).trim_end().to_owned();
        };
        let help = Group::with_title(Level::HELP.secondary_title(help.as_str()));
        let shown = if self.excerpts.is_empty() {
            // Nothing between the two that a bar could connect.
            format!(
                "{}\n{}",
                renderer.render(&[group]),
                renderer.render(&[help])
            )
        } else {
            renderer.render(&[group, help])
        };
        shown.trim_end().to_owned()
    }
}

fn renderer(color: bool) -> Renderer {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer
        .decor_style(DecorStyle::Ascii)
        .term_width(DEFAULT_TERM_WIDTH)
}

impl Excerpt {
    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let marks = self.marks.iter().map(|mark| {
            let kind = if mark.primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            kind.span(mark.range.clone()).label(mark.label.as_deref())
        });
        Snippet::source(self.text.as_str())
            .line_start(self.first_line)
            .path(self.file.to_string_lossy())
            .annotations(marks)
    }
}

impl Problems {
    /// Sorted by file and line; the same problem seen twice (an include of two scenarios, an alias
    /// used twice) counts once.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        fn place(problem: &Problem) -> Option<(&PathBuf, usize, usize)> {
            let at = problem.location.as_ref()?;
            Some((&at.file, at.line, at.column))
        }
        problems.sort_by(|a, b| place(a).cmp(&place(b)));
        let mut kept: Vec<Problem> = Vec::with_capacity(problems.len());
        for problem in problems {
            let mut here = kept
                .iter()
                .rev()
                .take_while(|seen| place(seen) == place(&problem));
            if !here.any(|seen| *seen == problem) {
                kept.push(problem);
            }
        }
        Self(kept)
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// All of them with their source lines, ready to print (without a newline at the end).
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let parts: Vec<String> = self.iter().map(|problem| problem.render(color)).collect();
        parts.join("\n\n")
    }
}

impl<'p> IntoIterator for &'p Problems {
    type Item = &'p Problem;
    type IntoIter = std::slice::Iter<'p, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problem {}

impl std::error::Error for Problems {}

/// What to do about a problem, if anything is known.
pub(crate) trait Help {
    /// Its text.
    fn text(self) -> Option<String>;
}

impl Help for &str {
    fn text(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Help for String {
    fn text(self) -> Option<String> {
        Some(self)
    }
}

impl Help for Option<String> {
    fn text(self) -> Option<String> {
        self
    }
}

/// A problem while its file is still being read: it points with spans.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) at: Span,
    message: String,
    label: Option<String>,
    also: Vec<(Span, String)>,
    help: Option<String>,
}

impl Draft {
    pub(crate) fn new(at: Span, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            label: None,
            also: Vec::new(),
            help: None,
        }
    }

    /// Says something next to the underlined words.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Points at a second place.
    pub(crate) fn also(&mut self, at: Span, label: impl Into<String>) -> &mut Self {
        self.also.push((at, label.into()));
        self
    }

    pub(crate) fn help(&mut self, help: impl Help) -> &mut Self {
        self.help = help.text();
        self
    }

    /// Gives another help in place of one of these.
    pub(crate) fn replace_help(&mut self, these: &[&str], other: &str) {
        if self
            .help
            .as_deref()
            .is_some_and(|help| these.contains(&help))
        {
            self.help = Some(other.to_owned());
        }
    }

    pub(crate) fn finish(self, sources: &Sources) -> Problem {
        // Nothing in particular can be shown of a whole file.
        let whole_file = self.at.start == 0 && self.at.end == 0;
        let mut places = vec![MarkedSpan {
            at: self.at,
            label: self.label,
            primary: true,
        }];
        places.extend(self.also.into_iter().map(|(at, label)| MarkedSpan {
            at,
            label: Some(label),
            primary: false,
        }));
        Problem {
            message: self.message,
            location: Some(sources.location(self.at)),
            help: self.help,
            excerpts: if whole_file {
                Vec::new()
            } else {
                excerpts(sources, places)
            },
        }
    }
}

/// A [`Mark`] before its excerpt is cut out.
struct MarkedSpan {
    at: Span,
    label: Option<String>,
    primary: bool,
}

/// Marks that one excerpt shows.
struct Neighbours {
    file: usize,
    /// From 0.
    lines: Range<usize>,
    places: Vec<MarkedSpan>,
}

/// Puts marks that stand close together into one excerpt; the one with the primary mark comes first.
fn excerpts(sources: &Sources, places: Vec<MarkedSpan>) -> Vec<Excerpt> {
    let mut groups: Vec<Neighbours> = Vec::new();
    for place in places {
        let file = place.at.file;
        let source = sources.get(file);
        let lines = marked_lines(source, place.at);
        if lines
            .clone()
            .any(|line| source.line(line).len() > LONGEST_LINE)
        {
            continue;
        }
        let near = groups.iter_mut().find(|group| {
            let first = group.lines.start.min(lines.start);
            let last = group.lines.end.max(lines.end);
            group.file == file && last - first <= LINES_IN_ONE_EXCERPT
        });
        match near {
            Some(group) => {
                group.lines.start = group.lines.start.min(lines.start);
                group.lines.end = group.lines.end.max(lines.end);
                group.places.push(place);
            }
            None => groups.push(Neighbours {
                file,
                lines,
                places: vec![place],
            }),
        }
    }
    groups
        .into_iter()
        .map(|group| excerpt(sources.get(group.file), group.lines, group.places))
        .collect()
}

/// The lines a mark is shown with: a long one only with its first.
fn marked_lines(source: &Source, span: Span) -> Range<usize> {
    let first = source.line_of(span.start);
    let last = source.line_of(span.end.max(span.start + 1) - 1);
    first..last.min(first + 3) + 1
}

fn excerpt(source: &Source, lines: Range<usize>, places: Vec<MarkedSpan>) -> Excerpt {
    let bytes = source.line(lines.start).start..source.line(lines.end - 1).end;
    let marks = places
        .into_iter()
        .map(|place| {
            let start = place.at.start.clamp(bytes.start, bytes.end);
            let end = place.at.end.clamp(start, bytes.end);
            Mark {
                range: start - bytes.start..end - bytes.start,
                label: place.label,
                primary: place.primary,
            }
        })
        .collect();
    Excerpt {
        file: source.path.clone(),
        first_line: lines.start + 1,
        text: source.text[bytes].to_owned(),
        marks,
    }
}
