//! What requests and answers carry, looked at on its way: the one seam between what moves bytes and what reads them.

use crate::audit::record::{AlarmSender, AuditRecord};
use crate::egress::AllowedRequest;
use crate::egress::inspect::headers::encodings;
use crate::egress::inspect::leaks::Leaks;
use crate::egress::inspect::model::Model;
use crate::egress::inspect::watch::{UNREADABLE, Watch, refusal};
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, StatusCode};
use policy::{Denial, Inspect, Role};
use scan::answers::Masked;
use scan::codec::{Decoder, PART};
use wire::Done;

/// Looks at one request, from its head to its end. What it gives back may leave at once; never more bytes than it got, and
/// all of them by the end.
#[derive(Default)]
pub struct RequestInspector {
    model: Option<Model>,
    leaks: Option<Box<Leaks>>,
}

impl RequestInspector {
    /// Looks at the head as the agent sent it.
    pub fn new(
        alarms: AlarmSender,
        allowed: &AllowedRequest,
        head: &request::Parts,
    ) -> Result<RequestInspector, Denial> {
        let talks = allowed.rule().role == Some(Role::Claude) && head.method == Method::POST;
        let model = talks.then(|| Model::new(allowed, head)).transpose()?;
        Ok(RequestInspector { model, leaks: Some(Box::new(Leaks::new(alarms, allowed, head))) })
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        let bytes = match &mut self.model {
            Some(model) => model.push(bytes)?,
            None => bytes,
        };
        match &mut self.leaks {
            Some(leaks) => leaks.push(&bytes),
            None => Ok(bytes),
        }
    }

    /// Looks without holding: what a WebSocket carries, frame by frame, on its way to the upstream.
    pub fn watch(&mut self, bytes: &[u8]) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.watch(bytes))
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.trailers(trailers))
    }

    /// The body is whole: what was kept of it.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        let rest = match &mut self.model {
            Some(model) => model.finish()?,
            None => Bytes::new(),
        };
        let Some(leaks) = &mut self.leaks else { return Ok(rest) };
        let rest = if rest.is_empty() { rest } else { leaks.push(&rest)? };
        Ok([rest, leaks.finish()?].concat().into())
    }
}

/// Looks at one answer on its way to the agent. What cannot be read does not pass where it has to be.
#[derive(Default)]
pub struct AnswerFilter {
    decoder: Option<Decoder>,
    mask: Option<Masked>,
    watch: Option<Watch>,
    /// Not looked at yet.
    input: Bytes,
    /// Something was found; it is told once.
    found: bool,
    told: bool,
    /// Instructions were.
    sign: Option<Finding>,
    refused: Option<Denial>,
}

/// What was found in an answer, without it.
pub struct Finding {
    pub text: &'static str,
    pub done: Done,
}

impl AnswerFilter {
    /// Looks at the head, and changes it: what is decoded here has another length. The error is why it does not pass.
    pub fn new(method: &str, allowed: &AllowedRequest, head: &mut response::Parts) -> Result<AnswerFilter, String> {
        let mut filter = AnswerFilter::default();
        let bare = method == "HEAD" || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
        if !bare && head.status != StatusCode::SWITCHING_PROTOCOLS {
            filter.watch = Watch::new(allowed.rule().inspect_responses, &allowed.path, &head.headers)?;
        }
        let Some(needles) = allowed.injection().and_then(|injection| injection.needles.clone()) else {
            return Ok(filter);
        };
        for value in head.headers.values_mut() {
            if let Some(masked) = needles.mask(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&masked).map_err(|_| "a header cannot be written")?;
                filter.found = true;
            }
        }
        if bare {
            return Ok(filter);
        }
        let decoder = Decoder::new(&encodings(&head.headers)).ok_or(UNREADABLE)?;
        if !decoder.is_identity() {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
            filter.decoder = Some(decoder);
            filter.watch.iter_mut().for_each(Watch::plain);
        }
        filter.mask = Some(Masked::new(needles));
        Ok(filter)
    }

    /// Lengths stay as they are.
    pub fn keeps_length(&self) -> bool {
        self.decoder.is_none()
    }

    /// It has nothing, and will have nothing of its own.
    pub fn is_still(&self) -> bool {
        self.mask.is_none() && self.input.is_empty()
    }

    pub fn push(&mut self, bytes: Bytes) {
        self.input = bytes;
    }

    /// What may pass of what was pushed; nothing: it wants more.
    pub fn pull(&mut self) -> Result<Bytes, String> {
        while !self.input.is_empty() {
            let mut part = match &mut self.decoder {
                Some(decoder) => {
                    let part = self.input.split_to(self.input.len().min(8 * PART));
                    let mut plain = Vec::new();
                    decoder.push(&part, &mut plain).map_err(|broken| broken.0)?;
                    Bytes::from(plain)
                }
                None => std::mem::take(&mut self.input),
            };
            self.look(&part)?;
            if let Some(mask) = &mut self.mask {
                part = mask.push(part);
                self.found |= mask.found;
            }
            if !part.is_empty() {
                return Ok(part);
            }
        }
        Ok(Bytes::new())
    }

    /// What was kept.
    pub fn finish(&mut self) -> Result<Bytes, String> {
        let mut rest = Vec::new();
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut rest).map_err(|broken| broken.0)?;
        }
        self.look(&rest)?;
        if let Some(sign) = self.watch.as_mut().and_then(Watch::finish) {
            self.met(sign)?;
        }
        let Some(mask) = &mut self.mask else { return Ok(Bytes::new()) };
        let rest = [mask.push(Bytes::from(rest)), mask.finish()].concat();
        self.found |= mask.found;
        Ok(Bytes::from(rest))
    }

    /// Trailers, too, may say what was sent.
    pub fn trailers(&mut self, trailers: &mut HeaderMap) {
        let Some(needles) = self.mask.as_ref().map(|mask| mask.needles.clone()) else { return };
        for value in trailers.values_mut() {
            if let Some(masked) = needles.mask(value.as_bytes()).and_then(|text| HeaderValue::from_bytes(&text).ok()) {
                *value = masked;
                self.found = true;
            }
        }
    }

    /// To the operator, all that was found since.
    pub fn tell(&mut self, record: &mut AuditRecord) {
        while let Some(finding) = self.finding() {
            record.alarm(finding.text, finding.done);
        }
    }

    /// What is to be told now.
    pub fn finding(&mut self) -> Option<Finding> {
        if let Some(finding) = self.sign.take() {
            return Some(finding);
        }
        let first = self.found && !std::mem::replace(&mut self.told, self.found);
        first.then_some(Finding { text: "the answer held the credential of its route", done: Done::Masked })
    }

    /// Its head had better wait for what it begins with.
    pub fn waits(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.waits && !watch.is_done())
    }

    pub fn refused(&self) -> Option<&Denial> {
        self.refused.as_ref()
    }

    fn look(&mut self, part: &[u8]) -> Result<(), String> {
        let Some(watch) = self.watch.as_mut().filter(|watch| !part.is_empty() && !watch.is_done()) else {
            return Ok(());
        };
        watch.push(part)?.map_or(Ok(()), |sign| self.met(sign))
    }

    fn met(&mut self, sign: &'static str) -> Result<(), String> {
        let blocks = self.watch.as_ref().is_some_and(|watch| watch.inspect == Inspect::Block);
        self.sign = Some(Finding { text: sign, done: if blocks { Done::Blocked } else { Done::Passed } });
        if !blocks {
            return Ok(());
        }
        let denial = refusal(sign);
        let text = denial.text.clone();
        self.refused = Some(denial);
        Err(text)
    }
}
