//! What the audit trail must not show. It outlives the bottle, and a host, a path or a reason may hold a secret that the
//! agent tried to send.

use scan::dlp::{Action, Knowledge, Orders, Scan};

/// Written in place of a text that holds a secret.
pub const WITHHELD: &str = "(withheld)";

/// Does `text` hold a known secret, in any encoding that the scanner reads? A text that cannot be read counts as one.
pub fn holds_secret(knowledge: &Knowledge, text: &str) -> bool {
    let orders = Orders { seen: Action::Block, patterns: Action::Off, stuck: Action::Block };
    let mut scan = Scan::looking(knowledge, orders).of_field();
    !text.is_empty() && scan.look(text.as_bytes()).and_then(|()| scan.finish(&mut Vec::new())).is_err()
}

/// `text`, or [`WITHHELD`] if it holds a known secret.
pub fn redact(knowledge: &Knowledge, text: String) -> String {
    if holds_secret(knowledge, &text) { WITHHELD.to_owned() } else { text }
}
