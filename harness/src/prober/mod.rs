//! Sends probes into a lab and watches what becomes of them.
//!
//! On veth pairs the kernel processes a packet in the sender's own softirq, on one CPU, first come
//! first served. So a *barrier* frame sent behind a probe and seen on the other side proves that the
//! probe was processed to its end: whatever was going to come out has come out. No time-out is ever
//! evidence; a barrier that does not come back makes the probe inconclusive. How long it takes does not matter: a
//! *witness*, sent behind a barrier where no candidate can reach it, tells when the kernel has come to both, and
//! a barrier that was lost in a full queue is sent again.
//!
//! This room owns the sockets of one lab. It never decides what is sent next, and never what it proves.

mod frame;
pub(crate) mod mute;
mod stencil;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io,
    os::fd::AsFd,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

use firedrill_wire::{
    packet::{Packet, Relation, VlanTag, craft, pieces, protocol, relate_bytes, relate_traced},
    protocol::{
        Blind, Broken, Bytes, Control, Evidence, KernelAnswer, Observed, Origin, Place, Probe,
        Reloaded, SendError, Sighting, Trace, TraceEvent, TraceVerdict, Unproven, micros,
    },
};

use self::{
    frame::{frame, frame_to_firewall},
    mute::Mute,
    stencil::Stencil,
};
use crate::{
    error::Doing,
    kernel::{
        counters::{Conntrack, Counters},
        netns::NetNs,
        nflog::LogSocket,
        nftables::{NftSocket, TRACE_TABLE},
        route::RouteSocket,
        socket::{ETHERTYPE_BARRIER, Inbox, InputSocket, Memberships, OutputSocket, PacketSocket},
        trace::TraceSocket,
    },
    lab::{LOOPBACK_INDEX, Lab, Link, devices},
};

/// How often a barrier is sent before it counts as lost. Each was lost although the kernel had come to it, so
/// that this is not a matter of load: a full queue drops one now and then, a candidate drops all of them.
const BARRIER_ATTEMPTS: u32 = 8;

/// How long the first barrier is waited for before the witness is asked, and each further one twice as long: two
/// seconds in all, for the queues of a candidate that shapes its traffic (tc(8)).
const BARRIER_DELAY: Duration = Duration::from_millis(8);

/// After how long a witness is sent again: a full queue may have dropped it.
const WITNESS_AGAIN: Duration = Duration::from_millis(50);

/// How often a barrier crosses the link in both directions. Once covers a probe and its answer; twice
/// covers packets that the firewall sends to itself.
const BARRIER_ROUNDS: u32 = 2;

/// Asked for the trace of a control run, in bytes; only of ARP probes, which are alone.
const CONTROL_TRACE_BUFFER: usize = 1 << 20;

/// How many probes of a control run are on their way at once: few enough for every socket buffer.
const CONTROL_WINDOW: usize = 32;

/// Asked for the trace; the kernel caps it at `net.core.rmem_max`.
const TRACE_BUFFER: usize = 16 << 20;

/// How often a socket is read before it counts as flooded: many times what its buffer can hold.
const MAX_READS: usize = 10_000;

/// Probes one lab.
pub(crate) struct Prober<'a> {
    lab: &'a Lab,
    world: &'a NetNs,
    /// One per device; VLANs share it.
    wires: BTreeMap<usize, PacketSocket>,
    barriers: Vec<PacketSocket>,
    /// Opened when a barrier does not come back at once.
    witness: Option<Witness>,
    inputs: Vec<InputSocket>,
    /// For probes of the firewall itself, by user and mark.
    outputs: BTreeMap<(Option<String>, u32), OutputSocket>,
    _memberships: Memberships,
    routes: RouteSocket,
    counters: Counters,
    senses: Senses,
    /// Owns the tables that trace ARP where there is no candidate.
    _arp: Option<NftSocket>,
    inbox: Inbox,
    barrier_number: u64,
    blind: Option<Blind>,
}

/// What else is listened to in the firewall's namespace.
#[derive(Default)]
pub(crate) struct Senses {
    trace: Option<TraceSocket>,
    log: Option<LogSocket>,
}

