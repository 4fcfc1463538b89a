//! Every report of one run that has a line of every kind.

use std::{io::Write, path::PathBuf, sync::Arc};

use insta::assert_snapshot;

use super::{JUnit, Json, Reporter, Terminal, Versions, merge};
use crate::{
    judge::verdict::{Arrival, Inconclusive, Judgement, Outcome, RejectAnswer, Verdict},
    record::{
        CandidateRecord, CaseRecord, ScenarioRecord, StepRecord, compare,
        event::{Event, Summary},
        failure::ScenarioError,
    },
    ruleset::{
        chain::{Base, Chain},
        origin::{Origin, SourceLine},
    },
    scenario::{self, Scenario},
    trace::{
        decider::{Decider, KernelReason, Policy, Rule},
        walk::{Beside, Did, Headers, Lookup, Met, Passage, Stop, Walk},
    },
};

const SCENARIO: &str = "\
name: The shop stays open
tags: [web]
firewall:
  nftables: web.nft
  interfaces: { eth0: 192.0.2.10/24 }
hosts:
  internet: { behind: eth0, address: 198.51.100.7 }
tests:
  - internet -> firewall tcp/80: accept
  - internet -> firewall tcp/22: drop
  - internet -> firewall tcp/443: accept
  - internet -> firewall tcp/25: { reject: tcp-reset }
  - internet -> firewall udp/53: drop
  - internet -> firewall udp/123: drop
";

fn scenario() -> Scenario {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.nft"), "").unwrap();
    let mut scenario = scenario::parse(SCENARIO, &folder.path().join("web.yaml"), "shop/web")
        .unwrap()
        .remove(0);
    scenario.file = PathBuf::from("scenarios/shop/web.yaml");
    for case in &mut scenario.cases {
        case.at.file.clone_from(&scenario.file);
    }
    scenario
}

fn chain() -> Chain {
    Chain {
        family: "inet".into(),
        table: "filter".into(),
        name: "input".into(),
    }
}

fn line(number: usize, text: &str) -> Origin {
    Origin::Known(SourceLine {
        file: "scenarios/shop/web.nft".into(),
        line: number,
        column: 3,
        text: text.into(),
        implied: false,
        included_from: Vec::new(),
        generated: None,
    })
}

fn rule(handle: u64, text: &str, origin: Origin) -> Decider {
    Decider::Rule(Rule {
        layer: None,
        chain: chain(),
        handle,
        text: Some(text.into()),
        origin: Some(origin),
    })
}

fn judgements() -> Vec<Judgement> {
    let arrival = Arrival {
        interface: None,
        source: "198.51.100.7".parse().unwrap(),
        destination: "192.0.2.10".parse().unwrap(),
        sport: Some(32_768),
        sport_sent: None,
        dport: Some(80),
        ttl: 63,
        dscp: 0,
        mss: None,
    };
    let judgement = |verdict, decider, outcome, reason: Option<&str>| Judgement {
        verdict,
        decider,
        outcome,
        reason: reason.map(str::to_owned),
    };
    let vanished = Inconclusive::PathBroken(Some(KernelReason::NoRoute));
    vec![
        judgement(
            Verdict::Accept(arrival),
            Some(rule(
                4,
                "tcp dport { 80, 443 } accept comment \"web <public> & open\"",
                line(5, "tcp dport $WEB accept comment \"web <public> & open\""),
            )),
            Outcome::Pass,
            None,
        ),
        judgement(
            Verdict::Drop,
            Some(Decider::Policy(Policy {
                layer: None,
                chain: chain(),
                origin: Some(line(3, "type filter hook input priority 0; policy drop;")),
            })),
            Outcome::Pass,
            None,
        ),
        judgement(
            Verdict::Drop,
            Some(rule(
                7,
                "iifname \"eth0\" drop",
                line(8, "iifname $OUTSIDE drop"),
            )),
            Outcome::Fail,
            Some("expected accept, but it was drop"),
        ),
        judgement(
            Verdict::Reject(RejectAnswer::OtherIcmp { kind: 3, code: 5 }),
            Some(rule(
                8,
                "reject",
                Origin::Unknown("web.nft:9: a chain is renamed by this line".into()),
            )),
            Outcome::Fail,
            Some("expected reject tcp-reset, but it was reject (ICMP type 3 code 5)"),
        ),
        judgement(
            Verdict::Drop,
            Some(Decider::Kernel(KernelReason::ReversePathFilter)),
            Outcome::Pass,
            None,
        ),
        judgement(
            Verdict::Inconclusive(vanished.clone()),
            None,
            Outcome::Inconclusive,
            Some(&vanished.to_string()),
        ),
    ]
}

