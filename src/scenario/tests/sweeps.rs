//! `only-open`: every port.

use firedrill_wire::Ranges;

use super::{good, problems_of_tests, with_tests};
use crate::scenario::{Action, Family, Over, Sweep};

fn sweeps(test: &str, family: Family) -> Vec<(String, Sweep)> {
    let scenario = good(&with_tests(&[test]));
    let case = scenario.cases.iter().find(|case| case.family == family);
    let steps = case.map(|case| case.steps.clone()).unwrap_or_default();
    let sweep = |step: crate::scenario::Step| match step.action {
        Action::Sweep(sweep) => (step.text, *sweep),
        other => panic!("{other:?}"),
    };
    steps.into_iter().map(sweep).collect()
}

#[test]
fn tcp_and_udp_are_always_swept_and_everything_not_listed_is_closed() {
    let found = sweeps(
        "{ from: internet, to: firewall, only-open: { tcp: [443, http, 8000-8010] } }",
        Family::Ipv4,
    );
    let [(text, tcp), (_, udp)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(text, "internet -> firewall tcp, only 80, 443, 8000-8010");
    assert_eq!(tcp.open, Ranges::from([80..=80, 443..=443, 8000..=8010]));
    assert_eq!(tcp.numbers, Ranges::from(1..=65535));
    assert_eq!((udp.over, udp.open.len()), (Over::Udp, 0));
    assert!(tcp.should_be_open(8005) && !tcp.should_be_open(81));
}

#[test]
fn a_sweep_is_a_case_for_each_family_with_the_number_of_an_icmp_type_in_it() {
    let test = "{ name: n, from: internet, to: firewall, only-open: { tcp: any, udp: any, icmp: echo-request } }";
    for (family, number) in [(Family::Ipv4, 8), (Family::Ipv6, 128)] {
        let found = sweeps(test, family);
        let [(_, icmp)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(icmp.open, Ranges::from(number..=number));
        assert_eq!(icmp.numbers, Ranges::from(0..=255));
    }
    let names: Vec<String> = good(&with_tests(&[test]))
        .cases
        .into_iter()
        .map(|case| case.name)
        .collect();
    assert_eq!(names, ["test :: n [ipv4]", "test :: n [ipv6]"]);
}

#[test]
fn protocols_have_names_and_numbers_and_a_family_sweeps_only_its_own() {
    let test = "{ from: internet, to: firewall, only-open: { tcp: any, udp: any, protocols: [gre, ah, 99] } }";
    let open = |family| sweeps(test, family)[0].1.open.clone();
    assert_eq!(
        open(Family::Ipv4),
        Ranges::from([47..=47, 51..=51, 99..=99])
    );
    // In IPv6 the authentication header is an extension header.
    assert_eq!(open(Family::Ipv6), Ranges::from([47..=47, 99..=99]));
}

#[test]
fn some_ports_can_be_looked_at_alone() {
    let test = "{ from: internet, to: db, only-open: { tcp: 22, among: [1-1023, 8080] } }";
    let found = sweeps(test, Family::Ipv4);
    for (_, sweep) in found {
        assert_eq!(sweep.numbers, Ranges::from([1..=1023, 8080..=8080]));
    }
}

#[test]
fn what_is_wrong_with_a_sweep_is_said() {
    for (only_open, said) in [
        ("{ tcp: [80, 443, 80] }", "`80` is listed twice"),
        ("{ tcp: [80-90, 85] }", "`85` is listed twice"),
        ("{ tcp: [htpt] }", "has no service `htpt`"),
        ("{ tcp: [0] }", "`0` is not a port"),
        ("{ tcp: any, udp: any }", "this looks at nothing"),
        ("{ tcp: [any, 80] }", "`any` stands by itself"),
        ("{ protocols: [tcp] }", "unknown IP protocol `tcp`"),
        ("{ protocols: [17] }", "17 is not gone through"),
        (
            "{ icmp: [8] }",
            "this number means one thing in ICMP for IPv4",
        ),
        ("{ icmp: [ping] }", "unknown ICMP type `ping`"),
        ("{ sctp: [80] }", "unknown key `sctp`"),
        ("{ tcp: 80, among: 1-22 }", "`among` leaves it out"),
        ("{ among: [] }", "this looks at no port"),
    ] {
        let test = format!("{{ from: internet, to: firewall, only-open: {only_open} }}");
        let problems = problems_of_tests(&[&test]);
        assert!(problems.contains(said), "{only_open}: {problems}");
    }
    for (test, said) in [
        ("{ from: internet, only-open: { tcp: 80 } }", "`to`"),
        (
            "{ from: internet, to: firewall, only-open: { tcp: 80 }, expect: drop }",
            "unknown key `expect`",
        ),
        (
            "{ from: office, to: firewall, only-open: { tcp: 80 }, family: ipv6 }",
            "share no IPv6 addresses",
        ),
    ] {
        let problems = problems_of_tests(&[test]);
        assert!(problems.contains(said), "{test}: {problems}");
    }
}
