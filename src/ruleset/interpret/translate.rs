//! Expressions that translate addresses: `nat`, `masq`, `redir`.

use super::{
    bits::Bits,
    certainty::Certainty,
    doubt::{Doubt, Fact},
    evaluation::{Effect, Evaluation, RuleVerdict},
    packet::{ConnectionOfPacket, PacketState, ether_type},
    record::{ChainVerdict, TranslatedEnd, TranslatedValue, Translation},
};
use crate::ruleset::{
    chain::Family,
    program::{Expression, NatFlags, NatKind, Register},
};

/// `IPS_SRC_NAT` and `IPS_DST_NAT` (linux/netfilter/nf_conntrack_common.h).
const STATUS_SOURCE_NAT: u32 = 1 << 4;
const STATUS_DESTINATION_NAT: u32 = 1 << 5;

impl Evaluation<'_, '_> {
    /// `nft_nat_eval`, `nft_masq_eval` and `nft_redir_eval`: the verdict is that of `nf_nat_setup_info`, which accepts
    /// the packet once its connection has a translation.
    pub(super) fn translate(&mut self, expression: &Expression) -> Effect {
        // In a table of both families, a translation of one does nothing to the other (`nft_nat_inet_eval`).
        if let Expression::Nat {
            family: Some(family @ (Family::Ip | Family::Ip6)),
            ..
        } = expression
            && family.nfproto() != self.nfproto()
        {
            return Effect::goes_on();
        }
        let (end, address, ports, flags) = match expression {
            Expression::Nat {
                kind,
                address_min,
                address_max,
                port_min,
                port_max,
                flags,
                family: _,
            } => {
                let end = match kind {
                    NatKind::Source => TranslatedEnd::Source,
                    NatKind::Destination => TranslatedEnd::Destination,
                };
                let address = self.values(*address_min, *address_max, self.address_bytes());
                (end, address, (*port_min, *port_max), *flags)
            }
            Expression::Masquerade {
                port_min,
                port_max,
                flags,
            } => (
                TranslatedEnd::Source,
                Some(TranslatedValue::Unknown),
                (*port_min, *port_max),
                *flags,
            ),
            Expression::Redirect {
                port_min,
                port_max,
                flags,
            } => (
                TranslatedEnd::Destination,
                Some(TranslatedValue::Unknown),
                (*port_min, *port_max),
                *flags,
            ),
            _ => return self.opaque("nat"),
        };
        let mut port = self.values(ports.0, ports.1, 2);
        let keeps_all = [
            NatFlags::PROTO_RANDOM,
            NatFlags::PROTO_RANDOM_FULLY,
            NatFlags::PROTO_OFFSET,
        ];
        if keeps_all.iter().any(|flag| flags.contains(*flag)) {
            port = Some(TranslatedValue::Unknown);
        }
        let is_certain_to_succeed = !matches!(
            expression,
            Expression::Masquerade { .. } | Expression::Redirect { .. }
        );
        let address = if flags.contains(NatFlags::NETMAP) {
            Some(TranslatedValue::Unknown)
        } else {
            address
        };
        let translation = Translation {
            chain: self.chain,
            rule: self.record.rule,
            end,
            address,
            port,
            certainty: self.reached,
        };
        apply(&mut self.flow.packet, &translation);
        self.translations.push(translation);
        let mut effect = Effect::end(ChainVerdict::Accept);
        if !is_certain_to_succeed && !self.has_address_for(expression) {
            effect.verdicts.push(RuleVerdict::End(ChainVerdict::Drop));
            effect.doubt = Some(Doubt::Fact(Fact::Routes));
        }
        effect
    }

    fn address_bytes(&self) -> usize {
        match self.flow.packet.ether_type {
            ether_type::IPV6 => 16,
            _ => 4,
        }
    }

    /// Whether the interface has an address: without one the packet is dropped (`nf_nat_masquerade_ipv4`,
    /// `nf_nat_redirect_ipv4`).
    fn has_address_for(&self, expression: &Expression) -> bool {
        use super::facts::InterfaceFacts;
        let interface = match expression {
            Expression::Masquerade { .. } => &self.passage.output,
            _ => &self.passage.input,
        };
        let (InterfaceFacts::Known(interface), Some(addresses)) =
            (interface, &self.interpreter.host.addresses)
        else {
            return false;
        };
        let is_ipv6 = self.flow.packet.ether_type == ether_type::IPV6;
        addresses.iter().any(|address| {
            Some(&address.interface) == interface.name.as_ref()
                && address.network.addr().is_ipv6() == is_ipv6
        })
    }

