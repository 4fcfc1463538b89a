//! The tables of legacy iptables as a [`Program`]: another front end with the same extensions.
//!
//! The kernel hands out a table as its entries, one behind the other (`IPT_SO_GET_ENTRIES`,
//! net/ipv4/netfilter/ip_tables.c). A base chain is what stands between its hook's entry point and its policy; other
//! chains begin behind an entry with the target `ERROR`, which holds their name. Jumps are offsets.

use std::collections::BTreeMap;

use super::{
    ChainFlags, ChainKind, Expression, PacketCount, Program, ProgramBase, ProgramChain,
    ProgramRule, ProgramTable, ProgramVerdict, RawAttribute, TableFlags, XtExtension,
    xtables::{IpVersion, XtHeaderMatch},
};
use crate::ruleset::chain::{Family, Hook};

/// A table as the kernel hands it out.
#[derive(Debug, Clone, Copy)]
pub struct LegacyTableBytes<'a> {
    /// [`Family::LegacyIp`] or [`Family::LegacyIp6`].
    pub family: Family,
    /// `struct ipt_getinfo`.
    pub info: &'a [u8],
    /// What follows the header of `struct ipt_get_entries`.
    pub entries: &'a [u8],
}

/// The tables as a program.
///
/// # Errors
///
/// A table that is not as the kernel makes them; its name, where that can be read.
pub fn decode(tables: &[LegacyTableBytes]) -> Result<Program, LegacyError> {
    let tables = tables.iter().map(|table| {
        let layout = match table.family {
            Family::LegacyIp => &V4,
            Family::LegacyIp6 => &V6,
            Family::Ip
            | Family::Ip6
            | Family::Inet
            | Family::Arp
            | Family::Bridge
            | Family::Netdev => return Err(LegacyError(format!("family {}", table.family))),
        };
        let name = text(table.info.get(..32).unwrap_or_default());
        decode_table(layout, table).ok_or(LegacyError(name))
    });
    Ok(Program {
        tables: tables.collect::<Result<_, _>>()?,
    })
}

/// A table of legacy iptables that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entries of legacy table {0} are malformed")]
pub struct LegacyError(String);

/// Sizes in `struct ipt_entry` and `struct ip6t_entry`.
struct Layout {
    version: IpVersion,
    family: Family,
    /// Of `struct ipt_ip`.
    header: usize,
    /// Where the offsets of the target and of the next entry stand.
    offsets: usize,
    /// Where the counters stand; the entry's matches follow.
    counters: usize,
}

const V4: Layout = Layout {
    version: IpVersion::V4,
    family: Family::LegacyIp,
    header: 84,
    offsets: 88,
    counters: 96,
};

const V6: Layout = Layout {
    version: IpVersion::V6,
    family: Family::LegacyIp6,
    header: 136,
    offsets: 140,
    counters: 152,
};

const COUNTERS: usize = 16;
/// The header of `struct xt_entry_match` and `struct xt_entry_target`.
const EXTENSION_HEADER: usize = 32;

/// An entry with its bytes still in place.
struct Entry<'a> {
    start: usize,
    end: usize,
    header: &'a [u8],
    count: PacketCount,
    matches: Vec<XtExtension>,
    target: XtExtension,
}

