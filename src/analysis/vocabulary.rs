//! What a configuration speaks of: the ports and addresses in its texts, whatever its dialect. They are only
//! tried, so a number that is something else costs a packet and nothing more.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;

use crate::scenario::service_port;

/// The most of each kind.
const MAX: usize = 64;
/// What nearly every firewall lets through somewhere.
const USUAL_TCP: [u16; 5] = [22, 80, 443, 25, 53];
const USUAL_UDP: [u16; 4] = [53, 123, 443, 51820];
/// The most of a text that is read, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Ports and addresses, the likeliest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vocabulary {
    /// Of TCP, or of what may be TCP.
    pub(super) tcp: Vec<u16>,
    /// Of UDP, or of what may be UDP.
    pub(super) udp: Vec<u16>,
    /// One of each network.
    pub(super) addresses: Vec<IpAddr>,
    /// Names that look like those of interfaces, sorted.
    pub(super) interfaces: Vec<String>,
}

impl Vocabulary {
    pub(super) fn of<'a>(texts: impl Iterator<Item = Cow<'a, str>>) -> Self {
        let (mut likely, mut unlikely) = (Found::default(), Found::default());
        for text in texts {
            for line in text[..text.floor_char_boundary(MAX_TEXT)].lines() {
                // A comment says what people think.
                let line = match line.find(" #") {
                    _ if line.trim_start().starts_with('#') => continue,
                    Some(comment) => &line[..comment],
                    None => line,
                };
                let lower = line.to_ascii_lowercase();
                let telling = ["port", "service", "accept", "allow"];
                if telling.iter().any(|word| lower.contains(word)) {
                    likely.line(line);
                } else {
                    unlikely.line(line);
                }
            }
        }
        fn all<T: PartialEq>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
            let mut all = Vec::new();
            for one in first.into_iter().chain(second) {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            all.truncate(MAX);
            all
        }
        // Macros of some dialects have names of their own.
        unlikely.tcp.extend(USUAL_TCP);
        unlikely.udp.extend(USUAL_UDP);
        Self {
            tcp: all(likely.tcp, unlikely.tcp),
            udp: all(likely.udp, unlikely.udp),
            addresses: all(likely.addresses, unlikely.addresses),
            interfaces: {
                let mut names = all(likely.interfaces, unlikely.interfaces);
                names.sort();
                names
            },
        }
    }
}

#[derive(Default)]
struct Found {
    tcp: Vec<u16>,
    udp: Vec<u16>,
    addresses: Vec<IpAddr>,
    interfaces: Vec<String>,
    known: BTreeSet<String>,
}

impl Found {
    fn line(&mut self, line: &str) {
        let part_of_word = |c: char| c.is_ascii_alphanumeric() || "_.:/+*-".contains(c);
        let mut before = "";
        for word in line.split(|c| !part_of_word(c)) {
            let word = word.trim_matches(['.', ':']);
            if word.is_empty() {
                continue;
            }
            if is_interface(word, before) && self.interfaces.len() < MAX {
                self.interfaces.push(word.replace(['*', '+'], "0"));
            }
            before = word;
            if self.tcp.len() + self.udp.len() + self.addresses.len() < 3 * MAX
                && self.known.insert(word.to_owned())
            {
                self.word(word);
            }
        }
    }

    fn word(&mut self, word: &str) {
        if let Ok(address) = word.parse::<IpAddr>() {
            return self.address(address);
        }
        if let Ok(end) = word.parse::<SocketAddr>() {
            self.address(end.ip());
            self.tcp.push(end.port());
            self.udp.push(end.port());
            return;
        }
        if let Ok(net) = word.parse::<IpNet>() {
            // The first address of a network is nobody's own.
            let first = match net {
                IpNet::V4(net) => net.hosts().next().map(IpAddr::V4),
                IpNet::V6(net) => net.hosts().nth(1).map(IpAddr::V6),
            };
            return self.address(first.unwrap_or(net.addr()));
        }
        // A range's ends, and the port of `443/tcp`.
        for part in word.split(['-', ':', '/']) {
            if let Ok(port @ 1..) = part.parse::<u16>() {
                self.tcp.push(port);
                self.udp.push(port);
            } else if let Ok(address) = part.parse::<IpAddr>()
                && word.contains('-')
            {
                self.address(address);
            }
        }
        self.tcp.extend(service_port("tcp", word));
        self.udp.extend(service_port("udp", word));
    }

