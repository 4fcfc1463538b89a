//! Images: those that somebody made, and those that are built from a folder with a Dockerfile.
//!
//! A built image is named by its content, so it is built once, and again only when something of it changes.

use std::{collections::HashMap, path::PathBuf};

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use testcontainers::bollard::{
    body_full,
    errors::Error as EngineError,
    models::{BuildInfo, CreateImageInfo},
    query_parameters::{
        BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder,
        RemoveImageOptionsBuilder,
    },
};

use super::{
    Docker, DockerError,
    owner::{Fate, fate},
};
use firedrill_wire::protocol::hex;

/// The label of every image that firedrill builds, and of every step of it; its value is the recipe's name.
pub(super) const LABEL: &str = "dev.firedrill.image";

/// The label of who builds or built it: an [`super::owner::Owner`]. The containers of a build have it, too, as has
/// whatever somebody else makes of a finished image.
pub(super) const BUILDER: &str = "dev.firedrill.builder";

/// The repository of built images; a recipe's name comes behind it.
const REPOSITORY: &str = "firedrill";

/// Counts up when a recipe is built differently.
const FORMAT: &str = "1";

/// The Dockerfile of a recipe, among its files.
const DOCKERFILE: &str = "Dockerfile";

/// The build argument that names what a recipe builds upon.
const BASE: &str = "BASE";

/// Where the agent is in a container; its folder is known to the agent as well.
pub(super) const PROGRAM: &str = "/.firedrill/agent";

/// The label of an image that has the agent; its value is the identity of the image without it.
const AGENT_LABEL: &str = "dev.firedrill.agent";

/// How long an image with another agent is kept, in seconds: another version of firedrill may be about to use
/// it.
const KEPT: i64 = 3600;

/// An image to run containers of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Image {
    /// One that is there, or in a registry: `debian:12`.
    Named(String),
    /// One to be built.
    Recipe(Recipe),
}

/// A folder with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// What the image is called: lower-case letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The files of the folder, ordered by path; one is `Dockerfile`.
    pub files: Vec<ContextFile>,
    /// The build argument `BASE`: what to build upon.
    pub base: Option<String>,
}

/// A file of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextFile {
    /// Relative to the folder.
    pub path: PathBuf,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// An image that firedrill built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// `firedrill/NAME:CONTENT`.
    pub name: String,
    /// As the engine knows it: `sha256:…`.
    pub id: String,
    /// In bytes, together with what it builds upon.
    pub size: u64,
    /// When it was built, in seconds since 1970.
    pub created: i64,
}