impl Senses {
    /// Listens to the trace, and to these groups of the netfilter log, in the current namespace.
    pub(crate) fn open(log_groups: &[u16], blind: Option<Blind>) -> Result<Self, Broken> {
        let buffer = match blind {
            Some(Blind::TraceOverflow) => 0,
            _ => TRACE_BUFFER,
        };
        let deaf = blind == Some(Blind::TraceDeaf);
        let log = match log_groups {
            [] => None,
            groups => Some(LogSocket::open(groups)?),
        };
        Ok(Self {
            trace: Some(TraceSocket::open(buffer, deaf)?),
            log,
        })
    }

    /// Forgets what was heard before.
    fn drain(&self) {
        if let Some(trace) = &self.trace {
            trace.drain(&mut Trace::default());
        }
        if let Some(log) = &self.log {
            log.drain(&mut Vec::new());
        }
    }

    fn hear(&self, evidence: &mut Evidence) {
        if let Some(trace) = &self.trace {
            trace.drain(&mut evidence.trace);
        }
        if let Some(log) = &self.log {
            log.drain(&mut evidence.logged);
        }
    }
}

/// What tells, before and behind a batch, whether anything was lost in between.
struct Vitals {
    /// What each socket of the prober could not take.
    overflows: Vec<u32>,
    /// Frames that came in at the firewall's end of the wire.
    received: u64,
    conntrack: Conntrack,
}

/// Keeps this thread on the CPU it is on: the order of packets holds per CPU.
pub(crate) fn stay_on_this_cpu() -> Result<(), Broken> {
    let pin = || {
        let mut set = CpuSet::new();
        set.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &set)
    };
    pin().doing(|| "stay on one CPU")
}

impl<'a> Prober<'a> {
    /// Opens every socket that `probes` need; `senses` listen in the firewall's namespace already.
    pub(crate) fn open(
        lab: &'a Lab,
        world: &'a NetNs,
        probes: &[&Probe],
        senses: Senses,
        blind: Option<Blind>,
    ) -> Result<Self, Broken> {
        let wires = devices(&lab.links)
            .map(|(device, link)| {
                let mut links = lab.links.iter();
                let tagged = links.any(|link| link.device == device && !link.tags.is_empty());
                Ok((device, PacketSocket::wire(link.far_index, tagged)?))
            })
            .collect::<Result<BTreeMap<_, _>, Broken>>()?;
        if blind == Some(Blind::SmallBuffers) {
            let mut wires = wires.values();
            let shrunk = wires.try_for_each(PacketSocket::shrink);
            shrunk.doing(|| "make the prober's buffers small")?;
        }
        let kinds: BTreeSet<(bool, u8)> = probes
            .iter()
            .flat_map(|probe| {
                let v6 = probe.packet.source.is_ipv6();
                // The errors that answer a probe of the firewall itself come in as ICMP.
                let icmp = if v6 { protocol::ICMPV6 } else { protocol::ICMP };
                [(v6, probe.packet.protocol()), (v6, icmp)]
            })
            .filter(|(_, protocol)| InputSocket::exists(*protocol))
            .collect();
        let groups = probes
            .iter()
            .filter(|probe| probe.packet.destination.is_multicast())
            .filter_map(|probe| {
                match probe.from {
                    Origin::Wire(interface) => lab.links.get(interface),
                    Origin::Firewall => None,
                }
                .map(|link| (probe.packet.destination, link.firewall_index))
            })
            .collect();
        let open_inside = || {
            let barriers = lab
                .links
                .iter()
                .map(|link| PacketSocket::barrier(link.firewall_index))
                .collect::<Result<_, _>>()?;
            let inputs = kinds
                .iter()
                .map(|(v6, protocol)| InputSocket::open(*v6, *protocol))
                .collect::<Result<_, _>>()?;
            let mut routes = RouteSocket::open()?;
            let counters = counters(lab, &mut routes)?;
            Ok((
                barriers,
                inputs,
                Memberships::join(&groups)?,
                routes,
                counters,
            ))
        };
        let (barriers, inputs, memberships, routes, counters) =
            lab.firewall.run(world, open_inside)?;
        let mut senses = senses;
        let arp = match &senses.trace {
            None if probes.iter().any(|probe| probe.packet.is_arp()) => {
                let names: Vec<&str> = lab.links.iter().map(|link| link.name.as_str()).collect();
                let watch = || {
                    let mut nft = NftSocket::open()?;
                    nft.trace_everything(&names, true)?;
                    Ok((nft, TraceSocket::open(CONTROL_TRACE_BUFFER, false)?))
                };
                let (nft, trace) = lab.firewall.run(world, watch)?;
                senses.trace = Some(trace);
                Some(nft)
            }
            None | Some(_) => None,
        };
        Ok(Self {
            lab,
            world,
            wires,
            barriers,
            witness: None,
            inputs,
            outputs: BTreeMap::new(),
            _memberships: memberships,
            routes,
            counters,
            senses,
            _arp: arp,
            inbox: Inbox::new(),
            barrier_number: 0,
            blind,
        })
    }

