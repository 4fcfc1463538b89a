//! Keeps what went in and out of the sandbox.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use firedrill_harness::protocol::{Plan, Record};

pub(crate) fn write_recording(
    folder: &Path,
    id: &str,
    plan: &Plan,
    records: &[Record],
) -> std::io::Result<()> {
    let file = folder.join(format!("{id}.jsonl"));
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut out = BufWriter::new(File::create(file)?);
    serde_json::to_writer(&mut out, plan)?;
    for record in records {
        out.write_all(b"\n")?;
        serde_json::to_writer(&mut out, record)?;
    }
    out.write_all(b"\n")?;
    out.flush()
}