impl Docker {
    /// The identity of an image, which is pulled or built if it is not there. `progress` gets lines of what is
    /// going on, if anything is.
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if it is not to be had.
    pub async fn ensure(
        &self,
        image: &Image,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<String, DockerError> {
        match image {
            Image::Named(name) => {
                if let Some(id) = self.identity(name).await? {
                    return Ok(id);
                }
                progress(&format!("pulling the image {name}"));
                self.pull(name).await?;
                self.named(name).await
            }
            Image::Recipe(recipe) => {
                let name = self.name(recipe).await?;
                if let Some(id) = self.identity(&name).await? {
                    return Ok(id);
                }
                progress(&format!("building the image {name}"));
                self.build(recipe, &name, progress).await?;
                self.named(&name).await
            }
        }
    }

    /// The identity of the image with this identity and the agent in it. Sending the agent into every container
    /// takes as long as starting one does; this is done once for an image and a version of firedrill.
    ///
    /// # Errors
    ///
    /// [`DockerError::Program`] if this program cannot travel, [`DockerError::Engine`] if the engine refuses.
    pub async fn equip(&self, image: &str) -> Result<String, DockerError> {
        let program = self.program().await?;
        let mut hash = Sha256::new();
        hash.update(FORMAT);
        hash.update(image);
        hash.update(&program.hash);
        let name = format!("{REPOSITORY}/agent:{}", hex(&hash.finalize()[..6]));
        if let Some(id) = self.identity(&name).await? {
            return Ok(id);
        }
        let id = image.strip_prefix("sha256:").unwrap_or(image);
        let dockerfile = format!("FROM {id}\nLABEL {AGENT_LABEL}={id}\nCOPY agent {PROGRAM}\n");
        let file = |path: &str, content, mode| ContextFile {
            path: path.into(),
            content,
            mode,
        };
        let recipe = Recipe {
            name: "agent".to_owned(),
            files: vec![
                file(DOCKERFILE, dockerfile.into_bytes(), 0o644),
                file("agent", program.bytes.clone(), 0o755),
            ],
            base: None,
        };
        self.build(&recipe, &name, &mut |_| {}).await?;
        let equipped = self.named(&name).await?;
        self.remove_equipped(id, Some(&name)).await;
        Ok(equipped)
    }

    /// Removes images with an agent upon this one: all, or those of before the one that is named.
    async fn remove_equipped(&self, image: &str, but: Option<&str>) {
        let label = format!("{AGENT_LABEL}={image}");
        let Ok(images) = self.labelled(&[("label", &label)]).await else {
            return;
        };
        let newest = images.iter().map(|image| image.created).max().unwrap_or(0);
        for image in images {
            let old = newest - image.created > KEPT;
            for name in &image.repo_tags {
                if but.is_none_or(|kept| kept != name && old) {
                    // One that is in use stays; it does no harm.
                    let _ = self.remove_image_only(name).await;
                }
            }
        }
    }

    /// What people call an image: the name it was given, or the one that its content gives it.
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if the engine does not answer.
    pub async fn name_of(&self, image: &Image) -> Result<String, DockerError> {
        match image {
            Image::Named(name) => Ok(name.clone()),
            Image::Recipe(recipe) => self.name(recipe).await,
        }
    }

    /// The images that firedrill built, by name.
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if the engine does not say.
    pub async fn images(&self) -> Result<Vec<BuiltImage>, DockerError> {
        let mut images: Vec<BuiltImage> = self
            .labelled(&[("label", LABEL)])
            .await?
            .into_iter()
            .flat_map(|image| {
                let tags = image.repo_tags.clone().into_iter();
                tags.map(move |name| BuiltImage {
                    name,
                    id: image.id.clone(),
                    size: u64::try_from(image.size).unwrap_or(0),
                    created: image.created,
                })
            })
            // A user's own image may build upon one of ours, label and all.
            .filter(|image| image.name.starts_with(&format!("{REPOSITORY}/")))
            .collect();
        images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(images)
    }

    /// Removes an image that firedrill built, by its name in [`Docker::images`].
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if it is in use.
    pub async fn remove_image(&self, name: &str) -> Result<(), DockerError> {
        if let Some(id) = self.identity(name).await? {
            let id = id.strip_prefix("sha256:").unwrap_or(&id);
            self.remove_equipped(id, None).await;
        }
        self.remove_image_only(name).await
    }

    async fn remove_image_only(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveImageOptionsBuilder::new().build();
        let client = &self.engine.client;
        match client.remove_image(name, Some(options), None).await {
            // It went with another.
            Ok(_)
            | Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(()),
            Err(error) => Err(DockerError::engine(
                format!("remove the image {name}"),
                &error,
            )),
        }
    }

    /// Removes what builds that did not end left behind; how many images.
    pub(super) async fn remove_unfinished_images(&self) -> Result<usize, DockerError> {
        let unfinished = self
            .labelled(&[("label", LABEL), ("dangling", "true")])
            .await?;
        let mut removed = 0;
        for image in unfinished {
            let builder = image.labels.get(BUILDER);
            // The steps of a build that goes on look the same.
            if builder.is_none_or(|label| fate(label, &self.engine.owner) != Fate::Gone) {
                continue;
            }
            let options = RemoveImageOptionsBuilder::new().force(true).build();
            let result = self
                .engine
                .client
                .remove_image(&image.id, Some(options), None)
                .await;
            match result {
                Ok(_) => removed += 1,
                // It went with its child, or another image builds upon it.
                Err(EngineError::DockerResponseServerError {
                    status_code: 404 | 409,
                    ..
                }) => {}
                Err(error) => {
                    let doing = format!("remove the unfinished image {}", image.id);
                    return Err(DockerError::engine(doing, &error));
                }
            }
        }
        Ok(removed)
    }

    async fn labelled(
        &self,
        filters: &[(&str, &str)],
    ) -> Result<Vec<testcontainers::bollard::models::ImageSummary>, DockerError> {
        let filters: HashMap<&str, Vec<&str>> = filters
            .iter()
            .map(|(name, value)| (*name, vec![*value]))
            .collect();
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.engine.client.list_images(Some(options)).await;
        images.map_err(|error| DockerError::engine("list the images", &error))
    }

    /// The identity of an image that is there.
    async fn identity(&self, name: &str) -> Result<Option<String>, DockerError> {
        match self.engine.client.inspect_image(name).await {
            Ok(image) => Ok(image.id),
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(DockerError::engine(
                format!("look for the image {name}"),
                &error,
            )),
        }
    }

    /// The identity of an image that must be there now.
    async fn named(&self, name: &str) -> Result<String, DockerError> {
        self.identity(name)
            .await?
            .ok_or_else(|| DockerError::Engine {
                doing: format!("find the image {name}"),
                why: "the engine does not have it, though it said so".to_owned(),
                remedy: String::new(),
            })
    }

    async fn pull(&self, name: &str) -> Result<(), DockerError> {
        let (repository, tag) = split(name);
        let options = CreateImageOptionsBuilder::new()
            .from_image(repository)
            .tag(tag)
            .build();
        let mut steps = self.engine.client.create_image(Some(options), None, None);
        while let Some(step) = steps.next().await {
            let failed = step.map(|CreateImageInfo { error_detail, .. }| {
                error_detail.map(|detail| detail.message.unwrap_or_default())
            });
            let got = self.step(failed, || format!("get the image {name}"));
            got.map_err(|error| error.or_no_image())?;
        }
        Ok(())
    }

    /// What a recipe's image is called: by what goes into it.
    async fn name(&self, recipe: &Recipe) -> Result<String, DockerError> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(FORMAT.as_bytes());
        for file in &recipe.files {
            part(file.path.to_string_lossy().as_bytes());
            part(&file.mode.to_be_bytes());
            part(&file.content);
        }
        if let Some(base) = &recipe.base {
            part(base.as_bytes());
            // A name may mean another image tomorrow.
            if let Some(id) = self.identity(base).await? {
                part(id.as_bytes());
            }
        }
        let content = hex(&hash.finalize()[..6]);
        Ok(format!("{REPOSITORY}/{}:{content}", recipe.name))
    }

