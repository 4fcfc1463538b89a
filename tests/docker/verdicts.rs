//! A container gives the verdicts of this machine, whatever release its programs are of.

use std::{collections::BTreeMap, process::Command};

use rstest::rstest;

use crate::{
    common::{Folder, Lab, Report, end, firedrill},
    engine::{RELEASES, built, docker, empty, engine, standard},
};

fn report(arguments: &[&str]) -> Report {
    let mut command = firedrill();
    command.args(["test", "--report", "json"]).args(arguments);
    Report::of(end(command))
}

/// Everything that is said of a case, but for what another nft may word otherwise.
fn told(report: &Report) -> BTreeMap<String, String> {
    let cases = report.cases();
    let told = cases.iter().map(|case| {
        let rule = case.rule.as_ref();
        let rule = rule.map(|rule| (&rule.table, &rule.chain, rule.handle));
        let told = format!(
            "{} {} {:?} {rule:?} {:?} {:?}",
            case.verdict, case.outcome, case.reason, case.kernel, case.arrival
        );
        (case.name.clone(), told)
    });
    told.collect()
}

/// The shipped scenarios by the image that has their programs.
const NFTABLES: [&str; 5] = [
    "scenarios/bastion",
    "scenarios/gateway",
    "scenarios/icmpv6",
    "scenarios/outage",
    "scenarios/equivalent/nftables.yaml",
];
const IPTABLES: [&str; 5] = [
    "scenarios/iptables",
    "scenarios/layers",
    "scenarios/script",
    "scenarios/equivalent/iptables-nft.yaml",
    "scenarios/equivalent/iptables-legacy.yaml",
];
const UFW: [&str; 2] = [
    "scenarios/ufw/web-server.yaml",
    "scenarios/equivalent/ufw.yaml",
];
const FIREWALLD: [&str; 2] = ["scenarios/firewalld", "scenarios/equivalent/firewalld.yaml"];

const FERM: [&str; 2] = ["scenarios/ferm", "scenarios/equivalent/ferm.yaml"];
const SHOREWALL: [&str; 2] = ["scenarios/shorewall", "scenarios/equivalent/shorewall.yaml"];
const FOOMUURI: [&str; 2] = ["scenarios/foomuuri", "scenarios/equivalent/foomuuri.yaml"];

#[rstest]
#[case::nftables("containers/nftables", &NFTABLES, &RELEASES)]
#[case::iptables("containers/iptables", &IPTABLES, &RELEASES[..1])]
#[case::ufw("containers/ufw", &UFW, &RELEASES[..1])]
#[case::firewalld("containers/firewalld", &FIREWALLD, &RELEASES[..1])]
#[case::ferm("containers/ferm", &FERM, &RELEASES[..1])]
#[case::shorewall("containers/shorewall", &SHOREWALL, &RELEASES[..1])]
// Debian has it from version 13 on.
#[case::foomuuri("containers/foomuuri", &FOOMUURI, &RELEASES[1..])]
fn shipped_scenarios_have_the_same_verdicts_on_this_machine_and_in_containers(
    #[case] folder: &str,
    #[case] scenarios: &[&str],
    #[case] releases: &[&str],
) {
    let Some(_turn) = engine() else { return };
    let here = report(&[scenarios, &["--launcher", "embedded"]].concat());
    let expected = told(&here);
    assert!(expected.len() > 100, "only {} cases", expected.len());
    assert_eq!(here.code, Some(0));
    for release in releases {
        let image = built(folder, release);
        let there = report(&[scenarios, &["--launcher", "docker", "--image", &image]].concat());
        assert_eq!(there.code, Some(0), "{release}");
        assert_eq!(told(&there), expected, "{release}");
    }
}

#[test]
fn the_releases_have_different_versions_of_nft() {
    let Some(_turn) = engine() else { return };
    let versions = RELEASES.map(|release| {
        let run = ["run", "--rm", "--network", "none", &standard(release)];
        docker(&[&run[..], &["nft", "--version"]].concat())
    });
    assert_ne!(versions[0], versions[1]);
}

