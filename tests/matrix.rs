//! A matrix on the real kernel: every cell is a case of its own, and the table shows what is wrong.

mod common;

use common::{Folder, Lab, firedrill};

const CANDIDATE: &str = "table inet t {\n chain inbound {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n }\n \
                         chain through {\n  type filter hook forward priority 0; policy drop;\n  iifname \"eth0\" oifname \"eth1\" tcp dport { 80, 443 } accept\n }\n}\n";

/// The zones of [`Lab`] with this in the matrix.
fn zones(except: &[&str]) -> Folder {
    let lines: Vec<String> = except
        .iter()
        .map(|line| format!("        {line}\n"))
        .collect();
    let matrix = format!(
        "name: zones\n    from: [client, server, guest]\n    to: [firewall, client, server, guest]\n    \
         service: [tcp/22, tcp/80, tcp/443, udp/53]\n    expect: drop\n    except:\n{}",
        lines.concat()
    );
    Lab::new(CANDIDATE)
        .host("guest: { behind: eth0, address: 203.0.113.9 }")
        .test(matrix.trim_end())
        .folder()
}

const POLICY: [&str; 2] = [
    "any -> firewall tcp/22: accept",
    "client, guest -> server tcp/80, tcp/443: accept",
];

#[test]
fn every_cell_is_a_case_with_a_verdict_and_a_rule_of_its_own() {
    let report = zones(&POLICY).report(&[]);
    let cases = report.cases();
    // To the firewall two with both families and the guest with one; across it as many, as `client` and
    // `guest` are behind one interface.
    let (to_firewall, across) = (2 + 2 + 1, 2 + 1 + 2 + 1);
    assert_eq!(cases.len(), 4 * (to_firewall + across));
    assert!(
        cases.iter().all(|case| case.outcome == "pass"),
        "{report:?}"
    );
    let named = |name: &str| cases.iter().find(|case| case.name == name).expect(name);
    let open = named("lab :: zones: client -> server tcp/443 [ipv6]");
    assert_eq!(open.verdict, "accept");
    assert!(
        open.rule
            .as_ref()
            .is_some_and(|rule| rule.chain == "through" && rule.handle.is_some())
    );
    let closed = named("lab :: zones: server -> guest tcp/443 [ipv4]");
    assert_eq!(closed.verdict, "drop");
    assert!(
        closed
            .rule
            .as_ref()
            .is_some_and(|rule| rule.handle.is_none())
    );
}

#[test]
fn the_table_shows_the_rows_that_differ_and_no_others() {
    let folder = zones(&[
        "any -> firewall tcp/22: accept",
        "client -> server tcp/80: accept",
    ]);
    let ended = folder.firedrill(&["test", "lab.yaml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let table: Vec<&str> = ended
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("FAIL lab :: zones: "))
        .collect();
    assert!(
        table[0].ends_with("of 44 cells not as expected"),
        "{ended:?}"
    );
    let rows: Vec<Vec<&str>> = table[2..6]
        .iter()
        .map(|row| {
            row.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            vec!["from", "service", "server"],
            vec!["client", "tcp/443", "accept, not drop [1]"],
            vec!["guest", "tcp/80", "accept, not drop [1]"],
            vec!["guest", "tcp/443", "accept, not drop [1]"],
        ],
        "{ended:?}"
    );
    assert!(
        table[6].starts_with("  [1] 4 cells, first lab :: zones: client -> server tcp/443 [ipv4]"),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("by        rule candidate.nft:8 "),
        "{ended:?}"
    );
}

/// Many cells from a few lines must not be many seconds.
#[test]
fn a_thousand_cells_are_one_lab() {
    let mut program = firedrill();
    program.args(["test", "scenarios/zones/campus.yaml", "--report", "json"]);
    let report = common::Report::of(common::end(program));
    assert_eq!(report.code, Some(0));
    assert!(report.cases().len() > 900);
}
