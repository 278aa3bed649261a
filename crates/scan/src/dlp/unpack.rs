//! Compressed files inside a text, wherever they begin, known by their first bytes and read as they stream.

use super::layer::{Hunt, Layer, inner};
use crate::codec::{Decoder, PART};
use memchr::{memchr_iter, memchr3_iter};

/// Read at once; a third one waits for its turn in vain.
const OPEN: usize = 2;
/// Bytes a file is known by.
const MARK: usize = 4;
/// A local file header of a zip archive, without name and extra field.
const ZIP: usize = 30;

pub struct Unpack {
    /// Of the text it is in.
    path: String,
    depth: usize,
    open: Vec<(Decoder, Box<Layer>)>,
    /// The last bytes of the block before.
    tail: Vec<u8>,
    /// Bytes of a zip archive's header, once one has begun.
    zip: Option<Vec<u8>>,
}

impl Unpack {
    pub fn new(path: String, depth: usize) -> Unpack {
        Unpack { path, depth, open: Vec::new(), tail: Vec::new(), zip: None }
    }

    pub fn push(&mut self, hunt: &mut Hunt, block: &[u8]) {
        self.feed(hunt, block);
        let seam = self.tail.len();
        let mut text = std::mem::take(&mut self.tail);
        text.extend_from_slice(block);
        if let Some(mut head) = self.zip.take() {
            head.extend_from_slice(block);
            self.begin_zip(hunt, head);
        }
        let mut at = 0;
        while let Some(step) = begins(&text[at..]) {
            at += step;
            let rest = &text[at..];
            // What began and ended in the block before was seen there.
            if rest.len() >= MARK && at + MARK > seam {
                let zlib = rest[0] == 0x78;
                if rest.starts_with(b"PK\x03\x04") {
                    self.begin_zip(hunt, rest.to_vec());
                } else if (!zlib || is_zlib(rest))
                    && self.open.len() < OPEN
                    && let Some(decoder) = Decoder::sniff(rest)
                {
                    self.begin(hunt, decoder, rest);
                }
            }
            at += 1;
        }
        self.tail = text[text.len().saturating_sub(MARK - 1)..].to_vec();
    }

    fn begin(&mut self, hunt: &mut Hunt, decoder: Decoder, first: &[u8]) {
        let mut one = (decoder, Box::new(inner(&self.path, "compressed", self.depth)));
        if read(hunt, &mut one, first) {
            self.open.push(one);
        }
    }

    /// Fixed since 1989: method at 8, lengths of name and extra field at 26 and 28.
    fn begin_zip(&mut self, hunt: &mut Hunt, head: Vec<u8>) {
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        if head.len() < ZIP || head.len() < ZIP + length(26) + length(28) {
            if head.len() < 4096 {
                self.zip = Some(head);
            }
        } else if length(8) == 8 && self.open.len() < OPEN {
            let start = ZIP + length(26) + length(28);
            self.begin(hunt, Decoder::deflate(), &head[start..]);
        }
    }

    fn feed(&mut self, hunt: &mut Hunt, bytes: &[u8]) {
        self.open.retain_mut(|one| read(hunt, one, bytes));
    }

    pub fn finish(&mut self, hunt: &mut Hunt) {
        for (decoder, mut layer) in self.open.drain(..) {
            let mut decoder = decoder;
            let mut out = Vec::new();
            let _ = decoder.finish(&mut out);
            layer.push(hunt, &out);
            layer.finish(hunt);
        }
    }
}

/// False: it is no such file, or has ended.
fn read(hunt: &mut Hunt, one: &mut (Decoder, Box<Layer>), bytes: &[u8]) -> bool {
    let (decoder, layer) = one;
    for part in bytes.chunks(PART) {
        let mut out = Vec::new();
        let read = decoder.push(part, &mut out);
        layer.push(hunt, &out);
        if read.is_err() || decoder.is_over() {
            layer.finish(hunt);
            return false;
        }
    }
    true
}

/// Where a file may begin: by those of its first bytes that texts seldom have.
fn begins(text: &[u8]) -> Option<usize> {
    let zlib = memchr3_iter(0x01, 0x9c, 0xda, text).chain(memchr_iter(b'^', text));
    let zlib = zlib.filter_map(|at| at.checked_sub(1)).find(|at| text[*at] == 0x78);
    let others = memchr3_iter(0x1f, 0xb5, 0x03, text).find_map(|at| match text[at] {
        0x1f => Some(at),
        0xb5 => at.checked_sub(1).filter(|at| text[*at] == 0x28),
        _ => at.checked_sub(2).filter(|at| text[*at..].starts_with(b"PK")),
    });
    zlib.into_iter().chain(others).min()
}

/// RFC 1950, section 2.2: a multiple of 31, and no dictionary.
fn is_zlib(head: &[u8]) -> bool {
    u16::from_be_bytes([head[0], head[1]]).is_multiple_of(31) && head[1] & 0x20 == 0
}
