//! A program with numbers for its chains, sets and objects, and with its base chains in the kernel's order.

use std::{cmp::Reverse, collections::BTreeMap};

use super::set::SetIndex;
use crate::ruleset::{
    chain::{Family, Hook},
    program::{
        ChainKind, NamedObject, ObjectData, ObjectKind, Program, ProgramBase, ProgramChain,
        ProgramTable, TableFlags,
    },
};

/// A chain of a program.
#[derive(Debug, Clone, Copy)]
pub struct ChainOfProgram<'p> {
    /// Its table.
    pub table: &'p ProgramTable,
    /// The chain.
    pub chain: &'p ProgramChain,
    table_number: usize,
}

/// A program, prepared for packets.
#[derive(Debug)]
pub(super) struct Index<'p> {
    pub(super) chains: Vec<ChainOfProgram<'p>>,
    chains_by_name: BTreeMap<(usize, &'p str), usize>,
    pub(super) sets: Vec<SetIndex<'p>>,
    sets_by_name: BTreeMap<(usize, &'p str), usize>,
    pub(super) objects: Vec<&'p NamedObject>,
    objects_by_name: BTreeMap<(usize, ObjectKind, &'p str), usize>,
    /// Numbers of the registered base chains, in the order in which a packet meets those of one hook.
    base_chains: Vec<usize>,
}

/// `NF_IP_PRI_NAT_DST` and `NF_IP_PRI_NAT_SRC` (linux/netfilter_ipv4.h).
pub(super) const NAT_DESTINATION_PRIORITY: i32 = -100;
pub(super) const NAT_SOURCE_PRIORITY: i32 = 100;

impl<'p> Index<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        let mut index = Self {
            chains: Vec::new(),
            chains_by_name: BTreeMap::new(),
            sets: Vec::new(),
            sets_by_name: BTreeMap::new(),
            objects: Vec::new(),
            objects_by_name: BTreeMap::new(),
            base_chains: Vec::new(),
        };
        for (table_number, table) in program.tables.iter().enumerate() {
            index.add(table, table_number);
        }
        index.order();
        index
    }

    fn add(&mut self, table: &'p ProgramTable, table_number: usize) {
        for chain in &table.chains {
            let number = self.chains.len();
            self.chains_by_name
                .insert((table_number, &chain.name), number);
            if chain.base.is_some() && !table.flags.contains(TableFlags::DORMANT) {
                self.base_chains.push(number);
            }
            self.chains.push(ChainOfProgram {
                table,
                chain,
                table_number,
            });
        }
        for set in &table.sets {
            self.sets_by_name
                .insert((table_number, &set.name), self.sets.len());
            self.sets.push(SetIndex::new(set));
        }
        for object in &table.objects {
            if let Some(kind) = kind(&object.data) {
                let name = (table_number, kind, object.name.as_str());
                self.objects_by_name.insert(name, self.objects.len());
            }
            self.objects.push(object);
        }
    }

    /// Orders the base chains by priority; of equal ones, the kernel puts the one that is registered later first
    /// (`nf_hook_entries_grow`, net/netfilter/core.c).
    fn order(&mut self) {
        let chains = &self.chains;
        // All NAT chains of a hook are called from one entry, which is registered with the first of them
        // (`nf_nat_register_fn`, net/netfilter/nf_nat_core.c).
        let mut nat_entries: BTreeMap<Hook, usize> = BTreeMap::new();
        for number in &self.base_chains {
            if let Some(base) = &chains[*number].chain.base
                && base.kind == ChainKind::Nat
            {
                nat_entries.entry(base.hook).or_insert(*number);
            }
        }
        self.base_chains.sort_by_key(|number| {
            let Some(base) = &chains[*number].chain.base else {
                return (0, Reverse(0), 0, Reverse(0));
            };
            let entry = match base.kind {
                ChainKind::Nat => nat_entries.get(&base.hook).copied().unwrap_or(*number),
                ChainKind::Filter | ChainKind::Route => *number,
            };
            (
                effective_priority(base),
                Reverse(entry),
                base.priority,
                Reverse(*number),
            )
        });
    }

    /// The base chains of a hook in these families, in the kernel's order.
    pub(super) fn base_chains_of(
        &self,
        hook: Hook,
        families: &'static [Family],
    ) -> impl Iterator<Item = (usize, &'p ProgramBase)> {
        self.base_chains.iter().filter_map(move |number| {
            let ChainOfProgram { table, chain, .. } = self.chains[*number];
            let base = chain.base.as_ref()?;
            (base.hook == hook && families.contains(&table.family)).then_some((*number, base))
        })
    }

    /// Whether there are NAT chains.
    pub(super) fn has_nat(&self) -> bool {
        self.base_chains.iter().any(|number| {
            let base = self.chains[*number].chain.base.as_ref();
            base.is_some_and(|base| base.kind == ChainKind::Nat)
        })
    }

    /// The chain with this name in the table of another one.
    pub(super) fn chain_named(&self, beside: usize, name: &str) -> Option<usize> {
        let table = self.chains[beside].table_number;
        self.chains_by_name.get(&(table, name)).copied()
    }

    /// The set with this name in the table of a chain.
    pub(super) fn set_named(&self, chain: usize, name: &str) -> Option<usize> {
        let table = self.chains[chain].table_number;
        self.sets_by_name.get(&(table, name)).copied()
    }

    /// The object with this name in the table of a chain.
    pub(super) fn object_named(&self, chain: usize, kind: ObjectKind, name: &str) -> Option<usize> {
        let table = self.chains[chain].table_number;
        self.objects_by_name.get(&(table, kind, name)).copied()
    }
}

/// Where a base chain is met: NAT chains are called by the NAT core, at a priority of its own; their priority
/// only orders them among each other (`nf_nat_ipv4_ops`, net/netfilter/nf_nat_proto.c).
pub(super) fn effective_priority(base: &ProgramBase) -> i32 {
    match (base.kind, base.hook) {
        (ChainKind::Filter | ChainKind::Route, _) => base.priority,
        (ChainKind::Nat, Hook::Input | Hook::Postrouting) => NAT_SOURCE_PRIORITY,
        (ChainKind::Nat, _) => NAT_DESTINATION_PRIORITY,
    }
}

/// The kind of an object; `None` if it is not understood.
fn kind(data: &ObjectData) -> Option<ObjectKind> {
    Some(match data {
        ObjectData::Counter(_) => ObjectKind::Counter,
        ObjectData::Quota(_) => ObjectKind::Quota,
        ObjectData::CtHelper { .. } => ObjectKind::CtHelper,
        ObjectData::Limit(_) => ObjectKind::Limit,
        ObjectData::Connlimit(_) => ObjectKind::Connlimit,
        ObjectData::Tunnel { .. } => ObjectKind::Tunnel,
        ObjectData::CtTimeout { .. } => ObjectKind::CtTimeout,
        ObjectData::Secmark { .. } => ObjectKind::Secmark,
        ObjectData::CtExpectation { .. } => ObjectKind::CtExpectation,
        ObjectData::Synproxy(_) => ObjectKind::Synproxy,
        ObjectData::Opaque { kind, .. } => return ObjectKind::from_number(*kind),
    })
}
