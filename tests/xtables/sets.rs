//! Sets of ipset, as the kernel lists them, decode to the words of `ipset save`, and answer as `ipset test`.

use firedrill::ruleset::{
    chain::Family,
    program::{
        ipset::{self, Ipset, IpsetAnswer, IpsetElement, IpsetPacket, IpsetPart},
        xtables::{PacketEnd, SetMatch, SetReference},
    },
};
use firedrill_harness::ipset_messages;

use super::{run, runs_in_namespace};

/// Makes the sets of the test that this kernel can make, and lists them.
fn loaded() -> Vec<Ipset> {
    for line in include_str!("sets.rules").lines() {
        let words: Vec<&str> = std::iter::once("ipset").chain(line.split(' ')).collect();
        if let Err(error) = run(&words, "") {
            println!("NOT LOADED HERE: {line}: {error}");
        }
    }
    let messages = ipset_messages().expect("the kernel lists its sets");
    let messages = messages.iter().map(|message| message.0.as_slice());
    ipset::decode(messages).expect("the list decodes")
}

fn element_words(element: &IpsetElement) -> String {
    let part = |part: &IpsetPart| match part {
        IpsetPart::Network { address, prefix } => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            match *prefix == whole {
                true => address.to_string(),
                false => format!("{address}/{prefix}"),
            }
        }
        IpsetPart::Port {
            protocol: None,
            port,
        } => port.to_string(),
        IpsetPart::Port {
            protocol: Some(6),
            port,
        } => format!("tcp:{port}"),
        IpsetPart::Port {
            protocol: Some(17),
            port,
        } => format!("udp:{port}"),
        IpsetPart::Port {
            protocol: Some(other),
            port,
        } => format!("{other}:{port}"),
        IpsetPart::Interface {
            name,
            is_physical: false,
            ..
        } => name.clone(),
        IpsetPart::Interface {
            name,
            is_physical: true,
            ..
        } => format!("physdev:{name}"),
        IpsetPart::Mac(mac) => mac
            .map(|byte| format!("{byte:02x}"))
            .join(":")
            .to_uppercase(),
        IpsetPart::Mark(mark) => format!("{mark:#010x}"),
        IpsetPart::Set(name) => name.clone(),
    };
    let parts: Vec<String> = element.parts.iter().map(part).collect();
    format!(
        "{}{}",
        parts.join(","),
        if element.is_exception { " nomatch" } else { "" }
    )
}

#[test]
fn sets_decode_to_the_words_of_ipset_save() {
    if runs_in_namespace("sets::sets_decode_to_the_words_of_ipset_save") {
        return;
    }
    let sets = loaded();
    assert!(sets.len() >= 14, "only {} sets could be made", sets.len());
    for set in &sets {
        let saved = run(&["ipset", "save", &set.name], "").expect("ipset lists the set");
        let create = format!("create {} {} ", set.name, set.type_name);
        assert!(saved.starts_with(&create), "{saved}");
        let Some(content) = &set.content else {
            assert_eq!(set.type_name, "bitmap:ip,mac");
            continue;
        };
        let start = format!("add {} ", set.name);
        let mut elements: Vec<String> = saved
            .lines()
            .filter_map(|line| line.strip_prefix(&start))
            .map(|line| {
                let end = line.find(" timeout").or_else(|| line.find(" packets"));
                let nomatch = if line.contains(" nomatch") {
                    " nomatch"
                } else {
                    ""
                };
                format!(
                    "{}{nomatch}",
                    line[..end.unwrap_or(line.len())].trim_end_matches(" nomatch")
                )
            })
            .collect();
        let mut decoded: Vec<String> = content
            .elements
            .iter()
            .map(|element| match content.netmask {
                // ipset writes the address without the mask of the set.
                Some(prefix) => element_words(element).replace(&format!("/{prefix}"), ""),
                None => element_words(element),
            })
            .collect();
        elements.sort();
        decoded.sort();
        assert_eq!(decoded, elements, "{}", set.name);
        assert_eq!(
            content.has_counters,
            saved.contains(" counters"),
            "{}",
            set.name
        );
        assert_eq!(
            content.timeout.is_some(),
            saved.contains(" timeout"),
            "{}",
            set.name
        );
        let inet6 = saved.contains("family inet6");
        assert_eq!(set.family == Some(Family::Ip6), inet6, "{}", set.name);
    }
}

#[test]
fn an_address_is_in_a_set_where_ipset_test_finds_it() {
    if runs_in_namespace("sets::an_address_is_in_a_set_where_ipset_test_finds_it") {
        return;
    }
    let sets = loaded();
    let addresses = [
        [10, 0, 0, 1],
        [10, 0, 0, 5],
        [10, 0, 0, 200],
        [10, 1, 0, 1],
        [10, 1, 1, 1],
        [10, 2, 0, 1],
        [192, 0, 2, 1],
        [192, 0, 2, 2],
        [198, 51, 100, 1],
    ];
    let mut compared = 0;
    for name in ["ip4", "ip4mask", "nets", "bits"] {
        let set = sets.iter().find(|set| set.name == name).expect("the set");
        for address in addresses {
            let text = std::net::Ipv4Addr::from(address).to_string();
            let is_found = run(&["ipset", "test", name, &text], "").is_ok();
            let packet = IpsetPacket {
                source: address.into(),
                destination: [203, 0, 113, 1].into(),
                protocol: 6,
                ports: Some([1, 2]),
                input: None,
                output: None,
                macs: None,
                mark: 0,
            };
            let test = SetMatch {
                set: SetReference {
                    index: set.index,
                    ends: vec![PacketEnd::Source],
                },
                inverted: false,
                returns_nomatch: false,
                packets: None,
                bytes: None,
                keeps_counters: false,
                keeps_subcounters: false,
            };
            let answer = ipset::matches(&sets, &test, Family::Ip, &packet);
            assert_eq!(answer, IpsetAnswer::from(is_found), "{name} {text}");
            compared += 1;
        }
    }
    assert_eq!(compared, 36);
}
