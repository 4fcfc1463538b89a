//! How a packet that was seen relates to a probe.

use serde::{Deserialize, Serialize};

use super::{
    Ah, Arp, Esp, Gre, Ospf, Packet, Payload, Sctp, Seen, Transport, UdpLite, arp, context::MAGIC,
    craft, protocol, seen::is_extension, tcp_flag,
};

/// What a seen packet is to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The probe itself, translated or not, or a fragment of it.
    Itself,
    /// Something that came back because of it.
    Answer(Answer),
    /// Neither.
    Unrelated,
}

/// Something that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
/// The probe is recognised by any of the places in which it carries its cookie; addresses and ports may have
/// been translated, and a rule may have written over some of the places. A probe that leaves no place free
/// is recognised by everything that neither translation nor forwarding changes. An answer is recognised by
/// the probe it quotes, or by the probe's addresses and ports, swapped; it is never the probe, whatever it
/// repeats of it.
#[must_use]
pub fn relate(probe: &Packet, seen: &Seen<'_>) -> Relation {
    let reverse = is_reverse(probe, seen);
    if !reverse && is_probe(probe, seen) {
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
    if !reverse {
        return Relation::Unrelated;
    }
    match seen.tcp_flags() {
        Some(flags) if flags & tcp_flag::RST != 0 => Relation::Answer(Answer::TcpReset),
        Some(_) | None => Relation::Answer(Answer::Other),
    }
}

/// As [`relate`], for the bytes of a packet from its IP header on, or of an ARP message.
#[must_use]
pub fn relate_bytes(probe: &Packet, bytes: &[u8]) -> Relation {
    if let Transport::Arp(arp) = &probe.transport {
        return relate_arp(probe, arp, bytes);
    }
    Seen::parse(bytes).map_or(Relation::Unrelated, |seen| relate(probe, &seen))
}

/// As [`relate_bytes`], for the first bytes of a packet as the kernel's trace shows them.
#[must_use]
pub fn relate_traced(probe: &Packet, bytes: &[u8]) -> Relation {
    if let Transport::Arp(arp) = &probe.transport {
        return relate_arp(probe, arp, bytes);
    }
    if let (Some(version), Some(first)) = (probe.ip.version, bytes.first())
        && *first >> 4 == version
    {
        // The lie is part of the probe, and everything else is where it would be without it.
        let truth = if probe.source.is_ipv6() { 6 } else { 4 };
        let mut bytes = bytes.to_vec();
        bytes[0] = truth << 4 | (first & 0x0f);
        return relate_headers(probe, &bytes);
    }
    let relation = relate_headers(probe, bytes);
    // Below a second VLAN tag the kernel shows that tag where it looks for the network header.
    match (relation, bytes) {
        (Relation::Unrelated, [_, _, 0x08, 0x00, packet @ ..])
        | (Relation::Unrelated, [_, _, 0x86, 0xdd, packet @ ..]) => relate_headers(probe, packet),
        (relation, _) => relation,
    }
}

fn relate_headers(probe: &Packet, bytes: &[u8]) -> Relation {
    match Seen::parse_traced(bytes, probe.protocol()) {
        Some(seen) => relate(probe, &seen),
        // Of a later IPv6 fragment it shows the first 20 bytes only, because the kernel takes it for a
        // packet without a network header (`ipv6_find_hdr` leaves the offset at zero).
        None if same_identity(probe, bytes) => Relation::Itself,
        None => Relation::Unrelated,
    }
}

impl Packet {
    /// Whether it can be told from others that are on their way at the same time: not if the scenario has set
    /// a place in which others carry their cookies, because it may look like one of them.
    #[must_use]
    pub fn stands_out(&self) -> bool {
        let sequence = match &self.transport {
            Transport::Tcp(tcp) => tcp.seq.is_none(),
            _ => true,
        };
        self.shows_identity() && sequence
    }

    /// Whether it carries its cookie anywhere.
    fn is_marked(&self) -> bool {
        self.shows_identity() || self.sequence().is_some() || self.shows_mark()
    }

    /// Whether the IP header has the cookie as identification or flow label.
    fn shows_identity(&self) -> bool {
        if let Transport::Arp(_) | Transport::Bytes(_) = self.transport {
            false
        } else if self.source.is_ipv6() {
            self.ip.flow_label.is_none()
        } else {
            self.ip.id.is_none()
        }
    }

    /// Whether what it carries begins or ends with the mark.
    fn shows_mark(&self) -> bool {
        match &self.transport {
            Transport::Tcp(tcp) => has_mark(&tcp.payload, false),
            Transport::Udp(udp) => has_mark(&udp.payload, true),
            Transport::UdpLite(UdpLite { payload, .. })
            | Transport::Gre(Gre { payload, .. })
            | Transport::Esp(Esp { payload, .. })
            | Transport::Ah(Ah { payload, .. })
            | Transport::Ospf(Ospf { payload, .. })
            | Transport::Other { payload, .. } => has_mark(payload, true),
            Transport::Icmp(icmp) => icmp.data.is_none(),
            Transport::Igmp(_) | Transport::Vrrp(_) => true,
            Transport::Sctp(sctp) => sctp.chunks.iter().any(|chunk| chunk.value.is_none()),
            Transport::Arp(_) | Transport::Bytes(_) => false,
        }
    }

    /// Where the transport header has the cookie as a number of its own.
    fn sequence(&self) -> Option<usize> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.seq.is_none().then_some(4),
            // The initiate tag of an INIT, or the transmission sequence number of DATA.
            Transport::Sctp(sctp) => match sctp.chunks.first() {
                None => Some(16),
                Some(chunk) => (chunk.kind <= 2 && chunk.value.is_none()).then_some(16),
            },
            Transport::Udp(_)
            | Transport::UdpLite(_)
            | Transport::Icmp(_)
            | Transport::Igmp(_)
            | Transport::Gre(_)
            | Transport::Esp(_)
            | Transport::Ah(_)
            | Transport::Ospf(_)
            | Transport::Vrrp(_)
            | Transport::Arp(_)
            | Transport::Bytes(_)
            | Transport::Other { .. } => None,
        }
    }
}

