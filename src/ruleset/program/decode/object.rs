//! Named objects, and the expressions that have the same attributes.

use super::attributes::{Attributes, be16, be32, be64, byte, host32, single_flag, text};
use crate::ruleset::program::{
    ByteQuota, ConnectionLimit, LimitKind, NamedObject, ObjectData, ObjectKind, PacketCount,
    QuotaFlags, RateLimit, SynproxyFlags, SynproxyOptions,
};

/// An object from the attributes of its message, without that of its table; `None` if they are cut off.
pub(super) fn named_object(mut a: Attributes<'_>) -> Option<NamedObject> {
    a.skip_padding(7);
    let kind = a.required(3, be32)?;
    let all = Attributes::parse(a.take(4).unwrap_or_default())?;
    let mut attributes = all.clone();
    let data = ObjectKind::from_number(kind)
        .and_then(|kind| object_data(kind, &mut attributes))
        .filter(|_| attributes.is_empty());
    Some(NamedObject {
        name: a.required(2, text)?,
        handle: a.required(6, be64)?,
        references: a.optional(5, be32)?.unwrap_or(0),
        data: data.unwrap_or_else(|| ObjectData::Opaque {
            kind,
            attributes: all.rest(),
        }),
        userdata: a.take(8).unwrap_or_default().to_vec(),
        unknown: a.rest(),
    })
}

fn object_data(kind: ObjectKind, a: &mut Attributes<'_>) -> Option<ObjectData> {
    Some(match kind {
        ObjectKind::Counter => ObjectData::Counter(packet_count(a)?),
        ObjectKind::Quota => ObjectData::Quota(byte_quota(a)?),
        ObjectKind::CtHelper => ObjectData::CtHelper {
            name: a.required(1, text)?,
            l3proto: a.required(2, be16)?,
            l4proto: a.required(3, byte)?,
        },
        ObjectKind::Limit => ObjectData::Limit(rate_limit(a)?),
        ObjectKind::Connlimit => ObjectData::Connlimit(connection_limit(a)?),
        ObjectKind::Tunnel => ObjectData::Tunnel {
            attributes: std::mem::replace(a, Attributes::parse(&[])?).rest(),
        },
        ObjectKind::CtTimeout => ObjectData::CtTimeout {
            l3proto: a.required(1, be16)?,
            l4proto: a.required(2, byte)?,
            seconds: a.required(3, |bytes| {
                let states = Attributes::parse(bytes)?.into_values();
                states
                    .map(|(state, seconds)| Some((state, be32(seconds)?)))
                    .collect()
            })?,
        },
        ObjectKind::Secmark => ObjectData::Secmark {
            context: a.required(1, text)?,
        },
        ObjectKind::CtExpectation => ObjectData::CtExpectation {
            l3proto: a.required(1, be16)?,
            l4proto: a.required(2, byte)?,
            dport: a.required(3, be16)?,
            timeout_ms: a.required(4, host32)?,
            size: a.required(5, byte)?,
        },
        ObjectKind::Synproxy => ObjectData::Synproxy(synproxy(a)?),
    })
}

pub(super) fn packet_count(a: &mut Attributes<'_>) -> Option<PacketCount> {
    a.skip_padding(3);
    Some(PacketCount {
        bytes: a.required(1, be64)?,
        packets: a.required(2, be64)?,
    })
}

pub(super) fn rate_limit(a: &mut Attributes<'_>) -> Option<RateLimit> {
    a.skip_padding(7);
    Some(RateLimit {
        rate: a.required(1, be64)?,
        unit_seconds: a.required(2, be64)?,
        burst: a.required(3, be32)?,
        kind: a.required(4, |bytes| LimitKind::from_number(be32(bytes)?))?,
        is_inverted: a.optional(5, single_flag)?.unwrap_or(false),
    })
}

pub(super) fn byte_quota(a: &mut Attributes<'_>) -> Option<ByteQuota> {
    a.skip_padding(3);
    let flags = QuotaFlags(a.optional(2, be32)?.unwrap_or(0));
    Some(ByteQuota {
        bytes: a.required(1, be64)?,
        flags: (flags.unknown() == 0).then_some(flags)?,
        consumed: a.optional(4, be64)?.unwrap_or(0),
    })
}

pub(super) fn connection_limit(a: &mut Attributes<'_>) -> Option<ConnectionLimit> {
    Some(ConnectionLimit {
        count: a.required(1, be32)?,
        is_inverted: a.optional(2, single_flag)?.unwrap_or(false),
    })
}

pub(super) fn synproxy(a: &mut Attributes<'_>) -> Option<SynproxyOptions> {
    let flags = SynproxyFlags(a.optional(3, be32)?.unwrap_or(0));
    Some(SynproxyOptions {
        mss: a.required(1, be16)?,
        wscale: a.required(2, byte)?,
        flags: (flags.unknown() == 0).then_some(flags)?,
    })
}
