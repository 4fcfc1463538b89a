//! The two ends of a test: who they are, and which address families they share.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::scenario::{
    Family, Party,
    format::words::{self, quote},
    read::{
        Reader,
        address::family_names,
        firewall::FirewallDraft,
        hosts::{HostDrafts, RESERVED},
    },
    text::tree::Word,
};

/// What tests are about: everything read before them.
#[derive(Clone, Copy)]
pub(super) struct World<'w> {
    pub(super) firewall: &'w FirewallDraft,
    pub(super) hosts: &'w HostDrafts,
}

/// Both ends of a test, with an address family in common.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) from: Party,
    pub(super) to: Party,
    /// Never empty.
    pub(super) families: Vec<Family>,
}

/// One end as written.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// With the interface after `@`.
    Firewall(Option<usize>),
    Host(usize),
}

/// Why two ends make no test.
pub(super) enum Apart {
    /// They are the same host.
    Same,
    /// Both are behind this interface.
    Behind(usize),
    /// They share no address family.
    Families(Party, Party),
    /// One of them is known to be broken elsewhere.
    Broken,
}

impl World<'_> {
    /// Who sends and who receives, where what the one sends to the other meets the firewall.
    pub(super) fn meet(self, sender: End, receiver: End) -> Result<Ends, Apart> {
        let behind = |host: usize| self.hosts.hosts[host].behind;
        let at = |interface: Option<usize>| interface.map(Party::Firewall).ok_or(Apart::Broken);
        let (from, to) = match (sender, receiver) {
            (End::Firewall(None), End::Firewall(None)) => (Party::Loopback, Party::Loopback),
            // Without an interface, the kernel would take the same address for both.
            (End::Firewall(from), End::Firewall(to)) => (at(from.or(to))?, at(to.or(from))?),
            (End::Firewall(side), End::Host(host)) => {
                (at(side.or(behind(host)))?, Party::Host(host))
            }
            (End::Host(host), End::Firewall(side)) => {
                (Party::Host(host), at(side.or(behind(host)))?)
            }
            (End::Host(one), End::Host(other)) if one == other => return Err(Apart::Same),
            (End::Host(one), End::Host(other)) => match (behind(one), behind(other)) {
                (Some(side), Some(same)) if side == same => return Err(Apart::Behind(side)),
                _ => (Party::Host(one), Party::Host(other)),
            },
        };
        if !self.sound(from) || !self.sound(to) {
            return Err(Apart::Broken);
        }
        let shared = self.families(to);
        let mut families = self.families(from);
        families.retain(|family| shared.contains(family));
        if families.is_empty() {
            return Err(Apart::Families(from, to));
        }
        Ok(Ends { from, to, families })
    }

    /// Whether nothing about this end was reported elsewhere.
    pub(super) fn is_sound(self, end: End) -> bool {
        match end {
            End::Firewall(Some(interface)) => self.sound(Party::Firewall(interface)),
            End::Firewall(None) => self.firewall.interfaces.iter().all(|side| side.sound),
            End::Host(host) => self.sound(Party::Host(host)),
        }
    }

    fn families(self, party: Party) -> Vec<Family> {
        match party {
            Party::Firewall(interface) => self.firewall.interfaces[interface].families(),
            Party::Loopback => vec![Family::Ipv4, Family::Ipv6],
            Party::Host(host) => self.hosts.hosts[host].families(),
        }
    }

    fn sound(self, party: Party) -> bool {
        match party {
            Party::Firewall(interface) => self.firewall.interfaces[interface].sound,
            Party::Loopback => true,
            Party::Host(host) => {
                let host = &self.hosts.hosts[host];
                host.sound && host.behind.is_some()
            }
        }
    }

    pub(super) fn address(self, party: Party, family: Family) -> Option<std::net::IpAddr> {
        match party {
            Party::Firewall(interface) => self.firewall.interfaces[interface].address(family),
            Party::Loopback => Some(match family {
                Family::Ipv4 => Ipv4Addr::LOCALHOST.into(),
                Family::Ipv6 => Ipv6Addr::LOCALHOST.into(),
            }),
            Party::Host(host) => self.hosts.hosts[host].address(family),
        }
    }

    /// For messages: `db`, or `the firewall on eth0`.
    fn describe(self, party: Party) -> String {
        match party {
            Party::Firewall(interface) => {
                format!(
                    "the firewall on {}",
                    quote(&self.firewall.interfaces[interface].name)
                )
            }
            Party::Loopback => "the firewall on its loopback interface".to_owned(),
            Party::Host(host) => quote(&self.hosts.hosts[host].name),
        }
    }
}

impl Reader<'_> {
    /// `None` when an end is unknown, or known to be broken elsewhere.
    pub(super) fn ends(&mut self, from: Word<'_>, to: Word<'_>, world: World<'_>) -> Option<Ends> {
        let sender = self.end(from, world);
        let receiver = self.end(to, world);
        match world.meet(sender?, receiver?) {
            Ok(ends) => return Some(ends),
            Err(Apart::Broken) => {}
            Err(Apart::Same) => {
                let message = format!("{to} is both ends of this test");
                self.problem(to.span, message);
            }
            Err(Apart::Behind(side)) => {
                let side = &world.firewall.interfaces[side].name;
                let (one, other) = (quote(from.text), quote(to.text));
                let message = format!("{one} and {other} are both behind {}", quote(side));
                self.problem(to.span, message)
                    .label("what one sends to the other never reaches the firewall");
            }
            Err(Apart::Families(sender, receiver)) => {
                let has = |party| {
                    let addresses = match world.families(party).as_slice() {
                        [] => "no address".to_owned(),
                        some => format!("only {}", family_names(some)),
                    };
                    format!("{} has {addresses}", world.describe(party))
                };
                let message = format!("{}, {}", has(sender), has(receiver));
                self.problem(to.span, message)
                    .label("the two ends share no address family");
            }
        }
        None
    }

    pub(super) fn end(&mut self, word: Word<'_>, world: World<'_>) -> Option<End> {
        if word.text == "firewall" {
            return Some(End::Firewall(None));
        }
        if let Some((_, end)) = self.known_ends.iter().find(|(name, _)| name == word.text) {
            return Some(*end);
        }
        if let Some((firewall, interface)) = word.split_once("@")
            && firewall.text == "firewall"
        {
            let found = world
                .firewall
                .names()
                .position(|name| name == interface.text);
            if found.is_none() && world.firewall.complete {
                let help = words::suggest(interface.text, world.firewall.names());
                self.no_such(interface, "interface", help);
            }
            return Some(End::Firewall(Some(found?)));
        }
        let found = world.hosts.find(word.text);
        if found.is_none() && world.hosts.complete {
            let help = if RESERVED.contains(&word.text) {
                Some(format!(
                    "{word} is not an end of a test; write a host or `firewall`"
                ))
            } else {
                let hosts = world.hosts.hosts.iter().map(|host| host.name.as_str());
                words::suggest(word.text, hosts.chain(["firewall"]))
            };
            self.no_such(word, "host", help);
        }
        found.map(End::Host)
    }
}
