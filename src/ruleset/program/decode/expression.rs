//! The attributes of expressions (`enum nft_*_attributes`, linux/netfilter/nf_tables.h, and the `dump` functions
//! of net/netfilter/nft_*.c).

use super::{
    attributes::{
        Attributes, be16, be32, be64, byte, bytes, host32, list, register, single_flag, text,
    },
    object,
    value::{data_value, verdict},
};
use crate::ruleset::{
    chain::Family,
    program::{
        BitwiseOp, BitwiseOperand, ByteorderOp, ChecksumFlags, ChecksumKind, CmpOp, CtDirection,
        CtKey, DynsetOp, Expression, ExtHeaderField, ExtHeaderKind, FibFlags, FibResult, HashKind,
        InnerFlags, LogSink, LookupDestination, MetaKey, NatFlags, NatKind, NumgenKind, ObjectKind,
        ObjectReference, OsfFlags, PayloadBase, QueueFlags, QueueTarget, Register, RejectReply,
        RtKey, SocketKey, TunnelKey, TunnelMode, XfrmDirection, XfrmKey, XtExtension,
    },
};

/// How deep expressions may be in one another. The kernel itself has one level.
const MAX_DEPTH: usize = 4;

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const DATA: u16 = 2;

/// An expression that belongs to no other one; `None` if its bytes are cut off.
pub(super) fn expression(bytes: &[u8]) -> Option<Expression> {
    nested_expression(bytes, 0)
}

/// The expressions of a list; `None` if the bytes are cut off.
pub(super) fn expressions(bytes: &[u8]) -> Option<Vec<Expression>> {
    list(bytes)?.into_iter().map(expression).collect()
}

fn nested_expression(bytes: &[u8], depth: usize) -> Option<Expression> {
    let mut outer = Attributes::parse(bytes)?;
    let name = outer.required(NAME, text)?;
    let all = Attributes::parse(outer.take(DATA).unwrap_or_default())?;
    let mut attributes = all.clone();
    let decoded = known(&name, &mut attributes, depth);
    match decoded.filter(|_| attributes.is_empty() && outer.is_empty()) {
        Some(expression) => Some(expression),
        None => Some(Expression::Opaque {
            name,
            attributes: [all.rest(), outer.rest()].concat(),
        }),
    }
}

/// The typed expression; `None` if it is not understood. What it leaves of the attributes is not understood either.
fn known(name: &str, a: &mut Attributes<'_>, depth: usize) -> Option<Expression> {
    match name {
        "payload" => payload(a),
        "meta" => meta(a),
        "ct" => ct(a),
        "cmp" => Some(Expression::Cmp {
            source: a.required(1, register)?,
            op: a.required(2, |bytes| CmpOp::from_number(be32(bytes)?))?,
            value: a.required(3, data_value)?,
        }),
        "range" => Some(Expression::Range {
            source: a.required(1, register)?,
            is_inverted: a.required(2, single_flag)?,
            from: a.required(3, data_value)?,
            to: a.required(4, data_value)?,
        }),
        "bitwise" => bitwise(a),
        "byteorder" => Some(Expression::Byteorder {
            source: a.required(1, register)?,
            destination: a.required(2, register)?,
            op: a.required(3, |bytes| ByteorderOp::from_number(be32(bytes)?))?,
            length: a.required(4, be32)?,
            size: a.required(5, be32)?,
        }),
        "lookup" => Some(Expression::Lookup {
            set: a.required(1, text)?,
            source: a.required(2, register)?,
            destination: a.optional(3, lookup_destination)?,
            is_inverted: a.optional(5, single_flag)?.unwrap_or(false),
        }),
        "immediate" => immediate(a),
        "dynset" => dynset(a, depth),
        "objref" => objref(a),
        "inner" => Some(Expression::Inner {
            number: a.required(1, be32)?,
            kind: a.required(2, be32)?,
            flags: a.required(3, |bytes| known_flags(InnerFlags(be32(bytes)?)))?,
            header_bytes: a.required(4, be32)?,
            expression: Box::new(a.required(5, |bytes| deeper(bytes, depth))?),
        }),
        "match" => Some(Expression::XtMatch(xt_extension(a)?)),
        "target" => Some(Expression::XtTarget(xt_extension(a)?)),
        _ => stateful(name, a)
            .or_else(|| statement(name, a))
            .or_else(|| loaded(name, a)),
    }
}

fn deeper(bytes: &[u8], depth: usize) -> Option<Expression> {
    match depth {
        MAX_DEPTH.. => None,
        _ => nested_expression(bytes, depth + 1),
    }
}

