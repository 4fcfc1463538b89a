//! What the parts of a run cost by themselves: the pure ones, and the probing loop on the real kernel.
//!
//! `cargo bench --manifest-path benches/criterion/Cargo.toml`

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use criterion::{Criterion, Throughput};
use firedrill::{dialect, ruleset::{listing::Ruleset, chain::Chain, origin::Origin}, judge::{self, Setting, verdict::Outcome}, run::{self, options::Options, queue::Selected}, scenario, trace::way::Observation};
use firedrill_harness::{
    packet::{Packet, Tcp, Transport, craft, tcp_flag},
    protocol::{Listing, Loaded, LoadedLayer},
};

#[path = "../../tests/recorded/mod.rs"]
mod recorded;

const RULES: usize = 5000;

/// The end of `cargo bench` is the end of this: what fails here is a benchmark that measures nothing.
fn main() {
    // This very program is started again as the agent inside the sandbox.
    firedrill_harness::agent::run_if_asked();
    // The recording has paths relative to the root of the checkout.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap();
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let folder = std::env::temp_dir().join(format!("firedrill-criterion-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    crafting(&mut criterion);
    reading_a_scenario(&mut criterion, &folder);
    reading_rules(&mut criterion, &folder);
    judging(&mut criterion);
    probing(&mut criterion, &folder);
    fs::remove_dir_all(&folder).unwrap();
    criterion.final_summary();
}

fn crafting(criterion: &mut Criterion) {
    let address = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let tcp = Tcp {
        sport: 40_000,
        dport: 443,
        flags: tcp_flag::SYN,
        ..Tcp::default()
    };
    let packet = Packet::new(address(77), address(10), 1, Transport::Tcp(tcp));
    let mut group = criterion.benchmark_group("craft");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a SYN", |bencher| {
        bencher.iter(|| craft(black_box(&packet)))
    });
    group.finish();
}

/// A scenario of this many cases against the ruleset beside it.
fn scenario_of(cases: usize) -> String {
    let mut text = String::from(
        "firewall: { nftables: rules.nft, interfaces: { eth0: 192.0.2.10/24 } }\n\
         hosts: { client: { behind: eth0, address: 192.0.2.77 } }\n\
         tests:\n",
    );
    for port in 1..=cases {
        let _ = writeln!(text, "  - client -> firewall tcp/{port}: drop");
    }
    text
}

fn reading_a_scenario(criterion: &mut Criterion, folder: &Path) {
    fs::write(folder.join("rules.nft"), rules().0).unwrap();
    let file = folder.join("bench.yaml");
    let text = scenario_of(1000);
    let read = || scenario::parse(black_box(&text), &file, "bench").unwrap();
    assert_eq!(read()[0].cases.len(), 1000);
    let mut group = criterion.benchmark_group("scenario");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("read 1,000 cases", |bencher| bencher.iter(read));
    group.finish();
}

/// A ruleset, and what nft says of it when it is loaded.
fn rules() -> (String, String) {
    let (mut source, mut listing) = (String::new(), String::new());
    for (text, handle) in [(&mut source, false), (&mut listing, true)] {
        let at = |number: usize| match handle {
            true => format!(" # handle {number}"),
            false => String::new(),
        };
        let _ = writeln!(text, "table inet t {{{}", at(1));
        let _ = writeln!(text, "\tchain c {{{}", at(1));
        let _ = writeln!(
            text,
            "\t\ttype filter hook input priority filter; policy drop;"
        );
        for rule in 0..RULES {
            let (high, low) = (rule / 256, rule % 256);
            let comment = format!("comment \"rule {rule}\"");
            let _ = writeln!(
                text,
                "\t\tip saddr 10.{high}.{low}.0/24 tcp dport {} accept {comment}{}",
                rule + 1,
                at(rule + 2)
            );
        }
        let _ = writeln!(text, "\t}}\n}}");
    }
    (source, listing)
}

fn reading_rules(criterion: &mut Criterion, folder: &Path) {
    let (source, listing) = rules();
    fs::write(folder.join("rules.nft"), source).unwrap();
    let file = folder.join("bench.yaml");
    let scenario = scenario::parse(&scenario_of(1), &file, "bench")
        .unwrap()
        .remove(0);
    let firewall = &scenario.firewall;
    let prepared = dialect::prepare(&firewall.candidate, &firewall.layers, &firewall.files).unwrap();
    let listing = Listing {
        listing,
        ..Listing::default()
    };
    let loaded = Loaded {
        candidate: 0,
        layers: vec![LoadedLayer {
            changed: true,
            ..LoadedLayer::default()
        }],
        generation_probed: 0,
        output: String::new(),
        elapsed_us: 0,
    };
    let chain = Chain {
        family: "inet".to_owned(),
        table: "t".to_owned(),
        name: "c".to_owned(),
    };
    let last = RULES as u64 + 1;
    assert!(Ruleset::parse(&listing).rule(&chain, last).is_some());
    let origin = prepared.ruleset(&loaded, &listing).origin(&chain, last);
    // Behind the lines of the table, the chain and its hook.
    assert!(matches!(origin, Some(Origin::Known(at)) if at.line == RULES + 3));
    let mut group = criterion.benchmark_group("ruleset");
    group.throughput(Throughput::Elements(RULES as u64));
    group.bench_function("read a listing of 5,000 rules", |bencher| {
        bencher.iter(|| Ruleset::parse(black_box(&listing)))
    });
    group.bench_function("read it and find the lines of 5,000 rules", |bencher| {
        bencher.iter(|| prepared.ruleset(black_box(&loaded), black_box(&listing)))
    });
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let recording = recorded::Recording::read();
    let setting = Setting {
        lab: &recording.plan.lab,
        loaded: &recording.loaded,
        ruleset: &recording.ruleset,
        listing: "",
    };
    let judge = || {
        let all = recording.evidence.iter().enumerate();
        all.filter(|(number, evidence)| {
            let send = recording.case(*number).sends().next().unwrap();
            let probe = recording.probe(*number);
            let observation = Observation::of(probe, evidence);
            let judged = judge::judge(&recording.scenario, send, &observation, setting);
            judged.judgement.outcome == Outcome::Pass
        })
        .count()
    };
    let cases = recording.evidence.len();
    assert_eq!(judge(), cases);
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(cases as u64));
    group.bench_function("recorded evidence", |bencher| bencher.iter(judge));
    group.finish();
}

/// One scenario in a lab of its own, with one case and with 1,000: the difference is the loop.
fn probing(criterion: &mut Criterion, folder: &Path) {
    let ruleset = "table inet t {\n\
        chain c {\ntype filter hook input priority filter; policy drop;\n}\n\
        }\n";
    fs::write(folder.join("rules.nft"), ruleset).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("probe");
    group.sample_size(20);
    for cases in [1, 1000] {
        let file = folder.join("bench.yaml");
        let scenario = scenario::parse(&scenario_of(cases), &file, "bench")
            .unwrap()
            .remove(0);
        let selected = Selected::all(scenario);
        group.throughput(Throughput::Elements(cases as u64));
        group.bench_function(format!("{cases} traced drops in a lab"), |bencher| {
            bencher.iter(|| {
                let record = runtime.block_on(firedrill::run::scenario::run_scenario(&selected, &Options::default()));
                let all = record.cases.iter().flat_map(|case| &case.steps);
                assert!(record.error.is_none(), "{:?}", record.error);
                assert!(all.clone().count() == cases);
                assert!(
                    all.clone()
                        .all(|step| step.judgement.outcome == Outcome::Pass)
                );
            })
        });
    }
    group.finish();
}
