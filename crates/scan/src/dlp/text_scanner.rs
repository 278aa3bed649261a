//! The scanner of one text, in every way it may be meant: as it stands, folded, without names, without escapes, decoded,
//! unpacked. A reading that nothing in the text calls for costs no more than the check for it.
//!
//! `text_scanner`, `view` and `unpack` use one another in a circle because the data is recursive: a decoded or unpacked text
//! is a text again, with a scanner of its own, [`MAX_DEPTH`] deep.

use super::base32_runs::{BASE32, BASE32_HEX, Base32Runs};
use super::dump::DumpReader;
use super::encoded_lines::EncodedLines;
use super::encoded_runs::{Base64Runs, HexRuns};
use super::needles::{NeedleMatch, SearchText};
use super::number_runs::NumberRuns;
use super::pattern::{PatternMatch, PatternScanner, Rules};
use super::piece_coverage::{FoldedReader, PieceCoverage};
use super::place::FindingPlace;
use super::unescape::{EscapeSyntax, Unescaper};
use super::unpack::{COMPRESSED, Unpack, UnpackBudget};
use super::value_text::ValueText;
use super::vault::Vault;
use super::view::{View, ViewDecoder};
use std::vec::IntoIter;

/// Encodings in one another; what is encoded more often is not found.
const MAX_DEPTH: usize = 3;
/// Bytes of a view's text that are read before and behind what calls for it.
const VIEW_CONTEXT_BYTES: usize = 256;
/// Bytes that each reading is given at a time, before the next reading is.
const BLOCK_BYTES: usize = 1024;
/// Bytes of an answer that each reading is given at a time: larger, because most of an answer is stepped over.
const ANSWER_BLOCK_BYTES: usize = 16 << 10;
/// Digits of a group of base64: a text may begin at each of them.
const BASE64_PHASES: usize = 4;

/// What a text was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A value or a part of one, by its number in the vault.
    Unit(usize),
    Pattern(&'static str),
    /// A pattern that honest texts have, too.
    Hint(&'static str),
    /// What could hide anything, because it is not read whole: what it is.
    Unreadable(&'static str),
}

/// Each target once, with how and where it was written.
pub type Matches = std::collections::BTreeMap<Target, Written>;

#[derive(Debug, Clone)]
pub struct Written {
    /// Its encodings, the innermost first.
    pub how: String,
    pub place: FindingPlace,
}

/// What is looked for, what was found, and what may still be unpacked.
pub struct ScanContext<'a> {
    pub vault: &'a Vault,
    /// `None`: patterns are not looked for.
    pub rules: Option<&'a Rules>,
    pub matches: &'a mut Matches,
    pub budget: &'a mut UnpackBudget,
    /// Where in the outermost text the bytes stand that are read; `None`: it is not known.
    pub at: Option<u64>,
    /// The file of an archive that is read.
    pub file: Option<String>,
}

impl ScanContext<'_> {
    /// Adds a match, if it is the target's first. `path`: of the text that holds it; `how`: how it is written there.
    pub fn record(&mut self, target: Target, path: &str, how: &str) {
        let (at, file) = (self.at, &self.file);
        self.matches.entry(target).or_insert_with(|| {
            let place = FindingPlace { at, field: None, file: file.clone() };
            Written { how: written(path, how), place }
        });
    }
}

/// Where a text comes from, which decides what is looked for in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOrigin {
    /// The outermost text, behind a [`HoldBack`](super::HoldBack) that looks for its values as they stand, and its patterns.
    HeldBack,
    Inner,
    /// What comes back, or is unpacked from it. Its values in escapes are found elsewhere; it is read folded, out of dumps
    /// and unpacked, because an answer is often large and must not wait.
    Answer,
    /// Decoded from base64 or hex. Any long word decodes to something, so fewer readings are tried.
    Decoded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmbeddedFiles {
    Unpack,
    Skip,
}

