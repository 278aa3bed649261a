//! What comes back. The credential that the gate added never does: an answer is read as it streams, decoded where it is
//! compressed, and every spelling of the credential is overwritten, at the same length. And text that hides instructions
//! to the agent is found: a person who looks at the same page does not see them.

mod glyphs;
mod html;
mod instructions;
mod invisible;
mod json;
mod kind;
mod mask;
mod phrases;
mod plain;
mod style;
mod terminal;

pub use instructions::Instructions;
pub use kind::Kind;
pub use mask::{Masked, Needles};

/// What was found, in words that a person reads: never the text itself.
pub type Sign = &'static str;
