//! The audit trail on disk, read as it grows, in pieces of bounded size.

use super::Folder;
use super::budget::MAX_AUDIT_LINE_BYTES;
use std::fs::File;
use std::io::{self, Read, Take};
use std::path::PathBuf;

/// Bytes of the trail that are read at once.
const MAX_READ_BYTES: usize = 1 << 20;

pub struct TrailFile {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// Bytes of the whole lines read so far.
    read: u64,
}

impl TrailFile {
    pub fn new(folder: &Folder) -> TrailFile {
        TrailFile { path: folder.audit(), file: None, rest: Vec::new(), read: 0 }
    }

    /// The next whole lines, at most [`MAX_READ_BYTES`] of them; `None` at the end of what is written.
    ///
    /// # Errors
    /// The disk's. A file that is not there yet is empty.
    pub fn next_lines(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.file.is_none() {
            // The file is made with the gate's first line.
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut block = std::mem::take(&mut self.rest);
        let read = file.take(MAX_READ_BYTES as u64).read_to_end(&mut block)?;
        let end = block.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest = block.split_off(end);
        if self.rest.len() as u64 > MAX_AUDIT_LINE_BYTES {
            // No line of a gate is so long. It is given in pieces, none of which is a line of the trail.
            block.append(&mut self.rest);
        }
        self.read += block.len() as u64;
        Ok((read > 0).then_some(block))
    }

    /// The lines given so far, to be read again; the file may have grown since.
    pub fn lines_read(&self) -> Option<Take<File>> {
        File::open(&self.path).ok().map(|file| file.take(self.read))
    }
}
