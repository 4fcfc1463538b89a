//! `firedrill doctor`.

use anstyle::{AnsiColor, Style};

use super::{Where, complain, runtime, say};
use crate::{analysis::doctor, record::exit::Exit};

pub(super) fn doctor(place: &Where, color: bool) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let findings = runtime.block_on(doctor::examine(place.launchers(), &mut complain));
    runtime.shutdown_background();
    for finding in &findings {
        let (style, word) = if finding.fine {
            (AnsiColor::Green.on_default().bold(), "ok     ")
        } else {
            (AnsiColor::Red.on_default().bold(), "MISSING")
        };
        let style = if color { style } else { Style::new() };
        say(&format!(
            "{style}{word}{style:#} {:<10} {}",
            finding.subject, finding.detail
        ));
        if !finding.fine {
            for remedy in &finding.remedies {
                say(&format!("        -> {remedy}"));
            }
        }
    }
    if findings.iter().all(|finding| finding.fine) {
        say("this machine can run nftables scenarios");
        Exit::Success
    } else {
        Exit::Inconclusive
    }
}
