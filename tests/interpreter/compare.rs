//! What the interpreter says of a packet beside the kernel's trace of it.

use firedrill::ruleset::interpret::{
    Certainty, ChainTraversal, ChainVerdict, Interpretation, Interpreter,
};
use firedrill_harness::protocol::{TraceKind, TraceVerdict};

use crate::oracle::TracedChain;

/// Compares every base chain of a packet; an error says what differs.
pub fn compare(
    interpreter: &Interpreter,
    said: &Interpretation,
    traced: &[TracedChain],
) -> Result<(), String> {
    let mut traced = traced.iter().peekable();
    let first_hook = said.traversals.first().map(|traversal| traversal.hook);
    let mut has_ended = false;
    for traversal in &said.traversals {
        let chain = interpreter.chain(traversal.chain);
        let name = &chain.chain.name;
        let is_next = traced.peek().is_some_and(|next| {
            next.first.chain == *name
                && next.first.table == chain.table.name
                && next.first.family == chain.table.family.to_string()
        });
        let Some(next) = traced.next_if(|_| is_next) else {
            // Between two hooks the kernel itself may stop the packet.
            let is_missing = traced.peek().is_some() || Some(traversal.hook) == first_hook;
            if traversal.reached == Certainty::Yes && !has_ended && is_missing {
                return Err(format!("chain {name} is not in the trace"));
            }
            continue;
        };
        compare_rules(interpreter, traversal, next)?;
        let verdict = verdict_of(next);
        compare_verdicts(traversal, verdict)?;
        has_ended |= verdict != Some(ChainVerdict::Accept);
    }
    match traced.next() {
        Some(next) => Err(format!("chain {} is only in the trace", next.first.chain)),
        None => Ok(()),
    }
}

/// Every rule in the trace must be one that may match, in the same order, and every rule that surely matches must be
/// there.
fn compare_rules(
    interpreter: &Interpreter,
    traversal: &ChainTraversal,
    traced: &TracedChain,
) -> Result<(), String> {
    let matched: Vec<(&str, u64)> = traced
        .events
        .iter()
        .filter(|event| event.kind == TraceKind::Rule)
        .filter_map(|event| Some((event.chain.as_str(), event.handle?)))
        .collect();
    let mut next = matched.iter().peekable();
    for evaluation in &traversal.evaluations {
        let chain = interpreter.chain(evaluation.chain).chain.name.as_str();
        let rule = (chain, evaluation.handle);
        let is_next = next.peek() == Some(&&rule);
        match (evaluation.reached, evaluation.matched) {
            (Certainty::Yes, Certainty::Yes) if !is_next => {
                return Err(format!(
                    "{rule:?} matches, but the trace has {:?}",
                    next.peek()
                ));
            }
            (_, Certainty::Yes | Certainty::Maybe) if is_next => {
                next.next();
            }
            _ => {}
        }
    }
    match next.next() {
        Some(rule) => Err(format!("{rule:?} matches only in the trace")),
        None => Ok(()),
    }
}

fn verdict_of(traced: &TracedChain) -> Option<ChainVerdict> {
    traced
        .events
        .iter()
        .rev()
        .find_map(|event| match event.verdict {
            TraceVerdict::Accept => Some(ChainVerdict::Accept),
            TraceVerdict::Drop => Some(ChainVerdict::Drop),
            TraceVerdict::Queue => Some(ChainVerdict::Queue),
            TraceVerdict::Stolen => Some(ChainVerdict::Stolen),
            _ => None,
        })
}

/// The verdict in the trace must be a possible one. A reject is shown as a drop.
fn compare_verdicts(
    traversal: &ChainTraversal,
    traced: Option<ChainVerdict>,
) -> Result<(), String> {
    let allows = |said: ChainVerdict| match said {
        ChainVerdict::Reject(_) => traced == Some(ChainVerdict::Drop),
        ChainVerdict::Unknown => true,
        ChainVerdict::Accept | ChainVerdict::Drop | ChainVerdict::Queue | ChainVerdict::Stolen => {
            traced == Some(said)
        }
    };
    if traversal.ends.iter().any(|end| allows(end.verdict)) {
        Ok(())
    } else {
        Err(format!(
            "the verdict is {traced:?}, not {:?}",
            traversal.ends
        ))
    }
}

/// Both ways, for people.
pub fn shown(interpreter: &Interpreter, said: &Interpretation, traced: &[TracedChain]) -> String {
    let kernel = traced
        .iter()
        .flat_map(|chain| &chain.events)
        .map(|event| format!("{} {:?} {:?}", event.chain, event.handle, event.verdict));
    let evaluations = said
        .traversals
        .iter()
        .flat_map(|traversal| &traversal.evaluations);
    let said = evaluations.map(|evaluation| {
        format!(
            "{} {} {:?}/{:?}",
            interpreter.chain(evaluation.chain).chain.name,
            evaluation.handle,
            evaluation.reached,
            evaluation.matched
        )
    });
    format!(
        "kernel: {}\nsaid: {}",
        kernel.collect::<Vec<_>>().join(", "),
        said.collect::<Vec<_>>().join(", ")
    )
}
