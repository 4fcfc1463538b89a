//! Holds one conversation: answers are made from what arrived, so that they find their way back
//! through whatever translated the packet before.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    packet::{Relation, Seen, Turn, relate},
    prober::Prober,
    protocol::{
        Broken, Bytes, Connection, Direction, Evidence, Origin, Place, Probe, SendError, Sent,
    },
};

/// What is known of a conversation so far.
#[derive(Default)]
pub(crate) struct Talk {
    started: Option<Instant>,
    last: Option<Instant>,
    connections: BTreeMap<u32, Known>,
}

/// What is known of a connection.
#[derive(Default)]
struct Known {
    /// The first of its packets that arrived at the other end, as it arrived.
    arrived: Option<(Origin, Bytes)>,
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
        self.pace(probe.pause_us);
        let mut evidence = prober.probe(&actual)?;
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
            let (from, bytes) = self.arrived.as_ref()?;
            actual.from = *from;
            actual.packet.answer(&Seen::parse(&bytes.0)?, &bytes.0);
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
        if let (Some(sighting), Direction::Original, None) =
            (arrived, connection.direction, &self.arrived)
        {
            let from = match sighting.place {
                Place::Wire(interface) => Origin::Wire(interface),
                Place::Input => Origin::Firewall,
            };
            self.arrived = Some((from, sighting.packet.clone()));
        }
    }
}
