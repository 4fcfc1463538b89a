//! Expressions that load from the packet, and those that write into it: `payload`, `exthdr`.

use super::{
    bits::Bits,
    certainty::Certainty,
    doubt::{Doubt, Fact},
    evaluation::{Effect, Evaluation, Loaded, bytes, unmodelled},
    headers, options,
    packet::{LinkBytes, ether_type},
    record::ChainVerdict,
};
use crate::ruleset::program::{
    ChecksumFlags, ChecksumKind, Expression, ExtHeaderField, ExtHeaderKind, PayloadBase,
};

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;

/// Protocol numbers (IANA).
mod protocol {
    pub(super) const IPIP: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const GRE: u8 = 47;
    pub(super) const ICMPV6: u8 = 58;
}

impl Evaluation<'_, '_> {
    /// `nft_payload_eval` (net/netfilter/nft_payload.c).
    pub(super) fn payload(&self, base: PayloadBase, offset: usize, length: usize) -> Loaded {
        let packet = &self.flow.packet;
        let start = match base {
            PayloadBase::LinkLayer => return self.link_payload(offset, length),
            PayloadBase::Network => Some(0),
            PayloadBase::Transport => self.transport_offset(),
            PayloadBase::Inner => self.inner_offset(),
            PayloadBase::Tunnel => {
                return Loaded::Perhaps(Bits::unknown(length), unmodelled("inner"));
            }
        };
        match start.and_then(|start| packet.network.slice(start + offset, length)) {
            Some(bits) => Loaded::Value(bits, Some(Doubt::Rewritten)),
            None => Loaded::Missing,
        }
    }

    fn link_payload(&self, offset: usize, length: usize) -> Loaded {
        let packet = &self.flow.packet;
        match &packet.link {
            None => Loaded::Missing,
            Some(LinkBytes::Unknown) => {
                Loaded::Perhaps(Bits::unknown(length), Doubt::Fact(Fact::LinkHeader))
            }
            Some(LinkBytes::Known(header)) => {
                let frame = Bits::known(header.as_slice()).followed_by(&packet.network);
                match frame.slice(offset, length) {
                    Some(bits) => Loaded::Value(bits, Some(Doubt::Rewritten)),
                    None => Loaded::Missing,
                }
            }
        }
    }

    /// Where the transport header begins, if the packet has it.
    pub(super) fn transport_offset(&self) -> Option<usize> {
        let transport = self.flow.packet.transport?;
        (transport.fragment_offset == 0).then_some(transport.offset)
    }

    /// `__nft_payload_inner_offset`: where the payload of the transport protocol begins.
    fn inner_offset(&self) -> Option<usize> {
        let transport = self.flow.packet.transport?;
        let start = self.transport_offset()?;
        let packet = self.flow.packet.network.lowest();
        let segment = packet.get(start..)?;
        let length = match transport.protocol {
            protocol::UDP => 8,
            protocol::TCP => {
                let header = segment.first_chunk::<20>()?;
                usize::from(header[12] >> 4) * 4
            }
            protocol::GRE => {
                let [flags, version, ..] = *segment.first_chunk::<4>()?;
                if version & 0x07 != 0 {
                    return None;
                }
                let optional = [0x80, 0x20, 0x10].map(|flag| usize::from(flags & flag != 0) * 4);
                4 + optional.iter().sum::<usize>()
            }
            protocol::IPIP => 0,
            _ => return None,
        };
        Some(start + length)
    }

    /// `nft_payload_set_eval`: writes, and adjusts checksums, which are not modelled: they become unknown.
    pub(super) fn set_payload(&mut self, expression: &Expression) -> Effect {
        let Expression::PayloadSet {
            source,
            base,
            offset,
            length,
            checksum,
            checksum_offset,
            checksum_flags,
        } = expression
        else {
            return Effect::goes_on();
        };
        let (offset, length) = (bytes(*offset), bytes(*length));
        let start = match base {
            PayloadBase::Network => Some(0),
            PayloadBase::Transport => self.transport_offset(),
            PayloadBase::Inner => self.inner_offset(),
            PayloadBase::LinkLayer => {
                return match &self.flow.packet.link {
                    None => Effect::breaks(),
                    Some(_) => {
                        self.flow.packet.link = Some(LinkBytes::Unknown);
                        Effect::goes_on()
                    }
                };
            }
            PayloadBase::Tunnel => return Effect::either(unmodelled("inner")),
        };
        let Some(start) = start.filter(|start| {
            let end = start + offset + length;
            end <= self.flow.packet.network.len()
        }) else {
            return Effect::breaks();
        };
        let bits = self.registers.load(*source, length);
        let network = &mut self.flow.packet.network;
        if *checksum != ChecksumKind::None {
            network.write(start + bytes(*checksum_offset), &Bits::unknown(2));
        }
        network.write(start + offset, &bits);
        if checksum_flags.contains(ChecksumFlags::PSEUDO_HEADER) {
            self.forget_transport_checksum();
        }
        Effect::goes_on()
    }

    /// Where the checksum of the transport protocol is written anew.
    pub(super) fn forget_transport_checksum(&mut self) {
        let Some(transport) = self.flow.packet.transport else {
            return;
        };
        let at = match transport.protocol {
            protocol::TCP => 16,
            protocol::UDP => 6,
            protocol::ICMPV6 => 2,
            _ => return,
        };
        if let Some(start) = self.transport_offset() {
            self.flow
                .packet
                .network
                .write(start + at, &Bits::unknown(2));
        }
    }

