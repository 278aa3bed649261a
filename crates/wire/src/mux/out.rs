//! Frames on their way into the stream, as far as it does not take them yet.

use super::frame::{Frame, HEAD, data_head};
use std::io::{self, ErrorKind, Write};

/// With so many bytes waiting nothing is read that would make them more.
const ROOM: usize = 64 << 10;

#[derive(Default)]
pub struct Out(Vec<u8>);

impl Out {
    pub fn has_room(&self) -> bool {
        self.0.len() < ROOM
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn put(&mut self, channel: u32, frame: Frame) {
        frame.write(channel, &mut self.0);
    }

    /// A frame of data, of what `read` puts into `most` bytes; none where that is nothing.
    pub fn put_read(
        &mut self,
        channel: u32,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let head = self.0.len();
        let body = head + HEAD;
        self.0.resize(body + most, 0);
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

    /// As much as `stream` takes without waiting.
    pub fn send(&mut self, stream: &mut impl Write) -> io::Result<()> {
        let mut sent = 0;
        let ended = loop {
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
        ended
    }
}
