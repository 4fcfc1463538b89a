//! `routes:` of the firewall, `10.9.0.0/16 via 10.0.0.2`.

use ipnet::IpNet;

use crate::scenario::{
    Route,
    format::words::quote,
    read::{
        Reader,
        address::{family_of, family_of_net},
        fields::Value,
        firewall::FirewallDraft,
    },
    text::{source::Span, tree::Word},
};

impl Reader<'_> {
    pub(super) fn routes(&mut self, value: Value<'_>, firewall: &FirewallDraft) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        let mut seen: Vec<(IpNet, Span)> = Vec::new();
        for item in self.one_or_more(value, "a route or a list of routes") {
            let Some(word) = self.line(item, "a route") else {
                continue;
            };
            let Some(route) = self.route(word, firewall) else {
                continue;
            };
            let twin = seen.iter().find(|(other, _)| *other == route.destination);
            if let Some((destination, first)) = twin {
                self.problem(word.span, format!("two routes lead to {destination}"))
                    .also(*first, "the first is here");
                continue;
            }
            seen.push((route.destination, word.span));
            routes.push(route);
        }
        routes
    }

    fn route(&mut self, word: Word<'_>, firewall: &FirewallDraft) -> Option<Route> {
        let words: Vec<Word<'_>> = word.split_whitespace().collect();
        let [destination, via, gateway] = words.as_slice() else {
            self.not_a_route(word);
            return None;
        };
        if via.text != "via" {
            self.not_a_route(word);
            return None;
        }
        let address = self.ip(*gateway);
        let network = self.network(*destination, address);
        let (address, network) = (address?, network?);
        if family_of(address) != family_of_net(network) {
            self.problem(
                word.span,
                "a route's network and gateway must be of one family",
            );
            return None;
        }
        if let Some((side, at)) = firewall.owner(address) {
            let message = format!("the gateway {address} is the firewall itself");
            let label = format!("its address on {}", quote(&side.name));
            self.problem(gateway.span, message).also(at, label);
            return None;
        }
        let Some((interface, _, _)) = firewall.link(address) else {
            // The network that it is in may be the one that could not be read.
            if firewall.complete && firewall.interfaces.iter().all(|side| side.sound) {
                let message = format!("the gateway {address} is in no interface's network");
                self.problem(gateway.span, message).help(
                    "a gateway must be reachable directly, inside the network of one interface",
                );
            }
            return None;
        };
        Some(Route {
            destination: network,
            via: address,
            interface,
        })
    }

    fn not_a_route(&mut self, word: Word<'_>) {
        self.problem(word.span, format!("{word} is not a route"))
            .help("a route reads `NETWORK via GATEWAY`, for example `default via 192.0.2.1`");
    }
}
