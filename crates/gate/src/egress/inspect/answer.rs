//! Filters one answer on its way to the agent: masks the credential of its route, ends an answer that holds it in a form
//! that cannot be masked, and looks for hidden instructions. An answer that must be read, but cannot be, does not pass.

use crate::audit::record::AuditRecord;
use crate::egress::held_tail::HeldTail;
use crate::egress::inspect::headers::{append_line, encodings, has_no_body};
use crate::egress::inspect::plain_view::PlainView;
use crate::egress::inspect::usage::UsageWatch;
use crate::egress::inspect::watch::{InstructionWatch, UNREADABLE, refusal};
use crate::egress::last_bytes::{BodyProgress, LastBytes};
use crate::egress::limits::{DECODE_BYTES, INSPECT_BYTES, LARGE_OUTPUT_BYTES, MIN_DECODE_BYTES};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::turns::Turns;
use crate::egress::unpacker::{HeldMemory, Unpacking};
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use hyper::http::response;
use hyper::{HeaderMap, StatusCode};
use policy::{Denial, Inspect};
use scan::answers::Masked;
use scan::codec::Decoder;
use scan::dlp::{ValueSearch, Vault};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wire::Done;

/// Why an answer does not pass on, or not as a whole.
const UNMASKED: &str = "the answer held the credential of its route in a form that cannot be masked";

const OUT_OF_MEMORY: &str = "compressed files in transfer take all memory for them";

pub const UNMASKED_FINDING: AnswerFinding = AnswerFinding { text: UNMASKED, done: Done::Blocked };

/// The default passes everything.
#[derive(Default)]
pub struct AnswerFilter {
    /// For an encoded answer that is masked: it goes on decoded.
    decoder: Option<Decoder>,
    mask: Option<Masked>,
    /// What the mask holds back. `None`: nothing is masked.
    tail: Option<HeldTail>,
    /// Searches what is masked for what is left of the credential. `None`: nothing is searched, or it is being unpacked.
    search: Option<ValueSearch>,
    unpacking: Option<Unpacking<(ValueSearch, bool)>>,
    /// What the search's open files hold.
    held: Option<HeldMemory>,
    /// What the decoders' windows take. `None`: nothing is decoded.
    decoding: Option<HeldMemory>,
    /// The credential, for the search of trailers.
    vault: Option<Arc<Vault>>,
    watch: Option<InstructionWatch>,
    usage: Option<UsageWatch>,
    /// Pushed, but not filtered yet.
    input: Bytes,
    /// Bytes that are decoded next.
    decode_bytes: usize,
    turns: Turns,
    /// Filtered, but for compressed files in it.
    filtered: Bytes,
    /// The body is complete, but its end was not filtered yet.
    is_ending: bool,
    /// Filtered: a finding at the end, which is still to be read, denies the answer.
    last: LastBytes,
    /// The credential was found.
    is_credential_found: bool,
    /// The finding of the credential was handed out; that happens once.
    is_credential_reported: bool,
    /// A finding that was not handed out yet, other than a masked credential.
    finding: Option<AnswerFinding>,
    denial: Option<Denial>,
}

/// A finding in an answer, without what was found.
pub struct AnswerFinding {
    pub text: &'static str,
    pub done: Done,
}

/// Why nothing of an answer passes.
pub struct Unpassable {
    pub why: String,
    pub finding: Option<AnswerFinding>,
}

impl<T: Into<String>> From<T> for Unpassable {
    fn from(why: T) -> Unpassable {
        Unpassable { why: why.into(), finding: None }
    }
}

