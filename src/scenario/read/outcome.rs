//! What the firewall should do: `accept`, `drop`, `reject`, and their details.

use std::net::IpAddr;

use super::{
    super::{
        Expectation, ExpectedVerdict, Family, RejectKind, shape,
        source::Span,
        tree::{Kind, Word},
        words::{self, family_name, quote},
    },
    Reader,
    address::family_of,
    fields::{Fields, Value},
};

/// An expectation, and where its details stand.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) expectation: Expectation,
    /// Which details fit one family only: a sentence that says so, the family, where it stands.
    pub(super) bound: Vec<(String, Family, Span)>,
    /// Where `tcp-reset` stands.
    pub(super) tcp_reset: Option<Span>,
}

impl Outcome {
    fn plain(verdict: ExpectedVerdict, by: Option<String>) -> Self {
        Self {
            expectation: Expectation { verdict, by },
            bound: Vec::new(),
            tcp_reset: None,
        }
    }

    fn reject(kind: Option<(RejectKind, Word<'_>)>, by: Option<String>) -> Self {
        let verdict = ExpectedVerdict::Reject(kind.map(|(kind, _)| kind));
        let mut outcome = Self::plain(verdict, by);
        if let Some((kind, word)) = kind {
            if kind == RejectKind::TcpReset {
                outcome.tcp_reset = Some(word.span);
            }
            if let Some(family) = only_in(kind) {
                let why = format!(
                    "{} exists only in {}",
                    quote(word.text),
                    family_name(family)
                );
                outcome.bound.push((why, family, word.span));
            }
        }
        outcome
    }
}

/// The family that alone has this kind.
fn only_in(kind: RejectKind) -> Option<Family> {
    match kind {
        RejectKind::ProtUnreachable | RejectKind::NetProhibited | RejectKind::HostProhibited => {
            Some(Family::Ipv4)
        }
        RejectKind::PolicyFail | RejectKind::RejectRoute => Some(Family::Ipv6),
        RejectKind::TcpReset
        | RejectKind::NetUnreachable
        | RejectKind::HostUnreachable
        | RejectKind::PortUnreachable
        | RejectKind::AdminProhibited => None,
    }
}

impl Reader<'_> {
    pub(super) fn outcome(&mut self, value: Value<'_>) -> Option<Outcome> {
        match &value.node.kind {
            Kind::Scalar(_) => {
                let word = self.line(value, "an outcome")?;
                self.outcome_word(word)
            }
            Kind::Map(_) => {
                let fields = self.fields(value, &shape::EXPECT)?;
                let (verdict, value) = self.either(&fields)?;
                match verdict {
                    "accept" => self.accept(value),
                    "drop" => self.drop(value),
                    // The table of keys has no other verdict.
                    _ => self.reject(value),
                }
            }
            Kind::List(_) | Kind::Null => {
                self.unexpected(value, "an outcome")
                    .help("write `accept`, `drop` or `reject` after the colon".to_owned());
                None
            }
        }
    }

    fn outcome_word(&mut self, word: Word<'_>) -> Option<Outcome> {
        let mut words = word.split_whitespace();
        let verdict = words.next()?;
        let rest: Vec<Word<'_>> = words.collect();
        match (verdict.text, rest.as_slice()) {
            ("accept", []) => {
                let verdict = ExpectedVerdict::Accept {
                    source: None,
                    destination: None,
                };
                Some(Outcome::plain(verdict, None))
            }
            ("drop", []) => Some(Outcome::plain(ExpectedVerdict::Drop, None)),
            ("reject", []) => Some(Outcome::reject(None, None)),
            ("reject", [kind]) => {
                let kind = self.reject_kind(*kind)?;
                Some(Outcome::reject(Some(kind), None))
            }
            ("accept" | "drop" | "reject", [extra, ..]) => {
                let glued: Vec<&str> = rest
                    .iter()
                    .map(|word| word.text)
                    .filter(|text| *text != "with")
                    .collect();
                if verdict.text == "reject" && words::reject_kind(&glued.join("-")).is_some() {
                    self.problem(
                        word.part(&word.text[6..]).trim().span,
                        "a kind of reject is one word",
                    )
                    .help(format!("write `reject {}`", glued.join("-")));
                    return None;
                }
                self.problem(
                    extra.span,
                    format!("unexpected {} after the outcome", quote(extra.text)),
                )
                .help("details are a map: `{ drop: { by: \"a rule\" } }`".to_owned());
                None
            }
            (other, _) => {
                self.no_such(verdict, "outcome", words::suggest_outcome(other));
                None
            }
        }
    }

    fn reject_kind<'n>(&mut self, word: Word<'n>) -> Option<(RejectKind, Word<'n>)> {
        if let Some(kind) = words::reject_kind(word.text) {
            return Some((kind, word));
        }
        // nft knows some of them without their prefix in other places.
        let prefixed = format!("icmp-{}", word.text);
        let help = match words::reject_kind(&prefixed) {
            Some(kind) => Some(format!("did you mean {}?", quote(kind.word()))),
            None => words::suggest_reject(word.text),
        };
        self.no_such(word, "kind of reject", help);
        None
    }

    fn by(&mut self, fields: &Fields<'_>) -> Option<Option<String>> {
        match fields.get("by") {
            Some(value) => {
                let word = self.line(value, "a rule's comment or text")?;
                Some(Some(word.text.to_owned()))
            }
            None => Some(None),
        }
    }

    fn accept(&mut self, value: Value<'_>) -> Option<Outcome> {
        let fields = self.fields(value, &shape::ACCEPT)?;
        let source = self.translated(&fields, "source");
        let destination = self.translated(&fields, "destination");
        let by = self.by(&fields);
        let (source, destination, by) = (source?, destination?, by?);
        let verdict = ExpectedVerdict::Accept {
            source: source.map(|(address, _)| address),
            destination: destination.map(|(address, _)| address),
        };
        let mut outcome = Outcome::plain(verdict, by);
        for (address, at) in [source, destination].into_iter().flatten() {
            let family = family_of(address);
            let why = format!("{address} is an {} address", family_name(family));
            outcome.bound.push((why, family, at));
        }
        if let [(_, one, first), (_, other, second)] = outcome.bound.as_slice()
            && one != other
        {
            self.problem(*second, "source and destination must be of one family")
                .also(*first, "the source");
            return None;
        }
        Some(outcome)
    }

    fn translated(&mut self, fields: &Fields<'_>, name: &str) -> Option<Option<(IpAddr, Span)>> {
        let Some(value) = fields.get(name) else {
            return Some(None);
        };
        let word = self.line(value, "an address")?;
        Some(Some((self.ip(word)?, word.span)))
    }

    fn drop(&mut self, value: Value<'_>) -> Option<Outcome> {
        let fields = self.fields(value, &shape::DROP)?;
        let by = self.by(&fields)?;
        Some(Outcome::plain(ExpectedVerdict::Drop, by))
    }

    fn reject(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "a kind of reject")?;
            let kind = self.reject_kind(word)?;
            return Some(Outcome::reject(Some(kind), None));
        }
        let fields = self.fields(value, &shape::REJECT)?;
        let kind = match fields.get("kind") {
            Some(value) => {
                let word = self.line(value, "a kind of reject");
                word.and_then(|word| self.reject_kind(word)).map(Some)
            }
            None => Some(None),
        };
        let by = self.by(&fields);
        Some(Outcome::reject(kind?, by?))
    }
}
