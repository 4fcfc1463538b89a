//! The vocabulary of the format, and the nearest known word to an unknown one.

use std::time::Duration;

use crate::scenario::{Family, RejectKind, TcpFlags};

/// Longest piece of a user's text that a message repeats, in characters.
const LONGEST_QUOTE: usize = 60;
/// Most known words that an unknown one is compared with: it takes time, and a file may have as many
/// unknown ones.
const MOST_CANDIDATES: usize = 256;
/// Most words that a message lists.
const LONGEST_LIST: usize = 12;

/// Words and what each stands for.
macro_rules! table {
    ($($word:literal $meaning:expr),* $(,)?) => {
        &[$(($word, $meaning)),*]
    };
}

/// ICMP types by the names of nft(8) (RFC 792 and successors).
const ICMP_TYPES: &[(&str, u8)] = table! {
    "echo-reply" 0, "destination-unreachable" 3, "source-quench" 4, "redirect" 5, "echo-request" 8,
    "router-advertisement" 9, "router-solicitation" 10, "time-exceeded" 11, "parameter-problem" 12,
    "timestamp-request" 13, "timestamp-reply" 14, "info-request" 15, "info-reply" 16,
    "address-mask-request" 17, "address-mask-reply" 18,
};

/// ICMPv6 types by the names of nft(8) (RFC 4443 and others).
const ICMPV6_TYPES: &[(&str, u8)] = table! {
    "destination-unreachable" 1, "packet-too-big" 2, "time-exceeded" 3, "parameter-problem" 4,
    "echo-request" 128, "echo-reply" 129, "mld-listener-query" 130, "mld-listener-report" 131,
    "mld-listener-done" 132, "mld-listener-reduction" 132, "nd-router-solicit" 133, "nd-router-advert" 134,
    "nd-neighbor-solicit" 135, "nd-neighbor-advert" 136, "nd-redirect" 137, "router-renumbering" 138,
    "ind-neighbor-solicit" 141, "ind-neighbor-advert" 142, "mld2-listener-report" 143,
};

/// Codes of "destination unreachable" by the names of nft(8).
const ICMP_CODES: &[(&str, u8)] = table! {
    "net-unreachable" 0, "host-unreachable" 1, "prot-unreachable" 2, "port-unreachable" 3, "frag-needed" 4,
    "net-prohibited" 9, "host-prohibited" 10, "admin-prohibited" 13,
};

/// Codes of "destination unreachable" for ICMPv6 by the names of nft(8).
const ICMPV6_CODES: &[(&str, u8)] = table! {
    "no-route" 0, "admin-prohibited" 1, "addr-unreachable" 3, "port-unreachable" 4, "policy-fail" 5,
    "reject-route" 6,
};

/// Control bits by name, in wire order (RFC 9293 section 3.1, RFC 3168).
const TCP_FLAGS: &[(&str, u8)] = table! {
    "fin" 0x01, "syn" 0x02, "rst" 0x04, "psh" 0x08, "ack" 0x10, "urg" 0x20, "ece" 0x40, "cwr" 0x80,
};

/// Differentiated services code points by the names of nft(8) (RFC 2474, RFC 2597, RFC 3246, RFC 8622).
const DSCP: &[(&str, u8)] = table! {
    "cs0" 0, "cs1" 8, "cs2" 16, "cs3" 24, "cs4" 32, "cs5" 40, "cs6" 48, "cs7" 56, "df" 0, "be" 0, "lephb" 1,
    "af11" 10, "af12" 12, "af13" 14, "af21" 18, "af22" 20, "af23" 22, "af31" 26, "af32" 28, "af33" 30,
    "af41" 34, "af42" 36, "ef" 46,
};

/// Congestion notification (RFC 3168 section 5).
const ECN: &[(&str, u8)] = table! { "not-ect" 0, "ect1" 1, "ect0" 2, "ce" 3 };

