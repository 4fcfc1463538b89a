//! `packet:` of the long form, header field by header field.

mod bytes;
mod capture;
pub(super) mod draft;
mod icmp;
mod ip;
mod other;
mod sctp;
mod tcp;
mod udp;
pub(super) mod value;

use firedrill_harness::packet::{Cut, Ether, Payload, Pieces, Transport};

use self::{
    bytes::PCAP,
    draft::PacketDraft,
    icmp::ICMP,
    ip::{ETHER, Header, IP, IPV4, IPV6},
    other::{AH, ARP, ESP, GRE, IGMP, OSPF, VRRP},
    sctp::SCTP,
    tcp::TCP,
    udp::{UDP, UDP_LITE},
    value::PAYLOAD,
};
use crate::scenario::{
    Family,
    format::{
        Shape,
        words::{self, family_name, quote},
    },
    read::{
        Reader,
        address::family_of,
        fields::{Fields, Value},
        keys::{Header as _, by, decimal, header, keys, number, payload},
    },
    text::{source::Span, tree::Kind},
};

keys! {
    /// One packet, with exactly one thing that it carries.
    PACKET = "packet", "the packet", struct PacketKeys<'n>.planned(&["mark"]) {
        /// A TCP segment.
        tcp: PacketDraft = Shape::Object(&TCP) => by(Reader::tcp), either;
        /// A UDP datagram.
        udp: PacketDraft = Shape::Object(&UDP) => by(Reader::udp), either;
        /// A UDP-Lite datagram.
        udplite: PacketDraft = Shape::Object(&UDP_LITE) => by(Reader::udp_lite), either;
        /// An SCTP packet.
        sctp: PacketDraft = Shape::Object(&SCTP) => by(Reader::sctp), either;
        /// An ICMP message, ICMPv6 between IPv6 addresses.
        icmp: PacketDraft = Shape::Object(&ICMP) => by(|reader, value| reader.icmp_header(value, "icmp", None)), either;
        /// An ICMP message, IPv4 only.
        icmpv4: PacketDraft = Shape::Object(&ICMP) => by(|reader, value| reader.icmp_header(value, "icmpv4", Some(Family::Ipv4))), either;
        /// An ICMPv6 message, IPv6 only.
        icmpv6: PacketDraft = Shape::Object(&ICMP) => by(|reader, value| reader.icmp_header(value, "icmpv6", Some(Family::Ipv6))), either;
        /// An IGMP message, IPv4 only.
        igmp: PacketDraft = Shape::Object(&IGMP) => by(Reader::igmp), either;
        /// A GRE packet.
        gre: PacketDraft = Shape::Object(&GRE) => by(|reader, value| reader.header("gre", value, Transport::Gre)), either;
        /// An ESP packet.
        esp: PacketDraft = Shape::Object(&ESP) => by(|reader, value| reader.header("esp", value, Transport::Esp)), either;
        /// An authentication header.
        ah: PacketDraft = Shape::Object(&AH) => by(|reader, value| reader.header("ah", value, Transport::Ah)), either;
        /// An OSPF packet.
        ospf: PacketDraft = Shape::Object(&OSPF) => by(|reader, value| reader.header("ospf", value, Transport::Ospf)), either;
        /// A VRRP advertisement.
        vrrp: PacketDraft = Shape::Object(&VRRP) => by(Reader::vrrp), either;
        /// An ARP message, which is no IP packet: to the firewall, from a host on its link.
        arp: PacketDraft = Shape::Object(&ARP) => by(Reader::arp), either;
        /// Any other protocol, by its number; its bytes are the `payload`.
        protocol: PacketDraft = Shape::Number(1, 254) => by(Reader::protocol), either;
        /// The whole packet from its IP header on, as hexadecimal digits.
        hex: PacketDraft = Shape::Text => by(Reader::hex_packet), either;
        /// A packet of a capture file, with its own addresses.
        pcap: PacketDraft = Shape::Object(&PCAP) => by(Reader::captured), either;
        /// What a `protocol` carries.
        payload: Payload = PAYLOAD => payload;
        /// The Ethernet frame.
        ether: (Ether, String) = Shape::Object(&ETHER) => by(Reader::ether);
        /// The IP header of both families.
        ip: Header = Shape::Object(&IP) => by(|reader, value| reader.ip_header(value, "ip", None));
        /// The IP header, IPv4 only.
        ipv4: Header = Shape::Object(&IPV4) => by(|reader, value| reader.ip_header(value, "ipv4", Some(Family::Ipv4)));
        /// The IP header, IPv6 only.
        ipv6: Header = Shape::Object(&IPV6) => by(|reader, value| reader.ip_header(value, "ipv6", Some(Family::Ipv6)));
        /// Time to live (IPv4) or hop limit (IPv6).
        ttl: u16 = Shape::Number(1, 255) => decimal("a TTL");
        /// Sends the packet in fragments.
        fragments: Pieces = Shape::Object(&FRAGMENTS) => by(Reader::fragments);
        /// Sends only this many bytes of the packet, counted from its IP header.
        truncate: u16 = Shape::Number(1, 1500) => number;
    }
}

