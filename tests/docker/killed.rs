//! Whatever is killed, and whenever: the run says that it could not tell, and nothing is left.

use std::process::{Child, Command, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    common::{Ended, Folder, Lab, end, firedrill},
    engine::{OwnEngine, RELEASES, containers, docker, engine, good, standard, wait_until},
};

const CANDIDATE: &str =
    "table inet t { chain c { type filter hook forward priority 0; policy drop; }\n}\n";

/// A scenario that takes its time: thousands of cases.
fn long() -> Folder {
    let mut lab = Lab::new(CANDIDATE);
    for port in (1..30_000).step_by(1000) {
        let last = port + 999;
        lab = lab.test(&format!("client -> server tcp/{port}-{last}: drop"));
    }
    lab.folder()
}

/// A run of it, whose output is read when it has ended.
fn start(folder: &Folder, image: &str, host: Option<&str>) -> Child {
    let mut command = firedrill();
    command.current_dir(folder.path());
    command.args(["test", "lab.yaml", "--launcher", "docker", "--image", image]);
    command.args(["--report", "terminal=report"]);
    if let Some(host) = host {
        command.env("DOCKER_HOST", host);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("firedrill starts")
}

/// Its end, and what it reported.
fn ended(mut run: Child, folder: &Folder) -> (Option<i32>, String) {
    let code = run.wait().expect("a child can be awaited").code();
    (code, folder.read("report"))
}

/// The container of a run.
fn container_of(run: &Child) -> Option<String> {
    let id = format!("/{}/", run.id());
    let mut found = containers().into_iter();
    found
        .find(|(_, owner)| owner.contains(&id))
        .map(|(container, _)| container)
}

/// The processes of a run's container from the outside in: the holder, the server, the process that stands
/// between, the agent.
fn processes(container: &str) -> Vec<i32> {
    let mut command = Command::new("docker");
    command.args(["top", container, "-eo", "pid"]);
    let ended = end(command);
    let lines = ended.stdout.lines().skip(1);
    lines.filter_map(|line| line.trim().parse().ok()).collect()
}

/// Waits until the agent of a run is at work; the container and its processes.
fn at_work(run: &mut Child) -> (String, Vec<i32>) {
    let mut found = None;
    wait_until("an agent at work", || {
        assert!(run.try_wait().expect("its status").is_none(), "it ended");
        let container = container_of(run);
        found = container.map(|container| {
            let processes = processes(&container);
            (container, processes)
        });
        found
            .as_ref()
            .is_some_and(|(_, processes)| processes.len() >= 4)
    });
    found.expect("it was found")
}

fn nothing_is_left() -> bool {
    containers().is_empty()
}

fn clean(host: Option<&str>) -> Ended {
    let mut command = firedrill();
    command.arg("clean");
    if let Some(host) = host {
        command.env("DOCKER_HOST", host);
    }
    end(command)
}

#[test]
fn a_run_that_is_killed_leaves_no_container() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let folder = long();
    let mut run = start(&folder, &image, None);
    at_work(&mut run);
    run.kill().expect("a child can be killed");
    run.wait().expect("a child can be awaited");
    // Nobody cleans up: the container goes by itself.
    wait_until("no container is left", nothing_is_left);
}

/// Killed on the way: what it left is removed by the next command, if it does not go by itself.
#[test]
fn a_run_that_is_killed_at_any_moment_leaves_nothing_for_long() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let folder = long();
    for moment in 0..8 {
        let mut run = start(&folder, &image, None);
        std::thread::sleep(std::time::Duration::from_millis(60) * moment);
        run.kill().expect("a child can be killed");
        run.wait().expect("a child can be awaited");
    }
    wait_until("everything was removed", || {
        good(clean(None));
        nothing_is_left()
    });
}

/// Killed from the outside: the agent, what stands before it, and what holds the container.
#[test]
fn a_run_whose_agent_is_killed_could_not_tell() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    for victim in 0..4 {
        let folder = long();
        let mut run = start(&folder, &image, None);
        let (_, processes) = at_work(&mut run);
        if let Some(process) = processes.get(victim) {
            kill(Pid::from_raw(*process), Signal::SIGKILL).expect("a process can be killed");
        }
        let (code, report) = ended(run, &folder);
        assert_eq!(code, Some(3), "{victim}: {report}");
        assert!(
            report.contains("in the middle of the run"),
            "{victim}: {report}"
        );
        wait_until("no container is left", nothing_is_left);
    }
}

#[test]
fn a_run_whose_container_is_killed_could_not_tell() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    for how in [&["kill"][..], &["rm", "--force"], &["stop", "--time", "0"]] {
        let folder = long();
        let mut run = start(&folder, &image, None);
        let (container, _) = at_work(&mut run);
        docker(&[how, &[&container]].concat());
        let (code, report) = ended(run, &folder);
        assert_eq!(code, Some(3), "{how:?}: {report}");
        assert!(
            report.contains("its container was killed"),
            "{how:?}: {report}"
        );
        wait_until("no container is left", nothing_is_left);
    }
}

#[test]
fn a_run_whose_engine_restarts_could_not_tell_and_the_next_one_cleans_up() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let Some(mut own) = OwnEngine::start() else {
        return;
    };
    own.take(&image);
    let host = own.host();
    let folder = long();
    let run = start(&folder, &image, Some(&host));
    wait_until("an agent at work", || {
        let running = own.docker(&["ps", "--quiet"]);
        let id = running.trim();
        !id.is_empty() && own.docker(&["top", id, "-eo", "pid"]).lines().count() > 4
    });
    own.kill_daemon();
    let (code, report) = ended(run, &folder);
    assert_eq!(code, Some(3), "{report}");
    assert!(
        report.contains("was the container engine stopped or restarted?"),
        "{report}"
    );
    own.restart();
    wait_until("everything was removed", || {
        good(clean(Some(&host)));
        own.docker(&["ps", "--all", "--quiet"]).is_empty()
    });
    // It works again.
    let lab = Lab::new(CANDIDATE)
        .test("client -> server tcp/1: drop")
        .folder();
    let (code, report) = ended(start(&lab, &image, Some(&host)), &lab);
    assert_eq!(code, Some(0), "{report}");
}

/// Runs side by side leave each other's containers alone.
#[test]
fn a_run_that_goes_on_keeps_its_container() {
    let Some(_turn) = engine() else { return };
    let image = standard(RELEASES[0]);
    let folder = long();
    let mut run = start(&folder, &image, None);
    at_work(&mut run);
    let said = good(clean(None));
    assert!(said.starts_with("removed 0 containers"), "{said}");
    let (code, report) = ended(run, &folder);
    assert_eq!(code, Some(0), "{report}");
    wait_until("no container is left", nothing_is_left);
}
