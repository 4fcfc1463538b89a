//! What the kernel says of packets that it threw away itself.

use std::net::IpAddr;

use firedrill_harness::protocol::{KernelAnswer, LabSpec, Origin, Probe, RouteAnswer};

use crate::trace::decider::KernelReason;

/// `EXDEV`: the reverse-path filter.
const EXDEV: i32 = 18;
/// `EINVAL`: a martian source, or the reverse-path filter.
const EINVAL: i32 = 22;
/// `ENETUNREACH` and `EHOSTUNREACH`: no route, or no forwarding.
const ENETUNREACH: i32 = 101;
/// See [`ENETUNREACH`].
const EHOSTUNREACH: i32 = 113;

/// Why the kernel itself threw a probe away, if it says so.
pub(super) fn kernel_reason(
    answer: Option<&KernelAnswer>,
    probe: &Probe,
    lab: &LabSpec,
) -> Option<KernelReason> {
    /// `RTN_UNICAST`: a route to somewhere else.
    const UNICAST: u8 = 1;
    let answer = answer?;
    let grew = |names: &[&str]| grew(answer, names);
    let from_outside = matches!(probe.from, Origin::Wire(_));
    if from_outside && grew(&["LinkRxOtherHostDropped"]) {
        return Some(KernelReason::OtherHost);
    }
    // The header is looked at first, then the route; the hop limit comes last.
    if grew(&[
        "IpExtInCsumErrors",
        "IpExtInTruncatedPkts",
        "Ip6InTruncatedPkts",
    ]) {
        return Some(KernelReason::BadHeader);
    }
    if from_outside && probe.packet.has_source_route() && !accepts_source_routes(lab) {
        return Some(KernelReason::SourceRoute);
    }
    match answer.route {
        RouteAnswer::Refused { code: EXDEV } => Some(KernelReason::ReversePathFilter),
        // Newer kernels (seen: 6.18) answer both with EINVAL; the filter has a counter of its own.
        RouteAnswer::Refused { code: EINVAL } if grew(&["TcpExtIPReversePathFilter"]) => {
            Some(KernelReason::ReversePathFilter)
        }
        RouteAnswer::Refused { code: EINVAL } => Some(KernelReason::MartianSource),
        RouteAnswer::Refused { code: EHOSTUNREACH } if from_outside && !lab.forwarding => {
            Some(KernelReason::ForwardingOff)
        }
        RouteAnswer::Refused {
            code: ENETUNREACH | EHOSTUNREACH,
        } => Some(KernelReason::NoRoute),
        RouteAnswer::Route { kind: UNICAST, .. } if from_outside && !lab.forwarding => {
            Some(KernelReason::ForwardingOff)
        }
        RouteAnswer::Route { kind: UNICAST, .. } if from_outside && probe.packet.ttl <= 1 => {
            Some(KernelReason::TimeToLive)
        }
        RouteAnswer::NotAsked | RouteAnswer::Route { .. } | RouteAnswer::Refused { .. } => {
            let bad = grew(&["IpInHdrErrors", "Ip6InHdrErrors"]);
            bad.then(|| {
                // For IPv6 such a source is an error of the header (`ipv6_rcv`, net/ipv6/ip6_input.c).
                let martian = match probe.packet.source {
                    IpAddr::V4(_) => false,
                    IpAddr::V6(source) => source.is_loopback() || source.is_multicast(),
                };
                if martian && probe.packet.ip.version.is_none() {
                    KernelReason::MartianSource
                } else {
                    KernelReason::BadHeader
                }
            })
        }
    }
}

/// Whether the kernel holds a fragment and waits for others.
pub(super) fn is_held(answer: Option<&KernelAnswer>) -> bool {
    answer.is_some_and(|answer| grew(answer, &["IpReasmReqds", "Ip6ReasmReqds"]))
}

fn grew(answer: &KernelAnswer, names: &[&str]) -> bool {
    let mut counters = answer.counters.iter();
    counters.any(|(name, _)| names.contains(&&**name))
}

/// Whether the scenario lets IPv4 packets say their way: the kernel asks both `all` and the interface
/// (`IN_DEV_SOURCE_ROUTE`, linux/inetdevice.h), and the lab has both switched off.
fn accepts_source_routes(lab: &LabSpec) -> bool {
    let mut settings = lab.sysctl.iter();
    settings.any(|(name, value)| name == "net.ipv4.conf.all.accept_source_route" && value != "0")
}
