//! Compressed bodies, read as they stream: gzip, deflate, br and zstd, also one in the other.
//!
//! What it gives back is bounded, whatever comes in: a body that grows out of measure is broken. Feed it in parts of
//! [`PART`] bytes where the result is not wanted at once.

use brotli_decompressor::DecompressorWriter;
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::FrameDecoder;
use std::io::{self, Read, Write};

/// Bytes of input whose output is surely small enough to hold.
pub const PART: usize = 1024;
/// Bytes that one push may make.
const BURST: usize = 32 << 20;
/// Beyond this many bytes of output, [`STEEP`] times the input is too much.
const FREE: u64 = 64 << 20;
const STEEP: u64 = 400;
/// Bytes of zstd's window (RFC 9659), and what a block and its headers may need.
const WINDOW: u64 = 8 << 20;
const BLOCK: usize = (128 << 10) + 64;
/// Bytes of gzip's header, with a file's name in it.
const LARGEST_HEAD: usize = 64 << 10;
/// Encodings, one in the other.
const DEEPEST: usize = 3;

/// It is not what it says, or it would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

const NOT: Broken = Broken("it is not compressed as it says");
const CUT: Broken = Broken("its compressed body ends too early");
const TOO_MUCH: Broken = Broken("it is compressed beyond measure");

/// From a message's `content-encoding` back to what was encoded.
pub struct Decoder {
    /// The outermost first.
    stages: Vec<Stage>,
    read: u64,
    made: u64,
}

enum Stage {
    Inflate(Box<Inflate>),
    /// `deflate`, before its first byte tells which of two formats it is.
    Undecided,
    Brotli(Box<DecompressorWriter<Room>>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// `encodings`: the header's value. `None`: one of them is not known here.
    pub fn new(encodings: &str) -> Option<Decoder> {
        let mut stages = Vec::new();
        for name in encodings.split(',').map(str::trim).filter(|name| !name.is_empty()).rev() {
            match name.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => stages.push(Stage::inflate(Format::Gzip)),
                "deflate" => stages.push(Stage::Undecided),
                "br" => stages.push(Stage::Brotli(Box::new(DecompressorWriter::new(Room::default(), 16 << 10)))),
                "zstd" => stages.push(Stage::Zstd(Box::default())),
                _ => return None,
            }
        }
        (stages.len() <= DEEPEST).then_some(Decoder { stages, read: 0, made: 0 })
    }

