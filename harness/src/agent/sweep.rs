//! Sweeps: the same packet to many ports, in batches without a trace; then a sample of the ports one by one,
//! with it.
//!
//! A batch is evidence, and not only fast. The packets of a link are processed in order on one CPU, so what
//! had not come out when the barrier behind a window came back will not come out. Whatever could have
//! been lost on the way is counted: frames by the firewall's interface, overflows by every socket, packets
//! and connections by connection tracking. If one of these moved, the batch is repeated in smaller windows,
//! and if it moves again, its ports are unproven.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use firedrill_wire::{
    packet::{Answer, Packet, Relation, Seen, relate},
    protocol::{
        Broken, Evidence, Fate, Place, Probe, Sent, Sighting, Sweep, Swept, SweptRun, Unproven,
        micros,
    },
};

use crate::{kernel::nftables::NftSocket, prober::Prober};

/// How many packets lie between two barriers: few enough for every socket buffer, even if each of them
/// arrives and is answered. Then, if something was lost, how many in the second attempt.
const WINDOWS: [usize; 2] = [256, 8];

/// How many packets lie between two looks at what may have been lost.
const CHUNK: usize = 8_192;

/// The most ports that are probed one by one because the rules name their numbers.
const MAX_NAMED: usize = 256;

/// The upper half of cookies in sweeps; the lower half is the port.
const COOKIES: u32 = 0xe000;

/// The first source port of the sample: outside Linux' own ephemeral ports, so that no connection of the
/// batches is meant.
const SAMPLE_PORTS: u16 = 61_000;

/// Sweeps all ports and hands over the evidence of the sample; `named` are numbers that the rules name.
pub(crate) fn sweep(
    prober: &mut Prober<'_>,
    nft: &mut NftSocket,
    sweep: &Sweep,
    named: &BTreeSet<u16>,
    mut each: impl FnMut(Evidence),
) -> Result<Swept, Broken> {
    let started = Instant::now();
    let ports: Vec<u16> = sweep.ports.iter().collect();
    let runs = if sweep.traced {
        Vec::new()
    } else {
        batches(prober, nft, sweep, &ports)?
    };
    let sample = if sweep.traced {
        ports.into_iter().collect()
    } else {
        sample(&runs, named, &ports)
    };
    for (nth, port) in sample.into_iter().enumerate() {
        if nth % CHUNK == 0 {
            prober.make_room(nft, CHUNK)?;
        }
        let probe = single(&sweep.probe, port);
        let mut evidence = prober.probe(&probe)?;
        let lost = !evidence.observed.barrier;
        evidence.sent = Some(Sent {
            from: probe.from,
            packet: probe.packet,
        });
        each(evidence);
        if lost {
            // The others would lose theirs too, after two seconds each. Nothing passes without them.
            break;
        }
    }
    Ok(Swept {
        sweep: sweep.probe.id,
        runs,
        duration_us: micros(started),
    })
}

/// The numbers in a listing that may be ports.
pub(crate) fn numbers(listing: &str) -> BTreeSet<u16> {
    let said = |line: &'_ str| line.split("# handle").next().map(str::to_owned);
    let lines = listing.lines().filter_map(said);
    let numbers = |line: String| {
        let digits = line.split(|c: char| !c.is_ascii_digit());
        digits
            .filter_map(|digits| digits.parse().ok())
            .collect::<Vec<u16>>()
    };
    lines.flat_map(numbers).collect()
}

fn batches(
    prober: &mut Prober<'_>,
    nft: &mut NftSocket,
    sweep: &Sweep,
    ports: &[u16],
) -> Result<Vec<SweptRun>, Broken> {
    let swarm = Swarm {
        template: &sweep.probe.packet,
        cookies: (COOKIES + sweep.probe.id % 0x1000) << 16,
    };
    let mut runs = Vec::new();
    for chunk in ports.chunks(CHUNK) {
        let packets: Vec<Packet> = chunk.iter().map(|port| swarm.packet(*port)).collect();
        let mut fates = BTreeMap::new();
        let mut unproven = None;
        for window in WINDOWS {
            prober.make_room(nft, chunk.len())?;
            fates.clear();
            unproven = prober.batch(sweep.probe.from, &packets, window, |_, seen| {
                for sighting in &seen {
                    swarm.note(sighting, chunk, &mut fates);
                }
            })?;
            if unproven.is_none() {
                break;
            }
        }
        for port in chunk {
            let fate = fates.remove(port).unwrap_or(Fate::Silent);
            extend(&mut runs, *port, doubted(fate, unproven));
        }
    }
    Ok(runs)
}