fn decode_table(layout: &Layout, table: &LegacyTableBytes) -> Option<ProgramTable> {
    let name = text(table.info.get(..32)?);
    let number = |position: usize| {
        let bytes = table.info.get(32 + 4 * position..36 + 4 * position)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let valid_hooks = number(0)?;
    let entries = entries(layout, table.entries)?;
    let chain_names = chain_names(&entries)?;
    let rule_list = |entries: &[Entry]| -> Option<Vec<ProgramRule>> {
        let numbered = (1..).zip(entries);
        numbered
            .map(|(handle, entry)| rule(layout, handle, entry, &chain_names))
            .collect()
    };
    let index = |offset: u32| {
        let offset = usize::try_from(offset).ok()?;
        entries
            .binary_search_by_key(&offset, |entry| entry.start)
            .ok()
    };
    let mut chains = Vec::new();
    for (position, (hook, chain)) in BASE_CHAINS.into_iter().enumerate() {
        if valid_hooks & 1 << position == 0 {
            continue;
        }
        let (first, policy) = (index(number(1 + position)?)?, index(number(6 + position)?)?);
        let base = base(&name, hook, &entries[policy])?;
        let rules = rule_list(entries.get(first..policy)?)?;
        chains.push(program_chain(chain, Some(base), rules));
    }
    let heads: Vec<usize> = (0..entries.len())
        .filter(|at| entries[*at].target.name == ERROR)
        .collect();
    for (head, next) in heads.iter().zip(heads.iter().skip(1)) {
        // The last entry of a chain is the return to its caller.
        let (last, rules) = entries.get(head + 1..*next)?.split_last()?;
        if standard_verdict(&last.target)? != RETURN {
            return None;
        }
        let name = text(&entries[*head].target.info);
        chains.push(program_chain(&name, None, rule_list(rules)?));
    }
    Some(ProgramTable {
        family: layout.family,
        references: u32::try_from(chains.len()).ok()?,
        name,
        handle: 0,
        flags: TableFlags::default(),
        owner: None,
        chains,
        sets: Vec::new(),
        objects: Vec::new(),
        flowtables: Vec::new(),
        userdata: Vec::new(),
        unknown: Vec::new(),
    })
}

/// In the order of their numbers (`enum nf_inet_hooks`).
const BASE_CHAINS: [(Hook, &str); 5] = [
    (Hook::Prerouting, "PREROUTING"),
    (Hook::Input, "INPUT"),
    (Hook::Forward, "FORWARD"),
    (Hook::Output, "OUTPUT"),
    (Hook::Postrouting, "POSTROUTING"),
];

/// The target before a chain, and at the end of a table.
const ERROR: &str = "ERROR";

fn program_chain(name: &str, base: Option<ProgramBase>, rules: Vec<ProgramRule>) -> ProgramChain {
    ProgramChain {
        name: name.to_owned(),
        handle: 0,
        flags: match base {
            Some(_) => ChainFlags::BASE,
            None => ChainFlags::default(),
        },
        base,
        references: 0,
        rules,
        userdata: Vec::new(),
        unknown: Vec::new(),
    }
}

/// Where a table's base chain is registered (`enum nf_ip_hook_priorities`, linux/netfilter_ipv4.h).
fn base(table: &str, hook: Hook, policy: &Entry) -> Option<ProgramBase> {
    let priority = match (table, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", Hook::Prerouting | Hook::Output) => -100,
        ("nat", _) => 100,
        ("filter", _) => 0,
        ("security", _) => 50,
        _ => return None,
    };
    let policy_verdict = match standard_verdict(&policy.target)? {
        ACCEPT => ProgramVerdict::Accept,
        DROP => ProgramVerdict::Drop,
        _ => return None,
    };
    Some(ProgramBase {
        hook,
        priority,
        kind: match (table, hook) {
            ("nat", _) => ChainKind::Nat,
            ("mangle", Hook::Output) => ChainKind::Route,
            (_, _) => ChainKind::Filter,
        },
        policy: policy_verdict,
        policy_count: Some(policy.count),
        devices: Vec::new(),
    })
}

/// The entries, in their order.
fn entries<'a>(layout: &Layout, bytes: &'a [u8]) -> Option<Vec<Entry<'a>>> {
    let mut entries = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let entry = entry(layout, start, bytes.get(start..)?)?;
        start = entry.end;
        entries.push(entry);
    }
    Some(entries)
}

fn entry<'a>(layout: &Layout, start: usize, bytes: &'a [u8]) -> Option<Entry<'a>> {
    let target_start = usize::from(u16_at(bytes, layout.offsets)?);
    let length = usize::from(u16_at(bytes, layout.offsets + 2)?);
    let extensions_start = layout.counters + COUNTERS;
    let mut rest = bytes.get(extensions_start..target_start)?;
    let mut matches = Vec::new();
    while !rest.is_empty() {
        let size = usize::from(u16_at(rest, 0)?);
        matches.push(extension(rest.get(..size)?)?);
        rest = rest.get(size..)?;
    }
    let counter = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(Entry {
        start,
        end: start + length,
        header: bytes.get(..layout.header)?,
        count: PacketCount {
            packets: counter(layout.counters)?,
            bytes: counter(layout.counters + 8)?,
        },
        matches,
        target: extension(bytes.get(target_start..length)?)?,
    })
}

