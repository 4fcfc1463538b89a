//! How a packet that was seen relates to a probe.

use super::{Packet, Seen, Transport, protocol, tcp_flag};

/// What a seen packet is to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The probe itself, translated or not.
    Itself,
    /// Something that came back because of it.
    Answer(Answer),
    /// Neither.
    Unrelated,
}

/// Something that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A TCP segment with RST.
    TcpReset,
    /// An ICMP or ICMPv6 error that quotes the probe.
    IcmpError {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Any other packet of the opposite direction (a SYN-ACK, an echo reply, …).
    Other,
}

/// Tells how `seen` relates to `probe`.
///
/// The probe is recognised by its cookie where the protocol carries one, otherwise by its IPv4
/// identification or IPv6 flow label and its ICMP type; addresses and ports may have been translated.
/// An answer is recognised by the probe it quotes, or by the probe's addresses and ports, swapped.
#[must_use]
pub fn relate(probe: &Packet, seen: &Seen<'_>) -> Relation {
    if is_probe(probe, seen) {
        return Relation::Itself;
    }
    if let Some((kind, code, quotation)) = seen.icmp_error() {
        let same = match Seen::parse(quotation) {
            Some(quoted) => is_probe(probe, &quoted) || same_flow(probe, &quoted),
            None => same_identity(probe, quotation),
        };
        return if same {
            Relation::Answer(Answer::IcmpError { kind, code })
        } else {
            Relation::Unrelated
        };
    }
    if !is_reverse(probe, seen) {
        return Relation::Unrelated;
    }
    match seen.tcp_flags() {
        Some(flags) if flags & tcp_flag::RST != 0 => Relation::Answer(Answer::TcpReset),
        Some(_) | None => Relation::Answer(Answer::Other),
    }
}

fn is_probe(probe: &Packet, seen: &Seen<'_>) -> bool {
    if seen.protocol != probe.protocol() {
        return false;
    }
    match &probe.transport {
        Transport::Tcp { .. } => seen.payload.get(4..8) == Some(&probe.cookie.to_be_bytes()[..]),
        Transport::Udp { .. } => seen.payload.get(8..16) == Some(&Packet::mark(probe.cookie)[..]),
        Transport::Icmp {
            kind, code, data, ..
        } => {
            let mark = Packet::mark(probe.cookie);
            let by_content = if data.0.starts_with(&mark) {
                seen.payload.get(8..16) == Some(&mark[..])
            } else {
                seen.identity == identity(probe)
            };
            seen.icmp() == Some((*kind, *code)) && by_content
        }
    }
}

/// What [`Seen::identity`] shows of a crafted probe.
fn identity(probe: &Packet) -> u32 {
    if probe.source.is_ipv6() {
        probe.cookie & 0xf_ffff
    } else {
        probe.cookie & 0xffff
    }
}

/// A quotation may be cut off before the cookie (RFC 792 asks for 8 bytes of payload only).
fn same_flow(probe: &Packet, quoted: &Seen<'_>) -> bool {
    let ports = match &probe.transport {
        Transport::Tcp { sport, dport, .. } | Transport::Udp { sport, dport } => {
            Some((*sport, *dport))
        }
        Transport::Icmp { .. } => return false,
    };
    quoted.protocol == probe.protocol()
        && quoted.source == probe.source
        && quoted.destination == probe.destination
        && quoted.ports() == ports
}

/// The kernel's trace shows the first 12 bytes of a quotation only: not a whole IP header, but the
/// identification or flow label and the protocol.
fn same_identity(probe: &Packet, quotation: &[u8]) -> bool {
    let protocol = probe.protocol();
    match (quotation, probe.source.is_ipv6()) {
        ([0x45, _, _, _, high, low, _, _, _, carried, ..], false) => {
            u32::from(u16::from_be_bytes([*high, *low])) == identity(probe) && *carried == protocol
        }
        ([first, b, c, d, _, _, carried, ..], true) if first >> 4 == 6 => {
            u32::from_be_bytes([0, b & 0x0f, *c, *d]) == identity(probe) && *carried == protocol
        }
        _ => false,
    }
}

