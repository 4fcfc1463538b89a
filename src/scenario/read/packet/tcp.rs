//! `tcp:`.

use firedrill_harness::{
    packet::{Tcp, Transport},
    protocol::Bytes,
};

use crate::scenario::{
    TcpFlags,
    format::{BYTE, PORT, Shape, U16, U32, words},
    read::{
        Reader,
        fields::Value,
        keys::{Header as _, boolean, by, bytes, checksum, header, keys, number, payload},
        packet::{
            draft::{PacketDraft, SYN},
            value::{CHECKSUM, PAYLOAD},
        },
    },
    text::tree::Kind,
};

/// The longest that TCP options can be, in bytes (RFC 9293 section 3.1).
const LONGEST_OPTIONS: usize = 40;

header! {
    /// A TCP header.
    TCP = "tcp", "the TCP header", Tcp {
        /// The destination port.
        dport = PORT => number, required;
        /// The source port; a free one when not given.
        sport = PORT => number;
        /// The control bits that are set, `[syn]` when not given; `none` for none.
        flags [SYN.0] = Shape::AnyOf(&[Shape::Word(flags_or_none), Shape::List(&Shape::Word(words::tcp_flags))]) => by(Reader::flags);
        /// The sequence number.
        seq = U32 => number;
        /// The acknowledgment number.
        ack = U32 => number;
        /// The size of the window.
        window = U16 => number;
        /// The urgent pointer.
        urgent = U16 => number;
        /// The reserved bits.
        reserved = Shape::Number(0, 15) => number;
        /// The data offset in words of four bytes, if not the true one.
        offset = Shape::Number(0, 15) => number;
        /// The options; a maximum segment size in a SYN when not given.
        options = Shape::Object(&TCP_OPTIONS) => by(Reader::tcp_options);
        /// The checksum, if not the true one: a number, or `bad`.
        checksum = CHECKSUM => checksum;
        /// The data: a text, `hex:` and digits, or `{ size: BYTES }`; none when not given.
        payload = PAYLOAD => payload;
    }
}

keys! {
    /// TCP options, in this order.
    TCP_OPTIONS = "tcp-options", "the list of TCP options", struct TcpOptionsKeys<'n> {
        /// Maximum segment size.
        mss: u16 = U16 => number;
        /// Window scale.
        window_scale "window-scale": u8 = BYTE => number;
        /// Selective acknowledgment is permitted.
        sack_permitted "sack-permitted": bool = Shape::Bool => boolean;
        /// Selective acknowledgments: a list of pairs `[LEFT, RIGHT]`.
        sack: Vec<Vec<u8>> = Shape::List(&Shape::List(&U32)) => by(Reader::pairs);
        /// Timestamps: `[VALUE, ECHO]`.
        timestamps: Vec<u8> = Shape::List(&U32) => by(Reader::two_numbers);
        /// A fast open cookie: a text, or `hex:` and digits; empty to ask for one.
        fast_open "fast-open": Bytes = Shape::Text => bytes;
        /// Any other options as bytes: `hex:` and digits.
        raw_bytes "raw": Bytes = Shape::Text => bytes;
    }
}

fn flags_or_none() -> Vec<&'static str> {
    let mut words = words::tcp_flags();
    words.push("none");
    words
}

