//! Rulesets and packets that nobody would write: every kind of expression, with constants near those of the packets.

use std::fmt::Write as _;

/// Marsaglia's xorshift: enough for a choice, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Between `fewest` and `most` different ones, in their order.
    fn some<'a>(&mut self, of: &[&'a str], fewest: usize, most: usize) -> Vec<&'a str> {
        let count = fewest + self.below(most - fewest + 1);
        let mut left: Vec<&str> = of.to_vec();
        while left.len() > count {
            let at = self.below(left.len());
            left.remove(at);
        }
        left
    }

    fn list(&mut self, of: &[&str]) -> String {
        format!("{{ {} }}", self.some(of, 1, 3.min(of.len())).join(", "))
    }
}

const IPV4_SOURCES: [&str; 6] = [
    "198.51.100.7",
    "198.51.100.8",
    "198.51.100.77",
    "203.0.113.9",
    "100.64.3.1",
    "10.9.8.7",
];
const IPV4_PLACES: [&str; 9] = [
    "198.51.100.7",
    "198.51.100.0/25",
    "198.51.100.8-198.51.100.80",
    "203.0.113.0/24",
    "100.64.0.0/10",
    "10.0.0.0/8",
    "192.0.2.1",
    "10.0.0.5",
    "0.0.0.0/1",
];
/// Disjoint, for elements of intervals.
const IPV4_DISJOINT: [&str; 5] = [
    "198.51.100.7",
    "198.51.100.8-198.51.100.80",
    "203.0.113.0/24",
    "100.64.0.0/10",
    "10.0.0.0/8",
];
const IPV6_SOURCES: [&str; 4] = [
    "2001:db8:ffff::7",
    "2001:db8:ffff::8",
    "2001:db8:9::9",
    "fd00:77::1",
];
const IPV6_PLACES: [&str; 6] = [
    "2001:db8:ffff::7",
    "2001:db8:ffff::/64",
    "2001:db8:9::1-2001:db8:9::ff",
    "fd00::/8",
    "2001:db8:1::1",
    "fd00:1::5",
];
const IPV6_DISJOINT: [&str; 4] = [
    "2001:db8:ffff::7",
    "2001:db8:9::1-2001:db8:9::ff",
    "fd00::/8",
    "2001:db8:1::/64",
];
const PORTS: [&str; 8] = ["22", "25", "53", "80", "443", "8080", "8081", "65535"];
const PORT_RANGES: [&str; 6] = [
    "22",
    "50-60",
    "80-90",
    "400-500",
    "8080-8081",
    "60000-65535",
];
const FLAG_TESTS: [&str; 6] = [
    "tcp flags syn",
    "tcp flags & (syn | ack) == syn",
    "tcp flags & (fin | syn | rst | ack) != syn",
    "tcp flags { syn, ack, syn | ack }",
    "tcp flags != ack",
    "tcp flags & (fin | psh | urg) == (fin | psh | urg)",
];

/// The network and the transport protocol of a rule.
#[derive(Clone, Copy)]
struct Layers {
    network: &'static str,
    transport: &'static str,
}

/// Makes a ruleset out of a seed.
pub fn ruleset(seed: u64) -> String {
    let random = &mut Random::new(seed);
    let mut text = String::new();
    text += "table inet t {\n";
    text += &sets(random);
    for chain in ["c", "b", "a"] {
        text += &regular(random, chain);
    }
    for (name, hook, priority) in [
        ("early", "prerouting", "-300"),
        ("pre", "prerouting", "-150"),
        ("in", "input", "0"),
        ("in2", "input", "5"),
        ("through", "forward", "0"),
        ("through2", "forward", "0"),
        ("out", "output", "0"),
        ("post", "postrouting", "50"),
    ] {
        if random.chance(75) {
            text += &base(random, name, hook, priority);
        }
    }
    text += "}\n";
    if random.chance(60) {
        text += &nat(random);
    }
    if random.chance(30) {
        text += &format!(
            "table netdev n {{\n chain ingress {{\n  type filter hook ingress device \"eth0\" priority 0; \
             policy accept;\n  {}  {}  {}\n }}\n}}\n",
            "ip saddr 198.51.100.8 counter\n",
            "tcp dport { 22, 80-90 } ip ttl < 10 drop\n",
            "ip6 nexthdr tcp tcp dport 25 drop\n",
        );
    }
    text
}

