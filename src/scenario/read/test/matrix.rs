//! A matrix: every sender to every receiver with every service, one outcome for all of them, and exceptions.

use std::sync::Arc;

use crate::scenario::{
    Cell, Family, Matrix, PacketSpec,
    format::{
        FAMILY, PARTY, SERVICE, Shape,
        words::{self, quote},
    },
    read::{
        Reader,
        ends::{End, World},
        fields::Value,
        keys::{by, keys, line, raw},
        outcome::{OUTCOME, Outcome},
        packet::draft::PacketDraft,
        test::draft::{Expander, MAX_CASES, TestDraft, too_many},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

keys! {
    /// A test of every sender to every receiver with every service: one outcome for all of them, and
    /// exceptions. A pair whose packets do not meet the firewall has no cells.
    MATRIX = "matrix", "the matrix", struct MatrixKeys<'n> {
        /// The matrix in a few words; its cells are called `NAME: FROM -> TO SERVICE`.
        name: Word<'n> = Shape::Text => line("a name");
        /// Who sends: hosts, `firewall`.
        from: Value<'n> = Shape::OneOrMore(&PARTY) => raw, required;
        /// Who should receive: hosts, `firewall`.
        to: Value<'n> = Shape::OneOrMore(&PARTY) => raw, required;
        /// What each sends to each: services as in any other test.
        service: Vec<PacketDraft> = Shape::OneOrMore(&SERVICE) => by(Reader::services), required;
        /// Tests only this address family.
        family: (Family, Span) = FAMILY => by(Reader::family);
        /// What the firewall should do with everything that is no exception.
        expect: Outcome = OUTCOME => by(Reader::outcome), required;
        /// The exceptions: `lan, dmz -> internet dns, tcp/443: accept`. `any` means all senders, receivers or
        /// services of the matrix.
        except: Value<'n> = Shape::Map("^[^>]+->\\s*[^\\s,]+(,\\s+[^\\s,]+)*\\s+\\S.*$", &OUTCOME) => raw;
    }
}

/// All of the matrix's senders, receivers or services.
const ANY: &str = "any";
const ARROW: &str = "->";
const FORM: &str = "an exception reads `FROM -> TO SERVICE: OUTCOME`, for example `lan, dmz -> internet dns, tcp/443: accept`; `any` means all of the matrix's";

/// Whether a test is a matrix.
pub(crate) fn is_matrix(value: Value<'_>) -> bool {
    let Kind::Map(entries) = &value.node.kind else {
        return false;
    };
    entries.iter().any(|entry| {
        let list = matches!(entry.value.kind, Kind::List(_));
        match entry.key.text.as_str() {
            "except" => true,
            "from" | "to" => list,
            _ => false,
        }
    })
}

/// One end of the pairs.
struct Party<'n> {
    word: Word<'n>,
    end: End,
}

/// What a matrix is made of.
struct Draft<'n> {
    at: Span,
    name: Option<String>,
    from: Vec<Party<'n>>,
    to: Vec<Party<'n>>,
    probes: Vec<PacketDraft>,
    family: Option<(Family, Span)>,
    expect: Outcome,
    except: Vec<Exception<'n>>,
}

/// An exception: for which senders, receivers and services, by their numbers.
struct Exception<'n> {
    key: Word<'n>,
    from: Vec<usize>,
    to: Vec<usize>,
    services: Vec<usize>,
    outcome: Outcome,
}

impl Exception<'_> {
    fn covers(&self, from: usize, to: usize, service: usize) -> bool {
        self.from.contains(&from) && self.to.contains(&to) && self.services.contains(&service)
    }
}

