//! `sandbox:`: where the firewall stands.

use crate::scenario::{
    ContainerImage, Sandbox,
    format::{self, words::quote},
    read::{Reader, fields::Value},
    text::files,
};

impl Reader<'_> {
    /// What could not be read is reported, and then of no account.
    pub(super) fn sandbox(&mut self, value: Value<'_>) -> Sandbox {
        let Some(fields) = self.fields(value, &format::SANDBOX) else {
            return Sandbox::Machine;
        };
        let container = fields.get("docker").and_then(|value| self.container(value));
        container.map_or(Sandbox::Machine, Sandbox::Container)
    }

    fn container(&mut self, value: Value<'_>) -> Option<ContainerImage> {
        let fields = self.fields(value, &format::DOCKER)?;
        let (key, value) = self.either(&fields)?;
        let base = fields.get("base");
        if key == "image" {
            if let Some(base) = base {
                self.problem(base.span(), "an image that is not built has no base")
                    .help("say `dockerfile:` instead of `image:`, or leave `base:` out".to_owned());
            }
            let word = self.line(value, "the name of an image")?;
            let sane = !word.text.is_empty()
                && word.text.chars().all(|c| c.is_ascii_graphic())
                && !word.text.starts_with('-');
            if !sane {
                self.problem(
                    word.span,
                    format!("{} is not the name of an image", quote(word.text)),
                )
                .help("write it as the container engine does: `debian:12`".to_owned());
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
            self.problem(
                word.span,
                format!("the Dockerfile of {} {why}", quote(word.text)),
            )
            .help(Some(format!("looked for {}", dockerfile.display())));
            return None;
        }
        let base = base.and_then(|base| self.line(base, "the name of an image"));
        Some(ContainerImage::Dockerfile {
            path,
            base: base.map(|word| word.text.to_owned()),
        })
    }
}