impl AnswerFilter {
    /// `method`: of the request. Masks the headers, and removes those that a decoded body makes wrong. The error says why
    /// the answer does not pass.
    pub fn new(method: &str, allowed: &AllowedRequest, head: &mut response::Parts) -> Result<AnswerFilter, Unpassable> {
        let mut filter = AnswerFilter::default();
        let has_no_body = has_no_body(method, head.status);
        if !has_no_body && head.status != StatusCode::SWITCHING_PROTOCOLS {
            filter.watch = InstructionWatch::new(allowed.rule().inspect_responses, &allowed.path, &head.headers)?;
            filter.usage = UsageWatch::new(method, allowed, &head.headers);
        }
        filter.decoding = Some(HeldMemory::new(allowed.snapshot.unpacker.clone()));
        let Some(injection) = allowed.injection() else { return Ok(filter) };
        let Some(needles) = injection.needles.clone() else { return Ok(filter) };
        for value in head.headers.values_mut() {
            if let Some(masked) = needles.mask(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&masked).map_err(|_| "a header cannot be written")?;
                filter.is_credential_found = true;
            }
        }
        if holds_value(&injection.vault, &head.headers) {
            return Err(Unpassable { why: UNMASKED.to_owned(), finding: Some(UNMASKED_FINDING) });
        }
        if has_no_body {
            return Ok(filter);
        }
        let decoder = Decoder::new(&encodings(&head.headers)).ok_or(UNREADABLE)?;
        if !decoder.is_identity() {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
            filter.decoder = Some(decoder);
            let looks = filter.watch.iter_mut().map(|watch| &mut watch.plain);
            looks.chain(filter.usage.iter_mut().map(|usage| &mut usage.plain)).for_each(PlainView::stop_decoding);
        }
        filter.tail = Some(HeldTail::new(needles.untelling_bytes()));
        filter.mask = Some(Masked::new(needles));
        filter.search = Some(ValueSearch::of_body(injection.vault.clone()));
        filter.held = Some(HeldMemory::new(allowed.snapshot.unpacker.clone()));
        filter.vault = Some(injection.vault.clone());
        Ok(filter)
    }

    /// Is the body that passes as long as the one that is pushed?
    pub fn keeps_length(&self) -> bool {
        self.decoder.is_none()
    }

    /// Does the filter hold nothing back, now or later?
    pub fn is_transparent(&self) -> bool {
        self.mask.is_none() && self.is_drained()
    }

    /// Was all that was pushed pulled, and the end if it came?
    pub fn is_drained(&self) -> bool {
        self.input.is_empty() && self.filtered.is_empty() && self.last.is_empty() && !self.is_ending
    }

    /// What was pushed before must have been pulled to its end.
    pub fn push(&mut self, bytes: Bytes) {
        self.input = bytes;
    }

    /// The body is complete: what was held back is pulled next.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// What may pass of what was pushed. Empty: the filter needs more. The error says why no more passes.
    pub fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, String>> {
        loop {
            ready!(self.turns.poll(cx));
            ready!(self.poll_unpacked(cx))?;
            if !self.filtered.is_empty() {
                return Poll::Ready(Ok(std::mem::take(&mut self.filtered)));
            }
            if !self.input.is_empty() {
                self.filtered = self.filter_next()?;
            } else if std::mem::take(&mut self.is_ending) {
                let rest = self.finish()?;
                self.filtered = self.last.followed_by(rest);
            } else {
                return Poll::Ready(Ok(Bytes::new()));
            }
        }
    }

    /// All that may pass of what was pushed, and of the end if it came.
    pub async fn pull_all(&mut self) -> Result<Bytes, String> {
        let mut all = Bytes::new();
        loop {
            match poll_fn(|cx| self.poll_pull(cx)).await? {
                part if part.is_empty() => return Ok(all),
                part if all.is_empty() => all = part,
                part => all = [all, part].concat().into(),
            }
        }
    }

    /// Ready when the compressed files in what was searched were searched, too.
    fn poll_unpacked(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if let (Some(held), Some(mut search)) = (&self.held, self.search.take_if(|search| search.must_unpack())) {
            self.unpacking = Some(held.unpacker().run(move || {
                let found = search.unpack();
                (search, found)
            }));
        }
        let Some(unpacking) = &mut self.unpacking else { return Poll::Ready(Ok(())) };
        let done = ready!(unpacking.poll(cx));
        self.unpacking = None;
        let Some((search, found)) = done else {
            return Poll::Ready(Err("what is compressed in the answer could not be read".to_owned()));
        };
        let is_held = self.held.as_mut().is_none_or(|held| held.set(search.held_bytes()));
        self.search = Some(search);
        Poll::Ready(match (found, is_held) {
            (true, _) => Err(self.found_unmasked()),
            (_, false) => Err(OUT_OF_MEMORY.to_owned()),
            (false, true) => Ok(()),
        })
    }

    /// Filters the next part of what was pushed, in smaller steps where it is decoded: a few bytes can be megabytes.
    fn filter_next(&mut self) -> Result<Bytes, String> {
        let decodes = self.decoder.is_some()
            || self.watch.as_ref().is_some_and(|watch| watch.plain.decodes())
            || self.usage.as_ref().is_some_and(|usage| usage.plain.decodes());
        let is_inspected =
            self.mask.is_some() || self.usage.is_some() || self.watch.as_ref().is_some_and(|watch| !watch.is_done());
        let length = match (decodes, is_inspected) {
            (true, _) => self.decode_bytes.clamp(MIN_DECODE_BYTES, DECODE_BYTES),
            (false, true) => INSPECT_BYTES,
            (false, false) => usize::MAX,
        };
        let mut part = self.input.split_to(self.input.len().min(length));
        if is_inspected {
            self.turns.inspected(part.len());
        }
        let mut made = 0;
        if let Some(decoder) = &mut self.decoder {
            let mut decoded = Vec::new();
            decoder.push(&part, &mut decoded).map_err(|broken| broken.0)?;
            made = decoded.len();
            part = Bytes::from(decoded);
        }
        self.watch(&part, &mut made)?;
        if let Some(usage) = self.usage.as_mut().filter(|_| !part.is_empty()) {
            let reads_on = usage.push(&part, &mut made);
            self.usage.take_if(|_| !reads_on);
        }
        if decodes && !self.hold_windows() {
            return Err(OUT_OF_MEMORY.to_owned());
        }
        self.decode_bytes = 2 * length.min(DECODE_BYTES);
        if made > LARGE_OUTPUT_BYTES {
            self.decode_bytes = MIN_DECODE_BYTES;
            self.turns.give();
        }
        let Some(mask) = &mut self.mask else { return Ok(part) };
        let masked = mask.push(part.clone());
        self.is_credential_found |= mask.found;
        self.search(&masked)?;
        Ok(self.pass_held(&part, masked))
    }

    /// False: the decoders' windows take more memory than there is. That of the usage is given up first: nothing depends on it.
    fn hold_windows(&mut self) -> bool {
        let Some(decoding) = &mut self.decoding else { return true };
        let needed = self.decoder.as_ref().map_or(0, Decoder::window_bytes)
            + self.watch.as_ref().map_or(0, |watch| watch.plain.window_bytes());
        if !decoding.set(needed) {
            return false;
        }
        if !decoding.set(needed + self.usage.as_ref().map_or(0, |usage| usage.plain.window_bytes())) {
            self.usage = None;
            decoding.set(needed);
        }
        true
    }

    /// What may pass now of the last that was pulled of a frame; what waits is pulled with the end.
    pub fn pass(&mut self, pulled: Bytes, progress: BodyProgress) -> Bytes {
        self.last.pass(pulled, progress)
    }

    /// The body is complete: returns what the filters had held back.
    pub fn finish(&mut self) -> Result<Bytes, String> {
        let mut rest = Vec::new();
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut rest).map_err(|broken| broken.0)?;
        }
        self.watch(&rest, &mut 0)?;
        if let Some(sign) = self.watch.as_mut().and_then(InstructionWatch::finish) {
            self.found_instructions(sign)?;
        }
        if let Some(usage) = &mut self.usage
            && usage.push(&rest, &mut 0)
        {
            usage.finish();
        }
        let Some(mask) = &mut self.mask else { return Ok(Bytes::new()) };
        let rest = Bytes::from(rest);
        let masked = Bytes::from([mask.push(rest.clone()), mask.finish()].concat());
        self.is_credential_found |= mask.found;
        self.search(&masked)?;
        if self.search.as_mut().is_some_and(ValueSearch::finish) {
            return Err(self.found_unmasked());
        }
        Ok(self.pass_held(&rest, masked))
    }

    /// What the mask made of `pushed`, without what was let go before.
    fn pass_held(&mut self, pushed: &[u8], masked: Bytes) -> Bytes {
        match &mut self.tail {
            Some(tail) => tail.pass(pushed, masked),
            None => masked,
        }
    }

    /// Nothing follows at present: ready with what was held back, once that has lasted, if it is too little of a credential.
    pub fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.tail.as_mut().map_or(Poll::Pending, |tail| tail.poll_release(cx, |_| true))
    }

    /// Masks trailers as headers are masked, and removes all where that is not enough.
    pub fn trailers(&mut self, trailers: &mut HeaderMap) {
        let Some(needles) = self.mask.as_ref().map(|mask| mask.needles.clone()) else { return };
        for value in trailers.values_mut() {
            if let Some(masked) = needles.mask(value.as_bytes()).and_then(|text| HeaderValue::from_bytes(&text).ok()) {
                *value = masked;
                self.is_credential_found = true;
            }
        }
        if self.vault.as_ref().is_some_and(|vault| holds_value(vault, trailers)) {
            trailers.clear();
            self.found_unmasked();
        }
    }

    /// Raises an alarm for each finding since the last call, and notes what the answer says it used.
    pub fn report(&mut self, record: &mut AuditRecord) {
        record.audit.tokens = self.usage.as_ref().and_then(UsageWatch::tokens).or(record.audit.tokens);
        while let Some(finding) = self.take_finding() {
            record.alarm(finding.text, finding.done);
        }
    }

    /// The next finding that was not handed out yet.
    pub fn take_finding(&mut self) -> Option<AnswerFinding> {
        if let Some(finding) = self.finding.take() {
            return Some(finding);
        }
        let is_first = self.is_credential_found && !self.is_credential_reported;
        self.is_credential_reported = self.is_credential_found;
        is_first.then_some(AnswerFinding { text: "the answer held the credential of its route", done: Done::Masked })
    }

    /// Should the answer's head wait for the beginning of its body, so that a finding there can still deny the answer?
    pub fn delays_head(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.delays_head && !watch.is_done())
    }

    /// Why the answer was denied, if it was.
    pub fn denial(&self) -> Option<&Denial> {
        self.denial.as_ref()
    }

    /// Searches what is about to pass.
    fn search(&mut self, part: &[u8]) -> Result<(), String> {
        let found = self.search.as_mut().is_some_and(|search| search.push(part));
        if found { Err(self.found_unmasked()) } else { Ok(()) }
    }

    fn found_unmasked(&mut self) -> String {
        self.finding = Some(UNMASKED_FINDING);
        UNMASKED.to_owned()
    }

    fn watch(&mut self, part: &[u8], made: &mut usize) -> Result<(), String> {
        let Some(watch) = self.watch.as_mut().filter(|watch| !part.is_empty() && !watch.is_done()) else {
            return Ok(());
        };
        watch.push(part, made)?.map_or(Ok(()), |sign| self.found_instructions(sign))
    }

    fn found_instructions(&mut self, sign: &'static str) -> Result<(), String> {
        let blocks = self.watch.as_ref().is_some_and(|watch| watch.inspect == Inspect::Block);
        self.finding = Some(AnswerFinding { text: sign, done: if blocks { Done::Blocked } else { Done::Passed } });
        if !blocks {
            return Ok(());
        }
        let denial = refusal(sign);
        let text = denial.text.clone();
        self.denial = Some(denial);
        Err(text)
    }
}

/// Do these fields, their names included, hold a value of the vault?
fn holds_value(vault: &Arc<Vault>, fields: &HeaderMap) -> bool {
    let mut text = Vec::new();
    for (name, value) in fields {
        append_line(&mut text, name, value);
    }
    let mut search = ValueSearch::of_fields(vault.clone());
    search.push(&text) || search.finish() || search.unpack()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::limits::MAX_UNPACKED_HELD_BYTES;
    use crate::egress::unpacker::Unpacker;
    use testing::encodings::zstd_window;

    #[tokio::test]
    async fn an_answer_that_is_decoded_takes_no_more_memory_than_there_is() {
        for (others, passes) in [(0, true), (MAX_UNPACKED_HELD_BYTES, false)] {
            let unpacker = Arc::new(Unpacker::default());
            let mut held_by_others = HeldMemory::new(unpacker.clone());
            assert!(held_by_others.set(others));
            let (decoder, decoding) = (Decoder::new("zstd"), Some(HeldMemory::new(unpacker)));
            let mut filter = AnswerFilter { decoder, decoding, ..AnswerFilter::default() };
            filter.push(Bytes::from(zstd_window()));
            assert_eq!(filter.pull_all().await.is_ok(), passes);
        }
    }
}
