//! A packet in a base chain and the chains that it jumps to: `nft_do_chain` (net/netfilter/nf_tables_core.c).
//!
//! A rule of which it is not known whether it matches is followed both ways. Where both come together again, what is
//! known of the packet is what holds on either way ([`Flow::join`]), so a packet is never followed more than once
//! through the same rule for the same jump.

use super::{
    Interpreter, Passage,
    certainty::Certainty,
    doubt::Doubt,
    evaluation::{self, Flow, RuleVerdict},
    record::{ChainDecider, ChainEnd, ChainTraversal, ChainVerdict, Translation},
    state::{State, join_states},
};
use crate::ruleset::program::{ProgramBase, ProgramVerdict};

/// `NFT_JUMP_STACK_SIZE`
const MAX_JUMP_DEPTH: usize = 16;
/// The most rules that are evaluated in one traversal.
const MAX_EVALUATIONS: usize = 1 << 17;

/// A traversal while it is under way.
pub(super) struct Walk<'a, 'p> {
    interpreter: &'a Interpreter<'p>,
    passage: &'a Passage,
    traversal: ChainTraversal,
    translations: Vec<Translation>,
    /// The packet where the chain accepts it.
    accepted: Option<Flow>,
    /// What the ruleset remembers where the chain stops the packet.
    stopped: Option<State>,
}

/// What a traversal comes to.
pub(super) struct Walked {
    pub(super) traversal: ChainTraversal,
    pub(super) translations: Vec<Translation>,
    /// The packet where the chain accepts it; `None` if it surely does not.
    pub(super) accepted: Option<Flow>,
    /// What the ruleset remembers where the chain stops it; `None` if it surely does not.
    pub(super) stopped: Option<State>,
}

/// Follows a packet through a base chain.
pub(super) fn walk(
    interpreter: &Interpreter,
    passage: &Passage,
    (chain, base): (usize, &ProgramBase),
    mut flow: Flow,
) -> Walked {
    let reached = flow.packet.reached;
    let mut walk = Walk {
        interpreter,
        passage,
        traversal: ChainTraversal {
            chain,
            hook: base.hook,
            reached,
            evaluations: Vec::new(),
            ends: Vec::new(),
        },
        translations: Vec::new(),
        accepted: None,
        stopped: None,
    };
    // Within a chain, certainty is that of a packet that enters it.
    flow.packet.reached = Certainty::Yes;
    if let Some(flow) = walk.chain(chain, flow, 0) {
        let verdict = match base.policy {
            ProgramVerdict::Drop => ChainVerdict::Drop,
            ProgramVerdict::Accept => ChainVerdict::Accept,
            _ => ChainVerdict::Unknown,
        };
        walk.end(verdict, ChainDecider::Policy, flow);
    }
    let Walk {
        traversal,
        translations,
        mut accepted,
        stopped,
        ..
    } = walk;
    if let Some(flow) = &mut accepted {
        let is_accepted = match traversal.verdict() {
            Some(ChainVerdict::Accept) => Certainty::Yes,
            _ => Certainty::Maybe,
        };
        flow.packet.reached = reached.and(is_accepted);
    }
    Walked {
        traversal,
        translations,
        accepted,
        stopped,
    }
}

impl Walk<'_, '_> {
    /// Follows a packet through a chain; gives it back where it leaves the chain for the one that called it.
    fn chain(&mut self, chain: usize, flow: Flow, depth: usize) -> Option<Flow> {
        let entered = flow.packet.reached;
        let ends_before = self.traversal.ends.len();
        let mut returned: Option<Flow> = None;
        let mut current = Some(flow);
        let rules = &self.interpreter.index.chains[chain].chain.rules;
        for (number, rule) in rules.iter().enumerate() {
            let Some(flow) = current.take() else {
                break;
            };
            if self.traversal.evaluations.len() >= MAX_EVALUATIONS || depth > MAX_JUMP_DEPTH {
                self.give_in(chain, number, flow);
                return None;
            }
            let (reached, ends) = (flow.packet.reached, self.traversal.ends.len());
            let mut left = false;
            let outcome =
                evaluation::evaluate(self.interpreter, self.passage, (chain, number), rule, flow);
            self.traversal.evaluations.push(outcome.evaluation);
            self.translations.extend(outcome.translations);
            let is_only = outcome.unmatched.is_none() && outcome.verdicts.len() == 1;
            if let Some(flow) = outcome.unmatched {
                flow.join_into(&mut current, self.interpreter);
            }
            for (verdict, mut flow) in outcome.verdicts {
                if !is_only {
                    flow.packet.reached = Certainty::Maybe;
                }
                match verdict {
                    RuleVerdict::Continue => flow.join_into(&mut current, self.interpreter),
                    RuleVerdict::Return => {
                        left = true;
                        flow.join_into(&mut returned, self.interpreter);
                    }
                    RuleVerdict::Jump(target) => {
                        if let Some(flow) = self.chain(target, flow, depth + 1) {
                            flow.join_into(&mut current, self.interpreter);
                        }
                    }
                    RuleVerdict::Goto(target) => {
                        left = true;
                        if let Some(flow) = self.chain(target, flow, depth + 1) {
                            flow.join_into(&mut returned, self.interpreter);
                        }
                    }
                    RuleVerdict::End(verdict) => {
                        let by = ChainDecider::Rule {
                            chain,
                            rule: number,
                        };
                        self.end(verdict, by, flow);
                    }
                }
            }
            // The next rule is surely evaluated if this one was and nothing can have left the chain here.
            let may_have_left = left || self.traversal.ends.len() > ends;
            if let Some(flow) = &mut current {
                flow.packet.reached = reached.and(unless(may_have_left));
            }
        }
        if let Some(flow) = current {
            flow.join_into(&mut returned, self.interpreter);
        }
        let mut flow = returned?;
        let may_have_ended = self.traversal.ends.len() > ends_before;
        flow.packet.reached = entered.and(unless(may_have_ended));
        Some(flow)
    }

    fn end(&mut self, verdict: ChainVerdict, by: ChainDecider, flow: Flow) {
        self.traversal.ends.push(ChainEnd {
            verdict,
            by,
            certainty: flow.packet.reached,
        });
        if verdict != ChainVerdict::Accept {
            let state = Some(flow.state.clone());
            join_states(&mut self.stopped, state, |cell| {
                self.interpreter.initial(cell)
            });
        }
        if matches!(verdict, ChainVerdict::Accept | ChainVerdict::Unknown) {
            flow.join_into(&mut self.accepted, self.interpreter);
        }
    }

    /// Ends a traversal that is too long.
    fn give_in(&mut self, chain: usize, rule: usize, mut flow: Flow) {
        flow.packet.reached = Certainty::Maybe;
        if let Some(evaluation) = self.traversal.evaluations.last_mut() {
            evaluation.doubts.push((0, Doubt::TooLarge));
        }
        let by = ChainDecider::Rule { chain, rule };
        self.end(ChainVerdict::Unknown, by, flow);
    }
}

/// Certain, unless this is so.
fn unless(is_so: bool) -> Certainty {
    if is_so {
        Certainty::Maybe
    } else {
        Certainty::Yes
    }
}