    fn values(
        &self,
        first: Option<Register>,
        last: Option<Register>,
        length: usize,
    ) -> Option<TranslatedValue> {
        let first = self.registers.load(first?, length);
        let last = last.map_or_else(|| first.clone(), |last| self.registers.load(last, length));
        Some(match (first.bytes(), last.bytes()) {
            (Some(first), Some(last)) if first == last => TranslatedValue::Constant(first.to_vec()),
            (Some(first), Some(last)) => TranslatedValue::Range(first.to_vec(), last.to_vec()),
            _ => TranslatedValue::Unknown,
        })
    }
}

/// Changes a packet as a translation does. A constant port is kept even where it is taken already, which the kernel
/// would resolve by another one: of a connection that is alone it never is.
pub fn apply(packet: &mut PacketState, translation: &Translation) {
    let is_source = translation.end == TranslatedEnd::Source;
    let (at, length) = match (packet.ether_type, is_source) {
        (ether_type::IPV4, true) => (12, 4),
        (ether_type::IPV4, false) => (16, 4),
        (ether_type::IPV6, true) => (8, 16),
        (ether_type::IPV6, false) => (24, 16),
        _ => return,
    };
    let bits = |value: &TranslatedValue, length: usize| match value {
        TranslatedValue::Constant(bytes) if bytes.len() == length => Bits::known(bytes.as_slice()),
        TranslatedValue::Range(first, last) if first.len() == length && last.len() == length => {
            Bits::known(first.as_slice()).common_prefix(&Bits::known(last.as_slice()))
        }
        TranslatedValue::Constant(_) | TranslatedValue::Range(..) | TranslatedValue::Unknown => {
            Bits::unknown(length)
        }
    };
    if let Some(address) = &translation.address {
        packet.network.write(at, &bits(address, length));
    }
    forget_checksums(packet);
    if let Some(transport) = packet.transport
        && transport.fragment_offset == 0
    {
        // TCP, UDP, DCCP, SCTP, UDP-Lite; of ICMP the identifier.
        let port_at = match (transport.protocol, is_source) {
            (6 | 17 | 33 | 132 | 136, true) => Some(0),
            (6 | 17 | 33 | 132 | 136, false) => Some(2),
            (1 | 58, _) => Some(4),
            _ => None,
        };
        let port = match (&translation.port, is_source) {
            (Some(port), _) => Some(bits(port, 2)),
            // The source port is kept unless another connection has it.
            (None, _) => None,
        };
        if let (Some(port_at), Some(port)) = (port_at, port) {
            packet.network.write(transport.offset + port_at, &port);
        }
    }
    if let ConnectionOfPacket::Tracked(connection) = &mut packet.connection {
        let (bit, binding) = if is_source {
            (STATUS_SOURCE_NAT, &mut connection.has_source_binding)
        } else {
            (
                STATUS_DESTINATION_NAT,
                &mut connection.has_destination_binding,
            )
        };
        *binding = Certainty::Yes;
        // A translation to what the packet has already sets no bit.
        connection.status = connection.status.with_unknown(&bit.to_ne_bytes());
        if translation.certainty == Certainty::Yes
            && matches!(translation.address, Some(TranslatedValue::Constant(_)))
        {
            connection.status = connection.status.or(&Bits::known(bit.to_ne_bytes()));
        }
        connection.reply = None;
    }
}

/// What may be translated becomes unknown: addresses, ports and checksums.
pub(super) fn forget_endpoints(packet: &mut PacketState) {
    let (at, length) = match packet.ether_type {
        ether_type::IPV4 => (12, 8),
        ether_type::IPV6 => (8, 32),
        _ => return,
    };
    packet.network.write(at, &Bits::unknown(length));
    forget_checksums(packet);
    if let Some(transport) = packet
        .transport
        .filter(|header| header.fragment_offset == 0)
    {
        // An error quotes a packet, which is translated back.
        let length = match transport.protocol {
            1 | 58 => packet.network.len().saturating_sub(transport.offset + 4),
            _ => 4,
        };
        let start = match transport.protocol {
            1 | 58 => transport.offset + 4,
            _ => transport.offset,
        };
        packet.network.write(start, &Bits::unknown(length));
    }
}

/// Checksums that a translation adjusts: of the IPv4 header, and of the transport protocol.
fn forget_checksums(packet: &mut PacketState) {
    if packet.ether_type == ether_type::IPV4 {
        packet.network.write(10, &Bits::unknown(2));
    }
    let Some(transport) = packet
        .transport
        .filter(|header| header.fragment_offset == 0)
    else {
        return;
    };
    let (at, length) = match transport.protocol {
        6 => (16, 2),
        17 | 33 | 136 => (6, 2),
        1 | 58 => (2, 2),
        132 => (8, 4),
        _ => return,
    };
    packet
        .network
        .write(transport.offset + at, &Bits::unknown(length));
}