impl Seen<'_> {
    /// The low halves of the cookies that this packet may carry, quote or answer, the surest first. Each is
    /// only a hint: [`relate`] decides.
    pub fn hints(&self) -> Vec<u16> {
        let mut hints = Vec::with_capacity(8);
        let low = |cookie: u32| cookie as u16;
        let word = |at: usize| {
            let bytes = self.transport()?.get(at..)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes))
        };
        if self.protocol == protocol::TCP {
            hints.extend(word(4).map(low));
            // A reset acknowledges the SYN.
            hints.extend(word(8).map(|number| low(number.wrapping_sub(1))));
        }
        hints.extend(mark_in(self.payload).map(low));
        hints.extend(
            self.ports()
                .into_iter()
                .flat_map(|(sport, dport)| [dport, sport]),
        );
        hints.push(low(self.identity));
        if let Some((_, _, quotation)) = self.icmp_error() {
            hints.extend(Seen::parse(quotation).iter().flat_map(Seen::hints));
        }
        hints
    }
}

fn has_mark(payload: &Payload, usual: bool) -> bool {
    match payload {
        Payload::Usual => usual,
        Payload::Is(_) => false,
        Payload::Size(size) => *size >= 8,
    }
}

/// Whether a packet is the probe, in its own direction.
fn is_probe(probe: &Packet, seen: &Seen<'_>) -> bool {
    if seen.protocol != probe.protocol() || seen.source.is_ipv6() != probe.source.is_ipv6() {
        return false;
    }
    if let (Transport::Icmp(icmp), Some(kind_and_code)) = (&probe.transport, seen.icmp())
        && kind_and_code != (icmp.kind, icmp.code)
    {
        return false;
    }
    // The kernel may answer with the question's flow label, but no firewall turns a segment into a reset.
    if let (Transport::Tcp(tcp), Some(flags)) = (&probe.transport, seen.tcp_flags())
        && (flags ^ tcp.flags) & tcp_flag::RST != 0
    {
        return false;
    }
    if !probe.is_marked() {
        return same_content(probe, seen);
    }
    match mark_in(seen.payload) {
        Some(cookie) if probe.shows_mark() => return cookie == probe.cookie,
        Some(_) | None => {}
    }
    let sequence = probe.sequence().zip(seen.transport());
    if let Some((at, transport)) = sequence
        && transport.get(at..at + 4) == Some(&probe.cookie.to_be_bytes()[..])
    {
        return true;
    }
    if let Some(fragment) = seen.fragment
        && probe.source.is_ipv6()
        && fragment.id == fragment_id(probe)
    {
        return true;
    }
    probe.shows_identity() && seen.identity == identity(probe)
}

