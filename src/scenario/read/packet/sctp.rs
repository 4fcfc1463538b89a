//! `sctp:` and its chunks.

use firedrill_harness::packet::{Chunk, Sctp, Transport};

use crate::scenario::{
    format::{BYTE, PORT, Shape, U32, words},
    read::{
        Reader,
        fields::Value,
        keys::{Header as _, by, bytes, checksum, header, named, number},
        packet::draft::PacketDraft,
    },
    text::tree::Kind,
};

header! {
    /// An SCTP header and its chunks.
    SCTP = "sctp", "the SCTP header", Sctp {
        /// The destination port.
        dport = PORT => number, required;
        /// The source port; a free one when not given.
        sport = PORT => number;
        /// The verification tag; 0 when not given.
        tag = U32 => number;
        /// The chunks in order, by name or with what is in them; `init` when not given.
        chunks = Shape::OneOrMore(&Shape::AnyOf(&[Shape::Word(words::sctp_chunks), Shape::Object(&CHUNK)])) => by(Reader::chunks);
        /// The CRC32c, if not the true one: a number, or `bad`.
        checksum = Shape::AnyOf(&[U32, Shape::Words(&["bad"])]) => checksum;
    }
}

header! {
    /// An SCTP chunk.
    CHUNK = "sctp-chunk", "the chunk", Chunk {
        /// Its type, by name or number.
        kind "type" = Shape::AnyOf(&[BYTE, Shape::Word(words::sctp_chunks)]) => named(words::sctp_chunk, words::sctp_chunks), required;
        /// The flags of the chunk.
        flags = BYTE => number;
        /// What follows its length: a text, or `hex:` and digits.
        value = Shape::Text => bytes;
    }
}

impl Reader<'_> {
    pub(super) fn sctp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let (header, fields) = Sctp::read(self, value)?;
        let text = format!("sctp/{}{}", header.dport, fields.text_but(&["dport"]));
        PacketDraft::of(text, value, &fields, Transport::Sctp(header))
    }

    fn chunks(&mut self, value: Value<'_>) -> Option<Vec<Chunk>> {
        let items = match value.node.kind {
            Kind::Map(_) => vec![value],
            _ => self.one_or_more(value, "a chunk or a list of chunks"),
        };
        items.into_iter().map(|item| self.chunk(item)).collect()
    }

    fn chunk(&mut self, value: Value<'_>) -> Option<Chunk> {
        if let Kind::Scalar(_) = value.node.kind {
            let word = self.line(value, "a chunk")?;
            let Some(kind) = words::sctp_chunk(word.text) else {
                let help = words::suggest(word.text, words::sctp_chunks());
                self.no_such(word, "SCTP chunk", help);
                return None;
            };
            return Some(Chunk {
                kind,
                ..Chunk::default()
            });
        }
        let (chunk, fields) = Chunk::read(self, value)?;
        fields.finish(chunk)
    }
}
