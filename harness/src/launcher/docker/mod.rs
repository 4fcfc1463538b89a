//! The Docker launcher: a disposable container with the userland of another system.
//!
//! testcontainers starts the container, copies this program into it and removes it; what it lacks (a
//! process's standard input, progress of a build, lists) is done with bollard, the client inside it. The
//! container's network is `none`; the agent wires the lab inside, as everywhere.
//!
//! A container that has done what it was asked serves the next scenario of the same run and image, because
//! starting one costs ten times as much as a scenario. Nothing of the earlier scenario is in reach of the
//! next: each has fresh namespaces, and a fresh private root over the image, which is never written.

mod container;
mod error;
mod image;
mod owner;
mod program;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use testcontainers::{
    bollard::{
        self,
        query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
    },
    core::client::docker_client_instance,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OnceCell,
    task::{JoinHandle, spawn_blocking},
};

use self::{
    container::Container,
    owner::{Fate, Owner},
    program::Program,
};
pub use self::{
    error::DockerError,
    image::{BuiltImage, ContextFile, Image, Recipe},
    program::VARIABLE as AGENT_VARIABLE,
};
use super::{Channel, LaunchError, Session};
use firedrill_wire::protocol::Plan;

/// A container engine: Docker, or Podman in its place.
pub struct Docker {
    engine: Arc<Engine>,
}

/// What every container needs.
struct Engine {
    client: bollard::Docker,
    /// What the engine says of itself.
    version: String,
    /// The agent, once it is read; until then whoever reads it.
    program: OnceCell<Program>,
    reading: Mutex<Option<JoinHandle<Result<Program, DockerError>>>>,
    owner: Owner,
    security: Security,
    /// How many leftover containers were found and removed to begin with.
    swept: usize,
    /// Containers that wait for their next plan, by image.
    idle: Mutex<HashMap<String, Vec<Container>>>,
}

/// What else an engine lays upon its containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Security {
    apparmor: bool,
    selinux: bool,
    rootless: bool,
}

impl Docker {
    /// Finds the engine (`DOCKER_HOST`, or the usual socket) and removes the leftovers of runs of this
    /// machine that were killed. `agent` is the program that travels; when not given, the one that
    /// [`AGENT_VARIABLE`] names, or this very one.
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if there is no engine, or if it may not be used.
    pub async fn connect(agent: Option<PathBuf>) -> Result<Self, DockerError> {
        const DOING: &str = "talk to the container engine";
        let client = docker_client_instance().await;
        let client = client.map_err(|error| DockerError::explain(DOING.to_owned(), &error))?;
        // Beside what the engine is asked.
        let reading = spawn_blocking(move || Program::read(agent.as_deref()));
        let owner =
            Owner::this().map_err(|error| DockerError::explain(DOING.to_owned(), &error))?;
        let (info, swept) = tokio::join!(client.info(), sweep(&client, &owner, owner::LABEL));
        let info = info.map_err(|error| DockerError::engine(DOING, &error))?;
        let options = info.security_options.unwrap_or_default();
        let has = |name: &str| {
            let name = format!("name={name}");
            options
                .iter()
                .any(|option| option.split(',').any(|part| part == name))
        };
        let engine = Engine {
            version: info.server_version.unwrap_or_default(),
            security: Security {
                apparmor: has("apparmor"),
                selinux: has("selinux"),
                rootless: has("rootless"),
            },
            client,
            program: OnceCell::new(),
            reading: Mutex::new(Some(reading)),
            owner,
            swept: swept?,
            idle: Mutex::default(),
        };
        Ok(Self {
            engine: Arc::new(engine),
        })
    }

