//! Tells the dashboard's terminal of each proposal that comes while it is open, once, as `CLAUDE_BOTTLE_NOTIFY` says.

use crate::dashboard::{Asked, BottleRow};
use crate::session::notify::TerminalNotice;
use std::collections::HashSet;
use std::rc::Rc;

/// Proposals that are told: an agent can make as many as it likes.
const MAX_TOLD: usize = 1024;

pub struct Notices {
    notice: Option<TerminalNotice>,
    /// Unix time in seconds. What was proposed before is no news.
    began: u64,
    told: HashSet<(String, String)>,
}

impl Notices {
    pub fn of_user(began: u64) -> Notices {
        Notices { notice: TerminalNotice::of_user(), began, told: HashSet::new() }
    }

    /// What the terminal is told of the proposals that came since.
    pub fn text(&mut self, rows: &[Rc<BottleRow>]) -> String {
        let Some(notice) = self.notice else { return String::new() };
        let mut text = String::new();
        for row in rows {
            let is_new = |since: Option<u64>| since.is_some_and(|since| since >= self.began);
            for ask in row.asks.iter().filter(|ask| ask.asked == Asked::Proposed && is_new(ask.since)) {
                let key = (row.identity.clone(), ask.id.clone());
                if self.told.len() < MAX_TOLD && self.told.insert(key) {
                    text.push_str(&notice.text(&row.identity, &ask.change));
                }
            }
        }
        text
    }
}
