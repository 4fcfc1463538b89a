//! `hosts:`: who sends and receives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::scenario::{
    Family, Host,
    format::{
        ADDRESS, Shape,
        words::{self, family_name, quote},
    },
    read::{
        Reader,
        address::{QUOTE_IPV6, family_of, reserved_in},
        fields::Value,
        firewall::FirewallDraft,
        keys::{keys, raw},
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

/// Names that mean something else at the end of an arrow.
pub(super) const RESERVED: [&str; 3] = ["firewall", "any", "reply"];

/// Most hosts of a scenario.
const MAX_HOSTS: usize = 4096;

keys! {
    /// A machine that sends to the firewall or receives through it.
    HOST = "host", "the host", struct HostKeys<'n> {
        /// The firewall's interface that the host is reached through.
        behind: Value<'n> = Shape::Text => raw, required;
        /// Its IPv4 address, its IPv6 address, or a list of both; need not be in the interface's network.
        address: Value<'n> = Shape::OneOrMore(&ADDRESS) => raw, required;
    }
}

/// The hosts as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct HostDrafts {
    pub(super) hosts: Vec<HostDraft>,
    /// Whether a host that is not among them does not exist.
    pub(super) complete: bool,
}

/// A host.
#[derive(Debug)]
pub(super) struct HostDraft {
    pub(super) name: String,
    pub(super) behind: Option<usize>,
    pub(super) ipv4: Option<(Ipv4Addr, Span)>,
    pub(super) ipv6: Option<(Ipv6Addr, Span)>,
    /// Whether these are all its addresses.
    pub(super) sound: bool,
}

impl HostDraft {
    /// A host of this address only.
    pub(super) fn at(name: &str, address: IpAddr, behind: usize) -> Self {
        let nowhere = Span {
            file: 0,
            start: 0,
            end: 0,
        };
        let mut host = Self {
            name: name.to_owned(),
            behind: Some(behind),
            ipv4: None,
            ipv6: None,
            sound: true,
        };
        match address {
            IpAddr::V4(address) => host.ipv4 = Some((address, nowhere)),
            IpAddr::V6(address) => host.ipv6 = Some((address, nowhere)),
        }
        host
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        families.extend(self.ipv4.map(|_| Family::Ipv4));
        families.extend(self.ipv6.map(|_| Family::Ipv6));
        families
    }

    pub(super) fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses()
            .map(|(address, _)| address)
            .find(|address| family_of(*address) == family)
    }

    fn addresses(&self) -> impl Iterator<Item = (IpAddr, Span)> {
        let ipv4 = self.ipv4.map(|(address, at)| (IpAddr::V4(address), at));
        let ipv6 = self.ipv6.map(|(address, at)| (IpAddr::V6(address), at));
        ipv4.into_iter().chain(ipv6)
    }
}

impl HostDrafts {
    pub(super) fn finish(self) -> Option<Vec<Host>> {
        let hosts = self.hosts.into_iter().map(|host| {
            Some(Host {
                name: host.name,
                behind: host.behind?,
                ipv4: host.ipv4.map(|(address, _)| address),
                ipv6: host.ipv6.map(|(address, _)| address),
            })
        });
        hosts.collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.name == name)
    }

    fn with_address(&self, ip: IpAddr) -> Option<(&HostDraft, Span)> {
        self.hosts.iter().find_map(|host| {
            let mut addresses = host.addresses();
            let (_, at) = addresses.find(|(address, _)| *address == ip)?;
            Some((host, at))
        })
    }
}

