//! One rule on one packet: its expressions in order, as in the loop of `nft_do_chain`
//! (net/netfilter/nf_tables_core.c).

use super::{
    Interpreter, Passage,
    bits::Bits,
    certainty::Certainty,
    compare,
    doubt::Doubt,
    packet::PacketState,
    record::{AccessMode, ChainVerdict, RuleEvaluation, StateAccess, Translation},
    registers::Registers,
    state::{CellContent, State, StateCell},
};
use crate::ruleset::program::{Expression, ProgramRule, ProgramVerdict, Register};

/// A packet at a point of the ruleset, and what the ruleset remembers there.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) packet: PacketState,
    pub(super) state: State,
}

impl Flow {
    pub(super) fn join(self, other: &Self, interpreter: &Interpreter) -> Self {
        Self {
            packet: self.packet.join(&other.packet),
            state: self
                .state
                .join(&other.state, |cell| interpreter.initial(cell)),
        }
    }

    /// Joins into what may be there already.
    pub(super) fn join_into(self, slot: &mut Option<Self>, interpreter: &Interpreter) {
        *slot = Some(match slot.take() {
            Some(there) => there.join(&self, interpreter),
            None => self,
        });
    }
}

/// What ends a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleVerdict {
    /// On to the next rule.
    Continue,
    /// Back to the calling chain.
    Return,
    /// Into this chain, and back at its end.
    Jump(usize),
    /// Into this chain for good.
    Goto(usize),
    /// The base chain ends.
    End(ChainVerdict),
}

/// What may follow an expression. More than one is possible where something is not known.
#[derive(Debug, Clone, Default)]
pub(super) struct Effect {
    /// The next expression.
    pub(super) continues: bool,
    /// The rule is broken off.
    pub(super) breaks: bool,
    /// The rule ends with one of these.
    pub(super) verdicts: Vec<RuleVerdict>,
    /// Why it is not known which.
    pub(super) doubt: Option<Doubt>,
}

impl Effect {
    pub(super) fn goes_on() -> Self {
        Self {
            continues: true,
            ..Self::default()
        }
    }

    pub(super) fn breaks() -> Self {
        Self {
            breaks: true,
            ..Self::default()
        }
    }

    pub(super) fn verdict(verdict: RuleVerdict) -> Self {
        Self {
            verdicts: vec![verdict],
            ..Self::default()
        }
    }

    pub(super) fn end(verdict: ChainVerdict) -> Self {
        Self::verdict(RuleVerdict::End(verdict))
    }

    /// With one more verdict that is possible.
    pub(super) fn with_verdict(mut self, verdict: RuleVerdict) -> Self {
        self.verdicts.push(verdict);
        self
    }

    /// This, or goes on, or breaks off.
    pub(super) fn or_either(self, doubt: Doubt) -> Self {
        Self {
            verdicts: self.verdicts,
            ..Self::either(doubt)
        }
    }

    /// Goes on or breaks off.
    pub(super) fn either(doubt: Doubt) -> Self {
        Self {
            continues: true,
            breaks: true,
            verdicts: Vec::new(),
            doubt: Some(doubt),
        }
    }

    /// Goes on if something holds, and else breaks off.
    pub(super) fn goes_on_if(holds: Certainty, doubt: impl FnOnce() -> Doubt) -> Self {
        match holds {
            Certainty::Yes => Self::goes_on(),
            Certainty::No => Self::breaks(),
            Certainty::Maybe => Self::either(doubt()),
        }
    }
}

/// A value that an expression loads.
pub(super) enum Loaded {
    /// This one, and why a part of it is not known.
    Value(Bits, Option<Doubt>),
    /// None: the rule is broken off.
    Missing,
    /// Perhaps this one, perhaps none.
    Perhaps(Bits, Doubt),
}

impl Loaded {
    pub(super) fn known(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Value(Bits::known(bytes), None)
    }

    pub(super) fn word(word: u32) -> Self {
        Self::known(word.to_ne_bytes())
    }

    pub(super) fn unknown(length: usize, doubt: Doubt) -> Self {
        Self::Value(Bits::unknown(length), Some(doubt))
    }
}

