//! `icmp:`, `icmpv4:` and `icmpv6:`.

use std::net::IpAddr;

use firedrill_harness::{
    packet::{Checksum, Payload, Transport, is_icmp_error, is_neighbour_discovery},
    protocol::Bytes,
};

use crate::scenario::{
    Family,
    format::{
        Shape, U16, U32,
        words::{self, quote},
    },
    read::{
        Reader,
        fields::Value,
        keys::{address, by, checksum, keys, line, number, payload},
        packet::{
            PACKET,
            draft::PacketDraft,
            value::{CHECKSUM, PAYLOAD},
        },
    },
    text::tree::Word,
};

keys! {
    /// An ICMP or ICMPv6 header.
    ICMP = "icmp", "the ICMP header", struct IcmpKeys<'n> {
        /// The type, by the name that nft(8) gives it or by number.
        kind "type": Word<'n> = Shape::AnyOf(&[Shape::Number(0, 255), Shape::Word(words::icmp_types)]) => line("an ICMP type"), required;
        /// The code, 0 when not given; those of destination-unreachable also by name.
        code: Word<'n> = Shape::AnyOf(&[Shape::Number(0, 255), Shape::Word(words::icmp_codes)]) => line("an ICMP code");
        /// The identifier of an echo, or of any message that has one there.
        id: u16 = U16 => number;
        /// The sequence number of an echo.
        sequence: u16 = U16 => number;
        /// The maximum transmission unit that an error tells.
        mtu: u32 = U32 => number;
        /// The target of neighbour discovery; the receiver when not given.
        target: IpAddr = Shape::Pattern("^[0-9A-Fa-f:]+$") => address;
        /// The packet that an error quotes, from its receiver to its sender.
        quote: PacketDraft = Shape::Object(&PACKET) => by(Reader::packet);
        /// The checksum, if not the true one: a number, or `bad`.
        checksum: Checksum = CHECKSUM => checksum;
        /// What follows the first eight bytes: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload: Payload = PAYLOAD => payload;
    }
}

impl Reader<'_> {
    pub(super) fn icmp_header(
        &mut self,
        value: Value<'_>,
        protocol: &str,
        only: Option<Family>,
    ) -> Option<PacketDraft> {
        let mut keys = IcmpKeys::read(self, value)?;
        let readable = keys.get("code").is_none() || keys.code.is_some();
        let icmp = match keys.kind.filter(|_| readable) {
            Some(kind) => self.icmp(kind, keys.code, only),
            None => None,
        };
        let (kind, icmp) = (keys.kind?, icmp?);
        let is = |test: &dyn Fn(bool, u8) -> bool| {
            let numbers = [Family::Ipv4, Family::Ipv6].map(|family| {
                let (kind, _) = icmp.numbers(family)?;
                Some(test(family == Family::Ipv6, kind))
            });
            numbers.into_iter().flatten().any(|fits| fits)
        };
        let type_name = quote(kind.text);
        let error = is(&is_icmp_error);
        let discovery = is(&|v6, kind| v6 && is_neighbour_discovery(kind) && kind >= 135);
        if keys.quote.is_some() && !error {
            keys.misfit(
                self,
                "quote",
                format!("{type_name} is no error and quotes nothing"),
            );
        }
        if keys.mtu.is_some() && !error {
            keys.misfit(
                self,
                "mtu",
                format!("{type_name} is no error and tells no MTU"),
            );
        }
        if keys.target.is_some() && !discovery {
            let message = format!("{type_name} is no neighbour discovery with a target");
            keys.misfit(self, "target", message);
        }
        if let Some(IpAddr::V4(_)) = keys.target {
            keys.misfit(
                self,
                "target",
                "neighbour discovery is about IPv6 addresses".to_owned(),
            );
        }
        for name in ["id", "sequence"] {
            if keys.get(name).is_some() && (error || discovery) {
                keys.misfit(self, name, format!("{type_name} has no {name}"));
            }
        }
        let given = keys.given().map(|(name, _)| name);
        let bodies: Vec<&str> = given
            .filter(|name| ["quote", "payload", "target"].contains(name))
            .collect();
        if let [first, second, ..] = bodies.as_slice() {
            let message = format!(
                "the message can have only one of {}",
                words::list(&bodies, "and")
            );
            let first = keys.get(first).map(Value::span);
            let second = keys.get(second).map_or(keys.at, Value::span);
            let problem = self.problem(second, message);
            if let Some(first) = first {
                problem.also(first, "the first is here");
            }
            keys.sound = false;
        }
        let mut text = format!("{protocol}/{}", kind.text);
        if let Some(code) = keys.code {
            text += &format!("/{}", code.text);
        }
        text += &keys.text_but(&["type", "code"]);
        let mut probe = PacketDraft::icmp(text, value.at, icmp);
        probe.only = only.map(|only| (only, value.at));
        if let Transport::Icmp(header) = &mut probe.packet.transport {
            header.checksum = keys.checksum;
            header.rest = rest(keys.id, keys.sequence, keys.mtu);
            header.data = match (keys.payload.take().unwrap_or_default(), keys.target) {
                (Payload::Is(bytes), _) => Some(bytes),
                (Payload::Size(size), _) => {
                    probe.packet.icmp_size = Some(size);
                    None
                }
                (Payload::Usual, Some(IpAddr::V6(target))) => Some(Bytes(target.octets().to_vec())),
                (Payload::Usual, _) => None,
            };
        }
        probe.quote = keys.quote.take().map(Box::new);
        keys.finish(probe)
    }
}

/// The four bytes behind an ICMP checksum: identifier and sequence number (RFC 792), or an MTU, of which
/// IPv4 has 16 bits (RFC 1191) in the place of the lower ones of IPv6 (RFC 4443 section 3.2).
fn rest(id: Option<u16>, sequence: Option<u16>, mtu: Option<u32>) -> Option<[u8; 4]> {
    if let Some(mtu) = mtu {
        return Some(mtu.to_be_bytes());
    }
    (id.is_some() || sequence.is_some()).then(|| {
        let [a, b] = id.unwrap_or_default().to_be_bytes();
        let [c, d] = sequence.unwrap_or_default().to_be_bytes();
        [a, b, c, d]
    })
}