/// IPv4 options that need nothing more said (RFC 791, RFC 2113), as on the wire.
const IP_OPTIONS: [(&str, &[u8]); 5] = [
    ("end", &[0]),
    ("nop", &[1]),
    // Room for three addresses, the first to be written at octet 4.
    (
        "record-route",
        &[7, 15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    ("timestamp", &[68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("router-alert", &[148, 4, 0, 0]),
];

/// IPv6 extension headers by the names of nft(8) (RFC 8200; RFC 6275 for `mh`).
const EXTENSIONS: &[(&str, u8)] = table! {
    "hop-by-hop" 0, "routing" 43, "destination" 60, "mobility" 135,
};

/// SCTP chunk types by the names of nft(8) (RFC 9260 section 3.2).
const SCTP_CHUNKS: &[(&str, u8)] = table! {
    "data" 0, "init" 1, "init-ack" 2, "sack" 3, "heartbeat" 4, "heartbeat-ack" 5, "abort" 6, "shutdown" 7,
    "shutdown-ack" 8, "error" 9, "cookie-echo" 10, "cookie-ack" 11, "ecne" 12, "cwr" 13,
    "shutdown-complete" 14, "asconf-ack" 128, "asconf" 193,
};

/// IGMP types by the names of nft(8) (RFC 2236, RFC 3376).
const IGMP_TYPES: &[(&str, u8)] = table! {
    "membership-query" 0x11, "membership-report-v1" 0x12, "membership-report-v2" 0x16, "leave-group" 0x17,
    "membership-report-v3" 0x22,
};

/// ARP operations by the names of nft(8) (RFC 826, RFC 903, RFC 2390).
const ARP_OPERATIONS: &[(&str, u8)] = table! {
    "request" 1, "reply" 2, "rrequest" 3, "rreply" 4, "inrequest" 8, "inreply" 9,
};

/// OSPF packet types (RFC 2328 section A.3.1).
const OSPF_TYPES: &[(&str, u8)] = table! {
    "hello" 1, "database-description" 2, "link-state-request" 3, "link-state-update" 4,
    "link-state-acknowledgment" 5,
};

/// Other names of reject kinds, as nft(8) writes them for `icmpv6` and `icmpx`.
const REJECT_ALIASES: &[(&str, RejectKind)] = table! {
    "icmpv6-no-route" RejectKind::NetUnreachable, "icmpv6-addr-unreachable" RejectKind::HostUnreachable,
    "icmpv6-port-unreachable" RejectKind::PortUnreachable,
    "icmpv6-admin-prohibited" RejectKind::AdminProhibited, "icmpv6-policy-fail" RejectKind::PolicyFail,
    "icmpv6-reject-route" RejectKind::RejectRoute, "icmpx-no-route" RejectKind::NetUnreachable,
    "icmpx-host-unreachable" RejectKind::HostUnreachable,
    "icmpx-port-unreachable" RejectKind::PortUnreachable,
    "icmpx-admin-prohibited" RejectKind::AdminProhibited,
};

/// Words of other tools for an outcome.
const OUTCOME_SYNONYMS: &[(&str, &str)] = table! {
    "accepted" "accept", "allow" "accept", "allowed" "accept", "open" "accept", "pass" "accept",
    "permit" "accept", "block" "drop", "blocked" "drop", "deny" "drop", "discard" "drop", "dropped" "drop",
    "filtered" "drop", "refuse" "reject", "refused" "reject", "rejected" "reject",
};

/// TCP segments by the names that people give them: what a connection consists of, and what scanners send
/// (nmap(1), "Port Scanning Techniques").
const SEGMENTS: &[(&str, u8)] = table! {
    "syn" 0x02, "syn-ack" 0x12, "ack" 0x10, "data" 0x18, "fin" 0x01, "fin-ack" 0x11, "rst" 0x04,
    "rst-ack" 0x14, "null" 0x00, "syn-fin" 0x03, "xmas" 0x29,
};

/// The control bits of a segment by its name: `syn-ack`, `xmas`.
pub(crate) fn segment(word: &str) -> Option<TcpFlags> {
    number_of(SEGMENTS, word).map(TcpFlags)
}

/// The names of segments.
pub(crate) fn segments() -> Vec<&'static str> {
    SEGMENTS.iter().map(|(name, _)| *name).collect()
}

fn icmp_types_of(family: Family) -> &'static [(&'static str, u8)] {
    match family {
        Family::Ipv4 => ICMP_TYPES,
        Family::Ipv6 => ICMPV6_TYPES,
    }
}

fn icmp_codes_of(family: Family) -> &'static [(&'static str, u8)] {
    match family {
        Family::Ipv4 => ICMP_CODES,
        Family::Ipv6 => ICMPV6_CODES,
    }
}

