//! `sandbox:`: where the firewall stands.

use crate::scenario::{
    ContainerImage, Sandbox,
    format::Shape,
    read::{
        Reader,
        fields::Value,
        keys::{keys, raw},
    },
    text::files,
};

keys! {
    /// Whose programs load the configuration.
    SANDBOX = "sandbox", "the sandbox", struct SandboxKeys<'n>.spread() {
        /// A disposable container, with the programs of an image.
        docker: Value<'n> = Shape::Object(&DOCKER) => raw, required;
    }
}

keys! {
    /// What the container is made from.
    DOCKER = "docker", "the container", struct DockerKeys<'n>.spread() {
        /// An image of the container engine, or of a registry: `debian:12`.
        _image "image": Value<'n> = Shape::Text => raw, either;
        /// A folder with a `Dockerfile`, or such a file, relative to this file; built when it is needed.
        dockerfile: Value<'n> = Shape::Text => raw, either;
        /// What the Dockerfile builds upon, for those that have `ARG BASE`: `debian:13`.
        base: Value<'n> = Shape::Text => raw;
    }
}

impl Reader<'_> {
    /// What could not be read is reported, and then of no account.
    pub(super) fn sandbox(&mut self, value: Value<'_>) -> Sandbox {
        let keys = SandboxKeys::read(self, value);
        let docker = keys.and_then(|keys| keys.docker);
        let container = docker.and_then(|value| self.container(value));
        container.map_or(Sandbox::Machine, Sandbox::Container)
    }

    fn container(&mut self, value: Value<'_>) -> Option<ContainerImage> {
        let keys = DockerKeys::read(self, value)?;
        let (_, value) = keys.either()?;
        if keys.dockerfile.is_none() {
            if let Some(base) = keys.base {
                self.problem(base.span(), "an image that is not built has no base")
                    .help("say `dockerfile:` instead of `image:`, or leave `base:` out");
            }
            let word = self.line(value, "the name of an image")?;
            let sane = !word.text.is_empty()
                && word.text.chars().all(|c| c.is_ascii_graphic())
                && !word.text.starts_with('-');
            if !sane {
                self.problem(word.span, format!("{word} is not the name of an image"))
                    .help("write it as the container engine does: `debian:12`");
                return None;
            }
            return Some(ContainerImage::Named(word.text.to_owned()));
        }
        let word = self.line(value, "the path of a folder with a Dockerfile")?;
        let path = self.path(word);
        let dockerfile = if path.is_dir() {
            path.join("Dockerfile")
        } else {
            path.clone()
        };
        if let Err(why) = files::check_file(&dockerfile) {
            self.problem(word.span, format!("the Dockerfile of {word} {why}"))
                .help(Some(format!("looked for {}", dockerfile.display())));
            return None;
        }
        let base = keys
            .base
            .and_then(|base| self.line(base, "the name of an image"));
        Some(ContainerImage::Dockerfile {
            path,
            base: base.map(|word| word.text.to_owned()),
        })
    }
}
