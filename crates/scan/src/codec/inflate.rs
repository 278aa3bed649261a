//! Deflate in its three formats, as it streams (RFC 1950, 1951, 1952). What follows the end of gzip's last member or of a
//! zlib stream is not read.

use super::{Broken, MALFORMED, MAX_PUSH_OUTPUT, TOO_MUCH, TRUNCATED};
use flate2::{Decompress, FlushDecompress, Status};
use policy::matchable::MIN_VALUE_BYTES;

/// Room for output that the decoder is given at one time.
const OUTPUT_ROOM: usize = 8 << 10;
/// Room for the output of a stream's start that is tried: more than a value takes.
const TRIED_OUTPUT_BYTES: usize = 64;
/// Gzip's checksum and length behind a member.
const GZIP_TRAILER_BYTES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Zlib,
    Raw,
}

/// Where in its format the next byte stands.
enum InflateState {
    Header(GzipHeader),
    Body,
    /// Gzip's trailer: bytes still to come.
    Trailer(usize),
    /// Behind the end: what follows is not compressed.
    End,
}

pub struct Inflate {
    format: Format,
    state: InflateState,
    engine: Decompress,
    /// Gzip members that have ended.
    members: usize,
}

impl Inflate {
    pub fn new(format: Format) -> Inflate {
        let state =
            if format == Format::Gzip { InflateState::Header(GzipHeader::default()) } else { InflateState::Body };
        Inflate { format, state, engine: Decompress::new(format == Format::Zlib), members: 0 }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn push(&mut self, mut bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.state {
                // Behind a member, what does not begin another one is not gzip's.
                InflateState::Header(header) if header.read == 0 && self.members > 0 && *first != GZIP_MAGIC[0] => {
                    self.state = InflateState::End;
                }
                InflateState::Header(header) => {
                    bytes = rest;
                    if header.push(*first)? {
                        self.state = InflateState::Body;
                    }
                }
                InflateState::Body => {
                    let (read, before) = (self.engine.total_in(), self.engine.total_out());
                    made.reserve(OUTPUT_ROOM);
                    let status =
                        self.engine.decompress_vec(bytes, made, FlushDecompress::None).map_err(|_| MALFORMED)?;
                    let read = usize::try_from(self.engine.total_in() - read).unwrap_or(bytes.len());
                    bytes = &bytes[read.min(bytes.len())..];
                    if made.len() > MAX_PUSH_OUTPUT {
                        return Err(TOO_MUCH);
                    }
                    if status == Status::StreamEnd {
                        self.state = self.behind_body();
                    } else if read == 0 && self.engine.total_out() == before {
                        return Err(MALFORMED);
                    }
                }
                InflateState::Trailer(1) => {
                    // Another member may follow.
                    self.state = InflateState::Header(GzipHeader::default());
                    self.engine.reset(false);
                    self.members += 1;
                    bytes = rest;
                }
                InflateState::Trailer(left) => {
                    *left -= 1;
                    bytes = rest;
                }
                InflateState::End => return Ok(()),
            }
        }
        self.drain(made)
    }

    fn behind_body(&self) -> InflateState {
        if self.format == Format::Gzip { InflateState::Trailer(GZIP_TRAILER_BYTES) } else { InflateState::End }
    }

    /// What was compressed has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, InflateState::End)
    }

    /// Bytes read of a gzip member that may follow the one before; `None`: this is not where one begins.
    pub fn bytes_of_next_member(&self) -> Option<usize> {
        match &self.state {
            InflateState::Header(header) if self.members > 0 => Some(header.read),
            _ => None,
        }
    }

    /// The engine may have more output from what it has read.
    fn drain(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        while let InflateState::Body = self.state {
            let before = self.engine.total_out();
            made.reserve(OUTPUT_ROOM);
            match self.engine.decompress_vec(&[], made, FlushDecompress::None) {
                Ok(Status::StreamEnd) => self.state = self.behind_body(),
                Ok(_) if self.engine.total_out() != before => {}
                _ => return Ok(()),
            }
            if made.len() > MAX_PUSH_OUTPUT {
                return Err(TOO_MUCH);
            }
        }
        Ok(())
    }

    pub fn finish(&mut self) -> Result<(), Broken> {
        match &self.state {
            InflateState::End => Ok(()),
            InflateState::Header(header) if header.read == 0 => Ok(()),
            _ => Err(TRUNCATED),
        }
    }
}

