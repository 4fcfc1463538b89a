//! What the kernel itself says of packets that vanish: its counters, per network namespace.

use std::{collections::BTreeMap, fs};

use firedrill_wire::protocol::Broken;

use crate::error::Doing;

/// A snapshot of the IP counters of the current network namespace (proc_pid_net(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    pub(crate) fn read() -> Result<Self, Broken> {
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/thread-self/net/{name}"))
                .doing(|| format!("read the kernel's counters in /proc/net/{name}"))
        };
        let mut counters = BTreeMap::new();
        paired_lines(&read("snmp")?, &mut counters);
        paired_lines(&read("netstat")?, &mut counters);
        // A kernel without IPv6 has no such file.
        if let Ok(text) = read("snmp6") {
            single_lines(&text, &mut counters);
        }
        Ok(Self(counters))
    }

    /// Adds to a counter that the kernel tells elsewhere.
    pub(crate) fn add(&mut self, name: &str, value: u64) {
        *self.0.entry(name.to_owned()).or_default() += value;
    }

    /// The counters that grew since an earlier snapshot.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(String, u64)> {
        self.0
            .iter()
            .filter_map(|(name, value)| {
                let before = earlier.0.get(name).copied().unwrap_or(0);
                let grown = value.checked_sub(before)?;
                (grown > 0).then(|| (name.clone(), grown))
            })
            .collect()
    }
}

/// Connection tracking in the current network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conntrack {
    /// How many connections it knows.
    pub(crate) entries: u64,
    /// How many packets it has thrown away, or connections to make room: because the table was full, or
    /// because a translation found no free port.
    pub(crate) lost: u64,
}

impl Conntrack {
    /// Reads `/proc/net/stat/nf_conntrack`; nothing where there is no connection tracking.
    pub(crate) fn read() -> Self {
        fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// A line of names, and one of hexadecimal numbers for each CPU; `entries` is the same on all.
    fn parse(text: &str) -> Self {
        const LOST: [&str; 3] = ["drop", "early_drop", "insert_failed"];
        let mut conntrack = Self::default();
        let mut lines = text.lines();
        let names: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        for line in lines {
            for (name, value) in names.iter().zip(line.split_whitespace()) {
                let value = u64::from_str_radix(value, 16).unwrap_or_default();
                match *name {
                    "entries" => conntrack.entries = value,
                    name if LOST.contains(&name) => conntrack.lost += value,
                    _ => {}
                }
            }
        }
        conntrack
    }

    /// The most connections that it may know, where the kernel says so.
    pub(crate) fn most() -> Option<u64> {
        let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").ok()?;
        text.trim().parse().ok()
    }
}

/// `Ip: InReceives InNoRoutes` over `Ip: 12 3`.
fn paired_lines(text: &str, counters: &mut BTreeMap<String, u64>) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (Some((group, names)), Some((_, values))) =
            (names.split_once(':'), values.split_once(':'))
        else {
            continue;
        };
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if let Ok(value) = value.parse() {
                counters.insert(format!("{group}{name}"), value);
            }
        }
    }
}

/// `Ip6InReceives   12`.
fn single_lines(text: &str, counters: &mut BTreeMap<String, u64>) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse)) {
            counters.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of Linux 6.18 (net/netfilter/nf_conntrack_standalone.c), two CPUs.
    #[test]
    fn what_connection_tracking_lost_is_added_up_over_the_cpus() {
        let text = "entries  clashres found new invalid ignore delete chainlength insert \
                    insert_failed drop early_drop icmp_error\n\
                    0000001f 0 0 0 0 0 0 0 0 00000001 00000002 0000000a 00000004\n\
                    0000001f 0 0 0 0 0 0 0 0 00000000 00000010 00000000 00000000\n";
        let found = Conntrack::parse(text);
        assert_eq!((found.entries, found.lost), (31, 1 + 2 + 10 + 16));
    }

    #[test]
    fn counters_that_grew_are_named_by_group_and_name() {
        let mut before = BTreeMap::new();
        paired_lines("Ip: InReceives InNoRoutes\nIp: 12 3\n", &mut before);
        let mut after = BTreeMap::new();
        paired_lines("Ip: InReceives InNoRoutes\nIp: 12 4\n", &mut after);
        single_lines("Ip6InNoRoutes \t 2\n", &mut after);
        assert_eq!(
            Counters(after).since(&Counters(before)),
            [
                ("Ip6InNoRoutes".to_owned(), 2),
                ("IpInNoRoutes".to_owned(), 1)
            ]
        );
    }
}
