//! The commands of containers, in a program that was built without them: they say how to build one that has them.

use std::ffi::OsString;

use clap::Args;

use super::complain;
use crate::{record::exit::Exit, run::launch::WITHOUT_CONTAINERS};

#[derive(Debug, Args)]
pub(super) struct ImagesArguments {
    /// Whatever they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

pub(super) fn images(_: &ImagesArguments) -> Exit {
    clean()
}

pub(super) fn clean() -> Exit {
    complain(&format!("error: {WITHOUT_CONTAINERS}"));
    Exit::Inconclusive
}
