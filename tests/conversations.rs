//! Conversations, rates, memory and everything beside a verdict, on the real kernel. Each is also expected to be
//! what it is not.

mod common;

use common::{Case, Lab};
use rstest::rstest;

/// Accepts what belongs to a connection, and whatever `more` says.
fn stateful(more: &str) -> String {
    let chain = |hook: &str| {
        format!(
            " chain {hook} {{\n  type filter hook {hook} priority 0; policy drop;\n  \
             ct state invalid drop comment \"invalid\"\n  \
             ct state established,related accept comment \"answers\"\n  {more}\n }}\n"
        )
    };
    format!(
        "table inet t {{\n{}{}}}\n",
        chain("input"),
        chain("forward")
    )
}

/// The only case of each family, with this outcome.
#[track_caller]
fn outcomes(lab: &Lab, outcome: &str) -> Vec<Case> {
    let report = lab.report();
    for case in report.cases() {
        assert_eq!(case.outcome, outcome, "{case:#?}");
    }
    report.cases().into_iter().cloned().collect()
}

#[track_caller]
fn passes(lab: &Lab) {
    outcomes(lab, "pass");
}

/// Every case fails, for a reason with these words.
#[track_caller]
fn fails(lab: &Lab, words: &str) {
    for case in outcomes(lab, "fail") {
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains(words), "{case:#?}");
    }
}

fn steps(steps: &[&str]) -> String {
    format!("{{ name: talk, steps: [ {} ] }}", steps.join(", "))
}

#[test]
fn a_connection_lives_from_its_first_segment_to_its_last() {
    let lab = Lab::new(&stateful("iifname eth1 tcp dport 443 accept"));
    passes(&lab.test(&steps(&[
        "server -> client tcp/443 syn: accept",
        "reply syn-ack: { accept: { by: answers } }",
        "reply ack: { accept: { by: answers } }",
        "server -> client tcp/443 data: { accept: { by: answers } }",
        "reply data: accept",
        "reply ack: accept",
        "server -> client tcp/443 fin: accept",
        "reply fin: accept",
        "reply ack: accept",
    ])));
}

#[test]
fn the_first_step_that_does_not_hold_is_told() {
    let lab = Lab::new(&stateful("iifname eth1 tcp dport 443 accept"));
    let lab = lab.test(&steps(&[
        "server -> client tcp/443 syn: accept",
        "reply syn-ack: drop",
        "reply ack: drop",
    ]));
    fails(&lab, "expected drop, but it was accept");
    let text = lab.folder().firedrill(&["test", "."]).stdout;
    assert!(text.contains("step      2 of 3: reply syn-ack"), "{text}");
}

/// Without the first packet there is nothing to answer; that is no drop.
#[test]
fn what_never_arrived_cannot_be_answered() {
    let lab = Lab::new(&stateful("counter"));
    let lab = lab.test(&steps(&[
        "server -> client tcp/443 syn: drop",
        "reply syn-ack: drop",
    ]));
    for case in outcomes(&lab, "inconclusive") {
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("nothing to reply to"), "{case:#?}");
    }
}

#[test]
fn the_firewall_is_an_end_of_conversations_in_both_directions() {
    let lab = Lab::new(&stateful("tcp dport 22 accept"))
        .test(&steps(&[
            "client -> firewall tcp/22 connect: accept",
            "client -> firewall tcp/22 data: { accept: { by: answers } }",
            "reply data: accept",
            "client -> firewall tcp/22 fin: accept",
        ]))
        .test(
            "{ name: out, steps: [ firewall -> client tcp/443 connect: accept, reply data: { accept: { by: answers } } ] }",
        );
    passes(&lab);
}

/// RFC 5508 section 4 and 5: an error about a packet belongs to its connection.
#[test]
fn errors_and_answers_of_other_protocols_belong_to_their_connections() {
    let lab = Lab::new(&stateful("iifname eth1 accept")).test(&steps(&[
        "server -> client udp/53: accept",
        "reply: { accept: { by: answers, state: established } }",
        "reply icmp/destination-unreachable/port-unreachable: { accept: { state: related } }",
        "server -> client icmp/echo-request: accept",
        "reply: { accept: { by: answers, state: established } }",
    ]));
    passes(&lab);
    let stranger = Lab::new(&stateful("iifname eth1 accept")).test(
        "client -> server icmp/destination-unreachable/port-unreachable: { drop: { by: invalid } }",
    );
    passes(&stranger);
}

