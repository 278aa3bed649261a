//! The gate's program: where it lies, its digest, and the processor it is for.

use super::variable;
use crate::exit::UserError;
use crate::facts::{Digest, GateBinary};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that are read of the program at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The gate's program for an engine of this architecture.
///
/// # Errors
/// `UserError` with the path that was tried and what to type, where the file is missing or cannot be read.
pub fn gate_binary(arch: &str) -> Result<GateBinary, UserError> {
    let (path, place) = match variable("CLAUDE_BOTTLE_GATE") {
        Some(path) => (PathBuf::from(path), " (`CLAUDE_BOTTLE_GATE`)"),
        None => {
            let me = std::env::current_exe().and_then(|me| me.canonicalize()).unwrap_or_default();
            let prefix = me.parent().and_then(Path::parent).unwrap_or(Path::new("/usr/local"));
            (prefix.join("libexec/claude-bottle").join(format!("claude-bottle-gate-{arch}")), "")
        }
    };
    let missing = |why: &std::io::Error| {
        UserError::new(format!("no gate program at `{}`{place}: {why}", path.display()))
            .hint("`make build` builds it; or name it in `CLAUDE_BOTTLE_GATE`")
    };
    let digest = fs::File::open(&path).and_then(digest_file).map_err(|e| missing(&e))?;
    Ok(GateBinary { digest, path })
}

/// The processor that an ELF file is for: its word size and byte order, and its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor([u8; 4]);

impl Processor {
    /// Reads the header of a program; `None` for a file that is not ELF.
    ///
    /// # Errors
    /// Where the file cannot be read, or is shorter than a header.
    pub fn of(program: &Path) -> std::io::Result<Option<Processor>> {
        let mut header = [0; 20];
        fs::File::open(program)?.read_exact(&mut header)?;
        let [a, b, c, d, word, order, .., machine, which] = header;
        Ok(([a, b, c, d] == *b"\x7fELF").then_some(Processor([word, order, machine, which])))
    }

    /// In the notation of `uname -m`.
    pub fn name(self) -> &'static str {
        match self.0[2..] {
            [62, 0] => "x86_64",
            [183, 0] => "aarch64",
            _ => "another processor",
        }
    }
}

/// The [`digest`](crate::facts::digest) of a file's content, read by pieces: a dry run reads the gate's whole program,
/// and allocating memory for all of it costs more than reading it.
fn digest_file(mut file: fs::File) -> std::io::Result<u64> {
    let mut digest = Digest::new(file.metadata()?.len());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        // Only the last piece may be shorter: `Digest::add` needs whole rows before that.
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        digest.add(&piece[..filled]);
        if filled < piece.len() {
            return Ok(digest.value());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::digest;

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 7, 64 << 10, (64 << 10) + 8, (200 << 10) + 3] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
            fs::write(folder.path().join("file"), &bytes).unwrap();
            let file = fs::File::open(folder.path().join("file")).unwrap();
            assert_eq!(digest_file(file).unwrap(), digest(&bytes), "{length} bytes");
        }
    }
}
