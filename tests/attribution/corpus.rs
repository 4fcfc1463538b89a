//! Sources in which every rule's line is known by construction.
//!
//! `<0>` becomes a port of its own, and a packet to that port must be attributed to the line on which it
//! stands; `<-2>` to the line two above, `<3>` three below. `<?>` says that the line must be reported as
//! uncertain. An empty line at the start of a text is not part of it.

/// A candidate of one or more files, of which the first is the main file.
pub struct Source {
    pub name: &'static str,
    pub files: &'static [(&'static str, &'static str)],
    /// File and line of the policy of the input chain, `None` where a packet to an unknown port meets none.
    pub policy: Option<(&'static str, usize)>,
    pub families: Families,
    /// nft refuses it, so there is nothing to attribute.
    pub refused: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Families {
    Both,
    Ipv4,
    Ipv6,
}

const fn source(
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    policy: Option<(&'static str, usize)>,
) -> Source {
    Source {
        name,
        files,
        policy,
        families: Families::Both,
        refused: false,
    }
}

const fn of(families: Families, source: Source) -> Source {
    Source { families, ..source }
}

const fn refused(name: &'static str, text: &'static [(&'static str, &'static str)]) -> Source {
    Source {
        refused: true,
        ..source(name, text, None)
    }
}

pub const SOURCES: &[Source] = &[
    source(
        "blocks",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		tcp dport <0> drop

		tcp dport <0> reject
	}
}
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "add-rule",
        &[(
            "main.nft",
            r#"
add table inet t
add chain inet t in { type filter hook input priority 0; policy drop; }
add rule inet t in tcp dport <0> accept
add rule inet t in tcp dport <0> drop
add rule inet t in tcp dport <0> counter accept comment "<0>"
"#,
        )],
        Some(("main.nft", 2)),
    ),
    source(
        "bare-rule-forms",
        &[(
            "main.nft",
            r#"
table inet t
chain inet t in { type filter hook input priority 0; policy accept; }
rule inet t in tcp dport <0> drop
inet t in tcp dport <0> accept
add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 2)),
    ),
    of(
        Families::Ipv4,
        source(
            "implicit-family",
            &[(
                "main.nft",
                r#"
table t {
	chain in { type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
add rule t in tcp dport <0> accept
rule t in tcp dport <0> drop
t in tcp dport <0> accept
insert rule t in tcp dport <0> drop
add rule ip t in tcp dport <0> accept
"#,
            )],
            Some(("main.nft", 2)),
        ),
    ),
    of(
        Families::Ipv6,
        source(
            "family-ip6",
            &[(
                "main.nft",
                r#"
table ip6 t {
	chain in {
		type filter hook input priority 0; policy drop;
		ip6 saddr 2001:db8::/32 tcp dport <0> accept
		tcp dport <0> reject
	}
}
"#,
            )],
            Some(("main.nft", 3)),
        ),
    ),
    source(
        "both-families-by-one-name",
        &[(
            "main.nft",
            r#"
table ip t {
	chain in { type filter hook input priority 0; policy accept;
		tcp dport 7 accept
	}
}
table ip6 t {
	chain in { type filter hook input priority 0; policy accept;
		tcp dport 7 accept
	}
}
table inet t {
	chain in { type filter hook input priority 1; policy drop;
		tcp dport <0> accept
	}
}
table arp t {
	chain in { type filter hook input priority 0; policy accept;
	}
}
add rule ip6 t in tcp dport 8 accept
add rule inet t in tcp dport <0> drop
add rule ip t in tcp dport 8 accept
"#,
        )],
        Some(("main.nft", 12)),
    ),
    source(
        "insert-puts-rules-first",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		tcp dport <0> drop
	}
}
insert rule inet t in tcp dport <0> drop
insert rule inet t in tcp dport <0> accept
add rule inet t in tcp dport <0> drop
insert rule inet t in counter
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "add-and-insert-by-index",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		tcp dport <0> accept
		tcp dport <0> accept
	}
}
add rule inet t in index 0 tcp dport <0> accept
insert rule inet t in index 1 tcp dport <0> accept
insert rule inet t in index 0 tcp dport <0> accept
add rule inet t in index 2 tcp dport <0> drop
insert rule inet t in tcp dport <0> drop
add rule inet t in index 7 tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "indistinguishable-rules",
        &[(
            "main.nft",
            r#"
table inet t {
	chain one {
		counter drop
	}
	chain two {
		counter drop
	}
	chain three { counter; counter drop;
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <-9> jump one
		tcp dport <-7> jump two
		tcp dport <-6> goto three
		tcp dport <3> jump four
	}
	chain four {
		counter drop
	}
}
"#,
        )],
        Some(("main.nft", 11)),
    ),
    source(
        "include-with-a-glob",
        &[
            (
                "main.nft",
                r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
	}
}
include "./rules.d/*.nft"
add rule inet t in tcp dport <0> accept
"#,
            ),
            (
                "rules.d/20-b.nft",
                "add rule inet t in tcp dport <0> drop\n",
            ),
            (
                "rules.d/10-a.nft",
                "# first\n\nadd rule inet t in tcp dport <0> drop\nadd rule inet t in tcp dport <0> accept\n",
            ),
            ("rules.d/B.nft", "add rule inet t in tcp dport <0> accept\n"),
            (
                "rules.d/a.nft",
                "\n\nadd rule inet t in tcp dport <0> accept\n",
            ),
            ("rules.d/.hidden.nft", "add rule inet t in drop\n"),
            ("rules.d/not.conf", "add rule inet t in drop\n"),
        ],
        Some(("main.nft", 3)),
    ),
    source(
        "generated-sets",
        &[
            (
                "main.nft",
                r#"
table inet t {
	set blocked { type inet_service; flags interval; }
	map ways {
		type inet_service : verdict
		include "./generated/ways.nft"
	}
	chain sub {
		tcp dport <0> drop
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport @blocked tcp dport <0> drop
		tcp dport vmap @ways
		tcp dport <0> accept
	}
}
include "./generated/[a-c]*.nft"
add rule inet t in tcp dport <0> drop
"#,
            ),
            (
                "generated/ways.nft",
                "elements = {\n\t1 : drop,\n\t20001 : jump sub,\n\t3 : accept,\n}\n",
            ),
            (
                "generated/a.nft",
                "add element inet t blocked { 20000-20010, 30000 }\nadd element inet t blocked {\n\t40000,\n\t40002,\n}\n",
            ),
            (
                "generated/b.nft",
                "define MANY = {\n\t50000,\n\t50001,\n}\nadd set inet t many { type inet_service; elements = $MANY }\n\
                 add rule inet t in tcp dport <0> accept\n",
            ),
        ],
        Some(("main.nft", 11)),
    ),
    source(
        "include-in-a-table",
        &[
            (
                "main.nft",
                r#"
table inet t {
	include "./chains.nft"
	chain after { tcp dport <0> accept
	}
}
"#,
            ),
            (
                "chains.nft",
                r#"
	chain after { }
	chain in {
		type filter hook input priority 0
		policy drop
		tcp dport <0> drop
		jump after
	}
"#,
            ),
        ],
        Some(("chains.nft", 4)),
    ),
    source(
        "include-in-a-chain",
        &[
            (
                "main.nft",
                r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		include "./first.nft"
		tcp dport <0> accept; include "./second.nft"; tcp dport <0> drop
	}
}
"#,
            ),
            ("first.nft", "tcp dport <0> drop\ntcp dport <0> accept\n"),
            ("second.nft", "# nothing but a rule\ntcp dport <0> accept\n"),
        ],
        Some(("main.nft", 3)),
    ),
    source(
        "nested-includes",
        &[
            (
                "main.nft",
                "include \"./a/one.nft\"\nadd rule inet t in tcp dport <0> drop\n",
            ),
            (
                "a/one.nft",
                "include \"./a/two.nft\"\n\nadd rule inet t in tcp dport <0> drop\ninclude \"./a/three.nft\"\nadd rule inet t in tcp dport <0> accept\n",
            ),
            (
                "a/two.nft",
                "table inet t {\n chain in { type filter hook input priority 0; policy drop;\n  include \"./a/rules.nft\"\n }\n}\n",
            ),
            ("a/three.nft", "add rule inet t in tcp dport <0> accept\n"),
            ("a/rules.nft", "tcp dport <0> accept\n"),
        ],
        Some(("a/two.nft", 2)),
    ),
    source(
        "a-file-included-twice",
        &[
            (
                "main.nft",
                r#"
table inet t {
	chain other {
		include "./common.nft"
	}
	chain in {
		type filter hook input priority 0; policy drop;
		include "./common.nft"
		tcp dport <0> drop
	}
}
"#,
            ),
            ("common.nft", "tcp dport <0> accept\n"),
        ],
        Some(("main.nft", 6)),
    ),
    source(
        "a-rule-that-goes-on-behind-its-file",
        &[
            (
                "main.nft",
                "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop\n  include \"./half.nft\"\n  accept\n  tcp dport <0> drop\n }\n}\n",
            ),
            ("half.nft", "tcp dport <0> drop\ntcp dport <0>"),
        ],
        Some(("main.nft", 3)),
    ),
    source(
        "include-without-a-folder",
        &[
            (
                "main.nft",
                "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop\n }\n}\ninclude \"firedrill-attribution.nft\"\n",
            ),
            (
                "firedrill-attribution.nft",
                "rule inet t in tcp dport <0> drop\n",
            ),
        ],
        Some(("main.nft", 3)),
    ),
    source(
        "an-include-that-finds-nothing",
        &[(
            "main.nft",
            "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop\n  include \"./none.d/*.nft\"\n  tcp dport <0> drop\n }\n}\n",
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "chains-of-other-files",
        &[
            (
                "main.nft",
                r#"
table inet t {
	chain web { }
	chain in {
		type filter hook input priority 0; policy drop;
		jump web
		tcp dport <0> accept
	}
}
include "./web.nft"
add rule inet t in tcp dport <0> drop
"#,
            ),
            (
                "web.nft",
                r#"
table inet t {
	chain web {
		tcp dport <0> accept
	}
}
add rule inet t web tcp dport <0> drop
"#,
            ),
        ],
        Some(("main.nft", 4)),
    ),
    source(
        "defines-over-many-lines",
        &[(
            "main.nft",
            r#"
define web = {
	<13>,    # the first
	# a comment of its own
	# and another
	<10>
}
define one = <9>
define sports = { 1,
                  2 }; define v6 = 2001:db8:ffff::/48
define empty = {}
table inet t {
	chain in {
		type filter hook input priority 0
		policy drop
		tcp dport $web accept
		tcp dport $one tcp sport != $sports drop
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 14)),
    ),
    source(
        "variables-come-and-go",
        &[(
            "main.nft",
            r#"
define p = 1
redefine p = <5>
table inet t {
	define q = { <5>, <5> }
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport $p accept
		define r = <2>
		tcp dport $q accept
		tcp dport $r drop
	}
}
undefine p
define p = <2>

add rule inet t in tcp dport $p accept
"#,
        )],
        Some(("main.nft", 6)),
    ),
    source(
        "variables-as-targets-sets-and-prefixes",
        &[(
            "main.nft",
            r#"
define target = away
define pre = "in"
define if = eth0
table inet t {
	set s { type inet_service; elements = { <6> }
	}
	chain away { tcp dport <0> drop
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport @s counter accept
		log prefix "$pre bound: "
		iifname $if jump $target
		tcp dport <0> log prefix "x" drop
	}
}
"#,
        )],
        Some(("main.nft", 10)),
    ),
    source(
        "continued-lines",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in { type filter hook input \
		priority 0; \
		policy drop;
		tcp \
			dport \
			<-2> \
			accept
		tcp dport <0> \
	# a comment line goes with its newline
			counter \
			drop
		# a comment does not go on \
		tcp dport <0> accept
		meta l4proto tcp	\
th dport <-1> drop
	}
}
"#,
        )],
        Some(("main.nft", 4)),
    ),
    source(
        "rules-over-several-lines-in-braces",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport {
			<-1>,
			<-2>, # }
			<-3>
		} accept
		tcp dport { <0>,
			<-1> } tcp sport != {
			1
		} drop
		tcp dport . meta l4proto { <0> . tcp,
			<-1> . tcp
		} accept
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "verdict-maps-over-several-lines",
        &[(
            "main.nft",
            r#"
table inet t {
	chain a { tcp dport <0> drop; }
	chain b { accept
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport vmap {
			<-1> : drop,
			<-2> : accept,
			# neither
			<-8> : jump b
		}
		iifname vmap {
			"lo" : accept,
			"eth0" : jump a }
		meta l4proto . tcp dport vmap {
			tcp . <-1> : accept, tcp . <-1> : drop }
	}
}
"#,
        )],
        Some(("main.nft", 6)),
    ),
    source(
        "repeated-tables",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
table inet other {
	chain in { tcp dport 1 accept
	}
}
table inet t {
	chain in {
		tcp dport <0> drop
	}
}
table inet t { chain in { tcp dport <0> accept; }; }
table inet t { }
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "repeated-chains",
        &[(
            "main.nft",
            r#"
table inet t {
	chain late { }
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		jump late
	}
	chain late {
		tcp dport <0> accept
	}
	chain in {
		tcp dport <0> drop
	}
	chain late { tcp dport <0> drop
	}
	chain in { tcp dport <0> drop; tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 4)),
    ),
    source(
        "blocks-and-commands-mixed",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
	chain x { tcp dport <0> accept
	}
}
add rule inet t in tcp dport <0> drop
table inet t {
	chain y { tcp dport <0> drop
	}
	chain in { jump x
		jump y
	}
	chain x { tcp dport <0> drop
	}
}
add rule inet t x tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "texts-with-braces-and-hashes",
        &[(
            "main.nft",
            r##"
# } { " ' include "./nothing.nft"
table inet t { # {
	comment "a table { with # and ;"
	chain in { # comment } "
		comment "chain in { drop; }"
		type filter hook input priority 0; policy drop; # policy accept;
		tcp dport <0> accept comment "} # { ; drop"
		tcp dport <0> log prefix "{#;} " drop comment "# handle 3"
		tcp dport <0> accept # drop ; tcp dport 9 drop
		tcp dport <0> accept comment "a \"
		tcp dport <0> accept comment plain
	}
}
"##,
        )],
        Some(("main.nft", 6)),
    ),
    source(
        "texts-over-several-lines",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept comment "one
		drop # handle 2
	}
