//! Compressed files inside a text, wherever they begin: gzip, zlib, zstd, bzip2, xz, lzma, lz4 and the entries of zip
//! archives, known by their first bytes and unpacked as they stream.
//!
//! Every file that begins is read, so decoys in front of one do not hide it. What that may cost is bounded for the whole
//! text by an [`UnpackBudget`]; where it does not suffice, the text is reported as unreadable instead of being read in part.
//! A text with a file in it waits until [`Unpack::run`], because a few bytes can be a second's work.

use super::place::{TarNames, plain_name};
use super::text_scanner::{ScanContext, Target, TextOrigin, TextScanner, inner_scanner};
use crate::codec::{Broken, Decoder, Format, PART, TOO_MUCH, may_begin, may_begin_block};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::LazyLock;

/// Bytes that the scanners may read of the files in one body, whatever its length: what a large picture of one colour
/// unpacks to.
const UNMEASURED_BYTES: u64 = 32 << 20;
/// Bytes that they may read for each byte of the body, where that is more.
const MAX_EXPANSION: u64 = 200;
/// Bytes that they may read of the files in a field or an address, which is unpacked while others wait.
const FIELD_BYTES: u64 = 1 << 20;
/// Memory that the open files of one text may hold, all depths together.
const MAX_HELD_BYTES: usize = 64 << 20;
/// Memory that one open file is taken to hold, beside its decoder's window: a decoder and a scanner for what it makes.
/// At most 128 files are open at one time, so each byte of a text is decoded at most 128 times. Honest files, binaries of
/// 25 MB included, were seen to come to half of that, by bytes that begin like a file.
const OPEN_FILE_BYTES: usize = 512 << 10;
/// Bytes of a file's start that are tried: many texts have the two bytes that zlib begins with, and few go on like it.
const TRIED_BYTES: usize = 512;
/// Bytes of a file that are scanned before the budget is asked again.
const SCANNED_BYTES: usize = 64 << 10;
/// No start below this length is tried.
const MIN_TRIED_BYTES: usize = 16;
/// Bytes that a compressed file is known by.
const MAGIC_BYTES: usize = 4;
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// What [`OpenFile::recognise`] looks at closer. At most 16 of at least two bytes: so many are looked for by vector
/// instructions.
const MAGIC_STARTS: [&[u8]; 12] = [
    b"\x1f\x8b\x08",
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
    b"\x28\xb5\x2f\xfd",
    ZIP_MAGIC,
    b"BZh",
    b"\xfd7zX",
    b"\x5d\x00\x00",
    b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18",
];
static MAGICS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let builder = &mut AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostFirst).kind(Some(AhoCorasickKind::DFA)).build(MAGIC_STARTS).ok()
});
/// A local file header of a zip archive, without name and extra field.
const ZIP_HEADER_BYTES: usize = 30;

/// How what is in a compressed file is written.
pub const COMPRESSED: &str = "compressed";

/// Why a text is unreadable.
const TOO_MANY: &str = "more compressed files in one another than are read";
const TOO_LARGE: &str = "compressed files that unpack to more than is read";

/// What unpacking may cost, for one outermost text and all that is found inside it.
///
/// Open files hold at most [`MAX_HELD_BYTES`]. Read of them are at most [`UNMEASURED_BYTES`], or [`MAX_EXPANSION`] times the
/// outermost text where that is more; what is decoded once more, out of base64 in such a file, counts once more.
pub struct UnpackBudget {
    /// Bytes of the outermost text so far.
    outer: u64,
    read: u64,
    /// Bytes that may be read whatever the length, and for each byte of the text.
    unmeasured: u64,
    expansion: u64,
    held: usize,
    /// Texts with something in them that waits to be unpacked.
    pub waiting: usize,
}

impl Default for UnpackBudget {
    fn default() -> UnpackBudget {
        let (unmeasured, expansion) = (UNMEASURED_BYTES, MAX_EXPANSION);
        UnpackBudget { outer: 0, read: 0, unmeasured, expansion, held: 0, waiting: 0 }
    }
}

impl UnpackBudget {
    pub fn of_field() -> UnpackBudget {
        UnpackBudget { unmeasured: FIELD_BYTES, expansion: 0, ..UnpackBudget::default() }
    }

