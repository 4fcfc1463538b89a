//! What the firewall should do: `accept`, `drop`, `reject`, and their details.

use ipnet::IpNet;

use crate::scenario::{
    Also, CtState, Expectation, ExpectedVerdict, Family, Log, Looks, PortRange, RejectKind, Share,
    format::{
        COUNT, Object, PORTS, PREFIX_OR_ADDRESS, Shape,
        words::{self, family_name, quote},
    },
    net_text,
    read::{
        Reader, Reported,
        address::family_of_net,
        fields::{Fields, Value},
        keys::{by, decimal, keys, line, raw},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

/// What an outcome looks like. It may have another inside (`otherwise`).
pub(super) const OUTCOME: Shape = Shape::AnyOf(&OUTCOMES);
static OUTCOMES: [Shape; 3] = [
    Shape::Words(&["accept", "drop", "reject"]),
    Shape::RejectText,
    Shape::Object(&EXPECT),
];

keys! {
    /// What the firewall should do with a packet, exactly one of three, with details. A number or a range
    /// (`3..6`) instead of details: so many of a repeated packet.
    EXPECT = "expect", "the outcome", struct ExpectKeys<'n> {
        /// The packet comes out on the other side of the firewall, or arrives at the firewall itself.
        _accept "accept": Value<'n> = Shape::AnyOf(&[COUNT, Shape::Object(&ACCEPT)]) => raw, either;
        /// Nothing comes out and nothing comes back.
        _drop "drop": Value<'n> = Shape::AnyOf(&[COUNT, Shape::Object(&DROP)]) => raw, either;
        /// A rule answers with an error, of this kind if one is given.
        _reject "reject": Value<'n> = Shape::AnyOf(&[Shape::Word(words::reject_words), COUNT, Shape::Object(&REJECT)]) => raw, either;
        /// What should become of the rest of a repeated packet; anything when not given.
        otherwise: Value<'n> = Shape::AnyOf(&OUTCOMES) => raw;
    }
}

keys! {
    /// Details of an accepted packet.
    ACCEPT = "accept", "the outcome", struct AcceptKeys<'n>.also(&DETAILS) {
        /// The source address that the packet should then have (SNAT, masquerade), or the prefix it should be
        /// in.
        source: (IpNet, Span) = PREFIX_OR_ADDRESS => by(Reader::translated);
        /// The destination address that the packet should then have (DNAT), or the prefix it should be in.
        destination: (IpNet, Span) = PREFIX_OR_ADDRESS => by(Reader::translated);
        /// The source port that it should then have, or a range.
        sport: PortRange = PORTS => by(Reader::translated_port);
        /// The destination port that it should then have, or a range.
        dport: PortRange = PORTS => by(Reader::translated_port);
        /// The time to live or hop limit that it should then have.
        ttl: u8 = Shape::Number(0, 255) => decimal("a TTL");
        /// The differentiated services code point that it should then have.
        dscp: u8 = Shape::Number(0, 63) => decimal("a code point");
        /// The maximum segment size that it should then announce.
        mss: u16 = Shape::Number(0, 65535) => decimal("a segment size");
        /// The packet mark that it should have behind the last rule: `7`, `0x10`.
        mark: u32 = Shape::Scalar => by(Reader::mark);
    }
}

/// `drop:` as a map.
static DROP: Object =
    Object::new("drop", "the outcome", " Details of a dropped packet.", &[]).also(&DETAILS);

keys! {
    /// Details of a rejected packet.
    REJECT = "reject", "the outcome", struct RejectKeys<'n>.also(&DETAILS) {
        /// The error that comes back; any when not given.
        kind: (RejectKind, Word<'n>) = Shape::Word(words::reject_words) => by(Reader::kind_of_reject);
    }
}