fn is_reverse(probe: &Packet, seen: &Seen<'_>) -> bool {
    if seen.protocol != probe.protocol()
        || seen.source != probe.destination
        || seen.destination != probe.source
    {
        return false;
    }
    match &probe.transport {
        Transport::Tcp { sport, dport, .. } | Transport::Udp { sport, dport } => {
            seen.ports() == Some((*dport, *sport))
        }
        Transport::Icmp { kind, .. } => {
            // The one pair of question and answer that a kernel gives by itself.
            let reply = match seen.protocol {
                protocol::ICMPV6 => (128, 129),
                _ => (8, 0),
            };
            *kind == reply.0
                && seen.icmp().is_some_and(|(kind, _)| kind == reply.1)
                && seen.payload.get(8..16) == Some(&Packet::mark(probe.cookie)[..])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rstest::rstest;

    use super::{super::craft, *};

    const V4: (&str, &str) = ("198.51.100.7", "192.0.2.10");
    const V6: (&str, &str) = ("2001:db8:ffff::7", "2001:db8::10");

    fn packet((source, destination): (&str, &str), cookie: u32, transport: Transport) -> Packet {
        Packet {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl: 64,
            cookie,
            transport,
        }
    }

    fn syn() -> Transport {
        Transport::Tcp {
            sport: 40_000,
            dport: 443,
            flags: tcp_flag::SYN,
        }
    }

    fn relation(probe: &Packet, bytes: &[u8]) -> Relation {
        relate(probe, &Seen::parse(bytes).unwrap())
    }

    #[rstest]
    #[case::tcp(syn())]
    #[case::udp(Transport::Udp { sport: 40_000, dport: 53 })]
    fn a_probe_is_recognised_after_translation(
        #[case] transport: Transport,
        #[values(V4, V6)] ends: (&str, &str),
    ) {
        let probe = packet(ends, 0xfd00_0001, transport.clone());
        let translated = match transport {
            Transport::Tcp { flags, .. } => Transport::Tcp {
                sport: 1,
                dport: 2,
                flags,
            },
            _ => Transport::Udp { sport: 1, dport: 2 },
        };
        let seen = craft(&packet((ends.1, ends.0), 0xfd00_0001, translated));
        assert_eq!(relation(&probe, &seen), Relation::Itself);
    }

    #[rstest]
    fn another_cookie_is_another_probe(#[values(V4, V6)] ends: (&str, &str)) {
        let probe = packet(ends, 0xfd00_0001, syn());
        let other = craft(&packet(ends, 0xfd00_0002, syn()));
        assert_eq!(relation(&probe, &other), Relation::Unrelated);
    }

    #[rstest]
    fn every_icmp_type_is_recognised_as_itself(#[values(V4, V6)] ends: (&str, &str)) {
        for kind in 0..=255 {
            let source: IpAddr = ends.0.parse().unwrap();
            let destination: IpAddr = ends.1.parse().unwrap();
            let probe = packet(
                ends,
                0xfd00_0001,
                Transport::icmp(kind, 0, 0xfd00_0001, source, destination),
            );
            assert_eq!(
                relation(&probe, &craft(&probe)),
                Relation::Itself,
                "type {kind}"
            );
        }
    }

    #[test]
    fn a_reset_of_the_swapped_ends_is_an_answer() {
        let probe = packet(V4, 0xfd00_0001, syn());
        let reset = craft(&packet(
            (V4.1, V4.0),
            0,
            Transport::Tcp {
                sport: 443,
                dport: 40_000,
                flags: tcp_flag::RST | tcp_flag::ACK,
            },
        ));
        assert_eq!(relation(&probe, &reset), Relation::Answer(Answer::TcpReset));
    }

    #[test]
    fn a_reset_of_another_connection_is_unrelated() {
        let probe = packet(V4, 0xfd00_0001, syn());
        let reset = craft(&packet(
            (V4.1, V4.0),
            0,
            Transport::Tcp {
                sport: 443,
                dport: 40_001,
                flags: tcp_flag::RST,
            },
        ));
        assert_eq!(relation(&probe, &reset), Relation::Unrelated);
    }

    #[rstest]
    #[case::icmp(V4, 3, 13)]
    #[case::icmpv6(V6, 1, 1)]
    fn an_error_that_quotes_the_probe_is_its_answer(
        #[case] ends: (&str, &str),
        #[case] kind: u8,
        #[case] code: u8,
        #[values(-8, 8, 16, 100)] quoted: i32,
    ) {
        let probe = packet(
            ends,
            0xfd00_0001,
            Transport::Udp {
                sport: 40_000,
                dport: 53,
            },
        );
        let mut quotation = craft(&probe);
        // -8: what the kernel's trace shows.
        let header = if probe.source.is_ipv6() { 40 } else { 20 };
        let length = if quoted < 0 { 12 } else { header + quoted };
        quotation.truncate(usize::try_from(length).unwrap());
        let error = craft(&packet(
            (ends.1, ends.0),
            7,
            Transport::Icmp {
                kind,
                code,
                rest: [0; 4],
                data: crate::bytes::Bytes(quotation),
            },
        ));
        assert_eq!(
            relation(&probe, &error),
            Relation::Answer(Answer::IcmpError { kind, code })
        );
    }
}
