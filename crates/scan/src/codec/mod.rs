//! Compressed bodies, decoded as they stream: gzip, deflate, br and zstd, also one in the other. Files inside of bodies may
//! also be bzip2, xz, lzma or lz4.
//!
//! The output is bounded, whatever comes in: a body that expands beyond measure is an error. Where the output is not wanted
//! at once, push the input in parts of [`PART`] bytes.

mod brotli;
mod bzip2;
mod inflate;
mod lz4;
mod lzma;
mod zstd;

use self::brotli::Brotli;
use self::bzip2::Bzip2;
use inflate::Inflate;
pub use inflate::{Format, may_begin, may_begin_block};
use lz4::Lz4;
use lzma::Lzma;
use std::io::{self, Write};
use zstd::Zstd;

/// Bytes of input to push at a time: their output is small enough to hold.
pub const PART: usize = 1024;
/// Bytes that one push may make.
const MAX_PUSH_OUTPUT: usize = 32 << 20;
/// Bytes of output that may be made from any input.
pub const UNMEASURED_BYTES: u64 = 64 << 20;
/// Output beyond [`UNMEASURED_BYTES`] may be this many times the input.
pub const MAX_EXPANSION: u64 = 400;
/// Encodings of one body, one in the other.
const MAX_STAGES: usize = 3;

/// A body that is not what it says, or would be too much: why, for the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

const MALFORMED: Broken = Broken("it is not compressed as it says");
const TRUNCATED: Broken = Broken("its compressed body ends too early");
pub const TOO_MUCH: Broken = Broken("it is compressed beyond measure");

/// Decodes a body by its `content-encoding`.
pub struct Decoder {
    /// The outermost first.
    stages: Vec<Stage>,
    /// Bytes in and out.
    read: u64,
    made: u64,
}

enum Stage {
    Inflate(Box<Inflate>),
    /// `deflate`, before its first byte tells which of two formats it is.
    Undecided,
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
    Bzip2(Box<Bzip2>),
    Lz4(Box<Lz4>),
    Lzma(Box<Lzma>),
}

/// What is done by each stage: bytes in, bytes out.
type StageFn = fn(&mut Stage, &[u8], &mut Vec<u8>) -> Result<(), Broken>;

