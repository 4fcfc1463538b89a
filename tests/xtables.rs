//! Rules of iptables, as the kernel holds them, decode to the words of `iptables-save`: both read the same structures,
//! and iptables knows what they mean.

#![allow(
    clippy::print_stdout,
    reason = "what a kernel lacks is said, not passed over"
)]

#[path = "xtables/sets.rs"]
mod sets;
#[path = "xtables/words.rs"]
mod words;

use std::{
    env, fs,
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use firedrill::ruleset::{
    chain::Family,
    program::{
        Expression, ProgramRule, ProgramVerdict, XtExtension,
        legacy::{self, LegacyTableBytes},
        xtables::XtMatch,
    },
};
use firedrill_harness::{legacy_tables, protocol::LegacyTable};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Set in the process of the test that has a network namespace of its own.
const INSIDE: &str = "FIREDRILL_TEST_IN_NAMESPACE";

/// Runs a test of this program again in a fresh user and network namespace; false in that process.
fn runs_in_namespace(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return false;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("XTABLES_LOCKFILE", folder.path().join("lock"))
        .status();
    assert!(status.expect("unshare is installed").success());
    true
}

/// Runs a command with this input; its output, or its first line of errors.
fn run(argv: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is installed");
    let mut stdin = child.stdin.take().expect("its input");
    stdin
        .write_all(input.as_bytes())
        .expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()),
    }
}

/// The table and the chain in which a rule is allowed.
fn place(rule: &str) -> (&'static str, &'static str) {
    match rule {
        rule if rule.contains("rpfilter") => ("raw", "PREROUTING"),
        rule if rule.contains("owner") => ("filter", "OUTPUT"),
        _ => ("filter", "INPUT"),
    }
}

/// A rule as loaded: what iptables reads of it, and what is decoded.
struct LoadedRule {
    saved: String,
    decoded: Vec<Expression>,
}

/// Loads a rule into legacy iptables; `None`, with a line of output, where the kernel or iptables lack it.
fn load_legacy(family: Family, rule: &str) -> Option<LoadedRule> {
    let programs = match family {
        Family::LegacyIp => ["iptables-legacy-restore", "iptables-legacy-save"],
        _ => ["ip6tables-legacy-restore", "ip6tables-legacy-save"],
    };
    let (table, chain) = place(rule);
    if let Err(error) = run(
        &[programs[0]],
        &format!("*{table}\n-A {chain} {rule}\nCOMMIT\n"),
    ) {
        println!("NOT LOADED HERE: {} {rule}: {error}", programs[0]);
        return None;
    }
    let saved = run(&[programs[1], "-t", table], "").expect("iptables-save lists the rules");
    let start = format!("-A {chain} ");
    let saved = saved
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .expect("the rule");
    Some(LoadedRule {
        saved: saved.to_owned(),
        decoded: legacy_rules(family, table, chain).remove(0).expressions,
    })
}

fn legacy_rules(family: Family, table: &str, chain: &str) -> Vec<ProgramRule> {
    let dumped = legacy_tables().expect("the kernel hands out its tables");
    let tables: Vec<LegacyTableBytes> = dumped
        .iter()
        .map(|table| LegacyTableBytes {
            family: if table.family == 2 {
                Family::LegacyIp
            } else {
                Family::LegacyIp6
            },
            info: &table.info.0,
            entries: &table.entries.0,
        })
        .collect();
    let program = legacy::decode(&tables).expect("the tables decode");
    let mut tables = program.tables.into_iter();
    let table = tables.find(|known| known.family == family && known.name == table);
    let mut chains = table.expect("the table").chains.into_iter();
    chains
        .find(|known| known.name == chain)
        .expect("the chain")
        .rules
}

/// What was decoded, in the words of `iptables-save`.
fn decoded_words(family: Family, expressions: &[Expression]) -> String {
    let mut parts = Vec::new();
    for expression in expressions {
        match expression {
            Expression::XtHeader(header) => parts.push(words::header(header)),
            Expression::XtMatch(extension) => {
                let test = extension.as_match(family);
                let words = words::words(&test);
                parts.push(match family {
                    Family::LegacyIp6 => words.replace("ttl", "hl"),
                    _ => words,
                });
            }
            Expression::Counter(_) => {}
            other => parts.push(format!("{other:?}")),
        }
    }
    parts.join(" ")
}