/// What is left of a fate where something may have been lost: what arrived has arrived.
fn doubted(fate: Fate, unproven: Option<Unproven>) -> Fate {
    match (unproven, &fate) {
        (Some(unproven), Fate::Answered(_) | Fate::Silent) => Fate::Unproven(unproven),
        (None, _) | (Some(_), Fate::Arrived { .. } | Fate::Unproven(_)) => fate,
    }
}

/// Adds the next port.
fn extend(runs: &mut Vec<SweptRun>, port: u16, fate: Fate) {
    match runs.last_mut() {
        Some(run) if run.fate == fate && run.last.checked_add(1) == Some(port) => run.last = port,
        _ => runs.push(SweptRun {
            first: port,
            last: port,
            fate,
        }),
    }
}

/// Which ports are probed one by one: the ends of every run, and those that the rules name, with their
/// neighbours.
fn sample(runs: &[SweptRun], named: &BTreeSet<u16>, ports: &[u16]) -> BTreeSet<u16> {
    let swept = |port: &u16| ports.binary_search(port).is_ok();
    let around = |port: u16| [port.saturating_sub(1), port, port.saturating_add(1)];
    let named: BTreeSet<u16> = named
        .iter()
        .copied()
        .flat_map(around)
        .filter(swept)
        .collect();
    let every = named.len().div_ceil(MAX_NAMED).max(1);
    let ends = runs.iter().flat_map(|run| [run.first, run.last]);
    named.iter().copied().step_by(every).chain(ends).collect()
}

/// The probe of one port by itself.
fn single(probe: &Probe, port: u16) -> Probe {
    let cookie = (COOKIES + 0x1000 + probe.id % 0xc00) << 16 | u32::from(port);
    let mut packet = probe.packet.to_port(port, cookie);
    let room = u16::MAX - SAMPLE_PORTS;
    let own = SAMPLE_PORTS + (probe.id % u32::from(room)) as u16;
    packet.set_sport(own);
    Probe {
        packet,
        ..probe.clone()
    }
}

/// The packets of a sweep that are on their way.
struct Swarm<'a> {
    template: &'a Packet,
    cookies: u32,
}

impl Swarm<'_> {
    fn packet(&self, port: u16) -> Packet {
        let cookie = self.cookies | u32::from(port);
        self.template.to_port(port, cookie)
    }

    /// Notes what a packet that was seen says of which port.
    fn note(&self, sighting: &Sighting, swept: &[u16], fates: &mut BTreeMap<u16, Fate>) {
        let Some(seen) = Seen::parse(&sighting.packet.0) else {
            return;
        };
        for port in seen.hints() {
            if swept.binary_search(&port).is_err() {
                continue;
            }
            match relate(&self.packet(port), &seen) {
                Relation::Unrelated => {}
                Relation::Itself => {
                    let arrived = arrived(port, sighting.place, &seen);
                    let known = fates.get(&port);
                    if !matches!(known, Some(Fate::Arrived { place, .. }) if *place <= sighting.place)
                    {
                        fates.insert(port, arrived);
                    }
                    return;
                }
                Relation::Answer(answer) => {
                    note_answer(port, answer, fates);
                    return;
                }
            }
        }
    }
}

/// An answer tells nothing of a packet that arrived, and nothing more where another came before.
fn note_answer(port: u16, answer: Answer, fates: &mut BTreeMap<u16, Fate>) {
    fates.entry(port).or_insert(Fate::Answered(answer));
}

