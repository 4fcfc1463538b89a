//! Where the agents of a run live: on this machine, or in containers.

use std::str::FromStr;
#[cfg(feature = "docker")]
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
};

#[cfg(feature = "docker")]
use firedrill_harness::launcher::docker::{ContextFile, Docker, Image, Recipe};
use firedrill_harness::{
    launcher::{Session, embedded},
    protocol::Plan,
};
#[cfg(feature = "docker")]
use tokio::sync::{Mutex, OnceCell};

#[cfg(feature = "docker")]
use crate::scenario::ContainerImage;
use crate::{record::ScenarioError, run, scenario::Sandbox};

/// Which launcher to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Launcher {
    /// What the scenario asks for, else the embedded one.
    #[default]
    Auto,
    /// This machine, whatever the scenario asks for.
    Embedded,
    /// A container, also for scenarios that do not ask for one.
    Docker,
}

impl Launcher {
    /// Every launcher.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Embedded, Self::Docker];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Embedded => "embedded",
            Self::Docker => "docker",
        }
    }
}

impl FromStr for Launcher {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|one| one.word() == word);
        known.ok_or_else(|| format!("it is one of {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// The launchers of a run. A container engine is looked for when the first scenario needs it.
#[derive(Debug, Default)]
pub struct Launchers {
    wanted: Launcher,
    #[cfg(feature = "docker")]
    containers: Containers,
}

impl Launchers {
    /// Launchers for a run; `image` is what scenarios that name none run in.
    #[must_use]
    pub fn new(wanted: Launcher, image: Option<Sandbox>) -> Self {
        #[cfg(not(feature = "docker"))]
        let _ = image;
        Self {
            wanted,
            #[cfg(feature = "docker")]
            containers: Containers {
                default: image,
                ..Containers::default()
            },
        }
    }

    /// Starts an agent in such a sandbox.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Lab`] if it cannot be started there, [`ScenarioError::Input`] if what the scenario
    /// asks for cannot be read.
    pub async fn start(&self, sandbox: &Sandbox, plan: &Plan) -> Result<Session, ScenarioError> {
        if self.embeds(sandbox) {
            let session = embedded::start(plan).await;
            return session.map_err(|error| run::lab_error(&error));
        }
        #[cfg(feature = "docker")]
        return self.containers.start(sandbox, plan).await;
        #[cfg(not(feature = "docker"))]
        Err(without_containers())
    }

    /// Makes sure that the images of these sandboxes are there; `progress` gets lines of what is going on.
    /// Errors are kept for the scenarios that need them.
    pub async fn prepare<'a>(
        &self,
        sandboxes: impl IntoIterator<Item = &'a Sandbox>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) {
        for sandbox in sandboxes {
            if self.embeds(sandbox) {
                continue;
            }
            #[cfg(feature = "docker")]
            let _ = self.containers.image(sandbox, progress).await;
            #[cfg(not(feature = "docker"))]
            let _ = &progress;
        }
    }

    /// Lets go what the run made, which then ends and is removed by itself; also when the run is killed.
    pub fn close(&self) {
        #[cfg(feature = "docker")]
        if let Some(Ok(docker)) = self.containers.docker.get() {
            docker.close();
        }
    }

    /// Whose programs load the candidate in this sandbox, as in "there is no program …".
    pub(crate) fn whose_programs(&self, sandbox: &Sandbox) -> &'static str {
        if self.embeds(sandbox) {
            "on this machine"
        } else {
            "in the container's image"
        }
    }

    /// What the container engine calls itself.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Lab`] if there is none.
    pub async fn engine(&self) -> Result<String, ScenarioError> {
        #[cfg(feature = "docker")]
        return Ok(self.containers.docker().await?.version().to_owned());
        #[cfg(not(feature = "docker"))]
        Err(without_containers())
    }

    pub(crate) fn embeds(&self, sandbox: &Sandbox) -> bool {
        match (self.wanted, sandbox) {
            (Launcher::Embedded, _) | (Launcher::Auto, Sandbox::Machine) => true,
            (Launcher::Docker, _) | (Launcher::Auto, Sandbox::Container(_)) => false,
        }
    }
}

#[cfg(not(feature = "docker"))]
fn without_containers() -> ScenarioError {
    ScenarioError::Lab(
        "this firedrill was built without containers\n\
         (build it with the cargo feature `docker`, which is on by default)"
            .to_owned(),
    )
}

/// The image for scenarios that name none: it has what nftables candidates need.
#[cfg(feature = "docker")]
const STANDARD: (&str, &str) = (
    "nftables",
    include_str!("../../containers/nftables/Dockerfile"),
);

/// Names what images are built upon, where neither the scenario nor the Dockerfile is to decide.
#[cfg(feature = "docker")]
pub const BASE_VARIABLE: &str = "FIREDRILL_BASE";

/// The most that the folder of an image may hold, in bytes: all of it goes through memory.
#[cfg(feature = "docker")]
const MAX_CONTEXT: u64 = 64 << 20;

