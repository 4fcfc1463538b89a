//! A loader that is not installed. It is hidden in the sandbox by a folder of the scenario's: no test takes
//! a program from the machine.

use super::Drill;

/// The folders in which the sandbox looks for programs hold nothing; `nft` is not looked for then.
fn drill() -> Drill {
    let mut firewall = String::from("iptables: { v4: v4 }\n  files:\n");
    for folder in ["/usr/sbin", "/usr/local/sbin"] {
        firewall += &format!("    {folder}: empty\n");
    }
    Drill::new(&firewall)
        .file("v4", "*filter\n:INPUT DROP\nCOMMIT\n")
        .file("empty/README", "nothing\n")
        .test("client -> firewall tcp/80: drop")
}

#[test]
fn a_missing_loader_skips_the_scenario_and_names_its_package() {
    let (ended, report) = drill().run(&[]);
    let scenario = &report["scenarios"][0];
    let error = scenario["error"].as_str().expect("a reason");
    assert!(
        error.contains("iptables-nft-restore") && error.contains("apt-get install iptables"),
        "{error}"
    );
    assert_eq!(report["totals"]["skipped"], 2, "{report}");
    assert_eq!(scenario["cases"][0]["outcome"], "skipped");
    // Nothing else was run, so nothing was told.
    assert_eq!(ended.code, Some(3));
}

#[test]
fn a_skip_beside_a_pass_is_denied_on_request_only() {
    let drill = drill();
    let other = format!(
        "firewall:\n  nftables: x.nft{}tests:\n  - client -> firewall tcp/80: drop\n",
        super::WORLD
    );
    drill.folder.write("other.yaml", other);
    drill.folder.write(
        "x.nft",
        "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n }\n}\n",
    );
    let (_, _) = drill.run(&[]);
    let run = |more: &[&str]| drill.folder.firedrill(&[&["test", "."][..], more].concat());
    let (allowed, denied) = (run(&[]), run(&["--deny-skips"]));
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    for said in [
        "SKIPPED",
        "2 skipped",
        "skipped: lab: there is no program `iptables-nft-restore`",
    ] {
        assert!(allowed.stdout.contains(said), "{said}: {allowed:?}");
    }
    assert_eq!(denied.code, Some(3), "{denied:?}");
}