/// Expressions that count or log, also as objects and in elements.
fn stateful(name: &str, a: &mut Attributes<'_>) -> Option<Expression> {
    match name {
        "counter" => Some(Expression::Counter(object::packet_count(a)?)),
        "limit" => Some(Expression::Limit(object::rate_limit(a)?)),
        "quota" => Some(Expression::Quota(object::byte_quota(a)?)),
        "connlimit" => Some(Expression::Connlimit(object::connection_limit(a)?)),
        "last" => {
            a.skip_padding(3);
            let is_set = a.required(1, single_flag)?;
            let used_ms = a.optional(2, be64)?;
            Some(Expression::Last {
                used_ms: used_ms.filter(|_| is_set),
            })
        }
        "log" => log(a),
        _ => None,
    }
}

/// Statements: what becomes of the packet.
fn statement(name: &str, a: &mut Attributes<'_>) -> Option<Expression> {
    match name {
        "nat" => Some(Expression::Nat {
            kind: a.required(1, |bytes| NatKind::from_number(be32(bytes)?))?,
            family: a.required(2, family)?,
            address_min: a.optional(3, register)?,
            address_max: a.optional(4, register)?,
            port_min: a.optional(5, register)?,
            port_max: a.optional(6, register)?,
            flags: nat_flags(a, 7)?,
        }),
        "masq" => Some(Expression::Masquerade {
            flags: nat_flags(a, 1)?,
            port_min: a.optional(2, register)?,
            port_max: a.optional(3, register)?,
        }),
        "redir" => Some(Expression::Redirect {
            port_min: a.optional(1, register)?,
            port_max: a.optional(2, register)?,
            flags: nat_flags(a, 3)?,
        }),
        "tproxy" => Some(Expression::Tproxy {
            family: a.required(1, family)?,
            address: a.optional(2, register)?,
            port: a.optional(3, register)?,
        }),
        "reject" => reject(a),
        "queue" => queue(a),
        "dup" => Some(Expression::Dup {
            address: a.optional(1, register)?,
            device: a.optional(2, register)?,
        }),
        "fwd" => Some(Expression::Fwd {
            device: a.required(1, register)?,
            address: a.optional(2, register)?,
            family: a.optional(3, family)?.flatten(),
        }),
        "notrack" => Some(Expression::Notrack),
        "synproxy" => Some(Expression::Synproxy(object::synproxy(a)?)),
        "flow_offload" => Some(Expression::FlowOffload {
            flowtable: a.required(1, text)?,
        }),
        _ => None,
    }
}

/// Expressions that load what is not in the packet's usual headers.
fn loaded(name: &str, a: &mut Attributes<'_>) -> Option<Expression> {
    match name {
        "fib" => Some(Expression::Fib {
            destination: a.required(1, register)?,
            result: a.required(2, |bytes| FibResult::from_number(be32(bytes)?))?,
            flags: a.required(3, |bytes| known_flags(FibFlags(be32(bytes)?)))?,
        }),
        "rt" => Some(Expression::Rt {
            destination: a.required(1, register)?,
            key: a.required(2, |bytes| RtKey::from_number(be32(bytes)?))?,
        }),
        "socket" => Some(Expression::Socket {
            key: a.required(1, |bytes| SocketKey::from_number(be32(bytes)?))?,
            destination: a.required(2, register)?,
            level: a.optional(3, be32)?,
        }),
        "osf" => Some(Expression::Osf {
            destination: a.required(1, register)?,
            ttl: a.required(2, byte)?,
            flags: known_flags(OsfFlags(a.optional(3, be32)?.unwrap_or(0)))?,
        }),
        "hash" => hash(a),
        "numgen" => Some(Expression::Numgen {
            destination: a.required(1, register)?,
            modulus: a.required(2, be32)?,
            kind: a.required(3, |bytes| NumgenKind::from_number(be32(bytes)?))?,
            offset: a.optional(4, be32)?.unwrap_or(0),
        }),
        "exthdr" => extension_header(a),
        "xfrm" => Some(Expression::Xfrm {
            destination: a.required(1, register)?,
            key: a.required(2, |bytes| XfrmKey::from_number(be32(bytes)?))?,
            direction: a.required(3, |bytes| XfrmDirection::from_number(byte(bytes)?.into()))?,
            number: a.required(4, be32)?,
        }),
        "tunnel" => Some(Expression::Tunnel {
            key: a.required(1, |bytes| TunnelKey::from_number(be32(bytes)?))?,
            destination: a.required(2, register)?,
            mode: a.required(3, |bytes| TunnelMode::from_number(be32(bytes)?))?,
        }),
        _ => None,
    }
}

