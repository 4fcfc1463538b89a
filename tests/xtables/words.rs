//! Matches in the words of `iptables-save`, to compare what was decoded with what iptables itself reads from the same
//! structures.

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive};

use firedrill::ruleset::program::xtables::*;

/// `! ` before what is inverted.
fn not(inverted: bool) -> &'static str {
    if inverted { "! " } else { "" }
}

fn range<T: PartialEq + Display>(range: &RangeInclusive<T>, joint: &str) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}{joint}{}", range.start(), range.end()),
    }
}

fn ports(name: &str, test: &PortTest) -> String {
    match (&test.value, test.inverted) {
        (all, false) if *all == (0..=0xffff) => String::new(),
        (ports, inverted) => format!(" {}{name} {}", not(inverted), range(ports, ":")),
    }
}

fn masked(number: &Invertible<MaskedNumber>, name: &str) -> String {
    let MaskedNumber { value, mask } = number.value;
    match mask {
        u32::MAX => format!(" {}{name} {value:#x}", not(number.inverted)),
        mask => format!(" {}{name} {value:#x}/{mask:#x}", not(number.inverted)),
    }
}

/// With the length of the prefix, if it is one.
fn network(address: &MaskedAddress, shows_hosts: bool) -> String {
    let (bits, length) = match address.mask {
        IpAddr::V4(mask) => (u128::from(u32::from(mask)) << 96, 32),
        IpAddr::V6(mask) => (u128::from(mask), 128),
    };
    let prefix = bits.leading_ones();
    match prefix {
        _ if bits.count_ones() != prefix => format!("{}/{}", address.address, address.mask),
        prefix if prefix == length && !shows_hosts => address.address.to_string(),
        prefix => format!("{}/{prefix}", address.address),
    }
}

fn names(bits: u32, known: &[(&str, u32)]) -> String {
    let named = known.iter().filter(|(_, bit)| bits & bit != 0);
    let named: Vec<&str> = named.map(|(name, _)| *name).collect();
    named.join(",")
}

fn interface(pattern: &InterfacePattern) -> String {
    match pattern {
        InterfacePattern::Any => "+".to_owned(),
        InterfacePattern::Exact(name) => name.clone(),
        InterfacePattern::Prefix(prefix) => format!("{prefix}+"),
    }
}

/// The header of a rule of legacy iptables.
pub fn header(header: &XtHeaderMatch) -> String {
    let mut words = String::new();
    let mut add = |name: &str, inverted: bool, value: String| {
        words += &format!(" {}{name} {value}", not(inverted));
    };
    if let Some(test) = &header.source {
        add("-s", test.inverted, network(&test.value, true));
    }
    if let Some(test) = &header.destination {
        add("-d", test.inverted, network(&test.value, true));
    }
    if let Some(test) = &header.input {
        add("-i", test.inverted, interface(&test.value));
    }
    if let Some(test) = &header.output {
        add("-o", test.inverted, interface(&test.value));
    }
    if let Some(test) = &header.protocol {
        let name = match test.value {
            1 => "icmp",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "ipv6-icmp",
            132 => "sctp",
            135 => "mobility-header",
            136 => "udplite",
            _ => "unknown",
        };
        add("-p", test.inverted, name.to_owned());
    }
    match header.is_later_fragment {
        None => {}
        Some(true) => words += " -f",
        Some(false) => words += " ! -f",
    }
    words.trim_start().to_owned()
}

const TCP_FLAGS: [(&str, u32); 6] = [
    ("FIN", 1),
    ("SYN", 2),
    ("RST", 4),
    ("PSH", 8),
    ("ACK", 16),
    ("URG", 32),
];

fn states(states: ConnectionStates) -> String {
    let named = [
        ("INVALID", states.invalid),
        ("NEW", states.new),
        ("RELATED", states.related),
        ("ESTABLISHED", states.established),
        ("UNTRACKED", states.untracked),
        ("SNAT", states.snat),
        ("DNAT", states.dnat),
    ];
    let named = named.iter().filter(|(_, is_set)| *is_set);
    named.map(|(name, _)| *name).collect::<Vec<_>>().join(",")
}

fn conntrack(test: &ConntrackMatch) -> String {
    let mut words = String::new();
    let mut add = |name: &str, inverted: bool, value: String| {
        words += &format!(" {}{name} {value}", not(inverted));
    };
    if let Some(test) = &test.states {
        add("--ctstate", test.inverted, states(test.value));
    }
    if let Some(test) = &test.protocol {
        add("--ctproto", test.inverted, test.value.to_string());
    }
    let addresses = [
        ("--ctorigsrc", &test.original.source),
        ("--ctorigdst", &test.original.destination),
        ("--ctreplsrc", &test.reply.source),
        ("--ctrepldst", &test.reply.destination),
    ];
    for (name, test) in addresses {
        if let Some(test) = test {
            add(name, test.inverted, network(&test.value, false));
        }
    }
    let ports = [
        ("--ctorigsrcport", &test.original.source_ports),
        ("--ctorigdstport", &test.original.destination_ports),
        ("--ctreplsrcport", &test.reply.source_ports),
        ("--ctrepldstport", &test.reply.destination_ports),
    ];
    for (name, test) in ports {
        if let Some(test) = test {
            add(name, test.inverted, range(&test.value, ":"));
        }
    }
    if let Some(test) = &test.status {
        let known = [
            ("EXPECTED", 1),
            ("SEEN_REPLY", 2),
            ("ASSURED", 4),
            ("CONFIRMED", 8),
        ];
        add(
            "--ctstatus",
            test.inverted,
            names(test.value.into(), &known),
        );
    }
    if let Some(test) = &test.expires {
        add("--ctexpire", test.inverted, range(&test.value, ":"));
    }
    match test.direction {
        None => {}
        Some(ConnectionDirection::Original) => words += " --ctdir ORIGINAL",
        Some(ConnectionDirection::Reply) => words += " --ctdir REPLY",
    }
    words
}

