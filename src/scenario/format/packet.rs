//! The objects of `packet:`, layer by layer.

use crate::scenario::format::{Object, PORT, Shape, either, optional, required, words};

const BYTE: Shape = Shape::Number(0, 255);
const U16: Shape = Shape::Number(0, 65_535);
const U32: Shape = Shape::Number(0, u32::MAX);
/// A text, `hex:` and digits, or `{ size: N }`.
pub(in crate::scenario) const PAYLOAD: Shape = Shape::AnyOf(&[Shape::Text, Shape::Object(&SIZE)]);
const CHECKSUM: Shape = Shape::AnyOf(&[U16, Shape::Word(bad)]);
const CHECKSUM_DOC: &str = "The checksum, if not the true one: a number, or `bad`.";
const PAYLOAD_DOC: &str =
    "What follows the header: a text, `hex:` and digits, or `{ size: BYTES }`.";
const MAC: Shape = Shape::Pattern("^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$|^broadcast$");
const IP_ADDRESS: Shape = Shape::Pattern("^[0-9A-Fa-f:.]+$");

fn bad() -> Vec<&'static str> {
    vec!["bad"]
}

fn flags_or_none() -> Vec<&'static str> {
    let mut words = words::tcp_flags();
    words.push("none");
    words
}

/// `packet:`, and what an ICMP error quotes.
pub(in crate::scenario) static PACKET: Object = Object {
    name: "packet",
    what: "the packet",
    doc: "One packet, with exactly one thing that it carries.",
    keys: &[
        either("tcp", Shape::Object(&TCP), "A TCP segment."),
        either("udp", Shape::Object(&UDP), "A UDP datagram."),
        either("udplite", Shape::Object(&UDP_LITE), "A UDP-Lite datagram."),
        either("sctp", Shape::Object(&SCTP), "An SCTP packet."),
        either(
            "icmp",
            Shape::Object(&ICMP),
            "An ICMP message, ICMPv6 between IPv6 addresses.",
        ),
        either(
            "icmpv4",
            Shape::Object(&ICMP),
            "An ICMP message, IPv4 only.",
        ),
        either(
            "icmpv6",
            Shape::Object(&ICMP),
            "An ICMPv6 message, IPv6 only.",
        ),
        either("igmp", Shape::Object(&IGMP), "An IGMP message, IPv4 only."),
        either("gre", Shape::Object(&GRE), "A GRE packet."),
        either("esp", Shape::Object(&ESP), "An ESP packet."),
        either("ah", Shape::Object(&AH), "An authentication header."),
        either("ospf", Shape::Object(&OSPF), "An OSPF packet."),
        either("vrrp", Shape::Object(&VRRP), "A VRRP advertisement."),
        either(
            "arp",
            Shape::Object(&ARP),
            "An ARP message, which is no IP packet: to the firewall, from a host on its link.",
        ),
        either(
            "protocol",
            Shape::Number(1, 254),
            "Any other protocol, by its number; its bytes are the `payload`.",
        ),
        either(
            "hex",
            Shape::Text,
            "The whole packet from its IP header on, as hexadecimal digits.",
        ),
        either(
            "pcap",
            Shape::Object(&PCAP),
            "A packet of a capture file, with its own addresses.",
        ),
        optional("payload", PAYLOAD, "What a `protocol` carries."),
        optional("ether", Shape::Object(&ETHER), "The Ethernet frame."),
        optional("ip", Shape::Object(&IP), "The IP header of both families."),
        optional("ipv4", Shape::Object(&IPV4), "The IP header, IPv4 only."),
        optional("ipv6", Shape::Object(&IPV6), "The IP header, IPv6 only."),
        optional(
            "ttl",
            Shape::Number(1, 255),
            "Time to live (IPv4) or hop limit (IPv6).",
        ),
        optional(
            "fragments",
            Shape::Object(&FRAGMENTS),
            "Sends the packet in fragments.",
        ),
        optional(
            "truncate",
            Shape::Number(1, 1500),
            "Sends only this many bytes of the packet, counted from its IP header.",
        ),
    ],
    planned: &["mark"],
    spread: false,
};

