//! Images are built when they are needed, once, and removed on request.

use crate::{
    common::{Ended, Folder, end, firedrill},
    engine::{RELEASES, base, docker, engine, good, wait_until},
};

fn images(folder: &Folder, arguments: &[&str]) -> Ended {
    let mut command = firedrill();
    command
        .arg("images")
        .args(arguments)
        .current_dir(folder.path());
    end(command)
}

/// A folder with the image `NAME` in it, which takes no time to build.
fn quick(name: &str) -> Folder {
    let folder = Folder::new();
    folder.write(
        &format!("{name}/Dockerfile"),
        "ARG BASE\nFROM ${BASE}\nCOPY hello /hello\nRUN cat /hello\n",
    );
    folder.write(&format!("{name}/hello"), "said-by-the-build\n");
    folder
}

#[test]
fn an_image_is_built_once_and_again_when_its_content_changes() {
    let Some(_turn) = engine() else { return };
    let base = base(RELEASES[0]);
    let folder = quick("test-once");
    let build = ["build", "test-once", "--base", &base];
    let first = images(&folder, &build);
    assert!(first.stderr.contains("said-by-the-build"), "{first:?}");
    let name = good(first).trim().to_owned();
    assert!(name.starts_with("firedrill/test-once:"), "{name}");

    let again = images(&folder, &build);
    assert_eq!(again.stderr, "");
    assert_eq!(good(again).trim(), name);

    folder.write("test-once/hello", "something else\n");
    let changed = images(&folder, &build);
    assert!(changed.stderr.contains("something else"), "{changed:?}");
    let other = good(changed).trim().to_owned();
    assert_ne!(other, name);

    let listed = good(images(&folder, &[]));
    for name in [&name, &other] {
        assert!(listed.contains(name.as_str()), "{listed}");
        good(images(&folder, &["remove", name]));
    }
    let listed = good(images(&folder, &["list"]));
    assert!(!listed.contains("firedrill/test-once:"), "{listed}");
}

#[test]
fn only_what_firedrill_built_can_be_removed() {
    let Some(_turn) = engine() else { return };
    let folder = Folder::new();
    let ended = images(&folder, &["remove", "debian:12"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("has built no image debian:12"),
        "{ended:?}"
    );
}

#[test]
fn a_build_that_fails_says_what_its_command_said() {
    let Some(_turn) = engine() else { return };
    let base = base(RELEASES[0]);
    let folder = Folder::new();
    folder.write(
        "test-bad/Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN echo it is the moon; exit 7\n",
    );
    let ended = images(&folder, &["build", "test-bad", "--base", &base]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for said in ["it is the moon", "non-zero code: 7"] {
        let (_, error) = ended.stderr.split_once("error: ").expect("an error");
        assert!(error.contains(said), "{error}");
    }
    let mut clean = firedrill();
    clean.arg("clean");
    good(end(clean));
    assert_eq!(unfinished(), "");
}

/// What builds left behind: images without a name, containers of their steps.
fn unfinished() -> String {
    let label = "label=dev.firedrill.image";
    let images = [
        "images",
        "--quiet",
        "--filter",
        label,
        "--filter",
        "dangling=true",
    ];
    let containers = ["ps", "--all", "--quiet", "--filter", label];
    docker(&images) + &docker(&containers)
}

#[test]
fn a_build_that_is_killed_leaves_nothing() {
    let Some(_turn) = engine() else { return };
    let base = base(RELEASES[0]);
    let folder = Folder::new();
    folder.write(
        "test-long/Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN echo one > /one\nRUN sleep 1000\n",
    );
    let mut command = firedrill();
    command.args(["images", "build", "test-long", "--base", &base]);
    command.current_dir(folder.path());
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let mut build = command.spawn().expect("firedrill starts");
    wait_until("the build sleeps", || {
        let running = ["ps", "--quiet", "--filter", "label=dev.firedrill.image"];
        let running = docker(&running);
        let mut identities = running.lines();
        identities
            .any(|one| docker(&["inspect", "--format", "{{.Config.Cmd}}", one]).contains("sleep"))
    });
    build.kill().expect("a child can be killed");
    build.wait().expect("a child can be awaited");
    wait_until("everything of the build is gone", || {
        let mut clean = firedrill();
        clean.arg("clean");
        good(end(clean));
        unfinished().is_empty()
    });
}
