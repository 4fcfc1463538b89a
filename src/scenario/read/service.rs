//! Services: `tcp/80,443`, `udp/53`, `icmp/echo-request`, `any`.

use firedrill_harness::packet::Transport;

use super::{
    super::{
        Family, PacketSpec, TcpFlags,
        source::Span,
        tree::Word,
        words::{self, quote},
    },
    Reader,
    icmp::Icmp,
};

/// Most ports of one test.
pub(super) const MAX_PORTS: usize = 1024;
/// The SYN bit: what a connection starts with.
pub(super) const SYN: TcpFlags = TcpFlags(0x02);

const PROTOCOLS: [&str; 6] = ["tcp", "udp", "icmp", "icmpv4", "icmpv6", "any"];
const FORMS: &str = "a service is `tcp/PORTS`, `udp/PORTS`, `icmp/TYPE` or `any`";

/// One packet to send, in every family that it exists in.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// `tcp/443`, `tcp/443 flags fin`.
    pub(super) text: String,
    /// Part of the sample that `any` stands for.
    pub(super) of_any: bool,
    pub(super) at: Span,
    /// The packet; of an ICMP message without its type and code.
    pub(super) packet: PacketSpec,
    /// The type and code of an ICMP message.
    pub(super) icmp: Option<Icmp>,
    /// What an ICMP error quotes.
    pub(super) quote: Option<Box<Probe>>,
    /// The one family in which it exists, and what says so.
    pub(super) only: Option<(Family, Span)>,
    /// A field that the kernel of the firewall writes itself, and where it stands.
    pub(super) not_from_firewall: Option<(Span, &'static str)>,
}

impl Probe {
    pub(super) fn new(text: String, at: Span, packet: PacketSpec) -> Self {
        Self {
            text,
            of_any: false,
            at,
            packet,
            icmp: None,
            quote: None,
            only: None,
            not_from_firewall: None,
        }
    }

    /// An ICMP message with what its type asks for.
    pub(super) fn icmp(text: String, at: Span, icmp: Icmp) -> Self {
        Self {
            icmp: Some(icmp),
            ..Self::new(text, at, PacketSpec::icmp(0, 0))
        }
    }

    /// The packet in this family, if it exists there.
    pub(super) fn in_family(&self, family: Family) -> Option<PacketSpec> {
        if self.only.is_some_and(|(only, _)| only != family) {
            return None;
        }
        let mut packet = self.packet.clone();
        if let Some(quote) = &self.quote {
            packet.quote = Some(Box::new(quote.in_family(family)?));
        }
        if let (Some(numbers), Transport::Icmp(icmp)) = (&self.icmp, &mut packet.transport) {
            (icmp.kind, icmp.code) = numbers.numbers(family)?;
        }
        Some(packet)
    }
}

