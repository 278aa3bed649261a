//! Bzip2, stream after stream as parallel programs write them, as it comes.

use super::{Broken, MALFORMED, MAX_PUSH_OUTPUT, TOO_MUCH, TRUNCATED};
use bzip2::{Decompress, Status};

/// Room for output that the decoder is given at one time.
const OUTPUT_ROOM: usize = 8 << 10;
/// Memory that a decoder takes for the largest block.
const BLOCK_BYTES: usize = 4 << 20;
/// Bytes that a stream is known by.
const MAGIC_BYTES: u64 = 4;

pub struct Bzip2 {
    engine: Decompress,
    /// Streams that have ended.
    streams: usize,
    /// Behind the last stream: what follows is none.
    pub over: bool,
}

impl Bzip2 {
    pub fn new() -> Bzip2 {
        Bzip2 { engine: Decompress::new(false), streams: 0, over: false }
    }

    pub fn push(&mut self, mut bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        loop {
            if self.over || (bytes.is_empty() && self.engine.total_in() == 0) {
                return Ok(());
            }
            if self.streams > 0 && self.engine.total_in() == 0 && bytes[0] != b'B' {
                self.over = true;
                return Ok(());
            }
            let (read, before) = (self.engine.total_in(), self.engine.total_out());
            made.reserve(OUTPUT_ROOM);
            let status = self.engine.decompress_vec(bytes, made).map_err(|_| MALFORMED)?;
            let read = usize::try_from(self.engine.total_in() - read).unwrap_or(bytes.len());
            let is_idle = read == 0 && self.engine.total_out() == before;
            bytes = &bytes[read.min(bytes.len())..];
            if made.len() > MAX_PUSH_OUTPUT {
                return Err(TOO_MUCH);
            }
            match status {
                Status::StreamEnd => {
                    self.engine = Decompress::new(false);
                    self.streams += 1;
                }
                Status::MemNeeded => return Err(MALFORMED),
                _ if is_idle && bytes.is_empty() => return Ok(()),
                _ if is_idle => return Err(MALFORMED),
                _ => {}
            }
        }
    }

    /// Bytes read of a stream that may follow the one before; `None`: this is not where one begins.
    pub fn bytes_of_next_stream(&self) -> Option<usize> {
        let read = self.engine.total_in();
        (self.streams > 0 && read < MAGIC_BYTES).then_some(read as usize)
    }

    /// Memory for the block that is decoded.
    pub fn window_bytes(&self) -> usize {
        if self.engine.total_in() < MAGIC_BYTES { 0 } else { BLOCK_BYTES }
    }

    pub fn finish(&mut self) -> Result<(), Broken> {
        if self.over || (self.streams > 0 && self.engine.total_in() == 0) { Ok(()) } else { Err(TRUNCATED) }
    }
}