/// What a rule does with a packet.
pub(super) struct RuleOutcome {
    /// The packet where the rule is broken off.
    pub(super) unmatched: Option<Flow>,
    /// The packet behind each possible verdict.
    pub(super) verdicts: Vec<(RuleVerdict, Flow)>,
    pub(super) evaluation: RuleEvaluation,
    pub(super) translations: Vec<Translation>,
}

/// A rule while it is evaluated.
pub(super) struct Evaluation<'a, 'p> {
    pub(super) interpreter: &'a Interpreter<'p>,
    pub(super) passage: &'a Passage,
    pub(super) chain: usize,
    pub(super) flow: Flow,
    pub(super) registers: Registers,
    pub(super) record: RuleEvaluation,
    pub(super) translations: Vec<Translation>,
    /// Position of the expression that is evaluated.
    pub(super) expression: usize,
    /// Whether it is evaluated, for a packet that enters the base chain.
    pub(super) reached: Certainty,
}

/// Evaluates a rule.
pub(super) fn evaluate(
    interpreter: &Interpreter,
    passage: &Passage,
    (chain, number): (usize, usize),
    rule: &ProgramRule,
    flow: Flow,
) -> RuleOutcome {
    let reached = flow.packet.reached;
    let mut evaluation = Evaluation {
        interpreter,
        passage,
        chain,
        flow,
        registers: Registers::new(),
        record: RuleEvaluation {
            chain,
            rule: number,
            handle: rule.handle,
            reached,
            matched: Certainty::Yes,
            surely_evaluated: 0,
            possibly_evaluated: 0,
            doubts: Vec::new(),
            lookups: Vec::new(),
            loaded: Vec::new(),
            accesses: Vec::new(),
        },
        translations: Vec::new(),
        expression: 0,
        reached,
    };
    let mut unmatched = None;
    let mut verdicts = Vec::new();
    let mut is_certain = true;
    let mut goes_on = true;
    for (position, expression) in rule.expressions.iter().enumerate() {
        evaluation.expression = position;
        evaluation.record.possibly_evaluated += 1;
        evaluation.record.surely_evaluated += usize::from(is_certain);
        let effect = evaluation.step(expression);
        if let Some(doubt) = effect.doubt {
            evaluation.record.doubts.push((position, doubt));
        }
        if effect.breaks {
            evaluation
                .flow
                .clone()
                .join_into(&mut unmatched, interpreter);
        }
        for verdict in effect.verdicts {
            verdicts.push((verdict, evaluation.flow.clone()));
        }
        goes_on = effect.continues;
        if !goes_on {
            break;
        }
        if unmatched.is_some() || !verdicts.is_empty() {
            is_certain = false;
            evaluation.reached = Certainty::Maybe;
        }
    }
    let Evaluation {
        mut record,
        translations,
        flow,
        ..
    } = evaluation;
    if goes_on {
        verdicts.push((RuleVerdict::Continue, flow));
    }
    record.matched = match (unmatched.is_some(), verdicts.is_empty()) {
        (false, _) => Certainty::Yes,
        (true, true) => Certainty::No,
        (true, false) => Certainty::Maybe,
    };
    RuleOutcome {
        unmatched,
        verdicts,
        evaluation: record,
        translations,
    }
}

