//! Expressions whose result depends on earlier packets, on chance or on a hash: `limit`, `quota`, `connlimit`,
//! `numgen`, `hash`, `objref`, `dynset`.

use super::{
    bits::Bits,
    certainty::Certainty,
    doubt::Doubt,
    evaluation::{Effect, Evaluation, Loaded, bytes, synproxy, unmodelled},
    facts::ConnectionState,
    hash,
    packet::ConnectionOfPacket,
    record::{AccessMode, ChainVerdict},
    state::{Bounds, Bucket, CellContent, ElementMemory, StateCell, Tokens},
};
use crate::ruleset::program::{
    ByteQuota, ConnectionLimit, DynsetOp, ElementData, Expression, HashKind, LimitKind, NumgenKind,
    ObjectData, ObjectKind, ObjectReference, QuotaFlags, RateLimit, Register, SetDataKind,
};

const NANOSECONDS: u64 = 1_000_000_000;
/// `NFT_LIMIT_PKT_BURST_DEFAULT` (net/netfilter/nft_limit.c).
const DEFAULT_PACKET_BURST: u64 = 5;

/// `nft_limit_init`: the size of the bucket, in nanoseconds.
pub(super) fn bucket_size(limit: &RateLimit) -> u64 {
    let span = limit.unit_seconds.saturating_mul(NANOSECONDS);
    let (rate, burst) = (limit.rate.max(1), u64::from(limit.burst));
    match limit.kind {
        LimitKind::Packets => {
            let burst = if burst == 0 {
                DEFAULT_PACKET_BURST
            } else {
                burst
            };
            (span / rate).saturating_mul(burst)
        }
        LimitKind::Bytes => span.saturating_mul(rate.saturating_add(burst)) / rate,
    }
}

/// `nft_limit_pkts_eval` and `nft_limit_bytes_eval`: what a packet of this length costs, in nanoseconds.
fn cost(limit: &RateLimit, packet_length: u32) -> u64 {
    let span = limit.unit_seconds.saturating_mul(NANOSECONDS);
    match limit.kind {
        LimitKind::Packets => span / limit.rate.max(1),
        LimitKind::Bytes => span.saturating_mul(u64::from(packet_length)) / limit.rate.max(1),
    }
}

