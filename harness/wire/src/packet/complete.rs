//! Whether all of a probe was seen.

use std::collections::BTreeSet;

use super::{Packet, Seen, SeenFragment, pieces};

/// Whether these sightings of the probe at one place are all of it: the whole packet, put together or not,
/// or else every fragment that was sent.
#[must_use]
pub fn is_complete(probe: &Packet, sightings: &[Seen<'_>]) -> bool {
    let Some(cut) = &probe.cut.pieces else {
        return !sightings.is_empty();
    };
    let parts: Option<Vec<(SeenFragment, usize)>> = sightings
        .iter()
        .map(|seen| Some((seen.fragment?, seen.payload.len())))
        .collect();
    // One that is no fragment has been put together.
    let Some(parts) = parts else {
        return true;
    };
    let place = |part: &SeenFragment| (part.offset, part.more);
    let arrived: BTreeSet<_> = parts.iter().map(|(part, _)| place(part)).collect();
    let sent = pieces(probe);
    let every = sent.iter().all(|piece| {
        let part = Seen::parse(piece).and_then(|seen| seen.fragment);
        part.is_some_and(|part| arrived.contains(&place(&part)))
    });
    // Of overlapping ones a part could be missing and leave no gap.
    every || (cut.overlap == 0 && covers_all(parts))
}

/// Whether fragments follow each other without a gap, from the start to the last one.
fn covers_all(mut parts: Vec<(SeenFragment, usize)>) -> bool {
    parts.sort_by_key(|(part, _)| part.offset);
    let mut end = 0;
    for (part, length) in parts {
        if part.offset > end {
            return false;
        }
        end = end.max(part.offset + length);
        if !part.more {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::{
        craft,
        fragments::tests::{pieces_of, probe},
    };

    proptest! {
        #[test]
        fn a_packet_is_complete_when_no_fragment_is_missing(
            v6 in any::<bool>(),
            payload in 64_u16..200,
            missing in 0_usize..4,
        ) {
            let cut = probe(v6, payload, pieces_of(16));
            let sent = pieces(&cut);
            let seen: Vec<Seen<'_>> = sent.iter().map(|piece| Seen::parse(piece).unwrap()).collect();
            prop_assert!(is_complete(&cut, &seen));
            let mut part = seen.clone();
            part.remove(missing);
            prop_assert!(!is_complete(&cut, &part));
            let whole = craft(&probe(v6, payload, None));
            prop_assert!(is_complete(&cut, &[Seen::parse(&whole).unwrap()]));
        }
    }
}
