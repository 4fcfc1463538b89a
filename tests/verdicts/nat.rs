//! Translated packets: where they arrived, and as what, is told and compared.

use rstest::rstest;

use super::{Way, common::Lab};

/// The interface, source and destination of a packet that arrived.
type Place<'p> = (Option<&'p str>, &'p str, &'p str);

/// A chain of type nat.
fn nat(hook: &str, rule: &str) -> String {
    let priority = if hook == "postrouting" { 100 } else { -100 };
    format!(
        "table inet n {{\n chain n {{\n  type nat hook {hook} priority {priority};\n  {rule}\n }}\n}}\n"
    )
}

/// Sees that a flow arrives in this place whatever is expected, and that each expectation passes, or
/// fails for this reason.
#[track_caller]
fn arrives(candidate: &str, flow: &str, place: Place<'_>, expectations: &[(&str, Option<&str>)]) {
    // Somebody who is not meant.
    let stranger = "stranger: { behind: eth1, address: [10.0.0.99, \"fd00:1::99\"] }";
    let lab = Lab::new(candidate).host(stranger);
    let lab = (0..)
        .zip(expectations)
        .fold(lab, |lab, (number, (expect, _))| {
            lab.test(&format!(
                "{{ name: number {number}, {flow}, expect: {expect} }}"
            ))
        });
    let report = lab.report();
    let (interface, source, destination) = place;
    for case in report.cases() {
        let arrival = case
            .arrival
            .as_ref()
            .unwrap_or_else(|| panic!("lost: {case:#?}"));
        let arrived = (
            arrival.interface.as_deref(),
            &*arrival.source,
            &*arrival.destination,
        );
        assert_eq!(arrived, (interface, source, destination), "{case:#?}");
        let mut numbered = (0..).zip(expectations);
        let (_, (_, reason)) = numbered
            .find(|(number, _)| case.name.contains(&format!(":: number {number} ")))
            .expect("a case has the name of its test");
        assert_eq!(
            (&*case.verdict, case.reason.as_deref()),
            ("accept", *reason),
            "{case:#?}"
        );
        let outcome = if reason.is_none() { "pass" } else { "fail" };
        assert_eq!(case.outcome, outcome, "{case:#?}");
    }
    let all_hold = expectations.iter().all(|(_, reason)| reason.is_none());
    assert_eq!(report.code, Some(i32::from(!all_hold)));
}

/// Masquerading uses the address of the interface that the packet leaves by (nft(8), "nat statements").
#[rstest]
#[case::masquerade("masquerade", "ipv4", "10.0.0.1", "10.0.0.5")]
#[case::masquerade_ipv6("masquerade", "ipv6", "fd00:1::1", "fd00:1::5")]
#[case::snat("snat ip to 10.0.0.77", "ipv4", "10.0.0.77", "10.0.0.5")]
#[case::snat_ipv6("snat ip6 to fd00:1::77", "ipv6", "fd00:1::77", "fd00:1::5")]
fn a_source_is_translated(
    #[case] statement: &str,
    #[case] family: &str,
    #[case] source: &str,
    #[case] destination: &str,
) {
    let candidate = nat("postrouting", &format!("oifname \"eth1\" {statement}"));
    let services = "service: [tcp/80, udp/53, icmp/echo-request]";
    let flow = format!("{}, family: {family}, {services}", Way::Forward.ends());
    let original = if family == "ipv4" {
        "198.51.100.7"
    } else {
        "2001:db8:ffff::7"
    };
    let expect = |source: &str| format!("{{ accept: {{ source: \"{source}\" }} }}");
    let right = expect(source);
    let place = (Some("eth1"), source, destination);
    // Whoever says nothing of the source allows any.
    arrives(
        &candidate,
        &flow,
        place,
        &[(&right, None), ("accept", None)],
    );

    let named = format!("it arrived from {source}, not from {original}");
    let wrong = [
        (&*expect(original), Some(&*named)),
        ("drop", Some("expected drop, but it was accept")),
        ("reject", Some("expected reject, but it was accept")),
    ];
    arrives(&candidate, &flow, place, &wrong);
}

