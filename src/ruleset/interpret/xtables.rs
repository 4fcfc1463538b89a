//! Matches and targets of iptables: `match` and `target` (net/netfilter/nft_compat.c).

use super::evaluation::{Effect, Evaluation};
use crate::ruleset::program::XtExtension;

impl Evaluation<'_, '_> {
    pub(super) fn xt_match(&mut self, extension: &XtExtension) -> Effect {
        self.opaque(&extension.name)
    }

    pub(super) fn xt_target(&mut self, extension: &XtExtension) -> Effect {
        self.opaque(&extension.name)
    }
}
