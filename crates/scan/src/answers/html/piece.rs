//! A hidden text, as much of it as is looked at together; and what an attribute says aside.

use super::super::{Sign, phrases};
use super::tag::unescape;

/// Bytes of it, and what is looked at again with what follows.
const PIECE: usize = 16 << 10;
const AGAIN: usize = 512;
/// Bytes of an attribute that says something.
const SHORTEST: usize = 16;

#[derive(Default)]
pub struct Piece(Vec<u8>);

impl Piece {
    pub fn gather(&mut self, text: &[u8]) -> Option<Sign> {
        for part in text.chunks(PIECE / 2) {
            if self.0.len() + part.len() > PIECE {
                let sign = self.look();
                self.0.drain(..self.0.len().saturating_sub(AGAIN));
                if sign.is_some() {
                    return sign;
                }
            }
            self.0.extend_from_slice(part);
        }
        None
    }

    /// It is whole.
    pub fn judge(&mut self) -> Option<Sign> {
        let sign = self.look();
        self.0.clear();
        sign
    }

    pub fn ends_with(&self, end: &[u8]) -> bool {
        self.0.ends_with(end)
    }

    fn look(&self) -> Option<Sign> {
        let text = unescape(&self.0);
        if text.trim().is_empty() { None } else { phrases::hidden(&text) }
    }

    #[cfg(test)]
    pub fn is_bounded(&self) -> bool {
        self.0.len() <= PIECE
    }
}

/// `meta` speaks to search engines, in sentences of the page.
pub fn aside(name: &str, key: &str, value: &str) -> Option<Sign> {
    let spoken = ["alt", "title", "aria-label", "aria-description", "placeholder", "summary"].contains(&key);
    let data = key.starts_with("data-") && !value.starts_with(['{', '[']);
    let looked = name != "meta" && (spoken || data) && value.len() >= SHORTEST && value.contains(' ');
    if looked { phrases::aside(value) } else { None }
}
