//! What the candidate's programs may not do, whoever wrote them.
//!
//! The namespaces keep them away from the machine; this closes what namespaces leave open. They are
//! root in the sandbox because loaders want to be, but of root's powers they have those of a firewall
//! administrator only, and they cannot regain others. Whatever they use up is bounded and gone with
//! the sandbox. The agent, which needs more, is out of their reach.
//!
//! Not bounded, because that takes a control group: the memory and processor time of all programs
//! together. What the kernel itself does for a ruleset (loading its modules, walking its jumps) is the
//! kernel's.

use std::{fs, io};

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP,
    BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    SECCOMP_RET_KILL_PROCESS, sock_filter,
};
use nix::sys::{
    prctl,
    resource::{Resource, getrlimit, setrlimit},
};

use firedrill_wire::protocol::Broken;

use crate::{error::Doing, kernel::sys, sandbox::home::Home};

/// The capabilities that remain (linux/capability.h): files, users and networks. Without
/// `CAP_SYS_ADMIN` there is no mount, no namespace and no cgroup to be had, without `CAP_SYS_PTRACE` no
/// way into the agent, which has more.
const KEPT_CAPABILITIES: &[u32] = &[
    0,  // CAP_CHOWN
    1,  // CAP_DAC_OVERRIDE
    3,  // CAP_FOWNER
    4,  // CAP_FSETID
    5,  // CAP_KILL
    6,  // CAP_SETGID
    7,  // CAP_SETUID
    8,  // CAP_SETPCAP
    10, // CAP_NET_BIND_SERVICE
    11, // CAP_NET_BROADCAST
    12, // CAP_NET_ADMIN
    13, // CAP_NET_RAW
];

/// How many processes and threads a sandbox may have: loaders need a handful, fork bombs all there
/// are. Since Linux 5.14 the kernel counts per user namespace, before that all of the user's.
const MAX_PROCESSES: u64 = 1024;

/// With this limit the kernel writes no core file, and hands no crash to the host's collector, which
/// it would do with a limit of 0 (core(5); fs/coredump.c, "RLIMIT_CORE of 1").
const NO_CORE: u64 = 1;

/// When memory runs out, the sandbox is what the kernel kills first (proc_pid_oom_score_adj(5)).
const KILL_FIRST: &str = "1000";

/// A fresh user namespace would bring back every capability. In a container this limit would be the
/// host's; there the filter refuses.
const NO_USER_NAMESPACES: (&str, &str) = ("/proc/sys/user/max_user_namespaces", "0");

/// System calls that reach around the namespaces: key rings are shared with the user's session, and
/// io_uring opens sockets past this filter.
const DENIED: &[libc::c_long] = &[
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
];

/// Both make a terminal believe that its user typed something: a command line for after the run.
const DENIED_IOCTLS: &[u32] = &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32];

/// The socket families of the lab. Some others know no network namespaces: `AF_VSOCK` reaches the
/// host of a virtual machine.
const SOCKETS: &[i32] = &[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET];

/// `AUDIT_ARCH_*` of linux/audit.h: the ELF machine, 64 bits, little-endian.
const NATIVE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(libc::EM_X86_64 as u32 | 0xc000_0000)
} else if cfg!(target_arch = "aarch64") {
    Some(libc::EM_AARCH64 as u32 | 0xc000_0000)
} else if cfg!(target_arch = "riscv64") {
    Some(libc::EM_RISCV as u32 | 0xc000_0000)
} else {
    // No filter on architectures where nobody has tried it.
    None
};

/// The first system call of x86-64's x32 (`__X32_SYSCALL_BIT`): other numbers for the same calls.
const X32: u32 = 0x4000_0000;

/// Confines every program that this thread starts from now on, for good. The private root with its
/// `/proc` must be in place.
pub(crate) fn confine(home: Home) -> Result<(), Broken> {
    if home == Home::Machine {
        // The control group of a container does it there.
        limit(Resource::RLIMIT_NPROC, MAX_PROCESSES).doing(|| "limit the number of processes")?;
        let (sysctl, none) = NO_USER_NAMESPACES;
        fs::write(sysctl, none).doing(|| "forbid further user namespaces")?;
    }
    limit(Resource::RLIMIT_CORE, NO_CORE).doing(|| "switch core files off")?;
    fs::write("/proc/self/oom_score_adj", KILL_FIRST)
        .doing(|| "offer the sandbox when memory runs out")?;
    sys::keep_capabilities(KEPT_CAPABILITIES).doing(|| "give up capabilities")?;
    prctl::set_no_new_privs().doing(|| "give up further privileges")?;
    if let Some(native) = NATIVE {
        sys::filter_system_calls(&filter(native)).doing(|| "filter system calls")?;
    }
    // Takes /proc/1/{root,exe,fd,mem,environ} away from everybody inside (ptrace(2), "ptrace access
    // mode checking"): the last references to the host's files, and the control channel.
    prctl::set_dumpable(false).doing(|| "close the agent to others")
}

/// Lowers a limit for good; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    Ok(setrlimit(resource, most, most)?)
}

