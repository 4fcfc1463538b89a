//! nftables over netlink: the generation of the ruleset, the harness's own trace table, and the trace
//! itself (linux/netfilter/nf_tables.h). No `nft` process is needed for any of it.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload, Nla,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::ConntrackMessage,
    nftables::{
        Bitwise, ChainAttribute, ChainMessage, Cmp, DataAttribute, DevHookNumber, Expressions,
        GenAttribute, GenMessage, Hook, HookNumber, Immediate, InetHookNumber, Meta, MetaKey,
        NfTablesMessage, Operator, Register, RuleAttribute, RuleMessage, TableAttribute,
        TableFlags, TableMessage,
    },
    none::ControlMessage,
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use firedrill_wire::protocol::{Broken, Bytes, Trace, TraceEvent, TraceKind, TraceVerdict};

use crate::{
    error::Doing,
    kernel::{
        netlink::{self, DATAGRAM_BYTES},
        socket::ETHERTYPE_BARRIER,
        xtables::{self, LogSocket},
    },
};

/// The name of the harness's own tables; nothing in them decides anything.
pub const TRACE_TABLE: &str = "firedrill_trace";

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), which a batch must name.
pub(crate) const SUBSYSTEM_NFTABLES: u16 = 10;
/// `NFNLGRP_NFTRACE`.
const TRACE_GROUP: u32 = 9;
/// Before every other chain, whatever its priority.
const FIRST_PRIORITY: i32 = i32::MIN;
/// Behind every other chain.
const LAST_PRIORITY: i32 = i32::MAX;

/// A netfilter socket in the namespace in which it was opened.
pub(crate) struct NftSocket {
    socket: Socket,
    sequence: u32,
}

impl NftSocket {
    /// Opens a socket in the current namespace.
    pub(crate) fn open() -> Result<Self, Broken> {
        Ok(Self {
            socket: netlink::open(NETLINK_NETFILTER).doing(|| "open a netfilter netlink socket")?,
            sequence: 0,
        })
    }

    /// The ruleset's generation: the kernel counts it up with every transaction.
    pub(crate) fn generation(&mut self) -> Result<u32, Broken> {
        self.ask_generation()
            .doing(|| "ask for the generation of the ruleset")
    }

    fn ask_generation(&mut self) -> io::Result<u32> {
        let message = NfTablesMessage::GetGen(GenMessage {
            attributes: Vec::new(),
        });
        let bytes = self.serialize(NetfilterProtoFamily::Unspec, message, NLM_F_REQUEST);
        self.socket.send(&bytes, 0)?;
        let mut generation = None;
        while generation.is_none() {
            self.answers(|_, message| {
                if let NetlinkPayload::InnerMessage(NetfilterMessage {
                    inner: NetfilterMessageInner::NfTables(NfTablesMessage::NewGen(answer)),
                    ..
                }) = message
                {
                    generation = answer
                        .attributes
                        .iter()
                        .find_map(|attribute| match attribute {
                            GenAttribute::Id(id) => Some(*id),
                            _ => None,
                        });
                }
                Ok(())
            })?;
        }
        generation.ok_or_else(|| io::Error::other("no answer"))
    }

    /// Adds the tables that switch the trace on for everything that comes in on `interfaces` or is
    /// sent by the firewall itself. They belong to this socket (`NFT_TABLE_F_OWNER`): a candidate's
    /// `flush ruleset` leaves them alone, and they go when the socket closes.
    ///
    /// With `arp`, a chain behind all others shows which ARP messages they let pass.
    pub(crate) fn trace_everything(
        &mut self,
        interfaces: &[&str],
        arp: bool,
    ) -> Result<(), Broken> {
        let mut hooks = vec![("output", InetHookNumber::LocalOut)];
        // A kernel without CONFIG_NETFILTER_INGRESS: prerouting is the next best place.
        if self.commit(ingress_batch(interfaces)).is_err() {
            hooks.push(("prerouting", InetHookNumber::PreRouting));
        }
        self.commit(inet_batch(&hooks))
            .doing(|| "switch the nftables trace on")?;
        if arp {
            self.commit(arp_batch())
                .doing(|| "switch the nftables trace of ARP on")?;
        }
        Ok(())
    }

