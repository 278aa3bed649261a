//! Plans as text. Pure: a plan in, a string out; no rendering shows what a plan does not hold.

mod answer;
mod changes;
mod egress;
mod sh;
mod text;
mod trail;
mod work;

pub use answer::{Answer, Carried, Dial, Finding, Injected, Reads, Skipped, TokenPlace, answer};
pub use changes::changes;
pub use sh::sh;
pub use text::{age, size, text};
pub use trail::{is_refused, seconds, trail};
pub use work::work;

use crate::plan::Plan;
use crate::say::hides;
use std::fmt::Write;

/// The plan as JSON, indented; `version` is its schema's.
pub fn json(plan: &Plan) -> String {
    escaped(&serde_json::to_string_pretty(plan).unwrap_or_default()) + "\n"
}

/// JSON in which what would hide on a terminal is escaped: it may hold the words of a cloned repository, or of an agent.
pub fn escaped(json: &str) -> String {
    let mut shown = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}
