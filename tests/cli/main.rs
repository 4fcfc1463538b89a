//! The command line from outside: what is selected, what is reported, and how it ends. Some tests use
//! the shipped scenario of the outage: its own ruleset holds, the one of that day does not.

#[path = "../common/mod.rs"]
mod common;

mod reports;
mod selection;
mod shell;

use common::{Ended, Folder, Lab, end, firedrill};

/// Passes with its own ruleset.
const OUTAGE: &str = "scenarios/outage/app-server.yaml";
/// The ruleset that cut the application servers off.
const OF_THAT_DAY: &str = "scenarios/outage/rulesets/app-server-2024-04-05.nft";
/// The comment of the rule that did it.
const OFFENDER: &str = "unknown interface";

/// `firedrill` where the shipped scenarios are.
fn at_home(arguments: &[&str]) -> Ended {
    let mut command = firedrill();
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    end(command)
}

/// A scenario in which the cases of port 80 pass, and those of ports 81 and 82 fail, by the policy and
/// by a rule whose comment no format may stumble over.
fn mixed() -> Folder {
    let candidate = "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  \
                     tcp dport { 80, 82 } accept comment \"<web> & 'more' ]]>\"\n }\n}\n";
    Lab::new(candidate)
        .test("client -> firewall tcp/80: accept")
        .test("client -> firewall tcp/81: { reject: tcp-reset }")
        .test("client -> firewall tcp/82: drop")
        .folder()
}
