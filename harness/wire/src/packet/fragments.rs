//! Cutting a packet into fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

use super::{
    Fragment, Pieces,
    ip::{self, Body, IpHeader},
};

/// Offsets are counted in units of this many bytes.
const UNIT: usize = 8;

/// The fragments of a packet that are sent, in the order of sending.
pub(super) fn cut(header: &IpHeader<'_>, body: &Body, pieces: &Pieces) -> Vec<Vec<u8>> {
    let size = usize::from(pieces.size).next_multiple_of(UNIT).max(UNIT);
    let overlap = usize::from(pieces.overlap).min(size - UNIT) / UNIT * UNIT;
    let id = header.ip.fragment.as_ref().and_then(|claim| claim.id);
    let mut all = Vec::new();
    let mut start = 0;
    loop {
        let begin = start - if start > 0 { overlap } else { 0 };
        let end = (begin + size).min(body.bytes.len());
        let more = end < body.bytes.len();
        let fragment = Fragment {
            offset: (begin / UNIT) as u16,
            more,
            id,
        };
        let part = Body {
            protocol: body.protocol,
            bytes: body.bytes[begin..end].to_vec(),
        };
        all.push(ip::write(header, &part, Some(&fragment)));
        if !more {
            break;
        }
        start = end;
    }
    if pieces.send.is_empty() {
        return all;
    }
    let numbered = pieces.send.iter();
    numbered
        .filter_map(|number| all.get(usize::from(*number).checked_sub(1)?).cloned())
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;

    use etherparse::defrag::IpDefragPool;
    use proptest::prelude::*;

    use super::*;
    use crate::packet::{Packet, Payload, Transport, Udp, craft, pieces};

    /// A UDP packet with this much payload, cut or whole.
    pub(in crate::packet) fn probe(v6: bool, payload: u16, pieces: Option<Pieces>) -> Packet {
        let ends = if v6 {
            ["2001:db8:ffff::7", "2001:db8::10"]
        } else {
            ["198.51.100.7", "192.0.2.10"]
        };
        let [source, destination] = ends.map(|end| end.parse::<IpAddr>().unwrap());
        let udp = Udp {
            sport: 1,
            dport: 2,
            payload: Payload::Size(payload),
            ..Udp::default()
        };
        let mut probe = Packet::new(source, destination, 0xfd00_0001, Transport::Udp(udp));
        probe.cut.pieces = pieces;
        probe
    }

    /// Pieces of this many bytes, none left out.
    pub(in crate::packet) fn pieces_of(size: u16) -> Option<Pieces> {
        Some(Pieces {
            size,
            overlap: 0,
            send: Vec::new(),
        })
    }

    proptest! {
        /// The independent oracle is etherparse, which puts fragments together.
        #[test]
        fn fragments_put_together_are_the_packet(
            v6 in any::<bool>(),
            payload in 17_u16..600,
            words in 1_u16..40,
        ) {
            let size = words * 8;
            prop_assume!(size < payload);
            let cut = probe(v6, payload, pieces_of(size));
            let whole = craft(&probe(v6, payload, None));
            let mut pool = IpDefragPool::<(), ()>::new();
            let mut done = None;
            for piece in pieces(&cut) {
                let sliced = etherparse::SlicedPacket::from_ip(&piece).unwrap();
                done = pool.process_sliced_packet(&sliced, (), ()).unwrap();
            }
            let done = done.unwrap();
            prop_assert_eq!(&done.payload[..], &whole[if v6 { 40 } else { 20 }..]);
        }
    }
}
