//! `ip:`, `ipv4:`, `ipv6:` and `ether:`.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::{
    packet::{Ether, Extension, Fragment, Ip, VlanTag},
    protocol::Bytes,
};

use crate::scenario::{
    Family,
    format::{
        self,
        words::{self, quote},
    },
    read::{Reader, fields::Value, packet::layer::Layer},
    text::tree::Kind,
};

/// What an IP header says.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) source: Option<IpAddr>,
    pub(super) destination: Option<IpAddr>,
    pub(super) ttl: Option<u8>,
    pub(super) ip: Ip,
    /// In words, for the name of the case.
    pub(super) text: String,
}

/// The longest that IPv4 options can be, in bytes (RFC 791 section 3.1).
const LONGEST_OPTIONS: usize = 40;
/// The longest body that an extension header is given here, in bytes.
const LONGEST_EXTENSION: usize = 254;

impl Reader<'_> {
    /// The header of both families, or of one.
    pub(super) fn ip_header(
        &mut self,
        value: Value<'_>,
        key: &str,
        family: Option<Family>,
    ) -> Option<Header> {
        let object = match family {
            None => &format::IP,
            Some(Family::Ipv4) => &format::IPV4,
            Some(Family::Ipv6) => &format::IPV6,
        };
        let mut layer = Layer::of(self, value, object)?;
        let mut header = Header {
            source: layer.address("source"),
            destination: layer.address("destination"),
            ttl: layer.number(match family {
                Some(Family::Ipv6) => "hop-limit",
                Some(Family::Ipv4) | None => "ttl",
            }),
            ip: Ip::default(),
            text: format!(" {key}{}", layer.told(&[])),
        };
        let ip = &mut header.ip;
        ip.dscp = layer
            .named("dscp", words::dscp, words::dscp_names)
            .unwrap_or_default();
        ip.ecn = layer
            .named("ecn", words::ecn, words::ecn_names)
            .unwrap_or_default();
        ip.fragment = layer.read("fragment", |reader, value| reader.fragment(value, family));
        match family {
            None => {}
            Some(Family::Ipv4) => ipv4(&mut layer, ip),
            Some(Family::Ipv6) => ipv6(&mut layer, ip),
        }
        layer.finish(header)
    }

    fn fragment(&mut self, value: Value<'_>, family: Option<Family>) -> Option<Fragment> {
        let mut layer = Layer::of(self, value, &format::FRAGMENT)?;
        let fragment = Fragment {
            offset: layer.number("offset").unwrap_or_default(),
            more: layer.boolean("more").unwrap_or(true),
            id: layer.number("id"),
        };
        if fragment.id.is_some() && family != Some(Family::Ipv6) {
            layer.misfit(
                "id",
                "only IPv6 has an identification in its fragment header".to_owned(),
            );
        }
        layer.finish(fragment)
    }

    /// The items of a list, each a word of this table or a map.
    fn ip_option(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        const LOOSE: u8 = 131;
        const STRICT: u8 = 137;
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "an option")?;
            let known = words::ip_option(word.text);
            if known.is_none() {
                let map = ["loose-source-route", "strict-source-route"];
                let help = if map.contains(&word.text) {
                    Some(format!(
                        "say through which addresses: `{{ {}: [192.0.2.1] }}`",
                        word.text
                    ))
                } else {
                    words::suggest(word.text, words::ip_options())
                };
                self.no_such(word, "IPv4 option", help);
            }
            return known.map(<[u8]>::to_vec);
        }
        let mut layer = Layer::of(self, value, &format::IP_OPTION)?;
        let loose = layer.read("loose-source-route", Reader::source_route);
        let strict = layer.read("strict-source-route", Reader::source_route);
        let kind: Option<u8> = layer.number("type");
        let data = layer.bytes("data");
        if data.is_some() && kind.is_none() && layer.sound {
            layer.misfit("data", "`data` belongs to a `type`".to_owned());
        }
        let bytes = match (loose, strict, kind) {
            (Some(route), _, _) => source_route(LOOSE, &route),
            (_, Some(route), _) => source_route(STRICT, &route),
            (_, _, Some(kind)) => match data {
                Some(Bytes(data)) => [vec![kind, (data.len() + 2) as u8], data].concat(),
                None if kind <= 1 => vec![kind],
                None => vec![kind, 2],
            },
            (None, None, None) => return None,
        };
        layer.finish(bytes)
    }

    /// The addresses of a source route.
    fn source_route(&mut self, value: Value<'_>) -> Option<Vec<Ipv4Addr>> {
        let items = self.one_or_more(value, "an address or a list of addresses");
        let mut route = Vec::new();
        for item in &items {
            let word = self.line(*item, "an address")?;
            match self.ip(word)? {
                IpAddr::V4(address) => route.push(address),
                IpAddr::V6(_) => {
                    let message = format!("{} is no IPv4 address", quote(word.text));
                    self.problem(word.span, message);
                    return None;
                }
            }
        }
        (!route.is_empty()).then_some(route)
    }

    fn extension(&mut self, value: Value<'_>) -> Option<Extension> {
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "an extension header")?;
            let number = words::extension(word.text);
            if number.is_none() {
                let help = words::suggest(word.text, words::extension_names());
                self.no_such(word, "extension header", help);
            }
            let number = number?;
            return Some(Extension {
                number,
                body: Bytes(padding(number)),
            });
        }
        let mut layer = Layer::of(self, value, &format::EXTENSION)?;
        let number = layer.named("type", words::extension, words::extension_names);
        let body = layer.bytes("data");
        if body
            .as_ref()
            .is_some_and(|body| body.0.len() > LONGEST_EXTENSION)
        {
            let message = format!("an extension header has at most {LONGEST_EXTENSION} bytes here");
            layer.misfit("data", message);
        }
        let number = number.unwrap_or_default();
        let body = body.unwrap_or_else(|| Bytes(padding(number)));
        layer.finish(Extension { number, body })
    }

    pub(super) fn ether(&mut self, value: Value<'_>) -> Option<(Ether, String)> {
        let mut layer = Layer::of(self, value, &format::ETHER)?;
        let text = format!(" ether{}", layer.told(&[]));
        let ether = Ether {
            source: layer.read("source", Reader::mac),
            destination: layer.read("destination", Reader::mac),
            vlan: layer
                .read("vlan", |reader, value| {
                    let items = match value.node.kind {
                        Kind::Map(_) => vec![value],
                        _ => reader.one_or_more(value, "a VLAN or a list of VLANs"),
                    };
                    items.into_iter().map(|item| reader.tag(item)).collect()
                })
                .unwrap_or_default(),
        };
        layer.finish((ether, text))
    }

    fn tag(&mut self, value: Value<'_>) -> Option<VlanTag> {
        if let Kind::Map(_) = value.node.kind {
            let mut layer = Layer::of(self, value, &format::VLAN_TAG)?;
            let tag = VlanTag {
                id: layer.number("id").unwrap_or_default(),
                priority: layer.number("priority").unwrap_or_default(),
                dei: layer.boolean("dei").unwrap_or_default(),
                service: layer.boolean("service").unwrap_or_default(),
            };
            return layer.finish(tag);
        }
        let word = self.line(value, "a VLAN")?;
        let id = self.number_between(word, "a VLAN", 0, 4095)?;
        Some(VlanTag {
            id: u16::try_from(id).ok()?,
            ..VlanTag::default()
        })
    }

    pub(super) fn mac(&mut self, value: Value<'_>) -> Option<[u8; 6]> {
        let word = self.line(value, "an Ethernet address")?;
        if word.text == "broadcast" {
            return Some([0xff; 6]);
        }
        let parts: Vec<Option<u8>> = word
            .text
            .split(':')
            .map(|part| {
                let two = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
                two.then(|| u8::from_str_radix(part, 16).ok()).flatten()
            })
            .collect();
        let parts: Option<Vec<u8>> = parts.into_iter().collect();
        let found = parts.and_then(|parts| parts.try_into().ok());
        if found.is_none() {
            let message = format!("{} is not an Ethernet address", quote(word.text));
            self.problem(word.span, message)
                .help("write six bytes, `02:00:5e:10:00:01`, or `broadcast`".to_owned());
        }
        found
    }
}