fn payload(a: &mut Attributes<'_>) -> Option<Expression> {
    let base = a.required(2, |bytes| PayloadBase::from_number(be32(bytes)?))?;
    let offset = a.required(3, be32)?;
    let length = a.required(4, be32)?;
    Some(match a.optional(1, register)? {
        Some(destination) => Expression::Payload {
            destination,
            base,
            offset,
            length,
        },
        None => Expression::PayloadSet {
            source: a.required(5, register)?,
            base,
            offset,
            length,
            checksum: a.required(6, |bytes| ChecksumKind::from_number(be32(bytes)?))?,
            checksum_offset: a.required(7, be32)?,
            checksum_flags: known_flags(ChecksumFlags(a.optional(8, be32)?.unwrap_or(0)))?,
        },
    })
}

fn meta(a: &mut Attributes<'_>) -> Option<Expression> {
    let key = a.required(2, |bytes| MetaKey::from_number(be32(bytes)?))?;
    Some(match a.optional(1, register)? {
        Some(destination) => Expression::Meta { key, destination },
        None => Expression::MetaSet {
            key,
            source: a.required(3, register)?,
        },
    })
}

fn ct(a: &mut Attributes<'_>) -> Option<Expression> {
    let key = a.required(2, |bytes| CtKey::from_number(be32(bytes)?))?;
    let direction = a.optional(3, |bytes| CtDirection::from_number(byte(bytes)?.into()))?;
    Some(match a.optional(1, register)? {
        Some(destination) => Expression::Ct {
            key,
            direction,
            destination,
        },
        None => Expression::CtSet {
            key,
            direction,
            source: a.required(4, register)?,
        },
    })
}

fn bitwise(a: &mut Attributes<'_>) -> Option<Expression> {
    let source = a.required(1, register)?;
    let destination = a.required(2, register)?;
    let length = a.required(3, be32)?;
    // Kernels before 5.6 know one operation only.
    let op = match a.optional(6, be32)?.unwrap_or(0) {
        0 => BitwiseOp::MaskXor {
            mask: a.required(4, data_value)?,
            xor: a.required(5, data_value)?,
        },
        1 => BitwiseOp::ShiftLeft(a.required(7, |bytes| host32(&data_value(bytes)?))?),
        2 => BitwiseOp::ShiftRight(a.required(7, |bytes| host32(&data_value(bytes)?))?),
        3 => BitwiseOp::And(bitwise_operand(a)?),
        4 => BitwiseOp::Or(bitwise_operand(a)?),
        5 => BitwiseOp::Xor(bitwise_operand(a)?),
        _ => return None,
    };
    Some(Expression::Bitwise {
        source,
        destination,
        length,
        op,
    })
}

fn bitwise_operand(a: &mut Attributes<'_>) -> Option<BitwiseOperand> {
    Some(match a.optional(8, register)? {
        Some(register) => BitwiseOperand::Register(register),
        None => BitwiseOperand::Value(a.required(7, data_value)?),
    })
}

fn immediate(a: &mut Attributes<'_>) -> Option<Expression> {
    const VERDICT_REGISTER: u32 = 0;
    let number = a.required(1, be32)?;
    let data = a.take(2)?;
    Some(match number {
        VERDICT_REGISTER => Expression::Verdict(verdict(data)?),
        _ => Expression::Immediate {
            destination: Register::from_number(number)?,
            value: data_value(data)?,
        },
    })
}

fn lookup_destination(bytes: &[u8]) -> Option<LookupDestination> {
    match be32(bytes)? {
        0 => Some(LookupDestination::Verdict),
        number => Register::from_number(number).map(LookupDestination::Data),
    }
}

fn dynset(a: &mut Attributes<'_>, depth: usize) -> Option<Expression> {
    a.skip_padding(8);
    let single = a.optional(7, |bytes| deeper(bytes, depth))?;
    let several = a.optional(10, |bytes| {
        let each = list(bytes)?.into_iter();
        each.map(|bytes| deeper(bytes, depth)).collect()
    })?;
    Some(Expression::Dynset {
        set: a.required(1, text)?,
        op: a.required(3, |bytes| DynsetOp::from_number(be32(bytes)?))?,
        key: a.required(4, register)?,
        data: a.optional(5, register)?,
        timeout_ms: a.optional(6, be64)?.filter(|timeout| *timeout > 0),
        expressions: match (single, several) {
            (None, several) => several.unwrap_or_default(),
            (Some(single), None) => vec![single],
            (Some(_), Some(_)) => return None,
        },
        is_inverted: a.optional(9, single_flag)?.unwrap_or(false),
    })
}

