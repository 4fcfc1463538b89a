//! Launchers start the agent somewhere and hold the other end of its control channel. They differ in
//! where the agent lives and in nothing else.

pub mod embedded;

use std::{fmt, io};

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split,
};

use crate::protocol::{Plan, Record};

/// The longest record that is read, in bytes; a listing of a huge ruleset fits.
const RECORD_LIMIT: usize = 256 << 20;

/// A channel to an agent.
trait Channel: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Channel for T {}

/// A running agent. Dropping it ends the agent and everything in its sandbox.
pub struct Session {
    records: BufReader<ReadHalf<Box<dyn Channel>>>,
    /// Held open: its end is the agent's end.
    _plan: WriteHalf<Box<dyn Channel>>,
    line: Vec<u8>,
    /// What keeps the agent alive, dropped after the channel.
    _guard: Box<dyn Send>,
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
    #[error("the sandbox ended in the middle of the run (was it killed?)")]
    CutOff,
    /// It said something that is no record.
    #[error("the sandbox sent something unreadable: {0}")]
    Unreadable(#[source] serde_json::Error),
}

impl Session {
    /// Hands the plan to an agent at the other end of `channel`.
    async fn begin(
        channel: Box<dyn Channel>,
        guard: Box<dyn Send>,
        plan: &Plan,
    ) -> Result<Self, LaunchError> {
        let (read, mut write) = split(channel);
        let mut line = serde_json::to_vec(plan).map_err(LaunchError::Unreadable)?;
        line.push(b'\n');
        write.write_all(&line).await.map_err(LaunchError::Channel)?;
        write.flush().await.map_err(LaunchError::Channel)?;
        Ok(Self {
            records: BufReader::with_capacity(64 * 1024, read),
            _plan: write,
            line: Vec::new(),
            _guard: guard,
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
                .records
                .fill_buf()
                .await
                .map_err(LaunchError::Channel)?;
            if available.is_empty() {
                return Err(LaunchError::CutOff);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            self.line.extend_from_slice(&available[..taken]);
            self.records.consume(taken);
            if end.is_some() {
                return serde_json::from_slice(&self.line).map_err(LaunchError::Unreadable);
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