impl Evaluation<'_, '_> {
    /// Evaluates an expression.
    pub(super) fn step(&mut self, expression: &Expression) -> Effect {
        match expression {
            Expression::Payload {
                destination,
                base,
                offset,
                length,
            } => {
                let loaded = self.payload(*base, bytes(*offset), bytes(*length));
                self.load_into(*destination, loaded)
            }
            Expression::PayloadSet { .. } => self.set_payload(expression),
            Expression::Meta { key, destination } => {
                let loaded = self.meta(*key);
                self.load_into(*destination, loaded)
            }
            Expression::MetaSet { key, source } => self.set_meta(*key, *source),
            Expression::Ct {
                key,
                direction,
                destination,
            } => {
                let loaded = self.ct(*key, *direction);
                self.load_into(*destination, loaded)
            }
            Expression::CtSet { key, source, .. } => self.set_ct(*key, *source),
            Expression::Cmp { source, op, value } => {
                let bits = self.registers.load(*source, value.len());
                let holds = compare::cmp(&bits, *op, value);
                Effect::goes_on_if(holds, || self.doubt(*source, value.len()))
            }
            Expression::Range {
                source,
                is_inverted,
                from,
                to,
            } => {
                let bits = self.registers.load(*source, from.len());
                let holds = bits.is_within(from, to).inverted_if(*is_inverted);
                Effect::goes_on_if(holds, || self.doubt(*source, from.len()))
            }
            Expression::Bitwise {
                source,
                destination,
                length,
                op,
            } => {
                let (bits, doubt) = compare::bitwise(&self.registers, *source, bytes(*length), op);
                self.registers.store(*destination, bits, doubt);
                Effect::goes_on()
            }
            Expression::Byteorder {
                source,
                destination,
                length,
                size,
                // Both are the same operation (`nft_byteorder_eval`).
                op: _,
            } => {
                let length = bytes(*length);
                let mut bits = self.registers.load(*source, length);
                if cfg!(target_endian = "little") {
                    bits = bits.with_units_reversed(bytes(*size));
                }
                let doubt = self.registers.doubt(*source, length).cloned();
                self.registers.store(*destination, bits, doubt);
                Effect::goes_on()
            }
            Expression::Lookup {
                set,
                source,
                destination,
                is_inverted,
            } => self.look_up(set, *source, *destination, *is_inverted),
            Expression::Immediate { destination, value } => {
                self.registers
                    .store(*destination, Bits::known(value.as_slice()), None);
                Effect::goes_on()
            }
            Expression::Verdict(verdict) => self.verdict(verdict),
            Expression::Counter(_) | Expression::Log { .. } | Expression::Last { .. } => {
                Effect::goes_on()
            }
            Expression::Dup { .. } => Effect::goes_on(),
            Expression::Limit(limit) => self.limit(self.own_cell(), limit),
            Expression::Quota(quota) => self.quota(self.own_cell(), quota),
            Expression::Connlimit(limit) => self.connlimit(self.own_cell(), limit),
            Expression::Numgen { .. } => self.numgen(expression),
            Expression::Hash { .. } => self.hash(expression),
            Expression::Objref(reference) => self.objref(reference),
            Expression::Dynset { .. } => self.dynset(expression),
            Expression::Nat { .. }
            | Expression::Masquerade { .. }
            | Expression::Redirect { .. } => self.translate(expression),
            Expression::Reject(reply) => Effect::end(ChainVerdict::Reject((*reply).into())),
            Expression::Queue { .. } => Effect::end(ChainVerdict::Queue),
            Expression::Fwd { .. } => Effect::end(ChainVerdict::Stolen),
            Expression::Notrack => self.notrack(),
            Expression::FlowOffload { .. } => self.flow_offload(),
            Expression::Synproxy(_) => synproxy(),
            Expression::Tproxy { .. } => Effect::either(unmodelled("tproxy")),
            Expression::ExtHeader {
                destination,
                field,
                is_presence,
            } => {
                let loaded = self.extension_header(*field, *is_presence);
                self.load_into(*destination, loaded)
            }
            Expression::ExtHeaderSet { field, .. } => self.set_extension_header(*field),
            Expression::ExtHeaderStrip { field } => self.strip_extension_header(*field),
            Expression::Fib {
                destination,
                result,
                flags,
            } => {
                let loaded = self.fib(*result, *flags);
                self.load_into(*destination, loaded)
            }
            Expression::Rt { destination, .. } => self.opaque_load("rt", *destination),
            Expression::Socket { destination, .. } => self.opaque_load("socket", *destination),
            Expression::Osf { destination, .. } => self.opaque_load("osf", *destination),
            Expression::Xfrm { destination, .. } => self.opaque_load("xfrm", *destination),
            Expression::Tunnel { destination, .. } => self.opaque_load("tunnel", *destination),
            Expression::Inner { expression, .. } => self.inner(expression),
            Expression::XtMatch(extension) => self.xt_match(extension),
            Expression::XtTarget(extension) => self.xt_target(extension),
            Expression::XtHeader(header) => self.xt_header(header),
            Expression::Opaque { name, .. } => self.opaque(name),
        }
    }

    /// An expression of which nothing is known but its name.
    pub(super) fn opaque(&mut self, name: &str) -> Effect {
        // It may have written any register.
        self.registers = Registers::new();
        Effect {
            verdicts: vec![RuleVerdict::End(ChainVerdict::Unknown)],
            ..Effect::either(unmodelled(name))
        }
    }