    /// `nft_exthdr_*_eval` (net/netfilter/nft_exthdr.c).
    pub(super) fn extension_header(&self, field: ExtHeaderField, is_presence: bool) -> Loaded {
        let packet = self.flow.packet.network.lowest();
        let transport = self.flow.packet.transport.as_ref();
        let (offset, length) = (bytes(field.offset), bytes(field.length));
        // Where the part begins; `None` if the header is not there, or too short for it.
        let start = match field.kind {
            ExtHeaderKind::Ipv6 => {
                if self.flow.packet.ether_type != ether_type::IPV6 {
                    return Loaded::Missing;
                }
                headers::ipv6_find_header(&packet, Some(field.number))
                    .map(|header| header.offset + offset)
            }
            ExtHeaderKind::TcpOption => options::tcp_header(&packet, transport)
                .and_then(|header| Some((header, options::tcp_option(header, field.number)?)))
                .filter(|(_, option)| offset + length <= option.len())
                .map(|(_, option)| offset_in(&packet, option) + offset),
            ExtHeaderKind::SctpChunk => {
                let chunk = options::sctp_chunk(&packet, transport, field.number);
                let fits = |(chunk, says): &(&[u8], usize)| {
                    is_presence || (offset + length <= *says && *says <= chunk.len())
                };
                chunk
                    .filter(fits)
                    .map(|(chunk, _)| offset_in(&packet, chunk) + offset)
            }
            ExtHeaderKind::Ipv4Option => return self.ipv4_option(&packet, field, is_presence),
            ExtHeaderKind::DccpOption => {
                return Loaded::Perhaps(Bits::unknown(length), unmodelled("exthdr"));
            }
        };
        if is_presence {
            return Loaded::known([u8::from(start.is_some())]);
        }
        match start.and_then(|start| self.flow.packet.network.slice(start, length)) {
            Some(bits) => Loaded::Value(bits, Some(Doubt::Rewritten)),
            None => Loaded::Missing,
        }
    }

    /// `nft_exthdr_ipv4_eval`: an option that is not there by its type is surely not found; one that is there must
    /// also be well formed.
    fn ipv4_option(&self, packet: &[u8], field: ExtHeaderField, is_presence: bool) -> Loaded {
        if self.flow.packet.ether_type != ether_type::IPV4 {
            return Loaded::Missing;
        }
        let length = usize::from(packet.first().copied().unwrap_or_default() & 0x0f) * 4;
        let found = packet.get(IPV4_HEADER_BYTES..length).unwrap_or_default();
        match (found.contains(&field.number), is_presence) {
            (false, true) => Loaded::known([0]),
            (false, false) => Loaded::Missing,
            (true, true) => Loaded::unknown(1, unmodelled("exthdr")),
            (true, false) => {
                Loaded::Perhaps(Bits::unknown(bytes(field.length)), unmodelled("exthdr"))
            }
        }
    }

    /// `nft_exthdr_tcp_set_eval`: an option that is not there is no reason to break off.
    pub(super) fn set_extension_header(&mut self, field: ExtHeaderField) -> Effect {
        let packet = self.flow.packet.network.lowest();
        let Some(header) = options::tcp_header(&packet, self.flow.packet.transport.as_ref()) else {
            return Effect::breaks();
        };
        let Some(option) = options::tcp_option(header, field.number) else {
            return Effect::goes_on_if(
                Certainty::from(!header[20..].contains(&field.number)),
                || unmodelled("exthdr"),
            );
        };
        let (offset, length) = (bytes(field.offset), bytes(field.length));
        if offset + length > option.len() {
            return Effect::breaks();
        }
        let at = offset_in(&packet, option) + offset;
        // A maximum segment size is only ever lowered.
        self.flow.packet.network.write(at, &Bits::unknown(length));
        self.forget_transport_checksum();
        Effect::goes_on()
    }

    /// `nft_exthdr_tcp_strip_eval`
    pub(super) fn strip_extension_header(&mut self, field: ExtHeaderField) -> Effect {
        let packet = self.flow.packet.network.lowest();
        let Some(header) = options::tcp_header(&packet, self.flow.packet.transport.as_ref()) else {
            return Effect::breaks();
        };
        match options::tcp_option(header, field.number) {
            Some(option) => {
                let at = offset_in(&packet, option);
                let padding = Bits::known(vec![1; option.len()]);
                self.flow.packet.network.write(at, &padding);
                self.forget_transport_checksum();
                Effect::goes_on()
            }
            None if header[20..].contains(&field.number) => Effect {
                verdicts: vec![super::evaluation::RuleVerdict::End(ChainVerdict::Drop)],
                ..Effect::either(unmodelled("exthdr"))
            },
            None => Effect::goes_on(),
        }
    }

    /// The bytes of an address of the packet; `None` where it has none.
    pub(super) fn address_bits(&self, is_source: bool) -> Option<Bits> {
        let (at, length) = match (self.flow.packet.ether_type, is_source) {
            (ether_type::IPV4, true) => (12, 4),
            (ether_type::IPV4, false) => (16, 4),
            (ether_type::IPV6, true) => (8, 16),
            (ether_type::IPV6, false) => (24, 16),
            _ => return None,
        };
        debug_assert!(at + length <= IPV6_HEADER_BYTES);
        self.flow.packet.network.slice(at, length)
    }
}

/// Where a part of a packet begins in it.
fn offset_in(packet: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - packet.as_ptr().addr()
}
