//! `firewall:`: the candidate, the interfaces, and the settings of the machine under test.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use ipnet::IpNet;

use crate::{
    dialect::{
        CANDIDATE, Config, Dialect, Kind as SlotKind, Layer, Slot, Written, candidate_name, layers,
    },
    scenario::{
        Candidate, Family, Firewall, Interface, Route, Vlan,
        format::{
            self, NAME_PATTERN, Object, PREFIX, Shape,
            words::{self, quote},
        },
        read::{
            Reader,
            address::{QUOTE_IPV6, family_of_net},
            fields::Value,
            keys::{boolean, decimal, keys, line, raw},
        },
        text::{
            files,
            source::Span,
            tree::{Kind, Word},
        },
    },
};

/// Longest interface name, in bytes (Linux `IFNAMSIZ` less its final zero).
const LONGEST_NAME: usize = 15;
/// Most candidates of a firewall.
const MAX_CANDIDATES: usize = 16;
/// Most interfaces of a firewall.
const MAX_INTERFACES: usize = 256;
/// Most addresses of an interface.
const MAX_ADDRESSES: usize = 64;

keys! {
    /// The machine under test.
    FIREWALL = "firewall", "the firewall", struct FirewallKeys<'n>.dialects().spread().planned(&["marks", "zones"]) {
        /// Several configurations under test, by name: every test is made against each, and reports say where
        /// they differ.
        _candidates "candidates": Value<'n> = Shape::Map(NAME_PATTERN, &Shape::Object(&ONE_CANDIDATE)) => raw, either;
        /// Several configurations, loaded in this order, one on top of the other: `candidate` is the one under
        /// test, other words are layers that come with firedrill, and a map is another configuration of yours.
        layers: Value<'n> = Shape::OneOrMore(&Shape::AnyOf(&[Shape::Word(layer_words), Shape::Object(&LAYER)])) => raw;
        /// Further files that the configuration needs: absolute path in the sandbox to a file or folder,
        /// relative to this file.
        files: Value<'n> = Shape::Map("^/", &Shape::Text) => raw;
        /// The interfaces as the ruleset names them, each with its addresses (`192.0.2.10/24`), or with what
        /// it is a VLAN of.
        interfaces: Value<'n> = Shape::Map("^[^/:\\s]{1,15}$", &INTERFACE_OR_ADDRESSES) => raw, required;
        /// Whether the kernel forwards packets between interfaces; true when not given.
        forwarding: bool = Shape::Bool => boolean;
        /// Routes beyond the interfaces' own networks: `default via 192.0.2.1`, `10.9.0.0/16 via 10.0.0.2`.
        routes: Value<'n> = Shape::OneOrMore(&Shape::Pattern("^\\S+\\s+via\\s+\\S+$")) => raw;
        /// Kernel settings below `net.`, set before the ruleset is loaded.
        sysctl: Value<'n> = Shape::Map("^net\\.[a-zA-Z0-9_./-]+$", &Shape::Scalar) => raw;
    }
}

/// One of `candidates:`.
static ONE_CANDIDATE: Object = Object::new(
    "candidate",
    "the candidate",
    " A configuration under test, in any dialect.",
    &[],
)
.dialects();

keys! {
    /// A configuration beside the one under test.
    LAYER = "layer", "the layer", struct LayerKeys<'n>.dialects() {
        /// What reports call it.
        name: Word<'n> = Shape::Text => line("a name"), required;
    }
}

keys! {
    /// An interface that is more than a device with addresses.
    INTERFACE = "interface", "the interface", struct InterfaceKeys<'n> {
        /// Its address or addresses with prefix lengths.
        address: Value<'n> = Shape::OneOrMore(&PREFIX) => raw;
        /// The VLAN that it is, and of which interface.
        vlan: Value<'n> = Shape::Object(&VLAN) => raw;
    }
}

keys! {
    /// A VLAN of another interface.
    VLAN = "vlan", "the VLAN", struct VlanKeys<'n> {
        /// The interface below, which stands before this one.
        on: Word<'n> = Shape::Text => line("an interface"), required;
        /// The number of the VLAN.
        id: u16 = Shape::Number(1, 4094) => decimal("a VLAN"), required;
        /// With service tags (802.1ad), for VLANs in VLANs.
        service: bool = Shape::Bool => boolean;
    }
}

static INTERFACE_OR_ADDRESSES: Shape =
    Shape::AnyOf(&[Shape::OneOrMore(&PREFIX), Shape::Object(&INTERFACE)]);

