//! The sockets of the prober: packet sockets on the far ends, raw sockets behind the input hook, raw
//! sockets in front of the output hook.

use std::{
    collections::BTreeSet,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn,
        SockaddrIn6, SockaddrStorage, recvmmsg, sendmmsg, sendto, socket,
    },
};

use firedrill_wire::{packet::VlanTag, protocol::Broken};

use crate::{
    error::Doing,
    kernel::{sys, users},
};

/// An Ethernet header without tags: two addresses and the EtherType.
pub(crate) const ETHERNET_HEADER: usize = 14;
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// A customer tag (IEEE 802.1Q).
pub(crate) const ETHERTYPE_TAG: u16 = 0x8100;
/// A service tag (IEEE 802.1ad).
pub(crate) const ETHERTYPE_SERVICE_TAG: u16 = 0x88a8;
/// "Local Experimental Ethertype 1" (IEEE 802): passes no inet hook, so no candidate sees a barrier.
pub(crate) const ETHERTYPE_BARRIER: u16 = 0x88b5;
const ETH_P_ALL: u16 = libc::ETH_P_ALL as u16;

/// The longest packet that is read; the lab's links have an MTU of 1500.
const FRAME_BYTES: usize = 2048;
/// How much of a packet is kept: all of what the lab's links carry.
const KEPT_BYTES: usize = 1500;
/// How many packets one system call takes.
const BATCH: usize = 32;
/// Asked of the kernel, which caps it at `net.core.rmem_max`: room for more than a window of probes.
const RECEIVE_BUFFER: i32 = 1 << 20;

/// Buffers for receiving, made once.
pub(crate) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Vec<[u8; FRAME_BYTES]>,
}

/// What a socket received: the bytes, and what the kernel took off them.
struct Received<'a> {
    bytes: &'a [u8],
    /// Of raw IPv6 sockets: the header.
    header: Option<[u8; IPV6_HEADER]>,
    /// Of packet sockets: the outermost VLAN tag.
    tag: Option<VlanTag>,
}

/// What the kernel takes off and says beside the bytes.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Nothing,
    /// The header of packets of this protocol.
    Ipv6Header(u8),
    /// The outermost VLAN tag.
    VlanTag,
}

const IPV6_HEADER: usize = 40;

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: vec![[0; FRAME_BYTES]; BATCH],
        }
    }

    /// Takes what is there, at most one batch; returns how many there were.
    fn receive(
        &mut self,
        socket: &OwnedFd,
        beside: Beside,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        // The kernel writes the used lengths of address and control data back into the headers, and
        // nothing resets them: headers that need both serve once.
        let mut fresh;
        let space = match beside {
            Beside::Nothing => None,
            Beside::Ipv6Header(_) => Some(cmsg_space!(libc::in6_pktinfo, i32, u32)),
            Beside::VlanTag => Some(cmsg_space!(libc::tpacket_auxdata)),
        };
        let headers = match space {
            None => &mut self.headers,
            space => {
                fresh = MultiHeaders::preallocate(BATCH, space);
                &mut fresh
            }
        };
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = match recvmmsg(socket.as_raw_fd(), headers, &mut slices, flags, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(errno) => return Err(errno.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            let (header, tag) = match beside {
                Beside::Nothing => (None, None),
                Beside::Ipv6Header(protocol) => (ipv6_header(&message, protocol), None),
                Beside::VlanTag => (None, vlan_tag(&message)),
            };
            let Some(bytes) = message.iovs().next() else {
                continue;
            };
            each(Received { bytes, header, tag });
        }
        Ok(count)
    }
}

/// The IPv6 header that a raw socket does not show, from what the kernel says beside the packet
/// (RFC 3542 section 4).
fn ipv6_header(
    message: &nix::sys::socket::RecvMsg<'_, '_, SockaddrStorage>,
    protocol: u8,
) -> Option<[u8; IPV6_HEADER]> {
    let source = message.address?.as_sockaddr_in6()?.ip();
    let (mut destination, mut hop_limit, mut flow) = (None, 0, [0; 4]);
    for control in message.cmsgs().ok()? {
        match control {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = limit as u8,
            ControlMessageOwned::Unknown(unknown)
                if unknown.cmsg_header.cmsg_type == libc::IPV6_FLOWINFO =>
            {
                flow.copy_from_slice(unknown.data_bytes.get(..4)?);
            }
            _ => {}
        }
    }
    let mut header = [0; IPV6_HEADER];
    header[..4].copy_from_slice(&flow);
    header[0] = 0x60 | (header[0] & 0x0f);
    let length = message.bytes as u16;
    header[4..6].copy_from_slice(&length.to_be_bytes());
    header[6] = protocol;
    header[7] = hop_limit;
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination?.octets());
    Some(header)
}

