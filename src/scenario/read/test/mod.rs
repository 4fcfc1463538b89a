//! `tests:`, in the short form and in the long form.

mod conversation;
mod draft;
mod matrix;
mod sweep;

pub(super) use self::conversation::FORM as STEP_FORM;
use crate::scenario::{
    Case, Family,
    format::{
        self,
        words::{self, quote},
    },
    read::{
        Reader,
        ends::{Ends, World},
        fields::{Fields, Value},
        firewall::FirewallDraft,
        hosts::HostDrafts,
        packet::draft::PacketDraft,
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

const ARROW: &str = "->";
pub(in crate::scenario::read) const SHORT_FORM: &str = "a test reads `FROM -> TO SERVICE: OUTCOME`, for example `internet -> firewall tcp/443: accept`";

/// Whether a test has a key that makes it one of a kind.
fn has(key: &str, value: Value<'_>) -> bool {
    match &value.node.kind {
        Kind::Map(entries) => entries.iter().any(|entry| entry.key.text == key),
        Kind::Scalar(_) | Kind::List(_) | Kind::Null => false,
    }
}

impl Reader<'_> {
    pub(in crate::scenario::read) fn tests(
        &mut self,
        value: Value<'_>,
        id: &str,
        firewall: &FirewallDraft,
        hosts: &HostDrafts,
    ) -> Vec<Case> {
        let Kind::List(items) = &value.node.kind else {
            self.unexpected(value, "a list of tests")
                .help(SHORT_FORM.to_owned());
            return Vec::new();
        };
        if items.is_empty() {
            self.problem(value.at, "there is no test")
                .help(SHORT_FORM.to_owned());
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
                self.unexpected(value, "a test").help(SHORT_FORM.to_owned());
                return None;
            }
        };
        let arrow = entries.iter().find(|entry| entry.key.text.contains(ARROW));
        if let Some(short) = arrow {
            if let Some(extra) = entries.iter().find(|entry| !std::ptr::eq(*entry, short)) {
                self.problem(extra.key.word().span, format!("unexpected key {} beside a test in the short form", quote(&extra.key.text)))
                    .also(short.key.word().span, "the short form has one key")
                    .help("begin the next test with a `-` of its own, or write this one in the long form with `from`, `to`, `service` and `expect`".to_owned());
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
            self.problem(word.span, format!("{} is not a test", quote(word.text)))
                .help(SHORT_FORM.to_owned());
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
                .help("add `: accept`, `: drop` or `: reject`".to_owned());
        } else {
            self.problem(word.span, format!("{} is not a test", quote(word.text)))
                .help(SHORT_FORM.to_owned());
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
                .help(SHORT_FORM.to_owned());
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
                    .help(SHORT_FORM.to_owned());
                None
            }
            ([_, extra, ..], _) => {
                self.problem(
                    extra.span,
                    format!("unexpected {} after the sender", quote(extra.text)),
                )
                .help(SHORT_FORM.to_owned());
                None
            }
            (_, []) => {
                self.problem(key.span, "the receiver is missing after `->`")
                    .help(SHORT_FORM.to_owned());
                None
            }
            (_, [to]) => {
                self.problem(
                    to.span,
                    format!("the service is missing after {}", quote(to.text)),
                )
                .help(SHORT_FORM.to_owned());
                None
            }
            (_, [_, service, extra, ..]) => {
                let list = service.text.ends_with(',') || extra.text.starts_with(',');
                self.unexpected_segment(*extra, list);
                None
            }
        }
    }

    /// Reports what stands behind a service and is no kind of segment.
    fn unexpected_segment(&mut self, extra: Word<'_>, list: bool) {
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
        self.problem(
            extra.span,
            format!("unexpected {} after the service", quote(extra.text)),
        )
        .help(help);
    }

    /// A service with the kind of its segments, if one is named.
    pub(in crate::scenario::read) fn service_text(
        &mut self,
        word: Word<'_>,
    ) -> Option<Vec<PacketDraft>> {
        let parts: Vec<Word<'_>> = word.split_whitespace().collect();
        match parts.as_slice() {
            [service] => self.service(*service, None),
            [service, segment] if words::segment(segment.text).is_some() => {
                self.service(*service, Some(*segment))
            }
            [service, extra, ..] => {
                let list = service.text.ends_with(',') || extra.text.starts_with(',');
                self.unexpected_segment(*extra, list);
                None
            }
            [] => None,
        }
    }

    fn long_form(&mut self, value: Value<'_>, world: World<'_>) -> Option<TestDraft> {
        let fields = self.fields(value, &format::TEST)?;
        let name = self.name(&fields);
        let (from, to, ends) = self.both_ends(&fields, world);
        let probes = match self.either(&fields) {
            Some(("service", value)) => self.services(value),
            Some((_, value)) => self.packet(value).map(|probe| vec![probe]),
            None => None,
        };
        let family = self.family(&fields);
        let outcome = fields.get("expect").and_then(|value| self.outcome(value));
        let repeat = self.repeat(&fields);
        let sender = self.sender(&fields, ends.as_ref());
        if let (Some(outcome), Some(repeat)) = (&outcome, &repeat) {
            self.counted_only_if_repeated(outcome, repeat.as_ref())?;
        }
        let (name, (user, mark)) = (name?, sender?);
        if fields.planned {
            return None;
        }
        Some(TestDraft {
            at: fields.at,
            subject: name.or(from).map_or(fields.at, |word| word.span),
            name: name.map(|word| word.text.to_owned()),
            arrow: format!("{} -> {}", from?.text, to?.text),
            ends: ends?,
            probes: probes?,
            family: family?,
            outcome: outcome?,
            repeat: repeat?,
            user,
            mark,
            short: false,
            cell: None,
        })
    }

    /// `name:`, if the test has one; the outer `None` if it is wrong.
    pub(in crate::scenario::read) fn name<'n>(
        &mut self,
        fields: &Fields<'n>,
    ) -> Option<Option<Word<'n>>> {
        match fields.get("name") {
            Some(value) => self.line(value, "a name").map(Some),
            None => Some(None),
        }
    }

    /// `from:` and `to:`, and whether a packet of the one meets the firewall on its way to the other.
    pub(in crate::scenario::read) fn both_ends<'n>(
        &mut self,
        fields: &Fields<'n>,
        world: World<'_>,
    ) -> (Option<Word<'n>>, Option<Word<'n>>, Option<Ends>) {
        let from = self.end_field(fields, "from");
        let to = self.end_field(fields, "to");
        let ends = match (from, to) {
            (Some(from), Some(to)) => self.ends(from, to, world),
            _ => None,
        };
        (from, to, ends)
    }

    fn end_field<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Option<Word<'n>> {
        self.line(fields.get(name)?, "a host or `firewall`")
    }

    pub(in crate::scenario::read) fn services(
        &mut self,
        value: Value<'_>,
    ) -> Option<Vec<PacketDraft>> {
        let mut probes = Vec::new();
        let mut sound = true;
        let items = self.one_or_more(value, "a service or a list of services");
        if items.is_empty() {
            if let Kind::List(_) = value.node.kind {
                self.problem(value.at, "this test sends nothing")
                    .help("name at least one service".to_owned());
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
                .help("split it into several tests".to_owned());
                return None;
            }
        }
        sound.then_some(probes)
    }

    /// `family:`, if the test has one; the outer `None` if it is wrong.
    pub(in crate::scenario::read) fn family(
        &mut self,
        fields: &Fields<'_>,
    ) -> Option<Option<(Family, Span)>> {
        let Some(value) = fields.get("family") else {
            return Some(None);
        };
        let word = self.line(value, "an address family")?;
        match word.text {
            "ipv4" => Some(Some((Family::Ipv4, word.span))),
            "ipv6" => Some(Some((Family::Ipv6, word.span))),
            other => {
                let help = words::suggest(other, ["ipv4", "ipv6"]);
                self.no_such(word, "address family", help);
                None
            }
        }
    }
}