#[test]
fn a_stranger_does_not_get_into_a_connection_but_a_forger_does() {
    let host = "stranger: { behind: eth0, address: [203.0.113.9, \"2001:db8:9::9\"] }";
    let lab = Lab::new(&stateful("iifname eth1 tcp dport 443 accept")).host(host);
    let opened = [
        "server -> client tcp/443 syn: accept",
        "reply syn-ack: accept",
    ];
    let slips = "{ from: stranger, to: client, service: tcp/443 ack, inside: true, expect: drop }";
    // Towards the server, as the client's answer.
    let guess = "stranger -> server tcp/443 ack: drop";
    passes(&lab.clone().test(&steps(&[&opened[..], &[guess]].concat())));
    // Both on one side: the packet never comes to the firewall.
    let report = lab.test(&steps(&[&opened[..], &[slips]].concat())).folder();
    assert_eq!(report.firedrill(&["check", "."]).code, Some(2));
}

/// Connection tracking knows a connection by its addresses and ports: who forges them is inside it, and who only
/// knows its ports is not.
#[test]
fn who_forges_the_addresses_of_a_connection_is_inside_it() {
    let slips_in = |packet: &str, expect: &str| {
        format!(
            "{{ name: \"as {packet}\", family: ipv4, steps: [ visitor -> server tcp/443 connect: accept, \
             {{ from: stranger, to: server, inside: true, packet: {{ {packet} tcp: {{ dport: 443, flags: [ack] }} }}, expect: {expect} }} ] }}"
        )
    };
    let forged = slips_in(
        "ipv4: { source: 192.0.2.7 },",
        "{ accept: { by: answers, state: established } }",
    );
    let own = slips_in("", "{ drop: { by: policy, state: new } }");
    let candidate = stateful("ip saddr 192.0.2.7 tcp dport 443 tcp flags syn accept");
    let lab = Lab::new(&candidate)
        .host("visitor: { behind: eth0, address: 192.0.2.7 }")
        .host("stranger: { behind: eth0, address: 198.51.100.66 }");
    passes(&lab.test(&forged).test(&own));
}

#[rstest]
#[case::new("server -> client tcp/443 syn", "new", "established")]
#[case::established("reply syn-ack", "established", "new")]
#[case::invalid("client -> server tcp/443 syn-ack", "invalid", "new")]
fn the_state_of_a_packet_is_seen(#[case] step: &str, #[case] state: &str, #[case] other: &str) {
    let lab =
        Lab::new("table inet t {\n chain c {\n  type filter hook forward priority 0;\n }\n}\n");
    let steps = |state: &str| {
        let last = format!("{step}: {{ accept: {{ state: {state} }} }}");
        match step.starts_with("reply") {
            true => steps(&["server -> client tcp/443 syn: accept", &last]),
            false => steps(&[&last]),
        }
    };
    passes(&lab.clone().test(&steps(state)));
    fails(&lab.test(&steps(other)), &format!("its state was {state}"));
}

#[test]
fn untracked_is_a_state() {
    let candidate = "table inet t {\n chain c {\n  type filter hook prerouting priority raw;\n  \
                     udp dport 53 notrack\n }\n}\n";
    passes(&Lab::new(candidate).test(&steps(&[
        "client -> server udp/53: { accept: { state: untracked } }",
    ])));
}

const NAT: &str = "table ip n {
 chain pre {
  type nat hook prerouting priority dstnat;
  iifname eth0 tcp dport 8443 dnat to 10.0.0.5:443
  iifname eth1 ip daddr 192.0.2.1 tcp dport 8443 dnat to 10.0.0.5:443
  iifname eth1 tcp dport 80 redirect to :3128
 }
 chain post {
  type nat hook postrouting priority srcnat;
  ip daddr 10.0.0.5 ip saddr 10.0.0.0/24 masquerade
  oifname eth0 meta l4proto { tcp, udp } snat to 192.0.2.1:20000-20999
 }
}
table ip6 n {
 chain pre {
  type nat hook prerouting priority dstnat;
  iifname eth0 dnat ip6 prefix to ip6 daddr map { 2001:db8:1:2::/64 : fd00:1::/64 }
 }
 chain post {
  type nat hook postrouting priority srcnat;
  oifname eth0 snat ip6 prefix to ip6 saddr map { fd00:1::/64 : 2001:db8:1:2::/64 }
 }
}
";

