//! What a candidate's programs can do in a container, and what one scenario leaves for the next: nothing.

use std::{collections::BTreeSet, path::PathBuf};

use firedrill_harness::{
    launcher::docker::{Docker, Image},
    protocol::{
        CandidateSpec, Command, InterfaceSpec, LabSpec, LayerSpec, Plan, Record, Task, VERSION,
    },
};

use crate::engine::{RELEASES, containers, docker, engine, standard};

/// A plan whose candidate is a script of the shell.
fn plan(script: &str) -> Plan {
    let command = |words: &[&str]| Command {
        argv: words.iter().map(ToString::to_string).collect(),
        cwd: "/".into(),
        env: Vec::new(),
    };
    Plan {
        version: VERSION,
        lab: LabSpec {
            interfaces: vec![InterfaceSpec {
                name: "eth0".to_owned(),
                addresses: vec!["192.0.2.1/24".parse().expect("an address")],
                vlan: None,
            }],
            routes: Vec::new(),
            neighbours: Vec::new(),
            forwarding: true,
            sysctl: Vec::new(),
        },
        candidate: CandidateSpec {
            layers: vec![LayerSpec {
                load: vec![command(&["sh", "-c", script])],
                ..LayerSpec::default()
            }],
            list: command(&["nft", "--handle", "list", "ruleset"]),
            list_state: command(&["nft", "list", "ruleset"]),
        },
        reloads: Vec::new(),
        task: Task::Drill(Vec::new()),
        blind: None,
    }
}

/// Runs scripts one after the other in one container of the standard image; what each printed.
fn scripts(scripts: &[&str]) -> Vec<String> {
    let image = standard(RELEASES[0]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let agent = PathBuf::from(env!("CARGO_BIN_EXE_firedrill"));
        let docker = Docker::connect(Some(agent)).await.expect("an engine");
        let image = docker.ensure(&Image::Named(image), &mut |_| {}).await;
        let image = docker
            .equip(&image.expect("an image"))
            .await
            .expect("an image");
        let mut printed = Vec::new();
        let mut used = BTreeSet::new();
        for script in scripts {
            let mut session = docker.start(&image, &plan(script)).await.expect("an agent");
            used.extend(containers().into_iter().map(|(container, _)| container));
            loop {
                match session.next().await.expect("a record") {
                    Record::Loaded(loaded) => printed.push(loaded.output),
                    Record::Done { .. } => break,
                    Record::Lab { .. } | Record::Ruleset(_) | Record::Sealed { .. } => {}
                    other => panic!("{script}: {other:?}"),
                }
            }
        }
        docker.close();
        assert_eq!(used.len(), 1, "it was not one container");
        printed
    })
}

/// Says of every line of shell whether it worked.
fn tried(lines: &[&str]) -> Vec<(String, bool)> {
    let mut script = String::new();
    for line in lines {
        script += &format!("if ( {line} ) >/dev/null 2>&1; then echo yes; else echo no; fi\n");
    }
    let printed = scripts(&[&script]).remove(0);
    let answers: Vec<bool> = printed.lines().map(|line| line == "yes").collect();
    assert_eq!(answers.len(), lines.len(), "{printed}");
    lines.iter().map(ToString::to_string).zip(answers).collect()
}

#[test]
fn a_candidate_can_do_nothing_to_the_machine() {
    let Some(_turn) = engine() else { return };
    let crimes = [
        // Settings that are the machine's.
        "echo 1 > /proc/sys/kernel/printk",
        "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
        "cat /proc/sys/user/max_user_namespaces > /proc/sys/user/max_user_namespaces",
        "cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness",
        "echo h > /proc/sysrq-trigger",
        "cat /proc/sys/fs/file-max > /proc/sys/fs/file-max",
        "mkdir /sys/fs/cgroup/crime",
        "test -w /sys/kernel/mm/transparent_hugepage/enabled && echo > /sys/kernel/mm/transparent_hugepage/enabled",
        // What is the machine's to know.
        "test -s /proc/kcore",
        "test -s /proc/keys",
        "test -s /proc/timer_list",
        // Ways around the namespaces.
        "mount -t tmpfs none /mnt",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "unshare --user true",
        "unshare --mount true",
        "unshare --net true",
        "nsenter --target 1 --mount true",
        "chroot / true",
        "ls /proc/1/root/",
        "ls -l /proc/1/fd/0",
        "mknod /tmp/disk b 254 0",
        "test -e /.firedrill/agent",
        "test -S /var/run/docker.sock",
        // The agent.
        "kill -9 1; sleep 1; false",
    ];
    let committed: Vec<String> = tried(&crimes)
        .into_iter()
        .filter(|(_, worked)| *worked)
        .map(|(crime, _)| crime)
        .collect();
    assert!(committed.is_empty(), "{committed:#?}");
}

