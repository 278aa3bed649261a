//! How long an HTTP/1 body is, byte by byte: so that the head behind it is found where every reader finds it.
//!
//! Pure. Sizes of chunks are plain hexadecimal numbers; line ends are CRLF; nothing else is taken for a chunk.

use crate::egress::http1::head::{Fault, Framing};

/// Bytes of a chunk's extension, and of all trailers.
const LONGEST: usize = 8 * 1024;

/// Where in a connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Head,
    /// So many bytes of a body whose length is known.
    Length(u64),
    /// In a chunk's size, so many digits of it read.
    Size(u64, u8),
    /// In a chunk's first line, behind the size; so many bytes so far.
    Extension(u64, usize),
    /// The line feed of a chunk's first line follows.
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    DataEnded,
    /// In a line of the trailers: its bytes, all bytes so far.
    Trailer(usize, usize),
    /// Its line feed follows; the same.
    TrailerEnd(usize, usize),
    /// No more requests.
    Tunnel,
}

impl From<Framing> for Place {
    fn from(framing: Framing) -> Place {
        match framing {
            Framing::Length(0) => Place::Head,
            Framing::Length(length) => Place::Length(length),
            Framing::Chunked => Place::Size(0, 0),
            Framing::Switch => Place::Tunnel,
        }
    }
}

impl Place {
    /// How many of these bytes belong to the body. Fewer than all: a head follows.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Place::Head => return Ok(at),
                Place::Tunnel => return Ok(bytes.len()),
                Place::Length(left) | Place::Data(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += take;
                    *left -= take as u64;
                    *self = match *self {
                        Place::Length(0) => Place::Head,
                        Place::Data(0) => Place::DataEnd,
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

    fn step(self, byte: u8) -> Result<Place, Fault> {
        let wrong = |text| Err(Fault::Malformed(text));
        match (self, byte) {
            (Place::Size(size, digits), _) if byte.is_ascii_hexdigit() => {
                if digits == 15 {
                    return wrong("the size of a chunk is too large");
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Ok(Place::Size(size << 4 | u64::from(digit), digits + 1))
            }
            (Place::Size(size, 1..), b'\r') | (Place::Extension(size, _), b'\r') => Ok(Place::SizeEnd(size)),
            (Place::Size(size, 1..), b';') => Ok(Place::Extension(size, 0)),
            (Place::Size(..), _) => wrong("the size of a chunk is malformed"),
            (Place::Extension(..), 0..0x20 | 0x7f) if byte != b'\t' => wrong("a chunk's extension is malformed"),
            (Place::Extension(_, LONGEST), _) => wrong("a chunk's extension is too long"),
            (Place::Extension(size, length), _) => Ok(Place::Extension(size, length + 1)),
            (Place::SizeEnd(0), b'\n') => Ok(Place::Trailer(0, 0)),
            (Place::SizeEnd(size), b'\n') => Ok(Place::Data(size)),
            (Place::DataEnd, b'\r') => Ok(Place::DataEnded),
            (Place::DataEnded, b'\n') => Ok(Place::Size(0, 0)),
            (Place::Trailer(line, all), b'\r') => Ok(Place::TrailerEnd(line, all)),
            (Place::Trailer(..), 0..0x20 | 0x7f) if byte != b'\t' => wrong("a trailer is malformed"),
            (Place::Trailer(0, _), b' ' | b'\t') => wrong("a trailer is folded"),
            (Place::Trailer(_, LONGEST), _) => wrong("the trailers are too long"),
            (Place::Trailer(line, all), _) => Ok(Place::Trailer(line + 1, all + 1)),
            (Place::TrailerEnd(0, _), b'\n') => Ok(Place::Head),
            (Place::TrailerEnd(_, all), b'\n') => Ok(Place::Trailer(0, all)),
            _ => wrong("a chunk does not end where its size says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(body: &[u8]) -> Result<usize, Fault> {
        Place::from(Framing::Chunked).advance(body)
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
            let mut place = Place::from(Framing::Chunked);
            for (index, byte) in body.bytes().enumerate() {
                assert_eq!(place.advance(&[byte]), Ok(1), "{body:?} {index}");
            }
            assert_eq!(place, Place::Head);
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
        long.resize(LONGEST + 10, b'x');
        assert!(whole(&long).unwrap_err().text().contains("too long"));
        let mut long = b"0\r\n".to_vec();
        long.extend_from_slice(&b"x: 1\r\n".repeat(LONGEST));
        assert!(whole(&long).unwrap_err().text().contains("too long"));
    }

    #[test]
    fn a_length_is_counted() {
        let mut place = Place::from(Framing::Length(5));
        assert_eq!((place.advance(b"hel"), place), (Ok(3), Place::Length(2)));
        assert_eq!((place.advance(b"loGET"), place), (Ok(2), Place::Head));
        assert_eq!(Place::from(Framing::Length(0)), Place::Head);
        let mut tunnel = Place::from(Framing::Switch);
        assert_eq!((tunnel.advance(b"\0\xff"), tunnel), (Ok(2), Place::Tunnel));
    }
}
