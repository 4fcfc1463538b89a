//! The netfilter log (linux/netfilter/nfnetlink_log.h): what a candidate's `log group N` reports.

use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nflog::{ConfigCmd, ConfigMode, ConfigNla, PacketNla, ULogMessage},
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

use firedrill_wire::protocol::{Broken, Bytes, Logged};

use crate::{
    error::Doing,
    kernel::netlink::{self, DATAGRAM_BYTES},
};

/// How many datagrams are read for one probe: more than any socket buffer holds.
const MAX_DATAGRAMS: usize = 1 << 12;

/// Listens to some groups in the namespace in which it was opened.
pub(crate) struct LogSocket {
    socket: Socket,
}

impl LogSocket {
    /// Binds the groups. Every record is sent at once (a queue threshold of 1), so that behind a
    /// barrier all of them are there.
    pub(crate) fn open(groups: &[u16]) -> Result<Self, Broken> {
        let open = || {
            let socket = netlink::open(NETLINK_NETFILTER)?;
            for (sequence, group) in (1..).zip(groups) {
                bind(&socket, sequence, *group)?;
            }
            socket.set_non_blocking(true)?;
            io::Result::Ok(Self { socket })
        };
        open().doing(|| "listen to the netfilter log")
    }

    /// Takes all records that are there.
    pub(crate) fn drain(&self, logged: &mut Vec<Logged>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        for _ in 0..MAX_DATAGRAMS {
            match self.socket.recv(&mut &mut buffer[..], 0) {
                Ok(length) => records(buffer.get(..length).unwrap_or_default(), logged),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A record that was lost (`ENOBUFS`) is missed by whoever expects it.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

fn bind(socket: &Socket, sequence: u32, group: u16) -> io::Result<()> {
    let config = vec![
        ConfigNla::from(ConfigCmd::Bind),
        ConfigNla::from(ConfigMode::PACKET_MAX),
        ConfigNla::QThresh(1),
    ];
    let message = NetfilterMessage::new(
        NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, group),
        ULogMessage::Config(config),
    );
    let flags = netlink_packet_core::NLM_F_REQUEST | netlink_packet_core::NLM_F_ACK;
    socket.send(&netlink::request(message, flags, sequence), 0)?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        let answer = NetlinkMessage::<NetfilterMessage>::deserialize(
            buffer.get(..length).unwrap_or_default(),
        )
        .map_err(io::Error::other)?;
        if let NetlinkPayload::Error(error) = answer.payload {
            return match error.code {
                Some(_) => Err(error.to_io()),
                None => Ok(()),
            };
        }
    }
}

/// Decodes a datagram; what cannot be read is left out.
fn records(mut bytes: &[u8], logged: &mut Vec<Logged>) {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<NetfilterMessage>::deserialize(bytes) else {
            return;
        };
        bytes = netlink::after(bytes, message.header.length);
        let NetlinkPayload::InnerMessage(message) = message.payload else {
            continue;
        };
        let NetfilterMessageInner::ULog(ULogMessage::Packet(attributes)) = message.inner else {
            continue;
        };
        let mut record = Logged {
            group: message.header.res_id,
            prefix: String::new(),
            packet: Bytes::default(),
        };
        for attribute in attributes {
            match attribute {
                PacketNla::Prefix(prefix) => {
                    record.prefix = prefix.to_string_lossy().into_owned();
                }
                PacketNla::Payload(payload) => record.packet = Bytes(payload),
                _ => {}
            }
        }
        logged.push(record);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            records(&bytes, &mut Vec::new());
        }
    }
}