    fn address(&mut self, address: IpAddr) {
        if !(address.is_unspecified() || address.is_loopback() || address.is_multicast()) {
            self.addresses.push(address);
        }
    }
}

/// Whether a word is the name of an interface: it stands where one does, or looks like one.
fn is_interface(word: &str, before: &str) -> bool {
    const BEFORE: [&str; 10] = [
        "iif",
        "oif",
        "iifname",
        "oifname",
        "-i",
        "-o",
        "--in-interface",
        "--out-interface",
        "device",
        "interface",
    ];
    const LIKE: [&str; 18] = [
        "eth", "ens", "eno", "enp", "enx", "wlan", "wlp", "wl", "bond", "br", "ppp", "tun", "tap",
        "wg", "vlan", "docker", "virbr", "veth",
    ];
    let name = word.trim_end_matches(['*', '+']);
    let usual = !name.is_empty()
        && name.len() <= 15
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || ".sfnpd".contains(c));
    let numbered = word.ends_with(|c: char| c.is_ascii_digit() || "*+".contains(c));
    let like = numbered
        && LIKE.iter().any(|like| {
            kind == like.trim_end_matches(|c| ".sfnpd".contains(c)) && name.starts_with(like)
        });
    let grammar = ["vmap", "map", "lo", "set", "and", "or"];
    usual && !grammar.contains(&word) && (like || BEFORE.contains(&before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vocabulary {
        Vocabulary::of([Cow::Borrowed(text)].into_iter())
    }

    #[test]
    fn ports_and_addresses_of_every_dialect_are_found() {
        let nft = of(
            "define WEB = { 80, 443 }\n# 2024: ssh\ntcp dport { ssh, 8000-8080 } ip saddr 203.0.113.0/24 accept\n",
        );
        assert_eq!(nft.tcp[..5], [22, 8000, 8080, 80, 443]);
        assert_eq!(
            nft.addresses,
            ["203.0.113.1".parse::<IpAddr>().expect("an address")]
        );
        let save =
            of("-A INPUT -i eth0 -p tcp -m multiport --dports 25,587 -s 2001:db8::/32 -j ACCEPT\n");
        assert_eq!(save.tcp[..2], [25, 587]);
        assert_eq!(
            save.addresses,
            ["2001:db8::1".parse::<IpAddr>().expect("an address")]
        );
        let nat = of("tcp dport 8080 dnat to 10.0.0.5:81\n");
        assert_eq!(nat.tcp[..2], [8080, 81]);
        assert_eq!(
            nat.addresses,
            ["10.0.0.5".parse::<IpAddr>().expect("an address")]
        );
        let zone = of("<service name=\"https\"/>\n<port port=\"9100\" protocol=\"tcp\"/>\n");
        assert_eq!(zone.tcp[..2], [443, 9100]);
    }

    #[test]
    fn interfaces_are_found_by_their_place_or_their_look() {
        let nft = of(
            "define LAN = { enp3s0f1, \"wg0\" }\niifname \"public\" oifname vmap { \"eth*\" : accept }\niif lo accept\n",
        );
        assert_eq!(nft.interfaces, ["enp3s0f1", "eth0", "public", "wg0"]);
        assert_eq!(
            of("-A FORWARD -i br-lan -o ppp+ -j ACCEPT").interfaces,
            ["br-lan", "ppp0"]
        );
        assert!(
            of("tcp dport 80 accept comment \"ethernet\"")
                .interfaces
                .is_empty()
        );
    }
}
