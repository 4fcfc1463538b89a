//! The shape of the format: every object, every key, and one sentence about each.
//!
//! The reader checks keys against these tables and the JSON Schema is generated from them, so that
//! neither can know a key that the other does not.

mod packet;
pub(in crate::scenario) mod schema;
pub(in crate::scenario) mod services;
pub(in crate::scenario) mod words;

use std::sync::LazyLock;

pub(in crate::scenario) use self::packet::*;
use crate::{
    dialect::{self, Dialect, Kind, layers},
    scenario::CtState,
};

/// A map with fixed keys.
#[derive(Debug)]
pub(in crate::scenario) struct Object {
    /// Its name in the JSON Schema.
    pub(in crate::scenario) name: &'static str,
    /// What people call it, with an article.
    pub(in crate::scenario) what: &'static str,
    pub(in crate::scenario) doc: &'static str,
    pub(in crate::scenario) keys: &'static [Key],
    /// Keys that are planned: not known yet, but no typing errors either.
    pub(in crate::scenario) planned: &'static [&'static str],
    /// Whether an included part may bring the required keys.
    pub(in crate::scenario) spread: bool,
}

/// A key of an [`Object`].
#[derive(Debug)]
pub(in crate::scenario) struct Key {
    pub(in crate::scenario) name: &'static str,
    pub(in crate::scenario) need: Need,
    pub(in crate::scenario) shape: Shape,
    pub(in crate::scenario) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Need {
    Required,
    Optional,
    /// Exactly one of the keys marked so.
    Either,
}

/// What a value looks like.
#[derive(Debug)]
pub(in crate::scenario) enum Shape {
    Text,
    Bool,
    Number(u32, u32),
    /// A string or a number.
    Scalar,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// One of these words.
    Words(&'static [&'static str]),
    /// `reject KIND` as one text.
    RejectText,
    /// A text that matches this pattern.
    Pattern(&'static str),
    /// The same, where YAML may take the text for a number.
    Digits(&'static str),
    /// A list of this.
    List(&'static Shape),
    /// This, or a list of it.
    OneOrMore(&'static Shape),
    /// A map whose keys match this pattern.
    Map(&'static str, &'static Shape),
    Object(&'static Object),
    /// The map of a dialect.
    Dialect(&'static Dialect),
    /// An object that is made of the table of dialects.
    Made(fn() -> &'static Object),
    AnyOf(&'static [Shape]),
    /// `FROM -> TO SERVICE: OUTCOME`.
    ShortTest(&'static Shape),
    /// `reply SEGMENT: OUTCOME`.
    ShortReply(&'static Shape),
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        need: Need::Required,
        shape,
        doc,
    }
}

const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        need: Need::Optional,
        shape,
        doc,
    }
}

const fn either(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        need: Need::Either,
        shape,
        doc,
    }
}

/// A host's name.
pub(in crate::scenario) const NAME_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_.-]*$";
const PARTY: Shape = Shape::Pattern("^(firewall(@[^/:\\s]+)?|[A-Za-z_][A-Za-z0-9_.-]*)$");
const SERVICE: Shape = Shape::Pattern(
    "^([a-z][a-z0-9-]*|(tcp|udp|sctp|udplite)/[a-z0-9-]+(,[a-z0-9-]+)*|icmp(v4|v6)?/[a-z0-9-]+(/[a-z0-9-]+)?|proto/[0-9]+)(\\s+[a-z-]+)?$",
);
const ADDRESS: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+$");
const PREFIX: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+/[0-9]+$");
const PORT: Shape = Shape::Number(1, 65535);
// A static, because an outcome may have another inside (`otherwise`).
static OUTCOMES: [Shape; 3] = [
    Shape::Word(outcomes),
    Shape::RejectText,
    Shape::Object(&EXPECT),
];
const OUTCOME: Shape = Shape::AnyOf(&OUTCOMES);
const BY: &str = "Who should decide: a rule by its comment, by a part of its text as nft lists it or as its file has it, or by its line (`app-server.nft:41`; the end of the path is enough); `policy`; or `chain NAME` for any rule of a chain and its policy.";

fn outcomes() -> Vec<&'static str> {
    vec!["accept", "drop", "reject"]
}

fn families() -> Vec<&'static str> {
    vec!["ipv4", "ipv6"]
}

/// The whole file.
pub(in crate::scenario) static SCENARIO: Object = Object {
    name: "scenario",
    what: "the scenario",
    doc: "A firewall, the hosts around it, and what should happen to the packets between them.",
    keys: &[
        optional(
            "name",
            Shape::Text,
            "The scenario in a few words; its path when not given.",
        ),
        optional(
            "purpose",
            Shape::Text,
            "Why the scenario exists: the requirement, the incident, the policy it stands for.",
        ),
        optional(
            "tags",
            Shape::OneOrMore(&Shape::Text),
            "Words by which scenarios can be selected.",
        ),
        optional(
            "include",
            Shape::OneOrMore(&Shape::Text),
            "Shared parts to take in, relative to this file; what this file says itself wins.",
        ),
        optional(
            "sandbox",
            Shape::Object(&SANDBOX),
            "Where the firewall stands; on this machine, with its programs, when not given.",
        ),
        required(
            "firewall",
            Shape::Made(|| &FIREWALL),
            "The machine under test: its configuration, interfaces, routes and settings.",
        ),
        required(
            "hosts",
            Shape::Map(NAME_PATTERN, &Shape::Object(&HOST)),
            "Who sends and receives, by name.",
        ),
        required(
            "tests",
            Shape::List(&Shape::AnyOf(&[
                Shape::ShortTest(&OUTCOME),
                Shape::Object(&TEST),
                Shape::Object(&MATRIX),
                Shape::Object(&CONVERSATION),
                Shape::Object(&SWEEP),
            ])),
            "What should happen, one expectation each; a test runs once for every address family that both ends have.",
        ),
    ],
    planned: &[],
    spread: true,
};

static INTERFACE_OR_ADDRESSES: Shape =
    Shape::AnyOf(&[Shape::OneOrMore(&PREFIX), Shape::Object(&INTERFACE)]);

/// `sandbox:`.
pub(in crate::scenario) static SANDBOX: Object = Object {
    name: "sandbox",
    what: "the sandbox",
    doc: "Whose programs load the configuration.",
    keys: &[required(
        "docker",
        Shape::Object(&DOCKER),
        "A disposable container, with the programs of an image.",
    )],
    planned: &[],
    spread: true,
};

/// `docker:`.
pub(in crate::scenario) static DOCKER: Object = Object {
    name: "docker",
    what: "the container",
    doc: "What the container is made from.",
    keys: &[
        either(
            "image",
            Shape::Text,
            "An image of the container engine, or of a registry: `debian:12`.",
        ),
        either(
            "dockerfile",
            Shape::Text,
            "A folder with a `Dockerfile`, or such a file, relative to this file; built when it is needed.",
        ),
        optional(
            "base",
            Shape::Text,
            "What the Dockerfile builds upon, for those that have `ARG BASE`: `debian:13`.",
        ),
    ],
    planned: &[],
    spread: true,
};

/// `firewall:`.
pub(in crate::scenario) static FIREWALL: LazyLock<Object> = LazyLock::new(|| {
    Object {
    name: "firewall",
    what: "the firewall",
    doc: "The machine under test.",
    keys: kept(dialect_keys(Need::Either).chain([
        either(
            "candidates",
            Shape::Map(NAME_PATTERN, &CANDIDATE_SHAPE),
            "Several configurations under test, by name: every test is made against each, and reports say where they differ.",
        ),
        optional(
            "layers",
            Shape::OneOrMore(&Shape::AnyOf(&[Shape::Word(layer_words), Shape::Made(|| &LAYER)])),
            "Several configurations, loaded in this order, one on top of the other: `candidate` is the one under test, other words are layers that come with firedrill, and a map is another configuration of yours.",
        ),
        optional(
            "files",
            Shape::Map("^/", &Shape::Text),
            "Further files that the configuration needs: absolute path in the sandbox to a file or folder, relative to this file.",
        ),
        required(
            "interfaces",
            Shape::Map(
                "^[^/:\\s]{1,15}$",
                &INTERFACE_OR_ADDRESSES,
            ),
            "The interfaces as the ruleset names them, each with its addresses (`192.0.2.10/24`), or with what it is a VLAN of.",
        ),
        optional(
            "forwarding",
            Shape::Bool,
            "Whether the kernel forwards packets between interfaces; true when not given.",
        ),
        optional(
            "routes",
            Shape::OneOrMore(&Shape::Pattern("^\\S+\\s+via\\s+\\S+$")),
            "Routes beyond the interfaces' own networks: `default via 192.0.2.1`, `10.9.0.0/16 via 10.0.0.2`.",
        ),
        optional(
            "sysctl",
            Shape::Map("^net\\.[a-zA-Z0-9_./-]+$", &Shape::Scalar),
            "Kernel settings below `net.`, set before the ruleset is loaded.",
        ),
    ])),
    planned: &["marks", "zones"],
    spread: true,
}
});

static CANDIDATE_SHAPE: Shape = Shape::Made(|| &CANDIDATE);

/// One of `candidates:`.
pub(in crate::scenario) static CANDIDATE: LazyLock<Object> = LazyLock::new(|| Object {
    name: "candidate",
    what: "the candidate",
    doc: "A configuration under test, in any dialect.",
    keys: kept(dialect_keys(Need::Either)),
    planned: &[],
    spread: false,
});

/// An item of `layers:` that is a map.
pub(in crate::scenario) static LAYER: LazyLock<Object> = LazyLock::new(|| Object {
    name: "layer",
    what: "the layer",
    doc: "A configuration beside the one under test.",
    keys: kept(dialect_keys(Need::Either).chain([required(
        "name",
        Shape::Text,
        "What reports call it.",
    )])),
    planned: &[],
    spread: false,
});

/// The map of a dialect.
pub(in crate::scenario) fn dialect(dialect: &'static Dialect) -> &'static Object {
    static OBJECTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
        let of = |dialect: &&'static Dialect| Object {
            name: dialect.key,
            what: dialect.key,
            doc: dialect.doc,
            keys: kept(dialect.slots.iter().map(|slot| {
                let shape = match slot.kind {
                    Kind::File | Kind::Folder => Shape::Text,
                    Kind::Word(words) => Shape::Words(words),
                    Kind::Lines => Shape::OneOrMore(&Shape::Text),
                };
                let need = match slot.need {
                    dialect::Need::Required => Need::Required,
                    // That one of several is there is for the reader to see.
                    dialect::Need::Any | dialect::Need::Optional => Need::Optional,
                };
                Key {
                    name: slot.name,
                    need,
                    shape,
                    doc: slot.doc,
                }
            })),
            planned: &[],
            spread: false,
        };
        dialect::ALL.iter().map(of).collect()
    });
    let index = dialect::ALL.iter().position(|other| *other == dialect);
    // Every dialect is in the table.
    &OBJECTS[index.unwrap_or(0)]
}

/// The key of every dialect.
fn dialect_keys(need: Need) -> impl Iterator<Item = Key> {
    dialect::ALL.iter().map(move |each| Key {
        name: each.key,
        need,
        shape: match each.slots {
            [_] => Shape::Text,
            _ => {
                let text = match each.main().kind {
                    Kind::File | Kind::Folder | Kind::Word(_) => Shape::Text,
                    Kind::Lines => Shape::OneOrMore(&Shape::Text),
                };
                Shape::AnyOf(kept([text, Shape::Dialect(each)]))
            }
        },
        doc: each.doc,
    })
}

fn layer_words() -> Vec<&'static str> {
    let shipped = layers::ALL.iter().map(|layer| layer.name);
    std::iter::once(dialect::CANDIDATE).chain(shipped).collect()
}