pub struct TextScanner {
    origin: TextOrigin,
    depth: usize,
    /// How this text was written in the one around it.
    path: String,
    /// The text is in a compressed file: what is decoded in it counts as unpacked.
    is_unpacked: bool,
    folded: FoldedReader,
    /// `None`: all of the text is folded.
    quiet: Option<QuietText>,
    /// For what is left without names.
    folded_values: FoldedReader,
    values: ValueText,
    coverage: PieceCoverage,
    /// `None`: the text is held back, and searched as it stands there.
    verbatim: Option<VerbatimSearch>,
    views: Vec<View>,
    base64: Option<Base64Runs>,
    unpack: Unpack,
    embedded_files: EmbeddedFiles,
    scratch: Vec<u8>,
}

/// A text that is folded only where [`GramFilter`](super::gram_filter::GramFilter) notices something.
#[derive(Default)]
struct QuietText {
    /// Its last bytes.
    tail: Vec<u8>,
    /// Bytes that are still folded, though nothing was noticed in them.
    awake: usize,
}

/// The search of a text as it stands.
#[derive(Default)]
struct VerbatimSearch {
    text: SearchText,
    found: Vec<NeedleMatch>,
    patterns: PatternScanner,
}

impl VerbatimSearch {
    fn of_text(is_unescaped: bool) -> VerbatimSearch {
        let patterns = if is_unescaped { PatternScanner::of_unescaped() } else { PatternScanner::default() };
        VerbatimSearch { patterns, ..VerbatimSearch::default() }
    }
}

/// A part of a view's text.
#[derive(Clone, Copy)]
struct ViewPart<'a> {
    text: &'a [u8],
    /// Something was decoded in it.
    is_decoded: bool,
}

