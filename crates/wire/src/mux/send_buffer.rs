//! Frames that wait until the stream takes them.

use super::frame::{Frame, HEAD_BYTES, data_head};
use std::io::{self, ErrorKind, Write};

/// While this many bytes wait, no socket is read, because its data would wait, too.
const MAX_WAITING_BYTES: usize = 64 << 10;

/// Encoded frames, in order.
#[derive(Default)]
pub struct SendBuffer(Vec<u8>);

impl SendBuffer {
    /// Whether data may be added.
    pub fn has_room(&self) -> bool {
        self.0.len() < MAX_WAITING_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a frame.
    pub fn push(&mut self, channel: u32, frame: Frame) {
        frame.write(channel, &mut self.0);
    }

    /// Appends a frame with the data that `read` puts into a buffer of `max` bytes. Appends nothing if it reads nothing.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn push_read(
        &mut self,
        channel: u32,
        max: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let head = self.0.len();
        let body = head + HEAD_BYTES;
        self.0.resize(body + max, 0);
        let read = read(&mut self.0[body..]);
        match read {
            Ok(count @ 1..) => {
                self.0[head..body].copy_from_slice(&data_head(channel, count));
                self.0.truncate(body + count);
            }
            _ => self.0.truncate(head),
        }
        read
    }

    /// Writes as much as `stream` takes without waiting.
    ///
    /// # Errors
    /// Those of `stream` except `WouldBlock` and `Interrupted`.
    pub fn write_to(&mut self, stream: &mut impl Write) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            if sent == self.0.len() {
                break Ok(());
            }
            match stream.write(&self.0[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.0.drain(..sent);
        result
    }
}