/// A table that is made once and lives as long as the program.
fn kept<T>(items: impl IntoIterator<Item = T>) -> &'static [T] {
    Vec::leak(items.into_iter().collect())
}

/// An interface with more than addresses.
pub(in crate::scenario) static INTERFACE: Object = Object {
    name: "interface",
    what: "the interface",
    doc: "An interface that is more than a device with addresses.",
    keys: &[
        optional(
            "address",
            Shape::OneOrMore(&PREFIX),
            "Its address or addresses with prefix lengths.",
        ),
        optional(
            "vlan",
            Shape::Object(&VLAN),
            "The VLAN that it is, and of which interface.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `vlan:` of an interface.
pub(in crate::scenario) static VLAN: Object = Object {
    name: "vlan",
    what: "the VLAN",
    doc: "A VLAN of another interface.",
    keys: &[
        required(
            "on",
            Shape::Text,
            "The interface below, which stands before this one.",
        ),
        required("id", Shape::Number(1, 4094), "The number of the VLAN."),
        optional(
            "service",
            Shape::Bool,
            "With service tags (802.1ad), for VLANs in VLANs.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// A host.
pub(in crate::scenario) static HOST: Object = Object {
    name: "host",
    what: "the host",
    doc: "A machine that sends to the firewall or receives through it.",
    keys: &[
        required(
            "behind",
            Shape::Text,
            "The firewall's interface that the host is reached through.",
        ),
        required(
            "address",
            Shape::OneOrMore(&ADDRESS),
            "Its IPv4 address, its IPv6 address, or a list of both; need not be in the interface's network.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// The long form of a test.
pub(in crate::scenario) static TEST: Object = Object {
    name: "test",
    what: "the test",
    doc: "The long form of a test: everything the short form can say, and all of a packet.",
    keys: &[
        optional(
            "name",
            Shape::Text,
            "The test in a few words; `FROM -> TO SERVICE` when not given.",
        ),
        required(
            "from",
            PARTY,
            "Who sends: a host, `firewall`, or `firewall@INTERFACE` for its address there.",
        ),
        required(
            "to",
            PARTY,
            "Who should receive: a host, `firewall`, or `firewall@INTERFACE`.",
        ),
        either(
            "service",
            Shape::OneOrMore(&SERVICE),
            "What is sent: `tcp/80,443`, `udp/domain`, `ssh`, `tcp/443 xmas`, `icmp/echo-request`, `gre`, `proto/89`, or `any` for a fixed sample (tcp/22, tcp/80, tcp/443, tcp/50000, udp/53, udp/50000, icmp/echo-request).",
        ),
        either(
            "packet",
            Shape::Object(&PACKET),
            "What is sent, header field by header field.",
        ),
        optional(
            "family",
            Shape::Word(families),
            "Tests only this address family.",
        ),
        optional("repeat", REPEAT_SHAPE, REPEAT_DOC),
        optional("as", Shape::Scalar, AS_DOC),
        optional("mark", Shape::Scalar, MARK_DOC),
        required("expect", OUTCOME, "What the firewall should do with it."),
    ],
    planned: &[],
    spread: false,
};

/// A test that goes through every port.
pub(in crate::scenario) static SWEEP: Object = Object {
    name: "sweep",
    what: "the sweep",
    doc: "A test that goes through all 65,535 ports of TCP and of UDP, and says which of them are open and no other.",
    keys: &[
        optional(
            "name",
            Shape::Text,
            "The test in a few words; `FROM -> TO only-open` when not given.",
        ),
        required(
            "from",
            PARTY,
            "Who sends: a host, `firewall`, or `firewall@INTERFACE` for its address there.",
        ),
        required(
            "to",
            PARTY,
            "Who should receive: a host, `firewall`, or `firewall@INTERFACE`.",
        ),
        optional(
            "family",
            Shape::Word(families),
            "Tests only this address family.",
        ),
        required(
            "only-open",
            Shape::Object(&ONLY_OPEN),
            "What is open; everything else is closed.",
        ),
    ],
    planned: &[],
    spread: false,
};

const OPEN_PORTS: Shape = Shape::OneOrMore(&Shape::Scalar);

/// `only-open:`.
pub(in crate::scenario) static ONLY_OPEN: Object = Object {
    name: "only-open",
    what: "what is open",
    doc: "What is open, protocol by protocol: numbers, ranges (`8000-8010`) and names; `any` where it does not matter.",
    keys: &[
        optional(
            "tcp",
            OPEN_PORTS,
            "The open TCP ports: `[80, 443, 8000-8010]`; none when not given.",
        ),
        optional(
            "udp",
            OPEN_PORTS,
            "The open UDP ports; none when not given.",
        ),
        optional(
            "protocols",
            OPEN_PORTS,
            "The other IP protocols that pass: `[gre, esp, 89]`; not looked at when not given.",
        ),
        optional(
            "icmp",
            OPEN_PORTS,
            "The ICMP types that pass: `[echo-request]`; not looked at when not given.",
        ),
        optional(
            "among",
            OPEN_PORTS,
            "The ports of TCP and UDP that are looked at: `1-1023`; all when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// A test of every sender to every receiver.
pub(in crate::scenario) static MATRIX: Object = Object {
    name: "matrix",
    what: "the matrix",
    doc: "A test of every sender to every receiver with every service: one outcome for all of them, and exceptions. A pair whose packets do not meet the firewall has no cells.",
    keys: &[
        optional(
            "name",
            Shape::Text,
            "The matrix in a few words; its cells are called `NAME: FROM -> TO SERVICE`.",
        ),
        required(
            "from",
            Shape::OneOrMore(&PARTY),
            "Who sends: hosts, `firewall`.",
        ),
        required(
            "to",
            Shape::OneOrMore(&PARTY),
            "Who should receive: hosts, `firewall`.",
        ),
        required(
            "service",
            Shape::OneOrMore(&SERVICE),
            "What each sends to each: services as in any other test.",
        ),
        optional(
            "family",
            Shape::Word(families),
            "Tests only this address family.",
        ),
        required(
            "expect",
            OUTCOME,
            "What the firewall should do with everything that is no exception.",
        ),
        optional(
            "except",
            Shape::Map("^[^>]+->\\s*[^\\s,]+(,\\s+[^\\s,]+)*\\s+\\S.*$", &OUTCOME),
            "The exceptions: `lan, dmz -> internet dns, tcp/443: accept`. `any` means all senders, receivers or services of the matrix.",
        ),
    ],
    planned: &[],
    spread: false,
};

const REPEAT_SHAPE: Shape = Shape::AnyOf(&[Shape::Number(2, 65535), Shape::Object(&REPEAT)]);
const REPEAT_DOC: &str = "Sends the packet so many times, each time as one of its own: `20`, or `{ count: 20, within: 1s }` at an even pace.";
const AS_DOC: &str =
    "The user whose socket sends it, by name or number; only from the firewall itself.";
const MARK_DOC: &str =
    "The mark that the sending socket gives it (`SO_MARK`); only from the firewall itself.";
const TIME: Shape = Shape::Pattern("^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$");
const COUNT: Shape = Shape::Digits("^[0-9]+(\\.\\.[0-9]+)?$");

/// `repeat:`.
pub(in crate::scenario) static REPEAT: Object = Object {
    name: "repeat",
    what: "the repetition",
    doc: "How often a packet is sent, and how fast.",
    keys: &[
        required("count", Shape::Number(2, 65535), "How many times."),
        optional(
            "within",
            TIME,
            "Evenly spread over this time (`1s`, `500ms`); without a pause when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// A test of several steps.
pub(in crate::scenario) static CONVERSATION: Object = Object {
    name: "conversation",
    what: "the conversation",
    doc: "A test of several steps that share what the firewall remembers; it passes if every step does.",
    keys: &[
        optional(
            "name",
            Shape::Text,
            "The test in a few words; its first step when not given.",
        ),
        optional(
            "family",
            Shape::Word(families),
            "Tests only this address family.",
        ),
        required(
            "steps",
            Shape::List(&Shape::AnyOf(&[
                Shape::ShortTest(&OUTCOME),
                Shape::ShortReply(&OUTCOME),
                Shape::Object(&STEP),
            ])),
            "What happens, in this order.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// The long form of a step.
pub(in crate::scenario) static STEP: Object = Object {
    name: "step",
    what: "the step",
    doc: "One step of a conversation: a packet (`from`, `to`, and `service` or `packet`), an answer to the packet before (`reply`), a pause (`wait`), or another configuration (`reload`).",
    keys: &[
        optional(
            "from",
            PARTY,
            "Who sends: a host, `firewall`, or `firewall@INTERFACE`.",
        ),
        optional("to", PARTY, "Who should receive."),
        optional(
            "service",
            Shape::Text,
            "What is sent, and for TCP which segment: `tcp/22`, `tcp/22 ack`, `tcp/22 connect`, `udp/53`, `icmp/echo-request`.",
        ),
        optional(
            "packet",
            Shape::Object(&PACKET),
            "What is sent, header field by header field.",
        ),
        optional(
            "reply",
            Shape::AnyOf(&[Shape::Text, Shape::Bool]),
            "Answers the packet of the step before, from where and as what it arrived: a segment (`syn-ack`, `ack`, `data`, `fin`, `rst`), an ICMP error (`icmp/port-unreachable`), or `true` for what the protocol answers.",
        ),
        optional(
            "inside",
            Shape::Bool,
            "Takes the ports and sequence numbers of the connection before, as somebody who slips in would.",
        ),
        optional("repeat", REPEAT_SHAPE, REPEAT_DOC),
        optional("as", Shape::Scalar, AS_DOC),
        optional("mark", Shape::Scalar, MARK_DOC),
        optional(
            "payload",
            PAYLOAD,
            "What the packet of a `service` or a `reply` carries: a text, `hex:` and digits, or `{ size: BYTES }`.",
        ),
        optional("wait", TIME, "Lets time pass: `2s`, `500ms`."),
        optional(
            "reload",
            Shape::AnyOf(&[Shape::Text, Shape::Map(NAME_PATTERN, &Shape::Text)]),
            "Loads another configuration of the same dialect over the present one: a file, relative to this one; with `candidates`, a file for each by its name.",
        ),
        optional(
            "meanwhile",
            Shape::ShortTest(&OUTCOME),
            "With `reload`: a packet that is sent again and again while it is loaded, and what should become of every one.",
        ),
        optional(
            "expect",
            OUTCOME,
            "What the firewall should do with the packet.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `expect:` as a map.
pub(in crate::scenario) static EXPECT: Object = Object {
    name: "expect",
    what: "the outcome",
    doc: "What the firewall should do with a packet, exactly one of three, with details. A number or a range (`3..6`) instead of details: so many of a repeated packet.",
    keys: &[
        either(
            "accept",
            Shape::AnyOf(&[COUNT, Shape::Object(&ACCEPT)]),
            "The packet comes out on the other side of the firewall, or arrives at the firewall itself.",
        ),
        either(
            "drop",
            Shape::AnyOf(&[COUNT, Shape::Object(&DROP)]),
            "Nothing comes out and nothing comes back.",
        ),
        either(
            "reject",
            Shape::AnyOf(&[
                Shape::Word(words::reject_words),
                COUNT,
                Shape::Object(&REJECT),
            ]),
            "A rule answers with an error, of this kind if one is given.",
        ),
        optional(
            "otherwise",
            Shape::AnyOf(&OUTCOMES),
            "What should become of the rest of a repeated packet; anything when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

const STATE: Key = optional(
    "state",
    Shape::Word(states),
    "What connection tracking makes of the packet. Asking switches connection tracking on.",
);
static LOGS: [Shape; 2] = [Shape::Text, Shape::Object(&LOG_RECORD)];
const LOG: Key = optional(
    "log",
    Shape::AnyOf(&LOGS),
    "A rule on its way logs it with this prefix.",
);
const COUNTER: Key = optional(
    "counter",
    Shape::Map("", &Shape::Number(0, 65535)),
    "By how many packets named counters grow: `{ ssh: 1 }`.",
);
const IN_SET: Key = optional(
    "in-set",
    Shape::Map("", &Shape::OneOrMore(&Shape::Scalar)),
    "Elements that sets have afterwards: `{ blocked: 198.51.100.7 }`.",
);
const NOT_IN_SET: Key = optional(
    "not-in-set",
    Shape::Map("", &Shape::OneOrMore(&Shape::Scalar)),
    "Elements that sets do not have afterwards.",
);
const SHARE: Key = optional(
    "count",
    COUNT,
    "So many of a repeated packet: `3`, `3..6`; all of them when not given.",
);

fn states() -> Vec<&'static str> {
    CtState::ALL.map(CtState::word).to_vec()
}

/// `log:` as a map.
pub(in crate::scenario) static LOG_RECORD: Object = Object {
    name: "log",
    what: "the record",
    doc: "A record of the log.",
    keys: &[
        required("prefix", Shape::Text, "What it begins with."),
        optional(
            "group",
            Shape::Number(0, 65535),
            "The group that must be told (`log group N`), as a logging daemon would be.",
        ),
    ],
    planned: &[],
    spread: false,
};

const PREFIX_OR_ADDRESS: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+(/[0-9]+)?$");
const PORTS: Shape = Shape::Digits("^[0-9]+(-[0-9]+)?$");

/// `accept:` as a map.
pub(in crate::scenario) static ACCEPT: Object = Object {
    name: "accept",
    what: "the outcome",
    doc: "Details of an accepted packet.",
    keys: &[
        optional(
            "source",
            PREFIX_OR_ADDRESS,
            "The source address that the packet should then have (SNAT, masquerade), or the prefix it should be in.",
        ),
        optional(
            "destination",
            PREFIX_OR_ADDRESS,
            "The destination address that the packet should then have (DNAT), or the prefix it should be in.",
        ),
        optional(
            "sport",
            PORTS,
            "The source port that it should then have, or a range.",
        ),
        optional(
            "dport",
            PORTS,
            "The destination port that it should then have, or a range.",
        ),
        optional(
            "ttl",
            Shape::Number(0, 255),
            "The time to live or hop limit that it should then have.",
        ),
        optional(
            "dscp",
            Shape::Number(0, 63),
            "The differentiated services code point that it should then have.",
        ),
        optional(
            "mss",
            Shape::Number(0, 65535),
            "The maximum segment size that it should then announce.",
        ),
        optional(
            "mark",
            Shape::Scalar,
            "The packet mark that it should have behind the last rule: `7`, `0x10`.",
        ),
        optional("by", Shape::Text, BY),
        STATE,
        LOG,
        COUNTER,
        IN_SET,
        NOT_IN_SET,
        SHARE,
    ],
    planned: &[],
    spread: false,
};

/// `drop:` as a map.
pub(in crate::scenario) static DROP: Object = Object {
    name: "drop",
    what: "the outcome",
    doc: "Details of a dropped packet.",
    keys: &[
        optional("by", Shape::Text, BY),
        STATE,
        LOG,
        COUNTER,
        IN_SET,
        NOT_IN_SET,
        SHARE,
    ],
    planned: &[],
    spread: false,
};

/// `reject:` as a map.
pub(in crate::scenario) static REJECT: Object = Object {
    name: "reject",
    what: "the outcome",
    doc: "Details of a rejected packet.",
    keys: &[
        optional(
            "kind",
            Shape::Word(words::reject_words),
            "The error that comes back; any when not given.",
        ),
        optional("by", Shape::Text, BY),
        STATE,
        LOG,
        COUNTER,
        IN_SET,
        NOT_IN_SET,
        SHARE,
    ],
    planned: &[],
    spread: false,
};

impl Object {
    pub(in crate::scenario) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(in crate::scenario) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    /// The keys of which exactly one must be there.
    pub(in crate::scenario) fn either(&self) -> Vec<&'static str> {
        let keys = self.keys.iter();
        keys.filter(|key| key.need == Need::Either)
            .map(|key| key.name)
            .collect()
    }
}
