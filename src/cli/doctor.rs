//! `firedrill doctor`.

use anstyle::{AnsiColor, Style};

use super::{Where, complain, runtime, say};
use crate::{
    analysis::doctor,
    record::{
        exit::Exit,
        finding::{Finding, Level},
    },
};

pub(super) fn doctor(place: &Where, color: bool) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let findings = runtime.block_on(doctor::examine(place.launchers(), &mut complain));
    runtime.shutdown_background();
    let is_fine = |finding: &Finding| finding.level == Level::Pass;
    for finding in &findings {
        let (style, word) = if is_fine(finding) {
            (AnsiColor::Green.on_default().bold(), "ok     ")
        } else {
            (AnsiColor::Red.on_default().bold(), "MISSING")
        };
        let style = if color { style } else { Style::new() };
        let subject = finding.id.trim_start_matches("doctor/");
        say(&format!(
            "{style}{word}{style:#} {subject:<10} {}",
            finding.sentence
        ));
        for remedy in &finding.remedies {
            say(&format!("        -> {remedy}"));
        }
    }
    if findings.iter().all(is_fine) {
        say("this machine can run nftables scenarios");
        Exit::Success
    } else {
        Exit::Inconclusive
    }
}
