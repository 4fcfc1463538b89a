//! Tree to model. Goes on after every problem, so that one run shows all of a file.
//!
//! What could not be read leaves a gap that later checks know about: a test is never blamed for the
//! host that it names.

mod address;
mod addresses;
mod ends;
mod fields;
mod firewall;
mod hosts;
mod icmp;
mod keys;
mod outcome;
mod packet;
mod routes;
mod sandbox;
mod service;
mod test;

use std::path::PathBuf;

use crate::scenario::{
    Scenario,
    format::{NAME_PATTERN, Shape},
    read::{
        ends::End,
        fields::Value,
        hosts::HOST,
        keys::{by, keys, raw},
        outcome::OUTCOME,
        sandbox::SANDBOX,
        test::{TEST, conversation::CONVERSATION, matrix::MATRIX, sweep::SWEEP},
    },
    text::{
        files,
        problem::Draft,
        source::{Sources, Span},
        tree::{Node, Word},
    },
};
pub(crate) use address::unusable;
pub(super) use addresses::Stranger;
pub(super) use firewall::FIREWALL;

keys! {
    /// A firewall, the hosts around it, and what should happen to the packets between them.
    SCENARIO = "scenario", "the scenario", struct ScenarioKeys<'n>.spread() {
        /// The scenario in a few words; its path when not given.
        name: Word<'n> = Shape::Text => by(Reader::free_text);
        /// Why the scenario exists: the requirement, the incident, the policy it stands for.
        purpose: Word<'n> = Shape::Text => by(Reader::free_text);
        /// Words by which scenarios can be selected.
        tags: Value<'n> = Shape::OneOrMore(&Shape::Text) => raw;
        /// Shared parts to take in, relative to this file; what this file says itself wins.
        _include "include": Value<'n> = Shape::OneOrMore(&Shape::Text) => raw;
        /// Where the firewall stands; on this machine, with its programs, when not given.
        sandbox: Value<'n> = Shape::Object(&SANDBOX) => raw;
        /// The machine under test: its configuration, interfaces, routes and settings.
        firewall: Value<'n> = Shape::Object(&FIREWALL) => raw, required;
        /// Who sends and receives, by name.
        hosts: Value<'n> = Shape::Map(NAME_PATTERN, &Shape::Object(&HOST)) => raw, required;
        /// What should happen, one expectation each; a test runs once for every address family that both ends
        /// have.
        tests: Value<'n> = Shape::List(&Shape::AnyOf(&[Shape::ShortTest(&OUTCOME), Shape::Object(&TEST), Shape::Object(&MATRIX), Shape::Object(&CONVERSATION), Shape::Object(&SWEEP)])) => raw, required;
    }
}

/// What a scenario is called, and whether all of its text is there.
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    /// Number of the scenario's own file.
    pub(super) file: usize,
    /// A part could not be included: what is missing may have been in it.
    pub(super) incomplete: bool,
    /// Ends of its tests that are addresses; only in questions.
    pub(super) strangers: Vec<Stranger>,
}

/// What is said of a test that cannot be read.
pub(super) const TEST_FORMS: &[&str] = &[test::SHORT_FORM, test::STEP_FORM];

/// Reads a merged document.
pub(super) fn scenario(
    sources: &Sources,
    root: &Node,
    about: &About<'_>,
) -> Result<Scenario, Vec<Draft>> {
    let mut reader = Reader {
        sources,
        problems: Vec::new(),
        incomplete: about.incomplete,
        quotes: 0,
        known_ends: Vec::new(),
    };
    match reader.scenario(root, about) {
        Some(scenario) if reader.problems.is_empty() => Ok(scenario),
        _ => Err(reader.problems),
    }
}

/// What is wrong has been reported.
struct Reported;

struct Reader<'s> {
    sources: &'s Sources,
    problems: Vec<Draft>,
    incomplete: bool,
    /// How deep in packets that quote each other.
    quotes: usize,
    /// Ends of tests that are neither hosts nor `firewall`.
    known_ends: Vec<(String, End)>,
}

impl Reader<'_> {
    fn problem(&mut self, at: Span, message: impl Into<String>) -> &mut Draft {
        let index = self.problems.len();
        self.problems.push(Draft::new(at, message));
        &mut self.problems[index]
    }

    fn scenario(&mut self, root: &Node, about: &About<'_>) -> Option<Scenario> {
        let start = Span {
            file: about.file,
            start: 0,
            end: 0,
        };
        let value = Value {
            node: root,
            at: start,
        };
        let keys = ScenarioKeys::read(self, value)?;
        let tags = keys.tags.map(|value| self.tags(value));
        let sandbox = keys.sandbox.map(|value| self.sandbox(value));
        let firewall = keys.firewall.map(|value| self.firewall(value));
        let firewall = firewall.unwrap_or_default();
        let hosts = keys.hosts.map(|value| self.hosts(value, &firewall));
        let mut hosts = hosts.unwrap_or_default();
        self.strangers(&about.strangers, &firewall, &mut hosts);
        let cases = match keys.tests {
            Some(value) => self.tests(value, about.id, &firewall, &hosts),
            None => Vec::new(),
        };
        Some(Scenario {
            id: about.id.to_owned(),
            against: None,
            file: self.sources.get(about.file).path.clone(),
            name: keys.name.map_or(about.id, |name| name.text).to_owned(),
            purpose: keys.purpose.map(|purpose| purpose.text.to_owned()),
            tags: tags.unwrap_or_default(),
            sandbox: sandbox.unwrap_or_default(),
            firewall: firewall.finish()?,
            hosts: hosts.finish()?,
            cases,
        })
    }

    fn free_text<'n>(&mut self, value: Value<'n>) -> Option<Word<'n>> {
        self.text(value, "a text")
    }

    fn tags(&mut self, value: Value<'_>) -> Vec<String> {
        let mut tags: Vec<String> = Vec::new();
        for item in self.one_or_more(value, "a tag or a list of tags") {
            let Some(word) = self.line(item, "a tag") else {
                continue;
            };
            // A part and the scenario that includes it may well say the same.
            if !tags.iter().any(|tag| tag == word.text) {
                tags.push(word.text.to_owned());
            }
        }
        tags
    }

    /// A path in the file that names it, joined with that file's folder.
    fn path(&self, word: Word<'_>) -> PathBuf {
        files::join(self.sources.folder(word.span.file), word.text)
    }

    fn no_such(&mut self, word: Word<'_>, what: &str, help: Option<String>) {
        self.problem(word.span, format!("unknown {what} {word}"))
            .help(help);
    }
}