    /// Sends one probe and reports everything about it, except for the control run.
    pub(crate) fn probe(&mut self, probe: &Probe) -> Result<Evidence, Broken> {
        let started = Instant::now();
        let mut evidence = Evidence {
            probe: probe.id,
            ..Evidence::default()
        };
        // What happened before this probe is not about it.
        self.drain(&mut Vec::new())?;
        self.senses.drain();
        evidence.send_error = self.send(&[probe])?;
        evidence.observed = self.observe(probe.from)?;
        self.senses.hear(&mut evidence);
        self.add_arp(probe, &evidence.trace, &mut evidence.observed.seen);
        if vanished(probe, &evidence) {
            evidence.kernel = Some(self.ask_kernel(probe)?);
        }
        evidence.duration_us = micros(started);
        Ok(evidence)
    }

    /// Sends one more packet like this probe, and counts whether it came out.
    pub(crate) fn pass_by(&mut self, probe: &Probe, reloaded: &mut Reloaded) -> Result<(), Broken> {
        let mut probe = probe.clone();
        probe.packet.renew(reloaded.sent);
        self.drain(&mut Vec::new())?;
        self.send(&[&probe])?;
        let observed = self.observe(probe.from)?;
        reloaded.sent += 1;
        reloaded.barrier &= observed.barrier;
        reloaded.passed += u32::from(!sightings_of(&probe, &observed.seen).is_empty());
        Ok(())
    }

    /// Sends many packets, `window` of them between two barriers, without a trace, and hands over what was
    /// seen of each window. What may have been lost is said, and which packets could not be sent: an error of
    /// the firewall's own output hook (`EPERM`) is none.
    pub(crate) fn batch(
        &mut self,
        from: Origin,
        packets: &[Packet],
        window: usize,
        mut each: impl FnMut(&[Packet], Vec<Sighting>),
    ) -> Result<Option<Unproven>, Broken> {
        if let Some(trace) = &mut self.senses.trace {
            trace.pause().doing(|| "leave the nftables trace")?;
        }
        let unproven = self.sound_batch(from, packets, window, &mut each);
        if let Some(trace) = &mut self.senses.trace {
            trace.resume().doing(|| "listen to the nftables trace")?;
        }
        unproven
    }

    fn sound_batch(
        &mut self,
        from: Origin,
        packets: &[Packet],
        window: usize,
        each: &mut impl FnMut(&[Packet], Vec<Sighting>),
    ) -> Result<Option<Unproven>, Broken> {
        let mut unproven = None;
        self.drain(&mut Vec::new())?;
        let before = self.vitals(from)?;
        for window in packets.chunks(window) {
            if !self.send_packets(from, window)? {
                unproven = Some(Unproven::NotSent);
            }
            let observed = self.observe(from)?;
            if !observed.barrier {
                // A candidate that drops one barrier drops all: to wait for each of them would take hours.
                return Ok(Some(Unproven::BarrierLost));
            }
            each(window, observed.seen);
        }
        let after = self.vitals(from)?;
        let entered = match from {
            Origin::Wire(_) => after.received - before.received,
            // Whoever sends from inside is told what became of it.
            Origin::Firewall => packets.len() as u64,
        };
        Ok(if unproven.is_some() {
            unproven
        } else if after.overflows != before.overflows {
            Some(Unproven::Overflow)
        } else if entered < packets.len() as u64 {
            Some(Unproven::NeverEntered)
        } else if after.conntrack.lost != before.conntrack.lost {
            Some(Unproven::TableFull)
        } else {
            None
        })
    }

