//! `jhash` (include/linux/jhash.h), the hash of `nft_hash`: Bob Jenkins' lookup3.

const INITIAL: u32 = 0xdead_beef;

/// `jhash`: of bytes, as words in the byte order of the machine.
#[must_use]
pub fn jhash(bytes: &[u8], seed: u32) -> u32 {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let start = INITIAL.wrapping_add(length).wrapping_add(seed);
    let [mut a, mut b, mut c] = [start; 3];
    let word = |bytes: &[u8], at: usize| {
        bytes[at..]
            .first_chunk()
            .map_or(0, |word| u32::from_ne_bytes(*word))
    };
    let mut rest = bytes;
    while rest.len() > 12 {
        a = a.wrapping_add(word(rest, 0));
        b = b.wrapping_add(word(rest, 4));
        c = c.wrapping_add(word(rest, 8));
        (a, b, c) = mixed(a, b, c);
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    // The last bytes are taken one by one, the first in the lowest bits.
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    let little = |at: usize| {
        last[at..]
            .first_chunk()
            .map_or(0, |word| u32::from_le_bytes(*word))
    };
    final_mixed(
        a.wrapping_add(little(0)),
        b.wrapping_add(little(4)),
        c.wrapping_add(little(8)),
    )
}

/// `__jhash_mix`
fn mixed(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

/// `__jhash_final`, of which only `c` is used.
fn final_mixed(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// `reciprocal_scale` (include/linux/math.h): a hash as a number below `limit`.
#[must_use]
pub fn scaled(hash: u32, limit: u32) -> u32 {
    let product = u64::from(hash) * u64::from(limit);
    u32::try_from(product >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The self-test of Bob Jenkins' lookup3.c (`driver5`), whose `hashlittle` is the same function on
    /// little-endian machines.
    #[test]
    #[cfg(target_endian = "little")]
    fn the_hash_is_that_of_lookup3() {
        assert_eq!(jhash(b"", 0), 0xdead_beef);
        assert_eq!(jhash(b"", 0xdead_beef), 0xbd5b_7dde);
        assert_eq!(jhash(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(jhash(b"Four score and seven years ago", 1), 0xcd62_8161);
    }
}
