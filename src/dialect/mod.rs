//! Dialects: pure text work on a configuration. A dialect says which files go where and which commands
//! load them, and finds the lines of the rules that result. It executes nothing.
//!
//! A dialect is one module with one [`Dialect`], and a line in [`ALL`].

mod compiled;
mod config;
pub mod ferm;
pub mod firewalld;
pub mod foomuuri;
#[cfg(test)]
mod hostile;
pub mod iptables;
pub mod layers;
pub mod nftables;
pub mod script;
pub mod shorewall;
mod stage;
pub mod ufw;

use std::{
    borrow::Cow,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use firedrill_harness::protocol::{
    CandidateSpec, Command, CommandFailure, LayerSpec, Listing, Loaded, hex,
};
use sha2::{Digest as _, Sha256};

pub use self::config::{Config, Kind, Need, Replacement, Slot};
pub(crate) use self::config::{Written, candidate_name};
use self::stage::Staged;
use crate::ruleset::listing::Ruleset;
use crate::ruleset::{listing::LayerOrigins, origin::Origins};

/// Every dialect, in the order of the documentation.
pub static ALL: &[&Dialect] = &[
    &nftables::DIALECT,
    &iptables::DIALECT,
    &ferm::DIALECT,
    &shorewall::DIALECT,
    &foomuuri::DIALECT,
    &ufw::DIALECT,
    &firewalld::DIALECT,
    &script::DIALECT,
];

/// A language in which people write firewalls, and the programs that load it.
#[derive(Debug)]
pub struct Dialect {
    /// The key of `firewall:` in YAML.
    pub key: &'static str,
    /// A sentence about it.
    pub doc: &'static str,
    /// What it wants to be told. The first is what a bare text means; if it is the only one, there is no
    /// map.
    pub slots: &'static [Slot],
    /// Its programs, and the Debian packages that bring them.
    pub programs: &'static [(&'static str, &'static str)],
    /// Says which files go where and which commands load them. Of the `files:` of the scenario, what is
    /// not staged here is staged as it is.
    pub(crate) prepare: fn(&Config, &[Mapped]) -> Result<Prepared, PrepareError>,
    /// Where the rules of a listing were written; the listing has the rules that this configuration
    /// brought and no other, and all base chains with their policies. The texts are those of
    /// [`Prepared::compiled`].
    pub(crate) origins: fn(&Prepared, &Ruleset, &[String]) -> Origins,
    /// What a failed command says, about the user's files and lines. `None` for its own words, with the
    /// sandbox's paths translated.
    pub(crate) explain: fn(&Prepared, &CommandFailure) -> Option<Refusal>,
}

/// A file or folder of the scenario's `files:`: its path in the sandbox, its path on disk.
pub(crate) type Mapped = (PathBuf, PathBuf);

/// Why a configuration was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is at fault.
    Input(String),
    /// The machine lacks something.
    Lab(String),
    /// A program that is not installed; one of the dialect's.
    Missing(&'static str),
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Dialect {}

impl Dialect {
    /// The dialect with this key.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Self> {
        ALL.iter().find(|dialect| dialect.key == key).copied()
    }

    /// The dialect that has a slot of this name.
    #[must_use]
    pub fn with_slot(name: &str) -> Option<&'static Self> {
        let has = |dialect: &Self| dialect.slots.iter().any(|slot| slot.name == name);
        ALL.iter().find(|dialect| has(dialect)).copied()
    }

    /// The slot that a bare text means.
    #[must_use]
    pub fn main(&self) -> &'static Slot {
        &self.slots[0]
    }

    /// The slots of which one must be given still.
    #[must_use]
    pub fn missing(&self, given: impl Fn(&str) -> bool) -> Option<Vec<&'static str>> {
        let of = |need: Need| self.slots.iter().filter(move |slot| slot.need == need);
        if let Some(slot) = of(Need::Required).find(|slot| !given(slot.name)) {
            return Some(vec![slot.name]);
        }
        let any: Vec<&str> = of(Need::Any).map(|slot| slot.name).collect();
        (!any.is_empty() && !any.iter().any(|slot| given(slot))).then_some(any)
    }
}

