//! What firewalld says of a configuration, at the user's file and line. It names neither, but for the zone or
//! policy in some messages, and the line where XML is broken. So the line is the one that has the word which it
//! complains of, if only one has.

use std::path::Path;

use firedrill_harness::protocol::CommandFailure;

use super::{ETC, Prepared, xml};
use crate::dialect::{Refusal, stage::Staged};

pub(super) fn explain(prepared: &Prepared, failure: &CommandFailure) -> Option<Refusal> {
    let missing = failure.stderr.trim().strip_prefix("missing ");
    let programs = super::DIALECT.programs.iter();
    if let Some((program, _)) = programs.clone().find(|(name, _)| missing == Some(name)) {
        return Some(Refusal::Missing(program));
    }
    if let Some(said) = failure.stderr.strip_prefix("binding ") {
        let (binding, said) = said.split_once(": ")?;
        return Some(Refusal::Input(bound(prepared, binding, said.trim())));
    }
    let mut told: Vec<String> = Vec::new();
    for line in failure.stderr.lines() {
        if let Some((_, said)) = line.split_once(" ERROR: ") {
            if !said.starts_with("Failed to load user configuration") {
                told.push(located(prepared, said));
            }
        } else if let Some(last) = told.last_mut().filter(|_| !line.starts_with("Try `")) {
            if !line.trim().is_empty() {
                *last += &format!("\n  {line}");
            }
        } else if !line.trim().is_empty() && !line.contains(" ERROR: ") {
            told.push(line.to_owned());
        }
    }
    // What a program said comes again as the reason of what follows.
    told.dedup();
    let told = match told.is_empty() {
        true => prepared.translate(&failure.stderr),
        false => told.join("\n"),
    };
    Some(Refusal::Input(told))
}

/// A binding that firewalld refuses, at its line.
fn bound(prepared: &Prepared, binding: &str, said: &str) -> String {
    let lines = prepared.config.lines("zones");
    let index = lines.iter().position(|line| line == binding);
    let place = index.and_then(|index| prepared.config.places("zones").get(index));
    let place = place.map(|place| format!("{}:{}: ", place.file.display(), place.line));
    let place = place.unwrap_or_default();
    format!("{place}{said}\n  {binding}")
}

/// A message with the line that it means, as far as that is known.
fn located(prepared: &Prepared, said: &str) -> String {
    let said = prepared.translate(said);
    let own: Vec<&Staged> = prepared
        .files
        .iter()
        .filter(|staged| staged.file.path.starts_with(ETC))
        .collect();
    let named = ["Zone", "Policy"]
        .iter()
        .zip(["zones", "policies"])
        .find_map(|(kind, folder)| {
            let (_, rest) = said.split_once(&format!("{kind} '"))?;
            let name = rest.split('\'').next()?;
            Some(format!("{ETC}/{folder}/{name}.xml"))
        });
    let file = named.and_then(|path| {
        let mut own = own.iter().copied();
        own.find(|staged| staged.file.path == Path::new(&path))
    });
    let broken = said.split_once(": line ").and_then(|(_, rest)| {
        let (number, _) = rest.split_once(", column")?;
        let mut files = own.iter().filter(|staged| is_broken(staged));
        let file = *files.next()?;
        let only = files.next().is_none();
        only.then_some((file, number.parse().ok()?))
    });
    let place = broken.or_else(|| {
        let mut words = words(&said).into_iter();
        words.find_map(|word| match file {
            Some(file) => only(&[file], word),
            None => only(&own, word),
        })
    });
    match (place, file) {
        (Some((staged, number)), _) => {
            let text = String::from_utf8_lossy(&staged.file.content.0);
            let line = number
                .checked_sub(1)
                .and_then(|index| text.lines().nth(index));
            let shown = staged.shown.display();
            format!("{shown}:{number}: {said}\n  {}", line.unwrap_or("").trim())
        }
        (None, Some(staged)) => format!("{}: {said}", staged.shown.display()),
        (None, None) => said,
    }
}

/// Whether that is a file of XML that nobody can read.
fn is_broken(staged: &Staged) -> bool {
    let text = String::from_utf8_lossy(&staged.file.content.0);
    let is_xml = staged.file.path.extension().is_some_and(|end| end == "xml");
    is_xml && xml::read(&text).is_none()
}

/// What a message complains of: the last word between quotes, or the last of all.
fn words(said: &str) -> Vec<&str> {
    let first = said.lines().next().unwrap_or_default();
    let quoted = |quote: char| first.split(quote).skip(1).step_by(2).last();
    let last = first.split_whitespace().next_back();
    let words = [quoted('"'), quoted('\''), last];
    words
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect()
}

/// The only line of these files that has this word.
fn only<'a>(files: &[&'a Staged], word: &str) -> Option<(&'a Staged, usize)> {
    let mut found = None;
    for staged in files {
        let text = String::from_utf8_lossy(&staged.file.content.0);
        for (number, line) in (1..).zip(text.lines()) {
            if has_word(line, word) && found.replace((*staged, number)).is_some() {
                return None;
            }
        }
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_is_complained_of_is_the_last_one() {
        assert_eq!(
            words("INVALID_SERVICE: Zone 'public': 'nosuch' not among existing services")[0],
            "nosuch"
        );
        assert_eq!(words("PARSE_ERROR: Unexpected element foo"), ["foo"]);
        assert_eq!(words("x failed: unknown option \"--dprt\"")[0], "--dprt");
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("<port port=\"99\"/>", "99"));
        assert!(!has_word("<port port=\"999\"/>", "99"));
        assert!(!has_word("--dport", "port"));
    }
}
