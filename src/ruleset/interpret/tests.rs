//! Whole rules on whole packets. What is expected comes from the kernel's functions, named at each test.

use super::*;
use crate::ruleset::program::{
    BitwiseOp, ChainFlags, CmpOp, CtKey, DynsetOp, Expression, LimitKind, MetaKey, NatFlags,
    NatKind, NumgenKind, PayloadBase, ProgramChain, ProgramRule, ProgramTable, ProgramVerdict,
    RateLimit, Register, SetDataKind, SetFlags, TableFlags, XtExtension,
};

fn register() -> Register {
    Register::from_number(1).expect("NFT_REG_1 is a register")
}

fn payload(base: PayloadBase, offset: u32, length: u32) -> Expression {
    Expression::Payload {
        destination: register(),
        base,
        offset,
        length,
    }
}

fn cmp(op: CmpOp, value: &[u8]) -> Expression {
    Expression::Cmp {
        source: register(),
        op,
        value: value.to_vec(),
    }
}

fn dport(port: u16) -> [Expression; 2] {
    [
        payload(PayloadBase::Transport, 2, 2),
        cmp(CmpOp::Eq, &port.to_be_bytes()),
    ]
}

fn meta(key: MetaKey) -> Expression {
    Expression::Meta {
        key,
        destination: register(),
    }
}

fn verdict(verdict: ProgramVerdict) -> Expression {
    Expression::Verdict(verdict)
}

fn jump(chain: &str) -> Expression {
    verdict(ProgramVerdict::Jump(chain.to_owned()))
}

/// Something of which the interpreter does not know whether it matches.
fn chance() -> [Expression; 2] {
    let random = Expression::Numgen {
        destination: register(),
        kind: NumgenKind::Random,
        modulus: 2,
        offset: 0,
    };
    [random, cmp(CmpOp::Eq, &0_u32.to_ne_bytes())]
}

fn rule(handle: u64, expressions: impl IntoIterator<Item = Expression>) -> ProgramRule {
    ProgramRule {
        handle,
        position: None,
        expressions: expressions.into_iter().collect(),
        userdata: Vec::new(),
        unknown: Vec::new(),
    }
}

fn chain(name: &str, base: Option<ProgramBase>, rules: Vec<ProgramRule>) -> ProgramChain {
    ProgramChain {
        name: name.to_owned(),
        handle: 1,
        flags: ChainFlags::default(),
        base,
        references: 0,
        rules,
        userdata: Vec::new(),
        unknown: Vec::new(),
    }
}

fn base(hook: Hook, priority: i32, policy: ProgramVerdict) -> Option<ProgramBase> {
    Some(ProgramBase {
        hook,
        priority,
        kind: ChainKind::Filter,
        policy,
        policy_count: None,
        devices: Vec::new(),
    })
}

fn program(chains: Vec<ProgramChain>) -> Program {
    let table = ProgramTable {
        family: Family::Inet,
        name: "t".to_owned(),
        handle: 1,
        flags: TableFlags::default(),
        references: 0,
        owner: None,
        chains,
        sets: Vec::new(),
        objects: Vec::new(),
        flowtables: Vec::new(),
        userdata: Vec::new(),
        unknown: Vec::new(),
    };
    Program {
        tables: vec![table],
    }
}

fn forward(rules: Vec<ProgramRule>) -> Program {
    program(vec![chain(
        "forward",
        base(Hook::Forward, 0, ProgramVerdict::Drop),
        rules,
    )])
}

/// From 198.51.100.7 to 10.0.0.5.
fn ipv4(protocol: u8, segment: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + segment.len()).unwrap().to_be_bytes();
    let mut packet = vec![
        0x45, 0, total[0], total[1], 0, 7, 0x40, 0, 64, protocol, 0, 0,
    ];
    packet.extend([198, 51, 100, 7, 10, 0, 0, 5]);
    packet.extend(segment);
    packet
}