#[rstest]
#[case::dnat(&[
    "client -> firewall tcp/8443 connect: { accept: { destination: 10.0.0.5, dport: 443 } }",
    "client -> firewall tcp/8443 data: { accept: { destination: 10.0.0.5, dport: 443, source: 198.51.100.7 } }",
    "reply data: { accept: { source: 192.0.2.1, sport: 8443 } }",
])]
#[case::snat_to_a_range(&[
    "server -> client tcp/443 syn: { accept: { source: 192.0.2.1, sport: 20000-20999 } }",
    "reply syn-ack: { accept: { destination: 10.0.0.5 } }",
    "reply ack: { accept: { source: 192.0.2.1 } }",
])]
#[case::udp_and_its_answer(&[
    "server -> client udp/53: { accept: { source: 192.0.2.1 } }",
    "reply: { accept: { source: 198.51.100.7, sport: 53, destination: 10.0.0.5 } }",
])]
#[case::an_error_finds_its_way_back(&[
    "server -> client udp/53: { accept: { source: 192.0.2.1 } }",
    "reply icmp/destination-unreachable/port-unreachable: { accept: { destination: 10.0.0.5 } }",
])]
#[case::redirect(&[
    "{ from: server, to: client, service: tcp/80 syn, expect: { accept: { destination: 10.0.0.1, dport: 3128 } } }",
    "reply syn-ack: { accept: { source: 198.51.100.7, sport: 80 } }",
])]
#[case::hairpin(&[
    "{ from: neighbour, to: firewall@eth0, service: tcp/8443 syn, expect: { accept: { destination: 10.0.0.5, source: 10.0.0.1 } } }",
    "reply syn-ack: { accept: { source: 192.0.2.1, sport: 8443 } }",
])]
fn translated_connections_are_translated_back(#[case] talk: &[&str]) {
    let lab = Lab::new(NAT).host("neighbour: { behind: eth1, address: 10.0.0.77 }");
    let talk = format!(
        "{{ name: talk, family: ipv4, steps: [ {} ] }}",
        talk.join(", ")
    );
    passes(&lab.test(&talk));
}

/// RFC 6296: a whole prefix for another.
#[test]
fn a_prefix_is_translated_and_back() {
    let talk = "{ name: talk, family: ipv6, steps: [ \
                server -> client tcp/443 syn: { accept: { source: \"2001:db8:1:2::5\" } }, \
                reply syn-ack: { accept: { destination: \"fd00:1::5\" } } ] }";
    passes(&Lab::new(NAT).test(talk));
}

#[rstest]
#[case::port(
    "{ accept: { destination: 10.0.0.5, dport: 8443 } }",
    "destination port 443, not 8443"
)]
#[case::address("{ accept: { destination: 10.0.0.6 } }", "arrived at 10.0.0.5")]
#[case::untranslated("accept", "arrived at 10.0.0.5")]
fn a_wrong_translation_is_a_failure(#[case] expect: &str, #[case] words: &str) {
    let test = format!(
        "{{ from: client, to: firewall, service: tcp/8443, family: ipv4, expect: {expect} }}"
    );
    fails(&Lab::new(NAT).test(&test), words);
}

/// RFC 959: the client says `PORT`, and the server connects to it.
#[test]
fn a_helper_lets_the_connection_in_that_was_agreed_upon() {
    let candidate = |helper: &str| {
        format!(
            "table ip t {{\n ct helper ftp {{ type \"ftp\" protocol tcp; }}\n \
             chain pre {{\n  type filter hook prerouting priority -150;\n  {helper}\n }}\n \
             chain f {{\n  type filter hook forward priority 0; policy drop;\n  \
             ct state established,related accept\n  iifname eth0 tcp dport 21 accept\n }}\n}}\n"
        )
    };
    let talk = |outcome: &str| {
        format!(
            "{{ name: ftp, family: ipv4, steps: [ client -> server tcp/21 connect: accept, \
             {{ from: client, to: server, service: tcp/21 data, payload: \"USER anonymous\\r\\n\", expect: accept }}, \
             {{ from: client, to: server, service: tcp/21 data, payload: \"PORT 198,51,100,7,195,80\\r\\n\", expect: accept }}, \
             {{ from: server, to: client, packet: {{ tcp: {{ dport: 50000, sport: 20 }} }}, expect: {outcome} }} ] }}"
        )
    };
    let with = Lab::new(&candidate("tcp dport 21 ct helper set \"ftp\""));
    passes(&with.test(&talk("{ accept: { state: related } }")));
    passes(&Lab::new(&candidate("counter")).test(&talk("{ drop: { state: new } }")));
}

