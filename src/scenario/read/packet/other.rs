//! `igmp:`, `gre:`, `esp:`, `ah:`, `ospf:`, `vrrp:`, `arp:` and `protocol:`.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::packet::{Ah, Arp, Esp, Gre, Igmp, Ospf, Payload, Transport, Vrrp};

use crate::scenario::{
    Family, PacketSpec,
    format::{ADDRESS, BYTE, Key, MAC, Shape, U16, U32, words},
    model::USUAL_SPI,
    read::{
        Reader,
        fields::Value,
        keys::{Header, address, by, checksum, header, keys, named, number, payload},
        packet::{
            draft::PacketDraft,
            value::{CHECKSUM, PAYLOAD},
        },
    },
};

header! {
    /// An IGMP message.
    IGMP = "igmp", "the IGMP message", Igmp {
        /// The type, by name or number.
        kind "type" = Shape::AnyOf(&[BYTE, Shape::Word(words::igmp_types)]) => named(words::igmp_type, words::igmp_types), required;
        /// The maximum response time, in tenths of a second.
        max_response "max-response" = BYTE => number;
        /// The group; 0.0.0.0 when not given.
        group [Ipv4Addr::UNSPECIFIED] = ADDRESS => ipv4("IGMP is about groups of IPv4");
        /// The checksum, if not the true one: a number, or `bad`.
        checksum = CHECKSUM => checksum;
    }
}

