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
    /// Why its trail is not known, or not to its end: the engine does not answer.
    pub trouble: Option<String>,
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

/// How long an approval holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskAction {
    /// Until the bottle ends.
    Approve,
    /// For one request, or for a minute.
    Once,
}

/// What deciding would do, in lines; made by the program, for one [`PreviewKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub lines: Vec<String>,
    /// What `y` is an answer to; `None` where it cannot be decided so, and the lines say why.
    pub question: Option<String>,
}

/// What a preview is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewKey {
    pub ask: AskKey,
    pub step: AskAction,
    /// So many steps wider than the least change.
    pub wider: usize,
}

/// What a key asks of the program that has the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Quit,
    Suspend,
    Redraw,
    /// Say what this would do: [`Model::show_preview`].
    Preview(PreviewKey),
    /// Do what its preview shows.
    Approve(PreviewKey),
    Reject {
        ask: AskKey,
        reason: Option<String>,
    },
    /// Approve in the editor.
    Edit(AskKey),
    /// Approve, and write it into the manifest.
    Save(AskKey),
    Attach(String),
    Detach(String),
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
    pub of: PreviewKey,
    /// A key is awaited that makes or breaks the decision.
    pub is_question: bool,
    pub preview: Option<Preview>,
    /// The first row that is shown.
    pub scroll: usize,
    pub seen: Seen,
}

/// How much of a detail a screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailWindow {
    /// Columns of the screen, for which the rows were wrapped.
    pub columns: usize,
    /// All rows of the detail.
    pub rows: usize,
    /// So many of the first are this program's; the rest are the agent's words.
    pub ours: usize,
    /// Rows that are on the screen at once.
    pub window: usize,
}

