//! A run that is killed at any moment leaves nothing behind: no process, no namespace, no mount, no
//! file. A run whose sandbox is killed says so, and proves nothing.

mod host;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use host::{
    Identity, Stage,
    crime::{Process, Run, Scene, network_namespaces, send},
    identities,
};
use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGKILL, SIGTERM};
use rstest::rstest;

/// How many moments of a run are tried, per identity.
const MOMENTS: u32 = 20;

/// The processes of a run, from the outside in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Firedrill,
    /// The agent's outer process, which waits for PID 1.
    Outer,
    /// The agent, PID 1 of the sandbox.
    Agent,
    /// What it runs.
    Program,
}

impl Victim {
    /// Finds it below firedrill's own process.
    fn find(self, firedrill: u32, processes: &[Process]) -> Option<u32> {
        let child = |parent: u32| {
            processes
                .iter()
                .find(|it| it.parent == parent)
                .map(|it| it.id)
        };
        match self {
            Self::Firedrill => Some(firedrill),
            Self::Outer => child(firedrill),
            Self::Agent => Self::Outer.find(firedrill, processes).and_then(child),
            Self::Program => Self::Agent.find(firedrill, processes).and_then(child),
        }
    }
}

/// Waits until the victim exists, or firedrill does no more.
fn await_victim(victim: Victim, run: &mut Run, scene: &Scene) -> Option<u32> {
    loop {
        if let Some(id) = victim.find(run.child.id(), &scene.processes()) {
            return Some(id);
        }
        if run.child.try_wait().expect("its status").is_some() {
            return None;
        }
        thread::yield_now();
    }
}

fn drill(stage: &Stage, identity: Identity, scenarios: &str) -> Command {
    let mut command = stage.command(identity);
    command.arg("test").arg(stage.path().join(scenarios));
    command
}

fn shell(stage: &Stage, identity: Identity, words: &[&str]) -> Command {
    let mut command = stage.command(identity);
    command
        .arg("shell")
        .arg(stage.scenario())
        .arg("--")
        .args(words);
    command
}

/// How long the command runs when it is left alone.
fn length_of(scene: &Scene, command: &Command) -> Duration {
    let started = Instant::now();
    let (status, said) = scene.start(command).end();
    assert!(status.success(), "{said}");
    started.elapsed()
}

/// Kills firedrill at moments that are spread over the length of a run.
#[rstest]
#[case::one_scenario("scenarios/outage", MOMENTS)]
#[case::several_at_once("scenarios", MOMENTS / 4)]
fn killed_at_any_moment_it_leaves_nothing(#[case] scenarios: &str, #[case] moments: u32) {
    let scene = Scene::new();
    for identity in identities() {
        let stage = Stage::new();
        let command = drill(&stage, identity, scenarios);
        let length = length_of(&scene, &command);
        for moment in 0..moments {
            let delay = length * moment / moments;
            let mut run = scene.start(&command);
            thread::sleep(delay);
            let namespaces = network_namespaces(scene.processes().into_iter());
            run.child.kill().expect("kill");
            run.child.wait().expect("its end");
            let after = format!("{delay:?} of {length:?} as {identity:?}");
            scene.assert_nothing_left(&namespaces, &after);
        }
    }
}

/// Kills the sandbox's own processes at moments that are spread over the length of a run, the first
/// of them as soon as they exist.
#[rstest]
fn a_sandbox_killed_in_the_middle_is_told(#[values(Victim::Outer, Victim::Agent)] victim: Victim) {
    let scene = Scene::new();
    for identity in identities() {
        let stage = Stage::new();
        let command = drill(&stage, identity, "scenarios/outage");
        let length = length_of(&scene, &command);
        let mut told = 0;
        for moment in 0..MOMENTS / 2 {
            let delay = length * moment / MOMENTS;
            let mut run = scene.start(&command);
            if let Some(id) = await_victim(victim, &mut run, &scene) {
                thread::sleep(delay);
                send(SIGKILL, id);
            }
            let after = format!("{victim:?} killed after {delay:?} as {identity:?}");
            let (status, said) = run.end();
            match status.code() {
                // It was done, or its outer process died before it had anything inside.
                Some(0) => assert!(said.contains("passed: 146 cases"), "{after}: {said}"),
                Some(3) => {
                    assert!(said.contains("the sandbox"), "{after}: {said}");
                    told += 1;
                }
                _ => panic!("{after}: {status}: {said}"),
            }
            scene.assert_nothing_left(&BTreeSet::new(), &after);
        }
        assert!(
            told > 0,
            "{victim:?} was never killed in time as {identity:?}"
        );
    }
}

