//! A small world made up around a configuration, for a question about it alone.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    str::FromStr,
};

use ipnet::IpNet;

use crate::analysis::vocabulary::Vocabulary;
use crate::{
    dialect::{self, Config, Layer},
    scenario::{self, Problems, Question, Scenario},
};

/// The most interfaces that are made up.
const MAX_INTERFACES: usize = 15;

/// What the scenario that is made up is called.
pub(crate) const MADE_UP: &str = "made-up.yaml";

/// How hosts are called that are only known by their address.
const NAMELESS: &str = "address-";

/// The most hosts that are made up.
const MAX_HOSTS: usize = 24;

/// Somebody who is not on the link (RFC 5737, RFC 3849).
const INTERNET_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const INTERNET_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 7));

/// How people begin the names of interfaces that lead to the internet, and of those that lead elsewhere.
const OUTSIDE: [&str; 8] = ["wan", "ppp", "ext", "out", "pub", "uplink", "inet", "red"];
const INSIDE: [&str; 18] = [
    "lan", "dmz", "int", "ins", "guest", "priv", "back", "mgmt", "admin", "lab", "br", "docker",
    "virbr", "veth", "wg", "tun", "tap", "vlan",
];

/// Where an interface stands among those that may lead to the internet: the smaller, the likelier.
fn outwardness(name: &str) -> u8 {
    let name = name.to_ascii_lowercase();
    let is = |known: &[&str]| known.iter().any(|known| name.starts_with(known));
    match name.as_str() {
        _ if is(&OUTSIDE) => 0,
        "eth0" => 1,
        _ if is(&INSIDE) => 3,
        _ => 2,
    }
}

/// An interface that the user describes: `eth0=192.0.2.10/24,2001:db8::10/64`, or its name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedInterface {
    name: String,
    addresses: Vec<IpNet>,
}

/// A world without a scenario.
#[derive(Debug, Clone)]
pub struct AdHoc {
    /// The configuration.
    pub candidate: Config,
    /// The interfaces that the user describes.
    pub interfaces: Vec<AskedInterface>,
}

/// Why a question about a world that is made up cannot be read.
#[derive(Debug)]
pub enum AdHocError {
    /// The configuration.
    Candidate(String),
    /// The question.
    Question(Problems),
}

impl FromStr for AskedInterface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
        if name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '"', ':']) {
            return Err(format!("`{name}` is not the name of an interface"));
        }
        let addresses = addresses.split(',').filter(|address| !address.is_empty());
        let addresses = addresses.map(|address| {
            let net = address.parse::<IpNet>();
            net.map_err(|_| {
                format!("`{address}` is not an address with its prefix, like 192.0.2.10/24")
            })
        });
        Ok(Self {
            name: name.to_owned(),
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }
}

impl AdHoc {
    /// Reads a question about it.
    ///
    /// # Errors
    ///
    /// See [`AdHocError`].
    pub fn ask(&self, question: Question<'_>) -> Result<Scenario, AdHocError> {
        let prepared = dialect::prepare(&self.candidate, &[Layer::Candidate], &[]);
        let prepared = prepared.map_err(|error| AdHocError::Candidate(error.to_string()))?;
        let vocabulary = Vocabulary::of(prepared.texts());
        let interfaces = self.interfaces(&vocabulary, question.packets);
        let text = self.yaml(&interfaces, &vocabulary.addresses);
        let asked = scenario::ask_about(&text, Path::new(MADE_UP), question);
        let asked = asked.map_err(AdHocError::Question)?;
        // A world that is made up has one candidate.
        let mut scenario = asked
            .into_iter()
            .next()
            .ok_or_else(|| AdHocError::Candidate("there is nothing to ask about".to_owned()))?;
        scenario.firewall.candidate = self.candidate.clone();
        for host in &mut scenario.hosts {
            let address = host.ipv4.map(IpAddr::V4).or(host.ipv6.map(IpAddr::V6));
            if let Some(address) = address.filter(|_| host.name.starts_with(NAMELESS)) {
                host.name = address.to_string();
            }
        }
        Ok(scenario)
    }

    /// What the user describes, what the ruleset and the question name, and at least one.
    fn interfaces(&self, vocabulary: &Vocabulary, packets: &[String]) -> Vec<(String, Vec<IpNet>)> {
        let mut interfaces: Vec<(String, Vec<IpNet>)> = Vec::new();
        let mut add = |name: &str, addresses: &[IpNet]| {
            let known = interfaces.iter().any(|(known, _)| known == name);
            if !known && name != "lo" && interfaces.len() < MAX_INTERFACES {
                interfaces.push((name.to_owned(), addresses.to_vec()));
            }
        };
        for asked in &self.interfaces {
            add(&asked.name, &asked.addresses);
        }
        let mut named: Vec<&str> = vocabulary.interfaces.iter().map(String::as_str).collect();
        if named.iter().any(|name| name.starts_with("eth")) {
            named.push("eth0");
        }
        // The internet is behind the first.
        named.sort_by_key(|name| outwardness(name));
        for name in named {
            add(name, &[]);
        }
        // `firewall@eth1`, `198.51.100.7@eth1`.
        let words = packets.iter().flat_map(|packet| packet.split_whitespace());
        for word in words {
            if let Some((_, name)) = word.split_once('@') {
                add(name, &[]);
            }
        }
        if interfaces.is_empty() {
            interfaces.push(("eth0".to_owned(), Vec::new()));
        }
        // What goes through needs another side to come out on.
        if interfaces.len() == 1 && packets.iter().any(|packet| goes_through(packet)) {
            let other = if interfaces[0].0 == "eth1" {
                "eth0"
            } else {
                "eth1"
            };
            interfaces.push((other.to_owned(), Vec::new()));
        }
        for (number, (_, addresses)) in (0_u8..).zip(&mut interfaces) {
            if addresses.is_empty() {
                *addresses = made_up(number);
            }
        }
        interfaces
    }