fn number_of(table: &[(&str, u8)], word: &str) -> Option<u8> {
    let (_, number) = table.iter().find(|(name, _)| *name == word)?;
    Some(*number)
}

fn names_of(tables: [&'static [(&'static str, u8)]; 2]) -> Vec<&'static str> {
    let mut names: Vec<_> = tables.concat().into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The number of an ICMP type in this family.
pub(crate) fn icmp_type(word: &str, family: Family) -> Option<u8> {
    number_of(icmp_types_of(family), word)
}

/// The name of an ICMP type in this family, if it has one.
#[must_use]
pub fn icmp_name(family: Family, number: u8) -> Option<&'static str> {
    let mut types = icmp_types_of(family).iter();
    types
        .find(|(_, known)| *known == number)
        .map(|(name, _)| *name)
}

/// The names of ICMP types in both families.
pub(crate) fn icmp_types() -> Vec<&'static str> {
    names_of([ICMP_TYPES, ICMPV6_TYPES])
}

/// The number of a code of "destination unreachable" in this family.
pub(crate) fn icmp_code(word: &str, family: Family) -> Option<u8> {
    number_of(icmp_codes_of(family), word)
}

/// The names of codes of "destination unreachable" in both families.
pub(crate) fn icmp_codes() -> Vec<&'static str> {
    names_of([ICMP_CODES, ICMPV6_CODES])
}

/// A vocabulary of numbers: what it knows, and all its words.
macro_rules! vocabulary {
    ($table:ident, $number:ident, $names:ident, $what:literal) => {
        #[doc = concat!("The number of ", $what, ".")]
        pub(crate) fn $number(word: &str) -> Option<u8> {
            number_of($table, word)
        }

        #[doc = concat!("The names of ", $what, ".")]
        pub(crate) fn $names() -> Vec<&'static str> {
            $table.iter().map(|(name, _)| *name).collect()
        }
    };
}

vocabulary!(DSCP, dscp, dscp_names, "a code point");
vocabulary!(ECN, ecn, ecn_names, "a congestion notification");
vocabulary!(
    EXTENSIONS,
    extension,
    extension_names,
    "an extension header"
);
vocabulary!(SCTP_CHUNKS, sctp_chunk, sctp_chunks, "an SCTP chunk");
vocabulary!(IGMP_TYPES, igmp_type, igmp_types, "an IGMP type");
vocabulary!(
    ARP_OPERATIONS,
    arp_operation,
    arp_operations,
    "an ARP operation"
);
vocabulary!(OSPF_TYPES, ospf_type, ospf_types, "an OSPF type");

/// The bytes of an IPv4 option that needs nothing more said.
pub(crate) fn ip_option(word: &str) -> Option<&'static [u8]> {
    let (_, bytes) = IP_OPTIONS.iter().find(|(name, _)| *name == word)?;
    Some(bytes)
}

/// The names of those IPv4 options.
pub(crate) fn ip_options() -> Vec<&'static str> {
    IP_OPTIONS.iter().map(|(name, _)| *name).collect()
}

/// The bit of a TCP flag.
pub(crate) fn tcp_flag(word: &str) -> Option<u8> {
    number_of(TCP_FLAGS, word)
}

/// The names of the TCP flags.
pub(crate) fn tcp_flags() -> Vec<&'static str> {
    TCP_FLAGS.iter().map(|(name, _)| *name).collect()
}

/// The names of the bits that are set, `fin,psh,urg`, or `none`.
#[must_use]
pub fn tcp_flags_text(flags: TcpFlags) -> String {
    let set = TCP_FLAGS.iter().filter(|(_, bit)| flags.0 & bit != 0);
    let names: Vec<&str> = set.map(|(name, _)| *name).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(",")
    }
}