    /// Sends packets in order; false if one of them could not be sent.
    fn send_packets(&mut self, from: Origin, packets: &[Packet]) -> Result<bool, Broken> {
        if self.blind == Some(Blind::ProbesNeverEnter) {
            return Ok(true);
        }
        match from {
            Origin::Wire(interface) => {
                let (Some(link), Some(wire)) =
                    (self.lab.links.get(interface), self.wire(interface))
                else {
                    return Err(Broken::new("read the plan", "a sweep from no interface"));
                };
                let stencil = packets.first().and_then(|first| Stencil::of(link, first));
                let frame = |packet: &Packet| {
                    let port = packet.ports().map(|(_, dport)| dport);
                    let written = stencil.as_ref().zip(port);
                    written
                        .and_then(|(stencil, port)| stencil.frame(port, packet.cookie))
                        .unwrap_or_else(|| frame_to_firewall(link, packet, &craft(packet)))
                };
                let frames: Vec<_> = packets.iter().map(frame).collect();
                wire.send(&frames)
                    .doing(|| format!("send on the wire of {}", link.name))?;
                Ok(true)
            }
            Origin::Firewall => {
                let output = self
                    .output(None, 0)
                    .doing(|| "open a socket for the firewall's own packets")?;
                let sent = |packet: &Packet| match output.send(&craft(packet), packet.destination) {
                    Ok(()) => true,
                    Err(error) => error.raw_os_error() == Some(libc::EPERM),
                };
                let refused = packets.iter().filter(|packet| !sent(packet)).count();
                Ok(refused == 0)
            }
        }
    }

    /// What tells whether anything was lost on its way.
    fn vitals(&mut self, from: Origin) -> Result<Vitals, Broken> {
        let wires = self.wires.values().map(PacketSocket::lost);
        let inputs = self.inputs.iter().map(InputSocket::lost);
        let overflows: io::Result<Vec<u32>> = wires.chain(inputs).collect();
        let device = match from {
            Origin::Wire(interface) => self.lab.links.get(interface).map(|link| link.device),
            Origin::Firewall => None,
        };
        let link = device.and_then(|device| self.lab.links.get(device));
        Ok(Vitals {
            overflows: overflows.doing(|| "ask what the prober's sockets lost")?,
            received: match link {
                Some(link) => self.routes.link_counters(link.firewall_index)?.rx_packets,
                None => 0,
            },
            conntrack: self.conntrack()?,
        })
    }

    fn conntrack(&self) -> Result<Conntrack, Broken> {
        self.lab.firewall.run(self.world, || Ok(Conntrack::read()))
    }

    /// Makes room for this many connections more, as far as it can; those that are known are forgotten then.
    pub(crate) fn make_room(
        &mut self,
        nft: &mut NftSocket,
        connections: usize,
    ) -> Result<(), Broken> {
        if self.blind == Some(Blind::ConnectionsKept) {
            return Ok(());
        }
        let most = self
            .lab
            .firewall
            .run(self.world, || Ok(Conntrack::most()))?;
        let known = self.conntrack()?.entries;
        // The table is shared with nobody, but its limit is a number of all namespaces: half of it is plenty.
        if known > 0 && most.is_some_and(|most| known + connections as u64 > most / 2) {
            // Where there is no ctnetlink, the full table is noticed.
            let _ = nft.forget_connections();
        }
        Ok(())
    }

    /// Keeps the firewall's own TCP out of what happens at this port.
    pub(crate) fn mute(&self, port: u16) -> Result<Mute, Broken> {
        self.lab.firewall.run(self.world, || {
            Mute::port(port).doing(|| format!("silence port {port} of the firewall"))
        })
    }

    /// Lets the sockets go. Closing a packet socket waits for an RCU grace period, milliseconds each,
    /// so a thread of its own does it; whoever ends must wait for it.
    pub(crate) fn leave(self) -> JoinHandle<()> {
        let Self {
            wires,
            barriers,
            witness,
            inputs,
            outputs,
            routes,
            senses,
            ..
        } = self;
        let sockets = (wires, barriers, witness, inputs, outputs, routes, senses);
        thread::spawn(move || drop(sockets))
    }

