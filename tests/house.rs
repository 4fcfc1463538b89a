//! The wall between the rooms: which room of the sources may use which, and no circle between the files of
//! one room. Read from the sources' own paths, in `use` declarations and in code.

#[path = "house/paths.rs"]
mod paths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use paths::{Arrow, Source, arrows};

/// A room of `src/`, what else of `src/` it may use, and what of the harness.
struct Room {
    name: &'static str,
    uses: &'static [&'static str],
    harness: &'static [&'static str],
}

/// The border: what goes in and out of the sandbox.
const BORDER: &[&str] = &["", "bytes", "packet", "protocol", "ranges"];

/// From the ground up; `ARCHITECTURE.md` says why.
const ROOMS: &[Room] = &[
    Room {
        name: "ruleset",
        uses: &[],
        harness: BORDER,
    },
    Room {
        name: "dialect",
        uses: &["ruleset"],
        harness: BORDER,
    },
    Room {
        name: "scenario",
        uses: &["ruleset", "dialect"],
        harness: BORDER,
    },
    Room {
        name: "plan",
        uses: &["ruleset", "dialect", "scenario"],
        harness: BORDER,
    },
    Room {
        name: "trace",
        uses: &["ruleset"],
        harness: BORDER,
    },
    Room {
        name: "judge",
        uses: &["ruleset", "dialect", "scenario", "plan", "trace"],
        harness: BORDER,
    },
    Room {
        name: "record",
        uses: &["ruleset", "dialect", "scenario", "trace", "judge"],
        harness: BORDER,
    },
    Room {
        name: "coverage",
        uses: &["ruleset", "dialect", "scenario", "trace", "judge", "record"],
        harness: BORDER,
    },
    Room {
        name: "run",
        uses: &[
            "ruleset", "dialect", "scenario", "plan", "trace", "judge", "record", "coverage",
        ],
        harness: &["", "agent", "launcher", "packet", "protocol"],
    },
    Room {
        name: "analysis",
        uses: &[
            "ruleset", "dialect", "scenario", "plan", "trace", "judge", "record", "coverage", "run",
        ],
        harness: &["", "agent", "launcher", "packet", "protocol"],
    },
    Room {
        name: "report",
        uses: &[
            "ruleset", "dialect", "scenario", "trace", "judge", "record", "coverage", "analysis",
        ],
        harness: BORDER,
    },
    Room {
        name: "cli",
        uses: &[
            "ruleset", "dialect", "scenario", "plan", "trace", "judge", "record", "coverage",
            "run", "analysis", "report",
        ],
        harness: &["", "agent", "launcher", "packet", "protocol"],
    },
];

/// How many arrows of a file still go where they must not. They may only become fewer.
const EXCEPTIONS: &[(&str, &str, usize)] = &[("src/ruleset/lookup.rs", "scenario", 4)];

/// How many files of a folder are still in a circle with others of their room. They may only become fewer.
const CIRCLES: &[(&str, usize)] = &[
    ("src/cli/", 8),
    ("src/dialect/", 21),
    ("src/judge/", 3),
    ("src/report/", 8),
    ("src/ruleset/chain.rs", 1),
    ("src/ruleset/legacy.rs", 1),
    ("src/ruleset/interpret/", 5),
    ("src/ruleset/program/", 8),
    ("src/run/", 2),
    ("src/scenario/", 32),
];

/// The sources of a crate, by their paths from the root of the repository.
fn sources(folder: &str) -> Vec<Source> {
    fn read(folder: &Path, sources: &mut Vec<Source>) {
        let entries = fs::read_dir(folder).expect("a folder of sources");
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source in UTF-8");
                sources.push(Source::new(path.to_str().expect("a path in UTF-8"), text));
            }
        }
    }
    let mut sources = Vec::new();
    read(Path::new(folder), &mut sources);
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    sources
}

/// The arrows that the table of rooms does not allow: file, room it must not use.
fn forbidden(arrows: &[Arrow]) -> BTreeMap<(String, String), usize> {
    let mut forbidden = BTreeMap::new();
    for arrow in arrows {
        let Some(name) = arrow.module.first() else {
            continue;
        };
        if name == "lib" || name == "main" {
            continue;
        }
        let room = ROOMS.iter().find(|room| room.name == name);
        let to = match (arrow.into_harness, arrow.to.as_slice()) {
            (true, [_]) | (_, []) => "",
            (_, [first, ..]) => first,
        };
        let allowed = match (room, arrow.into_harness) {
            (Some(room), true) => room.harness.contains(&to),
            (Some(room), false) => to == name || room.uses.contains(&to),
            (None, _) => false,
        };
        if !allowed {
            let to = match arrow.into_harness {
                true => format!("firedrill_harness::{to}"),
                false => to.to_owned(),
            };
            *forbidden.entry((arrow.file.clone(), to)).or_insert(0) += 1;
        }
    }
    forbidden
}

