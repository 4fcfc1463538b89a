//! Services by the names that people use: a built-in set, so that a scenario means the same everywhere, and
//! behind it the names of the system (services(5)).

use std::{collections::BTreeMap, fs, sync::OnceLock};

/// A service: its name, and its port for each transport protocol that it is used with.
struct Service {
    name: &'static str,
    tcp: Option<u16>,
    udp: Option<u16>,
}

const fn tcp(name: &'static str, port: u16) -> Service {
    Service {
        name,
        tcp: Some(port),
        udp: None,
    }
}

const fn udp(name: &'static str, port: u16) -> Service {
    Service {
        name,
        tcp: None,
        udp: Some(port),
    }
}

const fn both(name: &'static str, port: u16) -> Service {
    Service {
        name,
        tcp: Some(port),
        udp: Some(port),
    }
}

/// The built-in set (IANA "Service Name and Transport Protocol Port Number Registry", and what people call
/// databases). It wins over the system's names.
const SERVICES: [Service; 72] = [
    udp("bootpc", 68),
    udp("bootps", 67),
    tcp("bgp", 179),
    tcp("cassandra", 9042),
    udp("dhcp", 67),
    udp("dhcp-client", 68),
    udp("dhcpv6-client", 546),
    udp("dhcpv6-server", 547),
    both("discard", 9),
    both("dns", 53),
    both("domain", 53),
    tcp("domain-s", 853),
    both("echo", 7),
    tcp("elasticsearch", 9200),
    tcp("etcd", 2379),
    tcp("finger", 79),
    tcp("ftp", 21),
    tcp("ftp-data", 20),
    tcp("git", 9418),
    tcp("http", 80),
    tcp("http-alt", 8080),
    tcp("https", 443),
    tcp("ident", 113),
    udp("ike", 500),
    tcp("imap", 143),
    tcp("imaps", 993),
    udp("ipsec-nat-t", 4500),
    udp("isakmp", 500),
    both("kerberos", 88),
    tcp("ldap", 389),
    tcp("ldaps", 636),
    udp("mdns", 5353),
    tcp("memcached", 11211),
    tcp("mongodb", 27017),
    tcp("mqtt", 1883),
    tcp("mssql", 1433),
    tcp("mysql", 3306),
    udp("netbios-dgm", 138),
    udp("netbios-ns", 137),
    tcp("netbios-ssn", 139),
    both("nfs", 2049),
    udp("ntp", 123),
    udp("openvpn", 1194),
    tcp("pop3", 110),
    tcp("pop3s", 995),
    tcp("postgres", 5432),
    tcp("postgresql", 5432),
    udp("quic", 443),
    udp("radius", 1812),
    udp("radius-acct", 1813),
    tcp("rdp", 3389),
    tcp("redis", 6379),
    both("rpcbind", 111),
    tcp("rsync", 873),
    both("sip", 5060),
    tcp("sip-tls", 5061),
    tcp("smb", 445),
    tcp("smtp", 25),
    tcp("smtps", 465),
    udp("snmp", 161),
    udp("snmp-trap", 162),
    udp("ssdp", 1900),
    tcp("ssh", 22),
    both("stun", 3478),
    tcp("submission", 587),
    both("sunrpc", 111),
    udp("syslog", 514),
    tcp("syslog-tls", 6514),
    tcp("telnet", 23),
    udp("tftp", 69),
    tcp("vnc", 5900),
    udp("wireguard", 51820),
];

/// The transport protocols and ports of a name: of the built-in set, or else of the system.
pub(crate) fn named(name: &str) -> Vec<(&'static str, u16)> {
    let of_name = |protocol: &'static str| port(protocol, name).map(|port| (protocol, port));
    ["udp", "tcp"].into_iter().filter_map(of_name).collect()
}

/// The port of a name with this transport protocol. SCTP and UDP-Lite borrow those of TCP and UDP, as their
/// registries do.
pub(crate) fn port(protocol: &str, name: &str) -> Option<u16> {
    let name = name.to_ascii_lowercase();
    let like = match protocol {
        "udplite" => "udp",
        "sctp" => "tcp",
        other => other,
    };
    if let Some(known) = SERVICES.iter().find(|known| known.name == name) {
        return if like == "udp" { known.udp } else { known.tcp };
    }
    let exact = (protocol.to_owned(), name.clone());
    let system = system();
    system
        .get(&exact)
        .or_else(|| system.get(&(like.to_owned(), name)))
        .copied()
}

/// The names of the built-in set.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

type Names = BTreeMap<(String, String), u16>;

/// The names of this machine; none where it has no such file.
fn system() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        fs::read_to_string("/etc/services").map_or_else(|_| Names::new(), |text| parse(&text))
    })
}

/// `https 443/tcp www # comment`; of a name that stands there twice the first counts, as for getservbyname(3).
fn parse(text: &str) -> Names {
    let mut names = Names::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(name), Some((port, protocol))) = (
            words.next(),
            words.next().and_then(|word| word.split_once('/')),
        ) else {
            continue;
        };
        let Ok(port @ 1..) = port.parse::<u16>() else {
            continue;
        };
        for name in words.chain([name]) {
            let key = (protocol.to_owned(), name.to_ascii_lowercase());
            names.entry(key).or_insert(port);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_names_are_unique_and_no_numbers() {
        let mut seen: Vec<&str> = names().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), SERVICES.len());
        assert!(seen.iter().all(|name| name.parse::<u16>().is_err()));
    }

    #[test]
    fn the_system_s_file_is_read_as_the_system_reads_it() {
        let names = parse(
            "# comment\nfoo\t70/tcp  bar baz # more\nfoo 71/tcp\nfoo 70/udp\nbad x/tcp\nzero 0/tcp\n",
        );
        let port = |protocol: &str, name: &str| {
            names.get(&(protocol.to_owned(), name.to_owned())).copied()
        };
        assert_eq!(port("tcp", "foo"), Some(70));
        assert_eq!(port("udp", "foo"), Some(70));
        assert_eq!(port("tcp", "baz"), Some(70));
        assert_eq!(port("udp", "baz"), None);
        assert_eq!((port("tcp", "bad"), port("tcp", "zero")), (None, None));
    }

    /// The independent source: what Debian's netbase says of the same names, where it has them.
    #[test]
    fn the_built_in_ports_are_those_of_the_registry() {
        let registry = parse(&fs::read_to_string("/etc/services").expect("netbase is installed"));
        let mut seen = 0;
        for service in &SERVICES {
            for (protocol, port) in [("tcp", service.tcp), ("udp", service.udp)] {
                let theirs = registry.get(&(protocol.to_owned(), service.name.to_owned()));
                if let (Some(port), Some(theirs)) = (port, theirs) {
                    assert_eq!(port, *theirs, "{}/{protocol}", service.name);
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "only {seen} names are in both");
    }
}
