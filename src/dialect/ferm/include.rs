//! The files that a configuration includes, found by its text: `@include 'FILE';`, `@include 'FOLDER/';`,
//! or a list of such. Names that only ferm knows when it runs (variables, functions, commands) are for
//! the scenario's `files:`.

use std::{collections::BTreeSet, fs, path::Path};

use super::FOLDER;
use crate::dialect::{Mapped, PrepareError, lexical, stage::Stage};

/// Stages the main file and, as far as they can be found, the files that it includes. What `files` brings
/// is left to it.
pub(super) fn stage(
    stage: &mut Stage,
    main: &Path,
    outside: &Path,
    files: &[Mapped],
) -> Result<(), PrepareError> {
    let home = outside.parent().unwrap_or(Path::new(""));
    let mut seen = BTreeSet::new();
    let mut pending = vec![(main.to_owned(), outside.to_owned())];
    while let Some((inside, outside)) = pending.pop() {
        let brought = files.iter().any(|(path, _)| inside.starts_with(path));
        if brought && inside != main || !seen.insert(inside.clone()) {
            continue;
        }
        stage.file(&inside, &outside)?;
        let Some(staged) = stage.files.last() else {
            continue;
        };
        let text = String::from_utf8_lossy(&staged.file.content.0).into_owned();
        for name in names(&text) {
            pending.extend(found(&name, (&inside, &outside), home));
        }
    }
    Ok(())
}

/// The files behind a name in an `@include`. What is not there is ferm's to complain of.
fn found(name: &str, (inside, outside): (&Path, &Path), home: &Path) -> Vec<Mapped> {
    let beside = |path: &Path| path.parent().unwrap_or(Path::new("")).join(name);
    let inside = lexical(&beside(inside));
    // A name from the root means the machine's own folder, which is the one of the main file here.
    let outside = match Path::new(name).is_absolute() {
        true => match inside.strip_prefix(FOLDER) {
            Ok(below) => home.join(below),
            Err(_) => return Vec::new(),
        },
        false => beside(outside),
    };
    if !name.ends_with('/') {
        return match outside.is_file() {
            true => vec![(inside, outside)],
            false => Vec::new(),
        };
    }
    let entries = fs::read_dir(&outside).into_iter().flatten().flatten();
    entries
        .map(|entry| (inside.join(entry.file_name()), entry.path()))
        .filter(|(_, outside)| outside.is_file())
        .collect()
}

/// The names behind every `@include` of a text, up to its semicolon.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut including = false;
    for token in tokens(text) {
        match token {
            Token::Word("@include") => including = true,
            Token::Word(";") => including = false,
            Token::Word("(" | ")") => {}
            Token::Word(word) | Token::Text(word) if including => {
                // What ferm makes up has arguments, which are no names.
                including = !word.is_empty() && !word.contains(['$', '@', '|']);
                names.extend(including.then(|| word.to_owned()));
            }
            Token::Word(_) | Token::Text(_) => {}
        }
    }
    names
}

/// A piece of a configuration.
enum Token<'a> {
    Word(&'a str),
    /// What stands between quotes.
    Text(&'a str),
}

/// Takes a configuration apart as ferm's `tokenize_string` does: comments reach to the end of the line,
/// quotes hold together, `;`, `{`, `}`, `(`, `)` stand alone.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            match rest.strip_prefix('#') {
                Some(comment) => rest = comment.find('\n').map_or("", |end| &comment[end..]),
                None => break,
            }
        }
        let first = rest.chars().next()?;
        if let '\'' | '"' | '`' = first {
            let body = &rest[1..];
            let end = body.find(first).unwrap_or(body.len());
            rest = body.get(end + 1..).unwrap_or_default();
            // What stands between backquotes is a command.
            return Some(match first {
                '`' => Token::Word(""),
                _ => Token::Text(&body[..end]),
            });
        }
        let alone = |c: char| ";{}(),!=".contains(c);
        let end = match alone(first) {
            true => first.len_utf8(),
            false => rest
                .find(|c: char| c.is_whitespace() || alone(c) || "'\"`#".contains(c))
                .unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some(Token::Word(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_found_by_their_text() {
        let text = "# @include 'no.ferm';\n@include 'a.ferm';@include \"b.d/\";\n\
                    @def $X = '@include'; @include ( c.ferm 'd e.ferm' );\n\
                    @include $file; @include 'cat x|'; @include @cat($DIRNAME, 'x');\n";
        assert_eq!(names(text), ["a.ferm", "b.d/", "c.ferm", "d e.ferm"]);
    }

    #[test]
    fn an_unfinished_text_has_an_end() {
        assert_eq!(names("@include 'a"), ["a"]);
        assert!(names("`").is_empty() && names("#").is_empty());
    }
}
