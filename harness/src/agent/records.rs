//! What the agent reports, and the stream that it goes to.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::fd::OwnedFd,
};

use firedrill_wire::protocol::Record;

/// The way out. A launcher that has gone away ends the agent by other means, so errors are not
/// looked at.
pub(crate) struct Records(BufWriter<File>);

impl Records {
    pub(crate) fn new(channel: OwnedFd) -> Self {
        Self(BufWriter::new(File::from(channel)))
    }

    pub(crate) fn send(&mut self, record: &Record) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }

    pub(crate) fn flush(&mut self) {
        let _ = self.0.flush();
    }
}
