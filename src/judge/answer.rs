//! What came back for a probe that a chain threw away.

use std::net::{IpAddr, Ipv4Addr};

use firedrill_harness::{
    packet::{self, Answer, Relation, Seen, Transport, relate, tcp_flag},
    protocol::{Observed, Origin, Place, Probe},
};

use super::verdict::RejectAnswer;
use crate::trace::decider::Decider;
use crate::{
    scenario::RejectKind,
    trace::way::{End, Way},
};

/// The error that came back for the probe, if any.
pub(super) fn answer(probe: &Probe, observed: &Observed) -> Option<RejectAnswer> {
    observed.seen.iter().find_map(|sighting| {
        // An answer goes where the sender's address is routed, which for a spoofed one is not where it
        // came from; for the firewall's own probes it stays inside.
        let on_its_way = match (probe.from, sighting.place) {
            (Origin::Wire(_), Place::Wire(_)) | (Origin::Firewall, Place::Input) => true,
            (Origin::Wire(_), Place::Input) | (Origin::Firewall, Place::Wire(_)) => false,
        };
        let seen = Seen::parse(&sighting.packet.0).filter(|_| on_its_way)?;
        match relate(&probe.packet, &seen) {
            Relation::Answer(Answer::TcpReset) => Some(RejectAnswer::Kind(RejectKind::TcpReset)),
            Relation::Answer(Answer::IcmpError { kind, code }) => {
                Some(reject_kind(probe.packet.source.is_ipv6(), kind, code))
            }
            Relation::Answer(Answer::Other) | Relation::Itself | Relation::Unrelated => None,
        }
    })
}

/// Whether the rule that threw the probe away sends an error back; a rule whose text is not known may.
pub(super) fn may_reject(decider: &Decider) -> bool {
    match decider {
        Decider::Rule(rule) => rule.text.as_deref().is_none_or(|text| {
            // What is quoted is a comment, a prefix, a name: every other part between quotes.
            text.split('"')
                .step_by(2)
                .flat_map(str::split_whitespace)
                .any(|word| word == "reject" || word == "REJECT")
        }),
        Decider::Policy(_) | Decider::Kernel(_) | Decider::NoChain => false,
    }
}

/// Whether a kernel that refuses the probe says so: no error answers an ICMP error (RFC 1122 section
/// 3.2.2, RFC 4443 section 2.4), no reset answers a reset (RFC 9293 section 3.5.2).
pub(super) fn is_answered(probe: &Probe) -> bool {
    let v6 = probe.packet.source.is_ipv6();
    // Nor does one answer what was sent to many, or a fragment but the first.
    let to_many = probe.packet.destination.is_multicast()
        || probe.packet.destination == IpAddr::V4(Ipv4Addr::BROADCAST);
    let later = probe.packet.ip.fragment.as_ref();
    if to_many || later.is_some_and(|fragment| fragment.offset > 0) {
        return false;
    }
    match &probe.packet.transport {
        Transport::Tcp(tcp) => tcp.flags & tcp_flag::RST == 0,
        // RFC 4890, RFC 1122: whatever else IP carries is answered, but for ARP, which is no IP at all.
        Transport::Arp(_) => false,
        Transport::Udp(_)
        | Transport::UdpLite(_)
        | Transport::Sctp(_)
        | Transport::Igmp(_)
        | Transport::Gre(_)
        | Transport::Esp(_)
        | Transport::Ah(_)
        | Transport::Ospf(_)
        | Transport::Vrrp(_)
        | Transport::Bytes(_)
        | Transport::Other { .. } => true,
        Transport::Icmp(icmp) => !packet::is_icmp_error(v6, icmp.kind),
    }
}

/// Whether the trace shows that a chain dropped the error that a rule sent.
pub(super) fn answer_dropped(way: &Way<'_>) -> bool {
    let mut of_error = way.of_error.iter();
    of_error.any(|traversal| matches!(traversal.end, End::Drop(_)))
}

/// The name of an ICMP (RFC 792, RFC 1122, RFC 1812) or ICMPv6 (RFC 4443) error.
pub(super) fn reject_kind(v6: bool, kind: u8, code: u8) -> RejectAnswer {
    let known = match (v6, kind, code) {
        (false, 3, 0) | (true, 1, 0) => RejectKind::NetUnreachable,
        (false, 3, 1) | (true, 1, 3) => RejectKind::HostUnreachable,
        (false, 3, 2) => RejectKind::ProtUnreachable,
        (false, 3, 3) | (true, 1, 4) => RejectKind::PortUnreachable,
        (false, 3, 9) => RejectKind::NetProhibited,
        (false, 3, 10) => RejectKind::HostProhibited,
        (false, 3, 13) | (true, 1, 1) => RejectKind::AdminProhibited,
        (true, 1, 5) => RejectKind::PolicyFail,
        (true, 1, 6) => RejectKind::RejectRoute,
        _ => return RejectAnswer::OtherIcmp { kind, code },
    };
    RejectAnswer::Kind(known)
}
