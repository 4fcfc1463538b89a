//! Services: `tcp/80,443`, `udp/53`, `icmp/echo-request`, `any`.

use firedrill_harness::packet::{Payload, Sctp, Transport, UdpLite};

use crate::scenario::{
    Family, PacketSpec,
    format::{
        services,
        words::{self, quote},
    },
    portless,
    read::{
        Reader,
        icmp::Icmp,
        packet::draft::{PacketDraft, SYN},
    },
    text::{source::Span, tree::Word},
};

/// Most ports of one test.
pub(super) const MAX_PORTS: usize = 1024;
const PROTOCOLS: [&str; 14] = [
    "tcp", "udp", "icmp", "icmpv4", "icmpv6", "any", "sctp", "udplite", "gre", "esp", "ah", "ospf",
    "vrrp", "proto",
];
const FORMS: &str = "a service is `tcp/PORTS`, `udp/PORTS`, `icmp/TYPE`, a name such as `https` or `dns`, a protocol such as `gre` or `proto/89`, or `any`";

impl Reader<'_> {
    /// The packets of a service; TCP segments are of this kind if one is named.
    pub(super) fn service(
        &mut self,
        word: Word<'_>,
        segment: Option<Word<'_>>,
    ) -> Option<Vec<PacketDraft>> {
        let probes = self.usual_service(word)?;
        let Some(segment) = segment else {
            return Some(probes);
        };
        let flags = words::segment(segment.text)?;
        let with_flags = |mut probe: PacketDraft| {
            let Transport::Tcp(tcp) = &mut probe.packet.transport else {
                return None;
            };
            tcp.flags = flags.0;
            probe.text = format!("{} {}", probe.text, segment.text);
            Some(probe)
        };
        let segments: Option<Vec<PacketDraft>> = probes.into_iter().map(with_flags).collect();
        if segments.is_none() {
            let message = format!("only TCP has segments such as {segment}");
            self.problem(segment.span, message)
                .also(word.span, "this is not, or not only, TCP");
        }
        segments
    }

    fn usual_service(&mut self, word: Word<'_>) -> Option<Vec<PacketDraft>> {
        if word.text == "any" {
            return Some(any(word.span));
        }
        let Some((protocol, rest)) = word.split_once("/") else {
            return self.bare(word);
        };
        match protocol.text {
            "tcp" | "udp" | "sctp" | "udplite" => self.ports(protocol, rest),
            "icmp" => self.icmp_service(word, rest, None),
            "icmpv4" => self.icmp_service(word, rest, Some(Family::Ipv4)),
            "icmpv6" => self.icmp_service(word, rest, Some(Family::Ipv6)),
            "proto" => {
                let number = self.number_between(rest, "a protocol number", 1, 254)?;
                let transport = Transport::Other {
                    protocol: u8::try_from(number).ok()?,
                    payload: Payload::Usual,
                };
                let packet = PacketSpec::new(transport);
                Some(vec![PacketDraft::new(
                    word.text.to_owned(),
                    word.span,
                    packet,
                )])
            }
            other => {
                // Docker and ufw write it the other way round.
                let turned = PROTOCOLS.contains(&rest.text) && other.parse::<u16>().is_ok();
                let help = if turned {
                    Some(format!(
                        "write {}",
                        quote(&format!("{}/{other}", rest.text))
                    ))
                } else {
                    words::suggest(other, PROTOCOLS)
                };
                self.no_such(protocol, "protocol", help);
                None
            }
        }
    }

    /// A protocol without ports, or a service by its name alone.
    fn bare(&mut self, word: Word<'_>) -> Option<Vec<PacketDraft>> {
        if let Some(transport) = portless(word.text) {
            let packet = PacketSpec::new(transport);
            return Some(vec![PacketDraft::new(
                word.text.to_owned(),
                word.span,
                packet,
            )]);
        }
        let known = services::named(word.text);
        let Some(((protocol, port), others)) = known.split_first() else {
            self.not_a_service(word);
            return None;
        };
        let probe =
            |protocol: &str, port, text| PacketDraft::new(text, word.span, to_port(protocol, port));
        if others.is_empty() {
            return Some(vec![probe(protocol, *port, word.text.to_owned())]);
        }
        let all = known.iter();
        Some(
            all.map(|(protocol, port)| probe(protocol, *port, format!("{}/{protocol}", word.text)))
                .collect(),
        )
    }

    fn not_a_service(&mut self, word: Word<'_>) {
        let help = match word.text {
            "tcp" | "udp" | "sctp" | "udplite" => format!("say which port: `{}/80`", word.text),
            "icmp" | "icmpv4" | "icmpv6" => format!("say which type: `{}/echo-request`", word.text),
            "proto" => "say which number: `proto/89`".to_owned(),
            "igmp" => {
                "say which type, in the long form: `packet: { igmp: { type: membership-query } }`"
                    .to_owned()
            }
            other => {
                let known: Vec<&str> = services::names().chain(PROTOCOLS).collect();
                words::nearest(other, &known).map_or_else(
                    || FORMS.to_owned(),
                    |near| format!("did you mean {}?", quote(near)),
                )
            }
        };
        self.problem(word.span, format!("{word} is not a service"))
            .help(help);
    }

    fn unknown_service(&mut self, protocol: &str, name: Word<'_>) {
        let elsewhere = services::named(name.text);
        let help = match elsewhere.first() {
            Some((other, _)) => Some(format!("it is a service of {other}")),
            None => words::suggest(name.text, services::names()),
        };
        let message = format!("{protocol} has no service {name}");
        self.problem(name.span, message).help(help);
    }

    fn icmp_service(
        &mut self,
        word: Word<'_>,
        rest: Word<'_>,
        only: Option<Family>,
    ) -> Option<Vec<PacketDraft>> {
        if rest.text.contains(',') {
            self.problem(rest.span, "a service has one ICMP type")
                .help("write a test for each");
            return None;
        }
        let (kind, code) = match rest.split_once("/") {
            Some((kind, code)) => (kind, Some(code)),
            None => (rest, None),
        };
        let icmp = self.icmp(kind, code, only)?;
        Some(vec![PacketDraft::icmp(
            word.text.to_owned(),
            word.span,
            icmp,
        )])
    }

    fn ports(&mut self, protocol: Word<'_>, list: Word<'_>) -> Option<Vec<PacketDraft>> {
        let mut seen: Vec<(u16, u16)> = Vec::new();
        let mut probes = Vec::new();
        let mut count = 0;
        let mut sound = true;
        for part in list.split(',') {
            let Some((first, last)) = self.port_range(protocol.text, part) else {
                sound = false;
                continue;
            };
            count += usize::from(last - first) + 1;
            if count > MAX_PORTS {
                self.problem(
                    list.span,
                    format!("a test has at most {MAX_PORTS} ports, and this one has more"),
                )
                .help("split it into several tests, or test a sample of the ports");
                return None;
            }
            let twice = seen
                .iter()
                .find(|(low, high)| first <= *high && *low <= last);
            if let Some((low, _)) = twice {
                let port = first.max(*low);
                self.problem(part.span, format!("the port {port} is listed twice"));
                sound = false;
                continue;
            }
            seen.push((first, last));
            probes.extend((first..=last).map(|port| {
                // What is written as a name is told as a name.
                let name = part
                    .text
                    .starts_with(|letter: char| letter.is_ascii_alphabetic());
                let port_text = if name {
                    part.text.to_owned()
                } else {
                    port.to_string()
                };
                let text = format!("{}/{port_text}", protocol.text);
                PacketDraft::new(text, part.span, to_port(protocol.text, port))
            }));
        }
        sound.then_some(probes)
    }

    pub(super) fn port_range(&mut self, protocol: &str, part: Word<'_>) -> Option<(u16, u16)> {
        if part.text.is_empty() {
            self.problem(part.span, "a port is missing here")
                .help("write ports without spaces: `tcp/80,443`");
            return None;
        }
        if part.text.contains('/') {
            self.problem(part.span, "a test has one protocol").help(
                "write a test for each, or in the long form a list: `service: [tcp/53, udp/53]`",
            );
            return None;
        }
        if let Some((first, last)) = part.text.split_once(':')
            && first.parse::<u16>().is_ok()
            && last.parse::<u16>().is_ok()
        {
            self.problem(part.span, format!("{part} is not a port"))
                .help(format!(
                    "write the range with a hyphen: {}",
                    quote(&format!("{first}-{last}"))
                ));
            return None;
        }
        if part
            .text
            .starts_with(|letter: char| letter.is_ascii_alphabetic())
        {
            let port = services::port(protocol, part.text);
            if port.is_none() {
                self.unknown_service(protocol, part);
            }
            return port.map(|port| (port, port));
        }
        let Some((first, last)) = part.split_once("-") else {
            let port = self.number_in(part, "a port", 1..=65535)?;
            return Some((port, port));
        };
        let low = self.number_in(first, "a port", 1..=65535);
        let high = self.number_in(last, "a port", 1..=65535);
        let (low, high) = (low?, high?);
        if low > high {
            self.problem(part.span, format!("the range {part} is empty"))
                .help(format!("write {}", quote(&format!("{high}-{low}"))));
            return None;
        }
        Some((low, high))
    }
}

