//! What travels: frames of a kind, a channel, a length and that many bytes. All numbers are big-endian.
//!
//! A side's words on a channel are `Data` and `Window` in any order, at most one `End`, and as the very last one `Close`,
//! or instead of everything `Refused`. Both sides have said their last word before its number means nothing.

use std::io;

/// Before the bytes of a frame: kind, channel, length.
pub const HEAD: usize = 1 + 4 + 2;

/// Bytes of the longest frame, without its head. One connection holds up the others for no longer than this takes.
pub const LONGEST: usize = 32 << 10;

/// What one side may send on a channel before the other has passed any of it on.
pub const WINDOW: u32 = 1 << 20;

/// Of the bottle's end, which began with the bottle and may be older than this one.
const VERSION: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The end inside is there.
    Hello,
    /// A connection was made to a port here, which is this one inside.
    Open(u16),
    Data(&'a [u8]),
    /// No more data: the connection's other direction goes on.
    End,
    /// So many bytes were passed on, and as many more may come.
    Window(u32),
    /// Nothing is said, and nothing heard any more. Where no `End` came before, what was said is not whole.
    Close,
    /// Nobody listens at that port.
    Refused,
}

/// What came is no frame, or is out of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl From<Broken> for io::Error {
    fn from(_: Broken) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, "what comes from its other end is not understood")
    }
}

impl Frame<'_> {
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
            Frame::Refused => (6, &[]),
        };
        out.extend(head(kind, channel, bytes.len()));
        out.extend_from_slice(bytes);
    }
}

/// The head of a frame of data.
pub fn data_head(channel: u32, length: usize) -> [u8; HEAD] {
    head(2, channel, length)
}

fn head(kind: u8, channel: u32, length: usize) -> [u8; HEAD] {
    let [a, b, c, d] = channel.to_be_bytes();
    // No frame is longer than `LONGEST`.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    [kind, a, b, c, d, high, low]
}

/// The first frame of `bytes`, its channel, and how many bytes it took; `None` where its end has not come yet.
pub fn first(bytes: &[u8]) -> Result<Option<(u32, Frame<'_>, usize)>, Broken> {
    let Some((&[kind, a, b, c, d, high, low], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // At the head: what is no frame may never come to its end.
    let fits = match kind {
        0 => length == 1,
        1 => length == 2,
        2 => (1..=LONGEST).contains(&length),
        4 => length == 4,
        3 | 5 | 6 => length == 0,
        _ => false,
    };
    if !fits {
        return Err(Broken);
    }
    let Some(bytes) = rest.get(..length) else { return Ok(None) };
    let frame = match (kind, bytes) {
        (0, [VERSION]) => Frame::Hello,
        (1, &[high, low]) => Frame::Open(u16::from_be_bytes([high, low])),
        (2, bytes) => Frame::Data(bytes),
        (3, _) => Frame::End,
        (4, &[a, b, c, d]) => Frame::Window(u32::from_be_bytes([a, b, c, d])),
        (5, _) => Frame::Close,
        (6, _) => Frame::Refused,
        _ => return Err(Broken),
    };
    Ok(Some((u32::from_be_bytes([a, b, c, d]), frame, HEAD + length)))
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
            Frame::Window(WINDOW),
            Frame::Close,
            Frame::Refused,
        ];
        let mut bytes = Vec::new();
        for (channel, frame) in (0x0102_0304..).zip(&frames) {
            frame.write(channel, &mut bytes);
        }
        let mut rest = &bytes[..];
        for (channel, frame) in (0x0102_0304..).zip(frames) {
            let (told, read, length) = first(rest).unwrap().unwrap();
            assert_eq!((told, read), (channel, frame));
            assert_eq!(first(&rest[..length - 1]), Ok(None), "a part is no frame");
            rest = &rest[length..];
        }
        assert_eq!(first(rest), Ok(None));
    }

    #[test]
    fn what_is_no_frame_is_told_at_its_head() {
        assert_eq!(first(&head(7, 1, 0)), Err(Broken), "no such kind");
        assert_eq!(first(&head(2, 1, LONGEST + 1)), Err(Broken), "too long");
        assert_eq!(first(&head(2, 1, 0)), Err(Broken), "data of nothing");
        assert_eq!(first(&[0, 0, 0, 0, 0, 0, 1, 2]), Err(Broken), "another version");
    }
}
