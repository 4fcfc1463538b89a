//! `ip:`, `ipv4:`, `ipv6:` and `ether:`.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::{
    packet::{Checksum, Ether, Extension, Fragment, Ip, VlanTag},
    protocol::Bytes,
};

use crate::scenario::{
    Family,
    format::{ADDRESS, BYTE, MAC, Shape, U16, U32, words},
    read::{
        Reader,
        fields::Value,
        keys::{Header as _, address, boolean, by, bytes, checksum, header, keys, named, number},
        packet::value::CHECKSUM,
    },
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

/// An IP header: the keys that it has in both families, and its own.
macro_rules! ip_keys {
    (
        $(#[doc = $doc:literal])+
        $object:ident = $name:literal, $what:literal, struct $keys:ident<$n:lifetime>, $hops:literal, $fragment:ident {
            $($own:tt)*
        }
    ) => {
        keys! {
            $(#[doc = $doc])+
            $object = $name, $what, struct $keys<$n> {
                /// The source address, if not the sender's: it spoofs.
                source: IpAddr = ADDRESS => address;
                /// The destination address, if not the receiver's: broadcast, multicast, any other.
                destination: IpAddr = ADDRESS => address;
                /// The hops that are left.
                ttl $hops: u8 = Shape::Number(0, 255) => number;
                /// The differentiated services code point, by number or name.
                dscp: u8 = Shape::AnyOf(&[Shape::Number(0, 63), Shape::Word(words::dscp_names)]) => named(words::dscp, words::dscp_names);
                /// The congestion notification, by number or name.
                ecn: u8 = Shape::AnyOf(&[Shape::Number(0, 3), Shape::Word(words::ecn_names)]) => named(words::ecn, words::ecn_names);
                /// Claims to be a fragment of another packet.
                fragment: Fragment = Shape::Object(&FRAGMENT) => by(Reader::$fragment);
                $($own)*
            }
        }

        impl $keys<'_> {
            /// What it says in both families.
            fn header(&self, key: &str) -> Header {
                Header {
                    source: self.source,
                    destination: self.destination,
                    ttl: self.ttl,
                    ip: Ip {
                        dscp: self.dscp.unwrap_or_default(),
                        ecn: self.ecn.unwrap_or_default(),
                        fragment: self.fragment.clone(),
                        ..Ip::default()
                    },
                    text: format!(" {key}{}", self.text_but(&[])),
                }
            }
        }
    };
}

ip_keys! {
    /// What the IP headers of both families have.
    IP = "ip", "the IP header", struct IpKeys<'n>, "ttl", fragment {
    }
}

ip_keys! {
    /// An IPv4 header; the test is made with IPv4 only.
    IPV4 = "ipv4", "the IPv4 header", struct Ipv4Keys<'n>, "ttl", fragment {
        /// The identification.
        id: u16 = U16 => number;
        /// The flag; true when not given, but not in fragments.
        dont_fragment "dont-fragment": bool = Shape::Bool => boolean;
        /// The reserved flag.
        reserved: bool = Shape::Bool => boolean;
        /// The options, in order.
        options: Vec<Vec<u8>> = Shape::List(&Shape::AnyOf(&[Shape::Word(words::ip_options), Shape::Object(&IP_OPTION)])) => by(Reader::ip_options);
        /// The protocol, if it lies about what follows.
        protocol: u8 = BYTE => number;
        /// The length, if not the true one.
        total_length "total-length": u16 = U16 => number;
        /// The length of the header in words of four bytes, if not the true one.
        header_length "header-length": u8 = Shape::Number(0, 15) => number;
        /// The version, if not the true one.
        version: u8 = Shape::Number(0, 15) => number;
        /// The checksum, if not the true one: a number, or `bad`.
        checksum: Checksum = CHECKSUM => checksum;
    }
}

