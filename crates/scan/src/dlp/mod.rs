//! Data loss prevention: what must not leave, found in what does. Pure: bytes in, findings out, in bounded memory; no
//! finding ever holds what was found.
//!
//! What can be overwritten or blocked as it stands is held back while it may still be one (`front`); everything else is
//! looked for in every reading of what then leaves (`layer`).

mod cover;
mod dump;
mod escapes;
mod fold;
mod forms;
mod front;
mod layer;
mod needles;
mod pattern;
mod rows;
mod runs;
mod unpack;
mod values;
mod vault;
mod view;
mod web;

#[cfg(test)]
mod tests;

use super::codec::{Decoder, PART};
pub use front::Front;
use layer::{Found, Hunt, Layer, Seat, What};
pub use pattern::Rules;
pub use policy::worth::Class;
use std::sync::Arc;
use unpack::UnpackBudget;
pub use vault::{Known, Vault};

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Block,
    /// Overwritten at the same length.
    Mask,
    /// It passes, and is told.
    Warn,
    Off,
}

/// What is done on a route. What only the gate has is blocked on every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// About values that the agent was given.
    pub seen: Action,
    pub patterns: Action,
    /// Where it should be overwritten, but cannot: it stands there in another form, or in what has no room for it.
    pub stuck: Action,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A value, by its number in the vault.
    Known(Class, usize),
    Pattern(&'static str),
    /// A part that is not read whole, and so may hold anything: what it is.
    Unreadable(&'static str),
}

/// A finding, without what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: Subject,
    /// How it was written.
    pub how: String,
    /// Never [`Action::Off`].
    pub done: Action,
}

/// Why nothing more may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Found(Finding),
    /// It is not compressed as it says, so nobody can say what is in it.
    Unread(&'static str),
}

/// What is known, for all requests.
#[derive(Clone)]
pub struct Knowledge {
    pub vault: Arc<Vault>,
    pub rules: Arc<Rules>,
}

/// One text on its way out.
pub struct Scan {
    knowledge: Knowledge,
    orders: Orders,
    /// None: nothing is held back.
    front: Option<Front>,
    layer: Layer,
    packed: Option<(Decoder, Layer)>,
    found: Found,
    budget: UnpackBudget,
    /// Those that pass.
    told: Vec<Subject>,
    notes: Vec<Finding>,
}

impl Scan {
    /// A text that is passed on while it is read.
    pub fn passing(knowledge: &Knowledge, orders: Orders) -> Scan {
        Scan::new(knowledge, orders, Some(Front::default()))
    }

    /// A text that is only looked at.
    pub fn looking(knowledge: &Knowledge, orders: Orders) -> Scan {
        Scan::new(knowledge, orders, None)
    }

    fn new(knowledge: &Knowledge, orders: Orders, front: Option<Front>) -> Scan {
        let seat = if front.is_some() { Seat::Outer } else { Seat::Inner };
        let layer = Layer::new(seat, 0, String::new());
        let knowledge = knowledge.clone();
        let (found, budget, told, notes) = (Found::new(), UnpackBudget::default(), Vec::new(), Vec::new());
        Scan { knowledge, orders, front, layer, packed: None, found, budget, told, notes }
    }

    /// The text says that it is compressed.
    pub fn unpacking(mut self, decoder: Decoder) -> Scan {
        self.layer.leave_packed();
        self.packed = Some((decoder, Layer::new(Seat::Inner, 0, "compressed".to_owned())));
        self
    }