    /// As [`Prober::leave`], at the end of the agent: the sockets end with the process.
    pub(crate) fn stay(self) {
        std::mem::forget(self);
    }

    /// Sends all probes in windows, and says of each whether and where it came out.
    pub(crate) fn control(&mut self, probes: &[&Probe]) -> Result<Vec<Control>, Broken> {
        let mut controls = Vec::with_capacity(probes.len());
        for window in windows(probes) {
            self.drain(&mut Vec::new())?;
            self.drain_trace(&mut Trace::default());
            self.send(window)?;
            let mut observed = self.observe(Origin::Wire(0))?;
            if let [probe] = window {
                let mut trace = Trace::default();
                self.drain_trace(&mut trace);
                self.add_arp(probe, &trace, &mut observed.seen);
            }
            for probe in window {
                let mut control = Control {
                    observed: Observed {
                        barrier: observed.barrier,
                        seen: sightings_of(probe, &observed.seen),
                    },
                    kernel: None,
                };
                if control.observed.seen.is_empty() {
                    // Alone, so that the counters speak of this probe only.
                    self.counters = self.read_counters()?;
                    self.send(&[*probe])?;
                    let again = self.observe(probe.from)?;
                    control.observed.barrier &= again.barrier;
                    control.observed.seen = sightings_of(probe, &again.seen);
                    control.kernel = Some(self.ask_kernel(probe)?);
                }
                controls.push(control);
            }
        }
        Ok(controls)
    }

    fn drain_trace(&self, trace: &mut Trace) {
        if let Some(socket) = &self.senses.trace {
            socket.drain(trace);
        }
    }

    /// Adds where an ARP probe was seen inside.
    fn add_arp(&self, probe: &Probe, trace: &Trace, seen: &mut Vec<Sighting>) {
        if probe.packet.is_arp() && self.blind != Some(Blind::CaptureDeaf) {
            seen.extend(behind_arp_hook(trace));
        }
    }

    /// Sends probes in order; the error is that of the last one that could not be sent by the
    /// firewall itself.
    fn send(&mut self, probes: &[&Probe]) -> Result<Option<SendError>, Broken> {
        let mut error = None;
        if self.blind == Some(Blind::ProbesNeverEnter) {
            return Ok(error);
        }
        for run in probes.chunk_by(|one, other| one.from == other.from) {
            match run[0].from {
                Origin::Wire(interface) => {
                    let (Some(link), Some(wire)) =
                        (self.lab.links.get(interface), self.wire(interface))
                    else {
                        return Err(Broken::new("read the plan", "a probe from no interface"));
                    };
                    let frames: Vec<_> = run
                        .iter()
                        .flat_map(|probe| {
                            let pieces = pieces(&probe.packet).into_iter();
                            pieces.map(|piece| frame_to_firewall(link, &probe.packet, &piece))
                        })
                        .collect();
                    wire.send(&frames)
                        .doing(|| format!("send on the wire of {}", link.name))?;
                }
                Origin::Firewall => {
                    for probe in run {
                        let sent =
                            self.output(probe.user.as_deref(), probe.mark)
                                .and_then(|output| {
                                    pieces(&probe.packet).iter().try_for_each(|piece| {
                                        output.send(piece, probe.packet.destination)
                                    })
                                });
                        if let Err(failed) = sent {
                            error = Some(SendError {
                                code: failed.raw_os_error().unwrap_or_default(),
                                text: failed.to_string(),
                            });
                        }
                    }
                }
            }
        }
        Ok(error)
    }

