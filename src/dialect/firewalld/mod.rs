//! firewalld: its files as they are in `/etc/firewalld`, loaded by firewalld itself on a D-Bus of its own.

mod attribute;
mod direct;
mod expected;
mod explain;
mod xml;

use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use firedrill_harness::protocol::Command;

pub(super) use self::attribute::{FROM_A_PACKAGE, OWN};
use self::xml::Element;
use super::{
    CANDIDATE, Config, Dialect, Kind, Mapped, Need, PrepareError, Prepared, Slot,
    stage::{Stage, Staged, folders, mapped_files},
};

/// The dialect.
pub static DIALECT: Dialect = Dialect {
    key: "firewalld",
    doc: "A configuration of firewalld: a folder with its files, or a map.",
    slots: &[
        Slot {
            name: "folder",
            what: "folder of firewalld's files",
            kind: Kind::Folder,
            need: Need::Required,
            doc: "A folder like `/etc/firewalld`, relative to this file; what is not in it is as in a fresh firewalld.",
        },
        Slot {
            name: "zones",
            what: "binding",
            kind: Kind::Lines,
            need: Need::Optional,
            doc: "Interfaces that something else than the files binds to zones, such as NetworkManager: `eth1=internal`.",
        },
    ],
    programs: &[
        ("dbus-daemon", "dbus-daemon"),
        ("dbus-send", "dbus-bin"),
        ("firewalld", "firewalld"),
    ],
    prepare,
    origins: attribute::origins,
    explain: explain::explain,
};

/// Where firewalld looks for the user's files, and for its own.
const ETC: &str = "/etc/firewalld";
const STOCK: &str = "/usr/lib/firewalld";

const CONF: &str = "/etc/firewalld/firewalld.conf";

/// The settings of a folder without some.
const DEFAULT_CONF: &str = "DefaultZone=public\nFirewallBackend=nftables\nIPv6_rpfilter=yes\n";

const BUS: &str = "/run/dbus/firewalld.conf";

const SERVICE: &str = "/run/dbus/services/org.fedoraproject.FirewallD1.service";

/// How the bus starts firewalld.
const START: &str = "[D-BUS Service]\nName=org.fedoraproject.FirewallD1\n\
    Exec=/usr/sbin/firewalld --nofork --nopid\n";

fn prepare(config: &Config, files: &[Mapped]) -> Result<Prepared, PrepareError> {
    let folder = config.main();
    let mut stage = Stage::default();
    stage.further(&[(ETC.into(), folder)])?;
    if find(&stage.files, Path::new(CONF)).is_none() {
        let shown = format!("(firewalld){CONF}");
        stage.text(CONF, Path::new(&shown), DEFAULT_CONF);
    }
    stock(&mut stage)?;
    for (inside, text) in [(BUS, include_str!("bus.conf")), (SERVICE, START)] {
        let shown = format!("(firedrill){inside}");
        stage.text(inside, Path::new(&shown), text);
    }
    stage.further(files)?;
    let command = |argv: Vec<String>| Command {
        argv,
        cwd: "/".into(),
        env: Vec::new(),
    };
    let bus = ["dbus-daemon", "--fork", "--config-file", BUS].map(str::to_owned);
    let start = ["sh", "-c", include_str!("start.sh"), "firewalld"].map(str::to_owned);
    let start = [start.to_vec(), config.lines("zones").to_vec()].concat();
    Ok(Prepared {
        name: CANDIDATE.to_owned(),
        config: config.clone(),
        files: stage.files,
        replaced: [vec![ETC.into()], folders(files)].concat(),
        writable: Vec::new(),
        several_ids: false,
        compiled: Vec::new(),
        folder: "/".into(),
        load: vec![command(bus.to_vec()), command(start)],
    })
}

fn find<'a>(files: &'a [Staged], path: &Path) -> Option<&'a Staged> {
    files.iter().find(|staged| staged.file.path == path)
}

/// Adds the files of firewalld's own that the user's do not replace: all zones and policies, and the services
/// that these name. firewalld reads them anyway; here they are read to know whose a rule is.
fn stock(stage: &mut Stage) -> Result<(), PrepareError> {
    for kind in ["zones", "policies"] {
        let folder = Path::new(STOCK).join(kind);
        // Where firewalld is not installed it will be missing later, too.
        if !folder.is_dir() {
            return Ok(());
        }
        for (_, path) in mapped_files(&[(folder.clone(), folder)])? {
            let name = path.file_name().unwrap_or_default();
            if find(&stage.files, &Path::new(ETC).join(kind).join(name)).is_none() {
                stage.file(&path, &path)?;
            }
        }
    }
    let mut wanted: VecDeque<String> = stage.files.iter().flat_map(services).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop_front() {
        let file = format!("services/{name}.xml");
        let own = Path::new(ETC).join(&file);
        let path: PathBuf = Path::new(STOCK).join(&file);
        // A name is no path.
        if name.contains('/') || !seen.insert(name) || find(&stage.files, &own).is_some() {
            continue;
        }
        if path.is_file() {
            stage.file(&path, &path)?;
            wanted.extend(stage.files.last().into_iter().flat_map(services));
        }
    }
    Ok(())
}

/// The services that a file names: in a zone, a policy, or another service.
fn services(staged: &Staged) -> Vec<String> {
    fn walk(element: &Element, found: &mut Vec<String>) {
        let named = match element.name.as_str() {
            "service" => element.attribute("name"),
            "include" => element.attribute("service"),
            _ => None,
        };
        found.extend(named.map(str::to_owned));
        for child in &element.children {
            walk(child, found);
        }
    }
    let mut found = Vec::new();
    let text = String::from_utf8_lossy(&staged.file.content.0);
    if let Some(root) = xml::read(&text) {
        walk(&root, &mut found);
    }
    found
}
