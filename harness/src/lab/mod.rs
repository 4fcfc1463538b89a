//! The lab: the firewall's network namespace, wired to one far end per interface.
//!
//! Far ends have no IP stack of their own: they are veth ends on which the prober sends and listens.
//! Addresses that should answer are entered as permanent neighbours, so no resolution, no duplicate
//! address detection and no router discovery disturbs a verdict.
//!
//! This room owns interfaces, addresses, routes and sysctls. It never sends a packet.

use std::{fs, net::IpAddr};

use ipnet::IpNet;

use firedrill_wire::{
    packet::VlanTag,
    protocol::{Broken, InterfaceSpec, LabSpec},
};

use crate::{
    error::Doing,
    kernel::{
        netns::NetNs,
        route::{RouteSocket, Veth},
    },
};

/// The loopback interface is the first of every namespace (`LOOPBACK_IFINDEX`, linux/net/core).
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// Interface indices start behind the loopback interface.
const FIRST_INDEX: u32 = 2;

/// Room between the far ends of two labs in one world. It also keeps the indices of the two ends of a
/// link apart: where they are equal, the kernel takes its time (up to a second) to switch the link on.
const LAB_STRIDE: u32 = 1000;

/// A finished lab.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Where the candidate lives.
    pub(crate) firewall: NetNs,
    /// One per interface of the specification, in its order.
    pub(crate) links: Vec<Link>,
}

/// Both ends of one interface.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Name in the firewall.
    pub(crate) name: String,
    /// Index in the firewall's namespace; the same in every lab of a specification.
    pub(crate) firewall_index: u32,
    pub(crate) firewall_mac: [u8; 6],
    /// Index in the world's namespace.
    pub(crate) far_index: u32,
    pub(crate) far_mac: [u8; 6],
    /// The link of the device itself: this one, or the one that it is a VLAN of.
    pub(crate) device: usize,
    /// The tags of its frames on that device, the outermost first.
    pub(crate) tags: Vec<VlanTag>,
}

#[cfg(test)]
impl Link {
    /// The link of a lab's only interface, for tests that send nothing.
    pub(crate) fn example(tags: Vec<VlanTag>) -> Self {
        Self {
            name: "eth0".to_owned(),
            firewall_index: 2,
            firewall_mac: [2, 0, 0, 0, 0, 1],
            far_index: 1000,
            far_mac: [2, 0, 0, 0, 0, 2],
            device: 0,
            tags,
        }
    }
}

/// Settings of the kernel before interfaces exist, which inherit them. Forwarding comes first, because
/// changing it resets others.
const SETTINGS: &[(&str, &str)] = &[
    // Of 5,000 rejected packets the kernel's rate limit let 6 errors out: a reject would look like a
    // drop. An empty mask limits no type.
    ("net.ipv4.icmp_ratemask", "0"),
    ("net.ipv6.icmp.ratemask", ""),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.dad_transmits", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.autoconf", "0"),
];

/// A fresh namespace inherits these from the machine (`net.core.devconf_inherit_init_net`); the lab has
/// the kernel's own defaults (`ipv4_devconf`, net/ipv4/devinet.c), so that a verdict does not depend on
/// where it was found.
const IPV4_DEFAULTS: &[(&str, &str)] = &[
    ("accept_local", "0"),
    ("accept_redirects", "1"),
    ("accept_source_route", "0"),
    ("arp_filter", "0"),
    ("arp_ignore", "0"),
    ("log_martians", "0"),
    ("route_localnet", "0"),
    ("rp_filter", "0"),
    ("secure_redirects", "1"),
    ("send_redirects", "1"),
    ("src_valid_mark", "0"),
];

