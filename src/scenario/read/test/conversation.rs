//! `steps:`, a conversation: packets that share what the firewall remembers.

use std::{path::PathBuf, time::Duration};

use firedrill_harness::packet::{self, Payload, Transport, tcp_flag};

use crate::scenario::{
    Action, Also, Case, Connection, Expectation, ExpectedVerdict, Family, Looks, Party, Reload,
    Repeat, Send, Step,
    format::{
        FAMILY, NAME_PATTERN, PARTY, Shape, TIME,
        words::{self, family_name, quote},
    },
    read::{
        Reader,
        address::family_names,
        ends::{Ends, World},
        fields::Value,
        icmp::Icmp,
        keys::{boolean, by, keys, line, payload, raw},
        outcome::{OUTCOME, Outcome},
        packet::{PACKET, draft::PacketDraft, value::PAYLOAD},
        test::{REPEAT_SHAPE, draft::Expander},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

keys! {
    /// A test of several steps that share what the firewall remembers; it passes if every step does.
    CONVERSATION = "conversation", "the conversation", struct ConversationKeys<'n> {
        /// The test in a few words; its first step when not given.
        name: Word<'n> = Shape::Text => line("a name");
        /// Tests only this address family.
        family: (Family, Span) = FAMILY => by(Reader::family);
        /// What happens, in this order.
        steps: Value<'n> = Shape::List(&Shape::AnyOf(&[Shape::ShortTest(&OUTCOME), Shape::ShortReply(&OUTCOME), Shape::Object(&STEP)])) => raw, required;
    }
}

keys! {
    /// One step of a conversation: a packet (`from`, `to`, and `service` or `packet`), an answer to the packet
    /// before (`reply`), a pause (`wait`), or another configuration (`reload`).
    STEP = "step", "the step", struct StepKeys<'n> {
        /// Who sends: a host, `firewall`, or `firewall@INTERFACE`.
        from: Word<'n> = PARTY => line("a host or `firewall`");
        /// Who should receive.
        to: Word<'n> = PARTY => line("a host or `firewall`");
        /// What is sent, and for TCP which segment: `tcp/22`, `tcp/22 ack`, `tcp/22 connect`, `udp/53`,
        /// `icmp/echo-request`.
        service: Value<'n> = Shape::Text => raw;
        /// What is sent, header field by header field.
        packet: Value<'n> = Shape::Object(&PACKET) => raw;
        /// Answers the packet of the step before, from where and as what it arrived: a segment (`syn-ack`,
        /// `ack`, `data`, `fin`, `rst`), an ICMP error (`icmp/port-unreachable`), or `true` for what the
        /// protocol answers.
        reply: Value<'n> = Shape::AnyOf(&[Shape::Text, Shape::Bool]) => raw;
        /// Takes the ports and sequence numbers of the connection before, as somebody who slips in would.
        inside: bool = Shape::Bool => boolean;
        /// Sends the packet so many times, each time as one of its own: `20`, or `{ count: 20, within: 1s }`
        /// at an even pace.
        repeat: Repeat = REPEAT_SHAPE => by(Reader::repeat);
        /// The user whose socket sends it, by name or number; only from the firewall itself.
        user "as": Word<'n> = Shape::Scalar => line("a user");
        /// The mark that the sending socket gives it (`SO_MARK`); only from the firewall itself.
        mark: (u32, Span) = Shape::Scalar => by(Reader::mark_at);
        /// What the packet of a `service` or a `reply` carries: a text, `hex:` and digits, or `{ size: BYTES
        /// }`.
        payload: Payload = PAYLOAD => payload;
        /// Lets time pass: `2s`, `500ms`.
        wait: Duration = TIME => by(Reader::time);
        /// Loads another configuration of the same dialect over the present one: a file, relative to this one;
        /// with `candidates`, a file for each by its name.
        reload: Value<'n> = Shape::AnyOf(&[Shape::Text, Shape::Map(NAME_PATTERN, &Shape::Text)]) => raw;
        /// With `reload`: a packet that is sent again and again while it is loaded, and what should become of
        /// every one.
        meanwhile: Value<'n> = Shape::ShortTest(&OUTCOME) => raw;
        /// What the firewall should do with the packet.
        _expect "expect": Value<'n> = OUTCOME => raw;
    }
}