/// The test above would pass if nothing worked at all.
#[test]
fn a_candidate_can_do_what_a_firewall_administrator_does() {
    let Some(_turn) = engine() else { return };
    let deeds = [
        "nft add table inet mine && nft list table inet mine",
        "echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter",
        "test $(cat /proc/sys/net/ipv4/conf/eth0/rp_filter) = 1",
        "echo changed > /etc/hosts && grep changed /etc/hosts",
        "echo mine > /usr/sbin/mine && test -s /usr/sbin/mine",
        "rm /etc/services && ! test -e /etc/services",
        "mkdir -p /run/lock/mine /var/lib/mine && : > /var/lib/mine/state",
        "cat /proc/uptime",
        "test -d /sys/class/net/eth0",
        "test $(cat /proc/sys/net/ipv4/ip_forward) = 1",
        "id -u | grep -x 0",
    ];
    let refused: Vec<String> = tried(&deeds)
        .into_iter()
        .filter(|(_, worked)| !*worked)
        .map(|(deed, _)| deed)
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// A container serves one scenario after the other; the second finds it as the first did.
#[test]
fn nothing_of_a_scenario_reaches_the_next_in_its_container() {
    let Some(_turn) = engine() else { return };
    let look = "for it in /etc /usr/sbin /var/lib /tmp /run /dev /root /; do ls -A $it; done\n\
                md5sum /usr/sbin/nft /etc/hosts\n\
                set -- /proc/[0-9]*; echo $#\n\
                cat /proc/sys/net/ipv4/conf/eth0/rp_filter /proc/sys/net/ipv4/ip_local_port_range\n\
                nft list ruleset\n\
                ls /sys/class/net\n\
                hostname\n\
                grep -c . /proc/self/mounts\n";
    let litter = "for it in /etc /usr/sbin /var/lib /tmp /run /dev /root /; do echo x > $it/litter; done\n\
                  echo x >> /usr/sbin/nft; echo x > /etc/hosts; rm -r /usr/share /opt\n\
                  (trap '' HUP TERM; exec sleep 1000) >/dev/null 2>&1 &\n\
                  echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter\n\
                  echo 2000 3000 > /proc/sys/net/ipv4/ip_local_port_range\n\
                  cp /usr/bin/true /usr/sbin/nft\n";
    let printed = scripts(&[look, litter, look]);
    assert!(printed[0].lines().count() > 50, "{}", printed[0]);
    assert_eq!(printed[0], printed[2]);
}

#[test]
fn a_container_has_no_network_no_folder_of_the_machine_and_bounds() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let inspected = runtime.block_on(async {
        let agent = PathBuf::from(env!("CARGO_BIN_EXE_firedrill"));
        let engine = Docker::connect(Some(agent)).await.expect("an engine");
        let image = engine.ensure(&Image::Named(image), &mut |_| {}).await;
        let image = engine
            .equip(&image.expect("an image"))
            .await
            .expect("an image");
        let session = engine.start(&image, &plan("true")).await.expect("an agent");
        let (container, _) = containers().remove(0);
        let inspected = docker(&["inspect", &container]);
        drop(session);
        engine.close();
        inspected
    });
    let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    let container = &inspected[0];
    let config = &container["HostConfig"];
    assert_eq!(config["NetworkMode"], "none");
    assert_eq!(config["Privileged"], false);
    assert_eq!(config["ReadonlyRootfs"], true);
    assert_eq!(config["AutoRemove"], true);
    assert_eq!(config["Binds"], serde_json::Value::Null);
    assert_eq!(container["Mounts"], serde_json::json!([]));
    assert_eq!(config["Memory"], 1 << 30);
    assert_eq!(config["PidsLimit"], 1024);
    assert_eq!(config["CapDrop"], serde_json::json!(["ALL"]));
    let added = config["CapAdd"].as_array().expect("capabilities");
    assert!(added.len() <= 13, "{added:?}");
    let options = config["SecurityOpt"].to_string();
    assert!(options.contains("no-new-privileges"), "{options}");
    assert!(!options.contains("seccomp"), "{options}");
}
