//! The way of a packet, for people and for programs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    json::{JsonRule, of_policy, of_rule},
    read::{self, RuleOf},
};
use crate::{
    ruleset::{
        chain::{Base, Chain},
        origin::Origin,
    },
    trace::{
        decider::Decider,
        walk::{Beside, Did, Headers, Lookup, Met, Passage, Stop, Walk},
    },
};

/// The lines that tell a way; `before` are the headers of the packet as it was sent.
#[must_use]
pub fn lines(passages: &[Passage], before: Option<Headers>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut last = before;
    for passage in passages {
        let changes = last.zip(passage.headers);
        let changes = changes.map(|(last, now)| now.changes(&last));
        lines.extend(
            changes
                .into_iter()
                .flatten()
                .map(|change| format!("now {change}")),
        );
        last = passage.headers.or(last);
        lines.push(head(passage));
        stops_lines(&passage.stops, &mut lines);
        if passage.stops.is_empty() {
            lines.push("  the trace shows nothing of it".to_owned());
        }
    }
    lines
}

/// `input: chain inet filter input, priority 0`.
fn head(passage: &Passage) -> String {
    let chain = &passage.chain;
    let Some(base) = &passage.base else {
        return format!("chain {chain}");
    };
    let mut text = format!("{}: chain {chain}", base.hook);
    if base.kind != "filter" {
        text += &format!(", type {}", base.kind);
    }
    if let Some(priority) = base.priority {
        text += &format!(", priority {priority}");
    }
    text
}

/// The lines of what a packet met. Jumps into chains in which nothing matched are told together: some
/// programs make hundreds of such chains.
fn stops_lines(stops: &[Stop], lines: &mut Vec<String>) {
    let (mut at, mut quiet) = (0, 0);
    while let Some(stop) = stops.get(at) {
        if let Some(length) = quiet_jump(&stops[at..]) {
            quiet += 1;
            at += length;
            let goes_on = quiet_jump(&stops[at..]).is_some()
                && stops.get(at).is_some_and(|next| next.depth == stop.depth);
            if !goes_on {
                let chains = if quiet == 1 {
                    "a chain"
                } else {
                    &format!("{quiet} chains")
                };
                let indent = "  ".repeat(stop.depth + 1);
                lines.push(format!(
                    "{indent}(into {chains} and back: nothing matched there)"
                ));
                quiet = 0;
            }
            continue;
        }
        stop_lines(stop, lines);
        at += 1;
    }
}

/// How many of these stops are a jump at the start into a chain in which nothing matched, and the way back
/// from there.
fn quiet_jump(stops: &[Stop]) -> Option<usize> {
    let (jump, rest) = stops.split_first()?;
    let says_something = |stop: &Stop| {
        stop.beside
            .iter()
            .any(|beside| self::beside(beside).is_some())
    };
    if !matches!(jump.did, Did::Jump(_)) || says_something(jump) {
        return None;
    }
    let inside = rest.iter().take_while(|stop| stop.depth > jump.depth);
    let inside = &rest[..inside.count()];
    // It must come back.
    rest.get(inside.len())?;
    let quiet = inside.iter().all(|stop| match (&stop.met, &stop.did) {
        (Met::End(_), _) => true,
        (Met::Rule(_), Did::Jump(_)) => !says_something(stop),
        (Met::Rule(_) | Met::Policy(_), _) => false,
    });
    quiet.then_some(inside.len() + 1)
}

fn stop_lines(stop: &Stop, lines: &mut Vec<String>) {
    let indent = "  ".repeat(stop.depth + 1);
    let origin = match &stop.met {
        Met::Rule(rule) => rule.origin.as_ref(),
        Met::Policy(policy) => policy.origin.as_ref(),
        Met::End(_) => None,
    };
    let place = match origin {
        Some(Origin::Known(line)) => format!("{line}  "),
        Some(Origin::Unknown(_)) | None => String::new(),
    };
    let what = match (&stop.met, origin) {
        (Met::End(chain), _) => format!("end of chain {}", chain.name),
        (Met::Policy(_), Some(Origin::Known(line))) if line.implied => {
            "policy, implied: none is written".to_owned()
        }
        (Met::Policy(_), _) => "policy".to_owned(),
        (Met::Rule(_), Some(Origin::Known(line))) => line.text.clone(),
        (Met::Rule(rule), _) => match &rule.text {
            Some(text) => text.clone(),
            None => format!("the rule with handle {}", rule.handle),
        },
    };
    let doubt = match origin {
        Some(Origin::Unknown(_)) => "  (its line is not known)",
        Some(Origin::Known(_)) | None => "",
    };
    lines.push(format!("{indent}{place}{what}{doubt}{}", did(&stop.did)));
    let mut more = |text: String| lines.push(format!("{indent}    {text}"));
    if let Some(Origin::Known(line)) = origin
        && let Met::Rule(rule) = &stop.met
        && let Some(text) = rule.text.as_deref()
        && !line.text.split_whitespace().eq(text.split_whitespace())
    {
        more(format!("in the kernel: {text}"));
    }
    stop.lookups.iter().filter_map(lookup).for_each(&mut more);
    stop.beside.iter().filter_map(beside).for_each(&mut more);
}