impl Reader<'_> {
    pub(crate) fn matrix(
        &mut self,
        value: Value<'_>,
        world: World<'_>,
        expander: &mut Expander<'_>,
    ) {
        let before = self.problems.len();
        let Some(draft) = self.matrix_draft(value, world) else {
            return;
        };
        if draft.from.len() * draft.to.len() * draft.probes.len() > MAX_CASES {
            self.problem(draft.at, too_many());
            return;
        }
        let matrix = Arc::new(Matrix {
            name: draft.name.clone(),
            at: self.sources.location(draft.at),
            from: names(&draft.from),
            to: names(&draft.to),
            services: draft.probes.iter().map(told).collect(),
        });
        // Which senders, receivers, services and exceptions have a cell.
        let mut met = Met::of(&draft);
        for (from, sender) in draft.from.iter().enumerate() {
            for (to, receiver) in draft.to.iter().enumerate() {
                // What the firewall sends to itself is no matter of zones.
                if let (End::Firewall(_), End::Firewall(_)) = (sender.end, receiver.end) {
                    continue;
                }
                // Whose packets never meet the firewall has no cells; what is broken has been reported.
                let Ok(ends) = world.meet(sender.end, receiver.end) else {
                    continue;
                };
                for (service, probe) in draft.probes.iter().enumerate() {
                    let only = draft.family.map(|(only, _)| only);
                    let mut families = ends.families.iter();
                    if !families.any(|family| {
                        only.is_none_or(|only| only == *family)
                            && probe.in_family(*family).is_some()
                    }) {
                        continue;
                    }
                    met.note(from, to, service);
                    let Some((outcome, at)) =
                        self.outcome_of_cell(&draft, (from, to, service), &mut met)
                    else {
                        return;
                    };
                    let arrow = format!("{} {ARROW} {}", sender.word.text, receiver.word.text);
                    let test = TestDraft {
                        at,
                        subject: at,
                        name: None,
                        arrow: match &draft.name {
                            Some(name) => format!("{name}: {arrow}"),
                            None => arrow,
                        },
                        ends: ends.clone(),
                        probes: vec![probe.clone()],
                        family: draft.family,
                        outcome: outcome.clone(),
                        repeat: None,
                        user: None,
                        mark: None,
                        short: false,
                        cell: Some(Cell {
                            matrix: Arc::clone(&matrix),
                            from,
                            to,
                            service,
                        }),
                    };
                    self.expand(test, expander);
                    // What is wrong with one is wrong with many.
                    if self.problems.len() > before || expander.full() {
                        return;
                    }
                }
            }
        }
        self.without_cells(&draft, &met, world);
    }

    fn matrix_draft<'n>(&mut self, value: Value<'n>, world: World<'_>) -> Option<Draft<'n>> {
        let keys = MatrixKeys::read(self, value)?;
        let from = keys.from.and_then(|value| self.parties(value, world));
        let to = keys.to.and_then(|value| self.parties(value, world));
        if let Some(expect) = &keys.expect {
            self.counted_only_if_repeated(expect, None)?;
        }
        if !keys.sound {
            return None;
        }
        let mut draft = Draft {
            at: keys.at,
            name: keys.name.map(|word| word.text.to_owned()),
            from: from?,
            to: to?,
            probes: keys.service.clone()?,
            family: keys.family,
            expect: keys.expect.clone()?,
            except: Vec::new(),
        };
        let mut texts: Vec<String> = Vec::new();
        for probe in &draft.probes {
            let text = told(probe);
            if texts.contains(&text) {
                self.problem(probe.at, format!("{} is listed twice", quote(&text)));
                return None;
            }
            texts.push(text);
        }
        if let Some(value) = keys.except {
            let mut except = Vec::new();
            let mut sound = true;
            for (key, value) in self.entries(value, "a map of exceptions")? {
                match self.exception(key, value, &draft) {
                    Some(exception) => except.push(exception),
                    None => sound = false,
                }
            }
            draft.except = except;
            sound.then_some(())?;
        }
        Some(draft)
    }

    /// Senders or receivers, each once.
    fn parties<'n>(&mut self, value: Value<'n>, world: World<'_>) -> Option<Vec<Party<'n>>> {
        let items = self.one_or_more(value, "a host, `firewall`, or a list of them");
        if items.is_empty() {
            if let Kind::List(_) = value.node.kind {
                self.problem(value.at, "nobody is listed here");
            }
            return None;
        }
        let mut parties: Vec<Party<'n>> = Vec::new();
        let mut sound = true;
        for item in items {
            let word = self.line(item, "a host or `firewall`");
            let Some((word, end)) = word.and_then(|word| Some((word, self.end(word, world)?)))
            else {
                sound = false;
                continue;
            };
            match parties.iter().find(|known| known.word.text == word.text) {
                Some(first) => {
                    let first = first.word.span;
                    self.problem(word.span, format!("{word} is listed twice"))
                        .also(first, "the first is here");
                    sound = false;
                }
                None => parties.push(Party { word, end }),
            }
        }
        sound.then_some(parties)
    }

    fn exception<'n>(
        &mut self,
        key: Word<'n>,
        value: Value<'_>,
        draft: &Draft<'_>,
    ) -> Option<Exception<'n>> {
        let outcome = self.outcome(value);
        let Some((from, rest)) = key.split_once(ARROW) else {
            let message = format!("{key} is not an exception");
            self.problem(key.span, message).help(FORM);
            return None;
        };
        let senders = list(from.split_whitespace().collect());
        // The receivers end with the first word that no comma follows.
        let words: Vec<Word<'_>> = rest.split_whitespace().collect();
        let receivers = words.iter().position(|word| !word.text.ends_with(','));
        let (receivers, services) = words.split_at(receivers.map_or(words.len(), |last| last + 1));
        let receivers = list(receivers.to_vec());
        let (Some(senders), Some(receivers), false) = (senders, receivers, services.is_empty())
        else {
            let message = format!("{key} is not an exception");
            self.problem(key.span, message).help(FORM);
            return None;
        };
        let from = self.chosen(&senders, &draft.from, "senders");
        let to = self.chosen(&receivers, &draft.to, "receivers");
        let services = self.chosen_services(rest, services, draft);
        if let Some(outcome) = &outcome {
            self.counted_only_if_repeated(outcome, None)?;
        }
        Some(Exception {
            key,
            from: from?,
            to: to?,
            services: services?,
            outcome: outcome?,
        })
    }

    /// The numbers of those that are named.
    fn chosen(
        &mut self,
        words: &[Word<'_>],
        parties: &[Party<'_>],
        what: &str,
    ) -> Option<Vec<usize>> {
        if let [only] = words
            && only.text == ANY
        {
            return Some((0..parties.len()).collect());
        }
        let number = |word: &Word<'_>| {
            let named = |party: &Party<'_>| party.word.text == word.text;
            let number = parties.iter().position(named);
            if number.is_none() {
                let known = parties.iter().map(|party| party.word.text);
                let help = words::suggest(word.text, known.chain([ANY]));
                let message = format!("{word} is none of the {what} of this matrix");
                self.problem(word.span, message).help(help);
            }
            number
        };
        let numbers: Vec<Option<usize>> = words.iter().map(number).collect();
        numbers.into_iter().collect()
    }

    /// The numbers of the services in a list: `dns, tcp/80,443, tcp/22 ack`.
    fn chosen_services<'n>(
        &mut self,
        rest: Word<'n>,
        words: &[Word<'n>],
        draft: &Draft<'_>,
    ) -> Option<Vec<usize>> {
        if let [only] = words
            && only.text == ANY
        {
            return Some((0..draft.probes.len()).collect());
        }
        let mut chosen = Vec::new();
        let mut sound = true;
        for service in words.split_inclusive(|word| word.text.ends_with(',')) {
            let (Some(first), Some(last)) = (service.first(), service.last()) else {
                continue;
            };
            let offset =
                |word: &Word<'_>| word.text.as_ptr() as usize - rest.text.as_ptr() as usize;
            let end = offset(last) + last.text.trim_end_matches(',').len();
            let service = rest.part(&rest.text[offset(first)..end]);
            let Some(probes) = self.service_text(service) else {
                sound = false;
                continue;
            };
            for probe in &probes {
                let known = draft.probes.iter().enumerate();
                let mine: Vec<usize> = known
                    .filter(|(_, known)| packets(known) == packets(probe))
                    .map(|(number, _)| number)
                    .collect();
                if mine.is_empty() {
                    let message = format!(
                        "{} is none of the services of this matrix",
                        quote(&probe.text)
                    );
                    self.problem(service.span, message)
                        .help("add it to `service`");
                    sound = false;
                    break;
                }
                chosen.extend(mine);
            }
        }
        if words.last().is_some_and(|last| last.text.ends_with(',')) {
            self.problem(
                rest.trim().span,
                "a service is missing behind the last comma",
            );
            return None;
        }
        sound.then_some(chosen)
    }

    /// What is expected of a cell, and where that is written.
    fn outcome_of_cell<'d>(
        &mut self,
        draft: &'d Draft<'_>,
        (from, to, service): (usize, usize, usize),
        met: &mut Met,
    ) -> Option<(&'d Outcome, Span)> {
        let mut found: Option<&Exception<'_>> = None;
        for (number, exception) in draft.except.iter().enumerate() {
            if !exception.covers(from, to, service) {
                continue;
            }
            met.except[number] = true;
            match found {
                Some(first) if first.outcome.expectation != exception.outcome.expectation => {
                    let cell = format!(
                        "{} {ARROW} {} {}",
                        draft.from[from].word.text,
                        draft.to[to].word.text,
                        told(&draft.probes[service])
                    );
                    let message = format!("two exceptions say what happens to {}", quote(&cell));
                    self.problem(exception.key.span, message)
                        .also(first.key.span, "the first is here");
                    return None;
                }
                Some(_) => {}
                None => found = Some(exception),
            }
        }
        Some(match found {
            Some(exception) => (&exception.outcome, exception.key.span),
            None => (&draft.expect, draft.at),
        })
    }

    /// Reports what has no cell, so that nothing seems to be tested that is not.
    fn without_cells(&mut self, draft: &Draft<'_>, met: &Met, world: World<'_>) {
        let sound = |party: &Party<'_>| world.is_sound(party.end);
        if !draft.from.iter().chain(&draft.to).all(sound) {
            return;
        }
        let ends = [(&draft.from, &met.from), (&draft.to, &met.to)];
        for (parties, met) in ends {
            for (party, _) in parties.iter().zip(met).filter(|(_, met)| !**met) {
                let message = format!("{} is in no cell of this matrix", quote(party.word.text));
                self.problem(party.word.span, message)
                    .label("no packet between it and the other side would meet the firewall");
            }
        }
        for (probe, _) in draft
            .probes
            .iter()
            .zip(&met.services)
            .filter(|(_, met)| !**met)
        {
            let message = format!("{} is in no cell of this matrix", quote(&told(probe)));
            self.problem(probe.at, message)
                .label("no two ends have its address family in common");
        }
        for (exception, _) in draft
            .except
            .iter()
            .zip(&met.except)
            .filter(|(_, met)| !**met)
        {
            self.problem(exception.key.span, "this is about no cell of the matrix");
        }
    }
}