    /// What may leave now goes to `into`.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Stop> {
        let from = into.len();
        match &mut self.front {
            Some(front) => {
                let passed = front.push((&self.knowledge, self.orders), bytes, into);
                // What passes is met again where all readings are looked at.
                let passing = front.notes.iter().filter(|note| note.done == Action::Warn);
                self.told.extend(passing.map(|note| note.subject));
                self.notes.append(&mut front.notes);
                passed.map_err(Stop::Found)?;
            }
            None => into.extend_from_slice(bytes),
        }
        let text = into.split_off(from);
        self.read(&text)?;
        into.extend_from_slice(&text);
        let Some((decoder, layer)) = &mut self.packed else { return Ok(()) };
        let rules = (self.orders.patterns != Action::Off).then_some(&*self.knowledge.rules);
        let hunt = &mut Hunt { vault: &self.knowledge.vault, rules, found: &mut self.found, budget: &mut self.budget };
        let mut broken = Ok(());
        for part in bytes.chunks(PART) {
            let mut plain = Vec::new();
            broken = broken.and(decoder.push(part, &mut plain));
            layer.push(hunt, &plain);
        }
        self.judge()?;
        broken.map_err(|broken| Stop::Unread(broken.0))
    }

    /// The text is whole.
    pub fn finish(&mut self, into: &mut Vec<u8>) -> Result<(), Stop> {
        let mut rest = Vec::new();
        if let Some(front) = &mut self.front {
            let passed = front.finish((&self.knowledge, self.orders), &mut rest);
            self.notes.append(&mut front.notes);
            passed.map_err(Stop::Found)?;
        }
        self.read(&rest)?;
        let rules = (self.orders.patterns != Action::Off).then_some(&*self.knowledge.rules);
        let hunt = &mut Hunt { vault: &self.knowledge.vault, rules, found: &mut self.found, budget: &mut self.budget };
        self.layer.finish(hunt);
        let mut whole = Ok(());
        if let Some((decoder, layer)) = &mut self.packed {
            let mut plain = Vec::new();
            whole = decoder.finish(&mut plain);
            layer.push(hunt, &plain);
            layer.finish(hunt);
        }
        self.judge()?;
        whole.map_err(|broken| Stop::Unread(broken.0))?;
        into.append(&mut rest);
        Ok(())
    }

    /// A whole text, at once.
    pub fn look(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.read(text)
    }

    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// What the value of a finding of this scan is called; patterns are no values.
    pub fn name_of(&self, finding: &Finding) -> Option<&str> {
        match finding.subject {
            Subject::Known(_, value) => Some(&self.knowledge.vault.names[value]),
            Subject::Pattern(_) | Subject::Unreadable(_) => None,
        }
    }

    /// What was found and did not stop it, each once.
    pub fn notes(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.notes)
    }

    fn read(&mut self, text: &[u8]) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        self.budget.add_outer(text.len());
        let rules = (self.orders.patterns != Action::Off).then_some(&*self.knowledge.rules);
        let hunt = &mut Hunt { vault: &self.knowledge.vault, rules, found: &mut self.found, budget: &mut self.budget };
        self.layer.push(hunt, text);
        self.judge()
    }

    fn judge(&mut self) -> Result<(), Stop> {
        for (what, how) in std::mem::take(&mut self.found) {
            let subject = match what {
                What::Unit(unit) => self.knowledge.vault.subject(unit),
                What::Pattern(name) => Subject::Pattern(name),
                What::Unreadable(what) => Subject::Unreadable(what),
            };
            let done = match self.orders.about(subject) {
                Action::Mask => self.orders.stuck,
                action => action,
            };
            let finding = Finding { subject, how, done };
            match done {
                Action::Off => {}
                Action::Warn if self.told.contains(&subject) => {}
                Action::Warn => {
                    self.told.push(subject);
                    self.notes.push(finding);
                }
                Action::Block | Action::Mask => return Err(Stop::Found(Finding { done: Action::Block, ..finding })),
            }
        }
        Ok(())
    }
}

impl Orders {
    pub fn about(self, subject: Subject) -> Action {
        match subject {
            Subject::Known(Class::GateOnly, _) => Action::Block,
            Subject::Known(..) => self.seen,
            Subject::Pattern(_) => self.patterns,
            Subject::Unreadable(_) => self.stuck,
        }
    }
}
