//! What a packet owes to those that came before it in its connection: its ends, and the sequence
//! numbers of TCP.

use serde::{Deserialize, Serialize};

use super::{Icmp, Packet, Payload, Seen, Transport, is_icmp_error, tcp_flag};
use crate::bytes::Bytes;

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// As its first packet.
    Original,
    /// From where the first packet arrived, as what it arrived as.
    Reply,
}

/// How far both directions of a connection have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// The next sequence number of each direction (RFC 9293 section 3.3.1, `SND.NXT`), original first.
    next: [Option<u32>; 2],
    /// The next sequence number that the receiver of each direction waits for (`RCV.NXT`).
    awaited: [Option<u32>; 2],
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::Original => 0,
        Direction::Reply => 1,
    }
}

impl Turn {
    /// Learns from a packet that was sent, and from how it arrived if it did.
    pub fn note(&mut self, packet: &Packet, arrived: Option<&Seen<'_>>, direction: Direction) {
        let Transport::Tcp(tcp) = &packet.transport else {
            return;
        };
        let length = match &tcp.payload {
            Payload::Usual => 0,
            Payload::Is(bytes) => bytes.0.len() as u32,
            Payload::Size(size) => u32::from(*size),
        };
        let seq = tcp.seq.unwrap_or(packet.cookie);
        self.next[index(direction)] = Some(sequence_end(seq, tcp.flags, length));
        if let Some((seq, flags, length)) = arrived.and_then(segment) {
            self.awaited[index(direction)] = Some(sequence_end(seq, flags, length));
        }
    }
}

/// The sequence number behind a segment (RFC 9293 section 3.4: SYN and FIN count as one each).
fn sequence_end(seq: u32, flags: u8, length: u32) -> u32 {
    let bit = |flag: u8| u32::from(flags & flag != 0);
    seq.wrapping_add(length)
        .wrapping_add(bit(tcp_flag::SYN))
        .wrapping_add(bit(tcp_flag::FIN))
}

/// Sequence number, control bits and length of the data of a segment.
fn segment(seen: &Seen<'_>) -> Option<(u32, u8, u32)> {
    let flags = seen.tcp_flags()?;
    let seq = u32::from_be_bytes(seen.payload.get(4..8)?.try_into().ok()?);
    let header = usize::from(seen.payload.get(12)? >> 4) * 4;
    let length = seen.payload.len().saturating_sub(header);
    Some((seq, flags, u32::try_from(length).ok()?))
}

impl Packet {
    /// Makes this packet an answer to one that arrived: the ends are swapped as they are now, whatever
    /// translated them on the way.
    pub fn answer(&mut self, arrived: &Seen<'_>) {
        self.source = arrived.destination;
        self.destination = arrived.source;
        if let Some((sport, dport)) = arrived.ports() {
            self.transport.set_ports(dport, sport);
        }
    }

    /// Whether it repeats a part of the packet that it answers: an error and an echo reply, where the
    /// scenario does not say what is in them.
    pub fn quotes(&self) -> bool {
        let v6 = self.source.is_ipv6();
        match &self.transport {
            Transport::Icmp(icmp) => {
                icmp.data.is_none() && (is_icmp_error(v6, icmp.kind) || icmp.is_echo_reply(v6))
            }
            _ => false,
        }
    }

    /// Repeats a part of a packet, as it arrived: an error its start (RFC 792, RFC 4443 section 3.1), an echo
    /// reply what it carries.
    pub fn quote(&mut self, arrived: &Bytes) {
        let Transport::Icmp(icmp) = &mut self.transport else {
            return;
        };
        if is_icmp_error(self.source.is_ipv6(), icmp.kind) {
            icmp.data = Some(arrived.clone());
            return;
        }
        let Some(asked) = Seen::parse(&arrived.0) else {
            return;
        };
        let rest = asked.payload.get(4..8);
        icmp.rest = icmp.rest.or(rest.and_then(|rest| rest.try_into().ok()));
        icmp.data = asked.payload.get(8..).map(|data| Bytes(data.to_vec()));
    }

    /// Source and destination port of a segment.
    pub fn tcp_ports(&self) -> Vec<u16> {
        match &self.transport {
            Transport::Tcp(tcp) => vec![tcp.sport, tcp.dport],
            _ => Vec::new(),
        }
    }

    /// Gives a segment the numbers that its connection has come to, where the scenario does not.
    pub fn number(&mut self, turn: &Turn, direction: Direction) {
        let Transport::Tcp(tcp) = &mut self.transport else {
            return;
        };
        let mine = index(direction);
        // A SYN begins anew.
        if tcp.flags & tcp_flag::SYN == 0 {
            tcp.seq = tcp.seq.or(turn.next[mine]);
        }
        if tcp.flags & tcp_flag::ACK != 0 {
            tcp.ack = tcp.ack.or(turn.awaited[1 - mine]);
        }
    }

    /// Makes this packet another one of its kind, the `number`th from 0.
    pub fn renew(&mut self, number: u32) {
        // The low 16 bits of a cookie are never zero.
        let (high, low) = (number / 0xffff, number % 0xffff + 1);
        self.cookie = (self.cookie & 0xffff_0000).wrapping_add((high << 16) | low);
        if let Some((_, dport)) = self.ports() {
            self.transport
                .set_ports(1024 + (number % 60_000) as u16, dport);
        }
    }
}

impl Seen<'_> {
    /// The maximum segment size that a segment announces (RFC 9293 section 3.7.1).
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        const END: u8 = 0;
        const NOTHING: u8 = 1;
        const MSS: u8 = 2;
        self.tcp_flags()?;
        let header = usize::from(self.payload.get(12)? >> 4) * 4;
        let mut options = self.payload.get(20..header)?;
        loop {
            match options {
                [END, ..] | [] => return None,
                [NOTHING, rest @ ..] => options = rest,
                [MSS, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
                [_, length, ..] => options = options.get(usize::from(*length).max(2)..)?,
                [_] => return None,
            }
        }
    }
}

impl Icmp {
    /// Echo reply (RFC 792, RFC 4443 section 4.2).
    fn is_echo_reply(&self, v6: bool) -> bool {
        self.kind == if v6 { 129 } else { 0 }
    }
}

impl Transport {
    /// Sets what the last header is followed by, if that is free.
    pub fn set_payload(&mut self, bytes: Payload) {
        match self {
            Self::Tcp(super::Tcp { payload, .. })
            | Self::Udp(super::Udp { payload, .. })
            | Self::Other { payload, .. } => *payload = bytes,
            Self::Icmp(icmp) => {
                if let Payload::Is(bytes) = bytes {
                    icmp.data = Some(bytes);
                }
            }
            _ => {}
        }
    }

    /// Swaps the ports, if there are any.
    pub fn turn(&mut self) {
        if let Some((sport, dport)) = self.ports_mut() {
            std::mem::swap(sport, dport);
        }
    }

    /// Sets the ports, if there are any.
    pub fn set_ports(&mut self, from: u16, to: u16) {
        if let Some((sport, dport)) = self.ports_mut() {
            (*sport, *dport) = (from, to);
        }
    }

    fn ports_mut(&mut self) -> Option<(&mut u16, &mut u16)> {
        match self {
            Self::Tcp(super::Tcp { sport, dport, .. })
            | Self::Udp(super::Udp { sport, dport, .. })
            | Self::UdpLite(super::UdpLite { sport, dport, .. })
            | Self::Sctp(super::Sctp { sport, dport, .. }) => Some((sport, dport)),
            _ => None,
        }
    }
}
