//! A packet that is read: in which families it exists, and what it is called.

use firedrill_harness::packet::Transport;

use crate::scenario::{
    Family, PacketSpec, TcpFlags,
    read::{
        fields::{Fields, Value},
        icmp::Icmp,
    },
    text::source::Span,
};

/// The SYN bit: what a connection starts with.
pub(crate) const SYN: TcpFlags = TcpFlags(0x02);

/// One packet to send, in every family that it exists in.
#[derive(Debug, Clone)]
pub(crate) struct PacketDraft {
    /// `tcp/443`, `tcp/443 flags fin`.
    pub(crate) text: String,
    /// Part of the sample that `any` stands for.
    pub(crate) of_any: bool,
    pub(crate) at: Span,
    /// The packet; of an ICMP message without its type and code.
    pub(crate) packet: PacketSpec,
    /// The type and code of an ICMP message.
    pub(crate) icmp: Option<Icmp>,
    /// What an ICMP error quotes.
    pub(crate) quote: Option<Box<PacketDraft>>,
    /// The one family in which it exists, and what says so.
    pub(crate) only: Option<(Family, Span)>,
    /// A field that the kernel of the firewall writes itself, and where it stands.
    pub(crate) not_from_firewall: Option<(Span, &'static str)>,
}

impl PacketDraft {
    pub(crate) fn new(text: String, at: Span, packet: PacketSpec) -> Self {
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

    /// A packet of one header; `None` if not all of its fields could be read. One without a source port has a
    /// free one.
    pub(crate) fn of(
        text: String,
        value: Value<'_>,
        fields: &Fields<'_>,
        transport: Transport,
    ) -> Option<Self> {
        let mut draft = Self::new(text, value.at, PacketSpec::new(transport));
        draft.packet.free_port =
            draft.packet.transport.dport().is_some() && fields.get("sport").is_none();
        fields.finish(draft)
    }

    /// An ICMP message with what its type asks for.
    pub(crate) fn icmp(text: String, at: Span, icmp: Icmp) -> Self {
        Self {
            icmp: Some(icmp),
            ..Self::new(text, at, PacketSpec::icmp(0, 0))
        }
    }

    /// The packet in this family, if it exists there.
    pub(crate) fn in_family(&self, family: Family) -> Option<PacketSpec> {
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
