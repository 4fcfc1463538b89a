//! A packet that is read: in which families it exists, and what it is called.

use firedrill_harness::packet::Transport;

use crate::scenario::{Family, PacketSpec, TcpFlags, read::icmp::Icmp, text::source::Span};

/// The SYN bit: what a connection starts with.
pub(in crate::scenario::read) const SYN: TcpFlags = TcpFlags(0x02);

/// One packet to send, in every family that it exists in.
#[derive(Debug, Clone)]
pub(in crate::scenario::read) struct PacketDraft {
    /// `tcp/443`, `tcp/443 flags fin`.
    pub(in crate::scenario::read) text: String,
    /// Part of the sample that `any` stands for.
    pub(in crate::scenario::read) of_any: bool,
    pub(in crate::scenario::read) at: Span,
    /// The packet; of an ICMP message without its type and code.
    pub(in crate::scenario::read) packet: PacketSpec,
    /// The type and code of an ICMP message.
    pub(in crate::scenario::read) icmp: Option<Icmp>,
    /// What an ICMP error quotes.
    pub(in crate::scenario::read) quote: Option<Box<PacketDraft>>,
    /// The one family in which it exists, and what says so.
    pub(in crate::scenario::read) only: Option<(Family, Span)>,
    /// A field that the kernel of the firewall writes itself, and where it stands.
    pub(in crate::scenario::read) not_from_firewall: Option<(Span, &'static str)>,
}

impl PacketDraft {
    pub(in crate::scenario::read) fn new(text: String, at: Span, packet: PacketSpec) -> Self {
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
    pub(in crate::scenario::read) fn icmp(text: String, at: Span, icmp: Icmp) -> Self {
        Self {
            icmp: Some(icmp),
            ..Self::new(text, at, PacketSpec::icmp(0, 0))
        }
    }

    /// The packet in this family, if it exists there.
    pub(in crate::scenario::read) fn in_family(&self, family: Family) -> Option<PacketSpec> {
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