/// Failing expectations fail there, too.
#[test]
fn what_fails_on_this_machine_fails_in_a_container() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let candidate = "scenarios/outage/rulesets/app-server-2024-04-05.nft";
    let arguments = ["scenarios/outage", "--candidate", candidate];
    let here = report(&[&arguments[..], &["--launcher", "embedded"]].concat());
    let there = report(&[&arguments[..], &["--launcher", "docker", "--image", &image]].concat());
    assert_eq!(here.code, Some(1));
    assert_eq!(there.code, Some(1));
    assert_eq!(told(&there), told(&here));
}

/// With a sense taken away, nothing passes in a container either.
#[rstest]
#[case("trace-deaf")]
#[case("trace-overflow")]
#[case("probes-never-enter")]
#[case("candidate-not-loaded")]
#[case("barrier-lost")]
#[case("capture-deaf")]
fn nothing_passes_in_a_container_that_is_blind(#[case] sense: &str) {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let scenario = "scenarios/outage/app-server.yaml";
    let container = [scenario, "--launcher", "docker", "--image", &image];
    let there = report(&[&container[..], &["--blind", sense]].concat());
    let here = report(&[scenario, "--launcher", "embedded", "--blind", sense]);
    assert_eq!(there.code, here.code);
    let passed = |report: &Report| {
        let cases = report.cases();
        cases.iter().filter(|case| case.outcome == "pass").count()
    };
    assert_eq!(passed(&there), passed(&here));
    assert_eq!(passed(&there), 0);
}

const OPEN: &str =
    "table inet t { chain c { type filter hook input priority 0; policy accept; }\n}\n";

#[test]
fn a_scenario_says_what_container_it_wants() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let lab = Lab::new(OPEN).test("client -> firewall tcp/80: accept");
    let folder = Folder::new();
    let sandbox = format!("sandbox: {{ docker: {{ image: \"{image}\" }} }}\n");
    folder.write("lab.yaml", sandbox + &lab.yaml());
    // Nothing but the machine's name is different in there: the image has no such file.
    folder.write(
        "candidate.nft",
        OPEN.to_owned() + "include \"/etc/marker.nft\"\n",
    );
    let built = format!(
        "sandbox: {{ docker: {{ dockerfile: image, base: \"{image}\" }} }}\n{}",
        lab.yaml().replace("candidate.nft", "marked.nft")
    );
    folder.write("marked.yaml", built);
    folder.write("marked.nft", "include \"/etc/marked.nft\"\n");
    folder.write(
        "image/Dockerfile",
        "ARG BASE\nFROM ${BASE}\nCOPY marked.nft /etc/marked.nft\n",
    );
    folder.write("image/marked.nft", OPEN);
    let run = |arguments: &[&str]| {
        let mut command = firedrill();
        command.args(arguments).current_dir(folder.path());
        end(command)
    };
    let named = run(&["test", "lab.yaml"]);
    assert_eq!(named.code, Some(2), "{named:?}");
    assert!(named.stdout.contains("/etc/marker.nft"), "{named:?}");
    let marked = run(&["test", "marked.yaml"]);
    assert_eq!(marked.code, Some(0), "{marked:?}");
    // On this machine there is no such file.
    let embedded = run(&["test", "marked.yaml", "--launcher", "embedded"]);
    assert_eq!(embedded.code, Some(2), "{embedded:?}");
    for line in run(&["images"]).stdout.lines() {
        let name = line.split(' ').next().expect("a name");
        if name.starts_with("firedrill/image:") {
            run(&["images", "remove", name]);
        }
    }
}

#[test]
fn the_agent_needs_no_library_of_the_image() {
    let Some(_turn) = engine() else { return };
    let image = empty();
    let lab = Lab::new(OPEN)
        .test("client -> firewall tcp/80: accept")
        .folder();
    let mut command: Command = firedrill();
    command.current_dir(lab.path());
    command.args([
        "test",
        "lab.yaml",
        "--launcher",
        "docker",
        "--image",
        &image,
    ]);
    let ended = end(command);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let expected = "there is no program `nft` in the container's image";
    assert!(ended.stdout.contains(expected), "{ended:?}");
}
