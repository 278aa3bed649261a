//! A reading of a text that is a text again, and what it is read by.

use super::dump::Dump;
use super::escapes::Escapes;
use super::layer::Layer;
use super::runs::Hex;

/// A reading that is a text again.
pub struct View {
    pub how: &'static str,
    pub decoder: Decode,
    /// What came while nothing called for it, and how much more is wanted of it.
    pub quiet: Vec<u8>,
    pub awake: usize,
    pub inner: Option<Box<Layer>>,
}

pub enum Decode {
    Escapes(Escapes),
    /// Decoded for all such views at once.
    Base64,
    Hex(Hex),
    Dump(Dump),
}

impl View {
    pub fn new(how: &'static str, decoder: Decode) -> View {
        View { how, decoder, quiet: Vec::new(), awake: 0, inner: None }
    }
}

impl Decode {
    /// True: something in it calls for being read.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> bool {
        match self {
            Decode::Escapes(escapes) => return escapes.push(bytes, into),
            Decode::Base64 => {}
            Decode::Hex(hex) => hex.push(bytes, into),
            Decode::Dump(dump) => dump.push(bytes, into),
        }
        !into.is_empty()
    }
}
