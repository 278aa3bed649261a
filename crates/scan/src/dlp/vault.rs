//! The values that must not leave, made ready to be looked for. No type here has a `Debug` that shows one.

use super::forms::{self, Form};
use super::needles::{GRAM, Needles};
use super::{Class, Subject, fold};
use policy::worth;

/// Letters and digits of a value that are looked for as one, wherever the others are.
pub const PIECE: usize = GRAM;
/// Longer values are looked for part by part, each enough to be a finding.
const LONGEST: usize = 64;
const PART: usize = 48;
const PARTS: usize = 96;
/// Bytes that stand for a value in encodings.
const CORE: usize = 16;

/// A value and what it is called.
pub struct Known {
    pub name: String,
    pub class: Class,
    pub bytes: Vec<u8>,
}

/// A value, or a part of a long one.
pub struct Unit {
    /// Whose it is, by its number.
    pub value: usize,
    pub class: Class,
    /// Letters and digits.
    pub length: usize,
}

/// What a needle of the folded text means.
#[derive(Clone, Copy)]
pub enum Sign {
    Form { unit: usize, how: &'static str },
    Piece { unit: usize, at: usize },
}

/// What a needle of the text as it stands means.
#[derive(Clone, Copy)]
pub struct Whole {
    pub unit: usize,
    pub how: &'static str,
    /// Overwrites it.
    pub with: u8,
}

pub struct Vault {
    /// What the values are called.
    pub names: Vec<String>,
    pub units: Vec<Unit>,
    pub folded: Needles,
    pub signs: Vec<Sign>,
    /// In lower case.
    pub raw: Needles,
    pub wholes: Vec<Whole>,
    /// Names of values that are not looked for, and why.
    pub unfit: Vec<(String, &'static str)>,
}

impl Vault {
    pub fn new(values: &[Known]) -> Vault {
        let (mut units, mut unfit) = (Vec::new(), Vec::new());
        let (mut folded, mut signs, mut raw, mut wholes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (value, Known { name, class, bytes }) in values.iter().enumerate() {
            let bytes = bytes.trim_ascii();
            if let Some(why) = worth::unfit(*class, bytes) {
                unfit.push((name.clone(), why));
                continue;
            }
            for part in parts(*class, bytes) {
                let (unit, letters) = (units.len(), fold::fold(part));
                units.push(Unit { value, class: *class, length: letters.len() });
                for (at, piece) in letters.windows(PIECE).enumerate() {
                    folded.push(piece.to_vec());
                    signs.push(Sign::Piece { unit, at });
                }
                for (how, form) in shown(core(part)) {
                    folded.push(form);
                    signs.push(Sign::Form { unit, how });
                }
                for ((how, form), with) in forms::whole(part) {
                    if form.len() >= worth::SHORTEST && !raw.contains(&form) {
                        raw.push(form);
                        wholes.push(Whole { unit, how, with });
                    }
                }
            }
        }
        raw.iter_mut().for_each(|form| form.make_ascii_lowercase());
        Vault {
            names: values.iter().map(|known| known.name.clone()).collect(),
            units,
            folded: Needles::new(&folded),
            signs,
            raw: Needles::new(&raw),
            wholes,
            unfit,
        }
    }

    /// Of one of its units.
    pub fn subject(&self, unit: usize) -> Subject {
        let Unit { value, class, .. } = self.units[unit];
        Subject::Known(class, value)
    }

    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

/// Of a long value, the parts that are worth it: a key's first line says only that it is one.
fn parts(class: Class, value: &[u8]) -> Vec<&[u8]> {
    if value.len() <= LONGEST {
        return vec![value];
    }
    let parts: Vec<&[u8]> = value.chunks(PART).filter(|part| worth::unfit(class, part).is_none()).collect();
    let step = parts.len().div_ceil(PARTS).max(1);
    parts.into_iter().step_by(step).collect()
}

/// The part of a value that its encodings are looked for by: not what all values of a kind begin with.
fn core(value: &[u8]) -> &[u8] {
    if value.len() <= CORE {
        return value;
    }
    let middle = (value.len() - CORE) / 2;
    let odd = |window: &[u8]| window.iter().filter(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).count();
    let windows = value.windows(CORE).enumerate();
    let best = windows.max_by_key(|(at, window)| (odd(window), usize::MAX - at.abs_diff(middle)));
    best.map_or(value, |(_, window)| window)
}

/// Forms as they stand in folded text, those that are long enough to mean something.
fn shown(core: &[u8]) -> Vec<Form> {
    let folded = forms::all(core).into_iter().map(|(how, form)| (how, fold::fold(&form)));
    folded.filter(|(_, form)| form.len() >= 10).collect()
}
