//! Where an HTTP/1 body ends, found byte by byte, so that the head behind it is found where every other reader finds it.
//!
//! Pure. Sizes of chunks are plain hexadecimal numbers; line ends are CRLF; nothing else is taken for a chunk.

use crate::egress::http1::head::{BodyFraming, Http1Fault};
use crate::egress::limits::MAX_TRAILER_BYTES;

/// Where in a connection's bytes the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPosition {
    Head,
    /// In a body of known length: how many bytes are left.
    Length(u64),
    /// In a chunk's size: its value, and how many of its digits were read.
    Size(u64, u8),
    /// In a chunk's extension: the chunk's size, and how many bytes of the extension were read.
    Extension(u64, usize),
    /// Before the line feed of a chunk's first line: the chunk's size.
    SizeEnd(u64),
    /// In a chunk's data: how many bytes are left.
    Data(u64),
    /// Before the carriage return behind a chunk's data.
    DataEnd,
    /// Before the line feed behind a chunk's data.
    DataEnded,
    /// In a line of the trailers: how many bytes of the line, and of all trailers, were read.
    Trailer(usize, usize),
    /// Before the line feed of a line of the trailers; the numbers are those of `Trailer`.
    TrailerEnd(usize, usize),
    /// Behind a request for a WebSocket: no more requests are read.
    Tunnel,
}

impl From<BodyFraming> for StreamPosition {
    fn from(framing: BodyFraming) -> StreamPosition {
        match framing {
            BodyFraming::Length(0) => StreamPosition::Head,
            BodyFraming::Length(length) => StreamPosition::Length(length),
            BodyFraming::Chunked => StreamPosition::Size(0, 0),
            BodyFraming::Upgrade => StreamPosition::Tunnel,
        }
    }
}

impl StreamPosition {
    /// Moves over `bytes` and returns how many of them belong to the body. Fewer than all: a head follows.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Http1Fault> {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                StreamPosition::Head => return Ok(at),
                StreamPosition::Tunnel => return Ok(bytes.len()),
                StreamPosition::Length(left) | StreamPosition::Data(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += take;
                    *left -= take as u64;
                    *self = match *self {
                        StreamPosition::Length(0) => StreamPosition::Head,
                        StreamPosition::Data(0) => StreamPosition::DataEnd,
                        going => going,
                    };
                }
                _ => {
                    *self = self.step(bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<StreamPosition, Http1Fault> {
        let wrong = |text| Err(Http1Fault::Malformed(text));
        match (self, byte) {
            (StreamPosition::Size(size, digits), _) if byte.is_ascii_hexdigit() => {
                if digits == 15 {
                    return wrong("the size of a chunk is too large");
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Ok(StreamPosition::Size(size << 4 | u64::from(digit), digits + 1))
            }
            (StreamPosition::Size(size, 1..), b'\r') | (StreamPosition::Extension(size, _), b'\r') => {
                Ok(StreamPosition::SizeEnd(size))
            }
            (StreamPosition::Size(size, 1..), b';') => Ok(StreamPosition::Extension(size, 0)),
            (StreamPosition::Size(..), _) => wrong("the size of a chunk is malformed"),
            (StreamPosition::Extension(..), 0..0x20 | 0x7f) if byte != b'\t' => {
                wrong("a chunk's extension is malformed")
            }
            (StreamPosition::Extension(_, MAX_TRAILER_BYTES), _) => wrong("a chunk's extension is too long"),
            (StreamPosition::Extension(size, length), _) => Ok(StreamPosition::Extension(size, length + 1)),
            (StreamPosition::SizeEnd(0), b'\n') => Ok(StreamPosition::Trailer(0, 0)),
            (StreamPosition::SizeEnd(size), b'\n') => Ok(StreamPosition::Data(size)),
            (StreamPosition::DataEnd, b'\r') => Ok(StreamPosition::DataEnded),
            (StreamPosition::DataEnded, b'\n') => Ok(StreamPosition::Size(0, 0)),
            (StreamPosition::Trailer(line, all), b'\r') => Ok(StreamPosition::TrailerEnd(line, all)),
            (StreamPosition::Trailer(..), 0..0x20 | 0x7f) if byte != b'\t' => wrong("a trailer is malformed"),
            (StreamPosition::Trailer(0, _), b' ' | b'\t') => wrong("a trailer is folded"),
            (StreamPosition::Trailer(_, MAX_TRAILER_BYTES), _) => wrong("the trailers are too long"),
            (StreamPosition::Trailer(line, all), _) => Ok(StreamPosition::Trailer(line + 1, all + 1)),
            (StreamPosition::TrailerEnd(0, _), b'\n') => Ok(StreamPosition::Head),
            (StreamPosition::TrailerEnd(_, all), b'\n') => Ok(StreamPosition::Trailer(0, all)),
            _ => wrong("a chunk does not end where its size says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(body: &[u8]) -> Result<usize, Http1Fault> {
        StreamPosition::from(BodyFraming::Chunked).advance(body)
    }

    #[test]
    fn chunks_end_where_they_say() {
        let bodies = [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=\"1\"\r\n0123456789\r\n000\r\nx-sum: 1\r\ny:2\r\n\r\n",
            "1\r\n\n\r\n0\r\n\r\n",
        ];
        for body in bodies {
            let both = format!("{body}GET / HTTP/1.1");
            assert_eq!(whole(both.as_bytes()), Ok(body.len()), "{body:?}");
            // In as many pieces as there are bytes.
            let mut position = StreamPosition::from(BodyFraming::Chunked);
            for (index, byte) in body.bytes().enumerate() {
                assert_eq!(position.advance(&[byte]), Ok(1), "{body:?} {index}");
            }
            assert_eq!(position, StreamPosition::Head);
        }
        for bad in [
            "\r\n",
            "5\nhello",
            "5 \r\nhello\r\n",
            " 5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "-5\r\n",
            "g\r\n",
            ";x\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhell\r\n0\r\n\r\n",
            "1000000000000000\r\n",
            "00000000000000001\r\n",
            "5;a\0b\r\n",
            "5;a\nb\r\n",
            "0\r\nx: 1\n\r\n",
            "0\r\nx: \0\r\n\r\n",
            "0\r\n x: 1\r\n\r\n",
            "0\r\nx: 1\rb\r\n\r\n",
        ] {
            assert!(whole(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let mut long = b"5;".to_vec();
        long.resize(MAX_TRAILER_BYTES + 10, b'x');
        assert!(whole(&long).unwrap_err().text().contains("too long"));
        let mut long = b"0\r\n".to_vec();
        long.extend_from_slice(&b"x: 1\r\n".repeat(MAX_TRAILER_BYTES));
        assert!(whole(&long).unwrap_err().text().contains("too long"));
    }

    #[test]
    fn a_length_is_counted() {
        let mut position = StreamPosition::from(BodyFraming::Length(5));
        assert_eq!((position.advance(b"hel"), position), (Ok(3), StreamPosition::Length(2)));
        assert_eq!((position.advance(b"loGET"), position), (Ok(2), StreamPosition::Head));
        assert_eq!(StreamPosition::from(BodyFraming::Length(0)), StreamPosition::Head);
        let mut tunnel = StreamPosition::from(BodyFraming::Upgrade);
        assert_eq!((tunnel.advance(b"\0\xff"), tunnel), (Ok(2), StreamPosition::Tunnel));
    }
}
