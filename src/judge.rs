//! The judge: an expectation and the evidence give an outcome. Total and pure.
//!
//! Nothing is concluded from silence. Every verdict names its proof, and where a proof is missing the
//! verdict is inconclusive, which is never a pass.

use firedrill_harness::{
    packet::{self, Answer, Relation, Seen, Transport, relate, tcp_flag},
    protocol::{
        Control, Evidence, KernelAnswer, LabSpec, Loaded, Observed, Origin, Place, Probe,
        RouteAnswer,
    },
};

use crate::{
    dialect::listing::Ruleset,
    path::{self, End, Traced},
    scenario::{Case, Expectation, ExpectedVerdict, Party, RejectKind, Scenario},
    verdict::{
        self, Arrival, Decider, Inconclusive, Judgement, KernelReason, Outcome, RejectAnswer,
        Verdict,
    },
};

/// What holds for every probe of a run.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The lab as planned.
    pub lab: &'a LabSpec,
    /// How the candidate was loaded.
    pub loaded: &'a Loaded,
    /// The ruleset as listed.
    pub ruleset: &'a Ruleset,
}

/// `EPERM`: what sending returns when the output hook drops.
const EPERM: i32 = 1;
/// `EXDEV`: the reverse-path filter.
const EXDEV: i32 = 18;
/// `EINVAL`: a martian source, or the reverse-path filter.
const EINVAL: i32 = 22;
/// `ENETUNREACH` and `EHOSTUNREACH`: no route, or no forwarding.
const ENETUNREACH: i32 = 101;
/// See [`ENETUNREACH`].
const EHOSTUNREACH: i32 = 113;

/// Judges one case.
#[must_use]
pub fn judge(
    scenario: &Scenario,
    case: &Case,
    probe: &Probe,
    evidence: &Evidence,
    setting: Setting<'_>,
) -> Judgement {
    let (verdict, decider) = verdict(probe, evidence, setting);
    let (outcome, reason) = compare(scenario, case, &verdict, decider.as_ref());
    Judgement {
        verdict,
        decider,
        outcome,
        reason,
    }
}

/// A judgement without evidence.
#[must_use]
pub fn inconclusive(reason: Inconclusive) -> Judgement {
    Judgement {
        reason: Some(reason.to_string()),
        verdict: Verdict::Inconclusive(reason),
        decider: None,
        outcome: Outcome::Inconclusive,
    }
}

/// What the firewall did with a probe, and who decided.
#[must_use]
pub fn verdict(
    probe: &Probe,
    evidence: &Evidence,
    setting: Setting<'_>,
) -> (Verdict, Option<Decider>) {
    let unproven = |reason| (Verdict::Inconclusive(reason), None);
    if setting.loaded.generation_after == setting.loaded.generation_before {
        return unproven(Inconclusive::NotLoaded);
    }
    if let Some(error) = evidence
        .send_error
        .as_ref()
        .filter(|error| error.code != EPERM)
    {
        return unproven(Inconclusive::NotSent(error.text.clone()));
    }
    if !evidence.observed.barrier {
        return unproven(Inconclusive::BarrierLost);
    }
    if evidence.trace.lost {
        return unproven(Inconclusive::TraceLost);
    }
    let (entered, runs) = path::runs(&evidence.trace, &probe.packet, Traced::Probe);
    let kernel = kernel_reason(evidence.kernel.as_ref(), probe, setting.lab);
    let dropped_by_kernel = |reason| (Verdict::Drop, Some(Decider::Kernel(reason)));
    if !entered {
        return unproven(Inconclusive::NeverEntered);
    }
    let mut stopped = None;
    for run in &runs {
        match run.end(setting.ruleset) {
            End::Drop(decider) => stopped = Some(decider),
            End::HandedOver(to) => return unproven(Inconclusive::HandedOver(to)),
            End::Accept(_) | End::Open => {}
        }
    }
    match (arrival(probe, &evidence.observed, setting.lab), stopped) {
        (Some(_), Some(decider)) => (
            Verdict::Inconclusive(Inconclusive::Contradiction),
            Some(decider),
        ),
        (Some(arrival), None) => {
            let hook = match (probe.from, &arrival.interface) {
                (Origin::Firewall, _) => "output",
                (Origin::Wire(_), Some(_)) => "forward",
                (Origin::Wire(_), None) => "input",
            };
            let v6 = arrival.destination.is_ipv6();
            let decider = path::who_accepted(&runs, setting.ruleset, hook, v6);
            (Verdict::Accept(arrival), decider)
        }
        (None, Some(decider)) => {
            let verdict = match path_works(probe, &evidence.control, setting.lab) {
                Err(reason) => Verdict::Inconclusive(reason),
                // The chain had thrown the probe away, so whatever came back was sent by its rule: a
                // closed port answers only what was let in.
                Ok(()) => match answer(probe, &evidence.observed) {
                    Some(error) => Verdict::Reject(error),
                    None if may_reject(&decider)
                        && is_answered(probe)
                        && !answer_dropped(probe, evidence, setting) =>
                    {
                        Verdict::Inconclusive(Inconclusive::AnswerMissing)
                    }
                    None => Verdict::Drop,
                },
            };
            (verdict, Some(decider))
        }
        (None, None) => match kernel {
            Some(KernelReason::NoRoute) => unproven(Inconclusive::PathBroken(kernel)),
            Some(reason) => dropped_by_kernel(reason),
            None => unproven(Inconclusive::Vanished),
        },
    }
}