"
		tcp dport <0> drop
		tcp dport <0> log prefix "a
b" accept
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 3)),
    ),
    refused(
        "crlf",
        &[(
            "main.nft",
            "table inet t {\r\n\tchain in {\r\n\t\ttcp dport 1 accept\r\n\t}\r\n}\r\n",
        )],
    ),
    source(
        "crlf-in-comments",
        &[(
            "main.nft",
            "# one\r\n# two\r\ntable inet t {\n chain in {\n  type filter hook input priority 0; policy drop; # three\r\n  tcp dport <0> accept # four\r\n  tcp dport <0> drop\n }\n}\n",
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "tabs-and-blanks",
        &[(
            "main.nft",
            "\t \ttable\tinet\tt{\n\n\n\t\t\t chain in{type filter hook input priority 0;policy drop;\n\ttcp\tdport   <0>\taccept\t\n;;;\n  ; tcp dport <0> drop;;\n\t}\n\n}\n\n",
        )],
        Some(("main.nft", 4)),
    ),
    source(
        "utf-8",
        &[(
            "main.nft",
            r#"
# Größe, 日本語, 🔥 {
table inet t {
	chain in { # ünïcode
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept comment "Grüße aus Köln 🔥"
		tcp dport <0> drop comment "日本語"; tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 4)),
    ),
    source(
        "no-newline-at-the-end",
        &[(
            "main.nft",
            "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop\n }\n}\nadd rule inet t in tcp dport <0> accept\nadd rule inet t in tcp dport <0> drop",
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "several-commands-on-a-line",
        &[(
            "main.nft",
            r#"
table inet t; chain inet t in { type filter hook input priority 0; policy drop; }; add rule inet t in tcp dport <0> accept
add rule inet t in tcp dport <0> drop; rule inet t in tcp dport <0> accept; insert rule inet t in tcp dport <0> drop
table inet t { chain in { tcp dport <0> accept; tcp dport <0> drop; }; chain x { tcp dport 3 drop; }; }; add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 1)),
    ),
    source(
        "flush-a-chain",
        &[(
            "main.nft",
            r#"
table inet t {
	chain other { tcp dport <0> accept
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport 1 accept
		tcp dport 2 accept
	}
}
flush chain inet t in
add rule inet t in tcp dport <0> drop
add rule inet t in jump other
insert rule inet t in tcp dport <0> accept
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "flush-a-table",
        &[(
            "main.nft",
            r#"
table inet t {
	chain x { drop
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport 1 accept
	}
}
table inet u {
	chain x { tcp dport 1 accept
	}
}
flush table inet t
add rule inet t in tcp dport <0> accept
add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "flush-ruleset-in-the-middle",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy accept;
		tcp dport 1 accept
		tcp dport 2 accept
	}
}
flush ruleset
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
table ip x {
	chain c { accept
	}
}
flush ruleset ip
add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 11)),
    ),
    source(
        "the-delete-table-idiom",
        &[(
            "main.nft",
            r#"
#!/usr/sbin/nft -f
add table inet t
delete table inet t
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 6)),
    ),
    source(
        "delete-a-rule-by-handle",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		drop
		tcp dport <0> drop
		drop
	}
}
delete rule inet t in handle 3
add rule inet t in tcp dport <0> accept
delete rule inet t in handle 5
add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "replace-a-rule",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		drop
		tcp dport <0> drop
	}
}
replace rule inet t in handle 3 tcp dport <0> accept
add rule inet t in tcp dport <0> drop
"#,
        )],
        Some(("main.nft", 3)),
    ),
    source(
        "delete-and-make-a-chain-again",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy accept;
		tcp dport 1 accept
	}
	chain other { tcp dport <0> drop
	}
}
delete chain inet t in
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		jump other
		tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 12)),
    ),
    source(
        "inline-chains",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		meta l4proto tcp jump {
			tcp dport <0> accept
			tcp dport <0> drop; tcp dport <0> drop comment "inner"
			# a comment
			counter
			tcp dport <0> reject
		}
		tcp dport <0> accept
		jump { tcp dport <0> drop; } comment "outer"
		meta nfproto { ipv4, ipv6 } goto {
			tcp dport { <0>, <0> } accept
			tcp dport <0> accept
			tcp dport vmap { <0> : drop,
				<-1> : accept }
			tcp dport <0> drop
		}
	}
}
"#,
        )],
        None,
    ),
    source(
        "inline-chains-of-commands",
        &[(
            "main.nft",
            r#"
add table inet t
add chain inet t in { type filter hook input priority 0; policy drop; }
add rule inet t in jump { tcp dport <0> accept; tcp dport <0> drop; }
add rule inet t in tcp dport { <0>, <0> } accept
add rule inet t in meta l4proto { tcp, udp } jump {
	tcp dport <0> accept
	tcp dport { <0>, <0> } drop
}
add rule inet t in tcp dport <0> accept
"#,
        )],
        Some(("main.nft", 2)),
    ),
    source(
        "inline-chains-whose-handles-cannot-be-counted",
        &[(
            "main.nft",
            r#"
table inet t {
	set seen { type inet_service; flags dynamic; size 65535
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
		jump {
			add @seen { tcp dport }
			tcp dport <?> accept
		}
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "no-policy-is-written",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		# accept by default
		type filter hook input priority 0
		tcp dport <0> drop
	}
}
"#,
        )],
        Some(("main.nft", 4)),
    ),
    source(
        "a-policy-on-its-own-line",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority filter
		# nothing gets in
		policy drop
		tcp dport <0> accept
	}
	chain out {
		type filter hook output priority filter
		policy accept
	}
}
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "a-policy-from-a-variable",
        &[(
            "main.nft",
            r#"
define policy_in = "drop"
define prio = -10
table inet t {
	chain in {
		type filter hook input priority $prio
		policy $policy_in
		tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 6)),
    ),
    source(
        "a-policy-that-is-changed-later",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority filter; policy accept;
		tcp dport <0> accept
	}
}
table inet t {
	chain in {
		policy drop
	}
}
table inet t {
	chain in {
		type filter hook input priority filter
		tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 9)),
    ),
    source(
        "a-script-with-its-interpreter",
        &[(
            "main.nft",
            r#"
#!/usr/sbin/nft -f
flush ruleset
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "sets-maps-counters-and-limits-between",
        &[(
            "main.nft",
            r#"
table inet t {
	set nets { type ipv4_addr; flags interval
		elements = { 198.51.100.0/24,
			203.0.113.0/24 }
	}
	counter hits { }
	chain a { tcp dport <0> accept
	}
	map where {
		type inet_service : verdict
		elements = { <13> : drop, <13> : accept }
	}
	quota much { over 100 mbytes }
	limit slow { rate 10/second }
	quota more { over 5 mbytes
	}
	set typed { typeof tcp dport; comment "{"; elements = { 1 comment "x }", 2 }
	}
	chain in {
		type filter hook input priority 0; policy drop;
		counter name "hits"
		ip saddr @nets tcp dport @typed accept
		tcp dport <0> counter name hits accept
		tcp dport vmap @where
		jump a
		tcp dport <0> drop
	}
}
add counter inet t more
add set inet t late { type inet_service; }
add element inet t late { <2>,
	<1> }
add rule inet t in tcp dport @late drop
add limit inet t lim rate 5/second
"#,
        )],
        None,
    ),
    of(
        Families::Ipv4,
        source(
            "sets-filled-by-rules",
            &[(
                "main.nft",
                r#"
table inet t {
	set seen { type ipv4_addr . inet_service; flags dynamic, timeout; timeout 1m; size 65535
	}
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> add @seen { ip saddr . tcp dport } accept
		tcp dport <0> update @seen { ip saddr . tcp dport limit rate 100/second burst 100 packets } accept
		tcp dport <0> meter m { ip saddr limit rate 100/second burst 100 packets } accept
		tcp dport <0> drop
		tcp dport <0> reject
	}
}
"#,
            )],
            Some(("main.nft", 5)),
        ),
    ),
    source(
        "create",
        &[(
            "main.nft",
            r#"
create table inet t
create chain inet t in { type filter hook input priority 0; policy drop; }
create chain inet t x
add rule inet t x tcp dport <0> drop
add rule inet t in jump x
add chain inet t y { tcp dport <0> drop; tcp dport <0> accept; }
add rule inet t in jump y
"#,
        )],
        Some(("main.nft", 2)),
    ),
    // nft 1.0.6 makes the chain and forgets its rules; later versions make both.
    source(
        "rules-of-a-created-chain",
        &[(
            "main.nft",
            r#"
table inet t {
	chain y { tcp dport <0> drop
	}
}
create chain inet t in { type filter hook input priority 0; policy drop
	counter
}
add rule inet t in tcp dport <?> accept
add rule inet t in jump y
"#,
        )],
        Some(("main.nft", 5)),
    ),
    source(
        "commands-that-only-show",
        &[(
            "main.nft",
            r#"
table inet t {
	counter c { }
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
list ruleset
describe tcp dport
reset counters
add rule inet t in tcp dport <0> drop
list tables
"#,
        )],
        Some(("main.nft", 4)),
    ),
    refused(
        "a-renamed-chain",
        &[(
            "main.nft",
            "table inet t {\n chain c { drop\n }\n}\nrename chain inet t c d\nadd rule inet t d accept\n",
        )],
    ),
    refused(
        "a-position-of-the-same-file",
        &[(
            "main.nft",
            "table inet t {\n chain c { drop\n }\n}\ninsert rule inet t c position 2 accept\n",
        )],
    ),
    source(
        "a-sleeping-table",
        &[(
            "main.nft",
            r#"
table inet asleep {
	flags dormant
	chain in {
		type filter hook input priority -10; policy drop;
		drop
	}
}
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <0> accept
	}
}
"#,
        )],
        Some(("main.nft", 10)),
    ),
    source(
        "names-with-everything",
        &[(
            "main.nft",
            r#"
table inet my-table.v2/x_1 {
	chain _in-put.4/6 {
		type filter hook input priority filter + 1; policy drop;
		tcp dport <0> accept
		jump Drop.All
	}
	chain Drop.All { tcp dport <0> drop
	}
}
add rule inet my-table.v2/x_1 _in-put.4/6 tcp dport <0> drop
"#,
        )],
        None,
    ),
    source(
        "several-base-chains",
        &[(
            "main.nft",
            r#"
table inet t {
	chain early {
		type filter hook prerouting priority raw; policy accept;
		tcp dport <0> drop comment "early"
		tcp dport 1 accept
	}
	chain in {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept }
		ct state invalid drop
		tcp dport <0> accept
	}
	chain late {
		type filter hook input priority filter + 10; policy accept;
		tcp dport 9 drop
	}
	chain nat {
		type nat hook prerouting priority dstnat
		tcp dport 10 redirect to :11
	}
}
"#,
        )],
        Some(("main.nft", 8)),
    ),
    source(
        "a-command-that-goes-on-behind-a-newline",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport <?> accept
	}
}
add synproxy inet t proxy mss 1460
wscale 7

add rule inet t in tcp dport <?> drop
"#,
        )],
        None,
    ),
    source(
        "words-that-are-also-statements",
        &[(
            "main.nft",
            r#"
define accepted = <9>
define dropped = { <11> }
table inet t {
	chain accepted { accept
	}
	chain in {
		type filter hook input priority 0; policy drop;
		icmp type redirect drop
		icmpv6 type nd-redirect drop
		tcp dport $accepted counter drop
		ct status dnat accept
		tcp dport <0> meta mark set 1 ct mark set mark accept
		tcp dport $dropped counter packets 5 bytes 7 drop
		tcp dport <0> @th,16,16 != 1 accept
	}
}
"#,
        )],
        None,
    ),
    source(
        "services-and-numbers-in-every-spelling",
        &[(
            "main.nft",
            r#"
table inet t {
	chain in {
		type filter hook input priority 0; policy drop;
		tcp dport ssh drop
		tcp dport 0x17 drop
		tcp dport 031 drop
		tcp dport 26-27 drop
		tcp dport { <0> } drop
		tcp dport == <0> drop
		meta l4proto tcp th dport <0> drop
	}
}
"#,
        )],
        None,
    ),
];
