//! LZMA in its three containers, as it streams: `.xz`, `.lzma`, and an entry of a zip archive.

use super::{Broken, MALFORMED, MAX_PUSH_OUTPUT, TOO_MUCH, TRUNCATED};
use lzma_rust2::{Action, LzmaStream, Status, XzStream};
use std::io::{self, ErrorKind};

/// Bytes of a dictionary, and a little: the largest that `xz` chooses by itself. A stream that wants more is not read. The
/// decoder's memory grows with what it has made, up to the dictionary.
const MAX_MEMORY_KIB: u32 = (64 << 10) + 256;
const MAX_DICTIONARY_BYTES: u32 = 64 << 20;
/// Input and output of one call of the engine. What it has made when it fails is lost from one call only.
const INPUT_STEP: usize = 64;
const OUTPUT_STEP: usize = 8 << 10;
/// A zip entry begins with the version of its program, the length of the properties, and the properties (APPNOTE 5.8.8).
const ZIP_HEADER_BYTES: usize = 9;
/// A `.lzma` file begins with the properties, the dictionary's size and the size of the whole, which `xz` leaves open.
const ALONE_HEADER_BYTES: usize = 13;

pub struct Lzma {
    engine: Engine,
    /// First bytes of a `.lzma` file.
    head: Vec<u8>,
    made: usize,
    /// More than chance says that this is LZMA.
    is_certain: bool,
    /// Behind the end: what follows is something else.
    pub over: bool,
}

enum Engine {
    Xz(Box<XzStream>),
    Lzma(Box<LzmaStream>),
    /// The header of a zip entry, as far as it came.
    Zip(Vec<u8>),
}

impl Lzma {
    pub fn xz() -> Lzma {
        Lzma::of(Engine::Xz(Box::new(XzStream::new_mem_limit(false, MAX_MEMORY_KIB))))
    }

    pub fn alone() -> Lzma {
        Lzma::of(Engine::Lzma(Box::new(LzmaStream::new_mem_limit(MAX_MEMORY_KIB, None))))
    }

    pub fn in_zip() -> Lzma {
        Lzma::of(Engine::Zip(Vec::new()))
    }

    fn of(engine: Engine) -> Lzma {
        Lzma { engine, head: Vec::new(), made: 0, is_certain: false, over: false }
    }

    pub fn push(&mut self, bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        let mut bytes = bytes;
        if let Engine::Zip(header) = &mut self.engine {
            let (begun, rest) = bytes.split_at(bytes.len().min(ZIP_HEADER_BYTES - header.len()));
            header.extend_from_slice(begun);
            let [_, _, 5, 0, properties, a, b, c, d] = header[..] else {
                return if header.len() < ZIP_HEADER_BYTES { Ok(()) } else { Err(MALFORMED) };
            };
            self.is_certain = true;
            let dictionary = u32::from_le_bytes([a, b, c, d]);
            if dictionary > MAX_DICTIONARY_BYTES {
                return Err(TOO_MUCH);
            }
            // The end is marked, or the entry's size stands in a header that may follow it: then what is behind is read too.
            let stream = LzmaStream::new_with_props(u64::MAX, properties, dictionary, None).map_err(|_| MALFORMED)?;
            self.engine = Engine::Lzma(Box::new(stream));
            bytes = rest;
        } else if self.head.len() < ALONE_HEADER_BYTES {
            self.head.extend_from_slice(&bytes[..bytes.len().min(ALONE_HEADER_BYTES - self.head.len())]);
            self.is_certain = matches!(self.head[..], [0x5d, 0, 0, 0, _, 255, 255, 255, 255, 255, 255, 255, 255]);
        }
        bytes.chunks(INPUT_STEP).try_for_each(|step| self.run(step, Action::Run, made))
    }

    pub fn finish(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        self.run(&[], Action::Finish, made)?;
        if self.over { Ok(()) } else { Err(TRUNCATED) }
    }

    fn run(&mut self, mut bytes: &[u8], action: Action, made: &mut Vec<u8>) -> Result<(), Broken> {
        while !self.over {
            let from = made.len();
            made.resize(from + OUTPUT_STEP, 0);
            let room = &mut made[from..];
            let result = match &mut self.engine {
                Engine::Xz(stream) => stream.process(bytes, room, action),
                Engine::Lzma(stream) => stream.process(bytes, room, action),
                Engine::Zip(_) => return Err(TRUNCATED),
            };
            let result = match result {
                Ok(result) => result,
                Err(error) => {
                    // How much was made is not told: the room was filled with zeros.
                    let end = made.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    made.truncate(end.max(from));
                    return Err(broken(&error));
                }
            };
            made.truncate(from + result.bytes_produced);
            self.made = self.made.saturating_add(result.bytes_produced);
            bytes = &bytes[result.bytes_consumed.min(bytes.len())..];
            if made.len() > MAX_PUSH_OUTPUT {
                return Err(TOO_MUCH);
            }
            self.over = result.status == Status::StreamEnd;
            if result.bytes_produced == 0 && (bytes.is_empty() || result.bytes_consumed == 0) {
                return if bytes.is_empty() || self.over { Ok(()) } else { Err(MALFORMED) };
            }
        }
        Ok(())
    }

    /// Memory for the dictionary: it doubles as it grows.
    pub fn window_bytes(&self) -> usize {
        (2 * self.made).min(MAX_DICTIONARY_BYTES as usize)
    }

    /// The first bytes are those of no other file, or have a checksum that was right.
    pub fn is_certain(&self) -> bool {
        self.is_certain || matches!(&self.engine, Engine::Xz(stream) if stream.streams_started() > 0)
    }
}

fn broken(error: &io::Error) -> Broken {
    if error.kind() == ErrorKind::OutOfMemory { TOO_MUCH } else { MALFORMED }
}