fn syn(port: u16) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[2..4].copy_from_slice(&port.to_be_bytes());
    (segment[12], segment[13]) = (0x50, 2);
    ipv4(6, &segment)
}

fn facts(network: Vec<u8>) -> PacketFacts {
    PacketFacts {
        tracking: tracking::of_first_packet(&network),
        network,
        link: LinkFacts::Unknown,
        ether_type: ether_type::IPV4,
        packet_type: Some(0),
        mark: Some(0),
        priority: Some(0),
        socket: SocketFacts::Absent,
        has_security_path: Some(false),
    }
}

fn passage(hook: Hook) -> Passage {
    Passage {
        hook,
        layer: HookLayer::Network,
        input: InterfaceFacts::Unknown,
        output: InterfaceFacts::Unknown,
    }
}

fn run(program: &Program, network: Vec<u8>) -> Interpretation {
    let interpreter = Interpreter::new(program, HostFacts::default());
    interpreter.run(
        &facts(network),
        &[passage(Hook::Forward)],
        &mut State::default(),
    )
}

/// Handles of the evaluated rules, with whether each is evaluated and whether it matches.
fn evaluated(interpretation: &Interpretation) -> Vec<(u64, Certainty, Certainty)> {
    let evaluations = interpretation
        .traversals
        .iter()
        .flat_map(|traversal| &traversal.evaluations);
    evaluations
        .map(|evaluation| (evaluation.handle, evaluation.reached, evaluation.matched))
        .collect()
}

use Certainty::{Maybe, No, Yes};

#[test]
fn rules_are_evaluated_up_to_the_first_verdict() {
    let accept = |handle, port| {
        let expressions = dport(port).into_iter();
        rule(handle, expressions.chain([verdict(ProgramVerdict::Accept)]))
    };
    let program = forward(vec![accept(1, 22), accept(2, 80), accept(3, 443)]);
    let interpretation = run(&program, syn(80));
    assert_eq!(evaluated(&interpretation), [(1, Yes, No), (2, Yes, Yes)]);
    let traversal = &interpretation.traversals[0];
    assert_eq!(traversal.verdict(), Some(ChainVerdict::Accept));
    assert_eq!(
        traversal.ends[0].by,
        ChainDecider::Rule { chain: 0, rule: 1 }
    );
    assert_eq!(interpretation.leaves, Some(Yes));
}

/// `nft_payload_eval`: `skb_copy_bits` fails behind the end of the packet.
#[test]
fn a_load_behind_the_end_of_the_packet_breaks_the_rule_off() {
    let behind = |offset| {
        let load = payload(PayloadBase::Transport, offset, 2);
        rule(1, [load, verdict(ProgramVerdict::Accept)])
    };
    let short = ipv4(253, &[1, 2, 3]);
    assert_eq!(
        evaluated(&run(&forward(vec![behind(1)]), short.clone())),
        [(1, Yes, Yes)]
    );
    assert_eq!(
        evaluated(&run(&forward(vec![behind(2)]), short)),
        [(1, Yes, No)]
    );
}

/// `nft_payload_eval`: `pkt->fragoff` is not 0.
#[test]
fn a_later_fragment_has_no_transport_header() {
    let mut fragment = syn(80);
    (fragment[6], fragment[7]) = (0, 1);
    let program = forward(vec![
        rule(1, dport(80)),
        // `meta l4proto` is known of every fragment.
        rule(2, [meta(MetaKey::L4proto), cmp(CmpOp::Eq, &[6])]),
    ]);
    assert_eq!(
        evaluated(&run(&program, fragment)),
        [(1, Yes, No), (2, Yes, Yes)]
    );
}

