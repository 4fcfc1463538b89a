//! A dump of the kernel becomes a [`Program`].
//!
//! A dump is a sequence of netlink messages as the kernel answers `NFT_MSG_GETTABLE` and its like
//! (`nf_tables_fill_*_info`, net/netfilter/nf_tables_api.c): tables, then what is in them. Nobody vouches for the
//! bytes: whatever they are, the result is a program or an error. A part of an expression that is not understood
//! makes it opaque; anything else that is cut off or missing is an error, since a program without it would be
//! another one.

mod attributes;
mod expression;
mod object;
mod set;
mod value;

use std::collections::HashMap;

use attributes::{Attributes, be32, be64, text};
use expression::expressions;

use super::{
    ChainFlags, ChainKind, Flowtable, FlowtableFlags, HookDevice, Program, ProgramBase,
    ProgramChain, ProgramRule, ProgramTable, TableFlags,
};
use crate::ruleset::chain::{Family, Hook};

/// Why bytes are not a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramDecodeError {
    /// A message ends before its length says so.
    #[error("a message of the kernel is cut off")]
    Truncated,
    /// A message that is none of a dump.
    #[error("a message of type {0:#06x} is not one of nftables' objects")]
    UnexpectedMessage(u16),
    /// A family that this program does not know.
    #[error("no family has the number {0}")]
    UnknownFamily(u8),
    /// An attribute is missing or cannot be read.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// A part of a table or chain or set that was not dumped.
    #[error("{part} belongs to `{owner}`, which was not dumped")]
    Orphan {
        /// What it is.
        part: &'static str,
        /// What it belongs to.
        owner: String,
    },
}

/// `NFNL_SUBSYS_NFTABLES` in the upper byte of a message's type.
const SUBSYSTEM: u16 = 10 << 8;
/// The headers of netlink (linux/netlink.h), and with that of netfilter (linux/netfilter/nfnetlink.h), in bytes.
const NETLINK_HEADER: usize = 16;
const HEADERS: usize = NETLINK_HEADER + 4;

/// `enum nf_tables_msg_types`.
mod message {
    pub(super) const NEW_TABLE: u16 = super::SUBSYSTEM;
    pub(super) const NEW_CHAIN: u16 = super::SUBSYSTEM | 3;
    pub(super) const NEW_RULE: u16 = super::SUBSYSTEM | 6;
    pub(super) const NEW_SET: u16 = super::SUBSYSTEM | 9;
    pub(super) const NEW_SET_ELEMENTS: u16 = super::SUBSYSTEM | 12;
    pub(super) const NEW_OBJECT: u16 = super::SUBSYSTEM | 18;
    pub(super) const NEW_FLOWTABLE: u16 = super::SUBSYSTEM | 22;
}

impl Program {
    /// Decodes a dump: messages in the order of tables, chains, sets, objects, flow tables, rules, elements. The
    /// numbers in their headers except for length, type and family do not matter.
    ///
    /// # Errors
    ///
    /// Bytes that are not such a dump.
    pub fn decode(mut dump: &[u8]) -> Result<Self, ProgramDecodeError> {
        let mut decoder = Decoder::default();
        while !dump.is_empty() {
            let (message, rest) = split_message(dump).ok_or(ProgramDecodeError::Truncated)?;
            decoder.message(&message)?;
            dump = rest;
        }
        let mut program = decoder.program;
        let sets = program.tables.iter_mut().flat_map(|table| &mut table.sets);
        sets.for_each(|set| set::sort(&mut set.elements));
        Ok(program)
    }
}

/// One message without its headers.
struct Message<'a> {
    kind: u16,
    family: u8,
    attributes: &'a [u8],
}