/// A configuration, with its layers, ready for the sandbox.
#[derive(Debug, Clone)]
pub struct Loadable {
    /// Its files and commands.
    pub spec: CandidateSpec,
    /// The candidate's main file as the user named it.
    pub path: PathBuf,
    /// SHA-256 over all its files, in hexadecimal.
    pub hash: String,
    /// As many as `spec` has.
    layers: Vec<Prepared>,
}

/// One layer, ready for the sandbox.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What the layer is called: `candidate`, or its name in the scenario.
    pub(crate) name: String,
    pub(crate) config: Config,
    /// Its files, the first is the main file.
    pub(crate) files: Vec<Staged>,
    /// Folders that hold nothing but what is staged.
    pub(crate) replaced: Vec<PathBuf>,
    /// Files and folders of the machine that its programs write to.
    pub(crate) writable: Vec<PathBuf>,
    /// Whether its programs become other users.
    pub(crate) several_ids: bool,
    /// The folder in the sandbox from which it is loaded.
    pub(crate) folder: PathBuf,
    pub(crate) load: Vec<Command>,
    /// Files in which its programs leave what they made of the configuration.
    pub(crate) compiled: Vec<PathBuf>,
}

/// Why a candidate cannot be prepared: the user's input is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read the candidate's file {}: {why}", path.display())]
pub struct PrepareError {
    /// The file as the user would name it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// What the candidate's own layer is called.
pub const CANDIDATE: &str = "candidate";

/// One of the configurations that the firewall is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The one under test.
    Candidate,
    /// One that comes with firedrill.
    Shipped(&'static layers::Shipped),
    /// Another one of the user's.
    Other {
        /// What it is called.
        name: String,
        /// What it is.
        config: Config,
    },
}

/// Reads the files of a candidate and its layers, and says how to load them in this order. `files` are the
/// further files that they need: absolute path in the sandbox to file or folder on disk.
///
/// # Errors
///
/// [`PrepareError`] if a file cannot be read.
pub fn prepare(
    candidate: &Config,
    layers: &[Layer],
    files: &[(PathBuf, PathBuf)],
) -> Result<Loadable, PrepareError> {
    let layers = layers
        .iter()
        .map(|layer| {
            let (name, config) = match layer {
                Layer::Candidate => (CANDIDATE, candidate),
                Layer::Other { name, config } => (name.as_str(), config),
                Layer::Shipped(shipped) => return Ok(layers::prepare(shipped)),
            };
            let prepared = (config.dialect().prepare)(config, files)?;
            let name = name.to_owned();
            Ok(Prepared { name, ..prepared })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Loadable::new(candidate.main(), layers))
}

/// Reads the files of a configuration that is loaded over the candidate, in its dialect.
///
/// # Errors
///
/// [`PrepareError`] if a file cannot be read.
pub fn prepare_reload(
    candidate: &Config,
    path: &Path,
    files: &[(PathBuf, PathBuf)],
) -> Result<Loadable, PrepareError> {
    let value = path.to_str().ok_or_else(|| PrepareError {
        path: path.to_owned(),
        why: "its path is not valid UTF-8".to_owned(),
    })?;
    let reloaded = Config::of(candidate.dialect(), value);
    prepare(&reloaded, &[Layer::Candidate], files)
}

impl Loadable {
    fn new(path: PathBuf, layers: Vec<Prepared>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &[u8]| {
            // Lengths keep the boundaries between names and contents apart.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for layer in &layers {
            let mut files: Vec<&Staged> = layer.files.iter().collect();
            files.sort_by_key(|staged| &staged.file.path);
            for Staged { file, .. } in files {
                let name = file.path.strip_prefix(&layer.folder).unwrap_or(&file.path);
                add(name.to_string_lossy().as_bytes());
                add(&file.content.0);
            }
            for (slot, word) in layer.config.words() {
                add(slot.as_bytes());
                add(word.as_bytes());
            }
        }
        Self {
            spec: CandidateSpec {
                layers: layers.iter().map(Prepared::spec).collect(),
                list: nftables::list_command(),
                list_state: nftables::list_state_command(),
            },
            path,
            hash: hex(&hash.finalize()),
            layers,
        }
    }

    /// The same, listed with the elements of its sets.
    #[must_use]
    pub fn with_elements(mut self) -> Self {
        self.spec.list = nftables::list_elements_command();
        self
    }

    /// The texts that make it up, as they are written.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.layers.iter().flat_map(|layer| {
            let files = layer.files.iter();
            let files = files.map(|staged| String::from_utf8_lossy(&staged.file.content.0));
            let words = layer.config.words().map(|(_, word)| Cow::Borrowed(word));
            files.chain(words)
        })
    }

    /// Reads the listings of the loaded ruleset, and finds out which layer brought which rule and where
    /// in its files it was written.
    #[must_use]
    pub fn ruleset(&self, loaded: &Loaded, listing: &Listing) -> Ruleset {
        let ruleset = Ruleset::parse(listing);
        let mut before = Ruleset::default();
        let mut origins = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let of_layer = loaded.layers.get(number);
            let listed = of_layer.and_then(|of| of.listing.as_ref());
            let compiled = of_layer.map_or(&[][..], |of| &of.compiled);
            let after = listed.map_or_else(|| ruleset.clone(), Ruleset::parse);
            let brought = after.without(&before);
            origins.push(LayerOrigins {
                name: (self.layers.len() > 1).then(|| layer.name.clone()),
                origins: (layer.config.dialect().origins)(layer, &brought, compiled),
                policies: after.policies_since(&before),
                brought,
            });
            before = after;
        }
        ruleset.with_origins(origins)
    }

    /// What the ruleset is if its last listing is this text of `nft`.
    #[cfg(test)]
    pub(crate) fn listed(&self, listing: &str) -> Ruleset {
        let listing = Listing {
            listing: listing.to_owned(),
            ..Listing::default()
        };
        let loaded = Loaded {
            candidate: 0,
            layers: Vec::new(),
            generation_probed: 0,
            output: String::new(),
            elapsed_us: 0,
        };
        self.ruleset(&loaded, &listing)
    }

    /// The texts in which the candidate's own rules may be written, as the user knows them.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceFile> {
        let own = self.layers.iter().filter(|layer| layer.name == CANDIDATE);
        let mut sources = Vec::new();
        for layer in own {
            sources.extend(layer.files.iter().map(|staged| SourceFile {
                path: staged.shown.clone(),
                text: String::from_utf8_lossy(&staged.file.content.0).into(),
            }));
            let slots = layer.config.dialect().slots.iter();
            let typed = slots.flat_map(|slot| layer.config.places(slot.name));
            sources.extend(typed.map(|written| SourceFile {
                path: written.file.clone(),
                text: Arc::clone(&written.text),
            }));
        }
        sources.retain(|source| !is_ready_made(&source.path));
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        sources.dedup();
        sources
    }

    /// What a program printed, with the sandbox's paths as the user knows them.
    #[must_use]
    pub fn translate(&self, message: &str) -> String {
        self.layers
            .iter()
            .fold(message.to_owned(), |text, layer| layer.translate(&text))
    }

    /// Why a layer was not loaded, in words for its user.
    #[must_use]
    pub fn refusal(&self, failure: &CommandFailure) -> Option<(&Prepared, Refusal)> {
        let layer = self.layers.get(failure.layer)?;
        let own_words = || {
            let said = match failure.stderr.trim() {
                "" => &failure.stdout,
                _ => &failure.stderr,
            };
            Refusal::Input(layer.translate(said))
        };
        // EMSGSIZE: a transaction that is too large for the loader's socket, and that the agent could not
        // part (harness/src/candidate/transaction.rs). The configuration is not at fault.
        if failure.stderr.contains("Message too long") {
            let why = format!(
                "could not load {}: a part of it is larger than an unprivileged program may send to the \
                 kernel at once\n(raise the limit: sysctl net.core.wmem_default=4194304)",
                layer.title()
            );
            return Some((layer, Refusal::Lab(why)));
        }
        let explained = (layer.config.dialect().explain)(layer, failure);
        Some((layer, explained.unwrap_or_else(own_words)))
    }
}

