//! Zstandard, frame by frame, as it streams (RFC 8878), with a bounded window (RFC 9659).

use super::{Broken, MALFORMED, MAX_PUSH_OUTPUT, TOO_MUCH, TRUNCATED};
use ruzstd::decoding::FrameDecoder;
use std::io::Read;

/// Bytes of a frame's window; a frame that wants more is not read (RFC 9659).
const MAX_WINDOW_BYTES: u64 = 8 << 20;
/// Bytes of a block, its headers and its checksum.
const MAX_BLOCK_BYTES: usize = (128 << 10) + 64;

/// Decodes frames one after another; the decoder of a frame wants whole blocks.
#[derive(Default)]
pub struct Zstd {
    /// Input that was not decoded yet.
    waiting: Vec<u8>,
    frame: Option<FrameDecoder>,
    /// The frame ends with a checksum of four bytes.
    has_checksum: bool,
    /// Frames that have ended.
    frames: usize,
    /// Bytes of the frame's window.
    window: u64,
    /// Behind the last frame: what follows is no frame.
    pub over: bool,
}

impl Zstd {
    pub fn push(&mut self, bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        if self.over {
            return Ok(());
        }
        self.waiting.extend_from_slice(bytes);
        let mut part = [0; 8 << 10];
        loop {
            let Some(frame) = &mut self.frame else {
                let Some(length) = self.header()? else { return Ok(()) };
                let mut frame = FrameDecoder::new();
                frame.init(&self.waiting[..length]).map_err(|_| MALFORMED)?;
                self.waiting.drain(..length);
                self.frame = Some(frame);
                continue;
            };
            if frame.is_finished() {
                while let count @ 1.. = frame.read(&mut part).map_err(|_| MALFORMED)? {
                    made.extend_from_slice(&part[..count]);
                }
                self.frame = None;
                self.frames += 1;
                continue;
            }
            // The decoder is asked only once a block is whole (RFC 8878, section 3.1.1.2): each call costs.
            let [a, b, c, content @ ..] = self.waiting.as_slice() else { return Ok(()) };
            let header = u32::from_le_bytes([*a, *b, *c, 0]);
            let length = if header >> 1 & 3 == 1 { 1 } else { (header >> 3) as usize };
            // With the last block comes its checksum, which the decoder takes only together with it.
            let length = length + if header & 1 == 1 && self.has_checksum { 4 } else { 0 };
            if length > MAX_BLOCK_BYTES {
                return Err(MALFORMED);
            }
            if content.len() < length {
                return Ok(());
            }
            let (read, written) =
                frame.decode_from_to(&self.waiting[..3 + length], &mut part).map_err(|_| MALFORMED)?;
            self.waiting.drain(..read.min(self.waiting.len()));
            made.extend_from_slice(&part[..written]);
            let mut last = written;
            while last > 0 {
                last = frame.read(&mut part).map_err(|_| MALFORMED)?;
                made.extend_from_slice(&part[..last]);
            }
            if made.len() > MAX_PUSH_OUTPUT {
                return Err(TOO_MUCH);
            }
            if read == 0 && written == 0 && !frame.is_finished() {
                return Err(MALFORMED);
            }
        }
    }

    /// Bytes read of a frame that may follow the one before; `None`: this is not where one begins.
    pub fn bytes_of_next_frame(&self) -> Option<usize> {
        (self.frames > 0 && self.frame.is_none()).then_some(self.waiting.len())
    }

    /// Memory for the window: the decoder keeps it in a ring that doubles as it grows.
    pub fn window_bytes(&self) -> usize {
        2 * self.window as usize
    }

    pub fn finish(&mut self) -> Result<(), Broken> {
        if self.frame.is_some() || !self.waiting.is_empty() {
            return Err(TRUNCATED);
        }
        Ok(())
    }

    /// Bytes of the next frame's header (RFC 8878, section 3.1.1.1), once it is whole.
    fn header(&mut self) -> Result<Option<usize>, Broken> {
        let [a, b, c, d, descriptor, rest @ ..] = self.waiting.as_slice() else { return Ok(None) };
        if [*a, *b, *c, *d] != [0x28, 0xb5, 0x2f, 0xfd] {
            if self.frames == 0 {
                return Err(MALFORMED);
            }
            self.over = true;
            self.waiting.clear();
            return Ok(None);
        }
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size = match descriptor >> 6 {
            0 => usize::from(single),
            power => 1 << power,
        };
        let head = usize::from(!single) + dictionary;
        if rest.len() < head + size {
            return Ok(None);
        }
        let window = if single {
            let bytes = rest[head..head + size].iter().rev();
            bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        } else {
            1 << (10 + (rest[0] >> 3))
        };
        if window > MAX_WINDOW_BYTES {
            return Err(TOO_MUCH);
        }
        self.window = window;
        self.has_checksum = descriptor & 4 != 0;
        Ok(Some(5 + head + size))
    }
}
