//! Data loss prevention: what must not leave, found in what does. Pure: bytes in, findings out, in bounded memory; no
//! finding ever holds what was found.
//!
//! What can be overwritten or blocked as it stands is held back while it may still become a finding (`hold_back`);
//! everything that then leaves is searched in every way it may be meant (`text_scanner`).

mod base32_runs;
mod byte_runs;
mod dump;
mod encoded_lines;
mod encoded_runs;
mod fold;
mod forms;
mod gram_filter;
mod hold_back;
mod needles;
mod number_runs;
mod pattern;
mod piece_coverage;
mod place;
mod text_scanner;
mod unescape;
mod unpack;
mod value_search;
mod value_text;
mod vault;
mod view;

#[cfg(test)]
mod tests;

use super::codec::{Broken, Decoder, PART, TOO_MUCH};
use hold_back::HoldBack;
pub use pattern::Rules;
pub use place::FindingPlace;
use place::Locator;
pub use policy::matchable::SecretClass;
use std::sync::Arc;
use text_scanner::{Matches, ScanContext, Target, TextOrigin, TextScanner, Written};
use unpack::{COMPRESSED, UnpackBudget};
pub use value_search::ValueSearch;
pub use vault::{Known, Vault};

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Block,
    /// Overwrite it at the same length.
    Mask,
    /// Let it pass, and tell the operator.
    Warn,
    Off,
}

/// What is done on a route. A value that only the gate has is blocked on every route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// About values that the agent was given, and the planted one.
    pub seen: Action,
    pub patterns: Action,
    /// About a finding that should be overwritten, but cannot: it stands in a form that has no room for it; and about a part
    /// that cannot be read whole.
    pub stuck: Action,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A value, by its number in the vault.
    Known(SecretClass, usize),
    Pattern(&'static str),
    /// A pattern that honest texts have, too: it never stops one.
    Hint(&'static str),
    /// A part that is not read whole, and so may hold anything: what it is.
    Unreadable(&'static str),
}

/// A finding, without what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: Subject,
    /// How it was written: its encodings, the innermost first.
    pub how: String,
    /// Never [`Action::Off`].
    pub done: Action,
    pub place: FindingPlace,
}

/// Why nothing more may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Found(Finding),
    /// The body is not compressed as it says, so what is in it is not known: the reason, for the agent.
    Unread(&'static str),
}

/// What is looked for, shared by all requests.
#[derive(Clone)]
pub struct Knowledge {
    pub vault: Arc<Vault>,
    pub rules: Arc<Rules>,
}

impl Knowledge {
    fn context<'a>(
        &'a self,
        orders: Orders,
        matches: &'a mut Matches,
        budget: &'a mut UnpackBudget,
    ) -> ScanContext<'a> {
        let rules = (orders.patterns != Action::Off).then_some(&*self.rules);
        ScanContext { vault: &self.vault, rules, matches, budget, at: None, file: None }
    }
}

/// The scan of one text on its way out.
pub struct Scan {
    knowledge: Knowledge,
    orders: Orders,
    /// `None`: nothing is held back, and nothing overwritten.
    hold_back: Option<HoldBack>,
    scanner: TextScanner,
    /// Bytes that the scanner has read.
    scanned: u64,
    locator: Locator,
    /// The message under way, scanned by itself as well, for what only its end makes a finding.
    message: Option<Box<Scan>>,
    /// For a body that says that it is compressed.
    compressed: Option<CompressedBody>,
    /// Compressed files wait for [`Scan::unpack`].
    is_deferring: bool,
    is_ended: bool,
    matches: Matches,
    budget: UnpackBudget,
    /// Subjects that were found, pass, and are in `notes` once.
    noted: Vec<Subject>,
    notes: Vec<Finding>,
}

/// A body that says that it is compressed.
struct CompressedBody {
    decoder: Decoder,
    /// For what the decoder makes.
    scanner: TextScanner,
    /// What waits to be decoded.
    input: Vec<u8>,
    /// The body is whole, and its end waits, too.
    is_ended: bool,
}

impl Scan {
    /// Scans a text that is passed on while it is read.
    pub fn passing(knowledge: &Knowledge, orders: Orders) -> Scan {
        Scan::new(knowledge, orders, Some(HoldBack::default()))
    }

    /// Scans a text that is only looked at.
    pub fn looking(knowledge: &Knowledge, orders: Orders) -> Scan {
        Scan::new(knowledge, orders, None)
    }

    /// The text is a field or an address: less is unpacked.
    pub fn of_field(mut self) -> Scan {
        self.budget = UnpackBudget::of_field();
        self
    }

    /// Compressed files in the text wait for [`Scan::unpack`]: what comes back of the text may leave only then.
    pub fn deferring(mut self) -> Scan {
        self.is_deferring = true;
        self
    }

