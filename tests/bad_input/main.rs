//! Bad input of every kind: the program ends with 2, says where and what to do, runs nothing, and
//! neither hangs nor grows.

#[path = "../common/mod.rs"]
mod common;

mod candidate;
mod hostile;
mod scenario;
mod usage;

use common::Ended;

/// Sees that nothing was run or reported, and that the error says all of this.
#[track_caller]
fn is_refused(ended: &Ended, said: &[&str]) {
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    for part in said {
        assert!(
            ended.stderr.contains(part),
            "no {part:?} in:\n{}",
            ended.stderr
        );
    }
    // An error is for people: it is neither a panic nor full of escape sequences.
    assert!(
        !ended.stderr.contains("panicked") && !ended.stderr.contains('\u{1b}'),
        "{ended:?}"
    );
}