/// A way with something of every kind.
fn walk() -> Box<Walk> {
    let Decider::Rule(jump) = rule(
        9,
        "tcp dport @web jump web",
        line(9, "tcp dport @web jump web"),
    ) else {
        unreachable!();
    };
    let stop = |depth, met, did| Stop {
        depth,
        met,
        did,
        lookups: Vec::new(),
        beside: Vec::new(),
    };
    let headers = Headers {
        source: "198.51.100.7".parse().unwrap(),
        destination: "192.0.2.10".parse().unwrap(),
        ports: Some((32_768, 443)),
        ttl: 64,
        dscp: 0,
    };
    let web = Chain {
        name: "web".into(),
        ..chain()
    };
    let policy = Policy {
        chain: chain(),
        origin: None,
        layer: None,
    };
    let passage = Passage {
        chain: chain(),
        base: Some(Base {
            kind: "filter".into(),
            hook: "input".into(),
            priority: Some(0),
            policy: "drop".into(),
        }),
        layer: Some("candidate".into()),
        headers: Some(headers),
        stops: vec![
            Stop {
                lookups: vec![Lookup {
                    key: "tcp dport".into(),
                    value: Some("443".into()),
                    set: "@web".into(),
                    absent: false,
                    element: Some("400-500".into()),
                }],
                beside: vec![
                    Beside::Counted(Some("web".into())),
                    Beside::Logged("web ".into()),
                    Beside::Marked(5),
                ],
                ..stop(0, Met::Rule(jump), Did::Jump("web".into()))
            },
            stop(1, Met::End(web), Did::Continue),
            stop(0, Met::Policy(policy), Did::Drop),
        ],
    };
    let error = Passage {
        base: None,
        layer: None,
        headers: None,
        stops: Vec::new(),
        ..passage.clone()
    };
    Box::new(Walk {
        passages: vec![passage],
        error: vec![error],
    })
}

fn record(error: Option<ScenarioError>) -> ScenarioRecord {
    let scenario = scenario();
    let cases = scenario
        .cases
        .iter()
        .zip(judgements())
        .map(|(case, judgement)| CaseRecord {
            case: case.into(),
            steps: vec![StepRecord {
                sweep: None,
                text: case.steps[0].text.clone(),
                at: case.at.clone(),
                expected: case.sends().next().unwrap().expect.to_string(),
                packet: format!("a packet to {}", case.sends().next().unwrap().destination),
                repeated: false,
                judgement: judgement.clone(),
                walk: (judgement.outcome == Outcome::Fail).then(walk),
                duration_us: 100,
            }],
        })
        .collect();
    ScenarioRecord {
        scenario: (&scenario).into(),
        position: 0,
        candidate: CandidateRecord {
            name: None,
            path: "scenarios/shop/web.nft".into(),
            hash: "c0ffee".into(),
        },
        cases,
        error,
        coverage: Vec::new(),
        kernel: Some("6.18.0".into()),
        output: String::new(),
        duration_us: 21_500,
    }
}

fn events() -> Vec<Event> {
    let mut passing = record(None);
    passing.cases.retain(|case| case.outcome() == Outcome::Pass);
    let mut refused = record(Some(ScenarioError::Input(
        "nft refuses the candidate web.nft (exit status 1)\nweb.nft:3:1-4: Error: syntax error"
            .into(),
    )));
    refused.cases.clear();
    let records = [passing, record(None), refused];
    let mut summary = Summary {
        duration_us: 64_000,
        ..Summary::default()
    };
    records.iter().for_each(|record| summary.add(record));
    let mut events = vec![Event::Started {
        scenarios: 3,
        cases: summary.cases(),
        part: None,
    }];
    events.extend(
        records
            .into_iter()
            .map(|record| Event::Finished(Box::new(record))),
    );
    events.push(Event::Ended(summary));
    events
}