/// The cookie behind the first mark in these bytes.
fn mark_in(bytes: &[u8]) -> Option<u32> {
    let at = bytes.windows(MAGIC.len()).position(|four| four == MAGIC)?;
    let cookie = bytes.get(at + MAGIC.len()..)?.first_chunk()?;
    Some(u32::from_be_bytes(*cookie))
}

/// What [`Seen::identity`] shows of a crafted probe.
fn identity(probe: &Packet) -> u32 {
    if probe.source.is_ipv6() {
        probe.ip.flow_label.unwrap_or(probe.cookie & 0xf_ffff)
    } else {
        u32::from(probe.ip.id.unwrap_or(probe.cookie as u16))
    }
}

fn fragment_id(probe: &Packet) -> u32 {
    let claim = probe.ip.fragment.as_ref();
    claim.and_then(|claim| claim.id).unwrap_or(probe.cookie)
}

/// Whether everything agrees that neither translation nor forwarding changes.
fn same_content(probe: &Packet, seen: &Seen<'_>) -> bool {
    let crafted = craft(probe);
    let Some(own) = Seen::parse(&crafted) else {
        return false;
    };
    let length = own.payload.len().min(seen.payload.len());
    let changed = translated(own.protocol);
    let same = own.payload.iter().zip(seen.payload).enumerate();
    own.identity == seen.identity
        && own.fragment.map(|part| part.offset) == seen.fragment.map(|part| part.offset)
        && (length >= 8 || length == own.payload.len())
        && same
            .into_iter()
            .all(|(at, (mine, theirs))| changed.contains(&at) || mine == theirs)
}

/// The places of a transport header that translation changes: ports, an echo's identifier, checksums.
fn translated(protocol: u8) -> &'static [usize] {
    match protocol {
        protocol::TCP => &[0, 1, 2, 3, 16, 17],
        protocol::UDP | protocol::UDP_LITE => &[0, 1, 2, 3, 6, 7],
        protocol::SCTP => &[0, 1, 2, 3, 8, 9, 10, 11],
        protocol::ICMP | protocol::ICMPV6 => &[2, 3, 4, 5],
        _ => &[],
    }
}

/// A quotation may be cut off before the cookie (RFC 792 asks for 8 bytes of payload only).
fn same_flow(probe: &Packet, quoted: &Seen<'_>) -> bool {
    let Some(ports) = probe.ports() else {
        return false;
    };
    quoted.protocol == probe.protocol()
        && quoted.source == probe.source
        && quoted.destination == probe.destination
        && quoted.ports() == Some(ports)
}

