//! A reader that shows on the terminal how far a copy is, once it takes long enough.

use crate::render;
use crate::say;
use std::io::{self, Read};

/// Reads from `source`, and shows how much of it was read.
pub struct ProgressReader<R> {
    source: R,
    read: u64,
    /// Bytes of the whole, where that is known.
    all: Option<u64>,
}

impl<R: Read> ProgressReader<R> {
    pub fn new(source: R, all: Option<u64>) -> ProgressReader<R> {
        ProgressReader { source, read: 0, all }
    }
}

impl<R: Read> Read for ProgressReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        self.read += count as u64;
        let far = match self.all {
            Some(all) => render::copying(render::CopyProgress { read: self.read, all }, all),
            None if self.read >= render::MIN_SHOWN_COPY_BYTES => Some(format!("copied {}", render::size(self.read))),
            None => None,
        };
        match far {
            Some(_) if count == 0 => say::no_progress(),
            Some(far) => say::progress(&far),
            None => {}
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_is_read_as_it_is() {
        let bytes: Vec<u8> = (0..20 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        for all in [None, Some(bytes.len() as u64), Some(1)] {
            let mut read = Vec::new();
            ProgressReader::new(&bytes[..], all).read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
    }
}
