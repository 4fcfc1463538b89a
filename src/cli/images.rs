//! `firedrill images` and `firedrill clean`: what containers are made from, and what is left of them.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use firedrill_harness::launcher::docker::{Docker, DockerError};

use super::{complain, runtime, say};
use crate::{
    record::{exit::Exit, failure::ScenarioError},
    report::plural,
    scenario::{ContainerImage, Sandbox},
};

#[derive(Debug, Args)]
pub(super) struct ImagesArguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the images that firedrill built.
    List,
    /// Build the images of folders with a Dockerfile, as scenarios that name them would.
    Build(BuildArguments),
    /// Remove images that firedrill built.
    Remove(RemoveArguments),
}

#[derive(Debug, Args)]
struct BuildArguments {
    /// Folders with a Dockerfile; the standard image when none is given.
    #[arg(value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// What the Dockerfile builds upon, for those that have ARG BASE.
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// Their names, as `firedrill images` lists them.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// All that firedrill built.
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(super) fn images(arguments: &ImagesArguments) -> Exit {
    with_engine(async |docker| match &arguments.what {
        None | Some(What::List) => list(docker).await,
        Some(What::Build(arguments)) => build(docker, arguments).await,
        Some(What::Remove(arguments)) => remove(docker, arguments).await,
    })
}

pub(super) fn clean() -> Exit {
    with_engine(async |docker| {
        let (containers, images) = docker.clean().await.map_err(lab)?;
        say(&format!(
            "removed {} and {} of killed runs",
            plural(containers, "container"),
            plural(images, "unfinished image")
        ));
        Ok(())
    })
}

async fn list(docker: &Docker) -> Result<(), ScenarioError> {
    let images = docker.images().await.map_err(lab)?;
    for image in &images {
        say(&format!(
            "{:<40} {:>6} MB  {}",
            image.name,
            image.size / 1_000_000,
            age(image.created)
        ));
    }
    if images.is_empty() {
        complain("firedrill has built no image yet");
    }
    Ok(())
}

async fn build(docker: &Docker, arguments: &BuildArguments) -> Result<(), ScenarioError> {
    let mut sandboxes: Vec<Sandbox> = arguments
        .folders
        .iter()
        .map(|folder| {
            Sandbox::Container(ContainerImage::Dockerfile {
                path: folder.clone(),
                base: arguments.base.clone(),
            })
        })
        .collect();
    if sandboxes.is_empty() {
        sandboxes.push(Sandbox::Machine);
    }
    for sandbox in &sandboxes {
        let image = crate::run::image::image(sandbox, arguments.base.as_deref())?;
        docker.ensure(&image, &mut complain).await.map_err(lab)?;
        say(&docker.name_of(&image).await.map_err(lab)?);
    }
    Ok(())
}

async fn remove(docker: &Docker, arguments: &RemoveArguments) -> Result<(), ScenarioError> {
    let built = docker.images().await.map_err(lab)?;
    let names: Vec<&str> = built.iter().map(|image| image.name.as_str()).collect();
    let wanted: Vec<&str> = if arguments.all {
        names.clone()
    } else {
        arguments.names.iter().map(String::as_str).collect()
    };
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        return Err(ScenarioError::Input(format!(
            "firedrill has built no image {unknown}\n(`firedrill images` lists those that it has)"
        )));
    }
    for name in wanted {
        docker.remove_image(name).await.map_err(lab)?;
        say(&format!("removed {name}"));
    }
    Ok(())
}

/// Does something with the container engine; how that ended.
fn with_engine<F>(action: F) -> Exit
where
    F: AsyncFnOnce(&Docker) -> Result<(), ScenarioError>,
{
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let result = runtime.block_on(async {
        let docker = Docker::connect(None).await.map_err(lab)?;
        action(&docker).await
    });
    runtime.shutdown_background();
    match result {
        Ok(()) => Exit::Success,
        Err(ScenarioError::Input(message)) => {
            complain(&format!("error: {message}"));
            Exit::BadInput
        }
        Err(ScenarioError::Lab(message) | ScenarioError::Skipped(message)) => {
            complain(&format!("error: {message}"));
            Exit::Inconclusive
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "that is how map_err hands it over"
)]
fn lab(error: DockerError) -> ScenarioError {
    ScenarioError::Lab(error.to_string())
}

/// How long ago that was, roughly.
fn age(created: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let seconds = now.saturating_sub(u64::try_from(created).unwrap_or(0));
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = units.iter().find(|(length, _)| seconds >= *length);
    match unit {
        Some((length, unit)) => {
            let count = usize::try_from(seconds / length).unwrap_or(usize::MAX);
            format!("{} ago", plural(count, unit))
        }
        None => "just now".to_owned(),
    }
}