keys! {
    /// What every outcome may have.
    DETAILS = "details", "the outcome", struct DetailsKeys<'n> {
        /// Who should decide: a rule by its comment, by a part of its text as nft lists it or as its file has
        /// it, or by its line (`app-server.nft:41`; the end of the path is enough); `policy`; or `chain NAME`
        /// for any rule of a chain and its policy.
        by: Word<'n> = Shape::Text => line("a rule's comment or text");
        /// What connection tracking makes of the packet. Asking switches connection tracking on.
        state: CtState = Shape::Word(states) => by(Reader::state);
        /// A rule on its way logs it with this prefix.
        log: Log = Shape::AnyOf(&[Shape::Text, Shape::Object(&LOG_RECORD)]) => by(Reader::log);
        /// By how many packets named counters grow: `{ ssh: 1 }`.
        counter: Vec<(String, u64)> = Shape::Map("", &Shape::Number(0, 65535)) => by(Reader::counters);
        /// Elements that sets have afterwards: `{ blocked: 198.51.100.7 }`.
        in_set "in-set": Vec<(String, String)> = Shape::Map("", &Shape::OneOrMore(&Shape::Scalar)) => by(Reader::elements);
        /// Elements that sets do not have afterwards.
        not_in_set "not-in-set": Vec<(String, String)> = Shape::Map("", &Shape::OneOrMore(&Shape::Scalar)) => by(Reader::elements);
        /// So many of a repeated packet: `3`, `3..6`; all of them when not given.
        count: ((u32, u32), Span) = COUNT => by(Reader::share);
    }
}

keys! {
    /// A record of the log.
    LOG_RECORD = "log", "the record", struct LogRecordKeys<'n> {
        /// What it begins with.
        prefix: Word<'n> = Shape::Text => line("the prefix of a record"), required;
        /// The group that must be told (`log group N`), as a logging daemon would be.
        group: u16 = Shape::Number(0, 65535) => decimal("a group");
    }
}

