//! The documentation is true: what it shows of files and of the program is what they are, what it names
//! exists, and what exists is named.
//!
//! In the guide, a block `console` is run line by line in a copy of `docs/example`; `json run="…"` shows
//! the output of a command; `file=PATH` shows a file beside the document; `as=PATH` writes the block to
//! that path of the copy first. `UPDATE_DOCS=1 cargo test --test docs` rewrites whatever is not current.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the documentation has failed"
)]

#[path = "docs/judged.rs"]
mod judged;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/project.rs"]
mod project;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use firedrill::{
    dialect, judge::verdict::Inconclusive, record::exit::Exit, scenario::RejectKind,
    trace::decider::KernelReason,
};
use markdown::{Block, anchors, blocks, links, quoted, rows, section};
use project::{PROGRAM, Project, indented, redacted, told};
use regex_lite::Regex;
use serde_json::Value;

const HOW_TO_UPDATE: &str = "is not current; `UPDATE_DOCS=1 cargo test --test docs` rewrites it";

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document of `docs/`.
fn documents() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("docs"), &mut found);
    found.sort();
    found
}

fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// What `firedrill COMMAND --help` prints.
fn help(command: Option<&str>) -> String {
    let mut program = Command::new(PROGRAM);
    let words = command.into_iter().flat_map(str::split_whitespace);
    let output = program.args(words).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for document in documents().into_iter().chain(["README.md".into()]) {
        for link in links(&read(&document)) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", document.display());
            if !anchor.is_empty() {
                let found = anchors(&read(&target)).iter().any(|known| known == anchor);
                assert!(found, "{}: no heading for {link}", document.display());
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
}

/// What a block should say, for blocks that show something else.
fn current(block: &Block, document: &Path, project: &mut Project) -> Option<String> {
    if let Some(path) = block.attribute("file") {
        let file = read(document.parent().unwrap().join(path));
        let is_part = !block.text.is_empty() && file.contains(&block.text);
        return Some(if is_part { block.text.clone() } else { file });
    }
    if let Some(path) = block.attribute("as") {
        project.write(path, &block.text);
        return None;
    }
    if let Some(command) = block.attribute("run") {
        let kernel = Regex::new(r#""kernel": "[^"]*""#).unwrap();
        let json = indented(&project.shell(command));
        // Whose machine it was is nobody's business.
        return Some(
            kernel
                .replace_all(&json, r#""kernel": "6.1.0""#)
                .into_owned(),
        );
    }
    if block.language != "console" {
        return None;
    }
    let mut text = String::new();
    for line in block.text.lines().filter(|line| line.starts_with("$ ")) {
        text.push_str(line);
        text.push('\n');
        text.push_str(&project.shell(&line[2..]));
    }
    Some(text)
}

#[test]
fn every_excerpt_of_a_file_and_of_the_program_s_output_is_current() {
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let mut project = Project::new();
        let mut stale = Vec::new();
        for block in blocks(&text) {
            let Some(current) = current(&block, &document, &mut project) else {
                continue;
            };
            seen += 1;
            if redacted(&current) != redacted(&block.text) {
                stale.push((block, current));
            }
        }
        if updating() {
            if !stale.is_empty() {
                fs::write(&document, markdown::with_texts(&text, &stale)).unwrap();
            }
            continue;
        }
        if let Some((block, current)) = stale.first() {
            let place = format!("{}:{}", document.display(), block.lines.start);
            assert_eq!(
                redacted(&block.text),
                redacted(current),
                "{place} {HOW_TO_UPDATE}"
            );
        }
    }
    assert!(seen > 15, "only {seen} excerpts were found");
}

#[test]
fn every_scenario_of_the_guide_holds() {
    let mut seen = 0;
    for document in documents() {
        let project = Project::new();
        let example = read("docs/example/scenarios/web.yaml");
        let (lab, _) = example.split_once("\ntests:").unwrap();
        project.write("scenarios/_lab.yaml", lab);
        for (number, block) in blocks(&read(&document)).into_iter().enumerate() {
            if let Some(path) = block.attribute("as") {
                project.write(path, &block.text);
            }
            let of_a_scenario = ["firewall", "hosts", "tests"].map(|key| block.has_key(key));
            if block.language != "yaml" || of_a_scenario == [false; 3] {
                continue;
            }
            let path = match block.attribute("as") {
                Some(part) if part.contains("/_") => continue,
                Some(path) => path.to_owned(),
                None => format!("scenarios/block-{number}.yaml"),
            };
            let mut text = block.text.clone();
            if of_a_scenario != [true; 3] && !block.has_key("include") {
                // An excerpt, about the lab of the example.
                text.insert_str(0, "include: _lab.yaml\n");
            }
            if !block.has_key("tests") {
                text.push_str("tests:\n  - internet -> firewall tcp/22: drop\n");
            }
            project.write(&path, &text);
            for command in ["check", "test"] {
                let output = project.firedrill(&[command, &path]);
                let place = format!("{}:{}", document.display(), block.lines.start);
                // A kernel without VLANs says so; where it has them, there is /proc/net/vlan.
                let no_vlans = told(&output).contains("this kernel has no VLANs")
                    && !Path::new("/proc/net/vlan").exists();
                let holds = output.status.success() || no_vlans;
                assert!(holds, "{place}: {}", told(&output));
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} scenarios were found");
}

#[test]
fn the_example_passes() {
    let output = Command::new(PROGRAM)
        .args(["test", "docs/example/scenarios"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[test]
fn the_published_schema_is_that_of_the_program() {
    let file = "docs/scenario.schema.json";
    let output = Command::new(PROGRAM).arg("schema").output().unwrap();
    let schema = String::from_utf8(output.stdout).unwrap();
    if updating() {
        fs::write(file, &schema).unwrap();
    }
    assert!(read(file) == schema, "{file} {HOW_TO_UPDATE}");
}

#[test]
fn every_key_of_the_format_is_documented() {
    fn keys(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                map.values().for_each(|value| keys(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let pages = ["scenario-format", "packets", "conversations", "sweeps"];
    let guide = pages
        .map(|page| read(format!("docs/guide/{page}.md")))
        .concat();
    let mut known = BTreeSet::new();
    keys(&firedrill::scenario::json_schema(), &mut known);
    let tables = rows(&guide);
    let words: BTreeSet<&str> = tables.iter().flat_map(|row| quoted(&row[0])).collect();
    // A packet's headers have no row of their own: they are the column "in".
    let headers: BTreeSet<&str> = tables
        .iter()
        .filter_map(|row| row.get(1))
        .flat_map(|cell| quoted(cell))
        .collect();
    let missing: Vec<_> = known
        .iter()
        .filter(|key| !words.contains(key.as_str()) && !headers.contains(key.as_str()))
        .collect();
    assert!(missing.is_empty(), "no table has {missing:?}");
}

/// What the guide says of dialects stands in their table.
#[test]
fn the_dialects_of_the_guide_are_those_of_the_program() {
    const GUIDE: &str = "docs/guide/scenario-format.md";
    const START: &str = "<!-- dialects -->\n";
    let guide = read(GUIDE);
    let (before, rest) = guide.split_once(START).unwrap();
    let (shown, after) = rest.split_once("<!-- end of dialects -->").unwrap();
    let mut table = String::from("| dialect | keys | means |\n|---|---|---|\n");
    for dialect in dialect::ALL {
        table += &format!("| `{}` | | {} |\n", dialect.key, dialect.doc);
        let slots = dialect.slots.iter().filter(|_| dialect.slots.len() > 1);
        for slot in slots {
            table += &format!("| | `{}` | {} |\n", slot.name, slot.doc);
        }
    }
    if updating() {
        let current = format!("{before}{START}{table}<!-- end of dialects -->{after}");
        fs::write(GUIDE, current).unwrap();
    } else {
        assert_eq!(shown, table, "{GUIDE} {HOW_TO_UPDATE}");
    }
}

#[test]
fn every_kind_of_reject_is_documented() {
    let guide = read("docs/guide/scenario-format.md");
    let kinds: Vec<String> = rows(section(&guide, "## Outcomes"))
        .into_iter()
        .filter(|row| row.len() == 3 && row[0].starts_with('`'))
        .map(|row| row[0].trim_matches('`').to_owned())
        .filter(|word| word.contains('-'))
        .collect();
    assert_eq!(kinds, RejectKind::ALL.map(|kind| kind.word().to_owned()));
}

#[test]
fn the_limits_of_this_version_are_its_limits() {
    let guide = read("docs/guide/scenario-format.md");
    let project = Project::new();
    let example = read("docs/example/scenarios/web.yaml");
    let (lab, _) = example.split_once("\ntests:").unwrap();
    project.write("scenarios/_lab.yaml", lab);
    let mut seen = 0;
    for row in rows(section(&guide, "## Limits of this version")) {
        for key in quoted(row.get(1).map_or("", String::as_str)) {
            let test = |service: &str, expect: &str, more: &str| {
                format!(
                    "include: _lab.yaml\ntests:\n  - {{ from: internet, to: firewall, {service}, expect: {expect}{more} }}\n"
                )
            };
            let text = match row[0].trim_matches('`') {
                "firewall" => format!(
                    "include: _lab.yaml\nfirewall: {{ {key}: x }}\ntests: [internet -> firewall tcp/1: drop]\n"
                ),
                "test" => test("service: tcp/1", "drop", &format!(", {key}: x")),
                "packet" => test(&format!("packet: {{ {key}: x }}"), "drop", ""),
                "tcp" => test(
                    &format!("packet: {{ tcp: {{ dport: 1, {key}: x }} }}"),
                    "drop",
                    "",
                ),
                "expect" => test("service: tcp/1", &format!("{{ {key}: drop }}"), ""),
                "accept" => test(
                    "service: tcp/1",
                    &format!("{{ accept: {{ {key}: 1 }} }}"),
                    "",
                ),
                other => panic!("the table of limits has a row `{other}`"),
            };
            project.write("scenarios/limit.yaml", &text);
            let output = project.firedrill(&["check", "scenarios/limit.yaml"]);
            let message = format!("`{key}` is not supported in this version");
            assert!(told(&output).contains(&message), "{text}{}", told(&output));
            seen += 1;
        }
    }
    assert!(seen >= 3, "only {seen} limits were found");
}

#[test]
fn the_commands_of_the_guide_are_those_of_the_program() {
    let guide = read("docs/guide/command-line.md");
    let mut documented: Vec<String> = rows(guide.split("\n## ").next().unwrap())
        .iter()
        .skip(1)
        .map(|row| quoted(&row[0])[0].to_owned())
        .collect();
    let help = help(None);
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let mut known: Vec<String> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

/// The options of a help text, as the guide writes them: `-j N`, `--jobs N`, `--coverage[=FILE]`.
fn options(help: &str) -> BTreeSet<String> {
    let pattern = Regex::new(r"(?m)^ +(?:(-\w), )?(--[\w-]+)(?: <(.+)>|(\[=)<(.+)>\])?$").unwrap();
    let one_line = Regex::new(r"(?m)^( +(?:-\w, )?--[\w-]+(?: <\S+>|\[=<\S+>\])?).*$").unwrap();
    let help = one_line.replace_all(help, "$1");
    let mut found = BTreeSet::new();
    for option in pattern.captures_iter(&help) {
        let value = match (option.get(3), option.get(5)) {
            (Some(value), _) => format!(" {}", value.as_str()),
            (None, Some(value)) => format!("[={}]", value.as_str()),
            (None, None) => String::new(),
        };
        for name in [option.get(1), option.get(2)].into_iter().flatten() {
            found.insert(format!("{}{value}", name.as_str()));
        }
    }
    found
}

/// The options in the tables of a text.
fn documented_options(text: &str) -> BTreeSet<String> {
    let cells: Vec<String> = rows(text).into_iter().map(|row| row[0].clone()).collect();
    let words = cells.iter().flat_map(|cell| quoted(cell));
    words
        .filter(|word| word.starts_with('-') && *word != "-->")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_options_of_the_guide_are_those_of_the_program() {
    let guide = read("docs/guide/command-line.md");
    let common = documented_options(section(&guide, "## Options of every command"));
    assert_eq!(common, options(&help(None)));
    let mut seen = 0;
    for command in [
        "test",
        "explain",
        "check",
        "doctor",
        "shell",
        "images build",
        "images remove",
        "clean",
        "report merge",
        "schema",
    ] {
        if command.starts_with("images ") && !cfg!(feature = "docker") {
            continue;
        }
        let own: BTreeSet<String> = options(&help(Some(command)))
            .difference(&common)
            .cloned()
            .collect();
        let documented = documented_options(section(&guide, &format!("## firedrill {command}")));
        assert_eq!(documented, own, "{command}");
        seen += own.len();
    }
    assert!(seen > 5, "only {seen} options were found");
}

#[test]
fn the_exit_codes_of_the_guide_are_those_of_the_program() {
    let guide = read("docs/guide/command-line.md");
    let documented: Vec<String> = rows(section(&guide, "## Exit codes"))
        .iter()
        .skip(1)
        .map(|row| row[0].clone())
        .collect();
    let project = Project::new();
    project.write("empty.nft", "# nothing\n");
    project.write(
        "open.nft",
        "table inet t { chain c { type filter hook input priority 0; policy accept; }\n}\n",
    );
    let known = [
        (Exit::Success, vec!["test"]),
        (Exit::Failed, vec!["test", "--candidate", "open.nft"]),
        (Exit::BadInput, vec!["test", "--candidate", "nothing.nft"]),
        (Exit::Inconclusive, vec!["test", "--candidate", "empty.nft"]),
    ];
    for (exit, arguments) in &known {
        let output = project.firedrill(arguments);
        let code = output.status.code();
        assert_eq!(code, Some(exit.code().into()), "{}", told(&output));
    }
    assert_eq!(documented, known.map(|(exit, _)| exit.code().to_string()));
}

#[test]
fn the_keys_of_the_json_report_are_those_of_the_guide() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.keys().cloned());
                map.values().for_each(|value| keys(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let guide = read("docs/guide/command-line.md");
    let text = markdown::prose(section(&guide, "### JSON"));
    let words: BTreeSet<&str> = quoted(&text).into_iter().collect();
    let mut project = Project::new();
    let mut known = BTreeSet::new();
    // With a case of every kind: decided by a rule, by a policy, by the kernel, by nobody.
    project.write(
        "scenarios/kernel.yaml",
        "include: _lab.yaml\nfirewall: { nftables: rulesets/web.nft, forwarding: false }\n\
         hosts: { db: { behind: eth1, address: 10.0.0.5 } }\n\
         tests:\n  - internet -> db tcp/1: drop\n  - steps: [internet -> db tcp/2: drop, internet -> db tcp/3: drop]\n  \
         - { from: [internet], to: db, service: tcp/4, expect: drop }\n  \
         - { from: internet, to: firewall, only-open: { tcp: 22, udp: any, among: 22-30 } }\n",
    );
    let example = read("docs/example/scenarios/web.yaml");
    let (lab, _) = example.split_once("\ntests:").unwrap();
    project.write("scenarios/_lab.yaml", lab);
    project.write("open.nft", "table inet t\n");
    // What is printed, a port that is translated, and a configuration that does not load.
    project.write(
        "noisy.sh",
        "#!/bin/sh\necho noise\nnft 'table inet t { chain c { type nat hook postrouting priority 100; \
         meta l4proto tcp masquerade to :2000-2010; }; }'\n",
    );
    project.shell("chmod +x noisy.sh; echo nonsense > broken.nft");
    project.write(
        "way.nft",
        "table inet t {\n chain i {\n  type filter hook input priority 0; policy drop\n  \
         meta mark set 5 log prefix \"way \" counter\n  tcp dport { 22, 80, 443 } jump j\n }\n \
         chain j {\n  counter\n }\n}\n",
    );
    for more in [
        vec![],
        vec!["--candidate", "script:noisy.sh"],
        vec!["--candidate", "broken.nft"],
        vec!["--shard", "1/1"],
        vec!["--candidate", "way.nft"],
        vec!["--candidate", "open.nft"],
        vec!["--candidate", "open=open.nft"],
        vec!["--candidate", "docs"],
        vec!["--coverage-suggest"],
    ] {
        let output = project.firedrill(&[vec!["test", "--report", "json"], more].concat());
        if let Ok(report) = serde_json::from_slice(&output.stdout) {
            keys(&report, &mut known);
        }
    }
    // Those of an answer stand in a chapter of their own, beside these.
    let chapter = markdown::prose(&read("docs/guide/explain.md"));
    let words_there: BTreeSet<&str> = quoted(&chapter).into_iter().collect();
    let mut told_there = BTreeSet::new();
    for packet in [
        "internet -> firewall tcp/22",
        "internet -> firewall tcp/443",
    ] {
        let output =
            project.firedrill(&["explain", "scenarios/web.yaml", packet, "--report", "json"]);
        keys(
            &serde_json::from_slice(&output.stdout).unwrap(),
            &mut told_there,
        );
    }
    let missing: Vec<_> = told_there
        .iter()
        .filter(|key| !words.contains(key.as_str()) && !words_there.contains(key.as_str()))
        .collect();
    assert!(missing.is_empty(), "the guide does not explain {missing:?}");
    assert!(
        known.contains("kernel") && known.contains("arrival"),
        "{known:?}"
    );
    let missing: Vec<_> = known
        .iter()
        .filter(|key| !words.contains(key.as_str()))
        .collect();
    assert!(missing.is_empty(), "the guide does not explain {missing:?}");
    let tables: BTreeSet<String> = rows(&text)
        .iter()
        .flat_map(|row| {
            quoted(&row[0])
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let unknown: Vec<_> = tables.difference(&known).collect();
    assert!(unknown.is_empty(), "no report has {unknown:?}");
}

#[test]
fn every_reason_of_a_verdict_is_documented() {
    let guide = read("docs/guide/verdicts.md");
    let other = |why: &str| why.to_owned();
    let reasons = [
        Inconclusive::NotLoaded,
        Inconclusive::RulesetChanged,
        Inconclusive::NotSent(other("…")),
        Inconclusive::BarrierLost,
        Inconclusive::TraceLost,
        Inconclusive::NeverEntered,
        Inconclusive::PathBroken(None),
        Inconclusive::Vanished,
        Inconclusive::Held,
        Inconclusive::Contradiction,
        Inconclusive::AnswerMissing,
        Inconclusive::HandedOver("a queue"),
        Inconclusive::HandedOver("another part of the kernel"),
        Inconclusive::Unreadable(other("…")),
        Inconclusive::Late {
            took_us: 1_400_000,
            within_us: 1_000_000,
        },
        Inconclusive::NothingSent,
        Inconclusive::Untraced,
        Inconclusive::BatchContradicted {
            number: 22,
            traced: "drop".to_owned(),
            batch: "it came out",
        },
        Inconclusive::BatchUnclear("something answered in its place"),
        Inconclusive::SocketOverflow,
        Inconclusive::ConntrackFull,
        Inconclusive::LabLimit {
            rule: "…".to_owned(),
            needed: 13_107,
            limit: 400,
        },
    ];
    for reason in &reasons {
        // A new reason must be added above, and to the guide.
        match reason {
            Inconclusive::NotLoaded
            | Inconclusive::RulesetChanged
            | Inconclusive::NotSent(_)
            | Inconclusive::BarrierLost
            | Inconclusive::TraceLost
            | Inconclusive::NeverEntered
            | Inconclusive::PathBroken(_)
            | Inconclusive::Vanished
            | Inconclusive::Held
            | Inconclusive::Contradiction
            | Inconclusive::AnswerMissing
            | Inconclusive::HandedOver(_)
            | Inconclusive::Late { .. }
            | Inconclusive::Unreadable(_)
            | Inconclusive::NothingSent
            | Inconclusive::Untraced
            | Inconclusive::BatchContradicted { .. }
            | Inconclusive::BatchUnclear(_)
            | Inconclusive::SocketOverflow
            | Inconclusive::ConntrackFull
            | Inconclusive::LabLimit { .. }
            // Their words are those of another message.
            | Inconclusive::RunEnded(_)
            | Inconclusive::Reported(_) => {}
        }
        let reason = reason.to_string();
        // CommonMark, "Code spans": what contains a backtick stands between two of them.
        let quoted = match reason.contains('`') {
            true => format!("| `` {reason} `` |"),
            false => format!("| `{reason}` |"),
        };
        assert!(guide.contains(&quoted), "{reason}");
    }
    let reasons = [
        KernelReason::ReversePathFilter,
        KernelReason::MartianSource,
        KernelReason::ForwardingOff,
        KernelReason::TimeToLive,
        KernelReason::BadHeader,
        KernelReason::SourceRoute,
        KernelReason::OtherHost,
        KernelReason::NoRoute,
    ];
    let report = read("docs/guide/command-line.md");
    for reason in &reasons {
        match reason {
            KernelReason::ReversePathFilter
            | KernelReason::MartianSource
            | KernelReason::ForwardingOff
            | KernelReason::TimeToLive
            | KernelReason::BadHeader
            | KernelReason::SourceRoute
            | KernelReason::OtherHost
            | KernelReason::NoRoute => {}
        }
        assert!(guide.contains(&format!("| `{reason}` |")), "{reason}");
        let word = serde_json::to_string(reason).unwrap().replace('"', "`");
        assert!(report.contains(&word), "{word}");
    }
}