    async fn build(
        &self,
        recipe: &Recipe,
        name: &str,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), DockerError> {
        let doing = || format!("build the image {name}");
        let context = context(recipe, &self.engine.owner.label()).await;
        let context = context.map_err(|error| DockerError::explain(doing(), &error))?;
        let arguments: HashMap<&str, &str> = recipe
            .base
            .iter()
            .map(|base| (BASE, base.as_str()))
            .collect();
        let options = BuildImageOptionsBuilder::new()
            .dockerfile(DOCKERFILE)
            .t(name)
            .buildargs(&arguments)
            .rm(true)
            .forcerm(true)
            .build();
        let body = body_full(context.into());
        let mut steps = self.engine.client.build_image(options, None, Some(body));
        // What the failing command said comes before the error.
        let mut last_words: Vec<String> = Vec::new();
        while let Some(step) = steps.next().await {
            let failed = step.map(
                |BuildInfo {
                     stream,
                     error_detail,
                     ..
                 }| {
                    for line in stream.unwrap_or_default().lines() {
                        let line = line.trim_end();
                        if !line.is_empty() {
                            progress(line);
                            last_words.push(line.to_owned());
                        }
                    }
                    error_detail.map(|detail| detail.message.unwrap_or_default())
                },
            );
            self.step(failed, || {
                let from = last_words.len().saturating_sub(5);
                let words = last_words[from..].join("\n  ");
                format!("build the image {name}\n  {words}\n")
            })?;
        }
        Ok(())
    }

    /// An error of one step, by either of the two ways in which they come.
    fn step(
        &self,
        step: Result<Option<String>, EngineError>,
        doing: impl FnOnce() -> String,
    ) -> Result<(), DockerError> {
        match step {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(DockerError::engine(
                doing(),
                &EngineError::DockerStreamError { error },
            )),
            Err(error) => Err(DockerError::engine(doing(), &error)),
        }
    }
}

/// The name and the tag of an image; an identity (`sha256:…`) is split as well, so that both parts with a
/// colon between them are what was given.
pub(super) fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        // Not the port of a registry.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// A tar archive of a recipe's files.
async fn context(recipe: &Recipe, builder: &str) -> std::io::Result<Vec<u8>> {
    let mut archive = tokio_tar::Builder::new(Vec::new());
    for file in &recipe.files {
        let labelled;
        let content = if file.path == *DOCKERFILE {
            let text = String::from_utf8_lossy(&file.content);
            labelled = label(&text, &recipe.name, builder);
            labelled.as_bytes()
        } else {
            &file.content
        };
        let mut header = tokio_tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(file.mode);
        header.set_cksum();
        archive
            .append_data(&mut header, &file.path, content)
            .await?;
    }
    archive.into_inner().await
}

/// Labels every step of a Dockerfile, so that what an interrupted build leaves behind is known.
fn label(dockerfile: &str, name: &str, builder: &str) -> String {
    let mut labelled = String::new();
    let (mut continues, mut from) = (false, false);
    for line in dockerfile.lines() {
        if !continues {
            let word = line.split_whitespace().next();
            from = word.is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
        }
        continues = line.trim_end().ends_with('\\');
        labelled.push_str(line);
        labelled.push('\n');
        if from && !continues {
            labelled.push_str(&format!("LABEL {LABEL}={name} {BUILDER}={builder}\n"));
        }
    }
    labelled
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("debian", "debian", "latest")]
    #[case("debian:12", "debian", "12")]
    #[case(
        "registry.example:5000/team/image",
        "registry.example:5000/team/image",
        "latest"
    )]
    #[case(
        "registry.example:5000/team/image:2",
        "registry.example:5000/team/image",
        "2"
    )]
    #[case("sha256:0123", "sha256", "0123")]
    fn an_image_has_a_name_and_a_tag(#[case] image: &str, #[case] name: &str, #[case] tag: &str) {
        assert_eq!(split(image), (name, tag));
    }

    #[test]
    fn every_stage_of_a_dockerfile_is_labelled() {
        let dockerfile =
            "ARG BASE=debian:12\nFROM ${BASE} \\\n  AS one\nRUN true \\\n  FROM here\nfrom one\n";
        let labels = "LABEL dev.firedrill.image=web dev.firedrill.builder=me\n";
        let expected = format!(
            "ARG BASE=debian:12\nFROM ${{BASE}} \\\n  AS one\n{labels}\
             RUN true \\\n  FROM here\nfrom one\n{labels}"
        );
        assert_eq!(label(dockerfile, "web", "me"), expected);
    }
}