fn did(did: &Did) -> String {
    match did {
        Did::Continue => String::new(),
        Did::Accept | Did::Drop | Did::Return => format!("  => {}", did.word()),
        Did::Jump(chain) | Did::Goto(chain) => format!("  => {} {chain}", did.word()),
        Did::Queue => "  => handed to a queue".to_owned(),
        Did::Stolen => "  => handed to another part of the kernel".to_owned(),
        Did::Unknown => "  => something unknown".to_owned(),
    }
}

fn lookup(lookup: &Lookup) -> Option<String> {
    let set = if lookup.set.starts_with('{') {
        "its set"
    } else {
        &lookup.set
    };
    let value = lookup.value.as_deref()?;
    let key = &lookup.key;
    Some(match (&lookup.element, lookup.absent) {
        (_, true) => format!("{key}: {value} is not in {set}"),
        (Some(element), false) if element.trim_matches('"') == value => {
            format!("{key}: {value} is in {set}")
        }
        (Some(element), false) => format!("{key}: {value} is in {set}, as {element}"),
        (None, false) => format!("{key}: {value} is in {set}"),
    })
}

fn beside(beside: &Beside) -> Option<String> {
    match beside {
        Beside::Counted(None) => None,
        Beside::Counted(Some(name)) => Some(format!("counted by {name}")),
        Beside::Logged(prefix) if prefix.is_empty() => Some("logged".to_owned()),
        Beside::Logged(prefix) => Some(format!("logged as \"{prefix}\"")),
        Beside::Marked(mark) => Some(format!("its mark is now {mark:#x}")),
    }
}

/// As [`Walk`].
#[derive(Serialize)]
pub(super) struct JsonWalk<'a> {
    passages: Vec<JsonPassage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<JsonPassage<'a>>,
}

#[derive(Serialize)]
struct JsonPassage<'a> {
    family: &'a str,
    table: &'a str,
    chain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<JsonHeaders>,
    stops: Vec<JsonStop<'a>>,
}

#[derive(Serialize, Deserialize)]
struct JsonHeaders {
    source: IpAddr,
    destination: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
    ttl: u8,
    dscp: u8,
}

#[derive(Serialize)]
struct JsonStop<'a> {
    depth: usize,
    /// A rule or a policy; none at the end of a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<JsonRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_of: Option<&'a str>,
    did: &'static str,
    /// Where a jump or goto leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookups: Vec<JsonLookup<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logged: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    counters: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
}

#[derive(Serialize)]
struct JsonLookup<'a> {
    key: &'a str,
    value: Option<&'a str>,
    set: &'a str,
    absent: bool,
    element: Option<&'a str>,
}

impl<'a> JsonWalk<'a> {
    pub(super) fn of(walk: &'a Walk) -> Self {
        Self {
            passages: walk.passages.iter().map(passage).collect(),
            error: walk.error.iter().map(passage).collect(),
        }
    }
}

fn passage(passage: &Passage) -> JsonPassage<'_> {
    let Chain {
        family,
        table,
        name,
    } = &passage.chain;
    let base = passage.base.as_ref();
    JsonPassage {
        family,
        table,
        chain: name,
        hook: base.map(|base| &*base.hook),
        kind: base.map(|base| &*base.kind),
        priority: base.and_then(|base| base.priority),
        layer: passage.layer.as_deref(),
        packet: passage.headers.map(|headers| {
            let (sport, dport) = headers.ports.unzip();
            JsonHeaders {
                source: headers.source,
                destination: headers.destination,
                sport,
                dport,
                ttl: headers.ttl,
                dscp: headers.dscp,
            }
        }),
        stops: passage.stops.iter().map(stop).collect(),
    }
}

