//! `scan`: tells what the gate would do with a request, without sending it, for `claude-bottle check --body`. Stdin holds a
//! document on the first line, the request's head on the second, and then its body; the answer is one line on stdout.
//!
//! The process holds secrets, and ends with the answer.

use crate::audit::AuditTrail;
use crate::audit::events::Events;
use crate::egress::request::trial;
use crate::egress::{Authority, Egress};
use crate::serve::{self, MAX_DOCUMENT_BYTES};
use crate::stdio::{complain, print};
use std::io::{BufRead, Read};
use std::sync::Arc;
use wire::{Trial, TrialResult};

pub fn run() -> i32 {
    let answer = serve::harden().and_then(|()| answer(&mut std::io::stdin().lock()));
    match answer.map(|tried| serde_json::to_string(&tried)) {
        Ok(Ok(text)) => print(&text),
        Ok(Err(error)) => complain(&error.to_string()),
        Err(why) => complain(&why),
    }
}

fn answer(from: &mut impl BufRead) -> Result<TrialResult, String> {
    let mut document = serve::parse(&read_line(from)?)?;
    let trial: Trial = serde_json::from_slice(&read_line(from)?).map_err(|_| "the request's head is not valid")?;
    let authority = Authority::new()?;
    trial::complete(&mut document, &authority)?;
    let egress = Arc::new(Egress::new(document, authority, AuditTrail::new(Arc::new(Events::without_writer())))?);
    trial::attempt(&egress, &trial, from)
}

fn read_line(from: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let read = from.by_ref().take(MAX_DOCUMENT_BYTES).read_until(b'\n', &mut line);
    read.map_err(|error| format!("cannot read stdin: {error}"))?;
    if line.ends_with(b"\n") { Ok(line) } else { Err("stdin ends within a line, or one is too large".to_owned()) }
}