header! {
    /// A GRE header.
    GRE = "gre", "the GRE header", Gre {
        /// The EtherType of what it carries; that of IPv4 when not given.
        protocol [0x0800] = U16 => number;
        /// The version: 1 is PPTP.
        version = Shape::Number(0, 7) => number;
        /// The key of the tunnel.
        key = U32 => number;
        /// The sequence number.
        sequence = U32 => number;
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

header! {
    /// An ESP header.
    ESP = "esp", "the ESP header", Esp {
        /// The security parameters index; 256 when not given.
        spi [USUAL_SPI] = U32 => number;
        /// The sequence number; 1 when not given.
        sequence [1] = U32 => number;
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

header! {
    /// An authentication header.
    AH = "ah", "the authentication header", Ah {
        /// The security parameters index; 256 when not given.
        spi [USUAL_SPI] = U32 => number;
        /// The sequence number; 1 when not given.
        sequence [1] = U32 => number;
        /// The protocol of what follows; 59, nothing, when not given.
        next_header "next-header" [59] = BYTE => number;
        /// The reserved field.
        reserved = U16 => number;
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

header! {
    /// An OSPF header, version 2 for IPv4 and version 3 for IPv6.
    OSPF = "ospf", "the OSPF header", Ospf {
        /// The type, by name or number; `hello` when not given.
        kind "type" [1] = Shape::AnyOf(&[BYTE, Shape::Word(words::ospf_types)]) => named(words::ospf_type, words::ospf_types);
        /// The router ID; 192.0.2.1 when not given.
        router [Ipv4Addr::new(192, 0, 2, 1)] = Shape::Pattern("^[0-9.]+$") => ipv4("it is written like an IPv4 address");
        /// The area ID; 0.0.0.0 when not given.
        area [Ipv4Addr::UNSPECIFIED] = Shape::Pattern("^[0-9.]+$") => ipv4("it is written like an IPv4 address");
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

header! {
    /// A VRRP advertisement.
    VRRP = "vrrp", "the VRRP advertisement", Vrrp {
        /// The version; 3 when not given.
        version [3] = Shape::Number(2, 3) => number;
        /// The virtual router; 1 when not given.
        router [1] = Shape::Number(1, 255) => number;
        /// The priority; 100 when not given.
        priority [100] = BYTE => number;
        /// The interval: seconds in version 2, hundredths in version 3.
        interval [100] = Shape::Number(0, 4095) => number;
        /// The addresses of the virtual router.
        addresses = Shape::OneOrMore(&ADDRESS) => by(Reader::addresses);
    }
}

keys! {
    /// An ARP message for Ethernet and IPv4.
    ARP = "arp", "the ARP message", struct ArpKeys<'n> {
        /// The operation, by name or number; `request` when not given.
        operation: u16 = Shape::AnyOf(&[U16, Shape::Word(words::arp_operations)]) => by(Reader::arp_operation);
        /// The sender's IPv4 address, if not that of the host.
        sender: Ipv4Addr = ADDRESS => ipv4("ARP is about IPv4 addresses");
        /// The sender's Ethernet address, if not that of the frame.
        sender_mac "sender-mac": [u8; 6] = MAC => by(Reader::mac);
        /// The target's IPv4 address, if not that of the firewall.
        target: Ipv4Addr = ADDRESS => ipv4("ARP is about IPv4 addresses");
        /// The target's Ethernet address; zero when not given.
        target_mac "target-mac": [u8; 6] = MAC => by(Reader::mac);
    }
}

/// An IPv4 address; `otherwise` is what is said of others.
fn ipv4(
    otherwise: &'static str,
) -> impl FnOnce(&mut Reader<'_>, &Key, Value<'_>) -> Option<Ipv4Addr> {
    move |reader, key, value| match address(reader, key, value)? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => {
            reader.problem(value.span(), otherwise);
            None
        }
    }
}

impl Reader<'_> {
    pub(super) fn igmp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut probe = self.header::<Igmp>("igmp", value, Transport::Igmp)?;
        probe.only = Some((Family::Ipv4, value.at));
        Some(probe)
    }

    /// A packet of a header without ports.
    pub(super) fn header<H: Header>(
        &mut self,
        name: &str,
        value: Value<'_>,
        transport: fn(H) -> Transport,
    ) -> Option<PacketDraft> {
        let (header, fields) = H::read(self, value)?;
        let text = format!("{name}{}", fields.text_but(&[]));
        PacketDraft::of(text, value, &fields, transport(header))
    }

    pub(super) fn vrrp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let (mut header, fields) = Vrrp::read(self, value)?;
        let only = (header.version == 2).then_some((Family::Ipv4, value.at));
        if only.is_some() && fields.get("interval").is_none() {
            // A second.
            header.interval = 1;
        }
        let text = format!("vrrp{}", fields.text_but(&[]));
        let mut probe = PacketDraft::of(text, value, &fields, Transport::Vrrp(header))?;
        probe.only = only;
        Some(probe)
    }

    fn addresses(&mut self, value: Value<'_>) -> Option<Vec<IpAddr>> {
        let items = self.one_or_more(value, "an address or a list of addresses");
        let addresses = items.into_iter().map(|item| {
            let word = self.line(item, "an address")?;
            self.ip(word)
        });
        addresses.collect()
    }

    pub(super) fn arp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let keys = ArpKeys::read(self, value)?;
        let header = Arp {
            operation: keys.operation.unwrap_or(1),
            sender: keys.sender_mac,
            target: keys.target_mac,
        };
        let text = format!("arp{}", keys.text_but(&[]));
        let mut probe = PacketDraft::of(text, value, &keys, Transport::Arp(header))?;
        probe.packet.source = keys.sender.map(IpAddr::V4);
        probe.packet.destination = keys.target.map(IpAddr::V4);
        probe.only = Some((Family::Ipv4, value.at));
        probe.not_from_firewall = Some((value.at, "arp"));
        Some(probe)
    }

    fn arp_operation(&mut self, value: Value<'_>) -> Option<u16> {
        let word = self.line(value, "an ARP operation")?;
        if let Some(number) = words::arp_operation(word.text) {
            return Some(u16::from(number));
        }
        if word
            .text
            .starts_with(|letter: char| letter.is_ascii_digit())
        {
            let number = self.number_between(word, "an ARP operation", 0, 65_535)?;
            return u16::try_from(number).ok();
        }
        let help = words::suggest(word.text, words::arp_operations());
        self.no_such(word, "ARP operation", help);
        None
    }

    pub(super) fn protocol(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let word = self.line(value, "a protocol number")?;
        let protocol = self.number_between(word, "a protocol number", 1, 254)?;
        let transport = Transport::Other {
            protocol: u8::try_from(protocol).ok()?,
            payload: Payload::Usual,
        };
        Some(PacketDraft::new(
            format!("proto/{protocol}"),
            value.at,
            PacketSpec::new(transport),
        ))
    }
}
