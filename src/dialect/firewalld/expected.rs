//! The rules that an element makes, in the words of the listing, after `nftables.py` of firewalld 1.3. What
//! is not known to make exactly these words makes none, and its rules have no known line then.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::xml::Element;

/// A rule that is expected in one of the chains of a zone or policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// How the chain's name ends.
    pub(super) suffix: &'static str,
    pub(super) text: String,
}

/// The most services that one includes.
const MAX_INCLUDED: usize = 256;

/// The services by name, as far as they were read.
pub(super) type Services<'a> = BTreeMap<&'a str, &'a Element>;

/// What an element of a zone or policy makes. `root` is the zone or policy.
pub(super) fn rules(element: &Element, root: &Element, services: &Services<'_>) -> Vec<Rule> {
    let rule = |suffix, text: String| Rule { suffix, text };
    match element.name.as_str() {
        "service" | "port" | "protocol" | "source-port" => matches(element, services)
            .into_iter()
            .map(|matched| rule("allow", format!("{matched} accept")))
            .collect(),
        "icmp-block" => matches(element, services)
            .into_iter()
            .map(|matched| {
                rule(
                    "deny",
                    format!("{matched} reject with icmpx admin-prohibited"),
                )
            })
            .collect(),
        "forward" => forward(root)
            .into_iter()
            .map(|matched| rule("allow", format!("{matched} accept")))
            .collect(),
        "rule" => rich(element, services),
        _ => Vec::new(),
    }
}

/// Packets that stay in a zone.
fn forward(zone: &Element) -> Vec<String> {
    let to = |child: &Element| match child.name.as_str() {
        "interface" => Some(format!("oifname \"{}\"", child.attribute("name")?)),
        "source" => address(child, "daddr"),
        _ => None,
    };
    zone.children.iter().filter_map(to).collect()
}

/// What a part of a rule matches, each on its own.
fn matches(element: &Element, services: &Services<'_>) -> Vec<String> {
    match element.name.as_str() {
        "service" => {
            let mut seen = Vec::new();
            let name = element.attribute("name").unwrap_or_default();
            service(name, services, &mut seen).unwrap_or_default()
        }
        "port" | "source-port" | "protocol" => port(element).into_iter().collect(),
        "icmp-block" | "icmp-type" => {
            let name = element.attribute("name").unwrap_or_default();
            let six = match name {
                "neighbour-advertisement" => "nd-neighbor-advert",
                "neighbour-solicitation" => "nd-neighbor-solicit",
                "router-advertisement" => "nd-router-advert",
                "router-solicitation" => "nd-router-solicit",
                "redirect" => "nd-redirect",
                other => other,
            };
            vec![format!("icmp type {name}"), format!("icmpv6 type {six}")]
        }
        _ => Vec::new(),
    }
}

/// `tcp dport 80`, of a port, a source port or a protocol.
fn port(element: &Element) -> Option<String> {
    if element.name == "protocol" {
        return Some(format!("meta l4proto {}", element.attribute("value")?));
    }
    let which = match element.name.as_str() {
        "port" => "dport",
        _ => "sport",
    };
    let (port, protocol) = (element.attribute("port")?, element.attribute("protocol")?);
    match port {
        "" => Some(format!("meta l4proto {protocol}")),
        _ => Some(format!("{protocol} {which} {port}")),
    }
}

/// What a service matches, with the services that it includes; none if one of them was not read.
fn service<'a>(
    name: &'a str,
    services: &Services<'a>,
    seen: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    if seen.contains(&name) {
        return Some(Vec::new());
    }
    if seen.len() > MAX_INCLUDED {
        return None;
    }
    seen.push(name);
    let service_of = services.get(name)?;
    let destination = service_of.child("destination");
    let mut found = Vec::new();
    for child in &service_of.children {
        match child.name.as_str() {
            "include" => found.extend(service(child.attribute("service")?, services, seen)?),
            "port" | "source-port" | "protocol" => {
                let port = port(child)?;
                let mut to = Vec::new();
                for (family, word) in [("ipv4", "ip"), ("ipv6", "ip6")] {
                    if let Some(address) = destination.and_then(|element| element.attribute(family))
                    {
                        to.push(format!("{word} daddr {} {port}", canonical(address)?));
                    }
                }
                if destination.is_none() {
                    to.push(port);
                }
                found.extend(to);
            }
            _ => {}
        }
    }
    Some(found)
}

/// What a rich rule makes, without what it logs.
fn rich(rule: &Element, services: &Services<'_>) -> Vec<Rule> {
    let priority: Option<i32> = rule.attribute("priority").unwrap_or("0").parse().ok();
    let action = rule.children.iter().find_map(|child| {
        let verb = match child.name.as_str() {
            "accept" => ("allow", "accept".to_owned()),
            "drop" => ("deny", "drop".to_owned()),
            "reject" => ("deny", reject(child.attribute("type"))?),
            _ => return None,
        };
        // A limit is part of the rule.
        child.children.is_empty().then_some(verb)
    });
    let Some((priority, (suffix, verb))) = priority.zip(action) else {
        return Vec::new();
    };
    let suffix = match priority {
        0 => suffix,
        ..0 => "pre",
        1.. => "post",
    };
    let six = rule.attribute("family") == Some("ipv6");
    let ends = [("destination", "daddr"), ("source", "saddr")].map(|(name, field)| {
        let element = rule.child(name)?;
        Some(match element.attribute("ipset") {
            Some(set) => {
                let family = if six { "ip6" } else { "ip" };
                Some(format!("{family} {field} {}@{set}", not(element)))
            }
            None => address(element, field),
        })
    });
    let mut head = Vec::new();
    for end in ends.into_iter().flatten() {
        match end {
            Some(text) => head.push(text),
            None => return Vec::new(),
        }
    }
    // nft leaves out what an address says already.
    if let Some(family) = rule.attribute("family").filter(|_| head.is_empty()) {
        head.push(format!("meta nfproto {family}"));
    }
    let parts = ["service", "port", "protocol", "source-port", "icmp-type"];
    let of = rule
        .children
        .iter()
        .find(|child| parts.contains(&child.name.as_str()));
    let others = ["icmp-block", "masquerade", "forward-port", "tcp-mss-clamp"];
    if others.iter().any(|name| rule.child(name).is_some()) {
        return Vec::new();
    }
    let matched = match of {
        Some(element) => matches(element, services),
        None => vec![String::new()],
    };
    let text = |matched: String| {
        let mut words = head.clone();
        words.extend(
            [matched, verb.clone()]
                .into_iter()
                .filter(|word| !word.is_empty()),
        );
        Rule {
            suffix,
            text: words.join(" "),
        }
    };
    matched.into_iter().map(text).collect()
}

