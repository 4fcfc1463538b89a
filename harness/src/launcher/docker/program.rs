//! The program that travels: this very one, if it needs nothing but the kernel.
//!
//! It has to run in any image, whatever C library is there, so it must be linked statically. Only what
//! the kernel maps of it travels; symbols and debug information stay here.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::DockerError;
use firedrill_wire::protocol::hex;

/// Names another program to send: a static firedrill of the same version.
pub const VARIABLE: &str = "FIREDRILL_AGENT";

/// Program header types (elf.h).
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// A program that can travel.
pub(super) struct Program {
    /// Without what the kernel does not map.
    pub(super) bytes: Vec<u8>,
    /// SHA-256 over them, in hexadecimal.
    pub(super) hash: String,
}

impl Program {
    /// Reads the program that is named here or in the environment, else this one. Takes tens of
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`DockerError::Program`] if it is not static.
    pub(super) fn read(named: Option<&Path>) -> Result<Self, DockerError> {
        let bytes = agent(named)?;
        let hash = hex(&Sha256::digest(&bytes));
        Ok(Self { bytes, hash })
    }
}

fn agent(named: Option<&Path>) -> Result<Vec<u8>, DockerError> {
    let variable = || env::var_os(VARIABLE).map(PathBuf::from);
    let named = named.map(Path::to_owned).or_else(variable);
    let path = named
        .clone()
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let image = fs::read(&path).map_err(|error| {
        DockerError::Program(format!("could not read {}: {error}", path.display()))
    })?;
    let shown = named.or_else(|| env::current_exe().ok()).unwrap_or(path);
    let shown = shown.display();
    match mapped(image) {
        Ok(Some(program)) => Ok(program),
        Ok(None) => Err(DockerError::Program(format!(
            "{shown} needs shared libraries"
        ))),
        Err(error) => Err(DockerError::Program(format!("{shown}: {error}"))),
    }
}

/// Cuts an ELF program behind the last segment that is mapped; `None` if it asks for an interpreter, which
/// loads shared libraries (System V ABI, "Program Header").
fn mapped(mut program: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let malformed = || io::Error::other("it is no 64-bit little-endian ELF program");
    if program.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(malformed());
    }
    let number = |at: usize, length: usize| -> io::Result<u64> {
        let bytes = at.checked_add(length).and_then(|end| program.get(at..end));
        let bytes = bytes.ok_or_else(malformed)?;
        let sum = bytes.iter().rev();
        Ok(sum.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let place =
        |at: usize| Ok::<_, io::Error>(usize::try_from(number(at, 8)?).unwrap_or(usize::MAX));
    let (headers, size, count) = (place(0x20)?, number(0x36, 2)?, number(0x38, 2)?);
    let mut end = 0;
    for index in 0..count {
        let at = usize::try_from(index * size).map_err(io::Error::other)?;
        let header = headers.checked_add(at).ok_or_else(malformed)?;
        match u32::try_from(number(header, 4)?) {
            Ok(PT_INTERP) => return Ok(None),
            Ok(PT_LOAD) => {
                let filled = place(header + 0x08)?.checked_add(place(header + 0x20)?);
                end = end.max(filled.ok_or_else(malformed)?);
            }
            _ => {}
        }
    }
    if end == 0 || end > program.len() {
        return Err(malformed());
    }
    program.truncate(end);
    // No section headers any more: e_shoff, e_shnum and e_shstrndx.
    for gone in [0x28..0x30, 0x3c..0x40] {
        if let Some(bytes) = program.get_mut(gone) {
            bytes.fill(0);
        }
    }
    Ok(Some(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(kind: u32, offset: u64, filled: u64) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(kind.to_le_bytes());
        header.extend(5_u32.to_le_bytes());
        for field in [offset, 0, 0, filled, filled, 4096] {
            header.extend(field.to_le_bytes());
        }
        header
    }

    /// An ELF header (System V ABI, "ELF Header"), these segments behind it, and some sections.
    fn program(segments: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(0x20, 0);
        bytes.extend(64_u64.to_le_bytes());
        bytes.extend(900_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for field in [64, 56, segments.len() as u16, 64, 12, 11] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(segments.concat());
        bytes.resize(1000, 7);
        bytes
    }

    #[test]
    fn a_program_is_cut_behind_what_is_mapped() {
        let whole = program(&[segment(PT_LOAD, 0, 300), segment(PT_LOAD, 400, 100)]);
        let cut = mapped(whole)
            .expect("an ELF program")
            .expect("a static one");
        assert_eq!(cut.len(), 500);
        assert_eq!(cut[0x28..0x30], [0; 8]);
        assert_eq!(cut[0x3c..0x40], [0; 4]);
    }

    #[test]
    fn a_program_with_an_interpreter_does_not_travel() {
        let whole = program(&[segment(PT_INTERP, 200, 20), segment(PT_LOAD, 0, 300)]);
        assert_eq!(mapped(whole).expect("an ELF program"), None);
    }

    #[test]
    fn a_program_that_lies_about_its_size_does_not_travel() {
        for (offset, filled) in [(0, 1001), (u64::MAX, 2)] {
            assert!(mapped(program(&[segment(PT_LOAD, offset, filled)])).is_err());
        }
        assert!(mapped(b"#!/bin/sh".to_vec()).is_err());
        assert!(mapped(b"\x7fELF\x02\x01".to_vec()).is_err());
    }
}