    /// The engine's version, as it says it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.engine.version
    }

    /// Starts an agent in a container of the image with this identity, which has the agent (see
    /// [`Docker::equip`]).
    ///
    /// # Errors
    ///
    /// [`LaunchError::Docker`] if there is no container to be had.
    pub async fn start(&self, image: &str, plan: &Plan) -> Result<Session, LaunchError> {
        let idle = lock(&self.engine.idle).get_mut(image).and_then(Vec::pop);
        let container = match idle {
            Some(container) => container,
            None => Container::start(&self.engine, image).await?,
        };
        let lease = Lease {
            engine: Arc::clone(&self.engine),
            image: image.to_owned(),
            container: Some(container),
            finished: false,
        };
        Session::begin(Box::new(lease), plan).await
    }

    /// Lets the containers of this run go: their agents end with their channels, they end with their agents, and
    /// the engine removes what has ended. Nobody has to wait for that.
    pub fn close(&self) {
        lock(&self.engine.idle).clear();
    }

    async fn program(&self) -> Result<&Program, DockerError> {
        let lost = |error: tokio::task::JoinError| DockerError::Program(error.to_string());
        let read = async || {
            let reading = lock(&self.engine.reading).take();
            match reading {
                Some(reading) => reading.await.map_err(lost)?,
                None => Err(DockerError::Program(
                    "it could not be read before".to_owned(),
                )),
            }
        };
        self.engine.program.get_or_try_init(read).await
    }

    /// Removes everything that killed runs left behind, and what their builds did; how many containers and
    /// images. Containers of runs that go on are left alone.
    ///
    /// # Errors
    ///
    /// [`DockerError::Engine`] if the engine refuses.
    pub async fn clean(&self) -> Result<(usize, usize), DockerError> {
        let Engine { client, owner, .. } = &*self.engine;
        let steps = sweep(client, owner, image::BUILDER).await?;
        let containers = self.engine.swept + steps;
        let images = self.remove_unfinished_images().await?;
        Ok((containers, images))
    }
}

/// Removes the containers whose owner, by this label, is gone; how many.
async fn sweep(client: &bollard::Docker, this: &Owner, label: &str) -> Result<usize, DockerError> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters);
    let listed = client.list_containers(Some(options.build())).await;
    let doing = "look for leftover containers";
    let listed = listed.map_err(|error| DockerError::engine(doing, &error))?;
    let mut removed = 0;
    for container in listed {
        // Somebody's container of a finished image has its builder's label; of an unfinished one nobody has.
        let image = container.image.unwrap_or_default();
        if label == image::BUILDER && !image.starts_with("sha256:") {
            continue;
        }
        let owner = container.labels.unwrap_or_default().remove(label);
        let leftover = match owner.map(|owner| owner::fate(&owner, this)) {
            Some(Fate::Gone) => true,
            Some(Fate::Alive) | None => false,
            // Elsewhere, or before a reboot: one that waits to be started may be somebody's.
            Some(Fate::Unknown) => {
                let ended = |status: String| status.starts_with("Exited");
                label == owner::LABEL && container.status.is_some_and(ended)
            }
        };
        let Some(id) = container.id.filter(|_| leftover) else {
            continue;
        };
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        match client.remove_container(&id, Some(options.build())).await {
            Ok(()) => removed += 1,
            // Gone, or going, by itself.
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => {}
            Err(error) => {
                let doing = format!("remove the leftover container {id}");
                return Err(DockerError::engine(doing, &error));
            }
        }
    }
    Ok(removed)
}

/// A container while it serves one session.
struct Lease {
    engine: Arc<Engine>,
    image: String,
    /// Always there, but for the end.
    container: Option<Container>,
    finished: bool,
}

impl Lease {
    fn container(&mut self) -> io::Result<Pin<&mut Container>> {
        let container = self.container.as_mut().map(Pin::new);
        container.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Channel for Lease {
    fn finished(&mut self) {
        self.finished = true;
    }

    fn explain(&mut self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async {
            match &mut self.container {
                Some(container) => container.explain(&self.engine).await,
                None => String::new(),
            }
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(container) = self.container.take() else {
            return;
        };
        if self.finished {
            let mut idle = lock(&self.engine.idle);
            idle.entry(std::mem::take(&mut self.image))
                .or_default()
                .push(container);
        }
    }
}

impl AsyncRead for Lease {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.container()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Lease {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.container()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.container()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.container()?.poll_shutdown(context)
    }
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Docker").field(&self.engine.version).finish()
    }
}

/// What is protected is whole even if somebody panicked beside it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
