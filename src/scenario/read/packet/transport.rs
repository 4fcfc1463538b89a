//! What a packet carries: `tcp:`, `udp:`, `icmp:` and all the others.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::{
    packet::{
        Ah, Arp, Chunk, Esp, Gre, Igmp, Ospf, Payload, Sctp, Tcp, Transport, Udp, UdpLite, Vrrp,
        is_icmp_error, is_neighbour_discovery,
    },
    protocol::Bytes,
};

use crate::scenario::{
    Family, PacketSpec, TcpFlags,
    format::{
        self,
        words::{self, quote},
    },
    model,
    read::{
        Reader,
        fields::Value,
        packet::draft::{PacketDraft, SYN},
        packet::layer::Layer,
    },
    text::tree::Kind,
};

/// The longest that TCP options can be, in bytes (RFC 9293 section 3.1).
const LONGEST_OPTIONS: usize = 40;

impl Reader<'_> {
    /// What this key of a packet says.
    pub(super) fn carried(&mut self, key: &str, value: Value<'_>) -> Option<PacketDraft> {
        match key {
            "tcp" => self.tcp(value),
            "udp" => self.udp(value),
            "udplite" => self.udp_lite(value),
            "sctp" => self.sctp(value),
            "icmp" => self.icmp_header(value, key, None),
            "icmpv4" => self.icmp_header(value, key, Some(Family::Ipv4)),
            "icmpv6" => self.icmp_header(value, key, Some(Family::Ipv6)),
            "igmp" => self.igmp(value),
            "gre" => self.gre(value),
            "esp" => self.esp(value),
            "ah" => self.ah(value),
            "ospf" => self.ospf(value),
            "vrrp" => self.vrrp(value),
            "arp" => self.arp(value),
            "hex" => self.hex_packet(value),
            "pcap" => self.captured(value),
            // The table of keys has no other.
            _ => self.protocol(value),
        }
    }

    fn tcp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::TCP)?;
        let (sport, dport) = (layer.number("sport"), layer.number("dport"));
        let flags = layer
            .read("flags", |reader, value| reader.flags(value))
            .unwrap_or(SYN);
        let header = Tcp {
            sport: sport.unwrap_or_default(),
            dport: dport.unwrap_or_default(),
            flags: flags.0,
            seq: layer.number("seq"),
            ack: layer.number("ack"),
            window: layer.number("window"),
            urgent: layer.number("urgent").unwrap_or_default(),
            reserved: layer.number("reserved").unwrap_or_default(),
            offset: layer.number("offset"),
            options: layer.read("options", |reader, value| reader.tcp_options(value)),
            checksum: layer.checksum("checksum"),
            payload: layer.payload(),
        };
        let mut text = format!("tcp/{}", header.dport);
        if let Some(sport) = sport {
            text += &format!(" sport {sport}");
        }
        if flags != SYN {
            text += &format!(" flags {}", words::tcp_flags_text(flags));
        }
        text += &layer.told(&["dport", "sport", "flags"]);
        layer.finish(with_ports(text, value, sport, Transport::Tcp(header)))
    }

    fn tcp_options(&mut self, value: Value<'_>) -> Option<Bytes> {
        /// Kinds (IANA "TCP Option Kind Numbers").
        mod kind {
            pub const MSS: u8 = 2;
            pub const WINDOW_SCALE: u8 = 3;
            pub const SACK_PERMITTED: u8 = 4;
            pub const SACK: u8 = 5;
            pub const TIMESTAMPS: u8 = 8;
            pub const FAST_OPEN: u8 = 34;
        }
        let mut layer = Layer::of(self, value, &format::TCP_OPTIONS)?;
        let mut options = Vec::new();
        let mut add = |kind: u8, data: &[u8]| {
            options.extend([kind, (data.len() + 2) as u8]);
            options.extend_from_slice(data);
        };
        if let Some(mss) = layer.number::<u16>("mss") {
            add(kind::MSS, &mss.to_be_bytes());
        }
        if let Some(shift) = layer.number("window-scale") {
            add(kind::WINDOW_SCALE, &[shift]);
        }
        if layer.boolean("sack-permitted") == Some(true) {
            add(kind::SACK_PERMITTED, &[]);
        }
        if let Some(pairs) = layer.read("sack", |reader, value| {
            let items = reader.one_or_more(value, "a list of pairs");
            let pairs = items.into_iter().map(|item| reader.two_numbers(item));
            pairs.collect::<Option<Vec<_>>>()
        }) {
            add(kind::SACK, &pairs.concat());
        }
        if let Some(pair) = layer.read("timestamps", |reader, value| reader.two_numbers(value)) {
            add(kind::TIMESTAMPS, &pair);
        }
        if let Some(cookie) = layer.bytes("fast-open") {
            add(kind::FAST_OPEN, &cookie.0);
        }
        options.extend(layer.bytes("raw").unwrap_or_default().0);
        if options.len() > LONGEST_OPTIONS {
            let message = format!(
                "these options have {} bytes, and TCP has room for {LONGEST_OPTIONS}",
                options.len()
            );
            layer.sound = false;
            let at = layer.fields.at;
            layer.reader.problem(at, message);
        }
        layer.finish(Bytes(options))
    }

    /// A list of two numbers of 32 bits.
    fn two_numbers(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        let items = match &value.node.kind {
            Kind::List(items) if items.len() == 2 => items,
            _ => {
                self.problem(value.span(), "expected a list of two numbers");
                return None;
            }
        };
        let mut bytes = Vec::new();
        for item in items {
            let word = self.line(Value::item(item), "a number")?;
            let number = self.number_between(word, "a number", 0, u32::MAX)?;
            bytes.extend(number.to_be_bytes());
        }
        Some(bytes)
    }

    fn flags(&mut self, value: Value<'_>) -> Option<TcpFlags> {
        let single = matches!(value.node.kind, Kind::Scalar(_));
        let empty = matches!(&value.node.kind, Kind::List(items) if items.is_empty());
        if empty {
            return Some(TcpFlags(0));
        }
        let mut bits = 0;
        let mut sound = true;
        let items = self.one_or_more(value, "a list of TCP flags");
        sound &= !items.is_empty();
        for item in items {
            let Some(word) = self.line(item, "a TCP flag") else {
                sound = false;
                continue;
            };
            match words::tcp_flag(word.text) {
                Some(bit) if bits & bit != 0 => {
                    self.problem(
                        word.span,
                        format!("the flag {} is listed twice", quote(word.text)),
                    );
                    sound = false;
                }
                Some(bit) => bits |= bit,
                None if word.text == "none" && single => {}
                None => {
                    let help = unknown_flag_help(word.text);
                    self.no_such(word, "TCP flag", help);
                    sound = false;
                }
            }
        }
        sound.then_some(TcpFlags(bits))
    }

    fn udp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::UDP)?;
        let sport = layer.number("sport");
        let header = Udp {
            sport: sport.unwrap_or_default(),
            dport: layer.number("dport").unwrap_or_default(),
            length: layer.number("length"),
            checksum: layer.checksum("checksum"),
            payload: layer.payload(),
        };
        let text = format!("udp/{}{}", header.dport, layer.told(&["dport"]));
        layer.finish(with_ports(text, value, sport, Transport::Udp(header)))
    }

    fn udp_lite(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::UDP_LITE)?;
        let sport = layer.number("sport");
        let header = UdpLite {
            sport: sport.unwrap_or_default(),
            dport: layer.number("dport").unwrap_or_default(),
            coverage: layer.number("coverage").unwrap_or_default(),
            checksum: layer.checksum("checksum"),
            payload: layer.payload(),
        };
        let text = format!("udplite/{}{}", header.dport, layer.told(&["dport"]));
        layer.finish(with_ports(text, value, sport, Transport::UdpLite(header)))
    }

    fn sctp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::SCTP)?;
        let sport = layer.number("sport");
        let header = Sctp {
            sport: sport.unwrap_or_default(),
            dport: layer.number("dport").unwrap_or_default(),
            tag: layer.number("tag").unwrap_or_default(),
            checksum: layer.checksum("checksum"),
            chunks: layer
                .read("chunks", |reader, value| {
                    let items = match value.node.kind {
                        Kind::Map(_) => vec![value],
                        _ => reader.one_or_more(value, "a chunk or a list of chunks"),
                    };
                    items.into_iter().map(|item| reader.chunk(item)).collect()
                })
                .unwrap_or_default(),
        };
        let text = format!("sctp/{}{}", header.dport, layer.told(&["dport"]));
        layer.finish(with_ports(text, value, sport, Transport::Sctp(header)))
    }

    fn chunk(&mut self, value: Value<'_>) -> Option<Chunk> {
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "a chunk")?;
            let Some(kind) = words::sctp_chunk(word.text) else {
                let help = words::suggest(word.text, words::sctp_chunks());
                self.no_such(word, "SCTP chunk", help);
                return None;
            };
            return Some(Chunk {
                kind,
                ..Chunk::default()
            });
        }
        let mut layer = Layer::of(self, value, &format::CHUNK)?;
        let chunk = Chunk {
            kind: layer
                .named("type", words::sctp_chunk, words::sctp_chunks)
                .unwrap_or_default(),
            flags: layer.number("flags"),
            value: layer.bytes("value"),
        };
        layer.finish(chunk)
    }

    fn icmp_header(
        &mut self,
        value: Value<'_>,
        protocol: &str,
        only: Option<Family>,
    ) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::ICMP)?;
        let kind = layer.fields.get("type");
        let kind = kind.and_then(|value| layer.reader.line(value, "an ICMP type"));
        let code = match layer.fields.get("code") {
            Some(value) => layer.reader.line(value, "an ICMP code").map(Some),
            None => Some(None),
        };
        let icmp = match (kind, code) {
            (Some(kind), Some(code)) => layer.reader.icmp(kind, code, only),
            _ => None,
        };
        let id: Option<u16> = layer.number("id");
        let sequence: Option<u16> = layer.number("sequence");
        let mtu: Option<u32> = layer.number("mtu");
        let target = layer.address("target");
        let quoted = layer.read("quote", |reader, value| reader.packet(value));
        let checksum = layer.checksum("checksum");
        let payload = layer.payload();
        let (kind, code, icmp) = (kind?, code?, icmp?);
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
        if quoted.is_some() && !error {
            layer.misfit(
                "quote",
                format!("{type_name} is no error and quotes nothing"),
            );
        }
        if mtu.is_some() && !error {
            layer.misfit("mtu", format!("{type_name} is no error and tells no MTU"));
        }
        if target.is_some() && !discovery {
            let message = format!("{type_name} is no neighbour discovery with a target");
            layer.misfit("target", message);
        }
        if let Some(IpAddr::V4(_)) = target {
            layer.misfit(
                "target",
                "neighbour discovery is about IPv6 addresses".to_owned(),
            );
        }
        for (name, given) in [("id", id.is_some()), ("sequence", sequence.is_some())] {
            if given && (error || discovery) {
                layer.misfit(name, format!("{type_name} has no {name}"));
            }
        }
        let given = layer.fields.given().map(|(name, _)| name);
        let bodies: Vec<&str> = given
            .filter(|name| ["quote", "payload", "target"].contains(name))
            .collect();
        if let [first, second, ..] = bodies.as_slice() {
            let message = format!(
                "the message can have only one of {}",
                words::list(&bodies, "and")
            );
            let first = layer.fields.get(first).map(Value::span);
            let second = layer
                .fields
                .get(second)
                .map_or(layer.fields.at, Value::span);
            let problem = layer.reader.problem(second, message);
            if let Some(first) = first {
                problem.also(first, "the first is here");
            }
            layer.sound = false;
        }
        let mut text = format!("{protocol}/{}", kind.text);
        if let Some(code) = code {
            text += &format!("/{}", code.text);
        }
        text += &layer.told(&["type", "code"]);
        let mut probe = PacketDraft::icmp(text, value.at, icmp);
        probe.only = only.map(|only| (only, value.at));
        if let Transport::Icmp(header) = &mut probe.packet.transport {
            header.checksum = checksum;
            header.rest = rest(id, sequence, mtu);
            header.data = match (payload, target) {
                (Payload::Is(bytes), _) => Some(bytes),
                (Payload::Size(size), _) => {
                    probe.packet.icmp_size = Some(size);
                    None
                }
                (Payload::Usual, Some(IpAddr::V6(target))) => Some(Bytes(target.octets().to_vec())),
                (Payload::Usual, _) => None,
            };
        }
        probe.quote = quoted.map(Box::new);
        layer.finish(probe)
    }

    fn igmp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::IGMP)?;
        let kind = layer.named("type", words::igmp_type, words::igmp_types);
        let group = layer.address("group");
        if let Some(IpAddr::V6(_)) = group {
            layer.misfit("group", "IGMP is about groups of IPv4".to_owned());
        }
        let header = Igmp {
            kind: kind.unwrap_or_default(),
            max_response: layer.number("max-response").unwrap_or_default(),
            group: v4_or(group, Ipv4Addr::UNSPECIFIED),
            checksum: layer.checksum("checksum"),
        };
        let text = format!("igmp{}", layer.told(&[]));
        let mut probe = PacketDraft::new(text, value.at, PacketSpec::new(Transport::Igmp(header)));
        probe.only = Some((Family::Ipv4, value.at));
        layer.finish(probe)
    }

    fn gre(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        const IPV4: u16 = 0x0800;
        let mut layer = Layer::of(self, value, &format::GRE)?;
        let header = Gre {
            protocol: layer.number("protocol").unwrap_or(IPV4),
            version: layer.number("version").unwrap_or_default(),
            key: layer.number("key"),
            sequence: layer.number("sequence"),
            payload: layer.payload(),
        };
        let text = format!("gre{}", layer.told(&[]));
        layer.finish(plain(text, value, Transport::Gre(header)))
    }

    fn esp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::ESP)?;
        let header = Esp {
            spi: layer.number("spi").unwrap_or(model::USUAL_SPI),
            sequence: layer.number("sequence").unwrap_or(1),
            payload: layer.payload(),
        };
        let text = format!("esp{}", layer.told(&[]));
        layer.finish(plain(text, value, Transport::Esp(header)))
    }

    fn ah(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        /// "No next header" (RFC 8200 section 4.7).
        const NOTHING: u8 = 59;
        let mut layer = Layer::of(self, value, &format::AH)?;
        let header = Ah {
            next_header: layer.number("next-header").unwrap_or(NOTHING),
            reserved: layer.number("reserved").unwrap_or_default(),
            spi: layer.number("spi").unwrap_or(model::USUAL_SPI),
            sequence: layer.number("sequence").unwrap_or(1),
            payload: layer.payload(),
        };
        let text = format!("ah{}", layer.told(&[]));
        layer.finish(plain(text, value, Transport::Ah(header)))
    }

    fn ospf(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::OSPF)?;
        let (router, area) = (layer.address("router"), layer.address("area"));
        for (key, address) in [("router", router), ("area", area)] {
            if let Some(IpAddr::V6(_)) = address {
                layer.misfit(key, "it is written like an IPv4 address".to_owned());
            }
        }
        let header = Ospf {
            kind: layer
                .named("type", words::ospf_type, words::ospf_types)
                .unwrap_or(1),
            router: v4_or(router, Ipv4Addr::new(192, 0, 2, 1)),
            area: v4_or(area, Ipv4Addr::UNSPECIFIED),
            payload: layer.payload(),
        };
        let text = format!("ospf{}", layer.told(&[]));
        layer.finish(plain(text, value, Transport::Ospf(header)))
    }

    fn vrrp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::VRRP)?;
        let version = layer.number("version").unwrap_or(3);
        let header = Vrrp {
            version,
            router: layer.number("router").unwrap_or(1),
            priority: layer.number("priority").unwrap_or(100),
            interval: layer
                .number("interval")
                .unwrap_or(if version == 2 { 1 } else { 100 }),
            addresses: layer
                .read("addresses", |reader, value| {
                    let items = reader.one_or_more(value, "an address or a list of addresses");
                    let addresses = items.into_iter().map(|item| {
                        let word = reader.line(item, "an address")?;
                        reader.ip(word)
                    });
                    addresses.collect()
                })
                .unwrap_or_default(),
        };
        let text = format!("vrrp{}", layer.told(&[]));
        let mut probe = plain(text, value, Transport::Vrrp(header));
        if version == 2 {
            probe.only = Some((Family::Ipv4, value.at));
        }
        layer.finish(probe)
    }

    fn arp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let mut layer = Layer::of(self, value, &format::ARP)?;
        let operation = layer.read("operation", |reader, value| {
            let word = reader.line(value, "an ARP operation")?;
            if let Some(number) = words::arp_operation(word.text) {
                return Some(u16::from(number));
            }
            if word
                .text
                .starts_with(|letter: char| letter.is_ascii_digit())
            {
                let number = reader.number_between(word, "an ARP operation", 0, 65_535)?;
                return u16::try_from(number).ok();
            }
            let help = words::suggest(word.text, words::arp_operations());
            reader.no_such(word, "ARP operation", help);
            None
        });
        let (sender, target) = (layer.address("sender"), layer.address("target"));
        for (key, address) in [("sender", sender), ("target", target)] {
            if let Some(IpAddr::V6(_)) = address {
                layer.misfit(key, "ARP is about IPv4 addresses".to_owned());
            }
        }
        let header = Arp {
            operation: operation.unwrap_or(1),
            sender: layer.read("sender-mac", Reader::mac),
            target: layer.read("target-mac", Reader::mac),
        };
        let text = format!("arp{}", layer.told(&[]));
        let mut probe = plain(text, value, Transport::Arp(header));
        probe.packet.source = sender;
        probe.packet.destination = target;
        probe.only = Some((Family::Ipv4, value.at));
        probe.not_from_firewall = Some((value.at, "arp"));
        layer.finish(probe)
    }

    fn protocol(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let word = self.line(value, "a protocol number")?;
        let protocol = self.number_between(word, "a protocol number", 1, 254)?;
        let transport = Transport::Other {
            protocol: u8::try_from(protocol).ok()?,
            payload: Payload::Usual,
        };
        Some(plain(format!("proto/{protocol}"), value, transport))
    }
}

fn plain(text: String, value: Value<'_>, transport: Transport) -> PacketDraft {
    PacketDraft::new(text, value.at, PacketSpec::new(transport))
}

fn with_ports(
    text: String,
    value: Value<'_>,
    sport: Option<u16>,
    transport: Transport,
) -> PacketDraft {
    let mut probe = plain(text, value, transport);
    probe.packet.free_port = sport.is_none();
    probe
}

fn v4_or(address: Option<IpAddr>, otherwise: Ipv4Addr) -> Ipv4Addr {
    match address {
        Some(IpAddr::V4(address)) => address,
        Some(IpAddr::V6(_)) | None => otherwise,
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

fn unknown_flag_help(word: &str) -> Option<String> {
    let parts: Vec<&str> = word
        .split([',', '-', '|', '+', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > 1 && parts.iter().all(|part| words::tcp_flag(part).is_some()) {
        return Some(format!("write a list: `[{}]`", parts.join(", ")));
    }
    if word == "none" {
        return Some("for a segment without flags write `flags: none`".to_owned());
    }
    words::suggest(word, words::tcp_flags())
}