    /// Adds chains behind connection tracking that make the trace say which state it gave a packet:
    /// one per state, named `state-…`, with a rule that matches that state. Switches connection tracking
    /// on.
    pub(crate) fn trace_states(&mut self) -> Result<(), Broken> {
        self.commit(state_batch())
            .doing(|| "watch the state of connections")
    }

    /// Forgets every connection (`IPCTNL_MSG_CT_DELETE` without a tuple,
    /// linux/netfilter/nfnetlink_conntrack.h).
    pub(crate) fn forget_connections(&mut self) -> io::Result<()> {
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
        let message = NetfilterMessage::new(header, ConntrackMessage::Delete(Vec::new()));
        let bytes = self.serialize_message(message, NLM_F_REQUEST | NLM_F_ACK);
        self.socket.send(&bytes, 0)?;
        let mine = self.sequence;
        let mut done = false;
        while !done {
            self.answers(|sequence, message| {
                if sequence == mine
                    && let NetlinkPayload::Error(error) = message
                {
                    done = true;
                    return if error.code.is_some() {
                        Err(error.to_io())
                    } else {
                        Ok(())
                    };
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Sends a transaction and waits until each of its messages is acknowledged.
    fn commit(&mut self, messages: Vec<(NetfilterProtoFamily, NfTablesMessage)>) -> io::Result<()> {
        let border = |message| {
            NetfilterMessage::new(
                NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM_NFTABLES),
                message,
            )
        };
        let mut bytes = self.serialize_message(border(ControlMessage::BatchBegin), NLM_F_REQUEST);
        let count = messages.len();
        let first = self.sequence + 1;
        for (family, message) in messages {
            let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
            bytes.extend(self.serialize(family, message, flags));
        }
        bytes.extend(self.serialize_message(border(ControlMessage::BatchEnd), NLM_F_REQUEST));
        self.socket.send(&bytes, 0)?;
        let mut acknowledged = 0;
        while acknowledged < count {
            self.answers(|sequence, message| match message {
                // Left over from a transaction that failed before.
                _ if sequence < first => Ok(()),
                NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
                NetlinkPayload::Error(_) => {
                    acknowledged += 1;
                    Ok(())
                }
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    fn serialize(
        &mut self,
        family: NetfilterProtoFamily,
        message: NfTablesMessage,
        flags: u16,
    ) -> Vec<u8> {
        let header = NetfilterHeader::new(family, 0, 0);
        self.serialize_message(NetfilterMessage::new(header, message), flags)
    }

    fn serialize_message(&mut self, message: NetfilterMessage, flags: u16) -> Vec<u8> {
        self.sequence += 1;
        netlink::request(message, flags, self.sequence)
    }

    /// Reads one datagram and hands over each message in it.
    fn answers(
        &self,
        mut each: impl FnMut(u32, NetlinkPayload<NetfilterMessage>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let length = self.socket.recv(&mut &mut buffer[..], 0)?;
        let mut rest = &buffer[..length.min(DATAGRAM_BYTES)];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<NetfilterMessage>::deserialize(rest).map_err(io::Error::other)?;
            rest = netlink::after(rest, message.header.length);
            each(message.header.sequence_number, message.payload)?;
        }
        Ok(())
    }
}

fn ingress_batch(interfaces: &[&str]) -> Vec<(NetfilterProtoFamily, NfTablesMessage)> {
    let chains = interfaces.iter().flat_map(|interface| {
        let hook = vec![
            Hook::Number(HookNumber::Dev(DevHookNumber::Ingress)),
            Hook::Priority(FIRST_PRIORITY as u32),
            Hook::NetDeviceName((*interface).to_owned()),
        ];
        [chain(interface, hook), trace_rule(interface)]
    });
    std::iter::once(table())
        .chain(chains)
        .map(|message| (NetfilterProtoFamily::NetDev, message))
        .collect()
}

fn inet_batch(hooks: &[(&str, InetHookNumber)]) -> Vec<(NetfilterProtoFamily, NfTablesMessage)> {
    let chains = hooks.iter().flat_map(|(name, number)| {
        let hook = vec![
            Hook::Number(HookNumber::Inet(*number)),
            Hook::Priority(FIRST_PRIORITY as u32),
        ];
        [chain(name, hook), trace_rule(name)]
    });
    std::iter::once(table())
        .chain(chains)
        .map(|message| (NetfilterProtoFamily::Inet, message))
        .collect()
}

/// The states of connection tracking by their names in nft(8), and their bits in `ct state`
/// (`NF_CT_STATE_BIT` and others, linux/netfilter/nf_conntrack_common.h).
pub const STATES: [(&str, u32); 5] = [
    ("invalid", 1),
    ("established", 2),
    ("related", 4),
    ("new", 8),
    ("untracked", 64),
];

/// How the chains begin that show the state of a connection, before the state.
pub const STATE_CHAIN: &str = "state-";

/// Behind connection tracking (`NF_IP_PRI_CONNTRACK`, linux/netfilter_ipv4.h).
const BEHIND_CONNTRACK: i32 = -199;

fn state_batch() -> Vec<(NetfilterProtoFamily, NfTablesMessage)> {
    let hooks = [
        ("", InetHookNumber::PreRouting),
        ("-out", InetHookNumber::LocalOut),
    ];
    let chains = hooks.iter().flat_map(|(suffix, number)| {
        STATES.iter().flat_map(move |(state, bit)| {
            let name = format!("{STATE_CHAIN}{state}{suffix}");
            let hook = vec![
                Hook::Number(HookNumber::Inet(*number)),
                Hook::Priority(BEHIND_CONNTRACK as u32),
            ];
            [chain(&name, hook), state_rule(&name, *bit)]
        })
    });
    chains
        .map(|message| (NetfilterProtoFamily::Inet, message))
        .collect()
}

/// `ct state & BIT != 0`, and nothing else.
fn state_rule(chain: &str, bit: u32) -> NfTablesMessage {
    // `NFTA_CT_DREG` and `NFTA_CT_KEY`; `NFT_CT_STATE` and `NFT_REG_1`.
    let ct = Expressions::Other {
        expression_type: "ct".to_owned(),
        attributes: vec![
            DefaultNla::new(1, 1_u32.to_be_bytes().to_vec()),
            DefaultNla::new(2, 0_u32.to_be_bytes().to_vec()),
        ],
    };
    // Registers hold `ct state` in the byte order of the machine.
    let masked = Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::Reg1),
        Bitwise::DestinationRegister(Register::Reg1),
        Bitwise::Length(4),
        Bitwise::Mask(DataAttribute::Value(bit.to_ne_bytes().to_vec())),
        Bitwise::Xor(DataAttribute::Value(vec![0; 4])),
    ]);
    let set = Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::NotEqual),
        Cmp::Data(DataAttribute::Value(vec![0; 4])),
    ]);
    NfTablesMessage::NewRule(RuleMessage {
        attributes: vec![
            RuleAttribute::Table(TRACE_TABLE.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(vec![ct.into(), masked.into(), set.into()]),
        ],
    })
}

/// Behind every chain of the family `arp`. Its hook "input" has the number of prerouting
/// (`NF_ARP_IN`, linux/netfilter_arp.h).
fn arp_batch() -> Vec<(NetfilterProtoFamily, NfTablesMessage)> {
    let hook = vec![
        Hook::Number(HookNumber::Inet(InetHookNumber::PreRouting)),
        Hook::Priority(LAST_PRIORITY as u32),
    ];
    [table(), chain("input", hook), trace_rule("input")]
        .map(|message| (NetfilterProtoFamily::ARP, message))
        .into()
}

fn table() -> NfTablesMessage {
    NfTablesMessage::NewTable(TableMessage {
        attributes: vec![
            TableAttribute::Name(TRACE_TABLE.to_owned()),
            TableAttribute::Flags(TableFlags::Owner),
        ],
    })
}

fn chain(name: &str, hook: Vec<Hook>) -> NfTablesMessage {
    NfTablesMessage::NewChain(ChainMessage {
        attributes: vec![
            ChainAttribute::Table(TRACE_TABLE.to_owned()),
            ChainAttribute::Name(name.to_owned()),
            ChainAttribute::Hook(hook),
            ChainAttribute::Type("filter".to_owned()),
        ],
    })
}

/// `meta protocol != 0x88b5 meta nftrace set 1`: everything but the prober's barriers.
fn trace_rule(chain: &str) -> NfTablesMessage {
    let protocol = Expressions::Meta(vec![
        Meta::Key(MetaKey::EtherTypeProtocol),
        Meta::DestinationRegister(Register::Reg1),
    ]);
    let not_barrier = Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::NotEqual),
        Cmp::Data(DataAttribute::Value(
            ETHERTYPE_BARRIER.to_be_bytes().to_vec(),
        )),
    ]);
    let one = Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Reg1),
        Immediate::Data(DataAttribute::Value(vec![1])),
    ]);
    let set = Expressions::Meta(vec![
        Meta::Key(MetaKey::NftraceBit),
        Meta::SourceRegister(Register::Reg1),
    ]);
    NfTablesMessage::NewRule(RuleMessage {
        attributes: vec![
            RuleAttribute::Table(TRACE_TABLE.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(vec![
                protocol.into(),
                not_barrier.into(),
                one.into(),
                set.into(),
            ]),
        ],
    })
}

