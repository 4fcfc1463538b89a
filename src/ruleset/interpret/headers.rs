//! Where the kernel finds the headers of a packet: `struct nft_pktinfo`.

/// `NEXTHDR_*` (net/ipv6.h).
mod next_header {
    pub(super) const HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTH: u8 = 51;
    pub(super) const NONE: u8 = 59;
    pub(super) const DEST: u8 = 60;
}

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;

/// The transport header of a packet (`NFT_PKTINFO_L4PROTO`, include/net/netfilter/nf_tables.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportHeader {
    /// Protocol number (IANA).
    pub protocol: u8,
    /// Where it begins, in bytes from the network header.
    pub offset: usize,
    /// Fragment offset, in the units of the header (`pkt->fragoff`). Where it is not 0, there is no
    /// transport header in this packet.
    pub fragment_offset: u16,
}

/// How strictly a network header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderCheck {
    /// The IP stack has checked the header before (`nft_set_pktinfo_ipv4`, `nft_set_pktinfo_ipv6`).
    Trusted,
    /// Netdev and bridge hooks see packets before the IP stack does (`nft_set_pktinfo_ipv4_validate`).
    Validated,
}

/// The transport header of an IPv4 packet; `None` if the kernel finds none.
#[must_use]
pub fn ipv4_transport(packet: &[u8], check: HeaderCheck) -> Option<TransportHeader> {
    let header: &[u8; IPV4_HEADER_BYTES] = packet.first_chunk()?;
    let offset = usize::from(header[0] & 0x0f) * 4;
    if check == HeaderCheck::Validated {
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || offset < IPV4_HEADER_BYTES {
            return None;
        }
        if packet.len() < total || total < offset {
            return None;
        }
    }
    Some(TransportHeader {
        protocol: header[9],
        offset,
        fragment_offset: u16::from_be_bytes([header[6], header[7]]) & 0x1fff,
    })
}

/// The transport header of an IPv6 packet; `None` if the kernel finds none.
#[must_use]
pub fn ipv6_transport(packet: &[u8], check: HeaderCheck) -> Option<TransportHeader> {
    let header: &[u8; IPV6_HEADER_BYTES] = packet.first_chunk()?;
    if check == HeaderCheck::Validated {
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || length + IPV6_HEADER_BYTES > packet.len() {
            return None;
        }
    }
    let found = ipv6_find_header(packet, None)?;
    u16::try_from(found.offset).is_ok().then_some(found)
}

/// `ipv6_find_hdr` (net/ipv6/exthdrs_core.c): the extension header of this number, or else (`None`) the
/// first header that is no extension, where an authentication header counts as none
/// (`IP6_FH_F_AUTH`).
#[must_use]
pub fn ipv6_find_header(packet: &[u8], target: Option<u8>) -> Option<TransportHeader> {
    let mut number = *packet.get(6)?;
    let mut offset = IPV6_HEADER_BYTES;
    let mut fragment_offset = 0;
    loop {
        let found = target == Some(number);
        if !is_extension(number) || number == next_header::NONE {
            return (target.is_none() || found).then_some(TransportHeader {
                protocol: number,
                offset,
                fragment_offset,
            });
        }
        let [next, length] = *packet.get(offset..)?.first_chunk::<2>()?;
        let size = match number {
            next_header::FRAGMENT => {
                let place = packet.get(offset + 2..)?.first_chunk::<2>()?;
                let place = u16::from_be_bytes(*place) & !7;
                if place != 0 {
                    if target.is_none() && (!is_extension(next) || next == next_header::NONE) {
                        return Some(TransportHeader {
                            protocol: next,
                            offset: 0,
                            fragment_offset: place,
                        });
                    }
                    fragment_offset = place;
                    return found.then_some(TransportHeader {
                        protocol: number,
                        offset,
                        fragment_offset,
                    });
                }
                8
            }
            next_header::AUTH if target.is_none() => {
                return Some(TransportHeader {
                    protocol: number,
                    offset,
                    fragment_offset,
                });
            }
            // `ipv6_authlen`: in units of four bytes, without the first two.
            next_header::AUTH => (usize::from(length) + 2) * 4,
            // `ipv6_optlen`
            _ => (usize::from(length) + 1) * 8,
        };
        if found {
            return Some(TransportHeader {
                protocol: number,
                offset,
                fragment_offset,
            });
        }
        number = next;
        offset += size;
    }
}

