//! The few system calls that no library wraps safely. Every `unsafe` of the crate is here.
#![allow(
    unsafe_code,
    reason = "sockaddr_ll, fork, pidfd, seccomp and the like have no safe wrapper; each block states \
              why it is sound"
)]

use std::{
    io,
    mem::size_of,
    net::IpAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::unistd::{ForkResult, Pid};

/// Binds a packet socket to one interface and EtherType (packet(7)).
pub(crate) fn bind_packet(socket: &OwnedFd, ethertype: u16, interface: u32) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain old data; all zeroes is a value of it.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `address`, which lives across the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets an integer socket option.
pub(crate) fn set_option(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which lives across the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many packets a socket could not take, for want of room in its buffer, since it was opened
/// (`SO_MEMINFO`, linux/sock_diag.h).
pub(crate) fn packets_lost(socket: &OwnedFd) -> io::Result<u32> {
    /// `SO_MEMINFO` (asm-generic/socket.h).
    const SO_MEMINFO: libc::c_int = 55;
    let mut memory = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut length = size_of_val(&memory) as libc::socklen_t;
    // SAFETY: the pointer and the length describe `memory`, which lives across the call; the kernel writes
    // at most that many bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            (&raw mut memory).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(memory[libc::SK_MEMINFO_DROPS as usize])
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets a socket throw away every packet that it receives (socket(7), `SO_ATTACH_FILTER`).
pub(crate) fn drop_everything(socket: &OwnedFd) -> io::Result<()> {
    // `ret #0`: keep no byte of it.
    let filter = [libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let program = libc::sock_fprog {
        len: 1,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which lives across the call, and writes nothing to it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Opens a raw socket (raw(7)) for one IP protocol number.
pub(crate) fn raw_socket(v6: bool, protocol: u8) -> io::Result<OwnedFd> {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes integers and touches no memory.
    let fd = unsafe { libc::socket(family, kind, libc::c_int::from(protocol)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Joins a multicast group on an interface (ip(7), ipv6(7)), for as long as the socket is open.
pub(crate) fn join_group(socket: &OwnedFd, group: IpAddr, interface: u32) -> io::Result<()> {
    let result = match group {
        IpAddr::V4(group) => {
            let request = libc::ip_mreqn {
                imr_multiaddr: libc::in_addr {
                    s_addr: u32::from(group).to_be(),
                },
                imr_address: libc::in_addr { s_addr: 0 },
                imr_ifindex: i32::try_from(interface).map_err(io::Error::other)?,
            };
            // SAFETY: the pointer and the length describe `request`, which lives across the call.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::IPPROTO_IP,
                    libc::IP_ADD_MEMBERSHIP,
                    (&raw const request).cast(),
                    size_of::<libc::ip_mreqn>() as libc::socklen_t,
                )
            }
        }
        IpAddr::V6(group) => {
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr {
                    s6_addr: group.octets(),
                },
                ipv6mr_interface: interface,
            };
            // SAFETY: the pointer and the length describe `request`, which lives across the call.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::IPPROTO_IPV6,
                    libc::IPV6_ADD_MEMBERSHIP,
                    (&raw const request).cast(),
                    size_of::<libc::ipv6_mreq>() as libc::socklen_t,
                )
            }
        }
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A descriptor that becomes readable when the process ends (pidfd_open(2)).
pub(crate) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// Takes over a descriptor that the parent process left open for us; only once per descriptor.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl only reads the descriptor table.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open (checked above), and nobody else in this process knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor from `first` on; for processes that own none of them yet.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: the call touches no memory. Nothing in this process owns these descriptors: they were
    // inherited from whoever started it.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Closes a descriptor, whoever owns it: for a process that ends without using anything again.
pub(crate) fn close_last(fd: RawFd) {
    // SAFETY: the call touches no memory. Nothing is read or written by this process any more, and no
    // descriptor is opened that could be confused with this one.
    unsafe { libc::syscall(libc::SYS_close_range, fd, fd, 0) };
}

/// Leaves these capabilities, and no other, to the programs that this thread starts; it keeps its own
/// (capabilities(7), "capability bounding set").
pub(crate) fn keep_capabilities(kept: &[u32]) -> io::Result<()> {
    for capability in 0.. {
        if kept.contains(&capability) {
            continue;
        }
        // SAFETY: the call takes integers and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                // Behind the last one that this kernel knows.
                Some(libc::EINVAL) => Ok(()),
                _ => Err(error),
            };
        }
    }
    Ok(())
}

/// Filters the system calls of this thread and of everything it starts (seccomp(2)). Without the flag
/// older kernels slow all of them down against a side channel that is none here.
pub(crate) fn filter_system_calls(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which lives across the call, and writes nothing to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (linux/seccomp.h): a signal that does not kill cannot make a
/// call start again that somebody is already working on.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// Makes a system call of this thread, and of everything that it starts, wait for whoever holds the
/// descriptor (seccomp_unotify(2)).
pub(crate) fn watch_system_call(call: libc::c_long) -> io::Result<OwnedFd> {
    let instruction = |code: u32, k: u32, jf: u8| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    // The architecture has been looked at by the filter of `confine`.
    let filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let set = |flags: libc::c_ulong| {
        // SAFETY: the kernel copies the program, which lives across the call, and writes nothing to it.
        unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        }
    };
    let mut result = set(flags | WAIT_KILLABLE_RECV);
    // Linux before 5.19.
    if result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        result = set(flags);
    }
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// A system call that waits for an answer.
pub(crate) struct Notification {
    id: u64,
    /// The process that called.
    pub(crate) process: u32,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// Takes a system call that waits.
pub(crate) fn notification(listener: &OwnedFd) -> io::Result<Notification> {
    // SAFETY: seccomp_notif is plain old data; all zeroes is what the kernel asks for.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to `call`, which lives across the call and has the size that it knows.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut call,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Notification {
        id: call.id,
        process: call.pid,
        arguments: call.data.args,
    })
}

/// Answers a system call with its result; without one it goes on as if nobody had looked.
pub(crate) fn answer(
    listener: &OwnedFd,
    call: &Notification,
    result: Option<i64>,
) -> io::Result<()> {
    let response = libc::seccomp_notif_resp {
        id: call.id,
        val: result.unwrap_or(0),
        error: 0,
        flags: match result {
            Some(_) => 0,
            None => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        },
    };
    // SAFETY: the kernel reads `response`, which lives across the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A copy of a descriptor of another process (pidfd_getfd(2)).
pub(crate) fn descriptor_of(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// Reads an integer socket option.
pub(crate) fn option(socket: &OwnedFd, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointers describe `value` and its length, which live across the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads a socket option whose request and answer share a buffer of exactly this length.
pub(crate) fn read_option(
    socket: &OwnedFd,
    level: i32,
    name: i32,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: the pointers describe `buffer` and its length, which live across the call; the kernel writes at most that
    // many bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends to the kernel through a netlink socket.
pub(crate) fn send_to_kernel(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_nl is plain old data; port 0 is the kernel's.
    let mut kernel: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    kernel.nl_family = libc::AF_NETLINK as u16;
    // SAFETY: the pointers and lengths describe `bytes` and `kernel`, which live across the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const kernel).cast(),
            size_of::<libc::sockaddr_nl>() as libc::socklen_t,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether something lies in a socket's inbox; it stays there.
pub(crate) fn has_answer(socket: &OwnedFd) -> io::Result<bool> {
    let mut byte = 0_u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the pointer and the length describe `byte`, which lives across the call.
    let read = unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
    let error = io::Error::last_os_error();
    match read {
        0.. => Ok(true),
        _ if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        _ => Err(error),
    }
}

/// Forks; `Some(child)` in the parent, `None` in the child. For single-threaded processes only.
pub(crate) fn fork() -> nix::Result<Option<Pid>> {
    // SAFETY: the agent forks before it starts its first thread, so no lock can be held by a thread
    // that does not exist in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}
