use proptest::prelude::*;

use super::*;

const FAMILIES: [Family; 3] = [Family::Ip, Family::LegacyIp6, Family::Bridge];

fn extension(name: &str, revision: u8, info: &[u8]) -> XtExtension {
    XtExtension {
        name: name.to_owned(),
        revision: revision.into(),
        info: info.to_vec(),
    }
}

/// The revisions of kernels 5.11 to 6.18, with the sizes that a C compiler gives their structures, padded.
const MATCHES: [(&str, u8, usize); 74] = [
    ("addrtype", 0, 16),
    ("addrtype", 1, 8),
    ("ah", 0, 16),
    ("bpf", 1, 528),
    ("cgroup", 0, 8),
    ("cgroup", 1, 4112),
    ("cgroup", 2, 528),
    ("cluster", 0, 16),
    ("comment", 0, 256),
    ("connbytes", 0, 24),
    ("connlabel", 0, 8),
    ("connlimit", 1, 32),
    ("connmark", 1, 16),
    ("conntrack", 1, 152),
    ("conntrack", 2, 160),
    ("conntrack", 3, 168),
    ("cpu", 0, 8),
    ("dccp", 0, 16),
    ("devgroup", 0, 24),
    ("dscp", 0, 8),
    ("dst", 0, 40),
    ("ecn", 0, 8),
    ("esp", 0, 16),
    ("eui64", 0, 8),
    ("frag", 0, 16),
    ("hashlimit", 1, 56),
    ("hashlimit", 2, 304),
    ("hashlimit", 3, 312),
    ("hbh", 0, 40),
    ("helper", 0, 40),
    ("hl", 0, 8),
    ("icmp", 0, 8),
    ("icmp6", 0, 8),
    ("iprange", 1, 72),
    ("ipv6header", 0, 8),
    ("length", 0, 8),
    ("limit", 0, 40),
    ("mac", 0, 16),
    ("mark", 1, 16),
    ("mh", 0, 8),
    ("multiport", 1, 48),
    ("nfacct", 0, 40),
    ("nfacct", 1, 40),
    ("osf", 0, 48),
    ("owner", 1, 24),
    ("physdev", 0, 72),
    ("pkttype", 0, 8),
    ("policy", 0, 312),
    ("quota", 0, 24),
    ("rateest", 0, 72),
    ("realm", 0, 16),
    ("recent", 0, 216),
    ("recent", 1, 232),
    ("rpfilter", 0, 8),
    ("rt", 0, 280),
    ("sctp", 0, 296),
    ("set", 0, 32),
    ("set", 1, 8),
    ("set", 2, 8),
    ("set", 3, 48),
    ("set", 4, 48),
    ("socket", 1, 8),
    ("socket", 2, 8),
    ("socket", 3, 8),
    ("state", 0, 8),
    ("statistic", 0, 24),
    ("string", 1, 160),
    ("tcp", 0, 16),
    ("tcpmss", 0, 8),
    ("time", 0, 24),
    ("tos", 1, 8),
    ("ttl", 0, 8),
    ("u32", 0, 1984),
    ("udp", 0, 16),
];

const TARGETS: [&str; 40] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DNAT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "NOTRACK",
    "RATEEST",
    "REDIRECT",
    "REJECT",
    "SECMARK",
    "SET",
    "SNAT",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TPROXY",
    "TRACE",
    "TTL",
    "",
    "ERROR",
    "ACCEPT",
    "Ü",
];

proptest! {
    #[test]
    fn arbitrary_structures_never_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..2100),
        at in 0..MATCHES.len(),
        target in 0..TARGETS.len(),
        revision in 0_u8..6,
    ) {
        let (name, known, length) = MATCHES[at];
        let cut = &bytes[..length.min(bytes.len())];
        for family in FAMILIES {
            for (revision, bytes) in [(known, cut), (known, &bytes[..]), (revision, cut)] {
                let _ = extension(name, revision, bytes).as_match(family);
            }
            let _ = extension(TARGETS[target], revision, cut).as_target(family);
        }
    }
}

