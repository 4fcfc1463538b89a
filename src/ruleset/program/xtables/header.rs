//! The part of an entry of legacy iptables that tests the IP header.

use super::{
    IpVersion,
    info::Info,
    value::{InterfacePattern, Invertible, MaskedAddress},
};

/// What an entry of legacy iptables tests before its matches (`struct ipt_ip`, `struct ip6t_ip6`). A part that is not
/// tested is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct XtHeaderMatch {
    /// Addresses of the sender.
    pub source: Option<Invertible<MaskedAddress>>,
    /// Addresses of the receiver.
    pub destination: Option<Invertible<MaskedAddress>>,
    /// The interface that received the packet.
    pub input: Option<Invertible<InterfacePattern>>,
    /// The interface that will send it.
    pub output: Option<Invertible<InterfacePattern>>,
    /// The transport protocol: in IPv6, the header behind the extension headers, and a packet in which there is none
    /// is dropped (`ip6_packet_match`, net/ipv6/netfilter/ip6_tables.c).
    pub protocol: Option<Invertible<u16>>,
    /// Whether it must be a later fragment, or must not (only IPv4).
    pub is_later_fragment: Option<bool>,
}

/// Bits of `invflags`, the same in both families.
mod inverted {
    pub(super) const INPUT: u8 = 0x01;
    pub(super) const OUTPUT: u8 = 0x02;
    pub(super) const SOURCE: u8 = 0x08;
    pub(super) const DESTINATION: u8 = 0x10;
    pub(super) const FRAGMENT: u8 = 0x20;
    pub(super) const PROTOCOL: u8 = 0x40;
    pub(super) const KNOWN: u8 = INPUT | OUTPUT | SOURCE | DESTINATION | FRAGMENT | PROTOCOL;
}

/// `IP6T_F_PROTO`: the protocol is tested.
const TESTS_PROTOCOL: u8 = 0x01;
/// `IPT_F_FRAG`: later fragments are tested.
const TESTS_FRAGMENT: u8 = 0x01;

impl XtHeaderMatch {
    /// Whether every packet matches.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let Self {
            source,
            destination,
            input,
            output,
            protocol,
            is_later_fragment,
        } = self;
        source.is_none()
            && destination.is_none()
            && input.is_none()
            && output.is_none()
            && protocol.is_none()
            && is_later_fragment.is_none()
    }

    /// Decodes the structure, and says whether the entry's jump is a `goto`.
    pub(in super::super) fn read(version: IpVersion, bytes: &[u8]) -> Option<(Self, bool)> {
        let mut info = Info::new(version, bytes);
        match version {
            IpVersion::V4 => Self::read_v4(&mut info),
            IpVersion::V6 => Self::read_v6(&mut info),
        }
    }

    fn read_v4(info: &mut Info) -> Option<(Self, bool)> {
        let [source, destination] = [info.ipv4()?, info.ipv4()?];
        let [source_mask, destination_mask] = [info.ipv4()?, info.ipv4()?];
        // Here the kernel does not mask the rule's side (`ip_packet_match`, net/ipv4/netfilter/ip_tables.c).
        let source = MaskedAddress {
            address: source,
            mask: source_mask,
        };
        let destination = MaskedAddress {
            address: destination,
            mask: destination_mask,
        };
        let interfaces = read_interfaces(info)?;
        let protocol = info.u16()?;
        let [flags, inverted] = info.array()?;
        if flags & !0x03 != 0 {
            return None;
        }
        let tested = (protocol != 0).then_some(protocol);
        let mut header = Self::new([source, destination], interfaces, tested, inverted)?;
        let is_other = inverted & inverted::FRAGMENT != 0;
        header.is_later_fragment = match (flags & TESTS_FRAGMENT != 0, is_other) {
            (false, false) => None,
            (true, is_other) => Some(!is_other),
            (false, true) => return None,
        };
        Some((header, flags & 0x02 != 0))
    }

    fn read_v6(info: &mut Info) -> Option<(Self, bool)> {
        let [source, destination] = [info.ipv6()?, info.ipv6()?];
        let [source_mask, destination_mask] = [info.ipv6()?, info.ipv6()?];
        let source = MaskedAddress::normalised(source, source_mask)?;
        let destination = MaskedAddress::normalised(destination, destination_mask)?;
        let interfaces = read_interfaces(info)?;
        let protocol = info.u16()?;
        let [_, flags, inverted] = info.array()?;
        // The kernel ignores the type of service, and whoever sets it expects otherwise.
        if flags & !0x05 != 0 || inverted & inverted::FRAGMENT != 0 {
            return None;
        }
        let tested = match (flags & TESTS_PROTOCOL != 0, protocol) {
            (false, _) => None,
            (true, 0) => return None,
            (true, protocol) => Some(protocol),
        };
        let header = Self::new([source, destination], interfaces, tested, inverted)?;
        Some((header, flags & 0x04 != 0))
    }

    fn new(
        [source, destination]: [MaskedAddress; 2],
        [input, output]: [InterfacePattern; 2],
        protocol: Option<u16>,
        inverted: u8,
    ) -> Option<Self> {
        if inverted & !inverted::KNOWN != 0 {
            return None;
        }
        let is = |bit: u8| inverted & bit != 0;
        let address = |address: MaskedAddress, bit| {
            (!address.is_any() || is(bit)).then(|| Invertible::new(address, is(bit)))
        };
        let interface = |pattern, bit| {
            (pattern != InterfacePattern::Any || is(bit)).then(|| Invertible::new(pattern, is(bit)))
        };
        Some(Self {
            source: address(source, inverted::SOURCE),
            destination: address(destination, inverted::DESTINATION),
            input: interface(input, inverted::INPUT),
            output: interface(output, inverted::OUTPUT),
            protocol: protocol.map(|number| Invertible::new(number, is(inverted::PROTOCOL))),
            is_later_fragment: None,
        })
    }
}

/// The input and the output interface.
fn read_interfaces(info: &mut Info) -> Option<[InterfacePattern; 2]> {
    let (input, output) = (info.array()?, info.array()?);
    let (input_mask, output_mask) = (info.array()?, info.array()?);
    Some([
        InterfacePattern::from_masked(input, input_mask)?,
        InterfacePattern::from_masked(output, output_mask)?,
    ])
}
