//! The way in the words of other firewalls.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;

use super::{common::Folder, nearest, way};

const SAVE: &str = "\
*nat
:PREROUTING ACCEPT
:POSTROUTING ACCEPT
-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
:web -
-A INPUT -p tcp --dport 443 -j web
-A INPUT -p tcp --dport 22 -j LOG --log-prefix \"ssh \"
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -p tcp --dport 80 -j ACCEPT
-A web -s 203.0.113.5 -j RETURN
-A web -j ACCEPT
COMMIT
";

#[rstest]
fn iptables_is_explained_with_both_back_ends(#[values("nft", "legacy")] backend: &str) {
    let folder = Folder::new();
    folder.write("rules.v4", SAVE);
    let config = format!("v4=rules.v4,backend={backend}");
    let ask = |packet: &str| {
        let interface = [
            "--interface",
            "eth0=192.0.2.1/24",
            "--interface",
            "eth1=10.0.0.1/24",
        ];
        let ask = [
            &["--iptables", &config, packet, "--family", "ipv4"],
            &interface[..],
        ];
        folder.explain(&ask.concat())
    };
    let told = ask("203.0.113.5 -> firewall tcp/443");
    let step = &told.only()["steps"][0];
    assert_eq!(step["verdict"], "drop");
    let input: Vec<String> = way(step)
        .into_iter()
        .skip_while(|line| line != "input INPUT")
        .collect();
    assert_eq!(
        input,
        [
            "input INPUT",
            "rules.v4:11 jump web",
            "rules.v4:15 return",
            "policy rules.v4:7 drop"
        ]
    );
    let told = ask("internet -> firewall tcp/443");
    let step = &told.only()["steps"][0];
    assert_eq!(step["verdict"], "accept");
    assert_eq!(step["rule"]["line"], 16);
    let told = ask("internet -> firewall tcp/22");
    let packet = told.only();
    let logging = &packet["steps"][0]["way"]["chains"];
    assert!(
        logging.to_string().contains(r#""logged":["ssh "]"#),
        "{logging:#}"
    );
    assert!(
        nearest(packet).contains(&"to tcp/443".to_owned()),
        "{packet:#}"
    );
    // Translation, there and back.
    let told = ask("internet -> firewall tcp/8080");
    let packet = told.only();
    assert_eq!(packet["steps"][0]["rule"]["line"], 14, "{packet:#}");
    assert_eq!(packet["steps"][0]["arrival"]["destination"], "10.0.0.5");
    assert_eq!(
        packet["answer"]["arrival"]["source"], "192.0.2.1",
        "{packet:#}"
    );
    assert_eq!(packet["answer"]["rule"]["line"], 13);
}

/// A rule that a program wrote leads to the user's line, through what the program wrote.
#[test]
fn what_a_program_wrote_stands_between_the_line_and_the_kernel() {
    let folder = Folder::new();
    folder.write(
        "lab.yaml",
        "firewall:\n  ufw: { commands: [allow 22/tcp, deny 23/tcp] }\n  interfaces: { eth0: 192.0.2.1/24 }\n\
         hosts:\n  client: { behind: eth0, address: 198.51.100.7 }\n",
    );
    folder.write(
        "rules.ferm",
        "table filter chain INPUT {\n  policy DROP;\n  proto tcp dport (80 443)\n    ACCEPT;\n}\n",
    );
    let told = folder.explain(&["lab.yaml", "client -> firewall tcp/23"]);
    let rule = &told.only()["steps"][0]["rule"];
    assert_eq!(
        (&rule["file"], &rule["line"]),
        (&Value::from("lab.yaml"), &Value::from(2))
    );
    assert_eq!(rule["generated"]["file"], "/etc/ufw/user.rules");
    assert_eq!(
        rule["generated"]["source"],
        "-A ufw-user-input -p tcp --dport 23 -j DROP"
    );
    let told = folder.explain(&[
        "--ferm",
        "rules.ferm",
        "internet -> firewall tcp/443",
        "--family",
        "ipv4",
    ]);
    let rule = &told.only()["steps"][0]["rule"];
    assert_eq!(rule["file"], "rules.ferm", "{rule:#}");
    let through = rule["generated"]["source"].as_str().unwrap_or_default();
    assert!(through.contains("--dport 443 --jump ACCEPT"), "{rule:#}");
}

/// The one policy of the shipped scenarios: figures are for whoever is behind eth1.
#[rstest]
#[case::nftables("nftables", "rulesets/policy.nft")]
#[case::ufw("ufw", "(ufw)/etc/default/ufw")]
#[case::firewalld("firewalld", "zones/outside.xml")]
#[case::ferm("ferm", "rulesets/policy.ferm")]
#[case::shorewall("shorewall", "shorewall/policy")]
fn one_policy_is_explained_in_every_dialect(#[case] dialect: &str, #[case] file: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scenario = root.join(format!("scenarios/equivalent/{dialect}.yaml"));
    let scenario = scenario.to_str().expect("a path");
    let folder = Folder::new();
    let told = folder.explain(&[
        scenario,
        "internet -> firewall tcp/9100",
        "--family",
        "ipv4",
    ]);
    let packet = told.only();
    let step = &packet["steps"][0];
    assert_eq!(step["verdict"], "drop");
    let found = step["rule"]["file"].as_str().unwrap_or_default();
    assert!(found.ends_with(file), "{step:#}");
    let passages = step["way"]["chains"].as_array().expect("a list");
    let stops = passages
        .last()
        .map(|passage| passage["stops"].as_array().expect("a list"));
    let last = stops.and_then(|stops| stops.last()).expect("a way");
    assert_eq!(
        (&last["rule_verdict"], &last["rule"]["file"]),
        (&Value::from("drop"), &step["rule"]["file"])
    );
    let nearest = nearest(packet);
    assert!(
        nearest.contains(&"from database (10.0.20.33), in through eth1".to_owned()),
        "{nearest:?}"
    );
}
