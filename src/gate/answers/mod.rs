//! What comes back: the credential that the gate added never does. An answer is read as it streams, decoded where it is
//! compressed, and every spelling of the credential is overwritten, at the same length.

mod mask;

pub use mask::{Masked, Needles};