#[test]
fn a_structure_of_another_length_is_opaque() {
    for (name, revision, length) in MATCHES {
        for (length, family) in [length - 8, length + 8]
            .into_iter()
            .flat_map(|length| FAMILIES.map(|family| (length, family)))
        {
            let bytes = vec![0; length];
            let expected = extension(name, revision, &bytes);
            let decoded = expected.as_match(family);
            assert_eq!(decoded, XtMatch::Opaque(expected), "{name} {length}");
        }
    }
}

/// A TCP header with these flags and options.
fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..4].copy_from_slice(&[0x04, 0, 0, 80]);
    segment[12] = (5 + options.len() as u8 / 4) << 4;
    segment[13] = flags;
    segment.extend(options);
    segment
}

#[test]
fn tcp_options_are_found_as_the_kernel_walks_them() {
    let match_of = |option, inverted| TcpMatch {
        source: Invertible::new(0..=0xffff, false),
        destination: Invertible::new(80..=80, false),
        flags: Invertible::new(
            TcpFlagTest {
                mask: 0x17,
                set: 0x02,
            },
            false,
        ),
        option: Some(Invertible::new(option, inverted)),
    };
    // MSS, padding, an option of length zero, padding.
    let syn = segment(0x02, &[2, 4, 5, 0xb4, 1, 99, 0, 1]);
    for (option, is_there) in [(2, true), (1, true), (99, true), (0, true), (8, false)] {
        let result = match_of(option, false).matches(&syn);
        assert_eq!(result, MatchResult::from(is_there), "option {option}");
        let result = match_of(option, true).matches(&syn);
        assert_eq!(result, MatchResult::from(!is_there), "no option {option}");
    }
    assert_eq!(match_of(2, false).matches(&syn[..19]), MatchResult::Dropped);
    assert_eq!(match_of(2, false).matches(&syn[..24]), MatchResult::Dropped);
    assert_eq!(
        match_of(2, false).matches(&segment(0x12, &[])),
        MatchResult::NotMatched
    );
    let size = TcpMssMatch(Invertible::new(1000..=1460, false));
    assert_eq!(size.matches(&syn), MatchResult::Matched);
    assert_eq!(size.matches(&segment(0x02, &[])), MatchResult::NotMatched);
}

#[test]
fn an_icmp_match_on_any_type_inverted_matches_nothing() {
    let any = extension("icmp", 0, &[0xff, 0, 0xff, 1, 0, 0, 0, 0]).as_match(Family::Ip);
    let XtMatch::Icmp(any) = any else {
        panic!("{any:?}");
    };
    assert!(!any.matches(8, 0));
    // In IPv6, 255 is a type like others.
    let v6 = extension("icmp6", 0, &[0xff, 0, 0xff, 1, 0, 0, 0, 0]).as_match(Family::Ip6);
    let XtMatch::Icmp6(v6) = v6 else {
        panic!("{v6:?}");
    };
    assert!(v6.matches(128, 0) && !v6.matches(255, 3));
}

#[test]
fn interfaces_are_compared_under_the_mask_of_their_names() {
    let pattern = |name: &[u8], compared: usize| {
        let (mut bytes, mut mask) = ([0; 16], [0; 16]);
        bytes[..name.len()].copy_from_slice(name);
        mask[..compared].fill(0xff);
        InterfacePattern::from_masked(bytes, mask).expect("a pattern")
    };
    let exact = pattern(b"eth1", 5);
    assert!(exact.matches(Some("eth1")) && !exact.matches(Some("eth10")));
    let prefix = pattern(b"eth+", 3);
    assert!(
        prefix.matches(Some("eth10")) && !prefix.matches(Some("wlan0")) && !prefix.matches(None)
    );
    assert!(pattern(b"", 0).matches(None));
}