fn states() -> Vec<&'static str> {
    CtState::ALL.map(CtState::word).to_vec()
}

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
                let why = format!("{word} exists only in {}", family_name(family));
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
                let keys = ExpectKeys::read(self, value)?;
                let otherwise = keys.otherwise.map(|value| (value, self.outcome(value)));
                let (verdict, value) = keys.either()?;
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
                    .help("write `accept`, `drop` or `reject` after the colon");
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
                self.problem(extra.span, format!("unexpected {extra} after the outcome"))
                    .help("details are a map: `{ drop: { by: \"a rule\" } }`");
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
    fn count(&mut self, word: Word<'_>) -> Result<Option<(u32, u32)>, Reported> {
        if !word.text.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let (first, last) = word.split_once("..").unwrap_or((word, word));
        let first = self.number_in(first, "a number of packets", 0..=65535);
        let last = self.number_in(last, "a number of packets", 0..=65535);
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Reported);
        };
        if first > last {
            self.problem(word.span, format!("the range {word} is empty"));
            return Err(Reported);
        }
        Ok(Some((first.into(), last.into())))
    }

    /// The details that a bare number stands for.
    fn counted(&mut self, value: Value<'_>) -> Result<Option<Details>, Reported> {
        let Kind::Scalar(scalar) = &value.node.kind else {
            return Ok(None);
        };
        let word = scalar.word();
        let count = self.count(word)?;
        Ok(count.map(|share| Details {
            by: None,
            also: Also::default(),
            share: Some(share),
            counted: Some(word.span),
        }))
    }

    /// What every verdict may have; `None` if something of the map could not be read.
    fn details(&mut self, fields: &Fields<'_>) -> Option<Details> {
        let keys = DetailsKeys::of(self, fields.clone());
        let details = Details {
            by: keys.by.map(|word| word.text.to_owned()),
            share: keys.count.map(|(share, _)| share),
            counted: keys.count.map(|(_, span)| span),
            also: Also {
                state: keys.state,
                log: keys.log.clone(),
                counters: keys.counter.clone().unwrap_or_default(),
                in_set: keys.in_set.clone().unwrap_or_default(),
                not_in_set: keys.not_in_set.clone().unwrap_or_default(),
            },
        };
        keys.sound.then_some(details)
    }

    /// `count:` of a map, and where it stands.
    fn share(&mut self, value: Value<'_>) -> Option<((u32, u32), Span)> {
        let word = self.line(value, "a number of packets")?;
        let share = self.count(word).ok()?;
        if share.is_none() {
            let message = format!("{word} is not a number of packets");
            self.problem(word.span, message)
                .help("write `3`, or a range: `3..6`");
        }
        Some((share?, word.span))
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
        let keys = LogRecordKeys::read(self, value)?;
        let log = Log {
            prefix: keys.prefix?.text.to_owned(),
            group: keys.group,
        };
        keys.sound.then_some(log)
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

    fn elements(&mut self, value: Value<'_>) -> Option<Vec<(String, String)>> {
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
        if let Some(details) = self.counted(value).ok()? {
            return Some(Outcome::accepted().with(details));
        }
        let keys = AcceptKeys::read(self, value)?;
        let details = self.details(&keys);
        if !keys.sound {
            return None;
        }
        let (source, destination) = (keys.source, keys.destination);
        let looks = Looks {
            source: source.map(|(net, _)| net),
            destination: destination.map(|(net, _)| net),
            sport: keys.sport,
            dport: keys.dport,
            ttl: keys.ttl,
            dscp: keys.dscp,
            mss: keys.mss,
            mark: keys.mark,
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

    fn translated(&mut self, value: Value<'_>) -> Option<(IpNet, Span)> {
        let word = self.line(value, "an address")?;
        let net = match word.text.parse::<IpNet>() {
            Ok(net) => net.trunc(),
            Err(_) => IpNet::from(self.ip(word)?),
        };
        Some((net, word.span))
    }

    fn translated_port(&mut self, value: Value<'_>) -> Option<PortRange> {
        let word = self.line(value, "a port")?;
        let (first, last) = self.port_range("tcp", word)?;
        Some(PortRange(first, last))
    }

    /// A packet mark, and where it stands.
    pub(super) fn mark_at(&mut self, value: Value<'_>) -> Option<(u32, Span)> {
        Some((self.mark(value)?, value.span()))
    }

    /// A packet mark, in decimal or in hexadecimal.
    pub(super) fn mark(&mut self, value: Value<'_>) -> Option<u32> {
        let word = self.line(value, "a mark")?;
        let mark = match word.text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => word.text.parse(),
        };
        if mark.is_err() {
            self.problem(word.span, format!("{word} is not a mark"))
                .help("write a number of 32 bits: `7`, `0x10`");
        }
        mark.ok()
    }

    fn drop(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Some(details) = self.counted(value).ok()? {
            return Some(Outcome::plain(ExpectedVerdict::Drop).with(details));
        }
        let fields = self.fields(value, &DROP)?;
        let details = self.details(&fields)?;
        Some(Outcome::plain(ExpectedVerdict::Drop).with(details))
    }

    fn reject(&mut self, value: Value<'_>) -> Option<Outcome> {
        if let Some(details) = self.counted(value).ok()? {
            return Some(Outcome::reject(None).with(details));
        }
        if let Kind::Scalar(_) = value.node.kind {
            let kind = self.kind_of_reject(value)?;
            return Some(Outcome::reject(Some(kind)));
        }
        let keys = RejectKeys::read(self, value)?;
        let details = self.details(&keys);
        let outcome = Outcome::reject(keys.kind).with(details?);
        keys.sound.then_some(outcome)
    }

    fn kind_of_reject<'n>(&mut self, value: Value<'n>) -> Option<(RejectKind, Word<'n>)> {
        let word = self.line(value, "a kind of reject")?;
        self.reject_kind(word)
    }
}