/// The kernel's trace shows the first 12 bytes of a quotation only: not a whole IP header, but the
/// identification or flow label and the protocol.
fn same_identity(probe: &Packet, quotation: &[u8]) -> bool {
    let protocol = probe.protocol();
    match (quotation, probe.source.is_ipv6()) {
        ([first, _, _, _, high, low, _, _, _, carried, ..], false) if first >> 4 == 4 => {
            u32::from(u16::from_be_bytes([*high, *low])) == identity(probe) && *carried == protocol
        }
        ([first, b, c, d, _, _, carried, ..], true) if first >> 4 == 6 => {
            u32::from_be_bytes([0, b & 0x0f, *c, *d]) == identity(probe)
                && (*carried == protocol || is_extension(*carried))
        }
        _ => false,
    }
}

/// Whether the ends are swapped, so that this is an answer, whatever it repeats of the probe.
fn is_reverse(probe: &Packet, seen: &Seen<'_>) -> bool {
    if seen.protocol != probe.protocol()
        || seen.source != probe.destination
        || seen.destination != probe.source
    {
        return false;
    }
    match &probe.transport {
        Transport::Tcp(tcp) => {
            let swapped = (tcp.dport, tcp.sport);
            // Where both ends are one, only what is said tells the directions apart.
            let one = probe.source == probe.destination && tcp.sport == tcp.dport;
            seen.ports() == Some(swapped) && (!one || seen.tcp_flags() != Some(tcp.flags))
        }
        Transport::Udp(udp) => {
            let one = probe.source == probe.destination && udp.sport == udp.dport;
            seen.ports() == Some((udp.dport, udp.sport)) && !one
        }
        Transport::Icmp(icmp) => {
            // The one pair of question and answer that a kernel gives by itself.
            let reply = match seen.protocol {
                protocol::ICMPV6 => (128, 129),
                _ => (8, 0),
            };
            icmp.kind == reply.0
                && seen.icmp().is_some_and(|(kind, _)| kind == reply.1)
                && (icmp.data.is_some() || mark_in(seen.payload) == Some(probe.cookie))
        }
        Transport::UdpLite(UdpLite { sport, dport, .. })
        | Transport::Sctp(Sctp { sport, dport, .. }) => {
            seen.ports() == Some((*dport, *sport))
                && (probe.source != probe.destination || sport != dport)
        }
        Transport::Igmp(_)
        | Transport::Gre(_)
        | Transport::Esp(_)
        | Transport::Ah(_)
        | Transport::Ospf(_)
        | Transport::Vrrp(_)
        | Transport::Arp(_)
        | Transport::Other { .. } => probe.source != probe.destination,
        Transport::Bytes(_) => {
            let swapped = probe.ports().map(|(sport, dport)| (dport, sport));
            seen.ports() == swapped && !same_content(probe, seen)
        }
    }
}

