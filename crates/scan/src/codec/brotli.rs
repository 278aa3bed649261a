//! Brotli, as it streams (RFC 7932), with the windows of the RFC: a larger one, up to 1 GiB, is not read.

use super::{BoundedBuffer, Broken, MALFORMED, TRUNCATED};
use brotli_decompressor::DecompressorWriter;
use std::io::Write;

/// Bytes of the buffer that the decoder writes from.
const BUFFER_BYTES: usize = 16 << 10;

pub struct Brotli {
    decoder: DecompressorWriter<BoundedBuffer>,
    /// Bytes of the window, once the first byte has told.
    window: Option<usize>,
    /// Bytes out.
    made: usize,
}

impl Brotli {
    pub fn new() -> Brotli {
        Brotli { decoder: DecompressorWriter::new(BoundedBuffer::default(), BUFFER_BYTES), window: None, made: 0 }
    }

    pub fn push(&mut self, bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        if let (None, Some(first)) = (self.window, bytes.first()) {
            self.window = Some(window_bytes(*first).ok_or(MALFORMED)?);
        }
        let wrote = self.decoder.write_all(bytes);
        self.take(made);
        wrote.map_err(|_| MALFORMED)
    }

    pub fn finish(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        let closed = self.decoder.close();
        self.take(made);
        closed.map_err(|_| TRUNCATED)
    }

    fn take(&mut self, made: &mut Vec<u8>) {
        let out = &mut self.decoder.get_mut().0;
        self.made = self.made.saturating_add(out.len());
        made.append(out);
    }

    /// Memory that the window takes: it fills as bytes are made.
    pub fn window_bytes(&self) -> usize {
        self.window.unwrap_or(0).min(self.made)
    }
}

/// The window that a stream with this first byte has (RFC 7932, section 9.1). `None`: the RFC has no such one.
fn window_bytes(first: u8) -> Option<usize> {
    let bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, more @ 1.., _) => 17 + more,
        (_, 0, 0) => 17,
        (_, 0, 1) => return None,
        (_, 0, less) => 8 + less,
    };
    Some(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_large_as_the_first_byte_says() {
        assert_eq!([0x00, 0x01, 0x0f, 0x71, 0x21].map(window_bytes), [16, 17, 24, 15, 10].map(|bits| Some(1 << bits)));
        assert_eq!(window_bytes(0x11), None);
        assert_eq!(Brotli::new().push(&[0x11, 30], &mut Vec::new()), Err(MALFORMED));
    }
}
