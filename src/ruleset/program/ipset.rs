//! Sets of ipset, which the extensions `set` and `SET` refer to by number.
//!
//! Decoded from the kernel's own list (`IPSET_CMD_LIST`, linux/netfilter/ipset/ip_set.h). A set of a type that is
//! not understood, or with an option or an element that is not, stays opaque: every question about it is unknown.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use super::xtables::{PacketEnd, SetMatch};
use crate::ruleset::chain::Family;

/// A set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipset {
    /// Its name.
    pub name: String,
    /// Its number, by which rules refer to it.
    pub index: u16,
    /// Its type, as ipset(8) names it.
    pub type_name: String,
    /// The version of the type.
    pub revision: u8,
    /// The family of its addresses; `None` for all packets.
    pub family: Option<Family>,
    /// What is in it; `None` if it is not understood.
    pub content: Option<IpsetContent>,
}

/// What is in a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsetContent {
    /// What an element is made of.
    pub dimensions: &'static [IpsetDimension],
    /// Whether it is a bitmap, not a hash or a list.
    pub is_bitmap: bool,
    /// Length of the prefix of an address that is looked up; `None` for the whole address.
    pub netmask: Option<u8>,
    /// The bits of a mark that are looked up.
    pub mark_mask: u32,
    /// The first and the last IPv4 address, or port, that a bitmap has room for; `None` for a hash.
    pub range: Option<RangeInclusive<u32>>,
    /// Seconds after which an element is removed; `None` if it stays. 0 if elements stay unless they say so.
    pub timeout: Option<u32>,
    /// Whether elements have counters.
    pub has_counters: bool,
    /// Whether elements have a mark, a priority and a queue for packets.
    pub has_packet_info: bool,
    /// The elements in the kernel's order, which only counts in a list of sets.
    pub elements: Vec<IpsetElement>,
}

/// A part of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpsetDimension {
    /// An address.
    Address,
    /// A network.
    Network,
    /// A port with its protocol.
    Port,
    /// An interface.
    Interface,
    /// An Ethernet address.
    Mac,
    /// A mark of packets.
    Mark,
    /// Another set.
    Set,
}

use IpsetDimension::{Address, Interface, Mac, Mark, Network, Port, Set};

/// Types of sets by their names. `bitmap:ip,mac` is missing: its elements may leave out the second part.
const TYPES: [(&str, &[IpsetDimension]); 15] = [
    ("bitmap:ip", &[Address]),
    ("bitmap:port", &[Port]),
    ("hash:ip", &[Address]),
    ("hash:ip,mac", &[Address, Mac]),
    ("hash:ip,mark", &[Address, Mark]),
    ("hash:ip,port", &[Address, Port]),
    ("hash:ip,port,ip", &[Address, Port, Address]),
    ("hash:ip,port,net", &[Address, Port, Network]),
    ("hash:mac", &[Mac]),
    ("hash:net", &[Network]),
    ("hash:net,iface", &[Network, Interface]),
    ("hash:net,net", &[Network, Network]),
    ("hash:net,port", &[Network, Port]),
    ("hash:net,port,net", &[Network, Port, Network]),
    ("list:set", &[Set]),
];

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsetElement {
    /// Its parts, as many as the set has dimensions.
    pub parts: Vec<IpsetPart>,
    /// Whether it is an exception (`nomatch`).
    pub is_exception: bool,
    /// Seconds until it is removed; `None` if it stays.
    pub expires: Option<u32>,
}

/// A part of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpsetPart {
    /// An address, or a network with the length of its prefix.
    Network {
        /// The first address.
        address: IpAddr,
        /// The length of the prefix.
        prefix: u8,
    },
    /// A port.
    Port {
        /// The protocol; `None` in a bitmap, for TCP and UDP.
        protocol: Option<u8>,
        /// The port; for ICMP and ICMPv6, the type in the upper byte, and the code.
        port: u16,
    },
    /// An interface.
    Interface {
        /// Its name.
        name: String,
        /// Whether names that begin so are meant, too.
        is_prefix: bool,
        /// Whether the port of a bridge is meant.
        is_physical: bool,
    },
    /// An Ethernet address.
    Mac([u8; 6]),
    /// A mark of packets.
    Mark(u32),
    /// The name of another set.
    Set(String),
}

