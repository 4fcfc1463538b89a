//! What connection tracking says of a packet whose connection it does not know yet.
//!
//! Follows `nf_conntrack_in` (net/netfilter/nf_conntrack_core.c) and the protocols' `…_error` and `…_new`. Checksums
//! are not looked at: a packet with a wrong one is invalid, and the caller has to know that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    facts::{ConnectionFacts, Endpoints, Tracking},
    headers::{self, HeaderCheck, TransportHeader},
};

/// Protocol numbers (IANA).
mod protocol {
    pub(super) const ICMP: u8 = 1;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const DCCP: u8 = 33;
    pub(super) const GRE: u8 = 47;
    pub(super) const AH: u8 = 51;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const SCTP: u8 = 132;
    pub(super) const UDP_LITE: u8 = 136;
}

/// Control bits of TCP (RFC 9293).
mod tcp_flag {
    pub(super) const FIN: u8 = 0x01;
    pub(super) const SYN: u8 = 0x02;
    pub(super) const RST: u8 = 0x04;
    pub(super) const ACK: u8 = 0x10;
    pub(super) const URG: u8 = 0x20;
}

/// What connection tracking says of a whole packet with valid checksums, from its network header on, if no earlier
/// packet belongs to its connection.
#[must_use]
pub fn of_first_packet(packet: &[u8]) -> Tracking {
    let packet = headers::trimmed(packet);
    let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let transport = if is_ipv4 {
        headers::ipv4_transport(packet, HeaderCheck::Trusted)
    } else {
        headers::ipv6_transport(packet, HeaderCheck::Trusted)
    };
    let Some(transport) = transport else {
        return Tracking::Invalid;
    };
    // A fragment is reassembled before.
    if transport.fragment_offset != 0 || transport.protocol == protocol::AH {
        return Tracking::Unknown;
    }
    let segment = packet.get(transport.offset..).unwrap_or_default();
    let new = || Tracking::Tracked(ConnectionFacts::begun(endpoints(packet, transport)));
    let new_if = |is_valid: bool| if is_valid { new() } else { Tracking::Invalid };
    match transport.protocol {
        protocol::TCP => new_if(tcp_begins(segment)),
        protocol::UDP => new_if(udp_is_whole(segment)),
        protocol::ICMP if is_ipv4 => match segment {
            // Errors belong to the connection of the packet that they quote.
            [3 | 4 | 5 | 11 | 12, ..] => Tracking::Unknown,
            // `valid_new` of net/netfilter/nf_conntrack_proto_icmp.c
            [kind, ..] => new_if(matches!(kind, 8 | 13 | 15 | 17) && segment.len() >= 8),
            [] => Tracking::Invalid,
        },
        protocol::ICMPV6 if !is_ipv4 => match segment {
            // `noct_valid_new` of net/netfilter/nf_conntrack_proto_icmpv6.c
            [130..=136 | 143, ..] if segment.len() >= 8 => Tracking::Untracked,
            [0..=127, ..] => Tracking::Unknown,
            // `valid_new`
            [kind, ..] => new_if(matches!(kind, 128 | 139) && segment.len() >= 8),
            [] => Tracking::Invalid,
        },
        protocol::SCTP | protocol::DCCP | protocol::UDP_LITE | protocol::GRE => Tracking::Unknown,
        _ => new(),
    }
}

/// `tcp_error` and `tcp_new` (net/netfilter/nf_conntrack_proto_tcp.c), with `tcp_loose` set as by default.
fn tcp_begins(segment: &[u8]) -> bool {
    use tcp_flag::{ACK, FIN, RST, SYN, URG};
    const IGNORED: u8 = 0x40 | 0x80 | 0x08;
    let Some(header) = segment.first_chunk::<20>() else {
        return false;
    };
    let length = usize::from(header[12] >> 4) * 4;
    if length < 20 || segment.len() < length {
        return false;
    }
    let flags = header[13] & !IGNORED;
    // `tcp_valid_flags`, without those that begin no connection in `tcp_conntracks`.
    [SYN, SYN | URG, ACK, ACK | URG].contains(&flags) && flags & (RST | FIN) == 0
}