/// `struct xt_entry_match` or `struct xt_entry_target`, of which the first bytes are its length.
fn extension(bytes: &[u8]) -> Option<XtExtension> {
    let (header, info) = bytes.split_at_checked(EXTENSION_HEADER)?;
    Some(XtExtension {
        name: text(&header[2..31]),
        revision: header[31].into(),
        info: info.to_vec(),
    })
}

/// Names of chains by the offset of their first entry.
fn chain_names(entries: &[Entry]) -> Option<BTreeMap<usize, String>> {
    let heads = entries.iter().filter(|entry| entry.target.name == ERROR);
    Some(
        heads
            .map(|entry| (entry.end, text(&entry.target.info)))
            .collect(),
    )
}

fn rule(
    layout: &Layout,
    handle: u64,
    entry: &Entry,
    chain_names: &BTreeMap<usize, String>,
) -> Option<ProgramRule> {
    let mut expressions = Vec::new();
    let (header, is_goto) = match XtHeaderMatch::read(layout.version, entry.header) {
        Some((header, is_goto)) => (
            (!header.is_any()).then_some(Expression::XtHeader(header)),
            is_goto,
        ),
        None => (Some(opaque_header(entry.header)), false),
    };
    expressions.extend(header);
    expressions.extend(entry.matches.iter().cloned().map(Expression::XtMatch));
    expressions.push(Expression::Counter(entry.count));
    if entry.target.name.is_empty() {
        let verdict = standard_verdict(&entry.target)?;
        let verdict = match (usize::try_from(verdict), is_goto) {
            // A rule without a target leads to the next one.
            (Ok(offset), _) if offset == entry.end => None,
            (Ok(offset), false) => Some(ProgramVerdict::Jump(chain_names.get(&offset)?.clone())),
            (Ok(offset), true) => Some(ProgramVerdict::Goto(chain_names.get(&offset)?.clone())),
            (Err(_), _) => Some(negative_verdict(verdict)),
        };
        expressions.extend(verdict.map(Expression::Verdict));
    } else {
        expressions.push(Expression::XtTarget(entry.target.clone()));
    }
    Some(ProgramRule {
        handle,
        position: (handle > 1).then(|| handle - 1),
        expressions,
        userdata: Vec::new(),
        unknown: Vec::new(),
    })
}

fn opaque_header(header: &[u8]) -> Expression {
    Expression::Opaque {
        name: "ip header".to_owned(),
        attributes: vec![RawAttribute {
            kind: 0,
            value: header.to_vec(),
        }],
    }
}

/// Verdicts of netfilter are stored as their negative less one, so that offsets are positive
/// (`ipt_do_table`, net/ipv4/netfilter/ip_tables.c).
const DROP: i32 = -1;
const ACCEPT: i32 = -2;
const QUEUE: i32 = -4;
const RETURN: i32 = -5;

fn negative_verdict(verdict: i32) -> ProgramVerdict {
    match verdict {
        DROP => ProgramVerdict::Drop,
        ACCEPT => ProgramVerdict::Accept,
        QUEUE => ProgramVerdict::Queue(0),
        RETURN => ProgramVerdict::Return,
        other => ProgramVerdict::Other(other),
    }
}

/// `struct xt_standard_target`.
fn standard_verdict(target: &XtExtension) -> Option<i32> {
    if !target.name.is_empty() {
        return None;
    }
    Some(i32::from_ne_bytes(*target.info.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

/// Until the zero byte that ends it.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_tables_never_panic(
            info in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..90),
            entries in prop::collection::vec(prop_oneof![Just(0_u8), Just(112), any::<u8>()], 0..400),
        ) {
            for family in [Family::LegacyIp, Family::LegacyIp6, Family::Ip] {
                let _ = decode(&[LegacyTableBytes { family, info: &info, entries: &entries }]);
            }
        }
    }
}
