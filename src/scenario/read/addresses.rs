//! Ends of a question that are addresses: who that is, and on which side of the firewall.

use std::net::IpAddr;

use crate::scenario::{
    format::words,
    read::{
        Reader,
        address::family_of,
        ends::End,
        firewall::FirewallDraft,
        hosts::{HostDraft, HostDrafts},
    },
    text::source::Span,
};

/// An end that is an address.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    /// As written: the address, with the interface behind `@` if one is given.
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// Where it comes in, and where that is written.
    pub(crate) interface: Option<(String, Span)>,
}

impl Reader<'_> {
    /// Finds out who the strangers are; those whom nobody knows become hosts.
    pub(crate) fn strangers(
        &mut self,
        strangers: &[Stranger],
        firewall: &FirewallDraft,
        hosts: &mut HostDrafts,
    ) {
        let mut sides = Vec::new();
        for stranger in strangers {
            if self
                .known_ends
                .iter()
                .any(|(name, _)| *name == stranger.name)
            {
                continue;
            }
            let asked = stranger.interface.as_ref().map(|(name, at)| {
                let found = firewall.names().position(|known| known == name);
                if found.is_none() && firewall.complete {
                    let help = words::suggest(name, firewall.names());
                    let message = format!("unknown interface {}", words::quote(name));
                    self.problem(*at, message).help(help);
                }
                found.unwrap_or_default()
            });
            let end = match (known(stranger.address, firewall, hosts), asked) {
                (Some(end), None) => end,
                // A host is where the question wants it.
                (Some(End::Host(host)), Some(side)) => {
                    hosts.hosts[host].behind = Some(side);
                    End::Host(host)
                }
                (Some(End::Firewall(_)) | None, asked) => {
                    let side = asked
                        .or_else(|| firewall.link(stranger.address).map(|(side, _, _)| side))
                        .or_else(|| firewall.routed(stranger.address))
                        // Nobody knows: on the first side, or on the first where the other end is not.
                        .or_else(|| {
                            (0..firewall.interfaces.len()).find(|side| !sides.contains(side))
                        })
                        .unwrap_or(0);
                    let host = HostDraft::at(&stranger.name, stranger.address, side);
                    hosts.hosts.push(host);
                    End::Host(hosts.hosts.len() - 1)
                }
            };
            if let End::Host(host) = end {
                sides.extend(hosts.hosts[host].behind);
            }
            self.known_ends.push((stranger.name.clone(), end));
        }
    }
}

/// Who has this address: the firewall, or a host.
fn known(address: IpAddr, firewall: &FirewallDraft, hosts: &HostDrafts) -> Option<End> {
    let own = firewall.interfaces.iter().position(|side| {
        let mut addresses = side.addresses.iter();
        addresses.any(|(net, _)| net.addr() == address)
    });
    if own.is_some() {
        return Some(End::Firewall(own));
    }
    let mut hosts = hosts.hosts.iter();
    let has = |host: &HostDraft| host.address(family_of(address)) == Some(address);
    hosts.position(has).map(End::Host)
}