    /// The socket that sends a probe of the firewall itself.
    fn output(&mut self, user: Option<&str>, mark: u32) -> io::Result<&OutputSocket> {
        match self.outputs.entry((user.map(str::to_owned), mark)) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(vacant) => {
                let open = || Ok(OutputSocket::open(user, mark));
                let opened = self.lab.firewall.run(self.world, open);
                Ok(vacant.insert(opened.map_err(io::Error::other)??))
            }
        }
    }

    /// Waits for the barrier behind what was sent, then takes everything that arrived.
    fn observe(&mut self, from: Origin) -> Result<Observed, Broken> {
        let interface = match from {
            Origin::Wire(interface) => interface,
            // All interfaces share the CPU's one queue.
            Origin::Firewall => 0,
        };
        let mut observed = Observed {
            barrier: true,
            seen: Vec::new(),
        };
        for _ in 0..BARRIER_ROUNDS {
            if !self.barrier(interface, &mut observed.seen)? {
                observed.barrier = false;
                break;
            }
        }
        self.drain(&mut observed.seen)?;
        if self.blind == Some(Blind::CaptureDeaf) {
            observed.seen.clear();
        }
        Ok(observed)
    }

    /// Sends a barrier through a link and back; false if it was lost.
    fn barrier(&mut self, interface: usize, seen: &mut Vec<Sighting>) -> Result<bool, Broken> {
        let lab = self.lab;
        let device = lab.links.get(interface).map(|link| link.device);
        let (Some(link), Some(far), Some(near)) = (
            device.and_then(|device| lab.links.get(device)),
            device.and_then(|device| self.wires.get(&device)),
            device.and_then(|device| self.barriers.get(device)),
        ) else {
            return Err(Broken::new("read the plan", "a probe from no interface"));
        };
        if self.blind == Some(Blind::BarrierLost) {
            return Ok(false);
        }
        self.barrier_number += 1;
        let number = self.barrier_number.to_be_bytes();
        let (inbox, witness) = (&mut self.inbox, &mut self.witness);
        let inbound = Crossing {
            from: far,
            to: near,
            frame: frame(link.firewall_mac, link.far_mac, ETHERTYPE_BARRIER, &number),
            number,
        };
        if !inbound.cross(inbox, witness, &mut |_, _| {})? {
            return Ok(false);
        }
        let outbound = Crossing {
            from: near,
            to: far,
            frame: frame(link.far_mac, link.firewall_mac, ETHERTYPE_BARRIER, &number),
            number,
        };
        outbound.cross(inbox, witness, &mut |tags, packet| {
            seen.extend(on_wire(lab, link.device, tags, packet));
        })
    }

    /// Takes everything that has arrived anywhere.
    fn drain(&mut self, seen: &mut Vec<Sighting>) -> Result<(), Broken> {
        let inbox = &mut self.inbox;
        let lab = self.lab;
        for (device, wire) in &self.wires {
            let mut keep =
                |tags: &[VlanTag], packet| seen.extend(on_wire(lab, *device, tags, packet));
            until_empty("read from the wire", || {
                wire.receive(inbox, &mut keep, |_| {})
            })?;
        }
        for input in &self.inputs {
            let mut keep = |packet| seen.push(sighting(Place::Input, packet));
            until_empty("read behind the input hook", || {
                input.receive(inbox, &mut keep)
            })?;
        }
        Ok(())
    }

    /// The socket on the far end of an interface, or of the device that it is a VLAN of.
    fn wire(&self, interface: usize) -> Option<&PacketSocket> {
        self.wires.get(&self.lab.links.get(interface)?.device)
    }

    fn ask_kernel(&mut self, probe: &Probe) -> Result<KernelAnswer, Broken> {
        let now = self.read_counters()?;
        let counters = now.since(&self.counters);
        self.counters = now;
        let iif = match probe.from {
            Origin::Wire(interface) => self
                .lab
                .links
                .get(interface)
                .map(|link| link.firewall_index),
            Origin::Firewall => None,
        };
        let route = self.routes.route_of(&probe.packet, iif)?;
        Ok(KernelAnswer { route, counters })
    }

    fn read_counters(&mut self) -> Result<Counters, Broken> {
        let (lab, routes) = (self.lab, &mut self.routes);
        lab.firewall.run(self.world, || counters(lab, routes))
    }
}

/// A barrier on its way from one end of a link to the other.
struct Crossing<'a> {
    from: &'a PacketSocket,
    to: &'a PacketSocket,
    frame: Vec<u8>,
    number: [u8; 8],
}

