//! `tests:`, in the short form and in the long form.

pub(super) mod conversation;
mod draft;
pub(super) mod matrix;
pub(super) mod sweep;

use std::time::Duration;

pub(super) use self::conversation::FORM as STEP_FORM;
use crate::scenario::{
    Case, Family, Party, Repeat,
    format::{
        FAMILY, PARTY, SERVICE, Shape, TIME,
        words::{self, quote},
    },
    read::{
        Reader,
        ends::{Ends, World},
        fields::Value,
        firewall::FirewallDraft,
        hosts::HostDrafts,
        keys::{by, decimal, keys, line, raw},
        outcome::{OUTCOME, Outcome},
        packet::{PACKET, draft::PacketDraft},
        service::MAX_PORTS,
        test::{
            draft::{Expander, TestDraft, too_many},
            matrix::is_matrix,
        },
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

keys! {
    /// The long form of a test: everything the short form can say, and all of a packet.
    TEST = "test", "the test", struct TestKeys<'n> {
        /// The test in a few words; `FROM -> TO SERVICE` when not given.
        name: Word<'n> = Shape::Text => line("a name");
        /// Who sends: a host, `firewall`, or `firewall@INTERFACE` for its address there.
        from: Word<'n> = PARTY => line("a host or `firewall`"), required;
        /// Who should receive: a host, `firewall`, or `firewall@INTERFACE`.
        to: Word<'n> = PARTY => line("a host or `firewall`"), required;
        /// What is sent: `tcp/80,443`, `udp/domain`, `ssh`, `tcp/443 xmas`, `icmp/echo-request`, `gre`,
        /// `proto/89`, or `any` for a fixed sample (tcp/22, tcp/80, tcp/443, tcp/50000, udp/53, udp/50000,
        /// icmp/echo-request).
        service: Value<'n> = Shape::OneOrMore(&SERVICE) => raw, either;
        /// What is sent, header field by header field.
        packet: Value<'n> = Shape::Object(&PACKET) => raw, either;
        /// Tests only this address family.
        family: (Family, Span) = FAMILY => by(Reader::family);
        /// Sends the packet so many times, each time as one of its own: `20`, or `{ count: 20, within: 1s }`
        /// at an even pace.
        repeat: Repeat = REPEAT_SHAPE => by(Reader::repeat);
        /// The user whose socket sends it, by name or number; only from the firewall itself.
        user "as": Word<'n> = Shape::Scalar => line("a user");
        /// The mark that the sending socket gives it (`SO_MARK`); only from the firewall itself.
        mark: (u32, Span) = Shape::Scalar => by(Reader::mark_at);
        /// What the firewall should do with it.
        expect: Outcome = OUTCOME => by(Reader::outcome), required;
    }
}

const REPEAT_SHAPE: Shape = Shape::AnyOf(&[Shape::Number(2, 65_535), Shape::Object(&REPEAT)]);

keys! {
    /// How often a packet is sent, and how fast.
    REPEAT = "repeat", "the repetition", struct RepeatKeys<'n> {
        /// How many times.
        count: u16 = Shape::Number(2, 65535) => decimal("a number of packets"), required;
        /// Evenly spread over this time (`1s`, `500ms`); without a pause when not given.
        within: Duration = TIME => by(Reader::time);
    }
}

const ARROW: &str = "->";
pub(crate) const SHORT_FORM: &str = "a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`";

/// Whether a test has a key that makes it one of a kind.
fn has(key: &str, value: Value<'_>) -> bool {
    match &value.node.kind {
        Kind::Map(entries) => entries.iter().any(|entry| entry.key.text == key),
        Kind::Scalar(_) | Kind::List(_) | Kind::Null => false,
    }
}