fn rules(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

#[test]
fn legacy_rules_decode_to_the_words_of_iptables_save() {
    if runs_in_namespace("legacy_rules_decode_to_the_words_of_iptables_save") {
        return;
    }
    run(&["ipset", "create", "nets", "hash:net"], "").expect("a set");
    run(
        &["ipset", "create", "ports", "hash:ip,port", "counters"],
        "",
    )
    .expect("a set");
    let families = [
        (Family::LegacyIp, include_str!("xtables/v4.rules")),
        (Family::LegacyIp6, include_str!("xtables/v6.rules")),
    ];
    let (mut compared, mut wrong) = (0, Vec::new());
    for (family, text) in families {
        for rule in rules(text) {
            let Some(loaded) = load_legacy(family, rule) else {
                continue;
            };
            compared += 1;
            // `state` is `conntrack` in the kernel, and the name is only for the listing.
            let saved = loaded
                .saved
                .replace("-m state --state", "-m conntrack --ctstate");
            let decoded = decoded_words(family, &loaded.decoded);
            if saved != decoded {
                wrong.push(format!("saved:   {saved}\ndecoded: {decoded}"));
            }
        }
    }
    println!("{compared} rules compared");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // All but accounting objects, which this machine has no program to make.
    assert!(compared >= 90, "only {compared} rules could be loaded");
}

/// The matches and targets in the nftables rules of a family that are those of iptables, in their order, read by hand:
/// `NFT_MSG_GETRULE` (linux/netfilter/nf_tables.h).
fn nft_extensions(family: Family) -> Vec<(String, XtExtension)> {
    let number = if family == Family::Ip { 2 } else { 10 };
    let request = [
        20, 0, 0, 0, 7, 10, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, number, 0, 0, 0,
    ];
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        SockProtocol::NetlinkNetFilter,
    );
    let netlink = netlink.expect("a socket");
    send(netlink.as_raw_fd(), &request, MsgFlags::empty()).expect("the kernel takes the request");
    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("an answer");
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(rest[..4].try_into().expect("a header")) as usize;
            // `NLMSG_DONE`.
            if rest[4..6] == [3, 0] {
                return found;
            }
            let rule = attributes(&rest[20..length]);
            let list = rule
                .iter()
                .find(|(kind, _)| *kind == 4)
                .map(|(_, list)| *list);
            for (_, expression) in attributes(list.unwrap_or_default()) {
                found.extend(nft_extension(expression));
            }
            rest = &rest[length.next_multiple_of(4)..];
        }
    }
}

fn nft_extension(expression: &[u8]) -> Option<(String, XtExtension)> {
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .trim_end_matches('\0')
            .to_owned()
    };
    let value = |of: &[(u16, &[u8])], wanted: u16| {
        let found = of.iter().find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| value.to_vec())
    };
    let expression = attributes(expression);
    let kind = text(&value(&expression, 1)?);
    let data = value(&expression, 2).filter(|_| ["match", "target"].contains(&kind.as_str()))?;
    let data = attributes(&data);
    let extension = XtExtension {
        name: text(&value(&data, 1)?),
        revision: u32::from_be_bytes(value(&data, 2)?.try_into().ok()?),
        info: value(&data, 3)?,
    };
    Some((kind, extension))
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        found.push((
            u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff,
            &bytes[4..length],
        ));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[test]