/// How many messages of the trace are read for one probe: more than any socket buffer holds, and than
/// any ruleset that somebody wrote has rules.
const MAX_EVENTS: usize = 1 << 16;

/// Listens to the nftables trace of the namespace in which it was opened.
pub(crate) struct TraceSocket {
    socket: Socket,
    deaf: bool,
    /// The trace of legacy iptables, where it is in use.
    legacy: Option<RefCell<LogSocket>>,
}

impl TraceSocket {
    /// Opens a socket with a receive buffer of `buffer` bytes (the kernel caps it at
    /// `net.core.rmem_max`) and joins the trace group, unless `deaf`.
    pub(crate) fn open(buffer: usize, deaf: bool) -> Result<Self, Broken> {
        let open = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            // Not bound, it would have no port and get no multicast at all.
            socket.bind_auto()?;
            socket.set_rx_buf_sz(i32::try_from(buffer).unwrap_or(i32::MAX))?;
            socket.set_non_blocking(true)?;
            if !deaf {
                socket.add_membership(TRACE_GROUP)?;
            }
            io::Result::Ok(socket)
        };
        Ok(Self {
            socket: open().doing(|| "listen to the nftables trace")?,
            deaf,
            legacy: match xtables::in_use() && !deaf {
                true => Some(RefCell::new(LogSocket::open(buffer)?)),
                false => None,
            },
        })
    }

    /// Leaves the trace group: the kernel then spends no time on events.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.socket.drop_membership(TRACE_GROUP)
    }

    /// Listens again; what was missed in between is nobody's evidence.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        if !self.deaf {
            self.socket.add_membership(TRACE_GROUP)?;
        }
        self.drain(&mut Trace::default());
        Ok(())
    }

    /// Takes all events that are there. Tracing happens while a packet is processed, so behind a
    /// barrier these are all there will be.
    pub(crate) fn drain(&self, trace: &mut Trace) {
        self.drain_nftables(trace);
        if let Some(legacy) = &self.legacy {
            legacy.borrow_mut().drain(trace);
        }
    }

    fn drain_nftables(&self, trace: &mut Trace) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        for _ in 0..MAX_EVENTS {
            match self.socket.recv(&mut &mut buffer[..], 0) {
                Ok(length) => {
                    if !events(buffer.get(..length).unwrap_or_default(), &mut trace.events) {
                        trace.lost = true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ENOBUFS: the kernel threw events away. It says so once; what is left is read on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => trace.lost = true,
                Err(_) => {
                    trace.lost = true;
                    return;
                }
            }
        }
        // Something floods the lab with packets, or a packet the ruleset with jumps.
        trace.lost = true;
    }
}