impl Reader<'_> {
    pub(super) fn tcp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let (header, fields) = Tcp::read(self, value)?;
        let mut text = format!("tcp/{}", header.dport);
        if fields.get("sport").is_some() {
            text += &format!(" sport {}", header.sport);
        }
        if header.flags != SYN.0 {
            text += &format!(" flags {}", words::tcp_flags_text(TcpFlags(header.flags)));
        }
        text += &fields.text_but(&["dport", "sport", "flags"]);
        PacketDraft::of(text, value, &fields, Transport::Tcp(header))
    }

    fn tcp_options(&mut self, value: Value<'_>) -> Option<Bytes> {
        /// Kinds (IANA "TCP Option Kind Numbers").
        mod kind {
            pub const MSS: u8 = 2;
            pub const WINDOW_SCALE: u8 = 3;
            pub const SACK_PERMITTED: u8 = 4;
            pub const SACK: u8 = 5;
            pub const TIMESTAMPS: u8 = 8;
            pub const FAST_OPEN: u8 = 34;
        }
        let keys = TcpOptionsKeys::read(self, value)?;
        let mut options = Vec::new();
        let mut add = |kind: u8, data: &[u8]| {
            options.extend([kind, (data.len() + 2) as u8]);
            options.extend_from_slice(data);
        };
        if let Some(mss) = keys.mss {
            add(kind::MSS, &mss.to_be_bytes());
        }
        if let Some(shift) = keys.window_scale {
            add(kind::WINDOW_SCALE, &[shift]);
        }
        if keys.sack_permitted == Some(true) {
            add(kind::SACK_PERMITTED, &[]);
        }
        if let Some(pairs) = &keys.sack {
            add(kind::SACK, &pairs.concat());
        }
        if let Some(pair) = &keys.timestamps {
            add(kind::TIMESTAMPS, pair);
        }
        if let Some(cookie) = &keys.fast_open {
            add(kind::FAST_OPEN, &cookie.0);
        }
        options.extend(keys.raw_bytes.iter().flat_map(|raw| &raw.0));
        if options.len() > LONGEST_OPTIONS {
            let message = format!(
                "these options have {} bytes, and TCP has room for {LONGEST_OPTIONS}",
                options.len()
            );
            self.problem(keys.at, message);
            return None;
        }
        keys.finish(Bytes(options))
    }

    /// A list of pairs of numbers.
    fn pairs(&mut self, value: Value<'_>) -> Option<Vec<Vec<u8>>> {
        let items = self.one_or_more(value, "a list of pairs");
        items
            .into_iter()
            .map(|item| self.two_numbers(item))
            .collect()
    }

    /// A list of two numbers of 32 bits.
    fn two_numbers(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        let items = match &value.node.kind {
            Kind::List(items) if items.len() == 2 => items,
            _ => {
                self.problem(value.span(), "expected a list of two numbers");
                return None;
            }
        };
        let mut bytes = Vec::new();
        for item in items {
            let word = self.line(Value::item(item), "a number")?;
            let number = self.number_between(word, "a number", 0, u32::MAX)?;
            bytes.extend(number.to_be_bytes());
        }
        Some(bytes)
    }

    fn flags(&mut self, value: Value<'_>) -> Option<u8> {
        let single = matches!(value.node.kind, Kind::Scalar(_));
        let empty = matches!(&value.node.kind, Kind::List(items) if items.is_empty());
        if empty {
            return Some(0);
        }
        let mut bits = 0;
        let mut sound = true;
        let items = self.one_or_more(value, "a list of TCP flags");
        sound &= !items.is_empty();
        for item in items {
            let Some(word) = self.line(item, "a TCP flag") else {
                sound = false;
                continue;
            };
            match words::tcp_flag(word.text) {
                Some(bit) if bits & bit != 0 => {
                    self.problem(word.span, format!("the flag {word} is listed twice"));
                    sound = false;
                }
                Some(bit) => bits |= bit,
                None if word.text == "none" && single => {}
                None => {
                    let help = unknown_flag_help(word.text);
                    self.no_such(word, "TCP flag", help);
                    sound = false;
                }
            }
        }
        sound.then_some(bits)
    }
}

fn unknown_flag_help(word: &str) -> Option<String> {
    let parts: Vec<&str> = word
        .split([',', '-', '|', '+', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > 1 && parts.iter().all(|part| words::tcp_flag(part).is_some()) {
        return Some(format!("write a list: `[{}]`", parts.join(", ")));
    }
    if word == "none" {
        return Some("for a segment without flags write `flags: none`".to_owned());
    }
    words::suggest(word, words::tcp_flags())
}