/// Tells how an ARP message relates to a probe. It has no place for a mark, and is known by what it asks.
fn relate_arp(probe: &Packet, arp: &Arp, bytes: &[u8]) -> Relation {
    let Some(message) = arp::Message::parse(bytes) else {
        return Relation::Unrelated;
    };
    let ends = (message.sender, message.target);
    let mac = arp.sender.is_none_or(|mac| mac == message.sender_mac);
    if message.operation == arp.operation && ends == (probe.source, probe.destination) && mac {
        return Relation::Itself;
    }
    let answers =
        (arp.operation, message.operation) == (arp::operation::REQUEST, arp::operation::REPLY);
    if answers && ends == (probe.destination, probe.source) {
        return Relation::Answer(Answer::Other);
    }
    Relation::Unrelated
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        bytes::Bytes,
        packet::{Icmp, Tcp, Udp},
    };

    const V4: (&str, &str) = ("198.51.100.7", "192.0.2.10");
    const V6: (&str, &str) = ("2001:db8:ffff::7", "2001:db8::10");

    fn packet((source, destination): (&str, &str), cookie: u32, transport: Transport) -> Packet {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Packet::new(source, destination, cookie, transport)
    }

    fn tcp(sport: u16, dport: u16, flags: u8) -> Transport {
        Transport::Tcp(Tcp {
            sport,
            dport,
            flags,
            ..Tcp::default()
        })
    }

    fn udp(sport: u16, dport: u16) -> Transport {
        Transport::Udp(Udp {
            sport,
            dport,
            ..Udp::default()
        })
    }

    fn syn() -> Transport {
        tcp(40_000, 443, tcp_flag::SYN)
    }

    fn relation(probe: &Packet, bytes: &[u8]) -> Relation {
        relate(probe, &Seen::parse(bytes).unwrap())
    }

    #[rstest]
    #[case::tcp(syn())]
    #[case::udp(udp(40_000, 53))]
    fn a_probe_is_recognised_after_translation(
        #[case] transport: Transport,
        #[values(V4, V6)] ends: (&str, &str),
    ) {
        let probe = packet(ends, 0xfd00_0001, transport.clone());
        let translated = match transport {
            Transport::Tcp(_) => tcp(1, 2, tcp_flag::SYN),
            _ => udp(1, 2),
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
            let icmp = Icmp {
                kind,
                ..Icmp::default()
            };
            let probe = packet(ends, 0xfd00_0001, Transport::Icmp(icmp));
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
            tcp(443, 40_000, tcp_flag::RST | tcp_flag::ACK),
        ));
        assert_eq!(relation(&probe, &reset), Relation::Answer(Answer::TcpReset));
    }

    #[test]
    fn a_reset_of_another_connection_is_unrelated() {
        let probe = packet(V4, 0xfd00_0001, syn());
        let reset = craft(&packet((V4.1, V4.0), 0, tcp(443, 40_001, tcp_flag::RST)));
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
        let probe = packet(ends, 0xfd00_0001, udp(40_000, 53));
        let mut quotation = craft(&probe);
        // -8: what the kernel's trace shows.
        let header = if probe.source.is_ipv6() { 40 } else { 20 };
        let length = if quoted < 0 { 12 } else { header + quoted };
        quotation.truncate(usize::try_from(length).unwrap());
        let error = craft(&packet(
            (ends.1, ends.0),
            7,
            Transport::Icmp(Icmp {
                kind,
                code,
                rest: Some([0; 4]),
                data: Some(Bytes(quotation)),
                checksum: None,
            }),
        ));
        assert_eq!(
            relation(&probe, &error),
            Relation::Answer(Answer::IcmpError { kind, code })
        );
    }

    /// A place for the cookie that a rule or the scenario has written over is not missed.
    #[rstest]
    fn any_place_that_is_left_recognises_the_probe(#[values(V4, V6)] ends: (&str, &str)) {
        let probe = packet(ends, 0xfd00_0001, syn());
        let mut seen = probe.clone();
        seen.transport = tcp(1, 2, tcp_flag::SYN);
        if let Transport::Tcp(tcp) = &mut seen.transport {
            tcp.seq = Some(7);
        }
        assert_eq!(relation(&probe, &craft(&seen)), Relation::Itself);
        let mut seen = probe.clone();
        seen.ip.id = Some(9);
        seen.ip.flow_label = Some(9);
        assert_eq!(relation(&probe, &craft(&seen)), Relation::Itself);
    }

    /// An answer may repeat everything: its payload, its sequence number, its flow label.
    #[rstest]
    fn what_has_the_ends_swapped_is_an_answer_whatever_it_repeats(
        #[values(V4, V6)] ends: (&str, &str),
    ) {
        for (there, back) in [
            (udp(40_000, 53), udp(53, 40_000)),
            (syn(), tcp(443, 40_000, tcp_flag::SYN | tcp_flag::ACK)),
        ] {
            let probe = packet(ends, 0xfd00_0001, there);
            let answer = craft(&packet((ends.1, ends.0), 0xfd00_0001, back));
            assert_eq!(relation(&probe, &answer), Relation::Answer(Answer::Other));
        }
    }

    #[rstest]
    fn a_reset_with_the_probe_s_flow_label_is_not_the_probe(#[values(V4, V6)] ends: (&str, &str)) {
        let probe = packet(ends, 0xfd00_0001, syn());
        let mut reset = packet(
            (ends.1, "192.0.2.99"),
            0xfd00_0001,
            tcp(443, 1, tcp_flag::RST),
        );
        if ends == V6 {
            reset.destination = "2001:db8::99".parse().unwrap();
        }
        assert_eq!(relation(&probe, &craft(&reset)), Relation::Unrelated);
    }

    /// A probe without a place for its cookie is compared as a whole.
    #[rstest]
    fn a_probe_without_a_mark_is_recognised_by_its_content(#[values(V4, V6)] ends: (&str, &str)) {
        let bare = |seq: u32, dport: u16| {
            let mut bare = packet(ends, 0xfd00_0001, tcp(40_000, dport, tcp_flag::SYN));
            bare.ip.id = Some(7);
            bare.ip.flow_label = Some(7);
            if let Transport::Tcp(tcp) = &mut bare.transport {
                tcp.seq = Some(seq);
            }
            bare
        };
        let probe = bare(1, 80);
        assert!(!probe.is_marked());
        let translated = craft(&bare(1, 8080));
        assert_eq!(relation(&probe, &translated), Relation::Itself);
        assert_eq!(relation(&probe, &craft(&bare(2, 80))), Relation::Unrelated);
    }

    fn probes() -> Vec<Packet> {
        let mut probes = Vec::new();
        for ends in [V4, V6] {
            let other = Transport::Other {
                protocol: 253,
                payload: Payload::Usual,
            };
            let icmp = Transport::Icmp(Icmp {
                kind: 8,
                ..Icmp::default()
            });
            for transport in [
                syn(),
                udp(1, 2),
                other,
                icmp,
                Transport::Sctp(Sctp::default()),
            ] {
                let probe = packet(ends, 0xfd00_0001, transport);
                let mut bare = probe.clone();
                bare.ip.id = Some(7);
                bare.ip.flow_label = Some(7);
                let whole = Transport::Bytes(Bytes(craft(&probe)));
                let whole = packet(ends, 0xfd00_0001, whole);
                probes.extend([probe, bare, whole]);
            }
        }
        let arp = Transport::Arp(Arp {
            operation: 1,
            ..Default::default()
        });
        probes.push(packet(V4, 0xfd00_0001, arp));
        probes
    }

    /// Each of them is itself, and none of the others.
    #[test]
    fn every_kind_of_probe_is_recognised_in_full_and_in_the_trace() {
        for probe in probes() {
            let bytes = craft(&probe);
            assert_eq!(relate_bytes(&probe, &bytes), Relation::Itself, "{probe:?}");
            // The trace: the network header and twenty bytes behind it.
            let header = match bytes[0] >> 4 {
                4 => 20,
                6 => 40,
                _ => 28,
            };
            let traced = &bytes[..bytes.len().min(header + 20)];
            assert_eq!(relate_traced(&probe, traced), Relation::Itself, "{probe:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_no_probe_and_never_panic(
            start in proptest::sample::select(vec![0_u8, 0x45, 0x46, 0x4f, 0x60]),
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        ) {
            let bytes = [vec![start], bytes].concat();
            for probe in probes() {
                let _ = relate_bytes(&probe, &bytes);
                let _ = relate_traced(&probe, &bytes);
            }
        }

        /// A probe that arrives cut short, or with bits flipped, is read or not, but never panics.
        #[test]
        fn a_damaged_probe_never_panics(
            number in 0..31_usize,
            at in 0..80_usize,
            with in proptest::prelude::any::<u8>(),
            length in 0..120_usize,
        ) {
            let probe = probes().swap_remove(number);
            let mut bytes = craft(&probe);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= with;
            }
            bytes.truncate(length);
            let _ = relate_bytes(&probe, &bytes);
            let _ = relate_traced(&probe, &bytes);
            if let Some(seen) = Seen::parse(&bytes) {
                let _ = crate::packet::is_complete(&probe, &[seen]);
            }
        }
    }
}
