//! What can go wrong with a container engine, and what to do about it.

use std::{error::Error, io};

use testcontainers::{TestcontainersError, bollard::errors::Error as EngineError};

use super::program;

/// Why no container could be had.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// There is no program that could run in any image.
    #[error(
        "this program cannot travel into a container: {0}\n\
         (it has to be linked statically: build it in a checkout of firedrill, whose settings do that where \
         the C library for static programs is installed; with other settings `RUSTFLAGS='-C \
         target-feature=+crt-static' cargo build --target x86_64-unknown-linux-gnu`; or let the environment \
         variable {variable} name a static firedrill of the same version)",
        variable = program::VARIABLE
    )]
    Program(String),
    /// The engine could not do something.
    #[error("could not {doing}: {why}{remedy}")]
    Engine {
        /// As in "could not …".
        doing: String,
        /// What the engine said.
        why: String,
        /// What to do, on a line of its own; may be empty.
        remedy: String,
    },
}

impl DockerError {
    /// An error of the engine's interface while doing something.
    pub(super) fn engine(doing: impl Into<String>, error: &EngineError) -> Self {
        Self::explain(doing.into(), error)
    }

    /// An error of testcontainers while doing something.
    pub(super) fn container(doing: impl Into<String>, error: &TestcontainersError) -> Self {
        Self::explain(doing.into(), error)
    }

    /// What to do if nothing better is known and an image was not to be had.
    pub(super) fn or_no_image(mut self) -> Self {
        if let Self::Engine { remedy, .. } = &mut self
            && remedy.is_empty()
        {
            *remedy = format!("\n({NO_IMAGE})");
        }
        self
    }

    /// Reads the whole chain of reasons: what matters is often at its end.
    pub(super) fn explain(doing: String, error: &(dyn Error + 'static)) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut kind = None;
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Many repeat what the next one says.
            texts.retain(|known| !known.contains(&text) || known.len() > text.len());
            if !texts.iter().any(|known| known.contains(&text)) {
                texts.push(text);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                kind = Some(error.kind());
            }
            // This one says what its cause says, and passes it over.
            if let Some(EngineError::IOError { err }) = error.downcast_ref() {
                kind = Some(err.kind());
            }
            next = error.source();
        }
        let why = texts.join(": ");
        let remedy = remedy(&why, kind).map_or_else(String::new, |remedy| format!("\n({remedy})"));
        Self::Engine { doing, why, remedy }
    }
}

const NO_IMAGE: &str = "there is no such image on this engine, and no registry gave it: `docker images` \
    lists what is there; without a registry, containers/make-base.sh makes base images from Debian \
    packages";

/// What to do about it, if that is known.
fn remedy(why: &str, kind: Option<io::ErrorKind>) -> Option<&'static str> {
    const NO_ENGINE: &str = "is a container engine running? `systemctl start docker` starts Docker; for a \
        rootless, remote or Podman engine set DOCKER_HOST, as in \
        DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock; `--launcher embedded` needs no engine";
    const NO_PERMISSION: &str = "this user may not use the engine's socket: join its group (`sudo usermod \
        -aG docker $USER`, then log in again; its members are as good as root), or run a rootless engine \
        and set DOCKER_HOST; `--launcher embedded` needs no engine";
    const NO_SPACE: &str = "the engine's disk is full: `docker system df` shows what takes the room, \
        `firedrill images remove --all` and `docker system prune` free some";
    let says = |text: &str| why.contains(text);
    match kind {
        Some(io::ErrorKind::PermissionDenied) => return Some(NO_PERMISSION),
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Some(NO_ENGINE),
        _ => {}
    }
    if says("no space left on device") || says("disk quota exceeded") {
        Some(NO_SPACE)
    } else if says("Socket not found") || says("Connection refused") {
        Some(NO_ENGINE)
    } else if says("ermission denied while trying to connect") {
        Some(NO_PERMISSION)
    } else if says("o such image") || says("failed to pull the image") {
        Some(NO_IMAGE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nobody(io::ErrorKind::ConnectionRefused, "systemctl start docker")]
    #[case::no_socket(io::ErrorKind::NotFound, "DOCKER_HOST")]
    #[case::not_allowed(io::ErrorKind::PermissionDenied, "usermod")]
    fn a_remedy_is_found_at_the_end_of_the_chain(
        #[case] kind: io::ErrorKind,
        #[case] remedy: &str,
    ) {
        let error = EngineError::IOError {
            err: io::Error::from(kind),
        };
        let error = DockerError::engine("talk to the engine", &error).to_string();
        assert!(error.contains(remedy), "{error}");
    }

    #[rstest]
    #[case("write /usr/x: no space left on device", "docker system df")]
    #[case("No such image: nobody/nothing:latest", "make-base.sh")]
    fn a_remedy_is_found_in_what_the_engine_says(#[case] said: &str, #[case] remedy: &str) {
        let error = EngineError::DockerResponseServerError {
            status_code: 500,
            message: said.to_owned(),
        };
        let error = DockerError::engine("make an image", &error).to_string();
        assert!(error.contains(remedy), "{error}");
        assert!(error.contains(said), "{error}");
    }
}
