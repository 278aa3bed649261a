//! The upstream's frames, made anew, where its messages are filtered: a filter may keep bytes for a moment, and then lengths
//! are others. A message still passes as it comes, in as many parts as its filter gives.

use crate::egress::inspect::body::{AnswerFilter, Finding};
use crate::egress::websocket::frames::{Frames, Part, frame};
use crate::egress::websocket::relay::Reply;
use hyper::body::Bytes;

pub struct Rebuilt<'a> {
    reply: &'a Reply,
    filter: Option<AnswerFilter>,
    /// Of the message: text or bytes, and then only "goes on".
    kind: u8,
    control: Vec<u8>,
    /// Whole frames for the agent.
    pub ready: Vec<u8>,
    /// The first one, until it is told.
    pub finding: Option<Finding>,
}

impl Rebuilt<'_> {
    pub fn new(reply: &Reply) -> Rebuilt<'_> {
        Rebuilt { reply, filter: None, kind: 0, control: Vec::new(), ready: Vec::new(), finding: None }
    }

    pub fn take(&mut self, frames: &Frames, part: Part, bytes: &[u8]) -> Result<(), String> {
        match part {
            Part::Head if matches!(frames.kind(), 1 | 2) => self.kind = frames.kind(),
            Part::Head => {}
            Part::Control => self.control.extend_from_slice(bytes),
            Part::Message => {
                let filter = match &mut self.filter {
                    Some(filter) => filter,
                    none => none.insert(self.reply.filter()?),
                };
                filter.push(Bytes::copy_from_slice(bytes));
                let passed = filter.pull()?;
                self.finding = self.finding.take().or(filter.finding());
                if !passed.is_empty() {
                    self.ready.extend(frame(std::mem::take(&mut self.kind), &passed));
                }
            }
        }
        if !frames.between() {
            return Ok(());
        }
        if frames.is_control() {
            self.ready.extend(frame(0x80 | frames.kind(), &std::mem::take(&mut self.control)));
        } else if frames.is_final() {
            let mut rest = Bytes::new();
            if let Some(mut filter) = self.filter.take() {
                rest = filter.finish()?;
                self.finding = self.finding.take().or(filter.finding());
            }
            self.ready.extend(frame(0x80 | std::mem::take(&mut self.kind), &rest));
        }
        Ok(())
    }
}