impl Prepared {
    fn spec(&self) -> LayerSpec {
        LayerSpec {
            replaced: self.replaced.clone(),
            writable: self.writable.clone(),
            several_ids: self.several_ids,
            files: self
                .files
                .iter()
                .map(|staged| staged.file.clone())
                .collect(),
            load: self.load.clone(),
            compiled: self.compiled.clone(),
        }
    }

    /// The layer in words: the path that the user gave, and the layer's name unless it is the candidate.
    #[must_use]
    pub fn title(&self) -> String {
        match self.name.as_str() {
            CANDIDATE => format!("the candidate {}", self.config.main().display()),
            name => format!("the layer {name}, {}", self.config.main().display()),
        }
    }

    /// A program's message with the sandbox's paths as the user knows them.
    #[must_use]
    pub(crate) fn translate(&self, message: &str) -> String {
        let lines: String = message
            .split_inclusive('\n')
            .map(|line| self.absolute_place(line))
            .collect();
        // Longer paths first, so that none is replaced inside another.
        let mut files: Vec<&Staged> = self.files.iter().collect();
        files.sort_by_key(|staged| std::cmp::Reverse(staged.file.path.as_os_str().len()));
        files.iter().fold(lines, |text, staged| {
            let inside = staged.file.path.to_string_lossy();
            text.replace(&*inside, &staged.shown.to_string_lossy())
        })
    }