    fn new(knowledge: &Knowledge, orders: Orders, hold_back: Option<HoldBack>) -> Scan {
        let origin = if hold_back.is_some() { TextOrigin::HeldBack } else { TextOrigin::Inner };
        Scan {
            knowledge: knowledge.clone(),
            orders,
            hold_back,
            scanner: TextScanner::new(origin, 0, String::new()),
            scanned: 0,
            locator: Locator::default(),
            message: None,
            compressed: None,
            is_deferring: false,
            is_ended: false,
            matches: Matches::new(),
            budget: UnpackBudget::default(),
            noted: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The text says that it is compressed: what `decoder` makes of it is scanned as well.
    pub fn unpacking(mut self, decoder: Decoder) -> Scan {
        self.scanner.skip_embedded_files();
        let scanner = TextScanner::new(TextOrigin::Inner, 0, COMPRESSED.to_owned());
        self.compressed = Some(CompressedBody { decoder, scanner, input: Vec::new(), is_ended: false });
        self
    }

    /// Scans more of the text. What may leave now is appended to `into`.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Stop> {
        let ended = self.push_part(bytes, into);
        self.locate(ended, bytes)
    }

    fn push_part(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Stop> {
        let from = into.len();
        match &mut self.hold_back {
            Some(hold_back) => {
                let passed = hold_back.push(&self.knowledge, self.orders, bytes, into);
                // What passes is met again by the scanner: it is not noted twice.
                let passing = hold_back.notes.iter().filter(|note| note.done == Action::Warn);
                self.noted.extend(passing.map(|note| note.subject));
                self.notes.append(&mut hold_back.notes);
                passed.map_err(Stop::Found)?;
            }
            None => into.extend_from_slice(bytes),
        }
        let text = into.split_off(from);
        if let Some(compressed) = &mut self.compressed {
            compressed.input.extend_from_slice(bytes);
        }
        self.look_at_part(&text)?;
        into.extend_from_slice(&text);
        self.unpack_now()
    }

    /// Names the places of what was found in the part of the text that was read last.
    fn locate(&mut self, ended: Result<(), Stop>, part: &[u8]) -> Result<(), Stop> {
        let ended = ended.map_err(|mut stop| {
            if let Stop::Found(finding) = &mut stop {
                self.locator.locate(&mut finding.place, part);
            }
            stop
        });
        self.locator.pass(part);
        ended
    }

    /// Does what is held back tell too much to leave before its end is known?
    pub fn is_telling(&self) -> bool {
        self.hold_back.as_ref().is_some_and(|held| held.is_telling(&self.knowledge))
    }

    /// The text has ended: what was held back is decided. What of it may leave is appended to `into`.
    pub fn finish(&mut self, into: &mut Vec<u8>) -> Result<(), Stop> {
        let ended = self.finish_text(into);
        self.locate(ended, &[])
    }

    fn finish_text(&mut self, into: &mut Vec<u8>) -> Result<(), Stop> {
        let mut rest = Vec::new();
        if let Some(hold_back) = &mut self.hold_back {
            let passed = hold_back.finish(&self.knowledge, self.orders, &mut rest);
            self.notes.append(&mut hold_back.notes);
            passed.map_err(Stop::Found)?;
        }
        self.look_at_part(&rest)?;
        let context = &mut self.knowledge.context(self.orders, &mut self.matches, &mut self.budget);
        context.at = Some(self.scanned);
        self.scanner.finish(context);
        self.is_ended = true;
        if let Some(compressed) = &mut self.compressed {
            compressed.is_ended = true;
        }
        self.judge()?;
        self.unpack_now()?;
        into.append(&mut rest);
        Ok(())
    }

    /// Scans more of a text of which nothing is held back.
    pub fn look(&mut self, text: &[u8]) -> Result<(), Stop> {
        let ended = self.look_at_part(text);
        self.locate(ended, text)
    }

    fn look_at_part(&mut self, text: &[u8]) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        self.budget.add_outer(text.len());
        let context = &mut self.knowledge.context(self.orders, &mut self.matches, &mut self.budget);
        context.at = Some(self.scanned);
        self.scanned += text.len() as u64;
        self.scanner.push(context, text);
        self.judge()?;
        self.unpack_now()
    }

    /// Does a compressed file, or a part of a compressed body, wait?
    pub fn must_unpack(&self) -> bool {
        self.budget.waiting > 0
            || self.compressed.as_ref().is_some_and(CompressedBody::is_waiting)
            || self.message.as_ref().is_some_and(|message| message.must_unpack())
    }

    /// Unpacks what waits. May take a second: not for a thread that serves others.
    pub fn unpack(&mut self) -> Result<(), Stop> {
        let context = &mut self.knowledge.context(self.orders, &mut self.matches, &mut self.budget);
        let decoded = self.compressed.as_mut().map_or(Ok(()), |compressed| compressed.run(context));
        self.scanner.unpack(context);
        self.judge()?;
        decoded.map_err(|broken| Stop::Unread(broken.0))?;
        match self.message.take() {
            Some(message) => self.in_message(message, Scan::unpack),
            None => Ok(()),
        }
    }

    /// Memory that the open files hold, and the body's own decoder.
    pub fn held_bytes(&self) -> usize {
        let of_body = self.compressed.as_ref().map_or(0, |compressed| compressed.decoder.window_bytes());
        self.budget.held_bytes() + of_body + self.message.as_ref().map_or(0, |message| message.held_bytes())
    }

    fn unpack_now(&mut self) -> Result<(), Stop> {
        if self.is_deferring || !self.must_unpack() { Ok(()) } else { self.unpack() }
    }

    /// Scans more of a message, one of several that are only looked at: what stands in pieces in many of them is found, too.
    pub fn look_at_message(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.look(text)?;
        let message = self.message.take().filter(|message| !message.is_ended);
        let message = message.unwrap_or_else(|| {
            let scan = Scan::looking(&self.knowledge, self.orders);
            Box::new(if self.is_deferring { scan.deferring() } else { scan })
        });
        self.in_message(message, |message| message.look(text))
    }

    /// The message has ended.
    pub fn end_message(&mut self) -> Result<(), Stop> {
        let Some(message) = self.message.take() else { return Ok(()) };
        self.in_message(message, |message| message.finish(&mut Vec::new()))
    }

    /// Notes of the message are notes of the whole text, each subject once.
    fn in_message(
        &mut self,
        mut message: Box<Scan>,
        scan: impl FnOnce(&mut Scan) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        message.noted = std::mem::take(&mut self.noted);
        let ended = scan(&mut message);
        self.noted = std::mem::take(&mut message.noted);
        self.notes.append(&mut message.notes);
        self.message = (!message.is_ended || message.must_unpack()).then_some(message);
        ended
    }

    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// What the value of a finding of this scan is called; only values have names.
    pub fn name_of(&self, finding: &Finding) -> Option<&str> {
        match finding.subject {
            Subject::Known(_, value) => Some(&self.knowledge.vault.names[value]),
            Subject::Pattern(_) | Subject::Hint(_) | Subject::Unreadable(_) => None,
        }
    }

    /// Takes what was found since the last call and did not stop the text, each subject once.
    pub fn notes(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.notes)
    }

