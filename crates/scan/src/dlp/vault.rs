//! The values that must not leave, made ready to be looked for. No type here has a `Debug` that shows one.

use super::forms;
use super::gram_filter::GramFilter;
use super::needles::{NEEDLE_SUFFIX_BYTES, NeedleSet};
use super::{SecretClass, Subject, fold};
use policy::matchable::{MIN_VALUE_BYTES, unmatchable_because};

/// Letters and digits of a value that are looked for together, wherever the others are.
pub const PIECE_LETTERS: usize = NEEDLE_SUFFIX_BYTES;
/// Letters and digits of an encoded value below which it proves nothing.
const MIN_FORM_LETTERS: usize = 10;
/// Bytes of a value that is looked for as one. A longer value is looked for part by part, each enough to be a finding.
const MAX_WHOLE_BYTES: usize = 64;
const PART_BYTES: usize = 48;
/// Parts of one value that are looked for, spread evenly over a value that has more.
const MAX_PARTS: usize = 96;
/// Bytes of a value that it is known by in encodings.
const CORE_BYTES: usize = 16;

/// A value and what it is called.
pub struct Known {
    pub name: String,
    pub class: SecretClass,
    pub bytes: Vec<u8>,
}

/// A value, or a part of a long one: what is looked for by itself.
pub struct Unit {
    /// The value's number.
    pub value: usize,
    pub class: SecretClass,
    /// Letters and digits in it.
    pub length: usize,
}

/// What a needle of folded text stands for.
#[derive(Clone, Copy)]
pub enum FoldedNeedle {
    Form {
        unit: usize,
        how: &'static str,
    },
    /// Letters and digits of a unit, from `at` on.
    Piece {
        unit: usize,
        at: usize,
    },
}

/// What a needle of the text as it stands is.
#[derive(Clone, Copy)]
pub struct VerbatimNeedle {
    pub unit: usize,
    pub how: &'static str,
    /// The byte that overwrites it.
    pub with: u8,
}

pub struct Vault {
    /// What the values are called.
    pub names: Vec<String>,
    pub units: Vec<Unit>,
    /// For folded text.
    pub folded: NeedleSet,
    pub folded_needles: Vec<FoldedNeedle>,
    /// For the text as it stands, in lower case.
    pub verbatim: NeedleSet,
    pub verbatim_needles: Vec<VerbatimNeedle>,
    /// For a text that is large, and must not wait: what the encodings in `folded` are known by.
    pub grams: GramFilter,
    /// Names of values that are not looked for, and why.
    pub unfit: Vec<(String, &'static str)>,
}

impl Vault {
    pub fn new(values: &[Known]) -> Vault {
        let (mut units, mut unfit) = (Vec::new(), Vec::new());
        let (mut folded, mut folded_needles) = (Vec::new(), Vec::new());
        let (mut verbatim, mut verbatim_needles) = (Vec::new(), Vec::new());
        let mut written = Vec::new();
        for (value, Known { name, class, bytes }) in values.iter().enumerate() {
            let bytes = bytes.trim_ascii();
            if let Some(why) = unmatchable_because(*class, bytes) {
                unfit.push((name.clone(), why));
                continue;
            }
            for part in parts_of(*class, bytes) {
                let (unit, letters) = (units.len(), fold::fold(part));
                units.push(Unit { value, class: *class, length: letters.len() });
                for (at, piece) in letters.windows(PIECE_LETTERS).enumerate() {
                    folded.push(piece.to_vec());
                    folded_needles.push(FoldedNeedle::Piece { unit, at });
                }
                written.extend(forms::written(part));
                let forms =
                    forms::all(core_of(part)).into_iter().chain(forms::of_part(part, part.len() == bytes.len()));
                let forms = forms.map(|(how, form)| (how, fold::fold(&form)));
                // Those that are long enough to prove something.
                for (how, form) in forms.filter(|(_, form)| form.len() >= MIN_FORM_LETTERS) {
                    folded.push(form);
                    folded_needles.push(FoldedNeedle::Form { unit, how });
                }
                for ((how, form), with) in forms::whole(part) {
                    if form.len() >= MIN_VALUE_BYTES && !verbatim.contains(&form) {
                        verbatim.push(form);
                        verbatim_needles.push(VerbatimNeedle { unit, how, with });
                    }
                }
            }
        }
        verbatim.iter_mut().for_each(|form| form.make_ascii_lowercase());
        Vault {
            names: values.iter().map(|known| known.name.clone()).collect(),
            units,
            folded: NeedleSet::new(&folded),
            folded_needles,
            verbatim: NeedleSet::new(&verbatim),
            verbatim_needles,
            grams: GramFilter::new(&written),
            unfit,
        }
    }

    /// The value that a unit belongs to.
    pub fn subject(&self, unit: usize) -> Subject {
        let Unit { value, class, .. } = self.units[unit];
        Subject::Known(class, value)
    }

    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

/// The parts that a long value is looked for by. Those that honest texts have in them are left out: a private key's first
/// line says only that it is one.
fn parts_of(class: SecretClass, value: &[u8]) -> Vec<&[u8]> {
    if value.len() <= MAX_WHOLE_BYTES {
        return vec![value];
    }
    let parts: Vec<&[u8]> =
        value.chunks(PART_BYTES).filter(|part| unmatchable_because(class, part).is_none()).collect();
    let step = parts.len().div_ceil(MAX_PARTS).max(1);
    parts.into_iter().step_by(step).collect()
}

/// The part of a value that its encodings are looked for by: the one with most digits and capitals, then the one nearest to
/// the middle, because values of one kind have beginnings in common.
fn core_of(value: &[u8]) -> &[u8] {
    if value.len() <= CORE_BYTES {
        return value;
    }
    let middle = (value.len() - CORE_BYTES) / 2;
    let odd = |window: &[u8]| window.iter().filter(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).count();
    let windows = value.windows(CORE_BYTES).enumerate();
    let best = windows.max_by_key(|(at, window)| (odd(window), usize::MAX - at.abs_diff(middle)));
    best.map_or(value, |(_, window)| window)
}
