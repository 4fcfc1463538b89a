//! Frames that differ in their destination port and cookie only, written without crafting each of them anew.

use firedrill_wire::packet::{Packet, Transport, craft};

use crate::{lab::Link, prober::frame::frame_to_firewall};

/// A frame to write others from.
pub(crate) struct Stencil {
    frame: Vec<u8>,
    /// Where the fields that differ stand, in words of 16 bits, and what each is made of.
    fields: Vec<(usize, Field)>,
    /// The checksums, and whether each is also about the fields of the transport header.
    checksums: Vec<Checksum>,
}

#[derive(Clone, Copy)]
enum Field {
    Port,
    High,
    Low,
    /// The upper bits of the flow label's lower 20, beside what else stands in that word.
    FlowHigh(u16),
}

struct Checksum {
    at: usize,
    /// The fields that it covers: indices into [`Stencil::fields`].
    covers: Vec<usize>,
    /// In UDP zero means "none" (RFC 768).
    never_zero: bool,
}

/// Where the checksum stands in a TCP header (RFC 9293 section 3.1).
const TCP_CHECKSUM: usize = 16;
/// Where it stands in a UDP header (RFC 768).
const UDP_CHECKSUM: usize = 6;

impl Stencil {
    /// The frame of this packet as a stencil; `None` where a packet made from it would not be the one that is
    /// crafted.
    pub(crate) fn of(link: &Link, packet: &Packet) -> Option<Self> {
        let bytes = craft(packet);
        let frame = frame_to_firewall(link, packet, &bytes);
        let ip = frame.len().checked_sub(bytes.len())?;
        let v6 = packet.source.is_ipv6();
        let transport = ip + if v6 { 40 } else { 20 };
        let mut fields = if v6 {
            let word = u16::from_be_bytes([*frame.get(ip)?, *frame.get(ip + 1)?]);
            vec![(ip, Field::FlowHigh(word & 0xfff0)), (ip + 2, Field::Low)]
        } else {
            vec![(ip + 4, Field::Low)]
        };
        let of_ip = fields.len();
        fields.push((transport + 2, Field::Port));
        let (checksum, cookie, never_zero) = match packet.transport {
            Transport::Tcp(_) => (TCP_CHECKSUM, transport + 4, false),
            // Behind the eight bytes of the header and the mark.
            Transport::Udp(_) => (UDP_CHECKSUM, transport + 12, true),
            _ => return None,
        };
        fields.extend([(cookie, Field::High), (cookie + 2, Field::Low)]);
        let mut checksums = vec![Checksum {
            at: transport + checksum,
            covers: (of_ip..fields.len()).collect(),
            never_zero,
        }];
        if !v6 {
            checksums.push(Checksum {
                at: ip + 10,
                covers: (0..of_ip).collect(),
                never_zero: false,
            });
        }
        let stencil = Self {
            frame,
            fields,
            checksums,
        };
        let tried = [(1, 0xffff_ffff), (0xffff, 1), (0x8001, 0xe000_8001)];
        let agrees = |(port, cookie): (u16, u32)| {
            let other = packet.to_port(port, cookie);
            let crafted = frame_to_firewall(link, &other, &craft(&other));
            stencil.frame(port, cookie) == Some(crafted)
        };
        tried.into_iter().all(agrees).then_some(stencil)
    }

    /// The frame to another port, with another cookie.
    pub(crate) fn frame(&self, port: u16, cookie: u32) -> Option<Vec<u8>> {
        let mut frame = self.frame.clone();
        let mut before = [0_u16; 8];
        let mut after = [0_u16; 8];
        for (index, (at, field)) in self.fields.iter().enumerate() {
            let word = match field {
                Field::Port => port,
                Field::High => (cookie >> 16) as u16,
                Field::Low => cookie as u16,
                Field::FlowHigh(rest) => rest | (cookie >> 16) as u16 & 0xf,
            };
            before[index] = exchange(&mut frame, *at, word)?;
            after[index] = word;
        }
        for checksum in &self.checksums {
            // RFC 1624 equation 3: HC' = ~(~HC + ~m + m').
            let mut sum = u32::from(!word(&frame, checksum.at)?);
            for field in &checksum.covers {
                sum += u32::from(!before[*field]) + u32::from(after[*field]);
            }
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            let new = match !(sum as u16) {
                0 if checksum.never_zero => 0xffff,
                new => new,
            };
            exchange(&mut frame, checksum.at, new)?;
        }
        Some(frame)
    }
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}

/// Writes a word; what stood there.
fn exchange(frame: &mut [u8], at: usize, new: u16) -> Option<u16> {
    let place = frame.get_mut(at..)?.first_chunk_mut::<2>()?;
    let old = u16::from_be_bytes(*place);
    *place = new.to_be_bytes();
    Some(old)
}

#[cfg(test)]
mod tests {
    use firedrill_wire::{
        packet::{Payload, Tcp, Udp, VlanTag, tcp_flag},
        protocol::Bytes,
    };
    use proptest::prelude::*;

    use super::*;
    fn link(tagged: bool) -> Link {
        let tag = VlanTag {
            id: 7,
            ..VlanTag::default()
        };
        Link::example(Vec::from_iter(tagged.then_some(tag)))
    }

    fn packet(v6: bool, tcp: bool) -> Packet {
        let ends = if v6 {
            ("2001:db8:ffff::7", "2001:db8::10")
        } else {
            ("198.51.100.7", "192.0.2.10")
        };
        let transport = if tcp {
            Transport::Tcp(Tcp {
                sport: 40_000,
                dport: 1,
                flags: tcp_flag::SYN,
                ..Tcp::default()
            })
        } else {
            Transport::Udp(Udp {
                sport: 40_000,
                dport: 1,
                ..Udp::default()
            })
        };
        let (source, destination) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
        Packet::new(source, destination, 0xe000_0001, transport)
    }

    proptest! {
        /// The oracle is the one way to craft a packet.
        #[test]
        fn a_frame_from_a_stencil_is_the_one_that_is_crafted(
            v6: bool, tcp: bool, tagged: bool, port: u16, cookie: u32,
        ) {
            let (link, packet) = (link(tagged), packet(v6, tcp));
            let stencil = Stencil::of(&link, &packet).expect("the usual packet");
            let other = packet.to_port(port, cookie);
            let crafted = frame_to_firewall(&link, &other, &craft(&other));
            prop_assert_eq!(stencil.frame(port, cookie), Some(crafted));
        }
    }

    #[test]
    fn what_is_not_the_usual_packet_has_no_stencil() {
        let mut options = packet(false, true);
        options.ip.id = Some(7);
        assert!(Stencil::of(&link(false), &options).is_none());
        let mut payload = packet(false, false);
        if let Transport::Udp(udp) = &mut payload.transport {
            udp.payload = Payload::Is(Bytes(b"abc".to_vec()));
        }
        assert!(Stencil::of(&link(false), &payload).is_none());
    }
}
