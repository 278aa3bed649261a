//! Scans what follows a request's head: its body, its trailers, or the messages of a WebSocket.

use crate::audit::alarms::AlarmSender;
use crate::egress::held_tail::HeldTail;
use crate::egress::inspect::headers::{append_line, encodings};
use crate::egress::inspect::leaks::orders::for_route;
use crate::egress::inspect::leaks::report::report;
use crate::egress::limits::MAX_RELEASED_BYTES;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::unpacker::{HeldMemory, Unpacker};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::request;
use policy::{Denial, Reason};
use scan::codec::Decoder;
use scan::dlp::{Knowledge, Orders, Scan};
use std::sync::Arc;
use std::task::{Context, Poll};

pub struct BodyScan {
    /// Made with the first bytes, because most requests have no body.
    scan: Option<Box<Scan>>,
    /// For a body whose encoding the scanner can undo.
    decoder: Option<Decoder>,
    knowledge: Knowledge,
    orders: Orders,
    pub alarms: AlarmSender,
    held: HeldMemory,
    tail: HeldTail,
    /// What was scanned last.
    part: &'static str,
}

impl BodyScan {
    pub fn new(alarms: AlarmSender, allowed: &AllowedRequest, head: &request::Parts) -> BodyScan {
        let (knowledge, orders) = (allowed.snapshot.knowledge().clone(), for_route(allowed.rule()));
        // A body in an unknown encoding is scanned as it stands.
        let decoder = Decoder::new(&encodings(&head.headers)).filter(|decoder| !decoder.is_identity());
        let held = HeldMemory::new(allowed.snapshot.unpacker.clone());
        let tail = HeldTail::new(MAX_RELEASED_BYTES);
        BodyScan { scan: None, decoder, knowledge, orders, alarms, held, tail, part: "the body" }
    }

    /// Returns what may leave, of `bytes` and of what was held back before them, once compressed files in it were unpacked.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Bytes, Denial> {
        let mut out = Vec::with_capacity(bytes.len());
        let scan = self.scan.get_or_insert_with(|| {
            let scan = Scan::passing(&self.knowledge, self.orders).deferring();
            Box::new(match self.decoder.take() {
                Some(decoder) => scan.unpacking(decoder),
                None => scan,
            })
        });
        let ended = scan.push(bytes, &mut out);
        report(&self.alarms, scan, ended, "the body")?;
        Ok(self.tail.pass(bytes, out.into()))
    }

    /// Nothing follows at present: ready with what was held back, once that has lasted, if it is too little to be a finding.
    pub fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if self.scan.as_ref().is_some_and(|scan| scan.is_telling()) {
            return Poll::Pending;
        }
        let (knowledge, orders) = (&self.knowledge, self.orders);
        self.tail.poll_release(cx, |tail| {
            let mut scan = Scan::looking(knowledge, orders);
            scan.look(tail).and_then(|()| scan.finish(&mut Vec::new())).is_ok() && !scan.has_notes()
        })
    }

    /// The body is complete: returns what was held back, which may leave as what is pushed may.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        let mut out = Vec::new();
        if let Some(scan) = &mut self.scan {
            let ended = scan.finish(&mut out);
            report(&self.alarms, scan, ended, "the body")?;
        }
        Ok(self.tail.pass(&[], out.into()))
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) -> Result<(), Denial> {
        let mut scan = Scan::looking(&self.knowledge, self.orders).of_field();
        let mut text = Vec::new();
        for (name, value) in trailers {
            text.clear();
            append_line(&mut text, name, value);
            let ended = scan.look(&text);
            report(&self.alarms, &mut scan, ended, "a trailer")?;
        }
        let ended = scan.finish(&mut Vec::new());
        report(&self.alarms, &mut scan, ended, "a trailer")
    }

    /// Scans a part of a WebSocket's messages, of which nothing is held back.
    pub fn watch(&mut self, bytes: &[u8]) -> Result<(), Denial> {
        self.part = "a message";
        let scan = self.scan.get_or_insert_with(|| Box::new(Scan::looking(&self.knowledge, self.orders).deferring()));
        let ended = scan.look_at_message(bytes);
        report(&self.alarms, scan, ended, "a message")
    }

    /// Scans the end of a message. What goes on in the next one is still found.
    pub fn end_message(&mut self) -> Result<(), Denial> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let ended = scan.end_message();
        report(&self.alarms, scan, ended, "a message")
    }

    /// Do compressed files in what was scanned wait?
    pub fn must_unpack(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| scan.must_unpack())
    }

    /// Scans the compressed files that wait. May take a second.
    pub fn unpack(&mut self) -> Result<(), Denial> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let ended = scan.unpack();
        report(&self.alarms, scan, ended, self.part)?;
        if !self.held.set(scan.held_bytes()) {
            let text = format!("{} has compressed files, and others in transfer take all memory for them", self.part);
            return Err(Denial::new(Reason::Dlp, text));
        }
        Ok(())
    }

    pub fn unpacker(&self) -> Arc<Unpacker> {
        self.held.unpacker().clone()
    }
}