/// Whether the probe would have come out without the candidate, or was going to be stopped by the
/// kernel for a reason that is a protection in itself. A drop on a path that does not work anyway
/// proves nothing.
fn path_works(probe: &Probe, control: &Control, lab: &LabSpec) -> Result<(), Inconclusive> {
    if !control.observed.barrier {
        return Err(Inconclusive::BarrierLost);
    }
    if arrival(probe, &control.observed, lab).is_some() {
        return Ok(());
    }
    match kernel_reason(control.kernel.as_ref(), probe, lab) {
        reason @ (None | Some(KernelReason::NoRoute)) => Err(Inconclusive::PathBroken(reason)),
        Some(
            KernelReason::ReversePathFilter
            | KernelReason::MartianSource
            | KernelReason::ForwardingOff
            | KernelReason::TimeToLive
            | KernelReason::BadHeader,
        ) => Ok(()),
    }
}

/// Where the probe came out: on a wire it was not sent from, or behind the input hook.
fn arrival(probe: &Probe, observed: &Observed, lab: &LabSpec) -> Option<Arrival> {
    observed.seen.iter().find_map(|sighting| {
        let seen = Seen::parse(&sighting.packet.0)?;
        if relate(&probe.packet, &seen) != Relation::Itself {
            return None;
        }
        let interface = match sighting.place {
            Place::Wire(interface) => Some(
                lab.interfaces
                    .get(interface)
                    .map(|interface| interface.name.clone())?,
            ),
            Place::Input => None,
        };
        Some(Arrival {
            interface,
            source: seen.source,
            destination: seen.destination,
        })
    })
}

