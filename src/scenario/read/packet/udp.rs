//! `udp:` and `udplite:`.

use firedrill_harness::packet::{Transport, Udp, UdpLite};

use crate::scenario::{
    format::{PORT, U16},
    read::{
        Reader,
        fields::Value,
        keys::{Header as _, checksum, header, number, payload},
        packet::{
            draft::PacketDraft,
            value::{CHECKSUM, PAYLOAD},
        },
    },
};

header! {
    /// A UDP header.
    UDP = "udp", "the UDP header", Udp {
        /// The destination port.
        dport = PORT => number, required;
        /// The source port; a free one when not given.
        sport = PORT => number;
        /// The length, if not the true one.
        length = U16 => number;
        /// The checksum, if not the true one: a number, or `bad`.
        checksum = CHECKSUM => checksum;
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

header! {
    /// A UDP-Lite header.
    UDP_LITE = "udplite", "the UDP-Lite header", UdpLite {
        /// The destination port.
        dport = PORT => number, required;
        /// The source port; a free one when not given.
        sport = PORT => number;
        /// How many bytes the checksum covers; all when 0 or not given.
        coverage = U16 => number;
        /// The checksum, if not the true one: a number, or `bad`.
        checksum = CHECKSUM => checksum;
        /// What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.
        payload = PAYLOAD => payload;
    }
}

impl Reader<'_> {
    pub(super) fn udp(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let (header, fields) = Udp::read(self, value)?;
        let text = format!("udp/{}{}", header.dport, fields.text_but(&["dport"]));
        PacketDraft::of(text, value, &fields, Transport::Udp(header))
    }

    pub(super) fn udp_lite(&mut self, value: Value<'_>) -> Option<PacketDraft> {
        let (header, fields) = UdpLite::read(self, value)?;
        let text = format!("udplite/{}{}", header.dport, fields.text_but(&["dport"]));
        PacketDraft::of(text, value, &fields, Transport::UdpLite(header))
    }
}