fn layer_words() -> Vec<&'static str> {
    let shipped = layers::ALL.iter().map(|layer| layer.name);
    std::iter::once(CANDIDATE).chain(shipped).collect()
}

/// The firewall as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct FirewallDraft {
    candidate: Option<Config>,
    pub(super) candidates: Vec<Candidate>,
    layers: Vec<Layer>,
    files: Vec<(PathBuf, PathBuf)>,
    pub(super) interfaces: Vec<Side>,
    /// Whether an interface that is not among them does not exist.
    pub(super) complete: bool,
    forwarding: bool,
    routes: Vec<Route>,
    sysctl: Vec<(String, String)>,
}

/// An interface.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) addresses: Vec<(IpNet, Span)>,
    vlan: Option<Vlan>,
    /// Whether these are all its addresses.
    pub(super) sound: bool,
}

impl Side {
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for (net, _) in &self.addresses {
            families.push(family_of_net(*net));
        }
        families.sort_unstable();
        families.dedup();
        families
    }

    /// Its first address of this family.
    pub(super) fn address(&self, family: Family) -> Option<IpAddr> {
        let mut nets = self.addresses.iter().map(|(net, _)| *net);
        nets.find(|net| family_of_net(*net) == family)
            .map(|net| net.addr())
    }
}