fn the_matches_of_nft_rules_are_those_of_legacy_rules() {
    if runs_in_namespace("the_matches_of_nft_rules_are_those_of_legacy_rules") {
        return;
    }
    run(&["ipset", "create", "nets", "hash:net"], "").expect("a set");
    run(
        &["ipset", "create", "ports", "hash:ip,port", "counters"],
        "",
    )
    .expect("a set");
    let families = [
        (
            Family::LegacyIp,
            Family::Ip,
            "iptables-nft-restore",
            include_str!("xtables/v4.rules"),
        ),
        (
            Family::LegacyIp6,
            Family::Ip6,
            "ip6tables-nft-restore",
            include_str!("xtables/v6.rules"),
        ),
    ];
    let mut compared = 0;
    for (legacy, nft, program, text) in families {
        for rule in rules(text) {
            let Some(loaded) = load_legacy(legacy, rule) else {
                continue;
            };
            let (table, chain) = place(rule);
            let input = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
            run(&[program], &input).expect("what legacy iptables takes, iptables-nft takes");
            let of_nft: Vec<XtMatch> = nft_extensions(nft)
                .iter()
                .map(|(_, extension)| extension.as_match(nft))
                .collect();
            run(&[program], &format!("*{table}\nCOMMIT\n")).expect("the rule goes");
            let of_legacy: Vec<XtMatch> = loaded
                .decoded
                .iter()
                .filter_map(|expression| match expression {
                    Expression::XtMatch(extension) => Some(extension.as_match(legacy)),
                    _ => None,
                })
                .collect();
            // Some matches are expressions of nftables of their own.
            match of_nft.is_empty() {
                true => println!("NATIVE: {rule}"),
                false => {
                    compared += 1;
                    assert_eq!(of_nft, of_legacy, "{rule}");
                }
            }
        }
    }
    println!("{compared} rules compared");
    assert!(
        compared >= 80,
        "only {compared} rules have matches of iptables"
    );
}