/// Which rows of a detail were on the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The columns for which the rows were made.
    columns: usize,
    /// Rows from the first on, without a gap.
    rows: usize,
    /// Everything but the agent's words.
    pub is_whole: bool,
    /// Rows that a page key moves by, and the last row that can be the first.
    page: usize,
    last_scroll: usize,
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
    /// What is being decided about.
    deciding: Vec<AskKey>,
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
            Overlay::Detail(Detail { of: PreviewKey { ask, .. }, .. }) | Overlay::Reason { ask, .. } => {
                self.ask(ask).is_some()
            }
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

    /// The bottle under the cursor, where the cursor is among the bottles.
    pub(super) fn focused_bottle(&self) -> Option<&BottleRow> {
        self.bottles.get(self.bottle).filter(|_| self.focus == Focus::Bottles).map(|bottle| &**bottle)
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

    /// Is the foot of the screen taken by a question?
    fn hides_message(&self) -> bool {
        matches!(self.overlay, Overlay::Reason { .. } | Overlay::Stop(_)) || self.is_asking()
    }

    /// Says something at the foot of the screen, until the next key that finds it there.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
    }

    /// Shows what a [`Command::Preview`] asked for. False where that is not on the screen any more.
    pub fn show_preview(&mut self, of: &PreviewKey, preview: Preview) -> bool {
        match &mut self.overlay {
            Overlay::Detail(detail) if detail.of == *of => {
                detail.is_question &= preview.question.is_some();
                (detail.preview, detail.seen) = (Some(preview), Seen::default());
                true
            }
            _ => false,
        }
    }

    /// A decision is over, however it ended.
    pub fn end_decision(&mut self, about: &AskKey) {
        self.deciding.retain(|ask| ask != about);
    }

    /// How many decisions are not over.
    pub fn open_decisions(&self) -> usize {
        self.deciding.len()
    }

    /// Is an answer awaited that something is done by?
    pub fn is_asking(&self) -> bool {
        matches!(&self.overlay, Overlay::Detail(Detail { is_question: true, .. }) | Overlay::Stop(_))
    }

    /// Takes note of what is on the screen now: nothing is approved before all of it was to be seen.
    pub fn mark_shown(&mut self, DetailWindow { columns, rows, ours, window }: DetailWindow) {
        let Overlay::Detail(detail) = &mut self.overlay else { return };
        let last_scroll = rows.saturating_sub(window);
        detail.scroll = detail.scroll.min(last_scroll);
        let before = if detail.seen.columns == columns { detail.seen.rows } else { 0 };
        // Rows that were jumped over were not seen.
        let seen = if detail.scroll <= before { before.max(detail.scroll + window) } else { before };
        let is_whole = detail.preview.is_some() && seen >= ours;
        let page = window.saturating_sub(1).max(1);
        detail.seen = Seen { columns, rows: seen, is_whole, page, last_scroll };
    }

    /// What a key does.
    pub fn press(&mut self, key: Key) -> Option<Command> {
        if !self.hides_message() {
            self.message = None;
        }
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
            return self.open_detail(step, true);
        }
        match key {
            Key::Char('r') => self.begin_reason(),
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
            Key::Char('d') => return self.meant_bottle().map(Command::Detach),
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
        *cursor = moved(*cursor, key, PAGE_ROWS).min(count.saturating_sub(1));
    }

    fn begin_reason(&mut self) {
        if let Some(ask) = self.selected_ask() {
            self.overlay = Overlay::Reason { ask, text: String::new() };
        }
    }

    fn open_detail(&mut self, step: AskAction, is_question: bool) -> Option<Command> {
        let ask = self.selected_ask()?;
        self.show_detail(PreviewKey { ask, step, wider: 0 }, is_question)
    }

    fn show_detail(&mut self, of: PreviewKey, is_question: bool) -> Option<Command> {
        let preview = Command::Preview(of.clone());
        let (scroll, seen) = (0, Seen::default());
        self.overlay = Overlay::Detail(Detail { of, is_question, preview: None, scroll, seen });
        Some(preview)
    }

    fn press_in_detail(&mut self, key: Key, mut detail: Detail) -> Option<Command> {
        match (key, step_of(key)) {
            (Key::Escape | Key::Char('q'), _) => return None,
            (Key::Char('n'), _) if detail.is_question => detail.is_question = false,
            (Key::Char('y'), _) if detail.is_question && detail.seen.is_whole => {
                return self.begin_decision(detail.of.ask.clone(), Command::Approve(detail.of));
            }
            (Key::Char('r'), _) => {
                self.overlay = Overlay::Reason { ask: detail.of.ask, text: String::new() };
                return None;
            }
            (_, Some(step)) => return self.show_detail(PreviewKey { step, ..detail.of }, true),
            (Key::Char('w'), _) => {
                let wider = detail.of.wider + 1;
                return self.show_detail(PreviewKey { wider, ..detail.of }, false);
            }
            (Key::Char('e'), _) => return Some(Command::Edit(detail.of.ask)),
            (Key::Char('s'), _) => return Some(Command::Save(detail.of.ask)),
            (key, _) => {
                let Seen { page, last_scroll, .. } = detail.seen;
                detail.scroll = moved(detail.scroll, key, page).min(last_scroll);
            }
        }
        self.overlay = Overlay::Detail(detail);
        None
    }

    /// Gives the command, but while the same ask is being decided about.
    fn begin_decision(&mut self, ask: AskKey, command: Command) -> Option<Command> {
        if self.deciding.contains(&ask) {
            self.say("it is being decided already");
            return None;
        }
        self.deciding.push(ask);
        Some(command)
    }

    fn type_reason(&mut self, key: Key, ask: AskKey, mut text: String) -> Option<Command> {
        match key {
            Key::Escape => return None,
            Key::Enter => {
                let reason = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                return self.begin_decision(ask.clone(), Command::Reject { ask, reason });
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
        _ => None,
    }
}

/// Where a cursor is after this key, without the list's end.
fn moved(cursor: usize, key: Key, page: usize) -> usize {
    match key {
        Key::Up | Key::Char('k') => cursor.saturating_sub(1),
        Key::Down | Key::Char('j') => cursor.saturating_add(1),
        Key::PageUp => cursor.saturating_sub(page),
        Key::PageDown => cursor.saturating_add(page),
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => usize::MAX,
        _ => cursor,
    }
}
