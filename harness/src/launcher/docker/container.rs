//! One container, and the channel to the agent in it.

use std::{
    fmt, io,
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use testcontainers::{
    ContainerAsync, GenericImage, Healthcheck, ImageExt,
    bollard::{
        container::LogOutput,
        errors::Error as EngineError,
        exec::{CreateExecOptions, StartExecOptions, StartExecResults},
        models::{HostConfig, HostConfigLogConfig},
    },
    runners::AsyncRunner,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{DockerError, Engine, image::PROGRAM, owner};
use crate::agent::{self, container};

/// Root of the container, whatever user the image asks for.
const ROOT: &str = "0:0";

/// Those of Docker's own set that the agent and its candidate use, and the two that a lab takes:
/// interfaces and rules, namespaces and mounts.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_ADMIN",
    "SYS_ADMIN",
];

/// All memory of a container, in bytes: its programs, and what is written to the private root.
const MEMORY: i64 = 1 << 30;

/// How many processes and threads a container may have; as in the embedded sandbox.
const PROCESSES: i64 = 1024;

/// The most that is kept of what an agent complains about, in bytes.
const COMPLAINTS: usize = 8 * 1024;

/// A running container with an agent that waits for plans. When it is dropped the agent ends, with it the
/// container, and the engine removes it.
pub(super) struct Container {
    /// Never dropped: that would keep everybody waiting for its removal, which the engine does by itself.
    handle: ManuallyDrop<ContainerAsync<GenericImage>>,
    records: Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>,
    plans: Pin<Box<dyn AsyncWrite + Send>>,
    /// Of the last piece of output, what is not read yet begins here.
    piece: Option<(LogOutput, usize)>,
    /// What came on standard error: an agent that is well says nothing there.
    complaints: Vec<u8>,
}

impl Container {
    /// Starts a container of an image (by its identity) that has the agent, and the agent in it.
    pub(super) async fn start(engine: &Engine, image: &str) -> Result<Self, DockerError> {
        let doing = || format!("start a container of {image}");
        let (name, tag) = super::image::split(image);
        let security = engine.security;
        let request = GenericImage::new(name, tag)
            .with_entrypoint(PROGRAM)
            .with_cmd([agent::ARGUMENT, container::HOLD])
            .with_readonly_rootfs(true)
            .with_label(owner::LABEL, engine.owner.label())
            .with_user(ROOT)
            .with_working_dir("/")
            .with_health_check(Healthcheck::none())
            .with_host_config_modifier(move |config| confine(config, &security));
        let handle = request.start().await;
        let handle = handle.map_err(|error| DockerError::container(doing(), &error))?;
        match serve(engine, handle.id()).await {
            Ok((records, plans)) => Ok(Self {
                handle: ManuallyDrop::new(handle),
                records,
                plans,
                piece: None,
                complaints: Vec::new(),
            }),
            Err(error) => {
                // The first error says more.
                let _ = handle.rm().await;
                Err(DockerError::engine(
                    "start the agent in its container",
                    &error,
                ))
            }
        }
    }

    /// Why the agent may have ended.
    pub(super) async fn explain(&mut self, engine: &Engine) -> String {
        let inspected = engine
            .client
            .inspect_container(self.handle.id(), None)
            .await;
        let state = match inspected {
            Ok(container) => container.state.unwrap_or_default(),
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => return "its agent or its container was killed".to_owned(),
            Err(error) => {
                let error = DockerError::engine("ask the container engine", &error);
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                return format!("was the container engine stopped or restarted? {line}");
            }
        };
        let said = String::from_utf8_lossy(&self.complaints);
        match said.trim() {
            _ if state.oom_killed == Some(true) => {
                format!("it needed more than {} MiB of memory", MEMORY >> 20)
            }
            "" => "its agent or its container was killed".to_owned(),
            said => format!("its agent said: {said}"),
        }
    }
}

/// What a container may do, and what it may use.
fn confine(config: &mut HostConfig, security: &super::Security) {
    config.network_mode = Some("none".to_owned());
    config.publish_all_ports = Some(false);
    config.auto_remove = Some(true);
    config.cap_drop = Some(vec!["ALL".to_owned()]);
    config.cap_add = Some(CAPABILITIES.iter().map(ToString::to_string).collect());
    config.memory = Some(MEMORY);
    config.memory_swap = Some(MEMORY);
    config.pids_limit = Some(PROCESSES);
    config.log_config = Some(HostConfigLogConfig {
        typ: Some("none".to_owned()),
        config: None,
    });
    let mut options = vec!["no-new-privileges".to_owned()];
    // Both forbid all mounts, whatever capabilities there are.
    if security.apparmor {
        options.push("apparmor=unconfined".to_owned());
    }
    if security.selinux {
        options.push("label=disable".to_owned());
    }
    config.security_opt = Some(options);
    if security.rootless {
        // There the kernel refuses a fresh `/proc` beside one of which a part is covered. The container's
        // root is an ordinary user of the machine.
        config.masked_paths = Some(Vec::new());
        config.readonly_paths = Some(Vec::new());
    }
}

type Streams = (
    Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>,
    Pin<Box<dyn AsyncWrite + Send>>,
);

/// Starts the agent. testcontainers has no way to a process's standard input.
async fn serve(engine: &Engine, id: &str) -> Result<Streams, EngineError> {
    let command = [PROGRAM, agent::ARGUMENT, container::SERVE];
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.map(str::to_owned).to_vec()),
        user: Some(ROOT.to_owned()),
        ..CreateExecOptions::default()
    };
    let exec = engine.client.create_exec(id, options).await?;
    let attached = StartExecOptions {
        detach: false,
        tty: false,
        output_capacity: Some(64 * 1024),
    };
    match engine.client.start_exec(&exec.id, Some(attached)).await? {
        StartExecResults::Attached { output, input } => Ok((output, input)),
        StartExecResults::Detached => Err(io::Error::other("it is detached").into()),
    }
}

impl AsyncRead for Container {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some((piece, from)) = &mut self.piece {
                let left = piece.as_ref().get(*from..).unwrap_or_default();
                let taken = left.len().min(buffer.remaining());
                buffer.put_slice(&left[..taken]);
                *from += taken;
                if taken > 0 {
                    return Poll::Ready(Ok(()));
                }
                self.piece = None;
            }
            match ready!(self.records.as_mut().poll_next(context)) {
                Some(Ok(LogOutput::StdErr { message })) => {
                    let room = COMPLAINTS.saturating_sub(self.complaints.len());
                    let kept = &message[..room.min(message.len())];
                    self.complaints.extend_from_slice(kept);
                }
                Some(Ok(piece)) => self.piece = Some((piece, 0)),
                Some(Err(_)) | None => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Container {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.plans.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.plans.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.plans.as_mut().poll_shutdown(context)
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Container").field(&self.handle.id()).finish()
    }
}