ip_keys! {
    /// An IPv6 header; the test is made with IPv6 only.
    IPV6 = "ipv6", "the IPv6 header", struct Ipv6Keys<'n>, "hop-limit", fragment_v6 {
        /// The flow label.
        flow_label "flow-label": u32 = Shape::Number(0, 0xf_ffff) => number;
        /// The extension headers, in order.
        extensions: Vec<Extension> = Shape::List(&Shape::AnyOf(&[Shape::Word(words::extension_names), Shape::Object(&EXTENSION)])) => by(Reader::extensions);
        /// The last next header, if it lies about what follows.
        next_header "next-header": u8 = BYTE => number;
        /// The length, if not the true one.
        payload_length "payload-length": u16 = U16 => number;
        /// The version, if not the true one.
        version: u8 = Shape::Number(0, 15) => number;
    }
}

header! {
    /// A packet that is one fragment of another, which is not sent.
    FRAGMENT = "fragment", "the fragment", Fragment {
        /// Where it belongs, in units of eight bytes; 0 when not given.
        offset = Shape::Number(0, 8191) => number;
        /// Whether more follow; true when not given.
        more [true] = Shape::Bool => boolean;
        /// The identification, IPv6 only; that of IPv4 is `id` of the header.
        id = U32 => number;
    }
}

keys! {
    /// An IPv4 option.
    IP_OPTION = "ipv4-option", "the option", struct IpOptionKeys<'n> {
        /// Through these addresses, among others.
        loose_source_route "loose-source-route": Vec<Ipv4Addr> = Shape::OneOrMore(&ADDRESS) => by(Reader::source_route), either;
        /// Through these addresses and no others.
        strict_source_route "strict-source-route": Vec<Ipv4Addr> = Shape::OneOrMore(&ADDRESS) => by(Reader::source_route), either;
        /// Any other, by its type.
        kind "type": u8 = BYTE => number, either;
        /// What a `type` has behind its length: a text, or `hex:` and digits.
        data: Bytes = Shape::Text => bytes;
    }
}

keys! {
    /// An IPv6 extension header.
    EXTENSION = "extension", "the extension header", struct ExtensionKeys<'n> {
        /// Its name or number.
        kind "type": u8 = Shape::AnyOf(&[BYTE, Shape::Word(words::extension_names)]) => named(words::extension, words::extension_names), required;
        /// What follows its length: a text, or `hex:` and digits; padding when not given.
        data: Bytes = Shape::Text => bytes;
    }
}

keys! {
    /// The Ethernet frame around a packet from a host.
    ETHER = "ether", "the Ethernet header", struct EtherKeys<'n> {
        /// The source address.
        source: [u8; 6] = MAC => by(Reader::mac);
        /// The destination address, or `broadcast`; the firewall's, or that of the packet's group, when not
        /// given.
        destination: [u8; 6] = MAC => by(Reader::mac);
        /// Tags beyond those of the sender's interface, the outermost first.
        vlan: Vec<VlanTag> = Shape::OneOrMore(&Shape::AnyOf(&[Shape::Number(0, 4095), Shape::Object(&VLAN_TAG)])) => by(Reader::vlan_tags);
    }
}

