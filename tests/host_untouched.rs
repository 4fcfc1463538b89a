//! The user's machine is sacred: whatever the programs in the sandbox try, the machine around it stays
//! byte for byte as it was.
//!
//! Each attack is a script that is run in the lab, where loaders and `firedrill shell` run their
//! programs. It says ESCAPED when something worked that must not.

mod host;

use std::{
    fs,
    io::Read,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process::Stdio,
};

use host::{Identity, Snapshot, Stage, identities, need, text};
use rstest::rstest;

/// Before every script: refuses to attack anything but a sandbox, should there be none.
const GUARD: &str = r#"
    case "$(tr '\0' ' ' < /proc/1/cmdline)" in firedrill-agent*) ;; *) echo "ESCAPED: no sandbox"; exit ;; esac
    [ "$(stat -f -c %T /)/$(stat -f -c %T /etc)" = tmpfs/overlayfs ] || { echo "ESCAPED: no root"; exit; }
    works() { "$@" 2>&1 && echo "ESCAPED: $*"; }
"#;

/// After every script, so that one that broke off proves nothing.
const END: &str = "\necho the end of the attack\n";

/// Runs a script in the lab as everybody; nothing may work that must not, and nothing may change.
fn attack(script: &str) {
    for identity in identities() {
        let stage = Stage::new().owned_by(identity);
        let before = Snapshot::take(&stage);
        let marks = format!("STAGE={}\n", stage.path().display());
        let script = format!("{GUARD}{marks}{script}{END}");
        let output = stage.inside(identity, &script);
        let said = text(&output);
        let attack = format!("as {identity:?}, `{script}`\nwhich said\n{said}");
        assert!(!said.contains("ESCAPED"), "{attack}");
        assert!(said.contains("the end of the attack"), "{attack}");
        assert!(output.status.success(), "{attack}");
        before.assert_unchanged(&stage, &attack);
    }
}