fn sets(random: &mut Random) -> String {
    let mut text = String::new();
    let mut add = |declaration: String| {
        text += &format!(" {declaration}\n");
    };
    let list = |random: &mut Random, of: &[&str]| random.some(of, 1, of.len()).join(", ");
    let chosen = list(random, &IPV4_SOURCES);
    add(format!(
        "set hosts4 {{ type ipv4_addr; elements = {{ {chosen} }} }}"
    ));
    let chosen = list(random, &IPV4_DISJOINT);
    add(format!(
        "set nets4 {{ type ipv4_addr; flags interval; elements = {{ {chosen} }} }}"
    ));
    let chosen = list(random, &IPV6_DISJOINT);
    add(format!(
        "set nets6 {{ type ipv6_addr; flags interval; elements = {{ {chosen} }} }}"
    ));
    let chosen = list(random, &PORT_RANGES);
    add(format!(
        "set ports {{ type inet_service; flags interval; elements = {{ {chosen} }} }}"
    ));
    let pairs: Vec<String> = random
        .some(&IPV4_DISJOINT, 1, 5)
        .iter()
        .map(|place| format!("{place} . {}", PORT_RANGES[place.len() % PORT_RANGES.len()]))
        .collect();
    add(format!(
        "set pairs4 {{ type ipv4_addr . inet_service; flags interval; elements = {{ {} }} }}",
        pairs.join(", ")
    ));
    let pairs: Vec<String> = random
        .some(&IPV4_SOURCES, 1, 5)
        .iter()
        .map(|place| format!("{place} . {}", PORTS[place.len() % PORTS.len()]))
        .collect();
    add(format!(
        "set exact4 {{ type ipv4_addr . inet_service; elements = {{ {} }} }}",
        pairs.join(", ")
    ));
    add(
        "map marks { type inet_service : mark; elements = { 22 : 0x10, 80 : 0x20, 443 : 0x11 } }"
            .to_owned(),
    );
    add(
        "map wide { type ipv4_addr : verdict; flags interval; elements = { 198.51.100.7 : accept, \
         198.51.100.64/26 : drop, 203.0.113.0/24 : jump a, 10.0.0.0/8 : continue } }"
            .to_owned(),
    );
    add("set seen { type ipv4_addr; size 1000; flags dynamic; }".to_owned());
    add("set late { type ipv4_addr . inet_service; size 1000; flags dynamic, timeout; timeout 1h; }".to_owned());
    text
}

fn regular(random: &mut Random, name: &str) -> String {
    let mut text = format!(" chain {name} {{\n");
    // Chains are declared before those that jump to them.
    let deeper: &[&str] = match name {
        "a" => &["b", "c"],
        "b" => &["c"],
        _ => &[],
    };
    for _ in 0..2 + random.below(5) {
        text += &rule(random, "", deeper);
    }
    text + " }\n"
}

fn base(random: &mut Random, name: &str, hook: &str, priority: &str) -> String {
    let policy = random.one(&["accept", "accept", "drop"]);
    let mut text = format!(
        " chain {name} {{\n  type filter hook {hook} priority {priority}; policy {policy};\n"
    );
    if name == "early" && random.chance(30) {
        text += "  udp dport 53 notrack\n";
    }
    for _ in 0..3 + random.below(8) {
        text += &rule(random, hook, &["a", "b", "c"]);
    }
    text + " }\n"
}

fn nat(random: &mut Random) -> String {
    let mut text =
        "table ip nat {\n chain pre {\n  type nat hook prerouting priority dstnat;\n".to_owned();
    let rules = [
        "tcp dport 8080 dnat to 10.0.0.5:80",
        "udp dport 53 redirect to :5353",
        "ip saddr 198.51.100.8 tcp dport { 80, 443 } dnat to 10.0.0.5",
        "tcp dport 25 dnat to 10.0.0.6-10.0.0.9",
        "tcp dport 22 meta mark 0x10 dnat to 10.0.0.5",
        "dnat to tcp dport map { 8081 : 10.0.0.5, 65535 : 10.0.0.7 }",
    ];
    for rule in random.some(&rules, 1, 6) {
        writeln!(text, "  {rule}").unwrap();
    }
    text += " }\n chain post {\n  type nat hook postrouting priority srcnat;\n";
    let rules = [
        "oifname \"eth1\" tcp dport 443 snat to 10.0.0.1",
        "oifname \"eth1\" ip saddr 203.0.113.0/24 masquerade",
        "ip daddr 10.0.0.5 counter",
    ];
    for rule in random.some(&rules, 1, 3) {
        writeln!(text, "  {rule}").unwrap();
    }
    text + " }\n}\n"
}