/// `ip saddr 192.0.2.0/24`, as nft writes it.
fn address(element: &Element, field: &str) -> Option<String> {
    let text = element.attribute("address")?;
    let canonical = canonical(text)?;
    let family = if canonical.contains(':') { "ip6" } else { "ip" };
    Some(format!("{family} {field} {}{canonical}", not(element)))
}

/// What turns a match round.
fn not(element: &Element) -> &'static str {
    let invert = element.attribute("invert").unwrap_or("no").to_lowercase();
    match ["yes", "true"].contains(&invert.as_str()) {
        true => "!= ",
        false => "",
    }
}

/// An address or network as nft writes it.
fn canonical(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let net: IpNet = text.parse().ok()?;
    Some(match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.trunc().to_string(),
    })
}

/// What a rejection is called.
fn reject(kind: Option<&str>) -> Option<String> {
    let with = match kind {
        None => return Some("reject".to_owned()),
        Some("icmp-host-prohibited" | "host-prohib") => "icmp host-prohibited",
        Some("icmp-net-prohibited" | "net-prohib") => "icmp net-prohibited",
        Some("icmp-admin-prohibited" | "admin-prohib") => "icmp admin-prohibited",
        Some("icmp6-adm-prohibited" | "adm-prohibited") => "icmpv6 admin-prohibited",
        Some("icmp-net-unreachable" | "net-unreach") => "icmp net-unreachable",
        Some("icmp-host-unreachable" | "host-unreach") => "icmp host-unreachable",
        Some("icmp6-addr-unreachable" | "addr-unreach") => "icmpv6 addr-unreachable",
        Some("icmp6-no-route" | "no-route") => "icmpv6 no-route",
        Some("tcp-reset" | "tcp-rst") => "tcp reset",
        Some(_) => return None,
    };
    Some(format!("reject with {with}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::xml, *};

    const WIKI: &str = "<service><include service='ssh'/><port port='8443' protocol='tcp'/>\
        <destination ipv4='192.0.2.0/24' ipv6='2001:DB8::/32'/></service>";
    const SSH: &str = "<service><port port='22' protocol='tcp'/></service>";

    #[rstest]
    #[case("<port port='80-90' protocol='udp'/>", "allow", &["udp dport 80-90 accept"])]
    #[case("<service name='wiki'/>", "allow", &["tcp dport 22 accept",
        "ip daddr 192.0.2.0/24 tcp dport 8443 accept", "ip6 daddr 2001:db8::/32 tcp dport 8443 accept"])]
    #[case("<service name='unread'/>", "", &[])]
    #[case("<icmp-block name='redirect'/>", "deny", &["icmp type redirect reject with icmpx admin-prohibited",
        "icmpv6 type nd-redirect reject with icmpx admin-prohibited"])]
    #[case("<rule family='ipv4'><source address='192.0.2.9/24' invert='True'/><drop/></rule>", "deny",
        &["ip saddr != 192.0.2.0/24 drop"])]
    #[case("<rule family='ipv6' priority='-1'><port port='1' protocol='tcp'/><reject type='tcp-reset'/></rule>",
        "pre", &["meta nfproto ipv6 tcp dport 1 reject with tcp reset"])]
    #[case("<rule priority='7'><destination address='2001:db8::1/128'/><protocol value='gre'/><accept/></rule>",
        "post", &["ip6 daddr 2001:db8::1 meta l4proto gre accept"])]
    #[case::a_limit("<rule><port port='1' protocol='tcp'/><accept><limit value='1/m'/></accept></rule>", "", &[])]
    #[case::an_ipset("<rule><source ipset='x'/><accept/></rule>", "allow", &["ip saddr @x accept"])]
    #[case::a_mac("<rule><source mac='02:00:00:00:00:01'/><accept/></rule>", "", &[])]
    fn an_element_makes_these_rules(
        #[case] text: &str,
        #[case] suffix: &str,
        #[case] wanted: &[&str],
    ) {
        let [wiki, ssh, element] = [WIKI, SSH, text].map(|text| xml::read(text).expect("XML"));
        let services = Services::from([("wiki", &wiki), ("ssh", &ssh)]);
        let made = rules(&element, &element, &services);
        assert_eq!(
            made.iter()
                .map(|rule| rule.text.as_str())
                .collect::<Vec<_>>(),
            wanted
        );
        assert!(made.iter().all(|rule| rule.suffix == suffix));
    }
}
