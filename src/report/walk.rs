//! The way of a packet, for people.

use crate::{
    ruleset::origin::Origin,
    trace::walk::{Beside, Did, Headers, Lookup, Met, Passage, Stop},
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