#[test]
fn targets_of_legacy_rules_decode_to_the_words_of_iptables_save() {
    if runs_in_namespace("targets_of_legacy_rules_decode_to_the_words_of_iptables_save") {
        return;
    }
    run(&["ipset", "create", "nets", "hash:net"], "").expect("a set");
    run(
        &["ipset", "create", "ports", "hash:ip,port", "counters"],
        "",
    )
    .expect("a set");
    let mut wrong = Vec::new();
    for line in rules(include_str!("xtables/targets.rules")) {
        let [table, chain, rule]: [&str; 3] = line
            .splitn(3, '|')
            .collect::<Vec<_>>()
            .try_into()
            .expect("table, chain and rule");
        let input = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
        run(&["iptables-legacy-restore"], &input).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let saved = run(&["iptables-legacy-save", "-t", table], "").expect("a listing");
        let target = saved.lines().find_map(|line| line.split_once(" -j "));
        let (_, saved) = target.expect("the rule");
        let loaded = legacy_rules(Family::LegacyIp, table, chain).remove(0);
        let decoded = match loaded.expressions.last() {
            Some(Expression::XtTarget(target)) => {
                words::target_words(&target.as_target(Family::LegacyIp))
            }
            other => format!("{other:?}"),
        };
        // `NOTRACK` is `CT` in the kernel, and the name is only for the listing.
        if saved.replace("NOTRACK", "CT --notrack") != decoded {
            wrong.push(format!("saved:   {saved}\ndecoded: {decoded}"));
        }
        run(&["iptables-legacy-restore"], &format!("*{table}\nCOMMIT\n")).expect("the rule goes");
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Set to write the recordings again, from the kernel at hand: `UPDATE_RECORDED=1 cargo test --test xtables recorded`.
const UPDATE: &str = "UPDATE_RECORDED";

/// Loads all rules of a family that fit in one chain, and writes the table's bytes beside the words of iptables.
fn record(family: Family, name: &str, text: &'static str) {
    let is_v4 = family == Family::LegacyIp;
    let [restore, save] = match is_v4 {
        true => ["iptables-legacy-restore", "iptables-legacy-save"],
        false => ["ip6tables-legacy-restore", "ip6tables-legacy-save"],
    };
    let mut input = "*filter\n".to_owned();
    for rule in rules(text).filter(|rule| place(rule) == ("filter", "INPUT")) {
        if load_legacy(family, rule).is_some() {
            input += &format!("-A INPUT {rule}\n");
        }
    }
    run(&[restore], &format!("{input}COMMIT\n")).expect("the rules load");
    let saved = run(&[save, "-t", "filter"], "").expect("a listing");
    let saved: String = saved
        .lines()
        .filter_map(|line| line.strip_prefix("-A INPUT "))
        .map(|line| line.replace("-m state --state", "-m conntrack --ctstate") + "\n")
        .collect();
    let tables = legacy_tables().expect("the kernel hands out its tables");
    let is_filter = |table: &&LegacyTable| {
        (table.family == 2) == is_v4 && table.info.0.starts_with(b"filter\0")
    };
    let table = tables.iter().find(is_filter).expect("the table");
    for (kind, bytes) in [
        ("info", table.info.0.as_slice()),
        ("entries", table.entries.0.as_slice()),
        ("saved", saved.as_bytes()),
    ] {
        fs::write(recording(name, kind), bytes).expect("the recording is written");
    }
}

fn recording(name: &str, kind: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xtables/recorded");
    folder.join(format!("{name}.{kind}"))
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn recorded_tables_decode_to_the_words_recorded_with_them() {
    let families = [
        (Family::LegacyIp, "v4", include_str!("xtables/v4.rules")),
        (Family::LegacyIp6, "v6", include_str!("xtables/v6.rules")),
    ];
    if env::var_os(UPDATE).is_some() {
        if runs_in_namespace("recorded_tables_decode_to_the_words_recorded_with_them") {
            return;
        }
        run(&["ipset", "create", "nets", "hash:net"], "").expect("a set");
        run(
            &["ipset", "create", "ports", "hash:ip,port", "counters"],
            "",
        )
        .expect("a set");
        for (family, name, text) in families {
            record(family, name, text);
        }
    }
    for (family, name, _) in families {
        let read = |kind| fs::read(recording(name, kind)).expect("a recording");
        let (info, entries, saved) = (read("info"), read("entries"), read("saved"));
        let table = LegacyTableBytes {
            family,
            info: &info,
            entries: &entries,
        };
        let program = legacy::decode(&[table]).expect("the table decodes");
        let chain = &program.tables[0].chains[0];
        assert_eq!(
            (chain.name.as_str(), program.tables[0].name.as_str()),
            ("INPUT", "filter")
        );
        let decoded = chain
            .rules
            .iter()
            .map(|rule| decoded_words(family, &rule.expressions));
        let saved = String::from_utf8(saved).expect("words");
        assert!(saved.lines().count() >= 20, "{name} has few rules");
        assert_eq!(
            decoded.collect::<Vec<_>>(),
            saved.lines().collect::<Vec<_>>()
        );
    }
}

const CHAINS: &str = "*filter\n:INPUT DROP [0:0]\n:sub - [0:0]\n:other - [0:0]\n-A INPUT -j sub\n-A INPUT -g other\n\
    -A INPUT -j ACCEPT\n-A INPUT\n-A sub -j RETURN\n-A sub -j DROP\nCOMMIT\n";

#[test]
fn jumps_of_legacy_rules_lead_to_chains_by_name() {
    if runs_in_namespace("jumps_of_legacy_rules_lead_to_chains_by_name") {
        return;
    }
    for (family, program) in [
        (Family::LegacyIp, "iptables-legacy-restore"),
        (Family::LegacyIp6, "ip6tables-legacy-restore"),
    ] {
        run(&[program], CHAINS).expect("the rules load");
        let verdicts = |chain: &str| -> Vec<Option<ProgramVerdict>> {
            let rules = legacy_rules(family, "filter", chain);
            let numbers: Vec<u64> = rules.iter().map(|rule| rule.handle).collect();
            assert_eq!(numbers, (1..=rules.len() as u64).collect::<Vec<_>>());
            let verdict = |rule: ProgramRule| match rule.expressions.as_slice() {
                [Expression::Counter(_), Expression::Verdict(verdict)] => Some(verdict.clone()),
                [Expression::Counter(_)] => None,
                other => panic!("{other:?}"),
            };
            rules.into_iter().map(verdict).collect()
        };
        let expected = [
            Some(ProgramVerdict::Jump("sub".to_owned())),
            Some(ProgramVerdict::Goto("other".to_owned())),
            Some(ProgramVerdict::Accept),
            None,
        ];
        assert_eq!(verdicts("INPUT"), expected);
        let expected = [Some(ProgramVerdict::Return), Some(ProgramVerdict::Drop)];
        assert_eq!(verdicts("sub"), expected);
        assert_eq!(verdicts("other"), []);
    }
}

#[test]
fn to_read_legacy_tables_makes_none() {
    if runs_in_namespace("to_read_legacy_tables_makes_none") {
        return;
    }
    assert_eq!(legacy_tables().expect("there is nothing to read"), []);
    let names = fs::read_to_string("/proc/self/net/ip_tables_names").unwrap_or_default();
    assert_eq!(names, "");
}