impl AsFd for TraceSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TraceSocket {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// Decodes a datagram; false if anything in it could not be read.
fn events(mut bytes: &[u8], events: &mut Vec<TraceEvent>) -> bool {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<NetfilterMessage>::deserialize(bytes) else {
            return false;
        };
        bytes = netlink::after(bytes, message.header.length);
        let NetlinkPayload::InnerMessage(message) = message.payload else {
            continue;
        };
        let NetfilterMessageInner::NfTables(NfTablesMessage::Trace(attributes)) = message.inner
        else {
            continue;
        };
        match event(message.header.family, &attributes) {
            Some(event) => events.push(event),
            None => return false,
        }
    }
    true
}

/// `enum nft_trace_attributes`.
mod attribute {
    pub const TABLE: u16 = 1;
    pub const CHAIN: u16 = 2;
    pub const RULE_HANDLE: u16 = 3;
    pub const TYPE: u16 = 4;
    pub const VERDICT: u16 = 5;
    pub const ID: u16 = 6;
    pub const NETWORK_HEADER: u16 = 8;
    pub const TRANSPORT_HEADER: u16 = 9;
    pub const IIF: u16 = 10;
    pub const OIF: u16 = 12;
    pub const MARK: u16 = 14;
    pub const POLICY: u16 = 16;
}