impl Crossing<'_> {
    /// Sends the barrier until it arrives; false if every one is lost. `packet` gets what arrives before it.
    fn cross(
        self,
        inbox: &mut Inbox,
        witness: &mut Option<Witness>,
        packet: &mut impl FnMut(&[VlanTag], Vec<u8>),
    ) -> Result<bool, Broken> {
        let mut arrives_within = |inbox: &mut Inbox, delay| {
            let deadline = Instant::now() + delay;
            await_barrier(self.to, inbox, self.number, deadline, packet)
        };
        let frames = [self.frame];
        let mut delay = BARRIER_DELAY;
        for _ in 0..BARRIER_ATTEMPTS {
            self.from.send(&frames).doing(|| "send a barrier")?;
            if arrives_within(inbox, delay)? {
                return Ok(true);
            }
            let witness = match witness {
                Some(witness) => witness,
                None => witness.insert(Witness::open()?),
            };
            witness.await_turn(inbox)?;
            if arrives_within(inbox, Duration::ZERO)? {
                return Ok(true);
            }
            delay *= 2;
        }
        Ok(false)
    }
}

/// Tells when the kernel has come to everything that this thread sent before: a frame to the loopback interface of
/// the prober's own namespace waits in the same queue of the CPU (`enqueue_to_backlog` in net/core/dev.c), and no
/// candidate is there to drop it.
struct Witness {
    socket: PacketSocket,
    number: u64,
}

impl Witness {
    /// In the current namespace.
    fn open() -> Result<Self, Broken> {
        RouteSocket::open()?.set_up(LOOPBACK_INDEX)?;
        Ok(Self {
            socket: PacketSocket::barrier(LOOPBACK_INDEX)?,
            number: 0,
        })
    }

    /// Waits for the kernel, however long it takes.
    fn await_turn(&mut self, inbox: &mut Inbox) -> Result<(), Broken> {
        self.number += 1;
        let number = self.number.to_be_bytes();
        let frames = [frame([0; 6], [0; 6], ETHERTYPE_BARRIER, &number)];
        loop {
            self.socket.send(&frames).doing(|| "send a witness")?;
            let again = Instant::now() + WITNESS_AGAIN;
            if await_barrier(&self.socket, inbox, number, again, &mut |_, _| {})? {
                return Ok(());
            }
        }
    }
}

/// What the kernel counts in the firewall's namespace, which is the current one.
fn counters(lab: &Lab, routes: &mut RouteSocket) -> Result<Counters, Broken> {
    let mut counters = Counters::read()?;
    for link in &lab.links {
        let link = routes.link_counters(link.firewall_index)?;
        counters.add("LinkRxOtherHostDropped", link.rx_otherhost_dropped);
    }
    Ok(counters)
}

/// Probes that may be on their way at once: those that could be taken for others are alone.
fn windows<'p, 'q>(probes: &'p [&'q Probe]) -> impl Iterator<Item = &'p [&'q Probe]> {
    let stands_out = |probe: &Probe| probe.packet.stands_out();
    probes
        .chunk_by(move |one, other| stands_out(one) && stands_out(other))
        .flat_map(|run| run.chunks(CONTROL_WINDOW))
}

/// Reads from a socket until nothing is left.
fn until_empty(doing: &str, mut read: impl FnMut() -> io::Result<usize>) -> Result<(), Broken> {
    for _ in 0..MAX_READS {
        if read().doing(|| doing)? == 0 {
            return Ok(());
        }
    }
    Err(Broken::new(doing, "something floods the lab"))
}

/// Reads from a socket until the barrier with this number comes; false if it does not.
fn await_barrier(
    socket: &PacketSocket,
    inbox: &mut Inbox,
    number: [u8; 8],
    deadline: Instant,
    packet: &mut impl FnMut(&[VlanTag], Vec<u8>),
) -> Result<bool, Broken> {
    let mut arrived = false;
    let mut reads = 0;
    loop {
        let count = socket
            .receive(inbox, &mut *packet, |payload| {
                arrived |= payload.starts_with(&number)
            })
            .doing(|| "wait for a barrier")?;
        if arrived {
            return Ok(true);
        }
        reads += 1;
        // In a flood there is always more to read.
        if count > 0 && reads < MAX_READS {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || count > 0 {
            return Ok(false);
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(
            &mut fds,
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
        ) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Broken::new("wait for a barrier", io::Error::from(errno))),
        }
    }
}

/// Whether the probe was seen nowhere although no rule dropped it: then the kernel may know more.
fn vanished(probe: &Probe, evidence: &Evidence) -> bool {
    evidence.send_error.is_none()
        && !evidence
            .observed
            .seen
            .iter()
            .any(|sighting| is_itself(probe, sighting))
        && !dropped(probe, &evidence.trace)
}

