//! How it is written down, and what fails a run.

use rstest::rstest;

use super::{
    common::{Folder, Lab},
    covered,
};

/// Two rules that decide, one that never matches, and a policy that nobody comes to.
fn folder() -> Folder {
    let rules = "table inet t {\n  chain c {\n    type filter hook input priority 0; policy accept;\n    \
                 tcp dport 80 accept\n    tcp dport 81 accept\n    drop\n  }\n}\n";
    Lab::new(rules)
        .named("fw.nft")
        .test("client -> firewall tcp/80: accept")
        .test("client -> firewall tcp/82: drop")
        .folder()
}

/// geninfo(1), "FILES".
#[test]
fn an_lcov_tracefile_is_that_of_its_manual() {
    let folder = folder();
    let ended = folder.firedrill(&["test", ".", "--coverage=out/lcov.info"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = "TN:\nSF:fw.nft\n\
        BRDA:4,0,0,2\nBRDA:4,0,1,2\nBRDA:5,0,0,0\nBRDA:5,0,1,2\nBRF:4\nBRH:3\n\
        DA:3,0\nDA:4,2\nDA:5,0\nDA:6,2\nLF:4\nLH:2\nend_of_record\n";
    assert_eq!(folder.read("out/lcov.info"), expected);
}

#[test]
fn the_terminal_shows_what_nothing_tested() {
    let ended = folder().firedrill(&["test", ".", "--coverage"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "coverage of  rules  evaluated  matched  decided  coverage",
        "fw.nft           4          3        2        2    50.0 %",
        "untested in fw.nft",
        "  fw.nft:3  never reached  policy accept of inet t c",
        "  fw.nft:5  never matched  `tcp dport 81 accept`",
        "coverage: 50.0 %, 2 of 4 rules and policies were matched by a packet",
    ] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in:\n{}",
            ended.stdout
        );
    }
}

#[test]
fn beside_a_document_on_standard_output_the_terminal_s_words_go_to_standard_error() {
    let ended = folder().firedrill(&["test", ".", "--coverage", "--report", "json"]);
    assert!(ended.stderr.contains("coverage: 50.0 %"), "{ended:?}");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a document");
    assert_eq!(document["totals"]["exit_code"], 0);
}

#[rstest]
#[case("50", 0)]
#[case("50.1", 1)]
#[case("100", 1)]
#[case("0", 0)]
fn too_little_coverage_fails_a_run_that_passes(#[case] least: &str, #[case] code: i32) {
    let ended = folder().firedrill(&["test", ".", "--min-coverage", least]);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let said = ended.stderr.contains("were asked for");
    assert_eq!(said, code == 1, "{ended:?}");
}

#[test]
fn how_much_is_missing_is_said() {
    let ended = folder().firedrill(&["test", ".", "--min-coverage", "75"]);
    let expected = "coverage: 50.0 %, 2 of 4 rules and policies were matched by a packet; \
                    75 % were asked for, which takes 1 more\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn what_could_not_be_told_comes_before_too_little_coverage() {
    let blind = ["--blind", "barrier-lost"];
    let ended = folder().firedrill(&[&["test", ".", "--min-coverage", "100"], &blind[..]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[rstest]
#[case(&["--coverage=report.odd"], "does not tell the format")]
#[case(&["--coverage=lcov"], "write `lcov=FILE`")]
#[case(&["--coverage=lcov="], "no file name")]
#[case(&["--min-coverage", "101"], "a number from 0 to 100")]
#[case(&["--coverage=lab.yaml/x.json"], "could not open the coverage json=lab.yaml/x.json")]
fn what_cannot_be_written_is_bad_usage(#[case] arguments: &[&str], #[case] said: &str) {
    let ended = folder().firedrill(&[&["test", "."], arguments].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn a_scenario_that_was_not_run_is_said_not_to_be_measured() {
    let folder = folder();
    folder.write(
        "broken.yaml",
        Lab::new("")
            .named("broken.nft")
            .test("client -> firewall tcp/80: drop")
            .yaml(),
    );
    folder.write("broken.nft", "nonsense\n");
    let (ended, document) = covered(&folder, &["--coverage"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("not measured: broken: "), "{ended:?}");
    assert_eq!(document["not_measured"][0]["scenario"], "broken");
}

/// The elements of coverage-04.dtd: their children in order (`?` at most one, `*` any number, else one), and
/// their attributes, of which those without `=` are required.
const DTD: &[(&str, &[&str], &[&str])] = &[
    (
        "coverage",
        &["sources?", "packages"],
        &[
            "line-rate",
            "branch-rate",
            "lines-covered",
            "lines-valid",
            "branches-covered",
            "branches-valid",
            "complexity",
            "version",
            "timestamp",
        ],
    ),
    ("sources", &["source*"], &[]),
    ("source", &[], &[]),
    ("packages", &["package*"], &[]),
    (
        "package",
        &["classes"],
        &["name", "line-rate", "branch-rate", "complexity"],
    ),
    ("classes", &["class*"], &[]),
    (
        "class",
        &["methods", "lines"],
        &["name", "filename", "line-rate", "branch-rate", "complexity"],
    ),
    ("methods", &["method*"], &[]),
    ("lines", &["line*"], &[]),
    (
        "line",
        &["conditions*"],
        &["number", "hits", "branch=", "condition-coverage="],
    ),
    ("conditions", &["condition*"], &[]),
    ("condition", &[], &["number", "type", "coverage"]),
];

/// An element with its attributes and children.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
}

impl Element {
    fn read(text: &str) -> Self {
        let mut reader = quick_xml::Reader::from_str(text);
        let mut open = vec![Self {
            name: String::new(),
            attributes: Vec::new(),
            children: Vec::new(),
        }];
        let element = |start: &quick_xml::events::BytesStart<'_>| Self {
            name: String::from_utf8_lossy(start.name().as_ref()).into_owned(),
            attributes: start
                .attributes()
                .map(|attribute| {
                    let attribute = attribute.expect("an attribute is well-formed");
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    (text(attribute.key.as_ref()), text(&attribute.value))
                })
                .collect(),
            children: Vec::new(),
        };
        loop {
            use quick_xml::events::Event;
            match reader.read_event().expect("it is well-formed") {
                Event::Start(start) => open.push(element(&start)),
                Event::Empty(start) => {
                    let child = element(&start);
                    open.last_mut().expect("the root").children.push(child);
                }
                Event::End(_) => {
                    let child = open.pop().expect("what ends has begun");
                    open.last_mut().expect("the root").children.push(child);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let mut root = open.pop().expect("the root");
        root.children.pop().expect("there is an element")
    }

    fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name}: {self:?}"), |(_, value)| value)
    }

    fn validate(&self) {
        let known = DTD.iter().find(|(name, ..)| *name == self.name);
        let (_, children, attributes) = known.unwrap_or_else(|| panic!("no <{}>", self.name));
        for (name, _) in &self.attributes {
            let declared = |known: &&&str| known.trim_end_matches('=') == name;
            assert!(
                attributes.iter().any(|known| declared(&known)),
                "{name} of {self:?}"
            );
        }
        for required in attributes.iter().filter(|name| !name.ends_with('=')) {
            self.attribute(required);
        }
        let mut left = self.children.iter().peekable();
        for child in *children {
            let name = child.trim_end_matches(['?', '*']);
            let mut count = 0;
            while left.next_if(|next| next.name == name).is_some() {
                count += 1;
            }
            let fits = match child.chars().last() {
                Some('*') => true,
                Some('?') => count <= 1,
                _ => count == 1,
            };
            assert!(fits, "{count} <{name}> in <{}>", self.name);
        }
        assert!(left.next().is_none(), "too much in {self:?}");
        self.children.iter().for_each(Self::validate);
    }

    fn all<'e>(&'e self, name: &str, found: &mut Vec<&'e Self>) {
        if self.name == name {
            found.push(self);
        }
        self.children
            .iter()
            .for_each(|child| child.all(name, found));
    }
}

#[test]
fn a_cobertura_document_is_valid_and_says_the_same_as_lcov() {
    let folder = folder();
    let ended = folder.firedrill(&["test", ".", "--coverage=cobertura=coverage.cobertura"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = folder.read("coverage.cobertura");
    let doctype =
        "<!DOCTYPE coverage SYSTEM \"http://cobertura.sourceforge.net/xml/coverage-04.dtd\">";
    assert!(text.contains(doctype), "{text}");
    let root = Element::read(&text);
    root.validate();
    for (name, value) in [
        ("lines-valid", "4"),
        ("lines-covered", "2"),
        ("line-rate", "0.5000"),
        ("branches-valid", "4"),
        ("branches-covered", "3"),
    ] {
        assert_eq!(root.attribute(name), value, "{name}");
    }
    let mut classes = Vec::new();
    root.all("class", &mut classes);
    assert_eq!(classes.len(), 1);
    assert_eq!(classes[0].attribute("filename"), "fw.nft");
    let mut lines = Vec::new();
    root.all("line", &mut lines);
    let told: Vec<[&str; 3]> = lines
        .iter()
        .map(|line| ["number", "hits", "branch"].map(|name| line.attribute(name)))
        .collect();
    let expected = [
        ["3", "0", "false"],
        ["4", "2", "true"],
        ["5", "0", "true"],
        ["6", "2", "false"],
    ];
    assert_eq!(told, expected);
    assert_eq!(lines[2].attribute("condition-coverage"), "50% (1/2)");
}

#[test]
fn a_page_shows_every_line_of_the_source_in_its_colour() {
    let folder = folder();
    let source = folder
        .read("fw.nft")
        .replace("drop\n", "drop comment \"<b>&\"\n");
    folder.write("fw.nft", &source);
    let ended = folder.firedrill(&["test", ".", "--coverage=coverage.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = folder.read("coverage.html");
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("<tr")?.strip_suffix("</td></tr>"))
        .filter_map(|row| {
            let (_, source) = row.rsplit_once("<td>")?;
            let class = row.strip_prefix(" class=\"").map_or("", |rest| {
                rest.split_once('"').map_or("", |(class, _)| class)
            });
            Some((class, source))
        })
        .filter(|(_, source)| !source.contains('%'))
        .collect();
    let expected = [
        ("", "table inet t {"),
        ("", "  chain c {"),
        (
            "unreached",
            "    type filter hook input priority 0; policy accept;",
        ),
        ("covered", "    tcp dport 80 accept"),
        ("evaluated", "    tcp dport 81 accept"),
        ("covered", "    drop comment &quot;&lt;b&gt;&amp;&quot;"),
        ("", "  }"),
        ("", "}"),
    ];
    assert_eq!(rows, expected, "{page}");
    for outside in ["<script", "http:", "https:", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
}
