//! The parts of a hidden text that are searched together, and the attributes that a page speaks with.

use super::super::{Sign, phrases};
use super::tag::unescape;

/// Bytes of a hidden text that are searched together.
const MAX_PART_BYTES: usize = 16 << 10;
/// Bytes at the end of a part that are searched again with the next one.
const OVERLAP_BYTES: usize = 512;
/// Bytes of the shortest attribute that can say something.
const MIN_ATTRIBUTE_BYTES: usize = 16;

/// The latest part of a hidden text.
#[derive(Default)]
pub struct HiddenText(Vec<u8>);

impl HiddenText {
    pub fn push(&mut self, text: &[u8]) -> Option<Sign> {
        for part in text.chunks(MAX_PART_BYTES / 2) {
            if self.0.len() + part.len() > MAX_PART_BYTES {
                let sign = self.search();
                self.0.drain(..self.0.len().saturating_sub(OVERLAP_BYTES));
                if sign.is_some() {
                    return sign;
                }
            }
            self.0.extend_from_slice(part);
        }
        None
    }

    /// The text has ended.
    pub fn finish(&mut self) -> Option<Sign> {
        let sign = self.search();
        self.0.clear();
        sign
    }

    pub fn ends_with(&self, end: &[u8]) -> bool {
        self.0.ends_with(end)
    }

    fn search(&self) -> Option<Sign> {
        let text = unescape(&self.0);
        if text.trim().is_empty() { None } else { phrases::hidden(&text) }
    }

    #[cfg(test)]
    pub fn is_bounded(&self) -> bool {
        self.0.len() <= MAX_PART_BYTES
    }
}

/// Does an attribute that is read aloud or shown on demand instruct an agent? Those of `meta` do not count: they speak to
/// search engines, in sentences of the page.
pub fn attribute_sign(name: &str, key: &str, value: &str) -> Option<Sign> {
    let spoken = ["alt", "title", "aria-label", "aria-description", "placeholder", "summary"].contains(&key);
    let data = key.starts_with("data-") && !value.starts_with(['{', '[']);
    let is_text = name != "meta" && (spoken || data) && value.len() >= MIN_ATTRIBUTE_BYTES && value.contains(' ');
    if is_text { phrases::aside(value) } else { None }
}