#[rstest]
#[case::files_are_made_everywhere(
    r#"for folder in / /etc /usr /usr/bin /opt /run /tmp /var /var/tmp /var/lib /root /dev; do
        touch "$folder/firedrill-was-here" && made="$made $folder"
    done
    [ $(echo $made | wc -w) -gt 8 ] || echo "ESCAPED: it could not even try, only$made""#
)]
#[case::the_scenario_and_the_program_are_looked_for(
    r#"works grep sings $STAGE/canary; works test -e $STAGE/firedrill; works test -e $STAGE/scenarios/README.md
    mkdir -p $STAGE/scenarios; echo drowned > $STAGE/canary; rm $STAGE/scenarios/outage/app-server.yaml
    rm -rf $STAGE/* || echo "ESCAPED: it could not even try""#
)]
#[case::settings_are_overwritten(
    r#"for file in passwd shadow group hosts resolv.conf nftables.conf ld.so.preload; do
        sh -c "echo evil >> /etc/$file"; mv /etc/$file /etc/$file.evil; touch /etc/$file; chmod 777 /etc/$file
    done 2> /dev/null; touch -d 1999-01-01 /etc"#
)]
#[case::secrets_are_read(
    r#"works grep -q . /etc/shadow; works grep -q . /etc/gshadow; works ls /home; works ls -A /srv
    [ -z "$(ls -A /root)" ] || echo "ESCAPED: /root"; works grep -q . /proc/keys; works cat /proc/1/environ"#
)]
#[case::sysctls_of_the_machine_are_set(
    r#"for it in kernel/panic kernel/core_pattern kernel/pid_max vm/swappiness vm/drop_caches fs/file-max \
        net/core/rmem_max net/netfilter/nf_conntrack_max kernel/modprobe user/max_user_namespaces; do
        works sh -c "echo 1 > /proc/sys/$it"
    done
    works sysctl -w kernel.panic=1; works sysctl -w vm.swappiness=1
    works sh -c 'echo h > /proc/sysrq-trigger'; works sh -c 'echo 0 > /proc/1/oom_score_adj'
    sysctl -q -w net.ipv4.ip_forward=0 net.ipv4.conf.all.log_martians=1 || echo "ESCAPED: not even its own""#
)]
#[case::mounts_are_moved(
    r#"works mount -o remount,ro /; works mount -o remount,rw /dev/null; works umount -l /etc; works umount /proc
    works mount -t tmpfs none /etc; works mount --bind /etc /opt; works mount --make-rshared /
    works mount -t proc none /tmp; works mount -t sysfs none /tmp; works mount -t devtmpfs none /tmp
    works mount -t cgroup2 none /tmp; works unshare -m true; works pivot_root /tmp /tmp"#
)]
#[case::namespaces_are_entered(
    r#"works nsenter -t 1 -m true; works nsenter -t 1 -n true; works nsenter -t 1 -p -m true; works ls /proc/1/ns/
    works unshare -U true; works unshare -r true; works unshare -rm true; works unshare -rC true
    works unshare -n true; works unshare -p -f true"#
)]
#[case::the_agent_is_a_door(
    r#"for it in root/etc/shadow exe fd/3 mem environ stack syscall auxv; do
        works head -c 1 /proc/1/$it; works head -c 1 /proc/1/task/1/$it
    done
    for it in root cwd fd map_files; do works ls /proc/1/$it/; done
    works sh -c ': > /proc/1/exe'; works sh -c ': > /proc/1/mem'; works readlink /proc/1/exe
    works perl -e 'open(F, "+<", "/proc/1/exe") or exit 1'
    [ "$(ls -d /proc/[0-9]* | wc -l)" -lt 10 ] || echo "ESCAPED: other processes""#
)]
#[case::the_root_is_left(
    r#"mkdir -p /tmp/jail; works chroot /tmp/jail /; works perl -e 'chroot("/tmp/jail") or exit 1'
    [ "$(cd /../../../..; pwd -P; ls)" = "$(cd /; pwd -P; ls)" ] || echo "ESCAPED: above the root"
    works grep -E ' - (ext4|xfs|btrfs|zfs) .* /(home|var|boot)' /proc/self/mountinfo"#
)]
#[case::devices_are_made(
    r#"works mknod /tmp/kmsg c 1 11; works mknod /tmp/memory c 1 1; works mknod /dev/sda b 8 0
    works touch /dev/null; works chmod 777 /dev/zero; works rm /dev/full; works test -e /dev/kmsg
    works test -e /dev/mem; works test -e /dev/fuse; works test -e /dev/net/tun; works test -e /dev/kvm
    works sh -c ': < /dev/tty'; echo lost > /dev/null || echo "ESCAPED: nothing goes to /dev/null""#
)]
#[case::sockets_of_the_machine_are_used(
    r#"for it in /run/docker.sock /var/run/docker.sock /run/dbus/system_bus_socket /run/systemd/private /dev/log \
        /run/user /run/containerd/containerd.sock /tmp/.X11-unix; do works test -e $it; done
    works perl -MSocket -e 'socket(S, 40, 1, 0) or exit 1'
    works perl -MSocket -e 'socket(S, 31, 3, 1) or exit 1'
    perl -MSocket -e 'for (1, 2, 10, 16) { socket(S, $_, 2, 0) or print "ESCAPED: no family $_\n" }'"#
)]
#[case::other_users_try(
    r#"for id in 0 1 33 1000 65534; do
        become="setpriv --reuid $id --regid $id --clear-groups"
        $become true || { [ $(wc -l < /proc/self/uid_map) = 1 ] && grep -q ' 1$' /proc/self/uid_map && continue; }
        works $become grep -q . /etc/shadow; works $become grep sings $STAGE/canary; works $become ls /home
        works $become sh -c 'echo 1 > /proc/sys/kernel/panic'; works $become sh -c 'echo 1 > /proc/sys/vm/swappiness'
        works $become head -c 1 /proc/1/environ; works $become unshare -U true; works $become mount -t tmpfs none /mnt
        works $become chown 0:0 /usr/bin/env; works $become sh -c 'echo evil > /usr/bin/env'
    done
    cp /bin/sh /tmp/suid; chown 0 /tmp/suid; chmod 4755 /tmp/suid; works setpriv --reuid 1000 --clear-groups /tmp/suid -p -c '[ $(id -u) = 0 ]'"#
)]
#[case::time_and_kernel_are_turned(
    r#"works date -s 1999-01-01; works dmesg -C; works modprobe dummy; works perl -e "setpriority(0, 0, -5) or exit 1"
    works sh -c 'echo x > /sys/power/state'; works sh -c 'echo 1 > /sys/kernel/mm/ksm/run'; works reboot -f"#
)]
#[case::it_raises_its_own_limits(
    r#"works sh -c 'ulimit -u 4000'; works sh -c 'ulimit -c 1000'
    grep -Eq '^Max core file size +1 +1 ' /proc/self/limits || echo "ESCAPED: core files"
    grep -Eq '^NoNewPrivs:\s1$' /proc/self/status || echo "ESCAPED: new privileges"
    grep -Eq '^CapBnd:\s0000000000003dfb$' /proc/self/status || echo "ESCAPED: capabilities"
    grep -q 1000 /proc/self/oom_score_adj || echo "ESCAPED: memory"
    works perl -e 'require "syscall.ph"' -e 'exit(syscall(&SYS_setsid) < 0)' -e 'exit 1'"#
)]
fn the_machine_stays_as_it_was_when(#[case] script: &str) {
    for tool in [
        "perl", "unshare", "nsenter", "chroot", "mknod", "sysctl", "dmesg",
    ] {
        need(tool);
    }
    attack(script);
}

/// The isolation of files is proven above with harmless writes; these would hurt if it were not there,
/// so root's copy of them runs as nobody only.
#[rstest]
#[case::everything_is_deleted(
    "rm -rf /etc /opt /run /var /root /home /srv /boot /media /mnt 2> /dev/null"
)]
#[case::everybody_is_killed("sh -c 'kill -9 -1'; kill -9 1; kill -STOP 1; kill -SEGV 1")]
#[case::everything_is_opened_up(
    "chmod -R 777 /etc /opt /dev /proc/1 2> /dev/null; chown -R 0:0 /etc 2> /dev/null"
)]
fn the_machine_survives_when(#[case] script: &str) {
    let identity = *identities().last().expect("somebody");
    let stage = Stage::new().owned_by(identity);
    let before = Snapshot::take(&stage);
    let output = stage.inside(identity, &format!("{GUARD}{script}{END}"));
    let said = text(&output);
    assert!(!said.contains("ESCAPED"), "{said}");
    let killed_itself = script.contains("-1'");
    assert!(said.contains("the end") || killed_itself, "{said}");
    assert!(output.status.success(), "{said}");
    before.assert_unchanged(&stage, script);
}

/// Root's sandbox has 65,536 users, none of them anybody on the host; nobody has been granted none.
#[test]
fn a_sandbox_has_the_users_that_the_machine_grants() {
    for identity in identities() {
        let stage = Stage::new().owned_by(identity);
        let output = stage.inside(identity, "cat /proc/self/uid_map /proc/self/gid_map");
        let said = text(&output);
        let maps: Vec<Vec<u32>> = said
            .lines()
            .map(|line| {
                line.split_whitespace()
                    .filter_map(|word| word.parse().ok())
                    .collect()
            })
            .filter(|line: &Vec<u32>| line.len() == 3)
            .collect();
        let count = |map: &[Vec<u32>]| map.iter().map(|line| line[2]).sum::<u32>();
        match identity {
            Identity::Myself if nix::unistd::geteuid().is_root() => {
                assert_eq!(
                    maps,
                    [[0, 1_900_000_000, 65_536], [0, 1_900_000_000, 65_536]]
                );
            }
            Identity::Myself => assert!(count(&maps) >= 2, "{said}"),
            Identity::Nobody => assert_eq!(count(&maps), 2, "{said}"),
        }
    }
}

#[test]
fn a_suite_of_drills_changes_nothing() {
    for identity in identities() {
        let stage = Stage::new().owned_by(identity);
        let before = Snapshot::take(&stage);
        let output = stage.command(identity).args(["test", "scenarios"]).output();
        let output = output.expect("firedrill starts");
        assert!(
            output.status.success(),
            "as {identity:?}: {}",
            text(&output)
        );
        before.assert_unchanged(&stage, "a run of all scenarios");
    }
}

#[test]
fn no_descriptor_of_the_caller_reaches_the_programs() {
    for identity in identities() {
        let stage = Stage::new();
        let program = stage.command(identity);
        // Careless callers leave theirs open, a folder outside among them.
        let careless = r#"exec 3< / 4< canary 5> /dev/null 17< /etc; exec "$@""#;
        let output = std::process::Command::new("bash")
            .args(["-c", careless, "bash"])
            .arg(program.get_program())
            .args(program.get_args())
            .arg("shell")
            .arg(stage.scenario())
            // What `ls` opens to look is one more, at the lowest free number.
            .args(["--", "ls", "/proc/self/fd"])
            .current_dir(stage.path())
            .stdin(Stdio::null())
            .output()
            .expect("bash is there");
        let said = text(&output);
        let open: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(open, ["0", "1", "2", "3"], "as {identity:?}");
    }
}

#[test]
fn a_folder_as_standard_input_is_refused() {
    let stage = Stage::new();
    let mut command = stage.command(Identity::Myself);
    command.arg("shell").arg(stage.scenario());
    command.args(["--", "ls", "/proc/self/fd/0/"]);
    command.stdin(fs::File::open("/").expect("the root"));
    let output = command.output().expect("firedrill starts");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("a folder is a way out"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_environment_of_the_caller_stays_outside() {
    for identity in identities() {
        let stage = Stage::new();
        let mut command = stage.command(identity);
        command
            .env("FIREDRILL_TEST_TOKEN", "xyzzy")
            .arg("shell")
            .arg(stage.scenario());
        let look = "env; cat /proc/*/environ 2> /dev/null | tr '\\0' '\\n'; echo looked";
        let output = command.args(["--", "sh", "-c", look]).output();
        let said = text(&output.expect("firedrill starts"));
        assert!(said.contains("looked") && said.contains("PATH="), "{said}");
        assert!(!said.contains("xyzzy"), "as {identity:?}: {said}");
    }
}

