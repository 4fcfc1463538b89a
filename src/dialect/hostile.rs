//! Configurations and listings that nobody means well by: no panic, whatever stands in them.

use proptest::prelude::*;

use super::{Config, Dialect, Loadable, firewalld, ufw};

/// Reads a folder with this file and asks for everything that can be asked for.
fn attribute(dialect: &'static Dialect, file: &str, text: &str, listing: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
    let config = Config::of(dialect, &folder.path().to_string_lossy());
    let prepared = (dialect.prepare)(&config, &[]).expect("files that can be read");
    let ruleset = Loadable::new(folder.path().into(), vec![prepared]).listed(listing);
    for (chain, info) in ruleset.chains() {
        for handle in &info.order {
            let _ = ruleset.origin(chain, *handle);
        }
        let _ = ruleset.policy_origin(chain);
    }
}

fn soup(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.join(" "))
}

const UFW: &[&str] = &[
    "*filter\n",
    "*nat\n",
    "\nCOMMIT\n",
    "\n",
    ":ufw-user-input - [0:0]\n",
    "-A",
    "-I",
    "-D",
    "-F",
    "-P",
    "ufw-user-input",
    "INPUT",
    "9",
    "-p tcp",
    "--dport 80",
    "-j",
    "ACCEPT",
    "ufw-before-input",
    "\"",
    "\\",
    "### tuple ### allow tcp 80\n",
    "### END RULES ###",
    "#",
    "é",
    "\r",
    "\0",
    "IPV6=no\n",
    "DEFAULT_INPUT_POLICY=\"REJECT\"\n",
    "=",
    "'",
];

const FIREWALLD: &[&str] = &[
    "<zone>",
    "</zone>",
    "<zone target=\"DROP\">",
    "<service name=\"ssh\"/>",
    "<service name='../x'/>",
    "<port",
    "port=\"1-2\"",
    "protocol=\"tcp\"",
    "/>",
    ">",
    "<rule family='ipv4'>",
    "</rule>",
    "<source",
    "address='10.0.0.0/8'",
    "invert='True'",
    "<accept/>",
    "<reject type='x'/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&lt;",
    "&",
    "<?xml ?>",
    "\n",
    "é",
    "\u{feff}",
    "\0",
    "<",
    "<forward/>",
    "priority='-99999999999'",
];

const LISTING: &[&str] = &[
    "table ip filter {\n",
    "table inet firewalld {\n",
    "\tchain ufw-user-input {\n",
    "\tchain INPUT {\n",
    "\tchain filter_IN_public_allow {\n",
    "\tchain filter_IN_public {\n",
    "\tchain IN__allow {\n",
    "\t\ttype filter hook input priority filter; policy drop;\n",
    "\t\ttcp dport 80 counter accept # handle 7\n",
    "\t\ttcp dport 22 accept # handle 8\n",
    "\t\treject with icmpx admin-prohibited # handle 9\n",
    "\t}\n",
    "}\n",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_of_ufw_makes_it_panic(
        file in prop::sample::select(&["user.rules", "before6.rules", "default/ufw", "ufw.conf"][..]),
        text in soup(UFW),
        listing in soup(LISTING),
    ) {
        attribute(&ufw::DIALECT, file, &text, &listing);
    }

    #[test]
    fn no_file_of_firewalld_makes_it_panic(
        file in prop::sample::select(&["zones/public.xml", "services/ssh.xml", "direct.xml", "firewalld.conf"][..]),
        text in soup(FIREWALLD),
        listing in soup(LISTING),
    ) {
        attribute(&firewalld::DIALECT, file, &text, &listing);
    }
}