/// The filter (seccomp(2)): everything is allowed but what is named above.
fn filter(native: u32) -> Vec<sock_filter> {
    // Offsets into `struct seccomp_data`; of an argument the lower half, which comes first.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const ARGUMENTS: [u32; 2] = [16, 24];
    let deny = ret(SECCOMP_RET_ERRNO | libc::EPERM as u32);

    // A foreign system call has another number here.
    let mut program = vec![
        load(ARCHITECTURE),
        jump(BPF_JEQ, native, 1, 0),
        ret(SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(BPF_JGE, X32, 0, 1), ret(SECCOMP_RET_KILL_PROCESS)]);
    }
    for call in DENIED {
        program.extend([jump(BPF_JEQ, *call as u32, 0, 1), deny]);
    }
    let mut ioctl = vec![load(ARGUMENTS[1])];
    for request in DENIED_IOCTLS {
        ioctl.extend([jump(BPF_JEQ, *request, 0, 1), deny]);
    }
    ioctl.push(ret(SECCOMP_RET_ALLOW));
    let mut socket = vec![load(ARGUMENTS[0])];
    for family in SOCKETS {
        socket.extend([jump(BPF_JEQ, *family as u32, 0, 1), ret(SECCOMP_RET_ALLOW)]);
    }
    socket.push(deny);
    // A fresh user namespace, by all three calls. The flags of clone3 are in memory, where no filter can
    // look; programs fall back to clone where it does not exist (as Docker's own profile does it).
    let no_clone3 = ret(SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
    program.extend([jump(BPF_JEQ, libc::SYS_clone3 as u32, 0, 1), no_clone3]);
    let namespace = [
        load(ARGUMENTS[0]),
        jump(BPF_JSET, libc::CLONE_NEWUSER as u32, 0, 1),
        deny,
        ret(SECCOMP_RET_ALLOW),
    ];
    for (call, block) in [
        (libc::SYS_clone, namespace.to_vec()),
        (libc::SYS_unshare, namespace.to_vec()),
        (libc::SYS_ioctl, ioctl),
        (libc::SYS_socket, socket),
    ] {
        program.push(jump(BPF_JEQ, call as u32, 0, block.len() as u8));
        program.extend(block);
    }
    program.push(ret(SECCOMP_RET_ALLOW));
    program
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

/// Compares and skips this many instructions.
fn jump(test: u32, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(BPF_JMP | test | BPF_K, value, if_true, if_false)
}

fn ret(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HERE: u32 = 0xc000_003e;

    /// Runs the filter as the kernel does, for one system call with these arguments.
    fn verdict(architecture: u32, call: libc::c_long, arguments: [u64; 2]) -> u32 {
        let mut data = Vec::new();
        data.extend((call as u32).to_le_bytes());
        data.extend(architecture.to_le_bytes());
        data.extend([0; 8]);
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let program = filter(HERE);
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let it = program[at];
            let code = u32::from(it.code);
            at += 1;
            if code == BPF_LD | BPF_W | BPF_ABS {
                let bytes = &data[it.k as usize..][..4];
                accumulator = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
            } else if code == BPF_RET | BPF_K {
                return it.k;
            } else {
                let holds = match code {
                    _ if code == BPF_JMP | BPF_JEQ | BPF_K => accumulator == it.k,
                    _ if code == BPF_JMP | BPF_JGE | BPF_K => accumulator >= it.k,
                    _ if code == BPF_JMP | BPF_JSET | BPF_K => accumulator & it.k != 0,
                    _ => panic!("no instruction of this filter: {code}"),
                };
                at += usize::from(if holds { it.jt } else { it.jf });
            }
        }
    }

    #[rstest]
    #[case::reading(libc::SYS_read, 0, 0, true)]
    #[case::starting_a_program(libc::SYS_execve, 0, 0, true)]
    #[case::keys(libc::SYS_keyctl, 0, 0, false)]
    #[case::adding_a_key(libc::SYS_add_key, 0, 0, false)]
    #[case::io_uring(libc::SYS_io_uring_setup, 0, 0, false)]
    #[case::window_size(libc::SYS_ioctl, 0, libc::TIOCGWINSZ, true)]
    #[case::typing(libc::SYS_ioctl, 0, libc::TIOCSTI, false)]
    #[case::pasting(libc::SYS_ioctl, 0, libc::TIOCLINUX, false)]
    // The kernel looks at the lower half only.
    #[case::typing_in_disguise(libc::SYS_ioctl, 0, libc::TIOCSTI | 1 << 40, false)]
    #[case::netlink(libc::SYS_socket, AF_NETLINK as u64, 0, true)]
    #[case::packets(libc::SYS_socket, AF_PACKET as u64, 0, true)]
    #[case::virtual_machine(libc::SYS_socket, libc::AF_VSOCK as u64, 0, false)]
    #[case::bluetooth(libc::SYS_socket, libc::AF_BLUETOOTH as u64, 0, false)]
    #[case::forking(libc::SYS_clone, libc::SIGCHLD as u64, 0, true)]
    #[case::forking_as_somebody(libc::SYS_clone, 0x1000_0011, 0, false)]
    #[case::a_network(libc::SYS_unshare, libc::CLONE_NEWNET as u64, 0, true)]
    #[case::being_somebody(libc::SYS_unshare, libc::CLONE_NEWUSER as u64, 0, false)]
    fn the_filter_knows(
        #[case] call: libc::c_long,
        #[case] first: u64,
        #[case] second: u64,
        #[case] allowed: bool,
    ) {
        let wanted = if allowed {
            SECCOMP_RET_ALLOW
        } else {
            SECCOMP_RET_ERRNO | libc::EPERM as u32
        };
        assert_eq!(verdict(HERE, call, [first, second]), wanted);
    }

    #[test]
    fn a_call_whose_flags_cannot_be_seen_does_not_exist() {
        let missing = SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        assert_eq!(verdict(HERE, libc::SYS_clone3, [0, 0]), missing);
    }

    #[test]
    fn a_call_with_foreign_numbers_is_deadly() {
        let i386 = 0x4000_0003;
        assert_eq!(verdict(i386, 3, [0, 0]), SECCOMP_RET_KILL_PROCESS);
        if cfg!(target_arch = "x86_64") {
            let x32 = libc::c_long::from(X32);
            assert_eq!(verdict(HERE, x32, [0, 0]), SECCOMP_RET_KILL_PROCESS);
        }
    }
}
