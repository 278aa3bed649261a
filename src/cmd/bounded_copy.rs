//! A copy into or out of a bottle that nobody has said the size of: it asks when it is large, and always ends.

use crate::exit::UserError;
use crate::render;
use crate::say;
use crate::state::budget::{MAX_COPY_BYTES, MAX_UNASKED_COPY_BYTES};
use anyhow::{Context as _, Result};
use std::io::{ErrorKind, Read, Write};
use sys::signals;
use sys::tty::{Answer, Tty};

/// Bytes that are copied at once.
const PIECE_BYTES: usize = 64 << 10;

/// Consent to the size of one copy.
pub struct SizeConsent {
    /// What is copied, in a question and an error.
    what: String,
    /// Nothing is asked below this size.
    next_question: u64,
    /// `--yes` answers every question.
    is_given: bool,
}

impl SizeConsent {
    pub fn new(what: String, is_given: bool) -> SizeConsent {
        SizeConsent { what, next_question: MAX_UNASKED_COPY_BYTES, is_given }
    }

    /// Asks, if so much was not consented to yet.
    ///
    /// # Errors
    /// `UserError` for a "no", without a terminal to ask on, and for more than is ever copied.
    pub fn require(&mut self, bytes: u64) -> Result<(), UserError> {
        if bytes > MAX_COPY_BYTES {
            return Err(UserError::new(format!("{} is larger than {}", self.what, render::size(MAX_COPY_BYTES)))
                .hint("split it; an endless or sparse file counts as long as it reads"));
        }
        if bytes <= self.next_question {
            return Ok(());
        }
        // A size that is known from the start is one question, for the last doubling that it passes.
        while bytes > self.next_question.saturating_mul(2) {
            self.next_question *= 2;
        }
        if !self.is_given {
            self.ask()?;
        }
        self.next_question = self.next_question.saturating_mul(2);
        Ok(())
    }

    fn ask(&self) -> Result<(), UserError> {
        let larger = format!("{} is larger than {}", self.what, render::size(self.next_question));
        let Some(mut tty) = Tty::open() else {
            return Err(UserError::new(format!("{larger}, and there is no terminal to ask on"))
                .hint("add `--yes` to copy it without the question"));
        };
        say::no_progress();
        let signals = signals::catch().map_err(|error| UserError::new(format!("cannot ask: {error}")))?;
        match tty.ask(&format!("{larger}. Go on? [y/N] "), &signals) {
            Answer::Signal(number) => signals::exit_now(number),
            answer if answer.is_yes() => Ok(()),
            _ => Err(UserError::new(format!("{larger}, and was not copied"))),
        }
    }

    /// Copies to the end of `from`. Returns the bytes that were copied.
    ///
    /// # Errors
    /// As for [`SizeConsent::require`], and those of both ends.
    pub fn copy(&mut self, mut from: impl Read, mut to: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<u64> {
        let (mut piece, mut copied) = (vec![0; PIECE_BYTES], 0);
        loop {
            let count = match from.read(&mut piece) {
                Ok(0) => return Ok(copied),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.what)),
            };
            copied += count as u64;
            self.require(copied)?;
            to(&piece[..count])?;
        }
    }
}

/// Writes all of a piece; for [`SizeConsent::copy`].
pub fn into(mut to: impl Write) -> impl FnMut(&[u8]) -> std::io::Result<()> {
    move |piece| to.write_all(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_endless_file_ends_at_the_bound_even_with_consent() {
        let mut consent = SizeConsent::new("`f`".to_owned(), true);
        consent.require(MAX_COPY_BYTES).unwrap();
        let error = consent.require(MAX_COPY_BYTES + 1).unwrap_err();
        assert_eq!(error.to_string(), "`f` is larger than 64.0 GiB");
        // From a reader without an end, as from a sparse file: the count is of what was read.
        consent.next_question = 1;
        consent.is_given = false;
        let mut written = 0;
        let copied = consent.copy(io::repeat(0), |piece| {
            written += piece.len();
            Ok(())
        });
        assert!(copied.is_err() && written == 0);
    }

    #[test]
    fn what_is_small_is_copied_unasked() {
        let bytes = vec![7; 3 * PIECE_BYTES + 1];
        let mut copy = Vec::new();
        let mut consent = SizeConsent::new("`f`".to_owned(), false);
        assert_eq!(consent.copy(&bytes[..], into(&mut copy)).unwrap(), bytes.len() as u64);
        assert_eq!(copy, bytes);
    }
}