impl Lab {
    /// Builds the lab from `world`, where the far ends stay. `number` tells several labs of one world
    /// apart. The thread is in `world` before and after.
    pub(crate) fn build(
        spec: &LabSpec,
        world: &NetNs,
        firewall: NetNs,
        number: u32,
    ) -> Result<Self, Broken> {
        firewall.run(world, || {
            let forwarding = if spec.forwarding { "1" } else { "0" };
            set_sysctl("net.ipv4.ip_forward", forwarding)?;
            set_ipv6_sysctl("net.ipv6.conf.all.forwarding", forwarding)?;
            for (name, value) in IPV4_DEFAULTS {
                for whose in ["all", "default"] {
                    set_sysctl(&format!("net.ipv4.conf.{whose}.{name}"), value)?;
                }
            }
            for (name, value) in SETTINGS {
                if name.starts_with("net.ipv6.") {
                    set_ipv6_sysctl(name, value)?;
                } else {
                    set_sysctl(name, value)?;
                }
            }
            Ok(())
        })?;
        // The far ends must not answer, resolve or announce anything.
        set_ipv6_sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;

        let mut links: Vec<Link> = Vec::new();
        for (position, interface) in (0_u32..).zip(&spec.interfaces) {
            links.push(link_of(interface, position, number, &links)?);
        }
        let mut here = RouteSocket::open()?;
        for (_, link) in devices(&links) {
            here.add_veth(
                &Veth {
                    far_name: format!("far{}", link.far_index),
                    far_index: link.far_index,
                    far_mac: link.far_mac,
                    firewall_name: &link.name,
                    firewall_index: link.firewall_index,
                    firewall_mac: link.firewall_mac,
                },
                &firewall,
            )?;
        }
        firewall.run(world, || {
            let mut there = RouteSocket::open()?;
            there.set_up(LOOPBACK_INDEX)?;
            for (link, interface) in links.iter().zip(&spec.interfaces) {
                if let Some(vlan) = &interface.vlan {
                    let below = self::link(&links, vlan.on)?.firewall_index;
                    there.add_vlan(&link.name, link.firewall_index, below, vlan)?;
                }
                there.set_up(link.firewall_index)?;
                there.await_operational(link.firewall_index)?;
                for address in &interface.addresses {
                    there.add_address(link.firewall_index, *address)?;
                }
            }
            for route in &spec.routes {
                let link = link(&links, route.interface)?;
                there.add_route(link.firewall_index, route)?;
            }
            for neighbour in &spec.neighbours {
                let link = link(&links, neighbour.interface)?;
                there.add_neighbour(link.firewall_index, neighbour.address, link.far_mac)?;
            }
            let addresses = spec
                .interfaces
                .iter()
                .flat_map(|interface| &interface.addresses);
            addresses
                .map(IpNet::addr)
                .filter(IpAddr::is_ipv6)
                .try_for_each(|address| there.await_local(address))
        })?;
        devices(&links).try_for_each(|(_, link)| here.await_operational(link.far_index))?;
        Ok(Self { firewall, links })
    }

    /// Sets the scenario's own sysctls. The inner error is the scenario's: the kernel refuses what it
    /// asks for.
    pub(crate) fn set_sysctls(
        &self,
        spec: &LabSpec,
        world: &NetNs,
    ) -> Result<Result<(), Broken>, Broken> {
        self.firewall.run(world, || {
            Ok(spec
                .sysctl
                .iter()
                .try_for_each(|(name, value)| set_sysctl(name, value)))
        })
    }
}

/// Which of a lab's interfaces the kernel of the firewall knows by this index.
#[must_use]
pub fn interface_at(index: u32) -> Option<usize> {
    usize::try_from(index.checked_sub(FIRST_INDEX)?).ok()
}

/// The links that are devices of their own, with their positions.
pub(crate) fn devices(links: &[Link]) -> impl Iterator<Item = (usize, &Link)> {
    let numbered = links.iter().enumerate();
    numbered.filter(|(position, link)| link.device == *position)
}

/// Both ends of an interface; `earlier` are those before it.
fn link_of(
    interface: &InterfaceSpec,
    position: u32,
    number: u32,
    earlier: &[Link],
) -> Result<Link, Broken> {
    let [high, low] = (position as u16).to_be_bytes();
    let own = Link {
        name: interface.name.clone(),
        firewall_index: FIRST_INDEX + position,
        // Locally administered unicast addresses (IEEE 802-2014 section 8.4).
        firewall_mac: [0x02, 0xfd, 0x00, 0x01, high, low],
        far_index: (number + 1) * LAB_STRIDE + position,
        far_mac: [0x02, 0xfd, 0x00, 0x02, high, low],
        device: position as usize,
        tags: Vec::new(),
    };
    let Some(vlan) = &interface.vlan else {
        return Ok(own);
    };
    let below = link(earlier, vlan.on)?.clone();
    let tag = VlanTag {
        id: vlan.id,
        service: vlan.service,
        ..VlanTag::default()
    };
    Ok(Link {
        name: own.name,
        firewall_index: own.firewall_index,
        tags: [below.tags, vec![tag]].concat(),
        // The kernel gives a VLAN the address of the device below.
        ..below
    })
}

fn link(links: &[Link], interface: usize) -> Result<&Link, Broken> {
    links.get(interface).ok_or_else(|| {
        Broken::new(
            "read the plan",
            format!("there is no interface number {interface}"),
        )
    })
}

/// Sets a sysctl of the current network namespace, by dotted name.
fn set_sysctl(name: &str, value: &str) -> Result<(), Broken> {
    // With the newline even an empty value is written at all.
    fs::write(sysctl_path(name), format!("{value}\n")).doing(|| format!("set {name} to `{value}`"))
}

/// As [`set_sysctl`], but a kernel without IPv6 has nothing to quiet.
fn set_ipv6_sysctl(name: &str, value: &str) -> Result<(), Broken> {
    if fs::exists("/proc/sys/net/ipv6").unwrap_or(false) {
        set_sysctl(name, value)
    } else {
        Ok(())
    }
}

/// Like sysctl(8): dots part the name, and a slash stands for a dot within a part (`eth0/5`).
fn sysctl_path(name: &str) -> String {
    let swapped = name.chars().map(|letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    format!("/proc/sys/{}", swapped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_stands_for_the_dot_of_an_interface_s_name() {
        assert_eq!(
            sysctl_path("net.ipv4.conf.eth0/5.rp_filter"),
            "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"
        );
    }
}
