//! Launchers start the agent somewhere and hold the other end of its control channel. They differ in
//! where the agent lives and in nothing else.

#[cfg(feature = "docker")]
pub mod docker;
pub mod embedded;

use std::{fmt, future::Future, io, pin::Pin};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use firedrill_wire::protocol::{Plan, Record};

/// The longest record that is read, in bytes; a listing of a huge ruleset fits.
const RECORD_LIMIT: usize = 256 << 20;

/// A channel to an agent. Its end is the agent's end.
trait Channel: AsyncRead + AsyncWrite + Send + Unpin {
    /// The agent has done what the plan said, and could be given another.
    fn finished(&mut self) {}

    /// Why it may have ended too early, as in "the sandbox ended in the middle of the run (…)".
    fn explain(&mut self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async { "was it killed?".to_owned() })
    }
}

/// A running agent. Dropping it ends the agent and everything in its sandbox.
pub struct Session {
    channel: BufReader<Box<dyn Channel>>,
    line: Vec<u8>,
}

/// Why an agent could not be started, or why it stopped speaking.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It could not be started.
    #[error("could not start the sandbox: {0}")]
    Start(#[source] io::Error),
    /// The channel broke.
    #[error("lost the sandbox: {0}")]
    Channel(#[source] io::Error),
    /// It ended without saying that it was done.
    #[error("the sandbox ended in the middle of the run ({0})")]
    CutOff(String),
    /// The container could not be had.
    #[cfg(feature = "docker")]
    #[error(transparent)]
    Docker(#[from] docker::DockerError),
    /// It said something that is no record.
    #[error("the sandbox sent something unreadable: {0}")]
    Unreadable(#[source] serde_json::Error),
}

impl Session {
    /// Hands the plan to an agent at the other end of `channel`.
    async fn begin(channel: Box<dyn Channel>, plan: &Plan) -> Result<Self, LaunchError> {
        let mut channel = BufReader::with_capacity(64 * 1024, channel);
        let mut line = serde_json::to_vec(plan).map_err(LaunchError::Unreadable)?;
        line.push(b'\n');
        let sent = channel.write_all(&line).await;
        sent.map_err(LaunchError::Channel)?;
        channel.flush().await.map_err(LaunchError::Channel)?;
        Ok(Self {
            channel,
            line: Vec::new(),
        })
    }

    /// The next record.
    ///
    /// # Errors
    ///
    /// [`LaunchError::CutOff`] if the stream ends: callers stop asking after [`Record::Done`],
    /// [`Record::Broken`] or [`Record::LoadFailed`].
    pub async fn next(&mut self) -> Result<Record, LaunchError> {
        self.line.clear();
        loop {
            let available = self
                .channel
                .fill_buf()
                .await
                .map_err(LaunchError::Channel)?;
            if available.is_empty() {
                let why = self.channel.get_mut().explain().await;
                return Err(LaunchError::CutOff(why));
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            self.line.extend_from_slice(&available[..taken]);
            self.channel.consume(taken);
            if end.is_some() {
                let record = serde_json::from_slice(&self.line).map_err(LaunchError::Unreadable)?;
                if let Record::Done { .. } | Record::LoadFailed(_) | Record::Refused(_) = record {
                    self.channel.get_mut().finished();
                }
                return Ok(record);
            }
            if self.line.len() > RECORD_LIMIT {
                return Err(LaunchError::Channel(io::Error::other(
                    "a record without end",
                )));
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
