//! Ready-made layers: what other programs put beside a firewall on the same machine, written down from
//! what these programs do. They are iptables rules that are added to what is there.

use std::path::Path;

use super::{Config, Prepared, iptables, stage::Stage};

/// A layer that comes with firedrill.
#[derive(Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name in `layers:`.
    pub name: &'static str,
    /// Its IPv4 rules, for `iptables-restore --noflush`. None of the programs touches IPv6 unasked.
    rules: &'static str,
}

/// Every one of them.
pub static ALL: &[Shipped] = &[
    Shipped {
        name: "docker",
        rules: include_str!("shipped/docker.v4"),
    },
    Shipped {
        name: "libvirt",
        rules: include_str!("shipped/libvirt.v4"),
    },
];

/// The shipped layer with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Shipped> {
    ALL.iter().find(|layer| layer.name == name)
}

pub(super) fn prepare(layer: &Shipped) -> Prepared {
    let shown = format!("(firedrill)/{}.v4", layer.name);
    let mut config = Config::new(&iptables::DIALECT);
    config.set("v4", vec![shown.clone()]);
    config.set("noflush", vec!["true".to_owned()]);
    let mut stage = Stage::default();
    stage.text(iptables::RULES_V4, Path::new(&shown), layer.rules);
    Prepared {
        name: layer.name.to_owned(),
        ..iptables::from_files(&config, &stage.files)
    }
}
