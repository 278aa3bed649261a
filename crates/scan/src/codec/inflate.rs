//! Deflate in its three formats, as it streams (RFC 1950, 1951, 1952). Behind gzip's members and zlib's end may stand
//! something else, which is not read.

use super::{BURST, Broken, CUT, NOT, TOO_MUCH};
use flate2::{Decompress, FlushDecompress, Status};

/// Bytes of gzip's header, with a file's name in it.
const LARGEST_HEAD: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Zlib,
    Raw,
}

/// Where in its format the next byte stands.
enum At {
    /// Gzip's header, as far as it came.
    Head(Vec<u8>),
    Body,
    /// Gzip's checksum and length: bytes to come.
    Tail(usize),
    /// What follows is not compressed, and not wanted.
    Behind,
}

pub struct Inflate {
    format: Format,
    at: At,
    engine: Decompress,
    members: usize,
}

impl Inflate {
    pub fn new(format: Format) -> Inflate {
        let at = if format == Format::Gzip { At::Head(Vec::new()) } else { At::Body };
        Inflate { format, at, engine: Decompress::new(format == Format::Zlib), members: 0 }
    }

    pub fn push(&mut self, mut bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.at {
                // Behind a member, what is not another one is not gzip's.
                At::Head(head) if head.is_empty() && self.members > 0 && *first != 0x1f => self.at = At::Behind,
                At::Head(head) => {
                    head.push(*first);
                    bytes = rest;
                    if head.len() > LARGEST_HEAD {
                        return Err(NOT);
                    }
                    if gzip_head(head)? {
                        self.at = At::Body;
                    }
                }
                At::Body => {
                    let (read, before) = (self.engine.total_in(), self.engine.total_out());
                    made.reserve(8 << 10);
                    let status = self.engine.decompress_vec(bytes, made, FlushDecompress::None).map_err(|_| NOT)?;
                    let read = usize::try_from(self.engine.total_in() - read).unwrap_or(bytes.len());
                    bytes = &bytes[read.min(bytes.len())..];
                    if made.len() > BURST {
                        return Err(TOO_MUCH);
                    }
                    if status == Status::StreamEnd {
                        self.at = if self.format == Format::Gzip { At::Tail(8) } else { At::Behind };
                    } else if read == 0 && self.engine.total_out() == before {
                        return Err(NOT);
                    }
                }
                At::Tail(1) => {
                    // Another member may follow.
                    self.at = At::Head(Vec::new());
                    self.engine.reset(false);
                    self.members += 1;
                    bytes = rest;
                }
                At::Tail(left) => {
                    *left -= 1;
                    bytes = rest;
                }
                At::Behind => return Ok(()),
            }
        }
        self.drain(made)
    }

    /// What was compressed has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.at, At::Behind)
    }

    /// The engine may have more to say about what it has read.
    fn drain(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        while let At::Body = self.at {
            let before = self.engine.total_out();
            made.reserve(8 << 10);
            match self.engine.decompress_vec(&[], made, FlushDecompress::None) {
                Ok(Status::StreamEnd) => {
                    self.at = if self.format == Format::Gzip { At::Tail(8) } else { At::Behind };
                }
                Ok(_) if self.engine.total_out() != before => {}
                _ => return Ok(()),
            }
            if made.len() > BURST {
                return Err(TOO_MUCH);
            }
        }
        Ok(())
    }

    pub fn finish(&mut self) -> Result<(), Broken> {
        match &self.at {
            At::Behind => Ok(()),
            At::Head(head) if head.is_empty() => Ok(()),
            _ => Err(CUT),
        }
    }
}

/// Is this gzip's header (RFC 1952, section 2.3), and whole?
fn gzip_head(head: &[u8]) -> Result<bool, Broken> {
    let start = [0x1f, 0x8b, 8];
    if head.iter().zip(start).any(|(byte, wanted)| *byte != wanted) {
        return Err(NOT);
    }
    let Some(flags) = head.get(3) else { return Ok(false) };
    let mut at = 10;
    if flags & 4 != 0 {
        let Some(length) = head.get(10..12) else { return Ok(false) };
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(rest) = head.get(at..) else { return Ok(false) };
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { return Ok(false) };
            at += end + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    Ok(head.len() >= at)
}
