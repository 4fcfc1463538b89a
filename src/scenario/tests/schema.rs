//! The JSON Schema, and that reader and tables know the same keys.

use std::collections::BTreeSet;

use super::{good, problems_of, read, with_tests};
use crate::dialect::ALL;
use crate::scenario::{
    format::{self, Object, Shape},
    json_schema,
    read::SCENARIO,
};

/// Every object of the format.
fn objects() -> Vec<&'static Object> {
    let mut found: Vec<&'static Object> = Vec::new();
    let mut open = vec![&SCENARIO];
    while let Some(object) = open.pop() {
        if found.iter().any(|seen| seen.name == object.name) {
            continue;
        }
        found.push(object);
        let mut shapes: Vec<&'static Shape> = object.keys().map(|key| &key.shape).collect();
        while let Some(shape) = shapes.pop() {
            match shape {
                Shape::Object(inner) => open.push(inner),
                Shape::Dialect(dialect) => open.push(format::dialect(dialect)),
                Shape::List(inner)
                | Shape::OneOrMore(inner)
                | Shape::Map(_, inner)
                | Shape::ShortTest(inner)
                | Shape::ShortReply(inner) => {
                    shapes.push(inner);
                }
                Shape::AnyOf(choices) => shapes.extend(choices.iter()),
                Shape::Text
                | Shape::Bool
                | Shape::Number(..)
                | Shape::Scalar
                | Shape::Word(_)
                | Shape::Words(_)
                | Shape::RejectText
                | Shape::Pattern(_)
                | Shape::Digits(_) => {}
            }
        }
    }
    found
}

/// The packets of the guide's tables: every header at least once.
fn packets_of_the_guide() -> Vec<String> {
    let guide = include_str!("../../../docs/guide/packets.md");
    let (_, tables) = guide
        .split_once("## Every field")
        .expect("the guide has tables of fields");
    let rows = tables.lines().filter(|line| line.starts_with("| `"));
    let packets = rows.filter_map(|row| row.split('`').find(|cell| cell.starts_with("{ ")));
    packets.map(str::to_owned).collect()
}

#[test]
fn every_packet_of_the_guide_and_every_form_of_a_test_is_good() {
    let packets = packets_of_the_guide();
    assert!(packets.len() > 80, "the guide has tables of packets");
    let tests: Vec<String> = (0..)
        .zip(&packets)
        .map(|(number, packet)| {
            format!("{{ name: {number}, from: internet, to: firewall, packet: {packet}, expect: {{ accept: {{}} }} }}")
        })
        .chain([
            "{ from: internet, to: firewall, service: tcp/80, expect: { drop: {} } }".to_owned(),
            "{ from: internet, to: firewall, service: tcp/81, expect: { reject: {} } }".to_owned(),
            "{ from: [internet], to: firewall, service: tcp/84, family: ipv4, expect: drop, except: { any -> any any: drop } }".to_owned(),
            "{ from: internet, to: firewall, packet: { pcap: { file: one.pcap } }, expect: drop }".to_owned(),
            "{ from: internet, to: firewall, packet: { ether: { vlan: { id: 5 } }, udp: { dport: 1 } }, expect: drop }".to_owned(),
            "{ steps: [ { from: internet, to: firewall, service: tcp/81, expect: { drop: { log: { prefix: x } } } }, { reply: ack, expect: accept }, { wait: 1s }, { reload: web.nft, meanwhile: { internet -> firewall tcp/82: drop } }, { from: internet, to: firewall, packet: { tcp: { dport: 83 } }, repeat: { count: 2 }, expect: drop } ] }".to_owned(),
            "{ from: internet, to: firewall, only-open: { tcp: 80 } }".to_owned(),
        ])
        .collect();
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    let device = "    eth1: 10.0.0.1/24\n";
    let vlan = "    eth1.5: { address: 10.5.0.1/24, vlan: { on: eth1, id: 5 } }\n";
    let sandbox = "sandbox: { docker: { dockerfile: Dockerfile, base: \"debian:13\" } }\n";
    let tests = with_tests(&tests).replace(device, &format!("{device}{vlan}"));
    good(&format!("{sandbox}{tests}"));
    for dialect in ALL {
        let slots = dialect.slots.iter().map(|slot| format!("{}: x", slot.name));
        let map = slots.collect::<Vec<_>>().join(", ");
        let _ = read(&format!("firewall:\n  {}: {{ {map} }}\n", dialect.key));
        let layer = format!("{{ name: x, {}: web.nft }}", dialect.key);
        let _ = read(&format!("firewall:\n  layers: [{layer}]\n"));
        let candidate = format!("{{ x: {{ {}: web.nft }} }}", dialect.key);
        let _ = read(&format!("firewall:\n  candidates: {candidate}\n"));
    }
}

#[test]
fn names_of_objects_are_unique_and_every_key_has_a_sentence() {
    for object in objects() {
        assert!(object.doc.ends_with('.'), "{}", object.name);
        for key in object.keys() {
            assert!(
                key.doc.ends_with('.') && key.doc.len() > 10,
                "{}.{}",
                object.name,
                key.name
            );
        }
    }
}

#[test]
fn a_planned_key_is_not_a_known_one() {
    for object in objects() {
        for planned in object.planned {
            assert!(object.key(planned).is_none(), "{}.{planned}", object.name);
        }
    }
}

#[test]
fn the_schema_has_every_object_and_leads_nowhere_else() {
    let schema = json_schema();
    let definitions = schema["$defs"]
        .as_object()
        .expect("the schema has definitions");
    for object in objects().iter().filter(|object| object.name != "scenario") {
        let definition = &definitions[object.name];
        assert_eq!(definition["additionalProperties"], false, "{}", object.name);
        let properties = definition["properties"]
            .as_object()
            .expect("an object has properties");
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(names, object.names().collect());
    }
    let text = schema.to_string();
    for reference in text.split("\"#/$defs/").skip(1) {
        let name = reference.split('"').next().expect("a reference ends");
        assert!(definitions.contains_key(name), "{name}");
    }
}

#[test]
fn the_schema_says_what_is_required_and_what_is_one_of_several() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["then"]["required"],
        serde_json::json!(["firewall", "hosts", "tests"])
    );
    assert_eq!(
        schema["$defs"]["host"]["required"],
        serde_json::json!(["behind", "address"])
    );
    let choices = serde_json::json!([{ "required": ["service"] }, { "required": ["packet"] }]);
    assert_eq!(schema["$defs"]["test"]["oneOf"], choices);
}

#[test]
fn the_example_in_the_help_for_tests_is_a_test() {
    let shown = problems_of("tests: []\n");
    let (_, example) = shown
        .split_once("for example `")
        .expect("there is an example");
    let (example, _) = example.split_once('`').expect("the example ends");
    assert!(read(&with_tests(&[example])).is_ok(), "{example}");
}
