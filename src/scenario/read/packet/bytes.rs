//! `hex:` and `pcap:`: whole packets as they are.

use firedrill_harness::{
    packet::{Fragment, Seen, Transport},
    protocol::Bytes,
};

use crate::scenario::{
    Family, PacketSpec,
    format::Shape,
    read::{
        Reader,
        address::family_of,
        fields::Value,
        keys::{keys, line, number},
        packet::{capture, draft::PacketDraft},
    },
    text::{source::Span, tree::Word},
};

keys! {
    /// A packet of a capture file.
    PCAP = "pcap", "the capture", struct PcapKeys<'n> {
        /// The capture, a pcap or pcapng file, relative to this file.
        file: Word<'n> = Shape::Text => line("the path of a capture"), required;
        /// Which packet of it, counted from 1; the first when not given.
        packet: u32 = Shape::Number(1, u32::MAX) => number;
    }
}

/// Longest beginning of a packet that the name of a case repeats, in bytes.
const LONGEST_NAME: usize = 20;

impl Reader<'_> {
    pub(super) fn hex_packet(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let word = self.text(value, "hexadecimal digits")?;
        let bytes = self.hex(word.text, word.span)?;
        let told = firedrill_harness::protocol::hex(&bytes[..bytes.len().min(LONGEST_NAME)]);
        let more = if bytes.len() > LONGEST_NAME {
            "…"
        } else {
            ""
        };
        self.whole(bytes, format!("hex {told}{more}"), value.at, word.span)
    }

    pub(super) fn captured(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let keys = PcapKeys::read(self, value)?;
        let word = keys.finish(keys.file?)?;
        let number = keys.packet.unwrap_or(1);
        let path = self.path(word);
        match capture::packet(&path, number) {
            Ok(bytes) => {
                let text = format!("packet {number} of {}", word.text);
                self.whole(bytes, text, value.at, word.span)
            }
            Err(why) => {
                let message = format!("the capture {word} {why}");
                self.problem(word.span, message);
                None
            }
        }
    }

    /// A probe of bytes that begin with an IP header.
    fn whole(
        &mut self,
        bytes: Vec<u8>,
        text: String,
        at: Span,
        shown: Span,
    ) -> Option<PacketDraft> {
        let Some(seen) = Seen::parse(&bytes) else {
            self.problem(shown, "these bytes do not begin with an IP header")
                .help("a packet begins with the 20 bytes of IPv4 or the 40 bytes of IPv6");
            return None;
        };
        let mut packet = PacketSpec::new(Transport::Bytes(Bytes(bytes.clone())));
        packet.source = Some(seen.source);
        packet.destination = Some(seen.destination);
        packet.ttl = Some(seen.ttl);
        packet.ip.fragment = seen.fragment.map(|part| Fragment {
            offset: (part.offset / 8) as u16,
            more: part.more,
            id: None,
        });
        let family = family_of(seen.source);
        if family == Family::Ipv4 {
            let length = usize::from(bytes[0] & 0x0f) * 4;
            packet.ip.options = Bytes(bytes.get(20..length).unwrap_or_default().to_vec());
        }
        let mut probe = PacketDraft::new(text, at, packet);
        probe.only = Some((family, at));
        Some(probe)
    }
}