fn arrived(port: u16, place: Place, seen: &Seen<'_>) -> Fate {
    let there = seen.ports().map(|(_, port)| port);
    Fate::Arrived {
        place,
        source: seen.source,
        destination: seen.destination,
        port: there.filter(|there| *there != port),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use rstest::rstest;

    use firedrill_wire::{
        packet::{Icmp, Tcp, Transport, Udp, craft, tcp_flag},
        protocol::Bytes,
    };

    use super::*;
    const ENDS: (IpAddr, IpAddr) = (
        IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
    );

    fn tcp(sport: u16, dport: u16, flags: u8) -> Transport {
        Transport::Tcp(Tcp {
            sport,
            dport,
            flags,
            ..Tcp::default()
        })
    }

    fn template(transport: Transport) -> Packet {
        Packet::new(ENDS.0, ENDS.1, 0xfd00_0001, transport)
    }

    fn seen(place: Place, packet: &Packet) -> Sighting {
        Sighting {
            place,
            packet: Bytes(craft(packet)),
        }
    }

    fn fate(template: &Packet, sightings: &[Sighting], port: u16) -> Option<Fate> {
        let swarm = Swarm {
            template,
            cookies: COOKIES << 16,
        };
        let swept: Vec<u16> = (1..=65_535).collect();
        let mut fates = BTreeMap::new();
        for sighting in sightings {
            swarm.note(sighting, &swept, &mut fates);
        }
        assert!(fates.len() <= 1, "{fates:?}");
        fates.remove(&port)
    }

    #[rstest]
    #[case(tcp(40_000, 1, tcp_flag::SYN))]
    #[case(Transport::Udp(Udp { sport: 40_000, dport: 1, ..Udp::default() }))]
    fn a_packet_is_known_by_its_cookie_wherever_it_was_translated_to(#[case] transport: Transport) {
        let template = template(transport);
        let cookie = COOKIES << 16 | 443;
        let mut elsewhere = template.to_port(8443, cookie);
        elsewhere.destination = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
        let found = fate(&template, &[seen(Place::Wire(1), &elsewhere)], 443);
        assert_eq!(
            found,
            Some(Fate::Arrived {
                place: Place::Wire(1),
                source: ENDS.0,
                destination: elsewhere.destination,
                port: Some(8443),
            })
        );
    }

    #[test]
    fn a_reset_is_an_answer_of_its_port_and_says_nothing_where_the_segment_arrived() {
        let template = template(tcp(40_000, 1, tcp_flag::SYN));
        let reset = Packet::new(
            ENDS.1,
            ENDS.0,
            7,
            tcp(113, 40_000, tcp_flag::RST | tcp_flag::ACK),
        );
        let reset = seen(Place::Wire(0), &reset);
        let answered = Fate::Answered(Answer::TcpReset);
        let only = std::slice::from_ref(&reset);
        assert_eq!(fate(&template, only, 113), Some(answered));
        let arrived = seen(Place::Input, &template.to_port(113, COOKIES << 16 | 113));
        for both in [[arrived.clone(), reset.clone()], [reset, arrived]] {
            let found = fate(&template, &both, 113);
            assert!(matches!(found, Some(Fate::Arrived { .. })), "{found:?}");
        }
    }

    #[test]
    fn an_error_is_an_answer_of_the_port_that_it_quotes() {
        let template = template(Transport::Udp(Udp {
            sport: 40_000,
            dport: 1,
            ..Udp::default()
        }));
        let quoted = craft(&template.to_port(161, COOKIES << 16 | 161));
        let error = Transport::Icmp(Icmp {
            kind: 3,
            code: 13,
            data: Some(Bytes(quoted)),
            ..Icmp::default()
        });
        let error = Packet::new(ENDS.1, ENDS.0, 9, error);
        assert_eq!(
            fate(&template, &[seen(Place::Wire(0), &error)], 161),
            Some(Fate::Answered(Answer::IcmpError { kind: 3, code: 13 }))
        );
    }

    #[test]
    fn somebody_elses_packet_is_nobodys_fate() {
        let template = template(tcp(40_000, 1, tcp_flag::SYN));
        let other = Packet::new(ENDS.0, ENDS.1, 0xfd00_0001, tcp(1, 2, tcp_flag::SYN));
        let mut other = other;
        other.ip.id = Some(0);
        assert_eq!(fate(&template, &[seen(Place::Input, &other)], 2), None);
    }

    #[test]
    fn where_something_was_lost_only_an_arrival_counts() {
        let arrived = Fate::Arrived {
            place: Place::Input,
            source: ENDS.0,
            destination: ENDS.1,
            port: None,
        };
        let lost = Some(Unproven::Overflow);
        assert_eq!(doubted(arrived.clone(), lost), arrived);
        for fate in [Fate::Silent, Fate::Answered(Answer::TcpReset)] {
            assert_eq!(doubted(fate.clone(), None), fate);
            assert_eq!(doubted(fate, lost), Fate::Unproven(Unproven::Overflow));
        }
    }

    #[test]
    fn the_sample_has_the_ends_of_every_run_and_what_the_rules_name() {
        let silent = |first, last| SweptRun {
            first,
            last,
            fate: Fate::Silent,
        };
        let runs = [silent(1, 79), silent(81, 65_535)];
        let ports: Vec<u16> = (1..=65_535).filter(|port| *port != 80).collect();
        let named = numbers("tcp dport 137-138 drop # handle 4711\n-p tcp --dport 70000 -j DROP\n");
        let found = sample(&runs, &named, &ports);
        let found: Vec<u16> = found.into_iter().collect();
        assert_eq!(found, [1, 79, 81, 136, 137, 138, 139, 65_535]);
    }

    #[test]
    fn ports_that_fare_alike_are_one_run() {
        let mut runs = Vec::new();
        for port in [1, 2, 3, 5, 6] {
            extend(&mut runs, port, Fate::Silent);
        }
        let ends: Vec<(u16, u16)> = runs.iter().map(|run| (run.first, run.last)).collect();
        assert_eq!(ends, [(1, 3), (5, 6)]);
    }
}