/// The first message, and what follows it; messages are aligned to four bytes.
fn split_message(dump: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = u32::from_ne_bytes(dump.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    let message = Message {
        kind: u16::from_ne_bytes(dump.get(4..6)?.try_into().ok()?),
        family: *dump.get(NETLINK_HEADER)?,
        attributes: dump.get(HEADERS..length)?,
    };
    let rest = dump.get(length.checked_next_multiple_of(4)?..);
    Some((message, rest.unwrap_or_default()))
}

/// A table, and in it a chain or a set.
type OwnerKey = (Family, String, String);

/// A program in the making.
#[derive(Default)]
struct Decoder {
    program: Program,
    tables: HashMap<(Family, String), usize>,
    chains: HashMap<OwnerKey, (usize, usize)>,
    sets: HashMap<OwnerKey, (usize, usize)>,
}

impl Decoder {
    fn message(&mut self, message: &Message<'_>) -> Result<(), ProgramDecodeError> {
        let family = Family::from_nfproto(message.family)
            .ok_or(ProgramDecodeError::UnknownFamily(message.family))?;
        let attributes =
            || Attributes::parse(message.attributes).ok_or(ProgramDecodeError::Truncated);
        match message.kind {
            message::NEW_TABLE => self.table(family, attributes()?),
            message::NEW_CHAIN => self.chain(family, attributes()?),
            message::NEW_RULE => self.rule(family, attributes()?),
            message::NEW_SET => self.set(family, attributes()?),
            message::NEW_SET_ELEMENTS => self.elements(family, attributes()?),
            message::NEW_OBJECT => self.object(family, attributes()?),
            message::NEW_FLOWTABLE => self.flowtable(family, attributes()?),
            other => Err(ProgramDecodeError::UnexpectedMessage(other)),
        }
    }

    fn table(
        &mut self,
        family: Family,
        attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let table = program_table(family, attributes).ok_or(malformed("a table"))?;
        let key = (family, table.name.clone());
        self.tables.insert(key, self.program.tables.len());
        self.program.tables.push(table);
        Ok(())
    }

    fn chain(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = attributes.required(1, text).ok_or(malformed("a chain"))?;
        let index = self.owner(family, &owner, "a chain")?;
        let chain = program_chain(family, attributes).ok_or(malformed("a chain"))?;
        let chains = &mut self.program.tables[index].chains;
        let key = (family, owner, chain.name.clone());
        self.chains.insert(key, (index, chains.len()));
        chains.push(chain);
        Ok(())
    }

    fn rule(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = owner_key(family, &mut attributes).ok_or(malformed("a rule"))?;
        let Some(&(table, chain)) = self.chains.get(&owner) else {
            return Err(orphan("a rule", owner.2));
        };
        let rule = program_rule(attributes).ok_or(malformed("a rule"))?;
        self.program.tables[table].chains[chain].rules.push(rule);
        Ok(())
    }

    fn set(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = attributes.required(1, text).ok_or(malformed("a set"))?;
        let index = self.owner(family, &owner, "a set")?;
        let set = set::program_set(attributes).ok_or(malformed("a set"))?;
        let sets = &mut self.program.tables[index].sets;
        let key = (family, owner, set.name.clone());
        self.sets.insert(key, (index, sets.len()));
        sets.push(set);
        Ok(())
    }

    fn elements(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = owner_key(family, &mut attributes).ok_or(malformed("a set's elements"))?;
        let Some(&(table, set)) = self.sets.get(&owner) else {
            return Err(orphan("an element", owner.2));
        };
        let elements = set::set_elements(attributes.take(3).unwrap_or_default());
        let elements = elements.ok_or(malformed("an element of a set"))?;
        self.program.tables[table].sets[set]
            .elements
            .extend(elements);
        Ok(())
    }

    fn object(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = attributes.required(1, text).ok_or(malformed("an object"))?;
        let index = self.owner(family, &owner, "an object")?;
        let object = object::named_object(attributes).ok_or(malformed("an object"))?;
        self.program.tables[index].objects.push(object);
        Ok(())
    }

    fn flowtable(
        &mut self,
        family: Family,
        mut attributes: Attributes<'_>,
    ) -> Result<(), ProgramDecodeError> {
        let owner = attributes
            .required(1, text)
            .ok_or(malformed("a flow table"))?;
        let index = self.owner(family, &owner, "a flow table")?;
        let flowtable = flowtable(attributes).ok_or(malformed("a flow table"))?;
        self.program.tables[index].flowtables.push(flowtable);
        Ok(())
    }

    fn owner(
        &self,
        family: Family,
        table: &str,
        part: &'static str,
    ) -> Result<usize, ProgramDecodeError> {
        let index = self.tables.get(&(family, table.to_owned()));
        index.copied().ok_or_else(|| orphan(part, table.to_owned()))
    }
}

fn malformed(what: &'static str) -> ProgramDecodeError {
    ProgramDecodeError::Malformed(what)
}

fn orphan(part: &'static str, owner: String) -> ProgramDecodeError {
    ProgramDecodeError::Orphan { part, owner }
}

/// The table of a rule or of elements, and in it their chain or set.
fn owner_key(family: Family, a: &mut Attributes<'_>) -> Option<OwnerKey> {
    Some((family, a.required(1, text)?, a.required(2, text)?))
}

/// A table (`enum nft_table_attributes`).
fn program_table(family: Family, mut a: Attributes<'_>) -> Option<ProgramTable> {
    a.skip_padding(5);
    Some(ProgramTable {
        family,
        name: a.required(1, text)?,
        handle: a.required(4, be64)?,
        flags: TableFlags(a.optional(2, be32)?.unwrap_or(0)),
        references: a.optional(3, be32)?.unwrap_or(0),
        owner: a.optional(7, be32)?,
        chains: Vec::new(),
        sets: Vec::new(),
        objects: Vec::new(),
        flowtables: Vec::new(),
        userdata: a.take(6).unwrap_or_default().to_vec(),
        unknown: a.rest(),
    })
}

/// A chain (`enum nft_chain_attributes`).
fn program_chain(family: Family, mut a: Attributes<'_>) -> Option<ProgramChain> {
    a.skip_padding(9);
    Some(ProgramChain {
        name: a.required(3, text)?,
        handle: a.required(2, be64)?,
        flags: ChainFlags(a.optional(10, be32)?.unwrap_or(0)),
        base: match a.take(4) {
            Some(hook) => Some(program_base(family, hook, &mut a)?),
            None => None,
        },
        references: a.optional(6, be32)?.unwrap_or(0),
        rules: Vec::new(),
        userdata: a.take(12).unwrap_or_default().to_vec(),
        unknown: a.rest(),
    })
}

/// The hook of a chain (`enum nft_hook_attributes`), and the chain's attributes that come with it.
fn program_base(family: Family, hook: &[u8], chain: &mut Attributes<'_>) -> Option<ProgramBase> {
    let mut a = Attributes::parse(hook)?;
    let base = ProgramBase {
        hook: Hook::from_number(family, a.required(1, be32)?)?,
        priority: a.required(2, be32)?.cast_signed(),
        kind: match chain.required(7, text)?.as_str() {
            "filter" => ChainKind::Filter,
            "nat" => ChainKind::Nat,
            "route" => ChainKind::Route,
            _ => return None,
        },
        policy: value::named_verdict(chain.required(5, be32)?.cast_signed(), None)?,
        policy_count: chain.optional(8, |bytes| {
            let mut counters = Attributes::parse(bytes)?;
            let count = object::packet_count(&mut counters)?;
            counters.is_empty().then_some(count)
        })?,
        devices: devices(&mut a, 4)?,
    };
    // A single device is named again by itself.
    let _ = a.take(3);
    a.is_empty().then_some(base)
}

/// The devices of a hook (`enum nft_devices_attributes`).
fn devices(a: &mut Attributes<'_>, kind: u16) -> Option<Vec<HookDevice>> {
    let nested = Attributes::parse(a.take(kind).unwrap_or_default())?;
    let devices = nested.into_values().map(|(kind, name)| match kind {
        1 => text(name).map(HookDevice::Named),
        2 => text(name).map(HookDevice::Prefix),
        _ => None,
    });
    devices.collect()
}

/// A rule (`enum nft_rule_attributes`).
fn program_rule(mut a: Attributes<'_>) -> Option<ProgramRule> {
    a.skip_padding(8);
    Some(ProgramRule {
        handle: a.required(3, be64)?,
        position: a.optional(6, be64)?,
        expressions: a.optional(4, expressions)?.unwrap_or_default(),
        userdata: a.take(7).unwrap_or_default().to_vec(),
        unknown: a.rest(),
    })
}

/// A flow table (`enum nft_flowtable_attributes`, `enum nft_flowtable_hook_attributes`).
fn flowtable(mut a: Attributes<'_>) -> Option<Flowtable> {
    a.skip_padding(6);
    let mut hook = Attributes::parse(a.take(3)?)?;
    let flowtable = Flowtable {
        name: a.required(2, text)?,
        handle: a.required(5, be64)?,
        references: a.optional(4, be32)?.unwrap_or(0),
        hook: hook.required(1, be32)?,
        priority: hook.required(2, be32)?.cast_signed(),
        devices: devices(&mut hook, 3)?,
        flags: FlowtableFlags(a.optional(7, be32)?.unwrap_or(0)),
        unknown: a.rest(),
    };
    hook.is_empty().then_some(flowtable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ruleset::program::{CmpOp, Expression, RawAttribute};

    /// An attribute with its header and padding.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn framed(kind: u16, family: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let attributes = attributes.concat();
        let mut bytes = vec![0; HEADERS];
        let length = u32::try_from(HEADERS + attributes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[NETLINK_HEADER] = family;
        bytes.extend(attributes);
        bytes
    }

    /// The table `inet t` (handle 1) with the chain `c` (handle 2) and in it a rule (handle 3) with one expression.
    fn rule_with(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        let named = attribute(1, b"t\0");
        let table = [named.clone(), attribute(4, &1_u64.to_be_bytes())];
        let chain = [
            named.clone(),
            attribute(2, &2_u64.to_be_bytes()),
            attribute(3, b"c\0"),
        ];
        let name = attribute(1, format!("{name}\0").as_bytes());
        let data = attribute(2, &attributes.concat());
        let expression = attribute(1, &[name, data].concat());
        let rule = [
            named,
            attribute(2, b"c\0"),
            attribute(3, &3_u64.to_be_bytes()),
            attribute(4, &expression),
        ];
        [
            framed(message::NEW_TABLE, 1, &table),
            framed(message::NEW_CHAIN, 1, &chain),
            framed(message::NEW_RULE, 1, &rule),
        ]
        .concat()
    }

    fn only_expression(dump: &[u8]) -> Expression {
        let program = Program::decode(dump).unwrap();
        let rule = &program.tables[0].chains[0].rules[0];
        assert_eq!(rule.handle, 3);
        rule.expressions[0].clone()
    }

    /// `cmp eq reg N 0x00000016`.
    fn cmp(register: u32) -> [Vec<u8>; 3] {
        [
            attribute(1, &register.to_be_bytes()),
            attribute(2, &0_u32.to_be_bytes()),
            attribute(3, &attribute(1, &[0, 22])),
        ]
    }

    #[test]
    fn both_spellings_of_a_register_are_one() {
        let [large, small] = [2, 12].map(|number| only_expression(&rule_with("cmp", &cmp(number))));
        assert_eq!(large, small);
        let Expression::Cmp { source, op, value } = large else {
            panic!("{large:?}");
        };
        assert_eq!((source.word(), op, value), (4, CmpOp::Eq, vec![0, 22]));
    }

    #[test]
    fn an_unknown_attribute_makes_an_expression_opaque() {
        let attributes = [cmp(1).to_vec(), vec![attribute(9, &[1])]].concat();
        let Expression::Opaque { name, attributes } =
            only_expression(&rule_with("cmp", &attributes))
        else {
            panic!("an attribute was dropped");
        };
        let kinds: Vec<u16> = attributes.iter().map(|attribute| attribute.kind).collect();
        assert_eq!((name.as_str(), kinds), ("cmp", vec![1, 2, 3, 9]));
    }

    #[test]
    fn an_unknown_expression_is_opaque_with_its_bytes() {
        let opaque = Expression::Opaque {
            name: "later".to_owned(),
            attributes: vec![RawAttribute {
                kind: 1,
                value: vec![7],
            }],
        };
        assert_eq!(
            only_expression(&rule_with("later", &[attribute(1, &[7])])),
            opaque
        );
    }

    #[test]
    fn expressions_nested_too_deep_are_opaque() {
        let mut expression = attribute(1, b"notrack\0");
        for _ in 0..1_000 {
            let numbers = [1, 2, 3, 4].map(|kind| attribute(kind, &0_u32.to_be_bytes()));
            let data = [numbers.concat(), attribute(5, &expression)].concat();
            expression = [attribute(1, b"inner\0"), attribute(2, &data)].concat();
        }
        let inner = attribute(1, &0_u32.to_be_bytes());
        let dump = rule_with("inner", &[inner, attribute(5, &expression)]);
        assert!(matches!(only_expression(&dump), Expression::Opaque { .. }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Program::decode(&bytes);
        }

        #[test]
        fn mutated_dumps_never_panic(
            place in any::<prop::sample::Index>(),
            value in any::<u8>(),
            end in any::<prop::sample::Index>(),
        ) {
            let mut dump = rule_with("cmp", &cmp(1));
            let place = place.index(dump.len());
            dump[place] = value;
            let _ = Program::decode(&dump);
            dump.truncate(end.index(dump.len()));
            let _ = Program::decode(&dump);
        }
    }
}