/// The same against two candidates, of which the new one lost the web and a verdict.
fn compared() -> Vec<Event> {
    let text = SCENARIO.replace(
        "nftables: web.nft",
        "candidates: { old: { nftables: web.nft }, new: { nftables: web.nft } }",
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.nft"), "").unwrap();
    let all = scenario::parse(&text, &folder.path().join("web.yaml"), "shop/web").unwrap();
    let mut records: Vec<ScenarioRecord> = all
        .into_iter()
        .map(|scenario| {
            let mut record = record(None);
            record.candidate.name.clone_from(&scenario.against);
            for (case, own) in record.cases.iter_mut().zip(&scenario.cases) {
                case.case.name.clone_from(&own.name);
            }
            record.scenario = (&Scenario {
                file: "scenarios/shop/web.yaml".into(),
                ..scenario
            })
                .into();
            record
        })
        .collect();
    let judgement = |record: &mut ScenarioRecord, case: usize, of: usize| {
        record.cases[case].steps[0].judgement = judgements().remove(of);
    };
    judgement(&mut records[0], 2, 0);
    judgement(&mut records[1], 0, 2);
    judgement(&mut records[1], 1, 5);
    let comparison = compare::between(&records).unwrap();
    let mut summary = Summary::default();
    records.iter().for_each(|record| summary.add(record));
    let finished = records.into_iter().map(Box::new).map(Event::Finished);
    let started = Event::Started {
        scenarios: 2,
        cases: summary.cases(),
        part: None,
    };
    let all = std::iter::once(started).chain(finished);
    all.chain([Event::Compared(comparison), Event::Ended(summary)])
        .collect()
}

/// A writer that can be looked at while a reporter owns it.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(reporter: impl FnOnce(Box<dyn Write>) -> Box<dyn Reporter>) -> String {
    written_of(events(), reporter)
}

