//! What the firewall should do: `accept`, `drop`, `reject`, and their details.

use ipnet::IpNet;

use crate::scenario::{
    Also, CtState, Expectation, ExpectedVerdict, Family, Log, Looks, PortRange, RejectKind, Share,
    format::{
        self,
        words::{self, family_name, quote},
    },
    net_text,
    read::{
        Reader,
        address::family_of_net,
        fields::{Fields, Value},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

/// An expectation, and where its details stand.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) expectation: Expectation,
    /// Which details fit one family only: a sentence that says so, the family, where it stands.
    pub(super) bound: Vec<(String, Family, Span)>,
    /// Where `tcp-reset` stands.
    pub(super) tcp_reset: Option<Span>,
    /// Where it says how many of a repeated packet.
    pub(super) counted: Option<Span>,
}

/// What every verdict may have beside it.
struct Details {
    by: Option<String>,
    also: Also,
    share: Option<(u32, u32)>,
    counted: Option<Span>,
}

impl Outcome {
    /// `accept`, and nothing more.
    pub(super) fn accepted() -> Self {
        Self::plain(ExpectedVerdict::Accept(Looks::default()))
    }

    fn plain(verdict: ExpectedVerdict) -> Self {
        Self {
            expectation: Expectation::of(verdict),
            bound: Vec::new(),
            tcp_reset: None,
            counted: None,
        }
    }

    fn with(mut self, details: Details) -> Self {
        self.expectation.by = details.by;
        self.expectation.also = details.also;
        self.expectation.share = details.share.map(|(least, most)| Share {
            least,
            most,
            otherwise: None,
        });
        self.counted = details.counted;
        self
    }

    fn reject(kind: Option<(RejectKind, Word<'_>)>) -> Self {
        let verdict = ExpectedVerdict::Reject(kind.map(|(kind, _)| kind));
        let mut outcome = Self::plain(verdict);
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
                let fields = self.fields(value, &format::EXPECT)?;
                let otherwise = fields
                    .get("otherwise")
                    .map(|value| (value, self.outcome(value)));
                let (verdict, value) = self.either(&fields)?;
                let mut outcome = match verdict {
                    "accept" => self.accept(value),
                    "drop" => self.drop(value),
                    // The table of keys has no other verdict.
                    _ => self.reject(value),
                }?;
                let Some((at, otherwise)) = otherwise else {
                    return Some(outcome);
                };
                let otherwise = otherwise?;
                let Some(share) = &mut outcome.expectation.share else {
                    self.problem(at.span(), "nothing is left over for this")
                        .help(format!(
                            "say how many: `{{ {verdict}: 3..6, otherwise: … }}`"
                        ));
                    return None;
                };
                if let Some(counted) = otherwise.counted {
                    self.problem(counted, "what is left over has no number of its own");
                    return None;
                }
                share.otherwise = Some(Box::new(otherwise.expectation));
                outcome.bound.extend(otherwise.bound);
                outcome.tcp_reset = outcome.tcp_reset.or(otherwise.tcp_reset);
                Some(outcome)
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
            ("accept", []) => Some(Outcome::accepted()),
            ("drop", []) => Some(Outcome::plain(ExpectedVerdict::Drop)),
            ("reject", []) => Some(Outcome::reject(None)),
            ("reject", [kind]) => {
                let kind = self.reject_kind(*kind)?;
                Some(Outcome::reject(Some(kind)))
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

    /// `3` or `3..6`; `None` if it is nothing of the kind.
    fn count<'n>(&mut self, word: Word<'n>) -> Option<Option<(u32, u32)>> {
        if !word.text.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(None);
        }
        let (first, last) = word.split_once("..").unwrap_or((word, word));
        let first = self.number_in(first, "a number of packets", 0..=65535);
        let last = self.number_in(last, "a number of packets", 0..=65535);
        let (first, last) = (first?, last?);
        if first > last {
            self.problem(
                word.span,
                format!("the range {} is empty", quote(word.text)),
            );
            return None;
        }
        Some(Some((first.into(), last.into())))
    }

    /// The details that a bare number stands for.
    fn counted(&mut self, value: Value<'_>) -> Option<Option<Details>> {
        let Kind::Scalar(scalar) = &value.node.kind else {
            return Some(None);
        };
        let word = scalar.word();
        let count = self.count(word)?;
        Some(count.map(|share| Details {
            by: None,
            also: Also::default(),
            share: Some(share),
            counted: Some(word.span),
        }))
    }

    fn details(&mut self, fields: &Fields<'_>) -> Option<Details> {
        let by = match fields.get("by") {
            Some(value) => {
                let word = self.line(value, "a rule's comment or text");
                word.map(|word| Some(word.text.to_owned()))
            }
            None => Some(None),
        };
        let state = match fields.get("state") {
            Some(value) => self.state(value).map(Some),
            None => Some(None),
        };
        let log = match fields.get("log") {
            Some(value) => self.log(value).map(Some),
            None => Some(None),
        };
        let counters = match fields.get("counter") {
            Some(value) => self.counters(value),
            None => Some(Vec::new()),
        };
        let in_set = self.elements(fields, "in-set");
        let not_in_set = self.elements(fields, "not-in-set");
        let share = match fields.get("count") {
            Some(value) => {
                let word = self.line(value, "a number of packets");
                word.and_then(|word| match self.count(word)? {
                    Some(share) => Some(Some((share, word.span))),
                    None => {
                        let message = format!("{} is not a number of packets", quote(word.text));
                        self.problem(word.span, message)
                            .help("write `3`, or a range: `3..6`".to_owned());
                        None
                    }
                })
            }
            None => Some(None),
        };
        let share = share?;
        Some(Details {
            by: by?,
            also: Also {
                state: state?,
                log: log?,
                counters: counters?,
                in_set: in_set?,
                not_in_set: not_in_set?,
            },
            share: share.map(|(share, _)| share),
            counted: share.map(|(_, span)| span),
        })
    }

    fn state(&mut self, value: Value<'_>) -> Option<CtState> {
        let word = self.line(value, "a state of connection tracking")?;
        let known = CtState::ALL
            .into_iter()
            .find(|state| state.word() == word.text);
        if known.is_none() {
            let help = words::suggest(word.text, CtState::ALL.map(CtState::word));
            self.no_such(word, "state", help);
        }
        known
    }

    fn log(&mut self, value: Value<'_>) -> Option<Log> {
        if let Kind::Scalar(_) = value.node.kind {
            let prefix = self.line(value, "the prefix of a record")?.text.to_owned();
            return Some(Log {
                prefix,
                group: None,
            });
        }
        let fields = self.fields(value, &format::LOG_RECORD)?;
        let prefix = fields
            .get("prefix")
            .and_then(|value| self.line(value, "the prefix of a record"));
        let group = match fields.get("group") {
            Some(value) => self.number(value, "a group", 0..=65535).map(Some),
            None => Some(None),
        };
        Some(Log {
            prefix: prefix?.text.to_owned(),
            group: group?,
        })
    }

    fn counters(&mut self, value: Value<'_>) -> Option<Vec<(String, u64)>> {
        let entries = self.entries(value, "counters and by how many packets they grow")?;
        let mut counters = Vec::new();
        for (name, value) in entries {
            let packets = self.number(value, "a number of packets", 0..=65535)?;
            counters.push((name.text.to_owned(), packets.into()));
        }
        Some(counters)
    }

    fn elements(&mut self, fields: &Fields<'_>, key: &str) -> Option<Vec<(String, String)>> {
        let Some(value) = fields.get(key) else {
            return Some(Vec::new());
        };
        let mut elements = Vec::new();
        for (set, value) in self.entries(value, "sets and their elements")? {
            for item in self.one_or_more(value, "an element or a list of elements") {
                let element = self.line(item, "an element")?;
                elements.push((set.text.to_owned(), element.text.to_owned()));
            }
        }
        Some(elements)
    }

    fn accept(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Some(details) = self.counted(value)? {
            return Some(Outcome::accepted().with(details));
        }
        let fields = self.fields(value, &format::ACCEPT)?;
        let source = self.translated(&fields, "source");
        let destination = self.translated(&fields, "destination");
        let sport = self.translated_port(&fields, "sport");
        let dport = self.translated_port(&fields, "dport");
        let ttl = self.seen_number(&fields, "ttl", "a TTL", 255);
        let dscp = self.seen_number(&fields, "dscp", "a code point", 63);
        let mss = self.seen_number(&fields, "mss", "a segment size", 65535);
        let mark = match fields.get("mark") {
            Some(value) => self.mark(value).map(Some),
            None => Some(None),
        };
        let details = self.details(&fields);
        let (source, destination) = (source?, destination?);
        let looks = Looks {
            source: source.map(|(net, _)| net),
            destination: destination.map(|(net, _)| net),
            sport: sport?,
            dport: dport?,
            ttl: ttl?.and_then(|ttl| u8::try_from(ttl).ok()),
            dscp: dscp?.and_then(|dscp| u8::try_from(dscp).ok()),
            mss: mss?,
            mark: mark?,
        };
        let mut outcome = Outcome::plain(ExpectedVerdict::Accept(looks)).with(details?);
        for (net, at) in [source, destination].into_iter().flatten() {
            let family = family_of_net(net);
            let why = format!("{} is an {} address", net_text(&net), family_name(family));
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

    fn translated(&mut self, fields: &Fields<'_>, name: &str) -> Option<Option<(IpNet, Span)>> {
        let Some(value) = fields.get(name) else {
            return Some(None);
        };
        let word = self.line(value, "an address")?;
        let net = match word.text.parse::<IpNet>() {
            Ok(net) => net.trunc(),
            Err(_) => IpNet::from(self.ip(word)?),
        };
        Some(Some((net, word.span)))
    }

    fn translated_port(&mut self, fields: &Fields<'_>, name: &str) -> Option<Option<PortRange>> {
        let Some(value) = fields.get(name) else {
            return Some(None);
        };
        let word = self.line(value, "a port")?;
        let (first, last) = self.port_range("tcp", word)?;
        Some(Some(PortRange(first, last)))
    }

    fn seen_number(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        what: &str,
        most: u16,
    ) -> Option<Option<u16>> {
        match fields.get(name) {
            Some(value) => self.number(value, what, 0..=most).map(Some),
            None => Some(None),
        }
    }

    /// A packet mark, in decimal or in hexadecimal.
    pub(super) fn mark(&mut self, value: Value<'_>) -> Option<u32> {
        let word = self.line(value, "a mark")?;
        let mark = match word.text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => word.text.parse(),
        };
        if mark.is_err() {
            self.problem(word.span, format!("{} is not a mark", quote(word.text)))
                .help("write a number of 32 bits: `7`, `0x10`".to_owned());
        }
        mark.ok()
    }

    fn drop(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Some(details) = self.counted(value)? {
            return Some(Outcome::plain(ExpectedVerdict::Drop).with(details));
        }
        let fields = self.fields(value, &format::DROP)?;
        let details = self.details(&fields)?;
        Some(Outcome::plain(ExpectedVerdict::Drop).with(details))
    }

    fn reject(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Some(details) = self.counted(value)? {
            return Some(Outcome::reject(None).with(details));
        }
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "a kind of reject")?;
            let kind = self.reject_kind(word)?;
            return Some(Outcome::reject(Some(kind)));
        }
        let fields = self.fields(value, &format::REJECT)?;
        let kind = match fields.get("kind") {
            Some(value) => {
                let word = self.line(value, "a kind of reject");
                word.and_then(|word| self.reject_kind(word)).map(Some)
            }
            None => Some(None),
        };
        let details = self.details(&fields);
        Some(Outcome::reject(kind?).with(details?))
    }
}