    /// An expression that loads into a register what is not modelled, or breaks the rule off.
    fn opaque_load(&mut self, name: &str, destination: Register) -> Effect {
        let bits = Bits::unknown(16);
        self.load_into(destination, Loaded::Perhaps(bits, unmodelled(name)))
    }

    fn inner(&mut self, expression: &Expression) -> Effect {
        match expression {
            Expression::Payload { destination, .. }
            | Expression::Meta { destination, .. }
            | Expression::Tunnel { destination, .. } => self.opaque_load("inner", *destination),
            _ => self.opaque("inner"),
        }
    }

    pub(super) fn load_into(&mut self, destination: Register, loaded: Loaded) -> Effect {
        let (bits, doubt, effect) = match loaded {
            Loaded::Value(bits, doubt) => (bits, doubt, Effect::goes_on()),
            Loaded::Missing => return Effect::breaks(),
            Loaded::Perhaps(bits, doubt) => (bits, Some(doubt.clone()), Effect::either(doubt)),
        };
        self.record.loaded.push((self.expression, bits.clone()));
        self.registers.store(destination, bits, doubt);
        effect
    }

    /// Why the first bytes from a register on are not known.
    pub(super) fn doubt(&self, register: Register, length: usize) -> Doubt {
        self.registers
            .doubt(register, length)
            .cloned()
            .unwrap_or(Doubt::Rewritten)
    }

    fn verdict(&self, verdict: &ProgramVerdict) -> Effect {
        match self.rule_verdict(verdict) {
            // `NFT_CONTINUE` does not end the loop over the expressions.
            RuleVerdict::Continue => Effect::goes_on(),
            verdict => Effect::verdict(verdict),
        }
    }

    /// The meaning of a verdict of the program, in this table.
    pub(super) fn rule_verdict(&self, verdict: &ProgramVerdict) -> RuleVerdict {
        let chain = |name: &str| self.interpreter.index.chain_named(self.chain, name);
        let unknown = RuleVerdict::End(ChainVerdict::Unknown);
        match verdict {
            ProgramVerdict::Accept => RuleVerdict::End(ChainVerdict::Accept),
            ProgramVerdict::Drop => RuleVerdict::End(ChainVerdict::Drop),
            ProgramVerdict::Queue(_) => RuleVerdict::End(ChainVerdict::Queue),
            ProgramVerdict::Continue => RuleVerdict::Continue,
            ProgramVerdict::Return => RuleVerdict::Return,
            ProgramVerdict::Jump(name) => chain(name).map_or(unknown, RuleVerdict::Jump),
            ProgramVerdict::Goto(name) => chain(name).map_or(unknown, RuleVerdict::Goto),
            ProgramVerdict::Break | ProgramVerdict::Other(_) => unknown,
        }
    }

    /// The memory of the expression that is evaluated.
    pub(super) fn own_cell(&self) -> StateCell {
        StateCell::Expression {
            chain: self.chain,
            rule: self.record.rule,
            expression: self.expression,
        }
    }

    /// Notes a use of memory.
    pub(super) fn access(&mut self, cell: StateCell, mode: AccessMode) {
        self.record.accesses.push(StateAccess {
            cell,
            mode,
            certainty: self.reached,
        });
    }

    /// What a cell holds; `fresh` if no packet has touched it.
    pub(super) fn content_or(
        &self,
        cell: &StateCell,
        fresh: impl FnOnce() -> CellContent,
    ) -> CellContent {
        self.flow.state.get(cell).cloned().unwrap_or_else(fresh)
    }
}

pub(super) fn unmodelled(name: &str) -> Doubt {
    Doubt::Unmodelled(name.to_owned())
}

/// `nft_synproxy_do_eval` (net/netfilter/nft_synproxy.c) answers some packets, drops others and leaves the rest
/// alone.
pub(super) fn synproxy() -> Effect {
    Effect {
        verdicts: vec![
            RuleVerdict::End(ChainVerdict::Stolen),
            RuleVerdict::End(ChainVerdict::Drop),
        ],
        ..Effect::either(unmodelled("synproxy"))
    }
}

/// A length or an offset of the program in this machine's type.
pub(super) fn bytes(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