/// `ipv6_ext_hdr` (net/ipv6/exthdrs_core.c).
fn is_extension(number: u8) -> bool {
    matches!(
        number,
        next_header::HOP
            | next_header::ROUTING
            | next_header::FRAGMENT
            | next_header::AUTH
            | next_header::NONE
            | next_header::DEST
    )
}

/// The part of a packet that the IP stack hands to its hooks: `ip_rcv_core` and `ip6_rcv_core` cut off
/// what lies behind the length in the header.
#[must_use]
pub fn trimmed(packet: &[u8]) -> &[u8] {
    let length = match packet {
        [first, _, high, low, ..] if first >> 4 == 4 => {
            usize::from(u16::from_be_bytes([*high, *low]))
        }
        [first, _, _, _, high, low, next, ..] if first >> 4 == 6 => {
            let payload = usize::from(u16::from_be_bytes([*high, *low]));
            // A jumbogram (RFC 2675) has its length in an option.
            if payload == 0 && *next == next_header::HOP {
                packet.len()
            } else {
                payload + IPV6_HEADER_BYTES
            }
        }
        _ => packet.len(),
    };
    packet.get(..length).unwrap_or(packet)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![
            0x60,
            0,
            0,
            0,
            0,
            u8::try_from(rest.len()).unwrap(),
            next,
            64,
        ];
        packet.extend([0; 32]);
        packet.extend(rest);
        packet
    }

    /// Expected by reading `ipv6_find_hdr` with `target` -1 and `IP6_FH_F_AUTH`.
    #[rstest]
    #[case::no_extension(ipv6(6, &[0; 20]), Some((6, 40, 0)))]
    #[case::hop_by_hop(ipv6(0, &[17, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some((17, 48, 0)))]
    #[case::long_option(ipv6(60, &[[6, 1].as_slice(), &[0; 14]].concat()), Some((6, 56, 0)))]
    #[case::first_fragment(ipv6(44, &[17, 0, 0, 1, 0, 0, 0, 9]), Some((17, 48, 0)))]
    #[case::later_fragment(ipv6(44, &[17, 0, 0, 8, 0, 0, 0, 9]), Some((17, 0, 8)))]
    #[case::extension_in_a_later_fragment(ipv6(44, &[60, 0, 0, 8, 0, 0, 0, 9]), None)]
    #[case::authentication(ipv6(51, &[6, 4, 0, 0, 0, 0, 0, 0]), Some((51, 40, 0)))]
    #[case::no_next_header(ipv6(59, &[]), Some((59, 40, 0)))]
    #[case::cut_extension(ipv6(0, &[17]), None)]
    fn an_ipv6_transport_header_is_where_the_kernel_finds_it(
        #[case] packet: Vec<u8>,
        #[case] expected: Option<(u8, usize, u16)>,
    ) {
        let found = ipv6_transport(&packet, HeaderCheck::Trusted);
        let found = found.map(|it| (it.protocol, it.offset, it.fragment_offset));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_extension_header_is_found_by_its_number_before_the_transport_header_only() {
        let packet = ipv6(0, &[43, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
        let offset = |number| ipv6_find_header(&packet, Some(number)).map(|header| header.offset);
        assert_eq!(offset(0), Some(40));
        assert_eq!(offset(43), Some(48));
        assert_eq!(offset(44), None);
        // A transport protocol is found as well.
        assert_eq!(offset(6), Some(56));
        assert_eq!(offset(17), None);
    }

    #[test]
    fn bytes_behind_the_length_in_the_header_are_cut_off() {
        let mut packet = vec![0x45, 0, 0, 21];
        packet.extend([0; 30]);
        assert_eq!(trimmed(&packet).len(), 21);
        assert_eq!(trimmed(&ipv6(6, &[0; 20])).len(), 60);
    }
}
