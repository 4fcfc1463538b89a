//! The rules of legacy iptables (x_tables) as listed, and the sets of ipset.

use std::path::PathBuf;

use firedrill_wire::protocol::{Broken, Command, CommandFailure, Listing};

use crate::{
    candidate::command,
    kernel::{ipset::ipset_messages, legacy::legacy_tables, xtables::FAMILIES},
};

/// Fills in the legacy rules and the sets of ipset of the current network namespace.
pub(crate) fn list(into: &mut Listing, limit: usize) -> Result<Result<(), CommandFailure>, Broken> {
    into.legacy_tables = legacy_tables().ok();
    into.ipsets = ipset_messages().ok();
    for (family, listing) in FAMILIES
        .iter()
        .zip([&mut into.iptables, &mut into.ip6tables])
    {
        if !family.in_use() {
            continue;
        }
        let command = Command {
            argv: vec![family.save.to_owned()],
            cwd: PathBuf::from("/"),
            env: Vec::new(),
        };
        let finished = match command::start(&command)? {
            Ok(running) => running.finish(limit)?,
            Err(failure) => Err(failure),
        };
        match finished {
            Ok(output) => *listing = without_state(&String::from_utf8_lossy(&output.stdout)),
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Ok(Ok(()))
}

/// A listing without its comments, which hold the time, and the counters of policies: equal for equal
/// rules.
fn without_state(listing: &str) -> String {
    listing
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| match line.strip_prefix(':') {
            Some(chain) => [":", chain.split(" [").next().unwrap_or(chain), "\n"],
            None => ["", line, "\n"],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rules_have_equal_listings_whatever_was_counted() {
        let one = "# Generated at noon\n*filter\n:INPUT DROP [7:60]\n-A INPUT -j ACCEPT\nCOMMIT\n";
        let other = "*filter\n:INPUT DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n# Completed\n";
        assert_eq!(without_state(one), without_state(other));
        assert!(without_state(one).contains(":INPUT DROP\n-A INPUT"));
    }
}