#[test]
fn an_abstract_socket_of_the_machine_is_out_of_reach() {
    let name = format!("firedrill-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("an abstract socket");
    let connect = format!(
        "perl -MSocket -e 'socket(S, 1, 1, 0); connect(S, pack_sockaddr_un(\"\\0{name}\")) or exit 1'"
    );
    let here = std::process::Command::new("sh")
        .args(["-c", &connect])
        .status();
    assert!(
        here.expect("sh").success(),
        "outside it must work, or it proves nothing"
    );
    attack(&format!("works {connect}"));
}

#[test]
fn a_process_of_the_same_user_cannot_be_signalled() {
    for identity in identities() {
        let stage = Stage::new();
        let mut canary = host::as_identity(identity, "/bin/sleep".as_ref())
            .arg("600")
            .spawn()
            .expect("sleep is there");
        let pid = canary.id();
        let script = format!("{GUARD}works kill -9 {pid}; works test -d /proc/{pid}/task{END}");
        let said = text(&stage.inside(identity, &script));
        let alive = canary.try_wait().expect("its status").is_none();
        canary
            .kill()
            .and_then(|()| canary.wait())
            .expect("the canary ends");
        assert!(
            alive && !said.contains("ESCAPED") && said.contains("the end"),
            "{said}"
        );
    }
}

#[test]
fn nothing_can_be_typed_into_the_terminal_of_the_user() {
    need("script");
    for identity in identities() {
        let stage = Stage::new();
        let program = stage.command(identity);
        let ioctl = r#"for $number (0x5412, 0x541c) { ioctl(STDIN, $number, $x = "x") and print "ESCAPED\n" }
            print "tried\n""#;
        let words: Vec<String> = std::iter::once(program.get_program())
            .chain(program.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .chain(["shell".to_owned(), stage.scenario().display().to_string()])
            .chain(["--".to_owned(), "perl".to_owned(), "-e".to_owned()])
            .chain([format!("'{ioctl}'")])
            .collect();
        let mut on_terminal = std::process::Command::new("script")
            .args(["-q", "-e", "-c", &words.join(" "), "/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there");
        let mut said = String::new();
        let mut stream = on_terminal.stdout.take().expect("piped");
        stream.read_to_string(&mut said).expect("text");
        on_terminal.wait().expect("it ends");
        assert!(
            said.contains("tried") && !said.contains("ESCAPED"),
            "{said}"
        );
    }
}

#[test]
fn a_fork_bomb_and_a_full_disk_stay_small() {
    attack(
        r#"perl -e 'while (@pids < 3000) { $pid = fork // last; $pid or sleep 600, exit; push @pids, $pid }
            kill 9, @pids; $n = @pids; print "$n processes\n";
            $n > 500 && $n < 1024 or print "ESCAPED: $n processes\n"'"#,
    );
    attack(
        r#"for folder in /tmp /etc /var/tmp; do dd if=/dev/zero of=$folder/full bs=1M count=400; done 2> /dev/null
        kib=$(df -k --output=used / | tail -1); echo $kib
        [ $kib -gt 400000 ] && [ $kib -le 524288 ] || echo "ESCAPED: $kib KiB""#,
    );
}

/// A script may change every setting: of its own copy, which is in memory and holds no secret.
#[test]
fn a_script_changes_its_copy_of_the_settings_only() {
    const SCRIPT: &str = r#"#!/bin/sh
set -e
for file in passwd group hosts nsswitch.conf; do
    [ ! -e /etc/$file ] || echo evil >> /etc/$file
done
[ "$(stat -c %u /etc/passwd)" = 0 ]
mkdir -p /etc/iptables /etc/apt/evil /etc/systemd/system; echo evil > /etc/systemd/system/evil.service
chmod 777 /etc/passwd; mv /etc/passwd /etc/passwd.old; rm -rf /etc/ssl /etc/default
! grep -q . /etc/shadow
! test -s /etc/ssh/ssh_host_ed25519_key
nft add table inet made_by_script
"#;
    for identity in identities() {
        let stage = Stage::new();
        let scenario = "firewall: { script: evil.sh, interfaces: { eth0: 192.0.2.1/24 } }\n\
                        hosts: { a: { behind: eth0, address: 192.0.2.7 } }\n\
                        tests: [a -> firewall tcp/22: accept]\n";
        fs::write(stage.path().join("evil.sh"), SCRIPT).expect("a script");
        fs::write(stage.path().join("evil.yaml"), scenario).expect("a scenario");
        let stage = stage.owned_by(identity);
        let before = Snapshot::take(&stage);
        let mut command = stage.command(identity);
        let output = command
            .args(["test", "evil.yaml"])
            .output()
            .expect("firedrill starts");
        let said = text(&output);
        assert!(output.status.success(), "as {identity:?}: {said}");
        before.assert_unchanged(&stage, &said);
    }
}