/// The usual packet to a port.
fn to_port(protocol: &str, port: u16) -> PacketSpec {
    let other = |transport| PacketSpec {
        free_port: true,
        ..PacketSpec::new(transport)
    };
    match protocol {
        "udp" => PacketSpec::udp(port),
        "udplite" => other(Transport::UdpLite(UdpLite {
            dport: port,
            ..UdpLite::default()
        })),
        "sctp" => other(Transport::Sctp(Sctp {
            dport: port,
            ..Sctp::default()
        })),
        _ => PacketSpec::tcp(port, SYN),
    }
}

/// The sample of traffic that `any` stands for: remote administration, the web, a name lookup, a
/// high port of each kind, a ping.
fn any(at: Span) -> Vec<PacketDraft> {
    let tcp = [22, 80, 443, 50000].map(|port| (format!("tcp/{port}"), PacketSpec::tcp(port, SYN)));
    let udp = [53, 50000].map(|port| (format!("udp/{port}"), PacketSpec::udp(port)));
    let ports = tcp.into_iter().chain(udp);
    let ping = PacketDraft::icmp("icmp/echo-request".to_owned(), at, Icmp::echo_request());
    ports
        .map(|(text, packet)| PacketDraft::new(text, at, packet))
        .chain([ping])
        .map(|probe| PacketDraft {
            of_any: true,
            ..probe
        })
        .collect()
}