impl<'p> Evaluation<'_, 'p> {
    /// `nft_limit_eval`
    pub(super) fn limit(&mut self, cell: StateCell, limit: &RateLimit) -> Effect {
        self.access(cell.clone(), AccessMode::ReadWrite);
        let Some(length) = self.packet_length() else {
            self.flow.state.set(cell, CellContent::Unknown);
            return Effect::either(Doubt::State);
        };
        let bucket = Bucket {
            size: bucket_size(limit),
            cost: cost(limit, length),
        };
        let CellContent::Tokens(tokens) = self.content_or(&cell, || fresh_limit(limit)) else {
            return Effect::either(Doubt::State);
        };
        let (is_enough, left) = tokens.take(bucket, self.flow.state.now);
        self.flow.state.set(cell, CellContent::Tokens(left));
        Effect::goes_on_if(is_enough.inverted_if(limit.is_inverted), || Doubt::State)
    }

    /// `nft_quota_do_eval` (net/netfilter/nft_quota.c). Before Linux 6.15 a quota was over when it was just used up.
    pub(super) fn quota(&mut self, cell: StateCell, quota: &ByteQuota) -> Effect {
        self.access(cell.clone(), AccessMode::ReadWrite);
        let (CellContent::Consumed(before), Some(length)) = (
            self.content_or(&cell, || fresh_quota(quota)),
            self.packet_length(),
        ) else {
            self.flow.state.set(cell, CellContent::Unknown);
            return Effect::either(Doubt::State);
        };
        let consumed = before.plus(u64::from(length));
        self.flow.state.set(cell, CellContent::Consumed(consumed));
        let is_inverted = quota.flags.contains(QuotaFlags::INVERTED);
        let is_over = consumed.is_above(quota.bytes);
        let touches = (consumed.lowest..=consumed.highest).contains(&quota.bytes);
        let doubt = if consumed.lowest == consumed.highest {
            Doubt::KernelVersion
        } else {
            Doubt::State
        };
        let is_over = if touches { Certainty::Maybe } else { is_over };
        Effect::goes_on_if(is_over.inverted_if(!is_inverted), || doubt)
    }

    /// `nft_connlimit_do_eval` (net/netfilter/nft_connlimit.c).
    pub(super) fn connlimit(&mut self, cell: StateCell, limit: &ConnectionLimit) -> Effect {
        self.access(cell.clone(), AccessMode::ReadWrite);
        let CellContent::Connections(before) = self.content_or(&cell, no_connections) else {
            return Effect::either(Doubt::State);
        };
        let counts_own = match &self.flow.packet.connection {
            // Without a connection the packet itself must have a tuple, or it is dropped.
            ConnectionOfPacket::Absent
            | ConnectionOfPacket::Untracked
            | ConnectionOfPacket::Unknown => {
                self.flow.state.set(cell, CellContent::Unknown);
                return Effect {
                    verdicts: vec![super::evaluation::RuleVerdict::End(ChainVerdict::Drop)],
                    ..Effect::either(Doubt::State)
                };
            }
            ConnectionOfPacket::Tracked(connection) => {
                connection.state == Some(ConnectionState::New)
            }
        };
        // Connections that ended are not counted any more; when that is noticed is not known.
        let counted = Bounds {
            lowest: u64::from(counts_own),
            highest: before.highest.saturating_add(1),
        };
        self.flow.state.set(cell, CellContent::Connections(counted));
        let is_above = counted.is_above(u64::from(limit.count));
        Effect::goes_on_if(is_above.inverted_if(!limit.is_inverted), || Doubt::State)
    }

    /// `nft_ng_inc_eval` and `nft_ng_random_eval` (net/netfilter/nft_numgen.c).
    pub(super) fn numgen(&mut self, expression: &Expression) -> Effect {
        let Expression::Numgen {
            destination,
            kind,
            modulus,
            offset,
        } = expression
        else {
            return Effect::goes_on();
        };
        if *kind == NumgenKind::Random {
            return self.load_below(*destination, *modulus, *offset, Doubt::Chance);
        }
        let cell = self.own_cell();
        self.access(cell.clone(), AccessMode::ReadWrite);
        let CellContent::Number(Some(last)) = self.content_or(&cell, || fresh(expression)) else {
            self.flow.state.set(cell, CellContent::Number(None));
            return self.load_below(*destination, *modulus, *offset, Doubt::State);
        };
        let next = last
            .checked_add(1)
            .filter(|next| next < modulus)
            .unwrap_or(0);
        self.flow.state.set(cell, CellContent::Number(Some(next)));
        self.load_into(*destination, Loaded::word(next.wrapping_add(*offset)))
    }

    /// Loads a number of which only the range is known.
    fn load_below(
        &mut self,
        destination: Register,
        modulus: u32,
        offset: u32,
        doubt: Doubt,
    ) -> Effect {
        if modulus == 1 {
            return self.load_into(destination, Loaded::word(offset));
        }
        // Of a number below a power of two, the high bits are known.
        let unknown = match (offset, modulus.checked_next_power_of_two()) {
            (0, Some(power)) => power - 1,
            _ => u32::MAX,
        };
        let bits = Bits::partly(&[0; 4], &(!unknown).to_ne_bytes());
        self.load_into(destination, Loaded::Value(bits, Some(doubt)))
    }

    /// `nft_jhash_eval` and `nft_symhash_eval` (net/netfilter/nft_hash.c).
    pub(super) fn hash(&mut self, expression: &Expression) -> Effect {
        let Expression::Hash {
            destination,
            kind,
            modulus,
            offset,
        } = expression
        else {
            return Effect::goes_on();
        };
        let HashKind::Jenkins {
            source,
            length,
            seed: Some(seed),
        } = kind
        else {
            return self.load_below(*destination, *modulus, *offset, Doubt::Chance);
        };
        let key = self.registers.load(*source, bytes(*length));
        match key.bytes() {
            Some(key) => {
                let hash = hash::scaled(hash::jhash(key, *seed), *modulus);
                self.load_into(*destination, Loaded::word(hash.wrapping_add(*offset)))
            }
            None => {
                let doubt = self.doubt(*source, bytes(*length));
                self.load_below(*destination, *modulus, *offset, doubt)
            }
        }
    }

    /// `nft_objref_eval` and `nft_objref_map_eval` (net/netfilter/nft_objref.c).
    pub(super) fn objref(&mut self, reference: &ObjectReference) -> Effect {
        match reference {
            ObjectReference::Named { kind, name } => self.run_object(*kind, name),
            ObjectReference::Map { set: name, source } => {
                let Some(set) = self.interpreter.index.set_named(self.chain, name) else {
                    return Effect::either(Doubt::Missing(name.clone()));
                };
                let program_set = self.interpreter.index.sets[set].set;
                let SetDataKind::Object(Some(kind)) = program_set.data else {
                    return self.opaque("objref");
                };
                let found = self.find(set, *source, bytes(program_set.key_bytes));
                if found.elements.is_empty() {
                    return Effect::breaks();
                }
                let is_one = found.elements.len() == 1 && !found.may_miss;
                let mut effect = Effect {
                    breaks: found.may_miss,
                    ..Effect::default()
                };
                let before = self.reached;
                if !is_one {
                    self.reached = Certainty::Maybe;
                }
                for element in &found.elements {
                    let step = match element.element.map(|element| &element.data) {
                        Some(ElementData::Object(object)) => self.run_object(kind, object),
                        _ => self.opaque("objref"),
                    };
                    effect.continues |= step.continues;
                    effect.breaks |= step.breaks;
                    effect.verdicts.extend(step.verdicts);
                    effect.doubt = effect.doubt.take().or(step.doubt);
                }
                self.reached = before;
                if !is_one {
                    effect.doubt.get_or_insert(found.doubt);
                }
                effect
            }
        }
    }

    fn run_object(&mut self, kind: ObjectKind, name: &str) -> Effect {
        let Some(object) = self.interpreter.index.object_named(self.chain, kind, name) else {
            return Effect::either(Doubt::Missing(name.to_owned()));
        };
        let cell = StateCell::Object { object };
        match &self.interpreter.index.objects[object].data {
            ObjectData::Limit(limit) => self.limit(cell, limit),
            ObjectData::Quota(quota) => self.quota(cell, quota),
            ObjectData::Connlimit(limit) => self.connlimit(cell, limit),
            ObjectData::Counter(_)
            | ObjectData::CtHelper { .. }
            | ObjectData::CtTimeout { .. }
            | ObjectData::Secmark { .. }
            | ObjectData::Tunnel { .. } => Effect::goes_on(),
            // `nft_ct_expect_obj_eval` breaks off without a connection, and where it cannot expect one more.
            ObjectData::CtExpectation { .. } => match &self.flow.packet.connection {
                ConnectionOfPacket::Absent | ConnectionOfPacket::Untracked => Effect::breaks(),
                ConnectionOfPacket::Tracked(_) | ConnectionOfPacket::Unknown => {
                    Effect::either(unmodelled("ct expectation"))
                }
            },
            ObjectData::Synproxy(_) => synproxy(),
            ObjectData::Opaque { .. } => self.opaque("objref"),
        }
    }

    /// An expression of a set's element.
    pub(super) fn remembering(&mut self, cell: StateCell, expression: &Expression) -> Effect {
        match expression {
            Expression::Limit(limit) => self.limit(cell, limit),
            Expression::Quota(quota) => self.quota(cell, quota),
            Expression::Connlimit(limit) => self.connlimit(cell, limit),
            Expression::Counter(_) | Expression::Last { .. } => Effect::goes_on(),
            _ => self.opaque("dynset"),
        }
    }

    /// `nft_dynset_eval` (net/netfilter/nft_dynset.c).
    pub(super) fn dynset(&mut self, expression: &Expression) -> Effect {
        let Expression::Dynset {
            op,
            set: name,
            key,
            data,
            timeout_ms,
            expressions,
            is_inverted,
        } = expression
        else {
            return Effect::goes_on();
        };
        let Some(set) = self.interpreter.index.set_named(self.chain, name) else {
            return Effect::either(Doubt::Missing(name.clone()));
        };
        let program_set = self.interpreter.index.sets[set].set;
        let key_bits = self.registers.load(*key, bytes(program_set.key_bytes));
        let Some(key_bytes) = key_bits.bytes() else {
            self.access(StateCell::AnyElement { set }, AccessMode::ReadWrite);
            let cell = StateCell::AnyElement { set };
            self.flow.state.set(cell, CellContent::Unknown);
            let doubt = self.doubt(*key, key_bits.len());
            return match op {
                DynsetOp::Delete => Effect::goes_on(),
                DynsetOp::Add | DynsetOp::Update => Effect::either(doubt),
            };
        };
        let cell = StateCell::Element {
            set,
            key: key_bytes.to_vec(),
        };
        if *op == DynsetOp::Delete {
            self.access(cell.clone(), AccessMode::Write);
            self.flow.state.set(
                cell,
                CellContent::Element(ElementMemory {
                    is_present: Certainty::No,
                    data: None,
                    expires: None,
                }),
            );
            return Effect::goes_on();
        }
        self.access(cell.clone(), AccessMode::ReadWrite);
        let room = self.has_room(set, &cell);
        let timeout_ms = timeout_ms.or(program_set.timeout_ms);
        let memory = ElementMemory {
            is_present: room,
            data: data.map(|register| self.registers.load(register, self.data_bytes(set))),
            expires: timeout_ms.map(|milliseconds| {
                (self.flow.state.now.earliest)
                    .saturating_add(milliseconds.saturating_mul(1_000_000))
            }),
        };
        self.flow.state.set(cell, CellContent::Element(memory));
        let mut effect = Effect::goes_on_if(room.inverted_if(*is_inverted), || Doubt::State);
        let own = if expressions.is_empty() {
            &program_set.expressions
        } else {
            expressions
        };
        for (position, expression) in own.iter().enumerate() {
            let cell = StateCell::ElementExpression {
                set,
                key: key_bytes.to_vec(),
                expression: position,
            };
            let step = self.remembering(cell, expression);
            effect.breaks |= step.breaks;
            effect.continues &= step.continues;
            effect.verdicts.extend(step.verdicts);
            effect.doubt = effect.doubt.take().or(step.doubt);
        }
        effect
    }

    /// Whether a set takes this element: it is there already, or the set is not full (`nft_rhash_update`).
    fn has_room(&self, set: usize, cell: &StateCell) -> Certainty {
        let Some(size) = self.interpreter.index.sets[set].set.size else {
            return Certainty::Yes;
        };
        let added = self.flow.state.cells().filter(
            |(cell, _)| matches!(cell, StateCell::Element { set: other, .. } if *other == set),
        );
        let elements = self.interpreter.index.sets[set].set.elements.len() + added.count();
        let is_tainted = self
            .flow
            .state
            .get(&StateCell::AnyElement { set })
            .is_some();
        let is_present = match self.content_or(cell, || self.interpreter.initial(cell)) {
            CellContent::Element(memory) => memory.presence(self.flow.state.now),
            _ => Certainty::Maybe,
        };
        if is_present == Certainty::Yes || (elements < bytes(size) && !is_tainted) {
            Certainty::Yes
        } else {
            Certainty::Maybe
        }
    }
}