#[test]
fn a_jump_comes_back_at_the_end_of_its_chain_and_a_goto_does_not() {
    let goto = verdict(ProgramVerdict::Goto("c".to_owned()));
    let program = program(vec![
        chain("c", None, vec![rule(7, [])]),
        chain(
            "forward",
            base(Hook::Forward, 0, ProgramVerdict::Drop),
            vec![rule(1, [jump("c")]), rule(2, [goto]), rule(3, [])],
        ),
    ]);
    let interpretation = run(&program, syn(80));
    let handles: Vec<u64> = evaluated(&interpretation)
        .iter()
        .map(|(handle, ..)| *handle)
        .collect();
    assert_eq!(handles, [1, 7, 2, 7]);
    let ends = &interpretation.traversals[0].ends;
    assert_eq!(ends.len(), 1);
    assert_eq!(
        (ends[0].verdict, ends[0].by, ends[0].certainty),
        (ChainVerdict::Drop, ChainDecider::Policy, Yes)
    );
}

#[test]
fn a_rule_that_may_accept_leaves_the_next_one_uncertain() {
    let may_accept = chance()
        .into_iter()
        .chain([verdict(ProgramVerdict::Accept)]);
    let program = forward(vec![rule(1, may_accept), rule(2, [])]);
    let interpretation = run(&program, syn(80));
    assert_eq!(
        evaluated(&interpretation),
        [(1, Yes, Maybe), (2, Maybe, Yes)]
    );
    assert_eq!(interpretation.traversals[0].verdict(), None);
    assert_eq!(interpretation.leaves, Some(Maybe));
    let doubts = &interpretation.traversals[0].evaluations[0].doubts;
    assert_eq!(doubts[..], [(1, Doubt::Chance)]);
}

#[test]
fn a_jump_that_may_be_taken_and_returns_leaves_the_next_rule_certain() {
    let may_jump = chance().into_iter().chain([jump("c")]);
    let program = program(vec![
        chain("c", None, vec![rule(7, [])]),
        chain(
            "forward",
            base(Hook::Forward, 0, ProgramVerdict::Drop),
            vec![rule(1, may_jump), rule(2, [])],
        ),
    ]);
    assert_eq!(
        evaluated(&run(&program, syn(80))),
        [(1, Yes, Maybe), (7, Maybe, Yes), (2, Yes, Yes)]
    );
}

#[test]
fn a_mark_that_may_be_set_is_known_where_both_ways_agree() {
    let set = |mark: u32| {
        [
            Expression::Immediate {
                destination: register(),
                value: mark.to_ne_bytes().to_vec(),
            },
            Expression::MetaSet {
                key: MetaKey::Mark,
                source: register(),
            },
        ]
    };
    let has = |bits: u32, mark: u32| {
        [
            meta(MetaKey::Mark),
            Expression::Bitwise {
                source: register(),
                destination: register(),
                length: 4,
                op: BitwiseOp::MaskXor {
                    mask: bits.to_ne_bytes().to_vec(),
                    xor: vec![0; 4],
                },
            },
            cmp(CmpOp::Eq, &mark.to_ne_bytes()),
        ]
    };
    let program = forward(vec![
        rule(1, set(0x10)),
        rule(2, chance().into_iter().chain(set(0x11))),
        rule(3, has(0xf0, 0x10)),
        rule(4, has(0x0f, 1)),
    ]);
    let interpretation = run(&program, syn(80));
    assert_eq!(
        evaluated(&interpretation)[2..],
        [(3, Yes, Yes), (4, Yes, Maybe)]
    );
}

