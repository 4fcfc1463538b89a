//! Questions: what happens to this packet? A packet as a test or as steps would have it, without an
//! expectation, in the world of a scenario, whose own tests do not matter.

use std::{net::IpAddr, path::Path};

use crate::scenario::{
    Case, Family, Problem, Problems, Scenario, candidates,
    format::words::quote,
    read::{self, Stranger},
    text::{
        files, include,
        problem::Draft,
        source::{Sources, Span},
        tree::{Entry, Kind, Node, Scalar, Word},
    },
};

const ARROW: &str = "->";
const FORM: &str = "a packet reads `FROM -> TO SERVICE`, for example `internet -> firewall tcp/443` or \
                    `198.51.100.7 -> firewall tcp/443`; behind it may come steps: `reply syn-ack`";

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// `FROM -> TO SERVICE`; if there are several, they are the steps of a conversation.
    pub packets: &'a [String],
    /// Only in this family.
    pub family: Option<Family>,
}

/// Reads a question about the world of a scenario in a file: its cases are what is asked for, each expected to
/// be accepted, for each candidate of the file. Beside hosts, the ends may be addresses, with an interface behind `@` if need be.
///
/// # Errors
///
/// All problems of the file, unless they are about its tests, and of the question.
pub fn ask(file: &Path, question: Question<'_>) -> Result<Vec<Scenario>, Problems> {
    match files::read_text(file) {
        Ok(text) => ask_about(&text, file, question),
        Err(why) => {
            let name = quote(&file.to_string_lossy());
            let problem = Problem::general(format!("the scenario {name} {why}"));
            Err(Problems::new(vec![problem]))
        }
    }
}

/// As [`ask`], of a scenario's text; `file` is what messages call it, and what its relative paths start from.
///
/// # Errors
///
/// As [`ask`].
pub fn ask_about(
    text: &str,
    file: &Path,
    question: Question<'_>,
) -> Result<Vec<Scenario>, Problems> {
    let mut sources = Sources::default();
    let number = sources.add(file, text);
    let finish = |sources: &Sources, drafts: Vec<Draft>| {
        let problems = drafts.into_iter().map(|draft| draft.finish(sources));
        Err(Problems::new(problems.collect()))
    };
    let mut merged = match include::document(&mut sources, number) {
        Ok(merged) => merged,
        Err(drafts) => return finish(&sources, drafts),
    };
    let mut drafts = merged.problems;
    let mut packets = Vec::new();
    for packet in question.packets {
        // Whoever takes a line out of a scenario takes its outcome too.
        let asked = packet.split(": ").next().unwrap_or_default().trim_end();
        let source = sources.add(Path::new("packet"), packet);
        let span = Span {
            file: source,
            start: 0,
            end: asked.len(),
        };
        if packets.is_empty() && !asked.contains(ARROW) {
            let problem = format!("{} is not a packet", quote(asked));
            drafts.push(Draft::new(span, problem));
        }
        packets.push(Scalar {
            text: asked.to_owned(),
            span,
            literal: Some(0),
            plain: true,
        });
    }
    let strangers: Vec<Stranger> = packets.iter().flat_map(strangers).collect();
    if let Kind::Map(entries) = &mut merged.root.kind {
        let at = entries.iter().position(|entry| entry.key.text == "tests");
        let key = match at {
            Some(at) => entries.remove(at).key,
            None => scalar(
                "tests",
                packets.first().map_or(merged.root.span, |one| one.span),
            ),
        };
        entries.push(Entry {
            key,
            value: tests(packets),
        });
    }
    let about = read::About {
        id: "explain",
        file: number,
        incomplete: merged.incomplete,
        strangers,
    };
    if drafts.is_empty() {
        match read::scenario(&sources, &merged.root, &about) {
            Ok(mut scenario) => {
                // Whoever names an address does not ask about the other one of its host.
                let named = about
                    .strangers
                    .iter()
                    .map(|stranger| match stranger.address {
                        IpAddr::V4(_) => Family::Ipv4,
                        IpAddr::V6(_) => Family::Ipv6,
                    });
                let wanted: Vec<Family> = named.chain(question.family).collect();
                let is_wanted = |case: &Case| wanted.iter().all(|family| *family == case.family);
                scenario.cases.retain(is_wanted);
                if !scenario.cases.is_empty() {
                    return Ok(candidates::against_each(scenario));
                }
                let start = Span {
                    file: number + 1,
                    start: 0,
                    end: 0,
                };
                drafts.push(Draft::new(
                    start,
                    "there is no such packet in the family that is asked for",
                ));
            }
            Err(more) => drafts.extend(more),
        }
    }
    for draft in &mut drafts {
        draft.replace_help(read::TEST_FORMS, FORM);
    }
    finish(&sources, drafts)
}

/// The `tests:` that ask.
fn tests(mut packets: Vec<Scalar>) -> Node {
    let span = packets.first().map_or(
        Span {
            file: 0,
            start: 0,
            end: 0,
        },
        |packet| packet.span,
    );
    let step = |packet: Scalar| {
        let value = Node {
            span: packet.span,
            kind: Kind::Scalar(scalar("accept", packet.span)),
        };
        Node {
            span: packet.span,
            kind: Kind::Map(vec![Entry { key: packet, value }]),
        }
    };
    let test = match packets.len() {
        1 => step(packets.remove(0)),
        _ => Node {
            span,
            kind: Kind::Map(vec![Entry {
                key: scalar("steps", span),
                value: Node {
                    span,
                    kind: Kind::List(packets.into_iter().map(step).collect()),
                },
            }]),
        },
    };
    Node {
        span,
        kind: Kind::List(vec![test]),
    }
}

/// A word that nobody wrote; it stands for a place.
fn scalar(text: &str, span: Span) -> Scalar {
    Scalar {
        text: text.to_owned(),
        span,
        literal: None,
        plain: true,
    }
}

/// The ends of a packet that are addresses.
fn strangers(packet: &Scalar) -> Vec<Stranger> {
    let word = packet.word();
    let Some((from, rest)) = word.split_once(ARROW) else {
        return Vec::new();
    };
    let ends = [Some(from.trim()), rest.split_whitespace().next()];
    let stranger = |end: Word<'_>| {
        let (address, interface) = match end.split_once("@") {
            Some((address, interface)) => (address, Some(interface)),
            None => (end, None),
        };
        Some(Stranger {
            name: end.text.to_owned(),
            address: address.text.parse().ok()?,
            interface: interface.map(|interface| (interface.text.to_owned(), interface.span)),
        })
    };
    ends.into_iter().flatten().filter_map(stranger).collect()
}
