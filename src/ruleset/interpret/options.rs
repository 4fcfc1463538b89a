//! Finds options inside headers as the kernel does (net/netfilter/nft_exthdr.c).

use super::headers::TransportHeader;

const TCP: u8 = 6;
const SCTP: u8 = 132;
const TCP_HEADER_BYTES: usize = 20;
/// `sizeof(struct sctphdr)`
const SCTP_HEADER_BYTES: usize = 12;
/// `sizeof(struct sctp_chunkhdr)`
const CHUNK_HEADER_BYTES: usize = 4;
/// `TCPOPT_NOP`; it and `TCPOPT_EOL` are one byte long.
const TCP_NO_OPERATION: u8 = 1;

/// The TCP header with its options; `None` if it is not all there (`nft_tcp_header_pointer`).
#[must_use]
pub fn tcp_header<'a>(packet: &'a [u8], transport: Option<&TransportHeader>) -> Option<&'a [u8]> {
    let transport = transport?;
    if transport.protocol != TCP || transport.fragment_offset != 0 {
        return None;
    }
    let segment = packet.get(transport.offset..)?;
    let length = usize::from(segment.get(..TCP_HEADER_BYTES)?[12] >> 4) * 4;
    if length < TCP_HEADER_BYTES {
        return None;
    }
    segment.get(..length)
}

/// The TCP option of this kind, from its kind on and as long as it says (`nft_exthdr_tcp_eval`); `None` if
/// it is not there or reaches behind the header.
#[must_use]
pub fn tcp_option(header: &[u8], kind: u8) -> Option<&[u8]> {
    let mut at = TCP_HEADER_BYTES;
    while at + 1 < header.len() {
        // `optlen`
        let length = match (header[at], header[at + 1]) {
            (..=TCP_NO_OPERATION, _) | (_, 0) => 1,
            (_, length) => usize::from(length),
        };
        if header[at] == kind {
            return header.get(at..at + length);
        }
        at += length;
    }
    None
}

/// The SCTP chunk of this type, from its header on to the end of the packet, and how long it says it is
/// (`nft_exthdr_sctp_eval`).
#[must_use]
pub fn sctp_chunk<'a>(
    packet: &'a [u8],
    transport: Option<&TransportHeader>,
    kind: u8,
) -> Option<(&'a [u8], usize)> {
    let transport = transport?;
    if transport.protocol != SCTP {
        return None;
    }
    let mut at = transport.offset + SCTP_HEADER_BYTES;
    loop {
        let chunk = packet.get(at..)?;
        let [found, _, high, low] = *chunk.first_chunk::<CHUNK_HEADER_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            return None;
        }
        if found == kind {
            return Some((chunk, length));
        }
        // `SCTP_PAD4`
        at += length.next_multiple_of(4);
        if at >= packet.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn segment(options: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 20];
        header[12] = u8::try_from((20 + options.len()) / 4).unwrap() << 4;
        header.extend(options);
        header
    }

    /// Expected by reading `nft_exthdr_tcp_eval`.
    #[rstest]
    #[case::first(&[2, 4, 5, 180], 2, Some(4))]
    #[case::behind_no_operation(&[1, 1, 4, 2], 4, Some(2))]
    #[case::absent(&[1, 1, 4, 2], 3, None)]
    #[case::zero_length_is_stepped_over_by_one(&[3, 0, 4, 2], 4, Some(2))]
    #[case::reaches_behind_the_header(&[1, 1, 2, 4], 2, None)]
    #[case::a_lone_last_byte_is_not_looked_at(&[1, 1, 1, 4], 4, None)]
    fn a_tcp_option_is_found_as_the_kernel_finds_it(
        #[case] options: &[u8],
        #[case] kind: u8,
        #[case] length: Option<usize>,
    ) {
        let header = segment(options);
        assert_eq!(tcp_option(&header, kind).map(<[u8]>::len), length);
    }

    #[test]
    fn a_tcp_header_that_says_it_is_longer_than_the_packet_is_none() {
        let transport = TransportHeader {
            protocol: TCP,
            offset: 0,
            fragment_offset: 0,
        };
        let whole = segment(&[1; 4]);
        assert_eq!(tcp_header(&whole, Some(&transport)), Some(&whole[..]));
        assert_eq!(tcp_header(&whole[..23], Some(&transport)), None);
    }
}