/// Whether a chain dropped the probe. What the firewall itself happened to send beside it, a report of its
/// multicast groups (RFC 3810) say, is traced too, and may be dropped.
fn dropped(probe: &Probe, trace: &Trace) -> bool {
    let somebody_elses = |id: u32| {
        let same = trace.events.iter().filter(|event| event.id == id);
        let mut packets = same.filter_map(|event| event.packet.as_ref()).peekable();
        packets.peek().is_some()
            && packets.all(|it| relate_traced(&probe.packet, &it.0) == Relation::Unrelated)
    };
    let mut events = trace.events.iter();
    events.any(|event| event.verdict == TraceVerdict::Drop && !somebody_elses(event.id))
}

/// A packet on the wire of a device: on that of its VLAN, if it has the tags of one. What has tags that no
/// interface has is on none.
fn on_wire(lab: &Lab, device: usize, tags: &[VlanTag], packet: Vec<u8>) -> Option<Sighting> {
    let same = |link: &Link| {
        let ids = |tag: &VlanTag| (tag.id, tag.service);
        link.device == device && link.tags.iter().map(ids).eq(tags.iter().map(ids))
    };
    let interface = lab.links.iter().position(same)?;
    Some(sighting(Place::Wire(interface), packet))
}

fn sighting(place: Place, packet: Vec<u8>) -> Sighting {
    Sighting {
        place,
        packet: Bytes(packet),
    }
}

/// Where the probe itself was seen.
fn sightings_of(probe: &Probe, seen: &[Sighting]) -> Vec<Sighting> {
    seen.iter()
        .filter(|sighting| is_itself(probe, sighting))
        .cloned()
        .collect()
}

fn is_itself(probe: &Probe, sighting: &Sighting) -> bool {
    relate_bytes(&probe.packet, &sighting.packet.0) == Relation::Itself
}

/// The ARP messages that the trace shows behind every other chain: what a raw socket is for IP packets.
fn behind_arp_hook(trace: &Trace) -> impl Iterator<Item = Sighting> {
    let ours = |event: &&TraceEvent| event.family == "arp" && event.table == TRACE_TABLE;
    let events = trace.events.iter().filter(ours);
    let packets = events.filter_map(|event| event.packet.as_ref());
    packets.map(|packet| sighting(Place::Input, packet.0.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded where forwarding was off: the kernel dropped the probe, and the firewall's own report of
    /// its multicast groups met a policy meanwhile.
    #[test]
    fn what_a_chain_drops_beside_a_probe_is_not_the_probe() {
        let probe: Probe = serde_json::from_str(
            r#"{"id": 0, "from": {"wire": 0}, "packet": {"source": "198.51.100.7",
                "destination": "10.0.0.5", "ttl": 64, "cookie": 4244635649,
                "transport": {"tcp": {"sport": 32768, "dport": 80, "flags": 2}}}}"#,
        )
        .expect("a probe");
        let event = |id: u32, verdict: &str, packet: &str| -> TraceEvent {
            serde_json::from_str(&format!(
                r#"{{"id": {id}, "family": "inet", "table": "t", "chain": "output",
                    "kind": "policy", "verdict": "{verdict}", "packet": "hex:{packet}"}}"#
            ))
            .expect("an event")
        };
        let itself =
            "4500002c000140004006068cc63364070a00000580000050fd000001000000006002faf0ec930000";
        let report = "6000000000380001fe8000000000000000fd00fffe010000ff02000000000000000000000000\
                      00168f006eef0000000204000000ff02000000000000";
        let with = |second: &TraceEvent| {
            let events = vec![event(1, "accept", itself), second.clone()];
            let lost = false;
            dropped(&probe, &Trace { lost, events })
        };
        assert!(!with(&event(2, "drop", report)));
        assert!(!with(&event(2, "accept", itself)));
        assert!(with(&event(2, "drop", itself)));
        // Nobody knows whose packet that was: then it may have been the probe.
        let unknown = TraceEvent {
            packet: None,
            ..event(2, "drop", report)
        };
        assert!(with(&unknown));
        let known = TraceEvent {
            packet: None,
            ..event(1, "drop", itself)
        };
        assert!(with(&known));
    }
}
