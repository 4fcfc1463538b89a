//! Conversations that cannot be held.

use insta::assert_snapshot;

use super::{good, problems_of_tests, with_tests};
use crate::scenario::Action;

#[test]
fn a_conversation_needs_a_packet_to_begin_with() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: a, steps: [] }",
        "{ name: b, steps: x }",
        "{ name: c, steps: [ { wait: 1s } ] }",
        "{ name: d, steps: [ reply ack: accept ] }",
        "{ name: e, steps: [ {} ] }",
        "{ name: f, steps: [ internet says hello: accept ] }",
    ]));
}

#[test]
fn a_step_is_one_thing() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: a, steps: [ internet -> firewall tcp/80: accept, { wait: 1s, reply: ack } ] }",
        "{ name: b, steps: [ internet -> firewall tcp/80: accept, { wait: 1s, expect: drop } ] }",
        "{ name: c, steps: [ \"internet -> firewall tcp/80,443\": accept ] }",
        "{ name: d, steps: [ { from: internet, to: firewall, expect: drop } ] }",
        "{ name: e, steps: [ { from: internet, to: firewall, service: tcp/1 connect, repeat: 2, expect: drop } ] }",
    ]));
}

#[test]
fn a_segment_is_one_of_tcp() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: a, steps: [ internet -> firewall tcp/80 sin: accept ] }",
        "{ name: b, steps: [ internet -> firewall udp/53 syn: accept ] }",
        "{ name: c, steps: [ internet -> firewall tcp/80: accept, reply connect: accept ] }",
        "{ name: d, steps: [ internet -> firewall tcp/80: accept, reply: accept ] }",
    ]));
}

#[test]
fn times_and_numbers_are_checked() {
    assert_snapshot!(problems_of_tests(&[
        "{ name: a, steps: [ internet -> firewall tcp/80: accept, { wait: 5 } ] }",
        "{ name: b, from: internet, to: firewall, service: tcp/80, repeat: 1, expect: drop }",
        "{ name: c, from: internet, to: firewall, service: tcp/80, expect: { accept: 3..6 } }",
        "{ name: d, from: internet, to: firewall, service: tcp/80, repeat: 9, expect: { accept: 6..3 } }",
        "{ name: e, from: internet, to: firewall, service: tcp/80, repeat: 9, expect: { accept: {}, otherwise: drop } }",
        "{ name: f, from: internet, to: firewall, service: tcp/80, as: nobody, expect: drop }",
        "{ name: g, from: internet, to: firewall, service: tcp/80, expect: { drop: { state: old } } }",
        "{ name: h, from: firewall, to: internet, service: tcp/80, mark: many, expect: drop }",
        "{ name: i, steps: [ internet -> firewall tcp/80: accept, { reload: web.nft, meanwhile: { internet -> firewall tcp/1: reject } } ] }",
    ]));
}

#[test]
fn a_reply_goes_back_and_its_reply_forth() {
    let scenario = good(&with_tests(&[
        "{ family: ipv4, steps: [ internet -> firewall tcp/80 syn: accept, reply syn-ack: accept, reply ack: accept, internet -> firewall tcp/80 data: accept, internet -> firewall tcp/80 syn: accept ] }",
    ]));
    let connections: Vec<_> = scenario.cases[0]
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::Send(send) => send.connection.map(|of| (of.number, of.reply)),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(0, false), (0, true), (0, false), (0, false), (1, false)];
    assert_eq!(connections, expected.map(Some));
}