const REPLY: &str = "reply";
const ARROW: &str = "->";
pub(crate) const FORM: &str = "a step reads `FROM -> TO SERVICE: OUTCOME` or `reply: OUTCOME`, for example `client -> server tcp/443 syn: accept` and then `reply syn-ack: accept`";

/// Most steps of one conversation.
const MAX_STEPS: usize = 1000;

/// A segment with data, not only with its flags.
const DATA: &str = "data";

/// A whole handshake (RFC 9293 section 3.5).
const CONNECT: &str = "connect";

/// How many bytes a segment of data has.
const DATA_BYTES: u16 = 32;

/// A step that could be read.
struct StepDraft {
    text: String,
    at: Span,
    action: Draft,
}

enum Draft {
    Send(Box<SendDraft>),
    Wait(Duration),
    Reload(ReloadFiles, Option<Box<SendDraft>>),
}

/// What is loaded: the same for all candidates, or a file for each by its name.
struct ReloadFiles {
    first: PathBuf,
    of_each: Vec<(String, PathBuf)>,
}

struct SendDraft {
    /// `None` in an answer: those of the packet before, swapped.
    ends: Option<Ends>,
    /// `None` in an answer: that of the connection.
    probe: Option<PacketDraft>,
    segment: Segment,
    /// It slips into the connection before.
    inside: bool,
    repeat: Option<Repeat>,
    user: Option<String>,
    mark: Option<u32>,
    payload: Option<Payload>,
    outcome: Outcome,
}

/// What of a connection is sent.
#[derive(Debug, Clone)]
enum Segment {
    /// What the packet says, or the protocol's own answer.
    Own,
    /// A segment with these control bits, and whether it carries data.
    Tcp(u8, bool),
    /// An ICMP error about the packet before.
    Error(Box<Icmp>),
    /// SYN, SYN-ACK and ACK.
    Connect,
}

/// A connection in the making.
struct Open {
    number: usize,
    from: Party,
    to: Party,
    probe: PacketDraft,
}

/// What the next `reply` answers.
struct Last {
    connection: usize,
    reply: bool,
}