/// What sets look up of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsetPacket<'a> {
    /// Address of the sender.
    pub source: IpAddr,
    /// Address of the receiver.
    pub destination: IpAddr,
    /// The transport protocol, behind the extension headers of IPv6.
    pub protocol: u8,
    /// Ports of the sender and the receiver; for ICMP and ICMPv6 twice the type in the upper byte and the code. `None`
    /// if the packet has none, as later fragments.
    pub ports: Option<[u16; 2]>,
    /// The interface that received it.
    pub input: Option<&'a str>,
    /// The interface that will send it.
    pub output: Option<&'a str>,
    /// Source and destination of its Ethernet frame.
    pub macs: Option<[[u8; 6]; 2]>,
    /// Its mark.
    pub mark: u32,
}

/// Whether a packet is in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpsetAnswer {
    /// It is.
    In,
    /// It is not.
    NotIn,
    /// The set is not understood, or time decides.
    Unknown,
}

impl From<bool> for IpsetAnswer {
    fn from(is_in: bool) -> Self {
        match is_in {
            true => Self::In,
            false => Self::NotIn,
        }
    }
}

/// Answers the match `set` for a packet of the family of the rule's table (`set_match_v4`, net/netfilter/xt_set.c):
/// [`IpsetAnswer::In`] if the rule goes on, with its inversion.
#[must_use]
pub fn matches(
    sets: &[Ipset],
    test: &SetMatch,
    family: Family,
    packet: &IpsetPacket,
) -> IpsetAnswer {
    if test.packets.is_some() || test.bytes.is_some() {
        return IpsetAnswer::Unknown;
    }
    let Some(set) = sets.iter().find(|set| set.index == test.set.index) else {
        return IpsetAnswer::Unknown;
    };
    let question = Question {
        sets,
        ends: &test.set.ends,
        returns_exceptions: test.returns_nomatch,
        family,
        packet,
    };
    match question.ask(set) {
        IpsetAnswer::Unknown => IpsetAnswer::Unknown,
        answer => ((answer == IpsetAnswer::In) != test.inverted).into(),
    }
}

/// A look-up of a packet.
struct Question<'a> {
    sets: &'a [Ipset],
    ends: &'a [PacketEnd],
    returns_exceptions: bool,
    family: Family,
    packet: &'a IpsetPacket<'a>,
}

/// What elements a packet is compared with, part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key<'a> {
    Address(IpAddr),
    Port(u8, u16),
    Interface(&'a str),
    Mac([u8; 6]),
    Mark(u32),
}

impl<'a> Question<'a> {
    /// `ip_set_test` (net/netfilter/ipset/ip_set_core.c).
    fn ask(&self, set: &Ipset) -> IpsetAnswer {
        let of_other_family = set
            .family
            .is_some_and(|family| family.nfproto() != self.family.nfproto());
        let Some(content) = &set.content else {
            return match of_other_family {
                true => IpsetAnswer::NotIn,
                false => IpsetAnswer::Unknown,
            };
        };
        if of_other_family || self.ends.len() < content.dimensions.len() {
            return IpsetAnswer::NotIn;
        }
        if content.dimensions == [Set] {
            return self.ask_members(content);
        }
        let keys: Option<Vec<Key>> = content
            .dimensions
            .iter()
            .zip(self.ends)
            .map(|(dimension, end)| self.key(content, *dimension, *end))
            .collect();
        match keys {
            Some(keys) => self.find(content, &keys),
            None => IpsetAnswer::NotIn,
        }
    }