    /// Decides about what the scanners have found.
    fn judge(&mut self) -> Result<(), Stop> {
        for (target, Written { how, place }) in std::mem::take(&mut self.matches) {
            let subject = match target {
                Target::Unit(unit) => self.knowledge.vault.subject(unit),
                Target::Pattern(name) => Subject::Pattern(name),
                Target::Hint(name) => Subject::Hint(name),
                Target::Unreadable(what) => Subject::Unreadable(what),
            };
            let done = match self.orders.about(subject) {
                Action::Mask => self.orders.when_stuck(subject),
                action => action,
            };
            let finding = Finding { subject, how, done, place };
            match done {
                Action::Off => {}
                Action::Warn if self.noted.contains(&subject) => {}
                Action::Warn => {
                    self.noted.push(subject);
                    self.notes.push(finding);
                }
                Action::Block | Action::Mask => return Err(Stop::Found(Finding { done: Action::Block, ..finding })),
            }
        }
        Ok(())
    }
}

impl CompressedBody {
    fn is_waiting(&self) -> bool {
        !self.input.is_empty() || self.is_ended
    }

    fn run(&mut self, context: &mut ScanContext) -> Result<(), Broken> {
        for part in std::mem::take(&mut self.input).chunks(PART) {
            let mut plain = Vec::new();
            let decoded = self.decoder.push(part, &mut plain);
            self.scan(context, &plain);
            decoded?;
            if context.budget.is_overdrawn() {
                return Err(TOO_MUCH);
            }
        }
        if !std::mem::take(&mut self.is_ended) {
            return Ok(());
        }
        let mut plain = Vec::new();
        let decoded = self.decoder.finish(&mut plain);
        self.scan(context, &plain);
        self.scanner.finish(context);
        self.scanner.unpack(context);
        decoded
    }

    fn scan(&mut self, context: &mut ScanContext, plain: &[u8]) {
        context.budget.read(plain.len());
        self.scanner.push(context, plain);
        self.scanner.unpack(context);
    }
}

impl Orders {
    pub fn about(self, subject: Subject) -> Action {
        match subject {
            Subject::Known(SecretClass::GateOnly, _) => Action::Block,
            Subject::Known(..) => self.seen,
            Subject::Pattern(_) => self.patterns,
            Subject::Hint(_) if self.patterns == Action::Block => Action::Warn,
            Subject::Hint(_) => self.patterns,
            Subject::Unreadable(_) => self.stuck,
        }
    }

    /// What is done where this should be overwritten, but cannot.
    fn when_stuck(self, subject: Subject) -> Action {
        match subject {
            Subject::Hint(_) => Action::Warn,
            _ => self.stuck,
        }
    }
}
