//! `packet:` of the long form, header field by header field.

use std::fmt::Write as _;

use firedrill_harness::packet::{Tcp, Transport, Udp};

use super::{
    super::{
        Family, PacketSpec, TcpFlags, shape,
        tree::Kind,
        words::{self, quote},
    },
    Reader,
    fields::{Fields, Value},
    service::{Probe, SYN},
};

impl Reader<'_> {
    pub(super) fn packet(&mut self, value: Value<'_>) -> Option<Probe> {
        let fields = self.fields(value, &shape::PACKET)?;
        let ttl = match fields.get("ttl") {
            Some(value) => self.number(value, "a TTL", 1..=255).map(Some),
            None => Some(None),
        };
        let (protocol, header) = self.either(&fields)?;
        let probe = match protocol {
            "tcp" => self.tcp(header),
            "udp" => self.udp(header),
            "icmp" => self.icmp_header(header, protocol, None),
            "icmpv4" => self.icmp_header(header, protocol, Some(Family::Ipv4)),
            // The table of keys has no other protocol.
            _ => self.icmp_header(header, protocol, Some(Family::Ipv6)),
        };
        let (mut probe, ttl) = (probe?, ttl?.and_then(|ttl| u8::try_from(ttl).ok()));
        if let Some(ttl) = ttl {
            let _ = write!(probe.text, " ttl {ttl}");
        }
        probe.packet.ttl = ttl;
        Some(probe)
    }

    fn tcp(&mut self, value: Value<'_>) -> Option<Probe> {
        let fields = self.fields(value, &shape::TCP)?;
        let ports = self.port_fields(&fields);
        let flags = match fields.get("flags") {
            Some(value) => self.flags(value),
            None => Some(SYN),
        };
        let ((sport, dport), flags) = (ports?, flags?);
        let mut text = format!("tcp/{dport}");
        if let Some(sport) = sport {
            let _ = write!(text, " sport {sport}");
        }
        if flags != SYN {
            let _ = write!(text, " flags {}", words::tcp_flags_text(flags));
        }
        let header = Tcp {
            sport: sport.unwrap_or_default(),
            dport,
            flags: flags.0,
            ..Tcp::default()
        };
        let packet = PacketSpec {
            free_port: sport.is_none(),
            ..PacketSpec::new(Transport::Tcp(header))
        };
        Some(Probe::new(text, value.at, packet))
    }

    fn udp(&mut self, value: Value<'_>) -> Option<Probe> {
        let fields = self.fields(value, &shape::UDP)?;
        let (sport, dport) = self.port_fields(&fields)?;
        let mut text = format!("udp/{dport}");
        if let Some(sport) = sport {
            let _ = write!(text, " sport {sport}");
        }
        let header = Udp {
            sport: sport.unwrap_or_default(),
            dport,
            ..Udp::default()
        };
        let packet = PacketSpec {
            free_port: sport.is_none(),
            ..PacketSpec::new(Transport::Udp(header))
        };
        Some(Probe::new(text, value.at, packet))
    }

    /// Source and destination port.
    fn port_fields(&mut self, fields: &Fields<'_>) -> Option<(Option<u16>, u16)> {
        let mut port = |name| match fields.get(name) {
            Some(value) => self.number(value, "a port", 1..=65535).map(Some),
            None => Some(None),
        };
        let (sport, dport) = (port("sport"), port("dport"));
        Some((sport?, dport??))
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

    fn icmp_header(
        &mut self,
        value: Value<'_>,
        protocol: &str,
        only: Option<Family>,
    ) -> Option<Probe> {
        let fields = self.fields(value, &shape::ICMP)?;
        let kind = fields
            .get("type")
            .and_then(|value| self.line(value, "an ICMP type"));
        let code = match fields.get("code") {
            Some(value) => self.line(value, "an ICMP code").map(Some),
            None => Some(None),
        };
        let (kind, code) = (kind?, code?);
        let icmp = self.icmp(kind, code, only)?;
        let mut text = format!("{protocol}/{}", kind.text);
        if let Some(code) = code {
            let _ = write!(text, "/{}", code.text);
        }
        Some(Probe::icmp(text, value.at, icmp))
    }
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