header! {
    /// How a packet is cut into fragments.
    FRAGMENTS = "fragments", "the fragmentation", Pieces {
        /// Bytes in each but the last, a multiple of eight.
        size = Shape::Number(8, 1400) => number, required;
        /// How many bytes each reaches back into the one before it, a multiple of eight.
        overlap = Shape::Number(0, 1392) => number;
        /// Which are sent, counted from 1, in this order; all when not given.
        send = Shape::List(&Shape::Number(1, 200)) => by(Reader::sent_pieces);
    }
}

/// How deep packets may quote each other.
const DEEPEST_QUOTE: usize = 4;

impl Reader<'_> {
    pub(super) fn packet(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        if self.quotes >= DEEPEST_QUOTE {
            let message = format!("packets quote each other at most {DEEPEST_QUOTE} deep");
            self.problem(value.at, message);
            return None;
        }
        self.quotes += 1;
        let probe = self.whole_packet(value);
        self.quotes -= 1;
        probe
    }

    fn whole_packet(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut keys = PacketKeys::read(self, value)?;
        let carried = keys.carried();
        let headers = [
            ("ip", None, keys.ip.take()),
            ("ipv4", Some(Family::Ipv4), keys.ipv4.take()),
            ("ipv6", Some(Family::Ipv6), keys.ipv6.take()),
        ];
        if !self.only_one(&keys, &["ip", "ipv4", "ipv6"])
            || !self.only_one(&keys, &["fragments", "truncate"])
        {
            return None;
        }
        let (key, mut probe) = carried?;
        if let Some((ether, text)) = keys.ether.take() {
            probe.packet.ether = ether;
            probe.text += &text;
            let at = keys.get("ether").map_or(value.at, |value| value.at);
            probe.not_from_firewall = Some((at, "ether"));
        }
        match probe.packet.transport {
            Transport::Bytes(_) => {
                self.stands_alone(&mut keys, &format!("{} is a whole packet", quote(key)));
                return keys.finish(probe);
            }
            Transport::Arp(_) => {
                self.stands_alone(&mut keys, &format!("{} is no IP packet", quote(key)));
                return keys.finish(probe);
            }
            _ => {}
        }
        probe.text += &keys.text_but(&[key, "ip", "ipv4", "ipv6", "ether"]);
        let ttl = keys.ttl.and_then(|ttl| u8::try_from(ttl).ok());
        probe.packet.ttl = ttl;
        let given = keys.payload.take().unwrap_or_default();
        if let Transport::Other { payload, .. } = &mut probe.packet.transport {
            *payload = given;
        } else if given != Payload::Usual {
            let message = format!("the payload belongs inside {}", quote(key));
            keys.misfit(self, "payload", message);
        }
        for (key, family, header) in headers {
            let Some(header) = header else { continue };
            let at = keys.get(key).map_or(value.at, |value| value.at);
            keys.sound &= self.join(&mut probe, header, family, at);
            if ttl.is_some() && probe.packet.ttl != ttl {
                let message = format!("the TTL stands in {} already", quote(key));
                keys.misfit(self, "ttl", message);
            }
        }
        let cut = Cut {
            pieces: keys.fragments.take(),
            truncate: keys.truncate,
        };
        if probe.packet.ip.fragment.is_some() && cut.pieces.is_some() {
            let message = "a packet that is a fragment is not cut into fragments";
            keys.misfit(self, "fragments", message);
        }
        probe.packet.cut = cut;
        keys.finish(probe)
    }

    /// Puts an IP header around what a packet carries.
    fn join(
        &mut self,
        probe: &mut PacketDraft,
        header: Header,
        family: Option<Family>,
        at: Span,
    ) -> bool {
        let addresses = [header.source, header.destination];
        let said = addresses.into_iter().flatten().map(family_of);
        let families: Vec<Family> = family.into_iter().chain(said).collect();
        for family in &families {
            let (first, first_at) = *probe.only.get_or_insert((*family, at));
            if first != *family {
                let message = format!(
                    "this part of the packet exists only in {}",
                    family_name(*family)
                );
                let problem = self.problem(at, message);
                if first_at != at {
                    problem.also(first_at, format!("and this only in {}", family_name(first)));
                }
                return false;
            }
        }
        probe.packet.source = header.source;
        probe.packet.destination = header.destination;
        probe.packet.ttl = header.ttl.or(probe.packet.ttl);
        let ip = header.ip;
        if ip.checksum.is_some() {
            probe.not_from_firewall = Some((at, "checksum"));
        }
        if ip.length.is_some() && family == Some(Family::Ipv4) {
            probe.not_from_firewall = Some((at, "total-length"));
        }
        probe.packet.ip = ip;
        probe.text += &header.text;
        true
    }

    fn fragments(&mut self, value: Value<'_>) -> Option<Pieces> {
        const UNIT: u16 = 8;
        let (pieces, mut fields) = Pieces::read(self, value)?;
        for (key, bytes) in [("size", pieces.size), ("overlap", pieces.overlap)] {
            if bytes % UNIT != 0 {
                let message = format!("{bytes} is no multiple of {UNIT}, as fragments are cut");
                fields.misfit(self, key, message);
            }
        }
        if pieces.overlap >= pieces.size && fields.finish(()).is_some() {
            let message = "a fragment reaches back less than its own size";
            fields.misfit(self, "overlap", message);
        }
        fields.finish(pieces)
    }

    fn sent_pieces(&mut self, value: Value<'_>) -> Option<Vec<u16>> {
        let Kind::List(items) = &value.node.kind else {
            self.unexpected(value, "a list of numbers");
            return None;
        };
        let numbers = items.iter().map(|item| {
            let word = self.line(Value::item(item), "the number of a fragment")?;
            let number = self.number_between(word, "the number of a fragment", 1, 200)?;
            u16::try_from(number).ok()
        });
        numbers.collect()
    }

    /// Reports what cannot be said beside something that has no IP header of ours around it.
    fn stands_alone(&mut self, fields: &mut Fields<'_>, why: &str) {
        const PARTS: [&str; 7] = [
            "payload",
            "ip",
            "ipv4",
            "ipv6",
            "ttl",
            "fragments",
            "truncate",
        ];
        for part in PARTS {
            if fields.get(part).is_some() {
                let message = format!("{why}, so {} says nothing here", quote(part));
                fields.misfit(self, part, message);
            }
        }
    }

    /// Reports keys that exclude each other.
    fn only_one(&mut self, fields: &Fields<'_>, keys: &[&str]) -> bool {
        let given = fields.given().filter(|(key, _)| keys.contains(key));
        let given: Vec<(&str, Span)> = given.map(|(key, value)| (key, value.at)).collect();
        let [(_, first), (_, second), ..] = given.as_slice() else {
            return true;
        };
        let names: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
        let names = words::list(&names, "and");
        self.problem(*second, format!("the packet can have only one of {names}"))
            .also(*first, "the first is here");
        false
    }
}

impl PacketKeys<'_> {
    /// The one thing that it carries, and its key.
    fn carried(&mut self) -> Option<(&'static str, PacketDraft)> {
        let (key, _) = self.either()?;
        let drafts = [
            &mut self.tcp,
            &mut self.udp,
            &mut self.udplite,
            &mut self.sctp,
            &mut self.icmp,
            &mut self.icmpv4,
            &mut self.icmpv6,
            &mut self.igmp,
            &mut self.gre,
            &mut self.esp,
            &mut self.ah,
            &mut self.ospf,
            &mut self.vrrp,
            &mut self.arp,
            &mut self.protocol,
            &mut self.hex,
            &mut self.pcap,
        ];
        let draft = drafts.into_iter().find_map(Option::take)?;
        Some((key, draft))
    }
}