/// The VLAN tag that the kernel keeps beside a frame (`PACKET_AUXDATA`, packet(7)).
fn vlan_tag(message: &nix::sys::socket::RecvMsg<'_, '_, SockaddrStorage>) -> Option<VlanTag> {
    /// `TP_STATUS_VLAN_VALID` (linux/if_packet.h).
    const VALID: u32 = 1 << 4;
    message.cmsgs().ok()?.find_map(|control| {
        let ControlMessageOwned::Unknown(unknown) = control else {
            return None;
        };
        // `struct tpacket_auxdata`: status, two lengths, two offsets, the tag, its EtherType.
        let data = &unknown.data_bytes;
        let status = u32::from_ne_bytes(*data.first_chunk()?);
        let half = |at: usize| Some(u16::from_ne_bytes(*data.get(at..)?.first_chunk()?));
        let is_tag = unknown.cmsg_header.cmsg_level == libc::SOL_PACKET
            && unknown.cmsg_header.cmsg_type == libc::PACKET_AUXDATA
            && status & VALID != 0;
        is_tag.then(|| Some(tag(half(18)?, half(16)?))).flatten()
    })
}

/// A VLAN tag from its EtherType and its control information.
pub(crate) fn tag(ethertype: u16, control: u16) -> VlanTag {
    VlanTag {
        id: control & 0x0fff,
        priority: (control >> 13) as u8,
        dei: control & 0x1000 != 0,
        service: ethertype == ETHERTYPE_SERVICE_TAG,
    }
}

/// A packet socket on one interface.
pub(crate) struct PacketSocket {
    fd: OwnedFd,
    beside: Beside,
}

