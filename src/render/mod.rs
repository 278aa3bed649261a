//! Renders values as text: a plan or an answer in, a string out. No rendering shows what the value does not hold.

mod answer;
mod approval;
mod changes;
mod egress;
mod git_answer;
mod remotes;
mod replay;
mod route;
mod sh;
mod suggest;
mod text;
mod trail;
mod work;

pub use answer::{Answer, BodyFinding, Carried, Dial, Injected, Skipped, TokenPlace, answer};
pub use approval::{approval, packages, times};
pub use changes::{changes, difference, left_out};
pub use git_answer::{GitAnswer, RefAnswer, git_answer};
pub use replay::replay;
pub use route::route;
pub use sh::sh;
pub use suggest::{BottleSuggestions, suggestions, suggestions_json};
pub use text::{CopyProgress, MIN_SHOWN_COPY_BYTES, about, age, copying, size, text, unmatched};
pub use trail::{change_text, is_refused, seconds, trail};
pub use work::work;

use crate::plan::Plan;

/// The plan as JSON, indented; `version` is its schema's.
pub fn json(plan: &Plan) -> String {
    crate::text::escape_json(&serde_json::to_string_pretty(plan).unwrap_or_default()) + "\n"
}
