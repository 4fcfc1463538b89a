//! The tokens of an nft script, as far as the structure of a script needs them. Follows `src/scanner.l`
//! of nftables 1.0.6 to 1.1.6: a text between quotes has no escapes and may span lines, a comment line
//! goes with its newline, and `\` before a newline joins two lines.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, name, number, address, operator: whatever stands between blanks and the symbols.
    Word,
    /// A text between quotes, without them.
    Quoted,
    /// `{`
    Open,
    /// `}`
    Close,
    /// A newline or `;`.
    Separator,
    /// `$ = , ( ) [ ]`, and what is no token of nft at all.
    Symbol,
}

/// A token and where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Byte offset in the text.
    pub(crate) at: usize,
    /// Line, from 1.
    pub(crate) line: usize,
}

/// The tokens of a text, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Takes `length` bytes, `quotes` of which at both ends are not part of the token's text.
    fn take(&mut self, kind: Kind, length: usize, quotes: usize) -> Token<'a> {
        let (start, end) = (self.at, self.at + length);
        let token = Token {
            kind,
            text: &self.text[start + quotes..end - quotes],
            at: start,
            line: self.line,
        };
        self.line += newlines(&self.text[start..end]);
        self.at = end;
        token
    }

    /// Passes over blanks, comments and joined lines; whatever is left starts a token.
    fn skip(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t'), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => {
                    self.at += 2;
                    self.line += 1;
                }
                (Some(b'#'), _) => {
                    let before = &self.text[..self.at];
                    let blank = before.trim_end_matches([' ', '\t']);
                    let whole_line = blank.is_empty() || blank.ends_with('\n');
                    self.at += rest.find('\n').unwrap_or(rest.len());
                    if whole_line && self.byte(0).is_some() {
                        self.at += 1;
                        self.line += 1;
                    }
                }
                _ => return,
            }
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip();
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        Some(match first {
            '{' => self.take(Kind::Open, 1, 0),
            '}' => self.take(Kind::Close, 1, 0),
            ';' | '\n' => self.take(Kind::Separator, 1, 0),
            '"' => match rest[1..].find('"') {
                Some(length) => self.take(Kind::Quoted, length + 2, 1),
                None => self.take(Kind::Symbol, 1, 0),
            },
            _ if is_word(first) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.take(Kind::Word, length, 0)
            }
            other => self.take(Kind::Symbol, other.len_utf8(), 0),
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_graphic()
        && !matches!(
            c,
            '{' | '}' | ';' | '"' | '#' | '$' | '=' | ',' | '(' | ')' | '[' | ']' | '\\'
        )
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens as text, separators as `;`, with their lines.
    fn tokens(text: &str) -> Vec<(usize, &str)> {
        Lexer::new(text)
            .map(|token| match token.kind {
                Kind::Separator => (token.line, ";"),
                _ => (token.line, token.text),
            })
            .collect()
    }

    #[test]
    fn words_and_symbols_need_no_blanks_between_them() {
        assert_eq!(
            tokens("chain in{tcp dport{22,80}drop;}#x\n$a=b"),
            [
                "chain", "in", "{", "tcp", "dport", "{", "22", ",", "80", "}", "drop", ";", "}",
                ";"
            ]
            .map(|text| (1, text))
            .into_iter()
            .chain(["$", "a", "=", "b"].map(|text| (2, text)))
            .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_comment_line_takes_its_newline_along_and_a_comment_behind_a_token_does_not() {
        assert_eq!(
            tokens("a # one\n  # two\n\t# three \\\nb"),
            [(1, "a"), (1, ";"), (4, "b")]
        );
        assert_eq!(tokens("# at the end"), []);
    }

    #[test]
    fn a_backslash_before_a_newline_joins_lines() {
        assert_eq!(tokens("a \\\n b\\\n# c\nd"), [(1, "a"), (2, "b"), (4, "d")]);
        assert_eq!(tokens("a \\ \n"), [(1, "a"), (1, "\\"), (1, ";")]);
    }

    #[test]
    fn a_text_between_quotes_spans_lines_and_knows_no_escapes() {
        assert_eq!(
            tokens("a \"#\n;{\\\" b"),
            [(1, "a"), (1, "#\n;{\\"), (2, "b")]
        );
        assert_eq!(tokens("\"open"), [(1, "\""), (1, "open")]);
    }
}