/// `pcap:`.
pub(in crate::scenario) static PCAP: Object = Object {
    name: "pcap",
    what: "the capture",
    doc: "A packet of a capture file.",
    keys: &[
        required(
            "file",
            Shape::Text,
            "The capture, a pcap or pcapng file, relative to this file.",
        ),
        optional(
            "packet",
            Shape::Number(1, u32::MAX),
            "Which packet of it, counted from 1; the first when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `payload: { size: N }`.
pub(in crate::scenario) static SIZE: Object = Object {
    name: "payload",
    what: "the payload",
    doc: "A payload of which only the length matters.",
    keys: &[required(
        "size",
        Shape::Number(0, 1400),
        "How many bytes it has.",
    )],
    planned: &[],
    spread: false,
};

/// `ether:`.
pub(in crate::scenario) static ETHER: Object = Object {
    name: "ether",
    what: "the Ethernet header",
    doc: "The Ethernet frame around a packet from a host.",
    keys: &[
        optional("source", MAC, "The source address."),
        optional(
            "destination",
            MAC,
            "The destination address, or `broadcast`; the firewall's, or that of the packet's group, when not given.",
        ),
        optional(
            "vlan",
            Shape::OneOrMore(&Shape::AnyOf(&[
                Shape::Number(0, 4095),
                Shape::Object(&VLAN_TAG),
            ])),
            "Tags beyond those of the sender's interface, the outermost first.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// A tag of `vlan:`.
pub(in crate::scenario) static VLAN_TAG: Object = Object {
    name: "vlan-tag",
    what: "the VLAN tag",
    doc: "A tag of IEEE 802.1Q.",
    keys: &[
        required("id", Shape::Number(0, 4095), "The number of the VLAN."),
        optional("priority", Shape::Number(0, 7), "The priority code point."),
        optional("dei", Shape::Bool, "The drop eligible indicator."),
        optional(
            "service",
            Shape::Bool,
            "A service tag (802.1ad) instead of a customer tag.",
        ),
    ],
    planned: &[],
    spread: false,
};

macro_rules! ip_keys {
    ($ttl:literal, $($more:expr),* $(,)?) => {
        &[
            optional("source", IP_ADDRESS, "The source address, if not the sender's: it spoofs."),
            optional(
                "destination",
                IP_ADDRESS,
                "The destination address, if not the receiver's: broadcast, multicast, any other.",
            ),
            optional($ttl, Shape::Number(0, 255), "The hops that are left."),
            optional("dscp", Shape::AnyOf(&[Shape::Number(0, 63), Shape::Word(words::dscp_names)]), "The differentiated services code point, by number or name."),
            optional("ecn", Shape::AnyOf(&[Shape::Number(0, 3), Shape::Word(words::ecn_names)]), "The congestion notification, by number or name."),
            optional(
                "fragment",
                Shape::Object(&FRAGMENT),
                "Claims to be a fragment of another packet.",
            ),
            $($more,)*
        ]
    };
}

/// `ip:`.
pub(in crate::scenario) static IP: Object = Object {
    name: "ip",
    what: "the IP header",
    doc: "What the IP headers of both families have.",
    keys: ip_keys!("ttl",),
    planned: &[],
    spread: false,
};

/// `ipv4:`.
pub(in crate::scenario) static IPV4: Object = Object {
    name: "ipv4",
    what: "the IPv4 header",
    doc: "An IPv4 header; the test is made with IPv4 only.",
    keys: ip_keys!(
        "ttl",
        optional("id", U16, "The identification."),
        optional(
            "dont-fragment",
            Shape::Bool,
            "The flag; true when not given, but not in fragments."
        ),
        optional("reserved", Shape::Bool, "The reserved flag."),
        optional(
            "options",
            Shape::List(&Shape::AnyOf(&[
                Shape::Word(words::ip_options),
                Shape::Object(&IP_OPTION)
            ])),
            "The options, in order.",
        ),
        optional(
            "protocol",
            BYTE,
            "The protocol, if it lies about what follows."
        ),
        optional("total-length", U16, "The length, if not the true one."),
        optional(
            "header-length",
            Shape::Number(0, 15),
            "The length of the header in words of four bytes, if not the true one.",
        ),
        optional(
            "version",
            Shape::Number(0, 15),
            "The version, if not the true one."
        ),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
    ),
    planned: &[],
    spread: false,
};

/// `ipv6:`.
pub(in crate::scenario) static IPV6: Object = Object {
    name: "ipv6",
    what: "the IPv6 header",
    doc: "An IPv6 header; the test is made with IPv6 only.",
    keys: ip_keys!(
        "hop-limit",
        optional("flow-label", Shape::Number(0, 0xf_ffff), "The flow label."),
        optional(
            "extensions",
            Shape::List(&Shape::AnyOf(&[
                Shape::Word(words::extension_names),
                Shape::Object(&EXTENSION)
            ])),
            "The extension headers, in order.",
        ),
        optional(
            "next-header",
            BYTE,
            "The last next header, if it lies about what follows."
        ),
        optional("payload-length", U16, "The length, if not the true one."),
        optional(
            "version",
            Shape::Number(0, 15),
            "The version, if not the true one."
        ),
    ),
    planned: &[],
    spread: false,
};

/// `fragment:`.
pub(in crate::scenario) static FRAGMENT: Object = Object {
    name: "fragment",
    what: "the fragment",
    doc: "A packet that is one fragment of another, which is not sent.",
    keys: &[
        optional(
            "offset",
            Shape::Number(0, 8191),
            "Where it belongs, in units of eight bytes; 0 when not given.",
        ),
        optional(
            "more",
            Shape::Bool,
            "Whether more follow; true when not given.",
        ),
        optional(
            "id",
            U32,
            "The identification, IPv6 only; that of IPv4 is `id` of the header.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `fragments:`.
pub(in crate::scenario) static FRAGMENTS: Object = Object {
    name: "fragments",
    what: "the fragmentation",
    doc: "How a packet is cut into fragments.",
    keys: &[
        required(
            "size",
            Shape::Number(8, 1400),
            "Bytes in each but the last, a multiple of eight.",
        ),
        optional(
            "overlap",
            Shape::Number(0, 1392),
            "How many bytes each reaches back into the one before it, a multiple of eight.",
        ),
        optional(
            "send",
            Shape::List(&Shape::Number(1, 200)),
            "Which are sent, counted from 1, in this order; all when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// An IPv4 option with something in it.
pub(in crate::scenario) static IP_OPTION: Object = Object {
    name: "ipv4-option",
    what: "the option",
    doc: "An IPv4 option.",
    keys: &[
        either(
            "loose-source-route",
            Shape::OneOrMore(&IP_ADDRESS),
            "Through these addresses, among others.",
        ),
        either(
            "strict-source-route",
            Shape::OneOrMore(&IP_ADDRESS),
            "Through these addresses and no others.",
        ),
        either("type", BYTE, "Any other, by its type."),
        optional(
            "data",
            Shape::Text,
            "What a `type` has behind its length: a text, or `hex:` and digits.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// An IPv6 extension header with something in it.
pub(in crate::scenario) static EXTENSION: Object = Object {
    name: "extension",
    what: "the extension header",
    doc: "An IPv6 extension header.",
    keys: &[
        required(
            "type",
            Shape::AnyOf(&[BYTE, Shape::Word(words::extension_names)]),
            "Its name or number.",
        ),
        optional(
            "data",
            Shape::Text,
            "What follows its length: a text, or `hex:` and digits; padding when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `tcp:`.
pub(in crate::scenario) static TCP: Object = Object {
    name: "tcp",
    what: "the TCP header",
    doc: "A TCP header.",
    keys: &[
        required("dport", PORT, "The destination port."),
        optional("sport", PORT, "The source port; a free one when not given."),
        optional(
            "flags",
            Shape::AnyOf(&[
                Shape::Word(flags_or_none),
                Shape::List(&Shape::Word(words::tcp_flags)),
            ]),
            "The control bits that are set, `[syn]` when not given; `none` for none.",
        ),
        optional("seq", U32, "The sequence number."),
        optional("ack", U32, "The acknowledgment number."),
        optional("window", U16, "The size of the window."),
        optional("urgent", U16, "The urgent pointer."),
        optional("reserved", Shape::Number(0, 15), "The reserved bits."),
        optional(
            "offset",
            Shape::Number(0, 15),
            "The data offset in words of four bytes, if not the true one.",
        ),
        optional(
            "options",
            Shape::Object(&TCP_OPTIONS),
            "The options; a maximum segment size in a SYN when not given.",
        ),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
        optional(
            "payload",
            PAYLOAD,
            "The data: a text, `hex:` and digits, or `{ size: BYTES }`; none when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `options:` of TCP.
pub(in crate::scenario) static TCP_OPTIONS: Object = Object {
    name: "tcp-options",
    what: "the list of TCP options",
    doc: "TCP options, in this order.",
    keys: &[
        optional("mss", U16, "Maximum segment size."),
        optional("window-scale", BYTE, "Window scale."),
        optional(
            "sack-permitted",
            Shape::Bool,
            "Selective acknowledgment is permitted.",
        ),
        optional(
            "sack",
            Shape::List(&Shape::List(&U32)),
            "Selective acknowledgments: a list of pairs `[LEFT, RIGHT]`.",
        ),
        optional(
            "timestamps",
            Shape::List(&U32),
            "Timestamps: `[VALUE, ECHO]`.",
        ),
        optional(
            "fast-open",
            Shape::Text,
            "A fast open cookie: a text, or `hex:` and digits; empty to ask for one.",
        ),
        optional(
            "raw",
            Shape::Text,
            "Any other options as bytes: `hex:` and digits.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `udp:`.
pub(in crate::scenario) static UDP: Object = Object {
    name: "udp",
    what: "the UDP header",
    doc: "A UDP header.",
    keys: &[
        required("dport", PORT, "The destination port."),
        optional("sport", PORT, "The source port; a free one when not given."),
        optional("length", U16, "The length, if not the true one."),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `udplite:`.
pub(in crate::scenario) static UDP_LITE: Object = Object {
    name: "udplite",
    what: "the UDP-Lite header",
    doc: "A UDP-Lite header.",
    keys: &[
        required("dport", PORT, "The destination port."),
        optional("sport", PORT, "The source port; a free one when not given."),
        optional(
            "coverage",
            U16,
            "How many bytes the checksum covers; all when 0 or not given.",
        ),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `sctp:`.
pub(in crate::scenario) static SCTP: Object = Object {
    name: "sctp",
    what: "the SCTP header",
    doc: "An SCTP header and its chunks.",
    keys: &[
        required("dport", PORT, "The destination port."),
        optional("sport", PORT, "The source port; a free one when not given."),
        optional("tag", U32, "The verification tag; 0 when not given."),
        optional(
            "chunks",
            Shape::OneOrMore(&Shape::AnyOf(&[
                Shape::Word(words::sctp_chunks),
                Shape::Object(&CHUNK),
            ])),
            "The chunks in order, by name or with what is in them; `init` when not given.",
        ),
        optional(
            "checksum",
            Shape::AnyOf(&[U32, Shape::Word(bad)]),
            "The CRC32c, if not the true one: a number, or `bad`.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// A chunk of `chunks:`.
pub(in crate::scenario) static CHUNK: Object = Object {
    name: "sctp-chunk",
    what: "the chunk",
    doc: "An SCTP chunk.",
    keys: &[
        required(
            "type",
            Shape::AnyOf(&[BYTE, Shape::Word(words::sctp_chunks)]),
            "Its type, by name or number.",
        ),
        optional("flags", BYTE, "The flags of the chunk."),
        optional(
            "value",
            Shape::Text,
            "What follows its length: a text, or `hex:` and digits.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `icmp:`, `icmpv4:`, `icmpv6:`.
pub(in crate::scenario) static ICMP: Object = Object {
    name: "icmp",
    what: "the ICMP header",
    doc: "An ICMP or ICMPv6 header.",
    keys: &[
        required(
            "type",
            Shape::AnyOf(&[Shape::Number(0, 255), Shape::Word(words::icmp_types)]),
            "The type, by the name that nft(8) gives it or by number.",
        ),
        optional(
            "code",
            Shape::AnyOf(&[Shape::Number(0, 255), Shape::Word(words::icmp_codes)]),
            "The code, 0 when not given; those of destination-unreachable also by name.",
        ),
        optional(
            "id",
            U16,
            "The identifier of an echo, or of any message that has one there.",
        ),
        optional("sequence", U16, "The sequence number of an echo."),
        optional(
            "mtu",
            U32,
            "The maximum transmission unit that an error tells.",
        ),
        optional(
            "target",
            Shape::Pattern("^[0-9A-Fa-f:]+$"),
            "The target of neighbour discovery; the receiver when not given.",
        ),
        optional(
            "quote",
            Shape::Object(&PACKET),
            "The packet that an error quotes, from its receiver to its sender.",
        ),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
        optional(
            "payload",
            PAYLOAD,
            "What follows the first eight bytes: a text, `hex:` and digits, or `{ size: BYTES }`.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `igmp:`.
pub(in crate::scenario) static IGMP: Object = Object {
    name: "igmp",
    what: "the IGMP message",
    doc: "An IGMP message.",
    keys: &[
        required(
            "type",
            Shape::AnyOf(&[BYTE, Shape::Word(words::igmp_types)]),
            "The type, by name or number.",
        ),
        optional(
            "max-response",
            BYTE,
            "The maximum response time, in tenths of a second.",
        ),
        optional("group", IP_ADDRESS, "The group; 0.0.0.0 when not given."),
        optional("checksum", CHECKSUM, CHECKSUM_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `gre:`.
pub(in crate::scenario) static GRE: Object = Object {
    name: "gre",
    what: "the GRE header",
    doc: "A GRE header.",
    keys: &[
        optional(
            "protocol",
            U16,
            "The EtherType of what it carries; that of IPv4 when not given.",
        ),
        optional("version", Shape::Number(0, 7), "The version: 1 is PPTP."),
        optional("key", U32, "The key of the tunnel."),
        optional("sequence", U32, "The sequence number."),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `esp:`.
pub(in crate::scenario) static ESP: Object = Object {
    name: "esp",
    what: "the ESP header",
    doc: "An ESP header.",
    keys: &[
        optional(
            "spi",
            U32,
            "The security parameters index; 256 when not given.",
        ),
        optional("sequence", U32, "The sequence number; 1 when not given."),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `ah:`.
pub(in crate::scenario) static AH: Object = Object {
    name: "ah",
    what: "the authentication header",
    doc: "An authentication header.",
    keys: &[
        optional(
            "spi",
            U32,
            "The security parameters index; 256 when not given.",
        ),
        optional("sequence", U32, "The sequence number; 1 when not given."),
        optional(
            "next-header",
            BYTE,
            "The protocol of what follows; 59, nothing, when not given.",
        ),
        optional("reserved", U16, "The reserved field."),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `ospf:`.
pub(in crate::scenario) static OSPF: Object = Object {
    name: "ospf",
    what: "the OSPF header",
    doc: "An OSPF header, version 2 for IPv4 and version 3 for IPv6.",
    keys: &[
        optional(
            "type",
            Shape::AnyOf(&[BYTE, Shape::Word(words::ospf_types)]),
            "The type, by name or number; `hello` when not given.",
        ),
        optional(
            "router",
            Shape::Pattern("^[0-9.]+$"),
            "The router ID; 192.0.2.1 when not given.",
        ),
        optional(
            "area",
            Shape::Pattern("^[0-9.]+$"),
            "The area ID; 0.0.0.0 when not given.",
        ),
        optional("payload", PAYLOAD, PAYLOAD_DOC),
    ],
    planned: &[],
    spread: false,
};

/// `vrrp:`.
pub(in crate::scenario) static VRRP: Object = Object {
    name: "vrrp",
    what: "the VRRP advertisement",
    doc: "A VRRP advertisement.",
    keys: &[
        optional(
            "version",
            Shape::Number(2, 3),
            "The version; 3 when not given.",
        ),
        optional(
            "router",
            Shape::Number(1, 255),
            "The virtual router; 1 when not given.",
        ),
        optional("priority", BYTE, "The priority; 100 when not given."),
        optional(
            "interval",
            Shape::Number(0, 4095),
            "The interval: seconds in version 2, hundredths in version 3.",
        ),
        optional(
            "addresses",
            Shape::OneOrMore(&IP_ADDRESS),
            "The addresses of the virtual router.",
        ),
    ],
    planned: &[],
    spread: false,
};

/// `arp:`.
pub(in crate::scenario) static ARP: Object = Object {
    name: "arp",
    what: "the ARP message",
    doc: "An ARP message for Ethernet and IPv4.",
    keys: &[
        optional(
            "operation",
            Shape::AnyOf(&[U16, Shape::Word(words::arp_operations)]),
            "The operation, by name or number; `request` when not given.",
        ),
        optional(
            "sender",
            IP_ADDRESS,
            "The sender's IPv4 address, if not that of the host.",
        ),
        optional(
            "sender-mac",
            MAC,
            "The sender's Ethernet address, if not that of the frame.",
        ),
        optional(
            "target",
            IP_ADDRESS,
            "The target's IPv4 address, if not that of the firewall.",
        ),
        optional(
            "target-mac",
            MAC,
            "The target's Ethernet address; zero when not given.",
        ),
    ],
    planned: &[],
    spread: false,
};