impl Decoder {
    /// `encodings`: the header's value. `None`: one of them is not known here, or there are more than [`MAX_STAGES`].
    pub fn new(encodings: &str) -> Option<Decoder> {
        let mut stages = Vec::new();
        for name in encodings.split(',').map(str::trim).filter(|name| !name.is_empty()).rev() {
            match name.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => stages.push(Stage::inflate(Format::Gzip)),
                "deflate" => stages.push(Stage::Undecided),
                "br" => stages.push(Stage::Brotli(Box::new(Brotli::new()))),
                "zstd" => stages.push(Stage::Zstd(Box::default())),
                _ => return None,
            }
        }
        (stages.len() <= MAX_STAGES).then_some(Decoder { stages, read: 0, made: 0 })
    }

    /// For a file, by its first bytes; `None`: they do not begin a gzip, zlib, zstd, bzip2, xz, lzma or lz4 file. Raw deflate
    /// and br have no bytes that they are known by.
    pub fn sniff(start: &[u8]) -> Option<Decoder> {
        let stage = match start {
            [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Stage::inflate(Format::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Stage::Zstd(Box::default()),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Stage::inflate(Format::Zlib),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Stage::Bzip2(Box::new(Bzip2::new())),
            [0xfd, b'7', b'z', b'X', ..] => Stage::Lzma(Box::new(Lzma::xz())),
            // The properties that all programs choose, and a dictionary of 64 KiB or a multiple.
            [0x5d, 0, 0, ..] => Stage::Lzma(Box::new(Lzma::alone())),
            _ if start.starts_with(&lz4::MAGIC) || start.starts_with(&lz4::LEGACY_MAGIC) => Stage::Lz4(Box::default()),
            _ => return None,
        };
        Some(Decoder::of(stage))
    }

    /// For the content of a zip entry, by its method (APPNOTE 4.4.5); `None`: it is stored, or not read.
    pub fn zip_entry(method: u16) -> Option<Decoder> {
        let stage = match method {
            8 => Stage::inflate(Format::Raw),
            12 => Stage::Bzip2(Box::new(Bzip2::new())),
            14 => Stage::Lzma(Box::new(Lzma::in_zip())),
            93 => Stage::Zstd(Box::default()),
            95 => Stage::Lzma(Box::new(Lzma::xz())),
            _ => return None,
        };
        Some(Decoder::of(stage))
    }

    fn of(stage: Stage) -> Decoder {
        Decoder { stages: vec![stage], read: 0, made: 0 }
    }

    /// More than chance says that this is such a file.
    pub fn is_certain(&self) -> bool {
        matches!(self.stages.as_slice(), [Stage::Lzma(lzma)] if lzma.is_certain())
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
            if made > MAX_PUSH_OUTPUT || (self.made > UNMEASURED_BYTES && self.made / self.read.max(1) > MAX_EXPANSION)
            {
                return Err(TOO_MUCH);
            }
            broken?;
        }
        Ok(())
    }

    /// Runs the data through all stages. What was made before an error is not lost.
    fn run(&mut self, mut data: Vec<u8>, step: StageFn) -> (Vec<u8>, Result<(), Broken>) {
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
            Stage::Inflate(inflate) => inflate.is_over(),
            Stage::Zstd(zstd) => zstd.over,
            Stage::Bzip2(bzip2) => bzip2.over,
            Stage::Lz4(lz4) => lz4.over,
            Stage::Lzma(lzma) => lzma.over,
            Stage::Undecided | Stage::Brotli(_) => false,
        })
    }

    /// May a stream of this encoding begin with these bytes? False where they break the format of deflate.
    pub fn may_begin(&self, start: &[u8]) -> bool {
        match self.stages.as_slice() {
            [Stage::Inflate(inflate)] => inflate::may_begin(inflate.format(), start),
            _ => true,
        }
    }

    /// Bytes read of a member or frame that may follow the one before, in a format that has many; `None`: this is not where
    /// one begins.
    pub fn bytes_of_next_member(&self) -> Option<usize> {
        match self.stages.as_slice() {
            [Stage::Inflate(inflate)] => inflate.bytes_of_next_member(),
            [Stage::Zstd(zstd)] => zstd.bytes_of_next_frame(),
            [Stage::Bzip2(bzip2)] => bzip2.bytes_of_next_stream(),
            [Stage::Lz4(lz4)] => lz4.bytes_of_next_frame(),
            _ => None,
        }
    }

    /// Memory that a format with windows of any size takes for this stream's.
    pub fn window_bytes(&self) -> usize {
        let bytes = self.stages.iter().map(|stage| match stage {
            Stage::Zstd(zstd) => zstd.window_bytes(),
            Stage::Bzip2(bzip2) => bzip2.window_bytes(),
            Stage::Lzma(lzma) => lzma.window_bytes(),
            Stage::Brotli(brotli) => brotli.window_bytes(),
            Stage::Inflate(_) | Stage::Undecided | Stage::Lz4(_) => 0,
        });
        bytes.sum()
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
            // Some servers that say `deflate` mean zlib's format, as the standard does, and some what is inside it.
            *self = Stage::inflate(if first & 0x0f == 8 && first >> 4 <= 7 { Format::Zlib } else { Format::Raw });
        }
        match self {
            Stage::Undecided => Ok(()),
            Stage::Inflate(inflate) => inflate.push(bytes, made),
            Stage::Brotli(decoder) => decoder.push(bytes, made),
            Stage::Zstd(decoder) => decoder.push(bytes, made),
            Stage::Bzip2(decoder) => decoder.push(bytes, made),
            Stage::Lz4(decoder) => decoder.push(bytes, made),
            Stage::Lzma(decoder) => decoder.push(bytes, made),
        }
    }

    fn finish(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Stage::Undecided => Ok(()),
            Stage::Inflate(inflate) => inflate.finish(),
            Stage::Brotli(decoder) => decoder.finish(made),
            Stage::Zstd(decoder) => decoder.finish(),
            Stage::Bzip2(decoder) => decoder.finish(),
            Stage::Lz4(decoder) => decoder.finish(),
            Stage::Lzma(decoder) => decoder.finish(made),
        }
    }
}

/// Takes what a decoder makes, up to [`MAX_PUSH_OUTPUT`].
#[derive(Default)]
struct BoundedBuffer(Vec<u8>);

impl Write for BoundedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PUSH_OUTPUT {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        for (format, whole) in [(Format::Zlib, &zlib), (Format::Raw, &raw)] {
            assert!((0..whole.len()).all(|end| inflate::may_begin(format, &whole[..end])));
            assert!(inflate::may_begin(format, whole));
        }
        // A copy of what stands before the start.
        assert!(!inflate::may_begin(Format::Zlib, &b"x^2 + x^3 + y ".repeat(10)));
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