/// `udp_error` (net/netfilter/nf_conntrack_proto_udp.c).
fn udp_is_whole(datagram: &[u8]) -> bool {
    let length = |header: &[u8; 8]| usize::from(u16::from_be_bytes([header[4], header[5]]));
    datagram
        .first_chunk()
        .is_some_and(|header| (8..=datagram.len()).contains(&length(header)))
}

/// Addresses and ports of a whole packet, from its network header on; `None` if its transport header is not there.
#[must_use]
pub fn endpoints_of(packet: &[u8]) -> Option<Endpoints> {
    let transport = if packet.first()? >> 4 == 4 {
        headers::ipv4_transport(packet, HeaderCheck::Trusted)
    } else {
        headers::ipv6_transport(packet, HeaderCheck::Trusted)
    };
    endpoints(packet, transport?)
}

fn endpoints(packet: &[u8], transport: TransportHeader) -> Option<Endpoints> {
    let (source, destination) = match packet.first()? >> 4 {
        4 => (
            IpAddr::from(Ipv4Addr::from(*packet.get(12..)?.first_chunk::<4>()?)),
            IpAddr::from(Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?)),
        ),
        _ => (
            IpAddr::from(Ipv6Addr::from(*packet.get(8..)?.first_chunk::<16>()?)),
            IpAddr::from(Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?)),
        ),
    };
    let segment = packet.get(transport.offset..)?;
    let word = |at: usize| {
        segment
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u16::from_be_bytes)
    };
    let (source_port, destination_port) = match transport.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDP_LITE => {
            (word(0)?, word(2)?)
        }
        // The identifier, then type and code.
        protocol::ICMP | protocol::ICMPV6 => (word(4)?, word(0)?),
        _ => (0, 0),
    };
    Some(Endpoints {
        source,
        destination,
        protocol: transport.protocol,
        source_port,
        destination_port,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ipv4(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let total = u8::try_from(20 + segment.len()).unwrap();
        let mut packet = vec![0x45, 0, 0, total, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 1, 198, 51, 100, 7]);
        packet.extend(segment);
        packet
    }

    fn tcp(flags: u8) -> Vec<u8> {
        let mut segment = vec![0; 20];
        (segment[12], segment[13]) = (0x50, flags);
        ipv4(6, &segment)
    }

    fn is_new(tracking: &Tracking) -> bool {
        matches!(tracking, Tracking::Tracked(_))
    }

    /// `tcp_valid_flags` and the column `sNO` of `tcp_conntracks`.
    #[rstest]
    #[case(0x02, true)]
    #[case(0x10, true)]
    #[case(0x18, true)]
    #[case(0xc2, true)]
    #[case(0x12, false)]
    #[case(0x11, false)]
    #[case(0x04, false)]
    #[case(0x00, false)]
    #[case(0x03, false)]
    #[case(0x3f, false)]
    fn a_tcp_segment_begins_a_connection_if_its_flags_allow_it(
        #[case] flags: u8,
        #[case] new: bool,
    ) {
        let tracking = of_first_packet(&tcp(flags));
        assert_eq!(is_new(&tracking), new);
        assert_eq!(tracking == Tracking::Invalid, !new);
    }

    #[test]
    fn an_icmp_reply_without_a_request_is_invalid() {
        let message = |kind| ipv4(1, &[kind, 0, 0, 0, 0, 7, 0, 0]);
        assert!(is_new(&of_first_packet(&message(8))));
        assert_eq!(of_first_packet(&message(0)), Tracking::Invalid);
        assert_eq!(of_first_packet(&message(3)), Tracking::Unknown);
    }

    #[test]
    fn a_udp_datagram_shorter_than_it_says_is_invalid() {
        let whole = ipv4(17, &[0, 1, 0, 2, 0, 8, 0, 0]);
        assert!(is_new(&of_first_packet(&whole)));
        let cut = ipv4(17, &[0, 1, 0, 2, 0, 9, 0, 0]);
        assert_eq!(of_first_packet(&cut), Tracking::Invalid);
    }
}