/// The reject kind of a word, one of ours or of nft(8).
pub(crate) fn reject_kind(word: &str) -> Option<RejectKind> {
    let ours = RejectKind::ALL.into_iter().find(|kind| kind.word() == word);
    ours.or_else(|| {
        let mut aliases = REJECT_ALIASES.iter();
        aliases
            .find(|(alias, _)| *alias == word)
            .map(|(_, kind)| *kind)
    })
}

/// Our words for the reject kinds.
pub(crate) fn reject_kinds() -> Vec<&'static str> {
    RejectKind::ALL.into_iter().map(RejectKind::word).collect()
}

/// All words that [`reject_kind`] knows.
pub(crate) fn reject_words() -> Vec<&'static str> {
    let mut words = reject_kinds();
    words.extend(REJECT_ALIASES.iter().map(|(alias, _)| *alias));
    words
}

/// Help for an unknown outcome.
pub(crate) fn suggest_outcome(word: &str) -> Option<String> {
    let lower = word.to_lowercase();
    match OUTCOME_SYNONYMS.iter().find(|(theirs, _)| *theirs == lower) {
        Some((_, ours)) => Some(did_you_mean(ours)),
        None => suggest(word, ["accept", "drop", "reject"]),
    }
}

/// Help for an unknown kind of reject.
pub(crate) fn suggest_reject(word: &str) -> Option<String> {
    match nearest(word, &reject_words()) {
        Some(near) => Some(did_you_mean(near)),
        None => suggest(word, reject_kinds()),
    }
}

/// Help for an unknown word: the nearest known ones, or all of them if they are few.
pub(crate) fn suggest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().take(MOST_CANDIDATES).collect();
    match all_nearest(word, &known).as_slice() {
        [] => {}
        near if near.len() <= 3 => return Some(format!("did you mean {}?", list(near, "or"))),
        _ => {}
    }
    // The beginning of a longer word.
    let longer = known
        .iter()
        .find(|known| word.len() > 2 && known.starts_with(word));
    if let Some(longer) = longer {
        return Some(did_you_mean(longer));
    }
    match known.as_slice() {
        [] => None,
        [only] => Some(format!("the only one is {}", quote(only))),
        few if few.len() <= LONGEST_LIST => Some(format!("known are {}", list(few, "and"))),
        _ => None,
    }
}

fn did_you_mean(word: &str) -> String {
    format!("did you mean {}?", quote(word))
}

/// The known word that a typing error may have turned into this one.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    all_nearest(word, known).first().copied()
}

/// The known words that are equally near to this one, if they are near at all.
fn all_nearest<'w>(word: &str, known: &[&'w str]) -> Vec<&'w str> {
    let lower: String = word.to_lowercase().chars().take(LONGEST_QUOTE).collect();
    let length = lower.chars().count();
    // A third of the letters may be wrong, as in rustc, but never all of them.
    let most = (length.max(3) / 3).min(length.saturating_sub(1));
    let distances: Vec<(usize, &str)> = known
        .iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, *candidate)
        })
        .filter(|(distance, _)| *distance <= most)
        .collect();
    let least = distances.iter().map(|(distance, _)| *distance).min();
    distances
        .into_iter()
        .filter(|(distance, _)| Some(*distance) == least)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn list(words: &[&str], last_joint: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [start @ .., last] => format!("{} {last_joint} {last}", start.join(", ")),
    }
}

/// A piece of the user's text in backticks, cut if it is long and without control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST_QUOTE {
            quoted.push('…');
            break;
        }
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    quoted.push('`');
    quoted
}

/// A time: `2s`, `500ms`, `1.5s`, `250us`, `2m`, `1h`. At most a day.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const LONGEST: f64 = 86_400.0;
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let sound = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit());
    let number: f64 = number.parse().ok().filter(|_| sound)?;
    let seconds = number
        * match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
    (seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

/// How people write the family.
pub(crate) fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
