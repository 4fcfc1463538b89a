//! The tracefile of lcov, as geninfo(1) has it.
//!
//! A line was executed as often as its rules matched. Each rule with a condition is a block of two branches:
//! packets that it matched, and packets that it did not. A file that several candidates have in common is one
//! file. What has no known line is in no file, and so not here.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use crate::record::coverage::{Coverage, Hits, Item};

pub(super) fn write(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    for (file, lines) in files(coverage) {
        writeln!(out, "TN:")?;
        writeln!(out, "SF:{}", file.display())?;
        let (mut branches, mut taken) = (0, 0);
        for (line, items) in &lines {
            let conditional = items.iter().filter(|(item, _)| item.has_condition());
            for (block, (_, hits)) in conditional.enumerate() {
                let ways = [hits.matched, hits.evaluated - hits.matched];
                for (branch, times) in ways.into_iter().enumerate() {
                    let times = match hits.evaluated {
                        0 => "-".to_owned(),
                        _ => times.to_string(),
                    };
                    writeln!(out, "BRDA:{line},{block},{branch},{times}")?;
                }
                branches += 2;
                taken += ways.iter().filter(|times| **times > 0).count();
            }
        }
        writeln!(out, "BRF:{branches}")?;
        writeln!(out, "BRH:{taken}")?;
        let mut hit = 0;
        for (line, items) in &lines {
            let times: u64 = items.iter().map(|(_, hits)| hits.matched).sum();
            writeln!(out, "DA:{line},{times}")?;
            hit += usize::from(times > 0);
        }
        writeln!(out, "LF:{}", lines.len())?;
        writeln!(out, "LH:{hit}")?;
        writeln!(out, "end_of_record")?;
    }
    Ok(())
}

/// The rules and policies of each line of each file, of all candidates together.
pub(super) type Lines<'a> = BTreeMap<usize, Vec<(&'a Item, Hits)>>;

pub(super) fn files(coverage: &Coverage) -> BTreeMap<&Path, Lines<'_>> {
    let mut files: BTreeMap<&Path, Lines<'_>> = BTreeMap::new();
    for (item, hits) in coverage.rulesets.iter().flat_map(|ruleset| &ruleset.items) {
        let Some((file, line)) = item.line().filter(|_| item.apart.is_none()) else {
            continue;
        };
        let of_line = files.entry(file).or_default().entry(line).or_default();
        of_line.push((item, *hits));
    }
    files
}