/// `nf_hook_entries_grow`
#[test]
fn base_chains_are_met_by_priority_and_the_last_registered_first() {
    let at = |name, priority| {
        chain(
            name,
            base(Hook::Forward, priority, ProgramVerdict::Accept),
            Vec::new(),
        )
    };
    let program = program(vec![at("a", 0), at("b", 10), at("c", 0), at("d", -5)]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let names: Vec<&str> = run(&program, syn(80))
        .traversals
        .iter()
        .map(|traversal| interpreter.chain(traversal.chain).chain.name.as_str())
        .collect();
    assert_eq!(names, ["d", "c", "a", "b"]);
}

/// `nft_ct_get_eval`: before connection tracking there is no connection, which is the state "invalid".
#[test]
fn the_state_is_invalid_before_connection_tracking_and_new_behind_it() {
    let has_state = |state: u32| {
        let load = Expression::Ct {
            key: CtKey::State,
            direction: None,
            destination: register(),
        };
        vec![rule(1, [load, cmp(CmpOp::Eq, &state.to_ne_bytes())])]
    };
    let program = program(vec![
        chain(
            "raw",
            base(Hook::Prerouting, -300, ProgramVerdict::Accept),
            has_state(1),
        ),
        chain(
            "mangle",
            base(Hook::Prerouting, -150, ProgramVerdict::Accept),
            has_state(8),
        ),
    ]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let mut state = State::default();
    let interpretation = interpreter.run(&facts(syn(80)), &[passage(Hook::Prerouting)], &mut state);
    assert_eq!(evaluated(&interpretation), [(1, Yes, Yes), (1, Yes, Yes)]);
}

#[test]
fn a_limit_carries_its_credit_from_packet_to_packet() {
    let limit = Expression::Limit(RateLimit {
        rate: 1,
        unit_seconds: 3600,
        burst: 2,
        kind: LimitKind::Packets,
        is_inverted: false,
    });
    let program = forward(vec![rule(1, [limit, verdict(ProgramVerdict::Accept)])]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let mut state = State::default();
    state.now.latest = Some(1_000_000_000);
    let matched = [(); 3].map(|()| {
        let interpretation =
            interpreter.run(&facts(syn(80)), &[passage(Hook::Forward)], &mut state);
        let accesses = &interpretation.traversals[0].evaluations[0].accesses;
        assert_eq!(accesses.len(), 1);
        assert_eq!(accesses[0].mode, AccessMode::ReadWrite);
        evaluated(&interpretation)[0].2
    });
    assert_eq!(matched, [Yes, Yes, No]);
}

/// `ip_forward` calls `ip_decrease_ttl` before the forward hook.
#[test]
fn a_forwarded_packet_has_one_hop_less_at_the_forward_hook() {
    let has_ttl = |ttl: u8| {
        let load = payload(PayloadBase::Network, 8, 1);
        vec![rule(1, [load, cmp(CmpOp::Eq, &[ttl])])]
    };
    let at = |name, hook, ttl| chain(name, base(hook, 0, ProgramVerdict::Accept), has_ttl(ttl));
    let program = program(vec![
        at("pre", Hook::Prerouting, 64),
        at("fwd", Hook::Forward, 63),
    ]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let passages = [passage(Hook::Prerouting), passage(Hook::Forward)];
    let interpretation = interpreter.run(&facts(syn(80)), &passages, &mut State::default());
    assert_eq!(evaluated(&interpretation), [(1, Yes, Yes), (1, Yes, Yes)]);
}

/// `tcp_mt` (net/netfilter/xt_tcpudp.c): a header that is not all there sets `hotdrop`.
#[test]
fn a_tcp_match_of_iptables_drops_a_segment_that_is_too_short() {
    // `struct xt_tcp`: ports 0 to 65535 twice, no option, no flags, nothing inverted.
    let mut info = Vec::new();
    for port in [0_u16, 65535, 0, 65535] {
        info.extend(port.to_ne_bytes());
    }
    info.extend([0; 8]);
    let tcp = Expression::XtMatch(XtExtension {
        name: "tcp".to_owned(),
        revision: 0,
        info,
    });
    let mut program = forward(vec![rule(1, [tcp]), rule(2, [])]);
    program.tables[0].family = Family::Ip;
    assert_eq!(
        evaluated(&run(&program, syn(80))),
        [(1, Yes, Yes), (2, Yes, Yes)]
    );
    let interpretation = run(&program, ipv4(6, &[0; 19]));
    assert_eq!(evaluated(&interpretation), [(1, Yes, Yes)]);
    assert_eq!(
        interpretation.traversals[0].verdict(),
        Some(ChainVerdict::Drop)
    );
}

/// `nft_nat_eval`, and `nf_nat_inet_fn` for the order.
#[test]
fn a_translated_destination_is_seen_by_later_hooks() {
    let immediate = |number, value: &[u8]| Expression::Immediate {
        destination: Register::from_number(number).expect("a register of data"),
        value: value.to_vec(),
    };
    let dnat = Expression::Nat {
        kind: NatKind::Destination,
        family: Some(Family::Ip),
        address_min: Register::from_number(1),
        address_max: None,
        port_min: Register::from_number(2),
        port_max: None,
        flags: NatFlags(NatFlags::MAP_IPS.0 | NatFlags::PROTO_SPECIFIED.0),
    };
    let mut nat = base(Hook::Prerouting, -90, ProgramVerdict::Accept);
    if let Some(nat) = &mut nat {
        nat.kind = ChainKind::Nat;
    }
    let translated = || {
        vec![
            rule(
                7,
                [
                    payload(PayloadBase::Network, 16, 4),
                    cmp(CmpOp::Eq, &[192, 0, 2, 9]),
                ],
            ),
            rule(8, dport(8080)),
        ]
    };
    let program = program(vec![
        chain(
            "nat",
            nat,
            vec![rule(
                1,
                [
                    immediate(1, &[192, 0, 2, 9]),
                    immediate(2, &8080_u16.to_be_bytes()),
                    dnat,
                ],
            )],
        ),
        // NAT chains are met at -100, whatever their priority.
        chain(
            "mangle",
            base(Hook::Prerouting, -95, ProgramVerdict::Accept),
            translated(),
        ),
        chain(
            "forward",
            base(Hook::Forward, 0, ProgramVerdict::Accept),
            translated(),
        ),
    ]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let passages = [passage(Hook::Prerouting), passage(Hook::Forward)];
    let interpretation = interpreter.run(&facts(syn(80)), &passages, &mut State::default());
    let all = [
        (1, Yes, Yes),
        (7, Yes, Yes),
        (8, Yes, Yes),
        (7, Yes, Yes),
        (8, Yes, Yes),
    ];
    assert_eq!(evaluated(&interpretation), all);
    let translation = &interpretation.translations[0];
    assert_eq!(
        translation.address,
        Some(TranslatedValue::Constant(vec![192, 0, 2, 9]))
    );
    assert_eq!(translation.certainty, Yes);
}

/// `nft_dynset_eval` and `nft_lookup_eval` on one set.
#[test]
fn an_element_that_a_rule_adds_is_found_by_the_next_packet() {
    let set = ProgramSet {
        name: "seen".to_owned(),
        handle: None,
        flags: SetFlags::EVAL,
        key_type: 0,
        key_bytes: 4,
        field_bytes: Vec::new(),
        data: SetDataKind::None,
        size: Some(100),
        policy: None,
        timeout_ms: None,
        gc_interval_ms: None,
        expressions: Vec::new(),
        elements: Vec::new(),
        backend: None,
        element_count: None,
        userdata: Vec::new(),
        unknown: Vec::new(),
    };
    let source = || payload(PayloadBase::Network, 12, 4);
    let find = Expression::Lookup {
        set: "seen".to_owned(),
        source: register(),
        destination: None,
        is_inverted: false,
    };
    let add = Expression::Dynset {
        op: DynsetOp::Add,
        set: "seen".to_owned(),
        key: register(),
        data: None,
        timeout_ms: None,
        expressions: Vec::new(),
        is_inverted: false,
    };
    let mut program = forward(vec![rule(1, [source(), find]), rule(2, [source(), add])]);
    program.tables[0].sets.push(set);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let mut state = State::default();
    let matched = [(); 2].map(|()| {
        let interpretation =
            interpreter.run(&facts(syn(80)), &[passage(Hook::Forward)], &mut state);
        let cell = StateCell::Element {
            set: 0,
            key: vec![198, 51, 100, 7],
        };
        let [find, add] = &interpretation.traversals[0].evaluations[..] else {
            panic!("two rules are evaluated");
        };
        assert_eq!(
            [find.accesses[0].mode, add.accesses[0].mode],
            [AccessMode::Read, AccessMode::ReadWrite]
        );
        assert_eq!([&find.accesses[0].cell, &add.accesses[0].cell], [&cell; 2]);
        find.matched
    });
    assert_eq!(matched, [No, Yes]);
}

/// `nf_nat_packet`: a packet of a connection with a translation is translated without any chain.
#[test]
fn the_addresses_of_an_established_connection_are_unknown_behind_nat() {
    let mut nat = base(Hook::Prerouting, -100, ProgramVerdict::Accept);
    if let Some(nat) = &mut nat {
        nat.kind = ChainKind::Nat;
    }
    let program = program(vec![
        chain("nat", nat, vec![rule(1, [])]),
        chain(
            "forward",
            base(Hook::Forward, 0, ProgramVerdict::Accept),
            vec![rule(2, dport(80))],
        ),
    ]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let passages = [passage(Hook::Prerouting), passage(Hook::Forward)];
    let mut established = facts(syn(80));
    let mut connection = ConnectionFacts::begun(None);
    connection.state = Some(ConnectionState::Established);
    connection.is_bound = Some(true);
    established.tracking = Tracking::Tracked(connection);
    let interpretation = interpreter.run(&established, &passages, &mut State::default());
    assert_eq!(evaluated(&interpretation), [(2, Yes, Maybe)]);
}

/// `statistic_mt` (net/netfilter/xt_statistic.c), with `count` as `--mode nth --every 3 --packet 0` sets it
/// (extensions/libxt_statistic.c): the first packet matches, and then every third.
#[test]
fn the_first_packet_of_a_statistic_cycle_matches_with_packet_0() {
    // `struct xt_statistic_info`: mode, flags, every less one, packet, count, and the kernel's pointer.
    let mut info = Vec::new();
    info.extend([1_u16, 0].map(u16::to_ne_bytes).concat());
    info.extend([2_u32, 0, 2].map(u32::to_ne_bytes).concat());
    info.extend([0; 8]);
    let statistic = Expression::XtMatch(XtExtension {
        name: "statistic".to_owned(),
        revision: 0,
        info,
    });
    let mut program = forward(vec![rule(1, [statistic])]);
    program.tables[0].family = Family::Ip;
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let mut state = State::default();
    let matched = [(); 4].map(|()| {
        let passages = [passage(Hook::Forward)];
        evaluated(&interpreter.run(&facts(syn(80)), &passages, &mut state))[0].2
    });
    assert_eq!(matched, [Yes, No, No, Yes]);
}

/// `nft_nat_inet_eval` (net/netfilter/nft_nat.c): the rule goes on, and the packet keeps its address.
#[test]
fn a_translation_of_the_other_family_does_nothing() {
    let dnat = Expression::Nat {
        kind: NatKind::Destination,
        family: Some(Family::Ip6),
        address_min: Some(register()),
        address_max: None,
        port_min: None,
        port_max: None,
        flags: NatFlags::MAP_IPS,
    };
    let address = Expression::Immediate {
        destination: register(),
        value: vec![0x20; 16],
    };
    let mut nat = base(Hook::Prerouting, -100, ProgramVerdict::Accept);
    if let Some(nat) = &mut nat {
        nat.kind = ChainKind::Nat;
    }
    let program = program(vec![chain(
        "nat",
        nat,
        vec![rule(1, [address, dnat]), rule(2, [])],
    )]);
    let interpreter = Interpreter::new(&program, HostFacts::default());
    let passages = [passage(Hook::Prerouting)];
    let interpretation = interpreter.run(&facts(syn(80)), &passages, &mut State::default());
    assert_eq!(evaluated(&interpretation), [(1, Yes, Yes), (2, Yes, Yes)]);
    assert!(interpretation.translations.is_empty());
}