/// The files of each room that can be reached from themselves, along arrows inside the room.
fn circles(
    arrows: &[Arrow],
    room_of: impl Fn(&str) -> String,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        let Some(to) = arrow.to_file.as_deref().filter(|to| *to != arrow.file) else {
            continue;
        };
        if room_of(to) == room_of(&arrow.file) {
            next.entry(&arrow.file).or_default().insert(to);
        }
    }
    let mut circles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in next.keys() {
        let mut reached = BTreeSet::new();
        let mut open = vec![*file];
        while let Some(from) = open.pop() {
            for to in next.get(from).into_iter().flatten() {
                if reached.insert(*to) {
                    open.push(to);
                }
            }
        }
        if reached.contains(file) {
            circles
                .entry(room_of(file))
                .or_default()
                .insert((*file).to_owned());
        }
    }
    circles
}

/// The room of a file: the folder or file below `src/`.
fn room_of(file: &str) -> String {
    let (_, below) = file.split_once("src/").expect("a file in a src folder");
    let name = below.split('/').next().unwrap_or(below);
    name.trim_end_matches(".rs").to_owned()
}

/// Everything that is wrong with the arrows of the product.
fn complaints(sources: &[Source]) -> Vec<String> {
    let arrows = arrows(sources);
    let mut complaints = Vec::new();
    for ((file, to), count) in forbidden(&arrows) {
        let excused = EXCEPTIONS
            .iter()
            .find(|(from, room, _)| *from == file && *room == to)
            .map_or(0, |(_, _, count)| *count);
        if count > excused {
            complaints.push(format!("{file} must not use `{to}` ({count} times)"));
        }
    }
    for (room, files) in circles(&arrows, room_of) {
        let known = |file: &String| {
            CIRCLES
                .iter()
                .position(|(below, _)| file.starts_with(below))
        };
        let mut counts = BTreeMap::new();
        for file in &files {
            *counts.entry(known(file)).or_insert(0) += 1;
        }
        let excused = |known: Option<usize>| known.map_or(0, |row| CIRCLES[row].1);
        if counts.iter().any(|(known, count)| *count > excused(*known)) {
            let files: Vec<String> = files.into_iter().collect();
            complaints.push(format!("a circle in {room}: {}", files.join(", ")));
        }
    }
    complaints
}

#[test]
fn every_room_uses_only_rooms_below_it() {
    let complaints = complaints(&sources("src"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_table_goes_from_the_ground_up() {
    for (floor, room) in ROOMS.iter().enumerate() {
        for used in room.uses {
            let below = ROOMS[..floor].iter().any(|below| below.name == *used);
            assert!(below, "{} uses {used}", room.name);
        }
    }
}

/// What is found wrong with sources that are planted in a room.
fn planted(texts: &[&str]) -> Vec<String> {
    let mut sources = sources("src");
    for (number, text) in texts.iter().enumerate() {
        let file = format!("src/trace/planted{number}.rs");
        sources.push(Source::new(&file, (*text).to_owned()));
    }
    let mut found = complaints(&sources);
    found.retain(|complaint| complaint.contains("/planted"));
    found
}

#[test]
fn a_planted_import_upwards_is_found() {
    let texts = [
        "use crate::report::Format;",
        "use crate::{ruleset::chain, report::{Format, Reporter}};",
        "pub(crate) use crate::report::Format as F;",
        "fn f() { crate::report::plural(1); }",
        "mod inner { fn f() { super::super::super::report::plural(1) } }",
        "fn f(x: &dyn crate::report::Reporter) {}",
        "use crate::harness_main;",
        "use crate::{self as root}; fn f() { root::report::plural(1) }",
        "use firedrill_harness::launcher::embedded;",
        "fn f() { firedrill_harness::launcher::embedded(); }",
        "#[cfg(not(test))] use crate::report::Format;",
    ];
    let found = planted(&texts);
    for (number, text) in texts.iter().enumerate() {
        let name = format!("planted{number}.rs ");
        assert!(found.iter().any(|one| one.contains(&name)), "{text}");
    }
}

#[test]
fn tests_comments_and_texts_are_no_imports() {
    let found = planted(&[
        "// use crate::report::Format;\n/* crate::report::x /* crate::cli::y */ */",
        "/// [`crate::report::Format`]\nfn f() {}",
        "const A: &str = \"crate::report::Format\"; const B: &str = r#\"crate::report::\"#;",
        "#[cfg(test)]\nmod tests { use crate::report::Format; }",
        "#[cfg(test)]\nuse crate::report::{Format, Reporter};\nfn f<'a>(c: char) -> bool { c == '\"' }",
        "use crate::ruleset::chain::Chain;",
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_planted_circle_is_found() {
    let found = planted(&[
        "use super::planted1::Two;",
        "use super::planted2; struct Two; fn f() { planted2::g() }",
        "fn g() { crate::trace::planted0::f() }",
        "pub use super::planted4::Item;",
        "use super::planted3::Item as Own;",
    ]);
    let circle = "src/trace/planted0.rs, src/trace/planted1.rs, src/trace/planted2.rs";
    assert!(found.iter().any(|one| one.contains(circle)), "{found:?}");
}