    /// A list of sets: it has what any member has (`list_set_ktest`, net/netfilter/ipset/ip_set_list_set.c).
    fn ask_members(&self, content: &IpsetContent) -> IpsetAnswer {
        let mut answer = IpsetAnswer::NotIn;
        for element in &content.elements {
            let [IpsetPart::Set(name)] = element.parts.as_slice() else {
                return IpsetAnswer::Unknown;
            };
            // A list has no lists as members, so this ends.
            let member = self.sets.iter().find(|set| set.name == *name);
            let member = member.filter(|set| set.type_name != "list:set");
            match member.map_or(IpsetAnswer::Unknown, |set| self.ask(set)) {
                IpsetAnswer::NotIn => {}
                IpsetAnswer::In if element.expires.is_none() => return IpsetAnswer::In,
                IpsetAnswer::In | IpsetAnswer::Unknown => answer = IpsetAnswer::Unknown,
            }
        }
        answer
    }

    /// What of the packet is looked up; `None` if it has no such part, and then it is in no set.
    fn key(
        &self,
        content: &IpsetContent,
        dimension: IpsetDimension,
        end: PacketEnd,
    ) -> Option<Key<'a>> {
        let packet = self.packet;
        let of_end = |ends: [IpAddr; 2]| match end {
            PacketEnd::Source => ends[0],
            PacketEnd::Destination => ends[1],
        };
        let at = match end {
            PacketEnd::Source => 0,
            PacketEnd::Destination => 1,
        };
        match dimension {
            Address => {
                let address = of_end([packet.source, packet.destination]);
                let address = content
                    .netmask
                    .map_or(address, |prefix| truncated(address, prefix));
                // `hash_ip4_kadt` (net/netfilter/ipset/ip_set_hash_ip.c) refuses the unspecified address.
                let is_refused = content.dimensions == [Address]
                    && !content.is_bitmap
                    && address.is_unspecified();
                (!is_refused).then_some(Key::Address(address))
            }
            Network => Some(Key::Address(of_end([packet.source, packet.destination]))),
            Port if content.is_bitmap => {
                let port = packet.ports?[at];
                matches!(packet.protocol, TCP | UDP).then_some(Key::Port(0, port))
            }
            Port => match packet.ports {
                Some(ports) => Some(Key::Port(packet.protocol, ports[at])),
                // Ports are not in later fragments; other protocols have none (`ip_set_get_ip4_port`,
                // net/netfilter/ipset/ip_set_getport.c).
                None => (!HAVE_PORTS.contains(&packet.protocol))
                    .then_some(Key::Port(packet.protocol, 0)),
            },
            Interface => [packet.input, packet.output][at].map(Key::Interface),
            Mac => {
                let mac = packet.macs?[at];
                (mac != [0; 6]).then_some(Key::Mac(mac))
            }
            Mark => Some(Key::Mark(packet.mark & content.mark_mask)),
            Set => None,
        }
    }

    /// The element with the longest prefixes answers, the first network before the second (`mtype_test_cidrs`,
    /// net/netfilter/ipset/ip_set_hash_gen.h).
    fn find(&self, content: &IpsetContent, keys: &[Key]) -> IpsetAnswer {
        let candidates = content.elements.iter().filter(|element| {
            let mut parts = element.parts.iter().zip(keys);
            parts.all(|(part, key)| contains(part, key) || matches!(key, Key::Interface(_)))
        });
        let Some(longest) = candidates.clone().map(prefixes).max() else {
            return IpsetAnswer::NotIn;
        };
        // Shorter prefixes are not looked at any more, also where the interface is another one.
        let mut hits = candidates.filter(|element| prefixes(element) == longest);
        let is_physical = |part: &IpsetPart| {
            matches!(
                part,
                IpsetPart::Interface {
                    is_physical: true,
                    ..
                }
            )
        };
        let is_timed = |element: &&IpsetElement| element.expires.is_some();
        if hits
            .clone()
            .any(|element| element.parts.iter().any(is_physical))
            || hits.clone().any(|element| is_timed(&element))
        {
            return IpsetAnswer::Unknown;
        }
        let is_hit = |element: &&IpsetElement| {
            let mut parts = element.parts.iter().zip(keys);
            parts.all(|(part, key)| contains(part, key))
        };
        let found = hits.find(is_hit);
        let has_networks = content.dimensions.contains(&Network);
        let returns_exceptions = has_networks && self.returns_exceptions;
        found
            .is_some_and(|element| element.is_exception == returns_exceptions)
            .into()
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Protocols whose ports, or types, are read: ICMP, TCP, UDP, ICMPv6, SCTP, UDP-Lite.
const HAVE_PORTS: [u8; 6] = [1, TCP, UDP, 58, 132, 136];

/// Lengths of the prefixes of an element, in its order.
fn prefixes(element: &IpsetElement) -> Vec<u8> {
    let prefix = |part: &IpsetPart| match part {
        IpsetPart::Network { prefix, .. } => Some(*prefix),
        IpsetPart::Port { .. }
        | IpsetPart::Interface { .. }
        | IpsetPart::Mac(_)
        | IpsetPart::Mark(_)
        | IpsetPart::Set(_) => None,
    };
    element.parts.iter().filter_map(prefix).collect()
}

fn contains(part: &IpsetPart, key: &Key) -> bool {
    match (part, key) {
        (IpsetPart::Network { address, prefix }, Key::Address(key)) => {
            address.is_ipv4() == key.is_ipv4() && truncated(*key, *prefix) == *address
        }
        (IpsetPart::Port { protocol, port }, Key::Port(key_protocol, key)) => {
            port == key && protocol.is_none_or(|protocol| protocol == *key_protocol)
        }
        (
            IpsetPart::Interface {
                name, is_prefix, ..
            },
            Key::Interface(key),
        ) => match is_prefix {
            true => key.starts_with(name.as_str()),
            false => name == key,
        },
        (IpsetPart::Mac(mac), Key::Mac(key)) => mac == key,
        (IpsetPart::Mark(mark), Key::Mark(key)) => mark == key,
        _ => false,
    }
}

/// The first address of a prefix.
fn truncated(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

/// Decodes the messages of a list, each as its attributes. `None` if one of them is malformed.
#[must_use]
pub fn decode<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<Ipset>> {
    let mut sets: Vec<Ipset> = Vec::new();
    for message in messages {
        let message = Attributes::parse(message)?;
        let name = message.text(attribute::SETNAME)?;
        // A long list of elements goes on in further messages, without a header.
        if let Some(type_name) = message.text(attribute::TYPENAME) {
            let header = Attributes::parse(message.get(attribute::DATA)?)?;
            sets.push(Ipset {
                name: name.clone(),
                index: message.u16(attribute::INDEX)?,
                revision: message.u8(attribute::REVISION)?,
                family: Family::from_nfproto(message.u8(attribute::FAMILY)?),
                content: content(&type_name, &header),
                type_name,
            });
        }
        let set = sets.last_mut().filter(|set| set.name == name)?;
        let elements = message
            .get(attribute::ADT)
            .map_or(Some(Vec::new()), |list| {
                Attributes::parse(list).map(|list| list.0)
            })?;
        for (_, element) in elements {
            let element = Attributes::parse(element)?;
            set.content = set.content.take().and_then(|mut content| {
                content
                    .elements
                    .push(read_element(&content, set.family, &element)?);
                Some(content)
            });
        }
    }
    Some(sets)
}

/// Numbers of attributes (linux/netfilter/ipset/ip_set.h).
mod attribute {
    /// Of a message.
    pub(super) const SETNAME: u16 = 2;
    pub(super) const TYPENAME: u16 = 3;
    pub(super) const REVISION: u16 = 4;
    pub(super) const FAMILY: u16 = 5;
    pub(super) const DATA: u16 = 7;
    pub(super) const ADT: u16 = 8;
    pub(super) const INDEX: u16 = 11;
    /// Of a header and of an element.
    pub(super) const IP: u16 = 1;
    pub(super) const IP_TO: u16 = 2;
    pub(super) const CIDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const PORT_TO: u16 = 5;
    pub(super) const TIMEOUT: u16 = 6;
    pub(super) const PROTO: u16 = 7;
    pub(super) const FLAGS: u16 = 8;
    pub(super) const MARK: u16 = 10;
    pub(super) const MARKMASK: u16 = 11;
    /// Of a header.
    pub(super) const NETMASK: u16 = 20;
    /// The seed and the sizes of a hash table, and numbers of references and bytes.
    pub(super) const HEADER_SIZES: [u16; 9] = [17, 18, 19, 21, 22, 23, 24, 25, 26];
    /// Of an element.
    pub(super) const ETHER: u16 = 17;
    pub(super) const NAME: u16 = 18;
    pub(super) const IP2: u16 = 20;
    pub(super) const CIDR2: u16 = 21;
    pub(super) const IFACE: u16 = 23;
    /// Counters, comment and information for packets, and padding.
    pub(super) const EXTENSIONS: [u16; 7] = [24, 25, 26, 27, 28, 29, 30];
}

/// Flags of a header and of an element (`enum ipset_cadt_flags`).
mod flag {
    pub(super) const PHYSDEV: u32 = 0x02;
    pub(super) const NOMATCH: u32 = 0x04;
    pub(super) const WITH_COUNTERS: u32 = 0x08;
    pub(super) const WITH_COMMENT: u32 = 0x10;
    pub(super) const WITH_FORCEADD: u32 = 0x20;
    pub(super) const WITH_SKBINFO: u32 = 0x40;
    pub(super) const IFACE_WILDCARD: u32 = 0x80;
}

fn content(type_name: &str, header: &Attributes) -> Option<IpsetContent> {
    let (_, dimensions) = TYPES.iter().find(|(name, _)| *name == type_name)?;
    let known = [
        attribute::IP,
        attribute::IP_TO,
        attribute::PORT,
        attribute::PORT_TO,
        attribute::TIMEOUT,
        attribute::FLAGS,
        attribute::MARKMASK,
        attribute::NETMASK,
    ];
    let flags = header.u32(attribute::FLAGS).unwrap_or(0);
    let known_flags =
        flag::WITH_COUNTERS | flag::WITH_COMMENT | flag::WITH_FORCEADD | flag::WITH_SKBINFO;
    if !header.has_only(&[&known, &attribute::HEADER_SIZES]) || flags & !known_flags != 0 {
        return None;
    }
    let address = |number| match header.address(number) {
        Some(IpAddr::V4(address)) => Some(u32::from(address)),
        Some(IpAddr::V6(_)) | None => None,
    };
    let port = |number| header.u16(number).map(u32::from);
    let range = match (address(attribute::IP), address(attribute::IP_TO)) {
        (Some(first), Some(last)) => Some(first..=last),
        _ => port(attribute::PORT)
            .zip(port(attribute::PORT_TO))
            .map(|(first, last)| first..=last),
    };
    Some(IpsetContent {
        dimensions,
        is_bitmap: type_name.starts_with("bitmap:"),
        netmask: header.u8(attribute::NETMASK),
        mark_mask: header.u32(attribute::MARKMASK).unwrap_or(u32::MAX),
        range,
        timeout: header.u32(attribute::TIMEOUT),
        has_counters: flags & flag::WITH_COUNTERS != 0,
        has_packet_info: flags & flag::WITH_SKBINFO != 0,
        elements: Vec::new(),
    })
}

fn read_element(
    content: &IpsetContent,
    family: Option<Family>,
    element: &Attributes,
) -> Option<IpsetElement> {
    let known = [
        attribute::IP,
        attribute::CIDR,
        attribute::PORT,
        attribute::TIMEOUT,
        attribute::PROTO,
        attribute::FLAGS,
        attribute::MARK,
        attribute::ETHER,
        attribute::NAME,
        attribute::IP2,
        attribute::CIDR2,
        attribute::IFACE,
    ];
    let flags = element.u32(attribute::FLAGS).unwrap_or(0);
    let known_flags = flag::PHYSDEV | flag::NOMATCH | flag::IFACE_WILDCARD;
    if !element.has_only(&[&known, &attribute::EXTENSIONS]) || flags & !known_flags != 0 {
        return None;
    }
    let host_prefix = match family {
        Some(Family::Ip6) => 128,
        _ => 32,
    };
    let mut parts = Vec::new();
    for dimension in content.dimensions {
        let is_second = parts
            .iter()
            .any(|part| matches!(part, IpsetPart::Network { .. }));
        let (ip, cidr) = match is_second {
            false => (attribute::IP, attribute::CIDR),
            true => (attribute::IP2, attribute::CIDR2),
        };
        parts.push(match dimension {
            Address => IpsetPart::Network {
                address: element.address(ip)?,
                prefix: content.netmask.unwrap_or(host_prefix),
            },
            Network => IpsetPart::Network {
                address: element.address(ip)?,
                prefix: element.u8(cidr)?,
            },
            Port => IpsetPart::Port {
                protocol: element.u8(attribute::PROTO),
                port: element.u16(attribute::PORT)?,
            },
            Interface => IpsetPart::Interface {
                name: element.text(attribute::IFACE)?,
                is_prefix: flags & flag::IFACE_WILDCARD != 0,
                is_physical: flags & flag::PHYSDEV != 0,
            },
            Mac => IpsetPart::Mac(element.get(attribute::ETHER)?.try_into().ok()?),
            Mark => IpsetPart::Mark(element.u32(attribute::MARK)?),
            Set => IpsetPart::Set(element.text(attribute::NAME)?),
        });
    }
    Some(IpsetElement {
        parts,
        is_exception: flags & flag::NOMATCH != 0,
        expires: element
            .u32(attribute::TIMEOUT)
            .filter(|seconds| *seconds != 0),
    })
}

/// Attributes of netlink with their numbers, without flags.
struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut attributes = Vec::new();
        while !bytes.is_empty() {
            let [l0, l1, k0, k1] = *bytes.first_chunk()?;
            let length = usize::from(u16::from_ne_bytes([l0, l1]));
            // `NLA_TYPE_MASK`.
            let kind = u16::from_ne_bytes([k0, k1]) & 0x3fff;
            attributes.push((kind, bytes.get(4..length)?));
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(Self(attributes))
    }

    fn get(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut attributes = self.0.iter();
        attributes
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| *value)
    }

    fn has_only(&self, known: &[&[u16]]) -> bool {
        let mut attributes = self.0.iter();
        attributes.all(|(kind, _)| known.iter().any(|known| known.contains(kind)))
    }

    fn u8(&self, wanted: u16) -> Option<u8> {
        self.get(wanted)?.first().copied()
    }

    fn u16(&self, wanted: u16) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(wanted)?.try_into().ok()?))
    }

    fn u32(&self, wanted: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(wanted)?.try_into().ok()?))
    }

    fn text(&self, wanted: u16) -> Option<String> {
        let bytes = self.get(wanted)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).ok()
    }

    /// `IPSET_ATTR_IPADDR_IPV4` or `IPSET_ATTR_IPADDR_IPV6` inside of it.
    fn address(&self, wanted: u16) -> Option<IpAddr> {
        let inner = Self::parse(self.get(wanted)?)?;
        match inner.0.as_slice() {
            [(1, address)] => Some(Ipv4Addr::from(<[u8; 4]>::try_from(*address).ok()?).into()),
            [(2, address)] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(*address).ok()?).into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_messages_never_panic(
            message in prop::collection::vec(prop_oneof![Just(0_u8), 4..12_u8, any::<u8>()], 0..200),
        ) {
            let _ = decode([message.as_slice()]);
        }
    }

    const INSIDE: IpsetPacket = IpsetPacket {
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1)),
        destination: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        protocol: TCP,
        ports: Some([1024, 80]),
        input: Some("eth0"),
        output: None,
        macs: None,
        mark: 0,
    };

    fn network(address: [u8; 4], prefix: u8) -> IpsetPart {
        let address = IpAddr::from(address);
        IpsetPart::Network { address, prefix }
    }

    fn interface(name: &str) -> IpsetPart {
        IpsetPart::Interface {
            name: name.to_owned(),
            is_prefix: false,
            is_physical: false,
        }
    }

    fn set(name: &str, index: u16, type_name: &str, elements: Vec<Vec<IpsetPart>>) -> Ipset {
        let (_, dimensions) = TYPES
            .iter()
            .find(|(known, _)| *known == type_name)
            .expect("a type");
        let elements = elements.into_iter().map(|parts| IpsetElement {
            parts,
            is_exception: false,
            expires: None,
        });
        Ipset {
            name: name.to_owned(),
            index,
            type_name: type_name.to_owned(),
            revision: 0,
            family: (*dimensions != [Set]).then_some(Family::Ip),
            content: Some(IpsetContent {
                dimensions,
                is_bitmap: type_name.starts_with("bitmap:"),
                netmask: None,
                mark_mask: u32::MAX,
                range: None,
                timeout: None,
                has_counters: false,
                has_packet_info: false,
                elements: elements.collect(),
            }),
        }
    }

    fn test_of(index: u16, ends: &[PacketEnd]) -> SetMatch {
        SetMatch {
            set: crate::ruleset::program::xtables::SetReference {
                index,
                ends: ends.to_vec(),
            },
            inverted: false,
            returns_nomatch: false,
            packets: None,
            bytes: None,
            keeps_counters: false,
            keeps_subcounters: false,
        }
    }

    const BOTH: [PacketEnd; 2] = [PacketEnd::Source, PacketEnd::Source];

    #[test]
    fn the_longest_prefix_answers_also_for_another_interface() {
        let elements = vec![
            vec![network([10, 0, 0, 0], 16), interface("eth0")],
            vec![network([10, 0, 1, 0], 24), interface("eth1")],
        ];
        let mut sets = [set("s", 3, "hash:net,iface", elements)];
        let test = test_of(3, &BOTH);
        assert_eq!(
            matches(&sets, &test, Family::Ip, &INSIDE),
            IpsetAnswer::NotIn
        );
        sets[0].content.as_mut().expect("content").elements.pop();
        assert_eq!(matches(&sets, &test, Family::Ip, &INSIDE), IpsetAnswer::In);
    }

    #[test]
    fn an_exception_is_returned_if_the_rule_asks_for_exceptions() {
        let networks = vec![
            vec![network([10, 0, 0, 0], 8)],
            vec![network([10, 0, 1, 0], 24)],
        ];
        let mut sets = [set("s", 3, "hash:net", networks)];
        sets[0].content.as_mut().expect("content").elements[1].is_exception = true;
        let mut test = test_of(3, &BOTH[..1]);
        assert_eq!(
            matches(&sets, &test, Family::Ip, &INSIDE),
            IpsetAnswer::NotIn
        );
        test.returns_nomatch = true;
        assert_eq!(matches(&sets, &test, Family::Ip, &INSIDE), IpsetAnswer::In);
    }

    #[test]
    fn a_test_with_too_few_dimensions_or_of_another_family_finds_nothing() {
        let port = IpsetPart::Port {
            protocol: Some(TCP),
            port: 1024,
        };
        let elements = vec![vec![network([10, 0, 1, 1], 32), port]];
        let sets = [set("s", 3, "hash:ip,port", elements)];
        let answer = |ends, family| matches(&sets, &test_of(3, ends), family, &INSIDE);
        assert_eq!(answer(&BOTH, Family::LegacyIp), IpsetAnswer::In);
        assert_eq!(answer(&BOTH[..1], Family::LegacyIp), IpsetAnswer::NotIn);
        assert_eq!(answer(&BOTH, Family::Ip6), IpsetAnswer::NotIn);
    }

    #[test]
    fn a_list_has_what_a_member_has_and_is_unknown_where_a_member_is() {
        let list = vec![
            vec![IpsetPart::Set("a".to_owned())],
            vec![IpsetPart::Set("b".to_owned())],
        ];
        let mut sets = [
            set("l", 1, "list:set", list),
            set("a", 2, "hash:net", vec![vec![network([172, 16, 0, 0], 12)]]),
            set("b", 3, "hash:net", vec![vec![network([10, 0, 0, 0], 8)]]),
        ];
        let test = test_of(1, &BOTH[..1]);
        assert_eq!(matches(&sets, &test, Family::Ip, &INSIDE), IpsetAnswer::In);
        sets[1].content = None;
        assert_eq!(matches(&sets, &test, Family::Ip, &INSIDE), IpsetAnswer::In);
        sets[2].content = None;
        assert_eq!(
            matches(&sets, &test, Family::Ip, &INSIDE),
            IpsetAnswer::Unknown
        );
    }
}
