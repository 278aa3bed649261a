//! What the dashboard shows and where its cursor stands; what each key does to that, and asks of the program.
//!
//! The cursor stays on what it is on, by name, however the lists change under it: what a person decides about is what they
//! saw.

use super::Key;
use crate::trail::Totals;
use serde::Serialize;
use std::rc::Rc;
use wire::Change;

/// Rows that a page key moves by.
const PAGE_ROWS: usize = 10;
/// Characters of a reason that can be typed.
const MAX_REASON_CHARS: usize = 200;

/// A bottle of this home.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BottleRow {
    pub identity: String,
    pub agent: Option<String>,
    /// live, detached, kept, lost
    pub state: &'static str,
    /// When its mark last changed, Unix time in seconds.
    pub since: Option<u64>,
    /// Why it is kept.
    pub why: Option<String>,
    pub totals: Totals,
    /// Proposals, the oldest first, then what was refused, the last first.
    pub asks: Vec<Ask>,
}

/// What can be decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ask {
    pub id: String,
    pub change: Change,
    pub asked: Asked,
    /// The agent's words, or those of the refusal: hostile text.
    pub reason: String,
    /// How often it was refused; 0 for a proposal.
    pub count: u64,
    /// When it was proposed, or refused last: UTC, RFC 3339.
    pub time: String,
    /// That time as Unix time in seconds; null where the trail has another form of it.
    pub since: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// The agent asked for it.
    Proposed,
    /// It was refused, and nobody asked.
    Refused,
}

/// Names an [`Ask`] of a bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskKey {
    pub identity: String,
    pub change: Change,
}

/// How long a decision holds that is about to be made, or what else becomes of the ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskAction {
    /// Until the bottle ends.
    Approve,
    /// For one request, or for a minute.
    Once,
    Reject,
}

/// What deciding would do, in lines; made by the program, for the step that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub lines: Vec<String>,
    /// Whether it can be decided so; the lines say why not.
    pub is_possible: bool,
}

