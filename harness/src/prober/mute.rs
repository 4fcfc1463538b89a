//! Keeps the firewall's own TCP out of conversations that the prober holds in its place: a listening
//! socket whose filter throws everything away, so that the kernel neither answers nor resets.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen, socket,
};

use crate::kernel::sys;

/// A TCP port of the current network namespace that says nothing, as long as this lives.
#[derive(Debug)]
pub(crate) struct Mute(#[expect(dead_code, reason = "held open")] Vec<OwnedFd>);

impl Mute {
    /// Silences a port, in both families; one that somebody else has is left to them.
    pub(crate) fn port(port: u16) -> io::Result<Self> {
        let v4 = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
        let v6 = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0));
        let mut sockets = Vec::new();
        sockets.extend(occupied(silent(AddressFamily::Inet, |fd| {
            bind(fd.as_raw_fd(), &v4)
        }))?);
        // A kernel without IPv6 has nothing to silence.
        if let Ok(socket) = silent(AddressFamily::Inet6, |fd| bind(fd.as_raw_fd(), &v6)) {
            sockets.push(socket);
        }
        Ok(Self(sockets))
    }
}

fn silent(
    family: AddressFamily,
    bind: impl FnOnce(&OwnedFd) -> nix::Result<()>,
) -> io::Result<OwnedFd> {
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if family == AddressFamily::Inet6 {
        sys::set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    sys::drop_everything(&fd)?;
    bind(&fd)?;
    listen(&fd, Backlog::new(1)?)?;
    Ok(fd)
}

fn occupied(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}