impl PacketSocket {
    /// Sends on an interface of the current namespace and sees everything that arrives there, with its VLAN
    /// tags if it may have some.
    pub(crate) fn wire(interface: u32, tagged: bool) -> Result<Self, Broken> {
        let open = || {
            let mut socket = Self::open(ETH_P_ALL, interface)?;
            if tagged {
                sys::set_option(&socket.fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
                socket.beside = Beside::VlanTag;
            }
            io::Result::Ok(socket)
        };
        open().doing(|| "open a packet socket on a far end")
    }

    /// Sends on an interface of the current namespace and sees barriers only.
    pub(crate) fn barrier(interface: u32) -> Result<Self, Broken> {
        Self::open(ETHERTYPE_BARRIER, interface).doing(|| "open a packet socket for barriers")
    }

    fn open(ethertype: u16, interface: u32) -> io::Result<Self> {
        // Protocol 0 hears nothing until the socket is bound, so nothing of another interface leaks in.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        sys::set_option(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
        sys::bind_packet(&fd, ethertype, interface)?;
        Ok(Self {
            fd,
            beside: Beside::Nothing,
        })
    }

    /// Holds as little from now on as the kernel allows (`SOCK_MIN_RCVBUF`, a few frames).
    pub(crate) fn shrink(&self) -> io::Result<()> {
        sys::set_option(&self.fd, libc::SOL_SOCKET, libc::SO_RCVBUF, 0)
    }

    /// How many frames it could not take since it was opened.
    pub(crate) fn lost(&self) -> io::Result<u32> {
        sys::packets_lost(&self.fd)
    }

    /// Sends whole frames, in order.
    pub(crate) fn send(&self, frames: &[Vec<u8>]) -> io::Result<()> {
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        for batch in frames.chunks(BATCH) {
            let slices: Vec<[IoSlice<'_>; 1]> =
                batch.iter().map(|frame| [IoSlice::new(frame)]).collect();
            let addresses = vec![None; batch.len()];
            let mut sent = 0;
            while sent < batch.len() {
                let result = sendmmsg(
                    self.fd.as_raw_fd(),
                    &mut headers,
                    &slices[sent..],
                    &addresses[sent..],
                    [],
                    MsgFlags::empty(),
                );
                match result {
                    Ok(results) => sent += results.count(),
                    Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }

    /// Takes at most one batch of frames: IP packets and ARP messages without their Ethernet header go to `packet` with their
    /// tags, barriers to `barrier`. Returns how many frames there were.
    pub(crate) fn receive(
        &self,
        inbox: &mut Inbox,
        mut packet: impl FnMut(&[VlanTag], Vec<u8>),
        mut barrier: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        inbox.receive(&self.fd, self.beside, |received| {
            let Some((header, mut payload)) = received.bytes.split_at_checked(ETHERNET_HEADER)
            else {
                return;
            };
            let mut ethertype = u16::from_be_bytes([header[12], header[13]]);
            let mut tags = Vec::from_iter(received.tag);
            while let (ETHERTYPE_TAG | ETHERTYPE_SERVICE_TAG, [a, b, c, d, behind @ ..]) =
                (ethertype, payload)
            {
                tags.push(tag(ethertype, u16::from_be_bytes([*a, *b])));
                ethertype = u16::from_be_bytes([*c, *d]);
                payload = behind;
            }
            match ethertype {
                ETHERTYPE_BARRIER => barrier(payload),
                ETHERTYPE_IPV4 | ETHERTYPE_IPV6 | ETHERTYPE_ARP => {
                    packet(&tags, payload[..payload.len().min(KEPT_BYTES)].to_vec());
                }
                _ => {}
            }
        })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A raw socket behind the input hook: it sees every packet of one protocol that the firewall's
/// namespace delivers to itself, whether anybody listens or not.
pub(crate) struct InputSocket {
    fd: OwnedFd,
    beside: Beside,
}

impl InputSocket {
    /// Whether the kernel has raw sockets that receive this protocol: not for 0, which means "any", and not
    /// for 255, which means "send only" (raw(7)).
    pub(crate) fn exists(protocol: u8) -> bool {
        (1..=254).contains(&protocol)
    }

    /// Opens a socket for one IP protocol number in the current namespace.
    pub(crate) fn open(v6: bool, protocol: u8) -> Result<Self, Broken> {
        let open = || {
            let fd = sys::raw_socket(v6, protocol)?;
            sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
            if v6 {
                for option in [
                    libc::IPV6_RECVPKTINFO,
                    libc::IPV6_RECVHOPLIMIT,
                    libc::IPV6_FLOWINFO,
                ] {
                    sys::set_option(&fd, libc::IPPROTO_IPV6, option, 1)?;
                }
            }
            io::Result::Ok(Self {
                fd,
                beside: if v6 {
                    Beside::Ipv6Header(protocol)
                } else {
                    Beside::Nothing
                },
            })
        };
        open().doing(|| format!("listen behind the input hook for IP protocol {protocol}"))
    }

    /// How many packets it could not take since it was opened.
    pub(crate) fn lost(&self) -> io::Result<u32> {
        sys::packets_lost(&self.fd)
    }

    /// Takes at most one batch of packets; returns how many there were.
    pub(crate) fn receive(
        &self,
        inbox: &mut Inbox,
        mut packet: impl FnMut(Vec<u8>),
    ) -> io::Result<usize> {
        inbox.receive(&self.fd, self.beside, |received| {
            let mut bytes = received
                .header
                .map_or_else(Vec::new, |header| header.to_vec());
            let kept = received.bytes.len().min(KEPT_BYTES);
            bytes.extend_from_slice(&received.bytes[..kept]);
            packet(bytes);
        })
    }
}

/// Makes the firewall a member of multicast groups, as a program of its would be; without one the kernel
/// delivers nothing that is sent to a group.
pub(crate) struct Memberships {
    _sockets: Vec<OwnedFd>,
}

impl Memberships {
    /// Joins groups, each on an interface of the current namespace.
    pub(crate) fn join(groups: &BTreeSet<(IpAddr, u32)>) -> Result<Self, Broken> {
        let join = |(group, interface): &(IpAddr, u32)| {
            // One socket each: a socket may be in a few groups only (`igmp_max_memberships`).
            let socket = sys::raw_socket(group.is_ipv6(), libc::IPPROTO_RAW as u8)?;
            match sys::join_group(&socket, *group, *interface) {
                // Every interface is in the group of all.
                Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {}
                other => other?,
            }
            io::Result::Ok(socket)
        };
        let sockets: io::Result<Vec<OwnedFd>> = groups.iter().map(join).collect();
        Ok(Self {
            _sockets: sockets.doing(|| "join the multicast groups of the tests")?,
        })
    }
}

/// Sends whole IP packets through the output hook of the namespace in which it was opened.
pub(crate) struct OutputSocket {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
}

impl OutputSocket {
    /// Opens it as this user, whose packets they are then (`meta skuid`), with this mark (`SO_MARK`).
    pub(crate) fn open(user: Option<&str>, mark: u32) -> io::Result<Self> {
        // IPPROTO_RAW: the caller brings the IP header, in both families (raw(7)).
        let raw = libc::IPPROTO_RAW as u8;
        let open = |v6| {
            let socket = sys::raw_socket(v6, raw)?;
            if mark != 0 {
                // The same bits, whatever the sign.
                sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_MARK, mark as i32)?;
            }
            io::Result::Ok(socket)
        };
        let open = || {
            Ok(Self {
                v4: open(false)?,
                // A kernel without IPv6 has nothing to send.
                v6: open(true).ok(),
            })
        };
        match user {
            Some(user) => users::as_user(user, open),
            None => open(),
        }
    }

    pub(crate) fn send(&self, packet: &[u8], destination: IpAddr) -> io::Result<()> {
        let flags = MsgFlags::empty();
        match destination {
            IpAddr::V4(v4) => {
                let address = SockaddrIn::from(SocketAddrV4::new(v4, 0));
                sendto(self.v4.as_raw_fd(), packet, &address, flags)?;
            }
            IpAddr::V6(v6) => {
                let Some(socket) = &self.v6 else {
                    return Err(io::Error::from(Errno::EAFNOSUPPORT));
                };
                let address = SockaddrIn6::from(SocketAddrV6::new(v6, 0, 0, 0));
                sendto(socket.as_raw_fd(), packet, &address, flags)?;
            }
        }
        Ok(())
    }
}