    /// All but so many bytes were read.
    #[cfg(test)]
    pub fn nearly_spent(left: u64) -> UnpackBudget {
        UnpackBudget { read: UNMEASURED_BYTES - left, ..UnpackBudget::default() }
    }

    pub fn add_outer(&mut self, bytes: usize) {
        self.outer += bytes as u64;
    }

    /// So many bytes were made of a file, or of what is in one.
    pub fn read(&mut self, bytes: usize) {
        self.read += bytes as u64;
    }

    pub fn is_overdrawn(&self) -> bool {
        self.read > self.unmeasured.max(self.outer.saturating_mul(self.expansion))
    }

    /// Memory that the open files of the text hold.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// False: so many bytes more would be too much, and none were taken.
    fn hold(&mut self, bytes: usize) -> bool {
        let fits = self.held + bytes <= MAX_HELD_BYTES;
        self.held += if fits { bytes } else { 0 };
        fits
    }

    fn release(&mut self, bytes: usize) {
        self.held -= bytes;
    }
}

/// The compressed files in one text.
pub struct Unpack {
    /// How the text is written in the one around it.
    path: String,
    depth: usize,
    origin: TextOrigin,
    open: Vec<OpenFile>,
    /// The last bytes that were read, because a file's first bytes may be cut, and what waits behind them.
    text: Vec<u8>,
    /// How many bytes of `text` were read.
    seam: usize,
    /// No more of the text follows.
    is_ended: bool,
    is_waiting: bool,
}

impl Unpack {
    pub fn new(path: String, depth: usize, origin: TextOrigin) -> Unpack {
        let (open, text) = (Vec::new(), Vec::new());
        Unpack { path, depth, origin, open, text, seam: 0, is_ended: false, is_waiting: false }
    }

    /// Reads more of the text, unless there is a file in it: then all of it waits.
    pub fn push(&mut self, context: &mut ScanContext, block: &[u8]) {
        self.text.extend_from_slice(block);
        if !self.is_waiting && self.open.is_empty() && !self.begins_file() {
            self.keep_tail();
        } else {
            self.wait(context);
        }
    }

    /// The text ends here, and open files end with it.
    pub fn finish(&mut self, context: &mut ScanContext) {
        if self.is_waiting || !self.open.is_empty() {
            self.is_ended = true;
            self.wait(context);
        }
    }

    /// Unpacks what waits.
    pub fn run(&mut self, context: &mut ScanContext) {
        if !self.is_waiting {
            return;
        }
        self.is_waiting = false;
        context.budget.waiting -= 1;
        self.read_text(context);
        if std::mem::take(&mut self.is_ended) {
            for mut file in std::mem::take(&mut self.open) {
                let mut out = Vec::new();
                // A file that was cut is read as far as it came.
                let _ = file.decoder.finish(&mut out);
                self.scan(context, &mut file, &out);
                file.close(context);
            }
        }
    }

    fn wait(&mut self, context: &mut ScanContext) {
        context.budget.waiting += usize::from(!self.is_waiting);
        self.is_waiting = true;
    }

    /// Does a file begin in what was not read?
    fn begins_file(&self) -> bool {
        let mut at = 0;
        while let Some(step) = find_magic(&self.text[at..]) {
            at += step;
            if self.may_begin_at(at) && OpenFile::recognise(&self.text[at..]).is_some() {
                return true;
            }
            at += 1;
        }
        false
    }

    /// A file whose first bytes were all read was seen before.
    fn may_begin_at(&self, at: usize) -> bool {
        self.text.len() - at >= MAGIC_BYTES && at + MAGIC_BYTES > self.seam
    }

    fn keep_tail(&mut self) {
        self.text.drain(..self.text.len().saturating_sub(MAGIC_BYTES - 1));
        self.seam = self.text.len();
    }

    fn read_text(&mut self, context: &mut ScanContext) {
        let seam = self.seam;
        let text = std::mem::take(&mut self.text);
        // Open files have read the text up to here.
        let mut fed = seam;
        let mut at = 0;
        while let Some(step) = find_magic(&text[at..]) {
            at += step;
            if text.len() - at >= MAGIC_BYTES
                && at + MAGIC_BYTES > seam
                && let Some(file) = OpenFile::recognise(&text[at..])
            {
                if at > fed {
                    self.feed(context, &text[fed..at]);
                    fed = at;
                }
                // A file of many members is read by one decoder, so that a value cut in two by them is still one.
                if !self.open.iter().any(|open| open.decoder.bytes_of_next_member() == Some(fed - at)) {
                    self.begin(context, file, &text[at..fed]);
                }
            }
            at += 1;
        }
        self.feed(context, &text[fed..]);
        self.text = text;
        self.keep_tail();
    }

