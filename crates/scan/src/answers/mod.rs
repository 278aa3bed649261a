//! What comes back. The credential that the gate added does not: every spelling of it in an answer is overwritten at the same
//! length, as the answer streams. Text that hides instructions to the agent from a person who looks at the same page is
//! found.

mod escape;
mod glyphs;
mod html;
mod instructions;
mod invisible;
mod json;
mod kind;
mod mask;
mod pair_runs;
mod phrases;
mod plain;
mod spelled;
mod style;
mod terminal;

pub use instructions::Instructions;
pub use kind::Kind;
pub use mask::{Masked, Needles};

/// What was found, in words for a person: never the text itself.
pub type Sign = &'static str;