impl Reader<'_> {
    /// The packets of a service.
    pub(super) fn service(&mut self, word: Word<'_>) -> Option<Vec<Probe>> {
        if word.text == "any" {
            return Some(any(word.span));
        }
        let Some((protocol, rest)) = word.split_once("/") else {
            self.not_a_service(word);
            return None;
        };
        match protocol.text {
            "tcp" | "udp" => self.ports(protocol, rest),
            "icmp" => self.icmp_service(word, rest, None),
            "icmpv4" => self.icmp_service(word, rest, Some(Family::Ipv4)),
            "icmpv6" => self.icmp_service(word, rest, Some(Family::Ipv6)),
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

    fn not_a_service(&mut self, word: Word<'_>) {
        let help = match word.text {
            "tcp" | "udp" => format!("say which port: `{}/80`", word.text),
            "icmp" | "icmpv4" | "icmpv6" => format!("say which type: `{}/echo-request`", word.text),
            other => match words::well_known_port(other) {
                Some(port) => format!("write the protocol and the number: `tcp/{port}`"),
                None => FORMS.to_owned(),
            },
        };
        self.problem(word.span, format!("{} is not a service", quote(word.text)))
            .help(help);
    }

    fn icmp_service(
        &mut self,
        word: Word<'_>,
        rest: Word<'_>,
        only: Option<Family>,
    ) -> Option<Vec<Probe>> {
        if rest.text.contains(',') {
            self.problem(rest.span, "a service has one ICMP type")
                .help("write a test for each".to_owned());
            return None;
        }
        let (kind, code) = match rest.split_once("/") {
            Some((kind, code)) => (kind, Some(code)),
            None => (rest, None),
        };
        let icmp = self.icmp(kind, code, only)?;
        Some(vec![Probe::icmp(word.text.to_owned(), word.span, icmp)])
    }

    fn ports(&mut self, protocol: Word<'_>, list: Word<'_>) -> Option<Vec<Probe>> {
        let mut seen: Vec<(u16, u16)> = Vec::new();
        let mut probes = Vec::new();
        let mut count = 0;
        let mut sound = true;
        for part in list.split(',') {
            let Some((first, last)) = self.port_range(part) else {
                sound = false;
                continue;
            };
            count += usize::from(last - first) + 1;
            if count > MAX_PORTS {
                self.problem(
                    list.span,
                    format!("a test has at most {MAX_PORTS} ports, and this one has more"),
                )
                .help("split it into several tests, or test a sample of the ports".to_owned());
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
                let packet = if protocol.text == "tcp" {
                    PacketSpec::tcp(port, SYN)
                } else {
                    PacketSpec::udp(port)
                };
                Probe::new(format!("{}/{port}", protocol.text), part.span, packet)
            }));
        }
        sound.then_some(probes)
    }

    pub(super) fn port_range(&mut self, part: Word<'_>) -> Option<(u16, u16)> {
        if part.text.is_empty() {
            self.problem(part.span, "a port is missing here")
                .help("write ports without spaces: `tcp/80,443`".to_owned());
            return None;
        }
        if part.text.contains('/') {
            self.problem(part.span, "a test has one protocol").help(
                "write a test for each, or in the long form a list: `service: [tcp/53, udp/53]`"
                    .to_owned(),
            );
            return None;
        }
        if let Some((first, last)) = part.text.split_once(':')
            && first.parse::<u16>().is_ok()
            && last.parse::<u16>().is_ok()
        {
            self.problem(part.span, format!("{} is not a port", quote(part.text)))
                .help(format!(
                    "write the range with a hyphen: {}",
                    quote(&format!("{first}-{last}"))
                ));
            return None;
        }
        if let Some(port) = words::well_known_port(part.text) {
            self.problem(part.span, format!("{} is not a port", quote(part.text)))
                .help(format!("write its number, {port}"));
            return None;
        }
        let Some((first, last)) = part.split_once("-") else {
            let port = self.number_in(part, "a port", 1..=65535)?;
            return Some((port, port));
        };
        let low = self.number_in(first, "a port", 1..=65535);
        let high = self.number_in(last, "a port", 1..=65535);
        let (low, high) = (low?, high?);
        if low > high {
            self.problem(
                part.span,
                format!("the range {} is empty", quote(part.text)),
            )
            .help(format!("write {}", quote(&format!("{high}-{low}"))));
            return None;
        }
        Some((low, high))
    }
}

/// The sample of traffic that `any` stands for: remote administration, the web, a name lookup, a
/// high port of each kind, a ping.
fn any(at: Span) -> Vec<Probe> {
    let tcp = [22, 80, 443, 50000].map(|port| (format!("tcp/{port}"), PacketSpec::tcp(port, SYN)));
    let udp = [53, 50000].map(|port| (format!("udp/{port}"), PacketSpec::udp(port)));
    let ports = tcp.into_iter().chain(udp);
    let ping = Probe::icmp("icmp/echo-request".to_owned(), at, Icmp::echo_request());
    ports
        .map(|(text, packet)| Probe::new(text, at, packet))
        .chain([ping])
        .map(|probe| Probe {
            of_any: true,
            ..probe
        })
        .collect()
}
