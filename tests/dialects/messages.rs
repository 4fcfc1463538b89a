//! What loaders refuse, at the user's file and line.

use rstest::rstest;

use super::Drill;

#[rstest]
#[case::an_option(
    "-A INPUT -p tcp --dprt 80 -j ACCEPT",
    "v4:3: ",
    "unknown option \"--dprt\""
)]
#[case::a_set(
    "-A INPUT -m set --match-set nope src -j DROP",
    "v4:3: ",
    "Set nope doesn't exist"
)]
#[case::a_chain_that_is_not_there("-A INPUT -j nowhere", "v4:3: ", "nowhere")]
#[case::an_address("-A INPUT -s 300.1.2.3 -j DROP", "v4:3: ", "300.1.2.3")]
#[case::a_match("-A INPUT -m nosuchmatch -j DROP", "v4:3: ", "nosuchmatch")]
#[case::a_word_that_is_no_command("frobnicate", "v4:3: ", "")]
fn a_mistake_is_shown_with_its_line(
    #[case] rule: &str,
    #[case] place: &str,
    #[case] said: &str,
    #[values("nft", "legacy")] backend: &str,
) {
    let (code, error) = Drill::new(&format!("iptables: {{ v4: v4, backend: {backend} }}"))
        .file(
            "v4",
            format!("*filter\n:INPUT DROP [0:0]\n{rule}\nCOMMIT\n"),
        )
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains(place) && error.contains(said) && error.contains(rule),
        "{error}"
    );
}

#[test]
fn a_mistake_in_an_ipset_is_shown_with_its_line() {
    let (code, error) = Drill::new("iptables: { v4: v4, ipset: sets }")
        .file("v4", "*filter\nCOMMIT\n")
        .file("sets", "create a hash:ip\nadd a 1.2.3.400\n")
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("sets:2: ") && error.contains("add a 1.2.3.400"),
        "{error}"
    );
}

#[rstest]
fn a_table_that_does_not_exist_is_shown_with_its_line(#[values("nft", "legacy")] backend: &str) {
    let (code, error) = Drill::new(&format!("iptables: {{ v4: v4, backend: {backend} }}"))
        .file("v4", "*filter\nCOMMIT\n*fliter\nCOMMIT\n")
        .test("client -> firewall tcp/80: drop")
        .error(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("v4:3: ") && error.contains("*fliter"),
        "{error}"
    );
}