impl Reader<'_> {
    pub(super) fn hosts(&mut self, value: Value<'_>, firewall: &FirewallDraft) -> HostDrafts {
        let mut hosts = HostDrafts::default();
        let Some(entries) = self.entries(value, "a map of hosts") else {
            return hosts;
        };
        if entries.is_empty() {
            self.problem(value.at, "there is no host to send or receive anything")
                .help("add at least one: `internet: { behind: eth0, address: 198.51.100.7 }`");
            return hosts;
        }
        if entries.len() > MAX_HOSTS {
            self.problem(
                value.at,
                format!("a scenario has at most {MAX_HOSTS} hosts"),
            );
            return hosts;
        }
        for (name, value) in entries {
            let named = self.host_name(name);
            let host = self.host(name, value, firewall, &hosts);
            hosts.hosts.push(HostDraft {
                sound: host.sound && named,
                ..host
            });
        }
        hosts.complete = !self.incomplete;
        hosts
    }

    fn host_name(&mut self, name: Word<'_>) -> bool {
        if RESERVED.contains(&name.text) {
            self.problem(name.span, format!("a host cannot be called {name}"))
                .label("this word has a meaning of its own in tests");
            return false;
        }
        let mut letters = name.text.chars();
        let first = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !first || !rest {
            self.problem(
                name.span,
                format!("{name} is not a name for a host"),
            )
            .help("a name begins with a letter and goes on with letters, digits, `_`, `.` and `-`");
        }
        first && rest
    }

    fn host(
        &mut self,
        name: Word<'_>,
        value: Value<'_>,
        firewall: &FirewallDraft,
        others: &HostDrafts,
    ) -> HostDraft {
        let mut host = HostDraft {
            name: name.text.to_owned(),
            behind: None,
            ipv4: None,
            ipv6: None,
            sound: true,
        };
        let Some(keys) = HostKeys::read(self, value) else {
            host.sound = false;
            return host;
        };
        if let Some(value) = keys.behind {
            host.behind = self.behind(value, firewall);
        }
        let Some(value) = keys.address else {
            host.sound = false;
            return host;
        };
        let items = match value.node.kind {
            Kind::Map(_) => {
                self.unexpected(value, "an address").help(QUOTE_IPV6);
                host.sound = false;
                return host;
            }
            _ => self.one_or_more(value, "an address or a list of addresses"),
        };
        if items.is_empty() {
            host.sound = false;
            if let Kind::List(_) = value.node.kind {
                self.problem(value.at, format!("the host {name} has no address"));
            }
        }
        for item in items {
            if self
                .add_address(&mut host, item, firewall, others)
                .is_none()
            {
                host.sound = false;
            }
        }
        host
    }

    fn behind(&mut self, value: Value<'_>, firewall: &FirewallDraft) -> Option<usize> {
        let word = self.line(value, "the name of an interface")?;
        let found = firewall.names().position(|name| name == word.text);
        if found.is_none() && firewall.complete {
            let help = words::suggest(word.text, firewall.names());
            self.no_such(word, "interface", help);
        }
        found
    }

    fn add_address(
        &mut self,
        host: &mut HostDraft,
        item: Value<'_>,
        firewall: &FirewallDraft,
        others: &HostDrafts,
    ) -> Option<()> {
        if let Kind::Map(_) = item.node.kind {
            self.unexpected(item, "an address").help(QUOTE_IPV6);
            return None;
        }
        let word = self.line(item, "an address")?;
        let ip = self.host_address(word)?;
        let first = match ip {
            IpAddr::V4(_) => host.ipv4.map(|(_, at)| at),
            IpAddr::V6(_) => host.ipv6.map(|(_, at)| at),
        };
        if let Some(first) = first {
            let family = family_name(family_of(ip));
            self.problem(
                word.span,
                format!("{} has a second {family} address", quote(&host.name)),
            )
            .also(first, "the first is here")
            .help("give the second address to a host of its own");
            return None;
        }
        self.check_place(host, ip, word, firewall, others)?;
        match ip {
            IpAddr::V4(address) => host.ipv4 = Some((address, word.span)),
            IpAddr::V6(address) => host.ipv6 = Some((address, word.span)),
        }
        Some(())
    }

    /// Whether the address can be on this side of the firewall.
    fn check_place(
        &mut self,
        host: &HostDraft,
        ip: IpAddr,
        word: Word<'_>,
        firewall: &FirewallDraft,
        others: &HostDrafts,
    ) -> Option<()> {
        if let Some((side, at)) = firewall.owner(ip) {
            let message = format!("{ip} is the firewall's own address");
            let label = format!("on {}", quote(&side.name));
            self.problem(word.span, message).also(at, label);
            return None;
        }
        if let Some((other, at)) = others.with_address(ip) {
            let message = format!(
                "{} and {} share the address {ip}",
                quote(&other.name),
                quote(&host.name)
            );
            let label = format!("{} has it", quote(&other.name));
            self.problem(word.span, message).also(at, label);
            return None;
        }
        let behind = host.behind?;
        let side = &firewall.interfaces[behind];
        if let Some((link, net, at)) = firewall.link(ip) {
            let net_name = net.trunc();
            if link != behind {
                let other = &firewall.interfaces[link].name;
                let message = format!(
                    "{ip} is inside {other}'s {net_name}, but {} is behind {}",
                    host.name, side.name
                );
                self.problem(word.span, message)
                    .also(at, format!("{other}'s network"));
                return None;
            }
            if let Some(why) = reserved_in(net, ip) {
                self.problem(word.span, format!("{ip} is the {why} of {net_name}"))
                    .also(at, format!("{}'s network", side.name));
                return None;
            }
        }
        let family = family_of(ip);
        if side.sound && side.address(family).is_none() {
            let family = family_name(family);
            let message = format!(
                "{} has no {family} address, so this host cannot be reached",
                side.name
            );
            self.problem(word.span, message)
                .also(side.at, format!("no {family} address here"));
            return None;
        }
        Some(())
    }
}
