//! nftables over netlink: the generation of the ruleset, and the harness's own trace table
//! (linux/netfilter/nf_tables.h). No `nft` process is needed for any of it.

use std::io;

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
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

use firedrill_wire::protocol::Broken;

use crate::{
    error::Doing,
    kernel::{
        netlink::{self, DATAGRAM_BYTES},
        socket::ETHERTYPE_BARRIER,
    },
};

/// The name of the harness's own tables; nothing in them decides anything.
pub const TRACE_TABLE: &str = "firedrill_trace";

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), which a batch must name.
pub(crate) const SUBSYSTEM_NFTABLES: u16 = 10;
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