impl FirewallDraft {
    pub(super) fn finish(self) -> Option<Firewall> {
        let interfaces = self.interfaces.into_iter().map(|side| Interface {
            name: side.name,
            addresses: side.addresses.into_iter().map(|(net, _)| net).collect(),
            vlan: side.vlan,
        });
        Some(Firewall {
            candidate: self.candidate?,
            candidates: self.candidates,
            layers: self.layers,
            files: self.files,
            interfaces: interfaces.collect(),
            forwarding: self.forwarding,
            routes: self.routes,
            sysctl: self.sysctl,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().map(|side| side.name.as_str())
    }

    /// Where the firewall itself has this address.
    pub(super) fn owner(&self, ip: IpAddr) -> Option<(&Side, Span)> {
        self.prefixes()
            .find(|(_, net, _)| net.addr() == ip)
            .map(|(index, _, at)| (&self.interfaces[index], at))
    }

    /// The interface in whose network this address is.
    pub(super) fn link(&self, ip: IpAddr) -> Option<(usize, IpNet, Span)> {
        self.prefixes().find(|(_, net, _)| net.contains(&ip))
    }

    /// The interface through which the most particular route to this address leads.
    pub(super) fn routed(&self, ip: IpAddr) -> Option<usize> {
        let routes = self.routes.iter();
        let leading = routes.filter(|route| route.destination.contains(&ip));
        leading
            .max_by_key(|route| route.destination.prefix_len())
            .map(|route| route.interface)
    }

    fn prefixes(&self) -> impl Iterator<Item = (usize, IpNet, Span)> {
        self.interfaces
            .iter()
            .enumerate()
            .flat_map(|(index, side)| {
                let addresses = side.addresses.iter();
                addresses.map(move |(net, at)| (index, *net, *at))
            })
    }
}

impl Reader<'_> {
    pub(super) fn firewall(&mut self, value: Value<'_>) -> FirewallDraft {
        let mut firewall = FirewallDraft {
            forwarding: true,
            layers: vec![Layer::Candidate],
            ..FirewallDraft::default()
        };
        let Some(keys) = FirewallKeys::read(self, value) else {
            return firewall;
        };
        match keys.either() {
            Some(("candidates", value)) => {
                firewall.candidates = self.candidates(value);
                let first = firewall.candidates.first();
                firewall.candidate = first.map(|first| first.config.clone());
            }
            Some((dialect, value)) => firewall.candidate = self.configuration(dialect, value),
            None => {}
        }
        if let Some(value) = keys.layers {
            firewall.layers = self.layers(value);
        }
        if let Some(value) = keys.files {
            firewall.files = self.files(value);
        }
        if let Some(value) = keys.interfaces {
            self.interfaces(value, &mut firewall);
        }
        firewall.forwarding = keys.forwarding.unwrap_or(true);
        if let Some(value) = keys.routes {
            firewall.routes = self.routes(value, &firewall);
        }
        if let Some(value) = keys.sysctl {
            firewall.sysctl = self.sysctl(value);
        }
        firewall
    }

    /// Those that could be read; what is wrong with the others has been reported.
    fn candidates(&mut self, value: Value<'_>) -> Vec<Candidate> {
        let wanted = "a map of candidates";
        let entries = self.entries(value, wanted).unwrap_or_default();
        if let (Kind::Map(_), true) = (&value.node.kind, entries.is_empty()) {
            self.problem(value.at, "there is no candidate").help(
                "name at least one: `{ old: { iptables: rules.v4 }, new: { nftables: new.nft } }`",
            );
        }
        if entries.len() > MAX_CANDIDATES {
            let message = format!("a firewall has at most {MAX_CANDIDATES} candidates");
            self.problem(value.at, message);
            return Vec::new();
        }
        let mut candidates = Vec::new();
        for (name, value) in entries {
            if let Err(why) = candidate_name(name.text) {
                self.problem(name.span, format!("{name} {why}"));
            }
            let fields = self.fields(value, &ONE_CANDIDATE);
            let given = fields.and_then(|fields| fields.either());
            let config = given.and_then(|(dialect, value)| self.configuration(dialect, value));
            candidates.extend(config.map(|config| Candidate {
                name: name.text.to_owned(),
                config,
            }));
        }
        candidates
    }

    /// A configuration in the dialect with this key.
    fn configuration(&mut self, key: &str, value: Value<'_>) -> Option<Config> {
        let dialect = Dialect::named(key)?;
        let mut config = Config::new(dialect);
        let main = dialect.main();
        let bare = matches!(value.node.kind, Kind::Scalar(_))
            || main.kind == SlotKind::Lines && matches!(value.node.kind, Kind::List(_));
        if bare || dialect.slots.len() == 1 {
            config.set(main.name, self.slot(main, value)?);
            return Some(config);
        }
        let fields = self.fields(value, format::dialect(dialect))?;
        let mut sound = true;
        for slot in dialect.slots {
            let Some(value) = fields.get(slot.name) else {
                continue;
            };
            match self.slot(slot, value) {
                Some(value) => config.set(slot.name, value),
                None => sound = false,
            }
            if slot.kind == SlotKind::Lines {
                config.written(slot.name, self.places(value));
            }
        }
        let missing = dialect.missing(|slot| fields.get(slot).is_some());
        // A required one has been reported.
        if let Some(names) = missing.filter(|names| names.len() > 1) {
            let names = words::list(&names, "and");
            self.problem(value.at, format!("{key} has none of {names}"));
            sound = false;
        }
        sound.then_some(config)
    }

    /// Where each of one or more values was written.
    fn places(&self, value: Value<'_>) -> Vec<Written> {
        let items = match &value.node.kind {
            Kind::List(items) => items.iter().map(|item| item.span).collect(),
            _ => vec![value.node.span],
        };
        let mut text = (usize::MAX, Arc::from(""));
        let place = |span: Span| {
            let source = self.sources.get(span.file);
            if text.0 != span.file {
                text = (span.file, Arc::from(source.text.as_str()));
            }
            Written {
                file: source.path.clone(),
                text: Arc::clone(&text.1),
                at: span.start,
                line: source.line_of(span.start) + 1,
            }
        };
        items.into_iter().map(place).collect()
    }

    fn slot(&mut self, slot: &'static Slot, value: Value<'_>) -> Option<Vec<String>> {
        let wanted = format!("the path of a {}", slot.what);
        let check = match slot.kind {
            SlotKind::File => files::check_file,
            SlotKind::Folder => files::check_folder,
            SlotKind::Word(known) => {
                let word = self.line(value, slot.what)?;
                if !known.contains(&word.text) {
                    let help = words::suggest(word.text, known.iter().copied());
                    self.no_such(word, slot.what, help);
                    return None;
                }
                return Some(vec![word.text.to_owned()]);
            }
            SlotKind::Lines => {
                let items = self.one_or_more(value, slot.what);
                let lines = items.into_iter().map(|item| self.line(item, slot.what));
                let lines: Vec<_> = lines.collect();
                return lines
                    .into_iter()
                    .map(|line| Some(line?.text.to_owned()))
                    .collect();
            }
        };
        let word = self.line(value, &wanted)?;
        let path = self.path(word);
        if let Err(why) = check(&path) {
            self.problem(word.span, format!("the {} {word} {why}", slot.what))
                .help(looked_for(&path));
            return None;
        }
        // It was text, and so was the folder that it is in.
        path.to_str().map(|path| vec![path.to_owned()])
    }

    fn layers(&mut self, value: Value<'_>) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut candidate: Option<Span> = None;
        let items = match &value.node.kind {
            Kind::Map(_) => vec![value],
            _ => self.one_or_more(value, "a layer or a list of layers"),
        };
        for item in items {
            if let Kind::Map(_) = item.node.kind {
                layers.extend(self.layer(item));
                continue;
            }
            let Some(word) = self.line(item, "a layer") else {
                continue;
            };
            if word.text != CANDIDATE {
                match layers::named(word.text) {
                    Some(shipped) => layers.push(Layer::Shipped(shipped)),
                    None => {
                        let known = layers::ALL.iter().map(|layer| layer.name);
                        let help = words::suggest(word.text, known.chain([CANDIDATE]));
                        self.no_such(word, "layer", help);
                    }
                }
                continue;
            }
            if let Some(first) = candidate.replace(word.span) {
                self.problem(word.span, "the candidate can be loaded only once")
                    .also(first, "first here");
            }
            layers.push(Layer::Candidate);
        }
        if candidate.is_none() {
            self.problem(value.at, "the layers are without the one under test")
                .help("write `candidate` where it is to be loaded");
        }
        layers
    }

    fn layer(&mut self, value: Value<'_>) -> Option<Layer> {
        let keys = LayerKeys::read(self, value)?;
        let config = keys
            .either()
            .and_then(|(dialect, value)| self.configuration(dialect, value));
        Some(Layer::Other {
            name: keys.name?.text.to_owned(),
            config: config?,
        })
    }

    fn files(&mut self, value: Value<'_>) -> Vec<(PathBuf, PathBuf)> {
        let mut files = Vec::new();
        for (target, source) in self.entries(value, "a map of paths").unwrap_or_default() {
            let sane = target.text.starts_with('/')
                && target.text.len() > 1
                && !target
                    .text
                    .split('/')
                    .any(|part| part == ".." || part == ".")
                && !target.text.chars().any(char::is_control);
            if !sane {
                self.problem(
                    target.span,
                    format!("{target} is not a path in the sandbox"),
                )
                .help("write an absolute path without `.` and `..`, such as `/etc/nftables.d`");
            }
            let Some(word) = self.line(source, "the path of a file or folder") else {
                continue;
            };
            let path = self.path(word);
            if let Err(why) = files::check_file_or_folder(&path) {
                self.problem(word.span, format!("{word} {why}"))
                    .help(looked_for(&path));
            }
            files.push((PathBuf::from(target.text), path));
        }
        files
    }

    fn interfaces(&mut self, value: Value<'_>, firewall: &mut FirewallDraft) {
        let Some(entries) = self.entries(value, "a map of interfaces") else {
            return;
        };
        if entries.is_empty() {
            self.problem(value.at, "the firewall has no interface")
                .help("add at least one: `eth0: 192.0.2.10/24`");
            return;
        }
        if entries.len() > MAX_INTERFACES {
            self.problem(
                value.at,
                format!("a firewall has at most {MAX_INTERFACES} interfaces"),
            );
            return;
        }
        for (name, value) in entries {
            let named = self.interface_name(name);
            if name.text == "lo" {
                continue;
            }
            let side = self.interface(name, value, firewall);
            firewall.interfaces.push(Side {
                sound: side.sound && named,
                ..side
            });
        }
        firewall.complete = !self.incomplete;
    }

    fn interface_name(&mut self, name: Word<'_>) -> bool {
        let why = match name.text {
            "lo" => "is the loopback interface, which every machine has anyway",
            "all" | "default" => "means something else to the kernel's sysctl",
            "" | "." | ".." => "is not a name that Linux allows for an interface",
            text if text.len() > LONGEST_NAME => "is longer than the 15 bytes that Linux allows",
            text if text.contains(|c: char| {
                c == '/' || c == ':' || c.is_whitespace() || c.is_control()
            }) =>
            {
                "contains a character that Linux does not allow in an interface's name"
            }
            _ => return true,
        };
        self.problem(name.span, format!("{name} {why}"));
        false
    }

    fn interface(&mut self, name: Word<'_>, value: Value<'_>, firewall: &FirewallDraft) -> Side {
        let mut side = Side {
            name: name.text.to_owned(),
            at: name.span,
            addresses: Vec::new(),
            vlan: None,
            sound: true,
        };
        let value = match self.detailed(value, &mut side, firewall) {
            Ok(Some(addresses)) => addresses,
            Ok(None) => return side,
            Err(value) => value,
        };
        if let Kind::Map(_) | Kind::Null = value.node.kind {
            self.unexpected(value, "an address or a list of addresses")
                .help(format!(
                    "for an interface without any write `[]`; {QUOTE_IPV6}"
                ));
            side.sound = false;
            return side;
        }
        let items = self.one_or_more(value, "an address or a list of addresses");
        if items.len() > MAX_ADDRESSES {
            self.problem(
                value.at,
                format!("an interface has at most {MAX_ADDRESSES} addresses"),
            );
            side.sound = false;
            return side;
        }
        for item in items {
            match self.side_address(item, &side, firewall) {
                Some(address) => side.addresses.push(address),
                None => side.sound = false,
            }
        }
        side
    }

    /// An interface with `address` and `vlan`; gives its addresses, or the value back if it is none.
    fn detailed<'n>(
        &mut self,
        value: Value<'n>,
        side: &mut Side,
        firewall: &FirewallDraft,
    ) -> Result<Option<Value<'n>>, Value<'n>> {
        let Kind::Map(entries) = &value.node.kind else {
            return Err(value);
        };
        if !entries
            .iter()
            .any(|entry| INTERFACE.key(&entry.key.text).is_some())
        {
            return Err(value);
        }
        let Some(keys) = InterfaceKeys::read(self, value) else {
            side.sound = false;
            return Ok(None);
        };
        if let Some(value) = keys.vlan {
            side.vlan = self.vlan(value, side.at, firewall);
            side.sound &= side.vlan.is_some();
        }
        Ok(keys.address)
    }