fn objref(a: &mut Attributes<'_>) -> Option<Expression> {
    let kind = a.optional(1, |bytes| ObjectKind::from_number(be32(bytes)?))?;
    Some(Expression::Objref(match kind {
        Some(kind) => ObjectReference::Named {
            kind,
            name: a.required(2, text)?,
        },
        None => ObjectReference::Map {
            source: a.required(3, register)?,
            set: a.required(4, text)?,
        },
    }))
}

fn log(a: &mut Attributes<'_>) -> Option<Expression> {
    let prefix = a.optional(2, text)?;
    let sink = match a.optional(1, be16)? {
        Some(group) => LogSink::Group {
            group,
            snaplen: a.optional(3, be32)?,
            queue_threshold: a.optional(4, be16)?.unwrap_or(0),
        },
        None => LogSink::Kernel {
            level: a.required(5, be32)?,
            flags: a.optional(6, be32)?.unwrap_or(0),
        },
    };
    Some(Expression::Log { prefix, sink })
}

fn reject(a: &mut Attributes<'_>) -> Option<Expression> {
    Some(Expression::Reject(match a.required(1, be32)? {
        0 => RejectReply::Icmp(a.required(2, byte)?),
        1 => RejectReply::TcpReset,
        2 => RejectReply::Icmpx(a.required(2, byte)?),
        _ => return None,
    }))
}

fn queue(a: &mut Attributes<'_>) -> Option<Expression> {
    let flags = a.optional(3, be16)?.unwrap_or(0);
    Some(Expression::Queue {
        target: match a.optional(4, register)? {
            Some(register) => QueueTarget::Register(register),
            None => QueueTarget::Numbers {
                first: a.required(1, be16)?,
                total: a.required(2, be16)?,
            },
        },
        flags: known_flags(QueueFlags(flags.into()))?,
    })
}

fn hash(a: &mut Attributes<'_>) -> Option<Expression> {
    let kind = match a.required(7, be32)? {
        0 => HashKind::Jenkins {
            source: a.required(1, register)?,
            length: a.required(3, be32)?,
            seed: a.optional(5, be32)?,
        },
        1 => HashKind::Symmetric,
        _ => return None,
    };
    Some(Expression::Hash {
        destination: a.required(2, register)?,
        kind,
        modulus: a.required(4, be32)?,
        offset: a.optional(6, be32)?.unwrap_or(0),
    })
}

fn extension_header(a: &mut Attributes<'_>) -> Option<Expression> {
    let kind = a.optional(6, be32)?.unwrap_or(0);
    let field = ExtHeaderField {
        kind: ExtHeaderKind::from_number(kind)?,
        number: a.required(2, byte)?,
        offset: a.required(3, be32)?,
        length: a.required(4, be32)?,
    };
    let is_presence = a.optional(5, single_flag)?.unwrap_or(false);
    Some(match (a.optional(1, register)?, a.optional(7, register)?) {
        (Some(destination), None) => Expression::ExtHeader {
            destination,
            field,
            is_presence,
        },
        (None, Some(source)) if !is_presence => Expression::ExtHeaderSet { source, field },
        (None, None) if !is_presence => Expression::ExtHeaderStrip { field },
        (None | Some(_), None | Some(_)) => return None,
    })
}

fn xt_extension(a: &mut Attributes<'_>) -> Option<XtExtension> {
    Some(XtExtension {
        name: a.required(1, text)?,
        revision: a.required(2, be32)?,
        info: a.required(3, bytes)?,
    })
}

fn nat_flags(a: &mut Attributes<'_>, kind: u16) -> Option<NatFlags> {
    known_flags(NatFlags(a.optional(kind, be32)?.unwrap_or(0)))
}

/// A family by its number in 32 bits; the inner `None` for `NFPROTO_UNSPEC`.
#[expect(
    clippy::option_option,
    reason = "the outer one is what was not understood"
)]
fn family(bytes: &[u8]) -> Option<Option<Family>> {
    match u8::try_from(be32(bytes)?).ok()? {
        0 => Some(None),
        number => Family::from_nfproto(number).map(Some),
    }
}

/// Words of flags, of which all bits of an expression must be understood.
trait FlagWord {
    fn unknown_bits(&self) -> u32;
}

fn known_flags<F: FlagWord>(flags: F) -> Option<F> {
    (flags.unknown_bits() == 0).then_some(flags)
}

macro_rules! flag_words {
    ($($name:ident),+) => {
        $(impl FlagWord for $name {
            fn unknown_bits(&self) -> u32 {
                self.unknown()
            }
        })+
    };
}

flag_words!(
    ChecksumFlags,
    NatFlags,
    QueueFlags,
    FibFlags,
    OsfFlags,
    InnerFlags
);
