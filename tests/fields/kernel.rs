//! What the kernel does itself with odd packets, and what a rule in front of it can still decide.

use super::{
    common::{Case, Lab},
    table::rows,
};

/// What becomes of a packet with this candidate, under any expectation.
fn sent(lab: &Lab, ends: &str, packet: &str) -> Vec<Case> {
    let lab = lab.clone().test(&format!(
        "{{ name: packet, {ends}, packet: {packet}, expect: drop }}"
    ));
    lab.report().cases().into_iter().cloned().collect()
}

const INPUT: &str = "from: client, to: firewall";
const FORWARD: &str = "from: client, to: server";
const NOTHING: &str = "table inet t {\n}\n";

/// A chain at the ingress of eth0 with this rule.
fn ingress(rule: &str) -> Lab {
    Lab::new(&format!(
        "table netdev t {{\n chain c {{\n  type filter hook ingress device \"eth0\" priority 0;\n  {rule}\n }}\n}}\n"
    ))
}

/// Without a rule the kernel drops the packets of this section, with one at ingress the rule does.
fn dropped_by_the_kernel(section: &str, reason: &str, at_least: usize) {
    let rows = rows();
    let mut seen = 0;
    for row in rows.iter().filter(|row| row.section == section) {
        for ends in [INPUT, FORWARD] {
            for case in sent(&Lab::new(NOTHING), ends, &row.with) {
                let told = (&*case.verdict, case.kernel.as_deref());
                assert_eq!(told, ("drop", Some(reason)), "{row:?} {case:#?}");
            }
            let rule = format!("{} drop comment \"field\"", row.rules.concat());
            for case in sent(&ingress(&rule), ends, &row.with) {
                let by = case.rule.and_then(|rule| rule.text);
                assert_eq!(case.verdict, "drop", "{row:?} {:?}", case.reason);
                let field = by.as_deref().is_some_and(|text| text.contains("field"));
                assert!(field, "{row:?} {by:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= at_least, "only {seen} cases were made");
}

#[test]
fn a_malformed_header_is_dropped_by_the_kernel_unless_a_rule_at_ingress_is_faster() {
    let section = "Dropped by the kernel behind the ingress hook";
    dropped_by_the_kernel(section, "bad-header", 16);
}

#[test]
fn a_source_route_is_dropped_by_the_kernel_unless_a_rule_at_ingress_is_faster() {
    dropped_by_the_kernel("Source routes", "source-route", 4);
}

#[test]
fn a_frame_for_another_host_is_dropped_by_the_kernel_unless_a_rule_at_ingress_is_faster() {
    dropped_by_the_kernel("Frames for another host", "other-host", 6);
}

/// A host behind one interface cannot talk its way into a VLAN that the firewall does not have there.
#[test]
fn a_rule_for_one_vlan_does_not_decide_on_another() {
    let packet = "{ ether: { vlan: 6 }, udp: { dport: 53 } }";
    for case in sent(&ingress("vlan id 5 drop"), INPUT, packet) {
        assert_eq!(case.verdict, "drop");
        assert_eq!(
            (case.kernel.as_deref(), case.rule),
            (Some("other-host"), None)
        );
    }
}

#[test]
fn a_source_route_is_dropped_by_the_kernel_unless_it_is_told_to_accept_it() {
    let packet = "{ ipv4: { options: [{ loose-source-route: 10.0.0.5 }] }, udp: { dport: 53 } }";
    for case in sent(&Lab::new(NOTHING), INPUT, packet) {
        assert_eq!(
            (&*case.verdict, case.kernel.as_deref()),
            ("drop", Some("source-route")),
            "{case:#?}"
        );
    }
    // A strict route that has been travelled to its end, so that nothing is left to be done.
    let lab = Lab::new(NOTHING).firewall(
        "sysctl: { net.ipv4.conf.all.accept_source_route: 1, net.ipv4.conf.eth0.accept_source_route: 1 }",
    );
    let travelled =
        "{ ipv4: { options: [{ type: 137, data: \"hex:080a000005\" }] }, udp: { dport: 53 } }";
    for case in sent(&lab, INPUT, travelled) {
        assert_eq!(case.verdict, "accept", "{case:#?}");
    }
    for case in sent(&Lab::new(NOTHING), INPUT, travelled) {
        assert_eq!(case.kernel.as_deref(), Some("source-route"), "{case:#?}");
    }
}

#[test]
fn a_martian_source_is_dropped_by_the_kernel() {
    for (match_on, source) in [
        ("ip saddr", "127.0.0.1"),
        ("ip saddr", "192.0.2.1"),
        ("ip saddr", "255.255.255.255"),
        ("ip saddr", "224.0.0.1"),
        ("ip6 saddr", "::1"),
        ("ip6 saddr", "ff02::1"),
    ] {
        let packet = format!("{{ ip: {{ source: \"{source}\" }}, udp: {{ dport: 53 }} }}");
        for case in sent(&Lab::new(NOTHING), INPUT, &packet) {
            assert_eq!(
                (&*case.verdict, case.kernel.as_deref()),
                ("drop", Some("martian-source")),
                "{case:#?}"
            );
        }
        let rule = format!("{match_on} {source} drop");
        for case in sent(&ingress(&rule), INPUT, &packet) {
            assert_eq!(
                case.rule.and_then(|rule| rule.text),
                Some(rule.clone()),
                "{:?}",
                case.reason
            );
        }
    }
}

/// RFC 3704 section 2.2: the address of an inner host cannot come from outside.
#[test]
fn a_forged_source_is_stopped_by_the_reverse_path_filter_where_it_is_on() {
    let packet = "{ ip: { source: 10.0.0.77 }, udp: { dport: 53 } }";
    for ends in [INPUT, FORWARD] {
        for case in sent(&Lab::new(NOTHING), ends, packet) {
            assert_eq!(case.verdict, "accept", "{case:#?}");
        }
        let filtered = Lab::new(NOTHING).firewall("sysctl: { net.ipv4.conf.all.rp_filter: 1 }");
        for case in sent(&filtered, ends, packet) {
            let told = (&*case.verdict, case.kernel.as_deref());
            assert_eq!(told, ("drop", Some("reverse-path-filter")), "{case:#?}");
        }
        let ruled = ingress("ip saddr 10.0.0.0/24 drop");
        for case in sent(&ruled, ends, packet) {
            assert!(case.rule.is_some() && case.kernel.is_none(), "{case:#?}");
        }
    }
}

/// A lone fragment waits for the others: at the firewall itself, and in connection tracking on the way
/// through.
#[test]
fn a_fragment_without_the_others_is_held_and_proves_nothing() {
    let tracked = "table inet t {\n chain c {\n  type filter hook forward priority 0; policy accept;\n  ct state new accept\n }\n}\n";
    let fragment = "{ ip: { fragment: { offset: 5 } }, udp: { dport: 53 } }";
    let hole =
        "{ fragments: { size: 16, send: [1, 3] }, udp: { dport: 53, payload: { size: 32 } } }";
    for packet in [fragment, hole] {
        for (candidate, ends) in [(NOTHING, INPUT), (tracked, FORWARD), (tracked, INPUT)] {
            let cases = sent(&Lab::new(candidate), ends, packet);
            assert_eq!(cases.len(), 2);
            for case in cases {
                assert_eq!(case.verdict, "inconclusive", "{case:#?}");
                let reason = case.reason.unwrap_or_default();
                assert!(reason.starts_with("held for reassembly"), "{reason}");
            }
        }
    }
}

/// What a rule drops before anybody waits, it has dropped.
#[test]
fn a_fragment_that_a_rule_drops_in_front_of_reassembly_is_dropped() {
    let rules = "ip frag-off & 0x1fff != 0 drop\n  meta protocol ip6 exthdr frag exists drop";
    let fragment = "{ ip: { fragment: { offset: 5 } }, udp: { dport: 53 } }";
    let cases = sent(&ingress(rules), INPUT, fragment);
    assert_eq!(cases.len(), 2);
    for case in cases {
        assert_eq!(case.verdict, "drop", "{case:#?}");
        assert!(case.rule.is_some());
    }
}

#[test]
fn a_packet_in_fragments_is_accepted_when_all_of_it_came_out_put_together_or_not() {
    let tracked = "table inet t {\n chain c {\n  type filter hook forward priority 0; policy accept;\n  ct state new accept\n }\n}\n";
    let whole = "{ fragments: { size: 16 }, udp: { dport: 53, payload: { size: 64 } } }";
    let turned =
        "{ fragments: { size: 32, send: [3, 1, 2] }, udp: { dport: 53, payload: { size: 64 } } }";
    for packet in [whole, turned] {
        for (candidate, ends) in [
            (NOTHING, INPUT),
            (NOTHING, FORWARD),
            (tracked, FORWARD),
            (tracked, INPUT),
        ] {
            for case in sent(&Lab::new(candidate), ends, packet) {
                assert_eq!(case.verdict, "accept", "{packet} {case:#?}");
            }
        }
    }
}

#[test]
fn a_packet_in_fragments_is_dropped_when_one_of_them_is() {
    let rule = "ip version 4 @nh,48,16 & 0x1fff == 2 drop\n  frag frag-off 2 drop";
    let candidate = format!(
        "table inet t {{\n chain c {{\n  type filter hook forward priority 0; policy accept;\n  {rule}\n }}\n}}\n"
    );
    let packet = "{ fragments: { size: 16 }, udp: { dport: 53, payload: { size: 64 } } }";
    for case in sent(&Lab::new(&candidate), FORWARD, packet) {
        assert_eq!(case.verdict, "drop", "{case:#?}");
        assert!(case.rule.is_some(), "{case:#?}");
    }
}

/// What the mark cannot tell apart is compared as a whole, and is alone on its way.
#[test]
fn packets_that_leave_no_place_for_a_mark_are_told_apart_all_the_same() {
    let candidate = "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  tcp sequence 2 accept\n  udp dport 53 @th,64,8 0x62 accept\n }\n}\n";
    let lab = Lab::new(candidate)
        .test("{ name: one, from: client, to: firewall, packet: { ipv4: { id: 7 }, tcp: { dport: 80, seq: 1 } }, expect: drop }")
        .test("{ name: two, from: client, to: firewall, packet: { ipv4: { id: 7 }, tcp: { dport: 80, seq: 2 } }, expect: accept }")
        .test("{ name: three, from: client, to: firewall, packet: { ipv6: { flow-label: 7 }, udp: { dport: 53, payload: a } }, expect: drop }")
        .test("{ name: four, from: client, to: firewall, packet: { ipv6: { flow-label: 7 }, udp: { dport: 53, payload: b } }, expect: accept }");
    let report = lab.report();
    for case in report.cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    assert_eq!(report.code, Some(0));
}

/// A captured packet is sent as it is: its addresses, its ports, its payload.
#[test]
fn a_packet_of_a_capture_is_sent_as_it_was() {
    let udp = |port: u16| {
        let mut packet = vec![
            0x45, 0, 0, 32, 0, 7, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 10, 0, 0, 5, 0, 1, 0, 2, 0,
            12, 0, 0, 1, 2, 3, 4,
        ];
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        let words = packet[..20]
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&folded.to_be_bytes());
        packet
    };
    // pcap: magic, version 2.4, raw IP; each packet with its time and twice its length.
    let mut capture = vec![
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0,
    ];
    for port in [53, 54] {
        capture.extend([0; 8]);
        capture.extend([32, 0, 0, 0, 32, 0, 0, 0]);
        capture.extend(udp(port));
    }
    let candidate = "table inet t {\n chain c {\n  type filter hook forward priority 0; policy accept;\n  udp dport 54 drop\n }\n}\n";
    let folder = Lab::new(candidate)
        .test("{ name: one, from: client, to: server, packet: { pcap: { file: two.pcap } }, expect: accept }")
        .test("{ name: two, from: client, to: server, packet: { pcap: { file: two.pcap, packet: 2 } }, expect: { drop: { by: udp dport 54 } } }")
        .folder();
    folder.write("two.pcap", &capture);
    let report = folder.report(&[]);
    for case in report.cases() {
        assert_eq!(case.outcome, "pass", "{case:#?}");
    }
    assert_eq!(report.cases().len(), 2);
    assert_eq!(report.code, Some(0));
}

/// A blind harness proves neither what came out in pieces nor what the kernel dropped. (That nothing is
/// captured changes nothing about what the kernel itself says that it dropped.)
#[test]
fn a_blind_harness_passes_nothing_of_this() {
    let accepted = "{ fragments: { size: 16 }, udp: { dport: 53, payload: { size: 32 } } }";
    let dropped = [
        "{ ipv4: { checksum: 0x1234 }, udp: { dport: 53 } }",
        "{ ipv4: { options: [{ loose-source-route: 10.0.0.5 }] }, udp: { dport: 53 } }",
        "{ ether: { vlan: 5 }, udp: { dport: 53 } }",
    ];
    let candidate = "table inet t {\n chain c {\n  type filter hook input priority 0; policy accept;\n  tcp dport 80 drop\n }\n}\n";
    for sense in [
        "trace-deaf",
        "probes-never-enter",
        "candidate-not-loaded",
        "barrier-lost",
        "capture-deaf",
    ] {
        let test = |name: &str, packet: &str, expect: &str| {
            format!("{{ name: {name}, {INPUT}, packet: {packet}, expect: {expect} }}")
        };
        let mut lab = Lab::new(candidate).test(&test("in pieces", accepted, "accept"));
        if sense != "capture-deaf" {
            for (number, packet) in dropped.iter().enumerate() {
                lab = lab.test(&test(&number.to_string(), packet, "drop"));
            }
        }
        let report = lab.folder().report(&["--blind", sense]);
        for case in report.cases() {
            assert_eq!(case.outcome, "inconclusive", "{sense}: {case:#?}");
        }
        assert_eq!(report.code, Some(3));
    }
}

/// RFC 8200 section 4.5: only the first fragment has the upper-layer header. IPv4 is put together in front of
/// the input hook, IPv6 behind it.
#[test]
fn a_rule_on_ports_at_input_sees_a_packet_in_fragments_whole_in_ipv4_only() {
    let rules = "udp dport 53 accept";
    let candidate = format!(
        "table inet t {{\n chain c {{\n  type filter hook input priority 0; policy drop;\n  {rules}\n }}\n}}\n"
    );
    let packet = "{ fragments: { size: 16 }, udp: { dport: 53, payload: { size: 64 } } }";
    let cases = sent(&Lab::new(&candidate), INPUT, packet);
    assert_eq!(cases.len(), 2);
    for case in cases {
        let expected = if case.family == "ipv4" {
            "accept"
        } else {
            "drop"
        };
        assert_eq!(case.verdict, expected, "{case:#?}");
    }
    let tracked = candidate.replace(rules, "ct state new udp dport 53 accept");
    for case in sent(&Lab::new(&tracked), INPUT, packet) {
        assert_eq!(case.verdict, "accept", "{case:#?}");
    }
}

/// A rule may write over one of the places by which a probe is known; the others are enough.
#[test]
fn a_probe_whose_fields_a_rule_rewrites_is_still_recognised() {
    for rewriting in [
        "ip id set 99\n  ip6 flowlabel set 5\n  ip dscp set cs1\n  ip6 dscp set cs1",
        "tcp sequence set 7\n  udp sport set 9\n  tcp option maxseg size set 536",
        "udp checksum set 0\n  @th,64,32 set 0x01020304",
    ] {
        let candidate = format!(
            "table inet t {{\n chain c {{\n  type filter hook prerouting priority -150; policy accept;\n  {rewriting}\n }}\n}}\n"
        );
        let report = Lab::new(&candidate)
            .test("client -> server tcp/80,443: accept")
            .test("client -> server udp/53,54: accept")
            .test("client -> firewall tcp/80: accept")
            .test("client -> firewall udp/53: accept")
            .report();
        for case in report.cases() {
            assert_eq!(case.outcome, "pass", "{rewriting} {case:#?}");
        }
        assert_eq!(report.code, Some(0));
    }
}

/// The first probe goes nowhere, with the candidate or without; the second has the identification that the
/// first would have, and must not be taken for it in the control run.
#[test]
fn a_probe_with_another_s_identification_does_not_prove_that_its_path_works() {
    let candidate = "table inet t {\n chain c {\n  type filter hook prerouting priority -300; policy accept;\n  tcp dport 80 drop\n }\n}\n";
    let lost = "{ ipv4: { destination: 10.0.0.99 }, tcp: { dport: 80 } }";
    let report = Lab::new(candidate)
        .test(&format!("{{ name: lost, {FORWARD}, packet: {lost}, expect: drop }}"))
        .test(&format!(
            "{{ name: twin, {FORWARD}, packet: {{ ipv4: {{ id: 1 }}, tcp: {{ dport: 81 }} }}, expect: accept }}"
        ))
        .report();
    let told: Vec<_> = report.cases().iter().map(|case| &*case.verdict).collect();
    assert_eq!(told, ["inconclusive", "accept"], "{report:#?}");
}