/// What a cell holds that no packet has touched, if it belongs to this expression.
pub(super) fn fresh(expression: &Expression) -> CellContent {
    match expression {
        Expression::Limit(limit) => fresh_limit(limit),
        Expression::Quota(quota) => fresh_quota(quota),
        Expression::Connlimit(_) => no_connections(),
        // `nft_ng_inc_init`: so that the first number is 0.
        Expression::Numgen { modulus, .. } => CellContent::Number(Some(modulus.saturating_sub(1))),
        _ => CellContent::Unknown,
    }
}

/// Likewise, of a named object.
pub(super) fn fresh_object(data: &ObjectData) -> CellContent {
    match data {
        ObjectData::Limit(limit) => fresh_limit(limit),
        ObjectData::Quota(quota) => fresh_quota(quota),
        ObjectData::Connlimit(_) => no_connections(),
        _ => CellContent::Unknown,
    }
}

fn fresh_limit(limit: &RateLimit) -> CellContent {
    CellContent::Tokens(Tokens::full(Bucket {
        size: bucket_size(limit),
        cost: 0,
    }))
}

fn fresh_quota(quota: &ByteQuota) -> CellContent {
    CellContent::Consumed(Bounds::exactly(quota.consumed))
}

fn no_connections() -> CellContent {
    CellContent::Connections(Bounds::exactly(0))
}
