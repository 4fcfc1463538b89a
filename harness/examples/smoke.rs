use firedrill_harness::{agent, launcher::embedded, packet::*, protocol::*};
fn main() {
    agent::run_if_asked();
    let net = |s: &str| s.parse().unwrap();
    let mk = |id: u32, from, s: &str, d: &str, dport| Probe {
        id,
        from,
        packet: Packet {
            source: s.parse().unwrap(),
            destination: d.parse().unwrap(),
            ttl: 64,
            cookie: 0xfd00_0001 + id,
            transport: Transport::Tcp {
                sport: 40000 + id as u16,
                dport,
                flags: 2,
            },
        },
    };
    let plan = Plan { version: VERSION, lab: LabSpec {
        interfaces: vec![InterfaceSpec { name: "eth0".into(), addresses: vec![net("192.0.2.10/24"), net("2001:db8::10/64")] }, InterfaceSpec { name: "eth1".into(), addresses: vec![net("10.0.0.1/24")] }],
        routes: vec![RouteSpec { destination: net("198.51.100.7/32"), via: None, interface: 0 }, RouteSpec { destination: net("2001:db8:ffff::7/128"), via: None, interface: 0 }],
        neighbours: vec![NeighbourSpec { interface: 0, address: "198.51.100.7".parse().unwrap() }, NeighbourSpec { interface: 0, address: "2001:db8:ffff::7".parse().unwrap() }, NeighbourSpec { interface: 1, address: "10.0.0.5".parse().unwrap() }],
        forwarding: true, sysctl: vec![] },
        candidate: CandidateSpec { replaced: vec![], files: vec![StagedFile { path: "/c/x.nft".into(), mode: 0o644, content: Bytes(b"table inet f {\n chain i {\n type filter hook input priority 0; policy drop;\n tcp dport 80 accept\n tcp dport 81 reject with tcp reset\n}\nchain fo {\n type filter hook forward priority 0; policy drop;\n tcp dport 80 accept\n}\n chain o { \n type filter hook output priority 0; policy accept;\n tcp dport 81 drop\n }\n}\n".to_vec()) }],
            load: vec![Command { argv: vec!["nft".into(), "-f".into(), "/c/x.nft".into()], cwd: "/".into() }], list: Command { argv: vec!["nft".into(), "-t".into(), "-a".into(), "list".into(), "ruleset".into()], cwd: "/".into() } },
        task: Task::Probe(vec![
            mk(0, Origin::Wire(0), "198.51.100.7", "192.0.2.10", 80), mk(1, Origin::Wire(0), "198.51.100.7", "192.0.2.10", 22), mk(2, Origin::Wire(0), "198.51.100.7", "192.0.2.10", 81),
            mk(3, Origin::Wire(0), "198.51.100.7", "10.0.0.5", 80), mk(4, Origin::Wire(0), "198.51.100.7", "10.0.0.5", 22),
            mk(5, Origin::Firewall, "10.0.0.1", "10.0.0.5", 80), mk(6, Origin::Firewall, "10.0.0.1", "10.0.0.5", 81),
            mk(7, Origin::Wire(0), "2001:db8:ffff::7", "2001:db8::10", 80), mk(8, Origin::Wire(0), "2001:db8:ffff::7", "2001:db8::10", 81), mk(9, Origin::Wire(0), "198.51.100.7", "10.9.9.9", 80),
        ]), blind: None };
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let t = std::time::Instant::now();
        let mut s = embedded::start(&plan).await.unwrap();
        loop {
            let r = s.next().await.unwrap();
            println!("{:?} {}", t.elapsed(), serde_json::to_string(&r).unwrap());
            if matches!(
                r,
                Record::Done { .. } | Record::Broken(_) | Record::LoadFailed(_)
            ) {
                break;
            }
        }
    });
}
