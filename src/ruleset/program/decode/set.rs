//! Sets and their elements.

use super::{
    attributes::{Attributes, be32, be64, bytes, list, text},
    expression::{expression, expressions},
    value::{data_value, verdict},
};
use crate::ruleset::program::{
    ElementData, ElementFlags, Expression, ObjectKind, ProgramSet, SetDataKind, SetElement,
    SetFlags,
};

/// `NFT_DATA_VERDICT`.
const DATA_IS_VERDICT: u32 = 0xffff_ff00;

/// A set from the attributes of its message, without that of its table; `None` if they are cut off.
pub(super) fn program_set(mut a: Attributes<'_>) -> Option<ProgramSet> {
    a.skip_padding(14);
    let mut desc = Attributes::parse(a.take(9).unwrap_or_default())?;
    let concat = desc.optional(2, |bytes| {
        let fields = list(bytes)?.into_iter();
        fields
            .map(|field| Attributes::parse(field)?.required(1, be32))
            .collect()
    })?;
    let flags = SetFlags(a.optional(3, be32)?.unwrap_or(0));
    let set = ProgramSet {
        name: a.required(2, text)?,
        handle: a.optional(16, be64)?,
        flags,
        key_type: a.optional(4, be32)?.unwrap_or(0),
        key_bytes: a.required(5, be32)?,
        field_bytes: concat.unwrap_or_default(),
        data: data_kind(&mut a, flags)?,
        size: desc.optional(1, be32)?,
        policy: a.optional(8, be32)?,
        timeout_ms: a.optional(11, be64)?.filter(|timeout| *timeout > 0),
        gc_interval_ms: a.optional(12, be32)?.filter(|interval| *interval > 0),
        expressions: element_expressions(&mut a, [17, 18])?,
        elements: Vec::new(),
        backend: a.optional(19, text)?,
        element_count: a.optional(20, be32)?,
        userdata: a.take(13).unwrap_or_default().to_vec(),
        unknown: a.rest(),
    };
    desc.is_empty().then_some(set)
}

fn data_kind(a: &mut Attributes<'_>, flags: SetFlags) -> Option<SetDataKind> {
    let kind = a.optional(6, be32)?;
    let length = a.optional(7, be32)?;
    let object = a.optional(15, be32)?;
    Some(match (object, kind) {
        (Some(object), _) if flags.contains(SetFlags::OBJECT) => {
            SetDataKind::Object(ObjectKind::from_number(object))
        }
        (_, Some(DATA_IS_VERDICT)) => SetDataKind::Verdict,
        (_, Some(kind)) => SetDataKind::Value {
            kind,
            bytes: length?,
        },
        (_, None) => SetDataKind::None,
    })
}

/// One expression in the first of these attributes, or several in the second.
fn element_expressions(a: &mut Attributes<'_>, kinds: [u16; 2]) -> Option<Vec<Expression>> {
    let [single, several] = kinds;
    let single = a.optional(single, expression)?;
    let several = a.optional(several, expressions)?;
    Some(
        single
            .into_iter()
            .chain(several.into_iter().flatten())
            .collect(),
    )
}

/// The elements of a message; `None` if they are cut off.
pub(super) fn set_elements(bytes: &[u8]) -> Option<Vec<SetElement>> {
    list(bytes)?.into_iter().map(set_element).collect()
}

fn set_element(element: &[u8]) -> Option<SetElement> {
    let mut a = Attributes::parse(element)?;
    a.skip_padding(8);
    Some(SetElement {
        key: a.optional(1, data_value)?.unwrap_or_default(),
        key_end: a.optional(10, data_value)?,
        flags: ElementFlags(a.optional(3, be32)?.unwrap_or(0)),
        data: element_data(&mut a)?,
        timeout_ms: a.optional(4, be64)?,
        expiration_ms: a.optional(5, be64)?,
        expressions: element_expressions(&mut a, [7, 11])?,
        userdata: a.optional(6, bytes)?.unwrap_or_default(),
        unknown: a.rest(),
    })
}

fn element_data(a: &mut Attributes<'_>) -> Option<ElementData> {
    if let Some(name) = a.optional(9, text)? {
        return Some(ElementData::Object(name));
    }
    let Some(data) = a.take(2) else {
        return Some(ElementData::None);
    };
    match data_value(data) {
        Some(value) => Some(ElementData::Value(value)),
        None => verdict(data).map(ElementData::Verdict),
    }
}

/// By key; a start behind an end with the same key, and what stands for all others last.
pub(super) fn sort(elements: &mut [SetElement]) {
    let is = |element: &SetElement, flag| element.flags.contains(flag);
    elements.sort_by(|left, right| {
        let order = |element: &SetElement| {
            let (catch_all, end) = (ElementFlags::CATCH_ALL, ElementFlags::INTERVAL_END);
            (is(element, catch_all), !is(element, end))
        };
        let ((left_all, left_start), (right_all, right_start)) = (order(left), order(right));
        left_all
            .cmp(&right_all)
            .then_with(|| left.key.cmp(&right.key))
            .then_with(|| left_start.cmp(&right_start))
            .then_with(|| left.key_end.cmp(&right.key_end))
    });
}