fn ipv4(layer: &mut Layer<'_, '_, '_>, ip: &mut Ip) {
    ip.id = layer.number("id");
    ip.dont_fragment = layer.boolean("dont-fragment");
    ip.reserved = layer.boolean("reserved").unwrap_or_default();
    let options: Option<Vec<Vec<u8>>> = layer.read("options", |reader, value| {
        let items = reader.one_or_more(value, "a list of IPv4 options");
        let options = items.into_iter().map(|item| reader.ip_option(item));
        options.collect()
    });
    ip.options = Bytes(options.unwrap_or_default().concat());
    if ip.options.0.len() > LONGEST_OPTIONS {
        let message = format!(
            "these options have {} bytes, and IPv4 has room for {LONGEST_OPTIONS}",
            ip.options.0.len()
        );
        layer.misfit("options", message);
    }
    ip.protocol = layer.number("protocol");
    ip.length = layer.number("total-length");
    ip.header_length = layer.number("header-length");
    ip.version = layer.number("version");
    ip.checksum = layer.checksum("checksum");
}

fn ipv6(layer: &mut Layer<'_, '_, '_>, ip: &mut Ip) {
    ip.flow_label = layer.number("flow-label");
    ip.extensions = layer
        .read("extensions", |reader, value| {
            let items = reader.one_or_more(value, "a list of extension headers");
            let headers = items.into_iter().map(|item| reader.extension(item));
            headers.collect()
        })
        .unwrap_or_default();
    ip.protocol = layer.number("next-header");
    ip.length = layer.number("payload-length");
    ip.version = layer.number("version");
}

/// Type, length, pointer to the first address, the addresses (RFC 791 section 3.1).
fn source_route(kind: u8, route: &[Ipv4Addr]) -> Vec<u8> {
    let addresses: Vec<u8> = route.iter().flat_map(Ipv4Addr::octets).collect();
    [vec![kind, (3 + addresses.len()) as u8, 4], addresses].concat()
}

/// The body of an extension header in which nothing is said.
fn padding(number: u8) -> Vec<u8> {
    match number {
        // PadN (RFC 8200 section 4.2): one option of four bytes.
        0 | 60 => vec![1, 4, 0, 0, 0, 0],
        // An unused type with no segments left (RFC 8200 section 4.4), so that every node passes over it.
        43 => vec![253, 0, 0, 0, 0, 0],
        _ => vec![0; 6],
    }
}
