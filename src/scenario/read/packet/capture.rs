//! Packets of capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

use std::{fs::File, path::Path};

use firedrill_harness::packet::Seen;
use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock as _,
};

use crate::scenario::text::files;

/// The largest capture that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// How much of a capture is held at once: more than any packet is long.
const WINDOW: usize = 1 << 20;

/// The packet with this number, counted from 1 as Wireshark does, from its IP header on. The error completes
/// the sentence "the capture …".
pub(crate) fn packet(path: &Path, number: u32) -> Result<Vec<u8>, String> {
    files::check_file(path)?;
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > MAX_BYTES {
        return Err(format!("is bigger than {} MiB", MAX_BYTES >> 20));
    }
    let not_a_capture = || "is no pcap and no pcapng file".to_owned();
    let mut reader = create_reader(WINDOW, file).map_err(|_| not_a_capture())?;
    let mut links: Vec<Linktype> = Vec::new();
    let mut seen = 0;
    let mut refilled = false;
    loop {
        let (used, frame) = match reader.next() {
            Ok((used, block)) => (used, frame(&block, &mut links)),
            Err(PcapError::Incomplete(_)) if !refilled => {
                reader.refill().map_err(|_| not_a_capture())?;
                refilled = true;
                continue;
            }
            Err(PcapError::Eof) => break,
            Err(_) => return Err(format!("is damaged behind packet {seen}")),
        };
        refilled = false;
        if let Some((link, bytes)) = frame {
            seen += 1;
            if seen == number {
                return network(link, &bytes)
                    .ok_or_else(|| format!("has no IP packet as packet {number}"));
            }
        }
        reader.consume(used);
    }
    Err(match seen {
        0 => "has no packet".to_owned(),
        1 => "has one packet only".to_owned(),
        some => format!("has {some} packets only"),
    })
}

/// The frame of a block that is a packet, and what kind of link it is of; remembers the kinds of links.
fn frame(block: &PcapBlockOwned<'_>, links: &mut Vec<Linktype>) -> Option<(Linktype, Vec<u8>)> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            links.push(header.network);
            None
        }
        PcapBlockOwned::Legacy(packet) => Some((*links.first()?, packet.data.to_vec())),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            links.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.push(interface.linktype);
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let link = links.get(usize::try_from(packet.if_id).ok()?);
            Some((*link?, packet.packet_data().to_vec()))
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            Some((*links.first()?, packet.packet_data().to_vec()))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

/// The IP packet in a frame (tcpdump.org, "Link-layer header types"), without the padding of the frame.
fn network(link: Linktype, frame: &[u8]) -> Option<Vec<u8>> {
    const VLAN: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
    const SLL2: Linktype = Linktype(276);
    let packet = match link {
        Linktype::ETHERNET => {
            let mut at = 12;
            while VLAN.iter().any(|tag| frame.get(at..at + 2) == Some(tag)) {
                at += 4;
            }
            frame.get(at + 2..)?
        }
        // Four bytes of address family.
        Linktype::NULL | Linktype::LOOP => frame.get(4..)?,
        Linktype::LINUX_SLL => frame.get(16..)?,
        SLL2 => frame.get(20..)?,
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => frame,
        _ => return None,
    };
    Seen::parse(packet)?;
    let told = match packet.first()? >> 4 {
        4 => usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?])),
        _ => 40 + usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?])),
    };
    // A length that cannot be true is part of the packet.
    let end = if told < 20 {
        packet.len()
    } else {
        told.min(packet.len())
    };
    Some(packet[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rstest::rstest;

    use super::*;

    /// IPv4, UDP from port 1 to port 2, four bytes.
    const PACKET: [u8; 32] = [
        0x45, 0, 0, 32, 0, 7, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1, 0, 1, 0, 2, 0, 12,
        0, 0, 1, 2, 3, 4,
    ];

    fn ethernet(packet: &[u8], tag: &[u8]) -> Vec<u8> {
        [&[2; 12][..], tag, &[0x08, 0x00], packet].concat()
    }

    fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(65_535_u32.to_le_bytes());
        file.extend(link.to_le_bytes());
        for frame in frames {
            file.extend([0; 8]);
            for _ in 0..2 {
                file.extend((frame.len() as u32).to_le_bytes());
            }
            file.extend(frame);
        }
        file
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut padded = body.to_vec();
        padded.resize(body.len().next_multiple_of(4), 0);
        let length = (padded.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &padded, &length].concat()
    }

    fn pcapng(link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
        let section = [
            &0x1a2b_3c4d_u32.to_le_bytes()[..],
            &[1, 0, 0, 0],
            &[0xff; 8],
        ]
        .concat();
        let interface = [&link.to_le_bytes()[..], &[0; 2], &65_535_u32.to_le_bytes()].concat();
        let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
        for frame in frames {
            let length = (frame.len() as u32).to_le_bytes();
            let head = [&[0; 12][..], &length, &length].concat();
            file.extend(block(6, &[head, frame.clone()].concat()));
        }
        file
    }

    fn read(file: &[u8], number: u32) -> Result<Vec<u8>, String> {
        let mut held = tempfile::NamedTempFile::new().unwrap();
        held.write_all(file).unwrap();
        packet(held.path(), number)
    }

    #[rstest]
    #[case::pcap(pcap(1, &[ethernet(&[0; 40], &[]), ethernet(&PACKET, &[])]))]
    #[case::pcapng(pcapng(1, &[ethernet(&[0; 40], &[]), ethernet(&PACKET, &[])]))]
    #[case::a_tag(pcap(1, &[vec![], ethernet(&PACKET, &[0x81, 0, 0, 5])]))]
    #[case::padding(pcap(1, &[vec![], ethernet(&[&PACKET[..], &[0; 14]].concat(), &[])]))]
    #[case::raw(pcap(101, &[vec![], PACKET.to_vec()]))]
    #[case::raw_pcapng(pcapng(101, &[vec![0], PACKET.to_vec()]))]
    #[case::any_interface(pcap(113, &[vec![], [&[0; 16][..], &PACKET].concat()]))]
    fn a_packet_is_found_by_its_number(#[case] file: Vec<u8>) {
        assert_eq!(read(&file, 2).unwrap(), PACKET);
    }

    #[rstest]
    #[case::nothing(vec![], 1, "is no pcap and no pcapng file")]
    #[case::text(b"hello".to_vec(), 1, "is no pcap and no pcapng file")]
    #[case::empty(pcap(1, &[]), 1, "has no packet")]
    #[case::short(pcap(1, &[ethernet(&PACKET, &[])]), 2, "has one packet only")]
    #[case::no_ip(pcap(1, &[ethernet(&[0; 40], &[])]), 1, "has no IP packet as packet 1")]
    #[case::damaged(pcap(1, &[ethernet(&PACKET, &[])])[..50].to_vec(), 1, "is damaged behind packet 0")]
    fn what_is_no_packet_is_told(#[case] file: Vec<u8>, #[case] number: u32, #[case] why: &str) {
        assert_eq!(read(&file, number).unwrap_err(), why);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_files_never_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            kind in 0..3_u8,
        ) {
            let file = match kind {
                0 => bytes,
                1 => [&pcap(1, &[])[..], &bytes].concat(),
                _ => [&pcapng(1, &[])[..], &bytes].concat(),
            };
            let _ = read(&file, 1);
        }
    }
}