#[test]
fn a_limit_lets_so_many_through_and_recovers() {
    let lab = Lab::new(&stateful(
        "tcp dport 80 limit rate 1/hour burst 5 packets accept\n  \
         tcp dport 81 limit rate 20/second burst 1 packets accept",
    ));
    let talk = steps(&[
        "{ from: client, to: firewall, service: tcp/80, repeat: 20, expect: { accept: 5, otherwise: drop } }",
        "client -> firewall tcp/80: drop",
        "{ from: client, to: firewall, service: tcp/81, repeat: 20, expect: { accept: 1..20, otherwise: drop } }",
        "{ wait: 200ms }",
        "client -> firewall tcp/81: accept",
    ]);
    passes(&lab.clone().test(&talk));
    let wrong =
        "{ from: client, to: firewall, service: tcp/80, repeat: 20, expect: { accept: 10..20 } }";
    fails(&lab.test(wrong), "of 20 did");
}

/// At an even pace below the limit everything passes. A machine that is too busy for the pace is said to be,
/// and is asked again.
#[test]
fn the_pace_of_a_series_is_kept() {
    let lab = Lab::new(&stateful(
        "tcp dport 80 limit rate 20/second burst 1 packets accept",
    ));
    let slow = "{ name: slow, from: client, to: firewall, service: tcp/80, family: ipv4, repeat: { count: 10, within: 1s }, expect: accept }";
    let lab = lab.test(slow);
    loop {
        let report = lab.report();
        let [case] = report.cases()[..] else {
            panic!("{report:#?}");
        };
        let reason = case.reason.as_deref().unwrap_or_default();
        if !reason.contains("the machine was too busy") {
            assert_eq!(case.outcome, "pass", "{case:#?}");
            return;
        }
        assert_eq!(case.outcome, "inconclusive", "{case:#?}");
    }
}

#[test]
fn a_series_without_a_pace_uses_up_a_limit() {
    let lab = Lab::new(&stateful(
        "tcp dport 80 limit rate 1/hour burst 2 packets accept",
    ));
    passes(&lab.test("{ name: fast, from: client, to: firewall, service: tcp/80, family: ipv4, repeat: 10, expect: { accept: 2, otherwise: drop } }"));
}

#[test]
fn quotas_and_counts_of_connections_are_used_up() {
    let candidate = stateful(
        "udp dport 53 quota until 100 bytes accept\n  tcp dport 25 ct count over 2 reject with tcp reset\n  tcp dport 25 accept",
    );
    let lab = Lab::new(&candidate)
        .test("{ name: quota, from: client, to: firewall, packet: { udp: { dport: 53, payload: { size: 12 } } }, family: ipv4, repeat: 5, expect: { accept: 2..3, otherwise: drop } }")
        .test("{ name: count, from: client, to: firewall, service: tcp/25, family: ipv4, repeat: 5, expect: { accept: 2, otherwise: reject tcp-reset } }");
    passes(&lab);
}

const KNOCK: &str = "table inet t {
 counter ssh { }
 set knocked { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
 set brief { type ipv4_addr; flags dynamic,timeout; timeout 100ms; }
 set nets { type ipv4_addr; flags interval; elements = { 198.51.100.0/24 } }
 chain input {
  type filter hook input priority 0; policy drop;
  tcp dport 1111 add @knocked { ip saddr } add @brief { ip saddr } drop
  tcp dport 22 ip saddr @knocked counter name ssh log prefix \"ssh in: \" group 7 accept
  tcp dport 23 log prefix \"telnet \" drop
 }
}
";

#[test]
fn sets_counters_and_logs_are_seen_after_a_packet() {
    let lab = Lab::new(KNOCK);
    passes(&lab.clone().test(
        "{ name: knock, family: ipv4, steps: [ client -> firewall tcp/22: { drop: { counter: { ssh: 0 }, not-in-set: { knocked: 198.51.100.7 } } }, \
         client -> firewall tcp/1111: { drop: { in-set: { knocked: 198.51.100.7, nets: 198.51.100.9 } } }, \
         client -> firewall tcp/22: { accept: { counter: { ssh: 1 }, log: { prefix: \"ssh in\", group: 7 } } }, \
         { wait: 200ms }, \
         client -> firewall tcp/24: { drop: { in-set: { knocked: 198.51.100.7 }, not-in-set: { brief: 198.51.100.7 } } } ] }",
    ).test("{ name: telnet, from: client, to: firewall, service: tcp/23, family: ipv4, expect: { drop: { log: \"telnet\" } } }"));
    let wrong = [
        ("tcp/23: { drop: { log: \"ssh\" } }", "would log"),
        (
            "tcp/23: { drop: { log: { prefix: telnet, group: 7 } } }",
            "nothing told",
        ),
        ("tcp/23: { drop: { counter: { ssh: 1 } } }", "grew by 0"),
        (
            "tcp/23: { drop: { counter: { none: 1 } } }",
            "nothing of this kind",
        ),
        (
            "tcp/23: { drop: { in-set: { knocked: 198.51.100.7 } } }",
            "not in the set",
        ),
        (
            "tcp/1111: { drop: { not-in-set: { knocked: 198.51.100.7 } } }",
            "is in the set",
        ),
    ];
    for (test, words) in wrong {
        let test = format!("{{ name: wrong, family: ipv4, steps: [ client -> firewall {test} ] }}");
        fails(&lab.clone().test(&test), words);
    }
}