impl QuietText {
    /// Gives `read` the block, if there may be something in it, and what stands before it.
    fn wake(&mut self, vault: &Vault, block: &[u8], mut read: impl FnMut(&[u8])) {
        let reach = vault.grams.piece() - 1;
        let before = &self.tail[self.tail.len().saturating_sub(reach)..];
        let seam = [before, &block[..block.len().min(reach)]].concat();
        if vault.grams.notices(&seam) || vault.grams.notices(block) {
            if self.awake == 0 {
                read(&self.tail);
            }
            self.awake = VIEW_CONTEXT_BYTES + block.len();
        }
        if self.awake > 0 {
            read(block);
            self.awake = self.awake.saturating_sub(block.len());
        }
        self.tail.extend_from_slice(&block[block.len().saturating_sub(VIEW_CONTEXT_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(VIEW_CONTEXT_BYTES);
        self.tail.drain(..surplus);
    }
}

impl TextScanner {
    /// `path`: how this text was written in the one around it.
    pub fn new(origin: TextOrigin, depth: usize, path: String) -> TextScanner {
        let mut views = Vec::new();
        // A run of base64 may begin before its text does. Deeper down, that costs more than it is likely to find.
        let phases = if depth < 2 && origin != TextOrigin::Decoded { BASE64_PHASES } else { 1 };
        let base64 = (depth < MAX_DEPTH && origin != TextOrigin::Answer).then(|| Base64Runs::new(phases));
        if depth < MAX_DEPTH && origin == TextOrigin::Answer {
            views.push(View::new("a dump", ViewDecoder::Dump(DumpReader::new(false))));
        } else if depth < MAX_DEPTH {
            views.push(View::new("with escapes", ViewDecoder::Escapes(Unescaper::new(EscapeSyntax::Code))));
            if origin != TextOrigin::Decoded {
                let unescaper = Unescaper::new(EscapeSyntax::QuotedPrintable);
                views.push(View::new("quoted-printable", ViewDecoder::Escapes(unescaper)));
            }
            views.push(View::new("a dump", ViewDecoder::Dump(DumpReader::new(depth > 0))));
            views.push(View::new("encoded lines", ViewDecoder::Lines(EncodedLines::new(depth > 0))));
            views.push(View::new("a list of numbers", ViewDecoder::Numbers(NumberRuns::default())));
            for alphabet in [&BASE32, &BASE32_HEX] {
                views.push(View::new("base32", ViewDecoder::Base32(Base32Runs::new(alphabet))));
            }
            for _ in 0..base64.as_ref().map_or(0, Base64Runs::texts) {
                views.push(View::new("base64", ViewDecoder::Base64));
            }
            views.push(View::new("hex", ViewDecoder::Hex(HexRuns::default())));
        }
        let is_unescaped = ["with escapes", "quoted-printable"].iter().any(|how| path.contains(how));
        TextScanner {
            origin,
            depth,
            unpack: Unpack::new(path.clone(), depth, origin),
            is_unpacked: path.contains(COMPRESSED),
            path,
            folded: FoldedReader::default(),
            quiet: (origin == TextOrigin::Answer && depth == 0).then(QuietText::default),
            folded_values: FoldedReader::default(),
            values: ValueText::default(),
            coverage: PieceCoverage::default(),
            verbatim: matches!(origin, TextOrigin::Inner | TextOrigin::Decoded)
                .then(|| VerbatimSearch::of_text(is_unescaped)),
            views,
            base64,
            embedded_files: EmbeddedFiles::Unpack,
            scratch: Vec::new(),
        }
    }

    /// Compressed files in the text are not unpacked: all of it is one, which is decoded elsewhere.
    pub fn skip_embedded_files(&mut self) {
        self.embedded_files = EmbeddedFiles::Skip;
    }

    pub fn push(&mut self, context: &mut ScanContext, bytes: &[u8]) {
        let block_bytes = if self.origin == TextOrigin::Answer { ANSWER_BLOCK_BYTES } else { BLOCK_BYTES };
        let first = context.at;
        for (index, block) in bytes.chunks(block_bytes).enumerate() {
            if self.is_outermost() {
                context.at = first.map(|first| first + (index * block_bytes) as u64);
            }
            self.search(context, block);
            let mut decoded = self.decode_base64(|base64, into| base64.push(block, into));
            for view in 0..self.views.len() {
                let mut out = std::mem::take(&mut self.scratch);
                out.clear();
                let is_decoded = match &mut self.views[view].decoder {
                    ViewDecoder::Base64 => {
                        out = decoded.next().unwrap_or_default();
                        !out.is_empty()
                    }
                    decoder => decoder.push(block, &mut out),
                };
                self.push_view(context, view, ViewPart { text: &out, is_decoded });
                self.scratch = out;
            }
            if self.depth < MAX_DEPTH && self.embedded_files == EmbeddedFiles::Unpack {
                self.unpack.push(context, block);
            }
        }
    }

    /// The text ends here: what was still undecided is decided. More may be pushed, as another text.
    pub fn finish(&mut self, context: &mut ScanContext) {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        self.values.finish(&mut out);
        self.search_values(context, &out);
        if let (Some(verbatim), Some(rules)) = (&mut self.verbatim, context.rules) {
            let mut found = Vec::new();
            verbatim.patterns.finish(rules, &mut found);
            for pattern in found {
                context.record(target_of(&pattern), &self.path, "plain");
            }
        }
        let mut decoded = self.decode_base64(Base64Runs::finish);
        for view in 0..self.views.len() {
            out.clear();
            let is_decoded = match &mut self.views[view].decoder {
                ViewDecoder::Base64 => {
                    out = decoded.next().unwrap_or_default();
                    !out.is_empty()
                }
                decoder => decoder.finish(&mut out),
            };
            let is_decoded = is_decoded || self.views[view].awake > 0;
            self.push_view(context, view, ViewPart { text: &out, is_decoded });
            if let Some(scanner) = &mut self.views[view].scanner {
                scanner.finish(context);
            }
        }
        self.unpack.finish(context);
        self.scratch = out;
    }

    fn is_outermost(&self) -> bool {
        self.depth == 0 && self.path.is_empty()
    }

    /// What `decode` makes, for each view of base64.
    fn decode_base64(&mut self, decode: impl FnOnce(&mut Base64Runs, &mut [Vec<u8>])) -> IntoIter<Vec<u8>> {
        let mut texts = Vec::new();
        if let Some(base64) = &mut self.base64 {
            texts.resize(base64.texts(), Vec::new());
            decode(base64, &mut texts);
        }
        texts.into_iter()
    }

    /// Unpacks the compressed files that wait, in this text and in all that was decoded of it.
    pub fn unpack(&mut self, context: &mut ScanContext) {
        if context.budget.waiting == 0 {
            return;
        }
        for scanner in self.views.iter_mut().filter_map(|view| view.scanner.as_mut()) {
            scanner.unpack(context);
        }
        self.unpack.run(context);
    }

    fn search(&mut self, context: &mut ScanContext, block: &[u8]) {
        let (vault, rules) = (context.vault, context.rules);
        if let Some(VerbatimSearch { text, found, patterns }) = &mut self.verbatim {
            let mut hits = Vec::new();
            if let Some(rules) = rules {
                patterns.push(rules, block, &mut hits);
            }
            let is_outermost = self.depth == 0 && self.path.is_empty();
            let block_at = context.at;
            for hit in hits {
                context.at = if is_outermost { Some(hit.start) } else { block_at };
                context.record(target_of(&hit), &self.path, "plain");
            }
            context.at = block_at;
            text.push_lower(block);
            vault.verbatim.search(text, found);
            for NeedleMatch { needle, .. } in found.drain(..) {
                let needle = vault.verbatim_needles[needle];
                context.record(Target::Unit(needle.unit), &self.path, needle.how);
            }
        }
        if vault.is_empty() {
            return;
        }
        let mut found = |unit, how| context.record(Target::Unit(unit), &self.path, how);
        match &mut self.quiet {
            None => self.folded.read(vault, block, &mut self.coverage, found),
            Some(quiet) => quiet.wake(vault, block, |part| {
                self.folded.read(vault, part, &mut self.coverage, &mut found);
            }),
        }
        if !matches!(self.origin, TextOrigin::Decoded | TextOrigin::Answer) {
            let mut out = std::mem::take(&mut self.scratch);
            out.clear();
            self.values.push(block, &mut out);
            self.search_values(context, &out);
            self.scratch = out;
        }
    }

    fn search_values(&mut self, context: &mut ScanContext, values: &[u8]) {
        let vault = context.vault;
        let found = |unit, how| context.record(Target::Unit(unit), &self.path, how);
        self.folded_values.read(vault, values, &mut self.coverage, found);
    }

    /// Scans a view's text near what was decoded in it; of the rest, the end is kept for what may be decoded next.
    fn push_view(&mut self, context: &mut ScanContext, view: usize, part: ViewPart) {
        let ViewPart { text, is_decoded } = part;
        let view = &mut self.views[view];
        if is_decoded {
            view.awake = VIEW_CONTEXT_BYTES;
        }
        if view.awake > 0 {
            if self.is_unpacked {
                context.budget.read(text.len());
            }
            let scanner = view
                .scanner
                .get_or_insert_with(|| Box::new(inner_scanner(self.origin, &self.path, view.how, self.depth)));
            if !view.before.is_empty() {
                scanner.push(context, &std::mem::take(&mut view.before));
            }
            scanner.push(context, text);
            // What begins a run is needed with all of it.
            if !is_decoded && !scanner.base64.as_ref().is_some_and(Base64Runs::is_inside) {
                view.awake = view.awake.saturating_sub(text.len());
            }
        } else if !text.is_empty() {
            view.before.extend_from_slice(&text[text.len().saturating_sub(VIEW_CONTEXT_BYTES)..]);
            let surplus = view.before.len().saturating_sub(VIEW_CONTEXT_BYTES);
            view.before.drain(..surplus);
        }
    }
}

/// The scanner of a text that was written `how` in a text of this origin, path and depth.
pub fn inner_scanner(outer: TextOrigin, path: &str, how: &str, depth: usize) -> TextScanner {
    let path = if path.is_empty() { how.to_owned() } else { format!("{how}, {path}") };
    let origin = match how {
        _ if outer == TextOrigin::Answer => TextOrigin::Answer,
        "base32" | "base64" | "hex" => TextOrigin::Decoded,
        _ => TextOrigin::Inner,
    };
    TextScanner::new(origin, depth + 1, path)
}

fn target_of(found: &PatternMatch) -> Target {
    if found.is_hint { Target::Hint(found.name) } else { Target::Pattern(found.name) }
}

/// How a match is written. `path`: of the text that holds it; `how`: how it is written there.
fn written(path: &str, how: &str) -> String {
    match (path, how) {
        ("", how) => how.to_owned(),
        (path, "plain" | "plain or in pieces") => path.to_owned(),
        (path, how) => format!("{how}, {path}"),
    }
}
