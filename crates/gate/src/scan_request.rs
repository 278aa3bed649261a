//! `scan`: what would be done with a request that nobody sends, for `claude-bottle check --body`. On stdin a document, a
//! head, each on a line, and the body; on stdout one line.
//!
//! The process holds secrets, and ends with the answer.

use crate::egress::request::trial;
use crate::egress::{Authority, Egress};
use crate::events::{Events, complain, say};
use crate::serve::{self, LARGEST};
use std::io::{BufRead, Read};
use std::sync::Arc;
use wire::{Trial, TrialResult};

pub fn run() -> i32 {
    let answer = serve::harden().and_then(|()| answer(&mut std::io::stdin().lock()));
    match answer.map(|tried| serde_json::to_string(&tried)) {
        Ok(Ok(text)) => say(&text),
        Ok(Err(error)) => complain(&error.to_string()),
        Err(why) => complain(&why),
    }
}

fn answer(from: &mut impl BufRead) -> Result<TrialResult, String> {
    let mut document = serve::parse(&line(from)?)?;
    let trial: Trial = serde_json::from_slice(&line(from)?).map_err(|_| "the request's head is not valid")?;
    let authority = Authority::new()?;
    trial::complete(&mut document, &authority)?;
    let egress = Arc::new(Egress::new(document, authority, Arc::new(Events::unheard()))?);
    trial::attempt(&egress, &trial, from)
}

fn line(from: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let read = from.by_ref().take(LARGEST).read_until(b'\n', &mut line);
    read.map_err(|error| format!("cannot read stdin: {error}"))?;
    if line.ends_with(b"\n") { Ok(line) } else { Err("stdin ends within a line, or one is too large".to_owned()) }
}
