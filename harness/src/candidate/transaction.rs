//! Transactions that are larger than an unprivileged program may send.
//!
//! nft and iptables-nft send a ruleset as one netlink message, and the kernel takes no message that is
//! larger than the socket's send buffer (net/netlink/af_netlink.c, `netlink_sendmsg`). On a machine they
//! raise that buffer by `SO_SNDBUFFORCE`; in a user namespace nobody may, and some 400 rules are the
//! end. So the agent watches `sendmsg` of its loaders (seccomp_unotify(2)): a batch that is too large it
//! sends itself, through the loader's own socket, as several batches of the same messages in the same order. Every
//! other call goes on as it was. The loader's programs and their messages stay what they are; what is
//! lost is that all rules come at once, which nobody sees before the first probe.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command},
    thread,
};

use libc::{SYS_sendmsg, iovec, msghdr};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::uio::{RemoteIoVec, process_vm_readv},
    unistd::Pid,
};

use crate::kernel::{
    netlink::{HEADERS, attribute, messages},
    sys::{self, Notification},
};

/// The largest batch that is taken apart, in bytes: some hundred thousand rules.
const MAX_BATCH: usize = 64 << 20;

/// What the kernel keeps of a send buffer for itself (`netlink_sendmsg`).
const KEPT: usize = 32;

/// Starts a program whose large transactions, and those of everything that it starts, are sent in several.
/// Where the kernel has no such watching the program runs as it is.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    // The filter belongs to a thread and to what it starts, so it has a thread of its own.
    let spawned = thread::spawn(move || {
        let listener = sys::watch_system_call(SYS_sendmsg);
        (command.spawn(), listener)
    });
    let Ok((child, listener)) = spawned.join() else {
        return Err(io::Error::other("its thread panicked"));
    };
    if let Ok(listener) = listener {
        // As long as one of the programs lives: a call whose listener is gone fails.
        thread::Builder::new()
            .name("transactions".to_owned())
            .spawn(move || serve(&listener))?;
    }
    child
}

/// Answers until nobody is left who could call.
fn serve(listener: &OwnedFd) {
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return,
        }
        let events = fds[0].revents().unwrap_or(PollFlags::empty());
        if events.contains(PollFlags::POLLIN) {
            // A caller that was killed meanwhile needs no answer.
            if let Ok(call) = sys::notification(listener) {
                let answer = in_parts(&call).ok().flatten();
                let _ = sys::answer(listener, &call, answer);
            }
        } else if !events.is_empty() {
            return;
        }
    }
}

/// Sends a batch that is too large for its socket in parts; the number of its bytes. `None` if it is no
/// such batch.
fn in_parts(call: &Notification) -> io::Result<Option<i64>> {
    let process = Process(Pid::from_raw(
        i32::try_from(call.process).map_err(io::Error::other)?,
    ));
    let header = process.read(call.arguments[1], size_of::<msghdr>())?;
    // `struct msghdr` of 64 bits: name, its length, vectors, their number.
    let word = |bytes: &[u8], at: usize| -> io::Result<u64> {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        word.map(u64::from_ne_bytes)
            .ok_or_else(|| io::Error::other("a short structure"))
    };
    let (vectors, count) = (word(&header, 16)?, word(&header, 24)? as usize);
    if cfg!(not(target_pointer_width = "64")) || count > 1 << 16 {
        return Ok(None);
    }
    let vectors = process.read(vectors, count * size_of::<iovec>())?;
    let vectors = vectors
        .chunks_exact(size_of::<iovec>())
        .map(|vector| Ok((word(vector, 0)?, word(vector, 8)? as usize)))
        .collect::<io::Result<Vec<_>>>()?;
    let total: usize = vectors
        .iter()
        .fold(0, |sum, (_, length)| sum.saturating_add(*length));
    // Smaller ones fit whatever the machine's settings.
    if !(4096..=MAX_BATCH).contains(&total) {
        return Ok(None);
    }
    let socket = process.descriptor(call.arguments[0])?;
    let option = |name| sys::option(&socket, libc::SOL_SOCKET, name);
    if option(libc::SO_DOMAIN)? != libc::AF_NETLINK
        || option(libc::SO_PROTOCOL)? != libc::NETLINK_NETFILTER
    {
        return Ok(None);
    }
    let room = || io::Result::Ok((option(libc::SO_SNDBUF)? as usize).saturating_sub(KEPT));
    if total <= room()? {
        return Ok(None);
    }
    // As much as everybody may have, twice the machine's net.core.wmem_max (socket(7)): each part waits
    // for the kernel to have settled.
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, i32::MAX / 2)?;
    let room = room()?;
    if total <= room {
        return Ok(None);
    }
    let mut batch = Vec::with_capacity(total);
    for (start, length) in vectors {
        batch.extend(process.read(start, length)?);
    }
    let Some(parts) = split(&batch, room) else {
        return Ok(None);
    };
    for part in parts {
        sys::send_to_kernel(&socket, &part)?;
        // The kernel works on a batch while it is sent, and says only what went wrong.
        if sys::has_answer(&socket)? {
            break;
        }
    }
    Ok(Some(total as i64))
}

