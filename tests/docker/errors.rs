//! What can be wrong with an engine is said, with what to do about it.

use std::{os::unix::fs::PermissionsExt, os::unix::net::UnixListener, process::Command};

use nix::unistd::geteuid;

use crate::{
    common::{Ended, Folder, Lab, end, firedrill},
    engine::{OwnEngine, empty, engine},
};

const CANDIDATE: &str =
    "table inet t { chain c { type filter hook input priority 0; policy accept; }\n}\n";

fn lab() -> Folder {
    Lab::new(CANDIDATE)
        .test("client -> firewall tcp/80: accept")
        .folder()
}

/// A run in a container of this image, on this engine.
fn run(host: &str, image: &str) -> Ended {
    let lab = lab();
    let mut command = firedrill();
    command.current_dir(lab.path()).env("DOCKER_HOST", host);
    command.args(["test", "lab.yaml", "--launcher", "docker", "--image", image]);
    end(command)
}

#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for part in parts {
        assert!(ended.stdout.contains(part), "{part} in {ended:?}");
    }
}

#[test]
fn without_an_engine_it_says_how_to_have_one() {
    let folder = Folder::new();
    let socket = folder.path().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let expected = [
        "could not talk to the container engine",
        "systemctl start docker",
        "--launcher embedded",
    ];
    says(&run(&host, "debian:12"), &expected);
    // A socket that nobody listens on.
    drop(UnixListener::bind(&socket).expect("a socket"));
    says(&run(&host, "debian:12"), &expected);
}

#[test]
fn an_engine_that_may_not_be_used_says_how_to_be_allowed() {
    if !geteuid().is_root() {
        // Whoever is not root finds out with a socket of root's; here nobody does.
        return;
    }
    let folder = Folder::new();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("chmod");
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&socket, mine).expect("chmod");
    let program = folder.path().join("firedrill");
    std::fs::copy(env!("CARGO_BIN_EXE_firedrill"), &program).expect("copy");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(&program).arg("clean");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let ended = end(command);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("usermod"), "{ended:?}");
}

#[test]
fn an_image_that_is_nowhere_is_named() {
    let Some(_turn) = engine() else { return };
    let lab = lab();
    let mut command = firedrill();
    command.current_dir(lab.path());
    let image = "firedrill.invalid/nothing:1";
    command.args(["test", "lab.yaml", "--launcher", "docker", "--image", image]);
    let ended = end(command);
    says(&ended, &[image, "docker images"]);
}

/// A disk that takes the image, but no container of it.
#[test]
fn a_full_disk_is_named() {
    let Some(_turn) = engine() else { return };
    let image = empty();
    let Some(own) = OwnEngine::start_on_small_disk() else {
        return;
    };
    own.take(&image);
    own.fill_disk();
    says(&run(&own.host(), &image), &["docker system df"]);
}