fn rule(random: &mut Random, hook: &str, deeper: &[&str]) -> String {
    let layers = Layers {
        network: ["ip", "ip", "ip6", ""][random.below(4)],
        transport: ["tcp", "tcp", "udp", "icmp", "", "th"][random.below(6)],
    };
    let mut parts = Vec::new();
    for _ in 0..1 + random.below(3) {
        let part = match random.below(4) {
            0 => network(random, layers, !hook.is_empty()),
            1 | 2 => transport(random, layers),
            _ => other(random, hook),
        };
        // nft refuses to match twice on what it derives a dependency from.
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if random.chance(25) {
        parts.push(stateful(random, layers));
    }
    if random.chance(20) {
        parts.push(statement(random, hook, layers));
    }
    let last = verdict(random, layers, deeper);
    format!("  {} {last}\n", parts.join(" "))
}

fn network(random: &mut Random, layers: Layers, is_base: bool) -> String {
    let not = random.one(&["", "", "!= "]);
    let names_protocol = layers.transport.is_empty();
    match layers.network {
        "ip" => match random.below(16) {
            0 | 1 => format!("ip saddr {not}{}", random.one(&IPV4_PLACES)),
            2 => format!("ip daddr {not}{}", random.one(&IPV4_PLACES)),
            3 => format!("ip saddr {not}{}", random.list(&IPV4_DISJOINT)),
            4 => format!("ip saddr {not}@nets4"),
            5 => format!("ip saddr {not}@hosts4"),
            6 => format!(
                "ip ttl {} {}",
                random.one(&["<", ">=", "!="]),
                random.one(&["8", "63", "64"])
            ),
            7 => format!(
                "ip dscp {not}{}",
                random.one(&["ef", "cs1", "{ ef, cs1 }", "0-10"])
            ),
            8 => format!("ip ecn {not}{}", random.one(&["ce", "not-ect"])),
            9 => format!(
                "ip length {}",
                random.one(&["< 41", "40-60", "!= 44", "{ 28, 32, 40-44 }"])
            ),
            10 if names_protocol => format!(
                "ip protocol {not}{}",
                random.one(&["tcp", "{ tcp, udp }", "icmp"])
            ),
            11 => format!("ip hdrlength {}", random.one(&["5", "> 5"])),
            12 => format!(
                "ip saddr & 255.0.255.0 {} 198.0.100.0",
                random.one(&["==", "!="])
            ),
            13 => "ip frag-off & 0x4000 != 0".to_owned(),
            14 => format!(
                "ip daddr vmap {{ 192.0.2.1 : continue, 10.0.0.0/24 : {} }}",
                random.one(&["accept", "return"])
            ),
            // It jumps, so that no chain it jumps to may use it.
            _ if is_base => "ip saddr vmap @wide".to_owned(),
            _ => "ip saddr @nets4".to_owned(),
        },
        "ip6" => match random.below(9) {
            0 | 1 => format!("ip6 saddr {not}{}", random.one(&IPV6_PLACES)),
            2 => format!("ip6 daddr {not}{}", random.one(&IPV6_PLACES)),
            3 => format!("ip6 saddr {not}@nets6"),
            4 => format!("ip6 hoplimit {} 64", random.one(&["<", "==", ">="])),
            5 => format!(
                "ip6 dscp {not}{}",
                random.one(&["ef", "cs1", "{ ef, cs1 }"])
            ),
            6 if names_protocol => format!(
                "ip6 nexthdr {not}{}",
                random.one(&["tcp", "{ tcp, udp, 0 }"])
            ),
            7 => format!(
                "exthdr {} {}",
                random.one(&["hbh", "dst", "rt", "frag"]),
                random.one(&["exists", "missing"])
            ),
            _ => format!("ip6 length {}", random.one(&["< 30", "20-24", "!= 20"])),
        },
        _ => match random.below(4) {
            0 => format!("meta nfproto {not}{}", random.one(&["ipv4", "ipv6"])),
            1 => format!(
                "meta protocol {not}{}",
                random.one(&["ip", "ip6", "{ ip, ip6 }"])
            ),
            2 => format!("meta length {}", random.one(&["< 60", "40-64", "> 100"])),
            _ => "@nh,0,4 4".to_owned(),
        },
    }
}

fn transport(random: &mut Random, layers: Layers) -> String {
    let not = random.one(&["", "", "!= "]);
    let port = random.one(&["dport", "dport", "sport"]);
    match layers.transport {
        "tcp" => match random.below(14) {
            0 | 1 => format!("tcp {port} {not}{}", random.one(&PORTS)),
            2 => format!("tcp {port} {not}{}", random.one(&PORT_RANGES)),
            3 => format!("tcp dport {not}{}", random.list(&PORT_RANGES)),
            4 => format!("tcp dport {not}@ports"),
            5 | 6 => random.one(&FLAG_TESTS).to_owned(),
            7 => format!("tcp window {}", random.one(&["< 1024", "64240", "!= 1024"])),
            8 => format!(
                "tcp option {}",
                random.one(&[
                    "maxseg size < 1400",
                    "maxseg exists",
                    "sack-perm exists",
                    "timestamp missing",
                    "window count > 5"
                ])
            ),
            9 if layers.network == "ip" => format!("ip saddr . tcp dport {not}@pairs4"),
            10 if layers.network == "ip" => format!("ip saddr . tcp dport {not}@exact4"),
            11 if layers.network == "ip6" => {
                "ip6 saddr . tcp dport { 2001:db8:ffff::/64 . 22-80, fd00::/8 . 443 }".to_owned()
            }
            12 => format!(
                "tcp dport vmap {{ 22 : {}, 80-90 : continue, 443 : {} }}",
                random.one(&["accept", "drop"]),
                random.one(&["return", "accept"])
            ),
            _ => format!("@th,16,16 {}", random.one(&PORTS)),
        },
        "udp" => match random.below(6) {
            0 | 1 => format!("udp {port} {not}{}", random.one(&PORTS)),
            2 => format!("udp dport {not}{}", random.list(&PORT_RANGES)),
            3 => format!("udp length {}", random.one(&["8", "> 16", "!= 16"])),
            4 => format!("udp dport {not}@ports"),
            _ => "@th,64,8 0x66".to_owned(),
        },
        "icmp" if layers.network == "ip6" => match random.below(3) {
            0 => format!(
                "icmpv6 type {not}{}",
                random.one(&["echo-request", "{ echo-request, echo-reply }"])
            ),
            1 => format!("icmpv6 code {not}0"),
            _ => "icmpv6 id 7".to_owned(),
        },
        "icmp" if layers.network == "ip" => match random.below(3) {
            0 => format!(
                "icmp type {not}{}",
                random.one(&["echo-request", "{ echo-request, 13-18 }"])
            ),
            1 => format!("icmp code {not}0"),
            _ => "icmp id 7".to_owned(),
        },
        "th" => match random.below(3) {
            0 => format!(
                "meta l4proto {{ tcp, udp }} th dport {not}{}",
                random.one(&PORTS)
            ),
            1 => format!("th dport {not}{}", random.one(&PORT_RANGES)),
            _ => format!("meta l4proto . th dport {not}{{ tcp . 22, udp . 53, tcp . 80-90 }}"),
        },
        _ => format!(
            "meta l4proto {not}{}",
            random.one(&["tcp", "udp", "{ tcp, udp, icmp, ipv6-icmp }", "icmp", "47"])
        ),
    }
}

fn other(random: &mut Random, hook: &str) -> String {
    let not = random.one(&["", "", "!= "]);
    match random.below(12) {
        0 => format!(
            "iifname {not}{}",
            random.one(&["\"eth0\"", "\"eth*\"", "{ \"eth0\", \"eth9\" }", "\"lo\""])
        ),
        1 if hook != "prerouting" && hook != "input" => format!(
            "oifname {not}{}",
            random.one(&["\"eth1\"", "\"eth0\"", "\"eth*\""])
        ),
        2 => "iif \"eth0\"".to_owned(),
        3 => format!(
            "ct state {not}{}",
            random.one(&[
                "new",
                "established,related",
                "invalid",
                "{ new, untracked }",
                "new,invalid"
            ])
        ),
        4 => format!(
            "ct state vmap {{ established : accept, related : accept, invalid : {} }}",
            random.one(&["drop", "continue"])
        ),
        5 => format!(
            "meta mark {not}{}",
            random.one(&["0x10", "0-0x1f", "{ 0x10, 0x20 }"])
        ),
        6 => format!("meta mark & 0xf0 {} 0x10", random.one(&["==", "!="])),
        7 => format!("ct mark {not}{}", random.one(&["0", "0x10", "1-0x20"])),
        8 => format!(
            "meta pkttype {not}{}",
            random.one(&["host", "{ host, multicast }"])
        ),
        9 => format!("ct direction {}", random.one(&["original", "reply"])),
        10 => format!("ct status {}", random.one(&["dnat", "assured", "! dnat"])),
        _ => "iifname . meta l4proto { \"eth0\" . tcp, \"eth1\" . udp }".to_owned(),
    }
}

fn stateful(random: &mut Random, layers: Layers) -> String {
    match random.below(9) {
        0 => "limit rate 10/second burst 5 packets".to_owned(),
        1 => "limit rate over 1/hour burst 2 packets".to_owned(),
        2 => format!(
            "quota {}",
            random.one(&["200 bytes", "over 500 bytes", "1 mbytes"])
        ),
        3 => format!("ct count {}", random.one(&["3", "over 5"])),
        4 => format!("numgen inc mod 4 {}", random.one(&["0", "< 2", "{ 1, 3 }"])),
        5 if layers.network == "ip" => format!(
            "jhash ip saddr mod 4 seed 0x12345678 {}",
            random.one(&["0", "< 2"])
        ),
        6 if layers.network == "ip" => {
            format!("{} @seen {{ ip saddr }}", random.one(&["add", "update"]))
        }
        7 if layers.network == "ip" && layers.transport == "tcp" => format!(
            "{} @late {{ ip saddr . tcp dport }}",
            random.one(&["add", "update"])
        ),
        8 if layers.network == "ip" => "ip saddr @seen".to_owned(),
        _ => "limit rate 100 kbytes/second".to_owned(),
    }
}

fn statement(random: &mut Random, hook: &str, layers: Layers) -> String {
    match random.below(8) {
        0 => format!(
            "meta mark set {}",
            random.one(&["0x10", "0x20", "meta mark | 0x1", "ct mark"])
        ),
        1 if !hook.is_empty() => "ct mark set meta mark".to_owned(),
        2 => "ct mark set 0x10".to_owned(),
        3 => "counter".to_owned(),
        4 => "log prefix \"x \" group 3".to_owned(),
        5 => "meta priority set 0x10".to_owned(),
        6 if layers.transport == "tcp" => "meta mark set tcp dport map @marks".to_owned(),
        _ => "counter packets 0 bytes 0".to_owned(),
    }
}

fn verdict(random: &mut Random, layers: Layers, deeper: &[&str]) -> String {
    match random.below(14) {
        0..=2 => "accept".to_owned(),
        3 => "drop".to_owned(),
        4 | 5 if !deeper.is_empty() => format!("jump {}", random.one(deeper)),
        6 if !deeper.is_empty() => format!("goto {}", random.one(deeper)),
        7 => "return".to_owned(),
        8 if layers.transport == "tcp" => "tcp dport 22 drop".to_owned(),
        9 => "continue".to_owned(),
        _ => "counter".to_owned(),
    }
}

/// A test of a scenario: one packet in the short form, with a name of its own.
pub fn test(random: &mut Random, number: usize) -> String {
    let v4 = random.chance(65);
    let (from, to) = *[
        ("client", "firewall"),
        ("client", "server"),
        ("client", "server"),
        ("server", "client"),
        ("firewall", "server"),
    ]
    .get(random.below(5))
    .unwrap();
    let mut ip = Vec::new();
    if from == "client" && random.chance(70) {
        let source = if v4 {
            random.one(&IPV4_SOURCES)
        } else {
            random.one(&IPV6_SOURCES)
        };
        ip.push(format!("source: \"{source}\""));
    }
    if from != "firewall" && random.chance(40) {
        let key = if v4 { "ttl" } else { "hop-limit" };
        ip.push(format!("{key}: {}", random.one(&["7", "63", "255"])));
    }
    if random.chance(30) {
        ip.push(format!("dscp: {}", random.one(&["46", "8", "3"])));
    }
    if random.chance(20) {
        ip.push(format!("ecn: {}", random.one(&["3", "1"])));
    }
    if from != "firewall" && random.chance(8) {
        ip.push(if v4 {
            "options: [nop, router-alert]".to_owned()
        } else {
            format!(
                "extensions: [{}]",
                random.one(&["hop-by-hop", "destination", "hop-by-hop, destination"])
            )
        });
    }
    let header = if v4 { "ipv4" } else { "ipv6" };
    let carried = carried(random, from, v4);
    format!(
        "name: p{number}, from: {from}, to: {to}, packet: {{ {header}: {{ {} }}, {carried} }}, expect: accept",
        ip.join(", ")
    )
}

fn carried(random: &mut Random, from: &str, v4: bool) -> String {
    let port = match random.below(10) {
        0 => (1 + random.below(65535)).to_string(),
        1 => random
            .one(&["55", "85", "401", "21", "23", "60000"])
            .to_owned(),
        _ => random.one(&PORTS).to_owned(),
    };
    match random.below(10) {
        0..=5 => {
            let mut fields = vec![format!("dport: {port}")];
            if random.chance(35) {
                let flags = random.one(&[
                    "[syn, ack]",
                    "ack",
                    "[fin, ack]",
                    "rst",
                    "none",
                    "[fin, psh, urg]",
                    "[syn, fin]",
                    "[psh, ack]",
                    "[syn, ecn]",
                ]);
                if flags != "[syn, ecn]" {
                    fields.push(format!("flags: {flags}"));
                }
            }
            if random.chance(20) {
                fields.push(format!("window: {}", random.one(&["1024", "64240", "512"])));
            }
            if random.chance(20) && from != "firewall" {
                fields.push(format!(
                    "options: {{ {} }}",
                    random.one(&[
                        "mss: 1300",
                        "mss: 1460, window-scale: 7",
                        "sack-permitted: true",
                        "timestamps: [1, 0]",
                        ""
                    ])
                ));
            }
            if random.chance(20) {
                fields.push("payload: \"GET /\"".to_owned());
            }
            format!("tcp: {{ {} }}", fields.join(", "))
        }
        6 | 7 => {
            let payload = random.one(&["", ", payload: { size: 30 }", ", payload: \"fdrl-x\""]);
            format!("udp: {{ dport: {port}{payload} }}")
        }
        8 => {
            let kind = random.one(&["echo-request", "echo-request", "echo-reply"]);
            let name = if v4 { "icmpv4" } else { "icmpv6" };
            format!(
                "{name}: {{ type: {kind}, id: {} }}",
                random.one(&["7", "8"])
            )
        }
        _ => format!(
            "protocol: {}, payload: {{ size: 20 }}",
            random.one(&["253", "47", "50"])
        ),
    }
}

/// A scenario for [`ruleset`] with so many packets.
pub fn scenario(seed: u64, packets: usize) -> String {
    let mut random = Random::new(seed ^ 0x55aa);
    let tests: String = (0..packets)
        .map(|number| format!("  - {{ {} }}\n", test(&mut random, number)))
        .collect();
    format!(
        "firewall:\n  nftables: candidate.nft\n  interfaces:\n    \
         eth0: [192.0.2.1/24, \"2001:db8:1::1/64\"]\n    \
         eth1: [10.0.0.1/24, \"fd00:1::1/64\"]\n  \
         routes: [\"default via 192.0.2.9\", \"default via 2001:db8:1::9\"]\n\
         hosts:\n  \
         client: {{ behind: eth0, address: [198.51.100.7, \"2001:db8:ffff::7\"] }}\n  \
         server: {{ behind: eth1, address: [10.0.0.5, \"fd00:1::5\"] }}\n\
         tests:\n{tests}"
    )
}
