//! Cutting a packet into fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

use super::{
    Fragment, Packet, Pieces,
    ip::{self, Body},
};

/// Offsets are counted in units of this many bytes.
const UNIT: usize = 8;

/// The fragments of a packet that are sent, in the order of sending.
pub(super) fn cut(packet: &Packet, body: &Body, pieces: &Pieces) -> Vec<Vec<u8>> {
    let size = usize::from(pieces.size).next_multiple_of(UNIT).max(UNIT);
    let overlap = usize::from(pieces.overlap).min(size - UNIT) / UNIT * UNIT;
    let id = packet.ip.fragment.as_ref().and_then(|claim| claim.id);
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
        all.push(ip::assemble(packet, &part, Some(&fragment)));
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