    /// By the first bytes of a file; `None`: they are no compressed file's. Raw deflate and br have no such bytes.
    pub fn sniff(start: &[u8]) -> Option<Decoder> {
        let stage = match start {
            [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Stage::inflate(Format::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Stage::Zstd(Box::default()),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Stage::inflate(Format::Zlib),
            _ => return None,
        };
        Some(Decoder { stages: vec![stage], read: 0, made: 0 })
    }

    /// Raw deflate, as archives have it.
    pub fn deflate() -> Decoder {
        Decoder { stages: vec![Stage::inflate(Format::Raw)], read: 0, made: 0 }
    }

    /// Nothing is encoded.
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Broken> {
        let mut made = 0;
        for part in bytes.chunks(PART) {
            let (data, broken) = self.run(part.to_vec(), Stage::push);
            self.read += part.len() as u64;
            self.made += data.len() as u64;
            made += data.len();
            into.extend_from_slice(&data);
            if made > BURST || (self.made > FREE && self.made / self.read.max(1) > STEEP) {
                return Err(TOO_MUCH);
            }
            broken?;
        }
        Ok(())
    }

    /// Through all stages. What was made before something broke is not lost.
    fn run(
        &mut self,
        mut data: Vec<u8>,
        step: fn(&mut Stage, &[u8], &mut Vec<u8>) -> Result<(), Broken>,
    ) -> (Vec<u8>, Result<(), Broken>) {
        let mut ended = Ok(());
        for stage in &mut self.stages {
            let mut made = Vec::new();
            ended = ended.and(step(stage, &data, &mut made));
            data = made;
        }
        (data, ended)
    }

    /// What was compressed has ended; what follows is something else.
    pub fn is_over(&self) -> bool {
        self.stages.iter().any(|stage| match stage {
            Stage::Inflate(inflate) => matches!(inflate.at, At::Behind),
            Stage::Zstd(zstd) => zstd.over,
            Stage::Undecided | Stage::Brotli(_) => false,
        })
    }

    /// The body is whole: an error where its encoding is not.
    pub fn finish(&mut self, into: &mut Vec<u8>) -> Result<(), Broken> {
        if self.read == 0 {
            return Ok(());
        }
        let (data, ended) = self.run(Vec::new(), |stage, data, made| {
            stage.push(data, made)?;
            stage.finish(made)
        });
        into.extend_from_slice(&data);
        ended
    }
}

impl Stage {
    fn inflate(format: Format) -> Stage {
        Stage::Inflate(Box::new(Inflate::new(format)))
    }

    fn push(&mut self, bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        if let (Stage::Undecided, Some(first)) = (&self, bytes.first()) {
            // Of all that say `deflate`, some mean zlib's format, and some what is in it.
            *self = Stage::inflate(if first & 0x0f == 8 && first >> 4 <= 7 { Format::Zlib } else { Format::Raw });
        }
        match self {
            Stage::Undecided => Ok(()),
            Stage::Inflate(inflate) => inflate.push(bytes, made),
            Stage::Brotli(decoder) => {
                let wrote = decoder.write_all(bytes);
                made.append(&mut decoder.get_mut().0);
                wrote.map_err(|_| NOT)
            }
            Stage::Zstd(decoder) => decoder.push(bytes, made),
        }
    }

    fn finish(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Stage::Undecided => Ok(()),
            Stage::Inflate(inflate) => inflate.finish(),
            Stage::Brotli(decoder) => {
                let closed = decoder.close();
                made.append(&mut decoder.get_mut().0);
                closed.map_err(|_| CUT)
            }
            Stage::Zstd(decoder) => decoder.finish(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
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

struct Inflate {
    format: Format,
    at: At,
    engine: Decompress,
    members: usize,
}

impl Inflate {
    fn new(format: Format) -> Inflate {
        let at = if format == Format::Gzip { At::Head(Vec::new()) } else { At::Body };
        Inflate { format, at, engine: Decompress::new(format == Format::Zlib), members: 0 }
    }

    fn push(&mut self, mut bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
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

    fn finish(&mut self) -> Result<(), Broken> {
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

/// Takes what a decoder makes, up to a bound.
#[derive(Default)]
struct Room(Vec<u8>);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BURST {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The decoder wants whole blocks, and one frame at a time.
#[derive(Default)]
struct Zstd {
    waiting: Vec<u8>,
    frame: Option<FrameDecoder>,
    /// The frame ends with a checksum of four bytes.
    summed: bool,
    frames: usize,
    /// What follows the last frame is none.
    over: bool,
}

impl Zstd {
    fn push(&mut self, bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        if self.over {
            return Ok(());
        }
        self.waiting.extend_from_slice(bytes);
        let mut part = [0; 8 << 10];
        loop {
            let Some(frame) = &mut self.frame else {
                let Some(length) = self.header()? else { return Ok(()) };
                let mut frame = FrameDecoder::new();
                frame.init(&self.waiting[..length]).map_err(|_| NOT)?;
                self.waiting.drain(..length);
                self.frame = Some(frame);
                continue;
            };
            if frame.is_finished() {
                while let count @ 1.. = frame.read(&mut part).map_err(|_| NOT)? {
                    made.extend_from_slice(&part[..count]);
                }
                self.frame = None;
                self.frames += 1;
                continue;
            }
            // Asking costs: the decoder takes whole blocks only (RFC 8878, section 3.1.1.2).
            let [a, b, c, content @ ..] = self.waiting.as_slice() else { return Ok(()) };
            let header = u32::from_le_bytes([*a, *b, *c, 0]);
            let length = if header >> 1 & 3 == 1 { 1 } else { (header >> 3) as usize };
            // With the last block comes its checksum, which the decoder takes only together with it.
            let length = length + if header & 1 == 1 && self.summed { 4 } else { 0 };
            if length > BLOCK {
                return Err(NOT);
            }
            if content.len() < length {
                return Ok(());
            }
            let (read, written) = frame.decode_from_to(&self.waiting[..3 + length], &mut part).map_err(|_| NOT)?;
            self.waiting.drain(..read.min(self.waiting.len()));
            made.extend_from_slice(&part[..written]);
            let mut last = written;
            while last > 0 {
                last = frame.read(&mut part).map_err(|_| NOT)?;
                made.extend_from_slice(&part[..last]);
            }
            if made.len() > BURST {
                return Err(TOO_MUCH);
            }
            if read == 0 && written == 0 && !frame.is_finished() {
                return Err(NOT);
            }
        }
    }

    fn finish(&mut self) -> Result<(), Broken> {
        if self.frame.is_some() || !self.waiting.is_empty() {
            return Err(CUT);
        }
        Ok(())
    }

    /// Bytes of the next frame's header (RFC 8878, section 3.1.1.1), once it is whole.
    fn header(&mut self) -> Result<Option<usize>, Broken> {
        let [a, b, c, d, descriptor, rest @ ..] = self.waiting.as_slice() else { return Ok(None) };
        if [*a, *b, *c, *d] != [0x28, 0xb5, 0x2f, 0xfd] {
            if self.frames == 0 {
                return Err(NOT);
            }
            self.over = true;
            self.waiting.clear();
            return Ok(None);
        }
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size = match descriptor >> 6 {
            0 => usize::from(single),
            power => 1 << power,
        };
        let head = usize::from(!single) + dictionary;
        if rest.len() < head + size {
            return Ok(None);
        }
        let window = if single {
            let bytes = rest[head..head + size].iter().rev();
            bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        } else {
            1 << (10 + (rest[0] >> 3))
        };
        if window > WINDOW {
            return Err(TOO_MUCH);
        }
        self.summed = descriptor & 4 != 0;
        Ok(Some(5 + head + size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZSTD: &[u8] = &[
        40, 181, 47, 253, 4, 88, 109, 0, 0, 56, 104, 101, 108, 108, 111, 32, 10, 1, 0, 153, 75, 17, 168, 124, 46, 168,
    ];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encodings: &str, bytes: &[u8], part: usize) -> Result<Vec<u8>, Broken> {
        let mut decoder = Decoder::new(encodings).unwrap();
        let mut plain = Vec::new();
        for part in bytes.chunks(part) {
            decoder.push(part, &mut plain)?;
        }
        decoder.finish(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_encoding_in_every_split() {
        let text: Vec<u8> = (0..9_000u32).flat_map(|n| format!("{} ", n * n).into_bytes()).collect();
        let zlib = {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        let raw = {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        // What other programs make has a checksum.
        assert_eq!(decode("zstd", &[ZSTD, ZSTD].concat(), 1).unwrap(), b"hello hello hello hello\n".repeat(2));
        let zstd = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        let twice = [gzip(&text), gzip(&text)].concat();
        for part in [1, 7, 1000, 1 << 20] {
            assert!(decode("gzip", &gzip(&text), part).unwrap() == text);
            assert!(decode("x-gzip", &twice, part).unwrap() == [text.clone(), text.clone()].concat());
            assert!(decode("deflate", &zlib, part).unwrap() == text);
            assert!(decode("deflate", &raw, part).unwrap() == text);
            assert!(decode("zstd", &zstd, part).unwrap() == text);
            assert!(decode("zstd", &[zstd.clone(), zstd.clone()].concat(), part).unwrap().len() == 2 * text.len());
            assert!(decode("deflate, GZIP", &gzip(&zlib), part).unwrap() == text);
        }
        // `br` of ten bytes, stored: window 16, one uncompressed block, then the empty last one.
        assert_eq!(decode("br", b"\x0b\x02\x80hello\x03", 1).unwrap(), b"hello");
        assert_eq!(decode("", b"as it is", 3).unwrap(), b"as it is");
    }

    #[test]
    fn what_is_wrong_is_broken_and_nothing_grows_without_end() {
        let bomb = gzip(&vec![0; 300 << 20]);
        assert!(decode("gzip", &bomb, 64 << 10).is_err());
        let whole = gzip(b"hello hello hello");
        assert!(decode("gzip", &whole[..whole.len() - 9], 4).is_err());
        assert!(decode("gzip", b"not gzip at all", 4).is_err());
        assert!(decode("zstd", b"not zstd at all", 4).is_err());
        assert!(decode("zstd", b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00", 4).is_err());
        assert!(decode("br", &[0xff; 64], 4).is_err());
        assert!(Decoder::new("snappy").is_none() && Decoder::new("gzip,gzip,gzip,gzip").is_none());
    }
}