/// Which parts of a matrix have a cell.
struct Met {
    from: Vec<bool>,
    to: Vec<bool>,
    services: Vec<bool>,
    except: Vec<bool>,
}

impl Met {
    fn of(draft: &Draft<'_>) -> Self {
        Self {
            from: vec![false; draft.from.len()],
            to: vec![false; draft.to.len()],
            services: vec![false; draft.probes.len()],
            except: vec![false; draft.except.len()],
        }
    }

    fn note(&mut self, from: usize, to: usize, service: usize) {
        self.from[from] = true;
        self.to[to] = true;
        self.services[service] = true;
    }
}

/// What a service is called in a matrix.
fn told(probe: &PacketDraft) -> String {
    match probe.of_any {
        true => format!("any ({})", probe.text),
        false => probe.text.clone(),
    }
}

/// What is sent, in both families: two names may mean the same.
fn packets(probe: &PacketDraft) -> [Option<PacketSpec>; 2] {
    [Family::Ipv4, Family::Ipv6].map(|family| probe.in_family(family))
}

fn names(parties: &[Party<'_>]) -> Vec<String> {
    let names = parties.iter().map(|party| party.word.text.to_owned());
    names.collect()
}

/// The words of a list with commas between them and none behind it; `None` if it is none.
fn list(mut words: Vec<Word<'_>>) -> Option<Vec<Word<'_>>> {
    let last = words.pop()?;
    let mut list = Vec::new();
    for word in words {
        list.push(word.part(word.text.strip_suffix(',')?));
    }
    list.push(last);
    let fine = |word: &Word<'_>| !word.text.is_empty() && !word.text.contains(',');
    list.iter().all(fine).then_some(list)
}