/// A process whose call waits for its answer.
struct Process(Pid);

impl Process {
    fn read(&self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let remote = RemoteIoVec {
            base: start as usize,
            len: length,
        };
        let read = process_vm_readv(self.0, &mut [io::IoSliceMut::new(&mut bytes)], &[remote])?;
        if read == length {
            Ok(bytes)
        } else {
            Err(io::Error::other("a short read"))
        }
    }

    /// A copy of one of its descriptors (pidfd_getfd(2)).
    fn descriptor(&self, number: u64) -> io::Result<OwnedFd> {
        let process = sys::pidfd(self.0.as_raw().unsigned_abs())?;
        sys::descriptor_of(&process, number as i32)
    }
}

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` (linux/netfilter/nfnetlink.h).
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Messages of nftables (linux/netfilter/nf_tables.h), with `NFNL_SUBSYS_NFTABLES`.
const NEW_CHAIN: u16 = 0xa03;
const NEW_RULE: u16 = 0xa06;
const NEW_SET: u16 = 0xa09;

/// A batch as several, none larger than `room`. A border lies where nothing is under way: not between an
/// anonymous set or a chain of `jump { … }` and the rule that they belong to, which only know each other within
/// one batch. `None` if that cannot be done.
fn split(batch: &[u8], room: usize) -> Option<Vec<Vec<u8>>> {
    let messages = messages(batch)?;
    let [(BATCH_BEGIN, first), inner @ .., (BATCH_END, last)] = messages.as_slice() else {
        return None;
    };
    // The generation that the batch was made for is that of its first part only: later ones have it
    // moved on themselves.
    let mut begin = first.get(..HEADERS)?.to_vec();
    begin[..4].copy_from_slice(&(HEADERS as u32).to_ne_bytes());
    let mut parts = Vec::new();
    let mut part = first.to_vec();
    // What may still turn out to belong to the next part.
    let mut group = Vec::new();
    let mut under_way = false;
    let mut close = |part: &mut Vec<u8>| {
        part.extend_from_slice(last);
        parts.push(std::mem::replace(part, begin.clone()));
    };
    let mut is_empty = true;
    for (kind, message) in inner {
        // Another batch behind this one, or a rule that is placed by the number of another in it.
        if matches!(*kind, BATCH_BEGIN | BATCH_END) || *kind == NEW_RULE && has(message, 10)? {
            return None;
        }
        group.extend_from_slice(message);
        match *kind {
            NEW_SET => under_way |= flags(message, 3)? & 1 != 0,
            NEW_CHAIN => under_way |= flags(message, 10)? & 4 != 0,
            NEW_RULE => under_way = has(message, 11)?,
            _ => {}
        }
        if under_way {
            continue;
        }
        if part.len() + group.len() + last.len() > room && !is_empty {
            close(&mut part);
        }
        part.append(&mut group);
        is_empty = false;
        if part.len() + last.len() > room {
            return None;
        }
    }
    close(&mut part);
    group.is_empty().then_some(parts)
}

fn has(message: &[u8], wanted: u16) -> Option<bool> {
    attribute(message, wanted).map(|value| value.is_some())
}

/// A number of 32 bits, 0 if it is not there.
fn flags(message: &[u8], wanted: u16) -> Option<u32> {
    match attribute(message, wanted)? {
        Some(value) => value.as_slice().try_into().ok().map(u32::from_be_bytes),
        None => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, attributes: &[(u16, &[u8])], size: usize) -> Vec<u8> {
        let mut body = vec![0; 4];
        for (number, value) in attributes {
            body.extend((4 + value.len() as u16).to_ne_bytes());
            body.extend(number.to_ne_bytes());
            body.extend(*value);
        }
        // A text that fills the message up (`NFTA_RULE_USERDATA`).
        let fill = size.saturating_sub(16 + body.len() + 4) & !3;
        body.extend((4 + fill as u16).to_ne_bytes());
        body.extend(7_u16.to_ne_bytes());
        body.extend(vec![b'x'; fill]);
        let mut bytes = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    fn border(kind: u16) -> Vec<u8> {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 14]);
        bytes
    }

    fn batch(inner: &[Vec<u8>]) -> Vec<u8> {
        [border(BATCH_BEGIN), inner.concat(), border(BATCH_END)].concat()
    }

    fn kinds(part: &[u8]) -> Vec<u16> {
        let messages = messages(part).expect("messages");
        messages.iter().map(|(kind, _)| *kind).collect()
    }

    #[test]
    fn every_message_comes_once_in_its_order_and_no_part_is_too_large() {
        let rules: Vec<Vec<u8>> = (0..50)
            .map(|n| message(NEW_RULE, &[], 100 + n * 4))
            .collect();
        let parts = split(&batch(&rules), 1000).expect("parts");
        assert!(parts.len() > 5);
        let mut inner: Vec<u8> = Vec::new();
        for part in &parts {
            assert!(part.len() <= 1000);
            let (start, end) = (border(BATCH_BEGIN), border(BATCH_END));
            assert!(part.starts_with(&start) && part.ends_with(&end));
            inner.extend(&part[20..part.len() - 20]);
        }
        assert_eq!(inner, rules.concat());
    }

    #[test]
    fn a_rule_is_not_parted_from_its_anonymous_set() {
        let anonymous = 1_u32.to_be_bytes();
        let rules: Vec<Vec<u8>> = (0..20)
            .flat_map(|_| {
                [
                    message(NEW_SET, &[(3, &anonymous)], 100),
                    message(0xa0c, &[], 100),
                    message(NEW_RULE, &[], 100),
                ]
            })
            .collect();
        for part in split(&batch(&rules), 800).expect("parts") {
            assert_eq!(kinds(&part)[1..].first(), Some(&NEW_SET));
            assert_eq!(kinds(&part).iter().rev().nth(1), Some(&NEW_RULE));
        }
    }

    #[test]
    fn a_rule_is_not_parted_from_its_inline_chain() {
        let (binding, id) = (4_u32.to_be_bytes(), 1_u32.to_be_bytes());
        let rules: Vec<Vec<u8>> = (0..20)
            .flat_map(|_| {
                [
                    message(NEW_CHAIN, &[(10, &binding)], 100),
                    message(NEW_RULE, &[(11, &id)], 100),
                    message(NEW_RULE, &[], 100),
                ]
            })
            .collect();
        for part in split(&batch(&rules), 800).expect("parts") {
            assert_eq!(kinds(&part)[1], NEW_CHAIN);
            assert_eq!((kinds(&part).len() - 2) % 3, 0);
        }
    }

    #[test]
    fn what_cannot_be_parted_is_left_alone() {
        assert_eq!(split(&batch(&[message(NEW_RULE, &[], 2000)]), 1000), None);
        let by_number = message(NEW_RULE, &[(10, &[0; 4])], 100);
        assert_eq!(split(&batch(&vec![by_number; 20]), 1000), None);
        let two = [batch(&[message(NEW_RULE, &[], 100)]), batch(&[])].concat();
        assert_eq!(split(&two, 1000), None);
    }

    proptest! {
        #[test]
        fn arbitrary_batches_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = split(&bytes, 100);
            let _ = split(&batch(&[bytes]), 100);
        }
    }
}