/// May a stream begin with these bytes? False where they break the format, which includes a copy of what stands before the
/// stream's start: [`Inflate`] does not notice that one, and makes something of nearly any text. What breaks behind content
/// that can hold a value is a stream: an agent can damage the end on purpose, so its content is read.
pub fn may_begin(format: Format, start: &[u8]) -> bool {
    let mut out = Vec::with_capacity(TRIED_OUTPUT_BYTES);
    // To finish, the engine decodes straight into `out`, and so knows where the stream's start is.
    let tried = Decompress::new(format == Format::Zlib).decompress_vec(start, &mut out, FlushDecompress::Finish);
    format == Format::Gzip || tried.is_ok() || out.len() >= MIN_VALUE_BYTES
}

/// May a stream of deflate begin with these bytes, by the header of its first block (RFC 1951, section 3.2.3)? This costs
/// next to nothing, and refuses nothing that [`may_begin`] does not refuse.
pub fn may_begin_block(start: &[u8]) -> bool {
    let bits = start.iter().take(16).rev().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    match bits >> 1 & 3 {
        // Stored: its length, and that again inverted.
        0 => start.len() < 5 || (start[1] ^ start[3] == 0xff && start[2] ^ start[4] == 0xff),
        1 => true,
        2 => {
            // Two codes of at most 30 symbols beside the bytes, and the lengths of a complete code for their lengths.
            let is_short = bits >> 3 & 31 < 30 && bits >> 8 & 31 < 30;
            let count = (bits >> 13 & 15) as usize + 4;
            let lengths = (0..count).map(|n| bits >> (17 + 3 * n) & 7).filter(|length| *length > 0);
            let is_complete = lengths.map(|length| 1 << (7 - length)).sum::<u32>() == 1 << 7;
            8 * start.len() < 17 + 3 * count || (is_short && is_complete)
        }
        _ => false,
    }
}

/// Magic number and method: deflate.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Magic number, method, flags, time, extra flags, system.
const GZIP_FIXED_BYTES: usize = 10;
const GZIP_FLAGS_AT: usize = 3;

/// A gzip header (RFC 1952, section 2.3), as far as it came. Nothing of it is kept, so its names may have any length.
#[derive(Default)]
struct GzipHeader {
    /// Bytes of it so far.
    read: usize,
    flags: u8,
    field: GzipField,
}

/// Fields of the header, in their order: all but the first are there if their flag is.
#[derive(Default, Clone, Copy)]
enum GzipField {
    #[default]
    Fixed,
    /// The first byte of the extra field's length, once it came.
    ExtraLength(Option<u8>),
    /// Bytes still to come.
    Extra(usize),
    /// Ends with a NUL, as the comment does.
    Name,
    Comment,
    /// Bytes still to come.
    Checksum(usize),
    End,
}

impl GzipHeader {
    /// True: the header is whole.
    fn push(&mut self, byte: u8) -> Result<bool, Broken> {
        if GZIP_MAGIC.get(self.read).is_some_and(|wanted| *wanted != byte) {
            return Err(MALFORMED);
        }
        if self.read == GZIP_FLAGS_AT {
            self.flags = byte;
        }
        self.read = self.read.saturating_add(1);
        self.field = match self.field {
            GzipField::Fixed if self.read < GZIP_FIXED_BYTES => GzipField::Fixed,
            GzipField::ExtraLength(None) => GzipField::ExtraLength(Some(byte)),
            GzipField::ExtraLength(Some(low)) => match usize::from(u16::from_le_bytes([low, byte])) {
                0 => self.field_behind(GzipField::Extra(0)),
                length => GzipField::Extra(length),
            },
            GzipField::Extra(left @ 2..) => GzipField::Extra(left - 1),
            field @ (GzipField::Name | GzipField::Comment) if byte != 0 => field,
            GzipField::Checksum(left @ 2..) => GzipField::Checksum(left - 1),
            field => self.field_behind(field),
        };
        Ok(matches!(self.field, GzipField::End))
    }

    fn field_behind(&self, field: GzipField) -> GzipField {
        let order = [
            (4, GzipField::ExtraLength(None)),
            (8, GzipField::Name),
            (16, GzipField::Comment),
            (2, GzipField::Checksum(2)),
        ];
        let done = match field {
            GzipField::Fixed => 0,
            GzipField::ExtraLength(_) | GzipField::Extra(_) => 1,
            GzipField::Name => 2,
            GzipField::Comment => 3,
            GzipField::Checksum(_) | GzipField::End => 4,
        };
        let next = order[done..].iter().find(|(flag, _)| self.flags & flag != 0);
        next.map_or(GzipField::End, |(_, field)| *field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

        #[test]
        fn the_first_look_refuses_no_stream(first in any::<u8>(), rest in proptest::collection::vec(any::<u8>(), 1..40), zeros in 0usize..20) {
            let mut start = [&[first][..], &rest].concat();
            let end = start.len().min(2 + zeros);
            start[2.min(end)..end].fill(0);
            prop_assert!(may_begin_block(&start) || !may_begin(Format::Raw, &start), "{start:?}");
        }
    }
}