header! {
    /// A tag of IEEE 802.1Q.
    VLAN_TAG = "vlan-tag", "the VLAN tag", VlanTag {
        /// The number of the VLAN.
        id = Shape::Number(0, 4095) => number, required;
        /// The priority code point.
        priority = Shape::Number(0, 7) => number;
        /// The drop eligible indicator.
        dei = Shape::Bool => boolean;
        /// A service tag (802.1ad) instead of a customer tag.
        service = Shape::Bool => boolean;
    }
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
        match family {
            None => {
                let keys = IpKeys::read(self, value)?;
                keys.finish(keys.header(key))
            }
            Some(Family::Ipv4) => {
                let mut keys = Ipv4Keys::read(self, value)?;
                let mut header = keys.header(key);
                let ip = &mut header.ip;
                ip.id = keys.id;
                ip.dont_fragment = keys.dont_fragment;
                ip.reserved = keys.reserved.unwrap_or_default();
                ip.options = Bytes(keys.options.iter().flatten().flatten().copied().collect());
                ip.protocol = keys.protocol;
                ip.length = keys.total_length;
                ip.header_length = keys.header_length;
                ip.version = keys.version;
                ip.checksum = keys.checksum;
                let length = ip.options.0.len();
                if length > LONGEST_OPTIONS {
                    let message = format!(
                        "these options have {length} bytes, and IPv4 has room for {LONGEST_OPTIONS}"
                    );
                    keys.misfit(self, "options", message);
                }
                keys.finish(header)
            }
            Some(Family::Ipv6) => {
                let mut keys = Ipv6Keys::read(self, value)?;
                let mut header = keys.header(key);
                let ip = &mut header.ip;
                ip.flow_label = keys.flow_label;
                ip.extensions = keys.extensions.take().unwrap_or_default();
                ip.protocol = keys.next_header;
                ip.length = keys.payload_length;
                ip.version = keys.version;
                keys.finish(header)
            }
        }
    }

    fn fragment(&mut self, value: Value<'_>) -> Option<Fragment> {
        let (fragment, mut fields) = Fragment::read(self, value)?;
        if fragment.id.is_some() {
            let message = "only IPv6 has an identification in its fragment header";
            fields.misfit(self, "id", message);
        }
        fields.finish(fragment)
    }

    fn fragment_v6(&mut self, value: Value<'_>) -> Option<Fragment> {
        let (fragment, fields) = Fragment::read(self, value)?;
        fields.finish(fragment)
    }

    fn ip_options(&mut self, value: Value<'_>) -> Option<Vec<Vec<u8>>> {
        let items = self.one_or_more(value, "a list of IPv4 options");
        items.into_iter().map(|item| self.ip_option(item)).collect()
    }

    fn extensions(&mut self, value: Value<'_>) -> Option<Vec<Extension>> {
        let items = self.one_or_more(value, "a list of extension headers");
        items.into_iter().map(|item| self.extension(item)).collect()
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
        let mut keys = IpOptionKeys::read(self, value)?;
        if keys.data.is_some() && keys.kind.is_none() && keys.finish(()).is_some() {
            keys.misfit(self, "data", "`data` belongs to a `type`");
        }
        let bytes = match (
            &keys.loose_source_route,
            &keys.strict_source_route,
            keys.kind,
        ) {
            (Some(route), _, _) => source_route(LOOSE, route),
            (_, Some(route), _) => source_route(STRICT, route),
            (_, _, Some(kind)) => match &keys.data {
                Some(Bytes(data)) => [&[kind, (data.len() + 2) as u8], data.as_slice()].concat(),
                None if kind <= 1 => vec![kind],
                None => vec![kind, 2],
            },
            (None, None, None) => return None,
        };
        keys.finish(bytes)
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
                    let message = format!("{word} is no IPv4 address");
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
        let mut keys = ExtensionKeys::read(self, value)?;
        let number = keys.kind.unwrap_or_default();
        let body = keys.data.take().unwrap_or_else(|| Bytes(padding(number)));
        if body.0.len() > LONGEST_EXTENSION {
            let message = format!("an extension header has at most {LONGEST_EXTENSION} bytes here");
            keys.misfit(self, "data", message);
        }
        keys.finish(Extension { number, body })
    }

    pub(super) fn ether(&mut self, value: Value<'_>) -> Option<(Ether, String)> {
        let mut keys = EtherKeys::read(self, value)?;
        let text = format!(" ether{}", keys.text_but(&[]));
        let ether = Ether {
            source: keys.source,
            destination: keys.destination,
            vlan: keys.vlan.take().unwrap_or_default(),
        };
        keys.finish((ether, text))
    }

    fn vlan_tags(&mut self, value: Value<'_>) -> Option<Vec<VlanTag>> {
        let items = match value.node.kind {
            Kind::Map(_) => vec![value],
            _ => self.one_or_more(value, "a VLAN or a list of VLANs"),
        };
        items.into_iter().map(|item| self.tag(item)).collect()
    }

    fn tag(&mut self, value: Value<'_>) -> Option<VlanTag> {
        if let Kind::Map(_) = value.node.kind {
            let (tag, fields) = VlanTag::read(self, value)?;
            return fields.finish(tag);
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
            let message = format!("{word} is not an Ethernet address");
            self.problem(word.span, message)
                .help("write six bytes, `02:00:5e:10:00:01`, or `broadcast`");
        }
        found
    }
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