fn written_of(
    events: Vec<Event>,
    reporter: impl FnOnce(Box<dyn Write>) -> Box<dyn Reporter>,
) -> String {
    let out = Shared::default();
    let mut reporter = reporter(Box::new(out.clone()));
    for event in events {
        reporter.event(&event).unwrap();
    }
    let bytes = out.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_terminal_shows_the_ways_of_what_did_not_pass_if_it_shall() {
    assert_snapshot!(written(|out| Box::new(
        Terminal::new(out, false).verbose(true)
    )));
}

#[test]
fn the_terminal_is_quiet_where_all_is_well_and_complete_where_it_is_not() {
    assert_snapshot!(written(|out| Box::new(Terminal::new(out, false))));
}

#[test]
fn a_terminal_is_not_made_to_obey_a_file() {
    let mut record = record(None);
    record.output = "\u{1b}]0;owned\u{7}warning\n".to_owned();
    for case in &mut record.cases {
        case.steps[0].packet = "\u{1b}[2J".to_owned();
        case.case.name.push('\u{9b}');
    }
    record.error = Some(ScenarioError::Input("\u{1b}[31mred".to_owned()));
    let mut failed = record.clone();
    failed.error = None;
    let mut terminal = Terminal::new(Vec::new(), false);
    for record in [record, failed] {
        terminal.event(&Event::Finished(Box::new(record))).unwrap();
    }
    let text = String::from_utf8(terminal.into_inner()).unwrap();
    assert!(text.contains("\u{fffd}[2J") && text.contains("\u{fffd}[31mred"));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = written(|out| Box::new(Terminal::new(out, false)));
    let coloured = written(|out| Box::new(Terminal::new(out, true)));
    assert!(coloured.contains("\u{1b}[31m") || coloured.contains("\u{1b}[1m"));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn the_json_report_has_every_documented_key() {
    let text = written(|out| {
        Box::new(Json::new(
            out,
            Versions {
                nft: Some("v1".into()),
            },
        ))
    });
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    assert_snapshot!(pretty.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}

#[test]
fn the_junit_report_tells_failures_from_what_could_not_be_told() {
    assert_snapshot!(written(|out| Box::new(JUnit::new(out))));
}

/// Which cases differ, and how, without reading anything else.
#[test]
fn candidates_stand_side_by_side_where_they_differ() {
    let terminal = written_of(compared(), |out| Box::new(Terminal::new(out, false)));
    let (_, comparison) = terminal.split_once("DIFFERENT").unwrap();
    assert_snapshot!(comparison, @r#"
        shop/web                     2 of 4 cases differ  old, new
        2 cases could not be compared: a candidate has no verdict there

    DIFFERENT shop/web :: internet -> firewall tcp/80 [ipv4]
      --> scenarios/shop/web.yaml:9:5
      old       accept  rule scenarios/shop/web.nft:5 `tcp dport { 80, 443 } accept comment "web <public> & open"` (inet filter input, handle 4)
      new       drop    rule scenarios/shop/web.nft:8 `iifname "eth0" drop` (inet filter input, handle 7)

    DIFFERENT shop/web :: internet -> firewall tcp/443 [ipv4]
      --> scenarios/shop/web.yaml:11:5
      old       accept  rule scenarios/shop/web.nft:5 `tcp dport { 80, 443 } accept comment "web <public> & open"` (inet filter input, handle 4)
      new       drop    rule scenarios/shop/web.nft:8 `iifname "eth0" drop` (inet filter input, handle 7)

    FAILED: 12 cases of 2 scenarios in 0 ms: 5 pass, 4 fail, 3 inconclusive
    "#);
    let json = written_of(compared(), |out| {
        Box::new(Json::new(out, Versions::default()))
    });
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["scenarios"][1]["candidate"]["name"], "new");
    let comparison = &json["comparisons"][0];
    assert_eq!(comparison["scenario"], "shop/web");
    assert_eq!(comparison["candidates"], serde_json::json!(["old", "new"]));
    assert_eq!(comparison["same"], 2);
    assert_eq!(
        comparison["not_compared"],
        serde_json::json!([
            "internet -> firewall tcp/22 [ipv4]",
            "internet -> firewall udp/123 [ipv4]"
        ])
    );
    assert_snapshot!(serde_json::to_string_pretty(&comparison["different"][1]).unwrap(), @r#"
    {
      "by_candidate": [
        {
          "arrival": {
            "destination": "192.0.2.10",
            "dport": 80,
            "dscp": 0,
            "interface": null,
            "source": "198.51.100.7",
            "sport": 32768,
            "ttl": 63
          },
          "candidate": "old",
          "column": 5,
          "expected": "accept",
          "file": "scenarios/shop/web.yaml",
          "line": 11,
          "outcome": "pass",
          "packet": "a packet to 192.0.2.10",
          "reason": null,
          "rule": {
            "chain": "input",
            "column": 3,
            "family": "inet",
            "file": "scenarios/shop/web.nft",
            "handle": 4,
            "line": 5,
            "source": "tcp dport $WEB accept comment \"web <public> & open\"",
            "table": "filter",
            "text": "tcp dport { 80, 443 } accept comment \"web <public> & open\""
          },
          "verdict": "accept",
          "verdict_text": "accept"
        },
        {
          "candidate": "new",
          "column": 5,
          "expected": "accept",
          "file": "scenarios/shop/web.yaml",
          "line": 11,
          "outcome": "fail",
          "packet": "a packet to 192.0.2.10",
          "reason": "expected accept, but it was drop",
          "rule": {
            "chain": "input",
            "column": 3,
            "family": "inet",
            "file": "scenarios/shop/web.nft",
            "handle": 7,
            "line": 8,
            "source": "iifname $OUTSIDE drop",
            "table": "filter",
            "text": "iifname \"eth0\" drop"
          },
          "verdict": "drop",
          "verdict_text": "drop"
        }
      ],
      "case": "internet -> firewall tcp/443 [ipv4]"
    }
    "#);
    let junit = written_of(compared(), |out| Box::new(JUnit::new(out)));
    let told = "<system-out>the candidates differ";
    // Two cases of each of the two.
    assert_eq!(junit.matches(told).count(), 4, "{junit}");
    let (_, first) = junit.split_once(told).unwrap();
    assert_snapshot!(first.split_once("</system-out>").unwrap().0, @r"
    old: accept, by rule scenarios/shop/web.nft:5 `tcp dport { 80, 443 } accept comment &quot;web &lt;public&gt; &amp; open&quot;` (inet filter input, handle 4)
    new: drop, by rule scenarios/shop/web.nft:8 `iifname &quot;eth0&quot; drop` (inet filter input, handle 7)
    ");
}

/// A matrix of three by three, in which one row differs in one family, one in both, and one cell is unclear.
fn matrix() -> ScenarioRecord {
    let text = "firewall:\n  nftables: web.nft\n  interfaces: { a0: [192.0.2.1/24, \"2001:db8::1/64\"], b0: [10.0.0.1/24, \"fd00::1/64\"] }\n\
                hosts:\n  a: { behind: a0, address: [192.0.2.7, \"2001:db8::7\"] }\n  b: { behind: b0, address: [10.0.0.7, \"fd00::7\"] }\n\
                tests:\n  - name: zones\n    from: [a, b]\n    to: [firewall, a, b]\n    service: [ssh, https]\n    expect: drop\n    except: { a -> b https: accept }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.nft"), "").unwrap();
    let file = folder.path().join("zones.yaml");
    let mut scenario = scenario::parse(text, &file, "zones").unwrap().remove(0);
    scenario.file = "zones.yaml".into();
    let shown = Arc::new(scenario::Matrix {
        at: scenario::Location {
            file: "zones.yaml".into(),
            ..scenario.cases[0].cell.as_ref().unwrap().matrix.at.clone()
        },
        ..(*scenario.cases[0].cell.as_ref().unwrap().matrix).clone()
    });
    let [accepted, dropped, lost] = [0, 1, 5].map(|nth| judgements().remove(nth));
    let wrong = |judgement: &Judgement, reason: &str| Judgement {
        outcome: Outcome::Fail,
        reason: Some(reason.to_owned()),
        ..judgement.clone()
    };
    let cases = scenario.cases.iter_mut().map(|case| {
        case.at.file = "zones.yaml".into();
        case.cell.as_mut().unwrap().matrix = Arc::clone(&shown);
        let told = case.name.trim_start_matches("zones :: zones: ");
        let judgement = match told {
            "a -> firewall ssh [ipv6]" => wrong(&accepted, "expected drop, but it was accept"),
            "a -> b https [ipv4]" | "a -> b https [ipv6]" => {
                wrong(&dropped, "expected accept, but it was drop")
            }
            "b -> a ssh [ipv4]" => lost.clone(),
            _ => dropped.clone(),
        };
        CaseRecord {
            steps: vec![StepRecord {
                sweep: None,
                text: case.steps[0].text.clone(),
                at: case.at.clone(),
                expected: case.sends().next().unwrap().expect.to_string(),
                packet: "a packet".to_owned(),
                repeated: false,
                judgement,
                walk: None,
                duration_us: 100,
            }],
            case: (&*case).into(),
        }
    });
    let cases = cases.collect();
    ScenarioRecord {
        scenario: (&scenario).into(),
        cases,
        ..record(None)
    }
}

#[test]
fn a_matrix_shows_where_it_differs_and_why_and_nothing_else() {
    let mut terminal = Terminal::new(Vec::new(), false);
    let finished = Event::Finished(Box::new(matrix()));
    terminal.event(&finished).unwrap();
    let text = String::from_utf8(terminal.into_inner()).unwrap();
    assert_snapshot!(text, @r#"
    FAIL         zones                        12 of 16 cases pass      22 ms

    FAIL zones :: zones: 4 of 16 cells not as expected
      --> zones.yaml:8:5
      from  service     firewall              a                           b
      a     ssh [ipv6]  accept, not drop [1]                              drop
      a     https       drop                                              drop, not accept [2]
      b     ssh [ipv4]  drop                  inconclusive, not drop [3]
      [1] 1 cell, first zones :: zones: a -> firewall ssh [ipv6]
      --> zones.yaml:8:5
      expected  drop
      actual    accept
      by        rule scenarios/shop/web.nft:5 `tcp dport { 80, 443 } accept comment "web <public> & open"` (inet filter input, handle 4)
      source    tcp dport $WEB accept comment "web <public> & open"
      packet    a packet
      [2] 2 cells, first zones :: zones: a -> b https [ipv4]
      --> zones.yaml:13:15
      expected  accept
      actual    drop
      by        policy scenarios/shop/web.nft:3 (inet filter input)
      source    type filter hook input priority 0; policy drop;
      packet    a packet
      [3] 1 cell, first zones :: zones: b -> a ssh [ipv4]
      --> zones.yaml:8:5
      expected  drop
      because   the path does not work without the candidate either (kernel: no route)
      packet    a packet
    "#);
    let mut coloured = Terminal::new(Vec::new(), true);
    coloured.event(&finished).unwrap();
    let coloured = String::from_utf8(coloured.into_inner()).unwrap();
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), text);
}

#[test]
fn a_cell_is_a_case_that_knows_its_place() {
    let record = matrix();
    let mut summary = Summary::default();
    summary.add(&record);
    let events = vec![
        Event::Started {
            scenarios: 1,
            cases: record.cases.len(),
            part: None,
        },
        Event::Finished(Box::new(record)),
        Event::Ended(summary),
    ];
    let json = written_of(events, |out| Box::new(Json::new(out, Versions::default())));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let scenario = &json["scenarios"][0];
    assert_eq!(
        scenario["matrices"],
        serde_json::json!([{
            "name": "zones", "file": "zones.yaml", "line": 8, "column": 5,
            "from": ["a", "b"], "to": ["firewall", "a", "b"], "services": ["ssh", "https"],
        }])
    );
    assert_eq!(
        scenario["cases"][1]["cell"],
        serde_json::json!({ "matrix": 0, "from": "a", "to": "firewall", "service": "ssh" })
    );
}

/// What is merged must not lose anything on the way.
#[test]
fn a_json_report_that_is_read_and_written_again_is_the_same() {
    let mut matrix = matrix();
    matrix.position = 1;
    matrix.output = "a warning\n".to_owned();
    let mut skipped = record(Some(ScenarioError::Skipped("no program".to_owned())));
    skipped.cases[0].steps[0].judgement.decider = Some(Decider::NoChain);
    // A conversation: a step that passed, and one that did not.
    let mut steps: Vec<StepRecord> = skipped.cases[1..3]
        .iter()
        .flat_map(|case| case.steps.clone())
        .collect();
    steps[1].at.line += 1;
    skipped.cases[1].steps = steps;
    let broken = record(Some(ScenarioError::Lab("no namespaces".to_owned())));
    let mut all = vec![(events(), "a run"), (compared(), "candidates")];
    let mut summary = Summary {
        deny_skips: true,
        ..Summary::default()
    };
    let records = [matrix, skipped, broken];
    records.iter().for_each(|record| summary.add(record));
    let finished = records.into_iter().map(Box::new).map(Event::Finished);
    let started = Event::Started {
        scenarios: 3,
        cases: summary.cases(),
        part: None,
    };
    let others = std::iter::once(started).chain(finished);
    all.push((others.chain([Event::Ended(summary)]).collect(), "the rest"));
    for (mut events, what) in all {
        // Every scenario of the run has a name of its own.
        for (number, event) in events.iter_mut().enumerate() {
            if let (Event::Finished(record), true) = (event, what != "candidates") {
                record.scenario.id += &number.to_string();
                record.scenario.stem.clone_from(&record.scenario.id);
            }
        }
        let versions = || Versions {
            nft: Some("v1".into()),
        };
        let written = |events: &[Event]| {
            [
                written_of(events.to_vec(), |out| Box::new(Json::new(out, versions()))),
                written_of(events.to_vec(), |out| Box::new(Terminal::new(out, false))),
                written_of(events.to_vec(), |out| Box::new(JUnit::new(out))),
            ]
        };
        let first = written(&events);
        assert_snapshot!(format!("the bytes of the JSON report of {what}"), first[0]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        std::fs::write(&file, &first[0]).unwrap();
        let merged = merge::files(&[file]).unwrap();
        assert_eq!(merged.versions, versions());
        let again = written(&merged.events);
        for (first, again) in first.iter().zip(&again) {
            assert_eq!(first, again, "{what}");
        }
    }
}

#[test]
fn a_report_is_named_with_or_without_a_file() {
    let wanted = |text: &str| {
        text.parse::<super::Wanted>()
            .map(|wanted| wanted.to_string())
    };
    assert_eq!(wanted("json"), Ok("json".to_owned()));
    assert_eq!(
        wanted("junit=out/a=b.xml"),
        Ok("junit=out/a=b.xml".to_owned())
    );
    assert_eq!(
        wanted("json="),
        Err("there is no file name behind the `=`".to_owned())
    );
    assert_eq!(
        wanted("xml"),
        Err("there is no report format `xml`, only terminal, json, junit".to_owned())
    );
}
