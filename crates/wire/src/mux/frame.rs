//! The frames of the stream: a kind, a channel, a length and that many bytes. All numbers are big-endian.
//!
//! On a channel each side sends `Data` and `Window` in any order, at most one `End`, and `Close` as its last frame; or it
//! sends only `NoListener`. A channel's number is free again once both sides have sent their last frame.

use std::io;

/// Bytes of a frame's head: kind, channel, length.
pub const HEAD_BYTES: usize = 1 + 4 + 2;

/// Most bytes of data in one frame. While one connection's frame is sent, all others wait.
pub const MAX_DATA_BYTES: usize = 32 << 10;

/// Bytes that one side may send on a channel before the other side has delivered any of them to its socket.
pub const WINDOW_BYTES: u32 = 1 << 20;

/// Version of the protocol, sent by the bottle's end. That end is as old as the bottle and may be older than the host's.
const VERSION: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The bottle's end is ready.
    Hello,
    /// A connection was accepted on the host; it leads to this port inside the bottle.
    Open(u16),
    Data(&'a [u8]),
    /// No more data follows in this direction; the other direction stays open.
    End,
    /// This many bytes were delivered to the socket, and as many more may be sent.
    Window(u32),
    /// The sender's socket is closed. Without an `End` before, the data is not complete.
    Close,
    /// No server listens on the port of `Open`.
    NoListener,
}

/// What the other end sent is no frame, or not allowed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolError;

impl From<ProtocolError> for io::Error {
    fn from(_: ProtocolError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, "what comes from its other end is not understood")
    }
}

impl Frame<'_> {
    /// Appends the encoded frame to `out`.
    pub fn write(&self, channel: u32, out: &mut Vec<u8>) {
        let number;
        let version = [VERSION];
        let (kind, bytes): (u8, &[u8]) = match self {
            Frame::Hello => (0, &version),
            Frame::Open(port) => {
                number = [0, 0, port.to_be_bytes()[0], port.to_be_bytes()[1]];
                (1, &number[2..])
            }
            Frame::Data(bytes) => (2, bytes),
            Frame::End => (3, &[]),
            Frame::Window(count) => {
                number = count.to_be_bytes();
                (4, &number)
            }
            Frame::Close => (5, &[]),
            Frame::NoListener => (6, &[]),
        };
        out.extend(head(kind, channel, bytes.len()));
        out.extend_from_slice(bytes);
    }
}

/// The head of a `Data` frame of `length` bytes.
pub fn data_head(channel: u32, length: usize) -> [u8; HEAD_BYTES] {
    head(2, channel, length)
}

fn head(kind: u8, channel: u32, length: usize) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = channel.to_be_bytes();
    // No frame is longer than `MAX_DATA_BYTES`.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    [kind, a, b, c, d, high, low]
}

/// Decodes the first frame of `bytes`: its channel, the frame, and the count of its bytes. `None` if `bytes` does not contain
/// all of it yet.
///
/// # Errors
/// The head is not one of a frame, or the version is another one.
pub fn decode_first(bytes: &[u8]) -> Result<Option<(u32, Frame<'_>, usize)>, ProtocolError> {
    let Some((&[kind, a, b, c, d, high, low], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // Checked before the bytes are complete: those of an invalid frame may never arrive.
    let fits = match kind {
        0 => length == 1,
        1 => length == 2,
        2 => (1..=MAX_DATA_BYTES).contains(&length),
        4 => length == 4,
        3 | 5 | 6 => length == 0,
        _ => false,
    };
    if !fits {
        return Err(ProtocolError);
    }
    let Some(bytes) = rest.get(..length) else { return Ok(None) };
    let frame = match (kind, bytes) {
        (0, [VERSION]) => Frame::Hello,
        (1, &[high, low]) => Frame::Open(u16::from_be_bytes([high, low])),
        (2, bytes) => Frame::Data(bytes),
        (3, _) => Frame::End,
        (4, &[a, b, c, d]) => Frame::Window(u32::from_be_bytes([a, b, c, d])),
        (5, _) => Frame::Close,
        (6, _) => Frame::NoListener,
        _ => return Err(ProtocolError),
    };
    Ok(Some((u32::from_be_bytes([a, b, c, d]), frame, HEAD_BYTES + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let frames = [
            Frame::Hello,
            Frame::Open(5173),
            Frame::Data(b"x"),
            Frame::End,
            Frame::Window(WINDOW_BYTES),
            Frame::Close,
            Frame::NoListener,
        ];
        let mut bytes = Vec::new();
        for (channel, frame) in (0x0102_0304..).zip(&frames) {
            frame.write(channel, &mut bytes);
        }
        let mut rest = &bytes[..];
        for (channel, frame) in (0x0102_0304..).zip(frames) {
            let (told, read, length) = decode_first(rest).unwrap().unwrap();
            assert_eq!((told, read), (channel, frame));
            assert_eq!(decode_first(&rest[..length - 1]), Ok(None), "a part is no frame");
            rest = &rest[length..];
        }
        assert_eq!(decode_first(rest), Ok(None));
    }

    #[test]
    fn what_is_no_frame_is_told_at_its_head() {
        assert_eq!(decode_first(&head(7, 1, 0)), Err(ProtocolError), "no such kind");
        assert_eq!(decode_first(&head(2, 1, MAX_DATA_BYTES + 1)), Err(ProtocolError), "too long");
        assert_eq!(decode_first(&head(2, 1, 0)), Err(ProtocolError), "data of nothing");
        assert_eq!(decode_first(&[0, 0, 0, 0, 0, 0, 1, 2]), Err(ProtocolError), "another version");
    }
}