    /// A line that begins with a place (`./part.nft:3:7-10: Error: …`, or the same after `from`) with
    /// the sandbox's path: programs name included files as the `include` spells them.
    fn absolute_place(&self, line: &str) -> String {
        let place = line.trim_start_matches("In file included").trim_start();
        let place = place.strip_prefix("from ").unwrap_or(place);
        let before = &line[..line.len() - place.len()];
        let Some((name, rest)) = place.split_once(':') else {
            return line.to_owned();
        };
        let inside = lexical(&self.folder.join(name));
        let known = self.files.iter().any(|staged| staged.file.path == inside);
        if known && rest.starts_with(|c: char| c.is_ascii_digit()) {
            format!("{before}{}:{rest}", inside.display())
        } else {
            line.to_owned()
        }
    }
}

/// A file in which rules may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As the user named it.
    pub path: PathBuf,
    /// As it was loaded.
    pub text: Arc<str>,
}

/// Whether a file comes with a program, or with firedrill: nobody wrote it for this candidate.
#[must_use]
pub fn is_ready_made(shown: &Path) -> bool {
    // What is no file of the machine's is shown as `(ufw)/etc/default/ufw`.
    shown.to_string_lossy().starts_with('(')
        || ["/usr/share", "/usr/lib", "/lib"]
            .iter()
            .any(|packages| shown.starts_with(packages))
}

/// Whether the reason why a line is unknown is that there is none: a program makes the rule by itself.
#[must_use]
pub fn is_program_s_own(why: &str) -> bool {
    let of_package = [compiled::FROM_A_PACKAGE, firewalld::FROM_A_PACKAGE];
    [ufw::OWN, firewalld::OWN].contains(&why)
        || of_package.iter().any(|begin| why.starts_with(begin))
}

/// Takes `.` and `..` out of an absolute path by its text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The Debian package that brings a program of some dialect.
#[must_use]
pub fn package_of(program: &str) -> Option<&'static str> {
    let mut programs = ALL.iter().flat_map(|dialect| dialect.programs);
    programs
        .find(|(name, _)| *name == program)
        .map(|(_, package)| *package)
}