    /// The scenario. Whoever has an address of the ruleset is a host, because packets may be translated to it.
    fn yaml(&self, interfaces: &[(String, Vec<IpNet>)], addresses: &[IpAddr]) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = "firewall:\n".to_owned();
        let slots: BTreeMap<&str, &[String]> = self.candidate.slots().collect();
        let dialect = self.candidate.dialect();
        let _ = write!(text, "  {}: ", dialect.key);
        let main = dialect.main().name;
        match slots.get(main) {
            Some([only]) if slots.len() == 1 => {
                let _ = writeln!(text, "{}", quoted(only));
            }
            _ => {
                let slots = slots.iter().map(|(slot, values)| {
                    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                    match values.as_slice() {
                        [only] => format!("{slot}: {only}"),
                        several => format!("{slot}: [{}]", several.join(", ")),
                    }
                });
                let slots: Vec<String> = slots.collect();
                let _ = writeln!(text, "{{ {} }}", slots.join(", "));
            }
        }
        text += "  interfaces:\n";
        for (name, addresses) in interfaces {
            let addresses: Vec<String> = addresses
                .iter()
                .map(|net| quoted(&net.to_string()))
                .collect();
            let _ = writeln!(text, "    {}: [{}]", quoted(name), addresses.join(", "));
        }
        let (name, nets) = &interfaces[0];
        let of_family = |host: &&IpAddr| {
            nets.iter()
                .any(|net| net.addr().is_ipv6() == host.is_ipv6())
        };
        let internet = [INTERNET_V4, INTERNET_V6];
        let internet = internet.iter().filter(of_family);
        let internet: Vec<String> = internet.map(|host| quoted(&host.to_string())).collect();
        let _ = writeln!(
            text,
            "hosts:\n  internet: {{ behind: {}, address: [{}] }}",
            quoted(name),
            internet.join(", ")
        );
        let own = |address: &IpAddr| {
            let mut nets = interfaces.iter().flat_map(|(_, nets)| nets);
            nets.any(|net| {
                net.addr() == *address || net.broadcast() == *address || net.network() == *address
            })
        };
        let internet = [INTERNET_V4, INTERNET_V6];
        let others = addresses
            .iter()
            .filter(|address| !own(address) && !internet.contains(address))
            .filter(|address| scenario::unusable(**address).is_none());
        for (number, address) in others.take(MAX_HOSTS).enumerate() {
            let family = |nets: &[IpNet]| {
                nets.iter()
                    .any(|net| net.addr().is_ipv6() == address.is_ipv6())
            };
            let link = interfaces
                .iter()
                .find(|(_, nets)| nets.iter().any(|net| net.contains(address)));
            let inside = interfaces.get(1).filter(|_| is_private(*address));
            let behind = link.or(inside).unwrap_or(&interfaces[0]);
            if family(&behind.1) {
                let (name, address) = (quoted(&behind.0), quoted(&address.to_string()));
                let _ = writeln!(
                    text,
                    "  {NAMELESS}{number}: {{ behind: {name}, address: {address} }}"
                );
            }
        }
        text
    }
}

/// The addresses of an interface of which none is known: parts of the networks for documentation (RFC 5737,
/// RFC 3849).
fn made_up(number: u8) -> Vec<IpNet> {
    let v4 = IpAddr::from([192, 0, 2, number * 16 + 1]);
    let v6 = IpAddr::from([0x2001, 0xdb8, u16::from(number), 0, 0, 0, 0, 1]);
    // Both prefix lengths exist.
    [(v4, 28), (v6, 64)]
        .into_iter()
        .filter_map(|(address, length)| IpNet::new(address, length).ok())
        .collect()
}

/// Whether an address is for private use (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Whether neither end of a packet is the firewall.
fn goes_through(packet: &str) -> bool {
    let Some((from, rest)) = packet.split_once("->") else {
        return false;
    };
    let to = rest.split_whitespace().next().unwrap_or_default();
    ![from.trim(), to]
        .iter()
        .any(|end| end.starts_with("firewall"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_where_the_name_of_the_interface_says() {
        for (names, first) in [
            (["dmz0", "lan0", "wan0"], "wan0"),
            (["eth1", "eth0", "br-lan"], "eth0"),
            (["PUBLIC", "eth0", "docker0"], "PUBLIC"),
            (["wg0", "enp3s0f1", "lan"], "enp3s0f1"),
        ] {
            let found = names.iter().min_by_key(|name| outwardness(name));
            assert_eq!(found, Some(&first), "{names:?}");
        }
    }
}