/// A rate in the finest unit in which it is a whole number, and the seconds of this unit (`print_rate`, extensions/libxt_limit.c).
fn rate(period: u64, scale: u64) -> (String, u32) {
    let units = [("day", 86_400), ("hour", 3600), ("min", 60), ("sec", 1)];
    let mut unit = units[0];
    for next in &units[1..] {
        let whole = next.1 * scale;
        if period > whole || whole / period < whole % period {
            break;
        }
        unit = *next;
    }
    let text = format!("{}/{}", unit.1 * scale / period, unit.0);
    (text, unit.1 as u32)
}

fn bytes(number: u64) -> String {
    match number {
        number if number % (1 << 20) == 0 => format!("{}mb", number >> 20),
        number if number % (1 << 10) == 0 => format!("{}kb", number >> 10),
        number => format!("{number}b"),
    }
}

fn hashlimit(limit: &HashlimitMatch) -> String {
    let direction = if limit.inverted { "above" } else { "upto" };
    let (mut words, default_expiry) = match limit.counts_bytes {
        true => {
            // `cost_to_bytes` (extensions/libxt_hashlimit.c).
            let per_second = (u64::from(u32::MAX) / limit.period - 1) << 4;
            let burst = bytes(per_second * limit.burst);
            let words = format!(
                " --hashlimit-{direction} {}/s --hashlimit-burst {burst}",
                bytes(per_second)
            );
            // `XT_HASHLIMIT_BYTE_EXPIRE_BURST`.
            (words, 60)
        }
        false => {
            let (rate, seconds) = rate(limit.period, limit.scale.into());
            let words = format!(
                " --hashlimit-{direction} {rate} --hashlimit-burst {}",
                limit.burst
            );
            (words, seconds)
        }
    };
    let keys = [
        ("srcip", limit.keys.source),
        ("srcport", limit.keys.source_port),
        ("dstip", limit.keys.destination),
        ("dstport", limit.keys.destination_port),
    ];
    let keys = keys.iter().filter(|(_, is_set)| *is_set);
    let keys: Vec<&str> = keys.map(|(name, _)| *name).collect();
    words += &format!(
        " --hashlimit-mode {} --hashlimit-name {}",
        keys.join(","),
        limit.name
    );
    let defaults = [
        ("htable-size", limit.buckets, 0),
        ("htable-max", limit.max_entries, 0),
        ("htable-gcinterval", limit.collection_interval_ms, 1000),
        ("htable-expire", limit.expiry_ms, default_expiry * 1000),
        ("srcmask", limit.source_prefix.into(), 32),
        ("dstmask", limit.destination_prefix.into(), 32),
    ];
    for (name, number, default) in defaults {
        if number != default {
            words += &format!(" --hashlimit-{name} {number}");
        }
    }
    if let Some(seconds) = limit.interval_seconds {
        words += " --hashlimit-rate-match";
        if seconds != 1 {
            words += &format!(" --hashlimit-rate-interval {seconds}");
        }
    }
    words
}

fn recent(recent: &RecentMatch) -> String {
    let action = match recent.action {
        RecentAction::Check => "--rcheck",
        RecentAction::Set => "--set",
        RecentAction::Update => "--update",
        RecentAction::Remove => "--remove",
    };
    let mut words = format!(" {}{action}", not(recent.inverted));
    if let Some(seconds) = recent.seconds {
        words += &format!(" --seconds {seconds}");
    }
    if recent.removes_old {
        words += " --reap";
    }
    if let Some(hits) = recent.hits {
        words += &format!(" --hitcount {hits}");
    }
    if recent.compares_ttl {
        words += " --rttl";
    }
    let end = match recent.end {
        PacketEnd::Source => "--rsource",
        PacketEnd::Destination => "--rdest",
    };
    words + &format!(" --name {} --mask {} {end}", recent.name, recent.mask)
}

fn ends(ends: &[PacketEnd]) -> String {
    let name = |end: &PacketEnd| match end {
        PacketEnd::Source => "src",
        PacketEnd::Destination => "dst",
    };
    ends.iter().map(name).collect::<Vec<_>>().join(",")
}

fn set(test: &SetMatch) -> String {
    // The two sets of the test have the numbers of their making.
    let name = ["nets", "ports"][usize::from(test.set.index)];
    let mut words = format!(
        " {}--match-set {name} {}",
        not(test.inverted),
        ends(&test.set.ends)
    );
    if test.returns_nomatch {
        words += " --return-nomatch";
    }
    if test.keeps_counters {
        words += " ! --update-counters";
    }
    if test.keeps_subcounters {
        words += " ! --update-subcounters";
    }
    for (counter, what) in [(test.packets, "packets"), (test.bytes, "bytes")] {
        match counter {
            None => {}
            Some(SetCounterTest::Equal(number)) => words += &format!(" --{what}-eq {number}"),
            Some(SetCounterTest::NotEqual(number)) => words += &format!(" ! --{what}-eq {number}"),
            Some(SetCounterTest::Less(number)) => words += &format!(" --{what}-lt {number}"),
            Some(SetCounterTest::Greater(number)) => words += &format!(" --{what}-gt {number}"),
        }
    }
    words
}

