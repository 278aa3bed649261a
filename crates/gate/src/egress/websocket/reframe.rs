//! Rebuilds the upstream's frames around filtered payloads. The lengths of a message's frames can change because a filter
//! holds bytes back. A message still streams: each part that its filter lets pass becomes a frame.

use crate::egress::inspect::answer::{AnswerFilter, AnswerFinding, UNMASKED_FINDING};
use crate::egress::websocket::frames::{FINAL, Frames, Part, frame, opcode};
use crate::egress::websocket::message_filters::MessageFilters;
use hyper::body::Bytes;
use scan::dlp::ValueSearch;

pub struct Reframer<'a> {
    filters: &'a MessageFilters,
    /// Inspects the message under way.
    filter: Option<AnswerFilter>,
    /// The opcode of the next frame of the message: text or binary for the first one, then continuation.
    opcode: u8,
    /// Payload of the control frame under way.
    control: Vec<u8>,
    /// Searches what passed of all control frames.
    across_control_frames: Option<ValueSearch>,
    /// Complete frames for the agent.
    pub ready: Vec<u8>,
    /// The first finding, until it is taken.
    pub finding: Option<AnswerFinding>,
}

impl Reframer<'_> {
    pub fn new(filters: &MessageFilters) -> Reframer<'_> {
        Reframer {
            filters,
            filter: None,
            opcode: opcode::CONTINUATION,
            control: Vec::new(),
            across_control_frames: filters.across_control_frames(),
            ready: Vec::new(),
            finding: None,
        }
    }

    /// `bytes`: a part that `frames` has just read. The error says why no more may pass.
    pub async fn push(&mut self, frames: &Frames, part: Part, bytes: &[u8]) -> Result<(), String> {
        match part {
            Part::Head if matches!(frames.opcode(), opcode::TEXT | opcode::BINARY) => self.opcode = frames.opcode(),
            Part::Head => {}
            Part::Control => self.control.extend_from_slice(bytes),
            Part::Message => {
                let filter = match &mut self.filter {
                    Some(filter) => filter,
                    none => none.insert(self.filters.for_message()?),
                };
                filter.push(Bytes::copy_from_slice(bytes));
                let passed = filter.pull_all().await;
                self.finding = self.finding.take().or(filter.take_finding());
                let passed = passed?;
                if !passed.is_empty() {
                    self.ready.extend(frame(std::mem::take(&mut self.opcode), &passed));
                }
            }
        }
        if !frames.is_between() {
            return Ok(());
        }
        if frames.is_control() {
            let payload = std::mem::take(&mut self.control);
            let payload = self.filter_control(payload).await?;
            self.ready.extend(frame(FINAL | frames.opcode(), &payload));
        } else if frames.is_final() {
            let mut rest = Bytes::new();
            if let Some(mut filter) = self.filter.take() {
                filter.end();
                let ended = filter.pull_all().await;
                self.finding = self.finding.take().or(filter.take_finding());
                rest = ended?;
            }
            self.ready.extend(frame(FINAL | std::mem::take(&mut self.opcode), &rest));
        }
        Ok(())
    }

    /// The payload of a whole control frame, as it passes: masked at its length.
    async fn filter_control(&mut self, payload: Vec<u8>) -> Result<Bytes, String> {
        if payload.is_empty() {
            return Ok(Bytes::new());
        }
        let mut filter = self.filters.for_message()?;
        filter.push(Bytes::from(payload));
        filter.end();
        let passed = filter.pull_all().await;
        self.finding = self.finding.take().or(filter.take_finding());
        let passed = passed?;
        if self.across_control_frames.as_mut().is_some_and(|search| search.push(&passed) || search.unpack()) {
            self.finding = self.finding.take().or(Some(UNMASKED_FINDING));
            return Err(UNMASKED_FINDING.text.to_owned());
        }
        Ok(passed)
    }
}