    fn vlan(&mut self, value: Value<'_>, name: Span, firewall: &FirewallDraft) -> Option<Vlan> {
        let keys = VlanKeys::read(self, value)?;
        let (below, id) = (keys.on?, keys.id.filter(|_| keys.sound)?);
        let service = keys.service.unwrap_or_default();
        let Some(on) = firewall.names().position(|known| known == below.text) else {
            let help = words::suggest(below.text, firewall.names());
            self.no_such(below, "interface", help);
            return None;
        };
        let vlan = Vlan { on, id, service };
        let twin = firewall
            .interfaces
            .iter()
            .find(|side| side.vlan == Some(vlan));
        if let Some(twin) = twin {
            let (at, twin) = (twin.at, quote(&twin.name));
            let message = format!("{below} has the VLAN {id} twice");
            self.problem(name, message)
                .also(at, format!("{twin} is it already"));
            return None;
        }
        Some(vlan)
    }

    fn side_address(
        &mut self,
        item: Value<'_>,
        side: &Side,
        firewall: &FirewallDraft,
    ) -> Option<(IpNet, Span)> {
        if let Kind::Map(_) = item.node.kind {
            self.unexpected(item, "an address").help(QUOTE_IPV6);
            return None;
        }
        let word = self.line(item, "an address")?;
        let net = self.interface_address(word)?;
        let mine = side.addresses.iter();
        let twin = mine
            .copied()
            .find(|(other, _)| other.addr() == net.addr())
            .map(|(_, at)| at)
            .or_else(|| firewall.owner(net.addr()).map(|(_, at)| at));
        if let Some(first) = twin {
            self.problem(
                word.span,
                format!("the firewall has the address {} twice", net.addr()),
            )
            .also(first, "first here");
            return None;
        }
        let overlap = firewall
            .prefixes()
            .find(|(_, other, _)| other.contains(&net.trunc()) || net.trunc().contains(other));
        if let Some((other, _, at)) = overlap {
            let name = &firewall.interfaces[other].name;
            self.problem(
                word.span,
                format!(
                    "the networks of {} and {} overlap",
                    quote(&side.name),
                    quote(name)
                ),
            )
            .also(at, format!("the network of {}", quote(name)))
            .help("the kernel could not tell which interface an address is behind");
            return None;
        }
        Some((net, word.span))
    }

    fn sysctl(&mut self, value: Value<'_>) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        for (name, value) in self.entries(value, "a map of settings").unwrap_or_default() {
            let known = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
            if !name.text.starts_with("net.") || name.text.len() == 4 {
                self.problem(name.span, format!("the setting {name} is not below `net.`"))
                    .help("only the network settings belong to the firewall alone: `net.ipv4.conf.all.rp_filter`");
            } else if name.text.contains("..")
                || name.text.contains("//")
                || !name.text.chars().all(known)
            {
                self.problem(
                    name.span,
                    format!("{name} is not the name of a kernel setting"),
                );
            }
            if let Some(word) = self.line(value, "a value") {
                settings.push((name.text.to_owned(), word.text.to_owned()));
            }
        }
        settings
    }
}

/// Where a path was looked for, as it is relative to a file that may be an included one.
fn looked_for(path: &std::path::Path) -> String {
    format!("looked for {}", quote(&path.to_string_lossy()))
}
