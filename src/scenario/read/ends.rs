//! The two ends of a test: who they are, and which address families they share.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        Family, Party,
        tree::Word,
        words::{self, quote},
    },
    Reader,
    address::family_names,
    firewall::FirewallDraft,
    hosts::{HostDrafts, RESERVED},
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
enum End {
    /// With the interface after `@`.
    Firewall(Option<usize>),
    Host(usize),
}

impl World<'_> {
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
        let (sender, receiver) = (sender?, receiver?);
        let behind = |host: usize| world.hosts.hosts[host].behind;
        let (from_party, to_party) = match (sender, receiver) {
            (End::Firewall(None), End::Firewall(None)) => (Party::Loopback, Party::Loopback),
            // Without an interface, the kernel would take the same address for both.
            (End::Firewall(from), End::Firewall(to)) => {
                (Party::Firewall(from.or(to)?), Party::Firewall(to.or(from)?))
            }
            (End::Firewall(at), End::Host(host)) => {
                (Party::Firewall(at.or(behind(host))?), Party::Host(host))
            }
            (End::Host(host), End::Firewall(at)) => {
                (Party::Host(host), Party::Firewall(at.or(behind(host))?))
            }
            (End::Host(one), End::Host(other)) => {
                if one == other {
                    let message = format!("{} is both ends of this test", quote(to.text));
                    self.problem(to.span, message);
                    return None;
                }
                if let (Some(side), Some(same)) = (behind(one), behind(other))
                    && side == same
                {
                    let side = &world.firewall.interfaces[side].name;
                    let (one, other) = (quote(from.text), quote(to.text));
                    let message = format!("{one} and {other} are both behind {}", quote(side));
                    self.problem(to.span, message)
                        .label("what one sends to the other never reaches the firewall");
                    return None;
                }
                (Party::Host(one), Party::Host(other))
            }
        };
        if !world.sound(from_party) || !world.sound(to_party) {
            return None;
        }
        let (left, right) = (world.families(from_party), world.families(to_party));
        let families: Vec<Family> = left.iter().copied().filter(|f| right.contains(f)).collect();
        if families.is_empty() {
            let has = |party, families: &[Family]| {
                let addresses = match families {
                    [] => "no address".to_owned(),
                    some => format!("only {}", family_names(some)),
                };
                format!("{} has {addresses}", world.describe(party))
            };
            let message = format!("{}, {}", has(from_party, &left), has(to_party, &right));
            self.problem(to.span, message)
                .label("the two ends share no address family");
            return None;
        }
        Some(Ends {
            from: from_party,
            to: to_party,
            families,
        })
    }

    fn end(&mut self, word: Word<'_>, world: World<'_>) -> Option<End> {
        if word.text == "firewall" {
            return Some(End::Firewall(None));
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
                    "{} is not an end of a test; write a host or `firewall`",
                    quote(word.text)
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