fn stop(stop: &Stop) -> JsonStop<'_> {
    let mut json = JsonStop {
        depth: stop.depth,
        rule: None,
        end_of: None,
        did: stop.did.word(),
        to: None,
        lookups: stop
            .lookups
            .iter()
            .map(|lookup| JsonLookup {
                key: &lookup.key,
                value: lookup.value.as_deref(),
                set: &lookup.set,
                absent: lookup.absent,
                element: lookup.element.as_deref(),
            })
            .collect(),
        logged: Vec::new(),
        counters: Vec::new(),
        mark: None,
    };
    match &stop.met {
        Met::Rule(rule) => json.rule = Some(of_rule(rule)),
        Met::Policy(policy) => json.rule = Some(of_policy(policy)),
        Met::End(chain) => json.end_of = Some(&chain.name),
    }
    if let Did::Jump(chain) | Did::Goto(chain) = &stop.did {
        json.to = Some(chain);
    }
    for beside in &stop.beside {
        match beside {
            Beside::Counted(name) => json.counters.push(name.as_deref().unwrap_or_default()),
            Beside::Logged(prefix) => json.logged.push(prefix),
            Beside::Marked(mark) => json.mark = Some(*mark),
        }
    }
    json
}

/// A way as a report has it.
#[derive(Deserialize)]
pub(super) struct WalkOf {
    passages: Vec<PassageOf>,
    #[serde(default)]
    error: Vec<PassageOf>,
}

#[derive(Deserialize)]
struct PassageOf {
    family: String,
    table: String,
    chain: String,
    hook: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    priority: Option<i32>,
    layer: Option<String>,
    packet: Option<JsonHeaders>,
    stops: Vec<StopOf>,
}

#[derive(Deserialize)]
struct StopOf {
    depth: usize,
    rule: Option<RuleOf>,
    end_of: Option<String>,
    did: String,
    to: Option<String>,
    #[serde(default)]
    lookups: Vec<LookupOf>,
    #[serde(default)]
    logged: Vec<String>,
    #[serde(default)]
    counters: Vec<String>,
    mark: Option<u32>,
}

#[derive(Deserialize)]
struct LookupOf {
    key: String,
    value: Option<String>,
    set: String,
    absent: bool,
    element: Option<String>,
}

impl WalkOf {
    /// The way itself; `None` where no report would say that.
    pub(super) fn read(self) -> Option<Walk> {
        let all = |passages: Vec<PassageOf>| -> Option<Vec<Passage>> {
            passages.into_iter().map(PassageOf::read).collect()
        };
        Some(Walk {
            passages: all(self.passages)?,
            error: all(self.error)?,
        })
    }
}

impl PassageOf {
    fn read(self) -> Option<Passage> {
        let chain = Chain {
            family: self.family,
            table: self.table,
            name: self.chain,
        };
        let stops = self.stops.into_iter().map(|stop| stop.read(&chain));
        Some(Passage {
            stops: stops.collect::<Option<_>>()?,
            base: self.hook.zip(self.kind).map(|(hook, kind)| Base {
                kind,
                hook,
                priority: self.priority,
                // A policy that was met is a stop.
                policy: String::new(),
            }),
            layer: self.layer,
            headers: self.packet.map(|packet| Headers {
                source: packet.source,
                destination: packet.destination,
                ports: packet.sport.zip(packet.dport),
                ttl: packet.ttl,
                dscp: packet.dscp,
            }),
            chain,
        })
    }
}

impl StopOf {
    fn read(self, of: &Chain) -> Option<Stop> {
        let met = match (self.rule, self.end_of) {
            (Some(rule), None) => match read::decider(rule)? {
                Decider::Rule(rule) => Met::Rule(rule),
                Decider::Policy(policy) => Met::Policy(policy),
                Decider::Kernel(_) | Decider::NoChain => return None,
            },
            (None, Some(name)) => Met::End(Chain { name, ..of.clone() }),
            _ => return None,
        };
        let did = match (&*self.did, self.to) {
            ("jump", Some(chain)) => Did::Jump(chain),
            ("goto", Some(chain)) => Did::Goto(chain),
            (word, None) => [
                Did::Continue,
                Did::Accept,
                Did::Drop,
                Did::Return,
                Did::Queue,
                Did::Stolen,
                Did::Unknown,
            ]
            .into_iter()
            .find(|did| did.word() == word)?,
            (_, Some(_)) => return None,
        };
        let lookups = self.lookups.into_iter().map(|lookup| Lookup {
            key: lookup.key,
            value: lookup.value,
            set: lookup.set,
            absent: lookup.absent,
            element: lookup.element,
        });
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let counters = self.counters.into_iter().map(named).map(Beside::Counted);
        let logged = self.logged.into_iter().map(Beside::Logged);
        let mark = self.mark.map(Beside::Marked);
        Some(Stop {
            depth: self.depth,
            met,
            did,
            lookups: lookups.collect(),
            beside: counters.chain(logged).chain(mark).collect(),
        })
    }
}