    fn begin(&mut self, context: &mut ScanContext, mut file: OpenFile, first: &[u8]) {
        if !context.budget.hold(OPEN_FILE_BYTES) {
            self.report(context, TOO_MANY);
            return;
        }
        file.held = OPEN_FILE_BYTES;
        if self.read(context, &mut file, first) {
            self.open.push(file);
        } else {
            file.close(context);
        }
    }

    fn feed(&mut self, context: &mut ScanContext, bytes: &[u8]) {
        if self.open.is_empty() {
            return;
        }
        for mut file in std::mem::take(&mut self.open) {
            if self.read(context, &mut file, bytes) {
                self.open.push(file);
            } else {
                file.close(context);
            }
        }
    }

    /// False: it is no such file, it has ended, or it would cost too much.
    fn read(&self, context: &mut ScanContext, file: &mut OpenFile, bytes: &[u8]) -> bool {
        let bytes = match &mut file.zip {
            None => bytes,
            Some(header) => match header.skip(bytes) {
                Ok(None) => return true,
                Ok(Some((method, content))) => {
                    let Some(decoder) = Decoder::zip_entry(method) else { return false };
                    file.decoder = decoder;
                    file.name = plain_name(&header.name);
                    file.zip = None;
                    content
                }
                Err(NotRead) => return false,
            },
        };
        if !file.may_go_on(bytes) {
            return false;
        }
        for part in bytes.chunks(PART) {
            if context.budget.is_overdrawn() {
                self.report(context, TOO_LARGE);
                return false;
            }
            let mut out = Vec::new();
            let decoded = file.decoder.push(part, &mut out);
            let window = OPEN_FILE_BYTES + file.decoder.window_bytes();
            if window > file.held {
                if !context.budget.hold(window - file.held) {
                    self.report(context, TOO_MANY);
                    return false;
                }
                file.held = window;
            }
            for part in out.chunks(SCANNED_BYTES) {
                context.budget.read(part.len());
                if context.budget.is_overdrawn() {
                    self.report(context, TOO_LARGE);
                    return false;
                }
                self.scan(context, file, part);
            }
            match decoded {
                Ok(()) if file.decoder.is_over() => return false,
                Ok(()) => {}
                // What made nothing was not a file, but bytes that begin like one.
                Err(TOO_MUCH) if file.scanner.is_some() || file.decoder.is_certain() => {
                    self.report(context, TOO_LARGE);
                    return false;
                }
                Err(Broken(_)) => return false,
            }
        }
        true
    }

    fn scan(&self, context: &mut ScanContext, file: &mut OpenFile, plain: &[u8]) {
        if plain.is_empty() {
            return;
        }
        let scanner = file
            .scanner
            .get_or_insert_with(|| Box::new(inner_scanner(self.origin, &self.path, COMPRESSED, self.depth)));
        // The place is that of the compressed bytes, which waited.
        let outer = (context.at.take(), context.file.take());
        let mut rest = plain;
        while !rest.is_empty() {
            let (part, behind, next) = file.names.split(rest);
            context.file.clone_from(&file.name);
            scanner.push(context, part);
            scanner.unpack(context);
            file.name = next.or(file.name.take());
            rest = behind;
        }
        (context.at, context.file) = outer;
    }

    fn report(&self, context: &mut ScanContext, why: &'static str) {
        context.record(Target::Unreadable(why), &self.path, COMPRESSED);
    }
}

/// A compressed file whose end has not come.
struct OpenFile {
    /// Header of a zip entry, until its content begins.
    zip: Option<ZipHeader>,
    decoder: Decoder,
    /// Its first bytes, as long as they are tried.
    start: Vec<u8>,
    /// Bytes of them that were tried.
    tried: usize,
    /// For what the decoder makes; `None`: it has made nothing yet.
    scanner: Option<Box<TextScanner>>,
    /// Bytes of the budget that it holds.
    held: usize,
    /// The archive's entry, or the file in a tar archive that is read, and the archive.
    name: Option<String>,
    names: TarNames,
}

