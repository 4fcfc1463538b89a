//! Addresses: what is written, and whether a machine can have it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::scenario::{
    Family,
    format::words::{family_name, quote},
    read::Reader,
    text::tree::Word,
};

/// What people forget: a colon at the end of an unquoted word makes it a key.
pub(super) const QUOTE_IPV6: &str =
    "an IPv6 address that begins or ends with a colon must be in quotes";

pub(super) fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

pub(super) fn family_of_net(net: IpNet) -> Family {
    family_of(net.addr())
}

impl Reader<'_> {
    /// An address without a prefix length.
    pub(super) fn ip(&mut self, word: Word<'_>) -> Option<IpAddr> {
        if let Ok(address) = word.text.parse() {
            return Some(address);
        }
        let help = match word.text.parse::<IpNet>() {
            Ok(net) => Some(format!(
                "write {}, without a prefix length",
                quote(&net.addr().to_string())
            )),
            Err(_) => None,
        };
        self.problem(word.span, format!("{word} is not an IP address"))
            .help(help);
        None
    }

    /// An address with the length of its network, `192.0.2.10/24`.
    pub(super) fn interface_address(&mut self, word: Word<'_>) -> Option<IpNet> {
        let Some((address, length)) = word.split_once("/") else {
            if let Some(address) = self.ip(word) {
                let length = if address.is_ipv4() { 24 } else { 64 };
                self.problem(word.span, format!("{word} has no prefix length"))
                    .help(format!(
                        "add the length of the interface's network, for example {}",
                        quote(&format!("{address}/{length}"))
                    ));
            }
            return None;
        };
        let ip = self.ip(address)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = self.number_in(length, "a prefix length", 1..=most)?;
        let net = IpNet::new(ip, u8::try_from(length).ok()?).ok()?;
        if let Some(why) = unusable(ip) {
            self.problem(
                address.span,
                format!("{address} is {why}, no address for an interface"),
            );
            return None;
        }
        if let Some(why) = reserved_in(net, ip) {
            self.problem(
                address.span,
                format!("{address} is the {why} of {}", net.trunc()),
            )
            .help(
                "write the address of the interface itself, followed by the length of its network",
            );
            return None;
        }
        Some(net)
    }

    /// The address of a host.
    pub(super) fn host_address(&mut self, word: Word<'_>) -> Option<IpAddr> {
        let ip = self.ip(word)?;
        if let Some(why) = unusable(ip) {
            self.problem(word.span, format!("{word} is {why}, no address for a host"));
            return None;
        }
        Some(ip)
    }

    /// A network, `10.9.0.0/16`, or `default` of this family.
    pub(super) fn network(&mut self, word: Word<'_>, gateway: Option<IpAddr>) -> Option<IpNet> {
        if word.text == "default" {
            let everything = match gateway? {
                IpAddr::V4(_) => "0.0.0.0/0",
                IpAddr::V6(_) => "::/0",
            };
            return everything.parse().ok();
        }
        let Ok(net) = word.text.parse::<IpNet>() else {
            let help = match word.text.parse::<IpAddr>() {
                Ok(ip) => Some(format!(
                    "for this address alone write {}",
                    quote(&IpNet::from(ip).to_string())
                )),
                Err(_) => {
                    Some("a destination is `default` or a network such as `10.9.0.0/16`".to_owned())
                }
            };
            self.problem(word.span, format!("{word} is not a network"))
                .help(help);
            return None;
        };
        if net != net.trunc() {
            self.problem(word.span, format!("{word} is an address inside a network"))
                .help(format!(
                    "the network is {}",
                    quote(&net.trunc().to_string())
                ));
            return None;
        }
        Some(net)
    }
}

/// Why no machine can have this address, if so.
pub(crate) fn unusable(ip: IpAddr) -> Option<&'static str> {
    if ip.is_unspecified() {
        return Some("the unspecified address");
    }
    if ip.is_loopback() {
        return Some("a loopback address");
    }
    if ip.is_multicast() {
        return Some("a multicast address");
    }
    match ip {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address written as IPv6"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Some("a link-local address (the kernel makes its own)")
        }
        _ => None,
    }
}

/// What this address is in its network, if no machine can have it there.
pub(super) fn reserved_in(net: IpNet, ip: IpAddr) -> Option<&'static str> {
    // RFC 3021 and RFC 6164: networks of two addresses have no special ones.
    let special = net.max_prefix_len() - net.prefix_len() > 1;
    if special && ip == net.network() {
        return Some(match family_of(ip) {
            Family::Ipv4 => "network address",
            Family::Ipv6 => "subnet-router anycast address",
        });
    }
    if special && ip.is_ipv4() && ip == net.broadcast() {
        return Some("broadcast address");
    }
    None
}

/// `IPv4`, `IPv6`, or `IPv4 and IPv6`.
pub(super) fn family_names(families: &[Family]) -> String {
    let names: Vec<&str> = families.iter().map(|family| family_name(*family)).collect();
    names.join(" and ")
}
