//! Holds one conversation: answers are made from what arrived, so that they find their way back
//! through whatever translated the packet before.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use firedrill_wire::{
    packet::{Relation, Seen, Turn, relate},
    protocol::{
        Broken, Bytes, Connection, Direction, Evidence, Origin, Place, Probe, SendError, Sent,
    },
};

use crate::prober::{Prober, mute::Mute};

/// What is known of a conversation so far.
#[derive(Default)]
pub(crate) struct Talk {
    started: Option<Instant>,
    last: Option<Instant>,
    connections: BTreeMap<u32, Known>,
    /// Ports of the firewall that say nothing by themselves.
    mutes: BTreeMap<u16, Mute>,
}

/// The port of the firewall that a segment was redirected to, if so.
fn redirected(probe: &Probe, evidence: &Evidence) -> Option<u16> {
    let [_, planned] = probe.packet.tcp_ports().try_into().ok()?;
    let mut sightings = evidence.observed.seen.iter();
    sightings.find_map(|sighting| {
        let seen = Seen::parse(&sighting.packet.0).filter(|_| sighting.place == Place::Input)?;
        let itself = relate(&probe.packet, &seen) == Relation::Itself;
        let (_, port) = seen.ports().filter(|_| itself)?;
        (port != planned).then_some(port)
    })
}

/// What is known of a connection.
#[derive(Default)]
struct Known {
    /// The first of its packets that arrived at the other end, as it arrived.
    first: Option<(Origin, Bytes)>,
    /// The last packet of each direction that arrived, original first.
    last: [Option<Bytes>; 2],
    turn: Turn,
}

impl Talk {
    /// Lets time pass, because the scenario says so.
    pub(crate) fn wait(us: u64) {
        thread::sleep(Duration::from_micros(us));
    }

    /// Sends the next probe and reports everything about it, except for the control run.
    pub(crate) fn probe(
        &mut self,
        prober: &mut Prober<'_>,
        probe: &Probe,
    ) -> Result<Evidence, Broken> {
        let Some(connection) = probe.connection else {
            self.pace(probe.pause_us);
            let mut evidence = prober.probe(probe)?;
            evidence.at_us = self.at();
            return Ok(evidence);
        };
        let known = self.connections.entry(connection.number).or_default();
        let Some(actual) = known.next(probe, connection) else {
            return Ok(Evidence {
                probe: probe.id,
                send_error: Some(SendError {
                    code: 0,
                    text: "there is nothing to reply to, because the packet before did not arrive"
                        .to_owned(),
                }),
                ..Evidence::default()
            });
        };
        for port in actual.packet.tcp_ports() {
            self.mute(prober, port)?;
        }
        self.pace(probe.pause_us);
        let mut evidence = prober.probe(&actual)?;
        // What was redirected to another port of the firewall was reset by its own TCP; sent once more, it
        // begins anew (net/netfilter/nf_conntrack_proto_tcp.c).
        if let Some(port) = redirected(&actual, &evidence)
            && self.mute(prober, port)?
        {
            evidence = prober.probe(&actual)?;
        }
        evidence.at_us = self.at();
        if let Some(known) = self.connections.get_mut(&connection.number) {
            known.note(&actual, connection, &evidence);
        }
        if (&actual.packet, actual.from) != (&probe.packet, probe.from) {
            evidence.sent = Some(Sent {
                from: actual.from,
                packet: actual.packet,
            });
        }
        Ok(evidence)
    }

    /// Keeps the firewall's own TCP out of this; false if it is already.
    fn mute(&mut self, prober: &Prober<'_>, port: u16) -> Result<bool, Broken> {
        if self.mutes.contains_key(&port) {
            return Ok(false);
        }
        self.mutes.insert(port, prober.mute(port)?);
        Ok(true)
    }

    /// Waits until the next probe is due.
    fn pace(&mut self, pause_us: u64) {
        if let Some(last) = self.last {
            let due = last + Duration::from_micros(pause_us);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let now = Instant::now();
        self.last = Some(now);
        self.started.get_or_insert(now);
    }

    /// When the last probe was sent.
    fn at(&self) -> u64 {
        match (self.started, self.last) {
            (Some(started), Some(last)) => {
                u64::try_from((last - started).as_micros()).unwrap_or(u64::MAX)
            }
            _ => 0,
        }
    }
}

impl Known {
    /// The probe as it must be sent now; `None` if it answers what never arrived.
    fn next(&self, probe: &Probe, connection: Connection) -> Option<Probe> {
        let mut actual = probe.clone();
        if connection.direction == Direction::Reply {
            let (from, bytes) = self.first.as_ref()?;
            actual.from = *from;
            actual.packet.answer(&Seen::parse(&bytes.0)?);
        }
        if actual.packet.quotes() {
            let other = match connection.direction {
                Direction::Original => 1,
                Direction::Reply => 0,
            };
            actual.packet.quote(self.last[other].as_ref()?);
        }
        actual.packet.number(&self.turn, connection.direction);
        Some(actual)
    }

    /// Learns from what became of a probe.
    fn note(&mut self, probe: &Probe, connection: Connection, evidence: &Evidence) {
        let arrived = evidence.observed.seen.iter().find(|sighting| {
            Seen::parse(&sighting.packet.0)
                .is_some_and(|seen| relate(&probe.packet, &seen) == Relation::Itself)
        });
        let seen = arrived.and_then(|sighting| Seen::parse(&sighting.packet.0));
        self.turn
            .note(&probe.packet, seen.as_ref(), connection.direction);
        let Some(sighting) = arrived else {
            return;
        };
        let from = match sighting.place {
            Place::Wire(interface) => Origin::Wire(interface),
            Place::Input => Origin::Firewall,
        };
        match connection.direction {
            Direction::Original => {
                self.first
                    .get_or_insert_with(|| (from, sighting.packet.clone()));
                self.last[0] = Some(sighting.packet.clone());
            }
            Direction::Reply => self.last[1] = Some(sighting.packet.clone()),
        }
    }
}