impl OpenFile {
    /// By the first bytes of `text`, at least [`MAGIC_BYTES`]; `None`: no compressed file begins here.
    fn recognise(text: &[u8]) -> Option<OpenFile> {
        let (zip, decoder) = if text.starts_with(ZIP_MAGIC) {
            // The header tells what it is.
            (Some(ZipHeader::default()), Decoder::zip_entry(8)?)
        } else if text[0] == 0x78 && !is_zlib(text) {
            return None;
        } else {
            (None, Decoder::sniff(text)?)
        };
        Some(OpenFile {
            zip,
            decoder,
            start: Vec::new(),
            tried: 0,
            scanner: None,
            held: 0,
            name: None,
            names: TarNames::default(),
        })
    }

    /// Tries its start with what came: each time that is twice as long as the last time. False: it is no such file.
    fn may_go_on(&mut self, bytes: &[u8]) -> bool {
        if self.tried >= TRIED_BYTES {
            return true;
        }
        self.start.extend_from_slice(&bytes[..bytes.len().min(TRIED_BYTES - self.start.len())]);
        if self.start.len() < (2 * self.tried).clamp(MIN_TRIED_BYTES, TRIED_BYTES) {
            return true;
        }
        self.tried = self.start.len();
        self.decoder.may_begin(&self.start)
    }

    fn close(self, context: &mut ScanContext) {
        if let Some(mut scanner) = self.scanner {
            let outer = (context.at.take(), std::mem::replace(&mut context.file, self.name));
            scanner.finish(context);
            scanner.unpack(context);
            (context.at, context.file) = outer;
        }
        context.budget.release(self.held);
    }
}

/// The local file header of a zip entry, as far as it came: 30 bytes, then name and extra field, which are skipped.
#[derive(Default)]
struct ZipHeader {
    fixed: Vec<u8>,
    /// The entry's name.
    name: Vec<u8>,
    skipped: usize,
}

/// The entry is stored, or compressed in a way that is not read.
struct NotRead;

impl ZipHeader {
    /// The entry's method and content in these bytes; `None`: the header goes on. Its layout is fixed since 1989: method at
    /// 8, lengths of name and extra field at 26 and 28.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(u16, &'a [u8])>, NotRead> {
        let missing = ZIP_HEADER_BYTES - self.fixed.len();
        let (fixed, rest) = bytes.split_at(missing.min(bytes.len()));
        self.fixed.extend_from_slice(fixed);
        if self.fixed.len() < ZIP_HEADER_BYTES {
            return Ok(None);
        }
        let number = |at: usize| u16::from_le_bytes([self.fixed[at], self.fixed[at + 1]]);
        let method = number(8);
        if Decoder::zip_entry(method).is_none() {
            return Err(NotRead);
        }
        let name_bytes = usize::from(number(26));
        let names = name_bytes + usize::from(number(28));
        let missing = name_bytes.saturating_sub(self.skipped);
        self.name.extend_from_slice(&rest[..missing.min(rest.len())]);
        let skipped = (names - self.skipped).min(rest.len());
        self.skipped += skipped;
        Ok((self.skipped == names).then_some((method, &rest[skipped..])))
    }
}

/// Where a file may begin: its first bytes are looked at in one pass for all kinds.
fn find_magic(text: &[u8]) -> Option<usize> {
    match &*MAGICS {
        Some(magics) => magics.find(text).map(|found| found.start()),
        // Without the search, every byte is tried.
        None => (!text.is_empty()).then_some(0),
    }
}

/// RFC 1950, section 2.2: a multiple of 31, and no dictionary. What is seen of the content is tried before a decoder is made:
/// in noise, every ten thousandth byte begins like such a file.
fn is_zlib(start: &[u8]) -> bool {
    let start = &start[..start.len().min(TRIED_BYTES)];
    u16::from_be_bytes([start[0], start[1]]).is_multiple_of(31)
        && start[1] & 0x20 == 0
        && may_begin_block(&start[2..])
        && (start.len() < MIN_TRIED_BYTES || may_begin(Format::Zlib, start))
}