impl Reader<'_> {
    /// A test with steps.
    pub(crate) fn conversation(
        &mut self,
        value: Value<'_>,
        world: World<'_>,
        expander: &mut Expander<'_>,
    ) {
        let Some(keys) = ConversationKeys::read(self, value) else {
            return;
        };
        let steps = keys.steps.and_then(|value| self.steps(value, world));
        let Some(steps) = steps.filter(|_| keys.sound) else {
            return;
        };
        let Some(families) = self.shared_families(keys.at, &steps, keys.family) else {
            return;
        };
        let text = match (keys.name, steps.first()) {
            (Some(name), _) => name.text.to_owned(),
            (None, Some(first)) => format!("{}, …", first.text),
            (None, None) => return,
        };
        let subject = keys.name.map_or(keys.at, |name| name.span);
        let before = self.problems.len();
        for family in families {
            self.claim_name(&text, family, subject, expander);
            if let Some(steps) = self.in_family(&steps, family, world) {
                expander.cases.push(Case {
                    name: format!("{} :: {text} [{family}]", expander.id()),
                    at: self.sources.location(keys.at),
                    family,
                    cell: None,
                    steps,
                });
            }
            if self.problems.len() > before {
                return;
            }
        }
    }

    fn steps(&mut self, value: Value<'_>, world: World<'_>) -> Option<Vec<StepDraft>> {
        let Kind::List(items) = &value.node.kind else {
            self.unexpected(value, "a list of steps").help(FORM);
            return None;
        };
        if items.is_empty() {
            self.problem(value.at, "there is no step").help(FORM);
            return None;
        }
        if items.len() > MAX_STEPS {
            let message = format!("a conversation has at most {MAX_STEPS} steps");
            self.problem(value.at, message);
            return None;
        }
        let drafts: Vec<Option<StepDraft>> = items
            .iter()
            .map(|item| self.step(Value::item(item), world))
            .collect();
        let drafts: Vec<StepDraft> = drafts.into_iter().collect::<Option<_>>()?;
        let answers_nothing = drafts.iter().find_map(|draft| match &draft.action {
            Draft::Send(send) => Some(send.ends.is_none().then_some(draft.at)),
            Draft::Wait(_) | Draft::Reload(..) => None,
        });
        match answers_nothing {
            Some(Some(at)) => {
                self.problem(at, "there is no packet before this that it could answer");
                None
            }
            Some(None) => Some(drafts),
            None => {
                self.problem(value.at, "this conversation sends nothing");
                None
            }
        }
    }

    fn step(&mut self, value: Value<'_>, world: World<'_>) -> Option<StepDraft> {
        let Kind::Map(entries) = &value.node.kind else {
            let problem = self.unexpected(value, "a step");
            problem.help(FORM);
            return None;
        };
        if let [only] = entries.as_slice() {
            let key = only.key.word();
            let inner = Value {
                node: &only.value,
                at: key.span,
            };
            let first = key.text.split_whitespace().next();
            if key.text.contains(ARROW) {
                let outcome = self.outcome(inner);
                let mut send = self.short_send(key, world)?;
                send.outcome = outcome?;
                self.counted_only_if_repeated(&send.outcome, None)?;
                return Some(StepDraft::send(key.text, key.span, send));
            }
            if first == Some(REPLY) {
                let outcome = self.outcome(inner);
                let what = key.part(&key.text[REPLY.len()..]).trim();
                let segment = if what.text.is_empty() {
                    Some(Segment::Own)
                } else {
                    self.answer_segment(what)
                };
                let send = SendDraft::answer(segment?, outcome?);
                return Some(StepDraft::send(key.text, key.span, send));
            }
            if key.text.contains(' ') {
                self.problem(key.span, format!("{key} is not a step"))
                    .help(FORM);
                return None;
            }
        }
        self.long_step(value, world)
    }

    /// `FROM -> TO SERVICE [SEGMENT]`, with an outcome that means nothing yet.
    fn short_send(&mut self, key: Word<'_>, world: World<'_>) -> Option<SendDraft> {
        let (from, rest) = key.split_once(ARROW)?;
        let rest: Vec<Word<'_>> = rest.split_whitespace().collect();
        let (to, service, segment) = match rest.as_slice() {
            [to, service] => (*to, *service, None),
            [to, service, segment] => (*to, *service, Some(*segment)),
            _ => {
                self.problem(key.span, format!("{key} is not a step"))
                    .help(FORM);
                return None;
            }
        };
        let ends = self.ends(from.trim(), to, world);
        let service = self.one_service(service, segment);
        let (probe, segment) = service?;
        Some(SendDraft {
            probe: Some(probe),
            ..SendDraft::new(ends?, segment)
        })
    }

    /// One packet, and which segment of its connection it is.
    fn one_service(
        &mut self,
        service: Word<'_>,
        segment: Option<Word<'_>>,
    ) -> Option<(PacketDraft, Segment)> {
        let mut probes = self.service(service, None)?;
        let probe = match (probes.pop(), probes.len()) {
            (Some(probe), 0) => probe,
            _ => {
                self.problem(service.span, "a step sends one packet")
                    .help("write a step for each");
                return None;
            }
        };
        let Some(word) = segment else {
            return Some((probe, Segment::Own));
        };
        if !matches!(probe.packet.transport, Transport::Tcp(_)) {
            self.problem(word.span, "only TCP has segments")
                .label(format!("{service} is none"));
            return None;
        }
        let segment = self.segment(word)?;
        Some((probe, segment))
    }

    fn segment(&mut self, word: Word<'_>) -> Option<Segment> {
        if word.text == CONNECT {
            return Some(Segment::Connect);
        }
        // Inside a connection all segments but the first have ACK (RFC 9293 section 3.10.4).
        let flags = match word.text {
            "fin" => Some(tcp_flag::FIN | tcp_flag::ACK),
            other => words::segment(other).map(|flags| flags.0),
        };
        if flags.is_none() {
            let names = words::segments().into_iter();
            let help = words::suggest(word.text, names.chain([CONNECT]));
            self.no_such(word, "segment", help);
        }
        flags.map(|flags| Segment::Tcp(flags, word.text == DATA))
    }

    /// What an answer is: a segment, or an ICMP error.
    fn answer_segment(&mut self, word: Word<'_>) -> Option<Segment> {
        if !word.text.starts_with("icmp") {
            return match self.segment(word)? {
                Segment::Connect => {
                    self.problem(word.span, "an answer is no handshake of its own");
                    None
                }
                segment => Some(segment),
            };
        }
        let mut probes = self.service(word, None)?;
        let icmp = probes.pop()?.icmp?;
        Some(Segment::Error(Box::new(icmp)))
    }

    fn long_step(&mut self, value: Value<'_>, world: World<'_>) -> Option<StepDraft> {
        let keys = StepKeys::read(self, value)?;
        let kinds = ["from", REPLY, "wait", "reload"];
        let present: Vec<&str> = kinds
            .into_iter()
            .filter(|kind| keys.get(kind).is_some())
            .collect();
        let [kind] = present.as_slice() else {
            let message = match present.as_slice() {
                [] => "this step does nothing".to_owned(),
                several => format!("one step cannot be {}", words::list(several, "and")),
            };
            self.problem(keys.at, message).help(FORM);
            return None;
        };
        let allowed: &[&str] = match *kind {
            "from" => &[
                "from", "to", "service", "packet", "payload", "inside", "repeat", "as", "mark",
                "expect",
            ],
            REPLY => &[REPLY, "payload", "expect"],
            "wait" => &["wait"],
            _ => &["reload", "meanwhile"],
        };
        let mut sound = true;
        for (key, extra) in keys.given() {
            if !allowed.contains(&key) {
                let message = format!("a step with {} has no {}", quote(kind), quote(key));
                self.problem(extra.at, message);
                sound = false;
            }
        }
        let draft = match *kind {
            "from" => self.long_send(&keys, world),
            REPLY => self.long_answer(&keys),
            "wait" => self.wait(&keys),
            _ => self.reload(&keys, world),
        };
        draft.filter(|_| sound)
    }

    /// What must be there, or a problem.
    fn needed<'n>(&mut self, keys: &StepKeys<'n>, key: &str) -> Option<Value<'n>> {
        let value = keys.get(key);
        if value.is_none() {
            self.problem(keys.at, format!("{} is missing in this step", quote(key)));
        }
        value
    }

    /// `expect:`, which must be there.
    fn step_outcome(&mut self, keys: &StepKeys<'_>) -> Option<Outcome> {
        let value = self.needed(keys, "expect")?;
        self.outcome(value)
    }

    fn long_send(&mut self, keys: &StepKeys<'_>, world: World<'_>) -> Option<StepDraft> {
        for key in ["from", "to"] {
            self.needed(keys, key);
        }
        let ends = self.both_ends(keys.from, keys.to, world);
        let what = match (keys.service, keys.packet) {
            (Some(value), None) => self.line(value, "a service").and_then(|word| {
                let words: Vec<Word<'_>> = word.split_whitespace().collect();
                match words.as_slice() {
                    [service] => self.one_service(*service, None),
                    [service, segment] => self.one_service(*service, Some(*segment)),
                    _ => {
                        self.problem(word.span, format!("{word} is not a service"));
                        None
                    }
                }
            }),
            (None, Some(value)) => self.packet(value).map(|probe| (probe, Segment::Own)),
            (Some(_), Some(both)) => {
                self.problem(both.at, "a step has a `service` or a `packet`, not both");
                None
            }
            (None, None) => {
                self.problem(keys.at, "this step does not say what is sent")
                    .help("add `service` or `packet`");
                None
            }
        };
        let sender = self.sender(keys.user, keys.mark, ends.as_ref());
        let outcome = self.step_outcome(keys);
        let ((probe, segment), (user, mark)) = (what?, sender?);
        let outcome = outcome.filter(|_| keys.sound)?;
        if matches!(segment, Segment::Connect) && keys.repeat.is_some() {
            self.problem(keys.at, "a handshake is not repeated")
                .help("repeat its first segment: `syn`");
            return None;
        }
        self.counted_only_if_repeated(&outcome, keys.repeat.as_ref())?;
        let text = format!("{} -> {} {}", keys.from?.text, keys.to?.text, probe.text);
        let send = SendDraft {
            probe: Some(probe),
            inside: keys.inside.unwrap_or_default(),
            repeat: keys.repeat,
            user,
            mark,
            payload: keys.payload.clone(),
            outcome,
            ..SendDraft::new(ends?, segment)
        };
        Some(StepDraft::send(&text, keys.at, send))
    }

    fn long_answer(&mut self, keys: &StepKeys<'_>) -> Option<StepDraft> {
        let word = self.line(keys.reply?, "what is answered")?;
        let segment = match word.text {
            "true" => Some(Segment::Own),
            _ => self.answer_segment(word),
        };
        let outcome = self.step_outcome(keys)?;
        self.counted_only_if_repeated(&outcome, None)?;
        let text = format!("{REPLY} {}", word.text);
        let send = SendDraft {
            payload: keys.payload.clone(),
            ..SendDraft::answer(segment?, outcome)
        };
        let draft = StepDraft::send(&text, keys.at, send);
        keys.sound.then_some(draft)
    }

    fn wait(&mut self, keys: &StepKeys<'_>) -> Option<StepDraft> {
        Some(StepDraft {
            text: "wait".to_owned(),
            at: keys.at,
            action: Draft::Wait(keys.wait?),
        })
    }

    fn reload(&mut self, keys: &StepKeys<'_>, world: World<'_>) -> Option<StepDraft> {
        let (text, files) = self.reload_files(keys.reload?, world)?;
        let meanwhile = match keys.meanwhile {
            Some(value) => Some(Box::new(self.meanwhile(value, world)?)),
            None => None,
        };
        Some(StepDraft {
            text: format!("reload {text}"),
            at: keys.at,
            action: Draft::Reload(files, meanwhile),
        })
    }

    /// What is loaded, and that in words.
    fn reload_files(
        &mut self,
        value: Value<'_>,
        world: World<'_>,
    ) -> Option<(String, ReloadFiles)> {
        let candidates = &world.firewall.candidates;
        let names = || candidates.iter().map(|candidate| candidate.name.as_str());
        let Kind::Map(_) = value.node.kind else {
            let word = self.line(value, "a file")?;
            let mut dialects = candidates.iter().map(|one| one.config.dialect());
            let first = dialects.next();
            if dialects.any(|dialect| Some(dialect) != first) {
                let each: Vec<String> = names().map(|name| format!("{name}: …")).collect();
                self.problem(
                    word.span,
                    "the candidates are not of one dialect, so they cannot all load this",
                )
                .help(format!(
                    "name a file for each: `reload: {{ {} }}`",
                    each.join(", ")
                ));
                return None;
            }
            let files = ReloadFiles {
                first: self.path(word),
                of_each: Vec::new(),
            };
            return Some((word.text.to_owned(), files));
        };
        let mut of_each = Vec::new();
        let mut texts = Vec::new();
        for (name, value) in self.entries(value, "a map of files")? {
            if !names().any(|known| known == name.text) {
                let help = words::suggest(name.text, names());
                self.no_such(name, "candidate", help);
            }
            let word = self.line(value, "a file")?;
            texts.push(word.text);
            of_each.push((name.text.to_owned(), self.path(word)));
        }
        let Some((_, first)) = of_each.first().cloned() else {
            self.unexpected(value, "a file");
            return None;
        };
        let left_out = names().find(|name| !of_each.iter().any(|(known, _)| known == name));
        if let Some(name) = left_out {
            let message = format!("there is no file for the candidate {}", quote(name));
            self.problem(value.at, message);
        }
        Some((texts.join(", "), ReloadFiles { first, of_each }))
    }

    fn meanwhile(&mut self, value: Value<'_>, world: World<'_>) -> Option<SendDraft> {
        let Kind::Map(entries) = &value.node.kind else {
            self.unexpected(value, "a packet and its outcome")
                .help("write `meanwhile: { client -> server tcp/22: drop }`");
            return None;
        };
        let [only] = entries.as_slice() else {
            self.problem(value.at, "one packet is sent meanwhile");
            return None;
        };
        let key = only.key.word();
        let outcome = self.outcome(Value {
            node: &only.value,
            at: key.span,
        });
        let mut send = self.short_send(key, world)?;
        send.outcome = outcome?;
        let expectation = &send.outcome.expectation;
        let plain = expectation.by.is_none()
            && expectation.share.is_none()
            && expectation.also == Also::default()
            && !matches!(send.segment, Segment::Connect)
            && matches!(
                &expectation.verdict,
                ExpectedVerdict::Drop
                    | ExpectedVerdict::Accept(Looks {
                        source: None,
                        destination: None,
                        sport: None,
                        dport: None,
                        ttl: None,
                        dscp: None,
                        mss: None,
                        mark: None,
                    })
            );
        if !plain {
            self.problem(
                key.span,
                "what is sent meanwhile is one packet that passes or does not",
            )
            .help("expect `accept` or `drop`, without details");
            return None;
        }
        Some(send)
    }

    /// The families in which every step can be made.
    fn shared_families(
        &mut self,
        at: Span,
        steps: &[StepDraft],
        only: Option<(Family, Span)>,
    ) -> Option<Vec<Family>> {
        let mut families = vec![Family::Ipv4, Family::Ipv6];
        for step in steps {
            let send = match &step.action {
                Draft::Send(send) | Draft::Reload(_, Some(send)) => send,
                Draft::Wait(_) | Draft::Reload(_, None) => continue,
            };
            if let Some(ends) = &send.ends {
                families.retain(|family| ends.families.contains(family));
            }
            if let Some(probe) = &send.probe {
                families.retain(|family| probe.in_family(*family).is_some());
            }
            for (_, family, _) in &send.outcome.bound {
                families.retain(|known| known == family);
            }
            if let Segment::Error(icmp) = &send.segment {
                families.retain(|family| icmp.numbers(*family).is_some());
            }
        }
        if families.is_empty() {
            self.problem(at, "the steps of this test share no address family");
            return None;
        }
        let Some((only, at)) = only else {
            return Some(families);
        };
        if !families.contains(&only) {
            let message = format!("this test cannot be made with {}", family_name(only));
            self.problem(at, message)
                .label(format!("its steps share {}", family_names(&families)));
            return None;
        }
        Some(vec![only])
    }

    /// The steps in one family, with their connections.
    fn in_family(
        &mut self,
        drafts: &[StepDraft],
        family: Family,
        world: World<'_>,
    ) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut last: Option<Last> = None;
        for draft in drafts {
            let at = self.sources.location(draft.at);
            let send = match &draft.action {
                Draft::Wait(time) => {
                    steps.push(Step {
                        text: draft.text.clone(),
                        at,
                        action: Action::Wait(*time),
                    });
                    continue;
                }
                Draft::Reload(files, meanwhile) => {
                    let meanwhile = match meanwhile {
                        Some(send) => {
                            let ends = send.ends.as_ref()?;
                            let probe = send.probe.as_ref()?;
                            Some(send.finish([ends.from, ends.to], family, world, probe)?)
                        }
                        None => None,
                    };
                    steps.push(Step {
                        text: draft.text.clone(),
                        at,
                        action: Action::Reload(Box::new(Reload {
                            candidate: files.first.clone(),
                            of_each: files.of_each.clone(),
                            meanwhile,
                        })),
                    });
                    continue;
                }
                Draft::Send(send) => send,
            };
            let mut add = |text: String, send: Send| {
                steps.push(Step {
                    text,
                    at: at.clone(),
                    action: Action::Send(Box::new(send)),
                });
            };
            match (&send.ends, &send.segment) {
                (None, _) => {
                    let Some(answered) = &last else {
                        self.problem(draft.at, "there is no packet before this to answer");
                        return None;
                    };
                    let connection = Connection {
                        number: answered.connection,
                        reply: !answered.reply,
                    };
                    let of = &open[connection.number];
                    let answer = self.answer(send, of, connection, family, world);
                    add(
                        draft.text.clone(),
                        answer.or_else(|| self.no_answer(draft.at, of))?,
                    );
                    last = Some(Last {
                        connection: connection.number,
                        reply: connection.reply,
                    });
                }
                (Some(ends), segment) => {
                    let probe = send.probe.as_ref()?;
                    let number = connection_of(&open, ends, probe, send, last.as_ref());
                    let number = number.unwrap_or_else(|| {
                        open.push(Open {
                            number: open.len(),
                            from: ends.from,
                            to: ends.to,
                            probe: probe.clone(),
                        });
                        open.len() - 1
                    });
                    let of = &open[number];
                    debug_assert_eq!(of.number, number);
                    let mut sent = send.finish([ends.from, ends.to], family, world, probe)?;
                    let connection = |reply| Some(Connection { number, reply });
                    sent.connection = connection(false).filter(|_| send.repeat.is_none());
                    let accepted = matches!(sent.expect.verdict, ExpectedVerdict::Accept(_));
                    if matches!(segment, Segment::Connect) && accepted {
                        let mut back = sent.clone();
                        (back.from, back.to) = (sent.to, sent.from);
                        (back.source, back.destination) = (sent.destination, sent.source);
                        (back.user, back.mark) = (None, None);
                        back.connection = connection(true);
                        back.expect = Expectation::of(ExpectedVerdict::Accept(Looks::default()));
                        set_flags(&mut back.packet.transport, tcp_flag::SYN | tcp_flag::ACK);
                        let mut third = sent.clone();
                        set_flags(&mut third.packet.transport, tcp_flag::ACK);
                        third.expect = back.expect.clone();
                        let looks = match &sent.expect.verdict {
                            ExpectedVerdict::Accept(looks) => looks.clone(),
                            _ => Looks::default(),
                        };
                        third.expect.verdict =
                            ExpectedVerdict::Accept(Looks { mss: None, ..looks });
                        add(format!("{} (syn)", draft.text), sent);
                        add(format!("{} (syn-ack)", draft.text), back);
                        add(format!("{} (ack)", draft.text), third);
                    } else {
                        add(draft.text.clone(), sent);
                    }
                    last = Some(Last {
                        connection: number,
                        reply: false,
                    });
                }
            }
        }
        Some(steps)
    }

    fn no_answer(&mut self, at: Span, of: &Open) -> Option<Send> {
        self.problem(at, format!("{} has no answer of its own", of.probe.text))
            .help("say what comes back: `reply syn-ack`, `reply icmp/destination-unreachable/port-unreachable`");
        None
    }

    /// What answers a packet of this connection; `None` if its protocol has no answer of its own.
    fn answer(
        &self,
        send: &SendDraft,
        of: &Open,
        connection: Connection,
        family: Family,
        world: World<'_>,
    ) -> Option<Send> {
        let ends = match connection.reply {
            true => [of.to, of.from],
            false => [of.from, of.to],
        };
        let mut probe = of.probe.clone();
        let echo_reply = if family == Family::Ipv4 { 0 } else { 129 };
        match (&send.segment, &mut probe.packet.transport) {
            (Segment::Error(icmp), transport) => {
                let (kind, code) = icmp.numbers(family)?;
                *transport = Transport::Icmp(packet::Icmp {
                    kind,
                    code,
                    ..packet::Icmp::default()
                });
                probe.icmp = None;
            }
            (Segment::Own, Transport::Icmp(_)) => {
                let (kind, _) = probe.icmp.as_ref()?.numbers(family)?;
                if !matches!(kind, 8 | 128) {
                    return None;
                }
                probe.packet.transport = Transport::Icmp(packet::Icmp {
                    kind: echo_reply,
                    ..packet::Icmp::default()
                });
                probe.icmp = None;
            }
            (Segment::Own, Transport::Tcp(_)) => return None,
            (Segment::Tcp(..), Transport::Tcp(_)) | (Segment::Own, _) => {}
            (Segment::Tcp(..) | Segment::Connect, _) => return None,
        }
        let mut sent = send.finish(ends, family, world, &probe)?;
        sent.connection = Some(connection);
        Some(sent)
    }
}

