//! The images of containers: named by the scenario, or built from a folder.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
};

use firedrill_harness::{
    launcher::{
        Session,
        docker::{ContextFile, Docker, Image, Recipe},
    },
    protocol::Plan,
};
use tokio::sync::{Mutex, OnceCell};

use super::failure::lab_error;
use crate::{
    record::failure::ScenarioError,
    scenario::{ContainerImage, Sandbox},
};

/// The image for scenarios that name none: it has what nftables candidates need.
const STANDARD: (&str, &str) = (
    "nftables",
    include_str!("../../containers/nftables/Dockerfile"),
);

/// Names what images are built upon, where neither the scenario nor the Dockerfile is to decide.
pub const BASE_VARIABLE: &str = "FIREDRILL_BASE";

/// The most that the folder of an image may hold, in bytes: all of it goes through memory.
const MAX_CONTEXT: u64 = 64 << 20;

/// Containers, when they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    docker: OnceCell<Result<Arc<Docker>, ScenarioError>>,
    default: Option<Sandbox>,
    /// Held while an image is made, so that it is made once.
    images: Mutex<HashMap<Image, Result<String, ScenarioError>>>,
}

impl Containers {
    pub(super) fn new(default: Option<Sandbox>) -> Self {
        Self {
            default,
            ..Self::default()
        }
    }

    /// Closes the containers of the run.
    pub(super) fn close(&self) {
        if let Some(Ok(docker)) = self.docker.get() {
            docker.close();
        }
    }

    pub(super) async fn start(
        &self,
        sandbox: &Sandbox,
        plan: &Plan,
    ) -> Result<Session, ScenarioError> {
        let image = self.image(sandbox, &mut |_| {}).await?;
        let session = self.docker().await?.start(&image, plan).await;
        session.map_err(|error| lab_error(&error))
    }

    pub(super) async fn docker(&self) -> Result<Arc<Docker>, ScenarioError> {
        let connect = || async {
            let docker = Docker::connect(None).await.map(Arc::new);
            docker.map_err(|error| ScenarioError::Lab(error.to_string()))
        };
        self.docker.get_or_init(connect).await.clone()
    }

    /// The identity of a sandbox's image.
    pub(super) async fn image(
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

type Files = BTreeMap<std::path::PathBuf, (Vec<u8>, u32)>;

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
