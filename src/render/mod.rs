//! Plans as text. Pure: a plan in, a string out; no rendering shows what a plan does not hold.

mod sh;
mod text;

pub use sh::sh;
pub use text::text;

use crate::plan::Plan;

/// The plan as JSON, indented; `version` is its schema's.
pub fn json(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(plan).unwrap_or_default();
    text.push('\n');
    text
}
