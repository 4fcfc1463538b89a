//! The firewall's interfaces, routes and neighbours, as the agent makes them.

use std::net::IpAddr;

use firedrill_harness::protocol::{InterfaceSpec, LabSpec, NeighbourSpec, RouteSpec, VlanSpec};
use ipnet::IpNet;

use crate::scenario::{Firewall, Scenario};

pub(crate) fn lab(scenario: &Scenario) -> LabSpec {
    let firewall = &scenario.firewall;
    let mut routes: Vec<RouteSpec> = firewall
        .routes
        .iter()
        .map(|route| RouteSpec {
            destination: route.destination,
            via: Some(route.via),
            interface: route.interface,
        })
        .collect();
    let mut neighbours: Vec<NeighbourSpec> = firewall
        .routes
        .iter()
        .map(|route| NeighbourSpec {
            interface: route.interface,
            address: route.via,
        })
        .collect();
    for host in &scenario.hosts {
        let addresses = host
            .ipv4
            .map(IpAddr::V4)
            .into_iter()
            .chain(host.ipv6.map(IpAddr::V6));
        for address in addresses {
            let reach = reach(firewall, host.behind, address);
            if reach == Reach::Route {
                continue;
            }
            neighbours.push(NeighbourSpec {
                interface: host.behind,
                address,
            });
            if reach == Reach::Nothing {
                routes.push(RouteSpec {
                    destination: IpNet::from(address),
                    via: None,
                    interface: host.behind,
                });
            }
        }
    }
    neighbours.sort_by_key(|neighbour| (neighbour.interface, neighbour.address));
    neighbours.dedup();
    LabSpec {
        interfaces: firewall
            .interfaces
            .iter()
            .map(|interface| InterfaceSpec {
                name: interface.name.clone(),
                addresses: interface.addresses.clone(),
                vlan: interface.vlan.map(|vlan| VlanSpec {
                    on: vlan.on,
                    id: vlan.id,
                    service: vlan.service,
                }),
            })
            .collect(),
        routes,
        neighbours,
        forwarding: firewall.forwarding,
        sysctl: firewall.sysctl.clone(),
    }
}

/// How the firewall reaches a host by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is on the link.
    Link,
    /// By one of the scenario's routes: through its gateway, wherever that is. A host whose address is
    /// routed elsewhere is one that spoofs.
    Route,
    /// Not at all: the lab adds a route.
    Nothing,
}

fn reach(firewall: &Firewall, behind: usize, address: IpAddr) -> Reach {
    let on_link = firewall
        .interfaces
        .get(behind)
        .is_some_and(|interface| interface.addresses.iter().any(|net| net.contains(&address)));
    if on_link {
        return Reach::Link;
    }
    let routed = firewall
        .routes
        .iter()
        .any(|route| route.destination.contains(&address));
    if routed { Reach::Route } else { Reach::Nothing }
}
