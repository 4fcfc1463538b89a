//! Command lines that mean nothing, and reports that cannot be written.

use std::fs;

use rstest::rstest;

use super::{common::Lab, is_refused};

fn scenario() -> Lab {
    Lab::new("table inet t {\n}\n").test("client -> firewall tcp/80: accept")
}

#[rstest]
#[case::no_command(&[], "Usage: firedrill")]
#[case::unknown_command(&["tset"], "tset")]
#[case::unknown_option(&["test", ".", "--lsit"], "--list")]
#[case::no_jobs(&["test", ".", "--jobs", "0"], "--jobs")]
#[case::jobs_in_words(&["test", ".", "--jobs", "many"], "many")]
#[case::unknown_colour(&["test", ".", "--color", "pink"], "always")]
#[case::unknown_report(&["test", ".", "--report", "xml"], "only terminal, json, junit")]
#[case::report_without_a_file(&["test", ".", "--report", "json="], "there is no file name")]
#[case::two_reports_to_one_place(&["test", ".", "--report", "json", "--report", "junit"], "`FORMAT=FILE`")]
#[case::shell_of_nothing(&["shell"], "SCENARIO")]
#[case::shell_of_many(&["shell", "many", "--", "true"], "a shell needs one file")]
#[case::candidate_of_nothing(&["test", ".", "--candidate"], "--candidate")]
fn a_command_line_that_means_nothing_is_refused(#[case] arguments: &[&str], #[case] said: &str) {
    let folder = scenario().folder();
    folder.write("many/candidate.nft", "table inet t {\n}\n");
    folder.write("many/one.yaml", scenario().yaml());
    folder.write("many/two.yaml", scenario().yaml());
    is_refused(&folder.firedrill(arguments), &[said]);
}

#[rstest]
#[case::below_a_file("candidate.nft/report")]
#[case::a_folder("folder")]
fn a_report_that_cannot_be_opened_is_refused(
    #[values("terminal", "json", "junit")] format: &str,
    #[case] path: &str,
) {
    let folder = scenario().folder();
    fs::create_dir(folder.path().join("folder")).expect("the folder is writable");
    let report = format!("{format}={path}");
    is_refused(
        &folder.firedrill(&["test", ".", "--report", &report]),
        &[&report],
    );
}

/// A gate must not open because its report was lost.
#[rstest]
fn a_report_that_cannot_be_written_is_no_success(
    #[values("terminal", "json", "junit")] format: &str,
) {
    let report = format!("{format}=/dev/full");
    let ended = scenario()
        .folder()
        .firedrill(&["test", ".", "--report", &report]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("could not write the report"),
        "{ended:?}"
    );
}
