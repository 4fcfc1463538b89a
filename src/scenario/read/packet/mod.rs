//! `packet:` of the long form, header field by header field.

mod bytes;
mod capture;
pub(super) mod draft;
mod ip;
mod layer;
mod transport;

use firedrill_harness::packet::{Cut, Payload, Pieces, Transport};

use crate::scenario::{
    Family,
    format::{
        self,
        words::{self, family_name, quote},
    },
    read::{
        Reader,
        address::family_of,
        fields::Value,
        packet::draft::PacketDraft,
        packet::{ip::Header, layer::Layer},
    },
    text::{source::Span, tree::Kind},
};

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
        let mut layer = Layer::of(self, value, &format::PACKET)?;
        let carried = layer.reader.either(&layer.fields);
        let carried_key = carried.map(|(key, _)| key);
        let probe = carried.and_then(|(key, value)| layer.reader.carried(key, value));
        let payload = layer.payload();
        let ether = layer.read("ether", |reader, value| reader.ether(value));
        let headers = [
            ("ip", None),
            ("ipv4", Some(Family::Ipv4)),
            ("ipv6", Some(Family::Ipv6)),
        ]
        .map(|(key, family)| {
            let header = layer.read(key, |reader, value| reader.ip_header(value, key, family));
            header.map(|header| (key, family, header))
        });
        let ttl: Option<u8> = match layer.fields.get("ttl") {
            Some(value) => {
                let ttl = layer.reader.number(value, "a TTL", 1..=255);
                layer.sound &= ttl.is_some();
                ttl.and_then(|ttl| u8::try_from(ttl).ok())
            }
            None => None,
        };
        let cut = Cut {
            pieces: layer.read("fragments", |reader, value| reader.fragments(value)),
            truncate: layer.number("truncate"),
        };
        if !only_one(&mut layer, &["ip", "ipv4", "ipv6"])
            || !only_one(&mut layer, &["fragments", "truncate"])
        {
            return None;
        }
        let mut probe = probe?;
        if let Some((ether, text)) = ether {
            probe.packet.ether = ether;
            probe.text += &text;
            let at = layer.fields.get("ether").map_or(value.at, |value| value.at);
            probe.not_from_firewall = Some((at, "ether"));
        }
        let key = carried_key.unwrap_or_default();
        match probe.packet.transport {
            Transport::Bytes(_) => {
                stands_alone(&mut layer, &format!("{} is a whole packet", quote(key)));
                return layer.finish(probe);
            }
            Transport::Arp(_) => {
                stands_alone(&mut layer, &format!("{} is no IP packet", quote(key)));
                return layer.finish(probe);
            }
            _ => {}
        }
        probe.text += &layer.told(&[
            carried_key.unwrap_or_default(),
            "ip",
            "ipv4",
            "ipv6",
            "ether",
        ]);
        probe.packet.ttl = ttl;
        if let Transport::Other { payload: bytes, .. } = &mut probe.packet.transport {
            *bytes = payload;
        } else if payload != Payload::Usual {
            let inside = quote(carried_key.unwrap_or_default());
            layer.misfit("payload", format!("the payload belongs inside {inside}"));
        }
        if let Some((key, family, header)) = headers.into_iter().flatten().next() {
            let at = layer.fields.get(key).map_or(value.at, |value| value.at);
            layer.sound &= layer.reader.join(&mut probe, header, family, at);
            if ttl.is_some() && probe.packet.ttl != ttl {
                let message = format!("the TTL stands in {} already", quote(key));
                layer.misfit("ttl", message);
            }
        }
        if probe.packet.ip.fragment.is_some() && cut.pieces.is_some() {
            layer.misfit(
                "fragments",
                "a packet that is a fragment is not cut into fragments".to_owned(),
            );
        }
        probe.packet.cut = cut;
        layer.finish(probe)
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
        let mut layer = Layer::of(self, value, &format::FRAGMENTS)?;
        let pieces = Pieces {
            size: layer.number("size").unwrap_or_default(),
            overlap: layer.number("overlap").unwrap_or_default(),
            send: layer
                .read("send", |reader, value| {
                    let Kind::List(items) = &value.node.kind else {
                        reader.unexpected(value, "a list of numbers");
                        return None;
                    };
                    let numbers = items.iter().map(|item| {
                        let word = reader.line(Value::item(item), "the number of a fragment")?;
                        let number =
                            reader.number_between(word, "the number of a fragment", 1, 200)?;
                        u16::try_from(number).ok()
                    });
                    numbers.collect()
                })
                .unwrap_or_default(),
        };
        for (key, bytes) in [("size", pieces.size), ("overlap", pieces.overlap)] {
            if bytes % UNIT != 0 {
                layer.misfit(
                    key,
                    format!("{bytes} is no multiple of {UNIT}, as fragments are cut"),
                );
            }
        }
        if layer.sound && pieces.overlap >= pieces.size {
            layer.misfit(
                "overlap",
                "a fragment reaches back less than its own size".to_owned(),
            );
        }
        layer.finish(pieces)
    }
}

/// Reports what cannot be said beside something that has no IP header of ours around it.
fn stands_alone(layer: &mut Layer<'_, '_, '_>, why: &str) {
    const PARTS: [&str; 7] = [
        "payload",
        "ip",
        "ipv4",
        "ipv6",
        "ttl",
        "fragments",
        "truncate",
    ];
    let given: Vec<&str> = layer.fields.given().map(|(key, _)| key).collect();
    for part in PARTS.into_iter().filter(|part| given.contains(part)) {
        layer.misfit(part, format!("{why}, so {} says nothing here", quote(part)));
    }
}

/// Reports keys that exclude each other.
fn only_one(layer: &mut Layer<'_, '_, '_>, keys: &[&str]) -> bool {
    let given: Vec<(&str, Span)> = layer
        .fields
        .given()
        .filter(|(key, _)| keys.contains(key))
        .map(|(key, value)| (key, value.at))
        .collect();
    let [(_, first), (_, second), ..] = given.as_slice() else {
        return true;
    };
    let names: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
    let message = format!(
        "the packet can have only one of {}",
        words::list(&names, "and")
    );
    layer
        .reader
        .problem(*second, message)
        .also(*first, "the first is here");
    false
}