/// The error that came back for the probe, if any.
fn answer(probe: &Probe, observed: &Observed) -> Option<RejectAnswer> {
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
fn may_reject(decider: &Decider) -> bool {
    match decider {
        Decider::Rule(rule) => rule.text.as_deref().is_none_or(|text| {
            // What is quoted is a comment, a prefix, a name: every other part between quotes.
            text.split('"')
                .step_by(2)
                .flat_map(str::split_whitespace)
                .any(|word| word == "reject")
        }),
        Decider::Policy(_) | Decider::Kernel(_) | Decider::NoChain => false,
    }
}

/// Whether a kernel that refuses the probe says so: no error answers an ICMP error (RFC 1122 section
/// 3.2.2, RFC 4443 section 2.4), no reset answers a reset (RFC 9293 section 3.5.2).
fn is_answered(probe: &Probe) -> bool {
    let v6 = probe.packet.source.is_ipv6();
    match &probe.packet.transport {
        Transport::Tcp { flags, .. } => flags & tcp_flag::RST == 0,
        Transport::Udp { .. } => true,
        Transport::Icmp { kind, .. } => !packet::is_icmp_error(v6, *kind),
    }
}

/// Whether the trace shows that a chain dropped the error that a rule sent.
fn answer_dropped(probe: &Probe, evidence: &Evidence, setting: Setting<'_>) -> bool {
    let (_, runs) = path::runs(&evidence.trace, &probe.packet, Traced::Error);
    runs.iter()
        .any(|run| matches!(run.end(setting.ruleset), End::Drop(_)))
}

/// The name of an ICMP (RFC 792, RFC 1122, RFC 1812) or ICMPv6 (RFC 4443) error.
fn reject_kind(v6: bool, kind: u8, code: u8) -> RejectAnswer {
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

/// Why the kernel itself threw a probe away, if it says so.
fn kernel_reason(
    answer: Option<&KernelAnswer>,
    probe: &Probe,
    lab: &LabSpec,
) -> Option<KernelReason> {
    /// `RTN_UNICAST`: a route to somewhere else.
    const UNICAST: u8 = 1;
    let answer = answer?;
    let grew = |names: &[&str]| {
        answer
            .counters
            .iter()
            .any(|(name, _)| names.contains(&&**name))
    };
    let from_outside = matches!(probe.from, Origin::Wire(_));
    // Routing comes before the hop limit is looked at, and the header before routing.
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
        RouteAnswer::NotAsked | RouteAnswer::Route { .. } | RouteAnswer::Refused { .. } => grew(&[
            "IpInHdrErrors",
            "Ip6InHdrErrors",
            "IpExtInCsumErrors",
            "IpExtInTruncatedPkts",
        ])
        .then_some(KernelReason::BadHeader),
    }
}

/// The outcome, and in words why it is no pass.
fn compare(
    scenario: &Scenario,
    case: &Case,
    verdict: &Verdict,
    decider: Option<&Decider>,
) -> (Outcome, Option<String>) {
    let fail = |reason: String| (Outcome::Fail, Some(reason));
    let Expectation {
        verdict: expected,
        by,
    } = &case.expect;
    match (expected, verdict) {
        (_, Verdict::Inconclusive(reason)) => {
            return (Outcome::Inconclusive, Some(reason.to_string()));
        }
        (
            ExpectedVerdict::Accept {
                source,
                destination,
            },
            Verdict::Accept(arrival),
        ) => {
            let wanted = destination.unwrap_or(case.destination);
            if arrival.destination != wanted {
                return fail(format!(
                    "it arrived at {}, not at {wanted}",
                    arrival.destination
                ));
            }
            let place = place_of(scenario, case, wanted);
            if arrival.interface != place {
                return fail(format!(
                    "it came out {}, not {}",
                    place_words(arrival.interface.as_deref()),
                    place_words(place.as_deref())
                ));
            }
            match source {
                Some(source) if *source != arrival.source => {
                    return fail(format!(
                        "it arrived from {}, not from {source}",
                        arrival.source
                    ));
                }
                Some(_) | None => {}
            }
        }
        (ExpectedVerdict::Drop, Verdict::Drop)
        | (ExpectedVerdict::Reject(None), Verdict::Reject(_)) => {}
        (ExpectedVerdict::Reject(Some(kind)), Verdict::Reject(RejectAnswer::Kind(answer)))
            if kind == answer => {}
        (
            ExpectedVerdict::Accept { .. } | ExpectedVerdict::Drop | ExpectedVerdict::Reject(_),
            Verdict::Accept(_) | Verdict::Drop | Verdict::Reject(_),
        ) => return fail(format!("expected {}, but it was {verdict}", case.expect)),
    }
    let Some(by) = by else {
        return (Outcome::Pass, None);
    };
    let actual = decider.map_or_else(|| "nobody".to_owned(), ToString::to_string);
    match decider.map_or(Some(false), |decider| is_by(decider, by)) {
        Some(true) => (Outcome::Pass, None),
        Some(false) => fail(format!(
            "expected {}, but the decision was by {actual}",
            case.expect
        )),
        None => (
            Outcome::Inconclusive,
            Some(format!("nobody can tell whether {by} decided: {actual}")),
        ),
    }
}

/// Whether a decider is the one meant by `by:`. That may be `policy`, `FILE:LINE`, `chain NAME`, or a part
/// of the rule's text (its comment is part of it). `None` if its line is asked for and not known.
fn is_by(decider: &Decider, by: &str) -> Option<bool> {
    // The policy is meant even where a rule's comment has the same word.
    const POLICY: &str = "policy";
    let said = match decider {
        Decider::Rule(rule) => {
            by != POLICY && rule.text.as_deref().is_some_and(|text| text.contains(by))
        }
        Decider::Policy(_) => by == POLICY,
        Decider::Kernel(_) | Decider::NoChain => return Some(false),
    };
    let in_chain = by.strip_prefix("chain ").zip(decider.chain());
    if said || in_chain.is_some_and(|(name, chain)| name == chain.name || name == chain.to_string())
    {
        return Some(true);
    }
    let place = by
        .rsplit_once(':')
        .and_then(|(file, line)| Some((file, line.parse::<usize>().ok()?)));
    match (place, decider.origin()) {
        (None, _) => Some(false),
        (Some((file, line)), Some(verdict::Origin::Known(known))) => {
            Some(known.line == line && known.file.ends_with(file))
        }
        (Some(_), Some(verdict::Origin::Unknown(_)) | None) => None,
    }
}

/// Where a packet to this address should come out: the interface's name, or `None` for the firewall.
fn place_of(scenario: &Scenario, case: &Case, address: std::net::IpAddr) -> Option<String> {
    let interfaces = &scenario.firewall.interfaces;
    let own = interfaces
        .iter()
        .any(|interface| interface.addresses.iter().any(|net| net.addr() == address));
    if own {
        return None;
    }
    let named = scenario
        .hosts
        .iter()
        .find(|host| {
            host.ipv4.map(std::net::IpAddr::V4) == Some(address)
                || host.ipv6.map(std::net::IpAddr::V6) == Some(address)
        })
        .map(|host| host.behind);
    let on_link = || {
        interfaces
            .iter()
            .position(|interface| interface.addresses.iter().any(|net| net.contains(&address)))
    };
    let planned = || match case.to {
        Party::Host(host) => Some(scenario.hosts[host].behind),
        Party::Firewall(_) => None,
    };
    named
        .or_else(on_link)
        .or_else(planned)
        .map(|interface| interfaces[interface].name.clone())
}

fn place_words(interface: Option<&str>) -> String {
    match interface {
        Some(name) => format!("on {name}"),
        None => "at the firewall itself".to_owned(),
    }
}