/// The connection that a step goes on with; `None` if it begins one.
fn connection_of(
    open: &[Open],
    ends: &Ends,
    probe: &PacketDraft,
    send: &SendDraft,
    last: Option<&Last>,
) -> Option<usize> {
    if send.inside {
        return last.map(|last| last.connection);
    }
    let begins = match (&send.segment, &probe.packet.transport) {
        (Segment::Connect, _) | (Segment::Tcp(tcp_flag::SYN, _), _) => true,
        (Segment::Own, Transport::Tcp(tcp)) => tcp.flags == tcp_flag::SYN,
        _ => false,
    };
    let same = |open: &&Open| {
        (open.from, open.to) == (ends.from, ends.to) && same_service(&open.probe, probe)
    };
    open.iter()
        .rev()
        .find(same)
        .map(|open| open.number)
        .filter(|_| !begins)
}

/// Whether two packets may be of one connection.
fn same_service(one: &PacketDraft, other: &PacketDraft) -> bool {
    let port = |probe: &PacketDraft| match &probe.packet.transport {
        Transport::Tcp(tcp) => Some((true, tcp.dport)),
        Transport::Udp(udp) => Some((false, udp.dport)),
        _ => None,
    };
    match (port(one), port(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.text == other.text,
    }
}

fn segment_flags(segment: &Segment) -> Option<(u8, bool)> {
    match segment {
        Segment::Tcp(flags, data) => Some((*flags, *data)),
        Segment::Connect => Some((tcp_flag::SYN, false)),
        Segment::Own | Segment::Error(_) => None,
    }
}

fn set_flags(transport: &mut Transport, flags: u8) {
    if let Transport::Tcp(tcp) = transport {
        tcp.flags = flags;
    }
}

impl StepDraft {
    fn send(text: &str, at: Span, send: SendDraft) -> Self {
        Self {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            at,
            action: Draft::Send(Box::new(send)),
        }
    }
}

impl SendDraft {
    fn new(ends: Ends, segment: Segment) -> Self {
        Self {
            ends: Some(ends),
            ..Self::answer(segment, Outcome::accepted())
        }
    }

    fn answer(segment: Segment, outcome: Outcome) -> Self {
        Self {
            ends: None,
            probe: None,
            segment,
            inside: false,
            repeat: None,
            user: None,
            mark: None,
            payload: None,
            outcome,
        }
    }

    /// What is sent in this family.
    fn finish(
        &self,
        [from, to]: [Party; 2],
        family: Family,
        world: World<'_>,
        probe: &PacketDraft,
    ) -> Option<Send> {
        let mut packet = probe.in_family(family)?;
        let flags = segment_flags(&self.segment);
        if let (Some((flags, data)), Transport::Tcp(tcp)) = (flags, &mut packet.transport) {
            tcp.flags = flags;
            if data {
                tcp.payload = Payload::Size(DATA_BYTES);
            }
        }
        if let Some(payload) = &self.payload {
            packet.transport.set_payload(payload.clone());
        }
        Some(Send {
            from,
            to,
            source: packet.source.or_else(|| world.address(from, family))?,
            destination: packet.destination.or_else(|| world.address(to, family))?,
            packet,
            connection: None,
            repeat: self.repeat,
            user: self.user.clone(),
            mark: self.mark,
            expect: self.outcome.expectation.clone(),
        })
    }
}