#[rstest]
#[case::dnat(
    Way::Input,
    "dnat ip to 10.0.0.5",
    "ipv4",
    Some("eth1"),
    "192.0.2.1",
    "10.0.0.5"
)]
#[case::dnat_ipv6(
    Way::Input,
    "dnat ip6 to fd00:1::5",
    "ipv6",
    Some("eth1"),
    "2001:db8:1::1",
    "fd00:1::5"
)]
#[case::dnat_past_the_host(
    Way::Forward,
    "dnat ip to 10.0.0.99",
    "ipv4",
    Some("eth1"),
    "10.0.0.5",
    "10.0.0.99"
)]
#[case::dnat_past_the_host_ipv6(
    Way::Forward,
    "dnat ip6 to fd00:1::99",
    "ipv6",
    Some("eth1"),
    "fd00:1::5",
    "fd00:1::99"
)]
#[case::redirect(Way::Forward, "redirect", "ipv4", None, "10.0.0.5", "192.0.2.1")]
#[case::redirect_ipv6(Way::Forward, "redirect", "ipv6", None, "fd00:1::5", "2001:db8:1::1")]
fn a_destination_is_translated(
    #[case] way: Way,
    #[case] statement: &str,
    #[case] family: &str,
    #[case] interface: Option<&str>,
    #[case] original: &str,
    #[case] destination: &str,
) {
    let candidate = nat("prerouting", &format!("iifname \"eth0\" {statement}"));
    let flow = format!(
        "{}, family: {family}, service: [tcp/80, udp/53]",
        way.ends()
    );
    let (client, stranger) = match family {
        "ipv4" => ("198.51.100.7", "10.0.0.100"),
        _ => ("2001:db8:ffff::7", "fd00:1::100"),
    };
    let place = (interface, client, destination);
    let expect = |destination: &str| format!("{{ accept: {{ destination: \"{destination}\" }} }}");
    arrives(&candidate, &flow, place, &[(&expect(destination), None)]);

    let not_there = format!("it arrived at {destination}, not at {original}");
    let not_at_the_stranger = format!("it arrived at {destination}, not at {stranger}");
    let wrong = [
        // Whoever says nothing of the destination wants the one that the packet was sent to.
        ("accept", Some(&*not_there)),
        (&*expect(original), Some(&*not_there)),
        (&*expect(stranger), Some(&*not_at_the_stranger)),
        ("drop", Some("expected drop, but it was accept")),
    ];
    arrives(&candidate, &flow, place, &wrong);
}

/// The ports are translated too; the packet is known by its content.
#[rstest]
#[case::redirect("redirect to :8080", None, "192.0.2.1")]
#[case::dnat("dnat ip to 10.0.0.5:8080", Some("eth1"), "10.0.0.5")]
fn a_packet_is_recognised_with_other_ports(
    #[case] statement: &str,
    #[case] interface: Option<&str>,
    #[case] destination: &str,
) {
    let candidate = nat(
        "prerouting",
        &format!("meta l4proto {{ tcp, udp }} {statement}"),
    );
    let flow = format!(
        "{}, family: ipv4, service: [tcp/80, udp/53]",
        Way::Input.ends()
    );
    let expect = format!("{{ accept: {{ destination: {destination} }} }}");
    let place = (interface, "198.51.100.7", destination);
    arrives(&candidate, &flow, place, &[(&expect, None)]);
}

/// The firewall's own packets are translated behind the output hook.
#[test]
fn a_packet_of_the_firewall_itself_is_led_elsewhere() {
    let candidate = nat(
        "output",
        "ip daddr 198.51.100.7 tcp dport 80 dnat ip to 10.0.0.5",
    );
    let flow = format!("{}, family: ipv4, service: tcp/80", Way::Output.ends());
    let place = (Some("eth1"), "192.0.2.1", "10.0.0.5");
    let right = "{ accept: { source: 192.0.2.1, destination: 10.0.0.5 } }";
    let reason = "it arrived at 10.0.0.5, not at 198.51.100.7";
    arrives(
        &candidate,
        &flow,
        place,
        &[(right, None), ("accept", Some(reason))],
    );
}

/// A translation is no acceptance: behind it stands the filter.
#[rstest]
#[case::drop("{ drop: { by: ip daddr 10.0.0.5 } }", 0)]
#[case::accept("{ accept: { destination: 10.0.0.5 } }", 1)]
fn what_is_translated_is_filtered_still(#[case] expect: &str, #[case] code: i32) {
    let filter = "table inet t {\n chain c {\n  type filter hook forward priority 0;\n  \
                  ip daddr 10.0.0.5 drop\n }\n}\n";
    let dnat = nat("prerouting", "tcp dport 80 dnat ip to 10.0.0.5");
    let ends = Way::Input.ends();
    let test = format!("{{ {ends}, family: ipv4, service: tcp/80, expect: {expect} }}");
    let report = Lab::new(&format!("{dnat}{filter}")).test(&test).report();
    assert_eq!(report.cases()[0].verdict, "drop", "{report:#?}");
    assert_eq!(report.code, Some(code), "{report:#?}");
}