fn time(test: &TimeMatch) -> String {
    let clock = |seconds: u32| {
        format!(
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    };
    let days = |bits: u32, last: u32| (1..=last).filter(move |day| bits & (1 << day) != 0);
    let week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let month_days: Vec<String> = days(test.month_days, 31)
        .map(|day| day.to_string())
        .collect();
    let week_days: Vec<&str> = days(test.week_days.into(), 7)
        .map(|day| week[day as usize - 1])
        .collect();
    // The only dates of the test.
    assert_eq!(test.date, 1_577_934_245..=i32::MAX as u32);
    format!(
        " --timestart {} --timestop {} --monthdays {} --weekdays {} --datestart 2020-01-02T03:04:05 \
         --datestop 2038-01-19T03:14:07{}{}",
        clock(test.daytime.0),
        clock(test.daytime.1),
        month_days.join(","),
        week_days.join(","),
        if test.is_local { " --kerneltz" } else { "" },
        if test.is_contiguous {
            " --contiguous"
        } else {
            ""
        },
    )
}

fn policy(test: &PolicyMatch) -> String {
    let mut words = match test.direction {
        None => String::new(),
        Some(PolicyDirection::In) => " --dir in".to_owned(),
        Some(PolicyDirection::Out) => " --dir out".to_owned(),
    };
    words += if test.is_none {
        " --pol none"
    } else {
        " --pol ipsec"
    };
    if test.is_strict {
        words += " --strict";
    }
    for (position, element) in test.elements.iter().enumerate() {
        if position > 0 {
            words += " --next";
        }
        let mut add = |name: &str, inverted: bool, value: String| {
            words += &format!(" {}{name} {value}", not(inverted));
        };
        if let Some(test) = &element.request {
            add("--reqid", test.inverted, test.value.to_string());
        }
        if let Some(test) = &element.spi {
            // iptables 1.8.9 writes and reads it in the order of the machine, and the kernel in that of the network.
            add(
                "--spi",
                test.inverted,
                format!("{:#x}", test.value.swap_bytes()),
            );
        }
        if let Some(test) = &element.protocol {
            let name = if test.value == 50 { "esp" } else { "ah" };
            add("--proto", test.inverted, name.to_owned());
        }
        if let Some(test) = &element.mode {
            let name = ["transport", "tunnel"][usize::from(test.value)];
            add("--mode", test.inverted, name.to_owned());
        }
        if let Some(test) = &element.destination {
            add("--tunnel-dst", test.inverted, network(&test.value, false));
        }
        if let Some(test) = &element.source {
            add("--tunnel-src", test.inverted, network(&test.value, false));
        }
    }
    words
}

fn u32_tests(tests: &[U32Test]) -> String {
    let test = |test: &U32Test| {
        let operation = |operation: &U32Operation| match operation {
            U32Operation::And(number) => format!("&{number:#x}"),
            U32Operation::ShiftLeft(number) => format!("<<{number:#x}"),
            U32Operation::ShiftRight(number) => format!(">>{number:#x}"),
            U32Operation::At(number) => format!("@{number:#x}"),
        };
        let operations: String = test.operations.iter().map(operation).collect();
        let hex = |range: &RangeInclusive<u32>| match range.start() == range.end() {
            true => format!("{:#x}", range.start()),
            false => format!("{:#x}:{:#x}", range.start(), range.end()),
        };
        let ranges: Vec<String> = test.ranges.iter().map(hex).collect();
        format!("{:#x}{operations}={}", test.offset, ranges.join(","))
    };
    tests.iter().map(test).collect::<Vec<_>>().join("&&")
}

fn options(name: &str, short: &str, test: &OptionsMatch) -> String {
    let mut words = format!("-m {name}");
    if let Some(length) = &test.length {
        words += &format!(" {}--{short}-len {}", not(length.inverted), length.value);
    }
    if let Some(options) = &test.options {
        let option = |option: &HeaderOption| match option.length {
            Some(length) => format!("{}:{length}", option.kind),
            None => option.kind.to_string(),
        };
        let options: Vec<String> = options.iter().map(option).collect();
        words += &format!(" --{short}-opts {}", options.join(","));
    }
    words
}

/// A match with its name, as `iptables-save` writes it.
pub fn words(test: &XtMatch) -> String {
    match test {
        XtMatch::AddressType(test) => {
            let known = AddressTypes::NAMES.map(|(name, bit)| (name, u32::from(bit)));
            let mut words = "-m addrtype".to_owned();
            for (name, types) in [
                ("--src-type", test.source),
                ("--dst-type", test.destination),
            ] {
                if let Some(types) = types {
                    let list = names(types.value.0.into(), &known);
                    words += &format!(" {}{name} {list}", not(types.inverted));
                }
            }
            words
                + match test.interface {
                    None => "",
                    Some(AddressTypeInterface::Input) => " --limit-iface-in",
                    Some(AddressTypeInterface::Output) => " --limit-iface-out",
                }
        }
        XtMatch::Ah(SpiMatch(spi)) => format!(
            "-m ah {}--ahspi {}",
            not(spi.inverted),
            range(&spi.value, ":")
        ),
        XtMatch::Ah6(test) => {
            let mut words = format!(
                "-m ah {}--ahspi {}",
                not(test.spi.inverted),
                range(&test.spi.value, ":")
            );
            if let Some(length) = &test.length {
                words += &format!(" {}--ahlen {}", not(length.inverted), length.value);
            }
            words
                + if test.reserved_is_zero {
                    " --ahres"
                } else {
                    ""
                }
        }
        XtMatch::Cgroup(CgroupMatch::Class(class)) => {
            format!("-m cgroup {}--cgroup {}", not(class.inverted), class.value)
        }
        XtMatch::Cgroup(CgroupMatch::Path(path)) => {
            format!("-m cgroup {}--path {}", not(path.inverted), path.value)
        }
        XtMatch::Cluster(test) => format!(
            "-m cluster {}--cluster-local-nodemask {:#010x} --cluster-total-nodes {} --cluster-hash-seed {:#010x}",
            not(test.node_mask.inverted),
            test.node_mask.value,
            test.nodes,
            test.seed
        ),
        XtMatch::Comment(comment) => format!("-m comment --comment \"{comment}\""),
        XtMatch::Connbytes(test) => {
            let unit = match test.unit {
                ConnbytesUnit::Packets => "packets",
                ConnbytesUnit::Bytes => "bytes",
                ConnbytesUnit::AveragePacket => "avgpkt",
            };
            let direction = match test.direction {
                None => "both",
                Some(ConnectionDirection::Original) => "original",
                Some(ConnectionDirection::Reply) => "reply",
            };
            let count = range(&test.count.value, ":");
            let not = not(test.count.inverted);
            format!(
                "-m connbytes {not}--connbytes {count} --connbytes-mode {unit} --connbytes-dir {direction}"
            )
        }
        XtMatch::Connlabel(test) => format!(
            "-m connlabel {}--label \"{}\"{}",
            not(test.label.inverted),
            test.label.value,
            if test.sets { " --set" } else { "" }
        ),
        XtMatch::Connlimit(test) => {
            let bits = match test.mask {
                IpAddr::V4(mask) => u32::from(mask).count_ones(),
                IpAddr::V6(mask) => u128::from(mask).count_ones(),
            };
            format!(
                "-m connlimit --connlimit-{} {} --connlimit-mask {bits} --connlimit-{}",
                if test.limit.inverted { "upto" } else { "above" },
                test.limit.value,
                if test.by_destination {
                    "daddr"
                } else {
                    "saddr"
                }
            )
        }
        XtMatch::Connmark(mark) => format!("-m connmark{}", masked(mark, "--mark")),
        XtMatch::Conntrack(test) => format!("-m conntrack{}", conntrack(test)),
        XtMatch::Cpu(number) => format!("-m cpu {}--cpu {}", not(number.inverted), number.value),
        XtMatch::Dccp(test) => {
            let mut words = "-m dccp".to_owned();
            for (name, test) in [("--sport", &test.source), ("--dport", &test.destination)] {
                words += &test
                    .as_ref()
                    .map(|test| ports(name, test))
                    .unwrap_or_default();
            }
            if let Some(types) = &test.types {
                let known = [("REQUEST", 1), ("RESPONSE", 2), ("DATA", 4), ("ACK", 8)];
                let list = names(types.value.into(), &known);
                words += &format!(" {}--dccp-types {list}", not(types.inverted));
            }
            words
        }
        XtMatch::DestinationOptions(test) => options("dst", "dst", test),
        XtMatch::Devgroup(test) => {
            let group = |name: &str, test: &Option<Invertible<MaskedNumber>>| {
                test.as_ref()
                    .map(|test| masked(test, name))
                    .unwrap_or_default()
            };
            let (input, output) = (
                group("--src-group", &test.input),
                group("--dst-group", &test.output),
            );
            format!("-m devgroup{input}{output}")
        }
        XtMatch::Dscp(DscpMatch(test)) => {
            format!("-m dscp {}--dscp {:#04x}", not(test.inverted), test.value)
        }
        XtMatch::Ecn(test) => {
            let mut words = "-m ecn".to_owned();
            for (name, flag) in [("--ecn-tcp-ece", test.ece), ("--ecn-tcp-cwr", test.cwr)] {
                if let Some(flag) = flag {
                    words += &format!(" {}{name}", not(!flag));
                }
            }
            if let Some(ip) = &test.ip {
                words += &format!(" {}--ecn-ip-ect {}", not(ip.inverted), ip.value);
            }
            words
        }
        XtMatch::Esp(SpiMatch(spi)) => format!(
            "-m esp {}--espspi {}",
            not(spi.inverted),
            range(&spi.value, ":")
        ),
        XtMatch::Eui64 => "-m eui64".to_owned(),
        XtMatch::Fragment(test) => {
            let mut words = format!(
                "-m frag {}--fragid {}",
                not(test.id.inverted),
                range(&test.id.value, ":")
            );
            if test.reserved_is_zero {
                words += " --fragres";
            }
            if test.is_first {
                words += " --fragfirst";
            }
            words
                + match test.has_more {
                    None => "",
                    Some(true) => " --fragmore",
                    Some(false) => " --fraglast",
                }
        }
        XtMatch::Hashlimit(limit) => format!("-m hashlimit{}", hashlimit(limit)),
        XtMatch::Headers(test) => {
            let known = [("hop-by-hop", 128), ("ipv6-frag", 16), ("esp", 4)];
            format!(
                "-m ipv6header {}--header {}{}",
                not(test.inverted != 0),
                names(test.headers.into(), &known),
                if test.is_soft { " --soft" } else { "" }
            )
        }
        XtMatch::Helper(HelperMatch(name)) => {
            format!("-m helper {}--helper {}", not(name.inverted), name.value)
        }
        XtMatch::HopByHopOptions(test) => options("hbh", "hbh", test),
        XtMatch::Icmp(test) => icmp("-m icmp", "--icmp-type", test),
        XtMatch::Icmp6(test) => icmp("-m icmp6", "--icmpv6-type", test),
        XtMatch::IpRange(test) => {
            let mut words = "-m iprange".to_owned();
            for (name, test) in [
                ("--src-range", &test.source),
                ("--dst-range", &test.destination),
            ] {
                if let Some(test) = test {
                    let (from, to) = (test.value.start(), test.value.end());
                    words += &format!(" {}{name} {from}-{to}", not(test.inverted));
                }
            }
            words
        }
        XtMatch::Length(LengthMatch(test)) => {
            format!(
                "-m length {}--length {}",
                not(test.inverted),
                range(&test.value, ":")
            )
        }
        XtMatch::Limit(limit) => {
            let (rate, _) = rate(limit.period.into(), 10_000);
            format!("-m limit --limit {rate} --limit-burst {}", limit.burst)
        }
        XtMatch::Mac(MacMatch(mac)) => {
            let address = mac.value.map(|byte| format!("{byte:02x}")).join(":");
            format!("-m mac {}--mac-source {address}", not(mac.inverted))
        }
        XtMatch::Mark(mark) => format!("-m mark{}", masked(mark, "--mark")),
        XtMatch::Mobility(MobilityMatch(test)) => {
            format!(
                "-m mh {}--mh-type {}",
                not(test.inverted),
                range(&test.value, ":")
            )
        }
        XtMatch::Multiport(test) => {
            let name = match test.end {
                MultiportEnd::Source => "--sports",
                MultiportEnd::Destination => "--dports",
                MultiportEnd::Either => "--ports",
            };
            let ports: Vec<String> = test.ports.iter().map(|ports| range(ports, ":")).collect();
            format!(
                "-m multiport {}{name} {}",
                not(test.inverted),
                ports.join(",")
            )
        }
        XtMatch::Accounting(test) => format!("-m nfacct --nfacct-name {}", test.name),
        XtMatch::Osf(test) => {
            let mut words = format!(
                "-m osf {}--genre {}",
                not(test.system.inverted),
                test.system.value
            );
            for (name, number) in [("--ttl", test.ttl), ("--log", test.log_level)] {
                words += &number
                    .map(|number| format!(" {name} {number}"))
                    .unwrap_or_default();
            }
            words
        }
        XtMatch::Owner(test) => {
            let mut words = "-m owner".to_owned();
            if let Some(test) = test.socket {
                words += &format!(" {}--socket-exists", not(!test));
            }
            for (name, test) in [("--uid-owner", &test.user), ("--gid-owner", &test.group)] {
                if let Some(test) = test {
                    words += &format!(" {}{name} {}", not(test.inverted), range(&test.value, "-"));
                }
            }
            words
        }
        XtMatch::PacketType(test) => {
            let name = match test.value {
                PacketType::Host => "unicast",
                PacketType::Broadcast => "broadcast",
                PacketType::Multicast => "multicast",
                PacketType::OtherHost | PacketType::Number(_) => "unknown",
            };
            format!("-m pkttype {}--pkt-type {name}", not(test.inverted))
        }
        XtMatch::Physdev(test) => {
            let mut words = "-m physdev".to_owned();
            if let Some(true) = test.has_input {
                words += " --physdev-is-in";
            }
            for (name, test) in [
                ("--physdev-in", &test.input),
                ("--physdev-out", &test.output),
            ] {
                if let Some(test) = test {
                    words += &format!(" {}{name} {}", not(test.inverted), interface(&test.value));
                }
            }
            if let Some(is_bridged) = test.is_bridged {
                words += &format!(" {}--physdev-is-bridged", not(!is_bridged));
            }
            words
        }
        XtMatch::Policy(test) => format!("-m policy{}", policy(test)),
        XtMatch::Quota(QuotaMatch(test)) => {
            format!("-m quota {}--quota {}", not(test.inverted), test.value)
        }
        XtMatch::Rateest(_) => unreachable!("the test has no estimator"),
        XtMatch::Realm(test) => format!("-m realm{}", masked(test, "--realm")),
        XtMatch::Recent(test) => format!("-m recent{}", recent(test)),
        XtMatch::ReversePath(test) => {
            let mut words = "-m rpfilter".to_owned();
            let flags = [
                ("loose", test.is_loose),
                ("validmark", test.uses_mark),
                ("accept-local", test.accepts_local),
                ("invert", test.inverted),
            ];
            for (name, _) in flags.iter().filter(|(_, is_set)| *is_set) {
                words += &format!(" --{name}");
            }
            words
        }
        XtMatch::Routing(test) => {
            let mut words = "-m rt".to_owned();
            if let Some(kind) = &test.kind {
                words += &format!(" {}--rt-type {}", not(kind.inverted), kind.value);
            }
            let segments = &test.segments_left;
            if segments.value != (0..=u32::MAX) {
                words += &format!(
                    " {}--rt-segsleft {}",
                    not(segments.inverted),
                    range(&segments.value, ":")
                );
            }
            if let Some(length) = &test.length {
                words += &format!(" {}--rt-len {}", not(length.inverted), length.value);
            }
            if test.reserved_is_zero {
                words += " --rt-0-res";
            }
            if let Some(list) = &test.addresses {
                let addresses: Vec<String> = list.addresses.iter().map(IpAddr::to_string).collect();
                words += &format!(" --rt-0-addrs {}", addresses.join(","));
                words += if list.has_gaps {
                    " --rt-0-not-strict"
                } else {
                    ""
                };
            }
            words
        }
        XtMatch::Sctp(test) => {
            let mut words = "-m sctp".to_owned();
            for (name, test) in [("--sport", &test.source), ("--dport", &test.destination)] {
                words += &test
                    .as_ref()
                    .map(|test| ports(name, test))
                    .unwrap_or_default();
            }
            if let Some(chunks) = &test.chunks {
                let mode = match chunks.value.mode {
                    SctpChunkMode::Any => "any",
                    SctpChunkMode::All => "all",
                    SctpChunkMode::Only => "only",
                };
                let chunk = |kind: &u8| {
                    let name = ["DATA", "INIT"][usize::from(*kind)];
                    let flags = chunks.value.flags.iter().find(|flags| flags.chunk == *kind);
                    // Of a DATA chunk: I, U, B, E from the highest bit.
                    let letters = flags.map_or(String::new(), |flags| {
                        let letters = [('i', 8), ('u', 4), ('b', 2), ('e', 1)].into_iter();
                        let letters = letters.filter(|(_, bit)| flags.mask & bit != 0);
                        let letters: String = letters
                            .map(|(letter, bit)| match flags.set & bit {
                                0 => letter,
                                _ => letter.to_ascii_uppercase(),
                            })
                            .collect();
                        format!(":{letters}")
                    });
                    format!("{name}{letters}")
                };
                let list: Vec<String> = chunks.value.types.iter().map(chunk).collect();
                words += &format!(
                    " {}--chunk-types {mode} {}",
                    not(chunks.inverted),
                    list.join(",")
                );
            }
            words
        }
        XtMatch::Set(test) => format!("-m set{}", set(test)),
        XtMatch::Socket(test) => {
            let mut words = "-m socket".to_owned();
            let flags = [
                ("transparent", test.is_transparent),
                ("nowildcard", test.includes_wildcard),
                ("restore-skmark", test.restores_mark),
            ];
            for (name, _) in flags.iter().filter(|(_, is_set)| *is_set) {
                words += &format!(" --{name}");
            }
            words
        }
        XtMatch::State(test) => format!("-m state --state {}", states(*test)),
        XtMatch::Statistic(StatisticMatch::Random(test)) => {
            let probability = f64::from(test.value) / f64::from(1_u32 << 31);
            format!(
                "-m statistic --mode random {}--probability {probability:.11}",
                not(test.inverted)
            )
        }
        XtMatch::Statistic(StatisticMatch::Nth {
            every,
            initial,
            inverted,
        }) => {
            format!(
                "-m statistic --mode nth {}--every {} --packet {initial}",
                not(*inverted),
                every + 1
            )
        }
        XtMatch::String(test) => {
            let is_text = test
                .pattern
                .iter()
                .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
            let pattern = match is_text {
                true => format!("--string \"{}\"", String::from_utf8_lossy(&test.pattern)),
                false => {
                    let digits: String = test
                        .pattern
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect();
                    format!("--hex-string \"|{digits}|\"")
                }
            };
            let mut words = format!(
                "-m string {}{pattern} --algo {}",
                not(test.inverted),
                test.algorithm
            );
            if test.from != 0 {
                words += &format!(" --from {}", test.from);
            }
            if test.to != u16::MAX {
                words += &format!(" --to {}", test.to);
            }
            words + if test.ignores_case { " --icase" } else { "" }
        }
        XtMatch::Tcp(test) => {
            let mut words = "-m tcp".to_owned();
            words += &ports("--sport", &test.source);
            words += &ports("--dport", &test.destination);
            if let Some(option) = &test.option {
                words += &format!(" {}--tcp-option {}", not(option.inverted), option.value);
            }
            let flags = test.flags.value;
            if flags.mask != 0 {
                let (mask, set) = (
                    names(flags.mask.into(), &TCP_FLAGS),
                    names(flags.set.into(), &TCP_FLAGS),
                );
                words += &format!(" {}--tcp-flags {mask} {set}", not(test.flags.inverted));
            }
            words
        }
        XtMatch::TcpMss(TcpMssMatch(test)) => {
            format!(
                "-m tcpmss {}--mss {}",
                not(test.inverted),
                range(&test.value, ":")
            )
        }
        XtMatch::Time(test) => format!("-m time{}", time(test)),
        XtMatch::Tos(test) => {
            format!(
                "-m tos {}--tos {:#04x}/{:#04x}",
                not(test.inverted),
                test.value,
                test.mask
            )
        }
        XtMatch::Ttl(test) => match test {
            TtlMatch::Equal(hops) => format!("-m ttl --ttl-eq {hops}"),
            TtlMatch::NotEqual(hops) => format!("-m ttl ! --ttl-eq {hops}"),
            TtlMatch::Less(hops) => format!("-m ttl --ttl-lt {hops}"),
            TtlMatch::Greater(hops) => format!("-m ttl --ttl-gt {hops}"),
        },
        XtMatch::U32(U32Match(tests)) => {
            format!(
                "-m u32 {}--u32 \"{}\"",
                not(tests.inverted),
                u32_tests(&tests.value)
            )
        }
        XtMatch::Udp(test) => {
            format!(
                "-m udp{}{}",
                ports("--sport", &test.source),
                ports("--dport", &test.destination)
            )
        }
        XtMatch::UdpLite(test) => {
            format!(
                "-m udplite{}{}",
                ports("--sport", &test.source),
                ports("--dport", &test.destination)
            )
        }
        XtMatch::Opaque(opaque) => format!(
            "opaque {} {} {:02x?}",
            opaque.name, opaque.revision, opaque.info
        ),
    }
}

fn icmp(name: &str, option: &str, test: &IcmpMatch) -> String {
    let kind = match (test.kind, test.codes == (0..=255)) {
        (None, _) => "any".to_owned(),
        (Some(kind), true) => kind.to_string(),
        (Some(kind), false) => format!("{kind}/{}", test.codes.start()),
    };
    format!("{name} {}{option} {kind}", not(test.inverted))
}

/// A target with its name, as `iptables-save` writes it (IPv4).
pub fn target_words(target: &XtTarget) -> String {
    let xmark = |mark: &MaskedNumber| format!("--set-xmark {:#x}/{:#x}", mark.value, mark.mask);
    match target {
        XtTarget::Audit(kind) => format!(
            "AUDIT --type {}",
            ["accept", "drop", "reject"][usize::from(*kind)]
        ),
        XtTarget::Checksum => "CHECKSUM --checksum-fill".to_owned(),
        XtTarget::Classify(class) => {
            format!(
                "CLASSIFY --set-class {:04x}:{:04x}",
                class >> 16,
                class & 0xffff
            )
        }
        XtTarget::Connmark(target) => match target.action {
            ConnmarkAction::Set(mark) => format!("CONNMARK {}", xmark(&mark)),
            ConnmarkAction::Save | ConnmarkAction::Restore => format!(
                "CONNMARK --{}-mark --nfmask {:#x} --ctmask {:#x}",
                if target.action == ConnmarkAction::Save {
                    "save"
                } else {
                    "restore"
                },
                target.packet_mask,
                target.connection_mask
            ),
        },
        XtTarget::Connsecmark(mode) => {
            format!(
                "CONNSECMARK --{}",
                ["", "save", "restore"][usize::from(*mode)]
            )
        }
        XtTarget::Ct(target) => {
            let mut words = "CT".to_owned();
            if target.is_untracked {
                words += " --notrack";
            }
            if !target.helper.is_empty() {
                words += &format!(" --helper {}", target.helper);
            }
            if target.events != 0 {
                let known = [("new", 1), ("related", 2), ("destroy", 4), ("reply", 8)];
                words += &format!(" --ctevents {}", names(target.events, &known));
            }
            if target.zone != 0 {
                words += &format!(" --zone {}", target.zone);
            }
            words
        }
        XtTarget::Dnat(range) => format!("DNAT --to-destination {}", nat(range)),
        XtTarget::Dscp(dscp) => format!("DSCP --set-dscp {dscp:#04x}"),
        XtTarget::Ecn(EcnTarget {
            ip: None,
            ece: Some(false),
            cwr: Some(false),
        }) => "ECN --ecn-tcp-remove".to_owned(),
        XtTarget::Hmark(target) => {
            let bits = target.masks.map(|mask| match mask {
                IpAddr::V4(mask) => u32::from(mask).count_ones(),
                IpAddr::V6(mask) => u128::from(mask).count_ones(),
            });
            format!(
                "HMARK --hmark-src-prefix {} --hmark-dst-prefix {} --hmark-rnd {:#010x} --hmark-mod {} --hmark-offset {}",
                bits[0], bits[1], target.seed, target.modulus, target.offset
            )
        }
        XtTarget::IdleTimer(target) => format!(
            "IDLETIMER --timeout {} --label {}",
            target.timeout, target.label
        ),
        XtTarget::Log(target) => {
            let flags = [
                (" --log-tcp-sequence", 1),
                (" --log-tcp-options", 2),
                (" --log-ip-options", 4),
                (" --log-uid", 8),
            ];
            let flags = flags.iter().filter(|(_, bit)| target.flags & bit != 0);
            let flags: String = flags.map(|(name, _)| *name).collect();
            format!(
                "LOG --log-prefix \"{}\" --log-level {}{flags}",
                target.prefix, target.level
            )
        }
        XtTarget::Mark(mark) => format!("MARK {}", xmark(mark)),
        XtTarget::Masquerade(range) => format!("MASQUERADE --to-ports {}", nat(range)),
        XtTarget::Netmap(translation) => {
            let addresses = translation.addresses.as_ref().expect("addresses");
            let (IpAddr::V4(first), IpAddr::V4(last)) = (addresses.start(), addresses.end()) else {
                panic!("not IPv4");
            };
            let prefix = (u32::from(*first) ^ u32::from(*last)).leading_zeros();
            format!("NETMAP --to {first}/{prefix}")
        }
        XtTarget::Nflog(target) => format!(
            "NFLOG --nflog-prefix \"{}\" --nflog-group {} --nflog-threshold {}",
            target.prefix, target.group, target.threshold
        ),
        XtTarget::Nfqueue(target) => format!(
            "NFQUEUE --queue-balance {}:{}{}{}",
            target.queue,
            target.queue + target.queues - 1,
            if target.is_bypassed {
                " --queue-bypass"
            } else {
                ""
            },
            if target.is_by_cpu {
                " --queue-cpu-fanout"
            } else {
                ""
            }
        ),
        XtTarget::Rateest(name) => {
            format!(
                "RATEEST --rateest-name {name} --rateest-interval 250.0ms --rateest-ewmalog 500.0ms"
            )
        }
        XtTarget::Redirect(range) => format!("REDIRECT --to-ports {}", nat(range)),
        XtTarget::Reject(RejectTarget::TcpReset) => "REJECT --reject-with tcp-reset".to_owned(),
        XtTarget::Reject(RejectTarget::Unreachable(code)) => {
            // RFC 792 and RFC 1812 section 5.2.7.1.
            let name = match code {
                0 => "net-unreachable",
                1 => "host-unreachable",
                2 => "proto-unreachable",
                3 => "port-unreachable",
                9 => "net-prohibited",
                10 => "host-prohibited",
                13 => "admin-prohibited",
                _ => "unknown",
            };
            format!("REJECT --reject-with icmp-{name}")
        }
        XtTarget::Set(target) => {
            let set = |name: &str, set: &Option<SetReference>| {
                set.as_ref().map_or(String::new(), |set| {
                    let named = ["nets", "ports"][usize::from(set.index)];
                    format!(" --{name}-set {named} {}", ends(&set.ends))
                })
            };
            let mut words = format!("SET{}", set("add", &target.add));
            if target.replaces {
                words += " --exist";
            }
            if let Some(seconds) = target.timeout {
                words += &format!(" --timeout {seconds}");
            }
            words + &set("del", &target.remove) + &set("map", &target.map)
        }
        XtTarget::Snat(range) => format!("SNAT --to-source {}", nat(range)),
        XtTarget::Synproxy(target) => {
            let mut words = "SYNPROXY".to_owned();
            let is = |bit: u8| target.options & bit != 0;
            for (bit, name) in [(4, " --sack-perm"), (8, " --timestamp")] {
                words += if is(bit) { name } else { "" };
            }
            if is(2) {
                words += &format!(" --wscale {}", target.window_scale);
            }
            if is(1) {
                words += &format!(" --mss {}", target.segment_size);
            }
            words
        }
        XtTarget::TcpMss(None) => "TCPMSS --clamp-mss-to-pmtu".to_owned(),
        XtTarget::TcpMss(Some(size)) => format!("TCPMSS --set-mss {size}"),
        XtTarget::TcpOptStrip(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(u8::to_string).collect();
            format!("TCPOPTSTRIP --strip-options {}", kinds.join(","))
        }
        XtTarget::Tee(target) => format!("TEE --gateway {}", target.gateway),
        XtTarget::Tos { mask, value } => format!("TOS --set-tos {value:#04x}/{mask:#04x}"),
        XtTarget::Tproxy(target) => format!(
            "TPROXY --on-port {} --on-ip {} --tproxy-mark {:#x}/{:#x}",
            target.port, target.address, target.mark.value, target.mark.mask
        ),
        XtTarget::Trace => "TRACE".to_owned(),
        XtTarget::Ttl(TtlTarget::Set(hops)) => format!("TTL --ttl-set {hops}"),
        XtTarget::Ttl(TtlTarget::Increment(hops)) => format!("TTL --ttl-inc {hops}"),
        XtTarget::Ttl(TtlTarget::Decrement(hops)) => format!("TTL --ttl-dec {hops}"),
        XtTarget::Opaque(opaque) => format!(
            "opaque {} {} {:02x?}",
            opaque.name, opaque.revision, opaque.info
        ),
        other @ (XtTarget::Dnpt(_)
        | XtTarget::Ecn(_)
        | XtTarget::Led(_)
        | XtTarget::Secmark(_)
        | XtTarget::Snpt(_)) => format!("{other:?}"),
    }
}

fn nat(translation: &NatRange) -> String {
    let mut words = String::new();
    if let Some(addresses) = &translation.addresses {
        words += &range(addresses, "-");
    }
    if let Some(ports) = &translation.ports {
        let colon = if translation.addresses.is_some() {
            ":"
        } else {
            ""
        };
        words += &format!("{colon}{}", range(ports, "-"));
    }
    if let Some(base) = translation.base_port {
        words += &format!("/{base}");
    }
    let flags = [
        (" --random", translation.is_random),
        (" --random-fully", translation.is_fully_random),
        (" --persistent", translation.is_persistent),
    ];
    let flags: String = flags
        .iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| *name)
        .collect();
    words + &flags
}