/// What a key asks of the program that has the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Quit,
    Suspend,
    Redraw,
    /// Say what this would do: [`Model::show_preview`]. `wider`: so many steps wider than the least change.
    Preview {
        ask: AskKey,
        step: AskAction,
        wider: usize,
    },
    Decide {
        ask: AskKey,
        step: AskAction,
        wider: usize,
        reason: Option<String>,
    },
    /// Approve in the editor.
    Edit(AskKey),
    /// Approve, and write it into the manifest.
    Save(AskKey),
    Attach(String),
    Logs(String),
    Stop(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Focus {
    Bottles,
    #[default]
    Asks,
}

/// What lies over the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Overlay {
    #[default]
    None,
    Help,
    /// One ask, with what deciding would do.
    Detail(Detail),
    /// Words for the agent are being typed.
    Reason {
        ask: AskKey,
        text: String,
    },
    /// Is this bottle to be stopped?
    Stop(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub ask: AskKey,
    pub step: AskAction,
    pub wider: usize,
    /// A key is awaited that makes or breaks the decision.
    pub is_question: bool,
    pub preview: Option<Preview>,
    /// The first line that is shown.
    pub scroll: usize,
}

/// Place of an ask: the index of its bottle, and its own there.
type AskPlace = [usize; 2];

#[derive(Debug, Default)]
pub struct Model {
    bottles: Vec<Rc<BottleRow>>,
    /// Unix time in seconds.
    now: u64,
    /// Every ask that is listed, in the order of the list.
    order: Vec<AskPlace>,
    pub(super) focus: Focus,
    /// The indices of the cursors in their lists.
    pub(super) bottle: usize,
    pub(super) ask: usize,
    /// Only the asks of this bottle are listed.
    pub(super) only: Option<String>,
    pub(super) overlay: Overlay,
    /// What the program said last.
    pub(super) message: Option<String>,
}

impl Model {
    pub fn bottles(&self) -> &[Rc<BottleRow>] {
        &self.bottles
    }

    /// `now`: Unix time in seconds, from which ages are told.
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// Seconds since then.
    pub(super) fn age(&self, since: Option<u64>) -> Option<u64> {
        since.map(|since| self.now.saturating_sub(since))
    }

    /// The asks in the order of the list: proposals, the oldest first, then refusals, the last first.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = (&BottleRow, &Ask)> {
        self.order.iter().map(|place| self.at(*place))
    }

    fn at(&self, [bottle, ask]: AskPlace) -> (&BottleRow, &Ask) {
        let bottle = &self.bottles[bottle];
        (bottle, &bottle.asks[ask])
    }

    pub(super) fn ask_at(&self, index: usize) -> Option<(&BottleRow, &Ask)> {
        self.order.get(index).map(|place| self.at(*place))
    }

    /// Takes what is known now. The cursors stay on what they are on, while it is there.
    pub fn set_bottles(&mut self, bottles: Vec<Rc<BottleRow>>) {
        let (on_bottle, on_ask) = (self.selected_bottle(), self.selected_ask());
        self.bottles = bottles;
        if self.only.as_ref().is_some_and(|only| !self.bottles.iter().any(|bottle| bottle.identity == *only)) {
            self.only = None;
        }
        self.sort_asks();
        let index = self.bottles.iter().position(|bottle| Some(&bottle.identity) == on_bottle.as_ref());
        self.bottle = index.unwrap_or(self.bottle).min(self.bottles.len().saturating_sub(1));
        self.find_ask(on_ask);
        self.forget_what_is_gone();
    }

    fn find_ask(&mut self, wanted: Option<AskKey>) {
        let index = wanted.and_then(|key| {
            self.asks().position(|(bottle, ask)| bottle.identity == key.identity && ask.change == key.change)
        });
        self.ask = index.unwrap_or(self.ask).min(self.order.len().saturating_sub(1));
    }

    fn sort_asks(&mut self) {
        let listed = |bottle: &Rc<BottleRow>| self.only.as_ref().is_none_or(|only| *only == bottle.identity);
        let mut order: Vec<AskPlace> = Vec::new();
        for (index, bottle) in self.bottles.iter().enumerate().filter(|(_, bottle)| listed(bottle)) {
            order.extend((0..bottle.asks.len()).map(|ask| [index, ask]));
        }
        // Times of gates are in one form, which sorts as text.
        order.sort_by(|a, b| {
            let ((_, a), (_, b)) = (self.at(*a), self.at(*b));
            let by_time = if a.asked == Asked::Proposed { a.time.cmp(&b.time) } else { b.time.cmp(&a.time) };
            a.asked.cmp(&b.asked).then(by_time)
        });
        self.order = order;
    }

    /// A question about what is gone, because it was decided elsewhere or its bottle ended, is closed.
    fn forget_what_is_gone(&mut self) {
        let is_there = match &self.overlay {
            Overlay::None | Overlay::Help => true,
            Overlay::Detail(Detail { ask, .. }) | Overlay::Reason { ask, .. } => self.ask(ask).is_some(),
            Overlay::Stop(identity) => self.bottles.iter().any(|bottle| bottle.identity == *identity),
        };
        if !is_there {
            self.overlay = Overlay::None;
            self.message = Some("what was shown is decided elsewhere, or gone".to_owned());
        }
    }

    pub fn ask(&self, key: &AskKey) -> Option<&Ask> {
        let bottle = self.bottles.iter().find(|bottle| bottle.identity == key.identity)?;
        bottle.asks.iter().find(|ask| ask.change == key.change)
    }

    fn selected_bottle(&self) -> Option<String> {
        self.bottles.get(self.bottle).map(|bottle| bottle.identity.clone())
    }

    fn selected_ask(&self) -> Option<AskKey> {
        let (bottle, ask) = self.ask_at(self.ask)?;
        Some(AskKey { identity: bottle.identity.clone(), change: ask.change.clone() })
    }

    /// The bottle that a key for bottles means: that of the ask under the cursor, where the cursor is among the asks.
    fn meant_bottle(&self) -> Option<String> {
        match self.focus {
            Focus::Asks if !self.order.is_empty() => self.ask_at(self.ask).map(|(bottle, _)| bottle.identity.clone()),
            Focus::Bottles | Focus::Asks => self.selected_bottle(),
        }
    }

    /// Says something at the foot of the screen, until the next key.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
    }

    /// Shows what a [`Command::Preview`] asked for, where that is still on the screen.
    pub fn show_preview(&mut self, of: &AskKey, preview: Preview) {
        if let Overlay::Detail(detail) = &mut self.overlay
            && detail.ask == *of
        {
            detail.is_question &= preview.is_possible;
            detail.preview = Some(preview);
        }
    }

    /// What a key does.
    pub fn press(&mut self, key: Key) -> Option<Command> {
        self.message = None;
        match key {
            Key::Ctrl('c') => return Some(Command::Quit),
            Key::Ctrl('z') => return Some(Command::Suspend),
            Key::Ctrl('l') => return Some(Command::Redraw),
            _ => {}
        }
        match std::mem::take(&mut self.overlay) {
            Overlay::None => self.press_in_lists(key),
            Overlay::Help => None,
            Overlay::Detail(detail) => self.press_in_detail(key, detail),
            Overlay::Reason { ask, text } => self.type_reason(key, ask, text),
            Overlay::Stop(identity) => (key == Key::Char('y')).then_some(Command::Stop(identity)),
        }
    }

    fn press_in_lists(&mut self, key: Key) -> Option<Command> {
        if let Some(step) = step_of(key) {
            return match step == AskAction::Reject {
                true => self.begin_reason(),
                false => self.open_detail(step, true),
            };
        }
        match key {
            Key::Char('q') => return Some(Command::Quit),
            Key::Char('?' | 'h') => self.overlay = Overlay::Help,
            Key::Tab => {
                self.focus = if self.focus == Focus::Asks { Focus::Bottles } else { Focus::Asks };
            }
            Key::Enter if self.focus == Focus::Asks => return self.open_detail(AskAction::Approve, false),
            Key::Enter => self.narrow(),
            Key::Escape if self.only.is_some() => self.narrow(),
            Key::Char('w') => return self.open_detail(AskAction::Approve, false),
            Key::Char('e') => return self.selected_ask().map(Command::Edit),
            Key::Char('s') => return self.selected_ask().map(Command::Save),
            Key::Char('A') => return self.meant_bottle().map(Command::Attach),
            Key::Char('l') => return self.meant_bottle().map(Command::Logs),
            Key::Char('S') => self.overlay = self.meant_bottle().map_or(Overlay::None, Overlay::Stop),
            key => self.move_cursor(key),
        }
        None
    }

    /// Lists the asks of the bottle under the cursor alone, or all again.
    fn narrow(&mut self) {
        let on = self.selected_ask();
        self.only = if self.only.is_some() { None } else { self.selected_bottle() };
        self.sort_asks();
        self.find_ask(on);
        self.focus = if self.only.is_some() { Focus::Asks } else { self.focus };
    }

    fn move_cursor(&mut self, key: Key) {
        let (cursor, count) = match self.focus {
            Focus::Bottles => (&mut self.bottle, self.bottles.len()),
            Focus::Asks => (&mut self.ask, self.order.len()),
        };
        *cursor = moved(*cursor, key).min(count.saturating_sub(1));
    }

    fn begin_reason(&mut self) -> Option<Command> {
        let ask = self.selected_ask()?;
        self.overlay = Overlay::Reason { ask, text: String::new() };
        None
    }

    fn open_detail(&mut self, step: AskAction, is_question: bool) -> Option<Command> {
        let ask = self.selected_ask()?;
        self.show_detail(Detail { ask, step, wider: 0, is_question, preview: None, scroll: 0 })
    }

    fn show_detail(&mut self, detail: Detail) -> Option<Command> {
        let Detail { ask, step, wider, .. } = &detail;
        let preview = Command::Preview { ask: ask.clone(), step: *step, wider: *wider };
        self.overlay = Overlay::Detail(detail);
        Some(preview)
    }

    fn press_in_detail(&mut self, key: Key, mut detail: Detail) -> Option<Command> {
        let can_decide = detail.preview.as_ref().is_some_and(|preview| preview.is_possible);
        match (key, step_of(key)) {
            (Key::Escape | Key::Char('q'), _) => return None,
            (Key::Char('n'), _) if detail.is_question => detail.is_question = false,
            (Key::Char('y'), _) if detail.is_question && can_decide => {
                let Detail { ask, step, wider, .. } = detail;
                return Some(Command::Decide { ask, step, wider, reason: None });
            }
            (_, Some(AskAction::Reject)) => {
                self.overlay = Overlay::Reason { ask: detail.ask, text: String::new() };
                return None;
            }
            (_, Some(step)) => {
                return self.show_detail(Detail { step, is_question: true, preview: None, ..detail });
            }
            (Key::Char('w'), _) => {
                let wider = detail.wider + 1;
                return self.show_detail(Detail { wider, is_question: false, preview: None, scroll: 0, ..detail });
            }
            (Key::Char('e'), _) => return Some(Command::Edit(detail.ask)),
            (Key::Char('s'), _) => return Some(Command::Save(detail.ask)),
            (key, _) => {
                let lines = detail.preview.as_ref().map_or(0, |preview| preview.lines.len());
                detail.scroll = moved(detail.scroll, key).min(lines.saturating_sub(1));
            }
        }
        self.overlay = Overlay::Detail(detail);
        None
    }

    fn type_reason(&mut self, key: Key, ask: AskKey, mut text: String) -> Option<Command> {
        match key {
            Key::Escape => return None,
            Key::Enter => {
                let reason = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                return Some(Command::Decide { ask, step: AskAction::Reject, wider: 0, reason });
            }
            Key::Backspace => drop(text.pop()),
            Key::Char(c) if text.chars().count() < MAX_REASON_CHARS => text.push(c),
            _ => {}
        }
        self.overlay = Overlay::Reason { ask, text };
        None
    }
}

fn step_of(key: Key) -> Option<AskAction> {
    match key {
        Key::Char('a') => Some(AskAction::Approve),
        Key::Char('o') => Some(AskAction::Once),
        Key::Char('r') => Some(AskAction::Reject),
        _ => None,
    }
}

/// Where a cursor is after this key, without the list's end.
fn moved(cursor: usize, key: Key) -> usize {
    match key {
        Key::Up | Key::Char('k') => cursor.saturating_sub(1),
        Key::Down | Key::Char('j') => cursor.saturating_add(1),
        Key::PageUp => cursor.saturating_sub(PAGE_ROWS),
        Key::PageDown => cursor.saturating_add(PAGE_ROWS),
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => usize::MAX,
        _ => cursor,
    }
}
