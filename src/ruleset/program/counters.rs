//! What only counts: two programs that differ in nothing else have the same rules.

use super::{
    Expression, ObjectData, PacketCount, Program, ProgramChain, ProgramSet, QuotaFlags, SetElement,
};

impl Program {
    /// The same program as if no packet had met it and no time had passed: all counters are zero, quotas unused and
    /// elements as fresh as when they were added. Elements that rules added are still there.
    #[must_use]
    pub fn without_counters(mut self) -> Self {
        for table in &mut self.tables {
            table.chains.iter_mut().for_each(reset_chain);
            table.sets.iter_mut().for_each(reset_set);
            for object in &mut table.objects {
                reset_object(&mut object.data);
            }
        }
        self
    }
}

fn reset_chain(chain: &mut ProgramChain) {
    if let Some(count) = chain
        .base
        .as_mut()
        .and_then(|base| base.policy_count.as_mut())
    {
        *count = PacketCount::default();
    }
    for rule in &mut chain.rules {
        rule.expressions.iter_mut().for_each(reset_expression);
    }
}

fn reset_set(set: &mut ProgramSet) {
    set.expressions.iter_mut().for_each(reset_expression);
    set.elements.iter_mut().for_each(reset_element);
}

fn reset_element(element: &mut SetElement) {
    element.expiration_ms = None;
    element.expressions.iter_mut().for_each(reset_expression);
}

fn reset_object(data: &mut ObjectData) {
    match data {
        ObjectData::Counter(count) => *count = PacketCount::default(),
        ObjectData::Quota(quota) => quota.reset(),
        ObjectData::CtHelper { .. }
        | ObjectData::Limit(_)
        | ObjectData::Connlimit(_)
        | ObjectData::Tunnel { .. }
        | ObjectData::CtTimeout { .. }
        | ObjectData::Secmark { .. }
        | ObjectData::CtExpectation { .. }
        | ObjectData::Synproxy(_)
        | ObjectData::Opaque { .. } => {}
    }
}

fn reset_expression(expression: &mut Expression) {
    match expression {
        Expression::Counter(count) => *count = PacketCount::default(),
        Expression::Quota(quota) => quota.reset(),
        Expression::Last { used_ms } => *used_ms = None,
        Expression::Dynset { expressions, .. } => {
            expressions.iter_mut().for_each(reset_expression);
        }
        Expression::Payload { .. }
        | Expression::PayloadSet { .. }
        | Expression::Meta { .. }
        | Expression::MetaSet { .. }
        | Expression::Ct { .. }
        | Expression::CtSet { .. }
        | Expression::Cmp { .. }
        | Expression::Range { .. }
        | Expression::Bitwise { .. }
        | Expression::Byteorder { .. }
        | Expression::Lookup { .. }
        | Expression::Immediate { .. }
        | Expression::Verdict(_)
        | Expression::Log { .. }
        | Expression::Limit(_)
        | Expression::Connlimit(_)
        | Expression::Nat { .. }
        | Expression::Masquerade { .. }
        | Expression::Redirect { .. }
        | Expression::Tproxy { .. }
        | Expression::Reject(_)
        | Expression::Queue { .. }
        | Expression::Dup { .. }
        | Expression::Fwd { .. }
        | Expression::Notrack
        | Expression::Synproxy(_)
        | Expression::FlowOffload { .. }
        | Expression::Objref(_)
        | Expression::Fib { .. }
        | Expression::Rt { .. }
        | Expression::Socket { .. }
        | Expression::Osf { .. }
        | Expression::Hash { .. }
        | Expression::Numgen { .. }
        | Expression::ExtHeader { .. }
        | Expression::ExtHeaderSet { .. }
        | Expression::ExtHeaderStrip { .. }
        | Expression::Xfrm { .. }
        | Expression::Tunnel { .. }
        | Expression::Inner { .. }
        | Expression::XtHeader(_)
        | Expression::XtMatch(_)
        | Expression::XtTarget(_)
        | Expression::Opaque { .. } => {}
    }
}

impl super::ByteQuota {
    fn reset(&mut self) {
        self.consumed = 0;
        self.flags = QuotaFlags(self.flags.0 & !QuotaFlags::DEPLETED.0);
    }
}