impl Reader<'_> {
    pub(crate) fn tests(
        &mut self,
        value: Value<'_>,
        id: &str,
        firewall: &FirewallDraft,
        hosts: &HostDrafts,
    ) -> Vec<Case> {
        let Kind::List(items) = &value.node.kind else {
            self.unexpected(value, "a list of tests").help(SHORT_FORM);
            return Vec::new();
        };
        if items.is_empty() {
            self.problem(value.at, "there is no test").help(SHORT_FORM);
        }
        let world = World { firewall, hosts };
        let mut expander = Expander::new(id, world);
        for item in items {
            let value = Value::item(item);
            if has("steps", value) {
                self.conversation(value, world, &mut expander);
            } else if has("only-open", value) {
                self.sweep(value, world, &mut expander);
            } else if is_matrix(value) {
                self.matrix(value, world, &mut expander);
            } else if let Some(test) = self.test(value, world) {
                self.expand(test, &mut expander);
            }
            if expander.full() {
                self.problem(Value::item(item).span(), too_many());
                break;
            }
        }
        expander.cases
    }

    fn test(&mut self, value: Value<'_>, world: World<'_>) -> Option<TestDraft> {
        let entries = match &value.node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(scalar) => {
                self.test_without_outcome(scalar.word());
                return None;
            }
            Kind::List(_) | Kind::Null => {
                self.unexpected(value, "a test").help(SHORT_FORM);
                return None;
            }
        };
        let arrow = entries.iter().find(|entry| entry.key.text.contains(ARROW));
        if let Some(short) = arrow {
            if let Some(extra) = entries.iter().find(|entry| !std::ptr::eq(*entry, short)) {
                self.problem(extra.key.word().span, format!("unexpected key {} beside a test in the short form", quote(&extra.key.text)))
                    .also(short.key.word().span, "the short form has one key")
                    .help("begin the next test with a `-` of its own, or write this one in the long form with `from`, `to`, `service` and `expect`");
                return None;
            }
            return self.short_form(
                short.key.word(),
                Value {
                    node: &short.value,
                    at: short.key.word().span,
                },
                world,
            );
        }
        // One unknown key with spaces is an attempt at the short form, not a misspelt key.
        if let [only] = entries.as_slice()
            && only.key.text.contains(' ')
        {
            let word = only.key.word();
            self.problem(word.span, format!("{word} is not a test"))
                .help(SHORT_FORM);
            return None;
        }
        self.long_form(value, world)
    }

    /// `- internet -> firewall tcp/22`, or a colon without a space after it.
    fn test_without_outcome(&mut self, word: Word<'_>) {
        let glued = word.text.rsplit_once(':').filter(|(_, outcome)| {
            let verdict = outcome.split_whitespace().next();
            verdict.is_some_and(|verdict| ["accept", "drop", "reject"].contains(&verdict))
        });
        if let Some((_, outcome)) = glued {
            self.problem(
                word.part(outcome).span,
                "a space is missing between the colon and the outcome",
            )
            .help(format!("write `: {outcome}`"));
        } else if word.text.contains(ARROW) {
            self.problem(word.span, "this test does not say what should happen")
                .help("add `: accept`, `: drop` or `: reject`");
        } else {
            self.problem(word.span, format!("{word} is not a test"))
                .help(SHORT_FORM);
        }
    }

    fn short_form(
        &mut self,
        key: Word<'_>,
        value: Value<'_>,
        world: World<'_>,
    ) -> Option<TestDraft> {
        let outcome = self.outcome(value);
        let parts = self.short_parts(key);
        let ([from, to, service], segment) = parts?;
        let ends = self.ends(from, to, world);
        let probes = self.service(service, segment);
        if let Some(outcome) = &outcome {
            self.counted_only_if_repeated(outcome, None)?;
        }
        Some(TestDraft {
            at: key.span,
            subject: key.span,
            name: None,
            arrow: format!("{} -> {}", from.text, to.text),
            ends: ends?,
            probes: probes?,
            family: None,
            outcome: outcome?,
            repeat: None,
            user: None,
            mark: None,
            short: true,
            cell: None,
        })
    }

    /// Sender, receiver and service, and the kind of segment if one is named.
    fn short_parts<'n>(&mut self, key: Word<'n>) -> Option<([Word<'n>; 3], Option<Word<'n>>)> {
        let (from, rest) = key.split_once(ARROW)?;
        let from = from.trim();
        if let Some((_, second)) = rest.split_once(ARROW) {
            self.problem(second.trim().span, "a test has one sender and one receiver")
                .label("a second receiver")
                .help(SHORT_FORM);
            return None;
        }
        let senders: Vec<Word<'_>> = from.split_whitespace().collect();
        let words: Vec<Word<'_>> = rest.split_whitespace().collect();
        match (senders.as_slice(), words.as_slice()) {
            ([from], [to, service]) => Some(([*from, *to, *service], None)),
            ([from], [to, service, segment]) if words::segment(segment.text).is_some() => {
                Some(([*from, *to, *service], Some(*segment)))
            }
            ([], _) => {
                self.problem(key.span, "the sender is missing before `->`")
                    .help(SHORT_FORM);
                None
            }
            ([_, extra, ..], _) => {
                self.problem(extra.span, format!("unexpected {extra} after the sender"))
                    .help(SHORT_FORM);
                None
            }
            (_, []) => {
                self.problem(key.span, "the receiver is missing after `->`")
                    .help(SHORT_FORM);
                None
            }
            (_, [to]) => {
                self.problem(to.span, format!("the service is missing after {to}"))
                    .help(SHORT_FORM);
                None
            }
            (_, [_, service, extra, ..]) => {
                self.unexpected_segment(*service, *extra);
                None
            }
        }
    }

    /// Reports what stands behind a service and is no kind of segment.
    fn unexpected_segment(&mut self, service: Word<'_>, extra: Word<'_>) {
        let list = service.text.ends_with(',') || extra.text.starts_with(',');
        let near = words::nearest(extra.text, &words::segments());
        let help = if list {
            "write ports without spaces: `tcp/80,443`".to_owned()
        } else if words::segment(extra.text).is_some() {
            "a service has one kind of segment".to_owned()
        } else if let Some(near) = near {
            format!("did you mean {}?", quote(near))
        } else {
            "flags and other details of a packet need the long form: `packet: { tcp: { dport: 443, flags: [ack] } }`".to_owned()
        };
        self.problem(extra.span, format!("unexpected {extra} after the service"))
            .help(help);
    }

    /// A service with the kind of its segments, if one is named.
    pub(crate) fn service_text(&mut self, word: Word<'_>) -> Option<Vec<PacketDraft>> {
        let parts: Vec<Word<'_>> = word.split_whitespace().collect();
        match parts.as_slice() {
            [service] => self.service(*service, None),
            [service, segment] if words::segment(segment.text).is_some() => {
                self.service(*service, Some(*segment))
            }
            [service, extra, ..] => {
                self.unexpected_segment(*service, *extra);
                None
            }
            [] => None,
        }
    }

    fn long_form(&mut self, value: Value<'_>, world: World<'_>) -> Option<TestDraft> {
        let keys = TestKeys::read(self, value)?;
        let ends = self.both_ends(keys.from, keys.to, world);
        let probes = match (keys.service, keys.packet) {
            (Some(value), None) => self.services(value),
            (None, Some(value)) => self.packet(value).map(|probe| vec![probe]),
            // Has been reported.
            (Some(_), Some(_)) | (None, None) => None,
        };
        let sender = self.sender(keys.user, keys.mark, ends.as_ref());
        if let (Some(outcome), true) = (&keys.expect, keys.sound) {
            self.counted_only_if_repeated(outcome, keys.repeat.as_ref())?;
        }
        if keys.planned || !keys.sound {
            return None;
        }
        let (user, mark) = sender?;
        let (from, to) = (keys.from?, keys.to?);
        Some(TestDraft {
            at: keys.at,
            subject: keys.name.unwrap_or(from).span,
            name: keys.name.map(|word| word.text.to_owned()),
            arrow: format!("{} -> {}", from.text, to.text),
            ends: ends?,
            probes: probes?,
            family: keys.family,
            outcome: keys.expect.clone()?,
            repeat: keys.repeat,
            user,
            mark,
            short: false,
            cell: None,
        })
    }

    /// `from:` and `to:`, where a packet of the one meets the firewall on its way to the other.
    fn both_ends(
        &mut self,
        from: Option<Word<'_>>,
        to: Option<Word<'_>>,
        world: World<'_>,
    ) -> Option<Ends> {
        self.ends(from?, to?, world)
    }

    pub(crate) fn services(&mut self, value: Value<'_>) -> Option<Vec<PacketDraft>> {
        let mut probes = Vec::new();
        let mut sound = true;
        let items = self.one_or_more(value, "a service or a list of services");
        if items.is_empty() {
            if let Kind::List(_) = value.node.kind {
                self.problem(value.at, "this test sends nothing")
                    .help("name at least one service");
            }
            return None;
        }
        for item in items {
            let more = self.line(item, "a service");
            match more.and_then(|word| self.service_text(word)) {
                Some(more) => probes.extend(more),
                None => sound = false,
            }
            if probes.len() > MAX_PORTS {
                self.problem(
                    value.at,
                    format!("a test has at most {MAX_PORTS} services, and this one has more"),
                )
                .help("split it into several tests");
                return None;
            }
        }
        sound.then_some(probes)
    }

    /// `family:`, and where it stands.
    fn family(&mut self, value: Value<'_>) -> Option<(Family, Span)> {
        let word = self.line(value, "an address family")?;
        match word.text {
            "ipv4" => Some((Family::Ipv4, word.span)),
            "ipv6" => Some((Family::Ipv6, word.span)),
            other => {
                let help = words::suggest(other, ["ipv4", "ipv6"]);
                self.no_such(word, "address family", help);
                None
            }
        }
    }

    /// A number of packets makes sense only where there are several.
    pub(crate) fn counted_only_if_repeated(
        &mut self,
        outcome: &Outcome,
        repeat: Option<&Repeat>,
    ) -> Option<()> {
        let Some(at) = outcome.counted.filter(|_| repeat.is_none()) else {
            return Some(());
        };
        self.problem(at, "this counts packets, but one is sent")
            .help("add `repeat: { count: 20, within: 1s }`");
        None
    }

    /// `repeat:`.
    fn repeat(&mut self, value: Value<'_>) -> Option<Repeat> {
        if let Kind::Scalar(_) = value.node.kind {
            return Some(Repeat {
                count: self.number(value, "a number of packets", 2..=65535)?.into(),
                within: None,
            });
        }
        let keys = RepeatKeys::read(self, value)?;
        let repeat = Repeat {
            count: keys.count?.into(),
            within: keys.within,
        };
        keys.sound.then_some(repeat)
    }

    /// `as:` and `mark:`, which only the firewall's own packets have.
    fn sender(
        &mut self,
        user: Option<Word<'_>>,
        mark: Option<(u32, Span)>,
        ends: Option<&Ends>,
    ) -> Option<(Option<String>, Option<u32>)> {
        let from_host = ends.is_some_and(|ends| matches!(ends.from, Party::Host(_)));
        let given = user.map(|user| user.span).or(mark.map(|(_, span)| span));
        if let (Some(at), true) = (given, from_host) {
            self.problem(
                at,
                "only a packet of the firewall itself has a sending socket",
            )
            .help("write `from: firewall`");
            return None;
        }
        let user = user.map(|user| user.text.to_owned());
        Some((user, mark.map(|(mark, _)| mark)))
    }

    fn time(&mut self, value: Value<'_>) -> Option<Duration> {
        let word = self.line(value, "a time")?;
        let time = words::duration(word.text);
        if time.is_none() {
            self.problem(word.span, format!("{word} is not a time"))
                .help("write `2s`, `500ms` or `1m`, at most a day");
        }
        time
    }
}