#[rstest]
#[case::firedrill_by_kill(Victim::Firedrill, SIGKILL, None)]
#[case::firedrill_by_interrupt(Victim::Firedrill, SIGINT, None)]
#[case::firedrill_by_terminate(Victim::Firedrill, SIGTERM, None)]
#[case::firedrill_by_hangup(Victim::Firedrill, SIGHUP, None)]
#[case::the_outer_process(Victim::Outer, SIGKILL, Some("the sandbox ended in the middle"))]
#[case::the_agent(Victim::Agent, SIGKILL, Some("the sandbox ended in the middle"))]
fn a_shell_ends_with_each_of_its_processes(
    #[case] victim: Victim,
    #[case] signal: Signal,
    #[case] said: Option<&str>,
) {
    let scene = Scene::new();
    for identity in identities() {
        let stage = Stage::new();
        let mut run = scene.start(&shell(&stage, identity, &["sleep", "1000"]));
        await_victim(Victim::Program, &mut run, &scene).expect("it sleeps");
        let namespaces = seen_namespaces(&scene);
        send(
            signal,
            await_victim(victim, &mut run, &scene).expect("it is there"),
        );
        let after = format!("{victim:?} ended by {signal:?} as {identity:?}");
        let (status, printed) = run.end();
        match said {
            Some(said) => {
                assert_eq!(status.code(), Some(3), "{after}: {printed}");
                assert!(printed.contains(said), "{after}: {printed}");
            }
            None => assert!(!status.success(), "{after}: {printed}"),
        }
        scene.assert_nothing_left(&namespaces, &after);
    }
}

/// Those of a standing sandbox. Root sees them, and must: that they are gone afterwards would prove
/// nothing otherwise.
fn seen_namespaces(scene: &Scene) -> BTreeSet<PathBuf> {
    let namespaces = network_namespaces(scene.processes().into_iter());
    assert!(!namespaces.is_empty() || !nix::unistd::geteuid().is_root());
    namespaces
}

#[test]
fn what_a_program_leaves_running_ends_with_the_sandbox() {
    let scene = Scene::new();
    for identity in identities() {
        let stage = Stage::new();
        let daemons = "(setsid sleep 1000 <&- >&- 2>&- &); (trap '' HUP TERM INT; sleep 1000 &) &
            nohup sleep 1000 > /dev/null 2>&1 & echo left";
        let run = scene.start(&shell(&stage, identity, &["sh", "-c", daemons]));
        let (status, said) = run.end();
        assert!(
            status.success() && said.contains("left"),
            "{status}: {said}"
        );
        scene.assert_nothing_left(&BTreeSet::new(), "daemons");
    }
}

#[test]
fn a_killed_program_is_no_killed_sandbox() {
    let scene = Scene::new();
    let stage = Stage::new();
    let mut run = scene.start(&shell(&stage, Identity::Myself, &["sleep", "1000"]));
    let sleeper = await_victim(Victim::Program, &mut run, &scene).expect("it sleeps");
    send(SIGKILL, sleeper);
    let (status, said) = run.end();
    assert!(!said.contains("the sandbox ended"), "{status}: {said}");
    scene.assert_nothing_left(&BTreeSet::new(), "the end of a shell");
}

/// The agent's processes are the launcher's children, not the terminal's: an interrupt from the
/// keyboard reaches all of them at once.
#[test]
fn an_interrupt_from_the_keyboard_leaves_nothing() {
    let scene = Scene::new();
    for identity in identities() {
        let stage = Stage::new();
        let command = drill(&stage, identity, "scenarios");
        host::need("timeout");
        // `timeout` makes a process group and interrupts all of it, as a terminal does.
        let mut group = Command::new("timeout");
        group.args(["--signal=INT", "0.1"]);
        group.arg(command.get_program()).args(command.get_args());
        group.stdin(Stdio::null());
        scene.start(&group).end();
        scene.assert_nothing_left(&BTreeSet::new(), "an interrupt");
    }
}