/// Containers, when they are wanted.
#[cfg(feature = "docker")]
#[derive(Debug, Default)]
struct Containers {
    docker: OnceCell<Result<Arc<Docker>, ScenarioError>>,
    default: Option<Sandbox>,
    /// Held while an image is made, so that it is made once.
    images: Mutex<HashMap<Image, Result<String, ScenarioError>>>,
}

#[cfg(feature = "docker")]
impl Containers {
    async fn start(&self, sandbox: &Sandbox, plan: &Plan) -> Result<Session, ScenarioError> {
        let image = self.image(sandbox, &mut |_| {}).await?;
        let session = self.docker().await?.start(&image, plan).await;
        session.map_err(|error| run::lab_error(&error))
    }

    async fn docker(&self) -> Result<Arc<Docker>, ScenarioError> {
        let connect = || async {
            let docker = Docker::connect(None).await.map(Arc::new);
            docker.map_err(|error| ScenarioError::Lab(error.to_string()))
        };
        self.docker.get_or_init(connect).await.clone()
    }

    /// The identity of a sandbox's image.
    async fn image(
        &self,
        sandbox: &Sandbox,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<String, ScenarioError> {
        let sandbox = match (sandbox, &self.default) {
            (Sandbox::Machine, Some(default)) => default,
            (sandbox, _) => sandbox,
        };
        let image = image(sandbox, None)?;
        let docker = self.docker().await?;
        let mut images = self.images.lock().await;
        if let Some(known) = images.get(&image) {
            return known.clone();
        }
        let made = match docker.ensure(&image, progress).await {
            Ok(made) => docker.equip(&made).await,
            Err(error) => Err(error),
        };
        let made = made.map_err(|error| ScenarioError::Lab(error.to_string()));
        images.insert(image, made.clone());
        made
    }
}

/// What a sandbox asks the engine for; `base` is what to build upon if the sandbox does not say it.
///
/// # Errors
///
/// [`ScenarioError::Input`] if its folder cannot be read.
#[cfg(feature = "docker")]
pub fn image(sandbox: &Sandbox, base: Option<&str>) -> Result<Image, ScenarioError> {
    let everywhere = || {
        let variable = || std::env::var(BASE_VARIABLE).ok();
        let base = base.map(str::to_owned).or_else(variable);
        base.filter(|base| !base.is_empty())
    };
    match sandbox {
        Sandbox::Machine => Ok(Image::Recipe(Recipe {
            name: STANDARD.0.to_owned(),
            files: vec![ContextFile {
                path: "Dockerfile".into(),
                content: STANDARD.1.as_bytes().to_vec(),
                mode: 0o644,
            }],
            base: everywhere(),
        })),
        Sandbox::Container(ContainerImage::Named(name)) => Ok(Image::Named(name.clone())),
        Sandbox::Container(ContainerImage::Dockerfile { path, base }) => {
            let base = base.clone().or_else(everywhere);
            recipe(path, base).map(Image::Recipe).map_err(|error| {
                let path = path.display();
                ScenarioError::Input(format!("could not read the image's folder {path}: {error}"))
            })
        }
    }
}

/// Reads the folder of an image, named by itself or by its Dockerfile.
#[cfg(feature = "docker")]
fn recipe(path: &Path, base: Option<String>) -> io::Result<Recipe> {
    let (folder, dockerfile) = if path.is_dir() {
        (path.to_owned(), path.join("Dockerfile"))
    } else {
        let folder = path.parent().unwrap_or(Path::new("."));
        (folder.to_owned(), path.to_owned())
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".").to_owned()
    } else {
        folder
    };
    let mut files = BTreeMap::new();
    let mut room = MAX_CONTEXT;
    read_folder(&folder, Path::new(""), &mut files, &mut room)?;
    // A build may be asked for by any name; the engine gets it by the usual one.
    let content = fs::read(dockerfile)?;
    files.insert("Dockerfile".into(), (content, 0o644));
    let name = fs::canonicalize(&folder)?;
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    Ok(Recipe {
        name: image_name(&name),
        files: files
            .into_iter()
            .map(|(path, (content, mode))| ContextFile {
                path,
                content,
                mode,
            })
            .collect(),
        base,
    })
}

#[cfg(feature = "docker")]
type Files = BTreeMap<std::path::PathBuf, (Vec<u8>, u32)>;

#[cfg(feature = "docker")]
fn read_folder(folder: &Path, below: &Path, files: &mut Files, room: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            read_folder(folder, &path, files, room)?;
        } else if metadata.is_file() {
            *room = room.checked_sub(metadata.len()).ok_or_else(|| {
                io::Error::other(format!("it holds more than {} MiB", MAX_CONTEXT >> 20))
            })?;
            let mode = metadata.permissions().mode() & 0o777;
            files.insert(path, (fs::read(entry.path())?, mode));
        }
    }
    Ok(())
}

/// A name as a registry allows it.
#[cfg(feature = "docker")]
fn image_name(folder: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let name: String = folder
        .to_lowercase()
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    let name = name.trim_matches('-').replace("--", "-");
    if name.is_empty() {
        "image".to_owned()
    } else {
        name
    }
}
