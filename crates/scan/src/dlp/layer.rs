//! One text, read in every way it may be meant: as it stands, folded, without names, without escapes, decoded, unpacked.
//! Each reading that is a text again is read the same way, to a bounded depth; a reading that nothing calls for costs
//! nothing but a look.

use super::cover::{Cover, Reading};
use super::dump::Dump;
use super::escapes::{Escapes, Kind};
use super::needles::{Met, Trail};
use super::pattern::{Patterns, Rules};
use super::runs::{Base64, Hex};
use super::unpack::{Unpack, UnpackBudget};
use super::values::Values;
use super::vault::Vault;
use super::view::{Decode, View};

/// Encodings in one another.
const DEEPEST: usize = 3;
/// Bytes of a reading before and after what calls for it.
const REACH: usize = 256;
/// Bytes looked at in one go.
const BLOCK: usize = 1024;

/// What a text was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// By its number in the vault.
    Unit(usize),
    Pattern(&'static str),
    /// What could hide anything, because it is not read whole: why.
    Unreadable(&'static str),
}

/// Each finding once, with how it was written, the innermost encoding first.
pub type Found = std::collections::BTreeMap<What, String>;

/// What is looked for, and what was found.
pub struct Hunt<'a> {
    pub vault: &'a Vault,
    /// None: patterns are not looked for.
    pub rules: Option<&'a Rules>,
    pub found: &'a mut Found,
    pub budget: &'a mut UnpackBudget,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// The outermost one: somebody else looks for its values as they stand, and its patterns.
    Outer,
    Inner,
    /// Out of base64 or hex, which may have been anything: read with less trouble.
    Decoded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packed {
    Read,
    Left,
}

pub struct Layer {
    seat: Seat,
    depth: usize,
    /// How this text was written in the one around it.
    path: String,
    reading: Reading,
    cover: Cover,
    values: Values,
    /// Of what is left without the names.
    unnamed: Reading,
    raw: Option<Raw>,
    views: Vec<View>,
    /// And how many views it is for.
    runs: Option<(Base64, usize)>,
    unpack: Unpack,
    packed: Packed,
    scratch: Vec<u8>,
}

/// What is looked for in the text as it stands.
#[derive(Default)]
struct Raw {
    trail: Trail,
    met: Vec<Met>,
    patterns: Patterns,
}

impl Layer {
    pub fn new(seat: Seat, depth: usize, path: String) -> Layer {
        let mut views = Vec::new();
        // A run may begin before the text does. Deeper down, that costs more than it is likely to find.
        let phases = if depth < 2 && seat != Seat::Decoded { 4 } else { 1 };
        if depth < DEEPEST {
            views.push(View::new("with escapes", Decode::Escapes(Escapes::new(Kind::Signs))));
            if seat != Seat::Decoded {
                views.push(View::new("quoted-printable", Decode::Escapes(Escapes::new(Kind::Printable))));
                views.push(View::new("a dump", Decode::Dump(Dump::default())));
            }
            for _ in 0..phases {
                views.push(View::new("base64", Decode::Base64));
            }
            views.push(View::new("hex", Decode::Hex(Hex::default())));
        }
        Layer {
            seat,
            depth,
            unpack: Unpack::new(path.clone(), depth),
            path,
            reading: Reading::default(),
            cover: Cover::default(),
            values: Values::default(),
            unnamed: Reading::default(),
            raw: (seat != Seat::Outer).then(Raw::default),
            views,
            runs: (depth < DEEPEST).then(|| (Base64::new(phases), phases)),
            packed: Packed::Read,
            scratch: Vec::new(),
        }
    }

    /// Compressed files in it are none of this text's.
    pub fn leave_packed(&mut self) {
        self.packed = Packed::Left;
    }

    pub fn push(&mut self, hunt: &mut Hunt, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            self.look(hunt, block);
            let mut decoded = vec![Vec::new(); self.runs.as_ref().map_or(0, |(_, phases)| *phases)];
            if let Some((runs, _)) = &mut self.runs {
                runs.push(block, &mut decoded);
            }
            let mut decoded = decoded.into_iter();
            for at in 0..self.views.len() {
                let mut out = std::mem::take(&mut self.scratch);
                out.clear();
                let called = match &mut self.views[at].decoder {
                    Decode::Base64 => {
                        out = decoded.next().unwrap_or_default();
                        !out.is_empty()
                    }
                    decoder => decoder.push(block, &mut out),
                };
                self.offer(hunt, at, (&out, called));
                self.scratch = out;
            }
            if self.depth < DEEPEST && self.packed == Packed::Read {
                self.unpack.push(hunt, block);
            }
        }
    }

    /// The text ends here, or is continued by another: what was not decided is.
    pub fn finish(&mut self, hunt: &mut Hunt) {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        self.values.finish(&mut out);
        self.read_values(hunt, &out);
        if let (Some(raw), Some(rules)) = (&mut self.raw, hunt.rules) {
            let mut hits = Vec::new();
            raw.patterns.finish(rules, &mut hits);
            for hit in hits {
                note(hunt.found, What::Pattern(hit.name), &self.path, "plain");
            }
        }
        for at in 0..self.views.len() {
            out.clear();
            if let Decode::Escapes(escapes) = &mut self.views[at].decoder {
                escapes.finish(&mut out);
            }
            let called = self.views[at].awake > 0;
            self.offer(hunt, at, (&out, called));
            if let Some(inner) = &mut self.views[at].inner {
                inner.finish(hunt);
            }
        }
        self.unpack.finish(hunt);
        self.scratch = out;
    }

    fn look(&mut self, hunt: &mut Hunt, block: &[u8]) {
        let (vault, rules) = (hunt.vault, hunt.rules);
        if let Some(Raw { trail, met, patterns }) = &mut self.raw {
            let mut hits = Vec::new();
            if let Some(rules) = rules {
                patterns.push(rules, block, &mut hits);
            }
            for hit in hits {
                note(hunt.found, What::Pattern(hit.name), &self.path, "plain");
            }
            trail.lower(block);
            vault.raw.look(trail, met);
            for (needle, _) in met.drain(..) {
                let whole = vault.wholes[needle];
                note(hunt.found, What::Unit(whole.unit), &self.path, whole.how);
            }
        }
        if vault.is_empty() {
            return;
        }
        let found = |unit, how| note(hunt.found, What::Unit(unit), &self.path, how);
        self.reading.read((vault, &mut self.cover), block, found);
        if self.seat != Seat::Decoded {
            let mut out = std::mem::take(&mut self.scratch);
            out.clear();
            self.values.push(block, &mut out);
            self.read_values(hunt, &out);
            self.scratch = out;
        }
    }

    fn read_values(&mut self, hunt: &mut Hunt, values: &[u8]) {
        let found = |unit, how| note(hunt.found, What::Unit(unit), &self.path, how);
        self.unnamed.read((hunt.vault, &mut self.cover), values, found);
    }

    /// `out`: a part of a view's text, and whether something in it calls for being read.
    fn offer(&mut self, hunt: &mut Hunt, at: usize, (out, called): (&[u8], bool)) {
        let view = &mut self.views[at];
        if called {
            view.awake = REACH;
        }
        if view.awake > 0 {
            let inner = view.inner.get_or_insert_with(|| Box::new(inner(&self.path, view.how, self.depth)));
            if !view.quiet.is_empty() {
                inner.push(hunt, &std::mem::take(&mut view.quiet));
            }
            inner.push(hunt, out);
            if !called {
                view.awake = view.awake.saturating_sub(out.len());
            }
        } else if !out.is_empty() {
            view.quiet.extend_from_slice(&out[out.len().saturating_sub(REACH)..]);
            let surplus = view.quiet.len().saturating_sub(REACH);
            view.quiet.drain(..surplus);
        }
    }
}

pub fn inner(path: &str, how: &str, depth: usize) -> Layer {
    let path = if path.is_empty() { how.to_owned() } else { format!("{how}, {path}") };
    let seat = if matches!(how, "base64" | "hex") { Seat::Decoded } else { Seat::Inner };
    Layer::new(seat, depth + 1, path)
}

pub fn note(found: &mut Found, what: What, path: &str, how: &str) {
    found.entry(what).or_insert_with(|| match (path, how) {
        ("", how) => how.to_owned(),
        (path, "plain" | "plain or in pieces") => path.to_owned(),
        (path, how) => format!("{how}, {path}"),
    });
}