const MANGLE: &str = "table inet t {
 chain f {
  type filter hook forward priority 0;
  udp dport 53 meta mark set 0x2a
  ip dscp set cs1
  ip6 dscp set cs1
  tcp flags syn tcp option maxseg size set 1000
 }
}
";

#[rstest]
#[case("udp/53", "mark: 0x2a", "mark: 0x2b", "mark 0x2a")]
#[case("udp/54", "mark: 0", "mark: 1", "mark 0x0")]
#[case("udp/53", "dscp: 8", "dscp: 0", "DSCP 8")]
#[case("udp/53", "ttl: 63", "ttl: 64", "TTL 63")]
#[case("tcp/80", "mss: 1000", "mss: 1220", "MSS 1000")]
fn what_the_firewall_writes_into_a_packet_is_seen(
    #[case] service: &str,
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] words: &str,
) {
    let test = |looks: &str| format!("client -> server {service}: {{ accept: {{ {looks} }} }}");
    passes(&Lab::new(MANGLE).test(&test(right)));
    fails(&Lab::new(MANGLE).test(&test(wrong)), words);
}

#[test]
fn packets_of_the_firewall_have_marks_and_users_and_go_to_itself() {
    let candidate = "table inet t {\n chain o {\n  type filter hook output priority 0;\n  \
                     meta mark 7 drop comment \"marked\"\n  meta skuid 65534 drop comment \"nobody\"\n  \
                     oifname lo tcp dport 5432 reject with tcp reset\n }\n}\n";
    let test = |name: &str, more: &str, expect: &str| {
        format!(
            "{{ name: {name}, from: firewall, to: client, service: udp/53, {more}, expect: {expect} }}"
        )
    };
    let mut lab = Lab::new(candidate)
        .test(&test("marked", "mark: 7", "{ drop: { by: marked } }"))
        .test(&test("other mark", "mark: 8", "accept"))
        .test("firewall -> firewall tcp/5432: reject tcp-reset")
        .test("firewall -> firewall tcp/5433: accept")
        .test("firewall -> firewall@eth0 udp/53: accept");
    // Other users than root exist in the sandbox of root, or where the machine grants them.
    if nix::unistd::geteuid().is_root() {
        lab = lab
            .test(&test("nobody", "as: nobody", "{ drop: { by: nobody } }"))
            .test(&test("number", "as: 65534", "{ drop: { by: nobody } }"))
            .test(&test("somebody", "as: daemon", "accept"));
    }
    passes(&lab);
    let nobody = Lab::new(candidate).test(&test("no such", "as: no-such-user", "drop"));
    for case in outcomes(&nobody, "inconclusive") {
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("no user called no-such-user"), "{case:#?}");
    }
}

/// A lab whose second ruleset is in `next.nft`.
#[track_caller]
fn reloaded(next: &str, tests: &str, outcome: &str, words: &str) {
    let folder = Lab::new(&stateful("tcp dport 22 accept"))
        .test(tests)
        .folder();
    folder.write("next.nft", next);
    let report = folder.report(&[]);
    for case in report.cases() {
        assert_eq!(case.outcome, outcome, "{case:#?}");
        assert!(
            case.reason.as_deref().unwrap_or_default().contains(words),
            "{case:#?}"
        );
    }
}

