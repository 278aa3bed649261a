//! Plans as text. Pure: a plan in, a string out; no rendering shows what a plan does not hold.

mod changes;
mod sh;
mod text;
mod work;

pub use changes::changes;
pub use sh::sh;
pub use text::{age, size, text};
pub use work::work;

use crate::plan::Plan;
use crate::say::hides;
use std::fmt::Write;

/// The plan as JSON, indented; `version` is its schema's. What would hide on a terminal is escaped, as the words of a
/// cloned repository are among it.
pub fn json(plan: &Plan) -> String {
    let text = serde_json::to_string_pretty(plan).unwrap_or_default();
    let mut shown = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown.push('\n');
    shown
}
