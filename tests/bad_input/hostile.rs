//! Input that would hang the program or eat the machine, if it were let.

use std::{fs::File, process::Command};

use rstest::rstest;

use super::{
    common::{Ended, Folder, Lab, end, firedrill},
    is_refused,
};

/// Refusing takes milliseconds of processor time; the limit is in seconds.
const PROCESSOR_TIME: u32 = 15;

/// More than the program needs, less than the machine has, in KiB.
const MEMORY: u32 = 2 << 20;

fn scenario() -> Lab {
    Lab::new("table inet t {\n}\n").test("client -> firewall tcp/80: accept")
}

/// `firedrill` with limits on its memory and its processor time.
fn bounded(folder: &Folder, arguments: &[&str]) -> Ended {
    let mut command = Command::new("/bin/sh");
    let script = format!("ulimit -v {MEMORY} -t {PROCESSOR_TIME}; exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(firedrill().get_program())
        .args(arguments);
    command.current_dir(folder.path());
    end(command)
}

fn make_pipe(folder: &Folder, name: &str) {
    let made = Command::new("mkfifo")
        .arg(folder.path().join(name))
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "mkfifo can be run"
    );
}

/// Sees that the candidate was refused in time, for this reason.
#[track_caller]
fn candidate_is_refused(folder: &Folder, candidate: &str, said: &str) {
    let ended = bounded(folder, &["test", "lab.yaml", "--candidate", candidate]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains(said), "no {said:?} in:\n{told}");
}

#[rstest]
#[case::itself("include \"hostile.nft\"\n", "too deeply")]
#[case::itself_from_here("include \"./hostile.nft\"\n", "too deeply")]
#[case::everything_here("include \"./*.nft\"\n", "too deeply")]
#[case::without_end(
    "include \"/dev/zero\"\n",
    "/dev/zero: it is neither a file nor a folder"
)]
#[case::without_end_by_a_detour(
    "include \"/dev/../dev/./zero\"\n",
    "it is neither a file nor a folder"
)]
#[case::without_end_by_a_wildcard(
    "include \"/dev/zer?\"\n",
    "/dev/zero: it is neither a file nor a folder"
)]
#[case::without_end_on_the_next_line(
    "include \\\n \"/dev/zero\"\n",
    "/dev/zero: it is neither a file nor a folder"
)]
#[case::noise(
    "include \"/dev/urandom\"\n",
    "/dev/urandom: it is neither a file nor a folder"
)]
#[case::a_pipe("include \"./pipe\"\n", "pipe: it is neither a file nor a folder")]
#[case::a_pipe_by_a_wildcard("include \"./pip*\"\n", "pipe: it is neither a file nor a folder")]
#[case::the_kernel_s("include \"/proc/self/mem\"\n", "/proc/self/mem: it is the kernel's")]
#[case::huge("include \"./huge\"\n", "with it the candidate has more than 256 MiB")]
#[case::a_link_to_itself("include \"./loop\"\n", "hostile.nft:1:")]
fn a_candidate_that_includes_something_endless_is_refused(
    #[case] candidate: &str,
    #[case] said: &str,
) {
    let folder = scenario().folder();
    folder.write("hostile.nft", candidate);
    make_pipe(&folder, "pipe");
    // Takes no room on disk.
    let huge = File::create(folder.path().join("huge")).and_then(|file| file.set_len(1 << 40));
    huge.expect("a sparse file can be made");
    let link = std::os::unix::fs::symlink("loop", folder.path().join("loop"));
    link.expect("a link can be made");
    candidate_is_refused(&folder, "hostile.nft", said);
}

#[rstest]
#[case::a_pipe("pipe")]
#[case::a_device("/dev/zero")]
#[case::the_kernel_s("/proc/kmsg")]
fn a_candidate_that_is_endless_itself_is_refused(#[case] candidate: &str) {
    let folder = scenario().folder();
    make_pipe(&folder, "pipe");
    candidate_is_refused(&folder, candidate, candidate);
    let shell = ["shell", "lab.yaml", "--candidate", candidate, "--", "true"];
    is_refused(&bounded(&folder, &shell), &[candidate]);
    folder.write(
        "lab.yaml",
        scenario().yaml().replace("candidate.nft", candidate),
    );
    let ended = bounded(&folder, &["test", "lab.yaml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

/// `files:` brings folders into the sandbox as they are.
#[test]
fn a_pipe_among_the_further_files_is_refused() {
    let folder = scenario().firewall("files: { /etc/lab.d: parts }").folder();
    folder.write("parts/good.nft", "# good\n");
    make_pipe(&folder, "parts/pipe");
    let ended = bounded(&folder, &["test", "lab.yaml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stdout.contains("parts/pipe: it is neither"),
        "{ended:?}"
    );
}

#[rstest]
#[case::deep_lists(&"[".repeat(100_000), "lab.yaml")]
#[case::deep_maps(&"{a: ".repeat(100_000), "lab.yaml")]
#[case::deep_by_indentation(&(0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 400))).collect::<String>(), "lab.yaml")]
#[case::huge(&"# nothing\n".repeat(200_000), "is bigger than 1024 KiB")]
#[case::many_keys(&(0..50_000).map(|key| format!("key{key}: 1\n")).collect::<String>(), "lab.yaml:1:1")]
#[case::many_aliases(&aliases(), "lab.yaml")]
fn a_scenario_that_would_grow_is_refused(#[case] text: &str, #[case] said: &str) {
    let folder = Folder::new();
    folder.write("lab.yaml", text);
    is_refused(&bounded(&folder, &["test", "lab.yaml"]), &[said]);
}

/// Ten lists, each of ten times the one before: ten thousand million values.
fn aliases() -> String {
    let first = "tags: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    (1..10).fold(first, |text, level| {
        let again = format!("*a{}, ", level - 1).repeat(10);
        format!("{text}tags{level}: &a{level} [{again}]\n")
    })
}

#[rstest]
#[case::a_pipe("pipe.yaml")]
#[case::a_device("/dev/zero")]
fn a_scenario_that_is_endless_is_refused(#[case] path: &str) {
    let folder = Folder::new();
    make_pipe(&folder, "pipe.yaml");
    is_refused(
        &bounded(&folder, &["test", path]),
        &[path, "is neither a file nor a folder"],
    );
}

#[test]
fn shared_parts_that_include_each_other_are_refused() {
    let folder = Folder::new();
    folder.write("_one.yaml", "include: _two.yaml\n");
    folder.write("_two.yaml", "include: _one.yaml\n");
    folder.write("lab.yaml", "include: _one.yaml\n");
    is_refused(
        &bounded(&folder, &["test", "lab.yaml"]),
        &["_two.yaml:1:10"],
    );
}