#[rstest]
#[case::it_survives(&format!("flush ruleset\n{}", stateful("counter")), "accept", "pass", "")]
#[case::it_ends(
    "flush ruleset\ntable inet t {\n chain i {\n  type filter hook input priority 0; policy drop;\n }\n}\n",
    "drop",
    "pass",
    ""
)]
#[case::it_should_not_end(
    "flush ruleset\ntable inet t {\n chain i {\n  type filter hook input priority 0; policy drop;\n }\n}\n",
    "accept",
    "fail",
    "expected accept"
)]
fn a_connection_meets_another_ruleset(
    #[case] next: &str,
    #[case] then: &str,
    #[case] outcome: &str,
    #[case] words: &str,
) {
    let talk = steps(&[
        "client -> firewall tcp/22 connect: accept",
        "{ reload: next.nft, meanwhile: { client -> firewall tcp/23: drop } }",
        &format!("client -> firewall tcp/22 data: {then}"),
    ]);
    reloaded(next, &talk, outcome, words);
}

/// Two transactions with nothing between them: the gap through which packets pass.
#[test]
fn a_gap_in_a_reload_is_seen() {
    let gap = "flush ruleset\n";
    let open =
        "table inet t {\n chain i {\n  type filter hook input priority 0; policy accept;\n }\n}\n";
    let talk = |expect: &str| {
        steps(&[
            "client -> firewall tcp/23: drop",
            &format!(
                "{{ reload: next.nft, meanwhile: {{ client -> firewall tcp/22: {expect} }} }}"
            ),
        ])
    };
    // What is accepted before and after passes all the time.
    reloaded(&format!("{gap}{open}"), &talk("accept"), "pass", "");
    reloaded(
        &format!("{gap}{open}"),
        &talk("drop"),
        "fail",
        "passed meanwhile",
    );
}

#[test]
fn a_configuration_that_is_refused_in_the_middle_is_told_with_its_line() {
    let folder = Lab::new(&stateful("counter"))
        .test(&steps(&[
            "client -> firewall tcp/23: drop",
            "{ reload: next.nft }",
        ]))
        .folder();
    folder.write("next.nft", "table inet t {\n nonsense\n}\n");
    let ended = folder.firedrill(&["test", "."]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("next.nft:2:"), "{ended:?}");
    let ended = Lab::new(&stateful("counter"))
        .test(&steps(&[
            "client -> firewall tcp/23: drop",
            "{ reload: missing.nft }",
        ]))
        .folder()
        .firedrill(&["test", "."]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("missing.nft"), "{ended:?}");
}

/// Many tests of one limited rule: each meets a fresh firewall, whatever stands before it.
#[test]
fn no_test_uses_up_what_another_one_needs() {
    let candidate = stateful("limit rate 1/hour burst 1 packets accept comment \"rare\"");
    let lab = (1..=12).fold(Lab::new(&candidate), |lab, port| {
        lab.test(&format!(
            "client -> firewall tcp/{port}: {{ accept: {{ by: rare }} }}"
        ))
    });
    passes(&lab);
}

/// The harness without one of its senses, for everything that is new beside a verdict.
#[rstest]
fn a_blind_harness_passes_no_conversation(
    #[values(
        "trace-deaf",
        "trace-overflow",
        "probes-never-enter",
        "candidate-not-loaded",
        "barrier-lost",
        "capture-deaf"
    )]
    sense: &str,
) {
    let folder = Lab::new(KNOCK)
        .test("{ name: beside, family: ipv4, steps: [ client -> firewall tcp/1111: { drop: { in-set: { nets: 198.51.100.7 }, counter: { ssh: 0 } } } ] }")
        .test("{ name: logged, from: client, to: firewall, service: tcp/23, expect: { drop: { log: telnet } } }")
        .test("{ name: state, from: client, to: firewall, service: tcp/24, expect: { drop: { state: new } } }")
        .test("{ name: series, from: client, to: firewall, service: tcp/24, repeat: 3, expect: { drop: 1..3 } }")
        .test("{ name: others, from: client, to: firewall, service: tcp/24, repeat: 3, expect: { accept: 0, otherwise: drop } }")
        .test("{ name: none, from: client, to: firewall, service: tcp/24, repeat: 3, expect: { accept: 0..1 } }")
        .test("{ name: talk, steps: [ client -> server tcp/80 connect: accept ] }")
        .test("{ name: reload, steps: [ client -> server tcp/80: accept, { reload: candidate.nft, meanwhile: { client -> firewall tcp/25: drop } } ] }")
        .folder();
    let report = folder.report(&["--blind", sense]);
    for case in report.cases() {
        assert_ne!(case.outcome, "pass", "{sense}: {case:#?}");
        assert_ne!(case.outcome, "fail", "{sense}: {case:#?}");
    }
    assert_eq!(report.code, Some(3));
}