fn event(family: NetfilterProtoFamily, attributes: &[DefaultNla]) -> Option<TraceEvent> {
    let mut event = TraceEvent {
        id: 0,
        family: family_name(family).to_owned(),
        table: String::new(),
        chain: String::new(),
        handle: None,
        kind: TraceKind::Other,
        verdict: TraceVerdict::Continue,
        iif: None,
        oif: None,
        mark: 0,
        packet: None,
    };
    let (mut network, mut transport, mut policy) = (None, Vec::new(), None);
    for nla in attributes {
        let mut value = vec![0; nla.value_len()];
        nla.emit_value(&mut value);
        match nla.kind() {
            attribute::TABLE => event.table = text(&value),
            attribute::CHAIN => event.chain = text(&value),
            attribute::RULE_HANDLE => {
                event.handle = Some(u64::from_be_bytes(value.try_into().ok()?));
            }
            attribute::TYPE => {
                event.kind = match be32(&value)? {
                    1 => TraceKind::Policy,
                    2 => TraceKind::Return,
                    3 => TraceKind::Rule,
                    _ => TraceKind::Other,
                }
            }
            attribute::VERDICT => event.verdict = verdict(&value)?,
            attribute::ID => event.id = be32(&value)?,
            attribute::NETWORK_HEADER => network = Some(value),
            attribute::TRANSPORT_HEADER => transport = value,
            attribute::IIF => event.iif = Some(be32(&value)?),
            attribute::OIF => event.oif = Some(be32(&value)?),
            attribute::MARK => event.mark = be32(&value)?,
            attribute::POLICY => policy = Some(standard_verdict(be32(&value)? as i32)),
            _ => {}
        }
    }
    // A policy event says "continue" and names the policy beside it.
    if let (TraceKind::Policy, Some(policy)) = (event.kind, policy) {
        event.verdict = policy;
    }
    let mut bytes: Vec<u8> = network.unwrap_or_default();
    bytes.append(&mut transport);
    event.packet = (!bytes.is_empty()).then_some(Bytes(bytes));
    Some(event)
}

/// `NFTA_TRACE_VERDICT` nests `NFTA_VERDICT_CODE` (1) and `NFTA_VERDICT_CHAIN` (2).
fn verdict(bytes: &[u8]) -> Option<TraceVerdict> {
    let (mut code, mut chain) = (None, String::new());
    for nla in netlink_packet_core::NlasIterator::new(bytes) {
        let nla = nla.ok()?;
        match nla.kind() {
            1 => code = be32(nla.value()),
            2 => chain = text(nla.value()),
            _ => {}
        }
    }
    Some(match code? as i32 {
        -1 => TraceVerdict::Continue,
        -2 => TraceVerdict::Break,
        -3 => TraceVerdict::Jump(chain),
        -4 => TraceVerdict::Goto(chain),
        -5 => TraceVerdict::Return,
        other => standard_verdict(other),
    })
}

/// The verdicts of all of netfilter (linux/netfilter.h).
fn standard_verdict(code: i32) -> TraceVerdict {
    match code {
        0 => TraceVerdict::Drop,
        1 => TraceVerdict::Accept,
        2 => TraceVerdict::Stolen,
        // NF_QUEUE carries the queue's number in the upper half.
        code if code & 0xff == 3 && code >= 0 => TraceVerdict::Queue,
        other => TraceVerdict::Other(other),
    }
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn family_name(family: NetfilterProtoFamily) -> &'static str {
    match family {
        NetfilterProtoFamily::Inet => "inet",
        NetfilterProtoFamily::IPv4 => "ip",
        NetfilterProtoFamily::IPv6 => "ip6",
        NetfilterProtoFamily::ARP => "arp",
        NetfilterProtoFamily::NetDev => "netdev",
        NetfilterProtoFamily::Bridge => "bridge",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut found = Vec::new();
            let _ = events(&bytes, &mut found);
            let _ = verdict(&bytes);
        }
    }
}
