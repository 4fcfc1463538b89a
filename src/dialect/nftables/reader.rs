//! The tokens of a script, spliced at its includes, and the parts of it that are passed over.

use std::sync::Arc;

use super::model::Source;
use crate::ruleset::lexer::{Kind, Lexer, Token};
use crate::ruleset::origin::{Files, Place};

/// nft itself follows no more levels (`MAX_INCLUDE_DEPTH`, src/parser_bison.y).
pub(super) const MAX_INCLUDE_DEPTH: usize = 16;

/// Files that include each other twice are read 2^16 times; nobody waits for that.
const MAX_INCLUDES: usize = 100_000;

/// The same in tokens: more than a million rules.
const MAX_TOKENS: usize = 20_000_000;

/// Where a script is not understood, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) place: Place,
    pub(super) why: String,
}

pub(super) type Result<T> = std::result::Result<T, Doubt>;

/// A file that is being read.
struct Open<'a> {
    lexer: Lexer<'a>,
    /// Index into [`Files::includes`].
    include: usize,
}

/// A script, read from its first token to its last.
pub(super) struct Reader<'a, 'f> {
    texts: &'a [Arc<str>],
    files: &'f mut Files,
    find: &'f dyn Fn(&str) -> Vec<usize>,
    /// The innermost include last.
    open: Vec<Open<'a>>,
    peeked: Option<(Token<'a>, Place)>,
    /// Where the last token was.
    pub(super) last: Place,
    tokens: usize,
    pub(super) source: Source<'a>,
}

impl<'a, 'f> Reader<'a, 'f> {
    /// Starts with the first of `texts`.
    pub(super) fn new(
        texts: &'a [Arc<str>],
        files: &'f mut Files,
        find: &'f dyn Fn(&str) -> Vec<usize>,
    ) -> Self {
        let main = Open {
            lexer: Lexer::new(texts.first().map_or("", |text| text)),
            include: 0,
        };
        Self {
            texts,
            files,
            find,
            open: vec![main],
            peeked: None,
            last: Place::default(),
            tokens: 0,
            source: Source::default(),
        }
    }

    pub(super) fn peek(&mut self) -> Option<(Token<'a>, Place)> {
        while self.peeked.is_none() {
            let open = self.open.last_mut()?;
            match open.lexer.next() {
                Some(token) => {
                    let place = Place {
                        include: open.include,
                        at: token.at,
                        line: token.line,
                        implied: false,
                    };
                    self.peeked = Some((token, place));
                }
                // What follows in the including file goes on where this one ends, even in the middle
                // of a rule.
                None => {
                    self.open.pop();
                }
            }
        }
        self.peeked
    }

    pub(super) fn peek_kind(&mut self) -> Option<Kind> {
        self.peek().map(|(token, _)| token.kind)
    }

    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>> {
        let Some((token, place)) = self.peek() else {
            return Ok(None);
        };
        self.peeked = None;
        self.last = place;
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            return Err(self.doubt("the candidate is too long to be followed"));
        }
        Ok(Some(token))
    }

    pub(super) fn doubt(&self, why: impl Into<String>) -> Doubt {
        Doubt {
            place: self.last,
            why: why.into(),
        }
    }

    /// A word, or a name between quotes.
    pub(super) fn word(&mut self, what: &str) -> Result<&'a str> {
        match self.next()? {
            Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted) => Ok(token.text),
            Some(token) => Err(self.doubt(format!(
                "there is `{}` instead of {what}",
                token.text.trim()
            ))),
            None => Err(self.doubt(format!("the file ends before {what}"))),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let word = self.word("a number")?;
        word.parse()
            .map_err(|_| self.doubt(format!("`{word}` is no number")))
    }

    pub(super) fn include(&mut self) -> Result<()> {
        let Some(name) = self.next()?.filter(|token| token.kind == Kind::Quoted) else {
            return Err(self.doubt("`include` without a name between quotes"));
        };
        let here = self.last;
        // The file starts behind the separator, not behind the name.
        if !self
            .next()?
            .is_some_and(|token| token.kind == Kind::Separator)
        {
            return Err(self.doubt("there is more behind the name of an `include`"));
        }
        if self.files.depth(here.include) >= MAX_INCLUDE_DEPTH {
            return Err(self.doubt("files include each other too deeply"));
        }
        let files = (self.find)(name.text);
        if self.files.includes() + files.len() > MAX_INCLUDES {
            return Err(self.doubt("files include each other too often to be followed"));
        }
        for file in files.into_iter().rev() {
            let include = self.files.include(file, here);
            self.open.push(Open {
                lexer: Lexer::new(&self.texts[file]),
                include,
            });
        }
        Ok(())
    }

    /// Whether a block goes on with a statement; its `}` is taken.
    pub(super) fn statement_follows(&mut self) -> Result<bool> {
        loop {
            match self.peek_kind() {
                Some(Kind::Separator) => {
                    self.next()?;
                }
                Some(Kind::Close) => {
                    self.next()?;
                    return Ok(false);
                }
                Some(Kind::Word | Kind::Quoted | Kind::Open | Kind::Symbol) => return Ok(true),
                None => return Err(self.doubt("the file ends inside a block")),
            }
        }
    }

    /// Nothing may be left of a statement.
    pub(super) fn end_of_statement(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some((token, _)) => match token.kind {
                Kind::Separator => self.next().map(|_| ()),
                // The block's own end.
                Kind::Close => Ok(()),
                Kind::Word | Kind::Quoted | Kind::Open | Kind::Symbol => {
                    self.next()?;
                    Err(self.doubt(format!("`{}` is not expected here", token.text)))
                }
            },
        }
    }

    /// Passes over a statement; newlines inside its braces do not end it.
    pub(super) fn skip_statement(&mut self) -> Result<()> {
        let mut before = "";
        loop {
            match self.peek_kind() {
                None | Some(Kind::Close) => return Ok(()),
                Some(Kind::Open) => {
                    self.next()?;
                    self.skip_braces()?;
                    before = "";
                }
                Some(Kind::Separator) => {
                    self.next()?;
                    return Ok(());
                }
                Some(kind @ (Kind::Word | Kind::Quoted | Kind::Symbol)) => {
                    let text = self.next()?.map_or("", |token| token.text);
                    if kind == Kind::Quoted && before == "include" {
                        return Err(self.doubt("an `include` in the middle of a statement"));
                    }
                    before = text;
                }
            }
        }
    }

    /// Passes over a set or a map, its `{` read.
    pub(super) fn skip_braces(&mut self) -> Result<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()?.map(|token| token.kind) {
                Some(Kind::Open) => depth += 1,
                Some(Kind::Close) => depth -= 1,
                Some(Kind::Word | Kind::Quoted | Kind::Separator | Kind::Symbol) => {}
                None => return Err(self.doubt("the file ends inside braces")),
            }
        }
        Ok(())
    }
}
